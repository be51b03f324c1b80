//! Before records of a transaction are appended, its coordinator is asked: whether the partition is in the transaction (version 1), or to put it in
//! (version 2). So nothing is written outside of an open transaction, where nobody would ever end it.
//!
//! Owns the requests that wait for the coordinator's word, and those that ask it again in a moment: while the markers of a producer's last transaction are
//! on their way, its next one cannot begin. Source: `AddPartitionsToTxnManager`, `ReplicaManager.maybeSendPartitionsToTransactionCoordinator`,
//! `VerificationGuard`; KIP-890, KAFKA-18654.

use super::Broker;
use super::timeouts::REQUEST_TIMEOUT;
use crate::coordinator::{TRANSACTIONS_TOPIC, partition_for};
use crate::node::{Channel, Connection, NodeId, Outputs, Time, Timer};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, ProduceBatches, Request};
use crate::replica::PartitionKey;
use kafka_protocol::messages as k;
use std::sync::Arc;

/// A request that waits for the word of a transaction's coordinator.
#[derive(Clone, Debug)]
pub(super) struct Verification {
    pub coordinator: i32,
    pub sent: Time,
    pub from: Connection,
    correlation: u32,
    request: Parked,
    producer_id: i64,
    verdicts: Verdicts,
}

#[derive(Clone, Debug)]
pub(super) enum Parked {
    /// And since when it asks.
    Produce(Arc<k::ProduceRequest>, ProduceBatches, Time),
    Offsets(Arc<k::TxnOffsetCommitRequest>),
}

/// A Produce request that asks the coordinator again.
#[derive(Clone, Debug)]
pub(super) struct AskAgain {
    at: Time,
    since: Time,
    pub from: Connection,
    correlation: u32,
    message: Arc<k::ProduceRequest>,
    batches: ProduceBatches,
}

/// What the coordinator says of each partition, and in which leader epoch it was asked. A marker or another epoch in between makes it worthless.
pub(super) type Verdicts = OrderedMap<PartitionKey, (i32, ErrorCode)>;

impl Broker {
    /// Whether a transaction's coordinator is asked before records are appended. Under version 2 nobody else adds their partition.
    pub(super) fn asks_coordinator(&self) -> bool {
        self.config.verifies_transactions || self.config.transaction_version == 2
    }

    /// Whether records of this producer's transaction may be appended without the coordinator's word.
    pub(super) fn is_in_transaction(&self, key: PartitionKey, (producer_id, epoch): (i64, i16)) -> bool {
        let known = self.replicas.get(&key).and_then(|replica| replica.log.producers().get(producer_id));
        known.is_some_and(|known| known.epoch == epoch && known.transaction.is_some())
    }

    /// Asks the coordinator about these partitions. `Err`: it cannot be asked.
    pub(super) fn ask_coordinator(
        &mut self,
        now: Time,
        (from, correlation): (Connection, u32),
        (id, (producer_id, producer_epoch)): (&str, (i64, i16)),
        partitions: &[PartitionKey],
        request: Parked,
        out: &mut Outputs,
    ) -> Result<(), ErrorCode> {
        let topic = self.image.topic(TRANSACTIONS_TOPIC).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let state = self.image.partition(&topic.id, partition_for(id, topic.partitions.len() as i32));
        let coordinator = state.and_then(|state| state.leader).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let mut asked = k::add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default();
        asked.transactional_id = k::TransactionalId(wire::text(id));
        (asked.producer_id, asked.producer_epoch) = (k::ProducerId(producer_id), producer_epoch);
        asked.verify_only = self.config.transaction_version < 2;
        let mut verdicts = Verdicts::new();
        for key in partitions {
            let Some(replica) = self.replicas.get(key) else { continue };
            let named = k::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default().with_name(wire::topic(&replica.name.topic));
            asked.topics.push(named.with_partitions(vec![key.index]));
            verdicts.insert(*key, (replica.leader_epoch(), ErrorCode::NetworkException));
        }
        let message = k::AddPartitionsToTxnRequest::default().with_transactions(vec![asked]);
        let own = self.correlation();
        out.request(NodeId::Broker(coordinator), Channel::Control, own, Request::AddPartitionsToTxn(Arc::new(message)));
        self.verifying.insert(own, Verification { coordinator, sent: now, from, correlation, request, producer_id, verdicts });
        Ok(())
    }

    /// The coordinator has answered.
    pub(super) fn verified(&mut self, now: Time, correlation: u32, message: &k::AddPartitionsToTxnResponse, out: &mut Outputs) {
        let Some(mut verification) = self.verifying.remove(&correlation) else { return };
        for topic in message.results_by_transaction.iter().flat_map(|result| &result.topic_results) {
            let Some(id) = self.image.topic_ids.get(topic.name.as_str()) else { continue };
            for told in &topic.results_by_partition {
                let verdict = verification.verdicts.get_mut(&PartitionKey { topic: *id, index: told.partition_index });
                // One that a marker has made worthless stays so.
                if let Some(verdict) = verdict.filter(|verdict| verdict.1 == ErrorCode::NetworkException) {
                    verdict.1 = ErrorCode::of(told.partition_error_code);
                }
            }
        }
        if self.waits_to_ask_again(now, &verification) {
            self.watch_questions(now, out);
        } else {
            self.go_on(now, verification, out);
        }
    }

    /// Whether the producer's last transaction is only just ending, so that the question is put again instead of troubling the producer.
    fn waits_to_ask_again(&mut self, now: Time, verification: &Verification) -> bool {
        let Parked::Produce(message, batches, since) = &verification.request else { return false };
        let is_ending = verification.verdicts.values().any(|(_, error)| *error == ErrorCode::ConcurrentTransactions);
        let until = since + self.config.add_partitions_backoff_max.min(REQUEST_TIMEOUT);
        let waits = is_ending && self.config.transaction_version == 2 && now < until;
        if waits {
            let (from, correlation) = (verification.from, verification.correlation);
            let at = now + self.config.add_partitions_backoff;
            self.asking_again.push_back(AskAgain {
                at,
                since: *since,
                from,
                correlation,
                message: message.clone(),
                batches: batches.clone(),
            });
        }
        waits
    }

    /// Sets the alarm for the first question that is put again.
    fn watch_questions(&self, now: Time, out: &mut Outputs) {
        if let Some(first) = self.asking_again.front() {
            out.timer(first.at.max(now + 1), Timer::AskAgain);
        }
    }

    pub(super) fn ask_again(&mut self, now: Time, out: &mut Outputs) {
        while let Some(AskAgain { since, from, correlation, message, batches, .. }) = self.asking_again.pop_front_if(|one| one.at <= now) {
            self.produce_asking(now, since, (from, correlation), message, batches, out);
        }
        self.watch_questions(now, out);
    }

    /// Nobody answers: the sender is to come again.
    pub(super) fn verifications_lost(&mut self, now: Time, lost: impl Fn(&Verification) -> bool, out: &mut Outputs) {
        let lost: Vec<u32> = self.verifying.iter().filter(|(_, one)| lost(one)).map(|(correlation, _)| *correlation).collect();
        for verification in lost.iter().filter_map(|correlation| self.verifying.remove(correlation)).collect::<Vec<_>>() {
            self.go_on(now, verification, out);
        }
    }

    /// A producer's transaction has ended in this partition: what was asked about it holds for that one only.
    pub(super) fn verdict_is_over(&mut self, key: PartitionKey, producer_id: i64) {
        for one in self.verifying.values_mut().filter(|one| one.producer_id == producer_id) {
            if let Some(verdict) = one.verdicts.get_mut(&key) {
                verdict.1 = ErrorCode::InvalidTxnState;
            }
        }
    }

    fn go_on(&mut self, now: Time, verification: Verification, out: &mut Outputs) {
        let Verification { from, correlation, request, verdicts, .. } = verification;
        match request {
            Parked::Produce(message, batches, _) => {
                self.produce_verified(now, from, correlation, (&message, &batches), Ok(&verdicts), out);
            }
            Parked::Offsets(message) => {
                let error = verdicts.values().map(|(_, error)| *error).find(|error| *error != ErrorCode::None);
                self.commit_in_transaction(now, from, correlation, &message, error, out);
            }
        }
    }
}

/// What a producer is told (`ReplicaManager.handleProduceAppend`): what passes is to be tried again. Those who know version 2 know that its last
/// transaction's end passes, too (KAFKA-18662).
pub(super) fn told_producer(error: ErrorCode, transaction_version: i64) -> ErrorCode {
    match error {
        ErrorCode::ConcurrentTransactions if transaction_version == 2 => error,
        ErrorCode::ConcurrentTransactions
        | ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        other => other,
    }
}
