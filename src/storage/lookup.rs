//! Offsets by time: what ListOffsets asks a log.
//!
//! Source: `UnifiedLog.fetchOffsetByTimestamp`, `LogSegment.findOffsetByTimestamp`, KIP-734 (the newest timestamp). Kafka's search gives up after the first
//! segment that is new enough, even if its new records lie below the log start offset; here it goes on.

use super::log::Log;
use crate::protocol::batch::NO_TIMESTAMP;
use crate::protocol::{Batch, Record};

/// A record that was looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    pub offset: i64,
    pub timestamp: i64,
    pub leader_epoch: i32,
}

impl Log {
    /// The first record that can be read and is not older than `timestamp`.
    pub fn first_at(&self, timestamp: i64) -> Option<Found> {
        self.first_from(timestamp, self.segment_index(self.start_offset()), |record| timestamp <= record.timestamp)
    }

    /// The first of the newest records.
    pub fn newest(&self) -> Option<Found> {
        let (mut newest, mut place) = (NO_TIMESTAMP, 0);
        for (index, segment) in self.segments().enumerate() {
            if newest < segment.max_timestamp() {
                (newest, place) = (segment.max_timestamp(), index);
            }
        }
        if newest == NO_TIMESTAMP {
            return None;
        }
        self.first_from(newest, place, |record| record.timestamp == newest)
    }

    fn first_from(&self, timestamp: i64, from: usize, wanted: impl Fn(&Record) -> bool) -> Option<Found> {
        for (index, segment) in self.segments().enumerate().skip(from) {
            if segment.max_timestamp() < timestamp {
                continue;
            }
            let mut batches = self.batches_at(index, segment.find_time(timestamp));
            batches.stay_in_segment();
            if let Some(found) = first_record(batches, timestamp, self.start_offset(), &wanted) {
                return Some(found);
            }
        }
        None
    }
}

/// The first record from `start` on that is wanted, in a batch whose newest time reaches `timestamp`.
pub(super) fn first_record<'a>(
    batches: impl Iterator<Item = &'a Batch>,
    timestamp: i64,
    start: i64,
    wanted: impl Fn(&Record) -> bool,
) -> Option<Found> {
    batches.filter(|batch| timestamp <= batch.max_timestamp).find_map(|batch| {
        // A record that cannot be read ends its batch: so it does for consumers.
        let record = batch.records().map_while(Result::ok).filter(|record| start <= record.offset).find(&wanted)?;
        Some(Found { offset: record.offset, timestamp: record.timestamp, leader_epoch: batch.leader_epoch })
    })
}
