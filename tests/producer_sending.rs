#![cfg(not(target_arch = "wasm32"))]
//! When a producer sends, holds memory, tries again and gives up (`RecordAccumulator`, `BufferPool`, `Sender`, `Metadata`).

mod cluster;

use brokerlab::view::EventView;
use cluster::Cluster;
use serde_json::{Value, json};

/// A producer that knows its leaders and has its id.
fn producer(cluster: &mut Cluster, configs: Value) {
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": configs }));
    cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": 0, "value": "before" }));
    cluster.apply(json!({ "type": "flush", "producer": "p" }));
    cluster.advance(30_000.0);
    assert_eq!(cluster.view().producers[0].acknowledged, 1);
}

fn send(cluster: &mut Cluster, partition: i32, value: &str) {
    cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": partition, "value": value }));
}

/// Those of a kind, with how long after the first event of all each was.
fn of_kind(events: &[EventView], kind: &str) -> Vec<(f64, String)> {
    let error = |event: &EventView| event.error.map(ToString::to_string).unwrap_or_default();
    events.iter().filter(|event| event.kind == kind).map(|event| (event.time - events[0].time, error(event))).collect()
}

#[test]
fn whom_one_partition_has_something_for_gets_the_first_batch_of_each_that_it_leads() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 2, 1);
    producer(&mut cluster, json!({ "linger.ms": "1000" }));
    send(&mut cluster, 0, "first");
    cluster.advance(500.0);
    send(&mut cluster, 1, "second");
    cluster.advance(450.0);
    assert_eq!((cluster.values("orders", 0).len(), cluster.values("orders", 1).len()), (1, 0), "both linger");
    cluster.advance(200.0);
    assert_eq!((cluster.values("orders", 0).len(), cluster.values("orders", 1).len()), (2, 1));
}

#[test]
fn a_batch_on_its_way_fails_when_delivery_timeout_ms_is_over() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    producer(&mut cluster, json!({ "linger.ms": "0", "request.timeout.ms": "2000", "delivery.timeout.ms": "3000" }));
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "dropNext", "api": "Produce", "what": "request" }));
        send(cluster, 0, "lost");
        cluster.advance(1_000.0);
        cluster.apply(json!({ "type": "dropNext", "api": "Produce", "what": "request" }));
        cluster.advance(2_100.0);
        assert_eq!(cluster.view().producers[0].in_flight, 1, "the request is under way all the same");
        cluster.advance(5_000.0);
    });
    let failed = of_kind(&events, "recordFailed");
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].0.round(), failed[0].1.as_str()), (3_000.0, "REQUEST_TIMED_OUT"));
    send(&mut cluster, 0, "after");
    cluster.advance(1_000.0);
    assert_eq!(cluster.values("orders", 0), ["before", "after"]);
}

#[test]
fn what_is_answered_after_its_time_has_failed_nevertheless_and_the_next_one_follows_it() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    producer(
        &mut cluster,
        json!({ "linger.ms": "0", "request.timeout.ms": "2000", "delivery.timeout.ms": "2000", "max.in.flight.requests.per.connection": "1" }),
    );
    cluster.apply(json!({ "type": "setLink", "from": "broker-1", "to": "p", "latencyMs": 1_200 }));
    send(&mut cluster, 0, "first");
    cluster.advance(100.0);
    // It waits for the answer to the first one, and then for its own.
    send(&mut cluster, 0, "second");
    let events = cluster.events_after(|cluster| {
        cluster.advance(2_400.0);
        send(cluster, 0, "third");
        cluster.advance(5_000.0);
    });
    let known = &cluster.view().producers[0];
    assert_eq!((known.acknowledged, known.failed, known.in_flight), (3, 1, 0), "{:?}", of_kind(&events, "recordFailed"));
    assert_eq!(cluster.values("orders", 0), ["before", "first", "second", "third"]);
}

#[test]
fn a_flush_waits_for_a_send_that_has_not_returned() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "linger.ms": "60000" } }));
    // It does not know the topic yet.
    send(&mut cluster, 0, "v");
    cluster.apply(json!({ "type": "flush", "producer": "p" }));
    cluster.advance(5_000.0);
    assert_eq!(cluster.view().producers[0].acknowledged, 1);
}

#[test]
fn each_batch_takes_batch_size_of_the_memory_and_whoever_waits_for_it_has_the_others_sent() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 3, 1);
    producer(&mut cluster, json!({ "linger.ms": "60000", "buffer.memory": "1100", "batch.size": "500", "delivery.timeout.ms": "120000" }));
    send(&mut cluster, 0, "a");
    send(&mut cluster, 1, "b");
    // The batch that is there has room for it.
    send(&mut cluster, 1, "c");
    cluster.advance(1_000.0);
    assert_eq!(cluster.view().producers[0].acknowledged, 1, "they linger");
    send(&mut cluster, 2, "d");
    cluster.advance(1_000.0);
    let known = &cluster.view().producers[0];
    assert_eq!((known.acknowledged, known.buffered), (4, 1), "the last one has got its memory, and lingers");
}

#[test]
fn a_batch_holds_its_memory_until_it_is_answered() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 2, 1);
    producer(&mut cluster, json!({ "linger.ms": "0", "buffer.memory": "900", "batch.size": "500", "max.block.ms": "1000" }));
    cluster.apply(json!({ "type": "freezeBroker", "broker": 1, "ms": 3_000 }));
    let events = cluster.events_after(|cluster| {
        send(cluster, 0, "a");
        send(cluster, 1, "b");
        cluster.advance(6_000.0);
    });
    let failed = of_kind(&events, "recordFailed");
    assert_eq!(failed, [(1_000.0, "REQUEST_TIMED_OUT".to_owned())]);
    assert_eq!(cluster.view().producers[0].acknowledged, 2);
}

#[test]
fn what_the_whole_memory_cannot_hold_is_refused() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    producer(&mut cluster, json!({ "linger.ms": "0", "buffer.memory": "2000", "batch.size": "500" }));
    let events = cluster.events_after(|cluster| {
        send(cluster, 0, &"x".repeat(3_000));
        cluster.advance(1_000.0);
    });
    assert_eq!(of_kind(&events, "recordFailed"), [(0.0, "MESSAGE_TOO_LARGE".to_owned())]);
    // A batch needs `batch.size`, however small its record is: Kafka throws IllegalArgumentException.
    cluster
        .apply(json!({ "type": "addProducer", "id": "q", "topic": "orders", "configs": { "buffer.memory": "400", "batch.size": "500" } }));
    cluster.apply(json!({ "type": "send", "producer": "q", "topic": "orders", "partition": 0, "value": "v" }));
    cluster.advance(1_000.0);
    let known = cluster.view().producers.into_iter().find(|known| known.id == "q").expect("the producer");
    assert_eq!((known.acknowledged, known.failed), (0, 1));
}

#[test]
fn a_batch_that_waits_to_be_sent_again_leaves_once_metadata_tells_of_another_leader() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
    let backoff = json!({ "linger.ms": "0", "request.timeout.ms": "2000", "retry.backoff.ms": "10000", "retry.backoff.max.ms": "10000" });
    producer(&mut cluster, backoff);
    let leader = cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "dropNext", "api": "Produce", "what": "request" }));
    send(&mut cluster, 0, "moved");
    cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": [3 - leader, leader] }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "electLeader", "topic": "orders", "partition": 0 }));
    cluster.advance(500.0);
    assert_ne!(cluster.leader("orders", 0), leader);
    assert_eq!(cluster.view().producers[0].acknowledged, 1);
    // The request's time is over: metadata that is old may be asked for at once.
    cluster.advance(1_500.0);
    assert_eq!(cluster.view().producers[0].acknowledged, 2);
}

#[test]
fn metadata_is_asked_for_again_from_the_last_answer_on_and_never_later_than_retry_backoff_max_ms() {
    for seed in 1..4 {
        let mut cluster = Cluster::seeded(seed, 1);
        let configs = json!({ "allow.auto.create.topics": "false", "retry.backoff.ms": "100", "retry.backoff.max.ms": "1000" });
        let events = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["absent"], "configs": configs }));
            cluster.advance(7_000.0);
        });
        let asks = |event: &&EventView| event.kind == "requestSent" && event.node == "c" && event.text.contains("Metadata");
        let times: Vec<f64> = events.iter().filter(asks).map(|event| event.time).collect();
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // A fifth by chance either way, and the way of the request and the answer.
        for (gap, expected) in gaps.iter().zip([100.0, 200.0, 400.0, 800.0, 1_000.0, 1_000.0, 1_000.0]) {
            let most = f64::min(1.2 * expected, 1_000.0) + 10.0;
            assert!((0.8 * expected..most).contains(gap), "{gap} instead of about {expected}: {gaps:?}");
        }
        assert!(6 < gaps.len());
    }
}

#[test]
fn when_one_request_times_out_all_of_its_connection_do() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 2, 1);
    producer(&mut cluster, json!({ "linger.ms": "0", "request.timeout.ms": "2000" }));
    let events = cluster.events_after(|cluster| {
        for partition in [0, 1] {
            cluster.apply(json!({ "type": "dropNext", "api": "Produce", "what": "request" }));
            send(cluster, partition, "v");
            cluster.advance(500.0);
        }
        cluster.advance(5_000.0);
    });
    let errors: Vec<String> = of_kind(&events, "produceRetried").into_iter().map(|(_, error)| error).collect();
    assert_eq!(errors, ["REQUEST_TIMED_OUT", "REQUEST_TIMED_OUT"]);
    assert_eq!(cluster.view().producers[0].acknowledged, 3);
}

#[test]
fn whoever_closes_in_a_transaction_sends_what_is_buffered_and_then_aborts_it() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let configs = json!({ "transactional.id": "mover", "linger.ms": "60000", "delivery.timeout.ms": "120000" });
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": configs }));
    cluster.apply(json!({ "type": "beginTransaction", "producer": "p" }));
    send(&mut cluster, 0, "v");
    cluster.advance(5_000.0);
    assert_eq!(cluster.partition("orders", 0).replicas[0].log_end_offset, 0, "it lingers");
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "removeProducer", "id": "p" }));
        cluster.advance(2_000.0);
    });
    assert_eq!(of_kind(&events, "recordFailed"), []);
    assert_eq!((of_kind(&events, "recordAcknowledged").len(), of_kind(&events, "transactionEnded").len()), (1, 1));
    assert_eq!(cluster.partition("orders", 0).replicas[0].log_end_offset, 2, "the record and the marker");
    assert!(cluster.view().producers.is_empty());
}
