//! The consumer as a member of its group: finding the coordinator, joining, syncing and heartbeats.
//!
//! Before it joins again a member commits what it has read, if it commits by itself. With the eager protocol it then gives all its partitions up;
//! with the cooperative one (KIP-429) it reads on, gives up what the new assignment does not name, and joins once more so that others get it.
//! What an assignor has to be told, and what a leader does with it, is in [`super::assigning`]. Source: `ConsumerCoordinator`,
//! `AbstractCoordinator`.

use super::{Asked, Consumer, Reporting, assigning};
use crate::client::assignor::{Assignor, Members};
use crate::mutant;
use crate::node::{Channel, MS, NoteKind, Outputs, Partition, Time};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::ErrorCode;
use crate::protocol::consumer_protocol::{Assignment, NO_GENERATION, StickyUserData, TopicPartitions};
use crate::protocol::wire::{self, Request, Response};
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

#[cfg(test)]
#[path = "membership_test.rs"]
mod membership_test;

/// What kind of group it is.
const PROTOCOL_TYPE: &str = "consumer";
/// How much longer than the rebalance timeout a JoinGroup may take to be answered (`JOIN_GROUP_TIMEOUT_LAPSE`).
const JOIN_TIMEOUT_LAPSE: Time = 5_000 * MS;

/// Where a member stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum MemberState {
    /// Not in the group, or about to join again.
    #[default]
    Unjoined,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
    /// Its group wants nothing of it.
    Failed,
}

impl MemberState {
    pub fn name(self) -> &'static str {
        match self {
            MemberState::Unjoined => "Unjoined",
            MemberState::PreparingRebalance => "PreparingRebalance",
            MemberState::CompletingRebalance => "CompletingRebalance",
            MemberState::Stable => "Stable",
            MemberState::Failed => "Failed",
        }
    }
}

#[derive(Clone, Default, Debug)]
pub struct Membership {
    pub(super) coordinator: Option<i32>,
    finding: bool,
    /// Ask for the coordinator no earlier.
    find_at: Time,
    pub(super) state: MemberState,
    /// It has asked to join and has no assignment yet (`AbstractCoordinator.rebalanceInProgress`).
    pub(super) in_rebalance: bool,
    /// Join no earlier, after an error.
    join_at: Time,
    pub(super) member_id: String,
    /// The newest that it joined; none: it has to join as a new member.
    pub(super) generation: Option<i32>,
    /// The member id and generation with which it took part last, also when it does no more (`ConsumerCoordinator.groupMetadata`): who commits with that
    /// is refused where somebody with no name would not be.
    pub(super) joined_as: Option<(String, i32)>,
    /// The group's choice among its assignors.
    pub(super) assignor: Option<Assignor>,
    /// What the sticky assignor remembers: the newest assignment that it made here.
    pub(super) sticky: Option<StickyUserData>,
    /// The generation of the newest assignment that the cooperative sticky one made here.
    pub(super) cooperative: Option<i32>,
    /// An answer to JoinGroup or SyncGroup that came while the application was at work: its next poll takes it.
    unheard: Option<Response>,
    pub(super) heartbeat_at: Time,
    pub(super) heartbeat_under_way: bool,
    /// How many heartbeats in a row have failed.
    heartbeats_failed: u32,
    /// Until when a classic member takes its coordinator for well without hearing from it.
    session_until: Time,
    /// When auto commit is due.
    pub(super) commit_at: Time,
    /// Partitions of each topic that the group subscribes to when the assignment was made, 0 for one that does not exist: the leader rebalances
    /// when they change.
    pub(super) assigned_counts: Option<OrderedMap<String, i32>>,
    /// The group's members' subscriptions, while this member is the leader and must share the partitions out.
    pub(super) to_share: Option<Members>,
    /// It is the leader again, and the assignment stands (KIP-814): it only watches the topics. What they became while it was away escapes it, as in
    /// Kafka.
    pub(super) skips_assignment: bool,
    /// Before it does, it has to hear of their topics.
    pub(super) awaits_metadata: bool,
    /// Under the new protocol: what it has been told and has said.
    pub(super) reporting: Reporting,
}

impl Membership {
    pub fn state(&self) -> MemberState {
        self.state
    }

    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    pub fn generation(&self) -> Option<i32> {
        self.generation
    }

    pub(super) fn took_part(&mut self) {
        self.joined_as = self.generation.map(|generation| (self.member_id.clone(), generation));
    }
}

impl Consumer {
    pub(super) fn group(&self) -> Option<Arc<str>> {
        self.config.group.clone()
    }

    pub(super) fn is_member(&self) -> bool {
        self.config.group.is_some() && !self.assigns_by_hand()
    }

    /// What the group needs now: a coordinator, joining, sharing out, heartbeats.
    pub(super) fn keep_membership(&mut self, now: Time, out: &mut Outputs) {
        if self.config.group.is_none() {
            return;
        }
        let Some(coordinator) = self.membership.coordinator else {
            self.find_coordinator(now, out);
            return;
        };
        if !self.is_member() {
            return;
        }
        if self.shares() {
            self.keep_sharing(now, coordinator, out);
            return;
        }
        if self.config.reports {
            self.keep_reporting(now, coordinator, out);
            return;
        }
        if self.session_expires().is_some_and(|at| at <= now) {
            for (lost, _) in self.network.disconnect(now, (coordinator, Channel::Coordinator), out) {
                self.lost(now, lost);
            }
            self.coordinator_unknown(now);
            return;
        }
        if self.poll_expires().is_some_and(|at| at <= now) {
            self.poll_expired(now, coordinator, out);
        }
        self.keep_subscription(now);
        if self.next_join().is_some_and(|at| at <= now) {
            self.send_join(now, coordinator, out);
        }
        if self.membership.to_share.is_some() {
            self.share_out(now, coordinator, out);
        }
        if self.next_heartbeat().is_some_and(|at| at <= now) {
            self.send_heartbeat(now, coordinator, out);
        }
    }

    /// When the next heartbeat is due. It beats beside the application's work, also while a rebalance waits for that work to end (KIP-62).
    fn next_heartbeat(&self) -> Option<Time> {
        (self.beats() && !self.membership.heartbeat_under_way).then_some(self.membership.heartbeat_at)
    }

    /// Whether its heart beats, as a member of a classic group.
    fn beats(&self) -> bool {
        let membership = &self.membership;
        self.is_member()
            && match membership.state {
                MemberState::Stable | MemberState::CompletingRebalance => true,
                MemberState::Unjoined => membership.generation.is_some() && !membership.in_rebalance,
                MemberState::PreparingRebalance | MemberState::Failed => false,
            }
    }

    /// When it gives its coordinator up, which has not answered a heartbeat for a session (`Heartbeat.sessionTimeoutExpired`).
    fn session_expires(&self) -> Option<Time> {
        self.beats().then_some(self.membership.session_until)
    }

    /// When an application that is at work has to poll at the latest. While its member waits for others to join nobody watches it.
    pub(super) fn poll_expires(&self) -> Option<Time> {
        let watches = self.is_member() && self.membership.generation.is_some() && self.membership.state != MemberState::PreparingRebalance;
        let watches = watches && self.is_at_work() && !mutant::is("poll-interval-unheeded");
        watches.then(|| self.polled_at + self.config.max_poll_interval)
    }

    /// The heart stops beating, and a dynamic member leaves at once. The application goes on with what it has; its next poll finds the rest lost.
    fn poll_expired(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        let Some(group) = self.group() else { return };
        out.note(NoteKind::PollIntervalExceeded { group });
        self.send_leave(now, coordinator, out);
        self.expelled(now);
    }

    /// Whether the application has been at work for longer than its group puts up with, and is a member still.
    pub fn overstays(&self, now: Time) -> bool {
        let late = self.polled_at + self.config.max_poll_interval < now && self.is_at_work();
        late && self.is_member()
            && self.membership.generation.is_some()
            && self.membership.coordinator.is_some()
            && self.membership.state != MemberState::PreparingRebalance
    }

    /// When to join. The application joins from inside poll: not while it works on records.
    fn next_join(&self) -> Option<Time> {
        let joins = self.is_member() && self.membership.state == MemberState::Unjoined && !self.is_at_work() && self.knows_its_topics();
        joins.then_some(self.membership.join_at)
    }

    pub(super) fn membership_due(&self) -> Option<Time> {
        self.config.group.as_ref()?;
        let membership = &self.membership;
        if membership.coordinator.is_none() {
            return (!membership.finding).then_some(membership.find_at);
        }
        let joined = membership.state == MemberState::Stable || self.assigns_by_hand();
        let commit =
            (self.config.auto_commit && joined && !self.is_at_work() && !self.partitions.is_empty()).then_some(membership.commit_at);
        if self.shares() {
            return [self.next_share_report(), self.poll_expires()].into_iter().flatten().min();
        }
        if self.config.reports {
            return [commit, self.next_report(), self.poll_expires()].into_iter().flatten().min();
        }
        [commit, self.next_heartbeat(), self.session_expires(), self.next_join(), self.poll_expires()].into_iter().flatten().min()
    }

    fn find_coordinator(&mut self, now: Time, out: &mut Outputs) {
        let Some(group) = self.group().filter(|_| !self.membership.finding && self.membership.find_at <= now) else { return };
        let Some(broker) = self.network.some_broker(now) else {
            self.membership.find_at = self.network.next_try(now).unwrap_or(now + self.network.backoff(0));
            return;
        };
        let mut message = k::FindCoordinatorRequest::default();
        message.coordinator_keys.push(wire::text(&group));
        self.membership.finding = true;
        self.network.send(now, broker, Channel::Data, Asked::FindCoordinator, Request::FindCoordinator(Arc::new(message)), None, out);
    }

    pub(super) fn find_coordinator_again(&mut self, now: Time) {
        self.membership.finding = false;
        self.membership.find_at = now + self.network.backoff(0);
    }

    pub(super) fn coordinator_found(&mut self, now: Time, message: &k::FindCoordinatorResponse) {
        self.membership.finding = false;
        match message.coordinators.first() {
            Some(found) if found.error_code == 0 => {
                self.membership.coordinator = Some(found.node_id.0);
                // A heartbeat that is due by now is not put off.
                self.session_goes_on(now);
            }
            _ => self.find_coordinator_again(now),
        }
    }

    /// The coordinator is another broker now, or gone: find it, and keep the assignment meanwhile.
    pub(super) fn coordinator_unknown(&mut self, now: Time) {
        self.membership.coordinator = None;
        self.membership.heartbeat_under_way = false;
        self.find_coordinator_again(now);
    }

    pub(super) fn coordinator_lost(&mut self, now: Time, asked: &Asked) {
        self.coordinator_unknown(now);
        match asked {
            Asked::JoinGroup | Asked::SyncGroup => self.rejoin_at(now),
            Asked::Heartbeat => self.heartbeat_failed(now),
            Asked::Report => self.report_lost(now),
            Asked::OffsetFetch => self.committed_unasked(now),
            Asked::OffsetCommit => self.async_commit_lost(now),
            Asked::CommitSync(number) => self.sync_commit_lost(now, *number),
            _ => {}
        }
    }

    pub(super) fn rejoin_at(&mut self, at: Time) {
        self.membership.state = MemberState::Unjoined;
        self.membership.join_at = at;
        self.membership.to_share = None;
        self.match_again(at);
    }

    fn send_join(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        let Some(group) = self.group() else { return };
        self.joins_with_topics();
        self.prepare_to_join(now, out);
        let mut message = k::JoinGroupRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.session_timeout_ms = i32::try_from(self.config.session_timeout / MS).unwrap_or(i32::MAX);
        message.rebalance_timeout_ms = i32::try_from(self.config.max_poll_interval / MS).unwrap_or(i32::MAX);
        message.member_id = wire::text(&self.membership.member_id);
        message.group_instance_id = self.instance();
        message.protocol_type = wire::text(PROTOCOL_TYPE);
        message.protocols = self.protocols();
        (self.membership.state, self.membership.in_rebalance) = (MemberState::PreparingRebalance, true);
        let timeout = Some(self.config.network.request_timeout.max(self.config.max_poll_interval + JOIN_TIMEOUT_LAPSE));
        self.network.send(now, coordinator, Channel::Coordinator, Asked::JoinGroup, Request::JoinGroup(Arc::new(message)), timeout, out);
    }

    /// Commits what has been read. Partitions are lost if the group has gone on without it, and given up if another may get them at once.
    fn prepare_to_join(&mut self, now: Time, out: &mut Outputs) {
        if self.membership.generation.is_none() {
            self.lose_partitions(out);
            return;
        }
        if self.config.auto_commit {
            self.send_commit(now, self.offsets_to_commit(), OrderedMap::new(), out);
        }
        let topics = self.subscribed_topics();
        let gone: Vec<Partition> = if !self.is_cooperative() && !mutant::is("eager-gives-nothing-up") {
            self.partitions.keys().cloned().collect()
        } else {
            // What a pattern does not match any more.
            self.partitions.keys().filter(|own| !topics.contains(&own.topic)).cloned().collect()
        };
        gone.iter().for_each(|own| drop(self.partitions.remove(own)));
        self.revoked(gone, out);
    }

    pub(super) fn revoked(&mut self, partitions: Vec<Partition>, out: &mut Outputs) {
        let (Some(group), false) = (self.group(), partitions.is_empty()) else { return };
        out.note(NoteKind::AssignmentRevoked { group, partitions });
    }

    pub(super) fn lose_partitions(&mut self, out: &mut Outputs) {
        let (Some(group), false) = (self.group(), self.partitions.is_empty()) else { return };
        let partitions = std::mem::take(&mut self.partitions).into_keys().collect();
        out.note(NoteKind::AssignmentLost { group, partitions });
    }

    /// The group has gone on without this member: nothing it holds is its own any more, and nothing may be committed. The application hears so
    /// when it polls.
    pub(super) fn expelled(&mut self, now: Time) {
        self.membership.member_id.clear();
        (self.membership.generation, self.membership.in_rebalance) = (None, false);
        self.rejoin_at(now);
    }

    /// An answer has come to JoinGroup or SyncGroup. It is the application's poll that takes it.
    pub(super) fn rebalance_answered(&mut self, response: Response) {
        self.membership.unheard = Some(response);
    }

    pub(super) fn hear_of_rebalance(&mut self, now: Time, out: &mut Outputs) {
        if self.is_at_work() {
            return;
        }
        // What comes when the member has given up waiting for it is too late.
        match (self.membership.unheard.take(), self.membership.state) {
            (Some(Response::JoinGroup(message)), MemberState::PreparingRebalance) => self.joined(now, &message, out),
            (Some(Response::SyncGroup(message)), MemberState::CompletingRebalance) => self.synced(now, &message, out),
            _ => {}
        }
    }

    fn joined(&mut self, now: Time, message: &k::JoinGroupResponse, out: &mut Outputs) {
        match ErrorCode::of(message.error_code) {
            ErrorCode::None => {
                let chosen = message.protocol_name.as_deref().and_then(Assignor::of);
                let Some(assignor) = chosen.filter(|chosen| self.config.assignors.contains(chosen)) else {
                    self.fail(ErrorCode::InconsistentGroupProtocol);
                    return;
                };
                self.membership.assignor = Some(assignor);
                self.membership.member_id = message.member_id.to_string();
                self.membership.generation = Some(message.generation_id);
                self.membership.state = MemberState::CompletingRebalance;
                self.membership.heartbeat_at = now + self.config.heartbeat_interval;
                self.session_goes_on(now);
                self.membership.assigned_counts = None;
                self.membership.skips_assignment = message.skip_assignment;
                if message.leader == message.member_id {
                    let subscriptions: Members = message.members.iter().map(|told| assigning::member(told, assignor)).collect();
                    for topic in subscriptions.values().flat_map(|member| &member.topics) {
                        self.network.want(now, &Arc::from(topic.as_str()));
                    }
                    self.membership.to_share = Some(subscriptions);
                    self.membership.awaits_metadata = self.network.is_learning(now);
                } else if let Some(coordinator) = self.membership.coordinator {
                    self.send_sync(now, coordinator, Vec::new(), out);
                } else {
                    // Another answer, an old one perhaps, has made it doubt who coordinates: nobody to ask for the assignment.
                    self.rejoin_at(now);
                }
            }
            ErrorCode::MemberIdRequired => {
                self.membership.member_id = message.member_id.to_string();
                self.rejoin_at(now);
            }
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => self.expelled(now),
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator_unknown(now);
                self.rejoin_at(now);
            }
            error if error.retriable() => self.rejoin_at(now + self.network.backoff(0)),
            error => self.fail(error),
        }
    }

    /// The application gets the error, and does not poll again.
    pub(super) fn fail(&mut self, error: ErrorCode) {
        self.error = Some(error);
        self.membership.state = MemberState::Failed;
        self.membership.to_share = None;
    }

    pub(super) fn send_sync(
        &mut self,
        now: Time,
        coordinator: i32,
        assignments: Vec<k::sync_group_request::SyncGroupRequestAssignment>,
        out: &mut Outputs,
    ) {
        let Some(group) = self.group() else { return };
        let mut message = k::SyncGroupRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.generation_id = self.membership.generation.unwrap_or(NO_GENERATION);
        message.member_id = wire::text(&self.membership.member_id);
        message.group_instance_id = self.instance();
        message.protocol_type = Some(wire::text(PROTOCOL_TYPE));
        message.protocol_name = self.membership.assignor.map(|assignor| wire::text(assignor.name()));
        message.assignments = assignments;
        // Only a JoinGroup may wait for longer than `request.timeout.ms` (`AbstractCoordinator.sendSyncGroupRequest`).
        self.network.send(now, coordinator, Channel::Coordinator, Asked::SyncGroup, Request::SyncGroup(Arc::new(message)), None, out);
    }

    fn synced(&mut self, now: Time, message: &k::SyncGroupResponse, out: &mut Outputs) {
        match ErrorCode::of(message.error_code) {
            ErrorCode::None => {
                let assigned = Assignment::read(&message.assignment).map(|read| read.partitions).unwrap_or_default();
                (self.membership.state, self.membership.in_rebalance) = (MemberState::Stable, false);
                self.membership.took_part();
                self.membership.commit_at = now + self.config.auto_commit_interval;
                self.assigned(now, assigned, out);
            }
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => self.expelled(now),
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator_unknown(now);
                self.rejoin_at(now);
            }
            ErrorCode::FencedInstanceId => self.fail(ErrorCode::FencedInstanceId),
            _ => self.rejoin_at(now),
        }
    }

    /// Takes an assignment: what it does not name is given up, and then the group has to be told.
    fn assigned(&mut self, now: Time, assigned: Vec<TopicPartitions>, out: &mut Outputs) {
        self.remember(&assigned);
        let partition = |(topic, indices): (String, Vec<i32>)| {
            let topic: Arc<str> = Arc::from(topic.as_str());
            indices.into_iter().map(move |index| Partition { topic: topic.clone(), index })
        };
        let all: OrderedSet<Partition> = assigned.into_iter().flat_map(partition).collect();
        let gone: Vec<Partition> = self.partitions.keys().filter(|own| !all.contains(*own)).cloned().collect();
        if !gone.is_empty() {
            gone.iter().for_each(|own| drop(self.partitions.remove(own)));
            self.revoked(gone, out);
            self.rejoin_at(now);
        }
        let partitions: Vec<Partition> = all.iter().cloned().collect();
        let added = partitions.iter().filter(|own| !self.partitions.contains_key(*own)).cloned().collect();
        if let Some(group) = self.group() {
            out.note(NoteKind::AssignmentReceived { group, partitions: partitions.clone(), added });
        }
        self.take_partitions(now, partitions);
    }

    fn send_heartbeat(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        let Some(group) = self.group() else { return };
        let mut message = k::HeartbeatRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.generation_id = self.membership.generation.unwrap_or(NO_GENERATION);
        message.member_id = wire::text(&self.membership.member_id);
        message.group_instance_id = self.instance();
        (self.membership.heartbeat_under_way, self.membership.heartbeat_at) = (true, now + self.config.heartbeat_interval);
        self.network.send(now, coordinator, Channel::Coordinator, Asked::Heartbeat, Request::Heartbeat(Arc::new(message)), None, out);
    }

    pub(super) fn heartbeat_answered(&mut self, now: Time, message: &k::HeartbeatResponse) {
        self.membership.heartbeat_under_way = false;
        let error = ErrorCode::of(message.error_code);
        if matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) {
            self.heartbeat_failed(now);
            self.coordinator_unknown(now);
            return;
        }
        self.membership.heartbeats_failed = 0;
        self.session_goes_on(now);
        match error {
            ErrorCode::RebalanceInProgress if self.membership.state == MemberState::Stable => self.rejoin_at(now),
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration if self.membership.state == MemberState::Stable => self.expelled(now),
            ErrorCode::FencedInstanceId => self.fail(ErrorCode::FencedInstanceId),
            _ => {}
        }
    }

    /// The next one is not a whole interval away then (`Heartbeat.failHeartbeat`).
    fn heartbeat_failed(&mut self, now: Time) {
        self.membership.heartbeat_at = now + self.network.backoff(self.membership.heartbeats_failed);
        self.membership.heartbeats_failed += 1;
    }

    fn session_goes_on(&mut self, now: Time) {
        self.membership.session_until = now + self.config.session_timeout;
    }

    /// Commits, if it commits by itself, and leaves the group at once instead of letting its session expire.
    pub(super) fn leave_group(&mut self, now: Time, out: &mut Outputs) {
        let Some(coordinator) = self.membership.coordinator else { return };
        if self.config.auto_commit && (self.membership.generation.is_some() || self.assigns_by_hand()) {
            self.send_commit(now, self.offsets_to_commit(), OrderedMap::new(), out);
        }
        self.send_leave(now, coordinator, out);
    }

    /// Leaves, unless it is a static member: that one is expected back within its session.
    fn send_leave(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        if self.shares() {
            self.share_leaving(now, coordinator, out);
            return;
        }
        if self.config.reports && self.is_member() {
            self.report_leaving(now, coordinator, out);
            return;
        }
        let Some(group) = self.group().filter(|_| self.is_member() && self.config.instance.is_none()) else { return };
        if self.membership.member_id.is_empty() {
            return;
        }
        let mut leaving = k::leave_group_request::MemberIdentity::default();
        leaving.member_id = wire::text(&self.membership.member_id);
        let mut message = k::LeaveGroupRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.members.push(leaving);
        self.network.send(now, coordinator, Channel::Coordinator, Asked::LeaveGroup, Request::LeaveGroup(Arc::new(message)), None, out);
    }

    pub(super) fn instance(&self) -> Option<StrBytes> {
        self.config.instance.as_deref().map(wire::text)
    }
}
