//! Which partition a record goes to, where the application has not said it.
//!
//! Owns what is remembered for each topic: the sticky partition, whose turn it is, and how long brokers have kept batches waiting. Knows neither
//! requests nor batches, only how much waits for each partition. Source: `BuiltInPartitioner`, `RoundRobinPartitioner`, `RecordAccumulator`'s
//! `partitionReady`; KIP-480, KIP-794.

use super::accumulator::Accumulator;
use super::network::PartitionInfo;
use crate::node::{Chance, Time, TopicName};
use crate::ordered::OrderedMap;
use crate::protocol::partition_for_key;
use bytes::Bytes;

/// How a producer chooses partitions.
#[derive(Clone, PartialEq, Debug)]
pub struct PartitionerConfig {
    /// `partitioner.class`
    pub rule: Rule,
    /// `partitioner.ignore.keys`
    pub ignore_keys: bool,
    /// `partitioner.adaptive.partitioning.enable`
    pub adaptive: bool,
    /// `partitioner.availability.timeout.ms`; 0: never
    pub availability_timeout: Time,
    /// `batch.size`, but at least 1: after this many bytes the sticky partition changes.
    pub batch_size: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Rule {
    /// By key; without one, sticky.
    BuiltIn,
    RoundRobin,
    /// Keys that have a partition of their own; the others go by the rule in the box.
    Table(OrderedMap<Bytes, i32>, Box<Rule>),
    Fixed(i32),
}

/// Of the partitions that have a leader the one that `number` falls on; of all, where none has one. There is at least one.
pub fn pick(number: u32, partitions: &[PartitionInfo]) -> i32 {
    let led = || partitions.iter().zip(0..).filter(|(info, _)| info.leader.is_some()).map(|(_, index)| index);
    match led().count() {
        0 => (number % partitions.len() as u32) as i32,
        count => led().nth(number as usize % count).unwrap_or(0),
    }
}

/// The partition that records without a key go to until a batch's worth of bytes has gone there.
#[derive(Clone, Default, Debug)]
pub struct Sticky {
    chosen: Option<i32>,
    taken: usize,
    odds: Option<Odds>,
}

/// The less waits for a partition, the likelier it is chosen: a number up to the last of `ends` means the partition of the first end beyond it.
#[derive(Clone, Debug)]
struct Odds {
    ends: Vec<u32>,
    partitions: Vec<i32>,
}

impl Sticky {
    pub fn chosen(&self) -> Option<i32> {
        self.chosen
    }

    /// Bytes have gone to the partition: whether it is time for another. While its last batch has room it is kept, or batches would go out
    /// half full; but not beyond two batches.
    pub fn takes(&mut self, bytes: usize, may_switch: bool, batch_size: usize) -> bool {
        self.taken += bytes;
        (batch_size <= self.taken && may_switch) || 2 * batch_size <= self.taken
    }

    /// Chooses anew, by a random number of 31 bits.
    pub fn choose(&mut self, random: u32, partitions: &[PartitionInfo]) -> i32 {
        let chosen = match &self.odds {
            Some(Odds { ends, partitions }) => {
                let number = random % ends.last().copied().unwrap_or(1);
                partitions[ends.partition_point(|end| *end <= number)]
            }
            None => pick(random, partitions),
        };
        (self.chosen, self.taken) = (Some(chosen), 0);
        chosen
    }

    /// Takes in how many batches wait for each of these partitions, out of `count`: those that are left out get nothing. Where there is no
    /// difference all are as likely. Returns the end of the odds, if they differ.
    pub fn load(&mut self, waiting: &[(i32, u32)], count: usize) -> Option<u32> {
        let most = waiting.iter().map(|(_, batches)| *batches).max();
        let is_even = waiting.len() == count && waiting.iter().all(|(_, batches)| Some(*batches) == most);
        self.odds = most.filter(|_| 1 < count && !is_even).map(|most| {
            let mut end = 0;
            let ends = waiting.iter().map(|(_, batches)| {
                end += most + 1 - batches;
                end
            });
            Odds { ends: ends.collect(), partitions: waiting.iter().map(|(index, _)| *index).collect() }
        });
        self.odds.as_ref().and_then(|odds| odds.ends.last().copied())
    }
}

/// What is remembered for a topic.
#[derive(Clone, Default, Debug)]
struct Topic {
    sticky: Sticky,
    turns: u32,
}

/// Since when a broker has taken batches, and until when there were some for it.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    drained: Time,
    ready: Time,
}

#[derive(Clone, Debug)]
pub struct Partitioner {
    config: PartitionerConfig,
    topics: OrderedMap<TopicName, Topic>,
    brokers: OrderedMap<i32, Waiting>,
    chance: Chance,
}

impl Partitioner {
    pub fn new(config: PartitionerConfig, chance: Chance) -> Partitioner {
        Partitioner { config, topics: OrderedMap::new(), brokers: OrderedMap::new(), chance }
    }

    /// The partition of a record, and whether it is the sticky one.
    pub fn partition(&mut self, topic: &TopicName, key: Option<&[u8]>, partitions: &[PartitionInfo], waits: &Accumulator) -> (i32, bool) {
        let mut rule = &self.config.rule;
        while let Rule::Table(table, otherwise) = rule {
            if let Some(index) = key.and_then(|key| table.get(key)) {
                return (*index, false);
            }
            rule = otherwise;
        }
        match (rule, key) {
            (Rule::Fixed(index), _) => (*index, false),
            (Rule::RoundRobin, _) => {
                let turns = &mut self.topic(topic).turns;
                let turn = *turns;
                // As Java's counter with its sign cleared.
                *turns = (turn + 1) & i32::MAX as u32;
                (pick(turn, partitions), false)
            }
            (_, Some(key)) if !self.config.ignore_keys => (partition_for_key(key, partitions.len() as i32), false),
            _ => (self.sticky(topic, partitions, waits), true),
        }
    }

    fn topic(&mut self, topic: &TopicName) -> &mut Topic {
        self.topics.or_default_by(|known| known.cmp(topic), || topic.clone())
    }

    fn sticky(&mut self, topic: &TopicName, partitions: &[PartitionInfo], waits: &Accumulator) -> i32 {
        let batch_size = self.config.batch_size;
        let sticky = &mut self.topic(topic).sticky;
        match sticky.chosen.filter(|chosen| (*chosen as usize) < partitions.len()) {
            // Perhaps its last batch has been sent since.
            Some(chosen) if !(waits.all_full(topic, chosen) && sticky.takes(0, true, batch_size)) => chosen,
            _ => self.choose(topic, partitions, waits),
        }
    }

    /// Bytes have gone to the sticky partition.
    pub fn took(&mut self, topic: &TopicName, index: i32, bytes: usize, partitions: &[PartitionInfo], waits: &Accumulator) {
        let batch_size = self.config.batch_size;
        let may_switch = waits.all_full(topic, index);
        if self.topic(topic).sticky.takes(bytes, may_switch, batch_size) {
            self.choose(topic, partitions, waits);
        }
    }

    fn choose(&mut self, topic: &TopicName, partitions: &[PartitionInfo], waits: &Accumulator) -> i32 {
        let random = self.chance.below(1 << 31) as u32;
        let waiting = self.waiting(topic, partitions, waits);
        let sticky = &mut self.topic(topic).sticky;
        sticky.load(&waiting, partitions.len());
        sticky.choose(random, partitions)
    }

    /// How many batches wait for each partition that has a leader, without those whose broker has not taken one for too long. None before each
    /// partition of the topic has had one.
    fn waiting(&self, topic: &TopicName, partitions: &[PartitionInfo], waits: &Accumulator) -> Vec<(i32, u32)> {
        let mut waiting = Vec::new();
        for (info, index) in partitions.iter().zip(0..).filter(|_| self.config.adaptive) {
            let Some(batches) = waits.waiting(topic, index) else { return Vec::new() };
            if let Some(leader) = info.leader
                && (batches == 0 || !self.is_slow(leader))
            {
                waiting.push((index, batches as u32));
            }
        }
        waiting
    }

    fn is_slow(&self, broker: i32) -> bool {
        let limit = self.config.availability_timeout;
        limit != 0 && self.brokers.get(&broker).is_some_and(|seen| limit < seen.ready.saturating_sub(seen.drained))
    }

    /// There are batches for a broker; whether it takes them.
    pub fn broker_is_due(&mut self, now: Time, broker: i32, takes: bool) {
        if self.config.availability_timeout != 0 {
            let seen = self.brokers.or_insert_with(broker, || Waiting { drained: now, ready: now });
            seen.ready = now;
            if takes {
                seen.drained = now;
            }
        }
    }
}
