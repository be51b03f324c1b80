//! Deleting topics, by name or by id.
//!
//! Source: `ControllerApis.deleteTopics`, `ReplicationControlManager.deleteTopic`; KIP-516 (topic ids). Internal topics go like any other. The
//! brokers learn of it from the metadata log, and the name may be given again at once: to another topic, with another id.

use super::{Controller, Refused};
use crate::node::{NoteKind, Outputs};
use crate::ordered::repeated;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataRecord;
use crate::protocol::wire;
use k::delete_topics_request::DeleteTopicState;
use k::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages as k;
use uuid::Uuid;

fn named_twice() -> Refused {
    (ErrorCode::InvalidRequest, "A topic may be named once.".to_owned())
}

fn as_named(topic: &DeleteTopicState) -> (Option<&str>, Uuid) {
    (topic.name.as_ref().map(|name| name.as_str()), topic.topic_id)
}

fn in_kafkas_words(error: ErrorCode) -> Refused {
    (error, error.message().to_owned())
}

fn refuse(answer: &mut DeletableTopicResult, (error, sentence): Refused) {
    answer.error_code = error.code();
    answer.error_message = Some(wire::text(&sentence));
}

impl Controller {
    /// Each topic succeeds or fails by itself.
    pub(super) fn delete_topics(&mut self, message: &k::DeleteTopicsRequest, out: &mut Outputs) -> k::DeleteTopicsResponse {
        // Requests before version 6 know names only.
        let named = message.topic_names.iter().map(|name| DeleteTopicState::default().with_name(Some(name.clone())));
        let asked: Vec<DeleteTopicState> = named.chain(message.topics.iter().cloned()).collect();
        // All are looked at before any goes: who is named twice is not deleted at all.
        let twice = repeated(asked.iter().map(as_named));
        let meant: Vec<Result<Uuid, Refused>> =
            asked.iter().map(|topic| if twice.contains(&as_named(topic)) { Err(named_twice()) } else { self.meant(topic) }).collect();
        let meant_twice = repeated(meant.iter().flatten().copied());
        let mut response = k::DeleteTopicsResponse::default();
        for (topic, found) in asked.into_iter().zip(meant) {
            let mut answer = DeletableTopicResult::default().with_name(topic.name).with_topic_id(topic.topic_id);
            match found {
                Ok(id) if meant_twice.contains(&id) => refuse(&mut answer, named_twice()),
                Ok(id) => {
                    let partitions = self.image.topics.get(&id).map_or(0, |topic| topic.partitions.len() as i32);
                    match self.spend(partitions) {
                        Ok(()) => {
                            answer.topic_id = id;
                            answer.name = self.delete(id, out);
                        }
                        Err(refused) => refuse(&mut answer, refused),
                    }
                }
                Err(refused) => refuse(&mut answer, refused),
            }
            response.responses.push(answer);
        }
        response.throttle_time_ms = self.mutations.throttle_ms;
        response
    }

    /// The topic that is to be deleted.
    fn meant(&self, topic: &DeleteTopicState) -> Result<Uuid, Refused> {
        if !self.config.delete_topics {
            return Err(in_kafkas_words(ErrorCode::TopicDeletionDisabled));
        }
        let found = match &topic.name {
            Some(_) if !topic.topic_id.is_nil() => return Err((ErrorCode::InvalidRequest, "Name a topic or its id, not both.".to_owned())),
            None if topic.topic_id.is_nil() => return Err((ErrorCode::InvalidRequest, "Name a topic or its id.".to_owned())),
            Some(name) => self.image.topic_ids.get(name.as_str()).copied().ok_or(ErrorCode::UnknownTopicOrPartition),
            None => Some(topic.topic_id).filter(|id| self.image.topics.contains_key(id)).ok_or(ErrorCode::UnknownTopicId),
        };
        found.map_err(in_kafkas_words)
    }

    fn delete(&mut self, id: Uuid, out: &mut Outputs) -> Option<k::TopicName> {
        let topic = self.image.topics.get(&id)?;
        let (name, partitions) = (topic.name.clone(), topic.partitions.len() as i32);
        self.decide(MetadataRecord::RemoveTopic { id });
        let wire_name = wire::topic(&name);
        out.note(NoteKind::TopicDeleted { topic: name, partitions });
        Some(wire_name)
    }
}
