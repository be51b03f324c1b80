#![cfg(not(target_arch = "wasm32"))]
//! Kafka's own topics: who may write to them, how they are made, and how the coordinator is found that keeps its state in one.

mod cluster;

use brokerlab::node::{Body, Channel, Connection, Input, NodeId, Outputs};
use brokerlab::protocol::wire::{self, Request, Response};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, ErrorCode as E};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// One broker that is asked for what it has not got.
fn asked_for(topics: &[&str]) -> (Direct, k::MetadataResponse, Vec<k::CreateTopicsRequest>) {
    let configs = json!({
        "offsets.topic.num.partitions": "7", "offsets.topic.replication.factor": "1", "transaction.state.log.num.partitions": "8",
        "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1", "share.coordinator.state.topic.num.partitions": "9",
        "share.coordinator.state.topic.replication.factor": "1", "share.coordinator.state.topic.min.isr": "1",
    });
    let mut broker = Direct::of(&Cluster::configured(1, configs), 1);
    let named = |name: &&str| k::metadata_request::MetadataRequestTopic::default().with_name(Some(wire::topic(name)));
    let message = k::MetadataRequest::default().with_topics(Some(topics.iter().map(named).collect())).with_allow_auto_topic_creation(true);
    let (mut metadata, mut created) = (None, Vec::new());
    for sent in broker.does(NodeId::Client(99), Request::Metadata(Arc::new(message))).sends {
        match sent.body {
            Body::Response(Response::Metadata(answer)) => metadata = Some(k::MetadataResponse::clone(&answer)),
            Body::Request(Request::CreateTopics(message)) => created.push(k::CreateTopicsRequest::clone(&message)),
            other => panic!("{other:?}"),
        }
    }
    (broker, metadata.expect("an answer"), created)
}

#[test]
fn who_asks_for_an_internal_topic_has_it_made_as_its_coordinator_wants_it() {
    let (_, metadata, created) = asked_for(&[INTERNAL[0], INTERNAL[1], INTERNAL[2], "orders"]);
    let told: Vec<(E, bool)> = metadata.topics.iter().map(|topic| (E::of(topic.error_code), topic.is_internal)).collect();
    let missing = |internal| (E::UnknownTopicOrPartition, internal);
    assert_eq!(told, [missing(true), missing(true), missing(true), missing(false)]);
    let mut topics = BTreeMap::new();
    for topic in created.iter().flat_map(|message| &message.topics) {
        let configs: BTreeMap<&str, &str> =
            topic.configs.iter().map(|config| (config.name.as_str(), config.value.as_ref().map_or("", |value| value.as_str()))).collect();
        topics.insert(topic.name.as_str(), (topic.num_partitions, topic.replication_factor, configs));
    }
    let expected = BTreeMap::from([
        (
            "__consumer_offsets",
            (7, 1, BTreeMap::from([("cleanup.policy", "compact"), ("compression.type", "producer"), ("segment.bytes", "104857600")])),
        ),
        (
            "__transaction_state",
            (
                8,
                1,
                BTreeMap::from([
                    ("cleanup.policy", "compact"),
                    ("compression.type", "uncompressed"),
                    ("min.insync.replicas", "1"),
                    ("segment.bytes", "104857600"),
                    ("unclean.leader.election.enable", "false"),
                ]),
            ),
        ),
        (
            "__share_group_state",
            (
                9,
                1,
                BTreeMap::from([
                    ("cleanup.policy", "delete"),
                    ("compression.type", "producer"),
                    ("min.insync.replicas", "1"),
                    ("retention.ms", "-1"),
                    ("segment.bytes", "104857600"),
                ]),
            ),
        ),
        ("orders", (-1, -1, BTreeMap::new())),
    ]);
    assert_eq!(topics, expected);
}

fn coordinator(broker: &mut Direct, key: &str) -> (i32, E) {
    const SHARE: i8 = 2;
    let message = k::FindCoordinatorRequest::default().with_key_type(SHARE).with_coordinator_keys(vec![wire::text(key)]);
    match broker.ask(Request::FindCoordinator(Arc::new(message))) {
        Some(Response::FindCoordinator(answer)) => (answer.coordinators[0].node_id.0, E::of(answer.coordinators[0].error_code)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_share_partitions_coordinator_is_found_by_its_key() {
    // The hash of a key that `String.hashCode` gives tells which partition of the topic has its state.
    const KEY: &str = "readers:AAAAAAAAAAAAAAAAAAAAAQ:0";
    let hash = KEY.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let configs = json!({ "share.coordinator.state.topic.num.partitions": "5" });
    let mut cluster = Cluster::configured(3, configs);
    let mut broker = Direct::of(&cluster, 1);
    assert_eq!(coordinator(&mut broker, KEY), (-1, E::CoordinatorNotAvailable), "there is no topic yet");
    cluster = cluster.topic("__share_group_state", 5, 3);
    let leaders: Vec<i32> = (0..5).map(|index| cluster.leader("__share_group_state", index)).collect();
    let mut broker = Direct::of(&cluster, 1);
    let expected = leaders[((hash & i32::MAX) % 5) as usize];
    assert_eq!(coordinator(&mut broker, KEY), (expected, E::None));
    for wrong in [
        "",
        "readers",
        "readers:AAAAAAAAAAAAAAAAAAAAAQ",
        "readers:AAAAAAAAAAAAAAAAAAAAAQ:0:0",
        ":AAAAAAAAAAAAAAAAAAAAAQ:0",
        "readers:x:0",
        "readers:AAAAAAAAAAAAAAAAAAAAAQ:x",
    ] {
        assert_eq!(coordinator(&mut broker, wrong), (-1, E::InvalidRequest), "{wrong}");
    }
}

fn produced(broker: &mut Direct, client_id: &str, topic: Uuid) -> E {
    let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
    builder.append(-1, Some(b"k"), Some(b"v"), &[]);
    let batch = Batch::from_wire(builder.build()).expect("a batch");
    let data = k::produce_request::PartitionProduceData::default().with_index(0);
    let topic = k::produce_request::TopicProduceData::default().with_topic_id(topic).with_partition_data(vec![data]);
    let message = k::ProduceRequest::default().with_acks(1).with_timeout_ms(1_000).with_topic_data(vec![topic]);
    let from = Connection { peer: NodeId::Client(99), channel: Channel::Data };
    let request = Request::Produce(Arc::new(message), Arc::from([batch]));
    let mut out = Outputs::default();
    broker.broker.handle(broker.now, Input::Request { from, client_id: Arc::from(client_id), correlation: 1_000, request }, &mut out);
    match &out.sends[..] {
        [sent] => match &sent.body {
            Body::Response(Response::Produce(answer)) => E::of(answer.responses[0].partition_responses[0].error_code),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_an_admins_client_writes_to_kafkas_own_topics() {
    let mut cluster = Cluster::of_brokers(1);
    for name in INTERNAL {
        cluster = cluster.topic(name, 1, 1);
        let mut broker = Direct::of(&cluster, 1);
        let id = topic_id(&cluster, name);
        let end = broker.replica(id, 0).log.end_offset();
        assert_eq!(produced(&mut broker, "shop", id), E::InvalidTopicException, "{name}");
        assert_eq!(broker.replica(id, 0).log.end_offset(), end, "{name}");
        assert_eq!(produced(&mut broker, "__admin_client", id), E::None, "{name}");
    }
}
