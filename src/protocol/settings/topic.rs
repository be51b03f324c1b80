//! Settings of topics.
//!
//! Source: `LogConfig`, `TopicConfig`, `ServerLogConfigs` of Kafka 4.3. Their defaults are the brokers' settings of similar names.

use super::{Kind, Setting, Valid, boolean, double, int, list, long, text, unset};

/// 2^63 - 1: never.
const NEVER: &str = "9223372036854775807";

pub static TOPIC: &[Setting] = &[
    list("cleanup.policy", "delete", "What happens to old records: delete by age and size, or compact to the last of each key, or both.")
        .valid(Valid::EachOf(&["compact", "delete"])),
    int("compression.gzip.level", "-1", "gzip's level, if the broker compresses anew.").valid(Valid::LevelOrDefault(1, 9)),
    int("compression.lz4.level", "9", "lz4's level, if the broker compresses anew.").valid(Valid::Between(1, 17)),
    text("compression.type", "producer", "How the broker stores batches; producer: as they came.").valid(Valid::OneOf(&[
        "uncompressed",
        "zstd",
        "lz4",
        "snappy",
        "gzip",
        "producer",
    ])),
    int("compression.zstd.level", "3", "zstd's level, if the broker compresses anew.").valid(Valid::Between(-131_072, 22)),
    long("delete.retention.ms", "86400000", "How long compaction keeps a tombstone or marker, so that slow readers see it.").at_least(0),
    long("file.delete.delay.ms", "60000", "How long a removed segment's file stays.").at_least(0),
    long("flush.messages", NEVER, "After this many records the log is forced to disk; by default replication is trusted instead.")
        .at_least(1),
    long("flush.ms", NEVER, "After this long the log is forced to disk; by default replication is trusted instead.").at_least(0),
    list(
        "follower.replication.throttled.replicas",
        "",
        "Replicas whose copying is slowed on the follower's side, as partition:broker or *.",
    )
    .valid(Valid::Replicas),
    int("index.interval.bytes", "4096", "Bytes between two entries of the offset index.").at_least(0),
    unset("internal.segment.bytes", Kind::Int, "A segment's size below what segment.bytes allows; for tests and small scenes."),
    list("leader.replication.throttled.replicas", "", "Replicas whose copying is slowed on the leader's side, as partition:broker or *.")
        .valid(Valid::Replicas),
    long("local.retention.bytes", "-2", "Bytes kept locally with tiered storage; -2: as retention.bytes.").at_least(-2),
    long("local.retention.ms", "-2", "How long records stay locally with tiered storage; -2: as retention.ms.").at_least(-2),
    long("max.compaction.lag.ms", NEVER, "After this long a record must be within reach of compaction.").at_least(1),
    int("max.message.bytes", "1048588", "Bytes that a batch, as stored, may have.").at_least(0),
    long("message.timestamp.after.max.ms", "3600000", "How far ahead of the broker's clock a record's time may be.").at_least(0),
    long("message.timestamp.before.max.ms", NEVER, "How far behind the broker's clock a record's time may be.").at_least(0),
    text("message.timestamp.type", "CreateTime", "Whose time counts: the producer's or the leader's at the append.")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"])),
    double("min.cleanable.dirty.ratio", "0.5", "Share of the log that must be uncompacted before compaction is worth it.")
        .valid(Valid::RealBetween("0", "1")),
    long("min.compaction.lag.ms", "0", "How long a record is safe from compaction.").at_least(0),
    int("min.insync.replicas", "1", "Replicas that must be in sync for a write with acks=all, and for the high watermark to move.")
        .at_least(1),
    boolean("preallocate", "false", "Whether a new segment's file gets its full size at once."),
    boolean("remote.log.copy.disable", "false", "Whether tiered storage only reads."),
    boolean("remote.log.delete.on.disable", "false", "Whether switching tiered storage off deletes what it holds."),
    boolean("remote.storage.enable", "false", "Whether old segments move to tiered storage."),
    long("retention.bytes", "-1", "Bytes of a partition beyond which its oldest segments go; -1: no limit."),
    long("retention.ms", "604800000", "How long records are kept; -1: for ever.").at_least(-1),
    int("segment.bytes", "1073741824", "Bytes after which the log begins a new segment.").at_least(1_048_576),
    int("segment.index.bytes", "10485760", "Bytes that an index file may have.").at_least(4),
    long("segment.jitter.ms", "0", "Random time taken off segment.ms, so that segments do not all end at once.").at_least(0),
    long("segment.ms", "604800000", "After this long the log begins a new segment, full or not.").at_least(1),
    boolean(
        "unclean.leader.election.enable",
        "false",
        "Whether a replica that is not in sync may lead when no other can: records may be lost.",
    ),
];
