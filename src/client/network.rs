//! What every client needs to speak with a cluster: metadata, requests under way, and waiting before trying again.
//!
//! Source: `NetworkClient`, `Metadata`, `ExponentialBackoff`; KIP-580.

use super::links::{Line, LinkConfig, Links, exponential_backoff};
use crate::node::{Chance, Channel, Connection, MS, NodeId, Outputs, Partition, Time, TopicName};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, Request, Response};
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// Times that producer and consumer share, with Kafka's names.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// `request.timeout.ms`
    pub request_timeout: Time,
    /// `metadata.max.age.ms`: metadata older than this is asked for again even if nothing went wrong.
    pub metadata_max_age: Time,
    /// `metadata.recovery.rebootstrap.trigger.ms`: whoever hears no metadata for so long asks those again that it began with.
    /// `None`: it never does, not even when none of the known ones is there (`metadata.recovery.strategy=none`).
    pub rebootstrap_trigger: Option<Time>,
    /// `retry.backoff.ms`
    pub retry_backoff: Time,
    /// `retry.backoff.max.ms`
    pub retry_backoff_max: Time,
    pub links: LinkConfig,
    /// `allow.auto.create.topics`; a producer always asks for it.
    pub allow_auto_create: bool,
}

/// A topic as this client last heard of it.
#[derive(Clone, PartialEq, Debug)]
pub struct TopicInfo {
    pub id: Uuid,
    pub partitions: Vec<PartitionInfo>,
    /// The brokers of each partition's replicas.
    pub replicas: Vec<Vec<i32>>,
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
    asks: Asks,
    /// Whom it began with (`bootstrap.servers`).
    bootstrap: Vec<i32>,
    brokers: Vec<i32>,
    /// Of those that have one.
    racks: OrderedMap<i32, String>,
    links: Links,
    pending: OrderedMap<u32, Pending<T>>,
    next_correlation: u32,
    metadata: Metadata,
    chance: Chance,
}

/// Which topics a client asks about.
#[derive(Clone, PartialEq, Debug)]
enum Asks {
    /// Those that it wants, by name.
    Names,
    All,
    /// The broker says what it reads: it knows ids, and hears of names.
    Ids(Vec<Uuid>),
}

/// Where asking for metadata stands.
#[derive(Clone, Default, Debug)]
struct Metadata {
    under_way: Option<(u32, i32, Time)>,
    /// When to ask again.
    due: Option<Time>,
    /// Since when it has asked and heard nothing.
    in_vain_since: Option<Time>,
    /// When the last request was answered or came to nothing, or there was nobody to ask.
    refreshed: Option<Time>,
    /// When the last answer is too old.
    expires: Time,
    /// Requests in a row that came to nothing.
    failures: u32,
    /// Answers in a row that told of no newer leader.
    equivalents: u32,
}

impl<T> Network<T> {
    pub fn new(client_id: Arc<str>, bootstrap: Vec<i32>, config: NetworkConfig, chance: Chance) -> Network<T> {
        Network {
            links: Links::new(config.links),
            config,
            client_id,
            topics: OrderedMap::new(),
            wanted: OrderedSet::new(),
            asks: Asks::Names,
            brokers: bootstrap.clone(),
            racks: OrderedMap::new(),
            bootstrap,
            pending: OrderedMap::new(),
            next_correlation: 0,
            metadata: Metadata::default(),
            chance,
        }
    }

    pub fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// Adds a topic to what this client asks about.
    pub fn want(&mut self, now: Time, topic: &TopicName) {
        if !self.wanted.contains(topic) {
            self.wanted.insert(topic.clone());
            self.ask_at_once(now);
        }
    }

    /// Asks about all topics from now on, and does so at once.
    pub fn want_all(&mut self, now: Time) {
        self.asks = Asks::All;
        self.ask_at_once(now);
    }

    /// Asks about these topics from now on, at once if there are others among them than before.
    pub fn want_ids(&mut self, now: Time, ids: Vec<Uuid>) {
        let asks = Asks::Ids(ids);
        if self.asks != asks {
            self.asks = asks;
            self.ask_at_once(now);
        }
    }

    fn ask_at_once(&mut self, now: Time) {
        (self.metadata.due, self.metadata.equivalents) = (Some(now), 0);
    }

    /// Something showed that the metadata is old. What is under way already will do.
    pub fn refresh(&mut self, now: Time) {
        if self.metadata.under_way.is_none() {
            let due = self.may_refresh_at().max(now + 1);
            self.metadata.due = Some(self.metadata.due.map_or(due, |set| due.min(set)));
        }
    }

    /// Waiting counts from the last request, however long ago that was (`Metadata.timeToAllowUpdate`).
    fn may_refresh_at(&self) -> Time {
        let in_a_row = self.metadata.failures.max(self.metadata.equivalents);
        self.metadata.refreshed.map_or(0, |at| at + self.backoff(in_a_row.saturating_sub(1)))
    }

    pub fn leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let info = self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)?;
        Some((info.leader?, info.leader_epoch))
    }

    /// An answer says who leads instead of whoever was asked (KIP-951). Returns whether that is news (`Metadata.updatePartitionLeadership`).
    pub fn hear_leader(&mut self, partition: &Partition, leader: i32, leader_epoch: i32) -> bool {
        let topic = self.topics.get_mut(&partition.topic);
        let known = topic.and_then(|topic| topic.partitions.get_mut(usize::try_from(partition.index).ok()?));
        let Some(known) = known.filter(|known| 0 <= leader && known.leader_epoch < leader_epoch) else { return false };
        *known = PartitionInfo { leader: Some(leader), leader_epoch };
        true
    }

    /// Whether this broker is up, by the newest metadata.
    pub fn knows(&self, broker: i32) -> bool {
        self.brokers.contains(&broker)
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
        let (deadline, correlation) = (now + timeout.unwrap_or(self.config.request_timeout), self.next_correlation);
        self.pending.insert(correlation, Pending { to, channel, deadline, what });
        self.links.send(now, (to, channel), correlation, request, &mut self.next_correlation, out);
        correlation
    }

    /// Sends what nobody will answer (acks=0).
    pub fn send_and_forget(&mut self, now: Time, to: i32, request: Request, out: &mut Outputs) {
        self.next_correlation += 1;
        self.links.send(now, (to, Channel::Data), self.next_correlation, request, &mut self.next_correlation, out);
    }

    /// Whether it has a connection with a broker.
    pub fn is_connected(&self, broker: i32, channel: Channel) -> bool {
        self.links.is_up((broker, channel))
    }

    /// Whether a broker's data connection is open.
    pub fn is_open(&self, to: i32) -> bool {
        self.links.is_open((to, Channel::Data))
    }

    /// Whether a broker's data connection can be used now; if not, it is being opened.
    pub fn ready(&mut self, now: Time, to: i32, out: &mut Outputs) -> bool {
        self.links.ready(now, (to, Channel::Data), &mut self.next_correlation, out)
    }

    /// An answer has come: a connection is open once its broker has said which versions it speaks, and carries nothing while the broker wants to be left
    /// in peace.
    pub fn hear(&mut self, now: Time, from: Connection, correlation: u32, response: &Response, out: &mut Outputs) {
        let until = match Time::try_from(response.throttle_time_ms()) {
            Err(_) | Ok(0) => 0,
            Ok(ms) => now.saturating_add(ms * MS),
        };
        match (response, from.peer) {
            (Response::ApiVersions(_), _) => self.links.opened(correlation, until, out),
            (_, NodeId::Broker(broker)) if until != 0 => self.links.mute((broker, from.channel), until),
            _ => {}
        }
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

    pub fn pending_mut(&mut self) -> impl Iterator<Item = &mut Pending<T>> {
        self.pending.values_mut()
    }

    /// The connections to a broker are gone, or the one of this channel; what was under way on them.
    pub fn disconnected(&mut self, now: Time, broker: i32, channel: Option<Channel>) -> Vec<Pending<T>> {
        let gone = |own: Channel| channel.is_none_or(|channel| channel == own);
        if gone(Channel::Data) && self.metadata.under_way.is_some_and(|(_, to, _)| to == broker) {
            self.metadata_failed(now);
        }
        self.links.lost(now, broker, channel, &self.chance);
        self.refresh(now);
        self.take_pending(|pending| pending.to == broker && gone(pending.channel))
    }

    /// What is lost because something has waited longer than its timeout, or a connection could not be set up in time: the connection is
    /// closed, as the Java client does, and so the other requests on it get no answer either. Each with why.
    pub fn timed_out(&mut self, now: Time, out: &mut Outputs) -> Vec<(Pending<T>, ErrorCode)> {
        let mut lost = Vec::new();
        if let Some((_, to, _)) = self.metadata.under_way.filter(|(.., deadline)| *deadline <= now) {
            self.give_up(now, (to, Channel::Data), ErrorCode::RequestTimedOut, &mut lost, out);
        }
        while let Some(line) = self.overdue(now) {
            self.give_up(now, line, ErrorCode::RequestTimedOut, &mut lost, out);
        }
        for line in self.links.look(now, &mut self.next_correlation, out) {
            self.give_up(now, line, ErrorCode::NetworkException, &mut lost, out);
        }
        lost
    }

    /// Closes a connection whose other end is not trusted any more. Returns what was under way on it.
    pub fn disconnect(&mut self, now: Time, line: Line, out: &mut Outputs) -> Vec<(Pending<T>, ErrorCode)> {
        let mut lost = Vec::new();
        self.give_up(now, line, ErrorCode::NetworkException, &mut lost, out);
        lost
    }

    /// The connection of a request that has waited longer than its timeout.
    fn overdue(&self, now: Time) -> Option<Line> {
        self.pending.values().find(|pending| pending.deadline <= now).map(|pending| (pending.to, pending.channel))
    }

    /// Closes a connection, and gives up what is under way on it, all for the same reason (`NetworkClient.cancelInFlightRequests`).
    fn give_up(
        &mut self,
        now: Time,
        (broker, channel): Line,
        error: ErrorCode,
        lost: &mut Vec<(Pending<T>, ErrorCode)>,
        out: &mut Outputs,
    ) {
        out.close(NodeId::Broker(broker), channel);
        lost.extend(self.disconnected(now, broker, Some(channel)).into_iter().map(|pending| (pending, error)));
    }

    fn take_pending(&mut self, lost: impl Fn(&Pending<T>) -> bool) -> Vec<Pending<T>> {
        let lost: Vec<u32> = self.pending.iter().filter(|(_, pending)| lost(pending)).map(|(correlation, _)| *correlation).collect();
        lost.iter()
            .filter_map(|correlation| {
                self.links.forget(*correlation);
                self.pending.remove(correlation)
            })
            .collect()
    }

    fn metadata_failed(&mut self, now: Time) {
        let own = &mut self.metadata;
        (own.under_way, own.refreshed, own.equivalents) = (None, Some(now), 0);
        own.failures += 1;
        self.metadata.due = Some(self.may_refresh_at());
    }

    /// Waiting grows from `retry.backoff.ms` to `retry.backoff.max.ms`.
    pub fn backoff(&self, failures: u32) -> Time {
        exponential_backoff(self.config.retry_backoff, self.config.retry_backoff_max, failures, &self.chance)
    }

    /// Whom it may ask: those that it began with, and those that it has heard of.
    pub fn known_brokers(&self) -> impl Iterator<Item = i32> {
        self.bootstrap.iter().chain(&self.brokers).copied()
    }

    /// Asks for metadata if that is due.
    pub fn ask_for_metadata(&mut self, now: Time, out: &mut Outputs) {
        if self.metadata.under_way.is_some() || self.metadata.due.is_none_or(|due| now < due) {
            return;
        }
        // Those whom it knows have been there once and may be gone for good (KIP-1102).
        let in_vain = now.saturating_sub(*self.metadata.in_vain_since.get_or_insert(now));
        if self.config.rebootstrap_trigger.is_some_and(|trigger| trigger <= in_vain) {
            self.metadata.in_vain_since = Some(now);
            self.bootstrap_again();
        }
        let Some(broker) = self.some_broker(now) else {
            // Nobody whom it knows is there: those that it began with may be (KIP-899).
            if self.config.rebootstrap_trigger.is_some() {
                self.bootstrap_again();
            }
            (self.metadata.due, self.metadata.refreshed) = (self.links.next_try(now), Some(now));
            return;
        };
        let mut message = k::MetadataRequest::default();
        message.allow_auto_topic_creation = self.config.allow_auto_create;
        let topic = k::metadata_request::MetadataRequestTopic::default;
        message.topics = match &self.asks {
            Asks::Names => Some(self.wanted.iter().map(|name| topic().with_name(Some(wire::topic(name)))).collect()),
            Asks::All => None,
            Asks::Ids(ids) => Some(ids.iter().map(|id| topic().with_name(None).with_topic_id(*id)).collect()),
        };
        if self.metadata.expires <= now {
            self.metadata.equivalents = 0;
        }
        self.next_correlation += 1;
        let (correlation, request) = (self.next_correlation, Request::Metadata(Arc::new(message)));
        self.metadata.under_way = Some((correlation, broker, now + self.config.request_timeout));
        self.metadata.due = None;
        self.links.send(now, (broker, Channel::Data), correlation, request, &mut self.next_correlation, out);
    }

    /// In Kafka those that it began with take the place of the known ones; their addresses may be given to other brokers meanwhile, which is not so here.
    fn bootstrap_again(&mut self) {
        for first in &self.bootstrap {
            if !self.brokers.contains(first) {
                self.brokers.push(*first);
            }
        }
    }

    /// Any broker will do: one whose connection is open if there is one, else one that may be tried, by chance from where the search begins
    /// (`NetworkClient.leastLoadedNode`). `None` while all are down and wait for their backoff.
    pub fn some_broker(&mut self, now: Time) -> Option<i32> {
        if self.brokers.is_empty() {
            return None;
        }
        let first = self.chance.below(self.brokers.len() as u64) as usize;
        let from_first = || self.brokers[first..].iter().chain(&self.brokers[..first]).copied();
        let open = from_first().filter(|broker| self.is_open(*broker)).min_by_key(|broker| self.in_flight(*broker));
        open.or_else(|| from_first().find(|broker| self.links.may_open(now, (*broker, Channel::Data))))
    }

    /// When another broker can be asked, if none can be now.
    pub fn next_try(&self, now: Time) -> Option<Time> {
        self.links.next_try(now)
    }

    /// Takes a Metadata response in. Returns whether it was the one asked for.
    pub fn learn(&mut self, now: Time, correlation: u32, message: &k::MetadataResponse) -> bool {
        if self.metadata.under_way.is_none_or(|(expected, ..)| expected != correlation) {
            return false;
        }
        (self.metadata.under_way, self.metadata.in_vain_since) = (None, None);
        if !message.brokers.is_empty() {
            self.brokers = message.brokers.iter().map(|broker| broker.node_id.0).collect();
            let rack = |broker: &k::metadata_response::MetadataResponseBroker| Some((broker.node_id.0, broker.rack.as_ref()?.to_string()));
            self.racks = message.brokers.iter().filter_map(rack).collect();
        }
        let (mut complete, mut is_news) = (true, false);
        if self.asks == Asks::All {
            let is_told = |name: &TopicName| message.topics.iter().any(|told| told.name.as_ref().is_some_and(|told| **told == **name));
            self.topics.retain(|name, _| is_told(name));
        }
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
            let replicas = |partition: &k::metadata_response::MetadataResponsePartition| {
                partition.replica_nodes.iter().map(|broker| broker.0).collect::<Vec<_>>()
            };
            let mut info = TopicInfo {
                id: topic.topic_id,
                partitions: topic.partitions.iter().map(partition).collect(),
                replicas: topic.partitions.iter().map(replicas).collect(),
            };
            complete &= info.partitions.iter().all(|partition| partition.leader.is_some());
            let known = self.topics.get(&name).filter(|known| known.id == info.id).map_or(&[][..], |known| &known.partitions);
            is_news |= known.len() < info.partitions.len();
            for (new, old) in info.partitions.iter_mut().zip(known) {
                is_news |= old.leader_epoch < new.leader_epoch;
                // A broker that lags behind may tell an older epoch than is known already (KIP-320).
                if new.leader_epoch < old.leader_epoch {
                    *new = *old;
                }
            }
            self.topics.insert(name, info);
        }
        // A topic that is wanted since it asked is asked for, too.
        complete &= self.metadata.due.is_none();
        let own = &mut self.metadata;
        (own.refreshed, own.expires, own.failures) = (Some(now), now + self.config.metadata_max_age, 0);
        own.equivalents = if is_news { 0 } else { own.equivalents + 1 };
        self.metadata.due = Some(if complete { self.metadata.expires } else { self.may_refresh_at() });
        true
    }

    /// The racks of the replicas of each of a topic's partitions; none where no broker has a rack.
    pub fn racks_of(&self, topic: &str) -> Vec<Vec<String>> {
        let Some(info) = self.topics.get(topic).filter(|_| !self.racks.is_empty()) else { return Vec::new() };
        let racks = |brokers: &Vec<i32>| brokers.iter().filter_map(|broker| self.racks.get(broker).cloned()).collect();
        info.replicas.iter().map(racks).collect()
    }

    /// Whether an answer about topics is on its way, or is to be asked for now.
    pub fn is_learning(&self, now: Time) -> bool {
        self.metadata.under_way.is_some() || self.metadata.due.is_some_and(|due| due <= now)
    }

    /// The earliest time at which something is due here.
    pub fn next_due(&self) -> Option<Time> {
        let metadata =
            if self.metadata.under_way.is_some() { self.metadata.under_way.map(|(_, _, deadline)| deadline) } else { self.metadata.due };
        metadata.into_iter().chain(self.next_end()).min()
    }

    /// When the first of the requests under way is given up at the latest: all that a client waits for which asks for nothing more.
    pub fn next_end(&self) -> Option<Time> {
        self.pending.values().map(|pending| pending.deadline).chain(self.links.next_due()).min()
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
