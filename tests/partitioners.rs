#![cfg(not(target_arch = "wasm32"))]
//! Which partition a producer's records go to, by its settings; and settings that it does not know or does not take.

mod cluster;

use brokerlab::protocol::partition_for_key;
use cluster::Cluster;
use serde_json::{Value, json};

const PARTITIONS: i32 = 3;

fn with_producer(configs: Value) -> Cluster {
    let mut cluster = Cluster::of_brokers(3).topic("orders", PARTITIONS, 1);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": configs }));
    cluster.advance(200.0);
    cluster
}

fn send(cluster: &mut Cluster, key: Option<&str>, value: &str) {
    cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "key": key, "value": value }));
}

/// How many records each partition has.
fn counts(cluster: &Cluster) -> Vec<usize> {
    (0..PARTITIONS).map(|index| cluster.values("orders", index).len()).collect()
}

/// Where records with these keys went, each sent by itself.
fn places(cluster: &mut Cluster, keys: &[Option<&str>]) -> Vec<i32> {
    for (index, key) in keys.iter().enumerate() {
        send(cluster, *key, &format!("record {index}"));
        cluster.advance(100.0);
    }
    let place = |index| (0..PARTITIONS).find(|partition| cluster.values("orders", *partition).contains(&format!("record {index}")));
    (0..keys.len()).map(|index| place(index).expect("it is somewhere")).collect()
}

#[test]
fn keys_choose_by_murmur2_unless_they_are_to_be_ignored() {
    let keys = ["a", "b", "c", "user_123", "ключ"];
    let by_key: Vec<i32> = keys.iter().map(|key| partition_for_key(key.as_bytes(), PARTITIONS)).collect();
    let sent = keys.map(Some);
    assert_eq!(places(&mut with_producer(json!({ "partitioner.class": "default" })), &sent), by_key);
    // Sticky: five small records are no batch's worth, so all of them stay together.
    let together = places(&mut with_producer(json!({ "partitioner_ignore_keys": "true" })), &sent);
    assert!(together.iter().all(|place| *place == together[0]), "{together:?}");
}

#[test]
fn round_robin_heeds_no_keys_and_leaves_out_what_has_no_leader() {
    let class = json!({ "partitioner.class": "org.apache.kafka.clients.producer.RoundRobinPartitioner" });
    let mut cluster = with_producer(class);
    assert_eq!(places(&mut cluster, &[Some("a"), Some("a"), None, None, Some("b"), None]), [0, 1, 2, 0, 1, 2]);

    let leader = cluster.leader("orders", 1);
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(400_000.0);
    let before = counts(&cluster);
    for number in 0..4 {
        send(&mut cluster, Some("a"), &format!("later {number}"));
        cluster.advance(100.0);
    }
    let gained: Vec<usize> = counts(&cluster).iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(gained, [2, 0, 2]);
}

#[test]
fn a_table_gives_keys_their_partitions() {
    let custom = |table: Value| json!({ "partitioner.class": "custom", "brokerlab.partitioner": table.to_string() });
    let keys = [Some("vip"), Some("a"), None, Some("vip"), Some("b")];
    let by_key = |key: &str| partition_for_key(key.as_bytes(), PARTITIONS);

    let table = custom(json!({ "table": { "vip": 2, "a": 0 }, "otherwise": 1 }));
    assert_eq!(places(&mut with_producer(table), &keys), [2, 0, 1, 2, 1]);
    let table = custom(json!({ "table": { "vip": 2 }, "otherwise": "roundRobin" }));
    assert_eq!(places(&mut with_producer(table), &keys), [2, 0, 1, 2, 2]);
    let table = custom(json!({ "table": { "vip": 2 }, "otherwise": "murmur2" }));
    let found = places(&mut with_producer(table), &keys);
    assert_eq!((found[0], found[1], found[3], found[4]), (2, by_key("a"), 2, by_key("b")));
}

#[test]
fn a_partition_that_a_table_names_and_the_topic_lacks_has_no_leader_until_the_delivery_timeout() {
    let table = json!({ "table": { "vip": 7 }, "otherwise": "murmur2" }).to_string();
    let configs = json!({ "partitioner.class": "custom", "brokerlab.partitioner": table, "delivery.timeout.ms": "3000", "request.timeout.ms": "1000" });
    let mut cluster = with_producer(configs);
    let failed = |cluster: &mut Cluster, ms| {
        let events = cluster.events_after(|cluster| cluster.advance(ms));
        events.into_iter().filter(|event| event.kind == "recordFailed").map(|event| event.error).collect::<Vec<_>>()
    };
    send(&mut cluster, Some("vip"), "nowhere");
    assert_eq!(failed(&mut cluster, 2_900.0), []);
    assert_eq!(failed(&mut cluster, 200.0), [Some("REQUEST_TIMED_OUT")]);
    // It is not in anybody's way.
    assert_eq!(places(&mut cluster, &[Some("a")]), [partition_for_key(b"a", PARTITIONS)]);
}

#[test]
fn without_keys_a_partition_is_kept_until_a_batch_is_full() {
    let mut cluster = with_producer(json!({ "batch.size": "1000", "linger.ms": "1000" }));
    // 20 records of some 100 bytes: at least a full batch goes to one partition, and no batch is left half full but the last.
    for number in 0..60 {
        send(&mut cluster, None, &format!("{number:090}"));
    }
    cluster.advance(3_000.0);
    let spread = counts(&cluster);
    assert_eq!(spread.iter().sum::<usize>(), 60);
    assert!(spread.iter().all(|count| *count < 60), "no partition gets all: {spread:?}");
    // Each record is in a run of at least eight with the same partition: those of one batch.
    let mut runs = Vec::new();
    let place = |number: usize| (0..PARTITIONS).find(|index| cluster.values("orders", *index).contains(&format!("{number:090}")));
    for number in 0..60 {
        match runs.last_mut() {
            Some((own, length)) if Some(*own) == place(number) => *length += 1,
            _ => runs.push((place(number).expect("it is somewhere"), 1)),
        }
    }
    runs.pop();
    assert!(runs.len() < 8 && runs.iter().all(|(_, length)| 8 <= *length), "{runs:?}");
}

/// What each partition gets of records without keys while one of the leaders is cut off; the share of the partition that it leads, in percent.
fn share_of_the_unreachable(configs: Value) -> usize {
    let mut given = json!({ "linger.ms": "0", "batch.size": "480", "delivery.timeout.ms": "600000" });
    given.as_object_mut().expect("an object").extend(configs.as_object().expect("an object").clone());
    let mut cluster = Cluster::of_brokers(3).topic("orders", PARTITIONS, 1);
    // Each record is more than two batches: a partition is kept for one, whatever became of the batch before.
    let value = "x".repeat(900);
    let producer =
        json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 200, "value": value, "configs": given });
    cluster.apply(producer);
    cluster.advance(1_000.0);
    let leader = cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "freezeBroker", "broker": leader, "ms": 8_000 }));
    let before = cluster.view().producers[0].sent;
    cluster.advance(6_000.0);
    let producer = &cluster.view().producers[0];
    ((producer.sent - producer.acknowledged) * 100 / (producer.sent - before)) as usize
}

#[test]
fn what_waits_decides_where_records_without_keys_go() {
    let even = share_of_the_unreachable(json!({ "partitioner.adaptive.partitioning.enable": "false" }));
    let adaptive = share_of_the_unreachable(json!({}));
    let avoided = share_of_the_unreachable(json!({ "partitioner.availability.timeout.ms": "500" }));
    assert!((25..42).contains(&even), "each gets a third: {even} %");
    assert!(adaptive < 12, "the longer its queue the less it gets: {adaptive} %");
    assert!(avoided < adaptive && avoided < 8, "and nothing once its broker has not answered for too long: {avoided} %");
}

#[test]
fn partitioners_that_are_not_there_are_refused_with_name_value_and_rule() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let custom = |table: &str| json!({ "partitioner.class": "custom", "brokerlab.partitioner": table });
    for (configs, field, sentence) in [
        (
            json!({ "partitioner.class": "com.example.Mine" }),
            "partitioner.class",
            "Invalid value com.example.Mine for configuration partitioner.class: Class com.example.Mine could not be found.",
        ),
        (json!({ "partitioner.class": "custom" }), "brokerlab.partitioner", "must be JSON like"),
        (custom("{"), "brokerlab.partitioner", "must be JSON like"),
        (custom("[]"), "brokerlab.partitioner", "must be an object, not a list."),
        (custom(r#"{"table": {"a": -1}}"#), "brokerlab.partitioner", "`table.a` must be a partition: a whole number from 0 on, not -1."),
        (custom(r#"{"table": {"a": 1.5}}"#), "brokerlab.partitioner", "`table.a` must be a partition"),
        (custom(r#"{"otherwise": "random"}"#), "brokerlab.partitioner", "`otherwise` must be \"murmur2\", \"roundRobin\" or a partition"),
        (custom(r#"{"tabel": {}}"#), "brokerlab.partitioner", "A partitioner has no field `tabel`."),
        (json!({ "brokerlab.partitioner": "{}" }), "brokerlab.partitioner", "it is heeded only with partitioner.class=custom"),
        (
            json!({ "partitioner.availability.timeout.ms": "-1" }),
            "partitioner.availability.timeout.ms",
            "Invalid value -1 for configuration partitioner.availability.timeout.ms: must be at least 0",
        ),
    ] {
        let refusal = cluster.refused(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": configs }));
        assert_eq!((refusal.code.as_str(), refusal.field), ("INVALID_CONFIG", Some(format!("configs.{field}"))));
        assert!(refusal.message.contains(sentence), "{}", refusal.message);
        assert!(refusal.message.starts_with("Invalid value "), "{}", refusal.message);
    }
    assert!(cluster.view().producers.is_empty());
}
