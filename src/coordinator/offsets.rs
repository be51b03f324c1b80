//! Committed offsets: who may commit, and what a group reads back.
//!
//! Source: `OffsetMetadataManager`. A commit counts when its record is committed, not before.

use super::admin::tombstone;
use super::{Append, Coordinator, Effects, GroupState, ReplyTo, Then, partition_for};
use crate::mutant;
use crate::node::{Time, TopicName};
use crate::protocol::ErrorCode;
use crate::protocol::consumer_group_records::Place;
use crate::protocol::group_records::{GroupKey, OffsetValue};
use crate::protocol::wire::{self, Response};
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

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

impl Coordinator {
    /// `topic_id` knows the cluster's partitions: for those that are not there nothing is committed (`KafkaApis.handleOffsetCommitRequest`).
    pub fn commit_offsets(
        &mut self,
        now: Time,
        reply: ReplyTo,
        message: &k::OffsetCommitRequest,
        topic_id: impl Fn(&str, i32) -> Option<Uuid>,
        effects: &mut Effects,
    ) {
        let config = self.config;
        let known = |topic: &k::offset_commit_request::OffsetCommitRequestTopic| {
            topic.partitions.iter().any(|asked| topic_id(&topic.name, asked.partition_index).is_some())
        };
        // A commit of nothing that exists never reaches the group.
        let checked = if message.topics.iter().any(known) { self.checked_commit(now, message) } else { Ok(()) };
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
                } else if let Err(error) = checked.and_then(|()| self.check_epoch(message, place)) {
                    result.error_code = error.code();
                } else if config.offset_metadata_max < metadata.len() {
                    result.error_code = ErrorCode::OffsetMetadataTooLarge.code();
                } else {
                    let committed = CommittedOffset {
                        offset: asked.committed_offset,
                        leader_epoch: asked.committed_leader_epoch,
                        metadata: metadata.to_owned(),
                        timestamp: config.timestamp(now),
                        expires: None,
                    };
                    offsets.push(((Arc::from(topic.name.as_str()), asked.partition_index), committed));
                }
                answer.partitions.push(result);
            }
            response.topics.push(answer);
        }
        if offsets.is_empty() {
            effects.replies.push((reply, Response::OffsetCommit(Arc::new(response))));
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
        let then = Then::OffsetsCommitted { group: group.clone(), offsets, generations, reply, response: Arc::new(response) };
        effects.appends.push(Append { partition: partition_for(&group, config.partitions), records, then });
    }

    /// Topics are deleted, given by name and number of partitions: what groups committed in them is taken back, in the log first.
    pub fn partitions_deleted(&mut self, deleted: &[(TopicName, i32)], effects: &mut Effects) {
        for (partition, shard) in &self.shards {
            for group in shard.groups.values() {
                let gone = |key: &&OffsetKey| deleted.iter().any(|(topic, count)| *topic == key.0 && (0..*count).contains(&key.1));
                let offsets: Vec<OffsetKey> = group.offsets.keys().filter(gone).cloned().collect();
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

    fn checked_commit(&mut self, now: Time, message: &k::OffsetCommitRequest) -> Result<(), ErrorCode> {
        let generation = message.generation_id_or_member_epoch;
        let shard = self.shard_mut(&message.group_id)?;
        let Some(group) = shard.groups.get_mut(message.group_id.as_str()) else {
            return if 0 <= generation { Err(ErrorCode::IllegalGeneration) } else { Ok(()) };
        };
        if group.consumer.as_ref().is_some_and(|consumer| !consumer.members.is_empty()) {
            // Each partition is checked by itself.
            return Ok(());
        }
        if generation < 0 && group.state == GroupState::Empty {
            // A consumer that assigns its own partitions commits without a generation; only where no member could be in its way.
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
        if state == GroupState::CompletingRebalance {
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
        let mut response = k::OffsetFetchResponse::default();
        for asked in &message.groups {
            let mut answer = k::offset_fetch_response::OffsetFetchResponseGroup::default();
            answer.group_id = asked.group_id.clone();
            match self.shard_mut(&asked.group_id) {
                Err(error) => answer.error_code = error.code(),
                Ok(shard) => {
                    let group = shard.groups.get(asked.group_id.as_str());
                    let consumer = group.and_then(|group| group.consumer.as_deref());
                    if let Some(Err(error)) = consumer.map(|consumer| consumer.check_fetch(asked.member_id.as_deref(), asked.member_epoch))
                    {
                        answer.error_code = error.code();
                        response.groups.push(answer);
                        continue;
                    }
                    for topic in asked.topics.iter().flatten() {
                        let mut topic_answer = k::offset_fetch_response::OffsetFetchResponseTopics::default();
                        topic_answer.name = topic.name.clone();
                        for index in &topic.partition_indexes {
                            let key: OffsetKey = (Arc::from(topic.name.as_str()), *index);
                            let committed = group.and_then(|group| group.offsets.get(&key));
                            let mut partition = k::offset_fetch_response::OffsetFetchResponsePartitions::default();
                            partition.partition_index = *index;
                            partition.committed_offset = committed.map_or(-1, |committed| committed.offset);
                            partition.committed_leader_epoch = committed.map_or(-1, |committed| committed.leader_epoch);
                            partition.metadata = Some(wire::text(committed.map_or("", |committed| &committed.metadata)));
                            topic_answer.partitions.push(partition);
                        }
                        answer.topics.push(topic_answer);
                    }
                }
            }
            response.groups.push(answer);
        }
        effects.replies.push((reply, Response::OffsetFetch(Arc::new(response))));
    }
}
