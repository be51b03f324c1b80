//! The leader's side: appends, reads, what the followers have, the high watermark and the ISR.

use super::{Replica, Role};
use crate::mutant;
use crate::node::{NoteKind, Outputs, Time};
use crate::ordered::OrderedMap;
use crate::protocol::Batch;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::PartitionState;
use crate::storage::EpochEnd;

/// DeleteRecords' name for the high watermark.
const TO_HIGH_WATERMARK: i64 = -1;

/// What a leader knows besides its log.
#[derive(Clone, Debug)]
pub struct Leader {
    pub epoch: i32,
    /// The log end offset when this epoch began: a follower must reach it before it may join the ISR.
    pub epoch_start: i64,
    pub partition_epoch: i32,
    pub isr: Vec<i32>,
    /// An ISR asked for and not yet granted. Until it is, both count: the larger one bounds the high watermark.
    pub pending_isr: Option<Vec<i32>>,
    /// The segment that is being copied to the remote store.
    pub copying: Option<u64>,
    followers: OrderedMap<i32, Follower>,
    min_insync: usize,
}

/// A follower as its fetches show it.
#[derive(Clone, Debug)]
struct Follower {
    /// -1 before its first fetch, and so is the end.
    log_start: i64,
    log_end: i64,
    /// The last time at which it had everything that the leader had, if it ever had.
    caught_up: Option<Time>,
    last_fetch: Option<Time>,
    leader_end_at_last_fetch: i64,
    broker_epoch: Option<i64>,
}

/// What a follower has of the log, by its own words.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub log_start: i64,
    pub log_end: i64,
}

impl Follower {
    fn new(caught_up: Option<Time>) -> Follower {
        Follower { log_start: -1, log_end: -1, caught_up, last_fetch: None, leader_end_at_last_fetch: 0, broker_epoch: None }
    }

    /// Whether it had everything not longer ago than a member of the ISR may lag.
    fn was_caught_up(&self, now: Time, lag_max: Time) -> bool {
        self.caught_up.is_some_and(|at| now <= at + lag_max)
    }
}

/// What a fetch at an offset finds.
#[derive(Clone, Debug)]
pub struct Read {
    pub batches: Vec<Batch>,
    /// The follower's log parted from the leader's: where this epoch ends here.
    pub diverging: Option<EpochEnd>,
    /// What is asked for is not here any more, but in the remote store.
    pub tiered: bool,
}

/// A refused read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadError(pub ErrorCode);

impl Leader {
    pub(super) fn new(now: Time, broker: i32, state: &PartitionState, log_end: i64, min_insync: usize) -> Leader {
        let others = state.replicas.iter().filter(|replica| **replica != broker);
        let fresh = |replica: &i32| Follower::new(state.isr.contains(replica).then_some(now));
        Leader {
            epoch: state.leader_epoch,
            epoch_start: log_end,
            partition_epoch: state.partition_epoch,
            isr: state.isr.clone(),
            pending_isr: None,
            copying: None,
            followers: others.map(|replica| (*replica, fresh(replica))).collect(),
            min_insync: effective_min_insync(min_insync, state.replicas.len()),
        }
    }

    /// Leads on in a new epoch: what the followers have is still known, but who was caught up is not (`Replica.resetReplicaState`).
    pub(super) fn led(mut self, now: Time, before: &Leader) -> Leader {
        for (replica, follower) in &mut self.followers {
            if let Some(known) = before.followers.get(replica) {
                let (caught_up, leader_end_at_last_fetch) = (follower.caught_up, self.epoch_start);
                *follower = Follower { caught_up, last_fetch: caught_up.map(|_| now), leader_end_at_last_fetch, ..known.clone() };
            }
        }
        self
    }

    /// Takes over what the controller decided, from the metadata log or from an AlterPartition response, whichever comes first.
    pub fn adopt(&mut self, partition_epoch: i32, isr: Vec<i32>) {
        if self.partition_epoch < partition_epoch {
            self.partition_epoch = partition_epoch;
            self.isr = isr;
            self.pending_isr = None;
        }
    }

    /// Takes over what the controller answers to an AlterPartition request: also an ISR that it had already, in the same partition epoch, settles it.
    pub fn granted(&mut self, partition_epoch: i32, isr: Vec<i32>) {
        if self.partition_epoch == partition_epoch {
            self.pending_isr = None;
        }
        self.adopt(partition_epoch, isr);
    }

    /// Takes over whose replicas there are: a reassignment adds some within the leader's epoch.
    pub(super) fn assign(&mut self, broker: i32, replicas: &[i32]) {
        for replica in replicas.iter().filter(|replica| **replica != broker) {
            self.followers.or_insert_with(*replica, || Follower::new(None));
        }
        self.followers.retain(|replica, _| replicas.contains(replica));
    }

    /// The setting may have been changed, and the number of replicas.
    pub(super) fn set_min_insync(&mut self, setting: usize) {
        if !mutant::is("min-isr-of-the-start") {
            self.min_insync = effective_min_insync(setting, self.replicas());
        }
    }

    /// How many replicas there are.
    pub fn replicas(&self) -> usize {
        self.followers.len() + 1
    }

    pub fn min_insync(&self) -> usize {
        self.min_insync
    }

    /// Whether acks=all is refused.
    pub fn is_under_min_isr(&self) -> bool {
        self.isr.len() < self.min_insync
    }

    fn in_maximal_isr(&self, replica: i32) -> bool {
        if let Some(pending) = self.pending_isr.as_ref().filter(|_| mutant::is("pending-isr-counts-alone")) {
            return pending.contains(&replica);
        }
        self.isr.contains(&replica) || self.pending_isr.as_ref().is_some_and(|pending| pending.contains(&replica))
    }

    /// Whether it is another replica of the partition.
    pub fn has_follower(&self, replica: i32) -> bool {
        self.followers.contains_key(&replica)
    }

    /// Of the followers that are near, in sync and hold this offset, the one that has most; among equals the one that caught up last, then the one with
    /// the largest id. Who is not in sync may fall behind for good, and its readers with it.
    pub fn read_replica(&self, offset: i64, is_near: impl Fn(i32) -> bool) -> Option<i32> {
        let holds = |follower: &Follower| follower.log_start <= offset && offset <= follower.log_end;
        let fit = self.followers.iter().filter(|(id, follower)| self.isr.contains(id) && holds(follower) && is_near(**id));
        fit.max_by_key(|(id, follower)| (follower.log_end, follower.caught_up, **id)).map(|(id, _)| *id)
    }

    /// The broker epoch that a replica fetches with, if it has; AlterPartition names it, so that the controller can refuse an older process.
    pub fn broker_epoch_of(&self, replica: i32) -> Option<i64> {
        self.followers.get(&replica).and_then(|follower| follower.broker_epoch)
    }

    /// The members that would stay after those that lag are dropped, if any lags.
    pub fn shrunk_isr(&self, now: Time, log_end: i64, lag_max: Time) -> Option<Vec<i32>> {
        if self.pending_isr.is_some() {
            return None;
        }
        let lags = |member: &i32| {
            self.followers.get(member).is_some_and(|follower| follower.log_end != log_end && !follower.was_caught_up(now, lag_max))
        };
        let kept: Vec<i32> = self.isr.iter().copied().filter(|member| !lags(member)).collect();
        (kept.len() < self.isr.len()).then_some(kept)
    }

    /// The ISR with this follower, if it has earned a place: everything below the high watermark, and all that the epoch began with.
    pub fn expanded_isr(&self, replica: i32, high_watermark: i64) -> Option<Vec<i32>> {
        if self.pending_isr.is_some() || self.isr.contains(&replica) || mutant::is("isr-never-joined") {
            return None;
        }
        let follower = self.followers.get(&replica)?;
        let earned = high_watermark <= follower.log_end && self.epoch_start <= follower.log_end;
        (earned || mutant::is("isr-joined-at-once")).then(|| self.isr.iter().copied().chain([replica]).collect())
    }
}

/// A topic with fewer replicas than the setting asks for can still be written to.
pub fn effective_min_insync(setting: usize, replicas: usize) -> usize {
    setting.min(replicas)
}

impl Replica {
    /// Gives the batch its offsets and epoch, and appends it. `now_ms` is the broker's clock.
    pub fn append_as_leader(&mut self, now: Time, now_ms: i64, mut batch: Batch, out: &mut Outputs) -> i64 {
        batch.base_offset = self.log.end_offset();
        if !mutant::is("epoch-of-the-producer") {
            batch.leader_epoch = self.leader_epoch();
        }
        let base_offset = batch.base_offset;
        self.append(batch, true, now_ms, out);
        self.flush_if_due(now);
        base_offset
    }

    /// Whether this is the leader, and the sender of a request knows its epoch (KIP-320). An epoch of -1 asks for no check.
    pub fn check_leader(&self, epoch: i32) -> Result<(), ErrorCode> {
        self.check_epoch(epoch)?;
        self.leader().map(|_| ()).ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// Whether the sender of a request knows the leader epoch in which this replica leads or follows.
    pub fn check_epoch(&self, epoch: i32) -> Result<(), ErrorCode> {
        let own = self.leader_epoch();
        match (&self.role, epoch) {
            (Role::Offline, _) => Err(ErrorCode::NotLeaderOrFollower),
            (_, -1) => Ok(()),
            (_, older) if older < own => Err(ErrorCode::FencedLeaderEpoch),
            (_, newer) if own < newer => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// What OffsetForLeaderEpoch answers: the end of the epoch or of the nearest older one; -1 and -1 for one that was never heard of.
    pub fn end_of_epoch(&self, epoch: i32) -> EpochEnd {
        let known = if epoch < 0 { None } else { self.log.epoch_end(epoch) };
        known.unwrap_or(EpochEnd { epoch: -1, end: -1 })
    }

    /// Reads for a follower (everything) or a consumer (below the high watermark). `last_epoch` is the epoch of the fetcher's last record,
    /// -1 if it does not say: a log that holds it to another end has parted from this one (KIP-595).
    pub fn read(&self, from: i64, last_epoch: i32, limit: i64, max_bytes: usize, first_whole: bool) -> Result<Read, ReadError> {
        // Who is below the log start has nothing to part from.
        if from < self.log.start_offset() && !mutant::is("read-below-log-start") {
            return Err(ReadError(ErrorCode::OffsetOutOfRange));
        }
        if 0 <= last_epoch {
            let Some(end) = self.log.epoch_end(last_epoch) else { return Err(ReadError(ErrorCode::OffsetOutOfRange)) };
            if end.epoch < last_epoch || end.end < from {
                return Ok(Read { batches: Vec::new(), diverging: Some(end), tiered: false });
            }
        }
        if self.log.end_offset() < from {
            return Err(ReadError(ErrorCode::OffsetOutOfRange));
        }
        let tiered = from < self.log.local_start_offset() && self.log.config().remote;
        let batches = if tiered { Vec::new() } else { self.log.read(from, limit, max_bytes, first_whole) };
        Ok(Read { batches, diverging: None, tiered })
    }

    /// A follower's fetch says what it has. Returns whether its log starts elsewhere than before.
    pub fn follower_fetched(&mut self, now: Time, replica: i32, broker_epoch: i64, held: Held) -> bool {
        if mutant::is("follower-fetch-unheeded") {
            return false;
        }
        let (log_end, offset) = (self.log.end_offset(), held.log_end);
        let Some(follower) = self.leader_mut().and_then(|leader| leader.followers.get_mut(&replica)) else { return false };
        if log_end <= offset {
            follower.caught_up = follower.caught_up.max(Some(now));
        } else if follower.leader_end_at_last_fetch <= offset {
            follower.caught_up = follower.caught_up.max(follower.last_fetch);
        }
        follower.log_end = offset;
        follower.broker_epoch = Some(broker_epoch);
        follower.last_fetch = Some(now);
        follower.leader_end_at_last_fetch = log_end;
        std::mem::replace(&mut follower.log_start, held.log_start) != held.log_start
    }

    /// Nothing below this offset is to be read any more: the log starts there, if it does not start later. Returns the offset that is meant.
    pub fn delete_records(&mut self, before: i64, out: &mut Outputs) -> Result<i64, ErrorCode> {
        if self.leader().is_none() {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        // Where only compaction removes records, each key keeps its last value.
        if self.log.config().compact && !self.log.config().delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let before = if before == TO_HIGH_WATERMARK { self.high_watermark } else { before };
        let limit = if mutant::is("delete-records-beyond-high-watermark") { self.log.end_offset() } else { self.high_watermark };
        if !(0..=limit).contains(&before) {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let from = self.log.start_offset();
        if from < before {
            out.note(NoteKind::RecordsDeleted { partition: self.name.clone(), before });
            self.log.raise_start(if mutant::is("deletes-one-more") { before + 1 } else { before });
            self.note_log_start(from, out);
        }
        Ok(before)
    }

    /// Where the logs of all replicas start whose brokers live, at the least; `None` if this one does not lead.
    pub fn low_watermark(&self, live: impl Fn(i32) -> bool) -> Option<i64> {
        let followers = self.leader()?.followers.iter().filter(|(replica, _)| live(**replica)).map(|(_, follower)| follower.log_start);
        let own = self.log.start_offset();
        Some(if mutant::is("low-watermark-of-the-leader") { own } else { followers.fold(own, i64::min) })
    }

    /// Advances the high watermark to what every member of the maximal ISR has; waits for a follower that has caught up and is about to join.
    /// Below the minimum ISR it stands still (KIP-966). `eligible` tells who may join, by the broker epoch of its fetches. Returns whether it moved.
    pub fn advance_high_watermark(
        &mut self,
        now: Time,
        lag_max: Time,
        eligible: impl Fn(i32, Option<i64>) -> bool,
        out: &mut Outputs,
    ) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        if leader.is_under_min_isr() && !mutant::is("high-watermark-below-min-isr") {
            return false;
        }
        let log_end = self.log.end_offset();
        let mut to = log_end;
        for (replica, follower) in &leader.followers {
            let joining = || follower.was_caught_up(now, lag_max) && eligible(*replica, follower.broker_epoch);
            if follower.log_end < to && !mutant::is("high-watermark-without-followers") && (leader.in_maximal_isr(*replica) || joining()) {
                to = follower.log_end;
            }
        }
        let moves = self.high_watermark < to;
        if moves {
            self.set_high_watermark(to, out);
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{MS, Partition};
    use crate::protocol::{BatchBuilder, BatchOptions};

    #[test]
    fn a_leader_says_where_epochs_end() {
        let mut replica = Replica::new(Partition { topic: "orders".into(), index: 0 });
        let state = PartitionState { replicas: vec![1], isr: vec![1], leader: Some(1), leader_epoch: 3, ..PartitionState::default() };
        assert_eq!(replica.check_leader(-1), Err(ErrorCode::NotLeaderOrFollower));
        replica.assume(0, 1, &state, 1);
        let end = |epoch| (replica.end_of_epoch(epoch).epoch, replica.end_of_epoch(epoch).end);
        assert_eq!([-1, 0, 3, 4].map(end), [(-1, -1), (0, 0), (3, 0), (-1, -1)], "no epoch, an older, the latest, a newer one");
        let checked = [-1, 2, 3, 4].map(|epoch| replica.check_leader(epoch).err());
        assert_eq!(checked, [None, Some(ErrorCode::FencedLeaderEpoch), None, Some(ErrorCode::UnknownLeaderEpoch)]);
    }

    /// Leads three replicas, and has three records.
    fn leading(isr: &[i32], out: &mut Outputs) -> (Replica, PartitionState) {
        let mut replica = Replica::new(Partition { topic: "orders".into(), index: 0 });
        let state = PartitionState { replicas: vec![1, 2, 3], isr: isr.to_vec(), leader: Some(1), ..PartitionState::default() };
        replica.assume(MS, 1, &state, 1);
        for _ in 0..3 {
            let mut batch = BatchBuilder::new(BatchOptions::default(), 0);
            batch.append(0, None, Some(b"v"), &[]);
            replica.append_as_leader(MS, 0, Batch::from_wire(batch.build()).expect("a batch"), out);
        }
        (replica, state)
    }

    fn held(log_end: i64) -> Held {
        Held { log_start: 0, log_end }
    }

    #[test]
    fn who_is_below_the_log_start_is_out_of_range_whatever_its_epoch() {
        let mut out = Outputs::default();
        let (mut replica, mut state) = leading(&[1], &mut out);
        state.leader_epoch = 2;
        replica.assume(MS, 1, &state, 1);
        replica.advance_high_watermark(MS, 0, |_, _| true, &mut out);
        let diverging = |replica: &Replica, from| replica.read(from, 1, 3, 1_000, true).map(|read| read.diverging.map(|end| end.epoch));
        assert_eq!(diverging(&replica, 1), Ok(Some(0)));
        assert_eq!(replica.delete_records(2, &mut out), Ok(2));
        assert_eq!(diverging(&replica, 1), Err(ReadError(ErrorCode::OffsetOutOfRange)));
        assert_eq!(diverging(&replica, 2), Ok(Some(0)));
    }

    #[test]
    fn who_leads_on_in_a_new_epoch_knows_what_its_followers_have() {
        let mut out = Outputs::default();
        let (mut replica, mut state) = leading(&[1, 2, 3], &mut out);
        for (follower, end) in [(2, 3), (3, 1)] {
            replica.follower_fetched(2 * MS, follower, -1, held(end));
        }
        let mut advanced = |replica: &mut Replica, now| {
            replica.advance_high_watermark(now, 10 * MS, |_, fetched_with| fetched_with.is_some(), &mut out);
            replica.high_watermark()
        };
        assert_eq!(advanced(&mut replica, 2 * MS), 1);
        // The one that is behind leaves the ISR, and is not waited for as one that has just been caught up.
        (state.isr, state.leader_epoch, state.partition_epoch) = (vec![1, 2], 1, 1);
        assert!(replica.assume(3 * MS, 1, &state, 1));
        assert_eq!(advanced(&mut replica, 3 * MS), 3);
        // Nor is it caught up by a fetch from where it was known to be.
        replica.follower_fetched(4 * MS, 3, -1, held(1));
        assert_eq!(replica.leader().and_then(|leader| leader.followers.get(&3)?.caught_up), None);
        // Another has led meanwhile: nothing is known.
        (state.leader, state.leader_epoch) = (Some(2), 2);
        replica.assume(5 * MS, 1, &state, 1);
        (state.leader, state.leader_epoch) = (Some(1), 3);
        replica.assume(6 * MS, 1, &state, 1);
        assert_eq!(replica.leader().and_then(|leader| leader.followers.get(&2)).map(|known| known.log_end), Some(-1));
    }

    #[test]
    fn who_is_outside_the_isr_and_far_behind_holds_nothing_up_however_young_the_cluster_is() {
        let mut out = Outputs::default();
        let (mut replica, _) = leading(&[1, 2], &mut out);
        replica.follower_fetched(2 * MS, 3, -1, held(1));
        replica.follower_fetched(2 * MS, 2, -1, held(3));
        replica.advance_high_watermark(2 * MS, 30_000 * MS, |_, _| true, &mut out);
        assert_eq!(replica.high_watermark(), 3);
    }
}
