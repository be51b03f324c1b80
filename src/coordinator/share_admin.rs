//! What an admin asks of share groups: what they are like, where they are, and to go on from elsewhere or to forget it (KIP-932).
//!
//! Where a group reads is not in its own records: the share coordinators know. Only an empty group can be told to go on from elsewhere. Source:
//! `GroupCoordinatorService.alterShareGroupOffsets`, `deleteShareGroupOffsets`, `describeShareGroupOffsets`, `GroupMetadataManager`.

use super::admin::{Doomed, no_such_group, operations};
use super::share_group::places;
use super::share_tasks::{ShareWish, UNKNOWN_START, Work};
use super::{Append, Coordinator, Effects, Group, ReplyTo, ShareGroup, Then, partition_for};
use crate::node::Time;
use crate::ordered::OrderedSet;
use crate::protocol::ErrorCode;
use crate::protocol::consumer_group_records::Place;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::share_records::ShareKey;
use crate::protocol::wire::{self, Response};
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use uuid::Uuid;

const NOTHING_TO_DELETE: &str = "There is no offset information to delete.";

impl Coordinator {
    /// `image` has the names of topics.
    pub fn describe_share_groups(&self, message: &k::ShareGroupDescribeRequest, image: &MetadataImage) -> k::ShareGroupDescribeResponse {
        let describe = |id: &k::GroupId| {
            let refused = |error: ErrorCode| k::share_group_describe_response::DescribedGroup::default().with_error_code(error.code());
            let described = match self.group(id) {
                _ if id.is_empty() => refused(ErrorCode::InvalidGroupId),
                Ok(Some(Group { share: Some(share), .. })) => share.describe(image),
                Ok(other) => refused(ErrorCode::GroupIdNotFound).with_error_message(Some(no_such_group(id, other, "share"))),
                Err(error) => refused(error),
            };
            let operations = operations(message.include_authorized_operations, described.error_code);
            described.with_group_id(id.clone()).with_authorized_operations(operations)
        };
        k::ShareGroupDescribeResponse::default().with_groups(message.group_ids.iter().map(describe).collect())
    }

    /// Where groups are in their partitions: those that are asked about, or all of which there is a state.
    pub fn describe_share_offsets(
        &mut self,
        reply: ReplyTo,
        message: &k::DescribeShareGroupOffsetsRequest,
        image: &MetadataImage,
        effects: &mut Effects,
    ) {
        use k::describe_share_group_offsets_response as answer;
        let mut wishes = Vec::new();
        let mut response = k::DescribeShareGroupOffsetsResponse::default();
        for asked in &message.groups {
            let id: Arc<str> = Arc::from(asked.group_id.as_str());
            let mut told = answer::DescribeShareGroupOffsetsResponseGroup::default().with_group_id(asked.group_id.clone());
            let known = match self.group(&id) {
                _ if id.is_empty() => Err(ErrorCode::InvalidGroupId),
                known => known,
            };
            let topics: Vec<(k::TopicName, Vec<i32>)> = match (&asked.topics, &known) {
                (_, Err(error)) => {
                    (told.error_code, told.error_message) = (error.code(), Some(wire::text(error.message())));
                    Vec::new()
                }
                (Some(topics), _) => topics.iter().map(|topic| (topic.topic_name.clone(), topic.partitions.clone())).collect(),
                (None, Ok(known)) => known.and_then(|group| group.share.as_deref()).map(|share| share.by_topic(image)).unwrap_or_default(),
            };
            for (name, indexes) in topics {
                let topic = image.topic(&name).map_or(Uuid::nil(), |topic| topic.id);
                if !topic.is_nil() {
                    let key = |index: i32| ShareKey { group: id.clone(), topic, index };
                    wishes.extend(indexes.iter().map(|index| (key(*index), ShareWish::Summary)));
                }
                let partition = |index: &i32| {
                    answer::DescribeShareGroupOffsetsResponsePartition::default()
                        .with_partition_index(*index)
                        .with_start_offset(UNKNOWN_START)
                };
                let partitions = indexes.iter().map(partition).collect();
                let described = answer::DescribeShareGroupOffsetsResponseTopic::default().with_topic_name(name).with_topic_id(topic);
                told.topics.push(described.with_partitions(partitions));
            }
            response.groups.push(told);
        }
        let task = self.plan_share_wishes(Arc::from(""), wishes, Work::Describe(reply, response));
        self.start_share_task(task, image, effects);
    }

    /// A group goes on from elsewhere: its next epoch is that of the new states.
    pub fn alter_share_offsets(
        &mut self,
        now: Time,
        reply: ReplyTo,
        message: &k::AlterShareGroupOffsetsRequest,
        image: &MetadataImage,
        effects: &mut Effects,
    ) {
        use k::alter_share_group_offsets_response as answer;
        let refuse = |error: ErrorCode, words: StrBytes| {
            let response = k::AlterShareGroupOffsetsResponse::default().with_error_code(error.code());
            (reply, Response::AlterShareGroupOffsets(Arc::new(response.with_error_message(Some(words)))))
        };
        let before = match self.empty_share_group(&message.group_id, true) {
            Ok(group) => group,
            Err((error, words)) => return effects.replies.push(refuse(error, words)),
        };
        let id: Arc<str> = Arc::from(message.group_id.as_str());
        let mut group = before.clone().unwrap_or_default();
        let mut records = vec![group.raise_epoch(&id)];
        let mut wishes = Vec::new();
        let mut response = k::AlterShareGroupOffsetsResponse::default();
        for topic in &message.topics {
            let known = image.topic(&topic.topic_name);
            let (topic_id, count) = known.map_or((Uuid::nil(), 0), |topic| (topic.id, topic.partitions.len() as i32));
            let mut told =
                answer::AlterShareGroupOffsetsResponseTopic::default().with_topic_name(topic.topic_name.clone()).with_topic_id(topic_id);
            for partition in &topic.partitions {
                let mut result = answer::AlterShareGroupOffsetsResponsePartition::default().with_partition_index(partition.partition_index);
                if (0..count).contains(&partition.partition_index) {
                    let place = (topic_id, partition.partition_index);
                    let wish = ShareWish::Initialize { state_epoch: group.epoch, start_offset: partition.start_offset };
                    // What is said last of a partition counts.
                    wishes.retain(|(other, _)| *other != place);
                    wishes.push((place, wish));
                    group.initializing.insert(place, now);
                    group.deleting.remove(&topic_id);
                } else {
                    let error = ErrorCode::UnknownTopicOrPartition;
                    (result.error_code, result.error_message) = (error.code(), Some(wire::text(error.message())));
                }
                told.partitions.push(result);
            }
            response.responses.push(told);
        }
        records.push(group.partitions_record(&id, image));
        if let Ok(shard) = self.shard_mut(&id) {
            shard.group(&id).share = Some(group);
        }
        let task = self.plan_share_task(&id, wishes, Work::Initialize(Some((reply, response))));
        self.write_share_group(id, before, records, None, Some(task), effects);
    }

    /// A group forgets where it was in topics: when it comes back it begins there as a new one does.
    pub fn delete_share_offsets(
        &mut self,
        reply: ReplyTo,
        message: &k::DeleteShareGroupOffsetsRequest,
        image: &MetadataImage,
        effects: &mut Effects,
    ) {
        use k::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic as Topic;
        let refuse = |error: ErrorCode, words: StrBytes| {
            let response = k::DeleteShareGroupOffsetsResponse::default().with_error_code(error.code());
            (reply, Response::DeleteShareGroupOffsets(Arc::new(response.with_error_message(Some(words)))))
        };
        let before = match self.empty_share_group(&message.group_id, false) {
            Ok(group) => group,
            Err((error, words)) => return effects.replies.push(refuse(error, words)),
        };
        let id: Arc<str> = Arc::from(message.group_id.as_str());
        let mut group = before.clone().unwrap_or_default();
        let mut wishes = Vec::new();
        let mut response = k::DeleteShareGroupOffsetsResponse::default();
        for topic in &message.topics {
            let mut told = Topic::default().with_topic_name(topic.topic_name.clone());
            let places = image.topic(&topic.topic_name).map(|topic| (topic.id, group.forget_topic(topic.id, topic.partitions.len())));
            let error = match places {
                None => Some((ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicOrPartition.message())),
                Some((_, places)) if places.is_empty() => Some((ErrorCode::UnknownTopicOrPartition, NOTHING_TO_DELETE)),
                Some((topic, places)) => {
                    told.topic_id = topic;
                    wishes.extend(places.into_iter().map(|place| (place, ShareWish::Delete)));
                    None
                }
            };
            if let Some((error, words)) = error {
                (told.error_code, told.error_message) = (error.code(), Some(wire::text(words)));
            }
            response.responses.push(told);
        }
        if wishes.is_empty() {
            return effects.replies.push((reply, Response::DeleteShareGroupOffsets(Arc::new(response))));
        }
        let records = vec![group.partitions_record(&id, image)];
        if let Some(known) = self.group_mut(&id) {
            known.share = Some(group);
        }
        let task = self.plan_share_task(&id, wishes, Work::DeleteOffsets(reply, response));
        self.write_share_group(id, before, records, None, Some(task), effects);
    }

    /// A share group that is to be deleted: first the share coordinators forget it. Its records go when they have.
    pub(super) fn delete_share_group(&mut self, id: &str, deletion: u64, image: &MetadataImage, effects: &mut Effects) {
        let Some(group) = self.group_mut(id).and_then(|group| group.share.as_mut()) else { return };
        let before = Some(group.clone());
        let begun = group.initialized.iter().chain(group.initializing.keys()).map(|place| place.0);
        let topics: OrderedSet<Uuid> = begun.chain(group.deleting.iter().copied()).collect();
        let count = |topic: &Uuid| image.topics.get(topic).map_or(0, |topic| topic.partitions.len());
        let places: Vec<Place> = topics.iter().flat_map(|topic| group.forget_topic(*topic, count(topic))).collect();
        let records = vec![group.partitions_record(id, image)];
        let id: Arc<str> = Arc::from(id);
        let wishes = places.into_iter().map(|place| (place, ShareWish::Delete)).collect();
        let task = self.plan_share_task(&id, wishes, Work::DeleteGroup(deletion));
        self.write_share_group(id, before, records, None, Some(task), effects);
    }

    /// The share coordinators have forgotten a group that is to be deleted.
    pub(super) fn write_share_tombstones(&mut self, deletion: u64, id: Arc<str>, effects: &mut Effects) {
        let doomed: Vec<Doomed> = vec![(id.clone(), Vec::new())];
        match self.group(&id) {
            Ok(Some(group)) if group.is_empty() => {
                let then = Then::GroupsDeleted { deletion: Some(deletion), groups: doomed };
                effects.appends.push(Append {
                    partition: partition_for(&id, self.config.partitions),
                    records: group.tombstones(&[]),
                    then,
                });
            }
            Ok(Some(_)) => self.groups_not_deleted(Some(deletion), &doomed, ErrorCode::NonEmptyGroup, effects),
            Ok(None) => self.groups_not_deleted(Some(deletion), &doomed, ErrorCode::GroupIdNotFound, effects),
            Err(error) => self.groups_not_deleted(Some(deletion), &doomed, error, effects),
        }
    }

    /// A share group without members; `None`: it is yet to be made, if it may be.
    fn empty_share_group(&self, id: &str, may_make: bool) -> Result<Option<Box<ShareGroup>>, (ErrorCode, StrBytes)> {
        let refuse = |error: ErrorCode| (error, wire::text(error.message()));
        if id.is_empty() {
            return Err(refuse(ErrorCode::InvalidGroupId));
        }
        match self.group(id).map_err(refuse)? {
            Some(Group { share: Some(share), .. }) if share.members.is_empty() => Ok(Some(share.clone())),
            Some(Group { share: Some(_), .. }) => Err(refuse(ErrorCode::NonEmptyGroup)),
            None if may_make => Ok(None),
            other => Err((ErrorCode::GroupIdNotFound, no_such_group(id, other, "share"))),
        }
    }
}

impl ShareGroup {
    /// Partitions of which there is a state, by the names of their topics.
    fn by_topic(&self, image: &MetadataImage) -> Vec<(k::TopicName, Vec<i32>)> {
        let mut topics: Vec<(k::TopicName, Vec<i32>)> = Vec::new();
        for (topic, index) in self.initialized.iter() {
            let Some(name) = image.topics.get(topic).map(|topic| wire::topic(&topic.name)) else { continue };
            match topics.last_mut().filter(|(last, _)| *last == name) {
                Some((_, indexes)) => indexes.push(*index),
                None => topics.push((name, vec![*index])),
            }
        }
        topics
    }

    /// What the share coordinators have of a topic is to be forgotten: the partitions that they may have something of.
    fn forget_topic(&mut self, topic: Uuid, count: usize) -> Vec<Place> {
        let is_own = |place: &&Place| place.0 == topic;
        let mut places: Vec<Place> = self.initialized.iter().chain(self.initializing.keys()).filter(is_own).copied().collect();
        if self.deleting.contains(&topic) {
            places = self::places(topic, count).collect();
        }
        self.initialized = self.initialized.iter().filter(|place| place.0 != topic).copied().collect();
        self.initializing.retain(|place, _| place.0 != topic);
        if !places.is_empty() {
            self.deleting.insert(topic);
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    fn describe(&self, image: &MetadataImage) -> k::share_group_describe_response::DescribedGroup {
        use k::share_group_describe_response as answer;
        let members = self.members.iter().map(|(id, member)| {
            let mut topics: Vec<answer::TopicPartitions> = Vec::new();
            for (topic, index) in &member.assigned {
                let Some(name) = image.topics.get(topic).map(|topic| wire::topic(&topic.name)) else { continue };
                match topics.last_mut().filter(|last| last.topic_id == *topic) {
                    Some(last) => last.partitions.push(*index),
                    None => topics
                        .push(answer::TopicPartitions::default().with_topic_id(*topic).with_topic_name(name).with_partitions(vec![*index])),
                }
            }
            answer::Member::default()
                .with_member_id(wire::text(id))
                .with_member_epoch(member.epoch)
                .with_rack_id(member.rack_id.as_deref().map(wire::text))
                .with_client_id(wire::text(&member.client_id))
                .with_client_host(wire::text(&format!("/{}", member.client_id)))
                .with_subscribed_topic_names(member.topics.iter().map(|topic| wire::topic(topic)).collect())
                .with_assignment(answer::Assignment::default().with_topic_partitions(topics))
        });
        answer::DescribedGroup::default()
            .with_group_state(wire::text(self.state_name()))
            .with_group_epoch(self.epoch)
            .with_assignment_epoch(self.target_epoch)
            .with_assignor_name(wire::text(super::SIMPLE))
            .with_members(members.collect())
    }
}
