//! What a broker does about its logs from time to time: retention, compaction, and forgetting producers.
//!
//! Every replica is looked after where it is, leader or follower. Which segments go, and what of them stays, is the log's to know. Compacted logs are
//! the cleaner's alone: it also lets go what is old in them, so that the two never meet. Source: `LogManager.cleanupLogs`, `LogCleaner`. There is one
//! cleaner thread, as by default (`log.cleaner.threads`); what it reads and writes is charged where the disk is slow.

use super::Broker;
use crate::node::{Outputs, Time, Timer};

impl Broker {
    pub(super) fn start_maintenance(&mut self, now: Time, out: &mut Outputs) {
        out.timer(now + self.config.log_task_delay, Timer::LogRetention);
        out.timer(now + self.config.log_task_delay, Timer::LogStartCheckpoint);
        out.timer(now + self.config.cleaner_backoff, Timer::LogCleaner);
        out.timer(now + self.config.producer_expiration_interval, Timer::ProducerExpiration);
        out.timer(now + self.config.offsets_retention_check, Timer::OffsetsRetention);
        if let Some(interval) = self.config.remote_task_interval {
            out.timer(now + interval, Timer::RemoteLog);
        }
    }

    pub(super) fn retention_due(&mut self, now: Time, out: &mut Outputs) {
        self.delete_old_segments(now, false, out);
        out.timer(now + self.config.retention_check_interval, Timer::LogRetention);
    }

    /// Forgets producers that have been silent for long (`ProducerStateManager.removeExpiredProducers`).
    pub(super) fn expire_producers(&mut self, now: Time, out: &mut Outputs) {
        let (now_ms, expiration_ms) = (self.wall_clock(now), self.config.producer_id_expiration_ms);
        self.replicas.values_mut().for_each(|replica| replica.log.expire_producers(now_ms, expiration_ms));
        out.timer(now + self.config.producer_expiration_interval, Timer::ProducerExpiration);
    }

    pub(super) fn cleaner_due(&mut self, now: Time, out: &mut Outputs) {
        let now_ms = self.wall_clock(now);
        let bytes: u64 = self.replicas.values_mut().filter_map(|replica| replica.compact(now_ms, out)).sum();
        if self.charged && 0 < bytes {
            self.write_beside_requests(now, bytes);
        }
        self.delete_old_segments(now, true, out);
        out.timer(now + self.config.cleaner_backoff, Timer::LogCleaner);
    }

    fn delete_old_segments(&mut self, now: Time, compacted: bool, out: &mut Outputs) {
        let now_ms = self.wall_clock(now);
        for (key, replica) in &mut self.replicas {
            if replica.log.config().compact == compacted && replica.delete_old_segments(now_ms, out) {
                self.moved.insert(*key);
            }
        }
    }
}
