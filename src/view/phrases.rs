//! Parts of sentences about notes: lists and numbers in words.

use crate::node::Partition;
use crate::session::written::Object;
use serde_json::Value;

pub(super) fn list(brokers: &[i32]) -> String {
    brokers.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn names(partitions: &[Partition]) -> String {
    match partitions {
        [] => "nothing".to_owned(),
        partitions => partitions.iter().map(Partition::to_string).collect::<Vec<_>>().join(", "),
    }
}

pub(super) fn named(partitions: &[Partition]) -> Value {
    partitions.iter().map(Partition::to_string).collect::<Vec<_>>().into()
}

/// "broker 3", "all brokers".
pub(super) fn brokers(broker: Option<i32>) -> String {
    broker.map_or_else(|| "all brokers".to_owned(), |broker| format!("broker {broker}"))
}

/// "retention.ms = 5000, segment.ms as the brokers'".
pub(super) fn settings(changes: &[(String, Option<String>)], unset: &str) -> String {
    let change = |(name, value): &(String, Option<String>)| match value {
        Some(value) => format!("{name} = {value}"),
        None => format!("{name} {unset}"),
    };
    changes.iter().map(change).collect::<Vec<_>>().join(", ")
}

pub(super) fn changed(changes: &[(String, Option<String>)]) -> Value {
    changes.iter().map(|(name, value)| Object::of([("name", name.as_str().into()), ("value", value.as_deref().into())])).collect()
}

/// "3 records", "1 record".
pub(super) fn count(number: impl Into<i64>, noun: &str) -> String {
    let number = number.into();
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// "offset 4", "offsets 4 to 6".
pub(super) fn offsets(first: i64, last: i64) -> String {
    if first == last { format!("offset {first}") } else { format!("offsets {first} to {last}") }
}

/// Whether somebody else gets released records.
pub(super) fn again(archived: bool) -> &'static str {
    if archived { "; delivered as often as they may be, they are archived" } else { "" }
}
