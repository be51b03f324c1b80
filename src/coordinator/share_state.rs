//! The share coordinator of one broker: what share partitions have come to, kept in the partitions of `__share_group_state` that the broker leads (KIP-932).
//!
//! Owns the state of each share partition, and who may change it: a leader of an older epoch, or one that knows an older state of the group, is refused.
//! It must not know records in flight: those are the leader's, which says what has become of them. A state counts at once, and who asked hears of it when
//! it is committed; if it cannot be written, what was before comes back. Source: `ShareCoordinatorService`, `ShareCoordinatorShard`.

use super::{ReplyTo, Then, coordinator_error, may_be_in_the_log, partition_for};
use crate::mutant;
use crate::ordered::OrderedMap;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::share_records::{ShareKey, ShareState, ShareUpdate, StateBatch, lay_over};
use crate::protocol::wire::{self, Request, Response};
use crate::protocol::{Batch, ErrorCode};
use bytes::Bytes;
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// The topic that holds the state of share groups.
pub const SHARE_TOPIC: &str = "__share_group_state";
/// Nobody says which epoch it is, or where to begin.
const NONE: i64 = -1;

/// What is wanted of one share partition's state.
#[derive(Clone, Debug)]
enum Want {
    Initialize { state_epoch: i32, start_offset: i64 },
    Read { leader_epoch: i32 },
    Write { state_epoch: i32, leader_epoch: i32, start_offset: i64, batches: Vec<StateBatch> },
    Delete,
    Summary { leader_epoch: i32 },
}

/// What comes of it: the state, where one is told.
type Outcome = Result<Option<ShareState>, (ErrorCode, &'static str)>;

/// A request that is answered when all its share partitions are done.
#[derive(Clone, Debug)]
struct Asked {
    reply: ReplyTo,
    /// Tells which response to make.
    request: Request,
    outcomes: Vec<(ShareKey, Option<Outcome>)>,
}

/// What follows when a state is committed.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Of `__share_group_state`.
    partition: i32,
    request: u64,
    place: usize,
    before: Option<Known>,
    told: Option<ShareState>,
}

/// A record for a partition of `__share_group_state`.
#[derive(Debug)]
pub struct ShareAppend {
    pub partition: i32,
    pub record: (Bytes, Option<Bytes>),
    pub then: Then,
}

/// What is to be done after a request or a commit.
#[derive(Default, Debug)]
pub struct ShareEffects {
    pub replies: Vec<(ReplyTo, Response)>,
    pub appends: Vec<ShareAppend>,
}

#[derive(Clone, Debug)]
struct Known {
    state: ShareState,
    /// Updates since the last snapshot.
    updates: u32,
}

#[derive(Clone, Debug)]
pub struct ShareCoordinator {
    /// `share.coordinator.state.topic.num.partitions`, until there is the topic.
    partitions: i32,
    /// `share.coordinator.snapshot.update.records.per.snapshot`
    updates_max: u32,
    shards: OrderedMap<i32, OrderedMap<ShareKey, Known>>,
    asked: OrderedMap<u64, Asked>,
    next: u64,
}

/// Which partition of `__share_group_state` holds a share partition's state.
pub fn state_partition(key: &ShareKey, partitions: i32) -> i32 {
    partition_for(&key.coordinator_key(), partitions)
}

impl ShareCoordinator {
    pub fn new(partitions: i32, updates_max: u32) -> ShareCoordinator {
        ShareCoordinator { partitions, updates_max, shards: OrderedMap::new(), asked: OrderedMap::new(), next: 0 }
    }

    /// The state of a share partition, if this broker keeps it.
    pub fn state(&self, key: &ShareKey) -> Option<&ShareState> {
        self.shards.values().find_map(|shard| shard.get(key)).map(|known| &known.state)
    }

    /// The broker leads this partition now: what its records say holds.
    pub fn load<'a>(&mut self, partition: i32, batches: impl Iterator<Item = &'a Batch>) {
        let mut shard: OrderedMap<ShareKey, Known> = OrderedMap::new();
        for record in batches.flat_map(Batch::records).flatten() {
            let Some(Ok((key, is_snapshot))) = record.key.as_ref().map(ShareKey::read) else { continue };
            match (record.value, is_snapshot) {
                (None, _) => drop(shard.remove(&key)),
                (Some(value), true) => {
                    if let Ok(state) = ShareState::read(&value) {
                        shard.insert(key, Known { state, updates: 0 });
                    }
                }
                (Some(value), false) => {
                    if let (Some(known), Ok(update)) = (shard.get_mut(&key), ShareUpdate::read(&value)) {
                        known.state.update(&update);
                        known.updates += 1;
                    }
                }
            }
        }
        self.shards.insert(partition, shard);
    }

    pub fn unload(&mut self, partition: i32) {
        self.shards.remove(&partition);
    }

    /// `now_ms` is the wall clock's time.
    pub fn handle(&mut self, now_ms: i64, reply: ReplyTo, request: Request, image: &MetadataImage, effects: &mut ShareEffects) {
        let wants = wants(&request);
        let number = self.next;
        self.next += 1;
        self.asked.insert(number, Asked { reply, request, outcomes: wants.iter().map(|(key, _)| (key.clone(), None)).collect() });
        for (place, (key, want)) in wants.into_iter().enumerate() {
            let outcome = self.want(now_ms, number, place, &key, want, image, effects);
            if let (Some(asked), Some(outcome)) = (self.asked.get_mut(&number), outcome) {
                asked.outcomes[place].1 = Some(outcome);
            }
        }
        self.answer_if_done(number, effects);
    }

    /// What comes of it at once; `None`: it has to be committed first.
    fn want(
        &mut self,
        now_ms: i64,
        request: u64,
        place: usize,
        key: &ShareKey,
        want: Want,
        image: &MetadataImage,
        effects: &mut ShareEffects,
    ) -> Option<Outcome> {
        let partitions = image.topic(SHARE_TOPIC).map_or(self.partitions, |topic| topic.partitions.len() as i32);
        let partition = state_partition(key, partitions);
        let Some(shard) = self.shards.get_mut(&partition) else { return Some(refuse(ErrorCode::NotCoordinator)) };
        if key.index < 0 {
            return Some(Err((ErrorCode::InvalidRequest, "The partition id cannot be a negative number.")));
        }
        let known = shard.get(key).cloned();
        if let Err(refused) = checked(&want, known.as_ref().map(|known| &known.state)) {
            return Some(Err(refused));
        }
        if image.partition(&key.topic, key.index).is_none() && !matches!(want, Want::Delete) {
            return Some(refuse(ErrorCode::UnknownTopicOrPartition));
        }
        let told = matches!(want, Want::Read { .. }).then(|| known.as_ref().map(|known| known.state.clone())).flatten();
        let next = match (want, known.clone()) {
            (Want::Summary { .. }, known) => return Some(Ok(known.map(|known| known.state))),
            (Want::Read { leader_epoch }, Some(known)) if leader_epoch == -1 || leader_epoch == known.state.leader_epoch => {
                return Some(Ok(told));
            }
            (Want::Delete, None) => return Some(Ok(None)),
            (Want::Delete, Some(_)) => None,
            (Want::Initialize { state_epoch, start_offset }, known) => {
                let (snapshot_epoch, created) = known.map_or((0, now_ms), |known| (known.state.snapshot_epoch + 1, known.state.created));
                let state = ShareState {
                    snapshot_epoch,
                    state_epoch,
                    leader_epoch: 0,
                    start_offset,
                    created,
                    written: now_ms,
                    batches: Vec::new(),
                };
                Some((Known { state, updates: 0 }, None))
            }
            (Want::Read { leader_epoch }, Some(known)) => Some(self.updated(now_ms, known, leader_epoch, -1, NONE, Vec::new())),
            (Want::Write { state_epoch, leader_epoch, start_offset, batches }, Some(known)) => {
                Some(self.updated(now_ms, known, leader_epoch, state_epoch, start_offset, batches))
            }
            // It was seen to be there.
            (Want::Read { .. } | Want::Write { .. }, None) => return Some(refuse(ErrorCode::InvalidRequest)),
        };
        let record = match &next {
            None => (key.to_bytes(true), None),
            Some((known, None)) => (key.to_bytes(true), Some(known.state.to_bytes())),
            Some((_, Some(update))) => (key.to_bytes(false), Some(update.to_bytes())),
        };
        let shard = self.shards.or_default(partition);
        match next {
            Some((next, _)) => drop(shard.insert(key.clone(), next)),
            None => drop(shard.remove(key)),
        }
        let then = Then::ShareState(Box::new(Stored { partition, request, place, before: known, told }));
        effects.appends.push(ShareAppend { partition, record, then });
        None
    }

    /// The state after a change, and the update that tells of it, if a snapshot is not due.
    fn updated(
        &self,
        now_ms: i64,
        known: Known,
        leader_epoch: i32,
        state_epoch: i32,
        start_offset: i64,
        batches: Vec<StateBatch>,
    ) -> (Known, Option<ShareUpdate>) {
        let Known { mut state, updates } = known;
        // A write that was long on its way does not take the start back.
        let is_late = start_offset != NONE && start_offset < state.start_offset;
        let start_offset = if is_late { state.start_offset } else { start_offset };
        let mut update = ShareUpdate { snapshot_epoch: state.snapshot_epoch, leader_epoch, start_offset, batches: Vec::new() };
        // What one request says of an offset twice is laid over itself first.
        lay_over(&mut update.batches, &batches, start_offset);
        state.update(&update);
        if updates < self.updates_max {
            return (Known { state, updates: updates + 1 }, Some(update));
        }
        state.snapshot_epoch = state.snapshot_epoch.wrapping_add(1);
        state.written = now_ms;
        if state_epoch != -1 {
            state.state_epoch = state_epoch;
        }
        (Known { state, updates: 0 }, None)
    }

    /// States of topics that are no more are taken back, in the log as well (`maybeCleanupShareState`).
    pub fn topics_deleted(&mut self, image: &MetadataImage, effects: &mut ShareEffects) {
        for (partition, shard) in &mut self.shards {
            let is_gone = |key: &&ShareKey| !image.topics.contains_key(&key.topic);
            let gone: Vec<ShareKey> = shard.keys().filter(is_gone).cloned().collect();
            for key in gone {
                shard.remove(&key);
                effects.appends.push(ShareAppend { partition: *partition, record: (key.to_bytes(true), None), then: Then::Stored });
            }
        }
    }

    pub fn committed(&mut self, stored: Stored, effects: &mut ShareEffects) {
        self.settle(&stored, Ok(stored.told.clone()), effects);
    }

    /// It could not be written.
    pub fn failed(&mut self, stored: Stored, error: ErrorCode, effects: &mut ShareEffects) {
        if let Some(key) = self.asked.get(&stored.request).and_then(|asked| Some(asked.outcomes.get(stored.place)?.0.clone()))
            && let Some(shard) = self.shards.get_mut(&stored.partition).filter(|_| !may_be_in_the_log(error))
        {
            match &stored.before {
                Some(before) => drop(shard.insert(key, before.clone())),
                None => drop(shard.remove(&key)),
            }
        }
        self.settle(&stored, refuse(coordinator_error(error)), effects);
    }

    fn settle(&mut self, stored: &Stored, outcome: Outcome, effects: &mut ShareEffects) {
        if let Some(place) = self.asked.get_mut(&stored.request).and_then(|asked| asked.outcomes.get_mut(stored.place)) {
            place.1 = Some(outcome);
        }
        self.answer_if_done(stored.request, effects);
    }

    fn answer_if_done(&mut self, number: u64, effects: &mut ShareEffects) {
        if self.asked.get(&number).is_some_and(|asked| asked.outcomes.iter().all(|(_, outcome)| outcome.is_some()))
            && let Some(Asked { reply, request, outcomes }) = self.asked.remove(&number)
        {
            effects.replies.push((reply, response(&request, outcomes)));
        }
    }
}

fn refuse(error: ErrorCode) -> Outcome {
    Err((error, error.message()))
}

/// Whether it may be done to what is known.
fn checked(want: &Want, known: Option<&ShareState>) -> Result<(), (ErrorCode, &'static str)> {
    let refuse = |error: ErrorCode| Err((error, error.message()));
    match (want, known) {
        (Want::Initialize { state_epoch, .. }, Some(known)) if *state_epoch != -1 && *state_epoch < known.state_epoch => {
            refuse(ErrorCode::FencedStateEpoch)
        }
        (Want::Read { .. }, None) => Err((ErrorCode::InvalidRequest, "Read operation on uninitialized share partition not allowed.")),
        (Want::Write { .. }, None) => Err((ErrorCode::InvalidRequest, "Write operation on uninitialized share partition not allowed.")),
        (Want::Read { leader_epoch } | Want::Write { leader_epoch, .. } | Want::Summary { leader_epoch }, Some(known))
            if *leader_epoch != -1 && *leader_epoch < known.leader_epoch && !mutant::is("share-any-leader-writes") =>
        {
            refuse(ErrorCode::FencedLeaderEpoch)
        }
        (Want::Write { state_epoch, .. }, Some(known)) if *state_epoch != -1 && *state_epoch < known.state_epoch => {
            refuse(ErrorCode::FencedStateEpoch)
        }
        _ => Ok(()),
    }
}

/// What a request wants of each share partition that it names, in its order. Without a group it wants nothing, as in Kafka.
fn wants(request: &Request) -> Vec<(ShareKey, Want)> {
    let group = match request {
        Request::InitializeShareGroupState(message) => &message.group_id,
        Request::ReadShareGroupState(message) => &message.group_id,
        Request::WriteShareGroupState(message) => &message.group_id,
        Request::DeleteShareGroupState(message) => &message.group_id,
        Request::ReadShareGroupStateSummary(message) => &message.group_id,
        _ => return Vec::new(),
    };
    if group.is_empty() {
        return Vec::new();
    }
    let group: Arc<str> = Arc::from(group.as_str());
    let key = |topic: Uuid, index: i32| ShareKey { group: group.clone(), topic, index };
    let mut wants = Vec::new();
    match request {
        Request::InitializeShareGroupState(message) => {
            for (topic, asked) in message.topics.iter().flat_map(|topic| topic.partitions.iter().map(|asked| (topic.topic_id, asked))) {
                let want = Want::Initialize { state_epoch: asked.state_epoch, start_offset: asked.start_offset };
                wants.push((key(topic, asked.partition), want));
            }
        }
        Request::ReadShareGroupState(message) => {
            for (topic, asked) in message.topics.iter().flat_map(|topic| topic.partitions.iter().map(|asked| (topic.topic_id, asked))) {
                wants.push((key(topic, asked.partition), Want::Read { leader_epoch: asked.leader_epoch }));
            }
        }
        Request::WriteShareGroupState(message) => {
            for (topic, asked) in message.topics.iter().flat_map(|topic| topic.partitions.iter().map(|asked| (topic.topic_id, asked))) {
                let batch = |batch: &k::write_share_group_state_request::StateBatch| StateBatch {
                    first: batch.first_offset,
                    last: batch.last_offset,
                    state: batch.delivery_state,
                    deliveries: batch.delivery_count,
                };
                let want = Want::Write {
                    state_epoch: asked.state_epoch,
                    leader_epoch: asked.leader_epoch,
                    start_offset: asked.start_offset,
                    batches: asked.state_batches.iter().map(batch).collect(),
                };
                wants.push((key(topic, asked.partition), want));
            }
        }
        Request::DeleteShareGroupState(message) => {
            for (topic, asked) in message.topics.iter().flat_map(|topic| topic.partitions.iter().map(|asked| (topic.topic_id, asked))) {
                wants.push((key(topic, asked.partition), Want::Delete));
            }
        }
        Request::ReadShareGroupStateSummary(message) => {
            for (topic, asked) in message.topics.iter().flat_map(|topic| topic.partitions.iter().map(|asked| (topic.topic_id, asked))) {
                wants.push((key(topic, asked.partition), Want::Summary { leader_epoch: asked.leader_epoch }));
            }
        }
        _ => {}
    }
    wants
}

/// Builds a response of one of the five kinds: they differ in their types and in what they tell of a state.
macro_rules! response_of {
    ($outcomes:expr, $response:ident, $result:path, $partition:path, $fill:expr) => {{
        let mut results: Vec<$result> = Vec::new();
        for (key, outcome) in $outcomes {
            let mut partition = <$partition>::default();
            partition.partition = key.index;
            match outcome.unwrap_or(Ok(None)) {
                Err((error, words)) => {
                    (partition.error_code, partition.error_message) = (error.code(), Some(wire::text(words)));
                }
                Ok(state) => $fill(&mut partition, state),
            }
            if results.last().is_none_or(|last| last.topic_id != key.topic) {
                results.push(<$result>::default().with_topic_id(key.topic));
            }
            results.iter_mut().rev().take(1).for_each(|last| last.partitions.push(partition.clone()));
        }
        Arc::new(k::$response::default().with_results(results))
    }};
}

fn response(request: &Request, outcomes: Vec<(ShareKey, Option<Outcome>)>) -> Response {
    use k::{
        delete_share_group_state_response as delete, initialize_share_group_state_response as initialize,
        read_share_group_state_response as read, read_share_group_state_summary_response as summary,
        write_share_group_state_response as write,
    };
    match request {
        Request::InitializeShareGroupState(_) => Response::InitializeShareGroupState(response_of!(
            outcomes,
            InitializeShareGroupStateResponse,
            initialize::InitializeStateResult,
            initialize::PartitionResult,
            |_: &mut initialize::PartitionResult, _| {}
        )),
        Request::WriteShareGroupState(_) => Response::WriteShareGroupState(response_of!(
            outcomes,
            WriteShareGroupStateResponse,
            write::WriteStateResult,
            write::PartitionResult,
            |_: &mut write::PartitionResult, _| {}
        )),
        Request::DeleteShareGroupState(_) => Response::DeleteShareGroupState(response_of!(
            outcomes,
            DeleteShareGroupStateResponse,
            delete::DeleteStateResult,
            delete::PartitionResult,
            |_: &mut delete::PartitionResult, _| {}
        )),
        Request::ReadShareGroupStateSummary(_) => Response::ReadShareGroupStateSummary(response_of!(
            outcomes,
            ReadShareGroupStateSummaryResponse,
            summary::ReadStateSummaryResult,
            summary::PartitionResult,
            |partition: &mut summary::PartitionResult, state: Option<ShareState>| {
                // Of a state that nobody has begun the summary says so, without an error.
                (partition.start_offset, partition.leader_epoch) = (NONE, 0);
                if let Some(state) = state {
                    (partition.state_epoch, partition.leader_epoch) = (state.state_epoch, state.leader_epoch);
                    partition.start_offset = state.start_offset;
                }
            }
        )),
        _ => Response::ReadShareGroupState(response_of!(
            outcomes,
            ReadShareGroupStateResponse,
            read::ReadStateResult,
            read::PartitionResult,
            |partition: &mut read::PartitionResult, state: Option<ShareState>| {
                partition.start_offset = NONE;
                if let Some(state) = state {
                    (partition.state_epoch, partition.start_offset) = (state.state_epoch, state.start_offset);
                    let batch = |batch: &StateBatch| {
                        let told = read::StateBatch::default().with_first_offset(batch.first).with_last_offset(batch.last);
                        told.with_delivery_state(batch.state).with_delivery_count(batch.deliveries)
                    };
                    partition.state_batches = state.batches.iter().map(batch).collect();
                }
            }
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(start_offset: i64) -> ShareState {
        ShareState { snapshot_epoch: 0, state_epoch: 1, leader_epoch: 2, start_offset, created: 0, written: 0, batches: Vec::new() }
    }

    #[test]
    fn a_write_that_comes_late_does_not_take_the_start_back() {
        let coordinator = ShareCoordinator::new(1, 500);
        for (before, written, after) in [(-1, 5, 5), (5, 9, 9), (9, 5, 9), (9, NONE, 9), (9, 9, 9)] {
            let known = Known { state: state(before), updates: 0 };
            let accepted = StateBatch { first: 3, last: 9, state: 2, deliveries: 1 };
            let (known, update) = coordinator.updated(7, known, 2, 1, written, vec![accepted]);
            assert_eq!(known.state.start_offset, after, "{written} after {before}");
            assert!(known.state.batches.iter().all(|batch| after <= batch.first), "{:?}", known.state.batches);
            assert!(update.is_some_and(|update| update.start_offset == if written == NONE { NONE } else { after }));
        }
    }

    #[test]
    fn a_state_stays_that_could_not_be_deleted() {
        use crate::node::{Channel, Connection, NodeId};
        use k::delete_share_group_state_request as delete;
        let key = ShareKey { group: Arc::from("g"), topic: Uuid::from_u128(7), index: 0 };
        let topic = delete::DeleteStateData::default().with_topic_id(key.topic).with_partitions(vec![delete::PartitionData::default()]);
        let message = k::DeleteShareGroupStateRequest::default().with_group_id(wire::text("g")).with_topics(vec![topic]);
        let reply = ReplyTo { from: Connection { peer: NodeId::Client(1), channel: Channel::Data }, correlation: 1 };
        for (error, is_kept) in [(ErrorCode::NotLeaderOrFollower, true), (ErrorCode::RequestTimedOut, false)] {
            let mut coordinator = ShareCoordinator::new(1, 500);
            coordinator.load(0, std::iter::empty());
            coordinator.shards.or_default(0).insert(key.clone(), Known { state: state(5), updates: 0 });
            let mut effects = ShareEffects::default();
            let request = Request::DeleteShareGroupState(Arc::new(message.clone()));
            coordinator.handle(7, reply, request, &MetadataImage::default(), &mut effects);
            assert_eq!(coordinator.state(&key), None, "it counts at once");
            let Some(ShareAppend { then: Then::ShareState(stored), .. }) = effects.appends.pop() else { panic!("no tombstone") };
            coordinator.failed(*stored, error, &mut effects);
            assert_eq!(coordinator.state(&key).is_some(), is_kept, "{error:?}: what may be in the log counts");
            assert_eq!(effects.replies.pop().map(|(_, response)| response.error()), Some(coordinator_error(error)));
        }
    }
}
