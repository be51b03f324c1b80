#![cfg(not(target_arch = "wasm32"))]
//! Calls that block an application: `flush` of a producer, `commitSync` of a consumer with `default.api.timeout.ms`.

mod cluster;

use cluster::Cluster;
use serde_json::json;

fn lingering() -> Cluster {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "configs": { "linger.ms": "60000", "delivery.timeout.ms": "120000" } }));
    for value in ["a", "b"] {
        cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "value": value }));
    }
    cluster.advance(5_000.0);
    assert!(cluster.values("orders", 0).is_empty(), "it waits for more");
    cluster
}

#[test]
fn a_flush_sends_what_is_buffered_and_what_comes_later_lingers_again() {
    let mut cluster = lingering();
    cluster.apply(json!({ "type": "flush", "producer": "shop" }));
    cluster.advance(500.0);
    assert_eq!(cluster.values("orders", 0), ["a", "b"]);
    assert_eq!(cluster.view().producers[0].acknowledged, 2);
    cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "value": "c" }));
    cluster.advance(50_000.0);
    assert_eq!(cluster.values("orders", 0), ["a", "b"]);
    cluster.advance(11_000.0);
    assert_eq!(cluster.values("orders", 0), ["a", "b", "c"]);
    assert_eq!(cluster.refused(json!({ "type": "flush", "producer": "nobody" })).field.as_deref(), Some("producer"));
}

#[test]
fn while_a_flush_waits_for_its_answers_the_application_makes_no_records() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(
        json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 100, "configs": { "linger.ms": "1000" } }),
    );
    cluster.advance(1_500.0);
    cluster.apply(json!({ "type": "freezeBroker", "broker": 1, "ms": 3_000 }));
    cluster.apply(json!({ "type": "flush", "producer": "shop" }));
    let sent = cluster.view().producers[0].sent;
    cluster.advance(2_900.0);
    assert_eq!(cluster.view().producers[0].sent, sent);
    cluster.advance(1_200.0);
    let after = cluster.view().producers[0].clone();
    assert!(sent + 80 < after.sent && 0 < after.buffered, "it goes on, and lingers: {after:?}");
}

/// A consumer that commits by hand, with one record read.
fn reader(timeout: &str) -> Cluster {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.send("orders", None, "a");
    let configs = json!({ "auto.offset.reset": "earliest", "enable.auto.commit": "false", "default.api.timeout.ms": timeout, "session.timeout.ms": "45000" });
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": configs }));
    cluster.advance(5_000.0);
    assert_eq!(cluster.position("reader", "orders", 0), Some(1));
    cluster
}

#[test]
fn a_commit_is_tried_until_the_coordinator_is_back() {
    let mut cluster = reader("60000");
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "commit", "consumer": "reader" }));
    cluster.advance(5_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
    cluster.advance(25_000.0);
    assert_eq!(cluster.committed("g", "orders", 0), Some(1));
}

#[test]
fn a_commit_fails_when_default_api_timeout_ms_is_over() {
    let mut cluster = reader("3000");
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    cluster.advance(1_000.0);
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "commit", "consumer": "reader" }));
        cluster.advance(5_000.0);
    });
    let failed: Vec<_> = events.iter().filter(|event| event.kind == "commitFailed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].node.as_str(), failed[0].error), ("reader", Some("REQUEST_TIMED_OUT")));
    let asked = events.iter().find(|event| event.kind == "commandApplied").expect("the command").time;
    assert!((3_000.0..3_100.0).contains(&(failed[0].time - asked)), "{failed:?}");
    cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
    cluster.advance(25_000.0);
    assert_eq!(cluster.committed("g", "orders", 0), None, "nobody tries any more");
}

#[test]
fn commits_return_one_after_the_other() {
    let mut cluster = reader("60000");
    for offset in [7, 5] {
        cluster
            .apply(json!({ "type": "commit", "consumer": "reader", "offsets": [{ "topic": "orders", "partition": 0, "offset": offset }] }));
    }
    cluster.advance(1_000.0);
    assert_eq!(cluster.committed("g", "orders", 0), Some(5), "the one that came last counts");
}

#[test]
fn while_a_commit_waits_the_application_polls_nothing() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 10 }));
    let configs = json!({ "auto.offset.reset": "earliest", "enable.auto.commit": "false", "default.api.timeout.ms": "4000" });
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": configs }));
    cluster.advance(5_000.0);
    let coordinator = cluster.group("g").coordinator.expect("a coordinator");
    // The partition is led, and read, on elsewhere.
    if cluster.leader("orders", 0) == coordinator {
        let other = coordinator % 3 + 1;
        let mut replicas = vec![other];
        replicas.extend((1..=3).filter(|broker| *broker != other));
        cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": replicas }));
        cluster.advance(1_000.0);
        cluster.apply(json!({ "type": "electLeader", "topic": "orders", "partition": 0 }));
        cluster.advance(1_000.0);
    }
    let consumed = |cluster: &Cluster| cluster.view().consumers[0].consumed;
    cluster.apply(json!({ "type": "setLink", "from": "reader", "to": format!("broker-{coordinator}"), "cut": true }));
    cluster.advance(500.0);
    let before = consumed(&cluster);
    cluster.advance(1_000.0);
    assert!(before + 5 < consumed(&cluster), "it reads on without its coordinator");
    cluster.apply(json!({ "type": "commit", "consumer": "reader" }));
    let before = consumed(&cluster);
    cluster.advance(3_900.0);
    assert_eq!(consumed(&cluster), before, "commitSync has not returned");
    cluster.advance(1_000.0);
    assert!(before + 30 < consumed(&cluster), "it has failed, and the application polls again");
}

#[test]
fn a_member_that_its_group_has_gone_on_without_hears_so_from_its_commit() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 2, 1);
    for (id, beats) in [("first", "40000"), ("second", "500")] {
        let configs = json!({ "heartbeat.interval.ms": beats, "max.poll.interval.ms": "3000", "auto.commit.interval.ms": "1000" });
        cluster.apply(json!({ "type": "addConsumer", "id": id, "group": "g", "topics": ["orders"], "configs": configs }));
        cluster.advance(2_000.0);
    }
    assert_eq!(cluster.group("g").state, "PreparingRebalance", "the second waits for the first, which has not heard of it");
    // The rebalance ends without the first, whose next heartbeat is far; its next commit is not.
    cluster.advance(6_000.0);
    assert_eq!(cluster.owned("g").iter().map(|(_, own)| own.len()).collect::<Vec<_>>(), [1, 1]);
}

/// What the application's commit fails with, and how many commits its consumer has asked for meanwhile.
fn failed_commit(cluster: &mut Cluster, consumer: &str) -> (Vec<Option<&'static str>>, usize) {
    let events = cluster.events_after(|cluster| {
        let offsets = json!([{ "topic": "orders", "partition": 0, "offset": 1 }]);
        cluster.apply(json!({ "type": "commit", "consumer": consumer, "offsets": offsets }));
        cluster.advance(100.0);
    });
    let of_consumer = |kind: &'static str| events.iter().filter(move |event| event.kind == kind && event.node == consumer);
    let asked = of_consumer("requestSent").filter(|event| event.text.contains("OffsetCommit")).count();
    (of_consumer("commitFailed").map(|event| event.error).collect(), asked)
}

/// `ConsumerCoordinator.sendOffsetCommitRequest`: RebalanceInProgressException, and CommitFailedException for who is no member.
#[test]
fn who_takes_part_in_no_generation_commits_nothing() {
    let configs = json!({ "group.initial.rebalance.delay.ms": "3000" });
    let mut cluster = Cluster::configured(1, configs).topic("orders", 1, 1);
    cluster.consumer("early", "g");
    cluster.advance(1_500.0);
    assert_eq!(failed_commit(&mut cluster, "early"), (vec![Some("REBALANCE_IN_PROGRESS")], 0), "it waits for the answer to JoinGroup");

    (0..50).for_each(|_| cluster.send("orders", None, "v"));
    cluster.advance(1_000.0);
    let configs = json!({ "auto.offset.reset": "earliest", "max.poll.interval.ms": "2000" });
    cluster
        .apply(json!({ "type": "addConsumer", "id": "late", "group": "h", "topics": ["orders"], "processingMs": 100, "configs": configs }));
    let events = cluster.events_after(|cluster| cluster.advance(6_000.0));
    assert!(events.iter().any(|event| event.kind == "pollIntervalExceeded"));
    let (failed, asked) = failed_commit(&mut cluster, "late");
    assert_eq!((failed, asked, cluster.committed("h", "orders", 0)), (vec![Some("UNKNOWN_MEMBER_ID")], 0, None));
}

#[test]
fn an_auto_commit_that_is_lost_is_tried_again_after_retry_backoff_ms() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.send("orders", None, "a");
    let configs = json!({ "auto.offset.reset": "earliest", "auto.commit.interval.ms": "20000", "request.timeout.ms": "2000" });
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": configs }));
    let events = cluster.events_after(|cluster| cluster.advance(10_000.0));
    let joined = events.iter().find(|event| event.kind == "assignmentReceived").expect("an assignment").time;
    let due = joined - events[0].time + 20_000.0;
    cluster.advance(due - 10_000.0 - 100.0);
    cluster.apply(json!({ "type": "setLink", "from": "reader", "to": "broker-1", "cut": true }));
    cluster.advance(2_600.0);
    cluster.apply(json!({ "type": "setLink", "from": "reader", "to": "broker-1", "cut": false }));
    assert_eq!(cluster.committed("g", "orders", 0), None);
    cluster.advance(5_000.0);
    assert_eq!(cluster.committed("g", "orders", 0), Some(1));
}

/// It takes part until it asks to join again, which it does when its application polls.
#[test]
fn a_member_that_has_heard_of_a_rebalance_commits_when_it_closes() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    (0..100).for_each(|_| cluster.send("orders", None, "v"));
    cluster.advance(1_000.0);
    let configs = json!({ "auto.offset.reset": "earliest", "max.poll.records": "80", "auto.commit.interval.ms": "60000", "heartbeat.interval.ms": "500" });
    cluster.apply(
        json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "processingMs": 100, "configs": configs }),
    );
    cluster.advance(5_000.0);
    cluster.consumer("other", "g");
    cluster.advance(2_000.0);
    assert_eq!((cluster.group("g").state.as_str(), cluster.committed("g", "orders", 0)), ("PreparingRebalance", None));
    cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
    cluster.advance(500.0);
    assert_eq!(cluster.committed("g", "orders", 0), Some(80));
}
