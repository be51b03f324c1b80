//! Following: one fetch loop for each broker that leads something this broker has a replica of.
//!
//! Source: `ReplicaFetcherManager`, `ReplicaFetcherThread`, `AbstractFetcherThread`, `PartitionFetchState`.

use super::Broker;
use super::remote::Behind;
use super::{EARLIEST_LOCAL_TIMESTAMP, EARLIEST_TIMESTAMP};
use crate::node::{Channel, Connection, NodeId, Outputs, Time, Timer};
use crate::ordered::OrderedMap;
use crate::protocol::wire::{self, Request};
use crate::protocol::{Batch, ErrorCode, FetchSession};
use crate::replica::{PartitionKey, Replica};
use crate::storage::EpochEnd;
use k::fetch_request::FetchPartition;
use kafka_protocol::messages as k;
use std::sync::Arc;

/// The fetch loop towards one leader.
#[derive(Clone, Default, Debug)]
pub struct Fetcher {
    partitions: OrderedMap<PartitionKey, Followed>,
    /// The correlation of the fetch under way, and when it was sent.
    in_flight: Option<(u32, Time)>,
    /// What the leader remembers of what is asked.
    session: FetchSession,
    /// Questions for where the leader's log starts, by correlation, with the epoch; where its local log does, with where the whole one does.
    log_starts: OrderedMap<u32, (PartitionKey, i32, Option<i64>)>,
    /// Questions for the epoch before that of where the leader's local log starts.
    epochs_before: OrderedMap<u32, Behind>,
}

/// A partition that is fetched in one leader epoch. A new epoch begins anew, whatever the old one waits for.
#[derive(Clone, Copy, Debug)]
struct Followed {
    leader_epoch: i32,
    /// After an error it is not asked for before; if the leader is in a newer epoch, not at all.
    ready_at: Time,
}

impl Fetcher {
    /// Whether this partition is still fetched in this epoch.
    pub(super) fn is_in(&self, key: PartitionKey, leader_epoch: i32) -> bool {
        self.partitions.get(&key).is_some_and(|followed| followed.leader_epoch == leader_epoch)
    }

    /// When the fetch under way was sent.
    pub(super) fn sent(&self) -> Option<Time> {
        self.in_flight.map(|(_, sent)| sent)
    }
}

impl Broker {
    /// Gives each followed partition to the fetcher of its leader, and starts the fetchers that stand still.
    pub(super) fn assign_fetchers(&mut self, now: Time, out: &mut Outputs) {
        for (leader, fetcher) in &mut self.fetchers {
            let following = |key: &PartitionKey| self.replicas.get(key).and_then(Replica::following);
            fetcher.partitions.retain(|key, followed| following(key) == Some((*leader, followed.leader_epoch)));
        }
        for (key, replica) in &self.replicas {
            if let Some((leader, leader_epoch)) = replica.following() {
                self.fetchers.or_default(leader).partitions.or_insert_with(*key, || Followed { leader_epoch, ready_at: 0 });
            }
        }
        let leaders: Vec<i32> = self.fetchers.keys().copied().collect();
        for leader in leaders {
            self.fetch_from(now, leader, out);
        }
    }

    pub(super) fn fetch_from(&mut self, now: Time, leader: i32, out: &mut Outputs) {
        let (own_id, own_epoch, max_bytes) = (self.id, self.epoch(), self.config.replica_fetch_max_bytes);
        let too_much = self.copies_too_much(now);
        let Some(fetcher) = self.fetchers.get_mut(&leader) else { return };
        if fetcher.in_flight.is_some() {
            return;
        }
        if fetcher.partitions.is_empty() {
            // An idle fetcher ends, and its session with it.
            fetcher.session = FetchSession::default();
            return;
        }
        let mut message = k::FetchRequest::default();
        (message.replica_state.replica_id, message.replica_state.replica_epoch) = (k::BrokerId(own_id), own_epoch);
        message.max_wait_ms = i32::try_from(self.config.replica_fetch_wait_max / crate::node::MS).unwrap_or(i32::MAX);
        message.min_bytes = self.config.replica_fetch_min_bytes;
        message.max_bytes = self.config.replica_fetch_response_max_bytes;
        let replicas = &self.replicas;
        let Fetcher { partitions, session, .. } = fetcher;
        let waits = |replica: &Replica| too_much && replica.throttled.as_follower && !replica.is_caught_up();
        let ready = partitions.iter().filter(|(_, followed)| followed.ready_at <= now).map(|(key, _)| key);
        let wanted =
            ready.filter_map(|key| Some((key.topic, wanted(*key, replicas.get(key).filter(|replica| !waits(replica))?, max_bytes)?)));
        if !session.ask(&mut message, wanted) {
            // Replicas that wait ask again after a while.
            self.delay(now, leader, |_| true, out);
            return;
        }
        let correlation = self.correlation();
        if let Some(fetcher) = self.fetchers.get_mut(&leader) {
            fetcher.in_flight = Some((correlation, now));
        }
        out.request(NodeId::Broker(leader), Channel::Data, correlation, Request::Fetch(Arc::new(message)));
    }

    pub(super) fn fetched(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: &k::FetchResponse,
        batches: &[Vec<Batch>],
        out: &mut Outputs,
    ) {
        let NodeId::Broker(leader) = from.peer else { return };
        let Some(fetcher) = self.fetchers.get_mut(&leader).filter(|fetcher| fetcher.in_flight.is_some_and(|(own, _)| own == correlation))
        else {
            return;
        };
        fetcher.in_flight = None;
        if !fetcher.session.answered(message) {
            // The session is lost: the next request opens another. With ids of topics that do not fit it waits first.
            if message.error_code == ErrorCode::FetchSessionTopicIdError.code() {
                self.delay(now, leader, |_| true, out);
            }
            self.fetch_from(now, leader, out);
            return;
        }
        let now_ms = self.wall_clock(now);
        let (mut failed, mut out_of_range, mut copied) = (Vec::new(), Vec::new(), 0);
        let mut batches = batches.iter();
        for topic in &message.responses {
            for data in &topic.partitions {
                let key = PartitionKey { topic: topic.topic_id, index: data.partition_index };
                let batches = batches.next().map_or(&[][..], Vec::as_slice);
                let Some(fetcher) = self.fetchers.get_mut(&leader) else { continue };
                let Some(replica) = self.replicas.get_mut(&key) else { continue };
                // The leader epoch may be another than when it was asked, though the leader is the same, and the log may have been cut.
                let is_current = |asked: &&FetchPartition| {
                    fetcher.is_in(key, asked.current_leader_epoch) && asked.fetch_offset == replica.log.end_offset()
                };
                if fetcher.session.asked(key.topic, key.index).filter(is_current).is_none() {
                    continue;
                }
                if data.error_code == ErrorCode::FencedLeaderEpoch.code() {
                    // The leader's epoch is on its way here.
                    if let Some(followed) = fetcher.partitions.get_mut(&key) {
                        followed.ready_at = Time::MAX;
                    }
                } else if data.error_code != 0 {
                    failed.push(key);
                    if data.error_code == ErrorCode::OffsetOutOfRange.code() {
                        out_of_range.push((key, None));
                    } else if data.error_code == ErrorCode::OffsetMovedToTieredStorage.code() {
                        out_of_range.push((key, Some(data.log_start_offset)));
                    }
                } else if 0 <= data.diverging_epoch.epoch {
                    replica.truncate_to(EpochEnd { epoch: data.diverging_epoch.epoch, end: data.diverging_epoch.end_offset }, out);
                } else if replica.goes_on_with(batches) {
                    copied += if replica.throttled.as_follower { wire::size_of_batches(batches) } else { 0 };
                    replica.append_as_follower(now, now_ms, batches, data.high_watermark, data.log_start_offset, out);
                    self.moved.insert(key);
                }
            }
        }
        self.count_copied_in(now, copied);
        for (key, tiered) in out_of_range {
            self.ask_log_start(leader, key, tiered, out);
        }
        self.delay(now, leader, |key| failed.contains(key), out);
        self.fetch_from(now, leader, out);
    }

    /// What this replica needs next is not in the leader's log: where does that start? The backoff goes on meanwhile, in case no answer comes.
    /// Where the leader's log starts at `tiered` and what is needed is only in the remote store: where does the local log start?
    fn ask_log_start(&mut self, leader: i32, key: PartitionKey, tiered: Option<i64>, out: &mut Outputs) {
        let Some(replica) = self.replicas.get(&key) else { return };
        let mut asked = k::list_offsets_request::ListOffsetsPartition::default();
        asked.partition_index = key.index;
        let leader_epoch = replica.leader_epoch();
        asked.current_leader_epoch = leader_epoch;
        asked.timestamp = if tiered.is_some() { EARLIEST_LOCAL_TIMESTAMP } else { EARLIEST_TIMESTAMP };
        let mut topic = k::list_offsets_request::ListOffsetsTopic::default();
        topic.name = wire::topic(&replica.name.topic);
        topic.partitions.push(asked);
        let mut message = k::ListOffsetsRequest::default();
        message.replica_id = k::BrokerId(self.id);
        message.topics.push(topic);
        let correlation = self.correlation();
        if let Some(fetcher) = self.fetchers.get_mut(&leader) {
            fetcher.log_starts.insert(correlation, (key, leader_epoch, tiered));
            out.request(NodeId::Broker(leader), Channel::Data, correlation, Request::ListOffsets(Arc::new(message)));
        }
    }

    /// The leader says where its log starts: this one begins there, or goes on if it reaches it.
    pub(super) fn log_start_told(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: &k::ListOffsetsResponse,
        out: &mut Outputs,
    ) {
        let NodeId::Broker(leader) = from.peer else { return };
        let Some(fetcher) = self.fetchers.get_mut(&leader) else { return };
        let Some((key, leader_epoch, tiered)) = fetcher.log_starts.remove(&correlation) else { return };
        let Some(told) = message.topics.first().and_then(|topic| topic.partitions.first()) else { return };
        let Some(replica) = self.replicas.get_mut(&key) else { return };
        if told.error_code != 0 || !fetcher.is_in(key, leader_epoch) {
            return;
        }
        if let Some(log_start) = tiered {
            let behind = Behind { key, current: leader_epoch, log_start, local_start: told.offset, epoch: told.leader_epoch };
            self.ask_epoch_before(now, leader, behind, out);
            return;
        }
        replica.start_at_leader(told.offset, out);
        self.moved.insert(key);
        self.fetch_undelayed(now, leader, key, out);
    }

    /// This partition needs to wait no more.
    pub(super) fn fetch_undelayed(&mut self, now: Time, leader: i32, key: PartitionKey, out: &mut Outputs) {
        if let Some(followed) = self.fetchers.get_mut(&leader).and_then(|fetcher| fetcher.partitions.get_mut(&key)) {
            followed.ready_at = now;
            self.fetch_from(now, leader, out);
        }
    }

    /// Which epoch wrote what is before the leader's local log: the one that it starts with, unless the one before reaches up to there.
    fn ask_epoch_before(&mut self, now: Time, leader: i32, behind: Behind, out: &mut Outputs) {
        let Some(replica) = self.replicas.get(&behind.key) else { return };
        if behind.epoch <= 0 {
            self.ask_epochs(now, leader, behind, out);
            return;
        }
        let mut asked = k::offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
        asked.partition = behind.key.index;
        asked.current_leader_epoch = behind.current;
        asked.leader_epoch = behind.epoch - 1;
        let mut topic = k::offset_for_leader_epoch_request::OffsetForLeaderTopic::default();
        topic.topic = wire::topic(&replica.name.topic);
        topic.partitions.push(asked);
        let mut message = k::OffsetForLeaderEpochRequest::default();
        message.replica_id = k::BrokerId(self.id);
        message.topics.push(topic);
        let correlation = self.correlation();
        if let Some(fetcher) = self.fetchers.get_mut(&leader) {
            fetcher.epochs_before.insert(correlation, behind);
            out.request(NodeId::Broker(leader), Channel::Data, correlation, Request::OffsetForLeaderEpoch(Arc::new(message)));
        }
    }

    pub(super) fn epoch_before_told(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: &k::OffsetForLeaderEpochResponse,
        out: &mut Outputs,
    ) {
        let NodeId::Broker(leader) = from.peer else { return };
        let asked = self.fetchers.get_mut(&leader).and_then(|fetcher| fetcher.epochs_before.remove(&correlation));
        let told = message.topics.first().and_then(|topic| topic.partitions.first()).filter(|told| told.error_code == 0);
        if let (Some(mut behind), Some(told)) = (asked, told) {
            if behind.local_start <= told.end_offset {
                behind.epoch = told.leader_epoch;
            }
            self.ask_epochs(now, leader, behind, out);
        }
    }

    /// The leader's process is gone; ask again after a while, in case it comes back before the controller elects another.
    pub(super) fn fetch_failed(&mut self, now: Time, leader: i32, out: &mut Outputs) {
        if let Some(fetcher) = self.fetchers.get_mut(&leader).filter(|fetcher| fetcher.in_flight.is_some()) {
            fetcher.in_flight = None;
            fetcher.session.lost();
            fetcher.log_starts.clear();
            fetcher.epochs_before.clear();
            self.delay(now, leader, |_| true, out);
        }
    }

    /// Leaves these partitions out until the backoff is over, unless they are left out already; the others go on.
    fn delay(&mut self, now: Time, leader: i32, is_meant: impl Fn(&PartitionKey) -> bool, out: &mut Outputs) {
        let Some(fetcher) = self.fetchers.get_mut(&leader) else { return };
        let until = now + self.config.replica_fetch_backoff;
        let mut delays = false;
        for (_, followed) in (&mut fetcher.partitions).into_iter().filter(|(key, followed)| is_meant(key) && followed.ready_at <= now) {
            (followed.ready_at, delays) = (until, true);
        }
        if delays {
            out.timer(until, Timer::FetchBackoff { leader });
        }
    }
}

/// What a follower asks of its leader; `None` if it follows nobody.
fn wanted(key: PartitionKey, replica: &Replica, max_bytes: i32) -> Option<FetchPartition> {
    let (_, leader_epoch) = replica.following()?;
    let asked = FetchPartition::default().with_partition(key.index).with_current_leader_epoch(leader_epoch);
    let asked = asked.with_fetch_offset(replica.log.end_offset()).with_last_fetched_epoch(replica.log.latest_epoch().unwrap_or(-1));
    Some(asked.with_log_start_offset(replica.log.start_offset()).with_partition_max_bytes(max_bytes))
}
