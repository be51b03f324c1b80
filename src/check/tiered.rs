//! L4: tiered storage. Only what is committed is copied to the remote store, and every offset from the log start on is local or there, as it was
//! written: local and total retention never open a gap, and what belongs to no epoch of the leader's log is not served.

use super::Verdict;
use super::committed::same;
use super::partition::PartitionCheck;
use super::{decided, replica};
use crate::node::Partition;
use crate::replica::{PartitionKey, Replica};
use crate::sim::World;
use crate::storage::RemoteLog;
use crate::storage::remote::RemoteState;

impl PartitionCheck {
    /// A leader copies a segment.
    pub fn remote_copy_started(&self, world: &World, name: &Partition, broker: i32, last: i64) -> Verdict {
        let known = replica(world, name, broker).map_or(last + 1, Replica::high_watermark);
        let limit = if self.is_unclean() { known } else { known.min(self.committed_end()) };
        let told = || format!("broker {broker} copies {name} up to {last} to the remote store, and {limit} is known to be committed");
        if last < limit { Ok(()) } else { Err(("L4", told())) }
    }

    /// It has: the store holds what is committed.
    pub fn remote_copy_finished(&self, world: &World, name: &Partition, (base, last): (i64, i64)) -> Verdict {
        let Some(remote) = remote_log(world, name).filter(|_| !self.is_unclean()) else { return Ok(()) };
        let copied = remote.segments().iter().rev().find(|known| known.base_offset() == base && known.end == last + 1);
        let Some(copied) = copied.filter(|known| known.state == RemoteState::CopyFinished) else { return Ok(()) };
        let mut committed = self.committed_from(base).iter();
        match copied.segment.batches().find(|batch| committed.next().is_none_or(|known| !same(batch, known))) {
            Some(parting) => {
                Err(("L4", format!("the remote store has something else of {name} at committed offset {}", parting.base_offset)))
            }
            None => Ok(()),
        }
    }

    /// A replica has let local segments go, or a leader remote ones.
    pub fn tier_deleted(&mut self, world: &World, name: &Partition, broker: i32) -> Verdict {
        let Some(own) = replica(world, name, broker) else { return Ok(()) };
        // An unclean leader deletes remotely what its log does not have; who has not heard of it goes by what was there.
        let leads = decided(world, name).is_some_and(|state| state.leader == Some(broker));
        if self.is_unclean() && !leads {
            return Ok(());
        }
        self.readable(world, name, own)
    }

    /// Records were read from the remote store for a consumer, the last of them of this epoch.
    pub fn remote_read(&self, world: &World, name: &Partition, broker: i32, last: i64, leader_epoch: i32) -> Verdict {
        let epoch = replica(world, name, broker).and_then(|own| own.log.epoch_at(last));
        let told = || format!("broker {broker} served offset {last} of {name} of epoch {leader_epoch}, where its log has {epoch:?}");
        if epoch == Some(leader_epoch) { Ok(()) } else { Err(("L4", told())) }
    }

    /// In the end leaders serve everything.
    pub fn tiers_in_full(&self, world: &World, name: &Partition) -> Verdict {
        let leader = decided(world, name).and_then(|state| state.leader).and_then(|leader| replica(world, name, leader));
        leader.map_or(Ok(()), |own| self.readable(world, name, own))
    }

    fn readable(&self, world: &World, name: &Partition, own: &Replica) -> Verdict {
        // Nobody has to keep what any log starts behind of: the others hear of that, and a crash may take a start back that was not written to disk.
        let start = self.latest_start().max(own.log.start_offset());
        let limit = own.log.local_start_offset();
        let remote = remote_log(world, name).map_or_else(Vec::new, |remote| remote.all_batches(&own.log, start, limit));
        let (mut next, mut committed) = (start, self.committed_from(start).iter());
        for batch in remote {
            let is_next = batch.base_offset <= next && next < batch.next_offset();
            let is_own = own.log.epoch_at(batch.base_offset.max(start)) == Some(batch.leader_epoch);
            let is_committed = self.is_unclean() || committed.next().is_some_and(|known| same(batch, known));
            if !is_next || !is_own || !is_committed {
                break;
            }
            next = batch.next_offset();
        }
        let told = || format!("a log of {name} has only what is from {limit} on, and the remote store lacks or changed offset {next}");
        if limit <= next { Ok(()) } else { Err(("L4", told())) }
    }
}

fn remote_log<'a>(world: &'a World, name: &Partition) -> Option<&'a RemoteLog> {
    let topic = world.controller().image().topic(&name.topic)?.id;
    world.remote().get(&PartitionKey { topic, index: name.index })
}

/// L3: of a deleted topic nothing is left to be read, unless whoever had its logs was taken away.
pub fn deleted_leave_nothing_remote(world: &World) -> Verdict {
    let image = world.controller().image();
    let is_left = |log: &RemoteLog| log.segments().iter().any(|known| known.state != RemoteState::DeleteStarted);
    match world.remote().logs().find(|(key, log)| !image.topics.contains_key(&key.topic) && is_left(log)) {
        Some((key, _)) => Err(("L3", format!("the remote store keeps segments of partition {} of a deleted topic", key.index))),
        None => Ok(()),
    }
}
