//! Range: topic by topic, members in their order get consecutive partitions, the first ones one more where it does not come out even.
//!
//! Where racks are known, members first get partitions that have a replica in their own rack, as far as their share goes; topics with the same
//! members and the same number of partitions are matched together, so that equal indexes stay with one member. Source: `RangeAssignor`; KIP-881.

use super::{Group, Place};
use crate::ordered::{OrderedMap, OrderedSet};

pub fn assign(group: &Group<'_>) -> Vec<Vec<Place>> {
    let mut shares = vec![Vec::new(); group.members.len()];
    let mut topics: Vec<Topic<'_, '_>> = (0..group.topics.len()).map(|place| Topic::new(group, place)).collect();
    if topics.iter().any(Topic::needs_racks) {
        match_racks(&mut topics, &mut shares);
    }
    for topic in &mut topics {
        topic.assign_ranges(&mut shares, |_, _, _| true);
    }
    shares
}

/// Topics with the same members and the same number of partitions are co-partitioned.
fn match_racks(topics: &mut [Topic<'_, '_>], shares: &mut [Vec<Place>]) {
    let mut alike: OrderedMap<(Vec<usize>, i32), Vec<usize>> = OrderedMap::new();
    for (place, topic) in topics.iter().enumerate() {
        // Without a rack among the members nobody looks at those of the replicas.
        let partitions = if topic.members_have_racks() { topic.count } else { 0 };
        alike.or_default((topic.members.clone(), partitions)).push(place);
    }
    for ((members, partitions), places) in alike {
        if let [alone] = places[..] {
            if topics[alone].needs_racks() {
                topics[alone].assign_ranges(shares, Topic::racks_match);
            }
            continue;
        }
        let mut remaining = members;
        for index in 0..partitions {
            let fits = |member: &&usize| {
                places.iter().all(|place| topics[*place].racks_match(**member, index) && 0 < topics[*place].assignable(**member))
            };
            let Some(member) = remaining.iter().find(fits).copied() else { continue };
            for place in &places {
                topics[*place].give(member, vec![index], shares);
            }
            if places.iter().all(|place| topics[*place].assignable(member) == 0) {
                remaining.retain(|other| *other != member);
            }
        }
    }
}

struct Topic<'a, 'g> {
    group: &'a Group<'g>,
    place: usize,
    count: i32,
    /// Its subscribers, in their order.
    members: Vec<usize>,
    unassigned: OrderedSet<i32>,
    /// How many partitions each of `members` has.
    assigned: OrderedMap<usize, usize>,
    each: usize,
    /// So many members may still get one more.
    extra: usize,
}

impl<'a, 'g> Topic<'a, 'g> {
    fn new(group: &'a Group<'g>, place: usize) -> Topic<'a, 'g> {
        let members = group.in_order((0..group.members.len()).filter(|member| group.subscriptions[*member].contains(&place)).collect());
        let count = group.count(place);
        // Only topics that somebody subscribes to are in a group.
        let (each, extra) = (count as usize / members.len().max(1), count as usize % members.len().max(1));
        Topic { group, place, count, unassigned: (0..count).collect(), assigned: OrderedMap::new(), each, extra, members }
    }

    fn rack(&self, member: usize) -> Option<&'g str> {
        self.group.members[member].1.rack.as_deref().filter(|rack| !rack.is_empty())
    }

    fn racks(&self, index: i32) -> &'g [String] {
        self.group.topics[self.place].1.racks.get(index as usize).map_or(&[], Vec::as_slice)
    }

    fn members_have_racks(&self) -> bool {
        self.members.iter().any(|member| self.rack(*member).is_some())
    }

    /// Racks matter where some member's rack has replicas, and not every partition has one in every rack.
    fn needs_racks(&self) -> bool {
        let all: OrderedSet<&str> = (0..self.count).flat_map(|index| self.racks(index)).map(String::as_str).collect();
        let in_all = |index: i32| self.racks(index).iter().map(String::as_str).collect::<OrderedSet<_>>() == all;
        self.members.iter().filter_map(|member| self.rack(*member)).any(|rack| all.contains(rack)) && !(0..self.count).all(in_all)
    }

    fn racks_match(&self, member: usize, index: i32) -> bool {
        self.rack(member).is_none_or(|rack| self.racks(index).iter().any(|own| own == rack))
    }

    /// How many more partitions a member may get.
    fn assignable(&self, member: usize) -> usize {
        (self.each + usize::from(0 < self.extra)).saturating_sub(self.assigned.get(&member).copied().unwrap_or(0))
    }

    fn give(&mut self, member: usize, indexes: Vec<i32>, shares: &mut [Vec<Place>]) {
        let assigned = self.assigned.or_default(member);
        *assigned += indexes.len();
        if self.each < *assigned {
            self.extra -= 1;
        }
        for index in indexes {
            self.unassigned.remove(&index);
            shares[member].push((self.place, index));
        }
    }

    fn assign_ranges(&mut self, shares: &mut [Vec<Place>], may: impl Fn(&Self, usize, i32) -> bool) {
        for member in self.members.clone() {
            let fitting = self.unassigned.iter().copied().filter(|index| may(self, member, *index));
            let indexes: Vec<i32> = fitting.take(self.assignable(member)).collect();
            if !indexes.is_empty() {
                self.give(member, indexes, shares);
            }
        }
    }
}
