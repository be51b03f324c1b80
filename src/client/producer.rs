//! A producer: takes records, chooses their partitions, batches them, sends batches to leaders and retries what may be retried.
//!
//! Source: `KafkaProducer`, `Sender`. What makes it idempotent is in [`super::idempotence`]; with `enable.idempotence=false` a retry
//! may append twice, and with more than one request in flight may change the order.

use super::accumulator::{Accumulator, ProducerBatch};
use super::generator::Generator;
use super::idempotence::{Idempotence, Identity, Sequence};
use super::network::{Alarm, Network, NetworkConfig, Pending};
use super::partitioner::{Partitioner, PartitionerConfig};
use super::table::Table;
use super::transactions::{Step, Transactions, TransactionsConfig};
use crate::mutant;
use crate::node::{Chance, Channel, Input, MS, NodeId, NoteKind, Outputs, Partition, Time, Timer, TopicName};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::wire::{self, Request, Response};
use crate::protocol::{Compression, ErrorCode, Header, size_upper_bound};
use bytes::Bytes;
use kafka_protocol::messages as k;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// Settings of a producer, with Kafka's names and defaults.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    pub network: NetworkConfig,
    /// `acks`: 0, 1, or -1 for all
    pub acks: i16,
    /// `linger.ms`
    pub linger: Time,
    /// `batch.size`
    pub batch_size: usize,
    /// `compression.type` and the codec's level
    pub compression: Compression,
    /// `buffer.memory`
    pub buffer_memory: usize,
    /// `max.block.ms`
    pub max_block: Time,
    /// `max.request.size`
    pub max_request_size: usize,
    /// `max.in.flight.requests.per.connection`
    pub max_in_flight: usize,
    /// `enable.idempotence`, unless other settings exclude it
    pub idempotent: bool,
    /// `transactional.id` and what belongs to it
    pub transactions: Option<TransactionsConfig>,
    /// `retries`
    pub retries: u32,
    /// `delivery.timeout.ms`
    pub delivery_timeout: Time,
    pub partitioner: PartitionerConfig,
    /// Kafka's epoch milliseconds at virtual time 0, for the timestamps of records.
    pub start_timestamp: i64,
}

/// A record handed to a producer.
#[derive(Clone, PartialEq, Debug)]
pub struct Outgoing {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// Chosen by the application; absent: by the partitioner.
    pub partition: Option<i32>,
    /// Absent: the time of sending.
    pub timestamp: Option<i64>,
}

impl Outgoing {
    /// The headers as a batch is written with them.
    pub fn borrowed_headers(&self) -> Vec<Header<'_>> {
        self.headers.iter().map(|(name, value)| (name.as_ref(), value.as_deref())).collect()
    }

    /// With its own headers, borrowed.
    pub fn draft<'a>(&'a self, headers: &'a [Header<'a>]) -> Draft<'a> {
        Draft { key: self.key.as_deref(), value: self.value.as_deref(), headers, partition: self.partition, timestamp: self.timestamp }
    }
}

/// A record that a batch can be written with: it is copied once, into the batch.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [Header<'a>],
    /// Chosen by the application; absent: by the partitioner.
    pub partition: Option<i32>,
    /// Absent: the time of sending.
    pub timestamp: Option<i64>,
}

impl Draft<'_> {
    /// Bytes that it may take in a request, uncompressed, batch and all.
    pub fn size_upper_bound(&self) -> usize {
        size_upper_bound(self.key, self.value, self.headers)
    }

    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + length(*value)).sum();
        length(self.key) + length(self.value) + headers
    }

    /// A record of its own, to be kept.
    pub(super) fn keep(&self) -> Outgoing {
        let copy = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        let headers = self.headers.iter().map(|(name, value)| (Bytes::copy_from_slice(name), copy(*value))).collect();
        Outgoing { key: copy(self.key), value: copy(self.value), headers, partition: self.partition, timestamp: self.timestamp }
    }
}

/// What happened to the records so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    pub sent: u64,
    pub acknowledged: u64,
    pub failed: u64,
    pub retries: u64,
}

/// A record whose `send` call has not returned: its topic is unknown or the buffer is full.
#[derive(Clone, Debug)]
pub(super) struct Blocked {
    pub topic: TopicName,
    pub record: Outgoing,
    pub deadline: Time,
    /// It has its topic and its partition.
    pub needs_memory: bool,
}

/// A request under way.
#[derive(Clone, Debug)]
pub(super) enum InFlight {
    Produce(Vec<(Partition, ProducerBatch)>),
    ProducerId,
    Transaction(Step),
}

impl InFlight {
    /// The batches in it.
    pub fn batches(&self) -> &[(Partition, ProducerBatch)] {
        if let InFlight::Produce(batches) = self { batches } else { &[] }
    }

    fn batches_mut(&mut self) -> &mut [(Partition, ProducerBatch)] {
        if let InFlight::Produce(batches) = self { batches } else { &mut [] }
    }
}

#[derive(Clone, Debug)]
pub struct Producer {
    pub(super) config: ProducerConfig,
    pub(super) network: Network<InFlight>,
    pub(super) accumulator: Accumulator,
    pub(super) blocked: VecDeque<Blocked>,
    pub(super) partitioner: Partitioner,
    pub(super) idempotence: Option<Idempotence>,
    pub(super) transactions: Option<Transactions>,
    pub(super) generator: Option<(TopicName, Generator)>,
    /// What it sends are the changes of a table's rows.
    pub(super) table: Option<Table>,
    pub(super) counts: Counts,
    pub(super) closing: bool,
    /// The application waits until everything is sent and answered.
    pub(super) flushing: bool,
    alarm: Alarm,
}

impl Producer {
    pub fn new(
        client_id: Arc<str>,
        bootstrap: Vec<i32>,
        config: ProducerConfig,
        generator: Option<(TopicName, Generator)>,
        chance: Chance,
    ) -> Producer {
        let mut producer = Producer {
            partitioner: Partitioner::new(config.partitioner.clone(), chance.fork(2)),
            network: Network::new(client_id, bootstrap, config.network.clone(), chance),
            accumulator: Accumulator::new(config.batch_size, config.compression, config.linger, config.buffer_memory),
            blocked: VecDeque::new(),
            idempotence: config.idempotent.then(|| Idempotence::new(config.transactions.is_some())),
            transactions: config.transactions.clone().map(Transactions::new),
            generator,
            table: None,
            counts: Counts::default(),
            closing: false,
            flushing: false,
            alarm: Alarm::default(),
            config,
        };
        producer.accumulator.transactional = producer.transactions.is_some();
        producer
    }

    pub fn config(&self) -> &ProducerConfig {
        &self.config
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Records that its generator has made, of which it takes none between transactions.
    pub fn made(&self) -> u64 {
        self.generator.as_ref().map_or(0, |(_, generator)| generator.made())
    }

    /// Records that wait in the producer.
    pub fn buffered(&self) -> u64 {
        self.accumulator.records() + self.blocked.len() as u64
    }

    /// Whether it has a connection with a broker.
    pub fn is_connected(&self, broker: i32, channel: Channel) -> bool {
        self.network.is_connected(broker, channel)
    }

    /// A partition of which two batches are under way.
    pub fn twice_under_way(&self) -> Option<&Partition> {
        let mut under_way = self.network.pending().flat_map(|pending| pending.what.batches()).map(|(own, _)| own);
        let mut seen = OrderedSet::new();
        under_way.find(|own| !seen.insert(*own))
    }

    /// Requests sent and not answered.
    pub fn in_flight(&self) -> u64 {
        self.network.pending().count() as u64
    }

    pub fn handle(&mut self, now: Time, input: Input, out: &mut Outputs) {
        if let Input::Response { from, correlation, response } = &input {
            self.network.hear(now, *from, *correlation, response, out);
        }
        match input {
            Input::Start => {
                if let Some((topic, generator)) = &self.generator {
                    self.network.want(now, topic);
                    out.timer(generator.next_at(now), Timer::Generate { round: 0 });
                }
            }
            Input::Timer(Timer::Generate { .. }) => self.generate(now, out),
            Input::Timer(Timer::Wake { round }) => {
                if !self.alarm.rings(round) {
                    return;
                }
            }
            Input::Response { correlation, response: Response::Metadata(message), .. } => {
                self.network.learn(now, correlation, &message);
                self.unblock(now);
            }
            Input::Response { correlation, response: Response::Produce(message), .. } => {
                if let Some(pending) = self.network.answered(correlation) {
                    self.produced(now, pending, &message, out);
                }
            }
            Input::Response { correlation, response: Response::InitProducerId(message), .. } => {
                match self.network.answered(correlation).map(|pending| pending.what) {
                    Some(InFlight::Transaction(step)) => self.step_answered(now, step, Response::InitProducerId(message), out),
                    Some(_) => self.id_answered(now, &message),
                    None => {}
                }
            }
            Input::Response { correlation, response, .. } => {
                if let Some(InFlight::Transaction(step)) = self.network.answered(correlation).map(|pending| pending.what) {
                    self.step_answered(now, step, response, out);
                }
            }
            Input::Disconnected { peer: NodeId::Broker(broker), channel } => {
                for lost in self.network.disconnected(now, broker, channel) {
                    self.lost(now, lost, ErrorCode::NetworkException, out);
                }
            }
            _ => return,
        }
        self.drive(now, out);
    }

    fn generate(&mut self, now: Time, out: &mut Outputs) {
        let Some((topic, mut generator)) = self.generator.take() else { return };
        let due = generator.due(now);
        if 0 < due {
            self.network.want(now, &topic);
        }
        // Between its transactions an application makes records as little as while it is blocked.
        let takes = !self.flushing && self.transactions.as_ref().is_none_or(Transactions::takes_records);
        for _ in 0..due {
            // An application whose `send` blocks makes no more records meanwhile.
            let takes = takes && self.blocked.is_empty();
            if self.table.is_some() {
                self.change_some_row(now, &topic, takes, &mut generator, out);
                continue;
            }
            let record = generator.make(now);
            if takes {
                self.enqueue(now, &topic, &record, out);
            }
        }
        out.timer(generator.next_at(now), Timer::Generate { round: 0 });
        self.generator = Some((topic, generator));
    }

    /// Everything that is due: time-outs, metadata, and sending what is ready.
    pub(super) fn drive(&mut self, now: Time, out: &mut Outputs) {
        for (lost, error) in self.network.timed_out(now, out) {
            self.lost(now, lost, error, out);
        }
        self.give_up_expired(now, out);
        self.settle_sequences(now, out);
        self.go_on_with_transaction(now, out);
        self.network.ask_for_metadata(now, out);
        self.accumulator.hurry(now, |partition| self.network.leader(&partition.topic, partition.index));
        self.unblock(now);
        self.send_ready(now, out);
        // What is not answered (acks=0) leaves its memory to those that wait.
        let mut waiting = 0;
        while waiting != self.blocked.len() {
            waiting = self.blocked.len();
            self.unblock(now);
            self.send_ready(now, out);
        }
        // After a retry an older batch may stand behind a newer one, which has just been sent.
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.give_up_expired(now, out);
            self.settle_sequences(now, out);
            self.unblock(now);
            self.send_ready(now, out);
        }
        self.go_on_with_transaction(now, out);
        self.end_flush();
        let ready = self.accumulator.ready().filter(|(partition, at)| now < *at || self.can_send(partition)).map(|(_, at)| at).min();
        let blocked = self.blocked.front().map(|blocked| blocked.deadline);
        let id = self.idempotence.as_ref().filter(|_| self.wants_id() && self.transactions.is_none()).and_then(Idempotence::asks_at);
        let transaction = self.transactions.as_ref().and_then(|own| own.due(now));
        let due = [ready, self.next_expiry(), blocked, id, transaction, self.network.next_due()].into_iter().flatten().min();
        self.alarm.set(now, due, out);
    }

    fn give_up_expired(&mut self, now: Time, out: &mut Outputs) {
        while let Some(blocked) = self.blocked.pop_front_if(|blocked| blocked.deadline <= now) {
            let known = self.network.topics.contains_key(&blocked.topic);
            let error = if known { ErrorCode::RequestTimedOut } else { ErrorCode::UnknownTopicOrPartition };
            self.refuse(&blocked.topic, error, out);
        }
        let Some(limit) = now.checked_sub(self.config.delivery_timeout) else { return };
        let mut expired = self.accumulator.expired(limit);
        for (partition, batch) in self.network.pending_mut().flat_map(|pending| pending.what.batches_mut()) {
            if !batch.is_done && batch.created <= limit {
                // Its request stays under way, and what is answered still counts for the order of the sequences.
                batch.is_done = true;
                expired.push((partition.clone(), batch.clone()));
            }
        }
        for (partition, batch) in expired {
            if let (Some(own), Some(sequence)) = (&mut self.idempotence, batch.sequence) {
                own.failed(&partition, sequence, ErrorCode::RequestTimedOut, false);
                if 0 < batch.attempts {
                    own.left_open(&partition, sequence, batch.records);
                }
            }
            self.fail(Some(partition.clone()), &partition.topic, batch.records, ErrorCode::RequestTimedOut, out);
            self.transaction_fails(ErrorCode::RequestTimedOut, out);
        }
    }

    /// When the next batch has taken too long, waiting or under way (`Sender.getExpiredInflightBatches`).
    fn next_expiry(&self) -> Option<Time> {
        let oldest = self.accumulator.oldest().into_iter().chain(self.undone().map(|batch| batch.created)).min();
        oldest.map(|created| created + self.config.delivery_timeout)
    }

    /// The batches under way that have not failed yet.
    pub(super) fn undone(&self) -> impl Iterator<Item = &ProducerBatch> {
        self.network.pending().flat_map(|pending| pending.what.batches()).map(|(_, batch)| batch).filter(|batch| !batch.is_done)
    }

    /// Whether it has use for a producer id: one that is closed and has nothing left to send has not.
    fn wants_id(&self) -> bool {
        !self.closing || 0 < self.buffered()
    }

    /// Goes on in another epoch if sequences must begin anew, and asks any broker for an id where there is none.
    fn settle_sequences(&mut self, now: Time, out: &mut Outputs) {
        let Some(own) = &mut self.idempotence else { return };
        if self.transactions.is_some() {
            // Its id and epochs come from the transactions' coordinator.
            if own.takes_other_epoch() {
                self.transaction_needs_other_epoch(out);
            }
            return;
        }
        for (partition, in_flight) in own.renew() {
            let on_their_way = self.network.pending_mut().flat_map(|pending| pending.what.batches_mut());
            let of_partition = on_their_way.filter(|(whose, batch)| *whose == partition && !batch.is_done).map(|(_, batch)| batch);
            let mut batches: Vec<&mut ProducerBatch> = of_partition.chain(self.accumulator.numbered_mut(&partition)).collect();
            let place = |batch: &ProducerBatch| batch.sequence.and_then(|own| in_flight.iter().position(|base| *base == own.base));
            batches.sort_by_key(|batch| place(batch));
            for batch in batches {
                if let Some(sequence) = own.number(&partition, batch.records) {
                    batch.renumber(Sequence { was_reset: true, ..sequence });
                }
            }
        }
        if own.asks_at().is_none_or(|at| now < at) || !self.wants_id() {
            return;
        }
        let Some(broker) = self.network.some_broker(now) else {
            let next = self.network.next_try(now).unwrap_or(now + self.network.config.retry_backoff);
            self.idempotence.iter_mut().for_each(|own| own.put_off(next.max(now + 1)));
            return;
        };
        self.idempotence.iter_mut().for_each(Idempotence::asked);
        let message = k::InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(i32::MAX);
        let message = message.with_producer_id(k::ProducerId(-1)).with_producer_epoch(-1);
        self.network.send(now, broker, Channel::Data, InFlight::ProducerId, Request::InitProducerId(Arc::new(message)), None, out);
    }

    fn id_answered(&mut self, now: Time, message: &k::InitProducerIdResponse) {
        match &mut self.idempotence {
            Some(own) if message.error_code == 0 => {
                own.given(Identity { id: message.producer_id.0, epoch: message.producer_epoch });
            }
            _ => self.id_not_given(now),
        }
    }

    /// It asks for an id again after a while, which is always the same (`TxnRequestHandler.retryBackoffMs`).
    fn id_not_given(&mut self, now: Time) {
        let again = now + self.network.config.retry_backoff;
        self.idempotence.iter_mut().for_each(|own| own.not_given(again));
    }

    fn can_send(&self, partition: &Partition) -> bool {
        self.network
            .leader(&partition.topic, partition.index)
            .is_some_and(|(leader, _)| self.network.is_open(leader) && self.may_send(partition, leader))
    }

    /// Whether one more request may be under way to this leader. With one at a time that is one of each partition, too: its next batch waits for
    /// the last one although another broker leads by now, or they would change places (`RecordAccumulator.mutePartition`).
    fn may_send(&self, partition: &Partition, leader: i32) -> bool {
        let most = if mutant::is("max-in-flight-unheeded") { 5 } else { self.config.max_in_flight };
        let keeps_order = most == 1 && !mutant::is("order-lost-with-the-leader");
        let is_under_way = || self.network.pending().any(|pending| pending.what.batches().iter().any(|(own, _)| own == partition));
        self.network.in_flight(leader) < most && !(keeps_order && is_under_way()) && self.keeps_sequence(partition)
    }

    /// Whether the sequences of an idempotent producer let the next batch go.
    fn keeps_sequence(&self, partition: &Partition) -> bool {
        self.idempotence.as_ref().is_none_or(|own| own.may_send(partition, self.accumulator.first_sequence(partition)))
            && self.transactions.as_ref().is_none_or(|own| own.may_send(partition))
    }

    /// One request to each leader that something is ready for, with the first batch of each partition that it leads: in the same request, more records
    /// are not worth waiting for (`RecordAccumulator.drainBatchesForOneNode`).
    fn send_ready(&mut self, now: Time, out: &mut Outputs) {
        loop {
            let mut by_leader: OrderedMap<i32, Vec<Partition>> = OrderedMap::new();
            let mut leaderless = false;
            for (partition, _) in self.accumulator.ready().filter(|(_, at)| *at <= now) {
                match self.network.leader(&partition.topic, partition.index) {
                    Some((leader, _)) if self.may_send(partition, leader) => _ = by_leader.or_default(leader),
                    // That it waits for an id, or for its turn, is not the broker's fault.
                    Some((leader, _)) if self.keeps_sequence(partition) => self.partitioner.broker_is_due(now, leader, false),
                    Some(_) => {}
                    None => leaderless = true,
                }
            }
            if leaderless {
                self.network.refresh(now);
            }
            // What has no connection stays in the accumulator: neither a request nor a retry.
            by_leader.retain(|leader, _| {
                let takes = self.network.ready(now, *leader, out);
                self.partitioner.broker_is_due(now, *leader, takes);
                takes
            });
            if by_leader.is_empty() {
                return;
            }
            for partition in self.accumulator.rested(now) {
                if let Some((leader, _)) = self.network.leader(&partition.topic, partition.index)
                    && let Some(partitions) = by_leader.get_mut(&leader)
                    && self.may_send(partition, leader)
                {
                    partitions.push(partition.clone());
                }
            }
            for (leader, partitions) in by_leader {
                self.send_to(now, leader, partitions, out);
            }
        }
    }

    fn send_to(&mut self, now: Time, leader: i32, partitions: Vec<Partition>, out: &mut Outputs) {
        let mut message = k::ProduceRequest::default();
        message.transactional_id = self.transactions.as_ref().map(|own| k::TransactionalId(wire::text(&own.config.id)));
        message.acks = if mutant::is("producer-asks-less") { self.config.acks.abs() } else { self.config.acks };
        message.timeout_ms = i32::try_from(self.config.network.request_timeout / MS).unwrap_or(i32::MAX);
        let (mut batches, mut in_flight, mut bytes) = (Vec::new(), Vec::new(), 0);
        for partition in partitions {
            let topic_id = self.network.topics.get(&partition.topic).map_or(Uuid::nil(), |info| info.id);
            let mut number = None;
            let own = &mut self.idempotence;
            let numbered = |records: i32| {
                number = own.as_mut().and_then(|own| own.number(&partition, records));
                number
            };
            let Some((mut batch, closed)) = self.accumulator.drain(&partition, numbered) else { continue };
            if !batches.is_empty() && self.config.max_request_size < bytes + closed.bytes.len() {
                if let (Some(own), Some(sequence)) = (&mut self.idempotence, number) {
                    own.take_back(&partition, sequence);
                    batch.sequence = None;
                }
                self.accumulator.put_back(&partition, batch);
                continue;
            }
            bytes += closed.bytes.len();
            batches.push(closed);
            batch.leader_epoch = self.network.leader(&partition.topic, partition.index).map_or(-1, |(_, epoch)| epoch);
            in_flight.push((partition.clone(), batch));
            let mut data = k::produce_request::PartitionProduceData::default();
            data.index = partition.index;
            if message.topic_data.last().is_none_or(|topic| topic.topic_id != topic_id) {
                let mut topic = k::produce_request::TopicProduceData::default();
                topic.topic_id = topic_id;
                message.topic_data.push(topic);
            }
            if let Some(topic) = message.topic_data.last_mut() {
                topic.partition_data.push(data);
            }
        }
        let request = Request::Produce(Arc::new(message), batches.into());
        if self.config.acks == 0 {
            self.network.send_and_forget(now, leader, request, out);
            for (partition, batch) in in_flight {
                self.acknowledge(partition, -1, &batch, out);
            }
        } else {
            self.network.send(now, leader, Channel::Data, InFlight::Produce(in_flight), request, None, out);
        }
    }

    fn produced(&mut self, now: Time, pending: Pending<InFlight>, message: &k::ProduceResponse, out: &mut Outputs) {
        let mut results = message.responses.iter().flat_map(|topic| &topic.partition_responses);
        let InFlight::Produce(batches) = pending.what else { return };
        for (partition, batch) in batches {
            match results.next() {
                Some(result) if result.error_code == 0 => self.acknowledge(partition, result.base_offset, &batch, out),
                Some(result) => {
                    let (error, leader) = (ErrorCode::of(result.error_code), &result.current_leader);
                    self.network.hear_leader(&partition, leader.leader_id.0, leader.leader_epoch);
                    self.retry_or_fail(now, partition, batch, error, result.log_start_offset, out);
                }
                None => self.retry_or_fail(now, partition, batch, ErrorCode::UnknownServerError, -1, out),
            }
        }
    }

    fn lost(&mut self, now: Time, pending: Pending<InFlight>, error: ErrorCode, out: &mut Outputs) {
        let batches = match pending.what {
            InFlight::Produce(batches) => batches,
            InFlight::ProducerId => return self.id_not_given(now),
            InFlight::Transaction(step) => return self.step_lost(now, &step),
        };
        // The last partition first: each goes back to the head of its queue.
        for (partition, batch) in batches.into_iter().rev() {
            if mutant::is("lost-counts-as-sent") {
                self.acknowledge(partition, -1, &batch, out);
                continue;
            }
            self.retry_or_fail(now, partition, batch, error, -1, out);
        }
    }

    /// `log_start` is where the answer says that the partition's log begins.
    fn retry_or_fail(
        &mut self,
        now: Time,
        partition: Partition,
        mut batch: ProducerBatch,
        error: ErrorCode,
        log_start: i64,
        out: &mut Outputs,
    ) {
        if batch.is_done {
            self.network.refresh(now);
            if error == ErrorCode::DuplicateSequenceNumber {
                self.acknowledge(partition, -1, &batch, out);
            }
            return;
        }
        if error == ErrorCode::MessageTooLarge {
            // Its parts are as old as it is, but none of them has been tried yet.
            let (records, sequence) = (batch.records, batch.sequence);
            match self.accumulator.split(&partition, batch) {
                Ok(parts) => {
                    if let (Some(own), Some(sequence)) = (&mut self.idempotence, sequence) {
                        own.split(&partition, sequence, &parts);
                    }
                    out.note(NoteKind::ProduceRetried { partition, records, error });
                }
                Err(batch) => self.give_up(now, partition, &batch, error, out),
            }
            return;
        }
        let in_time = now < batch.created + self.config.delivery_timeout && batch.attempts < self.config.retries;
        let may_retry = in_time
            && match (&mut self.idempotence, batch.sequence) {
                (Some(own), Some(sequence)) => own.may_retry(&partition, sequence, error, log_start),
                _ => error.retriable(),
            };
        if !may_retry && error == ErrorCode::DuplicateSequenceNumber && batch.sequence.is_some() {
            // It is there, and nobody knows where any more.
            self.acknowledge(partition, -1, &batch, out);
            return;
        }
        if !may_retry {
            self.give_up(now, partition, &batch, error, out);
            return;
        }
        self.counts.retries += 1;
        out.note(NoteKind::ProduceRetried { partition: partition.clone(), records: batch.records, error });
        batch.not_before = now + self.network.backoff(batch.attempts);
        batch.attempts += 1;
        self.network.refresh(now);
        if let (Some(own), Some(sequence)) = (&mut self.idempotence, batch.sequence)
            && mutant::is("retry-gets-new-sequence")
        {
            own.failed(&partition, sequence, error, false);
            own.number(&partition, batch.records).into_iter().for_each(|sequence| batch.renumber(sequence));
        }
        self.accumulator.put_back(&partition, batch);
    }

    /// A batch is not sent again: it is refused, or its time or its tries are over.
    fn give_up(&mut self, now: Time, partition: Partition, batch: &ProducerBatch, error: ErrorCode, out: &mut Outputs) {
        if let (Some(own), Some(sequence)) = (&mut self.idempotence, batch.sequence) {
            // Out of time is not refused: the broker may have it, and what is behind it keeps its sequences (`Sender.getExpiredInflightBatches`).
            let is_open = error.retriable() && batch.created + self.config.delivery_timeout <= now;
            let is_refused = !is_open && batch.attempts < self.config.retries;
            own.failed(&partition, sequence, error, is_refused);
            if is_open {
                own.left_open(&partition, sequence, batch.records);
            }
            if is_refused && self.transactions.is_some() {
                own.close_gap(&partition, sequence, batch.records);
                let on_their_way = self.network.pending_mut().flat_map(|pending| pending.what.batches_mut());
                let of_partition = on_their_way.filter(|(whose, _)| *whose == partition).map(|(_, batch)| batch);
                for later in of_partition.chain(self.accumulator.numbered_mut(&partition)) {
                    later.sequence.and_then(|own| sequence.behind(own, batch.records)).into_iter().for_each(|own| later.renumber(own));
                }
            }
        }
        self.fail(Some(partition.clone()), &partition.topic, batch.records, error, out);
        self.transaction_fails(error, out);
    }

    fn acknowledge(&mut self, partition: Partition, base_offset: i64, batch: &ProducerBatch, out: &mut Outputs) {
        let records = batch.records;
        if let (Some(own), Some(sequence)) = (&mut self.idempotence, batch.sequence) {
            own.acknowledged(&partition, sequence, records);
        }
        if batch.is_done {
            return;
        }
        self.counts.acknowledged += records as u64;
        out.note(NoteKind::RecordAcknowledged { partition, base_offset, records, acks: self.config.acks });
    }

    /// `send` throws: a transaction can only be aborted after that (`KafkaProducer.doSend`).
    pub(super) fn refuse(&mut self, topic: &TopicName, error: ErrorCode, out: &mut Outputs) {
        self.fail(None, topic, 1, error, out);
        self.transaction_fails(error, out);
    }

    pub(super) fn fail(&mut self, partition: Option<Partition>, topic: &TopicName, records: i32, error: ErrorCode, out: &mut Outputs) {
        self.counts.failed += records as u64;
        out.note(NoteKind::RecordFailed { partition, topic: topic.clone(), records, error });
    }
}
