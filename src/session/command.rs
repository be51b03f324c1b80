//! The one vocabulary of what can be done to a cluster: the page's buttons, saved files, levels and `window.brokerlab` all speak it.
//!
//! Owns the shape of commands and saved sessions. Knows nothing of what a command does (that is [`super::apply`]), nor of its JSON: that is
//! read by [`super::parse`] and written by [`super::written`].

use crate::client::{Fold, KeyDistribution};
use crate::ordered::OrderedMap;
use crate::protocol::{ErrorCode, text::Text};
use serde::Serialize;
use std::sync::Arc;

/// Settings as Kafka writes them: dotted names, string values. Filled by `extend` or `insert` and not collected, which sorts first: a merge
/// sort for each place that does so.
pub type Configs = OrderedMap<String, String>;

/// A topic's partition, by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

/// Something done to the cluster from outside, at one moment. In JSON an object with its name as `type`.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    CreateTopic {
        name: String,
        partitions: i32,
        replication_factor: i16,
        configs: Configs,
    },
    DeleteTopic {
        name: String,
    },
    AlterConfigs {
        resource: ConfigResource,
        name: String,
        set: Configs,
        delete: Vec<String>,
    },
    /// Of a user, a client id, or both together; `<default>` is whoever has none of his own.
    AlterClientQuotas {
        user: Option<String>,
        client_id: Option<String>,
        set: Configs,
        delete: Vec<String>,
    },
    CreatePartitions {
        topic: String,
        /// How many there are afterwards.
        partitions: i32,
    },
    DeleteRecords {
        topic: String,
        partition: i32,
        /// The offset that the log starts at then; -1: its high watermark.
        before_offset: i64,
    },
    ElectLeader {
        topic: String,
        partition: i32,
        /// Also a replica that is not in sync; absent: the preferred one, if it is.
        unclean: Option<bool>,
    },
    Reassign {
        topic: String,
        partition: i32,
        /// `null`: the move that is under way is taken back.
        replicas: Option<Vec<i32>>,
    },
    AddProducer {
        id: String,
        topic: String,
        /// Absent: it sends only what `send` and `import` hand it.
        records_per_second: Option<f64>,
        keys: Vec<String>,
        /// Absent: uniform.
        key_distribution: Option<KeyDistribution>,
        /// A template, see [`crate::client::Template`].
        value: Option<String>,
        /// Keys and values are rows of a table, and what is sent is how they change.
        change_data_capture: Option<bool>,
        configs: Configs,
    },
    /// Of the table of a producer that captures changes.
    ChangeRow {
        producer: String,
        key: Text,
        /// The row's new content; absent: it is deleted.
        value: Option<String>,
    },
    RemoveProducer {
        id: String,
    },
    Send {
        /// Absent: a default producer, made on first use.
        producer: Option<String>,
        topic: String,
        key: Option<Text>,
        value: Option<Text>,
        headers: Vec<(String, Option<Text>)>,
        partition: Option<i32>,
        /// Kafka's epoch milliseconds; absent: the time of sending.
        timestamp: Option<i64>,
    },
    Import {
        topic: String,
        format: ImportFormat,
        text: Arc<str>,
        key_field: Option<String>,
    },
    AddConsumer {
        id: String,
        group: Option<String>,
        /// Subscribed by name; the group's assignor hands the partitions out.
        topics: Option<Vec<String>>,
        /// Assigned by hand, without a rebalance.
        partitions: Option<Vec<TopicPartition>>,
        /// Subscribed by a regular expression that matches whole names.
        pattern: Option<String>,
        /// What the application spends on each record, in virtual milliseconds.
        processing_ms: Option<f64>,
        configs: Configs,
    },
    /// An application that reads topics as a member of a group and writes what it makes of each record to another one: with `transactional.id` exactly
    /// once, each poll's records in a transaction with the positions behind them.
    AddProcessor {
        id: String,
        group: String,
        topics: Vec<String>,
        /// Where it writes.
        topic: String,
        /// A template: `{key}` and `{value}` are filled in; absent: records are copied.
        value: Option<String>,
        processing_ms: Option<f64>,
        /// Of its consumer and of its producer.
        configs: Configs,
    },
    /// A consumer whose application keeps a table by key and writes its changes to a topic.
    AddAggregate {
        id: String,
        topic: String,
        /// The table's topic.
        table: String,
        fold: Fold,
        /// Of the records' JSON values; absent: the whole value.
        field: Option<String>,
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
        offsets: Option<Vec<CommitOffset>>,
    },
    Seek {
        consumer: String,
        topic: String,
        partition: i32,
        to: SeekTo,
    },
    /// What a producer has buffered is sent, whatever its `linger.ms`.
    Flush {
        producer: String,
    },
    BeginTransaction {
        producer: String,
    },
    CommitTransaction {
        producer: String,
    },
    AbortTransaction {
        producer: String,
    },
    /// A consumer's positions are its group's committed offsets if the producer's transaction commits.
    SendOffsetsToTransaction {
        producer: String,
        consumer: String,
    },
    /// Of a group that is inactive.
    ResetOffsets {
        group: String,
        topic: String,
        /// Absent: all of the topic.
        partition: Option<i32>,
        to: ResetTo,
    },
    /// Of a group or of a transactional id.
    MoveCoordinator {
        group: Option<String>,
        transactional_id: Option<String>,
        broker: i32,
    },
    CrashBroker {
        broker: i32,
    },
    RestartBroker {
        broker: i32,
    },
    CrashController {
        controller: i32,
    },
    RestartController {
        controller: i32,
    },
    /// What the machine's page cache had not written is lost.
    PowerLoss {
        broker: i32,
    },
    /// Controlled: leaderships move first.
    StopBroker {
        broker: i32,
    },
    /// It leaves the cluster, with its disk.
    RemoveBroker {
        broker: i32,
    },
    AddBroker {
        /// Absent: the id that follows the largest there ever was.
        broker: Option<i32>,
        rack: Option<String>,
    },
    FreezeBroker {
        broker: i32,
        ms: f64,
    },
    SlowDisk {
        broker: i32,
        /// How many times as long everything takes; 1 is healthy again.
        factor: f64,
    },
    SkewClock {
        broker: i32,
        /// How far its wall clock is ahead of the true time; 0 sets it right again.
        ms: i64,
    },
    /// What is absent is as it is without the command: the last `setLink` for a link says all about it.
    SetLink {
        /// `broker-1`, `controller-1`, a client's id, or `*`.
        from: String,
        to: String,
        latency_ms: Option<f64>,
        bytes_per_second: Option<u64>,
        cut: Option<bool>,
        odds: LinkOdds,
    },
    MessageFault {
        /// Its number in the trace.
        message: u64,
        action: FaultAction,
        /// How much later it arrives, or arrives a second time.
        delay_ms: Option<f64>,
    },
    DropNext {
        /// Kafka's name of the request.
        api: String,
        /// The broker that answers it; absent: any.
        broker: Option<i32>,
        /// Absent: the request.
        what: Option<MessagePart>,
    },
}

/// What happens to some of a link's messages, by chance: the fields `dropRatio`, `duplicateRatio` and `delayRatio` of `setLink`, each 0 to 1, and
/// `delayMs`, how much later a delayed message or a second copy arrives.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct LinkOdds {
    pub drop_ratio: Option<f64>,
    pub duplicate_ratio: Option<f64>,
    pub delay_ratio: Option<f64>,
    pub delay_ms: Option<f64>,
}

/// What has settings that can be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigResource {
    Topic,
    Broker,
    Group,
}

impl ConfigResource {
    pub const ALL: [ConfigResource; 3] = [ConfigResource::Topic, ConfigResource::Broker, ConfigResource::Group];

    /// Its name in the automation interface.
    pub fn name(self) -> &'static str {
        match self {
            ConfigResource::Topic => "topic",
            ConfigResource::Broker => "broker",
            ConfigResource::Group => "group",
        }
    }
}

/// What happens to a message on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultAction {
    Drop,
    Delay,
    Duplicate,
}

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessagePart {
    Request,
    Response,
}

impl FaultAction {
    pub const ALL: [FaultAction; 3] = [FaultAction::Drop, FaultAction::Delay, FaultAction::Duplicate];

    /// Its name in the automation interface.
    pub fn name(self) -> &'static str {
        match self {
            FaultAction::Drop => "drop",
            FaultAction::Delay => "delay",
            FaultAction::Duplicate => "duplicate",
        }
    }
}

/// How pasted or dropped text is cut into records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportFormat {
    /// One JSON value per line.
    Jsonl,
    /// A header line, then one record per line; quoted fields may hold line ends.
    Csv,
}

/// One offset to commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitOffset {
    pub topic: String,
    pub partition: i32,
    /// The next offset to read, as Kafka means a committed offset.
    pub offset: i64,
    pub metadata: Option<String>,
}

/// Where a consumer goes on reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeekTo {
    Offset(i64),
    Edge(SeekEdge),
    Timestamp { timestamp: i64 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeekEdge {
    Beginning,
    End,
}

/// Where a group is to go on reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetTo {
    Earliest,
    Latest,
    Offset { offset: i64 },
    ShiftBy { by: i64 },
    Timestamp { timestamp: i64 },
}

/// A command and when it was given, in virtual milliseconds since the start (fractions are microseconds).
#[derive(Clone, PartialEq, Debug)]
pub struct TimedCommand {
    pub at: f64,
    pub command: Command,
}

/// A whole session: everything that happened follows from it.
#[derive(Clone, PartialEq, Debug, Serialize)]
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
#[derive(Clone, PartialEq, Debug)]
pub struct Cluster {
    pub brokers: u32,
    pub controllers: Option<u32>,
    pub racks: Option<Vec<String>>,
    pub configs: Configs,
    /// Kafka's epoch milliseconds at virtual time 0; absent: 2026-01-01T00:00:00Z.
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
