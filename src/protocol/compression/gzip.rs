//! gzip members (RFC 1952) around deflate (RFC 1951), as Java's `GZIPOutputStream` writes and `GZIPInputStream` reads them.
//!
//! The deflate itself is miniz_oxide's. Several members in a row are one stream; anything else behind a member is left unread.

use super::{CUT_OFF, Flaw, Output, TOO_LONG, take, take_slice};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress as inflate, inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
/// The writer's operating system is not told.
const UNKNOWN_SYSTEM: u8 = 255;
/// Where the output begins to grow; it doubles.
const ROOM_MIN: usize = 1 << 10;

/// Parts of a header that its flags announce.
mod flag {
    pub const HEADER_CHECKSUM: u8 = 0x02;
    pub const EXTRA: u8 = 0x04;
    pub const NAME: u8 = 0x08;
    pub const COMMENT: u8 = 0x10;
}

pub(super) fn compress(bytes: &[u8], level: u8) -> Vec<u8> {
    // Magic, method, flags, four bytes of time, what the deflater was told to favour.
    let mut member = vec![MAGIC[0], MAGIC[1], DEFLATE, 0, 0, 0, 0, 0, 0, UNKNOWN_SYSTEM];
    member.extend_from_slice(&miniz_oxide::deflate::compress_to_vec(bytes, level));
    member.extend_from_slice(&crc32(bytes).to_le_bytes());
    member.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    member
}

pub(super) fn decompress(mut rest: &[u8], output: &mut Output) -> Result<(), Flaw> {
    skip_header(&mut rest)?;
    loop {
        let start = output.bytes.len();
        inflate_member(&mut rest, output)?;
        let (checksum, size) = (u32::from_le_bytes(take(&mut rest)?), u32::from_le_bytes(take(&mut rest)?));
        let member = &output.bytes[start..];
        if checksum != crc32(member) || size != member.len() as u32 {
            return Err("its gzip checksum or length is not that of its bytes");
        }
        if skip_header(&mut rest).is_err() {
            return Ok(());
        }
    }
}

fn skip_header(rest: &mut &[u8]) -> Result<(), Flaw> {
    let [first, second, method, flags, ..] = take::<10>(rest)?;
    if [first, second] != MAGIC || method != DEFLATE {
        return Err("it does not begin as gzip does");
    }
    if flags & flag::EXTRA != 0 {
        let size = u16::from_le_bytes(take(rest)?);
        take_slice(rest, usize::from(size))?;
    }
    for text in [flag::NAME, flag::COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(CUT_OFF)?;
            take_slice(rest, end + 1)?;
        }
    }
    if flags & flag::HEADER_CHECKSUM != 0 {
        take::<2>(rest)?;
    }
    Ok(())
}

fn inflate_member(rest: &mut &[u8], output: &mut Output) -> Result<(), Flaw> {
    let start = output.bytes.len();
    let mut inflater = Box::<DecompressorOxide>::default();
    // Of this member alone: a distance must not reach back into the one before it.
    let mut written = 0;
    loop {
        let room = written.max(rest.len()).max(ROOM_MIN).min(output.limit.saturating_sub(start + written));
        output.bytes.resize(start + written + room, 0);
        let member = &mut output.bytes[start..];
        let (status, read, wrote) = inflate(&mut inflater, rest, member, written, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
        *rest = rest.get(read..).unwrap_or_default();
        written += wrote;
        output.bytes.truncate(start + written);
        match status {
            TINFLStatus::Done => return Ok(()),
            TINFLStatus::HasMoreOutput if room == 0 => return Err(TOO_LONG),
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::NeedsMoreInput | TINFLStatus::FailedCannotMakeProgress => return Err(CUT_OFF),
            _ => return Err("its deflated bytes are damaged"),
        }
    }
}

/// CRC-32 as gzip has it (reflected 0x04c11db7), four bits at a time: a table of 64 bytes, not of 1 to 16 KiB that do not compress.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0u32; 16];
        let mut index = 0;
        while index < 16 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 4 {
                value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn optional_parts_of_a_header_and_more_members_are_read_and_a_wrong_checksum_is_not() {
        let read = |bytes: &[u8]| {
            let mut output = Output { bytes: Vec::new(), limit: 1_000 };
            decompress(bytes, &mut output).map(|()| output.bytes)
        };
        let plain = compress(b"one ", 6);
        let mut dressed = plain[..10].to_vec();
        dressed[3] = flag::EXTRA | flag::NAME | flag::COMMENT | flag::HEADER_CHECKSUM;
        dressed.extend_from_slice(&[2, 0, 9, 9]);
        dressed.extend_from_slice(b"name\0comment\0\x01\x02");
        dressed.extend_from_slice(&plain[10..]);
        assert_eq!(read(&[dressed, compress(b"two", 1), b"left over".to_vec()].concat()).as_deref(), Ok(&b"one two"[..]));
        let mut wrong = plain.clone();
        wrong[plain.len() - 8] ^= 1;
        assert!(read(&wrong).is_err());
    }
}
