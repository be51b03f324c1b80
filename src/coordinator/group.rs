//! One classic group: its members, its state and its generation.
//!
//! Source: `ClassicGroup`. States: Empty, PreparingRebalance (waiting for members to join), CompletingRebalance (waiting for the leader's
//! assignment), Stable, Dead.

use super::offsets::{CommittedOffset, OffsetKey};
use super::{Append, ConsumerGroup, CoordinatorConfig, Effects, ReplyTo, ShareGroup, Then, java_hash, partition_for};
use crate::mutant;
use crate::node::{NoteKind, Outputs, RebalanceReason, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::group_records::{GroupKey, GroupValue, MemberValue};
use crate::protocol::wire::{self, Response};
use bytes::Bytes;
use kafka_protocol::messages as k;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl GroupState {
    /// Kafka's own word.
    pub fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Group {
    pub id: Arc<str>,
    pub state: GroupState,
    pub generation: i32,
    pub protocol_type: String,
    /// The assignor that all members know, chosen by their votes.
    pub protocol: Option<String>,
    pub leader: Option<Arc<str>>,
    pub members: OrderedMap<Arc<str>, Member>,
    /// Member ids handed out and not yet used to join, with the time they are given up at (KIP-394).
    pub(super) pending: OrderedMap<Arc<str>, Time>,
    pub offsets: OrderedMap<OffsetKey, CommittedOffset>,
    /// What it is under the new protocol (KIP-848), if it has taken that up; of the classic one it has nothing then but offsets.
    pub consumer: Option<Box<ConsumerGroup>>,
    /// What it is as a share group (KIP-932), if it is one.
    pub share: Option<Box<ShareGroup>>,
    /// In PreparingRebalance: when members that have not joined again are left behind. In the first rebalance: when waiting for more ends.
    pub(super) deadline: Option<Time>,
    /// After a rebalance: when members that have not asked for their assignment by then are left behind.
    pub(super) sync_deadline: Option<Time>,
    /// When the last member had left, in Kafka's epoch milliseconds; of a group that is empty and has had members.
    pub(super) empty_since: Option<i64>,
    /// In the first rebalance of an empty group, which ends at its deadline, not when all have joined.
    pub(super) gathering: Option<Gathering>,
}

/// An empty group waits for more members than the first: a while, and as long again for those who came meanwhile, but no longer than a rebalance
/// (`tryCompleteInitialRebalanceElseSchedule`).
#[derive(Clone, Debug)]
pub(super) struct Gathering {
    /// Somebody has come since the last look.
    pub newcomer: bool,
    /// How long it waits until the next look, and at the most from there on.
    pub delay: Time,
    left: Time,
}

impl Gathering {
    /// A wait is over. Returns how long another one is, if there is to be one.
    pub fn goes_on(&mut self, delay: Time) -> Option<Time> {
        if !std::mem::take(&mut self.newcomer) || self.left == 0 {
            return None;
        }
        let next = delay.min(self.left);
        (self.left, self.delay) = (self.left.saturating_sub(self.delay), next);
        Some(next)
    }
}

#[derive(Clone, Debug)]
pub struct Member {
    pub id: Arc<str>,
    /// `group.instance.id` of a static member: who joins under it takes this member's place (KIP-345).
    pub instance: Option<Arc<str>>,
    pub client_id: String,
    pub session_timeout: Time,
    pub rebalance_timeout: Time,
    /// By preference: assignor and subscription bytes.
    pub protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
    pub(super) expires: Time,
    pub(super) joining: Option<ReplyTo>,
    pub(super) syncing: Option<ReplyTo>,
    /// It has asked for its assignment in this generation.
    pub(super) has_synced: bool,
}

impl Group {
    pub(super) fn new(id: Arc<str>) -> Group {
        Group {
            id,
            state: GroupState::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: None,
            leader: None,
            members: OrderedMap::new(),
            pending: OrderedMap::new(),
            offsets: OrderedMap::new(),
            consumer: None,
            share: None,
            deadline: None,
            sync_deadline: None,
            empty_since: None,
            gathering: None,
        }
    }

    /// Whether nobody is in it under the classic protocol, nor about to be.
    pub(super) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty() && self.share.is_none()
    }

    /// Whether it has no members, under either protocol.
    pub fn is_empty(&self) -> bool {
        self.state == GroupState::Empty && self.size() == 0
    }

    /// Whether it has never been more than a name.
    pub(super) fn is_nothing(&self) -> bool {
        self.consumer.is_none() && self.is_idle() && self.offsets.is_empty() && self.generation == 0
    }

    /// Its classic side is as if it had never been: only offsets stay, which belong to the name.
    pub(super) fn forget_generations(&mut self) {
        let (offsets, consumer) = (std::mem::take(&mut self.offsets), self.consumer.take());
        *self = Group { offsets, consumer, ..Group::new(self.id.clone()) };
    }

    /// The generation, or the group's epoch under the new protocol.
    pub fn generation(&self) -> i32 {
        let share = self.share.as_ref().map_or(self.generation, |share| share.epoch);
        self.consumer.as_ref().map_or(share, |consumer| consumer.epoch)
    }

    /// Kafka's word for its state, under either protocol.
    pub fn state_name(&self) -> &'static str {
        let share = self.share.as_ref().map_or(self.state.name(), |share| share.state_name());
        self.consumer.as_ref().map_or(share, |consumer| consumer.state_name())
    }

    /// Kafka's word for its protocol.
    pub fn kind(&self) -> &'static str {
        match (&self.consumer, &self.share) {
            (Some(_), _) => "consumer",
            (None, Some(_)) => "share",
            _ => "classic",
        }
    }

    /// How many members it has.
    pub fn size(&self) -> usize {
        let share = self.share.as_ref().map_or(self.members.len(), |share| share.members.len());
        self.consumer.as_ref().map_or(share, |consumer| consumer.members.len())
    }

    /// A loaded group is as it was stored; its members have a whole session to show that they live.
    pub(super) fn replay_metadata(&mut self, now: Time, value: GroupValue) {
        self.consumer = None;
        self.generation = value.generation;
        self.protocol_type = value.protocol_type;
        self.protocol = value.protocol;
        self.empty_since = Some(value.current_state_timestamp).filter(|time| 0 <= *time);
        self.leader = value.leader.map(|leader| Arc::from(leader.as_str()));
        self.members.clear();
        let assignor = self.protocol.clone().unwrap_or_default();
        for stored in value.members {
            let id: Arc<str> = Arc::from(stored.member_id.as_str());
            let session_timeout = crate::node::MS * Time::try_from(stored.session_timeout_ms).unwrap_or(0);
            let rebalance_timeout = crate::node::MS * Time::try_from(stored.rebalance_timeout_ms).unwrap_or(0);
            let member = Member {
                id: id.clone(),
                instance: stored.instance_id.as_deref().map(Arc::from),
                client_id: stored.client_id,
                session_timeout,
                rebalance_timeout,
                protocols: vec![(assignor.clone(), stored.subscription)],
                assignment: stored.assignment,
                expires: now + session_timeout,
                joining: None,
                syncing: None,
                has_synced: true,
            };
            self.members.insert(id, member);
        }
        self.state = if self.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
    }

    /// The record that stores this group as it is now.
    pub(super) fn metadata_record(&self, timestamp: i64) -> (Bytes, Option<Bytes>) {
        let millis = |time: Time| i32::try_from(time / crate::node::MS).unwrap_or(i32::MAX);
        let member = |member: &Member| MemberValue {
            member_id: member.id.to_string(),
            instance_id: member.instance.as_deref().map(str::to_owned),
            client_id: member.client_id.clone(),
            client_host: format!("/{}", member.client_id),
            rebalance_timeout_ms: millis(member.rebalance_timeout),
            session_timeout_ms: millis(member.session_timeout),
            subscription: self.subscription_of(member),
            assignment: member.assignment.clone(),
        };
        let value = GroupValue {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.as_ref().map(|leader| leader.to_string()),
            current_state_timestamp: timestamp,
            members: self.members.values().map(member).collect(),
        };
        (GroupKey::Group { group: self.id.to_string() }.to_bytes(), Some(value.to_bytes()))
    }

    pub(super) fn subscription_of(&self, member: &Member) -> Bytes {
        let chosen = member.protocols.iter().find(|(name, _)| Some(name) == self.protocol.as_ref());
        chosen.map(|(_, subscription)| subscription.clone()).unwrap_or_default()
    }

    /// The member that has an instance id now.
    pub(super) fn static_member(&self, instance: &str) -> Option<&Arc<str>> {
        self.members.values().find(|member| member.instance.as_deref() == Some(instance)).map(|member| &member.id)
    }

    /// Whether somebody is a member, and the one that has its instance id.
    pub(super) fn validate(&self, member: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        let known = match instance {
            None => self.members.contains_key(member),
            Some(instance) => {
                let current = self.static_member(instance).ok_or(ErrorCode::UnknownMemberId)?;
                if **current != *member {
                    return Err(ErrorCode::FencedInstanceId);
                }
                true
            }
        };
        if known { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Begins a rebalance: members learn of it with their next heartbeat, and who waits for an assignment is told at once.
    pub(super) fn prepare_rebalance(
        &mut self,
        now: Time,
        initial_delay: Time,
        reason: RebalanceReason,
        effects: &mut Effects,
        out: &mut Outputs,
    ) {
        if self.state == GroupState::PreparingRebalance {
            return;
        }
        for member in self.members.values_mut() {
            if let Some(reply) = member.syncing.take() {
                member.expires = now + member.session_timeout;
                effects.replies.push((reply, sync_error(ErrorCode::RebalanceInProgress)));
            }
        }
        let patience = self.rebalance_timeout();
        self.gathering = (self.state == GroupState::Empty).then(|| Gathering {
            newcomer: false,
            delay: initial_delay,
            left: patience.saturating_sub(initial_delay),
        });
        self.sync_deadline = None;
        self.deadline = Some(now + self.gathering.as_ref().map_or(patience, |gathering| gathering.delay));
        self.state = GroupState::PreparingRebalance;
        out.note(NoteKind::RebalanceStarted { group: self.id.clone(), reason });
    }

    /// How long the group waits for its members: as long as the most patient of them.
    fn rebalance_timeout(&self) -> Time {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or(0)
    }

    /// A member has asked for its assignment.
    pub(super) fn synced(&mut self, member: &str) {
        if let Some(member) = self.members.get_mut(member) {
            member.has_synced = true;
        }
        if self.members.values().all(|member| member.has_synced) {
            self.sync_deadline = None;
        }
    }

    /// Whether the rebalance may end: everybody known has joined, and nobody was just given a member id.
    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// Ends PreparingRebalance: leaves behind who did not join, raises the generation and answers every JoinGroup. Static members may be away: they
    /// keep their place until their sessions end, and if all are away, the group waits once more.
    pub(super) fn complete_join(&mut self, now: Time, config: &CoordinatorConfig, effects: &mut Effects, out: &mut Outputs) {
        let is_away = |member: &&Member| member.joining.is_none() && member.instance.is_none();
        let left: Vec<Arc<str>> = self.members.values().filter(is_away).map(|member| member.id.clone()).collect();
        for member in left {
            self.members.remove(&member);
            out.note(NoteKind::MemberLeft { group: self.id.clone(), member, reason: crate::node::LeaveReason::RebalanceTimeout });
        }
        let has_joined = |member: &&Member| member.joining.is_some();
        if self.leader.as_ref().and_then(|leader| self.members.get(leader)).filter(has_joined).is_none() {
            self.leader = self.members.values().find(has_joined).map(|member| member.id.clone());
            if self.leader.is_none() && !self.members.is_empty() {
                self.deadline = Some(now + self.rebalance_timeout());
                return;
            }
        }
        self.deadline = None;
        self.generation += i32::from(!mutant::is("generation-stands"));
        let members = self.members.len() as i32;
        out.note(NoteKind::Rebalanced { group: self.id.clone(), generation: self.generation, members });
        if self.members.is_empty() {
            self.state = GroupState::Empty;
            self.protocol = None;
            self.empty_since = Some(config.timestamp(now));
            let records = vec![self.metadata_record(config.timestamp(now))];
            effects.appends.push(Append { partition: partition_for(&self.id, config.partitions), records, then: Then::Stored });
            return;
        }
        self.state = GroupState::CompletingRebalance;
        self.sync_deadline = Some(now + self.rebalance_timeout());
        self.protocol = self.vote();
        let all: Vec<k::join_group_response::JoinGroupResponseMember> =
            self.members.values().map(|member| self.joined_member(member)).collect();
        let (leader, protocol, protocol_type, generation) =
            (self.leader.clone().unwrap_or_default(), self.protocol.clone(), self.protocol_type.clone(), self.generation);
        for member in self.members.values_mut() {
            member.expires = now + member.session_timeout;
            member.has_synced = false;
            let Some(reply) = member.joining.take() else { continue };
            let mut response = k::JoinGroupResponse::default();
            response.generation_id = generation;
            response.protocol_type = Some(wire::text(&protocol_type));
            response.protocol_name = protocol.as_deref().map(wire::text);
            response.leader = wire::text(&leader);
            response.member_id = wire::text(&member.id);
            if member.id == leader {
                response.members.clone_from(&all);
            }
            effects.replies.push((reply, Response::JoinGroup(Arc::new(response))));
        }
    }

    /// Answers one member with the generation as it stands, without a rebalance.
    pub(super) fn rejoined(&self, member: &Member) -> k::JoinGroupResponse {
        let mut response = k::JoinGroupResponse::default();
        response.generation_id = self.generation;
        response.protocol_type = Some(wire::text(&self.protocol_type));
        response.protocol_name = self.protocol.as_deref().map(wire::text);
        response.leader = wire::text(self.leader.as_deref().unwrap_or_default());
        response.member_id = wire::text(&member.id);
        if self.leader.as_ref() == Some(&member.id) {
            response.members = self.members.values().map(|member| self.joined_member(member)).collect();
        }
        response
    }

    fn joined_member(&self, member: &Member) -> k::join_group_response::JoinGroupResponseMember {
        let mut joined = k::join_group_response::JoinGroupResponseMember::default();
        joined.member_id = wire::text(&member.id);
        joined.group_instance_id = member.instance.as_deref().map(wire::text);
        joined.metadata = self.subscription_of(member);
        joined
    }

    /// The assignor with the most votes among those that every member knows; each member votes for the first such of its own list. Of two with as
    /// many, Java's map has one first, by its hash of their names (`ClassicGroup.selectProtocol`).
    pub(super) fn vote(&self) -> Option<String> {
        let everyone_knows = |name: &str| self.members.values().all(|member| member.protocols.iter().any(|(known, _)| known == name));
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for member in self.members.values() {
            let Some((name, _)) = member.protocols.iter().find(|(name, _)| everyone_knows(name)) else { continue };
            match votes.iter_mut().find(|(known, _)| known == name) {
                Some((_, count)) => *count += 1,
                None => votes.push((name, 1)),
            }
        }
        votes.into_iter().min_by_key(|(name, count)| (std::cmp::Reverse(*count), java_bucket(name))).map(|(name, _)| name.to_owned())
    }

    pub(super) fn assignment_stored(&mut self, now: Time, generation: i32, effects: &mut Effects) {
        if self.generation != generation || self.state != GroupState::CompletingRebalance {
            return;
        }
        self.state = GroupState::Stable;
        for member in self.members.values_mut() {
            if let Some(reply) = member.syncing.take() {
                member.expires = now + member.session_timeout;
                effects.replies.push((reply, sync_success(&self.protocol_type, self.protocol.as_deref(), &member.assignment)));
            }
        }
    }

    pub(super) fn assignment_lost(&mut self, now: Time, generation: i32, error: ErrorCode, effects: &mut Effects, out: &mut Outputs) {
        if self.generation != generation || self.state != GroupState::CompletingRebalance {
            return;
        }
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(reply) = member.syncing.take() {
                member.expires = now + member.session_timeout;
                effects.replies.push((reply, sync_error(error)));
            }
        }
        self.prepare_rebalance(now, 0, RebalanceReason::Changed, effects, out);
    }

    /// Refuses everybody who waits for an answer.
    pub(super) fn refuse_waiting(&mut self, error: ErrorCode, effects: &mut Effects) {
        for member in self.members.values_mut() {
            if let Some(reply) = member.joining.take() {
                effects.replies.push((reply, join_error(error, &member.id)));
            }
            if let Some(reply) = member.syncing.take() {
                effects.replies.push((reply, sync_error(error)));
            }
        }
    }
}

/// Where a name stands in a small `java.util.HashMap`: of sixteen buckets, by the folded hash.
fn java_bucket(name: &str) -> i32 {
    let hash = java_hash(name);
    (hash ^ (hash as u32 >> 16) as i32) & 15
}

pub(super) fn join_error(error: ErrorCode, member: &str) -> Response {
    let mut response = k::JoinGroupResponse::default();
    response.error_code = error.code();
    response.generation_id = -1;
    response.member_id = wire::text(member);
    Response::JoinGroup(Arc::new(response))
}

pub(super) fn sync_error(error: ErrorCode) -> Response {
    let mut response = k::SyncGroupResponse::default();
    response.error_code = error.code();
    Response::SyncGroup(Arc::new(response))
}

pub(super) fn sync_success(protocol_type: &str, protocol: Option<&str>, assignment: &Bytes) -> Response {
    let mut response = k::SyncGroupResponse::default();
    response.protocol_type = Some(wire::text(protocol_type));
    response.protocol_name = protocol.map(wire::text);
    response.assignment = assignment.clone();
    Response::SyncGroup(Arc::new(response))
}
