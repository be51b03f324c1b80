//! Delivery semantics, measured: how often each reader, a group or a consumer without one, was given each record of what it has read.
//!
//! Owns what was given. Nothing here is a violation: at least once is what Kafka promises by default, at most once what an application gets that commits
//! before it works, and exactly once what transactions give or what nobody disturbed.

use super::{decided, replica};
use crate::node::Partition;
use crate::ordered::OrderedMap;
use crate::sim::World;
use crate::storage::Standing;
use std::sync::Arc;

/// Who reads: members of a group read for each other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reader {
    Group(Arc<str>),
    Alone(Arc<str>),
}

/// What a reader was given, by the records between the first and the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Semantics {
    ExactlyOnce,
    /// Something came again.
    AtLeastOnce,
    /// Something never came.
    AtMostOnce,
    /// Both.
    Neither,
}

#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Ranges of offsets, first and next: in order, apart from each other.
    ranges: OrderedMap<(Reader, Partition), Vec<(i64, i64)>>,
    /// Records that came again.
    again: OrderedMap<Reader, u64>,
}

impl Given {
    /// A reader is given the records between two offsets, both included. Returns how many of the offsets it was given before.
    pub fn add(&mut self, reader: Reader, partition: &Partition, (first, last): (i64, i64)) -> u64 {
        let ranges = self.ranges.or_default((reader.clone(), partition.clone()));
        let next = last + 1;
        // Nearly always it goes on where it was.
        if let Some(newest) = ranges.last_mut().filter(|newest| newest.1 == first) {
            newest.1 = next;
            self.again.or_default(reader);
            return 0;
        }
        let from = ranges.partition_point(|range| range.1 < first);
        let to = ranges.partition_point(|range| range.0 <= next);
        let touched = &ranges[from..to];
        let again: i64 = touched.iter().map(|range| (range.1.min(next) - range.0.max(first)).max(0)).sum();
        let whole = touched.iter().fold((first, next), |whole, range| (whole.0.min(range.0), whole.1.max(range.1)));
        ranges.splice(from..to, [whole]);
        *self.again.or_default(reader) += again as u64;
        again as u64
    }

    /// A partition goes on from here with other records than it had, or its topic is deleted (then `end` is 0).
    pub fn cut(&mut self, of: impl Fn(&Partition) -> bool, end: i64) {
        for ((_, partition), ranges) in &mut self.ranges {
            if of(partition) {
                ranges.retain_mut(|range| {
                    range.1 = range.1.min(end);
                    range.0 < range.1
                });
            }
        }
    }

    /// What each reader got. A record that is in no log any more, or that is aborted, was skipped by nobody.
    pub fn told(&self, world: &World) -> Vec<(&Reader, Semantics)> {
        let semantics = |(reader, again): (_, &u64)| {
            let own = self.ranges.iter().filter(|((of, _), _)| of == reader);
            let is_skipped = own.flat_map(|((_, partition), ranges)| ranges.windows(2).map(move |pair| (partition, pair[0].1, pair[1].0)));
            let is_skipped = is_skipped.into_iter().any(|(partition, from, to)| has_records(world, partition, from, to));
            let semantics = match (*again, is_skipped) {
                (0, false) => Semantics::ExactlyOnce,
                (_, false) => Semantics::AtLeastOnce,
                (0, true) => Semantics::AtMostOnce,
                (_, true) => Semantics::Neither,
            };
            (reader, semantics)
        };
        self.again.iter().map(semantics).collect()
    }
}

/// Whether applications could be given anything between two offsets.
fn has_records(world: &World, partition: &Partition, from: i64, to: i64) -> bool {
    let leader = decided(world, partition).and_then(|state| replica(world, partition, state.leader?));
    let Some(leader) = leader else { return false };
    leader.log.batches_from(from).take_while(|batch| batch.base_offset < to).any(|batch| {
        let is_hidden = batch.marker().is_some() || leader.log.standing(batch) == Some(Standing::Aborted);
        !is_hidden && batch.records().flatten().any(|record| from <= record.offset && record.offset < to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn at(index: i32) -> Partition {
        Partition { topic: Arc::from("t"), index }
    }

    /// What a plain count of each offset comes to, in whichever order it was given.
    #[test]
    fn ranges_count_as_offsets_do() {
        let mut chance = crate::node::Chance::new(7);
        for _ in 0..200 {
            let (mut given, mut counts) = (Given::default(), BTreeMap::<i64, u64>::new());
            for _ in 0..30 {
                let first = chance.below(60) as i64;
                let last = first + chance.below(8) as i64;
                let before: u64 = (first..=last).map(|offset| counts.get(&offset).map_or(0, |_| 1)).sum();
                (first..=last).for_each(|offset| *counts.entry(offset).or_default() += 1);
                assert_eq!(given.add(Reader::Alone("c".into()), &at(0), (first, last)), before);
                if chance.below(10) == 0 {
                    let end = chance.below(60) as i64;
                    given.cut(|own| *own == at(0), end);
                    counts.retain(|offset, _| *offset < end);
                }
                let ranges = given.ranges.values().next().expect("its ranges");
                assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0) && ranges.iter().all(|range| range.0 < range.1), "{ranges:?}");
                let offsets: Vec<i64> = ranges.iter().flat_map(|range| range.0..range.1).collect();
                assert_eq!(offsets, counts.keys().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn members_of_a_group_read_for_each_other_and_others_do_not() {
        let mut given = Given::default();
        assert_eq!(given.add(Reader::Group("g".into()), &at(0), (0, 9)), 0);
        assert_eq!(given.add(Reader::Group("g".into()), &at(0), (5, 12)), 5);
        assert_eq!(given.add(Reader::Group("g".into()), &at(1), (5, 12)), 0);
        assert_eq!(given.add(Reader::Group("h".into()), &at(0), (5, 12)), 0);
        assert_eq!(given.add(Reader::Alone("g".into()), &at(0), (5, 12)), 0);
    }
}
