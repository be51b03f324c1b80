//! Writing a record batch of format 2: uncompressed, byte for byte what Kafka's own builder writes; compressed, bytes that hold the same.
//!
//! Owns one growing allocation, compressed at the end. Knows nothing of when a batch is full: it tells its size before and after. Source: `MemoryRecordsBuilder`,
//! `DefaultRecordBatch.writeHeader`. The first record's time is the base of the others', unless a delete horizon is.

use super::checksum::checksum;
use super::{
    batch::{
        HEADER_SIZE, LOG_OVERHEAD, MAGIC, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, attribute, field,
    },
    compression::{Codec, Compression},
    control_record::Marker,
    record::{Header, body_size, content_size, put_record},
    varint::varint_size,
};
use bytes::Bytes;

/// What a batch says of itself besides its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchOptions {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
    pub control: bool,
    pub compression: Compression,
    /// The broker's time in milliseconds, if it counts for every record.
    pub log_append_time: Option<i64>,
    /// Set by compaction: from when tombstones and markers may go.
    pub delete_horizon: Option<i64>,
}

impl Default for BatchOptions {
    /// A plain producer's batch: no producer id, create time, not compressed.
    fn default() -> BatchOptions {
        BatchOptions {
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            compression: Compression::NONE,
            log_append_time: None,
            delete_horizon: None,
        }
    }
}

/// A batch that is being filled.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// The header's room, then the records.
    bytes: Vec<u8>,
    options: BatchOptions,
    /// `None` before the first record.
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    /// Of the last record; -1 before the first.
    last_offset_delta: i32,
    count: i32,
}

/// Bytes that a batch of one record can have at most, as a producer compares them with `max.request.size`:
/// length, attributes, time and offset of the record in their longest forms.
pub fn size_upper_bound(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
    const RECORD_OVERHEAD: usize = 5 + 1 + 10 + 5;
    HEADER_SIZE + RECORD_OVERHEAD + content_size(key, value, headers)
}

impl BatchBuilder {
    /// An empty batch with room for `capacity` bytes; it grows if they are not enough.
    pub fn new(options: BatchOptions, capacity: usize) -> BatchBuilder {
        let mut bytes = Vec::with_capacity(capacity.max(HEADER_SIZE));
        bytes.resize(HEADER_SIZE, 0);
        BatchBuilder {
            bytes,
            options,
            base_timestamp: options.delete_horizon,
            max_timestamp: NO_TIMESTAMP,
            last_offset_delta: -1,
            count: 0,
        }
    }

    /// The whole batch of a transaction marker.
    pub fn marker(marker: Marker, producer_id: i64, producer_epoch: i16, timestamp: i64) -> Bytes {
        let options = BatchOptions { producer_id, producer_epoch, transactional: true, control: true, ..BatchOptions::default() };
        let (key, value) = marker.to_bytes();
        let mut builder = BatchBuilder::new(options, 0);
        builder.append(timestamp, Some(&key), Some(&value), &[]);
        builder.build()
    }

    /// Says whose batch it is, and which of it: a producer knows that only when the batch leaves.
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.options = BatchOptions { producer_id, producer_epoch, base_sequence, ..self.options };
    }

    /// Bytes so far, uncompressed.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub fn record_count(&self) -> i32 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a record at the next offset.
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        self.append_at(self.last_offset_delta.wrapping_add(1), timestamp, key, value, headers);
    }

    /// Appends a record at the next offset if it takes at most `room` bytes, uncompressed. `false`: it does not come in.
    pub fn append_within(&mut self, room: usize, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> bool {
        let offset_delta = self.last_offset_delta.wrapping_add(1);
        let body = body_size(offset_delta, self.timestamp_delta(timestamp), key, value, headers);
        let fits = varint_size(body as i32) + body <= room;
        if fits {
            self.append_body(body, offset_delta, timestamp, key, value, headers);
        }
        fits
    }

    /// Appends a record at this offset from the batch's base: compaction leaves gaps.
    pub fn append_at(&mut self, offset_delta: i32, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        let body = body_size(offset_delta, self.timestamp_delta(timestamp), key, value, headers);
        self.append_body(body, offset_delta, timestamp, key, value, headers);
    }

    fn append_body(
        &mut self,
        body: usize,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        let timestamp_delta = self.timestamp_delta(timestamp);
        self.base_timestamp.get_or_insert(timestamp);
        put_record(&mut self.bytes, body, (offset_delta, timestamp_delta), key, value, headers);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset_delta = offset_delta;
        self.count += 1;
    }

    /// The finished batch, with base offset 0 and no leader epoch: those are laid over it later.
    pub fn build(self) -> Bytes {
        let last_offset_delta = self.last_offset_delta;
        let max_timestamp = self.max_timestamp;
        self.build_covering(last_offset_delta, max_timestamp)
    }

    /// The finished batch of a compacted one: it goes on covering the offsets that it had, and an empty one keeps its time.
    pub fn build_covering(mut self, last_offset_delta: i32, max_timestamp: i64) -> Bytes {
        if self.options.compression.codec != Codec::None {
            let compressed = self.options.compression.compress(&self.bytes[HEADER_SIZE..]);
            self.bytes.truncate(HEADER_SIZE);
            self.bytes.extend_from_slice(&compressed);
        }
        // It is kept as long as the logs that share it: no room that nothing will be written to.
        self.bytes.shrink_to_fit();
        let length = (self.bytes.len() - LOG_OVERHEAD) as i32;
        self.put(field::LENGTH, length.to_be_bytes());
        self.put(field::LEADER_EPOCH, NO_LEADER_EPOCH.to_be_bytes());
        self.put(field::MAGIC, MAGIC.to_be_bytes());
        self.put(field::ATTRIBUTES, self.attributes().to_be_bytes());
        self.put(field::LAST_OFFSET_DELTA, last_offset_delta.to_be_bytes());
        self.put(field::BASE_TIMESTAMP, self.base_timestamp.unwrap_or(NO_TIMESTAMP).to_be_bytes());
        self.put(field::MAX_TIMESTAMP, self.options.log_append_time.unwrap_or(max_timestamp).to_be_bytes());
        self.put(field::PRODUCER_ID, self.options.producer_id.to_be_bytes());
        self.put(field::PRODUCER_EPOCH, self.options.producer_epoch.to_be_bytes());
        self.put(field::BASE_SEQUENCE, self.options.base_sequence.to_be_bytes());
        self.put(field::RECORD_COUNT, self.count.to_be_bytes());
        let crc = checksum(&self.bytes[field::ATTRIBUTES..]);
        self.put(field::CRC, crc.to_be_bytes());
        Bytes::from(self.bytes)
    }

    fn timestamp_delta(&self, timestamp: i64) -> i64 {
        timestamp.wrapping_sub(self.base_timestamp.unwrap_or(timestamp))
    }

    fn attributes(&self) -> i16 {
        let bit = |set: bool, bit: i16| if set { bit } else { 0 };
        self.options.compression.codec.id()
            | bit(self.options.log_append_time.is_some(), attribute::LOG_APPEND_TIME)
            | bit(self.options.transactional, attribute::TRANSACTIONAL)
            | bit(self.options.control, attribute::CONTROL)
            | bit(self.options.delete_horizon.is_some(), attribute::DELETE_HORIZON)
    }

    fn put<const N: usize>(&mut self, start: usize, bytes: [u8; N]) {
        self.bytes[start..start + N].copy_from_slice(&bytes);
    }
}
