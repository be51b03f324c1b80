//! Committed offsets do not stay for ever: those that nobody has needed for `offsets.retention.minutes` are taken back, and so are groups that have
//! nothing left.
//!
//! Source: `offsetExpirationCondition` of `ClassicGroup` and of `ConsumerGroup`, `OffsetMetadataManager.cleanupExpiredOffsets`, `GroupMetadataManager.maybeDeleteGroup`; KIP-211.

use super::admin::{CONSUMER, tombstone};
use super::offsets::{CommittedOffset, OffsetKey};
use super::{Append, Coordinator, Effects, Group, GroupState, Then};
use crate::node::Time;

impl Coordinator {
    /// Writes the tombstones of what has expired by now.
    pub fn expire_offsets(&self, now: Time, effects: &mut Effects) {
        let now_ms = self.config.timestamp(now);
        for (partition, shard) in &self.shards {
            for group in shard.groups.values() {
                // What an open transaction speaks of stays until it has ended.
                let is_expired = |(key, committed): &(&OffsetKey, &CommittedOffset)| {
                    group.is_expired(key, committed, now_ms, self.config.offsets_retention_ms)
                        && shard.open_of(&group.id).all(|open| open != *key)
                };
                let offsets: Vec<OffsetKey> = group.offsets.iter().filter(is_expired).map(|(key, _)| key.clone()).collect();
                let is_all = offsets.len() == group.offsets.len() && shard.open_of(&group.id).next().is_none();
                let has_nothing = is_all && group.is_empty() && group.pending.is_empty() && group.share.is_none();
                let (records, then) = if has_nothing {
                    let records = group.tombstones(&offsets);
                    (records, Then::GroupsDeleted { deletion: None, groups: vec![(group.id.clone(), offsets)] })
                } else if offsets.is_empty() {
                    continue;
                } else {
                    let records = offsets.iter().map(|key| tombstone(&group.id, key)).collect();
                    (records, Then::OffsetsExpired { group: group.id.clone(), offsets })
                };
                effects.appends.push(Append { partition: *partition, records, then });
            }
        }
    }
}

impl Group {
    fn is_expired(&self, key: &OffsetKey, committed: &CommittedOffset, now_ms: i64, retention_ms: i64) -> bool {
        if self.consumer.is_some() && self.is_subscribed_to(&key.0) {
            return false;
        }
        let unused_since = if self.consumer.is_some() || self.protocol_type.is_empty() {
            // Under the new protocol, and of consumers that choose their partitions themselves.
            committed.timestamp
        } else if self.state == GroupState::Empty {
            // Since its last member has left, whenever that one committed.
            self.empty_since.unwrap_or(committed.timestamp)
        } else if self.state == GroupState::Stable && self.protocol_type == CONSUMER && self.subscribes_to(&key.0) == Some(false) {
            committed.timestamp
        } else {
            return false;
        };
        match committed.expires {
            Some(expires) => expires <= now_ms,
            None => retention_ms <= now_ms - unused_since,
        }
    }
}
