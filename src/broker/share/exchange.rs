//! ShareFetch and ShareAcknowledge: what a member says of the records that it has, and what it gets; and waiting for that.
//!
//! Source: `KafkaApis.handleShareFetchRequest`, `handleShareAcknowledgeRequest`, `validateAcknowledgementBatches`, `DelayedShareFetch`.

use super::super::Broker;
use super::super::remote::RemoteRead;
use super::partition::{AcknowledgeType, Acknowledgement, Acquired};
use super::persister::Ask;
use super::sessions::{Wanted, Whose};
use super::{Known, ShareConfig};
use crate::mutant;
use crate::node::{Connection, MS, NoteKind, Outputs, Time};
use crate::ordered::OrderedMap;
use crate::protocol::share_records::ShareKey;
use crate::protocol::wire::{self, Response};
use crate::protocol::{Batch, ErrorCode, FINAL_EPOCH};
use crate::replica::PartitionKey;
use crate::storage::EndedTransaction;
use k::share_fetch_response as fetched;
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// What a request says of one partition's records: where it makes no sense, the error.
type Said = (PartitionKey, Result<Vec<Acknowledgement>, ErrorCode>);

/// A request that is not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub from: Connection,
    correlation: u32,
    whose: Whose,
    /// What it wants to read, if it is a fetch.
    fetch: Option<Fetch>,
    /// What came of its acknowledgements, as far as that is known.
    acknowledged: OrderedMap<PartitionKey, ErrorCode>,
    /// Acknowledgements that are being stored.
    storing: Vec<PartitionKey>,
    /// When its acknowledgements are stored the member gives back what it has.
    ends_session: bool,
}

#[derive(Clone, Debug)]
struct Fetch {
    asked: Vec<PartitionKey>,
    until: Time,
    min_bytes: usize,
    max_bytes: usize,
    max_records: i64,
}

/// What one partition's part of a response is made of.
struct Found {
    error: ErrorCode,
    acknowledged: ErrorCode,
    batches: Vec<Batch>,
    acquired: Vec<Acquired>,
}

/// All that was acquired was of aborted transactions, and is the group's no more.
struct OnlyAborted;

impl Default for Found {
    fn default() -> Found {
        Found { error: ErrorCode::None, acknowledged: ErrorCode::None, batches: Vec::new(), acquired: Vec::new() }
    }
}

impl Exchange {
    /// When it is answered with nothing at the latest, if only records are missing.
    pub fn waits_until(&self) -> Option<Time> {
        self.fetch.as_ref().filter(|_| self.storing.is_empty()).map(|fetch| fetch.until)
    }
}

impl Broker {
    pub(in crate::broker) fn share_fetch(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: &k::ShareFetchRequest,
        out: &mut Outputs,
    ) {
        let ends_session = message.share_session_epoch == FINAL_EPOCH;
        let said: Vec<Said> = message
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |partition| (topic.topic_id, partition)))
            .filter(|(_, partition)| !partition.acknowledgement_batches.is_empty())
            .map(|(topic, partition)| {
                let batches = partition.acknowledgement_batches.iter();
                let raw = batches.map(|batch| (batch.first_offset, batch.last_offset, &batch.acknowledge_types[..]));
                (PartitionKey { topic, index: partition.partition_index }, acknowledgements(raw))
            })
            .collect();
        let places = |topic: Uuid, indexes: Vec<i32>| indexes.into_iter().map(move |index| PartitionKey { topic, index });
        let added = message.topics.iter();
        let wanted = Wanted {
            added: added
                .flat_map(|topic| places(topic.topic_id, topic.partitions.iter().map(|partition| partition.partition_index).collect()))
                .collect(),
            forgotten: message.forgotten_topics_data.iter().flat_map(|topic| places(topic.topic_id, topic.partitions.clone())).collect(),
            acknowledges: !said.is_empty(),
        };
        let session = whose(&message.group_id, &message.member_id).and_then(|whose| {
            let sessions_max = self.config.share.sessions_max;
            let asked = self.share.sessions.fetch(&whose, message.share_session_epoch, wanted, from, sessions_max)?;
            Ok((whose, asked))
        });
        let (whose, asked) = match session {
            Ok(session) => session,
            Err(error) => {
                let mut response = k::ShareFetchResponse::default();
                (response.error_code, response.error_message) = (error.code(), Some(wire::text(error.message())));
                self.respond(from, correlation, Response::ShareFetch(Arc::new(response), Arc::new([])), out);
                return;
            }
        };
        let size = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
        let fetch = Fetch {
            asked,
            until: now + MS * Time::try_from(message.max_wait_ms).unwrap_or(0),
            min_bytes: size(message.min_bytes.min(message.max_bytes).min(self.config.fetch_max_bytes)),
            max_bytes: size(message.max_bytes),
            max_records: i64::from(message.max_records),
        };
        self.begin_exchange(now, (from, correlation), whose, Some(fetch), said, ends_session, out);
    }

    pub(in crate::broker) fn share_acknowledge(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: &k::ShareAcknowledgeRequest,
        out: &mut Outputs,
    ) {
        let ends_session = message.share_session_epoch == FINAL_EPOCH;
        let session = whose(&message.group_id, &message.member_id).and_then(|whose| {
            self.share.sessions.acknowledge(&whose, message.share_session_epoch)?;
            Ok(whose)
        });
        let whose = match session {
            Ok(whose) => whose,
            Err(error) => {
                let mut response = k::ShareAcknowledgeResponse::default();
                (response.error_code, response.error_message) = (error.code(), Some(wire::text(error.message())));
                self.respond(from, correlation, Response::ShareAcknowledge(Arc::new(response)), out);
                return;
            }
        };
        let said = message.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |partition| (topic.topic_id, partition)));
        let said = said.map(|(topic, partition)| {
            let batches = partition.acknowledgement_batches.iter();
            let raw = batches.map(|batch| (batch.first_offset, batch.last_offset, &batch.acknowledge_types[..]));
            (PartitionKey { topic, index: partition.partition_index }, acknowledgements(raw))
        });
        self.begin_exchange(now, (from, correlation), whose, None, said.collect(), ends_session, out);
    }

    /// First what the member has to say is stored; then it gets records, or its answer.
    fn begin_exchange(
        &mut self,
        now: Time,
        (from, correlation): (Connection, u32),
        whose: Whose,
        fetch: Option<Fetch>,
        said: Vec<Said>,
        ends_session: bool,
        out: &mut Outputs,
    ) {
        let number = self.share.next_exchange;
        self.share.next_exchange += 1;
        let mut exchange =
            Exchange { from, correlation, whose: whose.clone(), fetch, acknowledged: OrderedMap::new(), storing: Vec::new(), ends_session };
        let mut changes = Vec::new();
        for (place, said) in said {
            let key = ShareKey { group: whose.0.clone(), topic: place.topic, index: place.index };
            match said.and_then(|said| self.take_acknowledgements(&key, place, &whose.1, &said)) {
                Err(error) => _ = exchange.acknowledged.insert(place, error),
                Ok(None) => _ = exchange.acknowledged.insert(place, ErrorCode::None),
                Ok(Some(change)) => {
                    exchange.storing.push(place);
                    changes.push((key, change));
                }
            }
        }
        if mutant::is("share-acknowledged-unstored") {
            exchange.storing.drain(..).for_each(|place| _ = exchange.acknowledged.insert(place, ErrorCode::None));
            for (key, change) in changes.drain(..) {
                self.note_settled(&key, &change, out);
                self.share.active(&key).into_iter().for_each(|partition| partition.settled(change.number, true));
            }
        }
        self.share.exchanges.insert(number, exchange);
        for (key, change) in changes {
            self.store(now, &key, change, Some(number), out);
        }
        self.go_on_with(now, number, out);
        self.set_share_alarm(now, out);
    }

    fn take_acknowledgements(
        &mut self,
        key: &ShareKey,
        place: PartitionKey,
        member: &str,
        said: &[Acknowledgement],
    ) -> Result<Option<super::Change>, ErrorCode> {
        if !self.image.topics.contains_key(&place.topic) {
            return Err(ErrorCode::UnknownTopicId);
        }
        self.replica(place)?.leader().ok_or(ErrorCode::NotLeaderOrFollower)?;
        self.share.active(key).ok_or(ErrorCode::UnknownTopicOrPartition)?.acknowledge(member, said)
    }

    /// A partition's acknowledgements are stored, or could not be.
    pub(super) fn acknowledged(&mut self, now: Time, number: u64, place: PartitionKey, error: ErrorCode, out: &mut Outputs) {
        let Some(exchange) = self.share.exchanges.get_mut(&number) else { return };
        if let Some(at) = exchange.storing.iter().position(|storing| *storing == place) {
            exchange.storing.remove(at);
            exchange.acknowledged.or_insert_with(place, || error);
        }
        self.go_on_with(now, number, out);
    }

    /// Does what is next for a request whose acknowledgements may all be stored.
    fn go_on_with(&mut self, now: Time, number: u64, out: &mut Outputs) {
        let Some(exchange) = self.share.exchanges.get_mut(&number).filter(|exchange| exchange.storing.is_empty()) else { return };
        if std::mem::take(&mut exchange.ends_session) {
            let whose = exchange.whose.clone();
            self.share.sessions.end(&whose);
            let released = self.release_share(now, &whose, Some(number), out);
            if let Some(exchange) = self.share.exchanges.get_mut(&number).filter(|_| !released.is_empty()) {
                exchange.storing = released;
                return;
            }
        }
        self.try_exchange(now, number, out);
    }

    /// Records may have come for those who wait for this partition.
    pub(in crate::broker) fn try_share_fetches(&mut self, now: Time, place: PartitionKey, out: &mut Outputs) {
        let waits = |exchange: &Exchange| exchange.fetch.as_ref().is_some_and(|fetch| fetch.asked.contains(&place));
        let waiting: Vec<u64> = self.share.exchanges.iter().filter(|(_, exchange)| waits(exchange)).map(|(number, _)| *number).collect();
        for number in waiting {
            self.try_exchange(now, number, out);
        }
    }

    pub(super) fn expire_share_fetches(&mut self, now: Time, out: &mut Outputs) {
        let is_due = |exchange: &Exchange| exchange.waits_until().is_some_and(|at| at <= now);
        let due: Vec<u64> = self.share.exchanges.iter().filter(|(_, exchange)| is_due(exchange)).map(|(number, _)| *number).collect();
        for number in due {
            self.try_exchange(now, number, out);
        }
    }

    /// Answers, if there is anything to say or no time left.
    fn try_exchange(&mut self, now: Time, number: u64, out: &mut Outputs) {
        let Some(exchange) = self.share.exchanges.get(&number).filter(|exchange| exchange.storing.is_empty()) else { return };
        let Some(fetch) = exchange.fetch.clone() else {
            let Some(Exchange { from, correlation, acknowledged, .. }) = self.share.exchanges.remove(&number) else { return };
            self.respond(from, correlation, Response::ShareAcknowledge(Arc::new(self.acknowledge_response(acknowledged))), out);
            return;
        };
        let whose = exchange.whose.clone();
        let Some(mut found) = self.acquire(now, &whose, &fetch, out) else { return };
        let Some(Exchange { from, correlation, acknowledged, .. }) = self.share.exchanges.remove(&number) else { return };
        for (place, error) in acknowledged {
            found.or_default(place).acknowledged = error;
        }
        let (response, batches) = self.share_fetch_response(&whose.0, found);
        self.respond(from, correlation, Response::ShareFetch(Arc::new(response), batches), out);
    }

    /// What a fetch finds, and the member has from now on; `None`: it waits.
    fn acquire(&mut self, now: Time, whose: &Whose, fetch: &Fetch, out: &mut Outputs) -> Option<OrderedMap<PartitionKey, Found>> {
        loop {
            // There may be something behind what was aborted.
            if let Ok(found) = self.acquire_next(now, whose, fetch, out) {
                return found;
            }
        }
    }

    fn acquire_next(
        &mut self,
        now: Time,
        (group, member): &Whose,
        fetch: &Fetch,
        out: &mut Outputs,
    ) -> Result<Option<OrderedMap<PartitionKey, Found>>, OnlyAborted> {
        let config = self.share_config(group);
        let mut found: OrderedMap<PartitionKey, Found> = OrderedMap::new();
        let mut read: Vec<(ShareKey, PartitionKey, Vec<Batch>)> = Vec::new();
        let (mut bytes, each) = (0, fetch.max_bytes / fetch.asked.len().max(1));
        for place in &fetch.asked {
            let key = ShareKey { group: group.clone(), topic: place.topic, index: place.index };
            match self.read_for_share(now, &key, *place, each, bytes == 0, out) {
                Err(error) => found.or_default(*place).error = error,
                Ok(batches) if batches.is_empty() => {}
                Ok(batches) => {
                    bytes += batches.iter().map(|batch| batch.bytes.len()).sum::<usize>();
                    read.push((key, *place, batches));
                }
            }
        }
        let is_over = fetch.until <= now || fetch.asked.is_empty();
        if found.is_empty() && !is_over && (read.is_empty() || bytes < fetch.min_bytes) {
            return Ok(None);
        }
        let (mut left, mut has_archived) = (fetch.max_records, false);
        for (key, place, batches) in read {
            let ranges: Vec<(i64, i64)> = batches.iter().map(|batch| (batch.base_offset, batch.last_offset())).collect();
            // Members cannot tell what was aborted, as consumers do: nothing of that is handed out.
            let aborted = if config.reads_committed { self.aborted_batches(place, &batches) } else { Vec::new() };
            let Some(partition) = self.share.active(&key).filter(|_| 0 < left) else { continue };
            partition.deliveries_max = config.deliveries_max;
            let mut acquired = partition.acquire(member, &ranges, left, config.locks_max, now + config.lock_duration);
            if !aborted.is_empty() && !mutant::is("aborted-records-shared") {
                has_archived |= !acquired.is_empty();
                acquired = partition.archive(acquired, &aborted);
            }
            left -= acquired.iter().map(|range| range.last - range.first + 1).sum::<i64>();
            for range in &acquired {
                if let Some(name) = self.partition_named(&key) {
                    out.note(NoteKind::RecordsAcquired {
                        group: group.clone(),
                        member: member.clone(),
                        partition: name,
                        first_offset: range.first,
                        last_offset: range.last,
                        deliveries: range.deliveries,
                    });
                }
            }
            if let (Some(first), Some(last)) = (acquired.first(), acquired.last()) {
                let is_meant = |batch: &Batch| first.first <= batch.last_offset() && batch.base_offset <= last.last;
                let batches = batches.into_iter().filter(is_meant).collect();
                let answer = found.or_default(place);
                (answer.batches, answer.acquired) = (batches, acquired);
            }
        }
        if found.is_empty() && !is_over && has_archived {
            return Err(OnlyAborted);
        }
        Ok((!found.is_empty() || is_over).then_some(found))
    }

    /// The offsets of those batches that are of aborted transactions.
    fn aborted_batches(&self, place: PartitionKey, batches: &[Batch]) -> Vec<(i64, i64)> {
        let (Ok(replica), Some(first), Some(last)) = (self.replica(place), batches.first(), batches.last()) else { return Vec::new() };
        let ended: Vec<_> = replica.log.producers().transactions().aborted_within(first.base_offset, last.next_offset()).collect();
        let is_aborted = |batch: &&Batch| {
            let header = batch.header().ok().filter(|header| header.is_transactional() && !header.is_control());
            let is_in = |producer_id: i64, ended: &EndedTransaction| {
                ended.producer_id == producer_id && (ended.first_offset..=ended.last_offset).contains(&batch.base_offset)
            };
            header.is_some_and(|header| ended.iter().any(|ended| is_in(header.producer_id, ended)))
        };
        batches.iter().filter(is_aborted).map(|batch| (batch.base_offset, batch.last_offset())).collect()
    }

    /// The batches from which the group may have records.
    fn read_for_share(
        &mut self,
        now: Time,
        key: &ShareKey,
        place: PartitionKey,
        max_bytes: usize,
        first: bool,
        out: &mut Outputs,
    ) -> Result<Vec<Batch>, ErrorCode> {
        if !self.image.topics.contains_key(&place.topic) {
            return Err(ErrorCode::UnknownTopicId);
        }
        let leader_epoch = self.replica(place)?.leader().ok_or(ErrorCode::NotLeaderOrFollower)?.epoch;
        match self.share.partitions.get(key) {
            None => {
                self.share.partitions.insert(key.clone(), Known::Loading);
                self.ask_share_coordinator(now, key, Ask::Read { leader_epoch }, out);
                return Ok(Vec::new());
            }
            Some(Known::Loading) => return Ok(Vec::new()),
            Some(Known::Failed(error)) => {
                let error = *error;
                self.share.partitions.remove(key);
                return Err(error);
            }
            Some(Known::Active(_)) => {}
        }
        let ShareConfig { locks_max, reads_committed, .. } = self.share_config(&key.group);
        let Some(from) =
            self.share.active(key).filter(|partition| partition.can_acquire(locks_max)).map(|partition| partition.fetch_offset())
        else {
            return Ok(Vec::new());
        };
        let replica = self.replica(place)?;
        let limit = if reads_committed { replica.last_stable_offset() } else { replica.high_watermark() };
        let found = match replica.read(from, -1, limit, max_bytes, first) {
            Ok(read) if !read.tiered => return Ok(read.batches),
            // The remote store is asked; its answer is not waited for as a consumer's is.
            Ok(_) => self.find_remote(&RemoteRead { place: 0, key: place, offset: from, most: max_bytes, first }),
            Err(error) => Err(error.0),
        };
        match found {
            Err(ErrorCode::OffsetOutOfRange) => {
                // Retention or an admin has removed it; what is not yet there may come.
                let start = replica.log.start_offset();
                if self.share.active(key).is_some_and(|partition| partition.raise_start(start)) {
                    return self.read_for_share(now, key, place, max_bytes, first, out);
                }
                Ok(Vec::new())
            }
            found => found,
        }
    }

    /// Who leads, for a member that asked somebody else.
    fn leader_now(&self, place: PartitionKey, error: ErrorCode) -> (i32, i32) {
        let state = self.image.partition(&place.topic, place.index);
        state.filter(|_| error == ErrorCode::NotLeaderOrFollower).map_or((-1, -1), |state| (state.leader.unwrap_or(-1), state.leader_epoch))
    }

    fn share_fetch_response(&self, group: &str, found: OrderedMap<PartitionKey, Found>) -> (k::ShareFetchResponse, wire::FetchBatches) {
        let mut response = k::ShareFetchResponse::default();
        response.acquisition_lock_timeout_ms = i32::try_from(self.share_config(group).lock_duration / MS).unwrap_or(i32::MAX);
        let mut all = Vec::with_capacity(found.len());
        for (place, found) in found {
            let words = |error: ErrorCode| (error != ErrorCode::None).then(|| wire::text(error.message()));
            let mut data = fetched::PartitionData::default().with_partition_index(place.index);
            (data.error_code, data.error_message) = (found.error.code(), words(found.error));
            (data.acknowledge_error_code, data.acknowledge_error_message) = (found.acknowledged.code(), words(found.acknowledged));
            let away = if found.error == ErrorCode::None { found.acknowledged } else { found.error };
            let (leader, epoch) = self.leader_now(place, away);
            data.current_leader = fetched::LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(epoch);
            let range = |range: &Acquired| {
                let told = fetched::AcquiredRecords::default().with_first_offset(range.first).with_last_offset(range.last);
                told.with_delivery_count(range.deliveries)
            };
            data.acquired_records = found.acquired.iter().map(range).collect();
            if response.responses.last().is_none_or(|last| last.topic_id != place.topic) {
                response.responses.push(fetched::ShareFetchableTopicResponse::default().with_topic_id(place.topic));
            }
            response.responses.iter_mut().rev().take(1).for_each(|last| last.partitions.push(data.clone()));
            all.push(found.batches);
        }
        (response, all.into())
    }

    fn acknowledge_response(&self, acknowledged: OrderedMap<PartitionKey, ErrorCode>) -> k::ShareAcknowledgeResponse {
        use k::share_acknowledge_response as answer;
        let mut response = k::ShareAcknowledgeResponse::default();
        for (place, error) in acknowledged {
            let mut data = answer::PartitionData::default().with_partition_index(place.index).with_error_code(error.code());
            data.error_message = (error != ErrorCode::None).then(|| wire::text(error.message()));
            let (leader, epoch) = self.leader_now(place, error);
            data.current_leader = answer::LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(epoch);
            if response.responses.last().is_none_or(|last| last.topic_id != place.topic) {
                response.responses.push(answer::ShareAcknowledgeTopicResponse::default().with_topic_id(place.topic));
            }
            response.responses.iter_mut().rev().take(1).for_each(|last| last.partitions.push(data.clone()));
        }
        response
    }
}

/// Group and member, which a request has to name.
fn whose(group: &Option<k::GroupId>, member: &Option<kafka_protocol::protocol::StrBytes>) -> Result<Whose, ErrorCode> {
    match (group, member) {
        (Some(group), _) if group.is_empty() => Err(ErrorCode::InvalidGroupId),
        (Some(group), Some(member)) if !member.is_empty() => Ok((Arc::from(group.as_str()), Arc::from(member.as_str()))),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

/// Whether acknowledgements make sense by themselves: in order, one behind the other, with one type for each offset or for all.
fn acknowledgements<'a>(raw: impl Iterator<Item = (i64, i64, &'a [i8])>) -> Result<Vec<Acknowledgement>, ErrorCode> {
    let mut end = None;
    let mut said = Vec::new();
    for (first, last, types) in raw {
        let is_behind = end.is_none_or(|end| end < first);
        let count = i128::from(last) - i128::from(first) + 1;
        if first < 0 || last < first || !is_behind || types.is_empty() || (types.len() != 1 && types.len() as i128 != count) {
            return Err(ErrorCode::InvalidRequest);
        }
        let types: Option<Vec<AcknowledgeType>> = types.iter().map(|number| AcknowledgeType::of(*number)).collect();
        said.push(Acknowledgement { first, last, types: types.ok_or(ErrorCode::InvalidRequest)? });
        end = Some(last);
    }
    Ok(said)
}
