//! What an admin asks of groups: which there are, what they are like, and to delete them or some of their offsets.
//!
//! Source: `GroupCoordinatorService`, `GroupMetadataManager.listGroups`, `ClassicGroup.validateDeleteGroup` and `validateOffsetDelete`,
//! `OffsetMetadataManager.deleteOffsets`; KIP-496, KIP-518, KIP-1043. What is deleted counts as such when its tombstones are committed.

use super::consumer_group::Records;
use super::offsets::OffsetKey;
use super::{Append, Coordinator, Effects, Group, GroupState, Member, ReplyTo, Then, coordinator_error, partition_for};
use crate::node::{NoteKind, Outputs};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::ErrorCode;
use crate::protocol::consumer_protocol::Subscription;
use crate::protocol::group_records::GroupKey;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::operations;
use crate::protocol::wire::{self, Response};
use bytes::Bytes;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

/// The protocol type of consumers among the groups.
pub(super) const CONSUMER: &str = "consumer";

/// What may be done with a group, if that is asked, and there is the group.
pub(super) fn operations(asked: bool, error_code: i16) -> i32 {
    operations::told(asked && error_code == 0, operations::ON_GROUPS)
}

/// A group to be deleted, with the offsets that go with it.
pub type Doomed = (Arc<str>, Vec<OffsetKey>);

/// A DeleteGroups request whose tombstones are being written, to one or several partitions.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    reply: ReplyTo,
    response: k::DeleteGroupsResponse,
    open: usize,
}

/// The record that takes back what was committed in a partition.
pub(super) fn tombstone(group: &str, (topic, partition): &OffsetKey) -> (Bytes, Option<Bytes>) {
    (GroupKey::Offset { group: group.to_owned(), topic: topic.to_string(), partition: *partition }.to_bytes(), None)
}

/// The record that takes back a classic group.
pub(super) fn group_tombstone(group: &str) -> (Bytes, Option<Bytes>) {
    (GroupKey::Group { group: group.to_owned() }.to_bytes(), None)
}

/// What is said of a group that there is not, or that is of another kind.
pub(super) fn no_such_group(id: &str, other: Option<&Group>, kind: &str) -> StrBytes {
    wire::text(&match other {
        Some(_) => format!("Group {id} is not a {kind} group."),
        None => format!("Group {id} not found."),
    })
}

impl Group {
    /// Whether a member may read this topic; as in Kafka, yes if that cannot be known of a group of consumers.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        if let Some(consumer) = &self.consumer {
            return consumer.members.values().any(|member| consumer.topics_of(member).any(|own| own == topic));
        }
        self.protocol_type == CONSUMER && self.subscribes_to(topic).unwrap_or(true)
    }

    pub(super) fn subscribes_to(&self, topic: &str) -> Option<bool> {
        if self.members.is_empty() {
            return Some(false);
        }
        self.protocol.as_ref()?;
        let subscription = |member| Subscription::read(&self.subscription_of(member)).ok();
        let subscriptions: Vec<Subscription> = self.members.values().map(subscription).collect::<Option<_>>()?;
        Some(subscriptions.iter().any(|subscription| subscription.topics.iter().any(|own| own == topic)))
    }

    /// What takes back the group and these of its offsets.
    pub(super) fn tombstones(&self, offsets: &[OffsetKey]) -> Records {
        let own = match (&self.consumer, &self.share) {
            (Some(consumer), _) => consumer.tombstones(&self.id),
            (None, Some(share)) => share.tombstones(&self.id),
            _ => vec![group_tombstone(&self.id)],
        };
        offsets.iter().map(|key| tombstone(&self.id, key)).chain(own).collect()
    }

    fn describe(&self) -> k::describe_groups_response::DescribedGroup {
        let is_stable = self.state == GroupState::Stable;
        let member = |member: &Member| {
            let described = k::describe_groups_response::DescribedGroupMember::default()
                .with_member_id(wire::text(&member.id))
                .with_group_instance_id(member.instance.as_deref().map(wire::text))
                .with_client_id(wire::text(&member.client_id))
                .with_client_host(wire::text(&format!("/{}", member.client_id)))
                .with_member_assignment(member.assignment.clone());
            if is_stable { described.with_member_metadata(self.subscription_of(member)) } else { described }
        };
        k::describe_groups_response::DescribedGroup::default()
            .with_group_state(wire::text(self.state.name()))
            .with_protocol_type(wire::text(&self.protocol_type))
            .with_protocol_data(wire::text(self.protocol.as_deref().filter(|_| is_stable).unwrap_or_default()))
            .with_members(self.members.values().map(member).collect())
    }
}

impl Coordinator {
    /// A group that this broker coordinates, if there is one of this name.
    pub fn group(&self, group: &str) -> Result<Option<&Group>, ErrorCode> {
        let shard = self.shards.get(&partition_for(group, self.config.partitions)).ok_or(ErrorCode::NotCoordinator)?;
        Ok(shard.groups.get(group))
    }

    pub(super) fn list_groups(&self, message: &k::ListGroupsRequest) -> k::ListGroupsResponse {
        let passes = |filter: &[StrBytes], own: &str| filter.is_empty() || filter.iter().any(|asked| asked.eq_ignore_ascii_case(own));
        let wanted = self.groups().filter(|group| passes(&message.states_filter, group.state_name()));
        let wanted = wanted.filter(|group| passes(&message.types_filter, group.kind()));
        let listed = wanted.map(|group| {
            k::list_groups_response::ListedGroup::default()
                .with_group_id(k::GroupId(wire::text(&group.id)))
                .with_protocol_type(wire::text(match group.kind() {
                    "classic" => &group.protocol_type,
                    kind => kind,
                }))
                .with_group_state(wire::text(group.state_name()))
                .with_group_type(wire::text(group.kind()))
        });
        k::ListGroupsResponse::default().with_groups(listed.collect())
    }

    pub(super) fn describe_groups(&self, message: &k::DescribeGroupsRequest) -> k::DescribeGroupsResponse {
        let describe = |id: &k::GroupId| {
            let described = match self.group(id) {
                Ok(Some(group)) if group.kind() == "classic" => group.describe(),
                Ok(other) => k::describe_groups_response::DescribedGroup::default()
                    .with_error_code(ErrorCode::GroupIdNotFound.code())
                    .with_error_message(Some(no_such_group(id, other, "classic")))
                    .with_group_state(wire::text("Dead")),
                Err(error) => k::describe_groups_response::DescribedGroup::default().with_error_code(error.code()),
            };
            let operations = operations(message.include_authorized_operations, described.error_code);
            described.with_group_id(id.clone()).with_authorized_operations(operations)
        };
        k::DescribeGroupsResponse::default().with_groups(message.groups.iter().map(describe).collect())
    }

    /// `image` has the names of topics.
    pub fn describe_consumer_groups(
        &self,
        message: &k::ConsumerGroupDescribeRequest,
        image: &MetadataImage,
    ) -> k::ConsumerGroupDescribeResponse {
        let describe = |id: &k::GroupId| {
            let refused = |error: ErrorCode| k::consumer_group_describe_response::DescribedGroup::default().with_error_code(error.code());
            let described = match self.group(id) {
                _ if id.is_empty() => refused(ErrorCode::InvalidGroupId),
                Ok(Some(Group { consumer: Some(consumer), .. })) => consumer.describe(image),
                Ok(other) => refused(ErrorCode::GroupIdNotFound).with_error_message(Some(no_such_group(id, other, CONSUMER))),
                Err(error) => refused(error),
            };
            let operations = operations(message.include_authorized_operations, described.error_code);
            described.with_group_id(id.clone()).with_authorized_operations(operations)
        };
        k::ConsumerGroupDescribeResponse::default().with_groups(message.group_ids.iter().map(describe).collect())
    }

    pub fn delete_groups(&mut self, reply: ReplyTo, message: &k::DeleteGroupsRequest, image: &MetadataImage, effects: &mut Effects) {
        let mut response = k::DeleteGroupsResponse::default();
        let mut shared: OrderedSet<Arc<str>> = OrderedSet::new();
        let mut doomed: OrderedMap<i32, (Vec<Doomed>, Records)> = OrderedMap::new();
        for id in &message.groups_names {
            let error = match self.group(id) {
                Ok(Some(group)) if group.is_empty() && group.share.is_some() => {
                    shared.insert(group.id.clone());
                    ErrorCode::None
                }
                Ok(Some(group)) if group.is_empty() => {
                    let partition = partition_for(id, self.config.partitions);
                    let (groups, records) = doomed.or_default(partition);
                    let offsets: Vec<OffsetKey> = self.offsets_of(group).into_iter().cloned().collect();
                    records.extend(group.tombstones(&offsets));
                    groups.push((group.id.clone(), offsets));
                    ErrorCode::None
                }
                Ok(Some(_)) => ErrorCode::NonEmptyGroup,
                Ok(None) => ErrorCode::GroupIdNotFound,
                Err(error) => error,
            };
            let result = k::delete_groups_response::DeletableGroupResult::default().with_group_id(id.clone());
            response.results.push(result.with_error_code(error.code()));
        }
        if doomed.is_empty() && shared.is_empty() {
            effects.replies.push((reply, Response::DeleteGroups(Arc::new(response))));
            return;
        }
        self.next_deletion += 1;
        self.deletions.insert(self.next_deletion, Deletion { reply, response, open: doomed.len() + shared.len() });
        for id in shared.iter() {
            self.delete_share_group(id, self.next_deletion, image, effects);
        }
        for (partition, (groups, records)) in doomed {
            let then = Then::GroupsDeleted { deletion: Some(self.next_deletion), groups };
            effects.appends.push(Append { partition, records, then });
        }
    }

    pub(super) fn groups_deleted(&mut self, deletion: Option<u64>, groups: Vec<Doomed>, effects: &mut Effects, out: &mut Outputs) {
        for (id, offsets) in groups {
            self.forget_offsets(&id, &offsets);
            let shard = self.shards.get_mut(&partition_for(&id, self.config.partitions));
            // Whoever has come meanwhile keeps it.
            let is_over = |group: &Group| group.size() == 0 && group.pending.is_empty() && group.offsets.is_empty();
            if let Some(shard) = shard.filter(|shard| shard.groups.get(&id).is_some_and(is_over)) {
                shard.groups.remove(&id);
                out.note(NoteKind::GroupDeleted { group: id });
            }
        }
        self.deletion_advances(deletion, effects);
    }

    pub(super) fn groups_not_deleted(&mut self, deletion: Option<u64>, groups: &[Doomed], error: ErrorCode, effects: &mut Effects) {
        if let Some(waiting) = deletion.and_then(|number| self.deletions.get_mut(&number)) {
            let is_one = |id: &str| groups.iter().any(|(doomed, _)| &**doomed == id);
            for result in waiting.response.results.iter_mut().filter(|result| is_one(&result.group_id)) {
                result.error_code = coordinator_error(error).code();
            }
        }
        self.deletion_advances(deletion, effects);
    }

    /// One of the partitions that a DeleteGroups request waits for is done with.
    fn deletion_advances(&mut self, deletion: Option<u64>, effects: &mut Effects) {
        let Some(number) = deletion else { return };
        let Some(waiting) = self.deletions.get_mut(&number) else { return };
        waiting.open -= 1;
        if waiting.open == 0
            && let Some(Deletion { reply, response, .. }) = self.deletions.remove(&number)
        {
            effects.replies.push((reply, Response::DeleteGroups(Arc::new(response))));
        }
    }

    /// `exists` knows the cluster's partitions (`KafkaApis.handleOffsetDeleteRequest`).
    pub fn delete_offsets(
        &mut self,
        reply: ReplyTo,
        message: &k::OffsetDeleteRequest,
        exists: impl Fn(&str, i32) -> bool,
        effects: &mut Effects,
    ) {
        // Who names nothing that exists never reaches the group.
        let names = |topic: &k::offset_delete_request::OffsetDeleteRequestTopic| {
            topic.partitions.iter().any(|asked| exists(&topic.name, asked.partition_index))
        };
        let group = match message.topics.iter().any(names).then(|| self.checked_offset_delete(&message.group_id)).transpose() {
            Ok(group) => group,
            Err(error) => {
                let response = k::OffsetDeleteResponse::default().with_error_code(error.code());
                effects.replies.push((reply, Response::OffsetDelete(Arc::new(response))));
                return;
            }
        };
        let (mut offsets, known) = (Vec::new(), group.map_or_else(OrderedSet::new, |group| self.offsets_of(group)));
        let topics = message.topics.iter().map(|topic| {
            let results = topic.partitions.iter().map(|asked| {
                let key = (Arc::from(topic.name.as_str()), asked.partition_index);
                let error = if !exists(&topic.name, asked.partition_index) {
                    ErrorCode::UnknownTopicOrPartition
                } else if group.is_some_and(|group| group.is_subscribed_to(&topic.name)) {
                    ErrorCode::GroupSubscribedToTopic
                } else {
                    offsets.extend(Some(key).filter(|key| known.contains(&key)));
                    ErrorCode::None
                };
                k::offset_delete_response::OffsetDeleteResponsePartition::default()
                    .with_partition_index(asked.partition_index)
                    .with_error_code(error.code())
            });
            let results = results.collect();
            k::offset_delete_response::OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(results)
        });
        let response = Arc::new(k::OffsetDeleteResponse::default().with_topics(topics.collect()));
        let Some(group) = group.filter(|_| !offsets.is_empty()) else {
            effects.replies.push((reply, Response::OffsetDelete(response)));
            return;
        };
        let (id, records) = (group.id.clone(), offsets.iter().map(|key| tombstone(&group.id, key)).collect());
        let partition = partition_for(&id, self.config.partitions);
        effects.appends.push(Append {
            partition,
            records,
            then: Then::OffsetsDeleted { group: id, offsets, reply: Some(reply), response },
        });
    }

    fn checked_offset_delete(&self, id: &str) -> Result<&Group, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        // Where a share group is, its leaders know: it has no offsets here.
        let group = self.group(id)?.filter(|group| group.share.is_none()).ok_or(ErrorCode::GroupIdNotFound)?;
        if !group.is_empty() && group.consumer.is_none() && group.protocol_type != CONSUMER {
            return Err(ErrorCode::NonEmptyGroup);
        }
        Ok(group)
    }

    pub(super) fn forget_offsets(&mut self, group: &str, offsets: &[OffsetKey]) {
        if let Some(shard) = self.shards.get_mut(&partition_for(group, self.config.partitions)) {
            offsets.iter().for_each(|key| shard.take_back(group, key));
        }
    }

    /// Everything that a group has committed, or would in an open transaction.
    fn offsets_of<'a>(&'a self, group: &'a Group) -> OrderedSet<&'a OffsetKey> {
        let shard = self.shards.get(&partition_for(&group.id, self.config.partitions));
        shard.map_or_else(OrderedSet::new, |shard| shard.offsets_of(group))
    }
}
