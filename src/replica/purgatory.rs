//! Requests that wait for something to become true, or for their time to run out.
//!
//! Source: `DelayedOperationPurgatory`. It holds operations by number and by the partitions they wait for, and knows nothing of their kind.

use super::PartitionKey;
use crate::ordered::OrderedMap;

/// A partition's list of waiting operations is cleared of completed ones when it is longer than this.
const PURGE_LENGTH: usize = 64;

/// Waiting operations of one kind.
#[derive(Clone, Debug)]
pub struct Purgatory<T> {
    next: u64,
    step: u64,
    operations: OrderedMap<u64, T>,
    watchers: OrderedMap<PartitionKey, Vec<u64>>,
}

impl<T> Purgatory<T> {
    /// Numbers start at `first` and grow by `step`, so that two purgatories of a broker never share one.
    pub fn new(first: u64, step: u64) -> Purgatory<T> {
        Purgatory { next: first, step, operations: OrderedMap::new(), watchers: OrderedMap::new() }
    }

    /// Keeps an operation until one of `keys` changes; returns its number, for the timer.
    pub fn watch(&mut self, operation: T, keys: impl IntoIterator<Item = PartitionKey>) -> u64 {
        let number = self.next;
        self.next += self.step;
        for key in keys {
            let watching = self.watchers.or_default(key);
            // Numbers of operations that another partition completed are still here; on a quiet partition nothing else drops them.
            if PURGE_LENGTH < watching.len() {
                watching.retain(|waiting| self.operations.contains_key(waiting));
            }
            watching.push(number);
        }
        self.operations.insert(number, operation);
        number
    }

    /// Takes out every operation that waits for this partition, to be tried again, in the order in which they began.
    pub fn take_watching(&mut self, key: PartitionKey) -> Vec<(u64, T)> {
        let Some(watching) = self.watchers.get_mut(&key) else { return Vec::new() };
        watching.sort_unstable();
        std::mem::take(watching).into_iter().filter_map(|number| Some((number, self.operations.remove(&number)?))).collect()
    }

    /// Puts an operation back that was tried in vain, under the number it had.
    pub fn put_back(&mut self, number: u64, operation: T, key: PartitionKey) {
        self.operations.insert(number, operation);
        self.watchers.or_default(key).push(number);
    }

    /// Takes out an operation whose time has run out.
    pub fn expire(&mut self, number: u64) -> Option<T> {
        self.operations.remove(&number)
    }

    /// Drops the operations of a connection that is gone.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.operations.retain(|_, operation| keep(operation));
    }

    /// An empty one that goes on counting where this one stopped, so that a timer of an old operation never meets a new one.
    pub fn emptied(&self) -> Purgatory<T> {
        Purgatory::new(self.next, self.step)
    }
}
