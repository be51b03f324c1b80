//! Round robin: all partitions of all topics in order, dealt to the members in turn; who does not subscribe to a topic is passed over.
//!
//! Source: `RoundRobinAssignor`.

use super::{Group, Place};

pub fn assign(group: &Group<'_>) -> Vec<Vec<Place>> {
    let mut shares = vec![Vec::new(); group.members.len()];
    let members = group.in_order((0..group.members.len()).collect());
    let mut turn = 0;
    for place in group.partitions() {
        // Somebody subscribes to every topic of a group.
        while !group.subscriptions[members[turn]].contains(&place.0) {
            turn = (turn + 1) % members.len();
        }
        shares[members[turn]].push(place);
        turn = (turn + 1) % members.len();
    }
    shares
}
