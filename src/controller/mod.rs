//! The controller: the one writer of the cluster's metadata log, which every broker follows with Fetch.
//!
//! Owns registration, sessions and fencing of brokers, placement of replicas, leader elections and changes of the ISR. It must not know any
//! log of records: what it learns about replicas it learns from brokers' requests. Source: KIP-500, KIP-631, KIP-497 (AlterPartition);
//! `ClusterControlManager`, `ReplicationControlManager`, `PartitionChangeBuilder`. There are one or three controllers:
//! [`quorum`] finds the leader among them, and that one decides.

mod broker_configs;
mod client_quotas;
pub mod configs;
mod delete_topics;
pub mod elect_leaders;
mod elections;
mod eligible;
mod group_configs;
mod mutation_quota;
mod office;
mod partitions;
mod placement;
mod producer_ids;
pub mod quorum;
mod reassignment;
mod shutdown;
mod topics;
mod unregister;

use crate::mutant;
use crate::node::{Chance, Channel, Input, MS, NoteKind, Outputs, Time, Timer};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::client_quotas::QuotaWindow;
use crate::protocol::metadata::{MetadataImage, MetadataRecord};
use crate::protocol::wire::{Request, Response};
use crate::storage::LogConfig;
use kafka_protocol::messages as k;
use mutation_quota::Mutations;
use office::Office;
use quorum::{LogEnd, Quorum, QuorumConfig};
use std::sync::Arc;
use uuid::Uuid;

/// Settings of the controller, with Kafka's names and defaults.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// `broker.session.timeout.ms`
    pub broker_session_timeout: Time,
    /// `leader.imbalance.check.interval.seconds`
    pub leader_imbalance_check_interval: Time,
    /// `auto.leader.rebalance.enable`
    pub auto_leader_rebalance: bool,
    /// `num.partitions`
    pub default_partitions: i32,
    /// `default.replication.factor`
    pub default_replication_factor: i16,
    /// `min.insync.replicas`, where the topic does not set it
    pub min_insync_replicas: usize,
    /// The feature `eligible.leader.replicas.version`
    pub eligible_leaders: bool,
    /// `unclean.leader.election.enable`, where the topic does not set it
    pub unclean_elections: bool,
    /// `unclean.leader.election.interval.ms`
    pub unclean_interval: Time,
    /// `delete.topic.enable`
    pub delete_topics: bool,
    /// What groups may set for themselves in milliseconds: a setting such as `share.session.timeout.ms`, with `group.share.min` and `group.share.max` of it.
    pub group_ranges: [(&'static str, i64, i64); 5],
    /// `remote.log.storage.system.enable`
    pub remote_storage: bool,
    /// `controller.quota.window.num` and `controller.quota.window.size.seconds`
    pub quota_window: QuotaWindow,
    /// What holds for logs where the topic does not say
    pub log: LogConfig,
    /// `num.io.threads` that brokers start with
    pub io_threads: i64,
    /// `num.network.threads` that brokers start with
    pub network_threads: i64,
    pub quorum: QuorumConfig,
}

/// Why what is asked for is not done: the code, and a sentence that says what is wrong.
type Refused = (ErrorCode, String);

/// A controller of a cluster, as a node of the world.
#[derive(Clone, Debug)]
pub struct Controller {
    id: i32,
    config: ControllerConfig,
    quorum: Quorum,
    office: Office,
    /// The cluster's metadata as the active controller has decided it so far, committed or not; empty while it is not the active one.
    image: MetadataImage,
    sessions: OrderedMap<i32, Session>,
    mutations: Mutations,
    /// What is to be told of decisions once the log is committed up to there, if its record there is of this epoch by then.
    undecided: Vec<(LogEnd, NoteKind)>,
    chance: Chance,
}

/// What the controller knows of a registered broker process.
#[derive(Clone, Debug)]
struct Session {
    incarnation: Uuid,
    /// `None`: it has expired, and the broker is fenced until its next heartbeat.
    expires: Option<Time>,
    /// How much of the metadata log it has, by its last heartbeat.
    metadata_offset: i64,
    /// In controlled shutdown: what the others must have of the metadata log before it may end.
    shutdown_offset: Option<i64>,
}

impl Controller {
    pub fn new(id: i32, config: ControllerConfig, chance: Chance) -> Controller {
        let quorum = Quorum::new(id, config.quorum.clone(), chance.fork(1));
        Controller {
            id,
            config,
            quorum,
            office: Office::default(),
            image: MetadataImage::default(),
            sessions: OrderedMap::new(),
            mutations: Mutations::new(),
            undecided: Vec::new(),
            chance,
        }
    }

    pub fn id(&self) -> i32 {
        self.id
    }

    pub fn config(&self) -> &ControllerConfig {
        &self.config
    }

    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The cluster's metadata as the active controller has decided it so far; empty while this is not the active one.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// What is to be told of decisions once they are committed: the world keeps it, for the controller may be gone by then.
    pub fn take_undecided(&mut self) -> Vec<(LogEnd, NoteKind)> {
        std::mem::take(&mut self.undecided)
    }

    /// The process is killed. The log and the vote are on its disk.
    pub fn crash(&mut self) {
        self.quorum.crash();
        self.office = Office::default();
        self.image = MetadataImage::default();
        self.sessions = OrderedMap::new();
        self.mutations = Mutations::new();
    }

    pub fn handle(&mut self, now: Time, input: Input, out: &mut Outputs) {
        let before = self.quorum.log().start_offset();
        // Of what was committed by the last event: by now the world has seen it.
        self.quorum.maybe_snapshot();
        let start = self.quorum.log().start_offset();
        if start != before {
            out.note(NoteKind::SnapshotWritten { end_offset: start });
        }
        match input {
            Input::Start => self.quorum.start(now, out),
            Input::Request { from, correlation, request, client_id } => {
                self.mutations.begin(now, from.peer, &client_id);
                if !self.quorum.request(now, from, correlation, &request, out) {
                    self.serve(now, from, correlation, request, out);
                }
            }
            Input::Response { from, correlation, response } => self.quorum.response(now, from, correlation, &response, out),
            Input::Timer(Timer::Quorum) => self.quorum.wake(now, out),
            Input::Timer(timer) => self.timer(now, timer, out),
            Input::Disconnected { peer, channel } => {
                self.quorum.disconnected(now, peer, channel, out);
                self.office.forget_answers_to(|to| to.peer == peer && channel.is_none_or(|channel| channel == to.channel));
            }
            Input::Stop => {}
        }
        self.attend(now, out);
        // Whoever waits for the log hears of what has just been decided.
        self.quorum.go_on(now, out);
        if self.quorum.log().start_offset() != start {
            out.note(NoteKind::SnapshotFetched { end_offset: self.quorum.log().start_offset() });
        }
    }

    /// What the active controller does by itself.
    fn timer(&mut self, now: Time, timer: Timer, out: &mut Outputs) {
        let notes = out.notes.len();
        match timer {
            Timer::BrokerSessions if self.is_active() && self.office.sessions_at <= now => self.expire_sessions(now, out),
            Timer::PreferredLeaders if self.is_active() && self.office.preferred_at <= now => {
                if self.config.auto_leader_rebalance {
                    self.elect_preferred_leaders(out);
                }
                self.office.preferred_at = now + self.config.leader_imbalance_check_interval;
                out.timer(self.office.preferred_at, Timer::PreferredLeaders);
            }
            Timer::UncleanLeaders if self.is_active() && self.office.unclean_at <= now => {
                self.elect_for_leaderless(out);
                self.office.unclean_at = now + self.config.unclean_interval;
                out.timer(self.office.unclean_at, Timer::UncleanLeaders);
            }
            _ => {}
        }
        self.withhold(notes, out);
    }

    /// Does what is asked of the active controller. `None`: nobody in this world asks that.
    fn answer(&mut self, now: Time, request: Request, out: &mut Outputs) -> Option<Response> {
        let response = match request {
            Request::BrokerRegistration(message) => Response::BrokerRegistration(Arc::new(self.register(now, &message, out))),
            Request::BrokerHeartbeat(message) => Response::BrokerHeartbeat(Arc::new(self.heartbeat(now, &message, out))),
            Request::AlterPartition(message) => Response::AlterPartition(Arc::new(self.alter_partition(&message, out))),
            Request::CreateTopics(message) => Response::CreateTopics(Arc::new(self.create_topics(&message, out))),
            Request::CreatePartitions(message) => Response::CreatePartitions(Arc::new(self.create_partitions(&message, out))),
            Request::DeleteTopics(message) => Response::DeleteTopics(Arc::new(self.delete_topics(&message, out))),
            Request::IncrementalAlterConfigs(message) => Response::IncrementalAlterConfigs(Arc::new(self.alter_configs(&message, out))),
            Request::AllocateProducerIds(message) => Response::AllocateProducerIds(Arc::new(self.allocate_producer_ids(&message))),
            Request::AlterClientQuotas(message) => Response::AlterClientQuotas(Arc::new(self.alter_client_quotas(&message, out))),
            Request::ElectLeaders(message) => Response::ElectLeaders(Arc::new(self.elect_leaders(&message, out))),
            Request::UnregisterBroker(message) => Response::UnregisterBroker(Arc::new(self.unregister_broker(&message, out))),
            Request::ListPartitionReassignments(message) => {
                Response::ListPartitionReassignments(Arc::new(self.list_partition_reassignments(&message)))
            }
            Request::AlterPartitionReassignments(message) => {
                Response::AlterPartitionReassignments(Arc::new(self.alter_partition_reassignments(&message, out)))
            }
            // The controller's listener has no other API; nodes of this world never send one.
            _ => return None,
        };
        Some(response)
    }

    /// Appends to the metadata log; the one way in which anything is decided.
    fn decide(&mut self, record: MetadataRecord) {
        self.image.apply(&record);
        self.quorum.append(record);
    }

    /// A broker process introduces itself. While another process of that id still has a session, it is turned away (KIP-631): a broker
    /// that comes back quickly after a crash waits until the controller has given the old process up.
    fn register(&mut self, now: Time, message: &k::BrokerRegistrationRequest, out: &mut Outputs) -> k::BrokerRegistrationResponse {
        let broker = message.broker_id.0;
        let mut response = k::BrokerRegistrationResponse::default();
        response.broker_epoch = -1;
        let expires = Some(now + self.config.broker_session_timeout);
        if let Some(known) = self.sessions.get_mut(&broker) {
            let same = known.incarnation == message.incarnation_id;
            if !same && known.expires.is_some() {
                response.error_code = ErrorCode::DuplicateBrokerRegistration.code();
                return response;
            }
            if same && let Some(registered) = self.image.brokers.get(&broker) {
                // It did not hear the answer, or this is the request again: its epoch stays.
                known.expires = expires;
                response.broker_epoch = registered.epoch;
                return response;
            }
        }
        self.fence(broker, out);
        let ended_cleanly = self.image.brokers.get(&broker).is_some_and(|known| known.epoch == message.previous_broker_epoch);
        if !ended_cleanly && !mutant::is("eligible-after-unclean-restart") {
            self.forget_eligible(broker, out);
        }
        let epoch = self.image.next_offset;
        self.sessions.insert(broker, Session { incarnation: message.incarnation_id, expires, metadata_offset: -1, shutdown_offset: None });
        let rack = message.rack.as_ref().map(|rack| Arc::from(rack.as_str()));
        let incarnation = message.incarnation_id;
        self.decide(MetadataRecord::RegisterBroker { broker, epoch, incarnation, rack, fenced: true });
        out.note(NoteKind::BrokerRegistered { broker, epoch, ended_cleanly });
        response.broker_epoch = epoch;
        response
    }

    /// Keeps a session alive, or opens it again, and unfences a broker that has caught up with its own registration.
    fn heartbeat(&mut self, now: Time, message: &k::BrokerHeartbeatRequest, out: &mut Outputs) -> k::BrokerHeartbeatResponse {
        let broker = message.broker_id.0;
        let mut response = k::BrokerHeartbeatResponse::default();
        let known = self.image.brokers.get(&broker).filter(|known| known.epoch == message.broker_epoch);
        let (Some(known), Some(session)) = (known, self.sessions.get_mut(&broker)) else {
            response.error_code = ErrorCode::StaleBrokerEpoch.code();
            return response;
        };
        session.expires = Some(now + self.config.broker_session_timeout);
        session.metadata_offset = message.current_metadata_offset;
        let caught_up = known.epoch <= message.current_metadata_offset;
        if message.want_shut_down {
            response.should_shut_down = self.may_shut_down(broker, out);
        } else if known.fenced && caught_up && !message.want_fence {
            let epoch = known.epoch;
            self.decide(MetadataRecord::BrokerFencing { broker, epoch, fenced: false });
            out.note(NoteKind::BrokerUnfenced { broker });
            self.became_live(broker, out);
        }
        response.is_caught_up = caught_up;
        response.is_fenced = self.image.brokers.get(&broker).is_none_or(|known| known.fenced);
        response
    }

    fn expire_sessions(&mut self, now: Time, out: &mut Outputs) {
        let mut expired = Vec::new();
        for (broker, session) in &mut self.sessions {
            if session.expires.is_some_and(|at| at <= now) && !mutant::is("sessions-never-end") {
                session.expires = None;
                expired.push(*broker);
            }
        }
        for broker in expired {
            self.fence(broker, out);
        }
        // Look again exactly when the next session can expire, or soon if none is open.
        let next =
            self.sessions.values().filter_map(|session| session.expires).min().unwrap_or(now + self.config.broker_session_timeout / 2);
        self.office.sessions_at = next.max(now + MS);
        out.timer(self.office.sessions_at, Timer::BrokerSessions);
    }

    fn fence(&mut self, broker: i32, out: &mut Outputs) {
        if let Some(known) = self.image.brokers.get(&broker).filter(|known| !known.fenced) {
            let epoch = known.epoch;
            self.decide(MetadataRecord::BrokerFencing { broker, epoch, fenced: true });
            out.note(NoteKind::BrokerFenced { broker });
            self.leave_all_isrs(broker, out);
        }
    }
}

/// The channel that brokers use for everything but their long polls.
pub const CONTROL: Channel = Channel::Control;
