//! Requests and responses as they travel between nodes: Kafka's own messages, with the records beside them.
//!
//! kafka-protocol holds the records of Produce and Fetch as one flat buffer; here they are the stored batches themselves, so that replicas
//! share one allocation. They become one frame only where a socket is. The metadata log's records travel the same way.

use super::Batch;
use super::ErrorCode;
use super::metadata::{METADATA_TOPIC, MetadataEntry, MetadataImage};
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// One batch for one partition of a Produce request, in the message's order.
pub type ProduceBatches = Arc<[Batch]>;
/// The batches of each partition of a Fetch response, in the message's order.
pub type FetchBatches = Arc<[Vec<Batch>]>;

pub use super::outside::{Outside, SHARE_CONSUMERS, outside};

/// The message is shared: an event is small and moved several times, and a snapshot of the world copies none that is on its way.
#[derive(Clone, Debug)]
pub enum Request {
    ApiVersions(Arc<k::ApiVersionsRequest>),
    Produce(Arc<k::ProduceRequest>, ProduceBatches),
    Fetch(Arc<k::FetchRequest>),
    ListOffsets(Arc<k::ListOffsetsRequest>),
    Metadata(Arc<k::MetadataRequest>),
    FindCoordinator(Arc<k::FindCoordinatorRequest>),
    JoinGroup(Arc<k::JoinGroupRequest>),
    SyncGroup(Arc<k::SyncGroupRequest>),
    Heartbeat(Arc<k::HeartbeatRequest>),
    LeaveGroup(Arc<k::LeaveGroupRequest>),
    OffsetCommit(Arc<k::OffsetCommitRequest>),
    OffsetFetch(Arc<k::OffsetFetchRequest>),
    CreateTopics(Arc<k::CreateTopicsRequest>),
    BrokerRegistration(Arc<k::BrokerRegistrationRequest>),
    BrokerHeartbeat(Arc<k::BrokerHeartbeatRequest>),
    AlterPartition(Arc<k::AlterPartitionRequest>),
    CreatePartitions(Arc<k::CreatePartitionsRequest>),
    OffsetForLeaderEpoch(Arc<k::OffsetForLeaderEpochRequest>),
    ElectLeaders(Arc<k::ElectLeadersRequest>),
    DeleteTopics(Arc<k::DeleteTopicsRequest>),
    UnregisterBroker(Arc<k::UnregisterBrokerRequest>),
    Vote(Arc<k::VoteRequest>),
    BeginQuorumEpoch(Arc<k::BeginQuorumEpochRequest>),
    EndQuorumEpoch(Arc<k::EndQuorumEpochRequest>),
    AlterPartitionReassignments(Arc<k::AlterPartitionReassignmentsRequest>),
    IncrementalAlterConfigs(Arc<k::IncrementalAlterConfigsRequest>),
    FetchSnapshot(Arc<k::FetchSnapshotRequest>),
    DeleteRecords(Arc<k::DeleteRecordsRequest>),
    ListPartitionReassignments(Outside<k::ListPartitionReassignmentsRequest>),
    InitProducerId(Arc<k::InitProducerIdRequest>),
    AllocateProducerIds(Arc<k::AllocateProducerIdsRequest>),
    ListGroups(Outside<k::ListGroupsRequest>),
    DescribeGroups(Outside<k::DescribeGroupsRequest>),
    DeleteGroups(Outside<k::DeleteGroupsRequest>),
    OffsetDelete(Outside<k::OffsetDeleteRequest>),
    DescribeConfigs(Outside<k::DescribeConfigsRequest>),
    DescribeCluster(Outside<k::DescribeClusterRequest>),
    DescribeLogDirs(Outside<k::DescribeLogDirsRequest>),
    ConsumerGroupHeartbeat(Arc<k::ConsumerGroupHeartbeatRequest>),
    WriteTxnMarkers(Arc<k::WriteTxnMarkersRequest>),
    ConsumerGroupDescribe(Outside<k::ConsumerGroupDescribeRequest>),
    AddPartitionsToTxn(Arc<k::AddPartitionsToTxnRequest>),
    TxnOffsetCommit(Arc<k::TxnOffsetCommitRequest>),
    AddOffsetsToTxn(Arc<k::AddOffsetsToTxnRequest>),
    EndTxn(Arc<k::EndTxnRequest>),
    ShareFetch(Outside<k::ShareFetchRequest>),
    ShareAcknowledge(Outside<k::ShareAcknowledgeRequest>),
    InitializeShareGroupState(Outside<k::InitializeShareGroupStateRequest>),
    ReadShareGroupState(Arc<k::ReadShareGroupStateRequest>),
    WriteShareGroupState(Arc<k::WriteShareGroupStateRequest>),
    DeleteShareGroupState(Outside<k::DeleteShareGroupStateRequest>),
    ReadShareGroupStateSummary(Outside<k::ReadShareGroupStateSummaryRequest>),
    DescribeTransactions(Outside<k::DescribeTransactionsRequest>),
    ListTransactions(Outside<k::ListTransactionsRequest>),
    DescribeProducers(Outside<k::DescribeProducersRequest>),
    DescribeAcls(Outside<k::DescribeAclsRequest>),
    CreateAcls(Outside<k::CreateAclsRequest>),
    DeleteAcls(Outside<k::DeleteAclsRequest>),
    AlterReplicaLogDirs(Outside<k::AlterReplicaLogDirsRequest>),
    DescribeQuorum(Outside<k::DescribeQuorumRequest>),
    ListConfigResources(Outside<k::ListConfigResourcesRequest>),
    DescribeTopicPartitions(Outside<k::DescribeTopicPartitionsRequest>),
    ShareGroupHeartbeat(Outside<k::ShareGroupHeartbeatRequest>),
    ShareGroupDescribe(Outside<k::ShareGroupDescribeRequest>),
    DescribeShareGroupOffsets(Outside<k::DescribeShareGroupOffsetsRequest>),
    AlterShareGroupOffsets(Outside<k::AlterShareGroupOffsetsRequest>),
    DeleteShareGroupOffsets(Outside<k::DeleteShareGroupOffsetsRequest>),
}

#[derive(Clone, Debug)]
pub enum Response {
    ApiVersions(Arc<k::ApiVersionsResponse>),
    Produce(Arc<k::ProduceResponse>),
    Fetch(Arc<k::FetchResponse>, FetchBatches),
    /// A Fetch response of the metadata log.
    FetchMetadata(Arc<k::FetchResponse>, Arc<[MetadataEntry]>),
    ListOffsets(Arc<k::ListOffsetsResponse>),
    Metadata(Arc<k::MetadataResponse>),
    FindCoordinator(Arc<k::FindCoordinatorResponse>),
    JoinGroup(Arc<k::JoinGroupResponse>),
    SyncGroup(Arc<k::SyncGroupResponse>),
    Heartbeat(Arc<k::HeartbeatResponse>),
    LeaveGroup(Arc<k::LeaveGroupResponse>),
    OffsetCommit(Arc<k::OffsetCommitResponse>),
    OffsetFetch(Arc<k::OffsetFetchResponse>),
    CreateTopics(Arc<k::CreateTopicsResponse>),
    BrokerRegistration(Arc<k::BrokerRegistrationResponse>),
    BrokerHeartbeat(Arc<k::BrokerHeartbeatResponse>),
    AlterPartition(Arc<k::AlterPartitionResponse>),
    CreatePartitions(Arc<k::CreatePartitionsResponse>),
    OffsetForLeaderEpoch(Arc<k::OffsetForLeaderEpochResponse>),
    ElectLeaders(Arc<k::ElectLeadersResponse>),
    DeleteTopics(Arc<k::DeleteTopicsResponse>),
    UnregisterBroker(Arc<k::UnregisterBrokerResponse>),
    Vote(Arc<k::VoteResponse>),
    BeginQuorumEpoch(Arc<k::BeginQuorumEpochResponse>),
    EndQuorumEpoch(Arc<k::EndQuorumEpochResponse>),
    AlterPartitionReassignments(Arc<k::AlterPartitionReassignmentsResponse>),
    IncrementalAlterConfigs(Arc<k::IncrementalAlterConfigsResponse>),
    /// With the snapshot itself, in one piece.
    FetchSnapshot(Arc<k::FetchSnapshotResponse>, Option<Arc<MetadataImage>>),
    DeleteRecords(Arc<k::DeleteRecordsResponse>),
    ListPartitionReassignments(Arc<k::ListPartitionReassignmentsResponse>),
    InitProducerId(Arc<k::InitProducerIdResponse>),
    AllocateProducerIds(Arc<k::AllocateProducerIdsResponse>),
    ListGroups(Arc<k::ListGroupsResponse>),
    DescribeGroups(Arc<k::DescribeGroupsResponse>),
    DeleteGroups(Arc<k::DeleteGroupsResponse>),
    OffsetDelete(Arc<k::OffsetDeleteResponse>),
    DescribeConfigs(Arc<k::DescribeConfigsResponse>),
    DescribeCluster(Arc<k::DescribeClusterResponse>),
    DescribeLogDirs(Arc<k::DescribeLogDirsResponse>),
    ConsumerGroupHeartbeat(Arc<k::ConsumerGroupHeartbeatResponse>),
    WriteTxnMarkers(Arc<k::WriteTxnMarkersResponse>),
    ConsumerGroupDescribe(Arc<k::ConsumerGroupDescribeResponse>),
    AddPartitionsToTxn(Arc<k::AddPartitionsToTxnResponse>),
    TxnOffsetCommit(Arc<k::TxnOffsetCommitResponse>),
    AddOffsetsToTxn(Arc<k::AddOffsetsToTxnResponse>),
    EndTxn(Arc<k::EndTxnResponse>),
    ShareFetch(Arc<k::ShareFetchResponse>, FetchBatches),
    ShareAcknowledge(Arc<k::ShareAcknowledgeResponse>),
    InitializeShareGroupState(Arc<k::InitializeShareGroupStateResponse>),
    ReadShareGroupState(Arc<k::ReadShareGroupStateResponse>),
    WriteShareGroupState(Arc<k::WriteShareGroupStateResponse>),
    DeleteShareGroupState(Arc<k::DeleteShareGroupStateResponse>),
    ReadShareGroupStateSummary(Arc<k::ReadShareGroupStateSummaryResponse>),
    DescribeTransactions(Arc<k::DescribeTransactionsResponse>),
    ListTransactions(Arc<k::ListTransactionsResponse>),
    DescribeProducers(Arc<k::DescribeProducersResponse>),
    DescribeAcls(Arc<k::DescribeAclsResponse>),
    CreateAcls(Arc<k::CreateAclsResponse>),
    DeleteAcls(Arc<k::DeleteAclsResponse>),
    AlterReplicaLogDirs(Arc<k::AlterReplicaLogDirsResponse>),
    DescribeQuorum(Arc<k::DescribeQuorumResponse>),
    ListConfigResources(Arc<k::ListConfigResourcesResponse>),
    DescribeTopicPartitions(Arc<k::DescribeTopicPartitionsResponse>),
    ShareGroupHeartbeat(Arc<k::ShareGroupHeartbeatResponse>),
    ShareGroupDescribe(Arc<k::ShareGroupDescribeResponse>),
    DescribeShareGroupOffsets(Arc<k::DescribeShareGroupOffsetsResponse>),
    AlterShareGroupOffsets(Arc<k::AlterShareGroupOffsetsResponse>),
    DeleteShareGroupOffsets(Arc<k::DeleteShareGroupOffsetsResponse>),
}

/// Bytes of records as they travel.
pub fn size_of_batches(batches: &[Batch]) -> u64 {
    batches.iter().map(|batch| batch.bytes.len() as u64).sum()
}

/// Bytes of a message without records, roughly. Encoding each to know it exactly would cost more than it says.
const MESSAGE_BYTES: u64 = 100;

/// Kafka's name of a request type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Api {
    ApiVersions,
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
    CreatePartitions,
    OffsetForLeaderEpoch,
    ElectLeaders,
    DeleteTopics,
    UnregisterBroker,
    Vote,
    BeginQuorumEpoch,
    EndQuorumEpoch,
    AlterPartitionReassignments,
    IncrementalAlterConfigs,
    FetchSnapshot,
    DeleteRecords,
    ListPartitionReassignments,
    InitProducerId,
    AllocateProducerIds,
    ListGroups,
    DescribeGroups,
    DeleteGroups,
    OffsetDelete,
    DescribeConfigs,
    DescribeCluster,
    DescribeLogDirs,
    ConsumerGroupHeartbeat,
    WriteTxnMarkers,
    ConsumerGroupDescribe,
    EndTxn,
    AddOffsetsToTxn,
    TxnOffsetCommit,
    AddPartitionsToTxn,
    ShareFetch,
    ShareAcknowledge,
    InitializeShareGroupState,
    ReadShareGroupState,
    WriteShareGroupState,
    DeleteShareGroupState,
    ReadShareGroupStateSummary,
    DescribeTransactions,
    ListTransactions,
    DescribeProducers,
    DescribeAcls,
    CreateAcls,
    DeleteAcls,
    AlterReplicaLogDirs,
    DescribeQuorum,
    ListConfigResources,
    DescribeTopicPartitions,
    ShareGroupHeartbeat,
    ShareGroupDescribe,
    DescribeShareGroupOffsets,
    AlterShareGroupOffsets,
    DeleteShareGroupOffsets,
}

impl Api {
    pub const ALL: [Api; 67] = [
        Api::ApiVersions,
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
        Api::CreatePartitions,
        Api::OffsetForLeaderEpoch,
        Api::ElectLeaders,
        Api::DeleteTopics,
        Api::UnregisterBroker,
        Api::Vote,
        Api::BeginQuorumEpoch,
        Api::EndQuorumEpoch,
        Api::AlterPartitionReassignments,
        Api::IncrementalAlterConfigs,
        Api::FetchSnapshot,
        Api::DeleteRecords,
        Api::ListPartitionReassignments,
        Api::InitProducerId,
        Api::AllocateProducerIds,
        Api::ListGroups,
        Api::DescribeGroups,
        Api::DeleteGroups,
        Api::OffsetDelete,
        Api::DescribeConfigs,
        Api::DescribeCluster,
        Api::DescribeLogDirs,
        Api::ConsumerGroupHeartbeat,
        Api::WriteTxnMarkers,
        Api::ConsumerGroupDescribe,
        Api::EndTxn,
        Api::AddOffsetsToTxn,
        Api::TxnOffsetCommit,
        Api::AddPartitionsToTxn,
        Api::ShareFetch,
        Api::ShareAcknowledge,
        Api::InitializeShareGroupState,
        Api::ReadShareGroupState,
        Api::WriteShareGroupState,
        Api::DeleteShareGroupState,
        Api::ReadShareGroupStateSummary,
        Api::DescribeTransactions,
        Api::ListTransactions,
        Api::DescribeProducers,
        Api::DescribeAcls,
        Api::CreateAcls,
        Api::DeleteAcls,
        Api::AlterReplicaLogDirs,
        Api::DescribeQuorum,
        Api::ListConfigResources,
        Api::DescribeTopicPartitions,
        Api::ShareGroupHeartbeat,
        Api::ShareGroupDescribe,
        Api::DescribeShareGroupOffsets,
        Api::AlterShareGroupOffsets,
        Api::DeleteShareGroupOffsets,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Api::ApiVersions => "ApiVersions",
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
            Api::CreatePartitions => "CreatePartitions",
            Api::OffsetForLeaderEpoch => "OffsetForLeaderEpoch",
            Api::ElectLeaders => "ElectLeaders",
            Api::DeleteTopics => "DeleteTopics",
            Api::UnregisterBroker => "UnregisterBroker",
            Api::Vote => "Vote",
            Api::BeginQuorumEpoch => "BeginQuorumEpoch",
            Api::EndQuorumEpoch => "EndQuorumEpoch",
            Api::AlterPartitionReassignments => "AlterPartitionReassignments",
            Api::IncrementalAlterConfigs => "IncrementalAlterConfigs",
            Api::FetchSnapshot => "FetchSnapshot",
            Api::DeleteRecords => "DeleteRecords",
            Api::ListPartitionReassignments => "ListPartitionReassignments",
            Api::InitProducerId => "InitProducerId",
            Api::AllocateProducerIds => "AllocateProducerIds",
            Api::ListGroups => "ListGroups",
            Api::DescribeGroups => "DescribeGroups",
            Api::DeleteGroups => "DeleteGroups",
            Api::OffsetDelete => "OffsetDelete",
            Api::DescribeConfigs => "DescribeConfigs",
            Api::DescribeCluster => "DescribeCluster",
            Api::DescribeLogDirs => "DescribeLogDirs",
            Api::ConsumerGroupHeartbeat => "ConsumerGroupHeartbeat",
            Api::WriteTxnMarkers => "WriteTxnMarkers",
            Api::ConsumerGroupDescribe => "ConsumerGroupDescribe",
            Api::AddPartitionsToTxn => "AddPartitionsToTxn",
            Api::TxnOffsetCommit => "TxnOffsetCommit",
            Api::AddOffsetsToTxn => "AddOffsetsToTxn",
            Api::EndTxn => "EndTxn",
            Api::ShareFetch => "ShareFetch",
            Api::ShareAcknowledge => "ShareAcknowledge",
            Api::InitializeShareGroupState => "InitializeShareGroupState",
            Api::ReadShareGroupState => "ReadShareGroupState",
            Api::WriteShareGroupState => "WriteShareGroupState",
            Api::DeleteShareGroupState => "DeleteShareGroupState",
            Api::ReadShareGroupStateSummary => "ReadShareGroupStateSummary",
            Api::DescribeTransactions => "DescribeTransactions",
            Api::ListTransactions => "ListTransactions",
            Api::DescribeProducers => "DescribeProducers",
            Api::DescribeAcls => "DescribeAcls",
            Api::CreateAcls => "CreateAcls",
            Api::DeleteAcls => "DeleteAcls",
            Api::AlterReplicaLogDirs => "AlterReplicaLogDirs",
            Api::DescribeQuorum => "DescribeQuorum",
            Api::ListConfigResources => "ListConfigResources",
            Api::DescribeTopicPartitions => "DescribeTopicPartitions",
            Api::ShareGroupHeartbeat => "ShareGroupHeartbeat",
            Api::ShareGroupDescribe => "ShareGroupDescribe",
            Api::DescribeShareGroupOffsets => "DescribeShareGroupOffsets",
            Api::AlterShareGroupOffsets => "AlterShareGroupOffsets",
            Api::DeleteShareGroupOffsets => "DeleteShareGroupOffsets",
        }
    }
}

impl Request {
    /// About how many bytes it has on the wire: its records exactly, and a round number for the rest.
    pub fn bytes(&self) -> u64 {
        match self {
            Request::Produce(_, batches) => MESSAGE_BYTES + batches.iter().map(|batch| batch.bytes.len() as u64).sum::<u64>(),
            _ => MESSAGE_BYTES,
        }
    }

    pub fn api(&self) -> Api {
        match self {
            Request::ApiVersions(_) => Api::ApiVersions,
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
            Request::CreatePartitions(_) => Api::CreatePartitions,
            Request::OffsetForLeaderEpoch(_) => Api::OffsetForLeaderEpoch,
            Request::ElectLeaders(_) => Api::ElectLeaders,
            Request::DeleteTopics(_) => Api::DeleteTopics,
            Request::UnregisterBroker(_) => Api::UnregisterBroker,
            Request::Vote(_) => Api::Vote,
            Request::BeginQuorumEpoch(_) => Api::BeginQuorumEpoch,
            Request::EndQuorumEpoch(_) => Api::EndQuorumEpoch,
            Request::AlterPartitionReassignments(_) => Api::AlterPartitionReassignments,
            Request::IncrementalAlterConfigs(_) => Api::IncrementalAlterConfigs,
            Request::FetchSnapshot(_) => Api::FetchSnapshot,
            Request::DeleteRecords(_) => Api::DeleteRecords,
            Request::ListPartitionReassignments(_) => Api::ListPartitionReassignments,
            Request::InitProducerId(_) => Api::InitProducerId,
            Request::AllocateProducerIds(_) => Api::AllocateProducerIds,
            Request::ListGroups(_) => Api::ListGroups,
            Request::DescribeGroups(_) => Api::DescribeGroups,
            Request::DeleteGroups(_) => Api::DeleteGroups,
            Request::OffsetDelete(_) => Api::OffsetDelete,
            Request::DescribeConfigs(_) => Api::DescribeConfigs,
            Request::DescribeCluster(_) => Api::DescribeCluster,
            Request::DescribeLogDirs(_) => Api::DescribeLogDirs,
            Request::ConsumerGroupHeartbeat(_) => Api::ConsumerGroupHeartbeat,
            Request::WriteTxnMarkers(_) => Api::WriteTxnMarkers,
            Request::ConsumerGroupDescribe(_) => Api::ConsumerGroupDescribe,
            Request::AddPartitionsToTxn(_) => Api::AddPartitionsToTxn,
            Request::TxnOffsetCommit(_) => Api::TxnOffsetCommit,
            Request::AddOffsetsToTxn(_) => Api::AddOffsetsToTxn,
            Request::EndTxn(_) => Api::EndTxn,
            Request::ShareFetch(_) => Api::ShareFetch,
            Request::ShareAcknowledge(_) => Api::ShareAcknowledge,
            Request::InitializeShareGroupState(_) => Api::InitializeShareGroupState,
            Request::ReadShareGroupState(_) => Api::ReadShareGroupState,
            Request::WriteShareGroupState(_) => Api::WriteShareGroupState,
            Request::DeleteShareGroupState(_) => Api::DeleteShareGroupState,
            Request::ReadShareGroupStateSummary(_) => Api::ReadShareGroupStateSummary,
            Request::DescribeTransactions(_) => Api::DescribeTransactions,
            Request::ListTransactions(_) => Api::ListTransactions,
            Request::DescribeProducers(_) => Api::DescribeProducers,
            Request::DescribeAcls(_) => Api::DescribeAcls,
            Request::CreateAcls(_) => Api::CreateAcls,
            Request::DeleteAcls(_) => Api::DeleteAcls,
            Request::AlterReplicaLogDirs(_) => Api::AlterReplicaLogDirs,
            Request::DescribeQuorum(_) => Api::DescribeQuorum,
            Request::ListConfigResources(_) => Api::ListConfigResources,
            Request::DescribeTopicPartitions(_) => Api::DescribeTopicPartitions,
            Request::ShareGroupHeartbeat(_) => Api::ShareGroupHeartbeat,
            Request::ShareGroupDescribe(_) => Api::ShareGroupDescribe,
            Request::DescribeShareGroupOffsets(_) => Api::DescribeShareGroupOffsets,
            Request::AlterShareGroupOffsets(_) => Api::AlterShareGroupOffsets,
            Request::DeleteShareGroupOffsets(_) => Api::DeleteShareGroupOffsets,
        }
    }
}

impl Response {
    /// About how many bytes it has on the wire: its records exactly, and a round number for the rest.
    pub fn bytes(&self) -> u64 {
        match self {
            Response::Fetch(_, batches) | Response::ShareFetch(_, batches) => {
                MESSAGE_BYTES + batches.iter().flatten().map(|batch| batch.bytes.len() as u64).sum::<u64>()
            }
            _ => MESSAGE_BYTES,
        }
    }

    pub fn api(&self) -> Api {
        match self {
            Response::ApiVersions(_) => Api::ApiVersions,
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
            Response::CreatePartitions(_) => Api::CreatePartitions,
            Response::OffsetForLeaderEpoch(_) => Api::OffsetForLeaderEpoch,
            Response::ElectLeaders(_) => Api::ElectLeaders,
            Response::DeleteTopics(_) => Api::DeleteTopics,
            Response::UnregisterBroker(_) => Api::UnregisterBroker,
            Response::Vote(_) => Api::Vote,
            Response::BeginQuorumEpoch(_) => Api::BeginQuorumEpoch,
            Response::EndQuorumEpoch(_) => Api::EndQuorumEpoch,
            Response::AlterPartitionReassignments(_) => Api::AlterPartitionReassignments,
            Response::IncrementalAlterConfigs(_) => Api::IncrementalAlterConfigs,
            Response::FetchSnapshot(..) => Api::FetchSnapshot,
            Response::DeleteRecords(_) => Api::DeleteRecords,
            Response::ListPartitionReassignments(_) => Api::ListPartitionReassignments,
            Response::InitProducerId(_) => Api::InitProducerId,
            Response::AllocateProducerIds(_) => Api::AllocateProducerIds,
            Response::ListGroups(_) => Api::ListGroups,
            Response::DescribeGroups(_) => Api::DescribeGroups,
            Response::DeleteGroups(_) => Api::DeleteGroups,
            Response::OffsetDelete(_) => Api::OffsetDelete,
            Response::DescribeConfigs(_) => Api::DescribeConfigs,
            Response::DescribeCluster(_) => Api::DescribeCluster,
            Response::DescribeLogDirs(_) => Api::DescribeLogDirs,
            Response::ConsumerGroupHeartbeat(_) => Api::ConsumerGroupHeartbeat,
            Response::WriteTxnMarkers(_) => Api::WriteTxnMarkers,
            Response::ConsumerGroupDescribe(_) => Api::ConsumerGroupDescribe,
            Response::AddPartitionsToTxn(_) => Api::AddPartitionsToTxn,
            Response::TxnOffsetCommit(_) => Api::TxnOffsetCommit,
            Response::AddOffsetsToTxn(_) => Api::AddOffsetsToTxn,
            Response::EndTxn(_) => Api::EndTxn,
            Response::ShareFetch(..) => Api::ShareFetch,
            Response::ShareAcknowledge(_) => Api::ShareAcknowledge,
            Response::InitializeShareGroupState(_) => Api::InitializeShareGroupState,
            Response::ReadShareGroupState(_) => Api::ReadShareGroupState,
            Response::WriteShareGroupState(_) => Api::WriteShareGroupState,
            Response::DeleteShareGroupState(_) => Api::DeleteShareGroupState,
            Response::ReadShareGroupStateSummary(_) => Api::ReadShareGroupStateSummary,
            Response::DescribeTransactions(_) => Api::DescribeTransactions,
            Response::ListTransactions(_) => Api::ListTransactions,
            Response::DescribeProducers(_) => Api::DescribeProducers,
            Response::DescribeAcls(_) => Api::DescribeAcls,
            Response::CreateAcls(_) => Api::CreateAcls,
            Response::DeleteAcls(_) => Api::DeleteAcls,
            Response::AlterReplicaLogDirs(_) => Api::AlterReplicaLogDirs,
            Response::DescribeQuorum(_) => Api::DescribeQuorum,
            Response::ListConfigResources(_) => Api::ListConfigResources,
            Response::DescribeTopicPartitions(_) => Api::DescribeTopicPartitions,
            Response::ShareGroupHeartbeat(_) => Api::ShareGroupHeartbeat,
            Response::ShareGroupDescribe(_) => Api::ShareGroupDescribe,
            Response::DescribeShareGroupOffsets(_) => Api::DescribeShareGroupOffsets,
            Response::AlterShareGroupOffsets(_) => Api::AlterShareGroupOffsets,
            Response::DeleteShareGroupOffsets(_) => Api::DeleteShareGroupOffsets,
        }
    }

    /// The first error in it, for the trace.
    pub fn error(&self) -> ErrorCode {
        let code = match self {
            Response::ApiVersions(m) => m.error_code,
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
            Response::DeleteRecords(m) => {
                m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0)
            }
            Response::OffsetForLeaderEpoch(m) => {
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
            Response::CreatePartitions(m) => m.results.iter().map(|t| t.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::DeleteTopics(m) => m.responses.iter().map(|t| t.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::IncrementalAlterConfigs(m) => m.responses.iter().map(|r| r.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::ElectLeaders(m) => {
                let results = m.replica_election_results.iter().flat_map(|t| &t.partition_result);
                results.map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0)
            }
            Response::ListPartitionReassignments(m) => m.error_code,
            Response::InitProducerId(m) => m.error_code,
            Response::AllocateProducerIds(m) => m.error_code,
            Response::ListGroups(m) => m.error_code,
            Response::DescribeGroups(m) => m.groups.iter().map(|g| g.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::DeleteGroups(m) => m.results.iter().map(|g| g.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::OffsetDelete(m) => quorum_error(m.error_code, m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::DescribeConfigs(m) => m.results.iter().map(|r| r.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::DescribeCluster(m) => m.error_code,
            Response::DescribeLogDirs(m) => m.error_code,
            Response::ConsumerGroupHeartbeat(m) => m.error_code,
            Response::EndTxn(m) => m.error_code,
            Response::AddOffsetsToTxn(m) => m.error_code,
            Response::TxnOffsetCommit(m) => quorum_error(0, m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::AddPartitionsToTxn(m) => {
                let results = m.results_by_transaction.iter().flat_map(|r| &r.topic_results).flat_map(|t| &t.results_by_partition);
                // Why something was not attempted stands at another partition.
                let is_reason = |code: &i16| *code != ErrorCode::OperationNotAttempted.code();
                quorum_error(m.error_code, results.map(|p| p.partition_error_code).filter(is_reason))
            }
            Response::WriteTxnMarkers(m) => {
                let results = m.markers.iter().flat_map(|marker| &marker.topics).flat_map(|t| &t.partitions);
                results.map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0)
            }
            Response::ConsumerGroupDescribe(m) => m.groups.iter().map(|g| g.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::ShareGroupHeartbeat(m) => m.error_code,
            Response::ShareGroupDescribe(m) => m.groups.iter().map(|g| g.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::DescribeShareGroupOffsets(m) => {
                let parts = m.groups.iter().flat_map(|g| g.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code)));
                m.groups.iter().map(|g| g.error_code).chain(parts).find(|code| *code != 0).unwrap_or(0)
            }
            Response::AlterShareGroupOffsets(m) => {
                quorum_error(m.error_code, m.responses.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code)))
            }
            Response::DeleteShareGroupOffsets(m) => quorum_error(m.error_code, m.responses.iter().map(|t| t.error_code)),
            Response::ShareFetch(m, _) => quorum_error(
                m.error_code,
                m.responses
                    .iter()
                    .flat_map(|t| &t.partitions)
                    .map(|p| if p.error_code == 0 { p.acknowledge_error_code } else { p.error_code }),
            ),
            Response::ShareAcknowledge(m) => {
                quorum_error(m.error_code, m.responses.iter().flat_map(|t| &t.partitions).map(|p| p.error_code))
            }
            Response::InitializeShareGroupState(m) => quorum_error(0, m.results.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::ReadShareGroupState(m) => quorum_error(0, m.results.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::WriteShareGroupState(m) => quorum_error(0, m.results.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::DeleteShareGroupState(m) => quorum_error(0, m.results.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::ReadShareGroupStateSummary(m) => quorum_error(0, m.results.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::DescribeTransactions(m) => quorum_error(0, m.transaction_states.iter().map(|state| state.error_code)),
            Response::ListTransactions(m) => m.error_code,
            Response::DescribeProducers(m) => quorum_error(0, m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::DescribeAcls(m) => m.error_code,
            Response::CreateAcls(m) => quorum_error(0, m.results.iter().map(|result| result.error_code)),
            Response::DeleteAcls(m) => quorum_error(0, m.filter_results.iter().map(|result| result.error_code)),
            Response::AlterReplicaLogDirs(m) => quorum_error(0, m.results.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::DescribeQuorum(m) => quorum_error(m.error_code, m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::ListConfigResources(m) => m.error_code,
            Response::DescribeTopicPartitions(m) => m.topics.iter().map(|t| t.error_code).find(|code| *code != 0).unwrap_or(0),
            Response::Vote(m) => quorum_error(m.error_code, m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::BeginQuorumEpoch(m) => quorum_error(m.error_code, m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::EndQuorumEpoch(m) => quorum_error(m.error_code, m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::FetchSnapshot(m, _) => quorum_error(m.error_code, m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code)),
            Response::BrokerRegistration(m) => m.error_code,
            Response::BrokerHeartbeat(m) => m.error_code,
            Response::UnregisterBroker(m) => m.error_code,
            Response::AlterPartitionReassignments(m) => match m.error_code {
                0 => m.responses.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0),
                code => code,
            },
            Response::AlterPartition(m) => match m.error_code {
                0 => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).find(|code| *code != 0).unwrap_or(0),
                code => code,
            },
        };
        ErrorCode::of(code)
    }
}

/// The whole message's error, or the first partition's.
fn quorum_error(whole: i16, mut partitions: impl Iterator<Item = i16>) -> i16 {
    if whole == 0 { partitions.find(|code| *code != 0).unwrap_or(0) } else { whole }
}

/// Asks the quorum's leader for its snapshot of the metadata, from the beginning.
pub fn snapshot_request(replica: i32, leader_epoch: i32, epoch: i32, end_offset: i64) -> k::FetchSnapshotRequest {
    let mut partition = k::fetch_snapshot_request::PartitionSnapshot::default();
    partition.current_leader_epoch = leader_epoch;
    (partition.snapshot_id.epoch, partition.snapshot_id.end_offset) = (epoch, end_offset);
    let mut asked = k::fetch_snapshot_request::TopicSnapshot::default();
    asked.name = topic(METADATA_TOPIC);
    asked.partitions.push(partition);
    let mut message = k::FetchSnapshotRequest::default();
    message.replica_id = k::BrokerId(replica);
    message.topics.push(asked);
    message
}

/// Text as kafka-protocol holds it.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic's name as kafka-protocol holds it.
pub fn topic(name: &str) -> k::TopicName {
    k::TopicName(text(name))
}
