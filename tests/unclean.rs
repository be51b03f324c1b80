#![cfg(not(target_arch = "wasm32"))]
//! Elections of replicas that are not in sync: who may be elected when, and what is lost by it.

mod cluster;

use brokerlab::controller::Controller;
use brokerlab::node::{Body, Channel, Connection, Input, NodeId, Outputs};
use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::metadata::PartitionState;
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::view::EventView;
use cluster::Cluster;
use cluster::direct::topic_id;
use k::alter_partition_request::{BrokerState, PartitionData, TopicData};
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::sync::Arc;

/// Two brokers of three lack the newest records; then the one that has them dies too, and one of the two comes back. Returns who had all, and
/// who came back.
fn lose_the_isr(cluster: &mut Cluster) -> (i32, i32) {
    cluster.send("orders", Some("k"), "everybody's");
    cluster.advance(1_000.0);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let others: Vec<i32> = (1..=3).filter(|broker| *broker != leader).collect();
    for broker in &others {
        cluster.apply(json!({ "type": "crashBroker", "broker": broker }));
    }
    cluster.advance(12_000.0);
    assert_eq!(cluster.partition("orders", 0).isr, [leader]);
    for value in ["lost", "lost too"] {
        cluster.send("orders", Some("k"), value);
        cluster.advance(200.0);
    }
    assert_eq!(cluster.acknowledged_offsets("orders").len(), 3, "acks=all, with min.insync.replicas=1");
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(12_000.0);
    assert_eq!(cluster.partition("orders", 0).leader, None);
    (leader, others[0])
}

fn come_back(cluster: &mut Cluster, broker: i32) {
    cluster.apply(json!({ "type": "restartBroker", "broker": broker }));
    cluster.advance(5_000.0);
}

fn state(cluster: &Cluster) -> PartitionState {
    cluster.session.world().controller().image().topic("orders").expect("the topic").partitions[0].clone()
}

fn unclean(events: &[EventView]) -> Vec<Value> {
    events.iter().filter(|event| event.kind == "uncleanElection").map(|event| event.detail.clone()).collect()
}

const ELECT: &str = "electLeader";
/// `LeaderRecoveryState` on the wire.
const RECOVERED: i8 = 0;
const RECOVERING: i8 = 1;

#[test]
fn without_leave_a_partition_waits_for_its_isr_until_an_admin_gives_the_rest_up() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.consumer("reader", "readers");
    let (had_all, back) = lose_the_isr(&mut cluster);
    come_back(&mut cluster, back);
    let before = state(&cluster);
    assert_eq!(
        (before.leader, before.isr.as_slice(), before.elr.as_slice(), before.recovering),
        (None, &[][..], &[had_all][..], false),
        "unclean.leader.election.enable=false"
    );
    let preferred = cluster.refused(json!({ "type": ELECT, "topic": "orders", "partition": 0 }));
    assert_eq!(preferred.code, "PREFERRED_LEADER_NOT_AVAILABLE");
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": ELECT, "topic": "orders", "partition": 0, "unclean": true }));
    });
    assert_eq!(unclean(&events), [json!({ "leader": back, "isr": [had_all], "requested": true, "lastKnownLeader": false })]);
    let after = state(&cluster);
    assert_eq!((after.leader, after.isr.as_slice(), after.recovering), (Some(back), &[back][..], true));
    assert_eq!((after.leader_epoch, after.partition_epoch), (before.leader_epoch + 1, before.partition_epoch + 1));
    assert_eq!(cluster.refused(json!({ "type": ELECT, "topic": "orders", "partition": 0, "unclean": true })).code, "ELECTION_NOT_NEEDED");
    cluster.advance(2_000.0);
    assert_eq!(cluster.values("orders", 0), ["everybody's"], "two acknowledged records are gone");
    cluster.send("orders", Some("k"), "new");
    cluster.advance(1_000.0);
    // Whoever had them cuts them off when it comes back, and joins again.
    let events = cluster.events_after(|cluster| {
        (1..=3).filter(|broker| *broker != back).for_each(|broker| come_back(cluster, broker));
        cluster.advance(12_000.0);
    });
    let cut = events.iter().find(|event| event.kind == "truncated" && event.topic.as_deref() == Some("orders")).expect("the cut");
    assert_eq!((cut.node.as_str(), &cut.detail["from"], &cut.detail["to"]), (format!("broker-{had_all}").as_str(), &json!(3), &json!(1)));
    assert_eq!((state(&cluster).isr.len(), state(&cluster).recovering), (3, false), "its AlterPartition said RECOVERED");
    assert_eq!(cluster.values("orders", 0), ["everybody's", "new"]);
    cluster.assert_replicas_equal("orders");
    assert_eq!(cluster.position("reader", "orders", 0), Some(2), "the consumer found where the logs parted");
}

#[test]
fn with_leave_the_first_replica_that_comes_back_leads() {
    let mut cluster = Cluster::of_brokers(3);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3,
        "configs": { "unclean.leader.election.enable": "true" } }));
    cluster.advance(500.0);
    let (had_all, back) = lose_the_isr(&mut cluster);
    let events = cluster.events_after(|cluster| come_back(cluster, back));
    assert_eq!(unclean(&events), [json!({ "leader": back, "isr": [had_all], "requested": false, "lastKnownLeader": false })]);
    assert_eq!(state(&cluster).leader, Some(back));
}

#[test]
fn leave_that_the_brokers_give_holds_where_the_topic_says_nothing() {
    let configs = json!({ "unclean.leader.election.enable": "true" });
    for (topic, elected) in [(json!({}), true), (json!({ "unclean.leader.election.enable": "false" }), false)] {
        let mut cluster = Cluster::configured(3, configs.clone());
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3, "configs": topic }));
        cluster.advance(500.0);
        let (_, back) = lose_the_isr(&mut cluster);
        come_back(&mut cluster, back);
        assert_eq!(state(&cluster).leader.is_some(), elected);
    }
}

#[test]
fn leave_that_is_given_later_counts_at_the_next_look() {
    let mut cluster = Cluster::configured(3, json!({ "unclean.leader.election.interval.ms": "60000" })).topic("orders", 1, 3);
    let (_, back) = lose_the_isr(&mut cluster);
    come_back(&mut cluster, back);
    cluster.apply(
        json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "unclean.leader.election.enable": "true" } }),
    );
    cluster.advance(1_000.0);
    assert_eq!(state(&cluster).leader, None);
    cluster.advance(60_000.0);
    assert_eq!(state(&cluster).leader, Some(back));
}

#[test]
fn nobody_is_elected_where_nobody_lives() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    lose_the_isr(&mut cluster);
    let hash = cluster.session.trace_hash();
    let refusal = cluster.refused(json!({ "type": ELECT, "topic": "orders", "partition": 0, "unclean": true }));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("ELIGIBLE_LEADERS_NOT_AVAILABLE", Some("partition")));
    assert_eq!(cluster.session.trace_hash(), hash);
}

fn asked(controller: &mut Controller, now: u64, from: NodeId, request: Request) -> Response {
    let from = Connection { peer: from, channel: Channel::Control };
    let mut out = Outputs::default();
    controller.handle(now, Input::Request { from, client_id: "raw".into(), correlation: 1, request }, &mut out);
    let answer = out.sends.into_iter().find_map(|sent| match sent.body {
        Body::Response(response) if sent.to == from => Some(response),
        _ => None,
    });
    answer.expect("an answer")
}

#[test]
fn a_leader_that_recovers_is_alone_in_the_isr() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let (had_all, back) = lose_the_isr(&mut cluster);
    come_back(&mut cluster, back);
    come_back(&mut cluster, had_all);
    let (topic, now) = (topic_id(&cluster, "orders"), cluster.session.world().now());
    let mut controller = cluster.session.world().active_controller().expect("an active controller").clone();
    // As if the election had been unclean, from here on.
    let alter = |controller: &mut Controller, isr: &[i32], recovery: i8| {
        let image = controller.image();
        let known = image.partition(&topic, 0).expect("the partition").clone();
        let leader = known.leader.expect("a leader");
        let epoch = |broker: &i32| image.brokers[broker].epoch;
        let member = |broker: &i32| BrokerState::default().with_broker_id(k::BrokerId(*broker)).with_broker_epoch(epoch(broker));
        let partition = PartitionData::default()
            .with_leader_epoch(known.leader_epoch)
            .with_partition_epoch(known.partition_epoch)
            .with_leader_recovery_state(recovery)
            .with_new_isr_with_epochs(isr.iter().map(member).collect());
        let topics = vec![TopicData::default().with_topic_id(topic).with_partitions(vec![partition])];
        let message =
            k::AlterPartitionRequest::default().with_broker_id(k::BrokerId(leader)).with_broker_epoch(epoch(&leader)).with_topics(topics);
        match asked(controller, now, NodeId::Broker(leader), Request::AlterPartition(Arc::new(message))) {
            Response::AlterPartition(answer) => {
                let told = answer.topics[0].partitions[0].clone();
                (ErrorCode::of(told.error_code), told.leader_recovery_state)
            }
            other => panic!("{other:?}"),
        }
    };
    let leader = state(&cluster).leader.expect("a leader");
    let other = if leader == back { had_all } else { back };
    assert_eq!(alter(&mut controller, &[leader], RECOVERING).0, ErrorCode::InvalidRequest, "what has recovered does not recover again");
    assert_eq!(alter(&mut controller, &[leader, other], RECOVERED), (ErrorCode::None, RECOVERED));
}

#[test]
fn a_request_for_all_partitions_tells_of_those_that_need_an_election() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3).topic("others", 2, 3);
    let (_, back) = lose_the_isr(&mut cluster);
    come_back(&mut cluster, back);
    let mut controller = cluster.session.world().active_controller().expect("an active controller").clone();
    let now = cluster.session.world().now();
    let mut elect = |election: i8| {
        let message = k::ElectLeadersRequest::default().with_election_type(election).with_topic_partitions(None);
        let Response::ElectLeaders(answer) = asked(&mut controller, now, NodeId::Admin, Request::ElectLeaders(Arc::new(message))) else {
            panic!("another answer")
        };
        let results = answer.replica_election_results.iter().flat_map(|topic| topic.partition_result.iter().map(move |one| (topic, one)));
        results.map(|(topic, one)| (topic.topic.to_string(), one.partition_id, ErrorCode::of(one.error_code).name())).collect::<Vec<_>>()
    };
    let first = elect(1);
    assert!(first.contains(&("orders".to_owned(), 0, "NONE")), "{first:?}");
    assert_eq!(elect(1), [], "everybody has a leader now");
    assert!(elect(7).iter().all(|(.., error)| *error == "INVALID_REQUEST"), "there is no such kind of election");
}
