#![cfg(not(target_arch = "wasm32"))]
//! Share groups (KIP-932), asked request by request: who is let in and who reads what, what a member may say of records, and what admins may do.

mod cluster;

use brokerlab::broker::share::RecordState;
use brokerlab::node::{Connection, Input, MS, NodeId, Outputs, Timer};
use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use kafka_protocol::messages::share_fetch_request as fetches;
use std::sync::Arc;
use uuid::Uuid;

const JOIN: i32 = 0;
const LEAVE: i32 = -1;

/// One broker that leads and coordinates all, with topics of so many partitions, and ten records in the first partition of the first one.
struct Group {
    broker: Direct,
    topics: Vec<Uuid>,
}

/// What is answered: the error, the member's epoch, and its partitions if it is told them.
type Told = (E, i32, Option<Vec<(Uuid, i32)>>);
/// First offset, last offset, delivery count.
type Ranges = Vec<(i64, i64, i16)>;

fn id(group: &str) -> k::GroupId {
    k::GroupId(wire::text(group))
}

impl Group {
    fn new(topics: &[(&str, i32)]) -> Group {
        Group::configured(topics, serde_json::json!({}))
    }

    fn configured(topics: &[(&str, i32)], configs: serde_json::Value) -> Group {
        let mut cluster = Cluster::of_brokers(1);
        for (name, partitions) in topics {
            cluster = cluster.topic(name, *partitions, 1);
        }
        let mut set = configs;
        set["share.auto.offset.reset"] = serde_json::json!("earliest");
        cluster.apply(serde_json::json!({ "type": "alterConfigs", "resource": "group", "name": "g", "set": set }));
        // Somebody asks for each kind of coordinator: their topics are made.
        cluster.consumer("other", "others");
        let shares = serde_json::json!({ "group.protocol": "share" });
        cluster.apply(
            serde_json::json!({ "type": "addConsumer", "id": "share", "group": "sharing", "topics": [topics[0].0], "configs": shares }),
        );
        cluster.advance(15_000.0);
        for number in 0..10 {
            cluster.apply(serde_json::json!({ "type": "send", "topic": topics[0].0, "partition": 0, "value": format!("{number}") }));
            // Each is a batch of its own: batches are given out as a whole.
            cluster.advance(500.0);
        }
        cluster.advance(5_000.0);
        let topics = topics.iter().map(|(name, _)| topic_id(&cluster, name)).collect();
        Group { broker: Direct::of(&cluster, 1), topics }
    }

    fn ask(&mut self, member: &str, request: Request) -> Response {
        let peer = NodeId::Client(if member.starts_with('b') { 101 } else { 100 });
        self.broker.settles(peer, request).expect("an answer")
    }

    fn heartbeat(&mut self, message: k::ShareGroupHeartbeatRequest) -> k::ShareGroupHeartbeatResponse {
        let member = message.member_id.to_string();
        match self.ask(&member, Request::ShareGroupHeartbeat(Arc::new(message))) {
            Response::ShareGroupHeartbeat(response) => (*response).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn beat(&mut self, member: &str, epoch: i32, topics: Option<&[&str]>) -> Told {
        let mut message = k::ShareGroupHeartbeatRequest::default().with_group_id(id("g")).with_member_id(wire::text(member));
        message.member_epoch = epoch;
        message.subscribed_topic_names = topics.map(|names| names.iter().map(|name| wire::topic(name)).collect());
        let response = self.heartbeat(message);
        let places = response.assignment.map(|assignment| {
            let topics = assignment.topic_partitions.into_iter();
            topics.flat_map(|topic| topic.partitions.into_iter().map(move |index| (topic.topic_id, index))).collect()
        });
        (E::of(response.error_code), response.member_epoch, places)
    }

    /// A member joins the group and is given what there is for it.
    fn join(&mut self, member: &str) -> i32 {
        self.beat(member, JOIN, Some(&["orders"]));
        self.beat(member, JOIN, Some(&["orders"])).1
    }

    /// Reads partition 0, and says what it has to say of batches: first offset, last offset, types.
    fn fetch(&mut self, member: &str, epoch: i32, records: i32, said: &[(i64, i64, &[i8])]) -> (E, E, Ranges) {
        let batch = |(first, last, types): &(i64, i64, &[i8])| {
            let batch = fetches::AcknowledgementBatch::default().with_first_offset(*first).with_last_offset(*last);
            batch.with_acknowledge_types(types.to_vec())
        };
        let partition = fetches::FetchPartition::default().with_acknowledgement_batches(said.iter().map(batch).collect());
        let topic = fetches::FetchTopic::default().with_topic_id(self.topics[0]).with_partitions(vec![partition]);
        let mut message = k::ShareFetchRequest::default().with_group_id(Some(id("g"))).with_member_id(Some(wire::text(member)));
        (message.share_session_epoch, message.max_bytes, message.max_records) = (epoch, 1 << 20, records);
        let Response::ShareFetch(response, _) = self.ask(member, Request::ShareFetch(Arc::new(message.with_topics(vec![topic])))) else {
            panic!("no answer to a fetch")
        };
        let Some(data) = response.responses.first().and_then(|topic| topic.partitions.first()) else {
            return (E::of(response.error_code), E::None, Vec::new());
        };
        let ranges = data.acquired_records.iter().map(|range| (range.first_offset, range.last_offset, range.delivery_count)).collect();
        (E::of(data.error_code), E::of(data.acknowledge_error_code), ranges)
    }

    fn acknowledge(&mut self, member: &str, epoch: i32, said: &[(i64, i64, &[i8])]) -> E {
        use k::share_acknowledge_request as asks;
        let batch = |(first, last, types): &(i64, i64, &[i8])| {
            let batch = asks::AcknowledgementBatch::default().with_first_offset(*first).with_last_offset(*last);
            batch.with_acknowledge_types(types.to_vec())
        };
        let partition = asks::AcknowledgePartition::default().with_acknowledgement_batches(said.iter().map(batch).collect());
        let topic = asks::AcknowledgeTopic::default().with_topic_id(self.topics[0]).with_partitions(vec![partition]);
        let mut message = k::ShareAcknowledgeRequest::default().with_group_id(Some(id("g"))).with_member_id(Some(wire::text(member)));
        message.share_session_epoch = epoch;
        self.ask(member, Request::ShareAcknowledge(Arc::new(message.with_topics(vec![topic])))).error()
    }

    fn wait(&mut self, ms: u64, timer: Timer) {
        self.broker.now += ms * MS;
        let mut out = Outputs::default();
        self.broker.broker.handle(self.broker.now, Input::Timer(timer), &mut out);
        let nobody = Connection { peer: NodeId::Client(0), channel: brokerlab::node::Channel::Data };
        self.broker.settle(nobody, 0, out);
    }

    /// Where the group is in partition 0, by the share coordinator: start offset, and leader epoch.
    fn offsets(&mut self, topic: &str, partitions: &[i32]) -> Vec<i64> {
        use k::describe_share_group_offsets_request as asks;
        let topic = asks::DescribeShareGroupOffsetsRequestTopic::default().with_topic_name(wire::topic(topic));
        let topic = topic.with_partitions(partitions.to_vec());
        let group = asks::DescribeShareGroupOffsetsRequestGroup::default().with_group_id(id("g")).with_topics(Some(vec![topic]));
        let message = k::DescribeShareGroupOffsetsRequest::default().with_groups(vec![group]);
        let Response::DescribeShareGroupOffsets(response) = self.ask("admin", Request::DescribeShareGroupOffsets(Arc::new(message))) else {
            panic!("no answer")
        };
        assert_eq!(response.groups[0].error_code, 0);
        response.groups[0].topics[0].partitions.iter().map(|partition| partition.start_offset).collect()
    }

    fn alter(&mut self, topic: &str, partition: i32, start: i64) -> E {
        use k::alter_share_group_offsets_request as asks;
        let partition = asks::AlterShareGroupOffsetsRequestPartition::default().with_partition_index(partition).with_start_offset(start);
        let topic =
            asks::AlterShareGroupOffsetsRequestTopic::default().with_topic_name(wire::topic(topic)).with_partitions(vec![partition]);
        let message = k::AlterShareGroupOffsetsRequest::default().with_group_id(id("g")).with_topics(vec![topic]);
        self.ask("admin", Request::AlterShareGroupOffsets(Arc::new(message))).error()
    }

    fn forget(&mut self, topic: &str) -> E {
        use k::delete_share_group_offsets_request as asks;
        let topic = asks::DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(wire::topic(topic));
        let message = k::DeleteShareGroupOffsetsRequest::default().with_group_id(id("g")).with_topics(vec![topic]);
        self.ask("admin", Request::DeleteShareGroupOffsets(Arc::new(message))).error()
    }

    /// What an admin asks of groups of consumers.
    fn delete_committed(&mut self, topic: &str) -> E {
        use k::offset_delete_request as asks;
        let topic = asks::OffsetDeleteRequestTopic::default().with_name(wire::topic(topic));
        let topic = topic.with_partitions(vec![asks::OffsetDeleteRequestPartition::default()]);
        let message = k::OffsetDeleteRequest::default().with_group_id(id("g")).with_topics(vec![topic]);
        self.ask("admin", Request::OffsetDelete(Arc::new(message))).error()
    }

    fn delete(&mut self) -> E {
        let message = k::DeleteGroupsRequest::default().with_groups_names(vec![id("g")]);
        match self.ask("admin", Request::DeleteGroups(Arc::new(message))) {
            Response::DeleteGroups(response) => E::of(response.results[0].error_code),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn heartbeats_that_make_no_sense_are_refused() {
    let mut group = Group::new(&[("orders", 1)]);
    let message = |group: &str, member: &str, epoch: i32| {
        let message = k::ShareGroupHeartbeatRequest::default().with_group_id(id(group)).with_member_id(wire::text(member));
        message.with_member_epoch(epoch).with_subscribed_topic_names(Some(vec![wire::topic("orders")]))
    };
    for (message, error, words) in [
        (message("g", "", JOIN), E::InvalidRequest, "MemberId can't be empty."),
        (message("", "a", JOIN), E::InvalidRequest, "GroupId can't be empty."),
        (message("g", "a", JOIN).with_rack_id(Some(wire::text(""))), E::InvalidRequest, "RackId can't be empty."),
        (
            message("g", "a", JOIN).with_subscribed_topic_names(None),
            E::InvalidRequest,
            "SubscribedTopicNames must be set in first request.",
        ),
        (message("g", "a", -2), E::InvalidRequest, "MemberEpoch is invalid."),
        (message("g", "a", 1), E::GroupIdNotFound, "Share group g not found."),
        (message("g", "a", LEAVE), E::GroupIdNotFound, "Share group g not found."),
        (message("others", "a", JOIN), E::GroupIdNotFound, "Group others is not a share group."),
    ] {
        let response = group.heartbeat(message);
        assert_eq!((E::of(response.error_code), response.error_message.as_deref()), (error, Some(words)));
    }
    assert_eq!(group.beat("a", JOIN, Some(&["orders"])).0, E::None);
    let response = group.heartbeat(message("g", "b", LEAVE));
    let words = "Member b is not a member of group g.";
    assert_eq!((E::of(response.error_code), response.error_message.as_deref()), (E::UnknownMemberId, Some(words)));
    assert_eq!(group.beat("b", 3, None).0, E::UnknownMemberId);
    assert_eq!(group.beat("a", 9, None).0, E::FencedMemberEpoch, "an epoch that there has not been");
}

#[test]
fn partitions_are_given_out_when_the_share_coordinator_knows_them() {
    let mut group = Group::new(&[("orders", 2)]);
    let (first, second) = ((group.topics[0], 0), (group.topics[0], 1));
    assert_eq!(group.beat("a", JOIN, Some(&["orders"])), (E::None, 1, Some(vec![])), "nothing has a state yet");
    assert_eq!(group.beat("a", 1, None), (E::None, 2, Some(vec![first, second])), "and now both have");
    assert_eq!(group.beat("a", 1, None), (E::None, 2, None), "the answer may have been lost: the epoch before is taken too");
    assert_eq!(group.beat("a", 2, None), (E::None, 2, None), "what has not changed is not told");
    assert_eq!(group.beat("a", 2, Some(&["orders"])), (E::None, 2, Some(vec![first, second])), "unless it is asked for");
    assert_eq!(group.beat("b", JOIN, Some(&["orders"])), (E::None, 3, Some(vec![second])));
    assert_eq!(group.beat("a", 2, None), (E::None, 3, Some(vec![first])), "one each: nothing has to be given up first");
    assert_eq!(group.beat("a", 1, None).0, E::FencedMemberEpoch, "the epoch before the one before");
    assert_eq!(group.beat("b", LEAVE, None), (E::None, LEAVE, None));
    assert_eq!(group.beat("a", 3, None), (E::None, 4, Some(vec![first, second])));
}

#[test]
fn members_that_are_silent_for_a_session_are_taken_out_and_a_group_has_times_of_its_own() {
    let mut group = Group::configured(
        &[("orders", 1)],
        serde_json::json!({ "share.session.timeout.ms": "50000", "share.heartbeat.interval.ms": "7000" }),
    );
    let message = k::ShareGroupHeartbeatRequest::default().with_group_id(id("g")).with_member_id(wire::text("a"));
    let message = message.with_subscribed_topic_names(Some(vec![wire::topic("orders")]));
    assert_eq!(group.heartbeat(message).heartbeat_interval_ms, 7_000);
    group.wait(49_999, Timer::Groups);
    assert_eq!(group.beat("a", 1, None).0, E::None);
    group.wait(50_001, Timer::Groups);
    assert_eq!(group.beat("a", 1, None).0, E::UnknownMemberId);
}

#[test]
fn a_member_says_only_what_it_may_of_records() {
    let mut group = Group::new(&[("orders", 1)]);
    for member in ["a", "b"] {
        group.join(member);
    }
    assert_eq!(group.fetch("a", 5, 4, &[]).0, E::ShareSessionNotFound);
    assert_eq!(group.fetch("a", 0, 4, &[(0, 0, &[1])]).0, E::InvalidRequest, "a new session has nothing to acknowledge");
    assert_eq!(group.acknowledge("a", 0, &[]), E::InvalidShareSessionEpoch);
    // The state is read first: the share partition begins.
    group.fetch("a", 0, 4, &[]);
    let given = group.fetch("a", 1, 4, &[]);
    assert_eq!(given, (E::None, E::None, vec![(0, 3, 1)]));
    assert_eq!(group.fetch("b", 0, 2, &[]).2, [(4, 5, 1)], "other records of the same partition");
    assert_eq!(group.fetch("a", 7, 4, &[]).0, E::InvalidShareSessionEpoch);
    // What is refused takes an epoch of the session all the same.
    type Said<'a> = &'a [(i64, i64, &'a [i8])];
    let refused: [(Said, E); 10] = [
        (&[(0, 0, &[9])], E::InvalidRequest),
        (&[(0, 3, &[1, 1])], E::InvalidRequest),
        (&[(0, 0, &[])], E::InvalidRequest),
        (&[(3, 0, &[1])], E::InvalidRequest),
        (&[(-1, 0, &[1])], E::InvalidRequest),
        (&[(2, 3, &[1]), (0, 1, &[1])], E::InvalidRequest),
        (&[(4, 5, &[1])], E::InvalidRecordState),
        (&[(0, 5, &[1])], E::InvalidRecordState),
        (&[(9, 9, &[1])], E::InvalidRequest),
        (&[(0, i64::MAX, &[1])], E::InvalidRequest),
    ];
    for (epoch, (said, error)) in (2..).zip(refused) {
        assert_eq!(group.acknowledge("a", epoch, said), error, "{said:?}");
    }
    assert_eq!(group.in_flight(), [(0, 3, RecordState::Acquired), (4, 5, RecordState::Acquired)], "nothing has changed");
    assert_eq!(group.acknowledge("a", 12, &[(0, 3, &[1, 2, 3, 1])]), E::None);
    let states = [(1, 1, RecordState::Available), (2, 2, RecordState::Archived), (3, 3, RecordState::Acknowledged)];
    assert_eq!(group.in_flight()[..3], states, "the start has moved over what is accepted");
    assert_eq!(group.acknowledge("a", 13, &[(3, 3, &[1])]), E::InvalidRecordState, "it has said so already");
    assert_eq!(group.fetch("b", 1, 1, &[]).2, [(1, 1, 2)], "what was released comes again, counted");
}

#[test]
fn who_ends_its_session_gives_back_what_it_has() {
    let mut group = Group::new(&[("orders", 1)]);
    group.join("a");
    group.join("b");
    group.fetch("a", 0, 0, &[]);
    group.fetch("b", 0, 0, &[]);
    assert_eq!(group.fetch("a", 1, 4, &[]).2, [(0, 3, 1)]);
    assert_eq!(group.acknowledge("a", -1, &[(0, 1, &[1])]), E::None, "the last word counts");
    assert_eq!(group.fetch("a", 2, 4, &[]).0, E::ShareSessionNotFound);
    assert_eq!(group.fetch("b", 1, 5, &[]).2, [(2, 3, 2), (4, 6, 1)], "what it did not accept is another's, and a second delivery");
    assert_eq!(group.offsets("orders", &[0]), [2], "what is accepted is stored");
}

#[test]
fn a_record_that_nobody_accepts_is_delivered_as_often_as_the_limit_says() {
    let mut group = Group::new(&[("orders", 1)]);
    group.join("a");
    group.fetch("a", 0, 1, &[]);
    for delivery in 1..=5 {
        let said: &[(i64, i64, &[i8])] = if delivery == 1 { &[] } else { &[(0, 0, &[2])] };
        assert_eq!(group.fetch("a", i32::from(delivery), 1, said).2, [(0, 0, delivery)]);
    }
    assert_eq!(group.fetch("a", 6, 1, &[(0, 0, &[2])]).2, [(1, 1, 1)], "five times, and then it is archived");
    assert_eq!(group.fetch("a", 7, 1, &[(1, 1, &[1])]).2, [(2, 2, 1)]);
    assert_eq!(group.offsets("orders", &[0]), [1], "a write says where the start was before it");
}

#[test]
fn a_lock_ends_and_the_record_is_anothers() {
    let mut group = Group::new(&[("orders", 1)]);
    group.join("a");
    group.join("b");
    group.fetch("a", 0, 0, &[]);
    group.fetch("b", 0, 0, &[]);
    assert_eq!(group.fetch("a", 1, 3, &[]).2, [(0, 2, 1)]);
    group.wait(29_999, Timer::Share);
    assert_eq!(group.in_flight()[0].2, RecordState::Acquired);
    group.wait(1, Timer::Share);
    assert_eq!(group.fetch("b", 1, 3, &[]).2, [(0, 2, 2)]);
    assert_eq!(group.acknowledge("a", 2, &[(0, 2, &[1])]), E::InvalidRecordState, "it comes too late");
}

#[test]
fn an_admin_is_told_of_share_groups_what_they_are_like() {
    let mut group = Group::new(&[("orders", 2)]);
    group.join("a");
    group.beat("b", JOIN, Some(&["orders"]));
    let names = ["g", "others", "nobody", ""].map(id);
    let asked = k::ShareGroupDescribeRequest::default().with_group_ids(names.to_vec());
    let Response::ShareGroupDescribe(answer) = group.ask("admin", Request::ShareGroupDescribe(Arc::new(asked))) else {
        panic!("no answer")
    };
    let [known, classic, nobody, nameless] = &answer.groups[..] else { panic!("{answer:?}") };
    for (refused, error, words) in [
        (classic, E::GroupIdNotFound, Some("Group others is not a share group.")),
        (nobody, E::GroupIdNotFound, Some("Group nobody not found.")),
        (nameless, E::InvalidGroupId, None),
    ] {
        assert_eq!((E::of(refused.error_code), refused.error_message.as_deref()), (error, words));
    }
    assert_eq!((known.error_code, known.group_state.as_str(), known.assignor_name.as_str()), (0, "Stable", "simple"));
    assert_eq!((known.group_epoch, known.assignment_epoch), (3, 3));
    let members: Vec<(&str, i32, usize)> = known
        .members
        .iter()
        .map(|member| (member.member_id.as_str(), member.member_epoch, member.assignment.topic_partitions.len()))
        .collect();
    assert_eq!(members, [("a", 2, 1), ("b", 3, 1)]);
    assert!(
        known.members.iter().all(|member| member.subscribed_topic_names == [wire::topic("orders")] && member.client_id.as_str() == "raw")
    );
}

#[test]
fn an_empty_group_goes_on_from_elsewhere_when_an_admin_says_so() {
    let mut group = Group::new(&[("orders", 2)]);
    assert_eq!(group.offsets("orders", &[0, 1, 7]), [-1, -1, -1], "nobody has begun");
    assert_eq!(group.offsets("nothing", &[0]), [-1], "what is not known is no error");
    group.join("a");
    group.fetch("a", 0, 4, &[]);
    assert_eq!(group.fetch("a", 1, 4, &[]).2, [(0, 3, 1)]);
    assert_eq!(group.fetch("a", 2, 4, &[(0, 3, &[1])]).2, [(4, 7, 1)]);
    assert_eq!(group.offsets("orders", &[0, 1]), [0, -1], "what is written says where the start was before");
    assert_eq!(group.fetch("a", 3, 1, &[(4, 7, &[1])]).2, [(8, 8, 1)]);
    assert_eq!(group.offsets("orders", &[0, 1]), [4, -1]);
    assert_eq!(group.alter("orders", 0, 1), E::NonEmptyGroup);
    assert_eq!(group.acknowledge("a", -1, &[]), E::None);
    group.beat("a", LEAVE, None);
    assert_eq!(group.alter("orders", 2, 1), E::UnknownTopicOrPartition);
    assert_eq!(group.alter("orders", -1, 1), E::UnknownTopicOrPartition);
    assert_eq!(group.alter("nothing", 0, 1), E::UnknownTopicOrPartition);
    assert_eq!(group.alter("orders", 0, 1), E::None);
    assert_eq!(group.offsets("orders", &[0]), [1]);
    group.join("b");
    group.fetch("b", 0, 2, &[]);
    assert_eq!(group.fetch("b", 1, 2, &[]).2, [(1, 2, 1)], "as if it had never been read");
}

#[test]
fn an_empty_group_forgets_where_it_was_and_is_deleted() {
    let mut group = Group::new(&[("orders", 1), ("others", 1)]);
    assert_eq!(group.forget("orders"), E::GroupIdNotFound);
    assert_eq!(group.delete(), E::GroupIdNotFound);
    group.join("a");
    group.fetch("a", 0, 4, &[]);
    assert_eq!(group.fetch("a", 1, 4, &[]).2, [(0, 3, 1)]);
    assert_eq!(group.acknowledge("a", -1, &[(0, 3, &[1])]), E::None);
    assert_eq!((group.forget("orders"), group.delete()), (E::NonEmptyGroup, E::NonEmptyGroup));
    group.beat("a", LEAVE, None);
    assert_eq!(group.delete_committed("orders"), E::GroupIdNotFound, "offsets of the other kind it has none");
    assert_eq!(group.forget("nothing"), E::UnknownTopicOrPartition);
    assert_eq!(group.forget("others"), E::UnknownTopicOrPartition, "it has never read there");
    assert_eq!(group.forget("orders"), E::None);
    assert_eq!(group.offsets("orders", &[0]), [-1]);
    group.join("b");
    group.fetch("b", 0, 2, &[]);
    assert_eq!(group.fetch("b", 1, 2, &[]).2, [(0, 1, 1)], "it begins as a new one does");
    assert_eq!(group.acknowledge("b", -1, &[(0, 1, &[1])]), E::None);
    group.beat("b", LEAVE, None);
    assert_eq!(group.offsets("orders", &[0]), [0]);
    assert_eq!(group.delete(), E::None);
    assert_eq!(group.offsets("orders", &[0]), [-1], "the share coordinator has forgotten it, too");
    assert_eq!(group.beat("b", 9, None).0, E::GroupIdNotFound);
    assert_eq!(group.beat("b", JOIN, Some(&["orders"])).1, 1, "a new group of the old name");
}

impl Group {
    /// Ranges of partition 0 by first and last offset.
    fn in_flight(&self) -> Vec<(i64, i64, RecordState)> {
        let known = self.broker.broker.share_partition("g", self.topics[0], 0).expect("the share partition");
        known.in_flight().map(|(first, range)| (first, range.last, range.state)).collect()
    }
}
