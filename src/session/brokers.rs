//! Brokers that join and leave: what is refused, and who does it.
//!
//! Everything is checked before anything changes.

use super::command::Refusal;
use super::configs::BROKERS_MAX;
use super::topics::no_controller;
use crate::protocol::ErrorCode;
use crate::protocol::wire::{Request, Response};
use crate::sim::{Trace, World};
use kafka_protocol::messages as k;
use serde_json::Value;
use std::sync::Arc;

/// The largest id of a broker.
const BROKER_ID_MAX: i32 = 999;
/// Characters of a rack's name, at the most.
const RACK_MAX: usize = 200;

/// Without an id, the broker gets the one that follows the largest there ever was.
pub(super) fn add_broker(world: &mut World, trace: &mut Trace, broker: Option<i32>, rack: Option<&str>) -> Result<Value, Refusal> {
    let id = broker.unwrap_or_else(|| world.next_broker_id());
    if !(0..=BROKER_ID_MAX).contains(&id) {
        return Err(Refusal::argument("broker", format!("A broker's id is 0 to {BROKER_ID_MAX}, not {id}.")));
    }
    if world.broker(id).is_some() {
        return Err(Refusal::kafka(ErrorCode::DuplicateBrokerRegistration, format!("There is a broker {id} already.")).at("broker"));
    }
    if BROKERS_MAX as usize <= world.broker_ids().len() {
        return Err(Refusal::argument("broker", format!("A cluster has {BROKERS_MAX} brokers at the most.")));
    }
    if rack.is_some_and(|rack| rack.is_empty() || RACK_MAX < rack.chars().count()) {
        return Err(Refusal::argument("rack", format!("A rack's name has 1 to {RACK_MAX} characters.")));
    }
    world.add_broker(id, rack.map(Arc::from), trace);
    Ok(Value::Null)
}

/// Its machine is gone and the controller unregisters it, whether it was stopped before or not.
pub(super) fn remove_broker(world: &mut World, trace: &mut Trace, broker: i32) -> Result<Value, Refusal> {
    if world.broker(broker).is_none() {
        return Err(Refusal::kafka(ErrorCode::BrokerIdNotRegistered, format!("There is no broker {broker}.")).at("broker"));
    }
    if world.broker_ids().len() == 1 {
        return Err(Refusal::argument("broker", format!("Broker {broker} is the last one: without it there is no cluster.")));
    }
    let mut message = k::UnregisterBrokerRequest::default();
    message.broker_id = k::BrokerId(broker);
    let answer = world.ask(Request::UnregisterBroker(Arc::new(message)), trace);
    let Some(Response::UnregisterBroker(answer)) = answer else { return Err(no_controller()) };
    // One that has not registered yet needs no unregistration.
    match ErrorCode::of(answer.error_code) {
        ErrorCode::None | ErrorCode::BrokerIdNotRegistered => world.remove_broker(broker, trace),
        error => return Err(Refusal::kafka(error, error.message()).at("broker")),
    }
    Ok(Value::Null)
}
