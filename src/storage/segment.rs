//! A piece of a log: batches in offset order, from a base offset on.
//!
//! Owns where an offset or a time is found within the piece, and when the piece has been filled enough. Knows nothing of other segments. Batches are
//! kept in runs that copies of a world share: filling a segment costs the same however long it is, and copying it next to nothing. Source:
//! `LogSegment`; its runs stand for the sparse indexes of offsets and times.

use super::config::LogConfig;
use crate::protocol::{Batch, batch::NO_TIMESTAMP};
use std::sync::Arc;

/// Batches of a run.
pub const RUN_BATCHES: usize = 256;

/// One segment, active or rolled.
#[derive(Clone, Debug)]
pub struct Segment {
    base_offset: i64,
    /// The whole list is shared, too: a copy of the log copies none of it until one of the two is written to.
    runs: Arc<Vec<Arc<Run>>>,
    tail: Vec<Batch>,
    bytes: u64,
    max_timestamp: i64,
    /// Newest time of the first batch: from it on the segment's age counts.
    first_timestamp: i64,
    /// The broker's time of the first append, for batches without a time of their own.
    created_ms: i64,
    modified_ms: i64,
}

/// Batches that are written no more.
#[derive(Clone, Debug)]
struct Run {
    batches: Vec<Batch>,
    /// The newest time in the segment up to the end of this run: rising from run to run, so that it can be searched.
    max_timestamp: i64,
}

/// A place in a segment: run, and batch within it.
pub type Place = (usize, usize);

impl Segment {
    pub fn new(base_offset: i64) -> Segment {
        Segment {
            base_offset,
            runs: Arc::default(),
            tail: Vec::new(),
            bytes: 0,
            max_timestamp: NO_TIMESTAMP,
            first_timestamp: NO_TIMESTAMP,
            created_ms: NO_TIMESTAMP,
            modified_ms: NO_TIMESTAMP,
        }
    }

    /// The first offset that it may hold.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.tail.is_empty()
    }

    /// The newest time of a batch; -1 if none has one.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The time that retention and compaction go by: the newest of a batch, else that of the last append.
    pub fn largest_timestamp(&self) -> i64 {
        if 0 <= self.max_timestamp { self.max_timestamp } else { self.modified_ms }
    }

    /// Newest time of the first batch; -1 without one.
    pub fn first_timestamp(&self) -> i64 {
        self.first_timestamp
    }

    pub fn modified_ms(&self) -> i64 {
        self.modified_ms
    }

    /// Whether this batch must begin a new segment (`LogSegment.shouldRoll`): the size would be passed, the time has passed, or the offset is too far
    /// from the base for the 32 bits that an index has for it.
    pub fn should_roll(&self, batch: &Batch, config: &LogConfig, now_ms: i64) -> bool {
        let waited_ms = match self.first_timestamp {
            NO_TIMESTAMP => now_ms.saturating_sub(self.created_ms),
            first => batch.max_timestamp.saturating_sub(first),
        };
        let is_full = config.segment_bytes < self.bytes + batch.size() as u64;
        let is_old = config.segment_ms_max() < waited_ms;
        !self.is_empty() && (is_full || is_old) || i64::from(i32::MAX) < batch.last_offset() - self.base_offset
    }

    pub fn append(&mut self, batch: Batch, now_ms: i64) {
        if self.is_empty() {
            (self.first_timestamp, self.created_ms) = (batch.max_timestamp, now_ms);
        }
        self.modified_ms = now_ms;
        self.push(batch);
    }

    fn push(&mut self, batch: Batch) {
        self.bytes += batch.size() as u64;
        self.max_timestamp = self.max_timestamp.max(batch.max_timestamp);
        self.tail.push(batch);
        if self.tail.len() == RUN_BATCHES {
            let batches = std::mem::replace(&mut self.tail, Vec::with_capacity(RUN_BATCHES));
            Arc::make_mut(&mut self.runs).push(Arc::new(Run { batches, max_timestamp: self.max_timestamp }));
        }
    }

    /// No more is written to it.
    pub fn seal(&mut self) {
        self.tail.shrink_to_fit();
    }

    /// A segment in place of others: compaction has rewritten them.
    pub fn rebuilt(base_offset: i64, batches: impl Iterator<Item = Batch>, modified_ms: i64) -> Segment {
        let mut segment = Segment::new(base_offset);
        for batch in batches {
            segment.append(batch, modified_ms);
        }
        segment.modified_ms = modified_ms;
        segment.seal();
        segment
    }

    /// Batches of a run; the last one is that being filled. `None` behind it.
    pub fn run(&self, index: usize) -> Option<&[Batch]> {
        match self.runs.get(index) {
            Some(run) => Some(&run.batches),
            None => (index == self.runs.len()).then_some(&self.tail[..]),
        }
    }

    /// Where the batch that holds `offset` stands, or the first one behind it.
    pub fn find(&self, offset: i64) -> Place {
        let is_before = |batch: &Batch| batch.next_offset() <= offset;
        let run = self.runs.partition_point(|run| run.batches.last().is_none_or(is_before));
        (run, self.run(run).map_or(0, |batches| batches.partition_point(is_before)))
    }

    /// Where the first batch stands whose newest time reaches `timestamp`.
    pub fn find_time(&self, timestamp: i64) -> Place {
        let run = self.runs.partition_point(|run| run.max_timestamp < timestamp);
        let is_before = |batch: &Batch| batch.max_timestamp < timestamp;
        (run, self.run(run).map_or(0, |batches| batches.iter().take_while(|batch| is_before(batch)).count()))
    }

    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.runs.iter().flat_map(|run| &run.batches).chain(&self.tail)
    }

    /// Removes every batch that holds an offset of `offset` or above.
    pub fn truncate(&mut self, offset: i64) {
        let (run, place) = self.find(offset);
        if run < self.runs.len() {
            let runs = Arc::make_mut(&mut self.runs);
            self.tail = Arc::unwrap_or_clone(runs.swap_remove(run)).batches;
            runs.truncate(run);
        }
        // What precedes it in the runs and the tail may be in the middle of a run: it is open again.
        self.tail.truncate(place);
        self.bytes = self.batches().map(|batch| batch.size() as u64).sum();
        let whole_runs = self.runs.last().map_or(NO_TIMESTAMP, |run| run.max_timestamp);
        self.max_timestamp = self.tail.iter().map(|batch| batch.max_timestamp).fold(whole_runs, i64::max);
        if self.is_empty() {
            self.first_timestamp = NO_TIMESTAMP;
        }
    }
}
