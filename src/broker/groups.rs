//! The bridge between the coordinator and the log that keeps its state.
//!
//! Source: `CoordinatorRuntime`: what a group decides is written to `__consumer_offsets` with acks=all before anybody hears of it.

use super::Broker;
use super::share::Ask;
use super::verification::Parked;
use crate::coordinator::{Effects, OFFSETS_TOPIC, ReplyTo, Then, partition_for};
use crate::node::{Connection, Outputs, Time, Timer};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::wire::{Request, Response};
use crate::protocol::{Batch, BatchBuilder, BatchOptions};
use crate::replica::PartitionKey;
use bytes::Bytes;
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// The id of a partition's topic, if the partition exists.
fn topic_id_in(image: &MetadataImage) -> impl Fn(&str, i32) -> Option<Uuid> + '_ {
    |topic, index| {
        let topic = image.topic(topic)?;
        image.partition(&topic.id, index).map(|_| topic.id)
    }
}

impl Broker {
    pub(super) fn group_request(
        &mut self,
        now: Time,
        from: Connection,
        client_id: &str,
        correlation: u32,
        request: Request,
        out: &mut Outputs,
    ) {
        let mut effects = Effects::default();
        let (reply, image) = (ReplyTo { from, correlation }, &self.image);
        match request {
            Request::OffsetCommit(message) => {
                self.coordinator.commit_offsets(now, reply, &message, topic_id_in(image), &mut effects);
            }
            Request::OffsetDelete(message) => {
                let topic_id = topic_id_in(image);
                self.coordinator.delete_offsets(reply, &message, |topic, index| topic_id(topic, index).is_some(), &mut effects);
            }
            Request::ConsumerGroupHeartbeat(message) => {
                self.coordinator.consumer_heartbeat(now, reply, client_id, &message, image, &mut effects, out);
            }
            Request::ConsumerGroupDescribe(message) => {
                let response = self.coordinator.describe_consumer_groups(&message, image);
                effects.replies.push((reply, Response::ConsumerGroupDescribe(Arc::new(response))));
            }
            Request::ShareGroupHeartbeat(message) => {
                self.coordinator.share_heartbeat(now, reply, client_id, &message, image, &mut effects, out);
            }
            Request::ShareGroupDescribe(message) => {
                let response = self.coordinator.describe_share_groups(&message, image);
                effects.replies.push((reply, Response::ShareGroupDescribe(Arc::new(response))));
            }
            Request::DescribeShareGroupOffsets(message) => self.coordinator.describe_share_offsets(reply, &message, image, &mut effects),
            Request::AlterShareGroupOffsets(message) => self.coordinator.alter_share_offsets(now, reply, &message, image, &mut effects),
            Request::DeleteShareGroupOffsets(message) => self.coordinator.delete_share_offsets(reply, &message, image, &mut effects),
            Request::DeleteGroups(message) => self.coordinator.delete_groups(reply, &message, image, &mut effects),
            request => self.coordinator.handle(now, reply, client_id, request, &mut effects, out),
        }
        self.carry_out(now, effects, out);
    }

    /// Offsets that are part of a transaction: its coordinator is asked first, unless it has put the group's partition in already.
    pub(super) fn commit_offsets_in_transaction(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: Arc<k::TxnOffsetCommitRequest>,
        out: &mut Outputs,
    ) {
        let index = partition_for(&message.group_id, self.config.coordinator.partitions);
        let key = self.offsets_key(index).filter(|key| self.replicas.get(key).is_some_and(|replica| replica.leader().is_some()));
        let is_open = |key: &PartitionKey| self.is_in_transaction(*key, (message.producer_id.0, message.producer_epoch));
        let Some(key) = key.filter(|key| self.asks_coordinator() && !is_open(key)) else {
            self.commit_in_transaction(now, from, correlation, &message, None, out);
            return;
        };
        let producer = (message.transactional_id.as_str(), (message.producer_id.0, message.producer_epoch));
        if let Err(error) = self.ask_coordinator(now, (from, correlation), producer, &[key], Parked::Offsets(message.clone()), out) {
            self.commit_in_transaction(now, from, correlation, &message, Some(error), out);
        }
    }

    pub(super) fn commit_in_transaction(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: &k::TxnOffsetCommitRequest,
        refusal: Option<ErrorCode>,
        out: &mut Outputs,
    ) {
        let mut effects = Effects::default();
        // Who is not heard is asked again.
        let refusal = refusal.map(|error| if error == ErrorCode::NetworkException { ErrorCode::CoordinatorLoadInProgress } else { error });
        let reply = ReplyTo { from, correlation };
        self.coordinator.commit_in_transaction(now, reply, message, refusal, topic_id_in(&self.image), &mut effects);
        self.carry_out(now, effects, out);
    }

    pub(super) fn coordinator_committed(&mut self, now: Time, then: Then, out: &mut Outputs) {
        if let Then::Transaction(change) = then {
            self.transaction_changed(now, *change, ErrorCode::None, out);
            return;
        }
        let then = match then {
            Then::ShareState(stored) => return self.share_state_stored(now, *stored, out),
            then => then,
        };
        let mut effects = Effects::default();
        self.coordinator.committed(now, then, &self.image, &mut effects, out);
        self.carry_out(now, effects, out);
    }

    pub(super) fn coordinator_failed(&mut self, now: Time, then: Then, error: ErrorCode, out: &mut Outputs) {
        if let Then::Transaction(change) = then {
            self.transaction_changed(now, *change, error, out);
            return;
        }
        let then = match then {
            Then::ShareState(stored) => return self.share_state_lost(now, *stored, error, out),
            then => then,
        };
        let mut effects = Effects::default();
        self.coordinator.failed(now, then, error, &mut effects, out);
        self.carry_out(now, effects, out);
    }

    /// Records of a coordinator are in the log and not replicated in time (`CoordinatorRuntime.OperationTimeout`). What is left to do is given back.
    pub(super) fn coordinator_timed_out(&mut self, now: Time, then: Then, out: &mut Outputs) -> Option<Then> {
        if let Then::ShareState(stored) = then {
            self.share_state_lost(now, *stored, ErrorCode::RequestTimedOut, out);
            return None;
        }
        let mut effects = Effects::default();
        let rest = self.coordinator.timed_out(now, then, &mut effects, out);
        self.carry_out(now, effects, out);
        rest
    }

    pub(super) fn offsets_retention_due(&mut self, now: Time, out: &mut Outputs) {
        let mut effects = Effects::default();
        self.coordinator.expire_offsets(now, &mut effects);
        self.carry_out(now, effects, out);
        out.timer(now + self.config.offsets_retention_check, Timer::OffsetsRetention);
    }

    pub(super) fn groups_due(&mut self, now: Time, out: &mut Outputs) {
        // Later than set, if the process stood still meanwhile.
        if self.groups_wake.is_none_or(|at| now < at) {
            return;
        }
        self.groups_wake = None;
        let mut effects = Effects::default();
        self.coordinator.expire(now, &mut effects, out);
        self.carry_out(now, effects, out);
    }

    /// Sends the coordinator's answers, writes its records, and sets its alarm.
    pub(super) fn carry_out(&mut self, now: Time, mut effects: Effects, out: &mut Outputs) {
        for (to, response) in effects.replies.drain(..) {
            self.respond(to.from, to.correlation, response, out);
        }
        let plain = effects.appends.drain(..).map(|append| (append, BatchOptions::default()));
        let transactional = effects.transactional.drain(..).map(|(append, producer_id, producer_epoch)| {
            (append, BatchOptions { producer_id, producer_epoch, transactional: true, ..BatchOptions::default() })
        });
        for (append, options) in plain.chain(transactional) {
            let written = match (self.offsets_key(append.partition), self.encode(now, append.records, options)) {
                (Some(key), batch) => self.append_for_coordinator(now, key, batch, append.then, out),
                (None, _) => Err((append.then, ErrorCode::NotLeaderOrFollower)),
            };
            if let Err((then, error)) = written {
                self.coordinator_failed(now, then, error, out);
            }
        }
        for (partition, reply, response) in effects.after_writes.drain(..) {
            self.answer_after_writes(now, partition, reply, response, out);
        }
        for (task, key, wish) in effects.shares.drain(..) {
            self.ask_share_coordinator(now, &key, Ask::Wish { task, wish }, out);
        }
        if let Some(at) = self.coordinator.next_deadline().filter(|at| self.groups_wake.is_none_or(|set| *at < set)) {
            let at = at.max(now + 1);
            self.groups_wake = Some(at);
            out.timer(at, Timer::Groups);
        }
    }

    /// Answers once all is committed that was written to a partition of `__consumer_offsets` before (`CoordinatorRuntime`, `DeferredEventQueue`).
    fn answer_after_writes(&mut self, now: Time, partition: i32, reply: ReplyTo, response: Response, out: &mut Outputs) {
        let last = self.offsets_key(partition).and_then(|key| self.last_append(key));
        match last {
            Some(waiting) => {
                self.watch_write(now, waiting, Then::HeartbeatHeard { reply, response }, out);
            }
            None => self.respond(reply.from, reply.correlation, response, out),
        }
    }

    fn offsets_key(&self, index: i32) -> Option<PartitionKey> {
        Some(PartitionKey { topic: *self.image.topic_ids.get(OFFSETS_TOPIC)?, index })
    }

    pub(super) fn encode(&self, now: Time, records: Vec<(Bytes, Option<Bytes>)>, options: BatchOptions) -> Batch {
        let timestamp = self.wall_clock(now);
        let mut builder = BatchBuilder::new(options, 0);
        for (key, value) in &records {
            builder.append(timestamp, Some(key), value.as_deref(), &[]);
        }
        Batch::from_wire(builder.build()).expect("a batch that was just built has a header")
    }
}
