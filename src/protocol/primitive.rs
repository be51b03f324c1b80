//! Kafka's primitive types, read from bytes of unknown origin: integers, strings, blobs and array counts, each checked against the bytes left.
//!
//! Knows no message. Only for the formats that are ours (consumer protocol, internal topics). Source: the protocol guide's primitive types,
//! KIP-482 for the compact forms.

use super::varint::{put_unsigned_varint, take_unsigned_varint};
use bytes::{Buf, BufMut, Bytes};
use uuid::Uuid;

/// Bytes of a string that is no blob, at the most: also the compact form, which could say more, is held to it.
pub const STRING_MAX: usize = i16::MAX as usize;

/// Bytes that are not what they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// The bytes end before the field does.
    Short,
    /// A length or count below zero where null is not allowed.
    Negative,
    /// An array that cannot fit into the bytes left.
    Count,
    /// A string that is not UTF-8.
    Utf8,
    /// A version that is not known here.
    Version(i16),
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::Short => f.write_str("The bytes end in the middle of a field."),
            DecodeError::Negative => f.write_str("A length is negative where no null may stand."),
            DecodeError::Count => f.write_str("An array has more elements than fit into the bytes left."),
            DecodeError::Utf8 => f.write_str("A string is not UTF-8."),
            DecodeError::Version(version) => write!(f, "Version {version} is not known."),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Takes fields off the front of shared bytes. With `flexible`, strings, blobs and counts have their compact forms.
pub(super) struct Reader {
    pub bytes: Bytes,
    pub flexible: bool,
}

impl Reader {
    pub fn new(bytes: &Bytes) -> Reader {
        Reader { bytes: bytes.clone(), flexible: false }
    }

    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.bytes.try_get_i8().map_err(|_| DecodeError::Short)
    }

    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.bytes.try_get_u128().map(Uuid::from_u128).map_err(|_| DecodeError::Short)
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.bytes.try_get_i16().map_err(|_| DecodeError::Short)
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.bytes.try_get_i32().map_err(|_| DecodeError::Short)
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.bytes.try_get_i64().map_err(|_| DecodeError::Short)
    }

    pub fn nullable_string(&mut self) -> Result<Option<String>, DecodeError> {
        let length = if self.flexible { self.compact_length()? } else { i64::from(self.i16()?) };
        let Some(bytes) = self.take(length)? else { return Ok(None) };
        std::str::from_utf8(&bytes).map(|text| Some(text.to_owned())).map_err(|_| DecodeError::Utf8)
    }

    pub fn string(&mut self) -> Result<String, DecodeError> {
        self.nullable_string()?.ok_or(DecodeError::Negative)
    }

    pub fn nullable_blob(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let length = if self.flexible { self.compact_length()? } else { i64::from(self.i32()?) };
        self.take(length)
    }

    pub fn blob(&mut self) -> Result<Bytes, DecodeError> {
        self.nullable_blob()?.ok_or(DecodeError::Negative)
    }

    /// An array whose elements have at least `smallest` bytes each: room is made only for as many as can be there.
    pub fn array<T>(&mut self, smallest: usize, element: impl FnMut(&mut Reader) -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(smallest, element)?.ok_or(DecodeError::Negative)
    }

    pub fn nullable_array<T>(
        &mut self,
        smallest: usize,
        mut element: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = if self.flexible { self.compact_length()? } else { i64::from(self.i32()?) };
        let Ok(count) = usize::try_from(count) else { return Ok(None) };
        if self.bytes.len() / smallest < count {
            return Err(DecodeError::Count);
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// Passes over the tagged fields at the end of a flexible struct.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(()))
    }

    /// Reads the tagged fields at the end of a flexible struct, each with a reader of its own bytes.
    pub fn tags(&mut self, mut field: impl FnMut(u32, &mut Reader) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
        if self.flexible {
            for _ in 0..self.unsigned_varint()? {
                let (tag, length) = (self.unsigned_varint()?, self.unsigned_varint()?);
                let bytes = self.take(i64::from(length))?.unwrap_or_default();
                field(tag, &mut Reader { bytes, flexible: true })?;
            }
        }
        Ok(())
    }

    /// Flexible lengths are written plus one, so that 0 is null.
    fn compact_length(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from(self.unsigned_varint()?) - 1)
    }

    fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut rest = &self.bytes[..];
        let value = take_unsigned_varint(&mut rest).ok_or(DecodeError::Short)?;
        let used = self.bytes.len() - rest.len();
        self.bytes.advance(used);
        Ok(value)
    }

    fn take(&mut self, length: i64) -> Result<Option<Bytes>, DecodeError> {
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        if self.bytes.len() < length {
            return Err(DecodeError::Short);
        }
        Ok(Some(self.bytes.split_to(length)))
    }
}

/// Appends a string behind its 16-bit length. Kafka's strings end at 32,767 bytes; what we write is checked long before.
pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

pub(super) fn put_nullable_string(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_string(out, text),
        None => out.put_i16(-1),
    }
}

/// Appends bytes behind their 32-bit length.
pub(super) fn put_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}

pub(super) fn put_nullable_blob(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => put_blob(out, bytes),
        None => out.put_i32(-1),
    }
}

/// Appends the count of an array.
pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_i32(count as i32);
}

/// Appends a string in its compact form.
pub(super) fn put_compact_string(out: &mut Vec<u8>, text: &str) {
    put_compact_count(out, text.len());
    out.put_slice(text.as_bytes());
}

pub(super) fn put_compact_nullable_string(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_compact_string(out, text),
        None => out.put_u8(0),
    }
}

/// Appends a count or length in its compact form: one more than it is.
pub(super) fn put_compact_count(out: &mut Vec<u8>, count: usize) {
    put_unsigned_varint(out, count as u32 + 1);
}

/// Ends a flexible struct without tagged fields.
pub(super) fn put_no_tags(out: &mut Vec<u8>) {
    out.put_u8(0);
}

/// Ends a flexible struct with one tagged field.
pub(super) fn put_tag(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    out.put_u8(1);
    put_unsigned_varint(out, tag);
    put_unsigned_varint(out, bytes.len() as u32);
    out.put_slice(bytes);
}
