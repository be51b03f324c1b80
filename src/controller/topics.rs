//! Creating topics: what is refused, and what is decided. Where replicas go is the placement's.
//!
//! Source: `ReplicationControlManager.createTopics`.

use super::configs::checked_configs;
use super::{Controller, Refused};
use crate::node::{NoteKind, Outputs, Partition};
use crate::ordered::{OrderedMap, repeated};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::{METADATA_TOPIC, MetadataRecord, PartitionState};
use crate::protocol::validate_topic_name;
use crate::protocol::wire;
use k::create_topics_request::CreatableTopic;
use k::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use uuid::Uuid;

/// Partitions of one topic, at the most: each costs every broker memory and every picture a row.
pub(super) const PARTITIONS_MAX: i32 = 10_000;

/// A request that names a topic twice contradicts itself: neither counts.
pub(super) const DUPLICATE_NAME: &str = "Duplicate topic name.";

struct NewTopic {
    name: Arc<str>,
    configs: OrderedMap<String, String>,
    replicas: Vec<Vec<i32>>,
    replication_factor: i16,
}

impl Controller {
    /// Each topic succeeds or fails by itself.
    pub(super) fn create_topics(&mut self, message: &k::CreateTopicsRequest, out: &mut Outputs) -> k::CreateTopicsResponse {
        let mut response = k::CreateTopicsResponse::default();
        let repeated = repeated(message.topics.iter().map(|asked| asked.name.as_str()));
        for asked in message.topics.iter().filter(|asked| !repeated.contains(asked.name.as_str())) {
            let mut answer = CreatableTopicResult::default();
            answer.name = asked.name.clone();
            let checked = self.checked_topic(asked).and_then(|topic| self.spend(topic.replicas.len() as i32).map(|()| topic));
            match checked {
                Err((error, sentence)) => {
                    answer.error_code = error.code();
                    answer.error_message = Some(StrBytes::from_string(sentence));
                }
                Ok(topic) => {
                    answer.num_partitions = topic.replicas.len() as i32;
                    answer.replication_factor = topic.replication_factor;
                    answer.topic_id = if message.validate_only { Uuid::nil() } else { self.create(topic, out) };
                }
            }
            response.topics.push(answer);
        }
        for name in repeated {
            let answer = CreatableTopicResult::default().with_name(wire::topic(name)).with_error_code(ErrorCode::InvalidRequest.code());
            response.topics.push(answer.with_error_message(Some(wire::text(DUPLICATE_NAME))));
        }
        response.throttle_time_ms = self.mutations.throttle_ms;
        response
    }

    fn checked_topic(&mut self, asked: &CreatableTopic) -> Result<NewTopic, Refused> {
        let name: &str = &asked.name;
        if name == METADATA_TOPIC {
            return Err((ErrorCode::InvalidRequest, format!("Creation of internal topic {METADATA_TOPIC} is prohibited.")));
        }
        validate_topic_name(name).map_err(|sentence| (ErrorCode::InvalidTopicException, sentence.to_string()))?;
        if self.image.topic_ids.contains_key(name) {
            return Err((ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        let given = asked.configs.iter().map(|config| {
            let value = config.value.as_ref().map(ToString::to_string).unwrap_or_default();
            (config.name.to_string(), value)
        });
        let configs = checked_configs(given)?;
        self.check_remote_storage(&configs, None)?;
        let replicas = if asked.assignments.is_empty() { self.placed(asked)? } else { self.assigned(asked)? };
        let replication_factor = replicas.first().map_or(0, |first| first.len() as i16);
        Ok(NewTopic { name: Arc::from(name), configs, replicas, replication_factor })
    }

    /// The replicas of each partition, where the request leaves them to the controller.
    fn placed(&mut self, asked: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refused> {
        let factor = if asked.replication_factor == -1 { self.config.default_replication_factor } else { asked.replication_factor };
        if factor < 1 {
            return Err((ErrorCode::InvalidReplicationFactor, format!("The replication factor is at least 1, not {factor}.")));
        }
        let partitions = if asked.num_partitions == -1 { self.config.default_partitions } else { asked.num_partitions };
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            let sentence = format!("A topic has 1 to {PARTITIONS_MAX} partitions, not {partitions}.");
            return Err((ErrorCode::InvalidPartitions, sentence));
        }
        self.place(partitions, factor)
    }

    /// The replicas of each partition, where the request names them.
    fn assigned(&self, asked: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refused> {
        if asked.replication_factor != -1 || asked.num_partitions != -1 {
            let sentence = "Replicas are named for each partition: then the number of partitions and the replication factor are -1.";
            return Err((ErrorCode::InvalidRequest, sentence.to_owned()));
        }
        if (PARTITIONS_MAX as usize) < asked.assignments.len() {
            return Err((ErrorCode::InvalidPartitions, format!("A topic has {PARTITIONS_MAX} partitions at the most.")));
        }
        let mut assigned = OrderedMap::new();
        let mut factor = None;
        for assignment in &asked.assignments {
            let replicas = self.checked_new_assignment(&assignment.broker_ids, factor)?;
            factor = Some(replicas.len());
            if assigned.insert(assignment.partition_index, replicas).is_some() {
                let sentence = format!("The replicas of partition {} are named twice.", assignment.partition_index);
                return Err((ErrorCode::InvalidReplicaAssignment, sentence));
            }
        }
        if (0..).zip(assigned.keys()).any(|(index, named)| index != *named) {
            return Err((ErrorCode::InvalidReplicaAssignment, "Partitions are numbered from 0 on, without a gap.".to_owned()));
        }
        Ok(assigned.into_values().collect())
    }

    fn create(&mut self, topic: NewTopic, out: &mut Outputs) -> Uuid {
        let id = Uuid::from_u64_pair(self.chance.draw(), self.chance.draw());
        let (name, partitions) = (topic.name.clone(), topic.replicas.len() as i32);
        out.note(NoteKind::TopicCreated { topic: name.clone(), partitions, replication_factor: topic.replication_factor });
        self.decide(MetadataRecord::Topic { id, name: name.clone(), configs: topic.configs });
        self.add_partitions(id, &name, 0, topic.replicas, out);
        id
    }

    /// Decides new partitions of a topic, from index `first` on.
    pub(super) fn add_partitions(&mut self, id: Uuid, name: &Arc<str>, first: i32, placed: Vec<Vec<i32>>, out: &mut Outputs) {
        for (index, replicas) in (first..).zip(placed) {
            let isr: Vec<i32> = replicas.iter().copied().filter(|replica| self.image.is_live(*replica)).collect();
            let state = PartitionState { leader: isr.first().copied(), isr, replicas, ..PartitionState::default() };
            let partition = Partition { topic: name.clone(), index };
            let (leader, leader_epoch, isr) = (state.leader, state.leader_epoch, state.isr.clone());
            out.note(NoteKind::LeaderElected { partition, leader, leader_epoch, isr });
            self.decide(MetadataRecord::Partition { topic: id, partition: index, state });
        }
    }
}
