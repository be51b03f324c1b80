//! What a placement must be, whatever the cluster; and the stripes of Kafka's own description.

use super::Racks;
use crate::node::Chance;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::metadata::{MetadataImage, MetadataRecord};
use std::sync::Arc;

/// Brokers from 1 on, each with its rack and whether it is fenced.
fn cluster(brokers: &[(Option<&str>, bool)]) -> MetadataImage {
    let mut image = MetadataImage::default();
    for (broker, (rack, fenced)) in (1..).zip(brokers) {
        let (rack, fenced) = (rack.map(Arc::from), *fenced);
        image.apply(&MetadataRecord::RegisterBroker { broker, epoch: i64::from(broker), incarnation: uuid::Uuid::nil(), rack, fenced });
    }
    image
}

fn placed(image: &MetadataImage, partitions: usize, factor: usize, seed: u64) -> Vec<Vec<i32>> {
    let mut chance = Chance::new(seed);
    let mut racks = Racks::new(image, &mut chance);
    (0..partitions).map(|_| racks.place(factor, &mut chance)).collect()
}

/// The most and the fewest partitions that a live broker leads.
fn leads(image: &MetadataImage, placed: &[Vec<i32>]) -> (usize, usize) {
    let led = |broker: i32| placed.iter().filter(|replicas| replicas[0] == broker).count();
    let counts: Vec<usize> = image.brokers.iter().filter(|(_, known)| !known.fenced).map(|(broker, _)| led(*broker)).collect();
    (counts.iter().copied().max().unwrap_or(0), counts.iter().copied().min().unwrap_or(0))
}

const RACKS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];

#[test]
fn replicas_stand_on_different_brokers_in_as_many_racks_as_there_are_and_a_live_one_leads() {
    let mut chance = Chance::new(36);
    for seed in 0..3_000 {
        let count = 1 + chance.below(9) as usize;
        let mut brokers: Vec<(Option<&str>, bool)> = (0..count).map(|_| (RACKS[chance.below(4) as usize], chance.below(4) == 0)).collect();
        brokers[0].1 = false;
        let image = cluster(&brokers);
        let factor = 1 + chance.below(count as u64) as usize;
        let rack = |broker: i32| image.brokers[&broker].rack.clone();
        let racks = image.brokers.values().map(|known| known.rack.clone()).collect::<OrderedSet<_>>();
        let live = image.brokers.values().filter(|known| !known.fenced).count();
        let placed = placed(&image, 40, factor, seed);
        for replicas in &placed {
            let clue = || format!("{brokers:?}, factor {factor}, seed {seed}: {replicas:?}");
            assert_eq!(replicas.len(), factor, "{}", clue());
            assert_eq!(replicas.iter().collect::<OrderedSet<_>>().len(), factor, "{}", clue());
            assert!(!image.brokers[&replicas[0]].fenced, "{}", clue());
            let spread = replicas.iter().map(|broker| rack(*broker)).collect::<OrderedSet<_>>().len();
            assert_eq!(spread, factor.min(racks.len()), "{}", clue());
            // A rack gives a fenced broker only when it has no live one left: with one rack, live ones come first.
            if racks.len() == 1 {
                let fenced = replicas.iter().filter(|broker| image.brokers[*broker].fenced).count();
                assert_eq!(fenced, factor.saturating_sub(live), "{}", clue());
            }
        }
        // In one rack, and with one replica in racks of one size, every live broker leads as much as any other.
        if racks.len() == 1 {
            let (most, fewest) = leads(&image, &placed);
            assert!(most - fewest <= 1, "{brokers:?}, seed {seed}: {placed:?}");
        }
    }
}

#[test]
fn leaders_move_on_through_racks_of_one_size() {
    for seed in 0..200 {
        let image = cluster(&[
            (Some("a"), false),
            (Some("b"), false),
            (Some("c"), false),
            (Some("a"), false),
            (Some("b"), false),
            (Some("c"), false),
        ]);
        let first = placed(&image, 6, 3, seed);
        // Three racks of two: each rack leads every third partition, and the other broker of it each time.
        let (most, fewest) = leads(&image, &first);
        assert_eq!((most, fewest), (1, 1), "seed {seed}: {first:?}");
    }
}

#[test]
fn stripes_are_those_of_kafka() {
    // `StripedReplicaPlacerTest.testAvoidFencedReplicaIfPossibleOnSingleRack`: the order is kept, and each partition begins one further on.
    let image = cluster(&[(None, false), (None, true), (None, false), (None, false), (None, false)]);
    for seed in 0..50 {
        let placed = placed(&image, 4, 4, seed);
        let order = [1, 3, 4, 5];
        let start = order.iter().position(|broker| *broker == placed[0][0]).expect("a live broker");
        for (partition, replicas) in placed.iter().enumerate() {
            let striped: Vec<i32> = (0..4).map(|i| order[(start + partition + i) % 4]).collect();
            assert_eq!(replicas, &striped, "seed {seed}, partition {partition}");
        }
    }
    // `testPlacementOnFencedReplicaOnSingleRack`: the fenced one is the last, the two others take turns.
    let image = cluster(&[(None, true), (None, false), (None, false)]);
    for seed in 0..50 {
        let placed = placed(&image, 4, 3, seed);
        assert!(placed.iter().all(|replicas| replicas[2] == 1), "seed {seed}: {placed:?}");
        assert!(placed[0][0] != placed[1][0] && placed[2][0] != placed[3][0], "seed {seed}: {placed:?}");
    }
}

#[test]
fn the_leaders_rack_comes_round_last_and_then_like_the_others() {
    // `testRackListWithMultipleRacks`: rack b has a fenced broker, which is taken only when the live one of b is.
    let image =
        cluster(&[(Some("a"), false), (Some("a"), false), (Some("b"), false), (Some("b"), true), (Some("c"), false), (Some("c"), false)]);
    for seed in 0..200 {
        let rack = |broker: &i32| image.brokers[broker].rack.clone();
        for replicas in placed(&image, 5, 4, seed) {
            assert_eq!(rack(&replicas[0]), rack(&replicas[3]), "seed {seed}: {replicas:?}");
            assert!(replicas[..3].iter().all(|broker| *broker != 4), "seed {seed}: {replicas:?}");
        }
    }
}

#[test]
fn one_live_broker_leads_all() {
    let image = cluster(&[(None, false), (None, true)]);
    assert_eq!(placed(&image, 3, 1, 1), [[1], [1], [1]]);
    assert_eq!(placed(&image, 3, 2, 1), [[1, 2], [1, 2], [1, 2]]);
}

#[test]
fn more_partitions_than_brokers_are_shuffled() {
    let image = cluster(&[(None, false); 5]);
    let pairs: OrderedMap<Vec<i32>, ()> = placed(&image, 200, 2, 1).into_iter().map(|replicas| (replicas, ())).collect();
    assert_eq!(pairs.len(), 20, "every pair of five brokers shares some partitions");
}
