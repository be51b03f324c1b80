#![cfg(not(target_arch = "wasm32"))]
//! Subscriptions by pattern: `java.util.regex` over the metadata that a consumer of the classic protocol has, RE2 at the coordinator under the new one.

mod cluster;

use cluster::Cluster;
use serde_json::{Value, json};

const PROTOCOLS: [&str; 2] = ["classic", "consumer"];

fn add(cluster: &mut Cluster, id: &str, protocol: &str, pattern: &str, configs: Value) {
    let mut all = json!({ "group.protocol": protocol, "auto.offset.reset": "earliest", "metadata.max.age.ms": "5000" });
    all.as_object_mut().expect("an object").extend(configs.as_object().expect("an object").clone());
    cluster.apply(json!({ "type": "addConsumer", "id": id, "group": "g", "pattern": pattern, "configs": all }));
}

/// Three topics, of two partitions each but for the last.
fn cluster() -> Cluster {
    Cluster::of_brokers(3).topic("orders-eu", 2, 3).topic("orders-us", 2, 3).topic("payments", 1, 3)
}

/// What each member owns, by client.
fn owned(cluster: &Cluster) -> Vec<(String, Vec<String>)> {
    let group = cluster.group("g");
    assert_eq!(group.state, "Stable");
    let mut rows: Vec<_> = group
        .members
        .iter()
        .map(|member| {
            let own = member.assignment.iter().map(|one| format!("{}-{}", one.topic, one.partition)).collect();
            (member.client_id.clone(), own)
        })
        .collect();
    rows.sort();
    rows
}

fn all(cluster: &Cluster) -> Vec<String> {
    let mut all: Vec<String> = owned(cluster).into_iter().flat_map(|(_, own)| own).collect();
    all.sort();
    all
}

const EU_AND_US: [&str; 4] = ["orders-eu-0", "orders-eu-1", "orders-us-0", "orders-us-1"];

#[test]
fn what_matches_is_shared_out_and_read() {
    for protocol in PROTOCOLS {
        let mut cluster = cluster();
        for id in ["one", "two"] {
            add(&mut cluster, id, protocol, "orders-(eu|us)", json!({}));
        }
        cluster.advance(20_000.0);
        assert_eq!(all(&cluster), EU_AND_US, "{protocol}");
        assert!(owned(&cluster).iter().all(|(_, own)| own.len() == 2), "{protocol}");
        for topic in ["orders-eu", "orders-us", "payments"] {
            cluster.apply(json!({ "type": "send", "topic": topic, "value": "v" }));
        }
        cluster.advance(2_000.0);
        assert_eq!(cluster.view().consumers.iter().map(|consumer| consumer.consumed).sum::<u64>(), 2, "{protocol}");
    }
}

#[test]
fn topics_that_come_and_go_are_taken_up_and_given_up() {
    for protocol in PROTOCOLS {
        let mut cluster = cluster();
        add(&mut cluster, "one", protocol, "orders-.*", json!({}));
        cluster.advance(20_000.0);
        assert_eq!(all(&cluster), EU_AND_US, "{protocol}");
        let before = cluster.group("g").generation;
        let mut cluster = cluster.topic("orders-asia", 1, 3).topic("returns", 1, 3);
        cluster.advance(20_000.0);
        assert_eq!(all(&cluster), [&["orders-asia-0"], &EU_AND_US[..]].concat(), "{protocol}");
        assert_eq!(cluster.group("g").generation, before + 1, "{protocol}: once, and not for what does not match");
        cluster.apply(json!({ "type": "deleteTopic", "name": "orders-us" }));
        cluster.advance(20_000.0);
        assert_eq!(all(&cluster), ["orders-asia-0", "orders-eu-0", "orders-eu-1"], "{protocol}");
        cluster.apply(json!({ "type": "send", "topic": "orders-asia", "value": "v" }));
        cluster.advance(2_000.0);
        assert_eq!(cluster.view().consumers[0].consumed, 1, "{protocol}");
    }
}

#[test]
fn a_cooperative_member_gives_up_what_does_not_match_any_more_before_it_joins() {
    let mut cluster = cluster();
    for id in ["one", "two"] {
        add(&mut cluster, id, "classic", "orders-.*", json!({ "partition.assignment.strategy": "cooperative-sticky" }));
    }
    cluster.advance(20_000.0);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "deleteTopic", "name": "orders-us" }));
        cluster.advance(20_000.0);
    });
    assert_eq!(all(&cluster), ["orders-eu-0", "orders-eu-1"]);
    for id in ["one", "two"] {
        let first = |is: &dyn Fn(&brokerlab::view::EventView) -> bool| seen.iter().position(|event| event.node == id && is(event));
        let revoked = first(&|event| event.kind == "assignmentRevoked").expect("it gives something up");
        let joins = first(&|event| event.kind == "requestSent" && event.detail["api"] == "JoinGroup").expect("it joins");
        assert!(revoked < joins, "{id}");
        let names = seen[revoked].detail["partitions"].to_string();
        assert!(names.contains("orders-us") && !names.contains("orders-eu"), "{id}: {names}");
    }
}

#[test]
fn the_coordinator_looks_at_its_topics_every_ten_seconds_at_most() {
    let mut cluster = cluster();
    add(&mut cluster, "one", "consumer", "orders-.*", json!({}));
    cluster.advance(30_000.0);
    let seen = cluster.events_after(|cluster| {
        for name in ["orders-asia", "orders-africa"] {
            cluster.apply(json!({ "type": "createTopic", "name": name, "partitions": 1, "replicationFactor": 3 }));
            cluster.advance(6_000.0);
        }
        cluster.advance(15_000.0);
    });
    assert_eq!(all(&cluster).len(), 6);
    let at: Vec<f64> = seen.iter().filter(|event| event.kind == "rebalanced").map(|event| event.time).collect();
    let [first, second] = at[..] else { panic!("{at:?}") };
    assert!((10_000.0..15_100.0).contains(&(second - first)), "{at:?}");
}

#[test]
fn another_coordinator_goes_on_with_what_the_expressions_stand_for() {
    let mut cluster = cluster();
    for id in ["one", "two"] {
        add(&mut cluster, id, "consumer", "orders-.*", json!({}));
    }
    cluster.advance(25_000.0);
    cluster.coordinator_fails_over("g");
}

#[test]
fn members_of_one_group_may_subscribe_by_name_and_by_pattern() {
    for protocol in PROTOCOLS {
        let mut cluster = cluster();
        add(&mut cluster, "one", protocol, "orders-.*", json!({}));
        let configs = json!({ "group.protocol": protocol, "auto.offset.reset": "earliest" });
        cluster.apply(json!({ "type": "addConsumer", "id": "two", "group": "g", "topics": ["payments", "orders-eu"], "configs": configs }));
        cluster.advance(25_000.0);
        let rows = owned(&cluster);
        assert!(rows[0].1.iter().all(|own| own.starts_with("orders")), "{protocol}: {rows:?}");
        assert!(rows[1].1.contains(&"payments-0".to_owned()), "{protocol}: {rows:?}");
        assert_eq!(all(&cluster).len(), 5, "{protocol}");
        assert_eq!(all(&cluster)[4], "payments-0", "{protocol}");
    }
}

#[test]
fn internal_topics_match_only_where_they_are_not_excluded() {
    let internal = |cluster: &Cluster| all(cluster).iter().any(|own| own.starts_with("__consumer_offsets"));
    for (protocol, configs, expected) in [
        ("classic", json!({}), false),
        ("classic", json!({ "exclude.internal.topics": "false" }), true),
        // The broker's resolver knows no such setting.
        ("consumer", json!({}), true),
    ] {
        let mut cluster = cluster();
        add(&mut cluster, "one", protocol, ".*", configs.clone());
        cluster.advance(40_000.0);
        assert_eq!(internal(&cluster), expected, "{protocol} {configs}");
    }
}

#[test]
fn who_changes_its_mind_is_heard_and_what_nobody_asks_for_is_forgotten() {
    let mut cluster = cluster();
    add(&mut cluster, "one", "consumer", "orders-.*", json!({ "group.instance.id": "first" }));
    cluster.advance(20_000.0);
    assert_eq!(all(&cluster), EU_AND_US);
    cluster.apply(json!({ "type": "removeConsumer", "id": "one" }));
    cluster.advance(1_000.0);
    add(&mut cluster, "two", "consumer", "pay.*", json!({ "group.instance.id": "first" }));
    cluster.advance(30_000.0);
    assert_eq!(owned(&cluster), [("two".to_owned(), vec!["payments-0".to_owned()])]);
}

#[test]
fn bad_patterns_are_refused_where_kafka_refuses_them() {
    let mut cluster = cluster();
    let of = |protocol: &str, pattern: &str| json!({ "type": "addConsumer", "id": "c", "group": "g", "pattern": pattern, "configs": { "group.protocol": protocol } });
    let before = cluster.session.trace_hash();
    for (command, field, words) in [
        (of("classic", ""), "pattern", "Topic pattern to subscribe to cannot be empty"),
        (of("consumer", ""), "pattern", "Topic pattern to subscribe to cannot be empty"),
        (of("classic", "orders-("), "pattern", "`orders-(` cannot be read: missing closing )."),
        (json!({ "type": "addConsumer", "id": "c", "pattern": "a" }), "group", "To subscribe to topics, a consumer needs a group."),
        (json!({ "type": "addConsumer", "id": "c", "group": "g", "pattern": "a", "topics": ["a"] }), "topics", "A consumer reads topics"),
        (
            json!({ "type": "addConsumer", "id": "c", "group": "g", "pattern": "a", "partitions": [{ "topic": "a", "partition": 0 }] }),
            "topics",
            "A consumer reads topics",
        ),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.starts_with("INVALID"), refusal.field.as_deref()), (true, Some(field)), "{command}");
        assert!(refusal.message.starts_with(words), "{}", refusal.message);
        assert_eq!(cluster.session.trace_hash(), before);
    }
    // The broker refuses what it cannot read: the application gets the error from poll. Java's pattern may look ahead, RE2's may not.
    cluster.apply(of("consumer", "(?!__).*"));
    cluster.advance(10_000.0);
    assert_eq!(cluster.view().consumers[0].state, "INVALID_REGULAR_EXPRESSION");
    assert!(cluster.view().groups.iter().all(|group| group.members.is_empty()));
    cluster.apply(json!({ "type": "removeConsumer", "id": "c" }));
    add(&mut cluster, "d", "classic", "(?!pay|__).*", json!({}));
    cluster.advance(20_000.0);
    assert_eq!(all(&cluster), EU_AND_US);
}
