//! What an admin wants of a group's coordinator while there is none: the group's topic is made by asking for it, and the admin asks again.
//!
//! Source: `AdminApiDriver` with its `CoordinatorStrategy`: each try is a lookup and, when that names somebody, the request itself.

use super::world::Event;
use super::{ProcessState, Trace, World, world};
use crate::node::{MS, NodeId, Note, NoteKind, Partition, Time};
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, Request, Response};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// `retry.backoff.ms` of an admin client.
const BACKOFF: Time = 100 * MS;
/// `default.api.timeout.ms` of an admin client.
const PATIENCE: Time = 60_000 * MS;

/// Offsets that are to be committed for a group as soon as it has a coordinator.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    commit: Arc<k::OffsetCommitRequest>,
    until: Time,
}

impl World {
    /// Commits offsets of a group whose coordinator may still have to come: now, or when it is there.
    pub fn commit_when_coordinated(&mut self, commit: Arc<k::OffsetCommitRequest>, trace: &mut Trace) {
        let until = self.now() + PATIENCE;
        self.run_errand(Errand { commit, until }, trace);
    }

    pub(super) fn run_errand(&mut self, errand: Errand, trace: &mut Trace) {
        let error = match self.coordinator_for(&errand.commit.group_id, trace) {
            Ok(broker) => {
                let answer = self.ask_broker(broker, Request::OffsetCommit(errand.commit.clone()), trace);
                answer.map_or(ErrorCode::None, |answer| answer.error())
            }
            Err(error) => error,
        };
        if error == ErrorCode::None {
            return;
        }
        if error.retriable() && self.now() + BACKOFF <= errand.until {
            self.later(BACKOFF, Event::Errand(Box::new(errand)));
            return;
        }
        let named = |topic: &k::offset_commit_request::OffsetCommitRequestTopic| {
            let name: Arc<str> = Arc::from(topic.name.as_str());
            let partition = |asked: &k::offset_commit_request::OffsetCommitRequestPartition| (name.clone(), asked.partition_index);
            topic.partitions.iter().map(partition).collect::<Vec<_>>()
        };
        let all = errand.commit.topics.iter().flat_map(named);
        let partitions = all.map(|(topic, index)| Partition { topic, index }).collect();
        let kind = NoteKind::CommitFailed { group: Arc::from(errand.commit.group_id.as_str()), partitions, error };
        trace.push(Note { time: self.now(), node: NodeId::Admin, kind });
    }

    /// Asks a broker that runs, which makes the topic of the groups if there is none.
    fn coordinator_for(&mut self, group: &k::GroupId, trace: &mut Trace) -> Result<i32, ErrorCode> {
        let runs = self.brokers().find(|(_, state)| *state == ProcessState::Running).map(|(broker, _)| broker.id());
        let broker = runs.ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let message = k::FindCoordinatorRequest::default().with_coordinator_keys(vec![wire::text(group)]);
        let answer = self.tell_broker(broker, world::admins(Request::FindCoordinator(Arc::new(message))), trace);
        let Some(Response::FindCoordinator(answer)) = answer else { return Err(ErrorCode::CoordinatorNotAvailable) };
        let found = answer.coordinators.first().ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let runs = self.broker(found.node_id.0).is_some_and(|(_, state)| state == ProcessState::Running);
        match ErrorCode::of(found.error_code) {
            ErrorCode::None if runs => Ok(found.node_id.0),
            ErrorCode::None => Err(ErrorCode::CoordinatorNotAvailable),
            error => Err(error),
        }
    }
}
