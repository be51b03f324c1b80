//! Creating topics: what is refused, and what is decided. Where replicas go is the placement's.
//!
//! Source: `ReplicationControlManager.createTopics`.

use super::configs::checked_configs;
use super::{Controller, Refused};
use crate::node::{NoteKind, Outputs, Partition};
use crate::ordered::{OrderedMap, repeated};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::{METADATA_TOPIC, MetadataRecord, PartitionState};
use crate::protocol::wire;
use crate::protocol::{collides, validate_topic_name};
use k::create_topics_request::CreatableTopic;
use k::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use uuid::Uuid;

/// Partitions of one topic, and new ones of one request, at the most (`MAX_PARTITIONS_PER_BATCH`): each costs every broker memory and every picture
/// a row.
pub(super) const PARTITIONS_MAX: i32 = 10_000;

/// Records of the metadata log that one request may make, at the most (`MAX_RECORDS_PER_USER_OP`).
const RECORDS_MAX: usize = 10_000;

/// A request that names a topic twice contradicts itself: neither counts.
pub(super) const DUPLICATE_NAME: &str = "Duplicate topic name.";

struct NewTopic {
    name: Arc<str>,
    configs: OrderedMap<String, String>,
    replicas: Vec<Vec<i32>>,
    replication_factor: i16,
}

impl NewTopic {
    /// How many records of the metadata log it takes in Kafka: one for the topic, each setting and each partition.
    fn records(&self) -> usize {
        1 + self.configs.len() + self.replicas.len()
    }
}

/// Nothing of a request is done, for this reason.
fn too_large(message: &k::CreateTopicsRequest, sentence: &str) -> k::CreateTopicsResponse {
    let refused = |asked: &CreatableTopic| {
        let answer = CreatableTopicResult::default().with_name(asked.name.clone()).with_error_code(ErrorCode::PolicyViolation.code());
        answer.with_error_message(Some(wire::text(sentence)))
    };
    k::CreateTopicsResponse::default().with_topics(message.topics.iter().map(refused).collect())
}

impl Controller {
    /// Each topic succeeds or fails by itself, unless all of them are too much for one request.
    pub(super) fn create_topics(&mut self, message: &k::CreateTopicsRequest, out: &mut Outputs) -> k::CreateTopicsResponse {
        let repeated = repeated(message.topics.iter().map(|asked| asked.name.as_str()));
        let asked: Vec<&CreatableTopic> = message.topics.iter().filter(|asked| !repeated.contains(asked.name.as_str())).collect();
        let partitions = asked.iter().map(|asked| self.partitions_asked(asked)).fold(0, usize::saturating_add);
        if (PARTITIONS_MAX as usize) < partitions {
            return too_large(message, "Excessively large number of partitions per request.");
        }
        // Nothing is made before all is checked: two names of one request may collide, as in Kafka, and all may be too much.
        let mut checked = Vec::new();
        for asked in &asked {
            checked.push(self.checked_topic(asked).and_then(|topic| self.spend(topic.replicas.len() as i32).map(|()| topic)));
        }
        if RECORDS_MAX < checked.iter().flatten().map(NewTopic::records).sum::<usize>() {
            return too_large(message, "Unable to perform excessively large batch operation.");
        }
        let mut response = k::CreateTopicsResponse::default();
        for (asked, checked) in asked.into_iter().zip(checked) {
            let mut answer = CreatableTopicResult::default();
            answer.name = asked.name.clone();
            match checked {
                Err((error, sentence)) => {
                    answer.error_code = error.code();
                    answer.error_message = Some(StrBytes::from_string(sentence));
                }
                Ok(topic) => {
                    answer.error_message = None;
                    answer.num_partitions = topic.replicas.len() as i32;
                    answer.replication_factor = topic.replication_factor;
                    // One that is only tried has an id all the same.
                    answer.topic_id = Uuid::from_u64_pair(self.chance.draw(), self.chance.draw());
                    if !message.validate_only {
                        self.create(answer.topic_id, topic, out);
                    }
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

    /// How many partitions are wanted for a topic, whether it gets them or not.
    fn partitions_asked(&self, asked: &CreatableTopic) -> usize {
        let partitions = match asked.num_partitions {
            _ if !asked.assignments.is_empty() => return asked.assignments.len(),
            -1 => self.config.default_partitions,
            partitions => partitions,
        };
        usize::try_from(partitions).unwrap_or(0)
    }

    fn checked_topic(&mut self, asked: &CreatableTopic) -> Result<NewTopic, Refused> {
        let name: &str = &asked.name;
        self.check_new_name(name)?;
        let nulls: Vec<&str> = asked.configs.iter().filter(|config| config.value.is_none()).map(|config| &*config.name).collect();
        if !nulls.is_empty() {
            return Err((ErrorCode::InvalidConfig, format!("Null value not supported for topic configs: {}", nulls.join(","))));
        }
        let given = asked.configs.iter().filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())));
        let configs = checked_configs(given)?;
        self.check_remote_storage(&configs, None)?;
        let replicas = if asked.assignments.is_empty() { self.placed(asked)? } else { self.assigned(asked)? };
        let replication_factor = replicas.first().map_or(0, |first| first.len() as i16);
        Ok(NewTopic { name: Arc::from(name), configs, replicas, replication_factor })
    }

    /// Whether a new topic may be called so.
    fn check_new_name(&self, name: &str) -> Result<(), Refused> {
        if name == METADATA_TOPIC {
            return Err((ErrorCode::InvalidRequest, format!("Creation of internal topic {METADATA_TOPIC} is prohibited.")));
        }
        validate_topic_name(name).map_err(|sentence| (ErrorCode::InvalidTopicException, sentence.to_string()))?;
        if self.image.topic_ids.contains_key(name) {
            return Err((ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        match self.image.topic_ids.keys().find(|other| collides(name, other)) {
            Some(other) => Err((ErrorCode::InvalidTopicException, format!("Topic '{name}' collides with existing topic: {other}"))),
            None => Ok(()),
        }
    }

    /// The replicas of each partition, where the request leaves them to the controller.
    fn placed(&mut self, asked: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refused> {
        let factor = if asked.replication_factor == -1 { self.config.default_replication_factor } else { asked.replication_factor };
        if factor < 1 {
            return Err((ErrorCode::InvalidReplicationFactor, format!("The replication factor is at least 1, not {factor}.")));
        }
        let partitions = if asked.num_partitions == -1 { self.config.default_partitions } else { asked.num_partitions };
        if partitions < 1 {
            return Err((ErrorCode::InvalidPartitions, format!("A topic has at least 1 partition, not {partitions}.")));
        }
        self.place(partitions, factor)
    }

    /// The replicas of each partition, where the request names them.
    fn assigned(&self, asked: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refused> {
        if asked.replication_factor != -1 || asked.num_partitions != -1 {
            let sentence = "Replicas are named for each partition: then the number of partitions and the replication factor are -1.";
            return Err((ErrorCode::InvalidRequest, sentence.to_owned()));
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

    fn create(&mut self, id: Uuid, topic: NewTopic, out: &mut Outputs) {
        let (name, partitions) = (topic.name.clone(), topic.replicas.len() as i32);
        out.note(NoteKind::TopicCreated { topic: name.clone(), partitions, replication_factor: topic.replication_factor });
        self.decide(MetadataRecord::Topic { id, name: name.clone(), configs: topic.configs });
        self.add_partitions(id, &name, 0, topic.replicas, out);
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
