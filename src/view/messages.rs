//! The records of one partition, as its leader has them.

use super::replica_on;
use super::shape::MessageView;
use crate::protocol::BatchHeader;
use crate::protocol::batch::increment_sequence;
use crate::protocol::text::Text;
use crate::protocol::{ErrorCode, Outcome};
use crate::replica::PartitionKey;
use crate::session::Session;
use crate::session::command::Refusal;
use crate::session::fields::{FromValue, Misfit, Read, object};
use crate::storage::Standing;
use serde_json::Value;

/// Records in one answer, unless another number is asked for.
const MESSAGES_MAX: usize = 10_000;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageQuery {
    pub topic: String,
    pub partition: i32,
    /// The first offset; absent: the log's start.
    pub offset: Option<i64>,
    pub max: Option<usize>,
    pub isolation: Option<Isolation>,
}

/// Whose eyes see the log: those of a consumer with this `isolation.level`. Without one it is as it is, markers and all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isolation {
    ReadUncommitted,
    /// What is below the last stable offset, and not of an aborted transaction.
    ReadCommitted,
}

impl FromValue for MessageQuery {
    fn from_value(value: Value) -> Read<MessageQuery> {
        object(value, "A query for messages", |fields| {
            Ok(MessageQuery {
                topic: fields.take("topic"),
                partition: fields.take("partition"),
                offset: fields.optional("offset"),
                max: fields.optional("max"),
                isolation: fields.optional("isolation"),
            })
        })
    }
}

impl FromValue for Isolation {
    fn from_value(value: Value) -> Read<Isolation> {
        match value.as_str() {
            Some("read_uncommitted") => Ok(Isolation::ReadUncommitted),
            Some("read_committed") => Ok(Isolation::ReadCommitted),
            _ => Err(Misfit::expected("\"read_uncommitted\" or \"read_committed\"", &value)),
        }
    }
}

/// What a consumer could read now: records below the leader's high watermark. Of a partition without a leader: what its last leader had.
pub fn messages(session: &Session, query: &MessageQuery) -> Result<Vec<MessageView>, Refusal> {
    let world = session.world();
    let image = world.controller().image();
    let unknown = |field: &str| {
        let sentence = format!("There is no partition {}-{}.", query.topic, query.partition);
        Refusal::kafka(ErrorCode::UnknownTopicOrPartition, sentence).at(field)
    };
    let topic = image.topic(&query.topic).ok_or_else(|| unknown("topic"))?;
    let state = image.partition(&topic.id, query.partition).ok_or_else(|| unknown("partition"))?;
    if query.offset.is_some_and(|offset| offset < 0) {
        return Err(Refusal::kafka(ErrorCode::OffsetOutOfRange, "An offset is not negative.").at("offset"));
    }
    let broker = state.leader_or_last();
    let key = PartitionKey { topic: topic.id, index: query.partition };
    let Some(replica) = broker.and_then(|broker| replica_on(world, broker, &key)) else { return Ok(Vec::new()) };
    let from = query.offset.unwrap_or(0).max(replica.log.start_offset());
    let is_committed = query.isolation == Some(Isolation::ReadCommitted);
    let end = if is_committed { replica.last_stable_offset() } else { replica.high_watermark() };
    let mut found = Vec::new();
    for batch in world.remote().readable(&key, &replica.log, from).take_while(|batch| batch.next_offset() <= end) {
        let header = BatchHeader::read(&batch.bytes).ok();
        let marker = batch.marker();
        let is_control = header.as_ref().is_some_and(BatchHeader::is_control);
        if query.isolation.is_some() && is_control || is_committed && replica.log.standing(batch) == Some(Standing::Aborted) {
            continue;
        }
        let producer = header.filter(|header| 0 <= header.producer_id);
        for record in batch.records().flatten().filter(|record| from <= record.offset) {
            if found.len() == query.max.unwrap_or(MESSAGES_MAX) {
                return Ok(found);
            }
            let header = |(name, value): (bytes::Bytes, Option<bytes::Bytes>)| (Text(name).to_string(), value.map(Text));
            found.push(MessageView {
                offset: record.offset,
                timestamp: record.timestamp,
                leader_epoch: batch.leader_epoch,
                key: record.key.map(Text),
                value: record.value.map(Text),
                headers: record.headers.into_iter().map(header).collect(),
                partition: query.partition,
                producer_id: producer.as_ref().map(|header| header.producer_id),
                producer_epoch: producer.as_ref().map(|header| header.producer_epoch),
                sequence: producer
                    .as_ref()
                    .filter(|header| 0 <= header.base_sequence)
                    .map(|header| increment_sequence(header.base_sequence, (record.offset - batch.base_offset) as i32)),
                transactional: producer.as_ref().filter(|header| header.is_transactional()).map(|_| true),
                control: marker.map(|marker| if marker.outcome == Outcome::Commit { "commit" } else { "abort" }),
            });
        }
    }
    Ok(found)
}
