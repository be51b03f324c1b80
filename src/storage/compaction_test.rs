//! What a cleaner leaves of a log, by the cases of Kafka's `LogCleanerTest` and `LogCleanerManagerTest`.

use super::*;
use crate::protocol::Codec;
use crate::protocol::batch::NO_TIMESTAMP;
use crate::storage::LogConfig;

const COMPACT: LogConfig = LogConfig {
    remote: false,
    remote_copy_disabled: false,
    remote_delete_on_disable: false,
    local_retention_ms: -2,
    local_retention_bytes: -2,
    segment_bytes: 1 << 30,
    segment_ms: i64::MAX,
    delete: false,
    compact: true,
    retention_ms: -1,
    retention_bytes: -1,
    min_cleanable_dirty_parts: 500_000,
    min_compaction_lag_ms: 0,
    max_compaction_lag_ms: i64::MAX,
    delete_retention_ms: 1_000,
};
/// No record is newer, no high watermark lower.
const ALL: i64 = i64::MAX;
const NOW_MS: i64 = 50_000;

type Pair = (Option<&'static str>, Option<&'static str>);

/// A record with this key and value; a value of "-" is none.
fn pair(text: &'static str) -> Pair {
    let (key, value) = text.split_once('=').expect("key=value");
    (Some(key).filter(|key| !key.is_empty()), Some(value).filter(|value| *value != "-"))
}

fn batch(options: BatchOptions, timestamp: i64, records: &[&'static str]) -> Batch {
    let mut builder = BatchBuilder::new(options, 0);
    for (key, value) in records.iter().map(|text| pair(text)) {
        builder.append(timestamp, key.map(str::as_bytes), value.map(str::as_bytes), &[(b"h", Some(b"1"))]);
    }
    Batch::from_wire(builder.build()).expect("a batch")
}

fn append(log: &mut Log, timestamp: i64, records: &[&'static str]) {
    append_at(log, log.end_offset(), timestamp, records);
}

fn append_at(log: &mut Log, base_offset: i64, timestamp: i64, records: &[&'static str]) {
    log.append(Batch { base_offset, leader_epoch: 0, ..batch(BatchOptions::default(), timestamp, records) }, 0);
}

/// A log of rolled segments, with batches of one record each, and an empty active one.
fn log(config: LogConfig, segments: &[&[&'static str]]) -> Log {
    let mut log = Log::new(config);
    for segment in segments {
        segment.iter().for_each(|record| append(&mut log, 10, &[*record]));
        log.roll(log.end_offset());
    }
    log
}

/// Offset and record of all that is left.
fn left(log: &Log) -> Vec<String> {
    let text = |bytes: Option<Bytes>| bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    let records = log.batches_from(0).flat_map(Batch::records).map(|record| record.expect("a record"));
    records.map(|record| format!("{} {}={}", record.offset, text(record.key), text(record.value))).collect()
}

fn bases(log: &Log) -> Vec<i64> {
    log.segments().map(Segment::base_offset).collect()
}

/// The whole log below the active segment is cleaned, due or not.
fn clean(log: &mut Log, from: i64, now_ms: i64) -> Compacted {
    let limit = log.active.base_offset();
    log.clean(from..limit, now_ms, KEYS_MAX).expect("sound batches").expect("a round")
}

#[test]
fn the_last_value_of_each_key_stays_at_its_offset() {
    let mut log = log(COMPACT, &[&["a=1", "b=1", "a=2"], &["c=1", "a=3", "b=2"]]);
    append(&mut log, 10, &["a=4"]);
    let before = log.bytes();
    let done = log.compact(NOW_MS, ALL).expect("a round");
    assert_eq!(left(&log), ["3 c=1", "4 a=3", "5 b=2", "6 a=4"], "the active segment neither changes nor counts");
    assert_eq!((done.from, done.to, done.removed), (0, 6, 3));
    assert_eq!(done.bytes_before - done.bytes_after, before - log.bytes());
    assert_eq!((log.start_offset(), log.end_offset(), log.cleaned_offset()), (0, 7, Some(6)));
    assert_eq!(log.read(0, ALL, 1, true)[0].base_offset, 3, "who asks for what is gone gets what comes next");
    assert!(log.compact(NOW_MS, ALL).is_none(), "nothing is dirty any more");
}

#[test]
fn records_of_one_batch_go_one_by_one_and_the_batch_covers_what_it_did() {
    let mut log = Log::new(COMPACT);
    append(&mut log, 7, &["a=1", "b=1", "c=1", "a=2"]);
    append(&mut log, 8, &["b=2", "d=1"]);
    log.roll(6);
    let epochs = log.epochs().to_vec();
    clean(&mut log, 0, NOW_MS);
    assert_eq!(left(&log), ["2 c=1", "3 a=2", "4 b=2", "5 d=1"]);
    let batches: Vec<_> = log.batches_from(0).cloned().collect();
    assert_eq!((batches[0].base_offset, batches[0].last_offset(), batches[0].record_count), (0, 3, 2));
    assert!(crate::protocol::validate(&batches[0].to_wire()).is_ok(), "length and checksum are right");
    assert_eq!(log.epochs(), epochs);
    let record = batches[0].records().next().expect("one").expect("sound");
    assert_eq!((record.timestamp, record.headers.len()), (7, 1));
}

#[test]
fn what_does_not_change_is_shared() {
    let mut log = log(COMPACT, &[&["a=1"], &["b=1", "b=2"]]);
    let size = log.bytes();
    log.configure(LogConfig { segment_bytes: size / 2, ..COMPACT });
    let before = log.clone();
    clean(&mut log, 0, NOW_MS);
    assert!(Arc::ptr_eq(&log.sealed[0], &before.sealed[0]));
    let bytes = |log: &Log, offset| log.batches_from(offset).next().map(|batch| batch.bytes.as_ptr());
    assert_eq!(bytes(&log, 2), bytes(&before, 2));
    assert_eq!(left(&before), ["0 a=1", "1 b=1", "2 b=2"], "copies of the log are as they were");
}

#[test]
fn a_tombstone_stays_for_delete_retention_after_compaction_came_to_it_whatever_its_time() {
    for timestamp in [0, NOW_MS * 100] {
        let mut log = log(COMPACT, &[&["a=1", "b=1"]]);
        append(&mut log, timestamp, &["a=-", "c=1"]);
        log.roll(4);
        append(&mut log, 10, &["d=1"]);
        log.roll(5);
        clean(&mut log, 0, NOW_MS);
        assert_eq!(left(&log), ["1 b=1", "2 a=-", "3 c=1", "4 d=1"]);
        let header = |log: &Log| log.batches_from(2).next().expect("the batch").header().expect("its header");
        assert_eq!((header(&log).delete_horizon(), header(&log).max_timestamp), (Some(NOW_MS + 1_000), timestamp));
        let times = |log: &Log| {
            log.batches_from(2).next().expect("the batch").records().flatten().map(|record| record.timestamp).collect::<Vec<_>>()
        };
        assert_eq!(times(&log), [timestamp, timestamp]);
        let bytes = log.batches_from(2).next().map(|batch| batch.bytes.as_ptr());
        clean(&mut log, 4, NOW_MS + 999);
        assert_eq!(log.batches_from(2).next().map(|batch| batch.bytes.as_ptr()), bytes, "nor is it written again");
        assert_eq!(header(&log).delete_horizon(), Some(NOW_MS + 1_000), "the horizon is set once");
        assert_eq!(left(&log).len(), 4);
        clean(&mut log, 4, NOW_MS + 1_000);
        assert_eq!(left(&log), ["1 b=1", "3 c=1", "4 d=1"]);
        assert_eq!(header(&log).delete_horizon(), Some(NOW_MS + 1_000), "the rest of the batch keeps it");
    }
}

#[test]
fn a_tombstone_that_is_not_the_last_word_goes_at_once() {
    let mut log = log(COMPACT, &[&["a=-", "a=1"]]);
    clean(&mut log, 0, NOW_MS);
    assert_eq!(left(&log), ["1 a=1"]);
}

#[test]
fn the_last_batch_of_a_round_stays_even_empty_and_goes_with_the_next() {
    let mut log = Log::new(COMPACT);
    append(&mut log, 33, &["a=1"]);
    log.append(Batch { base_offset: 1, leader_epoch: 4, ..batch(producer(7), 44, &["b=-", "b=-"]) }, 0);
    log.roll(3);
    clean(&mut log, 0, NOW_MS);
    assert_eq!(left(&log), ["0 a=1", "2 b=-"]);
    clean(&mut log, 1, NOW_MS + 1_000);
    assert_eq!(left(&log), ["0 a=1"]);
    let empty = log.batches_from(1).next().expect("an empty batch").clone();
    assert_eq!((empty.base_offset, empty.last_offset(), empty.leader_epoch, empty.record_count), (1, 2, 4, 0));
    let header = empty.header().expect("a header");
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 2, 5));
    assert_eq!((header.base_timestamp, header.max_timestamp, header.delete_horizon()), (NO_TIMESTAMP, 44, None));
    assert_eq!(header.size(), empty.size() as i64);
    let bytes = empty.bytes.as_ptr();
    clean(&mut log, 1, NOW_MS + 1_000);
    assert_eq!(log.batches_from(1).next().map(|batch| batch.bytes.as_ptr()), Some(bytes), "it is not written again");
    append(&mut log, 10, &["c=1"]);
    log.roll(4);
    clean(&mut log, 3, NOW_MS + 1_000);
    let bases = |log: &Log| log.batches_from(0).map(|batch| batch.base_offset).collect::<Vec<_>>();
    assert_eq!(bases(&log), [0, 1, 3], "it is the last one of its producer");
    log.expire_producers(NOW_MS, 0);
    append(&mut log, 10, &["d=1"]);
    log.roll(5);
    clean(&mut log, 4, NOW_MS + 1_000);
    assert_eq!(bases(&log), [0, 3, 4], "who is not known any more");
}

fn producer(id: i64) -> BatchOptions {
    BatchOptions { producer_id: id, producer_epoch: 2, base_sequence: 5, ..BatchOptions::default() }
}

#[test]
fn producers_sequences_codecs_and_the_brokers_time_survive() {
    for codec in Codec::ALL {
        let options = BatchOptions { compression: Compression::of(codec), log_append_time: Some(99), ..producer(3) };
        let mut log = Log::new(COMPACT);
        log.append(Batch { base_offset: 0, leader_epoch: 0, ..batch(options, 5, &["a=1", "b=1", "a=2", "c=-"]) }, 0);
        log.roll(4);
        clean(&mut log, 0, NOW_MS);
        assert_eq!(left(&log), ["1 b=1", "2 a=2", "3 c=-"]);
        let header = log.batches_from(0).next().expect("a batch").header().expect("a header");
        assert_eq!(header.codec(), Ok(codec));
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence, header.last_sequence()), (3, 2, 5, 8));
        assert_eq!((header.log_append_time(), header.delete_horizon()), (Some(99), Some(NOW_MS + 1_000)));
        let times: Vec<i64> = log.batches_from(0).flat_map(Batch::records).flatten().map(|record| record.timestamp).collect();
        assert_eq!(times, [99; 3]);
    }
}

#[test]
fn records_without_a_key_go() {
    let mut log = log(COMPACT, &[&["=1", "a=1", "=2"], &["b=1"]]);
    clean(&mut log, 0, NOW_MS);
    assert_eq!(left(&log), ["1 a=1", "3 b=1"]);
}

#[test]
fn only_dirty_records_say_what_goes_and_a_full_map_ends_the_round() {
    let mut log = Log::new(COMPACT);
    for record in ["a=0", "b=1", "a=2", "b=3", "a=4"] {
        append(&mut log, 10, &[record]);
    }
    log.roll(5);
    for (from, expected) in [(2, &["1 b=1", "2 a=2", "3 b=3", "4 a=4"][..]), (3, &["2 a=2", "3 b=3", "4 a=4"]), (4, &["3 b=3", "4 a=4"])] {
        let done = log.clean(from..5, NOW_MS, 1).expect("sound").expect("a round");
        assert_eq!((left(&log), done.to), (expected.iter().map(|text| (*text).to_owned()).collect(), from + 1));
        assert_eq!(log.cleaned_offset(), Some(from + 1));
    }
    append(&mut log, 10, &["x=1", "y=1"]);
    log.roll(7);
    assert_eq!(log.clean(5..7, NOW_MS, 1), Ok(None), "a batch that does not fit is not taken apart");
    assert_eq!(log.cleaned_offset(), Some(5));
}

#[test]
fn a_segment_that_reaches_above_the_high_watermark_is_left_whole() {
    for (high_watermark, expected) in [
        (0, &["0 a=1", "1 a=2", "2 a=3", "3 a=4", "4 a=5"][..]),
        (1, &["0 a=1", "1 a=2", "2 a=3", "3 a=4", "4 a=5"]),
        (2, &["1 a=2", "2 a=3", "3 a=4", "4 a=5"]),
        (3, &["1 a=2", "2 a=3", "3 a=4", "4 a=5"]),
        (4, &["3 a=4", "4 a=5"]),
        (5, &["3 a=4", "4 a=5"]),
    ] {
        let mut log = log(COMPACT, &[&["a=1", "a=2"], &["a=3", "a=4"]]);
        append(&mut log, 10, &["a=5"]);
        log.compact(NOW_MS, high_watermark);
        assert_eq!(left(&log), expected, "high watermark {high_watermark}");
    }
}

#[test]
fn young_segments_are_safe_for_min_compaction_lag() {
    let config = LogConfig { min_compaction_lag_ms: 100, ..COMPACT };
    for (now_ms, dirty) in [(109, 0..0), (110, 0..2), (1_000, 0..2), (1_099, 0..2), (1_100, 0..4)] {
        let mut log = log(config, &[&["a=1", "a=2"]]);
        append(&mut log, 1_000, &["a=3"]);
        append(&mut log, 5, &["a=4"]);
        log.roll(4);
        append(&mut log, 5, &["a=5"]);
        assert_eq!(log.cleanable(now_ms, ALL).dirty, dirty, "at {now_ms}");
    }
}

#[test]
fn a_round_is_due_by_the_dirty_share_or_by_age() {
    let due = |config: LogConfig, now_ms| {
        let mut log = log(config, &[&["a=1"], &["b=1"], &["c=1"], &["d=1"]]);
        log.cleaned = Some(2);
        log.compact(now_ms, ALL).is_some()
    };
    assert!(!due(COMPACT, NOW_MS), "half of it is not more than half");
    assert!(due(LogConfig { min_cleanable_dirty_parts: 499_999, ..COMPACT }, NOW_MS));
    assert!(!due(LogConfig { compact: false, delete: true, min_cleanable_dirty_parts: 0, ..COMPACT }, NOW_MS));
    // The records are of time 10.
    let aged = LogConfig { max_compaction_lag_ms: 100, ..COMPACT };
    assert_eq!((due(aged, 110), due(aged, 111)), (false, true));
    let mut clean = log(aged, &[&["a=1"]]);
    clean.cleaned = Some(1);
    assert!(clean.compact(NOW_MS, ALL).is_none(), "nothing is too old where nothing is dirty");
}

#[test]
fn what_is_clean_and_what_is_dirty_is_counted_by_segments() {
    let mut log = log(COMPACT, &[&["a=1"], &["a=1"], &["a=1"], &["a=1"], &["a=1"]]);
    log.cleaned = Some(2);
    let size = log.bytes() / 5;
    let found = log.cleanable(NOW_MS, 4);
    assert_eq!(found, Cleanable { dirty: 2..4, clean_bytes: 2 * size, dirty_bytes: 2 * size, is_overdue: false });
}

#[test]
fn a_checkpoint_outside_the_log_is_forgotten_even_if_nothing_is_due() {
    for (checkpoint, start, first) in [(15, 0, 0), (1, 2, 2), (3, 2, 3), (4, 2, 4), (5, 2, 2)] {
        let mut log =
            log(LogConfig { min_cleanable_dirty_parts: super::super::config::PARTS, ..COMPACT }, &[&["a=1", "a=2"], &["a=3", "a=4"]]);
        log.cleaned = Some(checkpoint);
        log.raise_start(start);
        assert_eq!(log.compact(NOW_MS, ALL), None);
        assert_eq!(log.cleaned_offset(), Some(first), "checkpoint {checkpoint}, start {start}");
    }
}

#[test]
fn a_checkpoint_or_a_log_start_within_the_active_segment_leaves_nothing_to_clean() {
    let mut log = Log::new(COMPACT);
    (0..6).for_each(|_| append(&mut log, 10, &["a=1"]));
    log.cleaned = Some(3);
    assert_eq!(log.compact(NOW_MS, ALL), None);
    log.raise_start(4);
    assert_eq!(log.compact(NOW_MS, ALL), None);
}

#[test]
fn only_a_truncation_below_the_active_segment_takes_the_checkpoint_back() {
    let whole = log(COMPACT, &[&["a=1", "a=2"], &["b=3", "b=4"]]);
    for (to, cleaned) in [(6, Some(4)), (5, Some(4)), (4, Some(4)), (3, Some(2)), (2, Some(2)), (1, Some(0))] {
        let mut log = whole.clone();
        append(&mut log, 10, &["a=5", "b=6"]);
        log.cleaned = Some(4);
        log.truncate(to);
        assert_eq!(log.cleaned_offset(), cleaned, "truncated to {to}");
    }
}

#[test]
fn a_compacted_log_is_cut_where_it_is_told_and_goes_on_there() {
    let mut log = log(COMPACT, &[&["a=1", "b=1", "a=2", "a=3"], &["c=1", "c=2"]]);
    clean(&mut log, 0, NOW_MS);
    assert_eq!(left(&log), ["1 b=1", "3 a=3", "5 c=2"]);
    log.truncate(3);
    assert_eq!((log.end_offset(), left(&log)), (3, vec!["1 b=1".to_owned()]));
    append(&mut log, 10, &["a=9"]);
    assert_eq!(left(&log), ["1 b=1", "3 a=9"]);
}

/// How many of the first segments become one, and how many of the next.
fn joined(log: &Log, count: usize, limit: i64) -> Vec<usize> {
    log.groups(count, limit).iter().map(Range::len).collect()
}

#[test]
fn segments_are_joined_up_to_their_size() {
    let size = log(COMPACT, &[&["a=1"]]).bytes();
    for (segments, expected) in [(1, &[1, 1, 1, 1, 1][..]), (2, &[2, 2, 1]), (5, &[5]), (9, &[5])] {
        let config = LogConfig { segment_bytes: segments * size, ..COMPACT };
        let log = log(config, &[&["a=1"], &["a=1"], &["a=1"], &["a=1"], &["a=1"]]);
        assert_eq!(joined(&log, 5, 5), expected, "{segments} fit");
    }
    let mut whole = log(LogConfig { segment_bytes: 2 * size, ..COMPACT }, &[&["a=1"], &["b=1"], &["c=1"], &["d=1"], &["e=1"]]);
    clean(&mut whole, 0, NOW_MS);
    assert_eq!((bases(&whole), left(&whole).len()), (vec![0, 2, 4, 5], 5));
}

#[test]
fn a_segment_never_covers_more_offsets_than_its_index_can() {
    let far = i64::from(i32::MAX);
    let mut log = Log::new(COMPACT);
    append(&mut log, 10, &["a=1"]);
    log.roll(1);
    append_at(&mut log, far - 1, 10, &["a=2"]);
    append(&mut log, 10, &["a=3"]);
    log.roll(far + 1);
    assert_eq!(joined(&log, 2, far + 1), [2], "the last offset is as far from the base as 32 bits allow");
    assert_eq!(joined(&log, 2, far + 2), [1, 1]);
}

#[test]
fn empty_segments_join_whatever_they_cover() {
    let far = i64::from(i32::MAX) + 1;
    let mut log = Log::new(COMPACT);
    for index in 0..3 {
        append_at(&mut log, index * far, 10, &["a=1"]);
        log.roll((index + 1) * far);
    }
    append_at(&mut log, 3 * far, 10, &["b=1"]);
    clean(&mut log, 0, NOW_MS);
    assert_eq!((bases(&log), left(&log)), (vec![0, far, 2 * far, 3 * far], vec![format!("{} a=1", 2 * far), format!("{} b=1", 3 * far)]));
    assert_eq!(joined(&log, 3, 3 * far), [2, 1]);
    assert_eq!(log.read(0, ALL, 1, true)[0].base_offset, 2 * far, "a read passes over empty segments");
}

#[test]
fn a_round_goes_over_offsets_that_are_missing_at_the_end_of_a_segment() {
    let mut log = Log::new(COMPACT);
    append(&mut log, 10, &["a=1", "b=1"]);
    log.roll(5);
    append_at(&mut log, 5, 10, &["a=2"]);
    log.roll(9);
    append_at(&mut log, 9, 10, &["c=1"]);
    assert_eq!(log.compact(NOW_MS, ALL).map(|done| done.to), Some(9));
    assert_eq!(left(&log), ["1 b=1", "5 a=2", "9 c=1"]);
}

#[test]
fn a_log_that_cannot_be_read_stays_as_it_is() {
    let mut log = log(COMPACT, &[&["a=1", "a=2"]]);
    let good = batch(BatchOptions::default(), 10, &["a=3"]);
    let cut = Bytes::copy_from_slice(&good.bytes[..good.size() - 3]);
    log.append(Batch { base_offset: 2, bytes: cut, ..good }, 0);
    log.roll(3);
    assert_eq!(log.compact(NOW_MS, ALL), None);
    assert_eq!((log.batches_from(0).count(), log.cleaned_offset()), (3, None));
}

#[test]
fn what_is_rolled_is_on_the_disk() {
    let mut log = Log::new(LogConfig { segment_bytes: 150, ..COMPACT });
    (0..5).for_each(|_| append(&mut log, 10, &["a=1"]));
    let active = log.active.base_offset();
    assert!(0 < active && active < log.end_offset());
    assert_eq!(log.flushed_offset(), active);
}
