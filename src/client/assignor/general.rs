//! The sticky assignment where members subscribe to different topics: what can stay stays, what is free goes to whoever has least, and then
//! partitions move one by one as long as that brings the shares closer together.
//!
//! Source: `AbstractStickyAssignor.GeneralAssignmentBuilder`, `PartitionMovements`.

use super::sticky::Owned;
use super::{Group, Place};
use crate::ordered::{OrderedMap, OrderedSet, sort_by};

pub struct General<'a, 'g> {
    group: &'a Group<'g>,
    /// Per topic, who subscribes to it.
    subscribers: Vec<Vec<usize>>,
    earlier: OrderedMap<Place, usize>,
    shares: Shares,
    movements: Movements,
    /// Somebody had what it does not subscribe to any more.
    revoked: bool,
}

/// Who has what, and how many partitions each member has that takes part.
#[derive(Clone, Default)]
struct Shares {
    of: Vec<Vec<Place>>,
    owner: OrderedMap<Place, usize>,
    /// Members by the size of their shares.
    by_size: OrderedSet<(usize, usize)>,
}

impl Shares {
    fn size(&self, member: usize) -> usize {
        self.of[member].len()
    }

    /// What changes a share, with its member in its place afterwards.
    fn change(&mut self, member: usize, change: impl FnOnce(&mut Vec<Place>)) {
        let takes_part = self.by_size.remove(&(self.size(member), member));
        change(&mut self.of[member]);
        if takes_part {
            self.by_size.insert((self.size(member), member));
        }
    }

    fn give(&mut self, place: Place, member: usize) {
        self.change(member, |share| share.push(place));
        self.owner.insert(place, member);
    }

    fn move_to(&mut self, place: Place, member: usize) {
        if let Some(before) = self.owner.get(&place).copied() {
            self.change(before, |share| share.retain(|own| *own != place));
        }
        self.give(place, member);
    }

    /// How far apart the shares are: the differences of all pairs.
    fn spread(&self) -> usize {
        let sizes: Vec<usize> = self.by_size.iter().map(|(size, _)| *size).collect();
        let pairs = sizes.iter().enumerate().flat_map(|(place, one)| sizes[place + 1..].iter().map(move |other| other - one));
        pairs.sum()
    }
}

impl<'a, 'g> General<'a, 'g> {
    pub fn new(group: &'a Group<'g>, owned: Owned) -> General<'a, 'g> {
        let subscribes = |topic: usize| move |member: &usize| group.subscriptions[*member].contains(&topic);
        let members = 0..group.members.len();
        let subscribers: Vec<Vec<usize>> =
            (0..group.topics.len()).map(|topic| members.clone().filter(subscribes(topic)).collect()).collect();
        let mut shares = Shares { of: vec![Vec::new(); group.members.len()], ..Shares::default() };
        let mut revoked = false;
        for (member, own) in owned.of.iter().enumerate() {
            for place in own.iter() {
                if group.subscriptions[member].contains(&place.0) {
                    shares.give(*place, member);
                } else {
                    revoked = true;
                }
            }
        }
        shares.by_size = (0..group.members.len()).map(|member| (shares.size(member), member)).collect();
        let mut earlier = owned.earlier;
        earlier.retain(|place, member| group.subscriptions[*member].contains(&place.0));
        General { group, subscribers, earlier, shares, movements: Movements::default(), revoked }
    }

    pub fn assign(mut self) -> Vec<Vec<Place>> {
        let begins = self.shares.by_size.iter().next_back().is_none_or(|(largest, _)| *largest == 0);
        // Topics with the fewest subscribers first: they have the least choice.
        let mut topics: Vec<usize> = (0..self.group.topics.len()).collect();
        sort_by(&mut topics, |one, other| self.subscribers[*one].len().cmp(&self.subscribers[*other].len()));
        let all: Vec<Place> = topics.iter().flat_map(|topic| (0..self.group.count(*topic)).map(|index| (*topic, index))).collect();
        let free: Vec<Place> = all.iter().copied().filter(|place| !self.shares.owner.contains_key(place)).collect();
        for place in &free {
            let least =
                self.shares.by_size.iter().map(|(_, member)| *member).find(|member| self.group.subscriptions[*member].contains(&place.0));
            if let Some(member) = least {
                self.shares.give(*place, member);
            }
        }
        let movable = |places: &[Place]| -> Vec<Place> { places.iter().copied().filter(|place| self.can_move(place.0)).collect() };
        let (movable_free, movable_all) = (movable(&free), movable(&all));
        let fixed: Vec<usize> = (0..self.shares.of.len()).filter(|member| !self.takes_part(*member)).collect();
        for member in fixed {
            self.shares.by_size.remove(&(self.shares.size(member), member));
        }
        let before = self.shares.clone();
        if !self.revoked {
            self.reassign(&movable_free);
        }
        let moved = self.reassign(&movable_all);
        // Moves that gained nothing are not worth what they cost.
        if !begins && moved && before.spread() <= self.shares.spread() {
            self.shares = before;
        }
        self.shares.of
    }

    fn can_move(&self, topic: usize) -> bool {
        2 <= self.subscribers[topic].len()
    }

    fn most(&self, member: usize) -> usize {
        self.group.subscriptions[member].iter().map(|topic| self.group.count(*topic) as usize).sum()
    }

    /// A member takes part in moves if it could have more, or has what others could have.
    fn takes_part(&self, member: usize) -> bool {
        self.shares.size(member) < self.most(member) || self.shares.of[member].iter().any(|place| self.can_move(place.0))
    }

    /// Whether no move would bring two shares closer together.
    fn is_balanced(&self) -> bool {
        let (Some((least, _)), Some((most, _))) = (self.shares.by_size.iter().next(), self.shares.by_size.iter().next_back()) else {
            return true;
        };
        if *most <= least + 1 {
            return true;
        }
        self.shares.by_size.iter().all(|(size, member)| {
            let could_have =
                self.group.subscriptions[*member].iter().flat_map(|topic| (0..self.group.count(*topic)).map(|index| (*topic, index)));
            let mut others = could_have.filter_map(|place| self.shares.owner.get(&place)).filter(|owner| *owner != member);
            *size == self.most(*member) || others.all(|owner| self.shares.size(*owner) <= size + 1)
        })
    }

    fn reassign(&mut self, places: &[Place]) -> bool {
        let mut performed = false;
        loop {
            let mut modified = false;
            for place in places {
                if self.is_balanced() {
                    break;
                }
                let Some(owner) = self.shares.owner.get(place).copied() else { continue };
                let size = self.shares.size(owner);
                let back = self.earlier.get(place).copied().filter(|earlier| self.shares.size(*earlier) + 1 < size);
                let gains = |other: &usize| self.shares.size(*other) + 1 < size;
                let to = match back {
                    Some(earlier) => Some(earlier),
                    None if self.subscribers[place.0].iter().any(gains) => self.least_subscriber(place.0),
                    None => None,
                };
                if let Some(to) = to {
                    let actual = self.movements.actual(*place, owner, to);
                    if let Some(from) = self.shares.owner.get(&actual).copied() {
                        self.movements.moved(actual, from, to);
                        self.shares.move_to(actual, to);
                    }
                    (performed, modified) = (true, true);
                }
            }
            if !modified {
                return performed;
            }
        }
    }

    fn least_subscriber(&self, topic: usize) -> Option<usize> {
        self.shares.by_size.iter().map(|(_, member)| *member).find(|member| self.group.subscriptions[*member].contains(&topic))
    }
}

/// From whom to whom partitions have moved: two partitions of a topic that would change places stay where they are.
#[derive(Default)]
struct Movements {
    of: OrderedMap<Place, (usize, usize)>,
    by_topic: OrderedMap<(usize, usize, usize), OrderedSet<Place>>,
}

impl Movements {
    fn moved(&mut self, place: Place, from: usize, to: usize) {
        let first = match self.of.remove(&place) {
            Some((first, last)) => {
                if let Some(places) = self.by_topic.get_mut(&(place.0, first, last)) {
                    places.remove(&place);
                }
                first
            }
            None => from,
        };
        if first != to {
            self.of.insert(place, (first, to));
            self.by_topic.or_default((place.0, first, to)).insert(place);
        }
    }

    /// Instead of a partition that would go where another of its topic came from, that other one goes back.
    fn actual(&self, place: Place, from: usize, to: usize) -> Place {
        let from = self.of.get(&place).map_or(from, |(first, _)| *first);
        self.by_topic.get(&(place.0, to, from)).and_then(|places| places.iter().next()).copied().unwrap_or(place)
    }
}
