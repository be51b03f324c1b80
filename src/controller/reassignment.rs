//! Moving a partition to other brokers while it is used.
//!
//! New replicas join the assignment at once and catch up from the leader; the old ones leave it when every new one is in the ISR. Until then
//! the move can be taken back. Source: KIP-455, KIP-860; `ReplicationControlManager.alterPartitionReassignments`,
//! `PartitionReassignmentReplicas`, `PartitionReassignmentRevert`.

use super::{Controller, Refused};
use crate::mutant;
use crate::node::{NoteKind, Outputs, Partition};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::PartitionState;
use crate::protocol::wire;
use k::alter_partition_reassignments_request::ReassignablePartition;
use k::alter_partition_reassignments_response::{ReassignablePartitionResponse, ReassignableTopicResponse};
use k::list_partition_reassignments_response::{OngoingPartitionReassignment, OngoingTopicReassignment};
use kafka_protocol::messages as k;
use uuid::Uuid;

#[cfg(test)]
#[path = "reassignment_test.rs"]
mod reassignment_test;

impl Controller {
    /// Each partition succeeds or fails by itself.
    pub(super) fn alter_partition_reassignments(
        &mut self,
        message: &k::AlterPartitionReassignmentsRequest,
        out: &mut Outputs,
    ) -> k::AlterPartitionReassignmentsResponse {
        let mut response = k::AlterPartitionReassignmentsResponse::default();
        for topic in &message.topics {
            let mut answer = ReassignableTopicResponse::default();
            answer.name = topic.name.clone();
            for asked in &topic.partitions {
                let mut result = ReassignablePartitionResponse::default();
                result.partition_index = asked.partition_index;
                if let Err((error, sentence)) = self.reassign(&topic.name, asked, message.allow_replication_factor_change, out) {
                    result.error_code = error.code();
                    result.error_message = Some(wire::text(&sentence));
                }
                answer.partitions.push(result);
            }
            response.responses.push(answer);
        }
        response
    }

    /// The moves under way of the partitions that are named, or of all. What is not moving, or not there, is left out.
    pub(super) fn list_partition_reassignments(
        &self,
        message: &k::ListPartitionReassignmentsRequest,
    ) -> k::ListPartitionReassignmentsResponse {
        let mut response = k::ListPartitionReassignmentsResponse::default();
        for topic in self.image.topics.values() {
            let asked = message.topics.as_ref().map(|topics| topics.iter().filter(|asked| *asked.name.0 == *topic.name));
            let is_asked = |index: i32| asked.clone().is_none_or(|mut asked| asked.any(|asked| asked.partition_indexes.contains(&index)));
            let mut answer = OngoingTopicReassignment::default().with_name(wire::topic(&topic.name));
            for (index, state) in (0..).zip(&topic.partitions).filter(|(index, _)| is_asked(*index)) {
                if state.adding.is_empty() && state.removing.is_empty() {
                    continue;
                }
                let ids = |brokers: &[i32]| brokers.iter().map(|broker| k::BrokerId(*broker)).collect();
                let moving = OngoingPartitionReassignment::default().with_partition_index(index).with_replicas(ids(&state.replicas));
                answer.partitions.push(moving.with_adding_replicas(ids(&state.adding)).with_removing_replicas(ids(&state.removing)));
            }
            if !answer.partitions.is_empty() {
                response.topics.push(answer);
            }
        }
        response
    }

    fn reassign(&mut self, topic: &str, asked: &ReassignablePartition, any_factor: bool, out: &mut Outputs) -> Result<(), Refused> {
        let index = asked.partition_index;
        let unknown = || (ErrorCode::UnknownTopicOrPartition, format!("There is no partition {topic}-{index}."));
        let known = self.image.topic(topic).ok_or_else(unknown)?;
        let (id, partition) = (known.id, Partition { topic: known.name.clone(), index });
        let state = self.image.partition(&id, index).ok_or_else(unknown)?;
        let Some(target) = &asked.replicas else {
            let allows_unclean = known.allows_unclean(self.elects_uncleanly());
            let before =
                reverted(state, allows_unclean, |broker| self.image.is_live(broker)).map_err(|error| (error, reason(error, &partition)))?;
            out.note(NoteKind::ReassignmentCancelled { partition, replicas: before.replicas.clone() });
            self.change(id, index, before, out);
            return Ok(());
        };
        let target = self.checked_assignment(target, None)?;
        let factor = state.replicas.len() - state.removing.len();
        if !any_factor && target.len() != factor {
            let sentence = format!("{} replicas where {topic}-{index} has {factor}, which was not to change.", target.len());
            return Err((ErrorCode::InvalidReplicationFactor, sentence));
        }
        let reassigned = reassigned(state, &target);
        if reassigned != *state {
            let (adding, removing) = (reassigned.adding.clone(), reassigned.removing.clone());
            out.note(NoteKind::ReassignmentStarted { partition, replicas: target, adding, removing });
            self.change(id, index, reassigned, out);
        }
        Ok(())
    }

    /// Says that a partition has moved, and where to.
    pub(super) fn note_reassigned(&self, topic: &Uuid, index: i32, replicas: &[i32], out: &mut Outputs) {
        if let Some(topic) = self.image.topics.get(topic) {
            let partition = Partition { topic: topic.name.clone(), index };
            out.note(NoteKind::ReassignmentCompleted { partition, replicas: replicas.to_vec() });
        }
    }
}

fn without(all: &[i32], these: &[i32]) -> Vec<i32> {
    all.iter().copied().filter(|one| !these.contains(one)).collect()
}

/// The partition on its way to `target`: the replicas that leave stand last. It starts from the replicas that it has: one that an earlier move was
/// adding counts as an old one. As in Kafka, of a move under way stays what the new one has none of: who comes, or who leaves.
fn reassigned(state: &PartitionState, target: &[i32]) -> PartitionState {
    let in_order = |mut brokers: Vec<i32>| {
        brokers.sort_unstable();
        brokers
    };
    let (leaving, coming) = (in_order(without(&state.replicas, target)), in_order(without(target, &state.replicas)));
    let replicas = target.iter().chain(&leaving).copied().collect();
    let or_as_before = |brokers: Vec<i32>, before: &[i32]| if brokers.is_empty() { before.to_vec() } else { brokers };
    let (adding, removing) = (or_as_before(coming, &state.adding), or_as_before(leaving, &state.removing));
    PartitionState { replicas, adding, removing, ..state.clone() }
}

/// Why a move cannot be taken back.
fn reason(error: ErrorCode, partition: &Partition) -> String {
    let Partition { topic, index } = partition;
    match error {
        ErrorCode::InvalidReplicaAssignment => {
            format!("Unable to revert partition assignment for {topic}:{index} because it would require an unclean leader election.")
        }
        _ => error.message().to_owned(),
    }
}

/// The partition as it was before its move. Where only new replicas are in sync, one of the old ones leads then who may lack something, if `allows_unclean`
/// says so: any that is alive, or else the first, which counts as in sync from now on and leads when it comes (`PartitionReassignmentRevert`).
fn reverted(state: &PartitionState, allows_unclean: bool, is_live: impl Fn(i32) -> bool) -> Result<PartitionState, ErrorCode> {
    if state.adding.is_empty() && state.removing.is_empty() {
        return Err(ErrorCode::NoReassignmentInProgress);
    }
    let (replicas, mut isr) = (without(&state.replicas, &state.adding), without(&state.isr, &state.adding));
    if isr.is_empty() && !allows_unclean {
        return Err(ErrorCode::InvalidReplicaAssignment);
    }
    if isr.is_empty() && !replicas.iter().any(|replica| is_live(*replica)) {
        isr.extend(replicas.first());
    }
    Ok(PartitionState { replicas, isr, adding: Vec::new(), removing: Vec::new(), ..state.clone() })
}

/// Ends the move if every replica that stays is in sync. Returns whether it does.
pub(super) fn complete(state: &mut PartitionState) -> bool {
    if state.adding.is_empty() && state.removing.is_empty() {
        return false;
    }
    let replicas = without(&state.replicas, &state.removing);
    let mut isr = without(&state.isr, &state.removing);
    if mutant::is("reassignment-not-awaited") {
        isr.clone_from(&replicas);
    }
    if replicas.is_empty() || replicas.iter().any(|replica| !isr.contains(replica)) {
        return false;
    }
    (state.replicas, state.isr) = (replicas, isr);
    state.adding.clear();
    state.removing.clear();
    true
}
