//! A producer's partitioner as its settings name it.
//!
//! Kafka takes the name of any Java class; here there are its own two, and one that is given as a table. Source: `ConfigDef.parseType` of a class
//! that is not there.

use super::command::Refusal;
use super::fields::{FromValue, Misfit, Read, object};
use crate::client::partitioner::Rule;
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use bytes::Bytes;
use serde_json::{Map, Value};

/// Kafka's package of [`ROUND_ROBIN`].
const PACKAGE: &str = "org.apache.kafka.clients.producer.";
const ROUND_ROBIN: &str = "RoundRobinPartitioner";
const CUSTOM: &str = "custom";
const TABLE: &str = "brokerlab.partitioner";

/// The rule that `partitioner.class` and, for a custom one, `brokerlab.partitioner` give; both empty if unset.
pub fn rule(class: &str, table: &str) -> Result<Rule, Refusal> {
    if class != CUSTOM && !table.is_empty() {
        return Err(refused(TABLE, table, "it is heeded only with partitioner.class=custom"));
    }
    match class {
        "" | "default" => Ok(Rule::BuiltIn),
        CUSTOM => custom(table),
        _ if class.strip_prefix(PACKAGE).unwrap_or(class) == ROUND_ROBIN => Ok(Rule::RoundRobin),
        _ => Err(refused("partitioner.class", class, &format!("Class {class} could not be found."))),
    }
}

fn refused(name: &str, value: &str, reason: &str) -> Refusal {
    let sentence = format!("Invalid value {value} for configuration {name}: {reason}");
    Refusal::kafka(ErrorCode::InvalidConfig, sentence).at(&format!("configs.{name}"))
}

fn custom(text: &str) -> Result<Rule, Refusal> {
    let example = r#"must be JSON like {"table": {"key": 0}, "otherwise": "murmur2"}"#;
    let json = serde_json::from_str(text).map_err(|_| refused(TABLE, text, example))?;
    read(json).map_err(|misfit| refused(TABLE, text, &Refusal::from(misfit).message))
}

fn read(json: Value) -> Read<Rule> {
    object(json, "A partitioner", |fields| {
        let named: Map<String, Value> = fields.optional("table");
        let mut table = OrderedMap::new();
        for (key, value) in named {
            let index = index(&value).map_err(|misfit| misfit.within(&key).within("table"))?;
            table.insert(Bytes::from(key), index);
        }
        let otherwise = fields.optional::<Option<Otherwise>>("otherwise").map_or(Rule::BuiltIn, |otherwise| otherwise.0);
        Ok(Rule::Table(table, Box::new(otherwise)))
    })
}

/// The rule for keys that have no place in the table, and for records without one.
struct Otherwise(Rule);

impl FromValue for Otherwise {
    fn from_value(value: Value) -> Read<Otherwise> {
        let rule = match &value {
            Value::String(rule) if rule == "murmur2" => Rule::BuiltIn,
            Value::String(rule) if rule == "roundRobin" => Rule::RoundRobin,
            Value::Number(_) => Rule::Fixed(index(&value)?),
            _ => return Err(Misfit::expected("\"murmur2\", \"roundRobin\" or a partition", &value)),
        };
        Ok(Otherwise(rule))
    }
}

/// A partition; Kafka refuses a partitioner's negative one.
fn index(value: &Value) -> Read<i32> {
    let index = value.as_i64().and_then(|index| i32::try_from(index).ok()).filter(|index| 0 <= *index);
    index.ok_or_else(|| Misfit::expected("a partition: a whole number from 0 on", value))
}
