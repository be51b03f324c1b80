#![cfg(not(target_arch = "wasm32"))]
//! What a member of a classic group measures itself: its session, when it beats again after an error, and how long it waits for others to join
//! (`Heartbeat`, `AbstractCoordinator`).

mod cluster;

use brokerlab::view::EventView;
use cluster::Cluster;
use serde_json::{Value, json};

/// When a client sends such requests.
fn sent(events: &[EventView], client: &str, request: &str) -> Vec<f64> {
    let begins = |event: &&EventView| event.kind == "requestSent" && event.node == client && event.text.contains(request);
    events.iter().filter(begins).map(|event| event.time).collect()
}

fn add(cluster: &mut Cluster, configs: Value) {
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": configs }));
}

/// A reader that has joined, and its group's coordinator.
fn joined(configs: Value) -> (Cluster, i32) {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    add(&mut cluster, configs);
    cluster.advance(12_000.0);
    assert_eq!(cluster.group("g").state, "Stable");
    let coordinator = cluster.group("g").coordinator.expect("a coordinator");
    (cluster, coordinator)
}

#[test]
fn who_hears_no_heartbeat_for_a_session_looks_for_another_coordinator() {
    let (mut cluster, coordinator) = joined(json!({ "session.timeout.ms": "6000", "heartbeat.interval.ms": "2000" }));
    let broker = format!("broker-{coordinator}");
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "setLink", "from": broker, "to": "reader", "cut": true }));
        cluster.advance(7_000.0);
    });
    let looked = sent(&events, "reader", "FindCoordinator");
    // The last answer came up to two seconds before.
    assert!(!looked.is_empty() && (3_900.0..6_100.0).contains(&(looked[0] - events[0].time)), "{looked:?} from {}", events[0].time);
}

#[test]
fn the_first_heartbeat_to_another_coordinator_is_no_later_than_any_other() {
    let (mut cluster, coordinator) = joined(json!({ "heartbeat.interval.ms": "5000" }));
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
        cluster.advance(30_000.0);
    });
    let (looked, beats) = (sent(&events, "reader", "FindCoordinator"), sent(&events, "reader", "Heartbeat request"));
    let found = looked.last().copied().expect("a search");
    let first = beats.iter().find(|beat| found < **beat).expect("a heartbeat");
    assert!(5_000.0 < found - events[0].time, "it takes longer than an interval to find it");
    // Those to the old one have failed, and `retry.backoff.max.ms` is a second.
    assert!(first - found < 1_250.0, "{first} after {found}");
}

#[test]
fn others_may_take_as_long_to_join_as_any_request() {
    let configs = json!({ "group.initial.rebalance.delay.ms": "1000", "broker.session.timeout.ms": "30000" });
    let mut cluster = Cluster::configured(1, configs).topic("orders", 1, 1);
    let events = cluster.events_after(|cluster| {
        add(cluster, json!({ "max.poll.interval.ms": "2000", "request.timeout.ms": "30000" }));
        let asked = |cluster: &mut Cluster| {
            let all = cluster.events_after(|cluster| cluster.advance(20.0));
            sent(&all, "reader", "JoinGroup").len()
        };
        let mut count = 0;
        while count < 2 {
            count += asked(cluster);
        }
        cluster.apply(json!({ "type": "freezeBroker", "broker": 1, "ms": 8_000 }));
        cluster.advance(15_000.0);
    });
    assert_eq!(sent(&events, "reader", "JoinGroup").len(), 2, "one to get an id, and one that is answered in the end");
    assert_eq!(cluster.group("g").state, "Stable");
}
