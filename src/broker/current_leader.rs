//! Who leads, told along with the error to clients that asked somebody else: they need not ask for metadata first (KIP-951).
//!
//! Source: `KafkaApis.getCurrentLeader`.

use super::Broker;
use crate::ordered::OrderedSet;
use crate::protocol::ErrorCode;
use crate::protocol::wire;
use crate::replica::PartitionKey;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

impl Broker {
    /// Leader and leader epoch of a partition; -1 where there is none.
    fn current_leader(&self, key: PartitionKey) -> (i32, i32) {
        self.image.partition(&key.topic, key.index).map_or((-1, -1), |state| (state.leader.unwrap_or(-1), state.leader_epoch))
    }

    pub(super) fn tell_leaders_to_producer(&self, response: &mut Arc<k::ProduceResponse>) {
        use k::produce_response::{LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse};
        let is_elsewhere = |result: &PartitionProduceResponse| result.error_code == ErrorCode::NotLeaderOrFollower.code();
        if !response.responses.iter().flat_map(|topic| &topic.partition_responses).any(is_elsewhere) {
            return;
        }
        let response = Arc::make_mut(response);
        let mut leaders = OrderedSet::new();
        for topic in &mut response.responses {
            for result in topic.partition_responses.iter_mut().filter(|result| is_elsewhere(result)) {
                let (leader, epoch) = self.current_leader(PartitionKey { topic: topic.topic_id, index: result.index });
                result.current_leader = LeaderIdAndEpoch::default().with_leader_id(k::BrokerId(leader)).with_leader_epoch(epoch);
                leaders.insert(leader);
            }
        }
        let endpoint = |(id, rack)| NodeEndpoint::default().with_node_id(id).with_rack(rack);
        response.node_endpoints = self.alive(&leaders).map(endpoint).collect();
    }

    pub(super) fn tell_leaders_to_fetcher(&self, response: &mut k::FetchResponse) {
        use k::fetch_response::{LeaderIdAndEpoch, NodeEndpoint};
        let mut leaders = OrderedSet::new();
        for topic in &mut response.responses {
            let is_elsewhere = |error: i16| error == ErrorCode::NotLeaderOrFollower.code() || error == ErrorCode::FencedLeaderEpoch.code();
            for data in topic.partitions.iter_mut().filter(|data| is_elsewhere(data.error_code)) {
                let (leader, epoch) = self.current_leader(PartitionKey { topic: topic.topic_id, index: data.partition_index });
                data.current_leader = LeaderIdAndEpoch::default().with_leader_id(k::BrokerId(leader)).with_leader_epoch(epoch);
                leaders.insert(leader);
            }
        }
        // Nearly every answer has none.
        if !leaders.is_empty() {
            let endpoint = |(id, rack)| NodeEndpoint::default().with_node_id(id).with_rack(rack);
            response.node_endpoints = self.alive(&leaders).map(endpoint).collect();
        }
    }

    /// Where these brokers are, as far as they are there.
    fn alive<'a>(&'a self, brokers: &'a OrderedSet<i32>) -> impl Iterator<Item = (k::BrokerId, Option<StrBytes>)> + 'a {
        let known = self.image.brokers.iter().filter(|(id, known)| brokers.contains(id) && !known.fenced);
        known.map(|(id, known)| (k::BrokerId(*id), known.rack.as_deref().map(wire::text)))
    }
}
