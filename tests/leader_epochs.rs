#![cfg(not(target_arch = "wasm32"))]
//! OffsetForLeaderEpoch through running brokers.

mod cluster;

use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::wire::{Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use k::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use serde_json::json;
use std::sync::Arc;

fn send(cluster: &mut Cluster, values: &[&str]) {
    for value in values {
        cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": 0, "value": value }));
    }
}

fn producer(cluster: &mut Cluster) {
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "linger.ms": "0" } }));
    cluster.advance(100.0);
}

/// Asks for the end of an epoch: error, epoch, end.
fn end_of_epoch(broker: &mut Direct, topic: &str, partition: i32, current: i32, epoch: i32) -> (ErrorCode, i32, i64) {
    let mut asked = OffsetForLeaderPartition::default();
    (asked.partition, asked.current_leader_epoch, asked.leader_epoch) = (partition, current, epoch);
    let topic = OffsetForLeaderTopic::default().with_topic(k::TopicName(StrBytes::from_string(topic.to_owned())));
    let mut message = k::OffsetForLeaderEpochRequest::default();
    message.replica_id = k::BrokerId(-1);
    message.topics.push(topic.with_partitions(vec![asked]));
    match broker.ask(Request::OffsetForLeaderEpoch(Arc::new(message))) {
        Some(Response::OffsetForLeaderEpoch(response)) => {
            let told = &response.topics[0].partitions[0];
            assert_eq!(told.partition, partition);
            (ErrorCode::of(told.error_code), told.leader_epoch, told.end_offset)
        }
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn a_leader_knows_where_each_epoch_ended_and_a_follower_does_not_say() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster);
    send(&mut cluster, &["a", "b"]);
    cluster.advance(1_000.0);
    let first = cluster.partition("orders", 0);
    let old = first.leader.expect("a leader");
    cluster.apply(json!({ "type": "crashBroker", "broker": old }));
    cluster.advance(20_000.0);
    send(&mut cluster, &["c", "d", "e"]);
    cluster.advance(1_000.0);
    let now = cluster.partition("orders", 0);
    let (leader, epoch) = (now.leader.expect("a leader"), now.leader_epoch);
    assert!(leader != old && first.leader_epoch < epoch);
    let mut broker = Direct::of(&cluster, leader);
    let wrote = broker.replica(topic_id(&cluster, "orders"), 0).log.batches_from(0).next().expect("a batch").leader_epoch;
    let none = ErrorCode::None;
    for (asked, expected) in [
        (wrote, (none, wrote, 2)),
        (epoch, (none, epoch, 5)),
        (epoch + 1, (none, -1, -1)),
        (-1, (none, -1, -1)),
        (i32::MAX, (none, -1, -1)),
        (i32::MIN, (none, -1, -1)),
    ] {
        for current in [-1, epoch] {
            assert_eq!(end_of_epoch(&mut broker, "orders", 0, current, asked), expected, "epoch {asked}, asked in {current}");
        }
    }
    for (topic, partition, current, error) in [
        ("orders", 0, epoch - 1, ErrorCode::FencedLeaderEpoch),
        ("orders", 0, epoch + 1, ErrorCode::UnknownLeaderEpoch),
        ("orders", 1, -1, ErrorCode::UnknownTopicOrPartition),
        ("orders", -1, -1, ErrorCode::UnknownTopicOrPartition),
        ("nothing", 0, -1, ErrorCode::UnknownTopicOrPartition),
    ] {
        assert_eq!(end_of_epoch(&mut broker, topic, partition, current, wrote), (error, -1, -1), "{topic}-{partition}");
    }
    let follower = (1..=3).find(|broker| *broker != leader && *broker != old).expect("a follower");
    let told = end_of_epoch(&mut Direct::of(&cluster, follower), "orders", 0, -1, wrote);
    assert_eq!(told, (ErrorCode::NotLeaderOrFollower, -1, -1));
}
