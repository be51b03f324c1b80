#![cfg(not(target_arch = "wasm32"))]
//! What an admin does with groups: offsets are reset, coordinators moved, groups and offsets listed, described and deleted, with Kafka's refusals.

mod cluster;

use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::sync::Arc;

/// A group that has read ten records of `orders-0`, two seconds apart, and none of `orders-1`; its consumer is gone unless it is to stay.
fn with_group(brokers: u32, stays: bool) -> Cluster {
    let mut cluster = Cluster::of_brokers(brokers).topic("orders", 2, brokers as i16);
    for number in 0..10 {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": format!("{number}"), "timestamp": 1_767_225_600_000i64 + 2_000 * number }));
        cluster.advance(100.0);
    }
    cluster.consumer("reader", "readers");
    cluster.advance(7_000.0);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(10));
    if !stays {
        cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
        cluster.advance(500.0);
        assert_eq!(cluster.group("readers").state, "Empty");
    }
    cluster
}

fn reset(to: Value) -> Value {
    json!({ "type": "resetOffsets", "group": "readers", "topic": "orders", "partition": 0, "to": to })
}

#[test]
fn offsets_are_reset_to_what_the_log_has() {
    for (to, expected) in [
        (json!("earliest"), 0),
        (json!("latest"), 10),
        (json!({ "offset": 4 }), 4),
        (json!({ "offset": 99 }), 10),
        (json!({ "offset": -5 }), 0),
        (json!({ "shiftBy": -3 }), 7),
        (json!({ "shiftBy": i64::MIN }), 0),
        (json!({ "shiftBy": i64::MAX }), 10),
        (json!({ "timestamp": 1_767_225_600_000i64 + 5_000 }), 3),
        (json!({ "timestamp": i64::MAX }), 10),
    ] {
        let mut cluster = with_group(3, false);
        assert_eq!(cluster.apply(reset(to.clone())), Value::Null);
        cluster.advance(200.0);
        assert_eq!(cluster.committed("readers", "orders", 0), Some(expected), "{to}");
    }
}

#[test]
fn a_group_that_was_reset_reads_again_from_there_also_after_its_coordinator_has_failed() {
    let mut cluster = with_group(3, false);
    cluster.apply(reset(json!({ "offset": 6 })));
    cluster.advance(500.0);
    let coordinator = cluster.group("readers").coordinator.expect("a coordinator");
    cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
    cluster.advance(20_000.0);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(6));
    let events = cluster.events_after(|cluster| {
        cluster.consumer("second", "readers");
        cluster.advance(5_000.0);
    });
    let read: u64 =
        events.iter().filter(|event| event.kind == "recordDelivered").map(|event| event.detail["records"].as_u64().expect("a count")).sum();
    assert_eq!(read, 4);
}

#[test]
fn all_partitions_of_a_topic_and_groups_that_nobody_knows_can_be_reset() {
    let mut cluster = with_group(3, false);
    cluster.apply(json!({ "type": "resetOffsets", "group": "strangers", "topic": "orders", "to": "latest" }));
    cluster.advance(200.0);
    assert_eq!((cluster.committed("strangers", "orders", 0), cluster.committed("strangers", "orders", 1)), (Some(10), Some(0)));
    assert_eq!(cluster.group("strangers").state, "Empty");
}

#[test]
fn resets_are_refused_where_kafkas_tool_refuses_them() {
    let mut cluster = with_group(3, true);
    let of = |group: &str, topic: &str, partition: i32, to: Value| json!({ "type": "resetOffsets", "group": group, "topic": topic, "partition": partition, "to": to });
    let active = "Assignments can only be reset if the group 'readers' is inactive, but the current state is Stable.";
    for (command, code, field, sentence) in [
        (reset(json!("earliest")), "NON_EMPTY_GROUP", "group", active),
        (of("", "orders", 0, json!("latest")), "INVALID_GROUP_ID", "group", "The group id is invalid."),
        (of("others", "nothing", 0, json!("latest")), "UNKNOWN_TOPIC_OR_PARTITION", "topic", "There is no topic nothing."),
        (of("others", "orders", 2, json!("latest")), "UNKNOWN_TOPIC_OR_PARTITION", "partition", "There is no partition orders-2."),
        (of("others", "orders", -1, json!("latest")), "UNKNOWN_TOPIC_OR_PARTITION", "partition", "There is no partition orders--1."),
        (
            of("others", "orders", 1, json!({ "shiftBy": 1 })),
            "INVALID_ARGUMENT",
            "to.shiftBy",
            "Cannot shift offset for partition orders-1 since there is no current committed offset.",
        ),
        (of("others", "orders", 0, json!({ "timestamp": -1 })), "INVALID_ARGUMENT", "to.timestamp", "A timestamp is not negative."),
        (of("others", "orders", 0, json!("middle")), "INVALID_ARGUMENT", "to", "`to` must be \"earliest\", \"latest\", or an object"),
        (of("others", "orders", 0, json!({})), "INVALID_ARGUMENT", "to", "`to` must be \"earliest\", \"latest\", or an object"),
        (of("others", "orders", 0, json!({ "offset": 1, "shiftBy": 1 })), "INVALID_ARGUMENT", "to", "`to` must be"),
        (of("others", "orders", 0, json!({ "offset": null })), "INVALID_ARGUMENT", "to", "`to"),
    ] {
        let before = cluster.session.trace_hash();
        let refusal = cluster.refused(command.clone());
        assert_eq!(
            (refusal.code.as_str(), refusal.field.as_deref().map(|at| at.starts_with(field))),
            (code, Some(true)),
            "{command}: {refusal}"
        );
        assert!(refusal.message.starts_with(sentence), "{}", refusal.message);
        assert_eq!(cluster.session.trace_hash(), before);
    }
    let leader = cluster.leader("orders", 1);
    let coordinator = cluster.group("readers").coordinator.expect("a coordinator");
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    let refusal = cluster.refused(of("others", "orders", 1, json!("latest")));
    assert!(["LEADER_NOT_AVAILABLE", "COORDINATOR_NOT_AVAILABLE"].contains(&refusal.code.as_str()), "{refusal}");
    if coordinator != leader {
        cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
    }
    assert_eq!(cluster.refused(of("readers", "orders", 0, json!("latest"))).code, "COORDINATOR_NOT_AVAILABLE");
}

#[test]
fn a_coordinator_moves_to_a_replica_that_is_in_sync_and_the_group_goes_on() {
    let mut cluster = with_group(3, true);
    let first = cluster.group("readers").coordinator.expect("a coordinator");
    let next = first % 3 + 1;
    let to = |broker: i32| json!({ "type": "moveCoordinator", "group": "readers", "broker": broker });
    assert_eq!(cluster.refused(to(first)).code, "ELECTION_NOT_NEEDED");
    assert_eq!(cluster.refused(to(9)).code, "ELIGIBLE_LEADERS_NOT_AVAILABLE");
    let both = json!({ "type": "moveCoordinator", "group": "readers", "transactionalId": "t", "broker": 1 });
    assert_eq!(cluster.refused(both).code, "INVALID_ARGUMENT");

    cluster.apply(to(next));
    cluster.advance(10_000.0);
    let group = cluster.group("readers");
    assert_eq!((group.coordinator, group.state.as_str()), (Some(next), "Stable"));
    assert_eq!(cluster.committed("readers", "orders", 0), Some(10));
    // It stays there: the broker is the preferred leader now.
    cluster.advance(400_000.0);
    assert_eq!(cluster.group("readers").coordinator, Some(next));
}

fn id(group: &str) -> k::GroupId {
    k::GroupId(wire::text(group))
}

fn listed(direct: &mut Direct, message: k::ListGroupsRequest) -> Vec<(String, String, String, String)> {
    let Some(Response::ListGroups(answer)) = direct.ask(Request::ListGroups(Arc::new(message))) else { panic!("no list") };
    assert_eq!(answer.error_code, 0);
    let all = answer.groups.iter();
    all.map(|group| {
        (group.group_id.to_string(), group.protocol_type.to_string(), group.group_state.to_string(), group.group_type.to_string())
    })
    .collect()
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut cluster = with_group(1, true);
    cluster.apply(json!({ "type": "resetOffsets", "group": "simple", "topic": "orders", "to": "latest" }));
    cluster.advance(100.0);
    let mut direct = Direct::of(&cluster, 1);
    let row = |group: &str, kind: &str, state: &str| (group.to_owned(), kind.to_owned(), state.to_owned(), "classic".to_owned());
    let (readers, simple) = (row("readers", "consumer", "Stable"), row("simple", "", "Empty"));
    let by = |states: &[&str], types: &[&str]| {
        let texts = |words: &[&str]| words.iter().map(|word| wire::text(word)).collect();
        k::ListGroupsRequest::default().with_states_filter(texts(states)).with_types_filter(texts(types))
    };
    let mut all = listed(&mut direct, by(&[], &[]));
    all.sort();
    assert_eq!(all, [readers.clone(), simple.clone()]);
    assert_eq!(listed(&mut direct, by(&["stable"], &["Classic"])), [readers]);
    assert_eq!(listed(&mut direct, by(&["Empty", "Dead"], &[])), [simple]);
    assert_eq!(listed(&mut direct, by(&[], &["consumer"])), []);
    assert_eq!(listed(&mut direct, by(&["nonsense"], &[])), []);
}

#[test]
fn groups_are_described_with_their_members() {
    let mut direct = Direct::of(&with_group(1, true), 1);
    let asked = k::DescribeGroupsRequest::default().with_groups(vec![id("readers"), id("nobody"), id("")]);
    let Some(Response::DescribeGroups(answer)) = direct.ask(Request::DescribeGroups(Arc::new(asked))) else { panic!("no answer") };
    let [readers, nobody, unnamed] = &answer.groups[..] else { panic!("{answer:?}") };
    assert_eq!((readers.error_code, readers.group_state.as_str(), readers.protocol_type.as_str()), (0, "Stable", "consumer"));
    assert_eq!(readers.protocol_data.as_str(), "range");
    assert_eq!(readers.members.len(), 1);
    assert_eq!(readers.members[0].client_id.as_str(), "reader");
    assert!(!readers.members[0].member_metadata.is_empty() && !readers.members[0].member_assignment.is_empty());
    for group in [nobody, unnamed] {
        assert_eq!((E::of(group.error_code), group.group_state.as_str()), (E::GroupIdNotFound, "Dead"));
    }
    assert_eq!(nobody.error_message.as_deref(), Some("Group nobody not found."));
}

/// The groups that a broker would know after a restart, by what is in its log, and how many offsets each has.
fn replayed(cluster: &Cluster, direct: &Direct) -> Vec<(String, usize)> {
    direct.reloaded(cluster).groups().map(|group| (group.id.to_string(), group.offsets.len())).collect()
}

fn delete_groups(direct: &mut Direct, groups: &[&str]) -> Vec<E> {
    let asked = k::DeleteGroupsRequest::default().with_groups_names(groups.iter().map(|group| id(group)).collect());
    let Some(Response::DeleteGroups(answer)) = direct.ask(Request::DeleteGroups(Arc::new(asked))) else { panic!("no answer") };
    assert!(answer.results.iter().map(|result| result.group_id.as_str()).eq(groups.iter().copied()));
    answer.results.iter().map(|result| E::of(result.error_code)).collect()
}

#[test]
fn groups_are_deleted_with_their_offsets_when_they_are_empty() {
    let mut cluster = with_group(1, true);
    for name in ["one", "two", "three"] {
        cluster.apply(json!({ "type": "resetOffsets", "group": name, "topic": "orders", "to": "latest" }));
    }
    cluster.advance(100.0);
    let mut direct = Direct::of(&cluster, 1);
    // They lie in several partitions of the offsets topic: one answer tells of all.
    assert_eq!(delete_groups(&mut direct, &["one", "readers", "nobody", "two"]), [E::None, E::NonEmptyGroup, E::GroupIdNotFound, E::None]);
    let mut left: Vec<_> = direct.broker.coordinator().groups().map(|group| (group.id.to_string(), group.offsets.len())).collect();
    let mut replayed = replayed(&cluster, &direct);
    left.sort();
    replayed.sort();
    assert_eq!(left, [("readers".to_owned(), 2), ("three".to_owned(), 2)]);
    assert_eq!(left, replayed, "the tombstones say so");
    assert_eq!(delete_groups(&mut direct, &["one"]), [E::GroupIdNotFound]);
}

fn delete_offsets(direct: &mut Direct, group: &str, partitions: &[(&str, i32)]) -> (E, Vec<E>) {
    let one = |(topic, index): &(&str, i32)| {
        let asked = k::offset_delete_request::OffsetDeleteRequestPartition::default().with_partition_index(*index);
        k::offset_delete_request::OffsetDeleteRequestTopic::default().with_name(wire::topic(topic)).with_partitions(vec![asked])
    };
    let asked = k::OffsetDeleteRequest::default().with_group_id(id(group)).with_topics(partitions.iter().map(one).collect());
    let Some(Response::OffsetDelete(answer)) = direct.ask(Request::OffsetDelete(Arc::new(asked))) else { panic!("no answer") };
    let results = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|result| E::of(result.error_code)).collect();
    (E::of(answer.error_code), results)
}

#[test]
fn offsets_of_topics_that_a_group_still_reads_are_not_deleted() {
    let mut cluster = with_group(1, true).topic("payments", 1, 1);
    // Offsets of a topic that the group does not read: its member commits them.
    cluster.apply(json!({ "type": "commit", "consumer": "reader", "offsets": [{ "topic": "payments", "partition": 0, "offset": 0 }] }));
    cluster.advance(200.0);
    let mut direct = Direct::of(&cluster, 1);
    let asked = [("orders", 0), ("payments", 0), ("orders", 7), ("nothing", 0)];
    let expected = vec![E::GroupSubscribedToTopic, E::None, E::UnknownTopicOrPartition, E::UnknownTopicOrPartition];
    assert_eq!(delete_offsets(&mut direct, "readers", &asked), (E::None, expected));
    assert_eq!(delete_offsets(&mut direct, "nobody", &asked[2..]), (E::None, vec![E::UnknownTopicOrPartition; 2]), "nobody asks the group");
    assert_eq!(delete_offsets(&mut direct, "nobody", &asked), (E::GroupIdNotFound, vec![]));
    assert_eq!(replayed(&cluster, &direct), [("readers".to_owned(), 2)], "payments-0 is gone, also from the log");
    assert_eq!(delete_offsets(&mut direct, "nobody", &asked), (E::GroupIdNotFound, vec![]));
    assert_eq!(delete_offsets(&mut direct, "", &asked), (E::InvalidGroupId, vec![]));

    let mut cluster = cluster;
    cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
    cluster.advance(500.0);
    let mut direct = Direct::of(&cluster, 1);
    assert_eq!(delete_offsets(&mut direct, "readers", &[("orders", 0)]), (E::None, vec![E::None]));
    assert_eq!(delete_offsets(&mut direct, "readers", &[("orders", 0)]), (E::None, vec![E::None]), "there is nothing to delete any more");
    assert_eq!(replayed(&cluster, &direct), [("readers".to_owned(), 2)], "orders-1 and payments-0");
}
