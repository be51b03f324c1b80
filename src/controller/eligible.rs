//! Eligible leader replicas: who may lead where nobody is in sync.
//!
//! While the ISR is smaller than `min.insync.replicas` the high watermark stands still. Whoever leaves the ISR then still holds all that is
//! committed, and may lead as cleanly as a member of the ISR could, until its process ends uncleanly: it may have lost records with it. When
//! nobody is left, the last known leader may lead again, for want of a better one. Source: KIP-966; `PartitionChangeBuilder`,
//! `ReplicationControlManager.handleBrokerShutdown`, `ConfigurationControlManager.createClearElrRecordsAsNeeded`.

use super::Controller;
use super::configs::Change;
use crate::mutant;
use crate::node::{NoteKind, Outputs, Partition};
use crate::protocol::metadata::{MetadataRecord, PartitionState};
use uuid::Uuid;

pub(super) const MIN_ISR: &str = "min.insync.replicas";

#[cfg(test)]
#[path = "eligible_test.rs"]
mod eligible_test;

/// Who is eligible once the ISR is what `state` says, where it was `isr` before. Kafka counts the replicas of the topic's first partition for the
/// minimum, and does not look at who is a replica no more; here it is this partition's replicas, as for its leader.
pub(super) fn follow(state: &mut PartitionState, isr: &[i32], min_insync: usize) {
    if min_insync.min(state.replicas.len()) <= state.isr.len() && !mutant::is("eligible-beside-full-isr") {
        state.elr.clear();
        return;
    }
    state.elr.extend_from_slice(isr);
    state.elr.sort_unstable();
    state.elr.dedup();
    let PartitionState { elr, isr, replicas, .. } = state;
    elr.retain(|member| !isr.contains(member) && replicas.contains(member));
}

/// Remembers who led when the last member of the ISR left, until somebody leads again.
pub(super) fn remember_leader(state: &mut PartitionState, before: &PartitionState) {
    if state.leader.is_some() {
        state.last_known_elr.clear();
    } else if state.isr.is_empty() && !before.isr.is_empty() {
        state.last_known_elr = before.leader.into_iter().collect();
    }
}

/// Who led last, where nobody is in sync or eligible.
pub(super) fn last_known_leader(state: &PartitionState) -> Option<i32> {
    let last = state.last_known_elr.first().filter(|last| state.replicas.contains(last));
    last.copied().filter(|_| state.isr.is_empty() && state.elr.is_empty())
}

impl Controller {
    /// Settings of a topic, or of all, have changed: by another minimum nobody is known to be eligible.
    pub(super) fn clear_elr_as_needed(&mut self, topic: Option<Uuid>, changes: &[Change], out: &mut Outputs) {
        let is_other = changes.iter().any(|(name, _)| name == MIN_ISR);
        if is_other && self.config.eligible_leaders && !mutant::is("eligible-outlives-min-isr") {
            for known in self.image.topics.values().filter(|known| topic.is_none_or(|topic| known.id == topic)) {
                for (index, _) in (0..).zip(&known.partitions).filter(|(_, state)| !state.elr.is_empty()) {
                    let partition = Partition { topic: known.name.clone(), index };
                    out.note(NoteKind::EligibleLeadersChanged { partition, elr: Vec::new() });
                }
            }
            self.decide(MetadataRecord::ClearElr { topic });
        }
    }

    /// A broker comes back and cannot say that its last process ended in good order: what it had may be lost.
    pub(super) fn forget_eligible(&mut self, broker: i32, out: &mut Outputs) {
        for (topic, partition) in self.partitions_where(|state| state.elr.contains(&broker)) {
            let Some(mut state) = self.image.partition(&topic, partition).cloned() else { continue };
            state.elr.retain(|member| *member != broker);
            self.change(topic, partition, state, out);
        }
    }
}
