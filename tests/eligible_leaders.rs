#![cfg(not(target_arch = "wasm32"))]
//! Eligible leader replicas (KIP-966): who left an ISR below its minimum may lead without loss, until it comes back from an unclean end.

mod cluster;

use brokerlab::view::{EventView, PartitionView};
use cluster::Cluster;
use serde_json::{Value, json};

/// orders-0 on three brokers with a minimum ISR of two, and one record that everybody has.
fn orders(configs: Value) -> Cluster {
    let mut cluster = Cluster::configured(3, configs);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3,
        "configs": { "min.insync.replicas": "2" } }));
    cluster.advance(1_000.0);
    cluster.send("orders", Some("k"), "everybody's");
    cluster.advance(2_000.0);
    cluster
}

/// The followers end one after the other, then the leader. Returns the leader, who went first and who went second.
fn all_go(cluster: &mut Cluster, how: &str) -> (i32, i32, i32) {
    let leader = partition(cluster).leader.expect("a leader");
    let others: Vec<i32> = (1..=3).filter(|broker| *broker != leader).collect();
    for broker in [others[0], others[1], leader] {
        cluster.apply(json!({ "type": how, "broker": broker }));
        cluster.advance(12_000.0);
    }
    (leader, others[0], others[1])
}

fn partition(cluster: &Cluster) -> PartitionView {
    cluster.partition("orders", 0)
}

/// Leader, ISR, eligible leader replicas, last known leader.
fn state(cluster: &Cluster) -> (Option<i32>, Vec<i32>, Vec<i32>, Vec<i32>) {
    let partition = partition(cluster);
    let mut isr = partition.isr;
    isr.sort_unstable();
    (partition.leader, isr, partition.eligible_leader_replicas, partition.last_known_elr)
}

fn sorted(mut brokers: Vec<i32>) -> Vec<i32> {
    brokers.sort_unstable();
    brokers
}

fn back(cluster: &mut Cluster, broker: i32) -> Vec<EventView> {
    cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "restartBroker", "broker": broker }));
        cluster.advance(12_000.0);
    })
}

fn unclean(events: &[EventView]) -> Vec<&EventView> {
    events.iter().filter(|event| event.kind == "uncleanElection" && event.topic.as_deref() == Some("orders")).collect()
}

#[test]
fn who_stopped_in_good_order_below_the_minimum_leads_again_without_loss() {
    let mut cluster = orders(json!({}));
    let (leader, first, second) = all_go(&mut cluster, "stopBroker");
    // The first left two behind, which are enough: what they wrote it would lack.
    assert_eq!(state(&cluster), (None, vec![], sorted(vec![second, leader]), vec![leader]));
    let seen = back(&mut cluster, first);
    assert_eq!(partition(&cluster).leader, None, "it was not eligible");
    assert!(unclean(&seen).is_empty());
    let seen = back(&mut cluster, second);
    assert!(unclean(&seen).is_empty());
    // It leads as the only one in sync, and the first catches up from it.
    assert_eq!(state(&cluster), (Some(second), sorted(vec![first, second]), vec![], vec![]));
    assert!(seen.iter().any(|event| event.kind == "leaderElected" && event.detail["isr"] == json!([second])));
    cluster.apply(json!({ "type": "addProducer", "id": "later", "topic": "orders" }));
    cluster.apply(json!({ "type": "send", "producer": "later", "topic": "orders", "key": "k", "value": "new" }));
    cluster.advance(2_000.0);
    assert_eq!(cluster.values("orders", 0), ["everybody's", "new"]);
    back(&mut cluster, leader);
    assert_eq!(partition(&cluster).isr.len(), 3);
    cluster.assert_replicas_equal("orders");
}

#[test]
fn who_crashed_is_not_eligible_when_it_is_back_and_the_last_leader_leads_for_want_of_a_better() {
    let mut cluster = orders(json!({}));
    let (leader, first, second) = all_go(&mut cluster, "crashBroker");
    assert_eq!(state(&cluster), (None, vec![], sorted(vec![second, leader]), vec![leader]));
    for broker in [first, second] {
        let seen = back(&mut cluster, broker);
        assert!(unclean(&seen).is_empty(), "unclean.leader.election.enable=false");
        assert_eq!(partition(&cluster).leader, None);
    }
    assert_eq!(state(&cluster), (None, vec![], vec![leader], vec![leader]));
    let seen = back(&mut cluster, leader);
    let elections: Vec<&Value> = unclean(&seen).iter().map(|event| &event.detail).collect();
    assert_eq!(elections, [&json!({ "leader": leader, "isr": [], "requested": false, "lastKnownLeader": true })]);
    assert_eq!(state(&cluster), (Some(leader), vec![1, 2, 3], vec![], vec![]));
    assert_eq!(cluster.values("orders", 0), ["everybody's"], "its process had died, not its disk");
}

#[test]
fn what_the_last_leader_lost_with_its_power_is_lost() {
    let mut cluster = orders(json!({}));
    (1..=3).for_each(|broker| drop(cluster.apply(json!({ "type": "powerLoss", "broker": broker }))));
    cluster.advance(12_000.0);
    let [leader] = state(&cluster).3[..] else { panic!("one led last") };
    (1..=3).for_each(|broker| drop(back(&mut cluster, broker)));
    assert_eq!(state(&cluster), (Some(leader), vec![1, 2, 3], vec![], vec![]));
    assert_eq!(cluster.values("orders", 0), Vec::<String>::new());
}

#[test]
fn whose_session_ended_while_it_ran_on_is_eligible_and_needs_no_proof() {
    let mut cluster = orders(json!({}));
    let leader = partition(&cluster).leader.expect("a leader");
    let others: Vec<i32> = (1..=3).filter(|broker| *broker != leader).collect();
    cluster.apply(json!({ "type": "crashBroker", "broker": others[0] }));
    cluster.advance(12_000.0);
    cluster.apply(json!({ "type": "freezeBroker", "broker": others[1], "ms": 40_000 }));
    cluster.advance(12_000.0);
    assert_eq!(state(&cluster), (Some(leader), vec![leader], vec![others[1]], vec![]));
    // acks=all is refused and nothing more is committed: the frozen one lacks nothing.
    cluster.send("orders", Some("k"), "waits");
    cluster.advance(1_000.0);
    assert_eq!(partition(&cluster).replicas.iter().map(|replica| replica.high_watermark).max(), Some(1));
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    let seen = cluster.events_after(|cluster| cluster.advance(30_000.0));
    assert!(unclean(&seen).is_empty());
    let after = partition(&cluster);
    assert_eq!((after.leader, after.isr, after.eligible_leader_replicas), (Some(others[1]), vec![others[1]], vec![leader]));
}

#[test]
fn an_isr_that_has_its_minimum_again_leaves_nobody_eligible() {
    let mut cluster = orders(json!({}));
    let leader = partition(&cluster).leader.expect("a leader");
    let others: Vec<i32> = (1..=3).filter(|broker| *broker != leader).collect();
    for broker in &others {
        cluster.apply(json!({ "type": "crashBroker", "broker": broker }));
        cluster.advance(12_000.0);
    }
    assert_eq!(state(&cluster), (Some(leader), vec![leader], vec![others[1]], vec![]));
    let seen = back(&mut cluster, others[0]);
    assert_eq!(state(&cluster), (Some(leader), sorted(vec![leader, others[0]]), vec![], vec![]));
    let told: Vec<&Value> = seen.iter().filter(|event| event.kind == "eligibleLeadersChanged").map(|event| &event.detail).collect();
    assert!(told.contains(&&json!({ "eligibleLeaderReplicas": [] })), "{told:?}");
}

#[test]
fn another_minimum_makes_nobody_eligible_and_an_admin_has_to_decide() {
    let mut cluster = orders(json!({}));
    all_go(&mut cluster, "stopBroker");
    let epoch = partition(&cluster).partition_epoch;
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "min.insync.replicas": "1" } }));
        cluster.advance(1_000.0);
    });
    assert_eq!(state(&cluster), (None, vec![], vec![], vec![]));
    assert_eq!(partition(&cluster).partition_epoch, epoch + 1, "it is a change of the partition");
    let told: Vec<&Value> = seen.iter().filter(|event| event.kind == "eligibleLeadersChanged").map(|event| &event.detail).collect();
    assert_eq!(told, [&json!({ "eligibleLeaderReplicas": [] })], "and everybody hears of it");
    (1..=3).for_each(|broker| drop(back(&mut cluster, broker)));
    assert_eq!(partition(&cluster).leader, None, "nobody knows who has everything");
    cluster.apply(json!({ "type": "electLeader", "topic": "orders", "partition": 0, "unclean": true }));
    cluster.advance(12_000.0);
    assert_eq!(partition(&cluster).isr.len(), 3);
    assert_eq!(cluster.values("orders", 0), ["everybody's"]);
}

#[test]
fn a_leader_takes_the_partition_epoch_in_which_nobody_is_eligible_any_more() {
    let mut cluster = orders(json!({}));
    let leader = partition(&cluster).leader.expect("a leader");
    let others: Vec<i32> = (1..=3).filter(|broker| *broker != leader).collect();
    for broker in &others {
        cluster.apply(json!({ "type": "crashBroker", "broker": broker }));
        cluster.advance(12_000.0);
    }
    assert_eq!(state(&cluster), (Some(leader), vec![leader], vec![others[1]], vec![]));
    let before = partition(&cluster);
    let minimum =
        |minimum: &str| json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "min.insync.replicas": minimum } });
    for minimum in [minimum("1"), minimum("2")] {
        // Where nobody was eligible nothing changes.
        cluster.apply(minimum);
        cluster.advance(1_000.0);
        let after = partition(&cluster);
        assert_eq!((after.leader_epoch, after.partition_epoch), (before.leader_epoch, before.partition_epoch + 1));
        let (broker, _) = cluster.session.world().broker(leader).expect("the broker");
        let leading = broker.replicas().values().filter(|replica| &*replica.name.topic == "orders").find_map(|replica| replica.leader());
        assert_eq!(leading.map(|leading| leading.partition_epoch), Some(after.partition_epoch));
    }
    let seen = back(&mut cluster, others[0]);
    assert_eq!(state(&cluster).1, sorted(vec![leader, others[0]]));
    let asked = seen.iter().filter(|event| event.kind == "requestSent" && event.text.starts_with("AlterPartition"));
    assert_eq!(asked.count(), 1, "in the right epoch at once");
}

#[test]
fn the_minimum_of_all_topics_is_the_clusters_and_counts_for_who_is_eligible() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let of_brokers = |name: &str, change: Value| {
        let mut command = json!({ "type": "alterConfigs", "resource": "broker", "name": name });
        command.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        command
    };
    let set = |name: &str, minimum: &str| of_brokers(name, json!({ "set": { "min.insync.replicas": minimum } }));
    cluster.apply(set("", "2"));
    let (leader, _, second) = all_go(&mut cluster, "stopBroker");
    assert_eq!(state(&cluster), (None, vec![], sorted(vec![second, leader]), vec![leader]));
    cluster.apply(set("", "3"));
    cluster.advance(1_000.0);
    assert_eq!(state(&cluster), (None, vec![], vec![], vec![]));
    for refused in [set("1", "2"), of_brokers("", json!({ "delete": ["min.insync.replicas"] }))] {
        assert_eq!(cluster.refused(refused).code, "INVALID_CONFIG", "all have to mean the same");
    }
}

#[test]
fn without_the_feature_the_last_member_stays_in_the_isr() {
    let mut cluster = orders(json!({ "brokerlab.eligible.leader.replicas.version": "0" }));
    let (leader, first, second) = all_go(&mut cluster, "crashBroker");
    assert_eq!(state(&cluster), (None, vec![leader], vec![], vec![]));
    for broker in [first, second] {
        back(&mut cluster, broker);
        assert_eq!(partition(&cluster).leader, None);
    }
    let seen = back(&mut cluster, leader);
    assert!(unclean(&seen).is_empty());
    assert_eq!(state(&cluster), (Some(leader), vec![1, 2, 3], vec![], vec![]));
}

#[test]
fn a_feature_has_no_version_but_those_there_are() {
    let refusal = Cluster::refusal_of(json!({ "brokerlab.eligible.leader.replicas.version": "2" }));
    assert_eq!(refusal.code, "INVALID_CONFIG");
}
