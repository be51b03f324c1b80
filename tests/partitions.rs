#![cfg(not(target_arch = "wasm32"))]
//! Adding partitions to a topic that is in use, and giving leadership back to preferred replicas.

mod cluster;

use brokerlab::view::BrokerState;
use cluster::Cluster;
use serde_json::json;

#[test]
fn a_topic_grows_and_every_new_partition_is_replicated() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 2, 3);
    let before = cluster.partition("orders", 0);
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "createPartitions", "topic": "orders", "partitions": 4 }));
        cluster.advance(500.0);
    });
    let grown = events.iter().find(|event| event.kind == "partitionsCreated").expect("the note");
    assert_eq!(grown.detail, json!({ "from": 2, "partitions": 4 }));
    assert_eq!(grown.topic.as_deref(), Some("orders"));
    assert_eq!(cluster.partition("orders", 0).leader_epoch, before.leader_epoch, "old partitions stay as they are");
    assert_eq!(cluster.partition("orders", 0).partition_epoch, before.partition_epoch);
    for index in 2..4 {
        let partition = cluster.partition("orders", index);
        assert_eq!((partition.isr.len(), partition.replicas.len(), partition.leader_epoch), (3, 3, 0));
        let leader = partition.leader.expect("a leader");
        assert_eq!(leader, partition.preferred_leader);
        cluster.apply(json!({ "type": "send", "topic": "orders", "value": "v", "partition": index }));
    }
    // The producer was made after the topic had grown, and knows all of it.
    cluster.advance(1_000.0);
    assert_eq!((cluster.values("orders", 2), cluster.values("orders", 3)), (vec!["v".to_owned()], vec!["v".to_owned()]));
    cluster.assert_replicas_equal("orders");
}

#[test]
fn a_group_notices_with_its_metadata_and_reads_new_partitions_from_where_its_policy_says() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 2, 3);
    cluster.consumer("reader-1", "readers");
    cluster.consumer("reader-2", "readers");
    cluster.advance(8_000.0);
    assert_eq!(cluster.shares("readers"), [1, 1]);
    cluster.apply(json!({ "type": "createPartitions", "topic": "orders", "partitions": 4 }));
    cluster.apply(json!({ "type": "addProducer", "id": "late", "topic": "orders" }));
    for partition in 2..4 {
        cluster.apply(json!({ "type": "send", "producer": "late", "topic": "orders", "value": "early bird", "partition": partition }));
    }
    cluster.advance(5_000.0);
    assert_eq!(cluster.shares("readers"), [1, 1], "metadata is asked for every five minutes (metadata.max.age.ms)");
    cluster.advance(310_000.0);
    assert_eq!(cluster.shares("readers"), [2, 2]);
    for (partition, end) in [(2, 1), (3, 1)] {
        assert_eq!(cluster.committed("readers", "orders", partition), Some(end), "auto.offset.reset=earliest: nothing is skipped");
    }
}

/// Found by the simulator (seeds 297 and 333 of their time): the ISR of the new partitions was empty.
#[test]
fn nothing_is_placed_where_every_broker_is_fenced_or_on_its_way_out() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    cluster.advance(15_000.0);
    cluster.apply(json!({ "type": "stopBroker", "broker": 2 }));
    // The controller has heard of it, and the broker has not ended yet.
    cluster.advance(20.0);
    assert_eq!(cluster.view().brokers[1].state, BrokerState::Stopping);
    let partitions = cluster.view().topics.len();
    for command in [
        json!({ "type": "createTopic", "name": "late", "partitions": 3, "replicationFactor": 2 }),
        json!({ "type": "createTopic", "name": "late", "partitions": 3, "replicationFactor": 1 }),
        json!({ "type": "createPartitions", "topic": "orders", "partitions": 4 }),
    ] {
        assert_eq!(cluster.refused(command.clone()).code, "INVALID_REPLICATION_FACTOR", "{command}");
    }
    let view = cluster.view();
    assert_eq!((view.topics.len(), view.topics[0].partitions.len()), (partitions, 1));
}

#[test]
fn what_kafka_refuses_changes_nothing() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 2);
    let hash = cluster.session.trace_hash();
    let refusals = [
        ("orders", 3, "INVALID_PARTITIONS", "partitions"),
        ("orders", 2, "INVALID_PARTITIONS", "partitions"),
        ("orders", 0, "INVALID_PARTITIONS", "partitions"),
        ("orders", i32::MIN, "INVALID_PARTITIONS", "partitions"),
        ("orders", i32::MAX, "INVALID_PARTITIONS", "partitions"),
        ("others", 9, "UNKNOWN_TOPIC_OR_PARTITION", "topic"),
    ];
    for (topic, partitions, code, field) in refusals {
        let refusal = cluster.refused(json!({ "type": "createPartitions", "topic": topic, "partitions": partitions }));
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{topic} {partitions}");
    }
    assert_eq!(cluster.session.trace_hash(), hash);
    for broker in 1..=3 {
        cluster.apply(json!({ "type": "crashBroker", "broker": broker }));
    }
    cluster.advance(20_000.0);
    let refusal = cluster.refused(json!({ "type": "createPartitions", "topic": "orders", "partitions": 4 }));
    assert_eq!(refusal.code, "INVALID_REPLICATION_FACTOR", "every broker is fenced");
}

#[test]
fn the_preferred_replica_leads_again_when_it_is_in_sync_and_not_before() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let preferred = cluster.partition("orders", 0).preferred_leader;
    let elect = json!({ "type": "electLeader", "topic": "orders", "partition": 0 });
    assert_eq!(cluster.refused(elect.clone()).code, "ELECTION_NOT_NEEDED");
    cluster.apply(json!({ "type": "crashBroker", "broker": preferred }));
    cluster.advance(12_000.0);
    let hash = cluster.session.trace_hash();
    assert_ne!(cluster.partition("orders", 0).leader, Some(preferred));
    assert_eq!(cluster.refused(elect.clone()).code, "PREFERRED_LEADER_NOT_AVAILABLE");
    for other in [
        json!({ "topic": "orders", "partition": 1 }),
        json!({ "topic": "orders", "partition": -1 }),
        json!({ "topic": "none", "partition": 0 }),
    ] {
        let mut other = other;
        other["type"] = json!("electLeader");
        assert_eq!(cluster.refused(other).code, "UNKNOWN_TOPIC_OR_PARTITION");
    }
    let unclean = cluster.refused(json!({ "type": "electLeader", "topic": "orders", "partition": 0, "unclean": true }));
    assert_eq!(unclean.code, "ELECTION_NOT_NEEDED", "somebody leads");
    assert_eq!(cluster.session.trace_hash(), hash, "what is refused changes nothing");
    cluster.apply(json!({ "type": "restartBroker", "broker": preferred }));
    cluster.advance(12_000.0);
    let before = cluster.partition("orders", 0);
    assert!(before.isr.contains(&preferred) && before.leader != Some(preferred));
    cluster.apply(elect.clone());
    let after = cluster.partition("orders", 0);
    assert_eq!((after.leader, after.leader_epoch, after.isr), (Some(preferred), before.leader_epoch + 1, before.isr));
    assert_eq!(cluster.refused(elect).code, "ELECTION_NOT_NEEDED");
    cluster.send("orders", None, "after");
    cluster.advance(1_000.0);
    assert_eq!(cluster.values("orders", 0), ["after"]);
    cluster.assert_replicas_equal("orders");
}
