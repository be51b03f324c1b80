//! Commands about groups: what `kafka-consumer-groups.sh` does with offsets, and where a coordinator is.
//!
//! Source: `ConsumerGroupCommand.resetOffsets` and its `OffsetsUtils`. What is asked about groups and logs is asked of the brokers that answer such
//! requests; the new offsets are committed by a request of their own.

use super::command::{Refusal, ResetTo};
use super::topics::{answered, elect_leader, leader_of, reassign};
use crate::broker::{Broker, EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};
use crate::coordinator::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC, partition_for};
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, Request, Response};
use crate::sim::{ProcessState, Trace, World};
use kafka_protocol::messages as k;
use serde_json::Value;
use std::sync::Arc;

/// Sets where an inactive group goes on reading a topic.
pub(super) fn reset_offsets(
    world: &mut World,
    trace: &mut Trace,
    group: &str,
    topic: &str,
    partition: Option<i32>,
    to: ResetTo,
) -> Result<Value, Refusal> {
    if matches!(to, ResetTo::Timestamp { timestamp } if timestamp < 0) {
        return Err(Refusal::argument("to.timestamp", "A timestamp is not negative."));
    }
    if group.is_empty() {
        return Err(Refusal::kafka(ErrorCode::InvalidGroupId, ErrorCode::InvalidGroupId.message()).at("group"));
    }
    let unknown = |what: String, field| Err(Refusal::kafka(ErrorCode::UnknownTopicOrPartition, format!("There is no {what}.")).at(field));
    let Some(known) = world.controller().image().topic(topic) else { return unknown(format!("topic {topic}"), "topic") };
    let count = known.partitions.len() as i32;
    let indexes = match partition {
        None => 0..count,
        Some(index) if (0..count).contains(&index) => index..index + 1,
        Some(index) => return unknown(format!("partition {topic}-{index}"), "partition"),
    };
    if world.controller().image().topic(OFFSETS_TOPIC).is_none() {
        // Nobody has asked for a coordinator yet: who asks has the topic made, and comes again.
        let commit = commit_of(world, group, topic, indexes, to, |_| None)?;
        world.commit_when_coordinated(commit, trace);
        return Ok(Value::Null);
    }
    let (coordinator, broker) = coordinator_of(world, group)?;
    let state = broker.coordinator().group(group).map_err(|error| Refusal::kafka(error, error.message()).at("group"))?;
    if let Some(active) = state.filter(|group| !group.is_empty()) {
        let state = active.state_name();
        let sentence = format!("Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}.");
        return Err(Refusal::kafka(ErrorCode::NonEmptyGroup, sentence).at("group"));
    }
    if state.is_some_and(|group| group.share.is_some()) {
        return reset_share_offsets(world, trace, coordinator, group, topic, indexes, to);
    }
    let committed = |index| state?.offsets.get(&(Arc::from(topic), index)).map(|committed| committed.offset);
    let commit = commit_of(world, group, topic, indexes, to, committed)?;
    let Some(Response::OffsetCommit(answer)) = world.ask_broker(coordinator, Request::OffsetCommit(commit), trace) else {
        return Ok(Value::Null);
    };
    let error = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|result| result.error_code).find(|code| *code != 0);
    answered((error.unwrap_or(0), None), |_| "group")
}

/// The commit that has a group go on from elsewhere; `committed` is what it has committed of a partition.
fn commit_of(
    world: &World,
    group: &str,
    topic: &str,
    indexes: std::ops::Range<i32>,
    to: ResetTo,
    committed: impl Fn(i32) -> Option<i64>,
) -> Result<Arc<k::OffsetCommitRequest>, Refusal> {
    let mut offsets = Vec::new();
    for index in indexes {
        let offset = new_offset(world, topic, index, committed(index), to)?;
        let asked = k::offset_commit_request::OffsetCommitRequestPartition::default().with_partition_index(index);
        offsets.push(asked.with_committed_offset(offset).with_committed_metadata(Some(wire::text(""))));
    }
    let topic = k::offset_commit_request::OffsetCommitRequestTopic::default().with_name(wire::topic(topic)).with_partitions(offsets);
    let message = k::OffsetCommitRequest::default().with_group_id(k::GroupId(wire::text(group)));
    Ok(Arc::new(message.with_generation_id_or_member_epoch(-1).with_topics(vec![topic])))
}

/// Has a share group go on from elsewhere (`ShareGroupCommand.resetOffsets`). That is done when the share coordinators have it.
fn reset_share_offsets(
    world: &mut World,
    trace: &mut Trace,
    coordinator: i32,
    group: &str,
    topic: &str,
    indexes: std::ops::Range<i32>,
    to: ResetTo,
) -> Result<Value, Refusal> {
    use k::alter_share_group_offsets_request as asked;
    if matches!(to, ResetTo::ShiftBy { .. }) {
        return Err(Refusal::argument("to.shiftBy", "A share group has no one committed offset that could be shifted."));
    }
    let mut partitions = Vec::new();
    for index in indexes {
        let start = new_offset(world, topic, index, None, to)?;
        partitions.push(asked::AlterShareGroupOffsetsRequestPartition::default().with_partition_index(index).with_start_offset(start));
    }
    let topic = asked::AlterShareGroupOffsetsRequestTopic::default().with_topic_name(wire::topic(topic)).with_partitions(partitions);
    let message = k::AlterShareGroupOffsetsRequest::default().with_group_id(k::GroupId(wire::text(group))).with_topics(vec![topic]);
    match world.ask_broker(coordinator, Request::AlterShareGroupOffsets(Arc::new(message)), trace) {
        Some(response) => answered((response.error().code(), None), |_| "group"),
        None => Ok(Value::Null),
    }
}

/// Within what the log has, whatever is asked.
fn new_offset(world: &World, topic: &str, index: i32, committed: Option<i64>, to: ResetTo) -> Result<i64, Refusal> {
    let look = |timestamp| offset_at(world, topic, index, timestamp);
    let asked = match to {
        ResetTo::Earliest => return look(EARLIEST_TIMESTAMP),
        ResetTo::Latest => return look(LATEST_TIMESTAMP),
        ResetTo::Timestamp { timestamp } => {
            let found = look(timestamp)?;
            return if found < 0 { look(LATEST_TIMESTAMP) } else { Ok(found) };
        }
        ResetTo::Offset { offset } => offset,
        ResetTo::ShiftBy { by } => {
            let sentence = || format!("Cannot shift offset for partition {topic}-{index} since there is no current committed offset.");
            committed.ok_or_else(|| Refusal::argument("to.shiftBy", sentence()))?.saturating_add(by)
        }
    };
    Ok(asked.max(look(EARLIEST_TIMESTAMP)?).min(look(LATEST_TIMESTAMP)?))
}

/// What the leader answers to ListOffsets; negative if there is no record so late.
fn offset_at(world: &World, topic: &str, index: i32, timestamp: i64) -> Result<i64, Refusal> {
    let leader = leader_of(world, topic, index)?;
    let asked = k::list_offsets_request::ListOffsetsPartition::default().with_partition_index(index).with_timestamp(timestamp);
    let asked = k::list_offsets_request::ListOffsetsTopic::default().with_name(wire::topic(topic)).with_partitions(vec![asked]);
    let message = k::ListOffsetsRequest::default().with_replica_id(k::BrokerId(-1)).with_topics(vec![asked]);
    let answer = world.broker(leader).map(|(broker, _)| broker.list_offsets(&message).0).unwrap_or_default();
    let found = answer.topics.iter().flat_map(|topic| &topic.partitions).next().map(|found| (found.error_code, found.offset));
    let (code, offset) = found.unwrap_or((ErrorCode::LeaderNotAvailable.code(), -1));
    answered((code, None), |_| "partition").map(|_| offset)
}

/// The broker that coordinates a group, which runs.
fn coordinator_of<'a>(world: &'a World, group: &str) -> Result<(i32, &'a Broker), Refusal> {
    let nobody = || Refusal::kafka(ErrorCode::CoordinatorNotAvailable, format!("No coordinator of group {group} answers.")).at("group");
    let topic = world.controller().image().topic(OFFSETS_TOPIC).ok_or_else(nobody)?;
    let index = partition_for(group, topic.partitions.len() as i32);
    let leader = leader_of(world, OFFSETS_TOPIC, index).map_err(|_| nobody())?;
    world.broker(leader).map(|(broker, _)| (leader, broker)).ok_or_else(nobody)
}

/// Makes a broker coordinator of a group or of a transactional id: it is to lead the partition that holds its state. There is no request for that;
/// an admin makes the broker the partition's preferred replica and has that one elected. A broker that has none of it gets one in the leader's place, and
/// leads as soon as that is in sync.
pub(super) fn move_coordinator(
    world: &mut World,
    trace: &mut Trace,
    group: Option<&str>,
    transactional_id: Option<&str>,
    broker: i32,
) -> Result<Value, Refusal> {
    let (topic, id, field) = match (group, transactional_id) {
        (Some(group), None) => (OFFSETS_TOPIC, group, "group"),
        (None, Some(id)) => (TRANSACTIONS_TOPIC, id, "transactionalId"),
        _ => return Err(Refusal::argument("group", "Name a group or a transactionalId, one of the two.")),
    };
    let Some(known) = world.controller().image().topic(topic) else {
        return Err(Refusal::kafka(ErrorCode::CoordinatorNotAvailable, format!("There is no {topic} yet.")).at(field));
    };
    let index = partition_for(id, known.partitions.len() as i32);
    let Some(state) = known.partitions.get(index as usize) else { return Ok(Value::Null) };
    let runs = world.broker(broker).is_some_and(|(_, state)| state == ProcessState::Running);
    let is_replica = state.replicas.contains(&broker);
    if !runs || is_replica && !state.isr.contains(&broker) {
        let sentence = format!("{topic}-{index} holds {id}; broker {broker} does not run, or its replica is not in sync.");
        return Err(Refusal::kafka(ErrorCode::EligibleLeadersNotAvailable, sentence).at("broker"));
    }
    if state.leader == Some(broker) {
        return Err(Refusal::kafka(ErrorCode::ElectionNotNeeded, format!("Broker {broker} coordinates {id} already.")).at("broker"));
    }
    let mut replicas = state.replicas.clone();
    let leaves = if is_replica { Some(broker) } else { state.leader.or(replicas.first().copied()) };
    replicas.retain(|own| Some(*own) != leaves);
    replicas.insert(0, broker);
    if !is_replica {
        return reassign(world, trace, topic, index, Some(&replicas));
    }
    if state.replicas != replicas {
        reassign(world, trace, topic, index, Some(&replicas))?;
    }
    elect_leader(world, trace, topic, index, false)
}
