//! ConsumerGroupHeartbeat: joining, reporting, leaving, and being taken out.
//!
//! What a heartbeat changes is decided on a copy of the group and counts at once; who asked hears of it when its records are committed. If they cannot be
//! written the copy of before comes back (`CoordinatorRuntime` goes back to its last snapshot). Source: `GroupMetadataManager.consumerGroupHeartbeat`,
//! `consumerGroupLeave`, `consumerGroupFenceMember`, `scheduleConsumerGroupSessionTimeout`. Members of the classic protocol in one group with others
//! (KIP-848's migration) are refused.

use super::super::admin::group_tombstone;
use super::super::{Append, Coordinator, CoordinatorConfig, Effects, GroupState, ReplyTo, Then, partition_for};
use super::assign::KnownTopics;
use super::{ConsumerGroup, ConsumerMember, LEAVES_FOR_A_WHILE, MemberState, Records, ServerAssignor};
use crate::node::{LeaveReason, MS, NoteKind, Outputs, Time};
use crate::protocol::ErrorCode;
use crate::protocol::consumer_group_records::{ConsumerGroupKey, ConsumerGroupValue, Place, target_epoch_to_bytes, target_to_bytes};
use crate::protocol::metadata::MetadataImage;
use crate::protocol::wire::{self, Response};
use kafka_protocol::messages as k;
use kafka_protocol::messages::consumer_group_heartbeat_response as answer;
use std::sync::Arc;

type Message = k::ConsumerGroupHeartbeatRequest;
/// Kafka's error, and in words what is wrong if the code does not say it.
type Refused = (ErrorCode, &'static str);

/// The member epoch of who joins, and of who leaves for good.
const JOINS: i32 = 0;
const LEAVES: i32 = -1;

/// A group that is being changed, and what has to be written for it.
pub(super) struct Change<'a> {
    pub(super) id: &'a str,
    pub(super) group: ConsumerGroup,
    pub(super) records: Records,
}

impl Coordinator {
    /// `image` has the topics that there are.
    pub fn consumer_heartbeat(
        &mut self,
        now: Time,
        reply: ReplyTo,
        client_id: &str,
        message: &Message,
        image: &MetadataImage,
        effects: &mut Effects,
        out: &mut Outputs,
    ) {
        let config = self.config_of(&message.group_id, image);
        let mut response = k::ConsumerGroupHeartbeatResponse::default();
        response.heartbeat_interval_ms = i32::try_from(config.consumer_heartbeat_interval / MS).unwrap_or(i32::MAX);
        response.member_id = Some(message.member_id.clone());
        let id: Arc<str> = Arc::from(message.group_id.as_str());
        let beat = checked(message).and_then(|()| self.beat(now, client_id, message, image, &mut response, out));
        match beat {
            Ok((records, before)) if !records.is_empty() => {
                let then = Then::HeartbeatStored { group: id.clone(), before, reply, response: Arc::new(response) };
                effects.appends.push(Append { partition: partition_for(&id, config.partitions), records, then });
            }
            Ok(_) => {
                let told = Response::ConsumerGroupHeartbeat(Arc::new(response));
                effects.after_writes.push((partition_for(&id, config.partitions), reply, told));
            }
            Err((error, words)) => {
                let words = Some(words).filter(|words| !words.is_empty());
                let words = match (error, &message.subscribed_topic_regex) {
                    (ErrorCode::InvalidRegularExpression, Some(regex)) => {
                        words.map(|words| format!("SubscribedTopicRegex `{}` is not a valid regular expression: {words}.", regex.as_str()))
                    }
                    _ => words.map(str::to_owned),
                };
                effects.replies.push((reply, refused(error, words.as_deref())));
            }
        }
    }

    /// What holds for a group: its own settings before the broker's.
    pub(in crate::coordinator) fn config_of(&self, group: &str, image: &MetadataImage) -> CoordinatorConfig {
        let own = |name: &str| image.group_configs.get(group)?.get(name)?.trim().parse::<Time>().ok().map(|ms| MS * ms);
        CoordinatorConfig {
            consumer_session_timeout: own("consumer.session.timeout.ms").unwrap_or(self.config.consumer_session_timeout),
            consumer_heartbeat_interval: own("consumer.heartbeat.interval.ms").unwrap_or(self.config.consumer_heartbeat_interval),
            ..self.config
        }
    }

    /// The records to be written, and the group as it was before.
    fn beat(
        &mut self,
        now: Time,
        client_id: &str,
        message: &Message,
        image: &MetadataImage,
        response: &mut k::ConsumerGroupHeartbeatResponse,
        out: &mut Outputs,
    ) -> Result<(Records, Option<Box<ConsumerGroup>>), Refused> {
        let id: &str = &message.group_id;
        let config = self.config_of(id, image);
        let shard = self.shard_mut(id).map_err(|error| (error, ""))?;
        let known = shard.groups.get(id);
        let before = match known.map(|group| (group.consumer.clone(), group.is_idle() && group.state == GroupState::Empty)) {
            Some((Some(group), _)) => Some(group),
            // An empty classic group becomes one of the new protocol.
            None | Some((None, true)) if message.member_epoch == JOINS => None,
            _ => return Err((ErrorCode::GroupIdNotFound, "There is no consumer group of this name.")),
        };
        let mut change = Change { id, group: before.as_deref().cloned().unwrap_or_default(), records: Records::new() };
        let replaces_classic = known.is_some() && before.is_none();
        if replaces_classic {
            change.records.push(group_tombstone(id));
        }
        if message.member_epoch < JOINS {
            change.leave(message, out)?;
            response.member_epoch = message.member_epoch;
        } else {
            let member = change.report(now, client_id, message, image, &config, out)?;
            response.member_epoch = member.epoch;
            let had = before.as_ref().and_then(|group| group.members.get(message.member_id.as_str()));
            let is_full =
                0 <= message.rebalance_timeout_ms && message.subscribed_topic_names.is_some() && message.topic_partitions.is_some();
            let has_changed = had.is_none_or(|had| !had.assigned.keys().eq(member.assigned.keys()));
            change.refresh_regexes(config.timestamp(now), image, out);
            response.assignment = (message.member_epoch == JOINS || is_full || has_changed).then(|| assignment(&member));
        }
        let Change { group, records, .. } = change;
        if replaces_classic {
            out.note(NoteKind::GroupDeleted { group: Arc::from(id) });
        }
        shard.group(id).consumer = Some(Box::new(group));
        Ok((records, before))
    }

    /// Takes out members of whom nothing was heard for a session, and those that did not give up what they had to.
    pub(in super::super) fn expire_consumer_members(&mut self, now: Time, effects: &mut Effects, out: &mut Outputs) {
        let partitions = self.config.partitions;
        for known in self.shards.values_mut().flat_map(|shard| shard.groups.values_mut()) {
            let Some(group) = known.consumer.as_deref_mut().filter(|group| group.next_deadline().is_some_and(|at| at <= now)) else {
                continue;
            };
            let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
            let due: Vec<(Arc<str>, LeaveReason)> = group
                .members
                .iter()
                .filter_map(|(id, member)| match () {
                    () if is_due(Some(member.expires)) => Some((id.clone(), LeaveReason::SessionExpired)),
                    () if is_due(member.revokes_by) => Some((id.clone(), LeaveReason::RebalanceTimeout)),
                    () => None,
                })
                .collect();
            let before = Box::new(group.clone());
            let mut change = Change { id: &known.id, group: std::mem::take(group), records: Records::new() };
            for (member, reason) in due {
                change.take_out(&member, reason, out);
            }
            change.forget_unused_regexes();
            change.raise_epoch(out);
            let Change { group: changed, records, .. } = change;
            *group = changed;
            let then = Then::MembersTakenOut { group: known.id.clone(), before };
            effects.appends.push(Append { partition: partition_for(&known.id, partitions), records, then });
        }
    }
}

/// Whether the request makes sense by itself (`throwIfConsumerGroupHeartbeatRequestIsInvalid`).
fn checked(message: &Message) -> Result<(), Refused> {
    let refuse = |words| Err((ErrorCode::InvalidRequest, words));
    let is_empty = |text: &Option<kafka_protocol::protocol::StrBytes>| text.as_ref().is_some_and(|text| text.is_empty());
    if message.group_id.is_empty() {
        return refuse("GroupId can't be empty.");
    }
    if is_empty(&message.instance_id) {
        return refuse("InstanceId can't be empty.");
    }
    if is_empty(&message.rack_id) {
        return refuse("RackId can't be empty.");
    }
    if message.member_id.is_empty() {
        return refuse("MemberId can't be empty.");
    }
    match message.member_epoch {
        JOINS => {
            if message.rebalance_timeout_ms == -1 {
                return refuse("RebalanceTimeoutMs must be provided in first request.");
            }
            if message.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return refuse("TopicPartitions must be empty when (re-)joining.");
            }
            if message.subscribed_topic_names.is_none() && message.subscribed_topic_regex.is_none() {
                return refuse("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
            }
        }
        1.. | LEAVES => {}
        LEAVES_FOR_A_WHILE if message.instance_id.is_none() => return refuse("InstanceId can't be null."),
        LEAVES_FOR_A_WHILE => {}
        _ => return refuse("MemberEpoch is invalid."),
    }
    if message.server_assignor.as_deref().is_some_and(|name| ServerAssignor::of(name).is_none()) {
        return Err((ErrorCode::UnsupportedAssignor, "This assignor is not supported. Supported are: uniform, range."));
    }
    Ok(())
}

pub(in super::super) fn refused(error: ErrorCode, words: Option<&str>) -> Response {
    let mut response = k::ConsumerGroupHeartbeatResponse::default();
    response.error_code = error.code();
    response.error_message = Some(wire::text(words.unwrap_or(error.message())));
    Response::ConsumerGroupHeartbeat(Arc::new(response))
}

fn assignment(member: &ConsumerMember) -> answer::Assignment {
    let mut topics: Vec<answer::TopicPartitions> = Vec::new();
    for (topic, index) in member.assigned.keys() {
        if topics.last().is_none_or(|last| last.topic_id != *topic) {
            topics.push(answer::TopicPartitions::default().with_topic_id(*topic));
        }
        topics.iter_mut().rev().take(1).for_each(|last| last.partitions.push(*index));
    }
    answer::Assignment::default().with_topic_partitions(topics)
}

impl Change<'_> {
    fn key(&self, make: fn(String, String) -> ConsumerGroupKey, member: &str) -> bytes::Bytes {
        make(self.id.to_owned(), member.to_owned()).to_bytes()
    }

    /// A member says that it is there, or that it wants to be. Returns it as it is then.
    fn report(
        &mut self,
        now: Time,
        client_id: &str,
        message: &Message,
        image: &MetadataImage,
        config: &CoordinatorConfig,
        out: &mut Outputs,
    ) -> Result<ConsumerMember, Refused> {
        let id: Arc<str> = Arc::from(message.member_id.as_str());
        let owned: Option<Vec<Place>> = message
            .topic_partitions
            .as_ref()
            .map(|topics| topics.iter().flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id, *index))).collect());
        let known = self.admitted(&id, message, owned.as_deref(), config, out)?;
        let mut member = known.clone().unwrap_or_default();
        member.client_id = client_id.to_owned();
        let text = |text: &kafka_protocol::protocol::StrBytes| text.to_string();
        if let Some(instance) = &message.instance_id {
            member.instance_id = Some(text(instance));
        }
        if let Some(rack) = &message.rack_id {
            member.rack_id = Some(text(rack));
        }
        if let Ok(timeout) = Time::try_from(message.rebalance_timeout_ms) {
            member.rebalance_timeout = MS * timeout;
        }
        if let Some(assignor) = &message.server_assignor {
            member.assignor = ServerAssignor::of(assignor);
        }
        if let Some(names) = &message.subscribed_topic_names {
            member.topics = names.iter().map(|name| name.to_string()).collect();
            member.topics.sort_unstable();
            member.topics.dedup();
        }
        if let Some(regex) = &message.subscribed_topic_regex {
            member.regex = Some(text(regex)).filter(|regex| !regex.is_empty());
        }
        let (old, new) = (known.as_ref().and_then(|known| known.regex.as_deref()), member.regex.as_deref());
        let has_another_regex = self.regex_changes(old, new).map_err(|words| (ErrorCode::InvalidRegularExpression, words))?;
        let is_new = known.is_none();
        if is_new || known.as_ref().is_some_and(|known| known.to_value() != member.to_value()) {
            self.records
                .push((self.key(|group, member| ConsumerGroupKey::Member { group, member }, &id), Some(member.to_value().to_bytes())));
        }
        let asks_otherwise = known.as_ref().map_or(&[][..], |known| &known.topics) != member.topics;
        self.group.members.insert(id.clone(), member);
        self.forget_unused_regexes();
        let hash = self.group.hash_of(image);
        if asks_otherwise || has_another_regex || hash != self.group.metadata_hash || self.group.epoch == 0 {
            self.group.metadata_hash = hash;
            self.raise_epoch(out);
        }
        if is_new {
            out.note(NoteKind::MemberJoined { group: Arc::from(self.id), member: id.clone() });
        }
        if self.group.target_epoch < self.group.epoch {
            self.make_target(&self.group.known_topics(image));
        }
        Ok(self.reconcile(now, &id, known.as_ref(), owned.as_deref(), config))
    }

    /// Who reports: a member that is known; nobody yet; or an error.
    fn admitted(
        &mut self,
        id: &Arc<str>,
        message: &Message,
        owned: Option<&[Place]>,
        config: &CoordinatorConfig,
        out: &mut Outputs,
    ) -> Result<Option<ConsumerMember>, Refused> {
        let joins = message.member_epoch == JOINS;
        if let Some(instance) = message.instance_id.as_deref() {
            match self.group.static_member(instance) {
                Some(other) if other != *id && joins => {
                    if self.group.members.get(&other).is_some_and(|known| known.epoch != LEAVES_FOR_A_WHILE) {
                        return Err((ErrorCode::UnreleasedInstanceId, ""));
                    }
                    return Ok(Some(self.take_place_of(&other, id, out)));
                }
                Some(other) if other != *id => return Err((ErrorCode::FencedInstanceId, "")),
                None if !joins => return Err((ErrorCode::UnknownMemberId, "")),
                _ => {}
            }
        }
        match self.group.members.get(id) {
            None if !joins => Err((ErrorCode::UnknownMemberId, "")),
            None if config.consumer_size_max <= self.group.members.len() => Err((ErrorCode::GroupMaxSizeReached, "")),
            None => Ok(None),
            Some(member) if joins && member.epoch == LEAVES_FOR_A_WHILE => {
                let mut back = member.clone();
                back.epoch = JOINS;
                Ok(Some(back))
            }
            // Who was fenced joins again under its old id (KAFKA-19233).
            Some(member) if joins => Ok(Some(member.clone())),
            Some(member) => {
                // The answer that told it its newer epoch may be lost: then it says the one before and has nothing that is not its own.
                let is_repeat = message.member_epoch == member.previous_epoch
                    && owned.is_some_and(|owned| owned.iter().all(|place| member.assigned.contains_key(place)));
                let is_fenced = member.epoch < message.member_epoch || message.member_epoch < member.epoch && !is_repeat;
                if is_fenced {
                    return Err((ErrorCode::FencedMemberEpoch, ""));
                }
                Ok(Some(member.clone()))
            }
        }
    }

    /// A static member is back under another id: what the old one had is its.
    fn take_place_of(&mut self, old: &Arc<str>, id: &Arc<str>, out: &mut Outputs) -> ConsumerMember {
        let mut member = self.group.members.get(old).cloned().unwrap_or_default();
        let share = self.group.target.get(old).cloned();
        self.take_out(old, LeaveReason::Left, out);
        member.epoch = JOINS;
        if let Some(share) = share {
            let key = self.key(|group, member| ConsumerGroupKey::TargetMember { group, member }, id);
            self.records.push((key, Some(target_to_bytes(&share))));
            self.group.target.insert(id.clone(), share);
        }
        self.records.push((self.key(|group, member| ConsumerGroupKey::Member { group, member }, id), Some(member.to_value().to_bytes())));
        member
    }

    /// Brings a member a step nearer to its share.
    fn reconcile(
        &mut self,
        now: Time,
        id: &Arc<str>,
        before: Option<&ConsumerMember>,
        owned: Option<&[Place]>,
        config: &CoordinatorConfig,
    ) -> ConsumerMember {
        let member = self.group.members.get(id).cloned().unwrap_or_default();
        let mut next = self.group.reconciled(id, &member, owned);
        let has_changed = before.is_none_or(|before| before.to_current_value() != next.to_current_value());
        if has_changed {
            let key = self.key(|group, member| ConsumerGroupKey::CurrentMember { group, member }, id);
            self.records.push((key, Some(next.to_current_value().to_bytes())));
        }
        next.expires = now + config.consumer_session_timeout;
        // For what it has to give up now it has its time anew.
        let until = next.revokes_by.filter(|_| !has_changed).unwrap_or(now + next.rebalance_timeout);
        next.revokes_by = (next.state == MemberState::UnrevokedPartitions).then_some(until);
        self.group.members.insert(id.clone(), next.clone());
        next
    }

    fn leave(&mut self, message: &Message, out: &mut Outputs) -> Result<(), Refused> {
        let id: &str = &message.member_id;
        let by_instance =
            message.instance_id.as_deref().map(|instance| self.group.static_member(instance).ok_or((ErrorCode::UnknownMemberId, "")));
        match by_instance.transpose()? {
            Some(known) if *known != *id => return Err((ErrorCode::FencedInstanceId, "")),
            _ => {}
        }
        let Some(member) = self.group.members.get_mut(id) else { return Err((ErrorCode::UnknownMemberId, "")) };
        if message.member_epoch == LEAVES_FOR_A_WHILE {
            member.epoch = LEAVES_FOR_A_WHILE;
            // What it still had to give up it has given up: it is gone.
            member.pending_revocation.clear();
            (member.state, member.revokes_by) = (MemberState::Stable, None);
            let value = member.to_current_value().to_bytes();
            self.records.push((self.key(|group, member| ConsumerGroupKey::CurrentMember { group, member }, id), Some(value)));
            return Ok(());
        }
        self.take_out(&Arc::from(id), LeaveReason::Left, out);
        self.forget_unused_regexes();
        self.raise_epoch(out);
        Ok(())
    }

    fn take_out(&mut self, id: &Arc<str>, reason: LeaveReason, out: &mut Outputs) {
        self.group.members.remove(id);
        self.group.target.remove(id);
        for make in [
            |group, member| ConsumerGroupKey::CurrentMember { group, member },
            |group, member| ConsumerGroupKey::TargetMember { group, member },
            |group, member| ConsumerGroupKey::Member { group, member },
        ] {
            self.records.push((self.key(make, id), None));
        }
        out.note(NoteKind::MemberLeft { group: Arc::from(self.id), member: id.clone(), reason });
    }

    pub(super) fn raise_epoch(&mut self, out: &mut Outputs) {
        self.group.epoch += 1;
        let value = ConsumerGroupValue { epoch: self.group.epoch, metadata_hash: self.group.metadata_hash };
        let key = ConsumerGroupKey::Group { group: self.id.to_owned() };
        self.records.push((key.to_bytes(), Some(value.to_bytes())));
        let (generation, members) = (self.group.epoch, self.group.members.len() as i32);
        out.note(NoteKind::Rebalanced { group: Arc::from(self.id), generation, members });
    }

    fn make_target(&mut self, topics: &KnownTopics) {
        let target = self.group.new_target(topics);
        for (id, share) in &target {
            if self.group.target.get(id) != Some(share) {
                let key = self.key(|group, member| ConsumerGroupKey::TargetMember { group, member }, id);
                self.records.push((key, Some(target_to_bytes(share))));
            }
        }
        self.group.target = target;
        self.group.target_epoch = self.group.epoch;
        let key = ConsumerGroupKey::Target { group: self.id.to_owned() };
        self.records.push((key.to_bytes(), Some(target_epoch_to_bytes(self.group.epoch))));
    }
}
