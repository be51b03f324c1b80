//! Committed offsets: who may commit, and what a group reads back.
//!
//! Source: `OffsetMetadataManager`. A commit counts when its record is committed, not before.

use super::admin::tombstone;
use super::{Append, Coordinator, Effects, Group, GroupState, ReplyTo, Shard, Then, partition_for};
use crate::mutant;
use crate::node::{NoteKind, Outputs, Time, TopicName};
use crate::ordered::OrderedSet;
use crate::protocol::ErrorCode;
use crate::protocol::consumer_group_records::Place;
use crate::protocol::group_records::{GroupKey, OffsetValue};
use crate::protocol::wire::{self, Response};
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// A commit that leaves it to the broker how long it is kept (`OffsetCommitRequest.DEFAULT_RETENTION_TIME`).
const RETENTION_OF_BROKER: i64 = -1;

/// Topic and partition.
pub type OffsetKey = (Arc<str>, i32);

/// Where a group goes on in one partition: the next offset to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommittedOffset {
    pub offset: i64,
    /// Of the last record before it; -1 if unknown.
    pub leader_epoch: i32,
    pub metadata: String,
    /// When it was committed, in Kafka's epoch milliseconds.
    pub timestamp: i64,
    /// When it is to go, if the client said so (before version 5 of OffsetCommit).
    pub expires: Option<i64>,
}

impl CommittedOffset {
    pub(super) fn of(value: OffsetValue) -> CommittedOffset {
        CommittedOffset {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata,
            timestamp: value.commit_timestamp,
            expires: value.expire_timestamp,
        }
    }
}

/// An offset in an open transaction.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    producer: i64,
    pub group: Arc<str>,
    pub key: OffsetKey,
    /// `None`: something else was committed after it.
    committed: Option<CommittedOffset>,
}

impl Shard {
    /// Something is committed: what open transactions have said before counts no more.
    pub(super) fn put(&mut self, group: &str, key: OffsetKey, committed: CommittedOffset) {
        self.overrule(self.open.len(), group, &key);
        self.group(group).offsets.insert(key, committed);
    }

    fn overrule(&mut self, before: usize, group: &str, key: &OffsetKey) {
        let older = self.open.iter_mut().take(before).filter(|open| *open.group == *group && open.key == *key);
        older.for_each(|open| open.committed = None);
    }

    /// The same in a transaction that is open.
    pub(super) fn put_open(&mut self, producer: i64, group: &Arc<str>, key: OffsetKey, committed: CommittedOffset) {
        self.group(group);
        self.open.retain(|open| open.producer != producer || open.group != *group || open.key != key);
        self.open.push(Pending { producer, group: group.clone(), key, committed: Some(committed) });
    }

    /// A tombstone takes back what was committed, and what would be.
    pub(super) fn take_back(&mut self, group: &str, key: &OffsetKey) {
        self.open.retain(|open| *open.group != *group || open.key != *key);
        if let Some(state) = self.groups.get_mut(group) {
            state.offsets.remove(key);
        }
    }

    /// What open transactions say of a group.
    pub(super) fn open_of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a OffsetKey> {
        self.open.iter().filter(move |open| *open.group == *group).map(|open| &open.key)
    }

    /// Everything that a group has committed or would.
    pub(super) fn offsets_of<'a>(&'a self, group: &'a Group) -> OrderedSet<&'a OffsetKey> {
        group.offsets.keys().chain(self.open_of(&group.id)).collect()
    }

    /// A producer's transaction has ended: its offsets count from now on, or never. Returns those that do.
    pub(super) fn end_transaction(&mut self, producer: i64, commit: bool) -> Vec<(Arc<str>, OffsetKey, i64)> {
        let mut counted = Vec::new();
        while let Some(place) = self.open.iter().position(|open| open.producer == producer) {
            let Pending { group, key, committed, .. } = self.open.remove(place);
            if let Some(committed) = committed.filter(|_| commit) {
                self.overrule(place, &group, &key);
                counted.push((group.clone(), key.clone(), committed.offset));
                self.group(&group).offsets.insert(key, committed);
            }
        }
        counted
    }
}

/// The answer to a commit, in the words of one within a transaction.
pub(super) fn in_transaction(response: &k::OffsetCommitResponse) -> Response {
    let topic = |topic: &k::offset_commit_response::OffsetCommitResponseTopic| {
        let partition = |told: &k::offset_commit_response::OffsetCommitResponsePartition| {
            let result = k::txn_offset_commit_response::TxnOffsetCommitResponsePartition::default();
            result.with_partition_index(told.partition_index).with_error_code(told.error_code)
        };
        let result = k::txn_offset_commit_response::TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone());
        result.with_partitions(topic.partitions.iter().map(partition).collect())
    };
    let topics = response.topics.iter().map(topic).collect();
    Response::TxnOffsetCommit(Arc::new(k::TxnOffsetCommitResponse::default().with_topics(topics)))
}

/// A commit within a transaction, in the words of any other.
fn plain(message: &k::TxnOffsetCommitRequest) -> k::OffsetCommitRequest {
    let topic = |topic: &k::txn_offset_commit_request::TxnOffsetCommitRequestTopic| {
        let partition = |asked: &k::txn_offset_commit_request::TxnOffsetCommitRequestPartition| {
            k::offset_commit_request::OffsetCommitRequestPartition::default()
                .with_partition_index(asked.partition_index)
                .with_committed_offset(asked.committed_offset)
                .with_committed_leader_epoch(asked.committed_leader_epoch)
                .with_committed_metadata(asked.committed_metadata.clone())
        };
        let plain = k::offset_commit_request::OffsetCommitRequestTopic::default().with_name(topic.name.clone());
        plain.with_partitions(topic.partitions.iter().map(partition).collect())
    };
    k::OffsetCommitRequest::default()
        .with_group_id(message.group_id.clone())
        .with_generation_id_or_member_epoch(message.generation_id)
        .with_member_id(message.member_id.clone())
        .with_group_instance_id(message.group_instance_id.clone())
        .with_topics(message.topics.iter().map(topic).collect())
}

/// Whether it says nothing of a member: without KIP-447 a producer knows none, and commits for a group of either protocol.
fn is_of_nobody(message: &k::OffsetCommitRequest) -> bool {
    message.generation_id_or_member_epoch < 0 && message.member_id.is_empty() && message.group_instance_id.is_none()
}

impl Coordinator {
    /// The same within a transaction (KIP-98, KIP-447). `refusal`: the transaction's coordinator does not let it be.
    pub fn commit_in_transaction(
        &mut self,
        now: Time,
        reply: ReplyTo,
        message: &k::TxnOffsetCommitRequest,
        refusal: Option<ErrorCode>,
        topic_id: impl Fn(&str, i32) -> Option<Uuid>,
        effects: &mut Effects,
    ) {
        let producer = Some((message.producer_id.0, message.producer_epoch));
        self.commit(now, reply, &plain(message), (producer, refusal), topic_id, effects);
    }

    /// Offsets in a transaction are in the log.
    pub(super) fn offsets_pending(&mut self, producer: i64, group: &Arc<str>, offsets: Vec<(OffsetKey, CommittedOffset)>) {
        if let Some(shard) = self.shards.get_mut(&partition_for(group, self.config.partitions)) {
            for (key, committed) in offsets {
                shard.put_open(producer, group, key, committed);
            }
        }
    }

    /// The marker of a producer's transaction is in the log of a partition.
    pub fn transaction_ended(&mut self, partition: i32, producer: i64, commit: bool, out: &mut Outputs) {
        let Some(shard) = self.shards.get_mut(&partition) else { return };
        for (group, key, offset) in shard.end_transaction(producer, commit) {
            let partition = crate::node::Partition { topic: key.0, index: key.1 };
            out.note(NoteKind::OffsetCommitted { group, partition, offset, generation: -1, current: -1 });
        }
    }

    /// `topic_id` knows the cluster's partitions: for those that are not there nothing is committed (`KafkaApis.handleOffsetCommitRequest`).
    pub fn commit_offsets(
        &mut self,
        now: Time,
        reply: ReplyTo,
        message: &k::OffsetCommitRequest,
        topic_id: impl Fn(&str, i32) -> Option<Uuid>,
        effects: &mut Effects,
    ) {
        self.commit(now, reply, message, (None, None), topic_id, effects);
    }

    fn commit(
        &mut self,
        now: Time,
        reply: ReplyTo,
        message: &k::OffsetCommitRequest,
        (producer, refusal): (Option<(i64, i16)>, Option<ErrorCode>),
        topic_id: impl Fn(&str, i32) -> Option<Uuid>,
        effects: &mut Effects,
    ) {
        let config = self.config;
        let known = |topic: &k::offset_commit_request::OffsetCommitRequestTopic| {
            topic.partitions.iter().any(|asked| topic_id(&topic.name, asked.partition_index).is_some())
        };
        // A commit of nothing that exists never reaches the group.
        let checked = match refusal.filter(|_| message.topics.iter().any(known)) {
            Some(error) => Err(error),
            None if message.topics.iter().any(known) => self.checked_commit(now, message, producer.is_some()),
            None => Ok(()),
        };
        let mut response = k::OffsetCommitResponse::default();
        let mut offsets = Vec::new();
        for topic in &message.topics {
            let mut answer = k::offset_commit_response::OffsetCommitResponseTopic::default();
            answer.name = topic.name.clone();
            for asked in &topic.partitions {
                let mut result = k::offset_commit_response::OffsetCommitResponsePartition::default();
                result.partition_index = asked.partition_index;
                let metadata = asked.committed_metadata.as_deref().unwrap_or_default();
                let place = topic_id(&topic.name, asked.partition_index).map(|id| (id, asked.partition_index));
                if place.is_none() {
                    result.error_code = ErrorCode::UnknownTopicOrPartition.code();
                } else if let Err(error) = checked
                    .and_then(|()| if producer.is_some() && is_of_nobody(message) { Ok(()) } else { self.check_epoch(message, place) })
                {
                    // A producer knows nothing of member epochs.
                    let is_stale = producer.is_some() && error == ErrorCode::StaleMemberEpoch;
                    result.error_code = if is_stale { ErrorCode::IllegalGeneration } else { error }.code();
                } else if config.offset_metadata_max < metadata.len() {
                    result.error_code = ErrorCode::OffsetMetadataTooLarge.code();
                } else {
                    let committed = CommittedOffset {
                        offset: asked.committed_offset,
                        leader_epoch: asked.committed_leader_epoch,
                        metadata: metadata.to_owned(),
                        timestamp: config.timestamp(now),
                        // Before version 5 a client may say how long it is kept.
                        expires: Some(message.retention_time_ms)
                            .filter(|kept| *kept != RETENTION_OF_BROKER)
                            .map(|kept| config.timestamp(now).saturating_add(kept)),
                    };
                    offsets.push(((Arc::from(topic.name.as_str()), asked.partition_index), committed));
                }
                answer.partitions.push(result);
            }
            response.topics.push(answer);
        }
        if offsets.is_empty() {
            let answer = if producer.is_some() { in_transaction(&response) } else { Response::OffsetCommit(Arc::new(response)) };
            effects.replies.push((reply, answer));
            return;
        }
        let group: Arc<str> = Arc::from(message.group_id.as_str());
        let current = match self.group_mut(&group) {
            // Under the new protocol each partition has been asked whether this epoch will do (KIP-1251).
            Some(group) if group.consumer.is_some() => message.generation_id_or_member_epoch,
            Some(group) if group.state != GroupState::Empty => group.generation,
            _ => -1,
        };
        let record = |((topic, partition), committed): &(OffsetKey, CommittedOffset)| {
            let value = OffsetValue {
                offset: committed.offset,
                leader_epoch: committed.leader_epoch,
                metadata: committed.metadata.clone(),
                commit_timestamp: committed.timestamp,
                expire_timestamp: committed.expires,
            };
            let key = GroupKey::Offset { group: group.to_string(), topic: topic.to_string(), partition: *partition };
            (key.to_bytes(), Some(value.to_bytes()))
        };
        let records = offsets.iter().map(record).collect();
        let generations = (message.generation_id_or_member_epoch, current);
        let (response, producer_id) = (Arc::new(response), producer.map(|(id, _)| id));
        let then = Then::OffsetsCommitted { group: group.clone(), offsets, generations, reply: Some(reply), response, producer_id };
        let append = Append { partition: partition_for(&group, config.partitions), records, then };
        match producer {
            Some((id, epoch)) => effects.transactional.push((append, id, epoch)),
            None => effects.appends.push(append),
        }
    }

    /// Topics are deleted, given by name and number of partitions: what groups committed in them is taken back, in the log first.
    pub fn partitions_deleted(&mut self, deleted: &[(TopicName, i32)], effects: &mut Effects) {
        for (partition, shard) in &self.shards {
            for group in shard.groups.values() {
                let gone = |key: &&&OffsetKey| deleted.iter().any(|(topic, count)| *topic == key.0 && (0..*count).contains(&key.1));
                let offsets: Vec<OffsetKey> = shard.offsets_of(group).iter().filter(gone).copied().cloned().collect();
                if offsets.is_empty() {
                    continue;
                }
                let records = offsets.iter().map(|key| tombstone(&group.id, key)).collect();
                effects.appends.push(Append {
                    partition: *partition,
                    records,
                    then: Then::OffsetsForgotten { group: group.id.clone(), offsets },
                });
            }
        }
    }

    fn checked_commit(&mut self, now: Time, message: &k::OffsetCommitRequest, in_transaction: bool) -> Result<(), ErrorCode> {
        let generation = message.generation_id_or_member_epoch;
        let shard = if in_transaction { self.shard_mut(&message.group_id)? } else { self.shard_of_any(&message.group_id)? };
        let Some(group) = shard.groups.get_mut(message.group_id.as_str()) else {
            return match generation {
                ..0 => Ok(()),
                _ if in_transaction => Err(ErrorCode::IllegalGeneration),
                _ => Err(ErrorCode::GroupIdNotFound),
            };
        };
        if group.share.is_some() {
            // Its leaders know how far it is.
            return Err(ErrorCode::GroupIdNotFound);
        }
        if group.consumer.as_ref().is_some_and(|consumer| !consumer.members.is_empty()) {
            // Each partition is checked by itself.
            return Ok(());
        }
        if generation < 0 && group.state == GroupState::Empty {
            // A consumer that assigns its own partitions commits without a generation; only where no member could be in its way.
            return Ok(());
        }
        if in_transaction && is_of_nobody(message) {
            return Ok(());
        }
        let (state, current) = (group.state, group.generation);
        if mutant::is("commit-of-anybody") {
            return Ok(());
        }
        group.validate(&message.member_id, message.group_instance_id.as_deref())?;
        let member = group.members.get_mut(message.member_id.as_str()).ok_or(ErrorCode::UnknownMemberId)?;
        if generation != current {
            return Err(ErrorCode::IllegalGeneration);
        }
        if state == GroupState::CompletingRebalance && !in_transaction {
            return Err(ErrorCode::RebalanceInProgress);
        }
        member.expires = now + member.session_timeout;
        Ok(())
    }

    /// Under the new protocol: whether the member's epoch lets it commit in this partition.
    fn check_epoch(&self, message: &k::OffsetCommitRequest, place: Option<Place>) -> Result<(), ErrorCode> {
        let shard = self.shards.get(&partition_for(&message.group_id, self.config.partitions));
        match shard.and_then(|shard| shard.groups.get(message.group_id.as_str())?.consumer.as_deref()) {
            Some(consumer) if !consumer.members.is_empty() => {
                consumer.check_commit(&message.member_id, message.generation_id_or_member_epoch, place.as_ref())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fetch_offsets(&mut self, reply: ReplyTo, message: &k::OffsetFetchRequest, effects: &mut Effects) {
        let answer = |asked: &k::offset_fetch_request::OffsetFetchRequestGroup| {
            let answer = k::offset_fetch_response::OffsetFetchResponseGroup::default().with_group_id(asked.group_id.clone());
            match self.committed_offsets(asked, message.require_stable) {
                Ok(topics) => answer.with_topics(topics),
                Err(error) => answer.with_error_code(error.code()),
            }
        };
        let groups = message.groups.iter().map(answer).collect();
        effects.replies.push((reply, Response::OffsetFetch(Arc::new(k::OffsetFetchResponse::default().with_groups(groups)))));
    }

    /// What one group has committed: in the partitions that are asked for, or in all in which it has.
    fn committed_offsets(
        &self,
        asked: &k::offset_fetch_request::OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> Result<Vec<k::offset_fetch_response::OffsetFetchResponseTopics>, ErrorCode> {
        let shard = self.shards.get(&partition_for(&asked.group_id, self.config.partitions)).ok_or(ErrorCode::NotCoordinator)?;
        let group = shard.groups.get(asked.group_id.as_str());
        if let Some(consumer) = group.and_then(|group| group.consumer.as_deref()) {
            consumer.check_fetch(asked.member_id.as_deref(), asked.member_epoch)?;
        }
        let told = |topic: &str, index: i32| {
            let key: OffsetKey = (Arc::from(topic), index);
            // Whether it stands is not decided yet (KIP-447).
            let is_open = require_stable && shard.open_of(&asked.group_id).any(|open| *open == key);
            let committed = group.and_then(|group| group.offsets.get(&key)).filter(|_| !is_open);
            k::offset_fetch_response::OffsetFetchResponsePartitions::default()
                .with_partition_index(index)
                .with_committed_offset(committed.map_or(-1, |committed| committed.offset))
                .with_committed_leader_epoch(committed.map_or(-1, |committed| committed.leader_epoch))
                .with_metadata(Some(wire::text(committed.map_or("", |committed| &committed.metadata))))
                .with_error_code(if is_open { ErrorCode::UnstableOffsetCommit } else { ErrorCode::None }.code())
        };
        let Some(topics) = &asked.topics else {
            let mut all: Vec<k::offset_fetch_response::OffsetFetchResponseTopics> = Vec::new();
            for (topic, index) in group.into_iter().flat_map(|group| group.offsets.keys()) {
                if all.last().is_none_or(|last| last.name.as_str() != &**topic) {
                    all.push(k::offset_fetch_response::OffsetFetchResponseTopics::default().with_name(wire::topic(topic)));
                }
                all.last_mut().into_iter().for_each(|last| last.partitions.push(told(topic, *index)));
            }
            return Ok(all);
        };
        let of_topic = |topic: &k::offset_fetch_request::OffsetFetchRequestTopics| {
            let partitions = topic.partition_indexes.iter().map(|index| told(&topic.name, *index)).collect();
            k::offset_fetch_response::OffsetFetchResponseTopics::default().with_name(topic.name.clone()).with_partitions(partitions)
        };
        Ok(topics.iter().map(of_topic).collect())
    }
}
