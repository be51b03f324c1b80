//! Keys and values of `__consumer_offsets` for share groups (KIP-932), in Kafka's own bytes.
//!
//! Owns the formats; when a record is written, and what it changes, belongs to the group coordinator. The target's values are those of groups of the
//! new protocol. Source: `group-coordinator/.../ShareGroup*Key.json` and `*Value.json`.

use super::consumer_group_records::{Place, put_places, read_places, versioned};
use super::primitive::{DecodeError, Reader, put_compact_count, put_compact_nullable_string, put_compact_string, put_no_tags, put_string};
use bytes::{BufMut, Bytes};
use uuid::Uuid;

/// The only version of every value.
const VALUE: i16 = 0;

/// What a record is about, by Kafka's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ShareGroupRecord {
    /// What a member asked for.
    Member = 10,
    /// The group's epoch.
    Group = 11,
    /// The target's epoch.
    Target = 12,
    /// A member's part of the target.
    TargetMember = 13,
    /// What a member has.
    CurrentMember = 14,
    /// Which partitions the share coordinators know of.
    Partitions = 15,
}

/// The key of a record; without a member where it is the group's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ShareGroupKey {
    pub about: ShareGroupRecord,
    pub group: String,
    pub member: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShareMemberValue {
    pub rack_id: Option<String>,
    pub client_id: String,
    pub topics: Vec<String>,
}

impl ShareGroupKey {
    /// The rest of a key of this kind; `None`: it is of another sort.
    pub(super) fn read(kind: i16, reader: &mut Reader) -> Option<Result<ShareGroupKey, DecodeError>> {
        use ShareGroupRecord::{CurrentMember, Group, Member, Partitions, Target, TargetMember};
        let about = [Member, Group, Target, TargetMember, CurrentMember, Partitions].into_iter().find(|about| *about as i16 == kind)?;
        let has_member = matches!(about, Member | TargetMember | CurrentMember);
        let mut read = || {
            let group = reader.string()?;
            Ok(ShareGroupKey { about, group, member: if has_member { Some(reader.string()?) } else { None } })
        };
        Some(read())
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(self.about as i16);
        put_string(&mut out, &self.group);
        self.member.iter().for_each(|member| put_string(&mut out, member));
        Bytes::from(out)
    }
}

impl ShareMemberValue {
    pub fn read(bytes: &Bytes) -> Result<ShareMemberValue, DecodeError> {
        let mut reader = versioned(bytes)?;
        let (rack_id, client_id, _host) = (reader.nullable_string()?, reader.string()?, reader.string()?);
        let topics = reader.array(1, Reader::string)?;
        reader.skip_tags()?;
        Ok(ShareMemberValue { rack_id, client_id, topics })
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        put_compact_nullable_string(&mut out, self.rack_id.as_deref());
        put_compact_string(&mut out, &self.client_id);
        put_compact_string(&mut out, &format!("/{}", self.client_id));
        put_compact_count(&mut out, self.topics.len());
        self.topics.iter().for_each(|topic| put_compact_string(&mut out, topic));
        put_no_tags(&mut out);
        Bytes::from(out)
    }
}

/// The group's epoch, and a number for what it knows of its topics.
pub fn read_share_group(bytes: &Bytes) -> Result<(i32, i64), DecodeError> {
    let mut reader = versioned(bytes)?;
    let value = (reader.i32()?, reader.i64()?);
    reader.skip_tags()?;
    Ok(value)
}

pub fn share_group_to_bytes(epoch: i32, metadata_hash: i64) -> Bytes {
    let mut out = Vec::new();
    out.put_i16(VALUE);
    out.put_i32(epoch);
    out.put_i64(metadata_hash);
    put_no_tags(&mut out);
    Bytes::from(out)
}

/// A member's epoch, the one before, and what it has, in order.
pub fn read_share_current(bytes: &Bytes) -> Result<(i32, i32, Vec<Place>), DecodeError> {
    let mut reader = versioned(bytes)?;
    let (epoch, previous_epoch, _state) = (reader.i32()?, reader.i32()?, reader.i8()?);
    let assigned = read_places(&mut reader)?.into_keys().collect();
    reader.skip_tags()?;
    Ok((epoch, previous_epoch, assigned))
}

pub fn share_current_to_bytes(epoch: i32, previous_epoch: i32, assigned: &[Place]) -> Bytes {
    let mut out = Vec::new();
    out.put_i16(VALUE);
    out.put_i32(epoch);
    out.put_i32(previous_epoch);
    // A member of a share group has nothing to give up first: it is always stable.
    out.put_i8(0);
    put_places(&mut out, assigned.iter().map(|place| (*place, None)));
    put_no_tags(&mut out);
    Bytes::from(out)
}

/// The partitions that the share coordinators know of, or are asked about, in order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SharePartitionsValue {
    pub initializing: Vec<Place>,
    pub initialized: Vec<Place>,
    /// Topics of which they are to forget what they have, and their names.
    pub deleting: Vec<(Uuid, String)>,
}

impl SharePartitionsValue {
    pub fn read(bytes: &Bytes) -> Result<SharePartitionsValue, DecodeError> {
        let mut reader = versioned(bytes)?;
        let places = |reader: &mut Reader| {
            let topics = reader.array(19, |reader| {
                let (topic, _name) = (reader.uuid()?, reader.string()?);
                let indexes = reader.array(4, Reader::i32)?;
                reader.skip_tags()?;
                Ok((topic, indexes))
            })?;
            let place = |(topic, indexes): (Uuid, Vec<i32>)| indexes.into_iter().map(move |index| (topic, index));
            Ok(topics.into_iter().flat_map(place).collect())
        };
        let (initializing, initialized) = (places(&mut reader)?, places(&mut reader)?);
        let deleting = reader.array(18, |reader| {
            let topic = (reader.uuid()?, reader.string()?);
            reader.skip_tags()?;
            Ok(topic)
        })?;
        reader.skip_tags()?;
        Ok(SharePartitionsValue { initializing, initialized, deleting })
    }

    /// `name` knows the topics.
    pub fn to_bytes(&self, name: impl Fn(&Uuid) -> String) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        for places in [&self.initializing, &self.initialized] {
            let topics: Vec<&[Place]> = places.chunk_by(|one, other| one.0 == other.0).collect();
            put_compact_count(&mut out, topics.len());
            for places in topics {
                out.put_u128(places[0].0.as_u128());
                put_compact_string(&mut out, &name(&places[0].0));
                put_compact_count(&mut out, places.len());
                places.iter().for_each(|(_, index)| out.put_i32(*index));
                put_no_tags(&mut out);
            }
        }
        put_compact_count(&mut out, self.deleting.len());
        for (topic, name) in &self.deleting {
            out.put_u128(topic.as_u128());
            put_compact_string(&mut out, name);
            put_no_tags(&mut out);
        }
        put_no_tags(&mut out);
        Bytes::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        for (about, member) in [(ShareGroupRecord::Member, Some("m".to_owned())), (ShareGroupRecord::Partitions, None)] {
            let key = ShareGroupKey { about, group: "workers".to_owned(), member };
            let bytes = key.to_bytes();
            let mut reader = Reader::new(&bytes);
            let kind = reader.i16().expect("a kind");
            assert_eq!(ShareGroupKey::read(kind, &mut reader), Some(Ok(key)));
        }
        let member = ShareMemberValue { rack_id: None, client_id: "c".to_owned(), topics: vec!["orders".to_owned()] };
        assert_eq!(ShareMemberValue::read(&member.to_bytes()), Ok(member));
        assert_eq!(read_share_group(&share_group_to_bytes(3, -7)), Ok((3, -7)));
        let places = vec![(Uuid::from_u128(1), 0), (Uuid::from_u128(1), 2), (Uuid::from_u128(2), 1)];
        assert_eq!(read_share_current(&share_current_to_bytes(4, 3, &places)), Ok((4, 3, places.clone())));
        let value = SharePartitionsValue {
            initializing: vec![(Uuid::from_u128(3), 1)],
            initialized: places,
            deleting: vec![(Uuid::from_u128(4), "gone".to_owned())],
        };
        assert_eq!(SharePartitionsValue::read(&value.to_bytes(|_| "orders".to_owned())), Ok(value));
    }
}
