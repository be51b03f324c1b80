//! DescribeTopicPartitions: topics partition by partition, as many as one answer may hold, and where to go on (KIP-966).
//!
//! Source: `DescribeTopicPartitionsRequestHandler`, `KRaftMetadataCache.describeTopicResponse`.

use super::Broker;
use crate::coordinator::is_internal;
use crate::ordered::OrderedSet;
use crate::protocol::metadata::PartitionState;
use crate::protocol::operations;
use crate::protocol::wire;
use crate::protocol::{ErrorCode, validate_topic_name};
use k::describe_topic_partitions_response::{Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic};
use kafka_protocol::messages as k;

impl Broker {
    pub(super) fn describe_topic_partitions(&self, message: &k::DescribeTopicPartitionsRequest) -> k::DescribeTopicPartitionsResponse {
        let mut response = k::DescribeTopicPartitionsResponse::default();
        let is_for_all = message.topics.is_empty();
        let from = message.cursor.as_ref().map_or(("", 0), |cursor| (cursor.topic_name.as_str(), cursor.partition_index));
        let asked = message.topics.iter().map(|topic| topic.name.as_str());
        let all = self.image.topic_ids.keys().map(|name| &**name).filter(|_| is_for_all);
        let names: OrderedSet<&str> = asked.chain(all).filter(|name| from.0 <= *name).collect();
        let is_lost = !is_for_all && message.cursor.is_some() && !names.contains(from.0);
        if is_lost || from.1 < 0 {
            // A cursor that no answer has named.
            let refused = |name: &k::TopicName| {
                let topic = DescribeTopicPartitionsResponseTopic::default().with_name(Some(name.clone()));
                topic.with_error_code(ErrorCode::InvalidRequest.code())
            };
            response.topics = message.topics.iter().map(|topic| refused(&topic.name)).collect();
            return response;
        }
        let mut left = message.response_partition_limit.min(self.config.partitions_described_max).max(1) as usize;
        for name in names.iter() {
            if left == 0 {
                response.next_cursor = Some(cursor(name, 0));
                return response;
            }
            let mut answer = DescribeTopicPartitionsResponseTopic::default().with_name(Some(wire::topic(name)));
            answer.is_internal = is_internal(name);
            answer.topic_authorized_operations = operations::ON_TOPICS;
            let Some(topic) = self.image.topic(name) else {
                if !is_for_all {
                    let is_valid = validate_topic_name(name).is_ok();
                    let error = if is_valid { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
                    answer.error_code = error.code();
                    response.topics.push(answer);
                }
                continue;
            };
            let first = if *name == from.0 { from.1 } else { 0 };
            let described = (0i32..).zip(&topic.partitions).skip(first as usize).take(left);
            answer.topic_id = topic.id;
            answer.partitions = described.map(|(index, state)| self.describe_partition(index, state)).collect();
            let next = first + answer.partitions.len() as i32;
            left -= answer.partitions.len();
            response.topics.push(answer);
            if next < topic.partitions.len() as i32 {
                response.next_cursor = Some(cursor(name, next));
                return response;
            }
        }
        response
    }

    fn describe_partition(&self, index: i32, state: &PartitionState) -> DescribeTopicPartitionsResponsePartition {
        let ids = |brokers: &[i32]| brokers.iter().map(|id| k::BrokerId(*id)).collect::<Vec<_>>();
        let mut partition = DescribeTopicPartitionsResponsePartition::default().with_partition_index(index);
        (partition.leader_id, partition.leader_epoch) = (k::BrokerId(state.leader.unwrap_or(-1)), state.leader_epoch);
        (partition.replica_nodes, partition.isr_nodes) = (ids(&state.replicas), ids(&state.isr));
        partition.offline_replicas = ids(&self.offline_among(&state.replicas));
        (partition.eligible_leader_replicas, partition.last_known_elr) = (Some(ids(&state.elr)), Some(ids(&state.last_known_elr)));
        partition
    }
}

fn cursor(topic: &str, partition: i32) -> Cursor {
    Cursor::default().with_topic_name(wire::topic(topic)).with_partition_index(partition)
}
