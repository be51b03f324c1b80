#![cfg(not(target_arch = "wasm32"))]
//! Random keyed logs, compacted and cut at random times, against a list of all records: L1 of the project's invariants.

use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, Codec, Compression, Record, validate};
use brokerlab::storage::{Log, LogConfig};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Act {
    /// Keys of the records, and whether each has a value.
    Append(Vec<(u8, bool)>, Codec),
    /// With the high watermark at so many of a hundred parts of the offsets, so much later.
    Compact(i64, i64),
    /// The end of the log is cut off at one of its batches.
    Truncate(usize),
}

const RETENTION_MS: i64 = 100;

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let codec = prop_oneof![4 => Just(Codec::None), 1 => Just(Codec::Lz4), 1 => Just(Codec::Gzip)];
    let records = prop::collection::vec((0..6u8, prop::bool::weighted(0.7)), 1..5);
    let act = prop_oneof![
        12 => (records, codec).prop_map(|(records, codec)| Act::Append(records, codec)),
        3 => (50..=100i64, 0..60i64).prop_map(|(parts, later)| Act::Compact(parts, later)),
        1 => (0..6usize).prop_map(Act::Truncate),
    ];
    prop::collection::vec(act, 1..120)
}

/// What was ever appended and not cut off, and when compaction first came to it.
#[derive(Default)]
struct Model {
    records: BTreeMap<i64, Record>,
    first_cleaned: BTreeMap<i64, i64>,
    now_ms: i64,
}

impl Model {
    fn check(&self, log: &Log) -> Result<(), TestCaseError> {
        let cleaned = log.cleaned_offset().unwrap_or(0);
        let mut left = BTreeMap::new();
        let mut end = 0;
        for batch in log.batches_from(0) {
            prop_assert!(end <= batch.base_offset, "batches in order");
            prop_assert!(validate(&batch.to_wire()).is_ok());
            end = batch.next_offset();
            for record in batch.records() {
                let record = record.expect("a record");
                prop_assert!((batch.base_offset..end).contains(&record.offset));
                prop_assert_eq!(self.records.get(&record.offset), Some(&record), "as it was appended");
                prop_assert!(left.last_key_value().is_none_or(|(before, _)| *before < record.offset), "records in order");
                left.insert(record.offset, record);
            }
        }
        prop_assert_eq!(log.bytes(), log.batches_from(0).map(|batch| batch.size() as u64).sum::<u64>());
        let mut last: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (offset, record) in self.records.range(..cleaned) {
            last.insert(record.key.as_deref().expect("a key"), *offset);
        }
        for (offset, record) in &self.records {
            let is_last = last.get(record.key.as_deref().expect("a key")) == Some(offset);
            let is_over = record.value.is_none() && self.first_cleaned.get(offset).is_some_and(|first| first + RETENTION_MS <= self.now_ms);
            let must_stay = cleaned <= *offset || (is_last && !is_over);
            prop_assert!(left.contains_key(offset) || !must_stay, "offset {} is gone, clean below {}", offset, cleaned);
        }
        // Whoever reads from anywhere gets all that is left from there on.
        for from in (0..log.end_offset()).step_by(7) {
            let (mut next, mut seen) = (from, Vec::new());
            loop {
                let read = log.read(next, log.end_offset(), 200, true);
                let Some(batch) = read.last() else { break };
                next = batch.next_offset();
                seen.extend(read.iter().flat_map(Batch::records).flatten().map(|record| record.offset).filter(|offset| from <= *offset));
            }
            prop_assert_eq!(seen, left.range(from..).map(|(offset, _)| *offset).collect::<Vec<_>>());
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_last_value_of_each_key_survives_and_nothing_moves(acts in acts(), segment_bytes in 150..900u64) {
        let config = LogConfig {
            segment_bytes, compact: true, delete: false, min_cleanable_dirty_parts: 0, delete_retention_ms: RETENTION_MS, ..LogConfig::default()
        };
        let (mut log, mut model) = (Log::new(config), Model::default());
        for act in &acts {
            match act {
                Act::Append(records, codec) => {
                    let options = BatchOptions { compression: Compression::of(*codec), ..BatchOptions::default() };
                    let mut builder = BatchBuilder::new(options, 0);
                    for (key, valued) in records {
                        builder.append(model.now_ms, Some(&[*key]), valued.then_some(&b"value"[..]), &[]);
                    }
                    let batch = Batch { base_offset: log.end_offset(), leader_epoch: 0, ..Batch::from_wire(builder.build()).expect("a batch") };
                    for record in batch.records() {
                        let record = record.expect("a record");
                        model.records.insert(record.offset, record);
                    }
                    log.append(batch, model.now_ms);
                }
                Act::Compact(parts, later) => {
                    model.now_ms += later;
                    let high_watermark = log.end_offset() * parts / 100;
                    if let Some(done) = log.compact(model.now_ms, high_watermark) {
                        prop_assert!(done.to <= high_watermark);
                        for (offset, _) in model.records.range(..done.to) {
                            model.first_cleaned.entry(*offset).or_insert(model.now_ms);
                        }
                    }
                }
                Act::Truncate(batches) => {
                    let bases: Vec<i64> = log.batches_from(0).map(|batch| batch.base_offset).collect();
                    // As in a cluster: what is compacted is committed, and not cut off.
                    let to = bases.len().checked_sub(*batches).and_then(|place| bases.get(place).copied()).unwrap_or(log.end_offset());
                    let to = to.max(log.cleaned_offset().unwrap_or(0)).min(log.end_offset());
                    log.truncate(to);
                    model.records.retain(|offset, _| *offset < to);
                }
            }
            model.check(&log)?;
        }
    }
}
