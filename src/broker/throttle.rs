//! Replication quotas: with how many bytes a second the replicas that a topic names are copied, out of a broker and into it.
//!
//! Owns the rate, as Kafka measures it: over samples that last a second each, the newest eleven of them. Only replicas that are not in sync wait; what
//! those copy that are in sync is counted all the same. Source: `ReplicationQuotaManager`, `SimpleRate`, `SampledStat`,
//! `ReplicaManager.shouldLeaderThrottle`, `RemoteLeaderEndPoint.shouldFollowerThrottle`; KIP-73.

use super::Broker;
use crate::node::{MS, Time};
use crate::ordered::OrderedMap;
use crate::protocol::Batch;
use crate::protocol::client_quotas::QuotaWindow;
use crate::protocol::wire::size_of_batches;
use crate::replica::{PartitionKey, Replica, Throttled};
use kafka_protocol::messages as k;
use std::collections::VecDeque;

/// What was copied lately: when each sample began, and its bytes.
#[derive(Clone, Default, Debug)]
pub(super) struct Samples {
    samples: VecDeque<(Time, u64)>,
}

impl Samples {
    pub(super) fn record(&mut self, now: Time, window: QuotaWindow, bytes: u64) {
        match self.samples.back_mut().filter(|(since, _)| now < since + window.lasts) {
            Some((_, sum)) => *sum += bytes,
            None => self.samples.push_back((now, bytes)),
        }
        while window.samples < self.samples.len() {
            self.samples.pop_front();
        }
    }

    /// When the oldest sample that counts began, and what was counted since.
    pub(super) fn since(&self, now: Time, window: QuotaWindow) -> Option<(Time, u64)> {
        let horizon = window.lasts.saturating_mul(window.samples as u64);
        let mut counted = self.samples.iter().filter(|(since, _)| now < since.saturating_add(horizon)).peekable();
        let (oldest, _) = counted.peek().copied()?;
        Some((*oldest, counted.map(|(_, bytes)| bytes).sum()))
    }

    /// Whether more was copied than so many bytes in a second. What began just now is taken for a whole sample.
    fn is_exceeded(&self, now: Time, window: QuotaWindow, bytes_per_second: u64) -> bool {
        let Some((oldest, bytes)) = self.since(now, window) else { return false };
        let lasts = window.lasts.max(now - oldest);
        u128::from(bytes_per_second) * u128::from(lasts) < u128::from(bytes) * u128::from(1_000 * MS)
    }
}

/// Which sides of a partition's copying a topic's settings throttle on this broker.
pub(super) fn throttled(configs: &OrderedMap<String, String>, partition: i32, broker: i32) -> Throttled {
    let number = |text: &str| text.trim().parse::<i32>().ok();
    let is_named =
        |one: &str| one.split_once(':').is_some_and(|(index, id)| (number(index), number(id)) == (Some(partition), Some(broker)));
    let is_listed = |setting: &str| configs.get(setting).is_some_and(|list| list.trim().starts_with('*') || list.split(',').any(is_named));
    Throttled {
        as_leader: is_listed("leader.replication.throttled.replicas"),
        as_follower: is_listed("follower.replication.throttled.replicas"),
    }
}

impl Broker {
    /// Whether a follower has to wait for what the leader has for it.
    pub(super) fn holds_back_from(&self, now: Time, replica: &Replica, follower: i32) -> bool {
        let (bound, window) = (self.config.leader_throttle, self.config.quota_window);
        let is_in_sync = || replica.leader().is_some_and(|leader| leader.isr.contains(&follower));
        replica.throttled.as_leader && !is_in_sync() && self.copied_out.is_exceeded(now, window, bound)
    }

    /// An answer goes out to a follower.
    pub(super) fn count_copied_out(&mut self, now: Time, response: &k::FetchResponse, batches: &[Vec<Batch>]) {
        let told = response.responses.iter().flat_map(|topic| topic.partitions.iter().map(|data| (topic.topic_id, data.partition_index)));
        let is_throttled =
            |(topic, index)| self.replicas.get(&PartitionKey { topic, index }).is_some_and(|replica| replica.throttled.as_leader);
        let bytes: u64 = told.zip(batches).filter(|(key, _)| is_throttled(*key)).map(|(_, batches)| size_of_batches(batches)).sum();
        if 0 < bytes {
            self.copied_out.record(now, self.config.quota_window, bytes);
        }
    }

    /// Whether throttled replicas of this broker that are not in sync have to wait before they ask for more.
    pub(super) fn copies_too_much(&self, now: Time) -> bool {
        self.copied_in.is_exceeded(now, self.config.quota_window, self.config.follower_throttle)
    }

    pub(super) fn count_copied_in(&mut self, now: Time, bytes: u64) {
        if 0 < bytes {
            self.copied_in.record(now, self.config.quota_window, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Time = 1_000 * MS;
    const WINDOW: QuotaWindow = QuotaWindow { samples: 3, lasts: SECOND };

    #[test]
    fn the_rate_is_measured_from_the_oldest_sample_on_and_over_one_at_least() {
        let mut quota = Samples::default();
        assert!(!quota.is_exceeded(0, WINDOW, 0), "nothing was copied");
        quota.record(0, WINDOW, 300);
        let exceeded = |quota: &Samples, now, bound| quota.is_exceeded(now, WINDOW, bound);
        assert_eq!([299, 300].map(|bound| exceeded(&quota, 1, bound)), [true, false], "as fast as allowed is not too fast");
        assert_eq!([149, 150].map(|bound| exceeded(&quota, 2 * SECOND, bound)), [true, false]);
        quota.record(2 * SECOND, WINDOW, 300);
        assert_eq!([299, 300].map(|bound| exceeded(&quota, 2 * SECOND, bound)), [true, false]);
        assert_eq!([239, 240].map(|bound| exceeded(&quota, 5 * SECOND / 2, bound)), [true, false], "600 bytes in 2.5 s");
        assert!(!exceeded(&quota, 3 * SECOND, 300) && exceeded(&quota, 3 * SECOND, 299), "the first sample is too old now");
        assert!(!exceeded(&quota, 5 * SECOND, 0));
    }

    #[test]
    fn the_newest_samples_count() {
        let mut quota = Samples::default();
        (0..10).for_each(|number| quota.record(number * SECOND, WINDOW, 100));
        assert_eq!(quota.samples, [(7 * SECOND, 100), (8 * SECOND, 100), (9 * SECOND, 100)]);
        quota.record(9 * SECOND + 1, WINDOW, 5);
        assert_eq!(quota.samples.back(), Some(&(9 * SECOND, 105)), "a sample lasts a second");
    }

    #[test]
    fn a_topic_names_replicas_or_all() {
        let sides = |leader: &str, follower: &str| {
            let configs = [("leader.replication.throttled.replicas", leader), ("follower.replication.throttled.replicas", follower)];
            let found = throttled(&configs.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect(), 2, 13);
            (found.as_leader, found.as_follower)
        };
        assert_eq!(sides("", ""), (false, false));
        assert_eq!(sides("*", "2:13"), (true, true));
        assert_eq!(sides("2:1,13:2, 02:13", "2:3,1:13"), (true, false));
        assert_eq!(throttled(&OrderedMap::new(), 2, 13), Throttled::default());
    }
}
