//! A batch as the engine keeps and passes it: the producer's bytes, shared, and the two fields that a broker assigns beside them.
//!
//! Base offset and leader epoch lie outside the checksum, so they are laid over the bytes only where these leave the engine; replicas share
//! one allocation. Knows nothing of segments or epochs' history. Source: `UnifiedLog.append`, which writes the same two fields in place.

use super::checksum::checksum;
use super::{
    batch::{BatchHeader, HEADER_SIZE, LOG_OVERHEAD, attribute, field},
    batch_error::BatchError,
    compression::{Codec, DECOMPRESSED_MAX},
    control_record::Marker,
    record::Records,
};
use bytes::Bytes;

/// One batch in a log, in a Produce request or in a Fetch response. Cloning copies no bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub last_offset_delta: i32,
    pub record_count: i32,
    /// Milliseconds.
    pub max_timestamp: i64,
    /// What the producer sent: its own base offset and leader epoch in it mean nothing.
    pub bytes: Bytes,
}

impl Batch {
    /// A batch whose header is right as it stands: one from a leader or off a disk.
    pub fn from_wire(bytes: Bytes) -> Result<Batch, BatchError> {
        let header = BatchHeader::read(&bytes)?;
        Ok(Batch::assigned(bytes, &header, header.base_offset, header.leader_epoch))
    }

    /// A producer's batch at the offset and epoch that its leader gives it. `header` is that of `bytes`.
    pub fn assigned(bytes: Bytes, header: &BatchHeader, base_offset: i64, leader_epoch: i32) -> Batch {
        Batch {
            base_offset,
            leader_epoch,
            last_offset_delta: header.last_offset_delta,
            record_count: header.record_count,
            max_timestamp: header.max_timestamp,
            bytes,
        }
    }

    /// The header with the assigned fields in it.
    pub fn header(&self) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader::read(&self.bytes)?;
        Ok(BatchHeader { base_offset: self.base_offset, leader_epoch: self.leader_epoch, ..header })
    }

    /// What a control batch says of a transaction; `None` of any other batch, and of a control batch that compaction has emptied.
    pub fn marker(&self) -> Option<Marker> {
        let record = self.header().ok().filter(BatchHeader::is_control).and_then(|_| self.records().next()?.ok())?;
        Marker::read(record.key.as_deref(), record.value.as_deref()).ok()
    }

    /// Bytes as they are counted in logs, requests and responses.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether its records must be decompressed before they are read.
    pub fn is_compressed(&self) -> bool {
        BatchHeader::read(&self.bytes).is_ok_and(|header| header.attributes & attribute::CODEC != Codec::None.id())
    }

    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// Where the batch behind this one begins.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// The records with their absolute offsets.
    pub fn records(&self) -> Records {
        match self.header() {
            Ok(header) => Records::of(&self.bytes, header),
            Err(error) => Records::refused(error),
        }
    }

    /// The same records in a sound batch without compression, for a reader that comes back for more. Its own bytes are shared if there is nothing to
    /// undo; a batch that does not decompress whole stays as it is: what can be read of it is read record by record.
    pub fn uncompressed(&self) -> Batch {
        let Ok(header) = BatchHeader::read(&self.bytes) else { return self.clone() };
        let Ok(codec @ (Codec::Gzip | Codec::Snappy | Codec::Lz4 | Codec::Zstd)) = header.codec() else { return self.clone() };
        let decompressed = codec.decompress(&self.bytes[HEADER_SIZE..], DECOMPRESSED_MAX);
        if decompressed.flaw.is_some() {
            return self.clone();
        }
        let mut bytes = [&self.bytes[..HEADER_SIZE], &decompressed.bytes[..]].concat();
        let length = (bytes.len() - LOG_OVERHEAD) as i32;
        lay(&mut bytes, field::LENGTH, &length.to_be_bytes());
        lay(&mut bytes, field::ATTRIBUTES, &(header.attributes & !attribute::CODEC).to_be_bytes());
        Batch { bytes: sealed(bytes), ..*self }
    }

    /// The bytes for outside the engine, base offset and leader epoch laid over them. Copies only if they differ.
    pub fn to_wire(&self) -> Bytes {
        let is = |start: usize, bytes: &[u8]| self.bytes.get(start..start + bytes.len()) == Some(bytes);
        let (base_offset, leader_epoch) = (self.base_offset.to_be_bytes(), self.leader_epoch.to_be_bytes());
        if is(field::BASE_OFFSET, &base_offset) && is(field::LEADER_EPOCH, &leader_epoch) {
            return self.bytes.clone();
        }
        let mut wire = self.bytes.to_vec();
        lay(&mut wire, field::BASE_OFFSET, &base_offset);
        lay(&mut wire, field::LEADER_EPOCH, &leader_epoch);
        Bytes::from(wire)
    }

    /// The same batch with the broker's time for all its records (`message.timestamp.type=LogAppendTime`): new bytes with a new checksum.
    /// The records' own deltas stay as the producer wrote them.
    pub fn with_log_append_time(&self, timestamp: i64) -> Result<Batch, BatchError> {
        self.with_times(attribute::LOG_APPEND_TIME, timestamp)
    }

    /// The same batch with the producer's times, of which this is the newest: new bytes with a new checksum.
    pub fn with_create_time(&self, max_timestamp: i64) -> Result<Batch, BatchError> {
        self.with_times(0, max_timestamp)
    }

    /// The same batch by another producer, or with another sequence: new bytes with a new checksum.
    pub fn with_producer(&self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Batch {
        let mut bytes = self.bytes.to_vec();
        lay(&mut bytes, field::PRODUCER_ID, &producer_id.to_be_bytes());
        lay(&mut bytes, field::PRODUCER_EPOCH, &producer_epoch.to_be_bytes());
        lay(&mut bytes, field::BASE_SEQUENCE, &base_sequence.to_be_bytes());
        Batch { bytes: sealed(bytes), ..*self }
    }

    fn with_times(&self, time_type: i16, max_timestamp: i64) -> Result<Batch, BatchError> {
        let header = BatchHeader::read(&self.bytes)?;
        let mut bytes = self.bytes.to_vec();
        lay(&mut bytes, field::ATTRIBUTES, &(header.attributes & !attribute::LOG_APPEND_TIME | time_type).to_be_bytes());
        lay(&mut bytes, field::MAX_TIMESTAMP, &max_timestamp.to_be_bytes());
        Ok(Batch { max_timestamp, bytes: sealed(bytes), ..*self })
    }
}

/// A whole batch with its checksum made right.
fn sealed(mut bytes: Vec<u8>) -> Bytes {
    let crc = checksum(&bytes[field::ATTRIBUTES..]);
    lay(&mut bytes, field::CRC, &crc.to_be_bytes());
    Bytes::from(bytes)
}

/// Writes a header field, if the bytes reach that far.
fn lay(bytes: &mut [u8], start: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(start..start + field.len()) {
        place.copy_from_slice(field);
    }
}
