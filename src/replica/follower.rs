//! The follower's side: copying what the leader sends, and cutting off what the leader does not have.

use super::{Replica, Role};
use crate::mutant;
use crate::node::{NoteKind, Outputs, Time};
use crate::protocol::Batch;
use crate::storage::{EpochEnd, RemoteSegment};

impl Replica {
    /// The leader and epoch this replica fetches from.
    pub fn following(&self) -> Option<(i32, i32)> {
        match self.role {
            Role::Follower { leader, leader_epoch } => Some((leader, leader_epoch)),
            _ => None,
        }
    }

    /// Whether it has all that was committed when it fetched last. One that has not fetched yet has not.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// Whether batches of a Fetch response are what this log goes on with. Compaction leaves gaps: the first need not begin where the log ends.
    pub fn goes_on_with(&self, batches: &[Batch]) -> bool {
        batches.first().is_none_or(|first| self.log.end_offset() <= first.base_offset) || self.begins_within(batches).is_some()
    }

    /// The leader's log may start within a batch, and so does one that has nothing before it: the batch is taken whole.
    fn begins_within(&self, batches: &[Batch]) -> Option<i64> {
        let (first, end) = (batches.first()?, self.log.end_offset());
        let is_within = first.base_offset < end && end < first.next_offset() && self.log.start_offset() == end;
        is_within.then_some(first.base_offset)
    }

    /// Copies batches of a Fetch response, and takes the leader's high watermark as far as the log reaches. So a follower learns of each
    /// advance one fetch later than the leader.
    pub fn append_as_follower(
        &mut self,
        now: Time,
        now_ms: i64,
        batches: &[Batch],
        leader_high_watermark: i64,
        leader_log_start: i64,
        out: &mut Outputs,
    ) {
        if let Some(base) = self.begins_within(batches) {
            let from = self.log.end_offset();
            self.log.restart(base);
            self.page_cache.cut(base);
            out.note(NoteKind::Truncated { partition: self.name.clone(), from, to: base });
        }
        for batch in batches {
            self.append(batch.clone(), false, now_ms, out);
        }
        self.flush_if_due(now);
        self.caught_up = leader_high_watermark <= self.log.end_offset();
        let end = if mutant::is("follower-high-watermark-unclamped") { i64::MAX } else { self.log.end_offset() };
        let to = leader_high_watermark.clamp(self.log.local_start_offset(), end);
        self.set_high_watermark(to, out);
        if !mutant::is("log-start-not-taken") {
            self.raise_log_start(leader_log_start, out);
        }
    }

    /// The leader's log holds nothing at this log's end. One that ends before the leader's starts, or is empty, begins anew there
    /// (`truncateFullyAndStartAt`); any other starts no earlier than the leader's.
    pub fn start_at_leader(&mut self, leader_log_start: i64, out: &mut Outputs) {
        let (start, end) = (self.log.start_offset(), self.log.end_offset());
        if leader_log_start <= end && self.log.latest_epoch().is_some() {
            self.raise_log_start(leader_log_start, out);
            return;
        }
        self.log.restart(leader_log_start);
        self.page_cache.cut(leader_log_start);
        if leader_log_start < end {
            out.note(NoteKind::Truncated { partition: self.name.clone(), from: end, to: leader_log_start });
        }
        self.note_log_start(start, out);
        self.set_high_watermark(leader_log_start, out);
    }

    /// The leader has what is next in the remote store only, and its log starts at `log_start`. This one goes on behind the remote segment that holds
    /// what is before the leader's local log, with the epochs and the producers that are kept with it (`TierStateMachine.buildRemoteLogAuxState`).
    pub fn start_behind_remote(&mut self, known: &RemoteSegment, log_start: i64, out: &mut Outputs) {
        let (before, local_start) = (self.log.start_offset(), known.end);
        if local_start <= self.log.end_offset() {
            return;
        }
        let log_start = log_start.clamp(before, local_start);
        self.log.restart_behind_remote(local_start, log_start, &known.epochs, known.producers.clone());
        self.page_cache.cut(0);
        out.note(NoteKind::RemoteStateBuilt { partition: self.name.clone(), log_start, local_start });
        self.note_log_start(before, out);
        self.set_high_watermark(local_start, out);
    }

    /// The leader's log holds `diverging.epoch` to another end: cut back to where both agree, by epoch, never by high watermark (KIP-101).
    pub fn truncate_to(&mut self, diverging: EpochEnd, out: &mut Outputs) {
        let to = match self.log.epoch_end(diverging.epoch) {
            Some(own) if own.epoch == diverging.epoch => own.end.min(diverging.end),
            Some(own) => own.end,
            None => diverging.end,
        };
        let to = if mutant::is("truncate-not-at-all") { self.log.end_offset() } else { to };
        let from = self.log.end_offset();
        self.log.truncate(to);
        let to = self.log.end_offset();
        self.page_cache.cut(to);
        if to < from {
            out.note(NoteKind::Truncated { partition: self.name.clone(), from, to });
        }
        self.high_watermark = self.high_watermark.min(to);
    }
}
