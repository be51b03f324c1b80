//! One voter of the metadata quorum (KRaft): which controller leads, and which records of the metadata log are committed.
//!
//! Owns the election state and the log, which outlive the process; the role in the current epoch; and the requests between controllers. It
//! must not know what a record means. A leader is found by elections, first a pre-vote that costs nobody an epoch, and followers pull the log
//! from it with Fetch; what a majority has, with a record of the leader's own epoch, is committed. Source: KIP-595, KIP-996 (pre-vote),
//! KIP-630 (snapshots), KIP-1166 (the high watermark in Fetch); `KafkaRaftClient`, `QuorumState` and its states.

mod describe;
mod election;
mod follower;
mod leader;
mod log;
mod messages;

use crate::node::{Chance, Channel, Connection, MS, NodeId, Outputs, Time, Timer};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::{MetadataEntry, MetadataRecord};
use crate::protocol::wire::{Request, Response};
use election::Nominee;
use leader::{Leadership, WaitingFetch};
pub use log::{LogEnd, MetadataLog, Snapshot};
use std::sync::Arc;

/// Settings of the quorum, with Kafka's names.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// The controllers' ids, all of them voters.
    pub voters: Vec<i32>,
    /// The one whose process was started an election timeout before those of the others: a session begins when it stands for election, not with
    /// the second or two in which a new cluster has no controller.
    pub first: Option<i32>,
    /// `controller.quorum.election.timeout.ms`
    pub election_timeout: Time,
    /// `controller.quorum.election.backoff.max.ms`
    pub election_backoff_max: Time,
    /// `controller.quorum.fetch.timeout.ms`
    pub fetch_timeout: Time,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout: Time,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff: Time,
    /// `brokerlab.metadata.records.between.snapshots`, where Kafka counts bytes (`metadata.log.max.record.bytes.between.snapshots`)
    pub records_between_snapshots: i64,
    /// Kafka's epoch milliseconds at virtual time 0.
    pub start_timestamp: i64,
}

impl QuorumConfig {
    /// Kafka's defaults.
    pub fn new(voters: Vec<i32>) -> QuorumConfig {
        QuorumConfig {
            voters,
            first: None,
            election_timeout: 1_000 * MS,
            election_backoff_max: 1_000 * MS,
            fetch_timeout: 2_000 * MS,
            request_timeout: 2_000 * MS,
            retry_backoff: 20 * MS,
            records_between_snapshots: 1_000,
            start_timestamp: 0,
        }
    }
}

/// What a voter must not forget: Kafka's file `quorum-state`, written before anybody hears of it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Election {
    pub epoch: i32,
    /// The leader of this epoch, if it is known.
    pub leader: Option<i32>,
    /// Who got this voter's vote in this epoch.
    pub voted: Option<i32>,
}

#[derive(Clone, Debug)]
enum Role {
    /// No leader is known. Another may ask for the vote until the election timeout.
    Unattached {
        until: Time,
    },
    /// It asks whether it would be elected.
    Prospective(Nominee),
    Candidate(Nominee),
    Leader(Leadership),
    Follower {
        /// When it gives the leader up (`controller.quorum.fetch.timeout.ms`).
        until: Time,
        /// Whether the leader has answered a fetch in this epoch.
        fetched: bool,
        /// The leader's snapshot that it needs, for the log before it is gone there.
        snapshot: Option<LogEnd>,
    },
    /// It was the leader of this epoch and leads no more. Whoever has heard of it is left alone.
    Resigned {
        until: Time,
        successors: Vec<i32>,
        told: Vec<i32>,
    },
}

/// The connection to another voter, for one request at a time (`RequestManager`).
#[derive(Clone, Default, Debug)]
struct Link {
    /// The correlation of the request under way, and until when its answer is waited for.
    in_flight: Option<(u32, Time)>,
    /// Nothing is sent before this, after an error.
    ready: Time,
}

/// One voter of the quorum.
#[derive(Clone, Debug)]
pub struct Quorum {
    id: i32,
    config: QuorumConfig,
    election: Election,
    log: MetadataLog,
    role: Role,
    /// The offset that follows the last record known to be committed.
    high_watermark: i64,
    waiting: Vec<WaitingFetch>,
    links: OrderedMap<i32, Link>,
    next_correlation: u32,
    /// When it is woken next.
    alarm: Option<Time>,
    chance: Chance,
}

impl Quorum {
    pub fn new(id: i32, config: QuorumConfig, chance: Chance) -> Quorum {
        Quorum {
            id,
            config,
            election: Election::default(),
            log: MetadataLog::default(),
            role: Role::Unattached { until: 0 },
            high_watermark: 0,
            waiting: Vec::new(),
            links: OrderedMap::new(),
            next_correlation: 0,
            alarm: None,
            chance,
        }
    }

    pub fn election(&self) -> Election {
        self.election
    }

    pub fn log(&self) -> &MetadataLog {
        &self.log
    }

    /// The offset that follows the last record known to be committed.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Kafka's word for what it is.
    pub fn role_name(&self) -> &'static str {
        match self.role {
            Role::Unattached { .. } => "Unattached",
            Role::Prospective(_) => "Prospective",
            Role::Candidate(_) => "Candidate",
            Role::Leader(_) => "Leader",
            Role::Follower { .. } => "Follower",
            Role::Resigned { .. } => "Resigned",
        }
    }

    /// The epoch in which it leads and knows what is committed: a record of that epoch is.
    pub fn active_epoch(&self) -> Option<i32> {
        self.leads_committed().then_some(self.election.epoch)
    }

    /// The process begins: with what its disk remembers of the epoch.
    pub fn start(&mut self, now: Time, out: &mut Outputs) {
        let until = now + self.election_timeout();
        self.role = match self.election {
            Election { leader: Some(leader), .. } if leader == self.id => {
                Role::Resigned { until, successors: Vec::new(), told: Vec::new() }
            }
            Election { leader: Some(_), .. } => Role::Follower { until: now + self.config.fetch_timeout, fetched: false, snapshot: None },
            Election { voted: Some(voted), .. } if voted == self.id => Role::Candidate(Nominee::new(self.id, until)),
            // Nothing has ever happened.
            Election { epoch: 0, .. } if self.config.first == Some(self.id) => Role::Unattached { until: now },
            _ => Role::Unattached { until },
        };
        // Nobody else can lead, and nobody else need be asked.
        if self.config.voters == [self.id] {
            self.become_candidate(now);
        }
        self.go_on(now, out);
    }

    /// The process is killed. What it was to remember is on its disk: a voter flushes before it answers.
    pub fn crash(&mut self) {
        self.role = Role::Unattached { until: 0 };
        self.high_watermark = self.log.start_offset();
        self.waiting.clear();
        self.links.clear();
        self.alarm = None;
    }

    /// Answers what controllers ask each other, and whoever follows the metadata log. `false`: this request is none of the quorum's.
    pub fn request(&mut self, now: Time, from: Connection, correlation: u32, request: &Request, out: &mut Outputs) -> bool {
        match request {
            Request::Vote(message) => {
                let response = self.vote(now, message);
                out.respond(from, correlation, Response::Vote(Arc::new(response)));
            }
            Request::BeginQuorumEpoch(message) => {
                let response = self.epoch_begun(now, message);
                out.respond(from, correlation, Response::BeginQuorumEpoch(Arc::new(response)));
            }
            Request::EndQuorumEpoch(message) => {
                let response = self.epoch_ended(now, message);
                out.respond(from, correlation, Response::EndQuorumEpoch(Arc::new(response)));
            }
            Request::Fetch(message) => self.fetch(now, from, correlation, message, out),
            Request::DescribeQuorum(message) => {
                let response = self.describe(now, message);
                out.respond(from, correlation, Response::DescribeQuorum(Arc::new(response)));
                return true;
            }
            Request::FetchSnapshot(message) => {
                let response = self.snapshot_response(now, from, message);
                out.respond(from, correlation, response);
            }
            _ => return false,
        }
        self.go_on(now, out);
        true
    }

    /// Takes another controller's answer.
    pub fn response(&mut self, now: Time, from: Connection, correlation: u32, response: &Response, out: &mut Outputs) {
        let NodeId::Controller(peer) = from.peer else { return };
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.in_flight.is_none_or(|(own, _)| own != correlation) {
            return;
        }
        link.in_flight = None;
        let epoch = self.election.epoch;
        if response.error() != ErrorCode::None {
            link.ready = now + self.config.retry_backoff;
        }
        match response {
            Response::Vote(message) => self.vote_answered(now, peer, message),
            Response::BeginQuorumEpoch(message) => self.begin_answered(now, message),
            Response::EndQuorumEpoch(message) => self.end_answered(now, peer, message),
            Response::FetchMetadata(message, entries) => self.fetched(now, message, entries),
            Response::FetchSnapshot(message, image) => self.snapshot_fetched(now, message, image),
            _ => {}
        }
        debug_assert!(epoch <= self.election.epoch, "an epoch is never left for an earlier one");
        self.go_on(now, out);
    }

    /// The connections with this node are gone: what was asked over them is asked again, or forgotten.
    pub fn disconnected(&mut self, now: Time, peer: NodeId, channel: Option<Channel>, out: &mut Outputs) {
        self.waiting.retain(|fetch| fetch.from.peer != peer || channel.is_some_and(|channel| channel != fetch.from.channel));
        if let NodeId::Controller(peer) = peer
            && let Some(link) = self.links.get_mut(&peer).filter(|link| link.in_flight.is_some())
        {
            *link = Link { in_flight: None, ready: now + self.config.retry_backoff };
        }
        self.go_on(now, out);
    }

    /// The alarm goes off.
    pub fn wake(&mut self, now: Time, out: &mut Outputs) {
        // Only the one set last means anything.
        if self.alarm.is_some_and(|at| at <= now) {
            self.alarm = None;
            self.go_on(now, out);
        }
    }

    /// The leader appends a record. Followers hear of it as soon as they ask.
    pub fn append(&mut self, record: MetadataRecord) {
        debug_assert!(self.is_leader(), "only the leader appends");
        self.log.append(MetadataEntry { epoch: self.election.epoch, record: Arc::new(record) });
        self.advance();
    }

    /// Writes a snapshot if enough has been committed since the last one.
    pub fn maybe_snapshot(&mut self) {
        if self.config.records_between_snapshots <= self.high_watermark - self.log.start_offset() {
            self.log.take_snapshot(self.high_watermark);
        }
    }

    /// What is to be done by now: changes of role that are due, requests to others, and answers that waited.
    pub fn go_on(&mut self, now: Time, out: &mut Outputs) {
        self.give_up_requests(now);
        while self.change_role(now) {}
        self.send(now, out);
        self.answer_waiting(now, out);
        self.set_alarm(now, out);
    }

    fn is_majority(&self, voters: usize) -> bool {
        self.config.voters.len() < 2 * voters
    }

    fn others(&self) -> Vec<i32> {
        self.config.voters.iter().copied().filter(|voter| *voter != self.id).collect()
    }

    /// A random one, so that voters do not stand for election all at once.
    fn election_timeout(&mut self) -> Time {
        self.config.election_timeout + self.chance.below(self.config.election_timeout)
    }

    /// Takes the role that is due. `false`: none is.
    fn change_role(&mut self, now: Time) -> bool {
        match &self.role {
            Role::Unattached { until } if *until <= now => self.become_prospective(now),
            Role::Prospective(nominee) if self.is_majority(nominee.granted.len()) => self.become_candidate(now),
            Role::Prospective(nominee) if nominee.until <= now || self.is_majority(nominee.rejected.len()) => {
                self.fall_back(now);
            }
            Role::Candidate(nominee) if self.is_majority(nominee.granted.len()) => self.become_leader(now),
            Role::Candidate(nominee) if nominee.until <= now => self.become_prospective(now),
            Role::Leader(leadership) if leadership.until <= now => self.resign(now),
            Role::Follower { until, .. } if *until <= now => self.become_prospective(now),
            // Nobody may be elected in the old epoch again.
            Role::Resigned { until, .. } if *until <= now => self.become_unattached(now, self.election.epoch + 1),
            _ => return false,
        }
        true
    }

    fn take(&mut self, role: Role) {
        self.links.clear();
        self.role = role;
    }

    fn become_unattached(&mut self, now: Time, epoch: i32) {
        if self.election.epoch < epoch {
            self.election = Election { epoch, leader: None, voted: None };
        }
        let until = now + self.election_timeout();
        self.take(Role::Unattached { until });
    }

    fn become_follower(&mut self, now: Time, epoch: i32, leader: i32) {
        let voted = self.election.voted.filter(|_| self.election.epoch == epoch);
        self.election = Election { epoch, leader: Some(leader), voted };
        self.take(Role::Follower { until: now + self.config.fetch_timeout, fetched: false, snapshot: None });
    }

    /// Somebody speaks of an epoch and of its leader. A later epoch is joined, a leader that was not known is followed.
    fn hear(&mut self, now: Time, epoch: i32, leader: Option<i32>) {
        let leader = leader.filter(|leader| *leader != self.id);
        let is_later = self.election.epoch < epoch;
        match leader {
            Some(leader) if is_later || (epoch == self.election.epoch && self.election.leader.is_none()) => {
                self.become_follower(now, epoch, leader);
            }
            None if is_later => self.become_unattached(now, epoch),
            _ => {}
        }
    }

    /// What every answer may say. `true`: there is nothing more in it.
    fn hear_answer(&mut self, now: Time, error: ErrorCode, epoch: i32, leader: i32) -> bool {
        if epoch < self.election.epoch {
            return true;
        }
        self.hear(now, epoch, (0 <= leader).then_some(leader));
        error != ErrorCode::None
    }

    fn give_up_requests(&mut self, now: Time) {
        let backoff = self.config.retry_backoff;
        for link in self.links.values_mut() {
            if link.in_flight.is_some_and(|(_, until)| until <= now) {
                *link = Link { in_flight: None, ready: now + backoff };
            }
        }
    }

    /// Sends what the role has to say to the others.
    fn send(&mut self, now: Time, out: &mut Outputs) {
        match &self.role {
            Role::Prospective(nominee) | Role::Candidate(nominee) => {
                let undecided = |voter: &i32| !nominee.granted.contains(voter) && !nominee.rejected.contains(voter);
                let voters: Vec<i32> = self.others().into_iter().filter(undecided).collect();
                for voter in voters {
                    self.ask(now, voter, out, Quorum::vote_request);
                }
            }
            Role::Leader(_) => self.announce(now, out),
            Role::Follower { snapshot, .. } => {
                let request: fn(&Quorum, i32) -> Request = match snapshot {
                    Some(_) => |quorum, _| quorum.snapshot_request(),
                    None => |quorum, _| quorum.fetch_request(),
                };
                if let Some(leader) = self.election.leader {
                    self.ask(now, leader, out, request);
                }
            }
            Role::Resigned { told, .. } => {
                let voters: Vec<i32> = self.others().into_iter().filter(|voter| !told.contains(voter)).collect();
                for voter in voters {
                    self.ask(now, voter, out, |quorum, _| quorum.end_request());
                }
            }
            Role::Unattached { .. } => {}
        }
    }

    /// Sends a request if none is under way there. `true`: it is on its way.
    fn ask(&mut self, now: Time, peer: i32, out: &mut Outputs, request: fn(&Quorum, i32) -> Request) -> bool {
        let link = self.links.or_default(peer);
        if link.in_flight.is_some() || now < link.ready {
            return false;
        }
        self.next_correlation += 1;
        link.in_flight = Some((self.next_correlation, now + self.config.request_timeout));
        let request = request(self, peer);
        out.request(NodeId::Controller(peer), Channel::Data, self.next_correlation, request);
        true
    }

    /// Has itself woken when the next thing can be due. An alarm that turns out to be too early costs nothing but itself.
    fn set_alarm(&mut self, now: Time, out: &mut Outputs) {
        let role = match &self.role {
            Role::Prospective(nominee) | Role::Candidate(nominee) => nominee.until,
            Role::Leader(leadership) => leadership.until.min(leadership.announce_at),
            Role::Unattached { until } | Role::Follower { until, .. } | Role::Resigned { until, .. } => *until,
        };
        let link = |link: &Link| link.in_flight.map(|(_, until)| until).or((now < link.ready).then_some(link.ready));
        let fetches = self.waiting.iter().filter_map(|fetch| fetch.until);
        let due = self.links.values().filter_map(link).chain(fetches).fold(role, Time::min);
        if due != Time::MAX && self.alarm.is_none_or(|at| due < at) {
            self.alarm = Some(due.max(now + 1));
            out.timer(due.max(now + 1), Timer::Quorum);
        }
    }
}
