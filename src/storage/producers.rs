//! What a log knows of its producers: whose next batch is expected with which sequence, and what was written last, so that a retry is recognised.
//!
//! Owns the rules of epochs and sequences, and the snapshots from which the state is built again after a truncation or a start. It must not know who
//! leads: a follower takes what its leader has taken. Source: `ProducerStateManager`, `ProducerStateEntry`, `ProducerAppendInfo`; KIP-98, KIP-360, KIP-890
//! and KIP-1228 for the epoch of a marker.
//!
//! A copy shares the state until one of the two is written to.

use super::transactions::{EndedTransaction, Transactions};
use crate::mutant;
use crate::ordered::OrderedMap;
use crate::protocol::batch::increment_sequence;
use crate::protocol::{Batch, BatchHeader, ErrorCode, Marker, Outcome};
use std::sync::Arc;

/// The newest batches of each producer that a retry is compared with (`NUM_BATCHES_TO_RETAIN`): as many as an idempotent producer has under way.
pub const BATCHES_KEPT: usize = 5;

/// A batch that a producer has written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: i64,
    pub last_offset: i64,
    pub timestamp: i64,
}

impl Written {
    fn of(header: &BatchHeader, base_offset: i64) -> Written {
        Written {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset,
            last_offset: base_offset + i64::from(header.last_offset_delta),
            timestamp: header.max_timestamp,
        }
    }
}

/// What is known of one producer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerState {
    pub epoch: i16,
    /// The newest batches of this epoch, oldest first.
    written: Vec<Written>,
    /// The newest time of the last batch: from it on the state's age counts.
    pub last_timestamp: i64,
    /// Of the coordinator that wrote its last marker; -1 before the first.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub transaction: Option<i64>,
}

impl ProducerState {
    /// The newest batches of its epoch, oldest first.
    pub fn written(&self) -> &[Written] {
        &self.written
    }

    fn take_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.written.clear();
        }
    }
}

/// What is known of each producer, by id; sharing it costs nothing.
pub type States = Arc<OrderedMap<i64, ProducerState>>;

/// The producers of one log.
#[derive(Clone, Default, Debug)]
pub struct Producers {
    states: States,
    /// The state as it was when the log was that long: taken where a segment begins.
    snapshots: Arc<Vec<(i64, States)>>,
    transactions: Transactions,
}

impl Producers {
    /// Each producer id and what is known of it.
    pub fn all(&self) -> impl Iterator<Item = (i64, &ProducerState)> {
        self.states.iter().map(|(id, state)| (*id, state))
    }

    pub fn get(&self, producer_id: i64) -> Option<&ProducerState> {
        self.states.get(&producer_id)
    }

    pub fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    pub fn transactions_mut(&mut self) -> &mut Transactions {
        &mut self.transactions
    }

    /// The batch that was written already and is sent again (same epoch, same first and last sequence).
    pub fn duplicate_of(&self, header: &BatchHeader) -> Option<Written> {
        let sent = Written::of(header, 0);
        let known = self.states.get(&header.producer_id).filter(|known| known.epoch == header.producer_epoch)?;
        let kept = if mutant::is("duplicate-window-of-one") { 1 } else { BATCHES_KEPT };
        let same = |written: &&Written| (written.first_sequence, written.last_sequence) == (sent.first_sequence, sent.last_sequence);
        known.written.iter().rev().take(kept).find(same).copied()
    }

    /// Whether a client's batch may follow what its producer has written. One that nothing is known of may begin anywhere: what it wrote before may be
    /// gone with its segments.
    pub fn check(&self, header: &BatchHeader) -> Result<(), ErrorCode> {
        let Some(known) = self.states.get(&header.producer_id) else { return Ok(()) };
        if header.producer_epoch < known.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        let last = known.written.last().filter(|_| header.producer_epoch == known.epoch);
        let expected = last.map_or(0, |last| increment_sequence(last.last_sequence, 1));
        if header.base_sequence == expected || mutant::is("sequence-unheeded") { Ok(()) } else { Err(ErrorCode::OutOfOrderSequenceNumber) }
    }

    /// Whether the records of a coordinator may follow: they have no sequences. Of a producer whose transaction is open nothing else is taken.
    pub fn check_transactional(&self, header: &BatchHeader) -> Result<(), ErrorCode> {
        match self.states.get(&header.producer_id) {
            Some(known) if header.producer_epoch < known.epoch => Err(ErrorCode::InvalidProducerEpoch),
            Some(known) if known.transaction.is_some() && !header.is_transactional() => Err(ErrorCode::InvalidTxnState),
            _ => Ok(()),
        }
    }

    /// Whether a coordinator's marker may follow. `raises_epoch`: under transaction version 2 each end has an epoch of its own, so that a late marker does
    /// not end the next transaction; one that comes again after its end does no harm.
    pub fn check_marker(&self, producer_id: i64, producer_epoch: i16, coordinator_epoch: i32, raises_epoch: bool) -> Result<(), ErrorCode> {
        let Some(known) = self.states.get(&producer_id) else { return Ok(()) };
        let is_late = raises_epoch && producer_epoch == known.epoch && known.transaction.is_some();
        if producer_epoch < known.epoch || is_late {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if coordinator_epoch < known.coordinator_epoch {
            return Err(ErrorCode::TransactionCoordinatorFenced);
        }
        Ok(())
    }

    /// Takes in what is appended, by whomever.
    pub fn appended(&mut self, batch: &Batch) {
        let Ok(header) = BatchHeader::read(&batch.bytes) else { return };
        if header.producer_id < 0 {
            return;
        }
        if header.is_control() {
            // One without a record is of a transaction that compaction has taken out.
            if let Some(marker) = batch.marker() {
                self.marked(&header, marker, batch.base_offset);
            }
            return;
        }
        let state = self.state(&header);
        state.take_epoch(header.producer_epoch);
        if state.written.len() == BATCHES_KEPT {
            state.written.remove(0);
        }
        state.written.push(Written::of(&header, batch.base_offset));
        state.last_timestamp = header.max_timestamp;
        if header.is_transactional() && state.transaction.is_none() {
            state.transaction = Some(batch.base_offset);
            self.transactions.begin(batch.base_offset, header.producer_id);
        }
    }

    fn marked(&mut self, header: &BatchHeader, marker: Marker, offset: i64) {
        let state = self.state(header);
        state.take_epoch(header.producer_epoch);
        (state.coordinator_epoch, state.last_timestamp) = (marker.coordinator_epoch, header.max_timestamp);
        if let Some(first_offset) = state.transaction.take() {
            let ended = EndedTransaction { producer_id: header.producer_id, first_offset, last_offset: offset };
            self.transactions.end(ended, marker.outcome == Outcome::Abort);
        }
    }

    fn state(&mut self, header: &BatchHeader) -> &mut ProducerState {
        Arc::make_mut(&mut self.states).or_insert_with(header.producer_id, || ProducerState {
            epoch: header.producer_epoch,
            written: Vec::with_capacity(BATCHES_KEPT),
            last_timestamp: -1,
            coordinator_epoch: -1,
            transaction: None,
        })
    }

    /// A segment begins at this offset, where the log ends. What a log that starts at `first` cannot be cut back to is forgotten.
    pub fn take_snapshot(&mut self, offset: i64, first: i64) {
        if self.states.is_empty() && self.snapshots.is_empty() {
            return;
        }
        let snapshots = Arc::make_mut(&mut self.snapshots);
        snapshots.retain(|(at, _)| first <= *at && *at < offset);
        snapshots.push((offset, self.states.clone()));
    }

    /// What was known when the log was that long, if a segment begins there.
    pub fn snapshot_at(&self, offset: i64) -> States {
        self.snapshots.iter().find(|(at, _)| *at == offset).map_or_else(States::default, |(_, states)| states.clone())
    }

    /// The log goes on at this offset, and what is before it lies elsewhere, with this snapshot of its end.
    pub fn restore(&mut self, offset: i64, states: States) {
        self.snapshots = Arc::new(vec![(offset, states)]);
        self.go_back(offset);
    }

    /// Goes back to the newest snapshot at or below this offset. Returns from where on the log is to be taken in again.
    pub fn go_back(&mut self, offset: i64) -> i64 {
        if self.snapshots.last().is_some_and(|(at, _)| offset < *at) {
            Arc::make_mut(&mut self.snapshots).retain(|(at, _)| *at <= offset);
        }
        let (at, states) = self.snapshots.last().cloned().unwrap_or_default();
        let open = states.iter().filter_map(|(id, state)| Some((state.transaction?, *id))).collect();
        self.transactions.go_back(at, open);
        self.states = states;
        at
    }

    /// Forgets who has written nothing for that long and has no open transaction. `now_ms` is the broker's clock.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        let is_old = |state: &ProducerState| state.transaction.is_none() && expiration_ms <= now_ms.saturating_sub(state.last_timestamp);
        if self.states.values().any(is_old) {
            Arc::make_mut(&mut self.states).retain(|_, state| !is_old(state));
        }
    }
}

#[cfg(test)]
#[path = "producers_test.rs"]
mod tests;
