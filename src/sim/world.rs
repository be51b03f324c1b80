//! The world: every node, every message on its way, and what happens next.

use super::decided::Decided;
use super::errand::Errand;
use super::network::{Fate, Network};
use super::queue::EventQueue;
use super::summary::summarise;
use super::trace::Trace;
use crate::broker::{Broker, BrokerConfig};
use crate::client::{Consumer, Processor, Producer};
use crate::controller::{Controller, ControllerConfig};
use crate::node::{Body, Chance, Channel, Connection, Input, Loss, NodeId, Note, NoteKind, Outputs, Summary, Time, Timer};
use crate::ordered::{OrderedMap, sort_by};
use crate::protocol::ErrorCode;
use crate::protocol::wire::{Request, Response};
use crate::replica::RemoteStore;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a world is made of at time 0.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    pub seed: u64,
    pub controller: ControllerConfig,
    /// By broker id.
    pub brokers: OrderedMap<i32, BrokerConfig>,
    /// The settings of a broker that is added later.
    pub added_broker: BrokerConfig,
}

#[derive(Clone, Debug)]
pub struct World {
    pub(super) now: Time,
    events: u64,
    pub(super) queue: EventQueue<Event>,
    pub(super) controllers: OrderedMap<i32, ControllerNode>,
    decided: Decided,
    pub(super) brokers: OrderedMap<i32, BrokerNode>,
    /// Brokers that are no part of it any more: one that takes the place of an old one goes on with its numbers.
    pub(super) removed: OrderedMap<i32, BrokerNode>,
    /// Tiered storage's second store: one for all brokers, and nothing happens to it.
    remote: RemoteStore,
    /// The settings of a broker that is added.
    pub(super) broker_config: BrokerConfig,
    clients: OrderedMap<u32, ClientNode>,
    names: OrderedMap<Arc<str>, u32>,
    /// The name of every client there ever was, by index: notes speak of clients that are gone.
    pub(super) all_names: Vec<Arc<str>>,
    pub(super) next_message: u64,
    pub(super) network: Network,
    /// How many brokers are frozen.
    pub(super) frozen: u32,
    pub(super) chance: Chance,
    outputs: Outputs,
    /// The answer to the admin's request, which it waits for.
    answer: Option<Response>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessState {
    Running,
    /// It stands still, as in a long garbage collection: what comes waits at its door.
    Frozen,
    Crashed,
    /// It has ended in good order.
    Stopped,
}

impl ProcessState {
    /// Whether there is a process.
    pub fn is_up(self) -> bool {
        matches!(self, ProcessState::Running | ProcessState::Frozen)
    }
}

#[derive(Clone, Debug)]
pub(super) struct ControllerNode {
    pub controller: Controller,
    pub is_up: bool,
    /// Counts the processes, as with brokers.
    pub process: u32,
}

#[derive(Clone, Debug)]
pub(super) struct BrokerNode {
    pub broker: Broker,
    pub state: ProcessState,
    /// Counts the processes: what was meant for an earlier one does not reach the next.
    pub process: u32,
    /// Until when it is frozen, if it is; 0 once it comes to what it holds.
    pub frozen_until: Time,
    /// What has come for a frozen process, in order.
    pub held: VecDeque<Event>,
}

impl BrokerNode {
    pub fn new(broker: Broker) -> BrokerNode {
        BrokerNode { broker, state: ProcessState::Running, process: 0, frozen_until: 0, held: VecDeque::new() }
    }
}

/// A client of the world.
#[derive(Clone, Debug)]
pub struct ClientNode {
    pub name: Arc<str>,
    /// `client.id`, by which brokers know it: its name, unless it has another.
    pub client_id: Arc<str>,
    pub application: Application,
    pub state: ProcessState,
    /// Of a consumer: what its application does with the records.
    pub processor: Option<Box<Processor>>,
    /// Of a producer: the consumer whose processor it writes for.
    pub serves: Option<Arc<str>>,
}

/// What a client does.
#[derive(Clone, Debug)]
pub enum Application {
    /// `configs` is every setting with the value in force, for the screen.
    Producer {
        topic: Arc<str>,
        producer: Box<Producer>,
        configs: OrderedMap<String, String>,
    },
    Consumer {
        consumer: Box<Consumer>,
        configs: OrderedMap<String, String>,
    },
}

impl Application {
    /// Its settings, with the values in force.
    pub fn configs(&self) -> &OrderedMap<String, String> {
        match self {
            Application::Producer { configs, .. } | Application::Consumer { configs, .. } => configs,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Deliver(Box<Delivery>),
    /// The peer's process is gone, or has closed the connection of this channel.
    Reset {
        to: NodeId,
        peer: NodeId,
        channel: Option<Channel>,
    },
    Timer {
        node: NodeId,
        process: u32,
        timer: Timer,
    },
    /// A broker's process is told to stop.
    Stop {
        broker: i32,
        process: u32,
    },
    /// A frozen broker may go on.
    Thaw {
        broker: i32,
        process: u32,
    },
    /// An admin asks once more.
    Errand(Box<Errand>),
}

impl Event {
    pub fn carries(&self, message: u64) -> bool {
        matches!(self, Event::Deliver(delivery) if delivery.message == message)
    }

    fn flight(&self, arrives: Time) -> Option<Flight<'_>> {
        let Event::Deliver(delivery) = self else { return None };
        Some(Flight {
            message: delivery.message,
            from: delivery.from,
            to: delivery.to.peer,
            sent: delivery.sent,
            arrives,
            response: matches!(delivery.body, Body::Response(_)),
            summary: &delivery.summary,
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub message: u64,
    pub sent: Time,
    pub from: NodeId,
    pub to: Connection,
    pub process: u32,
    pub correlation: u32,
    pub body: Body,
    pub summary: Summary,
}

/// A message on its way, for the drawing.
#[derive(Clone, Copy, Debug)]
pub struct Flight<'a> {
    pub message: u64,
    pub from: NodeId,
    pub to: NodeId,
    pub sent: Time,
    pub arrives: Time,
    pub response: bool,
    pub summary: &'a Summary,
}

impl World {
    /// A new world, with every controller and broker just started.
    pub fn new(config: WorldConfig, trace: &mut Trace) -> World {
        let chance = Chance::new(config.seed);
        let voters = config.controller.quorum.voters.clone();
        let controller = |id: &i32| {
            // The numbers between are the brokers' and the world's own.
            let salt = if *id == 1 { 1 } else { 2_000_000_000 + *id as u64 };
            let controller = Controller::new(*id, config.controller.clone(), chance.fork(salt));
            (*id, ControllerNode { controller, is_up: true, process: 0 })
        };
        let controllers = voters.iter().map(controller).collect();
        let node = |(id, config): (i32, BrokerConfig)| (id, BrokerNode::new(Broker::new(id, config, chance.fork(1_000 + id as u64))));
        let mut network = Network::new(chance.fork(3));
        for (id, broker) in &config.brokers {
            network.set_buffers(*id, broker.costs.receive_buffer, broker.costs.send_buffer);
        }
        let mut world = World {
            now: 0,
            events: 0,
            queue: EventQueue::new(),
            controllers,
            decided: Decided::default(),
            brokers: config.brokers.into_iter().map(node).collect(),
            removed: OrderedMap::new(),
            remote: RemoteStore::default(),
            broker_config: config.added_broker,
            clients: OrderedMap::new(),
            names: OrderedMap::new(),
            all_names: Vec::new(),
            next_message: 0,
            network,
            frozen: 0,
            chance: chance.fork(2),
            outputs: Outputs::default(),
            answer: None,
        };
        for id in voters {
            world.input(NodeId::Controller(id), Input::Start, trace);
        }
        let ids: Vec<i32> = world.brokers.keys().copied().collect();
        for id in ids {
            world.input(NodeId::Broker(id), Input::Start, trace);
        }
        world
    }

    pub fn now(&self) -> Time {
        self.now
    }

    /// Events handled so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    pub fn next_event_time(&self) -> Option<Time> {
        self.queue.next_time()
    }

    /// What the active controller has decided, whichever that is: as far as the quorum has committed it.
    pub fn controller(&self) -> &Decided {
        &self.decided
    }

    pub fn controllers(&self) -> impl Iterator<Item = (&Controller, bool)> {
        self.controllers.values().map(|node| (&node.controller, node.is_up))
    }

    /// The active controller; if one does not know yet that another was elected, the newer one.
    pub fn active_controller(&self) -> Option<&Controller> {
        let active = self.controllers.values().filter(|node| node.is_up && node.controller.is_active());
        active.map(|node| &node.controller).max_by_key(|controller| controller.quorum().election().epoch)
    }

    pub fn brokers(&self) -> impl Iterator<Item = (&Broker, ProcessState)> {
        self.brokers.values().map(|node| (&node.broker, node.state))
    }

    pub fn broker(&self, id: i32) -> Option<(&Broker, ProcessState)> {
        self.brokers.get(&id).map(|node| (&node.broker, node.state))
    }

    /// What tiered storage has beside the brokers' disks.
    pub fn remote(&self) -> &RemoteStore {
        &self.remote
    }

    /// Clients in the order of their names.
    pub fn clients(&self) -> impl Iterator<Item = &ClientNode> {
        self.names.values().filter_map(|index| self.clients.get(index))
    }

    pub fn client(&self, name: &str) -> Option<&ClientNode> {
        self.clients.get(self.names.get(name)?)
    }

    pub(super) fn client_mut(&mut self, name: &str) -> Option<&mut ClientNode> {
        self.clients.get_mut(self.names.get(name)?)
    }

    /// The consumer whose records a client of this node processes or writes.
    pub(super) fn reader_of(&self, node: NodeId) -> Option<Arc<str>> {
        let NodeId::Client(index) = node else { return None };
        let client = self.clients.get(&index)?;
        client.serves.as_ref().or(client.processor.is_some().then_some(&client.name)).cloned()
    }

    /// A client by its node, if its name is still its own.
    pub fn client_at(&self, node: NodeId) -> Option<&ClientNode> {
        let NodeId::Client(index) = node else { return None };
        self.clients.get(&index).filter(|client| self.names.get(&*client.name) == Some(&index))
    }

    /// The name of a node: `broker-1`, `controller-1`, a client's id, `user`.
    pub fn name(&self, node: NodeId) -> String {
        match node {
            NodeId::Admin => "user".to_owned(),
            NodeId::Controller(id) => format!("controller-{id}"),
            NodeId::Broker(id) => format!("broker-{id}"),
            NodeId::Client(index) => self.all_names.get(index as usize).map_or_else(String::new, |name| name.to_string()),
        }
    }

    /// Messages on their way, by number.
    pub fn flights(&self) -> Vec<Flight<'_>> {
        let mut flights: Vec<Flight<'_>> = self.queue.iter().filter_map(|(arrives, event)| event.flight(arrives)).collect();
        sort_by(&mut flights, |one, other| one.message.cmp(&other.message));
        flights
    }

    /// A message on its way: the connection that it is for, its number there, and what it says. A search through all that is to come.
    pub fn message(&self, number: u64) -> Option<(Connection, u32, &Body)> {
        self.queue.iter().find_map(|(_, event)| match event {
            Event::Deliver(delivery) if delivery.message == number => Some((delivery.to, delivery.correlation, &delivery.body)),
            _ => None,
        })
    }

    /// Handles the next event. `false`: there is none.
    pub fn step(&mut self, trace: &mut Trace) -> bool {
        let Some((at, event)) = self.queue.pop() else { return false };
        self.now = at;
        self.events += 1;
        self.happen(event, trace);
        true
    }

    pub(super) fn happen(&mut self, event: Event, trace: &mut Trace) {
        if self.frozen != 0
            && let Some(broker) = self.frozen_target(&event)
        {
            broker.held.push_back(event);
            return;
        }
        self.carry(event, trace);
    }

    /// What an event does to the node that it is for.
    pub(super) fn carry(&mut self, event: Event, trace: &mut Trace) {
        match event {
            Event::Timer { node, process, timer } => {
                if self.process(node) == Some(process) {
                    self.input(node, Input::Timer(timer), trace);
                }
            }
            Event::Reset { to, peer, channel } => self.input(to, Input::Disconnected { peer, channel }, trace),
            Event::Deliver(delivery) => self.deliver(*delivery, trace),
            Event::Stop { broker, process } => {
                if self.process(NodeId::Broker(broker)) == Some(process) {
                    self.input(NodeId::Broker(broker), Input::Stop, trace);
                }
            }
            Event::Thaw { broker, process } => self.thaw(broker, process, trace),
            Event::Errand(errand) => self.run_errand(*errand, trace),
        }
    }

    /// Lets time pass without an event, up to the next one at the most.
    pub fn pass(&mut self, to: Time) {
        debug_assert!(self.next_event_time().is_none_or(|next| to <= next));
        self.now = self.now.max(to);
    }

    /// The number of the node's running process; `None` if none runs.
    pub(super) fn process(&self, node: NodeId) -> Option<u32> {
        match node {
            NodeId::Admin => Some(0),
            NodeId::Controller(id) => self.controllers.get(&id).filter(|node| node.is_up).map(|node| node.process),
            NodeId::Broker(id) => self.brokers.get(&id).filter(|node| node.state.is_up()).map(|node| node.process),
            NodeId::Client(index) => self.clients.get(&index).filter(|node| node.state == ProcessState::Running).map(|_| 0),
        }
    }

    fn deliver(&mut self, delivery: Delivery, trace: &mut Trace) {
        let Delivery { message, from, to, process, correlation, body, summary, .. } = delivery;
        if self.process(to.peer) != Some(process) {
            trace.push(Note { time: self.now, node: from, kind: NoteKind::MessageDropped { message, to: to.peer, summary } });
            if matches!(body, Body::Request(_)) {
                // Nobody listens: the sender's connection is refused.
                self.reset(from, to.peer, None);
            }
            return;
        }
        let connection = Connection { peer: from, channel: to.channel };
        let input = match body {
            Body::Request(request) => {
                let client_id = self.client_id(from);
                Input::Request { from: connection, client_id, correlation, request }
            }
            Body::Response(response) => Input::Response { from: connection, correlation, response },
        };
        self.input(to.peer, input, trace);
    }

    fn client_id(&self, node: NodeId) -> Arc<str> {
        match node {
            NodeId::Client(index) => self.clients.get(&index).map_or_else(|| Arc::from(""), |client| client.client_id.clone()),
            _ => Arc::from(""),
        }
    }

    /// Tells a node that its connections with a peer are gone, or the one of this channel. That needs no link: whoever still hopes for such a
    /// connection finds out with its next request at the latest.
    fn reset(&mut self, to: NodeId, peer: NodeId, channel: Option<Channel>) {
        let connection = Connection { peer: to, channel: channel.unwrap_or(Channel::Data) };
        let at = self.network.arrival(self.now, peer, connection, &self.all_names, &mut self.chance, 0, u64::MAX);
        self.queue.push(at, Event::Reset { to, peer, channel });
    }

    /// Hands a node an input and takes its outputs to the network, the queue and the trace.
    pub(super) fn input(&mut self, node: NodeId, input: Input, trace: &mut Trace) {
        let mut out = std::mem::take(&mut self.outputs);
        let now = self.now;
        match node {
            NodeId::Admin => {
                if let Input::Response { response, .. } = input {
                    self.answer = Some(response);
                }
            }
            NodeId::Controller(id) => {
                if let Some(node) = self.controllers.get_mut(&id).filter(|node| node.is_up) {
                    node.controller.handle(now, input, &mut out);
                    self.decided.follow(&mut node.controller, &mut out.notes);
                }
            }
            NodeId::Broker(id) => {
                if let Some(node) = self.brokers.get_mut(&id).filter(|node| node.state.is_up()) {
                    node.broker.swap_remote(&mut self.remote);
                    node.broker.handle(now, input, &mut out);
                    node.broker.swap_remote(&mut self.remote);
                }
            }
            NodeId::Client(index) => {
                if let Some(client) = self.clients.get_mut(&index).filter(|client| client.state == ProcessState::Running) {
                    match &mut client.application {
                        Application::Producer { producer, .. } => producer.handle(now, input, &mut out),
                        Application::Consumer { consumer, .. } => consumer.handle(now, input, &mut out),
                    }
                }
            }
        }
        self.carry_out(node, &mut out, trace);
        let exits = std::mem::take(&mut out.exits);
        self.outputs = out;
        self.let_go_of_closed(node);
        self.process_records(node, trace);
        if exits && let NodeId::Broker(id) = node {
            self.broker_stopped(id, trace);
        }
    }

    fn carry_out(&mut self, node: NodeId, out: &mut Outputs, trace: &mut Trace) {
        for kind in out.notes.drain(..) {
            trace.push(Note { time: self.now, node, kind });
        }
        let process = self.process(node).unwrap_or(0);
        for (at, timer) in out.timers.drain(..) {
            self.queue.push(at, Event::Timer { node, process, timer });
        }
        for closed in out.closes.drain(..) {
            self.reset(closed.peer, node, Some(closed.channel));
        }
        for sent in out.sends.drain(..) {
            let message = self.next_message;
            self.next_message += 1;
            let summary = summarise(&sent.body, self.decided.image());
            let to = sent.to.peer;
            let kind = match &sent.body {
                Body::Request(_) => NoteKind::RequestSent { message, to, summary: summary.clone() },
                Body::Response(_) => NoteKind::ResponseSent { message, to, summary: summary.clone() },
            };
            trace.push(Note { time: self.now, node, kind });
            if to == NodeId::Admin {
                if let Body::Response(response) = sent.body {
                    self.answer = Some(response);
                }
                continue;
            }
            let fate = self.network.send(self.now, node, sent.to, &sent.body, &self.all_names, &mut self.chance);
            let process = self.process(to).unwrap_or(u32::MAX);
            let (correlation, body) = (sent.correlation, sent.body);
            let delivery = Delivery { message, sent: self.now, from: node, to: sent.to, process, correlation, body, summary };
            match fate {
                Fate::Arrives(at) => self.queue.push(at, Event::Deliver(Box::new(delivery))),
                Fate::Mishap(at, fault) => self.befall(at, Box::new(delivery), fault, trace),
                Fate::Cut => self.lose(delivery, Loss::Cut, trace),
                Fate::Dropped => self.lose(delivery, Loss::Dropped, trace),
            }
        }
    }

    /// Whether what a controller decides now can be committed: it reaches a majority, and they it.
    fn reaches_majority(&self, id: i32) -> bool {
        let linked = |from: i32, to: i32| !self.network.is_cut(NodeId::Controller(from), NodeId::Controller(to), &self.all_names);
        let reaches = |(other, node): &(&i32, &ControllerNode)| node.is_up && linked(id, **other) && linked(**other, id);
        self.controllers.len() < 2 * self.controllers.iter().filter(reaches).count()
    }

    /// The person at the page asks the cluster for something and waits for the answer, which takes no time.
    pub fn ask(&mut self, request: Request, trace: &mut Trace) -> Option<Response> {
        let input = admins(request);
        let active = self.active_controller().filter(|controller| self.reaches_majority(controller.id()))?;
        let id = NodeId::Controller(active.id());
        // What is refused must leave nothing behind, not even a message number: it is tried on a copy first.
        let mut rehearsal = Outputs::default();
        active.clone().handle(self.now, input.clone(), &mut rehearsal);
        let answer = answer_to_admin(rehearsal)?;
        if answer.error() != ErrorCode::None {
            return Some(answer);
        }
        self.answer = None;
        self.input(id, input, trace);
        self.answer.take()
    }

    /// The same of a broker, which runs. `None`: it has taken the request and answers later.
    pub fn ask_broker(&mut self, id: i32, request: Request, trace: &mut Trace) -> Option<Response> {
        let input = admins(request);
        let mut rehearsal = Outputs::default();
        self.broker(id)?.0.clone().handle(self.now, input.clone(), &mut rehearsal);
        if let Some(refused) = answer_to_admin(rehearsal).filter(|answer| answer.error() != ErrorCode::None) {
            return Some(refused);
        }
        self.tell_broker(id, input, trace)
    }

    pub(super) fn tell_broker(&mut self, id: i32, input: Input, trace: &mut Trace) -> Option<Response> {
        self.answer = None;
        self.input(NodeId::Broker(id), input, trace);
        self.answer.take()
    }

    pub(super) fn later(&mut self, after: Time, event: Event) {
        self.queue.push(self.now + after, event);
    }

    /// Adds a client and starts it. The name is free: the caller has checked that.
    pub fn add_client(&mut self, name: Arc<str>, application: Application, trace: &mut Trace) {
        let index = self.all_names.len() as u32;
        self.all_names.push(name.clone());
        self.names.insert(name.clone(), index);
        let client_id =
            application.configs().get("client.id").filter(|id| !id.is_empty()).map_or_else(|| name.clone(), |id| Arc::from(id.as_str()));
        self.clients
            .insert(index, ClientNode { name, client_id, application, state: ProcessState::Running, processor: None, serves: None });
        self.input(NodeId::Client(index), Input::Start, trace);
    }

    /// Chance for a client that is about to be added.
    pub fn client_chance(&self) -> Chance {
        self.chance.fork(1_000_000 + self.all_names.len() as u64)
    }

    pub fn broker_ids(&self) -> Vec<i32> {
        self.brokers.keys().copied().collect()
    }

    /// The application of a client acts: `act` gets the client and a place for what it wants done.
    pub fn act(&mut self, name: &str, trace: &mut Trace, act: &mut dyn FnMut(Time, &mut Application, &mut Outputs)) {
        let Some(index) = self.names.get(name).copied() else { return };
        self.act_alone(name, trace, act);
        self.process_records(NodeId::Client(index), trace);
    }

    /// The same, and whoever reads or writes for it does nothing yet.
    pub(super) fn act_alone(&mut self, name: &str, trace: &mut Trace, act: &mut dyn FnMut(Time, &mut Application, &mut Outputs)) {
        let Some(index) = self.names.get(name).copied() else { return };
        let Some(client) = self.clients.get_mut(&index).filter(|client| client.state == ProcessState::Running) else { return };
        let mut out = std::mem::take(&mut self.outputs);
        act(self.now, &mut client.application, &mut out);
        self.carry_out(NodeId::Client(index), &mut out, trace);
        self.outputs = out;
        self.let_go_of_closed(NodeId::Client(index));
    }

    /// Takes a client's name away: it may be given again. The process ends by itself when it has closed.
    pub fn forget_name(&mut self, name: &str) {
        if let Some(index) = self.names.remove(name)
            && self.clients.get(&index).is_some_and(|client| client.state == ProcessState::Crashed)
        {
            self.clients.remove(&index);
        }
    }

    fn let_go_of_closed(&mut self, node: NodeId) {
        let NodeId::Client(index) = node else { return };
        let closed = self.clients.get(&index).is_some_and(|client| match &client.application {
            Application::Producer { producer, .. } => producer.is_closed(),
            Application::Consumer { consumer, .. } => consumer.is_closed(),
        });
        if closed {
            self.clients.remove(&index);
            self.reset_all(node);
        }
    }

    /// Kills a client's process: it leaves no group and commits nothing. A processor's producer is in the same process.
    pub fn crash_client(&mut self, name: &str) {
        if let Some(producer) = self.client(name).and_then(|client| client.processor.as_ref()).map(|processor| processor.producer.clone()) {
            self.crash_client(&producer);
        }
        let Some(index) = self.names.get(name).copied() else { return };
        if let Some(client) = self.clients.get_mut(&index) {
            client.state = ProcessState::Crashed;
            self.reset_all(NodeId::Client(index));
        }
    }

    /// Every other node loses its connections with this one.
    pub(super) fn reset_all(&mut self, gone: NodeId) {
        let brokers = self.brokers.keys().map(|id| NodeId::Broker(*id));
        let clients = self.clients.keys().map(|index| NodeId::Client(*index));
        let controllers = self.controllers.keys().map(|id| NodeId::Controller(*id));
        let others: Vec<NodeId> = controllers.chain(brokers).chain(clients).filter(|node| *node != gone).collect();
        for other in others {
            self.reset(other, gone, None);
        }
    }
}

/// A request of the person at the page or the script.
pub(super) fn admins(request: Request) -> Input {
    let from = Connection { peer: NodeId::Admin, channel: Channel::Control };
    Input::Request { from, client_id: Arc::from("user"), correlation: 0, request }
}

fn answer_to_admin(out: Outputs) -> Option<Response> {
    out.sends.into_iter().find_map(|sent| match sent.body {
        Body::Response(response) if sent.to.peer == NodeId::Admin => Some(response),
        _ => None,
    })
}
