//! What the leader knows of everybody who follows its log (DescribeQuorum).
//!
//! Source: KIP-595, KIP-836; `KafkaRaftClient.handleDescribeQuorumRequest`, `LeaderState.describeQuorum`.

use super::leader::Progress;
use super::{Quorum, Role, messages};
use crate::node::{MS, Time};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::METADATA_TOPIC;
use k::describe_quorum_response::{Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages as k;

/// An observer that is silent for longer is one no more (`OBSERVER_SESSION_TIMEOUT_MS`).
const OBSERVER_TIMEOUT: Time = 300_000 * MS;

impl Quorum {
    pub(super) fn describe(&self, now: Time, message: &k::DescribeQuorumRequest) -> k::DescribeQuorumResponse {
        let mut partition = PartitionData::default();
        let asks_for_the_log = match message.topics.as_slice() {
            [topic] => {
                topic.topic_name.as_str() == METADATA_TOPIC && matches!(topic.partitions.as_slice(), [one] if one.partition_index == 0)
            }
            _ => false,
        };
        let mut response = k::DescribeQuorumResponse::default();
        match &self.role {
            _ if !asks_for_the_log => {
                // As it was asked, with an error at each partition.
                let unknown = |asked: &k::describe_quorum_request::PartitionData| {
                    let answer = PartitionData::default().with_partition_index(asked.partition_index);
                    answer.with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                };
                let told = |topic: &k::describe_quorum_request::TopicData| {
                    let answer = TopicData::default().with_topic_name(topic.topic_name.clone());
                    answer.with_partitions(topic.partitions.iter().map(unknown).collect())
                };
                return response.with_topics(message.topics.iter().map(told).collect());
            }
            Role::Leader(leadership) => {
                let wall = |at: Option<Time>| at.map_or(-1, |at| self.config.start_timestamp + (at / MS) as i64);
                let state = |id: i32, progress: &Progress| {
                    let state = ReplicaState::default().with_replica_id(k::BrokerId(id)).with_log_end_offset(progress.end);
                    state.with_last_fetch_timestamp(wall(progress.fetched_at)).with_last_caught_up_timestamp(wall(progress.caught_up_at))
                };
                let own = Progress { end: self.log.end_offset(), fetched_at: Some(now), caught_up_at: Some(now) };
                partition.current_voters = vec![state(self.id, &own)];
                partition.current_voters.extend(leadership.followers.iter().map(|(id, progress)| state(*id, progress)));
                partition.current_voters.sort_by_key(|voter| voter.replica_id.0);
                let is_heard = |progress: &Progress| progress.fetched_at.is_some_and(|at| now <= at + OBSERVER_TIMEOUT);
                let observers = leadership.observers.iter().filter(|(_, progress)| is_heard(progress));
                partition.observers = observers.map(|(id, progress)| state(*id, progress)).collect();
                (partition.leader_id, partition.leader_epoch) = (k::BrokerId(self.id), self.election.epoch);
                partition.high_watermark = if self.leads_committed() { self.high_watermark } else { -1 };
                response.nodes = self.config.voters.iter().map(|id| Node::default().with_node_id(k::BrokerId(*id))).collect();
            }
            _ => {
                partition.error_code = ErrorCode::NotLeaderOrFollower.code();
                (partition.leader_id, partition.leader_epoch) = (k::BrokerId(self.election.leader.unwrap_or(-1)), self.election.epoch);
            }
        }
        response.with_topics(vec![TopicData::default().with_topic_name(messages::topic()).with_partitions(vec![partition])])
    }
}
