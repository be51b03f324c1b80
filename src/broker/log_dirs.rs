//! DescribeLogDirs: what lies in the broker's log directory, and how large it is; AlterReplicaLogDirs: it may lie in another.
//!
//! Owns the answers. A broker here has one disk, so one directory, and there is no other to move a replica to. Source: KIP-113,
//! `ReplicaManager.describeLogDirs`, `ReplicaManager.alterReplicaLogDirs`.

use super::Broker;
use crate::node::Partition;
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::settings::{self, Scope};
use crate::protocol::wire;
use crate::replica::PartitionKey;
use kafka_protocol::messages as k;
use kafka_protocol::messages::alter_replica_log_dirs_response;
use kafka_protocol::messages::describe_log_dirs_response as shape;

impl Broker {
    pub(super) fn describe_log_dirs(&self, message: &k::DescribeLogDirsRequest) -> k::DescribeLogDirsResponse {
        let is_asked = |name: &Partition| {
            message.topics.as_ref().is_none_or(|topics| {
                topics.iter().any(|topic| topic.topic.as_str() == &*name.topic && topic.partitions.contains(&name.index))
            })
        };
        let mut topics = OrderedMap::<&str, Vec<shape::DescribeLogDirsPartition>>::new();
        for replica in self.replicas.values().filter(|replica| is_asked(&replica.name)) {
            let partition = shape::DescribeLogDirsPartition::default()
                .with_partition_index(replica.name.index)
                .with_partition_size(replica.log.bytes() as i64)
                .with_offset_lag((replica.high_watermark() - replica.log.end_offset()).max(0));
            topics.or_default(&*replica.name.topic).push(partition);
        }
        let named = topics
            .into_iter()
            .map(|(name, partitions)| shape::DescribeLogDirsTopic::default().with_name(wire::topic(name)).with_partitions(partitions));
        let directory = shape::DescribeLogDirsResult::default().with_log_dir(wire::text(self.log_dir())).with_topics(named.collect());
        k::DescribeLogDirsResponse::default().with_results(vec![directory])
    }

    /// A replica stays where it is; where it is not, there is no directory.
    pub(super) fn alter_replica_log_dirs(&self, message: &k::AlterReplicaLogDirsRequest) -> k::AlterReplicaLogDirsResponse {
        let mut response = k::AlterReplicaLogDirsResponse::default();
        for directory in &message.dirs {
            for topic in &directory.topics {
                let id = self.image.topic(&topic.name).map(|known| known.id);
                let found = |index: i32| match id {
                    _ if directory.path.as_str() != self.log_dir() => ErrorCode::LogDirNotFound,
                    None => ErrorCode::UnknownTopicOrPartition,
                    Some(topic) => self.replica(PartitionKey { topic, index }).err().unwrap_or(ErrorCode::None),
                };
                let result = |index: &i32| {
                    let result = alter_replica_log_dirs_response::AlterReplicaLogDirPartitionResult::default().with_partition_index(*index);
                    result.with_error_code(found(*index).code())
                };
                let told = alter_replica_log_dirs_response::AlterReplicaLogDirTopicResult::default().with_topic_name(topic.name.clone());
                response.results.push(told.with_partitions(topic.partitions.iter().map(result).collect()));
            }
        }
        response
    }

    /// `log.dirs`, else `log.dir`.
    fn log_dir(&self) -> &str {
        let default = || settings::lookup(Scope::Broker, "log.dir").and_then(|setting| setting.default).unwrap_or_default();
        let given = ["log.dirs", "log.dir"].into_iter().find_map(|name| self.config.given.get(name));
        given.map_or_else(default, String::as_str)
    }
}
