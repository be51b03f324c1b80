//! One partition's segments in the remote store, and what is known of each (tiered storage, KIP-405).
//!
//! Owns which of them a log may be read from. Segments of leaders that lost what they had written lie beside those of their successors: what counts is
//! the leader epochs that both know, offset by offset. Knows nothing of brokers, nor of how long anything takes. Source: `RemoteLogMetadataCache`,
//! `RemoteLogLeaderEpochState`; `RemoteLogManager` (`findHighestRemoteOffset`, `isRemoteSegmentWithinLeaderEpochs`, `RLMExpirationTask`). Kafka keeps
//! all of this in the topic `__remote_log_metadata`, which every broker follows; here they look it up.

use super::epochs::EpochStart;
use super::log::Log;
use super::lookup::{Found, first_record};
use super::producers::States;
use super::segment::Segment;
use super::transactions::EndedTransaction;
use crate::mutant;
use crate::ordered::sort_by;
use crate::protocol::Batch;
use std::sync::Arc;

/// A segment that was copied, or is about to be (`RemoteLogSegmentMetadata`).
#[derive(Clone, Debug)]
pub struct RemoteSegment {
    /// Never given twice in a partition.
    pub id: u64,
    pub segment: Arc<Segment>,
    /// The first offset behind it.
    pub end: i64,
    /// The leader epochs of the log that it was copied from, up to its end.
    pub epochs: Arc<[EpochStart]>,
    /// The aborted transactions that have anything in it.
    pub aborted: Arc<[EndedTransaction]>,
    /// The producers as they were at its end.
    pub producers: States,
    pub state: RemoteState,
}

/// How far a remote segment has come. One that is deleted is forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoteState {
    CopyStarted,
    CopyFinished,
    DeleteStarted,
}

impl RemoteState {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            RemoteState::CopyStarted => "COPY_SEGMENT_STARTED",
            RemoteState::CopyFinished => "COPY_SEGMENT_FINISHED",
            RemoteState::DeleteStarted => "DELETE_SEGMENT_STARTED",
        }
    }
}

impl RemoteSegment {
    pub fn base_offset(&self) -> i64 {
        self.segment.base_offset()
    }

    /// Where in the segment each of its epochs begins and ends.
    fn spans(&self) -> impl Iterator<Item = (i32, i64, i64)> {
        let ends = self.epochs.iter().skip(1).map(|next| next.start).chain([self.end]);
        let spans = self.epochs.iter().zip(ends).map(|(known, end)| (known.epoch, known.start.max(self.base_offset()), end.min(self.end)));
        spans.filter(|(_, start, end)| start < end)
    }

    fn is_copied(&self) -> bool {
        self.state == RemoteState::CopyFinished
    }

    /// How far the segment is what the log says, from `offset` on; `None`: not at all.
    fn agrees(&self, log: &Log, offset: i64) -> Option<i64> {
        if mutant::is("remote-lineage-unheeded") {
            return (self.base_offset() <= offset && offset < self.end).then_some(self.end);
        }
        let mut agreed = offset;
        for (epoch, start, end) in self.spans().filter(|(.., end)| offset < *end) {
            if agreed < start || log.epoch_at(agreed) != Some(epoch) {
                break;
            }
            let own_end = log.epoch_end(epoch).map_or(agreed, |own| own.end);
            agreed = end.min(own_end).max(agreed);
            if own_end < end {
                break;
            }
        }
        (offset < agreed).then_some(agreed)
    }

    /// Whether all of it that is not below the log's start is what the log says.
    fn is_within(&self, log: &Log) -> bool {
        self.end <= log.end_offset() && self.agrees(log, self.base_offset().max(log.start_offset())) == Some(self.end)
    }
}

/// A partition's part of the remote store.
#[derive(Clone, Default, Debug)]
pub struct RemoteLog {
    /// As they were added; the list is shared by copies of a world.
    segments: Arc<Vec<RemoteSegment>>,
    next: u64,
}

/// What total retention lets go.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Expired {
    pub ids: Vec<u64>,
    /// The log starts here then, at the least.
    pub start: i64,
}

impl RemoteLog {
    pub fn segments(&self) -> &[RemoteSegment] {
        &self.segments
    }

    /// A copy begins. Returns the segment's id.
    pub fn start_copy(
        &mut self,
        segment: Arc<Segment>,
        end: i64,
        epochs: Arc<[EpochStart]>,
        aborted: Arc<[EndedTransaction]>,
        producers: States,
    ) -> u64 {
        let (id, state) = (self.next, RemoteState::CopyStarted);
        self.next += 1;
        Arc::make_mut(&mut self.segments).push(RemoteSegment { id, segment, end, epochs, aborted, producers, state });
        id
    }

    /// A copy is complete: it can be read from now on. `false`: it was given up meanwhile.
    pub fn finish_copy(&mut self, id: u64) -> bool {
        let is_it = |known: &&mut RemoteSegment| known.id == id && known.state == RemoteState::CopyStarted;
        let copied = Arc::make_mut(&mut self.segments).iter_mut().find(is_it);
        copied.map(|known| known.state = RemoteState::CopyFinished).is_some()
    }

    /// Nothing is read from these any more.
    pub fn start_delete(&mut self, ids: &[u64]) {
        for known in Arc::make_mut(&mut self.segments).iter_mut().filter(|known| ids.contains(&known.id)) {
            known.state = RemoteState::DeleteStarted;
        }
    }

    /// These are gone. Returns how many there were, and their bytes.
    pub fn finish_delete(&mut self, ids: &[u64]) -> (u32, u64) {
        let (mut count, mut bytes) = (0, 0);
        Arc::make_mut(&mut self.segments).retain(|known| {
            let goes = ids.contains(&known.id);
            count += u32::from(goes);
            bytes += if goes { known.segment.bytes() } else { 0 };
            !goes
        });
        (count, bytes)
    }

    /// The segment from which a log may be read at an offset, and up to where.
    pub fn find(&self, log: &Log, offset: i64) -> Option<(&RemoteSegment, i64)> {
        let copied = self.segments.iter().rev().filter(|known| known.is_copied() && known.base_offset() <= offset && offset < known.end);
        copied.filter_map(|known| Some((known, known.agrees(log, offset)?))).next()
    }

    /// The batches from the one that holds `offset` on, as far as one segment has them, and where the next are to be looked for. `None`: the store has
    /// none there that belongs to this log.
    pub fn batches<'a>(&'a self, log: &Log, offset: i64) -> Option<(impl Iterator<Item = &'a Batch> + use<'a>, i64)> {
        let (known, end) = self.find(log, offset)?;
        let held = known.segment.batches().skip_while(move |batch| batch.next_offset() <= offset);
        Some((held.take_while(move |batch| batch.next_offset() <= end), end))
    }

    /// Every batch of a log from `offset` on up to `limit` that is in the remote store.
    pub fn all_batches<'a>(&'a self, log: &Log, offset: i64, limit: i64) -> Vec<&'a Batch> {
        let (mut found, mut next) = (Vec::new(), offset);
        while next < limit
            && let Some((batches, end)) = self.batches(log, next)
        {
            found.extend(batches.take_while(|batch| batch.base_offset < limit));
            next = end;
        }
        found
    }

    /// The first record of a log that is in the remote store only, can be read and is not older than `timestamp`.
    pub fn first_at(&self, log: &Log, timestamp: i64) -> Option<Found> {
        let mut next = log.start_offset();
        while next < log.local_start_offset()
            && let Some((known, end)) = self.find(log, next)
        {
            if timestamp <= known.segment.max_timestamp()
                && let Some((batches, _)) = self.batches(log, next)
                && let Some(found) = first_record(batches, timestamp, next, |record| timestamp <= record.timestamp)
            {
                return Some(found);
            }
            next = end;
        }
        None
    }

    /// The segment that has what was written at an offset in an epoch.
    pub fn holding(&self, epoch: i32, offset: i64) -> Option<&RemoteSegment> {
        let holds = |known: &&RemoteSegment| known.spans().any(|(own, start, end)| own == epoch && (start..end).contains(&offset));
        self.segments.iter().rev().filter(|known| known.is_copied()).find(holds)
    }

    /// Up to where the log is copied: the highest offset that was copied of its latest epoch that any was copied of, and no more of that than the log has.
    pub fn copied_end(&self, log: &Log) -> i64 {
        let copied = || self.segments.iter().filter(|known| known.is_copied());
        if mutant::is("remote-lineage-unheeded") {
            return copied().map(|known| known.end).max().unwrap_or(0);
        }
        let highest = |epoch: i32| copied().flat_map(RemoteSegment::spans).filter(|span| span.0 == epoch).map(|(.., end)| end).max();
        let ends = log.epochs().iter().rev().filter_map(|own| Some(highest(own.epoch)?.min(log.epoch_end(own.epoch)?.end)));
        ends.clone().next().unwrap_or(0)
    }

    /// The first offset of a log that can be read from the store, looking no further than where the local log starts: a new leader may not have heard that
    /// what was before is deleted.
    pub fn first_offset(&self, log: &Log) -> i64 {
        let (from, limit) = (log.start_offset(), log.local_start_offset());
        let starts = self.segments.iter().filter(|known| known.is_copied() && from < known.end).map(|known| known.base_offset().max(from));
        starts.filter(|start| *start < limit && self.find(log, *start).is_some()).min().unwrap_or(limit)
    }

    /// What `retention.ms` and `retention.bytes` let go, which count what is local and what is remote; what lies below the log's start; and
    /// what was to be deleted before. A copy under way is left alone.
    pub fn expired(&self, log: &Log, now_ms: i64, copying: Option<u64>) -> Expired {
        let mut expired = Expired { ids: Vec::new(), start: log.start_offset() };
        let Some(first_epoch) = log.epochs().first().map(|first| first.epoch) else { return expired };
        let config = log.config();
        let mut surplus = match u64::try_from(config.retention_bytes) {
            Ok(most) => {
                let copied = self.segments.iter().filter(|known| known.is_copied() && known.is_within(log));
                let local = log.segments().filter(|segment| log.remote_end() <= segment.base_offset());
                let bytes: u64 = copied.map(|known| known.segment.bytes()).chain(local.map(Segment::bytes)).sum();
                bytes.saturating_sub(most)
            }
            Err(_) => 0,
        };
        let mut in_order: Vec<&RemoteSegment> = self.segments.iter().collect();
        sort_by(&mut in_order, |one, other| one.base_offset().cmp(&other.base_offset()));
        let mut goes_on = true;
        for known in in_order {
            let last_epoch = known.epochs.last().map_or(-1, |last| last.epoch);
            let is_below = last_epoch < first_epoch || last_epoch == first_epoch && known.end <= log.start_offset();
            if known.state == RemoteState::DeleteStarted || is_below {
                expired.ids.push(known.id);
            } else if goes_on && Some(known.id) == copying {
                goes_on = false;
            } else if goes_on && known.is_within(log) {
                let bytes = known.segment.bytes();
                // One that is just as old goes, unlike a local one (`RemoteLogManager.isSegmentBreachedByRetentionTime`).
                let is_old = 0 <= config.retention_ms && config.retention_ms <= now_ms.saturating_sub(known.segment.largest_timestamp());
                if is_old || 0 < bytes && bytes <= surplus {
                    surplus = surplus.saturating_sub(bytes);
                    expired.ids.push(known.id);
                    expired.start = expired.start.max(known.end);
                } else {
                    goes_on = false;
                }
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{BatchBuilder, BatchOptions};
    use crate::storage::LogConfig;

    /// A log of one-record batches with the time of their offset: how many each epoch wrote.
    fn log(config: LogConfig, epochs: &[(i32, i64)]) -> Log {
        let mut log = Log::new(LogConfig { remote: true, ..config });
        for (leader_epoch, count) in epochs {
            for _ in 0..*count {
                let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
                builder.append(log.end_offset(), None, Some(b"v"), &[]);
                let batch = Batch::from_wire(builder.build()).expect("a batch");
                log.append(Batch { base_offset: log.end_offset(), leader_epoch: *leader_epoch, ..batch }, 0);
            }
        }
        log
    }

    fn kept() -> LogConfig {
        LogConfig { retention_ms: -1, ..LogConfig::default() }
    }

    /// The store with these pieces of a log copied.
    fn copy(remote: &mut RemoteLog, log: &Log, pieces: &[(i64, i64)]) {
        for (base, end) in pieces {
            let batches = log.batches_from(*base).take_while(|batch| batch.base_offset < *end).cloned();
            let id = remote.start_copy(
                Arc::new(Segment::rebuilt(*base, batches, 0)),
                *end,
                log.epochs_below(*end),
                Arc::default(),
                Arc::default(),
            );
            assert!(remote.find(log, *base).is_none_or(|(known, _)| known.id != id), "nothing is read of what is not copied yet");
            assert!(remote.finish_copy(id) && !remote.finish_copy(id));
        }
    }

    fn offsets(remote: &RemoteLog, log: &Log, from: i64) -> Option<(i64, i64, i64)> {
        let (batches, end) = remote.batches(log, from)?;
        let offsets: Vec<i64> = batches.map(|batch| batch.base_offset).collect();
        Some((offsets[0], offsets[offsets.len() - 1], end))
    }

    #[test]
    fn a_log_that_is_cut_before_its_local_part_still_starts_in_the_store() {
        let whole = log(kept(), &[(0, 10), (2, 10)]);
        let mut remote = RemoteLog::default();
        copy(&mut remote, &whole, &[(0, 8), (8, 15)]);
        let mut own = log(kept(), &[]);
        own.restart_behind_remote(15, 4, whole.epochs(), Arc::default());
        own.truncate(12);
        assert_eq!((own.start_offset(), own.local_start_offset(), own.end_offset(), own.remote_end()), (4, 12, 12, 12));
        assert_eq!([4, 8, 11].map(|from| offsets(&remote, &own, from)), [Some((4, 7, 8)), Some((8, 11, 12)), Some((11, 11, 12))]);
        // Of what starts later nothing is left.
        own.truncate(3);
        assert_eq!((own.start_offset(), own.local_start_offset(), own.end_offset()), (3, 3, 3));
    }

    #[test]
    fn a_log_reads_as_far_as_its_epochs_and_the_segments_agree() {
        let whole = log(kept(), &[(0, 10), (2, 10), (5, 10)]);
        let mut remote = RemoteLog::default();
        copy(&mut remote, &whole, &[(0, 8), (8, 24)]);
        assert_eq!(
            [0, 7, 8, 23].map(|from| offsets(&remote, &whole, from)),
            [Some((0, 7, 8)), Some((7, 7, 8)), Some((8, 23, 24)), Some((23, 23, 24))]
        );
        assert_eq!(offsets(&remote, &whole, 24), None);
        for (own, limit) in [
            (log(kept(), &[(0, 10), (2, 5), (6, 20)]), 15),  // epoch 2 was cut off, and another follows
            (log(kept(), &[(0, 9), (3, 20)]), 9),            // another epoch follows earlier
            (log(kept(), &[(0, 10), (2, 10), (6, 10)]), 20), // the same, but for the last
            (log(kept(), &[(0, 10), (2, 2)]), 12),           // nothing follows
        ] {
            assert_eq!(offsets(&remote, &own, 8), Some((8, limit - 1, limit)), "{:?}", own.epochs());
            assert_eq!(offsets(&remote, &own, limit), None, "{:?}", own.epochs());
            assert_eq!(remote.copied_end(&own), limit, "{:?}", own.epochs());
        }
        let stranger = log(kept(), &[(1, 30)]);
        assert_eq!((offsets(&remote, &stranger, 0), remote.copied_end(&stranger)), (None, 0));
    }

    #[test]
    fn segments_of_a_lost_leader_lie_beside_those_of_the_next() {
        let (lost, own) = (log(kept(), &[(0, 30)]), log(kept(), &[(0, 10), (1, 20)]));
        let mut remote = RemoteLog::default();
        copy(&mut remote, &lost, &[(0, 8), (8, 20), (20, 28)]);
        assert_eq!(remote.copied_end(&own), 10);
        copy(&mut remote, &own, &[(6, 15), (15, 30)]);
        assert_eq!(remote.copied_end(&own), 30);
        let read: Vec<(i64, i32)> =
            remote.all_batches(&own, 0, 30).into_iter().map(|batch| (batch.base_offset, batch.leader_epoch)).collect();
        assert_eq!(read, (0..30).map(|offset| (offset, i32::from(10 <= offset))).collect::<Vec<_>>());
        assert_eq!(remote.holding(0, 12).map(|known| known.end), Some(20));
        assert_eq!(remote.holding(1, 12).map(|known| known.end), Some(15));
        assert_eq!(remote.first_at(&own, 12).map(|found| found.offset), None, "it is local");
    }

    fn ids(remote: &RemoteLog, log: &Log, now_ms: i64) -> (Vec<i64>, i64) {
        let expired = remote.expired(log, now_ms, None);
        let base = |id: &u64| remote.segments().iter().find(|known| known.id == *id).map_or(-1, RemoteSegment::base_offset);
        (expired.ids.iter().map(base).collect(), expired.start)
    }

    #[test]
    fn total_retention_goes_by_time_and_by_what_both_tiers_hold() {
        let mut whole = log(kept(), &[(0, 30)]);
        let size = whole.bytes() / 30;
        let mut remote = RemoteLog::default();
        copy(&mut remote, &whole, &[(0, 10), (10, 20)]);
        whole.set_remote_end(20);
        assert_eq!(ids(&remote, &whole, 1_000), (vec![], 0));
        let with = |config: LogConfig| {
            let mut log = whole.clone();
            log.configure(LogConfig { remote: true, ..config });
            log
        };
        for (now_ms, gone) in [(108, vec![]), (109, vec![0]), (118, vec![0]), (119, vec![0, 10])] {
            let start = 10 * gone.len() as i64;
            assert_eq!(ids(&remote, &with(LogConfig { retention_ms: 100, ..kept() }), now_ms), (gone, start), "at {now_ms}");
        }
        // The local segment is not rolled and begins below what is copied: it counts as the store's.
        for (batches, gone) in [(20, vec![]), (19, vec![]), (10, vec![0]), (0, vec![0, 10])] {
            let start = 10 * gone.len() as i64;
            let config = LogConfig { retention_bytes: batches * size as i64, ..kept() };
            assert_eq!(ids(&remote, &with(config), 0), (gone, start), "{batches} batches are to stay");
        }
        whole.raise_start(10);
        assert_eq!(ids(&remote, &whole, 0), (vec![0], 10), "what lies below the log start goes");
        let next = log(kept(), &[(7, 3)]);
        assert_eq!(ids(&remote, &next, 0), (vec![0, 10], 0), "and what is of older epochs than all");
    }

    #[test]
    fn what_is_being_copied_keeps_what_is_behind_it_and_what_was_to_be_deleted_goes() {
        let mut old = log(LogConfig { retention_ms: 0, ..kept() }, &[(0, 30)]);
        let mut remote = RemoteLog::default();
        copy(&mut remote, &old, &[(0, 10), (10, 20)]);
        let copying = remote.segments()[0].id;
        assert_eq!(remote.expired(&old, 1_000, Some(copying)).ids, [0; 0]);
        remote.start_delete(&[copying]);
        assert!(remote.find(&old, 0).is_none());
        assert_eq!(remote.first_offset(&old), 0, "what is local is not looked for there");
        old.restart_behind_remote(30, 0, &[EpochStart { epoch: 0, start: 0 }], Arc::default());
        assert_eq!(remote.first_offset(&old), 10);
        old.configure(kept());
        assert_eq!(remote.finish_delete(&[copying]).0, 1);
        assert_eq!(remote.finish_delete(&[copying]).0, 0);
    }
}
