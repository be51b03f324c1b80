//! What every node of the world is: a struct with one entry point, `(now, input) -> outputs`.
//!
//! Owns the words that controller, broker and client share to speak with the world around them: time, addresses, inputs, outputs, notes.
//! It must not know who carries a message, how long that takes, or what the time on a wall is.

mod chance;
mod reasons;
mod summary;

pub use chance::Chance;
pub use reasons::{DeleteReason, LeaveReason, Loss, RebalanceReason, SettledBy, UncleanReason};
pub use summary::Summary;

use crate::protocol::ErrorCode;
use crate::protocol::wire::{Request, Response};
use std::sync::Arc;

/// Virtual time: microseconds since the session's start.
pub type Time = u64;

/// One virtual millisecond.
pub const MS: Time = 1_000;

/// A topic's name; cloning shares it.
pub type TopicName = Arc<str>;

/// A partition of a topic, by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Partition {
    pub topic: TopicName,
    pub index: i32,
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// Who sends and who receives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeId {
    /// The person at the page or the script: its requests arrive at once, and so do the answers.
    Admin,
    Controller(i32),
    Broker(i32),
    /// An index that is never given twice in a session.
    Client(u32),
}

/// A connection between two nodes. Kafka's clients keep one for data and another for their group coordinator, because a broker handles
/// one request of a connection at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Connection {
    pub peer: NodeId,
    pub channel: Channel,
}

/// Which of a pair's connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Channel {
    Data,
    Coordinator,
    /// Heartbeats, registration and ISR changes, beside the long polls of the metadata log.
    Control,
}

/// What a node is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// It has just been started, for the first time or again.
    Start,
    /// `client_id` is what the request's header says of its sender.
    Request {
        from: Connection,
        client_id: Arc<str>,
        correlation: u32,
        request: Request,
    },
    Response {
        from: Connection,
        correlation: u32,
        response: Response,
    },
    /// The connections with this node are gone, or the one of this channel: what was in flight on them gets no answer.
    Disconnected {
        peer: NodeId,
        channel: Option<Channel>,
    },
    Timer(Timer),
    /// Broker: end in good order (SIGTERM).
    Stop,
}

/// What a node asked to be reminded of. A timer cannot be cancelled: its owner checks whether it still means something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// Controller: look for brokers whose session has expired.
    BrokerSessions,
    /// Controller: give leadership back to preferred replicas.
    PreferredLeaders,
    /// Controller: look for partitions that only an unclean leader can serve.
    UncleanLeaders,
    /// Controller: look at what is due in the quorum (fetch, election, retry).
    Quorum,
    /// Broker: register, or send the next heartbeat.
    BrokerHeartbeat,
    /// Broker: give up if the controller has not registered it by now.
    Registration,
    /// Broker: shrink the ISR of partitions whose followers lag.
    ReplicaLag,
    /// Broker: ask again for ISR changes that the controller could not decide.
    IsrRetry,
    /// Broker: write the high watermarks to disk.
    HighWatermarkCheckpoint,
    /// Broker: write the log start offsets to disk.
    LogStartCheckpoint,
    /// Broker: delete segments that are old enough.
    LogRetention,
    /// Broker: forget producers that have been silent for long.
    ProducerExpiration,
    /// Broker: compact what has become dirty enough.
    LogCleaner,
    /// Broker: fetch again from this leader after an error.
    FetchBackoff { leader: i32 },
    /// Broker: fetch the metadata log again after an error.
    MetadataBackoff,
    /// Broker: a produce or fetch request in purgatory has waited its time.
    Purgatory { operation: u64 },
    /// Broker: the coordinator looks for offsets that nobody needs any more.
    OffsetsRetention,
    /// Broker: the transaction coordinator looks for markers to send again, and for what has timed out.
    Transactions,
    /// Broker: the coordinator looks at its members' sessions and its rebalances' deadlines.
    Groups,
    /// Broker: a lock on shared records is over, or whoever waits for some has waited long enough.
    Share,
    /// Broker: give up requests to other nodes that got no answer in time.
    RequestTimeouts,
    /// Broker: ask a transaction's coordinator again.
    AskAgain,
    /// Broker: the controlled shutdown has taken too long.
    Shutdown,
    /// Broker's machine: old pages of the page cache go to disk.
    WriteBack,
    /// Broker: logs whose `flush.ms` is over are forced to disk.
    Flush,
    /// Broker: copy to the remote store what is rolled, and delete there what is old.
    RemoteLog,
    /// Broker: a thread, the disk or the remote store is done with this.
    Work { job: u64 },
    /// Client: the application's next record is due.
    Generate { round: u32 },
    /// Client: look at what is due (linger, backoff, poll, commit, heartbeat).
    Wake { round: u32 },
}

/// A request or response handed to the network.
#[derive(Clone, Debug)]
pub struct Send {
    pub to: Connection,
    pub correlation: u32,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    Request(Request),
    Response(Response),
}

impl Body {
    /// About how many bytes it has on the wire: its records exactly, and a round number for the rest.
    pub fn bytes(&self) -> u64 {
        match self {
            Body::Request(request) => request.bytes(),
            Body::Response(response) => response.bytes(),
        }
    }
}

/// What a node wants done. One is kept and reused for all events, so that handling an event does not allocate for it.
#[derive(Clone, Default, Debug)]
pub struct Outputs {
    pub sends: Vec<Send>,
    pub timers: Vec<(Time, Timer)>,
    pub notes: Vec<NoteKind>,
    /// Connections that the node closes: whoever is at the other end hears so, before anything that is sent now, which goes over a new one.
    pub closes: Vec<Connection>,
    /// The process ends.
    pub exits: bool,
}

impl Outputs {
    pub fn request(&mut self, to: NodeId, channel: Channel, correlation: u32, request: Request) {
        self.sends.push(Send { to: Connection { peer: to, channel }, correlation, body: Body::Request(request) });
    }

    pub fn respond(&mut self, to: Connection, correlation: u32, response: Response) {
        self.sends.push(Send { to, correlation, body: Body::Response(response) });
    }

    pub fn timer(&mut self, at: Time, timer: Timer) {
        self.timers.push((at, timer));
    }

    pub fn note(&mut self, kind: NoteKind) {
        self.notes.push(kind);
    }

    pub fn close(&mut self, peer: NodeId, channel: Channel) {
        self.closes.push(Connection { peer, channel });
    }
}

/// Something that happened, as the trace keeps it: facts only, the words are the view's.
#[derive(Clone, PartialEq, Hash, Debug)]
pub struct Note {
    pub time: Time,
    pub node: NodeId,
    pub kind: NoteKind,
}

#[derive(Clone, PartialEq, Hash, Debug)]
pub enum NoteKind {
    TopicCreated {
        topic: TopicName,
        partitions: i32,
        replication_factor: i16,
    },
    BrokerRegistered {
        broker: i32,
        epoch: i64,
        /// Its last process ended in good order, by what the broker could tell.
        ended_cleanly: bool,
    },
    BrokerUnfenced {
        broker: i32,
    },
    BrokerFenced {
        broker: i32,
    },
    BrokerStarted,
    BrokerCrashed,
    LeaderElected {
        partition: Partition,
        leader: Option<i32>,
        leader_epoch: i32,
        isr: Vec<i32>,
    },
    IsrShrunk {
        partition: Partition,
        isr: Vec<i32>,
        removed: Vec<i32>,
    },
    IsrExpanded {
        partition: Partition,
        partition_epoch: i32,
        isr: Vec<i32>,
        added: Vec<i32>,
    },
    RecordAppended {
        partition: Partition,
        base_offset: i64,
        last_offset: i64,
        leader_epoch: i32,
        leader: bool,
    },
    HighWatermarkAdvanced {
        partition: Partition,
        from: i64,
        to: i64,
        leader: bool,
    },
    Truncated {
        partition: Partition,
        from: i64,
        to: i64,
    },
    RecordAcknowledged {
        partition: Partition,
        base_offset: i64,
        records: i32,
        acks: i16,
    },
    RecordFailed {
        partition: Option<Partition>,
        topic: TopicName,
        records: i32,
        error: ErrorCode,
    },
    ProduceRetried {
        partition: Partition,
        records: i32,
        error: ErrorCode,
    },
    RecordDelivered {
        partition: Partition,
        first_offset: i64,
        last_offset: i64,
        records: i32,
    },
    OffsetReset {
        partition: Partition,
        offset: i64,
    },
    OffsetCommitted {
        group: Arc<str>,
        partition: Partition,
        offset: i64,
        /// Of the member that committed, and of its group when the commit came; -1: none.
        generation: i32,
        current: i32,
    },
    MemberJoined {
        group: Arc<str>,
        member: Arc<str>,
    },
    MemberLeft {
        group: Arc<str>,
        member: Arc<str>,
        reason: LeaveReason,
    },
    RebalanceStarted {
        group: Arc<str>,
        reason: RebalanceReason,
    },
    Rebalanced {
        group: Arc<str>,
        generation: i32,
        members: i32,
    },
    GroupLoaded {
        group: Arc<str>,
        generation: i32,
        members: i32,
    },
    AssignmentReceived {
        group: Arc<str>,
        /// All that it reads from now on.
        partitions: Vec<Partition>,
        /// Those that it did not read before.
        added: Vec<Partition>,
    },
    AssignmentRevoked {
        group: Arc<str>,
        partitions: Vec<Partition>,
    },
    RequestSent {
        message: u64,
        to: NodeId,
        summary: Summary,
    },
    ResponseSent {
        message: u64,
        to: NodeId,
        summary: Summary,
    },
    MessageDropped {
        message: u64,
        to: NodeId,
        summary: Summary,
    },
    CommandApplied {
        name: &'static str,
        target: Arc<str>,
    },
    CommandRefused {
        name: Arc<str>,
        code: Arc<str>,
    },
    // Faults stand last: a kind's place enters the trace's hash, and histories without faults keep theirs.
    MessageLost {
        message: u64,
        to: NodeId,
        summary: Summary,
        cause: Loss,
    },
    MessageDelayed {
        message: u64,
        to: NodeId,
        summary: Summary,
        by: Time,
    },
    MessageDuplicated {
        message: u64,
        to: NodeId,
        summary: Summary,
        copy: u64,
    },
    PowerLost,
    /// What the page cache had not written before the power went.
    RecordsLost {
        partition: Partition,
        from: i64,
        to: i64,
    },
    BrokerFrozen {
        until: Time,
    },
    BrokerThawed,
    BrokerStopping,
    BrokerStopped,
    /// Controller: it takes leaderships from a broker that wants to stop.
    BrokerShuttingDown {
        broker: i32,
    },
    SegmentRolled {
        partition: Partition,
        base_offset: i64,
    },
    SegmentsDeleted {
        partition: Partition,
        segments: u32,
        bytes: u64,
        reason: DeleteReason,
    },
    LogStartMoved {
        partition: Partition,
        from: i64,
        to: i64,
    },
    PartitionsCreated {
        topic: TopicName,
        /// How many it had.
        from: i32,
        partitions: i32,
    },
    TopicDeleted {
        topic: TopicName,
        partitions: i32,
    },
    /// A broker's log goes with its topic.
    LogDeleted {
        partition: Partition,
    },
    /// A machine with an empty disk joins the cluster.
    BrokerAdded,
    /// The machine is gone, and its disk with it.
    BrokerRemoved,
    /// Controller: the broker is no part of the cluster any more.
    BrokerUnregistered {
        broker: i32,
    },
    LogCompacted {
        partition: Partition,
        /// The offsets that were new to compaction; all below `to` are clean.
        from: i64,
        to: i64,
        removed: u64,
        bytes_before: u64,
        bytes_after: u64,
    },
    ControllerElected {
        controller: i32,
        /// The quorum's epoch.
        epoch: i32,
    },
    ControllerResigned {
        controller: i32,
        epoch: i32,
    },
    ControllerCrashed,
    ControllerStarted,
    /// Controller: a partition is to move to these replicas.
    ReassignmentStarted {
        partition: Partition,
        replicas: Vec<i32>,
        adding: Vec<i32>,
        removing: Vec<i32>,
    },
    ReassignmentCompleted {
        partition: Partition,
        replicas: Vec<i32>,
    },
    ReassignmentCancelled {
        partition: Partition,
        replicas: Vec<i32>,
    },
    ConfigsAltered {
        topic: TopicName,
        /// Name and new value; `None`: not set any more.
        changes: Vec<(String, Option<String>)>,
    },
    /// Controller: a snapshot stands for the metadata log before this offset (KIP-630).
    SnapshotWritten {
        end_offset: i64,
    },
    /// Controller or broker: it goes on from the quorum leader's snapshot.
    SnapshotFetched {
        end_offset: i64,
    },
    /// Controller: somebody leads who was not in sync; what only the ISR had is lost.
    UncleanElection {
        partition: Partition,
        leader: i32,
        /// Who was in sync or eligible, and is not there.
        isr: Vec<i32>,
        reason: UncleanReason,
    },
    /// Leader: records are deleted, as an admin asked.
    RecordsDeleted {
        partition: Partition,
        before: i64,
    },
    /// Leader: the logs of all live replicas start at this offset or later, as an admin who waits for it is told.
    LowWatermarkReached {
        partition: Partition,
        offset: i64,
    },
    /// A leader begins to copy a segment to the remote store.
    RemoteCopyStarted {
        partition: Partition,
        base_offset: i64,
        last_offset: i64,
    },
    RemoteCopyFinished {
        partition: Partition,
        base_offset: i64,
        last_offset: i64,
        bytes: u64,
    },
    RemoteSegmentsDeleted {
        partition: Partition,
        segments: u32,
        bytes: u64,
    },
    /// A leader has read records from the remote store, for a consumer.
    RemoteRead {
        partition: Partition,
        first_offset: i64,
        last_offset: i64,
        /// Of the last one.
        leader_epoch: i32,
    },
    /// A follower goes on where the leader's local log starts: what is before is in the remote store.
    RemoteStateBuilt {
        partition: Partition,
        log_start: i64,
        local_start: i64,
    },
    /// Settings of a broker, or of all that have none of their own; `None` instead of a value: what it was started with.
    BrokerConfigsAltered {
        broker: Option<i32>,
        changes: Vec<(String, Option<String>)>,
    },
    /// Controller: other replicas than before may lead without being in sync (KIP-966).
    EligibleLeadersChanged {
        partition: Partition,
        elr: Vec<i32>,
    },
    /// Coordinator: a static member has come back under another id, and the one that had its place is fenced.
    MemberReplaced {
        group: Arc<str>,
        before: Arc<str>,
        member: Arc<str>,
    },
    /// A member has not polled for `max.poll.interval.ms`, and takes itself out of its group.
    PollIntervalExceeded {
        group: Arc<str>,
    },
    /// A member finds that its group has gone on without it: others may read these already.
    AssignmentLost {
        group: Arc<str>,
        partitions: Vec<Partition>,
    },
    /// A client was given a setting that it does not know: it goes on without.
    SettingUnknown {
        client: Arc<str>,
        setting: Arc<str>,
        /// The one that was probably meant.
        nearest: Option<&'static str>,
    },
    /// Coordinator: an admin has deleted the group, or it has nothing left.
    GroupDeleted {
        group: Arc<str>,
    },
    /// Coordinator: so many committed offsets of a group are gone.
    OffsetsDeleted {
        group: Arc<str>,
        offsets: u64,
    },
    /// A client was given a setting of something that does not exist in one process.
    SettingWithoutEffect {
        client: Arc<str>,
        setting: &'static str,
    },
    /// Producer: the application begins a transaction.
    TransactionBegun {
        id: Arc<str>,
    },
    /// Coordinator: all its markers are written; or producer: there was nothing in it.
    TransactionEnded {
        id: Arc<str>,
        committed: bool,
    },
    /// Coordinator: another state of a transactional id is committed.
    TransactionChanged {
        id: Arc<str>,
        producer_id: i64,
        epoch: i16,
        /// Kafka's word.
        state: &'static str,
        /// How many are in it.
        partitions: u64,
    },
    /// Producer: the transaction can only be aborted, or with `fatal` nothing can be done any more.
    TransactionFailed {
        id: Arc<str>,
        error: ErrorCode,
        fatal: bool,
    },
    /// Leader: a share group's records in flight in a partition are known; it goes on from here.
    SharePartitionLoaded {
        group: Arc<str>,
        partition: Partition,
        start_offset: i64,
    },
    /// Leader: a member of a share group has these now, until it says what has become of them or its time is over.
    RecordsAcquired {
        group: Arc<str>,
        member: Arc<str>,
        partition: Partition,
        first_offset: i64,
        last_offset: i64,
        deliveries: i16,
    },
    /// Leader: a member has these no more.
    RecordsSettled {
        group: Arc<str>,
        member: Arc<str>,
        partition: Partition,
        first_offset: i64,
        last_offset: i64,
        deliveries: i16,
        /// Nobody gets them again.
        archived: bool,
        by: SettledBy,
    },
    /// Settings of a group; `None` instead of a value: what the brokers say.
    GroupConfigsAltered {
        group: Arc<str>,
        changes: Vec<(String, Option<String>)>,
    },
    /// Consumer: the application gets an error from its commit.
    CommitFailed {
        group: Arc<str>,
        partitions: Vec<Partition>,
        error: ErrorCode,
    },
    /// Consumer of a processor: its transaction was aborted, and it reads again from the committed offsets.
    WentBack {
        partitions: Vec<Partition>,
    },
    /// Limits of a client quota, by their names: each has another value, or is gone.
    ClientQuotasAltered {
        entity: Arc<str>,
        changes: Vec<String>,
    },
    /// Broker: a client has taken more than its quota says, and has to wait.
    ClientThrottled {
        client: Arc<str>,
        ms: u64,
    },
    /// A producer that would be idempotent is not, for a setting of its own excludes it.
    IdempotenceDisabled {
        client: Arc<str>,
        setting: &'static str,
        value: Arc<str>,
    },
}

impl NoteKind {
    /// The log of one broker that this tells of.
    pub fn log(&self) -> Option<&Partition> {
        match self {
            NoteKind::RecordsLost { partition, .. }
            | NoteKind::RecordAppended { partition, .. }
            | NoteKind::HighWatermarkAdvanced { partition, .. }
            | NoteKind::Truncated { partition, .. }
            | NoteKind::LogStartMoved { partition, .. }
            | NoteKind::SegmentsDeleted { partition, .. }
            | NoteKind::RecordsDeleted { partition, .. }
            | NoteKind::LowWatermarkReached { partition, .. }
            | NoteKind::RemoteCopyStarted { partition, .. }
            | NoteKind::RemoteCopyFinished { partition, .. }
            | NoteKind::RemoteSegmentsDeleted { partition, .. }
            | NoteKind::RemoteRead { partition, .. }
            | NoteKind::RemoteStateBuilt { partition, .. }
            | NoteKind::LogCompacted { partition, .. } => Some(partition),
            _ => None,
        }
    }
}
