//! What became of the records that were sent: lost, duplicated or out of order, asked of the logs in the end and held against what producers
//! were told.
//!
//! Every producer of the simulator writes `NAME/SEQUENCE` as its values, so that a record says who sent it and after which other. What must
//! not be: a record acknowledged with acks=all that is not at its offset (R9); a duplicate where nothing was sent twice; records out of order
//! of a producer that is idempotent or has one request in flight, and lost nothing; a duplicate of one that is idempotent. All else is counted, for Kafka allows it. What consumers skip or read
//! again is the checker's business (R10): it sees every delivery.

use brokerlab::check::Checker;
use brokerlab::node::{Note, NoteKind, Partition, TopicName};
use brokerlab::protocol::Batch;
use brokerlab::replica::PartitionKey;
use brokerlab::session::Session;
use brokerlab::sim::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a producer was told to be, and what happened to it.
#[derive(Default)]
struct Sender {
    is_one_in_flight: bool,
    is_idempotent: bool,
    acks_all: bool,
    failed: bool,
    retried: bool,
}

/// Records that a producer was told to be in the log.
struct Acknowledged {
    sender: String,
    partition: Partition,
    base_offset: i64,
    records: i32,
    acks: i16,
}

#[derive(Default)]
pub struct History {
    seen: u64,
    senders: BTreeMap<String, Sender>,
    acknowledged: Vec<Acknowledged>,
    /// Topics that were deleted once: their acknowledgements may be of another topic of the name.
    deleted: BTreeSet<TopicName>,
    /// Some message arrived twice.
    doubled: bool,
}

/// How many records fared how.
#[derive(Clone, Copy, Default)]
pub struct Fates {
    /// Sent with acks=0 and in no log.
    pub lost_acks_none: u64,
    /// Acknowledged with acks=1 and in no log.
    pub lost_acks_one: u64,
    /// Acknowledged with acks=all and in no log, after an unclean election or a loss of power.
    pub lost_acks_all: u64,
    pub duplicated: u64,
    /// Appended after a record that their producer sent later.
    pub reordered: u64,
}

/// Something that must never happen, and did.
pub type Broken = (&'static str, String);

/// One record of a log: who sent it, and as which.
type Placed<'a> = BTreeMap<i64, (&'a str, u64)>;

/// The value of a producer's records, as a template for its generator.
pub fn value_of(sender: &str) -> String {
    format!("{sender}/{{seq}}")
}

impl History {
    /// A command that is about to be given.
    pub fn given(&mut self, command: &Value) {
        if command["type"] == "addProducer"
            && let Some(id) = command["id"].as_str()
        {
            let configs = &command["configs"];
            let is_one_in_flight = configs["max.in.flight.requests.per.connection"] == "1";
            let acks_all = configs["acks"] == "all";
            // By default, where nothing excludes it.
            let is_idempotent = acks_all && configs["enable.idempotence"] != "false";
            self.senders.insert(id.to_owned(), Sender { is_one_in_flight, is_idempotent, acks_all, ..Sender::default() });
        }
    }

    /// Looks at what the newest event did.
    pub fn after(&mut self, session: &Session) {
        let (world, trace) = (session.world(), session.trace());
        for (_, note) in trace.since(self.seen) {
            self.note(world, note);
        }
        self.seen = trace.next_index();
    }

    fn note(&mut self, world: &World, note: &Note) {
        match &note.kind {
            NoteKind::TopicDeleted { topic, .. } => {
                self.deleted.insert(topic.clone());
            }
            NoteKind::MessageDuplicated { .. } => self.doubled = true,
            NoteKind::ProduceRetried { .. } => {
                self.senders.entry(world.name(note.node)).and_modify(|sender| sender.retried = true);
            }
            NoteKind::RecordFailed { .. } => {
                self.senders.entry(world.name(note.node)).and_modify(|sender| sender.failed = true);
            }
            NoteKind::RecordAcknowledged { partition, base_offset, records, acks } if self.senders.contains_key(&world.name(note.node)) => {
                let (sender, partition) = (world.name(note.node), partition.clone());
                self.acknowledged.push(Acknowledged { sender, partition, base_offset: *base_offset, records: *records, acks: *acks });
            }
            _ => {}
        }
    }

    /// What the logs say in the end, once every partition has a leader.
    pub fn fates(&self, world: &World, checker: &Checker) -> (Fates, Option<Broken>) {
        let (mut fates, mut broken) = (Fates::default(), None);
        let image = world.controller().image();
        for topic in image.topics.values().filter(|topic| !self.deleted.contains(&topic.name)) {
            for (index, state) in (0..).zip(&topic.partitions) {
                let partition = Partition { topic: topic.name.clone(), index };
                let key = PartitionKey { topic: topic.id, index };
                let leader = state.leader.and_then(|leader| world.broker(leader));
                let Some(replica) = leader.and_then(|(broker, _)| broker.replicas().get(&key)) else { continue };
                let readable = world.remote().readable(&key, &replica.log, replica.log.start_offset());
                let values: Vec<(i64, String)> = values(readable);
                let placed: Placed<'_> = values.iter().filter_map(|(offset, value)| Some((*offset, identity(value)?))).collect();
                // What retention or compaction may have removed says nothing.
                let kept_from = replica.log.start_offset().max(checker.compacted_end(&partition));
                let unclean = checker.is_unclean(&partition);
                broken = broken.or(self.lost(&partition, &placed, kept_from, unclean, &mut fates));
                if kept_from == 0 {
                    broken = broken.or(self.disordered(&partition, &placed, unclean, &mut fates));
                }
            }
        }
        (fates, broken)
    }

    fn lost(&self, partition: &Partition, placed: &Placed<'_>, kept_from: i64, unclean: bool, fates: &mut Fates) -> Option<Broken> {
        let mut broken = None;
        let mut unacknowledged: BTreeMap<&str, u64> = BTreeMap::new();
        for told in self.acknowledged.iter().filter(|told| told.partition == *partition) {
            if told.acks == 0 {
                *unacknowledged.entry(&told.sender).or_default() += told.records as u64;
                continue;
            }
            let mut before = None;
            for offset in told.base_offset..told.base_offset + i64::from(told.records) {
                let own = placed.get(&offset).filter(|(sender, sequence)| *sender == told.sender && before < Some(*sequence));
                match own {
                    Some((_, sequence)) => before = Some(*sequence),
                    None if offset < kept_from => {}
                    None if told.acks == 1 => fates.lost_acks_one += 1,
                    None if unclean => fates.lost_acks_all += 1,
                    None => {
                        let sender = &told.sender;
                        broken = Some((
                            "R9",
                            format!("offset {offset} of {partition} was acknowledged to {sender} with acks=all and is not its record"),
                        ));
                    }
                }
            }
        }
        if kept_from == 0 {
            for (sender, sent) in unacknowledged {
                let held: BTreeSet<u64> = placed.values().filter(|(own, _)| *own == sender).map(|(_, sequence)| *sequence).collect();
                fates.lost_acks_none += sent.saturating_sub(held.len() as u64);
            }
        }
        broken
    }

    fn disordered(&self, partition: &Partition, placed: &Placed<'_>, unclean: bool, fates: &mut Fates) -> Option<Broken> {
        let mut broken = None;
        let mut held: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for (offset, (name, sequence)) in placed {
            let Some(sender) = self.senders.get(*name) else { continue };
            let before = held.entry(name).or_default();
            if before.contains(sequence) {
                fates.duplicated += 1;
                if sender.is_idempotent && !sender.failed && !unclean {
                    let told = format!("offset {offset} of {partition} is idempotent {name}'s record {sequence} again");
                    broken = Some(("I2", told));
                }
                if !sender.retried && !self.doubled {
                    broken = Some((
                        "duplicated",
                        format!("offset {offset} of {partition} is {name}'s record {sequence} again, which it sent once"),
                    ));
                }
            } else if before.last().is_some_and(|last| sequence < last) {
                fates.reordered += 1;
                if (sender.is_one_in_flight && sender.acks_all || sender.is_idempotent) && !sender.failed && !unclean {
                    let told = format!("offset {offset} of {partition} is {name}'s record {sequence}, after a later one");
                    broken = Some(("reordered", told));
                }
            }
            before.insert(*sequence);
        }
        broken
    }
}

/// The records' values by offset.
fn values<'a>(batches: impl Iterator<Item = &'a Batch>) -> Vec<(i64, String)> {
    let records = batches.flat_map(|batch| batch.records().flatten());
    records.filter_map(|record| Some((record.offset, String::from_utf8(record.value?.to_vec()).ok()?))).collect()
}

/// The sender and the sequence in a value.
fn identity(value: &str) -> Option<(&str, u64)> {
    let (sender, sequence) = value.rsplit_once('/')?;
    Some((sender, sequence.parse().ok()?))
}
