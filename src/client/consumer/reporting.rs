//! The consumer as a member of a group of the new protocol (KIP-848): it reports with ConsumerGroupHeartbeat, and the coordinator says what it shall have.
//!
//! Its member id is its own. What it shall not have any more it commits, gives up and says so at once, so that others get it; meanwhile it hands nothing
//! out. Like joining in the classic protocol this is done inside the application's poll. Source: `ConsumerMembershipManager`,
//! `ConsumerHeartbeatRequestManager`, `AbstractMembershipManager.maybeReconcile`.

use super::{Asked, Consumer, MemberState, Reads};
use crate::node::{Channel, MS, NoteKind, Outputs, Partition, Time};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::wire::{self, Request};
use crate::protocol::{ErrorCode, topic_id_base64};
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

/// The epoch of a member that is not in the group, of one that leaves it, and of a static one that will be back.
const JOINS: i32 = 0;
const LEAVES: i32 = -1;
const LEAVES_FOR_A_WHILE: i32 = -2;

type Place = (Uuid, i32);

#[derive(Clone, Default, Debug)]
pub struct Reporting {
    /// What the coordinator wants it to have, until it has.
    target: Option<Vec<Place>>,
    /// What it has taken up: by topic id, for another topic may go by a name today than yesterday.
    owned: Vec<Place>,
    /// What it said that it has, in the newest heartbeat that was answered; none: the next one says everything.
    said: Option<Vec<Place>>,
    /// What it says in the heartbeat under way.
    saying: Vec<Place>,
    /// It waits for its commit before it gives partitions up.
    pub(super) gives_up: bool,
    /// The group has gone on without it.
    fenced: bool,
}

impl Consumer {
    /// What it has taken up of what its group's coordinator gave it, by topic id and index.
    pub fn owned_places(&self) -> &[(Uuid, i32)] {
        &self.membership.reporting.owned
    }

    /// What the group needs now: the assignment taken up, and a heartbeat.
    pub(super) fn keep_reporting(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        if self.poll_expires().is_some_and(|at| at <= now) {
            // An application that is at work for too long is no member: others get what it has.
            self.group().into_iter().for_each(|group| out.note(NoteKind::PollIntervalExceeded { group }));
            self.report_leaving(now, coordinator, out);
            self.fenced();
        }
        if !self.is_at_work() {
            if std::mem::take(&mut self.membership.reporting.fenced) {
                self.lose_partitions(out);
                self.membership.heartbeat_at = now;
            }
            self.take_up(now, out);
        }
        if self.next_report().is_some_and(|at| at <= now) {
            self.report(now, coordinator, out);
        }
    }

    /// When the next heartbeat is due. It beats beside the application's work; only who has to join again waits for the application's next poll.
    pub(super) fn next_report(&self) -> Option<Time> {
        let membership = &self.membership;
        let beats = self.is_member() && !membership.heartbeat_under_way && !membership.reporting.fenced && self.error.is_none();
        beats.then_some(membership.heartbeat_at)
    }

    /// Brings what it has to what it shall have.
    fn take_up(&mut self, now: Time, out: &mut Outputs) {
        let Some(target) = &self.membership.reporting.target else { return };
        let named = |place: &Place| {
            let (name, _) = self.network.topics.iter().find(|(_, known)| known.id == place.0)?;
            Some((*place, Partition { topic: name.clone(), index: place.1 }))
        };
        let (places, all): (Vec<Place>, OrderedSet<Partition>) = target.iter().filter_map(named).unzip();
        let is_whole = places.len() == target.len();
        let gone: Vec<Partition> = self.partitions.keys().filter(|own| !all.contains(*own)).cloned().collect();
        if !gone.is_empty() && self.config.auto_commit && !self.membership.reporting.gives_up {
            self.membership.reporting.gives_up = true;
            self.send_commit(now, self.offsets_to_commit(), OrderedMap::new(), out);
        }
        if self.network.pending().any(|pending| pending.what == Asked::OffsetCommit) && self.membership.reporting.gives_up {
            return;
        }
        self.membership.reporting.gives_up = false;
        gone.iter().for_each(|own| drop(self.partitions.remove(own)));
        self.revoked(gone, out);
        let added: Vec<Partition> = all.iter().filter(|own| !self.partitions.contains_key(*own)).cloned().collect();
        let partitions: Vec<Partition> = all.iter().cloned().collect();
        self.membership.reporting.owned = places;
        if !is_whole && added.is_empty() {
            return;
        }
        if let Some(group) = self.group() {
            out.note(NoteKind::AssignmentReceived { group, partitions: partitions.clone(), added });
        }
        self.take_partitions(now, partitions);
        if is_whole {
            self.membership.reporting.target = None;
            self.membership.heartbeat_at = now;
        } else {
            // It has to hear of a topic that is new to it.
            self.network.refresh(now);
        }
    }

    fn report(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        let Some(group) = self.group() else { return };
        let epoch = self.membership.generation.unwrap_or(JOINS);
        let mut message = k::ConsumerGroupHeartbeatRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.member_epoch = epoch;
        message.instance_id = self.instance();
        message.rebalance_timeout_ms = -1;
        let names = self.subscribed_topics().iter().map(|topic| wire::topic(topic)).collect();
        let reporting = &mut self.membership.reporting;
        let owned = reporting.owned.clone();
        let says_all = reporting.said.is_none() || epoch == JOINS;
        if says_all {
            message.rebalance_timeout_ms = i32::try_from(self.config.max_poll_interval / MS).unwrap_or(i32::MAX);
            message.subscribed_topic_names = Some(names);
            if let Reads::Matching(pattern) = &self.reads {
                message.subscribed_topic_regex = Some(wire::text(pattern));
            }
            message.server_assignor = self.config.remote_assignor.as_deref().map(wire::text);
            message.rack_id = self.config.rack.as_deref().map(wire::text);
        }
        if says_all || reporting.said.as_ref() != Some(&owned) {
            let mut told: Vec<k::consumer_group_heartbeat_request::TopicPartitions> = Vec::new();
            for (topic, index) in &owned {
                if told.last().is_none_or(|last| last.topic_id != *topic) {
                    told.push(k::consumer_group_heartbeat_request::TopicPartitions::default().with_topic_id(*topic));
                }
                told.iter_mut().rev().take(1).for_each(|last| last.partitions.push(*index));
            }
            message.topic_partitions = Some(told);
        }
        reporting.saying = owned;
        if self.membership.member_id.is_empty() {
            let (high, low) = (self.network.chance().draw(), self.network.chance().draw());
            self.membership.member_id = topic_id_base64(Uuid::from_u64_pair(high, low));
        }
        message.member_id = wire::text(&self.membership.member_id);
        self.membership.heartbeat_under_way = true;
        let request = Request::ConsumerGroupHeartbeat(Arc::new(message));
        self.network.send(now, coordinator, Channel::Coordinator, Asked::Report, request, None, out);
    }

    pub(super) fn report_answered(&mut self, now: Time, message: &k::ConsumerGroupHeartbeatResponse) {
        let membership = &mut self.membership;
        membership.heartbeat_under_way = false;
        // It has left since it asked.
        if membership.reporting.fenced {
            return;
        }
        let interval = MS * Time::try_from(message.heartbeat_interval_ms).unwrap_or(0);
        match ErrorCode::of(message.error_code) {
            ErrorCode::None => {
                if membership.generation.is_none() {
                    membership.commit_at = now + self.config.auto_commit_interval;
                }
                membership.heartbeat_at = now + interval;
                membership.generation = Some(message.member_epoch);
                membership.took_part();
                membership.state = MemberState::Stable;
                membership.reporting.said = Some(std::mem::take(&mut membership.reporting.saying));
                if let Some(assignment) = &message.assignment {
                    let topics = assignment.topic_partitions.iter();
                    let places = topics.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id, *index)));
                    membership.reporting.target = Some(places.collect());
                    if matches!(self.reads, Reads::Matching(_)) {
                        let topics = assignment.topic_partitions.iter().map(|topic| topic.topic_id);
                        self.network.want_ids(now, topics.collect());
                    }
                }
            }
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                self.fenced();
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                membership.reporting.said = None;
                self.coordinator_unknown(now);
                self.membership.heartbeat_at = now;
            }
            ErrorCode::CoordinatorLoadInProgress => membership.heartbeat_at = now + self.network.backoff(0),
            error => self.fail(error),
        }
    }

    /// It is no member any more: its application hears so when it polls, and then it joins anew.
    fn fenced(&mut self) {
        self.membership.generation = None;
        self.membership.state = MemberState::Unjoined;
        self.membership.reporting = super::Reporting { fenced: true, ..super::Reporting::default() };
    }

    /// No answer comes: the next heartbeat says everything.
    pub(super) fn report_lost(&mut self, now: Time) {
        self.membership.reporting.said = None;
        self.membership.heartbeat_at = now;
    }

    /// Leaves the group at once instead of letting its session expire.
    pub(super) fn report_leaving(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        let Some(group) = self.group().filter(|_| self.membership.generation.is_some()) else { return };
        let mut message = k::ConsumerGroupHeartbeatRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.member_id = wire::text(&self.membership.member_id);
        message.instance_id = self.instance();
        message.member_epoch = if message.instance_id.is_some() { LEAVES_FOR_A_WHILE } else { LEAVES };
        message.rebalance_timeout_ms = -1;
        let request = Request::ConsumerGroupHeartbeat(Arc::new(message));
        self.network.send(now, coordinator, Channel::Coordinator, Asked::LeaveGroup, request, None, out);
    }
}
