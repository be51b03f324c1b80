//! What every client needs to speak with a cluster: metadata, requests under way, and waiting before trying again.
//!
//! Source: `NetworkClient`, `Metadata`, `ExponentialBackoff`; KIP-580.

use crate::node::{Chance, Channel, MS, NodeId, Outputs, Time, TopicName};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, Request};
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// `metadata.max.age.ms`: metadata older than this is asked for again even if nothing went wrong.
const METADATA_MAX_AGE: Time = 300_000 * MS;

/// Times that producer and consumer share, with Kafka's names.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// `request.timeout.ms`
    pub request_timeout: Time,
    /// `retry.backoff.ms`
    pub retry_backoff: Time,
    /// `retry.backoff.max.ms`
    pub retry_backoff_max: Time,
    /// `allow.auto.create.topics`; a producer always asks for it.
    pub allow_auto_create: bool,
}

/// A topic as this client last heard of it.
#[derive(Clone, PartialEq, Debug)]
pub struct TopicInfo {
    pub id: Uuid,
    pub partitions: Vec<PartitionInfo>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionInfo {
    pub leader: Option<i32>,
    pub leader_epoch: i32,
}

/// A request under way. `T` is what the client wants to remember until it is answered.
#[derive(Clone, Debug)]
pub struct Pending<T> {
    pub to: i32,
    channel: Channel,
    deadline: Time,
    pub what: T,
}

/// One client's side of the network.
#[derive(Clone, Debug)]
pub struct Network<T> {
    pub config: NetworkConfig,
    pub client_id: Arc<str>,
    pub topics: OrderedMap<TopicName, TopicInfo>,
    wanted: OrderedSet<TopicName>,
    brokers: Vec<i32>,
    pending: OrderedMap<u32, Pending<T>>,
    next_correlation: u32,
    metadata: Metadata,
    chance: Chance,
}

/// Where asking for metadata stands.
#[derive(Clone, Debug)]
struct Metadata {
    under_way: Option<(u32, i32, Time)>,
    /// When to ask again.
    due: Option<Time>,
    /// Answers in a row that did not say all that was wanted.
    failures: u32,
}

impl<T> Network<T> {
    pub fn new(client_id: Arc<str>, bootstrap: Vec<i32>, config: NetworkConfig, chance: Chance) -> Network<T> {
        Network {
            config,
            client_id,
            topics: OrderedMap::new(),
            wanted: OrderedSet::new(),
            brokers: bootstrap,
            pending: OrderedMap::new(),
            next_correlation: 0,
            metadata: Metadata { under_way: None, due: None, failures: 0 },
            chance,
        }
    }

    pub fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// Adds a topic to what this client asks about.
    pub fn want(&mut self, now: Time, topic: &TopicName) {
        if self.wanted.insert(topic.clone()) {
            self.metadata.due = Some(now);
        }
    }

    /// Something showed that the metadata is old.
    pub fn refresh(&mut self, now: Time) {
        let due = now + self.backoff(self.metadata.failures);
        if self.metadata.due.is_none_or(|set| due < set) {
            self.metadata.due = Some(due);
        }
    }

    pub fn leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let info = self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)?;
        Some((info.leader?, info.leader_epoch))
    }

    pub fn send(
        &mut self,
        now: Time,
        to: i32,
        channel: Channel,
        what: T,
        request: Request,
        timeout: Option<Time>,
        out: &mut Outputs,
    ) -> u32 {
        self.next_correlation += 1;
        let deadline = now + timeout.unwrap_or(self.config.request_timeout);
        self.pending.insert(self.next_correlation, Pending { to, channel, deadline, what });
        out.request(NodeId::Broker(to), channel, self.next_correlation, request);
        self.next_correlation
    }

    /// Sends what nobody will answer (acks=0).
    pub fn send_and_forget(&mut self, to: i32, request: Request, out: &mut Outputs) {
        self.next_correlation += 1;
        out.request(NodeId::Broker(to), Channel::Data, self.next_correlation, request);
    }

    /// What an answer belongs to; `None` if it was given up before.
    pub fn answered(&mut self, correlation: u32) -> Option<Pending<T>> {
        self.pending.remove(&correlation)
    }

    /// How many requests are under way to a broker.
    pub fn in_flight(&self, to: i32) -> usize {
        self.pending.values().filter(|pending| pending.to == to).count()
    }

    pub fn pending(&self) -> impl Iterator<Item = &Pending<T>> {
        self.pending.values()
    }

    /// The connections to a broker are gone, or the one of this channel; what was under way on them.
    pub fn disconnected(&mut self, now: Time, broker: i32, channel: Option<Channel>) -> Vec<Pending<T>> {
        let gone = |own: Channel| channel.is_none_or(|channel| channel == own);
        if gone(Channel::Data) && self.metadata.under_way.is_some_and(|(_, to, _)| to == broker) {
            self.metadata_failed(now);
        }
        self.refresh(now);
        self.take_pending(|pending| pending.to == broker && gone(pending.channel))
    }

    /// What is lost because something has waited longer than its timeout: its connection is closed, as the Java client does, and so the
    /// other requests on it get no answer either. Each with why.
    pub fn timed_out(&mut self, now: Time, out: &mut Outputs) -> Vec<(Pending<T>, ErrorCode)> {
        let overdue = |deadline: Time| deadline <= now;
        let asked = self.metadata.under_way.filter(|(.., deadline)| overdue(*deadline)).map(|(_, to, _)| (to, Channel::Data));
        let first = self.pending.values().find(|pending| overdue(pending.deadline)).map(|pending| (pending.to, pending.channel));
        let mut lost = Vec::new();
        let mut next = asked.or(first);
        while let Some((broker, channel)) = next {
            out.close(NodeId::Broker(broker), channel);
            let why = |pending: Pending<T>| {
                let error = if overdue(pending.deadline) { ErrorCode::RequestTimedOut } else { ErrorCode::NetworkException };
                (pending, error)
            };
            lost.extend(self.disconnected(now, broker, Some(channel)).into_iter().map(why));
            next = self.pending.values().find(|pending| overdue(pending.deadline)).map(|pending| (pending.to, pending.channel));
        }
        lost
    }

    fn take_pending(&mut self, lost: impl Fn(&Pending<T>) -> bool) -> Vec<Pending<T>> {
        let lost: Vec<u32> = self.pending.iter().filter(|(_, pending)| lost(pending)).map(|(correlation, _)| *correlation).collect();
        lost.iter().filter_map(|correlation| self.pending.remove(correlation)).collect()
    }

    fn metadata_failed(&mut self, now: Time) {
        self.metadata.under_way = None;
        self.metadata.failures += 1;
        self.metadata.due = Some(now + self.backoff(self.metadata.failures));
    }

    /// Waiting grows from `retry.backoff.ms` to `retry.backoff.max.ms`, a fifth of it by chance either way.
    pub fn backoff(&self, failures: u32) -> Time {
        let grown = self.config.retry_backoff.saturating_mul(1 << failures.min(16)).min(self.config.retry_backoff_max);
        let fifth = grown / 5;
        // Peeked, not drawn: asking twice gives the same answer.
        grown - fifth + self.chance.clone().below(2 * fifth + 1)
    }

    /// Asks for metadata if that is due.
    pub fn ask_for_metadata(&mut self, now: Time, out: &mut Outputs) {
        if self.metadata.under_way.is_some() || self.metadata.due.is_none_or(|due| now < due) {
            return;
        }
        let Some(broker) = self.some_broker() else { return };
        let mut message = k::MetadataRequest::default();
        message.allow_auto_topic_creation = self.config.allow_auto_create;
        let topic = |name: &TopicName| k::metadata_request::MetadataRequestTopic::default().with_name(Some(wire::topic(name)));
        message.topics = Some(self.wanted.iter().map(topic).collect());
        self.next_correlation += 1;
        self.metadata.under_way = Some((self.next_correlation, broker, now + self.config.request_timeout));
        self.metadata.due = None;
        out.request(NodeId::Broker(broker), Channel::Data, self.next_correlation, Request::Metadata(Arc::new(message)));
    }

    /// Any broker will do: one by chance, as Kafka's clients pick the least loaded of a random start.
    pub fn some_broker(&mut self) -> Option<i32> {
        if self.brokers.is_empty() {
            return None;
        }
        let chosen = self.chance.below(self.brokers.len() as u64) as usize;
        Some(self.brokers[chosen])
    }

    /// Takes a Metadata response in. Returns whether it was the one asked for.
    pub fn learn(&mut self, now: Time, correlation: u32, message: &k::MetadataResponse) -> bool {
        if self.metadata.under_way.is_none_or(|(expected, ..)| expected != correlation) {
            return false;
        }
        self.metadata.under_way = None;
        if !message.brokers.is_empty() {
            self.brokers = message.brokers.iter().map(|broker| broker.node_id.0).collect();
        }
        let mut complete = true;
        for topic in &message.topics {
            let name: TopicName = Arc::from(topic.name.as_ref().map_or("", |name| name.as_str()));
            if topic.error_code != 0 {
                complete = false;
                if topic.error_code == ErrorCode::UnknownTopicOrPartition.code() {
                    self.topics.remove(&name);
                }
                continue;
            }
            let partition = |partition: &k::metadata_response::MetadataResponsePartition| PartitionInfo {
                leader: (0 <= partition.leader_id.0).then_some(partition.leader_id.0),
                leader_epoch: partition.leader_epoch,
            };
            let mut info = TopicInfo { id: topic.topic_id, partitions: topic.partitions.iter().map(partition).collect() };
            complete &= info.partitions.iter().all(|partition| partition.leader.is_some());
            if let Some(known) = self.topics.get(&name).filter(|known| known.id == info.id) {
                // A broker that lags behind may tell an older epoch than is known already (KIP-320).
                for (new, old) in info.partitions.iter_mut().zip(&known.partitions) {
                    if new.leader_epoch < old.leader_epoch {
                        *new = *old;
                    }
                }
            }
            self.topics.insert(name, info);
        }
        self.metadata.failures = if complete { 0 } else { self.metadata.failures + 1 };
        let again = now + if complete { METADATA_MAX_AGE } else { self.backoff(self.metadata.failures) };
        self.metadata.due = Some(self.metadata.due.map_or(again, |due| due.min(again)));
        true
    }

    /// Whether an answer about topics is on its way.
    pub fn is_learning(&self) -> bool {
        self.metadata.under_way.is_some()
    }

    /// The earliest time at which something is due here.
    pub fn next_due(&self) -> Option<Time> {
        let ask = if self.is_learning() { None } else { self.metadata.due };
        self.next_timeout().into_iter().chain(ask).min()
    }

    /// When the first of the requests under way has waited too long.
    pub fn next_timeout(&self) -> Option<Time> {
        let metadata = self.metadata.under_way.map(|(_, _, deadline)| deadline);
        self.pending.values().map(|pending| pending.deadline).chain(metadata).min()
    }
}

/// The one alarm of a client: set again only when something is due earlier than it.
#[derive(Clone, Default, Debug)]
pub struct Alarm {
    round: u32,
    at: Option<Time>,
}

impl Alarm {
    pub fn set(&mut self, now: Time, due: Option<Time>, out: &mut Outputs) {
        let Some(due) = due else { return };
        // What is due now should have been done now: an alarm in the past would ring for ever.
        debug_assert!(now < due, "{due} was left undone at {now}");
        let due = due.max(now + 1);
        if self.at.is_none_or(|at| due < at) {
            self.round += 1;
            self.at = Some(due);
            out.timer(due, crate::node::Timer::Wake { round: self.round });
        }
    }

    /// Whether this is the alarm that was set last.
    pub fn rings(&mut self, round: u32) -> bool {
        let rings = round == self.round;
        if rings {
            self.at = None;
        }
        rings
    }
}
