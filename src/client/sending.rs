//! A producer's `send`: a record goes into its partition's batch, or waits for room there, for its topic or for its partition.
//!
//! Source: `KafkaProducer.doSend`, `KafkaProducer.waitOnMetadata`.

use super::producer::{Blocked, Draft, Outgoing, Producer};
use super::transactions::Call;
use crate::node::{MS, Outputs, Partition, Time, TopicName};
use crate::protocol::ErrorCode;

impl Producer {
    /// The application calls `send`.
    pub fn send(&mut self, now: Time, topic: &TopicName, record: Outgoing, out: &mut Outputs) {
        self.network.want(now, topic);
        self.enqueue(now, topic, &record.draft(&record.borrowed_headers()), out);
        self.drive(now, out);
    }

    /// The application calls `send` for many records in a row.
    pub fn send_all(&mut self, now: Time, topic: &TopicName, records: impl Iterator<Item = Outgoing>, out: &mut Outputs) {
        self.network.want(now, topic);
        for record in records {
            self.enqueue(now, topic, &record.draft(&record.borrowed_headers()), out);
        }
        self.drive(now, out);
    }

    /// A record of a transaction that is being ended waits for the next one.
    pub(super) fn enqueue(&mut self, now: Time, topic: &TopicName, record: &Draft<'_>, out: &mut Outputs) {
        if let Some(own) = self.transactions.as_mut().filter(|own| !own.takes_records()) {
            own.calls.push_back(Call::Send(topic.clone(), record.keep()));
            return;
        }
        self.take(now, topic, record, out);
    }

    pub(super) fn take(&mut self, now: Time, topic: &TopicName, record: &Draft<'_>, out: &mut Outputs) {
        self.counts.sent += 1;
        let size = record.size_upper_bound();
        if self.config.max_request_size < size || self.config.buffer_memory < size {
            self.refuse(topic, ErrorCode::MessageTooLarge, out);
            return;
        }
        if self.config.buffer_memory < self.config.batch_size {
            // No batch can ever begin: an exception of Java's, not of Kafka's (`BufferPool.allocate`).
            self.refuse(topic, ErrorCode::InvalidConfig, out);
            return;
        }
        // Order: who blocks first is sent first.
        let lack = if self.blocked.is_empty() { self.accept(now, topic, record).err() } else { Some(Lack::default()) };
        if let Some(lack) = lack {
            let mut blocked =
                Blocked { topic: topic.clone(), record: record.keep(), deadline: now + self.config.max_block, needs_memory: false };
            blocked.lacks(lack);
            self.blocked.push_back(blocked);
        }
    }

    /// Puts a record into its partition's batch, if its topic is known and there is room.
    fn accept(&mut self, now: Time, topic: &TopicName, record: &Draft<'_>) -> Result<(), Lack> {
        let Some(partitions) = self.network.topics.get(topic).map(|info| &info.partitions).filter(|known| !known.is_empty()) else {
            return Err(Lack::default());
        };
        if record.partition.is_some_and(|chosen| partitions.len() as i32 <= chosen) {
            // Its topic may gain it meanwhile (`KafkaProducer.waitOnMetadata`).
            self.network.refresh(now);
            return Err(Lack::default());
        }
        let (index, is_sticky) = match record.partition {
            Some(chosen) => (chosen, false),
            None => self.partitioner.partition(topic, record.key, partitions, &self.accumulator),
        };
        let timestamp = record.timestamp.unwrap_or(self.config.start_timestamp + (now / MS) as i64);
        let under_way = || self.network.pending().flat_map(|pending| pending.what.batches()).map(|(_, batch)| batch.memory).sum();
        let Some(bytes) = self.accumulator.append(now, topic, index, timestamp, record, under_way) else {
            return Err(Lack { memory: true, partition: (!is_sticky).then_some(index) });
        };
        if let Some(own) = &mut self.transactions {
            own.writes_to(&Partition { topic: topic.clone(), index });
        }
        if is_sticky {
            self.partitioner.took(topic, index, bytes, partitions, &self.accumulator);
        }
        Ok(())
    }

    /// Lets those go on that can, in their order.
    pub(super) fn unblock(&mut self, now: Time) {
        while let Some(mut first) = self.blocked.pop_front() {
            if let Err(lack) = self.accept(now, &first.topic, &first.record.draft(&first.record.borrowed_headers())) {
                first.lacks(lack);
                self.blocked.push_front(first);
                break;
            }
        }
        self.accumulator.is_exhausted = self.blocked.front().is_some_and(|first| first.needs_memory);
    }
}

/// What a record waits for: its topic or its partition, unless it is memory.
#[derive(Default)]
struct Lack {
    memory: bool,
    /// Chosen once and for all; a sticky one is chosen again.
    partition: Option<i32>,
}

impl Blocked {
    fn lacks(&mut self, lack: Lack) {
        self.needs_memory = lack.memory;
        self.record.partition = self.record.partition.or(lack.partition);
    }
}
