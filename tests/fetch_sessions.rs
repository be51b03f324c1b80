#![cfg(not(target_arch = "wasm32"))]
//! Fetch sessions (KIP-227) of a running broker: a fetcher is told and says only what changed.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode;
use brokerlab::view::EventView;
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use k::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages as k;
use serde_json::json;
use uuid::Uuid;

fn request(id: i32, epoch: i32, topic: Uuid, partitions: &[(i32, i64)]) -> k::FetchRequest {
    let asked = |(index, offset): &(i32, i64)| {
        FetchPartition::default()
            .with_partition(*index)
            .with_current_leader_epoch(-1)
            .with_last_fetched_epoch(-1)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(1_000_000)
    };
    let topics = if partitions.is_empty() {
        Vec::new()
    } else {
        vec![FetchTopic::default().with_topic_id(topic).with_partitions(partitions.iter().map(asked).collect())]
    };
    let mut message = k::FetchRequest::default().with_session_id(id).with_session_epoch(epoch).with_topics(topics);
    message.replica_state.replica_id = k::BrokerId(-1);
    message.max_bytes = 1_000_000;
    message
}

/// Session, error, and the partitions told of with how far they are.
fn told(response: &k::FetchResponse) -> (i32, ErrorCode, Vec<(i32, i64)>) {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let told = partitions.map(|data| (data.partition_index, data.high_watermark)).collect();
    (response.session_id, ErrorCode::of(response.error_code), told)
}

#[test]
fn a_running_broker_remembers_what_a_session_asked_for() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 3, 1);
    for number in 0..9 {
        cluster.send("orders", Some(&format!("key {number}")), "value");
    }
    cluster.advance(1_000.0);
    let topic = topic_id(&cluster, "orders");
    let mut broker = Direct::of(&cluster, 1);
    let ends: Vec<i64> = (0..3).map(|index| broker.replica(topic, index).high_watermark()).collect();
    let client = NodeId::Client(99);
    let all = [(0, ends[0]), (1, ends[1]), (2, ends[2])];
    let opened = broker.fetch(client, request(0, 0, topic, &all));
    let (id, error, partitions) = told(&opened);
    assert!(0 < id && error == ErrorCode::None);
    assert_eq!(partitions, [(0, ends[0]), (1, ends[1]), (2, ends[2])], "a full fetch is told of all");
    assert_eq!(told(&broker.fetch(client, request(id, 1, topic, &[]))), (id, ErrorCode::None, vec![]), "nothing is new");
    let moved = broker.fetch(client, request(id, 2, topic, &[(1, ends[1] - 1)]));
    assert_eq!(told(&moved), (id, ErrorCode::None, vec![(1, ends[1])]), "there is a record to read now");
    let again = broker.fetch(client, request(id, 3, topic, &[]));
    assert_eq!(told(&again), (id, ErrorCode::None, vec![(1, ends[1])]), "and still, for it was asked for once and for all");
    let forgotten = ForgottenTopic::default().with_topic_id(topic).with_partitions(vec![1]);
    let fewer = broker.fetch(client, request(id, 4, topic, &[]).with_forgotten_topics_data(vec![forgotten]));
    assert_eq!(told(&fewer), (id, ErrorCode::None, vec![]), "until it is forgotten");
    let unknown = broker.fetch(client, request(id, 5, topic, &[(7, 0)]));
    assert_eq!(unknown.responses[0].partitions[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    for (id, epoch, error) in [
        (id, 5, ErrorCode::InvalidFetchSessionEpoch),
        (id, 7, ErrorCode::InvalidFetchSessionEpoch),
        (id + 1, 6, ErrorCode::FetchSessionIdNotFound),
        (0, 1, ErrorCode::FetchSessionIdNotFound),
        (-5, 3, ErrorCode::FetchSessionIdNotFound),
    ] {
        let refused = told(&broker.fetch(client, request(id, epoch, topic, &all)));
        assert_eq!(refused, (0, error, vec![]), "session {id}, epoch {epoch}");
    }
    assert_eq!(broker.fetch(client, request(id, 6, topic, &[])).error_code, 0, "what was refused has changed nothing");
    assert_eq!(told(&broker.fetch(client, request(id, -1, topic, &all))).0, 0, "closed");
    assert_eq!(told(&broker.fetch(client, request(id, 7, topic, &[]))).1, ErrorCode::FetchSessionIdNotFound);
}

/// Fetches of records on their way, either direction: from whom, and whether they name a partition.
fn fetches(events: &[EventView], kind: &str) -> Vec<(String, bool)> {
    let of_records = |event: &&EventView| {
        let to_controller = event.detail["to"] == "controller-1" || event.node == "controller-1";
        event.kind == kind && event.detail["api"] == "Fetch" && !to_controller
    };
    events.iter().filter(of_records).map(|event| (event.node.clone(), event.topic.is_some())).collect()
}

fn sessions(cluster: &Cluster) -> Vec<usize> {
    cluster.session.world().brokers().map(|(broker, _)| broker.fetch_sessions()).collect()
}

/// Three brokers, each of which leads something, and a reader of all.
fn busy_cluster(configs: serde_json::Value) -> Cluster {
    let mut cluster = Cluster::configured(3, configs).topic("orders", 6, 3);
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": { "auto.offset.reset": "earliest", "enable.auto.commit": "false" } }));
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 20 }));
    cluster.advance(5_000.0);
    cluster
}

fn written(cluster: &Cluster) -> u64 {
    let orders = cluster.view().topics.into_iter().find(|topic| topic.name == "orders").expect("the topic");
    orders.partitions.iter().map(|partition| partition.replicas[0].log_end_offset as u64).sum()
}

fn consumed(cluster: &Cluster) -> u64 {
    cluster.view().consumers[0].consumed
}

#[test]
fn where_nothing_changes_fetchers_say_and_are_told_nothing() {
    let mut cluster = busy_cluster(json!({}));
    cluster.apply(json!({ "type": "removeProducer", "id": "p" }));
    cluster.advance(5_000.0);
    let seen = cluster.events_after(|cluster| cluster.advance(5_000.0));
    let (asked, told) = (fetches(&seen, "requestSent"), fetches(&seen, "responseSent"));
    assert!(
        60 < asked.len() && ["broker-1", "broker-2", "broker-3", "reader"].iter().all(|node| asked.iter().any(|(from, _)| from == node))
    );
    assert_eq!(asked.iter().chain(&told).filter(|(_, names)| *names).count(), 0);
    // Two followers and the reader.
    assert_eq!(sessions(&cluster), [3, 3, 3]);
    cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
    cluster.advance(2_000.0);
    assert_eq!(sessions(&cluster), [2, 2, 2], "a consumer that closes ends its sessions");
}

#[test]
fn a_lost_or_doubled_message_costs_a_session_and_no_record() {
    for (what, broker) in [("request", 1), ("response", 1), ("response", 2), ("request", 3)] {
        let mut cluster = busy_cluster(json!({}));
        for _ in 0..3 {
            cluster.apply(json!({ "type": "dropNext", "api": "Fetch", "broker": broker, "what": what }));
        }
        cluster.advance(70_000.0);
        cluster.apply(json!({ "type": "removeProducer", "id": "p" }));
        cluster.advance(5_000.0);
        cluster.assert_replicas_equal("orders");
        assert_eq!(consumed(&cluster), written(&cluster), "{what} of broker {broker}");
    }
    let mut cluster = busy_cluster(json!({}));
    let doubled = cluster.events_after(|cluster| {
        let mut doubled = 0;
        for _ in 0..2_000 {
            let flights = brokerlab::view::flights(&cluster.session);
            let of_records = |flight: &&brokerlab::view::shape::Flight| {
                flight.api == "Fetch" && !flight.from.starts_with("controller") && !flight.to.starts_with("controller")
            };
            if let Some(fetch) = flights.iter().find(of_records).filter(|_| doubled < 5) {
                cluster.apply(json!({ "type": "messageFault", "message": fetch.id, "action": "duplicate", "delayMs": 3 }));
                cluster.advance(101.0);
                doubled += 1;
            }
            cluster.advance(0.5);
        }
    });
    assert!(doubled.iter().any(|event| event.kind == "messageDuplicated"));
    cluster.apply(json!({ "type": "removeProducer", "id": "p" }));
    cluster.advance(5_000.0);
    cluster.assert_replicas_equal("orders");
    assert_eq!(consumed(&cluster), written(&cluster));
}

#[test]
fn without_room_for_sessions_everything_is_asked_for_every_time() {
    let mut cluster = busy_cluster(json!({ "max.incremental.fetch.session.cache.slots": "0" }));
    cluster.apply(json!({ "type": "removeProducer", "id": "p" }));
    cluster.advance(5_000.0);
    let seen = cluster.events_after(|cluster| cluster.advance(2_000.0));
    assert_eq!(sessions(&cluster), [0, 0, 0]);
    assert!(fetches(&seen, "requestSent").iter().chain(&fetches(&seen, "responseSent")).all(|(_, names)| *names));
    cluster.assert_replicas_equal("orders");
    assert_eq!(consumed(&cluster), written(&cluster));
}

#[test]
fn a_leader_whose_records_wait_to_be_polled_is_not_asked_for_more() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 2, 1);
    for _ in 0..20 {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
    }
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "partitions": [{ "topic": "orders", "partition": 0 }, { "topic": "orders", "partition": 1 }],
        "processingMs": 200, "configs": { "auto.offset.reset": "earliest", "max.poll.records": "2" } }));
    cluster.advance(1_500.0);
    let seen = cluster.events_after(|cluster| cluster.advance(1_500.0));
    assert!(seen.iter().any(|event| event.kind == "recordDelivered"));
    assert!(fetches(&seen, "requestSent").is_empty(), "its session would have to forget partition 0, and be told of it again");
    cluster.send("orders", None, "w");
    cluster.advance(5_000.0);
    assert_eq!(consumed(&cluster), 21);
}
