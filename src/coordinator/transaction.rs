//! One transactional id: its producer, and where its transaction stands.
//!
//! Owns the states, which change follows which, and the producer's epochs. A change counts when its record is committed, not before: [`super::transactions`]
//! sees to that. Source: `TransactionMetadata`, `TransactionState`; KIP-98, KIP-360, KIP-890 (each end raises the epoch).

use crate::mutant;
use crate::node::{Partition, Time};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::ErrorCode;
use crate::protocol::transaction_records::TransactionValue;
use std::sync::Arc;

pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_EPOCH: i16 = -1;

/// Kafka's numbers are those of the records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TransactionState {
    Empty = 0,
    Ongoing = 1,
    PrepareCommit = 2,
    PrepareAbort = 3,
    CompleteCommit = 4,
    CompleteAbort = 5,
}

use TransactionState::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};

impl TransactionState {
    const ALL: [TransactionState; 6] = [Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort];

    /// Kafka's own word.
    pub fn name(self) -> &'static str {
        ["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort"][self as usize]
    }

    fn of(number: i8) -> Option<TransactionState> {
        TransactionState::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Whether one of its states has this name.
    pub fn is_name(name: &str) -> bool {
        TransactionState::ALL.iter().any(|state| state.name() == name)
    }

    /// Its end is decided, and its markers are being written.
    pub fn is_ending(self) -> bool {
        matches!(self, PrepareCommit | PrepareAbort)
    }
}

/// How far a partition's marker is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    Due,
    Sent,
    /// It was refused, and is due again then.
    Later(Time),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    pub producer_id: i64,
    previous_producer_id: i64,
    next_producer_id: i64,
    pub epoch: i16,
    /// The one before: who comes with it has not heard the answer.
    last_epoch: i16,
    pub timeout_ms: i32,
    pub state: TransactionState,
    pub partitions: OrderedSet<Partition>,
    /// When the transaction began and when anything changed last, in Kafka's epoch milliseconds; -1: never.
    pub started_ms: i64,
    pub updated_ms: i64,
    /// A change is being written: nothing else may begin.
    pub(super) is_changing: bool,
    /// An epoch that was raised to fence a producer could not be written; it was told to nobody.
    failed_fence: bool,
    /// Of an end that is decided: the partitions whose markers are not known to be there.
    pub(super) marks: OrderedMap<Partition, Mark>,
}

impl Transaction {
    pub fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Transaction {
        Transaction {
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            epoch: NO_EPOCH,
            last_epoch: NO_EPOCH,
            timeout_ms,
            state: Empty,
            partitions: OrderedSet::new(),
            started_ms: -1,
            updated_ms: now_ms,
            is_changing: false,
            failed_fence: false,
            marks: OrderedMap::new(),
        }
    }

    /// As its newest record says.
    pub fn of(value: TransactionValue) -> Option<Transaction> {
        let named = |(topic, indexes): (String, Vec<i32>)| {
            let topic: Arc<str> = Arc::from(topic);
            indexes.into_iter().map(move |index| Partition { topic: topic.clone(), index })
        };
        let mut own = Transaction {
            previous_producer_id: value.previous_producer_id,
            next_producer_id: value.next_producer_id,
            epoch: value.producer_epoch,
            state: TransactionState::of(value.state)?,
            partitions: value.partitions.into_iter().flatten().flat_map(named).collect(),
            started_ms: value.started_ms,
            ..Transaction::new(value.producer_id, value.timeout_ms, value.updated_ms)
        };
        if own.state == PrepareCommit && mutant::is("failover-aborts") {
            own.state = PrepareAbort;
        }
        own.begin_marking();
        Some(own)
    }

    pub fn to_value(&self, raises_epoch: bool) -> TransactionValue {
        let mut topics: Vec<(String, Vec<i32>)> = Vec::new();
        for partition in self.partitions.iter() {
            match topics.last_mut() {
                Some((topic, indexes)) if **topic == *partition.topic => indexes.push(partition.index),
                _ => topics.push((partition.topic.to_string(), vec![partition.index])),
            }
        }
        TransactionValue {
            producer_id: self.producer_id,
            previous_producer_id: self.previous_producer_id,
            next_producer_id: self.next_producer_id,
            producer_epoch: self.epoch,
            timeout_ms: self.timeout_ms,
            state: self.state as i8,
            partitions: (self.state != Empty).then_some(topics),
            updated_ms: self.updated_ms,
            started_ms: self.started_ms,
            transaction_version: if raises_epoch { 2 } else { 0 },
        }
    }

    /// No producer gets the largest epoch: the coordinator may need it to fence the one that has the last but one.
    pub fn is_exhausted(&self) -> bool {
        is_last(self.epoch)
    }

    /// What its producer goes on with.
    pub(super) fn identity_afterwards(&self) -> (i64, i16) {
        if self.next_producer_id == NO_PRODUCER_ID { (self.producer_id, self.epoch) } else { (self.next_producer_id, 0) }
    }

    /// After its end was decided: which partitions need a marker.
    pub(super) fn begin_marking(&mut self) {
        if self.state.is_ending() {
            let all = if mutant::is("one-partition-marked") { 1 } else { usize::MAX };
            self.marks = self.partitions.iter().take(all).map(|partition| (partition.clone(), Mark::Due)).collect();
        }
    }

    /// Nothing else may begin: a change is being written, or the markers of an end that is decided are, with which the state to come is known as well
    /// (`pendingTransitionInProgress`).
    pub(super) fn is_pending(&self) -> bool {
        self.is_changing || self.state.is_ending()
    }

    /// A producer begins, or goes on after an error (`expected`: as what it knows itself).
    pub(super) fn initialized(
        &self,
        expected: Option<(i64, i16)>,
        timeout_ms: i32,
        now_ms: i64,
        next_id: &mut dyn FnMut() -> Option<i64>,
    ) -> Result<Transaction, ErrorCode> {
        let mut next = Transaction { timeout_ms, state: Empty, started_ms: -1, updated_ms: now_ms, ..self.clone() };
        next.partitions.clear();
        if self.is_exhausted() && expected.is_none_or(|(_, epoch)| epoch == self.epoch) {
            next.previous_producer_id = self.producer_id;
            next.producer_id = next_id().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
            next.epoch = 0;
            next.last_epoch = if expected.is_some() { self.epoch } else { NO_EPOCH };
            return Ok(next);
        }
        (next.epoch, next.last_epoch) = match expected {
            None if mutant::is("heir-gets-the-epoch") => (self.epoch.max(0), NO_EPOCH),
            None => (self.epoch + 1, NO_EPOCH),
            Some((_, epoch)) if self.epoch == NO_EPOCH || epoch == self.epoch => (self.epoch + 1, self.epoch),
            // Its first try has worked.
            Some((_, epoch)) if epoch == self.last_epoch => (self.epoch, self.last_epoch),
            Some(_) => return Err(ErrorCode::ProducerFenced),
        };
        Ok(next)
    }

    /// Whether the sender of InitProducerId may be the one whose id this is.
    pub(super) fn may_be(&self, (producer_id, epoch): (i64, i16)) -> bool {
        self.epoch == NO_EPOCH || producer_id == self.producer_id || producer_id == self.previous_producer_id && is_last(epoch)
    }

    /// Partitions are added: the first ones begin the transaction.
    pub(super) fn with_partitions(&self, added: impl Iterator<Item = Partition>, now_ms: i64) -> Transaction {
        let started_ms = if self.state == Ongoing { self.started_ms } else { now_ms };
        let mut next = Transaction { state: Ongoing, started_ms, updated_ms: now_ms, ..self.clone() };
        next.partitions.extend(added);
        next
    }

    /// Raises the epoch so that whoever has the old one can do nothing any more (version 1).
    pub(super) fn fence(&mut self) {
        if !self.failed_fence {
            self.epoch = self.epoch.saturating_add(1);
        }
        (self.last_epoch, self.failed_fence) = (NO_EPOCH, true);
    }

    /// Its end is decided. Where that raises the epoch and no other is left, its producer goes on with another id.
    pub(super) fn ended(
        &self,
        commit: bool,
        raises_epoch: bool,
        next_id: &mut dyn FnMut() -> Option<i64>,
        now_ms: i64,
    ) -> Result<Transaction, ErrorCode> {
        let state = if commit { PrepareCommit } else { PrepareAbort };
        let started_ms = if self.state == Ongoing { self.started_ms } else { now_ms };
        let rotates = raises_epoch && self.is_exhausted();
        let next_producer_id = if rotates { next_id().ok_or(ErrorCode::CoordinatorLoadInProgress)? } else { NO_PRODUCER_ID };
        let mut next = Transaction { state, started_ms, updated_ms: now_ms, next_producer_id, failed_fence: false, ..self.clone() };
        if raises_epoch {
            (next.epoch, next.last_epoch) = (self.epoch.saturating_add(1), self.epoch);
        }
        Ok(next)
    }

    /// All its markers are written.
    pub(super) fn completed(&self, now_ms: i64) -> Transaction {
        let state = if self.state == PrepareCommit { CompleteCommit } else { CompleteAbort };
        let mut next = Transaction { state, updated_ms: now_ms, next_producer_id: NO_PRODUCER_ID, ..self.clone() };
        next.partitions.clear();
        if self.next_producer_id != NO_PRODUCER_ID {
            (next.previous_producer_id, next.producer_id, next.epoch) = (self.producer_id, self.next_producer_id, 0);
        }
        next
    }

    /// What a producer of version 1 is answered that ends its transaction; `Ok(true)`: it is to be ended now, `Ok(false)`: it has ended so.
    pub(super) fn may_end(&self, producer_id: i64, epoch: i16, commit: bool) -> Result<bool, ErrorCode> {
        if producer_id != self.producer_id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if epoch != self.epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        self.answer_to_end(commit)
    }

    /// The same of version 2, where the epoch tells the next end from this one again.
    pub(super) fn may_end_raising(&self, producer_id: i64, epoch: i16, commit: bool) -> Result<bool, ErrorCode> {
        let overflown = self.previous_producer_id == producer_id && is_last(epoch) && self.epoch == 0;
        let raised = producer_id == self.producer_id && self.epoch == epoch.wrapping_add(1);
        if producer_id != self.producer_id && !overflown {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        // Before the epoch is looked at, which the end that is under way has raised already: its producer has heard of that and is only early.
        if self.is_pending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let is_retry = raised || overflown;
        match self.state {
            Empty | Ongoing if epoch != self.epoch => Err(ErrorCode::ProducerFenced),
            _ if epoch != self.epoch && !is_retry => Err(ErrorCode::ProducerFenced),
            // There was nothing in it, and it may be ended all the same: by an abort.
            Empty | CompleteCommit | CompleteAbort if !is_retry => {
                if commit {
                    Err(ErrorCode::InvalidTxnState)
                } else {
                    Ok(true)
                }
            }
            _ => self.answer_to_end(commit),
        }
    }

    fn answer_to_end(&self, commit: bool) -> Result<bool, ErrorCode> {
        match self.state {
            _ if self.is_pending() => Err(ErrorCode::ConcurrentTransactions),
            Ongoing => Ok(true),
            CompleteCommit if commit => Ok(false),
            CompleteAbort if !commit => Ok(false),
            _ => Err(ErrorCode::InvalidTxnState),
        }
    }
}

fn is_last(epoch: i16) -> bool {
    i16::MAX - 1 <= epoch
}

#[cfg(test)]
#[path = "transaction_test.rs"]
mod tests;
