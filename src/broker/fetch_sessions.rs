//! Fetch sessions: what each fetcher reads is remembered, so that it sends and is told only what changed.
//!
//! Owns the sessions, their epochs, and which one has to go when there is no room. Knows nothing of logs: it sees a request before it is
//! handled and a response before it is sent. Source: `FetchManager`, `FetchSessionCache`, `FetchSession`; KIP-227.

use crate::mutant;
use crate::node::{MS, Time};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::{Batch, ErrorCode, FINAL_EPOCH, INITIAL_EPOCH, NO_SESSION, next_epoch};
use crate::replica::PartitionKey;
use k::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use k::fetch_response::PartitionData;
use kafka_protocol::messages as k;
use std::cmp::Ordering;
use std::sync::Arc;

/// A session that was used or, for a place of a smaller one, made within this time is not evicted.
const MIN_EVICTION: Time = 120_000 * MS;

/// One partition as its fetcher asked for it last, and what the fetcher was told last.
#[derive(Clone, Debug)]
struct Cached {
    key: PartitionKey,
    asked: FetchPartition,
    high_watermark: i64,
    log_start: i64,
    /// Whether the last answer had records of it.
    was_read: bool,
}

impl Cached {
    /// Remembers what the fetcher is told; whether that is worth telling.
    fn told(&mut self, data: &PartitionData, has_records: bool) -> bool {
        let moved = self.high_watermark != data.high_watermark || self.log_start != data.log_start_offset;
        let failed = data.error_code != 0;
        // After an error, or where the logs part, the fetcher makes no use of the high watermark: the next answer is news in any case.
        let is_unused = failed || 0 <= data.diverging_epoch.epoch;
        (self.high_watermark, self.log_start) = (if is_unused { -1 } else { data.high_watermark }, data.log_start_offset);
        self.was_read = has_records;
        let has_records = has_records && !mutant::is("session-tells-of-high-watermarks-alone");
        has_records || moved || failed || 0 <= data.preferred_read_replica.0 || 0 <= data.diverging_epoch.epoch
    }
}

#[derive(Clone, Debug)]
struct Session {
    /// What the next request has to name.
    epoch: i32,
    /// A follower's; consumers cannot push it out.
    privileged: bool,
    created: Time,
    last_used: Time,
    /// In the order in which they are read: those that had records go to the back.
    partitions: Vec<Cached>,
}

impl Session {
    /// Whether it is old enough to be evicted, as it was when it was used last.
    fn has_lasted(&self) -> bool {
        MIN_EVICTION < self.last_used - self.created
    }

    fn update(&mut self, message: &k::FetchRequest) {
        let forgotten: OrderedSet<PartitionKey> = message.forgotten_topics_data.iter().flat_map(forgotten_keys).collect();
        if !forgotten.is_empty() {
            self.partitions.retain(|cached| !forgotten.contains(&cached.key));
        }
        if message.topics.is_empty() {
            return;
        }
        let asked = || message.topics.iter().flat_map(|topic| topic.partitions.iter().map(|asked| (key_of(topic, asked), asked)));
        // What is named twice counts as it was named last.
        let newest: OrderedMap<PartitionKey, &FetchPartition> = asked().collect();
        // The mistake: what is not named is not wanted any more.
        if mutant::is("session-forgets-the-unnamed") {
            self.partitions.retain(|cached| newest.contains_key(&cached.key));
        }
        let mut known = OrderedSet::new();
        for cached in &mut self.partitions {
            known.insert(cached.key);
            if let Some(asked) = newest.get(&cached.key) {
                cached.asked.clone_from(asked);
            }
        }
        for (key, asked) in asked() {
            if known.insert(key) {
                let asked = newest.get(&key).copied().unwrap_or(asked).clone();
                self.partitions.push(Cached { key, asked, high_watermark: -1, log_start: -1, was_read: false });
            }
        }
    }

    /// The request as it would be without a session.
    fn whole(&self, message: &k::FetchRequest) -> k::FetchRequest {
        let mut whole = message.clone();
        whole.topics.clear();
        whole.forgotten_topics_data.clear();
        for cached in &self.partitions {
            if whole.topics.last().is_none_or(|topic| topic.topic_id != cached.key.topic) {
                whole.topics.push(k::fetch_request::FetchTopic::default().with_topic_id(cached.key.topic));
            }
            if let Some(topic) = whole.topics.last_mut() {
                topic.partitions.push(cached.asked.clone());
            }
        }
        whole
    }

    /// What was read goes to the back, so that everything has its turn.
    fn rotate(&mut self) {
        if self.partitions.iter().any(|cached| cached.was_read) {
            let (read, mut order): (Vec<Cached>, Vec<Cached>) =
                std::mem::take(&mut self.partitions).into_iter().partition(|cached| cached.was_read);
            order.extend(read);
            self.partitions = order;
        }
    }
}

fn key_of(topic: &FetchTopic, asked: &FetchPartition) -> PartitionKey {
    PartitionKey { topic: topic.topic_id, index: asked.partition }
}

fn forgotten_keys(topic: &ForgottenTopic) -> impl Iterator<Item = PartitionKey> + '_ {
    topic.partitions.iter().map(|index| PartitionKey { topic: topic.topic_id, index: *index })
}

/// The fetch sessions of a broker.
#[derive(Clone, Debug)]
pub(super) struct FetchSessions {
    slots: usize,
    sessions: OrderedMap<i32, Session>,
}

impl FetchSessions {
    pub(super) fn new(slots: usize) -> FetchSessions {
        FetchSessions { slots, sessions: OrderedMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// What a request asks for, with what its session remembers.
    pub(super) fn open(&mut self, now: Time, message: Arc<k::FetchRequest>) -> Result<Arc<k::FetchRequest>, ErrorCode> {
        let (id, epoch) = (message.session_id, message.session_epoch);
        if matches!(epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            self.sessions.remove(&id);
            return Ok(message);
        }
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        // Sessions know topics by id; a request of a version before topic ids names none.
        if message.topics.iter().any(|topic| topic.topic_id.is_nil()) {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        session.update(&message);
        session.last_used = now;
        session.epoch = next_epoch(epoch);
        let mut whole = session.whole(&message);
        if session.partitions.is_empty() {
            self.sessions.remove(&id);
            (whole.session_id, whole.session_epoch) = (NO_SESSION, FINAL_EPOCH);
        }
        Ok(Arc::new(whole))
    }

    /// Completes an answer: opens the session that a full request asked for, or leaves out what an incremental one knows already. `draw`
    /// gives numbers for a new session.
    pub(super) fn close(
        &mut self,
        now: Time,
        message: &k::FetchRequest,
        response: &mut k::FetchResponse,
        batches: &mut Vec<Vec<Batch>>,
        draw: impl FnMut() -> u64,
    ) {
        match message.session_epoch {
            FINAL_EPOCH => {}
            INITIAL_EPOCH => response.session_id = self.begin(now, message, response, draw),
            epoch => {
                response.session_id = message.session_id;
                let Some(session) = self.sessions.get_mut(&message.session_id) else { return };
                if session.epoch != next_epoch(epoch) {
                    // Another request of the session overtook this one while it waited.
                    *response = refused(ErrorCode::InvalidFetchSessionEpoch);
                    response.session_id = message.session_id;
                    batches.clear();
                    return;
                }
                // The answer is in the session's own order: it was asked for as a whole.
                let mut found = std::mem::take(batches).into_iter();
                let mut cached = session.partitions.iter_mut();
                for topic in &mut response.responses {
                    topic.partitions.retain(|data| {
                        let records = found.next().unwrap_or_default();
                        let key = PartitionKey { topic: topic.topic_id, index: data.partition_index };
                        let kept = cached.find(|cached| cached.key == key).is_none_or(|cached| cached.told(data, !records.is_empty()));
                        if kept {
                            batches.push(records);
                        }
                        kept
                    });
                }
                session.rotate();
                response.responses.retain(|topic| !topic.partitions.is_empty());
            }
        }
    }

    /// The answer to a consumer that has to wait: nothing is in it, and nothing counts as told. A full request opens no session.
    pub(super) fn keep_waiting(&self, message: &k::FetchRequest, ms: i32) -> k::FetchResponse {
        let (id, epoch) = (message.session_id, message.session_epoch);
        let mut response = match self.sessions.get(&id) {
            _ if matches!(epoch, INITIAL_EPOCH | FINAL_EPOCH) => return k::FetchResponse::default().with_throttle_time_ms(ms),
            Some(session) if session.epoch == next_epoch(epoch) => k::FetchResponse::default(),
            _ => refused(ErrorCode::InvalidFetchSessionEpoch),
        };
        (response.session_id, response.throttle_time_ms) = (id, ms);
        response
    }

    fn begin(&mut self, now: Time, message: &k::FetchRequest, response: &k::FetchResponse, mut draw: impl FnMut() -> u64) -> i32 {
        let privileged = 0 <= message.replica_state.replica_id.0;
        let mut session = Session { epoch: 1, privileged, created: now, last_used: now, partitions: Vec::new() };
        session.update(message);
        if session.partitions.is_empty() || !self.make_room(now, privileged, session.partitions.len()) {
            return NO_SESSION;
        }
        let mut places: OrderedMap<PartitionKey, &mut Cached> = session.partitions.iter_mut().map(|cached| (cached.key, cached)).collect();
        for topic in &response.responses {
            for data in &topic.partitions {
                let key = PartitionKey { topic: topic.topic_id, index: data.partition_index };
                if let Some(cached) = places.get_mut(&key) {
                    cached.told(data, false);
                }
            }
        }
        loop {
            let id = (draw() >> 33) as i32;
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                self.sessions.insert(id, session);
                return id;
            }
        }
    }

    /// One that nobody has used for long makes way for any other; else the smallest of the least privileged for a larger one.
    fn make_room(&mut self, now: Time, privileged: bool, size: usize) -> bool {
        if self.sessions.len() < self.slots {
            return true;
        }
        let idle = self.sessions.iter().min_by_key(|(id, session)| (session.last_used, **id));
        let idle = idle.filter(|(_, session)| MIN_EVICTION < now - session.last_used).map(|(id, _)| *id);
        let rank = |(id, session): &(&i32, &Session)| (session.privileged, session.partitions.len(), **id);
        let evictable = |(_, session): &(&i32, &Session)| session.has_lasted() || privileged && !session.privileged;
        let least = || {
            let least = self.sessions.iter().filter(evictable).map(|session| rank(&session)).min()?;
            ((privileged, size, NO_SESSION).cmp(&least) == Ordering::Greater).then_some(least.2)
        };
        idle.or_else(least).is_some_and(|id| self.sessions.remove(&id).is_some())
    }
}

/// An answer that is nothing but an error.
pub(super) fn refused(error: ErrorCode) -> k::FetchResponse {
    k::FetchResponse::default().with_error_code(error.code())
}

#[cfg(test)]
#[path = "fetch_sessions_test.rs"]
mod tests;
