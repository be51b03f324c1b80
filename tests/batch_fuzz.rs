#![cfg(not(target_arch = "wasm32"))]
//! Bytes of nobody's making, as batches and as what a producer sends: no panic, no more memory than the bytes can stand for, and what is refused
//! leaves the log as it was.
//!
//! Seeded from Kafka's own batches in `tests/golden/record_batches.tsv`. How many inputs of each kind: the environment variable `FUZZ_INPUTS`.

mod cluster;
mod counting;

use brokerlab::node::Chance;
use brokerlab::protocol::batch::{HEADER_SIZE, LOG_OVERHEAD, field};
use brokerlab::protocol::compression::DECOMPRESSED_MAX;
use brokerlab::protocol::consumer_protocol::{Assignment, StickyUserData, Subscription};
use brokerlab::protocol::group_records::{GroupKey, GroupValue, OffsetValue};
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::protocol::{Batch, BatchHeader, Codec, Compression, ErrorCode, Marker, records, split, validate};
use bytes::Bytes;
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use counting::peak_of;
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Inputs of each kind that an ordinary test run makes.
const INPUTS: u64 = 20_000;
/// Longer inputs are cut: mutation splices them.
const INPUT_MAX: usize = 16 << 10;
/// Memory that any input may take: codecs' tables, an answer, a segment's first room.
const BASE_BYTES: usize = 1 << 20;
/// A header of a record has at least two bytes, and takes two `Bytes` of 32.
const BYTES_PER_INPUT_BYTE: usize = 64;
/// Buffers that hold a batch's records at once, while it is rewritten: two copies that double as they grow, and what is compressed of them.
const COPIES: usize = 6;

fn inputs() -> u64 {
    std::env::var("FUZZ_INPUTS").ok().map_or(INPUTS, |count| count.parse().expect("FUZZ_INPUTS is a number"))
}

/// Every batch of the golden file, sound or damaged.
fn seeds() -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/record_batches.tsv")).expect("the golden file");
    let mut lines = text.lines();
    let column = lines.next().expect("a head").split('\t').position(|name| name == "batch_hex").expect("the column");
    let seeds: Vec<Vec<u8>> = lines.map(|line| unhex(line.split('\t').nth(column).expect("a cell"))).collect();
    assert_eq!(seeds.len(), 97);
    seeds
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex")).collect()
}

fn below(chance: &mut Chance, limit: usize) -> usize {
    chance.below(limit as u64) as usize
}

fn pick<'a, T>(chance: &mut Chance, items: &'a [T]) -> &'a T {
    &items[below(chance, items.len())]
}

/// A number that programs trip over, in as many bytes as the field has.
fn odd_number(chance: &mut Chance, bytes: usize) -> Vec<u8> {
    let number =
        *pick(chance, &[0, 1, -1, 2, 7, 61, 127, 128, 255, 65_535, 1 << 30, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN]);
    number.to_be_bytes()[8 - bytes..].to_vec()
}

const FIELDS: [(usize, usize); 12] = [
    (field::BASE_OFFSET, 8),
    (field::LENGTH, 4),
    (field::LEADER_EPOCH, 4),
    (field::MAGIC, 1),
    (field::ATTRIBUTES, 2),
    (field::LAST_OFFSET_DELTA, 4),
    (field::BASE_TIMESTAMP, 8),
    (field::MAX_TIMESTAMP, 8),
    (field::PRODUCER_ID, 8),
    (field::PRODUCER_EPOCH, 2),
    (field::BASE_SEQUENCE, 4),
    (field::RECORD_COUNT, 4),
];

/// An input made from the seeds: a few changes, and often a header that fits them, so that what lies behind the checksum is reached.
fn mutated(chance: &mut Chance, seeds: &[Vec<u8>]) -> Bytes {
    let mut bytes = pick(chance, seeds).clone();
    if chance.below(4) == 0 {
        bytes = compressed_anew(chance, &bytes);
    }
    for _ in 0..=chance.below(4) {
        mutate(chance, &mut bytes, seeds);
    }
    bytes.truncate(INPUT_MAX);
    if chance.below(4) != 0 {
        seal(&mut bytes);
    }
    Bytes::from(bytes)
}

fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let place = below(chance, bytes.len() + 1);
    match chance.below(9) {
        0 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << chance.below(8)),
        1 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte = chance.draw() as u8),
        2 => bytes.truncate(place),
        3 => {
            let other = pick(chance, seeds);
            let from = below(chance, other.len() + 1);
            bytes.truncate(place);
            bytes.extend_from_slice(&other[from..]);
        }
        4 => {
            let again: Vec<u8> = bytes[place..].iter().take(1 + below(chance, 64)).copied().collect();
            bytes.splice(place..place, again);
        }
        5 => {
            let (start, size) = *pick(chance, &FIELDS);
            lay(bytes, start, &odd_number(chance, size));
        }
        6 => {
            // A varint's bytes among the records, or a length of a compressed block.
            let size = *pick(chance, &[1, 2, 4]);
            let start = HEADER_SIZE + below(chance, bytes.len().saturating_sub(HEADER_SIZE) + 1);
            lay(bytes, start, &odd_number(chance, size));
        }
        7 => {
            let codec = chance.below(8) as u8;
            bytes.iter_mut().skip(field::ATTRIBUTES + 1).take(1).for_each(|low| *low = *low & !7 | codec);
        }
        _ => {
            let end = (place + 1 + below(chance, 16)).min(bytes.len());
            bytes.drain(place..end);
        }
    }
}

/// The same records in another codec, so that damage of records hides behind sound compression.
fn compressed_anew(chance: &mut Chance, bytes: &[u8]) -> Vec<u8> {
    let Ok(batch) = Batch::from_wire(Bytes::copy_from_slice(bytes)) else { return bytes.to_vec() };
    let mut plain = batch.uncompressed().bytes.to_vec();
    for _ in 0..chance.below(3) {
        let size = 1 + below(chance, 2);
        let start = HEADER_SIZE + below(chance, plain.len().saturating_sub(HEADER_SIZE) + 1);
        lay(&mut plain, start, &odd_number(chance, size));
    }
    if chance.below(16) == 0 {
        let all = plain[HEADER_SIZE.min(plain.len())..].to_vec();
        (0..chance.below(200)).for_each(|_| plain.extend_from_slice(&all));
    }
    let codec = *pick(chance, &Codec::ALL);
    let mut again = plain[..HEADER_SIZE.min(plain.len())].to_vec();
    again.extend_from_slice(&Compression::of(codec).compress(plain.get(HEADER_SIZE..).unwrap_or_default()));
    again.iter_mut().skip(field::ATTRIBUTES + 1).take(1).for_each(|low| *low = *low & !7 | codec.id() as u8);
    again
}

fn lay(bytes: &mut [u8], start: usize, field: &[u8]) {
    bytes.iter_mut().skip(start).zip(field).for_each(|(byte, new)| *byte = *new);
}

/// Makes length and checksum right.
fn seal(bytes: &mut [u8]) {
    if HEADER_SIZE <= bytes.len() {
        let length = (bytes.len() - LOG_OVERHEAD) as i32;
        lay(bytes, field::LENGTH, &length.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[field::ATTRIBUTES..]);
        lay(bytes, field::CRC, &crc.to_be_bytes());
    }
}

/// Memory that an input may claim at once: what its bytes can stand for, in whatever codec, up to the limit of a batch.
fn allowed(bytes: &Bytes) -> usize {
    let per_byte = match BatchHeader::read(bytes).map(|header| header.codec()) {
        Ok(Ok(Codec::Gzip)) => 1_032,
        Ok(Ok(Codec::Snappy)) => 22,
        Ok(Ok(Codec::Lz4)) => 255,
        // A block of four bytes repeats one of them 128 Ki times.
        Ok(Ok(Codec::Zstd)) => (128 << 10) / 4,
        _ => 1,
    };
    let decompressed = bytes.len().saturating_mul(per_byte).min(DECOMPRESSED_MAX);
    BASE_BYTES + BYTES_PER_INPUT_BYTE * bytes.len() + COPIES * decompressed
}

/// Reads bytes in every way there is.
fn read_in_every_way(bytes: &Bytes) {
    for batch in split(bytes).flatten() {
        let _ = validate(&batch);
        if let Ok(stored) = Batch::from_wire(batch) {
            stored.records().for_each(drop);
            let _ = (stored.to_wire(), stored.next_offset(), stored.with_log_append_time(7), stored.uncompressed());
            let _ = stored.header().map(|header| (header.last_sequence(), header.last_offset()));
        }
    }
    records(bytes).for_each(drop);
    let _ = Marker::read(Some(bytes), Some(bytes));
    let _ = (Subscription::read(bytes), Assignment::read(bytes), StickyUserData::read(bytes));
    let _ = (GroupKey::read(bytes), OffsetValue::read(bytes), GroupValue::read(bytes));
}

#[test]
fn hostile_batches_are_read_without_a_panic_and_within_what_their_bytes_stand_for() {
    let (seeds, mut chance) = (seeds(), Chance::new(1));
    let (mut sound, mut largest) = (0u64, 0);
    for number in 0..inputs() {
        let bytes = mutated(&mut chance, &seeds);
        sound += u64::from(validate(&bytes).is_ok());
        let peak = peak_of(|| read_in_every_way(&bytes));
        assert!(peak <= allowed(&bytes), "input {number} of {} bytes takes {peak}: {bytes:?}", bytes.len());
        largest = largest.max(peak);
    }
    println!("{} inputs, {sound} of them with a sound checksum, at most {largest} bytes at once", inputs());
    assert!(inputs() / 3 < sound, "damage must be reached behind the checksum, too");
}

/// Topics of which each has another rule for what is appended.
const TOPICS: [(&str, &str, &str); 5] = [
    ("plain", "message.timestamp.before.max.ms", "9223372036854775807"),
    ("compacted", "cleanup.policy", "compact,delete"),
    ("stamped", "message.timestamp.type", "LogAppendTime"),
    ("recompressed", "compression.type", "zstd"),
    ("small", "max.message.bytes", "300"),
];

/// A leader that inputs are sent to.
struct Leader {
    direct: Direct,
    topics: Vec<Uuid>,
}

impl Leader {
    fn new() -> Leader {
        let mut cluster = Cluster::of_brokers(1);
        for (name, setting, value) in TOPICS {
            let configs = json!({ setting: value });
            cluster.apply(json!({ "type": "createTopic", "name": name, "partitions": 1, "replicationFactor": 1, "configs": configs }));
        }
        cluster.advance(500.0);
        let topics = TOPICS.iter().map(|(name, ..)| topic_id(&cluster, name)).collect();
        Leader { direct: Direct::of(&cluster, 1), topics }
    }

    /// What is in a topic's log, in numbers that an append or a truncation would change.
    fn shape(&self, topic: Uuid) -> (i64, i64, u64, usize) {
        let log = &self.direct.replica(topic, 0).log;
        (log.start_offset(), log.end_offset(), log.bytes(), log.segments().count())
    }

    fn produce(&mut self, topic: Uuid, bytes: &Bytes) -> ErrorCode {
        let data = k::produce_request::PartitionProduceData::default();
        let topic_data = k::produce_request::TopicProduceData::default().with_topic_id(topic).with_partition_data(vec![data]);
        let message = k::ProduceRequest::default().with_acks(1).with_topic_data(vec![topic_data]);
        // A front end that cuts frames gives each batch its header's fields; one without a header is given any.
        let headless =
            Batch { base_offset: 0, leader_epoch: -1, last_offset_delta: 0, record_count: 0, max_timestamp: -1, bytes: bytes.clone() };
        let batch = Batch::from_wire(bytes.clone()).unwrap_or(headless);
        match self.direct.ask(Request::Produce(Arc::new(message), Arc::from([batch]))) {
            Some(Response::Produce(response)) => ErrorCode::of(response.responses[0].partition_responses[0].error_code),
            answer => panic!("no answer to a produce: {answer:?}"),
        }
    }
}

#[test]
fn hostile_batches_are_appended_whole_or_refused_with_kafkas_code_and_the_log_as_it_was() {
    // What a client sends begins at offset 0, or is refused before anything is read.
    let mut seeds = seeds();
    seeds.iter_mut().for_each(|seed| {
        lay(seed, field::BASE_OFFSET, &[0; 8]);
        seal(seed);
    });
    let mut chance = Chance::new(2);
    let fresh = Leader::new();
    let mut leader = Leader { direct: fresh.direct.copy(), topics: fresh.topics.clone() };
    let (mut appended, mut refused, mut largest) = (0u64, std::collections::BTreeMap::<i16, u64>::new(), 0);
    for number in 0..inputs() {
        let bytes = mutated(&mut chance, &seeds);
        let topic = *pick(&mut chance, &leader.topics);
        let before = leader.shape(topic);
        // One that its producer has written already is answered as it was then, and not appended again (KIP-98).
        let log = &leader.direct.replica(topic, 0).log;
        let is_repeat = validate(&bytes).is_ok_and(|header| log.producers().duplicate_of(&header).is_some());
        let mut error = ErrorCode::None;
        let peak = peak_of(|| error = leader.produce(topic, &bytes));
        assert!(peak <= allowed(&bytes), "input {number} of {} bytes takes {peak}: {bytes:?}", bytes.len());
        largest = largest.max(peak);
        let after = leader.shape(topic);
        if error == ErrorCode::None && is_repeat {
            assert_eq!(before, after, "input {number} is there already");
        } else if error == ErrorCode::None {
            appended += 1;
            assert!(before.1 < after.1, "input {number}");
            let log = &leader.direct.replica(topic, 0).log;
            let stored = log.batches_from(before.1).next().expect("the batch");
            let header = validate(&stored.to_wire()).expect("what is stored is sound");
            let list = stored.records().collect::<Result<Vec<_>, _>>().expect("what is stored can be read");
            assert_eq!((list.len(), stored.next_offset()), (header.record_count as usize, after.1), "input {number}");
            if after.1 - fresh.shape(topic).1 > 1_000 {
                leader.direct = fresh.direct.copy();
            }
        } else {
            assert_eq!(before, after, "input {number} was refused with {error:?}");
            *refused.entry(error.code()).or_default() += 1;
        }
    }
    println!("{} inputs: {appended} appended, refused by code {refused:?}, at most {largest} bytes at once", inputs());
    use ErrorCode as E;
    let codes = [
        E::CorruptMessage,
        E::InvalidRecord,
        E::MessageTooLarge,
        E::InvalidTimestamp,
        E::UnsupportedCompressionType,
        E::UnknownServerError,
        E::OutOfOrderSequenceNumber,
        E::InvalidProducerEpoch,
        // Of a transaction, and the request names no transactional id.
        E::TransactionalIdAuthorizationFailed,
    ];
    let mut known = codes.map(ErrorCode::code);
    known.sort_unstable();
    assert_eq!(refused.keys().copied().collect::<Vec<_>>(), known, "each of Kafka's codes, and no other");
    assert!(inputs() / 50 < appended, "sound batches are among them, too");
}

#[test]
fn millions_of_refused_records_in_a_few_bytes_are_counted_and_not_listed() {
    let mut leader = Leader::new();
    // The smallest record: seven bytes, no key.
    let records = [12, 0, 0, 0, 1, 1, 0].repeat(5_000_000);
    let mut bytes = seeds()[0][..HEADER_SIZE].to_vec();
    lay(&mut bytes, field::BASE_OFFSET, &[0; 8]);
    lay(&mut bytes, field::ATTRIBUTES, &Codec::Zstd.id().to_be_bytes());
    lay(&mut bytes, field::LAST_OFFSET_DELTA, &4_999_999i32.to_be_bytes());
    lay(&mut bytes, field::RECORD_COUNT, &5_000_000i32.to_be_bytes());
    bytes.extend_from_slice(&Compression::of(Codec::Zstd).compress(&records));
    seal(&mut bytes);
    let bytes = Bytes::from(bytes);
    assert!(bytes.len() < 100_000);
    // Their offsets, all the same, would be put right: then they do not compress that well.
    for (name, expected) in [("compacted", ErrorCode::InvalidRecord), ("plain", ErrorCode::MessageTooLarge)] {
        let topic = leader.topics[TOPICS.iter().position(|topic| topic.0 == name).expect("the topic")];
        let mut error = ErrorCode::None;
        let peak = peak_of(|| error = leader.produce(topic, &bytes));
        assert_eq!(error, expected, "{name}");
        assert!(peak < COPIES * records.len(), "{name}: {peak} bytes at once");
    }
}
