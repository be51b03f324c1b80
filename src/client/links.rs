//! A client's connections: opened before they are used, and after a loss not tried again at once.
//!
//! Owns what is known of each connection and what waits for it to open. It must not know what the waiting requests are about.
//! Source: `ClusterConnectionStates`, `NetworkClient.ready`; a connection's first request is ApiVersions (KIP-35), and until that is answered
//! no other follows.

use crate::mutant;
use crate::node::{Chance, Channel, NodeId, Outputs, Time};
use crate::ordered::OrderedMap;
use crate::protocol::wire::{Request, text};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// Times of connections, with Kafka's names.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// `reconnect.backoff.ms`
    pub backoff: Time,
    /// `reconnect.backoff.max.ms`
    pub backoff_max: Time,
    /// `socket.connection.setup.timeout.ms`
    pub setup_timeout: Time,
    /// `socket.connection.setup.timeout.max.ms`
    pub setup_timeout_max: Time,
}

impl LinkConfig {
    /// How long a connection may take to be set up after so many in a row that took too long or were refused. Kafka's chance has no part in it here.
    fn patience(&self, refused: u32) -> Time {
        self.setup_timeout.saturating_mul(1 << refused.min(16)).min(self.setup_timeout_max.max(self.setup_timeout))
    }
}

/// Waiting that doubles with each failure in a row, a fifth of it by chance either way, but never longer than the most (`ExponentialBackoff`).
pub fn exponential_backoff(first: Time, most: Time, failures: u32, chance: &Chance) -> Time {
    if most <= first {
        return most;
    }
    let grown = first.saturating_mul(1 << failures.min(16)).min(most);
    let fifth = grown / 5;
    // Peeked, not drawn: asking twice gives the same answer.
    (grown - fifth + chance.clone().below(2 * fifth + 1)).min(most)
}

/// One of a client's connections: the broker and which of the two.
pub type Line = (i32, Channel);

#[derive(Clone, Copy, Debug)]
enum Link {
    /// Lost or refused; tried again at the earliest then. `wanted`: somebody waits for it.
    /// `refused`: so many attempts in a row did not open it; `failures`: and the loss before them.
    Down { until: Time, failures: u32, refused: u32, wanted: bool },
    /// ApiVersions is asked for.
    Opening { correlation: u32, deadline: Time, failures: u32, refused: u32 },
    /// `muted`: it carries nothing until then, as the broker has asked (KIP-219); 0: it may be used.
    Open { muted: Time },
}

/// A request that waits for its connection.
#[derive(Clone, Debug)]
struct Parked {
    line: Line,
    correlation: u32,
    request: Request,
}

#[derive(Clone, Debug)]
pub struct Links {
    config: LinkConfig,
    links: OrderedMap<Line, Link>,
    parked: Vec<Parked>,
}

impl Links {
    pub fn new(config: LinkConfig) -> Links {
        Links { config, links: OrderedMap::new(), parked: Vec::new() }
    }

    pub fn is_open(&self, line: Line) -> bool {
        matches!(self.links.get(&line), Some(Link::Open { muted: 0 }))
    }

    /// Whether it is there, though it may be too early to use it.
    pub fn is_up(&self, line: Line) -> bool {
        matches!(self.links.get(&line), Some(Link::Opening { .. } | Link::Open { .. }))
    }

    /// Whether nothing keeps a request to this broker from being sent soon.
    pub fn may_open(&self, now: Time, line: Line) -> bool {
        !matches!(self.links.get(&line), Some(Link::Down { until, .. } | Link::Open { muted: until }) if now < *until)
    }

    /// Whether it can be used now. If not, it is being opened, or will be once its backoff is over.
    pub fn ready(&mut self, now: Time, line: Line, next_correlation: &mut u32, out: &mut Outputs) -> bool {
        let (failures, refused) = match self.links.get_mut(&line) {
            Some(Link::Open { muted }) => return *muted == 0,
            Some(Link::Opening { .. }) => return false,
            Some(Link::Down { until, wanted, .. }) if now < *until => {
                *wanted = true;
                return false;
            }
            Some(Link::Down { failures, refused, .. }) => (*failures, *refused),
            None => (0, 0),
        };
        *next_correlation += 1;
        let mut message = k::ApiVersionsRequest::default();
        message.client_software_name = text("brokerlab");
        message.client_software_version = text(env!("CARGO_PKG_VERSION"));
        out.request(NodeId::Broker(line.0), line.1, *next_correlation, Request::ApiVersions(Arc::new(message)));
        let deadline = now + self.config.patience(refused);
        self.links.insert(line, Link::Opening { correlation: *next_correlation, deadline, failures, refused });
        false
    }

    /// Sends a request once its connection is open.
    pub fn send(&mut self, now: Time, line: Line, correlation: u32, request: Request, next_correlation: &mut u32, out: &mut Outputs) {
        if self.ready(now, line, next_correlation, out) {
            out.request(NodeId::Broker(line.0), line.1, correlation, request);
        } else {
            self.parked.push(Parked { line, correlation, request });
        }
    }

    /// ApiVersions is answered; the broker may want to hear nothing before `muted`.
    pub fn opened(&mut self, correlation: u32, muted: Time, out: &mut Outputs) {
        let answered = |link: &Link| matches!(link, Link::Opening { correlation: asked, .. } if *asked == correlation);
        let Some(line) = self.links.iter().find(|(_, link)| answered(link)).map(|(line, _)| *line) else { return };
        if muted == 0 {
            self.release(line, out);
        } else {
            self.links.insert(line, Link::Open { muted });
        }
    }

    /// A broker wants to hear nothing more on a connection until then.
    pub fn mute(&mut self, line: Line, until: Time) {
        if let Some(Link::Open { muted }) = self.links.get_mut(&line).filter(|_| !mutant::is("quota-wait-unheeded")) {
            *muted = until.max(*muted);
        }
    }

    /// A connection can be used: what waited for it goes out.
    fn release(&mut self, line: Line, out: &mut Outputs) {
        self.links.insert(line, Link::Open { muted: 0 });
        self.parked.retain(|parked| {
            if parked.line == line {
                out.request(NodeId::Broker(line.0), line.1, parked.correlation, parked.request.clone());
            }
            parked.line != line
        });
    }

    /// The connections with a broker are gone, or the one of this channel, and so is what waited for them.
    pub fn lost(&mut self, now: Time, broker: i32, channel: Option<Channel>, chance: &Chance) {
        let gone = |line: &Line| line.0 == broker && channel.is_none_or(|channel| channel == line.1);
        self.parked.retain(|parked| !gone(&parked.line));
        for (line, link) in &mut self.links {
            let (failures, refused) = match *link {
                _ if !gone(line) => continue,
                Link::Down { .. } => continue,
                Link::Opening { failures, refused, .. } => (failures, refused + 1),
                Link::Open { .. } => (0, 0),
            };
            let wait = exponential_backoff(self.config.backoff, self.config.backoff_max, failures, chance);
            *link = Link::Down { until: now + wait, failures: failures + 1, refused, wanted: false };
        }
    }

    /// Tries again where something waits and the backoff is over. Returns the connections whose broker did not answer in time.
    pub fn look(&mut self, now: Time, next_correlation: &mut u32, out: &mut Outputs) -> Vec<Line> {
        let waited: Vec<Line> = self.parked.iter().map(|parked| parked.line).collect();
        for line in waited {
            self.ready(now, line, next_correlation, out);
        }
        let is_heard = |link: &Link| matches!(link, Link::Open { muted } if *muted != 0 && *muted <= now);
        let heard: Vec<Line> = self.links.iter().filter(|(_, link)| is_heard(link)).map(|(line, _)| *line).collect();
        for line in heard {
            self.release(line, out);
        }
        for link in self.links.values_mut() {
            // Whoever still wants it says so again.
            if let Link::Down { until, wanted, .. } = link
                && *until <= now
            {
                *wanted = false;
            }
        }
        let late = |link: &Link| matches!(link, Link::Opening { deadline, .. } if *deadline <= now);
        self.links.iter().filter(|(_, link)| late(link)).map(|(line, _)| *line).collect()
    }

    /// A request's time is over: it is not sent any more.
    pub fn forget(&mut self, correlation: u32) {
        self.parked.retain(|parked| parked.correlation != correlation);
    }

    /// The earliest time at which something is due here, after now.
    pub fn next_due(&self) -> Option<Time> {
        let due = |(_, link): (&Line, &Link)| match *link {
            Link::Down { until, wanted: true, .. } => Some(until),
            Link::Opening { deadline, .. } => Some(deadline),
            Link::Open { muted } if muted != 0 => Some(muted),
            _ => None,
        };
        self.links.iter().filter_map(due).min()
    }

    /// When the first of the connections that are down and wait may be tried again.
    pub fn next_try(&self, now: Time) -> Option<Time> {
        let until = |link: &Link| if let Link::Down { until, .. } | Link::Open { muted: until } = *link { Some(until) } else { None };
        self.links.values().filter_map(until).filter(|until| now < *until).min()
    }
}
