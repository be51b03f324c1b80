#![cfg(not(target_arch = "wasm32"))]
//! Consumers read from a replica in their own rack (KIP-392): the leader names it, and it gives no more than it knows to be committed.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode;
use brokerlab::view::EventView;
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use serde_json::{Value, json};
use uuid::Uuid;

const SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

fn racks() -> [&'static str; 3] {
    ["rack-1", "rack-2", "rack-3"]
}

/// Broker 1 in rack-1 and so on; `orders-0` on all of them, with records coming in.
fn cluster(configs: Value) -> Cluster {
    let mut cluster = Cluster::racked_with(&racks(), configs).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 20 }));
    cluster.advance(2_000.0);
    cluster
}

fn selecting() -> Value {
    json!({ "replica.selector.class": SELECTOR, "replica.lag.time.max.ms": "5000" })
}

fn reader(cluster: &mut Cluster, rack: &str, configs: Value) {
    let mut all = json!({ "auto.offset.reset": "earliest", "client.rack": rack });
    configs.as_object().expect("settings").iter().for_each(|(name, value)| all[name] = value.clone());
    let partitions = json!([{ "topic": "orders", "partition": 0 }]);
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "partitions": partitions, "configs": all }));
}

fn consumed(cluster: &Cluster) -> u64 {
    cluster.view().consumers[0].consumed
}

/// Which brokers gave the reader records, in order, each once in a row.
fn sources(events: &[EventView]) -> Vec<String> {
    let gave = |event: &&EventView| {
        event.kind == "responseSent" && event.detail["to"] == "reader" && event.detail["api"] == "Fetch" && event.detail["records"] != 0
    };
    let mut sources: Vec<String> = events.iter().filter(gave).map(|event| event.node.clone()).collect();
    sources.dedup();
    sources
}

/// The producer ends, and everything is read.
#[track_caller]
fn assert_all_is_read(cluster: &mut Cluster) {
    cluster.apply(json!({ "type": "removeProducer", "id": "p" }));
    cluster.advance(10_000.0);
    assert_eq!(consumed(cluster), cluster.acknowledged_offsets("orders").len() as u64);
    assert!(100 < consumed(cluster));
}

#[test]
fn a_consumer_reads_from_the_replica_in_its_rack() {
    for near in 1..=3 {
        let mut cluster = cluster(selecting());
        let seen = cluster.events_after(|cluster| {
            // The leader is asked again every so often, and names the same one again.
            reader(cluster, racks()[near - 1], json!({ "metadata.max.age.ms": "5000" }));
            cluster.advance(20_000.0);
        });
        assert_eq!(sources(&seen), [format!("broker-{near}")], "the leader is broker {}", cluster.leader("orders", 0));
        assert_all_is_read(&mut cluster);
    }
}

#[test]
fn without_a_selector_a_rack_or_a_replica_there_it_reads_from_the_leader() {
    let nobody = json!({ "replica.lag.time.max.ms": "5000" });
    for (configs, rack) in [(nobody, "rack-1"), (selecting(), ""), (selecting(), "rack-9")] {
        let mut cluster = cluster(configs);
        let seen = cluster.events_after(|cluster| {
            reader(cluster, rack, json!({}));
            cluster.advance(5_000.0);
        });
        assert_eq!(sources(&seen), [format!("broker-{}", cluster.leader("orders", 0))], "{rack}");
    }
    assert_eq!(&*Cluster::refusal_of(json!({ "replica.selector.class": "my.Selector" })).code, "INVALID_CONFIG");
}

#[test]
fn a_near_replica_that_dies_is_left_for_the_leader_and_found_again() {
    let mut cluster = cluster(selecting());
    let near = cluster.leader("orders", 0) % 3 + 1;
    reader(&mut cluster, racks()[near as usize - 1], json!({}));
    cluster.advance(5_000.0);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "crashBroker", "broker": near }));
        cluster.advance(20_000.0);
        cluster.apply(json!({ "type": "restartBroker", "broker": near }));
        cluster.advance(20_000.0);
    });
    let (far, near) = (format!("broker-{}", cluster.leader("orders", 0)), format!("broker-{near}"));
    let sources = sources(&seen);
    assert!(sources == [far.clone(), near.clone()] || sources == [near.clone(), far, near], "{sources:?}");
    assert_all_is_read(&mut cluster);
}

#[test]
fn a_near_replica_that_falls_behind_is_left_when_the_metadata_is_old() {
    let mut cluster = cluster(selecting());
    let (leads, near) = (cluster.leader("orders", 0), cluster.leader("orders", 0) % 3 + 1);
    reader(&mut cluster, racks()[near as usize - 1], json!({ "metadata.max.age.ms": "20000" }));
    cluster.advance(3_000.0);
    let (from, to) = (format!("broker-{near}"), format!("broker-{leads}"));
    cluster.apply(json!({ "type": "setLink", "from": from, "to": to, "cut": true }));
    cluster.advance(9_000.0);
    let (before, high_watermark) = (consumed(&cluster), cluster.partition("orders", 0).replicas.iter().map(|r| r.high_watermark).max());
    assert!(before + 50 < high_watermark.expect("a replica") as u64, "it gives what it knows to be committed, and no more");
    assert!(!cluster.partition("orders", 0).isr.contains(&near));
    let seen = cluster.events_after(|cluster| cluster.advance(30_000.0));
    assert_eq!(sources(&seen).last(), Some(&to), "the leader does not name who is not in sync");
    assert_all_is_read(&mut cluster);
}

#[test]
fn after_an_election_the_new_leader_is_asked_where_to_read() {
    let mut cluster = cluster(selecting());
    let (old, near) = (cluster.leader("orders", 0), cluster.leader("orders", 0) % 3 + 1);
    reader(&mut cluster, racks()[near as usize - 1], json!({}));
    cluster.advance(3_000.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": old }));
    let seen = cluster.events_after(|cluster| cluster.advance(40_000.0));
    assert_ne!(cluster.leader("orders", 0), old);
    assert_eq!(sources(&seen).last(), Some(&format!("broker-{near}")));
    assert_all_is_read(&mut cluster);
}

fn fetch(topic: Uuid, offset: i64, epoch: i32, rack: &str) -> k::FetchRequest {
    let asked = k::fetch_request::FetchPartition::default().with_fetch_offset(offset).with_current_leader_epoch(epoch);
    let asked = asked.with_last_fetched_epoch(-1).with_partition_max_bytes(1_000_000);
    let topic = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
    let mut message = k::FetchRequest::default().with_session_epoch(-1).with_max_bytes(1_000_000).with_topics(vec![topic]);
    message.replica_state.replica_id = k::BrokerId(-1);
    message.with_rack_id(StrBytes::from_string(rack.to_owned()))
}

#[test]
fn a_follower_answers_in_its_epoch_and_up_to_its_high_watermark() {
    let mut cluster = cluster(selecting());
    let (leads, near) = (cluster.leader("orders", 0), cluster.leader("orders", 0) % 3 + 1);
    let epoch = cluster.partition("orders", 0).leader_epoch;
    // It has what it fetched last, and does not know yet that it is committed.
    let mut direct = None;
    for _ in 0..500 {
        cluster.advance(1.0);
        let broker = Direct::of(&cluster, near);
        let replica = broker.replica(topic_id(&cluster, "orders"), 0);
        if replica.high_watermark() < replica.log.end_offset() {
            direct = Some(broker);
            break;
        }
    }
    let mut direct = direct.expect("records come in all the time");
    let topic = topic_id(&cluster, "orders");
    let (known, end) = (direct.replica(topic, 0).high_watermark(), direct.replica(topic, 0).log.end_offset());
    let mut ask = |offset: i64, epoch: i32| {
        let response = direct.fetch(NodeId::Client(9), fetch(topic, offset, epoch, ""));
        let data = response.responses[0].partitions[0].clone();
        (ErrorCode::of(data.error_code), data.high_watermark, data.preferred_read_replica.0)
    };
    assert_eq!(ask(0, epoch), (ErrorCode::None, known, -1));
    assert_eq!(ask(known, -1), (ErrorCode::None, known, -1));
    assert_eq!(ask(end, epoch), (ErrorCode::None, known, -1), "not committed, for all that it knows: nothing yet");
    assert_eq!(ask(end + 1, epoch).0, ErrorCode::OffsetOutOfRange);
    assert_eq!(ask(0, epoch + 1).0, ErrorCode::UnknownLeaderEpoch);

    let mut leader = Direct::of(&cluster, leads);
    let mut told =
        |offset: i64, rack: &str| leader.fetch(NodeId::Client(9), fetch(topic, offset, epoch, rack)).responses[0].partitions[0].clone();
    let sent = told(0, racks()[near as usize - 1]);
    assert_eq!((sent.preferred_read_replica.0, sent.error_code), (near, 0));
    assert_eq!(told(0, racks()[leads as usize - 1]).preferred_read_replica.0, -1, "the leader is near enough");
    assert_eq!(told(0, "").preferred_read_replica.0, -1);
}
