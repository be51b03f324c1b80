//! What Kafka's `ProducerStateManagerTest`, `UnifiedLogTest` and `LogCleanerTest` say of open, ended and aborted transactions.

use crate::node::Chance;
use crate::protocol::{Batch, BatchBuilder, BatchHeader, BatchOptions, ErrorCode, Marker, Outcome};
use crate::storage::{Log, LogConfig};

/// One record of a producer's transaction.
fn data(log: &mut Log, producer_id: i64, key: &str) {
    let options = BatchOptions { producer_id, producer_epoch: 0, base_sequence: 0, transactional: true, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options, 0);
    builder.append(1_000, Some(key.as_bytes()), Some(b"v"), &[]);
    push(log, builder.build());
}

fn end(log: &mut Log, producer_id: i64, outcome: Outcome) {
    push(log, BatchBuilder::marker(Marker { outcome, coordinator_epoch: 3 }, producer_id, 0, 1_000));
}

fn push(log: &mut Log, bytes: bytes::Bytes) {
    let batch = Batch::from_wire(bytes).expect("a batch");
    log.append(Batch { base_offset: log.end_offset(), leader_epoch: 0, ..batch }, 0);
}

fn aborted(log: &Log, from: i64, to: i64) -> Vec<(i64, i64, i64)> {
    let all = log.producers().transactions().aborted_within(from, to);
    all.map(|ended| (ended.producer_id, ended.first_offset, ended.last_offset)).collect()
}

#[test]
fn nothing_is_stable_from_the_first_open_transaction_on_nor_from_one_whose_marker_is_not_replicated() {
    let mut log = Log::default();
    data(&mut log, 1, "a");
    data(&mut log, 2, "a");
    data(&mut log, 1, "b");
    assert_eq!(log.last_stable_offset(3), 0);
    end(&mut log, 1, Outcome::Commit);
    assert_eq!(
        (log.last_stable_offset(3), log.last_stable_offset(4)),
        (0, 1),
        "the marker at 3 is replicated when the high watermark is 4"
    );
    end(&mut log, 2, Outcome::Abort);
    assert_eq!([0, 1, 3, 4, 5].map(|high_watermark| log.last_stable_offset(high_watermark)), [0, 0, 0, 1, 5]);
    log.transactions_mut().replicated(5);
    end(&mut log, 1, Outcome::Commit);
    assert_eq!(log.last_stable_offset(5), 5, "a marker without a transaction ends none");
    data(&mut log, 1, "c");
    log.raise_start(7);
    assert_eq!(log.last_stable_offset(7), 7, "what is below the log's start is nobody's to wait for");
}

#[test]
fn aborted_transactions_are_told_where_they_have_anything() {
    let mut log = Log::default();
    data(&mut log, 1, "a");
    data(&mut log, 2, "a");
    end(&mut log, 2, Outcome::Commit);
    end(&mut log, 1, Outcome::Abort);
    data(&mut log, 2, "b");
    end(&mut log, 2, Outcome::Abort);
    let (first, second) = ((1, 0, 3), (2, 4, 5));
    assert_eq!((aborted(&log, 0, 1), aborted(&log, 3, 4), aborted(&log, 4, 6)), (vec![first], vec![first], vec![second]));
    assert_eq!((aborted(&log, 0, 6), aborted(&log, 6, 9)), (vec![first, second], vec![]));
}

#[test]
fn a_marker_of_an_older_epoch_or_of_an_older_coordinator_is_refused_and_one_of_the_same_epoch_where_each_end_raises_it() {
    let mut log = Log::default();
    data(&mut log, 1, "a");
    let check = |log: &Log, epoch, coordinator, raises| log.producers().check_marker(1, epoch, coordinator, raises).err();
    assert_eq!(check(&log, -1, 0, false), Some(ErrorCode::InvalidProducerEpoch));
    assert_eq!(
        (check(&log, 0, 0, false), check(&log, 0, 0, true), check(&log, 1, 0, true)),
        (None, Some(ErrorCode::InvalidProducerEpoch), None)
    );
    end(&mut log, 1, Outcome::Commit);
    assert_eq!((check(&log, 0, 2, false), check(&log, 0, 3, false)), (Some(ErrorCode::TransactionCoordinatorFenced), None));
    assert_eq!(check(&log, 0, 3, true), None, "it has come before: it ends nothing");
    let plain = BatchHeader { producer_epoch: 0, attributes: 0, ..header(&log) };
    assert_eq!(log.producers().check_transactional(&plain), Ok(()));
    data(&mut log, 1, "b");
    assert_eq!(log.producers().check_transactional(&plain), Err(ErrorCode::InvalidTxnState), "it is in a transaction");
}

fn header(log: &Log) -> BatchHeader {
    log.batches_from(0).next().and_then(|batch| BatchHeader::read(&batch.bytes).ok()).expect("a batch")
}

#[test]
fn an_open_transaction_keeps_its_producer_known() {
    let mut log = Log::default();
    data(&mut log, 1, "a");
    log.expire_producers(1_000_000, 10);
    assert_eq!(log.last_stable_offset(1), 0);
    end(&mut log, 1, Outcome::Abort);
    log.expire_producers(1_000_000, 10);
    assert!(log.producers().get(1).is_none());
    assert_eq!(aborted(&log, 0, 9), [(1, 0, 1)], "that it was aborted is known as long as the records are there");
}

/// What a log's batches say: the first open offset as seen with a high watermark, and what was aborted.
fn told(log: &Log, high_watermark: i64) -> (i64, Vec<(i64, i64, i64)>) {
    let (mut open, mut stable, mut aborted) = (std::collections::BTreeMap::new(), high_watermark, Vec::new());
    for batch in log.batches_from(0) {
        let producer = batch.header().expect("a header").producer_id;
        match batch.marker() {
            None => _ = open.entry(producer).or_insert(batch.base_offset),
            Some(marker) => {
                let Some(first) = open.remove(&producer) else { continue };
                if marker.outcome == Outcome::Abort {
                    aborted.push((producer, first, batch.base_offset));
                }
                stable = if high_watermark <= batch.base_offset { stable.min(first) } else { stable };
            }
        }
    }
    (open.values().copied().fold(stable, i64::min), aborted)
}

#[test]
fn after_any_truncation_and_any_crash_it_is_known_what_the_log_says() {
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let mut log = Log::new(LogConfig { segment_bytes: 100 + chance.below(600), ..LogConfig::default() });
        let mut high_watermark = 0;
        for _ in 0..60 {
            match chance.below(12) {
                0 => log.truncate(high_watermark + chance.below((log.end_offset() - high_watermark + 1) as u64) as i64),
                1 => {
                    // What was known of the high watermark may be old.
                    high_watermark = chance.below(high_watermark as u64 + 1) as i64;
                    log.reload_producers(high_watermark);
                }
                2..5 => {
                    high_watermark += chance.below((log.end_offset() - high_watermark + 1) as u64) as i64;
                    log.transactions_mut().replicated(high_watermark);
                }
                5 | 6 => end(&mut log, chance.below(3) as i64, if chance.below(2) == 0 { Outcome::Abort } else { Outcome::Commit }),
                _ => data(&mut log, chance.below(3) as i64, "k"),
            }
            assert_eq!((log.last_stable_offset(high_watermark), aborted(&log, 0, i64::MAX)), told(&log, high_watermark), "seed {seed}");
        }
    }
}

/// The keys left, and the markers, in order; an empty batch is a dot.
fn left(log: &Log) -> String {
    let of = |batch: &Batch| match (batch.marker(), batch.records().next()) {
        (Some(marker), _) => marker.outcome.name()[..1].to_owned(),
        (None, Some(record)) => String::from_utf8_lossy(&record.expect("a record").key.expect("a key")).into_owned(),
        (None, None) => ".".to_owned(),
    };
    log.batches_from(0).map(of).collect::<Vec<_>>().join(" ")
}

#[test]
fn compaction_takes_aborted_records_at_once_and_markers_when_readers_have_had_their_time() {
    let config = LogConfig { compact: true, delete: false, min_cleanable_dirty_parts: 0, delete_retention_ms: 100, ..LogConfig::default() };
    let mut log = Log::new(config);
    data(&mut log, 1, "a");
    data(&mut log, 2, "a");
    data(&mut log, 2, "b");
    end(&mut log, 1, Outcome::Commit);
    end(&mut log, 2, Outcome::Abort);
    data(&mut log, 1, "a");
    end(&mut log, 1, Outcome::Commit);
    data(&mut log, 3, "c");
    log.roll(8);
    data(&mut log, 4, "d");
    let compact = |log: &mut Log, now_ms| {
        log.cleaned = None;
        log.compact(now_ms, log.last_stable_offset(9));
        left(log)
    };
    assert_eq!(compact(&mut log, 50_000), "a a b C A a C c d", "the segment reaches above the last stable offset");
    end(&mut log, 3, Outcome::Commit);
    end(&mut log, 4, Outcome::Commit);
    log.transactions_mut().replicated(11);
    log.roll(11);
    let compact = |log: &mut Log, now_ms| {
        log.cleaned = None;
        log.compact(now_ms, log.last_stable_offset(11));
        left(log)
    };
    assert_eq!(
        compact(&mut log, 50_000),
        ". C A a C c d C C",
        "of the aborted one the last batch stays, without records: its producer is known"
    );
    assert_eq!(aborted(&log, 0, 9), [(2, 1, 4)]);
    log.expire_producers(60_000, 1);
    assert_eq!(compact(&mut log, 50_000), "C A a C c d C C", "what the first marker ended is gone: it waits");
    assert_eq!(aborted(&log, 0, 9), [(2, 1, 4)]);
    assert_eq!(compact(&mut log, 50_099), "C A a C c d C C", "and now the second one begins to");
    assert_eq!(aborted(&log, 0, 9), []);
    assert_eq!(compact(&mut log, 50_100), "A a C c d C C");
    assert_eq!((compact(&mut log, 50_198), compact(&mut log, 50_199)), ("A a C c d C C".to_owned(), "a C c d C C".to_owned()));
}

#[test]
fn what_follows_an_aborted_transaction_whose_marker_is_deleted_is_none_of_its() {
    let config = LogConfig { compact: true, delete: true, min_cleanable_dirty_parts: 0, ..LogConfig::default() };
    let mut log = Log::new(config);
    data(&mut log, 1, "a");
    end(&mut log, 1, Outcome::Abort);
    log.roll(2);
    data(&mut log, 1, "b");
    data(&mut log, 1, "c");
    end(&mut log, 1, Outcome::Commit);
    log.roll(5);
    data(&mut log, 1, "d");
    end(&mut log, 1, Outcome::Commit);
    log.raise_start(2);
    assert_eq!(log.delete_old(2_000, 7).len(), 1);
    log.compact(2_000, log.last_stable_offset(7));
    assert_eq!(left(&log), "b c C d C");
}

#[test]
fn a_log_that_is_cut_back_to_what_is_in_the_remote_store_knows_what_was_aborted_there() {
    let mut log = Log::new(LogConfig { remote: true, ..LogConfig::default() });
    data(&mut log, 1, "a");
    end(&mut log, 1, Outcome::Abort);
    data(&mut log, 2, "a");
    end(&mut log, 2, Outcome::Abort);
    let epochs = log.epochs().to_vec();
    log.restart_behind_remote(4, 0, &epochs, Default::default());
    log.transactions_mut().learn_aborted(
        [(1, 0, 1), (2, 2, 3)]
            .map(|(producer_id, first_offset, last_offset)| super::EndedTransaction { producer_id, first_offset, last_offset })
            .into_iter(),
    );
    log.truncate(3);
    assert_eq!(aborted(&log, 0, 9), [(1, 0, 1)], "the marker at 3 is gone");
}
