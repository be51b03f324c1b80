#![cfg(not(target_arch = "wasm32"))]
//! Settings of brokers that are changed while they run (KIP-226): for one of them, or for all that have none of their own.

mod cluster;

use brokerlab::broker::BrokerConfig;
use brokerlab::view::EventView;
use cluster::Cluster;
use serde_json::{Value, json};

/// An empty name means all brokers.
fn set(name: &str, settings: Value) -> Value {
    json!({ "type": "alterConfigs", "resource": "broker", "name": name, "set": settings })
}

fn delete(name: &str, names: Value) -> Value {
    json!({ "type": "alterConfigs", "resource": "broker", "name": name, "delete": names })
}

fn config(cluster: &Cluster, broker: i32) -> &BrokerConfig {
    cluster.session.world().broker(broker).expect("the broker").0.config()
}

/// What each broker has for `log.retention.ms`.
fn retention(cluster: &Cluster) -> Vec<i64> {
    cluster.session.world().brokers().map(|(broker, _)| broker.config().log.retention_ms).collect()
}

const WEEK_MS: i64 = 7 * 24 * 3_600_000;

#[test]
fn a_brokers_own_setting_goes_before_that_of_all_and_both_before_what_it_was_started_with() {
    let mut cluster = Cluster::configured(3, json!({ "log.retention.minutes": "3" })).topic("orders", 1, 3);
    assert_eq!(retention(&cluster), [180_000; 3]);
    let steps = [
        (set("", json!({ "log.retention.ms": "5000" })), [5_000, 5_000, 5_000]),
        (set("2", json!({ "log.retention.ms": "7000" })), [5_000, 7_000, 5_000]),
        (set("", json!({ "log.retention.ms": "9000" })), [9_000, 7_000, 9_000]),
        (delete("2", json!(["log.retention.ms"])), [9_000, 9_000, 9_000]),
        (set("3", json!({ "log_retention_ms": " -1 " })), [9_000, 9_000, -1]),
        (delete("", json!(["log.retention.ms"])), [180_000, 180_000, -1]),
        (delete("3", json!(["log.retention.ms"])), [180_000, 180_000, 180_000]),
    ];
    for (command, expected) in steps {
        cluster.apply(command.clone());
        cluster.advance(100.0);
        assert_eq!(retention(&cluster), expected, "{command}");
    }
}

/// With eligible leader replicas no broker has a min.insync.replicas of its own.
fn without_elr() -> Value {
    json!({ "brokerlab.eligible.leader.replicas.version": "0" })
}

#[test]
fn the_change_is_told_in_words_and_in_facts() {
    let mut cluster = Cluster::configured(2, without_elr());
    let events = cluster.events_after(|cluster| {
        cluster.apply(set("", json!({ "log.retention.ms": "5000", "min.insync.replicas": "2" })));
        cluster.apply(set("1", json!({ "min.insync.replicas": "1" })));
        cluster.apply(delete("1", json!(["min.insync.replicas"])));
    });
    let altered: Vec<&EventView> = events.iter().filter(|event| event.kind == "configsAltered").collect();
    let texts: Vec<&str> = altered.iter().map(|event| event.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "Sets for all brokers: log.retention.ms = 5000, min.insync.replicas = 2",
            "Sets for broker 1: min.insync.replicas = 1",
            "Sets for broker 1: min.insync.replicas as before it was set",
        ]
    );
    let change = |name: &str, value: Option<&str>| json!({ "name": name, "value": value });
    assert_eq!(altered[0].detail["changes"], json!([change("log.retention.ms", Some("5000")), change("min.insync.replicas", Some("2"))]));
    assert_eq!(altered[2].detail, json!({ "broker": 1, "changes": [change("min.insync.replicas", None)] }));
    let again = cluster.events_after(|cluster| {
        cluster.apply(set("", json!({ "log.retention.ms": "5000" })));
    });
    assert!(!again.iter().any(|event| event.kind == "configsAltered"), "nothing became different");
}

#[test]
fn logs_of_topics_that_do_not_say_go_by_it_and_those_that_do_do_not() {
    let mut cluster = Cluster::configured(3, json!({ "log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000" }))
        .topic("orders", 1, 3);
    cluster.apply(
        json!({ "type": "createTopic", "name": "kept", "partitions": 1, "replicationFactor": 3, "configs": { "retention.ms": "600000" } }),
    );
    cluster.advance(500.0);
    for number in 0..3 {
        cluster.send("orders", Some("k"), &format!("record {number}"));
        cluster.send("kept", Some("k"), &format!("record {number}"));
    }
    cluster.advance(3_000.0);
    let ends = |cluster: &Cluster, topic: &str| {
        let mut replicas = cluster.partition(topic, 0).replicas;
        replicas.sort_by_key(|replica| replica.broker);
        replicas.into_iter().map(|replica| replica.log_start_offset).collect::<Vec<_>>()
    };
    let follower = cluster.partition("orders", 0).leader.expect("a leader") % 3 + 1;
    cluster.apply(set(&follower.to_string(), json!({ "log.retention.ms": "1000" })));
    cluster.advance(3_000.0);
    let expected: Vec<i64> = (1..=3).map(|broker| if broker == follower { 3 } else { 0 }).collect();
    assert_eq!(ends(&cluster, "orders"), expected, "each replica is looked after where it is");
    cluster.apply(set("", json!({ "log.retention.ms": "1000" })));
    cluster.advance(3_000.0);
    assert_eq!((ends(&cluster, "orders"), ends(&cluster, "kept")), (vec![3; 3], vec![0; 3]));
}

#[test]
fn leaders_go_by_it_at_once() {
    let mut cluster = Cluster::configured(3, without_elr()).topic("orders", 1, 3);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let other = leader % 3 + 1;
    cluster.apply(json!({ "type": "crashBroker", "broker": other }));
    cluster.advance(12_000.0);
    assert_eq!((cluster.partition("orders", 0).isr.len(), cluster.first_error("orders", "one")), (2, None));
    cluster.apply(set("", json!({ "min.insync.replicas": "3" })));
    cluster.advance(20.0);
    assert_eq!(cluster.first_error("orders", "two").as_deref(), Some("NOT_ENOUGH_REPLICAS"));
    cluster.apply(set(&leader.to_string(), json!({ "min.insync.replicas": "2" })));
    cluster.advance(3_000.0);
    assert_eq!(cluster.values("orders", 0), ["one", "two"], "its own goes before that of all");
    cluster.apply(set("", json!({ "message.max.bytes": "200" })));
    cluster.advance(20.0);
    assert_eq!(cluster.first_error("orders", &"x".repeat(500)).as_deref(), Some("MESSAGE_TOO_LARGE"));
    cluster.apply(delete("", json!(["message.max.bytes"])));
    cluster.apply(set("", json!({ "compression.type": "gzip" })));
    cluster.advance(20.0);
    let bytes = |cluster: &Cluster| cluster.partition("orders", 0).replicas.iter().map(|replica| replica.bytes).max();
    let before = bytes(&cluster);
    assert_eq!(cluster.first_error("orders", &"x".repeat(5_000)), None);
    assert!(bytes(&cluster) < before.map(|bytes| bytes + 1_000), "5,000 equal bytes are stored compressed");
    assert_eq!(cluster.partition("orders", 0).leader_epoch, 0, "no election was needed");
}

#[test]
fn more_threads_get_more_done() {
    let slow = json!({ "brokerlab.request.us": "20000", "num.io.threads": "1", "group.initial.rebalance.delay.ms": "0" });
    let answered = |threads: &[i64]| {
        let mut cluster = Cluster::configured(1, slow.clone()).topic("orders", 1, 1);
        for count in threads {
            cluster.apply(set("1", json!({ "num.io.threads": count.to_string() })));
            cluster.advance(2_000.0);
        }
        for number in 0..20 {
            cluster.apply(json!({ "type": "addProducer", "id": format!("p{number}"), "topic": "orders", "recordsPerSecond": 100, "configs": { "linger.ms": "0" } }));
        }
        let events = cluster.events_after(|cluster| cluster.advance(5_000.0));
        events.iter().filter(|event| event.kind == "responseSent" && event.node == "broker-1" && event.detail["api"] == "Produce").count()
    };
    let (one, two, four) = (answered(&[]), answered(&[2]), answered(&[2, 4]));
    assert!(one * 17 / 10 < two && two * 17 / 10 < four, "{one}, {two}, {four} answers in five seconds");
}

#[test]
fn threads_become_twice_or_half_as_many_at_the_most() {
    let mut cluster = Cluster::of_brokers(2);
    let refused = |cluster: &mut Cluster, name: &str, setting: &str, value: &str| {
        let refusal = cluster.refused(set(name, json!({ setting: value })));
        let at = format!("set.{setting}");
        assert_eq!((refusal.code.as_str(), refusal.field), ("INVALID_REQUEST", Some(at)), "{setting} = {value}");
        refusal.message
    };
    let prefix = "Dynamic thread count update validation failed for num.io.threads=";
    assert_eq!(
        refused(&mut cluster, "", "num.io.threads", "17"),
        format!("{prefix}17, value should not be greater than double the current value 8")
    );
    assert_eq!(refused(&mut cluster, "1", "num.io.threads", "3"), format!("{prefix}3, value should be at least half the current value 8"));
    assert!(refused(&mut cluster, "1", "num.network.threads", "7").ends_with("the current value 3"));
    refused(&mut cluster, "1", "num.io.threads", "0");
    cluster.apply(set("1", json!({ "num.io.threads": "16" })));
    cluster.apply(set("1", json!({ "num.io.threads": "32" })));
    cluster.apply(set("2", json!({ "num.io.threads": "4", "num.network.threads": "1" })));
    cluster.apply(set("", json!({ "num.io.threads": "10" })));
    cluster.advance(100.0);
    let threads =
        |cluster: &Cluster, broker: i32| (config(cluster, broker).costs.io_threads, config(cluster, broker).costs.network_threads);
    assert_eq!((threads(&cluster, 1), threads(&cluster, 2)), ((32, 3), (4, 1)));
    let refusal = cluster.refused(delete("1", json!(["num.io.threads"])));
    assert_eq!(refusal.message, format!("{prefix}10, value should be at least half the current value 32"), "so would 10 be, for all");
    cluster.refused(delete("2", json!(["num.network.threads"])));
    cluster.apply(set("2", json!({ "num.network.threads": "2" })));
    cluster.apply(delete("2", json!(["num.network.threads"])));
}

#[test]
fn an_unclean_election_can_be_allowed_for_all_topics() {
    let mut cluster = Cluster::configured(3, json!({ "unclean.leader.election.interval.ms": "5000" })).topic("orders", 1, 2);
    let partition = cluster.partition("orders", 0);
    let (leader, follower) = (partition.leader.expect("a leader"), partition.replicas.iter().map(|replica| replica.broker));
    let follower = follower.into_iter().find(|broker| *broker != leader).expect("a follower");
    cluster.apply(json!({ "type": "crashBroker", "broker": follower }));
    cluster.advance(12_000.0);
    cluster.send("orders", Some("k"), "the follower has not");
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(12_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": follower }));
    cluster.advance(12_000.0);
    assert_eq!(cluster.partition("orders", 0).leader, None);
    cluster.apply(set(&follower.to_string(), json!({ "unclean.leader.election.enable": "true" })));
    cluster.advance(12_000.0);
    assert_eq!(cluster.partition("orders", 0).leader, None, "the controller goes by that of all brokers");
    cluster.apply(set("", json!({ "unclean.leader.election.enable": "true" })));
    cluster.advance(12_000.0);
    assert_eq!(cluster.partition("orders", 0).leader, Some(follower));
}

#[test]
fn brokers_that_come_later_and_controllers_that_take_over_know_it() {
    let mut cluster = Cluster::quorum_with(7, 3, json!({ "brokerlab.metadata.records.between.snapshots": "5" }));
    cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
    cluster.advance(12_000.0);
    cluster.apply(set("", json!({ "log.retention.ms": "5000" })));
    cluster.apply(set("2", json!({ "log.retention.ms": "7000" })));
    cluster.advance(200.0);
    let active = cluster.view().controller.leader.expect("an active controller");
    cluster.apply(json!({ "type": "crashController", "controller": active }));
    cluster.advance(15_000.0);
    for number in 0..10 {
        // Enough records that the log begins with a snapshot.
        cluster.apply(json!({ "type": "createTopic", "name": format!("topic-{number}"), "partitions": 1, "replicationFactor": 1 }));
    }
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
    cluster.apply(json!({ "type": "addBroker", "broker": 4 }));
    cluster.advance(12_000.0);
    assert_eq!(retention(&cluster), [5_000, 7_000, 5_000, 5_000]);
    cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
    assert_eq!(retention(&cluster)[1], WEEK_MS, "a process that starts anew has it from the metadata alone");
    cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
    cluster.advance(12_000.0);
    assert_eq!(retention(&cluster)[1], 7_000);
}

#[test]
fn what_is_wrong_changes_nothing_at_all() {
    let mut cluster = Cluster::of_brokers(2);
    cluster.apply(set("1", json!({ "message.max.bytes": "5000" })));
    let hash = cluster.session.trace_hash();
    let good = || json!({ "log.retention.ms": "5000" });
    for (command, code, field, words) in [
        (
            set("1", json!({ "num.partitions": "3" })),
            "INVALID_REQUEST",
            "set.num.partitions",
            "Cannot update these configs dynamically: Set(num.partitions)",
        ),
        (
            set("", json!({ "log.retention.ms": "1", "log.retention.hours": "1", "fetch.max.bytes": "2000" })),
            "INVALID_REQUEST",
            "set.fetch.max.bytes",
            "Cannot update these configs dynamically: Set(fetch.max.bytes, log.retention.hours)",
        ),
        (
            set("1", json!({ "log.retention.ms": "soon" })),
            "INVALID_REQUEST",
            "set.log.retention.ms",
            "Invalid value soon for configuration log.retention.ms",
        ),
        (set("1", json!({ "min.insync.replicas": "0" })), "INVALID_REQUEST", "set.min.insync.replicas", "must be at least 1"),
        (set("1", json!({ "log.cleanup.policy": "shred" })), "INVALID_REQUEST", "set.log.cleanup.policy", "log.cleanup.policy"),
        (set("1", json!({ "log.retention.msx": "1" })), "INVALID_CONFIG", "set.log.retention.msx", "Do you mean log.retention.ms?"),
        (set("1", json!({})), "INVALID_ARGUMENT", "set", "nothing to set"),
        (set("3", good()), "BROKER_ID_NOT_REGISTERED", "name", "No node with id 3 found."),
        (set("-1", good()), "INVALID_REQUEST", "name", "Invalid negative broker ID."),
        (set("one", good()), "INVALID_REQUEST", "name", "Unable to parse broker name as a base 10 number."),
        (set("99999999999", good()), "INVALID_REQUEST", "name", "Unable to parse broker name as a base 10 number."),
        (delete("1", json!(["log.retention.ms"])), "INVALID_CONFIG", "delete[0]", "log.retention.ms is not set for broker 1."),
        (delete("2", json!(["message.max.bytes"])), "INVALID_CONFIG", "delete[0]", "message.max.bytes is not set for broker 2."),
        (delete("", json!(["message.max.bytes"])), "INVALID_CONFIG", "delete[0]", "message.max.bytes is not set for all brokers."),
        (delete("3", json!(["message.max.bytes"])), "BROKER_ID_NOT_REGISTERED", "name", "No node"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}: {}", refusal.message);
        assert!(refusal.message.contains(words), "{command}: {}", refusal.message);
        assert_eq!(cluster.session.trace_hash(), hash, "{command} changed something");
    }
}
