//! Records in flight, acquired, acknowledged, given back and left without: by the rules of Kafka's SharePartitionTest.

use super::{AcknowledgeType as Type, Acknowledgement, Acquired, Change, RecordState as State, SharePartition};
use crate::node::{SettledBy, Time};
use crate::protocol::ErrorCode;
use crate::protocol::share_records::{ShareState, StateBatch};
use std::sync::Arc;

const LOCK: Time = 30;

fn state(start_offset: i64, batches: Vec<StateBatch>) -> ShareState {
    ShareState { snapshot_epoch: 0, state_epoch: 0, leader_epoch: 0, start_offset, created: 0, written: 0, batches }
}

fn fresh() -> SharePartition {
    SharePartition::new(0, 2, &state(0, Vec::new()), 0)
}

fn acquire(partition: &mut SharePartition, now: Time, member: &str, batches: &[(i64, i64)], most: i64) -> Vec<Acquired> {
    partition.acquire(&Arc::from(member), batches, most, 100, now + LOCK)
}

fn got(first: i64, last: i64, deliveries: i16) -> Acquired {
    Acquired { first, last, deliveries }
}

fn say(first: i64, last: i64, types: &[Type]) -> Acknowledgement {
    Acknowledgement { first, last, types: types.to_vec() }
}

/// What is to be stored, range by range.
fn stored(change: &Option<Change>) -> Vec<(i64, i64, i8, i16)> {
    let range = |range: &super::partition::Settled| (range.batch.first, range.batch.last, range.batch.state, range.batch.deliveries);
    change.iter().flat_map(|change| change.ranges.iter().map(range)).collect()
}

fn settle(partition: &mut SharePartition, change: Option<Change>) {
    partition.settled(change.expect("a change").number, true);
}

fn ranges(partition: &SharePartition) -> Vec<(i64, i64, State, i16)> {
    partition.in_flight().map(|(first, range)| (first, range.last, range.state, range.deliveries)).collect()
}

#[test]
fn records_are_one_members_until_it_says_what_became_of_them() {
    let mut partition = fresh();
    assert_eq!(acquire(&mut partition, 0, "a", &[(0, 4), (5, 9)], 3), [got(0, 4, 1)], "whole batches: the limit is a soft one");
    assert_eq!(partition.fetch_offset(), 5);
    assert_eq!(acquire(&mut partition, 0, "b", &[(5, 9)], 500), [got(5, 9, 1)]);
    assert_eq!((partition.start_offset(), partition.fetch_offset(), partition.end_offset()), (0, 10, 10));
    let change =
        partition.acknowledge("a", &[say(0, 4, &[Type::Accept, Type::Accept, Type::Release, Type::Reject, Type::Gap])]).expect("its own");
    assert_eq!(stored(&change), [(0, 1, 2, 1), (2, 2, 0, 1), (3, 3, 4, 1), (4, 4, 4, 1)]);
    assert_eq!(partition.fetch_offset(), 10, "what is not stored yet is nobody else's");
    settle(&mut partition, change);
    assert_eq!((partition.start_offset(), partition.fetch_offset()), (2, 2), "the start moves over what is done");
    assert_eq!(acquire(&mut partition, 0, "b", &[(0, 4)], 500), [got(2, 2, 2)], "a second delivery, and nothing else of the batch");
    let change = partition.acknowledge("b", &[say(2, 2, &[Type::Release])]).expect("its own");
    assert_eq!(stored(&change), [(2, 2, 4, 2)], "delivered as often as it may be");
    settle(&mut partition, change);
    assert_eq!((partition.start_offset(), ranges(&partition)), (5, vec![(5, 9, State::Acquired, 1)]));
    let change = partition.acknowledge("b", &[say(5, 9, &[Type::Accept])]).expect("its own");
    settle(&mut partition, change);
    assert_eq!((partition.start_offset(), partition.end_offset(), ranges(&partition)), (10, 10, Vec::new()));
}

#[test]
fn acknowledgements_are_taken_as_a_whole_or_not_at_all() {
    let mut partition = fresh();
    acquire(&mut partition, 0, "a", &[(0, 9)], 500);
    acquire(&mut partition, 0, "b", &[(10, 19)], 500);
    let before = ranges(&partition);
    let mut refused = |member: &str, said: &[Acknowledgement], error: ErrorCode| {
        assert_eq!(partition.acknowledge(member, said), Err(error), "{said:?}");
        assert_eq!(ranges(&partition), before);
    };
    refused("b", &[say(0, 9, &[Type::Accept])], ErrorCode::InvalidRecordState);
    refused("a", &[say(0, 9, &[Type::Accept]), say(10, 10, &[Type::Accept])], ErrorCode::InvalidRecordState);
    refused("a", &[say(0, 20, &[Type::Accept])], ErrorCode::InvalidRequest);
    refused("a", &[say(20, 21, &[Type::Accept])], ErrorCode::InvalidRequest);
    refused("a", &[say(0, i64::MAX, &[Type::Accept])], ErrorCode::InvalidRequest);
    let change = partition.acknowledge("a", &[say(3, 4, &[Type::Accept])]).expect("its own");
    assert_eq!(partition.acknowledge("a", &[say(4, 4, &[Type::Release])]), Err(ErrorCode::InvalidRecordState), "said already");
    let number = change.expect("a change").number;
    partition.settled(number, false);
    assert_eq!(ranges(&partition), [(0, 9, State::Acquired, 1), (10, 19, State::Acquired, 1)], "what could not be stored has not been");
    let change = partition.acknowledge("a", &[say(0, 9, &[Type::Accept])]).expect("its own");
    settle(&mut partition, change);
    assert_eq!(partition.acknowledge("a", &[say(0, 5, &[Type::Accept])]), Ok(None), "below the start all is done");
    assert_eq!(fresh().acknowledge("a", &[say(0, 0, &[Type::Accept])]), Err(ErrorCode::InvalidRecordState));
}

#[test]
fn a_lock_ends_and_so_does_a_member() {
    let mut partition = fresh();
    acquire(&mut partition, 0, "a", &[(0, 9)], 500);
    acquire(&mut partition, 10, "b", &[(10, 19)], 500);
    assert_eq!((partition.next_expiry(), partition.expire(29)), (Some(30), None));
    let change = partition.acknowledge("a", &[say(0, 0, &[Type::Accept])]).expect("its own");
    let expired = partition.expire(30);
    assert_eq!(stored(&expired), [(1, 9, 0, 1)], "what is being stored is not over");
    assert!(expired.is_some_and(|change| {
        change.ranges.iter().all(|range| range.by == SettledBy::LockTimeout && range.member.as_deref() == Some("a"))
    }));
    assert_eq!(partition.fetch_offset(), 1);
    settle(&mut partition, change);
    let change = partition.release("b");
    assert_eq!(stored(&change), [(10, 19, 0, 1)]);
    settle(&mut partition, change);
    assert_eq!(acquire(&mut partition, 40, "c", &[(0, 9), (10, 19)], 12), [got(1, 9, 2), got(10, 12, 2)], "no more than it asks for");
    assert_eq!(stored(&partition.expire(70)), [(1, 9, 4, 2), (10, 12, 4, 2)], "twice is the limit");
    assert_eq!(partition.start_offset(), 13);
}

#[test]
fn no_more_than_so_many_are_in_flight() {
    let mut partition = fresh();
    let member: Arc<str> = "a".into();
    assert_eq!(partition.acquire(&member, &[(0, 9), (10, 19), (20, 29)], 500, 15, LOCK), [got(0, 19, 1)]);
    assert!(!partition.can_acquire(15));
    let change = partition.acknowledge("a", &[say(7, 7, &[Type::Release])]).expect("its own");
    settle(&mut partition, change);
    assert!(partition.can_acquire(15), "what is free may be had again");
    assert_eq!(partition.acquire(&member, &[(0, 9), (10, 19), (20, 29)], 500, 15, LOCK), [got(7, 7, 2)], "but nothing new");
}

#[test]
fn a_leader_goes_on_from_what_is_stored() {
    let batch = |first, last, state, deliveries| StateBatch { first, last, state, deliveries };
    let known = state(5, vec![batch(7, 8, 2, 1), batch(9, 9, 0, 1), batch(10, 12, 4, 2)]);
    let mut partition = SharePartition::new(3, 2, &known, 0);
    assert_eq!(
        (partition.start_offset(), partition.fetch_offset(), partition.end_offset()),
        (5, 5, 13),
        "5 and 6 were somebody's, or nobody's"
    );
    assert_eq!(acquire(&mut partition, 0, "a", &[(0, 14)], 500), [got(5, 6, 1), got(9, 9, 2), got(13, 14, 1)]);
    assert_eq!(SharePartition::new(3, 2, &state(-1, Vec::new()), 42).fetch_offset(), 42, "nobody has begun");
    let done = SharePartition::new(3, 2, &state(5, vec![batch(5, 8, 2, 1)]), 0);
    assert_eq!((done.start_offset(), done.end_offset()), (9, 9));
}

#[test]
fn offsets_without_records_are_passed_over() {
    let mut partition = fresh();
    assert_eq!(acquire(&mut partition, 0, "a", &[(3, 4)], 500), [got(3, 4, 1)], "compaction has taken the first");
    assert_eq!(partition.start_offset(), 3);
    assert_eq!(acquire(&mut partition, 0, "a", &[(8, 9)], 500), [got(8, 9, 1)]);
    let change = partition.acknowledge("a", &[say(3, 9, &[Type::Accept])]).expect("its own, and a hole");
    settle(&mut partition, change);
    assert_eq!((partition.start_offset(), partition.end_offset()), (10, 10));
    acquire(&mut partition, 0, "a", &[(10, 19)], 500);
    let change = partition.release("a");
    settle(&mut partition, change);
    assert_eq!(acquire(&mut partition, 0, "b", &[(15, 19)], 500), [got(15, 19, 2)], "10 to 14 are there no more");
    assert_eq!(partition.start_offset(), 15);
    assert!(partition.raise_start(17) && !partition.raise_start(17), "retention takes the next");
    assert_eq!((partition.start_offset(), ranges(&partition)), (17, vec![(17, 19, State::Acquired, 2)]));
    assert_eq!(partition.acknowledge("b", &[say(15, 19, &[Type::Accept])]).map(|change| stored(&change)), Ok(vec![(17, 19, 2, 2)]));
    assert!(partition.raise_start(30) && partition.end_offset() == 30 && partition.fetch_offset() == 30);
}
