//! What Kafka's `TransactionMetadataTest` and `TransactionCoordinatorTest` say of a producer's epochs.

use super::*;
use crate::coordinator::ReplyTo;
use crate::coordinator::transactions::{TransactionConfig, TransactionCoordinator, TransactionEffects};
use crate::node::{Channel, Connection, NodeId};
use crate::protocol::transaction_records::key_bytes;
use crate::protocol::wire::text;
use crate::protocol::{Batch, BatchBuilder, BatchOptions};
use kafka_protocol::messages as k;

/// Of a producer 7, as a record says.
fn of(state: TransactionState, epoch: i16) -> Transaction {
    let value = TransactionValue {
        producer_id: 7,
        previous_producer_id: -1,
        next_producer_id: -1,
        producer_epoch: epoch,
        timeout_ms: 60_000,
        state: state as i8,
        partitions: None,
        updated_ms: 0,
        started_ms: 0,
        transaction_version: 2,
    };
    Transaction::of(value).expect("a state")
}

fn initialized(own: &Transaction, expected: Option<(i64, i16)>) -> Result<(i64, i16), ErrorCode> {
    own.initialized(expected, 60_000, 0, &mut || Some(8)).map(|next| (next.producer_id, next.epoch))
}

#[test]
fn who_begins_gets_another_epoch_and_who_asks_again_the_same() {
    assert_eq!(initialized(&of(Empty, -1), None), Ok((7, 0)));
    assert_eq!(initialized(&of(CompleteCommit, 3), None), Ok((7, 4)));
    let next = of(CompleteCommit, 3).initialized(Some((7, 3)), 60_000, 0, &mut || None).expect("an epoch");
    assert_eq!((next.epoch, initialized(&next, Some((7, 3)))), (4, Ok((7, 4))), "its answer was lost");
    assert_eq!(initialized(&next, Some((7, 2))), Err(ErrorCode::ProducerFenced));
}

#[test]
fn nobody_gets_the_last_epoch_but_another_producer_id() {
    assert_eq!(initialized(&of(CompleteCommit, 32_765), None), Ok((7, 32_766)));
    assert_eq!(initialized(&of(CompleteCommit, 32_766), None), Ok((8, 0)));
    assert_eq!(initialized(&of(CompleteCommit, 32_766), Some((7, 32_766))), Ok((8, 0)));
    let mut open = of(Ongoing, 32_766);
    open.fence();
    assert_eq!(open.epoch, i16::MAX, "it is there to fence with");
    // The end of a transaction in the last but one goes over to the next producer id, and is known again as that.
    let prepared = of(Ongoing, 32_766).ended(true, true, &mut || Some(8), 0).expect("an id");
    assert_eq!((prepared.producer_id, prepared.epoch, prepared.identity_afterwards()), (7, i16::MAX, (8, 0)));
    let complete = prepared.completed(0);
    assert_eq!((complete.producer_id, complete.epoch, complete.state), (8, 0, CompleteCommit));
    assert_eq!(complete.may_end_raising(7, 32_766, true), Ok(false), "its answer was lost");
    assert_eq!(complete.may_end_raising(7, 32_766, false), Err(ErrorCode::InvalidTxnState));
    assert_eq!(complete.may_end_raising(7, 3, true), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(complete.may_end_raising(8, 0, false), Ok(true));
}

#[test]
fn an_epoch_that_was_raised_in_vain_is_raised_once() {
    let mut own = of(Ongoing, 3);
    own.fence();
    own.fence();
    assert_eq!(own.epoch, 4, "the first could not be written, and nobody was told of it");
    let mut ended = own.ended(false, false, &mut || None, 0).expect("no id is needed");
    ended.fence();
    assert_eq!(ended.epoch, 5);
}

#[test]
fn what_may_end_when() {
    let end = |state, epoch, commit| of(state, 3).may_end_raising(7, epoch, commit);
    for (state, epoch, commit, expected) in [
        (Ongoing, 3, true, Ok(true)),
        (Ongoing, 2, true, Err(ErrorCode::ProducerFenced)),
        (Ongoing, 4, true, Err(ErrorCode::ProducerFenced)),
        (Empty, 3, true, Err(ErrorCode::InvalidTxnState)),
        (Empty, 3, false, Ok(true)),
        (PrepareCommit, 2, true, Err(ErrorCode::ConcurrentTransactions)),
        (PrepareCommit, 2, false, Err(ErrorCode::ConcurrentTransactions)),
        (PrepareCommit, 3, false, Err(ErrorCode::ConcurrentTransactions)),
        (PrepareAbort, 2, false, Err(ErrorCode::ConcurrentTransactions)),
        (PrepareAbort, 1, true, Err(ErrorCode::ConcurrentTransactions)),
        (CompleteCommit, 2, true, Ok(false)),
        (CompleteCommit, 2, false, Err(ErrorCode::InvalidTxnState)),
        (CompleteCommit, 3, false, Ok(true)),
        (CompleteAbort, 2, false, Ok(false)),
        (CompleteAbort, 3, true, Err(ErrorCode::InvalidTxnState)),
    ] {
        assert_eq!(end(state, epoch, commit), expected, "{} {epoch} {commit}", state.name());
    }
    // Under version 1 the epoch stands, and tells nothing from its repetition.
    let end = |state, epoch, commit| of(state, 3).may_end(7, epoch, commit);
    assert_eq!(
        (end(Ongoing, 3, true), end(CompleteCommit, 3, true), end(CompleteCommit, 3, false)),
        (Ok(true), Ok(false), Err(ErrorCode::InvalidTxnState))
    );
    assert_eq!((end(Ongoing, 2, true), end(Empty, 3, true)), (Err(ErrorCode::ProducerFenced), Err(ErrorCode::InvalidTxnState)));
    for commit in [true, false] {
        assert_eq!(end(PrepareCommit, 3, commit), Err(ErrorCode::ConcurrentTransactions), "its markers are being written");
        assert_eq!(end(PrepareCommit, 2, commit), Err(ErrorCode::ProducerFenced));
    }
}

/// The coordinator of this transaction of `mover`.
fn coordinator_of(own: &Transaction, raises_epoch: bool) -> (TransactionCoordinator, ReplyTo) {
    let config =
        TransactionConfig { partitions: 1, timeout_max_ms: 60_000, abort_interval: 1, expiration_ms: 1, expiry_interval: 1, raises_epoch };
    let mut coordinator = TransactionCoordinator::new(config);
    let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
    builder.append(0, Some(&key_bytes("mover")), Some(&own.to_value(raises_epoch).to_bytes()), &[]);
    let batch = Batch::from_wire(builder.build()).expect("a batch");
    coordinator.load(0, 1, 0, std::iter::once(&batch));
    (coordinator, ReplyTo { from: Connection { peer: NodeId::Client(1), channel: Channel::Data }, correlation: 1 })
}

/// Whether its time runs out or an heir comes (KAFKA-19367, KAFKA-20090).
#[test]
fn who_is_fenced_loses_one_epoch() {
    for (raises_epoch, epoch, expected) in
        [(true, 3, (4, -1)), (true, 32_766, (i16::MAX, 8)), (false, 3, (4, -1)), (false, 32_766, (i16::MAX, -1))]
    {
        for heir in [true, false] {
            let (mut coordinator, reply) = coordinator_of(&of(Ongoing, epoch), raises_epoch);
            let (mut effects, next_id) = (TransactionEffects::default(), &mut || Some(8));
            if heir {
                let message = k::InitProducerIdRequest::default().with_transactional_id(Some(k::TransactionalId(text("mover"))));
                let message = message.with_producer_id(k::ProducerId(-1)).with_producer_epoch(-1).with_transaction_timeout_ms(1);
                coordinator.init_producer_id(0, reply, &message, next_id, &mut effects);
            } else {
                coordinator.look(1, 60_001, next_id, &mut effects);
            }
            let value = effects.changes[0].record.1.as_ref().map(TransactionValue::read).expect("a value").expect("a readable one");
            assert_eq!(value.state, PrepareAbort as i8);
            assert_eq!((value.producer_epoch, value.next_producer_id), expected, "{raises_epoch} {epoch} {heir}");
        }
    }
}

/// What a coordinator answers about a transaction whose commit is decided: its producer goes on as 8 in epoch 0, its markers are of 7.
#[test]
fn what_comes_while_markers_are_written_is_early_whoever_it_names() {
    let prepared = of(Ongoing, 32_766).ended(true, true, &mut || Some(8), 0).expect("an id");
    let (mut coordinator, reply) = coordinator_of(&prepared, true);
    for (producer_id, epoch, verify_only, expected) in [
        (8, 0, false, ErrorCode::ConcurrentTransactions),
        (7, 3, false, ErrorCode::ConcurrentTransactions),
        (8, 0, true, ErrorCode::InvalidProducerIdMapping),
        (7, 3, true, ErrorCode::ProducerFenced),
        (7, i16::MAX, true, ErrorCode::ConcurrentTransactions),
    ] {
        let mut effects = TransactionEffects::default();
        let id = k::TransactionalId(text("mover"));
        let topic = k::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default().with_partitions(vec![0]);
        let asked = k::add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default().with_transactional_id(id.clone());
        let asked = asked.with_producer_id(k::ProducerId(producer_id)).with_producer_epoch(epoch).with_verify_only(verify_only);
        let message = k::AddPartitionsToTxnRequest::default().with_transactions(vec![asked.with_topics(vec![topic])]);
        coordinator.add_partitions(0, reply, &message, |_, _| true, &mut effects);
        let message = k::InitProducerIdRequest::default().with_transactional_id(Some(id)).with_transaction_timeout_ms(1);
        let message = message.with_producer_id(k::ProducerId(producer_id)).with_producer_epoch(epoch);
        coordinator.init_producer_id(0, reply, &message, &mut || None, &mut effects);
        let errors: Vec<ErrorCode> = effects.replies.iter().map(|(_, response)| response.error()).collect();
        assert_eq!(errors, [expected, ErrorCode::ConcurrentTransactions], "{producer_id} {epoch} {verify_only}");
    }
}
