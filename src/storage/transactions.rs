//! What a log knows of transactions: which are open, which have ended and are not replicated to their end, and which were aborted.
//!
//! Owns the last stable offset's rule and the index of aborted transactions. Whose epoch counts belongs to [`super::producers`]. Source:
//! `ProducerStateManager` (`ongoingTxns`, `unreplicatedTxns`), `TransactionIndex`; KIP-98. Kafka keeps an index with each segment; here it is one list for
//! the log, and what lies below the log's start is taken out of it.

use crate::mutant;
use std::sync::Arc;

/// A transaction that has ended in this log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
    /// Its marker's.
    pub last_offset: i64,
}

/// Where a transaction stands in this log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    Open,
    Committed,
    Aborted,
}

/// The transactions of one log.
#[derive(Clone, Default, Debug)]
pub struct Transactions {
    /// First offset and producer id, in order.
    open: Vec<(i64, i64)>,
    /// Ended, but not known to be replicated to the end; in the order of their markers.
    unreplicated: Vec<EndedTransaction>,
    /// In the order of their markers.
    aborted: Arc<Vec<EndedTransaction>>,
}

impl Transactions {
    pub fn begin(&mut self, first_offset: i64, producer_id: i64) {
        self.open.push((first_offset, producer_id));
    }

    pub fn end(&mut self, ended: EndedTransaction, is_abort: bool) {
        self.open.retain(|open| *open != (ended.first_offset, ended.producer_id));
        self.unreplicated.push(ended);
        if is_abort {
            Arc::make_mut(&mut self.aborted).push(ended);
        }
    }

    /// Everything below is replicated.
    pub fn replicated(&mut self, high_watermark: i64) {
        self.unreplicated.retain(|ended| high_watermark <= ended.last_offset);
    }

    /// The first offset of a transaction that is open, or whose marker is not replicated.
    pub fn first_unstable(&self, high_watermark: i64) -> Option<i64> {
        let open = self.open.first().map(|(first, _)| *first).filter(|_| !mutant::is("stable-offset-ignores-open"));
        let unreplicated = self.unreplicated.iter().filter(|ended| high_watermark <= ended.last_offset).map(|ended| ended.first_offset);
        open.into_iter().chain(unreplicated).min()
    }

    /// The aborted transactions that have anything in a range of offsets.
    pub fn aborted_within(&self, from: i64, to: i64) -> impl Iterator<Item = &EndedTransaction> {
        let first = self.aborted.partition_point(|ended| ended.last_offset < from);
        self.aborted[first..].iter().filter(move |ended| ended.first_offset < to)
    }

    /// Where the transaction stands that this producer's records from an offset to another are of.
    pub fn standing(&self, producer_id: i64, from: i64, to: i64) -> Standing {
        if self.open.iter().any(|(first, producer)| *producer == producer_id && *first < to) {
            Standing::Open
        } else if self.aborted_within(from, to).any(|ended| ended.producer_id == producer_id) {
            Standing::Aborted
        } else {
            Standing::Committed
        }
    }

    /// What ended at or behind this offset is not known any more; `open` are those that were open there.
    pub fn go_back(&mut self, offset: i64, mut open: Vec<(i64, i64)>) {
        open.sort_unstable();
        self.open = open;
        self.unreplicated.retain(|ended| ended.last_offset < offset);
        if self.aborted.last().is_some_and(|last| offset <= last.last_offset) {
            Arc::make_mut(&mut self.aborted).retain(|ended| ended.last_offset < offset);
        }
    }

    /// Aborted transactions that are of use no more: they end below the log's start, or compaction has left nothing of them.
    pub fn forget_aborted(&mut self, is_over: impl Fn(&EndedTransaction) -> bool) {
        if self.aborted.iter().any(&is_over) {
            Arc::make_mut(&mut self.aborted).retain(|ended| !is_over(ended));
        }
    }

    /// What another log knows of the aborted ones before this log's first batch.
    pub fn learn_aborted(&mut self, told: impl Iterator<Item = EndedTransaction>) {
        let aborted = Arc::make_mut(&mut self.aborted);
        aborted.extend(told);
        aborted.sort_unstable_by_key(|ended| (ended.last_offset, ended.first_offset));
        aborted.dedup();
    }
}

#[cfg(test)]
#[path = "transactions_test.rs"]
mod tests;
