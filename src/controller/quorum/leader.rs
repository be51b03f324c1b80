//! What the leader of the quorum does: it answers fetches, sees from them what is committed, and steps down when a majority is silent.
//!
//! Source: KIP-595, KIP-1166; `LeaderState`, `KafkaRaftClient.handleFetchRequest`, KAFKA-15489 (check quorum).

use super::log::Compared;
use super::messages;
use super::{LogEnd, Quorum, Role};
use crate::mutant;
use crate::node::{Connection, MS, NodeId, Outputs, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::{METADATA_TOPIC_ID, MetadataEntry, MetadataRecord};
use crate::protocol::wire::{Request, Response};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// Records of the metadata log in one Fetch response, at the most.
const FETCH_RECORDS_MAX: usize = 1_000;

#[derive(Clone, Debug)]
pub(super) struct Leadership {
    /// Where its epoch begins. Nothing is known to be committed by it before a record of its own epoch is.
    epoch_start: i64,
    pub followers: OrderedMap<i32, Progress>,
    /// The brokers that fetch.
    pub observers: OrderedMap<i32, Progress>,
    /// The voters that have fetched since a majority last had.
    heard: Vec<i32>,
    /// When it steps down, unless a majority fetches before.
    pub until: Time,
    /// When it tells those that do not fetch that it leads.
    pub announce_at: Time,
}

/// How far a follower is.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Progress {
    pub end: i64,
    pub fetched_at: Option<Time>,
    /// When it last had all that there was.
    pub caught_up_at: Option<Time>,
}

impl Progress {
    fn fetched(&mut self, now: Time, from: i64, own_end: i64) {
        let caught_up_at = if own_end <= from { Some(now) } else { self.caught_up_at };
        *self = Progress { end: from, fetched_at: Some(now), caught_up_at };
    }
}

/// A Fetch of the metadata log that found nothing new yet.
#[derive(Clone, Debug)]
pub(super) struct WaitingFetch {
    pub from: Connection,
    correlation: u32,
    asked: Asked,
    /// When it is answered all the same. `None`: a broker's, which is told by the network when its poll is dead.
    pub until: Option<Time>,
}

/// What a Fetch says of the log that it is for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    leader_epoch: i32,
    end: LogEnd,
    high_watermark: i64,
}

impl Quorum {
    pub(super) fn become_leader(&mut self, now: Time) {
        let others = self.others();
        let mut followers = OrderedMap::new();
        followers.extend(others.iter().map(|voter| (*voter, Progress::default())));
        let alone = others.is_empty();
        self.election.leader = Some(self.id);
        self.take(Role::Leader(Leadership {
            epoch_start: self.log.end_offset(),
            followers,
            observers: OrderedMap::new(),
            heard: Vec::new(),
            until: if alone { Time::MAX } else { now + self.check_quorum_timeout() },
            announce_at: if alone { Time::MAX } else { now },
        }));
        self.append(MetadataRecord::LeaderChange { leader: self.id });
    }

    /// `LeaderState.checkQuorumTimeoutMs`
    fn check_quorum_timeout(&self) -> Time {
        self.config.fetch_timeout * 3 / 2
    }

    /// It has not heard from a majority: another may lead by now, and what it would append may never be committed.
    pub(super) fn resign(&mut self, now: Time) {
        let Role::Leader(leadership) = &self.role else { return };
        let mut successors: Vec<i32> = leadership.followers.keys().copied().collect();
        let end = |voter: &i32| leadership.followers.get(voter).map_or(0, |progress| progress.end);
        crate::ordered::sort_by(&mut successors, |one, other| end(other).cmp(&end(one)));
        let until = now + self.election_timeout();
        self.take(Role::Resigned { until, successors, told: Vec::new() });
    }

    pub(super) fn end_request(&self) -> Request {
        let mut partition = k::end_quorum_epoch_request::PartitionData::default();
        partition.leader_id = k::BrokerId(self.id);
        partition.leader_epoch = self.election.epoch;
        if let Role::Resigned { successors, .. } = &self.role {
            let candidate = |voter: &i32| {
                let mut info = k::end_quorum_epoch_request::ReplicaInfo::default();
                info.candidate_id = k::BrokerId(*voter);
                info
            };
            partition.preferred_candidates = successors.iter().map(candidate).collect();
        }
        let mut topic = k::end_quorum_epoch_request::TopicData::default();
        topic.topic_name = messages::topic();
        topic.partitions.push(partition);
        let mut message = k::EndQuorumEpochRequest::default();
        message.topics.push(topic);
        Request::EndQuorumEpoch(Arc::new(message))
    }

    fn begin_request(&self, voter: i32) -> Request {
        let mut partition = k::begin_quorum_epoch_request::PartitionData::default();
        partition.leader_id = k::BrokerId(self.id);
        partition.leader_epoch = self.election.epoch;
        let mut topic = k::begin_quorum_epoch_request::TopicData::default();
        topic.topic_name = messages::topic();
        topic.partitions.push(partition);
        let mut message = k::BeginQuorumEpochRequest::default();
        message.voter_id = k::BrokerId(voter);
        message.topics.push(topic);
        Request::BeginQuorumEpoch(Arc::new(message))
    }

    /// Tells those voters that it leads who have not fetched for a while, half the fetch timeout.
    pub(super) fn announce(&mut self, now: Time, out: &mut Outputs) {
        let interval = self.config.fetch_timeout / 2;
        let Role::Leader(leadership) = &mut self.role else { return };
        if now < leadership.announce_at {
            return;
        }
        leadership.announce_at = now + interval;
        let is_silent = |(voter, progress): (&i32, &Progress)| {
            let fetches = progress.fetched_at.is_some_and(|at| now < at + interval);
            (!fetches).then_some(*voter)
        };
        let silent: Vec<i32> = leadership.followers.iter().filter_map(is_silent).collect();
        for voter in silent {
            self.ask(now, voter, out, Quorum::begin_request);
        }
    }

    /// What a majority has is committed, from the first record of the leader's own epoch on (Raft's commitment rule).
    pub(super) fn advance(&mut self) {
        let Role::Leader(leadership) = &self.role else { return };
        let mut ends: Vec<i64> = leadership.followers.values().map(|progress| progress.end).collect();
        ends.push(self.log.end_offset());
        ends.sort_unstable();
        let by_majority = if mutant::is("quorum-commits-alone") { self.log.end_offset() } else { ends[(ends.len() - 1) / 2] };
        if leadership.epoch_start < by_majority {
            self.high_watermark = self.high_watermark.max(by_majority);
        }
    }

    pub(super) fn fetch(&mut self, now: Time, from: Connection, correlation: u32, message: &k::FetchRequest, out: &mut Outputs) {
        let Some(partition) = message.topics.first().and_then(|topic| topic.partitions.first()) else { return };
        let end = LogEnd { epoch: partition.last_fetched_epoch, offset: partition.fetch_offset };
        let asked = Asked { leader_epoch: partition.current_leader_epoch, end, high_watermark: partition.high_watermark };
        if end.offset < 0 || end.epoch < 0 || asked.leader_epoch < end.epoch || message.max_wait_ms < 0 {
            out.respond(from, correlation, self.fetch_response(ErrorCode::InvalidRequest, Compared::Same, &[]));
            return;
        }
        if let NodeId::Controller(voter) = from.peer {
            self.heard_from(now, voter, asked);
        }
        if let (NodeId::Broker(broker), Role::Leader(leadership)) = (from.peer, &mut self.role) {
            leadership.observers.or_default(broker).fetched(now, end.offset, self.log.end_offset());
        }
        let until = matches!(from.peer, NodeId::Controller(_)).then(|| now + message.max_wait_ms as Time * MS);
        self.waiting.push(WaitingFetch { from, correlation, asked, until });
    }

    /// A follower's fetch says how far its log goes: what it asks for next it does not have, all before it is on its disk.
    fn heard_from(&mut self, now: Time, voter: i32, asked: Asked) {
        let is_valid = asked.leader_epoch == self.election.epoch && self.log.compare(asked.end) == Compared::Same;
        let own_end = self.log.end_offset();
        let Role::Leader(leadership) = &mut self.role else { return };
        let Some(progress) = leadership.followers.get_mut(&voter).filter(|_| is_valid) else { return };
        progress.fetched(now, asked.end.offset, own_end);
        self.heard_alive(now, voter);
        self.advance();
    }

    /// A voter fetches from this leader: with a majority of them it goes on leading.
    fn heard_alive(&mut self, now: Time, voter: i32) {
        let majority = self.config.voters.len() / 2;
        let check_quorum_timeout = self.check_quorum_timeout();
        let Role::Leader(leadership) = &mut self.role else { return };
        if !leadership.heard.contains(&voter) {
            leadership.heard.push(voter);
        }
        // With the leader itself they are a majority.
        if majority <= leadership.heard.len() {
            leadership.heard.clear();
            leadership.until = now + check_quorum_timeout;
        }
    }

    /// Gives the snapshot that is asked for, in one piece.
    pub(super) fn snapshot_response(&mut self, now: Time, from: Connection, message: &k::FetchSnapshotRequest) -> Response {
        let asked = message.topics.first().and_then(|topic| topic.partitions.first());
        let (own, epoch) = (self.log.snapshot().end, self.election.epoch);
        let error = match asked {
            None => ErrorCode::InvalidRequest,
            Some(asked) if asked.current_leader_epoch < epoch => ErrorCode::FencedLeaderEpoch,
            Some(asked) if epoch < asked.current_leader_epoch => ErrorCode::UnknownLeaderEpoch,
            Some(_) if !self.is_leader() => ErrorCode::NotLeaderOrFollower,
            Some(asked) if (asked.snapshot_id.epoch, asked.snapshot_id.end_offset) != (own.epoch, own.offset) => {
                ErrorCode::SnapshotNotFound
            }
            Some(asked) if asked.position != 0 => ErrorCode::PositionOutOfRange,
            Some(_) => ErrorCode::None,
        };
        let mut partition = k::fetch_snapshot_response::PartitionSnapshot::default();
        partition.error_code = error.code();
        partition.current_leader.leader_id = k::BrokerId(self.election.leader.unwrap_or(-1));
        partition.current_leader.leader_epoch = epoch;
        let mut image = None;
        if error == ErrorCode::None {
            (partition.snapshot_id.epoch, partition.snapshot_id.end_offset) = (own.epoch, own.offset);
            image = Some(self.log.snapshot().image.clone());
            if let NodeId::Controller(voter) = from.peer {
                self.heard_alive(now, voter);
            }
        }
        let mut topic = k::fetch_snapshot_response::TopicSnapshot::default();
        topic.name = messages::topic();
        topic.partitions.push(partition);
        let mut response = k::FetchSnapshotResponse::default();
        response.topics.push(topic);
        Response::FetchSnapshot(Arc::new(response), image)
    }

    /// Answers the fetches for which there is something to say by now.
    pub(super) fn answer_waiting(&mut self, now: Time, out: &mut Outputs) {
        let waiting = std::mem::take(&mut self.waiting);
        for fetch in waiting {
            match self.fetch_answer(now, &fetch) {
                Some(response) => out.respond(fetch.from, fetch.correlation, response),
                None => self.waiting.push(fetch),
            }
        }
    }

    fn fetch_answer(&self, now: Time, fetch: &WaitingFetch) -> Option<Response> {
        let asked = &fetch.asked;
        let error = if asked.leader_epoch < self.election.epoch {
            ErrorCode::FencedLeaderEpoch
        } else if self.election.epoch < asked.leader_epoch {
            ErrorCode::UnknownLeaderEpoch
        } else if !self.is_leader() {
            ErrorCode::NotLeaderOrFollower
        } else {
            ErrorCode::None
        };
        if error != ErrorCode::None {
            return Some(self.fetch_response(error, Compared::Same, &[]));
        }
        let compared = self.log.compare(asked.end);
        let entries = if compared == Compared::Same { self.log.from(asked.end.offset) } else { &[][..] };
        let is_over = fetch.until.is_some_and(|until| until <= now);
        let is_news = compared != Compared::Same || !entries.is_empty() || asked.high_watermark < self.told_high_watermark();
        (is_news || is_over).then(|| self.fetch_response(ErrorCode::None, compared, entries))
    }

    /// What a leader says is committed: nothing until a record of its own epoch is (-1), for its followers may know of more than it does.
    fn told_high_watermark(&self) -> i64 {
        if self.leads_committed() { self.high_watermark } else { -1 }
    }

    /// Whether it leads and a record of its own epoch is committed.
    pub(super) fn leads_committed(&self) -> bool {
        matches!(&self.role, Role::Leader(leadership) if leadership.epoch_start < self.high_watermark)
    }

    fn fetch_response(&self, error: ErrorCode, compared: Compared, entries: &[MetadataEntry]) -> Response {
        let mut partition = k::fetch_response::PartitionData::default();
        partition.error_code = error.code();
        partition.high_watermark = self.told_high_watermark();
        partition.current_leader.leader_id = k::BrokerId(self.election.leader.unwrap_or(-1));
        partition.current_leader.leader_epoch = self.election.epoch;
        match compared {
            Compared::Same => {}
            Compared::Diverging(end) => {
                (partition.diverging_epoch.epoch, partition.diverging_epoch.end_offset) = (end.epoch, end.offset);
            }
            Compared::Behind => {
                let end = self.log.snapshot().end;
                (partition.snapshot_id.epoch, partition.snapshot_id.end_offset) = (end.epoch, end.offset);
            }
        }
        let mut topic = k::fetch_response::FetchableTopicResponse::default();
        topic.topic_id = METADATA_TOPIC_ID;
        topic.partitions.push(partition);
        let mut message = k::FetchResponse::default();
        message.responses.push(topic);
        Response::FetchMetadata(Arc::new(message), entries.iter().take(FETCH_RECORDS_MAX).cloned().collect())
    }
}
