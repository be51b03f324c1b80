//! Keys and values of `__consumer_offsets` for groups of the new protocol (KIP-848), in Kafka's own bytes.
//!
//! Owns the formats; when a record is written, and what it changes, belongs to the group coordinator. A group is told by six kinds of records, each of
//! which stands by itself: its epoch, what each member asked for, what its regular expressions stand for, the epoch of the target assignment, each
//! member's share of it, and what each member has now. Source: `group-coordinator/.../ConsumerGroup*Key.json` and `*Value.json`; KIP-1251 for the epochs of single partitions.

use super::primitive::{
    DecodeError, Reader, put_compact_count, put_compact_nullable_string, put_compact_string, put_no_tags, put_string, put_tag,
};
use crate::ordered::OrderedMap;
use bytes::{BufMut, Bytes};
use uuid::Uuid;

const GROUP_KEY: i16 = 3;
const MEMBER_KEY: i16 = 5;
const TARGET_KEY: i16 = 6;
const TARGET_MEMBER_KEY: i16 = 7;
const CURRENT_MEMBER_KEY: i16 = 8;
const REGEX_KEY: i16 = 16;
/// The only version of every value.
const VALUE: i16 = 0;
/// Tag of the hash of what the group knows of its topics.
const METADATA_HASH_TAG: u32 = 0;
/// Tag of the epochs at which partitions were given.
const ASSIGNMENT_EPOCHS_TAG: u32 = 0;

/// A partition by its topic's id.
pub type Place = (Uuid, i32);

/// What a record is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ConsumerGroupKey {
    Group { group: String },
    Member { group: String, member: String },
    Target { group: String },
    TargetMember { group: String, member: String },
    CurrentMember { group: String, member: String },
    Regex { group: String, regex: String },
}

/// The group by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsumerGroupValue {
    pub epoch: i32,
    /// Of the topics that members subscribe to.
    pub metadata_hash: i64,
}

/// What a member asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsumerMemberValue {
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub topics: Vec<String>,
    pub regex: Option<String>,
    pub rebalance_timeout_ms: i32,
    pub assignor: Option<String>,
}

/// What a regular expression stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolvedRegex {
    /// In order.
    pub topics: Vec<String>,
    /// Of the cluster's metadata at that time.
    pub version: i64,
    /// Milliseconds.
    pub timestamp: i64,
}

/// What a member has now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CurrentMemberValue {
    pub epoch: i32,
    pub previous_epoch: i32,
    /// `MemberState`'s number.
    pub state: i8,
    /// With the epoch at which each was given.
    pub assigned: OrderedMap<Place, i32>,
    pub pending_revocation: OrderedMap<Place, i32>,
}

impl ConsumerGroupKey {
    /// The rest of a key of this kind; `None`: it is of another sort.
    pub(super) fn read(kind: i16, reader: &mut Reader) -> Option<Result<ConsumerGroupKey, DecodeError>> {
        let with_member = |reader: &mut Reader, make: fn(String, String) -> ConsumerGroupKey| Ok(make(reader.string()?, reader.string()?));
        Some(match kind {
            GROUP_KEY => reader.string().map(|group| ConsumerGroupKey::Group { group }),
            TARGET_KEY => reader.string().map(|group| ConsumerGroupKey::Target { group }),
            MEMBER_KEY => with_member(reader, |group, member| ConsumerGroupKey::Member { group, member }),
            TARGET_MEMBER_KEY => with_member(reader, |group, member| ConsumerGroupKey::TargetMember { group, member }),
            CURRENT_MEMBER_KEY => with_member(reader, |group, member| ConsumerGroupKey::CurrentMember { group, member }),
            REGEX_KEY => with_member(reader, |group, regex| ConsumerGroupKey::Regex { group, regex }),
            _ => return None,
        })
    }

    pub fn to_bytes(&self) -> Bytes {
        let (kind, group, other) = match self {
            ConsumerGroupKey::Group { group } => (GROUP_KEY, group, None),
            ConsumerGroupKey::Member { group, member } => (MEMBER_KEY, group, Some(member)),
            ConsumerGroupKey::Target { group } => (TARGET_KEY, group, None),
            ConsumerGroupKey::TargetMember { group, member } => (TARGET_MEMBER_KEY, group, Some(member)),
            ConsumerGroupKey::CurrentMember { group, member } => (CURRENT_MEMBER_KEY, group, Some(member)),
            ConsumerGroupKey::Regex { group, regex } => (REGEX_KEY, group, Some(regex)),
        };
        let mut out = Vec::new();
        out.put_i16(kind);
        put_string(&mut out, group);
        other.into_iter().for_each(|other| put_string(&mut out, other));
        Bytes::from(out)
    }

    pub fn group(&self) -> &str {
        match self {
            ConsumerGroupKey::Group { group }
            | ConsumerGroupKey::Member { group, .. }
            | ConsumerGroupKey::Target { group }
            | ConsumerGroupKey::TargetMember { group, .. }
            | ConsumerGroupKey::CurrentMember { group, .. }
            | ConsumerGroupKey::Regex { group, .. } => group,
        }
    }
}

impl ConsumerGroupValue {
    pub fn read(bytes: &Bytes) -> Result<ConsumerGroupValue, DecodeError> {
        let mut reader = versioned(bytes)?;
        let (epoch, mut metadata_hash) = (reader.i32()?, 0);
        reader.tags(|tag, reader| {
            if tag == METADATA_HASH_TAG {
                metadata_hash = reader.i64()?;
            }
            Ok(())
        })?;
        Ok(ConsumerGroupValue { epoch, metadata_hash })
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        out.put_i32(self.epoch);
        match self.metadata_hash {
            0 => put_no_tags(&mut out),
            hash => put_tag(&mut out, METADATA_HASH_TAG, &hash.to_be_bytes()),
        }
        Bytes::from(out)
    }
}

impl ConsumerMemberValue {
    pub fn read(bytes: &Bytes) -> Result<ConsumerMemberValue, DecodeError> {
        let mut reader = versioned(bytes)?;
        let value = ConsumerMemberValue {
            instance_id: reader.nullable_string()?,
            rack_id: reader.nullable_string()?,
            client_id: reader.string()?,
            client_host: reader.string()?,
            topics: reader.array(1, Reader::string)?,
            regex: reader.nullable_string()?,
            rebalance_timeout_ms: reader.i32()?,
            assignor: reader.nullable_string()?,
        };
        reader.skip_tags()?;
        Ok(value)
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        put_compact_nullable_string(&mut out, self.instance_id.as_deref());
        put_compact_nullable_string(&mut out, self.rack_id.as_deref());
        put_compact_string(&mut out, &self.client_id);
        put_compact_string(&mut out, &self.client_host);
        put_compact_count(&mut out, self.topics.len());
        self.topics.iter().for_each(|topic| put_compact_string(&mut out, topic));
        put_compact_nullable_string(&mut out, self.regex.as_deref());
        out.put_i32(self.rebalance_timeout_ms);
        put_compact_nullable_string(&mut out, self.assignor.as_deref());
        put_no_tags(&mut out);
        Bytes::from(out)
    }
}

impl ResolvedRegex {
    pub fn read(bytes: &Bytes) -> Result<ResolvedRegex, DecodeError> {
        let mut reader = versioned(bytes)?;
        let value = ResolvedRegex { topics: reader.array(1, Reader::string)?, version: reader.i64()?, timestamp: reader.i64()? };
        reader.skip_tags()?;
        Ok(value)
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        put_compact_count(&mut out, self.topics.len());
        self.topics.iter().for_each(|topic| put_compact_string(&mut out, topic));
        out.put_i64(self.version);
        out.put_i64(self.timestamp);
        put_no_tags(&mut out);
        Bytes::from(out)
    }
}

/// The value of [`ConsumerGroupKey::Target`]: the epoch of the target assignment.
pub fn read_target_epoch(bytes: &Bytes) -> Result<i32, DecodeError> {
    let mut reader = versioned(bytes)?;
    let epoch = reader.i32()?;
    reader.skip_tags()?;
    Ok(epoch)
}

pub fn target_epoch_to_bytes(epoch: i32) -> Bytes {
    let mut out = Vec::new();
    out.put_i16(VALUE);
    out.put_i32(epoch);
    put_no_tags(&mut out);
    Bytes::from(out)
}

/// The value of [`ConsumerGroupKey::TargetMember`]: a member's share, in order.
pub fn read_target(bytes: &Bytes) -> Result<Vec<Place>, DecodeError> {
    let mut reader = versioned(bytes)?;
    let places = read_places(&mut reader)?;
    reader.skip_tags()?;
    Ok(places.into_keys().collect())
}

pub fn target_to_bytes(share: &[Place]) -> Bytes {
    let mut out = Vec::new();
    out.put_i16(VALUE);
    put_places(&mut out, share.iter().map(|place| (*place, None)));
    put_no_tags(&mut out);
    Bytes::from(out)
}

impl CurrentMemberValue {
    pub fn read(bytes: &Bytes) -> Result<CurrentMemberValue, DecodeError> {
        let mut reader = versioned(bytes)?;
        let value = CurrentMemberValue {
            epoch: reader.i32()?,
            previous_epoch: reader.i32()?,
            state: reader.i8()?,
            assigned: read_places(&mut reader)?,
            pending_revocation: read_places(&mut reader)?,
        };
        reader.skip_tags()?;
        Ok(value)
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        out.put_i32(self.epoch);
        out.put_i32(self.previous_epoch);
        out.put_i8(self.state);
        for places in [&self.assigned, &self.pending_revocation] {
            put_places(&mut out, places.iter().map(|(place, epoch)| (*place, Some(*epoch))));
        }
        put_no_tags(&mut out);
        Bytes::from(out)
    }
}

/// Partitions by topic; an epoch that is not written is -1.
pub(super) fn read_places(reader: &mut Reader) -> Result<OrderedMap<Place, i32>, DecodeError> {
    let mut places = OrderedMap::new();
    let topics = reader.array(18, |reader| {
        let (topic, indexes, mut epochs) = (reader.uuid()?, reader.array(4, Reader::i32)?, Vec::new());
        reader.tags(|tag, reader| {
            if tag == ASSIGNMENT_EPOCHS_TAG {
                epochs = reader.array(4, Reader::i32)?;
            }
            Ok(())
        })?;
        Ok((topic, indexes, epochs))
    })?;
    for (topic, indexes, epochs) in topics {
        for (place, index) in indexes.into_iter().enumerate() {
            places.insert((topic, index), epochs.get(place).copied().unwrap_or(-1));
        }
    }
    Ok(places)
}

/// `places` are in order.
pub(super) fn put_places(out: &mut Vec<u8>, places: impl Iterator<Item = (Place, Option<i32>)>) {
    let mut topics: Vec<(Uuid, Vec<i32>, Vec<i32>)> = Vec::new();
    for ((topic, index), epoch) in places {
        if topics.last().is_none_or(|(last, ..)| *last != topic) {
            topics.push((topic, Vec::new(), Vec::new()));
        }
        if let Some((_, indexes, epochs)) = topics.last_mut() {
            indexes.push(index);
            epochs.extend(epoch);
        }
    }
    put_compact_count(out, topics.len());
    for (topic, indexes, epochs) in topics {
        out.put_slice(topic.as_bytes());
        put_compact_count(out, indexes.len());
        indexes.iter().for_each(|index| out.put_i32(*index));
        if epochs.is_empty() {
            put_no_tags(out);
        } else {
            let mut tag = Vec::new();
            put_compact_count(&mut tag, epochs.len());
            epochs.iter().for_each(|epoch| tag.put_i32(*epoch));
            put_tag(out, ASSIGNMENT_EPOCHS_TAG, &tag);
        }
    }
}

pub(super) fn versioned(bytes: &Bytes) -> Result<Reader, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.i16()? {
        VALUE => {
            reader.flexible = true;
            Ok(reader)
        }
        other => Err(DecodeError::Version(other)),
    }
}

#[cfg(test)]
#[path = "consumer_group_records_test.rs"]
mod tests;
