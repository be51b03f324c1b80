#![cfg(not(target_arch = "wasm32"))]
//! Records that are old or too many go, on every replica; who stood below is told so and goes on where the log starts.

mod cluster;

use brokerlab::view::{EventView, ReplicaView};
use cluster::Cluster;
use serde_json::{Value, json};

/// A cluster that looks for old segments every second, with a topic that is to lose some.
fn cluster(configs: Value) -> Cluster {
    let mut cluster = Cluster::configured(3, json!({ "log.initial.task.delay.ms": "1000", "log.retention.check.interval.ms": "1000" }));
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3, "configs": configs }));
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "acks": "all", "linger.ms": "0" } }));
    cluster.advance(200.0);
    cluster
}

fn replicas(cluster: &Cluster) -> Vec<ReplicaView> {
    cluster.partition("orders", 0).replicas
}

fn starts(cluster: &Cluster) -> Vec<i64> {
    replicas(cluster).iter().map(|replica| replica.log_start_offset).collect()
}

fn of_kind(events: &[EventView], kind: &str) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}

#[test]
fn old_records_go_on_every_replica_and_the_active_segment_goes_too() {
    let mut cluster = cluster(json!({ "retention.ms": "5000", "internal.segment.bytes": "200" }));
    cluster.send_numbered("p", "orders", 0..10);
    assert_eq!(starts(&cluster), [0, 0, 0]);
    let seen = cluster.events_after(|cluster| cluster.advance(10_000.0));
    assert_eq!(starts(&cluster), [10, 10, 10]);
    assert!(3 <= of_kind(&seen, "segmentsDeleted") && 3 <= of_kind(&seen, "logStartMoved"));
    assert_eq!(cluster.values("orders", 0), [""; 0]);
    cluster.send_numbered("p", "orders", 10..11);
    cluster.advance(1_000.0);
    assert_eq!(cluster.values("orders", 0), ["value 10"]);
    cluster.assert_replicas_equal("orders");
}

#[test]
fn too_many_records_go_oldest_first() {
    let mut cluster = cluster(json!({ "retention.bytes": "400", "internal.segment.bytes": "200" }));
    cluster.send_numbered("p", "orders", 0..20);
    cluster.advance(3_000.0);
    let start = starts(&cluster)[0];
    assert!(0 < start && start < 20, "{start}");
    assert_eq!(starts(&cluster), [start; 3]);
    let left: Vec<String> = (start..20).map(|value| format!("value {value}")).collect();
    assert_eq!(cluster.values("orders", 0), left, "the newest stay");
}

#[test]
fn nothing_goes_that_is_not_replicated() {
    let mut cluster = cluster(json!({ "retention.bytes": "0", "internal.segment.bytes": "200", "min.insync.replicas": "3" }));
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let followers: Vec<i32> = replicas(&cluster).iter().map(|replica| replica.broker).filter(|broker| *broker != leader).collect();
    for follower in &followers {
        let link = json!({ "type": "setLink", "from": format!("broker-{follower}"), "to": format!("broker-{leader}"), "cut": true });
        cluster.apply(link);
    }
    cluster.send_numbered("p", "orders", 0..10);
    cluster.advance(4_000.0);
    let own = replicas(&cluster).into_iter().find(|replica| replica.broker == leader).expect("the leader's replica");
    assert!(own.high_watermark < own.log_end_offset, "the followers have not all of it");
    assert!(own.log_start_offset <= own.high_watermark, "{} is above {}", own.log_start_offset, own.high_watermark);
}

#[test]
fn a_consumer_below_the_log_start_begins_anew_where_its_policy_says() {
    for (policy, next) in [("earliest", 20), ("latest", 21)] {
        let mut cluster = cluster(json!({ "retention.ms": "5000", "internal.segment.bytes": "200" }));
        cluster.send_numbered("p", "orders", 0..10);
        let configs = json!({ "auto.offset.reset": policy });
        cluster.apply(json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "configs": configs }));
        cluster.advance(8_000.0);
        assert_eq!(cluster.position("c", "orders", 0), Some(10), "{policy}");
        cluster.apply(json!({ "type": "pauseConsumer", "id": "c" }));
        cluster.send_numbered("p", "orders", 10..20);
        cluster.advance(10_000.0);
        cluster.send_numbered("p", "orders", 20..21);
        assert_eq!(starts(&cluster), [20, 20, 20]);
        let seen = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "resumeConsumer", "id": "c" }));
            cluster.advance(3_000.0);
        });
        let refused = seen.iter().any(|event| event.kind == "responseSent" && event.text.contains("OFFSET_OUT_OF_RANGE"));
        let resets: Vec<_> = seen.iter().filter(|event| event.kind == "offsetReset").map(|event| event.detail["offset"].clone()).collect();
        assert_eq!((resets, refused), (vec![json!(next)], true), "{policy}");
        assert_eq!(cluster.position("c", "orders", 0), Some(21), "{policy}");
    }
}

#[test]
fn a_follower_whose_log_ends_below_the_leaders_start_begins_there() {
    let mut cluster = cluster(json!({ "retention.ms": "5000", "internal.segment.bytes": "200" }));
    cluster.send_numbered("p", "orders", 0..4);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let away = replicas(&cluster).iter().map(|replica| replica.broker).find(|broker| *broker != leader).expect("a follower");
    cluster.apply(json!({ "type": "crashBroker", "broker": away }));
    cluster.advance(15_000.0);
    cluster.send_numbered("p", "orders", 4..12);
    cluster.advance(12_000.0);
    cluster.send_numbered("p", "orders", 12..14);
    // What it has is not old enough for its own retention to take all of it before it hears of the leader.
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "restartBroker", "broker": away }));
        cluster.advance(4_000.0);
    });
    assert_eq!(starts(&cluster), [12, 12, 12]);
    assert!(seen.iter().any(|event| event.kind == "logStartMoved" && event.detail["to"] == 12));
    cluster.assert_replicas_equal("orders");
    assert_eq!(cluster.values("orders", 0), ["value 12", "value 13"]);
}

#[test]
fn a_follower_whose_clock_is_behind_starts_where_its_leader_does() {
    let mut cluster = cluster(json!({ "retention.ms": "5000", "internal.segment.bytes": "200" }));
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let late = replicas(&cluster).iter().map(|replica| replica.broker).find(|broker| *broker != leader).expect("a follower");
    // By its own clock nothing is old yet.
    cluster.apply(json!({ "type": "skewClock", "broker": late, "ms": -3_600_000 }));
    cluster.send_numbered("p", "orders", 0..10);
    let seen = cluster.events_after(|cluster| cluster.advance(10_000.0));
    assert_eq!(starts(&cluster), [10, 10, 10]);
    let of_late = |kind: &str| seen.iter().filter(|event| event.kind == kind && event.node == format!("broker-{late}")).collect::<Vec<_>>();
    assert!(!of_late("logStartMoved").is_empty());
    let reasons = of_late("segmentsDeleted");
    assert!(reasons.iter().all(|event| event.text.ends_with("below the log start offset")), "{reasons:?}");
}

/// Found by the simulator (seeds 18 and 33 of their time): the consumer began anew while its application still had the records before.
#[test]
fn a_consumer_begins_anew_with_its_next_poll_and_not_while_it_is_at_work() {
    let mut cluster = cluster(json!({ "retention.ms": "5000", "internal.segment.bytes": "320" }));
    cluster.send_numbered("p", "orders", 0..4);
    let configs = json!({ "auto.offset.reset": "earliest", "max.poll.records": "4" });
    cluster
        .apply(json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "processingMs": 20_000, "configs": configs }));
    cluster.advance(22_000.0);
    assert_eq!(cluster.position("c", "orders", 0), Some(4), "polled, and at work");
    let seen = cluster.events_after(|cluster| {
        // What comes next has come and gone before it can fetch again, and then it is still at work.
        cluster.apply(json!({ "type": "setLink", "from": "*", "to": "c", "cut": true }));
        cluster.send_numbered("p", "orders", 4..8);
        cluster.advance(8_000.0);
        cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
        // A fetch whose answer was lost is given up after request.timeout.ms, half a minute.
        cluster.advance(90_000.0);
    });
    let times = |kind: &str| seen.iter().filter(|event| event.kind == kind).map(|event| event.time).collect::<Vec<_>>();
    let (resets, delivered) = (times("offsetReset"), times("recordDelivered"));
    assert_eq!((resets.len(), delivered.len()), (1, 3));
    assert!(delivered[2] <= resets[0], "{resets:?} {delivered:?}");
    assert_eq!(cluster.position("c", "orders", 0), Some(8));
}
