//! Elections that somebody asks for: the preferred replica is to lead again, or any live one where nobody leads.
//!
//! Source: `ReplicationControlManager.electLeaders`; KIP-460. An unclean election that is asked for needs no `unclean.leader.election.enable`.

use super::Controller;
use super::elections::Election;
use crate::mutant;
use crate::node::Outputs;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::TopicMetadata;
use crate::protocol::wire;
use k::elect_leaders_request::TopicPartitions;
use k::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages as k;

/// `ElectionType.PREFERRED` on the wire.
const PREFERRED: i8 = 0;
/// `ElectionType.UNCLEAN` on the wire.
pub const UNCLEAN: i8 = 1;

impl Controller {
    /// Each partition succeeds or fails by itself. Null asks for all of them, and what needs no election goes without saying then.
    pub(super) fn elect_leaders(&mut self, message: &k::ElectLeadersRequest, out: &mut Outputs) -> k::ElectLeadersResponse {
        let mut response = k::ElectLeadersResponse::default();
        let asked = message.topic_partitions.clone().unwrap_or_else(|| self.all_partitions());
        for topic in asked {
            let mut answer = ReplicaElectionResult::default();
            for index in &topic.partitions {
                let elected = match message.election_type {
                    PREFERRED => self.elect_preferred(&topic.topic, *index, out),
                    UNCLEAN => self.elect_unclean(&topic.topic, *index, out),
                    _ => Err(ErrorCode::InvalidRequest),
                };
                if message.topic_partitions.is_none() && elected == Err(ErrorCode::ElectionNotNeeded) {
                    continue;
                }
                let mut result = PartitionResult::default();
                result.partition_id = *index;
                if let Err(error) = elected {
                    result.error_code = error.code();
                    result.error_message = Some(wire::text(error.message()));
                }
                answer.partition_result.push(result);
            }
            answer.topic = topic.topic;
            response.replica_election_results.push(answer);
        }
        response
    }

    fn all_partitions(&self) -> Vec<TopicPartitions> {
        let all = |topic: &TopicMetadata| {
            let partitions = (0..topic.partitions.len() as i32).collect();
            TopicPartitions::default().with_topic(wire::topic(&topic.name)).with_partitions(partitions)
        };
        self.image.topics.values().map(all).collect()
    }

    fn elect_unclean(&mut self, topic: &str, index: i32, out: &mut Outputs) -> Result<(), ErrorCode> {
        let id = self.image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?.id;
        let state = self.image.partition(&id, index).cloned().ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if state.leader.is_some() {
            return Err(ErrorCode::ElectionNotNeeded);
        }
        self.change_with(id, index, state, Election::UncleanRequested, out);
        let leads = self.image.partition(&id, index).is_some_and(|state| state.leader.is_some());
        if leads { Ok(()) } else { Err(ErrorCode::EligibleLeadersNotAvailable) }
    }

    fn elect_preferred(&mut self, topic: &str, index: i32, out: &mut Outputs) -> Result<(), ErrorCode> {
        let id = self.image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?.id;
        let mut state = self.image.partition(&id, index).cloned().ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let preferred = state.replicas.first().copied();
        if state.leader == preferred {
            return Err(ErrorCode::ElectionNotNeeded);
        }
        let preferred = preferred.ok_or(ErrorCode::PreferredLeaderNotAvailable)?;
        if mutant::is("preferred-outside-isr") && !state.isr.contains(&preferred) {
            state.isr.push(preferred);
        }
        if !state.isr.contains(&preferred) || !self.image.is_live(preferred) {
            return Err(ErrorCode::PreferredLeaderNotAvailable);
        }
        state.leader = Some(preferred);
        self.change(id, index, state, out);
        Ok(())
    }
}
