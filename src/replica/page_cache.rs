//! What of a log is only in the machine's memory: lost with the power, not with the process.
//!
//! Kafka forces nothing to disk by default: it trusts the other replicas, and the operating system, whose flusher writes pages back that have
//! been dirty for a while (`dirty_writeback_centisecs` and `dirty_expire_centisecs` of Linux). `log.flush.*` force it earlier.

use super::Replica;
use crate::node::{NoteKind, Outputs, Time};
use crate::storage::Log;
use std::collections::VecDeque;

/// Where the log ended at each wake-up of the flusher whose pages are still dirty: as many as wake-ups fit into
/// the time that a page may be dirty.
#[derive(Clone, Default, Debug)]
pub(super) struct PageCache {
    dirty: VecDeque<(Time, i64)>,
    /// When all of the log was last forced to disk.
    flushed_at: Time,
}

impl PageCache {
    fn write_back(&mut self, now: Time, expires: Time, log: &mut Log) {
        while let Some((_, end)) = self.dirty.pop_front_if(|(since, _)| *since + expires <= now) {
            log.flush(end);
        }
    }

    fn mark(&mut self, now: Time, log: &Log) {
        let known = self.dirty.back().map_or(log.flushed_offset(), |(_, end)| *end);
        if known < log.end_offset() {
            self.dirty.push_back((now, log.end_offset()));
        }
    }

    /// The log ends earlier now.
    pub(super) fn cut(&mut self, end: i64) {
        self.dirty.retain(|(_, marked)| *marked <= end);
    }
}

impl Replica {
    /// The flusher wakes up: pages that have been dirty for long go to disk.
    pub fn write_back(&mut self, now: Time, expires: Time) {
        self.page_cache.write_back(now, expires, &mut self.log);
        self.page_cache.mark(now, &self.log);
    }

    /// All of the log goes to disk.
    pub fn flush(&mut self, now: Time) {
        self.log.flush(self.log.end_offset());
        self.page_cache.dirty.clear();
        self.page_cache.flushed_at = now;
    }

    /// Whether `flush.messages` forces the log to disk once it has so many records more.
    pub fn is_flush_due(&self, records: i64) -> bool {
        self.flush_rule.messages <= self.log.end_offset() - self.log.flushed_offset() + records
    }

    /// After an append.
    pub(super) fn flush_if_due(&mut self, now: Time) {
        if self.is_flush_due(0) {
            self.flush(now);
        }
    }

    /// When `flush.ms` forces the log to disk next; `None`: never.
    pub fn next_flush(&self) -> Option<Time> {
        Some(self.page_cache.flushed_at + self.flush_rule.after?)
    }

    /// The power is gone, and the page cache with it.
    pub fn lose_power(&mut self, now: Time, expires: Time, out: &mut Outputs) {
        self.page_cache.write_back(now, expires, &mut self.log);
        self.page_cache.dirty.clear();
        let (from, to) = (self.log.flushed_offset(), self.log.end_offset());
        if from < to {
            self.log.truncate(from);
            out.note(NoteKind::RecordsLost { partition: self.name.clone(), from, to });
        }
        // Where nothing is left of what may be read, the log begins anew (`LogLoader.deleteSegmentsIfLogStartGreaterThanLogEnd`).
        if self.log.end_offset() < self.start_checkpoint {
            let from = self.log.start_offset();
            self.log.restart(self.start_checkpoint);
            self.note_log_start(from, out);
        }
    }
}
