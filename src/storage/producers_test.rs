//! What Kafka's `ProducerStateManagerTest` and `UnifiedLogTest` say of sequences, epochs, duplicates, truncation and expiry.

use super::*;
use crate::protocol::{Batch, BatchBuilder, BatchOptions};
use crate::storage::{Log, LogConfig};

fn batch(producer_id: i64, producer_epoch: i16, base_sequence: i32, records: i32) -> Batch {
    let options = BatchOptions { producer_id, producer_epoch, base_sequence, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options, 0);
    (0..records).for_each(|_| builder.append(1_000, None, Some(b"v"), &[]));
    Batch::from_wire(builder.build()).expect("a batch")
}

fn header(producer_id: i64, producer_epoch: i16, base_sequence: i32, records: i32) -> BatchHeader {
    batch(producer_id, producer_epoch, base_sequence, records).header().expect("a header")
}

fn append(log: &mut Log, producer_id: i64, producer_epoch: i16, base_sequence: i32, records: i32) {
    let base_offset = log.end_offset();
    log.append(Batch { base_offset, leader_epoch: 0, ..batch(producer_id, producer_epoch, base_sequence, records) }, 0);
}

fn check(log: &Log, producer_epoch: i16, base_sequence: i32) -> Result<(), ErrorCode> {
    log.producers().check(&header(1, producer_epoch, base_sequence, 1))
}

/// Where a batch of so many records was written that is sent again.
fn duplicate(log: &Log, producer_epoch: i16, base_sequence: i32, records: i32) -> Option<i64> {
    log.producers().duplicate_of(&header(1, producer_epoch, base_sequence, records)).map(|written| written.base_offset)
}

#[test]
fn the_next_sequence_is_the_one_behind_the_last_record() {
    let mut log = Log::default();
    assert_eq!(check(&log, 0, 77), Ok(()), "nothing is known of it: it may begin anywhere");
    append(&mut log, 1, 0, 0, 3);
    assert_eq!(check(&log, 0, 3), Ok(()));
    for wrong in [0, 1, 2, 4] {
        assert_eq!(check(&log, 0, wrong), Err(ErrorCode::OutOfOrderSequenceNumber));
    }
    append(&mut log, 1, 0, i32::MAX - 1, 2);
    assert_eq!(check(&log, 0, 0), Ok(()), "behind the largest comes 0");
}

#[test]
fn a_newer_epoch_begins_at_0_and_an_older_one_is_over() {
    let mut log = Log::default();
    append(&mut log, 1, 5, 0, 3);
    assert_eq!((check(&log, 6, 0), check(&log, 6, 3)), (Ok(()), Err(ErrorCode::OutOfOrderSequenceNumber)));
    assert_eq!((check(&log, 4, 0), check(&log, 4, 3)), (Err(ErrorCode::InvalidProducerEpoch), Err(ErrorCode::InvalidProducerEpoch)));
    append(&mut log, 1, 6, 0, 1);
    assert_eq!(duplicate(&log, 5, 0, 3), None, "what older epochs wrote is forgotten");
    assert_eq!(check(&log, 6, 1), Ok(()));
}

#[test]
fn the_last_five_batches_are_known_by_both_their_ends() {
    let mut log = Log::default();
    (0..6).for_each(|index| append(&mut log, 1, 0, 2 * index, 2));
    assert_eq!((1..6).map(|index| duplicate(&log, 0, 2 * index, 2)).collect::<Vec<_>>(), [2, 4, 6, 8, 10].map(Some));
    assert_eq!(duplicate(&log, 0, 0, 2), None, "the sixth from the end is not");
    assert_eq!((duplicate(&log, 0, 10, 1), duplicate(&log, 0, 11, 1), duplicate(&log, 1, 10, 2)), (None, None, None));
}

#[test]
fn producers_do_not_disturb_each_other_nor_those_without_id() {
    let mut log = Log::default();
    append(&mut log, 1, 0, 0, 1);
    append(&mut log, 2, 0, 0, 4);
    append(&mut log, -1, -1, -1, 1);
    assert_eq!(check(&log, 0, 1), Ok(()));
    assert_eq!(log.producers().all().map(|(id, _)| id).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_truncation_leaves_what_the_rest_of_the_log_tells_wherever_segments_begin() {
    let size = batch(1, 0, 0, 1).size() as u64;
    for batches_per_segment in [1, 2, 3, 100] {
        let mut log = Log::new(LogConfig { segment_bytes: batches_per_segment * size, ..LogConfig::default() });
        (0..10).for_each(|index| append(&mut log, 1 + i64::from(index % 2), 0, index / 2, 1));
        for kept in (0..10).rev() {
            log.truncate(kept);
            let own = (kept + 1) / 2;
            assert_eq!(check(&log, 0, own as i32), Ok(()), "{kept} offsets in segments of {batches_per_segment}");
            assert_eq!(check(&log, 0, own as i32 + 1).is_err(), 0 < own);
            let known = (own - 5).max(0)..own;
            assert_eq!((0..5).map(|index| duplicate(&log, 0, index, 1)).collect::<Vec<_>>(), {
                (0..5).map(|index| known.contains(&i64::from(index)).then(|| 2 * i64::from(index))).collect::<Vec<_>>()
            });
        }
        append(&mut log, 1, 0, 0, 1);
        assert_eq!(check(&log, 0, 1), Ok(()));
    }
}

#[test]
fn what_is_known_outlives_the_segments_that_told_it_until_it_is_too_old() {
    let size = batch(1, 0, 0, 1).size() as u64;
    let config = LogConfig { segment_bytes: size, retention_ms: 10, ..LogConfig::default() };
    let mut log = Log::new(config);
    append(&mut log, 1, 0, 0, 1);
    append(&mut log, 2, 0, 0, 1);
    log.delete_old(2_000, 1);
    assert_eq!((log.start_offset(), check(&log, 0, 1), check(&log, 0, 0)), (1, Ok(()), Err(ErrorCode::OutOfOrderSequenceNumber)));
    log.reload_producers(log.end_offset());
    assert_eq!(check(&log, 0, 0), Err(ErrorCode::OutOfOrderSequenceNumber), "nor does a start forget it");
    log.expire_producers(1_009, 10);
    assert_eq!(check(&log, 0, 0), Err(ErrorCode::OutOfOrderSequenceNumber), "9 ms after its last record");
    log.expire_producers(1_010, 10);
    assert_eq!(check(&log, 0, 7), Ok(()));
}

#[test]
fn a_copy_is_not_written_to() {
    let mut log = Log::default();
    append(&mut log, 1, 0, 0, 1);
    let copy = log.clone();
    append(&mut log, 1, 0, 1, 1);
    assert_eq!((check(&copy, 0, 1), check(&log, 0, 2)), (Ok(()), Ok(())));
}
