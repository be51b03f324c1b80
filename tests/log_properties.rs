#![cfg(not(target_arch = "wasm32"))]
//! Random logs against the simplest thing that could be right: a list of batches that is searched from its beginning.

use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions};
use brokerlab::storage::{Found, Log, LogConfig};
use proptest::prelude::*;

/// What happens to a log.
#[derive(Clone, Debug)]
enum Act {
    /// Records with these times, so many offsets behind the end, perhaps in the next leader epoch.
    Append {
        times: Vec<i64>,
        gap: i64,
        new_epoch: bool,
    },
    /// Keeps so many of a thousand parts of the offsets, and whole batches.
    Truncate(i64),
    RaiseStart(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let times = prop::collection::vec(-1..60i64, 1..5);
    let append = (times, prop_oneof![9 => Just(0), 1 => 1..4i64], prop::bool::weighted(0.1));
    let act = prop_oneof![
        30 => append.prop_map(|(times, gap, new_epoch)| Act::Append { times, gap, new_epoch }),
        1 => (0..1_001i64).prop_map(Act::Truncate),
        1 => (0..1_001i64).prop_map(Act::RaiseStart),
    ];
    prop::collection::vec(act, 1..400)
}

fn configs() -> impl Strategy<Value = LogConfig> {
    (prop_oneof![Just(1_000_000), 150..2_000u64], prop_oneof![Just(1_000_000), 1..60i64])
        .prop_map(|(segment_bytes, segment_ms)| LogConfig { segment_bytes, segment_ms, ..LogConfig::default() })
}

/// The log as a list.
#[derive(Default)]
struct Model {
    batches: Vec<Batch>,
    start: i64,
    end: i64,
    epoch: i32,
}

impl Model {
    fn act(&mut self, act: &Act, log: &mut Log) {
        match act {
            Act::Append { times, gap, new_epoch } => {
                self.epoch += i32::from(*new_epoch);
                let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
                times.iter().for_each(|time| builder.append(*time, None, Some(b"value"), &[]));
                let batch = Batch::from_wire(builder.build()).expect("a batch");
                let batch = Batch { base_offset: self.end + gap, leader_epoch: self.epoch, ..batch };
                self.end = batch.next_offset();
                self.batches.push(batch.clone());
                log.append(batch, 1_000);
            }
            Act::Truncate(parts) => {
                // Epochs end with batches, and so do truncations.
                let to = self.end * parts / 1_000;
                self.batches.retain(|batch| batch.next_offset() <= to);
                self.end = self.batches.last().map_or(0, Batch::next_offset);
                self.start = self.start.min(self.end);
                log.truncate(self.end);
            }
            Act::RaiseStart(parts) => {
                let to = self.start + (self.end - self.start) * parts / 1_000;
                self.start = self.start.max(to);
                log.raise_start(to);
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = Found> {
        let records = self.batches.iter().flat_map(|batch| batch.records().map(|record| (batch.leader_epoch, record.expect("a record"))));
        records.map(|(leader_epoch, record)| Found { offset: record.offset, timestamp: record.timestamp, leader_epoch })
    }

    /// Whether the epoch's first batch stands there.
    fn begins(&self, epoch: i32, start: i64) -> bool {
        self.batches.iter().find(|batch| batch.leader_epoch == epoch).is_some_and(|first| first.base_offset == start)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn offsets_times_and_epochs_are_found_where_a_linear_search_finds_them(config in configs(), acts in acts()) {
        let (mut log, mut model) = (Log::new(config), Model::default());
        for act in &acts {
            model.act(act, &mut log);
            prop_assert_eq!((log.start_offset(), log.end_offset()), (model.start, model.end));
        }
        prop_assert_eq!(log.bytes(), model.batches.iter().map(|batch| batch.size() as u64).sum::<u64>());
        let epochs: Vec<(i32, i64)> = log.epochs().iter().map(|known| (known.epoch, known.start)).collect();
        prop_assert!(epochs.is_sorted_by(|one, other| one.0 < other.0 && one.1 < other.1), "{:?}", epochs);
        prop_assert!(epochs.iter().skip(1).all(|(epoch, start)| model.begins(*epoch, *start)), "{:?}", epochs);
        for readable in model.records().filter(|record| model.start <= record.offset) {
            prop_assert_eq!(log.epoch_at(readable.offset), Some(readable.leader_epoch));
        }
        let bases: Vec<i64> = log.segments().map(|segment| segment.base_offset()).collect();
        prop_assert!(bases.is_sorted_by(|one, other| one < other));
        for segment in log.segments() {
            prop_assert!(segment.bytes() <= config.segment_bytes || segment.batches().count() == 1);
            let times: Vec<i64> = segment.batches().map(|batch| batch.max_timestamp).collect();
            prop_assert!(times.iter().all(|time| times[0] < 0 || time - times[0] <= config.segment_ms));
        }
        for from in 0..=model.end + 1 {
            let expected: Vec<i64> = model.batches.iter().filter(|batch| from < batch.next_offset()).map(|batch| batch.base_offset).collect();
            prop_assert_eq!(log.batches_from(from).map(|batch| batch.base_offset).collect::<Vec<_>>(), expected, "from {}", from);
        }
        for time in -1..61 {
            let expected = model.records().find(|record| model.start <= record.offset && time <= record.timestamp);
            prop_assert_eq!(log.first_at(time), expected, "time {}", time);
        }
        if model.start == 0 {
            let newest = model.records().map(|record| record.timestamp).max().filter(|newest| 0 <= *newest);
            let expected = newest.and_then(|newest| model.records().find(|record| record.timestamp == newest));
            prop_assert_eq!(log.newest(), expected);
        }
    }

    #[test]
    fn reads_one_after_another_give_the_whole_log(config in configs(), acts in acts(), max_bytes in 0..1_000usize) {
        let (mut log, mut model) = (Log::new(config), Model::default());
        acts.iter().for_each(|act| model.act(act, &mut log));
        let (mut from, mut seen) = (0, Vec::new());
        loop {
            let read = log.read(from, log.end_offset(), max_bytes, true);
            let Some(last) = read.last() else { break };
            prop_assert!(read.len() == 1 || read.iter().map(Batch::size).sum::<usize>() <= max_bytes);
            from = last.next_offset();
            seen.extend(read);
        }
        prop_assert_eq!(seen, model.batches);
    }
}
