#![cfg(not(target_arch = "wasm32"))]
//! Changes of the ISR, one at a time (`AlterPartitionManager`, `Partition.maybeShrinkIsr`).

mod cluster;

use brokerlab::view::EventView;
use cluster::Cluster;
use serde_json::json;

fn asked(events: &[EventView]) -> usize {
    events.iter().filter(|event| event.kind == "requestSent" && event.text.starts_with("AlterPartition")).count()
}

#[test]
fn a_leader_asks_for_no_second_change_before_the_first_is_answered_though_the_log_has_brought_it() {
    let mut cluster = Cluster::configured(3, json!({ "replica.lag.time.max.ms": "4000" })).topic("orders", 1, 3);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let followers: Vec<i32> = (1..=3).filter(|broker| *broker != leader).collect();
    let cut = |cluster: &mut Cluster, follower: i32| {
        let (from, to) = (format!("broker-{follower}"), format!("broker-{leader}"));
        cluster.apply(json!({ "type": "setLink", "from": from, "to": to, "cut": true }));
        // Who has all that there is does not lag, however long it is silent.
        cluster.apply(json!({ "type": "send", "topic": "orders", "value": "v" }));
    };
    cluster.apply(json!({ "type": "dropNext", "api": "AlterPartition", "what": "response" }));
    let seen = cluster.events_after(|cluster| {
        cut(cluster, followers[0]);
        cluster.advance(8_000.0);
        // Known from the metadata log, not from the answer.
        assert_eq!(cluster.partition("orders", 0).isr, [leader, followers[1]]);
        cut(cluster, followers[1]);
        cluster.advance(15_000.0);
    });
    assert_eq!(asked(&seen), 1);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 2);
    // The lost answer is given up after half a minute (controller.socket.timeout.ms), and the next change is asked for.
    let seen = cluster.events_after(|cluster| cluster.advance(30_000.0));
    assert!(0 < asked(&seen));
    assert_eq!(cluster.partition("orders", 0).isr, [leader]);
}
