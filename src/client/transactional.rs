//! A producer's transactions: the requests that its state asks for, and what their answers mean.
//!
//! Source: `Sender.maybeSendAndPollTransactionalRequest`, the handlers of `TransactionManager`. What a transaction is at is in [`super::transactions`].

use super::idempotence::Identity;
use super::producer::{InFlight, Producer};
use super::transactions::{Call, GroupOffsets, State, Step, Transactions};
use crate::node::{Channel, MS, NoteKind, Outputs, Time};
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, Request, Response};
use kafka_protocol::messages as k;
use std::sync::Arc;

const TRANSACTION_COORDINATOR: i8 = 1;
/// How long it waits at most for the markers of its last transaction before the first partitions are tried again (`ADD_PARTITIONS_RETRY_BACKOFF_MS`).
const ADD_PARTITIONS_BACKOFF: Time = 20 * MS;

impl Producer {
    pub fn transactions(&self) -> Option<&Transactions> {
        self.transactions.as_ref()
    }

    /// The application says something; `Err`: it gets an exception.
    pub fn call(&mut self, now: Time, call: Call, out: &mut Outputs) -> Result<(), ErrorCode> {
        let own = self.transactions.as_mut().ok_or(ErrorCode::InvalidTxnState)?;
        match own.refuses(&call) {
            Some(error) => Err(error),
            None => {
                own.calls.push_back(call);
                self.drive(now, out);
                Ok(())
            }
        }
    }

    /// Goes on with what the application has said, and asks what is to be asked next.
    pub(super) fn go_on_with_transaction(&mut self, now: Time, out: &mut Outputs) {
        self.do_calls(now, out);
        let is_done = self.buffered() == 0 && self.undone().next().is_none();
        let Some(own) = &mut self.transactions else { return };
        if is_done
            && own.ends_by_itself()
            && let State::Ending { commit } = own.state()
        {
            own.ended();
            out.note(NoteKind::TransactionEnded { id: own.config.id.clone(), committed: commit });
            self.do_calls(now, out);
        }
        let Some(step) = self.transactions.as_ref().and_then(|own| own.next_step(now, is_done)) else { return };
        self.ask(now, step, out);
    }

    /// The statements whose turn has come: each waits until the one before has returned.
    fn do_calls(&mut self, now: Time, out: &mut Outputs) {
        loop {
            let is_left_behind = self.closing && self.buffered() == 0 && self.in_flight() == 0;
            let Some(own) = &mut self.transactions else { return };
            // A `send` or `sendOffsetsToTransaction` that has not returned keeps the application from saying more.
            if !own.is_over() && (!self.blocked.is_empty() || own.offsets.is_some()) {
                return;
            }
            let may = match (own.calls.front(), own.state()) {
                // What an application leaves behind when it closes is aborted, once all of it has been sent and answered (`Sender.run`).
                (None, State::InTransaction | State::AbortableError(_)) if is_left_behind && own.has_asked() => {
                    own.calls.push_back(Call::End { commit: false });
                    true
                }
                (None, _) => return,
                // It throws.
                (_, State::FatalError(_) | State::AbortableError(_)) => true,
                (Some(Call::Begin), state) => state == State::Ready,
                (Some(_), state) => state == State::InTransaction,
            };
            let Some(call) = own.calls.pop_front_if(|_| may) else { return };
            let fails = match own.state() {
                State::FatalError(error) | State::AbortableError(error) => Some(error),
                _ => None,
            };
            match call {
                Call::Send(topic, record) => match fails {
                    Some(error) => {
                        self.counts.sent += 1;
                        self.fail(None, &topic, 1, error, out);
                    }
                    None => self.take(now, &topic, &record.draft(&record.borrowed_headers()), out),
                },
                Call::Begin if fails.is_none() => {
                    own.begin();
                    self.accumulator.is_flushing = false;
                    out.note(NoteKind::TransactionBegun { id: own.config.id.clone() });
                }
                Call::Offsets(offsets) if fails.is_none() => own.add_offsets(offsets),
                Call::End { commit } if own.end(commit) => {
                    if commit {
                        // It sends what is buffered without waiting for more.
                        self.accumulator.is_flushing = true;
                    } else {
                        self.drop_batches(false, ErrorCode::TransactionAbortable, out);
                    }
                }
                _ => {}
            }
        }
    }

    /// Records that do not leave any more.
    fn drop_batches(&mut self, all: bool, error: ErrorCode, out: &mut Outputs) {
        for (partition, batch) in self.accumulator.abort(all) {
            self.fail(Some(partition.clone()), &partition.topic, batch.records, error, out);
        }
    }

    fn ask(&mut self, now: Time, step: Step, out: &mut Outputs) {
        let Some(own) = &self.transactions else { return };
        let broker = match step {
            Step::FindCoordinator | Step::FindGroupCoordinator => self.network.some_broker(now),
            Step::CommitOffsets => own.group_coordinator,
            _ => own.coordinator,
        };
        let Some(broker) = broker else {
            let next = self.network.next_try(now).unwrap_or(now + self.network.config.retry_backoff);
            self.transactions.iter_mut().for_each(|own| own.put_off(next.max(now + 1)));
            return;
        };
        let Some(request) = self.request(&step) else { return };
        self.transactions.iter_mut().for_each(|own| own.asked(&step));
        let channel = if matches!(step, Step::FindCoordinator | Step::FindGroupCoordinator) { Channel::Data } else { Channel::Coordinator };
        self.network.send(now, broker, channel, InFlight::Transaction(step), request, None, out);
    }

    fn request(&self, step: &Step) -> Option<Request> {
        let own = self.transactions.as_ref()?;
        let id = k::TransactionalId(wire::text(&own.config.id));
        let identity = self.idempotence.as_ref()?.identity().unwrap_or(Identity { id: -1, epoch: -1 });
        let (producer_id, epoch) = (k::ProducerId(identity.id), identity.epoch);
        Some(match step {
            Step::FindCoordinator => {
                let message = k::FindCoordinatorRequest::default().with_key_type(TRANSACTION_COORDINATOR);
                Request::FindCoordinator(Arc::new(message.with_coordinator_keys(vec![id.0])))
            }
            Step::FindGroupCoordinator => {
                let message = k::FindCoordinatorRequest::default().with_coordinator_keys(vec![wire::text(&own.offsets.as_ref()?.group)]);
                Request::FindCoordinator(Arc::new(message))
            }
            Step::Initialize => {
                let message = k::InitProducerIdRequest::default().with_transactional_id(Some(id)).with_producer_id(producer_id);
                Request::InitProducerId(Arc::new(message.with_producer_epoch(epoch).with_transaction_timeout_ms(own.config.timeout_ms)))
            }
            Step::AddPartitions(partitions) => {
                let mut asked = k::add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default();
                (asked.transactional_id, asked.producer_id, asked.producer_epoch) = (id, producer_id, epoch);
                for partition in partitions {
                    if asked.topics.last().is_none_or(|topic| topic.name.as_str() != &*partition.topic) {
                        let topic = k::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default();
                        asked.topics.push(topic.with_name(wire::topic(&partition.topic)));
                    }
                    asked.topics.last_mut()?.partitions.push(partition.index);
                }
                Request::AddPartitionsToTxn(Arc::new(k::AddPartitionsToTxnRequest::default().with_transactions(vec![asked])))
            }
            Step::AddOffsets => {
                let message = k::AddOffsetsToTxnRequest::default().with_transactional_id(id).with_producer_id(producer_id);
                let group = k::GroupId(wire::text(&own.offsets.as_ref()?.group));
                Request::AddOffsetsToTxn(Arc::new(message.with_producer_epoch(epoch).with_group_id(group)))
            }
            Step::CommitOffsets => {
                let GroupOffsets { group, member, generation, instance, offsets } = &**own.offsets.as_ref()?;
                let mut message = k::TxnOffsetCommitRequest::default().with_transactional_id(id).with_producer_id(producer_id);
                (message.producer_epoch, message.group_id) = (epoch, k::GroupId(wire::text(group)));
                (message.generation_id, message.member_id) = (*generation, wire::text(member));
                message.group_instance_id = instance.as_deref().map(wire::text);
                for (partition, offset) in offsets {
                    if message.topics.last().is_none_or(|topic| topic.name.as_str() != &*partition.topic) {
                        let topic = k::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default();
                        message.topics.push(topic.with_name(wire::topic(&partition.topic)));
                    }
                    let asked = k::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
                    let asked = asked.with_partition_index(partition.index).with_committed_offset(*offset).with_committed_leader_epoch(-1);
                    message.topics.last_mut()?.partitions.push(asked.with_committed_metadata(Some(wire::text(""))));
                }
                Request::TxnOffsetCommit(Arc::new(message))
            }
            Step::End => {
                let message =
                    k::EndTxnRequest::default().with_transactional_id(id).with_producer_id(producer_id).with_producer_epoch(epoch);
                Request::EndTxn(Arc::new(message.with_committed(own.state() == State::Ending { commit: true })))
            }
        })
    }

    pub(super) fn step_lost(&mut self, now: Time, step: &Step) {
        self.look_for_coordinator(step);
        self.step_again(now, Time::MAX);
    }

    fn look_for_coordinator(&mut self, step: &Step) {
        let Some(own) = &mut self.transactions else { return };
        match step {
            Step::CommitOffsets => own.group_coordinator = None,
            _ => own.coordinator = None,
        }
    }

    /// Always after the same time, however often it has failed (`TxnRequestHandler.retryBackoffMs`).
    fn step_again(&mut self, now: Time, most: Time) {
        if let Some(own) = &mut self.transactions {
            own.answered();
            own.put_off(now + self.network.config.retry_backoff.min(most));
        }
    }

    pub(super) fn step_answered(&mut self, now: Time, step: Step, response: Response, out: &mut Outputs) {
        let error = response.error();
        match error {
            ErrorCode::None => self.step_done(&step, &response),
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => self.step_lost(now, &step),
            ErrorCode::ConcurrentTransactions
                if matches!(step, Step::AddPartitions(_)) && self.transactions.as_ref().is_some_and(Transactions::is_empty) =>
            {
                self.step_again(now, ADD_PARTITIONS_BACKOFF);
            }
            error if error.retriable() => self.step_again(now, Time::MAX),
            ErrorCode::TransactionAbortable
            | ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::FencedInstanceId
            | ErrorCode::StaleMemberEpoch
            | ErrorCode::GroupAuthorizationFailed
                if step != Step::Initialize =>
            {
                self.transactions.iter_mut().for_each(|own| own.answered());
                self.transaction_fails(error, out);
            }
            ErrorCode::InvalidProducerEpoch => self.transaction_fails_for_good(ErrorCode::ProducerFenced, out),
            error => self.transaction_fails_for_good(error, out),
        }
    }

    fn step_done(&mut self, step: &Step, response: &Response) {
        let (Some(own), Some(idempotence)) = (&mut self.transactions, &mut self.idempotence) else { return };
        match response {
            Response::FindCoordinator(message) => {
                let found = message.coordinators.first().map(|found| found.node_id.0);
                match step {
                    Step::FindGroupCoordinator => own.group_coordinator = found,
                    _ => own.coordinator = found,
                }
            }
            Response::InitProducerId(message) => {
                idempotence.begin_again(Identity { id: message.producer_id.0, epoch: message.producer_epoch });
            }
            Response::EndTxn(message) if own.config.raises_epoch && 0 <= message.producer_id.0 => {
                idempotence.begin_again(Identity { id: message.producer_id.0, epoch: message.producer_epoch });
            }
            _ => {}
        }
        own.done(step);
    }

    /// Something of the transaction has failed: it can only be aborted, and what has not left stays here. A fenced producer can do nothing any more
    /// (`TransactionManager.maybeTransitionToErrorState`).
    pub(super) fn transaction_fails(&mut self, error: ErrorCode, out: &mut Outputs) {
        let Some(own) = &mut self.transactions else { return };
        if matches!(
            error,
            ErrorCode::ProducerFenced
                | ErrorCode::InvalidProducerIdMapping
                | ErrorCode::TransactionalIdAuthorizationFailed
                | ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::UnsupportedVersion
        ) {
            self.transaction_fails_for_good(error, out);
        } else if own.fail(error, false) {
            out.note(NoteKind::TransactionFailed { id: own.config.id.clone(), error, fatal: false });
            self.drop_batches(false, error, out);
        }
    }

    /// A gap in its sequences: after the abort they begin anew in another epoch.
    pub(super) fn transaction_needs_other_epoch(&mut self, out: &mut Outputs) {
        let Some(own) = &mut self.transactions else { return };
        let error = ErrorCode::OutOfOrderSequenceNumber;
        if own.fail(error, true) {
            out.note(NoteKind::TransactionFailed { id: own.config.id.clone(), error, fatal: false });
            self.drop_batches(false, error, out);
        }
    }

    fn transaction_fails_for_good(&mut self, error: ErrorCode, out: &mut Outputs) {
        let Some(own) = &mut self.transactions else { return };
        if own.fail_for_good(error) {
            out.note(NoteKind::TransactionFailed { id: own.config.id.clone(), error, fatal: true });
            self.drop_batches(true, error, out);
        }
    }
}
