//! DescribeLogDirs: what lies in the broker's log directory, and how large it is.
//!
//! Owns the answer. A broker here has one disk, so one directory, and nobody moves a replica to another. Source: KIP-113,
//! `ReplicaManager.describeLogDirs`.

use super::Broker;
use crate::node::Partition;
use crate::ordered::OrderedMap;
use crate::protocol::settings::{self, Scope};
use crate::protocol::wire;
use kafka_protocol::messages as k;
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

    /// `log.dirs`, else `log.dir`.
    fn log_dir(&self) -> &str {
        let default = || settings::lookup(Scope::Broker, "log.dir").and_then(|setting| setting.default).unwrap_or_default();
        let given = ["log.dirs", "log.dir"].into_iter().find_map(|name| self.config.given.get(name));
        given.map_or_else(default, String::as_str)
    }
}
