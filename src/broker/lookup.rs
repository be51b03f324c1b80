//! Requests that only look: Metadata, ListOffsets, FindCoordinator.
//!
//! Source: `KafkaApis`, `KRaftMetadataCache`, `ReplicaManager.fetchOffset`, KIP-1143 (topic ids everywhere).

use super::Broker;
use super::fetch::READ_COMMITTED;
use crate::coordinator::{OFFSETS_TOPIC, SHARE_TOPIC, TRANSACTIONS_TOPIC, is_internal, partition_for, state_partition};
use crate::node::{Outputs, Time};
use crate::ordered::repeated;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::TopicMetadata;
use crate::protocol::operations;
use crate::protocol::share_records::ShareKey;
use crate::protocol::validate_topic_name;
use crate::protocol::wire;
use crate::replica::PartitionKey;
use crate::storage::Found;
use k::list_offsets_request::ListOffsetsTopic;
use k::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use k::metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages as k;

/// ListOffsets' name for the high watermark.
pub const LATEST_TIMESTAMP: i64 = -1;
/// ListOffsets' name for the log start offset.
pub const EARLIEST_TIMESTAMP: i64 = -2;
/// ListOffsets' name for the first of the newest records (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// ListOffsets' name for the first offset on the broker's own disk (KIP-405).
pub const EARLIEST_LOCAL_TIMESTAMP: i64 = -4;
/// ListOffsets' name for the last offset in tiered storage (KIP-1005).
const LATEST_TIERED_TIMESTAMP: i64 = -5;

/// The replica id of whoever is none (`ListOffsetsRequest.CONSUMER_REPLICA_ID`).
const CONSUMER: k::BrokerId = k::BrokerId(-1);
/// And of whoever wants to know what a replica has, though it does not lead (`DEBUGGING_REPLICA_ID`).
const DEBUGGING_REPLICA: k::BrokerId = k::BrokerId(-2);

/// Coordinators that FindCoordinator knows (`CoordinatorType`).
const GROUP_COORDINATOR: i8 = 0;
const TRANSACTION_COORDINATOR: i8 = 1;
const SHARE_COORDINATOR: i8 = 2;

/// What clients may ask of a broker: key, oldest and newest version that kafka-protocol reads. Produce below 3 is advertised though none is understood, as Kafka
/// does for clients that look only at the range (KIP-896).
const APIS: [(i16, i16, i16); 51] = [
    (0, 0, 13), // Produce
    (1, 4, 18), // Fetch
    (2, 1, 10), // ListOffsets
    (3, 0, 13), // Metadata
    (8, 2, 9),  // OffsetCommit
    (9, 1, 9),  // OffsetFetch
    (10, 0, 6), // FindCoordinator
    (11, 0, 9), // JoinGroup
    (12, 0, 4), // Heartbeat
    (13, 0, 5), // LeaveGroup
    (14, 0, 5), // SyncGroup
    (15, 0, 6), // DescribeGroups
    (16, 0, 5), // ListGroups
    (18, 0, 4), // ApiVersions
    (21, 0, 2), // DeleteRecords
    (22, 0, 5), // InitProducerId
    (23, 2, 4), // OffsetForLeaderEpoch
    (24, 0, 5), // AddPartitionsToTxn
    (25, 0, 4), // AddOffsetsToTxn
    (26, 0, 5), // EndTxn
    (27, 1, 1), // WriteTxnMarkers
    (28, 0, 5), // TxnOffsetCommit
    (29, 1, 3), // DescribeAcls
    (30, 1, 3), // CreateAcls
    (31, 1, 3), // DeleteAcls
    (32, 1, 4), // DescribeConfigs
    (34, 1, 2), // AlterReplicaLogDirs
    (35, 1, 4), // DescribeLogDirs
    (42, 0, 2), // DeleteGroups
    (47, 0, 0), // OffsetDelete
    (48, 0, 1), // DescribeClientQuotas
    (60, 0, 2), // DescribeCluster
    (61, 0, 0), // DescribeProducers
    (65, 0, 0), // DescribeTransactions
    (66, 0, 2), // ListTransactions
    (68, 0, 1), // ConsumerGroupHeartbeat
    (69, 0, 1), // ConsumerGroupDescribe
    (74, 0, 1), // ListConfigResources
    (75, 0, 0), // DescribeTopicPartitions
    (76, 1, 1), // ShareGroupHeartbeat
    (77, 1, 1), // ShareGroupDescribe
    (78, 1, 1), // ShareFetch
    (79, 1, 1), // ShareAcknowledge
    (83, 0, 0), // InitializeShareGroupState
    (84, 0, 0), // ReadShareGroupState
    (85, 0, 0), // WriteShareGroupState
    (86, 0, 0), // DeleteShareGroupState
    (87, 0, 0), // ReadShareGroupStateSummary
    (90, 0, 0), // DescribeShareGroupOffsets
    (91, 0, 0), // AlterShareGroupOffsets
    (92, 0, 0), // DeleteShareGroupOffsets
];

/// Features that brokers support, with the least and the greatest level (`Feature`, `MetadataVersion` of Kafka 4.2).
const FEATURES: [(&str, i16, i16); 6] = [
    ("metadata.version", 7, 29),
    ("kraft.version", 0, 1),
    ("transaction.version", 0, 2),
    ("group.version", 0, 1),
    ("eligible.leader.replicas.version", 0, 1),
    ("share.version", 0, 1),
];

/// `levels` are those of features that the cluster has finalized at another than their greatest; 0: it has not.
fn api_versions(levels: &[(&str, i16)]) -> k::ApiVersionsResponse {
    let supported = |(name, least, greatest): (&'static str, i16, i16)| {
        let feature = k::api_versions_response::SupportedFeatureKey::default().with_name(wire::text(name));
        feature.with_min_version(least).with_max_version(greatest)
    };
    let finalized = |(name, _, greatest): (&'static str, i16, i16)| {
        let level = levels.iter().find(|(known, _)| *known == name).map_or(greatest, |(_, level)| *level);
        let feature = k::api_versions_response::FinalizedFeatureKey::default().with_name(wire::text(name));
        (0 < level).then(|| feature.with_min_version_level(level).with_max_version_level(level))
    };
    let version = |(key, oldest, newest)| {
        let mut version = k::api_versions_response::ApiVersion::default();
        (version.api_key, version.min_version, version.max_version) = (key, oldest, newest);
        version
    };
    k::ApiVersionsResponse::default()
        .with_api_keys(APIS.into_iter().map(version).collect())
        .with_supported_features(FEATURES.into_iter().map(supported).collect())
        .with_finalized_features(FEATURES.into_iter().filter_map(finalized).collect())
}

impl Broker {
    pub(super) fn api_versions(&self) -> k::ApiVersionsResponse {
        // The quorum of controllers is a fixed one (KIP-853 is not there).
        let levels = [
            ("kraft.version", 0),
            ("transaction.version", self.config.transaction_version as i16),
            ("eligible.leader.replicas.version", i16::from(self.config.eligible_leaders)),
        ];
        api_versions(&levels).with_finalized_features_epoch(self.image.next_offset - 1)
    }

    pub(super) fn metadata(&mut self, now: Time, message: &k::MetadataRequest, out: &mut Outputs) -> k::MetadataResponse {
        let mut response = k::MetadataResponse::default();
        response.controller_id = k::BrokerId(self.id);
        for (id, known) in self.image.brokers.iter().filter(|(_, known)| !known.fenced) {
            let mut broker = MetadataResponseBroker::default();
            broker.node_id = k::BrokerId(*id);
            broker.rack = known.rack.as_deref().map(wire::text);
            response.brokers.push(broker);
        }
        match &message.topics {
            // Null asks for every topic, an empty list for none.
            None => response.topics = self.image.topics.values().map(|topic| self.topic_metadata(topic)).collect(),
            // Where one asks by id, all do.
            Some(asked) if asked.iter().any(|asked| !asked.topic_id.is_nil()) => {
                for id in asked.iter().map(|asked| asked.topic_id).filter(|id| !id.is_nil()) {
                    response.topics.push(match self.image.topics.get(&id) {
                        Some(topic) => self.topic_metadata(topic),
                        None => MetadataResponseTopic::default()
                            .with_name(None)
                            .with_topic_id(id)
                            .with_error_code(ErrorCode::UnknownTopicId.code()),
                    });
                }
            }
            Some(asked) => {
                for asked in asked {
                    let name = asked.name.as_ref().map_or("", |name| name.as_str());
                    response.topics.push(match self.image.topic(name) {
                        Some(topic) => self.topic_metadata(topic),
                        None => {
                            let mut unknown = MetadataResponseTopic::default();
                            unknown.name.clone_from(&asked.name);
                            unknown.is_internal = is_internal(name);
                            unknown.error_code = self.missing_topic(now, name, message.allow_auto_topic_creation, out).code();
                            unknown
                        }
                    });
                }
            }
        }
        for topic in response.topics.iter_mut().filter(|topic| topic.error_code != ErrorCode::UnknownTopicId.code()) {
            topic.topic_authorized_operations = operations::told(message.include_topic_authorized_operations, operations::ON_TOPICS);
        }
        response.cluster_authorized_operations = operations::told(message.include_cluster_authorized_operations, operations::ON_CLUSTER);
        response
    }

    /// KIP-700. Of the controllers a broker's listener knows nothing (KIP-919).
    pub(super) fn describe_cluster(&self, message: &k::DescribeClusterRequest) -> k::DescribeClusterResponse {
        const BROKERS: i8 = 1;
        const CONTROLLERS: i8 = 2;
        let mut response = k::DescribeClusterResponse::default();
        let refused = match message.endpoint_type {
            BROKERS => None,
            CONTROLLERS => Some((
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER".to_owned(),
            )),
            other => Some((ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {other}"))),
        };
        if let Some((error, sentence)) = refused {
            (response.error_code, response.error_message) = (error.code(), Some(wire::text(&sentence)));
            return response;
        }
        response.cluster_authorized_operations = operations::told(message.include_cluster_authorized_operations, operations::ON_CLUSTER);
        response.controller_id = k::BrokerId(self.id);
        for (id, known) in self.image.brokers.iter().filter(|(_, known)| message.include_fenced_brokers || !known.fenced) {
            let broker = k::describe_cluster_response::DescribeClusterBroker::default().with_broker_id(k::BrokerId(*id));
            response.brokers.push(broker.with_rack(known.rack.as_deref().map(wire::text)).with_is_fenced(known.fenced));
        }
        response
    }

    /// A topic that does not exist is made on the way, if both sides allow it; the client asks again.
    fn missing_topic(&mut self, now: Time, name: &str, allowed: bool, out: &mut Outputs) -> ErrorCode {
        if validate_topic_name(name).is_err() {
            return ErrorCode::InvalidTopicException;
        }
        if allowed && self.config.auto_create_topics {
            self.create_missing_topic(now, name, out);
        }
        ErrorCode::UnknownTopicOrPartition
    }

    /// Which of a partition's replicas cannot be reached. One that is being shut down still can.
    pub(super) fn offline_among(&self, replicas: &[i32]) -> Vec<i32> {
        replicas.iter().copied().filter(|id| self.image.brokers.get(id).is_none_or(|known| known.fenced)).collect()
    }

    fn topic_metadata(&self, topic: &TopicMetadata) -> MetadataResponseTopic {
        let mut answer = MetadataResponseTopic::default();
        answer.name = Some(wire::topic(&topic.name));
        answer.topic_id = topic.id;
        answer.is_internal = is_internal(&topic.name);
        for (index, state) in (0i32..).zip(&topic.partitions) {
            let ids = |brokers: &[i32]| brokers.iter().map(|id| k::BrokerId(*id)).collect();
            let mut partition = MetadataResponsePartition::default();
            partition.partition_index = index;
            partition.leader_id = k::BrokerId(state.leader.unwrap_or(-1));
            partition.leader_epoch = state.leader_epoch;
            partition.replica_nodes = ids(&state.replicas);
            partition.isr_nodes = ids(&state.isr);
            partition.offline_replicas = ids(&self.offline_among(&state.replicas));
            if state.leader.is_none() {
                partition.error_code = ErrorCode::LeaderNotAvailable.code();
            }
            answer.partitions.push(partition);
        }
        answer
    }

    /// The answer, and whether it needs the remote store.
    pub fn list_offsets<'m>(&self, message: &'m k::ListOffsetsRequest) -> (k::ListOffsetsResponse, bool) {
        let mut needs_remote = false;
        let mut response = k::ListOffsetsResponse::default();
        let named = |topic: &'m ListOffsetsTopic| topic.partitions.iter().map(|asked| (topic.name.as_str(), asked.partition_index));
        let repeated = repeated(message.topics.iter().flat_map(named));
        for topic in &message.topics {
            let mut answer = ListOffsetsTopicResponse::default();
            answer.name = topic.name.clone();
            for asked in &topic.partitions {
                let mut result = ListOffsetsPartitionResponse::default();
                result.partition_index = asked.partition_index;
                (result.offset, result.timestamp) = (-1, -1);
                let found = if repeated.contains(&(topic.name.as_str(), asked.partition_index)) {
                    Err(ErrorCode::InvalidRequest)
                } else {
                    self.find_offset(topic.name.as_str(), asked, message, &mut needs_remote)
                };
                match found {
                    Err(error) => result.error_code = error.code(),
                    Ok(found) => {
                        (result.offset, result.timestamp, result.leader_epoch) = (found.offset, found.timestamp, found.leader_epoch);
                    }
                }
                answer.partitions.push(result);
            }
            response.topics.push(answer);
        }
        (response, needs_remote)
    }

    fn find_offset(
        &self,
        topic: &str,
        asked: &k::list_offsets_request::ListOffsetsPartition,
        message: &k::ListOffsetsRequest,
        needs_remote: &mut bool,
    ) -> Result<Found, ErrorCode> {
        const NOTHING: Found = Found { offset: -1, timestamp: -1, leader_epoch: -1 };
        if asked.timestamp < LATEST_TIERED_TIMESTAMP {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let id = *self.image.topic_ids.get(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let key = PartitionKey { topic: id, index: asked.partition_index };
        let replica = self.replica(key)?;
        replica.check_epoch(asked.current_leader_epoch)?;
        let leader = replica.leader();
        if leader.is_none() && message.replica_id != DEBUGGING_REPLICA {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let (log, high_watermark) = (&replica.log, replica.high_watermark());
        let edge = |offset: i64, leader_epoch: i32| Found { offset, timestamp: -1, leader_epoch };
        // A new leader does not know yet how much of the old epoch was safe. Only a consumer wants to know: others ask for the log as it is.
        let is_consumer = message.replica_id == CONSUMER;
        let is_uncertain = is_consumer && leader.is_some_and(|leader| high_watermark < leader.epoch_start);
        let end = match message.isolation_level {
            _ if !is_consumer => log.end_offset(),
            READ_COMMITTED => replica.last_stable_offset(),
            _ => high_watermark,
        };
        let found = match asked.timestamp {
            EARLIEST_TIMESTAMP | EARLIEST_LOCAL_TIMESTAMP => {
                let start = if asked.timestamp == EARLIEST_TIMESTAMP { log.start_offset() } else { log.local_start_offset() };
                return Ok(edge(start, log.epoch_at(start).unwrap_or(-1)));
            }
            LATEST_TIMESTAMP if is_uncertain => None,
            LATEST_TIMESTAMP => return Ok(edge(end, replica.leader_epoch())),
            LATEST_TIERED_TIMESTAMP if log.config().remote && 0 < log.remote_end() => {
                let last = log.remote_end() - 1;
                return Ok(edge(last, log.epoch_at(last).unwrap_or(-1)));
            }
            LATEST_TIERED_TIMESTAMP => return Ok(NOTHING),
            // As in Kafka, of what is local.
            MAX_TIMESTAMP => log.newest(),
            timestamp => {
                let tiered = self.remote.get(&key).and_then(|remote| remote.first_at(log, timestamp));
                *needs_remote |= tiered.is_some();
                tiered.or_else(|| log.first_at(timestamp))
            }
        };
        match found.filter(|found| found.offset < end) {
            Some(found) => Ok(found),
            None if is_uncertain => Err(ErrorCode::OffsetNotAvailable),
            None => Ok(NOTHING),
        }
    }

    pub(super) fn find_coordinator(
        &mut self,
        now: Time,
        message: &k::FindCoordinatorRequest,
        out: &mut Outputs,
    ) -> k::FindCoordinatorResponse {
        let mut response = k::FindCoordinatorResponse::default();
        for key in &message.coordinator_keys {
            let mut answer = k::find_coordinator_response::Coordinator::default();
            answer.key = key.clone();
            answer.node_id = k::BrokerId(-1);
            match self.coordinator_of(now, message.key_type, key, out) {
                Ok(broker) => answer.node_id = k::BrokerId(broker),
                Err(error) => answer.error_code = error.code(),
            }
            response.coordinators.push(answer);
        }
        response
    }

    fn coordinator_of(&mut self, now: Time, key_type: i8, key: &str, out: &mut Outputs) -> Result<i32, ErrorCode> {
        let (name, share_key) = match key_type {
            GROUP_COORDINATOR => (OFFSETS_TOPIC, None),
            TRANSACTION_COORDINATOR => (TRANSACTIONS_TOPIC, None),
            SHARE_COORDINATOR => (SHARE_TOPIC, Some(ShareKey::of_coordinator_key(key).ok_or(ErrorCode::InvalidRequest)?)),
            _ => return Err(ErrorCode::InvalidRequest),
        };
        let Some(topic) = self.image.topic(name) else {
            self.create_missing_topic(now, name, out);
            return Err(ErrorCode::CoordinatorNotAvailable);
        };
        let partitions = topic.partitions.len() as i32;
        let index = share_key.map_or_else(|| partition_for(key, partitions), |key| state_partition(&key, partitions));
        self.image.partition(&topic.id, index).and_then(|state| state.leader).ok_or(ErrorCode::CoordinatorNotAvailable)
    }
}
