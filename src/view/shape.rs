//! The structs that screens, levels and tests read. Shapes only; [`super::project`] fills them.
//!
//! [`View`] is the automation interface's, field for field. [`Picture`] and [`Flight`] are what the page draws besides: windows of log cells and
//! messages on their way.

use crate::protocol::Outcome;
use crate::protocol::text::Text;
use crate::session::command::Configs;
use serde::{Serialize, Serializer};

/// The whole cluster at one moment.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Virtual milliseconds since the start.
    pub time: f64,
    /// The latest time reached.
    pub latest: f64,
    pub playing: bool,
    pub speed: f64,
    pub seed: u64,
    pub controller: ControllerView,
    pub controllers: Vec<VoterView>,
    pub brokers: Vec<BrokerView>,
    pub topics: Vec<TopicView>,
    pub producers: Vec<ProducerView>,
    pub consumers: Vec<ConsumerView>,
    pub groups: Vec<GroupView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transactions: Vec<TransactionView>,
    /// What `setLink` says; the last one that fits a pair of nodes holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkView>,
    /// What `dropNext` still waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drops: Vec<DropView>,
}

/// The fields of a `setLink` command.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkView {
    pub from: String,
    pub to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    pub cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
}

/// The fields of a `dropNext` command.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DropView {
    pub api: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<i32>,
    pub what: &'static str,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ControllerView {
    pub leader: Option<i32>,
    pub epoch: i32,
}

/// A controller's process.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VoterView {
    pub id: i32,
    /// `running` or `crashed`.
    pub state: &'static str,
    /// Kafka's word for what it is in the quorum: `Leader`, `Follower`, `Candidate`, ...; null while it does not run.
    pub role: Option<&'static str>,
    pub log_end_offset: i64,
    pub high_watermark: i64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerView {
    pub id: i32,
    pub rack: Option<String>,
    pub state: BrokerState,
    pub epoch: i64,
    /// How far its wall clock is ahead, if it is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// How many times as long its disk takes, if that is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_factor: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BrokerState {
    Running,
    Crashed,
    Frozen,
    Fenced,
    Stopping,
    Stopped,
}

impl BrokerState {
    pub fn name(self) -> &'static str {
        match self {
            BrokerState::Running => "running",
            BrokerState::Crashed => "crashed",
            BrokerState::Frozen => "frozen",
            BrokerState::Fenced => "fenced",
            BrokerState::Stopping => "stopping",
            BrokerState::Stopped => "stopped",
        }
    }
}

impl Serialize for BrokerState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TopicView {
    pub name: String,
    /// Kafka's base64 form of the topic id.
    pub id: String,
    pub internal: bool,
    pub configs: Configs,
    pub partitions: Vec<PartitionView>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionView {
    pub partition: i32,
    pub leader: Option<i32>,
    pub preferred_leader: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub isr: Vec<i32>,
    /// Not in sync, and may lead all the same (KIP-966).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub eligible_leader_replicas: Vec<i32>,
    /// Who led last, where nobody leads nor may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_known_elr: Vec<i32>,
    /// Of a reassignment under way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adding_replicas: Vec<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removing_replicas: Vec<i32>,
    pub replicas: Vec<ReplicaView>,
    /// Of a topic with tiered storage: what the remote store has, in order of offsets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_segments: Vec<RemoteSegmentView>,
}

/// A segment in the remote store.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteSegmentView {
    pub base_offset: i64,
    pub last_offset: i64,
    pub bytes: u64,
    /// Kafka's word: `COPY_SEGMENT_STARTED`, `COPY_SEGMENT_FINISHED`, `DELETE_SEGMENT_STARTED`.
    pub state: &'static str,
    /// The epoch that wrote the last of it.
    pub leader_epoch: i32,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaView {
    pub broker: i32,
    pub log_start_offset: i64,
    /// Of a topic with tiered storage: what is before is in the remote store only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_log_start_offset: Option<i64>,
    pub log_end_offset: i64,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub leader_epoch: i32,
    pub in_sync: bool,
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerView {
    pub id: String,
    pub topic: String,
    /// Records handed to the producer.
    pub sent: u64,
    pub acknowledged: u64,
    pub failed: u64,
    pub retries: u64,
    /// Records waiting in the accumulator.
    pub buffered: u64,
    /// Requests sent and not answered.
    pub in_flight: u64,
    /// With a transactional id: where its transaction stands, in the words of `TransactionManager.State`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<&'static str>,
    pub configs: Configs,
}

/// What a transaction coordinator keeps of a transactional id.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionView {
    /// `transactional.id`
    pub id: String,
    /// `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`, `CompleteAbort`.
    pub state: &'static str,
    pub coordinator: i32,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub timeout_ms: i32,
    /// Kafka's epoch milliseconds; of no transaction: null.
    pub started: Option<i64>,
    /// Those that it has written to, until it ends.
    pub partitions: Vec<AssignedView>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ConsumerView {
    pub id: String,
    pub group: Option<String>,
    /// Kafka's words for a member (`Stable`, `PreparingRebalance`, ...), or `Assigned`, `Paused`, `Crashed`.
    pub state: String,
    /// Records handed to the application.
    pub consumed: u64,
    pub positions: Vec<PositionView>,
    /// What its application prints of each record that it is done with: the newest lines.
    pub printed: Vec<PrintedView>,
    /// What its application knows by key, if it keeps a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Configs>,
    pub configs: Configs,
}

impl ConsumerView {
    /// What brokers call it.
    pub fn client_id(&self) -> &str {
        self.configs.get("client.id").filter(|id| !id.is_empty()).unwrap_or(&self.id)
    }
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PrintedView {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Text>,
    pub value: Option<Text>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PositionView {
    pub topic: String,
    pub partition: i32,
    pub position: i64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct GroupView {
    pub id: String,
    /// `classic`, `consumer` or `share`.
    pub protocol: String,
    pub state: String,
    pub generation: i32,
    pub coordinator: Option<i32>,
    pub assignor: Option<String>,
    pub members: Vec<MemberView>,
    pub offsets: Vec<GroupOffsetView>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    pub member_id: String,
    pub client_id: String,
    pub instance_id: Option<String>,
    pub assignment: Vec<AssignedView>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AssignedView {
    pub topic: String,
    pub partition: i32,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupOffsetView {
    pub topic: String,
    pub partition: i32,
    pub committed: Option<i64>,
    pub log_end_offset: i64,
    pub lag: Option<i64>,
    /// Of a share group: records that members have now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acquired: Option<i64>,
    /// And how often the record was delivered that was delivered most, of those in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_count: Option<i16>,
}

/// One line of the trace, in plain words.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct EventView {
    /// Absolute: it stays the same when older lines are dropped or regenerated.
    pub index: u64,
    pub time: f64,
    pub kind: &'static str,
    /// `broker-1`, `controller-1`, a client's id, or `user`.
    pub node: String,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    pub detail: serde_json::Value,
}

/// A record as it stands in a partition's log.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    pub offset: i64,
    pub timestamp: i64,
    pub leader_epoch: i32,
    pub key: Option<Text>,
    pub value: Option<Text>,
    pub headers: Vec<(String, Option<Text>)>,
    pub partition: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer_epoch: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactional: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<&'static str>,
}

/// What the page draws besides the [`View`]: taken many times a second, so it holds windows, never whole logs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Picture {
    /// One for each replica on the page, in the view's order of topics, partitions and replicas; internal topics have none.
    pub strips: Vec<Strip>,
}

/// The newest cells of one replica's log.
#[derive(Clone, PartialEq, Debug)]
pub struct Strip {
    pub topic: String,
    pub partition: i32,
    pub broker: i32,
    /// Offset of the first cell.
    pub first: i64,
    pub cells: Vec<Cell>,
}

/// What an offset holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CellKind {
    /// Without a transaction, or of one that is committed.
    Record,
    /// Of a transaction that has not ended.
    Open,
    Aborted,
    /// The marker that ended a transaction.
    Marker(Outcome),
}

/// One offset of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    pub offset: i64,
    pub kind: CellKind,
    /// murmur2 of the key, for its colour; `None` without a key.
    pub key_hash: Option<u32>,
    pub leader_epoch: i32,
}

/// A request or response on its way.
#[derive(Clone, PartialEq, Debug)]
pub struct Flight {
    /// The message's id, as in the trace.
    pub id: u64,
    /// Node names: `broker-1`, `controller-1`, a client's id.
    pub from: String,
    pub to: String,
    /// Kafka's name of the request: `Produce`, `Fetch`, ...
    pub api: &'static str,
    pub response: bool,
    /// Virtual milliseconds.
    pub sent: f64,
    pub arrives: f64,
    /// Of Produce and Fetch: the partition it is most about, for where the drawing ends.
    pub topic: Option<String>,
    pub partition: Option<i32>,
    /// Records carried.
    pub records: u32,
    pub error: Option<&'static str>,
}
