//! The steps of a move, on a partition's state alone (`PartitionReassignmentReplicasTest`, `PartitionReassignmentRevertTest`).

use super::{complete, reassigned, reverted};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::PartitionState;

fn state(replicas: &[i32], isr: &[i32], adding: &[i32], removing: &[i32]) -> PartitionState {
    PartitionState {
        replicas: replicas.to_vec(),
        isr: isr.to_vec(),
        leader: isr.first().copied(),
        adding: adding.to_vec(),
        removing: removing.to_vec(),
        ..PartitionState::default()
    }
}

#[test]
fn who_leaves_stands_last_until_all_who_come_are_in_sync() {
    let moving = reassigned(&state(&[3, 2, 1], &[3, 2, 1], &[], &[]), &[2, 1, 4]);
    assert_eq!(moving, state(&[2, 1, 4, 3], &[3, 2, 1], &[4], &[3]));
    let mut waiting = moving.clone();
    assert!(!complete(&mut waiting));
    assert_eq!(waiting, moving);
    let mut done = PartitionState { isr: vec![3, 2, 1, 4], ..moving.clone() };
    assert!(complete(&mut done));
    assert_eq!((done.replicas, done.isr, done.adding, done.removing), (vec![2, 1, 4], vec![2, 1, 4], vec![], vec![]));
    // A replica that stays and is out of sync is waited for as well.
    let mut lagging = PartitionState { isr: vec![3, 2, 4], ..moving };
    assert!(!complete(&mut lagging));
}

#[test]
fn an_order_alone_is_no_move_and_fewer_replicas_need_no_waiting() {
    let mut ordered = reassigned(&state(&[1, 2, 3], &[1, 2, 3], &[], &[]), &[3, 2, 1]);
    assert_eq!(ordered, PartitionState { leader: Some(1), ..state(&[3, 2, 1], &[1, 2, 3], &[], &[]) });
    assert!(!complete(&mut ordered));
    let mut fewer = reassigned(&state(&[1, 2, 3], &[1, 3], &[], &[]), &[3]);
    assert_eq!((fewer.replicas.clone(), fewer.removing.clone()), (vec![3, 1, 2], vec![1, 2]));
    assert!(complete(&mut fewer));
    assert_eq!((fewer.replicas, fewer.isr), (vec![3], vec![3]));
    let mut nobody = reassigned(&state(&[1, 2, 3], &[1], &[], &[]), &[2, 3]);
    assert!(!complete(&mut nobody), "nobody who stays is in sync");
}

#[test]
fn a_move_can_be_taken_back_and_replaced() {
    let moving = state(&[2, 1, 4, 3], &[3, 2, 1], &[4], &[3]);
    let back = reverted(&moving, false, |_| false).expect("it is under way");
    assert_eq!(back, state(&[2, 1, 3], &[3, 2, 1], &[], &[]));
    let mut again = reassigned(&moving, &[1, 2, 3]);
    assert_eq!((again.replicas.clone(), again.adding.clone(), again.removing.clone()), (vec![1, 2, 3, 4], vec![4], vec![4]));
    assert!(complete(&mut again), "the replicas that it had are in sync");
    let other = reassigned(&moving, &[1, 4, 5]);
    assert_eq!((other.replicas, other.adding, other.removing), (vec![1, 4, 5, 2, 3], vec![5], vec![2, 3]));
    // Who was to leave does so, though the new move leaves nobody out.
    let same = reassigned(&moving, &[2, 1, 4, 3]);
    assert_eq!(same, moving);
    assert_eq!(reverted(&state(&[1], &[1], &[], &[]), true, |_| true), Err(ErrorCode::NoReassignmentInProgress));
    let lacking = state(&[4, 3], &[4], &[4], &[3]);
    assert_eq!(reverted(&lacking, false, |_| true), Err(ErrorCode::InvalidReplicaAssignment), "who is left is not in sync");
    for (is_there, isr) in [(true, vec![]), (false, vec![3])] {
        let unclean = reverted(&lacking, true, |old| is_there && old == 3).expect("it is allowed");
        assert_eq!((unclean.replicas, unclean.isr), (vec![3], isr), "who is alive is elected, and otherwise the first counts as in sync");
    }
}
