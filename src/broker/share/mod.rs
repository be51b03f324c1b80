//! Share groups on the leader of a partition: records that members acquire, acknowledge and give back (KIP-932).
//!
//! Owns the share partitions of the groups that read here, and the requests that wait. What has become of records is stored by the share coordinator
//! before anybody hears of it; a new leader goes on from there. Source: `SharePartitionManager`, `DelayedShareFetch`, `ShareFetchUtils`.

mod exchange;
mod partition;
#[cfg(test)]
mod partition_test;
mod persister;
mod sessions;

pub use partition::{AcknowledgeType, Acknowledgement, Acquired, Change, InFlight, RecordState, SharePartition};

use super::Broker;
use crate::node::{Connection, MS, NoteKind, Outputs, Partition, SettledBy, Time, Timer};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::settings::iso_duration_ms;
use crate::protocol::share_records::{ShareKey, ShareState};
use crate::replica::PartitionKey;
use exchange::Exchange;
pub(super) use persister::Ask;
use persister::Persister;
use sessions::{ShareSessions, Whose};
use std::sync::Arc;

/// Settings of share groups, with Kafka's names and defaults.
#[derive(Clone, Copy, Debug)]
pub struct ShareConfig {
    /// `group.share.delivery.count.limit`
    pub deliveries_max: i16,
    /// `group.share.record.lock.duration.ms`
    pub lock_duration: Time,
    /// `group.share.partition.max.record.locks`
    pub locks_max: i64,
    /// `share.isolation.level=read_committed`; only a group can say so.
    pub reads_committed: bool,
    /// `group.share.max.share.sessions`
    pub sessions_max: usize,
    /// `share.coordinator.state.topic.num.partitions`
    pub state_partitions: i32,
    /// `share.coordinator.state.topic.replication.factor`
    pub state_replication_factor: i16,
    /// `share.coordinator.state.topic.min.isr`
    pub state_min_insync: i64,
    /// `share.coordinator.write.timeout.ms`
    pub write_timeout: Time,
    /// `share.coordinator.state.topic.segment.bytes`
    pub state_segment_bytes: i64,
    /// `share.coordinator.snapshot.update.records.per.snapshot`
    pub updates_per_snapshot: u32,
}

/// A share partition as far as this leader knows it.
#[derive(Clone, Debug)]
enum Known {
    /// The share coordinator is asked.
    Loading,
    Active(Box<SharePartition>),
    /// It could not be read; whoever asks next hears so, and then it is read again.
    Failed(ErrorCode),
}

/// The share groups' side of a broker.
#[derive(Clone, Default, Debug)]
pub(super) struct Share {
    sessions: ShareSessions,
    partitions: OrderedMap<ShareKey, Known>,
    exchanges: OrderedMap<u64, Exchange>,
    next_exchange: u64,
    persister: Persister,
    /// When the alarm rings.
    wake: Option<Time>,
}

impl Share {
    fn active(&mut self, key: &ShareKey) -> Option<&mut SharePartition> {
        match self.partitions.get_mut(key) {
            Some(Known::Active(partition)) => Some(partition),
            _ => None,
        }
    }

    pub(super) fn oldest_sent(&self) -> Option<Time> {
        self.persister.oldest_sent()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.exchanges.is_empty()
    }
}

impl Broker {
    /// A group's records in flight in a partition that this broker leads, if it has begun to read here.
    /// When it looks at locks next, if it set itself an alarm.
    pub fn share_alarm(&self) -> Option<Time> {
        self.share.wake
    }

    pub fn share_partition(&self, group: &str, topic: uuid::Uuid, index: i32) -> Option<&SharePartition> {
        match self.share.partitions.get(&ShareKey { group: Arc::from(group), topic, index }) {
            Some(Known::Active(partition)) => Some(partition),
            _ => None,
        }
    }

    /// How many share sessions there are.
    pub fn share_sessions(&self) -> usize {
        self.share.sessions.len()
    }

    /// What holds for a group: its own settings before the broker's (KIP-1240).
    fn share_config(&self, group: &str) -> ShareConfig {
        let mut config = self.config.share;
        for (name, text) in self.image.group_configs.get(group).into_iter().flatten() {
            match (name.as_str(), text.trim().parse::<i64>()) {
                ("share.record.lock.duration.ms", Ok(ms)) => config.lock_duration = MS * ms as Time,
                ("share.delivery.count.limit", Ok(count)) => config.deliveries_max = count as i16,
                ("share.partition.max.record.locks", Ok(count)) => config.locks_max = count,
                ("share.isolation.level", _) => config.reads_committed = text.trim().eq_ignore_ascii_case("read_committed"),
                _ => {}
            }
        }
        config
    }

    fn partition_named(&self, key: &ShareKey) -> Option<Partition> {
        Some(Partition { topic: self.image.topics.get(&key.topic)?.name.clone(), index: key.index })
    }

    /// The share coordinator has told what it knows of a share partition.
    fn share_partition_read(
        &mut self,
        now: Time,
        key: &ShareKey,
        leader_epoch: i32,
        error: ErrorCode,
        state: Option<ShareState>,
        out: &mut Outputs,
    ) {
        let place = PartitionKey { topic: key.topic, index: key.index };
        if !matches!(self.share.partitions.get(key), Some(Known::Loading)) {
            return;
        }
        // The leadership, or the partition, may be gone meanwhile, and even be back: then it is read again, by the leader of the new epoch.
        let leads = self.replica(place).is_ok_and(|own| own.leader().is_some_and(|leader| leader.epoch == leader_epoch));
        if !leads {
            self.share.partitions.remove(key);
            self.try_share_fetches(now, place, out);
            self.set_share_alarm(now, out);
            return;
        }
        let begun = match state.filter(|_| error == ErrorCode::None) {
            Some(state) if 0 <= state.start_offset => Ok((state, 0)),
            Some(state) => self.share_begin(now, key).map(|start| (state, start)),
            None => Err(persister_error(error)),
        };
        let known = match begun {
            Ok((state, start)) => {
                let partition = SharePartition::new(leader_epoch, self.share_config(&key.group).deliveries_max, &state, start);
                if let Some(name) = self.partition_named(key) {
                    let (group, start_offset) = (key.group.clone(), partition.start_offset());
                    out.note(NoteKind::SharePartitionLoaded { group, partition: name, start_offset });
                }
                Known::Active(Box::new(partition))
            }
            Err(error) => Known::Failed(error),
        };
        self.share.partitions.insert(key.clone(), known);
        self.try_share_fetches(now, place, out);
        self.set_share_alarm(now, out);
    }

    /// Where a group begins that has not read here before: `share.auto.offset.reset`, which is the end by default.
    fn share_begin(&self, now: Time, key: &ShareKey) -> Result<i64, ErrorCode> {
        let replica = self.replica(PartitionKey { topic: key.topic, index: key.index })?;
        let leader = replica.leader().ok_or(ErrorCode::NotLeaderOrFollower)?;
        let end = replica.high_watermark();
        let reset =
            self.image.group_configs.get(&*key.group).and_then(|configs| configs.get("share.auto.offset.reset")).map_or("", String::as_str);
        if reset.trim() == "earliest" {
            return Ok(replica.log.start_offset());
        }
        // A new leader does not know yet how much of the old epoch was safe.
        if end < leader.epoch_start {
            return Err(ErrorCode::OffsetNotAvailable);
        }
        let since = reset.trim().strip_prefix("by_duration:").and_then(iso_duration_ms).map(|ms| self.wall_clock(now).saturating_sub(ms));
        let found = since.and_then(|since| replica.log.first_at(since)).map(|found| found.offset);
        Ok(found.filter(|offset| *offset < end).unwrap_or(end))
    }

    /// What becomes of records is stored, or could not be.
    fn share_change_stored(
        &mut self,
        now: Time,
        key: &ShareKey,
        change: &Change,
        exchange: Option<u64>,
        error: ErrorCode,
        out: &mut Outputs,
    ) {
        let error = persister_error(error);
        let at_once = exchange.is_none() && change.ranges.iter().any(|range| range.by == SettledBy::LockTimeout);
        if let Some(partition) = self.share.active(key) {
            partition.settled(change.number, error == ErrorCode::None);
        }
        if error == ErrorCode::None && !at_once {
            self.note_settled(key, change, out);
        }
        if matches!(error, ErrorCode::FencedStateEpoch | ErrorCode::NotLeaderOrFollower) {
            // Somebody else leads, or the group has begun anew: what is known here is not so any more.
            self.share.partitions.remove(key);
        }
        let place = PartitionKey { topic: key.topic, index: key.index };
        if let Some(number) = exchange {
            self.acknowledged(now, number, place, error, out);
        }
        // What could not be stored is the member's again, but for what took longer than the lock.
        self.expire_locks(now, key, out);
        self.try_share_fetches(now, place, out);
        self.set_share_alarm(now, out);
    }

    fn note_settled(&self, key: &ShareKey, change: &Change, out: &mut Outputs) {
        let Some(name) = self.partition_named(key) else { return };
        for range in &change.ranges {
            out.note(NoteKind::RecordsSettled {
                group: key.group.clone(),
                member: range.member.clone().unwrap_or_default(),
                partition: name.clone(),
                first_offset: range.batch.first,
                last_offset: range.batch.last,
                deliveries: range.batch.deliveries,
                archived: range.batch.state == RecordState::Archived as i8,
                by: range.by,
            });
        }
    }

    /// Has a change stored.
    fn store(&mut self, now: Time, key: &ShareKey, change: Change, exchange: Option<u64>, out: &mut Outputs) {
        let Some(partition) = self.share.active(key) else { return };
        let (state_epoch, leader_epoch, start_offset) = (partition.state_epoch, partition.leader_epoch, partition.start_offset());
        self.ask_share_coordinator(now, key, Ask::Write { state_epoch, leader_epoch, start_offset, change, exchange }, out);
    }

    /// What a member has goes back: it has left the group, or ended its session, or its connection is gone.
    fn release_share(&mut self, now: Time, (group, member): &Whose, exchange: Option<u64>, out: &mut Outputs) -> Vec<PartitionKey> {
        let keys: Vec<ShareKey> = self.share.partitions.keys().filter(|key| key.group == *group).cloned().collect();
        let mut released = Vec::new();
        for key in keys {
            if let Some(change) = self.share.active(&key).and_then(|partition| partition.release(member)) {
                released.push(PartitionKey { topic: key.topic, index: key.index });
                self.store(now, &key, change, exchange, out);
            }
        }
        // Where nobody of a group reads any more nothing is known of it: an admin may have it go on from elsewhere (`onGroupEmpty`).
        if !self.share.sessions.has_members(group) {
            self.share.partitions.retain(|key, _| key.group != *group);
        }
        released
    }

    pub(super) fn share_connections_gone(&mut self, now: Time, gone: impl Fn(Connection) -> bool, out: &mut Outputs) {
        self.share.exchanges.retain(|_, exchange| !gone(exchange.from));
        for whose in self.share.sessions.forget(gone) {
            self.release_share(now, &whose, None, out);
        }
        self.set_share_alarm(now, out);
    }

    /// This broker does not lead the partition any more: its share partitions are another's.
    pub(super) fn forget_share_partitions(&mut self, place: PartitionKey) {
        self.share.partitions.retain(|key, _| (key.topic, key.index) != (place.topic, place.index));
    }

    /// Whether a lock of the share partition was over: its records go to whoever comes next.
    fn expire_locks(&mut self, now: Time, key: &ShareKey, out: &mut Outputs) -> bool {
        let Some(change) = self.share.active(key).and_then(|partition| partition.expire(now)) else { return false };
        self.note_settled(key, &change, out);
        self.store(now, key, change, None, out);
        true
    }

    pub(super) fn share_due(&mut self, now: Time, out: &mut Outputs) {
        if self.share.wake.is_none_or(|at| now < at) {
            return;
        }
        self.share.wake = None;
        let keys: Vec<ShareKey> = self.share.partitions.keys().cloned().collect();
        for key in keys {
            if self.expire_locks(now, &key, out) {
                self.try_share_fetches(now, PartitionKey { topic: key.topic, index: key.index }, out);
            }
        }
        self.expire_share_fetches(now, out);
        self.drive_persister(now, out);
        self.set_share_alarm(now, out);
    }

    /// Sets the one alarm: for the first lock that ends, the first request that has waited long enough, and the first thing to be asked again.
    fn set_share_alarm(&mut self, now: Time, out: &mut Outputs) {
        let locks = self.share.partitions.values().filter_map(|known| match known {
            Known::Active(partition) => partition.next_expiry(),
            _ => None,
        });
        let waits = self.share.exchanges.values().filter_map(Exchange::waits_until);
        let due = locks.chain(waits).chain(self.share.persister.next_due()).min();
        if let Some(at) = due.map(|at| at.max(now + 1)).filter(|at| self.share.wake.is_none_or(|set| *at < set)) {
            self.share.wake = Some(at);
            out.timer(at, Timer::Share);
        }
    }
}

/// What a member is told when the share coordinator refuses (`SharePartition.fetchPersisterError`).
fn persister_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::GroupIdNotFound => ErrorCode::InvalidRequest,
        ErrorCode::FencedLeaderEpoch => ErrorCode::NotLeaderOrFollower,
        ErrorCode::None
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::InvalidRequest
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::FencedStateEpoch
        | ErrorCode::NotLeaderOrFollower
        | ErrorCode::OffsetNotAvailable => error,
        _ => ErrorCode::UnknownServerError,
    }
}
