//! The transaction coordinator of one broker: the transactional ids of the partitions of `__transaction_state` that the broker leads.
//!
//! Owns which change may begin, what follows once its record is committed, and which markers are to be written. It must not know who leads the partitions
//! of a transaction, nor how records are replicated. Source: `TransactionCoordinator`, `TransactionStateManager`, `TransactionMarkerChannelManager`;
//! KIP-98, KIP-360, KIP-664, KIP-890.

use super::transaction::{Mark, NO_EPOCH, NO_PRODUCER_ID, Transaction, TransactionState};
use super::{ReplyTo, partition_for};
use crate::mutant;
use crate::node::{NoteKind, Outputs, Partition, Time};
use crate::ordered::OrderedMap;
use crate::protocol::transaction_records::{self as records, TransactionValue};
use crate::protocol::wire::Response;
use crate::protocol::{Batch, ErrorCode};
use bytes::Bytes;
use kafka_protocol::messages as k;
use std::sync::Arc;

/// The topic that holds the state of transactions.
pub const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// How long a refused marker waits before it is sent again.
pub const MARKER_BACKOFF: Time = 100 * crate::node::MS;

/// Settings of the coordinator, with Kafka's names and defaults.
#[derive(Clone, Copy, Debug)]
pub struct TransactionConfig {
    /// `transaction.state.log.num.partitions`
    pub partitions: i32,
    /// `transaction.max.timeout.ms`
    pub timeout_max_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub abort_interval: Time,
    /// `transactional.id.expiration.ms`
    pub expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub expiry_interval: Time,
    /// Transaction version 2.
    pub raises_epoch: bool,
}

/// What the coordinator wants done after an input; the broker drains it.
#[derive(Default, Debug)]
pub struct TransactionEffects {
    pub replies: Vec<(ReplyTo, Response)>,
    pub changes: Vec<Change>,
}

/// A change of a transactional id that is to be written with acks=all, and what follows.
#[derive(Clone, Debug)]
pub struct Change {
    pub partition: i32,
    pub record: (Bytes, Option<Bytes>),
    /// In which the coordinator leads the partition.
    epoch: i32,
    id: Arc<str>,
    /// `None`: the id is forgotten.
    next: Option<Box<Transaction>>,
    follows: Follows,
}

#[derive(Clone, Debug)]
enum Follows {
    Nothing,
    Initialized(ReplyTo),
    /// A producer was fenced: the next one comes again.
    Fenced(ReplyTo),
    /// Where the answer stands in a request that adds partitions.
    Added(u64, usize),
    OffsetsAdded(ReplyTo),
    Ended(ReplyTo),
}

/// A marker that is to be written now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueMarker {
    pub id: Arc<str>,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub coordinator_epoch: i32,
    pub commit: bool,
    pub partition: Partition,
}

#[derive(Clone, Debug)]
struct Shard {
    epoch: i32,
    /// What was in the log when it was loaded must be replicated before anything is said of it.
    loaded_end: i64,
    ids: OrderedMap<Arc<str>, Transaction>,
}

/// A request that adds partitions to several transactions.
#[derive(Clone, Debug)]
struct Addition {
    reply: ReplyTo,
    response: k::AddPartitionsToTxnResponse,
    open: usize,
}

#[derive(Clone, Debug)]
pub struct TransactionCoordinator {
    config: TransactionConfig,
    shards: OrderedMap<i32, Shard>,
    additions: OrderedMap<u64, Addition>,
    next_addition: u64,
    /// When it looked last for what has timed out, and for what has expired.
    looked: (Time, Time),
}

impl TransactionCoordinator {
    pub fn new(config: TransactionConfig) -> TransactionCoordinator {
        TransactionCoordinator { config, shards: OrderedMap::new(), additions: OrderedMap::new(), next_addition: 0, looked: (0, 0) }
    }

    /// The transactional ids that this broker coordinates.
    pub fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Transaction)> {
        self.shards.values().flat_map(|shard| shard.ids.iter())
    }

    /// The broker leads this partition now: where each id stands is what its records say.
    pub fn load<'a>(&mut self, partition: i32, epoch: i32, loaded_end: i64, batches: impl Iterator<Item = &'a Batch>) {
        let mut ids: OrderedMap<Arc<str>, Transaction> = OrderedMap::new();
        for record in batches.flat_map(Batch::records).flatten() {
            let Some(Ok(id)) = record.key.as_ref().map(records::read_key) else { continue };
            match record.value.as_ref().map(TransactionValue::read) {
                Some(Ok(value)) => _ = Transaction::of(value).map(|own| ids.insert(Arc::from(id), own)),
                Some(Err(_)) => {}
                None => _ = ids.remove(id.as_str()),
            }
        }
        self.shards.insert(partition, Shard { epoch, loaded_end, ids });
    }

    /// The broker does not lead this partition any more. Who waits for a record hears of it when that is not committed.
    pub fn unload(&mut self, partition: i32) {
        self.shards.remove(&partition);
    }

    /// Until where the log of an id's partition must be replicated before anything is said of it.
    pub fn loaded_end(&self, partition: i32) -> Option<i64> {
        self.shards.get(&partition).map(|shard| shard.loaded_end)
    }

    pub fn partition_of(&self, id: &str) -> i32 {
        partition_for(id, self.config.partitions)
    }

    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.shards.keys().copied()
    }

    fn shard(&mut self, id: &str) -> Result<&mut Shard, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let partition = self.partition_of(id);
        self.shards.get_mut(&partition).ok_or(ErrorCode::NotCoordinator)
    }

    fn known(&mut self, id: &str) -> Result<&mut Transaction, ErrorCode> {
        self.shard(id)?.ids.get_mut(id).ok_or(ErrorCode::InvalidProducerIdMapping)
    }

    /// Hands a change out to be written; until that is done nothing else changes this id.
    fn change(&mut self, id: &str, next: Option<Transaction>, follows: Follows, effects: &mut TransactionEffects) {
        let (partition, raises_epoch) = (self.partition_of(id), self.config.raises_epoch);
        let Some(shard) = self.shards.get_mut(&partition) else { return };
        let Some(own) = shard.ids.get_mut(id) else { return };
        own.is_changing = true;
        let id: Arc<str> = Arc::from(id);
        let record = (records::key_bytes(&id), next.as_ref().map(|next| next.to_value(raises_epoch).to_bytes()));
        effects.changes.push(Change { partition, record, epoch: shard.epoch, id, next: next.map(Box::new), follows });
    }

    pub fn init_producer_id(
        &mut self,
        now_ms: i64,
        reply: ReplyTo,
        message: &k::InitProducerIdRequest,
        next_id: &mut dyn FnMut() -> Option<i64>,
        effects: &mut TransactionEffects,
    ) {
        let id = message.transactional_id.as_ref().map_or("", |id| id.as_str());
        match self.prepare_init(now_ms, id, message, next_id) {
            Ok(Some(next)) => self.change(id, Some(next), Follows::Initialized(reply), effects),
            Ok(None) => self.fence(now_ms, id, Follows::Fenced(reply), next_id, effects),
            Err(error) => effects.replies.push((reply, initialized(Err(error)))),
        }
    }

    /// `None`: the transaction that its former self has left open is to be aborted first.
    fn prepare_init(
        &mut self,
        now_ms: i64,
        id: &str,
        message: &k::InitProducerIdRequest,
        next_id: &mut dyn FnMut() -> Option<i64>,
    ) -> Result<Option<Transaction>, ErrorCode> {
        let expected = identity_of(message)?;
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        if !(1..=self.config.timeout_max_ms).contains(&i64::from(message.transaction_timeout_ms)) {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let shard = self.shard(id)?;
        if shard.ids.get(id).is_none() {
            let producer_id = next_id().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
            shard.ids.insert(Arc::from(id), Transaction::new(producer_id, message.transaction_timeout_ms, now_ms));
        }
        let own = self.known(id)?;
        let ends_it = !own.is_changing && own.state.is_ending() && mutant::is("heir-ends-a-commit");
        if own.is_pending() && !ends_it {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if expected.is_some_and(|expected| !own.may_be(expected)) {
            return Err(ErrorCode::ProducerFenced);
        }
        match own.state {
            _ if ends_it => Ok(None),
            TransactionState::Ongoing if !mutant::is("ongoing-outlives-its-producer") => Ok(None),
            _ => own.initialized(expected, message.transaction_timeout_ms, now_ms, next_id).map(Some),
        }
    }

    /// The transaction of whoever has this id is aborted, in an epoch above its own. Under version 2 that is what every end does, and it does no more
    /// (KAFKA-19367, KAFKA-20090).
    fn fence(
        &mut self,
        now_ms: i64,
        id: &str,
        follows: Follows,
        next_id: &mut dyn FnMut() -> Option<i64>,
        effects: &mut TransactionEffects,
    ) {
        let raises_epoch = self.config.raises_epoch;
        let Ok(own) = self.known(id) else { return };
        if !raises_epoch {
            own.fence();
        }
        match own.ended(false, raises_epoch, next_id, now_ms) {
            Ok(next) => self.change(id, Some(next), follows, effects),
            Err(error) => self.answer(follows, Err(error), effects),
        }
    }

    /// Adds partitions to transactions, or only says whether they are in them. Of those that are not all there (`exists`) none is added.
    pub fn add_partitions(
        &mut self,
        now_ms: i64,
        reply: ReplyTo,
        message: &k::AddPartitionsToTxnRequest,
        exists: impl Fn(&str, i32) -> bool,
        effects: &mut TransactionEffects,
    ) {
        self.next_addition += 1;
        let number = self.next_addition;
        let mut response = k::AddPartitionsToTxnResponse::default();
        let mut open = Vec::new();
        for (place, asked) in message.transactions.iter().enumerate() {
            let partitions: Vec<Partition> = asked.topics.iter().flat_map(partitions_of).collect();
            let producer = (asked.producer_id.0, asked.producer_epoch);
            let checked = if partitions.iter().all(|partition| exists(&partition.topic, partition.index)) {
                self.prepare_addition(&asked.transactional_id, producer, &partitions, asked.verify_only)
            } else {
                Err(ErrorCode::OperationNotAttempted)
            };
            let mut result = k::add_partitions_to_txn_response::AddPartitionsToTxnResult::default();
            result.transactional_id = asked.transactional_id.clone();
            for topic in &asked.topics {
                let mut told = k::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult::default().with_name(topic.name.clone());
                for partition in partitions_of(topic) {
                    let error = match &checked {
                        _ if !exists(&partition.topic, partition.index) => ErrorCode::UnknownTopicOrPartition,
                        Err(error) => *error,
                        Ok((lacking, false)) if asked.verify_only && lacking.contains(&partition) => ErrorCode::TransactionAbortable,
                        Ok(_) => ErrorCode::None,
                    };
                    let result = k::add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult::default();
                    told.results_by_partition.push(result.with_partition_index(partition.index).with_partition_error_code(error.code()));
                }
                result.topic_results.push(told);
            }
            response.results_by_transaction.push(result);
            if let Ok((added, true)) = checked {
                open.push((place, asked.transactional_id.to_string(), added));
            }
        }
        if open.is_empty() {
            effects.replies.push((reply, Response::AddPartitionsToTxn(Arc::new(response))));
            return;
        }
        self.additions.insert(number, Addition { reply, response, open: open.len() });
        for (place, id, added) in open {
            if let Ok(own) = self.known(&id) {
                let next = own.with_partitions(added.into_iter(), now_ms);
                self.change(&id, Some(next), Follows::Added(number, place), effects);
            }
        }
    }

    /// The partitions that are not in the transaction, and whether they are to be put in now.
    fn prepare_addition(
        &mut self,
        id: &str,
        (producer_id, epoch): (i64, i16),
        partitions: &[Partition],
        verify_only: bool,
    ) -> Result<(Vec<Partition>, bool), ErrorCode> {
        let own = self.known(id)?;
        // Before the id and the epoch are looked at, which may be those that the end that is under way has given its producer already.
        if own.is_pending() && !verify_only {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if own.producer_id != producer_id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if own.epoch != epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        // What only looks need not wait for a change that is being written.
        if own.state.is_ending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let is_open = own.state == TransactionState::Ongoing;
        let lacking: Vec<Partition> =
            partitions.iter().filter(|partition| !is_open || !own.partitions.contains(*partition)).cloned().collect();
        let adds = !verify_only && !lacking.is_empty();
        // Whoever names it once more in the same request is too early.
        own.is_changing |= adds;
        Ok((lacking, adds))
    }

    /// A group's offsets are to be part of a transaction: so is the partition that holds them.
    pub fn add_offsets(
        &mut self,
        now_ms: i64,
        reply: ReplyTo,
        message: &k::AddOffsetsToTxnRequest,
        partition: Partition,
        effects: &mut TransactionEffects,
    ) {
        let id = message.transactional_id.as_str();
        let checked = self.prepare_addition(id, (message.producer_id.0, message.producer_epoch), &[partition], false);
        match checked {
            Ok((added, true)) => {
                if let Ok(own) = self.known(id) {
                    let next = own.with_partitions(added.into_iter(), now_ms);
                    self.change(id, Some(next), Follows::OffsetsAdded(reply), effects);
                }
            }
            Ok((_, false)) => effects.replies.push((reply, offsets_added(ErrorCode::None))),
            Err(error) => effects.replies.push((reply, offsets_added(error))),
        }
    }

    pub fn end(
        &mut self,
        now_ms: i64,
        reply: ReplyTo,
        message: &k::EndTxnRequest,
        next_id: &mut dyn FnMut() -> Option<i64>,
        effects: &mut TransactionEffects,
    ) {
        let (id, raises_epoch, commit) = (message.transactional_id.as_str(), self.config.raises_epoch, message.committed);
        let (producer_id, epoch) = (message.producer_id.0, message.producer_epoch);
        let prepared = self.known(id).and_then(|own| {
            let ends =
                if raises_epoch { own.may_end_raising(producer_id, epoch, commit)? } else { own.may_end(producer_id, epoch, commit)? };
            if !ends {
                return Ok(Err((own.producer_id, own.epoch)));
            }
            own.ended(commit, raises_epoch, next_id, now_ms).map(Ok)
        });
        match prepared {
            Ok(Ok(next)) => self.change(id, Some(next), Follows::Ended(reply), effects),
            Ok(Err(identity)) => effects.replies.push((reply, ended(Ok(Some(identity).filter(|_| raises_epoch))))),
            Err(error) => effects.replies.push((reply, ended(Err(error)))),
        }
    }

    /// A change is committed.
    pub fn committed(&mut self, change: Change, effects: &mut TransactionEffects, out: &mut Outputs) {
        let Change { partition, epoch, id, next, follows, .. } = change;
        let Some(shard) = self.shards.get_mut(&partition).filter(|shard| shard.epoch == epoch) else {
            self.answer(follows, Err(ErrorCode::NotCoordinator), effects);
            return;
        };
        let Some(mut next) = next else {
            shard.ids.remove(&id);
            return;
        };
        next.is_changing = false;
        next.begin_marking();
        let (producer_id, epoch, state) = (next.producer_id, next.epoch, next.state);
        let partitions = next.partitions.len() as u64;
        out.note(NoteKind::TransactionChanged { id: id.clone(), producer_id, epoch, state: state.name(), partitions });
        let is_over = matches!(state, TransactionState::CompleteCommit | TransactionState::CompleteAbort);
        if is_over {
            out.note(NoteKind::TransactionEnded { id: id.clone(), committed: state == TransactionState::CompleteCommit });
        }
        let told = next.identity_afterwards();
        shard.ids.insert(id, *next);
        self.answer(follows, Ok(told), effects);
    }

    /// A change could not be written.
    pub fn failed(&mut self, change: Change, error: ErrorCode, now: Time, effects: &mut TransactionEffects) {
        let error = match error {
            ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch => ErrorCode::NotCoordinator,
            ErrorCode::NotEnoughReplicas | ErrorCode::UnknownTopicOrPartition | ErrorCode::RequestTimedOut => {
                ErrorCode::CoordinatorNotAvailable
            }
            _ => ErrorCode::UnknownServerError,
        };
        let shard = self.shards.get_mut(&change.partition).filter(|shard| shard.epoch == change.epoch);
        if let Some(own) = shard.and_then(|shard| shard.ids.get_mut(&change.id)) {
            own.is_changing = false;
            if own.state.is_ending() && own.marks.is_empty() {
                // All markers are there: what is left to do is to say so.
                own.marks = own.partitions.iter().take(1).map(|partition| (partition.clone(), Mark::Later(now + MARKER_BACKOFF))).collect();
            }
        }
        self.answer(change.follows, Err(error), effects);
    }

    fn answer(&mut self, follows: Follows, result: Result<(i64, i16), ErrorCode>, effects: &mut TransactionEffects) {
        let error = result.err().unwrap_or(ErrorCode::None);
        let (reply, response) = match follows {
            Follows::Nothing => return,
            Follows::Initialized(reply) => (reply, initialized(result)),
            Follows::Fenced(reply) => (reply, initialized(Err(result.err().unwrap_or(ErrorCode::ConcurrentTransactions)))),
            Follows::OffsetsAdded(reply) => (reply, offsets_added(error)),
            Follows::Ended(reply) => (reply, ended(result.map(|identity| Some(identity).filter(|_| self.config.raises_epoch)))),
            Follows::Added(number, place) => {
                let Some(addition) = self.additions.get_mut(&number) else { return };
                addition.open -= 1;
                let results =
                    addition.response.results_by_transaction.get_mut(place).into_iter().flat_map(|result| &mut result.topic_results);
                results.flat_map(|topic| &mut topic.results_by_partition).for_each(|told| told.partition_error_code = error.code());
                if 0 < addition.open {
                    return;
                }
                let Some(Addition { reply, response, .. }) = self.additions.remove(&number) else { return };
                (reply, Response::AddPartitionsToTxn(Arc::new(response)))
            }
        };
        effects.replies.push((reply, response));
    }

    /// The markers that are due in a partition's transactions; they count as sent.
    pub fn take_due(&mut self, partition: i32, now: Time) -> Vec<DueMarker> {
        let Some(shard) = self.shards.get_mut(&partition) else { return Vec::new() };
        let mut due = Vec::new();
        for (id, own) in (&mut shard.ids).into_iter().filter(|(_, own)| own.state.is_ending()) {
            let (commit, producer_id, producer_epoch) = (own.state == TransactionState::PrepareCommit, own.producer_id, own.epoch);
            for (partition, mark) in &mut own.marks {
                let is_due = match *mark {
                    Mark::Due => true,
                    Mark::Later(at) => at <= now,
                    Mark::Sent => false,
                };
                if is_due {
                    *mark = Mark::Sent;
                    let (id, partition) = (id.clone(), partition.clone());
                    due.push(DueMarker { id, producer_id, producer_epoch, coordinator_epoch: shard.epoch, commit, partition });
                }
            }
        }
        due
    }

    /// A marker is written, or there is no place for it any more; an error: it is due again later, or (`TRANSACTION_COORDINATOR_FENCED`,
    /// `INVALID_PRODUCER_EPOCH`) another coordinator's business.
    pub fn marked(&mut self, now: Time, now_ms: i64, marker: &DueMarker, error: ErrorCode, effects: &mut TransactionEffects) {
        let partition = self.partition_of(&marker.id);
        let Some(shard) = self.shards.get_mut(&partition).filter(|shard| shard.epoch == marker.coordinator_epoch) else { return };
        let is_same =
            |own: &&mut Transaction| own.state.is_ending() && (own.producer_id, own.epoch) == (marker.producer_id, marker.producer_epoch);
        let Some(own) = shard.ids.get_mut(&marker.id).filter(is_same) else { return };
        match error {
            ErrorCode::None => _ = own.marks.remove(&marker.partition),
            ErrorCode::TransactionCoordinatorFenced | ErrorCode::InvalidProducerEpoch => return,
            _ => _ = own.marks.insert(marker.partition.clone(), Mark::Later(now + MARKER_BACKOFF)),
        }
        if own.marks.is_empty() && !own.is_changing {
            let next = own.completed(now_ms);
            self.change(&marker.id, Some(next), Follows::Nothing, effects);
        }
    }

    /// Completes the transactions that have no partitions, and aborts and forgets what has had its time.
    pub fn look(&mut self, now: Time, now_ms: i64, next_id: &mut dyn FnMut() -> Option<i64>, effects: &mut TransactionEffects) {
        let (aborts, forgets) = (self.looked.0 + self.config.abort_interval <= now, self.looked.1 + self.config.expiry_interval <= now);
        if aborts {
            self.looked.0 = now - now % self.config.abort_interval;
        }
        if forgets {
            self.looked.1 = now - now % self.config.expiry_interval;
        }
        let expiration_ms = self.config.expiration_ms;
        let (mut late, mut expired, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for (id, own) in self.all().filter(|(_, own)| !own.is_changing) {
            match own.state {
                TransactionState::Ongoing if aborts && i64::from(own.timeout_ms) < now_ms - own.started_ms => late.push(id.to_string()),
                state if state.is_ending() && own.marks.is_empty() => done.push((id.to_string(), own.completed(now_ms))),
                TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort
                    if forgets && expiration_ms <= now_ms - own.updated_ms =>
                {
                    expired.push(id.to_string());
                }
                _ => {}
            }
        }
        done.into_iter().for_each(|(id, next)| self.change(&id, Some(next), Follows::Nothing, effects));
        late.iter().for_each(|id| self.fence(now_ms, id, Follows::Nothing, next_id, effects));
        expired.iter().for_each(|id| self.change(id, None, Follows::Nothing, effects));
    }

    /// When it is to look next.
    pub fn next_deadline(&self) -> Option<Time> {
        let mut next = None;
        for (_, own) in self.all() {
            let later = own.marks.values().filter_map(|mark| if let Mark::Later(at) = mark { Some(*at) } else { None }).min();
            let due = match own.state {
                TransactionState::Ongoing => Some(self.looked.0 + self.config.abort_interval),
                // What is left to do is to say that it is complete, and could not be written.
                state if state.is_ending() && own.marks.is_empty() && !own.is_changing => Some(self.looked.0 + self.config.abort_interval),
                state if state.is_ending() => later,
                _ => Some(self.looked.1 + self.config.expiry_interval),
            };
            next = [next, due].into_iter().flatten().min();
        }
        next
    }
}

/// Who the sender of InitProducerId says that it is, if it says so: id and epoch, or neither (`KafkaApis.handleInitProducerIdRequest`).
pub fn identity_of(message: &k::InitProducerIdRequest) -> Result<Option<(i64, i16)>, ErrorCode> {
    match (message.producer_id.0, message.producer_epoch) {
        (NO_PRODUCER_ID, NO_EPOCH) => Ok(None),
        (NO_PRODUCER_ID, _) | (_, NO_EPOCH) => Err(ErrorCode::InvalidRequest),
        identity => Ok(Some(identity)),
    }
}

fn partitions_of(topic: &k::add_partitions_to_txn_request::AddPartitionsToTxnTopic) -> impl Iterator<Item = Partition> + '_ {
    let name: Arc<str> = Arc::from(topic.name.as_str());
    topic.partitions.iter().map(move |index| Partition { topic: name.clone(), index: *index })
}

fn initialized(result: Result<(i64, i16), ErrorCode>) -> Response {
    let (id, epoch) = result.unwrap_or((-1, -1));
    let response = k::InitProducerIdResponse::default().with_producer_id(k::ProducerId(id)).with_producer_epoch(epoch);
    Response::InitProducerId(Arc::new(response.with_error_code(result.err().unwrap_or(ErrorCode::None).code())))
}

fn offsets_added(error: ErrorCode) -> Response {
    Response::AddOffsetsToTxn(Arc::new(k::AddOffsetsToTxnResponse::default().with_error_code(error.code())))
}

/// With the identity that the producer goes on with, under transaction version 2.
fn ended(result: Result<Option<(i64, i16)>, ErrorCode>) -> Response {
    let (id, epoch) = result.ok().flatten().unwrap_or((-1, -1));
    let response = k::EndTxnResponse::default().with_producer_id(k::ProducerId(id)).with_producer_epoch(epoch);
    Response::EndTxn(Arc::new(response.with_error_code(result.err().unwrap_or(ErrorCode::None).code())))
}
