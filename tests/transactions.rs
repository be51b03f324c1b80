#![cfg(not(target_arch = "wasm32"))]
//! Transactions (KIP-98, KIP-447, KIP-890): markers, what read_committed consumers see, and who may end what.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::wire::{Request, Response, topic as named};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, ErrorCode};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Two records of a transaction of producer 7.
fn produce(topic: Uuid, producer_epoch: i16, base_sequence: i32, transactional: bool) -> Request {
    let options = BatchOptions { producer_id: 7, producer_epoch, base_sequence, transactional, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options, 0);
    (0..2).for_each(|_| builder.append(1_767_225_600_000, Some(b"k"), Some(b"v"), &[]));
    let batch = Batch::from_wire(builder.build()).expect("a batch");
    let data = k::produce_request::PartitionProduceData::default();
    let topic = k::produce_request::TopicProduceData::default().with_topic_id(topic).with_partition_data(vec![data]);
    let message = k::ProduceRequest::default().with_acks(1).with_timeout_ms(1_000).with_topic_data(vec![topic]);
    let message = message.with_transactional_id(Some(k::TransactionalId(brokerlab::protocol::wire::text("mover"))));
    Request::Produce(Arc::new(message), Arc::from([batch]))
}

fn written(broker: &mut Direct, request: Request) -> ErrorCode {
    match broker.ask(request) {
        Some(Response::Produce(answer)) => ErrorCode::of(answer.responses[0].partition_responses[0].error_code),
        answer => panic!("no answer to a Produce request: {answer:?}"),
    }
}

fn marker(producer_epoch: i16, coordinator_epoch: i32, commit: bool) -> Request {
    let topic =
        k::write_txn_markers_request::WritableTxnMarkerTopic::default().with_name(named("orders")).with_partition_indexes(vec![0, 9]);
    let marker = k::write_txn_markers_request::WritableTxnMarker::default()
        .with_producer_id(k::ProducerId(7))
        .with_producer_epoch(producer_epoch)
        .with_coordinator_epoch(coordinator_epoch)
        .with_transaction_result(commit)
        .with_topics(vec![topic]);
    Request::WriteTxnMarkers(Arc::new(k::WriteTxnMarkersRequest::default().with_markers(vec![marker])))
}

/// What a leader answers for the partition that there is; there is no other.
fn marked(broker: &mut Direct, request: Request) -> ErrorCode {
    match broker.ask(request) {
        Some(Response::WriteTxnMarkers(answer)) => {
            let partitions = &answer.markers[0].topics[0].partitions;
            assert_eq!(ErrorCode::of(partitions[1].error_code), ErrorCode::UnknownTopicOrPartition);
            ErrorCode::of(partitions[0].error_code)
        }
        answer => panic!("no answer to WriteTxnMarkers: {answer:?}"),
    }
}

/// Last stable offset, offsets of batches, and aborted transactions by producer and first offset.
type Told = (i64, Vec<i64>, Option<Vec<(i64, i64)>>);

/// What a consumer of this isolation level is told.
fn fetched(broker: &mut Direct, topic: Uuid, from: i64, isolation_level: i8) -> Told {
    let asked = k::fetch_request::FetchPartition::default().with_fetch_offset(from).with_partition_max_bytes(1 << 20);
    let asked = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
    let message = k::FetchRequest::default().with_max_bytes(1 << 20).with_isolation_level(isolation_level).with_topics(vec![asked]);
    let message = Request::Fetch(Arc::new(message.with_max_wait_ms(0)));
    match broker.ask_from(NodeId::Client(5), message) {
        Some(Response::Fetch(answer, batches)) => {
            let data = &answer.responses[0].partitions[0];
            let aborted = data.aborted_transactions.as_ref();
            let aborted = aborted.map(|all| all.iter().map(|told| (told.producer_id.0, told.first_offset)).collect());
            (data.last_stable_offset, batches[0].iter().map(|batch| batch.base_offset).collect(), aborted)
        }
        answer => panic!("no answer to a fetch: {answer:?}"),
    }
}

fn latest(broker: &mut Direct, isolation_level: i8) -> i64 {
    let asked = k::list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1).with_current_leader_epoch(-1);
    let asked = k::list_offsets_request::ListOffsetsTopic::default().with_name(named("orders")).with_partitions(vec![asked]);
    let message = k::ListOffsetsRequest::default().with_replica_id(k::BrokerId(-1)).with_isolation_level(isolation_level);
    match broker.ask(Request::ListOffsets(Arc::new(message.with_topics(vec![asked])))) {
        Some(Response::ListOffsets(answer)) => answer.topics[0].partitions[0].offset,
        answer => panic!("no answer to ListOffsets: {answer:?}"),
    }
}

/// A single broker that leads `orders-0`.
fn leader(version: &str) -> (Direct, Uuid) {
    let configs = json!({ "brokerlab.transaction.version": version });
    let mut cluster = Cluster::configured(1, configs).topic("orders", 1, 1);
    cluster.advance(1_000.0);
    (Direct::of(&cluster, 1), topic_id(&cluster, "orders"))
}

#[test]
fn committed_readers_stop_at_the_open_transaction_and_are_told_of_the_aborted_ones() {
    let (mut broker, topic) = leader("1");
    assert_eq!(written(&mut broker, produce(topic, 0, 0, true)), ErrorCode::None);
    assert_eq!(fetched(&mut broker, topic, 0, 0), (0, vec![0], None), "who does not care sees all");
    assert_eq!(fetched(&mut broker, topic, 0, 1), (0, vec![], Some(vec![])));
    assert_eq!((latest(&mut broker, 0), latest(&mut broker, 1)), (2, 0));
    assert_eq!(written(&mut broker, produce(topic, 0, 2, false)), ErrorCode::InvalidTxnState, "plain, in the middle of a transaction");
    assert_eq!(marked(&mut broker, marker(0, 5, false)), ErrorCode::None);
    assert_eq!(fetched(&mut broker, topic, 0, 1), (3, vec![0, 2], Some(vec![(7, 0)])));
    assert_eq!(fetched(&mut broker, topic, 1, 1), (3, vec![0, 2], Some(vec![(7, 0)])), "also to who begins within it");
    assert_eq!(written(&mut broker, produce(topic, 0, 2, true)), ErrorCode::None);
    assert_eq!(marked(&mut broker, marker(0, 5, true)), ErrorCode::None);
    assert_eq!(fetched(&mut broker, topic, 3, 1), (6, vec![3, 5], Some(vec![])));
    assert_eq!((latest(&mut broker, 0), latest(&mut broker, 1)), (6, 6));
}

#[test]
fn a_former_coordinator_and_an_older_epoch_end_nothing() {
    let (mut broker, topic) = leader("1");
    assert_eq!(written(&mut broker, produce(topic, 1, 0, true)), ErrorCode::None);
    assert_eq!(marked(&mut broker, marker(0, 5, true)), ErrorCode::InvalidProducerEpoch);
    assert_eq!(marked(&mut broker, marker(1, 5, true)), ErrorCode::None);
    assert_eq!(written(&mut broker, produce(topic, 1, 2, true)), ErrorCode::None);
    assert_eq!(marked(&mut broker, marker(1, 4, false)), ErrorCode::TransactionCoordinatorFenced);
    assert_eq!(fetched(&mut broker, topic, 3, 1), (3, vec![], Some(vec![])), "the second one is open still");
    assert_eq!(marked(&mut broker, marker(1, 6, false)), ErrorCode::None);
    assert_eq!(fetched(&mut broker, topic, 3, 1).0, 6);
}

#[test]
fn under_version_2_a_late_marker_does_not_end_the_next_transaction() {
    let (mut broker, topic) = leader("2");
    assert_eq!(written(&mut broker, produce(topic, 0, 0, true)), ErrorCode::None);
    assert_eq!(marked(&mut broker, marker(0, 5, true)), ErrorCode::InvalidProducerEpoch, "each end has an epoch of its own");
    assert_eq!(marked(&mut broker, marker(1, 5, true)), ErrorCode::None);
    assert_eq!(marked(&mut broker, marker(1, 5, true)), ErrorCode::None, "its answer was lost");
    assert_eq!(written(&mut broker, produce(topic, 1, 0, true)), ErrorCode::None);
    assert_eq!(marked(&mut broker, marker(1, 5, true)), ErrorCode::InvalidProducerEpoch);
    assert_eq!(fetched(&mut broker, topic, 4, 1).0, 4);
}
