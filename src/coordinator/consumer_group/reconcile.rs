//! One member on its way to its share of the target: first it gives up what it shall not have, then it gets what nobody has.
//!
//! Source: `CurrentAssignmentBuilder`.

use super::{ConsumerGroup, ConsumerMember, MemberState};
use crate::mutant;
use crate::ordered::OrderedMap;
use crate::protocol::consumer_group_records::Place;

impl ConsumerGroup {
    /// The member as it is after its next step; `owned` is what it says it has, if it says so.
    pub(super) fn reconciled(&self, id: &str, member: &ConsumerMember, owned: Option<&[Place]>) -> ConsumerMember {
        let is_still_there =
            |places: &OrderedMap<Place, i32>| owned.is_none_or(|owned| owned.iter().any(|place| places.contains_key(place)));
        match member.state {
            MemberState::Stable if member.epoch == self.target_epoch => member.clone(),
            MemberState::UnrevokedPartitions if is_still_there(&member.pending_revocation) => member.clone(),
            _ => self.next_step(id, member, is_still_there),
        }
    }

    fn next_step(&self, id: &str, member: &ConsumerMember, is_still_there: impl Fn(&OrderedMap<Place, i32>) -> bool) -> ConsumerMember {
        let mut next = member.clone();
        let target = self.target.get(id).map(Vec::as_slice).unwrap_or_default();
        let is_meant = |place: &Place| target.binary_search(place).is_ok();
        let pending: OrderedMap<Place, i32> =
            member.assigned.iter().filter(|(place, _)| !is_meant(place)).map(|(place, epoch)| (*place, *epoch)).collect();
        next.assigned.retain(|place, _| is_meant(place));
        if !pending.is_empty() && is_still_there(&pending) {
            next.state = MemberState::UnrevokedPartitions;
            next.pending_revocation = pending;
            next.previous_epoch = next.epoch;
            return next;
        }
        next.pending_revocation.clear();
        next.state = MemberState::Stable;
        (next.previous_epoch, next.epoch) = (next.epoch, self.target_epoch);
        for place in target.iter().filter(|place| !member.assigned.contains_key(*place)) {
            // What it has not given up yet it may have again.
            if !self.is_owned(place) || member.pending_revocation.contains_key(place) || mutant::is("assigned-before-revoked") {
                next.assigned.insert(*place, self.target_epoch);
            } else {
                next.state = MemberState::UnreleasedPartitions;
            }
        }
        next
    }
}
