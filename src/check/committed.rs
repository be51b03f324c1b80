//! The records of one partition that are committed: below a leader's high watermark once, they are there for good.

use crate::protocol::Batch;
use crate::storage::Log;

/// Batches in offset order; cloning one shares its bytes.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    batches: Vec<Batch>,
}

impl Committed {
    /// The first offset that is not committed.
    pub fn end(&self) -> i64 {
        self.batches.last().map_or(0, Batch::next_offset)
    }

    /// Takes in what a leader's log holds up to its high watermark.
    pub fn extend(&mut self, log: &Log, high_watermark: i64) {
        let new = log.batches_from(self.end()).take_while(|batch| batch.next_offset() <= high_watermark);
        self.batches.extend(new.cloned());
    }

    /// Batches from the one that holds `offset` on.
    pub fn from(&self, offset: i64) -> &[Batch] {
        &self.batches[self.batches.partition_point(|batch| batch.next_offset() <= offset)..]
    }

    /// The first offset at or after `from` at which a log holds something else, or nothing.
    pub fn parting(&self, log: &Log, from: i64) -> Option<i64> {
        let start = from.max(log.local_start_offset());
        let mut held = log.batches_from(start);
        self.from(start).iter().find(|batch| held.next().is_none_or(|held| !same(batch, held))).map(|batch| batch.base_offset)
    }
}

/// Whether two batches are one: the same place, epoch and bytes.
pub fn same(one: &Batch, other: &Batch) -> bool {
    let shared = || one.bytes.as_ptr() == other.bytes.as_ptr() && one.bytes.len() == other.bytes.len();
    one.base_offset == other.base_offset && one.leader_epoch == other.leader_epoch && (shared() || one.bytes == other.bytes)
}
