#![cfg(not(target_arch = "wasm32"))]
//! What a coordinator writes and its followers do not fetch: who waits for it is told so after `offsets.commit.timeout.ms`, and what is written counts
//! once it is committed (`CoordinatorRuntime.OperationTimeout`, `CoordinatorOperationExceptionHelper`).

mod cluster;

use brokerlab::coordinator::{OFFSETS_TOPIC, partition_for};
use brokerlab::node::{Body, Connection, NodeId, Outputs, Timer};
use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{Request, Response, text, topic as named};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use k::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

const SECOND: u64 = 1_000_000;

/// The coordinator of the group `g`, whose follower fetches when it is told to.
struct Coordinator {
    broker: Direct,
    cluster: Cluster,
    follower: i32,
}

impl Coordinator {
    fn new() -> Coordinator {
        let mut cluster = Cluster::configured(2, json!({ "offsets.commit.timeout.ms": "4000" })).topic("orders", 1, 2);
        // The first group makes the topic of all groups.
        cluster.consumer("reader", "others");
        cluster.advance(5_000.0);
        let partition = cluster.session.world().broker(1).map(|(broker, _)| partition_for("g", broker.config().coordinator.partitions));
        let leader = cluster.partition(OFFSETS_TOPIC, partition.expect("a broker") as usize).leader.expect("a leader");
        Coordinator { broker: Direct::of(&cluster, leader), cluster, follower: 3 - leader }
    }

    fn commits(&mut self, client: u32, offset: i64) -> Outputs {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default().with_name(named("orders")).with_partitions(vec![partition]);
        let message = k::OffsetCommitRequest::default().with_group_id(k::GroupId(text("g"))).with_generation_id_or_member_epoch(-1);
        self.broker.does(NodeId::Client(client), Request::OffsetCommit(Arc::new(message.with_topics(vec![topic]))))
    }

    /// The follower fetches with everything that there is.
    fn is_followed(&mut self) -> Outputs {
        let (topic, epoch) = (topic_id(&self.cluster, OFFSETS_TOPIC), self.cluster.session.world().broker(self.follower));
        let broker_epoch = epoch.expect("the follower").0.epoch();
        let partition = partition_for("g", self.broker.broker.config().coordinator.partitions);
        let log = &self.broker.replica(topic, partition).log;
        let asked = k::fetch_request::FetchPartition::default().with_partition(partition).with_fetch_offset(log.end_offset());
        let asked = asked.with_current_leader_epoch(-1).with_last_fetched_epoch(log.latest_epoch().unwrap_or(-1));
        let topic = k::fetch_request::FetchTopic::default().with_topic_id(topic).with_partitions(vec![asked]);
        let mut message = k::FetchRequest::default().with_topics(vec![topic]);
        (message.replica_state.replica_id, message.replica_state.replica_epoch) = (k::BrokerId(self.follower), broker_epoch);
        self.broker.does(NodeId::Broker(self.follower), Request::Fetch(Arc::new(message)))
    }

    fn committed(&self) -> Option<i64> {
        let group = self.broker.broker.coordinator().groups().find(|group| &*group.id == "g")?;
        group.offsets.values().next().map(|committed| committed.offset)
    }
}

/// When what waits is given up.
fn timeout(out: &Outputs) -> (u64, Timer) {
    let mut waiting = out.timers.iter().filter(|(_, timer)| matches!(timer, Timer::Purgatory { .. }));
    let found = *waiting.next().expect("an alarm");
    assert_eq!((waiting.next(), answers(out)), (None, vec![]), "it waits");
    found
}

/// What clients are told.
fn answers(out: &Outputs) -> Vec<E> {
    let told = out.sends.iter().filter(|sent| matches!(sent.to, Connection { peer: NodeId::Client(98..), .. }));
    let told = told.map(|sent| match &sent.body {
        Body::Response(Response::OffsetCommit(told)) => E::of(told.topics[0].partitions[0].error_code),
        Body::Response(Response::DeleteGroups(told)) => E::of(told.results[0].error_code),
        Body::Response(response) => response.error(),
        other => panic!("{other:?}"),
    });
    told.collect()
}

#[test]
fn a_commit_that_is_not_replicated_in_time_is_refused_and_counts_in_its_place_once_it_is() {
    let mut own = Coordinator::new();
    let began = own.broker.now;
    let (first_at, first) = timeout(&own.commits(99, 5));
    assert_eq!(first_at, began + 4 * SECOND);
    own.broker.now += SECOND;
    let (second_at, second) = timeout(&own.commits(98, 7));
    assert_eq!(answers(&own.broker.rings(first_at, first)), [E::CoordinatorNotAvailable]);
    assert_eq!(own.committed(), None, "nobody has it but the coordinator");
    let told = answers(&own.is_followed());
    assert_eq!((told, own.committed()), (vec![E::None], Some(7)), "the second is told, and comes after the first");
    assert_eq!(answers(&own.broker.rings(second_at, second)), []);
}

#[test]
fn offsets_that_an_admin_deletes_and_groups_go_once_that_is_committed() {
    let id = k::GroupId(text("g"));
    let partition = k::offset_delete_request::OffsetDeleteRequestPartition::default();
    let topic = k::offset_delete_request::OffsetDeleteRequestTopic::default().with_name(named("orders")).with_partitions(vec![partition]);
    let offsets = k::OffsetDeleteRequest::default().with_group_id(id.clone()).with_topics(vec![topic]);
    let groups = k::DeleteGroupsRequest::default().with_groups_names(vec![id]);
    for request in [Request::OffsetDelete(Arc::new(offsets)), Request::DeleteGroups(Arc::new(groups))] {
        let mut own = Coordinator::new();
        own.commits(99, 5);
        own.is_followed();
        assert_eq!(own.committed(), Some(5));
        let (at, alarm) = timeout(&own.broker.does(NodeId::Client(99), request));
        assert_eq!(answers(&own.broker.rings(at, alarm)), [E::CoordinatorNotAvailable]);
        assert_eq!(own.committed(), Some(5), "it is not committed yet");
        assert_eq!(answers(&own.is_followed()), []);
        assert_eq!(own.committed(), None);
    }
}

#[test]
fn a_member_that_is_not_written_in_time_is_refused_and_stays() {
    let mut own = Coordinator::new();
    let message = k::ConsumerGroupHeartbeatRequest::default().with_group_id(k::GroupId(text("g"))).with_member_id(text("anna"));
    let message = message.with_rebalance_timeout_ms(60_000).with_topic_partitions(Some(vec![]));
    let joins = message.with_subscribed_topic_names(Some(vec![named("orders")]));
    let (at, alarm) = timeout(&own.broker.does(NodeId::Client(99), Request::ConsumerGroupHeartbeat(Arc::new(joins.clone()))));
    assert_eq!(answers(&own.broker.rings(at, alarm)), [E::CoordinatorNotAvailable]);
    let members = own.broker.broker.coordinator().groups().filter(|group| &*group.id == "g").map(|group| group.size()).sum::<usize>();
    assert_eq!(members, 1);
    assert_eq!(answers(&own.is_followed()), []);
    let again = own.broker.does(NodeId::Client(99), Request::ConsumerGroupHeartbeat(Arc::new(joins)));
    let told = [answers(&again), answers(&own.is_followed())].concat();
    assert_eq!(told, [E::None], "it asks again and is let in");
}
