//! One replica's log: batches in offset order, with the leader epochs they were written in.
//!
//! Source: `UnifiedLog` and `LeaderEpochFileCache` (KIP-101, KIP-279). It must not know who leads or follows.

use crate::mutant;
use crate::protocol::Batch;
use std::sync::Arc;

/// Batches in a sealed run. Snapshots of a session share sealed runs, so that copying a world costs little however long its logs are.
const RUN_BATCHES: usize = 256;

/// The append-only log of one replica. Offsets are those of records; the log ends at the offset that the next record gets.
#[derive(Clone, Default, Debug)]
pub struct Log {
    sealed: Vec<Arc<Vec<Batch>>>,
    active: Vec<Batch>,
    start: i64,
    end: i64,
    /// Everything below is on the disk itself; what is above is only in the machine's page cache.
    flushed: i64,
    bytes: u64,
    epochs: Vec<EpochStart>,
}

/// From which offset on the log's batches were written in this leader epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStart {
    pub epoch: i32,
    pub start: i64,
}

/// The end of an epoch in a log: the epoch asked for, or the nearest one below it that the log holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    pub epoch: i32,
    pub end: i64,
}

impl Log {
    pub fn start_offset(&self) -> i64 {
        self.start
    }

    /// The log end offset: one more than the last record's.
    pub fn end_offset(&self) -> i64 {
        self.end
    }

    /// What a loss of power leaves ends here.
    pub fn flushed_offset(&self) -> i64 {
        self.flushed
    }

    /// Forces what is below `to` to disk.
    pub fn flush(&mut self, to: i64) {
        self.flushed = to.min(self.end).max(self.flushed);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The leader epoch of the last batch.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.last().map(|known| known.epoch)
    }

    pub fn epochs(&self) -> &[EpochStart] {
        &self.epochs
    }

    /// Appends a batch that already has its offset. The caller is the leader, who gives it the end offset, or a follower, who copies.
    pub fn append(&mut self, batch: Batch) {
        assert!(self.end <= batch.base_offset, "a batch at {} cannot follow the end offset {}", batch.base_offset, self.end);
        self.begin_epoch(batch.leader_epoch, batch.base_offset);
        self.end = batch.next_offset();
        self.bytes += batch.bytes.len() as u64;
        self.active.push(batch);
        if self.active.len() == RUN_BATCHES {
            self.sealed.push(Arc::new(std::mem::replace(&mut self.active, Vec::with_capacity(RUN_BATCHES))));
        }
    }

    /// A new leader marks where its epoch begins even before it appends (the epoch that it answers OffsetForLeaderEpoch with).
    pub fn begin_epoch(&mut self, epoch: i32, start: i64) {
        if self.latest_epoch().is_none_or(|latest| latest < epoch) {
            // An epoch that began here and wrote nothing leaves no trace.
            self.epochs.retain(|known| known.start < start);
            self.epochs.push(EpochStart { epoch, start });
        }
    }

    /// Where the largest epoch not above `epoch` ends: the start of the next one, or the log's end. An epoch older than all that are known
    /// ends where the first known one begins. `None`: the epoch is newer than all, or the log knows none.
    pub fn epoch_end(&self, epoch: i32) -> Option<EpochEnd> {
        if self.latest_epoch().is_none_or(|latest| latest < epoch) {
            return None;
        }
        let after = self.epochs.partition_point(|known| known.epoch <= epoch);
        let end = self.epochs.get(after).map_or(self.end, |next| next.start);
        let floor = after.checked_sub(1).and_then(|place| self.epochs.get(place));
        Some(EpochEnd { epoch: floor.map_or(epoch, |known| known.epoch), end })
    }

    /// Removes every batch that holds an offset of `offset` or above. Where there is none, an epoch that this replica began as the leader and
    /// wrote nothing in is forgotten all the same: a follower that still named it would be told for ever that the logs part
    /// (`UnifiedLog.truncateTo`).
    pub fn truncate(&mut self, offset: i64) {
        if self.end <= offset && mutant::is("epochs-not-truncated") {
            return;
        }
        if self.end <= offset {
            self.epochs.retain(|known| known.start < self.end);
            return;
        }
        let offset = offset.max(self.start);
        while self.active.first().is_none_or(|first| offset <= first.base_offset) {
            let Some(run) = self.sealed.pop() else { break };
            self.bytes -= sum_bytes(&self.active);
            self.active = Arc::unwrap_or_clone(run);
        }
        let keep = self.active.partition_point(|batch| batch.next_offset() <= offset);
        self.bytes -= sum_bytes(&self.active[keep..]);
        self.active.truncate(keep);
        self.end = self.active.last().map_or(self.start, Batch::next_offset);
        self.flushed = self.flushed.min(self.end);
        self.epochs.retain(|known| known.start < self.end);
    }

    /// The batches from the one that holds `from` on, below `limit`, together at most `max_bytes`; the first one always, if `first_whole`.
    pub fn read(&self, from: i64, limit: i64, max_bytes: usize, first_whole: bool) -> Vec<Batch> {
        let mut found = Vec::new();
        let mut bytes = 0;
        for batch in self.batches_from(from) {
            if limit < batch.next_offset() {
                break;
            }
            bytes += batch.bytes.len();
            if max_bytes < bytes && !(found.is_empty() && first_whole) {
                break;
            }
            found.push(batch.clone());
        }
        found
    }

    /// Every batch from the one that holds `from` on.
    pub fn batches_from(&self, from: i64) -> impl Iterator<Item = &Batch> {
        let run = self.sealed.partition_point(|run| run.last().is_none_or(|batch| batch.next_offset() <= from));
        let skip = move |batches: &[Batch]| batches.partition_point(|batch| batch.next_offset() <= from);
        let sealed = self.sealed[run..].iter().flat_map(move |run| &run[skip(run)..]);
        sealed.chain(&self.active[skip(&self.active)..])
    }

    /// The first record offset of a batch whose newest timestamp reaches `timestamp`, with that batch.
    pub fn first_batch_at(&self, timestamp: i64) -> Option<&Batch> {
        self.batches_from(self.start).find(|batch| timestamp <= batch.max_timestamp)
    }
}

fn sum_bytes(batches: &[Batch]) -> u64 {
    batches.iter().map(|batch| batch.bytes.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{BatchBuilder, BatchOptions};

    fn batch(base_offset: i64, leader_epoch: i32, records: i32) -> Batch {
        let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
        (0..records).for_each(|_| builder.append(0, None, Some(b"v"), &[]));
        Batch { base_offset, leader_epoch, ..Batch::from_wire(builder.build()).expect("a batch") }
    }

    /// A log of one-record batches, as many as each epoch says.
    fn log(epochs: &[(i32, i64)]) -> Log {
        let mut log = Log::default();
        for (epoch, count) in epochs {
            (0..*count).for_each(|_| log.append(batch(log.end_offset(), *epoch, 1)));
        }
        log
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let log = log(&[(1, 3), (4, 2)]);
        let end = |epoch| log.epoch_end(epoch).map(|found| (found.epoch, found.end));
        assert_eq!(end(1), Some((1, 3)));
        assert_eq!(end(2), Some((1, 3)), "the floor epoch answers");
        assert_eq!(end(4), Some((4, 5)), "the latest ends with the log");
        assert_eq!(end(0), Some((0, 0)), "an older one than all ends where the first begins");
        assert_eq!(end(5), None);
        assert_eq!(Log::default().epoch_end(0), None);
    }

    #[test]
    fn an_epoch_that_wrote_nothing_leaves_no_trace() {
        let mut log = log(&[(0, 2)]);
        log.begin_epoch(1, 2);
        log.begin_epoch(2, 2);
        assert_eq!(log.epochs(), [EpochStart { epoch: 0, start: 0 }, EpochStart { epoch: 2, start: 2 }]);
    }

    #[test]
    fn an_epoch_that_wrote_nothing_is_forgotten_where_there_is_nothing_to_cut() {
        let mut log = log(&[(0, 2)]);
        log.begin_epoch(1, 2);
        log.truncate(2);
        assert_eq!((log.end_offset(), log.latest_epoch()), (2, Some(0)));
    }

    #[test]
    fn truncation_crosses_sealed_runs_and_keeps_bytes_and_epochs_right() {
        let count = 3 * RUN_BATCHES as i64 + 10;
        let whole = log(&[(0, count / 2), (1, count - count / 2)]);
        for to in [count + 1, count, count - 1, 2 * RUN_BATCHES as i64, RUN_BATCHES as i64 + 1, 1, 0] {
            let mut cut = whole.clone();
            cut.truncate(to);
            let kept = to.min(count);
            assert_eq!(cut.end_offset(), kept);
            assert_eq!(cut.bytes(), whole.bytes() / count as u64 * kept as u64);
            assert_eq!(cut.batches_from(0).count() as i64, kept);
            assert_eq!(cut.latest_epoch(), if kept == 0 { None } else { Some(i32::from(count / 2 < kept)) });
            cut.append(batch(kept, 2, 1));
            assert_eq!(cut.end_offset(), kept + 1);
        }
    }

    #[test]
    fn a_read_gives_the_whole_batch_that_holds_the_offset() {
        let mut log = Log::default();
        log.append(batch(0, 0, 5));
        log.append(batch(5, 0, 5));
        let bases =
            |from, limit, bytes, whole| log.read(from, limit, bytes, whole).iter().map(|batch| batch.base_offset).collect::<Vec<_>>();
        assert_eq!(bases(3, 10, 10_000, true), [0, 5]);
        assert_eq!(bases(5, 10, 10_000, true), [5]);
        assert_eq!(bases(0, 9, 10_000, true), [0], "a batch is read whole or not at all");
        assert_eq!(bases(0, 10, 1, true), [0], "the first one even if it is too large");
        assert!(bases(0, 10, 1, false).is_empty());
        assert!(bases(10, 10, 10_000, true).is_empty());
    }
}
