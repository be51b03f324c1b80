//! Applications that consume, transform and produce, or keep a table of what they consume.
//!
//! Owns what one is made of: a consumer of its name, a producer beside it, and the settings that each of them gets. What it says to them is
//! [`crate::client::processor`]'s.

use super::apply::{CLIENTS_MAX, add_consumer, add_producer, checked_topic, free_name};
use super::command::{Configs, Refusal, TopicPartition};
use super::configs;
use super::sources::SourceSpec;
use crate::client::{Aggregate, Fold, Processor};
use crate::node::{Partition, TopicName};
use crate::protocol::ErrorCode;
use crate::protocol::settings::{self, Scope};
use crate::sim::{ProcessState, Trace, World};
use serde_json::Value;
use std::sync::Arc;

/// What a consumer of a processor with transactions is told, unless the settings say otherwise: what is not committed is not read, and only its
/// transactions commit.
const EXACTLY_ONCE: [(&str, &str); 2] = [("enable.auto.commit", "false"), ("isolation.level", "read_committed")];

pub fn add(
    world: &mut World,
    trace: &mut Trace,
    id: &str,
    (group, topics): (&str, &[String]),
    topic: &str,
    value: Option<&str>,
    processing_ms: Option<f64>,
    given: &Configs,
) -> Result<Value, Refusal> {
    let make = |writer, topic| Processor::new(writer, topic, value);
    start(world, trace, id, Source { group: Some(group), topics: Some(topics), ..Source::default() }, topic, processing_ms, given, &make)
}

/// What an aggregate knows by itself: where it goes on, and what it has counted already.
const NOT_OF_AGGREGATES: [(Scope, &str); 3] =
    [(Scope::Consumer, "group.id"), (Scope::Consumer, "group.protocol"), (Scope::Producer, "transactional.id")];

/// An application that keeps a table of what a topic says of each key. Partitions that its source gets later are read as soon as it hears of
/// them; those of the table when it starts again.
pub fn add_aggregate(
    world: &mut World,
    trace: &mut Trace,
    id: &str,
    (topic, table): (&str, &str),
    (fold, field): (Fold, Option<&str>),
    given: &Configs,
) -> Result<Value, Refusal> {
    if topic == table {
        return Err(Refusal::argument("table", "The table has a topic of its own."));
    }
    let partitions = |name: &str, at: &str| match world.controller().image().topic(name) {
        Some(known) => Ok(known.partitions.len() as i32),
        None => Err(Refusal::kafka(ErrorCode::UnknownTopicOrPartition, format!("There is no topic {name}.")).at(at)),
    };
    let (sources, rows) = (partitions(topic, "topic")?, partitions(table, "table")?);
    let is = |scope, given: &str, name| settings::lookup(scope, given).is_some_and(|known| known.name == name);
    for name in given.keys() {
        if NOT_OF_AGGREGATES.iter().any(|(scope, own)| is(*scope, name, *own)) {
            let sentence = format!("An aggregate goes on from its table, without a group or transactions: it has no {name}.");
            return Err(Refusal::argument(&format!("configs.{name}"), sentence));
        }
    }
    // All of the table and all of the source: what is read twice counts once.
    let mut given: Configs = given
        .iter()
        .filter(|(name, _)| !is(Scope::Consumer, name, "auto.offset.reset"))
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect();
    given.insert("auto.offset.reset".to_owned(), "earliest".to_owned());
    let name: TopicName = Arc::from(topic);
    let sources: Vec<Partition> = (0..sources).map(|index| Partition { topic: name.clone(), index }).collect();
    let rows: Vec<TopicPartition> = (0..rows).map(|partition| TopicPartition { topic: table.to_owned(), partition }).collect();
    let make = |writer, topic| Processor::of_aggregate(writer, topic, Aggregate::new(sources.clone(), fold, field));
    start(world, trace, id, Source { partitions: Some(&rows), ..Source::default() }, table, None, &given, &make)
}

/// What a processor reads: topics, as a member of a group, or partitions.
#[derive(Default)]
struct Source<'a> {
    group: Option<&'a str>,
    topics: Option<&'a [String]>,
    partitions: Option<&'a [TopicPartition]>,
}

/// The two clients of a processor start; `make` gets the producer's name and the topic that it writes to.
fn start(
    world: &mut World,
    trace: &mut Trace,
    id: &str,
    source: Source<'_>,
    topic: &str,
    processing_ms: Option<f64>,
    given: &Configs,
    make: &dyn Fn(Arc<str>, TopicName) -> Processor,
) -> Result<Value, Refusal> {
    let writer = format!("{id}-producer");
    // One that has crashed starts again.
    let is_free =
        |name: &str| world.client(name).is_some_and(|client| client.state == ProcessState::Crashed) || free_name(world, name).is_ok();
    for name in [id, &writer].into_iter().filter(|name| !is_free(name)) {
        free_name(world, name)?;
    }
    if CLIENTS_MAX < world.clients().count() + 2 {
        return Err(Refusal::argument("id", format!("A session has {CLIENTS_MAX} clients at the most, and a processor is two.")));
    }
    checked_topic(topic)?;
    let is_of = |scope: Scope| move |(name, _): &(&String, &String)| settings::lookup(scope, name).is_some();
    let of = |scope: Scope| given.iter().filter(is_of(scope)).map(|(name, text)| (name.clone(), text.clone())).collect::<Configs>();
    let (mut reads, writes) = (of(Scope::Consumer), of(Scope::Producer));
    let unknown = given.iter().filter(|setting| !is_of(Scope::Consumer)(setting) && !is_of(Scope::Producer)(setting));
    reads.extend(unknown.map(|(name, text)| (name.clone(), text.clone())));
    if configs::producer(world, &writes)?.config.transactions.is_some() {
        for (name, text) in EXACTLY_ONCE {
            if reads.keys().all(|given| settings::lookup(Scope::Consumer, given).is_none_or(|known| known.name != name)) {
                reads.insert(name.to_owned(), text.to_owned());
            }
        }
    }
    add_consumer(world, trace, id, source.group, (source.topics, source.partitions, None), processing_ms, &reads)?;
    world.forget_name(&writer);
    add_producer(world, trace, &writer, topic, &SourceSpec::default(), &writes)?;
    world.add_processor(&Arc::from(id), make(Arc::from(writer), Arc::from(topic)), trace);
    Ok(Value::Null)
}
