//! Which replica a consumer should read from: one in its own rack costs less to reach.
//!
//! Source: `ReplicaManager.findPreferredReadReplica`, `RackAwareReplicaSelector`; KIP-392. Only a leader knows: it has seen how far its followers are.

use super::Broker;
use crate::replica::Replica;

impl Broker {
    /// The replica in this rack that is to be read from at this offset; `None`: this one, or nobody better is known.
    pub(super) fn read_replica(&self, replica: &Replica, rack: &str, offset: i64) -> Option<i32> {
        let leader = replica.leader().filter(|_| self.config.reads_by_rack && !rack.is_empty())?;
        let is_near =
            |broker: i32| self.image.brokers.get(&broker).is_some_and(|known| !known.fenced && known.rack.as_deref() == Some(rack));
        if is_near(self.id) {
            return None;
        }
        leader.read_replica(offset, is_near)
    }
}
