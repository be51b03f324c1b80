//! What became of the records that were sent: lost, duplicated or out of order, asked of the logs in the end and held against what producers
//! were told.
//!
//! Every producer of the simulator writes `NAME/SEQUENCE` as its values, so that a record says who sent it and after which other. What must
//! not be: a record acknowledged with acks=all that is not at its offset (R9); a duplicate where nothing was sent twice; records out of order
//! of a producer that is idempotent or has one request in flight, and lost nothing; a duplicate of one that is idempotent. All else is counted, for Kafka allows it. What consumers skip or read
//! again is the checker's business (R10): it sees every delivery.
//!
//! T4: of a transaction all records are committed that its producer took, or none, and none but where its application said so and heard nothing else.
//! Under transaction version 1 a late EndTxn may end the next transaction (T9): that is counted.

use brokerlab::check::Checker;
use brokerlab::client::Producer;
use brokerlab::client::transactions::{State, Transactions};
use brokerlab::node::{Note, NoteKind, Partition, TopicName};
use brokerlab::protocol::{Batch, BatchHeader, Outcome};
use brokerlab::replica::PartitionKey;
use brokerlab::session::Session;
use brokerlab::sim::{Application, World};
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

/// A transaction as its application sees it.
struct Transaction {
    /// What its generator had made, and its producer taken, when it began.
    made: u64,
    sent: u64,
    /// Its application said that it is to commit.
    commits: bool,
    /// What the application was told of its end.
    told: Option<bool>,
}

/// A transactional producer.
struct Transactor {
    topic: String,
    state: State,
    sent: u64,
    transactions: Vec<Transaction>,
    /// It was closed while its last transaction was under way: what it said before still happens, and nobody sees how it ends.
    is_closing: bool,
}

impl Transactor {
    fn look(&mut self, producer: &Producer) {
        let Some(state) = producer.transactions().map(Transactions::state) else { return };
        let is_over = matches!(state, State::Ready | State::Initializing | State::InTransaction);
        let last = self.transactions.last_mut();
        match self.state {
            State::Ending { commit } if is_over => last.into_iter().for_each(|last| last.told = Some(commit)),
            _ => last.into_iter().for_each(|last| last.commits |= state == State::Ending { commit: true }),
        }
        if state == State::InTransaction && self.state != state {
            self.transactions.push(Transaction { made: producer.made(), sent: producer.counts().sent, commits: false, told: None });
        }
        (self.state, self.sent) = (state, producer.counts().sent);
    }

    /// Why its transactions are not all or nothing; `committed` are the sequences of its records that are.
    /// Where something is gone (`is_whole`), what is missing says nothing.
    fn torn(&self, name: &str, committed: &[u64], is_whole: bool) -> Option<String> {
        for (place, own) in self.transactions.iter().enumerate() {
            let next = self.transactions.get(place + 1);
            if self.is_closing && next.is_none() {
                continue;
            }
            let taken = next.map_or(self.sent, |next| next.sent) - own.sent;
            let range = own.made + 1..=next.map_or(u64::MAX, |next| next.made);
            let count = committed.iter().filter(|sequence| range.contains(sequence)).count() as u64;
            let is_right = if count == 0 {
                own.told != Some(true) || taken == 0 || !is_whole
            } else {
                (count == taken || !is_whole) && own.commits && own.told != Some(false)
            };
            if !is_right {
                let Transaction { commits, told, .. } = own;
                return Some(format!(
                    "{count} of {taken} records of {name}'s transaction {place} are committed (commit asked for: {commits}, told: {told:?})"
                ));
            }
        }
        None
    }
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
    transactors: BTreeMap<String, Transactor>,
    is_version_one: bool,
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
    /// Transactions that were cut in two under version 1 (T9).
    pub torn: u64,
    /// Transactions whose application was told that they have committed.
    pub committed: u64,
}

impl Fates {
    pub fn sum(&mut self, other: &Fates) {
        self.lost_acks_none += other.lost_acks_none;
        self.lost_acks_one += other.lost_acks_one;
        self.lost_acks_all += other.lost_acks_all;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.torn += other.torn;
        self.committed += other.committed;
    }

    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("lostAcks0", self.lost_acks_none),
            ("lostAcks1", self.lost_acks_one),
            ("lostAcksAll", self.lost_acks_all),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("transactionsCommitted", self.committed),
            ("tornByLateEnds", self.torn),
        ]
        .into_iter()
    }
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
    /// Whether transactions are of version 1, which knows no late end from one in time.
    pub fn new(is_version_one: bool) -> History {
        History { is_version_one, ..History::default() }
    }

    /// A command that is about to be given.
    pub fn given(&mut self, command: &Value) {
        if command["type"] == "removeProducer"
            && let Some(own) = command["id"].as_str().and_then(|id| self.transactors.get_mut(id))
        {
            own.is_closing |= !matches!(own.state, State::Ready | State::FatalError(_));
        }
        if command["type"] == "addProducer"
            && let Some(id) = command["id"].as_str()
        {
            let configs = &command["configs"];
            let is_one_in_flight = configs["max.in.flight.requests.per.connection"] == "1";
            let acks_all = configs["acks"] == "all";
            // By default, where nothing excludes it.
            let is_idempotent = acks_all && configs["enable.idempotence"] != "false";
            if configs["transactional.id"].is_string() {
                let topic = command["topic"].as_str().unwrap_or_default().to_owned();
                let state = State::Initializing;
                self.transactors.insert(id.to_owned(), Transactor { topic, state, sent: 0, transactions: Vec::new(), is_closing: false });
            }
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
        for (name, own) in &mut self.transactors {
            if let Some(Application::Producer { producer, .. }) = world.client(name).map(|client| &client.application) {
                own.look(producer);
            }
        }
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
        // Whether what topics have is what was written, and all of it; and the sequences of what producers have committed.
        let (mut topics, mut committed) = (BTreeMap::<&str, (bool, bool)>::new(), BTreeMap::<String, Vec<u64>>::new());
        let image = world.controller().image();
        for topic in image.topics.values().filter(|topic| !self.deleted.contains(&topic.name)) {
            for (index, state) in (0..).zip(&topic.partitions) {
                let partition = Partition { topic: topic.name.clone(), index };
                let key = PartitionKey { topic: topic.id, index };
                let leader = state.leader.and_then(|leader| world.broker(leader));
                let (is_true, is_whole) = topics.entry(&topic.name).or_insert((true, true));
                let Some(replica) = leader.and_then(|(broker, _)| broker.replicas().get(&key)) else {
                    *is_true = false;
                    continue;
                };
                let readable = || world.remote().readable(&key, &replica.log, replica.log.start_offset());
                let values: Vec<(i64, String)> = values(readable());
                add_committed(readable(), &mut committed);
                let begun_late = begun_late(readable());
                let placed: Placed<'_> = values.iter().filter_map(|(offset, value)| Some((*offset, identity(value)?))).collect();
                // What retention or compaction may have removed says nothing.
                let kept_from = replica.log.start_offset().max(checker.compacted_end(&partition));
                let unclean = checker.is_unclean(&partition);
                broken = broken.or(self.lost(&partition, &placed, kept_from, unclean, &mut fates));
                *is_true &= !unclean;
                *is_whole &= kept_from == 0;
                if kept_from == 0 {
                    broken = broken.or(self.disordered(&partition, &placed, (unclean, &begun_late), &mut fates));
                }
            }
        }
        for (name, own) in &self.transactors {
            fates.committed += own.transactions.iter().filter(|one| one.told == Some(true)).count() as u64;
            let (is_true, is_whole) = topics.get(own.topic.as_str()).copied().unwrap_or_default();
            let torn = own.torn(name, committed.get(name).map_or(&[][..], Vec::as_slice), is_whole);
            let torn = torn.filter(|_| is_true && !checker.is_ledger_torn());
            match torn {
                Some(_) if self.is_version_one => fates.torn += 1,
                Some(told) => broken = broken.or(Some(("T4", told))),
                None => {}
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

    fn disordered(
        &self,
        partition: &Partition,
        placed: &Placed<'_>,
        (unclean, begun_late): (bool, &BTreeSet<String>),
        fates: &mut Fates,
    ) -> Option<Broken> {
        let mut broken = None;
        let mut held: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for (offset, (name, sequence)) in placed {
            let Some(sender) = self.senders.get(*name) else { continue };
            let is_promised = !sender.failed && !unclean && !begun_late.contains(*name);
            let before = held.entry(name).or_default();
            if before.contains(sequence) {
                fates.duplicated += 1;
                if sender.is_idempotent && is_promised {
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
                if (sender.is_one_in_flight && sender.acks_all || sender.is_idempotent) && is_promised {
                    let told = format!("offset {offset} of {partition} is {name}'s record {sequence}, after a later one");
                    broken = Some(("reordered", told));
                }
            }
            before.insert(*sequence);
        }
        broken
    }
}

/// The sequences of records in transactions that a marker has committed, by sender.
fn add_committed<'a>(batches: impl Iterator<Item = &'a Batch>, committed: &mut BTreeMap<String, Vec<u64>>) {
    let mut open: BTreeMap<i64, Vec<(String, u64)>> = BTreeMap::new();
    for batch in batches {
        let Some(header) = batch.header().ok().filter(BatchHeader::is_transactional) else { continue };
        if let Some(marker) = batch.marker() {
            let ended = open.remove(&header.producer_id).unwrap_or_default();
            ended
                .into_iter()
                .filter(|_| marker.outcome == Outcome::Commit)
                .for_each(|(sender, own)| committed.entry(sender).or_default().push(own));
            continue;
        }
        let values = batch.records().flatten().filter_map(|record| String::from_utf8(record.value?.to_vec()).ok());
        let own = values.filter_map(|value| identity(&value).map(|(sender, sequence)| (sender.to_owned(), sequence)));
        open.entry(header.producer_id).or_default().extend(own);
    }
}

/// The records' values by offset.
fn values<'a>(batches: impl Iterator<Item = &'a Batch>) -> Vec<(i64, String)> {
    let records = batches.flat_map(|batch| batch.records().flatten());
    records.filter_map(|record| Some((record.offset, String::from_utf8(record.value?.to_vec()).ok()?))).collect()
}

/// Idempotent producers whose first batch here is not their first: it was lost on its way, and what followed it was taken, for a leader that knows nothing
/// of a producer takes any sequence (`ProducerAppendInfo.checkSequence`). The first is out of order when it comes again, the producer begins an epoch
/// anew with all that it has no answer of, and what was written may be written twice.
fn begun_late<'a>(batches: impl Iterator<Item = &'a Batch>) -> BTreeSet<String> {
    let (mut known, mut late) = (BTreeSet::new(), BTreeSet::new());
    for batch in batches {
        let Some(header) = batch.header().ok().filter(|header| header.is_idempotent() && !header.is_control()) else { continue };
        if known.insert(header.producer_id) && 0 < header.base_sequence {
            let first = batch.records().flatten().next().and_then(|record| String::from_utf8(record.value?.to_vec()).ok());
            late.extend(first.as_deref().and_then(identity).map(|(sender, _)| sender.to_owned()));
        }
    }
    late
}

/// The sender and the sequence in a value.
fn identity(value: &str) -> Option<(&str, u64)> {
    let (sender, sequence) = value.rsplit_once('/')?;
    Some((sender, sequence.parse().ok()?))
}
