//! DeleteRecords: the leader's log starts later, its followers take that with their fetches, and the answer comes when all live ones have.
//!
//! Segments that lie below go when each broker next looks for old ones. Source: `ReplicaManager.deleteRecords`, `Partition.deleteRecordsOnLeader`,
//! `Partition.lowWatermarkIfLeader`, `DelayedDeleteRecords`; KIP-107.

use super::Broker;
use crate::coordinator::is_internal;
use crate::node::{Connection, MS, NoteKind, Outputs, Time, Timer};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::wire::{self, Response};
use crate::replica::PartitionKey;
use k::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// The low watermark of a partition that refuses.
const NO_LOW_WATERMARK: i64 = -1;

/// A deletion that live replicas have not taken yet. Its response says of what is still waited for that the time ran out.
#[derive(Clone, Debug)]
pub struct DelayedDelete {
    from: Connection,
    correlation: u32,
    response: k::DeleteRecordsResponse,
    waiting: Vec<Waiting>,
}

/// One partition of it.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    key: PartitionKey,
    /// The low watermark that lets it pass.
    required: i64,
    /// Where its answer stands in the response: topic and partition.
    place: (usize, usize),
}

impl DelayedDelete {
    pub(super) fn from(&self) -> Connection {
        self.from
    }
}

impl Broker {
    pub(super) fn delete_records(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: &k::DeleteRecordsRequest,
        out: &mut Outputs,
    ) {
        // Of a partition that is named twice the last word counts.
        let mut asked: OrderedMap<&str, OrderedMap<i32, i64>> = OrderedMap::new();
        for topic in &message.topics {
            asked.or_default(topic.name.as_str()).extend(topic.partitions.iter().map(|one| (one.partition_index, one.offset)));
        }
        let mut delayed = DelayedDelete { from, correlation, response: k::DeleteRecordsResponse::default(), waiting: Vec::new() };
        for (name, partitions) in &asked {
            let mut answer = DeleteRecordsTopicResult::default().with_name(wire::topic(name));
            for (index, offset) in partitions {
                let (error, low_watermark) = match self.delete_below(name, *index, *offset, out) {
                    Err(error) => (error, None),
                    Ok((key, required)) => {
                        self.moved.insert(key);
                        let place = (delayed.response.topics.len(), answer.partitions.len());
                        delayed.waiting.push(Waiting { key, required, place });
                        (ErrorCode::RequestTimedOut, self.low_watermark(key).ok())
                    }
                };
                let result = DeleteRecordsPartitionResult::default().with_partition_index(*index).with_error_code(error.code());
                answer.partitions.push(result.with_low_watermark(low_watermark.unwrap_or(NO_LOW_WATERMARK)));
            }
            delayed.response.topics.push(answer);
        }
        self.look_at_deletion(&mut delayed, out);
        if delayed.waiting.is_empty() {
            self.answer_deletion(delayed, out);
            return;
        }
        let keys: Vec<PartitionKey> = delayed.waiting.iter().map(|waiting| waiting.key).collect();
        let operation = self.deletes.watch(delayed, keys);
        out.timer(now + MS * Time::try_from(message.timeout_ms).unwrap_or(0), Timer::Purgatory { operation });
    }

    /// Returns the partition, and where all its live replicas have to start.
    fn delete_below(&mut self, name: &str, index: i32, before: i64, out: &mut Outputs) -> Result<(PartitionKey, i64), ErrorCode> {
        let key = PartitionKey { topic: self.image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?.id, index };
        self.image.partition(&key.topic, index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if is_internal(name) {
            return Err(ErrorCode::InvalidTopicException);
        }
        let replica = self.replicas.get_mut(&key).ok_or(ErrorCode::NotLeaderOrFollower)?;
        Ok((key, replica.delete_records(before, out)?))
    }

    /// Where the logs of all live replicas start, at the least.
    fn low_watermark(&self, key: PartitionKey) -> Result<i64, ErrorCode> {
        let is_live = |broker: i32| self.image.brokers.get(&broker).is_some_and(|known| !known.fenced);
        let replica = self.replicas.get(&key).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        replica.low_watermark(is_live).ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// Writes into the response what has come about, and waits for it no more.
    fn look_at_deletion(&self, delayed: &mut DelayedDelete, out: &mut Outputs) {
        let DelayedDelete { response, waiting, .. } = delayed;
        waiting.retain(|Waiting { key, required, place: (topic, partition) }| {
            let found = self.low_watermark(*key);
            if found.is_ok_and(|offset| offset < *required) {
                return true;
            }
            let result = response.topics.get_mut(*topic).and_then(|topic| topic.partitions.get_mut(*partition));
            if let Some(result) = result {
                result.error_code = found.err().unwrap_or(ErrorCode::None).code();
                result.low_watermark = found.unwrap_or(NO_LOW_WATERMARK);
            }
            if let (Ok(offset), Some(replica)) = (found, self.replicas.get(key)) {
                out.note(NoteKind::LowWatermarkReached { partition: replica.name.clone(), offset });
            }
            false
        });
    }

    pub(super) fn try_delayed_deletes(&mut self, key: PartitionKey, out: &mut Outputs) {
        for (number, mut delayed) in self.deletes.take_watching(key) {
            self.look_at_deletion(&mut delayed, out);
            if delayed.waiting.is_empty() {
                self.answer_deletion(delayed, out);
            } else {
                self.deletes.put_back(number, delayed, key);
            }
        }
    }

    /// Answers with what there is: nothing is waited for any more, or the time ran out.
    pub(super) fn answer_deletion(&mut self, delayed: DelayedDelete, out: &mut Outputs) {
        let DelayedDelete { from, correlation, response, .. } = delayed;
        self.respond(from, correlation, Response::DeleteRecords(Arc::new(response)), out);
    }
}
