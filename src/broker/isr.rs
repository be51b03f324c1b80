//! What a leader does about its ISR, and the high watermark that follows from it.
//!
//! Source: `Partition.maybeExpandIsr`, `maybeShrinkIsr`, `AlterPartitionManager`; KIP-497, KIP-841.

use super::Broker;
use crate::node::{Channel, MS, Outputs, Time, Timer};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::wire::Request;
use crate::replica::{PartitionKey, Replica};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// How long a change waits that the controller could not decide (`DefaultAlterPartitionManager`).
const RETRY_BACKOFF: Time = 50 * MS;

impl Broker {
    /// Moves the high watermark as far as the ISR allows.
    pub(super) fn advance(&mut self, now: Time, key: PartitionKey, out: &mut Outputs) {
        let image = &self.image;
        let Some(replica) = self.replicas.get_mut(&key) else { return };
        let eligible = |broker, fetched_with| is_eligible(image, broker, fetched_with);
        if replica.advance_high_watermark(now, self.config.replica_lag_time_max, eligible, out) {
            self.moved.insert(key);
        }
    }

    pub(super) fn maybe_expand_isr(&mut self, now: Time, key: PartitionKey, follower: i32, out: &mut Outputs) {
        let wanted = |replica: &Replica| {
            let leader = replica.leader().filter(|leader| is_eligible(&self.image, follower, leader.broker_epoch_of(follower)))?;
            leader.expanded_isr(follower, replica.high_watermark())
        };
        if let Some(isr) = self.replicas.get(&key).and_then(wanted) {
            self.alter_partition(now, key, isr, out);
        }
    }

    pub(super) fn shrink_isrs(&mut self, now: Time, out: &mut Outputs) {
        let lag_max = self.config.replica_lag_time_max;
        let shrunk =
            |(key, replica): (&PartitionKey, &Replica)| Some((*key, replica.leader()?.shrunk_isr(now, replica.log.end_offset(), lag_max)?));
        let wanted: Vec<(PartitionKey, Vec<i32>)> = self.replicas.iter().filter_map(shrunk).collect();
        for (key, isr) in wanted {
            self.alter_partition(now, key, isr, out);
        }
    }

    /// Asks the controller for another ISR. Until it answers, the old and the new one both count, and nothing else is asked: the metadata log
    /// may bring the change before the answer comes, and that answer must not be taken for the next change's.
    pub(super) fn alter_partition(&mut self, now: Time, key: PartitionKey, isr: Vec<i32>, out: &mut Outputs) {
        if self.altering.values().any(|(busy, _)| *busy == key) {
            return;
        }
        let (own_id, own_epoch) = (self.id, self.epoch());
        let image = &self.image;
        let Some(leader) = self.replicas.get_mut(&key).and_then(|replica| replica.leader_mut()) else { return };
        let member = |id: &i32| {
            let fetched_with = leader.broker_epoch_of(*id).filter(|epoch| 0 <= *epoch);
            let epoch =
                if *id == own_id { own_epoch } else { fetched_with.or(image.brokers.get(id).map(|known| known.epoch)).unwrap_or(-1) };
            let mut state = k::alter_partition_request::BrokerState::default();
            state.broker_id = k::BrokerId(*id);
            state.broker_epoch = epoch;
            state
        };
        let mut partition = k::alter_partition_request::PartitionData::default();
        partition.partition_index = key.index;
        partition.leader_epoch = leader.epoch;
        partition.partition_epoch = leader.partition_epoch;
        partition.new_isr_with_epochs = isr.iter().map(member).collect();
        leader.pending_isr = Some(isr);
        let mut topic = k::alter_partition_request::TopicData::default();
        topic.topic_id = key.topic;
        topic.partitions.push(partition);
        let mut message = k::AlterPartitionRequest::default();
        message.broker_id = k::BrokerId(own_id);
        message.broker_epoch = own_epoch;
        message.topics.push(topic);
        let Some(controller) = self.controllers.leader() else {
            self.controllers.refused.insert(key);
            return;
        };
        let correlation = self.correlation();
        self.altering.insert(correlation, (key, now));
        out.request(controller, Channel::Control, correlation, Request::AlterPartition(Arc::new(message)));
    }

    pub(super) fn isr_altered(&mut self, now: Time, correlation: u32, message: &k::AlterPartitionResponse, out: &mut Outputs) {
        let Some((key, _)) = self.altering.remove(&correlation) else { return };
        if Broker::is_refusal(message.error_code) {
            // Nothing was decided: both the old ISR and the new one count until somebody decides.
            self.controllers.refused.insert(key);
            self.controller_refused(now, out);
            return;
        }
        let answer = message.topics.first().and_then(|topic| topic.partitions.first());
        let Some(leader) = self.replicas.get_mut(&key).and_then(|replica| replica.leader_mut()) else { return };
        let error = ErrorCode::of(if message.error_code != 0 { message.error_code } else { answer.map_or(0, |answer| answer.error_code) });
        match (error, answer) {
            (ErrorCode::None, Some(granted)) if granted.leader_epoch == leader.epoch => {
                leader.granted(granted.partition_epoch, granted.isr.iter().map(|member| member.0).collect());
            }
            // The controller has decided something newer, which is on its way in the metadata log: until then nothing may be assumed.
            (
                ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::InvalidRequest
                | ErrorCode::NewLeaderElected
                | ErrorCode::UnknownTopicId
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::None,
                _,
            ) => {}
            // Refused for what it is, by a controller that knows the partition as this leader does: the ISR is what it was.
            (ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted, _) => leader.pending_isr = None,
            // Nobody knows what became of it: both ISRs count on, and the same is asked for again.
            _ => {
                self.controllers.refused.insert(key);
                out.timer(now + RETRY_BACKOFF, Timer::IsrRetry);
            }
        }
        self.advance(now, key, out);
        self.moved.insert(key);
    }
}

/// Whether the controller would take it into the ISR: not fenced, not shutting down, and its fetches come from the process that is registered now. A
/// fetch without a broker epoch is an old broker's and passes (`Partition.isReplicaIsrEligible`).
fn is_eligible(image: &MetadataImage, broker: i32, fetched_with: Option<i64>) -> bool {
    let is_same_process = |epoch| epoch == -1 || image.brokers.get(&broker).is_some_and(|known| known.epoch == epoch);
    image.is_live(broker) && fetched_with.is_some_and(is_same_process)
}
