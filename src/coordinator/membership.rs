//! Joining, syncing, heartbeats and leaving of the classic protocol, with Kafka's answer to everything that is out of turn.
//!
//! Static members are in [`super::static_members`]. Source: `GroupMetadataManager` (`classicGroupJoin`, `classicGroupSync`,
//! `classicGroupHeartbeat`, `classicGroupLeave`, `expirePendingSync`), KIP-394.

use super::group::{join_error, sync_error, sync_success};
use super::{Append, Coordinator, CoordinatorConfig, Effects, Group, GroupState, Member, ReplyTo, Then, partition_for};
use crate::mutant;
use crate::node::{LeaveReason, MS, NoteKind, Outputs, RebalanceReason, Time};
use crate::protocol::wire::Response;
use crate::protocol::{ErrorCode, STRING_MAX};
use bytes::Bytes;
use kafka_protocol::messages as k;
use std::sync::Arc;

impl Coordinator {
    pub(super) fn join(
        &mut self,
        now: Time,
        reply: ReplyTo,
        client_id: &str,
        message: &k::JoinGroupRequest,
        effects: &mut Effects,
        out: &mut Outputs,
    ) {
        if let Err((error, member)) = self.checked_join(now, reply, client_id, message, effects, out) {
            effects.replies.push((reply, join_error(error, &member)));
        }
    }

    fn checked_join(
        &mut self,
        now: Time,
        reply: ReplyTo,
        client_id: &str,
        message: &k::JoinGroupRequest,
        effects: &mut Effects,
        out: &mut Outputs,
    ) -> Result<(), (ErrorCode, String)> {
        let asked: &str = &message.member_id;
        let refuse = |error: ErrorCode| (error, asked.to_owned());
        let config = self.config;
        let session_timeout = MS * Time::try_from(message.session_timeout_ms).unwrap_or(0);
        // Version 0 knows but one timeout (`JoinGroupRequest.maybeOverrideRebalanceTimeout`).
        let rebalance_timeout = Time::try_from(message.rebalance_timeout_ms).map_or(session_timeout, |ms| MS * ms);
        let instance = message.group_instance_id.as_deref();
        let fresh_id: Arc<str> = Arc::from(format!("{}-{:016x}", instance.unwrap_or(client_id), self.chance.draw()));
        let shard = self.shard_mut(&message.group_id).map_err(refuse)?;
        if !(config.session_timeout_min..=config.session_timeout_max).contains(&session_timeout) {
            return Err(refuse(ErrorCode::InvalidSessionTimeout));
        }
        // Where members of the new protocol are, those of the classic one have nothing in common with them.
        let is_taken =
            |group: &Group| group.share.is_some() || group.consumer.as_ref().is_some_and(|consumer| !consumer.members.is_empty());
        if shard.groups.get(message.group_id.as_str()).is_some_and(is_taken) {
            return Err(refuse(ErrorCode::InconsistentGroupProtocol));
        }
        if !asked.is_empty() && !shard.groups.contains_key(message.group_id.as_str()) {
            return Err(refuse(ErrorCode::UnknownMemberId));
        }
        if let Some(full) = shard.groups.get_mut(message.group_id.as_str()).filter(|group| !group.has_room(asked, config.size_max)) {
            full.pending.remove(asked);
            full.remove_member(now, asked, (LeaveReason::Left, RebalanceReason::Left), &config, effects, out);
            return Err((ErrorCode::GroupMaxSizeReached, String::new()));
        }
        let known = shard.groups.get(message.group_id.as_str());
        let protocols: Vec<(String, Bytes)> = message.protocols.iter().map(|p| (p.name.to_string(), p.metadata.clone())).collect();
        // Who is refused leaves no empty group behind.
        let is_first = |name: &str| Group::new(Arc::from(name)).accepts(&message.protocol_type, &protocols);
        if !known.map_or_else(|| is_first(&message.group_id), |group| group.accepts(&message.protocol_type, &protocols)) {
            return Err(refuse(ErrorCode::InconsistentGroupProtocol));
        }
        if STRING_MAX < fresh_id.len() {
            // Nobody can be told such an id, nor can it be stored.
            return Err(refuse(ErrorCode::UnknownServerError));
        }
        let group = shard.group(&message.group_id);
        if let Some(consumer) = group.consumer.take() {
            // Nobody is left in it: from now on it is a classic group (`maybeDeleteEmptyConsumerGroup`).
            group.forget_generations();
            let append = Append {
                partition: partition_for(&group.id, config.partitions),
                records: consumer.tombstones(&group.id),
                then: Then::Stored,
            };
            effects.appends.push(append);
            out.note(NoteKind::GroupDeleted { group: group.id.clone() });
        }
        let joining = |id: Arc<str>| Member {
            id,
            instance: instance.map(Arc::from),
            client_id: client_id.to_owned(),
            session_timeout,
            rebalance_timeout,
            protocols: protocols.clone(),
            assignment: Bytes::new(),
            expires: now + session_timeout,
            joining: Some(reply),
            syncing: None,
            has_synced: false,
        };
        if let (true, Some(instance)) = (asked.is_empty(), instance) {
            match group.static_member(instance).cloned() {
                Some(before) => group.replace(now, &before, joining(fresh_id), &config, effects, out),
                None => group.add_member(now, joining(fresh_id), &message.protocol_type, &config, effects, out),
            }
            return Ok(());
        }
        if asked.is_empty() {
            // The first JoinGroup only earns an id, so that a client that retries does not fill the group with ghosts (KIP-394).
            group.pending.insert(fresh_id.clone(), now + session_timeout);
            return Err((ErrorCode::MemberIdRequired, fresh_id.to_string()));
        }
        if group.pending.remove(asked).is_some() {
            group.add_member(now, joining(Arc::from(asked)), &message.protocol_type, &config, effects, out);
            return Ok(());
        }
        group.validate(asked, instance).map_err(refuse)?;
        let is_leader = group.leader.as_deref() == Some(asked);
        let state = group.state;
        let Some(member) = group.members.get_mut(asked) else { return Err(refuse(ErrorCode::UnknownMemberId)) };
        let unchanged = member.protocols == protocols;
        let settled = match state {
            GroupState::CompletingRebalance => unchanged,
            GroupState::Stable => unchanged && !is_leader,
            GroupState::Empty | GroupState::PreparingRebalance => false,
        };
        member.expires = now + member.session_timeout;
        if settled {
            let member = member.clone();
            effects.replies.push((reply, Response::JoinGroup(Arc::new(group.rejoined(&member)))));
            return Ok(());
        }
        member.protocols = protocols;
        (member.session_timeout, member.rebalance_timeout) = (session_timeout, rebalance_timeout);
        member.joining = Some(reply);
        let reason = if is_leader { RebalanceReason::LeaderRejoined } else { RebalanceReason::Changed };
        group.prepare_rebalance(now, config.initial_rebalance_delay, reason, effects, out);
        group.complete_join_if_ready(now, &config, effects, out);
        Ok(())
    }

    pub(super) fn sync(&mut self, now: Time, reply: ReplyTo, message: &k::SyncGroupRequest, effects: &mut Effects) {
        if let Err(error) = self.checked_sync(now, reply, message, effects) {
            effects.replies.push((reply, sync_error(error)));
        }
    }

    fn checked_sync(&mut self, now: Time, reply: ReplyTo, message: &k::SyncGroupRequest, effects: &mut Effects) -> Result<(), ErrorCode> {
        let config = self.config;
        let group = self.shard_mut(&message.group_id)?.groups.get_mut(message.group_id.as_str()).ok_or(ErrorCode::UnknownMemberId)?;
        let (state, generation) = (group.state, group.generation);
        let is_leader = group.leader.as_deref() == Some(message.member_id.as_str());
        group.validate(&message.member_id, message.group_instance_id.as_deref())?;
        let member = group.members.get_mut(message.member_id.as_str()).ok_or(ErrorCode::UnknownMemberId)?;
        if message.generation_id != generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let named = |name: &Option<_>, own: Option<&str>| {
            name.as_ref().is_none_or(|name: &kafka_protocol::protocol::StrBytes| Some(name.as_str()) == own)
        };
        if !named(&message.protocol_type, Some(&group.protocol_type)) || !named(&message.protocol_name, group.protocol.as_deref()) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match state {
            GroupState::Empty => Err(ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            GroupState::Stable => {
                member.expires = now + member.session_timeout;
                let answer = sync_success(&group.protocol_type, group.protocol.as_deref(), &member.assignment);
                effects.replies.push((reply, answer));
                group.synced(&message.member_id);
                Ok(())
            }
            GroupState::CompletingRebalance => {
                member.syncing = Some(reply);
                group.synced(&message.member_id);
                if is_leader {
                    for member in group.members.values_mut() {
                        let own = message.assignments.iter().find(|assigned| assigned.member_id.as_str() == &*member.id);
                        member.assignment = own.map(|assigned| assigned.assignment.clone()).unwrap_or_default();
                    }
                    let then = Then::AssignmentStored { group: group.id.clone(), generation };
                    let records = vec![group.metadata_record(config.timestamp(now))];
                    effects.appends.push(Append { partition: partition_for(&group.id, config.partitions), records, then });
                }
                Ok(())
            }
        }
    }

    pub(super) fn heartbeat(&mut self, now: Time, reply: ReplyTo, message: &k::HeartbeatRequest, effects: &mut Effects) {
        match self.checked_heartbeat(now, message).err().unwrap_or(ErrorCode::None) {
            told @ (ErrorCode::None | ErrorCode::RebalanceInProgress) => {
                effects.after_writes.push((partition_for(&message.group_id, self.config.partitions), reply, heard(told)));
            }
            error => effects.replies.push((reply, heard(error))),
        }
    }

    fn checked_heartbeat(&mut self, now: Time, message: &k::HeartbeatRequest) -> Result<(), ErrorCode> {
        let group = self.shard_mut(&message.group_id)?.groups.get_mut(message.group_id.as_str()).ok_or(ErrorCode::UnknownMemberId)?;
        let (state, generation) = (group.state, group.generation);
        group.validate(&message.member_id, message.group_instance_id.as_deref())?;
        let member = group.members.get_mut(message.member_id.as_str()).ok_or(ErrorCode::UnknownMemberId)?;
        if message.generation_id != generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match state {
            GroupState::Empty => Err(ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => {
                member.expires = now + member.session_timeout;
                Err(ErrorCode::RebalanceInProgress)
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.expires = now + member.session_timeout;
                Ok(())
            }
        }
    }

    pub(super) fn leave(&mut self, now: Time, reply: ReplyTo, message: &k::LeaveGroupRequest, effects: &mut Effects, out: &mut Outputs) {
        let config = self.config;
        let mut response = k::LeaveGroupResponse::default();
        match self.shard_mut(&message.group_id) {
            Err(error) => response.error_code = error.code(),
            Ok(shard) => {
                let mut group = shard.groups.get_mut(message.group_id.as_str());
                for leaving in &message.members {
                    let left = group.as_deref_mut().ok_or(ErrorCode::UnknownMemberId).and_then(|group| group.leave(leaving, effects, out));
                    let answer = k::leave_group_response::MemberResponse::default().with_member_id(leaving.member_id.clone());
                    let answer = answer.with_group_instance_id(leaving.group_instance_id.clone());
                    response.members.push(answer.with_error_code(left.err().unwrap_or(ErrorCode::None).code()));
                }
                // All have left before the others are counted.
                if let Some(group) = group.filter(|_| response.members.iter().any(|told| told.error_code == 0)) {
                    group.members_have_left(now, RebalanceReason::Left, &config, effects, out);
                }
            }
        }
        effects.replies.push((reply, Response::LeaveGroup(Arc::new(response))));
    }

    /// Removes members whose session has expired and ends rebalances that have waited long enough. Returns when to look again.
    pub fn expire(&mut self, now: Time, effects: &mut Effects, out: &mut Outputs) -> Option<Time> {
        let config = self.config;
        for group in self.shards.values_mut().flat_map(|shard| shard.groups.values_mut()) {
            group.pending.retain(|_, expires| now < *expires);
            let expired: Vec<Arc<str>> =
                group.members.values().filter(|member| member.is_expired(now)).map(|member| member.id.clone()).collect();
            for member in expired {
                let reason = (LeaveReason::SessionExpired, RebalanceReason::SessionExpired);
                group.remove_member(now, &member, reason, &config, effects, out);
            }
            // Who has its assignment to fetch and does not come for it keeps others waiting, if it is the leader, and partitions unread.
            if group.sync_deadline.take_if(|deadline| *deadline <= now).is_some() {
                let silent: Vec<Arc<str>> =
                    group.members.values().filter(|member| !member.has_synced).map(|member| member.id.clone()).collect();
                for member in silent {
                    let reason = (LeaveReason::SyncTimeout, RebalanceReason::SyncTimeout);
                    group.remove_member(now, &member, reason, &config, effects, out);
                }
            }
            group.complete_join_if_ready(now, &config, effects, out);
        }
        self.expire_consumer_members(now, effects, out);
        self.expire_share_members(now, effects, out);
        self.next_deadline()
    }

    /// The earliest time at which [`Coordinator::expire`] may have something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.groups().filter_map(Group::next_deadline).min()
    }
}

impl Member {
    /// When it is taken out unless it is heard of. While the group owes it an answer that is not its fault (`ClassicGroupMember.hasSatisfiedHeartbeat`).
    fn session_ends(&self) -> Option<Time> {
        (self.joining.is_none() && self.syncing.is_none()).then_some(self.expires)
    }

    fn is_expired(&self, now: Time) -> bool {
        self.session_ends().is_some_and(|at| at <= now) && !mutant::is("dead-member-stays")
    }
}

impl Group {
    /// Whether there is room for who joins. While the members are being counted those who have come again count
    /// (`GroupMetadataManager.acceptJoiningMember`).
    fn has_room(&self, member: &str, size_max: usize) -> bool {
        let has_joined = |member: &&Member| member.joining.is_some();
        match self.state {
            GroupState::Empty => true,
            GroupState::PreparingRebalance => {
                self.members.get(member).filter(has_joined).is_some() || self.members.values().filter(has_joined).count() < size_max
            }
            GroupState::CompletingRebalance | GroupState::Stable => self.members.contains_key(member) || self.members.len() < size_max,
        }
    }

    /// Whether a member with these assignors can join: there is one that everybody knows.
    fn accepts(&self, protocol_type: &str, protocols: &[(String, Bytes)]) -> bool {
        if protocol_type.is_empty() || protocols.is_empty() {
            return false;
        }
        let known_by_all = |name: &str| self.members.values().all(|member| member.protocols.iter().any(|(known, _)| known == name));
        self.members.is_empty() || (self.protocol_type == protocol_type && protocols.iter().any(|(name, _)| known_by_all(name)))
    }

    fn add_member(
        &mut self,
        now: Time,
        member: Member,
        protocol_type: &str,
        config: &CoordinatorConfig,
        effects: &mut Effects,
        out: &mut Outputs,
    ) {
        if self.members.is_empty() {
            self.protocol_type = protocol_type.to_owned();
        }
        let id = member.id.clone();
        out.note(NoteKind::MemberJoined { group: self.id.clone(), member: id.clone() });
        self.gathering.iter_mut().for_each(|gathering| gathering.newcomer = true);
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
        self.prepare_rebalance(now, config.initial_rebalance_delay, RebalanceReason::Joined, effects, out);
        self.complete_join_if_ready(now, config, effects, out);
    }

    /// Somebody leaves, or is taken out by its instance id alone, as an admin does.
    fn leave(
        &mut self,
        leaving: &k::leave_group_request::MemberIdentity,
        effects: &mut Effects,
        out: &mut Outputs,
    ) -> Result<(), ErrorCode> {
        if self.pending.remove(leaving.member_id.as_str()).is_some() {
            return Ok(());
        }
        let instance = leaving.group_instance_id.as_deref();
        let member: Arc<str> = if leaving.member_id.is_empty() {
            instance.and_then(|instance| self.static_member(instance)).ok_or(ErrorCode::UnknownMemberId)?.clone()
        } else {
            self.validate(&leaving.member_id, instance)?;
            Arc::from(leaving.member_id.as_str())
        };
        self.take_out(&member, LeaveReason::Left, effects, out);
        Ok(())
    }

    pub(super) fn complete_join_if_ready(&mut self, now: Time, config: &CoordinatorConfig, effects: &mut Effects, out: &mut Outputs) {
        let waited = self.deadline.is_some_and(|deadline| deadline <= now);
        let is_complete = self.gathering.is_none() && self.all_joined();
        if self.state != GroupState::PreparingRebalance || !waited && !is_complete {
            return;
        }
        if let Some(delay) = self.gathering.as_mut().and_then(|gathering| gathering.goes_on(config.initial_rebalance_delay)) {
            self.deadline = Some(now + delay);
            return;
        }
        self.gathering = None;
        self.complete_join(now, config, effects, out);
    }

    fn remove_member(
        &mut self,
        now: Time,
        member: &str,
        reason: (LeaveReason, RebalanceReason),
        config: &CoordinatorConfig,
        effects: &mut Effects,
        out: &mut Outputs,
    ) {
        if self.take_out(member, reason.0, effects, out) {
            self.members_have_left(now, reason.1, config, effects, out);
        }
    }

    /// `false`: it is no member.
    fn take_out(&mut self, member: &str, reason: LeaveReason, effects: &mut Effects, out: &mut Outputs) -> bool {
        let Some(removed) = self.members.remove(member) else { return false };
        if let Some(waiting) = removed.joining {
            effects.replies.push((waiting, join_error(ErrorCode::UnknownMemberId, member)));
        }
        if let Some(waiting) = removed.syncing {
            effects.replies.push((waiting, sync_error(ErrorCode::UnknownMemberId)));
        }
        if self.leader.as_deref() == Some(member) {
            self.leader =
                self.members.values().find(|other| other.joining.is_some()).or(self.members.values().next()).map(|other| other.id.clone());
        }
        out.note(NoteKind::MemberLeft { group: self.id.clone(), member: removed.id, reason });
        true
    }

    /// What that means for those who stay.
    fn members_have_left(
        &mut self,
        now: Time,
        reason: RebalanceReason,
        config: &CoordinatorConfig,
        effects: &mut Effects,
        out: &mut Outputs,
    ) {
        if matches!(self.state, GroupState::Stable | GroupState::CompletingRebalance) {
            self.prepare_rebalance(now, 0, reason, effects, out);
        }
        self.complete_join_if_ready(now, config, effects, out);
    }

    fn next_deadline(&self) -> Option<Time> {
        let consumer = self.consumer.as_ref().and_then(|group| group.next_deadline());
        let share = self.share.as_ref().and_then(|group| group.next_deadline());
        let sessions = self.members.values().filter_map(Member::session_ends);
        sessions.chain(self.pending.values().copied()).chain(self.deadline).chain(self.sync_deadline).chain(consumer).chain(share).min()
    }
}

/// What a member hears whose heartbeat was looked at.
pub(super) fn heard(error: ErrorCode) -> Response {
    Response::Heartbeat(Arc::new(k::HeartbeatResponse::default().with_error_code(error.code())))
}
