//! What a log knows of its producers: whose next batch is expected with which sequence, and what was written last, so that a retry is recognised.
//!
//! Owns the rules of epochs and sequences, and the snapshots from which the state is built again after a truncation or a start. It must not know who
//! leads: a follower takes what its leader has taken. Source: `ProducerStateManager`, `ProducerStateEntry`, `ProducerAppendInfo`; KIP-98, KIP-360.
//!
//! A copy shares the state until one of the two is written to.

use crate::mutant;
use crate::ordered::OrderedMap;
use crate::protocol::batch::increment_sequence;
use crate::protocol::{BatchHeader, ErrorCode};
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
}

impl ProducerState {
    /// The newest batches of its epoch, oldest first.
    pub fn written(&self) -> &[Written] {
        &self.written
    }
}

type States = Arc<OrderedMap<i64, ProducerState>>;

/// The producers of one log.
#[derive(Clone, Default, Debug)]
pub struct Producers {
    states: States,
    /// The state as it was when the log was that long: taken where a segment begins.
    snapshots: Arc<Vec<(i64, States)>>,
}

impl Producers {
    /// Each producer id and what is known of it.
    pub fn all(&self) -> impl Iterator<Item = (i64, &ProducerState)> {
        self.states.iter().map(|(id, state)| (*id, state))
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

    /// Takes in what is appended, by whomever.
    pub fn appended(&mut self, header: &BatchHeader, base_offset: i64) {
        if header.producer_id < 0 || header.is_control() {
            return;
        }
        let states = Arc::make_mut(&mut self.states);
        let fresh = || ProducerState { epoch: header.producer_epoch, written: Vec::with_capacity(BATCHES_KEPT), last_timestamp: -1 };
        let state = states.or_insert_with(header.producer_id, fresh);
        if state.epoch != header.producer_epoch {
            state.epoch = header.producer_epoch;
            state.written.clear();
        }
        if state.written.len() == BATCHES_KEPT {
            state.written.remove(0);
        }
        state.written.push(Written::of(header, base_offset));
        state.last_timestamp = header.max_timestamp;
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

    /// Goes back to the newest snapshot at or below this offset. Returns from where on the log is to be taken in again.
    pub fn go_back(&mut self, offset: i64) -> i64 {
        if self.snapshots.last().is_some_and(|(at, _)| offset < *at) {
            Arc::make_mut(&mut self.snapshots).retain(|(at, _)| *at <= offset);
        }
        match self.snapshots.last() {
            Some((at, states)) => {
                self.states = states.clone();
                *at
            }
            None => {
                self.states = States::default();
                0
            }
        }
    }

    /// Forgets who has written nothing for that long. `now_ms` is the broker's clock.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        let is_old = |state: &ProducerState| expiration_ms <= now_ms.saturating_sub(state.last_timestamp);
        if self.states.values().any(is_old) {
            Arc::make_mut(&mut self.states).retain(|_, state| !is_old(state));
        }
    }
}

#[cfg(test)]
#[path = "producers_test.rs"]
mod tests;
