#![cfg(not(target_arch = "wasm32"))]
//! Transactions (KIP-98, KIP-447, KIP-890): markers, what read_committed consumers see, and who may end what.

mod cluster;

use brokerlab::node::{Body, NodeId, Send};
use brokerlab::protocol::wire::{Request, Response, topic as named};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, ErrorCode};
use brokerlab::view::{self, Isolation, MessageQuery};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::{Value, json};
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
    let mut out = broker.does(NodeId::Client(99), request);
    let asked = |sent: &Send| match &sent.body {
        Body::Request(Request::AddPartitionsToTxn(message)) => Some((sent.correlation, message.clone())),
        _ => None,
    };
    if let Some((correlation, message)) = out.sends.iter().find_map(asked) {
        out = broker.is_told(correlation, added(&message));
    }
    let answer = out.sends.into_iter().find_map(|sent| if let Body::Response(response) = sent.body { Some(response) } else { None });
    match answer {
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

/// A coordinator that has put all partitions into the transaction, or knows them to be in it.
fn added(message: &k::AddPartitionsToTxnRequest) -> Response {
    let topic = |topic: &k::add_partitions_to_txn_request::AddPartitionsToTxnTopic| {
        let partition =
            |index: &i32| k::add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult::default().with_partition_index(*index);
        let told = k::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult::default().with_name(topic.name.clone());
        told.with_results_by_partition(topic.partitions.iter().map(partition).collect())
    };
    let topics = message.transactions.iter().flat_map(|asked| &asked.topics).map(topic).collect();
    let result = k::add_partitions_to_txn_response::AddPartitionsToTxnResult::default().with_topic_results(topics);
    Response::AddPartitionsToTxn(Arc::new(k::AddPartitionsToTxnResponse::default().with_results_by_transaction(vec![result])))
}

/// A single broker that leads `orders-0`.
fn leader(version: &str) -> (Direct, Uuid) {
    let configs = json!({ "brokerlab.transaction.version": version });
    let mut cluster = Cluster::configured(1, configs).topic("orders", 1, 1);
    // The topic with the coordinators' state comes with the first who looks for one.
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "transactional.id": "first" } }));
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

/// Three brokers with the topics `in` and `out`, and a transactional producer `mover`.
fn cluster(version: &str) -> Cluster {
    let configs =
        json!({ "brokerlab.transaction.version": version, "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000" });
    let mut cluster = Cluster::configured(3, configs).topic("in", 1, 3).topic("out", 2, 3);
    add_producer(&mut cluster, "mover", json!({}));
    cluster.advance(2_000.0);
    cluster
}

fn add_producer(cluster: &mut Cluster, id: &str, more: Value) {
    let mut configs = json!({ "transactional.id": "mover", "transaction.timeout.ms": "5000" });
    more.as_object().expect("settings").iter().for_each(|(name, value)| configs[name] = value.clone());
    cluster.apply(json!({ "type": "addProducer", "id": id, "topic": "out", "configs": configs }));
}

fn add_reader(cluster: &mut Cluster, id: &str, isolation: &str) {
    let configs = json!({ "auto.offset.reset": "earliest", "isolation.level": isolation });
    let partitions = json!([{ "topic": "out", "partition": 0 }, { "topic": "out", "partition": 1 }]);
    cluster.apply(json!({ "type": "addConsumer", "id": id, "partitions": partitions, "configs": configs }));
}

fn act(cluster: &mut Cluster, what: &str, producer: &str) {
    cluster.apply(json!({ "type": what, "producer": producer }));
}

fn send(cluster: &mut Cluster, producer: &str, partition: i32, value: &str) {
    cluster.apply(json!({ "type": "send", "producer": producer, "topic": "out", "partition": partition, "value": value }));
}

/// The values that a consumer of an isolation level can read, partition after partition.
fn values(cluster: &Cluster, isolation: Isolation) -> Vec<String> {
    let of = |partition| {
        let query = MessageQuery { topic: "out".to_owned(), partition, offset: None, max: None, isolation: Some(isolation) };
        view::messages(&cluster.session, &query).expect("a partition")
    };
    (0..2).flat_map(of).map(|message| message.value.expect("a value").to_string()).collect()
}

fn consumed(cluster: &Cluster, id: &str) -> u64 {
    cluster.view().consumers.iter().find(|one| one.id == id).expect("the consumer").consumed
}

fn events(cluster: &Cluster, kind: &str) -> Vec<view::EventView> {
    view::events(&cluster.session, 0, usize::MAX).into_iter().filter(|event| event.kind == kind).collect()
}

fn states(cluster: &Cluster) -> Vec<String> {
    let changed = events(cluster, "transactionChanged");
    changed.iter().map(|event| event.detail["state"].as_str().expect("a state").to_owned()).collect()
}

/// Commits, up to the moment when that is written. Returns the transaction's coordinator.
fn commit_is_decided(cluster: &mut Cluster) -> i32 {
    let coordinator = cluster.view().transactions.iter().find(|own| own.id == "mover").expect("the transaction").coordinator;
    act(cluster, "commitTransaction", "mover");
    while !states(cluster).contains(&"PrepareCommit".to_owned()) {
        cluster.advance(0.1);
    }
    coordinator
}

#[test]
fn what_is_committed_is_read_and_what_is_aborted_is_not_under_either_version() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version);
        add_reader(&mut cluster, "careful", "read_committed");
        add_reader(&mut cluster, "careless", "read_uncommitted");
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "a");
        send(&mut cluster, "mover", 1, "b");
        cluster.advance(1_000.0);
        assert_eq!((consumed(&cluster, "careful"), consumed(&cluster, "careless")), (0, 2), "version {version}: it is open");
        let partition = cluster.partition("out", 0);
        let leader = partition.replicas.iter().find(|replica| Some(replica.broker) == partition.leader).expect("a leader");
        assert_eq!((leader.last_stable_offset, leader.high_watermark), (0, 1));
        act(&mut cluster, "commitTransaction", "mover");
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 1, "c");
        cluster.advance(1_000.0);
        assert_eq!((consumed(&cluster, "careful"), consumed(&cluster, "careless")), (2, 3));
        act(&mut cluster, "abortTransaction", "mover");
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 1, "d");
        act(&mut cluster, "commitTransaction", "mover");
        cluster.advance(2_000.0);
        assert_eq!((consumed(&cluster, "careful"), consumed(&cluster, "careless")), (3, 4), "version {version}");
        assert_eq!(values(&cluster, Isolation::ReadCommitted), ["a", "b", "d"]);
        assert_eq!(values(&cluster, Isolation::ReadUncommitted), ["a", "b", "c", "d"]);
        let ends = events(&cluster, "transactionEnded");
        assert_eq!(ends.iter().map(|event| event.detail["committed"] == true).collect::<Vec<_>>(), [true, false, true]);
        let once = |commits: bool| {
            if commits { ["Ongoing", "PrepareCommit", "CompleteCommit"] } else { ["Ongoing", "PrepareAbort", "CompleteAbort"] }
        };
        let mut expected = vec!["Empty"];
        for commits in [true, false, true] {
            // Under version 1 the producer names both partitions at once; under 2 each leader adds its own.
            expected.extend(if commits && expected.len() == 1 && version == "2" { Some("Ongoing") } else { None });
            expected.extend(once(commits));
        }
        assert_eq!(states(&cluster), expected, "version {version}");
    }
}

#[test]
fn a_new_instance_fences_the_old_one_and_ends_what_it_left_open() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version);
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "old");
        cluster.advance(500.0);
        add_producer(&mut cluster, "heir", json!({}));
        cluster.advance(2_000.0);
        act(&mut cluster, "beginTransaction", "heir");
        send(&mut cluster, "heir", 0, "new");
        act(&mut cluster, "commitTransaction", "heir");
        act(&mut cluster, "commitTransaction", "mover");
        cluster.advance(2_000.0);
        assert_eq!(values(&cluster, Isolation::ReadCommitted), ["new"], "version {version}");
        let failed = events(&cluster, "transactionFailed");
        assert_eq!(failed.iter().map(|event| (event.node.as_str(), event.error)).collect::<Vec<_>>(), [("mover", Some("PRODUCER_FENCED"))]);
        assert_eq!(cluster.refused(json!({ "type": "beginTransaction", "producer": "mover" })).code, "PRODUCER_FENCED");
    }
}

/// Under version 2 that raises the epoch once, as the producer's own abort would have: if that comes later, it is taken for one whose answer was lost.
#[test]
fn what_is_not_ended_in_time_is_aborted_and_cannot_be_committed() {
    for (version, end, error) in [
        ("1", "commitTransaction", Some("PRODUCER_FENCED")),
        ("1", "abortTransaction", Some("PRODUCER_FENCED")),
        ("2", "commitTransaction", Some("INVALID_TXN_STATE")),
        ("2", "abortTransaction", None),
    ] {
        let mut cluster = cluster(version);
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "late");
        cluster.advance(4_500.0);
        assert_eq!(states(&cluster), ["Empty", "Ongoing"]);
        cluster.advance(2_500.0);
        assert_eq!(states(&cluster), ["Empty", "Ongoing", "PrepareAbort", "CompleteAbort"]);
        act(&mut cluster, end, "mover");
        cluster.advance(1_000.0);
        assert!(values(&cluster, Isolation::ReadCommitted).is_empty());
        assert_eq!(events(&cluster, "transactionFailed").first().map(|event| event.error), error.map(Some), "version {version}, {end}");
        if error.is_none() {
            act(&mut cluster, "beginTransaction", "mover");
            send(&mut cluster, "mover", 0, "next");
            act(&mut cluster, "commitTransaction", "mover");
            cluster.advance(1_000.0);
            assert_eq!(values(&cluster, Isolation::ReadCommitted), ["next"]);
        }
    }
}

#[test]
fn another_coordinator_goes_on_where_the_last_one_was_in_the_middle_of_a_commit() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version);
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "a");
        send(&mut cluster, "mover", 1, "b");
        cluster.advance(500.0);
        let coordinator = commit_is_decided(&mut cluster);
        cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
        cluster.advance(15_000.0);
        assert_eq!(states(&cluster).last().map(String::as_str), Some("CompleteCommit"), "version {version}");
        assert_eq!(values(&cluster, Isolation::ReadCommitted), ["a", "b"]);
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "c");
        act(&mut cluster, "abortTransaction", "mover");
        cluster.advance(5_000.0);
        assert_eq!(values(&cluster, Isolation::ReadCommitted), ["a", "b"], "version {version}");
    }
}

#[test]
fn offsets_in_a_transaction_count_when_it_commits_and_never_if_it_aborts() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version);
        for value in ["x", "y"] {
            cluster.apply(json!({ "type": "send", "topic": "in", "value": value }));
        }
        let configs = json!({ "auto.offset.reset": "earliest", "enable.auto.commit": "false", "isolation.level": "read_committed" });
        cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "movers", "topics": ["in"], "configs": configs }));
        cluster.advance(8_000.0);
        assert_eq!(consumed(&cluster, "reader"), 2);
        let committed = |cluster: &Cluster| cluster.group("movers").offsets[0].committed;
        for (end, expected) in [("abortTransaction", None), ("commitTransaction", Some(2))] {
            act(&mut cluster, "beginTransaction", "mover");
            send(&mut cluster, "mover", 0, "z");
            cluster.apply(json!({ "type": "sendOffsetsToTransaction", "producer": "mover", "consumer": "reader" }));
            cluster.advance(1_000.0);
            assert_eq!(committed(&cluster), None, "it is open");
            act(&mut cluster, end, "mover");
            cluster.advance(1_000.0);
            assert_eq!(committed(&cluster), expected, "version {version}, {end}");
        }
    }
}

#[test]
fn the_application_is_refused_where_kafkas_producer_throws() {
    let mut cluster = cluster("2");
    cluster.apply(json!({ "type": "addProducer", "id": "plain", "topic": "out" }));
    for (command, code) in [
        (json!({ "type": "beginTransaction", "producer": "plain" }), "INVALID_TXN_STATE"),
        (json!({ "type": "beginTransaction", "producer": "nobody" }), "INVALID_ARGUMENT"),
        (json!({ "type": "commitTransaction", "producer": "mover" }), "INVALID_TXN_STATE"),
        (json!({ "type": "abortTransaction", "producer": "mover" }), "INVALID_TXN_STATE"),
        (json!({ "type": "send", "producer": "mover", "topic": "out", "value": "v" }), "INVALID_TXN_STATE"),
    ] {
        assert_eq!(cluster.refused(command).code, code);
    }
    act(&mut cluster, "beginTransaction", "mover");
    assert_eq!(cluster.refused(json!({ "type": "beginTransaction", "producer": "mover" })).code, "INVALID_TXN_STATE");
    let idle =
        json!({ "type": "addProducer", "id": "p", "topic": "out", "configs": { "transactional.id": "t", "enable.idempotence": "false" } });
    assert_eq!(cluster.refused(idle).field.as_deref(), Some("configs.transactional.id"));
    add_producer(&mut cluster, "slow", json!({ "transactional.id": "slow", "transaction.timeout.ms": "900001" }));
    cluster.advance(1_000.0);
    assert_eq!(events(&cluster, "transactionFailed")[0].error, Some("INVALID_TRANSACTION_TIMEOUT"));
}

/// What it says before it hears that it has no transactions waits for that, and fails with it.
#[test]
fn what_a_producer_sends_that_cannot_begin_has_failed() {
    let mut cluster = cluster("2");
    add_producer(&mut cluster, "slow", json!({ "transactional.id": "slow", "transaction.timeout.ms": "900001" }));
    act(&mut cluster, "beginTransaction", "slow");
    send(&mut cluster, "slow", 0, "a");
    send(&mut cluster, "slow", 1, "b");
    cluster.advance(1_000.0);
    let view = cluster.view();
    let slow = view.producers.iter().find(|producer| producer.id == "slow").expect("the producer");
    assert_eq!((slow.sent, slow.failed, slow.buffered), (2, 2, 0));
    let failed = events(&cluster, "recordFailed");
    assert_eq!(failed.iter().map(|event| event.error).collect::<Vec<_>>(), [Some("INVALID_TRANSACTION_TIMEOUT"); 2]);
    for what in ["beginTransaction", "commitTransaction", "abortTransaction"] {
        assert_eq!(cluster.refused(json!({ "type": what, "producer": "slow" })).code, "INVALID_TRANSACTION_TIMEOUT");
    }
}

#[test]
fn who_asks_the_coordinator_before_it_appends() {
    let asks = |broker: &mut Direct, topic| {
        let out = broker.does(NodeId::Client(99), produce(topic, 0, 0, true));
        out.sends.iter().any(|sent| matches!(&sent.body, Body::Request(Request::AddPartitionsToTxn(_))))
    };
    let set = |broker: &str, value: &str| json!({ "type": "alterConfigs", "resource": "broker", "name": broker, "set": { "transaction.partition.verification.enable": value } });
    for (version, started, altered, expected) in [
        ("1", "true", None, true),
        ("1", "false", None, false),
        ("1", "true", Some("false"), false),
        ("1", "false", Some("true"), true),
        ("2", "false", None, true),
    ] {
        let configs = json!({ "brokerlab.transaction.version": version, "transaction.partition.verification.enable": started });
        let mut cluster = Cluster::configured(1, configs).topic("orders", 1, 1);
        cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "transactional.id": "first" } }));
        altered.into_iter().for_each(|value| _ = cluster.apply(set("1", value)));
        cluster.advance(1_000.0);
        let mut broker = Direct::of(&cluster, 1);
        assert_eq!(asks(&mut broker, topic_id(&cluster, "orders")), expected, "version {version}, {started}, then {altered:?}");
    }
}

/// While the markers of a producer's last transaction are on their way, the leader asks again for its next one (KAFKA-18654); it does not trouble the producer
/// before its patience ends.
#[test]
fn the_next_transaction_waits_at_the_leader_until_the_last_one_has_ended() {
    for (patience, retried) in [("100", false), ("0", true)] {
        let configs = json!({ "brokerlab.transaction.version": "2", "add.partitions.to.txn.retry.backoff.max.ms": patience });
        let mut cluster = Cluster::configured(3, configs).topic("out", 2, 3);
        add_producer(&mut cluster, "mover", json!({ "linger.ms": "0" }));
        cluster.advance(2_000.0);
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "a");
        cluster.advance(500.0);
        act(&mut cluster, "commitTransaction", "mover");
        while cluster.view().producers[0].transaction != Some("READY") {
            cluster.advance(0.1);
        }
        act(&mut cluster, "beginTransaction", "mover");
        let begun = cluster.view().time;
        send(&mut cluster, "mover", 0, "b");
        while cluster.view().producers[0].acknowledged < 2 {
            cluster.advance(1.0);
        }
        let told = events(&cluster, "produceRetried").first().map(|event| event.error);
        assert_eq!(told, retried.then_some(Some("CONCURRENT_TRANSACTIONS")), "for {patience} ms");
        let taken = cluster.view().time - begun;
        assert!(if retried { 100.0 <= taken } else { (20.0..50.0).contains(&taken) }, "{taken} ms with {patience}");
        act(&mut cluster, "commitTransaction", "mover");
        cluster.advance(1_000.0);
        assert_eq!(values(&cluster, Isolation::ReadCommitted), ["a", "b"]);
    }
}

/// The abort comes while the markers of the commit are on their way, with the epoch that the commit has given.
#[test]
fn an_abort_right_behind_a_commit_waits_for_its_markers() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version);
        for (value, end) in [("a", "commitTransaction"), ("b", "abortTransaction"), ("c", "commitTransaction")] {
            act(&mut cluster, "beginTransaction", "mover");
            send(&mut cluster, "mover", 0, value);
            act(&mut cluster, end, "mover");
        }
        cluster.advance(3_000.0);
        assert!(events(&cluster, "transactionFailed").is_empty(), "version {version}");
        assert_eq!(values(&cluster, Isolation::ReadCommitted), ["a", "c"], "version {version}");
        assert_eq!(states(&cluster).last().map(String::as_str), Some("CompleteCommit"), "version {version}");
    }
}

#[test]
fn a_transaction_ends_where_a_partition_of_it_is_gone() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version);
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "a");
        send(&mut cluster, "mover", 1, "b");
        cluster.advance(500.0);
        cluster.apply(json!({ "type": "deleteTopic", "name": "out" }));
        cluster.apply(json!({ "type": "createTopic", "name": "out", "partitions": 1, "replicationFactor": 3 }));
        cluster.advance(500.0);
        act(&mut cluster, "commitTransaction", "mover");
        cluster.advance(2_000.0);
        assert_eq!(states(&cluster).last().map(String::as_str), Some("CompleteCommit"), "version {version}");
    }
}

#[test]
fn statements_behind_an_error_throw_and_an_abort_makes_the_producer_good_again() {
    for version in ["1", "2"] {
        let configs = json!({ "brokerlab.transaction.version": version });
        let mut cluster = Cluster::configured(3, configs).topic("in", 1, 3).topic("out", 2, 3);
        add_producer(&mut cluster, "mover", json!({ "max.request.size": "1000" }));
        // The application says all of it before the producer has its id.
        for value in ["x".repeat(2_000), "a".to_owned()] {
            act(&mut cluster, "beginTransaction", "mover");
            send(&mut cluster, "mover", 0, &value);
            act(&mut cluster, "commitTransaction", "mover");
        }
        cluster.advance(3_000.0);
        let failed = events(&cluster, "transactionFailed");
        assert_eq!(failed.iter().map(|event| event.error).collect::<Vec<_>>(), [Some("MESSAGE_TOO_LARGE")], "version {version}");
        assert_eq!(cluster.refused(json!({ "type": "commitTransaction", "producer": "mover" })).code, "MESSAGE_TOO_LARGE");
        act(&mut cluster, "abortTransaction", "mover");
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "b");
        act(&mut cluster, "commitTransaction", "mover");
        cluster.advance(2_000.0);
        assert_eq!(values(&cluster, Isolation::ReadCommitted), ["b"], "version {version}");
    }
}

#[test]
fn who_closes_after_an_error_aborts() {
    let mut cluster = cluster("2");
    add_producer(&mut cluster, "other", json!({ "transactional.id": "other", "max.request.size": "1000" }));
    act(&mut cluster, "beginTransaction", "other");
    send(&mut cluster, "other", 0, "a");
    send(&mut cluster, "other", 0, &"x".repeat(2_000));
    act(&mut cluster, "commitTransaction", "other");
    cluster.apply(json!({ "type": "removeProducer", "id": "other" }));
    cluster.advance(3_000.0);
    assert!(cluster.view().producers.iter().all(|one| one.id != "other"), "it has closed");
    assert!(values(&cluster, Isolation::ReadUncommitted).is_empty());
}

#[test]
fn an_end_that_cannot_be_written_is_tried_again_later() {
    let mut cluster = cluster("2");
    act(&mut cluster, "beginTransaction", "mover");
    send(&mut cluster, "mover", 0, "a");
    cluster.advance(500.0);
    let coordinator = commit_is_decided(&mut cluster);
    let others: Vec<i32> = (1..=3).filter(|broker| *broker != coordinator).collect();
    others.iter().for_each(|broker| _ = cluster.apply(json!({ "type": "crashBroker", "broker": broker })));
    cluster.advance(20_000.0);
    assert_eq!(states(&cluster).last().map(String::as_str), Some("PrepareCommit"), "its topic has fewer replicas in sync than it needs");
    others.iter().for_each(|broker| _ = cluster.apply(json!({ "type": "restartBroker", "broker": broker })));
    cluster.advance(20_000.0);
    assert_eq!(states(&cluster).last().map(String::as_str), Some("CompleteCommit"));
    assert_eq!(values(&cluster, Isolation::ReadCommitted), ["a"]);
}

/// The leader of a topic that was created anew has forgotten its producers: what it had before cannot go on there (KAFKA-18202), and is not tried again and
/// again (`TransactionManager.canRetry`).
#[test]
fn what_comes_after_a_gap_fails_at_once_and_an_abort_makes_the_producer_good_again() {
    let mut cluster = cluster("2");
    act(&mut cluster, "beginTransaction", "mover");
    send(&mut cluster, "mover", 0, "a");
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "deleteTopic", "name": "out" }));
    cluster.apply(json!({ "type": "createTopic", "name": "out", "partitions": 2, "replicationFactor": 3 }));
    cluster.advance(500.0);
    send(&mut cluster, "mover", 0, "b");
    cluster.advance(2_000.0);
    let failed = events(&cluster, "transactionFailed");
    let told: Vec<_> = failed.iter().map(|event| (event.error, event.detail["fatal"] == true)).collect();
    assert_eq!(told, [(Some("OUT_OF_ORDER_SEQUENCE_NUMBER"), false)]);
    act(&mut cluster, "abortTransaction", "mover");
    act(&mut cluster, "beginTransaction", "mover");
    send(&mut cluster, "mover", 0, "c");
    act(&mut cluster, "commitTransaction", "mover");
    cluster.advance(2_000.0);
    assert_eq!(values(&cluster, Isolation::ReadCommitted), ["c"]);
}

/// The batch behind one that is refused takes its place, and the abort does not wait until its time is over.
#[test]
fn what_is_behind_a_refused_batch_is_written_in_its_place_and_aborted() {
    for version in ["1", "2"] {
        let mut cluster = cluster(version);
        cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "out", "set": { "max.message.bytes": "500" } }));
        add_producer(&mut cluster, "other", json!({ "transactional.id": "other", "linger.ms": "0" }));
        cluster.advance(1_000.0);
        for (large, end) in [(false, "commitTransaction"), (true, "abortTransaction"), (false, "commitTransaction")] {
            act(&mut cluster, "beginTransaction", "other");
            send(&mut cluster, "other", 0, "a");
            cluster.advance(500.0);
            let long = "x".repeat(1_000);
            [if large { &long } else { "b" }, "c"].iter().for_each(|value| send(&mut cluster, "other", 0, value));
            cluster.advance(500.0);
            act(&mut cluster, end, "other");
            cluster.advance(1_500.0);
        }
        let failed = events(&cluster, "transactionFailed");
        assert_eq!(failed.iter().map(|event| event.error).collect::<Vec<_>>(), [Some("MESSAGE_TOO_LARGE")], "version {version}");
        assert_eq!(values(&cluster, Isolation::ReadCommitted), ["a", "b", "c", "a", "b", "c"], "version {version}");
    }
}

/// An heir comes again after `retry.backoff.ms`, neither sooner nor about then; only the first partitions of a transaction are tried again sooner.
#[test]
fn requests_of_a_transaction_are_tried_again_at_a_fixed_pace() {
    for (version, backoff) in [("1", "100"), ("2", "100"), ("2", "300"), ("1", "10")] {
        let mut cluster = cluster(version);
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, "a");
        cluster.advance(500.0);
        add_producer(&mut cluster, "heir", json!({ "retry.backoff.ms": backoff }));
        cluster.advance(2_000.0);
        let changed = events(&cluster, "transactionChanged");
        let at = |state: &str| changed.iter().rev().find(|event| event.detail["state"] == state).expect("the change").time;
        let (taken, backoff) = (at("Empty") - at("PrepareAbort"), backoff.parse::<f64>().expect("a number"));
        assert!((backoff..backoff + 9.0).contains(&taken), "{taken} ms with version {version} and a backoff of {backoff}");
    }
    let mut cluster = cluster("1");
    for value in ["a", "b"] {
        act(&mut cluster, "beginTransaction", "mover");
        send(&mut cluster, "mover", 0, value);
        act(&mut cluster, "commitTransaction", "mover");
    }
    cluster.advance(2_000.0);
    let changed = events(&cluster, "transactionChanged");
    let at = |state: &str, nth: usize| changed.iter().filter(|event| event.detail["state"] == state).nth(nth).expect("the change").time;
    let taken = at("Ongoing", 1) - at("PrepareCommit", 0);
    assert!((20.0..40.0).contains(&taken), "{taken} ms");
}

/// Both of Java's consumers ask for stable offsets, whatever their `isolation.level` (`ConsumerCoordinator.sendOffsetFetchRequest`).
#[test]
fn a_consumer_that_comes_back_waits_until_a_transaction_with_its_offsets_is_decided() {
    let mut cluster = cluster("2");
    for value in ["x", "y"] {
        cluster.apply(json!({ "type": "send", "topic": "in", "value": value }));
    }
    let configs = json!({ "auto.offset.reset": "earliest", "enable.auto.commit": "false" });
    let reader = json!({ "type": "addConsumer", "id": "reader", "group": "movers", "topics": ["in"], "configs": configs });
    cluster.apply(reader.clone());
    cluster.advance(8_000.0);
    add_producer(&mut cluster, "slow", json!({ "transactional.id": "slow", "transaction.timeout.ms": "60000" }));
    cluster.advance(1_000.0);
    act(&mut cluster, "beginTransaction", "slow");
    cluster.apply(json!({ "type": "sendOffsetsToTransaction", "producer": "slow", "consumer": "reader" }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
    cluster.advance(1_000.0);
    cluster.apply(reader);
    cluster.advance(10_000.0);
    assert_eq!((cluster.position("reader", "in", 0), consumed(&cluster, "reader")), (None, 0), "UNSTABLE_OFFSET_COMMIT");
    act(&mut cluster, "commitTransaction", "slow");
    cluster.advance(2_000.0);
    assert_eq!((cluster.position("reader", "in", 0), consumed(&cluster, "reader")), (Some(2), 0));
}
