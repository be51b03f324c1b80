//! Record batches of format 2: the 61-byte header, its checksum, and cutting a buffer into batches.
//!
//! Owns the layout and who checks what; knows nothing of logs, offsets assigned or producers' state. Records are read in [`super::record`], batches
//! written in [`super::batch_builder`]. Source: KIP-98's message format; `DefaultRecordBatch`, `ByteBufferLogInputStream`.
//!
//! The checksum covers everything behind itself. Base offset and leader epoch lie before it, so a broker sets them without touching it.

use super::{batch_error::BatchError, checksum::checksum, compression::Codec};
use bytes::Bytes;

/// Where the fields of the header begin.
pub mod field {
    pub const BASE_OFFSET: usize = 0;
    pub const LENGTH: usize = 8;
    pub const LEADER_EPOCH: usize = 12;
    pub const MAGIC: usize = 16;
    pub const CRC: usize = 17;
    pub const ATTRIBUTES: usize = 21;
    pub const LAST_OFFSET_DELTA: usize = 23;
    pub const BASE_TIMESTAMP: usize = 27;
    pub const MAX_TIMESTAMP: usize = 35;
    pub const PRODUCER_ID: usize = 43;
    pub const PRODUCER_EPOCH: usize = 51;
    pub const BASE_SEQUENCE: usize = 53;
    pub const RECORD_COUNT: usize = 57;
}

/// Bits of the attributes.
pub mod attribute {
    pub const CODEC: i16 = 0x07;
    pub const LOG_APPEND_TIME: i16 = 0x08;
    pub const TRANSACTIONAL: i16 = 0x10;
    pub const CONTROL: i16 = 0x20;
    pub const DELETE_HORIZON: i16 = 0x40;
}

/// Bytes of the header.
pub const HEADER_SIZE: usize = 61;
/// Bytes before those that the length field counts: base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// The record format written and read here.
pub const MAGIC: i8 = 2;
/// "No producer id": the batch is not idempotent.
pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_PRODUCER_EPOCH: i16 = -1;
pub const NO_SEQUENCE: i32 = -1;
pub const NO_TIMESTAMP: i64 = -1;
/// What a producer writes where the leader's epoch will stand.
pub const NO_LEADER_EPOCH: i32 = -1;
/// The smallest length field that the splitter follows: a record of format 0 without key and value.
const SMALLEST_LENGTH: i32 = 14;

/// The header as it stands in the bytes, nothing checked but their number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes behind this field; the batch has [`LOG_OVERHEAD`] more.
    pub length: i32,
    pub leader_epoch: i32,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    /// Milliseconds; with a delete horizon: that horizon.
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the first 61 bytes; no record is looked at and no sum computed.
    pub fn read(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let Some(header) = bytes.first_chunk::<HEADER_SIZE>() else {
            return Err(BatchError::Size { stated: HEADER_SIZE as i64, found: bytes.len() });
        };
        Ok(BatchHeader {
            base_offset: i64::from_be_bytes(at(header, field::BASE_OFFSET)),
            length: i32::from_be_bytes(at(header, field::LENGTH)),
            leader_epoch: i32::from_be_bytes(at(header, field::LEADER_EPOCH)),
            magic: i8::from_be_bytes(at(header, field::MAGIC)),
            crc: u32::from_be_bytes(at(header, field::CRC)),
            attributes: i16::from_be_bytes(at(header, field::ATTRIBUTES)),
            last_offset_delta: i32::from_be_bytes(at(header, field::LAST_OFFSET_DELTA)),
            base_timestamp: i64::from_be_bytes(at(header, field::BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(at(header, field::MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(at(header, field::PRODUCER_ID)),
            producer_epoch: i16::from_be_bytes(at(header, field::PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(at(header, field::BASE_SEQUENCE)),
            record_count: i32::from_be_bytes(at(header, field::RECORD_COUNT)),
        })
    }

    /// Bytes of the whole batch, by its length field.
    pub fn size(&self) -> i64 {
        i64::from(self.length) + LOG_OVERHEAD as i64
    }

    /// The codec, if its number is one of Kafka's. Only reading records asks: a batch without records may name any.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        let id = self.attributes & attribute::CODEC;
        Codec::of_id(id).ok_or(BatchError::UnknownCodec(id as u8))
    }

    /// Offset of the last record there was when the batch was produced; compaction keeps it.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// Sequence number of that record; -1 without sequences.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            NO_SEQUENCE => NO_SEQUENCE,
            base => increment_sequence(base, self.last_offset_delta),
        }
    }

    pub fn is_idempotent(&self) -> bool {
        NO_PRODUCER_ID < self.producer_id
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & attribute::TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & attribute::CONTROL != 0
    }

    /// The broker's time, which then counts for every record; `None` with the producer's times.
    pub fn log_append_time(&self) -> Option<i64> {
        (self.attributes & attribute::LOG_APPEND_TIME != 0).then_some(self.max_timestamp)
    }

    /// From when compaction may drop the batch's tombstones and markers, once it has set the time.
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & attribute::DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }
}

/// The sequence number `delta` after `sequence`: past 2^31 - 1 comes 0. A damaged header's negative numbers wrap as they do in Java.
pub fn increment_sequence(sequence: i32, delta: i32) -> i32 {
    if i32::MAX.wrapping_sub(delta) < sequence {
        delta.wrapping_sub(i32::MAX.wrapping_sub(sequence)).wrapping_sub(1)
    } else {
        sequence.wrapping_add(delta)
    }
}

/// Checks one whole batch: its size, its magic, its checksum. Codec and records are checked where they are read, as Kafka does.
pub fn validate(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::read(bytes)?;
    if header.magic != MAGIC {
        return Err(BatchError::OldMagic(header.magic));
    }
    if header.size() != bytes.len() as i64 {
        return Err(BatchError::Size { stated: header.size(), found: bytes.len() });
    }
    let computed = checksum(&bytes[field::ATTRIBUTES..]);
    if computed != header.crc {
        return Err(BatchError::Checksum { stated: header.crc, computed });
    }
    Ok(header)
}

/// Cuts a buffer into batches that share its allocation. What is cut off at the end is simply not there; after an error nothing follows.
pub fn split(buffer: &Bytes) -> Split {
    Split { rest: buffer.clone() }
}

/// See [`split`].
pub struct Split {
    rest: Bytes,
}

impl Iterator for Split {
    type Item = Result<Bytes, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = i32::from_be_bytes(*self.rest.get(field::LENGTH..)?.first_chunk()?);
        if length < SMALLEST_LENGTH {
            self.rest.clear();
            return Some(Err(BatchError::Length(length)));
        }
        let magic = *self.rest.get(field::MAGIC)? as i8;
        if !(0..=MAGIC).contains(&magic) {
            self.rest.clear();
            return Some(Err(BatchError::FutureMagic(magic)));
        }
        let size = length as usize + LOG_OVERHEAD;
        if self.rest.len() < size {
            self.rest.clear();
            return None;
        }
        Some(Ok(self.rest.split_to(size)))
    }
}

/// `N` bytes of the header from `start`: both are constants of the layout, so they lie within it.
fn at<const N: usize>(header: &[u8; HEADER_SIZE], start: usize) -> [u8; N] {
    std::array::from_fn(|index| header[start + index])
}
