//! The metadata log of one controller: what it has of `__cluster_metadata`, on its disk.
//!
//! Owns how two logs are compared and how one is cut back to what it has in common with another. Source: `KafkaRaftLog`
//! (`endOffsetForEpoch`, `validateOffsetAndEpoch`, `truncateToEndOffset`), KIP-595.

use crate::mutant;
use crate::protocol::metadata::MetadataEntry;

/// The end of a log, or of an epoch in it. The later epoch is greater; in the same epoch, the longer log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LogEnd {
    pub epoch: i32,
    pub offset: i64,
}

#[derive(Clone, Default, Debug)]
pub struct MetadataLog {
    entries: Vec<MetadataEntry>,
}

impl MetadataLog {
    pub fn end_offset(&self) -> i64 {
        self.entries.len() as i64
    }

    /// An empty log ends at offset 0 of epoch 0.
    pub fn end(&self) -> LogEnd {
        LogEnd { epoch: self.entries.last().map_or(0, |last| last.epoch), offset: self.end_offset() }
    }

    /// What stands at an offset and after it.
    pub fn from(&self, offset: i64) -> &[MetadataEntry] {
        usize::try_from(offset).ok().and_then(|from| self.entries.get(from..)).unwrap_or(&[])
    }

    pub fn append(&mut self, entry: MetadataEntry) {
        self.entries.push(entry);
    }

    /// Where the last epoch that is not later than this one ends.
    fn end_of_epoch(&self, epoch: i32) -> LogEnd {
        let end = self.entries.partition_point(|entry| entry.epoch <= epoch);
        LogEnd { epoch: end.checked_sub(1).map_or(0, |last| self.entries[last].epoch), offset: end as i64 }
    }

    /// Where a log that ends there has nothing in common with this one any more; `None`: this one goes on from there.
    pub fn divergence(&self, other: LogEnd) -> Option<LogEnd> {
        let own = self.end_of_epoch(other.epoch);
        (own.epoch != other.epoch || own.offset < other.offset).then_some(own)
    }

    /// Cuts off what the leader does not have, whose log has this epoch up to this offset. Returns the new end.
    pub fn truncate(&mut self, leader: LogEnd) -> i64 {
        let own = self.end_of_epoch(leader.epoch);
        let to = if own.epoch == leader.epoch { own.offset.min(leader.offset) } else { own.offset };
        if !mutant::is("metadata-not-truncated") {
            self.entries.truncate(to as usize);
        }
        to
    }
}
