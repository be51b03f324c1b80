#![cfg(not(target_arch = "wasm32"))]
//! Tiered storage (KIP-405): leaders copy what is rolled and committed to the remote store, each replica lets go of what is copied, and consumers and
//! followers find what is not local any more.

mod cluster;

use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::view::{self, EventView, RemoteSegmentView, ReplicaView};
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use serde_json::{Value, json};
use std::sync::Arc;

const TIERED: &[(&str, &str)] = &[("remote.storage.enable", "true"), ("internal.segment.bytes", "200")];

fn with(base: &[(&str, &str)], more: &[(&str, &str)]) -> Value {
    base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

/// A cluster with a remote store that looks after its logs every second, and a producer with acks=all.
fn cluster(brokers: u32, configs: &[(&str, &str)], topic: &[(&str, &str)]) -> Cluster {
    const BASE: &[(&str, &str)] = &[
        ("remote.log.storage.system.enable", "true"),
        ("remote.log.manager.task.interval.ms", "1000"),
        ("log.initial.task.delay.ms", "1000"),
        ("log.retention.check.interval.ms", "1000"),
    ];
    let mut cluster = Cluster::configured(brokers, with(BASE, configs));
    let factor = brokers.min(3);
    let command =
        json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": factor, "configs": with(TIERED, topic) });
    cluster.apply(command);
    cluster.advance(500.0);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "acks": "all", "linger.ms": "0" } }));
    cluster.advance(200.0);
    cluster
}

fn values(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|value| format!("value {value}")).collect()
}

fn replica(cluster: &Cluster, broker: i32) -> ReplicaView {
    cluster.partition("orders", 0).replicas.into_iter().find(|replica| replica.broker == broker).expect("the replica")
}

/// Where the log starts and where the local log does.
fn starts(cluster: &Cluster, broker: i32) -> (i64, i64) {
    let replica = replica(cluster, broker);
    (replica.log_start_offset, replica.local_log_start_offset.expect("a tiered replica"))
}

fn remote(cluster: &Cluster) -> Vec<RemoteSegmentView> {
    cluster.partition("orders", 0).remote_segments
}

fn of_kind<'e>(events: &'e [EventView], kind: &str) -> Vec<&'e EventView> {
    events.iter().filter(|event| event.kind == kind).collect()
}

/// What a new consumer is given from the beginning on, in order and without gaps. Returns first, last, and how often the remote store was asked.
fn read_all(cluster: &mut Cluster, id: &str) -> (i64, i64, usize) {
    let seen = cluster.events_after(|cluster| {
        let partitions = [json!({ "topic": "orders", "partition": 0 })];
        cluster.apply(json!({ "type": "addConsumer", "id": id, "partitions": partitions, "configs": { "auto.offset.reset": "earliest" } }));
        cluster.advance(8_000.0);
    });
    let delivered = of_kind(&seen, "recordDelivered").into_iter().filter(|event| event.node == id);
    let spans: Vec<(i64, i64)> = delivered
        .map(|event| (event.detail["firstOffset"].as_i64().expect("first"), event.detail["lastOffset"].as_i64().expect("last")))
        .collect();
    assert!(spans.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{spans:?}");
    (spans[0].0, spans[spans.len() - 1].1, of_kind(&seen, "remoteRead").len())
}

#[test]
fn what_is_rolled_is_copied_and_goes_locally_and_consumers_read_all_of_it() {
    let mut cluster = cluster(3, &[], &[("local.retention.ms", "2000")]);
    let seen = cluster.events_after(|cluster| {
        cluster.send_numbered("p", "orders", 0..30);
        cluster.advance(6_000.0);
    });
    let segments = remote(&cluster);
    assert!(10 <= segments.len(), "{segments:?}");
    assert!(segments.iter().all(|segment| segment.state == "COPY_SEGMENT_FINISHED"));
    assert_eq!((segments[0].base_offset, segments[segments.len() - 1].last_offset), (0, 29), "the active one was rolled for it");
    assert!(segments.windows(2).all(|pair| pair[0].last_offset + 1 == pair[1].base_offset), "nothing twice: {segments:?}");
    for broker in 1..=3 {
        assert_eq!(starts(&cluster, broker), (0, 30), "each replica lets go what is copied");
    }
    assert_eq!(of_kind(&seen, "remoteCopyStarted").len(), of_kind(&seen, "remoteCopyFinished").len());
    assert!(of_kind(&seen, "remoteCopyStarted")[0].text.starts_with("Copies segment 0 to "));
    assert!(of_kind(&seen, "segmentsDeleted").iter().all(|event| event.text.contains("local.retention.ms")));
    assert_eq!(of_kind(&seen, "logStartMoved").len(), 0);
    cluster.send_numbered("p", "orders", 30..32);
    assert_eq!(cluster.values("orders", 0), values(0..32));
    let (first, last, reads) = read_all(&mut cluster, "c");
    assert_eq!((first, last), (0, 31));
    assert_eq!(reads, segments.len(), "a read ends with its segment");
}

#[test]
fn what_is_not_copied_stays() {
    let mut cluster = cluster(1, &[("remote.log.manager.task.interval.ms", "600000")], &[("local.retention.ms", "1000")]);
    cluster.send_numbered("p", "orders", 0..10);
    cluster.advance(10_000.0);
    assert_eq!((starts(&cluster, 1), remote(&cluster)), ((0, 0), vec![]));
}

#[test]
fn nothing_is_copied_above_the_high_watermark() {
    let mut cluster = cluster(3, &[], &[("min.insync.replicas", "3")]);
    let leader = cluster.leader("orders", 0);
    cluster.send_numbered("p", "orders", 0..6);
    cluster.advance(2_000.0);
    for follower in (1..=3).filter(|broker| *broker != leader) {
        cluster.apply(json!({ "type": "setLink", "from": format!("broker-{follower}"), "to": format!("broker-{leader}"), "cut": true }));
    }
    cluster.send_numbered("p", "orders", 6..20);
    cluster.advance(4_000.0);
    let own = replica(&cluster, leader);
    assert!(own.high_watermark < own.log_end_offset);
    let copied = remote(&cluster).iter().map(|segment| segment.last_offset).max().expect("something was copied before");
    assert!(copied < own.high_watermark, "{copied} is not below {}", own.high_watermark);
}

#[test]
fn a_slow_store_answers_in_time_or_not_at_all() {
    for (wait, reads) in [("500", true), ("100", false)] {
        let slow = [("brokerlab.remote.latency.ms", "300"), ("remote.fetch.max.wait.ms", wait)];
        let mut cluster = cluster(1, &slow, &[("local.retention.ms", "1000")]);
        cluster.send_numbered("p", "orders", 0..10);
        cluster.advance(10_000.0);
        assert_eq!(starts(&cluster, 1), (0, 10));
        let configs = json!({ "auto.offset.reset": "earliest" });
        let partitions = [json!({ "topic": "orders", "partition": 0 })];
        cluster.apply(json!({ "type": "addConsumer", "id": "c", "partitions": partitions, "configs": configs }));
        cluster.advance(200.0);
        assert_eq!(cluster.position("c", "orders", 0), Some(0), "it has not come yet");
        cluster.advance(5_000.0);
        assert_eq!(cluster.position("c", "orders", 0), Some(if reads { 10 } else { 0 }), "remote.fetch.max.wait.ms={wait}");
    }
}

#[test]
fn one_answer_has_what_is_remote_of_all_partitions() {
    let mut cluster = cluster(1, &[("brokerlab.remote.latency.ms", "400")], &[]);
    cluster.apply(json!({ "type": "createTopic", "name": "many", "partitions": 3, "replicationFactor": 1,
        "configs": with(TIERED, &[("local.retention.ms", "1000")]) }));
    cluster.advance(500.0);
    for partition in [0, 1, 2, 0, 1, 2] {
        cluster.apply(json!({ "type": "send", "topic": "many", "partition": partition, "value": "v" }));
    }
    cluster.advance(8_000.0);
    assert!(cluster.view().topics.iter().find(|topic| topic.name == "many").expect("many").partitions.iter().all(|one| {
        one.remote_segments.iter().map(|segment| segment.last_offset).max() == Some(1) && one.replicas[0].local_log_start_offset == Some(2)
    }));
    let configs = json!({ "auto.offset.reset": "earliest" });
    cluster.apply(json!({ "type": "addConsumer", "id": "c", "topics": ["many"], "group": "g", "configs": configs }));
    let seen = cluster.events_after(|cluster| cluster.advance(2_000.0));
    let times: Vec<f64> = of_kind(&seen, "remoteRead").iter().map(|event| event.time).collect();
    assert_eq!((times.len(), times.iter().all(|time| *time == times[0])), (3, true), "{times:?}");
}

fn list(broker: &mut Direct, timestamp: i64) -> (ErrorCode, i64, i32) {
    let mut asked = k::list_offsets_request::ListOffsetsPartition::default();
    (asked.current_leader_epoch, asked.timestamp) = (-1, timestamp);
    let mut topic = k::list_offsets_request::ListOffsetsTopic::default();
    topic.name = k::TopicName(StrBytes::from_static_str("orders"));
    topic.partitions.push(asked);
    let mut message = k::ListOffsetsRequest::default().with_topics(vec![topic]);
    message.replica_id = k::BrokerId(-1);
    let Some(Response::ListOffsets(answer)) = broker.ask_once(Request::ListOffsets(Arc::new(message))) else { panic!("no answer") };
    let told = &answer.topics[0].partitions[0];
    (ErrorCode::of(told.error_code), told.offset, told.leader_epoch)
}

#[test]
fn offsets_are_listed_by_tier_and_by_time_through_the_remote_store() {
    let mut cluster = cluster(1, &[], &[("local.retention.bytes", "300")]);
    let mut broker = Direct::of(&cluster, 1);
    assert_eq!(list(&mut broker, -5), (ErrorCode::None, -1, -1), "nothing is tiered");
    cluster.send_numbered("p", "orders", 0..20);
    cluster.advance(4_000.0);
    let (log_start, local_start) = starts(&cluster, 1);
    assert!(log_start == 0 && 5 < local_start && local_start < 20, "{local_start}");
    let copied = remote(&cluster).iter().map(|segment| segment.last_offset).max().expect("copies");
    let mut broker = Direct::of(&cluster, 1);
    assert_eq!(list(&mut broker, -2), (ErrorCode::None, 0, 0));
    assert_eq!(list(&mut broker, -4), (ErrorCode::None, local_start, 0));
    assert_eq!(list(&mut broker, -5), (ErrorCode::None, copied, 0));
    let messages = view::messages(
        &cluster.session,
        &view::MessageQuery { topic: "orders".to_owned(), partition: 0, offset: None, max: None, isolation: None },
    );
    let times: Vec<i64> = messages.expect("messages").iter().map(|message| message.timestamp).collect();
    cluster.apply(json!({ "type": "addConsumer", "id": "c", "partitions": [{ "topic": "orders", "partition": 0 }] }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "pauseConsumer", "id": "c" }));
    for offset in [0, 3, local_start - 1, local_start, 19] {
        let to = json!({ "timestamp": times[offset as usize] });
        let seen = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "seek", "consumer": "c", "topic": "orders", "partition": 0, "to": to }));
            cluster.advance(1_000.0);
        });
        assert_eq!(of_kind(&seen, "offsetReset")[0].detail["offset"], offset, "by the time of {offset}");
    }
}

#[test]
fn a_follower_goes_on_at_the_leaders_local_log_and_may_lead_then() {
    let mut cluster = cluster(4, &[], &[("local.retention.ms", "1000")]);
    cluster.send_numbered("p", "orders", 0..10);
    let old = cluster.leader("orders", 0);
    // A second leader epoch, so that there is a lineage to take over.
    cluster.apply(json!({ "type": "stopBroker", "broker": old }));
    cluster.advance(3_000.0);
    cluster.send_numbered("p", "orders", 10..20);
    cluster.apply(json!({ "type": "restartBroker", "broker": old }));
    cluster.advance(8_000.0);
    let leading = cluster.leader("orders", 0);
    assert_eq!(starts(&cluster, leading), (0, 20));
    cluster.send_numbered("p", "orders", 20..22);
    let replicas: Vec<i32> = cluster.partition("orders", 0).replicas.iter().map(|replica| replica.broker).collect();
    let new = (1..=4).find(|broker| !replicas.contains(broker)).expect("a fourth broker");
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": 0, "replicas": [new, leading] }));
        cluster.advance(6_000.0);
    });
    let moved = seen.iter().filter(|event| event.error == Some("OFFSET_MOVED_TO_TIERED_STORAGE")).count();
    assert!(0 < moved, "the follower is told");
    assert_eq!(of_kind(&seen, "remoteStateBuilt").len(), 1);
    assert!(cluster.partition("orders", 0).isr.contains(&new));
    let world = cluster.session.world();
    let key = world.controller().image().topic("orders").expect("the topic").id;
    let log = |broker: i32| {
        let (broker, _) = world.broker(broker).expect("the broker");
        let key = brokerlab::replica::PartitionKey { topic: key, index: 0 };
        broker.replicas().get(&key).expect("its replica").log.clone()
    };
    // The election that the move made has written nothing.
    assert_eq!(log(new).epochs(), &log(leading).epochs()[..2]);
    assert_eq!(starts(&cluster, new), starts(&cluster, leading));
    // Of its producers it knows what they wrote before its local log begins, too: what comes again is recognised.
    let producers = |broker: i32| format!("{:?}", log(broker).producers().all().collect::<Vec<_>>());
    assert!(producers(new).contains("base_offset: 19"));
    assert_eq!(producers(new), producers(leading));
    cluster.apply(json!({ "type": "stopBroker", "broker": leading }));
    cluster.advance(3_000.0);
    assert_eq!(cluster.leader("orders", 0), new);
    assert_eq!(cluster.values("orders", 0), values(0..22));
    assert_eq!(read_all(&mut cluster, "c").0, 0);
}

#[test]
fn another_leader_goes_on_from_what_is_copied() {
    let mut cluster = cluster(3, &[], &[]);
    cluster.send_numbered("p", "orders", 0..12);
    cluster.advance(2_000.0);
    let copied = remote(&cluster);
    let old = cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "crashBroker", "broker": old }));
    cluster.advance(12_000.0);
    cluster.send_numbered("p", "orders", 12..24);
    cluster.advance(2_000.0);
    let all = remote(&cluster);
    assert_eq!(all[..copied.len()], copied);
    assert!(copied.len() + 3 < all.len());
    assert!(all.windows(2).all(|pair| pair[0].last_offset + 1 == pair[1].base_offset), "{all:?}");
}

#[test]
fn a_copy_that_a_crash_ends_counts_for_nothing() {
    let mut cluster = cluster(1, &[("brokerlab.remote.latency.ms", "1500")], &[("local.retention.ms", "1000")]);
    cluster.send_numbered("p", "orders", 0..4);
    cluster.advance(1_000.0);
    assert_eq!(remote(&cluster)[0].state, "COPY_SEGMENT_STARTED");
    cluster.apply(json!({ "type": "powerLoss", "broker": 1 }));
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
    cluster.advance(12_000.0);
    assert_eq!(cluster.values("orders", 0).len() as i64, replica(&cluster, 1).log_end_offset);
    cluster.advance(20_000.0);
    let finished: Vec<i64> =
        remote(&cluster).iter().filter(|segment| segment.state == "COPY_SEGMENT_FINISHED").map(|segment| segment.base_offset).collect();
    assert_eq!(finished[0], 0, "it is copied again");
    let (start, local) = starts(&cluster, 1);
    assert_eq!((start, local), (0, replica(&cluster, 1).log_end_offset));
    assert_eq!(cluster.values("orders", 0).len() as i64, local);
}

#[test]
fn total_retention_counts_both_tiers_and_moves_the_log_start() {
    let mut cluster = cluster(3, &[], &[("local.retention.ms", "1000"), ("retention.ms", "6000")]);
    cluster.send_numbered("p", "orders", 0..10);
    cluster.advance(3_000.0);
    assert_eq!(starts(&cluster, cluster.leader("orders", 0)), (0, 10));
    let seen = cluster.events_after(|cluster| cluster.advance(8_000.0));
    assert_eq!(remote(&cluster), []);
    assert!(!of_kind(&seen, "remoteSegmentsDeleted").is_empty());
    for broker in 1..=3 {
        assert_eq!(starts(&cluster, broker), (10, 10), "followers hear of it");
    }
    cluster.send_numbered("p", "orders", 10..12);
    assert_eq!(read_all(&mut cluster, "c").0, 10);

    let mut by_size = self::cluster(1, &[], &[("local.retention.bytes", "0"), ("retention.bytes", "1000")]);
    by_size.send_numbered("p", "orders", 0..40);
    by_size.advance(4_000.0);
    let start = starts(&by_size, by_size.leader("orders", 0)).0;
    let bytes: u64 = remote(&by_size).iter().map(|segment| segment.bytes).sum::<u64>();
    assert!(0 < start, "the oldest go");
    assert!((1_000..1_400).contains(&(bytes + replica(&by_size, by_size.leader("orders", 0)).bytes)), "{bytes}");
    assert_eq!(read_all(&mut by_size, "c").0, start);
}

#[test]
fn a_deleted_topic_leaves_nothing_in_the_remote_store() {
    for down in [false, true] {
        let mut cluster = cluster(3, &[], &[("local.retention.ms", "1000")]);
        cluster.send_numbered("p", "orders", 0..10);
        cluster.advance(2_000.0);
        let old = cluster.leader("orders", 0);
        if down {
            cluster.apply(json!({ "type": "crashBroker", "broker": old }));
        }
        cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
        cluster.advance(2_000.0);
        let left: Vec<_> = cluster.session.world().remote().logs().collect();
        assert!(left.is_empty(), "{down}: {left:?}");
        if down {
            cluster.apply(json!({ "type": "restartBroker", "broker": old }));
            cluster.advance(12_000.0);
            assert_eq!(cluster.session.world().remote().logs().count(), 0);
        }
    }
}

#[test]
fn switching_off_needs_leave_to_delete_and_takes_what_is_only_remote() {
    let mut cluster = cluster(3, &[], &[("local.retention.bytes", "300")]);
    cluster.send_numbered("p", "orders", 0..20);
    cluster.advance(3_000.0);
    let (_, local) = starts(&cluster, cluster.leader("orders", 0));
    assert!(0 < local);
    let off = |more: &[(&str, &str)]| json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": with(&[("remote.storage.enable", "false")], more) });
    assert_eq!(cluster.refused(off(&[])).code, "INVALID_CONFIG");
    let unset = json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "delete": ["remote.storage.enable"] });
    assert_eq!(cluster.refused(unset).code, "INVALID_CONFIG");
    cluster.apply(off(&[("remote.log.delete.on.disable", "true")]));
    cluster.advance(3_000.0);
    assert_eq!(remote(&cluster), []);
    for broker in 1..=3 {
        assert_eq!(replica(&cluster, broker).log_start_offset, local);
    }
    assert_eq!(cluster.values("orders", 0), values(local as u32..20));
}

#[test]
fn without_copies_the_whole_logs_retention_counts_here() {
    let mut cluster = cluster(1, &[], &[("retention.ms", "4000"), ("remote.log.copy.disable", "true")]);
    cluster.send_numbered("p", "orders", 0..10);
    cluster.advance(2_000.0);
    assert_eq!((starts(&cluster, 1), remote(&cluster)), ((0, 0), vec![]));
    cluster.advance(5_000.0);
    assert_eq!((starts(&cluster, 1), remote(&cluster)), ((10, 10), vec![]));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let mut with_store = cluster(1, &[], &[]);
    let create = |configs: &[(&str, &str)]| json!({ "type": "createTopic", "name": "t", "partitions": 1, "replicationFactor": 1, "configs": with(TIERED, configs) });
    for (configs, named) in [
        (&[("cleanup.policy", "compact")][..], "cleanup.policy"),
        (&[("cleanup.policy", "compact,delete")], "cleanup.policy"),
        (&[("local.retention.ms", "604800001")], "local.retention.ms"),
        (&[("local.retention.ms", "-1")], "local.retention.ms"),
        (&[("retention.bytes", "1000"), ("local.retention.bytes", "1001")], "local.retention.bytes"),
        (&[("retention.bytes", "1000"), ("local.retention.bytes", "-1")], "local.retention.bytes"),
        (&[("remote.log.copy.disable", "true"), ("local.retention.ms", "5")], "local.retention.ms"),
        (&[("local.retention.ms", "-3")], "local.retention.ms"),
    ] {
        let refusal = with_store.refused(create(configs));
        assert_eq!(refusal.code, "INVALID_CONFIG", "{configs:?}");
        assert!(refusal.message.contains(named), "{refusal}");
    }
    for configs in [
        &[("local.retention.ms", "604800000")][..],
        &[("retention.ms", "-1"), ("local.retention.ms", "-1")],
        &[("local.retention.bytes", "5")],
        &[("remote.log.copy.disable", "true"), ("local.retention.ms", "-2")],
    ] {
        with_store.apply(create(configs));
        with_store.apply(json!({ "type": "deleteTopic", "name": "t" }));
        with_store.advance(1_000.0);
    }
    let set = json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "cleanup.policy": "compact" } });
    assert_eq!(with_store.refused(set).code, "INVALID_CONFIG", "nor may it become compacted");
    let mut without = Cluster::of_brokers(1);
    let refusal = without.refused(create(&[]));
    assert_eq!(refusal.code, "INVALID_CONFIG");
    let told = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.";
    assert_eq!(refusal.message, told);
}

#[test]
fn what_an_unclean_leader_lacked_is_not_read_from_the_remote_store() {
    let mut cluster = cluster(2, &[], &[("local.retention.ms", "1000"), ("unclean.leader.election.enable", "true")]);
    cluster.send_numbered("p", "orders", 0..6);
    let first = cluster.leader("orders", 0);
    let other = 3 - first;
    cluster.apply(json!({ "type": "crashBroker", "broker": other }));
    cluster.advance(12_000.0);
    for value in 0..9 {
        cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": 0, "value": format!("lost {value}") }));
        cluster.advance(50.0);
    }
    cluster.advance(3_000.0);
    assert_eq!(remote(&cluster).last().expect("copies").last_offset, 14, "the first leader has copied all");
    cluster.apply(json!({ "type": "crashBroker", "broker": first }));
    cluster.apply(json!({ "type": "restartBroker", "broker": other }));
    cluster.advance(15_000.0);
    assert_eq!(cluster.leader("orders", 0), other);
    cluster.send_numbered("p", "orders", 6..20);
    cluster.advance(5_000.0);
    assert_eq!(starts(&cluster, other), (0, 20), "it has copied its own");
    assert_eq!(cluster.values("orders", 0), values(0..20));
    let (begun, end, reads) = read_all(&mut cluster, "c");
    assert_eq!((begun, end), (0, 19));
    assert!(0 < reads);
    // And the first one, which comes back, goes on behind all that.
    cluster.apply(json!({ "type": "restartBroker", "broker": first }));
    cluster.advance(8_000.0);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 2);
    cluster.apply(json!({ "type": "stopBroker", "broker": other }));
    cluster.advance(4_000.0);
    assert_eq!(cluster.leader("orders", 0), first);
    let left = cluster.values("orders", 0);
    assert_eq!(left, values(20 - left.len() as u32..20), "nothing of what was lost comes back");
}

#[test]
fn the_remote_store_is_rewound_with_the_rest() {
    let mut cluster = cluster(3, &[], &[("local.retention.ms", "1000")]);
    cluster.send_numbered("p", "orders", 0..20);
    cluster.advance(3_000.0);
    let (middle, copied) = (cluster.session.time_ms(), remote(&cluster));
    cluster.send_numbered("p", "orders", 20..40);
    cluster.advance(5_000.0);
    let (end, hash, all) = (cluster.session.time_ms(), cluster.session.trace().hash(), remote(&cluster));
    assert!(copied.len() < all.len());
    cluster.session.seek(middle).expect("back");
    assert_eq!(remote(&cluster), copied);
    cluster.session.seek(end).expect("forward");
    assert_eq!((cluster.session.trace().hash(), remote(&cluster)), (hash, all));
}
