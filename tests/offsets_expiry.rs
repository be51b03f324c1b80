#![cfg(not(target_arch = "wasm32"))]
//! Committed offsets expire as KIP-211 says: not while a group reads their topic, else after `offsets.retention.minutes`; and empty groups go with them.

mod cluster;

use cluster::Cluster;
use serde_json::json;

const MINUTE: f64 = 60_000.0;
/// How often the coordinator looks, and a little for the records to be committed.
const LOOK: f64 = 10_500.0;

/// A minute's retention, and a group that has committed once and is now without its consumer unless that is to stay.
fn with_group(stays: bool) -> Cluster {
    let configs = json!({ "offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "10000" });
    let mut cluster = Cluster::configured(3, configs).topic("orders", 1, 3).topic("payments", 1, 3);
    let configs = json!({ "enable.auto.commit": "false" });
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "readers", "topics": ["orders"], "configs": configs }));
    cluster.advance(5_000.0);
    cluster.apply(json!({ "type": "commit", "consumer": "reader", "offsets": [
        { "topic": "orders", "partition": 0, "offset": 0 }, { "topic": "payments", "partition": 0, "offset": 0 }] }));
    cluster.advance(500.0);
    if !stays {
        cluster.advance(5.0 * MINUTE);
        cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
        cluster.advance(100.0);
    }
    cluster
}

fn exists(cluster: &Cluster, group: &str) -> bool {
    cluster.view().groups.iter().any(|known| known.id == group)
}

#[test]
fn what_a_group_reads_stays_and_what_it_reads_no_longer_expires() {
    let mut cluster = with_group(true);
    cluster.advance(MINUTE - 2_000.0);
    assert_eq!(cluster.committed("readers", "payments", 0), Some(0), "not before its time");
    let events = cluster.events_after(|cluster| cluster.advance(2_000.0 + LOOK));
    let told: Vec<_> = events.into_iter().filter(|event| event.kind == "offsetsDeleted").map(|event| event.text).collect();
    assert_eq!(told, ["1 committed offset of group readers is deleted"]);
    assert_eq!(cluster.committed("readers", "payments", 0), None);
    cluster.advance(5.0 * MINUTE);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(0), "it is subscribed to");
}

#[test]
fn an_empty_group_keeps_its_offsets_for_the_retention_after_its_last_member_and_then_goes() {
    let mut cluster = with_group(false);
    cluster.advance(MINUTE - 2_000.0);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(0), "committed long ago, but the group was there until now");
    let events = cluster.events_after(|cluster| cluster.advance(2_000.0 + LOOK));
    assert!(events.iter().any(|event| event.kind == "groupDeleted" && event.text == "Group readers is deleted"));
    assert!(!exists(&cluster, "readers"));
    // Tombstones: no other coordinator finds it again.
    for broker in 1..=3 {
        cluster.apply(json!({ "type": "crashBroker", "broker": broker }));
        cluster.advance(15_000.0);
        assert!(!exists(&cluster, "readers"), "without broker {broker}");
        cluster.apply(json!({ "type": "restartBroker", "broker": broker }));
        cluster.advance(15_000.0);
    }
}

#[test]
fn a_new_coordinator_knows_since_when_the_group_is_empty() {
    let mut cluster = with_group(false);
    let coordinator = cluster.group("readers").coordinator.expect("a coordinator");
    cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
    cluster.advance(MINUTE - 2_000.0);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(0));
    cluster.advance(2_000.0 + LOOK);
    assert!(!exists(&cluster, "readers"));
}

#[test]
fn a_group_that_comes_back_in_time_loses_nothing_that_it_reads() {
    let mut cluster = with_group(false);
    cluster.advance(MINUTE / 2.0);
    cluster.consumer("second", "readers");
    cluster.advance(5.0 * MINUTE);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(0));
}

#[test]
fn offsets_without_a_group_s_members_expire_by_the_time_of_their_commit() {
    let mut cluster = with_group(true);
    cluster.apply(json!({ "type": "resetOffsets", "group": "simple", "topic": "orders", "to": "latest" }));
    cluster.advance(MINUTE - 2_000.0);
    assert_eq!(cluster.committed("simple", "orders", 0), Some(0));
    cluster.apply(json!({ "type": "resetOffsets", "group": "simple", "topic": "orders", "to": "earliest" }));
    cluster.advance(2_000.0 + LOOK);
    assert_eq!(cluster.committed("simple", "orders", 0), Some(0), "it was committed again");
    cluster.advance(MINUTE);
    assert!(!exists(&cluster, "simple"));
    assert!(exists(&cluster, "readers"));
}
