//! Fields of Kafka's older (not flexible) formats: big-endian integers, strings and bytes with their length before them.
//!
//! Reading never takes or reserves more than what is left.

use bytes::Bytes;

/// Bytes that end before the field does, or a length that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Reads fields from the front of bytes; what it gives out shares their allocation.
#[derive(Debug)]
pub struct Reader {
    rest: Bytes,
}

impl Reader {
    pub fn new(bytes: &Bytes) -> Reader {
        Reader { rest: bytes.clone() }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, count: usize) -> Result<Bytes, Malformed> {
        if self.rest.len() < count { Err(Malformed) } else { Ok(self.rest.split_to(count)) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.as_ref().try_into().map_err(|_| Malformed)
    }

    pub fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn nullable_string(&mut self) -> Result<Option<String>, Malformed> {
        let length = self.i16()?;
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let bytes = self.take(length)?;
        std::str::from_utf8(&bytes).map(|text| Some(text.to_owned())).map_err(|_| Malformed)
    }

    pub fn string(&mut self) -> Result<String, Malformed> {
        self.nullable_string()?.ok_or(Malformed)
    }

    pub fn nullable_bytes(&mut self) -> Result<Option<Bytes>, Malformed> {
        let length = self.i32()?;
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        self.take(length).map(Some)
    }

    pub fn bytes(&mut self) -> Result<Bytes, Malformed> {
        self.nullable_bytes()?.ok_or(Malformed)
    }

    /// An array's length, if as many items of at least `smallest` bytes can still be there.
    pub fn count(&mut self, smallest: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.i32()?).map_err(|_| Malformed)?;
        if self.rest.len() / smallest < count { Err(Malformed) } else { Ok(count) }
    }
}

/// Writes the same fields.
#[derive(Default, Debug)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub fn i16(&mut self, value: i16) -> &mut Writer {
        self.out.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn i32(&mut self, value: i32) -> &mut Writer {
        self.out.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn i64(&mut self, value: i64) -> &mut Writer {
        self.out.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn nullable_string(&mut self, value: Option<&str>) -> &mut Writer {
        match value {
            None => self.i16(-1),
            Some(text) => {
                self.i16(text.len() as i16);
                self.out.extend_from_slice(text.as_bytes());
                self
            }
        }
    }

    pub fn string(&mut self, value: &str) -> &mut Writer {
        self.nullable_string(Some(value))
    }

    pub fn nullable_bytes(&mut self, value: Option<&[u8]>) -> &mut Writer {
        match value {
            None => self.i32(-1),
            Some(bytes) => {
                self.i32(bytes.len() as i32);
                self.out.extend_from_slice(bytes);
                self
            }
        }
    }

    pub fn done(self) -> Bytes {
        self.out.into()
    }
}
