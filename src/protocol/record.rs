//! One record of a batch of format 2, and reading a batch's records one by one.
//!
//! Keys, values and headers are slices of the batch's own allocation, or of the one that its records were decompressed into when the first was asked for. Knows nothing of logs. Source: KIP-98's message format; `DefaultRecord`,
//! `DefaultRecordBatch.RecordIterator`.
//!
//! The last record that the header counts is given out only if no byte is left behind it, and a batch that counts none is not looked into: so does Kafka.

use super::{
    batch::{BatchHeader, HEADER_SIZE},
    batch_error::BatchError,
    compression::{Codec, DECOMPRESSED_MAX},
    varint::{Front, put_varint, take_varint, take_varlong, varint_size, varlong_size},
};
use bytes::Bytes;

/// A record as a consumer sees it. Headers keep their order and their duplicates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub offset: i64,
    /// Milliseconds; the batch's time with log append time.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// Header keys are strings to Kafka's clients; a broker does not look.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// A header to be written.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// Bytes of a record without its length field.
pub(super) fn body_size(
    offset_delta: i32,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> usize {
    1 + varlong_size(timestamp_delta) + varint_size(offset_delta) + content_size(key, value, headers)
}

/// Bytes of key, value and headers with their lengths.
pub(super) fn content_size(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
    let headers_size: usize = headers.iter().map(|&(key, value)| blob_size(Some(key)) + blob_size(value)).sum();
    blob_size(key) + blob_size(value) + varint_size(headers.len() as i32) + headers_size
}

/// Appends a record of `body_size` bytes.
pub(super) fn put_record(
    out: &mut Vec<u8>,
    body_size: usize,
    (offset_delta, timestamp_delta): (i32, i64),
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) {
    let mut front = Front::default();
    front.put_varint(body_size as i32);
    front.put_byte(0); // attributes: none is defined
    front.put_varlong(timestamp_delta);
    front.put_varint(offset_delta);
    out.extend_from_slice(front.bytes());
    put_blob(out, key);
    put_blob(out, value);
    put_varint(out, headers.len() as i32);
    for &(key, value) in headers {
        put_blob(out, Some(key));
        put_blob(out, value);
    }
}

fn blob_size(blob: Option<&[u8]>) -> usize {
    blob.map_or(1, |bytes| varint_size(bytes.len() as i32) + bytes.len())
}

fn put_blob(out: &mut Vec<u8>, blob: Option<&[u8]>) {
    match blob {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

/// A record as it lies in its batch, for whoever only looks at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordRef<'a> {
    pub offset: i64,
    /// Milliseconds; the batch's time with log append time.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    headers: HeadersRef<'a>,
}

impl<'a> RecordRef<'a> {
    /// In their order, with their duplicates.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        self.headers
    }

    /// The record by itself, its content shared with the bytes that it lies in.
    fn in_allocation(&self, bytes: &Bytes) -> Record {
        let share = |blob: &[u8]| bytes.slice_ref(blob);
        Record {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.map(share),
            value: self.value.map(share),
            headers: self.headers.map(|(key, value)| (share(key), value.map(share))).collect(),
        }
    }
}

/// Headers that were read through once: they are whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct HeadersRef<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for HeadersRef<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let key = take_blob(&mut self.rest)??;
        Some((key, take_blob(&mut self.rest)?))
    }
}

/// The records of one whole batch that [`super::batch::validate`] accepted, offsets by its header. Lazy; after an error nothing follows.
pub fn records(batch: &Bytes) -> Records {
    match BatchHeader::read(batch) {
        Ok(header) => Records::of(batch, header),
        Err(error) => Records::refused(error),
    }
}

/// See [`records`].
pub struct Records {
    /// The whole batch; once the first record was asked for, the decompressed records alone, if they are compressed.
    bytes: Bytes,
    cursor: Cursor,
    /// What is still to be undone.
    compressed: Option<Codec>,
    /// Found before the first record.
    refused: Option<BatchError>,
}

/// How far the records have been read.
struct Cursor {
    /// Where the next record begins.
    next: usize,
    index: i32,
    count: i32,
    times: Times,
    /// Where decompression stopped, if it did not reach the end: reading stops there, too.
    flaw: Option<BatchError>,
}

/// What a record's deltas count from.
struct Times {
    base_offset: i64,
    base_timestamp: i64,
    log_append_time: Option<i64>,
}

impl Cursor {
    #[inline]
    fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<Result<RecordRef<'a>, BatchError>> {
        if self.count <= self.index {
            return None;
        }
        Some(match self.read(bytes) {
            Ok(record) => {
                self.index += 1;
                Ok(record)
            }
            Err(flaw) => {
                let index = std::mem::replace(&mut self.index, self.count);
                Err(self.flaw.take().unwrap_or(BatchError::Record { index, flaw }))
            }
        })
    }

    #[inline]
    fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<RecordRef<'a>, &'static str> {
        let mut rest = bytes.get(self.next..).unwrap_or_default();
        let size = take_varint(&mut rest).ok_or("its length is cut off")?;
        let size = usize::try_from(size).map_err(|_| "its length is negative")?;
        let body = rest.get(..size).ok_or("it is longer than the rest of the batch")?;
        self.next = bytes.len() - rest.len() + size;
        let record = read_body(body, &self.times)?;
        if self.index + 1 == self.count && (self.next != bytes.len() || self.flaw.is_some()) {
            return Err("it is the last one, and bytes are left behind it");
        }
        Ok(record)
    }
}

impl Records {
    /// None, for this reason.
    pub(super) fn refused(error: BatchError) -> Records {
        let times = Times { base_offset: 0, base_timestamp: 0, log_append_time: None };
        let cursor = Cursor { next: 0, index: 0, count: 0, times, flaw: None };
        Records { bytes: Bytes::new(), cursor, compressed: None, refused: Some(error) }
    }

    /// With a header that stands elsewhere: a stored batch has its own base offset.
    pub(super) fn of(batch: &Bytes, header: BatchHeader) -> Records {
        let (compressed, refused) = match header.codec() {
            _ if header.record_count == 0 => (None, None),
            Err(error) => (None, Some(error)),
            Ok(_) if header.record_count < 0 => (None, Some(BatchError::Count(header.record_count))),
            Ok(Codec::None) => (None, None),
            Ok(codec) => (Some(codec), None),
        };
        let times =
            Times { base_offset: header.base_offset, base_timestamp: header.base_timestamp, log_append_time: header.log_append_time() };
        Records {
            bytes: batch.clone(),
            cursor: Cursor { next: HEADER_SIZE, index: 0, count: header.record_count, times, flaw: None },
            compressed,
            refused,
        }
    }

    fn decompress(&mut self, codec: Codec) {
        let decompressed = codec.decompress(self.bytes.get(HEADER_SIZE..).unwrap_or_default(), DECOMPRESSED_MAX);
        self.bytes = Bytes::from(decompressed.bytes);
        self.cursor.next = 0;
        self.cursor.flaw = decompressed.flaw.map(|flaw| BatchError::Compressed { codec, flaw });
    }

    /// What comes before the first record.
    fn open(&mut self) -> Result<(), BatchError> {
        if let Some(codec) = self.compressed.take() {
            self.decompress(codec);
        }
        match self.refused.take() {
            None => Ok(()),
            Some(error) => {
                self.cursor.index = self.cursor.count;
                Err(error)
            }
        }
    }

    /// The next record where it lies, for whoever only looks: the iterator's records count who shares the bytes, which takes longer than reading.
    #[inline]
    pub fn next_ref(&mut self) -> Option<Result<RecordRef<'_>, BatchError>> {
        match self.open() {
            Err(error) => Some(Err(error)),
            Ok(()) => self.cursor.next(&self.bytes),
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.open() {
            Err(error) => Some(Err(error)),
            Ok(()) => Some(self.cursor.next(&self.bytes)?.map(|record| record.in_allocation(&self.bytes))),
        }
    }
}

fn read_body<'a>(body: &'a [u8], times: &Times) -> Result<RecordRef<'a>, &'static str> {
    let mut rest = body.get(1..).ok_or("it has no attributes")?;
    let timestamp_delta = take_varlong(&mut rest).ok_or("its timestamp is cut off")?;
    let offset_delta = take_varint(&mut rest).ok_or("its offset is cut off")?;
    let key = take_blob(&mut rest).ok_or("its key is longer than the record")?;
    let value = take_blob(&mut rest).ok_or("its value is longer than the record")?;
    let count = take_varint(&mut rest).ok_or("its header count is cut off")?;
    let count = usize::try_from(count).map_err(|_| "its header count is negative")?;
    // The shortest header has two bytes.
    if rest.len() / 2 < count {
        return Err("it says that it has more headers than fit");
    }
    let headers = HeadersRef { rest };
    for _ in 0..count {
        take_blob(&mut rest).ok_or("a header's key is longer than the record")?.ok_or("a header has no key")?;
        take_blob(&mut rest).ok_or("a header's value is longer than the record")?;
    }
    if !rest.is_empty() {
        return Err("its fields end before it does");
    }
    Ok(RecordRef {
        offset: times.base_offset.wrapping_add(i64::from(offset_delta)),
        timestamp: times.log_append_time.unwrap_or(times.base_timestamp.wrapping_add(timestamp_delta)),
        key,
        value,
        headers,
    })
}

/// Bytes behind their length; any negative length is null. The outer `None`: they are cut off.
fn take_blob<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Ok(size) = usize::try_from(take_varint(rest)?) else { return Some(None) };
    let (blob, behind) = rest.split_at_checked(size)?;
    *rest = behind;
    Some(Some(blob))
}

#[cfg(test)]
mod tests {
    use super::super::{BatchBuilder, BatchOptions};
    use super::*;

    /// A batch whose only record has this body behind its length; the checksum is not asked for here.
    fn batch(body: &[u8]) -> Bytes {
        let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
        builder.append(0, None, None, &[]);
        let mut bytes = builder.build().to_vec();
        bytes.truncate(HEADER_SIZE);
        put_varint(&mut bytes, body.len() as i32);
        bytes.extend_from_slice(body);
        bytes.into()
    }

    #[test]
    fn malformed_records_are_refused_with_a_reason() {
        // Attributes, timestamp and offset deltas, key "k", value "v", no headers; then what can go wrong with it.
        let huge_count = [0, 0, 0, 2, b'k', 2, b'v', 0xfe, 0xff, 0xff, 0xff, 0x0f];
        for (body, flaw) in [
            (&[0, 0, 0, 2, b'k', 2, b'v', 0][..], None),
            (&[0, 0, 0, 2, b'k', 2, b'v', 0, 0], Some("its fields end before it does")),
            (&[0, 0, 0, 2, b'k', 2, b'v'], Some("its header count is cut off")),
            (&[0, 0, 0, 2, b'k', 4, b'v', 0], Some("its header count is cut off")),
            (&[0, 0, 0, 2, b'k', 1, b'v', 0], Some("it says that it has more headers than fit")),
            (&[0, 0, 0, 40, b'k', 2, b'v', 0], Some("its key is longer than the record")),
            (&[0, 0, 0, 2, b'k', 2, b'v', 1], Some("its header count is negative")),
            (&huge_count, Some("it says that it has more headers than fit")),
            (&[0, 0, 0, 2, b'k', 2, b'v', 2, 1, 1], Some("a header has no key")),
            (&[], Some("it has no attributes")),
        ] {
            let expected = flaw.map(|flaw| BatchError::Record { index: 0, flaw });
            let found: Vec<_> = records(&batch(body)).map(Result::err).collect();
            assert_eq!(found, [expected], "{body:?}");
        }
    }
}
