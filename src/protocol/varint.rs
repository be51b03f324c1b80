//! Variable-length integers with zig-zag signs, as records use them.
//!
//! Source: `ByteUtils.writeVarint`, `readVarlong`.

/// Bytes of a 32-bit varint, at the most.
const VARINT_MAX: usize = 5;
/// Bytes of a 64-bit varint, at the most.
const VARLONG_MAX: usize = 10;

pub fn write_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while 0x80 <= rest {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub fn write_varint(out: &mut Vec<u8>, value: i32) {
    write_varlong(out, i64::from(value));
}

/// Bytes that a value takes.
pub fn varlong_size(value: i64) -> usize {
    let rest = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (rest | 1).leading_zeros() as usize).div_ceil(7)
}

pub fn varint_size(value: i32) -> usize {
    varlong_size(i64::from(value))
}

/// Reads a 64-bit varint from the front of `bytes`. `None`: too short or too long.
pub fn read_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let rest = read_unsigned(bytes, VARLONG_MAX)?;
    Some((rest >> 1) as i64 ^ -((rest & 1) as i64))
}

/// Reads a 32-bit varint. Bits beyond 32 are dropped, as the Java reader does.
pub fn read_varint(bytes: &mut &[u8]) -> Option<i32> {
    let rest = read_unsigned(bytes, VARINT_MAX)? as u32;
    Some((rest >> 1) as i32 ^ -((rest & 1) as i32))
}

fn read_unsigned(bytes: &mut &[u8], longest: usize) -> Option<u64> {
    let mut value = 0;
    for place in 0..longest {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
