#![cfg(not(target_arch = "wasm32"))]
//! Compression from the producer's settings to the consumer's records: each test is a short script on the real engine, and reads like one.

mod cluster;

use brokerlab::protocol::Codec;
use brokerlab::replica::PartitionKey;
use cluster::Cluster;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CODECS: [&str; 4] = ["gzip", "snappy", "lz4", "zstd"];

/// Codec and number of records of each batch in the first replica of partition 0 of `orders`, and their bytes together.
fn stored(cluster: &Cluster) -> (Vec<(Codec, i32)>, usize) {
    let world = cluster.session.world();
    let topic = world.controller().image().topic("orders").expect("the topic").id;
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let log = &world.broker(leader).expect("the broker").0.replicas()[&PartitionKey { topic, index: 0 }].log;
    let codec = |batch: &brokerlab::protocol::Batch| batch.header().expect("a header").codec().expect("a codec");
    (log.batches_from(0).map(|batch| (codec(batch), batch.record_count)).collect(), log.bytes() as usize)
}

fn producer(configs: Value) -> Value {
    json!({ "type": "addProducer", "id": "shop", "topic": "orders", "configs": configs })
}

/// Many records at once, all of one kind.
fn import(cluster: &mut Cluster, count: usize) {
    let line = |number: usize| format!("{{\"user\":\"user_{}\",\"event\":\"click\",\"page\":\"/products/shoes/{number}\"}}\n", number % 7);
    let text: String = (0..count).map(line).collect();
    let answer = cluster.apply(json!({ "type": "import", "topic": "orders", "format": "jsonl", "text": text }));
    assert_eq!(answer["queued"], count);
}

/// The default producer imports; it has no compression. So the records of a compressing producer are sent one by one.
fn send(cluster: &mut Cluster, count: usize) {
    for number in 0..count {
        let value = format!("{{\"user\":\"user_{}\",\"event\":\"click\",\"page\":\"/products/shoes/{number}\"}}", number % 7);
        cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "value": value }));
    }
}

fn failures(cluster: &mut Cluster, script: impl FnOnce(&mut Cluster)) -> Vec<&'static str> {
    cluster.events_after(script).into_iter().filter(|event| event.kind == "recordFailed").filter_map(|event| event.error).collect()
}

#[test]
fn a_producers_codec_is_kept_by_leader_and_followers_and_undone_by_the_consumer() {
    let mut plain = Cluster::of_brokers(3).topic("orders", 1, 3);
    plain.apply(producer(json!({})));
    send(&mut plain, 100);
    plain.advance(2_000.0);
    let (_, plain_bytes) = stored(&plain);
    for name in CODECS {
        let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
        cluster.consumer("reader", "g");
        cluster.apply(producer(json!({ "compression.type": name })));
        send(&mut cluster, 100);
        cluster.advance(10_000.0);
        let (batches, bytes) = stored(&cluster);
        assert!(batches.iter().all(|(codec, _)| codec.name() == name), "{name}: {batches:?}");
        assert!(bytes < plain_bytes * 2 / 3, "{name}: {bytes} of {plain_bytes}");
        assert_eq!(cluster.values("orders", 0), plain.values("orders", 0), "{name}");
        assert_eq!(cluster.position("reader", "orders", 0), Some(100), "{name}");
        cluster.assert_replicas_equal("orders");
    }
}

#[test]
fn a_poll_smaller_than_a_compressed_batch_goes_on_in_its_middle() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(producer(json!({ "compression.type": "zstd" })));
    send(&mut cluster, 20);
    cluster.advance(1_000.0);
    assert_eq!(stored(&cluster).0, [(Codec::Zstd, 20)]);
    cluster.apply(json!({ "type": "addConsumer", "id": "slow", "group": "g", "topics": ["orders"], "processingMs": 100,
        "configs": { "auto.offset.reset": "earliest", "max.poll.records": "3" } }));
    let seen = cluster.events_after(|cluster| cluster.advance(20_000.0));
    let delivered = seen.iter().filter(|event| event.kind == "recordDelivered").map(|event| event.detail["firstOffset"].as_i64());
    assert_eq!(delivered.flatten().collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
}

#[test]
fn batches_take_more_records_once_a_producer_has_seen_how_well_they_compress() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    // 2,000 records a second; a batch lingers until it is full.
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 2_000, "keys": ["a"],
        "value": "{\"user\":\"user_7\",\"event\":\"click\",\"page\":\"/products/shoes/{seq}\"}",
        "configs": { "compression.type": "gzip", "batch.size": "2000", "linger.ms": "1000" } }));
    cluster.advance(10_000.0);
    let (batches, bytes) = stored(&cluster);
    let (first, largest) = (batches[0].1, batches.iter().map(|(_, records)| *records).max().expect("a batch"));
    // 2,000 bytes of records that are expected to become 105 in 100, at first; then the expectation falls by half a percent a batch.
    assert!((20..=30).contains(&first), "{first}");
    assert!(first * 3 / 2 < largest, "{first} records at first, {largest} at the most");
    assert!(bytes < batches.len() * 2_000, "and yet they stay below their size: {bytes} bytes in {} batches", batches.len());
}

#[test]
fn gzip_at_a_higher_level_stores_fewer_bytes() {
    let bytes = |level: &str| {
        let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
        cluster.apply(producer(json!({ "compression.type": "gzip", "compression.gzip.level": level })));
        send(&mut cluster, 150);
        cluster.advance(1_000.0);
        stored(&cluster).1
    };
    assert!(bytes("9") < bytes("1"));
    assert_eq!(bytes("-1"), bytes("6"), "zlib's own default");
}

#[test]
fn a_topic_or_a_broker_with_a_codec_of_its_own_compresses_what_producers_do_not() {
    for (topic, broker, producers, expected) in [
        (json!({ "compression.type": "zstd" }), None, "none", Codec::Zstd),
        (json!({ "compression.type": "uncompressed" }), None, "lz4", Codec::None),
        (json!({ "compression.type": "producer" }), Some("gzip"), "snappy", Codec::Snappy),
        (json!({}), Some("gzip"), "snappy", Codec::Gzip),
        (json!({}), None, "snappy", Codec::Snappy),
    ] {
        let mut cluster = match broker {
            Some(codec) => Cluster::configured(1, json!({ "compression.type": codec })),
            None => Cluster::of_brokers(1),
        };
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1, "configs": topic }));
        cluster.advance(500.0);
        cluster.apply(producer(json!({ "compression.type": producers })));
        send(&mut cluster, 30);
        cluster.advance(1_000.0);
        let (batches, _) = stored(&cluster);
        assert_eq!(batches.iter().map(|(codec, _)| *codec).collect::<Vec<_>>(), [expected], "{topic} on {broker:?}");
        assert_eq!(cluster.values("orders", 0).len(), 30);
    }
}

#[test]
fn a_batch_that_is_too_large_for_its_topic_is_split_until_it_fits_and_a_record_that_is_fails_alone() {
    for name in ["none", "gzip"] {
        let mut cluster = Cluster::of_brokers(3);
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3, "configs": { "max.message.bytes": "400" } }));
        cluster.advance(500.0);
        cluster.apply(producer(json!({ "compression.type": name, "linger.ms": "50", "max.in.flight.requests.per.connection": "1" })));
        let noise: String = (0..40u64).map(|number| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let failed = failures(&mut cluster, |cluster| {
            send(cluster, 30);
            cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "value": noise }));
            send(cluster, 30);
            cluster.advance(5_000.0);
        });
        assert_eq!(failed, ["MESSAGE_TOO_LARGE"], "{name}");
        let values = cluster.values("orders", 0);
        assert_eq!(values.len(), 60, "{name}: each once");
        let page = |value: &String| value.rsplit('/').next().expect("a page").trim_end_matches("\"}").parse::<usize>().expect("a number");
        assert_eq!(values.iter().map(page).collect::<Vec<_>>(), (0..30).chain(0..30).collect::<Vec<_>>(), "{name}: and in order");
        let acknowledged: BTreeSet<_> = cluster.acknowledged_offsets("orders").into_iter().collect();
        assert_eq!(acknowledged.len(), 60);
        cluster.assert_replicas_equal("orders");
    }
}

#[test]
fn a_record_larger_than_a_request_may_be_never_leaves_its_producer() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(producer(json!({ "max.request.size": "200", "compression.type": "gzip" })));
    let failed = failures(&mut cluster, |cluster| {
        // With header and overheads a batch of it may have 201 bytes, however well it compresses.
        for length in [114, 115] {
            cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "value": "v".repeat(length) }));
        }
        cluster.advance(1_000.0);
    });
    assert_eq!(failed, ["MESSAGE_TOO_LARGE"]);
    assert_eq!(cluster.values("orders", 0), ["v".repeat(114)]);
}

#[test]
fn a_record_from_the_future_is_refused_unless_the_time_of_the_append_counts() {
    // An hour and a minute after the start.
    let future = 1_767_225_600_000i64 + 61 * 60_000;
    for (configs, refused) in [
        (json!({}), true),
        (json!({ "message.timestamp.after.max.ms": "7200000" }), false),
        (json!({ "message.timestamp.type": "LogAppendTime" }), false),
    ] {
        let mut cluster = Cluster::of_brokers(1);
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1, "configs": configs }));
        cluster.advance(500.0);
        let failed = failures(&mut cluster, |cluster| {
            cluster.apply(json!({ "type": "send", "topic": "orders", "value": "v", "timestamp": future }));
            cluster.advance(1_000.0);
        });
        assert_eq!(failed, if refused { vec!["INVALID_TIMESTAMP"] } else { Vec::new() }, "{configs}");
        assert_eq!(cluster.values("orders", 0).len(), usize::from(!refused));
        if configs["message.timestamp.type"] == "LogAppendTime" {
            let query =
                brokerlab::view::MessageQuery { topic: "orders".to_owned(), partition: 0, offset: None, max: None, isolation: None };
            let messages = brokerlab::view::messages(&cluster.session, &query).expect("the partition");
            assert!((1_767_225_601_500..1_767_225_602_500).contains(&messages[0].timestamp), "{}", messages[0].timestamp);
        }
    }
}

#[test]
fn codecs_and_levels_that_are_none_are_refused_before_anything_happens() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    for (configs, code) in [
        (json!({ "compression.type": "brotli" }), "INVALID_CONFIG"),
        (json!({ "compression.type": "producer" }), "INVALID_CONFIG"),
        (json!({ "compression.gzip.level": "0" }), "INVALID_CONFIG"),
        (json!({ "compression.lz4.level": "18" }), "INVALID_CONFIG"),
        (json!({ "compression.zstd.level": "23" }), "INVALID_CONFIG"),
    ] {
        assert_eq!(cluster.refused(producer(configs.clone())).code, code, "{configs}");
    }
}

#[test]
fn a_session_with_compression_is_the_same_when_it_is_played_again() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    for name in CODECS {
        cluster.apply(json!({ "type": "addProducer", "id": name, "topic": "orders", "recordsPerSecond": 40, "keys": ["a", "b", "c"],
            "value": "{seq} {key} {rand} {key}", "configs": { "compression.type": name, "batch.size": "900" } }));
    }
    cluster.consumer("reader", "g");
    import(&mut cluster, 200);
    cluster.advance(10_000.0);
    let again = brokerlab::session::Session::load(&cluster.session.save()).expect("what was saved loads");
    assert_eq!(again.trace_hash(), cluster.session.trace_hash());
}
