//! Events in the order of their time, and among those of one time in the order they were made.

use crate::node::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue of future events.
#[derive(Clone, Debug)]
pub struct EventQueue<T> {
    heap: BinaryHeap<Reverse<(Time, u64, u32)>>,
    /// Events stand still here while the heap moves three numbers.
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    next: u64,
}

impl<T> EventQueue<T> {
    pub fn new() -> EventQueue<T> {
        EventQueue { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), next: 0 }
    }

    pub fn push(&mut self, at: Time, event: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                (self.slots.len() - 1) as u32
            }
        };
        self.heap.push(Reverse((at, self.next, slot)));
        self.next += 1;
    }

    pub fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub fn pop(&mut self) -> Option<(Time, T)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        let event = self.slots[slot as usize].take()?;
        self.free.push(slot);
        Some((at, event))
    }

    /// Takes an event out before its time. A search through all of them: for what happens seldom.
    pub fn take(&mut self, wanted: impl Fn(&T) -> bool) -> Option<(Time, T)> {
        let found = |(_, event): &(usize, &Option<T>)| event.as_ref().is_some_and(&wanted);
        let (slot, _) = self.slots.iter().enumerate().find(found)?;
        let event = self.slots[slot].take()?;
        let mut at = None;
        self.heap.retain(|Reverse((time, _, own))| {
            let other = *own as usize != slot;
            if !other {
                at = Some(*time);
            }
            other
        });
        self.free.push(slot as u32);
        Some((at?, event))
    }

    /// Every event that is to come, in no special order, with its time.
    pub fn iter(&self) -> impl Iterator<Item = (Time, &T)> {
        self.heap.iter().filter_map(|Reverse((at, _, slot))| Some((*at, self.slots[*slot as usize].as_ref()?)))
    }
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        EventQueue::new()
    }
}
