//! The bytes that consumers exchange through JoinGroup and SyncGroup: what a member subscribes to, and what the group's leader gives it.
//!
//! Opaque to the broker. Knows nothing of assignors but the two user-data forms of the sticky ones. Source: KIP-429, KIP-792, KIP-881;
//! `ConsumerProtocol`, `StickyAssignor`, `CooperativeStickyAssignor`. A version newer than 3 is read as 3: newer ones only add fields at the end.

use super::primitive::{DecodeError, Reader, put_count, put_nullable_blob, put_nullable_string, put_string};
use crate::ordered::sort_by;
use bytes::{BufMut, Bytes};
use std::collections::BTreeMap;

/// The newest version of both schemas.
pub const VERSION: i16 = 3;
/// What a member without a generation writes.
pub const NO_GENERATION: i32 = -1;

/// A topic and some of its partitions, in the order of the bytes.
pub type TopicPartitions = (String, Vec<i32>);

/// What a member says of itself when it joins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subscription {
    pub topics: Vec<String>,
    pub user_data: Option<Bytes>,
    /// From version 1.
    pub owned: Vec<TopicPartitions>,
    /// From version 2: the generation in which it got what it owns.
    pub generation: Option<i32>,
    /// From version 3.
    pub rack: Option<String>,
}

/// What a member shall read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Assignment {
    pub partitions: Vec<TopicPartitions>,
    pub user_data: Option<Bytes>,
}

impl Subscription {
    pub fn read(bytes: &Bytes) -> Result<Subscription, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = read_version(&mut reader)?;
        Ok(Subscription {
            topics: reader.array(2, Reader::string)?,
            user_data: reader.nullable_blob()?,
            owned: if 1 <= version { read_partitions(&mut reader)? } else { Vec::new() },
            generation: if 2 <= version { Some(reader.i32()?).filter(|&generation| 0 <= generation) } else { None },
            rack: if 3 <= version { reader.nullable_string()? } else { None },
        })
    }

    /// The bytes of this version; what it has no field for is left out. Topics are sorted, as Kafka sorts them, so that
    /// a member that says the same writes the same.
    pub fn to_bytes(&self, version: i16) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(version);
        let mut topics: Vec<&String> = self.topics.iter().collect();
        sort_by(&mut topics, |one, other| one.encode_utf16().cmp(other.encode_utf16()));
        put_count(&mut out, topics.len());
        for topic in topics {
            put_string(&mut out, topic);
        }
        put_nullable_blob(&mut out, self.user_data.as_deref());
        if 1 <= version {
            let mut owned = self.owned.clone();
            sort_by(&mut owned, |(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            for (_, partitions) in &mut owned {
                sort_by(partitions, i32::cmp);
            }
            put_partitions(&mut out, &owned);
        }
        if 2 <= version {
            out.put_i32(self.generation.unwrap_or(NO_GENERATION));
        }
        if 3 <= version {
            put_nullable_string(&mut out, self.rack.as_deref());
        }
        Bytes::from(out)
    }
}

impl Assignment {
    pub fn read(bytes: &Bytes) -> Result<Assignment, DecodeError> {
        let mut reader = Reader::new(bytes);
        read_version(&mut reader)?;
        Ok(Assignment { partitions: read_partitions(&mut reader)?, user_data: reader.nullable_blob()? })
    }

    /// The bytes of this version: they differ in the number alone.
    pub fn to_bytes(&self, version: i16) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(version);
        put_partitions(&mut out, &self.partitions);
        put_nullable_blob(&mut out, self.user_data.as_deref());
        Bytes::from(out)
    }
}

/// User data of the (eager) sticky assignor: what the member had, and since when.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StickyUserData {
    pub owned: Vec<TopicPartitions>,
    /// Absent in its oldest form.
    pub generation: Option<i32>,
}

impl StickyUserData {
    /// What can be made of the bytes. Those that make no sense mean a member that has nothing: it must not stop the group.
    pub fn read(bytes: &Bytes) -> StickyUserData {
        let mut reader = Reader::new(bytes);
        match read_partitions(&mut reader) {
            Ok(owned) => StickyUserData { owned, generation: reader.i32().ok() },
            Err(_) => StickyUserData { owned: Vec::new(), generation: Some(NO_GENERATION) },
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        put_partitions(&mut out, &self.owned);
        if let Some(generation) = self.generation {
            out.put_i32(generation);
        }
        Bytes::from(out)
    }
}

/// User data of the cooperative sticky assignor: a generation. Bytes that are too short count as none.
pub fn read_cooperative_generation(bytes: &Bytes) -> i32 {
    Reader::new(bytes).i32().unwrap_or(NO_GENERATION)
}

/// The same, written.
pub fn cooperative_user_data(generation: i32) -> Bytes {
    Bytes::copy_from_slice(&generation.to_be_bytes())
}

/// Partitions by topic, each list sorted: a topic that stands twice in the bytes is one.
pub fn by_topic(partitions: &[TopicPartitions]) -> BTreeMap<&str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, numbers) in partitions {
        topics.entry(topic).or_default().extend(numbers);
    }
    for numbers in topics.values_mut() {
        numbers.sort_unstable();
    }
    topics
}

fn read_version(reader: &mut Reader) -> Result<i16, DecodeError> {
    let version = reader.i16()?;
    if version < 0 { Err(DecodeError::Version(version)) } else { Ok(version) }
}

fn read_partitions(reader: &mut Reader) -> Result<Vec<TopicPartitions>, DecodeError> {
    reader.array(6, |reader| Ok((reader.string()?, reader.array(4, Reader::i32)?)))
}

fn put_partitions(out: &mut Vec<u8>, partitions: &[TopicPartitions]) {
    put_count(out, partitions.len());
    for (topic, numbers) in partitions {
        put_string(out, topic);
        put_count(out, numbers.len());
        for &number in numbers {
            out.put_i32(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_written_in_order() {
        let partitions = |topic: &str, numbers: &[i32]| (topic.to_owned(), numbers.to_vec());
        let mixed = Subscription {
            topics: vec!["b".to_owned(), "a".to_owned()],
            owned: vec![partitions("b", &[3, 1]), partitions("a", &[2])],
            ..Subscription::default()
        };
        let read = Subscription::read(&mixed.to_bytes(VERSION)).unwrap();
        assert_eq!(read.topics, ["a", "b"]);
        assert_eq!(read.owned, [partitions("a", &[2]), partitions("b", &[1, 3])]);
    }

    #[test]
    fn newer_versions_read_as_the_newest_known_and_negative_ones_do_not() {
        let bytes = Assignment { partitions: vec![("t".to_owned(), vec![0])], user_data: None }.to_bytes(VERSION);
        let versioned = |version: i16| Bytes::from([&version.to_be_bytes(), &bytes[2..], b"more"].concat());
        assert_eq!(Assignment::read(&versioned(9)), Assignment::read(&bytes));
        assert_eq!(Assignment::read(&versioned(-1)), Err(DecodeError::Version(-1)));
    }
}
