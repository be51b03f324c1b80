//! The simple assignor of share groups (KIP-932): who reads which partitions.
//!
//! Partitions are not divided: several members may read one. Each partition is read by as many members as are needed for everybody to have something, and
//! what a member reads it goes on reading as far as the balance allows. Members that subscribe to the same topics share all of them out together; where
//! subscriptions differ, each topic is shared out by itself among those who want it. It must not know groups or records. Source: `SimpleAssignor`,
//! `SimpleHomogeneousAssignmentBuilder`, `SimpleHeterogeneousAssignmentBuilder`.

use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::consumer_group_records::Place;
use std::collections::VecDeque;
use uuid::Uuid;

/// A member, as far as it matters: what it wants to read, and what it has been given so far.
pub(super) struct Reader<'a> {
    pub topics: OrderedSet<Uuid>,
    pub had: &'a [Place],
}

/// What each reader is given of the partitions that there are, in order.
pub(super) fn assign(readers: &[Reader], partitions: &OrderedSet<Place>) -> Vec<Vec<Place>> {
    let mut given: Vec<Vec<Place>> = vec![Vec::new(); readers.len()];
    let mut topics: OrderedMap<Option<Uuid>, Vec<Place>> = OrderedMap::new();
    let is_alike = readers.windows(2).all(|pair| pair[0].topics == pair[1].topics);
    for place in partitions.iter().copied() {
        topics.or_default((!is_alike).then_some(place.0)).push(place);
    }
    for (topic, partitions) in &topics {
        let wants = |reader: &Reader| topic.is_none_or(|topic| reader.topics.contains(&topic));
        let able: Vec<usize> = (0..readers.len()).filter(|index| wants(&readers[*index])).collect();
        let had: Vec<&[Place]> = able.iter().map(|index| readers[*index].had).collect();
        for (index, share) in able.iter().zip(share_out(partitions, &had)) {
            given[*index].extend(share);
        }
    }
    given.iter_mut().for_each(|share| share.sort_unstable());
    given
}

/// Shares partitions out among readers who all want them, by what each of them has.
fn share_out(partitions: &[Place], had: &[&[Place]]) -> Vec<Vec<Place>> {
    let mut shares: Vec<Vec<Place>> = vec![Vec::new(); had.len()];
    if partitions.is_empty() || had.is_empty() {
        return shares;
    }
    let sharing = had.len().div_ceil(partitions.len());
    let up_to = |members: usize| (sharing * partitions.len() * members).div_ceil(had.len());
    let quotas: Vec<usize> = (0..had.len()).map(|index| up_to(index + 1) - up_to(index)).collect();
    let mut counts: OrderedMap<Place, usize> = partitions.iter().map(|place| (*place, 0)).collect();
    for ((share, had), quota) in shares.iter_mut().zip(had).zip(&quotas) {
        for place in had.iter().copied() {
            if let Some(count) = counts.get_mut(&place).filter(|count| share.len() < *quota && **count < sharing) {
                *count += 1;
                share.push(place);
            }
        }
    }
    let mut unfilled: VecDeque<usize> = (0..had.len()).filter(|index| shares[*index].len() < quotas[*index]).collect();
    for place in partitions {
        let mut missing = sharing - counts.get(place).copied().unwrap_or_default();
        for _ in 0..unfilled.len() {
            let Some(index) = (if 0 < missing { unfilled.pop_front() } else { None }) else { break };
            if !shares[index].contains(place) {
                shares[index].push(*place);
                missing -= 1;
            }
            if shares[index].len() < quotas[index] {
                unfilled.push_back(index);
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Uuid = Uuid::from_u128(1);
    const U: Uuid = Uuid::from_u128(2);

    fn partitions(topics: &[(Uuid, i32)]) -> OrderedSet<Place> {
        topics.iter().flat_map(|(topic, count)| (0..*count).map(move |index| (*topic, index))).collect()
    }

    /// By what each wants, and what each has: what each is given.
    fn assigned(topics: &[(Uuid, i32)], readers: &[(&[Uuid], &[Place])]) -> Vec<Vec<Place>> {
        let readers: Vec<Reader> = readers.iter().map(|(topics, had)| Reader { topics: topics.iter().copied().collect(), had }).collect();
        assign(&readers, &partitions(topics))
    }

    #[test]
    fn partitions_are_divided_where_there_are_enough() {
        let given = assigned(&[(T, 3), (U, 2)], &[(&[T, U], &[]), (&[T, U], &[])]);
        let sizes: Vec<usize> = given.iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 2], "the first members have one more");
        let all: OrderedSet<Place> = given.iter().flatten().copied().collect();
        assert_eq!(all, partitions(&[(T, 3), (U, 2)]), "each is read, and by one");
    }

    #[test]
    fn partitions_are_shared_where_there_are_too_few() {
        // Three readers for two partitions: each is read by two, so somebody reads both.
        let given = assigned(&[(T, 2)], &[(&[T], &[]), (&[T], &[]), (&[T], &[])]);
        let sizes: Vec<usize> = given.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1]);
        for index in 0..2 {
            assert_eq!(given.iter().filter(|share| share.contains(&(T, index))).count(), 2);
        }
        let given = assigned(&[(T, 1)], &[(&[T], &[]), (&[T], &[]), (&[T], &[])]);
        assert_eq!(given, vec![vec![(T, 0)]; 3]);
    }

    #[test]
    fn what_is_read_is_read_on_as_far_as_the_balance_allows() {
        let had: Vec<Place> = (0..4).map(|index| (T, index)).collect();
        let given = assigned(&[(T, 4)], &[(&[T], &had), (&[T], &[])]);
        assert_eq!(given, [[(T, 0), (T, 1)], [(T, 2), (T, 3)]]);
        // Who leaves is replaced where it read; the others stay.
        let given = assigned(&[(T, 4)], &[(&[T], &[(T, 1), (T, 2)]), (&[T], &[])]);
        assert_eq!(given, [[(T, 1), (T, 2)], [(T, 0), (T, 3)]]);
    }

    #[test]
    fn topics_are_shared_out_one_by_one_where_subscriptions_differ() {
        let given = assigned(&[(T, 2), (U, 2)], &[(&[T, U], &[]), (&[U], &[(T, 1)]), (&[], &[])]);
        assert_eq!(given[0].iter().filter(|place| place.0 == T).count(), 2, "alone there");
        assert_eq!(given[0].iter().filter(|place| place.0 == U).count(), 1);
        assert!(given[1].len() == 1 && given[1][0].0 == U, "what it does not want any more it loses");
        assert_eq!(given[2], []);
        assert_eq!(assigned(&[], &[(&[T], &[])]), [[]; 1]);
    }
}
