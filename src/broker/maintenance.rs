//! What a broker does about its logs from time to time: retention.
//!
//! Every replica is looked after where it is, leader or follower. Which segments go is the log's to know. Source: `LogManager.cleanupLogs`.

use super::Broker;
use crate::node::{Outputs, Time, Timer};

impl Broker {
    pub(super) fn start_maintenance(&mut self, now: Time, out: &mut Outputs) {
        out.timer(now + self.config.log_task_delay, Timer::LogRetention);
    }

    pub(super) fn retention_due(&mut self, now: Time, out: &mut Outputs) {
        let now_ms = self.wall_clock(now);
        for (key, replica) in &mut self.replicas {
            if replica.delete_old_segments(now_ms, out) {
                self.moved.insert(*key);
            }
        }
        out.timer(now + self.config.retention_check_interval, Timer::LogRetention);
    }
}
