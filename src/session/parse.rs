//! JSON into commands and saved sessions, with the path of what is wrong.
//!
//! Owns the names of commands and fields as they are read; what a command or a session means is checked when it is applied or loaded.

use super::command::{
    Cluster, Command, CommitOffset, ConfigResource, FaultAction, ImportFormat, LinkOdds, MessagePart, Refusal, ResetTo, Saved, SeekEdge,
    SeekTo, TimedCommand, TopicPartition,
};
use super::fields::{Fields, FromValue, Misfit, Read, object, quoted};
use crate::client::{Fold, KeyDistribution};
use crate::protocol::ErrorCode;
use serde_json::Value;

/// Commands of one session, at the most: what is saved can be loaded.
pub(super) const COMMANDS_MAX: usize = 1_000_000;

pub(super) fn too_many_commands() -> Refusal {
    Refusal::argument("commands", format!("A session has at most {COMMANDS_MAX} commands."))
}

/// Reads a command. An unknown or malformed one is `INVALID_ARGUMENT`.
pub fn parse_command(value: Value) -> Result<Command, Refusal> {
    Ok(Command::from_value(value)?)
}

/// Reads a saved session; what it means is checked when it is loaded.
pub fn parse_saved(value: Value) -> Result<Saved, Refusal> {
    Ok(Saved::from_value(value)?)
}

impl FromValue for Command {
    fn from_value(mut value: Value) -> Read<Command> {
        let wrong = |sentence: String| Misfit::from(Refusal::argument("type", sentence));
        let Value::Object(fields) = &mut value else {
            return Err(wrong("A command is an object with a type.".to_owned()));
        };
        let kind = match fields.remove("type") {
            Some(Value::String(kind)) => kind,
            Some(_) => return Err(wrong("A command's type is a string.".to_owned())),
            None => return Err(wrong("A command has a type.".to_owned())),
        };
        let article = if kind.starts_with(['a', 'i']) { "An" } else { "A" };
        object(value, &format!("{article} {kind} command"), |fields| command(&kind, fields))
    }
}

fn command(kind: &str, fields: &mut Fields) -> Read<Command> {
    Ok(match kind {
        "createTopic" => Command::CreateTopic {
            name: fields.take("name"),
            partitions: fields.take("partitions"),
            replication_factor: fields.take("replicationFactor"),
            configs: fields.optional("configs"),
        },
        "deleteTopic" => Command::DeleteTopic { name: fields.take("name") },
        "alterConfigs" => Command::AlterConfigs {
            resource: fields.try_take("resource")?,
            name: fields.take("name"),
            set: fields.optional("set"),
            delete: fields.optional("delete"),
        },
        "alterClientQuotas" => Command::AlterClientQuotas {
            user: fields.optional("user"),
            client_id: fields.optional("clientId"),
            set: fields.optional("set"),
            delete: fields.optional("delete"),
        },
        "createPartitions" => Command::CreatePartitions { topic: fields.take("topic"), partitions: fields.take("partitions") },
        "deleteRecords" => Command::DeleteRecords {
            topic: fields.take("topic"),
            partition: fields.take("partition"),
            before_offset: fields.take("beforeOffset"),
        },
        "electLeader" => {
            Command::ElectLeader { topic: fields.take("topic"), partition: fields.take("partition"), unclean: fields.optional("unclean") }
        }
        "reassign" => {
            Command::Reassign { topic: fields.take("topic"), partition: fields.take("partition"), replicas: fields.take("replicas") }
        }
        "addProducer" => Command::AddProducer {
            id: fields.take("id"),
            topic: fields.take("topic"),
            records_per_second: fields.optional("recordsPerSecond"),
            keys: fields.optional("keys"),
            key_distribution: fields.optional("keyDistribution"),
            value: fields.optional("value"),
            change_data_capture: fields.optional("changeDataCapture"),
            configs: fields.optional("configs"),
        },
        "changeRow" => Command::ChangeRow { producer: fields.take("producer"), key: fields.take("key"), value: fields.optional("value") },
        "removeProducer" => Command::RemoveProducer { id: fields.take("id") },
        "send" => Command::Send {
            producer: fields.optional("producer"),
            topic: fields.take("topic"),
            key: fields.optional("key"),
            headers: fields.optional("headers"),
            partition: fields.optional("partition"),
            timestamp: fields.optional("timestamp"),
            // A tombstone is said, not left out.
            value: fields.take("value"),
        },
        "import" => Command::Import {
            topic: fields.take("topic"),
            format: fields.try_take("format")?,
            text: fields.take("text"),
            key_field: fields.optional("keyField"),
        },
        "addConsumer" => Command::AddConsumer {
            id: fields.take("id"),
            group: fields.optional("group"),
            topics: fields.optional("topics"),
            partitions: fields.optional("partitions"),
            pattern: fields.optional("pattern"),
            processing_ms: fields.optional("processingMs"),
            configs: fields.optional("configs"),
        },
        "addProcessor" => Command::AddProcessor {
            id: fields.take("id"),
            group: fields.take("group"),
            topics: fields.take("topics"),
            topic: fields.take("topic"),
            value: fields.optional("value"),
            processing_ms: fields.optional("processingMs"),
            configs: fields.optional("configs"),
        },
        "addAggregate" => Command::AddAggregate {
            id: fields.take("id"),
            topic: fields.take("topic"),
            table: fields.take("table"),
            fold: fields.try_take("function")?,
            field: fields.optional("field"),
            configs: fields.optional("configs"),
        },
        "removeConsumer" => Command::RemoveConsumer { id: fields.take("id") },
        "crashConsumer" => Command::CrashConsumer { id: fields.take("id") },
        "pauseConsumer" => Command::PauseConsumer { id: fields.take("id") },
        "resumeConsumer" => Command::ResumeConsumer { id: fields.take("id") },
        "commit" => Command::Commit { consumer: fields.take("consumer"), offsets: fields.optional("offsets") },
        "seek" => Command::Seek {
            consumer: fields.take("consumer"),
            topic: fields.take("topic"),
            partition: fields.take("partition"),
            to: fields.try_take("to")?,
        },
        "flush" => Command::Flush { producer: fields.take("producer") },
        "beginTransaction" => Command::BeginTransaction { producer: fields.take("producer") },
        "commitTransaction" => Command::CommitTransaction { producer: fields.take("producer") },
        "abortTransaction" => Command::AbortTransaction { producer: fields.take("producer") },
        "sendOffsetsToTransaction" => {
            Command::SendOffsetsToTransaction { producer: fields.take("producer"), consumer: fields.take("consumer") }
        }
        "resetOffsets" => Command::ResetOffsets {
            group: fields.take("group"),
            topic: fields.take("topic"),
            partition: fields.optional("partition"),
            to: fields.try_take("to")?,
        },
        "moveCoordinator" => Command::MoveCoordinator {
            group: fields.optional("group"),
            transactional_id: fields.optional("transactionalId"),
            broker: fields.take("broker"),
        },
        "crashBroker" => Command::CrashBroker { broker: fields.take("broker") },
        "restartBroker" => Command::RestartBroker { broker: fields.take("broker") },
        "crashController" => Command::CrashController { controller: fields.take("controller") },
        "restartController" => Command::RestartController { controller: fields.take("controller") },
        "powerLoss" => Command::PowerLoss { broker: fields.take("broker") },
        "stopBroker" => Command::StopBroker { broker: fields.take("broker") },
        "removeBroker" => Command::RemoveBroker { broker: fields.take("broker") },
        "addBroker" => Command::AddBroker { broker: fields.optional("broker"), rack: fields.optional("rack") },
        "freezeBroker" => Command::FreezeBroker { broker: fields.take("broker"), ms: fields.take("ms") },
        "slowDisk" => Command::SlowDisk { broker: fields.take("broker"), factor: fields.take("factor") },
        "skewClock" => {
            let (broker, WholeMs(ms)) = (fields.take("broker"), fields.take("ms"));
            Command::SkewClock { broker, ms }
        }
        "setLink" => Command::SetLink {
            from: fields.take("from"),
            to: fields.take("to"),
            latency_ms: fields.optional("latencyMs"),
            bytes_per_second: fields.optional("bytesPerSecond"),
            cut: fields.optional("cut"),
            odds: LinkOdds {
                drop_ratio: fields.optional("dropRatio"),
                duplicate_ratio: fields.optional("duplicateRatio"),
                delay_ratio: fields.optional("delayRatio"),
                delay_ms: fields.optional("delayMs"),
            },
        },
        "messageFault" => Command::MessageFault {
            message: fields.take("message"),
            action: fields.try_take("action")?,
            delay_ms: fields.optional("delayMs"),
        },
        "dropNext" => Command::DropNext { api: fields.take("api"), broker: fields.optional("broker"), what: fields.optional("what") },
        _ => return Err(Refusal::argument("type", format!("There is no command {}.", quoted(kind))).into()),
    })
}

/// Milliseconds of a wall clock, which shows no parts of them: they are rounded.
#[derive(Default)]
struct WholeMs(i64);

impl FromValue for WholeMs {
    fn from_value(value: Value) -> Read<WholeMs> {
        let rounded = value.as_f64().filter(|ms| value.is_f64() && ms.fract() != 0.0).map(|ms| ms.round() as i64);
        rounded.map_or_else(|| i64::from_value(value), Ok).map(WholeMs)
    }
}

impl FromValue for ImportFormat {
    fn from_value(value: Value) -> Read<ImportFormat> {
        match value.as_str() {
            Some("jsonl") => Ok(ImportFormat::Jsonl),
            Some("csv") => Ok(ImportFormat::Csv),
            _ => Err(Misfit::expected("\"jsonl\" or \"csv\"", &value)),
        }
    }
}

impl FromValue for KeyDistribution {
    fn from_value(value: Value) -> Read<KeyDistribution> {
        let named = KeyDistribution::ALL.into_iter().find(|distribution| value == distribution.name());
        named.ok_or_else(|| Misfit::expected("\"uniform\", \"roundRobin\" or \"zipf\"", &value))
    }
}

impl FromValue for Fold {
    fn from_value(value: Value) -> Read<Fold> {
        let named = Fold::ALL.into_iter().find(|fold| value == fold.name());
        named.ok_or_else(|| Misfit::expected("\"count\", \"sum\" or \"last\"", &value))
    }
}

impl FromValue for ConfigResource {
    fn from_value(value: Value) -> Read<ConfigResource> {
        let named = ConfigResource::ALL.into_iter().find(|resource| value == resource.name());
        named.ok_or_else(|| Misfit::expected("\"topic\", \"broker\" or \"group\"", &value))
    }
}

impl FromValue for FaultAction {
    fn from_value(value: Value) -> Read<FaultAction> {
        let named = FaultAction::ALL.into_iter().find(|action| value == action.name());
        named.ok_or_else(|| Misfit::expected("\"drop\", \"delay\" or \"duplicate\"", &value))
    }
}

impl FromValue for MessagePart {
    fn from_value(value: Value) -> Read<MessagePart> {
        match value.as_str() {
            Some("request") => Ok(MessagePart::Request),
            Some("response") => Ok(MessagePart::Response),
            _ => Err(Misfit::expected("\"request\" or \"response\"", &value)),
        }
    }
}

impl FromValue for TopicPartition {
    fn from_value(value: Value) -> Read<TopicPartition> {
        object(value, "A partition", |fields| Ok(TopicPartition { topic: fields.take("topic"), partition: fields.take("partition") }))
    }
}

impl FromValue for CommitOffset {
    fn from_value(value: Value) -> Read<CommitOffset> {
        object(value, "An offset to commit", |fields| {
            Ok(CommitOffset {
                topic: fields.take("topic"),
                partition: fields.take("partition"),
                offset: fields.take("offset"),
                metadata: fields.optional("metadata"),
            })
        })
    }
}

impl FromValue for SeekTo {
    fn from_value(value: Value) -> Read<SeekTo> {
        match &value {
            Value::Object(_) => object(value, "A place to seek", |fields| Ok(SeekTo::Timestamp { timestamp: fields.take("timestamp") })),
            Value::Number(_) => Ok(SeekTo::Offset(i64::from_value(value)?)),
            Value::String(edge) if edge == "beginning" => Ok(SeekTo::Edge(SeekEdge::Beginning)),
            Value::String(edge) if edge == "end" => Ok(SeekTo::Edge(SeekEdge::End)),
            _ => Err(Misfit::expected("an offset, \"beginning\", \"end\" or {\"timestamp\": ...}", &value)),
        }
    }
}

impl FromValue for ResetTo {
    fn from_value(value: Value) -> Read<ResetTo> {
        const EXPECTED: &str = "\"earliest\", \"latest\", or an object with one of offset, shiftBy and timestamp";
        match &value {
            Value::String(edge) if edge == "earliest" => Ok(ResetTo::Earliest),
            Value::String(edge) if edge == "latest" => Ok(ResetTo::Latest),
            Value::Object(fields) if fields.len() == 1 => object(value, "A place to reset to", |fields| {
                let (offset, by) = (fields.optional("offset"), fields.optional("shiftBy"));
                Ok(match (offset, by) {
                    (Some(offset), _) => ResetTo::Offset { offset },
                    (None, Some(by)) => ResetTo::ShiftBy { by },
                    (None, None) => ResetTo::Timestamp { timestamp: fields.take("timestamp") },
                })
            }),
            _ => Err(Misfit::expected(EXPECTED, &value)),
        }
    }
}

impl FromValue for TimedCommand {
    fn from_value(value: Value) -> Read<TimedCommand> {
        object(value, "A timed command", |fields| Ok(TimedCommand { at: fields.take("at"), command: fields.try_take("command")? }))
    }
}

impl FromValue for Cluster {
    fn from_value(value: Value) -> Read<Cluster> {
        object(value, "A cluster", |fields| {
            Ok(Cluster {
                brokers: fields.take("brokers"),
                controllers: fields.optional("controllers"),
                racks: fields.optional("racks"),
                configs: fields.optional("configs"),
                start_timestamp: fields.optional("startTimestamp"),
            })
        })
    }
}

impl FromValue for Saved {
    fn from_value(value: Value) -> Read<Saved> {
        if !value.is_object() {
            return Err(Refusal::argument("format", "A saved session is an object.").into());
        }
        if value["format"] != "brokerlab" {
            return Err(Refusal::argument("format", "A saved session has the format \"brokerlab\".").into());
        }
        if value["version"].as_u64() != Some(1) {
            return Err(Refusal::kafka(ErrorCode::UnsupportedVersion, "Saved sessions of version 1 are read.").at("version").into());
        }
        if value["commands"].as_array().is_some_and(|commands| COMMANDS_MAX < commands.len()) {
            return Err(too_many_commands().into());
        }
        object(value, "A saved session", |fields| {
            Ok(Saved {
                format: fields.take("format"),
                version: fields.take("version"),
                seed: fields.take("seed"),
                cluster: fields.try_take("cluster")?,
                commands: fields.take("commands"),
                until: fields.take("until"),
            })
        })
    }
}
