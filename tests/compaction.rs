#![cfg(not(target_arch = "wasm32"))]
//! Of each key the last value stays, on every replica by itself; who reads passes over the gaps.

mod cluster;

use brokerlab::view::{EventView, MessageQuery, ReplicaView, messages};
use cluster::Cluster;
use serde_json::{Value, json};

/// A cluster whose cleaners look every second, with a topic that they find dirty soon.
fn cluster(brokers: u32, configs: Value) -> Cluster {
    let mut cluster = Cluster::configured(brokers, json!({ "log.cleaner.backoff.ms": "1000", "log.roll.ms": "3000" }));
    let mut all = json!({ "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "internal.segment.bytes": "300", "segment.ms": "604800000" });
    for (name, value) in configs.as_object().expect("settings") {
        all[name] = value.clone();
    }
    let factor = brokers.min(3);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": factor, "configs": all }));
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "acks": "all", "linger.ms": "0" } }));
    cluster.advance(200.0);
    cluster
}

fn send(cluster: &mut Cluster, key: &str, value: Value) {
    cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": 0, "key": key, "value": value }));
    cluster.advance(30.0);
}

/// Values 0, 1, 2, ... of three keys in turn.
fn fill(cluster: &mut Cluster, values: std::ops::Range<u32>) {
    values.for_each(|value| send(cluster, ["a", "b", "c"][value as usize % 3], json!(format!("value {value}"))));
}

fn replicas(cluster: &Cluster) -> Vec<ReplicaView> {
    cluster.partition("orders", 0).replicas
}

/// Offset, key and value of what a consumer could read.
fn readable(cluster: &Cluster) -> Vec<(i64, String, Option<String>)> {
    let query = MessageQuery { topic: "orders".to_owned(), partition: 0, offset: None, max: None, isolation: None };
    let found = messages(&cluster.session, &query).expect("the partition");
    let text = |key: Option<brokerlab::protocol::text::Text>| key.map(|key| key.to_string());
    found.into_iter().map(|message| (message.offset, text(message.key).unwrap_or_default(), text(message.value))).collect()
}

fn of_kind<'a>(events: &'a [EventView], kind: &str) -> Vec<&'a EventView> {
    events.iter().filter(|event| event.kind == kind && event.topic.as_deref() == Some("orders")).collect()
}

#[test]
fn every_replica_keeps_the_last_value_of_each_key_and_a_consumer_passes_over_the_gaps() {
    let mut cluster = cluster(3, json!({}));
    let seen = cluster.events_after(|cluster| {
        fill(cluster, 0..30);
        cluster.advance(2_000.0);
    });
    let compacted = of_kind(&seen, "logCompacted");
    let brokers: std::collections::BTreeSet<&str> = compacted.iter().map(|event| event.node.as_str()).collect();
    assert_eq!(brokers.len(), 3, "{brokers:?}");
    let left = readable(&cluster);
    assert!(left.len() < 10, "{left:?}");
    assert_eq!(left.iter().rev().take(3).map(|(offset, ..)| *offset).collect::<Vec<_>>(), [29, 28, 27]);
    cluster.assert_replicas_equal("orders");
    let seen = cluster.events_after(|cluster| {
        cluster.consumer("c", "g");
        cluster.advance(8_000.0);
    });
    assert_eq!(cluster.position("c", "orders", 0), Some(30));
    let records: i64 = of_kind(&seen, "recordDelivered").iter().map(|event| event.detail["records"].as_i64().expect("a count")).sum();
    assert_eq!(records, left.len() as i64);
}

#[test]
fn a_follower_that_was_away_copies_the_gaps() {
    let mut cluster = cluster(3, json!({}));
    let (leader, away) = (cluster.leader("orders", 0), replicas(&cluster).iter().map(|replica| replica.broker).collect::<Vec<_>>());
    let away = away.into_iter().find(|broker| *broker != leader).expect("a follower");
    cluster.apply(json!({ "type": "crashBroker", "broker": away }));
    cluster.advance(10_000.0);
    fill(&mut cluster, 0..30);
    cluster.advance(2_000.0);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "restartBroker", "broker": away }));
        cluster.advance(5_000.0);
    });
    let copied: Vec<i64> = of_kind(&seen, "recordAppended")
        .into_iter()
        .filter(|event| event.node == format!("broker-{away}"))
        .map(|event| event.detail["baseOffset"].as_i64().expect("an offset"))
        .collect();
    assert!(0 < copied[0] && copied.len() < 15, "{copied:?}");
    assert!(replicas(&cluster).iter().all(|replica| replica.in_sync && replica.log_end_offset == 30 && replica.high_watermark == 30));
    let before = readable(&cluster);
    // The others are gone: what it has is what there was.
    for broker in replicas(&cluster).iter().map(|replica| replica.broker).filter(|broker| *broker != away) {
        cluster.apply(json!({ "type": "crashBroker", "broker": broker }));
        cluster.advance(11_000.0);
    }
    let last = |all: &[(i64, String, Option<String>)]| all[all.len() - 3..].to_vec();
    assert_eq!(last(&readable(&cluster)), last(&before));
}

#[test]
fn a_tombstone_is_seen_for_delete_retention_and_goes_then() {
    let mut cluster = cluster(3, json!({ "delete.retention.ms": "10000" }));
    send(&mut cluster, "gone", json!("value"));
    send(&mut cluster, "gone", Value::Null);
    fill(&mut cluster, 0..12);
    cluster.advance(2_000.0);
    let of_gone = |cluster: &Cluster| readable(cluster).into_iter().filter(|(_, key, _)| key == "gone").collect::<Vec<_>>();
    assert_eq!(of_gone(&cluster), [(1, "gone".to_owned(), None)]);
    fill(&mut cluster, 12..15);
    cluster.advance(6_000.0);
    assert_eq!(of_gone(&cluster).len(), 1, "not yet");
    cluster.advance(6_000.0);
    assert_eq!(of_gone(&cluster).len(), 1, "nothing is dirty, so nobody looks");
    fill(&mut cluster, 15..27);
    cluster.advance(2_000.0);
    assert!(of_gone(&cluster).is_empty());
    cluster.assert_replicas_equal("orders");
}

#[test]
fn nothing_goes_that_is_not_replicated() {
    let mut cluster = cluster(3, json!({ "min.insync.replicas": "3" }));
    fill(&mut cluster, 0..2);
    let leader = cluster.leader("orders", 0);
    for follower in replicas(&cluster).iter().map(|replica| replica.broker).filter(|broker| *broker != leader) {
        let link = json!({ "type": "setLink", "from": format!("broker-{follower}"), "to": format!("broker-{leader}"), "cut": true });
        cluster.apply(link);
    }
    let configs = json!({ "acks": "1", "linger.ms": "0" });
    cluster
        .apply(json!({ "type": "addProducer", "id": "q", "topic": "orders", "configs": configs, "recordsPerSecond": 30, "keys": ["a"] }));
    let seen = cluster.events_after(|cluster| cluster.advance(6_000.0));
    cluster.apply(json!({ "type": "removeProducer", "id": "q" }));
    let own = replicas(&cluster).into_iter().find(|replica| replica.broker == leader).expect("the leader's replica");
    assert!(10 < own.log_end_offset - own.high_watermark);
    assert!(of_kind(&seen, "logCompacted").is_empty());
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
    cluster.advance(45_000.0);
    assert!(readable(&cluster).len() < 10);
}

#[test]
fn compacted_topics_have_no_age_unless_delete_is_a_policy_too() {
    for (policy, start) in [("compact", 0), ("compact,delete", 12)] {
        let mut cluster = cluster(3, json!({ "cleanup.policy": policy, "retention.ms": "5000" }));
        fill(&mut cluster, 0..12);
        cluster.advance(10_000.0);
        assert_eq!(replicas(&cluster).iter().map(|replica| replica.log_start_offset).collect::<Vec<_>>(), [start; 3], "{policy}");
    }
}

#[test]
fn groups_find_their_offsets_in_the_compacted_offsets_topic() {
    let mut cluster = cluster(3, json!({}));
    let configs = json!({ "auto.offset.reset": "earliest", "auto.commit.interval.ms": "100" });
    cluster.apply(json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "configs": configs }));
    let seen = cluster.events_after(|cluster| {
        fill(cluster, 0..900);
        cluster.advance(3_000.0);
    });
    let compacted = |event: &&EventView| event.kind == "logCompacted" && event.topic.as_deref() == Some("__consumer_offsets");
    assert!(3 <= seen.iter().filter(compacted).count());
    let coordinator = cluster.group("g").coordinator.expect("a coordinator");
    cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
    cluster.advance(20_000.0);
    assert_ne!(cluster.group("g").coordinator, Some(coordinator));
    assert_eq!(cluster.committed("g", "orders", 0), Some(900));
}

#[test]
fn a_log_whose_end_is_compacted_goes_on_at_its_end_after_a_loss_of_power() {
    let mut cluster = cluster(1, json!({}));
    fill(&mut cluster, 0..30);
    cluster.advance(2_000.0);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "powerLoss", "broker": 1 }));
        cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
        cluster.advance(15_000.0);
    });
    // Rolled segments are on the disk; only the active one, of three records, can lose anything.
    let end = replicas(&cluster)[0].log_end_offset;
    assert!(27 <= end && (end == 30) == of_kind(&seen, "recordsLost").is_empty(), "{end}");
    send(&mut cluster, "d", json!("after"));
    cluster.advance(500.0);
    assert_eq!(readable(&cluster).last(), Some(&(end, "d".to_owned(), Some("after".to_owned()))));
}

#[test]
fn a_slow_disk_is_busy_with_compaction() {
    let acknowledged_after = |policy: &str| {
        let mut cluster = cluster(1, json!({ "cleanup.policy": policy }));
        fill(&mut cluster, 0..20);
        let compacted = |cluster: &mut Cluster| {
            let seen = cluster.events_after(|cluster| cluster.advance(10.0));
            !of_kind(&seen, "logCompacted").is_empty()
        };
        cluster.apply(json!({ "type": "slowDisk", "broker": 1, "factor": 1000 }));
        // Both are at the same time; only one of them compacts there.
        (0..100).find(|_| compacted(&mut cluster));
        let sent = cluster.session.time_ms();
        let seen = cluster.events_after(|cluster| {
            send(cluster, "a", json!("late"));
            cluster.advance(2_000.0);
        });
        of_kind(&seen, "recordAcknowledged")[0].time - sent
    };
    let (with, without) = (acknowledged_after("compact"), acknowledged_after("delete"));
    assert!(without + 50.0 < with, "{with} {without}");
}

#[test]
fn a_topic_that_becomes_compacted_loses_its_records_without_a_key() {
    let mut cluster = cluster(3, json!({ "cleanup.policy": "delete" }));
    for value in 0..6 {
        cluster.apply(
            json!({ "type": "send", "producer": "p", "topic": "orders", "partition": 0, "key": null, "value": format!("none {value}") }),
        );
        cluster.advance(30.0);
    }
    fill(&mut cluster, 0..12);
    cluster.advance(3_000.0);
    assert_eq!(readable(&cluster).len(), 18, "nothing is compacted yet");
    cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "cleanup.policy": "compact" } }));
    cluster.advance(3_000.0);
    let left = readable(&cluster);
    assert!(left.iter().all(|(offset, ..)| 6 <= *offset) && left.len() < 8, "{left:?}");
    assert_eq!(left.last().map(|(offset, ..)| *offset), Some(17));
    cluster.assert_replicas_equal("orders");
}

#[test]
fn the_offsets_topic_has_segments_as_the_broker_says() {
    let mut cluster = Cluster::configured(1, json!({ "offsets.topic.segment.bytes": "2000000" })).topic("orders", 1, 1);
    cluster.consumer("c", "g");
    cluster.advance(3_000.0);
    let topic = cluster.view().topics.into_iter().find(|topic| topic.internal).expect("the offsets topic");
    assert_eq!(["cleanup.policy", "segment.bytes"].map(|name| topic.configs[name].as_str()), ["compact", "2000000"]);
}
