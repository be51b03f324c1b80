//! A consumer: finds its partitions (by its group or by hand), reads them, and hands records to its application in a poll loop.
//!
//! Owns the application's loop: each poll hands out at most `max.poll.records`, and the next comes when they have been processed. What
//! belongs to the group is in [`membership`], [`assigning`] and [`commits`], positions and fetches in [`fetching`]. Source: `ClassicKafkaConsumer`, KIP-62.

mod assigning;
mod commits;
mod fetching;
mod membership;
mod printed;
mod reporting;
mod sharing;
mod subscription;
mod validation;

pub use fetching::SeekTarget;
pub use membership::MemberState;

use super::assignor::Assignor;
use super::network::{Alarm, Network, NetworkConfig, Pending};
use super::processor::Handed;
use super::transactions::GroupOffsets;
use crate::node::{Chance, Channel, Input, NodeId, NoteKind, Outputs, Partition, Time, Timer, TopicName};
use crate::ordered::OrderedMap;
use crate::protocol::wire::Response;
use crate::protocol::{Batch, ErrorCode, FetchSession};
use commits::CommitSync;
use fetching::{AskedOffsets, PartitionState, Polled, Whence};
use membership::Membership;
use printed::Printed;
use reporting::Reporting;
use sharing::Sharing;
use std::collections::VecDeque;
use std::sync::Arc;
use subscription::Subscription;
use validation::AskedPosition;

/// Settings of a consumer, with Kafka's names and defaults.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    pub network: NetworkConfig,
    /// `group.id`
    pub group: Option<Arc<str>>,
    /// `group.instance.id`: it is a static member (KIP-345)
    pub instance: Option<Arc<str>>,
    /// `session.timeout.ms`
    pub session_timeout: Time,
    /// `heartbeat.interval.ms`
    pub heartbeat_interval: Time,
    /// `max.poll.interval.ms`
    pub max_poll_interval: Time,
    /// `max.poll.records`
    pub max_poll_records: usize,
    /// `enable.auto.commit`
    pub auto_commit: bool,
    /// `auto.commit.interval.ms`
    pub auto_commit_interval: Time,
    /// `default.api.timeout.ms`
    pub api_timeout: Time,
    /// `auto.offset.reset`
    pub offset_reset: OffsetReset,
    /// `client.rack`
    pub rack: Option<Arc<str>>,
    /// `fetch.min.bytes`
    pub fetch_min_bytes: i32,
    /// `fetch.max.wait.ms`
    pub fetch_max_wait_ms: i32,
    /// `fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `max.partition.fetch.bytes`
    pub max_partition_fetch_bytes: i32,
    /// `partition.assignment.strategy`, the preferred first
    pub assignors: Vec<Assignor>,
    /// `group.protocol`: whether the coordinator shares partitions out (KIP-848).
    pub reports: bool,
    /// `isolation.level`
    pub read_committed: bool,
    /// `exclude.internal.topics`
    pub exclude_internal: bool,
    /// It is a member of a share group (KIP-932).
    pub shares: bool,
    /// `share.acknowledgement.mode`: the application acknowledges each record by itself.
    pub acknowledges_each: bool,
    /// What it says of a record that it is done with, by Kafka's number.
    pub acknowledges_with: i8,
    /// `group.remote.assignor`
    pub remote_assignor: Option<Arc<str>>,
    /// What the application spends on each record.
    pub processing: Time,
    /// What its clock showed at virtual time 0, in Kafka's epoch milliseconds.
    pub start_timestamp: i64,
}

/// Where a consumer begins in a partition for which its group has no committed offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetReset {
    Earliest,
    Latest,
    /// At the first record that is not older than so many milliseconds (KIP-1106).
    ByDuration(i64),
    /// The application gets an error.
    None,
}

/// What the consumer reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reads {
    /// The group's assignor hands partitions of these topics out.
    Subscribed(Vec<TopicName>),
    /// So it does with topics whose names a regular expression matches: `java.util.regex` over what the consumer hears of topics; under the new
    /// protocol it is the coordinator that says which they are, by RE2.
    Matching(Arc<str>),
    /// Chosen by hand: no rebalance.
    Assigned(Vec<Partition>),
}

/// What a request under way was for.
#[derive(Clone, PartialEq, Debug)]
enum Asked {
    FindCoordinator,
    JoinGroup,
    SyncGroup,
    Heartbeat,
    /// A heartbeat of the new protocol.
    Report,
    LeaveGroup,
    OffsetFetch,
    OffsetCommit,
    /// What the application commits itself: which of its commits.
    CommitSync(u64),
    ListOffsets(Vec<Partition>),
    /// What is read there, by topic id and index, with the offset asked for.
    Fetch(AskedOffsets),
    EndSession,
    /// Of a share group's member, a heartbeat.
    ShareReport,
    /// And ShareFetch or ShareAcknowledge.
    Share,
    EpochEnds(Vec<AskedPosition>),
}

/// A record that the application has and is not done with.
#[derive(Clone, Debug)]
struct InWork {
    partition: Partition,
    offset: i64,
    /// The batch that it is in.
    batch: Batch,
}

#[derive(Clone, Debug)]
pub struct Consumer {
    config: ConsumerConfig,
    network: Network<Asked>,
    reads: Reads,
    subscription: Subscription,
    membership: Membership,
    partitions: OrderedMap<Partition, PartitionState>,
    /// Partitions' shares of answers to fetches that have come.
    fetches: u64,
    /// With each broker that it reads from.
    sessions: OrderedMap<i32, FetchSession>,
    sharing: Sharing,
    /// A position or a leader is another than before, or waits to be asked about.
    positions_suspect: bool,
    /// Records handed out by the last poll and not processed yet.
    processing: VecDeque<InWork>,
    printed: Printed,
    /// What its last poll handed a processor, which has work with it beyond the consumer's own (see [`super::processor`]).
    handed: Option<Handed>,
    /// When the application is done with the record it works on; it polls when it has none.
    busy_until: Time,
    /// When the application polled last.
    polled_at: Time,
    /// The application has told the consumer to read nothing for now.
    paused: bool,
    /// Commits of the application that have not returned.
    commits: VecDeque<CommitSync>,
    next_commit: u64,
    consumed: u64,
    error: Option<ErrorCode>,
    closing: bool,
    alarm: Alarm,
}

impl Consumer {
    pub fn new(client_id: Arc<str>, bootstrap: Vec<i32>, config: ConsumerConfig, reads: Reads, chance: Chance) -> Consumer {
        Consumer {
            network: Network::new(client_id, bootstrap, config.network.clone(), chance),
            subscription: Subscription::of(&reads, config.reports),
            reads,
            membership: Membership::default(),
            partitions: OrderedMap::new(),
            fetches: 0,
            sessions: OrderedMap::new(),
            sharing: Sharing::default(),
            positions_suspect: false,
            processing: VecDeque::new(),
            printed: Printed::default(),
            handed: None,
            busy_until: 0,
            polled_at: 0,
            paused: false,
            commits: VecDeque::new(),
            next_commit: 0,
            consumed: 0,
            error: None,
            closing: false,
            alarm: Alarm::default(),
            config,
        }
    }

    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// Whom it may ask of the cluster.
    pub fn known_brokers(&self) -> impl Iterator<Item = i32> {
        self.network.known_brokers()
    }

    /// Whether it has a connection with a broker.
    pub fn is_connected(&self, broker: i32, channel: Channel) -> bool {
        self.network.is_connected(broker, channel)
    }

    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The newest records that its application is done with.
    pub fn printed(&self) -> &Printed {
        &self.printed
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The error that ended its reading, such as no offset to begin with.
    pub fn error(&self) -> Option<ErrorCode> {
        self.error
    }

    pub fn member_state(&self) -> MemberState {
        self.membership.state()
    }

    pub fn member_id(&self) -> &str {
        self.membership.member_id()
    }

    /// The generation of its group that it takes part in.
    pub fn generation(&self) -> Option<i32> {
        self.membership.generation()
    }

    /// Whether it leads its group with an assignment that its former self has made.
    pub fn skips_assignment(&self) -> bool {
        self.membership.skips_assignment
    }

    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Its partitions and the offset it reads next in each, once it knows.
    pub fn positions(&self) -> impl Iterator<Item = (&Partition, Option<i64>)> {
        self.partitions.iter().map(|(partition, state)| (partition, state.position()))
    }

    /// Its records go to a processor from now on, which says when it polls again. `to_the_end`: what there is when it asks is all that it wants of its
    /// partitions, until it is assigned others.
    pub fn hand_over(&mut self, to_the_end: bool) {
        self.handed = Some(Handed { to_the_end, ..Handed::default() });
    }

    /// What a processor was handed.
    pub fn handed(&mut self) -> Option<&mut Handed> {
        self.handed.as_mut()
    }

    /// Whether the application is through with what its last poll returned, but for what it does elsewhere with it.
    pub fn has_processed(&self) -> bool {
        self.processing.is_empty()
    }

    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The processor is done with everything: the application polls again.
    pub fn poll_again(&mut self, now: Time, out: &mut Outputs) {
        self.handed.iter_mut().for_each(|handed| handed.waits = false);
        self.drive(now, out);
    }

    /// What was read since the last commit is read again.
    pub fn go_back_to_committed(&mut self, out: &mut Outputs) {
        self.drop_work();
        self.partitions.values_mut().for_each(|state| state.go_to(Whence::Committed { asked: false }));
        self.positions_suspect = true;
        out.note(NoteKind::WentBack { partitions: self.partitions.keys().cloned().collect() });
    }

    /// Nothing comes of what the last poll returned.
    fn drop_work(&mut self) {
        self.processing.clear();
        if let Some(handed) = &mut self.handed {
            *handed = Handed { waits: handed.waits, to_the_end: handed.to_the_end, ..Handed::default() };
        }
    }

    /// Whether the application has not come back to its next poll: it processes records, or waits for a commit (`commitSync`).
    fn is_at_work(&self) -> bool {
        !self.processing.is_empty()
            || self.sharing.is_at_work()
            || !self.commits.is_empty()
            || self.handed.as_ref().is_some_and(|handed| handed.waits)
    }

    /// Its positions as its group's offsets in a transaction; `None` without a group.
    pub fn group_offsets(&self) -> Option<GroupOffsets> {
        let offsets = self.positions().filter_map(|(partition, position)| Some((partition.clone(), position?))).collect();
        let (member, generation) = self.membership.joined_as.clone().unwrap_or((String::new(), -1));
        let instance = self.config.instance.clone();
        Some(GroupOffsets { group: self.config.group.clone()?, member, generation, instance, offsets })
    }

    pub fn handle(&mut self, now: Time, input: Input, out: &mut Outputs) {
        if let Input::Response { from, correlation, response } = &input {
            self.network.hear(now, *from, *correlation, response, out);
        }
        match input {
            Input::Start => self.start(now),
            Input::Timer(Timer::Wake { round }) => {
                if !self.alarm.rings(round) {
                    return;
                }
            }
            Input::Response { correlation, response: Response::Metadata(message), .. } => {
                if self.network.learn(now, correlation, &message) {
                    self.match_topics(&message);
                }
                self.positions_suspect = true;
                self.metadata_learned(now, &message);
            }
            Input::Response { correlation, response, .. } => {
                if let Some(pending) = self.network.answered(correlation) {
                    self.answered(now, pending, response, out);
                }
            }
            Input::Disconnected { peer: NodeId::Broker(broker), channel } => {
                for lost in self.network.disconnected(now, broker, channel) {
                    self.lost(now, lost);
                }
            }
            _ => return,
        }
        self.drive(now, out);
    }

    fn start(&mut self, now: Time) {
        match self.reads.clone() {
            Reads::Subscribed(topics) => topics.iter().for_each(|topic| self.network.want(now, topic)),
            Reads::Matching(_) if self.config.reports => self.network.want_ids(now, Vec::new()),
            Reads::Matching(_) => self.network.want_all(now),
            Reads::Assigned(partitions) => {
                partitions.iter().for_each(|partition| self.network.want(now, &partition.topic));
                self.take_partitions(now, partitions);
            }
        }
    }

    fn answered(&mut self, now: Time, pending: Pending<Asked>, response: Response, out: &mut Outputs) {
        match (pending.what, response) {
            (Asked::Fetch(asked), Response::Fetch(message, batches)) => self.fetched(now, pending.to, asked, &message, &batches, out),
            (Asked::ListOffsets(_), Response::ListOffsets(message)) => self.offsets_listed(now, &message, out),
            (Asked::EpochEnds(asked), Response::OffsetForLeaderEpoch(message)) => self.epoch_ends_told(now, &asked, &message, out),
            (Asked::OffsetFetch, Response::OffsetFetch(message)) => self.offsets_fetched(now, &message, out),
            (Asked::OffsetCommit, Response::OffsetCommit(message)) => self.async_committed(now, &message),
            (Asked::CommitSync(number), Response::OffsetCommit(message)) => self.sync_committed(now, number, &message, out),
            (Asked::FindCoordinator, Response::FindCoordinator(message)) => self.coordinator_found(now, &message),
            (Asked::JoinGroup | Asked::SyncGroup, response) => self.rebalance_answered(response),
            (Asked::Heartbeat, Response::Heartbeat(message)) => self.heartbeat_answered(now, &message),
            (Asked::ShareReport, Response::ShareGroupHeartbeat(message)) => self.share_reported(now, &message, out),
            (Asked::Share, Response::ShareFetch(message, batches)) => self.share_fetched(now, pending.to, &message, &batches),
            (Asked::Share, Response::ShareAcknowledge(message)) => _ = self.fetch_session_goes_on(now, pending.to, message.error_code),
            (Asked::Report, Response::ConsumerGroupHeartbeat(message)) => self.report_answered(now, &message),
            _ => {}
        }
    }

    fn lost(&mut self, now: Time, pending: Pending<Asked>) {
        match pending.what {
            Asked::Fetch(asked) => self.fetch_lost(now, pending.to, &asked),
            Asked::EndSession => {}
            Asked::Share if self.shares() => self.share_lost(now, pending.to),
            Asked::ShareReport if self.shares() => self.share_report_lost(now),
            Asked::Share | Asked::ShareReport => {}
            Asked::EpochEnds(asked) => self.epoch_ends_lost(now, &asked),
            Asked::ListOffsets(partitions) => self.offsets_lost(now, &partitions),
            Asked::FindCoordinator => self.find_coordinator_again(now),
            what => self.coordinator_lost(now, &what),
        }
    }

    /// Everything that is due, in the order of the Java client's poll: the group first, then records for the application, then fetches.
    fn drive(&mut self, now: Time, out: &mut Outputs) {
        for (lost, _) in self.network.timed_out(now, out) {
            self.lost(now, lost);
        }
        if self.closing {
            // It asks for nothing more: only what is under way can still be due.
            self.alarm.set(now, self.network.next_end(), out);
            return;
        }
        if self.shares() {
            self.drive_sharing(now, out);
            return;
        }
        self.finish_work(now, out);
        // A commit that fails at once is not in the way of the poll that hears of a rebalance.
        self.keep_committing(now, out);
        self.hear_of_rebalance(now, out);
        self.network.ask_for_metadata(now, out);
        self.keep_membership(now, out);
        // Who is to join again may want to hear of topics first.
        self.network.ask_for_metadata(now, out);
        self.check_positions(now, out);
        self.poll(now, out);
        self.find_positions(now, out);
        self.send_fetches(now, out);
        let application = (!self.processing.is_empty()).then_some(self.busy_until);
        let retry = self.partitions.values().filter_map(PartitionState::retry_at).filter(|at| now < *at).min();
        let due = [application, retry, self.membership_due(), self.commit_due(now), self.network.next_due()].into_iter().flatten().min();
        self.alarm.set(now, due, out);
    }

    /// The application finishes the records whose time is over.
    fn finish_work(&mut self, now: Time, out: &mut Outputs) {
        while self.busy_until <= now
            && let Some(InWork { partition, offset, batch }) = self.processing.pop_front()
        {
            self.printed.print(&partition, &batch, &[offset]);
            self.deliver(&partition, offset, offset, 1, out);
            self.busy_until = now + self.config.processing;
        }
    }

    /// The application polls, unless it is at work.
    fn poll(&mut self, now: Time, out: &mut Outputs) {
        if self.is_at_work() {
            return;
        }
        self.polled_at = now;
        self.polled(now, out);
        // Who was fenced or fits in with nobody gets the error from every poll, and no record.
        if self.paused || self.membership.state == MemberState::Failed || self.membership.reporting.gives_up {
            return;
        }
        if self.config.processing == 0 {
            self.deliver_at_once(out);
            return;
        }
        for Polled { partition, batches } in self.take_records(self.config.max_poll_records) {
            for (batch, offsets) in batches {
                let in_work = |offset| InWork { partition: partition.clone(), offset, batch: batch.clone() };
                self.processing.extend(offsets.into_iter().map(in_work));
            }
        }
        let waits = !self.processing.is_empty();
        self.handed.iter_mut().for_each(|handed| handed.waits = waits);
        self.busy_until = now + self.config.processing;
    }

    fn deliver(&mut self, partition: &Partition, first_offset: i64, last_offset: i64, records: i32, out: &mut Outputs) {
        self.consumed += records as u64;
        self.handed.iter_mut().for_each(|handed| handed.done += records as usize);
        out.note(NoteKind::RecordDelivered { partition: partition.clone(), first_offset, last_offset, records });
    }

    /// An application that needs no time: every poll's records are done before the next poll.
    fn deliver_at_once(&mut self, out: &mut Outputs) {
        loop {
            let polled = self.take_records(self.config.max_poll_records);
            if polled.is_empty() {
                return;
            }
            for Polled { partition, batches } in polled {
                let first = batches.first().and_then(|(_, offsets)| offsets.first().copied());
                let last = batches.last().and_then(|(_, offsets)| offsets.last().copied());
                let records = batches.iter().map(|(_, offsets)| offsets.len()).sum::<usize>();
                for (batch, offsets) in &batches {
                    self.printed.print(&partition, batch, offsets);
                }
                if let (Some(first), Some(last)) = (first, last) {
                    self.deliver(&partition, first, last, records as i32, out);
                }
            }
            if let Some(handed) = &mut self.handed {
                handed.waits = true;
                return;
            }
        }
    }

    /// Whether it is a member of a share group.
    fn shares(&self) -> bool {
        self.config.shares
    }

    /// The application calls `close`: commits what it has read, if it commits by itself, and leaves its group.
    pub fn close(&mut self, now: Time, out: &mut Outputs) {
        if self.shares() {
            self.end_sharing(now, out);
        }
        self.leave_group(now, out);
        self.end_sessions(now, out);
        self.closing = true;
        self.drive(now, out);
    }

    /// Whether `close` has returned: everything under way is answered or given up.
    pub fn is_closed(&self) -> bool {
        self.closing && self.network.pending().next().is_none()
    }

    /// The application calls `pause` or `resume` for all its partitions.
    pub fn set_paused(&mut self, now: Time, paused: bool, out: &mut Outputs) {
        self.paused = paused;
        self.drive(now, out);
    }
}
