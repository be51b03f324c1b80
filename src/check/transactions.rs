//! The invariants of transactions within one partition.
//!
//! T5: a leader's last stable offset is where the first transaction begins that has no marker below its high watermark, or the high watermark. T6: a consumer
//! is given every record that is for its eyes and no other: no marker, and with read_committed nothing that is aborted or not decided.

use super::Verdict;
use super::committed::Committed;
use crate::node::Partition;
use crate::ordered::OrderedMap;
use crate::protocol::{Batch, BatchHeader, Marker, Outcome};
use crate::replica::Replica;

/// Something of a transaction is committed.
#[derive(Clone, Debug)]
pub enum News {
    /// The first records of a producer's transaction.
    Began { producer: i64, epoch: i16 },
    /// A marker, after one of this producer by a coordinator of epoch `newest`.
    Marked { producer: i64, epoch: i16, marker: Marker, newest: i32 },
}

/// What the committed records tell of transactions.
#[derive(Clone, Debug, Default)]
pub struct TransactionCheck {
    /// What is below was looked at.
    seen: i64,
    /// The first offset of each producer's open transaction.
    open: OrderedMap<i64, i64>,
    /// Producer, first offset, and that of the marker.
    aborted: Vec<(i64, i64, i64)>,
    /// The newest coordinator that has written a marker of each producer.
    coordinators: OrderedMap<i64, i32>,
    /// What has happened and was not looked at.
    news: Vec<News>,
}

impl TransactionCheck {
    /// More is committed.
    pub fn extended(&mut self, committed: &Committed) {
        for batch in committed.from(self.seen) {
            self.seen = batch.next_offset();
            let Some(header) = transactional(batch) else { continue };
            let producer = header.producer_id;
            let epoch = header.producer_epoch;
            let Some(marker) = batch.marker() else {
                if !self.open.contains_key(&producer) {
                    self.open.insert(producer, batch.base_offset);
                    self.news.push(News::Began { producer, epoch });
                }
                continue;
            };
            let newest = self.coordinators.insert(producer, marker.coordinator_epoch).unwrap_or(0);
            self.news.push(News::Marked { producer, epoch, marker, newest });
            if let Some(first) = self.open.remove(&producer)
                && marker.outcome == Outcome::Abort
            {
                self.aborted.push((producer, first, batch.base_offset));
            }
        }
    }

    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// T5. Whoever has read its log anew does not know what was open before the log's start.
    pub fn is_stable_rightly(&self, name: &Partition, broker: i32, own: &Replica, committed: &Committed) -> Verdict {
        if self.seen != own.high_watermark() {
            return Ok(());
        }
        let start = own.log.start_offset();
        let expected = self.stable().max(start).min(own.high_watermark());
        let told = own.last_stable_offset();
        // Most often it is the first, and the other takes longer to tell.
        if told == expected || (expected..=self.stable_from(committed, start).min(own.high_watermark())).contains(&told) {
            return Ok(());
        }
        Err(("T5", format!("broker {broker}'s last stable offset of {name} is {told}, and its log says {expected}")))
    }

    /// What is below is decided.
    pub fn stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(i64::MAX)
    }

    /// The same, for a log that begins at this offset: of what an open transaction wrote before it knows nothing.
    pub fn stable_from(&self, committed: &Committed, start: i64) -> i64 {
        let known = |(producer, first): (&i64, &i64)| {
            if start <= *first {
                return Some(*first);
            }
            let is_own = |batch: &&Batch| transactional(batch).is_some_and(|header| header.producer_id == *producer);
            committed.from(start).iter().find(is_own).map(|batch| batch.base_offset)
        };
        self.open.iter().filter_map(known).min().unwrap_or(i64::MAX)
    }

    /// Whether a batch's transaction was aborted.
    pub fn is_aborted(&self, batch: &Batch) -> bool {
        transactional(batch)
            .filter(|header| !header.is_control())
            .is_some_and(|header| self.has_aborted(header.producer_id, batch.base_offset))
    }

    fn has_aborted(&self, producer: i64, offset: i64) -> bool {
        self.aborted.iter().any(|(aborted, first, last)| *aborted == producer && *first <= offset && offset < *last)
    }

    /// Whether a consumer sees nothing of a batch.
    pub fn is_hidden(&self, batch: &Batch, reads_committed: bool) -> bool {
        let Some(header) = transactional(batch) else { return false };
        let is_open = self.open.get(&header.producer_id).is_some_and(|first| *first <= batch.base_offset);
        header.is_control() || reads_committed && (is_open || self.has_aborted(header.producer_id, batch.base_offset))
    }

    /// Where a gap ends that begins at this offset and has nothing in it that a consumer sees.
    pub fn end_of_hidden(&self, committed: &Committed, from: i64, reads_committed: bool) -> i64 {
        let hidden = committed.from(from).iter().take_while(|batch| self.is_hidden(batch, reads_committed));
        hidden.last().map_or(from, Batch::next_offset)
    }

    /// A consumer was given so many records.
    pub fn delivered(
        &self,
        name: &Partition,
        committed: &Committed,
        (first, last): (i64, i64),
        records: i32,
        reads_committed: bool,
    ) -> Verdict {
        let batches = committed.from(first).iter().take_while(|batch| batch.base_offset <= last);
        let seen = batches.filter(|batch| !self.is_hidden(batch, reads_committed));
        let of = |batch: &Batch| batch.last_offset().min(last) - batch.base_offset.max(first) + 1;
        let expected: i64 = seen.map(of).sum();
        if expected == i64::from(records) {
            return Ok(());
        }
        let eyes = if reads_committed { "read_committed" } else { "read_uncommitted" };
        Err(("T6", format!("{records} records were given of {name} from {first} to {last}, and {expected} are there for {eyes}")))
    }
}

fn transactional(batch: &Batch) -> Option<BatchHeader> {
    BatchHeader::read(&batch.bytes).ok().filter(BatchHeader::is_transactional)
}
