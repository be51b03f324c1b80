//! Applications that keep a table of what a topic says of each key.
//!
//! A1: once an aggregate has read all that its source has, and written all that follows from it, its rows, and the newest record of each key in the table's
//! topic, are the fold of the source's records, each counted once, however often it has crashed. What a process that crashed had sent may arrive
//! after what the next one has written (KIP-98 is there for that): then the rows alone are held against the source.
//!
//! Owns which of them have crashed or could not write. A source that lost records, let them go or was compacted says nothing; nor does a key that was deleted
//! and is in two partitions, for they have no order.

use super::partition::PartitionCheck;
use super::{Checker, Verdict, decided, replica};
use crate::client::consumer::Consumer;
use crate::client::{Aggregate, Fold, Producer};
use crate::node::{Note, NoteKind, Partition, TopicName};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::Batch;
use crate::sim::{Application, ProcessState, World};
use bytes::Bytes;
use std::sync::Arc;

type Partitions = OrderedMap<Partition, PartitionCheck>;

#[derive(Clone, Debug, Default)]
pub(super) struct Aggregates {
    /// How often each was started.
    begun: OrderedMap<Arc<str>, u32>,
    /// Producers that could not write something.
    failed: OrderedSet<String>,
    /// Topics that were deleted once.
    deleted: OrderedSet<TopicName>,
    /// Partitions whose log began later once; a start that was not written to disk goes back with a crash.
    cut: OrderedSet<Partition>,
}

/// An aggregate that runs, both of whose topics have all that they ever had.
struct Running<'a> {
    name: &'a Arc<str>,
    aggregate: &'a Aggregate,
    consumer: &'a Consumer,
    writer: &'a Arc<str>,
    producer: &'a Producer,
    table: &'a TopicName,
}

/// What the records of a key come to.
#[derive(Default)]
struct Folded {
    count: u64,
    is_deleted: bool,
    was_deleted: bool,
    partitions: OrderedSet<i32>,
}

impl Aggregates {
    pub fn note(&mut self, world: &World, note: &Note) {
        match &note.kind {
            NoteKind::CommandApplied { name: "addAggregate", target } => {
                *self.begun.or_default(target.clone()) += 1;
                if let Some(processor) = world.client(target).and_then(|client| client.processor.as_ref()) {
                    self.failed.remove(&*processor.producer);
                }
            }
            NoteKind::TopicDeleted { topic, .. } => _ = self.deleted.insert(topic.clone()),
            NoteKind::LogStartMoved { partition, .. } => _ = self.cut.insert(partition.clone()),
            NoteKind::RecordFailed { .. } if !self.begun.is_empty() => _ = self.failed.insert(world.name(note.node)),
            _ => {}
        }
    }

    fn running<'a>(&'a self, world: &'a World, partitions: &'a Partitions) -> impl Iterator<Item = Running<'a>> {
        let is_whole = move |topic: &TopicName| {
            let of = |(name, check): (&Partition, &PartitionCheck)| name.topic != *topic || !check.is_unclean();
            !self.deleted.contains(topic) && world.controller().image().topic(topic).is_some() && partitions.iter().all(of)
        };
        let running = move |name: &'a Arc<str>| {
            let client = world.client(name).filter(|client| client.state == ProcessState::Running)?;
            let (Application::Consumer { consumer, .. }, Some(processor)) = (&client.application, &client.processor) else { return None };
            let Application::Producer { producer, .. } = &world.client(&processor.producer)?.application else { return None };
            let (aggregate, table) = (processor.aggregate.as_deref()?, processor.topic());
            // Who began with brokers that were removed before it heard of others is lost.
            let knows_one = consumer.known_brokers().any(|broker| world.broker(broker).is_some());
            let is_sound = knows_one && consumer.error().is_none() && !consumer.is_paused();
            let source = aggregate.sources().first()?;
            let found = Running { name, aggregate, consumer, writer: &processor.producer, producer, table };
            (is_sound && is_whole(&source.topic) && is_whole(table)).then_some(found)
        };
        self.begun.keys().filter_map(running)
    }

    /// What an aggregate has yet to read or to write.
    pub fn undrained(&self, world: &World, partitions: &Partitions) -> Option<String> {
        self.running(world, partitions).find_map(|one| {
            let sources = one.aggregate.sources();
            let has_all = world.controller().image().topic(&sources[0].topic).is_some_and(|topic| topic.partitions.len() == sources.len());
            let end = |partition: &Partition| partitions.get(partition).map_or(0, PartitionCheck::committed_end);
            let behind = one.consumer.positions().find(|(partition, position)| position.is_none_or(|position| position < end(partition)));
            let name = one.name;
            if !one.aggregate.is_restored() {
                Some(format!("aggregate {name} has not read its table"))
            } else if !has_all {
                Some(format!("aggregate {name} reads {} partitions of {}", sources.len(), sources[0].topic))
            } else if let Some((partition, position)) = behind {
                Some(format!("aggregate {name} is at {position:?} of {partition}, which has {}", end(partition)))
            } else if one.producer.buffered() + one.producer.in_flight() != 0 {
                Some(format!("aggregate {name} has not written all of its table"))
            } else {
                None
            }
        })
    }

    /// A1, once everything has come to rest. Returns how many records were counted.
    pub fn in_full(&self, world: &World, partitions: &Partitions) -> Result<u64, (&'static str, String)> {
        let mut counted = 0;
        if self.begun.is_empty() || self.undrained(world, partitions).is_some() {
            return Ok(counted);
        }
        for one in self.running(world, partitions).filter(|one| one.aggregate.fold() == Fold::Count) {
            if !one.aggregate.sources().iter().all(|source| !self.cut.contains(source) && has_all(world, partitions, source)) {
                continue;
            }
            let folded = folded(partitions, one.aggregate.sources());
            counted += folded.values().map(|key| key.count).sum::<u64>();
            one.is_fold(&folded)?;
            if self.begun.get(one.name) == Some(&1) && !self.failed.contains(&**one.writer) {
                one.is_written(partitions)?;
            }
        }
        Ok(counted)
    }
}

impl Checker {
    /// What an application that keeps a table has yet to read or to write.
    pub fn undrained(&self, world: &World) -> Option<String> {
        self.aggregates.undrained(world, &self.partitions)
    }
}

impl Running<'_> {
    fn rows(&self) -> OrderedMap<&Bytes, &str> {
        self.aggregate.rows().collect()
    }

    fn is_fold(&self, folded: &OrderedMap<Bytes, Folded>) -> Verdict {
        let rows = self.rows();
        for (key, own) in folded.iter().filter(|(_, own)| !own.was_deleted || own.partitions.len() == 1) {
            let (expected, row) = ((!own.is_deleted).then(|| own.count.to_string()), rows.get(key).copied());
            if row != expected.as_deref() {
                let told = format!("aggregate {} has {row:?} for {key:?}, and its source says {expected:?}", self.name);
                return Err(("A1", told));
            }
        }
        match rows.keys().find(|key| !folded.contains_key(**key)) {
            Some(key) => Err(("A1", format!("aggregate {} has a row for {key:?}, of which its source says nothing", self.name))),
            None => Ok(()),
        }
    }

    /// The table's topic says the same as the rows.
    fn is_written(&self, partitions: &Partitions) -> Verdict {
        let mut written: OrderedMap<Bytes, Option<Bytes>> = OrderedMap::new();
        for (_, check) in partitions.iter().filter(|(name, _)| name.topic == *self.table) {
            records(check.committed_from(0), |key, value| _ = written.insert(key, value));
        }
        let rows = self.rows();
        for (key, value) in &written {
            let row = rows.get(key).copied();
            if row.map(str::as_bytes) != value.as_deref() {
                return Err(("A1", format!("the table {} has {value:?} for {key:?}, and aggregate {} {row:?}", self.table, self.name)));
            }
        }
        match rows.keys().find(|key| !written.contains_key(**key)) {
            Some(key) => Err(("A1", format!("the table {} has nothing for {key:?}, and aggregate {} a row", self.table, self.name))),
            None => Ok(()),
        }
    }
}

/// Whether all that was ever committed of a partition is there to be read.
fn has_all(world: &World, partitions: &Partitions, partition: &Partition) -> bool {
    let leader = decided(world, partition).and_then(|state| state.leader);
    let own = leader.and_then(|leader| replica(world, partition, leader));
    own.is_some_and(|own| own.log.start_offset() == 0) && partitions.get(partition).is_none_or(|check| check.compacted_end() == 0)
}

fn folded(partitions: &Partitions, sources: &[Partition]) -> OrderedMap<Bytes, Folded> {
    let mut folded: OrderedMap<Bytes, Folded> = OrderedMap::new();
    for source in sources {
        let batches = partitions.get(source).map_or(&[][..], |check| check.committed_from(0));
        records(batches, |key, value| {
            let own = folded.or_default(key);
            own.partitions.insert(source.index);
            own.is_deleted = value.is_none();
            own.was_deleted |= own.is_deleted;
            own.count = if own.is_deleted { 0 } else { own.count + 1 };
        });
    }
    folded
}

/// The keys and values of records that applications are given.
fn records(batches: &[Batch], mut each: impl FnMut(Bytes, Option<Bytes>)) {
    for batch in batches.iter().filter(|batch| batch.header().is_ok_and(|header| !header.is_control())) {
        for record in batch.uncompressed().records().flatten() {
            if let Some(key) = record.key {
                each(key, record.value);
            }
        }
    }
}
