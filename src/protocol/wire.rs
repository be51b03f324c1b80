//! Requests and responses as they travel between nodes: Kafka's own messages, with the records beside them.
//!
//! kafka-protocol holds the records of Produce and Fetch as one flat buffer; here they are the stored batches themselves, so that replicas
//! share one allocation. They become one frame only where a socket is. The metadata log's records travel the same way.

use super::Batch;
use super::ErrorCode;
use super::metadata::MetadataRecord;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// One batch for one partition of a Produce request, in the message's order.
pub type ProduceBatches = Vec<Batch>;
/// The batches of each partition of a Fetch response, in the message's order.
pub type FetchBatches = Vec<Vec<Batch>>;

/// The message is boxed: an event's size is that of its smallest part, and most are moved several times.
#[derive(Clone, Debug)]
pub enum Request {
    Produce(Box<k::ProduceRequest>, ProduceBatches),
    Fetch(Box<k::FetchRequest>),
    ListOffsets(Box<k::ListOffsetsRequest>),
    Metadata(Box<k::MetadataRequest>),
    FindCoordinator(Box<k::FindCoordinatorRequest>),
    JoinGroup(Box<k::JoinGroupRequest>),
    SyncGroup(Box<k::SyncGroupRequest>),
    Heartbeat(Box<k::HeartbeatRequest>),
    LeaveGroup(Box<k::LeaveGroupRequest>),
    OffsetCommit(Box<k::OffsetCommitRequest>),
    OffsetFetch(Box<k::OffsetFetchRequest>),
    CreateTopics(Box<k::CreateTopicsRequest>),
    BrokerRegistration(Box<k::BrokerRegistrationRequest>),
    BrokerHeartbeat(Box<k::BrokerHeartbeatRequest>),
    AlterPartition(Box<k::AlterPartitionRequest>),
}

#[derive(Clone, Debug)]
pub enum Response {
    Produce(Box<k::ProduceResponse>),
    Fetch(Box<k::FetchResponse>, FetchBatches),
    /// A Fetch response of the metadata log.
    FetchMetadata(Box<k::FetchResponse>, Vec<Arc<MetadataRecord>>),
    ListOffsets(Box<k::ListOffsetsResponse>),
    Metadata(Box<k::MetadataResponse>),
    FindCoordinator(Box<k::FindCoordinatorResponse>),
    JoinGroup(Box<k::JoinGroupResponse>),
    SyncGroup(Box<k::SyncGroupResponse>),
    Heartbeat(Box<k::HeartbeatResponse>),
    LeaveGroup(Box<k::LeaveGroupResponse>),
    OffsetCommit(Box<k::OffsetCommitResponse>),
    OffsetFetch(Box<k::OffsetFetchResponse>),
    CreateTopics(Box<k::CreateTopicsResponse>),
    BrokerRegistration(Box<k::BrokerRegistrationResponse>),
    BrokerHeartbeat(Box<k::BrokerHeartbeatResponse>),
    AlterPartition(Box<k::AlterPartitionResponse>),
}

/// Kafka's name of a request type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Api {
    Produce,
    Fetch,
    ListOffsets,
    Metadata,
    FindCoordinator,
    JoinGroup,
    SyncGroup,
    Heartbeat,
    LeaveGroup,
    OffsetCommit,
    OffsetFetch,
    CreateTopics,
    BrokerRegistration,
    BrokerHeartbeat,
    AlterPartition,
}

impl Api {
    pub const ALL: [Api; 15] = [
        Api::Produce,
        Api::Fetch,
        Api::ListOffsets,
        Api::Metadata,
        Api::FindCoordinator,
        Api::JoinGroup,
        Api::SyncGroup,
        Api::Heartbeat,
        Api::LeaveGroup,
        Api::OffsetCommit,
        Api::OffsetFetch,
        Api::CreateTopics,
        Api::BrokerRegistration,
        Api::BrokerHeartbeat,
        Api::AlterPartition,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Api::Produce => "Produce",
            Api::Fetch => "Fetch",
            Api::ListOffsets => "ListOffsets",
            Api::Metadata => "Metadata",
            Api::FindCoordinator => "FindCoordinator",
            Api::JoinGroup => "JoinGroup",
            Api::SyncGroup => "SyncGroup",
            Api::Heartbeat => "Heartbeat",
            Api::LeaveGroup => "LeaveGroup",
            Api::OffsetCommit => "OffsetCommit",
            Api::OffsetFetch => "OffsetFetch",
            Api::CreateTopics => "CreateTopics",
            Api::BrokerRegistration => "BrokerRegistration",
            Api::BrokerHeartbeat => "BrokerHeartbeat",
            Api::AlterPartition => "AlterPartition",
        }
    }
}

impl Request {
    pub fn api(&self) -> Api {
        match self {
            Request::Produce(..) => Api::Produce,
            Request::Fetch(_) => Api::Fetch,
            Request::ListOffsets(_) => Api::ListOffsets,
            Request::Metadata(_) => Api::Metadata,
            Request::FindCoordinator(_) => Api::FindCoordinator,
            Request::JoinGroup(_) => Api::JoinGroup,
            Request::SyncGroup(_) => Api::SyncGroup,
            Request::Heartbeat(_) => Api::Heartbeat,
            Request::LeaveGroup(_) => Api::LeaveGroup,
            Request::OffsetCommit(_) => Api::OffsetCommit,
            Request::OffsetFetch(_) => Api::OffsetFetch,
            Request::CreateTopics(_) => Api::CreateTopics,
            Request::BrokerRegistration(_) => Api::BrokerRegistration,
            Request::BrokerHeartbeat(_) => Api::BrokerHeartbeat,
            Request::AlterPartition(_) => Api::AlterPartition,
        }
    }
}

impl Response {
    pub fn api(&self) -> Api {
        match self {
            Response::Produce(_) => Api::Produce,
            Response::Fetch(..) | Response::FetchMetadata(..) => Api::Fetch,
            Response::ListOffsets(_) => Api::ListOffsets,
            Response::Metadata(_) => Api::Metadata,
            Response::FindCoordinator(_) => Api::FindCoordinator,
            Response::JoinGroup(_) => Api::JoinGroup,
            Response::SyncGroup(_) => Api::SyncGroup,
            Response::Heartbeat(_) => Api::Heartbeat,
            Response::LeaveGroup(_) => Api::LeaveGroup,
            Response::OffsetCommit(_) => Api::OffsetCommit,
            Response::OffsetFetch(_) => Api::OffsetFetch,
            Response::CreateTopics(_) => Api::CreateTopics,
            Response::BrokerRegistration(_) => Api::BrokerRegistration,
            Response::BrokerHeartbeat(_) => Api::BrokerHeartbeat,
            Response::AlterPartition(_) => Api::AlterPartition,
        }
    }

    /// The first error in it, for the trace.
    pub fn error(&self) -> ErrorCode {
        let code = match self {
            Response::Produce(m) => {
                m.responses.iter().flat_map(|t| &t.partition_responses).map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0)
            }
            Response::Fetch(m, _) | Response::FetchMetadata(m, _) => match m.error_code {
                0 => m.responses.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0),
                code => code,
            },
            Response::ListOffsets(m) => {
                m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0)
            }
            Response::Metadata(m) => m.topics.iter().map(|t| t.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::FindCoordinator(m) => m.coordinators.first().map_or(m.error_code, |c| c.error_code),
            Response::JoinGroup(m) => m.error_code,
            Response::SyncGroup(m) => m.error_code,
            Response::Heartbeat(m) => m.error_code,
            Response::LeaveGroup(m) => m.error_code,
            Response::OffsetCommit(m) => {
                m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0)
            }
            Response::OffsetFetch(m) => m.groups.first().map_or(m.error_code, |g| g.error_code),
            Response::CreateTopics(m) => m.topics.iter().map(|t| t.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::BrokerRegistration(m) => m.error_code,
            Response::BrokerHeartbeat(m) => m.error_code,
            Response::AlterPartition(m) => match m.error_code {
                0 => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0),
                code => code,
            },
        };
        ErrorCode::of(code)
    }
}

/// Text as kafka-protocol holds it.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic's name as kafka-protocol holds it.
pub fn topic(name: &str) -> k::TopicName {
    k::TopicName(text(name))
}
