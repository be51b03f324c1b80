//! Commits: what a consumer tells its group to go on from, and what it asks back.
//!
//! Source: `ConsumerCoordinator` (`maybeAutoCommitOffsetsAsync`, `sendOffsetCommitRequest`, `sendOffsetFetchRequest`).

use super::{Asked, Consumer, MemberState};
use crate::node::{Channel, NoteKind, Outputs, Partition, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::consumer_protocol::NO_GENERATION;
use crate::protocol::wire::{self, Request};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// A commit that the application waits for (`commitSync`).
#[derive(Clone, Debug)]
pub(super) struct CommitSync {
    number: u64,
    offsets: Vec<(Partition, i64)>,
    metadata: OrderedMap<Partition, String>,
    deadline: Time,
    next_try: Time,
    is_asked: bool,
}

impl Consumer {
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
        let deadline = now + self.config.api_timeout;
        if !offsets.is_empty() {
            let number = self.next_commit;
            self.next_commit += 1;
            self.commits.push_back(CommitSync { number, offsets, metadata, deadline, next_try: now, is_asked: false });
        }
        self.drive(now, out);
        true
    }

    pub(super) fn send_commit(
        &mut self,
        now: Time,
        offsets: Vec<(Partition, i64)>,
        metadata: OrderedMap<Partition, String>,
        out: &mut Outputs,
    ) {
        self.ask_to_commit(now, Asked::OffsetCommit, &offsets, &metadata, out);
    }

    /// The first of the application's commits is asked for, once there is somebody to ask, until its time is over, whoever may still answer.
    pub(super) fn keep_committing(&mut self, now: Time, out: &mut Outputs) {
        let barred = self.bars_commits().filter(|_| self.membership.coordinator.is_some());
        let is_due = |first: &CommitSync| !first.is_asked && first.next_try <= now;
        let fails = |first: &CommitSync| {
            if first.deadline <= now { Some(ErrorCode::RequestTimedOut) } else { barred.filter(|_| is_due(first)) }
        };
        while let Some(error) = self.commits.front().and_then(fails)
            && let Some(failed) = self.commits.pop_front()
        {
            self.commit_fails(&failed, error, out);
        }
        let Some(first) = self.commits.front().filter(|first| is_due(first)).cloned() else { return };
        let is_asked = self.ask_to_commit(now, Asked::CommitSync(first.number), &first.offsets, &first.metadata, out);
        self.commits.iter_mut().take(1).for_each(|first| first.is_asked = is_asked);
    }

    /// When something is due of the first of the application's commits.
    pub(super) fn commit_due(&self, now: Time) -> Option<Time> {
        let first = self.commits.front()?;
        Some(if now < first.next_try && !first.is_asked { first.next_try.min(first.deadline) } else { first.deadline })
    }

    pub(super) fn sync_committed(&mut self, now: Time, number: u64, message: &k::OffsetCommitResponse, out: &mut Outputs) {
        _ = self.committed(now, message);
        if !self.waits_for(number) {
            return;
        }
        let mut errors = message.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| ErrorCode::of(partition.error_code));
        match errors.find(|error| *error != ErrorCode::None) {
            None => drop(self.commits.pop_front()),
            Some(error) if error.retriable() && error != ErrorCode::RebalanceInProgress => self.sync_commit_lost(now, number),
            Some(error) => {
                if let Some(failed) = self.commits.pop_front() {
                    self.commit_fails(&failed, error, out);
                }
            }
        }
    }

    /// Whether the application still waits for this one, which is the first then.
    fn waits_for(&self, number: u64) -> bool {
        self.commits.front().is_some_and(|first| first.number == number)
    }

    /// It is asked again after a while.
    pub(super) fn sync_commit_lost(&mut self, now: Time, number: u64) {
        if !self.waits_for(number) {
            return;
        }
        let next_try = now + self.network.backoff(0);
        self.commits.iter_mut().take(1).for_each(|first| (first.is_asked, first.next_try) = (false, next_try));
    }

    fn commit_fails(&mut self, failed: &CommitSync, error: ErrorCode, out: &mut Outputs) {
        if let Some(group) = self.group() {
            let partitions = failed.offsets.iter().map(|(partition, _)| partition.clone()).collect();
            out.note(NoteKind::CommitFailed { group, partitions, error });
        }
    }

    /// Why a member of a classic group commits nothing now: it takes part in no generation (`AbstractCoordinator.generationIfStable`). Who is told to join
    /// again takes part until it asks to. Java's CommitFailedException, which has no number, is told as the coordinator's reason for it.
    fn bars_commits(&self) -> Option<ErrorCode> {
        let membership = Some(&self.membership).filter(|_| self.is_member() && !self.config.reports)?;
        match membership.generation {
            _ if membership.in_rebalance => Some(ErrorCode::RebalanceInProgress),
            None => Some(ErrorCode::UnknownMemberId),
            Some(_) => None,
        }
    }

    /// `false`: there is nobody to ask, or it may not.
    fn ask_to_commit(
        &mut self,
        now: Time,
        what: Asked,
        offsets: &[(Partition, i64)],
        metadata: &OrderedMap<Partition, String>,
        out: &mut Outputs,
    ) -> bool {
        let is_barred = offsets.is_empty() || self.bars_commits().is_some();
        let (Some(group), Some(coordinator), false) = (self.group(), self.membership.coordinator, is_barred) else { return false };
        let mut message = k::OffsetCommitRequest::default();
        message.group_id = k::GroupId(wire::text(&group));
        message.generation_id_or_member_epoch = self.membership.generation.unwrap_or(NO_GENERATION);
        message.member_id = wire::text(&self.membership.member_id);
        message.group_instance_id = self.instance();
        for (partition, offset) in offsets {
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
        self.network.send(now, coordinator, Channel::Coordinator, what, Request::OffsetCommit(Arc::new(message)), None, out);
        true
    }

    /// What an answer to a commit says of the coordinator, and of a member's place in its group: it need not wait for its next heartbeat to hear that
    /// (`ConsumerCoordinator.OffsetCommitResponseHandler`).
    fn committed(&mut self, now: Time, message: &k::OffsetCommitResponse) -> Option<ErrorCode> {
        let mut errors = message.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| ErrorCode::of(partition.error_code));
        let error = errors.find(|error| *error != ErrorCode::None);
        if matches!(error, Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)) {
            self.coordinator_unknown(now);
        }
        // Under the new protocol the heartbeats alone tell.
        if self.config.reports || self.membership.state != MemberState::Stable {
            return error;
        }
        match error {
            Some(ErrorCode::RebalanceInProgress) => self.rejoin_at(now),
            Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => self.expelled(now),
            Some(ErrorCode::FencedInstanceId) => self.fail(ErrorCode::FencedInstanceId),
            _ => {}
        }
        error
    }

    /// An answer has come to what nobody waits for.
    pub(super) fn async_committed(&mut self, now: Time, message: &k::OffsetCommitResponse) {
        if self.committed(now, message).is_some_and(|error| error.retriable() && error != ErrorCode::RebalanceInProgress) {
            self.async_commit_lost(now);
        }
    }

    /// Auto commit does not wait for its whole interval then (`ConsumerCoordinator.autoCommitOffsetsAsync`, `CommitRequestManager.maybeAutoCommitAsync`).
    pub(super) fn async_commit_lost(&mut self, now: Time) {
        self.membership.commit_at = now + self.config.network.retry_backoff;
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
        // What a transaction has not decided on is waited for, whatever this consumer reads of other transactions (KIP-447).
        message.require_stable = true;
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
}
