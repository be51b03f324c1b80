//! The one vocabulary of what can be done to a cluster: the page's buttons, saved files, levels and `window.brokerlab` all speak it.
//!
//! Owns the shape of commands and saved sessions, as JSON; knows nothing of what a command does (that is [`super::apply`]).

use super::tagged;
use crate::protocol::{ErrorCode, text::Text};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::Map;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Settings as Kafka writes them: dotted names, string values.
pub type Configs = BTreeMap<String, String>;

/// A topic's partition, by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

/// Something done to the cluster from outside, at one moment.
///
/// In JSON an object with its name as `type`. The derived code reads and writes serde's plain form, `{name: fields}`, and the two
/// implementations below turn one into the other: serde's own way for a `type` inside would buffer every field, in twice the code.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Command {
    CreateTopic {
        name: String,
        partitions: i32,
        replication_factor: i16,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        configs: Configs,
    },
    AddProducer {
        id: String,
        topic: String,
        /// Absent: it sends only what `send` and `import` hand it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        records_per_second: Option<f64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<String>,
        /// A template: `{seq}`, `{key}` and `{rand}` are filled in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        configs: Configs,
    },
    RemoveProducer {
        id: String,
    },
    Send {
        /// Absent: a default producer, made on first use.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        producer: Option<String>,
        topic: String,
        #[serde(default)]
        key: Option<Text>,
        #[serde(default)]
        value: Option<Text>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, Option<Text>)>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partition: Option<i32>,
        /// Kafka's epoch milliseconds; absent: the time of sending.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<i64>,
    },
    Import {
        topic: String,
        format: ImportFormat,
        text: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_field: Option<String>,
    },
    AddConsumer {
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// Subscribed by name; the group's assignor hands the partitions out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topics: Option<Vec<String>>,
        /// Assigned by hand, without a rebalance.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partitions: Option<Vec<TopicPartition>>,
        /// What the application spends on each record, in virtual milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        processing_ms: Option<f64>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        configs: Configs,
    },
    RemoveConsumer {
        id: String,
    },
    CrashConsumer {
        id: String,
    },
    PauseConsumer {
        id: String,
    },
    ResumeConsumer {
        id: String,
    },
    Commit {
        consumer: String,
        /// Absent: the consumer's positions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offsets: Option<Vec<CommitOffset>>,
    },
    Seek {
        consumer: String,
        topic: String,
        partition: i32,
        to: SeekTo,
    },
    CrashBroker {
        broker: i32,
    },
    RestartBroker {
        broker: i32,
    },
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = Command::serialize(self, serde_json::value::Serializer).map_err(ser::Error::custom)?;
        tagged::flat(plain).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Command, D::Error> {
        let plain = tagged::plain(Map::deserialize(deserializer)?).ok_or_else(|| de::Error::missing_field("type"))?;
        Command::deserialize(plain).map_err(de::Error::custom)
    }
}

/// How pasted or dropped text is cut into records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportFormat {
    /// One JSON value per line.
    Jsonl,
    /// A header line, then one record per line; quoted fields may hold line ends.
    Csv,
}

/// One offset to commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitOffset {
    pub topic: String,
    pub partition: i32,
    /// The next offset to read, as Kafka means a committed offset.
    pub offset: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// Where a consumer goes on reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SeekTo {
    Offset(i64),
    Edge(SeekEdge),
    Timestamp { timestamp: i64 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeekEdge {
    Beginning,
    End,
}

/// Commands of the vocabulary whose engine part does not exist yet: refused with `UNSUPPORTED_VERSION`, never ignored.
pub const NOT_YET: &[&str] = &[
    "deleteTopic",
    "beginTransaction",
    "commitTransaction",
    "abortTransaction",
    "createPartitions",
    "deleteRecords",
    "alterConfigs",
    "electLeader",
    "reassign",
    "resetOffsets",
    "moveCoordinator",
    "powerLoss",
    "stopBroker",
    "removeBroker",
    "addBroker",
    "freezeBroker",
    "slowDisk",
    "skewClock",
    "crashController",
    "restartController",
    "setLink",
    "messageFault",
    "dropNext",
];

/// A command and when it was given, in virtual milliseconds since the start (fractions are microseconds).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedCommand {
    pub at: f64,
    pub command: Command,
}

/// A whole session: everything that happened follows from it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// `"brokerlab"`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// 0 to 2^53 - 1.
    pub seed: u64,
    pub cluster: Cluster,
    pub commands: Vec<TimedCommand>,
    /// The virtual time reached, in milliseconds.
    pub until: f64,
}

/// The cluster a session starts with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    pub brokers: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controllers: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub racks: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: Configs,
    /// Kafka's epoch milliseconds at virtual time 0; absent: 2026-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timestamp: Option<i64>,
}

/// Why a command was refused: Kafka's own error name where Kafka has one, a sentence, and the path of the field that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Refusal {
    /// Kafka's error name, or `INVALID_ARGUMENT`.
    pub code: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Refusal {
    /// A refusal that Kafka has a code for.
    pub fn kafka(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code: code.name().to_owned(), message: message.into(), field: None }
    }

    /// A refusal that Kafka has no code for: a command that makes no sense before it reaches a broker.
    pub fn argument(field: &str, message: impl Into<String>) -> Refusal {
        Refusal { code: "INVALID_ARGUMENT".to_owned(), message: message.into(), field: Some(field.to_owned()) }
    }

    /// The same, naming the field.
    pub fn at(mut self, field: &str) -> Refusal {
        self.field = Some(field.to_owned());
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}
