//! Sticky: balanced, and otherwise with as little change as can be. The cooperative one leaves a partition that changes hands with nobody until
//! its owner has given it up.
//!
//! Owns what members had and whose claim counts. How it is shared out anew depends on whether all subscribe to the same topics. Source:
//! `AbstractStickyAssignor`, `CooperativeStickyAssignor`; KIP-54, KIP-429.

use super::constrained::Constrained;
use super::general::General;
use super::{Group, Place};
use crate::mutant;
use crate::ordered::{OrderedMap, OrderedSet};

/// A member without a generation cannot tell when it had what it claims.
const UNKNOWN_GENERATION: i32 = -1;

/// What each member had, by the claims that count.
pub struct Owned {
    pub of: Vec<OrderedSet<Place>>,
    /// Claimed by two members of one generation: neither keeps it.
    pub disputed: OrderedSet<Place>,
    /// Claims that a newer one has beaten, with the newest of them: a partition may go back there.
    pub earlier: OrderedMap<Place, usize>,
}

pub fn assign(group: &Group<'_>, cooperative: bool) -> Vec<Vec<Place>> {
    let owned = owned(group);
    let all_equal = all_equal(group);
    let (mut shares, moving) = if all_equal {
        Constrained::new(group, owned).assign()
    } else {
        let shares = General::new(group, owned).assign();
        let moving = moving(group, &shares);
        (shares, moving)
    };
    if cooperative && !mutant::is("given-before-given-up") {
        for share in &mut shares {
            share.retain(|place| !moving.contains(place));
        }
    }
    shares
}

/// Whether all members subscribe to the same topics, known or not.
fn all_equal(group: &Group<'_>) -> bool {
    let topics = |member: &super::Member| member.topics.iter().cloned().collect::<OrderedSet<String>>();
    let mut all = group.members.iter().map(|(_, member)| topics(member));
    let first = all.next();
    all.all(|other| Some(&other) == first.as_ref())
}

fn owned(group: &Group<'_>) -> Owned {
    let generation = |member: usize| group.members[member].1.generation.unwrap_or(UNKNOWN_GENERATION);
    let mut owned = Owned { of: vec![OrderedSet::new(); group.members.len()], disputed: OrderedSet::new(), earlier: OrderedMap::new() };
    let mut owner: OrderedMap<Place, usize> = OrderedMap::new();
    for (member, (_, subscription)) in group.members.iter().enumerate() {
        for place in subscription.owned.iter().filter_map(|(topic, index)| group.place(topic, *index)) {
            let Some(other) = owner.get(&place).copied().filter(|other| *other != member) else {
                owner.insert(place, member);
                owned.of[member].insert(place);
                continue;
            };
            let (own, others) = (generation(member), generation(other));
            if own == others {
                owned.disputed.insert(place);
                owned.of[other].remove(&place);
                owner.insert(place, member);
            } else if others < own {
                owned.of[other].remove(&place);
                owned.of[member].insert(place);
                owner.insert(place, member);
            }
        }
    }
    let newest = (0..group.members.len()).map(generation).max().unwrap_or(UNKNOWN_GENERATION);
    let mut claimed: OrderedMap<Place, i32> = OrderedMap::new();
    for (member, (_, subscription)) in group.members.iter().enumerate() {
        let own = generation(member);
        if newest <= own {
            continue;
        }
        for place in subscription.owned.iter().filter_map(|(topic, index)| group.place(topic, *index)) {
            if claimed.get(&place).is_none_or(|known| *known < own) {
                claimed.insert(place, own);
                owned.earlier.insert(place, member);
            }
        }
    }
    owned
}

/// Partitions that one member has to give up before another, which did not have it, may take it.
fn moving(group: &Group<'_>, shares: &[Vec<Place>]) -> OrderedSet<Place> {
    let (mut added, mut revoked): (OrderedSet<Place>, OrderedSet<Place>) = Default::default();
    for ((_, member), share) in group.members.iter().zip(shares) {
        let before: OrderedSet<Place> = member.owned.iter().filter_map(|(topic, index)| group.place(topic, *index)).collect();
        let after: OrderedSet<Place> = share.iter().copied().collect();
        added.extend(after.iter().filter(|place| !before.contains(place)).copied());
        revoked.extend(before.iter().filter(|place| !after.contains(place)).copied());
    }
    added.into_iter().filter(|place| revoked.contains(place)).collect()
}
