#![cfg(not(target_arch = "wasm32"))]
//! Where the replicas of a topic stand (KIP-36), and what Kafka says of replicas that a request names itself.

mod cluster;

use brokerlab::controller::Controller;
use brokerlab::node::{Body, Channel, Connection, Input, NodeId, Outputs};
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use k::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use k::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

const RACKS: [&str; 5] = ["a", "a", "b", "b", "c"];

fn rack(broker: i32) -> &'static str {
    RACKS[broker as usize - 1]
}

fn replicas(cluster: &Cluster, topic: &str) -> Vec<Vec<i32>> {
    let topics = cluster.view().topics;
    let topic = topics.into_iter().find(|known| known.name == topic).expect("the topic");
    let brokers = |partition: brokerlab::view::PartitionView| partition.replicas.iter().map(|replica| replica.broker).collect();
    topic.partitions.into_iter().map(brokers).collect()
}

#[test]
fn a_topic_stands_in_every_rack_and_every_rack_leads() {
    let cluster = Cluster::racked(&RACKS).topic("orders", 6, 3);
    for replicas in replicas(&cluster, "orders") {
        let mut racks: Vec<&str> = replicas.iter().map(|broker| rack(*broker)).collect();
        racks.sort_unstable();
        assert_eq!(racks, ["a", "b", "c"]);
    }
    let mut leading: Vec<&str> = (0..6).map(|index| rack(cluster.partition("orders", index).leader.expect("a leader"))).collect();
    // Five live brokers: after five partitions racks and brokers are shuffled.
    leading.truncate(3);
    leading.sort_unstable();
    assert_eq!(leading, ["a", "b", "c"]);
    assert_eq!(cluster.view().brokers[4].rack.as_deref(), Some("c"));
}

#[test]
fn a_rack_that_is_down_takes_replicas_and_leads_nothing() {
    let mut cluster = Cluster::racked(&RACKS);
    cluster.apply(json!({ "type": "crashBroker", "broker": 5 }));
    cluster.advance(12_000.0);
    let cluster = cluster.topic("orders", 8, 3);
    for (index, replicas) in replicas(&cluster, "orders").iter().enumerate() {
        let partition = cluster.partition("orders", index);
        assert!(replicas.contains(&5), "a replica in rack c, though it is down: {replicas:?}");
        assert!(partition.leader.is_some_and(|leader| leader < 5) && partition.isr.len() == 2, "{:?}", partition.isr);
    }
}

/// A controller taken out of its cluster, and asked directly.
struct Asked {
    controller: Controller,
    now: u64,
}

impl Asked {
    fn of(cluster: &Cluster) -> Asked {
        Asked {
            controller: cluster.session.world().active_controller().expect("an active controller").clone(),
            now: cluster.session.world().now(),
        }
    }

    fn ask(&mut self, request: Request) -> Response {
        let mut out = Outputs::default();
        let from = Connection { peer: NodeId::Broker(1), channel: Channel::Control };
        self.controller.handle(self.now, Input::Request { from, client_id: Arc::from(""), correlation: 1, request }, &mut out);
        match out.sends.swap_remove(0).body {
            Body::Response(response) => response,
            Body::Request(_) => panic!("the controller asks nobody"),
        }
    }

    /// The error's code, 0 for none.
    fn create(&mut self, name: &str, partitions: i32, factor: i16, assignments: Named<'_>) -> i16 {
        let mut topic = CreatableTopic::default();
        (topic.name, topic.num_partitions, topic.replication_factor) = (wire::topic(name), partitions, factor);
        for (index, brokers) in assignments {
            let mut assignment = CreatableReplicaAssignment::default();
            assignment.partition_index = *index;
            assignment.broker_ids = brokers.iter().map(|broker| k::BrokerId(*broker)).collect();
            topic.assignments.push(assignment);
        }
        let mut message = k::CreateTopicsRequest::default();
        message.topics.push(topic);
        match self.ask(Request::CreateTopics(Arc::new(message))) {
            Response::CreateTopics(answer) => answer.topics[0].error_code,
            answer => panic!("{answer:?}"),
        }
    }

    fn grow(&mut self, name: &str, count: i32, assignments: &[&[i32]]) -> i16 {
        let mut topic = CreatePartitionsTopic::default();
        (topic.name, topic.count) = (wire::topic(name), count);
        let assigned = |brokers: &&[i32]| {
            let mut assignment = CreatePartitionsAssignment::default();
            assignment.broker_ids = brokers.iter().map(|broker| k::BrokerId(*broker)).collect();
            assignment
        };
        topic.assignments = Some(assignments.iter().map(assigned).collect());
        let mut message = k::CreatePartitionsRequest::default();
        message.topics.push(topic);
        match self.ask(Request::CreatePartitions(Arc::new(message))) {
            Response::CreatePartitions(answer) => answer.results[0].error_code,
            answer => panic!("{answer:?}"),
        }
    }

    fn replicas(&self, topic: &str) -> Vec<Vec<i32>> {
        let topic = self.controller.image().topic(topic).expect("the topic");
        topic.partitions.iter().map(|state| state.replicas.clone()).collect()
    }
}

/// `INVALID_REPLICATION_FACTOR`
const FACTOR: i16 = 38;
/// `INVALID_REPLICA_ASSIGNMENT`
const ASSIGNMENT: i16 = 39;
/// `INVALID_REQUEST`
const REQUEST: i16 = 42;
/// `INVALID_PARTITIONS`
const PARTITIONS: i16 = 37;

/// The brokers of each partition that a request names.
type Named<'a> = &'a [(i32, &'a [i32])];

#[test]
fn replicas_that_a_request_names_are_checked_as_kafka_checks_them() {
    let mut cluster = Cluster::of_brokers(4);
    cluster.apply(json!({ "type": "crashBroker", "broker": 4 }));
    cluster.advance(12_000.0);
    let mut asked = Asked::of(&cluster);
    let before = asked.controller.image().next_offset;
    let refused: &[(i32, i16, Named<'_>, i16)] = &[
        (1, -1, &[(0, &[1])], REQUEST),
        (-1, 1, &[(0, &[1])], REQUEST),
        (-1, -1, &[(0, &[])], ASSIGNMENT),
        (-1, -1, &[(0, &[1, 9])], ASSIGNMENT),
        (-1, -1, &[(0, &[1, -1])], ASSIGNMENT),
        (-1, -1, &[(0, &[1, 1])], ASSIGNMENT),
        (-1, -1, &[(0, &[1, 2]), (1, &[3])], ASSIGNMENT),
        (-1, -1, &[(0, &[1]), (0, &[2])], ASSIGNMENT),
        (-1, -1, &[(0, &[1]), (2, &[2])], ASSIGNMENT),
        (-1, -1, &[(1, &[1])], ASSIGNMENT),
        (-1, -1, &[(-1, &[1]), (0, &[1])], ASSIGNMENT),
        (-1, -1, &[(0, &[4])], ASSIGNMENT),
        (1, 0, &[], FACTOR),
        (1, -2, &[], FACTOR),
        (1, 5, &[], FACTOR),
        (0, 0, &[], FACTOR),
        (0, 1, &[], PARTITIONS),
    ];
    for (partitions, factor, assignments, code) in refused {
        assert_eq!(asked.create("orders", *partitions, *factor, assignments), *code, "{partitions} {factor} {assignments:?}");
    }
    assert_eq!(asked.controller.image().next_offset, before, "what is refused changes nothing");
    assert_eq!(asked.create("orders", -1, -1, &[(1, &[4, 3]), (0, &[2, 1])]), 0);
    assert_eq!(asked.replicas("orders"), [[2, 1], [4, 3]]);
    let fenced = asked.controller.image().topic("orders").expect("the topic").partitions[1].clone();
    assert_eq!((fenced.leader, fenced.isr), (Some(3), vec![3]));

    let before = asked.controller.image().next_offset;
    let refused: &[(i32, &[&[i32]], i16)] = &[
        (3, &[], ASSIGNMENT),
        (3, &[&[1, 2], &[2, 3]], ASSIGNMENT),
        (3, &[&[1]], ASSIGNMENT),
        (3, &[&[1, 1]], ASSIGNMENT),
        (3, &[&[1, 9]], ASSIGNMENT),
        (4, &[&[1, 2], &[]], ASSIGNMENT),
        (2, &[], PARTITIONS),
        (1, &[&[1, 2]], PARTITIONS),
    ];
    for (count, assignments, code) in refused {
        assert_eq!(asked.grow("orders", *count, assignments), *code, "{count} {assignments:?}");
    }
    assert_eq!(asked.controller.image().next_offset, before, "what is refused changes nothing");
    assert_eq!(asked.grow("orders", 4, &[&[3, 1], &[1, 4]]), 0);
    assert_eq!(asked.replicas("orders"), [[2, 1], [4, 3], [3, 1], [1, 4]]);
}
