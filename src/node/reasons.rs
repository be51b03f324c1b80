//! Why something happened, as notes tell it.

/// Why a member of a share group does not have records any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SettledBy {
    /// It accepted them.
    Accept,
    /// It gave them back.
    Release,
    /// It will not have them, and nobody else shall.
    Reject,
    /// It has left, or its connection was lost.
    MemberGone,
    /// It said nothing in time.
    LockTimeout,
}

/// Why somebody may lead who need not have all that is committed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UncleanReason {
    /// `unclean.leader.election.enable`
    Enabled,
    /// An admin asked for it.
    Requested,
    /// It led last, and nobody else may: only its own disk can have lost anything (KIP-966).
    LastKnownLeader,
}

/// Why a message does not arrive although somebody listens there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Loss {
    /// The link is cut.
    Cut,
    /// `messageFault` or `dropNext` chose it.
    Dropped,
}

/// Why segments of a log are gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeleteReason {
    /// They lie below the log start offset.
    Start,
    /// `retention.bytes`
    Size,
    /// `retention.ms`
    Time,
    /// `local.retention.bytes`
    LocalSize,
    /// `local.retention.ms`
    LocalTime,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LeaveReason {
    Left,
    SessionExpired,
    RebalanceTimeout,
    SyncTimeout,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RebalanceReason {
    Joined,
    Left,
    SessionExpired,
    LeaderRejoined,
    Changed,
    SyncTimeout,
}
