//! What a voter does that has a leader: it fetches the log from it, and hears when the epoch begins and ends.
//!
//! Source: KIP-595; `KafkaRaftClient.handleFetchResponse`, `handleBeginQuorumEpochRequest`, `handleEndQuorumEpochRequest`.

use super::messages;
use super::{LogEnd, Quorum, Role, Snapshot};
use crate::node::{MS, Time};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::{METADATA_TOPIC_ID, MetadataEntry, MetadataImage};
use crate::protocol::wire::{self, Request};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// How long a leader may keep a fetch for which it has nothing (`KafkaRaftClient.MAX_FETCH_WAIT_MS`).
const FETCH_WAIT_MAX: Time = 500 * MS;

impl Quorum {
    pub(super) fn fetch_request(&self) -> Request {
        let end = self.log.end();
        let mut partition = k::fetch_request::FetchPartition::default();
        partition.current_leader_epoch = self.election.epoch;
        partition.fetch_offset = end.offset;
        partition.last_fetched_epoch = end.epoch;
        partition.high_watermark = self.high_watermark;
        let mut topic = k::fetch_request::FetchTopic::default();
        topic.topic_id = METADATA_TOPIC_ID;
        topic.partitions.push(partition);
        let mut message = k::FetchRequest::default();
        message.replica_state.replica_id = k::BrokerId(self.id);
        message.max_wait_ms = (FETCH_WAIT_MAX / MS) as i32;
        message.topics.push(topic);
        Request::Fetch(Arc::new(message))
    }

    /// The leader has answered. Its answer goes on from where this log ended when it asked: nothing else has been appended since.
    pub(super) fn fetched(&mut self, now: Time, message: &k::FetchResponse, entries: &[MetadataEntry]) {
        let Some(answer) = message.responses.first().and_then(|topic| topic.partitions.first()) else { return };
        let told = &answer.current_leader;
        if self.hear_answer(now, ErrorCode::of(answer.error_code), told.leader_epoch, told.leader_id.0) {
            return;
        }
        let Role::Follower { until, fetched, snapshot } = &mut self.role else { return };
        (*until, *fetched) = (now + self.config.fetch_timeout, true);
        if 0 <= answer.snapshot_id.epoch {
            *snapshot = Some(LogEnd { epoch: answer.snapshot_id.epoch, offset: answer.snapshot_id.end_offset });
        } else if 0 <= answer.diverging_epoch.epoch {
            let end = LogEnd { epoch: answer.diverging_epoch.epoch, offset: answer.diverging_epoch.end_offset };
            let to = self.log.truncate(end);
            assert!(self.high_watermark <= to, "committed records of the metadata log are never cut off");
        } else {
            entries.iter().for_each(|entry| self.log.append(entry.clone()));
            self.high_watermark = self.high_watermark.max(answer.high_watermark.min(self.log.end_offset()));
        }
    }

    pub(super) fn snapshot_request(&self) -> Request {
        let id = match &self.role {
            Role::Follower { snapshot: Some(id), .. } => *id,
            _ => LogEnd::default(),
        };
        Request::FetchSnapshot(Arc::new(wire::snapshot_request(self.id, self.election.epoch, id.epoch, id.offset)))
    }

    /// The leader's snapshot has come, in one piece: the log begins anew with it.
    pub(super) fn snapshot_fetched(&mut self, now: Time, message: &k::FetchSnapshotResponse, image: &Option<Arc<MetadataImage>>) {
        let Some(answer) = message.topics.first().and_then(|topic| topic.partitions.first()) else { return };
        let (error, told) = (ErrorCode::of(answer.error_code), &answer.current_leader);
        let is_over = self.hear_answer(now, error, told.leader_epoch, told.leader_id.0);
        let Role::Follower { until, snapshot, .. } = &mut self.role else { return };
        // Refused, the snapshot may be gone for a newer one: the next fetch tells.
        *snapshot = None;
        let Some(image) = image.as_ref().filter(|_| !is_over) else { return };
        *until = now + self.config.fetch_timeout;
        let end = LogEnd { epoch: answer.snapshot_id.epoch, offset: answer.snapshot_id.end_offset };
        if self.high_watermark < end.offset {
            self.log.restart_from(Snapshot { end, image: image.clone() });
            self.high_watermark = end.offset;
        }
    }

    /// A leader says that its epoch has begun.
    pub(super) fn epoch_begun(&mut self, now: Time, message: &k::BeginQuorumEpochRequest) -> k::BeginQuorumEpochResponse {
        let asked = message.topics.first().and_then(|topic| topic.partitions.first());
        let error = self.hear_leader(now, asked.map(|asked| (asked.leader_epoch, asked.leader_id.0)));
        messages::begin_response(self.told(error))
    }

    /// A leader says that it leads no more. The one that it names first stands for election at once, the others later.
    pub(super) fn epoch_ended(&mut self, now: Time, message: &k::EndQuorumEpochRequest) -> k::EndQuorumEpochResponse {
        let asked = message.topics.first().and_then(|topic| topic.partitions.first());
        let error = self.hear_leader(now, asked.map(|asked| (asked.leader_epoch, asked.leader_id.0)));
        if let Some(asked) = asked.filter(|asked| error == ErrorCode::None && self.election.leader == Some(asked.leader_id.0))
            && let Role::Follower { until, .. } = &mut self.role
        {
            let successors = asked.preferred_candidates.iter().map(|candidate| candidate.candidate_id.0);
            let (place, count) = (successors.clone().position(|successor| successor == self.id).unwrap_or(0), successors.count());
            let backoff_max = self.config.election_backoff_max;
            *until = now + if place == 0 { 0 } else { ((backoff_max >> (count - 1)) << (place - 1)).min(backoff_max) };
        }
        messages::end_response(self.told(error))
    }

    fn hear_leader(&mut self, now: Time, told: Option<(i32, i32)>) -> ErrorCode {
        match told {
            Some((epoch, leader)) if 0 <= leader => {
                if epoch < self.election.epoch {
                    return ErrorCode::FencedLeaderEpoch;
                }
                self.hear(now, epoch, Some(leader));
                ErrorCode::None
            }
            _ => ErrorCode::InvalidRequest,
        }
    }

    pub(super) fn begin_answered(&mut self, now: Time, message: &k::BeginQuorumEpochResponse) {
        if let Some(answer) = message.topics.first().and_then(|topic| topic.partitions.first()) {
            self.hear_answer(now, ErrorCode::of(answer.error_code), answer.leader_epoch, answer.leader_id.0);
        }
    }

    pub(super) fn end_answered(&mut self, now: Time, voter: i32, message: &k::EndQuorumEpochResponse) {
        let Some(answer) = message.topics.first().and_then(|topic| topic.partitions.first()) else { return };
        if self.hear_answer(now, ErrorCode::of(answer.error_code), answer.leader_epoch, answer.leader_id.0) {
            return;
        }
        if let Role::Resigned { told, .. } = &mut self.role {
            told.push(voter);
        }
    }
}
