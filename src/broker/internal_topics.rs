//! Kafka's own topics, made when somebody needs them for the first time: groups' offsets, transactions, and the state of share groups.
//!
//! Source: `AutoTopicCreationManager`, `GroupCoordinatorService.groupMetadataTopicConfigs`, `TransactionStateManager.transactionTopicConfigs`,
//! `ShareCoordinatorService.shareGroupStateTopicConfigs`.

use super::Broker;
use crate::coordinator::{OFFSETS_TOPIC, SHARE_TOPIC, TRANSACTIONS_TOPIC};
use crate::node::{Channel, Outputs, Time};
use crate::protocol::wire::{self, Request};
use k::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages as k;
use std::sync::Arc;

impl Broker {
    /// Asks the controller for a topic that does not exist, with what the broker's settings say of it: nothing, if it is not one of Kafka's own.
    pub(super) fn create_missing_topic(&mut self, now: Time, name: &str, out: &mut Outputs) {
        if self.creating.values().any(|(creating, _)| creating == name) {
            return;
        }
        let Some(controller) = self.controllers.leader() else { return };
        let topic = self.missing_topic_as_configured(name);
        let message = k::CreateTopicsRequest::default().with_topics(vec![topic]);
        let correlation = self.correlation();
        self.creating.insert(correlation, (name.to_owned(), now));
        out.request(controller, Channel::Control, correlation, Request::CreateTopics(Arc::new(message)));
    }

    fn missing_topic_as_configured(&self, name: &str) -> CreatableTopic {
        let share = self.config.share;
        let (partitions, factor, configs) = match name {
            OFFSETS_TOPIC => {
                let segment_bytes = self.config.offsets_topic_segment_bytes.to_string();
                let configs = vec![
                    config("cleanup.policy", "compact"),
                    config("compression.type", "producer"),
                    config("segment.bytes", &segment_bytes),
                ];
                (self.config.coordinator.partitions, self.config.offsets_topic_replication_factor, configs)
            }
            TRANSACTIONS_TOPIC => {
                let configs = vec![
                    config("cleanup.policy", "compact"),
                    config("unclean.leader.election.enable", "false"),
                    config("compression.type", "uncompressed"),
                    config("min.insync.replicas", &self.config.transactions_topic_min_isr.to_string()),
                    config("segment.bytes", &self.config.transactions_topic_segment_bytes.to_string()),
                ];
                (self.config.transactions.partitions, self.config.transactions_topic_replication_factor, configs)
            }
            SHARE_TOPIC => {
                let configs = vec![
                    config("cleanup.policy", "delete"),
                    config("retention.ms", "-1"),
                    config("compression.type", "producer"),
                    config("min.insync.replicas", &share.state_min_insync.to_string()),
                    config("segment.bytes", &share.state_segment_bytes.to_string()),
                ];
                (share.state_partitions, share.state_replication_factor, configs)
            }
            _ => (-1, -1, Vec::new()),
        };
        let topic = CreatableTopic::default().with_name(wire::topic(name));
        topic.with_num_partitions(partitions).with_replication_factor(factor).with_configs(configs)
    }
}

fn config(name: &str, value: &str) -> CreatableTopicConfig {
    CreatableTopicConfig::default().with_name(wire::text(name)).with_value(Some(wire::text(value)))
}
