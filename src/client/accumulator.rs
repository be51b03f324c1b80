//! Records on their way into batches: one queue of batches for each partition.
//!
//! A batch is full by its estimated size: it is compressed when it is taken out to be sent, not before. One that a broker finds too large is split.
//! Source: `RecordAccumulator`, `ProducerBatch`, `BufferPool`. It knows no requests: the sender takes batches out and puts them back to retry.

use crate::client::compression_ratio::{CompressionRatios, Ratio, estimated, ratio};
use crate::client::idempotence::Sequence;
use crate::client::producer::{Draft, Outgoing};
use crate::node::{Partition, Time, TopicName};
use crate::ordered::OrderedMap;
use crate::protocol::batch::{HEADER_SIZE, increment_sequence};
use crate::protocol::{Batch, BatchBuilder, BatchOptions, Codec, Compression};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

/// A batch of records for one partition.
#[derive(Clone, Debug)]
pub struct ProducerBatch {
    pub created: Time,
    pub records: i32,
    /// Bytes that it takes of `buffer.memory` until it is answered: `batch.size`, or what its first record needs if that is more.
    pub memory: usize,
    pub attempts: u32,
    /// Not before this time: it waits after a failure.
    pub not_before: Time,
    /// Of the leader that it was sent to last.
    pub leader_epoch: i32,
    /// Part of one that was too large.
    split: bool,
    /// It has failed while it was under way: what its request is answered tells the application nothing more (`ProducerBatch.done`).
    pub is_done: bool,
    /// Where it stands in its partition's order, once it has left for the first time; `None`: it has not, or its producer is not idempotent.
    pub sequence: Option<Sequence>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Open(Box<Open>),
    /// Compressed, and but for parts of a split batch sent at least once; a retry sends the same bytes.
    Closed(Batch, Ratio),
}

impl ProducerBatch {
    /// It gets another place in the order, in a newer epoch.
    pub fn renumber(&mut self, sequence: Sequence) {
        self.sequence = Some(sequence);
        if let Content::Closed(batch, _) = &mut self.content {
            *batch = batch.with_producer(sequence.identity.id, sequence.identity.epoch, sequence.base);
        }
    }
}

/// A batch that takes records.
#[derive(Clone, Debug)]
struct Open {
    builder: BatchBuilder,
    compression: Compression,
    /// What its records are expected to compress to.
    ratio: Ratio,
    /// `batch.size`, or what the first record needs if that is more.
    limit: usize,
}

impl Open {
    fn new(compression: Compression, transactional: bool, ratio: Ratio, limit: usize) -> Open {
        let builder = BatchBuilder::new(BatchOptions { compression, transactional, ..BatchOptions::default() }, limit);
        Open { builder, compression, ratio, limit }
    }

    /// Bytes that the batch will have, as far as one knows.
    fn size(&self) -> usize {
        match self.compression.codec {
            Codec::None => self.builder.size(),
            _ => HEADER_SIZE + estimated(self.builder.size() - HEADER_SIZE, self.ratio),
        }
    }

    fn is_full(&self) -> bool {
        !self.builder.is_empty() && self.limit <= self.size()
    }

    /// Takes a record if there is room: the first one always, others as if they did not compress.
    fn append(&mut self, timestamp: i64, record: &Draft<'_>) -> bool {
        let room = if self.builder.is_empty() { usize::MAX } else { self.limit.saturating_sub(self.size()) };
        self.builder.append_within(room, timestamp, record.key, record.value, record.headers)
    }

    /// The finished batch, and what its records were compressed to.
    fn close(mut self, sequence: Option<Sequence>) -> (Batch, Ratio) {
        if let Some(Sequence { identity, base, .. }) = sequence {
            self.builder.set_producer(identity.id, identity.epoch, base);
        }
        let uncompressed = self.builder.size() - HEADER_SIZE;
        let batch = Batch::from_wire(self.builder.build()).expect("a batch that was just built has a header");
        let observed = ratio(batch.size() - HEADER_SIZE, uncompressed);
        (batch, observed)
    }
}

/// All batches that have not been acknowledged and are not on their way.
#[derive(Clone, Debug)]
pub struct Accumulator {
    batch_size: usize,
    /// Its batches belong to transactions.
    pub transactional: bool,
    /// Nothing waits for more records: the application waits until all is sent.
    pub is_flushing: bool,
    /// Nor while the application waits for memory.
    pub is_exhausted: bool,
    compression: Compression,
    ratios: CompressionRatios,
    linger: Time,
    buffer_memory: usize,
    queues: OrderedMap<Partition, VecDeque<ProducerBatch>>,
    /// Bytes of the batches in it, of `buffer_memory`.
    memory: usize,
    records: u64,
}

impl Accumulator {
    pub fn new(batch_size: usize, compression: Compression, linger: Time, buffer_memory: usize) -> Accumulator {
        let ratios = CompressionRatios::default();
        let (transactional, is_flushing, is_exhausted) = (false, false, false);
        Accumulator {
            batch_size,
            transactional,
            is_flushing,
            is_exhausted,
            compression,
            ratios,
            linger,
            buffer_memory,
            queues: OrderedMap::new(),
            memory: 0,
            records: 0,
        }
    }

    /// From now on no batch waits for more records.
    pub fn flush(&mut self) {
        self.linger = 0;
    }

    /// Records in it.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Batches that wait for a partition; `None` if it has never had one.
    pub fn waiting(&self, topic: &TopicName, index: i32) -> Option<usize> {
        self.queues.get_by(|known| order(known, topic, index)).map(VecDeque::len)
    }

    /// Whether no batch of a partition takes more records.
    pub fn all_full(&self, topic: &TopicName, index: i32) -> bool {
        match self.queues.get_by(|known| order(known, topic, index)).and_then(VecDeque::back) {
            Some(ProducerBatch { content: Content::Open(open), .. }) => open.is_full(),
            _ => true,
        }
    }

    /// Adds a record to the open batch of its partition, or begins a batch. Returns the bytes by which it is expected to have grown; `None`: there is no
    /// memory for another batch besides those in here and those under way.
    pub fn append(
        &mut self,
        now: Time,
        topic: &TopicName,
        index: i32,
        timestamp: i64,
        record: &Draft<'_>,
        under_way: impl FnOnce() -> usize,
    ) -> Option<usize> {
        let queue = self.queues.or_default_by(|known| order(known, topic, index), || Partition { topic: topic.clone(), index });
        if let Some(ProducerBatch { content: Content::Open(open), records, .. }) = queue.back_mut() {
            let before = open.size();
            if open.append(timestamp, record) {
                *records += 1;
                self.records += 1;
                return Some(open.size() - before);
            }
        }
        let memory = self.batch_size.max(record.size_upper_bound());
        if self.buffer_memory < self.memory + under_way() + memory {
            return None;
        }
        let mut open = Open::new(self.compression, self.transactional, self.ratios.of(topic), memory);
        open.append(timestamp, record);
        let grown = open.size();
        self.memory += memory;
        self.records += 1;
        queue.push_back(ProducerBatch {
            created: now,
            records: 1,
            memory,
            attempts: 0,
            not_before: 0,
            leader_epoch: -1,
            split: false,
            is_done: false,
            sequence: None,
            content: Content::Open(Box::new(open)),
        });
        Some(grown)
    }

    /// When the first batch of a partition may be sent.
    fn ready_at(&self, queue: &VecDeque<ProducerBatch>) -> Option<Time> {
        let first = queue.front()?;
        let full = self.is_flushing
            || self.is_exhausted
            || 1 < queue.len()
            || match &first.content {
                Content::Open(open) => open.is_full(),
                Content::Closed(..) => true,
            };
        Some(if full { first.not_before } else { (first.created + self.linger).max(first.not_before) })
    }

    /// The partitions with a batch, and when each may be sent.
    pub fn ready(&self) -> impl Iterator<Item = (&Partition, Time)> {
        self.queues.iter().filter_map(|(partition, queue)| Some((partition, self.ready_at(queue)?)))
    }

    /// The partitions with a batch that does not wait after a failure.
    pub fn rested(&self, now: Time) -> impl Iterator<Item = &Partition> {
        let is_rested = move |queue: &VecDeque<ProducerBatch>| queue.front().is_some_and(|first| first.not_before <= now);
        self.queues.iter().filter(move |(_, queue)| is_rested(queue)).map(|(partition, _)| partition)
    }

    /// The place in the order of the first batch of a partition, if it has one.
    pub fn first_sequence(&self, partition: &Partition) -> Option<Sequence> {
        self.queues.get(partition)?.front()?.sequence
    }

    /// Batches of a partition that have a place in the order.
    pub fn numbered_mut(&mut self, partition: &Partition) -> impl Iterator<Item = &mut ProducerBatch> {
        self.queues.get_mut(partition).into_iter().flatten().filter(|batch| batch.sequence.is_some())
    }

    /// Takes the first batch of a partition out to be sent. One that leaves for the first time gets its place in the order, by its records.
    pub fn drain(&mut self, partition: &Partition, number: impl FnOnce(i32) -> Option<Sequence>) -> Option<(ProducerBatch, Batch)> {
        let mut batch = self.queues.get_mut(partition)?.pop_front()?;
        if batch.sequence.is_none()
            && let Some(sequence) = number(batch.records)
        {
            batch.renumber(sequence);
        }
        let (closed, ratio) = match batch.content {
            Content::Open(open) => {
                let (closed, observed) = open.close(batch.sequence);
                self.ratios.observe(&partition.topic, observed);
                (closed, observed)
            }
            Content::Closed(closed, ratio) => (closed, ratio),
        };
        batch.content = Content::Closed(closed.clone(), ratio);
        self.left(&batch);
        Some((batch, closed))
    }

    /// Puts a batch back at the head of its queue, to be sent again; behind others that come before it in the order.
    pub fn put_back(&mut self, partition: &Partition, batch: ProducerBatch) {
        self.memory += batch.memory;
        self.records += batch.records as u64;
        let queue = self.queues.or_default(partition.clone());
        let is_before = |other: &ProducerBatch| other.sequence.zip(batch.sequence).is_some_and(|(other, own)| other.is_before(&own));
        let place = queue.iter().take_while(|other| is_before(other)).count();
        queue.insert(place, batch);
    }

    /// A batch that waits before it is sent again does so no longer once a newer leader is known than the one that it was sent to
    /// (`ProducerBatch.hasLeaderChangedForTheOngoingRetry`; KIP-951).
    pub fn hurry(&mut self, now: Time, leader: impl Fn(&Partition) -> Option<(i32, i32)>) {
        for (partition, queue) in &mut self.queues {
            if let Some(first) = queue.front_mut().filter(|first| now < first.not_before)
                && leader(partition).is_some_and(|(_, epoch)| first.leader_epoch < epoch)
            {
                first.not_before = 0;
            }
        }
    }

    /// Puts the records of a batch that was too large back at the head of its queue, in smaller batches. A batch of one record cannot be split: it is
    /// given back. Returns the first sequences of the parts, which share that of the whole.
    pub fn split(&mut self, partition: &Partition, batch: ProducerBatch) -> Result<Vec<i32>, Box<ProducerBatch>> {
        let Content::Closed(large, observed) = &batch.content else { return Err(Box::new(batch)) };
        let Ok(records) = large.records().collect::<Result<Vec<_>, _>>() else { return Err(Box::new(batch)) };
        if records.len() < 2 {
            return Err(Box::new(batch));
        }
        let records: Vec<(i64, Outgoing)> = records
            .into_iter()
            .map(|record| {
                let outgoing = Outgoing {
                    key: record.key,
                    value: record.value,
                    headers: record.headers,
                    partition: Some(partition.index),
                    timestamp: None,
                };
                (record.timestamp, outgoing)
            })
            .collect();
        let bound = |record: &Outgoing| record.draft(&record.borrowed_headers()).size_upper_bound();
        // Parts that are still too large are halved.
        let largest = records.iter().map(|(_, record)| bound(record)).max().unwrap_or(0);
        let target = if batch.split { largest.max(large.size() / 2) } else { self.batch_size };
        self.ratios.reset(&partition.topic, *observed);
        let expected = self.ratios.of(&partition.topic);

        let mut parts: Vec<(Open, i32)> = Vec::new();
        for (timestamp, record) in &records {
            let headers = record.borrowed_headers();
            let draft = record.draft(&headers);
            if let Some((open, count)) = parts.last_mut()
                && open.append(*timestamp, &draft)
            {
                *count += 1;
                continue;
            }
            let mut open = Open::new(self.compression, self.transactional, expected, target.max(draft.size_upper_bound()));
            open.append(*timestamp, &draft);
            parts.push((open, 1));
        }
        let mut bases = Vec::new();
        let mut following = batch.sequence;
        let mut numbered = Vec::new();
        for (open, records) in parts {
            numbered.push((open, records, following));
            bases.extend(following.map(|sequence| sequence.base));
            following = following.map(|own| Sequence { base: increment_sequence(own.base, records), ..own });
        }
        for (open, records, sequence) in numbered.into_iter().rev() {
            let (closed, observed) = open.close(sequence);
            self.ratios.observe(&partition.topic, observed);
            let part = ProducerBatch {
                records,
                // `buffer.memory` is for whole ones (`RecordAccumulator.deallocate`).
                memory: 0,
                attempts: 0,
                not_before: 0,
                split: true,
                sequence,
                content: Content::Closed(closed, observed),
                ..batch
            };
            self.put_back(partition, part);
        }
        Ok(bases)
    }

    /// Takes out the batches that were begun at `limit` or before.
    pub fn expired(&mut self, limit: Time) -> Vec<(Partition, ProducerBatch)> {
        let mut expired = Vec::new();
        for (partition, queue) in &mut self.queues {
            while let Some(batch) = queue.pop_front_if(|batch| batch.created <= limit) {
                expired.push((partition.clone(), batch));
            }
        }
        expired.iter().for_each(|(_, batch)| self.left(batch));
        expired
    }

    /// Takes out the batches that have not left yet, for their transaction is aborted; with `all`, also those that are to be sent again.
    pub fn abort(&mut self, all: bool) -> Vec<(Partition, ProducerBatch)> {
        let mut aborted = Vec::new();
        for (partition, queue) in &mut self.queues {
            let (kept, gone): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(queue).into_iter().partition(|batch| batch.sequence.is_some() && !all);
            *queue = kept;
            aborted.extend(gone.into_iter().map(|batch| (partition.clone(), batch)));
        }
        aborted.iter().for_each(|(_, batch)| self.left(batch));
        aborted
    }

    /// When the oldest batch was begun.
    pub fn oldest(&self) -> Option<Time> {
        self.queues.values().filter_map(|queue| queue.front()).map(|batch| batch.created).min()
    }

    fn left(&mut self, batch: &ProducerBatch) {
        self.records -= batch.records as u64;
        self.memory -= batch.memory;
    }
}

/// How a queue's partition stands to the one that is looked for. The topic's name is nearly always the very same one.
fn order(known: &Partition, topic: &TopicName, index: i32) -> Ordering {
    let by_topic = if Arc::ptr_eq(&known.topic, topic) { Ordering::Equal } else { known.topic.cmp(topic) };
    by_topic.then(known.index.cmp(&index))
}
