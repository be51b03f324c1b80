//! How a broker finds the active controller and follows the metadata log, whoever leads the quorum.
//!
//! Owns what the broker knows of the quorum, and the end of the log that it has fetched and that is not known to be committed: of that
//! nothing is applied, and a new leader may have it cut off. Where no leader is known it asks one controller after another. What was asked of a
//! controller that is gone is asked of the next. Source: `KafkaRaftClient` as an observer, `NodeToControllerChannelManager`,
//! `BrokerMetadataPublisher`.

use super::Broker;
use crate::controller::quorum::LogEnd;
use crate::mutant;
use crate::node::{Channel, MS, NodeId, NoteKind, Outputs, Time, Timer, TopicName};
use crate::ordered::OrderedSet;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::{METADATA_TOPIC_ID, MetadataEntry, MetadataImage, MetadataRecord, TopicMetadata};
use crate::protocol::wire::{self, Request};
use crate::replica::PartitionKey;
use kafka_protocol::messages as k;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// How long a Fetch of the metadata log may wait for news.
const METADATA_WAIT_MAX_MS: i32 = 500;
/// `reconnect.backoff.ms`: how long after an error the next controller is asked.
const RECONNECT_BACKOFF: Time = 50 * MS;
/// How soon the active controller is asked again by whom it refused, for it may not be in office yet (`retry.backoff.ms`).
pub(super) const RETRY_BACKOFF: Time = 100 * MS;

/// What a broker knows of the quorum, and of the log that it leads.
#[derive(Clone, Debug)]
pub(super) struct Controllers {
    /// `controller.quorum.voters`
    voters: Vec<i32>,
    epoch: i32,
    leader: Option<i32>,
    /// Where in the list of voters the one stands that is asked while no leader is known.
    next: usize,
    /// The epoch and leader that everything which is under way was asked of.
    asked: (i32, Option<i32>),
    /// The epoch of the last record applied.
    pub applied_epoch: i32,
    /// What follows in the log, fetched and not yet known to be committed.
    uncommitted: VecDeque<MetadataEntry>,
    /// Changes of an ISR that the active controller has not taken on: asked again when it is heard of.
    pub refused: OrderedSet<PartitionKey>,
}

impl Controllers {
    pub fn new(voters: Vec<i32>) -> Controllers {
        // Of a quorum of one it is known who leads.
        let leader = Some(voters[0]).filter(|_| voters.len() == 1);
        Controllers {
            voters,
            epoch: 0,
            leader,
            next: 0,
            asked: (0, leader),
            applied_epoch: 0,
            uncommitted: VecDeque::new(),
            refused: OrderedSet::new(),
        }
    }

    /// The active controller, as far as the broker knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader.map(NodeId::Controller)
    }

    /// Whom the metadata log is fetched from.
    fn source(&self) -> NodeId {
        NodeId::Controller(self.leader.unwrap_or_else(|| self.voters[self.next]))
    }

    /// It does not lead, or does not answer: ask the next.
    fn look_elsewhere(&mut self) {
        if 1 < self.voters.len() {
            self.leader = None;
            self.next = (self.next + 1) % self.voters.len();
        }
    }

    /// An answer says who leads in an epoch. `false`: the epoch is over, and what the answer says with it means nothing.
    fn hear(&mut self, epoch: i32, leader: i32) -> bool {
        let leader = Some(leader).filter(|leader| 0 <= *leader);
        if epoch < self.epoch {
            return false;
        }
        if self.epoch < epoch || self.leader.is_none() {
            (self.epoch, self.leader) = (epoch, leader);
        }
        true
    }

    /// What the leader does not have is cut off. Never what was applied: that is committed.
    fn truncate(&mut self, leader: LogEnd, applied: i64) {
        if leader.epoch < self.applied_epoch {
            self.uncommitted.clear();
            return;
        }
        let own = self.uncommitted.partition_point(|entry| entry.epoch <= leader.epoch);
        let own_epoch = own.checked_sub(1).map_or(self.applied_epoch, |last| self.uncommitted[last].epoch);
        let theirs = usize::try_from(leader.offset - applied).unwrap_or(0);
        self.uncommitted.truncate(if own_epoch == leader.epoch { own.min(theirs) } else { own });
    }
}

impl Broker {
    /// Asks for what follows in the metadata log; the answer waits at the controller until there is something.
    pub(super) fn fetch_metadata(&mut self, out: &mut Outputs) {
        let correlation = self.correlation();
        let source = self.controllers.source();
        self.metadata_request = Some((correlation, source));
        let known = &self.controllers;
        let mut partition = k::fetch_request::FetchPartition::default();
        partition.current_leader_epoch = known.epoch;
        partition.fetch_offset = self.image.next_offset + known.uncommitted.len() as i64;
        partition.last_fetched_epoch = known.uncommitted.back().map_or(known.applied_epoch, |last| last.epoch);
        partition.high_watermark = self.image.next_offset;
        let mut topic = k::fetch_request::FetchTopic::default();
        topic.topic_id = METADATA_TOPIC_ID;
        topic.partitions.push(partition);
        let mut message = k::FetchRequest::default();
        message.replica_state.replica_id = k::BrokerId(self.id);
        message.max_wait_ms = METADATA_WAIT_MAX_MS;
        message.topics.push(topic);
        out.request(source, Channel::Data, correlation, Request::Fetch(Arc::new(message)));
    }

    /// A controller has answered the fetch of the metadata log.
    pub(super) fn metadata_fetched(&mut self, now: Time, message: &k::FetchResponse, entries: &[MetadataEntry], out: &mut Outputs) {
        let source = self.metadata_request.take().map(|(_, source)| source);
        let Some(answer) = message.responses.first().and_then(|topic| topic.partitions.first()) else { return };
        let (epoch, leader) = (answer.current_leader.leader_epoch, answer.current_leader.leader_id.0);
        let before = (self.controllers.epoch, self.controllers.leader);
        let holds = self.controllers.hear(epoch, leader);
        if !holds || answer.error_code != 0 {
            let told = self.controllers.leader();
            // Whoever has just learnt of a leader asks it at once; nobody asks the same controller again without a pause.
            if holds && told.is_some() && told != source || before.0 < self.controllers.epoch && told.is_some() {
                self.controller_heard(now, out);
                self.fetch_metadata(out);
            } else {
                self.controllers.look_elsewhere();
                out.timer(now + RECONNECT_BACKOFF, Timer::MetadataBackoff);
            }
            return;
        }
        self.controller_heard(now, out);
        if 0 <= answer.snapshot_id.epoch {
            self.fetch_snapshot(LogEnd { epoch: answer.snapshot_id.epoch, offset: answer.snapshot_id.end_offset }, out);
            return;
        }
        if 0 <= answer.diverging_epoch.epoch {
            let end = LogEnd { epoch: answer.diverging_epoch.epoch, offset: answer.diverging_epoch.end_offset };
            self.controllers.truncate(end, self.image.next_offset);
        } else {
            self.controllers.uncommitted.extend(entries.iter().cloned());
            let deleted = self.apply_committed(answer.high_watermark);
            self.take_roles(now, out);
            self.forget_committed(now, &deleted, out);
        }
        self.fetch_metadata(out);
    }

    /// What this broker needs next is gone from the leader's log: it asks for the snapshot that has it.
    fn fetch_snapshot(&mut self, id: LogEnd, out: &mut Outputs) {
        let correlation = self.correlation();
        let source = self.controllers.source();
        self.metadata_request = Some((correlation, source));
        let message = wire::snapshot_request(self.id, self.controllers.epoch, id.epoch, id.offset);
        out.request(source, Channel::Data, correlation, Request::FetchSnapshot(Arc::new(message)));
    }

    /// The snapshot has come, or is gone for a newer one.
    pub(super) fn snapshot_fetched(
        &mut self,
        now: Time,
        message: &k::FetchSnapshotResponse,
        image: Option<Arc<MetadataImage>>,
        out: &mut Outputs,
    ) {
        self.metadata_request = None;
        let Some(answer) = message.topics.first().and_then(|topic| topic.partitions.first()) else { return };
        let holds = self.controllers.hear(answer.current_leader.leader_epoch, answer.current_leader.leader_id.0);
        let end = LogEnd { epoch: answer.snapshot_id.epoch, offset: answer.snapshot_id.end_offset };
        match image.filter(|_| holds && answer.error_code == 0 && self.image.next_offset < end.offset) {
            Some(image) => {
                self.controller_heard(now, out);
                self.load_snapshot(now, end, &image, out);
                self.fetch_metadata(out);
            }
            None => out.timer(now + RECONNECT_BACKOFF, Timer::MetadataBackoff),
        }
    }

    /// Takes a snapshot for all that was applied, and looks at every partition anew: what changed in between, nobody says.
    fn load_snapshot(&mut self, now: Time, end: LogEnd, image: &MetadataImage, out: &mut Outputs) {
        out.note(NoteKind::SnapshotFetched { end_offset: end.offset });
        let before = std::mem::replace(&mut self.image, image.clone());
        self.controllers.applied_epoch = end.epoch;
        self.controllers.uncommitted.clear();
        let is_gone = |topic: &&TopicMetadata| !image.topics.contains_key(&topic.id);
        let deleted: Vec<(TopicName, i32)> =
            before.topics.values().filter(is_gone).map(|topic| (topic.name.clone(), topic.partitions.len() as i32)).collect();
        // Topics may be deleted, and partitions may have moved elsewhere.
        self.may_have_strays = true;
        self.may_have_other_configs = true;
        self.look_at_all(None);
        if let Some(known) = image.brokers.get(&self.id).filter(|known| Some(known.epoch) == self.epoch) {
            self.fenced = known.fenced;
        }
        self.take_roles(now, out);
        self.forget_committed(now, &deleted, out);
    }

    /// Takes over again what the metadata says of all partitions of a topic, or of all topics.
    fn look_at_all(&mut self, topic: Option<Uuid>) {
        for known in self.image.topics.values().filter(|known| topic.is_none_or(|topic| known.id == topic)) {
            self.unpublished.extend((0..known.partitions.len() as i32).map(|index| PartitionKey { topic: known.id, index }));
        }
    }

    /// Applies records of the metadata log up to what is committed. Returns the topics that are gone with it, and how many partitions they had.
    fn apply_committed(&mut self, high_watermark: i64) -> Vec<(TopicName, i32)> {
        let mut deleted = Vec::new();
        let all = mutant::is("metadata-applied-uncommitted");
        while (self.image.next_offset < high_watermark || all)
            && let Some(MetadataEntry { epoch, record }) = self.controllers.uncommitted.pop_front()
        {
            self.controllers.applied_epoch = epoch;
            if let MetadataRecord::RemoveTopic { id } = &*record
                && let Some(topic) = self.image.topics.get(id)
            {
                deleted.push((topic.name.clone(), topic.partitions.len() as i32));
                self.may_have_strays = true;
            }
            self.image.apply(&record);
            match &*record {
                MetadataRecord::Partition { topic, partition, state } => {
                    let key = PartitionKey { topic: *topic, index: *partition };
                    self.may_have_strays |= !state.replicas.contains(&self.id) && self.replicas.contains_key(&key);
                    self.unpublished.insert(key);
                }
                // Its logs and leaders go by other settings now.
                MetadataRecord::TopicConfig { topic, .. } => self.look_at_all(Some(*topic)),
                // The partition epoch is another.
                MetadataRecord::ClearElr { topic } => self.look_at_all(*topic),
                MetadataRecord::BrokerConfig { broker, .. } => self.may_have_other_configs |= broker.is_none_or(|broker| broker == self.id),
                MetadataRecord::BrokerFencing { broker, fenced, epoch } if *broker == self.id && Some(*epoch) == self.epoch => {
                    self.fenced = *fenced;
                }
                _ => {}
            }
        }
        deleted
    }

    /// The connection for the metadata log is gone: with the controller's process, or because nothing has come over it for too long.
    pub(super) fn poll_died(&mut self, now: Time, controller: NodeId, process_gone: bool, out: &mut Outputs) {
        if self.metadata_request.is_none_or(|(_, source)| source != controller) {
            return;
        }
        self.controllers.look_elsewhere();
        if process_gone {
            self.metadata_request = None;
            out.timer(now + RECONNECT_BACKOFF, Timer::MetadataBackoff);
        } else {
            out.close(controller, Channel::Data);
            self.fetch_metadata(out);
        }
    }

    pub(super) fn fetch_metadata_again(&mut self, out: &mut Outputs) {
        if self.metadata_request.is_none() {
            self.fetch_metadata(out);
        }
    }

    /// The controller's connection for everything but the log is gone.
    pub(super) fn control_died(&mut self, controller: NodeId) {
        if self.controllers.leader() == Some(controller) {
            self.lifecycle_request = None;
            self.producer_ids.asked = None;
        }
    }

    /// Goes on with a controller that it has just heard of as the leader: what the last one was asked is asked again.
    fn controller_heard(&mut self, now: Time, out: &mut Outputs) {
        let known = (self.controllers.epoch, self.controllers.leader);
        if known == self.controllers.asked || known.1.is_none() {
            return;
        }
        let is_first = self.controllers.asked.0 == 0 && self.controllers.asked.1 == known.1;
        self.controllers.asked = known;
        // Of a quorum of one nobody else was asked: the first answer only says its epoch.
        if is_first {
            return;
        }
        self.send_heartbeat(now, out);
        // Topics are asked for again by whoever still wants them.
        self.creating.clear();
        self.producer_ids.asked = None;
        let asked = std::mem::take(&mut self.altering);
        self.controllers.refused.extend(asked.into_values().map(|(key, _)| key));
        self.alter_refused(now, out);
    }

    /// The active controller refused a request, for it is none, or is not in office yet.
    pub(super) fn controller_refused(&mut self, now: Time, out: &mut Outputs) {
        self.next_heartbeat(now + RETRY_BACKOFF, out);
    }

    /// Asks again for changes of an ISR that nobody has taken on.
    pub(super) fn alter_refused(&mut self, now: Time, out: &mut Outputs) {
        for key in std::mem::take(&mut self.controllers.refused) {
            let wanted = self.replicas.get(&key).and_then(|replica| replica.leader()?.pending_isr.clone());
            if let Some(isr) = wanted {
                self.alter_partition(now, key, isr, out);
            }
        }
    }

    /// Whether an answer of a controller says that another is the active one.
    pub(super) fn is_refusal(code: i16) -> bool {
        code == ErrorCode::NotController.code()
    }
}
