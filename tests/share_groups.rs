#![cfg(not(target_arch = "wasm32"))]
//! Share groups (KIP-932) in a running cluster: members take records from the same partitions, each record is one member's at a time, and what is not
//! accepted comes again, to whoever is there.

mod cluster;

use brokerlab::view::{EventView, GroupOffsetView};
use cluster::Cluster;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One partition, and a group that begins at its start.
fn queue(brokers: u32, partitions: i32) -> Cluster {
    let mut cluster = Cluster::of_brokers(brokers).topic("orders", partitions, brokers.min(3) as i16);
    let set = json!({ "share.auto.offset.reset": "earliest" });
    cluster.apply(json!({ "type": "alterConfigs", "resource": "group", "name": "workers", "set": set }));
    cluster
}

fn worker(cluster: &mut Cluster, id: &str, processing_ms: u32, configs: Value) {
    let mut configs = configs;
    configs["group.protocol"] = json!("share");
    cluster.apply(json!({ "type": "addConsumer", "id": id, "group": "workers", "topics": ["orders"], "processingMs": processing_ms, "configs": configs }));
}

fn send(cluster: &mut Cluster, records: u32) {
    for number in 0..records {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": format!("value {number}") }));
        cluster.advance(20.0);
    }
}

fn share(cluster: &Cluster, partition: usize) -> GroupOffsetView {
    cluster.group("workers").offsets.swap_remove(partition)
}

/// How often each offset of partition 0 was handed to an application.
fn deliveries(events: &[EventView]) -> BTreeMap<i64, u32> {
    let mut counts = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "recordDelivered" && event.partition == Some(0)) {
        for offset in event.detail["firstOffset"].as_i64().expect("an offset")..=event.detail["lastOffset"].as_i64().expect("an offset") {
            *counts.entry(offset).or_default() += 1;
        }
    }
    counts
}

fn texts(events: &[EventView], kind: &str) -> Vec<String> {
    events.iter().filter(|event| event.kind == kind).map(|event| event.text.clone()).collect()
}

#[test]
fn members_of_one_partition_share_its_records() {
    let mut cluster = queue(3, 1);
    let events = cluster.events_after(|cluster| {
        for id in ["anna", "ben", "cleo"] {
            worker(cluster, id, 100, json!({ "max.poll.records": "1" }));
        }
        cluster.advance(15_000.0);
        send(cluster, 30);
        cluster.advance(10_000.0);
    });
    let group = cluster.group("workers");
    assert_eq!(
        (group.protocol.as_str(), group.state.as_str(), group.assignor.as_deref(), group.members.len()),
        ("share", "Stable", Some("simple"), 3)
    );
    assert!(group.members.iter().all(|member| member.assignment.len() == 1), "one partition, in three hands");
    assert_eq!(deliveries(&events), (0..30).map(|offset| (offset, 1)).collect(), "each record once");
    let consumed: Vec<u64> = cluster.view().consumers.iter().map(|consumer| consumer.consumed).collect();
    assert!(consumed.iter().sum::<u64>() == 30 && consumed.iter().all(|count| 5 <= *count), "{consumed:?}");
    assert_eq!(share(&cluster, 0).committed, Some(30), "all is accepted, and the start is at the end");
    assert_eq!((share(&cluster, 0).lag, share(&cluster, 0).acquired), (Some(0), Some(0)));
    assert!(cluster.view().topics.iter().any(|topic| topic.name == "__share_group_state" && topic.internal));
}

#[test]
fn what_a_crashed_member_had_goes_to_another() {
    let mut cluster = queue(3, 1);
    worker(&mut cluster, "anna", 5_000, json!({}));
    cluster.advance(10_000.0);
    send(&mut cluster, 4);
    cluster.advance(1_000.0);
    assert!(share(&cluster, 0).acquired.is_some_and(|acquired| 0 < acquired));
    let events = cluster.events_after(|cluster| {
        worker(cluster, "ben", 10, json!({}));
        cluster.apply(json!({ "type": "crashConsumer", "id": "anna" }));
        cluster.advance(15_000.0);
    });
    assert!(texts(&events, "recordsReleased").iter().any(|text| text.contains("is gone")), "{:?}", texts(&events, "recordsReleased"));
    assert_eq!(deliveries(&events).keys().copied().collect::<Vec<i64>>(), [0, 1, 2, 3]);
    assert!(events.iter().any(|event| event.kind == "recordsAcquired" && event.detail["deliveryCount"] == 2), "a second delivery");
    assert_eq!(share(&cluster, 0).committed, Some(4));
}

#[test]
fn a_lock_that_is_over_gives_the_records_to_others_and_not_for_ever() {
    let mut cluster = queue(3, 1);
    cluster.apply(json!({ "type": "alterConfigs", "resource": "group", "name": "workers", "set": { "share.record.lock.duration.ms": "15000", "share.delivery.count.limit": "2" } }));
    // At work on one record for longer than the lock lasts.
    worker(&mut cluster, "slow", 40_000, json!({}));
    cluster.advance(10_000.0);
    send(&mut cluster, 1);
    let events = cluster.events_after(|cluster| cluster.advance(60_000.0));
    assert!(texts(&events, "recordsReleased").iter().any(|text| text.contains("for too long")), "{:?}", texts(&events, "recordsReleased"));
    let archived = texts(&events, "recordsArchived");
    assert!(archived.iter().any(|text| text.contains("delivered as often as they may be")), "{archived:?}");
    assert_eq!(share(&cluster, 0).committed, Some(1), "nobody gets it again");
}

#[test]
fn records_are_released_and_rejected_one_by_one() {
    let mut cluster = queue(3, 1);
    let explicit = |kind: &str| json!({ "share.acknowledgement.mode": "explicit", "brokerlab.acknowledge.type": kind });
    worker(&mut cluster, "returns", 10, explicit("release"));
    cluster.advance(10_000.0);
    let events = cluster.events_after(|cluster| {
        send(cluster, 1);
        cluster.advance(10_000.0);
    });
    assert_eq!(deliveries(&events), [(0, 5)].into_iter().collect(), "as often as group.share.delivery.count.limit says");
    assert_eq!(texts(&events, "recordsReleased").len(), 4);
    assert_eq!(share(&cluster, 0).committed, Some(1));
    cluster.apply(json!({ "type": "removeConsumer", "id": "returns" }));
    worker(&mut cluster, "picky", 10, explicit("reject"));
    cluster.advance(10_000.0);
    let events = cluster.events_after(|cluster| {
        send(cluster, 2);
        cluster.advance(5_000.0);
    });
    assert_eq!(deliveries(&events), [(1, 1), (2, 1)].into_iter().collect(), "what is rejected is not delivered again");
    assert!(texts(&events, "recordsArchived").iter().all(|text| text.contains("rejects")));
    assert_eq!(share(&cluster, 0).committed, Some(3));
}

#[test]
fn what_became_of_records_survives_leader_and_coordinator() {
    let mut cluster = queue(3, 1);
    worker(&mut cluster, "anna", 10, json!({}));
    cluster.advance(10_000.0);
    let mut events = cluster.events_after(|cluster| {
        send(cluster, 10);
        cluster.advance(3_000.0);
    });
    for _ in 0..3 {
        let leader = cluster.leader("orders", 0);
        events.extend(cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
            cluster.advance(30_000.0);
            send(cluster, 5);
            cluster.apply(json!({ "type": "restartBroker", "broker": leader }));
            cluster.advance(30_000.0);
        }));
    }
    let counts = deliveries(&events);
    assert_eq!(counts.keys().copied().collect::<Vec<i64>>(), (0..25).collect::<Vec<i64>>(), "all are delivered");
    assert!((0..9).all(|offset| counts[&offset] == 1), "what was accepted before the first crash does not come again: {counts:?}");
    assert_eq!(share(&cluster, 0).committed, Some(25));
    assert_eq!(cluster.group("workers").state, "Stable");
}

#[test]
fn a_share_consumer_refuses_what_is_not_its_own_and_its_group_other_members() {
    let mut cluster = queue(3, 1);
    for name in ["auto.offset.reset", "enable.auto.commit", "isolation.level"] {
        let configs = json!({ "group.protocol": "share", name: "earliest" });
        let refused =
            cluster.refused(json!({ "type": "addConsumer", "id": "c", "group": "workers", "topics": ["orders"], "configs": configs }));
        assert_eq!(refused.to_string(), format!("INVALID_CONFIG: {name} cannot be set when using a share group."));
    }
    for (name, value) in
        [("share.auto.offset.reset", "none"), ("share.record.lock.duration.ms", "14999"), ("share.delivery.count.limit", "11")]
    {
        let set = json!({ name: value });
        let refused = cluster.refused(json!({ "type": "alterConfigs", "resource": "group", "name": "workers", "set": set }));
        assert!(refused.to_string().starts_with("INVALID_CONFIG"), "{refused}");
    }
    worker(&mut cluster, "anna", 0, json!({}));
    cluster.advance(10_000.0);
    let offsets = json!([{ "topic": "orders", "partition": 0, "offset": 1 }]);
    let refused = cluster.refused(json!({ "type": "commit", "consumer": "anna", "offsets": offsets }));
    assert_eq!(refused.field.as_deref(), Some("offsets"));
    cluster.consumer("classic", "workers");
    cluster.advance(5_000.0);
    assert_eq!(cluster.group("workers").members.len(), 1);
}

#[test]
fn an_admin_has_an_empty_group_go_on_from_elsewhere() {
    let mut cluster = queue(3, 1);
    worker(&mut cluster, "anna", 0, json!({}));
    cluster.advance(10_000.0);
    send(&mut cluster, 10);
    cluster.advance(3_000.0);
    let reset = |to: Value| json!({ "type": "resetOffsets", "group": "workers", "topic": "orders", "to": to });
    let refused = cluster.refused(reset(json!("earliest")));
    assert!(refused.to_string().starts_with("NON_EMPTY_GROUP"), "{refused}");
    cluster.apply(json!({ "type": "removeConsumer", "id": "anna" }));
    cluster.advance(5_000.0);
    let refused = cluster.refused(reset(json!({ "shiftBy": -1 })));
    assert!(refused.to_string().starts_with("INVALID_ARGUMENT"), "{refused}");
    for (to, first) in [(json!({ "offset": 7 }), 7), (json!("earliest"), 0), (json!("latest"), 10)] {
        cluster.apply(reset(to.clone()));
        cluster.advance(3_000.0);
        let events = cluster.events_after(|cluster| {
            let id = format!("reads-from-{first}");
            worker(cluster, &id, 0, json!({}));
            cluster.advance(15_000.0);
            cluster.apply(json!({ "type": "removeConsumer", "id": id }));
            cluster.advance(5_000.0);
        });
        assert_eq!(deliveries(&events), (first..10).map(|offset| (offset, 1)).collect(), "from {to}");
    }
}

#[test]
fn partitions_that_a_topic_gains_are_read_from_their_beginning() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    // By default a group begins at the end.
    worker(&mut cluster, "anna", 0, json!({ "metadata.max.age.ms": "1000" }));
    cluster.advance(10_000.0);
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "createPartitions", "topic": "orders", "partitions": 2 }));
        cluster.advance(100.0);
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 1, "value": "before anybody knows" }));
        cluster.advance(20_000.0);
    });
    let read = events.iter().filter(|event| event.kind == "recordDelivered" && event.partition == Some(1)).count();
    assert_eq!(read, 1, "written before the group had the partition, and not passed over");
}

#[test]
fn a_group_goes_on_when_its_coordinators_move_and_its_topic_is_made_anew() {
    let mut cluster = queue(3, 1);
    worker(&mut cluster, "anna", 0, json!({ "metadata.max.age.ms": "1000", "allow.auto.create.topics": "false" }));
    cluster.advance(10_000.0);
    let mut events = cluster.events_after(|cluster| {
        send(cluster, 5);
        cluster.advance(3_000.0);
        for broker in [1, 2, 3, 1] {
            let command = json!({ "type": "moveCoordinator", "group": "workers", "broker": broker });
            if cluster.group("workers").coordinator != Some(broker) {
                cluster.apply(command);
            }
            cluster.advance(8_000.0);
            send(cluster, 2);
            cluster.advance(3_000.0);
        }
    });
    assert_eq!(deliveries(&events), (0..13).map(|offset| (offset, 1)).collect(), "each record once");
    events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
        cluster.advance(5_000.0);
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3 }));
        cluster.advance(15_000.0);
        send(cluster, 4);
        cluster.advance(10_000.0);
    });
    assert_eq!(deliveries(&events), (0..4).map(|offset| (offset, 1)).collect(), "another topic, read from its own beginning");
    assert_eq!(share(&cluster, 0).committed, Some(4));
}

#[test]
fn a_group_that_reads_what_is_committed_gets_nothing_of_what_was_aborted() {
    for (level, ends, delivered) in [
        ("read_uncommitted", Some("abortTransaction"), vec![0, 1, 2, 4]),
        ("read_committed", Some("abortTransaction"), vec![4]),
        ("read_committed", Some("commitTransaction"), vec![0, 1, 2, 4]),
        ("read_committed", None, vec![]),
        ("read_uncommitted", None, vec![0, 1, 2, 3]),
    ] {
        let mut cluster = queue(1, 1);
        let set = json!({ "share.isolation.level": level });
        cluster.apply(json!({ "type": "alterConfigs", "resource": "group", "name": "workers", "set": set }));
        let configs = json!({ "transactional.id": "keeper" });
        cluster.apply(json!({ "type": "addProducer", "id": "keeper", "topic": "orders", "configs": configs }));
        cluster.apply(json!({ "type": "addProducer", "id": "plain", "topic": "orders" }));
        let sends = |cluster: &mut Cluster, producer: &str| {
            cluster.apply(json!({ "type": "send", "producer": producer, "topic": "orders", "partition": 0, "value": "v" }));
            cluster.advance(1_000.0);
        };
        cluster.apply(json!({ "type": "beginTransaction", "producer": "keeper" }));
        cluster.advance(1_000.0);
        (0..3).for_each(|_| sends(&mut cluster, "keeper"));
        if let Some(ends) = ends {
            cluster.apply(json!({ "type": ends, "producer": "keeper" }));
            cluster.advance(1_000.0);
        }
        sends(&mut cluster, "plain");
        let events = cluster.events_after(|cluster| {
            worker(cluster, "anna", 1, json!({}));
            cluster.advance(20_000.0);
        });
        let once: BTreeMap<i64, u32> = delivered.iter().map(|offset| (*offset, 1)).collect();
        assert_eq!(deliveries(&events), once, "{level}, {ends:?}");
        let start = share(&cluster, 0).committed;
        if ends.is_some() {
            assert_eq!(start, Some(5), "{level}, {ends:?}: nothing is left");
        }
    }
}

#[test]
fn a_group_gets_beyond_more_aborted_records_than_it_may_have_at_once() {
    let mut cluster = queue(1, 1);
    let set = json!({ "share.isolation.level": "READ_COMMITTED", "share.partition.max.record.locks": "100" });
    cluster.apply(json!({ "type": "alterConfigs", "resource": "group", "name": "workers", "set": set }));
    let configs = json!({ "transactional.id": "keeper" });
    cluster.apply(json!({ "type": "addProducer", "id": "keeper", "topic": "orders", "configs": configs }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "beginTransaction", "producer": "keeper" }));
    for _ in 0..250 {
        cluster.apply(json!({ "type": "send", "producer": "keeper", "topic": "orders", "partition": 0, "value": "v" }));
        cluster.advance(10.0);
    }
    cluster.apply(json!({ "type": "abortTransaction", "producer": "keeper" }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "w" }));
    cluster.advance(1_000.0);
    let events = cluster.events_after(|cluster| {
        worker(cluster, "anna", 1, json!({ "max.poll.records": "1" }));
        cluster.advance(20_000.0);
    });
    assert_eq!(deliveries(&events), BTreeMap::from([(251, 1)]));
}

/// One batch of so many records in partition 0.
fn send_batch(cluster: &mut Cluster, records: u32) {
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "configs": { "linger.ms": "500" } }));
    for _ in 0..records {
        cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "partition": 0, "value": "v" }));
    }
    cluster.advance(1_500.0);
}

/// `AbstractHeartbeatRequestManager`: the poll timer of a share consumer is that of any other.
#[test]
fn a_member_whose_application_does_not_poll_in_time_leaves_and_joins_again_with_its_next_poll() {
    let mut cluster = queue(1, 1);
    send_batch(&mut cluster, 50);
    worker(&mut cluster, "slow", 100, json!({ "max.poll.interval.ms": "2000" }));
    let events = cluster.events_after(|cluster| cluster.advance(20_000.0));
    let of = |kind: &str| events.iter().filter(|event| event.kind == kind).map(|event| event.time).collect::<Vec<f64>>();
    let (exceeded, left, joined, acquired) = (of("pollIntervalExceeded"), of("memberLeft"), of("memberJoined"), of("recordsAcquired"));
    assert_eq!((exceeded.len(), left.len(), joined.len(), acquired.len()), (1, 1, 2, 1));
    assert!((2_000.0..2_100.0).contains(&(exceeded[0] - acquired[0])) && (0.0..50.0).contains(&(left[0] - exceeded[0])));
    assert!((5_000.0..5_200.0).contains(&(joined[1] - acquired[0])), "its application is through with its fifty records");
    assert_eq!(deliveries(&events), (0..50).map(|offset| (offset, 1)).collect(), "its session and its locks stand");
    assert_eq!(share(&cluster, 0).committed, Some(50));
}

/// `ShareConsumerImpl.collect`: what the last poll returned is accepted by the next one, whatever is fetched already.
#[test]
fn each_poll_accepts_what_the_one_before_returned() {
    let mut cluster = queue(1, 1);
    send_batch(&mut cluster, 20);
    worker(&mut cluster, "anna", 100, json!({ "max.poll.records": "5" }));
    let acquired = cluster.events_after(|cluster| cluster.advance(15_000.0)).into_iter().find(|event| event.kind == "recordsAcquired");
    assert_eq!(acquired.map(|event| event.detail["lastOffset"].clone()), Some(json!(19)), "a batch is acquired as a whole");
    let mut again = queue(1, 1);
    send_batch(&mut again, 20);
    worker(&mut again, "anna", 100, json!({ "max.poll.records": "5" }));
    while again.view().consumers[0].consumed < 8 {
        again.advance(50.0);
    }
    assert_eq!(share(&again, 0).committed, Some(5));
    let events = again.events_after(|cluster| {
        cluster.apply(json!({ "type": "removeConsumer", "id": "anna" }));
        cluster.advance(1_000.0);
    });
    let released = events.iter().find(|event| event.kind == "recordsReleased").map(|event| event.detail["firstOffset"].clone());
    assert_eq!(released, Some(json!(5)), "no poll accepts what the last one returned");
}
