//! Zigzag varints of the record format: 32-bit numbers in at most 5 bytes, 64-bit numbers in at most 10.
//!
//! Knows bytes only, nothing of records. Source: KIP-98's message format, `ByteUtils`. Overlong forms are legal, as they are in Kafka; bits beyond
//! the number's width are dropped, and a number that does not end within its longest form is refused.

/// Appends a 32-bit number.
pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(|byte| out.push(byte), zigzag32(value) as u64);
}

/// Appends an unsigned number, as flexible message versions (KIP-482) write lengths and tags.
pub fn put_unsigned_varint(out: &mut Vec<u8>, value: u32) {
    put_unsigned(|byte| out.push(byte), u64::from(value));
}

/// The numbers before a record's key, put together before they are copied to where they belong: at most 21 bytes.
#[derive(Default)]
pub struct Front {
    bytes: [u8; 32],
    length: usize,
}

impl Front {
    pub fn put_byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    pub fn put_varint(&mut self, value: i32) {
        put_unsigned(|byte| self.put_byte(byte), zigzag32(value) as u64);
    }

    pub fn put_varlong(&mut self, value: i64) {
        put_unsigned(|byte| self.put_byte(byte), zigzag64(value));
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Bytes that [`put_varint`] writes.
pub fn varint_size(value: i32) -> usize {
    unsigned_size(zigzag32(value) as u64)
}

/// Bytes that [`Front::put_varlong`] writes.
pub fn varlong_size(value: i64) -> usize {
    unsigned_size(zigzag64(value))
}

/// Takes a 32-bit number off the front; `None` if the bytes end first or the number does not.
pub fn take_varint(bytes: &mut &[u8]) -> Option<i32> {
    let raw = take_unsigned(bytes, 5)? as u32;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a 64-bit number off the front; `None` if the bytes end first or the number does not.
pub fn take_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let raw = take_unsigned(bytes, 10)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Takes an unsigned number of at most 32 bits, as flexible message versions (KIP-482) write lengths and tags.
pub fn take_unsigned_varint(bytes: &mut &[u8]) -> Option<u32> {
    take_unsigned(bytes, 5).map(|raw| raw as u32)
}

fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unsigned_size(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[inline]
fn put_unsigned(mut put: impl FnMut(u8), mut value: u64) {
    while 0x80 <= value {
        put(value as u8 | 0x80);
        value >>= 7;
    }
    put(value as u8);
}

#[inline]
fn take_unsigned(bytes: &mut &[u8], longest: usize) -> Option<u64> {
    // Nearly all lengths and deltas have one byte or two.
    match **bytes {
        [first @ ..0x80, ref rest @ ..] => {
            *bytes = rest;
            return Some(u64::from(first));
        }
        [first, second @ ..0x80, ref rest @ ..] => {
            *bytes = rest;
            return Some(u64::from(first & 0x7f) | u64::from(second) << 7);
        }
        _ => {}
    }
    take_long(bytes, longest)
}

fn take_long(bytes: &mut &[u8], longest: usize) -> Option<u64> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(longest).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_comes_back_and_has_the_size_foretold() {
        let edges = (0..64).flat_map(|bit| [1i64 << bit, (1i64 << bit).wrapping_sub(1), (1i64 << bit).wrapping_neg()]);
        for value in edges.chain([i64::MIN, i64::MAX]) {
            let mut front = Front::default();
            front.put_varlong(value);
            assert_eq!(front.bytes().len(), varlong_size(value), "{value}");
            assert_eq!(take_varlong(&mut front.bytes()), Some(value));

            let mut out = Vec::new();
            put_varint(&mut out, value as i32);
            assert_eq!(out.len(), varint_size(value as i32), "{value}");
            assert_eq!(take_varint(&mut &out[..]), Some(value as i32));
        }
    }

    #[test]
    fn endless_and_cut_numbers_are_refused_and_overlong_ones_read() {
        assert_eq!(take_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
        assert_eq!(take_varint(&mut &[0x80, 0x80][..]), None);
        assert_eq!(take_varint(&mut &[][..]), None);
        assert_eq!(take_varint(&mut &[0x90, 0x80, 0x80, 0x80, 0x00][..]), Some(8));
        assert_eq!(take_varlong(&mut &[0x80; 11][..]), None);
    }
}
