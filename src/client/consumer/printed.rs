//! What the application prints: the newest records that it is done with.
//!
//! Owns the batches in which they came, and no more of them than the newest records need.

use crate::node::Partition;
use crate::protocol::{Batch, Record};
use std::collections::VecDeque;

/// Lines on its screen.
const LINES: usize = 10;

#[derive(Clone, Default, Debug)]
pub struct Printed {
    newest: VecDeque<Lines>,
}

/// Records of one batch.
#[derive(Clone, Debug)]
struct Lines {
    partition: Partition,
    batch: Batch,
    offsets: Vec<i64>,
}

impl Printed {
    /// Prints records of a batch, which is not compressed.
    pub(super) fn print(&mut self, partition: &Partition, batch: &Batch, offsets: &[i64]) {
        let offsets = offsets[offsets.len().saturating_sub(LINES)..].to_vec();
        self.newest.push_back(Lines { partition: partition.clone(), batch: batch.clone(), offsets });
        let mut lines: usize = self.newest.iter().map(|lines| lines.offsets.len()).sum();
        while self.newest.front().is_some_and(|oldest| LINES + oldest.offsets.len() <= lines) {
            lines -= self.newest.pop_front().map_or(0, |gone| gone.offsets.len());
        }
    }

    /// The newest records, the last one printed last.
    pub fn records(&self) -> Vec<(&Partition, Record)> {
        let records = |lines: &'_ Lines| {
            let found = lines.batch.records().flatten().filter(|record| lines.offsets.contains(&record.offset));
            found.collect::<Vec<Record>>()
        };
        let mut all: Vec<_> =
            self.newest.iter().flat_map(|lines| records(lines).into_iter().map(|record| (&lines.partition, record))).collect();
        all.drain(..all.len().saturating_sub(LINES));
        all
    }
}
