#![cfg(not(target_arch = "wasm32"))]
//! Groups of the new protocol (KIP-848), asked request by request: who is let in, who gets what, and when.

mod cluster;

use brokerlab::node::{Input, MS, Outputs, Timer};
use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use kafka_protocol::messages::consumer_group_heartbeat_request as asked;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

const JOIN: i32 = 0;
const LEAVE: i32 = -1;
const LEAVE_FOR_A_WHILE: i32 = -2;

/// One broker that coordinates all groups, with topics of so many partitions.
struct Coordinator {
    broker: Direct,
    topics: Vec<Uuid>,
}

/// What a heartbeat says; what is not said is left out of the request.
#[derive(Clone, Default)]
struct Beat<'a> {
    member: &'a str,
    epoch: i32,
    instance: Option<&'a str>,
    topics: Option<Vec<&'a str>>,
    regex: Option<&'a str>,
    owned: Option<Vec<(Uuid, i32)>>,
    assignor: Option<&'a str>,
    timeout_ms: Option<i32>,
}

impl<'a> Beat<'a> {
    fn of(member: &'a str, epoch: i32) -> Beat<'a> {
        Beat { member, epoch, ..Beat::default() }
    }

    fn joins(member: &'a str, topics: &[&'a str]) -> Beat<'a> {
        Beat { topics: Some(topics.to_vec()), owned: Some(Vec::new()), timeout_ms: Some(10_000), ..Beat::of(member, JOIN) }
    }

    fn owning(self, owned: &[(Uuid, i32)]) -> Beat<'a> {
        Beat { owned: Some(owned.to_vec()), ..self }
    }

    fn of_instance(self, instance: &'a str) -> Beat<'a> {
        Beat { instance: Some(instance), ..self }
    }

    fn message(&self) -> k::ConsumerGroupHeartbeatRequest {
        let text = |text: &str| wire::text(text);
        let mut message = k::ConsumerGroupHeartbeatRequest::default();
        message.group_id = k::GroupId(text("g"));
        message.member_id = text(self.member);
        message.member_epoch = self.epoch;
        message.instance_id = self.instance.map(text);
        message.rebalance_timeout_ms = self.timeout_ms.unwrap_or(-1);
        message.server_assignor = self.assignor.map(text);
        message.subscribed_topic_names = self.topics.as_ref().map(|names| names.iter().map(|name| k::TopicName(text(name))).collect());
        message.subscribed_topic_regex = self.regex.map(text);
        message.topic_partitions = self.owned.as_ref().map(|owned| {
            owned
                .iter()
                .map(|(topic, index)| asked::TopicPartitions::default().with_topic_id(*topic).with_partitions(vec![*index]))
                .collect()
        });
        message
    }
}

/// What is answered: the error, the member's epoch, and its partitions if it is told them.
type Told = (E, i32, Option<Vec<(Uuid, i32)>>);

impl Coordinator {
    fn new(topics: &[(&str, i32)]) -> Coordinator {
        let mut cluster = Cluster::of_brokers(1);
        for (name, partitions) in topics {
            cluster = cluster.topic(name, *partitions, 1);
        }
        // Somebody asks for a coordinator: its topic is made.
        cluster.consumer("other", "others");
        cluster.advance(10_000.0);
        let topics = topics.iter().map(|(name, _)| topic_id(&cluster, name)).collect();
        Coordinator { broker: Direct::of(&cluster, 1), topics }
    }

    fn ask(&mut self, message: k::ConsumerGroupHeartbeatRequest) -> k::ConsumerGroupHeartbeatResponse {
        match self.broker.ask(Request::ConsumerGroupHeartbeat(Arc::new(message))) {
            Some(Response::ConsumerGroupHeartbeat(response)) => (*response).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn beat(&mut self, beat: &Beat<'_>) -> Told {
        let response = self.ask(beat.message());
        let places = response.assignment.map(|assignment| {
            let topics = assignment.topic_partitions.into_iter();
            topics.flat_map(|topic| topic.partitions.into_iter().map(move |index| (topic.topic_id, index))).collect()
        });
        (E::of(response.error_code), response.member_epoch, places)
    }

    /// Members that are there join one after the other, and all heartbeats are exchanged until nothing changes. Returns each one's partitions.
    fn settle(&mut self, members: &mut [(Beat<'static>, Vec<(Uuid, i32)>)]) {
        for _ in 0..4 {
            for (beat, owned) in members.iter_mut() {
                let said = if beat.epoch == JOIN { beat.clone() } else { Beat::of(beat.member, beat.epoch).owning(owned) };
                let (error, epoch, places) = self.beat(&said);
                assert_eq!(error, E::None);
                beat.epoch = epoch;
                places.into_iter().for_each(|places| *owned = places);
            }
        }
    }

    fn of(&self, topic: usize, indexes: std::ops::Range<i32>) -> Vec<(Uuid, i32)> {
        indexes.map(|index| (self.topics[topic], index)).collect()
    }

    fn wait(&mut self, ms: u64) {
        self.broker.now += ms * MS;
        self.broker.broker.handle(self.broker.now, Input::Timer(Timer::Groups), &mut Outputs::default());
    }
}

#[test]
fn a_member_gives_up_before_another_gets() {
    let mut group = Coordinator::new(&[("orders", 4)]);
    let (all, first, second) = (group.of(0, 0..4), group.of(0, 0..2), group.of(0, 2..4));
    assert_eq!(group.beat(&Beat::joins("a", &["orders"])), (E::None, 1, Some(all.clone())));
    assert_eq!(group.beat(&Beat::of("a", 1).owning(&all)), (E::None, 1, None), "nothing has changed");
    assert_eq!(group.beat(&Beat::joins("b", &["orders"])), (E::None, 2, Some(vec![])), "all is taken");
    assert_eq!(group.beat(&Beat::of("a", 1)), (E::None, 1, Some(first.clone())), "it keeps its epoch until it has given up");
    assert_eq!(group.beat(&Beat::of("b", 2)), (E::None, 2, None), "it waits");
    assert_eq!(group.beat(&Beat::of("a", 1).owning(&all)), (E::None, 1, None), "it still has them");
    assert_eq!(group.beat(&Beat::of("a", 1).owning(&first)), (E::None, 2, None));
    assert_eq!(group.beat(&Beat::of("b", 2)), (E::None, 2, Some(second.clone())));
    assert_eq!(group.beat(&Beat::of("b", LEAVE)), (E::None, LEAVE, None));
    assert_eq!(group.beat(&Beat::of("a", 2)), (E::None, 3, Some(all)));
    assert_eq!(group.beat(&Beat::of("b", 2)), (E::UnknownMemberId, 0, None));
}

#[test]
fn who_is_behind_the_times_is_fenced_and_who_missed_an_answer_is_not() {
    let mut group = Coordinator::new(&[("orders", 2)]);
    let all = group.of(0, 0..2);
    assert_eq!(group.beat(&Beat::of("a", 1)).0, E::GroupIdNotFound);
    group.beat(&Beat::joins("a", &["orders"]));
    assert_eq!(group.beat(&Beat::of("a", 2)).0, E::FencedMemberEpoch, "an epoch that it was never given");
    assert_eq!(group.beat(&Beat::joins("a", &["orders"])), (E::None, 1, Some(all.clone())), "the answer to its joining was lost");
    assert_eq!(group.beat(&Beat::of("b", 1)).0, E::UnknownMemberId);
    group.beat(&Beat::joins("b", &["orders"]));
    group.beat(&Beat::of("a", 1));
    let one = group.of(0, 0..1);
    assert_eq!(group.beat(&Beat::of("a", 1).owning(&one)), (E::None, 2, None));
    assert_eq!(group.beat(&Beat::of("a", 1)).0, E::FencedMemberEpoch, "it does not say what it has");
    assert_eq!(group.beat(&Beat::of("a", 1).owning(&all)).0, E::FencedMemberEpoch, "it has what it shall not have");
    assert_eq!(group.beat(&Beat::of("a", 1).owning(&one)), (E::None, 2, None), "the answer with the new epoch was lost");
    assert_eq!(group.beat(&Beat::joins("a", &["orders"])), (E::None, 2, Some(one)), "who is fenced joins again (KAFKA-19233)");
}

#[test]
fn a_request_that_contradicts_itself_is_refused_in_words() {
    let mut group = Coordinator::new(&[("orders", 1)]);
    let good = Beat::joins("a", &["orders"]);
    let cases: [(Beat<'_>, E, &str); 12] = [
        (Beat { member: "", ..good.clone() }, E::InvalidRequest, "MemberId can't be empty."),
        (Beat { instance: Some(""), ..good.clone() }, E::InvalidRequest, "InstanceId can't be empty."),
        (Beat { timeout_ms: None, ..good.clone() }, E::InvalidRequest, "RebalanceTimeoutMs must be provided in first request."),
        (Beat { owned: None, ..good.clone() }, E::InvalidRequest, "TopicPartitions must be empty when (re-)joining."),
        (good.clone().owning(&[(Uuid::from_u128(1), 0)]), E::InvalidRequest, "TopicPartitions must be empty when (re-)joining."),
        (
            Beat { topics: None, ..good.clone() },
            E::InvalidRequest,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        (Beat { epoch: -3, ..good.clone() }, E::InvalidRequest, "MemberEpoch is invalid."),
        (Beat { epoch: LEAVE_FOR_A_WHILE, ..good.clone() }, E::InvalidRequest, "InstanceId can't be null."),
        (
            Beat { assignor: Some("sticky"), ..good.clone() },
            E::UnsupportedAssignor,
            "This assignor is not supported. Supported are: uniform, range.",
        ),
        (
            Beat { regex: Some("orders-("), ..good.clone() },
            E::InvalidRegularExpression,
            "SubscribedTopicRegex `orders-(` is not a valid regular expression: missing closing ).",
        ),
        (Beat::of("a", LEAVE), E::GroupIdNotFound, "There is no consumer group of this name."),
        (Beat::of("a", 7), E::GroupIdNotFound, "There is no consumer group of this name."),
    ];
    let before = group.broker.state();
    for (beat, error, words) in cases {
        let response = group.ask(beat.message());
        assert_eq!((E::of(response.error_code), response.error_message.as_deref()), (error, Some(words)));
        assert!(group.broker.state() == before, "{words} has changed something");
    }
    let mut nameless = good.message();
    nameless.group_id = k::GroupId(wire::text(""));
    assert_eq!(E::of(group.ask(nameless).error_code), E::InvalidRequest);
}

#[test]
fn a_static_member_that_comes_back_gets_what_it_had_and_nobody_else_notices() {
    let mut group = Coordinator::new(&[("orders", 2)]);
    let mut members =
        [(Beat::joins("a", &["orders"]).of_instance("first"), vec![]), (Beat::joins("b", &["orders"]).of_instance("second"), vec![])];
    for _ in 0..4 {
        for (beat, owned) in &mut members {
            let said = if beat.epoch == JOIN { beat.clone() } else { Beat::of(beat.member, beat.epoch).owning(owned) };
            let said = Beat { instance: beat.instance, ..said };
            let (_, epoch, places) = group.beat(&said);
            beat.epoch = epoch;
            places.into_iter().for_each(|places| *owned = places);
        }
    }
    let [(first, had), (second, _)] = &members;
    assert_eq!((first.epoch, second.epoch, had.len()), (2, 2, 1));
    let again = Beat::joins("c", &["orders"]).of_instance("first");
    assert_eq!(group.beat(&again).0, E::UnreleasedInstanceId, "the old one has not left");
    let leaving = Beat { epoch: LEAVE_FOR_A_WHILE, owned: None, ..first.clone() };
    assert_eq!(group.beat(&Beat { topics: None, timeout_ms: None, ..leaving }), (E::None, LEAVE_FOR_A_WHILE, None));
    assert_eq!(group.beat(&again), (E::None, 2, Some(had.clone())));
    assert_eq!(group.beat(&Beat::of("b", 2).of_instance("second")), (E::None, 2, None), "its epoch is what it was");
    assert_eq!(group.beat(&Beat::of("a", 2).of_instance("first")).0, E::FencedInstanceId);
    assert_eq!(group.beat(&Beat::of("x", 2).of_instance("third")).0, E::UnknownMemberId);
}

#[test]
fn who_is_silent_for_a_session_or_keeps_what_it_shall_give_up_is_taken_out() {
    let mut group = Coordinator::new(&[("orders", 2)]);
    let all = group.of(0, 0..2);
    group.beat(&Beat::joins("a", &["orders"]));
    group.wait(44_000);
    assert_eq!(group.beat(&Beat::of("a", 1)), (E::None, 1, None));
    group.wait(45_001);
    assert_eq!(group.beat(&Beat::of("a", 1)).0, E::UnknownMemberId);
    // The other one: it lives, and does not do what it shall within its rebalance timeout of ten seconds.
    assert_eq!(group.beat(&Beat::joins("b", &["orders"])), (E::None, 3, Some(all.clone())));
    assert_eq!(group.beat(&Beat::joins("c", &["orders"])), (E::None, 4, Some(vec![])));
    group.beat(&Beat::of("b", 3).owning(&all));
    for _ in 0..2 {
        group.wait(4_900);
        assert_eq!(group.beat(&Beat::of("b", 3).owning(&all)).0, E::None);
        assert_eq!(group.beat(&Beat::of("c", 4)), (E::None, 4, None));
    }
    group.wait(300);
    assert_eq!(group.beat(&Beat::of("b", 3).owning(&all)).0, E::UnknownMemberId);
    assert_eq!(group.beat(&Beat::of("c", 4)), (E::None, 5, Some(all)));
}

#[test]
fn topics_that_a_member_stops_reading_go_to_others_and_most_votes_choose_the_assignor() {
    let mut group = Coordinator::new(&[("orders", 3), ("payments", 3)]);
    let mut members = [(Beat::joins("a", &["orders", "payments"]), vec![]), (Beat::joins("b", &["orders", "payments"]), vec![])];
    group.settle(&mut members);
    let of = |owned: &[(Uuid, i32)], topic: Uuid| owned.iter().filter(|place| place.0 == topic).map(|place| place.1).collect::<Vec<_>>();
    let topics = group.topics.clone();
    assert_eq!(members.iter().map(|(_, owned)| owned.len()).collect::<Vec<_>>(), [3, 3], "uniform");
    // By range each topic is shared out by itself: two and one of each. Who votes for it changes nothing before the next rebalance.
    for (beat, owned) in &members {
        let said = Beat { assignor: Some("range"), ..Beat::of(beat.member, beat.epoch).owning(owned) };
        assert_eq!(group.beat(&said), (E::None, beat.epoch, None));
    }
    assert_eq!(group.beat(&Beat::joins("c", &[])).0, E::None);
    assert_eq!(group.beat(&Beat::of("c", LEAVE)).0, E::None);
    group.settle(&mut members);
    for topic in &topics {
        assert_eq!((of(&members[0].1, *topic), of(&members[1].1, *topic)), (vec![0, 1], vec![2]));
    }
    let (beat, owned) = &mut members[0];
    let (_, epoch, places) = group.beat(&Beat { topics: Some(vec!["payments"]), ..Beat::of(beat.member, beat.epoch).owning(owned) });
    (beat.epoch, *owned) = (epoch, places.expect("it has to give some up"));
    group.settle(&mut members);
    assert_eq!((of(&members[0].1, topics[0]), of(&members[1].1, topics[0])), (vec![], vec![0, 1, 2]));
}

#[test]
fn members_commit_in_their_own_epoch_or_since_they_have_the_partition() {
    let mut group = Coordinator::new(&[("orders", 2)]);
    let (all, one) = (group.of(0, 0..2), group.of(0, 0..1));
    let commit = |group: &mut Coordinator, member: &str, epoch: i32, index: i32| {
        let partition =
            k::offset_commit_request::OffsetCommitRequestPartition::default().with_partition_index(index).with_committed_offset(5);
        let topic = k::offset_commit_request::OffsetCommitRequestTopic::default().with_name(k::TopicName(wire::text("orders")));
        let message = k::OffsetCommitRequest::default().with_group_id(k::GroupId(wire::text("g"))).with_member_id(wire::text(member));
        let message = message.with_generation_id_or_member_epoch(epoch).with_topics(vec![topic.with_partitions(vec![partition])]);
        match group.broker.ask(Request::OffsetCommit(Arc::new(message))) {
            Some(Response::OffsetCommit(response)) => E::of(response.topics[0].partitions[0].error_code),
            other => panic!("{other:?}"),
        }
    };
    group.beat(&Beat::joins("a", &["orders"]));
    assert_eq!(commit(&mut group, "a", 1, 0), E::None);
    assert_eq!(commit(&mut group, "a", 2, 0), E::StaleMemberEpoch);
    assert_eq!(commit(&mut group, "a", 0, 0), E::StaleMemberEpoch);
    assert_eq!(commit(&mut group, "b", 1, 0), E::UnknownMemberId);
    assert_eq!(commit(&mut group, "", -1, 0), E::UnknownMemberId, "an admin has to wait until nobody is in the group");
    group.beat(&Beat::joins("b", &["orders"]));
    group.beat(&Beat::of("a", 1).owning(&all));
    assert_eq!(commit(&mut group, "a", 1, 1), E::None, "it has to give it up, and may say how far it has come");
    group.beat(&Beat::of("a", 1).owning(&one));
    assert_eq!(commit(&mut group, "a", 1, 0), E::None, "it has had it since that epoch");
    assert_eq!(commit(&mut group, "a", 1, 1), E::StaleMemberEpoch, "that is another's now");
    group.beat(&Beat::of("a", LEAVE));
    group.beat(&Beat::of("b", LEAVE));
    assert_eq!(commit(&mut group, "", -1, 0), E::None);
}

#[test]
fn admins_are_told_of_a_group_and_of_each_member_what_it_has_and_shall_have() {
    let mut group = Coordinator::new(&[("orders", 4)]);
    let (all, first, second) = (group.of(0, 0..4), group.of(0, 0..2), group.of(0, 2..4));
    group.beat(&Beat::joins("a", &["orders"]));
    group.beat(&Beat { regex: Some("or.*"), ..Beat::joins("b", &[]) }.of_instance("second"));
    group.beat(&Beat::of("a", 1).owning(&all));
    group.beat(&Beat::of("b", 1).of_instance("second"));
    group.beat(&Beat::of("a", 1).owning(&all));
    let names = ["g", "others", "nobody"].map(|name| k::GroupId(wire::text(name)));
    let asked = k::ConsumerGroupDescribeRequest::default().with_group_ids(names.to_vec());
    let Some(Response::ConsumerGroupDescribe(answer)) = group.broker.ask(Request::ConsumerGroupDescribe(Arc::new(asked))) else {
        panic!("no answer")
    };
    let [known, classic, nobody] = &answer.groups[..] else { panic!("{answer:?}") };
    for (refused, words) in [(classic, "Group others is not a consumer group."), (nobody, "Group nobody not found.")] {
        assert_eq!((E::of(refused.error_code), refused.error_message.as_deref()), (E::GroupIdNotFound, Some(words)));
    }
    assert_eq!((known.error_code, known.group_state.as_str(), known.assignor_name.as_str()), (0, "Reconciling", "uniform"));
    assert_eq!((known.group_epoch, known.assignment_epoch), (2, 2));
    let places = |assignment: &k::consumer_group_describe_response::Assignment| -> Vec<(Uuid, i32)> {
        assert!(assignment.topic_partitions.iter().all(|topic| topic.topic_name.as_str() == "orders"));
        let topics = assignment.topic_partitions.iter();
        topics.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id, *index))).collect()
    };
    let [a, b] = &known.members[..] else { panic!("{known:?}") };
    assert_eq!((a.member_id.as_str(), a.member_epoch, a.member_type, a.client_id.is_empty()), ("a", 1, 1, false));
    assert_eq!((a.subscribed_topic_names.len(), a.subscribed_topic_regex.as_deref()), (1, None));
    assert_eq!((places(&a.assignment), places(&a.target_assignment)), (first.clone(), first));
    assert_eq!((b.instance_id.as_deref(), b.subscribed_topic_regex.as_deref()), (Some("second"), Some("or.*")));
    assert_eq!((places(&b.assignment), places(&b.target_assignment)), (vec![], second));

    // The older requests know groups of both protocols, or only of their own.
    let asked = k::DescribeGroupsRequest::default().with_groups(vec![names[0].clone()]);
    let Some(Response::DescribeGroups(answer)) = group.broker.ask(Request::DescribeGroups(Arc::new(asked))) else { panic!("no answer") };
    let told = &answer.groups[0];
    assert_eq!((E::of(told.error_code), told.group_state.as_str(), told.members.len()), (E::GroupIdNotFound, "Dead", 0));
    assert_eq!(told.error_message.as_deref(), Some("Group g is not a classic group."));
    for (states, types, expected) in [
        (vec![], vec!["consumer"], vec!["g"]),
        (vec!["Reconciling"], vec![], vec!["g"]),
        (vec![], vec!["classic"], vec!["others"]),
        (vec!["stable"], vec!["Consumer"], vec![]),
    ] {
        let texts = |words: &[&str]| words.iter().map(|word| wire::text(word)).collect();
        let asked = k::ListGroupsRequest::default().with_states_filter(texts(&states)).with_types_filter(texts(&types));
        let Some(Response::ListGroups(answer)) = group.broker.ask(Request::ListGroups(Arc::new(asked))) else { panic!("no answer") };
        assert_eq!(answer.groups.iter().map(|group| group.group_id.as_str()).collect::<Vec<_>>(), expected, "{states:?} {types:?}");
        assert!(answer.groups.iter().all(|group| group.protocol_type.as_str() == "consumer"));
    }
}

#[test]
fn offsets_of_what_members_subscribe_to_are_not_deleted() {
    let mut group = Coordinator::new(&[("orders", 1), ("payments", 1)]);
    let delete = |group: &mut Coordinator, topic: &str| {
        let partition = k::offset_delete_request::OffsetDeleteRequestPartition::default();
        let topic = k::offset_delete_request::OffsetDeleteRequestTopic::default().with_name(wire::topic(topic));
        let asked = k::OffsetDeleteRequest::default().with_group_id(k::GroupId(wire::text("g")));
        match group.broker.ask(Request::OffsetDelete(Arc::new(asked.with_topics(vec![topic.with_partitions(vec![partition])])))) {
            Some(Response::OffsetDelete(answer)) => (E::of(answer.error_code), E::of(answer.topics[0].partitions[0].error_code)),
            other => panic!("{other:?}"),
        }
    };
    group.beat(&Beat { regex: Some("or.*"), ..Beat::joins("a", &[]) });
    assert_eq!(delete(&mut group, "orders"), (E::None, E::GroupSubscribedToTopic));
    assert_eq!(delete(&mut group, "payments"), (E::None, E::None));
    group.beat(&Beat::of("a", LEAVE));
    assert_eq!(delete(&mut group, "orders"), (E::None, E::None));
}

#[test]
fn no_heartbeat_is_answered_before_what_its_coordinator_has_written_is_committed() {
    for (protocol, api) in [("consumer", "ConsumerGroupHeartbeat"), ("share", "ShareGroupHeartbeat"), ("classic", "Heartbeat")] {
        let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
        for id in ["anna", "ben"] {
            let configs = json!({ "group.protocol": protocol });
            cluster.apply(json!({ "type": "addConsumer", "id": id, "group": "g", "topics": ["orders"], "configs": configs }));
        }
        cluster.advance(15_000.0);
        let coordinator = cluster.group("g").coordinator.expect("a coordinator");
        let heartbeats = |cluster: &mut Cluster, ms: f64| {
            let events = cluster.events_after(|cluster| cluster.advance(ms));
            let of = |kind: &str, peer: &str| {
                let is = |event: &&brokerlab::view::EventView| {
                    event.kind == kind && event.detail["api"] == api && (event.node == peer || event.detail["to"] == peer)
                };
                events.iter().filter(is).count()
            };
            (of("requestSent", "anna"), of("responseSent", "anna"))
        };
        let (asked, answered) = heartbeats(&mut cluster, 20_000.0);
        assert!(0 < asked && asked == answered, "{protocol}: {asked} heartbeats, {answered} answers");
        // The follower stands still, not for long enough to leave the ISR: what is written meanwhile is not committed.
        cluster.apply(json!({ "type": "freezeBroker", "broker": 3 - coordinator, "ms": 7_500 }));
        match protocol {
            "classic" => _ = cluster.apply(json!({ "type": "commit", "consumer": "anna" })),
            _ => _ = cluster.apply(json!({ "type": "removeConsumer", "id": "ben" })),
        }
        cluster.advance(200.0);
        let (asked, answered) = heartbeats(&mut cluster, 4_500.0);
        assert!(0 < asked && answered == 0, "{protocol}: {asked} heartbeats, {answered} answers");
        let (_, answered) = heartbeats(&mut cluster, 10_500.0);
        assert!(0 < answered, "{protocol}");
    }
}
