#![cfg(not(target_arch = "wasm32"))]
//! What the controller answers to who wants new topics: names that collide, requests that are too large, topics that are only tried.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::DirectController;
use k::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

fn topic(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default().with_name(wire::topic(name)).with_num_partitions(partitions).with_replication_factor(1)
}

fn create(controller: &mut DirectController, topics: Vec<CreatableTopic>, validate_only: bool) -> k::CreateTopicsResponse {
    let message = k::CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(1_000).with_validate_only(validate_only);
    match controller.ask(NodeId::Admin, Request::CreateTopics(Arc::new(message))) {
        Some(Response::CreateTopics(answer)) => k::CreateTopicsResponse::clone(&answer),
        other => panic!("{other:?}"),
    }
}

fn told(answer: &k::CreateTopicsResponse) -> Vec<(&str, E, Option<&str>)> {
    answer.topics.iter().map(|topic| (topic.name.as_str(), E::of(topic.error_code), topic.error_message.as_deref())).collect()
}

#[test]
fn a_name_that_collides_with_a_topics_is_refused() {
    let mut cluster = Cluster::of_brokers(1).topic("a.b_c", 1, 1);
    let mut controller = DirectController::of(&cluster);
    let before = controller.state();
    let answer = create(&mut controller, ["a_b.c", "a.b.c", "a_b_c", "a.b_c"].map(|name| topic(name, 1)).to_vec(), false);
    let collides = |name, sentence| (name, E::InvalidTopicException, Some(sentence));
    assert_eq!(
        told(&answer),
        [
            collides("a_b.c", "Topic 'a_b.c' collides with existing topic: a.b_c"),
            collides("a.b.c", "Topic 'a.b.c' collides with existing topic: a.b_c"),
            collides("a_b_c", "Topic 'a_b_c' collides with existing topic: a.b_c"),
            ("a.b_c", E::TopicAlreadyExists, Some("Topic 'a.b_c' already exists.")),
        ]
    );
    assert_eq!(controller.state(), before);
    // Names are looked at before anything is made: in one request they may collide.
    let answer = create(&mut controller, vec![topic("x.y", 1), topic("x_y", 1), topic("a-b.c", 1)], false);
    assert_eq!(told(&answer), [("x.y", E::None, None), ("x_y", E::None, None), ("a-b.c", E::None, None)]);
    let refusal = cluster.refused(json!({ "type": "createTopic", "name": "a_b_c", "partitions": 1, "replicationFactor": 1 }));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_TOPIC_EXCEPTION", Some("name")));
}

#[test]
fn a_setting_without_a_value_is_refused() {
    let mut controller = DirectController::of(&Cluster::of_brokers(1));
    let before = controller.state();
    let set =
        |name: &str, value: Option<&str>| CreatableTopicConfig::default().with_name(wire::text(name)).with_value(value.map(wire::text));
    let configs = vec![set("cleanup.policy", None), set("segment.ms", Some("none")), set("retention.bytes", None)];
    let answer = create(&mut controller, vec![topic("orders", 1).with_configs(configs)], false);
    let sentence = "Null value not supported for topic configs: cleanup.policy,retention.bytes";
    assert_eq!(told(&answer), [("orders", E::InvalidConfig, Some(sentence))]);
    assert_eq!(controller.state(), before);
}

#[test]
fn a_request_for_too_many_partitions_is_refused_as_a_whole() {
    let mut controller = DirectController::of(&Cluster::of_brokers(1));
    let before = controller.state();
    let too_many = Some("Excessively large number of partitions per request.");
    let assigned = |count: i32| {
        let assignment = |index| CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(vec![k::BrokerId(1)]);
        topic("named", -1).with_replication_factor(-1).with_assignments((0..count).map(assignment).collect())
    };
    for topics in [
        vec![topic("one", 10_001)],
        // Partitions that nobody gets count as well.
        vec![topic("few", 1), topic("../..", 5_000), topic("half", 5_000)],
        vec![assigned(9_999), topic("default", -1), topic("one more", 1)],
        vec![topic("most", i32::MAX), topic("more", i32::MAX), topic("all", i32::MAX)],
    ] {
        let names: Vec<String> = topics.iter().map(|topic| topic.name.to_string()).collect();
        let answer = create(&mut controller, topics, false);
        assert_eq!(told(&answer), names.iter().map(|name| (name.as_str(), E::PolicyViolation, too_many)).collect::<Vec<_>>());
    }
    // As many as that are no more than asked for, but too many records with the topic's own.
    let answer = create(&mut controller, vec![topic("one", 10_000)], false);
    let too_large = Some("Unable to perform excessively large batch operation.");
    assert_eq!(told(&answer), [("one", E::PolicyViolation, too_large)]);
    assert_eq!(controller.state(), before);
    let answer = create(&mut controller, vec![topic("few", 1), topic("most", 9_997)], true);
    assert_eq!(told(&answer), [("few", E::None, None), ("most", E::None, None)]);
    let answer = create(&mut controller, vec![topic("none", 0), topic("few", 1)], true);
    assert_eq!(answer.topics.iter().map(|topic| E::of(topic.error_code)).collect::<Vec<_>>(), [E::InvalidPartitions, E::None]);
}

#[test]
fn a_topic_that_is_only_tried_is_told_as_if_it_were_made() {
    let mut controller = DirectController::of(&Cluster::of_brokers(1));
    let before = controller.state();
    let tried = create(&mut controller, vec![topic("orders", 3)], true);
    assert_eq!(controller.state(), before);
    let [result] = &tried.topics[..] else { panic!("{tried:?}") };
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 3, 1));
    assert!(!result.topic_id.is_nil());
}
