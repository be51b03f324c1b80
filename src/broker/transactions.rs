//! The bridge between the transaction coordinator, the log that keeps its state, and the leaders that write its markers.
//!
//! Source: `TransactionStateManager.appendTransactionToLog`, `TransactionMarkerChannelManager`, `KafkaApis`. Markers travel on connections of their own: they
//! are answered when they are replicated, and the fetches that replicate them must not wait behind them.

use super::Broker;
use crate::coordinator::{
    DueMarker, MARKER_BACKOFF, OFFSETS_TOPIC, ReplyTo, TRANSACTIONS_TOPIC, Then, TransactionCoordinator, TransactionEffects,
};
use crate::node::{Channel, Connection, NodeId, Outputs, Partition, Time, Timer};
use crate::ordered::OrderedMap;
use crate::protocol::wire::{self, Request, Response};
use crate::protocol::{BatchOptions, ErrorCode};
use crate::replica::PartitionKey;
use k::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// Markers that were sent to a leader, and when.
#[derive(Clone, Debug)]
pub(super) struct Marking {
    pub leader: i32,
    pub sent: Time,
    markers: Vec<DueMarker>,
}

impl Broker {
    pub fn transactions(&self) -> &TransactionCoordinator {
        &self.transactions
    }

    /// Whether what this broker knows of a partition's ids is what others have, too; `None`: it does not coordinate them.
    pub(super) fn is_loaded(&self, partition: i32) -> Option<bool> {
        let end = self.transactions.loaded_end(partition)?;
        let replica = self.replicas.get(&self.transactions_key(partition)?)?;
        Some(end <= replica.high_watermark())
    }

    /// Whether this broker may speak of an id.
    pub(super) fn check_loaded(&self, id: &str) -> Result<(), ErrorCode> {
        match self.is_loaded(self.transactions.partition_of(id)) {
            Some(true) => Ok(()),
            Some(false) => Err(ErrorCode::CoordinatorLoadInProgress),
            None => Err(ErrorCode::NotCoordinator),
        }
    }

    pub(super) fn transaction_request(&mut self, now: Time, from: Connection, correlation: u32, request: Request, out: &mut Outputs) {
        let (reply, now_ms) = (ReplyTo { from, correlation }, self.wall_clock(now));
        let mut effects = TransactionEffects::default();
        let id = match &request {
            Request::InitProducerId(message) => message.transactional_id.as_ref().map_or("", |id| id.as_str()),
            Request::AddPartitionsToTxn(message) => message.transactions.first().map_or("", |first| first.transactional_id.as_str()),
            Request::AddOffsetsToTxn(message) => message.transactional_id.as_str(),
            Request::EndTxn(message) => message.transactional_id.as_str(),
            _ => "",
        };
        let loaded = if id.is_empty() { Ok(()) } else { self.check_loaded(id) };
        if let Err(error) = loaded {
            self.respond(from, correlation, refused(&request, error), out);
            return;
        }
        let mut transactions = std::mem::replace(&mut self.transactions, TransactionCoordinator::new(self.config.transactions));
        match request {
            Request::InitProducerId(message) => {
                transactions.init_producer_id(now_ms, reply, &message, &mut || self.next_producer_id(now, out), &mut effects);
            }
            Request::EndTxn(message) => transactions.end(now_ms, reply, &message, &mut || self.next_producer_id(now, out), &mut effects),
            Request::AddPartitionsToTxn(message) => {
                let exists =
                    |topic: &str, index: i32| self.image.topic(topic).is_some_and(|topic| self.image.partition(&topic.id, index).is_some());
                transactions.add_partitions(now_ms, reply, &message, exists, &mut effects);
            }
            Request::AddOffsetsToTxn(message) => {
                let index = crate::coordinator::partition_for(&message.group_id, self.config.coordinator.partitions);
                let partition = Partition { topic: Arc::from(OFFSETS_TOPIC), index };
                transactions.add_offsets(now_ms, reply, &message, partition, &mut effects);
            }
            // The broker hands only these over.
            _ => {}
        }
        self.transactions = transactions;
        self.carry_out_changes(now, effects, out);
    }

    /// Sends the coordinator's answers and writes its records.
    fn carry_out_changes(&mut self, now: Time, effects: TransactionEffects, out: &mut Outputs) {
        for (to, response) in effects.replies {
            self.respond(to.from, to.correlation, response, out);
        }
        for change in effects.changes {
            let batch = self.encode(now, vec![change.record.clone()], BatchOptions::default());
            let then = Then::Transaction(Box::new(change));
            let written = match self.transactions_key(then.transactions_partition()) {
                Some(key) => self.append_for_coordinator(now, key, batch, then, out),
                None => Err((then, ErrorCode::NotLeaderOrFollower)),
            };
            if let Err((then, error)) = written {
                self.coordinator_failed(now, then, error, out);
            }
        }
        self.wake_transactions(now, out);
    }

    /// A change is committed, or could not be written: then it is tried again later, not at once.
    pub(super) fn transaction_changed(&mut self, now: Time, change: crate::coordinator::Change, error: ErrorCode, out: &mut Outputs) {
        let mut effects = TransactionEffects::default();
        match error {
            // What is replicated stands, whoever is in sync by now.
            ErrorCode::None | ErrorCode::NotEnoughReplicasAfterAppend => {
                self.transactions.committed(change, &mut effects, out);
                self.carry_out_changes(now, effects, out);
                self.send_markers(now, out);
            }
            error => {
                self.transactions.failed(change, error, now, &mut effects);
                self.carry_out_changes(now, effects, out);
            }
        }
    }

    fn transactions_key(&self, index: i32) -> Option<PartitionKey> {
        Some(PartitionKey { topic: *self.image.topic_ids.get(TRANSACTIONS_TOPIC)?, index })
    }

    /// The broker leads a partition of the coordinator's topic from now on, or no more.
    pub(super) fn transactions_moved(&mut self, now: Time, key: PartitionKey, out: &mut Outputs) {
        let led = self.replicas.get(&key).and_then(|replica| replica.leader().map(|leader| (replica, leader.epoch)));
        match led {
            Some((replica, epoch)) => {
                let log = &replica.log;
                self.transactions.load(key.index, epoch, log.end_offset(), log.batches_from(log.start_offset()));
            }
            None => self.transactions.unload(key.index),
        }
        self.wake_transactions(now, out);
        self.send_markers(now, out);
    }

    /// Sends the markers that are due to the leaders of their partitions.
    fn send_markers(&mut self, now: Time, out: &mut Outputs) {
        let (now_ms, mut effects) = (self.wall_clock(now), TransactionEffects::default());
        let mut by_leader: OrderedMap<i32, Vec<DueMarker>> = OrderedMap::new();
        for partition in self.transactions.partitions().collect::<Vec<_>>() {
            if self.is_loaded(partition) != Some(true) {
                continue;
            }
            for marker in self.transactions.take_due(partition, now) {
                let topic = self.image.topic(&marker.partition.topic);
                let state = topic.and_then(|topic| self.image.partition(&topic.id, marker.partition.index));
                match state.map(|state| state.leader) {
                    Some(Some(leader)) => by_leader.or_default(leader).push(marker),
                    Some(None) => self.transactions.marked(now, now_ms, &marker, ErrorCode::LeaderNotAvailable, &mut effects),
                    // It is deleted: there is nothing to be marked.
                    None => self.transactions.marked(now, now_ms, &marker, ErrorCode::None, &mut effects),
                }
            }
        }
        for (leader, markers) in by_leader {
            let correlation = self.correlation();
            out.request(NodeId::Broker(leader), Channel::Coordinator, correlation, Request::WriteTxnMarkers(Arc::new(asked(&markers))));
            self.marking.insert(correlation, Marking { leader, sent: now, markers });
        }
        let mut transactions = std::mem::replace(&mut self.transactions, TransactionCoordinator::new(self.config.transactions));
        transactions.look(now, now_ms, &mut || self.next_producer_id(now, out), &mut effects);
        self.transactions = transactions;
        self.carry_out_changes(now, effects, out);
    }

    pub(super) fn markers_written(&mut self, now: Time, correlation: u32, message: &k::WriteTxnMarkersResponse, out: &mut Outputs) {
        let Some(Marking { markers, .. }) = self.marking.remove(&correlation) else { return };
        let told = |marker: &DueMarker| {
            let results =
                message.markers.iter().filter(|result| result.producer_id.0 == marker.producer_id).flat_map(|result| &result.topics);
            let results = results.filter(|topic| topic.name.as_str() == &*marker.partition.topic).flat_map(|topic| &topic.partitions);
            results.filter(|result| result.partition_index == marker.partition.index).map(|result| ErrorCode::of(result.error_code)).next()
        };
        self.markers_done(now, markers, told, out);
    }

    /// Nobody answers: they are sent again after a while, to whoever leads then.
    pub(super) fn markers_lost(&mut self, now: Time, lost: impl Fn(&Marking) -> bool, out: &mut Outputs) {
        let lost: Vec<u32> = self.marking.iter().filter(|(_, marking)| lost(marking)).map(|(correlation, _)| *correlation).collect();
        for Marking { markers, .. } in lost.iter().filter_map(|correlation| self.marking.remove(correlation)).collect::<Vec<_>>() {
            self.markers_done(now, markers, |_| None, out);
        }
    }

    fn markers_done(&mut self, now: Time, markers: Vec<DueMarker>, told: impl Fn(&DueMarker) -> Option<ErrorCode>, out: &mut Outputs) {
        let (now_ms, mut effects) = (self.wall_clock(now), TransactionEffects::default());
        for marker in markers {
            let error = told(&marker).unwrap_or(ErrorCode::NetworkException);
            self.transactions.marked(now, now_ms, &marker, error, &mut effects);
        }
        self.carry_out_changes(now, effects, out);
    }

    pub(super) fn transactions_due(&mut self, now: Time, out: &mut Outputs) {
        if self.transactions_wake.is_some_and(|at| at <= now) {
            self.transactions_wake = None;
            self.send_markers(now, out);
        }
    }

    fn wake_transactions(&mut self, now: Time, out: &mut Outputs) {
        let is_loading = self.transactions.partitions().any(|partition| self.is_loaded(partition) == Some(false));
        let next = if is_loading { Some(now + MARKER_BACKOFF) } else { self.transactions.next_deadline() };
        if let Some(at) = next.map(|at| at.max(now + 1)).filter(|at| self.transactions_wake.is_none_or(|set| *at < set)) {
            self.transactions_wake = Some(at);
            out.timer(at, Timer::Transactions);
        }
    }
}

/// The request that asks for these markers.
fn asked(markers: &[DueMarker]) -> k::WriteTxnMarkersRequest {
    let mut message = k::WriteTxnMarkersRequest::default();
    let mut last: Option<&Arc<str>> = None;
    for marker in markers {
        if last.is_none_or(|id| *id != marker.id) {
            let asked =
                WritableTxnMarker::default().with_producer_id(k::ProducerId(marker.producer_id)).with_producer_epoch(marker.producer_epoch);
            message.markers.push(asked.with_coordinator_epoch(marker.coordinator_epoch).with_transaction_result(marker.commit));
            last = Some(&marker.id);
        }
        let Some(asked) = message.markers.last_mut() else { continue };
        if asked.topics.last().is_none_or(|topic| topic.name.as_str() != &*marker.partition.topic) {
            asked.topics.push(WritableTxnMarkerTopic::default().with_name(wire::topic(&marker.partition.topic)));
        }
        asked.topics.last_mut().into_iter().for_each(|topic| topic.partition_indexes.push(marker.partition.index));
    }
    message
}

/// The whole request is refused: by who is not the coordinator, or not yet.
fn refused(request: &Request, error: ErrorCode) -> Response {
    match request {
        Request::AddPartitionsToTxn(message) => {
            let told = |asked: &k::add_partitions_to_txn_request::AddPartitionsToTxnTransaction| {
                let topic = |topic: &k::add_partitions_to_txn_request::AddPartitionsToTxnTopic| {
                    let partition = |index: &i32| {
                        let told = k::add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult::default();
                        told.with_partition_index(*index).with_partition_error_code(error.code())
                    };
                    let told = k::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult::default().with_name(topic.name.clone());
                    told.with_results_by_partition(topic.partitions.iter().map(partition).collect())
                };
                let told = k::add_partitions_to_txn_response::AddPartitionsToTxnResult::default();
                told.with_transactional_id(asked.transactional_id.clone()).with_topic_results(asked.topics.iter().map(topic).collect())
            };
            let results = message.transactions.iter().map(told).collect();
            Response::AddPartitionsToTxn(Arc::new(k::AddPartitionsToTxnResponse::default().with_results_by_transaction(results)))
        }
        Request::AddOffsetsToTxn(_) => {
            Response::AddOffsetsToTxn(Arc::new(k::AddOffsetsToTxnResponse::default().with_error_code(error.code())))
        }
        Request::EndTxn(_) => Response::EndTxn(Arc::new(k::EndTxnResponse::default().with_error_code(error.code()))),
        _ => {
            let response = k::InitProducerIdResponse::default().with_producer_id(k::ProducerId(-1)).with_producer_epoch(-1);
            Response::InitProducerId(Arc::new(response.with_error_code(error.code())))
        }
    }
}
