#![cfg(not(target_arch = "wasm32"))]
//! Fetch sessions (KIP-227) of a running broker: a fetcher is told and says only what changed.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode;
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use k::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages as k;
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
