//! Commands that make something go wrong: checked here, done by the world.
//!
//! Owns what is refused and why, and how node names of `setLink` are read. Everything is checked before anything changes.

use super::command::{Command, FaultAction, LinkOdds, MessagePart, Refusal};
use crate::broker::Machine;
use crate::cost::HEALTHY_DISK;
use crate::node::{MS, NodeId, Time};
use crate::protocol::ErrorCode;
use crate::protocol::wire::Api;
use crate::sim::{CERTAIN, DROPS_MAX, DropNext, End, LINKS_MAX, Link, MessageFault, Odds, ProcessState, Trace, World};
use serde_json::Value;
use std::sync::Arc;

/// The longest delay of a message, latency of a link or freeze of a broker: an hour.
const DELAY_MAX_MS: f64 = 3_600_000.0;
/// How many times as slow as a healthy one a disk may be.
const FACTOR_MAX: f64 = 100_000.0;
/// Ten years.
const SKEW_MAX_MS: i64 = 315_360_000_000;
/// Every node at once.
const ANY: &str = "*";

pub(super) fn apply(world: &mut World, trace: &mut Trace, command: &Command) -> Result<Value, Refusal> {
    match command {
        Command::CrashBroker { broker } => {
            running(world, *broker)?;
            world.crash_broker(*broker, trace);
        }
        Command::RestartBroker { broker } => {
            if broker_state(world, *broker)?.is_up() {
                return Err(Refusal::argument("broker", format!("Broker {broker} is running.")));
            }
            world.restart_broker(*broker, trace);
        }
        Command::CrashController { controller } => {
            if !is_controller_up(world, *controller)? {
                return Err(Refusal::argument("controller", format!("Controller {controller} is not running.")));
            }
            world.crash_controller(*controller, trace);
        }
        Command::RestartController { controller } => {
            if is_controller_up(world, *controller)? {
                return Err(Refusal::argument("controller", format!("Controller {controller} is running.")));
            }
            world.restart_controller(*controller, trace);
        }
        Command::PowerLoss { broker } => {
            running(world, *broker)?;
            world.power_loss(*broker, trace);
        }
        Command::StopBroker { broker } => {
            running(world, *broker)?;
            if world.broker(*broker).is_some_and(|(broker, _)| broker.is_stopping()) {
                return Err(Refusal::argument("broker", format!("Broker {broker} is stopping already.")));
            }
            world.stop_broker(*broker, trace);
        }
        Command::FreezeBroker { broker, ms } => {
            running(world, *broker)?;
            let lasts = millis("ms", "A freeze", *ms)?;
            world.freeze_broker(*broker, lasts, trace);
        }
        Command::SlowDisk { broker, factor } => {
            let machine = machine(world, *broker)?;
            if !(1.0..=FACTOR_MAX).contains(factor) {
                return Err(Refusal::argument("factor", "A disk is 1 to 100000 times as slow as a healthy one."));
            }
            // A ratio of integers from here on: no float decides what happens.
            let disk_factor = (factor * HEALTHY_DISK as f64).round() as u64;
            world.set_machine(*broker, Machine { disk_factor, ..machine });
        }
        Command::SkewClock { broker, ms } => {
            let machine = machine(world, *broker)?;
            if !(-SKEW_MAX_MS..=SKEW_MAX_MS).contains(ms) {
                return Err(Refusal::argument("ms", format!("A clock is wrong by {SKEW_MAX_MS} ms at the most, which is ten years.")));
            }
            world.set_machine(*broker, Machine { clock_skew_ms: *ms, ..machine });
        }
        Command::SetLink { from, to, latency_ms, bytes_per_second, cut, odds } => {
            let latency = latency_ms.map(|ms| millis("latencyMs", "A latency", ms)).transpose()?;
            let odds = self::odds(odds)?;
            if *bytes_per_second == Some(0) {
                return Err(Refusal::argument("bytesPerSecond", "A link that carries no bytes is cut: say so with cut."));
            }
            let (from, to) = (end(world, "from", from)?, end(world, "to", to)?);
            if LINKS_MAX <= world.links().len() {
                return Err(Refusal::argument("from", format!("A session has {LINKS_MAX} links of its own at the most.")));
            }
            let link = Link { from, to, latency, bytes_per_second: *bytes_per_second, cut: cut.unwrap_or(false), odds };
            world.set_link(link, trace);
        }
        Command::MessageFault { message, action, delay_ms } => {
            let delay = delay_ms.map(|ms| millis("delayMs", "A delay", ms)).transpose()?;
            let fault = match (action, delay) {
                (FaultAction::Drop, None) => MessageFault::Drop,
                (FaultAction::Drop, Some(_)) => return Err(Refusal::argument("delayMs", "A dropped message arrives never, not later.")),
                (FaultAction::Delay, Some(delay)) => MessageFault::Delay(delay),
                (FaultAction::Delay, None) => return Err(Refusal::argument("delayMs", "To delay a message, say by how much.")),
                (FaultAction::Duplicate, delay) => MessageFault::Duplicate(delay.unwrap_or(0)),
            };
            if !world.is_under_way(*message) {
                return Err(Refusal::argument("message", format!("Message {message} is not on its way.")));
            }
            world.fault_message(*message, fault, trace);
        }
        Command::DropNext { api, broker, what } => {
            let Some(api) = Api::ALL.into_iter().find(|known| known.name() == api) else {
                let known: Vec<&str> = Api::ALL.iter().map(|known| known.name()).collect();
                return Err(Refusal::argument("api", format!("No node sends {api} here; there are {}.", known.join(", "))));
            };
            if let Some(broker) = broker {
                broker_state(world, *broker)?;
            }
            if DROPS_MAX <= world.drops().len() {
                return Err(Refusal::argument("api", format!("{DROPS_MAX} messages wait to be dropped: no more are taken.")));
            }
            world.drop_next(DropNext { api, broker: *broker, response: *what == Some(MessagePart::Response) });
        }
        // The others are no faults.
        _ => {}
    }
    Ok(Value::Null)
}

/// What a fault is about, in a few words.
pub(super) fn target(command: &Command) -> String {
    match command {
        Command::CrashBroker { broker }
        | Command::RestartBroker { broker }
        | Command::PowerLoss { broker }
        | Command::StopBroker { broker }
        | Command::RemoveBroker { broker } => format!("broker {broker}"),
        Command::CrashController { controller } | Command::RestartController { controller } => format!("controller {controller}"),
        Command::FreezeBroker { broker, ms } => format!("broker {broker} for {} ms", thousandths(*ms)),
        Command::SlowDisk { broker, factor } => format!("broker {broker}, {} times", thousandths(*factor)),
        Command::SkewClock { broker, ms } => format!("broker {broker} by {ms} ms"),
        Command::SetLink { from, to, latency_ms, bytes_per_second, cut, odds } => {
            let latency = latency_ms.map(|ms| format!(", {} ms", thousandths(ms)));
            let bandwidth = bytes_per_second.map(|bytes| format!(", {bytes} bytes/s"));
            let cut = if *cut == Some(true) { ", cut" } else { "" };
            let mut text = format!("{from} to {to}{}{}{cut}", latency.unwrap_or_default(), bandwidth.unwrap_or_default());
            for (what, ratio) in [("lost", odds.drop_ratio), ("doubled", odds.duplicate_ratio), ("late", odds.delay_ratio)] {
                if let Some(ratio) = ratio.filter(|ratio| 0.0 < *ratio) {
                    text.push_str(&format!(", {} % {what}", thousandths(ratio * 100.0)));
                }
            }
            text
        }
        Command::MessageFault { message, action, .. } => format!("{message}: {}", action.name()),
        Command::DropNext { api, broker, what } => {
            let part = if *what == Some(MessagePart::Response) { "response" } else { "request" };
            let broker = broker.map_or_else(String::new, |broker| format!(" of broker {broker}"));
            format!("{api} {part}{broker}")
        }
        _ => String::new(),
    }
}

/// A number with up to three decimals, without the kilobytes that floats take to be written.
fn thousandths(number: f64) -> String {
    let thousandths = (number * 1_000.0).round() as u64;
    let decimals = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    decimals.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Milliseconds as virtual time, if they are an hour at the most.
fn millis(field: &str, what: &str, ms: f64) -> Result<Time, Refusal> {
    if !(0.0..=DELAY_MAX_MS).contains(&ms) {
        return Err(Refusal::argument(field, format!("{what} is 0 to 3600000 ms.")));
    }
    Ok((ms * MS as f64).round() as Time)
}

/// Chances as whole parts of a million from here on: no float decides what happens.
fn odds(of: &LinkOdds) -> Result<Odds, Refusal> {
    let parts = |field: &str, ratio: Option<f64>| match ratio.unwrap_or(0.0) {
        ratio if (0.0..=1.0).contains(&ratio) => Ok((ratio * CERTAIN as f64).round() as u64),
        _ => Err(Refusal::argument(field, "A ratio is 0 (none of the messages) to 1 (all of them).")),
    };
    let late = of.delay_ms.map(|ms| millis("delayMs", "A delay", ms)).transpose()?;
    let (drop, duplicate, delay) =
        (parts("dropRatio", of.drop_ratio)?, parts("duplicateRatio", of.duplicate_ratio)?, parts("delayRatio", of.delay_ratio)?);
    if CERTAIN < drop + duplicate + delay {
        return Err(Refusal::argument("dropRatio", "One thing happens to a message: the three ratios come to 1 together at the most."));
    }
    match late {
        None if 0 < delay => Err(Refusal::argument("delayMs", "To delay messages, say by how much.")),
        Some(_) if delay + duplicate == 0 => Err(Refusal::argument("delayMs", "No message is delayed or doubled: say which part of them.")),
        _ => Ok(Odds { drop, duplicate, delay, late: late.unwrap_or(0) }),
    }
}

/// The nodes that a name of `setLink` means.
fn end(world: &World, field: &str, name: &str) -> Result<End, Refusal> {
    if name == ANY {
        return Ok(End::Any);
    }
    let brokers = world.broker_ids().into_iter().map(NodeId::Broker);
    let controllers = world.controllers().map(|(controller, _)| NodeId::Controller(controller.id()));
    if let Some(node) = brokers.chain(controllers).find(|node| world.name(*node) == name) {
        return Ok(End::Node(node));
    }
    if world.client(name).is_some() {
        return Ok(End::Client(Arc::from(name)));
    }
    Err(Refusal::argument(field, format!("There is no node {name}: name a broker (broker-1), controller-1, a client or *.")))
}

fn machine(world: &World, id: i32) -> Result<Machine, Refusal> {
    broker_state(world, id)?;
    Ok(world.broker(id).map(|(broker, _)| broker.machine()).unwrap_or_default())
}

fn broker_state(world: &World, id: i32) -> Result<ProcessState, Refusal> {
    let unknown = || Refusal::kafka(ErrorCode::BrokerIdNotRegistered, format!("There is no broker {id}.")).at("broker");
    world.broker(id).map(|(_, state)| state).ok_or_else(unknown)
}

fn is_controller_up(world: &World, id: i32) -> Result<bool, Refusal> {
    let unknown = || Refusal::kafka(ErrorCode::UnknownControllerId, format!("There is no controller {id}.")).at("controller");
    world.controllers().find(|(controller, _)| controller.id() == id).map(|(_, is_up)| is_up).ok_or_else(unknown)
}

/// Refuses a broker whose process does not run.
fn running(world: &World, id: i32) -> Result<(), Refusal> {
    if broker_state(world, id)?.is_up() {
        return Ok(());
    }
    Err(Refusal::kafka(ErrorCode::BrokerNotAvailable, format!("Broker {id} is not running.")).at("broker"))
}
