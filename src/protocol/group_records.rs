//! Keys and values of `__consumer_offsets`: committed offsets and classic groups, in Kafka's own bytes.
//!
//! Owns the formats; when a record is written, and what it changes, belongs to the group coordinator. A key's first number is its kind. Source:
//! `group-coordinator/.../OffsetCommitKey.json`, `OffsetCommitValue.json`, `GroupMetadataKey.json`, `GroupMetadataValue.json`; KIP-915 for the
//! flexible version 4, which is read but not written. A value of `None` in the log is a tombstone: the record is gone.

use super::consumer_group_records::ConsumerGroupKey;
use super::primitive::{DecodeError, Reader, put_blob, put_count, put_nullable_string, put_string};
use super::share_group_records::ShareGroupKey;
use bytes::{BufMut, Bytes};

const LEGACY_OFFSET_KEY: i16 = 0;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
/// The value version with a leader epoch, the newest that is not flexible. The same number for both values.
const VALUE: i16 = 3;
/// The only version of an offset's value with a time of expiry.
const EXPIRING_OFFSET_VALUE: i16 = 1;
const FIRST_FLEXIBLE: i16 = 4;

/// What a record is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum GroupKey {
    Offset {
        group: String,
        topic: String,
        partition: i32,
    },
    Group {
        group: String,
    },
    /// Of a group of the new protocol (KIP-848).
    Consumer(ConsumerGroupKey),
    /// Of a share group (KIP-932).
    Share(ShareGroupKey),
}

/// A committed offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetValue {
    pub offset: i64,
    /// -1: unknown.
    pub leader_epoch: i32,
    pub metadata: String,
    /// Milliseconds.
    pub commit_timestamp: i64,
    /// Only if the client asked for a retention of its own.
    pub expire_timestamp: Option<i64>,
}

/// A classic group as it was at the end of a rebalance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupValue {
    pub protocol_type: String,
    pub generation: i32,
    /// The assignor chosen.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: Option<String>,
    /// Milliseconds; -1: unknown.
    pub current_state_timestamp: i64,
    pub members: Vec<MemberValue>,
}

/// A member of a classic group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberValue {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// The consumer protocol's bytes, as the member sent them.
    pub subscription: Bytes,
    /// As the leader sent them.
    pub assignment: Bytes,
}

impl GroupKey {
    pub fn read(bytes: &Bytes) -> Result<GroupKey, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.i16()? {
            LEGACY_OFFSET_KEY | OFFSET_KEY => {
                Ok(GroupKey::Offset { group: reader.string()?, topic: reader.string()?, partition: reader.i32()? })
            }
            GROUP_KEY => Ok(GroupKey::Group { group: reader.string()? }),
            other => match ConsumerGroupKey::read(other, &mut reader) {
                Some(key) => Ok(GroupKey::Consumer(key?)),
                None => match ShareGroupKey::read(other, &mut reader) {
                    Some(key) => Ok(GroupKey::Share(key?)),
                    None => Err(DecodeError::Version(other)),
                },
            },
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            GroupKey::Offset { group, topic, partition } => {
                out.put_i16(OFFSET_KEY);
                put_string(&mut out, group);
                put_string(&mut out, topic);
                out.put_i32(*partition);
            }
            GroupKey::Group { group } => {
                out.put_i16(GROUP_KEY);
                put_string(&mut out, group);
            }
            GroupKey::Consumer(key) => return key.to_bytes(),
            GroupKey::Share(key) => return key.to_bytes(),
        }
        Bytes::from(out)
    }
}

impl OffsetValue {
    pub fn read(bytes: &Bytes) -> Result<OffsetValue, DecodeError> {
        let (mut reader, version) = versioned(bytes)?;
        let value = OffsetValue {
            offset: reader.i64()?,
            leader_epoch: if 3 <= version { reader.i32()? } else { -1 },
            metadata: reader.string()?,
            commit_timestamp: reader.i64()?,
            expire_timestamp: if version == EXPIRING_OFFSET_VALUE { Some(reader.i64()?).filter(|&time| time != -1) } else { None },
        };
        reader.skip_tags()?;
        Ok(value)
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(if self.expire_timestamp.is_some() { EXPIRING_OFFSET_VALUE } else { VALUE });
        out.put_i64(self.offset);
        if self.expire_timestamp.is_none() {
            out.put_i32(self.leader_epoch);
        }
        put_string(&mut out, &self.metadata);
        out.put_i64(self.commit_timestamp);
        if let Some(time) = self.expire_timestamp {
            out.put_i64(time);
        }
        Bytes::from(out)
    }
}

impl GroupValue {
    pub fn read(bytes: &Bytes) -> Result<GroupValue, DecodeError> {
        let (mut reader, version) = versioned(bytes)?;
        let value = GroupValue {
            protocol_type: reader.string()?,
            generation: reader.i32()?,
            protocol: reader.nullable_string()?,
            leader: reader.nullable_string()?,
            current_state_timestamp: if 2 <= version { reader.i64()? } else { -1 },
            members: reader.array(10, |reader| MemberValue::read(reader, version))?,
        };
        reader.skip_tags()?;
        Ok(value)
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        put_string(&mut out, &self.protocol_type);
        out.put_i32(self.generation);
        put_nullable_string(&mut out, self.protocol.as_deref());
        put_nullable_string(&mut out, self.leader.as_deref());
        out.put_i64(self.current_state_timestamp);
        put_count(&mut out, self.members.len());
        for member in &self.members {
            member.put(&mut out);
        }
        Bytes::from(out)
    }
}

impl MemberValue {
    fn read(reader: &mut Reader, version: i16) -> Result<MemberValue, DecodeError> {
        let member_id = reader.string()?;
        let instance_id = if 3 <= version { reader.nullable_string()? } else { None };
        let (client_id, client_host) = (reader.string()?, reader.string()?);
        // Before they were two, one timeout served for both.
        let first = reader.i32()?;
        let session_timeout_ms = if 1 <= version { reader.i32()? } else { first };
        let value = MemberValue {
            member_id,
            instance_id,
            client_id,
            client_host,
            rebalance_timeout_ms: first,
            session_timeout_ms,
            subscription: reader.blob()?,
            assignment: reader.blob()?,
        };
        reader.skip_tags()?;
        Ok(value)
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_string(out, &self.member_id);
        put_nullable_string(out, self.instance_id.as_deref());
        put_string(out, &self.client_id);
        put_string(out, &self.client_host);
        out.put_i32(self.rebalance_timeout_ms);
        out.put_i32(self.session_timeout_ms);
        put_blob(out, &self.subscription);
        put_blob(out, &self.assignment);
    }
}

/// A value's reader behind its version, which must be one of Kafka's.
fn versioned(bytes: &Bytes) -> Result<(Reader, i16), DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    if !(0..=FIRST_FLEXIBLE).contains(&version) {
        return Err(DecodeError::Version(version));
    }
    reader.flexible = version == FIRST_FLEXIBLE;
    Ok((reader, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hex written out by hand from the schemas: version first, then the fields in order.
    fn bytes(hex: &str) -> Bytes {
        let digits: Vec<u8> = hex.bytes().filter_map(|byte| char::from(byte).to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>().into()
    }

    #[test]
    fn keys_have_kafkas_bytes() {
        let offset = GroupKey::Offset { group: "g".to_owned(), topic: "to".to_owned(), partition: 7 };
        assert_eq!(offset.to_bytes(), bytes("0001 0001 67 0002 746f 00000007"));
        assert_eq!(GroupKey::read(&bytes("0000 0001 67 0002 746f 00000007")), Ok(offset));
        let group = GroupKey::Group { group: "g".to_owned() };
        assert_eq!(group.to_bytes(), bytes("0002 0001 67"));
        assert_eq!(GroupKey::read(&bytes("0003 0001")), Err(DecodeError::Short));
        assert_eq!(GroupKey::read(&bytes("0004 0001 67")), Err(DecodeError::Version(4)));
    }

    #[test]
    fn offsets_of_every_version_read_the_same() {
        let value = |leader_epoch, expire_timestamp| {
            Ok(OffsetValue { offset: 5, leader_epoch, metadata: "m".to_owned(), commit_timestamp: 9, expire_timestamp })
        };
        for (hex, expected) in [
            ("0000 0000000000000005 0001 6d 0000000000000009", value(-1, None)),
            ("0001 0000000000000005 0001 6d 0000000000000009 000000000000000c", value(-1, Some(12))),
            ("0002 0000000000000005 0001 6d 0000000000000009", value(-1, None)),
            ("0003 0000000000000005 00000002 0001 6d 0000000000000009", value(2, None)),
            ("0004 0000000000000005 00000002 02 6d 0000000000000009 00", value(2, None)),
            ("0004 0000000000000005 00000002 02 6d 0000000000000009 01 00 03 aabbcc", value(2, None)),
            ("0005", Err(DecodeError::Version(5))),
            ("0003 0000000000000005 00000002 ffff 0000000000000009", Err(DecodeError::Negative)),
        ] {
            assert_eq!(OffsetValue::read(&bytes(hex)), expected, "{hex}");
        }
    }

    #[test]
    fn groups_of_every_version_read() {
        for (hex, version) in [
            ("0000 0001 70 00000004 0001 72 ffff 00000001 0001 61 0001 63 0001 68 0000000a 00000001 aa 00000001 bb", 0),
            ("0001 0001 70 00000004 0001 72 ffff 00000001 0001 61 0001 63 0001 68 0000000b 0000000a 00000001 aa 00000001 bb", 1),
            (
                "0002 0001 70 00000004 0001 72 ffff 0000000000000007 00000001 0001 61 0001 63 0001 68 0000000b 0000000a 00000001 aa 00000001 bb",
                2,
            ),
            (
                "0003 0001 70 00000004 0001 72 ffff 0000000000000007 00000001 0001 61 0001 69 0001 63 0001 68 0000000b 0000000a \
                 00000001 aa 00000001 bb",
                3,
            ),
            ("0004 02 70 00000004 02 72 00 0000000000000007 02 02 61 02 69 02 63 02 68 0000000b 0000000a 02 aa 02 bb 00 00", 4),
        ] {
            let expected = GroupValue {
                protocol_type: "p".to_owned(),
                generation: 4,
                protocol: Some("r".to_owned()),
                leader: None,
                current_state_timestamp: if 2 <= version { 7 } else { -1 },
                members: vec![MemberValue {
                    member_id: "a".to_owned(),
                    instance_id: (3 <= version).then(|| "i".to_owned()),
                    client_id: "c".to_owned(),
                    client_host: "h".to_owned(),
                    rebalance_timeout_ms: if 1 <= version { 11 } else { 10 },
                    session_timeout_ms: 10,
                    subscription: Bytes::from_static(&[0xaa]),
                    assignment: Bytes::from_static(&[0xbb]),
                }],
            };
            assert_eq!(GroupValue::read(&bytes(hex)), Ok(expected.clone()), "{hex}");
            if version == 3 {
                assert_eq!(expected.to_bytes(), bytes(hex));
            }
        }
    }

    #[test]
    fn a_huge_count_is_refused_before_room_is_made() {
        let hex = "0003 0001 70 00000004 ffff ffff 0000000000000007 7fffffff";
        assert_eq!(GroupValue::read(&bytes(hex)), Err(DecodeError::Count));
    }
}
