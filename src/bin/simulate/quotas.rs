//! Client quotas that a session has by chance: set, changed and removed while it runs, and out of the way once it is to come to rest.
//!
//! Drawn beside all else: what a seed without quotas stands for does not depend on them.

use super::scenarios::Scenario;
use brokerlab::node::Chance;
use brokerlab::protocol::client_quotas::{DEFAULT_ENTITY, Quota, Whose};
use brokerlab::session::Session;
use serde_json::{Value, json};

/// One in so many times that something happens a quota is altered as well.
const ODDS: u64 = 3;
/// Bytes a second or percent that nobody of a drawn workload comes near.
const GENEROUS: f64 = 10_000_000.0;

pub struct Quotas {
    /// Absent: this seed has none.
    chance: Option<Chance>,
}

impl Quotas {
    pub fn new(seed: u64, scenario: &Scenario) -> Quotas {
        let mut chance = Chance::new(seed).fork(0x90_07a5);
        let has = scenario.beside.quotas != 0 && chance.below(scenario.beside.quotas) == 0;
        Quotas { chance: has.then_some(chance) }
    }

    /// Perhaps one is set, changed or removed: of one client, or of whoever has none of its own.
    pub fn act(&mut self, session: &Session) -> Option<Value> {
        let chance = self.chance.as_mut()?;
        if chance.below(ODDS) != 0 {
            return None;
        }
        let names: Vec<&str> = session.world().clients().map(|client| &*client.name).collect();
        let name = names.get(chance.below(2 * names.len() as u64) as usize).copied().unwrap_or(DEFAULT_ENTITY);
        let quota = Quota::ALL[chance.below(Quota::ALL.len() as u64) as usize];
        // What a producer keeps back meanwhile has to get through within the time that there is for coming to rest.
        let limits: &[f64] = match quota {
            Quota::ProducerByteRate => &[500.0, 1_000.0, 3_000.0, GENEROUS],
            Quota::ConsumerByteRate => &[1_000.0, 3_000.0, 10_000.0, GENEROUS],
            Quota::RequestPercentage => &[0.1, 1.0, GENEROUS],
            Quota::ControllerMutationRate => &[0.2, 2.0, GENEROUS],
        };
        let limit = limits[chance.below(limits.len() as u64) as usize];
        Some(match chance.below(4) {
            0 => json!({ "type": "alterClientQuotas", "clientId": name, "delete": [quota.name()] }),
            _ => json!({ "type": "alterClientQuotas", "clientId": name, "set": { quota.name(): limit.to_string() } }),
        })
    }

    /// What takes those away that let anybody wait, or makes them so generous that they do not.
    pub fn ends(&mut self, session: &Session) -> Vec<Value> {
        let Some(chance) = &mut self.chance else { return Vec::new() };
        let mut commands = Vec::new();
        for (entity, limits) in &session.world().controller().image().client_quotas {
            let name = match &entity.client_id {
                Some(Whose::Named(name)) => name,
                _ => DEFAULT_ENTITY,
            };
            for (quota, _) in limits.iter().filter(|(_, limit)| **limit < GENEROUS) {
                commands.push(match chance.below(2) {
                    0 => json!({ "type": "alterClientQuotas", "clientId": name, "delete": [quota] }),
                    _ => json!({ "type": "alterClientQuotas", "clientId": name, "set": { quota: GENEROUS.to_string() } }),
                });
            }
        }
        commands
    }
}
