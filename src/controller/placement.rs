//! Which brokers get the replicas of new partitions.
//!
//! Owns the order in which brokers are taken: racks in turn, and the brokers of a rack in turn, so that a partition's replicas stand in as many
//! racks as there are, and leaders move on with each partition. Fenced brokers get replicas only where a rack has no other left, and never the
//! first, which leads. It must not know topics: it is told how many partitions of how many replicas. Also checks placements that somebody else
//! has thought out. Source: KIP-36; `StripedReplicaPlacer`, `ReplicationControlManager.validateManualPartitionAssignment`.

use super::{Controller, Refused};
use crate::node::Chance;
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataImage;
use kafka_protocol::messages::BrokerId;
use std::sync::Arc;

#[cfg(test)]
#[path = "placement_test.rs"]
mod placement_test;

/// Brokers that are taken in turn.
#[derive(Default)]
struct Turn {
    brokers: Vec<i32>,
    /// Who is the first of this round.
    offset: usize,
    /// How many this round has had.
    taken: usize,
    round: usize,
}

impl Turn {
    fn next(&mut self, round: usize) -> Option<i32> {
        let count = self.brokers.len();
        if 0 < count && self.round != round {
            (self.round, self.taken, self.offset) = (round, 0, (self.offset + 1) % count);
        }
        if self.taken == count {
            return None;
        }
        self.taken += 1;
        Some(self.brokers[(self.offset + self.taken - 1) % count])
    }
}

#[derive(Default)]
struct Rack {
    unfenced: Turn,
    fenced: Turn,
}

/// The cluster's racks, while the partitions of one topic are placed. Brokers without a rack stand in one together.
pub(super) struct Racks {
    racks: Vec<Rack>,
    unfenced: usize,
    /// The rack that the next partition's leader is looked for in first.
    first: usize,
    /// One for each partition, until every unfenced broker has had its turn.
    round: usize,
}

impl Racks {
    pub(super) fn new(image: &MetadataImage, chance: &mut Chance) -> Racks {
        let mut named: OrderedMap<Option<Arc<str>>, Rack> = OrderedMap::new();
        for (broker, known) in &image.brokers {
            let rack = named.or_default(known.rack.clone());
            let turn = if known.fenced { &mut rack.fenced } else { &mut rack.unfenced };
            turn.brokers.push(*broker);
        }
        let mut racks: Vec<Rack> = named.into_values().collect();
        for turn in racks.iter_mut().flat_map(|rack| [&mut rack.fenced, &mut rack.unfenced]) {
            turn.offset = chance.below(turn.brokers.len() as u64) as usize;
        }
        let unfenced = racks.iter().map(|rack| rack.unfenced.brokers.len()).sum();
        let first = chance.below(racks.len() as u64) as usize;
        Racks { racks, unfenced, first, round: 0 }
    }

    /// The replicas of the next partition, the leader first. There must be an unfenced broker, and as many brokers as replicas.
    pub(super) fn place(&mut self, replicas: usize, chance: &mut Chance) -> Vec<i32> {
        // Everybody has led once: in the same order again, the same brokers would share the same partitions.
        if self.round == self.unfenced && 1 < self.unfenced {
            shuffle(&mut self.racks, chance);
            for turn in self.racks.iter_mut().flat_map(|rack| [&mut rack.fenced, &mut rack.unfenced]) {
                shuffle(&mut turn.brokers, chance);
            }
            self.round = 0;
        }
        let (count, round) = (self.racks.len(), self.round);
        let from_first = |step: usize| (self.first + step) % count;
        let mut placed = Vec::with_capacity(replicas);
        let mut leads = None;
        for rack in (0..count).map(from_first) {
            if let Some(leader) = self.racks[rack].unfenced.next(round) {
                placed.push(leader);
                leads = Some(rack);
                break;
            }
        }
        for rack in (0..).map(from_first) {
            if replicas <= placed.len() {
                break;
            }
            // The leader's rack has had its turn, the first time round.
            if leads == Some(rack) {
                leads = None;
                continue;
            }
            let rack = &mut self.racks[rack];
            placed.extend(rack.unfenced.next(round).or_else(|| rack.fenced.next(round)));
        }
        self.round += 1;
        self.first = (self.first + 1) % count;
        placed
    }
}

fn shuffle<T>(items: &mut [T], chance: &mut Chance) {
    for last in (1..items.len()).rev() {
        items.swap(last, chance.below(last as u64 + 1) as usize);
    }
}

impl Controller {
    /// The replicas of so many new partitions.
    pub(super) fn place(&mut self, partitions: i32, factor: i16) -> Result<Vec<Vec<i32>>, Refused> {
        let refused = |sentence: String| (ErrorCode::InvalidReplicationFactor, sentence);
        let registered = self.image.brokers.len();
        if self.image.brokers.values().all(|broker| broker.fenced) {
            return Err(refused("No broker is live: every registered one is fenced.".to_owned()));
        }
        if registered < factor as usize {
            return Err(refused(format!("A replication factor of {factor} needs {factor} brokers, and {registered} are registered.")));
        }
        let mut racks = Racks::new(&self.image, &mut self.chance);
        let placed: Vec<Vec<i32>> = (0..partitions).map(|_| racks.place(factor as usize, &mut self.chance)).collect();
        // A broker in controlled shutdown is not fenced yet, and leads nothing any more.
        if placed.iter().any(|replicas| !self.has_live(replicas)) {
            return Err(refused(format!(
                "{factor} replicas cannot be placed: the brokers that are left are fenced or in controlled shutdown."
            )));
        }
        Ok(placed)
    }

    fn has_live(&self, replicas: &[i32]) -> bool {
        replicas.iter().any(|replica| self.image.is_live(*replica))
    }

    /// The replicas that a request names for a partition, if they may be had. `factor`: how many there must be.
    pub(super) fn checked_assignment(&self, asked: &[BrokerId], factor: Option<usize>) -> Result<Vec<i32>, Refused> {
        let refused = |sentence: String| Err((ErrorCode::InvalidReplicaAssignment, sentence));
        let replicas: Vec<i32> = asked.iter().map(|broker| broker.0).collect();
        if replicas.is_empty() {
            return refused("A partition has one replica at least.".to_owned());
        }
        for (index, replica) in replicas.iter().enumerate() {
            if !self.image.brokers.contains_key(replica) {
                return refused(format!("Broker {replica} is not registered."));
            }
            if replicas[..index].contains(replica) {
                return refused(format!("Broker {replica} is named twice: it has one replica of a partition at the most."));
            }
        }
        if let Some(factor) = factor
            && factor != replicas.len()
        {
            return refused(format!("{} replicas where the topic's other partitions have {factor}.", replicas.len()));
        }
        Ok(replicas)
    }

    /// The same for a partition that is new: somebody must be there to lead it.
    pub(super) fn checked_new_assignment(&self, asked: &[BrokerId], factor: Option<usize>) -> Result<Vec<i32>, Refused> {
        let replicas = self.checked_assignment(asked, factor)?;
        if !self.has_live(&replicas) {
            let sentence = "Every broker that is named for a partition is fenced or in controlled shutdown.".to_owned();
            return Err((ErrorCode::InvalidReplicaAssignment, sentence));
        }
        Ok(replicas)
    }
}
