#![cfg(not(target_arch = "wasm32"))]
//! Static members (KIP-345): who comes back under its instance id within its session takes its place again, without a rebalance.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::wire::{self, Request, Response};
use brokerlab::view::EventView;
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

fn add(cluster: &mut Cluster, id: &str, instance: &str) {
    let configs = json!({ "auto.offset.reset": "earliest", "group.instance.id": instance, "session.timeout.ms": "10000" });
    cluster.apply(json!({ "type": "addConsumer", "id": id, "group": "readers", "topics": ["orders"], "configs": configs }));
}

/// Two static members; the first one leads.
fn pair(brokers: u32) -> Cluster {
    let mut cluster = Cluster::of_brokers(brokers).topic("orders", 4, 1);
    add(&mut cluster, "one", "instance-1");
    cluster.advance(4_000.0);
    add(&mut cluster, "two", "instance-2");
    cluster.advance(8_000.0);
    assert_eq!(cluster.shares("readers"), [2, 2]);
    cluster
}

fn crash(cluster: &mut Cluster, id: &str) {
    cluster.apply(json!({ "type": "crashConsumer", "id": id }));
}

fn state(cluster: &Cluster, id: &str) -> String {
    cluster.view().consumers.into_iter().find(|consumer| consumer.id == id).expect("the consumer").state
}

fn count(events: &[EventView], kind: &str) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}

fn instances(cluster: &Cluster) -> Vec<Option<String>> {
    let mut instances: Vec<Option<String>> = cluster.group("readers").members.into_iter().map(|member| member.instance_id).collect();
    instances.sort();
    instances
}

#[test]
fn who_comes_back_in_time_has_its_partitions_again_and_nobody_else_notices() {
    // The leader is no exception: it is told not to share out again (KIP-814).
    for who in ["one", "two"] {
        let mut cluster = pair(1);
        let (before, generation) = (cluster.owned("readers"), cluster.group("readers").generation);
        let events = cluster.events_after(|cluster| {
            crash(cluster, who);
            cluster.advance(5_000.0);
            add(cluster, who, if who == "one" { "instance-1" } else { "instance-2" });
            cluster.advance(15_000.0);
        });
        assert_eq!((cluster.owned("readers"), cluster.group("readers").generation), (before, generation));
        assert_eq!((count(&events, "memberReplaced"), count(&events, "rebalanceStarted"), count(&events, "rebalanced")), (1, 0, 0));
        assert_eq!((count(&events, "memberJoined"), count(&events, "memberLeft"), count(&events, "assignmentRevoked")), (0, 0, 0));
        assert_eq!(instances(&cluster), [Some("instance-1".to_owned()), Some("instance-2".to_owned())]);
        assert_eq!((state(&cluster, "one"), state(&cluster, "two")), ("Stable".to_owned(), "Stable".to_owned()));
        let events = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "createPartitions", "topic": "orders", "partitions": 6 }));
            cluster.apply(json!({ "type": "setLink", "from": "one", "to": "*", "latencyMs": 1 }));
            cluster.advance(310_000.0);
        });
        assert_eq!(
            (count(&events, "rebalanced"), cluster.shares("readers")),
            (1, vec![3, 3]),
            "the leader that is back still watches the topics"
        );
    }
}

#[test]
fn a_follower_that_comes_back_with_another_subscription_changes_nothing_until_the_next_rebalance() {
    let mut cluster = pair(1).topic("refunds", 1, 1);
    crash(&mut cluster, "two");
    let configs = json!({ "group.instance.id": "instance-2" });
    cluster.apply(json!({ "type": "addConsumer", "id": "other", "group": "readers", "topics": ["orders", "refunds"], "configs": configs }));
    cluster.advance(15_000.0);
    assert_eq!(cluster.shares("readers"), [2, 2], "the group is stable and chooses the same assignor: nobody is asked to join");
    cluster.apply(json!({ "type": "createPartitions", "topic": "orders", "partitions": 5 }));
    cluster.apply(json!({ "type": "setLink", "from": "one", "to": "*", "latencyMs": 1 }));
    cluster.advance(310_000.0);
    assert_eq!(cluster.shares("readers").iter().sum::<usize>(), 6, "whatever begins the next rebalance tells the leader");
}

#[test]
fn who_does_not_come_back_in_time_is_taken_out() {
    let mut cluster = pair(1);
    crash(&mut cluster, "two");
    cluster.advance(9_000.0);
    assert_eq!(cluster.shares("readers"), [2, 2], "its session lasts");
    cluster.advance(8_000.0);
    assert_eq!(cluster.shares("readers"), [4]);
}

#[test]
fn a_static_member_that_closes_is_expected_back() {
    let mut cluster = pair(1);
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "removeConsumer", "id": "two" }));
        cluster.advance(5_000.0);
    });
    let left = events.iter().filter(|event| event.text.contains("LeaveGroup")).count();
    assert_eq!((left, cluster.shares("readers")), (0, vec![2, 2]), "it does not leave");
    cluster.advance(12_000.0);
    assert_eq!(cluster.shares("readers"), [4], "until its session ends");
}

#[test]
fn of_two_with_one_instance_id_the_older_is_fenced_and_reads_nothing_more() {
    let mut cluster = pair(1);
    add(&mut cluster, "double", "instance-2");
    cluster.advance(8_000.0);
    assert_eq!((state(&cluster, "two"), state(&cluster, "double")), ("FENCED_INSTANCE_ID".to_owned(), "Stable".to_owned()));
    let events = cluster.events_after(|cluster| {
        for number in 0..40 {
            cluster.send("orders", Some(&format!("key {number}")), "value");
        }
        cluster.advance(2_000.0);
    });
    assert_eq!(events.iter().filter(|event| event.kind == "recordDelivered" && event.node == "two").count(), 0);
    assert!(events.iter().any(|event| event.kind == "recordDelivered" && event.node == "double"));
}

#[test]
fn the_next_coordinator_knows_them_too() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 4, 3);
    add(&mut cluster, "one", "instance-1");
    add(&mut cluster, "two", "instance-2");
    cluster.advance(8_000.0);
    let before = cluster.owned("readers");
    let coordinator = cluster.group("readers").coordinator.expect("a coordinator");
    crash(&mut cluster, "two");
    cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
    cluster.advance(12_000.0);
    let events = cluster.events_after(|cluster| {
        add(cluster, "two", "instance-2");
        cluster.advance(6_000.0);
    });
    assert_eq!((count(&events, "memberReplaced"), count(&events, "rebalanced")), (1, 0));
    assert_eq!(cluster.owned("readers"), before);
}

#[test]
fn requests_are_answered_by_instance_id_and_member_id_together() {
    let cluster = pair(1);
    let group = cluster.group("readers");
    let member = |instance: &str| {
        group.members.iter().find(|member| member.instance_id.as_deref() == Some(instance)).expect("a member").member_id.clone()
    };
    let mut direct = Direct::of(&cluster, 1);
    let mut peer = 100;
    let mut ask = |request: Request| {
        peer += 1;
        direct.ask_from(NodeId::Client(peer), request)
    };
    let name = || k::GroupId(wire::text("readers"));
    let mut heartbeat = |member: &str, instance: Option<&str>| {
        let message =
            k::HeartbeatRequest::default().with_group_id(name()).with_member_id(wire::text(member)).with_generation_id(group.generation);
        match ask(Request::Heartbeat(Arc::new(message.with_group_instance_id(instance.map(wire::text))))) {
            Some(Response::Heartbeat(answer)) => ErrorCode::of(answer.error_code),
            answer => panic!("{answer:?}"),
        }
    };
    assert_eq!(heartbeat(&member("instance-1"), Some("instance-1")), ErrorCode::None);
    assert_eq!(heartbeat(&member("instance-1"), None), ErrorCode::None, "an instance id need not be given");
    assert_eq!(heartbeat(&member("instance-1"), Some("instance-2")), ErrorCode::FencedInstanceId);
    assert_eq!(heartbeat("a former self", Some("instance-1")), ErrorCode::FencedInstanceId);
    assert_eq!(heartbeat(&member("instance-1"), Some("instance-3")), ErrorCode::UnknownMemberId);

    let mut leave = |member: &str, instance: &str| {
        let leaving = k::leave_group_request::MemberIdentity::default().with_member_id(wire::text(member));
        let leaving = leaving.with_group_instance_id(Some(wire::text(instance)));
        match ask(Request::LeaveGroup(Arc::new(k::LeaveGroupRequest::default().with_group_id(name()).with_members(vec![leaving])))) {
            Some(Response::LeaveGroup(answer)) => ErrorCode::of(answer.members[0].error_code),
            answer => panic!("{answer:?}"),
        }
    };
    assert_eq!(leave("a former self", "instance-1"), ErrorCode::FencedInstanceId);
    assert_eq!(leave("", "instance-3"), ErrorCode::UnknownMemberId);
    assert_eq!(leave("", "instance-2"), ErrorCode::None, "an admin takes it out by its instance id alone");
    assert_eq!(leave("", "instance-2"), ErrorCode::UnknownMemberId, "once");
}
