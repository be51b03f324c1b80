#![cfg(not(target_arch = "wasm32"))]
//! What every assignor promises, whatever the group: each partition has one owner that subscribes to it, and the sticky ones move nothing without
//! a reason.

use brokerlab::client::assignor::{Assignments, Assignor, KnownTopic, Member, Members, Topics};
use proptest::prelude::*;

/// Rebalances after which every group has come to rest.
const ROUNDS_MAX: usize = 4;
const RACKS: [&str; 3] = ["a", "b", "c"];

prop_compose! {
    fn topics()(counts in prop::collection::vec((0..9i32, prop::collection::vec(prop::collection::vec(0..3usize, 0..3), 9)), 1..5)) -> Topics {
        let racks = |racks: Vec<usize>| racks.into_iter().map(|rack| RACKS[rack].to_owned()).collect();
        let topic = |(count, mut replicas): (i32, Vec<Vec<usize>>)| {
            replicas.truncate(count as usize);
            KnownTopic { count, racks: replicas.into_iter().map(racks).collect() }
        };
        (0..).zip(counts).map(|(name, told)| (format!("t{name}"), topic(told))).collect()
    }
}

prop_compose! {
    /// A member that has what it has, rightly or not.
    fn member()(
        subscribed in prop::collection::vec(0..6usize, 0..6),
        generation in prop::option::of(0..3i32),
        owned in prop::collection::vec((0..6usize, 0..10i32), 0..8),
        rack in prop::option::of(0..3usize),
        is_static in any::<bool>(),
    ) -> Member {
        let mut topics: Vec<String> = subscribed.into_iter().map(|topic| format!("t{topic}")).collect();
        topics.sort();
        topics.dedup();
        Member {
            topics,
            instance: is_static.then(|| format!("i{}", owned.len())),
            rack: rack.map(|rack| RACKS[rack].to_owned()),
            generation,
            owned: owned.into_iter().map(|(topic, index)| (format!("t{topic}"), index)).collect(),
        }
    }
}

fn members() -> impl Strategy<Value = Members> {
    let all = prop::collection::vec(member(), 1..7);
    (all, any::<bool>()).prop_map(|(mut all, alike)| {
        let first = all[0].topics.clone();
        all.iter_mut().filter(|_| alike).for_each(|member| member.topics = first.clone());
        (0..).zip(all).map(|(id, member)| (format!("m{id}"), member)).collect()
    })
}

/// The owners of each partition that somebody subscribes to.
fn owners(topics: &Topics, members: &Members, shares: &Assignments) -> Vec<(String, i32, Vec<String>)> {
    let mut all = Vec::new();
    for (name, topic) in topics.iter().filter(|(name, _)| members.values().any(|member| member.topics.contains(name))) {
        for index in 0..topic.count {
            let owns = |id: &&String| shares[id.as_str()].get(name).is_some_and(|own| own.contains(&index));
            all.push((name.clone(), index, shares.keys().filter(owns).cloned().collect()));
        }
    }
    all
}

fn sizes(shares: &Assignments) -> Vec<usize> {
    shares.values().map(|topics| topics.values().map(Vec::len).sum()).collect()
}

/// What members say when they join again after a round: that they have what they were given.
fn next_round(members: &Members, shares: &Assignments) -> Members {
    let again = |(id, member): (&String, &Member)| {
        let owned = shares[id.as_str()].iter().flat_map(|(topic, own)| own.iter().map(move |index| (topic.clone(), *index))).collect();
        (id.clone(), Member { owned, generation: Some(9), ..member.clone() })
    };
    members.iter().map(again).collect()
}

/// The shares after the rounds that it takes until everything that had to be given up first is given away.
fn settled(assignor: Assignor, topics: &Topics, members: &Members, mut shares: Assignments) -> Assignments {
    for _ in 0..ROUNDS_MAX {
        shares = assignor.assign(topics, &next_round(members, &shares));
    }
    shares
}

proptest! {
    #[test]
    fn each_partition_has_one_owner_that_subscribes_to_it(topics in topics(), members in members()) {
        for assignor in Assignor::ALL {
            let mut shares = assignor.assign(&topics, &members);
            prop_assert_eq!(shares.len(), members.len());
            if assignor == Assignor::CooperativeSticky {
                for (topic, index, owners) in owners(&topics, &members, &shares) {
                    prop_assert!(owners.len() < 2, "{}-{} has {:?}", topic, index, owners);
                }
                shares = settled(assignor, &topics, &members, shares);
            }
            for (topic, index, owners) in owners(&topics, &members, &shares) {
                prop_assert!(owners.len() == 1 && members[owners[0].as_str()].topics.contains(&topic), "{:?}: {}-{} has {:?}", assignor, topic, index, owners);
            }
            let all: usize = sizes(&shares).iter().sum();
            prop_assert_eq!(all, owners(&topics, &members, &shares).len(), "nothing else is given");
        }
    }

    #[test]
    fn the_sticky_ones_share_evenly_and_then_let_everything_stay(topics in topics(), members in members()) {
        let is_alike = members.values().all(|member| member.topics == members["m0"].topics);
        for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
            let shares = settled(assignor, &topics, &members, assignor.assign(&topics, &members));
            prop_assert_eq!(&assignor.assign(&topics, &next_round(&members, &shares)), &shares, "{:?}", assignor);
            let sizes = sizes(&shares);
            prop_assert!(!is_alike || sizes.iter().max().unwrap() - sizes.iter().min().unwrap() < 2, "{:?}", sizes);
        }
    }
}

#[test]
fn a_hundred_members_share_a_thousand_partitions_in_no_time() {
    let topics: Topics = (0..10).map(|name| (format!("t{name}"), KnownTopic { count: 100, racks: Vec::new() })).collect();
    let all: Vec<String> = topics.keys().cloned().collect();
    for alike in [true, false] {
        let topics_of = |id: usize| if alike { all.clone() } else { all.iter().skip(id % 3).cloned().collect() };
        let members: Members = (0..100).map(|id| (format!("m{id:03}"), Member { topics: topics_of(id), ..Member::default() })).collect();
        for assignor in Assignor::ALL {
            let from = std::time::Instant::now();
            let shares = assignor.assign(&topics, &members);
            println!("{}, {}: {:?}", assignor.name(), if alike { "alike" } else { "unlike" }, from.elapsed());
            assert_eq!(sizes(&shares).iter().sum::<usize>(), 1_000);
        }
    }
}
