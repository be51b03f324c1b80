//! The cluster's remote store: one for all brokers, which each of them reaches with a cost (`RemoteStorageManager`, `RemoteLogMetadataManager`).

use super::PartitionKey;
use crate::ordered::OrderedMap;
use crate::storage::RemoteLog;

/// What is in it, by partition.
#[derive(Clone, Default, Debug)]
pub struct RemoteStore {
    logs: OrderedMap<PartitionKey, RemoteLog>,
}

impl RemoteStore {
    pub fn get(&self, key: &PartitionKey) -> Option<&RemoteLog> {
        self.logs.get(key)
    }

    pub fn log(&mut self, key: PartitionKey) -> &mut RemoteLog {
        self.logs.or_default(key)
    }

    /// Nothing will ever be added to this partition's part.
    pub fn remove(&mut self, key: &PartitionKey) {
        self.logs.remove(key);
    }

    pub fn logs(&self) -> impl Iterator<Item = (&PartitionKey, &RemoteLog)> {
        self.logs.iter()
    }
}
