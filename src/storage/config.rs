//! What a log's settings say: when a segment ends, how long records stay, and what compaction may touch.
//!
//! Owns how a topic's settings lie over its broker's defaults. Knows nothing of where either comes from. Source: `LogConfig`.

use crate::ordered::OrderedMap;
use crate::protocol::settings::{self, Scope, Value};

/// Parts that a share is counted in: whole numbers decide, not floats.
pub const PARTS: u64 = 1_000_000;

/// Local retention that is not set: the same as that of the whole log.
pub const AS_ALL: i64 = -2;

/// Settings of one log, with Kafka's names and defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// `segment.bytes`, or `internal.segment.bytes` where it is given
    pub segment_bytes: u64,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `cleanup.policy` has delete in it.
    pub delete: bool,
    /// `cleanup.policy` has compact in it.
    pub compact: bool,
    /// `retention.ms`; negative: for ever
    pub retention_ms: i64,
    /// `retention.bytes`; negative: no limit
    pub retention_bytes: i64,
    /// `remote.storage.enable`: old segments are in the remote store.
    pub remote: bool,
    /// `remote.log.copy.disable`
    pub remote_copy_disabled: bool,
    /// `remote.log.delete.on.disable`
    pub remote_delete_on_disable: bool,
    /// `local.retention.ms`; [`AS_ALL`]: as `retention.ms`
    pub local_retention_ms: i64,
    /// `local.retention.bytes`; [`AS_ALL`]: as `retention.bytes`
    pub local_retention_bytes: i64,
    /// `min.cleanable.dirty.ratio`, in [`PARTS`]
    pub min_cleanable_dirty_parts: u64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        const WEEK_MS: i64 = 7 * 24 * 3_600_000;
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: WEEK_MS,
            delete: true,
            compact: false,
            retention_ms: WEEK_MS,
            retention_bytes: -1,
            remote: false,
            remote_copy_disabled: false,
            remote_delete_on_disable: false,
            local_retention_ms: AS_ALL,
            local_retention_bytes: AS_ALL,
            min_cleanable_dirty_parts: PARTS / 2,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 24 * 3_600_000,
        }
    }
}

impl LogConfig {
    /// The broker's settings with what a topic sets itself. Its settings were checked when it was made.
    pub fn of_topic(&self, configs: &OrderedMap<String, String>) -> LogConfig {
        let number = |name: &str, default: i64| match value(configs, name) {
            Some(Value::Number(number)) => number,
            _ => default,
        };
        let boolean = |name: &str, default: bool| match value(configs, name) {
            Some(Value::Boolean(given)) => given,
            _ => default,
        };
        let segment_bytes = number("internal.segment.bytes", number("segment.bytes", self.segment_bytes as i64));
        let mut config = LogConfig {
            segment_bytes: segment_bytes.max(0) as u64,
            segment_ms: number("segment.ms", self.segment_ms),
            retention_ms: number("retention.ms", self.retention_ms),
            retention_bytes: number("retention.bytes", self.retention_bytes),
            remote: boolean("remote.storage.enable", self.remote),
            remote_copy_disabled: boolean("remote.log.copy.disable", self.remote_copy_disabled),
            remote_delete_on_disable: boolean("remote.log.delete.on.disable", self.remote_delete_on_disable),
            local_retention_ms: number("local.retention.ms", self.local_retention_ms),
            local_retention_bytes: number("local.retention.bytes", self.local_retention_bytes),
            min_compaction_lag_ms: number("min.compaction.lag.ms", self.min_compaction_lag_ms),
            max_compaction_lag_ms: number("max.compaction.lag.ms", self.max_compaction_lag_ms),
            delete_retention_ms: number("delete.retention.ms", self.delete_retention_ms),
            ..*self
        };
        if let Some(Value::Double(ratio)) = value(configs, "min.cleanable.dirty.ratio") {
            config.min_cleanable_dirty_parts = parts(ratio);
        }
        if let Some(Value::List(policies)) = value(configs, "cleanup.policy") {
            config.set_policies(policies.iter().map(String::as_str));
        }
        config
    }

    /// Takes over the words of `cleanup.policy`.
    pub fn set_policies<'a>(&mut self, policies: impl Iterator<Item = &'a str>) {
        (self.delete, self.compact) = (false, false);
        for policy in policies {
            self.delete |= policy == "delete";
            self.compact |= policy == "compact";
        }
    }

    /// Whether segments are copied to the remote store, and may go here once they are.
    pub fn is_tiering(&self) -> bool {
        self.remote && !self.remote_copy_disabled
    }

    /// Whether old segments go by `retention.ms` and `retention.bytes`. Without any word in `cleanup.policy` only those do that are in the remote
    /// store as well (KIP-1161).
    pub fn goes_by_age(&self) -> bool {
        self.delete || !self.compact && self.is_tiering()
    }

    /// How long records stay on the broker's own disk; negative: for ever.
    pub fn local_ms(&self) -> i64 {
        if self.is_tiering() && self.local_retention_ms != AS_ALL { self.local_retention_ms } else { self.retention_ms }
    }

    /// How many bytes stay on the broker's own disk; negative: no limit.
    pub fn local_bytes(&self) -> i64 {
        if self.is_tiering() && self.local_retention_bytes != AS_ALL { self.local_retention_bytes } else { self.retention_bytes }
    }

    /// How long a segment is filled: what compaction must reach in time has to leave the active segment in time.
    pub fn segment_ms_max(&self) -> i64 {
        if self.compact && 0 < self.max_compaction_lag_ms { self.segment_ms.min(self.max_compaction_lag_ms) } else { self.segment_ms }
    }
}

/// A share between 0 and 1 in [`PARTS`].
pub fn parts(ratio: f64) -> u64 {
    (ratio * PARTS as f64).round() as u64
}

fn value(configs: &OrderedMap<String, String>, name: &str) -> Option<Value> {
    settings::parse(settings::lookup(Scope::Topic, name)?, configs.get(name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_definitions() {
        let defaults = settings::all(Scope::Topic).filter_map(|setting| Some((setting.name.to_owned(), setting.default?.to_owned())));
        let none = LogConfig {
            segment_bytes: 0,
            segment_ms: 0,
            delete: false,
            compact: true,
            retention_ms: 0,
            retention_bytes: 0,
            remote: true,
            remote_copy_disabled: true,
            remote_delete_on_disable: true,
            local_retention_ms: 0,
            local_retention_bytes: 0,
            min_cleanable_dirty_parts: 0,
            min_compaction_lag_ms: 1,
            max_compaction_lag_ms: 0,
            delete_retention_ms: 0,
        };
        assert_eq!(none.of_topic(&defaults.collect()), LogConfig::default());
    }

    #[test]
    fn a_topic_lays_its_own_settings_over_the_brokers() {
        let given = [
            ("cleanup.policy", "compact, delete"),
            ("segment.bytes", "2000000"),
            ("internal.segment.bytes", "100"),
            ("max.compaction.lag.ms", "5000"),
            ("min.cleanable.dirty.ratio", "0.29"),
        ];
        let configs = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = LogConfig { retention_ms: 77, ..LogConfig::default() }.of_topic(&configs);
        assert!(config.delete && config.compact);
        assert_eq!((config.segment_bytes, config.retention_ms, config.min_cleanable_dirty_parts), (100, 77, 290_000));
        assert_eq!(config.segment_ms_max(), 5_000);
    }
}
