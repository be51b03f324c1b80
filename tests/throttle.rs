#![cfg(not(target_arch = "wasm32"))]
//! A move of a partition that copies no faster than it may (KIP-73), and the list of moves under way.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::DirectController;
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::sync::Arc;

/// Records of a topic that moves, and bytes of each: a megabyte.
const RECORDS: usize = 100;
const RECORD_BYTES: usize = 10_000;
/// A tenth of that in a second.
const RATE: u64 = 100_000;

/// One topic with a megabyte of records on broker 1, and two more brokers. Followers fetch a record at a time.
fn filled(names: &[&str]) -> Cluster {
    let mut cluster = Cluster::configured(3, json!({ "replica.fetch.max.bytes": "10000" }));
    for name in names {
        cluster = cluster.topic(name, 1, 1);
        cluster.apply(reassign(name, json!([1])));
        cluster.advance(2_000.0);
        assert_eq!(cluster.partition(name, 0).leader, Some(1));
        for _ in 0..RECORDS {
            cluster.send(name, None, &"x".repeat(RECORD_BYTES));
            cluster.advance(20.0);
        }
    }
    cluster.advance(1_000.0);
    cluster
}

fn reassign(topic: &str, replicas: Value) -> Value {
    json!({ "type": "reassign", "topic": topic, "partition": 0, "replicas": replicas })
}

fn alter(resource: &str, name: &str, set: Value) -> Value {
    json!({ "type": "alterConfigs", "resource": resource, "name": name, "set": set })
}

/// Moves a topic to broker 2, and says after how many milliseconds it has moved.
fn moved_after(cluster: &mut Cluster, topic: &str, most_ms: f64) -> Option<f64> {
    let began = cluster.session.time_ms();
    let events = cluster.events_after(|cluster| {
        cluster.apply(reassign(topic, json!([2])));
        cluster.advance(most_ms);
    });
    events
        .iter()
        .find(|event| event.kind == "reassignmentCompleted" && event.topic.as_deref() == Some(topic))
        .map(|event| event.time - began)
}

#[test]
fn a_move_takes_as_long_as_its_bytes_at_the_rate_on_either_side() {
    let free = moved_after(&mut filled(&["orders"]), "orders", 30_000.0).expect("it moves");
    assert!(free < 1_500.0, "{free} ms without a throttle");
    for (side, place, broker) in [("leader", "0:1", "1"), ("follower", "0:2", "2"), ("leader", "*", ""), ("follower", "*", "")] {
        let mut cluster = filled(&["orders"]);
        cluster.apply(alter("topic", "orders", json!({ format!("{side}.replication.throttled.replicas"): place })));
        cluster.apply(alter("broker", broker, json!({ format!("{side}.replication.throttled.rate"): RATE.to_string() })));
        cluster.advance(100.0);
        let lasted = moved_after(&mut cluster, "orders", 30_000.0).expect("it moves");
        assert!((9_500.0..12_000.0).contains(&lasted), "{lasted} ms with {side} {place} at {RATE} bytes a second");
        cluster.assert_replicas_equal("orders");
    }
}

#[test]
fn who_is_not_named_is_not_throttled() {
    for (side, place, broker) in
        [("leader", "0:2,1:1", "1"), ("follower", "0:1,0:3", "2"), ("leader", "0:1", "2"), ("follower", "0:2", "1"), ("leader", "", "1")]
    {
        let mut cluster = filled(&["orders"]);
        cluster.apply(alter("topic", "orders", json!({ format!("{side}.replication.throttled.replicas"): place })));
        cluster.apply(alter("broker", broker, json!({ format!("{side}.replication.throttled.rate"): "1" })));
        cluster.advance(100.0);
        let lasted = moved_after(&mut cluster, "orders", 5_000.0);
        assert!(lasted.is_some_and(|ms| ms < 1_500.0), "{lasted:?} ms with {side} {place:?} on broker {broker}");
    }
}

#[test]
fn another_topic_moves_at_full_speed_beside_a_throttled_one() {
    let mut cluster = filled(&["orders", "others"]);
    cluster.apply(alter(
        "topic",
        "orders",
        json!({ "leader.replication.throttled.replicas": "*", "follower.replication.throttled.replicas": "*" }),
    ));
    cluster.apply(alter(
        "broker",
        "",
        json!({ "leader.replication.throttled.rate": "1000", "follower.replication.throttled.rate": "1000" }),
    ));
    cluster.advance(100.0);
    cluster.apply(reassign("orders", json!([2])));
    cluster.advance(1_000.0);
    let lasted = moved_after(&mut cluster, "others", 10_000.0);
    assert!(lasted.is_some_and(|ms| ms < 3_000.0), "{lasted:?} ms");
    assert_eq!(cluster.partition("orders", 0).isr, [1], "it has hardly begun");
}

#[test]
fn a_move_goes_on_as_fast_as_it_may_from_now_on() {
    let mut cluster = filled(&["orders"]);
    cluster.apply(alter("topic", "orders", json!({ "leader.replication.throttled.replicas": "0:1" })));
    cluster.apply(alter("broker", "1", json!({ "leader.replication.throttled.rate": "20000" })));
    cluster.advance(100.0);
    assert_eq!(moved_after(&mut cluster, "orders", 10_000.0), None);
    let copied = |cluster: &Cluster| {
        let replicas = cluster.partition("orders", 0).replicas;
        replicas.iter().find(|replica| replica.broker == 2).map(|replica| replica.log_end_offset).expect("the new replica")
    };
    assert!((18..=24).contains(&copied(&cluster)), "{} records of ten kilobytes in ten seconds", copied(&cluster));
    cluster.apply(alter("broker", "1", json!({ "leader.replication.throttled.rate": "100000000" })));
    cluster.advance(2_000.0);
    assert_eq!(cluster.partition("orders", 0).leader, Some(2));
}

#[test]
fn replicas_in_sync_are_never_held_back() {
    let mut cluster = Cluster::configured(3, json!({ "replica.fetch.max.bytes": "10000" })).topic("orders", 1, 3);
    cluster.apply(alter(
        "topic",
        "orders",
        json!({ "leader.replication.throttled.replicas": "*", "follower.replication.throttled.replicas": "*" }),
    ));
    cluster.apply(alter("broker", "", json!({ "leader.replication.throttled.rate": "1", "follower.replication.throttled.rate": "1" })));
    cluster.advance(1_000.0);
    // The producer gets its id.
    cluster.send("orders", None, "first");
    cluster.advance(1_000.0);
    for number in 1..50 {
        cluster.send("orders", None, &"x".repeat(5_000));
        cluster.advance(60.0);
        assert_eq!(cluster.acknowledged_offsets("orders").len(), number + 1, "with acks=all, in time");
    }
    assert_eq!(cluster.partition("orders", 0).isr.len(), 3);
}

#[test]
fn a_throttled_replica_that_was_down_comes_back_into_sync_in_time() {
    let mut cluster = filled(&["orders"]);
    cluster.apply(reassign("orders", json!([1, 2])));
    cluster.advance(5_000.0);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 2);
    cluster.apply(alter("topic", "orders", json!({ "follower.replication.throttled.replicas": "0:2" })));
    cluster.apply(alter("broker", "2", json!({ "follower.replication.throttled.rate": "50000" })));
    cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
    cluster.advance(12_000.0);
    for _ in 0..30 {
        cluster.send("orders", None, &"x".repeat(RECORD_BYTES));
        cluster.advance(20.0);
    }
    cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
    cluster.advance(4_000.0);
    assert_eq!(cluster.partition("orders", 0).isr, [1], "300,000 bytes at 50,000 in a second");
    cluster.advance(5_000.0);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 2);
}

#[test]
fn lists_of_replicas_are_checked() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let words =
        "must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...";
    for side in ["leader", "follower"] {
        let setting = format!("{side}.replication.throttled.replicas");
        for bad in ["0", "0:1;1:1", "0:1:2", "a:b", "-1:1", ":", "0:*", "99999999999:1", "all"] {
            let refusal = cluster.refused(alter("topic", "orders", json!({ &setting: bad })));
            assert_eq!((refusal.code.as_str(), refusal.field), ("INVALID_CONFIG", Some(format!("set.{setting}"))), "{bad}");
            assert!(refusal.message.ends_with(words), "{}", refusal.message);
        }
        for good in ["*", "", "0:1", "0:1,", "0:1,1:2,0:3", "7:9"] {
            cluster.apply(alter("topic", "orders", json!({ &setting: good })));
        }
    }
    for bad in ["-1", "fast"] {
        let refusal = cluster.refused(alter("broker", "1", json!({ "leader.replication.throttled.rate": bad })));
        assert_eq!(refusal.code, "INVALID_REQUEST", "{bad}");
    }
}

#[test]
fn moves_under_way_are_listed() {
    let mut cluster = filled(&["orders", "others"]);
    let list = |cluster: &Cluster, asked: Option<&[(&str, &[i32])]>| {
        let topic = |(name, indexes): &(&str, &[i32])| {
            let topic = k::list_partition_reassignments_request::ListPartitionReassignmentsTopics::default().with_name(wire::topic(name));
            topic.with_partition_indexes(indexes.to_vec())
        };
        let message = k::ListPartitionReassignmentsRequest::default().with_topics(asked.map(|topics| topics.iter().map(topic).collect()));
        match DirectController::of(cluster).ask(NodeId::Client(5), Request::ListPartitionReassignments(Arc::new(message))) {
            Some(Response::ListPartitionReassignments(answer)) => {
                let ids = |brokers: &[k::BrokerId]| brokers.iter().map(|broker| broker.0).collect::<Vec<_>>();
                let moves = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic.name.to_string(), one)));
                moves
                    .map(|(name, one)| {
                        (name, one.partition_index, ids(&one.replicas), ids(&one.adding_replicas), ids(&one.removing_replicas))
                    })
                    .collect::<Vec<_>>()
            }
            answer => panic!("{answer:?}"),
        }
    };
    assert_eq!(list(&cluster, None), []);
    cluster.apply(alter("topic", "orders", json!({ "leader.replication.throttled.replicas": "*" })));
    cluster.apply(alter("broker", "", json!({ "leader.replication.throttled.rate": "1" })));
    cluster.advance(100.0);
    cluster.apply(reassign("orders", json!([2, 3])));
    cluster.advance(5_000.0);
    let moving = ("orders".to_owned(), 0, vec![2, 3, 1], vec![2, 3], vec![1]);
    assert_eq!(list(&cluster, None), std::slice::from_ref(&moving));
    assert_eq!(list(&cluster, Some(&[("orders", &[0, 7]), ("nothing", &[0])])), [moving]);
    for asked in [&[("orders", &[1, -1][..])][..], &[("others", &[0])], &[("orders", &[])], &[]] {
        assert_eq!(list(&cluster, Some(asked)), [], "{asked:?}");
    }
    cluster.apply(json!({ "type": "alterConfigs", "resource": "broker", "name": "", "delete": ["leader.replication.throttled.rate"] }));
    cluster.advance(5_000.0);
    assert_eq!(list(&cluster, None), [], "it has moved");
}
