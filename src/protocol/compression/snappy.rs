//! Snappy blocks in the framing of snappy-java ("xerial"), which Kafka's clients write: a header, then chunks behind their lengths.
//!
//! The blocks themselves are the snap crate's. Clients without Java may send one bare block: it is read, too.
//! Source: `SnappyOutputStream`, `SnappyInputStream` of snappy-java; snappy's format_description.txt.

use super::{CUT_OFF, Flaw, Output, TOO_LONG, take, take_slice};
use snap::raw::{Decoder, Encoder, decompress_len};

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Of the framing, and the oldest version that can read it.
const VERSION: u32 = 1;
/// Uncompressed bytes of a chunk, as snappy-java takes them unless told otherwise.
const CHUNK_SIZE: usize = 32 << 10;
/// Bytes that one compressed byte may stand for, at the most: a copy of 64 bytes takes three.
const EXPANSION_MAX: usize = 22;

pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut framed = MAGIC.to_vec();
    framed.extend_from_slice(&VERSION.to_be_bytes());
    framed.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    for chunk in bytes.chunks(CHUNK_SIZE) {
        // It only fails on more than 4 GiB.
        let block = encoder.compress_vec(chunk).unwrap_or_default();
        framed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        framed.extend_from_slice(&block);
    }
    framed
}

pub(super) fn decompress(mut rest: &[u8], output: &mut Output) -> Result<(), Flaw> {
    if !rest.starts_with(&MAGIC) || rest.len() < MAGIC.len() + 8 {
        return decompress_block(rest, output);
    }
    skip_versions(&mut rest)?;
    // Fewer bytes than a length has are no chunk, and no error.
    while 4 <= rest.len() {
        if rest.starts_with(&MAGIC) {
            // Two streams one behind the other.
            skip_versions(&mut rest)?;
            continue;
        }
        let size = i32::from_be_bytes(take(&mut rest)?);
        let size = usize::try_from(size).map_err(|_| "a snappy chunk's length is negative")?;
        decompress_block(take_slice(&mut rest, size)?, output)?;
    }
    Ok(())
}

fn skip_versions(rest: &mut &[u8]) -> Result<(), Flaw> {
    take_slice(rest, MAGIC.len())?;
    let version = i32::from_be_bytes(take(rest)?);
    let _oldest_reader = take::<4>(rest)?;
    if version < VERSION as i32 { Err("its snappy framing is of an unknown version") } else { Ok(()) }
}

fn decompress_block(block: &[u8], output: &mut Output) -> Result<(), Flaw> {
    if block.is_empty() {
        return Err(CUT_OFF);
    }
    let size = decompress_len(block).map_err(|_| "a snappy block has no length")?;
    if block.len().saturating_mul(EXPANSION_MAX) < size {
        return Err("a snappy block says that it has more bytes than it can");
    }
    if output.room() < size {
        return Err(TOO_LONG);
    }
    output.fill(size, |place| Decoder::new().decompress(block, place).map_err(|_| "a snappy block is damaged"))
}
