//! What Kafka's `TransactionManagerTest` and `SenderTest` say of an idempotent producer's sequences.

use super::*;
use std::sync::Arc;

fn partition() -> Partition {
    Partition { topic: Arc::from("orders"), index: 0 }
}

/// A producer with an id, and the batches that it has sent, of ten records each.
fn sent(batches: usize) -> (Idempotence, Vec<Sequence>) {
    let mut own = Idempotence::default();
    own.given(Identity { id: 7, epoch: 0 });
    let sequences = (0..batches).map(|_| own.number(&partition(), 10).expect("a number")).collect();
    (own, sequences)
}

fn bases(sequences: &[Sequence]) -> Vec<i32> {
    sequences.iter().map(|sequence| sequence.base).collect()
}

#[test]
fn nothing_leaves_without_an_id_and_sequences_count_records() {
    let mut own = Idempotence::default();
    assert_eq!((own.asks_at(), own.may_send(&partition(), None), own.number(&partition(), 1)), (Some(0), false, None));
    own.asked();
    assert_eq!(own.asks_at(), None);
    let (own, sequences) = sent(3);
    assert_eq!((bases(&sequences), own.may_send(&partition(), None)), (vec![0, 10, 20], true));
}

#[test]
fn what_is_sent_again_goes_one_by_one_in_order() {
    let (mut own, sequences) = sent(3);
    let may_send = |own: &Idempotence| sequences.iter().map(|sequence| own.may_send(&partition(), Some(*sequence))).collect::<Vec<_>>();
    assert_eq!(may_send(&own), [true, false, false]);
    own.acknowledged(&partition(), sequences[0], 10);
    assert_eq!(may_send(&own)[1..], [true, false]);
}

#[test]
fn a_batch_that_came_too_early_is_sent_again_and_one_behind_a_gap_begins_an_epoch() {
    let (mut own, sequences) = sent(2);
    let refused = ErrorCode::OutOfOrderSequenceNumber;
    assert!(own.may_retry(&partition(), sequences[1], refused, 0));
    assert!(own.renew().is_empty(), "the first one is not acknowledged yet");
    own.acknowledged(&partition(), sequences[0], 10);
    assert!(own.may_retry(&partition(), sequences[1], refused, 0));
    assert_eq!(own.renew(), [(partition(), vec![10])], "the broker has lost the first one");
    let again = own.number(&partition(), 10).expect("a number");
    assert_eq!((again.base, again.identity), (0, Identity { id: 7, epoch: 1 }));
}

/// (`TransactionManager.canRetry`)
#[test]
fn in_a_transaction_a_batch_that_came_too_early_is_sent_again_and_one_behind_a_gap_or_an_open_one_is_not() {
    let (mut own, sequences) = sent(3);
    own.transactional = true;
    let tried = |own: &mut Idempotence, batch: usize| own.may_retry(&partition(), sequences[batch], ErrorCode::OutOfOrderSequenceNumber, 0);
    assert!(tried(&mut own, 1), "the first one is not acknowledged yet");
    assert!(!tried(&mut own, 0), "it is the next one");
    own.acknowledged(&partition(), sequences[0], 10);
    assert!(!tried(&mut own, 1));
    own.failed(&partition(), sequences[1], ErrorCode::RequestTimedOut, false);
    own.left_open(&partition(), sequences[1], 10);
    assert!(!tried(&mut own, 2), "nobody knows whether the one before has arrived");
}

#[test]
fn a_batch_that_is_given_up_with_an_answer_begins_an_epoch_and_one_without_does_only_if_it_is_missing() {
    let (mut own, sequences) = sent(1);
    own.failed(&partition(), sequences[0], ErrorCode::InvalidRecord, true);
    assert_eq!(own.renew(), [(partition(), vec![])]);

    for arrived in [true, false] {
        let (mut own, sequences) = sent(2);
        own.failed(&partition(), sequences[0], ErrorCode::RequestTimedOut, false);
        own.left_open(&partition(), sequences[0], 10);
        assert!(own.renew().is_empty() && !own.may_send(&partition(), None), "nothing new leaves before that is known");
        if arrived {
            own.acknowledged(&partition(), sequences[1], 10);
        } else {
            own.failed(&partition(), sequences[1], ErrorCode::RequestTimedOut, false);
        }
        assert_eq!(own.renew().len(), usize::from(!arrived));
        assert!(own.may_send(&partition(), None));
    }
}

#[test]
fn other_partitions_end_what_is_under_way_before_they_take_the_new_epoch() {
    let (mut own, _) = sent(1);
    let other = Partition { index: 1, ..partition() };
    let sequence = own.number(&other, 10).expect("a number");
    own.failed(&other, sequence, ErrorCode::InvalidRecord, true);
    assert_eq!(own.renew(), [(other.clone(), vec![])]);
    assert!(!own.may_send(&partition(), None) && own.may_send(&other, None));
}

#[test]
fn behind_the_last_epoch_comes_another_id() {
    let mut own = Idempotence::default();
    own.given(Identity { id: 7, epoch: i16::MAX });
    let sequence = own.number(&partition(), 1).expect("a number");
    own.failed(&partition(), sequence, ErrorCode::InvalidRecord, true);
    assert!(own.renew().is_empty());
    assert_eq!(own.asks_at(), Some(0));
}

#[test]
fn order_goes_on_past_the_largest_sequence() {
    let at = |base| Sequence { identity: Identity { id: 7, epoch: 0 }, base, was_reset: false };
    assert!(at(i32::MAX - 3).is_before(&at(2)) && !at(2).is_before(&at(i32::MAX - 3)) && at(3).is_before(&at(9)));
}
