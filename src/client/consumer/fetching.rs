//! Positions and fetches: where each partition is read next, and the records that came and were not polled yet.
//!
//! Source: `SubscriptionState`, `OffsetFetcher`, `Fetcher`, `FetchCollector`; KIP-320 for logs that were cut.

use super::validation::Check;
use super::{Asked, Consumer, OffsetReset, Reads};
use crate::client::processor::Range;
use crate::mutant;
use crate::node::{Channel, MS, NoteKind, Outputs, Partition, Time};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::wire::{self, Request};
use crate::protocol::{Batch, BatchHeader, ErrorCode, Outcome};
use k::fetch_request::FetchPartition;
use k::fetch_response::AbortedTransaction;
use kafka_protocol::messages as k;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// One partition of a consumer.
#[derive(Clone, Debug)]
pub struct PartitionState {
    whence: Whence,
    /// The epoch of the last record read, so that a new leader can tell that the log was cut; -1 before the first.
    pub(super) last_epoch: i32,
    /// The leader, and its epoch, that the position holds for or is checked with.
    pub(super) leader: Option<(i32, i32)>,
    pub(super) check: Check,
    /// The replica that the leader sent this consumer to, and until when it reads there (KIP-392).
    pub(super) read_replica: Option<(i32, Time)>,
    pub(super) buffer: VecDeque<Fetched>,
    /// Which of the consumer's fetches filled the buffer: polls take what came first.
    fetch: u64,
    /// Read or asked about again no earlier, after an error.
    pub(super) not_before: Time,
    /// As the last answer told it; -1 before.
    high_watermark: i64,
}

/// A batch that was fetched.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    batch: Batch,
    /// The application sees nothing of it: it is a control batch, or of an aborted transaction where that matters. The position goes past it.
    is_hidden: bool,
}

/// What a poll returns of one partition: offsets of records, with the batches that they are in.
pub(super) struct Polled {
    pub partition: Partition,
    pub batches: Vec<(Batch, Vec<i64>)>,
}

/// Batches of one answer, with what is hidden (`CompletedFetch.nextFetchedRecord`). `aborted`: producer ids and first offsets, if such records are to be
/// hidden.
fn sifted(batches: &[Batch], aborted: Option<&[AbortedTransaction]>) -> impl Iterator<Item = Fetched> {
    let mut ahead: Vec<(i64, i64)> =
        aborted.iter().flat_map(|all| all.iter()).map(|told| (told.first_offset, told.producer_id.0)).collect();
    ahead.sort_unstable();
    let (mut ahead, mut open) = (ahead.into_iter().peekable(), OrderedSet::new());
    let hides = aborted.is_some();
    batches.iter().map(move |batch| {
        let fetched = |is_hidden| Fetched { batch: batch.clone(), is_hidden };
        let Ok(header) = BatchHeader::read(&batch.bytes) else { return fetched(false) };
        while let Some((_, producer)) = ahead.next_if(|(first, _)| *first <= batch.last_offset()) {
            open.insert(producer);
        }
        if header.is_control() && hides && batch.marker().is_some_and(|marker| marker.outcome == Outcome::Abort) {
            open.remove(&header.producer_id);
        }
        fetched(header.is_control() && !mutant::is("markers-delivered") || header.is_transactional() && open.contains(&header.producer_id))
    })
}

/// Partitions of a fetch by topic id and index, each with the offset asked for.
pub type AskedOffsets = OrderedMap<(Uuid, i32), (Partition, i64)>;

/// Where to read next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whence {
    /// The group's committed offset, to be asked for.
    Committed {
        asked: bool,
    },
    /// An offset by timestamp (-1 latest, -2 earliest), to be asked for.
    Timestamp {
        timestamp: i64,
        asked: bool,
    },
    Offset(i64),
    /// Nowhere: there was no offset to begin with and no rule to find one.
    Lost,
}

impl PartitionState {
    fn new(whence: Whence) -> PartitionState {
        PartitionState {
            whence,
            last_epoch: -1,
            leader: None,
            check: Check::Passed,
            read_replica: None,
            buffer: VecDeque::new(),
            fetch: 0,
            not_before: 0,
            high_watermark: -1,
        }
    }

    /// The offset of the next record that a poll hands out.
    pub fn position(&self) -> Option<i64> {
        match self.whence {
            Whence::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Whether there was nothing more when it was last told.
    fn is_at_end(&self) -> bool {
        0 <= self.high_watermark && self.position() >= Some(self.high_watermark)
    }

    pub fn retry_at(&self) -> Option<Time> {
        (0 < self.not_before).then_some(self.not_before)
    }

    pub(super) fn go_to(&mut self, whence: Whence) {
        self.whence = whence;
        (self.last_epoch, self.leader, self.check) = (-1, None, Check::Passed);
        self.buffer.clear();
    }
}

/// Where a seek goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeekTarget {
    Offset(i64),
    /// -1 latest, -2 earliest, else epoch milliseconds.
    Timestamp(i64),
}

impl Consumer {
    /// These partitions are its own now; those it has already keep their positions.
    pub(super) fn take_partitions(&mut self, now: Time, partitions: Vec<Partition>) {
        let whence = if self.config.group.is_some() { Whence::Committed { asked: false } } else { self.reset_whence(now) };
        let mut before = std::mem::take(&mut self.partitions);
        if mutant::is("kept-begins-anew") {
            before.clear();
        }
        for partition in partitions {
            let state = before.remove(&partition).unwrap_or_else(|| PartitionState::new(whence));
            self.partitions.insert(partition, state);
        }
    }

    pub(super) fn reset_whence(&self, now: Time) -> Whence {
        match self.config.offset_reset {
            OffsetReset::Earliest => Whence::Timestamp { timestamp: -2, asked: false },
            OffsetReset::Latest => Whence::Timestamp { timestamp: -1, asked: false },
            OffsetReset::ByDuration(ms) => {
                let clock = self.config.start_timestamp + (now / MS) as i64;
                Whence::Timestamp { timestamp: clock.saturating_sub(ms).max(0), asked: false }
            }
            OffsetReset::None => Whence::Lost,
        }
    }

    /// The application seeks. `false`: the partition is not its own.
    pub fn seek(&mut self, now: Time, partition: &Partition, target: SeekTarget, out: &mut Outputs) -> bool {
        let Some(state) = self.partitions.get_mut(partition) else { return false };
        state.go_to(match target {
            SeekTarget::Offset(offset) => Whence::Offset(offset),
            SeekTarget::Timestamp(timestamp) => Whence::Timestamp { timestamp, asked: false },
        });
        if let SeekTarget::Offset(offset) = target {
            out.note(NoteKind::OffsetReset { partition: partition.clone(), offset });
        }
        self.positions_suspect = true;
        if self.handed.is_some() {
            self.drop_work();
        }
        self.processing.retain(|record| record.partition != *partition);
        self.drive(now, out);
        true
    }

    /// Asks for the positions that are not known.
    pub(super) fn find_positions(&mut self, now: Time, out: &mut Outputs) {
        let uncommitted = |state: &PartitionState| state.whence == Whence::Committed { asked: false } && state.not_before <= now;
        let unasked: Vec<Partition> =
            self.partitions.iter().filter(|(_, state)| uncommitted(state)).map(|(partition, _)| partition.clone()).collect();
        if !unasked.is_empty() && self.ask_for_committed(now, &unasked, out) {
            self.mark(&unasked, |state| state.whence = Whence::Committed { asked: true });
        }
        let mut by_leader: OrderedMap<i32, Vec<(Partition, i64, i32)>> = OrderedMap::new();
        for (partition, state) in &self.partitions {
            let Whence::Timestamp { timestamp, asked: false } = state.whence else { continue };
            // A poll finds new positions: while the application is at work on this partition's records, there is none.
            if now < state.not_before || self.processing.iter().any(|record| record.partition == *partition) {
                continue;
            }
            match self.network.leader(&partition.topic, partition.index) {
                Some((leader, epoch)) => by_leader.or_default(leader).push((partition.clone(), timestamp, epoch)),
                None => self.network.refresh(now),
            }
        }
        for (leader, asked) in by_leader {
            let mut message = k::ListOffsetsRequest::default();
            message.replica_id = k::BrokerId(-1);
            message.isolation_level = i8::from(self.config.read_committed);
            for (partition, timestamp, epoch) in &asked {
                let mut topic = k::list_offsets_request::ListOffsetsTopic::default();
                topic.name = wire::topic(&partition.topic);
                let mut wanted = k::list_offsets_request::ListOffsetsPartition::default();
                wanted.partition_index = partition.index;
                wanted.current_leader_epoch = *epoch;
                wanted.timestamp = *timestamp;
                topic.partitions.push(wanted);
                message.topics.push(topic);
            }
            let partitions: Vec<Partition> = asked.into_iter().map(|(partition, ..)| partition).collect();
            self.mark(&partitions, |state| {
                if let Whence::Timestamp { asked, .. } = &mut state.whence {
                    *asked = true;
                }
            });
            self.network.send(
                now,
                leader,
                Channel::Data,
                Asked::ListOffsets(partitions),
                Request::ListOffsets(Arc::new(message)),
                None,
                out,
            );
        }
    }

    /// The broker is not there: ask who leads now, and read again after a while.
    pub(super) fn fetch_lost(&mut self, now: Time, broker: i32, asked: &AskedOffsets) {
        self.sessions.or_default(broker).lost();
        let at = now + self.network.backoff(0);
        for (partition, _) in asked.values() {
            if let Some(state) = self.partitions.get_mut(partition) {
                (state.not_before, state.read_replica) = (at, None);
            }
        }
        self.network.refresh(now);
    }

    fn mark(&mut self, partitions: &[Partition], mark: impl Fn(&mut PartitionState)) {
        for partition in partitions {
            if let Some(state) = self.partitions.get_mut(partition) {
                mark(state);
            }
        }
    }

    pub(super) fn offsets_fetched(&mut self, now: Time, message: &k::OffsetFetchResponse, out: &mut Outputs) {
        let Some(group) = message.groups.first() else { return };
        if group.error_code != 0 {
            self.committed_unknown(now, ErrorCode::of(group.error_code));
            return;
        }
        self.positions_suspect = true;
        let at = now + self.network.backoff(0);
        for topic in &group.topics {
            let name: Arc<str> = Arc::from(topic.name.as_str());
            for found in &topic.partitions {
                let partition = Partition { topic: name.clone(), index: found.partition_index };
                let Some(state) = self.partitions.get_mut(&partition).filter(|state| matches!(state.whence, Whence::Committed { .. }))
                else {
                    continue;
                };
                if found.error_code != 0 {
                    // A transaction decides on it: ask again after a while (KIP-447).
                    (state.whence, state.not_before) = (Whence::Committed { asked: false }, at);
                    continue;
                }
                state.not_before = 0;
                if 0 <= found.committed_offset {
                    state.go_to(Whence::Offset(found.committed_offset));
                    state.last_epoch = found.committed_leader_epoch;
                } else {
                    self.begin_anew(now, partition, out);
                }
            }
        }
    }

    /// The committed offsets could not be had: ask again after a while.
    pub(super) fn committed_unasked(&mut self, now: Time) {
        let at = now + self.network.backoff(0);
        for state in self.partitions.values_mut().filter(|state| matches!(state.whence, Whence::Committed { .. })) {
            state.whence = Whence::Committed { asked: false };
            state.not_before = at;
        }
    }

    pub(super) fn offsets_listed(&mut self, now: Time, message: &k::ListOffsetsResponse, out: &mut Outputs) {
        self.positions_suspect = true;
        let at = now + self.network.backoff(0);
        let mut stale = false;
        for topic in &message.topics {
            for found in &topic.partitions {
                let partition = Partition { topic: Arc::from(topic.name.as_str()), index: found.partition_index };
                let Some(state) = self.partitions.get_mut(&partition) else { continue };
                let Whence::Timestamp { timestamp, asked: true } = state.whence else { continue };
                if found.error_code != 0 {
                    state.whence = Whence::Timestamp { timestamp, asked: false };
                    state.not_before = at;
                    stale = true;
                } else if found.offset < 0 {
                    // No record is that new: go on at the end.
                    state.whence = Whence::Timestamp { timestamp: -1, asked: false };
                } else {
                    state.not_before = 0;
                    state.go_to(Whence::Offset(found.offset));
                    out.note(NoteKind::OffsetReset { partition, offset: found.offset });
                }
            }
        }
        if stale {
            self.network.refresh(now);
        }
    }

    pub(super) fn offsets_lost(&mut self, now: Time, partitions: &[Partition]) {
        let at = now + self.network.backoff(0);
        self.mark(partitions, |state| {
            if let Whence::Timestamp { asked, .. } = &mut state.whence {
                *asked = false;
                state.not_before = at;
            }
        });
        self.network.refresh(now);
    }

    /// One fetch to each broker that has none under way, for the partitions whose records have all been polled. A broker that has another partition
    /// whose records have not waits: its session would have to forget that one, and be told of it again (`AbstractFetch.bufferedNodes`).
    pub(super) fn send_fetches(&mut self, now: Time, out: &mut Outputs) {
        if self.paused {
            return;
        }
        let mut by_broker: OrderedMap<i32, Vec<(Uuid, FetchPartition, Partition)>> = OrderedMap::new();
        let mut buffered = OrderedSet::new();
        let mut leaderless = false;
        let reads_to_the_end = self.handed.as_ref().is_some_and(|handed| handed.to_the_end);
        for (partition, state) in &self.partitions {
            if reads_to_the_end && state.is_at_end() {
                continue;
            }
            let Whence::Offset(offset) = state.whence else { continue };
            let Some((leader, epoch)) = self.network.leader(&partition.topic, partition.index) else {
                leaderless = true;
                continue;
            };
            let from = state.read_replica.filter(|(_, until)| now <= *until).map_or(leader, |(near, _)| near);
            if !state.buffer.is_empty() {
                buffered.insert(from);
                continue;
            }
            let Some(info) = self.network.topics.get(&partition.topic).filter(|_| state.not_before <= now && state.check == Check::Passed)
            else {
                continue;
            };
            let asked = FetchPartition::default().with_partition(partition.index).with_current_leader_epoch(epoch);
            let asked = asked.with_fetch_offset(offset).with_last_fetched_epoch(-1);
            let asked = asked.with_partition_max_bytes(self.config.max_partition_fetch_bytes);
            by_broker.or_default(from).push((info.id, asked, partition.clone()));
        }
        if leaderless {
            self.network.refresh(now);
        }
        for (broker, wanted) in by_broker.into_iter().filter(|(broker, _)| !buffered.contains(broker)) {
            if self.network.pending().any(|pending| pending.to == broker && matches!(pending.what, Asked::Fetch(_))) {
                continue;
            }
            let is_new = |(.., partition): &(Uuid, FetchPartition, Partition)| {
                self.partitions.get(partition).is_some_and(|state| state.high_watermark < 0)
            };
            // An empty one says where it ends if nothing is waited for.
            let asks_for_ends = reads_to_the_end && wanted.iter().any(is_new);
            let mut message = k::FetchRequest::default();
            message.replica_state.replica_id = k::BrokerId(-1);
            message.isolation_level = i8::from(self.config.read_committed);
            message.max_wait_ms = if asks_for_ends { 0 } else { self.config.fetch_max_wait_ms };
            message.min_bytes = self.config.fetch_min_bytes;
            message.max_bytes = self.config.fetch_max_bytes;
            message.rack_id = self.config.rack.as_deref().map(wire::text).unwrap_or_default();
            let wanted: OrderedMap<(Uuid, i32), (FetchPartition, Partition)> =
                wanted.into_iter().map(|(id, asked, partition)| ((id, asked.partition), (asked, partition))).collect();
            self.sessions.or_default(broker).ask(&mut message, wanted.iter().map(|((id, _), (asked, _))| (*id, asked.clone())));
            let offsets = wanted.into_iter().map(|(key, (asked, partition))| (key, (partition, asked.fetch_offset))).collect();
            self.network.send(now, broker, Channel::Data, Asked::Fetch(offsets), Request::Fetch(Arc::new(message)), None, out);
        }
    }

    /// Brokers need not remember any longer what this consumer reads.
    pub(super) fn end_sessions(&mut self, now: Time, out: &mut Outputs) {
        for (broker, mut session) in std::mem::take(&mut self.sessions) {
            if let Some(message) = session.end().filter(|_| self.network.is_open(broker)) {
                self.network.send(now, broker, Channel::Data, Asked::EndSession, Request::Fetch(Arc::new(message)), None, out);
            }
        }
    }

    pub(super) fn fetched(
        &mut self,
        now: Time,
        broker: i32,
        mut asked: AskedOffsets,
        message: &k::FetchResponse,
        batches: &[Vec<Batch>],
        out: &mut Outputs,
    ) {
        if !self.sessions.or_default(broker).answered(message) {
            if message.error_code == ErrorCode::FetchSessionTopicIdError.code() {
                self.network.refresh(now);
            }
            return;
        }
        let told = message.responses.iter().flat_map(|topic| topic.partitions.iter().map(|data| (topic.topic_id, data)));
        for ((topic, data), batches) in told.zip(batches) {
            let Some((partition, offset)) = asked.remove(&(topic, data.partition_index)) else { continue };
            // After a seek, with another owner or with another leader, what was asked for is of no use any more. Nor is what an old leader says of it
            // when the new one has answered first.
            let is_wanted =
                |state: &PartitionState| state.whence == Whence::Offset(offset) && state.check == Check::Passed && state.buffer.is_empty();
            if self.partitions.get(&partition).is_some_and(is_wanted) {
                self.partition_fetched(now, broker, partition, data, batches, out);
            }
        }
    }

    fn partition_fetched(
        &mut self,
        now: Time,
        broker: i32,
        partition: Partition,
        data: &k::fetch_response::PartitionData,
        batches: &[Batch],
        out: &mut Outputs,
    ) {
        let (at, until) = (now + self.network.backoff(0), now + self.network.config.metadata_max_age);
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        self.fetches += 1;
        (state.not_before, state.fetch) = (0, self.fetches);
        match ErrorCode::of(data.error_code) {
            ErrorCode::None => {
                state.high_watermark = data.high_watermark;
                let near = data.preferred_read_replica.0;
                if 0 <= near && state.read_replica.is_none_or(|(known, until)| known != near || until < now) {
                    state.read_replica = Some((near, until));
                }
                let aborted = data.aborted_transactions.as_deref().filter(|_| self.config.read_committed);
                state.buffer.extend(sifted(batches, aborted));
            }
            // A follower may be behind: the leader has the last word.
            ErrorCode::OffsetOutOfRange if state.read_replica.take().is_some() => {}
            ErrorCode::OffsetOutOfRange => self.begin_anew(now, partition, out),
            // Whom it asks has not heard of the epoch yet.
            ErrorCode::UnknownLeaderEpoch => state.not_before = at,
            _ => {
                let leader = &data.current_leader;
                let was_leader = self.network.leader(&partition.topic, partition.index).is_some_and(|(known, _)| known == broker);
                let moved = self.network.hear_leader(&partition, leader.leader_id.0, leader.leader_epoch);
                // Where it has gone is known: nothing is to be waited for.
                state.not_before = if moved { 0 } else { at };
                self.positions_suspect |= moved;
                // Only a leader that is still thought to be the leader, or a replica that it named, makes the metadata suspect.
                if state.read_replica.take().is_some() || was_leader {
                    self.network.refresh(now);
                }
            }
        }
    }

    /// Takes up to `most` records out of the buffers and moves the positions behind them: what a poll returns. What came first goes first, to its end, so
    /// that a busy partition does not keep another from being read (`FetchCollector.collectFetch`).
    pub(super) fn take_records(&mut self, most: usize) -> Vec<Polled> {
        let mut polled = Vec::new();
        let mut left = most;
        let mut filled: Vec<_> = (&mut self.partitions).into_iter().filter(|(_, state)| !state.buffer.is_empty()).collect();
        filled.sort_unstable_by_key(|(_, state)| state.fetch);
        for (partition, state) in filled {
            let mut batches = Vec::new();
            while 0 < left
                && let (Whence::Offset(position), Some(Fetched { batch, is_hidden })) = (state.whence, state.buffer.front_mut())
            {
                if *is_hidden {
                    (state.last_epoch, state.whence) = (batch.leader_epoch, Whence::Offset(batch.next_offset()));
                    state.buffer.pop_front();
                    continue;
                }
                // Once, however many polls it takes.
                *batch = batch.uncompressed();
                let mut records = batch.records();
                // The broker checked the batch when it was produced; a record that cannot be read ends the batch.
                let found = std::iter::from_fn(|| records.next_ref()?.ok().map(|record| record.offset));
                let offsets: Vec<i64> = found.filter(|offset| position <= *offset).take(left).collect();
                if let (Some(handed), Some(first), Some(last)) = (&mut self.handed, offsets.first(), offsets.last()) {
                    handed.batches.push_back(Range {
                        index: partition.index,
                        batch: batch.clone(),
                        first: *first,
                        last: *last,
                        records: offsets.len(),
                    });
                }
                left -= offsets.len();
                state.last_epoch = batch.leader_epoch;
                // A full poll may end within the batch: then the next one goes on there.
                let reached = offsets.last().filter(|_| left == 0).map_or(batch.next_offset(), |last| last + 1);
                state.whence = Whence::Offset(reached);
                if !offsets.is_empty() {
                    batches.push((batch.clone(), offsets));
                }
                if reached == batch.next_offset() {
                    state.buffer.pop_front();
                }
            }
            if !batches.is_empty() {
                polled.push(Polled { partition: partition.clone(), batches });
            }
        }
        polled
    }

    /// The application assigns it other partitions by hand (`assign`).
    pub fn assign(&mut self, now: Time, partitions: Vec<Partition>, out: &mut Outputs) {
        partitions.iter().for_each(|partition| self.network.want(now, &partition.topic));
        self.reads = Reads::Assigned(partitions.clone());
        self.handed.iter_mut().for_each(|handed| handed.to_the_end = false);
        self.take_partitions(now, partitions);
        self.drive(now, out);
    }

    /// Whether it has handed out all that there was in its partitions when it was last told.
    pub fn has_caught_up(&self) -> bool {
        self.processing.is_empty() && self.partitions.values().all(PartitionState::is_at_end)
    }

    /// Positions of all its partitions, for a commit.
    pub(super) fn offsets_to_commit(&self) -> Vec<(Partition, i64)> {
        let checked = self.partitions.iter().filter(|(_, state)| state.check == Check::Passed);
        let fetched = |state: &PartitionState| state.buffer.back().map(|fetched| fetched.batch.next_offset());
        let buffered = |state: &PartitionState| fetched(state).filter(|_| mutant::is("commits-fetched"));
        checked.filter_map(|(partition, state)| Some((partition.clone(), buffered(state).or(state.position())?))).collect()
    }

    pub(super) fn last_epoch(&self, partition: &Partition) -> i32 {
        self.partitions.get(partition).map_or(-1, |state| state.last_epoch)
    }

    /// Whether it reads partitions that it chose by hand.
    pub(super) fn assigns_by_hand(&self) -> bool {
        matches!(self.reads, Reads::Assigned(_))
    }
}
