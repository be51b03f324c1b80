//! The consumer as a member of a share group (KIP-932): it gets records that nobody else has meanwhile, and says of each what has become of it.
//!
//! The coordinator tells which partitions to read; their leaders hand records out. What the application is done with is acknowledged with the next fetch, or
//! at once and one by one with `share.acknowledgement.mode=explicit`. With each broker there is one session, and one request of it at a time. Source:
//! `ShareConsumerImpl`, `ShareConsumeRequestManager`, `ShareSessionHandler`, `ShareMembershipManager`.

use super::{Asked, Consumer, MemberState};
use crate::node::{Channel, MS, NoteKind, Outputs, Partition, Time, TopicName};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::wire::{self, Request};
use crate::protocol::{Batch, ErrorCode, FINAL_EPOCH, INITIAL_EPOCH, next_epoch, topic_id_base64};
use kafka_protocol::messages as k;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// The epoch of a member that is not in the group, and of one that leaves it.
const JOINS: i32 = 0;
const LEAVES: i32 = -1;
/// What is said of offsets without a record, and of records that are given back.
const GAP: i8 = 0;
const RELEASE: i8 = 2;

type Place = (Uuid, i32);
/// Offsets and what is said of each, in order.
type Said = Vec<(i64, i8)>;

/// A record that this member has.
#[derive(Clone, Debug)]
struct Held {
    broker: i32,
    place: Place,
    partition: Partition,
    offset: i64,
}

/// What a broker remembers of what this member reads there.
#[derive(Clone, Default, Debug)]
struct Session {
    epoch: i32,
    /// With the topics' names as they were when it was asked: one may be deleted before the answer comes.
    partitions: OrderedMap<Place, TopicName>,
    /// Ask no earlier, after an error.
    not_before: Time,
}

#[derive(Clone, Default, Debug)]
pub struct Sharing {
    /// The coordinator knows what this member subscribes to.
    has_said: bool,
    assigned: Vec<Place>,
    sessions: OrderedMap<i32, Session>,
    /// Records that no poll has handed out yet.
    buffer: VecDeque<Held>,
    /// What the application is at work on.
    working: VecDeque<Held>,
    /// What becomes of records that the newest poll returned, and of offsets without one beside them: the next poll says it.
    unsaid: Vec<(i32, Place, i64, i8)>,
    /// What is to be said to each broker.
    said: OrderedMap<i32, OrderedMap<Place, Said>>,
    /// It has left, for its application did not poll in time: it joins again with the next poll.
    is_stale: bool,
}

impl Sharing {
    /// A poll: what became of what the one before returned is to be said.
    fn speak(&mut self) {
        for (broker, place, offset, what) in self.unsaid.drain(..) {
            self.said.or_default(broker).or_default(place).push((offset, what));
        }
    }

    /// Whether the application has not come back to its next poll.
    pub(super) fn is_at_work(&self) -> bool {
        !self.working.is_empty()
    }
}

impl Consumer {
    /// Everything that is due, in the order of the Java client's poll.
    pub(super) fn drive_sharing(&mut self, now: Time, out: &mut Outputs) {
        self.finish_shared(now, out);
        self.network.ask_for_metadata(now, out);
        self.keep_membership(now, out);
        self.network.ask_for_metadata(now, out);
        self.poll_shared(now, out);
        self.exchange(now, out);
        let application = (!self.sharing.working.is_empty()).then_some(self.busy_until);
        let retry = self.sharing.sessions.values().map(|session| session.not_before).filter(|at| now < *at).min();
        let due = [application, retry, self.membership_due(), self.network.next_due()].into_iter().flatten().min();
        self.alarm.set(now, due, out);
    }

    /// The application finishes the records whose time is over.
    fn finish_shared(&mut self, now: Time, out: &mut Outputs) {
        while self.busy_until <= now
            && let Some(done) = self.sharing.working.pop_front()
        {
            self.deliver(&done.partition, done.offset, done.offset, 1, out);
            self.sharing.unsaid.push((done.broker, done.place, done.offset, self.config.acknowledges_with));
            self.busy_until = now + self.config.processing;
            if self.sharing.working.is_empty() || self.config.acknowledges_each {
                self.sharing.speak();
            }
        }
    }

    /// The application polls, unless it is at work.
    fn poll_shared(&mut self, now: Time, out: &mut Outputs) {
        while self.sharing.working.is_empty() && !self.sharing.buffer.is_empty() && !self.paused {
            let most = self.sharing.buffer.len().min(self.config.max_poll_records);
            self.sharing.working = self.sharing.buffer.drain(..most).collect();
            self.polled_at = now;
            self.busy_until = now + self.config.processing;
            self.finish_shared(now, out);
        }
    }

    /// One request to each broker that has none under way: what is to be said to it, and a fetch, if the application has nothing left to do.
    fn exchange(&mut self, now: Time, out: &mut Outputs) {
        let is_idle = self.sharing.working.is_empty() && self.sharing.buffer.is_empty() && !self.paused;
        if is_idle {
            self.sharing.speak();
        }
        let mut by_leader: OrderedMap<i32, OrderedMap<Place, TopicName>> = OrderedMap::new();
        let mut leaderless = false;
        if is_idle && self.membership.generation.is_some() && self.error.is_none() {
            for place in &self.sharing.assigned {
                let name = self.network.topics.iter().find(|(_, known)| known.id == place.0).map(|(name, _)| name.clone());
                match name.and_then(|name| Some((self.network.leader(&name, place.1)?.0, name))) {
                    Some((leader, name)) => drop(by_leader.or_default(leader).insert(*place, name)),
                    None => leaderless = true,
                }
            }
        }
        if leaderless {
            self.network.refresh(now);
        }
        let brokers: OrderedSet<i32> = by_leader.keys().chain(self.sharing.said.keys()).copied().collect();
        for broker in brokers.iter().copied() {
            let is_busy = self.network.pending().any(|pending| pending.to == broker && matches!(pending.what, Asked::Share));
            let session = self.sharing.sessions.or_default(broker);
            if is_busy || now < session.not_before {
                continue;
            }
            let said = self.sharing.said.remove(&broker).unwrap_or_default();
            // Without a session there is nobody to say it to: those records come again, to somebody.
            let said = if session.epoch == INITIAL_EPOCH { OrderedMap::new() } else { said };
            match by_leader.remove(&broker) {
                Some(wanted) => self.fetch_shared(now, broker, wanted, said, out),
                None if said.is_empty() => {}
                None => self.acknowledge_shared(now, broker, said, false, out),
            }
        }
    }

    fn fetch_shared(
        &mut self,
        now: Time,
        broker: i32,
        wanted: OrderedMap<Place, TopicName>,
        said: OrderedMap<Place, Said>,
        out: &mut Outputs,
    ) {
        use k::share_fetch_request as asks;
        let session = self.sharing.sessions.or_default(broker);
        let mut message = k::ShareFetchRequest::default();
        message.share_session_epoch = session.epoch;
        let named: OrderedSet<Place> =
            wanted.keys().filter(|place| !session.partitions.contains_key(place)).chain(said.keys()).copied().collect();
        for (topic, index) in named.iter().copied() {
            let batch = |(first, last, types): (i64, i64, Vec<i8>)| {
                asks::AcknowledgementBatch::default().with_first_offset(first).with_last_offset(last).with_acknowledge_types(types)
            };
            let batches = runs(said.get(&(topic, index)).map(Vec::as_slice).unwrap_or_default()).into_iter().map(batch);
            let partition = asks::FetchPartition::default().with_partition_index(index).with_acknowledgement_batches(batches.collect());
            if message.topics.last().is_none_or(|last| last.topic_id != topic) {
                message.topics.push(asks::FetchTopic::default().with_topic_id(topic));
            }
            message.topics.iter_mut().rev().take(1).for_each(|last| last.partitions.push(partition.clone()));
        }
        for (topic, index) in session.partitions.keys().chain(named.iter()).filter(|place| !wanted.contains_key(place)) {
            message.forgotten_topics_data.push(asks::ForgottenTopic::default().with_topic_id(*topic).with_partitions(vec![*index]));
        }
        session.partitions = wanted;
        message.max_wait_ms = self.config.fetch_max_wait_ms;
        message.min_bytes = self.config.fetch_min_bytes;
        message.max_bytes = self.config.fetch_max_bytes;
        message.max_records = i32::try_from(self.config.max_poll_records).unwrap_or(i32::MAX);
        message.batch_size = message.max_records;
        message.group_id = self.group().map(|group| k::GroupId(wire::text(&group)));
        message.member_id = Some(wire::text(&self.membership.member_id));
        self.network.send(now, broker, Channel::Data, Asked::Share, Request::ShareFetch(Arc::new(message)), None, out);
    }

    fn acknowledge_shared(&mut self, now: Time, broker: i32, said: OrderedMap<Place, Said>, is_last: bool, out: &mut Outputs) {
        use k::share_acknowledge_request as asks;
        let mut message = k::ShareAcknowledgeRequest::default();
        message.group_id = self.group().map(|group| k::GroupId(wire::text(&group)));
        message.member_id = Some(wire::text(&self.membership.member_id));
        message.share_session_epoch = if is_last { FINAL_EPOCH } else { self.sharing.sessions.or_default(broker).epoch };
        for ((topic, index), said) in said {
            let batch = |(first, last, types): (i64, i64, Vec<i8>)| {
                asks::AcknowledgementBatch::default().with_first_offset(first).with_last_offset(last).with_acknowledge_types(types)
            };
            let partition = asks::AcknowledgePartition::default().with_partition_index(index);
            let partition = partition.with_acknowledgement_batches(runs(&said).into_iter().map(batch).collect());
            message.topics.push(asks::AcknowledgeTopic::default().with_topic_id(topic).with_partitions(vec![partition]));
        }
        self.network.send(now, broker, Channel::Data, Asked::Share, Request::ShareAcknowledge(Arc::new(message)), None, out);
    }

    pub(super) fn share_fetched(&mut self, now: Time, broker: i32, message: &k::ShareFetchResponse, batches: &[Vec<Batch>]) {
        if !self.fetch_session_goes_on(now, broker, message.error_code) {
            return;
        }
        let mut batches = batches.iter();
        let mut stale = false;
        for topic in &message.responses {
            for data in &topic.partitions {
                let batches = batches.next().map_or(&[][..], Vec::as_slice);
                let place = (topic.topic_id, data.partition_index);
                stale |= data.error_code != 0;
                let Some(topic) = self.sharing.sessions.get(&broker).and_then(|session| session.partitions.get(&place)).cloned() else {
                    continue;
                };
                let partition = Partition { topic, index: data.partition_index };
                let mut offsets: OrderedSet<i64> = OrderedSet::new();
                for batch in batches.iter().filter(|batch| !batch.header().is_ok_and(|header| header.is_control())) {
                    let batch = batch.uncompressed();
                    let mut records = batch.records();
                    while let Some(Ok(record)) = records.next_ref() {
                        offsets.insert(record.offset);
                    }
                }
                for acquired in &data.acquired_records {
                    for offset in acquired.first_offset..=acquired.last_offset {
                        if offsets.contains(&offset) {
                            self.sharing.buffer.push_back(Held { broker, place, partition: partition.clone(), offset });
                        } else {
                            self.sharing.unsaid.push((broker, place, offset, GAP));
                        }
                    }
                }
            }
        }
        if stale {
            self.network.refresh(now);
            let at = now + self.network.backoff(0);
            self.sharing.sessions.or_default(broker).not_before = at;
        }
    }

    /// Whether the session stands; if not, the next fetch begins another.
    pub(super) fn fetch_session_goes_on(&mut self, now: Time, broker: i32, error_code: i16) -> bool {
        let at = now + self.network.backoff(0);
        let session = self.sharing.sessions.or_default(broker);
        if error_code == 0 {
            session.epoch = next_epoch(session.epoch);
            session.not_before = 0;
        } else {
            *session = Session { not_before: at, ..Session::default() };
        }
        error_code == 0
    }

    /// No answer comes, and nobody knows what became of what was said.
    pub(super) fn share_lost(&mut self, now: Time, broker: i32) {
        self.fetch_session_goes_on(now, broker, ErrorCode::NetworkException.code());
        self.network.refresh(now);
    }

    /// What is not done yet goes back, and the sessions end.
    pub(super) fn end_sharing(&mut self, now: Time, out: &mut Outputs) {
        // No poll comes that would accept what the last one returned (`ShareConsumerImpl.sendAcknowledgementsAndLeaveGroup`).
        let mut left = std::mem::take(&mut self.sharing.unsaid);
        left.iter_mut().filter(|(.., what)| *what != GAP).for_each(|(.., what)| *what = RELEASE);
        let held = self.sharing.working.drain(..).chain(self.sharing.buffer.drain(..));
        left.extend(held.map(|held| (held.broker, held.place, held.offset, RELEASE)));
        self.sharing.unsaid = left;
        self.sharing.speak();
        for (broker, session) in std::mem::take(&mut self.sharing.sessions) {
            if session.epoch != INITIAL_EPOCH && self.network.is_open(broker) {
                let said = self.sharing.said.remove(&broker).unwrap_or_default();
                self.acknowledge_shared(now, broker, said, true, out);
            }
        }
        self.sharing.said.clear();
    }

    pub(super) fn next_share_report(&self) -> Option<Time> {
        let beats = !self.membership.heartbeat_under_way && self.error.is_none() && !self.sharing.is_stale;
        beats.then_some(self.membership.heartbeat_at)
    }

    /// What the group needs now: a heartbeat.
    pub(super) fn keep_sharing(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        if self.poll_expires().is_some_and(|at| at <= now) {
            self.group().into_iter().for_each(|group| out.note(NoteKind::PollIntervalExceeded { group }));
            self.share_leaving(now, coordinator, out);
            self.share_unjoined();
            self.sharing.is_stale = true;
        }
        if !self.sharing.is_at_work() && std::mem::take(&mut self.sharing.is_stale) {
            self.membership.heartbeat_at = now;
        }
        if self.next_share_report().is_none_or(|at| now < at) {
            return;
        }
        if self.membership.member_id.is_empty() {
            let (high, low) = (self.network.chance().draw(), self.network.chance().draw());
            self.membership.member_id = topic_id_base64(Uuid::from_u64_pair(high, low));
        }
        let epoch = self.membership.generation.unwrap_or(JOINS);
        self.share_heartbeat(now, coordinator, epoch, Asked::ShareReport, out);
        self.membership.heartbeat_under_way = true;
    }

    pub(super) fn share_leaving(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        if self.membership.generation.is_some() {
            self.share_heartbeat(now, coordinator, LEAVES, Asked::LeaveGroup, out);
        }
    }

    fn share_heartbeat(&mut self, now: Time, coordinator: i32, epoch: i32, what: Asked, out: &mut Outputs) {
        let Some(group) = self.group() else { return };
        let mut message = k::ShareGroupHeartbeatRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.member_id = wire::text(&self.membership.member_id);
        message.member_epoch = epoch;
        if epoch != LEAVES && (epoch == JOINS || !self.sharing.has_said) {
            message.rack_id = self.config.rack.as_deref().map(wire::text);
            message.subscribed_topic_names = Some(self.subscribed().iter().map(|topic| wire::topic(topic)).collect());
        }
        let request = Request::ShareGroupHeartbeat(Arc::new(message));
        self.network.send(now, coordinator, Channel::Coordinator, what, request, None, out);
    }

    fn subscribed(&self) -> Vec<crate::node::TopicName> {
        match &self.reads {
            super::Reads::Subscribed(topics) => topics.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn share_reported(&mut self, now: Time, message: &k::ShareGroupHeartbeatResponse, out: &mut Outputs) {
        self.membership.heartbeat_under_way = false;
        // It has left since it asked.
        if self.sharing.is_stale {
            return;
        }
        match ErrorCode::of(message.error_code) {
            ErrorCode::None => {
                self.membership.heartbeat_at = now + MS * Time::try_from(message.heartbeat_interval_ms).unwrap_or(0);
                self.membership.generation = Some(message.member_epoch);
                self.membership.state = MemberState::Stable;
                self.sharing.has_said = true;
                if let Some(assignment) = &message.assignment {
                    let topics = assignment.topic_partitions.iter();
                    self.assigned_shared(
                        topics.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id, *index))).collect(),
                        out,
                    );
                }
            }
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                self.share_unjoined();
                self.membership.heartbeat_at = now + self.network.backoff(0);
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => self.share_report_lost(now),
            ErrorCode::CoordinatorLoadInProgress => self.membership.heartbeat_at = now + self.network.backoff(0),
            error => self.fail(error),
        }
    }

    /// It is no member any more. What it has of its records it has, until their locks end.
    fn share_unjoined(&mut self) {
        self.membership.generation = None;
        self.membership.state = MemberState::Unjoined;
        self.sharing.has_said = false;
        self.sharing.assigned.clear();
    }

    fn assigned_shared(&mut self, places: Vec<Place>, out: &mut Outputs) {
        let named = |place: &Place| {
            let (name, _) = self.network.topics.iter().find(|(_, known)| known.id == place.0)?;
            Some(Partition { topic: name.clone(), index: place.1 })
        };
        let added: Vec<Partition> = places.iter().filter(|place| !self.sharing.assigned.contains(place)).filter_map(named).collect();
        let partitions: Vec<Partition> = places.iter().filter_map(named).collect();
        if let Some(group) = self.group() {
            out.note(NoteKind::AssignmentReceived { group, partitions, added });
        }
        self.sharing.assigned = places;
    }

    /// The coordinator is to be found again; it is told everything.
    pub(super) fn share_report_lost(&mut self, now: Time) {
        self.sharing.has_said = false;
        self.coordinator_unknown(now);
        self.membership.heartbeat_at = now;
    }
}

/// Neighbouring offsets together: first, last, and what is said of each, or once of all.
fn runs(said: &[(i64, i8)]) -> Vec<(i64, i64, Vec<i8>)> {
    let mut said = said.to_vec();
    said.sort_unstable();
    let mut runs: Vec<(i64, i64, Vec<i8>)> = Vec::new();
    for (offset, what) in said {
        match runs.last_mut() {
            Some((_, last, types)) if *last + 1 == offset => {
                *last = offset;
                types.push(what);
            }
            _ => runs.push((offset, offset, vec![what])),
        }
    }
    for (.., types) in &mut runs {
        if types.iter().all(|what| *what == types[0]) {
            types.truncate(1);
        }
    }
    runs
}
