//! Following: one fetch loop for each broker that leads something this broker has a replica of.
//!
//! Source: `ReplicaFetcherManager`, `ReplicaFetcherThread`.

use super::Broker;
use super::EARLIEST_LOCAL_TIMESTAMP;
use crate::node::{Channel, Connection, NodeId, Outputs, Time, Timer};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::wire::{self, Request};
use crate::protocol::{Batch, ErrorCode};
use crate::replica::PartitionKey;
use crate::storage::EpochEnd;
use kafka_protocol::messages as k;
use std::sync::Arc;

/// The fetch loop towards one leader.
#[derive(Clone, Default, Debug)]
pub struct Fetcher {
    partitions: OrderedSet<PartitionKey>,
    /// The correlation of the fetch under way, and when it was sent.
    in_flight: Option<(u32, Time)>,
    /// After an error: wait for the timer before asking again, for everything or for these partitions.
    backing_off: bool,
    delayed: OrderedSet<PartitionKey>,
    /// Questions for where the leader's log starts, by correlation.
    log_starts: OrderedMap<u32, PartitionKey>,
}

impl Fetcher {
    /// When the fetch under way was sent.
    pub(super) fn sent(&self) -> Option<Time> {
        self.in_flight.map(|(_, sent)| sent)
    }
}

impl Broker {
    /// Gives each followed partition to the fetcher of its leader, and starts the fetchers that stand still.
    pub(super) fn assign_fetchers(&mut self, now: Time, out: &mut Outputs) {
        for fetcher in self.fetchers.values_mut() {
            fetcher.partitions.clear();
        }
        for (key, replica) in &self.replicas {
            if let Some((leader, _)) = replica.following() {
                self.fetchers.or_default(leader).partitions.insert(*key);
            }
        }
        let leaders: Vec<i32> = self.fetchers.keys().copied().collect();
        for leader in leaders {
            self.fetch_from(now, leader, out);
        }
    }

    pub(super) fn fetch_again(&mut self, now: Time, leader: i32, out: &mut Outputs) {
        if let Some(fetcher) = self.fetchers.get_mut(&leader) {
            fetcher.backing_off = false;
            fetcher.delayed.clear();
            self.fetch_from(now, leader, out);
        }
    }

    fn fetch_from(&mut self, now: Time, leader: i32, out: &mut Outputs) {
        let Some(fetcher) = self.fetchers.get(&leader) else { return };
        if fetcher.in_flight.is_some() || fetcher.backing_off {
            return;
        }
        let mut message = k::FetchRequest::default();
        message.replica_state.replica_id = k::BrokerId(self.id);
        message.replica_state.replica_epoch = self.epoch();
        message.max_wait_ms = i32::try_from(self.config.replica_fetch_wait_max / crate::node::MS).unwrap_or(i32::MAX);
        message.min_bytes = self.config.replica_fetch_min_bytes;
        message.max_bytes = self.config.replica_fetch_response_max_bytes;
        for key in fetcher.partitions.iter().filter(|key| !fetcher.delayed.contains(*key)) {
            let Some(replica) = self.replicas.get(key) else { continue };
            let Some((_, leader_epoch)) = replica.following() else { continue };
            let mut asked = k::fetch_request::FetchPartition::default();
            asked.partition = key.index;
            asked.current_leader_epoch = leader_epoch;
            asked.fetch_offset = replica.log.end_offset();
            asked.last_fetched_epoch = replica.log.latest_epoch().unwrap_or(-1);
            asked.log_start_offset = replica.log.start_offset();
            asked.partition_max_bytes = self.config.replica_fetch_max_bytes;
            if message.topics.last().is_none_or(|topic| topic.topic_id != key.topic) {
                let mut topic = k::fetch_request::FetchTopic::default();
                topic.topic_id = key.topic;
                message.topics.push(topic);
            }
            if let Some(topic) = message.topics.last_mut() {
                topic.partitions.push(asked);
            }
        }
        if message.topics.is_empty() {
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
        match self.fetchers.get_mut(&leader) {
            Some(fetcher) if fetcher.in_flight.is_some_and(|(own, _)| own == correlation) => fetcher.in_flight = None,
            _ => return,
        }
        let now_ms = self.wall_clock(now);
        let (mut failed, mut out_of_range) = (Vec::new(), Vec::new());
        let mut batches = batches.iter();
        for topic in &message.responses {
            for data in &topic.partitions {
                let key = PartitionKey { topic: topic.topic_id, index: data.partition_index };
                let batches = batches.next().map_or(&[][..], Vec::as_slice);
                let Some(replica) = self.replicas.get_mut(&key) else { continue };
                // The role may have changed while the response was on its way.
                if replica.following().is_none_or(|(following, _)| following != leader) {
                    continue;
                }
                if data.error_code != 0 {
                    failed.push(key);
                    if data.error_code == ErrorCode::OffsetOutOfRange.code() {
                        out_of_range.push(key);
                    }
                } else if 0 <= data.diverging_epoch.epoch {
                    replica.truncate_to(EpochEnd { epoch: data.diverging_epoch.epoch, end: data.diverging_epoch.end_offset }, out);
                } else if batches.first().is_none_or(|batch| replica.log.end_offset() <= batch.base_offset) {
                    // Compaction leaves gaps: the next batch need not begin where this log ends.
                    replica.append_as_follower(now, now_ms, batches, data.high_watermark, data.log_start_offset, out);
                    self.moved.insert(key);
                }
            }
        }
        for key in out_of_range {
            self.ask_log_start(leader, key, out);
        }
        if !failed.is_empty() {
            self.delay(now, leader, failed, out);
        }
        self.fetch_from(now, leader, out);
    }

    /// What this replica needs next is not in the leader's log: where does that start? The backoff goes on meanwhile, in case no answer comes.
    fn ask_log_start(&mut self, leader: i32, key: PartitionKey, out: &mut Outputs) {
        let Some(replica) = self.replicas.get(&key) else { return };
        let mut asked = k::list_offsets_request::ListOffsetsPartition::default();
        asked.partition_index = key.index;
        asked.current_leader_epoch = replica.leader_epoch();
        asked.timestamp = EARLIEST_LOCAL_TIMESTAMP;
        let mut topic = k::list_offsets_request::ListOffsetsTopic::default();
        topic.name = wire::topic(&replica.name.topic);
        topic.partitions.push(asked);
        let mut message = k::ListOffsetsRequest::default();
        message.replica_id = k::BrokerId(self.id);
        message.topics.push(topic);
        let correlation = self.correlation();
        if let Some(fetcher) = self.fetchers.get_mut(&leader) {
            fetcher.log_starts.insert(correlation, key);
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
        let Some(key) = fetcher.log_starts.remove(&correlation) else { return };
        let Some(told) = message.topics.first().and_then(|topic| topic.partitions.first()) else { return };
        let Some(replica) = self.replicas.get_mut(&key) else { return };
        if told.error_code == 0 && replica.following().is_some_and(|(following, _)| following == leader) {
            replica.start_at_leader(told.offset, out);
            fetcher.delayed.remove(&key);
            self.moved.insert(key);
            self.fetch_from(now, leader, out);
        }
    }

    /// The leader's process is gone; ask again after a while, in case it comes back before the controller elects another.
    pub(super) fn fetch_failed(&mut self, now: Time, leader: i32, out: &mut Outputs) {
        if let Some(fetcher) = self.fetchers.get_mut(&leader).filter(|fetcher| fetcher.in_flight.is_some()) {
            fetcher.in_flight = None;
            fetcher.log_starts = OrderedMap::new();
            self.back_off(now, leader, out);
        }
    }

    /// Leaves these partitions out until the backoff is over; the others go on.
    fn delay(&mut self, now: Time, leader: i32, partitions: Vec<PartitionKey>, out: &mut Outputs) {
        if let Some(fetcher) = self.fetchers.get_mut(&leader) {
            fetcher.delayed.extend(partitions);
            out.timer(now + self.config.replica_fetch_backoff, Timer::FetchBackoff { leader });
        }
    }

    fn back_off(&mut self, now: Time, leader: i32, out: &mut Outputs) {
        if let Some(fetcher) = self.fetchers.get_mut(&leader) {
            fetcher.backing_off = true;
            out.timer(now + self.config.replica_fetch_backoff, Timer::FetchBackoff { leader });
        }
    }
}
