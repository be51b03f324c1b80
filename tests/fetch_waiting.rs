#![cfg(not(target_arch = "wasm32"))]
//! Which fetches wait until there is as much as they want, and which are answered at once with what there is (`DelayedFetch`).

mod cluster;

use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Asks for more than there is. Returns how many batches come at once; `None`: it waits.
fn fetched(broker: &mut Direct, topic: Uuid, offset: i64) -> Option<usize> {
    let asked = k::fetch_request::FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1_000_000);
    let topic = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
    let message = k::FetchRequest::default().with_max_bytes(1_000_000).with_min_bytes(1_000_000).with_max_wait_ms(500);
    match broker.copy().ask(Request::Fetch(Arc::new(message.with_topics(vec![topic])))) {
        Some(Response::Fetch(answer, batches)) => {
            assert_eq!(E::of(answer.responses[0].partitions[0].error_code), E::None);
            Some(batches[0].len())
        }
        None => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fetch_waits_in_the_last_segment_alone() {
    let mut cluster = Cluster::of_brokers(1);
    let configs = json!({ "segment.ms": "1000" });
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1, "configs": configs }));
    cluster.advance(500.0);
    for pause in [100.0, 2_000.0, 100.0, 500.0] {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
        cluster.advance(pause);
    }
    let topic = topic_id(&cluster, "orders");
    let mut leader = Direct::of(&cluster, 1);
    assert_eq!(leader.replica(topic, 0).log.segments().map(|segment| segment.base_offset()).collect::<Vec<_>>(), [0, 2]);
    let all: Vec<Option<usize>> = (0..=4).map(|offset| fetched(&mut leader, topic, offset)).collect();
    assert_eq!(all, [Some(1), Some(1), None, None, None]);
}

#[test]
fn a_fetch_waits_for_no_more_than_it_may_have() {
    let mut cluster = Cluster::configured(1, json!({ "fetch.max.bytes": "1024" })).topic("orders", 1, 1);
    cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v".repeat(2_000) }));
    cluster.advance(500.0);
    let topic = topic_id(&cluster, "orders");
    assert_eq!(fetched(&mut Direct::of(&cluster, 1), topic, 0), Some(1), "the broker gives no more");
    let asked = k::fetch_request::FetchPartition::default().with_partition_max_bytes(1_000_000);
    let asked = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
    let message = k::FetchRequest::default().with_max_bytes(100).with_min_bytes(1_000_000).with_max_wait_ms(500);
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v".repeat(2_000) }));
    cluster.advance(500.0);
    let asked = asked.with_topic_id(topic_id(&cluster, "orders"));
    assert!(Direct::of(&cluster, 1).ask(Request::Fetch(Arc::new(message.with_topics(vec![asked])))).is_some(), "it wants no more");
}

#[test]
fn a_fetch_beyond_the_high_watermark_does_not_wait_for_it() {
    let (cluster, leader) = Cluster::with_a_late_follower();
    let topic = topic_id(&cluster, "orders");
    let mut leader = Direct::of(&cluster, leader);
    assert_eq!((leader.replica(topic, 0).high_watermark(), leader.replica(topic, 0).log.end_offset()), (1, 2));
    let all: Vec<Option<usize>> = (0..=2).map(|offset| fetched(&mut leader, topic, offset)).collect();
    assert_eq!(all, [None, None, Some(0)]);
}
