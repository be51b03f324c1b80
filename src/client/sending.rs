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
        if self.config.max_request_size < record.size_upper_bound() {
            self.refuse(topic, ErrorCode::MessageTooLarge, out);
            return;
        }
        // Order: who blocks first is sent first.
        if self.blocked.is_empty() && self.accept(now, topic, record) {
            return;
        }
        self.blocked.push_back(Blocked { topic: topic.clone(), record: record.keep(), deadline: now + self.config.max_block });
    }

    /// Puts a record into its partition's batch, if its topic is known and there is room.
    fn accept(&mut self, now: Time, topic: &TopicName, record: &Draft<'_>) -> bool {
        let Some(partitions) = self.network.topics.get(topic).map(|info| &info.partitions).filter(|known| !known.is_empty()) else {
            return false;
        };
        if !self.accumulator.has_room(record.size()) {
            return false;
        }
        if record.partition.is_some_and(|chosen| partitions.len() as i32 <= chosen) {
            // Its topic may gain it meanwhile (`KafkaProducer.waitOnMetadata`).
            self.network.refresh(now);
            return false;
        }
        let (index, is_sticky) = match record.partition {
            Some(chosen) => (chosen, false),
            None => self.partitioner.partition(topic, record.key, partitions, &self.accumulator),
        };
        if let Some(own) = &mut self.transactions {
            own.writes_to(&Partition { topic: topic.clone(), index });
        }
        let timestamp = record.timestamp.unwrap_or(self.config.start_timestamp + (now / MS) as i64);
        let bytes = self.accumulator.append(now, topic, index, timestamp, record);
        if is_sticky {
            self.partitioner.took(topic, index, bytes, partitions, &self.accumulator);
        }
        true
    }

    /// Lets those go on that can, in their order.
    pub(super) fn unblock(&mut self, now: Time) {
        while let Some(first) = self.blocked.pop_front() {
            if !self.accept(now, &first.topic, &first.record.draft(&first.record.borrowed_headers())) {
                self.blocked.push_front(first);
                break;
            }
        }
    }
}
