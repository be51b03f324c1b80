//! What a response says went wrong, wherever in it that stands: errors of the whole message, of a topic, a partition or a group.

use super::ErrorCode;
use super::wire::Response;

impl Response {
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
            Response::DescribeClientQuotas(m) => m.error_code,
            Response::AlterClientQuotas(m) => m.entries.iter().map(|e| e.error_code).find(|code| *code != 0).unwrap_or(0),
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
