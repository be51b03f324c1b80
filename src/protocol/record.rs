//! The records inside a batch, read one at a time and sharing its allocation.
//!
//! Source: `DefaultRecord.readFrom`. Every length is checked against the bytes that are left before anything is taken or reserved.

use super::batch::{BatchError, BatchHeader, Codec, HEADER_SIZE, Header};
use super::varint::{read_varint, read_varlong};
use bytes::Bytes;

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub offset: i64,
    /// Epoch milliseconds; -1 for none.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// Reads a batch's records in order. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Records {
    bytes: Bytes,
    at: usize,
    left: i32,
    index: i32,
    base_offset: i64,
    base_timestamp: i64,
    /// With log append time every record shows this.
    append_time: Option<i64>,
    failed: Option<BatchError>,
}

impl Records {
    pub(super) fn new(bytes: &Bytes, header: &BatchHeader, base_offset: i64) -> Result<Records, BatchError> {
        match header.codec()? {
            Codec::None => {}
            codec => return Err(BatchError::UnsupportedCodec(codec)),
        }
        if header.count < 0 {
            return Err(BatchError::NegativeCount(header.count));
        }
        Ok(Records {
            bytes: bytes.clone(),
            at: HEADER_SIZE,
            left: header.count,
            index: 0,
            base_offset,
            base_timestamp: header.base_timestamp,
            append_time: header.is_log_append_time().then_some(header.max_timestamp),
            failed: None,
        })
    }

    /// A reader of a batch that cannot be read.
    pub(super) fn failed(error: BatchError) -> Records {
        Records { bytes: Bytes::new(), at: 0, left: 0, index: 0, base_offset: 0, base_timestamp: 0, append_time: None, failed: Some(error) }
    }

    fn read(&mut self) -> Result<Record, &'static str> {
        let start = self.at;
        let mut rest = &self.bytes[start..];
        let length = read_varint(&mut rest).ok_or("its length cannot be read")?;
        let body_at = self.bytes.len() - rest.len();
        let length = usize::try_from(length).map_err(|_| "its length is negative")?;
        if rest.len() < length {
            return Err("it is longer than what is left of the batch");
        }
        let mut body = Body { bytes: &self.bytes, at: body_at, end: body_at + length };
        body.take(1).ok_or("it has no attributes")?;
        let timestamp_delta = body.varlong().ok_or("its timestamp cannot be read")?;
        let offset_delta = body.varint().ok_or("its offset cannot be read")?;
        let key = body.bytes().ok_or("its key is longer than the record")?;
        let value = body.bytes().ok_or("its value is longer than the record")?;
        let count = body.varint().ok_or("its header count cannot be read")?;
        let count = usize::try_from(count).map_err(|_| "its header count is negative")?;
        // A header takes at least two bytes: more cannot be there, whatever the count says.
        if body.end - body.at < 2 * count.min(usize::MAX / 2) {
            return Err("it has fewer headers than it says");
        }
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let name = body.bytes().flatten().ok_or("a header has no name")?;
            headers.push((name, body.bytes().ok_or("a header's value is longer than the record")?));
        }
        if body.at != body.end {
            return Err("its length does not fit its fields");
        }
        self.at = body.end;
        Ok(Record {
            offset: self.base_offset.wrapping_add(i64::from(offset_delta)),
            timestamp: self.append_time.unwrap_or(self.base_timestamp.wrapping_add(timestamp_delta)),
            key,
            value,
            headers,
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.left = 0;
            return Some(Err(error));
        }
        if self.left == 0 {
            // What follows the last record is no record.
            let extra = self.at < self.bytes.len();
            self.at = self.bytes.len();
            return extra.then_some(Err(BatchError::Record { index: self.index, what: "bytes follow the last record" }));
        }
        self.left -= 1;
        let index = self.index;
        self.index += 1;
        let read = self.read().map_err(|what| BatchError::Record { index, what });
        if read.is_err() {
            (self.left, self.at) = (0, self.bytes.len());
        }
        Some(read)
    }
}

/// One record's bytes after its length.
struct Body<'a> {
    bytes: &'a Bytes,
    at: usize,
    end: usize,
}

impl Body<'_> {
    fn take(&mut self, count: usize) -> Option<Bytes> {
        if self.end - self.at < count {
            return None;
        }
        self.at += count;
        Some(self.bytes.slice(self.at - count..self.at))
    }

    fn varint(&mut self) -> Option<i32> {
        let mut rest = &self.bytes[self.at..self.end];
        let value = read_varint(&mut rest)?;
        self.at = self.end - rest.len();
        Some(value)
    }

    fn varlong(&mut self) -> Option<i64> {
        let mut rest = &self.bytes[self.at..self.end];
        let value = read_varlong(&mut rest)?;
        self.at = self.end - rest.len();
        Some(value)
    }

    /// Bytes with their length before them; `Some(None)` for null.
    fn bytes(&mut self) -> Option<Option<Bytes>> {
        match self.varint()? {
            length if length < 0 => Some(None),
            length => Some(Some(self.take(length as usize)?)),
        }
    }
}
