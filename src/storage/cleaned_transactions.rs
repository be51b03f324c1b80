//! What a round of compaction knows of transactions: records of aborted ones go, and a marker stays as long as anything is left of its transaction.
//!
//! It goes through the log's batches in order. It must not know keys. Source: `CleanedTransactionMetadata`.

use super::transactions::EndedTransaction;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::{Batch, BatchHeader, Outcome};

#[derive(Debug)]
pub struct CleanedTransactions {
    /// The aborted ones that begin behind what was gone through, the next one last.
    ahead: Vec<EndedTransaction>,
    /// Of each aborted one that is gone through: whether there was a batch of it.
    aborted: OrderedMap<i64, bool>,
    /// Producers of whose committed, or open, transaction there was a batch.
    committed: OrderedSet<i64>,
    /// Markers of aborted ones of which nothing is left.
    pub emptied: Vec<i64>,
}

impl CleanedTransactions {
    pub fn new<'a>(aborted: impl Iterator<Item = &'a EndedTransaction>) -> CleanedTransactions {
        let mut ahead: Vec<EndedTransaction> = aborted.copied().collect();
        ahead.sort_unstable_by_key(|ended| std::cmp::Reverse(ended.first_offset));
        CleanedTransactions { ahead, aborted: OrderedMap::new(), committed: OrderedSet::new(), emptied: Vec::new() }
    }

    /// Whether nothing of a batch need stay: its records are of an aborted transaction, or it is the marker of one of which nothing is left.
    pub fn is_over(&mut self, batch: &Batch, header: &BatchHeader) -> bool {
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= batch.last_offset()) {
            self.aborted.or_insert_with(next.producer_id, || false);
        }
        let producer = header.producer_id;
        if header.is_control() {
            return match batch.marker().map(|marker| marker.outcome) {
                Some(Outcome::Abort) => {
                    let has_any = self.aborted.remove(&producer) == Some(true);
                    if !has_any {
                        self.emptied.push(batch.base_offset);
                    }
                    !has_any
                }
                Some(Outcome::Commit) => !self.committed.remove(&producer),
                None => true,
            };
        }
        if !header.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&producer) {
            Some(has_any) => {
                *has_any = true;
                true
            }
            None => {
                self.committed.insert(producer);
                false
            }
        }
    }
}
