//! What a transactional producer keeps of its transaction: which statement of the application it is at, and what has to be asked next of whom.
//!
//! Owns the states and the order of requests, one under way at a time. It must not know batches: the producer says when all are done with. The application
//! is one thread: what it says while a statement has not returned waits for that. Source: `TransactionManager`, `KafkaProducer`; KIP-98, KIP-360, KIP-447,
//! KIP-890.

use super::producer::Outgoing;
use crate::node::{Partition, Time, TopicName};
use crate::ordered::OrderedSet;
use crate::protocol::ErrorCode;
use std::collections::VecDeque;
use std::sync::Arc;

/// Settings of a transactional producer, with Kafka's names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransactionsConfig {
    /// `transactional.id`
    pub id: Arc<str>,
    /// `transaction.timeout.ms`
    pub timeout_ms: i32,
    /// The cluster has transaction version 2: each end raises the epoch, and brokers add partitions themselves.
    pub raises_epoch: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It asks for its producer id and epoch.
    Initializing,
    Ready,
    InTransaction,
    Ending {
        commit: bool,
    },
    /// The transaction can only be aborted.
    AbortableError(ErrorCode),
    /// Nothing can be done any more.
    FatalError(ErrorCode),
}

impl State {
    /// Kafka's own word.
    pub fn name(self) -> &'static str {
        match self {
            State::Initializing => "INITIALIZING",
            State::Ready => "READY",
            State::InTransaction => "IN_TRANSACTION",
            State::Ending { commit: true } => "COMMITTING_TRANSACTION",
            State::Ending { commit: false } => "ABORTING_TRANSACTION",
            State::AbortableError(_) => "ABORTABLE_ERROR",
            State::FatalError(_) => "FATAL_ERROR",
        }
    }
}

/// What the application says.
#[derive(Clone, PartialEq, Debug)]
pub enum Call {
    Begin,
    Send(TopicName, Outgoing),
    Offsets(Arc<GroupOffsets>),
    End { commit: bool },
}

/// Offsets of a group that are to count if the transaction commits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupOffsets {
    pub group: Arc<str>,
    /// Of the member that has read so far; empty and -1 without one.
    pub member: String,
    pub generation: i32,
    /// `group.instance.id` of a static one.
    pub instance: Option<Arc<str>>,
    /// The next offset to read of each partition.
    pub offsets: Vec<(Partition, i64)>,
}

/// A request of the transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    FindCoordinator,
    FindGroupCoordinator,
    Initialize,
    AddPartitions(Vec<Partition>),
    AddOffsets,
    CommitOffsets,
    End,
}

#[derive(Clone, Debug)]
pub struct Transactions {
    pub config: TransactionsConfig,
    state: State,
    pub calls: VecDeque<Call>,
    pub coordinator: Option<i32>,
    pub group_coordinator: Option<i32>,
    /// A request is under way.
    pub is_asking: bool,
    /// The next one goes out no earlier.
    ask_at: Time,
    /// In the transaction, as the coordinator knows (version 1).
    registered: OrderedSet<Partition>,
    to_register: OrderedSet<Partition>,
    /// Asked for, and not known to be in it: the coordinator may have heard of them (version 1).
    registering: OrderedSet<Partition>,
    /// What `sendOffsetsToTransaction` was called with, which has not returned.
    pub offsets: Option<Arc<GroupOffsets>>,
    offsets_added: bool,
    /// The coordinator may know of this transaction.
    has_begun: bool,
    /// After the abort the epoch must be another (version 1).
    needs_other_epoch: bool,
}

impl Transactions {
    pub fn new(config: TransactionsConfig) -> Transactions {
        Transactions {
            config,
            state: State::Initializing,
            calls: VecDeque::new(),
            coordinator: None,
            group_coordinator: None,
            is_asking: false,
            ask_at: 0,
            registered: OrderedSet::new(),
            to_register: OrderedSet::new(),
            registering: OrderedSet::new(),
            offsets: None,
            offsets_added: false,
            has_begun: false,
            needs_other_epoch: false,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Why the application gets an exception from this statement; what it said before has been done by then.
    pub fn refuses(&self, call: &Call) -> Option<ErrorCode> {
        if let State::FatalError(error) = self.state {
            return Some(error);
        }
        let said = self.calls.iter().rev().find_map(|call| match call {
            Call::Begin => Some(true),
            Call::End { .. } => Some(false),
            _ => None,
        });
        let is_open = said.unwrap_or(matches!(self.state, State::InTransaction | State::AbortableError(_)));
        match (call, self.state) {
            (Call::Begin, _) => is_open.then_some(ErrorCode::InvalidTxnState),
            _ if !is_open => Some(ErrorCode::InvalidTxnState),
            (Call::End { commit: false }, _) => None,
            (_, State::AbortableError(error)) if said.is_none() => Some(error),
            _ => None,
        }
    }

    /// Whether the application is in a transaction that has not been ended, or is being ended.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::InTransaction | State::Ending { .. } | State::AbortableError(_))
            || !self.calls.is_empty() && !self.is_over()
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::FatalError(_))
    }

    /// Whether records go into a transaction now.
    pub fn takes_records(&self) -> bool {
        self.state == State::InTransaction && self.calls.is_empty() && self.offsets.is_none()
    }

    pub fn begin(&mut self) {
        self.state = State::InTransaction;
    }

    /// Its end begins. `false`: there is none to be had.
    pub fn end(&mut self, commit: bool) -> bool {
        let may = match self.state {
            State::InTransaction => true,
            State::AbortableError(_) => !commit,
            _ => false,
        };
        if may {
            self.state = State::Ending { commit };
        }
        if may && !commit {
            self.to_register.clear();
        }
        may
    }

    /// The application waits until they are part of the transaction, which begins with them if it has not before: the coordinator may hear of it from who
    /// gets them (version 2).
    pub fn add_offsets(&mut self, offsets: Arc<GroupOffsets>) {
        (self.offsets, self.offsets_added) = (Some(offsets), false);
        self.has_begun |= self.config.raises_epoch;
    }

    /// A record goes to this partition.
    pub fn writes_to(&mut self, partition: &Partition) {
        if self.config.raises_epoch {
            self.has_begun = true;
        } else if !self.registered.contains(partition) && !self.registering.contains(partition) {
            self.to_register.insert(partition.clone());
        }
    }

    /// Whether the first batch of a partition may leave.
    pub fn may_send(&self, partition: &Partition) -> bool {
        !self.is_over() && (self.config.raises_epoch || self.registered.contains(partition))
    }

    /// What is to be asked next; `done`: nothing that was written is open any more.
    pub fn next_step(&self, now: Time, done: bool) -> Option<Step> {
        if self.is_asking || now < self.ask_at {
            return None;
        }
        let step = match self.state {
            State::Initializing => Step::Initialize,
            State::InTransaction | State::Ending { .. } if self.registers() => {
                let mut all = self.registering.clone();
                all.extend(self.to_register.iter().cloned());
                Step::AddPartitions(all.iter().cloned().collect())
            }
            State::InTransaction | State::Ending { .. } if self.offsets.is_some() && !self.config.raises_epoch && !self.offsets_added => {
                Step::AddOffsets
            }
            State::InTransaction | State::Ending { .. } if self.offsets.is_some() && self.group_coordinator.is_none() => {
                Step::FindGroupCoordinator
            }
            State::InTransaction | State::Ending { .. } if self.offsets.is_some() => Step::CommitOffsets,
            State::Ending { .. } if done && self.has_begun => Step::End,
            _ => return None,
        };
        let needs_coordinator = !matches!(step, Step::FindGroupCoordinator | Step::CommitOffsets);
        Some(if needs_coordinator && self.coordinator.is_none() { Step::FindCoordinator } else { step })
    }

    /// Whether no partition is known to be in it (version 1).
    pub fn is_empty(&self) -> bool {
        self.registered.is_empty()
    }

    /// When the next step may be taken that waits for its time.
    pub fn due(&self, now: Time) -> Option<Time> {
        (!self.is_asking && now < self.ask_at && self.is_busy()).then_some(self.ask_at)
    }

    fn is_busy(&self) -> bool {
        matches!(self.state, State::Initializing | State::Ending { .. }) || self.offsets.is_some() || self.registers()
    }

    fn registers(&self) -> bool {
        !self.to_register.is_empty() || !self.registering.is_empty()
    }

    /// Whether its end is known without asking: the coordinator has never heard of it, and hears nothing of it now.
    pub fn ends_by_itself(&self) -> bool {
        matches!(self.state, State::Ending { .. }) && !self.has_begun && !self.is_asking && !self.registers()
    }

    /// Whether everything is answered that is to be asked before its end.
    pub fn has_asked(&self) -> bool {
        self.offsets.is_none() && !self.registers()
    }

    /// A request is under way.
    pub fn asked(&mut self, step: &Step) {
        self.is_asking = true;
        if let Step::AddPartitions(partitions) = step {
            self.to_register.clear();
            self.registering.extend(partitions.iter().cloned());
        }
    }

    /// The request under way is answered, or lost.
    pub fn answered(&mut self) {
        self.is_asking = false;
        if matches!(self.state, State::AbortableError(_)) {
            self.give_up_requests();
        }
    }

    /// After an error nothing is asked any more that has not been answered: `sendOffsetsToTransaction` throws.
    fn give_up_requests(&mut self) {
        self.offsets = None;
        self.registering.clear();
    }

    pub fn put_off(&mut self, until: Time) {
        self.ask_at = until;
    }

    /// The request under way has done what it was for.
    pub fn done(&mut self, step: &Step) {
        self.answered();
        self.ask_at = 0;
        match step {
            Step::Initialize => self.state = State::Ready,
            Step::AddPartitions(added) => {
                self.registering.clear();
                self.registered.extend(added.iter().cloned());
                self.has_begun = true;
            }
            Step::AddOffsets => (self.offsets_added, self.has_begun) = (true, true),
            Step::CommitOffsets => self.offsets = None,
            Step::End => self.ended(),
            Step::FindCoordinator | Step::FindGroupCoordinator => {}
        }
    }

    /// The transaction is over.
    pub fn ended(&mut self) {
        self.state =
            if std::mem::take(&mut self.needs_other_epoch) && !self.config.raises_epoch { State::Initializing } else { State::Ready };
        self.registered.clear();
        self.registering.clear();
        self.to_register.clear();
        self.has_begun = false;
    }

    /// The transaction can only be aborted. `false`: that was so already, or no transaction is open.
    pub fn fail(&mut self, error: ErrorCode, needs_other_epoch: bool) -> bool {
        self.needs_other_epoch |= needs_other_epoch;
        let fails = matches!(self.state, State::InTransaction | State::Ending { commit: true });
        if fails {
            self.state = State::AbortableError(error);
            self.to_register.clear();
            if !self.is_asking {
                self.give_up_requests();
            }
        }
        fails
    }

    /// Nothing can be done any more. `false`: that was so already.
    pub fn fail_for_good(&mut self, error: ErrorCode) -> bool {
        let fails = !self.is_over();
        self.state = if fails { State::FatalError(error) } else { self.state };
        self.is_asking = false;
        fails
    }
}
