#![cfg(not(target_arch = "wasm32"))]
//! What the settings of threads, queues, sockets, disks and flushes do to the time that things take. Links take a millisecond sharp here, so that
//! the rest is arithmetic.

mod cluster;

use brokerlab::view::EventView;
use cluster::Cluster;
use serde_json::{Value, json};

/// One broker, one partition, and these producers, who know who leads.
fn cluster(configs: Value, producers: &[&str]) -> Cluster {
    let mut cluster = Cluster::configured(1, configs).topic("orders", 1, 1);
    for id in producers {
        // Not idempotent: the request for an id would come first, and choose connections otherwise.
        let configs = json!({ "linger.ms": "0", "enable.idempotence": "false" });
        cluster.apply(json!({ "type": "addProducer", "id": id, "topic": "orders", "configs": configs }));
    }
    cluster.advance(2_000.0);
    for id in producers {
        send(&mut cluster, id, "warm");
        cluster.advance(2_000.0);
    }
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*", "latencyMs": 1 }));
    cluster.advance(100.0);
    cluster
}

fn send(cluster: &mut Cluster, producer: &str, value: &str) {
    cluster.apply(json!({ "type": "send", "producer": producer, "topic": "orders", "partition": 0, "value": value }));
}

fn of_kind(events: &[EventView], kind: &str) -> Vec<EventView> {
    events.iter().filter(|event| event.kind == kind).cloned().collect()
}

/// How long after now each producer has its acknowledgement, if all of them send at once.
fn acknowledged_after(cluster: &mut Cluster, producers: &[&str], value: &str) -> Vec<f64> {
    let sent = cluster.view().time;
    let seen = cluster.events_after(|cluster| {
        producers.iter().for_each(|id| send(cluster, id, value));
        cluster.advance(2_000.0);
    });
    let of = |id: &&str| {
        let own = of_kind(&seen, "recordAcknowledged").into_iter().find(|event| event.node == **id);
        // Microseconds, so that sums of decimals come out even.
        ((own.expect("an acknowledgement").time - sent) * 1_000.0).round() / 1_000.0
    };
    producers.iter().map(of).collect()
}

#[test]
fn by_default_only_the_way_there_and_back_takes_time() {
    let mut cluster = cluster(json!({}), &["a", "b"]);
    assert_eq!(acknowledged_after(&mut cluster, &["a", "b"], "v"), [2.0, 2.0]);
}

#[test]
fn requests_share_num_io_threads() {
    // Ten milliseconds beyond a healthy broker's fifty microseconds.
    let expected = [("1", vec![12.0, 22.0, 32.0]), ("2", vec![12.0, 12.0, 22.0]), ("8", vec![12.0, 12.0, 12.0])];
    for (threads, times) in expected {
        let mut cluster = cluster(json!({ "num.io.threads": threads, "brokerlab.request.us": "10050" }), &["a", "b", "c"]);
        assert_eq!(acknowledged_after(&mut cluster, &["a", "b", "c"], "v"), times, "{threads} threads");
    }
}

#[test]
fn connections_share_num_network_threads() {
    for (threads, times) in [("1", vec![7.0, 12.0, 17.0]), ("2", vec![7.0, 7.0, 12.0]), ("3", vec![7.0, 7.0, 7.0])] {
        let mut cluster = cluster(json!({ "num.network.threads": threads, "brokerlab.network.request.us": "5020" }), &["a", "b", "c"]);
        assert_eq!(acknowledged_after(&mut cluster, &["a", "b", "c"], "v"), times, "{threads} threads");
    }
}

#[test]
fn a_full_request_queue_stops_the_network_thread_and_the_answers_that_go_through_it() {
    let configs = |queued: &str| json!({ "num.io.threads": "1", "num.network.threads": "1", "brokerlab.request.us": "10050", "queued.max.requests": queued });
    let four = ["a", "b", "c", "d"];
    assert_eq!(acknowledged_after(&mut cluster(configs("500"), &four), &four, "v"), [12.0, 22.0, 32.0, 42.0]);
    // One in work, one in the queue, one in the thread's hand and one behind it: only when the last but one is in the queue can the thread send again.
    assert_eq!(acknowledged_after(&mut cluster(configs("1"), &four), &four, "v"), [22.0, 22.0, 32.0, 42.0]);
}

#[test]
fn a_slow_disk_delays_appends_and_one_io_thread_delays_everything_behind_them() {
    // Appending takes 100 us, and 1 us for a batch of less than 500 bytes: a hundred times as much on top.
    let append = 10.1;
    // A consumer opens a connection and asks who leads.
    for (threads, metadata) in [("8", 4.0), ("1", 4.0 + append)] {
        let mut cluster = cluster(json!({ "num.io.threads": threads }), &["a", "b"]);
        cluster.apply(json!({ "type": "slowDisk", "broker": 1, "factor": 101 }));
        assert_eq!(cluster.view().brokers[0].disk_factor, Some(101.0));
        assert_eq!(acknowledged_after(&mut cluster, &["a", "b"], "v"), [2.0 + append, 2.0 + 2.0 * append], "there is one disk");
        // Questions that need no disk.
        let sent = cluster.view().time;
        let seen = cluster.events_after(|cluster| {
            send(cluster, "a", "v");
            cluster.apply(json!({ "type": "addConsumer", "id": "c", "partitions": [{ "topic": "orders", "partition": 0 }] }));
            cluster.advance(1_000.0);
        });
        let answer = seen.iter().find(|event| event.kind == "responseSent" && event.detail["api"] == "Metadata").expect("an answer");
        assert_eq!(((answer.time - sent + 1.0) * 1_000.0).round() / 1_000.0, metadata, "{threads} threads");
        cluster.apply(json!({ "type": "slowDisk", "broker": 1, "factor": 1 }));
        assert_eq!(acknowledged_after(&mut cluster, &["a", "b"], "v"), [2.0, 2.0]);
    }
}

#[test]
fn a_disk_takes_so_many_bytes_per_second() {
    let mut cluster = cluster(json!({ "brokerlab.disk.bytes.per.second": "1000000" }), &["a"]);
    // 61 of header; length (2), attributes, time, offset, no key, length of the value (2), and no headers: 9 of the record; the value.
    let bytes = 61.0 + 9.0 + 930.0;
    let healthy = bytes / 500.0;
    assert_eq!(acknowledged_after(&mut cluster, &["a"], &"x".repeat(930)), [2.0 + (bytes - healthy) / 1_000.0]);
}

#[test]
fn a_slow_disk_of_a_follower_delays_acks_all_only() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
    for (id, acks) in [("all", "all"), ("one", "1")] {
        cluster.apply(json!({ "type": "addProducer", "id": id, "topic": "orders", "configs": { "linger.ms": "0", "acks": acks } }));
        cluster.advance(1_000.0);
        send(&mut cluster, id, "warm");
        cluster.advance(2_000.0);
    }
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*", "latencyMs": 1 }));
    let follower = 3 - cluster.partition("orders", 0).leader.expect("a leader");
    cluster.apply(json!({ "type": "slowDisk", "broker": follower, "factor": 1_001 }));
    assert_eq!(acknowledged_after(&mut cluster, &["one"], "v"), [2.0]);
    // There, the waiting fetch's answer, 101 ms of the disk, the next fetch, and back.
    assert_eq!(acknowledged_after(&mut cluster, &["all"], "v"), [1.0 + 1.0 + 101.0 + 1.0 + 1.0]);
}

/// How many records a loss of power takes, of five that are sent one by one within a second.
fn lost(configs: Value, topic: Value, wait: f64) -> i64 {
    let mut cluster = Cluster::configured(1, configs);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1, "configs": topic }));
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "linger.ms": "0" } }));
    cluster.advance(500.0);
    for _ in 0..5 {
        send(&mut cluster, "p", "v");
        cluster.advance(200.0);
    }
    cluster.advance(wait);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "powerLoss", "broker": 1 }));
    });
    of_kind(&seen, "recordsLost")
        .first()
        .map_or(0, |event| event.detail["to"].as_i64().unwrap_or(0) - event.detail["from"].as_i64().unwrap_or(0))
}

#[test]
fn what_a_loss_of_power_takes_depends_on_how_often_logs_are_flushed() {
    let none = json!({});
    assert_eq!(lost(json!({}), none.clone(), 0.0), 5);
    assert_eq!(lost(json!({ "log.flush.interval.messages": "1" }), none.clone(), 0.0), 0);
    assert_eq!(lost(json!({ "log.flush.interval.messages": "3" }), none.clone(), 0.0), 2, "the third one forces the first three");
    assert_eq!(lost(json!({ "log.flush.interval.messages": "5" }), none.clone(), 0.0), 0);
    assert_eq!(lost(json!({}), json!({ "flush.messages": "2" }), 0.0), 1);
    assert_eq!(lost(json!({ "log.flush.interval.messages": "1" }), json!({ "flush.messages": "4" }), 0.0), 1, "the topic's own counts");
    assert_eq!(lost(json!({ "log.flush.interval.ms": "100" }), none.clone(), 0.0), 0);
    assert_eq!(lost(json!({ "log.flush.interval.ms": "10000" }), none.clone(), 0.0), 5);
    assert_eq!(lost(json!({ "log.flush.interval.ms": "10000" }), none.clone(), 9_000.0), 0);
    assert_eq!(lost(json!({}), json!({ "flush.ms": "50" }), 0.0), 0);
    assert_eq!(lost(json!({ "log.flush.scheduler.interval.ms": "100" }), none.clone(), 0.0), 0);
    // The operating system's own flusher wakes every five seconds: it sees the pages once, and writes them when it finds them too old.
    assert_eq!(lost(json!({ "brokerlab.page.cache.expire.ms": "1000" }), none.clone(), 0.0), 5);
    assert_eq!(lost(json!({ "brokerlab.page.cache.expire.ms": "1000" }), none.clone(), 10_000.0), 0);
    assert_eq!(lost(json!({}), none, 10_000.0), 5);
}

#[test]
fn a_flush_takes_its_time_and_a_slow_disk_more() {
    let mut cluster = cluster(json!({ "log.flush.interval.messages": "2", "brokerlab.disk.flush.us": "4000" }), &["a"]);
    let times: Vec<f64> = (0..4).flat_map(|_| acknowledged_after(&mut cluster, &["a"], "v")).collect();
    assert_eq!(times, [6.0, 2.0, 6.0, 2.0], "every second record");
    cluster.apply(json!({ "type": "slowDisk", "broker": 1, "factor": 11 }));
    let times: Vec<f64> = (0..2).flat_map(|_| acknowledged_after(&mut cluster, &["a"], "v")).collect();
    assert_eq!(times, [2.0 + 1.01 + 44.0, 2.0 + 1.01]);
}

#[test]
fn a_request_that_is_too_large_for_the_socket_closes_the_connection() {
    let mut cluster = cluster(json!({ "socket.request.max.bytes": "1000" }), &["a"]);
    let seen = cluster.events_after(|cluster| {
        send(cluster, "a", &"x".repeat(2_000));
        cluster.advance(1_000.0);
    });
    let retried = of_kind(&seen, "produceRetried");
    assert!(1 < retried.len() && retried.iter().all(|event| event.error == Some("NETWORK_EXCEPTION")));
    assert!(of_kind(&seen, "recordAppended").is_empty());
    cluster.advance(130_000.0);
    let producer = cluster.view().producers.swap_remove(0);
    assert_eq!((producer.failed, producer.in_flight), (1, 0), "given up after delivery.timeout.ms");
    assert_eq!(acknowledged_after(&mut cluster, &["a"], "v"), [2.0], "a small one still comes through");
}

#[test]
fn what_is_larger_than_a_socket_s_buffer_takes_more_round_trips() {
    // About 100 + 61 + 9 bytes besides the value.
    let large = "x".repeat(2_700);
    for (buffer, round_trips) in [("1000", 2.0), ("1500", 1.0), ("2870", 0.0), ("-1", 0.0)] {
        let mut cluster = cluster(json!({ "socket.receive.buffer.bytes": buffer }), &["a"]);
        cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*", "latencyMs": 10 }));
        assert_eq!(acknowledged_after(&mut cluster, &["a"], &large), [20.0 + 20.0 * round_trips], "{buffer}");
    }
    for (buffer, round_trips) in [("1000", 2.0), ("102400", 0.0)] {
        let mut cluster = cluster(json!({ "socket.send.buffer.bytes": buffer }), &["a"]);
        cluster.apply(json!({ "type": "addConsumer", "id": "c", "partitions": [{ "topic": "orders", "partition": 0 }] }));
        cluster.advance(2_000.0);
        cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*", "latencyMs": 10 }));
        cluster.advance(1_000.0);
        let seen = cluster.events_after(|cluster| {
            send(cluster, "a", &large);
            cluster.advance(1_000.0);
        });
        let (appended, delivered) = (of_kind(&seen, "recordAppended"), of_kind(&seen, "recordDelivered"));
        assert_eq!(delivered[0].time - appended[0].time, 10.0 + 20.0 * round_trips, "{buffer}");
    }
}

#[test]
fn a_link_sends_one_message_after_the_other_if_its_bandwidth_is_limited() {
    let mut cluster = cluster(json!({}), &["a"]);
    cluster.apply(json!({ "type": "setLink", "from": "a", "to": "broker-1", "bytesPerSecond": 100_000, "latencyMs": 1 }));
    // 100 + 61 + 9 + 830 bytes each: ten milliseconds. Three requests, one batch each.
    let sent = cluster.view().time;
    let seen = cluster.events_after(|cluster| {
        for _ in 0..3 {
            send(cluster, "a", &"x".repeat(830));
        }
        cluster.advance(1_000.0);
    });
    let times: Vec<f64> = of_kind(&seen, "recordAcknowledged").iter().map(|event| event.time - sent).collect();
    assert_eq!(times, [12.0, 22.0, 32.0]);
}

#[test]
fn a_client_that_gave_up_finds_its_slow_record_written_all_the_same() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders",
        "configs": { "linger.ms": "0", "request.timeout.ms": "300", "delivery.timeout.ms": "100000", "enable.idempotence": "false" } }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "slowDisk", "broker": 1, "factor": 10_001 }));
    // An append takes a second now.
    send(&mut cluster, "p", "v");
    cluster.advance(900.0);
    cluster.apply(json!({ "type": "slowDisk", "broker": 1, "factor": 1 }));
    cluster.advance(10_000.0);
    let count = cluster.values("orders", 0).len();
    assert!(1 < count, "{count}: what was begun is finished, and its retries, too");
    assert_eq!(cluster.view().producers[0].acknowledged, 1);
}

#[test]
fn broker_crashes_while_requests_are_in_work_leave_nothing_behind() {
    let mut cluster =
        cluster(json!({ "num.io.threads": "1", "brokerlab.request.us": "500050", "queued.max.requests": "1" }), &["a", "b", "c"]);
    for id in ["a", "b", "c"] {
        send(&mut cluster, id, "v");
    }
    cluster.advance(100.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    cluster.advance(12_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
    cluster.advance(60_000.0);
    assert!(cluster.view().producers.iter().all(|producer| producer.acknowledged == 2 && producer.in_flight == 0));
}
