//! Who leads a partition, and who is in its ISR.
//!
//! Source: KIP-497, KIP-841; `PartitionChangeBuilder`, `ReplicationControlManager`. The leader epoch rises when the leader changes, the
//! partition epoch with every change; the leader epoch also when a replica leaves. Where nobody is in sync an eligible leader replica may lead
//! ([`eligible`], KIP-966). Without that feature the last member of an ISR stays in it when it is lost, and only it may lead again; either way
//! `unclean.leader.election.enable` or an admin may let another one, and what that lacks is lost (KIP-704).

use super::Controller;
use super::{eligible, reassignment};
use crate::mutant;
use crate::node::{NoteKind, Outputs, Partition, UncleanReason};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::{MetadataRecord, PartitionState};
use k::alter_partition_response as altered;
use kafka_protocol::messages as k;
use uuid::Uuid;

/// `LeaderRecoveryState.RECOVERED` on the wire: all that our leaders say, for they have nothing to do first (`Partition.makeLeader`).
const RECOVERED: i8 = 0;

/// How a leader may be found where the one that is there may lead no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Election {
    /// From the ISR.
    Clean,
    /// From the ISR, or else from any live replica.
    Unclean,
    /// The same, because an admin said so.
    UncleanRequested,
}

impl Controller {
    /// A fenced broker is in no ISR, or without eligible leader replicas in those alone that it is the last member of, and leads nothing.
    pub(super) fn leave_all_isrs(&mut self, broker: i32, out: &mut Outputs) {
        for (topic, partition) in self.partitions_where(|state| state.isr.contains(&broker)) {
            let Some(mut state) = self.image.partition(&topic, partition).cloned() else { continue };
            if (1 < state.isr.len() || self.config.eligible_leaders) && !mutant::is("fenced-stays-in-isr") {
                state.isr.retain(|member| *member != broker);
            }
            self.change(topic, partition, state, out);
        }
    }

    /// A broker that became live may be the one that a leaderless partition waits for.
    pub(super) fn became_live(&mut self, broker: i32, out: &mut Outputs) {
        self.elect_for_leaderless(out);
        if mutant::is("isr-joined-unasked") {
            for (topic, partition) in self.partitions_where(|state| state.replicas.contains(&broker) && !state.isr.contains(&broker)) {
                let Some(mut state) = self.image.partition(&topic, partition).cloned() else { continue };
                state.isr.push(broker);
                self.change(topic, partition, state, out);
            }
        }
    }

    pub(super) fn elect_for_leaderless(&mut self, out: &mut Outputs) {
        for (topic, partition) in self.partitions_where(|state| state.leader.is_none()) {
            let Some(state) = self.image.partition(&topic, partition).cloned() else { continue };
            self.change(topic, partition, state, out);
        }
    }

    /// Gives leadership back to preferred replicas that are live and in sync.
    pub(super) fn elect_preferred_leaders(&mut self, out: &mut Outputs) {
        for (topic, partition) in self.partitions_where(|state| state.leader != state.replicas.first().copied()) {
            let Some(mut state) = self.image.partition(&topic, partition).cloned() else { continue };
            let Some(preferred) = state.replicas.first().copied() else { continue };
            if state.isr.contains(&preferred) && self.image.is_live(preferred) {
                state.leader = Some(preferred);
                self.change(topic, partition, state, out);
            }
        }
    }

    /// A leader asks for another ISR (KIP-497). Whatever it knows that is old makes the controller refuse.
    pub(super) fn alter_partition(&mut self, message: &k::AlterPartitionRequest, out: &mut Outputs) -> k::AlterPartitionResponse {
        let mut response = k::AlterPartitionResponse::default();
        let asker = message.broker_id.0;
        if self.image.brokers.get(&asker).is_none_or(|known| known.epoch != message.broker_epoch) {
            response.error_code = ErrorCode::StaleBrokerEpoch.code();
            return response;
        }
        for topic in &message.topics {
            let mut answer = altered::TopicData::default();
            answer.topic_id = topic.topic_id;
            for asked in &topic.partitions {
                answer.partitions.push(self.alter_isr(asker, topic.topic_id, asked, out));
            }
            response.topics.push(answer);
        }
        response
    }

    fn alter_isr(
        &mut self,
        asker: i32,
        topic: Uuid,
        asked: &k::alter_partition_request::PartitionData,
        out: &mut Outputs,
    ) -> altered::PartitionData {
        let mut answer = altered::PartitionData::default();
        answer.partition_index = asked.partition_index;
        match self.checked_isr(asker, topic, asked) {
            Err(error) => answer.error_code = error.code(),
            Ok(state) => {
                self.change(topic, asked.partition_index, state, out);
                let Some(state) = self.image.partition(&topic, asked.partition_index) else { return answer };
                if state.leader != Some(asker) {
                    // The change completed a reassignment in which the leader leaves.
                    answer.error_code = ErrorCode::NewLeaderElected.code();
                    return answer;
                }
                // An ISR that is the same already has changed nothing, not even the partition epoch.
                answer.isr = state.isr.iter().map(|member| k::BrokerId(*member)).collect();
                answer.leader_id = k::BrokerId(asker);
                answer.leader_epoch = state.leader_epoch;
                answer.partition_epoch = state.partition_epoch;
                answer.leader_recovery_state = asked.leader_recovery_state;
            }
        }
        answer
    }

    /// The partition's state with the ISR that was asked for, if it may be had.
    fn checked_isr(&self, asker: i32, topic: Uuid, asked: &k::alter_partition_request::PartitionData) -> Result<PartitionState, ErrorCode> {
        let Some(known) = self.image.topics.get(&topic) else { return Err(ErrorCode::UnknownTopicId) };
        let state = usize::try_from(asked.partition_index).ok().and_then(|index| known.partitions.get(index));
        let Some(state) = state else { return Err(ErrorCode::UnknownTopicOrPartition) };
        if state.leader_epoch < asked.leader_epoch || state.partition_epoch < asked.partition_epoch {
            return Err(ErrorCode::NotController);
        }
        if asked.leader_epoch < state.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if state.leader != Some(asker) {
            return Err(ErrorCode::InvalidRequest);
        }
        if asked.partition_epoch < state.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let isr: Vec<i32> = asked.new_isr_with_epochs.iter().map(|member| member.broker_id.0).collect();
        let is_twice = |(place, member): (usize, &i32)| isr[..place].contains(member);
        let recovering = asked.leader_recovery_state != RECOVERED;
        if !isr.contains(&asker)
            || isr.iter().any(|member| !state.replicas.contains(member))
            || isr.iter().enumerate().any(is_twice)
            || recovering && (1 < isr.len() || !state.recovering)
        {
            return Err(ErrorCode::InvalidRequest);
        }
        let eligible = |member: &k::alter_partition_request::BrokerState| {
            self.image.is_live(member.broker_id.0)
                && (member.broker_epoch == -1
                    || self.image.brokers.get(&member.broker_id.0).is_some_and(|known| known.epoch == member.broker_epoch))
        };
        if !asked.new_isr_with_epochs.iter().all(eligible) {
            return Err(ErrorCode::IneligibleReplica);
        }
        Ok(PartitionState { isr, recovering, ..state.clone() })
    }

    /// Decides a partition's new state: keeps the proposed leader if it may lead, elects another otherwise, and raises the epochs.
    pub(super) fn change(&mut self, topic: Uuid, partition: i32, state: PartitionState, out: &mut Outputs) {
        let allowed = self.image.topics.get(&topic).is_some_and(|topic| topic.allows_unclean(self.elects_uncleanly()));
        let unclean = allowed || mutant::is("unclean-although-disabled");
        self.change_with(topic, partition, state, if unclean { Election::Unclean } else { Election::Clean }, out);
    }

    /// The same, with other rules for the election.
    pub(super) fn change_with(&mut self, topic: Uuid, partition: i32, mut state: PartitionState, election: Election, out: &mut Outputs) {
        let Some(known) = self.image.topics.get(&topic) else { return };
        let Some(before) = usize::try_from(partition).ok().and_then(|index| known.partitions.get(index)) else { return };
        let name = Partition { topic: known.name.clone(), index: partition };
        let completed = reassignment::complete(&mut state);
        if self.config.eligible_leaders {
            eligible::follow(&mut state, &before.isr, known.min_insync(self.min_insync_replicas()));
        }
        let is_eligible = |broker: &i32| state.isr.contains(broker) || state.isr.is_empty() && state.elr.contains(broker);
        let may_lead = |broker: &i32| (is_eligible(broker) || mutant::is("elect-outside-isr")) && self.image.is_live(*broker);
        if state.leader.is_none_or(|leader| !may_lead(&leader)) {
            state.leader = state.replicas.iter().copied().find(may_lead);
        }
        let from_elr = state.leader.filter(|leader| state.elr.contains(leader));
        if let Some(leader) = from_elr {
            state.isr = vec![leader];
            state.elr.retain(|member| *member != leader);
        }
        let unclean = if state.leader.is_none() { self.elect_uncleanly(&state, election) } else { None };
        if let Some((leader, reason)) = unclean {
            (state.leader, state.recovering) = (Some(leader), true);
            if !mutant::is("isr-outlives-unclean-election") {
                state.isr.clear();
            }
            state.isr.push(leader);
            state.elr.clear();
            let isr = if before.isr.is_empty() { before.elr.clone() } else { before.isr.clone() };
            out.note(NoteKind::UncleanElection { partition: name.clone(), leader, isr, reason });
        }
        if self.config.eligible_leaders {
            eligible::remember_leader(&mut state, before);
        }
        if state == *before {
            return;
        }
        let elected = state.leader != before.leader;
        // A replica that is none any more must not be taken for one: its fetches are of an older epoch.
        let leaves = before.replicas.iter().any(|replica| !state.replicas.contains(replica));
        state.leader_epoch = before.leader_epoch + i32::from((elected || leaves) && !mutant::is("leader-epoch-stands"));
        state.partition_epoch = before.partition_epoch + i32::from(!mutant::is("partition-epoch-stands"));
        let removed: Vec<i32> = before.isr.iter().copied().filter(|member| !state.isr.contains(member)).collect();
        let added: Vec<i32> = state.isr.iter().copied().filter(|member| !before.isr.contains(member)).collect();
        if !removed.is_empty() {
            out.note(NoteKind::IsrShrunk { partition: name.clone(), isr: state.isr.clone(), removed });
        }
        if !added.is_empty() && unclean.is_none() && from_elr.is_none() {
            let (partition_epoch, isr) = (state.partition_epoch, state.isr.clone());
            out.note(NoteKind::IsrExpanded { partition: name.clone(), partition_epoch, isr, added });
        }
        if elected {
            let (leader, leader_epoch, isr) = (state.leader, state.leader_epoch, state.isr.clone());
            out.note(NoteKind::LeaderElected { partition: name.clone(), leader, leader_epoch, isr });
        }
        if state.elr != before.elr {
            out.note(NoteKind::EligibleLeadersChanged { partition: name, elr: state.elr.clone() });
        }
        if completed {
            self.note_reassigned(&topic, partition, &state.replicas, out);
        }
        self.decide(MetadataRecord::Partition { topic, partition, state });
    }

    /// Who leads where nobody may by rights: the last known leader, or if that is allowed the first live replica.
    fn elect_uncleanly(&self, state: &PartitionState, election: Election) -> Option<(i32, UncleanReason)> {
        if let Some(last) = eligible::last_known_leader(state).filter(|last| self.image.is_live(*last)) {
            return Some((last, UncleanReason::LastKnownLeader));
        }
        let reason = match election {
            Election::Clean => return None,
            Election::Unclean => UncleanReason::Enabled,
            Election::UncleanRequested => UncleanReason::Requested,
        };
        Some((state.replicas.iter().copied().find(|broker| self.image.is_live(*broker))?, reason))
    }

    pub(super) fn partitions_where(&self, wanted: impl Fn(&PartitionState) -> bool) -> Vec<(Uuid, i32)> {
        let mut found = Vec::new();
        for topic in self.image.topics.values() {
            let matching = (0i32..).zip(&topic.partitions).filter(|(_, state)| wanted(state));
            found.extend(matching.map(|(index, _)| (topic.id, index)));
        }
        found
    }
}
