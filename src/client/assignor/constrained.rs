//! The sticky assignment where all members subscribe to the same topics: everybody keeps what it had up to its share, and the rest is dealt in
//! turn.
//!
//! Source: `AbstractStickyAssignor.ConstrainedAssignmentBuilder`.

use super::sticky::Owned;
use super::{Group, Place};
use crate::ordered::{OrderedMap, OrderedSet, sort_by};
use std::collections::VecDeque;

pub struct Constrained<'a, 'g> {
    group: &'a Group<'g>,
    owned: Owned,
    /// Everybody gets so many partitions at least, and this many members one more.
    least: usize,
    most: usize,
    larger_expected: usize,
    larger: usize,
    shares: Vec<Vec<Place>>,
    /// Members that have fewer than `least`.
    under: VecDeque<usize>,
    /// Members that have `least` and may get one more.
    exact: VecDeque<usize>,
    /// Taken from a member, as long as nobody else has it.
    given_up: OrderedMap<Place, usize>,
    /// Partitions that change hands.
    moving: OrderedSet<Place>,
}

impl<'a, 'g> Constrained<'a, 'g> {
    pub fn new(group: &'a Group<'g>, owned: Owned) -> Constrained<'a, 'g> {
        let (partitions, members) = (group.partitions().count(), group.members.len().max(1));
        Constrained {
            least: partitions / members,
            most: partitions.div_ceil(members),
            larger_expected: partitions % members,
            larger: 0,
            shares: vec![Vec::new(); group.members.len()],
            under: VecDeque::new(),
            exact: VecDeque::new(),
            given_up: OrderedMap::new(),
            moving: OrderedSet::new(),
            group,
            owned,
        }
    }

    /// The shares, and the partitions that change hands.
    pub fn assign(mut self) -> (Vec<Vec<Place>>, OrderedSet<Place>) {
        for member in 0..self.shares.len() {
            self.keep(member);
        }
        let kept: OrderedSet<Place> = self.shares.iter().flatten().copied().collect();
        let rest: Vec<Place> = self.group.partitions().filter(|place| !kept.contains(place)).collect();
        self.deal(rest);
        (self.shares, self.moving)
    }

    /// A member keeps what it had, as far as its share goes.
    fn keep(&mut self, member: usize) {
        let mut own: Vec<Place> = self.owned.of[member].iter().filter(|place| !self.owned.disputed.contains(place)).copied().collect();
        sort_by(&mut own, |one, other| (one.1, one.0).cmp(&(other.1, other.0)));
        let share = if own.len() < self.least {
            self.under.push_back(member);
            own.len()
        } else if self.most <= own.len() && self.larger < self.larger_expected {
            self.larger += 1;
            if self.larger == self.larger_expected {
                self.exact.clear();
            }
            self.most
        } else {
            if self.larger < self.larger_expected {
                self.exact.push_back(member);
            }
            self.least
        };
        self.given_up.extend(own.drain(share..).map(|place| (place, member)));
        self.shares[member] = own;
    }

    /// In turn to those with too little, then one each to those that may have one more.
    fn deal(&mut self, rest: Vec<Place>) {
        let mut turn = 0;
        for place in rest {
            if self.under.len() <= turn {
                turn = 0;
            }
            let Some(member) = self.under.get(turn).copied().or_else(|| self.exact.pop_front()) else {
                debug_assert!(false, "the shares add up to all partitions");
                return;
            };
            self.shares[member].push(place);
            let from_another = self.given_up.get(&place).is_some_and(|giver| *giver != member);
            if from_another || self.owned.disputed.contains(&place) {
                self.moving.insert(place);
            }
            let now = self.shares[member].len();
            if now < self.least {
                turn += 1;
            } else if now == self.least {
                self.under.remove(turn);
                self.exact.push_back(member);
            } else {
                self.larger += 1;
            }
        }
    }
}
