//! Keys and values of `__consumer_offsets`, in Kafka's byte format.
//!
//! Source: `OffsetCommitKey.json`, `OffsetCommitValue.json`, `GroupMetadataKey.json`, `GroupMetadataValue.json`. The first two bytes of a key
//! say what the record is, those of a value its version.

use super::bytes_io::{Malformed, Reader, Writer};
use bytes::Bytes;

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
/// Written; 0 to this are read.
const OFFSET_VALUE: i16 = 3;
/// Written; 0 to this are read.
const GROUP_VALUE: i16 = 3;

/// A record of the topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupRecord {
    /// No value: the offset is forgotten.
    Offset { key: OffsetKey, value: Option<OffsetValue> },
    /// No value: the group is gone.
    Group { key: GroupKey, value: Option<GroupMetadata> },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetKey {
    pub group: String,
    pub topic: String,
    pub partition: i32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetValue {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
    /// Epoch milliseconds.
    pub commit_timestamp: i64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupKey {
    pub group: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMetadata {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// Epoch milliseconds.
    pub current_state_timestamp: i64,
    pub members: Vec<MemberMetadata>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberMetadata {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// Bytes of a member, at the least: four strings or their lengths, two timeouts, two lengths.
const MEMBER_MIN: usize = 2 + 2 + 2 + 4 + 4 + 4 + 4;

pub fn offset_key(group: &str, topic: &str, partition: i32) -> Bytes {
    let mut out = Writer::default();
    out.i16(OFFSET_KEY).string(group).string(topic).i32(partition);
    out.done()
}

pub fn offset_value(value: &OffsetValue) -> Bytes {
    let mut out = Writer::default();
    out.i16(OFFSET_VALUE).i64(value.offset).i32(value.leader_epoch).string(&value.metadata).i64(value.commit_timestamp);
    out.done()
}

pub fn group_key(group: &str) -> Bytes {
    let mut out = Writer::default();
    out.i16(GROUP_KEY).string(group);
    out.done()
}

pub fn group_value(value: &GroupMetadata) -> Bytes {
    let mut out = Writer::default();
    out.i16(GROUP_VALUE).string(&value.protocol_type).i32(value.generation);
    out.nullable_string(value.protocol.as_deref()).nullable_string(value.leader.as_deref());
    out.i64(value.current_state_timestamp).i32(value.members.len() as i32);
    for member in &value.members {
        out.string(&member.member_id).nullable_string(member.group_instance_id.as_deref());
        out.string(&member.client_id).string(&member.client_host);
        out.i32(member.rebalance_timeout_ms).i32(member.session_timeout_ms);
        out.nullable_bytes(Some(&member.subscription)).nullable_bytes(Some(&member.assignment));
    }
    out.done()
}

/// Reads a record of the topic; an unknown kind or version is malformed to this reader.
pub fn read(key: &Bytes, value: Option<&Bytes>) -> Result<GroupRecord, Malformed> {
    let mut from = Reader::new(key);
    match from.i16()? {
        0 | OFFSET_KEY => {
            let key = OffsetKey { group: from.string()?, topic: from.string()?, partition: from.i32()? };
            Ok(GroupRecord::Offset { key, value: value.map(read_offset).transpose()? })
        }
        GROUP_KEY => Ok(GroupRecord::Group { key: GroupKey { group: from.string()? }, value: value.map(read_group).transpose()? }),
        _ => Err(Malformed),
    }
}

fn read_offset(value: &Bytes) -> Result<OffsetValue, Malformed> {
    let mut from = Reader::new(value);
    let version = from.i16()?;
    if !(0..=OFFSET_VALUE).contains(&version) {
        return Err(Malformed);
    }
    let offset = from.i64()?;
    let leader_epoch = if 3 <= version { from.i32()? } else { -1 };
    Ok(OffsetValue { offset, leader_epoch, metadata: from.string()?, commit_timestamp: from.i64()? })
}

fn read_group(value: &Bytes) -> Result<GroupMetadata, Malformed> {
    let mut from = Reader::new(value);
    let version = from.i16()?;
    if !(0..=GROUP_VALUE).contains(&version) {
        return Err(Malformed);
    }
    let mut read = GroupMetadata {
        protocol_type: from.string()?,
        generation: from.i32()?,
        protocol: from.nullable_string()?,
        leader: from.nullable_string()?,
        current_state_timestamp: if 2 <= version { from.i64()? } else { -1 },
        members: Vec::new(),
    };
    for _ in 0..from.count(MEMBER_MIN)? {
        let member_id = from.string()?;
        let group_instance_id = if 3 <= version { from.nullable_string()? } else { None };
        let (client_id, client_host) = (from.string()?, from.string()?);
        let rebalance = if 1 <= version { Some(from.i32()?) } else { None };
        let session_timeout_ms = from.i32()?;
        read.members.push(MemberMetadata {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            // Before version 1 a rebalance waited as long as a session.
            rebalance_timeout_ms: rebalance.unwrap_or(session_timeout_ms),
            session_timeout_ms,
            subscription: from.bytes()?,
            assignment: from.bytes()?,
        });
    }
    Ok(read)
}
