//! Which segments are old enough to go.
//!
//! Oldest first, only whole segments below the high watermark; the active one is rolled before it goes. Knows nothing of when somebody looks. Source:
//! `UnifiedLog.deleteOldSegments`.

use super::log::Log;
use super::segment::Segment;
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
    /// Removes what the settings let go; the log starts with the first segment that is left. `now_ms` is the broker's clock.
    pub fn delete_old(&mut self, now_ms: i64, high_watermark: i64) -> Vec<Deleted> {
        let start = self.start_offset();
        let retention_ms = self.config().retention_ms;
        let mut deleted = Vec::new();
        self.delete_while(DeleteReason::Start, high_watermark, &mut deleted, &mut |_, next| next.is_some_and(|next| next <= start));
        if !self.config().delete {
            return deleted;
        }
        if let Ok(most) = u64::try_from(self.config().retention_bytes) {
            // A segment goes if at least that much is left without it.
            let mut surplus = self.bytes().saturating_sub(most);
            self.delete_while(DeleteReason::Size, high_watermark, &mut deleted, &mut |segment, _| {
                let goes = segment.bytes() <= surplus;
                surplus = surplus.saturating_sub(segment.bytes());
                goes
            });
        }
        if 0 <= retention_ms {
            self.delete_while(DeleteReason::Time, high_watermark, &mut deleted, &mut |segment, _| {
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
        let is_deletable = |(segment, next): &(&Segment, Option<i64>)| {
            let is_last_and_empty = next.is_none() && segment.is_empty();
            next.unwrap_or(self.end_offset()) <= high_watermark && goes(segment, *next) && !is_last_and_empty
        };
        let mut gone = Deleted { reason, segments: 0, bytes: 0 };
        for (segment, _) in self.segments().zip(nexts).take_while(is_deletable) {
            gone.segments += 1;
            gone.bytes += segment.bytes();
        }
        if gone.segments == 0 {
            return;
        }
        if self.sealed.len() < gone.segments as usize {
            self.roll(self.end_offset());
        }
        Arc::make_mut(&mut self.sealed).drain(..gone.segments as usize);
        let first = self.segments().next().map_or(self.end_offset(), Segment::base_offset);
        self.raise_start(first);
        self.count_bytes();
        deleted.push(gone);
    }
}
