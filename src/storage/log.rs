//! One replica's log: segments in offset order, with the leader epochs they were written in and what is known of their producers.
//!
//! Owns appends, truncation, the log start offset and reads by offset. Old segments go in [`super::retention`], are rewritten in
//! [`super::compaction`], searched by time in [`super::lookup`]. It must not know who leads or follows. Source: `UnifiedLog`, `LocalLog`.

use super::config::LogConfig;
use super::epochs::{EpochEnd, EpochStart, Epochs};
use super::producers::{Producers, States};
use super::segment::{Place, Segment};
use super::transactions::Standing;
use crate::mutant;
use crate::protocol::{Batch, BatchHeader};
use std::sync::Arc;

/// The log of one replica. Offsets are those of records; the log ends at the offset that the next record gets.
///
/// A copy shares everything but the newest batches, however long the log is: snapshots of a session hold many copies.
#[derive(Clone, Debug)]
pub struct Log {
    config: LogConfig,
    /// Rolled segments. Their list is shared by copies, too.
    pub(super) sealed: Arc<Vec<Arc<Segment>>>,
    pub(super) active: Segment,
    start: i64,
    end: i64,
    /// What is below is copied to the remote store, as far as this broker's process knows.
    remote_end: i64,
    /// Everything below is on the disk itself; what is above is only in the machine's page cache.
    flushed: i64,
    bytes: u64,
    epochs: Epochs,
    producers: Producers,
    /// Up to where compaction has been (`cleaner-offset-checkpoint`). A truncation takes it back to the base of the segment that is active then, and
    /// only one that reaches below the active segment does.
    pub(super) cleaned: Option<i64>,
}

impl Default for Log {
    fn default() -> Log {
        Log::new(LogConfig::default())
    }
}

impl Log {
    pub fn new(config: LogConfig) -> Log {
        Log {
            config,
            sealed: Arc::default(),
            active: Segment::new(0),
            start: 0,
            end: 0,
            remote_end: 0,
            flushed: 0,
            bytes: 0,
            epochs: Epochs::default(),
            producers: Producers::default(),
            cleaned: None,
        }
    }

    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Other settings hold from now on.
    pub fn configure(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// The first offset that may be read. Batches below it may still be there.
    pub fn start_offset(&self) -> i64 {
        self.start
    }

    /// The first offset that is on this disk and may be read. In a log with remote storage the log start offset may be lower: what is between is in the
    /// remote store.
    pub fn local_start_offset(&self) -> i64 {
        if self.config.remote { self.start.max(self.first_base()) } else { self.start }
    }

    /// What is below is copied to the remote store, as far as this broker's process knows.
    pub fn remote_end(&self) -> i64 {
        self.remote_end
    }

    /// The remote store has what is below; 0: it is not known to have anything.
    pub fn set_remote_end(&mut self, to: i64) {
        self.remote_end = to;
    }

    /// The rolled segment that is to be copied next, if it ends at or below `limit`, and where it ends.
    pub fn next_to_copy(&self, limit: i64) -> Option<(Arc<Segment>, i64)> {
        let index = self.segment_index(self.remote_end.max(self.start));
        let segment = self.sealed.get(index)?;
        let end = self.segment(index + 1)?.base_offset();
        (end <= limit || mutant::is("remote-copy-beyond-high-watermark")).then(|| (segment.clone(), end))
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
        self.epochs.latest()
    }

    pub fn epochs(&self) -> &[EpochStart] {
        self.epochs.all()
    }

    /// Where the transaction stands that a batch of this log is of; `None`: it is of none.
    pub fn standing(&self, batch: &Batch) -> Option<Standing> {
        let header = BatchHeader::read(&batch.bytes).ok().filter(BatchHeader::is_transactional)?;
        Some(self.producers().transactions().standing(header.producer_id, batch.base_offset, batch.next_offset()))
    }

    /// What is known of those who have written here.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Forgets producers that have written nothing for that long (`producer.id.expiration.ms`).
    pub fn expire_producers(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.expire(now_ms, expiration_ms);
    }

    /// Builds what is known of producers from the newest snapshot that is not behind `to`, and from what was appended since.
    pub fn reload_producers(&mut self, to: i64) {
        let from = self.producers.go_back(to.min(self.end));
        let mut producers = std::mem::take(&mut self.producers);
        self.batches_from(from).filter(|batch| from <= batch.base_offset).for_each(|batch| producers.appended(batch));
        self.producers = producers;
    }

    /// See [`Transactions`](super::Transactions).
    pub fn transactions_mut(&mut self) -> &mut super::Transactions {
        self.producers.transactions_mut()
    }

    /// Below it every transaction has ended, as far as what is replicated tells (`UnifiedLog.lastStableOffset`).
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let unstable = self.producers.transactions().first_unstable(high_watermark);
        unstable.map_or(high_watermark, |first| first.max(self.start).min(high_watermark))
    }

    /// The epoch that wrote this offset.
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.epochs.at(offset)
    }

    /// Which epochs wrote what is below an offset.
    pub fn epochs_below(&self, offset: i64) -> Arc<[EpochStart]> {
        self.epochs().iter().copied().filter(|known| known.start < offset).collect()
    }

    /// A new leader marks where its epoch begins even before it appends (the epoch that it answers OffsetForLeaderEpoch with).
    pub fn begin_epoch(&mut self, epoch: i32, start: i64) {
        self.epochs.begin(epoch, start);
    }

    /// See [`Epochs::end_of`].
    pub fn epoch_end(&self, epoch: i32) -> Option<EpochEnd> {
        self.epochs.end_of(epoch, self.end)
    }

    /// The segments in order; the last one is the active one.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.sealed.iter().map(Arc::as_ref).chain([&self.active])
    }

    pub(super) fn first_base(&self) -> i64 {
        self.sealed.first().map_or(self.active.base_offset(), |segment| segment.base_offset())
    }

    fn segment(&self, index: usize) -> Option<&Segment> {
        match self.sealed.get(index) {
            Some(segment) => Some(segment),
            None => (index == self.sealed.len()).then_some(&self.active),
        }
    }

    /// Whether an offset lies in an older segment than another one.
    pub fn is_in_older_segment(&self, offset: i64, than: i64) -> bool {
        self.segment_index(offset) < self.segment_index(than)
    }

    /// The segment that an offset lies in; the first one for offsets below all.
    pub(super) fn segment_index(&self, offset: i64) -> usize {
        let is_not_behind = |segment: &Segment| segment.base_offset() <= offset;
        match self.sealed.partition_point(|segment| is_not_behind(segment)) {
            behind if behind == self.sealed.len() && is_not_behind(&self.active) => behind,
            behind => behind.saturating_sub(1),
        }
    }

    /// Appends a batch that already has its offset. The caller is the leader, who gives it the end offset, or a follower, who copies. Returns the base
    /// offset of the segment that it begins, if it begins one. `now_ms` is the broker's clock.
    pub fn append(&mut self, batch: Batch, now_ms: i64) -> Option<i64> {
        assert!(self.end <= batch.base_offset, "a batch at {} cannot follow the end offset {}", batch.base_offset, self.end);
        let rolls = self.active.should_roll(&batch, &self.config, now_ms);
        if rolls {
            self.roll(batch.base_offset);
        }
        self.epochs.begin(batch.leader_epoch, batch.base_offset);
        self.producers.appended(&batch);
        self.end = batch.next_offset();
        self.bytes += batch.size() as u64;
        self.active.append(batch, now_ms);
        rolls.then(|| self.active.base_offset())
    }

    /// Begins a new segment. An empty one is replaced: no offset has two segments. What is rolled goes to disk (`UnifiedLog.roll`), so only the
    /// active segment is ever lost with the power.
    pub(super) fn roll(&mut self, base_offset: i64) {
        self.flush(base_offset);
        self.producers.take_snapshot(base_offset, self.first_base());
        let start = self.start.min(self.first_base());
        self.transactions_mut().forget_aborted(|ended| ended.last_offset < start);
        let mut rolled = std::mem::replace(&mut self.active, Segment::new(base_offset));
        if !rolled.is_empty() {
            rolled.seal();
            Arc::make_mut(&mut self.sealed).push(Arc::new(rolled));
        }
    }

    /// Removes every batch that holds an offset of `offset` or above. Where there is none, an epoch that this replica began as the leader and
    /// wrote nothing in is forgotten all the same: a follower that still named it would be told for ever that the logs part
    /// (`UnifiedLog.truncateTo`).
    pub fn truncate(&mut self, offset: i64) {
        if self.end <= offset && mutant::is("epochs-not-truncated") {
            return;
        }
        if self.end <= offset {
            self.epochs.truncate_end(self.end);
            return;
        }
        if offset < self.first_base() {
            if self.config.remote && self.start < offset {
                // What is before is in the remote store. Kafka's log would start here and, if it leads one day, let go what is there (`truncateTo`).
                let (start, epochs) = (self.start, self.epochs().to_vec());
                let aborted: Vec<_> = self.producers.transactions().aborted_within(0, offset).copied().collect();
                self.restart_behind_remote(offset, start, &epochs, States::default());
                self.transactions_mut().learn_aborted(aborted.into_iter().filter(|ended| ended.last_offset < offset));
            } else {
                self.restart(offset);
            }
            return;
        }
        let reaches_sealed = offset < self.active.base_offset();
        while offset < self.active.base_offset() {
            let Some(segment) = Arc::make_mut(&mut self.sealed).pop() else { break };
            self.active = Arc::unwrap_or_clone(segment);
        }
        if reaches_sealed {
            let base = self.active.base_offset();
            self.cleaned = self.cleaned.map(|cleaned| cleaned.min(base));
        }
        self.active.truncate(offset);
        self.end = offset;
        self.start = self.start.min(offset);
        self.remote_end = self.remote_end.min(offset);
        self.flushed = self.flushed.min(offset);
        self.epochs.truncate_end(offset);
        if !mutant::is("producers-not-truncated") {
            self.reload_producers(offset);
        }
        self.count_bytes();
    }

    /// Forgets everything: the log starts anew, empty, at this offset.
    pub fn restart(&mut self, offset: i64) {
        *self = Log { active: Segment::new(offset), start: offset, end: offset, flushed: offset, ..Log::new(self.config) };
    }

    /// What is before this offset is in the remote store, written in these epochs and by these producers, and the log starts there: the local log goes on
    /// here, empty.
    pub fn restart_behind_remote(&mut self, offset: i64, start: i64, epochs: &[EpochStart], producers: States) {
        self.restart(offset);
        self.producers.restore(offset, producers);
        epochs.iter().for_each(|known| self.epochs.begin(known.epoch, known.start));
        self.epochs.truncate_end(offset);
        self.epochs.truncate_start(start);
        (self.start, self.remote_end) = (start, offset);
    }

    /// What is below this offset may be read no more. Returns whether the start moved; it never moves back.
    pub fn raise_start(&mut self, to: i64) -> bool {
        let rises = self.start < to;
        if rises {
            self.start = to;
            self.epochs.truncate_start(to);
        }
        rises
    }

    /// A process that starts anew knows the log start offset as it was last written to disk, or as its first segment begins.
    pub fn recover_start(&mut self, checkpoint: i64) {
        let first = self.segments().next().map_or(self.end, Segment::base_offset);
        self.start = self.start.min(checkpoint.max(first));
    }

    pub(super) fn count_bytes(&mut self) {
        self.bytes = self.segments().map(Segment::bytes).sum();
    }

    /// The batches from the one that holds `from` on, below `limit`, together at most `max_bytes`; the first one always, if `first_whole`. As in Kafka,
    /// a read ends with the segment that it begins in.
    pub fn read(&self, from: i64, limit: i64, max_bytes: usize, first_whole: bool) -> Vec<Batch> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut batches = self.batches_from(from);
        while let Some(batch) = batches.next() {
            bytes += batch.size();
            let is_too_much = max_bytes < bytes && !(found.is_empty() && first_whole);
            if limit < batch.next_offset() || is_too_much {
                break;
            }
            found.push(batch.clone());
            batches.stay_in_segment();
        }
        found
    }

    /// Every batch from the one that holds `from` on.
    pub fn batches_from(&self, from: i64) -> Batches<'_> {
        let segment = self.segment_index(from);
        let place = self.segment(segment).map_or((0, 0), |segment| segment.find(from));
        self.batches_at(segment, place)
    }

    pub(super) fn batches_at(&self, segment: usize, (run, place): Place) -> Batches<'_> {
        let rest = self.segment(segment).and_then(|segment| segment.run(run)?.get(place..)).unwrap_or_default();
        Batches { log: self, segment, last_segment: self.sealed.len(), run, rest: rest.iter() }
    }
}

/// Batches of a log in order, across segments.
pub struct Batches<'a> {
    log: &'a Log,
    segment: usize,
    last_segment: usize,
    run: usize,
    rest: std::slice::Iter<'a, Batch>,
}

impl Batches<'_> {
    /// Ends with the segment that it is in.
    pub(super) fn stay_in_segment(&mut self) {
        self.last_segment = self.segment;
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = &'a Batch;

    fn next(&mut self) -> Option<&'a Batch> {
        loop {
            if let Some(batch) = self.rest.next() {
                return Some(batch);
            }
            self.run += 1;
            if let Some(batches) = self.log.segment(self.segment)?.run(self.run) {
                self.rest = batches.iter();
            } else if self.segment < self.last_segment {
                self.segment += 1;
                self.run = 0;
                self.rest = self.log.segment(self.segment)?.run(0)?.iter();
            } else {
                // Behind the end for good.
                self.run -= 1;
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{BatchBuilder, BatchOptions};
    use crate::storage::segment::RUN_BATCHES;

    fn batch(base_offset: i64, leader_epoch: i32, records: i32, timestamp: i64) -> Batch {
        let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
        (0..records).for_each(|_| builder.append(timestamp, None, Some(b"v"), &[]));
        Batch { base_offset, leader_epoch, ..Batch::from_wire(builder.build()).expect("a batch") }
    }

    /// A log of one-record batches, as many as each epoch says.
    fn log(config: LogConfig, epochs: &[(i32, i64)]) -> Log {
        let mut log = Log::new(config);
        for (epoch, count) in epochs {
            (0..*count).for_each(|_| {
                log.append(batch(log.end_offset(), *epoch, 1, 0), 0);
            });
        }
        log
    }

    fn bases(log: &Log) -> Vec<i64> {
        log.segments().map(Segment::base_offset).collect()
    }

    #[test]
    fn an_epoch_that_wrote_nothing_is_forgotten_where_there_is_nothing_to_cut() {
        let mut log = log(LogConfig::default(), &[(0, 2)]);
        log.begin_epoch(1, 2);
        log.truncate(2);
        assert_eq!((log.end_offset(), log.latest_epoch()), (2, Some(0)));
    }

    #[test]
    fn truncation_crosses_segments_and_runs_and_keeps_bytes_and_epochs_right() {
        let count = 3 * RUN_BATCHES as i64 + 10;
        let size = batch(0, 0, 1, 0).size() as u64;
        for batches_per_segment in [7, RUN_BATCHES as u64, 300, u64::MAX / size] {
            let config = LogConfig { segment_bytes: batches_per_segment * size, ..LogConfig::default() };
            let whole = log(config, &[(0, count / 2), (1, count - count / 2)]);
            for to in [count + 1, count, count - 1, 2 * RUN_BATCHES as i64, RUN_BATCHES as i64 + 1, 301, 300, 299, 8, 7, 1, 0] {
                let mut cut = whole.clone();
                cut.truncate(to);
                let kept = to.min(count);
                assert_eq!(cut.end_offset(), kept);
                assert_eq!(cut.bytes(), size * kept as u64);
                assert_eq!(cut.batches_from(0).count() as i64, kept);
                assert_eq!(cut.latest_epoch(), if kept == 0 { None } else { Some(i32::from(count / 2 < kept)) });
                cut.append(batch(kept, 2, 1, 0), 0);
                assert_eq!(cut.end_offset(), kept + 1);
                assert!(bases(&cut).is_sorted_by(|one, other| one < other));
            }
            assert_eq!(whole.end_offset(), count, "copies share nothing that is written to");
        }
    }

    #[test]
    fn what_was_flushed_and_is_cut_off_is_not_flushed_any_more() {
        let mut log = log(LogConfig::default(), &[(0, 5)]);
        log.flush(4);
        for (to, flushed) in [(5, 4), (3, 3)] {
            log.truncate(to);
            assert_eq!(log.flushed_offset(), flushed);
        }
        log.append(batch(3, 1, 1, 0), 0);
        assert_eq!(log.flushed_offset(), 3, "what is written there now is not");
    }

    #[test]
    fn a_truncation_below_the_first_segment_starts_anew() {
        let mut log = log(LogConfig::default(), &[(0, 5)]);
        log.restart(10);
        assert_eq!((log.start_offset(), log.end_offset(), log.latest_epoch(), log.bytes()), (10, 10, None, 0));
        log.append(batch(10, 1, 5, 0), 0);
        log.truncate(4);
        assert_eq!((log.start_offset(), log.end_offset(), log.latest_epoch()), (4, 4, None));
    }

    #[test]
    fn a_segment_ends_by_size_by_time_and_before_its_offsets_need_more_than_32_bits() {
        let size = batch(0, 0, 1, 0).size() as u64;
        let by_size = log(LogConfig { segment_bytes: 3 * size, ..LogConfig::default() }, &[(0, 7)]);
        assert_eq!(bases(&by_size), [0, 3, 6], "three fit exactly");

        // Time is that of the batches: from the segment's first to the new one. Equal to segment.ms is not yet too old.
        let mut by_time = Log::new(LogConfig { segment_ms: 100, ..LogConfig::default() });
        for timestamp in [1_000, 1_100, 1_101, 5, 1_201, 1_202] {
            by_time.append(batch(by_time.end_offset(), 0, 1, timestamp), 0);
        }
        assert_eq!(bases(&by_time), [0, 2, 5]);

        // Without times the broker's clock counts from the segment's first append.
        let mut by_clock = Log::new(LogConfig { segment_ms: 100, ..LogConfig::default() });
        for now_ms in [1_000, 1_100, 1_101] {
            by_clock.append(batch(by_clock.end_offset(), 0, 1, -1), now_ms);
        }
        assert_eq!(bases(&by_clock), [0, 2]);

        let mut by_offset = Log::default();
        by_offset.append(batch(0, 0, 1, 0), 0);
        by_offset.append(batch(i64::from(i32::MAX), 0, 1, 0), 0);
        by_offset.append(batch(i64::from(i32::MAX) + 1, 0, 1, 0), 0);
        assert_eq!(bases(&by_offset), [0, i64::from(i32::MAX) + 1]);
    }

    #[test]
    fn compaction_in_time_needs_segments_that_end_in_time() {
        let config = LogConfig { segment_ms: 1_000, max_compaction_lag_ms: 10, compact: true, ..LogConfig::default() };
        let mut log = Log::new(config);
        for timestamp in [0, 10, 11] {
            log.append(batch(log.end_offset(), 0, 1, timestamp), 0);
        }
        assert_eq!(bases(&log), [0, 2]);
    }

    #[test]
    fn a_read_gives_the_whole_batch_that_holds_the_offset() {
        let mut log = Log::default();
        log.append(batch(0, 0, 5, 0), 0);
        log.append(batch(5, 0, 5, 0), 0);
        let bases =
            |from, limit, bytes, whole| log.read(from, limit, bytes, whole).iter().map(|batch| batch.base_offset).collect::<Vec<_>>();
        assert_eq!(bases(3, 10, 10_000, true), [0, 5]);
        assert_eq!(bases(5, 10, 10_000, true), [5]);
        assert_eq!(bases(0, 9, 10_000, true), [0], "a batch is read whole or not at all");
        assert_eq!(bases(0, 10, 1, true), [0], "the first one even if it is too large");
        assert!(bases(0, 10, 1, false).is_empty());
        assert!(bases(10, 10, 10_000, true).is_empty());
    }

    #[test]
    fn a_read_ends_with_its_segment() {
        let log = log(LogConfig { segment_bytes: 3 * batch(0, 0, 1, 0).size() as u64, ..LogConfig::default() }, &[(0, 8)]);
        let read = |from| log.read(from, 8, usize::MAX, true).iter().map(|batch| batch.base_offset).collect::<Vec<_>>();
        assert_eq!((read(1), read(3), read(7)), (vec![1, 2], vec![3, 4, 5], vec![7]));
        assert_eq!(log.batches_from(1).map(|batch| batch.base_offset).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn the_start_only_rises_and_takes_its_epoch_along() {
        let mut log = log(LogConfig::default(), &[(0, 3), (1, 3)]);
        assert!(log.raise_start(4) && !log.raise_start(2));
        assert_eq!((log.start_offset(), log.epochs()), (4, &[EpochStart { epoch: 1, start: 4 }][..]));
        assert_eq!((log.epoch_at(3), log.epoch_at(5)), (None, Some(1)));
    }
}
