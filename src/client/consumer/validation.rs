//! A position is checked when another leader, or the same one in a newer epoch, may hold another log: what was cut must not be read over in silence.
//!
//! Owns the questions to the new leader and what follows from its answers. Nothing is read from a partition before its position has been checked.
//! Source: `SubscriptionState.maybeValidatePositionForCurrentLeader`, `OffsetsForLeaderEpochUtils`; KIP-320.

use super::fetching::Whence;
use super::{Asked, Consumer};
use crate::node::{Channel, NoteKind, Outputs, Partition, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, Request};
use k::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use k::offset_for_leader_epoch_response::EpochEndOffset;
use kafka_protocol::messages as k;
use std::sync::Arc;

/// Whether a position holds in the log of the leader that is known now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    Passed,
    Due,
    Asked,
}

/// A position that a leader was asked about.
#[derive(Clone, PartialEq, Debug)]
pub struct AskedPosition {
    partition: Partition,
    offset: i64,
    /// Of the last record before it.
    epoch: i32,
    leader: (i32, i32),
}

impl Consumer {
    /// Finds the positions that another leader has to confirm, and asks it.
    pub(super) fn check_positions(&mut self, now: Time, out: &mut Outputs) {
        if !std::mem::take(&mut self.positions_suspect) {
            return;
        }
        let mut by_leader: OrderedMap<i32, Vec<AskedPosition>> = OrderedMap::new();
        for (partition, state) in &mut self.partitions {
            let Some(offset) = state.position() else { continue };
            if self.processing.iter().any(|record| record.partition == *partition) {
                // A poll checks positions: while the application is at work on this partition's records, there is none.
                self.positions_suspect = true;
                continue;
            }
            let leader = self.network.leader(&partition.topic, partition.index);
            if leader.is_some() && state.leader != leader {
                (state.leader, state.read_replica) = (leader, None);
                // Nothing was read, or nobody knows in which epoch: nothing can be compared.
                state.check = if state.last_epoch < 0 { Check::Passed } else { Check::Due };
                if state.check == Check::Due {
                    state.buffer.clear();
                }
            }
            if state.read_replica.is_some_and(|(near, _)| !self.network.knows(near)) {
                state.read_replica = None;
                self.network.refresh(now);
            }
            if state.check == Check::Due {
                let Some(leader) = leader.filter(|_| state.not_before <= now) else {
                    self.positions_suspect = true;
                    continue;
                };
                state.check = Check::Asked;
                let asked = AskedPosition { partition: partition.clone(), offset, epoch: state.last_epoch, leader };
                by_leader.or_default(leader.0).push(asked);
            }
        }
        for (leader, asked) in by_leader {
            let mut message = k::OffsetForLeaderEpochRequest::default();
            message.replica_id = k::BrokerId(-1);
            for position in &asked {
                let wanted = OffsetForLeaderPartition::default().with_partition(position.partition.index);
                let wanted = wanted.with_current_leader_epoch(position.leader.1).with_leader_epoch(position.epoch);
                let name = wire::topic(&position.partition.topic);
                if message.topics.last().is_none_or(|topic| topic.topic != name) {
                    message.topics.push(OffsetForLeaderTopic::default().with_topic(name));
                }
                if let Some(topic) = message.topics.last_mut() {
                    topic.partitions.push(wanted);
                }
            }
            let request = Request::OffsetForLeaderEpoch(Arc::new(message));
            self.network.send(now, leader, Channel::Data, Asked::EpochEnds(asked), request, None, out);
        }
    }

    pub(super) fn epoch_ends_told(
        &mut self,
        now: Time,
        asked: &[AskedPosition],
        message: &k::OffsetForLeaderEpochResponse,
        out: &mut Outputs,
    ) {
        let told: OrderedMap<(&str, i32), &EpochEndOffset> = message
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|end| ((topic.topic.as_str(), end.partition), end)))
            .collect();
        let at = now + self.network.backoff(0);
        let mut stale = false;
        for position in asked {
            let Some(state) = self.partitions.get_mut(&position.partition).filter(|state| state.is_asked(position)) else { continue };
            let end = told.get(&(&*position.partition.topic, position.partition.index)).filter(|end| end.error_code == 0);
            match end {
                None => {
                    (state.check, state.not_before) = (Check::Due, at);
                    stale = true;
                }
                Some(end) if end.end_offset < 0 || end.leader_epoch < 0 => self.truncated(now, position, None, out),
                Some(end) if end.end_offset < position.offset => {
                    self.truncated(now, position, Some((end.end_offset, end.leader_epoch)), out)
                }
                Some(_) => (state.check, state.not_before) = (Check::Passed, 0),
            }
        }
        self.positions_suspect = true;
        if stale {
            self.network.refresh(now);
        }
    }

    /// No answer came: ask again after a while.
    pub(super) fn epoch_ends_lost(&mut self, now: Time, asked: &[AskedPosition]) {
        let at = now + self.network.backoff(0);
        for position in asked {
            if let Some(state) = self.partitions.get_mut(&position.partition).filter(|state| state.is_asked(position)) {
                (state.check, state.not_before) = (Check::Due, at);
            }
        }
        self.positions_suspect = true;
        self.network.refresh(now);
    }

    /// What was read before this position is in the log no more. Without a rule for such a case the application has to decide
    /// (`LogTruncationException`); with one reading goes on where the logs part, or by the rule if the leader does not know that place.
    fn truncated(&mut self, now: Time, position: &AskedPosition, parting: Option<(i64, i32)>, out: &mut Outputs) {
        let reset = self.reset_whence(now);
        let Some(state) = self.partitions.get_mut(&position.partition) else { return };
        let partition = position.partition.clone();
        match parting {
            Some((offset, epoch)) if reset != Whence::Lost => {
                state.go_to(Whence::Offset(offset));
                (state.last_epoch, state.leader) = (epoch, Some(position.leader));
                out.note(NoteKind::OffsetReset { partition, offset });
            }
            _ => self.begin_anew(now, partition, out),
        }
    }

    /// The position is of no use: `auto.offset.reset` says what is read instead, or the application is told that nothing is.
    pub(super) fn begin_anew(&mut self, now: Time, partition: Partition, out: &mut Outputs) {
        let reset = self.reset_whence(now);
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        state.go_to(reset);
        if reset == Whence::Lost {
            self.error = Some(ErrorCode::OffsetOutOfRange);
            let topic = partition.topic.clone();
            out.note(NoteKind::RecordFailed { partition: Some(partition), topic, records: 0, error: ErrorCode::OffsetOutOfRange });
        }
    }
}

impl super::fetching::PartitionState {
    /// Whether it still waits for the answer about this position.
    fn is_asked(&self, position: &AskedPosition) -> bool {
        self.check == Check::Asked
            && self.position() == Some(position.offset)
            && (self.last_epoch, self.leader) == (position.epoch, Some(position.leader))
    }
}
