//! Adding partitions to a topic.
//!
//! Source: `ReplicationControlManager.createPartitions`. A topic never gets fewer; new partitions have as many replicas as partition 0.

use super::topics::{DUPLICATE_NAME, PARTITIONS_MAX};
use super::{Controller, Refused};
use crate::mutant;
use crate::node::{NoteKind, Outputs};
use crate::ordered::repeated;
use crate::protocol::ErrorCode;
use crate::protocol::wire;
use k::create_partitions_request::CreatePartitionsTopic;
use k::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// What may be added: to which topic, from which index on, and the replicas of each new partition.
struct Addition {
    id: Uuid,
    name: Arc<str>,
    first: i32,
    placed: Vec<Vec<i32>>,
}

impl Controller {
    /// Each topic succeeds or fails by itself.
    pub(super) fn create_partitions(&mut self, message: &k::CreatePartitionsRequest, out: &mut Outputs) -> k::CreatePartitionsResponse {
        let mut response = k::CreatePartitionsResponse::default();
        let repeated = repeated(message.topics.iter().map(|asked| asked.name.as_str()));
        for name in repeated.iter() {
            let answer =
                CreatePartitionsTopicResult::default().with_name(wire::topic(name)).with_error_code(ErrorCode::InvalidRequest.code());
            response.results.push(answer.with_error_message(Some(wire::text(DUPLICATE_NAME))));
        }
        for asked in message.topics.iter().filter(|asked| !repeated.contains(asked.name.as_str())) {
            let mut answer = CreatePartitionsTopicResult::default();
            answer.name = asked.name.clone();
            let checked = self.checked_partitions(asked);
            match checked.and_then(|more| self.spend(more.placed.len() as i32).map(|()| more)) {
                Err((error, sentence)) => {
                    answer.error_code = error.code();
                    answer.error_message = Some(wire::text(&sentence));
                }
                Ok(_) if message.validate_only => {}
                Ok(Addition { id, name, first, placed }) => {
                    let partitions = first + placed.len() as i32;
                    out.note(NoteKind::PartitionsCreated { topic: name.clone(), from: first, partitions });
                    // The mistake: the topic's partitions are decided anew, not added to.
                    let first = if mutant::is("partitions-made-anew") { 0 } else { first };
                    self.add_partitions(id, &name, first, placed, out);
                }
            }
            response.results.push(answer);
        }
        response.throttle_time_ms = self.mutations.throttle_ms;
        response
    }

    fn checked_partitions(&mut self, asked: &CreatePartitionsTopic) -> Result<Addition, Refused> {
        let name: &str = &asked.name;
        let topic = self.image.topic(name);
        let topic = topic.ok_or_else(|| (ErrorCode::UnknownTopicOrPartition, format!("There is no topic {name}.")))?;
        let first = topic.partitions.len() as i32;
        if asked.count <= first || PARTITIONS_MAX < asked.count {
            let sentence =
                format!("Topic {name} has {first} partitions and can get more, up to {PARTITIONS_MAX}; {} is no such number.", asked.count);
            return Err((ErrorCode::InvalidPartitions, sentence));
        }
        let (id, name) = (topic.id, topic.name.clone());
        let factor = topic.partitions.first().map_or(1, |state| state.replicas.len());
        let more = asked.count - first;
        let placed = match &asked.assignments {
            None => self.place(more, factor as i16)?,
            Some(assignments) if assignments.len() != more as usize => {
                let sentence = format!("Replicas are named for {} partitions, where {more} are added.", assignments.len());
                return Err((ErrorCode::InvalidReplicaAssignment, sentence));
            }
            Some(assignments) => {
                let checked = assignments.iter().map(|one| self.checked_new_assignment(&one.broker_ids, Some(factor)));
                checked.collect::<Result<_, _>>()?
            }
        };
        Ok(Addition { id, name, first, placed })
    }
}
