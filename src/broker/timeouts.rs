//! A broker's own requests that nobody answers: given up in time, and asked again.
//!
//! Source: `ReplicaFetcherBlockingSend` (`replica.socket.timeout.ms`), `NodeToControllerChannelManager` (`controller.socket.timeout.ms`). A
//! heartbeat needs nothing of it, for the next one comes anyway; nor does the poll of the metadata log, whose death the network tells.

use super::Broker;
use crate::node::{Channel, MS, NodeId, Outputs, Time, Timer};
use crate::replica::PartitionKey;

/// `replica.socket.timeout.ms` and `controller.socket.timeout.ms`, which have the same default.
pub(super) const REQUEST_TIMEOUT: Time = 30_000 * MS;

impl Broker {
    /// Sets the one alarm for all of them: when the first can be due. What is sent later is due later.
    pub(super) fn watch_requests(&self, now: Time, out: &mut Outputs) {
        let fetches = self.fetchers.values().filter_map(super::Fetcher::sent);
        let changes = self.altering.values().map(|(_, sent)| *sent);
        let topics = self.creating.values().map(|(_, sent)| *sent);
        let ids = self.producer_ids.asked.map(|(_, sent)| sent);
        let others = self.marking.values().map(|one| one.sent).chain(self.verifying.values().map(|one| one.sent));
        let oldest = fetches.chain(changes).chain(topics).chain(ids).chain(others).chain(self.share.oldest_sent()).min().unwrap_or(now);
        out.timer((oldest + REQUEST_TIMEOUT).max(now + 1), Timer::RequestTimeouts);
    }

    pub(super) fn time_requests_out(&mut self, now: Time, out: &mut Outputs) {
        let overdue = |sent: Time| sent + REQUEST_TIMEOUT <= now;
        let silent = |(leader, fetcher): (&i32, &super::Fetcher)| fetcher.sent().filter(|sent| overdue(*sent)).map(|_| *leader);
        let leaders: Vec<i32> = self.fetchers.iter().filter_map(silent).collect();
        for leader in leaders {
            out.close(NodeId::Broker(leader), Channel::Data);
            self.fetch_failed(now, leader, out);
        }
        let late = self.marking.values().filter(|one| overdue(one.sent)).map(|one| (one.leader, Channel::Coordinator));
        let late = late.chain(self.verifying.values().filter(|one| overdue(one.sent)).map(|one| (one.coordinator, Channel::Control)));
        late.collect::<Vec<_>>().into_iter().for_each(|(broker, channel)| out.close(NodeId::Broker(broker), channel));
        self.markers_lost(now, |one| overdue(one.sent), out);
        self.verifications_lost(now, |one| overdue(one.sent), out);
        self.share_requests_lost(now, |_, sent| overdue(sent), out);
        // The topic is asked for again by whoever still wants it.
        self.creating.retain(|_, (_, sent)| !overdue(*sent));
        self.producer_ids.asked.take_if(|(_, sent)| overdue(*sent));
        let changes: Vec<(u32, PartitionKey)> =
            self.altering.iter().filter(|(_, (_, sent))| overdue(*sent)).map(|(correlation, (key, _))| (*correlation, *key)).collect();
        if !changes.is_empty()
            && let Some(controller) = self.controllers.leader()
        {
            out.close(controller, Channel::Control);
        }
        for (correlation, key) in changes {
            self.altering.remove(&correlation);
            let wanted = self.replicas.get(&key).and_then(|replica| replica.leader()?.pending_isr.clone());
            if let Some(isr) = wanted {
                self.alter_partition(now, key, isr, out);
            }
        }
        self.watch_requests(now, out);
    }
}
