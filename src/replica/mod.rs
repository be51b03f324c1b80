//! One partition's replica on one broker, as its leader or as a follower.
//!
//! Owns the high watermark, the leader's view of its followers and of the ISR, and what a follower does with a Fetch response. It must not
//! know connections or requests of clients: the broker decides who may call what. Source: `Partition`, `Replica`, `AbstractFetcherThread`;
//! KIP-101, KIP-279, KIP-497, KIP-841.

mod follower;
mod leader;
mod page_cache;
pub mod purgatory;
mod remote;

pub use remote::RemoteStore;

pub use leader::{Held, Leader, Read, ReadError, effective_min_insync};

use crate::cost::FlushRule;
use crate::mutant;
use crate::node::{NoteKind, Outputs, Partition, Time};
use crate::protocol::Batch;
use crate::protocol::metadata::PartitionState;
use crate::storage::{Compacted, Deleted, Log, RemoteLog};
use page_cache::PageCache;
use uuid::Uuid;

/// A partition by topic id: the same name created again is another topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionKey {
    pub topic: Uuid,
    pub index: i32,
}

/// A replica and what it is now.
#[derive(Clone, Debug)]
pub struct Replica {
    pub name: Partition,
    pub log: Log,
    pub role: Role,
    high_watermark: i64,
    /// What a restart after a crash finds (`replication-offset-checkpoint`).
    checkpoint: i64,
    /// The log start offset that it finds (`log-start-offset-checkpoint`).
    start_checkpoint: i64,
    page_cache: PageCache,
    /// When the log is forced to disk, by the topic's settings.
    pub flush_rule: FlushRule,
    /// Whether it is copied no faster than a quota allows, by the topic's settings.
    pub throttled: Throttled,
    /// As a follower: its last fetch brought all that was committed.
    caught_up: bool,
}

/// On which side the copying of a replica is throttled.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Throttled {
    pub as_leader: bool,
    pub as_follower: bool,
}

#[derive(Clone, Debug)]
pub enum Role {
    /// This broker has not been told yet.
    Offline,
    /// Nobody leads. Consumers may read what is there all the same, as from any follower.
    Leaderless {
        leader_epoch: i32,
    },
    Leader(Leader),
    Follower {
        leader: i32,
        leader_epoch: i32,
    },
}

impl Replica {
    pub fn new(name: Partition) -> Replica {
        Replica {
            name,
            log: Log::default(),
            role: Role::Offline,
            high_watermark: 0,
            checkpoint: 0,
            start_checkpoint: 0,
            page_cache: PageCache::default(),
            flush_rule: FlushRule::default(),
            throttled: Throttled::default(),
            caught_up: false,
        }
    }

    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// What read_committed consumers may read is below.
    pub fn last_stable_offset(&self) -> i64 {
        self.log.last_stable_offset(self.high_watermark)
    }

    pub fn leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    pub fn leader_mut(&mut self) -> Option<&mut Leader> {
        match &mut self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    /// The leader epoch this replica acts in; -1 before its first.
    pub fn leader_epoch(&self) -> i32 {
        match &self.role {
            Role::Offline => self.log.latest_epoch().unwrap_or(-1),
            Role::Leader(leader) => leader.epoch,
            Role::Follower { leader_epoch, .. } | Role::Leaderless { leader_epoch } => *leader_epoch,
        }
    }

    pub fn is_offline(&self) -> bool {
        matches!(self.role, Role::Offline)
    }

    pub fn checkpoint_high_watermark(&mut self) {
        self.checkpoint = self.high_watermark;
    }

    pub fn checkpoint_log_start(&mut self) {
        self.start_checkpoint = self.log.start_offset();
    }

    /// What is left after the process was killed: the log (the page cache is the machine's), and the high watermark and the log start offset last
    /// written.
    pub fn crash(&mut self) {
        if mutant::is("crash-loses-the-newest") {
            self.log.truncate(self.log.end_offset() - 1);
        }
        self.role = Role::Offline;
        self.log.recover_start(self.start_checkpoint);
        self.log.set_remote_end(0);
        // Whatever went here for being copied to the remote store was committed.
        self.high_watermark = self.checkpoint.clamp(self.log.local_start_offset(), self.log.end_offset());
        // What has ended above the high watermark is to be known, too.
        self.log.reload_producers(self.high_watermark);
    }

    /// Takes the role that the controller has decided. Returns whether the role is a new one (another leader or leader epoch).
    pub fn assume(&mut self, now: Time, broker: i32, state: &PartitionState, min_insync: usize) -> bool {
        if state.leader_epoch < self.leader_epoch() {
            return false;
        }
        match (&mut self.role, state.leader) {
            (Role::Leader(leader), Some(id)) if id == broker && leader.epoch == state.leader_epoch => {
                if leader.partition_epoch <= state.partition_epoch {
                    leader.adopt(state.partition_epoch, state.isr.clone());
                    leader.assign(broker, &state.replicas);
                }
                leader.set_min_insync(min_insync);
                false
            }
            (_, Some(id)) if id == broker => {
                self.log.begin_epoch(state.leader_epoch, self.log.end_offset());
                if mutant::is("producers-lost-with-leader") {
                    self.log.expire_producers(i64::MAX, 0);
                }
                let leader = Leader::new(now, broker, state, self.log.end_offset(), min_insync);
                self.role = Role::Leader(match self.leader() {
                    Some(before) => leader.led(now, before),
                    None => leader,
                });
                true
            }
            (Role::Follower { leader, leader_epoch }, Some(id)) if *leader == id && *leader_epoch == state.leader_epoch => false,
            (_, Some(id)) => {
                if mutant::is("truncate-to-high-watermark") {
                    self.log.truncate(self.high_watermark);
                }
                self.role = Role::Follower { leader: id, leader_epoch: state.leader_epoch };
                self.caught_up = false;
                true
            }
            (Role::Leaderless { leader_epoch }, None) if *leader_epoch == state.leader_epoch => false,
            (_, None) => {
                self.role = Role::Leaderless { leader_epoch: state.leader_epoch };
                true
            }
        }
    }

    fn append(&mut self, batch: Batch, leader: bool, now_ms: i64, out: &mut Outputs) {
        let (base_offset, last_offset, leader_epoch) = (batch.base_offset, batch.last_offset(), batch.leader_epoch);
        if let Some(base_offset) = self.log.append(batch, now_ms) {
            out.note(NoteKind::SegmentRolled { partition: self.name.clone(), base_offset });
        }
        out.note(NoteKind::RecordAppended { partition: self.name.clone(), base_offset, last_offset, leader_epoch, leader });
    }

    /// Lets segments go that are old enough; each replica does so on its own. Returns whether the log start offset moved.
    pub fn delete_old_segments(&mut self, now_ms: i64, out: &mut Outputs) -> bool {
        let from = self.log.start_offset();
        for Deleted { reason, segments, bytes } in self.log.delete_old(now_ms, self.high_watermark) {
            out.note(NoteKind::SegmentsDeleted { partition: self.name.clone(), segments, bytes, reason });
        }
        self.note_log_start(from, out)
    }

    /// Takes over what is known of the remote store's copies; a leader also where the log starts there. Returns whether the log start moved.
    pub fn follow_remote(&mut self, remote: &RemoteLog, out: &mut Outputs) -> bool {
        self.log.set_remote_end(remote.copied_end(&self.log));
        self.leader().is_some() && self.raise_log_start(remote.first_offset(&self.log), out)
    }

    /// Compacts the log, if it is due; each replica does so on its own. Returns how many bytes were read and written for it.
    pub fn compact(&mut self, now_ms: i64, out: &mut Outputs) -> Option<u64> {
        let Compacted { from, to, removed, bytes_before, bytes_after } = self.log.compact(now_ms, self.last_stable_offset())?;
        out.note(NoteKind::LogCompacted { partition: self.name.clone(), from, to, removed, bytes_before, bytes_after });
        Some(bytes_before + bytes_after)
    }

    /// Raises the log start offset, never above the high watermark. Returns whether it moved.
    pub fn raise_log_start(&mut self, to: i64, out: &mut Outputs) -> bool {
        let from = self.log.start_offset();
        self.log.raise_start(to.min(self.high_watermark));
        self.note_log_start(from, out)
    }

    fn note_log_start(&self, from: i64, out: &mut Outputs) -> bool {
        let to = self.log.start_offset();
        if from < to {
            out.note(NoteKind::LogStartMoved { partition: self.name.clone(), from, to });
        }
        from < to
    }

    fn set_high_watermark(&mut self, to: i64, out: &mut Outputs) {
        let from = std::mem::replace(&mut self.high_watermark, to);
        self.log.transactions_mut().replicated(to);
        if from < to {
            let leader = self.leader().is_some();
            out.note(NoteKind::HighWatermarkAdvanced { partition: self.name.clone(), from, to, leader });
        }
    }
}
