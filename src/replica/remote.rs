//! The cluster's remote store: one for all brokers, which each of them reaches with a cost (`RemoteStorageManager`, `RemoteLogMetadataManager`).

use super::PartitionKey;
use crate::ordered::OrderedMap;
use crate::protocol::Batch;
use crate::storage::{Log, RemoteLog};

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

    /// Every batch that can be read of a log from `offset` on: what is there only of it, then what is local.
    pub fn readable<'a>(&'a self, key: &PartitionKey, log: &'a Log, offset: i64) -> impl Iterator<Item = &'a Batch> {
        let local_start = log.local_start_offset();
        let remote = self.get(key).map_or_else(Vec::new, |remote| remote.all_batches(log, offset, local_start));
        remote.into_iter().chain(log.batches_from(offset.max(local_start)))
    }

    pub fn logs(&self) -> impl Iterator<Item = (&PartitionKey, &RemoteLog)> {
        self.logs.iter()
    }
}
