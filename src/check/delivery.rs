//! What consumers were given: within one assignment without going back, and without a gap but those that compaction leaves.

use super::Verdict;
use crate::node::{NodeId, Partition};
use crate::ordered::OrderedMap;
use crate::sim::World;

#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    /// The offset that a consumer is to be given next, since its assignment.
    next: OrderedMap<(NodeId, Partition), i64>,
    /// Whom a consumer asked last and from where on, and what lay below every log start offset by then.
    fetched: OrderedMap<(NodeId, Partition), (NodeId, i64, i64)>,
}

impl Deliveries {
    /// A consumer has given partitions up: where it begins if it gets them again is its committed offset's business.
    pub fn given_up(&mut self, consumer: NodeId, partitions: &[Partition]) {
        partitions.iter().for_each(|partition| _ = self.next.remove(&(consumer, partition.clone())));
    }

    /// A consumer goes elsewhere by itself: to its reset policy's offset, or where logs part.
    pub fn reset(&mut self, consumer: NodeId, partition: &Partition, offset: i64) {
        self.next.insert((consumer, partition.clone()), offset);
    }

    /// A consumer fetches from this offset on, where what is below `gone` is nowhere to be read any more. What it has asked another replica for before may
    /// still come.
    pub fn fetches(&mut self, consumer: NodeId, partition: &Partition, from: NodeId, (offset, gone): (i64, i64)) {
        if gone == 0 {
            // Nothing to remember, and most partitions stay at that.
            if !self.fetched.is_empty() {
                self.fetched.remove(&(consumer, partition.clone()));
            }
            return;
        }
        let asked = self.fetched.or_insert_with((consumer, partition.clone()), || (from, offset, gone));
        if asked.0 == from || asked.1 != offset {
            *asked = (from, offset, gone);
        }
    }

    /// A log start offset that was not written to disk goes back with a crash.
    pub fn crashed(&mut self) {
        self.fetched.clear();
    }

    /// Its topic is deleted: a partition of this name has other records. Consumers stay where they are until they find out.
    pub fn deleted(&mut self, topic: &str) {
        self.fetched.retain(|(_, partition), _| &*partition.topic != topic);
    }

    /// The offset that a consumer is to be given next.
    pub fn expected(&self, consumer: NodeId, partition: &Partition) -> Option<i64> {
        self.next.get(&(consumer, partition.clone())).copied()
    }

    /// Gaps end before `compacted`, or there: behind what was compacted or is hidden.
    pub fn delivered(
        &mut self,
        world: &World,
        consumer: NodeId,
        partition: &Partition,
        (first, last): (i64, i64),
        compacted: i64,
    ) -> Verdict {
        let expected = self.next.insert((consumer, partition.clone()), last + 1);
        let fetched = self.fetched.get(&(consumer, partition.clone())).filter(|(_, offset, gone)| *offset <= last && last < *gone);
        if let Some((_, _, gone)) = fetched {
            let told =
                format!("{} was given offset {last} of {partition}, and all logs started at {gone} when it asked", world.name(consumer));
            return Err(("L2", told));
        }
        match expected {
            Some(expected) if first < expected || expected < first && compacted < first => {
                Err(("R10", format!("{} was given offset {first} of {partition} where {expected} was next", world.name(consumer))))
            }
            _ => Ok(()),
        }
    }
}
