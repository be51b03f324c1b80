#![cfg(not(target_arch = "wasm32"))]
//! What a follower does with answers to its fetches, and what its leader answers (`AbstractFetcherThread`, `Partition.fetchRecords`).

mod cluster;

use brokerlab::node::{NodeId, Outputs, Timer};
use brokerlab::protocol::metadata::MetadataRecord;
use brokerlab::protocol::wire::Response;
use brokerlab::protocol::{Batch, ErrorCode};
use cluster::Cluster;
use cluster::direct::{Direct, fetches, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// A follower of orders-0 with a fetch under way, and the record that it lacks.
struct Follower {
    broker: Direct,
    leader: i32,
    topic: Uuid,
    fetch: (u32, Arc<k::FetchRequest>),
    batches: Vec<Batch>,
}

impl Follower {
    fn new() -> Follower {
        let (cluster, leader) = Cluster::with_a_late_follower();
        let topic = topic_id(&cluster, "orders");
        let batches: Vec<Batch> = Direct::of(&cluster, leader).replica(topic, 0).log.batches_from(1).cloned().collect();
        let mut broker = Direct::of(&cluster, 3 - leader);
        let lost = broker.loses(NodeId::Broker(leader));
        let (at, timer) = backoff(&lost, leader).expect("it asks again");
        let asked = broker.rings(at, timer);
        let fetch = fetches(&asked, NodeId::Broker(leader)).remove(0);
        assert_eq!((batches.len(), fetch.1.topics[0].partitions[0].fetch_offset), (1, 1));
        Follower { broker, leader, topic, fetch, batches }
    }

    /// The leader's answer to the last fetch.
    fn is_told(&mut self, error: ErrorCode) -> Outputs {
        let data = k::fetch_response::PartitionData::default().with_error_code(error.code()).with_high_watermark(1);
        let topic = k::fetch_response::FetchableTopicResponse::default().with_topic_id(self.topic).with_partitions(vec![data]);
        let batches = if error == ErrorCode::None { self.batches.clone() } else { Vec::new() };
        let response = Response::Fetch(Arc::new(k::FetchResponse::default().with_responses(vec![topic])), Arc::from([batches]));
        self.broker.is_told_by(self.leader, self.fetch.0, response)
    }

    /// The same leader leads on in a later epoch.
    fn learns_of_another_epoch(&mut self) -> Outputs {
        let mut state = self.broker.broker.image().partition(&self.topic, 0).expect("the partition").clone();
        (state.leader_epoch, state.partition_epoch) = (state.leader_epoch + 2, state.partition_epoch + 2);
        self.broker.learns(MetadataRecord::Partition { topic: self.topic, partition: 0, state })
    }

    /// Offset and leader epoch of each fetch of the partition.
    fn asks(&self, out: &Outputs) -> Vec<(i64, i32)> {
        let parts = |message: &k::FetchRequest| {
            let parts = message.topics.iter().flat_map(|topic| &topic.partitions);
            parts.map(|asked| (asked.fetch_offset, asked.current_leader_epoch)).collect::<Vec<_>>()
        };
        fetches(out, NodeId::Broker(self.leader)).iter().flat_map(|(_, message)| parts(message)).collect()
    }

    fn log_end(&self) -> i64 {
        self.broker.replica(self.topic, 0).log.end_offset()
    }
}

#[test]
fn an_answer_at_once_tells_the_high_watermark_of_before_the_fetch() {
    let (mut cluster, leader) = Cluster::with_a_late_follower();
    cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
    cluster.advance(100.0);
    let (topic, follower) = (topic_id(&cluster, "orders"), NodeId::Broker(3 - leader));
    let mut leader = Direct::of(&cluster, leader);
    let mut fetch = |offset| {
        let asked = k::fetch_request::FetchPartition::default().with_fetch_offset(offset).with_current_leader_epoch(0);
        let asked = asked.with_last_fetched_epoch(0).with_partition_max_bytes(1_000);
        let part = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
        let mut message = k::FetchRequest::default().with_max_bytes(1_000).with_topics(vec![part]);
        (message.replica_state.replica_id, message.replica_state.replica_epoch) = (k::BrokerId(3 - leader.broker.id()), -1);
        let told = leader.fetch(follower, message).responses[0].partitions[0].high_watermark;
        (told, leader.replica(topic, 0).high_watermark())
    };
    assert_eq!(fetch(2), (1, 2));
    assert_eq!(fetch(2), (2, 2));
}

/// When a follower asks a leader again.
fn backoff(out: &Outputs, leader: i32) -> Option<(u64, Timer)> {
    out.timers.iter().find(|(_, timer)| *timer == Timer::FetchBackoff { leader }).copied()
}

#[test]
fn an_answer_counts_in_the_leader_epoch_in_which_it_was_asked_for() {
    let mut follower = Follower::new();
    let out = follower.is_told(ErrorCode::None);
    assert_eq!((follower.log_end(), follower.asks(&out)), (2, vec![(2, 0)]));
    // Another has led in between, perhaps, and what the leader had then need not be in its log any more.
    let mut follower = Follower::new();
    let out = follower.learns_of_another_epoch();
    assert_eq!(follower.asks(&out), [], "one fetch at a time");
    let out = follower.is_told(ErrorCode::None);
    assert_eq!((follower.log_end(), follower.asks(&out)), (1, vec![(1, 2)]));
}

#[test]
fn an_error_of_an_older_leader_epoch_delays_nothing() {
    let mut follower = Follower::new();
    follower.learns_of_another_epoch();
    let out = follower.is_told(ErrorCode::FencedLeaderEpoch);
    assert_eq!((follower.asks(&out), backoff(&out, follower.leader)), (vec![(1, 2)], None));
}

#[test]
fn a_backoff_ends_with_the_leader_epoch() {
    let mut follower = Follower::new();
    let out = follower.is_told(ErrorCode::NotLeaderOrFollower);
    let (at, _) = backoff(&out, follower.leader).expect("a backoff");
    assert_eq!((follower.asks(&out), at), (vec![], follower.broker.now + 1_000_000), "replica.fetch.backoff.ms");
    let out = follower.learns_of_another_epoch();
    assert_eq!(follower.asks(&out), [(1, 2)]);
    // So does that of a leader whose process was gone.
    let mut follower = Follower::new();
    follower.broker.loses(NodeId::Broker(follower.leader));
    let out = follower.learns_of_another_epoch();
    assert_eq!(follower.asks(&out), [(1, 2)]);
}

#[test]
fn who_is_fenced_asks_no_more_before_it_knows_the_newer_leader_epoch() {
    let mut follower = Follower::new();
    let out = follower.is_told(ErrorCode::FencedLeaderEpoch);
    assert_eq!((follower.asks(&out), backoff(&out, follower.leader)), (vec![], None));
    let out = follower.learns_of_another_epoch();
    assert_eq!(follower.asks(&out), [(1, 2)]);
}
