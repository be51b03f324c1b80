//! An application that keeps a table of one of the topics, which a session has by chance: started some time, and again whenever it is gone.
//!
//! Drawn beside all else: what a seed without one stands for does not depend on it.

use super::scenarios::Scenario;
use brokerlab::node::Chance;
use brokerlab::session::Session;
use brokerlab::sim::{ProcessState, World};
use serde_json::{Value, json};

/// One in so many times that something happens it is started, or started again.
const ODDS: u64 = 4;
/// One in so many times it crashes.
const CRASH_ODDS: u64 = 12;
pub const AGGREGATE: &str = "aggregate";
const TABLE: &str = "table";

pub struct Aggregates {
    /// Absent: this seed has none.
    chance: Option<Chance>,
    source: Option<String>,
}

impl Aggregates {
    pub fn new(seed: u64, scenario: &Scenario) -> Aggregates {
        let mut chance = Chance::new(seed).fork(0x00a6_67e6);
        let has = scenario.beside.aggregates != 0 && chance.below(scenario.beside.aggregates) == 0;
        Aggregates { chance: has.then_some(chance), source: None }
    }

    pub fn act(&mut self, session: &Session) -> Vec<Value> {
        let Some(chance) = &mut self.chance else { return Vec::new() };
        let world = session.world();
        if runs(world) {
            return match chance.below(CRASH_ODDS) {
                0 => vec![json!({ "type": "crashConsumer", "id": AGGREGATE })],
                _ => Vec::new(),
            };
        }
        if chance.below(ODDS) != 0 {
            return Vec::new();
        }
        let image = world.controller().image();
        if self.source.is_none() {
            // Of a topic that keeps what it gets it can be told what the table has to be.
            let topics = image.topics.values().filter(|topic| topic.name.starts_with("topic"));
            let (kept, let_go): (Vec<_>, Vec<_>) = topics.partition(|topic| !topic.configs.contains_key("internal.segment.bytes"));
            let from = if kept.is_empty() { let_go } else { kept };
            self.source = from.get(chance.below(from.len().max(1) as u64) as usize).map(|topic| topic.name.to_string());
        }
        if image.topic(TABLE).is_some() {
            return self.start();
        }
        let factor = world.brokers().count().min(3);
        let configs = json!({ "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "internal.segment.bytes": "2000" });
        let table = json!({
            "type": "createTopic", "name": TABLE, "partitions": 1 + chance.below(2), "replicationFactor": factor, "configs": configs,
        });
        [table].into_iter().chain(self.start()).collect()
    }

    /// What is there in the end, so that its table can be held against its source.
    pub fn ends(&mut self, session: &Session) -> Vec<Value> {
        if runs(session.world()) { Vec::new() } else { self.start() }
    }

    fn start(&self) -> Vec<Value> {
        let start = |source: &String| {
            json!({
                "type": "addAggregate", "id": AGGREGATE, "topic": source, "table": TABLE, "function": "count",
                "configs": { "metadata.max.age.ms": "5000", "linger.ms": "5" },
            })
        };
        self.source.iter().map(start).collect()
    }
}

fn runs(world: &World) -> bool {
    world.client(AGGREGATE).is_some_and(|client| client.state == ProcessState::Running)
}
