#![cfg(not(target_arch = "wasm32"))]
//! Applications that consume, transform and produce: at least once, or with transactions exactly once (KIP-98, KIP-447).

mod cluster;

use brokerlab::view::{self, Isolation, MessageQuery};
use cluster::Cluster;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A topic that gets 100 records a second, and another to write to.
fn cluster() -> Cluster {
    let mut cluster = Cluster::of_brokers(3).topic("in", 2, 3).topic("out", 2, 3);
    cluster.apply(
        json!({ "type": "addProducer", "id": "source", "topic": "in", "recordsPerSecond": 100, "keys": ["a", "b", "c"], "value": "{seq}" }),
    );
    cluster
}

fn add(cluster: &mut Cluster, id: &str, more: Value) {
    let mut configs = json!({ "auto.offset.reset": "earliest", "linger.ms": "5" });
    if more.get("group.protocol").is_none() {
        (configs["session.timeout.ms"], configs["heartbeat.interval.ms"]) = (json!("6000"), json!("1000"));
    }
    more.as_object().expect("settings").iter().for_each(|(name, value)| configs[name] = value.clone());
    let processor = json!({ "type": "addProcessor", "id": id, "group": "copiers", "topics": ["in"], "topic": "out", "value": "{key}={value}", "processingMs": 2, "configs": configs });
    cluster.apply(processor);
}

/// How often each value can be read with read_committed.
fn values(cluster: &Cluster, topic: &str) -> BTreeMap<String, u32> {
    let mut counted = BTreeMap::new();
    for partition in 0..2 {
        let query = MessageQuery {
            topic: topic.to_owned(),
            partition,
            offset: None,
            max: Some(1_000_000),
            isolation: Some(Isolation::ReadCommitted),
        };
        for message in view::messages(&cluster.session, &query).expect("a partition") {
            *counted.entry(message.value.expect("a value").to_string()).or_default() += 1;
        }
    }
    counted
}

/// Ends the source, and waits until everything is copied.
fn comes_to_rest(cluster: &mut Cluster) {
    cluster.apply(json!({ "type": "removeProducer", "id": "source" }));
    cluster.advance(40_000.0);
    let written: BTreeMap<String, u32> = values(cluster, "out").into_keys().map(|value| (value[2..].to_owned(), 1)).collect();
    assert_eq!(written, values(cluster, "in"), "everything is copied, and nothing else");
}

fn events(cluster: &Cluster, kind: &str) -> usize {
    view::events(&cluster.session, 0, usize::MAX).into_iter().filter(|event| event.kind == kind).count()
}

#[test]
fn a_crash_repeats_records_unless_they_are_in_transactions() {
    for (more, repeats) in [(json!({}), true), (json!({ "transactional.id": "copier" }), false)] {
        let mut cluster = cluster();
        add(&mut cluster, "copier", more.clone());
        cluster.advance(9_000.0);
        for _ in 0..3 {
            cluster.apply(json!({ "type": "crashConsumer", "id": "copier" }));
            cluster.advance(3_000.0);
            add(&mut cluster, "copier", more.clone());
            cluster.advance(9_300.0);
        }
        comes_to_rest(&mut cluster);
        let twice = values(&cluster, "out").values().filter(|count| **count != 1).count();
        assert_eq!(0 < twice, repeats, "{twice} records are there twice, {more}");
    }
}

#[test]
fn members_that_come_and_go_copy_each_record_once() {
    for protocol in [json!({}), json!({ "group.protocol": "consumer" })] {
        let mut cluster = cluster();
        let member = |cluster: &mut Cluster, id: &str| {
            let mut more = protocol.clone();
            more["transactional.id"] = json!(id);
            add(cluster, id, more);
            cluster.advance(7_500.0);
        };
        member(&mut cluster, "one");
        member(&mut cluster, "two");
        cluster.apply(json!({ "type": "removeConsumer", "id": "one" }));
        cluster.advance(5_000.0);
        member(&mut cluster, "three");
        cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
        cluster.advance(20_000.0);
        cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
        comes_to_rest(&mut cluster);
        assert!(values(&cluster, "out").values().all(|count| *count == 1), "{protocol}");
    }
}

#[test]
fn who_is_no_member_any_more_aborts_and_reads_again() {
    let mut cluster = cluster();
    cluster.advance(20_000.0);
    // Two seconds are not enough for 500 records of 20 ms.
    let configs =
        json!({ "auto.offset.reset": "earliest", "transactional.id": "slow", "max.poll.interval.ms": "2000", "max.poll.records": "150" });
    let slow = json!({ "type": "addProcessor", "id": "slow", "group": "copiers", "topics": ["in"], "topic": "out", "processingMs": 20, "configs": configs });
    cluster.apply(slow);
    cluster.advance(12_000.0);
    assert!(0 < events(&cluster, "wentBack"));
    assert!(values(&cluster, "out").is_empty(), "nothing of it is committed");
}

#[test]
fn another_of_the_same_transactional_id_is_the_end_of_the_first() {
    let mut cluster = cluster();
    add(&mut cluster, "one", json!({ "transactional.id": "copier" }));
    cluster.advance(8_000.0);
    add(&mut cluster, "two", json!({ "transactional.id": "copier" }));
    cluster.advance(12_000.0);
    let view = cluster.view();
    let names = |ids: Vec<&String>| ids.into_iter().map(String::as_str).filter(|id| *id != "source").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(view.consumers.iter().map(|one| &one.id).collect()), ["two"]);
    assert_eq!(names(view.producers.iter().map(|one| &one.id).collect()), ["two-producer"]);
    comes_to_rest(&mut cluster);
    assert!(values(&cluster, "out").values().all(|count| *count == 1));
}

#[test]
fn what_cannot_be_a_processor_is_refused_and_changes_nothing() {
    let mut cluster = cluster();
    let refused = |cluster: &mut Cluster, field: &str, value: Value| {
        let mut command = json!({ "type": "addProcessor", "id": "copier", "group": "g", "topics": ["in"], "topic": "out" });
        command[field] = value;
        let before = cluster.session.trace_hash();
        let told = cluster.refused(command);
        assert_eq!(cluster.session.trace_hash(), before);
        (told.code, told.field.unwrap_or_default())
    };
    for (field, value, code, at) in [
        ("id", json!("source"), "INVALID_ARGUMENT", "id"),
        ("id", json!(""), "INVALID_ARGUMENT", "id"),
        ("topic", json!("a/b"), "INVALID_TOPIC_EXCEPTION", "topic"),
        ("topics", json!([]), "INVALID_ARGUMENT", "topics"),
        ("group", json!(""), "INVALID_GROUP_ID", "group"),
        ("processingMs", json!(-1), "INVALID_ARGUMENT", "processingMs"),
        ("configs", json!({ "acks": "2" }), "INVALID_CONFIG", "configs.acks"),
        ("configs", json!({ "max.poll.records": "0" }), "INVALID_CONFIG", "configs.max.poll.records"),
    ] {
        assert_eq!(refused(&mut cluster, field, value), (code.to_owned(), at.to_owned()), "{field}");
    }
    add(&mut cluster, "copier", json!({ "transactional.id": "t" }));
    for kind in ["beginTransaction", "commitTransaction", "abortTransaction"] {
        let told = cluster.refused(json!({ "type": kind, "producer": "copier-producer" }));
        assert_eq!(told.field.as_deref(), Some("producer"));
    }
    assert_eq!(cluster.refused(json!({ "type": "removeProducer", "id": "copier-producer" })).field.as_deref(), Some("id"));
    cluster.apply(json!({ "type": "removeConsumer", "id": "copier" }));
    cluster.advance(2_000.0);
    assert_eq!((cluster.view().consumers.len(), cluster.view().producers.len()), (0, 1), "both are gone");
}
