//! A small table of a database, captured: each change of a row is a record (change data capture).
//!
//! Owns the rows, and what a change of one looks like: before, after, `op` and `ts_ms` as Debezium writes them, under the row's key, and a tombstone
//! after a delete, so that compaction forgets the row.

use super::generator::Generator;
use super::producer::{Outgoing, Producer};
use crate::node::{Chance, MS, Outputs, Time, TopicName};
use crate::ordered::OrderedMap;
use crate::protocol::text::quoted;
use bytes::Bytes;
use serde::de::IgnoredAny;

/// One in so many changes of a row that the generator makes deletes it.
const DELETE_ODDS: u64 = 10;

#[derive(Clone, Debug)]
pub struct Table {
    rows: OrderedMap<Bytes, Box<str>>,
    chance: Chance,
}

impl Table {
    pub fn new(chance: Chance) -> Table {
        Table { rows: OrderedMap::new(), chance }
    }

    pub fn has(&self, key: &[u8]) -> bool {
        self.rows.contains_key(key)
    }

    /// Something happens to the row of a key: it comes, gets another content, or now and then is deleted.
    pub fn live(&mut self, timestamp: i64, key: &[u8], row: &str) -> Vec<Outgoing> {
        let deletes = self.has(key) && self.chance.below(DELETE_ODDS) == 0;
        self.change(timestamp, Bytes::copy_from_slice(key), Some(row).filter(|_| !deletes))
    }

    /// Inserts, updates or deletes a row. Returns the records that say so; none: there was no such row to delete.
    pub fn change(&mut self, timestamp: i64, key: Bytes, row: Option<&str>) -> Vec<Outgoing> {
        let before = match row {
            Some(row) => self.rows.insert(key.clone(), Box::from(row)),
            None => self.rows.remove(&key),
        };
        let op = match (&before, row) {
            (None, None) => return Vec::new(),
            (None, Some(_)) => 'c',
            (Some(_), Some(_)) => 'u',
            (Some(_), None) => 'd',
        };
        let (before, after) = (json(before.as_deref()), json(row));
        let change = format!("{{\"before\":{before},\"after\":{after},\"op\":\"{op}\",\"ts_ms\":{timestamp}}}");
        let record = |value: Option<String>| Outgoing {
            key: Some(key.clone()),
            value: value.map(Bytes::from),
            headers: Vec::new(),
            partition: None,
            timestamp: None,
        };
        let mut records = vec![record(Some(change))];
        records.extend(row.is_none().then(|| record(None)));
        records
    }
}

impl Producer {
    /// From now on it sends the changes of this table's rows.
    pub fn capturing(mut self, table: Table) -> Producer {
        self.table = Some(table);
        self
    }

    pub fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// A row of its table is inserted, updated or, without content, deleted.
    pub fn change_row(&mut self, now: Time, topic: &TopicName, key: Bytes, row: Option<&str>, out: &mut Outputs) {
        let timestamp = self.config().start_timestamp + (now / MS) as i64;
        let changes = self.table.as_mut().map(|table| table.change(timestamp, key, row)).unwrap_or_default();
        self.send_all(now, topic, changes.into_iter(), out);
    }

    /// The next change that the generator makes, if there is room to send it. A record that is refused or lost after that leaves the row changed, as a
    /// database's is whose connector fails.
    pub(super) fn change_some_row(&mut self, now: Time, topic: &TopicName, takes: bool, generator: &mut Generator, out: &mut Outputs) {
        let timestamp = self.config().start_timestamp + (now / MS) as i64;
        let made = generator.make(now);
        let Some(table) = self.table.as_mut().filter(|_| takes) else { return };
        let row = String::from_utf8_lossy(made.value.unwrap_or_default());
        for change in table.live(timestamp, made.key.unwrap_or_default(), &row) {
            self.enqueue(now, topic, &change.draft(&[]), out);
        }
    }
}

/// A row as JSON: its own text if that is JSON, else a string.
fn json(row: Option<&str>) -> String {
    match row {
        None => "null".to_owned(),
        Some(row) if serde_json::from_str::<IgnoredAny>(row).is_ok() => row.to_owned(),
        Some(row) => quoted(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_tells_before_and_after_and_a_delete_leaves_a_tombstone() {
        let mut table = Table::new(Chance::new(1));
        let mut change = |key: &'static str, row| {
            let records = table.change(5, Bytes::from_static(key.as_bytes()), row);
            assert!(records.iter().all(|record| record.key.as_deref() == Some(key.as_bytes())));
            let value = |record: &Outgoing| record.value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned());
            records.iter().map(value).collect::<Vec<_>>()
        };
        let said = |value: &str| Some(value.to_owned());
        assert_eq!(change("a", Some("{\"n\":1}")), [said(r#"{"before":null,"after":{"n":1},"op":"c","ts_ms":5}"#)]);
        assert_eq!(change("a", Some("it's \"2\"")), [said(r#"{"before":{"n":1},"after":"it's \"2\"","op":"u","ts_ms":5}"#)]);
        assert_eq!(change("b", None), []);
        assert_eq!(change("a", None), [said(r#"{"before":"it's \"2\"","after":null,"op":"d","ts_ms":5}"#), None]);
        assert_eq!(change("a", None), []);
    }
}
