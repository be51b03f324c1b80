//! Compaction: the last value of each key stays, at its offset.
//!
//! Owns which part of a log may be cleaned, when that is worth it, and how its batches and segments are written anew. Knows nothing of when somebody
//! looks. Source: `LogCleanerManager`, `LogToClean`, `Cleaner`, `MemoryRecords.filterTo`; KIP-58 (`min.compaction.lag.ms`), KIP-354
//! (`max.compaction.lag.ms`), KIP-534 (the delete horizon, which stands in the batch itself).
//!
//! A segment is cleaned whole or not at all, the active one never, nor one that reaches above the last stable offset. The last batch of
//! each producer stays, empty if need be: it says which sequence is next, or if it is a marker, which epoch. What transactions have to do with it is in
//! [`super::cleaned_transactions`].

use super::cleaned_transactions::CleanedTransactions;
use super::log::Log;
use super::segment::Segment;
use crate::mutant;
use crate::protocol::{Batch, BatchBuilder, BatchError, BatchOptions, Compression, Record};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Keys that a round takes in: what `log.cleaner.dedupe.buffer.size` has room for, 24 bytes each and nine tenths full. What is behind the last of
/// them is left for the next round.
const KEYS_MAX: usize = (128 << 20) / 24 * 9 / 10;

/// The part of a log that may be cleaned.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Cleanable {
    /// From the first offset that no round has seen to the first segment that none may see yet.
    dirty: Range<i64>,
    /// Bytes before, and within.
    clean_bytes: u64,
    dirty_bytes: u64,
    /// The oldest record within is older than `max.compaction.lag.ms`.
    is_overdue: bool,
}

/// What one round came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compacted {
    /// The part that was new to it: it is clean now, together with all that lies before.
    pub from: i64,
    pub to: i64,
    /// Records that are gone.
    pub removed: u64,
    /// Bytes of what was written anew, and of what it is now.
    pub bytes_before: u64,
    pub bytes_after: u64,
}

impl Log {
    /// Up to where compaction has been.
    pub fn cleaned_offset(&self) -> Option<i64> {
        self.cleaned
    }

    /// Cleans what may be cleaned, if enough of it is new or some of it too old. `now_ms` is the broker's clock. A log with records that cannot be
    /// read is left alone.
    pub fn compact(&mut self, now_ms: i64, last_stable: i64) -> Option<Compacted> {
        if !self.config().compact {
            return None;
        }
        let found = self.cleanable(now_ms, last_stable);
        let total = found.clean_bytes + found.dirty_bytes;
        let is_dirty = self.config().min_cleanable_dirty_parts * total < found.dirty_bytes * super::config::PARTS;
        let is_due = is_dirty || (found.is_overdue && 0 < found.dirty_bytes);
        if is_due { self.clean(found.dirty, now_ms, KEYS_MAX).ok().flatten() } else { None }
    }

    /// What may be cleaned now. A checkpoint outside the log is of no use: all of it is dirty then.
    fn cleanable(&mut self, now_ms: i64, last_stable: i64) -> Cleanable {
        let (start, end) = (self.start_offset(), self.end_offset());
        let first = match self.cleaned {
            Some(cleaned) if start <= cleaned && cleaned <= end => cleaned,
            Some(_) => *self.cleaned.insert(start),
            None => start,
        };
        let config = self.config();
        let dirty = self.sealed_from(first);
        let mut limit = if mutant::is("compaction-beyond-high-watermark") { end } else { last_stable };
        if 0 < config.min_compaction_lag_ms {
            let newest = now_ms.saturating_sub(config.min_compaction_lag_ms);
            let young = dirty.iter().find(|segment| newest < segment.largest_timestamp());
            limit = young.map_or(limit, |segment| limit.min(segment.base_offset()));
        }
        let oldest = dirty.iter().map(|segment| segment.first_timestamp()).filter(|timestamp| 0 < *timestamp).min();
        let is_overdue = oldest.is_some_and(|oldest| oldest < now_ms.saturating_sub(config.max_compaction_lag_ms));
        let limit = self.sealed_from(limit.max(first)).first().map_or(self.active.base_offset(), |segment| segment.base_offset());
        let bytes_of = |wanted: &dyn Fn(&Segment) -> bool| {
            self.sealed.iter().filter(|segment| wanted(segment)).map(|segment| segment.bytes()).sum::<u64>()
        };
        let first_segment = dirty.first().map_or(i64::MAX, |segment| segment.base_offset());
        Cleanable {
            dirty: first..limit,
            clean_bytes: bytes_of(&|segment| segment.base_offset() < first),
            dirty_bytes: bytes_of(&|segment| first_segment <= segment.base_offset() && segment.base_offset() < limit),
            is_overdue,
        }
    }

    /// Rolled segments from the one that holds this offset on.
    fn sealed_from(&self, offset: i64) -> &[Arc<Segment>] {
        self.sealed.get(self.segment_index(offset)..).unwrap_or_default()
    }

    /// One round: keys from the dirty part decide what stays of everything before its end. `None`: no batch of it fits into the offset map.
    fn clean(&mut self, dirty: Range<i64>, now_ms: i64, keys_max: usize) -> Result<Option<Compacted>, BatchError> {
        let Range { start: from, end: limit } = dirty;
        let offsets = self.offset_map(dirty, keys_max)?;
        if offsets.end <= from {
            return Ok(None);
        }
        let last_of_producers = self.producers().all().map(|(id, state)| match state.written().last() {
            Some(written) => Last::Data(written.last_offset),
            None => Last::Marker(id, state.epoch),
        });
        let mut round = Round {
            offsets: &offsets,
            limit,
            now_ms,
            delete_retention_ms: self.config().delete_retention_ms,
            last_of_producers: last_of_producers.collect(),
            transactions: self.cleaned_transactions(0),
        };
        let count = self.sealed.partition_point(|segment| segment.base_offset() < offsets.end);
        let mut compacted = Compacted { from, to: offsets.end, removed: 0, bytes_before: 0, bytes_after: 0 };
        let mut rewritten = Vec::new();
        for group in self.groups(count, limit) {
            let segment = round.clean_segments(&self.sealed[group], &mut compacted)?;
            compacted.bytes_after += segment.bytes();
            rewritten.push(segment);
        }
        let emptied = round.transactions.emptied;
        self.transactions_mut().forget_aborted(|ended| emptied.contains(&ended.last_offset));
        compacted.bytes_before = self.sealed[..count].iter().map(|segment| segment.bytes()).sum();
        Arc::make_mut(&mut self.sealed).splice(..count, rewritten);
        self.count_bytes();
        self.cleaned = Some(offsets.end);
        Ok(Some(compacted))
    }

    /// What a round that begins at this offset has to know: a marker before it, or in a segment that is deleted, has ended its transaction. One that is never
    /// come to would make all that follows of its producer a part of it.
    fn cleaned_transactions(&self, from: i64) -> CleanedTransactions {
        CleanedTransactions::new(self.producers().transactions().aborted_within(from.max(self.first_base()), i64::MAX))
    }

    /// The last offset of each key in the dirty part, as far as there is room for keys.
    fn offset_map(&self, Range { start: from, end: limit }: Range<i64>, keys_max: usize) -> Result<OffsetMap, BatchError> {
        let mut map = OffsetMap { last: BTreeMap::new(), end: from };
        let dirty = self.sealed_from(from).iter().take_while(|segment| segment.base_offset() < limit);
        let mut transactions = self.cleaned_transactions(from);
        for batch in dirty.flat_map(|segment| segment.batches()).filter(|batch| from <= batch.last_offset()) {
            let header = batch.header()?;
            // Records that go anyway have no say.
            let counts = !transactions.is_over(batch, &header) && !header.is_control();
            for record in batch.records().filter(|_| counts) {
                let Record { key: Some(key), offset, .. } = record? else { continue };
                if offset < from {
                    continue;
                }
                if map.last.len() == keys_max {
                    return Ok(map);
                }
                map.last.insert(key, offset);
            }
            map.end = batch.next_offset();
        }
        // Behind the last batch there may be a gap.
        map.end = limit;
        Ok(map)
    }

    /// The first `count` segments in groups that each become one: as many as fit into `segment.bytes` and the 32 bits of an index.
    fn groups(&self, count: usize, limit: i64) -> Vec<Range<usize>> {
        let mut groups: Vec<Range<usize>> = Vec::new();
        let mut bytes = 0;
        for (index, segment) in self.sealed[..count].iter().enumerate() {
            let end = self.sealed[..count].get(index + 1).map_or(limit, |next| next.base_offset());
            let joins = |group: &&mut Range<usize>| {
                let fits = bytes + segment.bytes() <= self.config().segment_bytes;
                let is_near = end - 1 - self.sealed[group.start].base_offset() <= i64::from(i32::MAX);
                fits && (is_near || segment.is_empty())
            };
            match groups.last_mut().filter(joins) {
                Some(group) => {
                    group.end = index + 1;
                    bytes += segment.bytes();
                }
                None => {
                    groups.push(index..index + 1);
                    bytes = segment.bytes();
                }
            }
        }
        groups
    }
}

/// Where each key stands last.
struct OffsetMap {
    last: BTreeMap<Bytes, i64>,
    /// What is at or behind this offset is not in it.
    end: i64,
}

impl OffsetMap {
    /// Whether a record stays; `keeps_tombstones`: also where it is the last word on its key and has no value.
    fn keeps(&self, record: &Record, keeps_tombstones: bool) -> bool {
        if self.end <= record.offset {
            return true;
        }
        let Some(key) = &record.key else { return false };
        let last = self.last.get(key).copied();
        let is_last = last.is_none_or(|last| last <= record.offset) && !(last.is_some() && mutant::is("compaction-drops-last"));
        is_last && (record.value.is_some() || keeps_tombstones)
    }
}

/// What holds for all batches of a round.
struct Round<'a> {
    offsets: &'a OffsetMap,
    limit: i64,
    now_ms: i64,
    delete_retention_ms: i64,
    last_of_producers: Vec<Last>,
    transactions: CleanedTransactions,
}

/// What is last of a known producer: the last offset of a batch, or a marker in its epoch.
#[derive(PartialEq, Eq)]
enum Last {
    Data(i64),
    Marker(i64, i16),
}

impl Round<'_> {
    /// One segment in place of several. If nothing changes in the only one, it stays itself and copies of the log go on sharing it.
    fn clean_segments(&mut self, segments: &[Arc<Segment>], compacted: &mut Compacted) -> Result<Arc<Segment>, BatchError> {
        let mut batches = Vec::new();
        let mut is_same = segments.len() == 1;
        for batch in segments.iter().flat_map(|segment| segment.batches()) {
            let kept = self.clean_batch(batch)?;
            is_same &= kept.as_ref().is_some_and(|kept| kept.bytes.as_ptr() == batch.bytes.as_ptr());
            let left = kept.as_ref().map_or(0, |kept| kept.record_count);
            compacted.removed += (batch.record_count - left) as u64;
            batches.extend(kept);
        }
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else { unreachable!("a group has a segment") };
        if is_same {
            return Ok(first.clone());
        }
        Ok(Arc::new(Segment::rebuilt(first.base_offset(), batches.into_iter(), last.modified_ms())))
    }

    /// What is left of a batch: itself, fewer records at the same offsets, or nothing. The last batch of the round stays even without records, for
    /// it says where the log goes on, and so does the last one of each producer.
    fn clean_batch(&mut self, batch: &Batch) -> Result<Option<Batch>, BatchError> {
        let header = batch.header()?;
        let is_over = self.transactions.is_over(batch, &header);
        let horizon = header.delete_horizon();
        let waits = horizon.is_none_or(|horizon| self.now_ms < horizon);
        let keeps_tombstones = waits && !mutant::is("tombstones-dropped-at-once");
        // A marker of which nothing is left waits as a tombstone does: slow readers may have begun with its transaction.
        let (mut kept, mut has_tombstones) = (Vec::new(), header.is_control() && is_over && waits && 0 < batch.record_count);
        let goes = is_over && !has_tombstones;
        for record in batch.records().filter(|_| !goes) {
            let record = record?;
            if header.is_control() || self.offsets.keeps(&record, keeps_tombstones) {
                has_tombstones |= record.value.is_none();
                kept.push(record);
            }
        }
        let is_whole = kept.len() == batch.record_count as usize;
        let is_end = batch.next_offset() == self.limit;
        let last =
            if header.is_control() { Last::Marker(header.producer_id, header.producer_epoch) } else { Last::Data(batch.last_offset()) };
        let is_last_of_producer = header.is_idempotent() && self.last_of_producers.contains(&last);
        if kept.is_empty() && !is_end && !is_last_of_producer {
            return Ok(None);
        }
        let sets_horizon = has_tombstones && horizon.is_none();
        if is_whole && !sets_horizon {
            return Ok(Some(batch.clone()));
        }
        let new_horizon = self.now_ms.saturating_add(self.delete_retention_ms);
        let options = BatchOptions {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            transactional: header.is_transactional(),
            control: header.is_control(),
            compression: if kept.is_empty() { Compression::NONE } else { Compression::of(header.codec()?) },
            log_append_time: header.log_append_time(),
            delete_horizon: if kept.is_empty() { None } else { horizon.or(sets_horizon.then_some(new_horizon)) },
        };
        let mut builder = BatchBuilder::new(options, batch.size());
        for (place, record) in (0..).zip(&kept) {
            let headers: Vec<_> = record.headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
            let delta = if mutant::is("compaction-renumbers") { place } else { (record.offset - batch.base_offset) as i32 };
            builder.append_at(delta, record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
        }
        let max_timestamp = kept.iter().map(|record| record.timestamp).max().unwrap_or(batch.max_timestamp);
        let bytes = builder.build_covering(batch.last_offset_delta, max_timestamp);
        Ok(Some(Batch { base_offset: batch.base_offset, leader_epoch: batch.leader_epoch, ..Batch::from_wire(bytes)? }))
    }
}

#[cfg(test)]
#[path = "compaction_test.rs"]
mod tests;
