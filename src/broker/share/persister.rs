//! What a leader has the share coordinators store and tell: one request at a time for each share partition, in order, and again after a while where
//! a coordinator is not to be had.
//!
//! Source: `DefaultStatePersister`, `PersisterStateManager`.

use super::super::Broker;
use crate::coordinator::{Effects, ReplyTo, SHARE_TOPIC, ShareEffects, ShareWish, Stored, Then, state_partition};
use crate::node::{Channel, MS, NodeId, Outputs, Time};
use crate::ordered::OrderedMap;
use crate::protocol::share_records::{ShareKey, ShareState, StateBatch};
use crate::protocol::wire::{self, Request, Response};
use crate::protocol::{BatchOptions, ErrorCode};
use crate::replica::PartitionKey;
use kafka_protocol::messages as k;
use std::collections::VecDeque;
use std::sync::Arc;

/// `PersisterStateManager`'s constants.
const BACKOFF: Time = 1_000 * MS;
const BACKOFF_MAX: Time = 30_000 * MS;
const ATTEMPTS: u32 = 5;

/// What a share coordinator is asked for.
#[derive(Clone, Debug)]
pub(in crate::broker) enum Ask {
    /// What is known of a share partition, for the leader in this epoch.
    Read { leader_epoch: i32 },
    /// What has become of records in flight.
    Write { state_epoch: i32, leader_epoch: i32, start_offset: i64, change: super::Change, exchange: Option<u64> },
    /// What the group coordinator wants.
    Wish { task: u64, wish: ShareWish },
}

#[derive(Clone, Debug)]
struct Pending {
    ask: Ask,
    attempts: u32,
    not_before: Time,
    /// The request under way, whom it was sent to, and when.
    sent: Option<(u32, i32, Time)>,
}

#[derive(Clone, Default, Debug)]
pub(super) struct Persister {
    queues: OrderedMap<ShareKey, VecDeque<Pending>>,
}

impl Persister {
    /// When something is to be asked again.
    pub fn next_due(&self) -> Option<Time> {
        let heads = self.queues.values().filter_map(VecDeque::front).filter(|head| head.sent.is_none());
        heads.map(|head| head.not_before).min()
    }

    /// When the oldest request under way was sent.
    pub fn oldest_sent(&self) -> Option<Time> {
        self.queues.values().filter_map(|queue| Some(queue.front()?.sent?.2)).min()
    }

    fn heads_lost(&mut self, now: Time, is_lost: impl Fn(i32, Time) -> bool) -> Vec<ShareKey> {
        let lost = |queue: &VecDeque<Pending>| queue.front().and_then(|head| head.sent).is_some_and(|(_, to, at)| is_lost(to, at));
        let keys: Vec<ShareKey> = self.queues.iter().filter(|(_, queue)| lost(queue)).map(|(key, _)| key.clone()).collect();
        keys.into_iter().filter(|key| !self.again(now, key)).collect()
    }

    /// Asks again later. `false`: it was asked often enough.
    fn again(&mut self, now: Time, key: &ShareKey) -> bool {
        let Some(head) = self.queues.get_mut(key).and_then(VecDeque::front_mut) else { return true };
        head.sent = None;
        head.attempts += 1;
        head.not_before = now + (BACKOFF << (head.attempts - 1).min(5)).min(BACKOFF_MAX);
        head.attempts < ATTEMPTS
    }

    fn done(&mut self, key: &ShareKey) -> Option<Ask> {
        let queue = self.queues.get_mut(key)?;
        let head = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(key);
        }
        head.map(|head| head.ask)
    }
}

impl Broker {
    pub(in crate::broker) fn ask_share_coordinator(&mut self, now: Time, key: &ShareKey, ask: Ask, out: &mut Outputs) {
        self.share.persister.queues.or_default(key.clone()).push_back(Pending { ask, attempts: 0, not_before: now, sent: None });
        self.drive_persister(now, out);
        self.set_share_alarm(now, out);
    }

    /// Sends what is due.
    pub(super) fn drive_persister(&mut self, now: Time, out: &mut Outputs) {
        let is_due = |queue: &VecDeque<Pending>| queue.front().is_some_and(|head| head.sent.is_none() && head.not_before <= now);
        let due: Vec<ShareKey> =
            self.share.persister.queues.iter().filter(|(_, queue)| is_due(queue)).map(|(key, _)| key.clone()).collect();
        for key in due {
            let Some(to) = self.share_coordinator_of(now, &key, out) else {
                if !self.share.persister.again(now, &key) {
                    self.share_coordinator_done(now, &key, ErrorCode::CoordinatorNotAvailable, None, out);
                }
                continue;
            };
            let correlation = self.correlation();
            let Some(head) = self.share.persister.queues.get_mut(&key).and_then(VecDeque::front_mut) else { continue };
            head.sent = Some((correlation, to, now));
            let request = request(&key, &head.ask);
            out.request(NodeId::Broker(to), Channel::Coordinator, correlation, request);
        }
    }

    /// Who keeps a share partition's state. Where there is no topic for it yet, it is made.
    pub fn share_coordinator_of(&mut self, now: Time, key: &ShareKey, out: &mut Outputs) -> Option<i32> {
        let Some(topic) = self.image.topic(SHARE_TOPIC) else {
            self.create_missing_topic(now, SHARE_TOPIC, out);
            return None;
        };
        let index = state_partition(key, topic.partitions.len() as i32);
        self.image.partition(&topic.id, index).and_then(|state| state.leader)
    }

    /// A share coordinator has answered.
    pub(in crate::broker) fn share_coordinator_answered(&mut self, now: Time, correlation: u32, response: &Response, out: &mut Outputs) {
        let is_head = |queue: &VecDeque<Pending>| queue.front().and_then(|head| head.sent).is_some_and(|(own, ..)| own == correlation);
        let Some(key) = self.share.persister.queues.iter().find(|(_, queue)| is_head(queue)).map(|(key, _)| key.clone()) else { return };
        let (error, state) = told(response);
        let is_away =
            matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress);
        if !is_away || !self.share.persister.again(now, &key) {
            self.share_coordinator_done(now, &key, error, state, out);
        }
        self.drive_persister(now, out);
        self.set_share_alarm(now, out);
    }

    /// Requests that are not answered are asked again: who was to answer is gone, or silent for too long.
    pub(in crate::broker) fn share_requests_lost(&mut self, now: Time, is_lost: impl Fn(i32, Time) -> bool, out: &mut Outputs) {
        for key in self.share.persister.heads_lost(now, is_lost) {
            self.share_coordinator_done(now, &key, ErrorCode::CoordinatorNotAvailable, None, out);
        }
        self.set_share_alarm(now, out);
    }

    fn share_coordinator_done(&mut self, now: Time, key: &ShareKey, error: ErrorCode, state: Option<ShareState>, out: &mut Outputs) {
        match self.share.persister.done(key) {
            Some(Ask::Read { leader_epoch }) => self.share_partition_read(now, key, leader_epoch, error, state, out),
            Some(Ask::Write { change, exchange, .. }) => self.share_change_stored(now, key, &change, exchange, error, out),
            Some(Ask::Wish { task, .. }) => {
                let mut effects = Effects::default();
                let told = if error == ErrorCode::None { Ok(state) } else { Err(error) };
                self.coordinator.share_told(task, key, told, &self.image, &mut effects);
                self.carry_out(now, effects, out);
            }
            None => {}
        }
    }

    /// Requests to this broker as a share coordinator.
    pub(in crate::broker) fn share_state_request(&mut self, now: Time, reply: ReplyTo, request: Request, out: &mut Outputs) {
        let mut effects = ShareEffects::default();
        let now_ms = self.wall_clock(now);
        self.share_states.handle(now_ms, reply, request, &self.image, &mut effects);
        self.carry_out_share(now, effects, out);
    }

    /// Topics are deleted: what share groups have come to there is taken back.
    pub(in crate::broker) fn forget_share_states(&mut self, now: Time, out: &mut Outputs) {
        let mut effects = ShareEffects::default();
        self.share_states.topics_deleted(&self.image, &mut effects);
        self.carry_out_share(now, effects, out);
    }

    pub(in crate::broker) fn share_state_stored(&mut self, now: Time, stored: Stored, out: &mut Outputs) {
        let mut effects = ShareEffects::default();
        self.share_states.committed(stored, &mut effects);
        self.carry_out_share(now, effects, out);
    }

    pub(in crate::broker) fn share_state_lost(&mut self, now: Time, stored: Stored, error: ErrorCode, out: &mut Outputs) {
        let mut effects = ShareEffects::default();
        self.share_states.failed(stored, error, &mut effects);
        self.carry_out_share(now, effects, out);
    }

    /// Sends the share coordinator's answers and writes its records.
    fn carry_out_share(&mut self, now: Time, effects: ShareEffects, out: &mut Outputs) {
        for (to, response) in effects.replies {
            self.respond(to.from, to.correlation, response, out);
        }
        for append in effects.appends {
            let key = self.image.topic_ids.get(SHARE_TOPIC).map(|topic| PartitionKey { topic: *topic, index: append.partition });
            let written = match (key, self.encode(now, vec![append.record], BatchOptions::default())) {
                (Some(key), batch) => self.append_for_coordinator(now, key, batch, append.then, out),
                (None, _) => Err((append.then, ErrorCode::NotLeaderOrFollower)),
            };
            if let Err((Then::ShareState(stored), error)) = written {
                self.share_state_lost(now, *stored, error, out);
            }
        }
    }
}

fn request(key: &ShareKey, ask: &Ask) -> Request {
    use k::{
        delete_share_group_state_request as delete, initialize_share_group_state_request as initialize,
        read_share_group_state_request as read, read_share_group_state_summary_request as summary,
        write_share_group_state_request as write,
    };
    let group = wire::text(&key.group);
    match ask {
        Ask::Wish { wish: ShareWish::Initialize { state_epoch, start_offset }, .. } => {
            let partition = initialize::PartitionData::default().with_partition(key.index);
            let partition = partition.with_state_epoch(*state_epoch).with_start_offset(*start_offset);
            let topic = initialize::InitializeStateData::default().with_topic_id(key.topic).with_partitions(vec![partition]);
            let message = k::InitializeShareGroupStateRequest::default().with_group_id(group).with_topics(vec![topic]);
            Request::InitializeShareGroupState(Arc::new(message))
        }
        Ask::Wish { wish: ShareWish::Delete, .. } => {
            let topic = delete::DeleteStateData::default().with_topic_id(key.topic);
            let topic = topic.with_partitions(vec![delete::PartitionData::default().with_partition(key.index)]);
            let message = k::DeleteShareGroupStateRequest::default().with_group_id(group).with_topics(vec![topic]);
            Request::DeleteShareGroupState(Arc::new(message))
        }
        Ask::Wish { wish: ShareWish::Summary, .. } => {
            let partition = summary::PartitionData::default().with_partition(key.index).with_leader_epoch(-1);
            let topic = summary::ReadStateSummaryData::default().with_topic_id(key.topic).with_partitions(vec![partition]);
            let message = k::ReadShareGroupStateSummaryRequest::default().with_group_id(group).with_topics(vec![topic]);
            Request::ReadShareGroupStateSummary(wire::outside(message))
        }
        Ask::Read { leader_epoch } => {
            let partition = read::PartitionData::default().with_partition(key.index).with_leader_epoch(*leader_epoch);
            let topic = read::ReadStateData::default().with_topic_id(key.topic).with_partitions(vec![partition]);
            let message = k::ReadShareGroupStateRequest::default().with_group_id(group).with_topics(vec![topic]);
            Request::ReadShareGroupState(Arc::new(message))
        }
        Ask::Write { state_epoch, leader_epoch, start_offset, change, .. } => {
            let batch = |StateBatch { first, last, state, deliveries }: StateBatch| {
                let batch = write::StateBatch::default().with_first_offset(first).with_last_offset(last);
                batch.with_delivery_state(state).with_delivery_count(deliveries)
            };
            let partition = write::PartitionData::default().with_partition(key.index).with_state_epoch(*state_epoch);
            let partition = partition.with_leader_epoch(*leader_epoch).with_start_offset(*start_offset);
            let partition = partition.with_state_batches(change.ranges.iter().map(|range| batch(range.batch)).collect());
            let topic = write::WriteStateData::default().with_topic_id(key.topic).with_partitions(vec![partition]);
            let message = k::WriteShareGroupStateRequest::default().with_group_id(group).with_topics(vec![topic]);
            Request::WriteShareGroupState(Arc::new(message))
        }
    }
}

/// What a share coordinator says of the one share partition that it was asked about.
fn told(response: &Response) -> (ErrorCode, Option<ShareState>) {
    match response {
        Response::ReadShareGroupState(message) => {
            let first = message.results.iter().flat_map(|topic| &topic.partitions).next();
            let Some(told) = first else { return (ErrorCode::UnknownServerError, None) };
            let batch = |batch: &k::read_share_group_state_response::StateBatch| StateBatch {
                first: batch.first_offset,
                last: batch.last_offset,
                state: batch.delivery_state,
                deliveries: batch.delivery_count,
            };
            let state = ShareState {
                snapshot_epoch: 0,
                state_epoch: told.state_epoch,
                leader_epoch: -1,
                start_offset: told.start_offset,
                created: 0,
                written: 0,
                batches: told.state_batches.iter().map(batch).collect(),
            };
            (ErrorCode::of(told.error_code), Some(state))
        }
        Response::ReadShareGroupStateSummary(message) => {
            let first = message.results.iter().flat_map(|topic| &topic.partitions).next();
            let Some(told) = first else { return (ErrorCode::UnknownServerError, None) };
            let state = ShareState {
                snapshot_epoch: 0,
                state_epoch: told.state_epoch,
                leader_epoch: told.leader_epoch,
                start_offset: told.start_offset,
                created: 0,
                written: 0,
                batches: Vec::new(),
            };
            (ErrorCode::of(told.error_code), Some(state))
        }
        response => (response.error(), None),
    }
}
