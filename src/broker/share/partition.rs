//! A share group's records in flight in one partition: who has which, how often each was delivered, and until when (KIP-932).
//!
//! Owns the ranges of offsets from the share-partition start offset to the share-partition end offset and their states. It must not know logs, requests
//! or the share coordinator: what has to be stored it hands out, and is told when it is. Kafka tracks whole batches and splits them into single offsets
//! where their states part; here ranges are split and joined as needed. Source: `SharePartition`, `InFlightBatch`, `InFlightState`.

use crate::mutant;
use crate::node::{SettledBy, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::share_records::{ShareState, StateBatch};
use std::sync::Arc;

/// Kafka's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RecordState {
    Available = 0,
    Acquired = 1,
    Acknowledged = 2,
    Archived = 4,
}

impl RecordState {
    fn is_terminal(self) -> bool {
        matches!(self, RecordState::Acknowledged | RecordState::Archived)
    }
}

/// What a member says of records that it has acquired, by Kafka's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AcknowledgeType {
    /// There is no record at this offset.
    Gap = 0,
    Accept = 1,
    Release = 2,
    Reject = 3,
}

impl AcknowledgeType {
    pub fn of(number: i8) -> Option<AcknowledgeType> {
        use AcknowledgeType::{Accept, Gap, Reject, Release};
        [Gap, Accept, Release, Reject].into_iter().find(|known| *known as i8 == number)
    }
}

/// Offsets, both ends included, and what a member says of them: one type for all, or one for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    pub first: i64,
    pub last: i64,
    pub types: Vec<AcknowledgeType>,
}

/// Offsets that a member has now, and how often they were delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acquired {
    pub first: i64,
    pub last: i64,
    pub deliveries: i16,
}

/// A range of offsets in one state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InFlight {
    pub last: i64,
    pub state: RecordState,
    pub deliveries: i16,
    /// Who has it acquired, or had when it said what is being stored.
    pub member: Option<Arc<str>>,
    locked_until: Time,
    /// The change that is being stored: until it is, the range is nobody else's.
    storing: Option<u64>,
}

impl InFlight {
    fn is_free(&self) -> bool {
        let is_anybodys = self.state == RecordState::Available || mutant::is("share-acquired-twice") && self.state == RecordState::Acquired;
        is_anybodys && self.storing.is_none()
    }

    fn is_held(&self) -> bool {
        self.state == RecordState::Acquired && self.storing.is_none()
    }
}

/// What becomes of ranges, to be stored under a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub number: u64,
    pub ranges: Vec<Settled>,
}

/// What becomes of a range, whose it was, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    pub batch: StateBatch,
    pub member: Option<Arc<str>>,
    pub by: SettledBy,
}

#[derive(Clone, Debug)]
pub struct SharePartition {
    /// Of the leader, when it began.
    pub leader_epoch: i32,
    pub state_epoch: i32,
    /// `group.share.delivery.count.limit`
    pub(super) deliveries_max: i16,
    start: i64,
    /// The offset after the last one in flight.
    end: i64,
    in_flight: OrderedMap<i64, InFlight>,
    changes: u64,
}

impl SharePartition {
    /// As the share coordinator tells it; `start` is where to begin if nobody has begun.
    pub fn new(leader_epoch: i32, deliveries_max: i16, state: &ShareState, start: i64) -> SharePartition {
        let start = if state.start_offset < 0 { start } else { state.start_offset };
        let mut known = SharePartition {
            leader_epoch,
            state_epoch: state.state_epoch,
            deliveries_max,
            start,
            end: start,
            in_flight: OrderedMap::new(),
            // No number of an earlier leadership is given again: its answers may still come.
            changes: u64::from(leader_epoch.unsigned_abs()) << 32,
        };
        for batch in state.batches.iter().filter(|batch| start <= batch.first && batch.first <= batch.last) {
            // Of what lies between nothing was stored: it was acquired by somebody, or never read.
            if known.end < batch.first {
                let end = known.end;
                known.put(end, batch.first - 1, RecordState::Available, 0);
            }
            let state = match batch.state {
                2 if !mutant::is("share-accepted-comes-again") => RecordState::Acknowledged,
                4 => RecordState::Archived,
                _ => RecordState::Available,
            };
            known.put(batch.first, batch.last, state, batch.deliveries);
            known.end = batch.last.saturating_add(1);
        }
        if mutant::is("share-begins-behind-the-stored") {
            known.in_flight.clear();
            known.start = known.end;
        }
        known.advance();
        known
    }

    fn put(&mut self, first: i64, last: i64, state: RecordState, deliveries: i16) {
        self.in_flight.insert(first, InFlight { last, state, deliveries, member: None, locked_until: 0, storing: None });
    }

    pub fn start_offset(&self) -> i64 {
        self.start
    }

    /// The offset that follows the last one in flight.
    pub fn end_offset(&self) -> i64 {
        self.end
    }

    /// Ranges in flight by their first offsets.
    pub fn in_flight(&self) -> impl Iterator<Item = (i64, &InFlight)> {
        self.in_flight.iter().map(|(first, range)| (*first, range))
    }

    /// Where to read: the first offset that anybody may have.
    pub fn fetch_offset(&self) -> i64 {
        self.in_flight.iter().find(|(_, range)| range.is_free()).map_or(self.end, |(first, _)| *first)
    }

    /// Whether anything more may be acquired. `locks_max`: `group.share.partition.max.record.locks`.
    pub fn can_acquire(&self, locks_max: i64) -> bool {
        self.fetch_offset() != self.end || self.end - self.start < locks_max
    }

    /// A member gets what it may have of the batches that were read from [`SharePartition::fetch_offset`] on, each by its first and last offset: about
    /// `records_max` records, and whole batches of what is new.
    pub fn acquire(
        &mut self,
        member: &Arc<str>,
        batches: &[(i64, i64)],
        records_max: i64,
        locks_max: i64,
        locked_until: Time,
    ) -> Vec<Acquired> {
        let mut acquired = Vec::new();
        let (Some((first_read, _)), Some((_, last_read))) = (batches.first(), batches.last()) else { return acquired };
        let from = self.fetch_offset();
        // What is free and lies before what the log has is there no more: compaction took it.
        self.split(*first_read);
        let gone = ranges_from(&mut self.in_flight, from).take_while(|(first, _)| *first < *first_read);
        gone.filter(|(_, range)| range.is_free()).for_each(|(_, range)| range.state = RecordState::Archived);
        let mut left = records_max;
        self.split(last_read.saturating_add(1));
        let mut cut = None;
        for (first, range) in ranges_from(&mut self.in_flight, *first_read).take_while(|(first, _)| *first <= *last_read) {
            if !range.is_free() || left <= 0 {
                continue;
            }
            if left < range.last - first + 1 {
                cut = Some(first + left);
                break;
            }
            left -= range.last - first + 1;
            acquired.push(range.give(member, first, locked_until));
        }
        if let Some(at) = cut {
            self.split(at);
            let first = at - left;
            if let Some(range) = self.in_flight.get_mut(&first) {
                acquired.push(range.give(member, first, locked_until));
            }
            left = 0;
        }
        let room = left.min(locks_max - (self.end - self.start));
        if let Some((base, _)) = batches.iter().find(|(_, last)| self.end <= *last).filter(|_| 0 < room) {
            // A batch may have been read because of its end: what is before is somebody's, or done.
            let first = self.end.max(*base);
            let wanted = first.saturating_add(room - 1);
            let ends = batches.iter().map(|(_, last)| *last);
            // The limit is a soft one: the batch that it falls into is given as a whole.
            let last = ends.clone().find(|last| wanted <= *last).unwrap_or(*last_read);
            if self.in_flight.is_empty() {
                self.start = first;
            }
            self.put(first, last, RecordState::Available, 0);
            self.end = last + 1;
            if let Some(range) = self.in_flight.get_mut(&first) {
                acquired.push(range.give(member, first, locked_until));
            }
        }
        self.advance();
        acquired
    }

    /// Of what a member was just given these offsets are nobody's, for their transactions were aborted. Returns what is left to the member. As in Kafka
    /// this is not stored: the next leader finds it out for itself.
    pub fn archive(&mut self, acquired: Vec<Acquired>, aborted: &[(i64, i64)]) -> Vec<Acquired> {
        let mut left = acquired;
        for (first, last) in aborted.iter().copied() {
            let outside = |range: Acquired| {
                let before = Acquired { last: range.last.min(first - 1), ..range };
                let behind = Acquired { first: range.first.max(last + 1), ..range };
                [before, behind].into_iter().filter(|part| part.first <= part.last)
            };
            for range in left.iter().filter(|range| range.first <= last && first <= range.last) {
                let (first, last) = (first.max(range.first), last.min(range.last));
                self.split(first);
                self.split(last + 1);
                for (_, archived) in ranges_from(&mut self.in_flight, first).take_while(|(at, _)| *at <= last) {
                    (archived.state, archived.member) = (RecordState::Archived, None);
                }
            }
            left = left.into_iter().flat_map(outside).collect();
        }
        self.advance();
        left
    }

    /// A member says what has become of records. All of it is taken, or nothing.
    pub fn acknowledge(&mut self, member: &str, said: &[Acknowledgement]) -> Result<Option<Change>, ErrorCode> {
        for batch in said.iter().filter(|batch| self.start <= batch.last) {
            self.check(member, batch)?;
        }
        let mut changes = Vec::new();
        let start = self.start;
        for batch in said.iter().filter(|batch| start <= batch.last) {
            let mut first = batch.first;
            while first <= batch.last {
                let place = usize::try_from(first - batch.first).unwrap_or(usize::MAX);
                let (what, last) = match batch.types[..] {
                    [what] => (what, batch.last),
                    _ => {
                        let what = batch.types[place];
                        let alike = batch.types[place..].iter().take_while(|other| **other == what).count();
                        (what, first + alike as i64 - 1)
                    }
                };
                let deliveries_max = self.deliveries_max;
                self.change(first.max(start), last, &mut changes, |range| match what {
                    AcknowledgeType::Accept => Some((RecordState::Acknowledged, SettledBy::Accept)),
                    AcknowledgeType::Release => Some((range.released(deliveries_max), SettledBy::Release)),
                    AcknowledgeType::Reject | AcknowledgeType::Gap => Some((RecordState::Archived, SettledBy::Reject)),
                });
                first = last + 1;
            }
        }
        Ok(self.change_of(changes))
    }

    /// Whether all of it is the member's.
    fn check(&self, member: &str, said: &Acknowledgement) -> Result<(), ErrorCode> {
        let moved = said.first < self.start && self.start <= said.last;
        let from = if moved { self.start } else { said.first };
        let mut meant = self.in_flight.iter().filter(|(first, range)| from <= range.last && **first <= said.last).peekable();
        if self.in_flight.first().is_none_or(|(first, _)| from < *first) {
            return Err(ErrorCode::InvalidRecordState);
        }
        if meant.peek().is_none() || self.end <= said.last {
            return Err(ErrorCode::InvalidRequest);
        }
        let is_own = |range: &InFlight| range.is_held() && range.member.as_deref() == Some(member);
        if meant.all(|(_, range)| is_own(range)) { Ok(()) } else { Err(ErrorCode::InvalidRecordState) }
    }

    /// What a member has goes back to the others: it is gone.
    pub fn release(&mut self, member: &str) -> Option<Change> {
        let deliveries_max = self.deliveries_max;
        let mut changes = Vec::new();
        self.change(i64::MIN, i64::MAX, &mut changes, |range| {
            (range.is_held() && range.member.as_deref() == Some(member)).then(|| (range.released(deliveries_max), SettledBy::MemberGone))
        });
        self.change_of(changes)
    }

    /// What was not acknowledged in time goes back at once, whether or not that can be stored.
    pub fn expire(&mut self, now: Time) -> Option<Change> {
        let deliveries_max = self.deliveries_max;
        let mut changes = Vec::new();
        self.change(i64::MIN, i64::MAX, &mut changes, |range| {
            let is_over = range.locked_until <= now && !mutant::is("share-lock-for-ever");
            (range.is_held() && is_over).then(|| (range.released(deliveries_max), SettledBy::LockTimeout))
        });
        let change = self.change_of(changes)?;
        self.settled(change.number, true);
        Some(change)
    }

    /// When the first lock is over.
    pub fn next_expiry(&self) -> Option<Time> {
        let locks = self.in_flight.values().filter(|range| range.is_held() && !mutant::is("share-lock-for-ever"));
        locks.map(|range| range.locked_until).min()
    }

    /// A range that a member has and whose lock was over by then.
    pub fn locked_longer_than(&self, time: Time) -> Option<(i64, i64)> {
        let is_over = |(_, range): &(&i64, &InFlight)| range.is_held() && range.locked_until < time;
        self.in_flight.iter().find(is_over).map(|(first, range)| (*first, range.last))
    }

    /// A change is stored, or could not be: then it has not been.
    pub fn settled(&mut self, number: u64, is_stored: bool) {
        for range in self.in_flight.values_mut().filter(|range| range.storing == Some(number)) {
            range.storing = None;
            if is_stored {
                range.member = None;
            } else {
                range.state = RecordState::Acquired;
            }
        }
        self.join();
        self.advance();
    }

    /// The log starts here now: what was before is there no more. `false`: that is nothing new.
    pub fn raise_start(&mut self, to: i64) -> bool {
        if to <= self.start {
            return false;
        }
        self.split(to);
        self.in_flight.retain(|first, _| to <= *first);
        (self.start, self.end) = (to, self.end.max(to));
        self.advance();
        true
    }

    fn change_of(&mut self, ranges: Vec<Settled>) -> Option<Change> {
        let number = self.changes;
        self.changes += 1;
        (!ranges.is_empty()).then_some(Change { number, ranges })
    }

    /// Changes the ranges between two offsets to what `to` says.
    fn change(&mut self, first: i64, last: i64, changes: &mut Vec<Settled>, to: impl Fn(&InFlight) -> Option<(RecordState, SettledBy)>) {
        self.split(first);
        self.split(last.saturating_add(1));
        let number = self.changes;
        for (first, range) in ranges_from(&mut self.in_flight, first).take_while(|(first, _)| *first <= last) {
            if let Some((state, by)) = to(range) {
                (range.state, range.storing) = (state, Some(number));
                let batch = StateBatch { first, last: range.last, state: state as i8, deliveries: range.deliveries };
                changes.push(Settled { batch, member: range.member.clone(), by });
            }
        }
    }

    /// Makes a range begin here, if one holds this offset.
    fn split(&mut self, at: i64) {
        let held = self.in_flight.iter().rev().find(|(first, _)| **first < at).filter(|(_, range)| at <= range.last);
        let Some((first, behind)) = held.map(|(first, range)| (*first, range.clone())) else { return };
        self.in_flight.insert(at, behind);
        if let Some(before) = self.in_flight.get_mut(&first) {
            before.last = at - 1;
        }
    }

    /// Neighbours in one state become one range.
    fn join(&mut self) {
        let mut joined: Vec<(i64, InFlight)> = Vec::with_capacity(self.in_flight.len());
        for (first, range) in std::mem::take(&mut self.in_flight) {
            match joined.last_mut() {
                Some((_, before)) if before.last + 1 == first && range == (InFlight { last: range.last, ..before.clone() }) => {
                    before.last = range.last;
                }
                _ => joined.push((first, range)),
            }
        }
        self.in_flight = joined.into_iter().collect();
    }

    /// Moves the start over what is done, and over offsets that have no record.
    fn advance(&mut self) {
        while let Some((_, range)) = self.in_flight.first().filter(|(_, range)| range.state.is_terminal() && range.storing.is_none()) {
            self.start = range.last + 1;
            self.in_flight.pop_first();
            if let Some((first, _)) = self.in_flight.first() {
                self.start = *first;
            }
        }
    }
}

/// Ranges that begin at an offset or after it, by their first offsets.
fn ranges_from(in_flight: &mut OrderedMap<i64, InFlight>, from: i64) -> impl Iterator<Item = (i64, &mut InFlight)> {
    in_flight.into_iter().map(|(first, range)| (*first, range)).skip_while(move |(first, _)| *first < from)
}

impl InFlight {
    fn give(&mut self, member: &Arc<str>, first: i64, locked_until: Time) -> Acquired {
        self.state = RecordState::Acquired;
        if !mutant::is("share-delivery-not-counted") {
            self.deliveries += 1;
        }
        self.member = Some(member.clone());
        self.locked_until = locked_until;
        Acquired { first, last: self.last, deliveries: self.deliveries }
    }

    /// Back to the others, or, if it was delivered as often as it may be, to nobody.
    fn released(&self, deliveries_max: i16) -> RecordState {
        if self.deliveries < deliveries_max || mutant::is("share-limit-unheeded") { RecordState::Available } else { RecordState::Archived }
    }
}
