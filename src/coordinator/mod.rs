//! The group coordinator of one broker: state machines over the partitions of `__consumer_offsets` that the broker leads.
//!
//! Owns groups, their members and their committed offsets. It must not know how records are replicated: it hands records out to be appended
//! and is told when they are committed. Source: `GroupCoordinatorShard`, `GroupMetadataManager`, `OffsetMetadataManager`; KIP-394 (member ids).

mod admin;
mod consumer_group;
mod expiry;
mod group;
mod membership;
mod offsets;
mod share_admin;
mod share_group;
mod share_heartbeat;
mod share_state;
mod share_tasks;
mod simple_assignor;
mod static_members;
mod transaction;
mod transactions;

pub use consumer_group::{ConsumerGroup, ConsumerMember};
pub use group::{Group, GroupState, Member};
pub use offsets::CommittedOffset;
pub use share_group::{SIMPLE, ShareGroup, ShareMember};
pub use share_state::{SHARE_TOPIC, ShareCoordinator, ShareEffects, Stored, state_partition};
pub use share_tasks::ShareWish;
pub use transaction::{Transaction, TransactionState};
pub use transactions::{
    Change, DueMarker, MARKER_BACKOFF, TRANSACTIONS_TOPIC, TransactionConfig, TransactionCoordinator, TransactionEffects, identity_of,
};

use crate::mutant;
use crate::node::{Chance, Connection, NoteKind, Outputs, Time};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::consumer_group_records::ConsumerGroupKey;
use crate::protocol::group_records::{GroupKey, GroupValue, OffsetValue};
use crate::protocol::metadata::MetadataImage;
use crate::protocol::share_group_records::ShareGroupRecord;
use crate::protocol::share_records::ShareKey;
use crate::protocol::wire::{Request, Response};
use crate::protocol::{Batch, BatchHeader, ErrorCode, Outcome};
use bytes::Bytes;
use kafka_protocol::messages as k;
use std::sync::Arc;

/// The topic that holds the state of groups.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Whether a topic is Kafka's own: no client writes to it, nor deletes its records.
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, OFFSETS_TOPIC | TRANSACTIONS_TOPIC | SHARE_TOPIC)
}

/// Settings of the coordinator, with Kafka's names and defaults.
#[derive(Clone, Copy, Debug)]
pub struct CoordinatorConfig {
    /// `offsets.topic.num.partitions`
    pub partitions: i32,
    /// `group.min.session.timeout.ms`
    pub session_timeout_min: Time,
    /// `group.max.session.timeout.ms`
    pub session_timeout_max: Time,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after the first.
    pub initial_rebalance_delay: Time,
    /// `group.max.size`
    pub size_max: usize,
    /// `group.consumer.session.timeout.ms`
    pub consumer_session_timeout: Time,
    /// `group.consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval: Time,
    /// `group.consumer.max.size`
    pub consumer_size_max: usize,
    /// `group.share.session.timeout.ms`
    pub share_session_timeout: Time,
    /// `group.share.heartbeat.interval.ms`
    pub share_heartbeat_interval: Time,
    /// `group.share.max.size`
    pub share_size_max: usize,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`
    pub offsets_retention_ms: i64,
    /// Kafka's epoch milliseconds at virtual time 0, for the timestamps in stored records.
    pub start_timestamp: i64,
}

/// Where an answer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyTo {
    pub from: Connection,
    pub correlation: u32,
}

/// What the coordinator wants done after an input; the broker drains it.
#[derive(Default, Debug)]
pub struct Effects {
    pub replies: Vec<(ReplyTo, Response)>,
    pub appends: Vec<Append>,
    /// Answers that may tell what is not committed yet: they wait for all that was written to the partition before.
    pub after_writes: Vec<(i32, ReplyTo, Response)>,
    /// Records that are part of a producer's transaction: its id and epoch.
    pub transactional: Vec<(Append, i64, i16)>,
    /// What is wanted of the share coordinators, with the number to answer under.
    pub shares: Vec<(u64, ShareKey, ShareWish)>,
}

/// Records for a partition of `__consumer_offsets`, to be written with acks=all, and what follows once they are.
#[derive(Debug)]
pub struct Append {
    pub partition: i32,
    pub records: Vec<(Bytes, Option<Bytes>)>,
    pub then: Then,
}

/// What the coordinator does when its records are committed, or could not be written.
#[derive(Clone, Debug)]
pub enum Then {
    /// The offsets count from now on, and the member hears so.
    OffsetsCommitted {
        group: Arc<str>,
        offsets: Vec<(offsets::OffsetKey, CommittedOffset)>,
        /// What the commit said, and what the group's was; -1: none.
        generations: (i32, i32),
        /// `None`: whoever waited was told that it takes too long.
        reply: Option<ReplyTo>,
        response: Arc<k::OffsetCommitResponse>,
        /// The producer in whose transaction they are: they wait for its end.
        producer_id: Option<i64>,
    },
    /// A transactional id has changed.
    Transaction(Box<Change>),
    /// The group has none of these offsets any more: their topic is deleted.
    OffsetsForgotten { group: Arc<str>, offsets: Vec<offsets::OffsetKey> },
    /// These are gone: offsets that an admin has deleted, who hears so.
    OffsetsDeleted { group: Arc<str>, offsets: Vec<offsets::OffsetKey>, reply: Option<ReplyTo>, response: Arc<k::OffsetDeleteResponse> },
    /// These are gone: offsets that nobody needs any more.
    OffsetsExpired { group: Arc<str>, offsets: Vec<offsets::OffsetKey> },
    /// These groups are gone; an admin may wait to hear so.
    GroupsDeleted { deletion: Option<u64>, groups: Vec<admin::Doomed> },
    /// The assignment of this generation is safe: members that wait for it get it.
    AssignmentStored { group: Arc<str>, generation: i32 },
    /// A static member has another id from now on, and hears so.
    MemberReplaced { group: Arc<str>, member: Arc<str>, before: Box<Member> },
    /// A member of a group of the new protocol hears what its heartbeat has changed. `before`: the group as it was, if it cannot be written.
    HeartbeatStored {
        group: Arc<str>,
        before: Option<Box<ConsumerGroup>>,
        reply: ReplyTo,
        response: Arc<k::ConsumerGroupHeartbeatResponse>,
    },
    /// A member whose heartbeat has changed nothing hears how things stand.
    HeartbeatHeard { reply: ReplyTo, response: Response },
    /// Members are taken out that were not heard of. `before`: the group as it was, if that cannot be written.
    MembersTakenOut { group: Arc<str>, before: Box<ConsumerGroup> },
    /// A share group has changed: somebody may hear so, and a task begin. `before`: the group as it was, if it cannot be written.
    ShareGroupStored { group: Arc<str>, before: Option<Box<ShareGroup>>, told: Option<(ReplyTo, Response)>, task: Option<u64> },
    /// The state of a share partition is stored: for the share coordinator, which hears of it from the broker.
    ShareState(Box<share_state::Stored>),
    /// Nothing waits for it.
    Stored,
}

impl Then {
    /// Whether somebody waits for it who gives up in time. Transactions have a time of their own.
    pub fn is_waited_for(&self) -> bool {
        !matches!(
            self,
            Then::Stored
                | Then::Transaction(_)
                | Then::OffsetsForgotten { .. }
                | Then::OffsetsExpired { .. }
                | Then::MembersTakenOut { .. }
                | Then::GroupsDeleted { deletion: None, .. }
        )
    }

    /// The partition of `__transaction_state` that a change is written to.
    pub fn transactions_partition(&self) -> i32 {
        if let Then::Transaction(change) = self { change.partition } else { -1 }
    }
}

/// All groups whose partition of `__consumer_offsets` this broker leads.
#[derive(Clone, Debug)]
pub struct Coordinator {
    config: CoordinatorConfig,
    shards: OrderedMap<i32, Shard>,
    /// DeleteGroups requests that wait, by number.
    deletions: OrderedMap<u64, admin::Deletion>,
    next_deletion: u64,
    /// What share coordinators are asked to do, by number.
    share_tasks: OrderedMap<u64, share_tasks::ShareTask>,
    next_share_task: u64,
    chance: Chance,
}

/// The groups of one partition.
#[derive(Clone, Default, Debug)]
struct Shard {
    groups: OrderedMap<Arc<str>, Group>,
    /// Offsets in open transactions, in the order of the log.
    open: Vec<offsets::Pending>,
}

impl Shard {
    /// The group of this name, made if it is not there.
    fn group(&mut self, name: &str) -> &mut Group {
        let id: Arc<str> = Arc::from(name);
        self.groups.or_insert_with(id.clone(), || Group::new(id))
    }
}

/// Which partition of `__consumer_offsets` holds a group: Java's hash of its name.
pub fn partition_for(group: &str, partitions: i32) -> i32 {
    // Kafka's Utils.abs: clears the sign bit, which also gives the most negative number a place.
    (java_hash(group) & i32::MAX) % partitions.max(1)
}

/// `String.hashCode`
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// When members are looked at again whose expiry could not be written (`CoordinatorRuntime`'s timers).
const EXPIRY_RETRY: Time = 500 * crate::node::MS;

/// What is in the log and was not replicated in time may still come to be committed.
fn may_be_in_the_log(error: ErrorCode) -> bool {
    error == ErrorCode::RequestTimedOut
}

impl Coordinator {
    pub fn new(config: CoordinatorConfig, chance: Chance) -> Coordinator {
        Coordinator {
            config,
            shards: OrderedMap::new(),
            deletions: OrderedMap::new(),
            next_deletion: 0,
            share_tasks: OrderedMap::new(),
            next_share_task: 0,
            chance,
        }
    }

    /// What the machine's wall clock showed at virtual time 0, in Kafka's epoch milliseconds.
    pub fn set_start_timestamp(&mut self, start_timestamp: i64) {
        self.config.start_timestamp = start_timestamp;
    }

    /// The groups that this broker coordinates.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.shards.values().flat_map(|shard| shard.groups.values())
    }

    /// The broker leads this partition now: its groups are what its records say, with the settings that are known of them.
    pub fn load<'a>(
        &mut self,
        now: Time,
        partition: i32,
        batches: impl Iterator<Item = &'a Batch>,
        image: &MetadataImage,
        out: &mut Outputs,
    ) {
        let mut shard = Shard::default();
        // Taken back by a tombstone; what is committed under the name goes by tombstones of its own.
        let mut gone: OrderedSet<Arc<str>> = OrderedSet::new();
        for (batch, record) in batches.flat_map(|batch| batch.records().flatten().map(move |record| (batch, record))) {
            let Some(key) = record.key else { continue };
            let transaction = batch.header().ok().filter(BatchHeader::is_transactional).map(|header| header.producer_id);
            if let Some((producer, marker)) = transaction.zip(batch.marker()) {
                shard.end_transaction(producer, marker.outcome == Outcome::Commit);
                continue;
            }
            // A record that this version cannot read is passed over, as Kafka does.
            match GroupKey::read(&key) {
                Ok(GroupKey::Offset { .. }) if mutant::is("coordinator-loads-no-offsets") => {}
                Ok(GroupKey::Offset { group, topic, partition }) => {
                    let Ok(value) = record.value.as_ref().map(OffsetValue::read).transpose() else { continue };
                    match (transaction, value) {
                        (Some(producer), Some(value)) => {
                            let key = (Arc::from(topic), partition);
                            shard.put_open(producer, &Arc::from(group), key, CommittedOffset::of(value));
                        }
                        (_, Some(value)) => shard.put(&group, (Arc::from(topic), partition), CommittedOffset::of(value)),
                        (_, None) => shard.take_back(&group, &(Arc::from(topic), partition)),
                    }
                }
                Ok(GroupKey::Group { group }) => match record.value.as_ref().map(GroupValue::read) {
                    Some(Ok(value)) => {
                        gone.remove(group.as_str());
                        shard.group(&group).replay_metadata(now, value);
                    }
                    Some(Err(_)) => {}
                    None => {
                        shard.group(&group).forget_generations();
                        gone.insert(Arc::from(group));
                    }
                },
                Ok(GroupKey::Consumer(ConsumerGroupKey::Group { group })) if record.value.is_none() => {
                    shard.group(&group).consumer = None;
                    gone.insert(Arc::from(group));
                }
                Ok(GroupKey::Consumer(key)) => {
                    let group = shard.group(key.group());
                    if record.value.is_some() {
                        gone.remove(key.group());
                        group.consumer.get_or_insert_default();
                    }
                    if let Some(state) = &mut group.consumer {
                        let session = self.config_of(key.group(), image).consumer_session_timeout;
                        state.replay(now, session, &key, record.value.as_ref());
                    }
                }
                Ok(GroupKey::Share(key)) if key.about == ShareGroupRecord::Group && record.value.is_none() => {
                    shard.group(&key.group).share = None;
                    gone.insert(Arc::from(key.group));
                }
                Ok(GroupKey::Share(key)) => {
                    let group = shard.group(&key.group);
                    if record.value.is_some() {
                        gone.remove(key.group.as_str());
                        group.share.get_or_insert_default();
                    }
                    if let Some(state) = &mut group.share {
                        let session = self.share_config(&key.group, image).session_timeout;
                        state.replay(now, session, &key, record.value.as_ref());
                    }
                }
                Err(_) => {}
            }
        }
        shard
            .groups
            .retain(|id, group| !gone.contains(id) || group.consumer.is_some() || group.share.is_some() || !group.offsets.is_empty());
        for group in shard.groups.values() {
            let (group, generation, members) = (group.id.clone(), group.generation(), group.size() as i32);
            out.note(NoteKind::GroupLoaded { group, generation, members });
        }
        self.shards.insert(partition, shard);
    }

    /// The broker does not lead this partition any more: whoever waits is sent to the new coordinator.
    pub fn unload(&mut self, partition: i32, effects: &mut Effects) {
        if let Some(shard) = self.shards.remove(&partition) {
            for mut group in shard.groups.into_values() {
                group.refuse_waiting(ErrorCode::NotCoordinator, effects);
            }
        }
    }

    pub fn handle(&mut self, now: Time, reply: ReplyTo, client_id: &str, request: Request, effects: &mut Effects, out: &mut Outputs) {
        match request {
            Request::JoinGroup(message) => self.join(now, reply, client_id, &message, effects, out),
            Request::SyncGroup(message) => self.sync(now, reply, &message, effects),
            Request::Heartbeat(message) => self.heartbeat(now, reply, &message, effects),
            Request::LeaveGroup(message) => self.leave(now, reply, &message, effects, out),
            Request::OffsetFetch(message) => self.fetch_offsets(reply, &message, effects),
            Request::ListGroups(message) => effects.replies.push((reply, Response::ListGroups(Arc::new(self.list_groups(&message))))),
            Request::DescribeGroups(message) => {
                effects.replies.push((reply, Response::DescribeGroups(Arc::new(self.describe_groups(&message)))));
            }
            // The broker hands only these over.
            _ => {}
        }
    }

    /// Records handed out earlier are committed.
    pub fn committed(&mut self, now: Time, then: Then, image: &MetadataImage, effects: &mut Effects, out: &mut Outputs) {
        match then {
            Then::OffsetsCommitted { group, offsets, reply, response, producer_id: Some(producer), .. }
                if !mutant::is("offsets-before-the-commit") =>
            {
                self.offsets_pending(producer, &group, offsets);
                effects.replies.extend(reply.map(|reply| (reply, offsets::in_transaction(&response))));
            }
            Then::OffsetsCommitted { group, offsets, generations: (generation, current), reply, response, .. } => {
                if let Some(shard) = self.shards.get_mut(&partition_for(&group, self.config.partitions)) {
                    for (key, value) in offsets {
                        let partition = crate::node::Partition { topic: key.0.clone(), index: key.1 };
                        out.note(NoteKind::OffsetCommitted { group: group.clone(), partition, offset: value.offset, generation, current });
                        if !mutant::is("commit-not-kept") {
                            shard.put(&group, key, value);
                        }
                    }
                }
                effects.replies.extend(reply.map(|reply| (reply, Response::OffsetCommit(response))));
            }
            Then::OffsetsForgotten { group, offsets } => self.forget_offsets(&group, &offsets),
            Then::OffsetsDeleted { group, offsets, reply, response } => {
                self.forget_offsets(&group, &offsets);
                out.note(NoteKind::OffsetsDeleted { group, offsets: offsets.len() as u64 });
                effects.replies.extend(reply.map(|reply| (reply, Response::OffsetDelete(response))));
            }
            Then::OffsetsExpired { group, offsets } => {
                self.forget_offsets(&group, &offsets);
                out.note(NoteKind::OffsetsDeleted { group, offsets: offsets.len() as u64 });
            }
            Then::GroupsDeleted { deletion, groups } => self.groups_deleted(deletion, groups, effects, out),
            Then::AssignmentStored { group, generation } => {
                if let Some(state) = self.group_mut(&group) {
                    state.assignment_stored(now, generation, effects);
                }
            }
            Then::MemberReplaced { group, member, .. } => {
                if let Some(state) = self.group_mut(&group) {
                    state.replacement_stored(&member, effects);
                }
            }
            Then::ShareGroupStored { told, task, .. } => {
                effects.replies.extend(told);
                if let Some(number) = task {
                    self.start_share_task(number, image, effects);
                }
            }
            Then::HeartbeatStored { reply, response, .. } => effects.replies.push((reply, Response::ConsumerGroupHeartbeat(response))),
            Then::HeartbeatHeard { reply, response } => effects.replies.push((reply, response)),
            Then::MembersTakenOut { .. } | Then::Transaction(_) | Then::ShareState(_) | Then::Stored => {}
        }
    }

    /// Records handed out earlier could not be written.
    pub fn failed(&mut self, now: Time, then: Then, error: ErrorCode, effects: &mut Effects, out: &mut Outputs) {
        match then {
            Then::OffsetsCommitted { reply: Some(reply), mut response, producer_id, .. } => {
                let error = coordinator_error(error);
                for partition in Arc::make_mut(&mut response).topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    if partition.error_code == 0 {
                        partition.error_code = error.code();
                    }
                }
                let answer = if producer_id.is_some() { offsets::in_transaction(&response) } else { Response::OffsetCommit(response) };
                effects.replies.push((reply, answer));
            }
            Then::AssignmentStored { group, generation } => {
                if let Some(state) = self.group_mut(&group) {
                    state.assignment_lost(now, generation, coordinator_error(error), effects, out);
                }
            }
            Then::MemberReplaced { group, member, before } => {
                if let Some(state) = self.group_mut(&group) {
                    state.replacement_lost(now, &member, *before, coordinator_error(error), effects);
                }
            }
            Then::HeartbeatStored { group, before, reply, .. } => {
                if let Some(state) = self.group_mut(&group).filter(|_| !may_be_in_the_log(error)) {
                    state.consumer = before;
                    let was_made = state.is_nothing();
                    if let Some(shard) = self.shards.get_mut(&partition_for(&group, self.config.partitions)).filter(|_| was_made) {
                        shard.groups.remove(&group);
                    }
                }
                effects.replies.push((reply, consumer_group::refused(coordinator_error(error), None)));
            }
            Then::HeartbeatHeard { reply, response } => {
                let error = coordinator_error(error);
                let answer = match response {
                    Response::ShareGroupHeartbeat(_) => share_heartbeat::refused(error, ""),
                    Response::ConsumerGroupHeartbeat(_) => consumer_group::refused(error, None),
                    _ => membership::heard(error),
                };
                effects.replies.push((reply, answer));
            }
            Then::MembersTakenOut { group, mut before } => {
                if let Some(state) = self.group_mut(&group).filter(|_| !may_be_in_the_log(error)) {
                    before.put_off(now + EXPIRY_RETRY);
                    state.consumer = Some(before);
                }
            }
            Then::ShareGroupStored { group, before, told, task } => {
                self.share_group_not_stored(group, before, told, task, error, effects);
            }
            Then::OffsetsDeleted { reply: Some(reply), .. } => {
                let response = k::OffsetDeleteResponse::default().with_error_code(coordinator_error(error).code());
                effects.replies.push((reply, Response::OffsetDelete(Arc::new(response))));
            }
            Then::GroupsDeleted { deletion, groups } => self.groups_not_deleted(deletion, &groups, error, effects),
            // Offsets of a deleted topic stay, as in Kafka, which logs the error and does not try again; expired ones are looked at again.
            Then::OffsetsForgotten { .. } | Then::OffsetsExpired { .. } | Then::Transaction(_) | Then::ShareState(_) | Then::Stored => {}
            // Whoever waited has heard before.
            Then::OffsetsCommitted { .. } | Then::OffsetsDeleted { .. } => {}
        }
    }

    /// Records are in the log and not replicated in time: whoever waits hears so. What is left to be done once they are committed is given back.
    pub fn timed_out(&mut self, now: Time, then: Then, effects: &mut Effects, out: &mut Outputs) -> Option<Then> {
        let rest = match &then {
            Then::OffsetsCommitted { group, offsets, generations, response, producer_id, .. } => Some(Then::OffsetsCommitted {
                group: group.clone(),
                offsets: offsets.clone(),
                generations: *generations,
                reply: None,
                response: response.clone(),
                producer_id: *producer_id,
            }),
            Then::OffsetsDeleted { group, offsets, response, .. } => {
                Some(Then::OffsetsDeleted { group: group.clone(), offsets: offsets.clone(), reply: None, response: response.clone() })
            }
            Then::GroupsDeleted { groups, .. } => Some(Then::GroupsDeleted { deletion: None, groups: groups.clone() }),
            // Their changes count already.
            _ => None,
        };
        self.failed(now, then, ErrorCode::RequestTimedOut, effects, out);
        rest
    }

    fn group_mut(&mut self, group: &str) -> Option<&mut Group> {
        self.shards.get_mut(&partition_for(group, self.config.partitions))?.groups.get_mut(group)
    }

    /// The shard that holds a group, if this broker leads it.
    fn shard_mut(&mut self, group: &str) -> Result<&mut Shard, ErrorCode> {
        if group.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.shard_of_any(group)
    }

    /// The same for what a group without a name may do: consumers that choose their partitions themselves have committed under it since there were groups.
    fn shard_of_any(&mut self, group: &str) -> Result<&mut Shard, ErrorCode> {
        self.shards.get_mut(&partition_for(group, self.config.partitions)).ok_or(ErrorCode::NotCoordinator)
    }
}

/// What a member is told when the coordinator's own write fails (`GroupMetadataManager`, `CoordinatorRuntime`).
fn coordinator_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}

impl CoordinatorConfig {
    /// The wall clock's milliseconds at this virtual time.
    fn timestamp(&self, now: Time) -> i64 {
        self.start_timestamp.saturating_add(i64::try_from(now / crate::node::MS).unwrap_or(i64::MAX)).max(0)
    }
}
