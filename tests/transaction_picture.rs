#![cfg(not(target_arch = "wasm32"))]
//! What the page is told of transactions: where each stands, and which offsets are open, aborted or markers.

mod cluster;

use brokerlab::protocol::Outcome;
use brokerlab::view::{self, CellKind};
use cluster::Cluster;
use serde_json::json;

fn say(cluster: &mut Cluster, what: &str) {
    cluster.apply(json!({ "type": what, "producer": "shop" }));
    cluster.advance(500.0);
}

/// A producer with a transactional id, and a transaction of one record that ends so, if at all.
fn transaction(cluster: &mut Cluster, end: Option<&str>) {
    say(cluster, "beginTransaction");
    cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "key": "k", "value": "v" }));
    cluster.advance(500.0);
    end.into_iter().for_each(|end| say(cluster, end));
}

fn shop() -> Cluster {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "configs": { "transactional.id": "till" } }));
    cluster.apply(json!({ "type": "addProducer", "id": "plain", "topic": "orders" }));
    cluster.advance(5_000.0);
    cluster
}

#[test]
fn each_offset_says_what_it_holds() {
    for codec in ["none", "zstd"] {
        let mut cluster = shop();
        cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "compression.type": if codec == "none" { "producer" } else { codec } } }));
        cluster.advance(1_000.0);
        transaction(&mut cluster, Some("commitTransaction"));
        transaction(&mut cluster, Some("abortTransaction"));
        cluster.apply(json!({ "type": "send", "producer": "plain", "topic": "orders", "key": "k", "value": "v" }));
        transaction(&mut cluster, None);
        let picture = view::picture(&cluster.session, 30);
        assert_eq!(picture.strips.len(), 3);
        for strip in picture.strips {
            let told: Vec<_> = strip.cells.iter().map(|cell| (cell.kind, cell.key_hash.is_some())).collect();
            let (record, marker) = (|kind| (kind, true), |outcome| (CellKind::Marker(outcome), false));
            let wanted = [
                record(CellKind::Record),
                marker(Outcome::Commit),
                record(CellKind::Aborted),
                marker(Outcome::Abort),
                record(CellKind::Record),
                record(CellKind::Open),
            ];
            assert_eq!(told, wanted, "{codec}, broker {}", strip.broker);
        }
    }
}

#[test]
fn the_view_tells_where_a_transaction_stands_in_the_words_of_producer_and_coordinator() {
    let mut cluster = shop();
    let told = |cluster: &Cluster| {
        let view = cluster.view();
        let shop = view.producers.iter().find(|producer| producer.id == "shop").expect("the producer");
        let plain = view.producers.iter().find(|producer| producer.id == "plain").expect("the producer");
        assert_eq!(plain.transaction, None);
        let [own] = &view.transactions[..] else { panic!("{:?}", view.transactions) };
        assert_eq!(own.id, "till");
        (shop.transaction.expect("a transactional id"), own.state, own.partitions.len(), own.started.is_some())
    };
    assert_eq!(told(&cluster), ("READY", "Empty", 0, false));
    transaction(&mut cluster, None);
    assert_eq!(told(&cluster), ("IN_TRANSACTION", "Ongoing", 1, true));
    say(&mut cluster, "commitTransaction");
    assert_eq!(told(&cluster), ("READY", "CompleteCommit", 0, true));
    transaction(&mut cluster, Some("abortTransaction"));
    assert_eq!(told(&cluster).1, "CompleteAbort");
}

#[test]
fn a_former_coordinator_that_stands_still_is_not_asked() {
    let mut cluster = shop();
    transaction(&mut cluster, None);
    let before = cluster.view().transactions;
    cluster.apply(json!({ "type": "freezeBroker", "broker": before[0].coordinator, "ms": 60_000 }));
    cluster.advance(30_000.0);
    let after = cluster.view().transactions;
    assert_eq!(after.len(), 1, "{after:?}");
    assert_ne!(after[0].coordinator, before[0].coordinator);
}
