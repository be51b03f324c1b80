//! One broker, as a node of the world.
//!
//! Owns the order in which requests are handled, its copy of the cluster's metadata, its replicas, and the requests that wait. What a
//! request means is decided in the rooms above; here it finds its way there. Source: `KafkaApis`, `ReplicaManager`, `BrokerLifecycleManager`,
//! `SocketServer`.

mod acls;
mod admin;
mod client_quotas;
mod configs;
mod connections;
mod controllers;
mod current_leader;
mod delete_records;
mod deletion;
mod describe_topics;
mod describe_transactions;
mod dynamic;
mod fetch;
mod fetch_sessions;
mod groups;
mod internal_topics;
mod isr;
mod leader_epochs;
mod lifecycle;
mod log_dirs;
mod lookup;
mod maintenance;
mod markers;
mod produce;
mod producer_ids;
mod read_replica;
mod remote;
mod replication;
pub mod share;
mod shutdown;
mod throttle;
mod timeouts;
mod transactions;
pub mod validation;
mod verification;
mod work;

use crate::coordinator::{Coordinator, CoordinatorConfig, ReplyTo, ShareCoordinator, TransactionConfig, TransactionCoordinator};
use crate::cost::{Costs, HEALTHY_DISK, WRITE_BACK_INTERVAL};
use crate::node::{Chance, Channel, Connection, Input, MS, NodeId, Outputs, Time, Timer};
use crate::protocol::ErrorCode;
use crate::protocol::client_quotas::QuotaWindow;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::wire::{Request, Response};
use crate::replica::purgatory::Purgatory;
use crate::replica::{PartitionKey, RemoteStore, Replica};
use crate::storage::LogConfig;
use client_quotas::Taken;
use connections::{Arrived, Connections};
use controllers::Controllers;
use delete_records::DelayedDelete;
use fetch::DelayedFetch;
use fetch_sessions::FetchSessions;
use produce::DelayedProduce;
use producer_ids::ProducerIds;
use share::{Share, ShareConfig};

use crate::ordered::{OrderedMap, OrderedSet};
pub use lookup::{EARLIEST_LOCAL_TIMESTAMP, EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};
use replication::Fetcher;
use shutdown::Shutdown;
use std::collections::VecDeque;
use std::sync::Arc;
use throttle::Samples;
use transactions::Marking;
use uuid::Uuid;
pub use validation::LogRules;
use verification::{AskAgain, Verification};
use work::{Job, Work};

/// Settings of a broker, with Kafka's names and defaults.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    pub rack: Option<Arc<str>>,
    /// `controller.quorum.voters`
    pub controllers: Vec<i32>,
    /// `broker.heartbeat.interval.ms`
    pub heartbeat_interval: Time,
    /// `initial.broker.registration.timeout.ms`
    pub registration_timeout: Time,
    /// `replica.lag.time.max.ms`
    pub replica_lag_time_max: Time,
    /// `replica.fetch.wait.max.ms`
    pub replica_fetch_wait_max: Time,
    /// `replica.fetch.min.bytes`
    pub replica_fetch_min_bytes: i32,
    /// `replica.fetch.max.bytes`
    pub replica_fetch_max_bytes: i32,
    /// `replica.fetch.response.max.bytes`
    pub replica_fetch_response_max_bytes: i32,
    /// `replica.fetch.backoff.ms`
    pub replica_fetch_backoff: Time,
    /// `replica.high.watermark.checkpoint.interval.ms`
    pub checkpoint_interval: Time,
    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub log_start_checkpoint_interval: Time,
    /// `leader.replication.throttled.rate`, in bytes per second
    pub leader_throttle: u64,
    /// `follower.replication.throttled.rate`
    pub follower_throttle: u64,
    /// `replication.quota.window.num` and `replication.quota.window.size.seconds`
    pub quota_window: QuotaWindow,
    /// `quota.window.num` and `quota.window.size.seconds`
    pub client_quota_window: QuotaWindow,
    /// `controlled.shutdown.enable`
    pub controlled_shutdown: bool,
    /// `min.insync.replicas`, where the topic does not set it
    pub min_insync_replicas: usize,
    /// What holds for logs where the topic does not say
    pub log: LogConfig,
    /// What holds for batches where the topic does not say
    pub log_rules: LogRules,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval: Time,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
    /// `producer.id.expiration.check.interval.ms`
    pub producer_expiration_interval: Time,
    /// `offsets.commit.timeout.ms`: how long whoever waits for a write of a coordinator of groups does.
    pub offsets_commit_timeout: Time,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check: Time,
    /// `log.cleaner.backoff.ms`
    pub cleaner_backoff: Time,
    /// `log.initial.task.delay.ms`
    pub log_task_delay: Time,
    /// `fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `replica.selector.class` is RackAwareReplicaSelector: consumers are sent to a replica in their rack.
    pub reads_by_rack: bool,
    /// `max.request.partition.size.limit`
    pub partitions_described_max: i32,
    /// `max.incremental.fetch.session.cache.slots`
    pub fetch_session_slots: usize,
    /// `remote.log.manager.task.interval.ms`; `None`: there is no remote store (`remote.log.storage.system.enable`)
    pub remote_task_interval: Option<Time>,
    /// `remote.fetch.max.wait.ms`
    pub remote_fetch_wait_max: Time,
    /// `auto.create.topics.enable`
    pub auto_create_topics: bool,
    /// `offsets.topic.replication.factor`
    pub offsets_topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`
    pub offsets_topic_segment_bytes: i64,
    pub coordinator: CoordinatorConfig,
    pub transactions: TransactionConfig,
    /// `transaction.state.log.replication.factor`
    pub transactions_topic_replication_factor: i16,
    /// `transaction.state.log.min.isr`
    pub transactions_topic_min_isr: i64,
    /// `transaction.state.log.segment.bytes`
    pub transactions_topic_segment_bytes: i64,
    /// `transaction.partition.verification.enable`
    pub verifies_transactions: bool,
    /// `add.partitions.to.txn.retry.backoff.ms`
    pub add_partitions_backoff: Time,
    /// `add.partitions.to.txn.retry.backoff.max.ms`
    pub add_partitions_backoff_max: Time,
    /// The feature level `transaction.version`: 1 or 2 (KIP-890)
    pub transaction_version: i64,
    /// `brokerlab.eligible.leader.replicas.version` is 1
    pub eligible_leaders: bool,
    pub share: ShareConfig,
    /// What it was started with, as text: what is not there has its default.
    pub given: Arc<OrderedMap<String, String>>,
    pub costs: Costs,
}

/// What a broker's machine is like; it outlives the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Machine {
    /// How far its wall clock is ahead of the true time, in milliseconds.
    pub clock_skew_ms: i64,
    /// How much slower than a healthy one its disk is, in thousandths.
    pub disk_factor: u64,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine { clock_skew_ms: 0, disk_factor: HEALTHY_DISK }
    }
}

/// A broker process, and the disk that outlives it.
#[derive(Clone, Debug)]
pub struct Broker {
    id: i32,
    /// What holds now.
    config: BrokerConfig,
    started_with: Arc<BrokerConfig>,
    /// The metadata says something else about its settings than it goes by.
    may_have_other_configs: bool,
    machine: Machine,
    incarnation: Uuid,
    /// The file that says in which broker epoch the last process ended in good order. The next one takes it away.
    clean_shutdown: Option<i64>,
    /// What it said when this process began.
    previous_epoch: Option<i64>,
    /// Given by the controller at registration; `None` before.
    epoch: Option<i64>,
    /// Whether it ever was given one.
    has_registered: bool,
    fenced: bool,
    shutdown: Shutdown,
    heartbeat_at: Time,
    controllers: Controllers,
    image: MetadataImage,
    /// Partitions whose decided state has not been taken over yet.
    unpublished: OrderedSet<PartitionKey>,
    /// Logs on disk may be of topics that the metadata does not know any more: it has been started, or a topic was deleted.
    may_have_strays: bool,
    replicas: OrderedMap<PartitionKey, Replica>,
    /// The cluster's remote store: the world's, which lends it while something is handled.
    remote: RemoteStore,
    fetchers: OrderedMap<i32, Fetcher>,
    connections: Connections,
    /// Whether anything that it does may take longer than on a healthy broker. If not, nothing of [`Work`] is used.
    charged: bool,
    work: Work,
    produces: Purgatory<DelayedProduce>,
    fetches: Purgatory<DelayedFetch>,
    deletes: Purgatory<DelayedDelete>,
    sessions: FetchSessions,
    /// What throttled replicas have copied from here lately, and into here.
    copied_out: Samples,
    copied_in: Samples,
    /// What clients have taken lately of what their quotas limit.
    taken: Taken,
    /// The time of what is being handled.
    now: Time,
    coordinator: Coordinator,
    share: Share,
    share_states: ShareCoordinator,
    /// When the coordinator asked to be woken, so that it is not asked twice.
    groups_wake: Option<Time>,
    transactions: TransactionCoordinator,
    transactions_wake: Option<Time>,
    /// Markers that were sent to leaders and are not answered, by the request's correlation.
    marking: OrderedMap<u32, Marking>,
    /// Requests that wait for the coordinator of their transaction, by the correlation of what it was asked.
    verifying: OrderedMap<u32, Verification>,
    /// Requests that ask a coordinator again, the first one first.
    asking_again: VecDeque<AskAgain>,
    /// Topics that the controller was asked to make, and when, by the request's correlation.
    creating: OrderedMap<u32, (String, Time)>,
    /// Partitions with an AlterPartition request under way, and since when, by the request's correlation.
    altering: OrderedMap<u32, (PartitionKey, Time)>,
    producer_ids: ProducerIds,
    /// The request to the controller under way on the control channel for the broker's life.
    lifecycle_request: Option<u32>,
    /// The fetch of the metadata log under way, and whom it was sent to.
    metadata_request: Option<(u32, NodeId)>,
    next_correlation: u32,
    /// Partitions whose log or high watermark moved during this event: waiting requests on them are tried again before it ends.
    moved: OrderedSet<PartitionKey>,
    chance: Chance,
}

impl Broker {
    pub fn new(id: i32, config: BrokerConfig, chance: Chance) -> Broker {
        let coordinator = Coordinator::new(config.coordinator, chance.fork(1));
        let transactions = TransactionCoordinator::new(config.transactions);
        let share_states = ShareCoordinator::new(config.share.state_partitions, config.share.updates_per_snapshot);
        let charged = config.costs.is_charged(HEALTHY_DISK);
        let sessions = FetchSessions::new(config.fetch_session_slots);
        let controllers = Controllers::new(config.controllers.clone());
        Broker {
            id,
            started_with: Arc::new(config.clone()),
            config,
            may_have_other_configs: false,
            machine: Machine::default(),
            incarnation: Uuid::nil(),
            clean_shutdown: None,
            previous_epoch: None,
            epoch: None,
            has_registered: false,
            fenced: true,
            shutdown: Shutdown::default(),
            heartbeat_at: 0,
            unpublished: OrderedSet::new(),
            may_have_strays: true,
            controllers,
            image: MetadataImage::default(),
            replicas: OrderedMap::new(),
            remote: RemoteStore::default(),
            fetchers: OrderedMap::new(),
            connections: Connections::default(),
            charged,
            work: Work::default(),
            produces: Purgatory::new(0, 3),
            fetches: Purgatory::new(1, 3),
            deletes: Purgatory::new(2, 3),
            sessions,
            copied_out: Samples::default(),
            copied_in: Samples::default(),
            taken: Taken::default(),
            now: 0,
            coordinator,
            share: Share::default(),
            share_states,
            groups_wake: None,
            transactions,
            transactions_wake: None,
            marking: OrderedMap::new(),
            verifying: OrderedMap::new(),
            asking_again: VecDeque::new(),
            creating: OrderedMap::new(),
            altering: OrderedMap::new(),
            producer_ids: ProducerIds::default(),
            lifecycle_request: None,
            metadata_request: None,
            next_correlation: 0,
            moved: OrderedSet::new(),
            chance,
        }
    }

    pub fn id(&self) -> i32 {
        self.id
    }

    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// The broker epoch it registered with; -1 before.
    pub fn epoch(&self) -> i64 {
        self.epoch.unwrap_or(-1)
    }

    /// How much of the metadata log it has: the offset that follows.
    pub fn metadata_offset(&self) -> i64 {
        self.image.next_offset
    }

    pub fn replicas(&self) -> &OrderedMap<PartitionKey, Replica> {
        &self.replicas
    }

    /// Its copy of the cluster's metadata.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// The quorum's epoch of the last record of the metadata log that it applied.
    pub fn applied_epoch(&self) -> i32 {
        self.controllers.applied_epoch
    }

    /// Kafka's metric `NumIncrementalFetchSessions`.
    pub fn fetch_sessions(&self) -> usize {
        self.sessions.len()
    }

    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// The process is killed. Logs stay: the page cache is the machine's, not the process's.
    pub fn crash(&mut self) {
        let mut replicas = std::mem::take(&mut self.replicas);
        for replica in replicas.values_mut() {
            replica.crash();
        }
        // Correlations and purgatory numbers go on: an answer to the old process must not look like one to the new.
        let machine = self.machine;
        let correlation = self.next_correlation;
        let (produces, fetches, deletes) = (self.produces.emptied(), self.fetches.emptied(), self.deletes.emptied());
        *self = Broker {
            replicas,
            clean_shutdown: self.clean_shutdown,
            next_correlation: correlation,
            produces,
            fetches,
            deletes,
            ..Broker::new(self.id, BrokerConfig::clone(&self.started_with), self.chance.fork(2))
        };
        self.set_machine(machine);
    }

    /// Another machine takes the place of this one, with an empty disk.
    pub fn replace(&mut self, config: BrokerConfig) {
        (self.started_with, self.machine) = (Arc::new(config), Machine::default());
        self.replicas.clear();
        self.clean_shutdown = None;
        self.crash();
    }

    pub fn machine(&self) -> Machine {
        self.machine
    }

    pub fn set_machine(&mut self, machine: Machine) {
        self.machine = machine;
        self.charged |= self.config.costs.is_charged(machine.disk_factor);
        self.coordinator.set_start_timestamp(self.config.coordinator.start_timestamp + machine.clock_skew_ms);
    }

    /// The machine loses power: of the logs what was not flushed is gone.
    pub fn lose_power(&mut self, now: Time, out: &mut Outputs) {
        let expires = self.config.costs.page_expires;
        self.replicas.values_mut().for_each(|replica| replica.lose_power(now, expires, out));
        self.crash();
    }

    /// The replica that a client names (`ReplicaManager.getPartitionOrError`).
    fn replica(&self, key: PartitionKey) -> Result<&Replica, ErrorCode> {
        self.image.partition(&key.topic, key.index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.replicas.get(&key).ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// Lends it the cluster's remote store, or takes it back.
    pub fn swap_remote(&mut self, remote: &mut RemoteStore) {
        std::mem::swap(&mut self.remote, remote);
    }

    /// What the machine's wall clock shows, in Kafka's epoch milliseconds.
    pub fn wall_clock(&self, now: Time) -> i64 {
        (self.config.coordinator.start_timestamp + (now / MS) as i64 + self.machine.clock_skew_ms).max(0)
    }

    pub fn handle(&mut self, now: Time, input: Input, out: &mut Outputs) {
        self.now = now;
        match input {
            Input::Start => self.start(now, out),
            Input::Request { from, client_id, correlation, request } => {
                self.request(now, Arrived { from, client_id, correlation, request }, out);
            }
            Input::Response { from, correlation, response } => self.response(now, from, correlation, response, out),
            Input::Disconnected { peer, channel } => self.disconnected(now, peer, channel, out),
            Input::Timer(timer) => self.timer(now, timer, out),
            Input::Stop => self.stop(now, out),
        }
        self.settle(now, out);
    }

    /// Tries waiting requests on every partition that moved, and handles the requests that queued behind answered ones, until nothing changes.
    fn settle(&mut self, now: Time, out: &mut Outputs) {
        loop {
            if let Some(key) = self.moved.pop_first() {
                self.try_delayed_produces(now, key, out);
                self.try_delayed_fetches(now, key, out);
                self.try_delayed_deletes(key, out);
                if self.share.has_waiting() {
                    self.try_share_fetches(now, key, out);
                }
            } else if let Some(ready) = self.connections.next_ready() {
                self.enqueue(now, ready, out);
            } else {
                return;
            }
        }
    }

    fn dispatch(&mut self, now: Time, arrived: Arrived, out: &mut Outputs) {
        let Arrived { from, client_id, correlation, request } = arrived;
        match request {
            Request::Produce(message, batches) => self.produce(now, from, correlation, message, batches, out),
            Request::Fetch(message) => self.fetch(now, from, correlation, message, out),
            Request::ApiVersions(_) => self.respond(from, correlation, Response::ApiVersions(Arc::new(self.api_versions())), out),
            Request::ListOffsets(message) => match self.list_offsets(&message) {
                (response, false) => self.respond(from, correlation, Response::ListOffsets(Arc::new(response)), out),
                (_, true) => {
                    let until = self.work.use_remote(now, 0, &self.config.costs);
                    self.work.start(until, Job::RemoteOffsets { from, correlation, message }, out);
                }
            },
            Request::Metadata(message) => {
                let response = self.metadata(now, &message, out);
                self.respond(from, correlation, Response::Metadata(Arc::new(response)), out);
            }
            Request::OffsetForLeaderEpoch(message) => {
                let response = self.offsets_for_leader_epochs(&message);
                self.respond(from, correlation, Response::OffsetForLeaderEpoch(Arc::new(response)), out);
            }
            Request::FindCoordinator(message) => {
                let response = self.find_coordinator(now, &message, out);
                self.respond(from, correlation, Response::FindCoordinator(Arc::new(response)), out);
            }
            request @ (Request::AddPartitionsToTxn(_) | Request::AddOffsetsToTxn(_) | Request::EndTxn(_)) => {
                self.transaction_request(now, from, correlation, request, out);
            }
            Request::TxnOffsetCommit(message) => self.commit_offsets_in_transaction(now, from, correlation, message, out),
            Request::InitProducerId(message) if message.transactional_id.is_some() => {
                self.transaction_request(now, from, correlation, Request::InitProducerId(message), out);
            }
            Request::InitProducerId(message) => {
                let response = self.init_producer_id(now, &message, out);
                self.respond(from, correlation, Response::InitProducerId(Arc::new(response)), out);
            }
            request @ (Request::DescribeConfigs(_)
            | Request::DescribeCluster(_)
            | Request::DescribeAcls(_)
            | Request::CreateAcls(_)
            | Request::DeleteAcls(_)
            | Request::AlterReplicaLogDirs(_)
            | Request::ListConfigResources(_)
            | Request::DescribeLogDirs(_)
            | Request::DescribeTransactions(_)
            | Request::ListTransactions(_)
            | Request::DescribeProducers(_)
            | Request::DescribeTopicPartitions(_)
            | Request::DescribeClientQuotas(_)) => self.admin_request(now, from, correlation, request, out),
            Request::WriteTxnMarkers(message) => self.write_markers(now, from, correlation, &message, out),
            Request::DeleteRecords(message) => self.delete_records(now, from, correlation, &message, out),
            request @ (Request::JoinGroup(_)
            | Request::SyncGroup(_)
            | Request::Heartbeat(_)
            | Request::LeaveGroup(_)
            | Request::OffsetCommit(_)
            | Request::OffsetFetch(_)
            | Request::ListGroups(_)
            | Request::DescribeGroups(_)
            | Request::DeleteGroups(_)
            | Request::OffsetDelete(_)
            | Request::ConsumerGroupHeartbeat(_)
            | Request::ConsumerGroupDescribe(_)
            | Request::ShareGroupHeartbeat(_)
            | Request::ShareGroupDescribe(_)
            | Request::DescribeShareGroupOffsets(_)
            | Request::AlterShareGroupOffsets(_)
            | Request::DeleteShareGroupOffsets(_)) => self.group_request(now, from, &client_id, correlation, request, out),
            Request::ShareFetch(message) => self.share_fetch(now, from, correlation, &message, out),
            Request::ShareAcknowledge(message) => self.share_acknowledge(now, from, correlation, &message, out),
            request @ (Request::InitializeShareGroupState(_)
            | Request::ReadShareGroupState(_)
            | Request::WriteShareGroupState(_)
            | Request::DeleteShareGroupState(_)
            | Request::ReadShareGroupStateSummary(_)) => self.share_state_request(now, ReplyTo { from, correlation }, request, out),
            // The broker's listener has no other API; nodes of this world never send one.
            Request::CreateTopics(_)
            | Request::BrokerRegistration(_)
            | Request::BrokerHeartbeat(_)
            | Request::AlterPartition(_)
            | Request::CreatePartitions(_)
            | Request::DeleteTopics(_)
            | Request::IncrementalAlterConfigs(_)
            | Request::ElectLeaders(_)
            | Request::UnregisterBroker(_)
            | Request::Vote(_)
            | Request::BeginQuorumEpoch(_)
            | Request::EndQuorumEpoch(_)
            | Request::AlterPartitionReassignments(_)
            | Request::ListPartitionReassignments(_)
            | Request::AllocateProducerIds(_)
            | Request::DescribeQuorum(_)
            | Request::AlterClientQuotas(_)
            | Request::FetchSnapshot(_) => {
                self.connections.answered(from, correlation);
            }
        }
    }

    fn response(&mut self, now: Time, from: Connection, correlation: u32, response: Response, out: &mut Outputs) {
        match response {
            Response::FetchMetadata(message, entries) if self.metadata_request.is_some_and(|(own, _)| own == correlation) => {
                self.metadata_fetched(now, &message, &entries, out);
            }
            Response::FetchSnapshot(message, image) if self.metadata_request.is_some_and(|(own, _)| own == correlation) => {
                self.snapshot_fetched(now, &message, image, out);
            }
            Response::Fetch(message, batches) if self.charged => self.copy(now, from, correlation, message, batches, out),
            Response::Fetch(message, batches) => self.fetched(now, from, correlation, &message, &batches, out),
            Response::BrokerRegistration(message) if self.lifecycle_request == Some(correlation) => self.registered(now, &message, out),
            Response::BrokerHeartbeat(message) if self.lifecycle_request == Some(correlation) => {
                self.heartbeat_answered(now, &message, out)
            }
            Response::ListOffsets(message) => self.log_start_told(now, from, correlation, &message, out),
            Response::OffsetForLeaderEpoch(message) => self.epoch_before_told(now, from, correlation, &message, out),
            Response::AlterPartition(message) => self.isr_altered(now, correlation, &message, out),
            Response::AllocateProducerIds(message) => self.producer_ids_allocated(correlation, &message),
            Response::WriteTxnMarkers(message) => self.markers_written(now, correlation, &message, out),
            Response::AddPartitionsToTxn(message) => self.verified(now, correlation, &message, out),
            Response::CreateTopics(_) => {
                self.creating.remove(&correlation);
            }
            response @ (Response::ReadShareGroupState(_)
            | Response::WriteShareGroupState(_)
            | Response::InitializeShareGroupState(_)
            | Response::DeleteShareGroupState(_)
            | Response::ReadShareGroupStateSummary(_)) => {
                self.share_coordinator_answered(now, correlation, &response, out);
            }
            _ => {}
        }
    }

    fn disconnected(&mut self, now: Time, peer: NodeId, channel: Option<Channel>, out: &mut Outputs) {
        let gone = |from: Connection| from.peer == peer && channel.is_none_or(|channel| channel == from.channel);
        self.connections.forget(gone);
        self.work.forget(gone);
        self.produces.retain(|delayed| delayed.from().is_none_or(|from| !gone(from)));
        self.fetches.retain(|delayed| !gone(delayed.from()));
        self.deletes.retain(|delayed| !gone(delayed.from()));
        self.verifying.retain(|_, waiting| !gone(waiting.from));
        self.asking_again.retain(|waiting| !gone(waiting.from));
        if let NodeId::Broker(broker) = peer {
            self.markers_lost(
                now,
                |marking| marking.leader == broker && channel.is_none_or(|channel| channel == Channel::Coordinator),
                out,
            );
            self.verifications_lost(now, |one| one.coordinator == broker && channel.is_none_or(|channel| channel == Channel::Control), out);
        }
        self.share_connections_gone(now, gone, out);
        if let NodeId::Broker(lost) = peer
            && channel.is_none_or(|channel| channel == Channel::Coordinator)
        {
            self.share_requests_lost(now, |to, _| to == lost, out);
        }
        match peer {
            // A follower that gives up its own fetch says so on the same channel, in the other direction: each side has its own connection.
            NodeId::Broker(leader) if channel.is_none() => self.fetch_failed(now, leader, out),
            NodeId::Controller(_) => {
                if channel != Some(Channel::Data) {
                    self.control_died(peer);
                }
                if channel != Some(Channel::Control) {
                    self.poll_died(now, peer, channel.is_none(), out);
                }
            }
            _ => {}
        }
    }

    fn timer(&mut self, now: Time, timer: Timer, out: &mut Outputs) {
        match timer {
            Timer::BrokerHeartbeat => self.heartbeat_due(now, out),
            Timer::Registration if !self.has_registered => self.end(now, out),
            Timer::ReplicaLag => {
                self.shrink_isrs(now, out);
                out.timer(now + self.config.replica_lag_time_max / 2, Timer::ReplicaLag);
            }
            Timer::IsrRetry => self.alter_refused(now, out),
            Timer::HighWatermarkCheckpoint => {
                self.replicas.values_mut().for_each(Replica::checkpoint_high_watermark);
                out.timer(now + self.config.checkpoint_interval, Timer::HighWatermarkCheckpoint);
            }
            Timer::LogStartCheckpoint => {
                self.replicas.values_mut().for_each(Replica::checkpoint_log_start);
                out.timer(now + self.config.log_start_checkpoint_interval, Timer::LogStartCheckpoint);
            }
            Timer::LogRetention => self.retention_due(now, out),
            Timer::LogCleaner => self.cleaner_due(now, out),
            Timer::ProducerExpiration => self.expire_producers(now, out),
            Timer::RemoteLog => self.remote_logs_due(now, out),
            Timer::FetchBackoff { leader } => self.fetch_from(now, leader, out),
            Timer::MetadataBackoff => self.fetch_metadata_again(out),
            Timer::Purgatory { operation } => self.expire(now, operation, out),
            Timer::Groups => self.groups_due(now, out),
            Timer::Transactions => self.transactions_due(now, out),
            Timer::Share => self.share_due(now, out),
            Timer::OffsetsRetention => self.offsets_retention_due(now, out),
            Timer::RequestTimeouts => self.time_requests_out(now, out),
            Timer::AskAgain => self.ask_again(now, out),
            Timer::Shutdown => self.end(now, out),
            Timer::Flush => self.flush_due(now, out),
            Timer::Work { job } => self.job_done(now, job, out),
            Timer::WriteBack => {
                let expires = self.config.costs.page_expires;
                self.replicas.values_mut().for_each(|replica| replica.write_back(now, expires));
                out.timer(now + WRITE_BACK_INTERVAL, Timer::WriteBack);
            }
            Timer::Registration
            | Timer::BrokerSessions
            | Timer::PreferredLeaders
            | Timer::UncleanLeaders
            | Timer::Quorum
            | Timer::Generate { .. }
            | Timer::Wake { .. } => {}
        }
    }
}
