//! What must never happen: the invariants of replication, checked after every event.
//!
//! Owns what a checker has to remember of a history: which records are committed, what producers were told, what consumers saw. It reads
//! nodes through the world and never changes them. An event's notes say what it touched, and only that is looked at; [`Checker::in_full`]
//! looks at everything. The names R1 to R13 are those of the project's list of invariants; their meaning stands at each check. Q1 to Q5
//! are the metadata quorum's.
//!
//! A partition of a topic that was deleted and made anew is another one (L3: a deleted topic leaves no log behind).
//!
//! A partition whose replica lost records with the power, or whose leader was elected uncleanly, is *unclean* from then on: what was committed may be gone (R6, R9, R10, R12), as in
//! Kafka, which trusts the other replicas and not the disk; but not where the last known leader leads again and lacks nothing. So is one whose last member of the ISR was taken away with its disk.
//!
//! R14: an eligible leader replica holds everything that is committed, and who comes back after an unclean end is none.
//!
//! G1 to G7 are those of groups. G9: who does not poll in time is no member any more. G10: members commit nothing beyond what one of them was given.
//!
//! I1 to I5: records of idempotent producers are written once and in order. I6: a producer that may have one request in flight has no more than one batch
//! of each partition under way, whoever leads it.
//!
//! S1 to S6 are those of share groups, K1 to K3 those of client quotas, and A1 is of applications that keep a table.
//!
//! T5 and T6 are those of transactions in a partition's log; a marker begins an epoch there as records do. T1 to T3, T7 and T8 hold them against the log of
//! their coordinators, T10 is of the offsets in them.

mod aggregates;
mod commits;
mod committed;
mod compaction;
mod counts;
mod delivery;
mod groups;
mod ledger;
mod metadata;
mod partition;
mod quotas;
mod semantics;
mod sequences;
mod share_states;
mod shares;
mod spans;
mod tiered;
mod transactions;

use crate::broker::Broker;
use crate::coordinator::{OFFSETS_TOPIC, SHARE_TOPIC, TRANSACTIONS_TOPIC, partition_for};
use crate::node::{DeleteReason, NodeId, Note, NoteKind, Partition, Summary, Time, UncleanReason};
use crate::ordered::OrderedMap;
use crate::protocol::metadata::PartitionState;
use crate::protocol::wire::Api;
use crate::replica::{PartitionKey, Replica};
use crate::sim::{Application, Trace, World};
use aggregates::Aggregates;
use commits::Commits;
pub use counts::Counts;
use delivery::Deliveries;
use groups::GroupsCheck;
use ledger::Ledger;
use metadata::MetadataCheck;
use partition::PartitionCheck;
use quotas::QuotasCheck;
use semantics::{Given, Reader, Semantics};
use share_states::ShareStates;
use shares::{Shares, Told};
use std::sync::Arc;
use uuid::Uuid;

/// Something that must never happen, and did.
#[derive(Clone, PartialEq, Debug)]
pub struct Violation {
    /// Its name in the list: `R5`.
    pub invariant: &'static str,
    pub time: Time,
    pub sentence: String,
    /// The note after which it was seen, by its index in the trace.
    pub note: u64,
}

/// Looks at a world after each of its events.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    /// Notes before this index were looked at.
    seen: u64,
    metadata: MetadataCheck,
    partitions: OrderedMap<Partition, PartitionCheck>,
    deliveries: Deliveries,
    given: Given,
    commits: Commits,
    groups: GroupsCheck,
    ledger: Ledger,
    /// Some of the coordinators' log may be lost.
    is_ledger_torn: bool,
    shares: Shares,
    share_states: ShareStates,
    quotas: QuotasCheck,
    aggregates: Aggregates,
    counts: Counts,
    violations: Vec<Violation>,
}

/// A broker's time as a group's coordinator: the id of `__consumer_offsets`, and the epoch in which it leads the group's partition. A coordinator that
/// begins a new term goes on from the generation that was last written, not from the one that was last given.
type Term = (Uuid, i32);

/// Violations kept of one history; the first says most.
const VIOLATIONS_MAX: usize = 20;

impl Checker {
    pub fn new() -> Checker {
        Checker::default()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Looks at what the newest events did. To be called after each event: notes say what happened, and the world is what it is by then.
    pub fn after(&mut self, world: &World, trace: &Trace) {
        for (index, note) in trace.since(self.seen) {
            self.counts.add(&note.kind);
            self.aggregates.note(world, note);
            let verdict =
                self.metadata.note(world, note).and_then(|()| self.note(world, note)).and_then(|()| self.quotas.note(world, note));
            if let Err((invariant, sentence)) = verdict
                && self.violations.len() < VIOLATIONS_MAX
            {
                self.violations.push(Violation { invariant, time: note.time, sentence, note: index });
            }
        }
        self.seen = trace.next_index();
    }

    /// Looks at every log of every broker: what no single event shows.
    pub fn in_full(&mut self, world: &World) {
        for (_, semantics) in self.given.told(world) {
            *match semantics {
                Semantics::ExactlyOnce => &mut self.counts.readers_exactly_once,
                Semantics::AtLeastOnce => &mut self.counts.readers_at_least_once,
                Semantics::AtMostOnce => &mut self.counts.readers_at_most_once,
                Semantics::Neither => &mut self.counts.readers_neither,
            } += 1;
        }
        for (name, check) in &self.partitions {
            if let Err((invariant, sentence)) = check.in_full(world, name).and_then(|()| check.tiers_in_full(world, name))
                && self.violations.len() < VIOLATIONS_MAX
            {
                self.violations.push(Violation { invariant, time: world.now(), sentence, note: self.seen });
            }
        }
        let is_whole = self.counts.brokers_removed == 0;
        let remote = || if is_whole { tiered::deleted_leave_nothing_remote(world) } else { Ok(()) };
        let shared = self.shares.in_full(world, &self.partitions);
        let kept = self.aggregates.in_full(world, &self.partitions).map(|records| self.counts.aggregated += records);
        if let Err((invariant, sentence)) =
            deleted_leave_no_log(world).and_then(|()| remote()).and_then(|()| self.metadata.in_full(world)).and(shared).and(kept)
            && self.violations.len() < VIOLATIONS_MAX
        {
            self.violations.push(Violation { invariant, time: world.now(), sentence, note: self.seen });
        }
    }

    /// Whether nothing is promised about committed records of a partition any more.
    pub fn is_unclean(&self, partition: &Partition) -> bool {
        self.partitions.get(partition).is_some_and(PartitionCheck::is_unclean)
    }

    /// Whether some of the transaction coordinators' log may be lost.
    pub fn is_ledger_torn(&self) -> bool {
        let is_torn = |(name, check): (&Partition, &PartitionCheck)| *name.topic == *TRANSACTIONS_TOPIC && check.is_unclean();
        self.is_ledger_torn || self.partitions.iter().any(is_torn)
    }

    /// Whether some may be lost of what is stored of a share group, by its coordinator or the share coordinators: what the one has heard of the others may
    /// not know, and what they know is of a later epoch than that of a group that begins anew.
    pub fn is_share_group_torn(&self, world: &World, group: &str) -> bool {
        let is_torn = |(name, check): (&Partition, &PartitionCheck)| *name.topic == *SHARE_TOPIC && check.is_unclean();
        self.partitions.iter().any(is_torn) || self.is_unclean(&offsets_partition(world, group))
    }

    /// No replica's log of a partition has gaps from here on.
    pub fn compacted_end(&self, partition: &Partition) -> i64 {
        self.partitions.get(partition).map_or(0, PartitionCheck::compacted_end)
    }

    fn partition(&mut self, partition: &Partition) -> &mut PartitionCheck {
        self.partitions.or_default(partition.clone())
    }

    /// Whether a broker speaks of its log of a deleted topic: it has none of the topic that may have the name now.
    fn is_of_deleted(&mut self, world: &World, note: &Note) -> bool {
        let (NodeId::Broker(broker), Some(partition)) = (note.node, note.kind.log()) else { return false };
        if replica(world, partition, broker).is_some() {
            return false;
        }
        match note.kind {
            NoteKind::HighWatermarkAdvanced { to, .. } => self.partition(partition).advanced_after_deletion(to),
            NoteKind::LogCompacted { to, .. } => self.partition(partition).compacted_after_deletion(to),
            _ => {}
        }
        true
    }

    /// Whether the controller speaks of a topic that is deleted by now. What a quorum commits at once is told one by one, and the metadata says
    /// already what came last: of another topic, perhaps, that has the name now.
    fn is_of_former(&mut self, world: &World, note: &Note) -> bool {
        let (NoteKind::LeaderElected { partition, .. }
        | NoteKind::UncleanElection { partition, .. }
        | NoteKind::EligibleLeadersChanged { partition, .. }
        | NoteKind::IsrShrunk { partition, .. }
        | NoteKind::IsrExpanded { partition, .. }) = &note.kind
        else {
            return false;
        };
        let topic = world.controller().image().topic_ids.get(&partition.topic).copied();
        self.partition(partition).is_former(topic)
    }

    /// R14: whoever comes back and cannot say that it ended in good order may lead nothing before it has caught up.
    fn unproven_is_not_eligible(&self, world: &World, broker: i32) -> Verdict {
        // Of a topic that is deleted in the same moment nothing was heard any more.
        let is_there = |name: &Partition| world.controller().image().topic(&name.topic).is_some();
        match self.partitions.iter().find(|(name, check)| check.is_eligible(broker) && is_there(name)) {
            Some((name, _)) => Err(("R14", format!("broker {broker} is back from an unclean end and still eligible to lead {name}"))),
            None => Ok(()),
        }
    }

    fn note(&mut self, world: &World, note: &Note) -> Verdict {
        let node = note.node;
        if self.is_of_deleted(world, note) || self.is_of_former(world, note) {
            return Ok(());
        }
        match &note.kind {
            NoteKind::TopicDeleted { topic, .. } => {
                for (partition, check) in (&mut self.partitions).into_iter().filter(|(known, _)| known.topic == *topic) {
                    self.commits.closed(partition, check.committed_end());
                    check.deleted();
                }
                self.deliveries.deleted(topic);
                self.given.cut(|partition| partition.topic == *topic, 0);
                self.commits.deleted(topic);
                self.shares.topic_deleted(topic);
                Ok(())
            }
            NoteKind::BrokerCrashed | NoteKind::PowerLost | NoteKind::BrokerStopped => {
                if let NodeId::Broker(broker) = node {
                    self.partitions.values_mut().for_each(|check| check.crashed(broker));
                }
                self.deliveries.crashed();
                Ok(())
            }
            NoteKind::LogDeleted { partition } => {
                if let NodeId::Broker(broker) = node {
                    self.partition(partition).log_deleted(broker);
                }
                Ok(())
            }
            NoteKind::BrokerRemoved => {
                if let NodeId::Broker(broker) = node {
                    (&mut self.partitions).into_iter().for_each(|(name, check)| check.removed(world, name, broker));
                }
                Ok(())
            }
            NoteKind::RecordsLost { partition, from, .. } => {
                if let NodeId::Broker(broker) = node {
                    self.partition(partition).lost(broker, *from);
                }
                Ok(())
            }
            NoteKind::BrokerFenced { broker } | NoteKind::BrokerUnregistered { broker } => fenced_is_in_no_isr(world, *broker),
            NoteKind::BrokerRegistered { broker, ended_cleanly: false, .. } => self.unproven_is_not_eligible(world, *broker),
            NoteKind::EligibleLeadersChanged { partition, elr } => self.partition(partition).eligible(world, partition, elr),
            NoteKind::UncleanElection { partition, leader, reason, .. } => {
                let topic = world.controller().image().topic(&partition.topic);
                let default = world.active_controller().is_none_or(|active| active.elects_uncleanly());
                if *reason == UncleanReason::Enabled && topic.is_some_and(|topic| !topic.allows_unclean(default)) {
                    let told = format!("broker {leader} was elected to lead {partition} uncleanly, against unclean.leader.election.enable");
                    return Err(("R7", told));
                }
                self.counts.lost_unclean += self.partition(partition).elected_uncleanly(world, partition, *leader, *reason);
                let end = replica(world, partition, *leader).map_or(0, |own| own.log.end_offset());
                self.given.cut(|own| own == partition, end);
                Ok(())
            }
            NoteKind::ReassignmentCancelled { partition, replicas } => {
                self.partition(partition).reverted(replicas);
                Ok(())
            }
            NoteKind::LeaderElected { partition, leader, leader_epoch, .. } => {
                let check = self.partition(partition);
                self.counts.eligible_elections += u64::from(leader.is_some_and(|leader| check.was_eligible(leader)));
                self.partition(partition).elected(world, partition, *leader, *leader_epoch)
            }
            NoteKind::IsrShrunk { partition, .. } => self.partition(partition).isr_changed(world, partition),
            NoteKind::IsrExpanded { partition, partition_epoch, isr, added } => {
                self.partition(partition).isr_grew(world, partition, *partition_epoch, isr, added)
            }
            NoteKind::RecordAppended { partition, base_offset, last_offset, leader_epoch, leader } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.partition(partition).appended(world, partition, broker, (*base_offset, *last_offset), *leader_epoch, *leader)
            }
            NoteKind::HighWatermarkAdvanced { partition, to, leader, .. } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.partition(partition).advanced(world, partition, broker, *to, *leader)?;
                self.coordinators_advanced(partition)
            }
            NoteKind::Truncated { partition, to, .. } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.partition(partition).truncated(partition, broker, *to)
            }
            NoteKind::SegmentsDeleted { partition, reason: DeleteReason::Size | DeleteReason::Time, .. } => {
                if let NodeId::Broker(broker) = node {
                    self.partition(partition).segments_deleted(broker);
                }
                Ok(())
            }
            NoteKind::RecordsDeleted { partition, before } => {
                self.partition(partition).records_deleted(*before);
                Ok(())
            }
            NoteKind::LowWatermarkReached { partition, offset } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.partition(partition).low_watermark_reached(world, partition, broker, *offset)
            }
            NoteKind::RequestSent { summary: Summary { api: Api::Produce, .. }, .. } => keeps_order(world, node),
            NoteKind::RequestSent {
                to,
                summary: Summary { api: Api::Fetch, partition: Some(partition), offset: Some(offset), .. },
                ..
            } => {
                if matches!(node, NodeId::Client(_)) {
                    let gone = self.partition(partition).low_watermark(world, partition);
                    self.deliveries.fetches(node, partition, *to, (*offset, gone));
                }
                Ok(())
            }
            NoteKind::LogStartMoved { partition, from, to } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.shares.log_start_moved(partition, *to);
                self.partition(partition).log_start_moved(world, partition, broker, *from, *to)
            }
            NoteKind::RemoteStateBuilt { partition, local_start, .. } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.partition(partition).remote_state_built(broker, *local_start);
                Ok(())
            }
            NoteKind::RemoteCopyStarted { partition, last_offset, .. } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.partition(partition).remote_copy_started(world, partition, broker, *last_offset)
            }
            NoteKind::RemoteCopyFinished { partition, base_offset, last_offset, .. } => {
                self.partition(partition).remote_copy_finished(world, partition, (*base_offset, *last_offset))
            }
            NoteKind::SegmentsDeleted { partition, reason: DeleteReason::LocalSize | DeleteReason::LocalTime, .. }
            | NoteKind::RemoteSegmentsDeleted { partition, .. } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.partition(partition).tier_deleted(world, partition, broker)
            }
            NoteKind::RemoteRead { partition, last_offset, leader_epoch, .. } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                self.partition(partition).remote_read(world, partition, broker, *last_offset, *leader_epoch)
            }
            NoteKind::LogCompacted { partition, to, .. } => {
                let NodeId::Broker(broker) = node else { return Ok(()) };
                let now_ms = world.broker(broker).map_or(0, |(broker, _)| broker.wall_clock(note.time));
                self.partition(partition).compacted(world, partition, broker, *to, now_ms)
            }
            NoteKind::RecordAcknowledged { partition, base_offset, records, acks } => {
                self.partition(partition).acknowledged(partition, *base_offset, *records, *acks)
            }
            // Of a share group's records each member is given some, and some of them again.
            NoteKind::RecordDelivered { partition, first_offset, last_offset, .. } if groups::shares(world, node) => {
                self.shares.delivered(world, node, partition, (*first_offset, *last_offset));
                let check = self.partitions.or_default(partition.clone());
                let end = check.committed_end();
                if end <= *last_offset && !check.is_unclean() {
                    return Err(("R10", not_committed(world, node, partition, *last_offset, end)));
                }
                Ok(())
            }
            NoteKind::RecordDelivered { partition, first_offset, last_offset, records } => {
                groups::polls_in_time(world, node)?;
                let check = self.partitions.or_default(partition.clone());
                let (end, unclean, compacted) = (check.committed_end(), check.is_unclean(), check.compacted_end());
                if end <= *last_offset && !unclean {
                    return Err(("R10", not_committed(world, node, partition, *last_offset, end)));
                }
                self.commits.delivered(world, node, partition, last_offset + 1);
                let range = (*first_offset, *last_offset);
                let reads_committed = match world.client_at(node).map(|client| (&client.name, &client.application)) {
                    Some((name, Application::Consumer { consumer, .. })) => {
                        let group = consumer.config().group.clone();
                        self.counts.redelivered +=
                            self.given.add(group.map_or_else(|| Reader::Alone(name.clone()), Reader::Group), partition, range);
                        consumer.config().read_committed
                    }
                    _ => false,
                };
                check.delivered(partition, range, *records, reads_committed)?;
                // Markers and what is aborted leave gaps as compaction does, also behind what was compacted.
                let expected = self.deliveries.expected(node, partition);
                let hidden = expected.map_or(0, |from| check.end_of_hidden(from.max(compacted), reads_committed));
                let verdict = self.deliveries.delivered(world, node, partition, range, compacted.max(hidden));
                if unclean { Ok(()) } else { verdict }
            }
            NoteKind::AssignmentReceived { group, partitions, .. } => {
                let verdict = self.groups.assigned(world, node, group, partitions);
                if verdict.is_err() && self.is_unclean(&offsets_partition(world, group)) { Ok(()) } else { verdict }
            }
            NoteKind::AssignmentRevoked { group, partitions } | NoteKind::AssignmentLost { group, partitions } => {
                self.deliveries.given_up(node, partitions);
                self.groups.given_up(node, group, partitions);
                Ok(())
            }
            NoteKind::WentBack { partitions } => {
                self.deliveries.given_up(node, partitions);
                Ok(())
            }
            NoteKind::OffsetReset { partition, offset } => {
                self.deliveries.reset(node, partition, *offset);
                self.commits.reset(world, node, partition, *offset);
                Ok(())
            }
            NoteKind::OffsetCommitted { group, generation, current, .. } if generation != current => {
                Err(("G5", format!("group {group} took a commit of generation {generation} when it was in generation {current}")))
            }
            NoteKind::OffsetCommitted { group, partition, offset, generation, .. } => {
                let check = self.partition(partition);
                let (end, unclean) = (check.committed_end(), check.is_unclean());
                let told = || format!("offset {offset} of {partition} was committed by a group, and its log is committed to {end} only");
                if end < *offset && !unclean {
                    return Err(("R10", told()));
                }
                self.committed(world, group, partition, *offset, *generation)
            }
            NoteKind::CommandApplied { name: "removeConsumer", .. } => {
                self.partitions.iter().for_each(|(name, check)| self.commits.closed(name, check.committed_end()));
                Ok(())
            }
            NoteKind::CommandApplied { name: "resetOffsets", .. } => {
                self.shares.reset();
                Ok(())
            }
            NoteKind::SharePartitionLoaded { group, partition, start_offset } => {
                self.shares.loaded(world, node, group, partition, *start_offset, &self.partitions)
            }
            NoteKind::RecordsAcquired { group, member, partition, first_offset, last_offset, deliveries } => {
                let range = (*first_offset, *last_offset);
                let log = self.partitions.or_default(partition.clone());
                self.shares.acquired(world, node, &Told { group, member, partition, range, deliveries: *deliveries }, log)
            }
            NoteKind::RecordsSettled { group, member, partition, first_offset, last_offset, deliveries, archived, by } => {
                let range = (*first_offset, *last_offset);
                self.shares.settled(node, &Told { group, member, partition, range, deliveries: *deliveries }, *archived, *by);
                Ok(())
            }
            NoteKind::GroupLoaded { group, .. } => self.loaded(world, node, group),
            NoteKind::MemberJoined { group, .. } | NoteKind::MemberReplaced { group, .. } => {
                groups::instances_are_unique(world, node, group)
            }
            NoteKind::GroupDeleted { group } => {
                self.groups.deleted(node, group);
                self.shares.group_deleted(group);
                Ok(())
            }
            NoteKind::Rebalanced { group, generation, .. } => {
                let verdict = self.groups.rebalanced(world, node, group, *generation);
                let verdict = verdict.and_then(|()| groups::give_up_in_time(world, node, group));
                if verdict.is_err() && self.is_unclean(&offsets_partition(world, group)) { Ok(()) } else { verdict }
            }
            _ => Ok(()),
        }
    }
}

impl Checker {
    /// G7 and G10 of a commit.
    fn committed(&mut self, world: &World, group: &Arc<str>, partition: &Partition, offset: i64, generation: i32) -> Verdict {
        let offsets = offsets_partition(world, group);
        let log = self.partitions.or_default(offsets.clone());
        self.commits.extend(&offsets, log.committed_from(self.commits.read_to(&offsets)));
        if !log.is_unclean() {
            self.commits.is_logged(group, partition, offset)?;
        }
        let read = self.partitions.or_default(partition.clone());
        // What compaction took, or an unclean leader, is given to nobody.
        let by_member = 0 <= generation && !read.is_unclean() && read.compacted_end() < offset;
        let from = self.commits.given_to(group, partition);
        self.commits.committed(group, partition, offset, by_member, read.committed_from(from))
    }

    /// T1 to T3, T7, T8, and S5: more is committed of a partition that may have records of transactions, or is of a coordinators' topic.
    fn coordinators_advanced(&mut self, partition: &Partition) -> Verdict {
        let check = self.partitions.or_default(partition.clone());
        if *partition.topic == *TRANSACTIONS_TOPIC {
            self.is_ledger_torn |= check.is_unclean();
            let verdict = self.ledger.extend(partition, check.committed_from(self.ledger.read_to(partition)));
            return if self.is_ledger_torn { Ok(()) } else { verdict };
        }
        if *partition.topic == *SHARE_TOPIC {
            self.share_states.is_torn |= check.is_unclean();
            let verdict = self.share_states.extend(partition, check.committed_from(self.share_states.read_to(partition)));
            return if self.share_states.is_torn { Ok(()) } else { verdict };
        }
        let news = check.take_news();
        if self.is_ledger_torn || check.is_unclean() {
            Ok(())
        } else {
            news.iter().try_for_each(|news| self.ledger.happened(partition, news))
        }
    }

    /// G7 of a coordinator that takes over.
    fn loaded(&mut self, world: &World, node: NodeId, group: &Arc<str>) -> Verdict {
        let offsets = offsets_partition(world, group);
        let log = self.partitions.or_default(offsets.clone());
        self.commits.extend(&offsets, log.committed_from(self.commits.read_to(&offsets)));
        let NodeId::Broker(broker) = node else { return Ok(()) };
        // Who stood still may take over what another leads by now; it will write nothing.
        let leads = |own: &&Replica| decided(world, &offsets).is_some_and(|state| state.leader_epoch == own.leader_epoch());
        match replica(world, &offsets, broker).filter(leads) {
            Some(own) if !log.is_unclean() => {
                // What the new leader has written by now came after it; but who stood still does much at once, and it may count already.
                let tail = || own.log.batches_from(self.commits.read_to(&offsets));
                let older = tail().filter(|batch| batch.leader_epoch < own.leader_epoch());
                let counting = tail().take_while(|batch| batch.next_offset() <= own.high_watermark());
                let verdict = self.commits.loaded(world, node, group, &offsets, older);
                verdict.or_else(|_| self.commits.loaded(world, node, group, &offsets, counting))
            }
            _ => Ok(()),
        }
    }
}

fn not_committed(world: &World, node: NodeId, partition: &Partition, last_offset: i64, end: i64) -> String {
    format!("{} was given offset {last_offset} of {partition}, and {end} is the first that is not committed", world.name(node))
}

/// The name of what is broken, and how.
type Verdict = Result<(), (&'static str, String)>;

/// I6 (`RecordAccumulator.mutePartition`).
fn keeps_order(world: &World, node: NodeId) -> Verdict {
    let Some(Application::Producer { producer, .. }) = world.client_at(node).map(|client| &client.application) else { return Ok(()) };
    let is_one_at_a_time = producer.config().max_in_flight == 1;
    match is_one_at_a_time.then(|| producer.twice_under_way()).flatten() {
        Some(partition) => Err(("I6", format!("{} has two batches of {partition} under way", world.name(node)))),
        None => Ok(()),
    }
}

/// The partition of `__consumer_offsets` that holds a group.
fn offsets_partition(world: &World, group: &str) -> Partition {
    let count = world.controller().image().topic(OFFSETS_TOPIC).map_or(1, |topic| topic.partitions.len() as i32);
    Partition { topic: Arc::from(OFFSETS_TOPIC), index: partition_for(group, count) }
}

/// The term of a broker as the coordinator of a group; `None` if it is not.
fn term(world: &World, node: NodeId, group: &str) -> Option<Term> {
    let NodeId::Broker(broker) = node else { return None };
    let (broker, _) = world.broker(broker)?;
    let topic = broker.image().topic(OFFSETS_TOPIC)?;
    let index = partition_for(group, topic.partitions.len() as i32);
    let replica = broker.replicas().get(&PartitionKey { topic: topic.id, index })?;
    Some((topic.id, replica.leader_epoch()))
}

/// L3: once every broker has caught up with the metadata, nobody has a log of a topic that is no more, or of a partition that has moved away.
fn deleted_leave_no_log(world: &World) -> Verdict {
    let image = world.controller().image();
    for (broker, _) in world.brokers().filter(|(_, state)| state.is_up()) {
        let has_no_replica =
            |key: &PartitionKey| image.partition(&key.topic, key.index).is_none_or(|state| !state.replicas.contains(&broker.id()));
        if let Some((_, replica)) = broker.replicas().iter().find(|(key, _)| has_no_replica(key)) {
            let told = format!("broker {} still has a log of {}, which is deleted or has moved away from it", broker.id(), replica.name);
            return Err(("L3", told));
        }
    }
    Ok(())
}

/// R7: a fenced or unregistered broker is in no ISR, or without eligible leader replicas in those alone that it is the last member of.
fn fenced_is_in_no_isr(world: &World, broker: i32) -> Verdict {
    let may_stay = if has_eligible_leaders(world) { 0 } else { 1 };
    // What a quorum commits at once is told one by one: it may be back already, by the metadata.
    if world.controller().image().brokers.get(&broker).is_some_and(|known| !known.fenced) {
        return Ok(());
    }
    for topic in world.controller().image().topics.values() {
        for (index, state) in topic.partitions.iter().enumerate() {
            if may_stay < state.isr.len() && state.isr.contains(&broker) {
                return Err(("R7", format!("broker {broker} is fenced or gone and in the ISR {:?} of {}-{index}", state.isr, topic.name)));
            }
        }
    }
    Ok(())
}

/// Whether the cluster has eligible leader replicas (KIP-966).
fn has_eligible_leaders(world: &World) -> bool {
    world.active_controller().is_none_or(|active| active.config().eligible_leaders)
}

/// What the controller has decided about a partition.
fn decided<'a>(world: &'a World, partition: &Partition) -> Option<&'a PartitionState> {
    let topic = world.controller().image().topic(&partition.topic)?;
    topic.partitions.get(usize::try_from(partition.index).ok()?)
}

/// A broker's replica of a partition, whether its process runs or not.
fn replica<'a>(world: &'a World, partition: &Partition, broker: i32) -> Option<&'a Replica> {
    let topic = world.controller().image().topic(&partition.topic)?.id;
    let (broker, _): (&Broker, _) = world.broker(broker)?;
    broker.replicas().get(&PartitionKey { topic, index: partition.index })
}
