//! Keys and values of `__transaction_state`: each transactional id and where its transaction stands, in Kafka's own bytes.
//!
//! Owns the formats; when a record is written, and what it changes, belongs to the transaction coordinator. Source: `TransactionLogKey.json`,
//! `TransactionLogValue.json`; KIP-915 for the flexible version 1, which is written; KIP-890 for its tagged fields.

use super::primitive::{DecodeError, Reader, put_compact_count, put_compact_string, put_string};
use super::varint::put_unsigned_varint;
use bytes::{BufMut, Bytes};

const KEY: i16 = 0;
const FLEXIBLE: i16 = 1;
const NO_PRODUCER_ID: i64 = -1;

/// Partitions by topic.
pub type TopicPartitions = Vec<(String, Vec<i32>)>;

/// What is kept of a transactional id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransactionValue {
    pub producer_id: i64,
    /// The one before the last rotation; -1: none.
    pub previous_producer_id: i64,
    /// The one that it goes on with once this transaction is over; -1: the same.
    pub next_producer_id: i64,
    pub producer_epoch: i16,
    pub timeout_ms: i32,
    /// The state's number.
    pub state: i8,
    /// Null on the wire as long as there was no transaction.
    pub partitions: Option<TopicPartitions>,
    pub updated_ms: i64,
    pub started_ms: i64,
    pub transaction_version: i16,
}

/// The transactional id that a record is about.
pub fn read_key(bytes: &Bytes) -> Result<String, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.i16()? {
        KEY => reader.string(),
        other => Err(DecodeError::Version(other)),
    }
}

pub fn key_bytes(id: &str) -> Bytes {
    let mut out = Vec::new();
    out.put_i16(KEY);
    put_string(&mut out, id);
    Bytes::from(out)
}

impl TransactionValue {
    pub fn read(bytes: &Bytes) -> Result<TransactionValue, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(0..=FLEXIBLE).contains(&version) {
            return Err(DecodeError::Version(version));
        }
        reader.flexible = version == FLEXIBLE;
        let (producer_id, producer_epoch, timeout_ms, state) = (reader.i64()?, reader.i16()?, reader.i32()?, reader.i8()?);
        let topic = |reader: &mut Reader| {
            let topic = (reader.string()?, reader.array(4, Reader::i32)?);
            reader.skip_tags()?;
            Ok(topic)
        };
        let partitions = reader.nullable_array(2, topic)?;
        let (updated_ms, started_ms) = (reader.i64()?, reader.i64()?);
        let (mut previous_producer_id, mut next_producer_id, mut transaction_version) = (NO_PRODUCER_ID, NO_PRODUCER_ID, 0);
        reader.tags(|tag, reader| {
            match tag {
                0 => previous_producer_id = reader.i64()?,
                1 => next_producer_id = reader.i64()?,
                2 => transaction_version = reader.i16()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(TransactionValue {
            producer_id,
            previous_producer_id,
            next_producer_id,
            producer_epoch,
            timeout_ms,
            state,
            partitions,
            updated_ms,
            started_ms,
            transaction_version,
        })
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(FLEXIBLE);
        out.put_i64(self.producer_id);
        out.put_i16(self.producer_epoch);
        out.put_i32(self.timeout_ms);
        out.put_i8(self.state);
        match &self.partitions {
            None => put_unsigned_varint(&mut out, 0),
            Some(topics) => {
                put_compact_count(&mut out, topics.len());
                for (topic, partitions) in topics {
                    put_compact_string(&mut out, topic);
                    put_compact_count(&mut out, partitions.len());
                    partitions.iter().for_each(|partition| out.put_i32(*partition));
                    put_unsigned_varint(&mut out, 0);
                }
            }
        }
        out.put_i64(self.updated_ms);
        out.put_i64(self.started_ms);
        // Only what is not as by default.
        let ids = [(0, self.previous_producer_id), (1, self.next_producer_id)];
        let ids = ids.iter().filter(|(_, id)| *id != NO_PRODUCER_ID);
        let has_version = self.transaction_version != 0;
        put_unsigned_varint(&mut out, ids.clone().count() as u32 + u32::from(has_version));
        for (tag, id) in ids {
            out.put_slice(&[*tag, 8]);
            out.put_i64(*id);
        }
        if has_version {
            out.put_slice(&[2, 2]);
            out.put_i16(self.transaction_version);
        }
        Bytes::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hex written out by hand from the schemas.
    fn bytes(hex: &str) -> Bytes {
        let digits: Vec<u8> = hex.bytes().filter_map(|byte| char::from(byte).to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>().into()
    }

    #[test]
    fn records_have_kafkas_bytes() {
        assert_eq!(key_bytes("id"), bytes("0000 0002 6964"));
        assert_eq!(read_key(&bytes("0000 0002 6964")), Ok("id".to_owned()));
        let mut value = TransactionValue {
            producer_id: 7,
            previous_producer_id: -1,
            next_producer_id: -1,
            producer_epoch: 3,
            timeout_ms: 10,
            state: 1,
            partitions: Some(vec![("to".to_owned(), vec![0, 2])]),
            updated_ms: 5,
            started_ms: 4,
            transaction_version: 0,
        };
        let head = "0000000000000007 0003 0000000a 01";
        let tail = "0000000000000005 0000000000000004";
        let old = format!("0000 {head} 00000001 0002 746f 00000002 00000000 00000002 {tail}");
        assert_eq!(TransactionValue::read(&bytes(&old)), Ok(value.clone()));
        let body = format!("0001 {head} 02 03 746f 03 00000000 00000002 00 {tail}");
        assert_eq!(value.to_bytes(), bytes(&format!("{body} 00")));
        value.previous_producer_id = 6;
        value.transaction_version = 2;
        let new = format!("{body} 02 00 08 0000000000000006 02 02 0002");
        assert_eq!((value.to_bytes(), TransactionValue::read(&bytes(&new))), (bytes(&new), Ok(value.clone())));
        value.partitions = None;
        assert_eq!(TransactionValue::read(&value.to_bytes()), Ok(value));
        assert_eq!(TransactionValue::read(&bytes("0002")), Err(DecodeError::Version(2)));
    }
}
