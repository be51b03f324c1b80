#![cfg(not(target_arch = "wasm32"))]
//! Deleting topics that are in use, and making them again.

mod cluster;

use brokerlab::broker::LATEST_TIMESTAMP;
use brokerlab::node::{Channel, Connection, Input, NodeId, Outputs};
use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::metadata::{MetadataEntry, MetadataRecord};
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Clients here do not make the topic again by asking for it.
fn cluster(brokers: u32) -> Cluster {
    Cluster::configured(brokers, json!({ "auto.create.topics.enable": "false" }))
}

fn logs(cluster: &Cluster, broker: i32) -> usize {
    let (broker, _) = cluster.session.world().broker(broker).expect("the broker");
    broker.replicas().values().filter(|replica| &*replica.name.topic == "orders").count()
}

fn fetch(topic: Uuid, offset: i64, max_wait_ms: i32) -> k::FetchRequest {
    let asked = k::fetch_request::FetchPartition::default()
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1_000_000);
    let topic = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
    let mut message = k::FetchRequest::default().with_topics(vec![topic]).with_session_epoch(-1).with_max_wait_ms(max_wait_ms);
    message.replica_state.replica_id = k::BrokerId(-1);
    message.with_max_bytes(1_000_000).with_min_bytes(1)
}

fn fetched(response: &k::FetchResponse) -> ErrorCode {
    ErrorCode::of(response.responses[0].partitions[0].error_code)
}

#[test]
fn a_deleted_topic_leaves_nothing_on_any_broker() {
    let mut cluster = cluster(3).topic("orders", 2, 3).topic("others", 1, 3);
    cluster.send("orders", Some("k"), "v");
    cluster.send("others", Some("k"), "v");
    cluster.advance(1_000.0);
    let id = topic_id(&cluster, "orders");
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
        assert!(cluster.view().topics.iter().all(|topic| topic.name != "orders"), "decided at once");
        cluster.advance(100.0);
    });
    let deleted = events.iter().find(|event| event.kind == "topicDeleted").expect("the note");
    assert_eq!((deleted.topic.as_deref(), &deleted.detail), (Some("orders"), &json!({ "partitions": 2 })));
    assert_eq!(events.iter().filter(|event| event.kind == "logDeleted").count(), 6, "two partitions on three brokers");
    for broker in 1..=3 {
        assert_eq!(logs(&cluster, broker), 0);
        let mut direct = Direct::of(&cluster, broker);
        assert_eq!(fetched(&direct.fetch(NodeId::Client(99), fetch(id, 0, 0))), ErrorCode::UnknownTopicId);
        let Some(Response::ListOffsets(listed)) = direct.ask(list_end()) else { panic!("an answer") };
        assert_eq!(ErrorCode::of(listed.topics[0].partitions[0].error_code), ErrorCode::UnknownTopicOrPartition, "by name");
    }
    assert_eq!(cluster.values("others", 0), ["v"]);
    assert_eq!(cluster.refused(json!({ "type": "deleteTopic", "name": "orders" })).code, "UNKNOWN_TOPIC_OR_PARTITION");
}

fn list_end() -> Request {
    let asked = k::list_offsets_request::ListOffsetsPartition::default().with_current_leader_epoch(-1).with_timestamp(LATEST_TIMESTAMP);
    let topic = k::list_offsets_request::ListOffsetsTopic::default().with_name(wire::topic("orders")).with_partitions(vec![asked]);
    let message = k::ListOffsetsRequest::default().with_replica_id(k::BrokerId(-1)).with_topics(vec![topic]);
    Request::ListOffsets(Arc::new(message))
}

#[test]
fn a_broker_that_was_down_deletes_its_logs_when_it_has_caught_up() {
    let mut cluster = cluster(3).topic("orders", 1, 3);
    cluster.send("orders", Some("k"), "v");
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
    cluster.advance(12_000.0);
    cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3 }));
    cluster.advance(1_000.0);
    assert_eq!((logs(&cluster, 1), logs(&cluster, 2), logs(&cluster, 3)), (1, 1, 1), "broker 2 still has the old one");
    cluster.send("orders", Some("k"), "new");
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
    cluster.advance(12_000.0);
    assert_eq!(logs(&cluster, 2), 1);
    assert_eq!(cluster.values("orders", 0), ["new"]);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 3);
    cluster.assert_replicas_equal("orders");
}

#[test]
fn a_topic_made_again_is_another_topic() {
    let mut cluster = cluster(3).topic("orders", 1, 3);
    for number in 0..5 {
        cluster.send("orders", Some("k"), &format!("old {number}"));
    }
    cluster.advance(1_000.0);
    let before = topic_id(&cluster, "orders");
    cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3 }));
    let after = topic_id(&cluster, "orders");
    assert_ne!(before, after);
    cluster.advance(500.0);
    let partition = cluster.partition("orders", 0);
    assert_eq!((partition.leader_epoch, partition.partition_epoch), (0, 0));
    assert!(partition.replicas.iter().all(|replica| replica.log_end_offset == 0 && replica.bytes == 0));
    let mut direct = Direct::of(&cluster, partition.leader.expect("a leader"));
    let client = NodeId::Client(99);
    assert_eq!(fetched(&direct.fetch(client, fetch(before, 0, 0))), ErrorCode::UnknownTopicId, "the stale id is nobody's");
    assert_eq!(fetched(&direct.fetch(client, fetch(after, 0, 0))), ErrorCode::None);
    // The default producer still has the old id in its metadata: it is told so, asks again, and its record goes to the new topic.
    let events = cluster.events_after(|cluster| {
        cluster.send("orders", Some("k"), "new");
        cluster.advance(2_000.0);
    });
    let retried = events.iter().find(|event| event.kind == "produceRetried").expect("a retry");
    assert_eq!(retried.error, Some("UNKNOWN_TOPIC_ID"));
    assert_eq!(cluster.values("orders", 0), ["new"]);
    cluster.assert_replicas_equal("orders");
}

/// What a broker says when it hears that a topic is deleted.
fn told_of_deletion(direct: &mut Direct, id: Uuid) -> Outputs {
    let mut out = Outputs::default();
    // The correlation of its poll of the metadata log: the answer is to that one only.
    let record = Arc::new(MetadataRecord::RemoveTopic { id });
    let leader = k::fetch_response::LeaderIdAndEpoch::default().with_leader_id(k::BrokerId(1)).with_leader_epoch(1);
    let partition = k::fetch_response::PartitionData::default().with_current_leader(leader).with_high_watermark(i64::MAX);
    let answer = k::fetch_response::FetchableTopicResponse::default().with_partitions(vec![partition]);
    let message = Arc::new(k::FetchResponse::default().with_responses(vec![answer]));
    for correlation in 0..500 {
        let from = Connection { peer: NodeId::Controller(1), channel: Channel::Data };
        let response = Response::FetchMetadata(message.clone(), Arc::new([MetadataEntry { epoch: 1, record: record.clone() }]));
        direct.broker.handle(direct.now, Input::Response { from, correlation, response }, &mut out);
    }
    out
}

#[test]
fn requests_that_wait_are_answered_when_their_topic_goes() {
    let mut cluster = cluster(1).topic("orders", 1, 1);
    cluster.send("orders", Some("k"), "v");
    cluster.advance(1_000.0);
    let id = topic_id(&cluster, "orders");
    let mut direct = Direct::of(&cluster, 1);
    assert!(direct.ask(Request::Fetch(Arc::new(fetch(id, 1, 60_000)))).is_none(), "it waits for a record");
    let out = told_of_deletion(&mut direct, id);
    let answers: Vec<ErrorCode> = out
        .sends
        .iter()
        .filter_map(|sent| match &sent.body {
            brokerlab::node::Body::Response(Response::Fetch(message, _)) => Some(fetched(message)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [ErrorCode::UnknownTopicOrPartition]);
}

#[test]
fn a_produce_that_waits_for_the_isr_hears_that_its_partition_is_no_more() {
    let mut cluster = Cluster::configured(3, json!({ "auto.create.topics.enable": "false", "replica.lag.time.max.ms": "60000" }));
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3 }));
    cluster.advance(500.0);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    for follower in (1..=3).filter(|broker| *broker != leader) {
        cluster.apply(json!({ "type": "setLink", "from": format!("broker-{follower}"), "to": format!("broker-{leader}"), "cut": true }));
    }
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders",
        "configs": { "acks": "all", "delivery.timeout.ms": "3000", "request.timeout.ms": "2500" } }));
    cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "value": "v" }));
    cluster.advance(1_000.0);
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
        cluster.advance(100.0);
    });
    let retried = events.iter().find(|event| event.kind == "produceRetried").expect("an answer at once");
    assert_eq!(retried.error, Some("UNKNOWN_TOPIC_OR_PARTITION"));
}

#[test]
fn a_group_forgets_what_it_committed_in_a_deleted_topic() {
    let mut cluster = cluster(3).topic("orders", 2, 3);
    for key in ["a", "b", "c", "d", "e"] {
        cluster.send("orders", Some(key), "old");
    }
    cluster.consumer("reader", "readers");
    cluster.advance(12_000.0);
    let ends: i64 = (0..2).map(|index| cluster.committed("readers", "orders", index).expect("an offset")).sum();
    assert_eq!(ends, 5);
    cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
    cluster.advance(8_000.0);
    let group = cluster.group("readers");
    assert!(group.offsets.is_empty(), "{:?}", group.offsets);
    assert_eq!((group.state.as_str(), cluster.shares("readers")), ("Stable", vec![0]), "the leader has shared out what is left");
    // And the log says so, too: another coordinator finds the same.
    let coordinator = group.coordinator.expect("a coordinator");
    cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
    cluster.advance(20_000.0);
    assert!(cluster.group("readers").offsets.is_empty());
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3 }));
    cluster.send("orders", Some("a"), "new");
    cluster.advance(330_000.0);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(1), "read from the start of the new topic");
}

#[test]
fn a_commit_for_a_deleted_topic_is_refused() {
    let mut cluster = cluster(1).topic("orders", 1, 1);
    cluster.consumer("reader", "readers");
    cluster.advance(5_000.0);
    let commit = |topic: &str, indices: &[i32]| {
        let asked = |index: &i32| k::offset_commit_request::OffsetCommitRequestPartition::default().with_partition_index(*index);
        let partitions = indices.iter().map(asked).collect();
        k::offset_commit_request::OffsetCommitRequestTopic::default().with_name(wire::topic(topic)).with_partitions(partitions)
    };
    let mut message =
        k::OffsetCommitRequest::default().with_group_id(k::GroupId(wire::text("by hand"))).with_generation_id_or_member_epoch(-1);
    message.topics = vec![commit("nothing", &[0]), commit("orders", &[1])];
    let mut direct = Direct::of(&cluster, 1);
    let Some(Response::OffsetCommit(answer)) = direct.ask(Request::OffsetCommit(Arc::new(message.clone()))) else { panic!("an answer") };
    let errors: Vec<i16> = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code).collect();
    assert_eq!(errors, [3, 3], "UNKNOWN_TOPIC_OR_PARTITION");
    assert!(direct.broker.coordinator().groups().all(|group| &*group.id != "by hand"), "such a commit makes no group");
    message.topics[1].partitions[0].partition_index = 0;
    let Some(Response::OffsetCommit(answer)) = direct.ask(Request::OffsetCommit(Arc::new(message))) else { panic!("an answer") };
    let errors: Vec<i16> = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code).collect();
    assert_eq!(errors, [3, 0], "what exists is committed");
}

#[test]
fn a_client_that_asks_for_a_deleted_topic_makes_it_again() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.consumer("reader", "readers");
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 5, "configs": { "acks": "all" } }));
    cluster.advance(6_000.0);
    let before = topic_id(&cluster, "orders");
    cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
    cluster.advance(20_000.0);
    assert_ne!(topic_id(&cluster, "orders"), before);
    assert_eq!(cluster.view().topics[0].partitions.len(), 1, "num.partitions: auto.create.topics.enable knows no better");
    assert_eq!(cluster.shares("readers"), [1]);
    let row = cluster.group("readers").offsets.swap_remove(0);
    assert!(row.lag.is_some_and(|lag| lag < 60) && 50 < row.log_end_offset, "{row:?}");
}

/// Found by the simulator (seed 184 of its time): the position moved while records of the deleted topic were still in work.
#[test]
fn a_consumer_finishes_what_it_polled_before_it_goes_where_the_new_topic_ends() {
    let mut cluster = cluster(1).topic("orders", 1, 1);
    for number in 0..30 {
        cluster.send("orders", Some("k"), &format!("old {number}"));
    }
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "addConsumer", "id": "slow", "partitions": [{ "topic": "orders", "partition": 0 }],
        "processingMs": 100, "configs": { "auto.offset.reset": "earliest" } }));
    cluster.advance(1_000.0);
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1 }));
        for number in 0..3 {
            cluster.send("orders", Some("k"), &format!("new {number}"));
        }
        cluster.advance(10_000.0);
    });
    let positions = events.iter().filter_map(|event| match event.kind {
        "recordDelivered" => Some(("read", event.detail["firstOffset"].as_i64()?)),
        "offsetReset" => Some(("goes on at", event.detail["offset"].as_i64()?)),
        _ => None,
    });
    let positions: Vec<(&str, i64)> = positions.collect();
    let moved = positions.iter().position(|(what, _)| *what == "goes on at").expect("the new topic ends before its position");
    assert_eq!(positions[moved - 1], ("read", 29), "all that was polled first: {positions:?}");
}

#[test]
fn the_offsets_topic_may_go_like_any_other_and_comes_back_empty() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.consumer("reader", "readers");
    cluster.send("orders", Some("k"), "v");
    cluster.advance(8_000.0);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(1));
    cluster.apply(json!({ "type": "deleteTopic", "name": "__consumer_offsets" }));
    cluster.advance(100.0);
    let (broker, _) = cluster.session.world().broker(1).expect("the broker");
    assert_eq!(broker.coordinator().groups().count(), 0);
    cluster.advance(20_000.0);
    assert_eq!(cluster.group("readers").state, "Stable");
    assert_eq!(cluster.committed("readers", "orders", 0), Some(1), "committed anew");
}

#[test]
fn what_kafka_refuses_deletes_nothing() {
    let mut cluster = Cluster::configured(1, json!({ "delete.topic.enable": "false" })).topic("orders", 1, 1);
    let refusal = cluster.refused(json!({ "type": "deleteTopic", "name": "orders" }));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("TOPIC_DELETION_DISABLED", Some("name")));
    let cluster = self::cluster(1).topic("orders", 1, 1).topic("others", 1, 1);
    let (orders, unknown) = (topic_id(&cluster, "orders"), Uuid::from_u128(77));
    let state = |name: Option<&str>, id: Uuid| {
        k::delete_topics_request::DeleteTopicState::default().with_name(name.map(wire::topic)).with_topic_id(id)
    };
    let deleted = |topics: Vec<k::delete_topics_request::DeleteTopicState>| {
        let message = k::DeleteTopicsRequest::default().with_topics(topics);
        let from = Connection { peer: NodeId::Admin, channel: Channel::Control };
        let input = Input::Request { from, client_id: "raw".into(), correlation: 1, request: Request::DeleteTopics(Arc::new(message)) };
        let (mut controller, mut out) =
            (cluster.session.world().active_controller().expect("an active controller").clone(), Outputs::default());
        controller.handle(cluster.session.world().now(), input, &mut out);
        let answers = out.sends.into_iter().find_map(|sent| match sent.body {
            brokerlab::node::Body::Response(Response::DeleteTopics(message)) => Some(message.responses.clone()),
            _ => None,
        });
        let errors: Vec<&str> = answers.expect("an answer").iter().map(|answer| ErrorCode::of(answer.error_code).name()).collect();
        (errors, controller.image().topics.len())
    };
    let by_name = |name: &str| state(Some(name), Uuid::nil());
    assert_eq!(deleted(vec![by_name("none"), by_name("others")]), (vec!["UNKNOWN_TOPIC_OR_PARTITION", "NONE"], 1), "each by itself");
    assert_eq!(deleted(vec![state(None, unknown), state(None, orders)]), (vec!["UNKNOWN_TOPIC_ID", "NONE"], 1));
    for twice in [
        vec![by_name("orders"), by_name("orders")],
        vec![state(None, orders), state(None, orders)],
        vec![by_name("orders"), state(None, orders)],
        vec![by_name("none"), by_name("none")],
    ] {
        assert_eq!(deleted(twice), (vec!["INVALID_REQUEST"; 2], 2));
    }
    assert_eq!(deleted(vec![state(Some("orders"), orders), state(None, Uuid::nil())]), (vec!["INVALID_REQUEST"; 2], 2));
}

/// Found by the simulator (seed 375 of its time, mixed): the consumer went to the new topic while its application still had the old records.
#[test]
fn a_consumer_goes_to_the_new_topic_with_its_next_poll_and_not_while_it_is_at_work() {
    let mut cluster = cluster(3).topic("orders", 1, 3);
    (0..30).for_each(|_| cluster.send("orders", Some("k"), "old"));
    cluster.advance(500.0);
    let configs = json!({ "auto.offset.reset": "earliest" });
    cluster.apply(json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "processingMs": 200, "configs": configs }));
    cluster.advance(5_000.0);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3 }));
        cluster.advance(500.0);
        (0..3).for_each(|_| cluster.send("orders", Some("k"), "new"));
        cluster.advance(15_000.0);
    });
    let times = |kind: &str| seen.iter().filter(|event| event.kind == kind).map(|event| event.time).collect::<Vec<_>>();
    let (resets, delivered) = (times("offsetReset"), times("recordDelivered"));
    assert_eq!(resets.len(), 1);
    // What it had asked for is out of the new topic's range, and it reads that from the beginning.
    let (old, new): (Vec<f64>, Vec<f64>) = delivered.iter().partition(|time| **time <= resets[0]);
    assert!(5 < old.len() && new.len() == 3, "{resets:?} {delivered:?}");
    assert_eq!(cluster.position("c", "orders", 0), Some(3));
}
