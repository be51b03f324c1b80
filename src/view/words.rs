//! Notes in plain words: the automation interface's kind, a sentence, a short form for the timeline, and the facts as JSON.

use super::phrases::{again, brokers, changed, count, list, named, names, offsets, settings};
use crate::node::{DeleteReason, LeaveReason, Loss, MS, Note, NoteKind, Partition, RebalanceReason, SettledBy, Summary, UncleanReason};
use crate::protocol::ErrorCode;
use crate::session::fields::quoted;
use crate::session::written::Object;
use crate::sim::World;
use serde_json::Value;

/// The kind's name in the automation interface.
pub fn kind(note: &NoteKind) -> &'static str {
    match note {
        NoteKind::TopicCreated { .. } => "topicCreated",
        NoteKind::BrokerRegistered { .. } => "brokerRegistered",
        NoteKind::BrokerUnfenced { .. } => "brokerUnfenced",
        NoteKind::BrokerFenced { .. } => "brokerFenced",
        NoteKind::BrokerStarted => "brokerStarted",
        NoteKind::BrokerCrashed => "brokerCrashed",
        NoteKind::LeaderElected { .. } => "leaderElected",
        NoteKind::IsrShrunk { .. } => "isrShrunk",
        NoteKind::IsrExpanded { .. } => "isrExpanded",
        NoteKind::RecordAppended { .. } => "recordAppended",
        NoteKind::HighWatermarkAdvanced { .. } => "highWatermarkAdvanced",
        NoteKind::Truncated { .. } => "truncated",
        NoteKind::RecordAcknowledged { .. } => "recordAcknowledged",
        NoteKind::RecordFailed { .. } => "recordFailed",
        NoteKind::ProduceRetried { .. } => "produceRetried",
        NoteKind::RecordDelivered { .. } => "recordDelivered",
        NoteKind::OffsetReset { .. } => "offsetReset",
        NoteKind::OffsetCommitted { .. } => "offsetCommitted",
        NoteKind::MemberJoined { .. } => "memberJoined",
        NoteKind::MemberLeft { .. } => "memberLeft",
        NoteKind::RebalanceStarted { .. } => "rebalanceStarted",
        NoteKind::Rebalanced { .. } => "rebalanced",
        NoteKind::GroupLoaded { .. } => "groupLoaded",
        NoteKind::AssignmentReceived { .. } => "assignmentReceived",
        NoteKind::AssignmentRevoked { .. } => "assignmentRevoked",
        NoteKind::AssignmentLost { .. } => "assignmentLost",
        NoteKind::WentBack { .. } => "wentBack",
        NoteKind::MemberReplaced { .. } => "memberReplaced",
        NoteKind::PollIntervalExceeded { .. } => "pollIntervalExceeded",
        NoteKind::RequestSent { .. } => "requestSent",
        NoteKind::ResponseSent { .. } => "responseSent",
        NoteKind::MessageDropped { .. } | NoteKind::MessageLost { .. } => "messageDropped",
        // The process is gone either way.
        NoteKind::PowerLost => "brokerCrashed",
        NoteKind::RecordsLost { .. } => "recordsLost",
        NoteKind::BrokerFrozen { .. } => "brokerFrozen",
        NoteKind::BrokerThawed => "brokerThawed",
        NoteKind::BrokerStopping => "brokerStopping",
        NoteKind::BrokerStopped => "brokerStopped",
        NoteKind::BrokerShuttingDown { .. } => "brokerShuttingDown",
        NoteKind::ReassignmentStarted { .. } => "reassignmentStarted",
        NoteKind::ReassignmentCompleted { .. } => "reassignmentCompleted",
        NoteKind::ReassignmentCancelled { .. } => "reassignmentCancelled",
        NoteKind::BrokerAdded => "brokerAdded",
        NoteKind::BrokerRemoved => "brokerRemoved",
        NoteKind::BrokerUnregistered { .. } => "brokerUnregistered",
        NoteKind::MessageDelayed { .. } => "messageDelayed",
        NoteKind::MessageDuplicated { .. } => "messageDuplicated",
        NoteKind::CommandApplied { .. } => "commandApplied",
        NoteKind::CommandRefused { .. } => "commandRefused",
        NoteKind::SegmentRolled { .. } => "segmentRolled",
        NoteKind::SegmentsDeleted { .. } => "segmentsDeleted",
        NoteKind::LogStartMoved { .. } => "logStartMoved",
        NoteKind::PartitionsCreated { .. } => "partitionsCreated",
        NoteKind::TopicDeleted { .. } => "topicDeleted",
        NoteKind::LogDeleted { .. } => "logDeleted",
        NoteKind::LogCompacted { .. } => "logCompacted",
        NoteKind::ControllerElected { .. } => "controllerElected",
        NoteKind::ControllerResigned { .. } => "controllerResigned",
        NoteKind::ControllerCrashed => "controllerCrashed",
        NoteKind::ControllerStarted => "controllerStarted",
        NoteKind::ConfigsAltered { .. } | NoteKind::BrokerConfigsAltered { .. } | NoteKind::GroupConfigsAltered { .. } => "configsAltered",
        NoteKind::CommitFailed { .. } => "commitFailed",
        NoteKind::ClientQuotasAltered { .. } => "clientQuotasAltered",
        NoteKind::ClientThrottled { .. } => "clientThrottled",
        NoteKind::SnapshotWritten { .. } => "snapshotWritten",
        NoteKind::SnapshotFetched { .. } => "snapshotFetched",
        NoteKind::UncleanElection { .. } => "uncleanElection",
        NoteKind::RecordsDeleted { .. } => "recordsDeleted",
        NoteKind::LowWatermarkReached { .. } => "lowWatermarkReached",
        NoteKind::RemoteCopyStarted { .. } => "remoteCopyStarted",
        NoteKind::RemoteCopyFinished { .. } => "remoteCopyFinished",
        NoteKind::RemoteSegmentsDeleted { .. } => "remoteSegmentsDeleted",
        NoteKind::RemoteRead { .. } => "remoteRead",
        NoteKind::RemoteStateBuilt { .. } => "remoteStateBuilt",
        NoteKind::EligibleLeadersChanged { .. } => "eligibleLeadersChanged",
        NoteKind::SettingUnknown { .. } => "settingUnknown",
        NoteKind::GroupDeleted { .. } => "groupDeleted",
        NoteKind::OffsetsDeleted { .. } => "offsetsDeleted",
        NoteKind::SharePartitionLoaded { .. } => "sharePartitionLoaded",
        NoteKind::RecordsAcquired { .. } => "recordsAcquired",
        NoteKind::RecordsSettled { archived: true, .. } => "recordsArchived",
        NoteKind::RecordsSettled { by: SettledBy::Accept, .. } => "recordsAccepted",
        NoteKind::RecordsSettled { .. } => "recordsReleased",
        NoteKind::SettingWithoutEffect { .. } => "settingWithoutEffect",
        NoteKind::IdempotenceDisabled { .. } => "idempotenceDisabled",
        NoteKind::TransactionBegun { .. } => "transactionBegun",
        NoteKind::TransactionEnded { .. } => "transactionEnded",
        NoteKind::TransactionChanged { .. } => "transactionChanged",
        NoteKind::TransactionFailed { .. } => "transactionFailed",
    }
}

/// The partition that it is about, if one.
fn partition(note: &NoteKind) -> Option<&Partition> {
    match note {
        NoteKind::LeaderElected { partition, .. }
        | NoteKind::IsrShrunk { partition, .. }
        | NoteKind::LogDeleted { partition }
        | NoteKind::UncleanElection { partition, .. }
        | NoteKind::EligibleLeadersChanged { partition, .. }
        | NoteKind::IsrExpanded { partition, .. }
        | NoteKind::RecordAcknowledged { partition, .. }
        | NoteKind::ProduceRetried { partition, .. }
        | NoteKind::SharePartitionLoaded { partition, .. }
        | NoteKind::RecordsAcquired { partition, .. }
        | NoteKind::RecordsSettled { partition, .. }
        | NoteKind::RecordDelivered { partition, .. }
        | NoteKind::OffsetReset { partition, .. }
        | NoteKind::OffsetCommitted { partition, .. }
        | NoteKind::SegmentRolled { partition, .. }
        | NoteKind::ReassignmentStarted { partition, .. }
        | NoteKind::ReassignmentCompleted { partition, .. }
        | NoteKind::ReassignmentCancelled { partition, .. } => Some(partition),
        NoteKind::RecordFailed { partition, .. } => partition.as_ref(),
        NoteKind::RequestSent { summary, .. }
        | NoteKind::ResponseSent { summary, .. }
        | NoteKind::MessageDropped { summary, .. }
        | NoteKind::MessageLost { summary, .. }
        | NoteKind::MessageDelayed { summary, .. }
        | NoteKind::MessageDuplicated { summary, .. } => summary.partition.as_ref(),
        _ => note.log(),
    }
}

/// Topic and partition.
pub fn place(note: &NoteKind) -> (Option<String>, Option<i32>) {
    match (partition(note), note) {
        (Some(partition), _) => (Some(partition.topic.to_string()), Some(partition.index)),
        (
            None,
            NoteKind::TopicCreated { topic, .. }
            | NoteKind::PartitionsCreated { topic, .. }
            | NoteKind::TopicDeleted { topic, .. }
            | NoteKind::ConfigsAltered { topic, .. }
            | NoteKind::RecordFailed { topic, .. },
        ) => (Some(topic.to_string()), None),
        _ => (None, None),
    }
}

/// Kafka's name of the error in it.
pub fn error(note: &NoteKind) -> Option<&'static str> {
    let code = match note {
        NoteKind::RecordFailed { error, .. }
        | NoteKind::ProduceRetried { error, .. }
        | NoteKind::TransactionFailed { error, .. }
        | NoteKind::CommitFailed { error, .. } => *error,
        NoteKind::ResponseSent { summary, .. } => summary.error,
        _ => ErrorCode::None,
    };
    (code != ErrorCode::None).then_some(code.name())
}

/// One sentence that says what happened; the line's node is its subject.
pub fn sentence(world: &World, note: &Note) -> String {
    match &note.kind {
        NoteKind::TopicCreated { topic, partitions, replication_factor } => {
            format!("Creates topic {topic} with {}, replication factor {replication_factor}", count(*partitions, "partition"))
        }
        NoteKind::PartitionsCreated { topic, from, partitions } => {
            format!("Topic {topic} gets {} instead of {from}", count(*partitions, "partition"))
        }
        NoteKind::TopicDeleted { topic, partitions } => format!("Deletes topic {topic} with {}", count(*partitions, "partition")),
        NoteKind::UncleanElection { partition, leader, reason: UncleanReason::LastKnownLeader, .. } => {
            format!("Lets broker {leader} lead {partition} again, as it did last: what its disk has lost meanwhile is lost")
        }
        NoteKind::UncleanElection { partition, leader, isr, reason } => {
            let why = if *reason == UncleanReason::Requested { "as was asked for" } else { "as unclean.leader.election.enable lets it" };
            let others = if isr.is_empty() { "others".to_owned() } else { list(isr) };
            format!("Lets broker {leader} lead {partition} though it was not in sync, {why}: what only {others} had is lost")
        }
        NoteKind::EligibleLeadersChanged { partition, elr } if elr.is_empty() => {
            format!("Nobody outside the ISR may lead {partition} any more")
        }
        NoteKind::GroupDeleted { group } => format!("Group {group} is deleted"),
        NoteKind::TransactionBegun { id } => format!("Transaction of {id} begins"),
        NoteKind::TransactionEnded { id, committed } => {
            format!("Transaction of {id} is {}", if *committed { "committed" } else { "aborted" })
        }
        NoteKind::TransactionChanged { id, epoch, state, .. } => format!("Transactional id {id} is {state} in producer epoch {epoch}"),
        NoteKind::TransactionFailed { id, error, fatal } => {
            let after = if *fatal { "can do nothing any more" } else { "can only be aborted" };
            format!("Transaction of {id} {after}: {}", error.name())
        }
        NoteKind::OffsetsDeleted { group, offsets } => {
            format!(
                "{offsets} committed offset{} of group {group} {} deleted",
                if *offsets == 1 { "" } else { "s" },
                if *offsets == 1 { "is" } else { "are" }
            )
        }
        NoteKind::SettingUnknown { client, setting, nearest } => {
            let hint = nearest.map_or_else(String::new, |name| format!(" Do you mean {name}?"));
            format!("{client} was given {} and does not use it: there is no such configuration.{hint}", quoted(setting))
        }
        NoteKind::SettingWithoutEffect { client, setting } => {
            format!("{client} was given {setting}, which changes nothing here: there is nothing that it sets in this cluster")
        }
        NoteKind::IdempotenceDisabled { client, setting, value } => {
            let rule = if *setting == "acks" { ", not to all" } else { "" };
            format!("{client}: idempotence is disabled, because {setting} is set to {value}{rule}")
        }
        NoteKind::EligibleLeadersChanged { partition, elr } => {
            format!("Broker {} may lead {partition} if nobody is in sync: all that is committed is there", list(elr))
        }
        NoteKind::ConfigsAltered { topic, changes } => format!("Sets for topic {topic}: {}", settings(changes, "as the brokers'")),
        NoteKind::SharePartitionLoaded { group, partition, start_offset } => {
            format!("Group {group} reads {partition} here, from offset {start_offset} on")
        }
        NoteKind::RecordsAcquired { group, member, partition, first_offset, last_offset, deliveries } => {
            let records = offsets(*first_offset, *last_offset);
            format!("{member} of group {group} acquires {records} of {partition}: delivery {deliveries}")
        }
        NoteKind::RecordsSettled { group, member, partition, first_offset, last_offset, archived, by, .. } => {
            let records = format!("{} of {partition}", offsets(*first_offset, *last_offset));
            match by {
                SettledBy::Accept => format!("{member} of group {group} accepts {records}"),
                SettledBy::Reject => format!("{member} of group {group} rejects {records}: nobody gets them again"),
                SettledBy::Release => format!("{member} of group {group} releases {records}{}", again(*archived)),
                SettledBy::MemberGone => format!("{member} of group {group} is gone, {records} released{}", again(*archived)),
                SettledBy::LockTimeout => format!("{member} of group {group} has {records} for too long: released{}", again(*archived)),
            }
        }
        NoteKind::GroupConfigsAltered { group, changes } => {
            format!("Sets for group {group}: {}", settings(changes, "as the brokers have it"))
        }
        NoteKind::ClientQuotasAltered { entity, changes } => format!("Sets the quotas of {entity}: {}", changes.join(", ")),
        NoteKind::ClientThrottled { client, ms } => format!("Lets {client} wait for {ms} ms: it has taken more than its quota"),
        NoteKind::BrokerConfigsAltered { broker, changes } => {
            format!("Sets for {}: {}", brokers(*broker), settings(changes, "as before it was set"))
        }
        NoteKind::LogDeleted { partition } => format!("Deletes its log of {partition}: the topic is no more"),
        NoteKind::BrokerRegistered { broker, epoch, .. } => {
            format!("Registers broker {broker} with broker epoch {epoch}, fenced until it has caught up")
        }
        NoteKind::BrokerUnfenced { broker } => format!("Unfences broker {broker}: it has caught up with the metadata log"),
        NoteKind::BrokerFenced { broker } => format!("Fences broker {broker}: its session has ended"),
        NoteKind::BrokerStarted => "Starts and asks the controller for the metadata log".to_owned(),
        NoteKind::BrokerCrashed | NoteKind::ControllerCrashed => "Crashes".to_owned(),
        NoteKind::ControllerStarted => "Starts with the metadata log and the vote that are on its disk".to_owned(),
        NoteKind::SnapshotWritten { end_offset } => {
            format!("Writes a snapshot of the metadata and drops its log before offset {end_offset}")
        }
        NoteKind::SnapshotFetched { end_offset } => {
            format!("Takes the snapshot of the metadata up to offset {end_offset}: the log before is gone")
        }
        NoteKind::ControllerElected { epoch, .. } => format!("Becomes the active controller, epoch {epoch}"),
        NoteKind::ControllerResigned { epoch, .. } => {
            format!("Is the active controller of epoch {epoch} no more: forgets what no majority has")
        }
        NoteKind::LeaderElected { partition, leader: Some(leader), leader_epoch, isr } => {
            format!("Elects broker {leader} leader of {partition}, epoch {leader_epoch}, from ISR {}", list(isr))
        }
        NoteKind::LeaderElected { partition, leader: None, isr, .. } => {
            format!("Leaves {partition} without a leader: no member of its ISR ({}) is alive", list(isr))
        }
        NoteKind::IsrShrunk { partition, isr, removed } => {
            format!("Removes broker {} from the ISR of {partition}: it is {} now", list(removed), list(isr))
        }
        NoteKind::IsrExpanded { partition, isr, added, .. } => {
            format!("Takes broker {} into the ISR of {partition}: it is {} now", list(added), list(isr))
        }
        NoteKind::RecordAppended { partition, base_offset, last_offset, leader_epoch, leader } => {
            let role = if *leader { "leader" } else { "follower" };
            format!("Appends {} of {partition} as {role}, epoch {leader_epoch}", offsets(*base_offset, *last_offset))
        }
        NoteKind::HighWatermarkAdvanced { partition, to, leader: true, .. } => {
            format!("High watermark of {partition} advances to {to}: every in-sync replica holds what is below it")
        }
        NoteKind::HighWatermarkAdvanced { partition, to, .. } => format!("Learns that the high watermark of {partition} is {to}"),
        NoteKind::Truncated { partition, from, to } => {
            format!("Cuts {partition} back from end offset {from} to {to}, where its log parts from the leader's")
        }
        NoteKind::RecordAcknowledged { partition, records, acks: 0, .. } => {
            format!("Counts {} to {partition} as sent without waiting (acks=0)", count(*records, "record"))
        }
        NoteKind::RecordAcknowledged { partition, base_offset, records, acks } => {
            let acks = if *acks == -1 { "all".to_owned() } else { acks.to_string() };
            let last = base_offset + i64::from(*records) - 1;
            format!("Gets the acknowledgement for {} of {partition} (acks={acks})", offsets(*base_offset, last))
        }
        NoteKind::RecordFailed { partition, topic, records, error } => {
            let place = partition.as_ref().map_or_else(|| topic.to_string(), Partition::to_string);
            if *records == 0 {
                format!("Finds no offset to begin with in {place}: {error}")
            } else {
                format!("Gives up on {} for {place}: {error}", count(*records, "record"))
            }
        }
        NoteKind::ProduceRetried { partition, records, error } => {
            format!("{error}: refreshes metadata and sends the same {} to {partition} again", count(*records, "record"))
        }
        NoteKind::RecordDelivered { partition, first_offset, last_offset, .. } => {
            format!("Processes {} of {partition}", offsets(*first_offset, *last_offset))
        }
        NoteKind::OffsetReset { partition, offset } => format!("Goes on at offset {offset} of {partition}"),
        NoteKind::OffsetCommitted { group, partition, offset, .. } => {
            format!("Stores committed offset {offset} of {partition} for group {group}")
        }
        NoteKind::MemberJoined { group, member } => format!("Member {member} joins group {group}"),
        NoteKind::MemberLeft { group, member, reason } => match reason {
            LeaveReason::Left => format!("Member {member} leaves group {group}"),
            LeaveReason::SessionExpired => format!("Removes member {member} from group {group}: no heartbeat within its session timeout"),
            LeaveReason::SyncTimeout => format!("Removes member {member} from group {group}: it did not ask for its assignment in time"),
            LeaveReason::RebalanceTimeout => format!("Removes member {member} from group {group}: it did not join again in time"),
        },
        NoteKind::RebalanceStarted { group, reason } => {
            let why = match reason {
                RebalanceReason::Joined => "a member joins",
                RebalanceReason::Left => "a member has left",
                RebalanceReason::SessionExpired => "a member's session has expired",
                RebalanceReason::LeaderRejoined => "its leader joins again",
                RebalanceReason::Changed => "a member has changed",
                RebalanceReason::SyncTimeout => "a member has not asked for its assignment",
            };
            format!("Group {group} prepares a rebalance: {why}")
        }
        NoteKind::Rebalanced { group, generation, members: 0 } => format!("Group {group} is empty, generation {generation}"),
        NoteKind::Rebalanced { group, generation, members } => {
            format!("Group {group} begins generation {generation} with {}", count(*members, "member"))
        }
        NoteKind::GroupLoaded { group, generation, members } => {
            format!("Loads group {group} from __consumer_offsets: generation {generation}, {}", count(*members, "member"))
        }
        NoteKind::AssignmentReceived { partitions, .. } => format!("Owns {} now", names(partitions)),
        NoteKind::AssignmentRevoked { partitions, .. } => format!("Gives up {}", names(partitions)),
        NoteKind::MemberReplaced { group, before, member } => {
            format!("Static member {member} takes the place of {before} in group {group}, without a rebalance")
        }
        NoteKind::PollIntervalExceeded { group } => {
            format!("Has not polled for max.poll.interval.ms and takes itself out of group {group}")
        }
        NoteKind::CommitFailed { partitions, error, .. } => format!("Cannot commit {}: {}", names(partitions), error.name()),
        NoteKind::WentBack { partitions } => format!("Reads {} from the committed offsets again", names(partitions)),
        NoteKind::AssignmentLost { partitions, .. } => format!("Has lost {}: its group has gone on without it", names(partitions)),
        NoteKind::RequestSent { to, summary, .. } => format!("{} request to {}{}", summary.api.name(), world.name(*to), about(summary)),
        NoteKind::ResponseSent { to, summary, .. } => format!("{} response to {}{}", summary.api.name(), world.name(*to), about(summary)),
        NoteKind::MessageDropped { to, summary, .. } => {
            format!("{} message to {} is lost: nobody listens there", summary.api.name(), world.name(*to))
        }
        NoteKind::PowerLost => "Loses power: what its page cache had not written to disk is gone".to_owned(),
        NoteKind::RecordsLost { partition, from, to } => {
            format!("Loses {} of {partition}, which no flush had forced to disk", offsets(*from, to - 1))
        }
        NoteKind::BrokerFrozen { until } => format!("Stands still for {} ms: what comes waits", (until - note.time) / MS),
        NoteKind::BrokerThawed => "Goes on where it stood still, with all that has come meanwhile".to_owned(),
        NoteKind::BrokerStopping => "Begins a controlled shutdown: asks the controller to move its leaderships".to_owned(),
        NoteKind::BrokerStopped => "Ends in good order, with its logs flushed".to_owned(),
        NoteKind::ReassignmentStarted { partition, replicas, adding, removing } => {
            let adds = if adding.is_empty() { String::new() } else { format!("; adds {}", list(adding)) };
            let removes =
                if removing.is_empty() { String::new() } else { format!("; removes {} once all the others are in sync", list(removing)) };
            format!("Moves {partition} to {}{adds}{removes}", list(replicas))
        }
        NoteKind::ReassignmentCompleted { partition, replicas } => format!("{partition} has moved to {}", list(replicas)),
        NoteKind::ReassignmentCancelled { partition, replicas } => {
            format!("Takes the move of {partition} back: it stays on {}", list(replicas))
        }
        NoteKind::BrokerAdded => "Joins the cluster, with an empty disk".to_owned(),
        NoteKind::BrokerRemoved => "Is gone, and its disk with it".to_owned(),
        NoteKind::BrokerUnregistered { broker } => {
            format!("Unregisters broker {broker}: it leaves every ISR, and its replicas stay assigned to it until they are reassigned")
        }
        NoteKind::BrokerShuttingDown { broker } => format!("Moves leaderships away from broker {broker}, which wants to stop"),
        NoteKind::MessageLost { to, summary, cause, .. } => {
            let why = match cause {
                Loss::Cut => "the link is cut",
                Loss::Dropped => "it is dropped on the way",
            };
            format!("{} message to {}{} is lost: {why}", summary.api.name(), world.name(*to), about(summary))
        }
        NoteKind::MessageDelayed { to, summary, by, .. } => {
            format!("{} message to {}{} is held up for {} ms", summary.api.name(), world.name(*to), about(summary), by / MS)
        }
        NoteKind::MessageDuplicated { to, summary, .. } => {
            format!("{} message to {}{} will arrive twice", summary.api.name(), world.name(*to), about(summary))
        }
        NoteKind::CommandApplied { name, target } => format!("{name} {target}"),
        NoteKind::CommandRefused { name, code } => format!("{name} is refused: {code}"),
        NoteKind::SegmentRolled { partition, base_offset } => format!("Begins a new segment of {partition} at offset {base_offset}"),
        NoteKind::SegmentsDeleted { partition, segments, bytes, reason } => {
            let why = match reason {
                DeleteReason::Start => "all of it lies below the log start offset",
                DeleteReason::Size => "the log has more than retention.bytes",
                DeleteReason::Time => "the newest record in it is older than retention.ms",
                DeleteReason::LocalSize => "it is in the remote store, and the local log has more than local.retention.bytes",
                DeleteReason::LocalTime => "it is in the remote store, and its newest record is older than local.retention.ms",
            };
            format!("Deletes {} ({bytes} bytes) of {partition}: {why}", count(*segments, "segment"))
        }
        NoteKind::LogStartMoved { partition, from, to } => format!("Log start offset of {partition} moves from {from} to {to}"),
        NoteKind::RecordsDeleted { partition, before } => {
            format!("Deletes the records of {partition} before offset {before}, as was asked for")
        }
        NoteKind::LowWatermarkReached { partition, offset } => {
            format!("Answers that no live replica of {partition} has records before offset {offset} to read")
        }
        NoteKind::LogCompacted { partition, to, removed, bytes_before, bytes_after, .. } => {
            format!("Compacts {partition} below offset {to}: {removed} records go, {bytes_before} bytes become {bytes_after}")
        }
        NoteKind::RemoteCopyStarted { partition, base_offset, last_offset } => {
            format!("Copies segment {base_offset} to {last_offset} of {partition} to the remote store")
        }
        NoteKind::RemoteCopyFinished { partition, base_offset, last_offset, bytes } => {
            format!("Has copied segment {base_offset} to {last_offset} of {partition} ({bytes} bytes): the remote store can serve it")
        }
        NoteKind::RemoteSegmentsDeleted { partition, segments, bytes } => {
            format!("Deletes {} ({bytes} bytes) of {partition} from the remote store", count(*segments, "segment"))
        }
        NoteKind::RemoteRead { partition, first_offset, last_offset, .. } => {
            format!("Gets {} of {partition} from the remote store for a consumer", offsets(*first_offset, *last_offset))
        }
        NoteKind::RemoteStateBuilt { partition, local_start, .. } => {
            format!("Goes on at offset {local_start} of {partition}: what is before is only in the remote store")
        }
    }
}

fn about(summary: &Summary) -> String {
    let place = summary.partition.as_ref().map(|partition| format!(", {partition}")).unwrap_or_default();
    let offset = summary.offset.map(|offset| format!(" from offset {offset}")).unwrap_or_default();
    let records = if summary.records == 0 { String::new() } else { format!(", {}", count(summary.records, "record")) };
    let error = if summary.error == ErrorCode::None { String::new() } else { format!(", {}", summary.error) };
    format!("{place}{offset}{records}{error}")
}

/// A few words for the timeline.
pub fn short(world: &World, note: &Note) -> String {
    match &note.kind {
        NoteKind::TopicCreated { topic, .. } | NoteKind::PartitionsCreated { topic, .. } => format!("topic {topic}"),
        NoteKind::TopicDeleted { topic, .. } => format!("deleted {topic}"),
        NoteKind::BrokerCrashed | NoteKind::ControllerCrashed => format!("crash {}", world.name(note.node)),
        NoteKind::ControllerElected { controller, .. } => format!("active: controller {controller}"),
        NoteKind::ControllerResigned { controller, .. } => format!("controller {controller} resigned"),
        NoteKind::UncleanElection { partition, .. } => format!("{partition}: unclean"),
        NoteKind::EligibleLeadersChanged { partition, elr } => format!("{partition}: eligible {}", list(elr)),
        NoteKind::ConfigsAltered { topic, .. } => format!("settings of {topic}"),
        NoteKind::BrokerConfigsAltered { broker, .. } => format!("settings of {}", brokers(*broker)),
        NoteKind::GroupConfigsAltered { group, .. } | NoteKind::SharePartitionLoaded { group, .. } => format!("group {group}"),
        NoteKind::CommitFailed { group, .. } => format!("commit for {group} failed"),
        NoteKind::RecordsAcquired { partition, first_offset, .. } => format!("{partition} @{first_offset} acquired"),
        NoteKind::RecordsSettled { partition, first_offset, .. } => format!("{partition} @{first_offset} settled"),
        NoteKind::PowerLost => format!("power loss {}", world.name(note.node)),
        NoteKind::RecordsLost { partition, .. } => format!("{partition}: records lost"),
        NoteKind::BrokerFrozen { .. } => format!("freeze {}", world.name(note.node)),
        NoteKind::BrokerThawed => format!("{} goes on", world.name(note.node)),
        NoteKind::BrokerStopping => format!("stopping {}", world.name(note.node)),
        NoteKind::BrokerStopped => format!("stopped {}", world.name(note.node)),
        NoteKind::BrokerAdded => format!("added {}", world.name(note.node)),
        NoteKind::BrokerRemoved => format!("removed {}", world.name(note.node)),
        NoteKind::BrokerFenced { broker } => format!("fenced {broker}"),
        NoteKind::BrokerUnfenced { broker } => format!("broker {broker} up"),
        NoteKind::LeaderElected { partition, leader: Some(leader), .. } => format!("{partition}: leader {leader}"),
        NoteKind::LeaderElected { partition, .. } => format!("{partition}: no leader"),
        NoteKind::IsrShrunk { partition, isr, .. } | NoteKind::IsrExpanded { partition, isr, .. } => {
            format!("{partition}: ISR {}", list(isr))
        }
        NoteKind::ReassignmentStarted { partition, .. } => format!("{partition} moves"),
        NoteKind::ReassignmentCompleted { partition, .. } => format!("{partition} moved"),
        NoteKind::ReassignmentCancelled { partition, .. } => format!("{partition} stays"),
        NoteKind::Rebalanced { group, generation, .. } => format!("{group} gen {generation}"),
        NoteKind::MemberLeft { group, .. } => format!("{group}: member left"),
        NoteKind::Truncated { partition, .. } => format!("{partition} truncated"),
        NoteKind::SegmentsDeleted { partition, .. } => format!("{partition}: deleted"),
        NoteKind::LogCompacted { partition, .. } => format!("{partition}: compacted"),
        NoteKind::RecordsDeleted { partition, before } => format!("{partition}: from {before} on"),
        NoteKind::RecordFailed { error, .. } | NoteKind::ProduceRetried { error, .. } => error.name().to_owned(),
        _ => sentence(world, note),
    }
}

/// The facts of a note, by name.
pub fn detail(world: &World, note: &NoteKind) -> Value {
    match note {
        NoteKind::TopicCreated { partitions, replication_factor, .. } => {
            Object::of([("partitions", (*partitions).into()), ("replicationFactor", (*replication_factor).into())])
        }
        NoteKind::BrokerRegistered { broker, epoch, ended_cleanly } => {
            Object::of([("broker", (*broker).into()), ("epoch", (*epoch).into()), ("endedCleanly", (*ended_cleanly).into())])
        }
        NoteKind::BrokerUnfenced { broker }
        | NoteKind::BrokerFenced { broker }
        | NoteKind::BrokerUnregistered { broker }
        | NoteKind::BrokerShuttingDown { broker } => Object::of([("broker", (*broker).into())]),
        NoteKind::SnapshotWritten { end_offset } | NoteKind::SnapshotFetched { end_offset } => {
            Object::of([("endOffset", (*end_offset).into())])
        }
        NoteKind::ControllerElected { controller, epoch } | NoteKind::ControllerResigned { controller, epoch } => {
            Object::of([("controller", (*controller).into()), ("epoch", (*epoch).into())])
        }
        NoteKind::BrokerStarted
        | NoteKind::ControllerCrashed
        | NoteKind::ControllerStarted
        | NoteKind::BrokerCrashed
        | NoteKind::PowerLost
        | NoteKind::BrokerThawed
        | NoteKind::BrokerStopping
        | NoteKind::BrokerAdded
        | NoteKind::BrokerRemoved
        | NoteKind::BrokerStopped => Object::of([]),
        NoteKind::ReassignmentStarted { replicas, adding, removing, .. } => Object::of([
            ("replicas", replicas.as_slice().into()),
            ("adding", adding.as_slice().into()),
            ("removing", removing.as_slice().into()),
        ]),
        NoteKind::ReassignmentCompleted { replicas, .. } | NoteKind::ReassignmentCancelled { replicas, .. } => {
            Object::of([("replicas", replicas.as_slice().into())])
        }
        NoteKind::BrokerFrozen { until } => Object::of([("until", (*until as f64 / MS as f64).into())]),
        NoteKind::LeaderElected { leader, leader_epoch, isr, .. } => {
            Object::of([("leader", (*leader).into()), ("leaderEpoch", (*leader_epoch).into()), ("isr", isr.as_slice().into())])
        }
        NoteKind::IsrShrunk { isr, removed, .. } => Object::of([("isr", isr.as_slice().into()), ("removed", removed.as_slice().into())]),
        NoteKind::IsrExpanded { isr, added, .. } => Object::of([("isr", isr.as_slice().into()), ("added", added.as_slice().into())]),
        NoteKind::RecordAppended { base_offset, last_offset, leader_epoch, leader, .. } => Object::of([
            ("baseOffset", (*base_offset).into()),
            ("lastOffset", (*last_offset).into()),
            ("leaderEpoch", (*leader_epoch).into()),
            ("leader", (*leader).into()),
        ]),
        NoteKind::HighWatermarkAdvanced { from, to, leader, .. } => {
            Object::of([("from", (*from).into()), ("to", (*to).into()), ("leader", (*leader).into())])
        }
        NoteKind::Truncated { from, to, .. } | NoteKind::RecordsLost { from, to, .. } => {
            Object::of([("from", (*from).into()), ("to", (*to).into())])
        }
        NoteKind::RecordAcknowledged { base_offset, records, acks, .. } => Object::of([
            ("baseOffset", (0 <= *base_offset).then_some(*base_offset).into()),
            ("records", (*records).into()),
            ("acks", (*acks).into()),
        ]),
        NoteKind::RecordFailed { records, .. } | NoteKind::ProduceRetried { records, .. } => Object::of([("records", (*records).into())]),
        NoteKind::RecordDelivered { first_offset, last_offset, records, .. } => {
            Object::of([("firstOffset", (*first_offset).into()), ("lastOffset", (*last_offset).into()), ("records", (*records).into())])
        }
        NoteKind::OffsetReset { offset, .. } => Object::of([("offset", (*offset).into())]),
        NoteKind::OffsetCommitted { group, offset, .. } => Object::of([("group", (&**group).into()), ("offset", (*offset).into())]),
        NoteKind::MemberJoined { group, member } | NoteKind::MemberLeft { group, member, .. } => {
            Object::of([("group", (&**group).into()), ("member", (&**member).into())])
        }
        NoteKind::RebalanceStarted { group, .. } | NoteKind::PollIntervalExceeded { group } => Object::of([("group", (&**group).into())]),
        NoteKind::MemberReplaced { group, before, member } => {
            Object::of([("group", (&**group).into()), ("before", (&**before).into()), ("member", (&**member).into())])
        }
        NoteKind::Rebalanced { group, generation, members } | NoteKind::GroupLoaded { group, generation, members } => {
            Object::of([("group", (&**group).into()), ("generation", (*generation).into()), ("members", (*members).into())])
        }
        NoteKind::AssignmentReceived { group, partitions, added } => {
            Object::of([("group", (&**group).into()), ("partitions", named(partitions)), ("added", named(added))])
        }
        NoteKind::AssignmentRevoked { group, partitions }
        | NoteKind::AssignmentLost { group, partitions }
        | NoteKind::CommitFailed { group, partitions, .. } => Object::of([("group", (&**group).into()), ("partitions", named(partitions))]),
        NoteKind::WentBack { partitions } => Object::of([("partitions", named(partitions))]),
        NoteKind::RequestSent { message, to, summary }
        | NoteKind::ResponseSent { message, to, summary }
        | NoteKind::MessageDropped { message, to, summary }
        | NoteKind::MessageLost { message, to, summary, .. }
        | NoteKind::MessageDelayed { message, to, summary, .. }
        | NoteKind::MessageDuplicated { message, to, summary, .. } => Object::of([
            ("message", (*message).into()),
            ("to", world.name(*to).into()),
            ("api", summary.api.name().into()),
            ("records", summary.records.into()),
            ("offset", summary.offset.into()),
        ]),
        NoteKind::CommandApplied { name, target } => Object::of([("command", (*name).into()), ("target", (&**target).into())]),
        NoteKind::CommandRefused { name, code } => Object::of([("command", (&**name).into()), ("code", (&**code).into())]),
        NoteKind::SegmentRolled { base_offset, .. } => Object::of([("baseOffset", (*base_offset).into())]),
        NoteKind::SegmentsDeleted { segments, bytes, .. } | NoteKind::RemoteSegmentsDeleted { segments, bytes, .. } => {
            Object::of([("segments", (*segments).into()), ("bytes", (*bytes).into())])
        }
        NoteKind::LogStartMoved { from, to, .. } => Object::of([("from", (*from).into()), ("to", (*to).into())]),
        NoteKind::LogCompacted { from, to, removed, bytes_before, bytes_after, .. } => Object::of([
            ("from", (*from).into()),
            ("to", (*to).into()),
            ("removed", (*removed).into()),
            ("bytesBefore", (*bytes_before).into()),
            ("bytesAfter", (*bytes_after).into()),
        ]),
        NoteKind::PartitionsCreated { from, partitions, .. } => {
            Object::of([("from", (*from).into()), ("partitions", (*partitions).into())])
        }
        NoteKind::TopicDeleted { partitions, .. } => Object::of([("partitions", (*partitions).into())]),
        NoteKind::ConfigsAltered { changes, .. } => Object::of([("changes", changed(changes))]),
        NoteKind::GroupConfigsAltered { group, changes } => Object::of([("group", (&**group).into()), ("changes", changed(changes))]),
        NoteKind::ClientQuotasAltered { entity, .. } => Object::of([("entity", (&**entity).into())]),
        NoteKind::ClientThrottled { client, ms } => Object::of([("client", (&**client).into()), ("ms", (*ms).into())]),
        NoteKind::SharePartitionLoaded { group, start_offset, .. } => {
            Object::of([("group", (&**group).into()), ("startOffset", (*start_offset).into())])
        }
        NoteKind::RecordsAcquired { group, member, first_offset, last_offset, deliveries, .. }
        | NoteKind::RecordsSettled { group, member, first_offset, last_offset, deliveries, .. } => Object::of([
            ("group", (&**group).into()),
            ("member", (&**member).into()),
            ("firstOffset", (*first_offset).into()),
            ("lastOffset", (*last_offset).into()),
            ("deliveryCount", (*deliveries).into()),
        ]),
        NoteKind::BrokerConfigsAltered { broker, changes } => Object::of([("broker", (*broker).into()), ("changes", changed(changes))]),
        NoteKind::UncleanElection { leader, isr, reason, .. } => {
            let is = |other: UncleanReason| (*reason == other).into();
            Object::of([
                ("leader", (*leader).into()),
                ("isr", isr.as_slice().into()),
                ("requested", is(UncleanReason::Requested)),
                ("lastKnownLeader", is(UncleanReason::LastKnownLeader)),
            ])
        }
        NoteKind::RemoteCopyStarted { base_offset, last_offset, .. } => {
            Object::of([("baseOffset", (*base_offset).into()), ("lastOffset", (*last_offset).into())])
        }
        NoteKind::RemoteCopyFinished { base_offset, last_offset, bytes, .. } => {
            Object::of([("baseOffset", (*base_offset).into()), ("lastOffset", (*last_offset).into()), ("bytes", (*bytes).into())])
        }
        NoteKind::RemoteRead { first_offset, last_offset, leader_epoch, .. } => Object::of([
            ("firstOffset", (*first_offset).into()),
            ("lastOffset", (*last_offset).into()),
            ("leaderEpoch", (*leader_epoch).into()),
        ]),
        NoteKind::RemoteStateBuilt { log_start, local_start, .. } => {
            Object::of([("logStartOffset", (*log_start).into()), ("localLogStartOffset", (*local_start).into())])
        }
        NoteKind::GroupDeleted { group } => Object::of([("group", (&**group).into())]),
        NoteKind::OffsetsDeleted { group, offsets } => Object::of([("group", (&**group).into()), ("offsets", (*offsets).into())]),
        NoteKind::SettingUnknown { client, setting, nearest } => {
            Object::of([("client", (&**client).into()), ("setting", (&**setting).into()), ("nearest", (*nearest).into())])
        }
        NoteKind::SettingWithoutEffect { client, setting } => Object::of([("client", (&**client).into()), ("setting", (*setting).into())]),
        NoteKind::IdempotenceDisabled { client, setting, value } => {
            Object::of([("client", (&**client).into()), ("setting", (*setting).into()), ("value", (&**value).into())])
        }
        NoteKind::EligibleLeadersChanged { elr, .. } => Object::of([("eligibleLeaderReplicas", elr.as_slice().into())]),
        NoteKind::LogDeleted { .. } => Object::of([]),
        NoteKind::TransactionBegun { id } => Object::of([("transactionalId", (&**id).into())]),
        NoteKind::TransactionEnded { id, committed } => {
            Object::of([("transactionalId", (&**id).into()), ("committed", (*committed).into())])
        }
        NoteKind::TransactionFailed { id, fatal, .. } => Object::of([("transactionalId", (&**id).into()), ("fatal", (*fatal).into())]),
        NoteKind::TransactionChanged { id, producer_id, epoch, state, partitions } => Object::of([
            ("transactionalId", (&**id).into()),
            ("producerId", (*producer_id).into()),
            ("producerEpoch", i32::from(*epoch).into()),
            ("state", (*state).into()),
            ("partitions", (*partitions).into()),
        ]),
        NoteKind::RecordsDeleted { before, .. } => Object::of([("before", (*before).into())]),
        NoteKind::LowWatermarkReached { offset, .. } => Object::of([("offset", (*offset).into())]),
    }
}
