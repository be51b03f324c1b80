//! Deliberate faults, each a known mistake of a broker: what the invariants are worth is how many of them they catch.
//!
//! Only with the feature `mutants`; without it [`is`] is a constant and nothing of this is in the program. One mutant is awake at a time, in
//! the thread that woke it.

/// Name and mistake.
pub const MUTANTS: &[(&str, &str)] = &[
    ("acks-all-early", "acks=all is answered when the leader has the records"),
    ("producer-asks-less", "a producer with acks=all asks for acks=1"),
    ("high-watermark-below-min-isr", "the high watermark moves while the ISR is below its minimum"),
    ("high-watermark-without-followers", "the leader's high watermark is its own log's end"),
    ("follower-high-watermark-unclamped", "a follower takes the leader's high watermark beyond its own log"),
    ("follower-reads-committed", "followers are given no more than consumers"),
    ("follower-fetch-unheeded", "the leader does not notice how far a follower is"),
    ("elect-outside-isr", "any live replica may lead"),
    ("leader-epoch-stands", "an election leaves the leader epoch as it is"),
    ("partition-epoch-stands", "a change of the ISR leaves the partition epoch as it is"),
    ("isr-joined-at-once", "a follower joins the ISR without having caught up"),
    ("isr-never-joined", "a follower that has caught up is not asked into the ISR"),
    ("fenced-stays-in-isr", "a broker whose session ended stays in the ISR"),
    ("truncate-to-high-watermark", "a replica that becomes a follower cuts back to its high watermark, as before KIP-101"),
    ("truncate-not-at-all", "a follower does not cut back what the leader does not have"),
    ("epochs-not-truncated", "an epoch that wrote nothing is remembered after a truncation"),
    ("epoch-of-the-producer", "a batch keeps the leader epoch that its producer wrote"),
    ("crash-loses-the-newest", "a crashed process loses its newest batch, which the page cache has"),
    ("consumer-reads-uncommitted", "consumers read beyond the high watermark"),
    ("generation-stands", "a rebalance leaves the generation as it is"),
    ("dead-member-stays", "a member whose session ended stays in its group"),
    ("commit-of-anybody", "a commit is taken whoever it is of, also of a member that was taken out or has missed a rebalance"),
    ("static-member-beside-itself", "a static member that comes back does not take the place of its former self"),
    ("poll-interval-unheeded", "a member that does not poll stays in its group as long as its heart beats"),
    ("eager-gives-nothing-up", "a member of an eager group joins again and reads on what it had"),
    ("given-before-given-up", "the cooperative assignor gives a partition to its new owner before the old one has given it up"),
    ("kept-begins-anew", "what a member keeps in a cooperative rebalance is read from the committed offset again"),
    ("commit-not-kept", "a commit is acknowledged and not kept"),
    ("partitions-made-anew", "new partitions of a topic take the place of those that it has"),
    ("retention-beyond-high-watermark", "retention removes segments that are not replicated yet"),
    ("retention-removes-newest", "retention removes the newest segments, not the oldest"),
    ("read-below-log-start", "a fetch below the log start offset is answered from there on"),
    ("compaction-drops-last", "compaction drops the last value of a key"),
    ("compaction-beyond-high-watermark", "compaction takes segments that are not replicated yet"),
    ("compaction-renumbers", "records that compaction leaves in a batch are numbered anew"),
    ("tombstones-dropped-at-once", "compaction drops tombstones before slow readers have seen them"),
    ("preferred-outside-isr", "the preferred replica is elected although it is not in sync"),
    ("min-isr-of-the-start", "a leader goes by the min.insync.replicas that its topic had when it was elected"),
    ("unclean-although-disabled", "a replica that is not in sync leads although unclean.leader.election.enable is false"),
    ("isr-outlives-unclean-election", "the ISR is kept over an unclean election"),
    ("strays-stay", "a broker that was down when a topic was deleted never deletes its logs"),
    ("name-keeps-log", "a topic made anew finds the log of the deleted one of its name"),
    ("unregistered-stays-in-isr", "a broker that is unregistered stays in its ISRs, and leads what it led"),
    ("vote-without-log-check", "a candidate for controller gets votes although its log is behind"),
    ("two-votes-in-an-epoch", "a controller votes for whoever asks, as often as it is asked"),
    ("quorum-commits-alone", "the active controller takes for committed what only it has"),
    ("metadata-not-truncated", "a controller does not cut back what the quorum's leader does not have"),
    ("metadata-applied-uncommitted", "brokers apply what a controller has decided before a majority has it"),
    ("decision-told-uncommitted", "a controller answers before a majority has what it decided: a stale one is obeyed"),
    ("reassignment-not-awaited", "a reassignment is done before its new replicas are in sync"),
    ("reassigned-keeps-log", "a broker keeps the log of a partition that was moved away from it"),
    ("snapshot-lacks-last", "a snapshot of the metadata lacks the last record that it stands for"),
    ("max-in-flight-unheeded", "a producer that may have one request in flight sends more of them"),
    (
        "order-lost-with-the-leader",
        "a producer with one request in flight sends a partition's next batch to a new leader while the old one has the last",
    ),
    ("base-offset-zero", "a produce response names offset 0, wherever the records are"),
    ("delete-records-beyond-high-watermark", "DeleteRecords takes records that are not replicated yet"),
    ("deletes-one-more", "DeleteRecords takes the record at the offset, too, that the log is to start with"),
    ("low-watermark-of-the-leader", "DeleteRecords is answered when the leader has done it"),
    ("log-start-not-taken", "a follower does not take the log start offset of its leader"),
    ("broker-configs-of-the-start", "a broker goes by the settings that it was started with, whatever an admin has changed"),
    ("sessions-never-end", "a broker that is not heard of is not fenced"),
    ("eligible-after-unclean-restart", "a broker that may have lost records with its process stays an eligible leader"),
    ("eligible-outlives-min-isr", "min.insync.replicas is changed, and who was eligible by the old one still is"),
    (
        "eligible-beside-full-isr",
        "replicas stay eligible although the ISR has reached its minimum and the high watermark moves without them",
    ),
    ("pending-isr-counts-alone", "a leader counts on a smaller ISR before the controller has granted it"),
    ("isr-joined-unasked", "the controller takes a broker that is back into the ISR without its leader's word"),
    ("follower-serves-uncommitted", "a follower gives consumers what its high watermark does not cover"),
    ("session-forgets-the-unnamed", "an incremental fetch takes what it does not name out of its session"),
    (
        "session-tells-of-high-watermarks-alone",
        "an incremental answer leaves out a partition whose high watermark has not moved, records and all",
    ),
    ("remote-copy-beyond-high-watermark", "leaders copy segments to the remote store that are not committed"),
    ("local-deleted-uncopied", "local retention lets segments go that are not in the remote store yet"),
    ("remote-lineage-unheeded", "a leader takes all of the remote store for its own, also what is of epochs that its log has parted from"),
    ("remote-deleted-above-log-start", "total retention deletes remote segments, and the log starts where it did"),
    ("duplicate-window-of-one", "a broker recognises only the last batch of a producer when it comes again"),
    ("sequence-unheeded", "a broker takes whatever batch an idempotent producer sends next"),
    ("producers-lost-with-leader", "a new leader knows nothing of the producers that have written before"),
    ("producers-not-truncated", "a broker goes on knowing of batches that it has cut off"),
    ("retry-gets-new-sequence", "an idempotent producer numbers a batch anew when it sends it again"),
    ("remote-outlives-topic", "the remote store keeps what it has of a deleted topic"),
    ("regex-resolved-once", "the coordinator does not look again which topics a regular expression stands for (KIP-848)"),
    ("coordinator-loads-no-offsets", "a new coordinator knows its groups, and nothing of what they committed"),
    ("commit-told-unreplicated", "what a coordinator writes counts when the leader alone has it"),
    ("commits-fetched", "automatic commits go to the end of what was fetched, not of what was handed out"),
    ("new-partitions-unseen", "a group's leader does not notice that a topic has grown"),
    ("producer-ids-twice", "the controller gives the same block of producer ids to whoever asks"),
    ("duplicate-told-the-end", "a batch that comes again is answered with the log's end"),
    ("lost-counts-as-sent", "a producer takes a request without an answer for a success"),
    ("stable-offset-ignores-open", "the last stable offset is the high watermark, whatever transaction is open"),
    ("aborted-list-empty", "a fetch tells of no aborted transactions"),
    ("markers-delivered", "applications are given the records of markers"),
    ("ongoing-outlives-its-producer", "a transaction without its producer is not ended when its time is over"),
    ("transactions-unverified", "a leader takes records of a transaction without asking its coordinator"),
    ("marker-without-coordinator-epoch", "a marker does not say in which epoch its coordinator led"),
    ("heir-gets-the-epoch", "a new instance of a transactional producer gets the epoch of the last one, which is not fenced by it"),
    ("heir-ends-a-commit", "a new instance aborts the transaction of the last one although that is being committed"),
    ("one-partition-marked", "a transaction's end is written to one of its partitions"),
    ("failover-aborts", "a new coordinator aborts what the last one has begun to commit"),
    ("offsets-before-the-commit", "offsets in a transaction count before it has committed"),
    ("assigned-before-revoked", "a partition is given to a member while another has not given it up (KIP-848)"),
    ("aborted-records-shared", "a share group that reads what is committed is given what was aborted"),
    ("share-acquired-twice", "a record that one member of a share group has is given to another"),
    ("share-accepted-comes-again", "a new leader takes what a share group has accepted for available"),
    ("share-begins-behind-the-stored", "a new leader goes on behind all that the state tells of, accepted or not"),
    ("share-delivery-not-counted", "deliveries of a share group's records are not counted"),
    ("share-limit-unheeded", "a share group's record is delivered again however often it was"),
    ("share-lock-for-ever", "a member of a share group keeps what it does not acknowledge"),
    ("share-acknowledged-unstored", "an acknowledgement is answered when the leader knows it, and lost with the leader"),
    ("share-states-begun-again", "a coordinator that takes over has states begun of which there are some"),
    ("share-any-leader-writes", "the share coordinator takes the word of a leader that is one no more"),
    ("quota-window-of-two", "the rate that a quota limits is measured over the newest two samples"),
    ("quota-told-unmuted", "a client is told to wait for its quota, and what it sends meanwhile is taken all the same"),
    ("quota-of-the-default", "whoever has a quota of its own has to keep to the default one"),
    ("quota-thread-wait-unbounded", "who has kept threads too busy waits until all of it is within the limit, be it hours"),
    ("aggregate-counts-again", "an aggregate does not keep how far a row has come, and counts again what is in it after a crash"),
    ("aggregate-forgets-the-older", "an aggregate makes a row of the newest record alone"),
    ("aggregate-new-partitions-unread", "an aggregate does not read partitions that its source gets later"),
    ("quota-wait-unheeded", "a client sends on although an answer asks it to wait"),
];

#[cfg(feature = "mutants")]
mod awake {
    use std::cell::Cell;

    thread_local! {
        static AWAKE: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Whether this mutant is awake in this thread.
    pub fn is(name: &str) -> bool {
        AWAKE.get() == Some(name)
    }

    /// Wakes a mutant in this thread, or puts it to sleep.
    pub fn wake(name: Option<&'static str>) {
        AWAKE.set(name);
    }
}

#[cfg(feature = "mutants")]
pub use awake::{is, wake};

/// No mutant is awake in a build without them.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn is(_name: &str) -> bool {
    false
}
