//! The consumer as a member of its group: finding the coordinator, joining, syncing, heartbeats and commits.
//!
//! Source: `ConsumerCoordinator`, `AbstractCoordinator` (classic protocol, eager rebalance): before it joins again a member commits what it
//! has read, if it commits by itself, and gives all its partitions up.

use super::{Asked, Consumer, Reads};
use crate::client::assignor::{Assignor, KnownTopic, Member, Members, RANGE, Topics};
use crate::node::{Channel, MS, NoteKind, Outputs, Partition, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::consumer_protocol::{Assignment, Subscription};
use crate::protocol::wire::{self, Request};
use kafka_protocol::messages as k;
use std::sync::Arc;

#[cfg(test)]
#[path = "membership_test.rs"]
mod membership_test;

/// What kind of group it is.
const PROTOCOL_TYPE: &str = "consumer";
/// The version of subscriptions and assignments that the Java client writes.
const SUBSCRIPTION_VERSION: i16 = 3;
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
}

impl MemberState {
    pub fn name(self) -> &'static str {
        match self {
            MemberState::Unjoined => "Unjoined",
            MemberState::PreparingRebalance => "PreparingRebalance",
            MemberState::CompletingRebalance => "CompletingRebalance",
            MemberState::Stable => "Stable",
        }
    }
}

#[derive(Clone, Default, Debug)]
pub struct Membership {
    coordinator: Option<i32>,
    finding: bool,
    /// Ask for the coordinator no earlier.
    find_at: Time,
    state: MemberState,
    /// Join no earlier, after an error.
    join_at: Time,
    member_id: String,
    generation: i32,
    heartbeat_at: Time,
    heartbeat_under_way: bool,
    /// When auto commit is due.
    commit_at: Time,
    /// Partitions of each topic that the group subscribes to when the assignment was made, 0 for one that does not exist: the leader rebalances
    /// when they change.
    assigned_counts: Option<OrderedMap<String, i32>>,
    /// The group's members' subscriptions, while this member is the leader and must share the partitions out.
    to_share: Option<Members>,
}

impl Membership {
    pub fn state(&self) -> MemberState {
        self.state
    }

    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    /// Whether records must not be handed out: the partitions may already be another's.
    pub fn is_rebalancing(&self) -> bool {
        matches!(self.state, MemberState::PreparingRebalance | MemberState::CompletingRebalance)
    }
}

impl Consumer {
    fn group(&self) -> Option<Arc<str>> {
        self.config.group.clone()
    }

    fn is_member(&self) -> bool {
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
        let membership = &self.membership;
        let in_group = match membership.state {
            MemberState::Stable | MemberState::CompletingRebalance => true,
            MemberState::Unjoined => !self.partitions.is_empty(),
            MemberState::PreparingRebalance => false,
        };
        (self.is_member() && in_group && !membership.heartbeat_under_way).then_some(membership.heartbeat_at)
    }

    /// When to join. The application joins from inside poll: not while it works on records.
    fn next_join(&self) -> Option<Time> {
        let joins = self.is_member() && self.membership.state == MemberState::Unjoined && self.processing.is_empty();
        joins.then_some(self.membership.join_at)
    }

    pub(super) fn membership_due(&self) -> Option<Time> {
        self.config.group.as_ref()?;
        let membership = &self.membership;
        if membership.coordinator.is_none() {
            return (!membership.finding).then_some(membership.find_at);
        }
        let joined = membership.state == MemberState::Stable || self.assigns_by_hand();
        let commit = (self.config.auto_commit && joined && self.processing.is_empty() && !self.partitions.is_empty())
            .then_some(membership.commit_at);
        [commit, self.next_heartbeat(), self.next_join()].into_iter().flatten().min()
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
                self.membership.heartbeat_at = now + self.config.heartbeat_interval;
            }
            _ => self.find_coordinator_again(now),
        }
    }

    /// The coordinator is another broker now, or gone: find it, and keep the assignment meanwhile.
    fn coordinator_unknown(&mut self, now: Time) {
        self.membership.coordinator = None;
        self.membership.heartbeat_under_way = false;
        self.find_coordinator_again(now);
    }

    pub(super) fn coordinator_lost(&mut self, now: Time, asked: &Asked) {
        self.coordinator_unknown(now);
        match asked {
            Asked::JoinGroup | Asked::SyncGroup => self.rejoin_at(now),
            Asked::OffsetFetch => self.committed_unasked(now),
            _ => {}
        }
    }

    fn rejoin_at(&mut self, at: Time) {
        self.membership.state = MemberState::Unjoined;
        self.membership.join_at = at;
        self.membership.to_share = None;
    }

    fn send_join(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        let (Some(group), Reads::Subscribed(topics)) = (self.group(), &self.reads) else { return };
        let topics: Vec<String> = topics.iter().map(|topic| topic.to_string()).collect();
        self.prepare_to_join(now, out);
        let mut protocol = k::join_group_request::JoinGroupRequestProtocol::default();
        protocol.name = wire::text(RANGE);
        protocol.metadata = Subscription { topics, rack: self.config.rack.as_deref().map(str::to_owned), ..Subscription::default() }
            .to_bytes(SUBSCRIPTION_VERSION);
        let mut message = k::JoinGroupRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.session_timeout_ms = i32::try_from(self.config.session_timeout / MS).unwrap_or(i32::MAX);
        message.rebalance_timeout_ms = i32::try_from(self.config.max_poll_interval / MS).unwrap_or(i32::MAX);
        message.member_id = wire::text(&self.membership.member_id);
        message.protocol_type = wire::text(PROTOCOL_TYPE);
        message.protocols.push(protocol);
        self.membership.state = MemberState::PreparingRebalance;
        let timeout = Some(self.config.max_poll_interval + JOIN_TIMEOUT_LAPSE);
        self.network.send(now, coordinator, Channel::Coordinator, Asked::JoinGroup, Request::JoinGroup(Arc::new(message)), timeout, out);
    }

    /// Commits what has been read, and gives the partitions up.
    fn prepare_to_join(&mut self, now: Time, out: &mut Outputs) {
        if self.partitions.is_empty() {
            return;
        }
        if self.config.auto_commit {
            self.send_commit(now, self.offsets_to_commit(), OrderedMap::new(), out);
        }
        self.revoke(out);
    }

    fn revoke(&mut self, out: &mut Outputs) {
        let (Some(group), false) = (self.group(), self.partitions.is_empty()) else { return };
        let partitions = std::mem::take(&mut self.partitions).into_keys().collect();
        self.processing.clear();
        out.note(NoteKind::AssignmentRevoked { group, partitions });
    }

    /// The group has gone on without this member: nothing it holds is its own any more, and nothing may be committed.
    fn expelled(&mut self, now: Time, out: &mut Outputs) {
        self.membership.member_id.clear();
        self.membership.generation = -1;
        self.revoke(out);
        self.rejoin_at(now);
    }

    pub(super) fn joined(&mut self, now: Time, message: &k::JoinGroupResponse, out: &mut Outputs) {
        match ErrorCode::of(message.error_code) {
            ErrorCode::None => {
                self.membership.member_id = message.member_id.to_string();
                self.membership.generation = message.generation_id;
                self.membership.state = MemberState::CompletingRebalance;
                self.membership.heartbeat_at = now + self.config.heartbeat_interval;
                if message.leader == message.member_id {
                    let subscriptions: Members = message.members.iter().map(member).collect();
                    for topic in subscriptions.values().flat_map(|member| &member.topics) {
                        self.network.want(now, &Arc::from(topic.as_str()));
                    }
                    self.membership.to_share = Some(subscriptions);
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
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => self.expelled(now, out),
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator_unknown(now);
                self.rejoin_at(now);
            }
            error if error.retriable() => self.rejoin_at(now + self.network.backoff(0)),
            error => {
                self.error = Some(error);
                self.rejoin_at(Time::MAX);
            }
        }
    }

    /// The leader's work: needs to know how many partitions each topic has.
    fn share_out(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        let Some(subscriptions) = self.membership.to_share.take() else { return };
        if self.network.is_learning() {
            self.membership.to_share = Some(subscriptions);
            return;
        }
        let topics = self.known_topics(&subscriptions);
        let assignment = |(member, topics): (String, OrderedMap<String, Vec<i32>>)| {
            let mut assigned = k::sync_group_request::SyncGroupRequestAssignment::default();
            assigned.member_id = wire::text(&member);
            assigned.assignment = Assignment { partitions: topics.into_iter().collect(), user_data: None }.to_bytes(SUBSCRIPTION_VERSION);
            assigned
        };
        let shares = Assignor::Range.assign(&topics, &subscriptions).into_iter().map(assignment).collect();
        self.membership.assigned_counts = Some(topics.into_iter().map(|(name, topic)| (name, topic.count)).collect());
        self.send_sync(now, coordinator, shares, out);
    }

    fn known_topics(&self, subscriptions: &Members) -> Topics {
        let known = |name: &String| (name.clone(), KnownTopic { count: self.partition_count(name), racks: self.network.racks_of(name) });
        subscriptions.values().flat_map(|member| &member.topics).map(known).collect()
    }

    fn partition_count(&self, topic: &str) -> i32 {
        self.network.topics.get(topic).map_or(0, |known| known.partitions.len() as i32)
    }

    /// The leader watches the group's topics: another number of partitions asks for another assignment, and so does a topic that is made or
    /// deleted.
    pub(super) fn metadata_changed(&mut self, now: Time) {
        let Some(counts) = &self.membership.assigned_counts else { return };
        let changed = counts.iter().any(|(topic, count)| self.partition_count(topic) != *count);
        if changed && self.membership.state == MemberState::Stable {
            self.membership.assigned_counts = None;
            self.rejoin_at(now);
        }
    }

    fn send_sync(
        &mut self,
        now: Time,
        coordinator: i32,
        assignments: Vec<k::sync_group_request::SyncGroupRequestAssignment>,
        out: &mut Outputs,
    ) {
        let Some(group) = self.group() else { return };
        let mut message = k::SyncGroupRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.generation_id = self.membership.generation;
        message.member_id = wire::text(&self.membership.member_id);
        message.protocol_type = Some(wire::text(PROTOCOL_TYPE));
        message.protocol_name = Some(wire::text(RANGE));
        message.assignments = assignments;
        // Only a JoinGroup may wait for longer than `request.timeout.ms` (`AbstractCoordinator.sendSyncGroupRequest`).
        self.network.send(now, coordinator, Channel::Coordinator, Asked::SyncGroup, Request::SyncGroup(Arc::new(message)), None, out);
    }

    pub(super) fn synced(&mut self, now: Time, message: &k::SyncGroupResponse, out: &mut Outputs) {
        match ErrorCode::of(message.error_code) {
            ErrorCode::None => {
                let assigned = Assignment::read(&message.assignment).map(|read| read.partitions).unwrap_or_default();
                let partition = |(topic, indices): (String, Vec<i32>)| {
                    let topic: Arc<str> = Arc::from(topic.as_str());
                    indices.into_iter().map(move |index| Partition { topic: topic.clone(), index })
                };
                let partitions: Vec<Partition> = assigned.into_iter().flat_map(partition).collect();
                self.membership.state = MemberState::Stable;
                self.membership.commit_at = now + self.config.auto_commit_interval;
                self.membership.heartbeat_at = now + self.config.heartbeat_interval;
                if let Some(group) = self.group() {
                    out.note(NoteKind::AssignmentReceived { group, partitions: partitions.clone() });
                }
                self.take_partitions(partitions);
            }
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => self.expelled(now, out),
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.coordinator_unknown(now);
                self.rejoin_at(now);
            }
            _ => self.rejoin_at(now),
        }
    }

    fn send_heartbeat(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        let Some(group) = self.group() else { return };
        let mut message = k::HeartbeatRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.generation_id = self.membership.generation;
        message.member_id = wire::text(&self.membership.member_id);
        self.membership.heartbeat_under_way = true;
        self.network.send(now, coordinator, Channel::Coordinator, Asked::Heartbeat, Request::Heartbeat(Arc::new(message)), None, out);
    }

    pub(super) fn heartbeat_answered(&mut self, now: Time, message: &k::HeartbeatResponse, out: &mut Outputs) {
        self.membership.heartbeat_under_way = false;
        self.membership.heartbeat_at = now + self.config.heartbeat_interval;
        match ErrorCode::of(message.error_code) {
            ErrorCode::RebalanceInProgress if self.membership.state == MemberState::Stable => self.rejoin_at(now),
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration if self.membership.state == MemberState::Stable => {
                self.expelled(now, out)
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => self.coordinator_unknown(now),
            _ => {}
        }
    }

    /// The application polls: commits by itself if that is due.
    pub(super) fn polled(&mut self, now: Time, out: &mut Outputs) {
        let joined = self.membership.state == MemberState::Stable || self.assigns_by_hand();
        if self.config.auto_commit && joined && self.membership.coordinator.is_some() && self.membership.commit_at <= now {
            self.membership.commit_at = now + self.config.auto_commit_interval;
            self.send_commit(now, self.offsets_to_commit(), OrderedMap::new(), out);
        }
    }

    /// The application commits: its positions, or these offsets. `false`: it has no group to commit for.
    pub fn commit(&mut self, now: Time, offsets: Option<Vec<(Partition, i64, String)>>, out: &mut Outputs) -> bool {
        if self.config.group.is_none() {
            return false;
        }
        let mut metadata = OrderedMap::new();
        let offsets = match offsets {
            None => self.offsets_to_commit(),
            Some(offsets) => offsets
                .into_iter()
                .map(|(partition, offset, text)| {
                    metadata.insert(partition.clone(), text);
                    (partition, offset)
                })
                .collect(),
        };
        self.send_commit(now, offsets, metadata, out);
        self.drive(now, out);
        true
    }

    fn send_commit(&mut self, now: Time, offsets: Vec<(Partition, i64)>, metadata: OrderedMap<Partition, String>, out: &mut Outputs) {
        let (Some(group), Some(coordinator), false) = (self.group(), self.membership.coordinator, offsets.is_empty()) else { return };
        let mut message = k::OffsetCommitRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.generation_id_or_member_epoch = if self.is_member() { self.membership.generation } else { -1 };
        message.member_id = wire::text(&self.membership.member_id);
        for (partition, offset) in &offsets {
            let mut wanted = k::offset_commit_request::OffsetCommitRequestPartition::default();
            wanted.partition_index = partition.index;
            wanted.committed_offset = *offset;
            wanted.committed_leader_epoch = self.last_epoch(partition);
            wanted.committed_metadata = Some(wire::text(metadata.get(partition).map_or("", String::as_str)));
            if message.topics.last().is_none_or(|topic| topic.name.as_str() != &*partition.topic) {
                let mut topic = k::offset_commit_request::OffsetCommitRequestTopic::default();
                topic.name = wire::topic(&partition.topic);
                message.topics.push(topic);
            }
            if let Some(topic) = message.topics.last_mut() {
                topic.partitions.push(wanted);
            }
        }
        self.network.send(now, coordinator, Channel::Coordinator, Asked::OffsetCommit, Request::OffsetCommit(Arc::new(message)), None, out);
    }

    pub(super) fn committed(&mut self, now: Time, message: &k::OffsetCommitResponse) {
        let errors = message.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| ErrorCode::of(partition.error_code));
        if errors.into_iter().any(|error| matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)) {
            self.coordinator_unknown(now);
        }
    }

    /// Asks for the committed offsets of these partitions. `false`: not now.
    pub(super) fn ask_for_committed(&mut self, now: Time, partitions: &[Partition], out: &mut Outputs) -> bool {
        let (Some(group), Some(coordinator)) = (self.group(), self.membership.coordinator) else { return false };
        let mut asked = k::offset_fetch_request::OffsetFetchRequestGroup::default();
        asked.group_id = k::GroupId(wire::text(&group));
        asked.member_epoch = -1;
        let mut topics: Vec<k::offset_fetch_request::OffsetFetchRequestTopics> = Vec::new();
        for partition in partitions {
            if topics.last().is_none_or(|topic| topic.name.as_str() != &*partition.topic) {
                let mut topic = k::offset_fetch_request::OffsetFetchRequestTopics::default();
                topic.name = wire::topic(&partition.topic);
                topics.push(topic);
            }
            if let Some(topic) = topics.last_mut() {
                topic.partition_indexes.push(partition.index);
            }
        }
        asked.topics = Some(topics);
        let mut message = k::OffsetFetchRequest::default();
        message.groups.push(asked);
        self.network.send(now, coordinator, Channel::Coordinator, Asked::OffsetFetch, Request::OffsetFetch(Arc::new(message)), None, out);
        true
    }

    pub(super) fn committed_unknown(&mut self, now: Time, error: ErrorCode) {
        if matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) {
            self.coordinator_unknown(now);
        }
        self.committed_unasked(now);
    }

    /// Commits, if it commits by itself, and leaves the group at once instead of letting its session expire.
    pub(super) fn leave_group(&mut self, now: Time, out: &mut Outputs) {
        let (Some(group), Some(coordinator)) = (self.group(), self.membership.coordinator) else { return };
        if self.config.auto_commit && (self.membership.state == MemberState::Stable || self.assigns_by_hand()) {
            self.send_commit(now, self.offsets_to_commit(), OrderedMap::new(), out);
        }
        if self.is_member() && !self.membership.member_id.is_empty() {
            let mut leaving = k::leave_group_request::MemberIdentity::default();
            leaving.member_id = wire::text(&self.membership.member_id);
            let mut message = k::LeaveGroupRequest::default();
            message.group_id = k::GroupId(wire::text(&group));
            message.members.push(leaving);
            self.network.send(now, coordinator, Channel::Coordinator, Asked::LeaveGroup, Request::LeaveGroup(Arc::new(message)), None, out);
        }
    }
}

/// A member as the group's leader is told of it. What cannot be read subscribes to nothing.
fn member(told: &k::join_group_response::JoinGroupResponseMember) -> (String, Member) {
    let Subscription { topics, owned, generation, rack, .. } = Subscription::read(&told.metadata).unwrap_or_default();
    let owned = owned.into_iter().flat_map(|(topic, indexes)| indexes.into_iter().map(move |index| (topic.clone(), index))).collect();
    let instance = told.group_instance_id.as_ref().map(|instance| instance.to_string());
    (told.member_id.to_string(), Member { topics, instance, rack, generation, owned })
}
