//! Which segments are old enough to go.
//!
//! Oldest first, only whole segments below the high watermark; the active one is rolled before it goes. With tiered storage local retention counts,
//! and only what is copied to the remote store goes; the log starts where it did. Knows nothing of when somebody looks. Source:
//! `UnifiedLog.deleteOldSegments`.

use super::log::Log;
use super::segment::Segment;
use crate::mutant;
use crate::node::DeleteReason;
use std::sync::Arc;

/// Segments that were removed for one reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deleted {
    pub reason: DeleteReason,
    pub segments: u32,
    pub bytes: u64,
}

impl Log {
    /// Removes what the settings let go; the log starts with the first segment that is left, here or in the remote store. `now_ms` is the broker's clock.
    pub fn delete_old(&mut self, now_ms: i64, high_watermark: i64) -> Vec<Deleted> {
        let start = self.start_offset();
        let (retention_ms, retention_bytes) = (self.config().local_ms(), self.config().local_bytes());
        let (by_size, by_time) = match self.config().is_tiering() {
            true => (DeleteReason::LocalSize, DeleteReason::LocalTime),
            false => (DeleteReason::Size, DeleteReason::Time),
        };
        let mut deleted = Vec::new();
        self.delete_while(DeleteReason::Start, high_watermark, &mut deleted, &mut |_, next| next.is_some_and(|next| next <= start));
        if !self.config().goes_by_age() {
            return deleted;
        }
        if let Ok(most) = u64::try_from(retention_bytes) {
            // A segment goes if at least that much is left without it.
            let mut surplus = self.bytes().saturating_sub(most);
            self.delete_while(by_size, high_watermark, &mut deleted, &mut |segment, _| {
                let goes = segment.bytes() <= surplus;
                surplus = surplus.saturating_sub(segment.bytes());
                goes
            });
        }
        if 0 <= retention_ms {
            self.delete_while(by_time, high_watermark, &mut deleted, &mut |segment, _| {
                retention_ms < now_ms.saturating_sub(segment.largest_timestamp())
            });
        }
        deleted
    }

    /// Removes segments from the oldest on while they are below the high watermark and `goes` says so of them and the next one's base offset.
    fn delete_while(
        &mut self,
        reason: DeleteReason,
        high_watermark: i64,
        deleted: &mut Vec<Deleted>,
        goes: &mut dyn FnMut(&Segment, Option<i64>) -> bool,
    ) {
        let nexts = self.segments().skip(1).map(|next| Some(next.base_offset())).chain([None]);
        let is_tiering = self.config().is_tiering();
        let is_kept = |end: i64| is_tiering && self.remote_end().max(self.start_offset()) < end && !mutant::is("local-deleted-uncopied");
        let mut gone = Deleted { reason, segments: 0, bytes: 0 };
        let mut rolls = false;
        for (segment, next) in self.segments().zip(nexts) {
            let end = next.unwrap_or(self.end_offset());
            let is_last_and_empty = next.is_none() && segment.is_empty();
            let is_safe = end <= high_watermark || mutant::is("retention-beyond-high-watermark");
            if !is_safe || !goes(segment, next) || is_last_and_empty {
                break;
            }
            if is_kept(end) {
                // The active one cannot be copied before it is rolled.
                rolls = next.is_none();
                break;
            }
            gone.segments += 1;
            gone.bytes += segment.bytes();
        }
        if rolls {
            self.roll(self.end_offset());
        }
        if gone.segments == 0 {
            return;
        }
        if self.sealed.len() < gone.segments as usize {
            self.roll(self.end_offset());
        }
        let sealed = Arc::make_mut(&mut self.sealed);
        if mutant::is("retention-removes-newest") {
            sealed.truncate(sealed.len() - gone.segments as usize);
        } else {
            sealed.drain(..gone.segments as usize);
        }
        if !is_tiering {
            let first = self.segments().next().map_or(self.end_offset(), Segment::base_offset);
            self.raise_start(first);
        }
        self.count_bytes();
        deleted.push(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Batch, BatchBuilder, BatchOptions};
    use crate::storage::LogConfig;

    const ALL: i64 = i64::MAX;

    /// One record a batch, with these times; every segment takes two batches.
    fn log(times: &[i64], config: LogConfig) -> (Log, u64) {
        let batch = |time: i64| {
            let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
            builder.append(time, None, Some(b"v"), &[]);
            Batch::from_wire(builder.build()).expect("a batch")
        };
        let size = batch(0).size() as u64;
        let mut log = Log::new(LogConfig { segment_bytes: 2 * size, ..config });
        for time in times {
            log.append(Batch { base_offset: log.end_offset(), ..batch(*time) }, 1_000);
        }
        (log, size)
    }

    fn by(retention_ms: i64, retention_bytes: i64) -> LogConfig {
        LogConfig { retention_ms, retention_bytes, ..LogConfig::default() }
    }

    /// Why, how many segments; where the log starts then, and what is left of it.
    fn outcome(log: &mut Log, now_ms: i64, high_watermark: i64) -> (Vec<(DeleteReason, u32)>, i64, usize) {
        let deleted = log.delete_old(now_ms, high_watermark);
        let reasons = deleted.iter().map(|deleted| (deleted.reason, deleted.segments)).collect();
        (reasons, log.start_offset(), log.batches_from(0).count())
    }

    #[test]
    fn a_segment_is_old_by_its_newest_record_and_only_when_it_is_older_than_the_setting() {
        let (mut log, _) = log(&[10, 0, 20, 20, 30], by(100, -1));
        assert_eq!(outcome(&mut log, 110, ALL), (vec![], 0, 5), "as old as the setting is not too old");
        assert_eq!(outcome(&mut log, 111, ALL), (vec![(DeleteReason::Time, 1)], 2, 3));
        assert_eq!(outcome(&mut log, 121, ALL), (vec![(DeleteReason::Time, 1)], 4, 1));
    }

    #[test]
    fn a_young_segment_keeps_those_behind_it() {
        let (mut log, _) = log(&[500, 0, 0, 0, 0], by(100, -1));
        assert_eq!(outcome(&mut log, 550, ALL), (vec![], 0, 5), "oldest first, by offset");
    }

    #[test]
    fn the_active_segment_is_rolled_before_it_goes_and_the_log_goes_on_where_it_ended() {
        let (mut log, _) = log(&[0, 0, 0], by(100, -1));
        assert_eq!(outcome(&mut log, 1_000, ALL), (vec![(DeleteReason::Time, 2)], 3, 0));
        assert_eq!((log.end_offset(), log.bytes(), log.segments().count()), (3, 0, 1));
        assert_eq!(outcome(&mut log, 9_000, ALL), (vec![], 3, 0), "an empty segment does not go again");
    }

    #[test]
    fn nothing_at_or_above_the_high_watermark_goes() {
        let (whole, _) = log(&[0, 0, 0, 0, 0], by(100, 0));
        for (high_watermark, start) in [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4), (5, 5)] {
            let mut log = whole.clone();
            assert_eq!(outcome(&mut log, 1_000, high_watermark).1, start, "high watermark {high_watermark}");
        }
    }

    #[test]
    fn by_size_a_segment_goes_if_as_much_as_the_setting_is_left_without_it() {
        let (whole, size) = log(&[0, 0, 0, 0, 0], by(-1, -1));
        for (batches, start) in [(5, 0), (4, 0), (3, 2), (2, 2), (1, 4), (0, 5)] {
            let mut log = whole.clone();
            log.configure(LogConfig { retention_bytes: batches * size as i64, ..*whole.config() });
            assert_eq!(outcome(&mut log, 1_000, ALL).1, start, "{batches} batches are to stay");
        }
    }

    #[test]
    fn segments_below_the_log_start_go_whatever_the_policy_and_nothing_else_does_without_delete() {
        let (mut log, _) = log(&[0, 0, 0, 0, 0], LogConfig { delete: false, compact: true, ..by(100, 0) });
        log.raise_start(3);
        assert_eq!(outcome(&mut log, 1_000, ALL), (vec![(DeleteReason::Start, 1)], 3, 3));
    }

    #[test]
    fn without_any_policy_segments_go_by_age_only_where_they_are_in_the_remote_store_as_well() {
        let neither = LogConfig { delete: false, compact: false, ..by(100, -1) };
        let kept = |config: LogConfig| outcome(&mut log(&[0, 0, 0, 0, 0], config).0, 1_000, ALL).0;
        assert!(kept(neither).is_empty());
        let tiered = LogConfig { remote: true, local_retention_ms: 100, ..neither };
        let mut copied = log(&[0, 0, 0, 0, 0], tiered).0;
        copied.set_remote_end(4);
        assert_eq!(outcome(&mut copied, 1_000, ALL).0, [(DeleteReason::LocalTime, 2)]);
        assert!(kept(LogConfig { remote_copy_disabled: true, ..tiered }).is_empty());
    }

    #[test]
    fn without_times_the_last_append_counts() {
        let (mut log, _) = log(&[-1, -1, -1], by(100, -1));
        assert_eq!(outcome(&mut log, 1_100, ALL).1, 0);
        assert_eq!(outcome(&mut log, 1_101, ALL).1, 3);
    }
}
