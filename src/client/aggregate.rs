//! An application that keeps a table of what a topic says of each key, and writes each change to a topic of its own (event sourcing, a read model).
//!
//! Owns the rows. The table's topic is the state: after a crash it is read to its end, and then the source from the beginning, passing over what a row has
//! taken already; each change says in its header `source` up to where that is in each partition. So each record counts once, however often it is read.
//! It must not know requests: [`super::processor`] hands it records and takes its changes.

use super::consumer::Consumer;
use super::template::push_number;
use crate::mutant;
use crate::node::Partition;
use crate::ordered::OrderedMap;
use crate::protocol::RecordRef;
use crate::protocol::json::json_field;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::fmt::Write;
use std::sync::Arc;

/// The header of a change: of each partition that the row has anything from, the offset of the last record that it took, as in `0:17,2:4`.
pub(super) const SOURCE: &[u8] = b"source";
/// Digits behind the point of a sum, at the most.
const DECIMALS_MAX: usize = 9;

/// What becomes of a key's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    /// How many there were.
    Count,
    /// The sum of their numbers.
    Sum,
    /// What the last one says.
    Last,
}

impl Fold {
    pub const ALL: [Fold; 3] = [Fold::Count, Fold::Sum, Fold::Last];

    /// Its name in the automation interface.
    pub fn name(self) -> &'static str {
        match self {
            Fold::Count => "count",
            Fold::Sum => "sum",
            Fold::Last => "last",
        }
    }

    /// A row after one more record; `None`: the record says nothing of what is wanted.
    fn after(self, row: Option<&str>, value: &[u8], field: Option<&str>) -> Option<String> {
        if self == Fold::Count {
            return Some(row.and_then(|row| row.parse::<u64>().ok()).unwrap_or(0).saturating_add(1).to_string());
        }
        let text = std::str::from_utf8(value).ok()?;
        let whole: &RawValue = serde_json::from_str(text).ok()?;
        let said = match field {
            Some(field) => json_field(whole, field)?,
            None => whole,
        };
        if self == Fold::Last {
            return Some(said.get().to_owned());
        }
        let (own, decimals) = decimal(said.get())?;
        let (before, before_decimals) = row.map_or(Some((0, 0)), decimal)?;
        let most = decimals.max(before_decimals);
        let scaled = |number: i64, decimals: usize| number.checked_mul(10_i64.pow((most - decimals) as u32));
        let mut sum = String::new();
        push_number(&mut sum, scaled(own, decimals)?.checked_add(scaled(before, before_decimals)?)?, most);
        Some(sum)
    }
}

/// A JSON number without an exponent: its digits as a whole number, and how many of them are behind the point.
fn decimal(text: &str) -> Option<(i64, usize)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number = format!("{whole}{fraction}").parse().ok()?;
    (fraction.len() <= DECIMALS_MAX).then_some((number, fraction.len()))
}

/// What is known of a key.
#[derive(Clone, Default, Debug)]
struct Row {
    /// `None`: it is deleted.
    text: Option<String>,
    /// The last record that it took of each partition.
    sources: OrderedMap<i32, i64>,
}

/// What a row is now, and its header.
pub struct Change {
    pub text: Option<String>,
    pub source: String,
}

#[derive(Clone, Debug)]
pub struct Aggregate {
    sources: Vec<Partition>,
    fold: Fold,
    /// Of the records' JSON values; absent: the whole value.
    field: Option<Arc<str>>,
    rows: OrderedMap<Bytes, Row>,
    /// The table's topic is read.
    is_restored: bool,
}

impl Aggregate {
    /// The consumer that goes with it reads the table's topic, from its beginning.
    pub fn new(sources: Vec<Partition>, fold: Fold, field: Option<&str>) -> Aggregate {
        Aggregate { sources, fold, field: field.map(Arc::from), rows: OrderedMap::new(), is_restored: false }
    }

    /// The keys that it knows, and what it knows of them.
    pub fn rows(&self) -> impl Iterator<Item = (&Bytes, &str)> {
        self.rows.iter().filter_map(|(key, row)| Some((key, row.text.as_deref()?)))
    }

    /// What it reads once it has read its table.
    pub fn sources(&self) -> &[Partition] {
        &self.sources
    }

    pub fn fold(&self) -> Fold {
        self.fold
    }

    pub fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// The table is read: what is read from now on.
    pub(super) fn restored(&mut self) -> Vec<Partition> {
        self.is_restored = true;
        self.sources.clone()
    }

    /// What it reads, if its source has more partitions by now than it has read.
    pub(super) fn grown(&mut self, consumer: &Consumer) -> Option<Vec<Partition>> {
        let topic = self.sources.first()?.topic.clone();
        let (known, count) = (self.sources.len() as i32, consumer.partition_count(&topic));
        if count <= known || mutant::is("aggregate-new-partitions-unread") {
            return None;
        }
        self.sources.extend((known..count).map(|index| Partition { topic: topic.clone(), index }));
        Some(self.sources.clone())
    }

    /// A row as the table's topic has it.
    pub(super) fn restore(&mut self, record: &RecordRef<'_>) {
        let Some(key) = record.key else { return };
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let mut row = Row { text: record.value.and_then(text), sources: OrderedMap::new() };
        let header = record.headers().find(|(name, _)| *name == SOURCE).and_then(|(_, value)| text(value?));
        for source in header.iter().flat_map(|header| header.split(',')) {
            if let Some((partition, offset)) = source.split_once(':')
                && !mutant::is("aggregate-counts-again")
                && let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse())
            {
                row.sources.insert(partition, offset);
            }
        }
        self.rows.insert(Bytes::copy_from_slice(key), row);
    }

    /// A record of the source; `None`: nothing changes.
    pub(super) fn take(&mut self, partition: i32, record: &RecordRef<'_>) -> Option<Change> {
        let key = record.key?;
        let row = self.rows.get(key);
        if row.and_then(|row| row.sources.get(&partition)).is_some_and(|taken| record.offset <= *taken) {
            return None;
        }
        let text = match record.value {
            Some(value) => {
                let before = row.and_then(|row| row.text.as_deref()).filter(|_| !mutant::is("aggregate-forgets-the-older"));
                Some(self.fold.after(before, value, self.field.as_deref())?)
            }
            // A deleted key has no row.
            None => None,
        };
        let row = self.rows.or_default(Bytes::copy_from_slice(key));
        row.text.clone_from(&text);
        row.sources.insert(partition, record.offset);
        let mut source = String::new();
        for (partition, offset) in &row.sources {
            let _ = write!(source, "{}{partition}:{offset}", if source.is_empty() { "" } else { "," });
        }
        Some(Change { text, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_from_records() {
        let after = |fold: Fold, row, value: &str, field| fold.after(row, value.as_bytes(), field);
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(after(Fold::Count, None, "no JSON", None), is("1"));
        assert_eq!(after(Fold::Count, Some("41"), "", None), is("42"));
        assert_eq!(after(Fold::Sum, None, "{\"a\":{\"b\":2.50}}", Some("a.b")), is("2.50"));
        assert_eq!(after(Fold::Sum, Some("2.50"), "-3", None), is("-0.50"));
        assert_eq!(after(Fold::Sum, Some("7"), "0.125", None), is("7.125"));
        assert_eq!(after(Fold::Last, Some("1"), "{\"city\":\"Oslo\"}", Some("city")), is("\"Oslo\""));
        assert_eq!(after(Fold::Last, Some("1"), " [1, 2]", None), is("[1, 2]"));
        for nothing in ["{}", "{\"a\":null}", "{\"a\":\"1\"}", "{\"a\":1e3}", "{\"a\":9223372036854775807}", "{\"a\":0.0000000001}", "{"] {
            assert_eq!(after(Fold::Sum, Some("1"), nothing, Some("a")), None, "{nothing}");
        }
    }
}
