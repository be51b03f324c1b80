//! Client quotas: who has taken too much is told so, and is not heard before it has waited.
//!
//! K1: who is told to wait sends nothing more on that connection until the time is over, and is answered nothing there before (KIP-219).
//! K2: who does not have to wait longer has taken no more than its limit lets through in the samples that count.
//! K3: nobody waits to whom no quota applies, and for keeping threads busy not longer than a sample lasts.
//!
//! Owns what went over the connections of clients since there are quotas; limits are those that the broker knows, and which of them is for whom is
//! reckoned here. A broker whose queue of requests may be full is passed over: it sends an answer later than it charges for it.

use super::Verdict;
use crate::broker::Broker;
use crate::node::{Body, Channel, MS, NodeId, Note, NoteKind, Time};
use crate::ordered::OrderedMap;
use crate::protocol::client_quotas::{ClientQuotas, Payer, Quota, Whose};
use crate::protocol::wire::{Api, Request, Response};
use crate::sim::{Application, World};
use std::collections::VecDeque;
use std::sync::Arc;

/// No session here has so many requests at once.
const QUEUE_NEVER_FULL: usize = 100;

#[derive(Clone, Debug, Default)]
pub(super) struct QuotasCheck {
    /// There was one once.
    is_used: bool,
    lines: OrderedMap<(i32, NodeId, Channel), Line>,
    /// When each payer was charged, and for how much.
    taken: OrderedMap<(i32, Quota, Payer), VecDeque<(Time, u64)>>,
    /// What each broker knew when it last answered a client.
    known: OrderedMap<i32, ClientQuotas>,
}

/// A connection of a client with a broker.
#[derive(Clone, Debug, Default)]
struct Line {
    /// Requests that are not answered, and their bytes.
    asked: OrderedMap<u32, u64>,
    /// Until when the broker does not hear it.
    muted: Time,
    /// The message that says so to the client.
    told: Option<u64>,
}

impl QuotasCheck {
    pub fn note(&mut self, world: &World, note: &Note) -> Verdict {
        if !self.is_used {
            self.is_used = matches!(note.kind, NoteKind::ClientQuotasAltered { .. });
            return Ok(());
        }
        match (&note.kind, note.node) {
            (NoteKind::RequestSent { message, to: NodeId::Broker(broker), summary }, client @ NodeId::Client(_)) => {
                self.asked(world, note.time, client, *broker, *message, summary.api)
            }
            (NoteKind::ResponseSent { message, to: client @ NodeId::Client(_), .. }, NodeId::Broker(broker)) => {
                self.answered(world, note.time, *client, broker, *message)
            }
            (NoteKind::MessageLost { message, .. } | NoteKind::MessageDropped { message, .. }, _) => {
                self.lines.values_mut().filter(|line| line.told == Some(*message)).for_each(|line| line.told = None);
                Ok(())
            }
            (NoteKind::ClientThrottled { client, ms }, NodeId::Broker(broker)) => self.throttled(world, broker, client, *ms),
            (NoteKind::BrokerCrashed | NoteKind::PowerLost | NoteKind::BrokerStopped | NoteKind::BrokerRemoved, NodeId::Broker(broker)) => {
                self.lines.retain(|(of, ..), _| *of != broker);
                self.taken.retain(|(of, ..), _| *of != broker);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn asked(&mut self, world: &World, now: Time, client: NodeId, broker: i32, message: u64, api: Api) -> Verdict {
        let Some((to, correlation, Body::Request(request))) = world.message(message) else { return Ok(()) };
        let line = self.lines.or_default((broker, client, to.channel));
        if api == Api::ApiVersions {
            // A connection of its own, which nobody has asked to be silent.
            *line = Line::default();
        }
        let has_heard = line.told.is_some_and(|told| world.message(told).is_none());
        if has_heard && now < line.muted {
            let (name, api) = (world.name(client), api.name());
            return Err(("K1", format!("{name} sent broker {broker} a request ({api}) before it had waited as long as it was told to")));
        }
        if !matches!(request, Request::Produce(message, _) if message.acks == 0) {
            line.asked.insert(correlation, request.bytes());
        }
        Ok(())
    }

    fn answered(&mut self, world: &World, now: Time, client: NodeId, broker: i32, message: u64) -> Verdict {
        let Some((to, correlation, Body::Response(response))) = world.message(message) else { return Ok(()) };
        let Some(line) = self.lines.get_mut(&(broker, client, to.channel)) else { return Ok(()) };
        // One of a connection that was closed meanwhile says nothing, and is not charged for.
        let Some(bytes) = line.asked.remove(&correlation).filter(|_| is_connected(world, client, broker, to.channel)) else {
            return Ok(());
        };
        let Some((server, _)) = world.broker(broker).filter(|(server, _)| QUEUE_NEVER_FULL <= server.config().costs.queued_max) else {
            return Ok(());
        };
        if now < line.muted {
            let name = world.name(client);
            return Err(("K1", format!("broker {broker} answered {name} although it had told it to wait, and the time was not over")));
        }
        let ms = response.throttle_time_ms().max(0) as u64;
        if 0 < ms {
            (line.muted, line.told) = (now.saturating_add(ms * MS), Some(message));
        }
        let (quota, amount) = match response {
            Response::Produce(_) => (Quota::ProducerByteRate, bytes),
            // Who has to wait for a fetch gets nothing, and is charged for nothing.
            Response::Fetch(..) if ms == 0 => (Quota::ConsumerByteRate, response.bytes()),
            _ => return Ok(()),
        };
        self.charged(world, now, server, &Arc::from(world.name(client)), quota, amount, ms)
    }

    fn charged(&mut self, world: &World, now: Time, server: &Broker, client: &Arc<str>, quota: Quota, amount: u64, ms: u64) -> Verdict {
        let (id, quotas) = (server.id(), &server.image().client_quotas);
        if self.known.get(&id) != Some(quotas) {
            // It may have heard of them in this event, before or after it charged the client.
            self.known.insert(id, quotas.clone());
            return Ok(());
        }
        let Some((payer, limit)) = applying(quotas, client, quota) else { return Ok(()) };
        let window = server.config().client_quota_window;
        // Whatever is younger than all samples but one counts still.
        let counts = window.lasts * window.samples.saturating_sub(1) as u64;
        let taken = self.taken.or_default((id, quota, payer));
        while taken.front().is_some_and(|(at, _)| at + counts <= now) {
            taken.pop_front();
        }
        taken.push_back((now, amount));
        let sum: u64 = taken.iter().map(|(_, amount)| amount).sum();
        let lets_through = (window.lasts * window.samples as u64 / MS + ms + 1) as f64 * limit / 1_000.0;
        if sum as f64 <= lets_through {
            return Ok(());
        }
        let name = world.name(NodeId::Broker(id));
        let told = format!(
            "{client} has taken {sum} bytes of {name} within {} s, may have {limit} a second ({}), and waits {ms} ms",
            counts / (1_000 * MS),
            quota.name()
        );
        Err(("K2", told))
    }

    fn throttled(&self, world: &World, broker: i32, client: &Arc<str>, ms: u64) -> Verdict {
        let Some((server, _)) = world.broker(broker) else { return Ok(()) };
        let has = |quota| {
            [Some(&server.image().client_quotas), self.known.get(&broker)]
                .into_iter()
                .flatten()
                .any(|quotas| applying(quotas, client, quota).is_some())
        };
        let has_bytes = has(Quota::ProducerByteRate) || has(Quota::ConsumerByteRate);
        if has_bytes || has(Quota::RequestPercentage) && ms <= server.config().client_quota_window.lasts / MS {
            return Ok(());
        }
        Err(("K3", format!("broker {broker} lets {client} wait for {ms} ms, and no quota that applies to it says so")))
    }
}

/// Whether a client has not closed its connection with a broker.
fn is_connected(world: &World, client: NodeId, broker: i32, channel: Channel) -> bool {
    world.client_at(client).is_some_and(|client| match &client.application {
        Application::Producer { producer, .. } => producer.is_connected(broker, channel),
        Application::Consumer { consumer, .. } => consumer.is_connected(broker, channel),
    })
}

/// The limit of a client, and who shares it: of all entities that it is one of the most special one, and users before client ids.
fn applying(quotas: &ClientQuotas, client: &Arc<str>, quota: Quota) -> Option<(Payer, f64)> {
    let rank = |part: &Option<Whose>, name: &str| match part {
        None => Some(0),
        Some(Whose::Default) => Some(1),
        Some(Whose::Named(own)) => (**own == *name).then_some(2),
    };
    let ranked = quotas.iter().filter_map(|(entity, limits)| {
        let rank = (rank(&entity.user, "ANONYMOUS")?, rank(&entity.client_id, client)?);
        Some((rank, *limits.get(quota.name())?))
    });
    let ((user, of_client), limit) = ranked.max_by_key(|(rank, _)| *rank)?;
    Some((Payer { by_user: 0 < user, client_id: (0 < of_client).then(|| client.clone()) }, limit))
}
