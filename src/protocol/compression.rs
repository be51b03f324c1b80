//! How the records of a batch are compressed: gzip, snappy, lz4 and zstd, in the framings that Kafka's clients write.
//!
//! Owns the codecs' names and numbers, and bytes in, bytes out, each within a limit. Knows nothing of batches and records. Where a stream is damaged,
//! what came out before the damage is kept: a reader sees the records up to there, as it does in Kafka, which decompresses while it reads.
//! Source: `CompressionType`, `Compression` (KIP-110 for zstd, KIP-390 for levels), and the formats' own papers, named in each file.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

/// Bytes that one batch may decompress to. Kafka has no such limit, it streams; here a few bytes must not claim all of a page's memory. It is
/// sixty times what `max.message.bytes` lets a batch have by default.
pub const DECOMPRESSED_MAX: usize = 64 << 20;

/// The flaw of a stream that goes on after it has filled its limit.
pub const TOO_LONG: &str = "it decompresses to more bytes than a batch may have here";
/// The flaw of a stream that ends before its end.
const CUT_OFF: &str = "its compressed bytes are cut off";

/// How the records of a batch are compressed. The numbers are those of the batch's attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// As producers' settings and tools write it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    /// The codec of that name; topics and brokers say `uncompressed` where producers say `none`.
    pub fn of_name(name: &str) -> Option<Codec> {
        let name = if name == "uncompressed" { "none" } else { name };
        Codec::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The number in the attributes of a batch.
    pub fn id(self) -> i16 {
        self as i16
    }

    pub fn of_id(id: i16) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// Decompresses one batch's records, at most `limit` bytes of them.
    pub fn decompress(self, compressed: &[u8], limit: usize) -> Decompressed {
        let mut output = Output { bytes: Vec::new(), limit };
        let result = match self {
            Codec::None => output.push(compressed),
            Codec::Gzip => gzip::decompress(compressed, &mut output),
            Codec::Snappy => snappy::decompress(compressed, &mut output),
            Codec::Lz4 => lz4::decompress(compressed, &mut output),
            Codec::Zstd => zstd::decompress(compressed, &mut output),
        };
        Decompressed { bytes: output.bytes, flaw: result.err() }
    }
}

/// What decompression gave: everything, or all that comes before a flaw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decompressed {
    pub bytes: Vec<u8>,
    pub flaw: Option<&'static str>,
}

/// A codec and how hard it tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compression {
    pub codec: Codec,
    /// 1 to 9, of gzip. The others have one level here.
    pub gzip_level: u8,
}

impl Compression {
    pub const NONE: Compression = Compression::of(Codec::None);

    /// At the codec's own default level.
    pub const fn of(codec: Codec) -> Compression {
        // Where `compression.gzip.level` is -1, zlib takes 6.
        Compression { codec, gzip_level: 6 }
    }

    /// gzip at the level that a setting names: 1 to 9, or -1 (and nothing at all) for its default.
    pub fn gzip(level: Option<i64>) -> Compression {
        let default = Compression::of(Codec::Gzip);
        let given = level.and_then(|level| u8::try_from(level).ok()).filter(|level| (1..=9).contains(level));
        Compression { gzip_level: given.unwrap_or(default.gzip_level), ..default }
    }

    /// Compresses one batch's records.
    pub fn compress(self, records: &[u8]) -> Vec<u8> {
        match self.codec {
            Codec::None => records.to_vec(),
            Codec::Gzip => gzip::compress(records, self.gzip_level),
            Codec::Snappy => snappy::compress(records),
            Codec::Lz4 => lz4::compress(records),
            Codec::Zstd => zstd::compress(records),
        }
    }
}

/// Why a stream ends before its end.
type Flaw = &'static str;

/// Decompressed bytes that may grow up to a limit, and do so only as they come: no length that a stream claims is believed beforehand.
struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    /// Bytes that still fit.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        let fits = bytes.len().min(self.room());
        self.bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(TOO_LONG) } else { Ok(()) }
    }

    /// Lets `write` fill up to `most` bytes behind the others; it says how many it has filled.
    fn fill(&mut self, most: usize, write: impl FnOnce(&mut [u8]) -> Result<usize, Flaw>) -> Result<(), Flaw> {
        let start = self.bytes.len();
        let most = most.min(self.room());
        self.bytes.resize(start + most, 0);
        let written = write(&mut self.bytes[start..]);
        self.bytes.truncate(start + written.unwrap_or(0).min(most));
        written.map(|_| ())
    }
}

/// Takes the next `N` bytes of a stream.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Flaw> {
    let (taken, left) = rest.split_first_chunk().ok_or(CUT_OFF)?;
    *rest = left;
    Ok(*taken)
}

/// Takes the next `count` bytes of a stream.
fn take_slice<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Flaw> {
    let (taken, left) = rest.split_at_checked(count).ok_or(CUT_OFF)?;
    *rest = left;
    Ok(taken)
}
