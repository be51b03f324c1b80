//! L1: what compaction may take of a partition's committed records, and what every log that was compacted still holds.
//!
//! Of each key the last value below the clean offset survives, on every replica; offsets, order and bytes of what is left are those of the records
//! that were committed. A tombstone survives until `delete.retention.ms` after the first replica has come to it, by the clock of whoever drops it.

use super::committed::{Committed, same};
use super::transactions::TransactionCheck;
use crate::protocol::Batch;
use crate::storage::Log;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Clone, Debug, Default)]
pub struct Compaction {
    /// No replica's log was compacted from here on.
    end: i64,
    /// Committed records in offset order, looked at once the partition is compacted for the first time.
    records: Vec<Known>,
    /// The last record of each key, by its place.
    last: BTreeMap<Bytes, usize>,
}

/// A committed record, as far as compaction cares.
#[derive(Clone, Debug)]
struct Known {
    offset: i64,
    /// The next record of its key; without a key: itself, for compaction keeps no such record.
    superseded: Option<i64>,
    is_tombstone: bool,
    /// Of a tombstone: from when on it may be dropped, once some replica has come to it.
    horizon: Option<i64>,
    /// Some replica has rightly dropped the tombstone: others may copy what it has.
    is_dropped: bool,
}

impl Compaction {
    /// The offset that no replica's compaction has reached.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// A replica's log was compacted up to `to`, by a clock that shows `now_ms`. Returns the first offset that it should still hold.
    pub fn compacted(&mut self, committed: &Committed, transactions: &TransactionCheck, log: &Log, to: i64, now_ms: i64) -> Option<i64> {
        self.end = self.end.max(to);
        self.take_in(committed, transactions, log.start_offset());
        let horizon = now_ms.saturating_add(log.config().delete_retention_ms);
        for known in self.records.iter_mut().take_while(|known| known.offset < to).filter(|known| known.is_tombstone) {
            known.horizon = Some(known.horizon.map_or(horizon, |earlier| earlier.min(horizon)));
        }
        let mut dropped = Vec::new();
        let parting = self.parting_but(committed, log, 0..to, |place, known| {
            let is_over = known.horizon.is_some_and(|horizon| horizon <= now_ms);
            if is_over {
                dropped.push(place);
            }
            is_over
        });
        dropped.into_iter().for_each(|place| self.records[place].is_dropped = true);
        parting
    }

    /// Nothing is known about committed records any more; where gaps may be is.
    pub fn compacted_unclean(&mut self, to: i64) {
        self.end = self.end.max(to);
    }

    /// As far as every transaction is decided that a log knows which begins at `start`: no compaction of it goes further.
    fn take_in(&mut self, committed: &Committed, transactions: &TransactionCheck, start: i64) {
        let stable = transactions.stable_from(committed, start);
        let from = self.records.last().map_or(0, |known| known.offset + 1);
        let decided = committed.from(from).iter().take_while(|batch| batch.base_offset < stable);
        let records = decided.flat_map(|batch| {
            let is_hidden = transactions.is_hidden(batch, true);
            batch.records().flatten().map(move |record| (is_hidden, record))
        });
        for (is_hidden, record) in records.filter(|(_, record)| from <= record.offset) {
            let place = self.records.len();
            // What was aborted goes, and a marker when it has nothing to end: neither has a say about its key.
            let goes = is_hidden || record.key.is_none();
            let superseded = goes.then_some(record.offset);
            self.records.push(Known {
                offset: record.offset,
                superseded,
                is_tombstone: record.value.is_none(),
                horizon: None,
                is_dropped: false,
            });
            if let Some(before) = record.key.filter(|_| !goes).and_then(|key| self.last.insert(key, place)) {
                self.records[before].superseded = Some(record.offset);
            }
        }
    }

    /// The first committed offset at or after `from` that a log should hold and does not, or holds otherwise.
    pub fn parting(&self, committed: &Committed, log: &Log, from: i64) -> Option<i64> {
        if self.end <= from.max(log.start_offset()) {
            committed.parting(log, from)
        } else {
            self.parting_but(committed, log, from..i64::MAX, |_, _| false)
        }
    }

    /// Looks at batches that begin in the range. `may_go` says of a record that is not superseded whether it may be missing.
    fn parting_but(
        &self,
        committed: &Committed,
        log: &Log,
        range: Range<i64>,
        mut may_go: impl FnMut(usize, &Known) -> bool,
    ) -> Option<i64> {
        let start = range.start.max(log.start_offset());
        let mut held = log.batches_from(start).peekable();
        let mut place = self.records.partition_point(|known| known.offset < start);
        for batch in committed.from(start).iter().take_while(|batch| batch.base_offset < range.end) {
            while self.records.get(place).is_some_and(|known| known.offset < batch.base_offset) {
                place += 1;
            }
            let found = held.next_if(|held| held.base_offset <= batch.base_offset);
            if found.is_some_and(|found| same(batch, found)) {
                continue;
            }
            let is_rewritten = |found: &&Batch| {
                let is_placed = (found.base_offset, found.leader_epoch, found.last_offset_delta);
                is_placed == (batch.base_offset, batch.leader_epoch, batch.last_offset_delta)
            };
            if self.end <= batch.base_offset || found.is_some_and(|found| !is_rewritten(&found)) {
                return Some(batch.base_offset);
            }
            let mut left = found.into_iter().flat_map(Batch::records).flatten().peekable();
            for record in batch.records().flatten() {
                let known = self.records.get(place).filter(|known| known.offset == record.offset);
                place += usize::from(known.is_some());
                match left.next_if(|left| left.offset <= record.offset) {
                    Some(left) if left == record => continue,
                    Some(strange) => return Some(strange.offset),
                    None if record.offset < start => continue,
                    None => {}
                }
                let may_be_gone = known
                    .is_some_and(|known| known.is_dropped || known.superseded.is_some_and(|by| by < self.end) || may_go(place - 1, known));
                if !may_be_gone {
                    return Some(record.offset);
                }
            }
            if let Some(strange) = left.next() {
                return Some(strange.offset);
            }
        }
        None
    }
}
