//! Applications that consume, transform and produce.
//!
//! Owns what one is made of: a consumer of its name, a producer beside it, and the settings that each of them gets. What it says to them is
//! [`crate::client::processor`]'s.

use super::apply::{CLIENTS_MAX, add_consumer, add_producer, checked_topic, free_name};
use super::command::{Configs, Refusal};
use super::configs;
use super::sources::SourceSpec;
use crate::client::Processor;
use crate::protocol::settings::{self, Scope};
use crate::sim::{ProcessState, Trace, World};
use serde_json::Value;
use std::sync::Arc;

/// What a consumer of a processor with transactions is told, unless the settings say otherwise: what is not committed is not read, and only its
/// transactions commit.
const EXACTLY_ONCE: [(&str, &str); 2] = [("enable.auto.commit", "false"), ("isolation.level", "read_committed")];

pub fn add(
    world: &mut World,
    trace: &mut Trace,
    id: &str,
    (group, topics): (&str, &[String]),
    topic: &str,
    value: Option<&str>,
    processing_ms: Option<f64>,
    given: &Configs,
) -> Result<Value, Refusal> {
    let writer = format!("{id}-producer");
    // One that has crashed starts again.
    let is_free =
        |name: &str| world.client(name).is_some_and(|client| client.state == ProcessState::Crashed) || free_name(world, name).is_ok();
    for name in [id, &writer].into_iter().filter(|name| !is_free(name)) {
        free_name(world, name)?;
    }
    if CLIENTS_MAX < world.clients().count() + 2 {
        return Err(Refusal::argument("id", format!("A session has {CLIENTS_MAX} clients at the most, and a processor is two.")));
    }
    checked_topic(topic)?;
    let is_of = |scope: Scope| move |(name, _): &(&String, &String)| settings::lookup(scope, name).is_some();
    let of = |scope: Scope| given.iter().filter(is_of(scope)).map(|(name, text)| (name.clone(), text.clone())).collect::<Configs>();
    let (mut reads, writes) = (of(Scope::Consumer), of(Scope::Producer));
    let unknown = given.iter().filter(|setting| !is_of(Scope::Consumer)(setting) && !is_of(Scope::Producer)(setting));
    reads.extend(unknown.map(|(name, text)| (name.clone(), text.clone())));
    if configs::producer(world, &writes)?.config.transactions.is_some() {
        for (name, text) in EXACTLY_ONCE {
            if reads.keys().all(|given| settings::lookup(Scope::Consumer, given).is_none_or(|known| known.name != name)) {
                reads.insert(name.to_owned(), text.to_owned());
            }
        }
    }
    add_consumer(world, trace, id, Some(group), (Some(topics), None, None), processing_ms, &reads)?;
    world.forget_name(&writer);
    add_producer(world, trace, &writer, topic, &SourceSpec::default(), &writes)?;
    world.add_processor(&Arc::from(id), Processor::new(Arc::from(writer), Arc::from(topic), value), trace);
    Ok(Value::Null)
}
