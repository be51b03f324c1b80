//! What a transactional producer's application says: begin, send offsets, commit, abort.
//!
//! It is refused where Kafka's producer throws: without `transactional.id`, outside of a transaction, or after an error that only an abort, or nothing, ends.

use super::apply::{producer, running_consumer, with_producer};
use super::command::Refusal;
use crate::client::Producer;
use crate::client::producer::Outgoing;
use crate::client::transactions::Call;
use crate::node::TopicName;
use crate::protocol::ErrorCode;
use crate::sim::{Application, Trace, World};
use serde_json::Value;
use std::sync::Arc;

pub fn call(world: &mut World, trace: &mut Trace, id: &str, call: Call) -> Result<Value, Refusal> {
    let known = transactional(world, id)?;
    if known.transactions().is_none() {
        let sentence =
            "Cannot use transactional methods without enabling transactions by setting the transactional.id configuration property";
        return Err(Refusal::kafka(ErrorCode::InvalidTxnState, sentence).at("producer"));
    }
    check(known, &call)?;
    with_producer(world, trace, id, |now, producer, out| _ = producer.call(now, call, out));
    Ok(Value::Null)
}

pub fn send_offsets(world: &mut World, trace: &mut Trace, id: &str, consumer: &str) -> Result<Value, Refusal> {
    let reader = running_consumer(world, consumer, "consumer")?;
    let Some(offsets) = reader.group_offsets() else {
        return Err(Refusal::kafka(ErrorCode::InvalidGroupId, format!("Consumer {consumer} has no group to commit for.")).at("consumer"));
    };
    call(world, trace, id, Call::Offsets(Arc::new(offsets)))
}

/// A record that is sent outside of a transaction is refused.
pub fn checked_send(world: &World, id: &str, topic: &TopicName, record: &Outgoing) -> Result<(), Refusal> {
    let known = transactional(world, id)?;
    if known.transactions().is_some() { check(known, &Call::Send(topic.clone(), record.clone())) } else { Ok(()) }
}

fn check(known: &Producer, call: &Call) -> Result<(), Refusal> {
    let sentence = |error: ErrorCode| match (call, error) {
        (Call::Begin, ErrorCode::InvalidTxnState) => "The producer is in a transaction already.".to_owned(),
        (_, ErrorCode::InvalidTxnState) => "The producer is in no transaction.".to_owned(),
        (_, error) => error.message().to_owned(),
    };
    let refused = known.transactions().and_then(|own| own.refuses(call));
    refused.map_or(Ok(()), |error| Err(Refusal::kafka(error, sentence(error)).at("producer")))
}

fn transactional<'a>(world: &'a World, id: &str) -> Result<&'a Producer, Refusal> {
    match &producer(world, id, "producer")?.application {
        Application::Producer { producer, .. } => Ok(producer),
        Application::Consumer { .. } => Err(Refusal::argument("producer", format!("There is no producer {id}."))),
    }
}
