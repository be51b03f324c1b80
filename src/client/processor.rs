//! An application that consumes, transforms and produces: what a consumer's poll returns is written by a producer, and only then is polled again.
//!
//! Owns the order of the application's statements. If the producer has a transactional id, each poll's records and the positions behind them are one
//! transaction, and after an abort they are read again from the committed offsets: exactly once. Else records are sent, and the consumer commits by itself.
//! A fenced producer is the end: nobody else can go on for it. One that keeps a table ([`Aggregate`]) reads that first. It must not know requests. Source: KIP-447, Kafka's example `ExactlyOnceMessageProcessor`.

use super::aggregate::{Aggregate, SOURCE};
use super::consumer::Consumer;
use super::producer::{Draft, Producer};
use super::transactions::{Call, GroupOffsets, State};
use crate::node::{Outputs, Partition, Time, TopicName};
use crate::protocol::{Batch, RecordRef};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a consumer's last poll returned, for a processor.
#[derive(Clone, Default, Debug)]
pub struct Handed {
    pub(super) batches: VecDeque<Range>,
    /// So many records have had their processing time: they may be sent.
    pub(super) done: usize,
    /// The next poll waits until the processor is through.
    pub(super) waits: bool,
    /// Partitions that it has read to their end are not read on.
    pub(super) to_the_end: bool,
}

/// Some records of a batch, all that are readable between two offsets.
#[derive(Clone, Debug)]
pub struct Range {
    /// Of the partition that it is from.
    pub index: i32,
    pub batch: Batch,
    pub first: i64,
    pub last: i64,
    pub records: usize,
}

impl Range {
    fn each(&self, mut act: impl FnMut(&RecordRef<'_>)) {
        let mut records = self.batch.records();
        while let Some(Ok(record)) = records.next_ref() {
            if (self.first..=self.last).contains(&record.offset) {
                act(&record);
            }
        }
    }
}

impl Handed {
    fn take_done(&mut self) -> Vec<Range> {
        let mut taken = Vec::new();
        while 0 < self.done
            && let Some(mut range) = self.batches.pop_front()
        {
            if self.done < range.records {
                let mut records = range.batch.records();
                let offsets = std::iter::from_fn(|| records.next_ref()?.ok().map(|record| record.offset));
                let last = offsets.filter(|offset| range.first <= *offset).nth(self.done - 1).unwrap_or(range.last);
                let rest = Range { first: last + 1, records: range.records - self.done, ..range.clone() };
                self.batches.push_front(rest);
                (range.last, range.records) = (last, self.done);
            }
            self.done -= range.records;
            taken.push(range);
        }
        taken
    }
}

/// What the application does next.
#[derive(Debug)]
pub enum Statement {
    Begin,
    Send(Vec<Range>),
    Commit(GroupOffsets),
    Abort,
    /// It reads again what the transaction that was aborted had read.
    GoBack,
    Poll,
    /// It reads these partitions from now on.
    Assign(Vec<Partition>),
    /// It can do nothing more, and closes both.
    Exit,
}

#[derive(Clone, Debug)]
pub struct Processor {
    /// The producer's name.
    pub producer: Arc<str>,
    topic: TopicName,
    /// What is written instead of a record's value: `{key}` and `{value}` are filled in.
    template: Option<Box<str>>,
    /// The table whose changes are written instead of the records.
    pub aggregate: Option<Box<Aggregate>>,
    /// The transaction that is being ended is to commit.
    commits: Option<bool>,
}

impl Processor {
    pub fn new(producer: Arc<str>, topic: TopicName, template: Option<&str>) -> Processor {
        Processor { producer, topic, template: template.map(Box::from), aggregate: None, commits: None }
    }

    pub fn of_aggregate(producer: Arc<str>, topic: TopicName, aggregate: Aggregate) -> Processor {
        Processor { aggregate: Some(Box::new(aggregate)), ..Processor::new(producer, topic, None) }
    }

    /// What it writes to.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// What it says next; `None`: a statement has not returned, or there is nothing to do.
    /// `transactions`: where its producer's is, and whether it has said anything that has not returned.
    pub fn next(&mut self, transactions: Option<(State, bool)>, consumer: &mut Consumer) -> Option<Statement> {
        let (closes, has_processed) = (consumer.is_closing(), consumer.has_processed());
        let handed = consumer.handed().filter(|_| !closes)?;
        if let Some(aggregate) = self.aggregate.as_mut().filter(|aggregate| !aggregate.is_restored()) {
            handed.take_done().iter().for_each(|range| range.each(|record| aggregate.restore(record)));
            if handed.waits {
                return has_processed.then_some(Statement::Poll);
            }
            return consumer.has_caught_up().then(|| Statement::Assign(aggregate.restored()));
        }
        let waits = handed.waits;
        if let Some(more) = self.aggregate.as_mut().and_then(|aggregate| aggregate.grown(consumer)) {
            return Some(Statement::Assign(more));
        }
        if !waits {
            return None;
        }
        let handed = consumer.handed()?;
        let Some((state, is_saying)) = transactions else {
            let records = handed.take_done();
            return if records.is_empty() { has_processed.then_some(Statement::Poll) } else { Some(Statement::Send(records)) };
        };
        match state {
            State::FatalError(_) => Some(Statement::Exit),
            _ if is_saying => None,
            State::AbortableError(_) => {
                self.commits = Some(false);
                Some(Statement::Abort)
            }
            State::Ready => match self.commits.take() {
                Some(true) => Some(Statement::Poll),
                Some(false) => Some(Statement::GoBack),
                None => Some(Statement::Begin),
            },
            State::Initializing if self.commits.is_none() => Some(Statement::Begin),
            State::InTransaction => {
                let records = handed.take_done();
                if !records.is_empty() {
                    return Some(Statement::Send(records));
                }
                let offsets = consumer.group_offsets().filter(|_| has_processed)?;
                self.commits = Some(true);
                Some(Statement::Commit(offsets))
            }
            State::Initializing | State::Ending { .. } => None,
        }
    }

    /// Hands records to the producer.
    pub fn send(&mut self, now: Time, records: &[Range], producer: &mut Producer, out: &mut Outputs) {
        let mut text = String::new();
        producer.network.want(now, &self.topic);
        for range in records {
            range.each(|record| {
                let mut draft = Draft { key: record.key, value: None, headers: &[], partition: None, timestamp: None };
                if let Some(aggregate) = &mut self.aggregate {
                    let Some(change) = aggregate.take(range.index, record) else { return };
                    draft.value = change.text.as_deref().map(str::as_bytes);
                    let header = [(SOURCE, Some(change.source.as_bytes()))];
                    draft.headers = &header;
                    producer.enqueue(now, &self.topic, &draft, out);
                } else {
                    draft.value = self.transformed(record.key, record.value, &mut text);
                    producer.enqueue(now, &self.topic, &draft, out);
                }
            });
        }
        producer.drive(now, out);
    }

    /// A tombstone stays one.
    fn transformed<'a>(&self, key: Option<&[u8]>, value: Option<&'a [u8]>, text: &'a mut String) -> Option<&'a [u8]> {
        let (Some(template), Some(value)) = (&self.template, value) else { return value };
        let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // The value last: what it says itself is no place.
        *text = template.replace("{key}", &utf8(key.unwrap_or_default()));
        *text = text.replace("{value}", &utf8(value));
        Some(text.as_bytes())
    }
}

/// What a statement says to the producer.
pub fn calls(statement: &Statement) -> Vec<Call> {
    match statement {
        Statement::Begin => vec![Call::Begin],
        Statement::Commit(offsets) => vec![Call::Offsets(Arc::new(offsets.clone())), Call::End { commit: true }],
        Statement::Abort => vec![Call::End { commit: false }],
        _ => Vec::new(),
    }
}
