//! Elections that somebody asks for: the preferred replica is to lead again.
//!
//! Source: `ReplicationControlManager.electLeaders`. Unclean elections are not made yet.

use super::Controller;
use crate::mutant;
use crate::node::Outputs;
use crate::protocol::ErrorCode;
use crate::protocol::wire;
use k::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages as k;

/// `ElectionType.PREFERRED` on the wire.
const PREFERRED: i8 = 0;

impl Controller {
    /// Each partition succeeds or fails by itself.
    pub(super) fn elect_leaders(&mut self, message: &k::ElectLeadersRequest, out: &mut Outputs) -> k::ElectLeadersResponse {
        let mut response = k::ElectLeadersResponse::default();
        for topic in message.topic_partitions.iter().flatten() {
            let mut answer = ReplicaElectionResult::default();
            answer.topic = topic.topic.clone();
            for index in &topic.partitions {
                let mut result = PartitionResult::default();
                result.partition_id = *index;
                let elected = if message.election_type == PREFERRED {
                    self.elect_preferred(&topic.topic, *index, out)
                } else {
                    Err(ErrorCode::UnsupportedVersion)
                };
                if let Err(error) = elected {
                    result.error_code = error.code();
                    result.error_message = Some(wire::text(error.message()));
                }
                answer.partition_result.push(result);
            }
            response.replica_election_results.push(answer);
        }
        response
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
