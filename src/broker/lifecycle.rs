//! A broker's life as the controller sees it: registration, heartbeats, and the roles that the metadata log gives it.
//!
//! Source: `BrokerLifecycleManager`, `BrokerMetadataPublisher`; KIP-631.

use super::Broker;
use super::throttle;
use crate::coordinator::{Effects, OFFSETS_TOPIC, SHARE_TOPIC, TRANSACTIONS_TOPIC};
use crate::cost::{NEVER, WRITE_BACK_INTERVAL};
use crate::node::{Channel, NoteKind, Outputs, Partition, Time, Timer};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::TopicMetadata;
use crate::protocol::wire::{self, Request};
use crate::replica::{PartitionKey, Replica};
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

impl Broker {
    pub(super) fn start(&mut self, now: Time, out: &mut Outputs) {
        self.incarnation = Uuid::from_u64_pair(self.chance.draw(), self.chance.draw());
        self.previous_epoch = self.clean_shutdown.take();
        out.note(NoteKind::BrokerStarted);
        self.fetch_metadata(out);
        self.send_heartbeat(now, out);
        out.timer(now + self.config.registration_timeout, Timer::Registration);
        out.timer(now + self.config.replica_lag_time_max / 2, Timer::ReplicaLag);
        out.timer(now + self.config.checkpoint_interval, Timer::HighWatermarkCheckpoint);
        out.timer(now + WRITE_BACK_INTERVAL, Timer::WriteBack);
        self.watch_requests(now, out);
        self.start_maintenance(now, out);
    }

    /// A heartbeat timer; only the one set last means anything.
    pub(super) fn heartbeat_due(&mut self, now: Time, out: &mut Outputs) {
        // Later than set, if the process stood still meanwhile.
        if self.heartbeat_at <= now {
            self.send_heartbeat(now, out);
        }
    }

    /// Registers if that is still to be done, sends a heartbeat otherwise.
    pub(super) fn send_heartbeat(&mut self, now: Time, out: &mut Outputs) {
        self.next_heartbeat(now + self.config.heartbeat_interval, out);
        let Some(controller) = self.controllers.leader() else { return };
        let correlation = self.correlation();
        self.lifecycle_request = Some(correlation);
        let request = match self.epoch {
            None => {
                let mut message = k::BrokerRegistrationRequest::default();
                message.broker_id = k::BrokerId(self.id);
                message.incarnation_id = self.incarnation;
                message.previous_broker_epoch = self.previous_epoch.unwrap_or(-1);
                message.rack = self.config.rack.as_deref().map(wire::text);
                Request::BrokerRegistration(Arc::new(message))
            }
            Some(epoch) => {
                let mut message = k::BrokerHeartbeatRequest::default();
                message.broker_id = k::BrokerId(self.id);
                message.broker_epoch = epoch;
                message.current_metadata_offset = self.image.next_offset - 1;
                message.want_shut_down = self.is_stopping();
                Request::BrokerHeartbeat(Arc::new(message))
            }
        };
        out.request(controller, Channel::Control, correlation, request);
    }

    pub(super) fn next_heartbeat(&mut self, at: Time, out: &mut Outputs) {
        self.heartbeat_at = at;
        out.timer(at, Timer::BrokerHeartbeat);
    }

    pub(super) fn registered(&mut self, now: Time, message: &k::BrokerRegistrationResponse, out: &mut Outputs) {
        self.lifecycle_request = None;
        if message.error_code == 0 {
            self.epoch = Some(message.broker_epoch);
            self.has_registered = true;
            self.take_roles(now, out);
        } else if Broker::is_refusal(message.error_code) {
            self.controller_refused(now, out);
        } else {
            self.next_heartbeat(now + self.config.heartbeat_interval, out);
        }
    }

    pub(super) fn heartbeat_answered(&mut self, now: Time, message: &k::BrokerHeartbeatResponse, out: &mut Outputs) {
        self.lifecycle_request = None;
        if Broker::is_refusal(message.error_code) {
            self.controller_refused(now, out);
            return;
        }
        self.alter_refused(now, out);
        if self.is_stopping() {
            self.shutdown_answered(now, message.should_shut_down || message.error_code != 0, out);
            return;
        }
        if message.error_code == ErrorCode::StaleBrokerEpoch.code() {
            // The controller has given this registration up: make a new one.
            self.epoch = None;
            self.send_heartbeat(now, out);
            return;
        }
        self.fenced = message.is_fenced;
    }

    /// Takes the roles that changed, once the broker has seen its own registration in the log: what stands before it was decided about an
    /// earlier process.
    pub(super) fn take_roles(&mut self, now: Time, out: &mut Outputs) {
        if self.epoch.is_none_or(|epoch| self.image.next_offset <= epoch) {
            return;
        }
        self.delete_strays(now, out);
        self.reconfigure(now, out);
        for key in std::mem::take(&mut self.unpublished) {
            self.assume_role(now, key, out);
        }
        self.assign_fetchers(now, out);
        // A fenced broker does not wait for the next heartbeat to say that it has caught up.
        if self.fenced && self.lifecycle_request.is_none() {
            self.send_heartbeat(now, out);
        }
    }

    fn min_insync(&self, topic: &TopicMetadata) -> usize {
        topic.min_insync(self.config.min_insync_replicas)
    }

    /// What its metadata says of a topic's `min.insync.replicas`, whatever it goes by.
    pub fn min_insync_of(&self, topic: &str) -> Option<usize> {
        let own = |whose: Option<i32>| self.image.broker_configs.get(&whose);
        let set = [Some(&self.image.topic(topic)?.configs), own(Some(self.id)), own(None)].into_iter().flatten();
        let said = set.filter_map(|configs| configs.get("min.insync.replicas")?.trim().parse().ok()).next();
        Some(said.unwrap_or(self.started_with.min_insync_replicas))
    }

    fn assume_role(&mut self, now: Time, key: PartitionKey, out: &mut Outputs) {
        let Some(topic) = self.image.topics.get(&key.topic) else { return };
        let Some(state) = self.image.partition(&key.topic, key.index) else { return };
        if !state.replicas.contains(&self.id) {
            return;
        }
        let min_insync = self.min_insync(topic);
        let is_offsets_topic = &*topic.name == OFFSETS_TOPIC;
        let is_share_topic = &*topic.name == SHARE_TOPIC;
        let name = Partition { topic: topic.name.clone(), index: key.index };
        let replica = self.replicas.or_insert_with(key, || Replica::new(name.clone()));
        replica.flush_rule = self.config.costs.flush_rule.of_topic(&topic.configs);
        replica.throttled = throttle::throttled(&topic.configs, key.index, self.id);
        self.charged |= replica.flush_rule.messages != NEVER;
        if let Some(at) = replica.next_flush().filter(|_| !self.work.flushes()) {
            out.timer(at.max(now + 1), Timer::Flush);
        }
        let local_start = replica.log.local_start_offset();
        replica.log.configure(self.config.log.of_topic(&topic.configs));
        let is_tiered = replica.log.config().remote;
        if !is_tiered {
            // What was only in the remote store goes with the setting.
            replica.raise_log_start(local_start, out);
        }
        let new_role = replica.assume(now, self.id, state, min_insync);
        let leads = replica.leader().is_some();
        if is_share_topic && new_role {
            if leads {
                self.share_states.load(key.index, replica.log.batches_from(replica.log.start_offset()));
            } else {
                self.share_states.unload(key.index);
            }
        }
        if is_offsets_topic && new_role {
            let mut effects = Effects::default();
            if leads {
                self.coordinator.load(now, key.index, replica.log.batches_from(replica.log.start_offset()), &self.image, out);
            } else {
                self.coordinator.unload(key.index, &mut effects);
            }
            self.carry_out(now, effects, out);
        }
        if new_role && &*name.topic == TRANSACTIONS_TOPIC {
            self.transactions_moved(now, key, out);
        }
        if leads {
            self.advance(now, key, out);
        } else {
            self.forget_share_partitions(key);
        }
        if is_tiered && new_role {
            self.tier(now, key, out);
        } else if leads && !is_tiered {
            self.delete_remote_log(now, key, name, out);
        }
        // Whoever waits here finds out that the leader, the epoch or the ISR is another.
        self.moved.insert(key);
    }
}
