#![cfg(not(target_arch = "wasm32"))]
//! One name, and groups of both protocols under it: an empty one makes room for one of the other kind, and what is deleted or expired does not come
//! back with the next coordinator.

mod cluster;

use brokerlab::coordinator::{OFFSETS_TOPIC, partition_for};
use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::consumer_group_records::ConsumerGroupKey;
use brokerlab::protocol::group_records::GroupKey;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

const RETENTION: f64 = 60_000.0;

/// Ten records in `orders`, and offsets that stay for a minute.
fn cluster() -> Cluster {
    let configs = json!({ "offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "5000" });
    let mut cluster = Cluster::configured(1, configs).topic("orders", 2, 1);
    for number in 0..10 {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": number % 2, "value": "v" }));
    }
    cluster.advance(1_000.0);
    cluster
}

/// A consumer of the group comes, and goes again when it has read all.
fn visit(cluster: &mut Cluster, id: &str, protocol: &str) {
    join(cluster, id, protocol);
    cluster.apply(json!({ "type": "removeConsumer", "id": id }));
    cluster.advance(1_000.0);
    assert_eq!((kind(cluster), cluster.group("g").state.as_str()), (protocol.to_owned(), "Empty"));
}

fn join(cluster: &mut Cluster, id: &str, protocol: &str) {
    let configs = json!({ "auto.offset.reset": "earliest", "group.protocol": protocol });
    cluster.apply(json!({ "type": "addConsumer", "id": id, "group": "g", "topics": ["orders"], "configs": configs }));
    cluster.advance(15_000.0);
}

fn kind(cluster: &Cluster) -> String {
    cluster.group("g").protocol
}

/// What a broker would know of its groups after a restart: each one's kind, generation, members and offsets.
fn replayed(cluster: &Cluster, direct: &Direct) -> Vec<(String, &'static str, i32, usize, usize)> {
    let row =
        |group: &brokerlab::coordinator::Group| (group.id.to_string(), group.kind(), group.generation(), group.size(), group.offsets.len());
    direct.reloaded(cluster).groups().map(row).collect()
}

/// Whether the newest record of this key takes something back; none: there is no such record.
fn is_taken_back(cluster: &Cluster, key: &GroupKey) -> Option<bool> {
    let direct = Direct::of(cluster, 1);
    let partition = partition_for("g", direct.broker.config().coordinator.partitions);
    let log = &direct.replica(topic_id(cluster, OFFSETS_TOPIC), partition).log;
    let records = log.batches_from(log.start_offset()).flat_map(brokerlab::protocol::Batch::records).flatten();
    let of_key = records.filter(|record| record.key.as_ref().is_some_and(|own| GroupKey::read(own).as_ref() == Ok(key)));
    of_key.last().map(|record| record.value.is_none())
}

#[test]
fn a_deleted_group_of_the_new_protocol_leaves_nothing_in_the_log() {
    let mut cluster = cluster();
    join(&mut cluster, "one", "consumer");
    let delete = |direct: &mut Direct| {
        let asked = k::DeleteGroupsRequest::default().with_groups_names(vec![k::GroupId(wire::text("g"))]);
        match direct.ask(Request::DeleteGroups(Arc::new(asked))) {
            Some(Response::DeleteGroups(answer)) => E::of(answer.results[0].error_code),
            other => panic!("{other:?}"),
        }
    };
    let mut direct = Direct::of(&cluster, 1);
    assert_eq!(delete(&mut direct), E::NonEmptyGroup);
    let groups = replayed(&cluster, &direct);
    assert_eq!(groups.iter().map(|group| (group.1, group.3, group.4)).collect::<Vec<_>>(), [("consumer", 1, 2)]);

    cluster.apply(json!({ "type": "removeConsumer", "id": "one" }));
    cluster.advance(1_000.0);
    let mut direct = Direct::of(&cluster, 1);
    assert_eq!(replayed(&cluster, &direct).len(), 1);
    assert_eq!(delete(&mut direct), E::None);
    assert_eq!(direct.broker.coordinator().groups().count(), 0);
    assert_eq!(replayed(&cluster, &direct), []);
    assert_eq!(delete(&mut direct), E::GroupIdNotFound);
}

#[test]
fn an_empty_group_of_either_kind_makes_room_for_the_other_and_keeps_what_was_committed() {
    let mut cluster = cluster();
    for (id, protocol) in [("one", "classic"), ("two", "consumer"), ("three", "classic"), ("four", "consumer")] {
        join(&mut cluster, id, protocol);
        let group = cluster.group("g");
        assert_eq!(
            (group.protocol.as_str(), group.state.as_str(), group.generation, group.members.len()),
            (protocol, "Stable", 1, 1),
            "{id}"
        );
        assert_eq!(replayed(&cluster, &Direct::of(&cluster, 1)), [("g".to_owned(), protocol, 1, 1, 2)]);
        let (classic, consumer) = (GroupKey::Group { group: "g".to_owned() }, ConsumerGroupKey::Group { group: "g".to_owned() });
        assert_eq!(is_taken_back(&cluster, &classic), Some(protocol == "consumer"));
        let was_one = (id != "one").then_some(protocol == "classic");
        assert_eq!(is_taken_back(&cluster, &GroupKey::Consumer(consumer)), was_one);
        cluster.apply(json!({ "type": "removeConsumer", "id": id }));
        cluster.advance(1_000.0);
    }
    assert_eq!((cluster.committed("g", "orders", 0), cluster.committed("g", "orders", 1)), (Some(5), Some(5)));
}

#[test]
fn an_empty_group_of_the_new_protocol_goes_with_its_last_offset() {
    let mut cluster = cluster();
    visit(&mut cluster, "one", "consumer");
    cluster.advance(RETENTION - 20_000.0);
    assert_eq!(cluster.committed("g", "orders", 0), Some(5));
    let events = cluster.events_after(|cluster| cluster.advance(30_000.0));
    assert!(events.iter().any(|event| event.kind == "groupDeleted" && event.text == "Group g is deleted"));
    assert_eq!(replayed(&cluster, &Direct::of(&cluster, 1)), []);
}

#[test]
fn offsets_are_reset_only_when_the_members_of_the_new_protocol_are_gone() {
    let mut cluster = cluster();
    join(&mut cluster, "one", "consumer");
    let reset = json!({ "type": "resetOffsets", "group": "g", "topic": "orders", "partition": 0, "to": { "offset": 2 } });
    let refusal = cluster.refused(reset.clone());
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("NON_EMPTY_GROUP", Some("group")));
    assert!(refusal.message.contains("the current state is Stable"), "{}", refusal.message);
    cluster.apply(json!({ "type": "removeConsumer", "id": "one" }));
    cluster.advance(1_000.0);
    cluster.apply(reset);
    cluster.advance(200.0);
    assert_eq!(cluster.committed("g", "orders", 0), Some(2));
    join(&mut cluster, "two", "consumer");
    assert_eq!(cluster.view().consumers[0].consumed, 3);
}

#[test]
fn a_consumer_group_has_timeouts_of_its_own_within_what_brokers_allow() {
    let mut cluster = cluster();
    let set = |name: &str, value: &str| json!({ "type": "alterConfigs", "resource": "group", "name": "g", "set": { name: value } });
    for (name, value) in
        [("consumer.session.timeout.ms", "44999"), ("consumer.session.timeout.ms", "60001"), ("consumer.heartbeat.interval.ms", "4999")]
    {
        assert_eq!(cluster.refused(set(name, value)).code, "INVALID_CONFIG", "{name}={value}");
    }
    cluster.apply(set("consumer.session.timeout.ms", "60000"));
    cluster.apply(set("consumer.heartbeat.interval.ms", "15000"));
    join(&mut cluster, "reader", "consumer");
    cluster.advance(3_000.0);
    let beats = cluster.events_after(|cluster| cluster.advance(60_000.0));
    let beats =
        beats.iter().filter(|event| event.kind == "requestSent" && event.node == "reader" && event.text.contains("ConsumerGroupHeartbeat"));
    assert!((3..=5).contains(&beats.count()));
    cluster.apply(json!({ "type": "crashConsumer", "id": "reader" }));
    cluster.advance(44_000.0);
    assert_eq!(cluster.group("g").members.len(), 1, "the brokers' 45 seconds would be over");
    cluster.advance(17_000.0);
    assert_eq!(cluster.group("g").members.len(), 0);

    // A coordinator that takes over knows them from the start.
    join(&mut cluster, "another", "consumer");
    cluster.apply(json!({ "type": "crashConsumer", "id": "another" }));
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
    let mut loaded = false;
    while !loaded {
        loaded = cluster.events_after(|cluster| cluster.advance(500.0)).iter().any(|event| event.kind == "groupLoaded");
    }
    cluster.advance(50_000.0);
    assert_eq!(cluster.group("g").members.len(), 1);
    cluster.advance(11_000.0);
    assert_eq!(cluster.group("g").members.len(), 0);
}
