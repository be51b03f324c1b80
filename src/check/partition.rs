//! The invariants of one partition's replicas.

use super::committed::{Committed, same};
use super::compaction::Compaction;
use super::metadata::MetadataCheck;
use super::sequences::{SequenceCheck, known_as_written};
use super::transactions::{News, TransactionCheck};
use super::{Verdict, decided, has_eligible_leaders, replica};
use crate::node::{Partition, UncleanReason};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::Batch;
use crate::protocol::metadata::PartitionState;
use crate::replica::effective_min_insync;
use crate::sim::World;
use crate::storage::Log;
use uuid::Uuid;

#[derive(Clone, Debug, Default)]
pub struct PartitionCheck {
    /// The id of its topic, once the controller has spoken of the partition.
    topic: Option<Uuid>,
    committed: Committed,
    /// Who may lead if nobody is in sync, as it was told last: the metadata may be further.
    eligible: Vec<i32>,
    compaction: Compaction,
    sequences: SequenceCheck,
    transactions: TransactionCheck,
    /// A replica has lost records with its machine's power, or was elected without having all: what was committed may be gone.
    unclean: bool,
    leader_epoch: Option<i32>,
    /// What the controller decided last.
    decided: Option<PartitionState>,
    /// Who appended as the leader of each epoch.
    appenders: OrderedMap<i32, i32>,
    /// The end of each broker's log, as its notes tell it.
    ends: OrderedMap<i32, i64>,
    /// How far each running broker knows the log to be committed.
    high_watermarks: OrderedMap<i32, i64>,
    /// Brokers whose disk was taken away and that have not appended since.
    emptied: OrderedSet<i32>,
    /// The latest log start offset that each broker has told.
    starts: OrderedMap<i32, i64>,
    /// Where logs may start: retention or an admin's request let go what is before.
    start_max: i64,
    /// Whose retention has just let segments go.
    retained: Option<i32>,
    /// How far partitions of this name were committed whose topics are deleted: clients may still speak of those.
    former_end: i64,
    /// How far those were compacted.
    former_compacted: i64,
}

impl PartitionCheck {
    /// The first offset that is not committed, nor was in a deleted partition of this name: what clients say cannot be told apart.
    pub fn committed_end(&self) -> i64 {
        self.committed.end().max(self.former_end)
    }

    /// Its topic is deleted: a partition of this name is another one from now on.
    pub fn deleted(&mut self) {
        let former_end = if self.unclean { i64::MAX } else { self.committed_end() };
        *self = PartitionCheck { former_end, former_compacted: self.compacted_end(), ..PartitionCheck::default() };
    }

    /// Whether the metadata, which has this topic under the name now, speaks of another one than what is checked here.
    pub fn is_former(&mut self, named: Option<Uuid>) -> bool {
        self.topic = self.topic.or(named);
        self.topic != named
    }

    /// A leader that has not heard yet that the topic is deleted goes on.
    pub fn advanced_after_deletion(&mut self, to: i64) {
        self.former_end = self.former_end.max(to);
    }

    /// Nor does its cleaner stand still.
    pub fn compacted_after_deletion(&mut self, to: i64) {
        self.former_compacted = self.former_compacted.max(to);
    }

    /// No replica's log has gaps from here on, nor had one of a deleted partition of this name.
    pub fn compacted_end(&self) -> i64 {
        self.compaction.end().max(self.former_compacted)
    }

    /// Whether a batch's transaction was aborted.
    pub fn is_aborted(&self, batch: &Batch) -> bool {
        self.transactions.is_aborted(batch)
    }

    /// Whether a batch's transaction is open or was aborted.
    pub fn is_uncommitted(&self, batch: &Batch) -> bool {
        !self.transactions.is_hidden(batch, false) && self.transactions.is_hidden(batch, true)
    }

    /// Where a gap ends that has nothing in it that a consumer sees. What a leader wrote that had not heard of the topic's end is not known.
    pub fn end_of_hidden(&self, from: i64, reads_committed: bool) -> i64 {
        if self.committed.end() <= from && from < self.former_end {
            return self.former_end;
        }
        self.transactions.end_of_hidden(&self.committed, from, reads_committed)
    }

    /// T6, where nothing was compacted and all of it is of this topic.
    pub fn delivered(&self, name: &Partition, range: (i64, i64), records: i32, reads_committed: bool) -> Verdict {
        if self.unclean || self.former_end != 0 || range.0 < self.compacted_end() {
            return Ok(());
        }
        self.transactions.delivered(name, &self.committed, range, records, reads_committed)
    }

    /// What has happened of transactions.
    pub fn take_news(&mut self) -> Vec<News> {
        self.transactions.take_news()
    }

    /// Whether nothing is promised about committed records any more.
    pub fn is_unclean(&self) -> bool {
        self.unclean
    }

    /// A replica's log ends earlier after a loss of power.
    pub fn lost(&mut self, broker: i32, end: i64) {
        self.unclean = true;
        self.sequences.forget(broker);
        self.ends.insert(broker, end);
    }

    /// A broker has no replica any more. One that it gets later begins anew.
    pub fn log_deleted(&mut self, broker: i32) {
        self.ends.remove(&broker);
        self.sequences.forget(broker);
        self.high_watermarks.remove(&broker);
    }

    /// A broker is gone with its disk. Whoever comes in its place has nothing; what was committed is lost if nobody else was in sync.
    pub fn removed(&mut self, world: &World, name: &Partition, broker: i32) {
        self.unclean |= decided(world, name).is_some_and(|state| state.isr.contains(&broker));
        self.emptied.insert(broker);
        self.log_deleted(broker);
    }

    /// Somebody leads who was not in sync. Returns how many committed records it lacks, as far as that is known. The last known leader may lack none:
    /// nobody else has led since.
    pub fn elected_uncleanly(&mut self, world: &World, name: &Partition, leader: i32, reason: UncleanReason) -> u64 {
        let held = replica(world, name, leader);
        let end = held.map_or(0, |replica| replica.log.end_offset());
        let lost = if self.unclean { 0 } else { (self.committed.end() - end).max(0) as u64 };
        let lacks = 0 < lost || held.is_some_and(|replica| self.parting(&replica.log, self.start(leader)).is_some());
        self.unclean |= reason != UncleanReason::LastKnownLeader || lacks;
        lost
    }

    /// A move is taken back. Where none of the old replicas was in sync one of them leads all the same, uncleanly, or cleanly when it comes.
    pub fn reverted(&mut self, replicas: &[i32]) {
        self.unclean |= self.decided.as_ref().is_some_and(|before| !replicas.iter().any(|replica| before.isr.contains(replica)));
    }

    /// Whether it may lead, by what the controller decided before.
    pub fn was_eligible(&self, broker: i32) -> bool {
        self.decided.as_ref().is_some_and(|state| state.elr.contains(&broker))
    }

    /// R14: an eligible leader replica holds everything that is committed, unless its disk was taken away: that is noticed when it comes back.
    pub fn eligible(&mut self, world: &World, name: &Partition, elr: &[i32]) -> Verdict {
        self.eligible = elr.to_vec();
        self.epochs_rise(world, name)?;
        // What a quorum commits at once is told one by one, and the metadata has the last word of it already, of an unclean election perhaps: what is told counts.
        let has_disk = |member: &&i32| world.broker(**member).is_some() && !self.emptied.contains(*member);
        for member in elr.iter().filter(|_| !self.unclean).filter(has_disk) {
            let held = replica(world, name, *member);
            let lacks = held.map_or(0 < self.committed.end(), |replica| self.parting(&replica.log, self.start(*member)).is_some());
            if lacks {
                return Err(("R14", format!("broker {member} is eligible to lead {name} and lacks what is committed")));
            }
        }
        Ok(())
    }

    pub fn is_eligible(&self, broker: i32) -> bool {
        self.eligible.contains(&broker)
    }

    /// What is left of a high watermark is the one that was last written to disk.
    pub fn crashed(&mut self, broker: i32) {
        self.sequences.forget(broker);
        self.high_watermarks.remove(&broker);
    }

    /// R1: epochs rise. R7: the leader is in the ISR. R9: it holds everything that is committed.
    pub fn elected(&mut self, world: &World, name: &Partition, leader: Option<i32>, leader_epoch: i32) -> Verdict {
        if self.leader_epoch.is_some_and(|before| leader_epoch <= before) {
            return Err(("R1", format!("{name} got leader epoch {leader_epoch} after {:?}", self.leader_epoch)));
        }
        self.leader_epoch = Some(leader_epoch);
        self.epochs_rise(world, name)?;
        let Some(leader) = leader.filter(|_| !self.unclean) else { return Ok(()) };
        // A broker that has not heard of the topic yet has an empty log.
        let held = replica(world, name, leader);
        let end = held.map_or(0, |replica| replica.log.end_offset());
        if end < self.committed.end() {
            let committed = self.committed.end();
            return Err(("R9", format!("broker {leader} was elected to lead {name} with a log to {end}, and {committed} is committed")));
        }
        match held.and_then(|replica| self.parting(&replica.log, self.start(leader))) {
            Some(offset) => {
                Err(("R9", format!("broker {leader} was elected to lead {name} and holds something else at committed offset {offset}")))
            }
            None => Ok(()),
        }
    }

    /// R1, R7.
    pub fn isr_changed(&mut self, world: &World, name: &Partition) -> Verdict {
        self.epochs_rise(world, name)
    }

    /// R1, R7, R11: a leader asks for every ISR that grows. R13: who joins the ISR holds everything that is committed, and the leader's epoch from its start.
    pub fn isr_grew(&mut self, world: &World, name: &Partition, partition_epoch: i32, isr: &[i32], added: &[i32]) -> Verdict {
        self.epochs_rise(world, name)?;
        let Some(state) = decided(world, name) else { return Ok(()) };
        let asker =
            state.leader.and_then(|leader| replica(world, name, leader)?.leader()).filter(|asker| asker.epoch == state.leader_epoch);
        // What a quorum commits at once is told one by one, and the metadata has the last word of it already: what is told counts.
        if let Some(asker) = asker
            && (asker.partition_epoch + 1 != partition_epoch || asker.pending_isr.as_deref() != Some(isr))
        {
            let told = format!(
                "the ISR of {name} became {isr:?} in partition epoch {partition_epoch}; its leader knows epoch {} and asks for {:?}",
                asker.partition_epoch, asker.pending_isr
            );
            return Err(("R11", told));
        }
        let start = state
            .leader
            .and_then(|leader| replica(world, name, leader))
            .and_then(|leader| leader.log.epochs().iter().find(|epoch| epoch.epoch == state.leader_epoch).map(|epoch| epoch.start));
        let needed = if self.unclean { 0 } else { self.committed.end().max(start.unwrap_or(0)) };
        for broker in added {
            let end = replica(world, name, *broker).map_or(0, |replica| replica.log.end_offset());
            if end < needed && self.emptied.contains(broker) {
                // It was in sync when the leader asked for this, and went before the controller knew.
                self.unclean = true;
            } else if end < needed {
                return Err(("R13", format!("broker {broker} joined the ISR of {name} with a log to {end} where {needed} is needed")));
            }
        }
        Ok(())
    }

    fn epochs_rise(&mut self, world: &World, name: &Partition) -> Verdict {
        let Some(state) = decided(world, name) else { return Ok(()) };
        let cleared = |before: &PartitionState| PartitionState { elr: Vec::new(), last_known_elr: Vec::new(), ..before.clone() };
        if let Some(before) = self.decided.replace(state.clone()).filter(|before| before != state)
            && state.partition_epoch <= before.partition_epoch
            // A change of min.insync.replicas raises no epoch.
            && cleared(&before) != *state
        {
            return Err((
                "R1",
                format!("{name} was changed in partition epoch {}, after {}", state.partition_epoch, before.partition_epoch),
            ));
        }
        if state.leader.is_some_and(|leader| !state.isr.contains(&leader)) {
            return Err(("R7", format!("the leader {:?} of {name} is not in its ISR {:?}", state.leader, state.isr)));
        }
        if state.recovering && 1 < state.isr.len() {
            return Err(("R7", format!("{name} recovers from an unclean election, with the ISR {:?}", state.isr)));
        }
        let may_be_empty = state.leader.is_none() && has_eligible_leaders(world);
        if state.isr.is_empty() && !may_be_empty || state.isr.iter().any(|member| !state.replicas.contains(member)) {
            return Err(("R7", format!("the ISR {:?} of {name} is not among its replicas {:?}, or empty", state.isr, state.replicas)));
        }
        self.eligible_rightly(world, name, state)
    }

    /// R14: nobody is eligible while the ISR has its minimum, for then the high watermark moves without those who are not in it.
    fn eligible_rightly(&self, world: &World, name: &Partition, state: &PartitionState) -> Verdict {
        if state.elr.is_empty() {
            return Ok(());
        }
        let topic = world.controller().image().topic(&name.topic);
        let setting = world.active_controller().zip(topic).map(|(active, topic)| topic.min_insync(active.min_insync_replicas()));
        let is_full = setting.is_some_and(|setting| effective_min_insync(setting, state.replicas.len()) <= state.isr.len());
        if is_full || state.elr.iter().any(|member| state.isr.contains(member) || !state.replicas.contains(member)) {
            let told = format!(
                "{:?} may lead {name}, with the ISR {:?} of {:?} and a minimum of {setting:?}",
                state.elr, state.isr, state.replicas
            );
            return Err(("R14", told));
        }
        Ok(())
    }

    /// R2: one appender for each epoch, and no epoch that the controller has not given. R3: appended at the end, epochs in order.
    pub fn appended(
        &mut self,
        world: &World,
        name: &Partition,
        broker: i32,
        (base, last): (i64, i64),
        leader_epoch: i32,
        leader: bool,
    ) -> Verdict {
        let end = self.ends.insert(broker, last + 1).unwrap_or(0);
        self.emptied.remove(&broker);
        // A follower copies the gaps that compaction has left in its leader's log.
        let is_gap = !leader && end < base && base <= self.compaction.end();
        if base != end && !is_gap {
            return Err(("R3", format!("broker {broker} appended offset {base} of {name} to a log that ended at {end}")));
        }
        self.unclean |= !leader && self.is_torn_by_compaction(world, name, broker, end);
        let is_first = leader && !self.appenders.contains_key(&leader_epoch);
        if leader {
            let appender = *self.appenders.or_insert_with(leader_epoch, || broker);
            if appender != broker {
                return Err(("R2", format!("brokers {appender} and {broker} both appended to {name} as leaders of epoch {leader_epoch}")));
            }
        }
        if decided(world, name).is_some_and(|state| state.leader_epoch < leader_epoch) {
            return Err(("R2", format!("broker {broker} appended to {name} in epoch {leader_epoch}, which the controller has not given")));
        }
        let epochs = replica(world, name, broker).map_or(&[][..], |replica| replica.log.epochs());
        if !epochs.is_sorted_by_key(|epoch| (epoch.epoch, epoch.start)) {
            return Err(("R3", format!("the epochs in broker {broker}'s log of {name} are out of order")));
        }
        let Some(own) = replica(world, name, broker).filter(|_| self.compacted_end() == 0) else { return Ok(()) };
        if is_first {
            known_as_written(name, broker, &own.log)?;
        }
        match own.log.batches_from(base).next().filter(|batch| batch.base_offset == base) {
            Some(batch) => self.sequences.appended(name, broker, batch),
            None => Ok(()),
        }
    }

    /// Whether a follower keeps what nobody else has and goes on behind it: where an epoch's first records were compacted, a leader that copied what is
    /// left of them takes the epoch for younger than it is, and cannot tell the follower to truncate (as Kafka's `LeaderEpochFileCache`, which learns
    /// epochs from batches).
    fn is_torn_by_compaction(&self, world: &World, name: &Partition, broker: i32, end: i64) -> bool {
        let Some(own) = replica(world, name, broker).filter(|_| end <= self.compaction.end()) else { return false };
        let held = own.log.batches_from(end - 1).next().filter(|held| held.next_offset() == end);
        let committed = self.committed.from(end - 1).first();
        held.zip(committed).is_some_and(|(held, committed)| committed.base_offset < end && held.leader_epoch != committed.leader_epoch)
    }

    /// R5: within the log. R11: a leader that was replaced completes nothing that its successor, once it leads, does not have. R6: a leader's high watermark lies within the log of every member of the controller's ISR. R8: not below the
    /// minimum ISR. A follower knows no more than is committed.
    pub fn advanced(&mut self, world: &World, name: &Partition, broker: i32, to: i64, leader: bool) -> Verdict {
        self.high_watermarks.insert(broker, to);
        let Some(own) = replica(world, name, broker) else { return Ok(()) };
        if own.log.end_offset() < to {
            return Err((
                "R5",
                format!("broker {broker}'s high watermark of {name} is {to}, beyond its log's end {}", own.log.end_offset()),
            ));
        }
        if self.unclean {
            return Ok(());
        }
        if !leader {
            let end = self.committed.end();
            let told = || format!("broker {broker} follows {name} with high watermark {to}, and {end} is committed");
            return if to <= end { Ok(()) } else { Err(("R5", told())) };
        }
        // A broker that stood still does much at once: it may have led, and lead no more.
        let Some(role) = own.leader() else {
            self.committed.extend(&own.log, to);
            self.transactions.extended(&self.committed);
            return Ok(());
        };
        let told = world.broker(broker).and_then(|(known, _)| known.min_insync_of(&name.topic));
        if let Some(told) = told.map(|told| effective_min_insync(told, role.replicas())).filter(|told| *told != role.min_insync()) {
            let sentence = format!("broker {broker} leads {name} with a minimum ISR of {} where the topic says {told}", role.min_insync());
            return Err(("R8", sentence));
        }
        if role.is_under_min_isr() {
            return Err(("R8", format!("broker {broker} advanced the high watermark of {name} to {to} below the minimum ISR")));
        }
        MetadataCheck::led(world, name, broker, own)?;
        if let Some(state) = decided(world, name)
            && let Some(new) = state.leader.filter(|_| role.epoch < state.leader_epoch)
            && let Some(leads) = replica(world, name, new).and_then(|replica| replica.leader())
            && leads.epoch == state.leader_epoch
            && leads.epoch_start < to
        {
            let (old, epoch, start) = (role.epoch, leads.epoch, leads.epoch_start);
            let told = format!(
                "broker {broker} advanced the high watermark of {name} to {to} in epoch {old}; broker {new} leads from {start} on in epoch {epoch}"
            );
            return Err(("R11", told));
        }
        let from = self.committed.end();
        self.committed.extend(&own.log, to);
        self.transactions.extended(&self.committed);
        self.transactions.is_stable_rightly(name, broker, own, &self.committed)?;
        if self.committed.end() < to {
            return Err(("R5", format!("broker {broker}'s high watermark {to} of {name} lies within a batch")));
        }
        let Some(state) = decided(world, name) else { return Ok(()) };
        // A leader that was replaced may not have heard of it, and may still advance by what followers told it before.
        let members = if state.leader_epoch == role.epoch { &state.isr[..] } else { &[] };
        for member in members {
            let parting = match replica(world, name, *member) {
                Some(held) => self.parting(&held.log, from),
                None => Some(from),
            };
            if let Some(offset) = parting {
                let told = format!(
                    "broker {broker} advanced the high watermark of {name} to {to}; broker {member} of the ISR lacks offset {offset}"
                );
                return Err(("R6", told));
            }
        }
        Ok(())
    }

    fn parting(&self, log: &Log, from: i64) -> Option<i64> {
        self.compaction.parting(&self.committed, log, from)
    }

    /// L1: compaction stays below the high watermark, and of each key the last value survives it.
    pub fn compacted(&mut self, world: &World, name: &Partition, broker: i32, to: i64, now_ms: i64) -> Verdict {
        let Some(own) = replica(world, name, broker) else { return Ok(()) };
        if own.high_watermark() < to {
            let known = own.high_watermark();
            return Err(("L1", format!("broker {broker} compacted {name} up to {to}, above its high watermark {known}")));
        }
        if self.unclean {
            self.compaction.compacted_unclean(to);
            return Ok(());
        }
        match self.compaction.compacted(&self.committed, &self.transactions, &own.log, to, now_ms) {
            Some(offset) => Err(("L1", format!("broker {broker} compacted {name} up to {to} and lost or changed offset {offset}"))),
            None => Ok(()),
        }
    }

    /// The latest offset that a broker's log has started at. A crash may take the start back; what was let go is gone all the same.
    fn start(&self, broker: i32) -> i64 {
        self.starts.get(&broker).copied().unwrap_or(0)
    }

    /// The latest offset that any log has started at.
    pub fn latest_start(&self) -> i64 {
        self.starts.values().copied().max().unwrap_or(0)
    }

    /// What is committed from an offset on.
    pub fn committed_from(&self, offset: i64) -> &[Batch] {
        self.committed.from(offset)
    }

    /// A broker's retention let segments go.
    pub fn segments_deleted(&mut self, broker: i32) {
        self.retained = Some(broker);
    }

    /// An admin lets go what is before this offset.
    pub fn records_deleted(&mut self, before: i64) {
        self.start_max = self.start_max.max(before);
    }

    /// L2: an admin who is told that records are gone is told so when no live replica has them to read any more.
    pub fn low_watermark_reached(&self, world: &World, name: &Partition, leader: i32, offset: i64) -> Verdict {
        let (Some((told, _)), Some(own)) = (world.broker(leader), replica(world, name, leader)) else { return Ok(()) };
        let is_live = |broker: &i32| told.image().brokers.get(broker).is_some_and(|known| !known.fenced);
        let followers = told.image().topic(&name.topic).and_then(|topic| topic.partitions.get(usize::try_from(name.index).ok()?));
        let mut followers = followers.iter().flat_map(|state| &state.replicas).filter(|broker| **broker != leader && is_live(broker));
        match followers.find(|broker| self.start(**broker) < offset) {
            Some(behind) => {
                let start = self.start(*behind);
                let sentence = format!("the low watermark of {name} was said to be {offset}, and broker {behind}'s log starts at {start}");
                Err(("L2", sentence))
            }
            None if own.log.start_offset() < offset => {
                Err(("L2", format!("the low watermark {offset} of {name} is above the leader's log start")))
            }
            None => Ok(()),
        }
    }

    /// Where every replica's log starts that is there: what is below is nowhere to be read. Known to be 0 as long as nothing was let go.
    pub fn low_watermark(&self, world: &World, name: &Partition) -> i64 {
        if self.start_max == 0 || self.unclean {
            return 0;
        }
        let Some(state) = decided(world, name) else { return 0 };
        let start = |broker: &i32| replica(world, name, *broker).map_or(0, |replica| replica.log.start_offset());
        state.replicas.iter().map(start).min().unwrap_or(0)
    }

    /// L2: a log start offset only rises, for a reason, and never above what is committed or above the replica's own high watermark.
    pub fn log_start_moved(&mut self, world: &World, name: &Partition, broker: i32, from: i64, to: i64) -> Verdict {
        let start = self.starts.or_insert_with(broker, || 0);
        *start = to.max(*start);
        // A leader's total retention counts what is in the remote store, too; what is to stay there is L4's business.
        let tiers = replica(world, name, broker).is_some_and(|own| own.leader().is_some() && own.log.config().remote);
        if self.retained.take() == Some(broker) || tiers {
            self.start_max = self.start_max.max(to);
        }
        if self.start_max < to {
            let told = format!("broker {broker}'s log of {name} starts at {to}, and nobody let go what is from {} on", self.start_max);
            return Err(("L2", told));
        }
        // A follower that was too far behind starts anew there.
        let end = self.ends.or_insert_with(broker, || 0);
        if *end < to {
            self.sequences.forget(broker);
        }
        *end = to.max(*end);
        let known = replica(world, name, broker).map_or(to, |own| own.high_watermark());
        let limit = if self.unclean { known } else { known.min(self.committed.end()) };
        if to <= from || limit < to {
            return Err((
                "L2",
                format!("broker {broker}'s log start of {name} went from {from} to {to}, where {limit} is known to be committed"),
            ));
        }
        Ok(())
    }

    /// A follower goes on behind what is only in the remote store.
    pub fn remote_state_built(&mut self, broker: i32, local_start: i64) {
        self.sequences.forget(broker);
        self.ends.insert(broker, local_start);
    }

    /// R12: what a follower knows to be committed is never cut off, if it is to be read at all.
    pub fn truncated(&mut self, name: &Partition, broker: i32, to: i64) -> Verdict {
        self.ends.insert(broker, to);
        self.sequences.forget(broker);
        let known = self.high_watermarks.get(&broker).copied().unwrap_or(0).min(self.committed.end());
        if to < known && self.start(broker) < known && !self.unclean {
            return Err(("R12", format!("broker {broker} cut its log of {name} back to {to}, below its high watermark {known}")));
        }
        Ok(())
    }

    /// R9: acks=all is answered when every in-sync replica has the records.
    pub fn acknowledged(&mut self, name: &Partition, base: i64, records: i32, acks: i16) -> Verdict {
        let last = base + i64::from(records) - 1;
        if self.unclean {
            return Ok(());
        }
        let end = self.committed_end();
        if acks == -1 && end <= last {
            return Err(("R9", format!("offset {last} of {name} was acknowledged with acks=all, and {end} is committed")));
        }
        Ok(())
    }

    /// R4: logs that hold a batch of one epoch and offset hold the same one, where they are not compacted. R3: the epoch cache is what the log says. R6 again, whole.
    pub fn in_full(&self, world: &World, name: &Partition) -> Verdict {
        let Some(state) = decided(world, name) else { return Ok(()) };
        let logs: Vec<(i32, &Log)> =
            state.replicas.iter().filter_map(|broker| Some((*broker, &replica(world, name, *broker)?.log))).collect();
        for (broker, log) in &logs {
            let mut epoch = -1;
            let local_start = log.local_start_offset();
            let mut was_known = true;
            for batch in log.batches_from(local_start) {
                // What lies before a log's start, or did before a crash, may be of epochs that it has forgotten, and parts from a leader without.
                let is_known = self.start(*broker) <= batch.base_offset;
                if batch.leader_epoch < epoch && was_known {
                    return Err((
                        "R3",
                        format!("broker {broker}'s log of {name} goes back to epoch {} at {}", batch.leader_epoch, batch.base_offset),
                    ));
                }
                let begins = |start: i64| {
                    // Where the epoch begins may be compacted, or only in the remote store.
                    let hidden = self.compaction.end().max(if local_start == log.start_offset() { 0 } else { local_start + 1 });
                    start == batch.base_offset || start < batch.base_offset && batch.base_offset < hidden
                };
                let starts = log.epochs().iter().any(|known| known.epoch == batch.leader_epoch && begins(known.start));
                if epoch < batch.leader_epoch && !starts && is_known {
                    return Err((
                        "R3",
                        format!(
                            "broker {broker} does not know that epoch {} of {name} starts at {}",
                            batch.leader_epoch, batch.base_offset
                        ),
                    ));
                }
                (epoch, was_known) = (batch.leader_epoch, is_known);
            }
        }
        for (broker, log) in logs.iter().filter(|_| self.compacted_end() == 0) {
            known_as_written(name, *broker, log)?;
        }
        for pair in logs.windows(2) {
            let [(one, first), (other, second)] = pair else { continue };
            let start =
                [self.start(*one), self.start(*other), first.local_start_offset(), second.local_start_offset(), self.compaction.end()];
            let start = start.into_iter().fold(0, i64::max);
            for (a, b) in first.batches_from(start).zip(second.batches_from(start)) {
                if a.leader_epoch == b.leader_epoch && !same(a, b) {
                    return Err((
                        "R4",
                        format!("brokers {one} and {other} hold other batches of {name} at {} in one epoch", a.base_offset),
                    ));
                }
            }
        }
        for member in state.isr.iter().filter(|_| !self.unclean) {
            // What was let go is promised no more, also where a crash brought it back.
            let parting = logs.iter().find(|(broker, _)| broker == member).and_then(|(_, log)| self.parting(log, self.start_max));
            if let Some(offset) = parting {
                return Err(("R6", format!("broker {member} is in the ISR of {name} and lacks committed offset {offset}")));
            }
        }
        Ok(())
    }
}
