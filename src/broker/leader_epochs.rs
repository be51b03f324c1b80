//! OffsetForLeaderEpoch: where an epoch ends in the leader's log, so that whoever read more can find where the logs parted.
//!
//! Source: `ReplicaManager.lastOffsetForLeaderEpoch`, `Partition.lastOffsetForLeaderEpoch`; KIP-101, KIP-279, KIP-320.

use super::Broker;
use crate::protocol::ErrorCode;
use crate::replica::PartitionKey;
use crate::storage::EpochEnd;
use k::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use k::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages as k;

impl Broker {
    pub(super) fn offsets_for_leader_epochs(&self, message: &k::OffsetForLeaderEpochRequest) -> k::OffsetForLeaderEpochResponse {
        let mut response = k::OffsetForLeaderEpochResponse::default();
        for topic in &message.topics {
            let mut answer = OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone());
            for asked in &topic.partitions {
                let mut result = EpochEndOffset::default().with_partition(asked.partition).with_leader_epoch(-1).with_end_offset(-1);
                match self.end_of_epoch(topic.topic.as_str(), asked) {
                    Err(error) => result.error_code = error.code(),
                    Ok(found) => (result.leader_epoch, result.end_offset) = (found.epoch, found.end),
                }
                answer.partitions.push(result);
            }
            response.topics.push(answer);
        }
        response
    }

    fn end_of_epoch(&self, topic: &str, asked: &OffsetForLeaderPartition) -> Result<EpochEnd, ErrorCode> {
        let topic = *self.image.topic_ids.get(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let replica = self.replica(PartitionKey { topic, index: asked.partition })?;
        replica.check_leader(asked.current_leader_epoch)?;
        Ok(replica.end_of_epoch(asked.leader_epoch))
    }
}
