//! How often what happened: a simulator that never sees one of them tests nothing of it.

use crate::node::{NoteKind, SettledBy};

/// Counts by their names, in the program and in what it prints.
macro_rules! counts {
    ($($(#[$meaning:meta])* $field:ident $name:literal,)*) => {
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        pub struct Counts {
            $($(#[$meaning])* pub $field: u64,)*
        }

        impl Counts {
            /// Takes in what another history came to.
            pub fn sum(&mut self, other: &Counts) {
                $(self.$field += other.$field;)*
            }

            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($name, self.$field),)*].into_iter()
            }
        }
    };
}

counts! {
    elections "elections",
    isr_shrinks "isrShrinks",
    isr_expansions "isrExpansions",
    truncations "truncations",
    crashes "crashes",
    power_losses "powerLosses",
    /// Partitions of which a replica lost records with the power.
    unflushed_lost "unflushedLost",
    shutdowns "shutdowns",
    controller_crashes "controllerCrashes",
    snapshots_written "snapshotsWritten",
    snapshots_fetched "snapshotsFetched",
    /// A controller became the active one after another, or again.
    controller_failovers "controllerFailovers",
    freezes "freezes",
    reassignments "reassignments",
    reassignments_cancelled "reassignmentsCancelled",
    brokers_added "brokersAdded",
    brokers_removed "brokersRemoved",
    messages_lost "messagesLost",
    messages_delayed "messagesDelayed",
    messages_duplicated "messagesDuplicated",
    rebalances "rebalances",
    acknowledged "acknowledged",
    retries "retries",
    failed "failed",
    delivered "delivered",
    /// Records that a consumer was given although its group had them before: at least once is no more than that.
    redelivered "redelivered",
    /// Groups, and consumers without one, by what they were given of what they have read.
    readers_exactly_once "readersExactlyOnce",
    readers_at_least_once "readersAtLeastOnce",
    readers_at_most_once "readersAtMostOnce",
    readers_neither "readersNeither",
    /// Segments that retention removed, on any replica.
    segments_deleted "segmentsDeleted",
    /// Segments that were copied to the remote store.
    remote_copies "remoteCopies",
    /// Segments that were deleted there.
    remote_deletions "remoteDeletions",
    /// Reads of it for consumers.
    remote_reads "remoteReads",
    /// Followers that went on behind what is only there.
    remote_states_built "remoteStatesBuilt",
    unclean_elections "uncleanElections",
    eligible_changes "eligibleChanges",
    eligible_elections "eligibleElections",
    /// Records that were committed and that an unclean leader did not have.
    lost_unclean "lostUnclean",
    topics_deleted "topicsDeleted",
    /// Rounds of compaction, on any replica.
    compactions "compactions",
    /// Logs that start later because an admin asked for it.
    records_deleted "recordsDeleted",
    /// How often settings of a topic were changed.
    configs_altered "configsAltered",
    /// How often settings of brokers were.
    broker_configs_altered "brokerConfigsAltered",
    /// How often a client had to wait for its quota.
    throttles "throttles",
    /// Records in the tables of aggregates in the end.
    aggregated "aggregated",
    /// Records of share groups that were acquired; who gets one again is counted again.
    share_acquired "shareAcquired",
    /// Acquired for more than the first time.
    share_redelivered "shareRedelivered",
    share_accepted "shareAccepted",
    /// Given back, by a member or because it is gone.
    share_released "shareReleased",
    /// Not acknowledged in time.
    share_lock_timeouts "shareLockTimeouts",
    /// Rejected, or delivered as often as may be.
    share_archived "shareArchived",
}

impl Counts {
    pub(super) fn add(&mut self, note: &NoteKind) {
        match note {
            NoteKind::LeaderElected { leader, .. } => self.elections += u64::from(leader.is_some()),
            NoteKind::IsrShrunk { .. } => self.isr_shrinks += 1,
            NoteKind::IsrExpanded { .. } => self.isr_expansions += 1,
            NoteKind::Truncated { .. } => self.truncations += 1,
            NoteKind::BrokerCrashed => self.crashes += 1,
            NoteKind::PowerLost => self.power_losses += 1,
            NoteKind::RecordsLost { .. } => self.unflushed_lost += 1,
            NoteKind::BrokerStopped => self.shutdowns += 1,
            NoteKind::SnapshotWritten { .. } => self.snapshots_written += 1,
            NoteKind::SnapshotFetched { .. } => self.snapshots_fetched += 1,
            NoteKind::ControllerCrashed => self.controller_crashes += 1,
            NoteKind::ControllerElected { epoch, .. } => self.controller_failovers += u64::from(1 < *epoch),
            NoteKind::BrokerFrozen { .. } => self.freezes += 1,
            NoteKind::ReassignmentCompleted { .. } => self.reassignments += 1,
            NoteKind::ReassignmentCancelled { .. } => self.reassignments_cancelled += 1,
            NoteKind::BrokerAdded => self.brokers_added += 1,
            NoteKind::BrokerRemoved => self.brokers_removed += 1,
            NoteKind::MessageLost { .. } => self.messages_lost += 1,
            NoteKind::MessageDelayed { .. } => self.messages_delayed += 1,
            NoteKind::MessageDuplicated { .. } => self.messages_duplicated += 1,
            NoteKind::Rebalanced { .. } => self.rebalances += 1,
            NoteKind::RecordAcknowledged { records, .. } => self.acknowledged += *records as u64,
            NoteKind::ProduceRetried { records, .. } => self.retries += *records as u64,
            NoteKind::RecordFailed { records, .. } => self.failed += *records as u64,
            NoteKind::RecordDelivered { records, .. } => self.delivered += *records as u64,
            NoteKind::UncleanElection { .. } => self.unclean_elections += 1,
            NoteKind::EligibleLeadersChanged { .. } => self.eligible_changes += 1,
            NoteKind::TopicDeleted { .. } => self.topics_deleted += 1,
            NoteKind::ConfigsAltered { .. } => self.configs_altered += 1,
            NoteKind::BrokerConfigsAltered { .. } => self.broker_configs_altered += 1,
            NoteKind::RecordsDeleted { .. } => self.records_deleted += 1,
            NoteKind::ClientThrottled { .. } => self.throttles += 1,
            NoteKind::SegmentsDeleted { segments, .. } => self.segments_deleted += u64::from(*segments),
            NoteKind::LogCompacted { .. } => self.compactions += 1,
            NoteKind::RemoteCopyFinished { .. } => self.remote_copies += 1,
            NoteKind::RemoteSegmentsDeleted { segments, .. } => self.remote_deletions += u64::from(*segments),
            NoteKind::RemoteRead { .. } => self.remote_reads += 1,
            NoteKind::RemoteStateBuilt { .. } => self.remote_states_built += 1,
            NoteKind::RecordsAcquired { first_offset, last_offset, deliveries, .. } => {
                let records = (last_offset - first_offset + 1) as u64;
                self.share_acquired += records;
                self.share_redelivered += if 1 < *deliveries { records } else { 0 };
            }
            NoteKind::RecordsSettled { first_offset, last_offset, archived, by, .. } => {
                let records = (last_offset - first_offset + 1) as u64;
                self.share_archived += if *archived { records } else { 0 };
                match by {
                    SettledBy::Accept => self.share_accepted += records,
                    SettledBy::Release | SettledBy::MemberGone => self.share_released += records,
                    SettledBy::LockTimeout => self.share_lock_timeouts += records,
                    SettledBy::Reject => {}
                }
            }
            _ => {}
        }
    }
}
