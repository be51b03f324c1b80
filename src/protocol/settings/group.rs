//! Settings of groups, where they differ from what the brokers say for all.
//!
//! Source: `GroupConfig` of Kafka 4.3; KIP-848, KIP-932, KIP-1071, KIP-1240.

use super::{Setting, Valid, boolean, int, text};

pub static GROUP: &[Setting] = &[
    int("consumer.heartbeat.interval.ms", "5000", "How often members of a consumer group report.").at_least(1),
    int("consumer.session.timeout.ms", "45000", "A member of a consumer group that is silent for this long is taken out.").at_least(1),
    text("share.auto.offset.reset", "latest", "Where a share group begins to read a partition: latest, earliest or by_duration.")
        .valid(Valid::ShareOffsetReset),
    int("share.delivery.count.limit", "5", "How often a share group's record is delivered at the most.").valid(Valid::Between(2, 10)),
    int("share.heartbeat.interval.ms", "5000", "How often members of a share group report.").at_least(1),
    text("share.isolation.level", "read_uncommitted", "Whether a share group gets records of transactions that are open or were aborted.")
        .valid(Valid::OneOfInAnyCase(&["read_committed", "read_uncommitted"])),
    int("share.partition.max.record.locks", "2000", "Records in flight that a share group may have in a partition.")
        .valid(Valid::Between(100, 10_000)),
    int("share.record.lock.duration.ms", "30000", "How long a member of a share group has a record before it goes back.").at_least(1),
    boolean("share.renew.acknowledge.enable", "true", "Whether members of a share group may renew their locks."),
    int("share.session.timeout.ms", "45000", "A member of a share group that is silent for this long is taken out.").at_least(1),
    int("streams.heartbeat.interval.ms", "5000", "How often members of a streams group report.").at_least(1),
    int("streams.initial.rebalance.delay.ms", "3000", "How long the first rebalance of a streams group waits for more members.")
        .at_least(0),
    int("streams.num.standby.replicas", "0", "Copies of a task's state on other members of a streams group.").at_least(0),
    int("streams.session.timeout.ms", "45000", "A member of a streams group that is silent for this long is taken out.").at_least(1),
];
