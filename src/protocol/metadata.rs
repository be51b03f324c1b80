//! The records of the cluster's metadata log, `__cluster_metadata`, that the controller writes and every broker follows.
//!
//! Source: KIP-500, KIP-595, KIP-631. Kafka writes changes as deltas; a partition's record here always holds its whole state.

use super::client_quotas::{ClientQuotas, QuotaEntity};
use crate::ordered::OrderedMap;
use std::sync::Arc;
use uuid::Uuid;

/// The metadata log's name. No topic that anybody creates can have it.
pub const METADATA_TOPIC: &str = "__cluster_metadata";
/// The metadata log's topic id, Kafka's constant.
pub const METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);

/// A record as it stands in the log, with the epoch of the quorum leader that appended it. Its offset is its place.
#[derive(Clone, PartialEq, Debug)]
pub struct MetadataEntry {
    pub epoch: i32,
    pub record: Arc<MetadataRecord>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum MetadataRecord {
    /// A controller begins its epoch as the quorum's leader.
    LeaderChange {
        leader: i32,
    },
    RegisterBroker {
        broker: i32,
        epoch: i64,
        /// Names the process.
        incarnation: Uuid,
        rack: Option<Arc<str>>,
        fenced: bool,
    },
    /// The broker is fenced, or not any more.
    BrokerFencing {
        broker: i32,
        epoch: i64,
        fenced: bool,
    },
    /// The broker is on its way out: it leads nothing and joins no ISR any more (KIP-841).
    BrokerShuttingDown {
        broker: i32,
        epoch: i64,
    },
    /// The broker is no part of the cluster any more.
    UnregisterBroker {
        broker: i32,
        epoch: i64,
    },
    Topic {
        id: Uuid,
        name: Arc<str>,
        configs: OrderedMap<String, String>,
    },
    Partition {
        topic: Uuid,
        partition: i32,
        state: PartitionState,
    },
    /// A setting of the topic; `None`: it is not set any more (Kafka's ConfigRecord).
    TopicConfig {
        topic: Uuid,
        name: String,
        value: Option<String>,
    },
    /// A setting of a broker, or of all that have none of their own; `None`: what it was started with holds (Kafka's ConfigRecord).
    BrokerConfig {
        broker: Option<i32>,
        name: String,
        value: Option<String>,
    },
    /// A setting of the group; `None`: what the brokers say holds (Kafka's ConfigRecord).
    GroupConfig {
        group: String,
        name: String,
        value: Option<String>,
    },
    /// A limit of a client quota; `None`: there is none any more (Kafka's ClientQuotaRecord).
    ClientQuota {
        entity: QuotaEntity,
        name: String,
        value: Option<f64>,
    },
    /// `min.insync.replicas` is another for the topic, or for all: who was eligible by the old one need not be so any more (KIP-966).
    ClearElr {
        topic: Option<Uuid>,
    },
    /// This broker has a block of producer ids; the next one begins here (Kafka's ProducerIdsRecord).
    ProducerIds {
        broker: i32,
        epoch: i64,
        next: i64,
    },
    /// The topic is deleted, with its partitions and settings. Its name is free again, its id is not.
    RemoveTopic {
        id: Uuid,
    },
}

/// What the controller has decided about one partition.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PartitionState {
    /// In order of preference: the first is the preferred leader.
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    /// `None`: no replica may lead.
    pub leader: Option<i32>,
    /// Raised when the leader changes.
    pub leader_epoch: i32,
    /// Raised by every change.
    pub partition_epoch: i32,
    /// Replicas that a reassignment under way adds (KIP-455).
    pub adding: Vec<i32>,
    /// Replicas that leave when it is done.
    pub removing: Vec<i32>,
    /// Eligible leader replicas: they left the ISR while it was smaller than `min.insync.replicas`, and hold all that is committed (KIP-966).
    pub elr: Vec<i32>,
    /// Where nobody leads and nobody is in sync: who led last.
    pub last_known_elr: Vec<i32>,
    /// The leader was elected uncleanly and has not said that it is done with what that takes (KIP-704): until then it is alone in the ISR.
    pub recovering: bool,
}

impl PartitionState {
    /// Who leads, or whose log comes closest while nobody does.
    pub fn leader_or_last(&self) -> Option<i32> {
        let known = self.isr.first().or(self.last_known_elr.first()).or(self.elr.first());
        self.leader.or(known.copied())
    }
}

/// What the metadata log says so far: the controller's state, and each broker's copy of it.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct MetadataImage {
    /// The offset that follows the last record applied.
    pub next_offset: i64,
    pub brokers: OrderedMap<i32, BrokerMetadata>,
    pub topics: OrderedMap<Uuid, TopicMetadata>,
    pub topic_ids: OrderedMap<Arc<str>, Uuid>,
    /// Settings that were changed while brokers ran: of one, or of all that have none of their own.
    pub broker_configs: OrderedMap<Option<i32>, OrderedMap<String, String>>,
    /// Settings of groups, by their ids.
    pub group_configs: OrderedMap<String, OrderedMap<String, String>>,
    pub client_quotas: ClientQuotas,
    /// The first producer id that no broker has been given.
    pub next_producer_id: i64,
}

#[derive(Clone, PartialEq, Debug)]
pub struct BrokerMetadata {
    pub epoch: i64,
    pub incarnation: Uuid,
    pub rack: Option<Arc<str>>,
    pub fenced: bool,
    /// In controlled shutdown.
    pub shutting_down: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TopicMetadata {
    pub id: Uuid,
    pub name: Arc<str>,
    pub configs: OrderedMap<String, String>,
    pub partitions: Vec<PartitionState>,
}

impl TopicMetadata {
    /// Whether it would rather lose records than wait for the replicas that have them; `default` is what the brokers say.
    pub fn allows_unclean(&self, default: bool) -> bool {
        let set = self.configs.get("unclean.leader.election.enable");
        set.map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// Its `min.insync.replicas`; `default` is what the brokers say.
    pub fn min_insync(&self, default: usize) -> usize {
        self.configs.get("min.insync.replicas").and_then(|value| value.trim().parse().ok()).unwrap_or(default)
    }
}

impl MetadataImage {
    pub fn apply(&mut self, record: &MetadataRecord) {
        self.next_offset += 1;
        match record {
            MetadataRecord::LeaderChange { .. } => {}
            MetadataRecord::RegisterBroker { broker, epoch, incarnation, rack, fenced } => {
                let (epoch, incarnation, fenced) = (*epoch, *incarnation, *fenced);
                self.brokers.insert(*broker, BrokerMetadata { epoch, incarnation, rack: rack.clone(), fenced, shutting_down: false });
            }
            MetadataRecord::BrokerFencing { broker, epoch, fenced } => {
                if let Some(known) = self.brokers.get_mut(broker).filter(|known| known.epoch == *epoch) {
                    known.fenced = *fenced;
                }
            }
            MetadataRecord::BrokerShuttingDown { broker, epoch } => {
                if let Some(known) = self.brokers.get_mut(broker).filter(|known| known.epoch == *epoch) {
                    known.shutting_down = true;
                }
            }
            MetadataRecord::UnregisterBroker { broker, epoch } => {
                if self.brokers.get(broker).is_some_and(|known| known.epoch == *epoch) {
                    self.brokers.remove(broker);
                }
            }
            MetadataRecord::Topic { id, name, configs } => {
                self.topic_ids.insert(name.clone(), *id);
                self.topics.insert(*id, TopicMetadata { id: *id, name: name.clone(), configs: configs.clone(), partitions: Vec::new() });
            }
            MetadataRecord::Partition { topic, partition, state } => {
                if let Some(topic) = self.topics.get_mut(topic) {
                    match topic.partitions.get_mut(*partition as usize) {
                        Some(known) => *known = state.clone(),
                        None => topic.partitions.push(state.clone()),
                    }
                }
            }
            MetadataRecord::BrokerConfig { broker, name, value } => {
                let configs = self.broker_configs.or_default(*broker);
                match value {
                    Some(value) => configs.insert(name.clone(), value.clone()),
                    None => configs.remove(name),
                };
            }
            MetadataRecord::GroupConfig { group, name, value } => {
                let configs = self.group_configs.or_default(group.clone());
                match value {
                    Some(value) => configs.insert(name.clone(), value.clone()),
                    None => configs.remove(name),
                };
                self.group_configs.retain(|_, configs| !configs.is_empty());
            }
            MetadataRecord::ClientQuota { entity, name, value } => {
                let limits = self.client_quotas.or_default(entity.clone());
                match value {
                    Some(value) => limits.insert(name.clone(), *value),
                    None => limits.remove(name),
                };
                self.client_quotas.retain(|_, limits| !limits.is_empty());
            }
            MetadataRecord::TopicConfig { topic, name, value } => {
                if let Some(topic) = self.topics.get_mut(topic) {
                    match value {
                        Some(value) => topic.configs.insert(name.clone(), value.clone()),
                        None => topic.configs.remove(name),
                    };
                }
            }
            MetadataRecord::ClearElr { topic } => {
                let named = |known: &Uuid| topic.is_none_or(|topic| topic == *known);
                for (_, topic) in (&mut self.topics).into_iter().filter(|(id, _)| named(id)) {
                    let has_any = |state: &&mut PartitionState| !state.elr.is_empty() || !state.last_known_elr.is_empty();
                    for state in topic.partitions.iter_mut().filter(has_any) {
                        state.elr.clear();
                        state.last_known_elr.clear();
                        state.partition_epoch += 1;
                    }
                }
            }
            MetadataRecord::ProducerIds { next, .. } => self.next_producer_id = *next,
            MetadataRecord::RemoveTopic { id } => {
                if let Some(topic) = self.topics.remove(id) {
                    self.topic_ids.remove(&topic.name);
                }
            }
        }
    }

    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.get(self.topic_ids.get(name)?)
    }

    pub fn partition(&self, topic: &Uuid, partition: i32) -> Option<&PartitionState> {
        self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    /// Whether it may lead and be in sync: neither fenced nor on its way out (Kafka's "active").
    pub fn is_live(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|known| !known.fenced && !known.shutting_down)
    }
}
