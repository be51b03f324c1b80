#![cfg(not(target_arch = "wasm32"))]
//! DeleteRecords: an admin lets go what lies before an offset, on every replica.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::wire::{self, Request, Response};
use brokerlab::view::EventView;
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::sync::Arc;

fn delete(before: i64) -> Value {
    json!({ "type": "deleteRecords", "topic": "orders", "partition": 0, "beforeOffset": before })
}

/// `orders` with so many records, each a batch of its own, on as many brokers as there are.
fn filled(cluster: Cluster, brokers: i16, records: usize) -> Cluster {
    let mut cluster = cluster.topic("orders", 1, brokers);
    for number in 0..records {
        cluster.send("orders", Some("k"), &format!("record {number}"));
        cluster.advance(50.0);
    }
    cluster.advance(1_000.0);
    cluster
}

/// Where the log of each replica starts, by broker.
fn starts(cluster: &Cluster) -> Vec<i64> {
    let mut replicas = cluster.partition("orders", 0).replicas;
    replicas.sort_by_key(|replica| replica.broker);
    replicas.into_iter().map(|replica| replica.log_start_offset).collect()
}

fn follower(cluster: &Cluster) -> i32 {
    cluster.leader("orders", 0) % 3 + 1
}

/// The answers that the person at the page gets: when, and with which error.
fn answers(events: &[EventView]) -> Vec<(f64, Option<&str>)> {
    let to_user =
        |event: &&EventView| event.kind == "responseSent" && event.detail["api"] == "DeleteRecords" && event.detail["to"] == "user";
    events.iter().filter(to_user).map(|event| (event.time, event.error)).collect()
}

fn reached(events: &[EventView]) -> Vec<Value> {
    events.iter().filter(|event| event.kind == "lowWatermarkReached").map(|event| event.detail["offset"].clone()).collect()
}

#[test]
fn records_before_the_offset_are_gone_on_every_replica_and_the_rest_is_there() {
    let mut cluster = filled(Cluster::of_brokers(3), 3, 10);
    let at = cluster.session.time_ms();
    let events = cluster.events_after(|cluster| {
        cluster.apply(delete(4));
        let leader = cluster.leader("orders", 0);
        for (start, broker) in starts(cluster).into_iter().zip(1..) {
            assert_eq!(start, if broker == leader { 4 } else { 0 }, "followers hear of it with their fetches");
        }
        cluster.advance(1_000.0);
    });
    assert_eq!(starts(&cluster), [4, 4, 4]);
    let deleted: Vec<&EventView> = events.iter().filter(|event| event.kind == "recordsDeleted").collect();
    assert_eq!((deleted.len(), &deleted[0].detail["before"], deleted[0].partition), (1, &json!(4), Some(0)));
    assert_eq!(reached(&events), [4]);
    // A fetch that waits is answered after `replica.fetch.wait.max.ms` with the new start, and the next one says that it was taken.
    let answers = answers(&events);
    assert!(matches!(answers[..], [(when, None)] if at < when && when < at + 520.0), "{answers:?} after {at}");
    let kept: Vec<String> = (4..10).map(|number| format!("record {number}")).collect();
    assert_eq!(cluster.values("orders", 0), kept);
    cluster.consumer("reader", "readers");
    let events = cluster.events_after(|cluster| cluster.advance(4_000.0));
    let first = events.iter().find(|event| event.kind == "recordDelivered").expect("records");
    assert_eq!(first.detail["firstOffset"], 4);
    assert_eq!(cluster.position("reader", "orders", 0), Some(10));
}

#[test]
fn the_high_watermark_is_named_minus_one_and_offsets_go_on_behind_it() {
    let mut cluster = filled(Cluster::of_brokers(3), 3, 5);
    cluster.apply(delete(-1));
    cluster.advance(1_000.0);
    assert_eq!((starts(&cluster), cluster.values("orders", 0)), (vec![5, 5, 5], vec![]));
    cluster.send("orders", Some("k"), "next");
    cluster.advance(1_000.0);
    assert_eq!(cluster.acknowledged_offsets("orders").last(), Some(&(0, 5)));
    assert_eq!(cluster.values("orders", 0), ["next"]);
    cluster.assert_replicas_equal("orders");
}

#[test]
fn what_is_gone_already_is_no_error_and_moves_nothing() {
    let mut cluster = filled(Cluster::of_brokers(3), 3, 5);
    cluster.apply(delete(3));
    cluster.advance(1_000.0);
    for before in [3, 2, 0] {
        let events = cluster.events_after(|cluster| {
            cluster.apply(delete(before));
        });
        assert_eq!(answers(&events).iter().map(|answer| answer.1).collect::<Vec<_>>(), [None], "at once");
        assert_eq!((reached(&events), starts(&cluster)), (vec![json!(3)], vec![3, 3, 3]));
        assert!(!events.iter().any(|event| event.kind == "recordsDeleted"));
    }
}

#[test]
fn what_may_not_be_deleted_is_refused_and_nothing_changes() {
    let mut cluster = filled(Cluster::of_brokers(3), 3, 5);
    cluster.consumer("reader", "readers");
    cluster.advance(3_000.0);
    for (name, policy) in [("table", "compact"), ("both", "compact,delete")] {
        cluster.apply(json!({ "type": "createTopic", "name": name, "partitions": 1, "replicationFactor": 3, "configs": { "cleanup.policy": policy } }));
    }
    cluster.advance(500.0);
    let hash = cluster.session.trace_hash();
    let of = |topic: &str, partition: i32, before: i64| json!({ "type": "deleteRecords", "topic": topic, "partition": partition, "beforeOffset": before });
    for (command, code, field) in [
        (of("nothing", 0, 0), "UNKNOWN_TOPIC_OR_PARTITION", "topic"),
        (of("orders", 1, 0), "UNKNOWN_TOPIC_OR_PARTITION", "partition"),
        (of("orders", -1, 0), "UNKNOWN_TOPIC_OR_PARTITION", "partition"),
        (of("orders", 0, 6), "OFFSET_OUT_OF_RANGE", "beforeOffset"),
        (of("orders", 0, i64::MAX), "OFFSET_OUT_OF_RANGE", "beforeOffset"),
        (of("orders", 0, -2), "OFFSET_OUT_OF_RANGE", "beforeOffset"),
        (of("table", 0, 0), "POLICY_VIOLATION", "topic"),
        (of("table", 0, 9), "POLICY_VIOLATION", "topic"),
        (of("__consumer_offsets", 0, 0), "INVALID_TOPIC_EXCEPTION", "topic"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}");
    }
    assert_eq!((cluster.session.trace_hash(), starts(&cluster)), (hash, vec![0, 0, 0]));
    cluster.apply(of("both", 0, 0));
    cluster.apply(delete(5));
}

#[test]
fn nobody_who_leads_nobody_who_deletes() {
    let mut cluster = filled(Cluster::of_brokers(1), 1, 3);
    cluster.apply(json!({ "type": "freezeBroker", "broker": 1, "ms": 100 }));
    assert_eq!(cluster.refused(delete(1)).code, "LEADER_NOT_AVAILABLE");
    cluster.advance(200.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    let refusal = cluster.refused(delete(1));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("LEADER_NOT_AVAILABLE", Some("partition")));
    cluster.advance(12_000.0);
    assert_eq!(cluster.refused(delete(1)).code, "LEADER_NOT_AVAILABLE");
}

#[test]
fn records_above_the_high_watermark_stay() {
    let mut cluster = filled(Cluster::of_brokers(3), 3, 3);
    let leader = cluster.leader("orders", 0);
    for broker in (1..=3).filter(|broker| *broker != leader) {
        let (from, to) = (format!("broker-{broker}"), format!("broker-{leader}"));
        cluster.apply(json!({ "type": "setLink", "from": from, "to": to, "cut": true }));
    }
    cluster.advance(600.0);
    cluster.send("orders", Some("k"), "not replicated");
    cluster.advance(100.0);
    assert_eq!(cluster.refused(delete(4)).code, "OFFSET_OUT_OF_RANGE");
    cluster.apply(delete(-1));
    let partition = cluster.partition("orders", 0);
    let own = partition.replicas.iter().find(|replica| replica.broker == leader).expect("the leader's");
    assert_eq!((own.log_start_offset, own.high_watermark, own.log_end_offset), (3, 3, 4));
}

#[test]
fn a_consumer_below_is_out_of_range_and_goes_where_its_reset_policy_says() {
    for (policy, reset) in [("earliest", Some(6)), ("latest", Some(8)), ("none", None)] {
        let mut cluster = filled(Cluster::of_brokers(3), 3, 8);
        cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "readers", "topics": ["orders"], "configs": { "auto.offset.reset": policy } }));
        cluster.advance(4_000.0);
        cluster.apply(json!({ "type": "pauseConsumer", "id": "reader" }));
        // Without a policy it finds no offset to begin with: the application chooses one.
        cluster.apply(json!({ "type": "seek", "consumer": "reader", "topic": "orders", "partition": 0, "to": 2 }));
        cluster.advance(1_000.0);
        cluster.apply(delete(6));
        cluster.advance(1_000.0);
        let events = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "resumeConsumer", "id": "reader" }));
            cluster.advance(2_000.0);
        });
        let refused = |event: &EventView| event.kind == "responseSent" && event.error == Some("OFFSET_OUT_OF_RANGE");
        assert!(events.iter().any(refused), "{policy}");
        let resets: Vec<i64> =
            events.iter().filter(|event| event.kind == "offsetReset").filter_map(|event| event.detail["offset"].as_i64()).collect();
        assert_eq!(resets, Vec::from_iter(reset), "{policy}");
        let delivered: Vec<&Value> =
            events.iter().filter(|event| event.kind == "recordDelivered").map(|event| &event.detail["firstOffset"]).collect();
        assert!(delivered.iter().all(|first| Some(6) <= first.as_i64()), "{policy}: {delivered:?}");
        let failed = events.iter().any(|event| event.kind == "recordFailed" && event.error == Some("OFFSET_OUT_OF_RANGE"));
        assert_eq!(failed, reset.is_none(), "{policy}");
    }
}

#[test]
fn the_answer_waits_for_live_replicas_until_the_time_is_over() {
    let mut cluster = filled(Cluster::of_brokers(3), 3, 5);
    let (leader, behind) = (cluster.leader("orders", 0), follower(&cluster));
    cluster.apply(json!({ "type": "setLink", "from": format!("broker-{behind}"), "to": format!("broker-{leader}"), "cut": true }));
    let at = cluster.session.time_ms();
    let events = cluster.events_after(|cluster| {
        cluster.apply(delete(2));
        cluster.advance(40_000.0);
    });
    assert_eq!(answers(&events), [(at + 30_000.0, Some("REQUEST_TIMED_OUT"))]);
    assert_eq!(reached(&events), [] as [Value; 0]);
    assert_eq!(starts(&cluster)[leader as usize - 1], 2, "what is deleted stays deleted");
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
    cluster.advance(40_000.0);
    assert_eq!(starts(&cluster), [2, 2, 2]);
}

#[test]
fn a_fenced_replica_is_not_waited_for_and_takes_it_when_it_is_back() {
    let mut cluster = filled(Cluster::of_brokers(3), 3, 5);
    let behind = follower(&cluster);
    cluster.apply(json!({ "type": "crashBroker", "broker": behind }));
    let at = cluster.session.time_ms();
    let events = cluster.events_after(|cluster| {
        cluster.apply(delete(5));
        cluster.advance(12_000.0);
    });
    let answers = answers(&events);
    assert!(matches!(answers[..], [(when, None)] if at + 5_000.0 < when && when < at + 11_000.0), "once it is fenced: {answers:?}");
    cluster.send("orders", Some("k"), "next");
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": behind }));
    cluster.advance(5_000.0);
    assert_eq!(starts(&cluster), [5, 5, 5]);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 3);
    cluster.assert_replicas_equal("orders");
}

#[test]
fn a_new_leader_starts_where_the_old_one_did() {
    let mut cluster = filled(Cluster::of_brokers(3), 3, 6);
    cluster.apply(delete(4));
    cluster.advance(1_000.0);
    let old = cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "crashBroker", "broker": old }));
    cluster.advance(12_000.0);
    assert_ne!(cluster.leader("orders", 0), old);
    assert_eq!(cluster.values("orders", 0), ["record 4", "record 5"]);
    cluster.apply(json!({ "type": "restartBroker", "broker": old }));
    cluster.advance(5_000.0);
    assert_eq!(starts(&cluster), [4, 4, 4], "it takes from its leader what it had not written to disk");
}

#[test]
fn a_log_start_offset_survives_once_it_is_written_to_disk() {
    let start = |ms: f64, end: &str| {
        let mut cluster = filled(Cluster::of_brokers(1), 1, 6);
        cluster.apply(delete(4));
        cluster.advance(ms);
        cluster.apply(json!({ "type": end, "broker": 1 }));
        cluster.advance(20_000.0);
        cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
        cluster.advance(12_000.0);
        assert_eq!(cluster.partition("orders", 0).replicas[0].log_end_offset, 6, "{end} after {ms} ms");
        starts(&cluster)[0]
    };
    assert_eq!(start(100.0, "crashBroker"), 0, "it is written once a minute, and nobody else knows it");
    assert_eq!(start(61_000.0, "crashBroker"), 4);
    assert_eq!(start(61_000.0, "powerLoss"), 4);
    assert_eq!(start(100.0, "stopBroker"), 4, "a process that ends in good order writes it");
}

#[test]
fn a_log_that_lost_all_that_was_to_be_read_begins_where_it_was_to_start() {
    let slow = json!({ "brokerlab.page.cache.expire.ms": "600000", "log.flush.start.offset.checkpoint.interval.ms": "1000", "log.initial.task.delay.ms": "0" });
    let mut cluster = filled(Cluster::configured(1, slow), 1, 6);
    cluster.apply(delete(-1));
    cluster.advance(2_000.0);
    cluster.apply(json!({ "type": "powerLoss", "broker": 1 }));
    cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
    cluster.advance(12_000.0);
    cluster.send("orders", Some("k"), "next");
    cluster.advance(1_000.0);
    assert_eq!(cluster.acknowledged_offsets("orders").last(), Some(&(0, 6)), "no offset is given twice");
    assert_eq!((starts(&cluster), cluster.values("orders", 0)), (vec![6], vec!["next".to_owned()]));
}

#[test]
fn segments_that_lie_below_go_on_every_replica() {
    let mut cluster =
        filled(Cluster::configured(3, json!({ "log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000" })), 3, 0);
    cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "internal.segment.bytes": "200" } }));
    cluster.advance(100.0);
    for number in 0..10 {
        cluster.send("orders", Some("k"), &format!("record {number}"));
        // The producer gets its id first.
        cluster.advance(if number == 0 { 1_000.0 } else { 50.0 });
    }
    let bytes = |cluster: &Cluster| cluster.partition("orders", 0).replicas.iter().map(|replica| replica.bytes).collect::<Vec<_>>();
    let before = bytes(&cluster);
    let events = cluster.events_after(|cluster| {
        cluster.apply(delete(7));
        cluster.advance(3_000.0);
    });
    let gone: Vec<&EventView> = events.iter().filter(|event| event.kind == "segmentsDeleted").collect();
    assert_eq!(gone.len(), 3, "one note for each replica");
    assert!(gone.iter().all(|event| event.text.ends_with("all of it lies below the log start offset")), "{}", gone[0].text);
    assert!(bytes(&cluster).iter().zip(&before).all(|(now, before)| 0 < *now && *now < before / 2));
    assert_eq!((starts(&cluster), cluster.values("orders", 0).len()), (vec![7, 7, 7], 3));
}

#[test]
fn a_log_may_start_within_a_batch_also_where_a_replica_begins_with_it() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 1);
    let lines: Vec<String> = (0..5).map(|number| format!("{{\"n\":{number}}}")).collect();
    cluster.apply(json!({ "type": "import", "topic": "orders", "format": "jsonl", "text": lines.join("\n") }));
    cluster.advance(1_000.0);
    cluster.send("orders", None, "last");
    cluster.advance(500.0);
    cluster.apply(delete(3));
    cluster.advance(500.0);
    let kept = ["{\"n\":3}", "{\"n\":4}", "last"];
    assert_eq!(cluster.values("orders", 0), kept);
    cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": [1, 2, 3] }));
    cluster.advance(5_000.0);
    assert_eq!((cluster.partition("orders", 0).isr.len(), starts(&cluster)), (3, vec![3, 3, 3]));
    cluster.assert_replicas_equal("orders");
    let old = cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "crashBroker", "broker": old }));
    cluster.advance(12_000.0);
    assert_eq!(cluster.values("orders", 0), kept);
    cluster.consumer("reader", "readers");
    let events = cluster.events_after(|cluster| cluster.advance(4_000.0));
    let first = events.iter().find(|event| event.kind == "recordDelivered").expect("records");
    assert_eq!(first.detail["firstOffset"], 3);
}

#[test]
fn each_partition_has_its_own_answer_and_its_last_word_counts() {
    let mut cluster = filled(Cluster::of_brokers(1), 1, 4);
    cluster.apply(json!({ "type": "createTopic", "name": "table", "partitions": 1, "replicationFactor": 1, "configs": { "cleanup.policy": "compact" } }));
    cluster.advance(500.0);
    let orders = topic_id(&cluster, "orders");
    let mut direct = Direct::of(&cluster, 1);
    let topic = |name: &str, asked: &[(i32, i64)]| {
        let partition = |(index, offset): &(i32, i64)| {
            k::delete_records_request::DeleteRecordsPartition::default().with_partition_index(*index).with_offset(*offset)
        };
        let topic = k::delete_records_request::DeleteRecordsTopic::default().with_name(wire::topic(name));
        topic.with_partitions(asked.iter().map(partition).collect())
    };
    let topics =
        vec![topic("orders", &[(0, 3), (7, 0)]), topic("table", &[(0, 0)]), topic("orders", &[(0, 2)]), topic("nothing", &[(0, 0)])];
    let message = k::DeleteRecordsRequest::default().with_topics(topics).with_timeout_ms(1_000);
    let Some(Response::DeleteRecords(answer)) = direct.ask_from(NodeId::Client(5), Request::DeleteRecords(Arc::new(message))) else {
        panic!("an answer at once");
    };
    let results = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic.name.as_str(), one)));
    let results: Vec<(&str, i32, i64, ErrorCode)> =
        results.map(|(name, one)| (name, one.partition_index, one.low_watermark, ErrorCode::of(one.error_code))).collect();
    assert_eq!(
        results,
        [
            ("nothing", 0, -1, ErrorCode::UnknownTopicOrPartition),
            ("orders", 0, 2, ErrorCode::None),
            ("orders", 7, -1, ErrorCode::UnknownTopicOrPartition),
            ("table", 0, -1, ErrorCode::PolicyViolation),
        ]
    );
    assert_eq!(direct.replica(orders, 0).log.start_offset(), 2);
}
