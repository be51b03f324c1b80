//! Produce requests: who may append where, and waiting for the ISR with acks=all. What a batch must be is checked in [`super::validation`].
//!
//! Source: `KafkaApis.handleProduceRequest`, `ReplicaManager.appendRecords`, `DelayedProduce`.

use super::Broker;
use super::validation::{Origin, Refused, validate};
use super::verification::{Parked, Verdicts, told_producer};
use crate::coordinator::{Then, is_internal};
use crate::mutant;
use crate::node::{Connection, MS, Outputs, Time, Timer};
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, ProduceBatches, Response};
use crate::protocol::{Batch, BatchHeader};
use crate::replica::{PartitionKey, Replica};
use k::produce_response::{BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// acks=all on the wire.
pub const ACKS_ALL: i16 = -1;

/// The client id of those who may write to Kafka's own topics (`AdminUtils.ADMIN_CLIENT_ID`).
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// Appended records that wait until every in-sync replica has them.
#[derive(Clone, Debug)]
pub enum DelayedProduce {
    /// Of a WriteTxnMarkers request, whose sender waits as long as it takes.
    Markers {
        from: Connection,
        correlation: u32,
        response: Arc<k::WriteTxnMarkersResponse>,
        /// Whether each commits.
        commits: Vec<bool>,
        waiting: Vec<Waiting>,
    },
    Client {
        from: Connection,
        correlation: u32,
        response: Arc<k::ProduceResponse>,
        waiting: Vec<Waiting>,
    },
    /// The coordinator's own records.
    Coordinator {
        waiting: Waiting,
        then: Then,
    },
}

/// Records that this broker has taken as a leader.
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    base_offset: i64,
    /// The high watermark that acks=all waits for.
    required: i64,
    leader_epoch: i32,
    /// The time that the records were given, if not their producer's.
    log_append_time: Option<i64>,
}

impl Appended {
    /// What its sender waits for; `place` is where its answer stands.
    pub(super) fn wait(&self, key: PartitionKey, place: (usize, usize)) -> Waiting {
        Waiting { key, required: self.required, leader_epoch: self.leader_epoch, place }
    }
}

/// One partition of a delayed produce.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub(super) key: PartitionKey,
    /// The high watermark that lets it pass.
    required: i64,
    leader_epoch: i32,
    /// Where its answer stands in the response: topic and partition, or marker and partition among all of its topics.
    pub(super) place: (usize, usize),
}

impl DelayedProduce {
    /// Whose connection it needs; the coordinator's own records need none. What was appended stays appended in any case.
    pub(super) fn from(&self) -> Option<Connection> {
        match self {
            DelayedProduce::Client { from, .. } | DelayedProduce::Markers { from, .. } => Some(*from),
            DelayedProduce::Coordinator { .. } => None,
        }
    }
}

impl Broker {
    pub(super) fn produce(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: Arc<k::ProduceRequest>,
        batches: ProduceBatches,
        out: &mut Outputs,
    ) {
        self.produce_asking(now, now, (from, correlation), message, batches, out);
    }

    /// Appends what a Produce request brings, once the coordinators of its transactions have been asked, which has gone on `since` then.
    pub(super) fn produce_asking(
        &mut self,
        now: Time,
        since: Time,
        (from, correlation): (Connection, u32),
        message: Arc<k::ProduceRequest>,
        batches: ProduceBatches,
        out: &mut Outputs,
    ) {
        let (mut unverified, mut producer, mut refusal) = (Vec::new(), None, None);
        let keys = message
            .topic_data
            .iter()
            .flat_map(|topic| topic.partition_data.iter().map(|partition| PartitionKey { topic: topic.topic_id, index: partition.index }));
        for (key, batch) in keys.zip(batches.iter()) {
            let Some(header) = BatchHeader::read(&batch.bytes).ok().filter(BatchHeader::is_transactional) else { continue };
            let own = (header.producer_id, header.producer_epoch);
            if message.transactional_id.is_none() {
                // Who has no transactional id may write to no transaction.
                refusal = Some(ErrorCode::TransactionalIdAuthorizationFailed);
            } else if 0 <= own.0 && *producer.get_or_insert(own) != own {
                refusal = Some(ErrorCode::InvalidProducerIdMapping);
            }
            let leads = self.replicas.get(&key).is_some_and(|replica| replica.leader().is_some());
            if leads && self.asks_coordinator() && !self.is_in_transaction(key, own) {
                unverified.push(key);
            }
        }
        if let Some(id) = message.transactional_id.as_ref().filter(|_| refusal.is_none() && !unverified.is_empty())
            && let Some(producer) = producer
        {
            let parked = Parked::Produce(message.clone(), batches.clone(), since);
            match self.ask_coordinator(now, (from, correlation), (id, producer), &unverified, parked, out) {
                Ok(()) => return,
                Err(error) => {
                    let verdicts = unverified.iter().map(|key| (*key, (-1, error))).collect();
                    return self.produce_verified(now, from, correlation, (&message, &batches), Ok(&verdicts), out);
                }
            }
        }
        self.produce_verified(now, from, correlation, (&message, &batches), refusal.map_or(Ok(&Verdicts::new()), Err), out);
    }

    /// Appends what may be appended, by what the coordinators of the records' transactions say; `Err`: nothing of the request is taken.
    pub(super) fn produce_verified(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        (message, batches): (&k::ProduceRequest, &[Batch]),
        verdicts: Result<&Verdicts, ErrorCode>,
        out: &mut Outputs,
    ) {
        let mut response = k::ProduceResponse::default();
        let mut waiting = Vec::new();
        let mut batches = batches.iter().cloned();
        let is_admin = self.connections.in_work(from).is_some_and(|work| &*work.client_id == ADMIN_CLIENT_ID);
        let origin = if is_admin { Origin::AdminClient } else { Origin::Client };
        for topic in &message.topic_data {
            let mut answer = TopicProduceResponse::default();
            answer.topic_id = topic.topic_id;
            for partition in &topic.partition_data {
                let key = PartitionKey { topic: topic.topic_id, index: partition.index };
                let mut result = PartitionProduceResponse::default();
                result.index = partition.index;
                result.base_offset = -1;
                result.log_append_time_ms = -1;
                let appended = match (verdicts, batches.next()) {
                    (Err(error), _) => Err(error.into()),
                    (Ok(verdicts), Some(batch)) => self.append_verified(now, key, (batch, origin), verdicts.get(&key), message.acks, out),
                    (_, None) => Err(ErrorCode::InvalidRecord.into()),
                };
                match appended {
                    Err(refused) => {
                        result.error_code = refused.code.code();
                        result.error_message = refused.message.as_deref().map(wire::text);
                        let of_record = |(index, flaw): &(i32, String)| {
                            BatchIndexAndErrorMessage::default()
                                .with_batch_index(*index)
                                .with_batch_index_error_message(Some(wire::text(flaw)))
                        };
                        result.record_errors = refused.records.iter().map(of_record).collect();
                    }
                    Ok(appended @ Appended { base_offset, log_append_time, .. }) => {
                        result.base_offset = if mutant::is("base-offset-zero") { 0 } else { base_offset };
                        result.log_append_time_ms = log_append_time.unwrap_or(-1);
                        result.log_start_offset = self.replicas.get(&key).map_or(-1, |replica| replica.log.start_offset());
                        waiting.push(appended.wait(key, (response.responses.len(), answer.partition_responses.len())));
                    }
                }
                answer.partition_responses.push(result);
            }
            response.responses.push(answer);
        }
        match message.acks {
            // No answer at all, not even an empty one: of an error the sender hears by the end of its connection, and looks for the leader anew.
            0 => {
                let waits = self.charge_unanswered(from, out);
                if response.responses.iter().flat_map(|topic| &topic.partition_responses).any(|result| result.error_code != 0) {
                    self.close(now, from, out);
                } else {
                    self.listen_again(from, correlation, waits, out);
                }
            }
            ACKS_ALL if !waiting.is_empty() && !mutant::is("acks-all-early") => {
                let keys: Vec<PartitionKey> = waiting.iter().map(|waiting| waiting.key).collect();
                // It may be done already (a single replica): the partitions have moved, so it is tried before this event ends.
                self.moved.extend(keys.iter().copied());
                let delayed = DelayedProduce::Client { from, correlation, response: Arc::new(response), waiting };
                let operation = self.produces.watch(delayed, keys);
                let timeout = MS * Time::try_from(message.timeout_ms).unwrap_or(0);
                out.timer(now + timeout, Timer::Purgatory { operation });
            }
            _ => self.answer_produce(from, correlation, Arc::new(response), out),
        }
    }

    /// Appends a client's batch. One of a transaction that is not known here to be open needs its coordinator's word, of this leader epoch.
    fn append_verified(
        &mut self,
        now: Time,
        key: PartitionKey,
        (batch, origin): (Batch, Origin),
        verdict: Option<&(i32, ErrorCode)>,
        acks: i16,
        out: &mut Outputs,
    ) -> Result<Appended, Refused> {
        let header = BatchHeader::read(&batch.bytes).ok().filter(BatchHeader::is_transactional);
        let leads_in = self.replicas.get(&key).and_then(|replica| replica.leader()).map(|leader| leader.epoch);
        let is_open = |header: &BatchHeader| self.is_in_transaction(key, (header.producer_id, header.producer_epoch));
        if let Some(header) = header.filter(|header| self.asks_coordinator() && !is_open(header))
            && let Some(epoch) = leads_in
            && !mutant::is("transactions-unverified")
        {
            match verdict {
                Some((_, error)) if *error != ErrorCode::None => return Err(told_producer(*error, self.config.transaction_version).into()),
                Some((asked_in, _)) if *asked_in == epoch && 0 <= header.producer_id => {}
                _ => return Err(ErrorCode::InvalidTxnState.into()),
            }
        }
        self.append(now, key, batch, origin, acks, out)
    }

    /// Appends one batch as the leader.
    pub(super) fn append(
        &mut self,
        now: Time,
        key: PartitionKey,
        batch: Batch,
        origin: Origin,
        acks: i16,
        out: &mut Outputs,
    ) -> Result<Appended, Refused> {
        let now_ms = self.wall_clock(now);
        let Some(topic) = self.image.topics.get(&key.topic) else { return Err(ErrorCode::UnknownTopicId.into()) };
        let rules = self.config.log_rules.of_topic(&topic.configs);
        self.image.partition(&key.topic, key.index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !matches!(acks, ACKS_ALL..=1) {
            return Err(ErrorCode::InvalidRequiredAcks.into());
        }
        if origin == Origin::Client && is_internal(&topic.name) {
            return Err(ErrorCode::InvalidTopicException.into());
        }
        let Some(replica) = self.replicas.get_mut(&key) else { return Err(ErrorCode::NotLeaderOrFollower.into()) };
        let Some(leader) = replica.leader() else { return Err(ErrorCode::NotLeaderOrFollower.into()) };
        if acks == ACKS_ALL && leader.is_under_min_isr() {
            return Err(ErrorCode::NotEnoughReplicas.into());
        }
        let leader_epoch = leader.epoch;
        let batch = validate(batch, origin, &rules, now_ms)?;
        if replica.log.config().segment_bytes < batch.size() as u64 {
            return Err(ErrorCode::RecordListTooLarge.into());
        }
        let header = BatchHeader::read(&batch.bytes)?;
        if let Some(marker) = batch.marker() {
            let (producer, epoch) = (header.producer_id, header.producer_epoch);
            let raises_epoch = self.config.transaction_version == 2;
            replica.log.producers().check_marker(producer, epoch, marker.coordinator_epoch, raises_epoch)?;
        } else {
            replica.log.producers().check_transactional(&header)?;
        }
        if origin != Origin::Coordinator {
            if let Some(written) = replica.log.producers().duplicate_of(&header) {
                // It is here already: the answer is that to the first one, and waits as that did.
                let (base_offset, required) = (written.base_offset, written.last_offset + 1);
                let base_offset = if mutant::is("duplicate-told-the-end") { replica.log.end_offset() } else { base_offset };
                return Ok(Appended { base_offset, required, leader_epoch, log_append_time: Some(written.timestamp) });
            }
            // Under version 2 a transaction's first batch here, or what comes after its producer was forgotten, begins at 0: no earlier one may be on its
            // way still (KAFKA-18202).
            let begins_at_0 = self.config.transaction_version == 2 && header.is_transactional();
            if begins_at_0 && header.base_sequence != 0 && replica.log.producers().get(header.producer_id).is_none() {
                return Err(ErrorCode::OutOfOrderSequenceNumber.into());
            }
            replica.log.producers().check(&header)?;
        }
        let base_offset = replica.append_as_leader(now, now_ms, batch, out);
        let required = replica.log.end_offset();
        self.advance(now, key, out);
        self.moved.insert(key);
        Ok(Appended { base_offset, required, leader_epoch, log_append_time: rules.log_append_time.then_some(now_ms) })
    }

    /// Appends the coordinator's records with acks=all.
    pub(super) fn append_for_coordinator(
        &mut self,
        now: Time,
        key: PartitionKey,
        batch: Batch,
        then: Then,
        out: &mut Outputs,
    ) -> Result<(), (Then, ErrorCode)> {
        match self.append(now, key, batch, Origin::Coordinator, ACKS_ALL, out) {
            Err(refused) => Err((then, refused.code)),
            Ok(appended) => {
                let mut waiting = appended.wait(key, (0, 0));
                if mutant::is("commit-told-unreplicated") {
                    waiting.required = 0;
                }
                self.watch_write(now, waiting, then, out);
                Ok(())
            }
        }
    }

    /// Goes on once a coordinator's records are committed; whoever waits for that does so for a time.
    pub(super) fn watch_write(&mut self, now: Time, waiting: Waiting, then: Then, out: &mut Outputs) {
        let timeout = match &then {
            Then::ShareState(_) => self.config.share.write_timeout,
            _ => self.config.offsets_commit_timeout,
        };
        let is_watched = then.is_waited_for() && self.outcome_in_epoch(&waiting).is_none();
        let operation = self.produces.watch(DelayedProduce::Coordinator { waiting, then }, [waiting.key]);
        if is_watched {
            out.timer(now + timeout, Timer::Purgatory { operation });
        }
    }

    /// What whoever waits for all that this leader has appended waits for; `None`: nothing, all of it is committed.
    pub(super) fn last_append(&self, key: PartitionKey) -> Option<Waiting> {
        let replica = self.replicas.get(&key)?;
        let (leader_epoch, required) = (replica.leader()?.epoch, replica.log.end_offset());
        (replica.high_watermark() < required).then_some(Waiting { key, required, leader_epoch, place: (0, 0) })
    }

    pub(super) fn try_delayed_produces(&mut self, now: Time, key: PartitionKey, out: &mut Outputs) {
        for (number, delayed) in self.produces.take_watching(key) {
            match delayed {
                DelayedProduce::Coordinator { waiting, then } => match self.outcome_in_epoch(&waiting) {
                    None => self.produces.put_back(number, DelayedProduce::Coordinator { waiting, then }, key),
                    Some(ErrorCode::None) => self.coordinator_committed(now, then, out),
                    // What is replicated stands, whoever is in sync by now: only the coordinator of transactions hears of that.
                    Some(ErrorCode::NotEnoughReplicasAfterAppend) if !matches!(then, Then::Transaction(_)) => {
                        self.coordinator_committed(now, then, out);
                    }
                    Some(error) => self.coordinator_failed(now, then, error, out),
                },
                DelayedProduce::Markers { from, correlation, response, commits, waiting } => {
                    self.try_markers(number, key, (from, correlation), (response, commits), waiting, out);
                }
                DelayedProduce::Client { from, correlation, mut response, mut waiting } => {
                    waiting.retain(|waiting| match self.outcome(waiting) {
                        None => true,
                        Some(error) => {
                            set_error(Arc::make_mut(&mut response), waiting.place, error);
                            false
                        }
                    });
                    if waiting.is_empty() {
                        self.answer_produce(from, correlation, response, out);
                    } else {
                        self.produces.put_back(number, DelayedProduce::Client { from, correlation, response, waiting }, key);
                    }
                }
            }
        }
    }

    fn answer_produce(&mut self, to: Connection, correlation: u32, mut response: Arc<k::ProduceResponse>, out: &mut Outputs) {
        self.tell_leaders_to_producer(&mut response);
        self.respond(to, correlation, Response::Produce(response), out);
    }

    /// Whether an append has become safe, or never will here; `None` while it is open. A leader that leads in another epoch by now has it still, or has
    /// not led in between (`Partition.checkEnoughReplicasReachOffset`).
    fn outcome(&self, waiting: &Waiting) -> Option<ErrorCode> {
        let replica = match self.replica(waiting.key) {
            Err(error) => return Some(error),
            Ok(replica) => replica,
        };
        let Some(leader) = replica.leader() else { return Some(ErrorCode::NotLeaderOrFollower) };
        if waiting.required <= replica.high_watermark() {
            // The records are safe with those that were in sync, but fewer are left than were asked for.
            return Some(if leader.is_under_min_isr() { ErrorCode::NotEnoughReplicasAfterAppend } else { ErrorCode::None });
        }
        None
    }

    /// The same, for a coordinator: in another epoch it has read its state anew, with what was appended or without.
    pub(super) fn outcome_in_epoch(&self, waiting: &Waiting) -> Option<ErrorCode> {
        let leader = self.replicas.get(&waiting.key).and_then(Replica::leader);
        if leader.is_some_and(|leader| leader.epoch != waiting.leader_epoch) {
            Some(ErrorCode::NotLeaderOrFollower)
        } else {
            self.outcome(waiting)
        }
    }

    /// Its time ran out: the records stay, whoever waits is told that it cannot be sure.
    pub(super) fn produce_timed_out(&mut self, now: Time, operation: u64, delayed: DelayedProduce, out: &mut Outputs) {
        match delayed {
            DelayedProduce::Client { from, correlation, mut response, waiting } => {
                for waiting in &waiting {
                    let error = self.outcome(waiting).unwrap_or(ErrorCode::RequestTimedOut);
                    set_error(Arc::make_mut(&mut response), waiting.place, error);
                }
                self.answer_produce(from, correlation, response, out);
            }
            DelayedProduce::Coordinator { waiting, then } => {
                if let Some(then) = self.coordinator_timed_out(now, then, out) {
                    // In its place: what was written before is carried out before.
                    self.produces.put_back(operation, DelayedProduce::Coordinator { waiting, then }, waiting.key);
                }
            }
            DelayedProduce::Markers { .. } => {}
        }
    }
}

fn set_error(response: &mut k::ProduceResponse, (topic, partition): (usize, usize), error: ErrorCode) {
    let Some(result) = response.responses.get_mut(topic).and_then(|topic| topic.partition_responses.get_mut(partition)) else { return };
    // The base offset stays: the records are in the log, whatever becomes of them.
    result.error_code = error.code();
}
