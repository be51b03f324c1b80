//! The opaque bytes inside JoinGroup and SyncGroup: what a member subscribes to, and what it is assigned.
//!
//! Source: `ConsumerProtocol` (`ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`), KIP-429, KIP-792, KIP-881. A reader
//! takes the fields of the versions it knows and leaves what newer ones add.

use super::bytes_io::{Malformed, Reader, Writer};
use bytes::Bytes;
use std::collections::BTreeMap;

/// The version that is written, and the newest whose fields are read.
const VERSION: i16 = 3;
/// "No generation" on the wire.
const NO_GENERATION: i32 = -1;

/// Topic to partitions.
pub type TopicPartitions = BTreeMap<String, Vec<i32>>;

/// What a member tells the group's leader.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Subscription {
    pub topics: Vec<String>,
    pub user_data: Option<Bytes>,
    pub owned: TopicPartitions,
    /// Of the assignment that `owned` comes from.
    pub generation: Option<i32>,
    pub rack: Option<String>,
}

impl Subscription {
    pub fn of_topics(topics: Vec<String>) -> Subscription {
        Subscription { topics, ..Subscription::default() }
    }

    pub fn encode(&self) -> Bytes {
        self.encode_version(VERSION)
    }

    /// Writes the fields that a version has.
    pub fn encode_version(&self, version: i16) -> Bytes {
        let mut out = Writer::default();
        out.i16(version).i32(self.topics.len() as i32);
        for topic in &self.topics {
            out.string(topic);
        }
        out.nullable_bytes(self.user_data.as_deref());
        if 1 <= version {
            write_partitions(&mut out, &self.owned);
        }
        if 2 <= version {
            out.i32(self.generation.unwrap_or(NO_GENERATION));
        }
        if 3 <= version {
            out.nullable_string(self.rack.as_deref());
        }
        out.done()
    }

    pub fn decode(bytes: &Bytes) -> Result<Subscription, Malformed> {
        let mut from = Reader::new(bytes);
        let version = from.i16()?;
        if version < 0 {
            return Err(Malformed);
        }
        let mut read = Subscription::default();
        // A name takes at least the two bytes of its length.
        for _ in 0..from.count(2)? {
            read.topics.push(from.string()?);
        }
        read.user_data = from.nullable_bytes()?;
        if 1 <= version {
            read.owned = read_partitions(&mut from)?;
        }
        if 2 <= version {
            read.generation = Some(from.i32()?).filter(|generation| 0 <= *generation);
        }
        if 3 <= version {
            read.rack = from.nullable_string()?;
        }
        Ok(read)
    }
}

/// What the leader hands to a member.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Assignment {
    pub partitions: TopicPartitions,
    pub user_data: Option<Bytes>,
}

impl Assignment {
    pub fn of_partitions(partitions: TopicPartitions) -> Assignment {
        Assignment { partitions, user_data: None }
    }

    pub fn encode(&self) -> Bytes {
        self.encode_version(VERSION)
    }

    pub fn encode_version(&self, version: i16) -> Bytes {
        let mut out = Writer::default();
        out.i16(version);
        write_partitions(&mut out, &self.partitions);
        out.nullable_bytes(self.user_data.as_deref());
        out.done()
    }

    /// No bytes at all: a member that the leader gave nothing.
    pub fn decode(bytes: &Bytes) -> Result<Assignment, Malformed> {
        if bytes.is_empty() {
            return Ok(Assignment::default());
        }
        let mut from = Reader::new(bytes);
        if from.i16()? < 0 {
            return Err(Malformed);
        }
        Ok(Assignment { partitions: read_partitions(&mut from)?, user_data: from.nullable_bytes()? })
    }
}

fn write_partitions(out: &mut Writer, topics: &TopicPartitions) {
    out.i32(topics.len() as i32);
    for (topic, partitions) in topics {
        out.string(topic).i32(partitions.len() as i32);
        for partition in partitions {
            out.i32(*partition);
        }
    }
}

fn read_partitions(from: &mut Reader) -> Result<TopicPartitions, Malformed> {
    let mut topics = TopicPartitions::new();
    // A topic takes at least its name's length and its partitions' count.
    for _ in 0..from.count(6)? {
        let topic = from.string()?;
        let partitions = topics.entry(topic).or_default();
        for _ in 0..from.count(4)? {
            partitions.push(from.i32()?);
        }
    }
    Ok(topics)
}
