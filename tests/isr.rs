#![cfg(not(target_arch = "wasm32"))]
//! Changes of the ISR, one at a time (`AlterPartitionManager`, `Partition.maybeShrinkIsr`).

mod cluster;

use brokerlab::node::{Body, NodeId, Outputs, Timer};
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, ErrorCode};
use brokerlab::view::EventView;
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

fn asked(events: &[EventView]) -> usize {
    events.iter().filter(|event| event.kind == "requestSent" && event.text.starts_with("AlterPartition")).count()
}

#[test]
fn a_leader_asks_for_no_second_change_before_the_first_is_answered_though_the_log_has_brought_it() {
    let mut cluster = Cluster::configured(3, json!({ "replica.lag.time.max.ms": "4000" })).topic("orders", 1, 3);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let followers: Vec<i32> = (1..=3).filter(|broker| *broker != leader).collect();
    let cut = |cluster: &mut Cluster, follower: i32| {
        let (from, to) = (format!("broker-{follower}"), format!("broker-{leader}"));
        cluster.apply(json!({ "type": "setLink", "from": from, "to": to, "cut": true }));
        // Who has all that there is does not lag, however long it is silent.
        cluster.apply(json!({ "type": "send", "topic": "orders", "value": "v" }));
    };
    cluster.apply(json!({ "type": "dropNext", "api": "AlterPartition", "what": "response" }));
    let seen = cluster.events_after(|cluster| {
        cut(cluster, followers[0]);
        cluster.advance(8_000.0);
        // Known from the metadata log, not from the answer.
        assert_eq!(cluster.partition("orders", 0).isr, [leader, followers[1]]);
        cut(cluster, followers[1]);
        cluster.advance(15_000.0);
    });
    assert_eq!(asked(&seen), 1);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 2);
    // The lost answer is given up after half a minute (controller.socket.timeout.ms), and the next change is asked for.
    let seen = cluster.events_after(|cluster| cluster.advance(30_000.0));
    assert!(0 < asked(&seen));
    assert_eq!(cluster.partition("orders", 0).isr, [leader]);
}

/// A leader of orders-0 with a follower that is not in sync, cut off from it, and everything that a fetch of that follower would say.
struct Waiting {
    leader: Direct,
    topic: Uuid,
    follower: i32,
    broker_epoch: i64,
    leader_epoch: i32,
}

impl Waiting {
    fn new() -> Waiting {
        let mut cluster = Cluster::configured(3, json!({ "replica.lag.time.max.ms": "4000" })).topic("orders", 1, 3);
        let leader = cluster.partition("orders", 0).leader.expect("a leader");
        // The one that registered last: there are broker epochs below its own.
        let epoch = |id: &i32| cluster.session.world().broker(*id).expect("the broker").0.epoch();
        let follower = (1..=3).filter(|id| *id != leader).max_by_key(epoch).expect("a follower");
        let (from, to) = (format!("broker-{follower}"), format!("broker-{leader}"));
        cluster.apply(json!({ "type": "setLink", "from": from, "to": to, "cut": true }));
        cluster.apply(json!({ "type": "send", "topic": "orders", "value": "v" }));
        cluster.advance(9_000.0);
        let partition = cluster.partition("orders", 0);
        assert!(!partition.isr.contains(&follower) && partition.leader == Some(leader));
        let broker_epoch = cluster.session.world().broker(follower).expect("the broker").0.epoch();
        let (topic, leader) = (topic_id(&cluster, "orders"), Direct::of(&cluster, leader));
        Waiting { leader, topic, follower, broker_epoch, leader_epoch: partition.leader_epoch }
    }

    /// The follower fetches with everything that there is.
    fn fetch(&mut self, broker_epoch: i64) -> Outputs {
        let log = &self.leader.replica(self.topic, 0).log;
        let asked =
            k::fetch_request::FetchPartition::default().with_fetch_offset(log.end_offset()).with_current_leader_epoch(self.leader_epoch);
        let asked = asked.with_last_fetched_epoch(log.latest_epoch().unwrap_or(-1));
        let topic = k::fetch_request::FetchTopic::default().with_topic_id(self.topic).with_partitions(vec![asked]);
        let mut message = k::FetchRequest::default().with_max_wait_ms(500).with_min_bytes(1).with_topics(vec![topic]);
        (message.replica_state.replica_id, message.replica_state.replica_epoch) = (k::BrokerId(self.follower), broker_epoch);
        self.leader.does(NodeId::Broker(self.follower), Request::Fetch(Arc::new(message)))
    }

    fn pending(&self) -> Option<Vec<i32>> {
        self.leader.replica(self.topic, 0).leader().expect("it leads").pending_isr.clone()
    }

    /// The controller's answer: an error of the whole, or of the partition.
    fn refused(&mut self, correlation: u32, whole: ErrorCode, part: ErrorCode) -> Outputs {
        let partition = k::alter_partition_response::PartitionData::default().with_error_code(part.code());
        let topic = k::alter_partition_response::TopicData::default().with_topic_id(self.topic).with_partitions(vec![partition]);
        let response = k::AlterPartitionResponse::default().with_error_code(whole.code()).with_topics(vec![topic]);
        self.leader.is_told(correlation, Response::AlterPartition(Arc::new(response)))
    }
}

/// AlterPartition requests with their correlations.
fn changes(out: &Outputs) -> Vec<(u32, Arc<k::AlterPartitionRequest>)> {
    let change = |sent: &brokerlab::node::Send| match &sent.body {
        Body::Request(Request::AlterPartition(message)) => Some((sent.correlation, message.clone())),
        _ => None,
    };
    out.sends.iter().filter_map(change).collect()
}

#[test]
fn only_the_process_that_is_registered_is_asked_into_the_isr() {
    // KIP-903: a process of before may have had what the new one has lost, and a newer one is not known to the leader yet.
    for (difference, asks) in [(-1, false), (1, false), (0, true)] {
        let mut waiting = Waiting::new();
        let epoch = waiting.broker_epoch + difference;
        let asked = changes(&waiting.fetch(epoch));
        assert_eq!(asked.len(), usize::from(asks), "broker epoch {difference:+}");
        assert_eq!(waiting.pending().is_some(), asks);
        if let Some((_, message)) = asked.first() {
            let members = &message.topics[0].partitions[0].new_isr_with_epochs;
            let named = members.iter().find(|member| member.broker_id.0 == waiting.follower).expect("the follower");
            assert_eq!(named.broker_epoch, waiting.broker_epoch, "the controller has to compare it once more");
        }
    }
}

#[test]
fn who_may_not_join_is_not_waited_for() {
    for (difference, waits) in [(1, false), (0, true)] {
        let mut waiting = Waiting::new();
        waiting.fetch(waiting.broker_epoch + difference);
        let end = waiting.leader.replica(waiting.topic, 0).log.end_offset();
        let mut batch = BatchBuilder::new(BatchOptions::default(), 0);
        batch.append(-1, None, Some(b"v"), &[]);
        let batch = Batch::from_wire(batch.build()).expect("a batch");
        let data = k::produce_request::PartitionProduceData::default();
        let topic = k::produce_request::TopicProduceData::default().with_topic_id(waiting.topic).with_partition_data(vec![data]);
        let message = k::ProduceRequest::default().with_acks(1).with_topic_data(vec![topic]);
        waiting.leader.does(NodeId::Client(99), Request::Produce(Arc::new(message), Arc::from([batch])));
        // The other follower, which is in sync, fetches with everything that there is.
        let registered = |id: i32| waiting.leader.broker.image().brokers[&id].epoch;
        let other = 6 - waiting.follower - waiting.leader.broker.id();
        (waiting.broker_epoch, waiting.follower) = (registered(other), other);
        waiting.fetch(waiting.broker_epoch);
        let replica = waiting.leader.replica(waiting.topic, 0);
        assert_eq!((replica.log.end_offset(), replica.high_watermark()), (end + 1, if waits { end } else { end + 1 }), "{difference}");
    }
}

#[test]
fn an_isr_change_that_is_refused_is_taken_back_left_open_or_asked_for_again_as_the_error_says() {
    use ErrorCode as E;
    let retry = Some((50_000, Timer::IsrRetry));
    for (whole, part, stays, again) in [
        // The controller knows the partition as the leader does, and refuses: the ISR is what it was.
        (E::None, E::IneligibleReplica, false, None),
        (E::None, E::OperationNotAttempted, false, None),
        // It has decided something that is on its way.
        (E::None, E::FencedLeaderEpoch, true, None),
        (E::None, E::InvalidUpdateVersion, true, None),
        (E::None, E::InvalidRequest, true, None),
        (E::None, E::NewLeaderElected, true, None),
        (E::None, E::UnknownTopicId, true, None),
        (E::None, E::UnknownTopicOrPartition, true, None),
        // It could not decide.
        (E::None, E::NotController, true, retry),
        (E::None, E::UnknownServerError, true, retry),
        (E::StaleBrokerEpoch, E::None, true, retry),
        // Another controller may be the active one: the next heartbeat finds it, and the change is asked for with it.
        (E::NotController, E::None, true, Some((100_000, Timer::BrokerHeartbeat))),
    ] {
        let mut waiting = Waiting::new();
        let out = waiting.fetch(waiting.broker_epoch);
        let (correlation, _) = changes(&out)[0];
        let wanted = waiting.pending();
        let out = waiting.refused(correlation, whole, part);
        assert!(changes(&out).is_empty(), "{whole:?} {part:?}: nothing is asked at once");
        assert_eq!(waiting.pending(), wanted.clone().filter(|_| stays), "{whole:?} {part:?}");
        let alarm = out
            .timers
            .iter()
            .map(|(at, timer)| (at - waiting.leader.now, *timer))
            .find(|(_, timer)| again.is_some_and(|(_, own)| own == *timer));
        assert_eq!(alarm, again, "{whole:?} {part:?}");
        if again == retry {
            let asked = changes(&waiting.leader.rings(waiting.leader.now + 50_000, Timer::IsrRetry));
            assert_eq!(asked.len(), 1);
            assert_eq!(waiting.pending(), wanted);
        } else {
            assert!(!out.timers.iter().any(|(_, timer)| *timer == Timer::IsrRetry), "{whole:?} {part:?}");
        }
    }
}

#[test]
fn a_granted_isr_that_was_there_already_is_no_longer_pending() {
    let mut waiting = Waiting::new();
    let out = waiting.fetch(waiting.broker_epoch);
    let (correlation, _) = changes(&out)[0];
    let role = waiting.leader.replica(waiting.topic, 0).leader().expect("it leads");
    let isr = role.isr.clone();
    let partition =
        k::alter_partition_response::PartitionData::default().with_leader_epoch(role.epoch).with_partition_epoch(role.partition_epoch);
    let partition = partition.with_isr(isr.iter().map(|member| k::BrokerId(*member)).collect());
    let topic = k::alter_partition_response::TopicData::default().with_topic_id(waiting.topic).with_partitions(vec![partition]);
    let response = k::AlterPartitionResponse::default().with_topics(vec![topic]);
    waiting.leader.is_told(correlation, Response::AlterPartition(Arc::new(response)));
    assert_eq!(waiting.pending(), None);
    assert_eq!(waiting.leader.replica(waiting.topic, 0).leader().expect("it leads").isr, isr);
}
