#![cfg(not(target_arch = "wasm32"))]
//! When a producer sends and gives up (`RecordAccumulator`, `Sender`).

mod cluster;

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
fn a_flush_waits_for_a_send_that_has_not_returned() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "linger.ms": "60000" } }));
    // It does not know the topic yet.
    send(&mut cluster, 0, "v");
    cluster.apply(json!({ "type": "flush", "producer": "p" }));
    cluster.advance(5_000.0);
    assert_eq!(cluster.view().producers[0].acknowledged, 1);
}
