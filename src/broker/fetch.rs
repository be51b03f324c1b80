//! Fetch requests of consumers and followers: what can be read now, and waiting for more.
//!
//! Source: `KafkaApis.handleFetchRequest`, `ReplicaManager.fetchMessages`, `DelayedFetch`.

use super::Broker;
use super::fetch_sessions::refused;
use super::remote::{RemoteFetch, RemoteRead};
use crate::mutant;
use crate::node::{Connection, MS, Outputs, Time, Timer};
use crate::protocol::Batch;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::wire::Response;
use crate::replica::{Held, PartitionKey, Read, Replica};
use crate::storage::EndedTransaction;
use k::fetch_request::{FetchPartition, ReplicaState};
use k::fetch_response::{AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// `isolation.level=read_committed` on the wire.
pub(super) const READ_COMMITTED: i8 = 1;

/// A fetch that found too little and waits.
#[derive(Clone, Debug)]
pub struct DelayedFetch {
    from: Connection,
    correlation: u32,
    message: Arc<k::FetchRequest>,
}

impl DelayedFetch {
    pub(super) fn from(&self) -> Connection {
        self.from
    }
}

/// What a fetch finds at one moment.
#[derive(Clone, Debug)]
pub struct Found {
    pub(super) response: k::FetchResponse,
    pub(super) batches: Vec<Vec<Batch>>,
    /// What has to be read from the remote store, all of it for one answer (KAFKA-14915).
    pub(super) remote: Vec<RemoteRead>,
    /// Not worth waiting: enough bytes, an error, a log that has parted, something in the remote store or in a segment that gets no longer.
    at_once: bool,
}

impl Broker {
    pub(super) fn fetch(&mut self, now: Time, from: Connection, correlation: u32, message: Arc<k::FetchRequest>, out: &mut Outputs) {
        let message = match self.sessions.open(now, message) {
            Ok(message) => message,
            Err(error) => {
                let response = refused(error).with_throttle_time_ms(self.charge_fetch(from, &[]));
                self.respond(from, correlation, Response::Fetch(Arc::new(response), Arc::new([])), out);
                return;
            }
        };
        let message = self.within_quota(from, message);
        // What is answered at once is as it was before the fetch counted for its follower (`Partition.fetchRecords`).
        let found = self.find(now, &message, ErrorCode::UnknownTopicId);
        self.note_follower(now, &message, out);
        if found.at_once || message.max_wait_ms <= 0 || message.topics.is_empty() {
            self.answer_fetch(now, from, correlation, &message, found, out);
            return;
        }
        let keys: Vec<PartitionKey> = message.topics.iter().flat_map(partition_keys).collect();
        let wait = MS * Time::try_from(message.max_wait_ms).unwrap_or(0);
        let operation = self.fetches.watch(DelayedFetch { from, correlation, message }, keys);
        out.timer(now + wait, Timer::Purgatory { operation });
    }

    pub(super) fn try_delayed_fetches(&mut self, now: Time, key: PartitionKey, out: &mut Outputs) {
        for (number, delayed) in self.fetches.take_watching(key) {
            let found = self.find(now, &delayed.message, ErrorCode::UnknownTopicOrPartition);
            if found.at_once {
                self.answer_fetch(now, delayed.from, delayed.correlation, &delayed.message, found, out);
            } else {
                self.fetches.put_back(number, delayed, key);
            }
        }
    }

    /// A waiting request's time ran out: a fetch is answered with what there is, others with the error.
    pub(super) fn expire(&mut self, now: Time, operation: u64, out: &mut Outputs) {
        if let Some(delayed) = self.fetches.expire(operation) {
            let found = self.find(now, &delayed.message, ErrorCode::UnknownTopicOrPartition);
            self.answer_fetch(now, delayed.from, delayed.correlation, &delayed.message, found, out);
        } else if let Some(delayed) = self.produces.expire(operation) {
            self.produce_timed_out(now, operation, delayed, out);
        } else if let Some(delayed) = self.deletes.expire(operation) {
            self.answer_deletion(delayed, out);
        }
    }

    pub(super) fn answer_fetch(
        &mut self,
        now: Time,
        to: Connection,
        correlation: u32,
        message: &Arc<k::FetchRequest>,
        found: Found,
        out: &mut Outputs,
    ) {
        if !found.remote.is_empty() {
            self.read_remote(now, RemoteFetch { from: to, correlation, message: message.clone(), found, in_time: true }, out);
            return;
        }
        let Found { mut response, mut batches, .. } = found;
        let waits = self.charge_fetch(to, &batches);
        if 0 < waits {
            (response, batches) = (self.sessions.keep_waiting(message, waits), Vec::new());
        } else {
            self.sessions.close(now, message, &mut response, &mut batches, || self.chance.draw());
            self.tell_leaders_to_fetcher(&mut response);
        }
        if 0 <= message.replica_state.replica_id.0 {
            self.count_copied_out(now, &response, &batches);
        }
        self.respond(to, correlation, Response::Fetch(Arc::new(response), batches.into()), out);
    }

    /// A follower's fetch tells the leader how far the follower is, whatever the fetch itself finds.
    fn note_follower(&mut self, now: Time, message: &k::FetchRequest, out: &mut Outputs) {
        let follower = message.replica_state.replica_id.0;
        if follower < 0 {
            return;
        }
        for topic in &message.topics {
            for asked in &topic.partitions {
                let key = PartitionKey { topic: topic.topic_id, index: asked.partition };
                let Some(replica) = self.replicas.get_mut(&key) else { continue };
                // A follower that is elsewhere than this log has nothing of it, whatever its offset.
                let read = replica.read(asked.fetch_offset, asked.last_fetched_epoch, 0, 0, false);
                let agrees = read.is_ok_and(|read| read.diverging.is_none() && !read.tiered);
                if !agrees || check_fetcher(&self.image, replica, &message.replica_state, asked).is_err() {
                    continue;
                }
                let has = Held { log_start: asked.log_start_offset, log_end: asked.fetch_offset };
                if replica.follower_fetched(now, follower, message.replica_state.replica_epoch, has) {
                    self.moved.insert(key);
                }
                self.maybe_expand_isr(now, key, follower, out);
                self.advance(now, key, out);
            }
        }
    }

    /// Reads everything that a fetch asks for, in its order, within its limits. A topic that is not there is `unknown`: a request that arrives
    /// with its id names nothing; one that waits has lost the partition that it had found by then.
    fn find(&self, now: Time, message: &k::FetchRequest, unknown: ErrorCode) -> Found {
        let mut left = usize::try_from(message.max_bytes.min(self.config.fetch_max_bytes)).unwrap_or(0);
        let mut found = Found { response: k::FetchResponse::default(), batches: Vec::new(), remote: Vec::new(), at_once: false };
        let mut bytes = 0;
        for topic in &message.topics {
            let mut answer = FetchableTopicResponse::default();
            answer.topic_id = topic.topic_id;
            for asked in &topic.partitions {
                let key = PartitionKey { topic: topic.topic_id, index: asked.partition };
                let mut data = PartitionData::default();
                data.partition_index = asked.partition;
                data.high_watermark = -1;
                data.aborted_transactions = None;
                let mut batches = Vec::new();
                let first = bytes == 0 && found.remote.is_empty();
                match self.find_partition(now, key, asked, message, left, first, unknown) {
                    Err(error) => {
                        data.error_code = error.code();
                        found.at_once = true;
                    }
                    Ok((replica, Answer::Elsewhere(near))) => {
                        set_offsets(&mut data, replica);
                        data.preferred_read_replica = k::BrokerId(near);
                        found.at_once = true;
                    }
                    Ok((replica, Answer::Here(read, waits))) => {
                        found.at_once |= !waits;
                        set_offsets(&mut data, replica);
                        if message.isolation_level == READ_COMMITTED {
                            data.aborted_transactions = Some(aborted_transactions(replica, asked.fetch_offset, &read.batches));
                        }
                        if let Some(end) = read.diverging {
                            data.diverging_epoch = EpochEndOffset::default().with_epoch(end.epoch).with_end_offset(end.end);
                            found.at_once = true;
                        }
                        if read.tiered && 0 <= message.replica_state.replica_id.0 {
                            data.error_code = ErrorCode::OffsetMovedToTieredStorage.code();
                            found.at_once = true;
                        } else if read.tiered {
                            let most = left.min(usize::try_from(asked.partition_max_bytes).unwrap_or(0));
                            let place = found.batches.len();
                            found.remote.push(RemoteRead { place, key, offset: asked.fetch_offset, most, first });
                            found.at_once = true;
                        }
                        batches = read.batches;
                    }
                }
                let size: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
                bytes += size;
                left = left.saturating_sub(size);
                found.batches.push(batches);
                answer.partitions.push(data);
            }
            found.response.responses.push(answer);
        }
        // More than it may have nobody waits for (`KafkaApis.handleFetchRequest`).
        let least = message.min_bytes.min(message.max_bytes).min(self.config.fetch_max_bytes);
        found.at_once |= usize::try_from(least).unwrap_or(0) <= bytes;
        found
    }

    fn find_partition(
        &self,
        now: Time,
        key: PartitionKey,
        asked: &FetchPartition,
        message: &k::FetchRequest,
        left: usize,
        first: bool,
        unknown: ErrorCode,
    ) -> Result<(&Replica, Answer), ErrorCode> {
        if !self.image.topics.contains_key(&key.topic) {
            return Err(unknown);
        }
        let replica = self.replica(key)?;
        let fetcher = &message.replica_state;
        check_fetcher(&self.image, replica, fetcher, asked)?;
        let is_follower = 0 <= fetcher.replica_id.0;
        if let Some(near) = self.read_replica(replica, &message.rack_id, asked.fetch_offset).filter(|_| !is_follower) {
            return Ok((replica, Answer::Elsewhere(near)));
        }
        let reads_all = is_follower && !mutant::is("follower-reads-committed")
            || mutant::is("consumer-reads-uncommitted")
            || replica.leader().is_none() && mutant::is("follower-serves-uncommitted");
        let limit = match message.isolation_level {
            _ if reads_all => replica.log.end_offset(),
            READ_COMMITTED => replica.last_stable_offset(),
            _ => replica.high_watermark(),
        };
        let most = left.min(usize::try_from(asked.partition_max_bytes).unwrap_or(0));
        let mut read = replica.read(asked.fetch_offset, asked.last_fetched_epoch, limit, most, first).map_err(|error| error.0)?;
        let is_held_back = is_follower && self.holds_back_from(now, replica, fetcher.replica_id.0);
        if is_held_back {
            read.batches.clear();
        }
        // Beyond what may be read there is nothing to come soon, and behind the last segment nothing at all (`DelayedFetch`, case F).
        let is_beyond = limit < asked.fetch_offset;
        let is_behind = asked.fetch_offset < limit && replica.log.is_in_older_segment(asked.fetch_offset, limit);
        Ok((replica, Answer::Here(read, !is_beyond && (!is_behind || is_held_back))))
    }
}

/// What a partition's part of a fetch comes to.
enum Answer {
    /// What there is, and whether it is worth waiting for more.
    Here(Read, bool),
    /// The consumer should read from this replica.
    Elsewhere(i32),
}

/// The aborted transactions that have anything in what was read (`UnifiedLog.collectAbortedTransactions`).
pub(super) fn aborted_transactions(replica: &Replica, from: i64, read: &[Batch]) -> Vec<AbortedTransaction> {
    let to = read.last().map_or(from, Batch::next_offset);
    let within = replica.log.producers().transactions().aborted_within(from, to).filter(|_| !mutant::is("aborted-list-empty"));
    let told = |ended: &EndedTransaction| {
        let told = AbortedTransaction::default().with_producer_id(k::ProducerId(ended.producer_id));
        told.with_first_offset(ended.first_offset)
    };
    within.map(told).collect()
}

fn set_offsets(data: &mut PartitionData, replica: &Replica) {
    (data.high_watermark, data.last_stable_offset) = (replica.high_watermark(), replica.last_stable_offset());
    data.log_start_offset = replica.log.start_offset();
}

/// Whether the fetcher has the right idea of who leads, and is what it says: a replica of this partition, in the process that is registered now.
/// What a follower has is believed, so one that is none must not move the high watermark (`Partition.followerReplicaOrThrow`, KIP-903).
fn check_fetcher(image: &MetadataImage, replica: &Replica, fetcher: &ReplicaState, asked: &FetchPartition) -> Result<(), ErrorCode> {
    let follower = fetcher.replica_id.0;
    if follower < 0 {
        // Consumers may read from followers, too (KIP-392).
        return replica.check_epoch(asked.current_leader_epoch);
    }
    replica.check_leader(asked.current_leader_epoch)?;
    if replica.leader().is_none_or(|leader| !leader.has_follower(follower)) {
        let knows_epoch = asked.current_leader_epoch != -1;
        return Err(if knows_epoch { ErrorCode::UnknownLeaderEpoch } else { ErrorCode::NotLeaderOrFollower });
    }
    let registered = image.brokers.get(&follower).filter(|known| !known.fenced);
    if fetcher.replica_epoch != -1 && registered.is_some_and(|known| fetcher.replica_epoch < known.epoch) {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    Ok(())
}

fn partition_keys(topic: &k::fetch_request::FetchTopic) -> impl Iterator<Item = PartitionKey> + '_ {
    topic.partitions.iter().map(|partition| PartitionKey { topic: topic.topic_id, index: partition.partition })
}
