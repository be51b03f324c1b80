//! Share groups (KIP-932): what becomes of each record.
//!
//! S1: of what one leader hands out no record is with two members at a time, or with one for longer than its lock lasts. (A leader that does not know yet that another leads may hand out what the
//! other does: neither writes that down.) S2: what a group has accepted, or what was archived, and is stored is delivered to nobody again. S3: every
//! delivery is counted, and there are no more than the limit allows. S4: nothing is passed over: a record that lies before the share-partition start offset
//! was handed to an application that did not give it back, or was archived, or delivered as often as may be. S6: a group that reads only what is
//! committed is given nothing else.
//!
//! What a power loss or an unclean leader took from the log, from the states or from the group's own records is beyond these.

use super::partition::PartitionCheck;
use super::spans::Spans;
use super::{Verdict, offsets_partition, replica};
use crate::broker::share::SharePartition;
use crate::coordinator::{SHARE_TOPIC, state_partition};
use crate::node::{NodeId, Partition, SettledBy, TopicName};
use crate::ordered::OrderedMap;
use crate::protocol::Batch;
use crate::protocol::share_records::ShareKey;
use crate::sim::{Application, World};
use std::sync::Arc;
use uuid::Uuid;

/// What is said of a record that goes back, by Kafka's number.
const RELEASE: i8 = 2;
/// `group.share.delivery.count.limit`
const DELIVERIES_MAX: i16 = 5;

/// Records at one leader.
#[derive(Clone, PartialEq, Debug)]
struct Given {
    /// Who has them.
    member: Option<Arc<str>>,
    deliveries: i16,
    is_over: bool,
}

/// What one leader has handed out since it began.
#[derive(Clone, Default, Debug)]
struct Leader {
    epoch: i32,
    given: Spans<Given>,
}

/// One share partition.
#[derive(Clone, Default, Debug)]
struct Known {
    topic: Uuid,
    state_epoch: i32,
    /// Of the leaders that have read the state.
    leader_epoch: i32,
    /// Where the group began, or the newest leader that read the state did; what is before was looked at.
    start: i64,
    leaders: OrderedMap<i32, Leader>,
    /// Accepted or archived, and stored.
    done: Spans<()>,
    /// What may lie before the start for another reason: an application had it, it was delivered as often as may be, or archived and perhaps not stored.
    may_pass: Spans<()>,
    /// The highest limit of deliveries since there are any.
    limit_highest: i16,
    /// Something of it is stored. Until then each leader begins where the log does, or wherever the group's settings say.
    is_stored: bool,
    unclean: bool,
}

#[derive(Clone, Default, Debug)]
pub struct Shares {
    partitions: OrderedMap<(Arc<str>, Partition), Known>,
}

/// A leader's word about records of a share partition.
pub struct Told<'a> {
    pub group: &'a Arc<str>,
    pub member: &'a Arc<str>,
    pub partition: &'a Partition,
    pub range: (i64, i64),
    pub deliveries: i16,
}

impl Shares {
    /// A leader has read the state of a share partition.
    pub fn loaded(
        &mut self,
        world: &World,
        node: NodeId,
        group: &Arc<str>,
        partition: &Partition,
        start: i64,
        partitions: &OrderedMap<Partition, PartitionCheck>,
    ) -> Verdict {
        let is_unclean = |name: &Partition| partitions.get(name).is_some_and(PartitionCheck::is_unclean);
        let Some((broker, topic, own)) = share_partition(world, node, group, partition) else { return Ok(()) };
        let known = self.partitions.or_default((group.clone(), partition.clone()));
        if known.topic != topic {
            *known = Known { topic, state_epoch: own.state_epoch, start, ..Known::default() };
        }
        let key = ShareKey { group: group.clone(), topic, index: partition.index };
        let count = world.controller().image().topic(SHARE_TOPIC).map_or(1, |topic| topic.partitions.len() as i32);
        let state = Partition { topic: Arc::from(SHARE_TOPIC), index: state_partition(&key, count) };
        known.unclean |= is_unclean(partition) || is_unclean(&state) || is_unclean(&offsets_partition(world, group));
        if !known.is_stored {
            known.start = known.start.min(start);
        }
        known.compacted(partitions.get(partition));
        let anew = (known.state_epoch < own.state_epoch)
            .then(|| format!("group {group} begins anew in {partition}, and nobody has asked for that"));
        let is_newest = known.leader_epoch <= own.leader_epoch;
        known.leader_epoch = known.leader_epoch.max(own.leader_epoch);
        known.leaders.insert(broker, Leader { epoch: own.leader_epoch, given: Spans::default() });
        match anew {
            _ if known.unclean || !is_newest => Ok(()),
            Some(told) => Err(("S2", told)),
            None => known.passes_nothing_over(world, broker, group, partition, start, partitions.get(partition)),
        }
    }

    /// A member is given records.
    pub fn acquired(&mut self, world: &World, node: NodeId, told: &Told, log: &PartitionCheck) -> Verdict {
        let Told { group, member, partition, range: (first, last), deliveries } = *told;
        locks_end(world, node, group, partition)?;
        let (NodeId::Broker(broker), Some(known)) = (node, self.known(told)) else { return Ok(()) };
        if !log.is_unclean() && reads_committed(world, broker, group) {
            // Compaction may have left nothing at some of the offsets.
            let mut batches = replica(world, partition, broker).into_iter().flat_map(|own| own.log.batches_from(first));
            if let Some(wrong) =
                batches.find(|batch| last < batch.base_offset || log.is_uncommitted(batch)).filter(|wrong| wrong.base_offset <= last)
            {
                let offset = wrong.base_offset;
                let told = format!(
                    "the leader gives offset {offset} of {partition} to {member} of group {group}: its transaction is not committed"
                );
                return Err(("S6", told));
            }
        }
        let Some(leader) = known.leaders.get_mut(&broker) else { return Ok(()) };
        let what = format!("offsets {first} to {last} of {partition} to {member} of group {group}");
        let limit = limit(world, broker, group);
        for (from, to, given) in leader.given.over(first, last) {
            if let Some(other) = &given.member {
                return Err(("S1", format!("the leader gives {what}, and {other} has {from} to {to}")));
            }
            if given.is_over {
                return Err(("S2", format!("the leader gives {what}, and {from} to {to} are accepted or archived")));
            }
            if deliveries != given.deliveries + 1 {
                let before = given.deliveries;
                return Err(("S3", format!("the leader gives {what} for the {deliveries}th time, and the last was the {before}th")));
            }
        }
        // What was given back under an older limit is not held to a newer one that is lower: only who gives back looks at it.
        known.limit_highest = known.limit_highest.max(limit);
        let limit_highest = known.limit_highest;
        if !(1..=limit_highest).contains(&deliveries) {
            return Err(("S3", format!("the leader gives {what} for the {deliveries}th time, and the limit is {limit_highest}")));
        }
        if leader.epoch == known.leader_epoch && !known.unclean {
            if let Some((from, to, _)) = known.done.over(first, last).next() {
                return Err(("S2", format!("the leader gives {what}, and {from} to {to} are stored as accepted or archived")));
            }
            if first < known.start {
                return Err(("S2", format!("the leader gives {what}, and the group begins at {}", known.start)));
            }
        }
        leader.given.set(first, last, Given { member: Some(member.clone()), deliveries, is_over: false });
        if limit <= deliveries {
            known.may_pass.set(first, last, ());
        }
        Ok(())
    }

    /// What has become of records is stored; what was not acknowledged in time goes back without that.
    pub fn settled(&mut self, node: NodeId, told: &Told, archived: bool, by: SettledBy) {
        let (NodeId::Broker(broker), Some(known)) = (node, self.known(told)) else { return };
        let Some(leader) = known.leaders.get_mut(&broker) else { return };
        let (first, last) = told.range;
        let is_over = archived || by == SettledBy::Accept;
        leader.given.set(first, last, Given { member: None, deliveries: told.deliveries, is_over });
        known.is_stored |= by != SettledBy::LockTimeout;
        match by {
            SettledBy::LockTimeout if is_over => known.may_pass.set(first, last, ()),
            _ if is_over => known.done.set(first, last, ()),
            _ => {}
        }
    }

    /// An application is done with records.
    pub fn delivered(&mut self, world: &World, node: NodeId, partition: &Partition, (first, last): (i64, i64)) {
        let config = match world.client_at(node).map(|client| &client.application) {
            Some(Application::Consumer { consumer, .. }) => consumer.config(),
            _ => return,
        };
        let group = config.group.clone().filter(|_| config.acknowledges_with != RELEASE);
        if let Some(known) = group.and_then(|group| self.partitions.get_mut(&(group, partition.clone()))) {
            known.may_pass.set(first, last, ());
        }
    }

    /// What was before is deleted, even if a replica that comes back after a crash still has it.
    pub fn log_start_moved(&mut self, partition: &Partition, to: i64) {
        for ((_, own), known) in &mut self.partitions {
            if own == partition && known.start < to {
                known.may_pass.set(known.start, to - 1, ());
            }
        }
    }

    pub fn group_deleted(&mut self, group: &str) {
        self.partitions.retain(|(own, _), _| **own != *group);
    }

    pub fn topic_deleted(&mut self, topic: &TopicName) {
        self.partitions.retain(|(_, partition), _| partition.topic != *topic);
    }

    /// An admin may have had a group go on from elsewhere.
    pub fn reset(&mut self) {
        self.partitions.clear();
    }

    /// S1 and S4 of where the leaders are now.
    pub fn in_full(&mut self, world: &World, partitions: &OrderedMap<Partition, PartitionCheck>) -> Verdict {
        for ((group, partition), known) in &mut self.partitions {
            let leader = super::decided(world, partition).and_then(|state| state.leader);
            let check = partitions.get(partition);
            let is_unclean = known.unclean || check.is_some_and(PartitionCheck::is_unclean);
            let Some(broker) = leader.filter(|_| !is_unclean) else { continue };
            known.compacted(check);
            locks_end(world, NodeId::Broker(broker), group, partition)?;
            if let Some((_, topic, own)) = share_partition(world, NodeId::Broker(broker), group, partition)
                && topic == known.topic
                && own.leader_epoch == known.leader_epoch
            {
                known.passes_nothing_over(world, broker, group, partition, own.start_offset(), check)?;
            }
        }
        Ok(())
    }

    fn known(&mut self, told: &Told) -> Option<&mut Known> {
        self.partitions.get_mut(&(told.group.clone(), told.partition.clone()))
    }
}

impl Known {
    /// What a leader's cleaner took was nobody's, even if the next leader, whose cleaner is not so far, still has it.
    fn compacted(&mut self, check: Option<&PartitionCheck>) {
        let end = check.map_or(0, PartitionCheck::compacted_end);
        if self.start < end {
            self.may_pass.set(self.start, end - 1, ());
        }
    }

    /// S4: of what lies before the start nothing was passed over. What is looked at is not looked at again.
    fn passes_nothing_over(
        &mut self,
        world: &World,
        broker: i32,
        group: &str,
        partition: &Partition,
        start: i64,
        check: Option<&PartitionCheck>,
    ) -> Verdict {
        let check = check.filter(|_| reads_committed(world, broker, group));
        let mut at = self.start;
        let mut passed: Vec<(i64, i64)> = Vec::new();
        while at < start {
            let last = start - 1;
            let holds = self.done.over(at, last).chain(self.may_pass.over(at, last)).map(|(from, to, ())| (from, to));
            let (mut next, mut end) = (start, at);
            for (from, to) in holds {
                if from <= at {
                    end = end.max(to + 1);
                } else {
                    next = next.min(from);
                }
            }
            if end == at {
                passed.push((at, next - 1));
                end = next;
            }
            at = end;
        }
        let lost = passed.into_iter().find_map(|range| first_record(world, broker, partition, range, check));
        self.start = self.start.max(start);
        self.done.forget_before(self.start);
        self.may_pass.forget_before(self.start);
        match lost {
            Some(offset) => {
                let told = format!("group {group} goes on from {start} in {partition}, and offset {offset} was nobody's");
                Err(("S4", told))
            }
            None => Ok(()),
        }
    }
}

/// The first record of a range that the leader's log has; `check`: and whose transaction was not aborted.
fn first_record(
    world: &World,
    broker: i32,
    partition: &Partition,
    (first, last): (i64, i64),
    check: Option<&PartitionCheck>,
) -> Option<i64> {
    let log = &replica(world, partition, broker)?.log;
    let first = first.max(log.start_offset());
    let batches = log.batches_from(first).take_while(|batch| batch.base_offset <= last);
    let is_aborted = |batch: &Batch| check.is_some_and(|check| check.is_aborted(batch));
    let batches = batches.filter(|batch| !batch.header().is_ok_and(|header| header.is_control()) && !is_aborted(batch));
    let mut offsets = batches.flat_map(|batch| batch.uncompressed().records().flatten().map(|record| record.offset).collect::<Vec<_>>());
    offsets.find(|offset| (first..=last).contains(offset))
}

/// S1: nobody has a record for longer than its lock lasts. A broker that stood still comes to it with its alarm, which is due then.
fn locks_end(world: &World, node: NodeId, group: &str, partition: &Partition) -> Verdict {
    let over =
        share_partition(world, node, group, partition).and_then(|(broker, _, own)| Some((broker, own.locked_longer_than(world.now())?)));
    let is_due = |broker: i32| world.broker(broker).and_then(|(broker, _)| broker.share_alarm()).is_some_and(|at| at <= world.now());
    match over {
        Some((broker, (first, last))) if !is_due(broker) => {
            Err(("S1", format!("a member of group {group} has {first} to {last} of {partition}, and the lock is over")))
        }
        _ => Ok(()),
    }
}

/// Whether a group gets only what is committed, as far as a broker has heard.
fn reads_committed(world: &World, broker: i32, group: &str) -> bool {
    let own = world.broker(broker).and_then(|(broker, _)| broker.image().group_configs.get(group)?.get("share.isolation.level"));
    own.is_some_and(|level| level.trim() == "read_committed")
}

/// How often a record of a group may be delivered, as far as a broker has heard.
fn limit(world: &World, broker: i32, group: &str) -> i16 {
    let own = world.broker(broker).and_then(|(broker, _)| broker.image().group_configs.get(group)?.get("share.delivery.count.limit"));
    own.and_then(|text| text.trim().parse().ok()).unwrap_or(DELIVERIES_MAX)
}

/// A leader's share partition, with the broker and the topic's id.
fn share_partition<'w>(world: &'w World, node: NodeId, group: &str, partition: &Partition) -> Option<(i32, Uuid, &'w SharePartition)> {
    let NodeId::Broker(broker) = node else { return None };
    let topic = world.controller().image().topic(&partition.topic)?.id;
    let own = world.broker(broker)?.0.share_partition(group, topic, partition.index)?;
    Some((broker, topic, own))
}
