//! Commands and saved sessions into JSON: the other half of [`super::parse`].
//!
//! Owns the JSON forms. What is absent is left out, and so are settings, keys and headers when there are none; but a record's key and value, and
//! the replicas of a move that is taken back, are written as `null`, which means something.

use super::command::{
    Cluster, Command, CommitOffset, Configs, ImportFormat, MessagePart, ResetTo, SeekEdge, SeekTo, TimedCommand, TopicPartition,
};
use super::import::Rejected;
use crate::client::KeyDistribution;
use crate::protocol::text::Text;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// An object being written, field by field. Neither [`serde_json::json`] nor a collected map: the one brings serde's writer of values along,
/// the other a merge sort.
#[derive(Default)]
pub struct Object(Map<String, Value>);

impl Object {
    /// An object of fields that are all there.
    pub fn of<const N: usize>(fields: [(&str, Value); N]) -> Value {
        let mut object = Object::default();
        for (name, value) in fields {
            object.insert(name, value);
        }
        Value::Object(object.0)
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.insert(name, value.into());
    }

    fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.insert(name, value.into());
        }
    }

    fn put_configs(&mut self, configs: &Configs) {
        self.put_settings("configs", configs);
    }

    fn put_settings(&mut self, field: &str, configs: &Configs) {
        if !configs.is_empty() {
            let mut object = Object::default();
            for (name, value) in configs {
                object.put(name, value.as_str());
            }
            self.insert(field, Value::Object(object.0));
        }
    }

    #[inline(never)]
    fn insert(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }
}

impl Command {
    /// The command as an object with its name as `type`.
    pub fn to_value(&self) -> Value {
        let mut object = Object::default();
        object.put("type", self.name());
        match self {
            Command::CreateTopic { name, partitions, replication_factor, configs } => {
                object.put("name", name.as_str());
                object.put("partitions", *partitions);
                object.put("replicationFactor", *replication_factor);
                object.put_configs(configs);
            }
            Command::DeleteTopic { name } => object.put("name", name.as_str()),
            Command::AlterConfigs { resource, name, set, delete } => {
                object.put("resource", resource.name());
                object.put("name", name.as_str());
                object.put_settings("set", set);
                object.put_some("delete", Some(delete.as_slice()).filter(|names| !names.is_empty()));
            }
            Command::AlterClientQuotas { user, client_id, set, delete } => {
                object.put_some("user", user.as_deref());
                object.put_some("clientId", client_id.as_deref());
                object.put_settings("set", set);
                object.put_some("delete", Some(delete.as_slice()).filter(|names| !names.is_empty()));
            }
            Command::CreatePartitions { topic, partitions } => {
                object.put("topic", topic.as_str());
                object.put("partitions", *partitions);
            }
            Command::DeleteRecords { topic, partition, before_offset } => {
                object.put("topic", topic.as_str());
                object.put("partition", *partition);
                object.put("beforeOffset", *before_offset);
            }
            Command::ElectLeader { topic, partition, unclean } => {
                object.put("topic", topic.as_str());
                object.put("partition", *partition);
                object.put_some("unclean", *unclean);
            }
            Command::Reassign { topic, partition, replicas } => {
                object.put("topic", topic.as_str());
                object.put("partition", *partition);
                object.put("replicas", replicas.as_deref());
            }
            Command::AddProducer { id, topic, records_per_second, keys, key_distribution, value, change_data_capture, configs } => {
                object.put("id", id.as_str());
                object.put("topic", topic.as_str());
                object.put_some("recordsPerSecond", *records_per_second);
                object.put_some("keys", Some(keys.as_slice()).filter(|keys| !keys.is_empty()));
                object.put_some("keyDistribution", key_distribution.map(KeyDistribution::name));
                object.put_some("value", value.as_deref());
                object.put_some("changeDataCapture", *change_data_capture);
                object.put_configs(configs);
            }
            Command::ChangeRow { producer, key, value } => {
                object.put("producer", producer.as_str());
                object.put("key", key);
                object.put("value", value.as_deref());
            }
            Command::Send { producer, topic, key, value, headers, partition, timestamp } => {
                object.put_some("producer", producer.as_deref());
                object.put("topic", topic.as_str());
                object.put("key", key.as_ref());
                object.put("value", value.as_ref());
                object.put_some("headers", Some(headers.iter().map(header).collect::<Value>()).filter(|_| !headers.is_empty()));
                object.put_some("partition", *partition);
                object.put_some("timestamp", *timestamp);
            }
            Command::Import { topic, format, text, key_field } => {
                let format = match format {
                    ImportFormat::Jsonl => "jsonl",
                    ImportFormat::Csv => "csv",
                };
                object.put("topic", topic.as_str());
                object.put("format", format);
                object.put("text", &**text);
                object.put_some("keyField", key_field.as_deref());
            }
            Command::AddConsumer { id, group, topics, partitions, pattern, processing_ms, configs } => {
                object.put("id", id.as_str());
                object.put_some("group", group.as_deref());
                object.put_some("topics", topics.as_deref());
                object.put_some("partitions", partitions.as_deref());
                object.put_some("pattern", pattern.as_deref());
                object.put_some("processingMs", *processing_ms);
                object.put_configs(configs);
            }
            Command::AddProcessor { id, group, topics, topic, value, processing_ms, configs } => {
                object.put("id", id.as_str());
                object.put("group", group.as_str());
                object.put("topics", topics.as_slice());
                object.put("topic", topic.as_str());
                object.put_some("value", value.as_deref());
                object.put_some("processingMs", *processing_ms);
                object.put_configs(configs);
            }
            Command::AddAggregate { id, topic, table, fold, field, configs } => {
                object.put("id", id.as_str());
                object.put("topic", topic.as_str());
                object.put("table", table.as_str());
                object.put("function", fold.name());
                object.put_some("field", field.as_deref());
                object.put_configs(configs);
            }
            Command::RemoveProducer { id }
            | Command::RemoveConsumer { id }
            | Command::CrashConsumer { id }
            | Command::PauseConsumer { id }
            | Command::ResumeConsumer { id } => object.put("id", id.as_str()),
            Command::Commit { consumer, offsets } => {
                object.put("consumer", consumer.as_str());
                object.put_some("offsets", offsets.as_deref());
            }
            Command::Seek { consumer, topic, partition, to } => {
                object.put("consumer", consumer.as_str());
                object.put("topic", topic.as_str());
                object.put("partition", *partition);
                object.put("to", *to);
            }
            Command::Flush { producer }
            | Command::BeginTransaction { producer }
            | Command::CommitTransaction { producer }
            | Command::AbortTransaction { producer } => {
                object.put("producer", producer.as_str());
            }
            Command::SendOffsetsToTransaction { producer, consumer } => {
                object.put("producer", producer.as_str());
                object.put("consumer", consumer.as_str());
            }
            Command::ResetOffsets { group, topic, partition, to } => {
                object.put("group", group.as_str());
                object.put("topic", topic.as_str());
                object.put_some("partition", *partition);
                object.put("to", *to);
            }
            Command::MoveCoordinator { group, transactional_id, broker } => {
                object.put_some("group", group.as_deref());
                object.put_some("transactionalId", transactional_id.as_deref());
                object.put("broker", *broker);
            }
            Command::CrashBroker { broker }
            | Command::RestartBroker { broker }
            | Command::PowerLoss { broker }
            | Command::StopBroker { broker }
            | Command::RemoveBroker { broker } => object.put("broker", *broker),
            Command::AddBroker { broker, rack } => {
                object.put_some("broker", *broker);
                object.put_some("rack", rack.as_deref());
            }
            Command::CrashController { controller } | Command::RestartController { controller } => object.put("controller", *controller),
            Command::FreezeBroker { broker, ms } => {
                object.put("broker", *broker);
                object.put("ms", *ms);
            }
            Command::SlowDisk { broker, factor } => {
                object.put("broker", *broker);
                object.put("factor", *factor);
            }
            Command::SkewClock { broker, ms } => {
                object.put("broker", *broker);
                object.put("ms", *ms);
            }
            Command::SetLink { from, to, latency_ms, bytes_per_second, cut, odds } => {
                object.put("from", from.as_str());
                object.put("to", to.as_str());
                object.put_some("latencyMs", *latency_ms);
                object.put_some("bytesPerSecond", *bytes_per_second);
                object.put_some("cut", *cut);
                object.put_some("dropRatio", odds.drop_ratio);
                object.put_some("duplicateRatio", odds.duplicate_ratio);
                object.put_some("delayRatio", odds.delay_ratio);
                object.put_some("delayMs", odds.delay_ms);
            }
            Command::MessageFault { message, action, delay_ms } => {
                object.put("message", *message);
                object.put("action", action.name());
                object.put_some("delayMs", *delay_ms);
            }
            Command::DropNext { api, broker, what } => {
                let what = what.map(|what| match what {
                    MessagePart::Request => "request",
                    MessagePart::Response => "response",
                });
                object.put("api", api.as_str());
                object.put_some("broker", *broker);
                object.put_some("what", what);
            }
        }
        Value::Object(object.0)
    }
}

fn header((name, value): &(String, Option<Text>)) -> Value {
    Value::from([Value::from(name.as_str()), Value::from(value.as_ref())])
}

impl From<&Text> for Value {
    fn from(text: &Text) -> Value {
        match text.as_str() {
            Some(text) => Value::from(text),
            None => Object::of([("base64", text.to_base64().into())]),
        }
    }
}

impl From<TopicPartition> for Value {
    fn from(partition: TopicPartition) -> Value {
        Object::of([("topic", partition.topic.into()), ("partition", partition.partition.into())])
    }
}

impl From<CommitOffset> for Value {
    fn from(offset: CommitOffset) -> Value {
        let mut object = Object::default();
        object.put("topic", offset.topic);
        object.put("partition", offset.partition);
        object.put("offset", offset.offset);
        object.put_some("metadata", offset.metadata);
        Value::Object(object.0)
    }
}

impl From<SeekTo> for Value {
    fn from(to: SeekTo) -> Value {
        match to {
            SeekTo::Offset(offset) => offset.into(),
            SeekTo::Edge(SeekEdge::Beginning) => "beginning".into(),
            SeekTo::Edge(SeekEdge::End) => "end".into(),
            SeekTo::Timestamp { timestamp } => Object::of([("timestamp", timestamp.into())]),
        }
    }
}

impl From<ResetTo> for Value {
    fn from(to: ResetTo) -> Value {
        match to {
            ResetTo::Earliest => "earliest".into(),
            ResetTo::Latest => "latest".into(),
            ResetTo::Offset { offset } => Object::of([("offset", offset.into())]),
            ResetTo::ShiftBy { by } => Object::of([("shiftBy", by.into())]),
            ResetTo::Timestamp { timestamp } => Object::of([("timestamp", timestamp.into())]),
        }
    }
}

impl From<Rejected> for Value {
    fn from(rejected: Rejected) -> Value {
        Object::of([("line", rejected.line.into()), ("reason", rejected.reason.into())])
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl Serialize for TimedCommand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Object::of([("at", self.at.into()), ("command", self.command.to_value())]).serialize(serializer)
    }
}

impl Serialize for Cluster {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Object::default();
        object.put("brokers", self.brokers);
        object.put_some("controllers", self.controllers);
        object.put_some("racks", self.racks.as_deref());
        object.put_configs(&self.configs);
        object.put_some("startTimestamp", self.start_timestamp);
        Value::Object(object.0).serialize(serializer)
    }
}
