//! What the group coordinator has the share coordinators do for share groups: begin states, forget them, tell of them (KIP-932).
//!
//! Owns the tasks under way. First the group's own record says what is meant to happen, so that a later coordinator can see to it; when that is
//! committed the share coordinators are asked, partition by partition; when all have answered a second record says how it ended, and whoever waits hears so.
//! It must not know how the share coordinators are reached: that is the broker's. Source: `GroupCoordinatorService.persisterInitialize`,
//! `deleteShareGroups`, `deleteShareGroupOffsetsState`, `readShareGroupStateSummary`.

use super::consumer_group::Records;
use super::{Append, Coordinator, Effects, ReplyTo, ShareGroup, Then, coordinator_error, may_be_in_the_log, partition_for};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::share_records::{ShareKey, ShareState};
use crate::protocol::wire::{self, Response};
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// Nobody says where reading begins: `share.auto.offset.reset` does.
pub(super) const UNKNOWN_START: i64 = -1;

/// What is wanted of the share coordinator of one share partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShareWish {
    Initialize { state_epoch: i32, start_offset: i64 },
    Delete,
    Summary,
}

/// What becomes of a task when all have answered.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// A group begins to read, or goes on from elsewhere: then an admin waits.
    Initialize(Option<(ReplyTo, k::AlterShareGroupOffsetsResponse)>),
    DeleteOffsets(ReplyTo, k::DeleteShareGroupOffsetsResponse),
    /// By the number of the DeleteGroups request.
    DeleteGroup(u64),
    Describe(ReplyTo, k::DescribeShareGroupOffsetsResponse),
}

type Told = Result<Option<ShareState>, ErrorCode>;

#[derive(Clone, Debug)]
pub(super) struct ShareTask {
    group: Arc<str>,
    wishes: Vec<(ShareKey, ShareWish)>,
    told: OrderedMap<ShareKey, Told>,
    work: Work,
}

impl Coordinator {
    /// A task that begins when the record is committed which tells of it.
    pub(super) fn plan_share_task(&mut self, group: &Arc<str>, wishes: Vec<((Uuid, i32), ShareWish)>, work: Work) -> u64 {
        let key = |(topic, index): (Uuid, i32)| ShareKey { group: group.clone(), topic, index };
        let wishes = wishes.into_iter().map(|(place, wish)| (key(place), wish)).collect();
        self.plan_share_wishes(group.clone(), wishes, work)
    }

    pub(super) fn plan_share_wishes(&mut self, group: Arc<str>, wishes: Vec<(ShareKey, ShareWish)>, work: Work) -> u64 {
        self.next_share_task += 1;
        self.share_tasks.insert(self.next_share_task, ShareTask { group, wishes, told: OrderedMap::new(), work });
        self.next_share_task
    }

    pub(super) fn start_share_task(&mut self, number: u64, image: &MetadataImage, effects: &mut Effects) {
        let Some(task) = self.share_tasks.get(&number) else { return };
        effects.shares.extend(task.wishes.iter().map(|(key, wish)| (number, key.clone(), *wish)));
        if task.wishes.is_empty() {
            self.finish_share_task(number, image, effects);
        }
    }

    /// A share coordinator has done what was wanted, or could not.
    pub fn share_told(&mut self, number: u64, key: &ShareKey, told: Told, image: &MetadataImage, effects: &mut Effects) {
        let Some(task) = self.share_tasks.get_mut(&number) else { return };
        task.told.insert(key.clone(), told);
        if task.wishes.iter().all(|(key, _)| task.told.contains_key(key)) {
            self.finish_share_task(number, image, effects);
        }
    }

    fn finish_share_task(&mut self, number: u64, image: &MetadataImage, effects: &mut Effects) {
        let Some(ShareTask { group, told, work, .. }) = self.share_tasks.remove(&number) else { return };
        let error_of = |topic: Uuid, index: i32| match told.get(&ShareKey { group: group.clone(), topic, index }) {
            Some(Err(error)) => Some(*error),
            _ => None,
        };
        let answer = match work {
            Work::Describe(reply, mut response) => {
                tell_states(&mut response, &told);
                effects.replies.push((reply, Response::DescribeShareGroupOffsets(Arc::new(response))));
                return;
            }
            Work::DeleteGroup(deletion) => {
                match told.values().find_map(|told| told.as_ref().err()) {
                    Some(error) => self.groups_not_deleted(Some(deletion), &[(group, Vec::new())], *error, effects),
                    None => self.write_share_tombstones(deletion, group, effects),
                }
                return;
            }
            Work::Initialize(waiting) => waiting.map(|(reply, mut response)| {
                for topic in &mut response.responses {
                    for partition in topic.partitions.iter_mut().filter(|partition| partition.error_code == 0) {
                        let error = error_of(topic.topic_id, partition.partition_index);
                        (partition.error_code, partition.error_message) = told_error(error);
                    }
                }
                (reply, Response::AlterShareGroupOffsets(Arc::new(response)))
            }),
            Work::DeleteOffsets(reply, mut response) => {
                for topic in response.responses.iter_mut().filter(|topic| topic.error_code == 0) {
                    let error =
                        told.iter().filter(|(key, _)| key.topic == topic.topic_id).find_map(|(_, told)| told.as_ref().err().copied());
                    (topic.error_code, topic.error_message) = told_error(error);
                }
                Some((reply, Response::DeleteShareGroupOffsets(Arc::new(response))))
            }
        };
        let Some(state) = self.group_mut(&group).and_then(|group| group.share.as_mut()) else {
            // Another coordinator goes by what the record before says.
            let refuse = |(reply, response): (ReplyTo, Response)| (reply, refused(&response, ErrorCode::NotCoordinator));
            effects.replies.extend(answer.map(refuse));
            return;
        };
        let before = Some(state.clone());
        let failed: OrderedSet<Uuid> = told.iter().filter(|(_, told)| told.is_err()).map(|(key, _)| key.topic).collect();
        for (key, told) in &told {
            let place = (key.topic, key.index);
            if state.initializing.remove(&place).is_some() && told.is_ok() {
                state.initialized.insert(place);
            }
            if !failed.contains(&key.topic) {
                state.deleting.remove(&key.topic);
            }
        }
        let records = vec![state.partitions_record(&group, image)];
        self.write_share_group(group, before, records, answer, None, effects);
    }

    /// Writes what has changed of a share group; `before`: the group as it was, if that cannot be written. Then somebody hears so, or a task begins.
    pub(super) fn write_share_group(
        &self,
        group: Arc<str>,
        before: Option<Box<ShareGroup>>,
        records: Records,
        told: Option<(ReplyTo, Response)>,
        task: Option<u64>,
        effects: &mut Effects,
    ) {
        let partition = partition_for(&group, self.config.partitions);
        effects.appends.push(Append { partition, records, then: Then::ShareGroupStored { group, before, told, task } });
    }

    /// What was to be written of a share group could not be: it is as before, unless the record may yet come to be committed.
    pub(super) fn share_group_not_stored(
        &mut self,
        group: Arc<str>,
        before: Option<Box<ShareGroup>>,
        told: Option<(ReplyTo, Response)>,
        task: Option<u64>,
        error: ErrorCode,
        effects: &mut Effects,
    ) {
        if let Some(state) = self.group_mut(&group).filter(|_| !may_be_in_the_log(error)) {
            state.share = before;
            let was_made = state.is_nothing();
            if let Some(shard) = self.shards.get_mut(&partition_for(&group, self.config.partitions)).filter(|_| was_made) {
                shard.groups.remove(&group);
            }
        }
        let error = coordinator_error(error);
        effects.replies.extend(told.map(|(reply, response)| (reply, refused(&response, error))));
        match task.and_then(|number| self.share_tasks.remove(&number)).map(|task| task.work) {
            Some(Work::Initialize(Some((reply, response)))) => {
                effects.replies.push((reply, refused(&Response::AlterShareGroupOffsets(Arc::new(response)), error)));
            }
            Some(Work::DeleteOffsets(reply, response)) => {
                effects.replies.push((reply, refused(&Response::DeleteShareGroupOffsets(Arc::new(response)), error)));
            }
            Some(Work::DeleteGroup(deletion)) => self.groups_not_deleted(Some(deletion), &[(group, Vec::new())], error, effects),
            Some(Work::Initialize(None) | Work::Describe(..)) | None => {}
        }
    }

    /// Topics are deleted: share groups know no states of theirs any more, which the share coordinators see to themselves.
    pub fn share_topics_deleted(&mut self, image: &MetadataImage, effects: &mut Effects) {
        for (partition, shard) in &mut self.shards {
            for known in shard.groups.values_mut() {
                let Some(group) = known.share.as_mut() else { continue };
                let is_gone = |topic: &Uuid| !image.topics.contains_key(topic);
                let places = group.initialized.iter().chain(group.initializing.keys()).map(|place| &place.0);
                if !places.chain(group.deleting.iter()).any(is_gone) {
                    continue;
                }
                let before = Some(group.clone());
                group.initialized = group.initialized.iter().filter(|place| !is_gone(&place.0)).copied().collect();
                group.initializing.retain(|place, _| !is_gone(&place.0));
                group.deleting = group.deleting.iter().filter(|topic| !is_gone(topic)).copied().collect();
                let records = vec![group.partitions_record(&known.id, image)];
                let then = Then::ShareGroupStored { group: known.id.clone(), before, told: None, task: None };
                effects.appends.push(Append { partition: *partition, records, then });
            }
        }
    }
}

fn told_error(error: Option<ErrorCode>) -> (i16, Option<kafka_protocol::protocol::StrBytes>) {
    error.map_or((0, None), |error| (error.code(), Some(wire::text(error.message()))))
}

/// The answer that says why not instead.
fn refused(response: &Response, error: ErrorCode) -> Response {
    let words = Some(wire::text(error.message()));
    match response {
        Response::AlterShareGroupOffsets(_) => Response::AlterShareGroupOffsets(Arc::new(
            k::AlterShareGroupOffsetsResponse::default().with_error_code(error.code()).with_error_message(words),
        )),
        Response::DeleteShareGroupOffsets(_) => Response::DeleteShareGroupOffsets(Arc::new(
            k::DeleteShareGroupOffsetsResponse::default().with_error_code(error.code()).with_error_message(words),
        )),
        _ => super::share_heartbeat::refused(error, ""),
    }
}

/// Fills in where the groups are; what is not known is no error, as with OffsetFetch.
fn tell_states(response: &mut k::DescribeShareGroupOffsetsResponse, told: &OrderedMap<ShareKey, Told>) {
    for group in &mut response.groups {
        let id: Arc<str> = Arc::from(group.group_id.as_str());
        for topic in &mut group.topics {
            for partition in &mut topic.partitions {
                let key = ShareKey { group: id.clone(), topic: topic.topic_id, index: partition.partition_index };
                if let Some(Ok(Some(state))) = told.get(&key) {
                    (partition.start_offset, partition.leader_epoch) = (state.start_offset, state.leader_epoch);
                }
            }
        }
    }
}
