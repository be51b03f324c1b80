//! Keys and values of `__share_group_state` (KIP-932), in Kafka's own bytes, and how states of ranges of offsets are laid over each other.
//!
//! Owns the formats; when a record is written, and what it changes, belongs to the share coordinator. A share partition's state is a snapshot and the
//! updates after it. Source: `share-coordinator/.../ShareSnapshot*.json`, `ShareUpdate*.json`, `PersisterStateBatchCombiner`.

use super::primitive::{DecodeError, Reader, put_compact_count, put_no_tags, put_string};
use super::{topic_id_base64, topic_id_of_base64};
use crate::ordered::sort_by;
use bytes::{BufMut, Bytes};
use std::sync::Arc;
use uuid::Uuid;

const SNAPSHOT_KEY: i16 = 0;
const UPDATE_KEY: i16 = 1;
/// The only version of both values.
const VALUE: i16 = 0;
/// Bytes of a batch of offsets on the wire, without tags.
const BATCH_BYTES: usize = 19;

/// A share group's view of a partition.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShareKey {
    pub group: Arc<str>,
    pub topic: Uuid,
    pub index: i32,
}

/// The state that a range of offsets is in, both ends included: as `RecordState` numbers it, and how often it was delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateBatch {
    pub first: i64,
    pub last: i64,
    pub state: i8,
    pub deliveries: i16,
}

/// What is known of a share partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShareState {
    pub snapshot_epoch: u16,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    /// -1: nobody has begun to read.
    pub start_offset: i64,
    /// Milliseconds.
    pub created: i64,
    pub written: i64,
    pub batches: Vec<StateBatch>,
}

/// What an update changes; -1: not the start offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShareUpdate {
    pub snapshot_epoch: u16,
    pub leader_epoch: i32,
    pub start_offset: i64,
    pub batches: Vec<StateBatch>,
}

impl ShareKey {
    /// What a coordinator is looked up by (`SharePartitionKey.asCoordinatorKey`).
    pub fn coordinator_key(&self) -> String {
        format!("{}:{}:{}", self.group, topic_id_base64(self.topic), self.index)
    }

    /// The share partition that is looked up by this; `None`: nothing is (`SharePartitionKey.validate`).
    pub fn of_coordinator_key(text: &str) -> Option<ShareKey> {
        let mut parts = text.split(':');
        let (group, topic, index) = (parts.next()?.trim(), parts.next()?, parts.next()?);
        if group.is_empty() || parts.next().is_some() {
            return None;
        }
        Some(ShareKey { group: Arc::from(group), topic: topic_id_of_base64(topic)?, index: index.parse().ok()? })
    }

    /// The key of a record, and whether it is a snapshot's.
    pub fn read(key: &Bytes) -> Result<(ShareKey, bool), DecodeError> {
        let mut reader = Reader::new(key);
        let kind = reader.i16()?;
        if !matches!(kind, SNAPSHOT_KEY | UPDATE_KEY) {
            return Err(DecodeError::Version(kind));
        }
        let key = ShareKey { group: Arc::from(reader.string()?), topic: reader.uuid()?, index: reader.i32()? };
        Ok((key, kind == SNAPSHOT_KEY))
    }

    pub fn to_bytes(&self, is_snapshot: bool) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(if is_snapshot { SNAPSHOT_KEY } else { UPDATE_KEY });
        put_string(&mut out, &self.group);
        out.put_u128(self.topic.as_u128());
        out.put_i32(self.index);
        Bytes::from(out)
    }
}

impl ShareState {
    pub fn read(value: &Bytes) -> Result<ShareState, DecodeError> {
        let mut reader = versioned(value)?;
        let state = ShareState {
            snapshot_epoch: reader.i16()? as u16,
            state_epoch: reader.i32()?,
            leader_epoch: reader.i32()?,
            start_offset: reader.i64()?,
            created: reader.i64()?,
            written: reader.i64()?,
            batches: read_batches(&mut reader)?,
        };
        reader.skip_tags()?;
        Ok(state)
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        out.put_u16(self.snapshot_epoch);
        out.put_i32(self.state_epoch);
        out.put_i32(self.leader_epoch);
        out.put_i64(self.start_offset);
        out.put_i64(self.created);
        out.put_i64(self.written);
        put_batches(&mut out, &self.batches);
        Bytes::from(out)
    }

    /// Lays an update over what is known.
    pub fn update(&mut self, update: &ShareUpdate) {
        if update.start_offset != -1 {
            self.start_offset = update.start_offset;
        }
        if update.leader_epoch != -1 {
            self.leader_epoch = update.leader_epoch;
        }
        lay_over(&mut self.batches, &update.batches, self.start_offset);
    }
}

impl ShareUpdate {
    pub fn read(value: &Bytes) -> Result<ShareUpdate, DecodeError> {
        let mut reader = versioned(value)?;
        let update = ShareUpdate {
            snapshot_epoch: reader.i16()? as u16,
            leader_epoch: reader.i32()?,
            start_offset: reader.i64()?,
            batches: read_batches(&mut reader)?,
        };
        reader.skip_tags()?;
        Ok(update)
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_i16(VALUE);
        out.put_u16(self.snapshot_epoch);
        out.put_i32(self.leader_epoch);
        out.put_i64(self.start_offset);
        put_batches(&mut out, &self.batches);
        Bytes::from(out)
    }
}

fn versioned(value: &Bytes) -> Result<Reader, DecodeError> {
    let mut reader = Reader::new(value);
    let version = reader.i16()?;
    reader.flexible = true;
    if version == VALUE { Ok(reader) } else { Err(DecodeError::Version(version)) }
}

fn read_batches(reader: &mut Reader) -> Result<Vec<StateBatch>, DecodeError> {
    reader.array(BATCH_BYTES, |reader| {
        let batch = StateBatch { first: reader.i64()?, last: reader.i64()?, state: reader.i8()?, deliveries: reader.i16()? };
        reader.skip_tags()?;
        Ok(batch)
    })
}

fn put_batches(out: &mut Vec<u8>, batches: &[StateBatch]) {
    put_compact_count(out, batches.len());
    for batch in batches {
        out.put_i64(batch.first);
        out.put_i64(batch.last);
        out.put_i8(batch.state);
        out.put_i16(batch.deliveries);
        put_no_tags(out);
    }
    put_no_tags(out);
}

/// Lays newer states over older ones: where two meet, the one that was delivered more often holds, and of equals the one further on. What is below the
/// start is forgotten; neighbours in one state become one.
pub fn lay_over(batches: &mut Vec<StateBatch>, newer: &[StateBatch], start: i64) {
    for new in newer.iter().filter(|new| new.first <= new.last) {
        // The ordinary case: it lies behind all that is known.
        if batches.last().is_none_or(|last| last.last < new.first) {
            batches.push(*new);
            continue;
        }
        let mut laid = Vec::with_capacity(batches.len() + 2);
        let mut next = Some(new.first);
        for old in batches.drain(..) {
            if old.last < new.first || new.last < old.first {
                laid.push(old);
                continue;
            }
            if old.first < new.first {
                laid.push(StateBatch { last: new.first - 1, ..old });
            }
            if let Some(from) = next.filter(|from| *from < old.first) {
                laid.push(StateBatch { first: from, last: old.first - 1, ..*new });
            }
            let stronger = if (old.deliveries, old.state) <= (new.deliveries, new.state) { *new } else { old };
            let last = old.last.min(new.last);
            laid.push(StateBatch { first: old.first.max(new.first), last, ..stronger });
            next = last.checked_add(1);
            if new.last < old.last {
                laid.push(StateBatch { first: new.last + 1, ..old });
            }
        }
        if let Some(from) = next.filter(|from| *from <= new.last) {
            laid.push(StateBatch { first: from, ..*new });
        }
        sort_by(&mut laid, |one, other| one.first.cmp(&other.first));
        *batches = laid;
    }
    batches.retain_mut(|batch| {
        batch.first = batch.first.max(start);
        start <= batch.last
    });
    batches.dedup_by(|next, batch| {
        let is_one = batch.last.checked_add(1) == Some(next.first) && (batch.state, batch.deliveries) == (next.state, next.deliveries);
        if is_one {
            batch.last = next.last;
        }
        is_one
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: i64, last: i64, state: i8, deliveries: i16) -> StateBatch {
        StateBatch { first, last, state, deliveries }
    }

    fn laid(older: &[StateBatch], newer: &[StateBatch], start: i64) -> Vec<StateBatch> {
        let mut batches = Vec::new();
        lay_over(&mut batches, older, -1);
        lay_over(&mut batches, newer, start);
        batches
    }

    /// The cases of Kafka's PersisterStateBatchCombinerTest.
    #[test]
    fn newer_states_lie_over_older_ones() {
        let whole = [batch(100, 110, 0, 1)];
        assert_eq!(laid(&whole, &[batch(100, 110, 0, 1)], -1), whole, "the same again");
        assert_eq!(laid(&whole, &[batch(111, 120, 0, 1)], -1), [batch(100, 120, 0, 1)], "neighbours in one state");
        assert_eq!(laid(&whole, &[batch(111, 120, 0, 2)], -1), [batch(100, 110, 0, 1), batch(111, 120, 0, 2)]);
        assert_eq!(laid(&whole, &[batch(105, 107, 0, 2)], -1), [batch(100, 104, 0, 1), batch(105, 107, 0, 2), batch(108, 110, 0, 1)]);
        assert_eq!(
            laid(&[batch(100, 110, 0, 2)], &[batch(105, 115, 0, 1)], -1),
            [batch(100, 110, 0, 2), batch(111, 115, 0, 1)],
            "older wins"
        );
        assert_eq!(laid(&whole, &[batch(95, 115, 2, 1)], -1), [batch(95, 115, 2, 1)], "further on, delivered as often");
        assert_eq!(laid(&whole, &[batch(108, 120, 2, 2)], 105), [batch(105, 107, 0, 1), batch(108, 120, 2, 2)], "cut at the start");
        assert_eq!(laid(&whole, &[], 111), [], "all below the start");
        assert_eq!(laid(&[batch(0, 4, 2, 1), batch(10, 14, 2, 1)], &[batch(0, 14, 2, 1)], -1), [batch(0, 14, 2, 1)], "over a hole");
        assert_eq!(laid(&[batch(i64::MAX - 1, i64::MAX, 2, 1)], &[batch(0, i64::MAX, 0, 1)], -1).len(), 2, "to the last offset there is");
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let key = ShareKey { group: "workers".into(), topic: Uuid::from_u128(7), index: 3 };
        for is_snapshot in [true, false] {
            assert_eq!(ShareKey::read(&key.to_bytes(is_snapshot)), Ok((key.clone(), is_snapshot)));
        }
        let batches = vec![batch(4, 9, 2, 1), batch(10, 10, 0, 5)];
        let update = ShareUpdate { snapshot_epoch: 65_535, leader_epoch: 2, start_offset: -1, batches: batches.clone() };
        assert_eq!(ShareUpdate::read(&update.to_bytes()), Ok(update.clone()));
        let state =
            ShareState { snapshot_epoch: 1, state_epoch: 4, leader_epoch: 1, start_offset: 4, created: 5, written: 6, batches: Vec::new() };
        assert_eq!(ShareState::read(&state.to_bytes()), Ok(state.clone()));
        let mut updated = state.clone();
        updated.update(&update);
        assert_eq!(updated, ShareState { leader_epoch: 2, batches, ..state });
        // Kafka's bytes of an empty snapshot: version, epochs, offset, times, no batches, no tags.
        let empty = "0000 0001 00000004 00000001 0000000000000004 0000000000000005 0000000000000006 01 00".replace(' ', "");
        let hex: String =
            ShareState::to_bytes(&ShareState { batches: Vec::new(), ..state }).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, empty);
    }
}
