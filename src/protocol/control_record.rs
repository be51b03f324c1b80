//! Transaction markers: the one record of a control batch that ends a transaction in a partition.
//!
//! Key: version, type. Value: version, coordinator epoch. Newer versions are read as the one known here. Source: KIP-98; `ControlRecordType`,
//! `EndTransactionMarker`.

use super::batch_error::BatchError;

const VERSION: i16 = 0;
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Abort,
    Commit,
}

/// A transaction marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marker {
    pub outcome: Outcome,
    /// Of the coordinator that wrote it; an older one's markers are refused.
    pub coordinator_epoch: i32,
}

impl Outcome {
    /// Kafka's name of the control record type.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Abort => "ABORT",
            Outcome::Commit => "COMMIT",
        }
    }
}

impl Marker {
    /// Key and value of the control record.
    pub fn to_bytes(self) -> ([u8; 4], [u8; 6]) {
        let kind = match self.outcome {
            Outcome::Abort => ABORT,
            Outcome::Commit => COMMIT,
        };
        let (mut key, mut value) = ([0; 4], [0; 6]);
        key[..2].copy_from_slice(&VERSION.to_be_bytes());
        key[2..].copy_from_slice(&kind.to_be_bytes());
        value[..2].copy_from_slice(&VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        (key, value)
    }

    /// Reads a control record; other types than the two of transactions are refused.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Marker, BatchError> {
        let (kind, _) = versioned::<2>(key).ok_or(BatchError::Control("its key is too short or of a negative version"))?;
        let outcome = match i16::from_be_bytes(kind) {
            ABORT => Outcome::Abort,
            COMMIT => Outcome::Commit,
            _ => return Err(BatchError::Control("its type is neither commit nor abort")),
        };
        let (epoch, _) = versioned::<4>(value).ok_or(BatchError::Control("its value is too short or of a negative version"))?;
        Ok(Marker { outcome, coordinator_epoch: i32::from_be_bytes(epoch) })
    }
}

/// The `N` bytes behind a version that is not negative, and what follows them.
fn versioned<const N: usize>(bytes: Option<&[u8]>) -> Option<([u8; N], &[u8])> {
    let (version, rest) = bytes?.split_first_chunk::<2>()?;
    let (field, rest) = rest.split_first_chunk::<N>()?;
    (VERSION <= i16::from_be_bytes(*version)).then_some((*field, rest))
}
