#![cfg(not(target_arch = "wasm32"))]
//! A consumer's position is checked with each new leader before it reads on (KIP-320): what was cut off is noticed, not read over.

mod cluster;

use brokerlab::view::EventView;
use cluster::Cluster;
use serde_json::json;

/// A reader by hand, and a topic of one partition.
fn reading(replicas: i16, reset: &str) -> Cluster {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, replicas);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "linger.ms": "0" } }));
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "partitions": [{ "topic": "orders", "partition": 0 }],
        "configs": { "auto.offset.reset": "earliest" } }));
    cluster.advance(1_000.0);
    if reset != "earliest" {
        // It begins where a group would, and has no rule for later.
        cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
        cluster.apply(json!({ "type": "addConsumer", "id": "reader", "partitions": [{ "topic": "orders", "partition": 0 }],
            "configs": { "auto.offset.reset": reset } }));
        cluster.apply(json!({ "type": "seek", "consumer": "reader", "topic": "orders", "partition": 0, "to": 0 }));
        cluster.advance(1_000.0);
    }
    cluster
}

fn send(cluster: &mut Cluster, count: usize) {
    for _ in 0..count {
        cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": 0, "value": "v" }));
    }
    cluster.advance(1_000.0);
}

fn consumed(cluster: &Cluster) -> u64 {
    cluster.view().consumers.iter().find(|reader| reader.id == "reader").expect("the reader").consumed
}

fn sent_by_reader<'a>(events: &'a [EventView], api: &str) -> Vec<&'a EventView> {
    events.iter().filter(|event| event.kind == "requestSent" && event.node == "reader" && event.detail["api"] == api).collect()
}

/// Five records are on disk and five are not when the power goes; eight others follow. The reader has read ten and stands still meanwhile.
fn truncated(reset: &str) -> (Cluster, Vec<EventView>) {
    let mut cluster = reading(1, reset);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    send(&mut cluster, 5);
    cluster.advance(40_000.0);
    send(&mut cluster, 5);
    assert_eq!(consumed(&cluster), 10);
    cluster.apply(json!({ "type": "pauseConsumer", "id": "reader" }));
    cluster.apply(json!({ "type": "powerLoss", "broker": leader }));
    cluster.apply(json!({ "type": "restartBroker", "broker": leader }));
    cluster.advance(15_000.0);
    assert_eq!(cluster.partition("orders", 0).replicas[0].log_end_offset, 5);
    send(&mut cluster, 8);
    assert_eq!(cluster.partition("orders", 0).replicas[0].log_end_offset, 13);
    cluster.apply(json!({ "type": "resumeConsumer", "id": "reader" }));
    let seen = cluster.events_after(|cluster| cluster.advance(10_000.0));
    (cluster, seen)
}

#[test]
fn a_reader_whose_log_was_cut_goes_on_where_the_logs_part() {
    let (cluster, seen) = truncated("earliest");
    // Without the question it would read on at 10, and miss five records of the new epoch.
    assert_eq!(consumed(&cluster), 18);
    assert_eq!(cluster.position("reader", "orders", 0), Some(13));
    let reset: Vec<i64> =
        seen.iter().filter(|event| event.kind == "offsetReset").filter_map(|event| event.detail["offset"].as_i64()).collect();
    let reset_before =
        cluster.session.trace().since(0).any(|(_, note)| matches!(&note.kind, brokerlab::node::NoteKind::OffsetReset { offset: 5, .. }));
    assert!(reset.contains(&5) || reset_before);
}

#[test]
fn without_a_rule_for_it_the_application_is_told_that_the_log_was_cut() {
    let (cluster, _) = truncated("none");
    assert_eq!(consumed(&cluster), 10, "it reads nothing until the application has decided");
    let told = cluster.session.trace().since(0).any(|(_, note)| {
        matches!(&note.kind, brokerlab::node::NoteKind::RecordFailed { records: 0, error, .. } if error.name() == "OFFSET_OUT_OF_RANGE")
    });
    assert!(told);
    assert_eq!(cluster.position("reader", "orders", 0), None);
}

#[test]
fn after_a_leader_change_the_position_is_checked_once_and_then_read_from() {
    let mut cluster = reading(3, "earliest");
    send(&mut cluster, 4);
    let old = cluster.partition("orders", 0).leader.expect("a leader");
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "crashBroker", "broker": old }));
        cluster.advance(20_000.0);
        send(cluster, 3);
        cluster.advance(2_000.0);
    });
    let new = cluster.partition("orders", 0).leader.expect("a leader");
    assert_ne!(new, old);
    assert_eq!(consumed(&cluster), 7);
    let asked = sent_by_reader(&seen, "OffsetForLeaderEpoch");
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].detail["to"], format!("broker-{new}"));
    let to_new = |event: &&&EventView| event.detail["to"] == format!("broker-{new}");
    let fetches = sent_by_reader(&seen, "Fetch");
    let first = fetches.iter().find(to_new).expect("it reads from the new leader");
    assert!(asked[0].index < first.index, "nothing is read before the position is checked");
    assert!(!seen.iter().any(|event| event.kind == "offsetReset"));
}

#[test]
fn a_question_without_an_answer_is_asked_again() {
    let mut cluster = reading(3, "earliest");
    send(&mut cluster, 4);
    let old = cluster.partition("orders", 0).leader.expect("a leader");
    cluster.apply(json!({ "type": "dropNext", "api": "OffsetForLeaderEpoch", "what": "response" }));
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "crashBroker", "broker": old }));
        cluster.advance(20_000.0);
        send(cluster, 3);
        assert_eq!(consumed(cluster), 4);
        // request.timeout.ms
        cluster.advance(30_000.0);
    });
    assert_eq!(sent_by_reader(&seen, "OffsetForLeaderEpoch").len(), 2);
    assert_eq!(consumed(&cluster), 7);
}

#[test]
fn a_committed_offset_is_checked_before_the_first_record_is_read() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "linger.ms": "0" } }));
    cluster.consumer("first", "g");
    cluster.advance(5_000.0);
    send(&mut cluster, 4);
    cluster.advance(6_000.0);
    assert_eq!(cluster.committed("g", "orders", 0), Some(4));
    cluster.apply(json!({ "type": "removeConsumer", "id": "first" }));
    let seen = cluster.events_after(|cluster| {
        cluster.consumer("reader", "g");
        cluster.advance(5_000.0);
    });
    let (asked, fetched) = (sent_by_reader(&seen, "OffsetForLeaderEpoch"), sent_by_reader(&seen, "Fetch"));
    assert_eq!(asked.len(), 1);
    assert!(asked[0].index < fetched[0].index);
    send(&mut cluster, 2);
    assert_eq!(consumed(&cluster), 2);
}
