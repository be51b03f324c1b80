//! A cluster for scripts: commands in the JSON of the automation interface, and the few questions that tests ask.

#![allow(dead_code, reason = "each test file asks its own questions")]

pub mod direct;

use brokerlab::session::command::{Cluster as ClusterSpec, Refusal, Saved};
use brokerlab::session::{Session, parse_command};
use brokerlab::view::{self, EventView, GroupView, MessageQuery, PartitionView, View};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct Cluster {
    pub session: Session,
}

impl Cluster {
    /// A cluster that has had a second to start.
    pub fn of_brokers(brokers: u32) -> Cluster {
        Cluster::seeded(7, brokers)
    }

    /// Two replicas of `orders`-0: both have its first record, and only the leader, which is returned, the second; the follower stands still for 20 seconds.
    pub fn with_a_late_follower() -> (Cluster, i32) {
        let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
        let leader = cluster.leader("orders", 0);
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
        cluster.advance(1_000.0);
        cluster.apply(json!({ "type": "freezeBroker", "broker": 3 - leader, "ms": 20_000 }));
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": "v" }));
        cluster.advance(100.0);
        (cluster, leader)
    }

    pub fn seeded(seed: u64, brokers: u32) -> Cluster {
        Cluster::with(seed, brokers, json!({}))
    }

    /// Brokers with settings of their own.
    pub fn configured(brokers: u32, configs: Value) -> Cluster {
        Cluster::with(7, brokers, configs)
    }

    /// A broker for each rack that is named.
    pub fn racked(racks: &[&str]) -> Cluster {
        Cluster::racked_with(racks, json!({}))
    }

    /// The same, with settings of their own.
    pub fn racked_with(racks: &[&str], configs: Value) -> Cluster {
        let racks: Vec<String> = racks.iter().map(|rack| (*rack).to_owned()).collect();
        Cluster::loaded(7, ClusterSpec { racks: Some(racks.clone()), ..spec(racks.len() as u32, configs) })
    }

    /// Why a cluster with such settings does not start.
    pub fn refusal_of(configs: Value) -> Refusal {
        Session::load(&saved(7, spec(3, configs))).expect_err("a refusal")
    }

    /// Three controllers, and the time that their first election takes.
    pub fn of_three_controllers(brokers: u32) -> Cluster {
        Cluster::quorum(7, brokers)
    }

    pub fn quorum(seed: u64, brokers: u32) -> Cluster {
        Cluster::quorum_with(seed, brokers, json!({}))
    }

    pub fn quorum_with(seed: u64, brokers: u32, configs: Value) -> Cluster {
        let configs: BTreeMap<String, String> = serde_json::from_value(configs).expect("settings are text by name");
        let configs = configs.into_iter().collect();
        let cluster = ClusterSpec { brokers, controllers: Some(3), racks: None, configs, start_timestamp: None };
        let saved = Saved { format: "brokerlab".to_owned(), version: 1, seed, cluster, commands: Vec::new(), until: 6_000.0 };
        Cluster { session: Session::load(&saved).expect("an empty session loads") }
    }

    fn with(seed: u64, brokers: u32, configs: Value) -> Cluster {
        Cluster::loaded(seed, spec(brokers, configs))
    }

    fn loaded(seed: u64, cluster: ClusterSpec) -> Cluster {
        Cluster { session: Session::load(&saved(seed, cluster)).expect("an empty session loads") }
    }

    pub fn topic(mut self, name: &str, partitions: i32, factor: i16) -> Cluster {
        self.apply(json!({ "type": "createTopic", "name": name, "partitions": partitions, "replicationFactor": factor }));
        self.advance(500.0);
        self
    }

    pub fn apply(&mut self, command: Value) -> Value {
        let parsed = parse_command(command.clone()).unwrap_or_else(|refusal| panic!("{command} is malformed: {refusal}"));
        self.session.apply(parsed).unwrap_or_else(|refusal| panic!("{command} is refused: {refusal}"))
    }

    pub fn refused(&mut self, command: Value) -> Refusal {
        parse_command(command.clone()).and_then(|command| self.session.apply(command)).expect_err(&format!("{command} should be refused"))
    }

    pub fn advance(&mut self, ms: f64) {
        self.session.advance(ms).expect("time advances");
    }

    pub fn send(&mut self, topic: &str, key: Option<&str>, value: &str) {
        self.apply(json!({ "type": "send", "topic": topic, "key": key, "value": value }));
    }

    /// A producer sends "value 1", "value 2", ... to partition 0, each in a batch of its own.
    pub fn send_numbered(&mut self, producer: &str, topic: &str, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let value = format!("value {number}");
            self.apply(json!({ "type": "send", "producer": producer, "topic": topic, "partition": 0, "value": value }));
            self.advance(50.0);
        }
    }

    /// The error with which a record sent now is tried again or given up at first; none if it is acknowledged.
    pub fn first_error(&mut self, topic: &str, value: &str) -> Option<String> {
        let events = self.events_after(|cluster| {
            cluster.send(topic, Some("k"), value);
            // Enough for a producer that has no id yet.
            cluster.advance(300.0);
        });
        events
            .into_iter()
            .find(|event| matches!(event.kind, "produceRetried" | "recordFailed"))
            .and_then(|event| event.error.map(Into::into))
    }

    /// Who leads a partition that has a leader.
    pub fn leader(&self, topic: &str, index: usize) -> i32 {
        self.partition(topic, index).leader.expect("a leader")
    }

    pub fn consumer(&mut self, id: &str, group: &str) {
        self.apply(json!({ "type": "addConsumer", "id": id, "group": group, "topics": ["orders"], "configs": { "auto.offset.reset": "earliest" } }));
    }

    pub fn view(&self) -> View {
        view::view(&self.session)
    }

    pub fn partition(&self, topic: &str, index: usize) -> PartitionView {
        self.view().topics.into_iter().find(|known| known.name == topic).expect("the topic").partitions.swap_remove(index)
    }

    pub fn group(&self, id: &str) -> GroupView {
        self.view().groups.into_iter().find(|group| group.id == id).expect("the group")
    }

    /// A group's coordinator fails, and another one goes on where it stood: nobody gives anything up.
    pub fn coordinator_fails_over(&mut self, group: &str) {
        let before = self.group(group);
        self.apply(json!({ "type": "crashBroker", "broker": before.coordinator.expect("a coordinator") }));
        let seen = self.events_after(|cluster| cluster.advance(40_000.0));
        let after = self.group(group);
        assert_ne!(after.coordinator, before.coordinator);
        assert_eq!((after.state, after.generation, after.members), (before.state, before.generation, before.members));
        assert!(!seen.iter().any(|event| event.kind == "assignmentLost" || event.kind == "assignmentRevoked"));
    }

    /// What each client of a group owns, by client.
    pub fn owned(&self, group: &str) -> Vec<(String, Vec<i32>)> {
        let owned =
            |member: brokerlab::view::MemberView| (member.client_id, member.assignment.into_iter().map(|own| own.partition).collect());
        let mut owned: Vec<_> = self.group(group).members.into_iter().map(owned).collect();
        owned.sort();
        owned
    }

    /// How many partitions the members own, the fewest first.
    pub fn shares(&self, group: &str) -> Vec<usize> {
        let mut shares: Vec<usize> = self.group(group).members.iter().map(|member| member.assignment.len()).collect();
        shares.sort_unstable();
        shares
    }

    pub fn position(&self, consumer: &str, topic: &str, partition: i32) -> Option<i64> {
        let reader = self.view().consumers.into_iter().find(|known| known.id == consumer)?;
        reader.positions.into_iter().find(|known| known.topic == topic && known.partition == partition).map(|known| known.position)
    }

    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.group(group).offsets.into_iter().find(|offset| offset.topic == topic && offset.partition == partition)?.committed
    }

    /// The readable values of a partition, in order.
    pub fn values(&self, topic: &str, partition: i32) -> Vec<String> {
        let query = MessageQuery { topic: topic.to_owned(), partition, offset: None, max: None, isolation: None };
        let messages = view::messages(&self.session, &query).expect("the partition");
        messages.into_iter().map(|message| message.value.map(|value| value.to_string()).unwrap_or_default()).collect()
    }

    /// The events that a piece of script causes.
    pub fn events_after(&mut self, script: impl FnOnce(&mut Cluster)) -> Vec<EventView> {
        let from = self.session.event_count();
        script(self);
        view::events(&self.session, from, usize::MAX)
    }

    /// Partition and offset of every record that a producer was told is safe.
    pub fn acknowledged_offsets(&self, topic: &str) -> Vec<(i32, i64)> {
        let of_topic = |event: &EventView| event.kind == "recordAcknowledged" && event.topic.as_deref() == Some(topic);
        let offsets = |event: EventView| {
            let (base, records) =
                (event.detail["baseOffset"].as_i64().expect("an offset"), event.detail["records"].as_i64().expect("a count"));
            (base..base + records).map(move |offset| (event.partition.expect("a partition"), offset))
        };
        view::events(&self.session, 0, usize::MAX).into_iter().filter(of_topic).flat_map(offsets).collect()
    }

    /// Every replica of a topic has the same end, which is committed, and the same bytes.
    pub fn assert_replicas_equal(&self, topic: &str) {
        let picture = view::picture(&self.session, 100_000);
        for partition in self.view().topics.into_iter().find(|known| known.name == topic).expect("the topic").partitions {
            let ends: Vec<(i64, i64)> = partition.replicas.iter().map(|replica| (replica.log_end_offset, replica.high_watermark)).collect();
            assert!(ends.iter().all(|end| *end == ends[0] && end.0 == end.1), "{topic}-{}: {ends:?}", partition.partition);
            let mut strips = picture.strips.iter().filter(|strip| strip.topic == topic && strip.partition == partition.partition);
            let first = strips.next().expect("a replica");
            assert!(strips.all(|strip| strip.cells == first.cells), "the replicas of {topic}-{} differ", partition.partition);
        }
    }
}

fn spec(brokers: u32, configs: Value) -> ClusterSpec {
    let configs: BTreeMap<String, String> = serde_json::from_value(configs).expect("settings are text by name");
    ClusterSpec { brokers, controllers: None, racks: None, configs: configs.into_iter().collect(), start_timestamp: None }
}

fn saved(seed: u64, cluster: ClusterSpec) -> Saved {
    Saved { format: "brokerlab".to_owned(), version: 1, seed, cluster, commands: Vec::new(), until: 1_000.0 }
}
