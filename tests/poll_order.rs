#![cfg(not(target_arch = "wasm32"))]
//! What a poll returns: what was fetched first, partition after partition (`FetchCollector.collectFetch`, `FetchBuffer`).

mod cluster;

use cluster::Cluster;
use serde_json::json;

fn send(cluster: &mut Cluster, records: u32) {
    for partition in 0..2 {
        for _ in 0..records {
            cluster.apply(json!({ "type": "send", "topic": "orders", "partition": partition, "value": "v" }));
        }
    }
    cluster.advance(500.0);
}

#[test]
fn a_busy_partition_does_not_keep_another_from_being_read() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 2, 1);
    assert_ne!(cluster.leader("orders", 0), cluster.leader("orders", 1), "one is fetched while the other waits");
    send(&mut cluster, 20);
    let events = cluster.events_after(|cluster| {
        let configs = json!({ "auto.offset.reset": "earliest", "max.poll.records": "1" });
        cluster.apply(
            json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "processingMs": 100, "configs": configs }),
        );
        while cluster.view().consumers[0].consumed < 5 {
            cluster.advance(100.0);
        }
        send(cluster, 20);
        cluster.advance(9_000.0);
    });
    let delivered: Vec<i32> =
        events.iter().filter(|event| event.kind == "recordDelivered").map(|event| event.partition.expect("a partition")).collect();
    let (first, other) = (delivered[0], 1 - delivered[0]);
    // Each fetch returned what there was then, and the next one of a partition comes behind the other's.
    let expected: Vec<i32> = [first, other, first, other].into_iter().flat_map(|partition| [partition; 20]).collect();
    assert!(70 < delivered.len());
    assert_eq!(delivered, expected[..delivered.len()]);
}
