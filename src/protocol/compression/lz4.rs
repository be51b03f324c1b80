//! LZ4 frames (version 1.6 of the frame format), with what Kafka's clients allow of it: independent blocks, no dictionary, one frame.
//!
//! The blocks themselves are lz4_flex's. What is behind the end mark is not read, nor is the checksum of the content compared: neither does Kafka.
//! Source: KIP-57; `Lz4BlockOutputStream`, `Lz4BlockInputStream`; lz4_Frame_format.md.

use super::{Flaw, Output, TOO_LONG, take, take_slice};
use lz4_flex::block::{compress as compress_block, decompress_into};

const MAGIC: u32 = 0x184d_2204;
/// Version 1, independent blocks, no checksums.
const FLAGS: u8 = 0x60;
/// Blocks of 64 KiB.
const BLOCK_DESCRIPTOR: u8 = 0x40;
const BLOCK_SIZE: usize = 64 << 10;
/// In a block's length: it is stored as it is.
const STORED: u32 = 1 << 31;
/// Bytes that one compressed byte may stand for, at the most.
const EXPANSION_MAX: usize = 255;

/// Bits of the flags.
mod flag {
    pub const RESERVED: u8 = 0x03;
    pub const CONTENT_SIZE: u8 = 0x08;
    pub const BLOCK_CHECKSUM: u8 = 0x10;
    pub const INDEPENDENT: u8 = 0x20;
    pub const VERSION: u8 = 0xc0;
    pub const VERSION_1: u8 = 0x40;
}

pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    let descriptor = [FLAGS, BLOCK_DESCRIPTOR];
    let mut frame = MAGIC.to_le_bytes().to_vec();
    frame.extend_from_slice(&descriptor);
    frame.push(header_checksum(&descriptor));
    for block in bytes.chunks(BLOCK_SIZE) {
        let compressed = compress_block(block);
        let (size, stored) =
            if compressed.len() < block.len() { (compressed.len() as u32, &compressed[..]) } else { (block.len() as u32 | STORED, block) };
        frame.extend_from_slice(&size.to_le_bytes());
        frame.extend_from_slice(stored);
    }
    frame.extend_from_slice(&[0; 4]);
    frame
}

pub(super) fn decompress(mut rest: &[u8], output: &mut Output) -> Result<(), Flaw> {
    if u32::from_le_bytes(take(&mut rest)?) != MAGIC {
        return Err("it does not begin as an lz4 frame does");
    }
    let begin = rest;
    let [flags, block_descriptor] = take(&mut rest)?;
    if flags & flag::VERSION != flag::VERSION_1 || flags & flag::RESERVED != 0 {
        return Err("its lz4 frame is of an unknown version");
    }
    if flags & flag::INDEPENDENT == 0 {
        return Err("its lz4 blocks depend on each other");
    }
    let block_size_max = match block_descriptor {
        0x40 => 64 << 10,
        0x50 => 256 << 10,
        0x60 => 1 << 20,
        0x70 => 4 << 20,
        _ => return Err("its lz4 blocks have no known size"),
    };
    if flags & flag::CONTENT_SIZE != 0 {
        take::<8>(&mut rest)?;
    }
    let descriptor = &begin[..begin.len() - rest.len()];
    let [checksum] = take(&mut rest)?;
    if checksum != header_checksum(descriptor) {
        return Err("its lz4 frame header is damaged");
    }
    loop {
        let size = u32::from_le_bytes(take(&mut rest)?);
        let (stored, size) = (size & STORED != 0, (size & !STORED) as usize);
        if size == 0 {
            return Ok(());
        }
        if block_size_max < size {
            return Err("an lz4 block is longer than its frame allows");
        }
        let block = take_slice(&mut rest, size)?;
        if flags & flag::BLOCK_CHECKSUM != 0 && u32::from_le_bytes(take(&mut rest)?) != xxh32(block) {
            return Err("an lz4 block is damaged");
        }
        if stored {
            output.push(block)?;
        } else {
            let most = block_size_max.min(size.saturating_mul(EXPANSION_MAX));
            let limited = output.room() < most;
            let flaw = if limited { TOO_LONG } else { "an lz4 block is damaged" };
            output.fill(most, |place| decompress_into(block, place).map_err(|_| flaw))?;
        }
    }
}

/// One byte of the descriptor's checksum.
fn header_checksum(descriptor: &[u8]) -> u8 {
    (xxh32(descriptor) >> 8) as u8
}

/// XXH32 with seed 0.
fn xxh32(bytes: &[u8]) -> u32 {
    const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let [p1, p2, p3, p4, p5] = PRIMES;
    let (stripes, tail) = bytes.as_chunks::<16>();
    let mut hash = if stripes.is_empty() {
        p5
    } else {
        let mut lanes = [p1.wrapping_add(p2), p2, 0, 0u32.wrapping_sub(p1)];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<4>().0) {
                *lane = lane.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(p2)).rotate_left(13).wrapping_mul(p1);
            }
        }
        [1, 7, 12, 18].iter().zip(lanes).fold(0u32, |sum, (turn, lane)| sum.wrapping_add(lane.rotate_left(*turn)))
    };
    hash = hash.wrapping_add(bytes.len() as u32);
    let (words, tail) = tail.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(p3)).rotate_left(17).wrapping_mul(p4);
    }
    for byte in tail {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(p2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(p3);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(xxh32(b""), 0x02cc_5d05);
        assert_eq!(xxh32(b"abc"), 0x32d1_53ff);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }

    #[test]
    fn block_checksums_and_a_content_size_are_read_and_dependent_blocks_are_not() {
        let read = |flags: u8, checksum: u32| {
            let mut descriptor = vec![flags, BLOCK_DESCRIPTOR];
            if flags & flag::CONTENT_SIZE != 0 {
                descriptor.extend_from_slice(&3u64.to_le_bytes());
            }
            let mut frame = MAGIC.to_le_bytes().to_vec();
            frame.extend_from_slice(&descriptor);
            frame.push(header_checksum(&descriptor));
            frame.extend_from_slice(&(3 | STORED).to_le_bytes());
            frame.extend_from_slice(b"abc");
            frame.extend_from_slice(&checksum.to_le_bytes());
            frame.extend_from_slice(&[0; 4]);
            let mut output = Output { bytes: Vec::new(), limit: 1_000 };
            decompress(&frame, &mut output).map(|()| output.bytes)
        };
        let flags = FLAGS | flag::BLOCK_CHECKSUM | flag::CONTENT_SIZE;
        assert_eq!(read(flags, 0x32d1_53ff).as_deref(), Ok(&b"abc"[..]));
        assert!(read(flags, 0).is_err());
        assert!(read(flags & !flag::INDEPENDENT, 0x32d1_53ff).is_err());
    }
}
