//! What can be wrong with the bytes of a record batch, and how far they were read before it showed.
//!
//! Kafka throws `CorruptRecordException`, `InvalidRecordException` and their kin from four places; [`Stage`] names the place.

use super::{
    ErrorCode,
    compression::{Codec, TOO_LONG},
};

/// Where reading stopped. The names are those of the golden data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Cutting a buffer into batches.
    Split,
    /// Size, magic and checksum of one batch.
    EnsureValid,
    /// Decompressing and parsing its records.
    Iterate,
    /// What a control record means.
    Control,
}

/// A batch that is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchError {
    /// The length field leaves no room for even the oldest format.
    Length(i32),
    /// A format that does not exist (yet): nothing behind it can be cut.
    FutureMagic(i8),
    /// Format 0 or 1: no version of Produce or Fetch that is served carries them.
    OldMagic(i8),
    /// The bytes are not as many as the header says, or fewer than a header.
    Size { stated: i64, found: usize },
    /// CRC-32C over everything behind the checksum.
    Checksum { stated: u32, computed: u32 },
    /// A codec number that Kafka does not have.
    UnknownCodec(u8),
    /// Compressed records that do not decompress, or not within the limit.
    Compressed { codec: Codec, flaw: &'static str },
    /// A negative record count.
    Count(i32),
    /// The record at this index within the batch.
    Record { index: i32, flaw: &'static str },
    /// A control record that is no transaction marker.
    Control(&'static str),
}

impl BatchError {
    /// How far reading came.
    pub fn stage(&self) -> Stage {
        match self {
            BatchError::Length(_) | BatchError::FutureMagic(_) => Stage::Split,
            BatchError::OldMagic(_) | BatchError::Size { .. } | BatchError::Checksum { .. } => Stage::EnsureValid,
            BatchError::UnknownCodec(_) | BatchError::Compressed { .. } | BatchError::Count(_) | BatchError::Record { .. } => {
                Stage::Iterate
            }
            BatchError::Control(_) => Stage::Control,
        }
    }

    /// What a broker answers. Kafka has no name for bytes that do not decompress, since the checksum is right; a codec number that does not exist
    /// runs into the same there, and gets the name that says what is wrong here. What is too long once it is decompressed, which Kafka does not mind,
    /// may come again in smaller batches.
    pub fn code(&self) -> ErrorCode {
        match self {
            BatchError::UnknownCodec(_) => ErrorCode::UnsupportedCompressionType,
            BatchError::Compressed { flaw, .. } if *flaw == TOO_LONG => ErrorCode::MessageTooLarge,
            BatchError::Compressed { .. } => ErrorCode::UnknownServerError,
            BatchError::Count(_) | BatchError::Record { .. } | BatchError::Control(_) => ErrorCode::InvalidRecord,
            _ => ErrorCode::CorruptMessage,
        }
    }
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Split => "split",
            Stage::EnsureValid => "ensure_valid",
            Stage::Iterate => "iterate",
            Stage::Control => "control",
        }
    }
}

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BatchError::Length(length) => write!(f, "The batch's length field says {length} bytes, fewer than any batch has."),
            BatchError::FutureMagic(magic) => write!(f, "The batch has magic {magic}, a record format that does not exist."),
            BatchError::OldMagic(magic) => write!(f, "The batch has magic {magic}; only record format 2 is taken."),
            BatchError::Size { stated, found } => write!(f, "The batch should have {stated} bytes and has {found}."),
            BatchError::Checksum { stated, computed } => {
                write!(f, "The batch's checksum is {stated:08x}, its bytes give {computed:08x}.")
            }
            BatchError::UnknownCodec(id) => write!(f, "The batch names compression codec {id}, which does not exist."),
            BatchError::Compressed { codec, flaw } => {
                write!(f, "The batch is compressed with {} and cannot be read: {flaw}.", codec.name())
            }
            BatchError::Count(count) => write!(f, "The batch says that it has {count} records."),
            BatchError::Record { index, flaw } => write!(f, "Record {index} of the batch is malformed: {flaw}."),
            BatchError::Control(flaw) => write!(f, "The control record is malformed: {flaw}."),
        }
    }
}

impl std::error::Error for BatchError {}
