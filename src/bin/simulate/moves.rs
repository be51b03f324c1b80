//! Partitions whose older segments are only in the remote store, and that move by chance to a broker that has nothing of them: it goes on behind what is
//! there (KIP-405). Beside all else: what other seeds stand for does not depend on it.

use super::scenarios::Scenario;
use brokerlab::node::Chance;
use brokerlab::session::Session;
use brokerlab::sim::ProcessState;
use serde_json::{Value, json};

/// One in so many times that something happens one moves, if there is any.
const ODDS: u64 = 8;

pub struct Moves {
    /// Absent: this seed has none but those that its scenario draws.
    chance: Option<Chance>,
}

impl Moves {
    pub fn new(seed: u64, scenario: &Scenario) -> Moves {
        let mut chance = Chance::new(seed).fork(0x005_70e5);
        let odds = scenario.beside.moves;
        let has = odds != 0 && chance.below(odds) == 0;
        Moves { chance: has.then_some(chance) }
    }

    pub fn act(&mut self, session: &Session) -> Option<Value> {
        let chance = self.chance.as_mut()?;
        if chance.below(ODDS) != 0 {
            return None;
        }
        let world = session.world();
        let image = world.controller().image();
        let running = || world.brokers().filter(|(_, process)| *process == ProcessState::Running).map(|(broker, _)| broker);
        let led = running().flat_map(|broker| broker.replicas().iter().map(move |(key, replica)| (broker.id(), key, replica)));
        let tiered: Vec<_> =
            led.filter(|(_, _, own)| own.leader().is_some() && own.log.start_offset() < own.log.local_start_offset()).collect();
        let (leader, key, replica) = tiered.get(chance.below(tiered.len().max(1) as u64) as usize)?;
        let state = image.partition(&key.topic, key.index)?;
        let others: Vec<i32> = running().map(|broker| broker.id()).filter(|id| !state.replicas.contains(id)).collect();
        let new = others.get(chance.below(others.len().max(1) as u64) as usize)?;
        let name = &replica.name;
        Some(json!({ "type": "reassign", "topic": name.topic, "partition": name.index, "replicas": [leader, new] }))
    }
}
