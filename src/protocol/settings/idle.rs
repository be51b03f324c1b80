//! Settings of Kafka's brokers that nothing here has a use for: whoever brings a broker's file along need not take them out.
//!
//! Source: the broker's config classes of Kafka 4.3. One text and not a table of settings: the page downloads it. A line is the first letter of the
//! type (`T` a text, `C` a class, `V` a list), the least number that is allowed if there is one, and the name. Those of encryption and authentication
//! are the clients' too and stand in [`super::security`].

use super::{Kind, Setting, Valid};

const IDLE: &str = "\
T advertised.listeners
C alter.config.policy.class.name
I1 alter.log.dirs.replication.quota.window.num
I1 alter.log.dirs.replication.quota.window.size.seconds
T authorizer.class.name
I1 background.threads
I broker.id
T broker.rack
C client.quota.callback.class
I1 compression.lz4.level
I compression.zstd.level
V config.providers
I0 connection.failed.authentication.delay.ms
L connections.max.idle.ms
L connections.max.reauth.ms
T controller.listener.names
L0 controller.performance.always.log.threshold.ms
L100 controller.performance.sample.period.ms
I0 controller.quorum.append.linger.ms
B controller.quorum.auto.join.enable
V controller.quorum.bootstrap.servers
I1 controller.quorum.fetch.max.bytes
I1 controller.quorum.fetch.snapshot.max.bytes
V controller.quorum.voters
I controller.socket.timeout.ms
C create.topic.policy.class.name
L1 delegation.token.expiry.check.interval.ms
L1 delegation.token.expiry.time.ms
L1 delegation.token.max.lifetime.ms
P delegation.token.secret.key
I delete.records.purgatory.purge.interval.requests
T early.start.listeners
I fetch.purgatory.purge.interval.requests
I0 group.consumer.assignment.interval.ms
V group.consumer.assignors
T group.consumer.migration.policy
I0 group.consumer.regex.refresh.interval.ms
I group.coordinator.append.linger.ms
I1 group.coordinator.cached.buffer.max.bytes
V group.coordinator.rebalance.protocols
I1 group.coordinator.threads
I0 group.share.assignment.interval.ms
V group.share.assignors
I1 group.share.initialize.retry.interval.ms
I1 group.share.max.delivery.count.limit
I1 group.share.max.partition.max.record.locks
I1 group.share.min.delivery.count.limit
I1 group.share.min.partition.max.record.locks
T group.share.persister.class.name
I0 group.streams.assignment.interval.ms
I1 group.streams.heartbeat.interval.ms
I0 group.streams.initial.rebalance.delay.ms
I1 group.streams.max.heartbeat.interval.ms
I1 group.streams.max.session.timeout.ms
I1 group.streams.max.size
I0 group.streams.max.standby.replicas
I1 group.streams.min.heartbeat.interval.ms
I1 group.streams.min.session.timeout.ms
I0 group.streams.num.standby.replicas
I1 group.streams.session.timeout.ms
S0 group.version
T inter.broker.listener.name
I1 kafka.metrics.polling.interval.secs
V kafka.metrics.reporters
T listener.security.protocol.map
V listeners
L log.cleaner.dedupe.buffer.size
B log.cleaner.enable
D log.cleaner.io.buffer.load.factor
I0 log.cleaner.io.buffer.size
D log.cleaner.io.max.bytes.per.second
I0 log.cleaner.threads
L1 log.dir.failure.timeout.ms
I0 log.flush.offset.checkpoint.interval.ms
I4 log.index.size.max.bytes
L-2 log.local.retention.bytes
L-2 log.local.retention.ms
B log.preallocate
I0 log.roll.jitter.hours
L log.roll.jitter.ms
I0 max.connection.creation.rate
I0 max.connections
I0 max.connections.per.ip
T max.connections.per.ip.overrides
T metadata.log.dir
L1 metadata.log.max.record.bytes.between.snapshots
L0 metadata.log.max.snapshot.interval.ms
I12 metadata.log.segment.bytes
L metadata.log.segment.ms
I0 metadata.max.idle.interval.ms
L metadata.max.retention.bytes
L metadata.max.retention.ms
V metric.reporters
I1 metrics.num.samples
T metrics.recording.level
L1 metrics.sample.window.ms
I0 node.id
I1 num.recovery.threads.per.data.dir
I num.replica.alter.log.dirs.threads
I1 num.replica.fetchers
I1 offsets.load.buffer.size
I offsets.topic.compression.codec
C principal.builder.class
V process.roles
I producer.purgatory.purge.interval.requests
L queued.max.request.bytes
L1 remote.list.offsets.request.timeout.ms
L1 remote.log.index.file.cache.total.size.bytes
I-1 remote.log.manager.copier.thread.pool.size
L1 remote.log.manager.copy.max.bytes.per.second
I1 remote.log.manager.copy.quota.window.num
I1 remote.log.manager.copy.quota.window.size.seconds
I-1 remote.log.manager.expiration.thread.pool.size
L1 remote.log.manager.fetch.max.bytes.per.second
I1 remote.log.manager.fetch.quota.window.num
I1 remote.log.manager.fetch.quota.window.size.seconds
I1 remote.log.manager.follower.thread.pool.size
L1 remote.log.manager.task.retry.backoff.max.ms
L1 remote.log.manager.task.retry.backoff.ms
D remote.log.manager.task.retry.jitter
I1 remote.log.manager.thread.pool.size
I0 remote.log.metadata.custom.metadata.max.bytes
T remote.log.metadata.manager.class.name
T remote.log.metadata.manager.class.path
T remote.log.metadata.manager.impl.prefix
T remote.log.metadata.manager.listener.name
I1 remote.log.reader.max.pending.tasks
I1 remote.log.reader.threads
T remote.log.storage.manager.class.name
T remote.log.storage.manager.class.path
T remote.log.storage.manager.impl.prefix
L0 replica.alter.log.dirs.io.max.bytes.per.second
I replica.socket.receive.buffer.bytes
I replica.socket.timeout.ms
I request.timeout.ms
V sasl.enabled.mechanisms
V sasl.kerberos.principal.to.local.rules
T sasl.mechanism.controller.protocol
T sasl.mechanism.inter.broker.protocol
C sasl.server.callback.handler.class
I sasl.server.max.receive.size
T security.inter.broker.protocol
L0 server.max.startup.time.ms
I share.coordinator.append.linger.ms
I1 share.coordinator.cached.buffer.max.bytes
I1 share.coordinator.cold.partition.snapshot.interval.ms
I1 share.coordinator.load.buffer.size
I share.coordinator.state.topic.compression.codec
I1 share.coordinator.state.topic.prune.interval.ms
I1 share.coordinator.threads
I share.fetch.purgatory.purge.interval.requests
L socket.connection.setup.timeout.max.ms
L socket.connection.setup.timeout.ms
I1 socket.listen.backlog.size
B ssl.allow.dn.changes
B ssl.allow.san.changes
T ssl.client.auth
T ssl.principal.mapping.rules
I1 telemetry.max.bytes
I1 transaction.state.log.load.buffer.size
B transaction.two.phase.commit.enable
B unstable.api.versions.enable
B unstable.feature.versions.enable";

/// The setting of this name, also as Python clients write it.
pub fn idle(name: &str) -> Option<Setting> {
    let known = IDLE.lines().filter_map(|line| line.split_once(' '));
    let (kind, name) = known.into_iter().find(|(_, known)| super::is_named(name, known))?;
    let (kind, least) = kind.split_at(1);
    let kind = match kind {
        "B" => Kind::Boolean,
        "S" => Kind::Short,
        "I" => Kind::Int,
        "L" => Kind::Long,
        "D" => Kind::Double,
        "V" => Kind::List,
        "C" => Kind::Class,
        "P" => Kind::Password,
        _ => Kind::String,
    };
    let setting = Setting::new(name, kind, None, "");
    Some(least.parse().map_or(setting, |least| setting.valid(Valid::AtLeast(least))))
}

#[cfg(test)]
mod tests {
    use super::super::{Scope, all};
    use super::*;

    #[test]
    fn every_line_is_a_setting_that_stands_nowhere_else() {
        let names: Vec<&str> = IDLE.lines().map(|line| line.split_once(' ').expect("a type and a name").1).collect();
        for name in &names {
            assert_eq!(idle(name).map(|setting| setting.name), Some(*name));
            assert!(all(Scope::Broker).all(|setting| setting.name != *name), "{name}");
        }
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "in the order of their names");
    }
}
