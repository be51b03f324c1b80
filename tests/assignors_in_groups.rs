#![cfg(not(target_arch = "wasm32"))]
//! How the members of a group agree on an assignor, and what a rebalance stops: all reading with the eager protocol, only what moves with the
//! cooperative one (KIP-429).

mod cluster;

use brokerlab::session::command::Refusal;
use brokerlab::view::EventView;
use cluster::Cluster;
use serde_json::json;
use std::collections::BTreeSet;

const COOPERATIVE: &str = "cooperative-sticky";

fn add(cluster: &mut Cluster, id: &str, assignors: &str) {
    cluster.apply(consumer(id, assignors));
}

fn consumer(id: &str, assignors: &str) -> serde_json::Value {
    let configs = json!({ "auto.offset.reset": "earliest", "partition.assignment.strategy": assignors });
    json!({ "type": "addConsumer", "id": id, "group": "readers", "topics": ["orders"], "configs": configs })
}

/// Records come in all the time, and consumers are a tenth of a second away from the brokers, so that a rebalance takes its time.
fn busy(partitions: i32) -> Cluster {
    let mut cluster = Cluster::of_brokers(1).topic("orders", partitions, 1);
    let keys: Vec<String> = (0..100).map(|key| format!("key {key}")).collect();
    cluster.apply(json!({ "type": "addProducer", "id": "writer", "topic": "orders", "recordsPerSecond": 1000, "keys": keys }));
    cluster
}

fn far_away(cluster: &mut Cluster, consumers: &[&str]) {
    for id in consumers {
        cluster.apply(json!({ "type": "setLink", "from": id, "to": "broker-1", "latencyMs": 100 }));
        cluster.apply(json!({ "type": "setLink", "from": "broker-1", "to": id, "latencyMs": 100 }));
    }
}

fn assignor(cluster: &Cluster) -> Option<String> {
    cluster.group("readers").assignor
}

/// The partitions that an event's callback is given.
fn listed(event: &EventView, field: &str) -> Vec<String> {
    serde_json::from_value(event.detail[field].clone()).expect("a list of partitions")
}

fn of_kind<'a>(events: &'a [EventView], kind: &'a str, node: &'a str) -> impl Iterator<Item = &'a EventView> {
    events.iter().filter(move |event| event.kind == kind && event.node == node)
}

/// Two members own a partition or two each, and a third joins: what they go through until the group has come to rest.
fn third_joins(assignors: &str) -> (Cluster, Vec<EventView>) {
    let mut cluster = busy(6);
    add(&mut cluster, "one", assignors);
    add(&mut cluster, "two", assignors);
    cluster.advance(5_000.0);
    far_away(&mut cluster, &["one", "two"]);
    cluster.advance(3_000.0);
    assert_eq!(cluster.shares("readers"), [3, 3]);
    let events = cluster.events_after(|cluster| {
        add(cluster, "three", assignors);
        cluster.advance(12_000.0);
    });
    assert_eq!(cluster.shares("readers"), [2, 2, 2]);
    (cluster, events)
}

#[test]
fn an_eager_rebalance_stops_everybody_and_a_cooperative_one_only_what_moves() {
    for (assignors, revoked, stops) in [("range", 3, true), ("sticky", 3, true), (COOPERATIVE, 1, false)] {
        let (cluster, events) = third_joins(assignors);
        assert_eq!(assignor(&cluster).as_deref(), Some(assignors));
        for member in ["one", "two"] {
            let given_up: Vec<&EventView> = of_kind(&events, "assignmentRevoked", member).collect();
            assert_eq!(given_up.iter().map(|event| listed(event, "partitions").len()).collect::<Vec<_>>(), [revoked], "{assignors}");
            // From the member's first JoinGroup to its last assignment.
            let joins =
                events.iter().filter(|event| event.kind == "requestSent" && event.node == member && event.text.contains("JoinGroup"));
            let from = joins.map(|event| event.time).reduce(f64::min).expect("it joins again");
            let to = of_kind(&events, "assignmentReceived", member).last().expect("an assignment").time;
            assert!(200.0 < to - from, "{assignors}: {from} to {to}");
            let read = of_kind(&events, "recordDelivered", member).filter(|event| from < event.time && event.time < to).count();
            assert_eq!(read == 0, stops, "{assignors}: {member} was given records {read} times");
        }
    }
}

#[test]
fn a_cooperative_group_rebalances_twice_and_between_nobody_has_what_moves() {
    let (_, events) = third_joins(COOPERATIVE);
    let generations: Vec<i64> = events
        .iter()
        .filter(|event| event.kind == "rebalanced")
        .map(|event| event.detail["generation"].as_i64().expect("a number"))
        .collect();
    assert_eq!(generations.len(), 2, "one to take away, one to give: {generations:?}");
    // The third member gets nothing at first.
    let got: Vec<usize> = of_kind(&events, "assignmentReceived", "three").map(|event| listed(event, "partitions").len()).collect();
    assert_eq!(got, [0, 2]);
    for member in ["one", "two"] {
        let received: Vec<&EventView> = of_kind(&events, "assignmentReceived", member).collect();
        assert_eq!(received.iter().map(|event| listed(event, "partitions").len()).collect::<Vec<_>>(), [2, 2]);
        assert!(received.iter().all(|event| listed(event, "added").is_empty()), "what it keeps is not assigned anew");
    }
}

#[test]
fn what_is_kept_is_read_once_and_what_moves_from_the_committed_offset() {
    let (cluster, events) = third_joins(COOPERATIVE);
    let moved: BTreeSet<String> = ["one", "two"]
        .iter()
        .flat_map(|member| of_kind(&events, "assignmentRevoked", member))
        .flat_map(|event| listed(event, "partitions"))
        .collect();
    assert_eq!(moved.len(), 2);
    for index in 0..6 {
        let delivered = events.iter().filter(|event| event.kind == "recordDelivered" && event.partition == Some(index));
        let ranges: Vec<(i64, i64)> =
            delivered.map(|event| (event.detail["firstOffset"].as_i64().unwrap(), event.detail["lastOffset"].as_i64().unwrap())).collect();
        let gaps = ranges.windows(2).filter(|pair| pair[0].1 + 1 < pair[1].0).count();
        let again = ranges.windows(2).filter(|pair| pair[1].0 <= pair[0].1).count();
        assert_eq!(gaps, 0, "orders-{index}");
        // An owner reads on until it hears that it has to give the partition up; by then its commit is old (`maybeMarkPartitionsPendingRevocation`
        // marks nothing with the cooperative protocol).
        assert_eq!(again, usize::from(moved.contains(&format!("orders-{index}"))), "orders-{index}");
    }
    assert_eq!(cluster.shares("readers"), [2, 2, 2]);
}

/// Who owns what before and after one of three members leaves.
fn one_leaves(assignors: &str) -> [Vec<(String, Vec<i32>)>; 2] {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 9, 1);
    for id in ["a", "b", "c"] {
        add(&mut cluster, id, assignors);
        cluster.advance(8_000.0);
    }
    let before = cluster.owned("readers");
    cluster.apply(json!({ "type": "removeConsumer", "id": "a" }));
    cluster.advance(8_000.0);
    [before, cluster.owned("readers")]
}

#[test]
fn the_sticky_ones_keep_what_members_have_and_range_does_not() {
    for (assignors, keeps) in [("range", false), ("roundrobin", false), ("sticky", true), (COOPERATIVE, true)] {
        let [before, after] = one_leaves(assignors);
        let kept = |owned: &(String, Vec<i32>)| {
            let (_, now) = after.iter().find(|(member, _)| *member == owned.0).expect("it stays");
            owned.1.iter().all(|partition| now.contains(partition))
        };
        assert_eq!(before.iter().filter(|(member, _)| member != "a").all(kept), keeps, "{assignors}: {before:?} -> {after:?}");
        let all: BTreeSet<i32> = after.iter().flat_map(|(_, own)| own).copied().collect();
        assert_eq!(all.len(), 9, "{assignors}: {after:?}");
    }
}

#[test]
fn the_group_takes_what_all_members_know_and_most_prefer() {
    let range_first = "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    for (lists, expected) in [
        // Kafka's default.
        (vec![range_first, range_first], "range"),
        (vec!["sticky,range", "range,roundrobin"], "range"),
        (vec!["roundrobin,sticky", "sticky,roundrobin", "sticky,roundrobin"], "sticky"),
        (vec!["roundrobin,sticky", "range,sticky", "sticky"], "sticky"),
        // One vote each: the first in Java's HashMap, whose buckets for the names are 8 (sticky), 9 (range), 10 (roundrobin) and 15 (cooperative-sticky).
        (vec!["roundrobin,range", "range,roundrobin"], "range"),
        (vec!["range,sticky", "sticky,range"], "sticky"),
        (vec!["cooperative-sticky,roundrobin", "roundrobin,cooperative-sticky"], "roundrobin"),
    ] {
        let mut cluster = Cluster::of_brokers(1).topic("orders", 4, 1);
        for (place, assignors) in lists.iter().enumerate() {
            add(&mut cluster, &format!("member {place}"), assignors);
        }
        cluster.advance(8_000.0);
        assert_eq!(assignor(&cluster).as_deref(), Some(expected), "{lists:?}");
        assert_eq!(cluster.shares("readers").iter().sum::<usize>(), 4, "{lists:?}");
    }
}

#[test]
fn who_knows_no_assignor_of_the_groups_is_refused_and_the_group_goes_on() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 4, 1);
    add(&mut cluster, "first", "range");
    cluster.advance(5_000.0);
    let generation = cluster.group("readers").generation;
    add(&mut cluster, "stranger", "roundrobin,cooperative-sticky");
    cluster.advance(5_000.0);
    let state = |id: &str| cluster.view().consumers.into_iter().find(|consumer| consumer.id == id).expect("the consumer").state;
    assert_eq!((state("first").as_str(), state("stranger").as_str()), ("Stable", "INCONSISTENT_GROUP_PROTOCOL"));
    assert_eq!((cluster.group("readers").generation, cluster.shares("readers")), (generation, vec![4]));
}

#[test]
fn a_group_changes_to_the_cooperative_protocol_in_two_rounds_of_restarts() {
    // KIP-429: first all learn the new assignor beside the old one, then they forget the old one.
    let mut cluster = busy(4);
    for round in ["range", "cooperative-sticky,range", COOPERATIVE] {
        for id in ["one", "two"] {
            if round != "range" {
                cluster.apply(json!({ "type": "removeConsumer", "id": id }));
                cluster.advance(1_000.0);
            }
            add(&mut cluster, id, round);
            cluster.advance(8_000.0);
            let state = cluster.view().consumers.into_iter().find(|consumer| consumer.id == id).expect("the consumer").state;
            assert_eq!(state, "Stable", "{round}");
        }
        assert_eq!(cluster.shares("readers"), [2, 2], "{round}");
        assert_eq!(assignor(&cluster).as_deref(), if round == "range" { Some("range") } else { Some(COOPERATIVE) });
    }
}

#[test]
fn who_is_expelled_loses_its_partitions_with_its_next_poll() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 2, 1);
    add(&mut cluster, "reader", "range");
    cluster.advance(5_000.0);
    let both_ways =
        |cut: bool| [("reader", "*"), ("*", "reader")].map(|(from, to)| json!({ "type": "setLink", "from": from, "to": to, "cut": cut }));
    let events = cluster.events_after(|cluster| {
        both_ways(true).into_iter().for_each(|command| drop(cluster.apply(command)));
        cluster.advance(60_000.0);
        both_ways(false).into_iter().for_each(|command| drop(cluster.apply(command)));
        cluster.advance(60_000.0);
    });
    let lost: Vec<Vec<String>> = of_kind(&events, "assignmentLost", "reader").map(|event| listed(event, "partitions")).collect();
    assert_eq!(lost, [["orders-0", "orders-1"]], "the coordinator has let it go");
    assert_eq!(of_kind(&events, "assignmentRevoked", "reader").count(), 0, "there is nothing to hand over any more");
    assert_eq!(cluster.shares("readers"), [2], "and it is back");
}

#[test]
fn lists_that_say_nothing_or_the_wrong_thing_are_refused() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 2, 1);
    let mut refusal = |assignors: &str| -> Refusal { cluster.refused(consumer("reader", assignors)) };
    for (assignors, sentence) in [
        ("", "Must configure at least one partition assigner class name to partition.assignment.strategy configuration property"),
        (
            "range,fair",
            "partition.assignment.strategy = fair: there is no such assignor, but range, roundrobin, sticky, cooperative-sticky.",
        ),
        (
            "RangeAssignor",
            "partition.assignment.strategy = RangeAssignor: there is no such assignor, but range, roundrobin, sticky, cooperative-sticky.",
        ),
        (
            "range,org.apache.kafka.clients.consumer.RangeAssignor",
            "The assignor name: 'range' is used in more than one assignor: org.apache.kafka.clients.consumer.RangeAssignor",
        ),
    ] {
        let refused = refusal(assignors);
        assert_eq!((refused.code.as_str(), refused.field.as_deref()), ("INVALID_CONFIG", Some("configs.partition.assignment.strategy")));
        assert_eq!(refused.message, sentence, "{assignors}");
    }
}
