//! The links between nodes: how long a message takes, whether it arrives, and in which order.
//!
//! Owns what `setLink` and `dropNext` say, and the order of each connection. It must not know what a message means, except whose request or
//! response it is. In Kafka this is TCP: what is lost here is never sent again by the connection itself, so it is the sender's request
//! timeout that notices (`NetworkClient.handleTimedOutRequests`).

use super::faults::MessageFault;
use crate::cost;
use crate::node::{Body, Chance, Connection, NodeId, Time};
use crate::ordered::OrderedMap;
use crate::protocol::wire::Api;
use std::sync::Arc;

/// Rules for links, at the most.
pub const LINKS_MAX: usize = 1_000;
/// Messages to drop that have not come yet, at the most.
pub const DROPS_MAX: usize = 1_000;

/// Which nodes a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Any,
    Node(NodeId),
    /// Clients are known by their names: one that is added again under its name is meant, too.
    Client(Arc<str>),
}

impl End {
    fn matches(&self, node: NodeId, names: &[Arc<str>]) -> bool {
        match self {
            End::Any => true,
            End::Node(own) => *own == node,
            End::Client(name) => matches!(node, NodeId::Client(index) if names.get(index as usize).is_some_and(|known| known == name)),
        }
    }

    /// Whether every node of `other` is one of these.
    fn covers(&self, other: &End) -> bool {
        *self == End::Any || self == other
    }
}

/// One direction between nodes, as the last `setLink` for it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    pub from: End,
    pub to: End,
    /// How long a message takes; absent: as long as anywhere.
    pub latency: Option<Time>,
    /// Absent: without a limit.
    pub bytes_per_second: Option<u64>,
    /// Nothing arrives.
    pub cut: bool,
    pub odds: Odds,
}

/// Certainty, as [`Odds`] count it.
pub const CERTAIN: u64 = 1_000_000;

/// How many of a million messages of a link fare badly. They come to a million together at the most.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Odds {
    pub drop: u64,
    pub duplicate: u64,
    pub delay: u64,
    /// How much later a delayed message arrives, or a doubled one a second time.
    pub late: Time,
}

/// The next message of this kind is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DropNext {
    pub api: Api,
    /// The broker that the request goes to; of a request to the controller, the broker that it comes from. Absent: any.
    pub broker: Option<i32>,
    pub response: bool,
}

/// What becomes of a message that is sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Arrives(Time),
    /// At this time it would arrive, and something happens to it before.
    Mishap(Time, MessageFault),
    Cut,
    Dropped,
}

/// Everything between the nodes.
#[derive(Clone, Debug)]
pub struct Network {
    /// The newest one that matches holds.
    links: Vec<Link>,
    drops: Vec<DropNext>,
    /// When the last message of a connection arrives: the next one is never earlier.
    arrivals: OrderedMap<(NodeId, Connection), Time>,
    /// Until when a link of limited bandwidth is still sending what was given to it before.
    sending: OrderedMap<(NodeId, NodeId), Time>,
    /// The sockets' buffers of each broker, for what it receives and what it sends.
    buffers: OrderedMap<i32, (u64, u64)>,
    /// A message that is not larger fits into any of them.
    buffer_min: u64,
    /// Decides what happens by chance to the messages of a link that is said to be bad.
    luck: Chance,
}

impl Network {
    pub fn new(luck: Chance) -> Network {
        Network {
            links: Vec::new(),
            drops: Vec::new(),
            arrivals: OrderedMap::new(),
            sending: OrderedMap::new(),
            buffers: OrderedMap::new(),
            buffer_min: 0,
            luck,
        }
    }

    /// What a broker's `socket.receive.buffer.bytes` and `socket.send.buffer.bytes` are.
    pub fn set_buffers(&mut self, broker: i32, receive: u64, send: u64) {
        self.buffers.insert(broker, (receive, send));
        self.buffer_min = self.buffers.values().map(|(receive, send)| *receive.min(send)).min().unwrap_or(u64::MAX);
    }

    /// The broker's buffer that a message goes through: its server's, whichever way it goes.
    fn buffer(&self, from: NodeId, to: NodeId, body: &Body) -> u64 {
        let (server, response) = match body {
            Body::Request(_) => (to, false),
            Body::Response(_) => (from, true),
        };
        let NodeId::Broker(broker) = server else { return u64::MAX };
        self.buffers.get(&broker).map_or(u64::MAX, |(receive, send)| if response { *send } else { *receive })
    }

    pub fn links(&self) -> &[Link] {
        &self.links
    }

    pub fn drops(&self) -> &[DropNext] {
        &self.drops
    }

    /// Takes a rule in place of all that it covers. One that changes nothing only takes those away.
    pub fn set(&mut self, link: Link) {
        self.links.retain(|known| !(link.from.covers(&known.from) && link.to.covers(&known.to)));
        let plain = link.latency.is_none() && link.bytes_per_second.is_none() && !link.cut && link.odds == Odds::default();
        if !plain || !self.links.is_empty() {
            self.links.push(link);
        }
    }

    pub fn drop_next(&mut self, drop: DropNext) {
        self.drops.push(drop);
    }

    fn link(&self, from: NodeId, to: NodeId, names: &[Arc<str>]) -> Option<&Link> {
        self.links.iter().rev().find(|link| link.from.matches(from, names) && link.to.matches(to, names))
    }

    pub fn is_cut(&self, from: NodeId, to: NodeId, names: &[Arc<str>]) -> bool {
        self.link(from, to, names).is_some_and(|link| link.cut)
    }

    /// Sends a message; `names` are the clients', by index.
    pub fn send(&mut self, now: Time, from: NodeId, to: Connection, body: &Body, names: &[Arc<str>], chance: &mut Chance) -> Fate {
        if !self.drops.is_empty()
            && let Some(place) = self.drops.iter().position(|drop| drop.matches(from, to.peer, body))
        {
            self.drops.remove(place);
            return Fate::Dropped;
        }
        let bytes = body.bytes();
        let buffer = if self.buffer_min < bytes { self.buffer(from, to.peer, body) } else { u64::MAX };
        let arrives = self.arrival(now, from, to, names, chance, bytes, buffer);
        if self.links.is_empty() {
            return Fate::Arrives(arrives);
        }
        match self.link(from, to.peer, names).map(|link| (link.cut, link.odds)) {
            Some((true, _)) => Fate::Cut,
            Some((false, odds)) if odds != Odds::default() => {
                self.mishap(odds).map_or(Fate::Arrives(arrives), |fault| Fate::Mishap(arrives, fault))
            }
            _ => Fate::Arrives(arrives),
        }
    }

    fn mishap(&mut self, odds: Odds) -> Option<MessageFault> {
        let drawn = self.luck.below(CERTAIN);
        if drawn < odds.drop {
            Some(MessageFault::Drop)
        } else if drawn < odds.drop + odds.duplicate {
            Some(MessageFault::Duplicate(odds.late))
        } else if drawn < odds.drop + odds.duplicate + odds.delay {
            Some(MessageFault::Delay(odds.late))
        } else {
            None
        }
    }

    /// When something sent now arrives: not earlier than whatever was sent before it on the same connection.
    pub fn arrival(
        &mut self,
        now: Time,
        from: NodeId,
        to: Connection,
        names: &[Arc<str>],
        chance: &mut Chance,
        bytes: u64,
        buffer: u64,
    ) -> Time {
        // Drawn also where a rule needs no chance: a link that is set shifts nobody else's draws.
        let mut latency = cost::LATENCY_MIN + chance.below(cost::LATENCY_SPREAD);
        let mut leaves = now;
        if !self.links.is_empty()
            && let Some((own, limit)) = self.link(from, to.peer, names).map(|link| (link.latency, link.bytes_per_second))
        {
            latency = own.unwrap_or(latency);
            if let Some(limit) = limit {
                let sending = self.sending.or_default((from, to.peer));
                leaves = now.max(*sending) + cost::transmission(bytes, limit);
                *sending = leaves;
            }
        }
        if buffer < bytes {
            leaves += cost::windows(bytes, buffer, 2 * latency);
        }
        let last = self.arrivals.or_default((from, to));
        *last = (leaves + latency).max(*last);
        *last
    }
}

impl DropNext {
    fn matches(&self, from: NodeId, to: NodeId, body: &Body) -> bool {
        let (api, response) = match body {
            Body::Request(request) => (request.api(), false),
            Body::Response(response) => (response.api(), true),
        };
        let (server, asker) = if response { (from, to) } else { (to, from) };
        let broker = match (server, asker) {
            (NodeId::Broker(broker), _) => broker,
            // Brokers follow the metadata log with Fetch as well; who says "Fetch" means records.
            (_, NodeId::Broker(broker)) if api != Api::Fetch => broker,
            (NodeId::Controller(_), NodeId::Controller(_)) if api != Api::Fetch => {
                return self.api == api && self.response == response && self.broker.is_none();
            }
            _ => return false,
        };
        self.api == api && self.response == response && self.broker.is_none_or(|wanted| wanted == broker)
    }
}
