#![cfg(not(target_arch = "wasm32"))]
//! DescribeTopicPartitions: as many partitions as one answer may hold, and a cursor to go on from (KIP-966).

mod cluster;

use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::Direct;
use k::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

/// Topics with their error and the indexes of what is told of them, and where to go on.
type Told = (Vec<(String, &'static str, Vec<i32>)>, Option<(String, i32)>);

fn ask(cluster: &Cluster, topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> k::DescribeTopicPartitionsResponse {
    let topics = topics.iter().map(|name| TopicRequest::default().with_name(wire::topic(name))).collect();
    let cursor = cursor.map(|(topic, index)| Cursor::default().with_topic_name(wire::topic(topic)).with_partition_index(index));
    let message = k::DescribeTopicPartitionsRequest::default().with_topics(topics).with_response_partition_limit(limit).with_cursor(cursor);
    match Direct::of(cluster, 1).ask(Request::DescribeTopicPartitions(Arc::new(message))) {
        Some(Response::DescribeTopicPartitions(answer)) => k::DescribeTopicPartitionsResponse::clone(&answer),
        other => panic!("{other:?}"),
    }
}

fn told(answer: &k::DescribeTopicPartitionsResponse) -> Told {
    let topic = |topic: &k::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic| {
        let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        (name, ErrorCode::of(topic.error_code).name(), topic.partitions.iter().map(|partition| partition.partition_index).collect())
    };
    let next = answer.next_cursor.as_ref().map(|next| (next.topic_name.to_string(), next.partition_index));
    (answer.topics.iter().map(topic).collect(), next)
}

fn cluster() -> Cluster {
    Cluster::of_brokers(3).topic("b", 3, 3).topic("a", 2, 3).topic("c", 1, 3)
}

fn row(name: &str, partitions: &[i32]) -> (String, &'static str, Vec<i32>) {
    (name.to_owned(), "NONE", partitions.to_vec())
}

#[test]
fn topics_come_in_order_as_far_as_the_limit_goes_and_the_cursor_leads_on() {
    let cluster = cluster();
    assert_eq!(told(&ask(&cluster, &[], 2_000, None)), (vec![row("a", &[0, 1]), row("b", &[0, 1, 2]), row("c", &[0])], None));
    // The limit ends within a topic.
    assert_eq!(told(&ask(&cluster, &[], 3, None)), (vec![row("a", &[0, 1]), row("b", &[0])], Some(("b".to_owned(), 1))));
    assert_eq!(told(&ask(&cluster, &[], 3, Some(("b", 1)))), (vec![row("b", &[1, 2]), row("c", &[0])], None));
    // It ends with a topic: the cursor is the next one.
    assert_eq!(told(&ask(&cluster, &["c", "a", "b"], 2, None)), (vec![row("a", &[0, 1])], Some(("b".to_owned(), 0))));
    assert_eq!(told(&ask(&cluster, &["c", "b"], 0, Some(("b", 0)))), (vec![row("b", &[0])], Some(("b".to_owned(), 1))), "one at least");
    // A topic that is gone meanwhile, and one that has fewer partitions than the cursor says.
    assert_eq!(told(&ask(&cluster, &[], 9, Some(("bb", 4)))), (vec![row("c", &[0])], None));
    assert_eq!(told(&ask(&cluster, &[], 9, Some(("b", 7)))), (vec![row("b", &[]), row("c", &[0])], None));
    // The broker's own limit.
    let small = Cluster::configured(1, json!({ "max.request.partition.size.limit": "2" })).topic("a", 3, 1);
    assert_eq!(told(&ask(&small, &[], 2_000, None)), (vec![row("a", &[0, 1])], Some(("a".to_owned(), 2))));
}

#[test]
fn what_is_not_there_and_cursors_that_lead_nowhere() {
    let cluster = cluster();
    let refused = |name: &str, error: &'static str| (name.to_owned(), error, Vec::new());
    assert_eq!(
        told(&ask(&cluster, &["a", "none", "no/name"], 9, None)),
        (vec![row("a", &[0, 1]), refused("no/name", "INVALID_TOPIC_EXCEPTION"), refused("none", "UNKNOWN_TOPIC_OR_PARTITION")], None)
    );
    assert_eq!(told(&ask(&cluster, &["a"], 9, Some(("b", 0)))), (vec![refused("a", "INVALID_REQUEST")], None));
    assert_eq!(told(&ask(&cluster, &["a"], 9, Some(("a", -1)))), (vec![refused("a", "INVALID_REQUEST")], None));
}

#[test]
fn a_partition_tells_who_may_lead_it() {
    let mut cluster = Cluster::of_brokers(3);
    cluster.apply(
        json!({ "type": "createTopic", "name": "a", "partitions": 1, "replicationFactor": 3, "configs": { "min.insync.replicas": "2" } }),
    );
    cluster.advance(1_000.0);
    for broker in [3, 2] {
        cluster.apply(json!({ "type": "crashBroker", "broker": broker }));
        cluster.advance(15_000.0);
    }
    let answer = ask(&cluster, &["a"], 9, None);
    let partition = &answer.topics[0].partitions[0];
    let ids = |brokers: &[k::BrokerId]| brokers.iter().map(|id| id.0).collect::<Vec<_>>();
    let known = cluster.partition("a", 0);
    assert_eq!((partition.leader_id.0, partition.leader_epoch, partition.error_code), (1, known.leader_epoch, 0));
    assert_eq!(ids(&partition.isr_nodes), [1]);
    assert_eq!(partition.eligible_leader_replicas.as_deref().map(ids), Some(vec![2]));
    let mut offline = ids(&partition.offline_replicas);
    offline.sort_unstable();
    assert_eq!(offline, [2, 3]);
    assert_eq!(answer.topics[0].topic_id, cluster::direct::topic_id(&cluster, "a"));
}
