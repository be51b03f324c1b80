//! What a producer's application sends by itself: generated records, or the changes of a table.

use super::apply::{producer, with_producer};
use super::command::Refusal;
use super::transactions;
use crate::client::producer::Outgoing;
use crate::client::{Generator, KeyDistribution, Template};
use crate::node::{Chance, Time};
use crate::protocol::text::decimal;
use crate::sim::{Application, Trace, World};
use bytes::Bytes;
use serde_json::Value;

/// Records per second that one producer makes, at the most.
const RATE_MAX: f64 = 100_000.0;

/// What `addProducer` says of it.
#[derive(Clone, Copy, Default)]
pub struct SourceSpec<'a> {
    pub rate: Option<f64>,
    pub keys: &'a [String],
    pub distribution: Option<KeyDistribution>,
    pub template: Option<&'a str>,
    /// Its records are the changes of a table whose rows the keys name.
    pub captures: bool,
}

/// The generator that is asked for, if one is.
pub fn generator(now: Time, spec: &SourceSpec<'_>, chance: Chance) -> Result<Option<Generator>, Refusal> {
    let by_default = if spec.captures { "{\"version\":{seq}}" } else { "event {seq}" };
    let template = Template::parse(spec.template.unwrap_or(by_default)).map_err(|sentence| Refusal::argument("value", sentence))?;
    let Some(rate) = spec.rate else { return Ok(None) };
    if !(0.001..=RATE_MAX).contains(&rate) {
        let sentence = format!("A producer makes 0.001 to {} records per second, not {}.", decimal(RATE_MAX), decimal(rate));
        return Err(Refusal::argument("recordsPerSecond", sentence));
    }
    if spec.captures && spec.keys.is_empty() {
        return Err(Refusal::argument("keys", "A table needs keys: each is the primary key of a row."));
    }
    let keys = spec.keys.iter().map(|key| Bytes::from(key.clone())).collect();
    let distribution = spec.distribution.unwrap_or(KeyDistribution::Uniform);
    Ok(Some(Generator::new(now, (rate * 1_000.0).round() as u64, template, chance).with_keys(keys, distribution)))
}

/// Somebody changes a row of the table that a producer captures.
pub fn change_row(world: &mut World, trace: &mut Trace, id: &str, key: &Bytes, row: Option<&str>) -> Result<Value, Refusal> {
    let Application::Producer { topic, producer, .. } = &producer(world, id, "producer")?.application else { return Ok(Value::Null) };
    let Some(table) = producer.table() else {
        return Err(Refusal::argument("producer", format!("Producer {id} captures no table: it was added without changeDataCapture.")));
    };
    if row.is_none() && !table.has(key) {
        return Err(Refusal::argument("key", "There is no row with this key to delete."));
    }
    let topic = topic.clone();
    let record = Outgoing { key: Some(key.clone()), value: None, headers: Vec::new(), partition: None, timestamp: None };
    transactions::checked_send(world, id, &topic, &record)?;
    with_producer(world, trace, id, |now, producer, out| producer.change_row(now, &topic, key.clone(), row, out));
    Ok(Value::Null)
}
