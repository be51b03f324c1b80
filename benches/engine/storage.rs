//! A replica's log by itself: appends with everything that a leader checks, and reading records.

use brokerlab::broker::validation::{LogRules, Origin, validate};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions};
use brokerlab::storage::{Log, LogConfig};
use bytes::Bytes;
use std::hint::black_box;
use std::time::Instant;

/// Bytes of a batch, at the most, and of a record's value: with its key and overhead a record has about 100 bytes.
const BATCH_BYTES: usize = 16 * 1_024;
const VALUE: [u8; 80] = [b'v'; 80];
const RECORDS: u64 = 20_000_000;
const NOW_MS: i64 = 1_767_225_600_000;

/// A full batch, and its records.
pub fn batch() -> (Bytes, u64) {
    let mut builder = BatchBuilder::new(BatchOptions::default(), BATCH_BYTES);
    for index in 0i64.. {
        let key = format!("key-{index:08}");
        let room = BATCH_BYTES - builder.size();
        if !builder.append_within(room, NOW_MS + index, Some(key.as_bytes()), Some(&VALUE), &[]) {
            break;
        }
    }
    let records = builder.record_count() as u64;
    (builder.build(), records)
}

pub fn run() {
    let (bytes, records) = batch();
    let rounds = RECORDS / records;
    let size = bytes.len();
    println!("a batch of {size} bytes has {records} records of {} bytes", (size - 61) as u64 / records);

    let rules = LogRules {
        codec: None,
        gzip_level: 6,
        log_append_time: false,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        message_max_bytes: 1_048_588,
        compacted: false,
    };
    for name in ["append", "append again"] {
        let mut log = Log::new(LogConfig::default());
        let from = Instant::now();
        for _ in 0..rounds {
            let produced = Batch::from_wire(bytes.clone()).expect("a batch");
            let checked = validate(produced, Origin::Client, &rules, NOW_MS).expect("a sound batch");
            log.append(Batch { base_offset: log.end_offset(), leader_epoch: 3, ..checked }, NOW_MS);
        }
        print(name, rounds * records, from);
        assert_eq!(log.end_offset() as u64, rounds * records);
    }

    let stored = Batch::from_wire(bytes).expect("a batch");
    let from = Instant::now();
    let mut read = 0;
    for _ in 0..rounds {
        let mut records = stored.records();
        while let Some(record) = records.next_ref() {
            let record = black_box(record.expect("a record"));
            read += u64::from(record.value.is_some_and(|value| value.len() == VALUE.len()));
        }
    }
    print("decode where it lies", read, from);

    let from = Instant::now();
    let mut read = 0;
    for _ in 0..rounds {
        for record in stored.records() {
            let record = black_box(record.expect("a record"));
            read += u64::from(record.value.is_some_and(|value| value.len() == VALUE.len()));
        }
    }
    print("decode into records that share the batch", read, from);
}

pub fn print(name: &str, records: u64, from: Instant) {
    let elapsed = from.elapsed().as_secs_f64();
    println!("{name}: {:.1} million records/s ({records} in {elapsed:.2} s)", records as f64 / elapsed / 1e6);
}
