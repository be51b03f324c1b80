#![cfg(not(target_arch = "wasm32"))]
//! `max.poll.interval.ms`: an application that takes too long for what it polled is taken for dead, and its records are somebody else's (KIP-62).

mod cluster;

use brokerlab::view::EventView;
use cluster::Cluster;
use serde_json::json;

/// One partition with 100 records, and a reader that takes a tenth of a second for each.
fn slow_reader(most: u32) -> Cluster {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    for number in 0..100 {
        cluster.send("orders", Some("key"), &format!("value {number}"));
    }
    cluster.advance(1_000.0);
    let configs = json!({ "auto.offset.reset": "earliest", "max.poll.interval.ms": "2000", "max.poll.records": most.to_string() });
    cluster.apply(
        json!({ "type": "addConsumer", "id": "slow", "group": "readers", "topics": ["orders"], "processingMs": 100, "configs": configs }),
    );
    cluster
}

fn of_node<'a>(events: &'a [EventView], kind: &'a str, node: &'a str) -> Vec<&'a EventView> {
    events.iter().filter(|event| event.kind == kind && event.node == node).collect()
}

fn offsets(events: &[EventView], node: &str) -> Vec<i64> {
    of_node(events, "recordDelivered", node).iter().map(|event| event.detail["firstOffset"].as_i64().expect("an offset")).collect()
}

#[test]
fn an_application_that_polls_in_time_stays() {
    let mut cluster = slow_reader(19);
    let events = cluster.events_after(|cluster| cluster.advance(20_000.0));
    assert!(of_node(&events, "pollIntervalExceeded", "slow").is_empty());
    assert_eq!(offsets(&events, "slow"), (0..100).collect::<Vec<i64>>());
    assert_eq!(cluster.committed("readers", "orders", 0), Some(100));
}

#[test]
fn one_that_does_not_leaves_its_group_and_finds_its_partitions_lost_with_its_next_poll() {
    let mut cluster = slow_reader(30);
    let events = cluster.events_after(|cluster| {
        cluster.advance(500.0);
        let configs = json!({ "auto.offset.reset": "earliest" });
        cluster.apply(json!({ "type": "addConsumer", "id": "quick", "group": "others", "topics": ["orders"], "configs": configs }));
        cluster.advance(4_400.0);
    });
    let first = of_node(&events, "assignmentReceived", "slow")[0].time;
    let (exceeded, lost) = (of_node(&events, "pollIntervalExceeded", "slow"), of_node(&events, "assignmentLost", "slow"));
    assert_eq!((exceeded.len(), lost.len()), (1, 1));
    // Its first poll with records is a moment after its assignment.
    assert!((2_000.0..2_200.0).contains(&(exceeded[0].time - first)), "{} after {first}", exceeded[0].time);
    assert!((3_000.0..3_200.0).contains(&(lost[0].time - first)), "its heart has stopped, and the application is not through before");
    let left: Vec<&EventView> = events.iter().filter(|event| event.kind == "memberLeft").collect();
    assert!(
        left.len() == 1 && (0.0..50.0).contains(&(left[0].time - exceeded[0].time)),
        "at once, not at the end of its session: {left:?}"
    );
    assert_eq!(cluster.committed("readers", "orders", 0), None, "a member that has left commits nothing");
    // It works through what it has polled, and then begins again.
    let delivered = offsets(&events, "slow");
    assert_eq!(delivered[..30], (0..30).collect::<Vec<i64>>());
    assert_eq!(delivered[30..33], [0, 1, 2]);
}

#[test]
fn what_it_had_is_delivered_to_another_meanwhile() {
    let mut cluster = slow_reader(40);
    cluster.advance(1_000.0);
    let events = cluster.events_after(|cluster| {
        let configs = json!({ "auto.offset.reset": "earliest" });
        cluster.apply(json!({ "type": "addConsumer", "id": "quick", "group": "readers", "topics": ["orders"], "configs": configs }));
        cluster.advance(2_900.0);
    });
    assert_eq!(of_node(&events, "pollIntervalExceeded", "slow").len(), 1);
    assert_eq!(offsets(&events, "quick").first(), Some(&0), "from the start, for nothing was committed");
    assert!(offsets(&events, "slow").contains(&35), "beside the one that still works on them");
    assert_eq!(cluster.shares("readers"), [1]);
}

#[test]
fn a_static_member_stops_its_heart_and_stays_until_its_session_ends() {
    // KIP-345: it sends no LeaveGroup.
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    for number in 0..200 {
        cluster.send("orders", Some("key"), &format!("value {number}"));
    }
    cluster.advance(1_000.0);
    let configs = json!({ "auto.offset.reset": "earliest", "max.poll.interval.ms": "2000", "group.instance.id": "instance", "session.timeout.ms": "8000" });
    cluster.apply(
        json!({ "type": "addConsumer", "id": "slow", "group": "readers", "topics": ["orders"], "processingMs": 100, "configs": configs }),
    );
    let events = cluster.events_after(|cluster| cluster.advance(14_000.0));
    let exceeded = of_node(&events, "pollIntervalExceeded", "slow")[0].time;
    let left: Vec<&EventView> = events.iter().filter(|event| event.kind == "memberLeft").collect();
    assert_eq!(left.len(), 1);
    // The last heartbeat was up to three seconds before.
    assert!((5_000.0..8_050.0).contains(&(left[0].time - exceeded)), "{} after {exceeded}", left[0].time);
}
