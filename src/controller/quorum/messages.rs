//! The answers of the quorum's requests, which all name the epoch and its leader.

use crate::protocol::ErrorCode;
use crate::protocol::metadata::METADATA_TOPIC;
use crate::protocol::wire;
use kafka_protocol::messages as k;

/// What an answer says of the epoch.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub error: ErrorCode,
    pub epoch: i32,
    pub leader: Option<i32>,
}

impl Told {
    pub fn leader(&self) -> k::BrokerId {
        k::BrokerId(self.leader.unwrap_or(-1))
    }
}

pub(super) fn topic() -> k::TopicName {
    wire::topic(METADATA_TOPIC)
}

pub(super) fn vote_response(told: Told, granted: bool) -> k::VoteResponse {
    let mut partition = k::vote_response::PartitionData::default();
    partition.error_code = told.error.code();
    (partition.leader_id, partition.leader_epoch, partition.vote_granted) = (told.leader(), told.epoch, granted);
    let mut answer = k::vote_response::TopicData::default();
    answer.topic_name = topic();
    answer.partitions.push(partition);
    let mut response = k::VoteResponse::default();
    response.topics.push(answer);
    response
}

pub(super) fn begin_response(told: Told) -> k::BeginQuorumEpochResponse {
    let mut partition = k::begin_quorum_epoch_response::PartitionData::default();
    partition.error_code = told.error.code();
    (partition.leader_id, partition.leader_epoch) = (told.leader(), told.epoch);
    let mut answer = k::begin_quorum_epoch_response::TopicData::default();
    answer.topic_name = topic();
    answer.partitions.push(partition);
    let mut response = k::BeginQuorumEpochResponse::default();
    response.topics.push(answer);
    response
}

pub(super) fn end_response(told: Told) -> k::EndQuorumEpochResponse {
    let mut partition = k::end_quorum_epoch_response::PartitionData::default();
    partition.error_code = told.error.code();
    (partition.leader_id, partition.leader_epoch) = (told.leader(), told.epoch);
    let mut answer = k::end_quorum_epoch_response::TopicData::default();
    answer.topic_name = topic();
    answer.partitions.push(partition);
    let mut response = k::EndQuorumEpochResponse::default();
    response.topics.push(answer);
    response
}
