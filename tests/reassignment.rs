#![cfg(not(target_arch = "wasm32"))]
//! Partitions that move to other brokers while they are used (KIP-455).

mod cluster;

use cluster::Cluster;
use serde_json::{Value, json};

fn reassign(partition: i32, replicas: &[i32]) -> Value {
    json!({ "type": "reassign", "topic": "orders", "partition": partition, "replicas": replicas })
}

fn replicas(cluster: &Cluster) -> Vec<i32> {
    cluster.partition("orders", 0).replicas.iter().map(|replica| replica.broker).collect()
}

/// Four brokers, and `orders` with three replicas. Returns its leader, its followers and the broker that has none.
fn moving(configs: Value) -> (Cluster, i32, Vec<i32>, i32) {
    let mut cluster = Cluster::of_brokers(4);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3, "configs": configs }));
    cluster.advance(500.0);
    let on = replicas(&cluster);
    let other = (1..=4).find(|broker| !on.contains(broker)).expect("a fourth");
    (cluster, on[0], on[1..].to_vec(), other)
}

fn cut(cluster: &mut Cluster, from: i32, to: i32, cut: bool) {
    cluster.apply(json!({ "type": "setLink", "from": format!("broker-{from}"), "to": format!("broker-{to}"), "cut": cut }));
}

fn has_log(cluster: &Cluster, broker: i32) -> bool {
    let (broker, _) = cluster.session.world().broker(broker).expect("the broker");
    broker.replicas().values().any(|replica| &*replica.name.topic == "orders")
}

#[test]
fn a_partition_leaves_its_leader_while_it_is_written_and_read() {
    let (mut cluster, leader, followers, other) = moving(json!({ "min.insync.replicas": "2" }));
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 50, "configs": { "acks": "all" } }));
    cluster.consumer("c", "g");
    cluster.advance(5_000.0);
    let before = cluster.partition("orders", 0);
    let target = [other, followers[1], followers[0]];
    let seen = cluster.events_after(|cluster| {
        cluster.apply(reassign(0, &target));
        assert_eq!(cluster.partition("orders", 0).adding_replicas, [other]);
        assert_eq!(cluster.partition("orders", 0).removing_replicas, [leader]);
        cluster.advance(5_000.0);
    });
    let after = cluster.partition("orders", 0);
    assert_eq!(replicas(&cluster), target);
    assert!(after.leader.is_some_and(|now| target.contains(&now)) && before.leader_epoch < after.leader_epoch, "{after:?}");
    assert!(after.adding_replicas.is_empty() && after.removing_replicas.is_empty());
    assert!(!has_log(&cluster, leader), "the log goes with the replica");
    for kind in ["reassignmentStarted", "isrExpanded", "reassignmentCompleted", "leaderElected", "logDeleted"] {
        assert!(seen.iter().any(|event| event.kind == kind), "{kind}");
    }
    cluster.apply(json!({ "type": "removeProducer", "id": "p" }));
    cluster.advance(10_000.0);
    cluster.assert_replicas_equal("orders");
    let end = cluster.partition("orders", 0).replicas[0].log_end_offset;
    assert_eq!(cluster.acknowledged_offsets("orders").len() as i64, end);
    assert_eq!(cluster.position("c", "orders", 0), Some(end));
}

#[test]
fn the_old_replicas_stay_until_the_new_ones_are_in_sync() {
    let (mut cluster, leader, followers, other) = moving(json!({}));
    cut(&mut cluster, other, leader, true);
    cluster.send("orders", None, "v");
    cluster.advance(5_000.0);
    cluster.apply(reassign(0, &[other, leader]));
    cluster.advance(20_000.0);
    let waiting = cluster.partition("orders", 0);
    assert_eq!(replicas(&cluster).len(), 4);
    assert_eq!((waiting.leader, waiting.isr.len()), (Some(leader), 3));
    // The same once more changes nothing.
    let epoch = waiting.partition_epoch;
    cluster.apply(reassign(0, &[other, leader]));
    assert_eq!(cluster.partition("orders", 0).partition_epoch, epoch);
    cut(&mut cluster, other, leader, false);
    cluster.advance(60_000.0);
    assert_eq!(replicas(&cluster), [other, leader]);
    assert_eq!(cluster.values("orders", 0), ["v"]);
    assert!(followers.iter().all(|follower| !has_log(&cluster, *follower)));
    cluster.assert_replicas_equal("orders");
}

#[test]
fn a_move_that_is_taken_back_leaves_everything_as_it_was() {
    let (mut cluster, leader, followers, other) = moving(json!({}));
    let cancel = json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": null });
    assert_eq!(cluster.refused(cancel.clone()).code, "NO_REASSIGNMENT_IN_PROGRESS");
    cut(&mut cluster, other, leader, true);
    cluster.apply(reassign(0, &[other]));
    cluster.advance(2_000.0);
    assert!(has_log(&cluster, other));
    let epoch = cluster.partition("orders", 0).leader_epoch;
    cluster.apply(cancel.clone());
    assert_eq!(cluster.partition("orders", 0).leader_epoch, epoch + 1, "the new replica is none any more");
    cluster.advance(2_000.0);
    let mut back = replicas(&cluster);
    back.sort_unstable();
    let mut old = vec![leader, followers[0], followers[1]];
    old.sort_unstable();
    assert_eq!(back, old);
    assert_eq!((cluster.partition("orders", 0).leader, cluster.partition("orders", 0).isr.len()), (Some(leader), 3));
    assert!(!has_log(&cluster, other));
    assert_eq!(cluster.refused(cancel).code, "NO_REASSIGNMENT_IN_PROGRESS");
}

#[test]
fn more_and_fewer_replicas() {
    let (mut cluster, leader, _, _) = moving(json!({ "min.insync.replicas": "3" }));
    cluster.apply(reassign(0, &[1, 2, 3, 4]));
    cluster.advance(5_000.0);
    assert_eq!((replicas(&cluster), cluster.partition("orders", 0).isr.len()), (vec![1, 2, 3, 4], 4));
    assert_eq!(
        (cluster.partition("orders", 0).leader, cluster.partition("orders", 0).leader_epoch),
        (Some(leader), 0),
        "who comes changes no epoch"
    );
    // Who is not in sync and leaves is not waited for; and with one replica the minimum ISR is one.
    cluster.apply(reassign(0, &[leader]));
    cluster.advance(2_000.0);
    assert_eq!((replicas(&cluster), cluster.partition("orders", 0).isr), (vec![leader], vec![leader]));
    assert_eq!(
        cluster.partition("orders", 0).leader_epoch,
        1,
        "whoever leaves must not be taken for a replica: its fetches are of an older epoch"
    );
    cluster.send("orders", None, "alone");
    cluster.advance(5_000.0);
    assert_eq!(cluster.values("orders", 0), ["alone"]);
    assert_eq!(cluster.acknowledged_offsets("orders"), [(0, 0)]);
}

#[test]
fn a_replica_that_leaves_does_not_hold_up_those_that_stay() {
    // Its end is a new leader epoch of the same leader. Fetches of the old one are refused, and those of the new one wait for no backoff.
    let (mut cluster, leader, followers, _) = moving(json!({}));
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 100, "configs": { "acks": "1" } }));
    cluster.advance(5_000.0);
    // The leader hears of it first.
    cluster.apply(json!({ "type": "setLink", "from": "controller-1", "to": format!("broker-{}", followers[0]), "latencyMs": 50 }));
    cluster.apply(reassign(0, &[leader, followers[0]]));
    cluster.advance(400.0);
    let before = cluster.partition("orders", 0);
    assert_eq!((before.leader, before.leader_epoch, before.replicas.len()), (Some(leader), 1, 2));
    let high_watermark = before.replicas[0].high_watermark;
    let end = before.replicas[0].log_end_offset;
    assert!(end - high_watermark < 10, "the high watermark {high_watermark} keeps up with the end {end}");
}

#[test]
fn another_order_is_another_preferred_leader_at_once() {
    let (mut cluster, leader, followers, _) = moving(json!({}));
    cluster.apply(reassign(0, &[followers[1], followers[0], leader]));
    let after = cluster.partition("orders", 0);
    assert_eq!((after.preferred_leader, after.leader, after.leader_epoch), (followers[1], Some(leader), 0));
    cluster.apply(json!({ "type": "electLeader", "topic": "orders", "partition": 0 }));
    assert_eq!(cluster.partition("orders", 0).leader, Some(followers[1]));
}

#[test]
fn a_new_replica_begins_where_the_leaders_log_does() {
    let mut cluster = Cluster::configured(2, json!({ "log.initial.task.delay.ms": "1000", "log.retention.check.interval.ms": "1000" }));
    let configs = json!({ "retention.bytes": "2000", "internal.segment.bytes": "1000" });
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1, "configs": configs }));
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 50, "value": "x".repeat(100) }));
    cluster.advance(20_000.0);
    let old = cluster.partition("orders", 0).replicas[0].clone();
    assert!(0 < old.log_start_offset);
    cluster.apply(reassign(0, &[3 - old.broker]));
    cluster.advance(10_000.0);
    let new = cluster.partition("orders", 0).replicas[0].clone();
    assert_eq!((new.broker, new.in_sync), (3 - old.broker, true));
    assert!(old.log_start_offset <= new.log_start_offset && old.log_end_offset < new.log_end_offset, "{new:?}");
}

#[test]
fn a_broker_that_was_down_meanwhile_deletes_its_log_when_it_is_back() {
    let (mut cluster, leader, followers, other) = moving(json!({}));
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(12_000.0);
    cluster.apply(reassign(0, &[followers[0], followers[1], other]));
    cluster.advance(5_000.0);
    assert_eq!(replicas(&cluster), [followers[0], followers[1], other]);
    assert!(has_log(&cluster, leader));
    cluster.apply(json!({ "type": "restartBroker", "broker": leader }));
    cluster.advance(12_000.0);
    assert!(!has_log(&cluster, leader));
    assert_eq!(cluster.partition("orders", 0).isr.len(), 3);
}

#[test]
fn a_coordinator_moves_with_its_partition() {
    let mut cluster = Cluster::configured(2, json!({ "offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1" }));
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 2 }));
    cluster.consumer("c", "g");
    cluster.send("orders", None, "one");
    cluster.advance(10_000.0);
    let before = cluster.group("g");
    let coordinator = before.coordinator.expect("a coordinator");
    assert_eq!(cluster.committed("g", "orders", 0), Some(1));
    cluster.apply(json!({ "type": "reassign", "topic": "__consumer_offsets", "partition": 0, "replicas": [3 - coordinator] }));
    cluster.send("orders", None, "two");
    cluster.advance(20_000.0);
    let after = cluster.group("g");
    assert_eq!((after.coordinator, after.state.as_str(), after.members.len()), (Some(3 - coordinator), "Stable", 1));
    assert_eq!(cluster.committed("g", "orders", 0), Some(2));
}

#[test]
fn what_cannot_be_reassigned_is_refused_and_changes_nothing() {
    let (mut cluster, _, _, _) = moving(json!({}));
    let hash = cluster.session.trace_hash();
    for (command, code, field) in [
        (reassign(1, &[1]), "UNKNOWN_TOPIC_OR_PARTITION", "partition"),
        (reassign(-1, &[1]), "UNKNOWN_TOPIC_OR_PARTITION", "partition"),
        (json!({ "type": "reassign", "topic": "none", "partition": 0, "replicas": [1] }), "UNKNOWN_TOPIC_OR_PARTITION", "partition"),
        (reassign(0, &[]), "INVALID_REPLICA_ASSIGNMENT", "replicas"),
        (reassign(0, &[1, 1]), "INVALID_REPLICA_ASSIGNMENT", "replicas"),
        (reassign(0, &[1, 9]), "INVALID_REPLICA_ASSIGNMENT", "replicas"),
        (reassign(0, &[-1]), "INVALID_REPLICA_ASSIGNMENT", "replicas"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}");
    }
    assert_eq!(cluster.session.trace_hash(), hash);
}

#[test]
fn a_move_is_taken_back_to_replicas_that_lack_something_where_that_is_allowed() {
    let cancel = json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": null });
    let allow =
        json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "unclean.leader.election.enable": "true" } });
    for is_there in [true, false] {
        let mut cluster = Cluster::of_brokers(3);
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1 }));
        cluster.advance(500.0);
        let old = replicas(&cluster)[0];
        let new: Vec<i32> = (1..=3).filter(|broker| *broker != old).collect();
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
        cluster.advance(1_000.0);
        // One of the new replicas comes at once, the other one is down; then the old one is gone.
        cluster.apply(json!({ "type": "crashBroker", "broker": new[1] }));
        cluster.advance(15_000.0);
        cluster.apply(reassign(0, &new));
        cluster.advance(2_000.0);
        cluster.apply(json!({ "type": "crashBroker", "broker": old }));
        cluster.advance(15_000.0);
        assert_eq!((cluster.partition("orders", 0).leader, cluster.partition("orders", 0).isr), (Some(new[0]), vec![new[0]]));
        let refusal = cluster.refused(cancel.clone());
        let expected = "Unable to revert partition assignment for orders:0 because it would require an unclean leader election.";
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("INVALID_REPLICA_ASSIGNMENT", expected));
        // Without the leader the old one cannot catch up; where that is allowed it leads all the same.
        cluster.apply(json!({ "type": "crashBroker", "broker": new[0] }));
        cluster.advance(15_000.0);
        if is_there {
            cluster.apply(json!({ "type": "restartBroker", "broker": old }));
            cluster.advance(15_000.0);
            assert_eq!(cluster.partition("orders", 0).leader, None);
        }
        cluster.apply(allow.clone());
        cluster.apply(cancel.clone());
        cluster.advance(1_000.0);
        assert_eq!(replicas(&cluster), [old]);
        if !is_there {
            // It counts as in sync, and leads when it comes.
            assert_eq!((cluster.partition("orders", 0).leader, cluster.partition("orders", 0).isr), (None, vec![old]));
            cluster.apply(json!({ "type": "restartBroker", "broker": old }));
            cluster.advance(15_000.0);
        }
        assert_eq!((cluster.partition("orders", 0).leader, cluster.partition("orders", 0).isr), (Some(old), vec![old]));
        assert_eq!(cluster.values("orders", 0), ["v"]);
    }
}
