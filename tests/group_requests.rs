#![cfg(not(target_arch = "wasm32"))]
//! What a group's coordinator answers to single requests of clients that speak for themselves: who may join and when that counts, commits, and what is
//! read back (`GroupMetadataManagerTest`, `OffsetMetadataManagerTest`).

mod cluster;

use brokerlab::node::{Body, NodeId, Outputs, Timer};
use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{Request, Response, text, topic as named};
use cluster::Cluster;
use cluster::direct::Direct;
use k::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: u64 = 1_000_000;

/// The only broker of a cluster with the topics `orders` and `payments`, which coordinates every group.
fn alone(configs: Value) -> Direct {
    let mut cluster = Cluster::configured(1, configs).topic("orders", 2, 1).topic("payments", 1, 1);
    // The first group makes the topic of all groups.
    cluster.consumer("reader", "others");
    cluster.advance(2_000.0);
    Direct::of(&cluster, 1)
}

fn group(name: &str) -> k::GroupId {
    k::GroupId(text(name))
}

fn join_message(member: &str) -> k::JoinGroupRequest {
    let protocol = k::join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
    let message =
        k::JoinGroupRequest::default().with_group_id(group("g")).with_member_id(text(member)).with_protocol_type(text("consumer"));
    message.with_session_timeout_ms(10_000).with_rebalance_timeout_ms(60_000).with_protocols(vec![protocol])
}

/// The group `g`, as its members see it: each is a client of its own.
struct Members {
    broker: Direct,
    /// What was answered to each: to JoinGroup the error, the generation and the members told; to SyncGroup the error.
    joined: BTreeMap<u32, (E, i32, usize)>,
    synced: BTreeMap<u32, E>,
    ids: BTreeMap<u32, String>,
}

impl Members {
    fn new(configs: Value) -> Members {
        Members { broker: alone(configs), joined: BTreeMap::new(), synced: BTreeMap::new(), ids: BTreeMap::new() }
    }

    fn hear(&mut self, out: Outputs) {
        for sent in out.sends {
            let (NodeId::Client(client @ 1..), Body::Response(response)) = (sent.to.peer, sent.body) else { continue };
            match response {
                Response::JoinGroup(told) => {
                    self.joined.insert(client, (E::of(told.error_code), told.generation_id, told.members.len()));
                    self.ids.insert(client, told.member_id.to_string());
                }
                Response::SyncGroup(told) => _ = self.synced.insert(client, E::of(told.error_code)),
                _ => {}
            }
        }
    }

    fn ask(&mut self, client: u32, request: Request) {
        let out = self.broker.does(NodeId::Client(client), request);
        self.hear(out);
    }

    /// Asks to join with an id that it has, or gets one first. Returns the answer, if there is one.
    fn join(&mut self, client: u32) -> Option<(E, i32, usize)> {
        if !self.ids.contains_key(&client) {
            self.ask(client, Request::JoinGroup(Arc::new(join_message(""))));
            let told = self.joined.remove(&client);
            if told.is_none_or(|told| told.0 != E::MemberIdRequired) {
                return told;
            }
        }
        let id = self.ids.get(&client).cloned().unwrap_or_default();
        self.ask(client, Request::JoinGroup(Arc::new(join_message(&id))));
        self.joined.remove(&client)
    }

    fn sync(&mut self, client: u32, generation: i32) -> Option<E> {
        let message = k::SyncGroupRequest::default().with_group_id(group("g")).with_generation_id(generation);
        self.ask(client, Request::SyncGroup(Arc::new(message.with_member_id(text(&self.ids[&client])))));
        self.synced.remove(&client)
    }

    fn wait(&mut self, until: u64) {
        let out = self.broker.rings(until, Timer::Groups);
        self.hear(out);
    }
}

#[test]
fn the_first_rebalance_waits_as_long_again_for_those_who_came_meanwhile() {
    let mut members = Members::new(json!({ "group.initial.rebalance.delay.ms": "3000" }));
    let start = members.broker.now;
    assert_eq!(members.join(1), None);
    members.broker.now = start + 2 * SECOND;
    assert_eq!(members.join(2), None);
    members.wait(start + 3 * SECOND);
    assert_eq!(members.joined, BTreeMap::new(), "somebody has come: it waits once more");
    members.wait(start + 6 * SECOND);
    assert_eq!(members.joined, BTreeMap::from([(1, (E::None, 1, 2)), (2, (E::None, 1, 0))]));
}

#[test]
fn the_first_rebalance_waits_no_longer_than_a_rebalance_may_take() {
    // Sixty seconds: three waits, the last of them a short one.
    let mut members = Members::new(json!({ "group.initial.rebalance.delay.ms": "25000" }));
    let start = members.broker.now;
    members.join(1);
    for (client, at, then) in [(2, 24, 25), (3, 49, 50), (4, 55, 60)] {
        members.broker.now = start + at * SECOND;
        assert_eq!(members.join(client), None);
        assert_eq!(members.joined, BTreeMap::new(), "{client}");
        members.wait(start + then * SECOND);
    }
    assert_eq!(members.joined.len(), 4);
}

#[test]
fn a_full_group_takes_nobody_else_and_counts_who_has_joined() {
    let mut members = Members::new(json!({ "group.max.size": "2" }));
    // Each has an id; only two find room.
    for client in 1..=3 {
        members.ask(client, Request::JoinGroup(Arc::new(join_message(""))));
    }
    assert_eq!(members.joined.values().map(|told| told.0).collect::<Vec<E>>(), [E::MemberIdRequired; 3]);
    members.joined.clear();
    assert_eq!(members.join(1), Some((E::None, 1, 1)), "the first is alone");
    assert_eq!(members.join(2), None, "the first has to come again");
    assert_eq!(members.join(1), None, "the third may come yet");
    assert_eq!(members.join(3), Some((E::GroupMaxSizeReached, -1, 0)));
    assert_eq!(members.ids[&3], "");
    members.wait(members.broker.now + 60 * SECOND);
    assert_eq!(members.joined.get(&1), Some(&(E::None, 2, 2)), "{:?}", members.joined);
}

#[test]
fn who_waits_for_its_assignment_need_not_show_that_it_lives() {
    let mut members = Members::new(json!({}));
    members.join(1);
    members.join(2);
    let (leader, generation, count) = members.join(1).expect("both have come");
    assert_eq!((leader, generation, count), (E::None, 2, 2));
    assert_eq!(members.sync(2, generation), None);
    let start = members.broker.now;
    let beats = k::HeartbeatRequest::default().with_group_id(group("g")).with_generation_id(generation);
    for second in [8, 16] {
        members.wait(start + second * SECOND);
        let heartbeat = beats.clone().with_member_id(text(&members.ids[&1]));
        members.ask(1, Request::Heartbeat(Arc::new(heartbeat)));
    }
    assert_eq!(members.synced, BTreeMap::new(), "its session would be over");
    assert_eq!(members.sync(1, generation), Some(E::None));
    assert_eq!(members.synced.get(&2), Some(&E::None));
}

#[test]
fn members_that_leave_together_make_one_rebalance() {
    let mut members = Members::new(json!({}));
    for client in [1, 2, 3] {
        members.join(client);
    }
    members.join(1);
    members.join(2);
    let (_, generation, _) = members.join(2).or(members.joined.get(&2).copied()).expect("all have come");
    // The second one has come again before the third and the second leave: nobody is to hear of a generation with the second.
    members.joined.clear();
    members.join(2);
    let leaving = |client: &u32| k::leave_group_request::MemberIdentity::default().with_member_id(text(&members.ids[client]));
    let message = k::LeaveGroupRequest::default().with_group_id(group("g")).with_members([3, 1, 2].iter().map(leaving).collect());
    members.ask(9, Request::LeaveGroup(Arc::new(message)));
    assert_eq!(members.broker.broker.coordinator().group("g").map(|known| known.map(|known| known.generation)), Ok(Some(generation + 1)));
}

#[test]
fn before_version_1_the_session_timeout_is_the_rebalance_timeout_too() {
    let mut members = Members::new(json!({}));
    let of_version_0 = |member: &str| join_message(member).with_rebalance_timeout_ms(-1);
    members.ask(1, Request::JoinGroup(Arc::new(of_version_0(""))));
    members.ask(1, Request::JoinGroup(Arc::new(of_version_0(&members.ids[&1].clone()))));
    let group = members.broker.broker.coordinator().group("g").expect("it coordinates").expect("the group");
    assert_eq!(group.members.values().map(|member| member.rebalance_timeout).collect::<Vec<u64>>(), [10 * SECOND]);
    // Who joins again with other timeouts is held to those.
    assert_eq!(members.sync(1, 1), Some(E::None));
    members.ask(1, Request::JoinGroup(Arc::new(join_message(&members.ids[&1].clone()))));
    let group = members.broker.broker.coordinator().group("g").expect("it coordinates").expect("the group");
    assert_eq!(group.members.values().map(|member| member.rebalance_timeout).collect::<Vec<u64>>(), [60 * SECOND]);
}

fn commit(broker: &mut Direct, message: k::OffsetCommitRequest, places: &[(&str, i32, i64)]) -> Vec<E> {
    let topic = |(topic, index, offset): &(&str, i32, i64)| {
        let partition = OffsetCommitRequestPartition::default().with_partition_index(*index).with_committed_offset(*offset);
        let partition = partition.with_committed_leader_epoch(3).with_committed_metadata(Some(text("note")));
        OffsetCommitRequestTopic::default().with_name(named(topic)).with_partitions(vec![partition])
    };
    match broker.ask(Request::OffsetCommit(Arc::new(message.with_topics(places.iter().map(topic).collect())))) {
        Some(Response::OffsetCommit(answer)) => {
            answer.topics.iter().flat_map(|topic| &topic.partitions).map(|told| E::of(told.error_code)).collect()
        }
        answer => panic!("no answer to OffsetCommit: {answer:?}"),
    }
}

fn simple(name: &str) -> k::OffsetCommitRequest {
    k::OffsetCommitRequest::default().with_group_id(group(name)).with_generation_id_or_member_epoch(-1)
}

/// What is told of groups: of each its error and its partitions, with offset, leader epoch and metadata.
type Told = (E, Vec<(String, Vec<(i32, i64, i32, String)>)>);

/// A group, and its topics with their partitions.
type Asked<'a> = (&'a str, Option<&'a [(&'a str, &'a [i32])]>);

fn fetch(broker: &mut Direct, groups: &[Asked<'_>]) -> Vec<Told> {
    let asked = |(name, topics): &Asked<'_>| {
        let topic = |(name, indexes): &(&str, &[i32])| {
            let topic = k::offset_fetch_request::OffsetFetchRequestTopics::default().with_name(named(name));
            topic.with_partition_indexes(indexes.to_vec())
        };
        let asked = k::offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(group(name)).with_member_epoch(-1);
        asked.with_topics(topics.map(|topics| topics.iter().map(topic).collect()))
    };
    let message = k::OffsetFetchRequest::default().with_groups(groups.iter().map(asked).collect());
    let Some(Response::OffsetFetch(answer)) = broker.ask(Request::OffsetFetch(Arc::new(message))) else { panic!("no answer") };
    let told = |told: &k::offset_fetch_response::OffsetFetchResponseGroup| {
        let partition = |told: &k::offset_fetch_response::OffsetFetchResponsePartitions| {
            assert_eq!(told.error_code, 0);
            let metadata = told.metadata.as_deref().unwrap_or("null").to_owned();
            (told.partition_index, told.committed_offset, told.committed_leader_epoch, metadata)
        };
        let topics = told.topics.iter().map(|topic| (topic.name.to_string(), topic.partitions.iter().map(partition).collect()));
        (E::of(told.error_code), topics.collect())
    };
    answer.groups.iter().map(told).collect()
}

#[test]
fn who_asks_for_no_topics_hears_of_all_that_a_group_has_committed() {
    let mut broker = alone(json!({}));
    assert_eq!(commit(&mut broker, simple("jobs"), &[("payments", 0, 7), ("orders", 1, 4), ("orders", 0, 2)]), [E::None; 3]);
    let row = |index: i32, offset: i64| (index, offset, 3, "note".to_owned());
    let all = vec![("orders".to_owned(), vec![row(0, 2), row(1, 4)]), ("payments".to_owned(), vec![row(0, 7)])];
    let unknown = ("orders".to_owned(), vec![row(1, 4), (7, -1, -1, String::new())]);
    let asked: [Asked<'_>; 4] = [("jobs", None), ("nobody", None), ("jobs", Some(&[("orders", &[1, 7])])), ("jobs", Some(&[]))];
    let told = [(E::None, all), (E::None, vec![]), (E::None, vec![unknown]), (E::None, vec![])];
    assert_eq!(fetch(&mut broker, &asked), told);
}

#[test]
fn a_group_without_a_name_may_commit_and_read_but_not_be_joined() {
    let mut broker = alone(json!({}));
    assert_eq!(commit(&mut broker, simple(""), &[("orders", 0, 2)]), [E::None]);
    assert_eq!(fetch(&mut broker, &[("", None)]), [(E::None, vec![("orders".to_owned(), vec![(0, 2, 3, "note".to_owned())])])]);
    let join = Request::JoinGroup(Arc::new(join_message("").with_group_id(group(""))));
    assert_eq!(broker.ask(join).map(|answer| answer.error()), Some(E::InvalidGroupId));
    let described = k::ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("")]);
    let Some(Response::ConsumerGroupDescribe(told)) = broker.ask(Request::ConsumerGroupDescribe(Arc::new(described))) else { panic!() };
    assert_eq!(E::of(told.groups[0].error_code), E::InvalidGroupId);
}

#[test]
fn a_member_of_no_group_commits_nothing() {
    let mut broker = alone(json!({}));
    let member = simple("nobody").with_generation_id_or_member_epoch(3).with_member_id(text("m"));
    assert_eq!(commit(&mut broker, member.clone(), &[("orders", 0, 2)]), [E::GroupIdNotFound]);
    assert_eq!(commit(&mut broker, member, &[("orders", 9, 2)]), [E::UnknownTopicOrPartition], "it never reaches the group");
}

#[test]
fn a_client_may_say_how_long_its_offsets_are_kept() {
    let mut broker = alone(json!({ "offsets.retention.check.interval.ms": "1000" }));
    assert_eq!(commit(&mut broker, simple("jobs").with_retention_time_ms(5_000), &[("orders", 0, 2)]), [E::None]);
    assert_eq!(commit(&mut broker, simple("jobs"), &[("orders", 1, 4)]), [E::None]);
    let start = broker.now;
    broker.rings(start + 4 * SECOND, Timer::OffsetsRetention);
    let count = |broker: &mut Direct| fetch(broker, &[("jobs", None)])[0].1[0].1.len();
    assert_eq!(count(&mut broker), 2);
    broker.rings(start + 6 * SECOND, Timer::OffsetsRetention);
    assert_eq!(count(&mut broker), 1);
}

#[test]
fn whoever_asks_hears_that_everything_may_be_done_with_a_group_that_there_is() {
    let mut members = Members::new(json!({}));
    members.join(1);
    let describe = |broker: &mut Direct, asks: bool| {
        let message = k::DescribeGroupsRequest::default().with_groups(vec![group("g"), group("nobody")]);
        match broker.ask(Request::DescribeGroups(Arc::new(message.with_include_authorized_operations(asks)))) {
            Some(Response::DescribeGroups(answer)) => answer.groups.iter().map(|told| told.authorized_operations).collect::<Vec<i32>>(),
            answer => panic!("no answer to DescribeGroups: {answer:?}"),
        }
    };
    // READ (3), DELETE (6), DESCRIBE (8), DESCRIBE_CONFIGS (10) and ALTER_CONFIGS (11) of `AclOperation`.
    assert_eq!(describe(&mut members.broker, true), [8 + 64 + 256 + 1024 + 2048, i32::MIN]);
    assert_eq!(describe(&mut members.broker, false), [i32::MIN; 2]);
}
