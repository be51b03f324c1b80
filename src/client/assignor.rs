//! How a group's leader shares partitions out: the range assignor.
//!
//! Source: `RangeAssignor`. Topic by topic: members in the order of their ids get consecutive partitions, the first ones one more where it
//! does not come out even.

use crate::ordered::OrderedMap;

/// The assignor's name in JoinGroup.
pub const RANGE: &str = "range";

/// Member id to the topics it subscribes to.
pub type Subscriptions = OrderedMap<String, Vec<String>>;
/// Member id to its partitions by topic.
pub type Assignments = OrderedMap<String, OrderedMap<String, Vec<i32>>>;

/// `partitions` is the number of partitions of each topic that exists.
pub fn range(partitions: &OrderedMap<String, i32>, subscriptions: &Subscriptions) -> Assignments {
    let mut assignments: Assignments = subscriptions.keys().map(|member| (member.clone(), OrderedMap::new())).collect();
    for (topic, count) in partitions {
        let members: Vec<&String> = subscriptions.iter().filter(|(_, topics)| topics.contains(topic)).map(|(member, _)| member).collect();
        if members.is_empty() {
            continue;
        }
        let (each, extra) = (*count / members.len() as i32, *count % members.len() as i32);
        let mut next = 0;
        for (place, member) in (0i32..).zip(members) {
            let share = each + i32::from(place < extra);
            if 0 < share
                && let Some(assigned) = assignments.get_mut(member)
            {
                assigned.insert(topic.clone(), (next..next + share).collect());
            }
            next += share;
        }
    }
    assignments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: i32, members: &[&str], expected: &[&[i32]]) {
        let subscriptions: Subscriptions = members.iter().map(|member| (member.to_string(), vec!["t".to_owned()])).collect();
        let assignments = range(&[("t".to_owned(), count)].into_iter().collect(), &subscriptions);
        let got: Vec<Vec<i32>> = members.iter().map(|member| assignments[*member].get("t").cloned().unwrap_or_default()).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn shares_are_consecutive_and_the_first_members_get_the_rest() {
        check(3, &["a"], &[&[0, 1, 2]]);
        check(3, &["a", "b"], &[&[0, 1], &[2]]);
        check(7, &["a", "b", "c"], &[&[0, 1, 2], &[3, 4], &[5, 6]]);
    }

    #[test]
    fn more_members_than_partitions_leave_the_last_ones_idle() {
        check(2, &["a", "b", "c"], &[&[0], &[1], &[]]);
    }
}
