//! What a broker does when a topic is deleted, or a partition moved to other brokers: its logs go, whoever waits for them hears so, and groups
//! forget where they were in a deleted topic.
//!
//! A broker that was down meanwhile finds out when it has caught up with the metadata log: what that does not know is a stray. Here a log's
//! bytes go at once; in Kafka its files stay for another `file.delete.delay.ms`, out of reach. What the remote store has of a deleted topic goes by
//! whoever deletes a log of it, in Kafka by its last leader only. Source: `ReplicaManager.applyDelta`,
//! `LogManager.isStrayKraftReplica`, `BrokerMetadataPublisher`.

use super::Broker;
use crate::coordinator::{Effects, OFFSETS_TOPIC, SHARE_TOPIC, TRANSACTIONS_TOPIC};
use crate::mutant;
use crate::node::{NoteKind, Outputs, Time, TopicName};
use crate::replica::PartitionKey;

impl Broker {
    /// Deletes the logs of topics that are no more, and of partitions that this broker has no replica of any more. To be done before new roles are taken: a topic of the same name may be among them.
    pub(super) fn delete_strays(&mut self, now: Time, out: &mut Outputs) {
        if !std::mem::take(&mut self.may_have_strays) {
            return;
        }
        let (image, id) = (&self.image, self.id);
        let is_stray = |key: &&PartitionKey| match image.partition(&key.topic, key.index) {
            Some(state) => !state.replicas.contains(&id) && !mutant::is("reassigned-keeps-log"),
            None => !image.topics.contains_key(&key.topic),
        };
        let strays: Vec<PartitionKey> = self.replicas.keys().filter(is_stray).copied().collect();
        for key in strays {
            // The mistake: a log that was there at the start is never compared with the metadata.
            if mutant::is("strays-stay") && self.replicas.get(&key).is_some_and(|replica| replica.is_offline()) {
                continue;
            }
            let Some(mut replica) = self.replicas.remove(&key) else { continue };
            if mutant::is("name-keeps-log")
                && let Some(id) = self.image.topic_ids.get(&replica.name.topic)
            {
                replica.crash();
                self.replicas.insert(PartitionKey { topic: *id, ..key }, replica);
                continue;
            }
            if &*replica.name.topic == OFFSETS_TOPIC {
                let mut effects = Effects::default();
                self.coordinator.unload(key.index, &mut effects);
                self.carry_out(now, effects, out);
            }
            if &*replica.name.topic == TRANSACTIONS_TOPIC {
                self.transactions_moved(now, key, out);
            }
            if &*replica.name.topic == SHARE_TOPIC {
                self.share_states.unload(key.index);
            }
            self.forget_share_partitions(key);
            if !self.image.topics.contains_key(&key.topic) && !mutant::is("remote-outlives-topic") {
                self.delete_remote_log(now, key, replica.name.clone(), out);
            }
            out.note(NoteKind::LogDeleted { partition: replica.name });
            // Whoever waits here finds nothing any more.
            self.moved.insert(key);
        }
    }

    /// The groups that this broker coordinates forget what they committed in deleted topics, given by name and number of partitions.
    pub(super) fn forget_committed(&mut self, now: Time, deleted: &[(TopicName, i32)], out: &mut Outputs) {
        if !deleted.is_empty() {
            let mut effects = Effects::default();
            self.coordinator.partitions_deleted(deleted, &mut effects);
            self.coordinator.share_topics_deleted(&self.image, &mut effects);
            self.carry_out(now, effects, out);
            self.forget_share_states(now, out);
        }
    }
}
