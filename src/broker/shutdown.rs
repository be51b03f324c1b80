//! Ending in good order: the controller moves the broker's leaderships first, then the logs are flushed and the process ends.
//!
//! Source: `BrokerLifecycleManager.beginControlledShutdown`, `BrokerServer.shutdown`.

use super::Broker;
use crate::node::{MS, NoteKind, Outputs, Time, Timer};
use crate::replica::Replica;

/// How long the broker waits for the controller before it ends all the same (`BrokerServer`'s five minutes).
const TIMEOUT: Time = 300_000 * MS;
/// When it asks again after the first "not yet": sooner than with its usual heartbeat.
const SECOND_HEARTBEAT: Time = 50 * MS;

/// How far the broker is on its way out.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Shutdown {
    #[default]
    No,
    Asked,
    /// The controller has answered that it is not time yet.
    Pending,
}

impl Broker {
    /// Whether it has been told to stop and still runs.
    pub fn is_stopping(&self) -> bool {
        self.shutdown != Shutdown::No
    }

    pub(super) fn stop(&mut self, now: Time, out: &mut Outputs) {
        if self.is_stopping() {
            return;
        }
        self.shutdown = Shutdown::Asked;
        out.note(NoteKind::BrokerStopping);
        if !self.config.controlled_shutdown || self.epoch.is_none() {
            self.end(now, out);
            return;
        }
        out.timer(now + TIMEOUT, Timer::Shutdown);
        self.send_heartbeat(now, out);
    }

    /// The controller has answered a heartbeat that asked to shut down.
    pub(super) fn shutdown_answered(&mut self, now: Time, may: bool, out: &mut Outputs) {
        if may {
            self.end(now, out);
        } else if self.shutdown == Shutdown::Asked {
            self.shutdown = Shutdown::Pending;
            self.next_heartbeat(now + SECOND_HEARTBEAT, out);
        }
    }

    pub(super) fn end(&mut self, now: Time, out: &mut Outputs) {
        self.replicas.values_mut().for_each(|replica| replica.flush(now));
        self.replicas.values_mut().for_each(Replica::checkpoint_high_watermark);
        self.replicas.values_mut().for_each(Replica::checkpoint_log_start);
        self.clean_shutdown = self.epoch;
        out.exits = true;
    }
}
