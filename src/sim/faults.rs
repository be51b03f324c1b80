//! What can go wrong from outside: processes that end, and messages that are lost, late or doubled.
//!
//! Owns what each fault does to the world. Whether it may be asked for is checked before it comes here, and what the nodes make of it is theirs.

use super::network::{DropNext, Link};
use super::trace::Trace;
use super::world::{BrokerNode, Delivery, Event, ProcessState, World};
use crate::broker::{Broker, Machine};
use crate::node::{Channel, Input, Loss, NodeId, Note, NoteKind, Outputs, Time};

/// What is done to one message on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageFault {
    Drop,
    /// It arrives this much later, and what was sent after it does not wait for it.
    Delay(Time),
    /// It arrives, and this much later a second time.
    Duplicate(Time),
}

/// It stands still no more, and comes to what it holds.
const DRAINING: Time = 0;

impl World {
    /// Kills a controller's process. Its log and its vote are on its disk.
    pub fn crash_controller(&mut self, id: i32, trace: &mut Trace) {
        let Some(node) = self.controllers.get_mut(&id) else { return };
        (node.is_up, node.process) = (false, node.process + 1);
        node.controller.crash();
        trace.push(Note { time: self.now, node: NodeId::Controller(id), kind: NoteKind::ControllerCrashed });
        self.reset_all(NodeId::Controller(id));
    }

    pub fn restart_controller(&mut self, id: i32, trace: &mut Trace) {
        if let Some(node) = self.controllers.get_mut(&id) {
            node.is_up = true;
            trace.push(Note { time: self.now, node: NodeId::Controller(id), kind: NoteKind::ControllerStarted });
            self.input(NodeId::Controller(id), Input::Start, trace);
        }
    }

    /// Kills a broker's process. What it had sent still arrives.
    pub fn crash_broker(&mut self, id: i32, trace: &mut Trace) {
        self.end_broker(id, ProcessState::Crashed, trace, |broker, out| {
            broker.crash();
            out.note(NoteKind::BrokerCrashed);
        });
    }

    /// The power of a broker's machine fails: the process ends, and the page cache is gone.
    pub fn power_loss(&mut self, id: i32, trace: &mut Trace) {
        let now = self.now;
        self.end_broker(id, ProcessState::Crashed, trace, |broker, out| {
            out.note(NoteKind::PowerLost);
            broker.lose_power(now, out);
        });
    }

    /// A broker's process has ended by itself.
    pub(super) fn broker_stopped(&mut self, id: i32, trace: &mut Trace) {
        self.end_broker(id, ProcessState::Stopped, trace, |broker, out| {
            broker.crash();
            out.note(NoteKind::BrokerStopped);
        });
    }

    fn end_broker(&mut self, id: i32, state: ProcessState, trace: &mut Trace, end: impl FnOnce(&mut Broker, &mut Outputs)) {
        let Some(node) = self.brokers.get_mut(&id) else { return };
        if node.state == ProcessState::Frozen {
            self.frozen -= 1;
            node.held.clear();
        }
        node.state = state;
        node.process += 1;
        let mut out = Outputs::default();
        end(&mut node.broker, &mut out);
        for kind in out.notes {
            trace.push(Note { time: self.now, node: NodeId::Broker(id), kind });
        }
        self.reset_all(NodeId::Broker(id));
    }

    pub fn restart_broker(&mut self, id: i32, trace: &mut Trace) {
        if let Some(node) = self.brokers.get_mut(&id) {
            node.state = ProcessState::Running;
            self.input(NodeId::Broker(id), Input::Start, trace);
        }
    }

    /// Asks a broker's process to stop (SIGTERM). A frozen one hears it when it goes on.
    pub fn stop_broker(&mut self, id: i32, trace: &mut Trace) {
        if let Some(process) = self.process(NodeId::Broker(id)) {
            self.happen(Event::Stop { broker: id, process }, trace);
        }
    }

    /// A broker's process stands still for so long, or for longer if it is frozen already.
    pub fn freeze_broker(&mut self, id: i32, lasts: Time, trace: &mut Trace) {
        let until = self.now + lasts;
        let Some(node) = self.brokers.get_mut(&id) else { return };
        if node.state != ProcessState::Frozen {
            node.state = ProcessState::Frozen;
            node.frozen_until = 0;
            self.frozen += 1;
        }
        node.frozen_until = node.frozen_until.max(until);
        let process = node.process;
        trace.push(Note { time: self.now, node: NodeId::Broker(id), kind: NoteKind::BrokerFrozen { until } });
        self.queue.push(until, Event::Thaw { broker: id, process });
    }

    /// The frozen broker that an event is for.
    pub(super) fn frozen_target(&mut self, event: &Event) -> Option<&mut BrokerNode> {
        let id = match event {
            Event::Deliver(delivery) => delivery.to.peer,
            Event::Reset { to, .. } => *to,
            Event::Timer { node, .. } => *node,
            Event::Stop { broker, .. } => NodeId::Broker(*broker),
            Event::Thaw { .. } | Event::Errand(_) => return None,
        };
        let NodeId::Broker(id) = id else { return None };
        self.brokers.get_mut(&id).filter(|node| node.state == ProcessState::Frozen)
    }

    pub(super) fn thaw(&mut self, id: i32, process: u32, trace: &mut Trace) {
        let now = self.now;
        let over = |node: &&mut BrokerNode| node.state == ProcessState::Frozen && node.process == process && node.frozen_until <= now;
        let Some(node) = self.brokers.get_mut(&id).filter(over) else { return };
        if node.frozen_until != DRAINING {
            node.frozen_until = DRAINING;
            trace.push(Note { time: now, node: NodeId::Broker(id), kind: NoteKind::BrokerThawed });
        }
        // One event at a time, in the order in which they came: whatever comes now comes after, for the broker holds it until it is through.
        let next = node.held.pop_front();
        if node.held.is_empty() {
            node.state = ProcessState::Running;
            self.frozen -= 1;
        } else {
            self.queue.push(now, Event::Thaw { broker: id, process });
        }
        if let Some(event) = next {
            self.carry(event, trace);
        }
    }

    /// Sets what a broker's machine is like.
    pub fn set_machine(&mut self, id: i32, machine: Machine) {
        if let Some(node) = self.brokers.get_mut(&id) {
            node.broker.set_machine(machine);
        }
    }

    /// Sets a link, and loses what is on its way over it if it is cut.
    pub fn set_link(&mut self, link: Link, trace: &mut Trace) {
        let cut = link.cut;
        self.network.set(link);
        if !cut {
            return;
        }
        let over_cut = |flight: &super::Flight<'_>| self.network.is_cut(flight.from, flight.to, &self.all_names);
        let lost: Vec<u64> = self.flights().iter().filter(|flight| over_cut(flight)).map(|flight| flight.message).collect();
        for message in lost {
            self.drop_message(message, Loss::Cut, trace);
        }
    }

    pub fn drop_next(&mut self, drop: DropNext) {
        self.network.drop_next(drop);
    }

    pub fn links(&self) -> &[Link] {
        self.network.links()
    }

    pub fn drops(&self) -> &[DropNext] {
        self.network.drops()
    }

    /// Whether a message is on its way.
    pub fn is_under_way(&self, message: u64) -> bool {
        self.queue.iter().any(|(_, event)| event.carries(message))
    }

    pub fn fault_message(&mut self, message: u64, fault: MessageFault, trace: &mut Trace) {
        if let Some((arrives, delivery)) = self.take_message(message) {
            self.befall(arrives, delivery, fault, trace);
        }
    }

    /// Something happens to a message that would have arrived at `arrives`.
    pub(super) fn befall(&mut self, arrives: Time, delivery: Box<Delivery>, fault: MessageFault, trace: &mut Trace) {
        let (message, to, summary) = (delivery.message, delivery.to.peer, delivery.summary.clone());
        let (now, from) = (self.now, delivery.from);
        let note = |kind| Note { time: now, node: from, kind };
        match fault {
            MessageFault::Drop => self.lose(*delivery, Loss::Dropped, trace),
            MessageFault::Delay(by) => {
                trace.push(note(NoteKind::MessageDelayed { message, to, summary, by }));
                self.queue.push(arrives + by, Event::Deliver(delivery));
            }
            MessageFault::Duplicate(after) => {
                let copy = self.next_message;
                trace.push(note(NoteKind::MessageDuplicated { message, to, summary, copy }));
                self.next_message += 1;
                let second = Box::new(Delivery { message: copy, ..(*delivery).clone() });
                self.queue.push(arrives, Event::Deliver(delivery));
                self.queue.push(arrives + after, Event::Deliver(second));
            }
        }
    }

    fn take_message(&mut self, message: u64) -> Option<(Time, Box<Delivery>)> {
        match self.queue.take(|event| event.carries(message))? {
            (arrives, Event::Deliver(delivery)) => Some((arrives, delivery)),
            _ => None,
        }
    }

    pub(super) fn drop_message(&mut self, message: u64, cause: Loss, trace: &mut Trace) {
        if let Some((_, delivery)) = self.take_message(message) {
            self.lose(*delivery, cause, trace);
        }
    }

    /// A message does not arrive. Nobody is told: it is for the sender to wait, and to give up.
    pub(super) fn lose(&mut self, lost: Delivery, cause: Loss, trace: &mut Trace) {
        let (from, to) = (lost.from, lost.to);
        let kind = NoteKind::MessageLost { message: lost.message, to: to.peer, summary: lost.summary, cause };
        trace.push(Note { time: self.now, node: from, kind });
        // The long poll of the metadata log is the one request without a timeout of its own.
        let poll = |broker: NodeId, controller: NodeId| {
            let ends = matches!((broker, controller), (NodeId::Broker(_), NodeId::Controller(_)));
            (ends && to.channel == Channel::Data).then_some((broker, controller))
        };
        if let Some((broker, controller)) = poll(from, to.peer).or_else(|| poll(to.peer, from)) {
            let reset = Event::Reset { to: broker, peer: controller, channel: Some(Channel::Data) };
            self.queue.push(self.now + crate::cost::METADATA_FETCH_TIMEOUT, reset);
        }
    }
}
