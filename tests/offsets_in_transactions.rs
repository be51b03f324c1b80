#![cfg(not(target_arch = "wasm32"))]
//! Offsets as part of a transaction (KIP-447): the application waits for them, and whatever the coordinator may have heard of is ended by asking it.

mod cluster;

use brokerlab::view;
use cluster::Cluster;
use serde_json::json;

/// Three brokers, the producer `mover`, and a consumer of the topic `in` in each of these groups, which has read its two records.
fn cluster(version: &str, groups: &[&str]) -> Cluster {
    let configs =
        json!({ "brokerlab.transaction.version": version, "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000" });
    let mut cluster = Cluster::configured(3, configs).topic("in", 1, 3).topic("out", 2, 3);
    let configs = json!({ "transactional.id": "mover", "transaction.timeout.ms": "20000" });
    cluster.apply(json!({ "type": "addProducer", "id": "mover", "topic": "out", "configs": configs }));
    for value in ["x", "y"] {
        cluster.apply(json!({ "type": "send", "topic": "in", "value": value }));
    }
    for group in groups {
        let configs = json!({ "auto.offset.reset": "earliest", "enable.auto.commit": "false", "session.timeout.ms": "6000" });
        cluster.apply(json!({ "type": "addConsumer", "id": group, "group": group, "topics": ["in"], "configs": configs }));
    }
    cluster.advance(8_000.0);
    cluster
}

/// Statements of the application in a row.
fn say(cluster: &mut Cluster, statements: &[&str]) {
    for statement in statements {
        cluster.apply(match *statement {
            "begin" | "commit" | "abort" => json!({ "type": format!("{statement}Transaction"), "producer": "mover" }),
            "send" => json!({ "type": "send", "producer": "mover", "topic": "out", "partition": 0, "value": "v" }),
            group => json!({ "type": "sendOffsetsToTransaction", "producer": "mover", "consumer": group }),
        });
    }
}

fn committed(cluster: &Cluster, group: &str) -> Option<i64> {
    cluster.group(group).offsets[0].committed
}

fn events(cluster: &Cluster, kind: &str) -> Vec<view::EventView> {
    view::events(&cluster.session, 0, usize::MAX).into_iter().filter(|event| event.kind == kind).collect()
}

fn states(cluster: &Cluster) -> Vec<String> {
    let changed = events(cluster, "transactionChanged");
    changed.iter().map(|event| event.detail["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn the_offsets_of_one_group_are_no_less_part_of_it_than_those_of_the_next() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version, &["first", "second"]);
        say(&mut cluster, &["begin", "first", "second", "send", "commit"]);
        cluster.advance(3_000.0);
        assert_eq!((committed(&cluster, "first"), committed(&cluster, "second")), (Some(2), Some(2)), "version {version}");
        assert!(events(&cluster, "transactionFailed").is_empty());
    }
}

#[test]
fn offsets_that_are_aborted_at_once_are_not_committed_by_the_next_transaction() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version, &["first"]);
        say(&mut cluster, &["begin", "first", "commit"]);
        cluster.advance(2_000.0);
        cluster.apply(json!({ "type": "send", "topic": "in", "value": "z" }));
        cluster.advance(1_000.0);
        let before = states(&cluster).len();
        say(&mut cluster, &["begin", "first", "abort", "begin", "send", "commit"]);
        cluster.advance(3_000.0);
        assert_eq!(committed(&cluster, "first"), Some(2), "version {version}");
        let expected = ["Ongoing", "PrepareAbort", "CompleteAbort", "Ongoing", "PrepareCommit", "CompleteCommit"];
        assert_eq!(states(&cluster)[before..], expected, "version {version}");
    }
}

/// The group's coordinator refuses them, after the transaction has begun with them.
#[test]
fn a_transaction_whose_only_offsets_were_refused_is_aborted_and_does_not_wait_for_its_timeout() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version, &["first"]);
        // It is thrown out of its group and does not know it.
        cluster.apply(json!({ "type": "setLink", "from": "first", "to": "*", "cut": true }));
        cluster.advance(15_000.0);
        say(&mut cluster, &["begin", "first"]);
        cluster.advance(2_000.0);
        let failed = events(&cluster, "transactionFailed");
        assert_eq!(failed.iter().map(|event| event.error).collect::<Vec<_>>(), [Some("UNKNOWN_MEMBER_ID")], "version {version}");
        say(&mut cluster, &["abort", "begin", "send", "commit"]);
        cluster.advance(3_000.0);
        let expected = ["Empty", "Ongoing", "PrepareAbort", "CompleteAbort", "Ongoing", "PrepareCommit", "CompleteCommit"];
        assert_eq!(states(&cluster), expected, "version {version}");
    }
}

/// Its answer is on its way, or lost.
#[test]
fn an_abort_waits_for_what_the_coordinator_has_been_asked() {
    for lost in [false, true] {
        let mut cluster = cluster("1", &[]);
        say(&mut cluster, &["begin", "send", "commit"]);
        cluster.advance(1_000.0);
        let before = states(&cluster).len();
        if lost {
            cluster.apply(json!({ "type": "dropNext", "api": "AddPartitionsToTxn", "what": "response" }));
        }
        say(&mut cluster, &["begin", "send", "abort"]);
        // As long as the producer waits for a lost answer, and shorter than the transaction's timeout.
        cluster.advance(if lost { 33_000.0 } else { 2_000.0 });
        assert_eq!(states(&cluster)[before..], ["Ongoing", "PrepareAbort", "CompleteAbort"], "lost: {lost}");
    }
}
