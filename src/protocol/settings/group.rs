//! Settings of groups, where they differ from what the brokers say for all.
//!
//! Source: `GroupConfig` of Kafka 4.3; KIP-932, KIP-1240.

use super::{Setting, Valid, int, text};

pub static GROUP: &[Setting] = &[
    int("consumer.heartbeat.interval.ms", "5000", "How often members of a consumer group report.").at_least(1),
    int("consumer.session.timeout.ms", "45000", "A member of a consumer group that is silent for this long is taken out.").at_least(1),
    text("share.auto.offset.reset", "latest", "Where a share group begins to read a partition: latest, earliest or by_duration.")
        .valid(Valid::ShareOffsetReset),
    int("share.delivery.count.limit", "5", "How often a share group's record is delivered at the most.").valid(Valid::Between(2, 10)),
    int("share.heartbeat.interval.ms", "5000", "How often members of a share group report.").at_least(1),
    int("share.partition.max.record.locks", "2000", "Records in flight that a share group may have in a partition.")
        .valid(Valid::Between(100, 10_000)),
    int("share.record.lock.duration.ms", "30000", "How long a member of a share group has a record before it goes back.").at_least(1),
    int("share.session.timeout.ms", "45000", "A member of a share group that is silent for this long is taken out.").at_least(1),
];
