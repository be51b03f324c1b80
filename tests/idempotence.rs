#![cfg(not(target_arch = "wasm32"))]
//! Idempotent producers (KIP-98, KIP-360): what brokers make of sequences and epochs, and where producer ids come from.

mod cluster;

use brokerlab::node::{Body, NodeId};
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, ErrorCode};
use brokerlab::view::{self, MessageQuery};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

fn produce(topic: Uuid, producer_epoch: i16, base_sequence: i32) -> Request {
    let options = BatchOptions { producer_id: 7, producer_epoch, base_sequence, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options, 0);
    (0..2).for_each(|_| builder.append(1_767_225_600_000, Some(b"k"), Some(b"v"), &[]));
    let batch = Batch::from_wire(builder.build()).expect("a batch");
    let data = k::produce_request::PartitionProduceData::default();
    let topic = k::produce_request::TopicProduceData::default().with_topic_id(topic).with_partition_data(vec![data]);
    let message = k::ProduceRequest::default().with_acks(1).with_timeout_ms(1_000).with_topic_data(vec![topic]);
    Request::Produce(Arc::new(message), Arc::from([batch]))
}

/// The error and the base offset that a leader answers with.
fn written(broker: &mut Direct, request: Request) -> (ErrorCode, i64) {
    match broker.ask(request) {
        Some(Response::Produce(answer)) => {
            let result = &answer.responses[0].partition_responses[0];
            (ErrorCode::of(result.error_code), result.base_offset)
        }
        answer => panic!("no answer to a Produce request: {answer:?}"),
    }
}

fn init(broker: &mut Direct, transactional_id: Option<&str>) -> (ErrorCode, i64, i16) {
    let id = transactional_id.map(|id| k::TransactionalId(brokerlab::protocol::wire::text(id)));
    match broker.ask(Request::InitProducerId(Arc::new(k::InitProducerIdRequest::default().with_transactional_id(id)))) {
        Some(Response::InitProducerId(answer)) => (ErrorCode::of(answer.error_code), answer.producer_id.0, answer.producer_epoch),
        answer => panic!("no answer to InitProducerId: {answer:?}"),
    }
}

#[test]
fn a_batch_that_is_sent_again_is_answered_with_its_first_offset_and_one_too_early_or_too_late_is_refused() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.advance(1_000.0);
    let (topic, mut leader) = (topic_id(&cluster, "orders"), Direct::of(&cluster, cluster.leader("orders", 0)));
    let refused = |error| (error, -1);
    let steps = [
        (0, 40, (ErrorCode::None, 0), "nothing is known of it: it may begin anywhere"),
        (0, 42, (ErrorCode::None, 2), ""),
        (0, 42, (ErrorCode::None, 2), "it is here already"),
        (0, 40, (ErrorCode::None, 0), "and so is the one before"),
        (0, 43, refused(ErrorCode::OutOfOrderSequenceNumber), "half of it was"),
        (0, 46, refused(ErrorCode::OutOfOrderSequenceNumber), "the one before is not here yet"),
        (1, 44, refused(ErrorCode::OutOfOrderSequenceNumber), "a new epoch begins at 0"),
        (1, 0, (ErrorCode::None, 4), ""),
        (0, 44, refused(ErrorCode::InvalidProducerEpoch), "the old epoch is over"),
        (0, 42, refused(ErrorCode::InvalidProducerEpoch), "also for what was written in it"),
        (1, 2, (ErrorCode::None, 6), ""),
    ];
    for (epoch, sequence, expected, why) in steps {
        assert_eq!(written(&mut leader, produce(topic, epoch, sequence)), expected, "epoch {epoch}, sequence {sequence}: {why}");
    }
    assert_eq!(leader.replica(topic, 0).log.end_offset(), 8);
}

#[test]
fn a_restart_and_a_change_of_leader_forget_no_producer() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.advance(1_000.0);
    let (topic, id) = (topic_id(&cluster, "orders"), cluster.leader("orders", 0));
    let mut leader = Direct::of(&cluster, id);
    assert_eq!(written(&mut leader, produce(topic, 0, 0)), (ErrorCode::None, 0));
    leader.broker.crash();
    let known: Vec<_> = leader.replica(topic, 0).log.producers().all().map(|(id, state)| (id, state.written().len())).collect();
    assert_eq!(known, [(7, 1)], "its log tells");
}

#[test]
fn producer_ids_come_in_blocks_from_the_controller_and_none_is_given_twice() {
    let mut cluster = Cluster::of_brokers(2);
    cluster.advance(1_000.0);
    let mut brokers = [1, 2].map(|id| Direct::of(&cluster, id));
    for (index, broker) in brokers.iter_mut().enumerate() {
        // The first finds nothing there.
        let asked = broker
            .does(NodeId::Client(1), Request::InitProducerId(Arc::new(k::InitProducerIdRequest::default().with_transactional_id(None))));
        let block = asked.sends.iter().find_map(|sent| match &sent.body {
            Body::Request(Request::AllocateProducerIds(message)) => Some((sent.correlation, message.clone())),
            _ => None,
        });
        let (correlation, _) = block.expect("a request for a block");
        let start = 1_000 * index as i64;
        let answer = k::AllocateProducerIdsResponse::default().with_producer_id_start(k::ProducerId(start)).with_producer_id_len(1_000);
        assert_eq!(init(broker, None), (ErrorCode::CoordinatorLoadInProgress, -1, -1), "the block is on its way");
        broker.is_told(correlation, Response::AllocateProducerIds(Arc::new(answer)));
        for next in start..start + 1_000 {
            assert_eq!(init(broker, None), (ErrorCode::None, next, 0));
        }
        assert_eq!(init(broker, None).0, ErrorCode::CoordinatorLoadInProgress);
    }
    assert_eq!(init(&mut brokers[0], Some("")), (ErrorCode::InvalidRequest, -1, -1));
    assert_eq!(init(&mut brokers[0], Some("mover")), (ErrorCode::NotCoordinator, -1, -1));
}

#[test]
fn the_controller_gives_each_broker_another_block_and_none_to_a_process_that_is_gone() {
    let mut cluster = Cluster::of_brokers(2);
    cluster.advance(1_000.0);
    let epochs = [1, 2].map(|id| cluster.session.world().broker(id).expect("a broker").0.epoch());
    let mut controller = cluster::direct::DirectController::of(&cluster);
    let mut block = |broker: i32, epoch: i64| {
        let message = k::AllocateProducerIdsRequest::default().with_broker_id(k::BrokerId(broker)).with_broker_epoch(epoch);
        match controller.ask(NodeId::Admin, Request::AllocateProducerIds(Arc::new(message))) {
            Some(Response::AllocateProducerIds(answer)) => {
                (ErrorCode::of(answer.error_code), answer.producer_id_start.0, answer.producer_id_len)
            }
            answer => panic!("no answer to AllocateProducerIds: {answer:?}"),
        }
    };
    let first = block(1, epochs[0]);
    assert_eq!((first.0, first.2), (ErrorCode::None, 1_000));
    assert_eq!(block(2, epochs[1]), (ErrorCode::None, first.1 + 1_000, 1_000));
    assert_eq!(block(1, epochs[0]), (ErrorCode::None, first.1 + 2_000, 1_000));
    assert_eq!(block(1, epochs[0] - 1).0, ErrorCode::StaleBrokerEpoch);
    assert_eq!(block(9, 1).0, ErrorCode::StaleBrokerEpoch);
}

/// A producer that gives a request a second, and does not wait for fuller batches.
fn producer(cluster: &mut Cluster, configs: Value) {
    let mut all = json!({ "linger.ms": "0", "request.timeout.ms": "1000" });
    all.as_object_mut().expect("an object").extend(configs.as_object().expect("an object").clone());
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": all }));
    // Until it has its id: the first broker that is asked has none yet.
    cluster.advance(1_000.0);
}

fn send(cluster: &mut Cluster, value: &str) {
    cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": 0, "value": value }));
    cluster.advance(0.1);
}

fn lost(cluster: &mut Cluster, what: &str) {
    cluster.apply(json!({ "type": "dropNext", "api": "Produce", "what": what }));
}

#[test]
fn a_lost_request_reorders_with_several_in_flight_and_neither_with_one_nor_with_idempotence() {
    let cures = [
        (json!({ "enable.idempotence": "false" }), ["second", "third", "first"]),
        (json!({ "enable.idempotence": "false", "max.in.flight.requests.per.connection": "1" }), ["first", "second", "third"]),
        (json!({}), ["first", "second", "third"]),
        (json!({ "enable.idempotence": "true", "max.in.flight.requests.per.connection": "5" }), ["first", "second", "third"]),
    ];
    for (configs, expected) in cures {
        let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
        producer(&mut cluster, configs.clone());
        // The connection to the leader is open by then.
        send(&mut cluster, "before");
        cluster.advance(500.0);
        lost(&mut cluster, "request");
        ["first", "second", "third"].iter().for_each(|value| send(&mut cluster, value));
        cluster.advance(10_000.0);
        assert_eq!(cluster.values("orders", 0)[1..], expected, "{configs}");
        assert_eq!(cluster.view().producers[0].acknowledged, 4, "{configs}");
    }
}

#[test]
fn a_lost_response_duplicates_without_idempotence_and_not_with_it() {
    for (configs, expected) in [(json!({ "enable.idempotence": "false" }), vec!["v", "v"]), (json!({}), vec!["v"])] {
        let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
        producer(&mut cluster, configs.clone());
        lost(&mut cluster, "response");
        send(&mut cluster, "v");
        cluster.advance(5_000.0);
        assert_eq!(cluster.values("orders", 0), expected, "{configs}");
        let known = &cluster.view().producers[0];
        assert_eq!((known.acknowledged, known.retries), (1, 1), "{configs}");
        assert_eq!(cluster.acknowledged_offsets("orders"), [(0, expected.len() as i64 - 1)], "{configs}");
    }
}

#[test]
fn what_runs_out_of_time_may_be_written_and_what_is_behind_it_is_not_written_twice() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, json!({ "delivery.timeout.ms": "1500" }));
    send(&mut cluster, "before");
    cluster.advance(500.0);
    // Both are written and neither is answered; the first one's time is over while the second is still to be sent again.
    lost(&mut cluster, "response");
    send(&mut cluster, "first");
    cluster.advance(900.0);
    lost(&mut cluster, "response");
    send(&mut cluster, "second");
    cluster.advance(120.0);
    lost(&mut cluster, "response");
    cluster.advance(10_000.0);
    assert_eq!(cluster.values("orders", 0), ["before", "first", "second"]);
    let known = &cluster.view().producers[0];
    assert_eq!((known.acknowledged, known.failed), (2, 1));
    // Nothing is missing in the log: the epoch is what it was.
    send(&mut cluster, "after");
    cluster.advance(1_000.0);
    let query = MessageQuery { topic: "orders".to_owned(), partition: 0, offset: None, max: None, isolation: None };
    let told = view::messages(&cluster.session, &query).expect("the partition").pop().expect("the newest");
    assert_eq!((told.producer_epoch, told.sequence), (Some(0), Some(3)));
}

#[test]
fn a_new_leader_recognises_what_the_old_one_has_taken() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, json!({ "request.timeout.ms": "3000" }));
    send(&mut cluster, "before");
    cluster.advance(1_000.0);
    let leader = cluster.leader("orders", 0);
    lost(&mut cluster, "response");
    send(&mut cluster, "v");
    // The followers have it by then, the producer knows of nothing.
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(20_000.0);
    assert_ne!(cluster.leader("orders", 0), leader);
    assert_eq!(cluster.values("orders", 0), ["before", "v"]);
    assert_eq!(cluster.view().producers[0].acknowledged, 2);
}

#[test]
fn records_say_whose_they_are_and_after_which() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, json!({}));
    ["a", "b"].iter().for_each(|value| send(&mut cluster, value));
    cluster.advance(1_000.0);
    let query = MessageQuery { topic: "orders".to_owned(), partition: 0, offset: None, max: None, isolation: None };
    let messages = view::messages(&cluster.session, &query).expect("the partition");
    let told: Vec<_> = messages.iter().map(|message| (message.producer_id, message.producer_epoch, message.sequence)).collect();
    assert!(told[0].0.is_some_and(|id| 0 <= id));
    assert_eq!(told, [(told[0].0, Some(0), Some(0)), (told[0].0, Some(0), Some(1))]);
}

#[test]
fn a_batch_that_has_waited_too_long_begins_another_epoch_and_the_producer_goes_on() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, json!({ "delivery.timeout.ms": "2000" }));
    send(&mut cluster, "before");
    cluster.advance(100.0);
    cluster.apply(json!({ "type": "setLink", "from": "p", "to": "*", "cut": true }));
    send(&mut cluster, "lost");
    cluster.advance(6_000.0);
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
    cluster.advance(5_000.0);
    ["after", "and on"].iter().for_each(|value| send(&mut cluster, value));
    cluster.advance(5_000.0);
    assert_eq!(cluster.values("orders", 0), ["before", "after", "and on"]);
    let known = &cluster.view().producers[0];
    assert_eq!((known.acknowledged, known.failed), (3, 1));
}

#[test]
fn what_excludes_idempotence_disables_it_by_default_and_is_refused_where_it_is_asked_for() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let add = |id: &str, configs: Value| json!({ "type": "addProducer", "id": id, "topic": "orders", "configs": configs });
    for (id, configs, expected) in [
        ("default", json!({}), "true"),
        ("acks", json!({ "acks": "1" }), "false"),
        ("retries", json!({ "retries": "0" }), "false"),
        ("off", json!({ "enable.idempotence": "false", "max.in.flight.requests.per.connection": "6" }), "false"),
    ] {
        cluster.apply(add(id, configs));
        let producer = cluster.view().producers.into_iter().find(|known| known.id == id).expect("the producer");
        assert_eq!(producer.configs.get("enable.idempotence").map(String::as_str), Some(expected), "{id}");
    }
    let too_many = "To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most 5. Current value is 6.";
    for (configs, field, sentence) in [
        (
            json!({ "enable.idempotence": "true", "acks": "1" }),
            "configs.acks",
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.",
        ),
        (
            json!({ "enable.idempotence": "true", "retries": "0" }),
            "configs.retries",
            "Must set retries to non-zero when using the idempotent producer.",
        ),
        (json!({ "max.in.flight.requests.per.connection": "6" }), "configs.max.in.flight.requests.per.connection", too_many),
        (json!({ "max.in.flight.requests.per.connection": "6", "acks": "1" }), "configs.max.in.flight.requests.per.connection", too_many),
    ] {
        let refused = cluster.refused(add("refused", configs));
        assert_eq!((refused.code.as_str(), refused.field.as_deref(), refused.message.as_str()), ("INVALID_CONFIG", Some(field), sentence));
    }
}
