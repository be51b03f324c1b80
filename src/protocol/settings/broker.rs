//! Settings of brokers and controllers that this engine has a use for.
//!
//! Source: `ReplicationConfigs`, `ServerLogConfigs`, `KRaftConfigs`, `GroupCoordinatorConfig`, `TransactionLogConfig` of Kafka 4.3. Three defaults
//! differ from Kafka's, for clusters that start in a moment: `offsets.topic.num.partitions` and `transaction.state.log.num.partitions` (50 there), and
//! `group.initial.rebalance.delay.ms` (3000 there). What begins with `brokerlab.` is no setting of Kafka's, but a number of this engine's model.

use super::{Kind, Setting, Valid, boolean, double, int, list, long, short, text, unset};

/// 2^63 - 1: never.
const NEVER: &str = "9223372036854775807";

/// The only selector that Kafka brings beside none.
pub const RACK_AWARE_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

pub static BROKER: &[Setting] = &[
    boolean("auto.create.topics.enable", "true", "Whether asking for a topic that does not exist may create it."),
    boolean("auto.leader.rebalance.enable", "true", "Whether the controller moves leadership back to preferred replicas."),
    int("broker.heartbeat.interval.ms", "2000", "How often a broker tells the controller that it lives."),
    int("broker.session.timeout.ms", "9000", "A broker that the controller does not hear for this long is fenced."),
    long("brokerlab.disk.append.us", "100", "Model: microseconds to append a batch; what is above the default is charged.").at_least(0),
    long("brokerlab.disk.bytes.per.second", "500000000", "Model: bytes that a disk takes in a second.").at_least(1),
    long("brokerlab.disk.flush.us", "5000", "Model: microseconds to force a log to disk.").at_least(0),
    int(
        "brokerlab.eligible.leader.replicas.version",
        "1",
        "Feature: 1 with eligible leader replicas (KIP-966), 0 without, as before Kafka 4.1.",
    )
    .valid(Valid::Between(0, 1)),
    long("brokerlab.metadata.records.between.snapshots", "1000", "Model: metadata records after which a controller writes a snapshot.")
        .at_least(1),
    long("brokerlab.network.request.us", "20", "Model: microseconds that a request takes of a network thread.").at_least(0),
    long("brokerlab.page.cache.expire.ms", "30000", "Model: how old a dirty page is when the operating system writes it.").at_least(0),
    long("brokerlab.remote.bytes.per.second", "100000000", "Model: bytes that a broker moves to or from the remote store in a second.")
        .at_least(1),
    long("brokerlab.remote.latency.ms", "20", "Model: how long each request of the remote store takes.").at_least(0),
    long("brokerlab.request.us", "50", "Model: microseconds that a request takes of an io thread, the disk apart.").at_least(0),
    int("brokerlab.transaction.version", "2", "Feature transaction.version: 2 with an epoch for each transaction (KIP-890), 1 as before.")
        .valid(Valid::Between(1, 2)),
    int("compression.gzip.level", "-1", "gzip's level, where topics without one of their own are compressed anew.")
        .valid(Valid::LevelOrDefault(1, 9))
        .dynamic(),
    text("compression.type", "producer", "How topics without a setting of their own store batches.")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .dynamic(),
    boolean("controlled.shutdown.enable", "true", "Whether a stopping broker first gives its leaderships away."),
    int("controller.quorum.election.backoff.max.ms", "1000", "The longest that a successor of a controller waits for those before it."),
    int("controller.quorum.election.timeout.ms", "1000", "How long a candidate for controller waits for votes.").at_least(1),
    int("controller.quorum.fetch.timeout.ms", "2000", "A controller that hears nothing from the leader for this long calls an election.")
        .at_least(1),
    int("controller.quorum.request.timeout.ms", "2000", "How long a controller waits for the answer of another.").at_least(1),
    int("controller.quorum.retry.backoff.ms", "20", "How long a controller waits before it asks another again after an error.").at_least(1),
    int("controller.quota.window.num", "11", "Samples whose worth of partitions a client may have made or deleted at once.").at_least(1),
    int("controller.quota.window.size.seconds", "1", "How long each of these samples lasts.").at_least(1),
    int("default.replication.factor", "1", "Replicas of a topic that is created without a number."),
    boolean("delete.topic.enable", "true", "Whether topics may be deleted."),
    int("fetch.max.bytes", "57671680", "Bytes that a broker answers a fetch with at most.").at_least(1024),
    long("follower.replication.throttled.rate", NEVER, "Bytes in a second that throttled replicas of this broker copy at the most.")
        .at_least(0)
        .dynamic(),
    int("group.consumer.heartbeat.interval.ms", "5000", "How often members of a consumer group report.").at_least(1),
    int("group.consumer.max.heartbeat.interval.ms", "15000", "The longest heartbeat interval that a consumer group may have.").at_least(1),
    int("group.consumer.max.session.timeout.ms", "60000", "The longest session timeout that a consumer group may have.").at_least(1),
    int("group.consumer.max.size", "2147483647", "Members that a consumer group may have.").at_least(1),
    int("group.consumer.min.heartbeat.interval.ms", "5000", "The shortest heartbeat interval that a consumer group may have.").at_least(1),
    int("group.consumer.min.session.timeout.ms", "45000", "The shortest session timeout that a consumer group may have.").at_least(1),
    int("group.consumer.session.timeout.ms", "45000", "A member of a consumer group that is silent for this long is taken out.")
        .at_least(1),
    int("group.initial.rebalance.delay.ms", "0", "How long the first rebalance of an empty classic group waits for more members."),
    int("group.max.session.timeout.ms", "1800000", "The longest session timeout that a classic member may ask for."),
    int("group.max.size", "2147483647", "Members that a classic group may have.").at_least(1),
    int("group.min.session.timeout.ms", "6000", "The shortest session timeout that a classic member may ask for."),
    short("group.share.delivery.count.limit", "5", "How often a share group's record is delivered at the most.")
        .valid(Valid::Between(2, 10)),
    int("group.share.heartbeat.interval.ms", "5000", "How often members of a share group report.").at_least(1),
    short("group.share.max.groups", "1000", "Share groups that there may be.").valid(Valid::Between(1, 10_000)),
    int("group.share.max.heartbeat.interval.ms", "15000", "The longest heartbeat interval that a share group may have.").at_least(1),
    int("group.share.max.record.lock.duration.ms", "60000", "The longest record lock that a share group may have.")
        .valid(Valid::Between(30_000, 3_600_000)),
    int("group.share.max.session.timeout.ms", "60000", "The longest session timeout that a share group may have.").at_least(1),
    int("group.share.max.share.sessions", "2000", "Share sessions that a broker keeps.").at_least(1),
    short("group.share.max.size", "200", "Members that a share group may have.").valid(Valid::Between(1, 1_000)),
    int("group.share.min.heartbeat.interval.ms", "5000", "The shortest heartbeat interval that a share group may have.").at_least(1),
    int("group.share.min.record.lock.duration.ms", "15000", "The shortest record lock that a share group may have.")
        .valid(Valid::Between(1_000, 30_000)),
    int("group.share.min.session.timeout.ms", "45000", "The shortest session timeout that a share group may have.").at_least(1),
    int("group.share.partition.max.record.locks", "2000", "Records in flight that a share group may have in a partition.")
        .valid(Valid::Between(100, 10_000)),
    int("group.share.record.lock.duration.ms", "30000", "How long a member of a share group has a record before it goes back.")
        .valid(Valid::Between(1_000, 3_600_000)),
    int("group.share.session.timeout.ms", "45000", "A member of a share group that is silent for this long is taken out.").at_least(1),
    int("initial.broker.registration.timeout.ms", "60000", "A starting broker that cannot register for this long gives up."),
    long("leader.imbalance.check.interval.seconds", "300", "How often the controller looks whether leaders are the preferred ones.")
        .at_least(1),
    int(
        "leader.imbalance.per.broker.percentage",
        "10",
        "Percent of a broker's partitions that may be led by others before they move back.",
    ),
    long("leader.replication.throttled.rate", NEVER, "Bytes in a second that throttled replicas copy from this broker at the most.")
        .at_least(0)
        .dynamic(),
    long("log.cleaner.backoff.ms", "15000", "How long the cleaner sleeps when there is nothing to compact.").at_least(0).dynamic(),
    long("log.cleaner.delete.retention.ms", "86400000", "How long compaction keeps tombstones, unless the topic says otherwise.")
        .at_least(0)
        .dynamic(),
    long("log.cleaner.max.compaction.lag.ms", NEVER, "After this long a record must be within reach of compaction.").at_least(1).dynamic(),
    double("log.cleaner.min.cleanable.ratio", "0.5", "Share of a log that must be uncompacted before compaction is worth it.")
        .valid(Valid::RealBetween("0", "1"))
        .dynamic(),
    long("log.cleaner.min.compaction.lag.ms", "0", "How long a record is safe from compaction.").at_least(0).dynamic(),
    list("log.cleanup.policy", "delete", "What happens to old records of topics that do not say.")
        .valid(Valid::EachOf(&["compact", "delete"]))
        .dynamic(),
    text("log.dir", "/tmp/kafka-logs", "Where logs lie, if log.dirs is not given."),
    unset("log.dirs", Kind::String, "Directories where logs lie."),
    long("log.flush.interval.messages", NEVER, "After this many records a log is forced to disk.").at_least(1).dynamic(),
    unset("log.flush.interval.ms", Kind::Long, "After this long a log is forced to disk; unset: as log.flush.scheduler.interval.ms.")
        .dynamic(),
    long("log.flush.scheduler.interval.ms", NEVER, "How often the flusher looks whether a log is due."),
    int("log.flush.start.offset.checkpoint.interval.ms", "60000", "How often log start offsets are written to disk.").at_least(0),
    int("log.index.interval.bytes", "4096", "Bytes between two entries of the offset index.").at_least(0).dynamic(),
    long("log.initial.task.delay.ms", "30000", "How long after its start a broker waits before it looks after its logs.").at_least(0),
    long("log.message.timestamp.after.max.ms", "3600000", "How far ahead of the broker's clock a record's time may be.")
        .at_least(0)
        .dynamic(),
    long("log.message.timestamp.before.max.ms", NEVER, "How far behind the broker's clock a record's time may be.").at_least(0).dynamic(),
    text("log.message.timestamp.type", "CreateTime", "Whose time counts in topics that do not say.")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .dynamic(),
    long("log.retention.bytes", "-1", "Bytes of a partition beyond which its oldest segments go; -1: no limit.").dynamic(),
    long("log.retention.check.interval.ms", "300000", "How often retention looks for segments to delete.").at_least(1),
    int("log.retention.hours", "168", "Hours that records are kept, if neither minutes nor milliseconds are given."),
    unset("log.retention.minutes", Kind::Int, "Minutes that records are kept, if milliseconds are not given."),
    unset("log.retention.ms", Kind::Long, "Milliseconds that records are kept; -1: for ever.").dynamic(),
    int("log.roll.hours", "168", "Hours after which a new segment begins, if milliseconds are not given.").at_least(1),
    unset("log.roll.ms", Kind::Long, "Milliseconds after which a new segment begins.").dynamic(),
    int("log.segment.bytes", "1073741824", "Bytes after which a log begins a new segment.").at_least(1_048_576).dynamic(),
    long("log.segment.delete.delay.ms", "60000", "How long a removed segment's file stays.").at_least(0).dynamic(),
    int("max.incremental.fetch.session.cache.slots", "1000", "Fetch sessions that a broker remembers.").at_least(0),
    int("max.request.partition.size.limit", "2000", "Partitions that one answer describes at the most.").at_least(1),
    int("message.max.bytes", "1048588", "Bytes that a batch, as stored, may have.").at_least(0).dynamic(),
    int("min.insync.replicas", "1", "Replicas that must be in sync for a write with acks=all.").at_least(1).dynamic(),
    int("num.io.threads", "8", "Threads that handle requests: so many at a time.").at_least(1).dynamic(),
    int("num.network.threads", "3", "Threads that read requests and send answers; each connection belongs to one.").at_least(1).dynamic(),
    int("num.partitions", "1", "Partitions of a topic that is created without a number.").at_least(1),
    int("offset.metadata.max.bytes", "4096", "Bytes of metadata that a committed offset may carry."),
    int("offsets.commit.timeout.ms", "5000", "How long a commit may wait for the replicas of the offsets topic.").at_least(1),
    long("offsets.retention.check.interval.ms", "600000", "How often the coordinator looks for expired offsets.").at_least(1),
    int("offsets.retention.minutes", "10080", "Minutes that offsets outlive their group's last member.").at_least(1),
    int("offsets.topic.num.partitions", "3", "Partitions of the offsets topic: groups are spread over them.").at_least(1),
    short("offsets.topic.replication.factor", "3", "Replicas of the offsets topic; it cannot be made with fewer brokers.").at_least(1),
    int("offsets.topic.segment.bytes", "104857600", "Bytes of a segment of the offsets topic.").at_least(1),
    int("producer.id.expiration.check.interval.ms", "600000", "How often a broker looks for producers to forget.").at_least(1),
    int("producer.id.expiration.ms", "86400000", "How long a broker remembers a producer that writes nothing.").at_least(1).dynamic(),
    int("queued.max.requests", "500", "Requests that may wait before a broker reads no more.").at_least(1),
    int("quota.window.num", "11", "Samples that the rate of a client quota is measured over.").at_least(1),
    int("quota.window.size.seconds", "1", "How long each of these samples lasts.").at_least(1),
    int("remote.fetch.max.wait.ms", "500", "How long a consumer's fetch waits for the remote store.").at_least(1),
    long(
        "remote.log.manager.task.interval.ms",
        "30000",
        "How often leaders look for segments to copy to the remote store, or to delete there.",
    )
    .at_least(1),
    boolean("remote.log.storage.system.enable", "false", "Whether there is a remote store for topics with tiered storage."),
    int("replica.fetch.backoff.ms", "1000", "How long a follower waits after a partition's fetch failed.").at_least(0),
    int("replica.fetch.max.bytes", "1048576", "Bytes of one partition that a follower fetches at once.").at_least(0),
    int("replica.fetch.min.bytes", "1", "Bytes that a leader waits for before it answers a follower."),
    int("replica.fetch.response.max.bytes", "10485760", "Bytes that a follower fetches at once.").at_least(0),
    int("replica.fetch.wait.max.ms", "500", "How long a leader may hold a follower's fetch back."),
    long("replica.high.watermark.checkpoint.interval.ms", "5000", "How often high watermarks are written to disk."),
    long("replica.lag.time.max.ms", "30000", "A follower that has not caught up for this long leaves the in-sync replicas."),
    unset(
        "replica.selector.class",
        Kind::Class,
        "Which replica consumers read from: unset, the leader; RackAwareReplicaSelector, one in their client.rack.",
    )
    .valid(Valid::OneOf(&["RackAwareReplicaSelector", RACK_AWARE_SELECTOR])),
    int("replication.quota.window.num", "11", "Samples that the rate of throttled replication is measured over.").at_least(1),
    int("replication.quota.window.size.seconds", "1", "How long each of these samples lasts.").at_least(1),
    int("share.coordinator.snapshot.update.records.per.snapshot", "500", "Updates of a share partition's state between two snapshots.")
        .valid(Valid::Between(0, 500)),
    short("share.coordinator.state.topic.min.isr", "2", "Replicas of the share state topic that have to be in sync for a write.")
        .at_least(1),
    int("share.coordinator.state.topic.num.partitions", "3", "Partitions of the share state topic: share partitions are spread over them.")
        .at_least(1),
    short(
        "share.coordinator.state.topic.replication.factor",
        "3",
        "Replicas of the share state topic; it cannot be made with fewer brokers.",
    )
    .at_least(1),
    int("share.coordinator.state.topic.segment.bytes", "104857600", "Bytes of a segment of the share state topic.").at_least(1),
    int("share.coordinator.write.timeout.ms", "5000", "How long a write may wait for the replicas of the share state topic.").at_least(1),
    int("socket.receive.buffer.bytes", "102400", "Bytes of a request that may be on their way unconfirmed; -1: as many as there are."),
    int("socket.request.max.bytes", "104857600", "Bytes that a request may have.").at_least(1),
    int("socket.send.buffer.bytes", "102400", "Bytes of an answer that may be on their way unconfirmed; -1: as many as there are."),
    int(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "10000",
        "How often the coordinator looks for transactions to abort.",
    )
    .at_least(1),
    int("transaction.max.timeout.ms", "900000", "The longest timeout that a transactional producer may ask for.").at_least(1),
    int(
        "add.partitions.to.txn.retry.backoff.ms",
        "20",
        "How long a leader waits before it asks the coordinator again, while a producer's last transaction ends.",
    )
    .at_least(1),
    int(
        "add.partitions.to.txn.retry.backoff.max.ms",
        "100",
        "How long a leader asks again at the most; then the producer is to come again.",
    )
    .at_least(0),
    boolean(
        "transaction.partition.verification.enable",
        "true",
        "Whether a leader asks the coordinator if a transaction is open before it takes records of it.",
    )
    .dynamic(),
    int(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        "3600000",
        "How often the coordinator looks for transactional ids to forget.",
    )
    .at_least(1),
    int("transaction.state.log.min.isr", "2", "Replicas of the transaction topic that must be in sync.").at_least(1),
    int("transaction.state.log.num.partitions", "3", "Partitions of the transaction topic: producers are spread over them.").at_least(1),
    short("transaction.state.log.replication.factor", "3", "Replicas of the transaction topic.").at_least(1),
    int("transaction.state.log.segment.bytes", "104857600", "Bytes of a segment of the transaction topic.").at_least(1),
    int("transactional.id.expiration.ms", "604800000", "How long the coordinator remembers a transactional id that is not used.")
        .at_least(1),
    boolean(
        "unclean.leader.election.enable",
        "false",
        "Whether a replica that is not in sync may lead when no other can: records may be lost.",
    )
    .dynamic(),
    long(
        "unclean.leader.election.interval.ms",
        "300000",
        "How often the controller looks for partitions that only an unclean leader can serve.",
    )
    .at_least(1),
];
