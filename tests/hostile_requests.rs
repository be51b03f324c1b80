#![cfg(not(target_arch = "wasm32"))]
//! Requests that contradict themselves or the cluster: each gets Kafka's error code, and leaves every log, every group and the metadata as they were.
//!
//! First each case by name, then as many as `FUZZ_INPUTS` says by chance, of every type that a broker or the controller answers.

mod any_request;
mod cluster;

use any_request::{Facts, any_request, is_for_controller};
use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{self, Request, Response};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions};
use bytes::Bytes;
use cluster::Cluster;
use cluster::direct::{Direct, DirectController, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Requests by chance that an ordinary test run makes.
const INPUTS: u64 = 10_000;
/// After so many the cluster is a fresh one: some requests are good, and change it.
const ROUND: u64 = 200;

/// Three brokers, a controller, a topic with records and a group with one member, each asked directly.
struct Target {
    brokers: Vec<Direct>,
    controller: DirectController,
    facts: Facts,
}

impl Target {
    fn new() -> Target {
        let mut cluster = Cluster::of_brokers(3).topic("orders", 2, 3).topic("payments", 1, 1);
        cluster.consumer("reader", "readers");
        for number in 0..6 {
            cluster.apply(json!({ "type": "send", "topic": "orders", "partition": number % 2, "value": "v" }));
        }
        cluster.advance(1_000.0);
        // The second leader epoch, so that there is an older one, and the broker epochs of processes that were not the first.
        for broker in 1..=3 {
            cluster.apply(json!({ "type": "crashBroker", "broker": broker }));
            cluster.advance(15_000.0);
            cluster.apply(json!({ "type": "restartBroker", "broker": broker }));
            cluster.advance(15_000.0);
        }
        let member = cluster.group("readers").members.first().expect("a member").member_id.clone();
        let partition = cluster.partition("orders", 0);
        let facts = Facts {
            topic: topic_id(&cluster, "orders"),
            other_topic: topic_id(&cluster, "payments"),
            leader: partition.leader.expect("a leader"),
            coordinator: cluster.group("readers").coordinator.expect("a coordinator"),
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            isr: partition.isr,
            member,
            generation: cluster.group("readers").generation,
            broker_epochs: (1..=3).map(|id| cluster.session.world().broker(id).expect("the broker").0.epoch()).collect(),
        };
        assert!(0 < facts.leader_epoch && facts.isr.len() == 3);
        let mut target =
            Target { brokers: (1..=3).map(|id| Direct::of(&cluster, id)).collect(), controller: DirectController::of(&cluster), facts };
        // A sign of life, so that another at the same time makes no difference.
        let Facts { coordinator, member, generation, .. } = target.facts.clone();
        let beat = k::HeartbeatRequest::default().with_group_id(k::GroupId(wire::text("readers"))).with_member_id(wire::text(&member));
        let answer = target.broker(coordinator).ask(Request::Heartbeat(Arc::new(beat.with_generation_id(generation))));
        assert_eq!(answer.map(|answer| answer.error()), Some(E::None));
        target
    }

    fn copy(&self) -> Target {
        Target { brokers: self.brokers.iter().map(Direct::copy).collect(), controller: self.controller.copy(), facts: self.facts.clone() }
    }

    fn broker(&mut self, id: i32) -> &mut Direct {
        &mut self.brokers[id as usize - 1]
    }

    /// The broker refuses with this code and nothing has changed.
    #[track_caller]
    fn broker_refuses(&mut self, id: i32, what: &str, request: Request, expected: E) {
        let broker = self.broker(id);
        let before = broker.state();
        let answer = broker.ask(request).unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(errors(&answer).first(), Some(&expected), "{what}: {answer:?}");
        assert!(before == broker.state(), "{what} was refused and has changed something");
    }

    #[track_caller]
    fn controller_refuses(&mut self, what: &str, request: Request, expected: E) {
        let before = self.controller.state();
        let answer = self.controller.ask(NodeId::Admin, request).unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(errors(&answer).first(), Some(&expected), "{what}: {answer:?}");
        assert!(before == self.controller.state(), "{what} was refused and has changed something");
    }
}

/// The error of the whole, or one for each part.
fn errors(response: &Response) -> Vec<E> {
    let parts: Vec<i16> = match response {
        Response::Produce(m) => m.responses.iter().flat_map(|t| &t.partition_responses).map(|p| p.error_code).collect(),
        Response::TxnOffsetCommit(m) => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect(),
        Response::AddPartitionsToTxn(m) => {
            let results = m.results_by_transaction.iter().flat_map(|result| &result.topic_results);
            results.flat_map(|t| &t.results_by_partition).map(|p| p.partition_error_code).collect()
        }
        Response::WriteTxnMarkers(m) => {
            m.markers.iter().flat_map(|marker| &marker.topics).flat_map(|t| &t.partitions).map(|p| p.error_code).collect()
        }
        Response::Fetch(m, _) if m.error_code == 0 => m.responses.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect(),
        Response::ListOffsets(m) => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect(),
        Response::OffsetForLeaderEpoch(m) => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect(),
        Response::Metadata(m) => m.topics.iter().map(|t| t.error_code).collect(),
        Response::FindCoordinator(m) => m.coordinators.iter().map(|c| c.error_code).collect(),
        Response::LeaveGroup(m) if m.error_code == 0 => m.members.iter().map(|member| member.error_code).collect(),
        Response::OffsetCommit(m) => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect(),
        Response::OffsetFetch(m) => m.groups.iter().map(|g| g.error_code).collect(),
        Response::DescribeConfigs(m) => m.results.iter().map(|r| r.error_code).collect(),
        Response::DescribeGroups(m) => m.groups.iter().map(|g| g.error_code).collect(),
        Response::ConsumerGroupDescribe(m) => m.groups.iter().map(|g| g.error_code).collect(),
        Response::ShareGroupDescribe(m) => m.groups.iter().map(|g| g.error_code).collect(),
        Response::DescribeShareGroupOffsets(m) => m.groups.iter().map(|g| g.error_code).collect(),
        Response::DeleteGroups(m) => m.results.iter().map(|g| g.error_code).collect(),
        Response::OffsetDelete(m) if m.error_code == 0 => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect(),
        Response::DeleteRecords(m) => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect(),
        Response::CreateTopics(m) => m.topics.iter().map(|t| t.error_code).collect(),
        Response::DeleteTopics(m) => m.responses.iter().map(|t| t.error_code).collect(),
        Response::CreatePartitions(m) => m.results.iter().map(|t| t.error_code).collect(),
        Response::ElectLeaders(m) => m.replica_election_results.iter().flat_map(|t| &t.partition_result).map(|p| p.error_code).collect(),
        Response::IncrementalAlterConfigs(m) => m.responses.iter().map(|r| r.error_code).collect(),
        Response::AlterClientQuotas(m) => m.entries.iter().map(|e| e.error_code).collect(),
        Response::AlterPartitionReassignments(m) if m.error_code == 0 => {
            m.responses.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect()
        }
        Response::AlterPartition(m) if m.error_code == 0 => m.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect(),
        other => vec![other.error().code()],
    };
    parts.into_iter().map(E::of).collect()
}

fn batch() -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
    builder.append(-1, Some(b"k"), Some(b"v"), &[]);
    Batch::from_wire(builder.build()).expect("a batch")
}

fn produce(acks: i16, topic: Uuid, partition: i32, batches: &[Batch]) -> Request {
    let data = k::produce_request::PartitionProduceData::default().with_index(partition);
    let topic = k::produce_request::TopicProduceData::default().with_topic_id(topic).with_partition_data(vec![data]);
    let message = k::ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![topic]);
    Request::Produce(Arc::new(message), Arc::from(batches))
}

#[test]
fn produce_is_refused_where_nothing_may_be_appended() {
    let mut target = Target::new();
    let Facts { topic, leader, .. } = target.facts.clone();
    for acks in [2, -2, i16::MAX, i16::MIN] {
        target.broker_refuses(leader, "acks", produce(acks, topic, 0, &[batch()]), E::InvalidRequiredAcks);
        target.broker_refuses(leader, "acks where no topic is", produce(acks, Uuid::from_u128(77), 0, &[batch()]), E::UnknownTopicId);
        target.broker_refuses(leader, "acks where no partition is", produce(acks, topic, 2, &[batch()]), E::UnknownTopicOrPartition);
    }
    for acks in [-1, 1] {
        for partition in [2, -1, i32::MAX, i32::MIN] {
            target.broker_refuses(leader, "partition", produce(acks, topic, partition, &[batch()]), E::UnknownTopicOrPartition);
        }
        for unknown in [Uuid::nil(), Uuid::from_u128(1), Uuid::from_u128(77)] {
            target.broker_refuses(leader, "topic id", produce(acks, unknown, 0, &[batch()]), E::UnknownTopicId);
        }
        target.broker_refuses(leader, "no batch", produce(acks, topic, 0, &[]), E::InvalidRecord);
        target.broker_refuses(leader % 3 + 1, "a follower", produce(acks, topic, 0, &[batch()]), E::NotLeaderOrFollower);
    }
}

#[test]
fn an_admin_is_refused_groups_that_are_not_there_or_not_empty() {
    let mut target = Target::new();
    let coordinator = target.facts.coordinator;
    let elsewhere = coordinator % 3 + 1;
    let id = |group: &str| k::GroupId(wire::text(group));
    for (at, group, expected) in [(coordinator, "readers", E::NonEmptyGroup), (elsewhere, "readers", E::NotCoordinator)] {
        let delete = k::DeleteGroupsRequest::default().with_groups_names(vec![id(group)]);
        target.broker_refuses(at, "DeleteGroups", Request::DeleteGroups(Arc::new(delete)), expected);
    }
    let describe = k::DescribeGroupsRequest::default().with_groups(vec![id("readers")]);
    target.broker_refuses(elsewhere, "DescribeGroups", Request::DescribeGroups(Arc::new(describe)), E::NotCoordinator);
    let describe = k::ConsumerGroupDescribeRequest::default().with_group_ids(vec![id("readers")]);
    target.broker_refuses(elsewhere, "ConsumerGroupDescribe", Request::ConsumerGroupDescribe(Arc::new(describe)), E::NotCoordinator);
    for (at, group, expected) in
        [(elsewhere, "readers", E::NotCoordinator), (coordinator, "readers", E::GroupIdNotFound), (coordinator, "", E::InvalidGroupId)]
    {
        let describe = k::ShareGroupDescribeRequest::default().with_group_ids(vec![id(group)]);
        target.broker_refuses(at, "ShareGroupDescribe", Request::ShareGroupDescribe(Arc::new(describe)), expected);
        let alter = k::AlterShareGroupOffsetsRequest::default().with_group_id(id(group));
        target.broker_refuses(at, "AlterShareGroupOffsets", Request::AlterShareGroupOffsets(Arc::new(alter)), expected);
        let delete = k::DeleteShareGroupOffsetsRequest::default().with_group_id(id(group));
        target.broker_refuses(at, "DeleteShareGroupOffsets", Request::DeleteShareGroupOffsets(Arc::new(delete)), expected);
        let beat = k::ShareGroupHeartbeatRequest::default().with_group_id(id(group)).with_member_id(wire::text("m"));
        let beat = beat.with_member_epoch(7);
        let expected = if group.is_empty() { E::InvalidRequest } else { expected };
        target.broker_refuses(at, "ShareGroupHeartbeat", Request::ShareGroupHeartbeat(Arc::new(beat)), expected);
    }
    for (at, group, topic, expected) in [
        (coordinator, "", "orders", E::InvalidGroupId),
        (elsewhere, "readers", "orders", E::NotCoordinator),
        (coordinator, "readers", "orders", E::GroupSubscribedToTopic),
        (coordinator, "readers", "nothing", E::UnknownTopicOrPartition),
    ] {
        let asked = k::offset_delete_request::OffsetDeleteRequestPartition::default();
        let topic =
            k::offset_delete_request::OffsetDeleteRequestTopic::default().with_name(wire::topic(topic)).with_partitions(vec![asked]);
        let delete = k::OffsetDeleteRequest::default().with_group_id(id(group)).with_topics(vec![topic]);
        target.broker_refuses(at, "OffsetDelete", Request::OffsetDelete(Arc::new(delete)), expected);
    }
}

/// A fetch of one partition by a consumer, or with `(replica, broker epoch)` by a follower.
fn fetch(topic: Uuid, partition: i32, offset: i64, epoch: i32, last_epoch: i32, follower: Option<(i32, i64)>) -> k::FetchRequest {
    let mut asked = k::fetch_request::FetchPartition::default().with_partition(partition).with_fetch_offset(offset);
    (asked.current_leader_epoch, asked.last_fetched_epoch, asked.partition_max_bytes) = (epoch, last_epoch, 1_000);
    let topic = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
    let mut message = k::FetchRequest::default().with_session_epoch(-1).with_max_bytes(1_000).with_topics(vec![topic]);
    let (replica, broker_epoch) = follower.unwrap_or((-1, -1));
    (message.replica_state.replica_id, message.replica_state.replica_epoch) = (k::BrokerId(replica), broker_epoch);
    message
}

#[test]
fn fetch_is_refused_where_nothing_may_be_read_or_told() {
    let mut target = Target::new();
    let Facts { topic, leader, leader_epoch: epoch, broker_epochs, .. } = target.facts.clone();
    let end = target.broker(leader).replica(topic, 0).log.end_offset();
    let follower = leader % 3 + 1;
    let known = broker_epochs[follower as usize - 1];
    let mut refuse = |id, what, message, expected| target.broker_refuses(id, what, Request::Fetch(Arc::new(message)), expected);
    for own in [None, Some((follower, known)), Some((follower, -1))] {
        for offset in [-1, i64::MIN, end + 1, i64::MAX] {
            refuse(leader, "offset", fetch(topic, 0, offset, epoch, -1, own), E::OffsetOutOfRange);
        }
        refuse(leader, "an older epoch", fetch(topic, 0, 0, epoch - 1, -1, own), E::FencedLeaderEpoch);
        refuse(leader, "a newer epoch", fetch(topic, 0, 0, epoch + 1, -1, own), E::UnknownLeaderEpoch);
        refuse(leader, "records of an epoch to come", fetch(topic, 0, 0, epoch, epoch + 1, own), E::OffsetOutOfRange);
        refuse(leader, "partition", fetch(topic, -7, 0, -1, -1, own), E::UnknownTopicOrPartition);
        refuse(leader, "topic", fetch(Uuid::from_u128(77), 0, 0, -1, -1, own), E::UnknownTopicId);
    }
    refuse(
        follower,
        "of a follower",
        fetch(topic, 0, 0, -1, -1, Some((leader, broker_epochs[leader as usize - 1]))),
        E::NotLeaderOrFollower,
    );
    // Who is no replica is told nothing that is not committed, and counts for nothing.
    for stranger in [4, 77, i32::MAX] {
        refuse(leader, "a stranger", fetch(topic, 0, end, epoch, -1, Some((stranger, 5))), E::UnknownLeaderEpoch);
        refuse(leader, "a stranger without epoch", fetch(topic, 0, end, -1, -1, Some((stranger, 5))), E::NotLeaderOrFollower);
    }
    refuse(leader, "the leader itself", fetch(topic, 0, end, epoch, -1, Some((leader, 5))), E::UnknownLeaderEpoch);
    refuse(leader, "a process of before", fetch(topic, 0, end, epoch, -1, Some((follower, known - 1))), E::NotLeaderOrFollower);
    for (id, epoch, expected) in
        [(7, 1, E::FetchSessionIdNotFound), (0, 1, E::FetchSessionIdNotFound), (-1, i32::MIN, E::FetchSessionIdNotFound)]
    {
        let message = fetch(topic, 0, 0, -1, -1, None).with_session_id(id).with_session_epoch(epoch);
        refuse(leader, "session", message, expected);
    }
}

#[test]
fn questions_are_refused_where_there_is_no_answer() {
    let mut target = Target::new();
    let Facts { topic, leader, leader_epoch: epoch, .. } = target.facts.clone();
    let list = |name: &str, partitions: &[i32], epoch: i32, timestamp: i64| {
        let asked = |index: &i32| {
            let partition = k::list_offsets_request::ListOffsetsPartition::default().with_partition_index(*index);
            partition.with_current_leader_epoch(epoch).with_timestamp(timestamp)
        };
        let topic = k::list_offsets_request::ListOffsetsTopic::default().with_name(wire::topic(name));
        let message = k::ListOffsetsRequest::default().with_replica_id(k::BrokerId(-1));
        Request::ListOffsets(Arc::new(message.with_topics(vec![topic.with_partitions(partitions.iter().map(asked).collect())])))
    };
    let end = |name: &str, partition: i32, current: i32| {
        let asked = k::offset_for_leader_epoch_request::OffsetForLeaderPartition::default().with_partition(partition);
        let topic = k::offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(wire::topic(name));
        let topic = topic.with_partitions(vec![asked.with_current_leader_epoch(current).with_leader_epoch(0)]);
        Request::OffsetForLeaderEpoch(Arc::new(k::OffsetForLeaderEpochRequest::default().with_topics(vec![topic])))
    };
    for (name, partition, current, expected) in [
        ("nothing", 0, -1, E::UnknownTopicOrPartition),
        ("", 0, -1, E::UnknownTopicOrPartition),
        ("orders", 2, -1, E::UnknownTopicOrPartition),
        ("orders", i32::MIN, -1, E::UnknownTopicOrPartition),
        ("orders", 0, epoch - 1, E::FencedLeaderEpoch),
        ("orders", 0, epoch + 1, E::UnknownLeaderEpoch),
    ] {
        target.broker_refuses(leader, "ListOffsets", list(name, &[partition], current, -1), expected);
        target.broker_refuses(leader, "OffsetForLeaderEpoch", end(name, partition, current), expected);
    }
    for timestamp in [-6, i64::MIN] {
        target.broker_refuses(leader, "a reserved time", list("orders", &[0], -1, timestamp), E::UnsupportedVersion);
    }
    target.broker_refuses(leader, "the same twice", list("orders", &[0, 0], -1, -1), E::InvalidRequest);

    let metadata = |name: Option<&str>, id: Uuid| {
        let asked = k::metadata_request::MetadataRequestTopic::default().with_name(name.map(wire::topic)).with_topic_id(id);
        Request::Metadata(Arc::new(k::MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false)))
    };
    for bad in ["", ".", "..", "a/b", "a b", &"x".repeat(250)] {
        target.broker_refuses(leader, "a name", metadata(Some(bad), Uuid::nil()), E::InvalidTopicException);
    }
    target.broker_refuses(leader, "an unknown name", metadata(Some("nothing"), Uuid::nil()), E::UnknownTopicOrPartition);
    target.broker_refuses(leader, "an unknown id", metadata(None, Uuid::from_u128(77)), E::UnknownTopicId);
    target.broker_refuses(leader, "an unknown id and a name", metadata(Some("orders"), Uuid::from_u128(77)), E::UnknownTopicId);
    match target.broker(leader).ask(metadata(None, topic)) {
        Some(Response::Metadata(told)) => assert_eq!(told.topics[0].name, Some(wire::topic("orders"))),
        answer => panic!("{answer:?}"),
    }
    for key_type in [-1, 3, i8::MAX] {
        let message = k::FindCoordinatorRequest::default().with_key_type(key_type).with_coordinator_keys(vec![wire::text("readers")]);
        target.broker_refuses(leader, "a coordinator of nothing", Request::FindCoordinator(Arc::new(message)), E::InvalidRequest);
    }
}

#[test]
fn records_are_not_deleted_where_they_may_not_be() {
    let mut target = Target::new();
    let Facts { topic, leader, .. } = target.facts.clone();
    let end = target.broker(leader).replica(topic, 0).log.end_offset();
    let delete = |name: &str, partition: i32, offset: i64| {
        let asked = k::delete_records_request::DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
        let topic = k::delete_records_request::DeleteRecordsTopic::default().with_name(wire::topic(name)).with_partitions(vec![asked]);
        Request::DeleteRecords(Arc::new(k::DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(100)))
    };
    for offset in [end + 1, i64::MAX, -2, i64::MIN] {
        target.broker_refuses(leader, "an offset", delete("orders", 0, offset), E::OffsetOutOfRange);
    }
    for partition in [2, -1, i32::MAX, i32::MIN] {
        target.broker_refuses(leader, "a partition", delete("orders", partition, 0), E::UnknownTopicOrPartition);
    }
    for name in ["nothing", "", "a/b"] {
        target.broker_refuses(leader, "a topic", delete(name, 0, 0), E::UnknownTopicOrPartition);
    }
    target.broker_refuses(leader % 3 + 1, "a follower", delete("orders", 0, 1), E::NotLeaderOrFollower);
}

#[test]
fn group_requests_are_refused_out_of_turn() {
    let mut target = Target::new();
    let Facts { coordinator, member, generation, .. } = target.facts.clone();
    let elsewhere = coordinator % 3 + 1;
    let join = |group: &str, member: &str, session: i32, protocol_type: &str, protocols: &[&str]| {
        let protocol = |name: &&str| {
            k::join_group_request::JoinGroupRequestProtocol::default().with_name(wire::text(name)).with_metadata(Bytes::from_static(b"s"))
        };
        let message = k::JoinGroupRequest::default().with_group_id(k::GroupId(wire::text(group))).with_member_id(wire::text(member));
        let message = message.with_session_timeout_ms(session).with_rebalance_timeout_ms(-1).with_protocol_type(wire::text(protocol_type));
        Request::JoinGroup(Arc::new(message.with_protocols(protocols.iter().map(protocol).collect())))
    };
    for (group, id, session, kind, protocols, expected) in [
        ("", "", 45_000, "consumer", &["range"][..], E::InvalidGroupId),
        ("readers", "", 5_999, "consumer", &["range"], E::InvalidSessionTimeout),
        ("readers", "", 1_800_001, "consumer", &["range"], E::InvalidSessionTimeout),
        ("readers", "", -1, "consumer", &["range"], E::InvalidSessionTimeout),
        ("readers", "nobody", 45_000, "consumer", &["range"], E::UnknownMemberId),
        ("readers", "", 45_000, "connect", &["range"], E::InconsistentGroupProtocol),
        ("readers", "", 45_000, "consumer", &["another"], E::InconsistentGroupProtocol),
        ("readers", "", 45_000, "consumer", &[], E::InconsistentGroupProtocol),
        ("readers", "", 45_000, "", &["range"], E::InconsistentGroupProtocol),
        ("readers", &member, 45_000, "connect", &["range"], E::InconsistentGroupProtocol),
    ] {
        target.broker_refuses(coordinator, "JoinGroup", join(group, id, session, kind, protocols), expected);
    }
    target.broker_refuses(elsewhere, "JoinGroup", join("readers", "", 45_000, "consumer", &["range"]), E::NotCoordinator);
    // A group that nobody can join does not come into being.
    let fresh = (0..)
        .map(|number| format!("fresh-{number}"))
        .find(|name| brokerlab::coordinator::partition_for(name, 3) == brokerlab::coordinator::partition_for("readers", 3));
    let fresh = fresh.expect("a name");
    target.broker_refuses(coordinator, "JoinGroup", join(&fresh, "", 45_000, "consumer", &[]), E::InconsistentGroupProtocol);
    target.broker_refuses(coordinator, "JoinGroup", join(&fresh, "nobody", 45_000, "consumer", &["range"]), E::UnknownMemberId);

    for (group, id, generation, expected) in [
        ("", member.as_str(), generation, E::InvalidGroupId),
        ("readers", "nobody", generation, E::UnknownMemberId),
        ("readers", "", generation, E::UnknownMemberId),
        ("readers", &member, generation - 1, E::IllegalGeneration),
        ("readers", &member, generation + 1, E::IllegalGeneration),
        ("readers", &member, i32::MIN, E::IllegalGeneration),
    ] {
        let (group, id) = (k::GroupId(wire::text(group)), wire::text(id));
        let sync = k::SyncGroupRequest::default().with_group_id(group.clone()).with_member_id(id.clone()).with_generation_id(generation);
        target.broker_refuses(coordinator, "SyncGroup", Request::SyncGroup(Arc::new(sync)), expected);
        let beat = k::HeartbeatRequest::default().with_group_id(group.clone()).with_member_id(id.clone()).with_generation_id(generation);
        target.broker_refuses(coordinator, "Heartbeat", Request::Heartbeat(Arc::new(beat)), expected);
        // A group without a name may commit, as the oldest consumers did: at its coordinator, as any other.
        let expected = if group.is_empty() { E::NotCoordinator } else { expected };
        let commit = commit(group, id, generation, "orders", 0, "");
        target.broker_refuses(coordinator, "OffsetCommit", commit, expected);
    }
    let (group, id) = (k::GroupId(wire::text("readers")), wire::text(&member));
    let sync = k::SyncGroupRequest::default().with_group_id(group.clone()).with_member_id(id.clone()).with_generation_id(generation);
    let sync = sync.with_protocol_name(Some(wire::text("another")));
    target.broker_refuses(coordinator, "SyncGroup", Request::SyncGroup(Arc::new(sync)), E::InconsistentGroupProtocol);
    for (topic, partition, metadata, expected) in [
        ("nothing", 0, "", E::UnknownTopicOrPartition),
        ("orders", 2, "", E::UnknownTopicOrPartition),
        ("orders", -1, "", E::UnknownTopicOrPartition),
        ("orders", 0, &*"x".repeat(4_097), E::OffsetMetadataTooLarge),
    ] {
        let commit = commit(group.clone(), id.clone(), generation, topic, partition, metadata);
        target.broker_refuses(coordinator, "OffsetCommit", commit, expected);
    }
    let nobody = commit(group.clone(), wire::text(""), -1, "orders", 0, "");
    target.broker_refuses(coordinator, "a commit without a member in a group that has some", nobody, E::UnknownMemberId);
    let leaving = k::leave_group_request::MemberIdentity::default().with_member_id(wire::text("nobody"));
    let leave = k::LeaveGroupRequest::default().with_group_id(group).with_members(vec![leaving]);
    target.broker_refuses(coordinator, "LeaveGroup", Request::LeaveGroup(Arc::new(leave)), E::UnknownMemberId);
    for (at, group, expected) in [(coordinator, "", E::NotCoordinator), (elsewhere, "readers", E::NotCoordinator)] {
        let asked = k::offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(k::GroupId(wire::text(group)));
        let fetch = k::OffsetFetchRequest::default().with_groups(vec![asked]);
        target.broker_refuses(at, "OffsetFetch", Request::OffsetFetch(Arc::new(fetch)), expected);
    }
}

fn commit(
    group: k::GroupId,
    member: kafka_protocol::protocol::StrBytes,
    generation: i32,
    topic: &str,
    partition: i32,
    text: &str,
) -> Request {
    let asked = k::offset_commit_request::OffsetCommitRequestPartition::default().with_partition_index(partition).with_committed_offset(1);
    let asked = asked.with_committed_metadata(Some(wire::text(text)));
    let topic = k::offset_commit_request::OffsetCommitRequestTopic::default().with_name(wire::topic(topic)).with_partitions(vec![asked]);
    let message = k::OffsetCommitRequest::default().with_group_id(group).with_member_id(member);
    Request::OffsetCommit(Arc::new(message.with_generation_id_or_member_epoch(generation).with_topics(vec![topic])))
}

#[test]
fn the_controller_refuses_what_contradicts_the_cluster() {
    let mut target = Target::new();
    let topic = |name: &str, partitions: i32, factor: i16| {
        let topic = k::create_topics_request::CreatableTopic::default().with_name(wire::topic(name));
        topic.with_num_partitions(partitions).with_replication_factor(factor)
    };
    let create = |topics| Request::CreateTopics(Arc::new(k::CreateTopicsRequest::default().with_topics(topics)));
    for bad in ["", ".", "..", "a/b", &"x".repeat(250)] {
        target.controller_refuses("a name", create(vec![topic(bad, 1, 1)]), E::InvalidTopicException);
    }
    target.controller_refuses("a topic that is there", create(vec![topic("orders", 1, 1)]), E::TopicAlreadyExists);
    target.controller_refuses("the metadata log", create(vec![topic("__cluster_metadata", 1, 1)]), E::InvalidRequest);
    target.controller_refuses("the same twice", create(vec![topic("new", 1, 1), topic("new", 2, 1)]), E::InvalidRequest);
    for count in [0, -2, i32::MIN] {
        target.controller_refuses("partitions", create(vec![topic("new", count, 1)]), E::InvalidPartitions);
    }
    target.controller_refuses("partitions", create(vec![topic("new", i32::MAX, 1)]), E::PolicyViolation);
    for factor in [0, -2, 4, i16::MIN, i16::MAX] {
        target.controller_refuses("factor", create(vec![topic("new", 1, factor)]), E::InvalidReplicationFactor);
    }
    for (name, value) in [("nothing", "1"), ("retention.ms", "soon"), ("retention.ms", ""), ("min.insync.replicas", "0")] {
        let config =
            k::create_topics_request::CreatableTopicConfig::default().with_name(wire::text(name)).with_value(Some(wire::text(value)));
        target.controller_refuses(name, create(vec![topic("new", 1, 1).with_configs(vec![config])]), E::InvalidConfig);
    }
    let more = |names: &[&str], count: i32| {
        let asked =
            |name: &&str| k::create_partitions_request::CreatePartitionsTopic::default().with_name(wire::topic(name)).with_count(count);
        Request::CreatePartitions(Arc::new(k::CreatePartitionsRequest::default().with_topics(names.iter().map(asked).collect())))
    };
    for count in [2, 1, 0, -1, i32::MIN, i32::MAX] {
        target.controller_refuses("partitions", more(&["orders"], count), E::InvalidPartitions);
    }
    target.controller_refuses("an unknown topic", more(&["nothing"], 5), E::UnknownTopicOrPartition);
    target.controller_refuses("the same twice", more(&["orders", "orders"], 5), E::InvalidRequest);
    for (name, partition, expected) in [
        ("nothing", 0, E::UnknownTopicOrPartition),
        ("orders", 2, E::UnknownTopicOrPartition),
        ("orders", -1, E::UnknownTopicOrPartition),
        ("payments", 0, E::ElectionNotNeeded),
    ] {
        let asked = k::elect_leaders_request::TopicPartitions::default().with_topic(wire::topic(name)).with_partitions(vec![partition]);
        let message = k::ElectLeadersRequest::default().with_topic_partitions(Some(vec![asked]));
        target.controller_refuses("ElectLeaders", Request::ElectLeaders(Arc::new(message)), expected);
    }
}

#[test]
fn the_controller_refuses_brokers_that_are_behind_or_lie() {
    let mut target = Target::new();
    let Facts { topic, leader, leader_epoch, partition_epoch, broker_epochs, .. } = target.facts.clone();
    let known = |id: i32| broker_epochs[id as usize - 1];
    let follower = leader % 3 + 1;
    let alter = |broker: i32, broker_epoch: i64, topic: Uuid, partition: i32, epochs: (i32, i32), isr: &[(i32, i64)]| {
        let member = |(id, epoch): &(i32, i64)| {
            k::alter_partition_request::BrokerState::default().with_broker_id(k::BrokerId(*id)).with_broker_epoch(*epoch)
        };
        let asked = k::alter_partition_request::PartitionData::default().with_partition_index(partition);
        let asked =
            asked.with_leader_epoch(epochs.0).with_partition_epoch(epochs.1).with_new_isr_with_epochs(isr.iter().map(member).collect());
        let topic = k::alter_partition_request::TopicData::default().with_topic_id(topic).with_partitions(vec![asked]);
        k::AlterPartitionRequest::default().with_broker_id(k::BrokerId(broker)).with_broker_epoch(broker_epoch).with_topics(vec![topic])
    };
    let (own, epochs) = (known(leader), (leader_epoch, partition_epoch));
    let isr = [(leader, own), (follower, known(follower))];
    let alone = [(leader, own)];
    let mut refuse = |what, message, expected| target.controller_refuses(what, Request::AlterPartition(Arc::new(message)), expected);
    for (broker, epoch) in [(leader, own - 1), (leader, own + 1), (leader, -1), (77, own), (-1, -1)] {
        refuse("another process", alter(broker, epoch, topic, 0, epochs, &alone), E::StaleBrokerEpoch);
    }
    refuse("a topic", alter(leader, own, Uuid::from_u128(77), 0, epochs, &alone), E::UnknownTopicId);
    for partition in [2, -1, i32::MAX] {
        refuse("a partition", alter(leader, own, topic, partition, epochs, &alone), E::UnknownTopicOrPartition);
    }
    refuse("a leader epoch to come", alter(leader, own, topic, 0, (leader_epoch + 1, partition_epoch), &alone), E::NotController);
    refuse("a partition epoch to come", alter(leader, own, topic, 0, (leader_epoch, partition_epoch + 1), &alone), E::NotController);
    refuse("an old leader epoch", alter(leader, own, topic, 0, (leader_epoch - 1, partition_epoch), &alone), E::FencedLeaderEpoch);
    refuse("an old partition epoch", alter(leader, own, topic, 0, (leader_epoch, partition_epoch - 1), &alone), E::InvalidUpdateVersion);
    refuse("a follower", alter(follower, known(follower), topic, 0, epochs, &isr), E::InvalidRequest);
    for (what, isr) in [
        ("nobody", &[][..]),
        ("without the leader", &[(follower, known(follower))]),
        ("twice the same", &[(leader, own), (follower, known(follower)), (follower, known(follower))]),
        ("a stranger", &[(leader, own), (77, 5)]),
        ("nobody's id", &[(leader, own), (-1, -1)]),
    ] {
        refuse(what, alter(leader, own, topic, 0, epochs, isr), E::InvalidRequest);
    }
    let mut recovering = alter(leader, own, topic, 0, epochs, &alone);
    recovering.topics[0].partitions[0].leader_recovery_state = 1;
    refuse("a leader that has recovered recovers", recovering, E::InvalidRequest);
    for epoch in [known(follower) - 1, known(follower) + 1, -2] {
        refuse("a member's other process", alter(leader, own, topic, 0, epochs, &[(leader, own), (follower, epoch)]), E::IneligibleReplica);
    }
    for (id, epoch) in [(leader, own - 1), (leader, -1), (77, 1), (i32::MIN, i64::MIN)] {
        let beat = k::BrokerHeartbeatRequest::default().with_broker_id(k::BrokerId(id)).with_broker_epoch(epoch);
        target.controller_refuses("heartbeat", Request::BrokerHeartbeat(Arc::new(beat)), E::StaleBrokerEpoch);
    }
    let second = k::BrokerRegistrationRequest::default().with_broker_id(k::BrokerId(leader)).with_incarnation_id(Uuid::from_u128(9));
    target.controller_refuses("a second process", Request::BrokerRegistration(Arc::new(second)), E::DuplicateBrokerRegistration);
}

#[test]
fn an_isr_that_is_the_same_already_is_granted_with_the_epoch_that_it_has() {
    let mut target = Target::new();
    let Facts { topic, leader, leader_epoch, partition_epoch, broker_epochs, isr, .. } = target.facts.clone();
    // A broker epoch of -1 is one that its sender does not know: it passes.
    let member = |id: i32| k::alter_partition_request::BrokerState::default().with_broker_id(k::BrokerId(id)).with_broker_epoch(-1);
    let asked = k::alter_partition_request::PartitionData::default().with_leader_epoch(leader_epoch).with_partition_epoch(partition_epoch);
    let asked = asked.with_new_isr_with_epochs(isr.into_iter().map(member).collect());
    let topic = k::alter_partition_request::TopicData::default().with_topic_id(topic).with_partitions(vec![asked]);
    let message = k::AlterPartitionRequest::default().with_broker_id(k::BrokerId(leader)).with_topics(vec![topic]);
    let message = message.with_broker_epoch(broker_epochs[leader as usize - 1]);
    let before = target.controller.state();
    match target.controller.ask(NodeId::Broker(leader), Request::AlterPartition(Arc::new(message))) {
        Some(Response::AlterPartition(response)) => {
            let granted = &response.topics[0].partitions[0];
            assert_eq!((granted.error_code, granted.leader_epoch, granted.partition_epoch), (0, leader_epoch, partition_epoch));
        }
        answer => panic!("{answer:?}"),
    }
    assert!(before == target.controller.state());
}

#[test]
fn requests_by_chance_are_answered_or_refused_and_what_is_refused_changes_nothing() {
    let inputs = std::env::var("FUZZ_INPUTS").ok().map_or(INPUTS, |count| count.parse().expect("FUZZ_INPUTS is a number"));
    let fresh = Target::new();
    let mut target = fresh.copy();
    let mut chance = brokerlab::node::Chance::new(3);
    let (mut refused, mut answered, mut waiting) = (0u64, 0u64, 0u64);
    for number in 0..inputs {
        if number % ROUND == 0 {
            target = fresh.copy();
        }
        let request = any_request(&mut chance, &target.facts);
        let to_controller = is_for_controller(&request);
        let broker = &mut target.brokers[(chance.below(3)) as usize];
        let before = if to_controller { target.controller.state() } else { broker.state() };
        let written = format!("{request:?}");
        let answer = if to_controller { target.controller.ask(NodeId::Client(7), request) } else { broker.ask_once(request) };
        let Some(answer) = answer else {
            waiting += 1;
            continue;
        };
        let errors = errors(&answer);
        // With these the sender is told what to do next, and it is noted that it was there; or what it sent is there and may not stay.
        let notes = [
            E::None,
            E::MemberIdRequired,
            E::RebalanceInProgress,
            E::RequestTimedOut,
            E::NotEnoughReplicasAfterAppend,
            E::CoordinatorNotAvailable,
        ];
        let is_refused = !errors.is_empty() && !errors.iter().any(|error| notes.contains(error));
        if is_refused {
            refused += 1;
            let after = if to_controller { target.controller.state() } else { broker.state() };
            assert!(before == after, "input {number} was refused with {errors:?} and has changed something: {written}");
        } else {
            answered += 1;
        }
    }
    println!("{inputs} requests: {refused} refused, {answered} answered, {waiting} wait");
    assert!(inputs / 4 < refused && inputs / 20 < answered);
}
