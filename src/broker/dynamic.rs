//! Settings that are changed while the broker runs: the metadata says them.
//!
//! Owns what each of them does. That of a broker itself goes before that of all, and both before what it was started with. Source:
//! `DynamicBrokerConfig`, `DynamicLogConfig`, `DynamicThreadPool`; KIP-226.

use super::{Broker, BrokerConfig};
use crate::cost::NEVER;
use crate::mutant;
use crate::node::{MS, Outputs, Time};
use crate::protocol::settings::{self, Scope, Value};
use crate::protocol::{Codec, Compression};
use crate::storage;

impl Broker {
    /// Goes by what the metadata says of its settings, if that may be something new.
    pub(super) fn reconfigure(&mut self, now: Time, out: &mut Outputs) {
        if !std::mem::take(&mut self.may_have_other_configs) || mutant::is("broker-configs-of-the-start") {
            return;
        }
        self.config = BrokerConfig::clone(&self.started_with);
        for whose in [None, Some(self.id)] {
            for (name, text) in self.image.broker_configs.get(&whose).into_iter().flatten() {
                self.config.set(name, text);
            }
        }
        // Logs and leaders take theirs over with their roles.
        self.unpublished.extend(self.replicas.keys().copied());
        self.work.limit_network_threads(self.config.costs.network_threads);
        self.feed_threads(now, out);
    }
}

impl BrokerConfig {
    /// Takes a setting over that was checked when it was decided.
    fn set(&mut self, name: &str, text: &str) {
        let Some(Ok(value)) = settings::lookup(Scope::Broker, name).map(|setting| settings::parse(setting, text)) else { return };
        let (log, rules, costs) = (&mut self.log, &mut self.log_rules, &mut self.costs);
        match (name, value) {
            ("compression.gzip.level", Value::Number(level)) => rules.gzip_level = Compression::gzip(Some(level)).gzip_level,
            ("compression.type", Value::Text(codec)) => rules.codec = Codec::of_name(&codec),
            ("follower.replication.throttled.rate", Value::Number(bytes)) => self.follower_throttle = bytes as u64,
            ("leader.replication.throttled.rate", Value::Number(bytes)) => self.leader_throttle = bytes as u64,
            ("log.cleaner.backoff.ms", Value::Number(ms)) => self.cleaner_backoff = millis(ms).max(MS),
            ("log.cleaner.delete.retention.ms", Value::Number(ms)) => log.delete_retention_ms = ms,
            ("log.cleaner.max.compaction.lag.ms", Value::Number(ms)) => log.max_compaction_lag_ms = ms,
            ("log.cleaner.min.cleanable.ratio", Value::Double(ratio)) => log.min_cleanable_dirty_parts = storage::config::parts(ratio),
            ("log.cleaner.min.compaction.lag.ms", Value::Number(ms)) => log.min_compaction_lag_ms = ms,
            ("log.cleanup.policy", Value::List(policies)) => {
                log.set_policies(policies.iter().map(String::as_str));
                rules.compacted = log.compact;
            }
            ("log.flush.interval.messages", Value::Number(messages)) => costs.flush_rule.messages = messages,
            ("log.flush.interval.ms", Value::Number(ms)) => costs.flush_rule.after = (ms != NEVER).then(|| millis(ms)),
            ("log.message.timestamp.after.max.ms", Value::Number(ms)) => rules.timestamp_after_max_ms = ms,
            ("log.message.timestamp.before.max.ms", Value::Number(ms)) => rules.timestamp_before_max_ms = ms,
            ("log.message.timestamp.type", Value::Text(kind)) => rules.log_append_time = kind == "LogAppendTime",
            ("log.retention.bytes", Value::Number(bytes)) => log.retention_bytes = bytes,
            ("log.retention.ms", Value::Number(ms)) => log.retention_ms = ms,
            ("log.roll.ms", Value::Number(ms)) => log.segment_ms = ms,
            ("log.segment.bytes", Value::Number(bytes)) => log.segment_bytes = bytes as u64,
            ("message.max.bytes", Value::Number(bytes)) => rules.message_max_bytes = bytes as usize,
            ("min.insync.replicas", Value::Number(replicas)) => self.min_insync_replicas = replicas as usize,
            ("num.io.threads", Value::Number(threads)) => costs.io_threads = threads as usize,
            ("num.network.threads", Value::Number(threads)) => costs.network_threads = threads as u32,
            ("producer.id.expiration.ms", Value::Number(ms)) => self.producer_id_expiration_ms = ms,
            ("transaction.partition.verification.enable", Value::Boolean(verifies)) => self.verifies_transactions = verifies,
            // What only the controller goes by.
            _ => {}
        }
    }
}

/// Far beyond any session, and still addable to any time.
fn millis(ms: i64) -> Time {
    Time::try_from(ms).unwrap_or(0).saturating_mul(MS).min(1 << 60)
}
