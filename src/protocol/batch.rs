//! Record batches of format 2: the unit that producers send, logs store and consumers read.
//!
//! Owns the header, validation, and the stored form. Base offset and leader epoch lie outside the checksum: a stored batch keeps the
//! producer's bytes as they came and lays its own two fields over them only where bytes leave the engine. Source: `DefaultRecordBatch`,
//! KIP-98, KIP-534 (delete horizon).

use super::ErrorCode;
pub use super::record::{Record, Records};
use super::varint::{varint_size, varlong_size, write_varint, write_varlong};
use bytes::Bytes;

/// Bytes before the first record.
pub const HEADER_SIZE: usize = 61;
/// Base offset and length: what the length field does not count.
pub const LOG_OVERHEAD: usize = 12;
/// The only format that is read.
pub const MAGIC: u8 = 2;

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const COUNT_AT: usize = 57;

const CODEC_BITS: i16 = 0x07;
const LOG_APPEND_TIME_BIT: i16 = 0x08;
const TRANSACTIONAL_BIT: i16 = 0x10;
const CONTROL_BIT: i16 = 0x20;
const DELETE_HORIZON_BIT: i16 = 0x40;

/// How a batch's records are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec with this number in the attributes, if Kafka has one.
    pub fn from_id(id: i16) -> Option<Codec> {
        [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd].get(usize::try_from(id).ok()?).copied()
    }

    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

/// Why bytes are no batch, or a batch's records cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BatchError {
    TooShort {
        bytes: usize,
    },
    WrongLength {
        length: i32,
        bytes: usize,
    },
    WrongMagic(u8),
    WrongChecksum {
        stored: u32,
        computed: u32,
    },
    UnknownCodec(i16),
    /// The codec exists, and this version does not read it.
    UnsupportedCodec(Codec),
    Record {
        index: i32,
        what: &'static str,
    },
    NegativeCount(i32),
}

impl BatchError {
    /// What Kafka answers to a produce request that holds such a batch.
    pub fn code(&self) -> ErrorCode {
        match self {
            BatchError::UnsupportedCodec(_) | BatchError::UnknownCodec(_) => ErrorCode::UnsupportedCompressionType,
            BatchError::Record { .. } | BatchError::NegativeCount(_) => ErrorCode::InvalidRecord,
            _ => ErrorCode::CorruptMessage,
        }
    }
}

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BatchError::TooShort { bytes } => write!(f, "a batch has at least {HEADER_SIZE} bytes, not {bytes}"),
            BatchError::WrongLength { length, bytes } => {
                write!(f, "the batch says that {length} bytes follow its length, and there are {bytes}")
            }
            BatchError::WrongMagic(magic) => write!(f, "the batch has format {magic}, and only {MAGIC} is read"),
            BatchError::WrongChecksum { stored, computed } => {
                write!(f, "the batch says that its checksum is {stored:08x}, and it is {computed:08x}")
            }
            BatchError::UnknownCodec(id) => write!(f, "there is no compression type {id}"),
            BatchError::UnsupportedCodec(codec) => write!(f, "{} is not read yet", codec.name()),
            BatchError::Record { index, what } => write!(f, "record {index} of the batch: {what}"),
            BatchError::NegativeCount(count) => write!(f, "a batch does not have {count} records"),
        }
    }
}

impl std::error::Error for BatchError {}

/// The fields before the records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes after this field.
    pub length: i32,
    pub leader_epoch: i32,
    pub magic: u8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    /// With a delete horizon: that horizon.
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub count: i32,
}

impl BatchHeader {
    /// Reads the fields without looking at what they mean.
    pub fn read(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        if bytes.len() < HEADER_SIZE {
            return Err(BatchError::TooShort { bytes: bytes.len() });
        }
        Ok(BatchHeader {
            base_offset: i64_at(bytes, 0),
            length: i32_at(bytes, LENGTH_AT),
            leader_epoch: i32_at(bytes, LEADER_EPOCH_AT),
            magic: bytes[MAGIC_AT],
            crc: i32_at(bytes, CRC_AT) as u32,
            attributes: i16_at(bytes, ATTRIBUTES_AT),
            last_offset_delta: i32_at(bytes, LAST_OFFSET_DELTA_AT),
            base_timestamp: i64_at(bytes, BASE_TIMESTAMP_AT),
            max_timestamp: i64_at(bytes, MAX_TIMESTAMP_AT),
            producer_id: i64_at(bytes, PRODUCER_ID_AT),
            producer_epoch: i16_at(bytes, PRODUCER_EPOCH_AT),
            base_sequence: i32_at(bytes, BASE_SEQUENCE_AT),
            count: i32_at(bytes, COUNT_AT),
        })
    }

    pub fn codec(&self) -> Result<Codec, BatchError> {
        let id = self.attributes & CODEC_BITS;
        Codec::from_id(id).ok_or(BatchError::UnknownCodec(id))
    }

    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME_BIT != 0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_BIT != 0
    }
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    (i64::from(i32_at(bytes, at)) << 32) | i64::from(i32_at(bytes, at + 4) as u32)
}

/// Checks size, format and checksum of bytes that should be one batch.
pub fn validate(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::read(bytes)?;
    if i64::from(header.length) + LOG_OVERHEAD as i64 != bytes.len() as i64 {
        return Err(BatchError::WrongLength { length: header.length, bytes: bytes.len() - LOG_OVERHEAD });
    }
    if header.magic != MAGIC {
        return Err(BatchError::WrongMagic(header.magic));
    }
    let computed = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
    if header.crc != computed {
        return Err(BatchError::WrongChecksum { stored: header.crc, computed });
    }
    Ok(header)
}

/// The records of one batch's bytes, with offsets from the base offset in its header.
pub fn records(bytes: &Bytes) -> Result<Records, BatchError> {
    let header = BatchHeader::read(bytes)?;
    let base_offset = header.base_offset;
    Records::new(bytes, &header, base_offset)
}

/// Cuts a buffer into batches. One that is cut off at the end is not there; one whose length cannot be is an error, and the last.
pub fn split(buffer: &Bytes) -> impl Iterator<Item = Result<Bytes, BatchError>> {
    let mut rest = buffer.clone();
    let mut over = false;
    std::iter::from_fn(move || {
        if over || rest.len() < MAGIC_AT + 1 {
            return None;
        }
        let length = i32_at(&rest, LENGTH_AT);
        // The smallest record of the oldest format: less cannot be a batch of any.
        if length < SMALLEST_LENGTH {
            over = true;
            return Some(Err(BatchError::WrongLength { length, bytes: rest.len() - LOG_OVERHEAD }));
        }
        let size = LOG_OVERHEAD + length as usize;
        (size <= rest.len()).then(|| Ok(rest.split_to(size)))
    })
}

/// `LegacyRecord.RECORD_OVERHEAD_V0`.
const SMALLEST_LENGTH: i32 = 14;

/// A batch as a log holds it. Cloning shares the bytes.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub last_offset_delta: i32,
    pub record_count: i32,
    pub max_timestamp: i64,
    /// As the producer made them: base offset and leader epoch in them mean nothing.
    pub bytes: Bytes,
}

impl Batch {
    /// Takes a validated batch's bytes.
    pub fn new(header: &BatchHeader, bytes: Bytes) -> Batch {
        Batch {
            base_offset: header.base_offset,
            leader_epoch: header.leader_epoch,
            last_offset_delta: header.last_offset_delta,
            record_count: header.count,
            max_timestamp: header.max_timestamp,
            bytes,
        }
    }

    /// The offset after the batch's last.
    pub fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    /// The records with their offsets in the log; the reader stops at the first that cannot be read.
    pub fn records(&self) -> Records {
        let records = BatchHeader::read(&self.bytes).and_then(|header| Records::new(&self.bytes, &header, self.base_offset));
        records.unwrap_or_else(Records::failed)
    }

    /// The bytes as they leave the engine: with this log's base offset and leader epoch.
    pub fn to_wire(&self) -> Bytes {
        let mut bytes = self.bytes.to_vec();
        bytes[..LENGTH_AT].copy_from_slice(&self.base_offset.to_be_bytes());
        bytes[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&self.leader_epoch.to_be_bytes());
        bytes.into()
    }
}

/// A batch in the making: uncompressed records, appended one by one.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    count: i32,
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    attributes: i16,
    leader_epoch: i32,
    producer: (i64, i16, i32),
}

impl Default for BatchBuilder {
    fn default() -> BatchBuilder {
        BatchBuilder::new()
    }
}

/// A header's name and value.
pub type Header = (Bytes, Option<Bytes>);

impl BatchBuilder {
    pub fn new() -> BatchBuilder {
        BatchBuilder {
            bytes: Vec::new(),
            count: 0,
            base_offset: 0,
            last_offset_delta: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            attributes: 0,
            leader_epoch: -1,
            producer: (-1, -1, -1),
        }
    }

    /// A batch that already has its place in a log.
    pub fn at(mut self, base_offset: i64, leader_epoch: i32) -> BatchBuilder {
        (self.base_offset, self.leader_epoch) = (base_offset, leader_epoch);
        self
    }

    /// A batch of an idempotent producer: id, epoch and first sequence.
    pub fn producer(mut self, id: i64, epoch: i16, sequence: i32) -> BatchBuilder {
        self.producer = (id, epoch, sequence);
        self
    }

    pub fn transactional(mut self) -> BatchBuilder {
        self.attributes |= TRANSACTIONAL_BIT;
        self
    }

    pub fn control(mut self) -> BatchBuilder {
        self.attributes |= CONTROL_BIT;
        self
    }

    /// Timestamps count from here instead of from the first record's.
    pub fn base_timestamp(mut self, timestamp: i64) -> BatchBuilder {
        self.base_timestamp = timestamp;
        self.bytes.reserve(HEADER_SIZE);
        self.bytes.resize(HEADER_SIZE, 0);
        self
    }

    /// Bytes of the batch as it is.
    pub fn size(&self) -> usize {
        self.bytes.len().max(HEADER_SIZE)
    }

    /// Bytes of the batch with one more record, at the most.
    pub fn size_with(&self, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> usize {
        /// A record's length, attributes, timestamp and offset delta and three counts, at the most.
        const RECORD_OVERHEAD_MAX: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers: usize = headers.iter().map(|(name, value)| 10 + name.len() + length(value.as_deref())).sum();
        self.size() + RECORD_OVERHEAD_MAX + length(key) + length(value) + headers
    }

    /// Adds a record with the next offset.
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        let delta = if self.count == 0 { 0 } else { self.last_offset_delta + 1 };
        self.append_at(delta, timestamp, key, value, headers);
    }

    /// Adds a record at a distance from the base offset, as compaction leaves it.
    pub fn append_at(&mut self, offset_delta: i32, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_SIZE, 0);
            self.base_timestamp = timestamp;
        }
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let length = |bytes: Option<&[u8]>| bytes.map_or(varint_size(-1), |bytes| varint_size(bytes.len() as i32) + bytes.len());
        let header_bytes: usize = headers.iter().map(|(name, value)| length(Some(name)) + length(value.as_deref())).sum();
        let body = 1
            + varlong_size(timestamp_delta)
            + varint_size(offset_delta)
            + length(key)
            + length(value)
            + varint_size(headers.len() as i32)
            + header_bytes;
        write_varint(&mut self.bytes, body as i32);
        self.bytes.push(0);
        write_varlong(&mut self.bytes, timestamp_delta);
        write_varint(&mut self.bytes, offset_delta);
        self.write_bytes(key);
        self.write_bytes(value);
        write_varint(&mut self.bytes, headers.len() as i32);
        for (name, value) in headers {
            self.write_bytes(Some(name));
            self.write_bytes(value.as_deref());
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset_delta = offset_delta;
        self.count += 1;
    }

    fn write_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => write_varint(&mut self.bytes, -1),
            Some(bytes) => {
                write_varint(&mut self.bytes, bytes.len() as i32);
                self.bytes.extend_from_slice(bytes);
            }
        }
    }

    /// Covers offsets up to this distance, whatever the last record's is (compaction keeps a batch's end).
    pub fn last_offset_delta(mut self, delta: i32) -> BatchBuilder {
        self.last_offset_delta = delta;
        self
    }

    /// Writes the header in front of the records.
    pub fn build(mut self) -> Batch {
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_SIZE, 0);
        }
        let length = (self.bytes.len() - LOG_OVERHEAD) as i32;
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let bytes = &mut self.bytes;
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &self.base_offset.to_be_bytes());
        put(LENGTH_AT, &length.to_be_bytes());
        put(LEADER_EPOCH_AT, &self.leader_epoch.to_be_bytes());
        put(MAGIC_AT, &[MAGIC]);
        put(ATTRIBUTES_AT, &self.attributes.to_be_bytes());
        put(LAST_OFFSET_DELTA_AT, &self.last_offset_delta.to_be_bytes());
        put(BASE_TIMESTAMP_AT, &self.base_timestamp.to_be_bytes());
        put(MAX_TIMESTAMP_AT, &self.max_timestamp.to_be_bytes());
        put(PRODUCER_ID_AT, &producer_id.to_be_bytes());
        put(PRODUCER_EPOCH_AT, &producer_epoch.to_be_bytes());
        put(BASE_SEQUENCE_AT, &base_sequence.to_be_bytes());
        put(COUNT_AT, &self.count.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
        bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        Batch {
            base_offset: self.base_offset,
            leader_epoch: self.leader_epoch,
            last_offset_delta: self.last_offset_delta,
            record_count: self.count,
            max_timestamp: self.max_timestamp,
            bytes: self.bytes.into(),
        }
    }
}
