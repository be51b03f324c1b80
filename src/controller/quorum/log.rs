//! The metadata log of one controller: what it has of `__cluster_metadata`, on its disk.
//!
//! Owns how two logs are compared, how one is cut back to what it has in common with another, and the snapshot that stands for everything
//! before the log's start. Source: `KafkaRaftLog` (`endOffsetForEpoch`, `validateOffsetAndEpoch`, `truncateToEndOffset`,
//! `truncateToLatestSnapshot`), KIP-595, KIP-630.

use crate::mutant;
use crate::protocol::metadata::{MetadataEntry, MetadataImage};
use std::sync::Arc;

/// The end of a log, or of an epoch in it. The later epoch is greater; in the same epoch, the longer log.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LogEnd {
    pub epoch: i32,
    pub offset: i64,
}

/// What all committed records before `end` come to. Its end names it, as Kafka's file names do.
#[derive(Clone, Default, Debug)]
pub struct Snapshot {
    pub end: LogEnd,
    pub image: Arc<MetadataImage>,
}

/// How a log that somebody else has goes together with this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compared {
    /// This one goes on from where the other ends.
    Same,
    /// They have nothing in common from there on.
    Diverging(LogEnd),
    /// What the other lacks is gone from this one: the snapshot has it.
    Behind,
}

#[derive(Clone, Default, Debug)]
pub struct MetadataLog {
    /// What stands before the first entry.
    snapshot: Snapshot,
    entries: Vec<MetadataEntry>,
}

impl MetadataLog {
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The offset of the first entry that it still has.
    pub fn start_offset(&self) -> i64 {
        self.snapshot.end.offset
    }

    pub fn end_offset(&self) -> i64 {
        self.start_offset() + self.entries.len() as i64
    }

    /// An empty log ends at offset 0 of epoch 0.
    pub fn end(&self) -> LogEnd {
        LogEnd { epoch: self.entries.last().map_or(self.snapshot.end.epoch, |last| last.epoch), offset: self.end_offset() }
    }

    /// What stands at an offset and after it; nothing where that is gone.
    pub fn from(&self, offset: i64) -> &[MetadataEntry] {
        usize::try_from(offset - self.start_offset()).ok().and_then(|from| self.entries.get(from..)).unwrap_or(&[])
    }

    pub fn append(&mut self, entry: MetadataEntry) {
        self.entries.push(entry);
    }

    /// The cluster's metadata at the log's end.
    pub fn image(&self) -> MetadataImage {
        let mut image = (*self.snapshot.image).clone();
        self.entries.iter().for_each(|entry| image.apply(&entry.record));
        image
    }

    /// Where the last epoch that is not later than this one ends.
    fn end_of_epoch(&self, epoch: i32) -> LogEnd {
        let end = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let own = end.checked_sub(1).map_or(self.snapshot.end.epoch, |last| self.entries[last].epoch);
        LogEnd { epoch: own, offset: self.start_offset() + end as i64 }
    }

    pub fn compare(&self, other: LogEnd) -> Compared {
        let start = self.snapshot.end;
        if start.offset != 0 && (other.offset < start.offset || other.epoch < start.epoch) {
            return Compared::Behind;
        }
        let own = self.end_of_epoch(other.epoch);
        if own.epoch != other.epoch || own.offset < other.offset { Compared::Diverging(own) } else { Compared::Same }
    }

    /// Cuts off what the leader does not have, whose log has this epoch up to this offset. Returns the new end.
    pub fn truncate(&mut self, leader: LogEnd) -> i64 {
        let own = self.end_of_epoch(leader.epoch);
        let to = if own.epoch == leader.epoch { own.offset.min(leader.offset) } else { own.offset };
        if !mutant::is("metadata-not-truncated") {
            self.entries.truncate((to - self.start_offset()).max(0) as usize);
        }
        to
    }

    /// Writes a snapshot of everything before `offset`, which is committed, and drops the entries that it stands for.
    pub fn take_snapshot(&mut self, offset: i64) {
        let count = usize::try_from(offset - self.start_offset()).unwrap_or(0).min(self.entries.len());
        let Some(last) = count.checked_sub(1) else { return };
        let epoch = self.entries[last].epoch;
        let image = Arc::make_mut(&mut self.snapshot.image);
        for entry in self.entries.drain(..count) {
            // The mistake: the snapshot lacks the last record that it stands for.
            if mutant::is("snapshot-lacks-last") && image.next_offset + 1 == offset {
                image.next_offset += 1;
            } else {
                image.apply(&entry.record);
            }
        }
        self.snapshot.end = LogEnd { epoch, offset };
    }

    /// Begins anew with another's snapshot: nothing of the old log is left.
    pub fn restart_from(&mut self, snapshot: Snapshot) {
        self.snapshot = snapshot;
        self.entries.clear();
    }
}
