//! Records on their way into batches: one queue of batches for each partition.
//!
//! Source: `RecordAccumulator`, `ProducerBatch`, `BufferPool`. It knows no requests: the sender takes batches out and puts them back to retry.

use crate::client::producer::Outgoing;
use crate::node::{Partition, Time};
use crate::ordered::OrderedMap;
use crate::protocol::{Batch, BatchBuilder, BatchOptions};
use std::collections::VecDeque;

/// A batch of records for one partition.
#[derive(Clone, Debug)]
pub struct ProducerBatch {
    pub created: Time,
    pub records: i32,
    /// Bytes of keys, values and headers: what it takes of `buffer.memory`.
    size: usize,
    pub attempts: u32,
    /// Not before this time: it waits after a failure.
    pub not_before: Time,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Open(Box<BatchBuilder>),
    /// Sent at least once; a retry sends the same bytes.
    Closed(Batch),
}

/// All batches that have not been acknowledged and are not on their way.
#[derive(Clone, Debug)]
pub struct Accumulator {
    batch_size: usize,
    linger: Time,
    buffer_memory: usize,
    queues: OrderedMap<Partition, VecDeque<ProducerBatch>>,
    bytes: usize,
    records: u64,
}

impl Accumulator {
    pub fn new(batch_size: usize, linger: Time, buffer_memory: usize) -> Accumulator {
        Accumulator { batch_size, linger, buffer_memory, queues: OrderedMap::new(), bytes: 0, records: 0 }
    }

    /// From now on no batch waits for more records.
    pub fn flush(&mut self) {
        self.linger = 0;
    }

    /// Records in it.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Whether another record of this size may come in.
    pub fn has_room(&self, size: usize) -> bool {
        self.bytes == 0 || self.bytes + size <= self.buffer_memory
    }

    /// Adds a record to the open batch of its partition, or begins a batch.
    pub fn append(&mut self, now: Time, partition: &Partition, timestamp: i64, record: &Outgoing) {
        let (key, value, headers, size) = (record.key.as_deref(), record.value.as_deref(), record.borrowed_headers(), record.size());
        let queue = self.queues.or_default(partition.clone());
        self.bytes += size;
        self.records += 1;
        if let Some(ProducerBatch { content: Content::Open(builder), records, size: batch_size, .. }) = queue.back_mut()
            && builder.size_with(timestamp, key, value, &headers) <= self.batch_size
        {
            builder.append(timestamp, key, value, &headers);
            *records += 1;
            *batch_size += size;
            return;
        }
        let mut builder = BatchBuilder::new(BatchOptions::default(), 0);
        builder.append(timestamp, key, value, &headers);
        queue.push_back(ProducerBatch {
            created: now,
            records: 1,
            size,
            attempts: 0,
            not_before: 0,
            content: Content::Open(Box::new(builder)),
        });
    }

    /// When the first batch of a partition may be sent.
    fn ready_at(&self, queue: &VecDeque<ProducerBatch>) -> Option<Time> {
        let first = queue.front()?;
        let full = 1 < queue.len()
            || match &first.content {
                Content::Open(builder) => self.batch_size <= builder.size(),
                Content::Closed(_) => true,
            };
        Some(if full { first.not_before } else { (first.created + self.linger).max(first.not_before) })
    }

    /// The partitions with a batch, and when each may be sent.
    pub fn ready(&self) -> impl Iterator<Item = (&Partition, Time)> {
        self.queues.iter().filter_map(|(partition, queue)| Some((partition, self.ready_at(queue)?)))
    }

    /// Takes the first batch of a partition out to be sent.
    pub fn drain(&mut self, partition: &Partition) -> Option<(ProducerBatch, Batch)> {
        let mut batch = self.queues.get_mut(partition)?.pop_front()?;
        let closed = match batch.content {
            Content::Open(builder) => Batch::from_wire(builder.build()).expect("a batch that was just built has a header"),
            Content::Closed(closed) => closed,
        };
        batch.content = Content::Closed(closed.clone());
        self.left(&batch);
        Some((batch, closed))
    }

    /// Puts a batch back at the head of its queue, to be sent again.
    pub fn put_back(&mut self, partition: &Partition, batch: ProducerBatch) {
        self.bytes += batch.size;
        self.records += batch.records as u64;
        self.queues.or_default(partition.clone()).push_front(batch);
    }

    /// Takes out the batches that were begun before `limit`.
    pub fn expired(&mut self, limit: Time) -> Vec<(Partition, ProducerBatch)> {
        let mut expired = Vec::new();
        for (partition, queue) in &mut self.queues {
            while let Some(batch) = queue.pop_front_if(|batch| batch.created < limit) {
                expired.push((partition.clone(), batch));
            }
        }
        expired.iter().for_each(|(_, batch)| self.left(batch));
        expired
    }

    /// When the oldest batch was begun.
    pub fn oldest(&self) -> Option<Time> {
        self.queues.values().filter_map(|queue| queue.front()).map(|batch| batch.created).min()
    }

    fn left(&mut self, batch: &ProducerBatch) {
        self.records -= batch.records as u64;
        self.bytes -= batch.size;
    }
}
