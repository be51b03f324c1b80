#![cfg(not(target_arch = "wasm32"))]
//! `auto.offset.reset`: where a consumer begins that has no commit to go on from.

mod cluster;

use cluster::Cluster;
use serde_json::json;

/// A record every ten virtual seconds, the first at about two.
fn written() -> Cluster {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    for number in 0..10 {
        cluster.send("orders", Some("key"), &format!("value {number}"));
        cluster.advance(10_000.0);
    }
    cluster
}

fn add(cluster: &mut Cluster, id: &str, policy: &str) {
    let configs = json!({ "auto.offset.reset": policy, "enable.auto.commit": "false" });
    cluster.apply(json!({ "type": "addConsumer", "id": id, "group": id, "topics": ["orders"], "configs": configs }));
}

/// The first offset that a new group reads.
fn first(policy: &str) -> Option<i64> {
    let mut cluster = written();
    let events = cluster.events_after(|cluster| {
        add(cluster, "reader", policy);
        cluster.advance(5_000.0);
        cluster.send("orders", Some("key"), "the last");
        cluster.advance(1_000.0);
    });
    events
        .iter()
        .find(|event| event.kind == "recordDelivered" && event.node == "reader")
        .and_then(|event| event.detail["firstOffset"].as_i64())
}

#[test]
fn each_policy_begins_where_it_says() {
    for (policy, expected) in [
        ("earliest", Some(0)),
        ("latest", Some(10)),
        ("none", None),
        // The records are 10, 20, ... 100 seconds old when the group begins.
        ("by_duration:PT25S", Some(8)),
        ("by_duration:PT1M35S", Some(1)),
        ("by_duration:P1D", Some(0)),
        // Longer than the clock has run since 1970.
        ("by_duration:P100000D", Some(0)),
        // Nothing is that new: the end.
        ("by_duration:PT0S", Some(10)),
    ] {
        assert_eq!(first(policy), expected, "{policy}");
    }
}

#[test]
fn a_commit_goes_before_the_policy() {
    let mut cluster = written();
    add(&mut cluster, "reader", "by_duration:PT25S");
    cluster.advance(10_000.0);
    cluster.apply(json!({ "type": "commit", "consumer": "reader", "offsets": [{ "topic": "orders", "partition": 0, "offset": 3, "metadata": "by hand" }] }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "crashConsumer", "id": "reader" }));
    let events = cluster.events_after(|cluster| {
        add(cluster, "reader", "by_duration:PT25S");
        cluster.advance(60_000.0);
    });
    let first = events.iter().find(|event| event.kind == "recordDelivered").expect("a record");
    assert_eq!(first.detail["firstOffset"], 3);
}
