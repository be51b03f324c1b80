//! After Kafka's `PartitionChangeBuilderTest`.

use super::*;

/// A partition of replicas 1 to 4.
fn state(isr: &[i32], elr: &[i32], leader: Option<i32>) -> PartitionState {
    PartitionState { replicas: vec![1, 2, 3, 4], isr: isr.to_vec(), elr: elr.to_vec(), leader, ..PartitionState::default() }
}

/// Who is eligible after the ISR went from one to the other.
fn followed(before: &[i32], elr: &[i32], after: &[i32], min_insync: usize) -> Vec<i32> {
    let mut state = state(after, elr, None);
    follow(&mut state, before, min_insync);
    state.elr
}

#[test]
fn who_leaves_an_isr_that_is_below_its_minimum_stays_eligible() {
    for (before, elr, after, min_insync, eligible) in [
        // The ISR keeps its minimum: the high watermark goes on without who left.
        (&[1, 2, 3][..], &[][..], &[1, 2][..], 2, &[][..]),
        (&[1, 2, 3], &[], &[1], 1, &[]),
        // From here on it stands.
        (&[1, 2, 3], &[], &[1, 2], 3, &[3]),
        (&[1, 2], &[3], &[1], 3, &[2, 3]),
        (&[1, 2, 3], &[], &[], 2, &[1, 2, 3]),
        (&[1], &[], &[], 1, &[1]),
        // Who joins the ISR again is no longer eligible without being in sync.
        (&[1], &[2, 3], &[1, 2], 3, &[3]),
        // The minimum is there again: whoever is not in the ISR may lack what comes now.
        (&[1, 2], &[3, 4], &[1, 2, 3], 3, &[]),
        // No more replicas can be asked for than there are.
        (&[1, 2, 3, 4], &[], &[1, 2, 3], 9, &[4]),
        (&[1, 2, 3], &[4], &[1, 2, 3, 4], 9, &[]),
        (&[1, 2], &[3], &[1, 2], 3, &[3]),
    ] {
        assert_eq!(followed(before, elr, after, min_insync), eligible, "{before:?} {elr:?} -> {after:?}, minimum {min_insync}");
    }
}

#[test]
fn who_is_a_replica_no_more_is_not_eligible() {
    let mut moved = PartitionState { replicas: vec![1, 2, 3], ..state(&[1], &[4], Some(1)) };
    follow(&mut moved, &[1, 2, 5], 3);
    assert_eq!(moved.elr, [2]);
}

#[test]
fn the_last_leader_is_remembered_until_somebody_leads() {
    let (led, mut left) = (state(&[2], &[], Some(2)), state(&[], &[2], None));
    remember_leader(&mut left, &led);
    assert_eq!(left.last_known_elr, [2]);
    assert_eq!(last_known_leader(&left), None, "it is eligible");
    let (before, mut unproven) = (left.clone(), PartitionState { elr: Vec::new(), ..left });
    remember_leader(&mut unproven, &before);
    assert_eq!(last_known_leader(&unproven), Some(2));
    let moved = PartitionState { replicas: vec![1, 3], ..unproven.clone() };
    assert_eq!(last_known_leader(&moved), None, "it is no replica any more");
    let (before, mut elected) = (unproven.clone(), PartitionState { leader: Some(2), isr: vec![2], ..unproven });
    remember_leader(&mut elected, &before);
    assert!(elected.last_known_elr.is_empty());
}
