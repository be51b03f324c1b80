//! A broker that wants to stop: its leaderships go to others first.
//!
//! Source: KIP-631, KIP-841; `BrokerHeartbeatManager.calculateNextBrokerState`, `ReplicationControlManager.handleBrokerInControlledShutdown`.

use super::Controller;
use crate::node::{NoteKind, Outputs};
use crate::protocol::metadata::MetadataRecord;

impl Controller {
    /// Whether the broker may end now. At first it is taken out of its ISRs; then the live brokers must have heard who leads instead.
    pub(super) fn may_shut_down(&mut self, broker: i32, out: &mut Outputs) -> bool {
        let Some(known) = self.image.brokers.get(&broker) else { return true };
        let epoch = known.epoch;
        if !known.fenced && !known.shutting_down && self.leads_something(broker) {
            self.decide(MetadataRecord::BrokerShuttingDown { broker, epoch });
            out.note(NoteKind::BrokerShuttingDown { broker });
            self.leave_all_isrs(broker, out);
            if let Some(session) = self.sessions.get_mut(&broker) {
                session.shutdown_offset = Some(self.image.next_offset - 1);
            }
            return false;
        }
        let heard = |offset: i64| offset <= self.lowest_live_offset();
        if self.leads_something(broker)
            || self.sessions.get(&broker).and_then(|session| session.shutdown_offset).is_some_and(|offset| !heard(offset))
        {
            return false;
        }
        self.fence(broker, out);
        // Its next process need not wait until this one's session expires.
        self.sessions.remove(&broker);
        true
    }

    fn leads_something(&self, broker: i32) -> bool {
        self.image.topics.values().flat_map(|topic| &topic.partitions).any(|state| state.leader == Some(broker))
    }

    /// What every live broker has of the metadata log, as far as their heartbeats tell.
    fn lowest_live_offset(&self) -> i64 {
        let live = self.sessions.iter().filter(|(broker, _)| self.image.is_live(**broker));
        live.map(|(_, session)| session.metadata_offset).min().unwrap_or(i64::MAX)
    }
}
