//! What each command does to the world, and why it may be refused.
//!
//! Everything is checked before anything changes. Refusals of Kafka's own (topics, settings) come from where Kafka's come.

use super::command::{Command, CommitOffset, ConfigResource, Configs, Refusal, SeekEdge, SeekTo, TopicPartition};
use super::configs::Warning;
use super::sources::{self, SourceSpec};
use super::written::Object;
use super::{brokers, configs, faults, groups, import, processors, topics, transactions};
use crate::broker::EARLIEST_TIMESTAMP;
use crate::broker::LATEST_TIMESTAMP;
use crate::client::consumer::{Reads, SeekTarget};
use crate::client::producer::Outgoing;
use crate::client::transactions::Call;
use crate::client::{Consumer, Producer, Table};
use crate::node::{MS, NodeId, Note, NoteKind, Outputs, Partition, Time};
use crate::protocol::text::decimal;
use crate::protocol::{Dialect, ErrorCode, TopicPattern, validate_topic_name};
use crate::sim::{Application, ClientNode, ProcessState, Trace, World};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

/// The producer that `send` and `import` use when none is named.
pub const DEFAULT_PRODUCER: &str = "console-producer";
/// Clients at one time, at the most.
pub(super) const CLIENTS_MAX: usize = 500;
/// Characters of a client's id, at the most.
const ID_MAX: usize = 200;

/// Applies a command. Returns what the automation interface promises for it, null for most.
pub fn apply(world: &mut World, trace: &mut Trace, command: &Command) -> Result<Value, Refusal> {
    match command {
        Command::CreateTopic { name, partitions, replication_factor, configs } => {
            topics::create_topic(world, trace, name, *partitions, *replication_factor, configs)
        }
        Command::DeleteTopic { name } => topics::delete_topic(world, trace, name),
        Command::AlterConfigs { resource, name, set, delete } => topics::alter_configs(world, trace, *resource, name, set, delete),
        Command::AlterClientQuotas { user, client_id, set, delete } => {
            topics::alter_client_quotas(world, trace, user.as_deref(), client_id.as_deref(), set, delete)
        }
        Command::CreatePartitions { topic, partitions } => topics::create_partitions(world, trace, topic, *partitions),
        Command::DeleteRecords { topic, partition, before_offset } => {
            topics::delete_records(world, trace, topic, *partition, *before_offset)
        }
        Command::ElectLeader { topic, partition, unclean } => topics::elect_leader(world, trace, topic, *partition, *unclean == Some(true)),
        Command::Reassign { topic, partition, replicas } => topics::reassign(world, trace, topic, *partition, replicas.as_deref()),
        Command::AddProducer { id, topic, records_per_second, keys, key_distribution, value, change_data_capture, configs } => {
            let spec = SourceSpec {
                rate: *records_per_second,
                keys,
                distribution: *key_distribution,
                template: value.as_deref(),
                captures: *change_data_capture == Some(true),
            };
            add_producer(world, trace, id, topic, &spec, configs)
        }
        Command::ChangeRow { producer, key, value } => sources::change_row(world, trace, producer, &key.0, value.as_deref()),
        Command::RemoveProducer { id } => remove_producer(world, trace, id),
        Command::Send { producer, topic, key, value, headers, partition, timestamp } => {
            let headers = headers.iter().map(|(name, value)| (Bytes::from(name.clone()), value.clone().map(|text| text.0)));
            let record = Outgoing {
                key: key.clone().map(|text| text.0),
                value: value.clone().map(|text| text.0),
                headers: headers.collect(),
                partition: *partition,
                timestamp: *timestamp,
            };
            send(world, trace, producer.as_deref(), topic, record)
        }
        Command::Import { topic, format, text, key_field } => {
            checked_topic(topic)?;
            let (records, rejected) = import::parse(*format, text, key_field.as_deref())?;
            let queued = records.len();
            let records: Vec<Outgoing> = records
                .into_iter()
                .map(|record| Outgoing {
                    key: record.key,
                    value: Some(record.value),
                    headers: Vec::new(),
                    partition: None,
                    timestamp: None,
                })
                .collect();
            if queued != 0 {
                let name = default_producer(world, trace, topic)?;
                let topic: Arc<str> = Arc::from(topic.as_str());
                with_producer(world, trace, &name, |now, producer, out| producer.send_all(now, &topic, records.into_iter(), out));
            }
            Ok(Object::of([("queued", queued.into()), ("rejected", rejected.into())]))
        }
        Command::AddConsumer { id, group, topics, partitions, pattern, processing_ms, configs } => {
            let asked = (topics.as_deref(), partitions.as_deref(), pattern.as_deref());
            add_consumer(world, trace, id, group.as_deref(), asked, *processing_ms, configs)
        }
        Command::AddProcessor { id, group, topics, topic, value, processing_ms, configs } => {
            processors::add(world, trace, id, (group, topics), topic, value.as_deref(), *processing_ms, configs)
        }
        Command::AddAggregate { id, topic, table, fold, field, configs } => {
            processors::add_aggregate(world, trace, id, (topic, table), (*fold, field.as_deref()), configs)
        }
        Command::RemoveConsumer { id } => {
            let (client, _) = consumer(world, id, "id")?;
            let writer = client.processor.as_ref().map(|processor| processor.producer.clone());
            with_consumer(world, trace, id, |now, consumer, out| consumer.close(now, out));
            world.forget_name(id);
            if let Some(name) = writer {
                with_producer(world, trace, &name, |now, producer, out| producer.close(now, out));
                world.forget_name(&name);
            }
            Ok(Value::Null)
        }
        Command::CrashConsumer { id } => {
            running_consumer(world, id, "id")?;
            world.crash_client(id);
            Ok(Value::Null)
        }
        Command::PauseConsumer { id } | Command::ResumeConsumer { id } => {
            let (consumer, pause) = (running_consumer(world, id, "id")?, matches!(command, Command::PauseConsumer { .. }));
            // As in Kafka, to pause what is paused is no mistake.
            if consumer.is_paused() != pause {
                with_consumer(world, trace, id, |now, consumer, out| consumer.set_paused(now, pause, out));
            }
            Ok(Value::Null)
        }
        Command::Commit { consumer, offsets } => commit(world, trace, consumer, offsets.as_deref()),
        Command::Seek { consumer, topic, partition, to } => seek(world, trace, consumer, topic, *partition, *to),
        Command::Flush { producer: id } => {
            producer(world, id, "producer")?;
            with_producer(world, trace, id, |now, producer, out| producer.flush(now, out));
            Ok(Value::Null)
        }
        Command::BeginTransaction { producer } => transactions::call(world, trace, producer, Call::Begin),
        Command::CommitTransaction { producer } => transactions::call(world, trace, producer, Call::End { commit: true }),
        Command::AbortTransaction { producer } => transactions::call(world, trace, producer, Call::End { commit: false }),
        Command::SendOffsetsToTransaction { producer, consumer } => transactions::send_offsets(world, trace, producer, consumer),
        Command::ResetOffsets { group, topic, partition, to } => groups::reset_offsets(world, trace, group, topic, *partition, *to),
        Command::MoveCoordinator { group, transactional_id, broker } => {
            groups::move_coordinator(world, trace, group.as_deref(), transactional_id.as_deref(), *broker)
        }
        Command::AddBroker { broker, rack } => brokers::add_broker(world, trace, *broker, rack.as_deref()),
        Command::RemoveBroker { broker } => brokers::remove_broker(world, trace, *broker),
        fault => faults::apply(world, trace, fault),
    }
}

pub(super) fn add_producer(
    world: &mut World,
    trace: &mut Trace,
    id: &str,
    topic: &str,
    spec: &SourceSpec<'_>,
    given: &Configs,
) -> Result<Value, Refusal> {
    free_name(world, id)?;
    checked_topic(topic)?;
    let chance = world.client_chance();
    let topic: Arc<str> = Arc::from(topic);
    let generator = sources::generator(world.now(), spec, chance.fork(1))?;
    let client = configs::producer(world, given)?;
    let name: Arc<str> = Arc::from(id);
    let generator = generator.map(|generator| (topic.clone(), generator.of_client(name.clone(), client.config.start_timestamp)));
    let table = spec.captures.then(|| Table::new(chance.fork(3)));
    let mut producer = Producer::new(name.clone(), world.broker_ids(), client.config, generator, chance);
    if let Some(table) = table {
        producer = producer.capturing(table);
    }
    add_client(world, trace, name, Application::Producer { topic, producer: Box::new(producer), configs: client.shown }, client.warnings);
    Ok(Value::Null)
}

fn remove_producer(world: &mut World, trace: &mut Trace, id: &str) -> Result<Value, Refusal> {
    producer(world, id, "id")?;
    with_producer(world, trace, id, |now, producer, out| producer.close(now, out));
    world.forget_name(id);
    Ok(Value::Null)
}

fn send(world: &mut World, trace: &mut Trace, named: Option<&str>, topic: &str, record: Outgoing) -> Result<Value, Refusal> {
    checked_topic(topic)?;
    if let Some(id) = named {
        producer(world, id, "producer")?;
    }
    if record.timestamp.is_some_and(|timestamp| timestamp < 0) {
        return Err(Refusal::kafka(ErrorCode::InvalidTimestamp, "A timestamp is not negative.").at("timestamp"));
    }
    if let Some(index) = record.partition {
        let count = world.controller().image().topic(topic).map(|known| known.partitions.len() as i32);
        if index < 0 || count.is_some_and(|count| count <= index) {
            let sentence = count.map_or(format!("There is no partition {index}."), |count| {
                format!("{topic} has partitions 0 to {}, not {index}.", count - 1)
            });
            return Err(Refusal::kafka(ErrorCode::UnknownTopicOrPartition, sentence).at("partition"));
        }
    }
    let name = match named {
        Some(id) => id.to_owned(),
        None => default_producer(world, trace, topic)?,
    };
    let topic: Arc<str> = Arc::from(topic);
    transactions::checked_send(world, &name, &topic, &record)?;
    with_producer(world, trace, &name, |now, producer, out| producer.send(now, &topic, record, out));
    Ok(Value::Null)
}

/// Makes the default producer on first use. One request in flight: a retry must not change the order.
fn default_producer(world: &mut World, trace: &mut Trace, topic: &str) -> Result<String, Refusal> {
    if world.client(DEFAULT_PRODUCER).is_none() {
        let given = Configs::from_iter([("max.in.flight.requests.per.connection".to_owned(), "1".to_owned())]);
        add_producer(world, trace, DEFAULT_PRODUCER, topic, &SourceSpec::default(), &given)?;
    }
    producer(world, DEFAULT_PRODUCER, "producer")?;
    Ok(DEFAULT_PRODUCER.to_owned())
}

pub(super) fn add_consumer(
    world: &mut World,
    trace: &mut Trace,
    id: &str,
    group: Option<&str>,
    asked: (Option<&[String]>, Option<&[TopicPartition]>, Option<&str>),
    processing_ms: Option<f64>,
    given: &Configs,
) -> Result<Value, Refusal> {
    if world.client(id).is_none_or(|client| client.state == ProcessState::Running) {
        free_name(world, id)?;
    }
    let reads = match asked {
        (Some(topics), None, None) if !topics.is_empty() => {
            for (place, topic) in topics.iter().enumerate() {
                checked_topic(topic).map_err(|refusal| refusal.at(&format!("topics[{place}]")))?;
            }
            Reads::Subscribed(topics.iter().map(|topic| Arc::from(topic.as_str())).collect())
        }
        (None, Some(partitions), None) if !partitions.is_empty() => {
            for (place, TopicPartition { topic, partition }) in partitions.iter().enumerate() {
                checked_topic(topic).map_err(|refusal| refusal.at(&format!("partitions[{place}].topic")))?;
                if *partition < 0 {
                    let refusal = Refusal::kafka(ErrorCode::UnknownTopicOrPartition, format!("There is no partition {partition}."));
                    return Err(refusal.at(&format!("partitions[{place}].partition")));
                }
            }
            Reads::Assigned(partitions.iter().map(|p| Partition { topic: Arc::from(p.topic.as_str()), index: p.partition }).collect())
        }
        (None, None, Some("")) => return Err(Refusal::argument("pattern", "Topic pattern to subscribe to cannot be empty")),
        (None, None, Some(pattern)) => Reads::Matching(Arc::from(pattern)),
        _ => {
            return Err(Refusal::argument(
                "topics",
                "A consumer reads topics (named, or those that match a pattern; shared by its group) or partitions (its own choice): name one of them.",
            ));
        }
    };
    let processing_ms = processing_ms.unwrap_or(0.0);
    if !(0.0..=3_600_000.0).contains(&processing_ms) {
        return Err(Refusal::argument(
            "processingMs",
            format!("Processing takes 0 to 3600000 ms per record, not {}.", decimal(processing_ms)),
        ));
    }
    let processing = (processing_ms * MS as f64).round() as Time;
    let client = configs::consumer(world, given, group, processing)?;
    let subscribes = !matches!(reads, Reads::Assigned(_));
    if subscribes && client.config.group.is_none() {
        return Err(Refusal::kafka(ErrorCode::InvalidGroupId, "To subscribe to topics, a consumer needs a group.").at("group"));
    }
    if client.config.shares && !matches!(reads, Reads::Subscribed(_)) {
        let field = if subscribes { "pattern" } else { "partitions" };
        return Err(Refusal::argument(field, "A share consumer subscribes to topics by their names: its group says who reads what."));
    }
    if subscribes && client.config.assignors.is_empty() {
        let sentence = "Must configure at least one partition assigner class name to partition.assignment.strategy configuration property";
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at("configs.partition.assignment.strategy"));
    }
    if let Reads::Matching(pattern) = &reads
        && !client.config.reports
    {
        // A broker says itself what it cannot read.
        let readable = TopicPattern::parse(pattern, Dialect::Java);
        readable.map_err(|error| Refusal::argument("pattern", format!("`{pattern}` cannot be read: {error}.")))?;
    }
    world.forget_name(id);
    let name: Arc<str> = Arc::from(id);
    let consumer = Consumer::new(name.clone(), world.broker_ids(), client.config, reads, world.client_chance());
    add_client(world, trace, name, Application::Consumer { consumer: Box::new(consumer), configs: client.shown }, client.warnings);
    Ok(Value::Null)
}

/// A client starts; it warns of the settings that it does not know or has no use for.
fn add_client(world: &mut World, trace: &mut Trace, name: Arc<str>, application: Application, warnings: Vec<Warning>) {
    warn(world.now(), trace, &name, warnings);
    world.add_client(name, application, trace);
}

/// Says of settings that were given to somebody that nothing comes of them.
pub(super) fn warn(now: Time, trace: &mut Trace, whose: &Arc<str>, warnings: Vec<Warning>) {
    for warning in warnings {
        let client = whose.clone();
        let kind = match warning {
            Warning::Unknown { setting, nearest } => NoteKind::SettingUnknown { client, setting: Arc::from(setting), nearest },
            Warning::WithoutEffect(setting) => NoteKind::SettingWithoutEffect { client, setting },
            Warning::NotIdempotent { setting, value } => NoteKind::IdempotenceDisabled { client, setting, value: Arc::from(value) },
        };
        trace.push(Note { time: now, node: NodeId::Admin, kind });
    }
}

fn commit(world: &mut World, trace: &mut Trace, id: &str, offsets: Option<&[CommitOffset]>) -> Result<Value, Refusal> {
    let reader = running_consumer(world, id, "consumer")?;
    if reader.config().group.is_none() {
        return Err(Refusal::kafka(ErrorCode::InvalidGroupId, format!("Consumer {id} has no group to commit for.")).at("consumer"));
    }
    if reader.config().shares && offsets.is_some() {
        return Err(Refusal::argument("offsets", format!("Share consumer {id} commits what it has acknowledged, and no offsets.")));
    }
    let mut all = offsets.iter().flat_map(|offsets| offsets.iter()).enumerate();
    if let Some((place, wrong)) = all.find(|(_, offset)| offset.offset < 0) {
        return Err(Refusal::argument(
            &format!("offsets[{place}].offset"),
            format!("A committed offset is not negative: {}.", wrong.offset),
        ));
    }
    let offset = |o: &CommitOffset| {
        (Partition { topic: Arc::from(o.topic.as_str()), index: o.partition }, o.offset, o.metadata.clone().unwrap_or_default())
    };
    let offsets = offsets.map(|offsets| offsets.iter().map(offset).collect());
    with_consumer(world, trace, id, |now, consumer, out| consumer.commit(now, offsets, out));
    Ok(Value::Null)
}

fn seek(world: &mut World, trace: &mut Trace, id: &str, topic: &str, index: i32, to: SeekTo) -> Result<Value, Refusal> {
    let reader = running_consumer(world, id, "consumer")?;
    let partition = Partition { topic: Arc::from(topic), index };
    if !reader.positions().any(|(own, _)| *own == partition) {
        return Err(Refusal::argument("partition", format!("Consumer {id} is not assigned {partition}.")));
    }
    let target = match to {
        SeekTo::Offset(offset) if offset < 0 => return Err(Refusal::argument("to", format!("An offset is not negative: {offset}."))),
        SeekTo::Offset(offset) => SeekTarget::Offset(offset),
        SeekTo::Edge(SeekEdge::Beginning) => SeekTarget::Timestamp(EARLIEST_TIMESTAMP),
        SeekTo::Edge(SeekEdge::End) => SeekTarget::Timestamp(LATEST_TIMESTAMP),
        SeekTo::Timestamp { timestamp } if timestamp < 0 => return Err(Refusal::argument("to.timestamp", "A timestamp is not negative.")),
        SeekTo::Timestamp { timestamp } => SeekTarget::Timestamp(timestamp),
    };
    with_consumer(world, trace, id, |now, consumer, out| consumer.seek(now, &partition, target, out));
    Ok(Value::Null)
}

pub(super) fn checked_topic(name: &str) -> Result<(), Refusal> {
    validate_topic_name(name).map_err(|error| Refusal::kafka(ErrorCode::InvalidTopicException, error.to_string()).at("topic"))
}

pub(super) fn free_name(world: &World, id: &str) -> Result<(), Refusal> {
    let printable = |character: char| !character.is_control();
    if id.is_empty() || ID_MAX < id.chars().count() || !id.chars().all(printable) {
        return Err(Refusal::argument("id", format!("A client's id has 1 to {ID_MAX} printable characters.")));
    }
    if world.client(id).is_some() {
        return Err(Refusal::argument("id", format!("There is a client {id} already.")));
    }
    if CLIENTS_MAX <= world.clients().count() {
        return Err(Refusal::argument("id", format!("A session has {CLIENTS_MAX} clients at the most.")));
    }
    Ok(())
}

pub(super) fn producer<'a>(world: &'a World, id: &str, field: &str) -> Result<&'a ClientNode, Refusal> {
    let is_producer = |client: &&ClientNode| matches!(client.application, Application::Producer { .. });
    let client = world.client(id).filter(is_producer).ok_or_else(|| Refusal::argument(field, format!("There is no producer {id}.")))?;
    match &client.serves {
        Some(processor) => Err(Refusal::argument(field, format!("Producer {id} is processor {processor}'s own, and does what that says."))),
        None => Ok(client),
    }
}

fn consumer<'a>(world: &'a World, id: &str, field: &str) -> Result<(&'a ClientNode, &'a Consumer), Refusal> {
    match world.client(id) {
        Some(client @ ClientNode { application: Application::Consumer { consumer, .. }, .. }) => Ok((client, consumer)),
        _ => Err(Refusal::kafka(ErrorCode::UnknownMemberId, format!("There is no consumer {id}.")).at(field)),
    }
}

pub(super) fn running_consumer<'a>(world: &'a World, id: &str, field: &str) -> Result<&'a Consumer, Refusal> {
    let (client, consumer) = consumer(world, id, field)?;
    if client.state == ProcessState::Crashed {
        return Err(Refusal::kafka(ErrorCode::UnknownMemberId, format!("Consumer {id} has crashed.")).at(field));
    }
    Ok(consumer)
}

pub(super) fn with_producer(world: &mut World, trace: &mut Trace, id: &str, act: impl FnOnce(Time, &mut Producer, &mut Outputs)) {
    let mut act = Some(act);
    with_application(world, trace, id, &mut |now, application, out| {
        if let (Application::Producer { producer, .. }, Some(act)) = (application, act.take()) {
            act(now, producer, out);
        }
    });
}

fn with_consumer<R>(world: &mut World, trace: &mut Trace, id: &str, act: impl FnOnce(Time, &mut Consumer, &mut Outputs) -> R) {
    let mut act = Some(act);
    with_application(world, trace, id, &mut |now, application, out| {
        if let (Application::Consumer { consumer, .. }, Some(act)) = (application, act.take()) {
            act(now, consumer, out);
        }
    });
}

/// The one copy of what a world does around an act, for all of them.
#[inline(never)]
fn with_application(world: &mut World, trace: &mut Trace, id: &str, act: &mut dyn FnMut(Time, &mut Application, &mut Outputs)) {
    world.act(id, trace, act);
}

impl Command {
    /// The command's name in the automation interface.
    pub fn name(&self) -> &'static str {
        match self {
            Command::CreateTopic { .. } => "createTopic",
            Command::DeleteTopic { .. } => "deleteTopic",
            Command::AlterConfigs { .. } => "alterConfigs",
            Command::AlterClientQuotas { .. } => "alterClientQuotas",
            Command::CreatePartitions { .. } => "createPartitions",
            Command::DeleteRecords { .. } => "deleteRecords",
            Command::ElectLeader { .. } => "electLeader",
            Command::Reassign { .. } => "reassign",
            Command::AddProducer { .. } => "addProducer",
            Command::ChangeRow { .. } => "changeRow",
            Command::RemoveProducer { .. } => "removeProducer",
            Command::Send { .. } => "send",
            Command::Import { .. } => "import",
            Command::AddConsumer { .. } => "addConsumer",
            Command::AddProcessor { .. } => "addProcessor",
            Command::AddAggregate { .. } => "addAggregate",
            Command::RemoveConsumer { .. } => "removeConsumer",
            Command::CrashConsumer { .. } => "crashConsumer",
            Command::PauseConsumer { .. } => "pauseConsumer",
            Command::ResumeConsumer { .. } => "resumeConsumer",
            Command::Commit { .. } => "commit",
            Command::Seek { .. } => "seek",
            Command::Flush { .. } => "flush",
            Command::BeginTransaction { .. } => "beginTransaction",
            Command::CommitTransaction { .. } => "commitTransaction",
            Command::AbortTransaction { .. } => "abortTransaction",
            Command::SendOffsetsToTransaction { .. } => "sendOffsetsToTransaction",
            Command::ResetOffsets { .. } => "resetOffsets",
            Command::MoveCoordinator { .. } => "moveCoordinator",
            Command::CrashBroker { .. } => "crashBroker",
            Command::RestartBroker { .. } => "restartBroker",
            Command::CrashController { .. } => "crashController",
            Command::RestartController { .. } => "restartController",
            Command::PowerLoss { .. } => "powerLoss",
            Command::StopBroker { .. } => "stopBroker",
            Command::RemoveBroker { .. } => "removeBroker",
            Command::AddBroker { .. } => "addBroker",
            Command::FreezeBroker { .. } => "freezeBroker",
            Command::SlowDisk { .. } => "slowDisk",
            Command::SkewClock { .. } => "skewClock",
            Command::SetLink { .. } => "setLink",
            Command::MessageFault { .. } => "messageFault",
            Command::DropNext { .. } => "dropNext",
        }
    }

    /// What it acts on, as text.
    pub fn target(&self) -> String {
        match self {
            Command::AlterConfigs { resource: ConfigResource::Broker, name, .. } if name.is_empty() => "all brokers".to_owned(),
            Command::AlterConfigs { resource: ConfigResource::Broker, name, .. } => format!("broker {name}"),
            Command::AlterClientQuotas { user, client_id, .. } => {
                let named = [user, client_id].into_iter().flatten().map(String::as_str).collect::<Vec<&str>>();
                format!("quotas of {}", named.join(", "))
            }
            Command::CreateTopic { name, .. } | Command::DeleteTopic { name } | Command::AlterConfigs { name, .. } => name.clone(),
            Command::AddProducer { id, .. }
            | Command::RemoveProducer { id }
            | Command::AddConsumer { id, .. }
            | Command::AddProcessor { id, .. }
            | Command::AddAggregate { id, .. }
            | Command::RemoveConsumer { id }
            | Command::CrashConsumer { id }
            | Command::PauseConsumer { id }
            | Command::ResumeConsumer { id } => id.clone(),
            Command::Send { topic, .. }
            | Command::CreatePartitions { topic, .. }
            | Command::DeleteRecords { topic, .. }
            | Command::ElectLeader { topic, .. }
            | Command::Reassign { topic, .. }
            | Command::Import { topic, .. } => topic.clone(),
            Command::Commit { consumer, .. } | Command::Seek { consumer, .. } => consumer.clone(),
            Command::ChangeRow { producer, .. }
            | Command::Flush { producer }
            | Command::BeginTransaction { producer }
            | Command::CommitTransaction { producer }
            | Command::AbortTransaction { producer }
            | Command::SendOffsetsToTransaction { producer, .. } => producer.clone(),
            Command::ResetOffsets { group, .. } => group.clone(),
            Command::MoveCoordinator { group, transactional_id, .. } => {
                group.as_ref().or(transactional_id.as_ref()).cloned().unwrap_or_default()
            }
            Command::AddBroker { broker, .. } => broker.map_or_else(|| "broker".to_owned(), |broker| format!("broker {broker}")),
            fault => faults::target(fault),
        }
    }
}
