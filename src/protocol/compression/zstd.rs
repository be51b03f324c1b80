//! Zstandard frames (RFC 8878), one or several in a row, without dictionaries.
//!
//! Blocks are ruzstd's work. Frame headers are read here, because what they claim is memory: ruzstd reserves a whole window of up to 100 MB for a frame of
//! twenty bytes, and Kafka's own client writes windows of 2 MiB, at its highest levels of 128 MiB, whatever the batch has. The blocks' headers tell
//! how much a frame can hold at the most; a window beyond that, or beyond the limit, is cut down to it. Checksums of the content are not compared: the batch has its own.

use super::{CUT_OFF, Flaw, Output, TOO_LONG, take, take_slice};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

const MAGIC: u32 = 0xfd2f_b528;
/// Sixteen magics of frames that carry no content, the last four bits free.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
/// Bytes that a block can hold at the most.
const BLOCK_SIZE_MAX: usize = 128 << 10;
const DAMAGED: Flaw = "its zstd frame is damaged";

pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

pub(super) fn decompress(mut rest: &[u8], output: &mut Output) -> Result<(), Flaw> {
    if rest.is_empty() {
        return Err(CUT_OFF);
    }
    while !rest.is_empty() {
        let magic = u32::from_le_bytes(take(&mut rest)?);
        if magic & !15 == SKIPPABLE_MAGIC {
            let size = u32::from_le_bytes(take(&mut rest)?);
            take_slice(&mut rest, size as usize)?;
        } else if magic == MAGIC {
            decompress_frame(&mut rest, output)?;
        } else {
            return Err("it does not begin as a zstd frame does");
        }
    }
    Ok(())
}

fn decompress_frame(rest: &mut &[u8], output: &mut Output) -> Result<(), Flaw> {
    let header = FrameHeader::read(rest)?;
    let mut blocks = *rest;
    let content_max = skip_blocks(rest)?;
    if header.has_checksum {
        take::<4>(rest)?;
    }
    let plain = plain_header(header.window_size.min(content_max.min(output.room()) as u64));
    let mut decoder = FrameDecoder::new();
    decoder.init(&plain[..]).map_err(|_| DAMAGED)?;
    loop {
        let decoded = decoder.decode_blocks(&mut blocks, BlockDecodingStrategy::UptoBlocks(1));
        let finished = *decoded.as_ref().unwrap_or(&false);
        if output.room() < decoder.can_collect() {
            return Err(TOO_LONG);
        }
        // It keeps a window back until the frame is finished: of a damaged frame that much is not seen.
        decoder.collect_to_writer(&mut output.bytes).map_err(|_| DAMAGED)?;
        match decoded {
            Err(_) => return Err(DAMAGED),
            Ok(_) if finished => return Ok(()),
            Ok(_) => {}
        }
    }
}

/// What a frame says of itself.
struct FrameHeader {
    window_size: u64,
    has_checksum: bool,
}

impl FrameHeader {
    fn read(rest: &mut &[u8]) -> Result<FrameHeader, Flaw> {
        let [descriptor] = take(rest)?;
        let single_segment = descriptor & 0x20 != 0;
        if descriptor & 0x08 != 0 {
            return Err("its zstd frame is of an unknown version");
        }
        let mut window_size = 0;
        if !single_segment {
            let [window] = take(rest)?;
            let base = 1u64 << (10 + (window >> 3));
            window_size = base + base / 8 * u64::from(window & 7);
        }
        let dictionary = take_slice(rest, [0, 1, 2, 4][usize::from(descriptor & 3)])?;
        if dictionary.iter().any(|byte| *byte != 0) {
            return Err("its zstd frame needs a dictionary");
        }
        let content_size_length = match descriptor >> 6 {
            0 => usize::from(single_segment),
            power => 1 << power,
        };
        let content_size = take_slice(rest, content_size_length)?;
        if single_segment {
            window_size = content_size.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
            // Two bytes count from 256 on.
            window_size = window_size.saturating_add(if content_size.len() == 2 { 256 } else { 0 });
        }
        Ok(FrameHeader { window_size, has_checksum: descriptor & 0x04 != 0 })
    }
}

/// Goes behind a frame's last block; returns the bytes that its blocks can hold at the most.
fn skip_blocks(rest: &mut &[u8]) -> Result<usize, Flaw> {
    let mut content_max = 0usize;
    loop {
        let [low, middle, high] = take(rest)?;
        let header = u32::from_le_bytes([low, middle, high, 0]);
        let size = (header >> 3) as usize;
        let (in_frame, content) = match header >> 1 & 3 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, BLOCK_SIZE_MAX),
            _ => return Err(DAMAGED),
        };
        if BLOCK_SIZE_MAX < size {
            return Err(DAMAGED);
        }
        take_slice(rest, in_frame)?;
        content_max = content_max.saturating_add(content);
        if header & 1 == 1 {
            return Ok(content_max);
        }
    }
}

/// The header of a frame with this window, or the next larger one that a header can name, and nothing else.
fn plain_header(window_size: u64) -> [u8; 6] {
    let [m0, m1, m2, m3] = MAGIC.to_le_bytes();
    let power = window_size.max(1 << 10).next_power_of_two().ilog2();
    [m0, m1, m2, m3, 0, (power as u8 - 10) << 3]
}
