//! ShareGroupHeartbeat: members come, report, leave and are taken out (KIP-932).
//!
//! A heartbeat that changes something is decided on a copy of the group, counts at once, and is answered when it is committed. It must not know how share
//! coordinators are reached: it only says which states they are to begin. Source: `GroupMetadataManager.shareGroupHeartbeat`, `shareGroupLeave`,
//! `shareGroupFenceMember`, `maybeCreateInitializeShareGroupStateRequest`.

use super::consumer_group::Records;
use super::share_group::{ShareGroup, ShareMember, key};
use super::share_tasks::{ShareWish, UNKNOWN_START, Work};
use super::{Append, Coordinator, EXPIRY_RETRY, Effects, Group, ReplyTo, Then, partition_for};
use crate::node::{LeaveReason, MS, NoteKind, Outputs, Time};
use crate::ordered::OrderedSet;
use crate::protocol::ErrorCode;
use crate::protocol::consumer_group_records::{Place, target_epoch_to_bytes, target_to_bytes};
use crate::protocol::metadata::MetadataImage;
use crate::protocol::share_group_records::{ShareGroupRecord as About, share_current_to_bytes};
use crate::protocol::wire::{self, Response};
use bytes::Bytes;
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// The member epoch of who joins, and of who leaves.
const JOINS: i32 = 0;
const LEAVES: i32 = -1;
/// `group.share.initialize.retry.interval.ms`: after this long the share coordinators are asked once more.
const INITIALIZE_AGAIN: Time = 30_000 * MS;

type Refused = (ErrorCode, String);

/// A group that is being changed, and what has to be written for it.
struct Change<'a> {
    id: &'a str,
    group: ShareGroup,
    records: Records,
}

/// What a heartbeat comes to.
#[derive(Default)]
struct Beat {
    records: Records,
    /// The group as it was, if that cannot be written.
    before: Option<Box<ShareGroup>>,
    /// Partitions of which the share coordinators have to begin a state, and where reading begins, if that is known.
    begun: Vec<(Place, ShareWish)>,
}

impl Coordinator {
    pub fn share_heartbeat(
        &mut self,
        now: Time,
        reply: ReplyTo,
        client_id: &str,
        message: &k::ShareGroupHeartbeatRequest,
        image: &MetadataImage,
        effects: &mut Effects,
        out: &mut Outputs,
    ) {
        let mut response = k::ShareGroupHeartbeatResponse::default();
        response.member_id = Some(message.member_id.clone());
        let beat = checked(message).and_then(|()| self.share_beat(now, client_id, message, image, &mut response, out));
        let told = Response::ShareGroupHeartbeat(Arc::new(response));
        match beat {
            Err((error, words)) => effects.replies.push((reply, refused(error, &words))),
            Ok(Beat { records, .. }) if records.is_empty() => {
                effects.after_writes.push((partition_for(&message.group_id, self.config.partitions), reply, told));
            }
            Ok(Beat { records, before, begun }) => {
                let group: Arc<str> = Arc::from(message.group_id.as_str());
                let task = (!begun.is_empty()).then(|| self.plan_share_task(&group, begun, Work::Initialize(None)));
                let partition = partition_for(&group, self.config.partitions);
                let then = Then::ShareGroupStored { group, before, told: Some((reply, told)), task };
                effects.appends.push(Append { partition, records, then });
            }
        }
    }

    fn share_beat(
        &mut self,
        now: Time,
        client_id: &str,
        message: &k::ShareGroupHeartbeatRequest,
        image: &MetadataImage,
        response: &mut k::ShareGroupHeartbeatResponse,
        out: &mut Outputs,
    ) -> Result<Beat, Refused> {
        let id: &str = &message.group_id;
        let config = self.share_config(id, image);
        response.heartbeat_interval_ms = i32::try_from(config.heartbeat_interval / MS).unwrap_or(i32::MAX);
        let shard = self.shard_mut(id).map_err(|error| (error, String::new()))?;
        let before = match shard.groups.get_mut(id) {
            Some(Group { share: Some(group), .. }) => {
                if let Some(epoch) = group.heard(now, config, message, image) {
                    response.member_epoch = epoch;
                    return Ok(Beat::default());
                }
                Some(group.clone())
            }
            Some(_) => return Err((ErrorCode::GroupIdNotFound, format!("Group {id} is not a share group."))),
            None if message.member_epoch == JOINS => None,
            None => return Err((ErrorCode::GroupIdNotFound, format!("Share group {id} not found."))),
        };
        let mut change = Change { id, group: before.as_deref().cloned().unwrap_or_default(), records: Records::new() };
        let mut begun = Vec::new();
        if message.member_epoch == LEAVES {
            let member: Arc<str> = Arc::from(message.member_id.as_str());
            if !change.group.members.contains_key(&member) {
                return Err(no_member(id, &member));
            }
            change.take_out(&[member], LeaveReason::Left, out);
            response.member_epoch = LEAVES;
        } else {
            let member = change.report(now, client_id, message, image, config, out)?;
            response.member_epoch = member.epoch;
            let had = before.as_ref().and_then(|group| group.members.get(message.member_id.as_str()));
            let has_changed = had.is_none_or(|had| had.assigned != member.assigned);
            let says_all = message.subscribed_topic_names.is_some();
            response.assignment = (has_changed || says_all).then(|| assignment(&member.assigned));
            begun = change.begin_partitions(now, image);
        }
        let Change { group, records, .. } = change;
        shard.group(id).share = Some(Box::new(group));
        Ok(Beat { records, before, begun })
    }

    /// What holds for a share group: its own settings before the broker's.
    pub(super) fn share_config(&self, group: &str, image: &MetadataImage) -> ShareMemberConfig {
        let own = |name: &str| image.group_configs.get(group)?.get(name)?.trim().parse::<Time>().ok().map(|ms| MS * ms);
        ShareMemberConfig {
            session_timeout: own("share.session.timeout.ms").unwrap_or(self.config.share_session_timeout),
            heartbeat_interval: own("share.heartbeat.interval.ms").unwrap_or(self.config.share_heartbeat_interval),
            size_max: self.config.share_size_max,
        }
    }

    /// Takes out members of whom nothing was heard for a session.
    pub(super) fn expire_share_members(&mut self, now: Time, effects: &mut Effects, out: &mut Outputs) {
        let partitions = self.config.partitions;
        for known in self.shards.values_mut().flat_map(|shard| shard.groups.values_mut()) {
            let Some(group) = known.share.as_deref_mut().filter(|group| group.next_deadline().is_some_and(|at| at <= now)) else {
                continue;
            };
            let is_due = |member: &ShareMember| member.expires <= now;
            let due: Vec<Arc<str>> = group.members.iter().filter(|(_, member)| is_due(member)).map(|(id, _)| id.clone()).collect();
            // What cannot be written is looked at again: the members have a little longer then.
            let mut before = Box::new(group.clone());
            for member in before.members.values_mut().filter(|member| is_due(member)) {
                member.expires = now + EXPIRY_RETRY;
            }
            let mut change = Change { id: &known.id, group: std::mem::take(group), records: Records::new() };
            change.take_out(&due, LeaveReason::SessionExpired, out);
            let Change { group: changed, records, .. } = change;
            *group = changed;
            let then = Then::ShareGroupStored { group: known.id.clone(), before: Some(before), told: None, task: None };
            effects.appends.push(Append { partition: partition_for(&known.id, partitions), records, then });
        }
    }
}

/// What members of a share group are held to.
#[derive(Clone, Copy)]
pub(super) struct ShareMemberConfig {
    pub(super) session_timeout: Time,
    heartbeat_interval: Time,
    size_max: usize,
}

impl ShareGroup {
    /// A heartbeat that changes nothing, which most are: the member lives, and hears its epoch.
    fn heard(
        &mut self,
        now: Time,
        config: ShareMemberConfig,
        message: &k::ShareGroupHeartbeatRequest,
        image: &MetadataImage,
    ) -> Option<i32> {
        let is_known = |member: &ShareMember| member.epoch == message.member_epoch && member.epoch == self.target_epoch;
        self.members.get(message.member_id.as_str()).filter(|member| is_known(member))?;
        let says_nothing = message.subscribed_topic_names.is_none() && message.rack_id.is_none();
        if !says_nothing || self.epoch != self.target_epoch || self.is_behind(image) || !self.unbegun(now, image).is_empty() {
            return None;
        }
        let member = self.members.get_mut(message.member_id.as_str())?;
        member.expires = now + config.session_timeout;
        Some(member.epoch)
    }

    /// Whether topics are not what they were when the last target was made, or partitions have a state by now that nobody has been given.
    fn is_behind(&self, image: &MetadataImage) -> bool {
        let given: OrderedSet<Place> = self.target.values().flatten().copied().collect();
        let is_new = |place: &Place| self.initialized.contains(place) && !given.contains(place);
        self.hash_of(image) != self.metadata_hash || self.wanted(image).iter().any(is_new)
    }

    /// Partitions that members want and of which no state has been begun lately.
    fn unbegun(&self, now: Time, image: &MetadataImage) -> Vec<Place> {
        let is_asked = |place: &Place| self.initializing.get(place).is_some_and(|since| now < since + INITIALIZE_AGAIN);
        let wanted = self.wanted(image);
        wanted.iter().filter(|place| !self.initialized.contains(*place) && !is_asked(place)).copied().collect()
    }
}

impl Change<'_> {
    fn record(&mut self, about: About, member: Option<&str>, value: Option<Bytes>) {
        self.records.push((key(about, self.id, member), value));
    }

    /// A member says that it is there, or that it wants to be. Returns it as it is then.
    fn report(
        &mut self,
        now: Time,
        client_id: &str,
        message: &k::ShareGroupHeartbeatRequest,
        image: &MetadataImage,
        config: ShareMemberConfig,
        out: &mut Outputs,
    ) -> Result<ShareMember, Refused> {
        let id: Arc<str> = Arc::from(message.member_id.as_str());
        let known = self.group.members.get(&id).cloned();
        match &known {
            None if config.size_max <= self.group.members.len() => {
                let words = format!("The share group has reached its maximum capacity of {} members.", config.size_max);
                return Err((ErrorCode::GroupMaxSizeReached, words));
            }
            None if message.member_epoch != JOINS => return Err(no_member(self.id, &id)),
            // The answer that told it its newer epoch may be lost.
            Some(member) if ![JOINS, member.epoch, member.previous_epoch].contains(&message.member_epoch) => {
                return Err((ErrorCode::FencedMemberEpoch, String::new()));
            }
            _ => {}
        }
        let mut member = known.clone().unwrap_or_default();
        member.client_id = client_id.to_owned();
        if let Some(rack) = &message.rack_id {
            member.rack_id = Some(rack.to_string());
        }
        if let Some(names) = &message.subscribed_topic_names {
            member.topics = names.iter().map(|name| name.to_string()).collect();
            member.topics.sort_unstable();
            member.topics.dedup();
        }
        member.expires = now + config.session_timeout;
        let asks_otherwise = known.as_ref().is_none_or(|known| known.topics != member.topics);
        if known.as_ref().is_none_or(|known| known.to_value() != member.to_value()) {
            let value = member.to_value().to_bytes();
            self.record(About::Member, Some(&id), Some(value));
        }
        if known.is_none() {
            out.note(NoteKind::MemberJoined { group: Arc::from(self.id), member: id.clone() });
        }
        self.group.members.insert(id.clone(), member.clone());
        // While a target waits to be made no epoch is raised for what it will hold anyway.
        if asks_otherwise || self.group.target_epoch == self.group.epoch && self.group.is_behind(image) {
            self.raise_epoch(image, out);
        }
        if self.group.target_epoch < self.group.epoch {
            self.make_target(image);
        }
        let share = self.group.target.get(&id).cloned().unwrap_or_default();
        if member.epoch != self.group.target_epoch || member.assigned != share {
            (member.previous_epoch, member.epoch) = (member.epoch, self.group.target_epoch);
            member.assigned = share;
            let value = share_current_to_bytes(member.epoch, member.previous_epoch, &member.assigned);
            self.record(About::CurrentMember, Some(&id), Some(value));
        }
        self.group.members.insert(id, member.clone());
        Ok(member)
    }

    /// Of what is new to the group the share coordinators have to begin a state. A topic that has grown is read from its beginning there: what was written
    /// before anybody noticed shall not be passed over.
    fn begin_partitions(&mut self, now: Time, image: &MetadataImage) -> Vec<(Place, ShareWish)> {
        let unbegun = self.group.unbegun(now, image);
        if unbegun.is_empty() {
            return Vec::new();
        }
        let group = &mut self.group;
        let known: OrderedSet<Uuid> = group.initialized.iter().chain(group.initializing.keys()).map(|place| place.0).collect();
        group.initializing.retain(|place, _| !unbegun.contains(place));
        for place in &unbegun {
            group.initializing.insert(*place, now);
            group.deleting.remove(&place.0);
        }
        self.records.push(group.partitions_record(self.id, image));
        let start = |topic: &Uuid| if known.contains(topic) { 0 } else { UNKNOWN_START };
        let state_epoch = group.epoch;
        unbegun.into_iter().map(|place| (place, ShareWish::Initialize { state_epoch, start_offset: start(&place.0) })).collect()
    }

    fn make_target(&mut self, image: &MetadataImage) {
        let target = self.group.new_target(image);
        for (id, share) in &target {
            if self.group.target.get(id) != Some(share) {
                self.record(About::TargetMember, Some(id), Some(target_to_bytes(share)));
            }
        }
        self.group.target = target;
        self.group.target_epoch = self.group.epoch;
        // Members may have left since the epoch was raised, and nobody may want their topics any more.
        self.group.metadata_hash = self.group.hash_of(image);
        self.record(About::Target, None, Some(target_epoch_to_bytes(self.group.epoch)));
    }

    fn take_out(&mut self, members: &[Arc<str>], reason: LeaveReason, out: &mut Outputs) {
        for id in members {
            self.group.members.remove(id);
            self.group.target.remove(id);
            for about in [About::CurrentMember, About::TargetMember, About::Member] {
                self.record(about, Some(id), None);
            }
            out.note(NoteKind::MemberLeft { group: Arc::from(self.id), member: id.clone(), reason });
        }
        self.note_epoch(out);
        if self.group.members.is_empty() {
            // Who comes next begins with a target of its own.
            self.group.target_epoch = self.group.epoch;
            self.record(About::Target, None, Some(target_epoch_to_bytes(self.group.epoch)));
        }
    }

    fn raise_epoch(&mut self, image: &MetadataImage, out: &mut Outputs) {
        self.group.metadata_hash = self.group.hash_of(image);
        self.note_epoch(out);
    }

    fn note_epoch(&mut self, out: &mut Outputs) {
        self.records.push(self.group.raise_epoch(self.id));
        let (generation, members) = (self.group.epoch, self.group.members.len() as i32);
        out.note(NoteKind::Rebalanced { group: Arc::from(self.id), generation, members });
    }
}

fn no_member(group: &str, member: &str) -> Refused {
    (ErrorCode::UnknownMemberId, format!("Member {member} is not a member of group {group}."))
}

/// Whether the request makes sense by itself (`throwIfShareGroupHeartbeatRequestIsInvalid`).
fn checked(message: &k::ShareGroupHeartbeatRequest) -> Result<(), Refused> {
    let refuse = |words: &str| Err((ErrorCode::InvalidRequest, words.to_owned()));
    if message.member_id.is_empty() {
        return refuse("MemberId can't be empty.");
    }
    if message.group_id.is_empty() {
        return refuse("GroupId can't be empty.");
    }
    if message.rack_id.as_ref().is_some_and(|rack| rack.is_empty()) {
        return refuse("RackId can't be empty.");
    }
    match message.member_epoch {
        JOINS if message.subscribed_topic_names.as_ref().is_none_or(Vec::is_empty) => {
            refuse("SubscribedTopicNames must be set in first request.")
        }
        LEAVES.. => Ok(()),
        _ => refuse("MemberEpoch is invalid."),
    }
}

pub(super) fn refused(error: ErrorCode, words: &str) -> Response {
    let words = if words.is_empty() { error.message() } else { words };
    let response = k::ShareGroupHeartbeatResponse::default().with_error_code(error.code()).with_error_message(Some(wire::text(words)));
    Response::ShareGroupHeartbeat(Arc::new(response))
}

fn assignment(assigned: &[Place]) -> k::share_group_heartbeat_response::Assignment {
    use k::share_group_heartbeat_response::{Assignment, TopicPartitions};
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic, index) in assigned {
        if topics.last().is_none_or(|last| last.topic_id != *topic) {
            topics.push(TopicPartitions::default().with_topic_id(*topic));
        }
        topics.iter_mut().rev().take(1).for_each(|last| last.partitions.push(*index));
    }
    Assignment::default().with_topic_partitions(topics)
}
