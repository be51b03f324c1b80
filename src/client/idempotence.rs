//! What an idempotent producer keeps so that each record is written once and in order: its id and epoch, and each partition's sequences.
//!
//! Owns which batch may leave next, what an error says about what the broker has, and when the epoch must be another. It must not know requests: the
//! producer sends them, and numbers its batches anew where it is told to. Source: `TransactionManager`, `TxnPartitionMap`, `TxnPartitionEntry`
//! without transactions; KIP-98, KIP-360.

use crate::node::{Partition, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::batch::increment_sequence;

/// What brokers know a producer by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub id: i64,
    pub epoch: i16,
}

/// A batch's place in the order of its partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sequence {
    pub identity: Identity,
    /// Of its first record.
    pub base: i32,
    /// It had another one, in an older epoch.
    pub was_reset: bool,
}

impl Sequence {
    /// Whether it stands before another of its partition: less than half of all numbers lie between.
    pub fn is_before(&self, other: &Sequence) -> bool {
        other.base.wrapping_sub(self.base) & i32::MAX < 1 << 30
    }

    /// Which number another one has when this batch of so many records is taken out.
    fn moved_up(&self, base: i32, records: i32) -> i32 {
        if self.is_before(&Sequence { base, ..*self }) { base.wrapping_sub(records) & i32::MAX } else { base }
    }

    /// The place of another batch of the partition when this one is taken out; `None`: it stays where it is.
    pub fn behind(&self, other: Sequence, records: i32) -> Option<Sequence> {
        let base = self.moved_up(other.base, records);
        (base != other.base).then_some(Sequence { base, was_reset: true, ..other })
    }
}

#[derive(Clone, Default, Debug)]
pub struct Idempotence {
    /// Its id and epochs come from a transactions' coordinator.
    transactional: bool,
    identity: Option<Identity>,
    partitions: OrderedMap<Partition, Sequences>,
    /// Some partition's sequences can only go on in another epoch.
    needs_other_epoch: bool,
    /// The request for an id is under way.
    asking: bool,
    /// Before this time it is not asked for again.
    ask_at: Time,
}

/// One partition's.
#[derive(Clone, Default, Debug)]
struct Sequences {
    identity: Option<Identity>,
    next: i32,
    last_acknowledged: Option<i32>,
    /// First sequences of the batches that have been sent and are neither acknowledged nor given up, in order.
    in_flight: Vec<i32>,
    /// Behind a batch that was given up on its way: nobody knows whether the broker has it.
    unresolved: Option<i32>,
    /// They begin anew with the next epoch.
    begins_anew: bool,
}

impl Sequences {
    fn is_next(&self, sequence: i32) -> bool {
        sequence == self.last_acknowledged.map_or(0, |last| increment_sequence(last, 1))
    }
}

impl Idempotence {
    pub fn new(transactional: bool) -> Idempotence {
        Idempotence { transactional, ..Idempotence::default() }
    }

    /// When an id is to be asked for; `None`: it has one, or has asked.
    pub fn asks_at(&self) -> Option<Time> {
        (self.identity.is_none() && !self.asking).then_some(self.ask_at)
    }

    /// The request for an id is under way.
    pub fn asked(&mut self) {
        self.asking = true;
    }

    /// Nobody can be asked before this time.
    pub fn put_off(&mut self, until: Time) {
        self.ask_at = until;
    }

    pub fn given(&mut self, identity: Identity) {
        (self.identity, self.asking) = (Some(identity), false);
    }

    /// Goes on under another identity, or the same, with every sequence from 0.
    pub fn begin_again(&mut self, identity: Identity) {
        if self.identity != Some(identity) {
            self.partitions.clear();
        }
        self.needs_other_epoch = false;
        self.given(identity);
    }

    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Of a transactional producer: whether some partition's sequences can only go on in another epoch, which the coordinator gives.
    pub fn takes_other_epoch(&mut self) -> bool {
        self.resolve();
        std::mem::take(&mut self.needs_other_epoch)
    }

    /// The request for an id got none: it is asked for again at this time.
    pub fn not_given(&mut self, again: Time) {
        (self.asking, self.ask_at) = (false, again);
    }

    /// Whether the first batch in a partition's queue may leave. One that was sent before waits until all before it are done with; a new one
    /// waits while it is not known how the sequences go on (`RecordAccumulator.shouldStopDrainBatchesForPartition`).
    pub fn may_send(&self, partition: &Partition, first: Option<Sequence>) -> bool {
        let Some(identity) = self.identity else { return false };
        let Some(own) = self.partitions.get(partition) else { return true };
        match first {
            Some(sequence) => own.in_flight.first().is_none_or(|oldest| *oldest == sequence.base),
            None => (own.in_flight.is_empty() || own.identity == Some(identity)) && own.unresolved.is_none(),
        }
    }

    /// The place of a batch that leaves for the first time.
    pub fn number(&mut self, partition: &Partition, records: i32) -> Option<Sequence> {
        let identity = self.identity?;
        let own = self.partitions.or_default(partition.clone());
        if own.identity != Some(identity) {
            (own.identity, own.next, own.last_acknowledged) = (Some(identity), 0, None);
        }
        let base = own.next;
        own.next = increment_sequence(base, records);
        own.in_flight.push(base);
        Some(Sequence { identity, base, was_reset: false })
    }

    /// The batch that was numbered last does not leave yet.
    pub fn take_back(&mut self, partition: &Partition, sequence: Sequence) {
        if let Some(own) = self.partitions.get_mut(partition) {
            own.next = sequence.base;
            own.in_flight.pop();
        }
    }

    fn done(&mut self, partition: &Partition, sequence: Sequence) -> Option<&mut Sequences> {
        let own = self.partitions.get_mut(partition)?;
        own.in_flight.retain(|base| *base != sequence.base);
        Some(own)
    }

    /// The broker has a batch.
    pub fn acknowledged(&mut self, partition: &Partition, sequence: Sequence, records: i32) {
        let Some(own) = self.done(partition, sequence) else { return };
        if own.identity == Some(sequence.identity) {
            let last = increment_sequence(sequence.base, records - 1);
            let is_newer = own.last_acknowledged.is_none_or(|known| last.wrapping_sub(known) & i32::MAX < 1 << 30);
            own.last_acknowledged = if is_newer { Some(last) } else { own.last_acknowledged };
        }
    }

    /// A batch is given up. Where the broker's answer says that it is not there (`refused`), or that something before it is not, the sequences begin
    /// anew in another epoch.
    pub fn failed(&mut self, partition: &Partition, sequence: Sequence, error: ErrorCode, refused: bool) {
        self.done(partition, sequence);
        if refused || error == ErrorCode::OutOfOrderSequenceNumber {
            self.begin_anew(partition);
        }
    }

    /// What is behind a batch that a transaction has given up takes its place (`TxnPartitionMap.adjustSequencesDueToFailedBatch`).
    pub fn close_gap(&mut self, partition: &Partition, gap: Sequence, records: i32) {
        if let Some(own) = self.partitions.get_mut(partition) {
            own.next = gap.moved_up(own.next, records);
            own.in_flight.iter_mut().for_each(|base| *base = gap.moved_up(*base, records));
        }
    }

    /// A batch that was sent before has waited too long: nobody knows whether the broker has it.
    pub fn left_open(&mut self, partition: &Partition, sequence: Sequence, records: i32) {
        if let Some(own) = self.partitions.get_mut(partition) {
            own.unresolved = Some(increment_sequence(sequence.base, records));
        }
    }

    /// A batch that was too large goes on in parts with these first sequences.
    pub fn split(&mut self, partition: &Partition, sequence: Sequence, parts: &[i32]) {
        if let Some(own) = self.partitions.get_mut(partition)
            && let Some(place) = own.in_flight.iter().position(|base| *base == sequence.base)
        {
            own.in_flight.splice(place..=place, parts.iter().copied());
        }
    }

    fn begin_anew(&mut self, partition: &Partition) {
        self.needs_other_epoch = true;
        self.partitions.or_default(partition.clone()).begins_anew = true;
    }

    /// Whether an error allows to send a batch again (`TransactionManager.canRetry`).
    pub fn may_retry(&mut self, partition: &Partition, sequence: Sequence, error: ErrorCode, log_start: i64) -> bool {
        let Some(own) = self.partitions.get(partition) else { return error.retriable() };
        let needs_other_epoch = match error {
            // The broker has lost what it knew of this producer.
            ErrorCode::UnknownProducerId => log_start != -1 && !sequence.was_reset,
            // It came too early if something before it is not acknowledged yet; if nothing is, there is a gap.
            ErrorCode::OutOfOrderSequenceNumber => {
                let is_early = own.unresolved.is_none() && (sequence.was_reset || !own.is_next(sequence.base));
                if self.transactional {
                    // Behind a gap, or perhaps behind one, it fails: after the abort its producer has another epoch.
                    return is_early;
                }
                !is_early && own.unresolved.is_none_or(|next| next == sequence.base)
            }
            _ => return error.retriable(),
        };
        if needs_other_epoch {
            self.begin_anew(partition);
        }
        true
    }

    /// Looks at what was left open: once nothing of a partition is under way, what follows either did arrive or must begin anew
    /// (`maybeResolveSequences`).
    fn resolve(&mut self) {
        let mut gaps = false;
        for own in self.partitions.values_mut().filter(|own| own.unresolved.is_some() && own.in_flight.is_empty()) {
            own.unresolved = None;
            if !own.is_next(own.next) {
                own.begins_anew = true;
                gaps = true;
            }
        }
        self.needs_other_epoch |= gaps;
    }

    /// Goes on in another epoch if it must. Returns the partitions whose batches are to be numbered anew, each with the old first sequences in order.
    /// After the last epoch another id is asked for first (`bumpIdempotentEpochAndResetIdIfNeeded`).
    pub fn renew(&mut self) -> Vec<(Partition, Vec<i32>)> {
        self.resolve();
        let Some(identity) = self.identity.filter(|_| self.needs_other_epoch) else { return Vec::new() };
        let Some(epoch) = identity.epoch.checked_add(1) else {
            self.identity = None;
            return Vec::new();
        };
        self.needs_other_epoch = false;
        self.identity = Some(Identity { epoch, ..identity });
        let mut anew = Vec::new();
        for (partition, own) in (&mut self.partitions).into_iter().filter(|(_, own)| own.begins_anew) {
            let in_flight = std::mem::take(&mut own.in_flight);
            *own = Sequences { identity: self.identity, ..Sequences::default() };
            anew.push((partition.clone(), in_flight));
        }
        anew
    }
}

#[cfg(test)]
#[path = "idempotence_test.rs"]
mod tests;
