#![cfg(not(target_arch = "wasm32"))]
//! What a leader makes of batches that no client of this house would send: each refusal has Kafka's code, and leaves the log as it was.

mod cluster;

use brokerlab::broker::Broker;
use brokerlab::node::{Body, Channel, Connection, Input, NodeId, Outputs};
use brokerlab::protocol::batch::{HEADER_SIZE, attribute, field};
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, Codec, Compression, ErrorCode, Record};
use brokerlab::replica::PartitionKey;
use bytes::Bytes;
use cluster::Cluster;
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::sync::Arc;

/// 2026-01-01T00:00:00Z, where virtual time begins.
const START_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;

/// A leader of one partition with one record in it, taken out of its cluster: it is asked directly, and nobody else hears of it.
struct Leader {
    broker: Broker,
    now: u64,
    key: PartitionKey,
    topic: uuid::Uuid,
}

impl Leader {
    fn of_topic(configs: Value) -> Leader {
        let mut cluster = Cluster::of_brokers(1);
        cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1, "configs": configs }));
        cluster.advance(500.0);
        cluster.send("orders", Some("first"), "here before");
        cluster.advance(500.0);
        let world = cluster.session.world();
        let topic = world.controller().image().topic("orders").expect("the topic").id;
        let (broker, _) = world.broker(1).expect("the broker");
        let leader = Leader { broker: broker.clone(), now: world.now(), key: PartitionKey { topic, index: 0 }, topic };
        assert_eq!(leader.log().len(), 1);
        leader
    }

    /// The broker's clock.
    fn now_ms(&self) -> i64 {
        START_MS + (self.now / 1_000) as i64
    }

    fn log(&self) -> Vec<Batch> {
        self.broker.replicas()[&self.key].log.batches_from(0).cloned().collect()
    }

    /// Sends one batch with acks=1.
    fn produce(&mut self, bytes: Bytes) -> k::produce_response::PartitionProduceResponse {
        let mut data = k::produce_request::PartitionProduceData::default();
        data.index = 0;
        let mut topic = k::produce_request::TopicProduceData::default();
        topic.topic_id = self.topic;
        topic.partition_data.push(data);
        let mut message = k::ProduceRequest::default();
        message.acks = 1;
        message.topic_data.push(topic);
        // A front end that cuts frames gives each batch its header's fields; one without a header is given any.
        let batch = Batch::from_wire(bytes.clone()).unwrap_or(Batch {
            base_offset: 0,
            leader_epoch: -1,
            last_offset_delta: 0,
            record_count: 0,
            max_timestamp: -1,
            bytes,
        });
        let from = Connection { peer: NodeId::Client(99), channel: Channel::Data };
        let request = Request::Produce(Arc::new(message), Arc::from([batch]));
        let mut out = Outputs::default();
        self.broker.handle(self.now, Input::Request { from, client_id: Arc::from("raw"), correlation: 1, request }, &mut out);
        let answer = out.sends.into_iter().find_map(|sent| match sent.body {
            Body::Response(Response::Produce(response)) => Some(response),
            _ => None,
        });
        answer.expect("an answer").responses[0].partition_responses[0].clone()
    }

    /// The batch is refused with this code, and the log is what it was.
    #[track_caller]
    fn refuses(&mut self, bytes: Bytes, code: ErrorCode) -> k::produce_response::PartitionProduceResponse {
        let before = self.log();
        let answer = self.produce(bytes);
        assert_eq!((ErrorCode::of(answer.error_code), answer.base_offset), (code, -1));
        assert_eq!(self.log(), before, "a refused batch leaves the log as it was");
        answer
    }

    /// The batch is appended; returns it as it stands in the log, and its records.
    #[track_caller]
    fn appends(&mut self, bytes: Bytes) -> (Batch, Vec<Record>) {
        let before = self.log().len();
        let answer = self.produce(bytes);
        assert_eq!((ErrorCode::of(answer.error_code), answer.base_offset), (ErrorCode::None, 1));
        let log = self.log();
        assert_eq!(log.len(), before + 1);
        let stored = log.last().expect("the batch").clone();
        brokerlab::protocol::validate(&stored.to_wire()).expect("what is stored is sound");
        let records = stored.records().collect::<Result<_, _>>().expect("what is stored can be read");
        (stored, records)
    }
}

/// A batch of three records with keys, whose producer's clock is right.
fn batch(options: BatchOptions) -> Bytes {
    batch_at(options, &[START_MS; 3])
}

fn batch_at(options: BatchOptions, timestamps: &[i64]) -> Bytes {
    let mut builder = BatchBuilder::new(options, 0);
    for timestamp in timestamps {
        builder.append(*timestamp, Some(b"key"), Some(b"a value that comes again and again: value, value, value"), &[]);
    }
    builder.build()
}

fn compressed(codec: Codec) -> BatchOptions {
    BatchOptions { compression: Compression::of(codec), ..BatchOptions::default() }
}

/// The same bytes with a header field changed and the checksum made right.
fn with<const N: usize>(bytes: &Bytes, place: usize, field_bytes: [u8; N]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[place..place + N].copy_from_slice(&field_bytes);
    sealed(bytes)
}

fn sealed(mut bytes: Vec<u8>) -> Bytes {
    let length = (bytes.len() - 12) as i32;
    bytes[field::LENGTH..field::LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[field::ATTRIBUTES..]);
    bytes[field::CRC..field::CRC + 4].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

#[test]
fn a_sound_batch_is_appended_as_its_producer_made_it_in_every_codec() {
    for codec in Codec::ALL {
        let bytes = batch(compressed(codec));
        let (stored, records) = Leader::of_topic(json!({})).appends(bytes.clone());
        assert!(stored.bytes == bytes, "{}: the same bytes, shared", codec.name());
        assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [1, 2, 3], "{}", codec.name());
    }
}

#[test]
fn damaged_bytes_are_a_corrupt_message() {
    let mut leader = Leader::of_topic(json!({}));
    let mut flipped = batch(BatchOptions::default()).to_vec();
    *flipped.last_mut().expect("a byte") ^= 1;
    leader.refuses(flipped.into(), ErrorCode::CorruptMessage);
    leader.refuses(batch(BatchOptions::default()).slice(..100), ErrorCode::CorruptMessage);
    leader.refuses(batch(BatchOptions::default()).slice(..30), ErrorCode::CorruptMessage);
}

#[test]
fn a_batch_whose_header_contradicts_itself_is_an_invalid_record() {
    let mut leader = Leader::of_topic(json!({}));
    for codec in Codec::ALL {
        let sound = batch(compressed(codec));
        for (what, wrong) in [
            ("an old format", with(&sound, field::MAGIC, [1])),
            ("a base offset", with(&sound, field::BASE_OFFSET, 7i64.to_be_bytes())),
            ("no records", with(&sound, field::RECORD_COUNT, 0i32.to_be_bytes())),
            ("a negative count", with(&sound, field::RECORD_COUNT, (-1i32).to_be_bytes())),
            ("more records than offsets", with(&sound, field::LAST_OFFSET_DELTA, 1i32.to_be_bytes())),
            ("more offsets than records", with(&sound, field::LAST_OFFSET_DELTA, 1_000i32.to_be_bytes())),
            ("a negative range of offsets", with(&sound, field::LAST_OFFSET_DELTA, (-5i32).to_be_bytes())),
            (
                "more records than there are",
                with(&with(&sound, field::RECORD_COUNT, 4i32.to_be_bytes()), field::LAST_OFFSET_DELTA, 3i32.to_be_bytes()),
            ),
            (
                "fewer records than there are",
                with(&with(&sound, field::RECORD_COUNT, 2i32.to_be_bytes()), field::LAST_OFFSET_DELTA, 1i32.to_be_bytes()),
            ),
            ("a marker", with(&sound, field::ATTRIBUTES, (codec.id() | attribute::CONTROL).to_be_bytes())),
            ("a producer id without a sequence", with(&sound, field::PRODUCER_ID, 9i64.to_be_bytes())),
        ] {
            println!("{}: {what}", codec.name());
            leader.refuses(wrong, ErrorCode::InvalidRecord);
        }
    }
}

#[test]
fn a_codec_that_does_not_exist_is_unsupported_and_bytes_that_do_not_decompress_are_kafkas_unknown_error() {
    let mut leader = Leader::of_topic(json!({}));
    let plain = batch(BatchOptions::default());
    for id in 5i16..=7 {
        leader.refuses(with(&plain, field::ATTRIBUTES, id.to_be_bytes()), ErrorCode::UnsupportedCompressionType);
    }
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        leader.refuses(with(&plain, field::ATTRIBUTES, codec.id().to_be_bytes()), ErrorCode::UnknownServerError);
    }
}

#[test]
fn a_few_bytes_that_decompress_to_more_than_a_page_can_hold_are_too_large() {
    let mut leader = Leader::of_topic(json!({}));
    let mut bomb = batch(compressed(Codec::Zstd)).slice(..HEADER_SIZE).to_vec();
    // A frame of a thousand blocks, each 128 KiB of zeros in four bytes: as one record it would be whole.
    bomb.extend_from_slice(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]);
    let block = (128u32 << 10) << 3 | 1 << 1;
    bomb.extend_from_slice(&[&block.to_le_bytes()[..3], &[0]].concat().repeat(1_000));
    bomb.extend_from_slice(&[1, 0, 0]);
    let one_record = 0xffff_ff7fu32.to_be_bytes();
    bomb.splice(HEADER_SIZE + 6..HEADER_SIZE + 6, [&[4 << 3, 0, 0], &one_record[..]].concat());
    let bomb = with(&with(&sealed(bomb), field::RECORD_COUNT, 1i32.to_be_bytes()), field::LAST_OFFSET_DELTA, 0i32.to_be_bytes());
    assert!(bomb.len() < 5_000);
    leader.refuses(bomb, ErrorCode::MessageTooLarge);
}

#[test]
fn records_that_are_all_there_are_refused_if_their_stream_is_damaged_behind_them() {
    let mut leader = Leader::of_topic(json!({}));
    let mut gzip = batch(compressed(Codec::Gzip)).to_vec();
    let checksum = gzip.len() - 8;
    gzip[checksum] ^= 1;
    leader.refuses(sealed(gzip), ErrorCode::UnknownServerError);
    let mut zstd = batch(compressed(Codec::Zstd)).to_vec();
    zstd.extend_from_slice(b"more");
    leader.refuses(sealed(zstd), ErrorCode::UnknownServerError);
    // Java's readers of the two others stop at the stream's end, and so do ours: what is behind it does no harm.
    for codec in [Codec::Gzip, Codec::Lz4] {
        let mut longer = batch(compressed(codec)).to_vec();
        longer.extend_from_slice(b"more");
        Leader::of_topic(json!({})).appends(sealed(longer));
    }
}

#[test]
fn a_batch_larger_than_max_message_bytes_is_too_large_by_the_bytes_it_is_stored_in() {
    let plain = batch(BatchOptions::default());
    let packed = batch(compressed(Codec::Gzip));
    assert!(packed.len() < plain.len());
    let limit = |bytes: usize| json!({ "max.message.bytes": bytes.to_string() });
    Leader::of_topic(limit(plain.len() - 1)).refuses(plain.clone(), ErrorCode::MessageTooLarge);
    Leader::of_topic(limit(plain.len())).appends(plain.clone());
    Leader::of_topic(limit(packed.len())).appends(packed.clone());
    // Small enough as it came, too large as the topic wants it.
    let mut leader = Leader::of_topic(json!({ "max.message.bytes": (plain.len() - 1).to_string(), "compression.type": "uncompressed" }));
    leader.refuses(packed, ErrorCode::MessageTooLarge);
}

#[test]
fn a_time_out_of_range_is_named_record_by_record() {
    let mut leader = Leader::of_topic(json!({ "message.timestamp.before.max.ms": "60000" }));
    let now = leader.now_ms();
    for codec in [Codec::None, Codec::Zstd] {
        let late = [now + HOUR_MS, now + HOUR_MS + 1, now - 60_000, now - 60_001, -1];
        let answer = leader.refuses(batch_at(compressed(codec), &late), ErrorCode::InvalidTimestamp);
        let named: Vec<i32> = answer.record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!(named, [1, 3], "{}: exactly the limit is within it, and no time at all is none", codec.name());
        assert!(answer.error_message.is_some_and(|message| message.contains("2 of 5")));
    }
    leader.appends(batch_at(BatchOptions::default(), &[now + HOUR_MS, now - 60_000, -1]));
}

#[test]
fn a_compacted_topic_takes_no_record_without_a_key() {
    let mut leader = Leader::of_topic(json!({ "cleanup.policy": "compact,delete" }));
    for codec in [Codec::None, Codec::Lz4] {
        let mut builder = BatchBuilder::new(compressed(codec), 0);
        for key in [Some(&b"key"[..]), None, Some(b"")] {
            builder.append(START_MS, key, Some(b"v"), &[]);
        }
        let answer = leader.refuses(builder.build(), ErrorCode::InvalidRecord);
        assert_eq!(answer.record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [1]);
        assert!(answer.record_errors[0].batch_index_error_message.is_some());
    }
    leader.appends(batch(BatchOptions::default()));
}

#[test]
fn the_time_of_the_append_is_the_brokers_to_give() {
    let claims = BatchOptions { log_append_time: Some(START_MS), ..BatchOptions::default() };
    let mut leader = Leader::of_topic(json!({ "message.timestamp.type": "LogAppendTime" }));
    leader.refuses(batch(claims), ErrorCode::InvalidTimestamp);
    for codec in Codec::ALL {
        let mut leader = Leader::of_topic(json!({ "message.timestamp.type": "LogAppendTime" }));
        // However wrong the producer's clock is.
        let sent = batch_at(compressed(codec), &[7, START_MS * 2, 5]);
        let (stored, records) = leader.appends(sent.clone());
        assert!(records.iter().all(|record| record.timestamp == leader.now_ms()), "{}", codec.name());
        assert_eq!(stored.header().expect("a header").base_timestamp, 7, "only the header changes");
        assert_eq!(stored.bytes[HEADER_SIZE..], sent[HEADER_SIZE..]);
        assert_eq!(leader.produce(batch(compressed(codec))).log_append_time_ms, leader.now_ms());
    }
    // Where the producer's time counts, a claim that passes for a time is taken back.
    let mut leader = Leader::of_topic(json!({}));
    let (stored, records) = leader.appends(batch_at(claims, &[START_MS - 5, START_MS - 9]));
    assert_eq!(stored.header().expect("a header").log_append_time(), None);
    assert_eq!(records.iter().map(|record| record.timestamp).collect::<Vec<_>>(), [START_MS - 5, START_MS - 9]);
    assert_eq!(leader.produce(batch(BatchOptions::default())).log_append_time_ms, -1);
}

#[test]
fn a_wrong_newest_time_in_the_header_is_put_right() {
    for codec in Codec::ALL {
        let sound = batch_at(compressed(codec), &[START_MS, START_MS + 8, START_MS + 2]);
        let (stored, _) = Leader::of_topic(json!({})).appends(with(&sound, field::MAX_TIMESTAMP, 3i64.to_be_bytes()));
        assert_eq!(stored.max_timestamp, START_MS + 8);
        assert!(stored.bytes == sound, "{}", codec.name());
    }
}

#[test]
fn a_topic_with_a_codec_of_its_own_compresses_anew_and_changes_nothing_else() {
    for (name, codec) in
        [("uncompressed", Codec::None), ("gzip", Codec::Gzip), ("snappy", Codec::Snappy), ("lz4", Codec::Lz4), ("zstd", Codec::Zstd)]
    {
        for source in Codec::ALL {
            let times = [START_MS + 3, START_MS, START_MS + 9];
            let options = BatchOptions { producer_id: 4, producer_epoch: 2, base_sequence: 17, ..compressed(source) };
            let sent = batch_at(options, &times);
            let (stored, records) = Leader::of_topic(json!({ "compression.type": name })).appends(sent.clone());
            let header = stored.header().expect("a header");
            assert_eq!(header.codec(), Ok(codec));
            assert_eq!(stored.bytes == sent, source == codec, "bytes are kept exactly where the codec is the same");
            assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4, 2, 17));
            assert_eq!((header.base_timestamp, header.max_timestamp), (START_MS + 3, START_MS + 9));
            assert_eq!(records.iter().map(|record| record.timestamp).collect::<Vec<_>>(), times);
            assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [1, 2, 3]);
        }
    }
    let both = json!({ "compression.type": "gzip", "message.timestamp.type": "LogAppendTime" });
    let mut leader = Leader::of_topic(both);
    let (stored, records) = leader.appends(batch_at(compressed(Codec::Lz4), &[5, 9]));
    assert_eq!(stored.header().expect("a header").log_append_time(), Some(leader.now_ms()));
    assert!(records.iter().all(|record| record.timestamp == leader.now_ms()));
}

#[test]
fn gaps_between_compressed_offsets_are_closed_and_between_plain_ones_they_stay() {
    for codec in [Codec::None, Codec::Gzip] {
        let mut builder = BatchBuilder::new(compressed(codec), 0);
        for delta in [0, 4, 2] {
            builder.append_at(delta, START_MS, Some(b"key"), Some(b"v"), &[]);
        }
        let (_, records) = Leader::of_topic(json!({})).appends(builder.build());
        let offsets: Vec<i64> = records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, if codec == Codec::None { [1, 5, 3] } else { [1, 2, 3] });
    }
}
