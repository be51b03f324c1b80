//! What can go wrong from outside: processes that end, and messages that are lost, late or doubled.
//!
//! Owns what each fault does to the world. Whether it may be asked for is checked before it comes here, and what the nodes make of it is theirs.

use super::network::{DropNext, Link};
use super::trace::Trace;
use super::world::{Delivery, Event, ProcessState, World};
use crate::node::{Channel, Input, Loss, NodeId, Note, NoteKind, Time};

/// What is done to one message on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageFault {
    Drop,
    /// It arrives this much later, and what was sent after it does not wait for it.
    Delay(Time),
    /// It arrives, and this much later a second time.
    Duplicate(Time),
}

impl World {
    /// Kills a broker's process. What it had sent still arrives.
    pub fn crash_broker(&mut self, id: i32, trace: &mut Trace) {
        if let Some(node) = self.brokers.get_mut(&id) {
            node.state = ProcessState::Crashed;
            node.process += 1;
            node.broker.crash();
            trace.push(Note { time: self.now, node: NodeId::Broker(id), kind: NoteKind::BrokerCrashed });
            self.reset_all(NodeId::Broker(id));
        }
    }

    pub fn restart_broker(&mut self, id: i32, trace: &mut Trace) {
        if let Some(node) = self.brokers.get_mut(&id) {
            node.state = ProcessState::Running;
            self.input(NodeId::Broker(id), Input::Start, trace);
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
        match fault {
            MessageFault::Drop => self.drop_message(message, Loss::Dropped, trace),
            MessageFault::Delay(by) => {
                let Some((arrives, delivery)) = self.take_message(message) else { return };
                let kind = NoteKind::MessageDelayed { message, to: delivery.to.peer, summary: delivery.summary.clone(), by };
                trace.push(Note { time: self.now, node: delivery.from, kind });
                self.queue.push(arrives + by, Event::Deliver(delivery));
            }
            MessageFault::Duplicate(after) => {
                let Some((arrives, delivery)) = self.take_message(message) else { return };
                let copy = self.next_message;
                self.next_message += 1;
                let kind = NoteKind::MessageDuplicated { message, to: delivery.to.peer, summary: delivery.summary.clone(), copy };
                trace.push(Note { time: self.now, node: delivery.from, kind });
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

    fn drop_message(&mut self, message: u64, cause: Loss, trace: &mut Trace) {
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
            self.queue.push(self.now + super::cost::METADATA_FETCH_TIMEOUT, reset);
        }
    }
}
