//! Tiered storage on a broker: what its leaders copy to the remote store, delete there, and read from there for consumers; how its followers go on
//! behind what is only there.
//!
//! Owns when that is done and for how long; what of the store belongs to a log is [`RemoteLog`](crate::storage::RemoteLog)'s to know. Each copy, deletion
//! and read takes its time ([`Costs`](crate::cost::Costs)), and comes to nothing if the process ends meanwhile; a look at what the store has takes none,
//! for in Kafka every broker follows that in a topic. Source: KIP-405; `RemoteLogManager`, `ReplicaManager.processRemoteFetches`,
//! `DelayedRemoteFetch`, `TierStateMachine`.

use super::Broker;
use super::fetch::{Found, READ_COMMITTED, aborted_transactions};
use super::work::Job;
use crate::mutant;
use crate::node::{Connection, NoteKind, Outputs, Partition, Time, Timer};
use crate::protocol::{Batch, ErrorCode};
use crate::replica::PartitionKey;
use crate::storage::RemoteLog;
use kafka_protocol::messages as k;
use std::sync::Arc;

/// What the remote store is busy with, for nobody who waits.
#[derive(Clone, Debug)]
pub enum RemoteJob {
    /// A segment is copied, in this epoch of its leader.
    Copy {
        key: PartitionKey,
        leader_epoch: i32,
        id: u64,
        base_offset: i64,
        end: i64,
        bytes: u64,
    },
    Delete {
        key: PartitionKey,
        partition: Partition,
        ids: Vec<u64>,
    },
    /// A follower gets the epochs of what is before its leader's local log.
    Epochs {
        leader: i32,
        behind: Behind,
    },
}

/// Where a follower goes on, and behind what: the offset before was written in `epoch`.
#[derive(Clone, Debug)]
pub struct Behind {
    pub key: PartitionKey,
    /// The leader epoch in which it follows.
    pub current: i32,
    pub log_start: i64,
    pub local_start: i64,
    pub epoch: i32,
}

/// One partition of a fetch that is to be read from the remote store.
#[derive(Clone, Debug)]
pub struct RemoteRead {
    /// Which of the answer's partitions.
    pub place: usize,
    pub key: PartitionKey,
    pub offset: i64,
    pub most: usize,
    /// The first batch is read whatever its size.
    pub first: bool,
}

/// A fetch that waits for the remote store.
#[derive(Clone, Debug)]
pub struct RemoteFetch {
    pub from: Connection,
    pub correlation: u32,
    pub message: Arc<k::FetchRequest>,
    pub found: Found,
    /// Whether the store is done within `remote.fetch.max.wait.ms`.
    pub in_time: bool,
}

impl Broker {
    pub(super) fn remote_logs_due(&mut self, now: Time, out: &mut Outputs) {
        let tiered = self.replicas.iter().filter(|(_, replica)| replica.log.config().remote).map(|(key, _)| *key);
        for key in tiered.collect::<Vec<_>>() {
            self.tier(now, key, out);
        }
        if let Some(interval) = self.config.remote_task_interval {
            out.timer(now + interval, Timer::RemoteLog);
        }
    }

    /// One round of a partition's tasks: what it knows of copies, and as a leader what is to be deleted and copied.
    pub(super) fn tier(&mut self, now: Time, key: PartitionKey, out: &mut Outputs) {
        let now_ms = self.wall_clock(now);
        let Some(replica) = self.replicas.get_mut(&key) else { return };
        let partition = replica.name.clone();
        let mut moves = false;
        if let Some(remote) = self.remote.get(&key) {
            moves = replica.follow_remote(remote, out);
        }
        if let (Some(leader), Some(remote)) = (replica.leader(), self.remote.get(&key)) {
            let expired = remote.expired(&replica.log, now_ms, leader.copying);
            // A new leader waits until its high watermark is up to it.
            if expired.start <= replica.high_watermark() {
                moves |= !mutant::is("remote-deleted-above-log-start") && replica.raise_log_start(expired.start, out);
                self.delete_remote(now, key, partition, expired.ids, out);
            }
        }
        self.copy_next(now, key, out);
        if moves {
            self.moved.insert(key);
        }
    }

    /// A leader copies its segments one after the other, as far as they are committed.
    fn copy_next(&mut self, now: Time, key: PartitionKey, out: &mut Outputs) {
        let Some(replica) = self.replicas.get_mut(&key).filter(|replica| replica.log.config().is_tiering()) else { return };
        let Some((segment, end)) = replica.log.next_to_copy(replica.last_stable_offset()) else { return };
        let epochs = replica.log.epochs_below(end);
        let aborted = replica.log.producers().transactions().aborted_within(segment.base_offset(), end).copied().collect();
        let producers = replica.log.producers().snapshot_at(end);
        let partition = replica.name.clone();
        let Some(leader) = replica.leader_mut().filter(|leader| leader.copying.is_none()) else { return };
        let (base_offset, bytes, leader_epoch) = (segment.base_offset(), segment.bytes(), leader.epoch);
        let id = self.remote.log(key).start_copy(segment, end, epochs, aborted, producers);
        leader.copying = Some(id);
        out.note(NoteKind::RemoteCopyStarted { partition, base_offset, last_offset: end - 1 });
        let until = self.work.use_remote(now, bytes, &self.config.costs);
        self.work.start(until, Job::Remote(RemoteJob::Copy { key, leader_epoch, id, base_offset, end, bytes }), out);
    }

    /// Deletes all that the store has of a partition.
    pub(super) fn delete_remote_log(&mut self, now: Time, key: PartitionKey, partition: Partition, out: &mut Outputs) {
        let ids = self.remote.get(&key).map_or_else(Vec::new, |remote| remote.segments().iter().map(|known| known.id).collect());
        self.delete_remote(now, key, partition, ids, out);
        self.forget_remote(key);
    }

    /// Of a deleted topic nothing will come any more.
    fn forget_remote(&mut self, key: PartitionKey) {
        let is_empty = self.remote.get(&key).is_some_and(|remote| remote.segments().is_empty());
        if is_empty && !self.image.topics.contains_key(&key.topic) {
            self.remote.remove(&key);
        }
    }

    fn delete_remote(&mut self, now: Time, key: PartitionKey, partition: Partition, ids: Vec<u64>, out: &mut Outputs) {
        if !ids.is_empty() {
            self.remote.log(key).start_delete(&ids);
            let until = self.work.use_remote(now, 0, &self.config.costs);
            self.work.start(until, Job::Remote(RemoteJob::Delete { key, partition, ids }), out);
        }
    }

    pub(super) fn remote_done(&mut self, now: Time, job: RemoteJob, out: &mut Outputs) {
        match job {
            RemoteJob::Copy { key, leader_epoch, id, base_offset, end, bytes } => {
                let Some(replica) = self.replicas.get_mut(&key) else { return };
                // Who leads no more leaves the copy as it is: unfinished.
                let Some(leader) = replica.leader_mut().filter(|leader| leader.epoch == leader_epoch) else { return };
                leader.copying = None;
                if self.remote.log(key).finish_copy(id) {
                    replica.log.set_remote_end(end);
                    let partition = replica.name.clone();
                    out.note(NoteKind::RemoteCopyFinished { partition, base_offset, last_offset: end - 1, bytes });
                    self.copy_next(now, key, out);
                }
            }
            RemoteJob::Delete { key, partition, ids } => {
                let (segments, bytes) = self.remote.log(key).finish_delete(&ids);
                if 0 < segments {
                    out.note(NoteKind::RemoteSegmentsDeleted { partition, segments, bytes });
                }
                self.forget_remote(key);
            }
            RemoteJob::Epochs { leader, behind } => self.start_behind_remote(now, leader, &behind, out),
        }
    }

    /// A consumer's fetch waits for the remote store, but not for ever: then it gets what is here.
    pub(super) fn read_remote(&mut self, now: Time, mut fetch: RemoteFetch, out: &mut Outputs) {
        let found = fetch.found.remote.iter().filter_map(|read| self.find_remote(read).ok());
        let bytes = found.flatten().map(|batch| batch.size() as u64).sum();
        let done = self.work.use_remote(now, bytes, &self.config.costs);
        let until = done.min(now + self.config.remote_fetch_wait_max);
        fetch.in_time = until == done;
        self.work.start(until, Job::RemoteFetch(Box::new(fetch)), out);
    }

    pub(super) fn remote_fetched(&mut self, now: Time, fetch: RemoteFetch, out: &mut Outputs) {
        let RemoteFetch { from, correlation, message, mut found, in_time } = fetch;
        for read in std::mem::take(&mut found.remote) {
            let serving = self.replicas.get(&read.key).filter(|replica| in_time && !replica.is_offline());
            let Some(replica) = serving else { continue };
            match self.find_remote(&read) {
                Ok(batches) => {
                    if let (Some(first), Some(last)) = (batches.first(), batches.last()) {
                        let (partition, leader_epoch) = (replica.name.clone(), last.leader_epoch);
                        let (first_offset, last_offset) = (first.base_offset, last.last_offset());
                        out.note(NoteKind::RemoteRead { partition, first_offset, last_offset, leader_epoch });
                    }
                    if message.isolation_level == READ_COMMITTED
                        && let Some(data) = found.response.responses.iter_mut().flat_map(|topic| &mut topic.partitions).nth(read.place)
                    {
                        data.aborted_transactions = Some(aborted_transactions(replica, read.offset, &batches));
                    }
                    found.batches[read.place] = batches;
                }
                Err(error) => {
                    let mut answers = found.response.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
                    if let Some(data) = answers.nth(read.place) {
                        data.error_code = error.code();
                    }
                }
            }
        }
        self.answer_fetch(now, from, correlation, &message, found, out);
    }

    /// What a read finds in the remote store: as much as fits, of one segment.
    pub(super) fn find_remote(&self, read: &RemoteRead) -> Result<Vec<Batch>, ErrorCode> {
        let replica = self.replicas.get(&read.key).ok_or(ErrorCode::NotLeaderOrFollower)?;
        let held = self.remote.get(&read.key).and_then(|remote| remote.batches(&replica.log, read.offset));
        let (batches, _) = held.ok_or(ErrorCode::OffsetOutOfRange)?;
        let mut bytes = 0;
        let fits = |batch: &&Batch| {
            let is_first = bytes == 0;
            bytes += batch.size();
            bytes <= read.most || is_first && read.first
        };
        Ok(batches.take_while(fits).cloned().collect())
    }

    /// Asks the remote store for the epochs of what is before a leader's local log.
    pub(super) fn ask_epochs(&mut self, now: Time, leader: i32, behind: Behind, out: &mut Outputs) {
        let until = self.work.use_remote(now, 0, &self.config.costs);
        self.work.start(until, Job::Remote(RemoteJob::Epochs { leader, behind }), out);
    }

    fn start_behind_remote(&mut self, now: Time, leader: i32, behind: &Behind, out: &mut Outputs) {
        let Some(replica) = self.replicas.get_mut(&behind.key).filter(|replica| replica.log.config().remote) else { return };
        if self.fetchers.get(&leader).is_none_or(|fetcher| !fetcher.is_in(behind.key, behind.current)) {
            return;
        }
        let known = self.remote.get(&behind.key).and_then(|remote| remote.holding(behind.epoch, behind.local_start - 1));
        let Some(known) = known else { return };
        replica.start_behind_remote(known, behind.log_start, out);
        let aborted =
            self.remote.get(&behind.key).map_or(&[][..], RemoteLog::segments).iter().flat_map(|known| known.aborted.iter().copied());
        replica.log.transactions_mut().learn_aborted(aborted.filter(|ended| ended.last_offset < known.end));
        self.moved.insert(behind.key);
        self.fetch_undelayed(now, leader, behind.key, out);
    }
}
