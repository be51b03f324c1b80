#![cfg(not(target_arch = "wasm32"))]
//! What a broker tells of partitions that it does not lead, or that nobody leads.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::metadata::MetadataRecord;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

fn offline_replicas(broker: &mut Direct) -> (Vec<i32>, Vec<i32>) {
    let named = k::metadata_request::MetadataRequestTopic::default().with_name(Some(wire::topic("orders")));
    let message = k::MetadataRequest::default().with_topics(Some(vec![named]));
    let Some(Response::Metadata(answer)) = broker.ask(Request::Metadata(Arc::new(message))) else { panic!("no answer") };
    let partition = &answer.topics[0].partitions[0];
    let ids = |brokers: &[k::BrokerId]| brokers.iter().map(|broker| broker.0).collect();
    (ids(&partition.offline_replicas), ids(&partition.isr_nodes))
}

#[test]
fn a_replica_on_a_broker_that_is_being_shut_down_is_not_offline_yet() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "stopBroker", "broker": 3 }));
    let is_leaving = |cluster: &Cluster| {
        let broker = Direct::of(cluster, 1);
        let known = &broker.broker.image().brokers[&3];
        known.shutting_down && !known.fenced
    };
    for _ in 0..2_000 {
        if is_leaving(&cluster) {
            break;
        }
        cluster.advance(1.0);
    }
    assert!(is_leaving(&cluster));
    assert_eq!(offline_replicas(&mut Direct::of(&cluster, 1)).0, [0; 0]);
    cluster.advance(10_000.0);
    let (offline, isr) = offline_replicas(&mut Direct::of(&cluster, 1));
    assert_eq!((offline, isr.len()), (vec![3], 2));
}

/// Where the log ends, by the broker's word to whoever is this replica.
fn latest(broker: &mut Direct, replica: i32) -> Result<i64, E> {
    const LATEST: i64 = -1;
    offset_at(broker, replica, LATEST)
}

fn offset_at(broker: &mut Direct, replica: i32, timestamp: i64) -> Result<i64, E> {
    let asked = k::list_offsets_request::ListOffsetsPartition::default().with_current_leader_epoch(-1).with_timestamp(timestamp);
    let topic = k::list_offsets_request::ListOffsetsTopic::default().with_name(wire::topic("orders")).with_partitions(vec![asked]);
    let message = k::ListOffsetsRequest::default().with_replica_id(k::BrokerId(replica)).with_topics(vec![topic]);
    let Some(Response::ListOffsets(answer)) = broker.ask(Request::ListOffsets(Arc::new(message))) else { panic!("no answer") };
    let result = &answer.topics[0].partitions[0];
    if result.error_code == 0 { Ok(result.offset) } else { Err(E::of(result.error_code)) }
}

#[test]
fn a_new_leader_does_not_say_how_much_there_is_before_its_high_watermark_is_up_to_its_epoch() {
    const CONSUMER: i32 = -1;
    const DEBUGGER: i32 = -2;
    const EARLIEST: i64 = -2;
    // A follower that has a record and has not heard yet that it is committed.
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
    let (topic, old) = (topic_id(&cluster, "orders"), cluster.leader("orders", 0));
    cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
    let held = |broker: &Direct| (broker.replica(topic, 0).log.end_offset(), broker.replica(topic, 0).high_watermark());
    while held(&Direct::of(&cluster, 3 - old)).0 == 0 {
        cluster.advance(1.0);
    }
    let mut broker = Direct::of(&cluster, 3 - old);
    assert_eq!(held(&broker), (1, 0));
    let mut state = broker.broker.image().partition(&topic, 0).expect("the partition").clone();
    (state.leader, state.leader_epoch, state.partition_epoch) = (Some(3 - old), state.leader_epoch + 1, state.partition_epoch + 1);
    broker.learns(MetadataRecord::Partition { topic, partition: 0, state });
    assert_eq!(latest(&mut broker, CONSUMER), Err(E::OffsetNotAvailable));
    assert_eq!(offset_at(&mut broker, CONSUMER, 0), Err(E::OffsetNotAvailable), "a record that may not be committed");
    assert_eq!(offset_at(&mut broker, CONSUMER, EARLIEST), Ok(0));
    assert_eq!((latest(&mut broker, DEBUGGER), latest(&mut broker, old)), (Ok(1), Ok(1)), "brokers and tools want the log as it is");
    // The other one, which follows now, has it, too.
    let asked = k::fetch_request::FetchPartition::default().with_fetch_offset(1).with_current_leader_epoch(1).with_last_fetched_epoch(0);
    let asked = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
    let mut message = k::FetchRequest::default().with_topics(vec![asked]);
    (message.replica_state.replica_id, message.replica_state.replica_epoch) = (k::BrokerId(old), -1);
    broker.fetch(NodeId::Broker(old), message);
    assert_eq!((latest(&mut broker, CONSUMER), offset_at(&mut broker, CONSUMER, 0)), (Ok(1), Ok(0)));
}

#[test]
fn who_looks_for_an_error_is_told_where_any_replicas_log_ends() {
    const CONSUMER: i32 = -1;
    const DEBUGGER: i32 = -2;
    let (cluster, leader) = Cluster::with_a_late_follower();
    let (mut leads, mut follows) = (Direct::of(&cluster, leader), Direct::of(&cluster, 3 - leader));
    assert_eq!([CONSUMER, DEBUGGER].map(|replica| latest(&mut leads, replica)), [Ok(1), Ok(2)]);
    assert_eq!([CONSUMER, DEBUGGER].map(|replica| latest(&mut follows, replica)), [Err(E::NotLeaderOrFollower), Ok(1)]);
}

#[test]
fn what_nobody_leads_is_read_all_the_same_by_who_knows_that() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
    let leader = cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
    cluster.advance(1_000.0);
    let led_in = cluster.partition("orders", 0).leader_epoch;
    // The other one falls out of the ISR, and comes back when nobody is there who is in it.
    cluster.apply(json!({ "type": "crashBroker", "broker": 3 - leader }));
    cluster.advance(20_000.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(20_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": 3 - leader }));
    cluster.advance(10_000.0);
    let partition = cluster.partition("orders", 0);
    assert!(partition.leader.is_none() && led_in < partition.leader_epoch, "{partition:?}");
    let topic = topic_id(&cluster, "orders");
    let mut broker = Direct::of(&cluster, 3 - leader);
    let high_watermark = broker.replica(topic, 0).high_watermark();
    let mut fetch = |leader_epoch: i32| {
        let asked = k::fetch_request::FetchPartition::default().with_current_leader_epoch(leader_epoch).with_partition_max_bytes(1_000);
        let named = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
        let answer = broker.fetch(NodeId::Client(99), k::FetchRequest::default().with_max_bytes(1_000).with_topics(vec![named]));
        let data = &answer.responses[0].partitions[0];
        (E::of(data.error_code), data.high_watermark)
    };
    assert_eq!(fetch(partition.leader_epoch), (E::None, high_watermark));
    assert_eq!(fetch(-1), (E::None, high_watermark));
    assert_eq!(fetch(led_in).0, E::FencedLeaderEpoch);
    assert_eq!(fetch(partition.leader_epoch + 1).0, E::UnknownLeaderEpoch);
    assert_eq!(latest(&mut broker, -1), Err(E::NotLeaderOrFollower));
}
