#![cfg(not(target_arch = "wasm32"))]
//! What a producer hears when something goes wrong with its records, and what a consumer hears of a leader that is another by now.

mod cluster;

use brokerlab::node::{Body, Channel, Connection, NodeId, Outputs};
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, ErrorCode as E};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

const CLIENT: NodeId = NodeId::Client(99);

fn produce(acks: i16, topic: Uuid, partition: i32) -> Request {
    let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
    builder.append(-1, Some(b"k"), Some(b"v"), &[]);
    let batch = Batch::from_wire(builder.build()).expect("a batch");
    let data = k::produce_request::PartitionProduceData::default().with_index(partition);
    let topic = k::produce_request::TopicProduceData::default().with_topic_id(topic).with_partition_data(vec![data]);
    let message = k::ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![topic]);
    Request::Produce(Arc::new(message), Arc::from([batch]))
}

/// What a client's broker says to it, and whether it closes its connection.
fn hears(out: &Outputs) -> (usize, bool) {
    let own = Connection { peer: CLIENT, channel: Channel::Data };
    let answers = out.sends.iter().filter(|sent| sent.to == own && matches!(sent.body, Body::Response(_))).count();
    (answers, out.closes.contains(&own))
}

#[test]
fn who_wants_no_answer_hears_of_an_error_by_the_end_of_its_connection() {
    let cluster = Cluster::of_brokers(2).topic("orders", 2, 1);
    let topic = topic_id(&cluster, "orders");
    let leader = cluster.leader("orders", 0);
    let elsewhere = (0..2).find(|index| cluster.leader("orders", *index) != leader).expect("a partition of the other broker") as i32;
    let mut broker = Direct::of(&cluster, leader);
    assert_eq!(hears(&broker.does(CLIENT, produce(0, topic, 0))), (0, false));
    for wrong in [produce(0, topic, elsewhere), produce(0, topic, 9), produce(0, Uuid::from_u128(1), 0)] {
        assert_eq!(hears(&broker.does(CLIENT, wrong)), (0, true));
    }
    // The next connection is as good as any.
    assert_eq!(hears(&broker.does(CLIENT, produce(0, topic, 0))), (0, false));
    assert_eq!(hears(&broker.does(CLIENT, produce(1, topic, 0))), (1, false));
}

#[test]
fn a_producer_without_acknowledgements_finds_the_new_leader() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 1);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 20, "configs": { "acks": "0" } }));
    cluster.advance(2_000.0);
    let other = 3 - cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": [other] }));
    cluster.advance(2_000.0);
    assert_eq!(cluster.leader("orders", 0), other);
    let end = |cluster: &Cluster| cluster.partition("orders", 0).replicas[0].log_end_offset;
    let before = end(&cluster);
    cluster.advance(5_000.0);
    assert!((95..=105).contains(&(end(&cluster) - before)), "{before} to {}", end(&cluster));
}

#[test]
fn records_wait_for_their_replicas_also_where_the_leader_begins_another_epoch() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let leader = cluster.leader("orders", 0);
    let followers: Vec<i32> = (1..=3).filter(|id| *id != leader).collect();
    cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
    cluster.advance(2_000.0);
    cluster.apply(json!({ "type": "freezeBroker", "broker": followers[1], "ms": 20_000 }));
    let before = cluster.partition("orders", 0).leader_epoch;
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
        cluster.advance(1_000.0);
        // Who is taken away from the replicas holds nothing up any more. That is a new epoch of the same leader.
        cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": [leader, followers[0]] }));
        cluster.advance(2_000.0);
    });
    let after = cluster.partition("orders", 0);
    assert_eq!((after.leader, before < after.leader_epoch), (Some(leader), true));
    assert_eq!(cluster.acknowledged_offsets("orders"), [(0, 0), (0, 1)]);
    let retried: Vec<_> = seen.iter().filter(|event| event.kind == "produceRetried").collect();
    assert!(retried.is_empty(), "{retried:?}");
}

#[test]
fn records_that_wait_on_a_broker_without_the_partition_are_answered_with_the_leaders_change() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 2);
    let partition = cluster.partition("orders", 0);
    let leader = partition.leader.expect("a leader");
    let follower = partition.isr.iter().copied().find(|id| *id != leader).expect("a follower");
    let other = (1..=3).find(|id| ![leader, follower].contains(id)).expect("a third");
    cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
    cluster.advance(2_000.0);
    cluster.apply(json!({ "type": "freezeBroker", "broker": follower, "ms": 100_000 }));
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
        cluster.advance(50.0);
        cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": [other] }));
        cluster.advance(3_000.0);
    });
    assert_eq!(cluster.partition("orders", 0).leader, Some(other));
    let errors: Vec<_> = seen.iter().filter(|event| event.kind == "produceRetried").filter_map(|event| event.error).collect();
    assert_eq!(errors, ["NOT_LEADER_OR_FOLLOWER"]);
}

#[test]
fn where_records_are_is_told_also_if_nobody_knows_what_becomes_of_them() {
    let cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let topic = topic_id(&cluster, "orders");
    let mut broker = Direct::of(&cluster, cluster.leader("orders", 0));
    for offset in 0..2 {
        let Some(Response::Produce(answer)) = broker.ask_once(produce(-1, topic, 0)) else { panic!("no answer") };
        let result = &answer.responses[0].partition_responses[0];
        assert_eq!((E::of(result.error_code), result.base_offset), (E::RequestTimedOut, offset));
    }
}

fn fetch(topic: Uuid, leader_epoch: i32) -> k::FetchRequest {
    let asked = k::fetch_request::FetchPartition::default().with_current_leader_epoch(leader_epoch).with_partition_max_bytes(1_000);
    let topic = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
    k::FetchRequest::default().with_max_bytes(1_000).with_topics(vec![topic])
}

#[test]
fn who_leads_is_told_to_those_who_ask_somebody_else() {
    let mut cluster = Cluster::racked(&["a", "b"]).topic("orders", 1, 2);
    let follower = 3 - cluster.leader("orders", 0);
    // Another epoch than the first.
    cluster.apply(json!({ "type": "crashBroker", "broker": 3 - follower }));
    cluster.advance(20_000.0);
    let partition = cluster.partition("orders", 0);
    let (leader, epoch) = (partition.leader.expect("a leader"), partition.leader_epoch);
    cluster.apply(json!({ "type": "restartBroker", "broker": 3 - leader }));
    cluster.advance(10_000.0);
    assert!(0 < epoch && cluster.leader("orders", 0) == leader);
    let topic = topic_id(&cluster, "orders");
    let rack = ["a", "b"][leader as usize - 1];

    let mut broker = Direct::of(&cluster, 3 - leader);
    let Some(Response::Produce(answer)) = broker.ask(produce(1, topic, 0)) else { panic!("no answer") };
    let result = &answer.responses[0].partition_responses[0];
    assert_eq!(E::of(result.error_code), E::NotLeaderOrFollower);
    assert_eq!((result.current_leader.leader_id.0, result.current_leader.leader_epoch), (leader, epoch));
    let nodes: Vec<_> = answer.node_endpoints.iter().map(|node| (node.node_id.0, node.rack.as_ref().map(|rack| rack.as_str()))).collect();
    assert_eq!(nodes, [(leader, Some(rack))]);

    let mut broker = Direct::of(&cluster, leader);
    let answer = broker.fetch(CLIENT, fetch(topic, epoch - 1));
    let data = &answer.responses[0].partitions[0];
    assert_eq!(E::of(data.error_code), E::FencedLeaderEpoch);
    assert_eq!((data.current_leader.leader_id.0, data.current_leader.leader_epoch), (leader, epoch));
    let nodes: Vec<_> = answer.node_endpoints.iter().map(|node| (node.node_id.0, node.rack.as_ref().map(|rack| rack.as_str()))).collect();
    assert_eq!(nodes, [(leader, Some(rack))]);
    // Another error is nobody's change.
    let answer = broker.fetch(CLIENT, fetch(topic, epoch + 1));
    assert_eq!(E::of(answer.responses[0].partitions[0].error_code), E::UnknownLeaderEpoch);
    assert_eq!((answer.responses[0].partitions[0].current_leader.leader_id.0, answer.node_endpoints.len()), (-1, 0));
}

#[test]
fn clients_go_on_with_the_leader_that_they_are_told_of() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
    // Whoever would have to wait before it tries again waits for long.
    let patient = json!({ "retry.backoff.ms": "5000", "retry.backoff.max.ms": "5000" });
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 50, "configs": patient }));
    cluster.apply(json!({ "type": "addConsumer", "id": "c", "partitions": [{ "topic": "orders", "partition": 0 }], "configs": patient }));
    cluster.advance(5_000.0);
    let leader = cluster.leader("orders", 0);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": [3 - leader, leader] }));
        cluster.apply(json!({ "type": "electLeader", "topic": "orders", "partition": 0 }));
        cluster.advance(2_000.0);
    });
    assert_eq!(cluster.leader("orders", 0), 3 - leader);
    let is_away = |event: &&brokerlab::view::EventView| event.error == Some("NOT_LEADER_OR_FOLLOWER");
    assert!(seen.iter().filter(|event| event.kind == "produceRetried").any(|event| is_away(&event)), "nobody asked the old leader");
    let end = cluster.partition("orders", 0).replicas[0].log_end_offset;
    cluster.advance(1_000.0);
    let after = cluster.partition("orders", 0).replicas[0].log_end_offset;
    assert!((45..=55).contains(&(after - end)), "{end} to {after}");
    assert!(cluster.position("c", "orders", 0).is_some_and(|position| end <= position));
}

#[test]
fn a_record_for_a_partition_that_its_topic_does_not_have_waits_for_it_as_long_as_a_send_may() {
    for gains_it in [false, true] {
        let mut cluster = Cluster::of_brokers(1);
        let configs = json!({ "max.block.ms": "5000" });
        cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": configs }));
        let events = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": 2, "value": "v" }));
            cluster.advance(4_000.0);
            if gains_it {
                cluster.apply(json!({ "type": "createPartitions", "topic": "orders", "partitions": 3 }));
            }
            cluster.advance(2_000.0);
        });
        let failed: Vec<_> = events.iter().filter(|event| event.kind == "recordFailed").map(|event| event.error).collect();
        assert_eq!(failed, if gains_it { vec![] } else { vec![Some("REQUEST_TIMED_OUT")] });
        let partitions = cluster.view().topics.iter().find(|topic| topic.name == "orders").map(|topic| topic.partitions.len());
        assert_eq!(partitions, Some(if gains_it { 3 } else { 1 }));
        if gains_it {
            assert_eq!(cluster.values("orders", 2), ["v"]);
        }
    }
}
