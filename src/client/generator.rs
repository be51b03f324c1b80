//! An application that sends records at a steady rate: keys from a list, values from a template.

use super::producer::Draft;
use super::template::{Moment, Template};
use crate::node::{Chance, MS, Time};
use bytes::Bytes;
use std::sync::Arc;

/// Records are made in steps no shorter than this, several at a time where the rate is higher.
const STEP_MIN: Time = MS;

/// What a producer's application does by itself.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Records per 1,000 virtual seconds: an integer, so that every machine counts the same.
    millirate: u64,
    keys: Arc<Keys>,
    template: Template,
    /// The newest record's.
    value: String,
    client: Arc<str>,
    /// Kafka's epoch milliseconds at virtual time 0.
    start_timestamp: i64,
    started: Time,
    made: u64,
    chance: Chance,
}

/// How often each key comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyDistribution {
    /// Each as often as any other, by chance.
    Uniform,
    /// One after the other.
    RoundRobin,
    /// By chance; the first twice as often as the second, three times as often as the third, and so on (Zipf's law): hot keys.
    Zipf,
}

impl KeyDistribution {
    pub const ALL: [KeyDistribution; 3] = [KeyDistribution::Uniform, KeyDistribution::RoundRobin, KeyDistribution::Zipf];

    /// Its name in the automation interface.
    pub fn name(self) -> &'static str {
        match self {
            KeyDistribution::Uniform => "uniform",
            KeyDistribution::RoundRobin => "roundRobin",
            KeyDistribution::Zipf => "zipf",
        }
    }
}

/// The keys of records, and whose turn it is. They lie close together: a random one of thousands is read for each record.
#[derive(Debug)]
struct Keys {
    text: Vec<u8>,
    /// Where each ends in `text`.
    ends: Vec<u32>,
    distribution: KeyDistribution,
    /// With Zipf's law: how many of the chances are those of a key and the keys before it.
    chances: Vec<u64>,
}

/// Chances of the first key under Zipf's law: whole numbers, also of keys far down.
const FIRST_CHANCES: u64 = 1 << 32;

impl Keys {
    fn new(all: &[Bytes], distribution: KeyDistribution) -> Keys {
        let mut sum = 0;
        let ranks = if distribution == KeyDistribution::Zipf { all.len() as u64 } else { 0 };
        let mut end = 0;
        let ends = all.iter().map(|key| {
            end += key.len() as u32;
            end
        });
        let until = |rank: u64| {
            sum += FIRST_CHANCES / rank;
            sum
        };
        Keys { ends: ends.collect(), text: all.concat(), distribution, chances: (1..=ranks).map(until).collect() }
    }

    /// The key of the `made`th record.
    fn next(&self, made: u64, chance: &mut Chance) -> Option<&[u8]> {
        let count = self.ends.len() as u64;
        if count == 0 {
            return None;
        }
        let place = match self.distribution {
            KeyDistribution::Uniform => chance.below(count) as usize,
            KeyDistribution::RoundRobin => ((made - 1) % count) as usize,
            KeyDistribution::Zipf => {
                let drawn = chance.below(self.chances.last().copied().unwrap_or_default());
                self.chances.partition_point(|until| *until <= drawn)
            }
        };
        let end = *self.ends.get(place)? as usize;
        let start = if place == 0 { 0 } else { self.ends[place - 1] as usize };
        self.text.get(start..end)
    }
}

impl Generator {
    /// `millirate` is at least 1.
    pub fn new(now: Time, millirate: u64, template: Template, mut chance: Chance) -> Generator {
        let phase = chance.below(1_000_000_000 / millirate.max(1) + 1);
        Generator {
            millirate: millirate.max(1),
            keys: Arc::new(Keys::new(&[], KeyDistribution::Uniform)),
            template,
            value: String::new(),
            client: Arc::from(""),
            start_timestamp: 0,
            started: now + phase,
            made: 0,
            chance,
        }
    }

    pub fn made(&self) -> u64 {
        self.made
    }

    pub fn with_keys(mut self, keys: Vec<Bytes>, distribution: KeyDistribution) -> Generator {
        self.keys = Arc::new(Keys::new(&keys, distribution));
        self
    }

    /// What its records say of where and when they were made.
    pub fn of_client(mut self, client: Arc<str>, start_timestamp: i64) -> Generator {
        (self.client, self.start_timestamp) = (client, start_timestamp);
        self
    }

    /// When the next records are due.
    pub fn next_at(&self, now: Time) -> Time {
        let due = self.started + self.made.saturating_add(1).saturating_mul(1_000_000_000) / self.millirate;
        due.max(now + STEP_MIN)
    }

    /// How many records are due by now.
    pub fn due(&self, now: Time) -> u64 {
        let elapsed = u128::from(now.saturating_sub(self.started));
        let total = elapsed * u128::from(self.millirate) / 1_000_000_000;
        u64::try_from(total).unwrap_or(u64::MAX).saturating_sub(self.made)
    }

    /// The next record.
    pub fn make(&mut self, now: Time) -> Draft<'_> {
        self.made += 1;
        let key = self.keys.next(self.made, &mut self.chance);
        let timestamp = self.start_timestamp + (now / MS) as i64;
        let moment = Moment { sequence: self.made, key: key.unwrap_or_default(), client: &self.client, timestamp };
        self.template.fill(&mut self.value, moment, &mut self.chance);
        Draft { key, value: Some(self.value.as_bytes()), headers: &[], partition: None, timestamp: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of the keys a, b, c, d comes in 25,000 records.
    fn counts(distribution: KeyDistribution) -> [usize; 4] {
        let names = [&b"a"[..], b"b", b"c", b"d"];
        let keys = names.map(Bytes::from_static).to_vec();
        let template = Template::parse("").expect("a template");
        let mut generator = Generator::new(0, 1_000, template, Chance::new(5)).with_keys(keys, distribution);
        let made: Vec<Vec<u8>> = (0..25_000).map(|_| generator.make(0).key.expect("a key").to_vec()).collect();
        names.map(|name| made.iter().filter(|key| key[..] == *name).count())
    }

    #[test]
    fn keys_come_as_often_as_their_distribution_says() {
        assert_eq!(counts(KeyDistribution::RoundRobin), [6_250; 4]);
        assert!(counts(KeyDistribution::Uniform).iter().all(|count| count.abs_diff(6_250) < 250));
        // 1 : 1/2 : 1/3 : 1/4 of 25/12.
        for (count, expected) in counts(KeyDistribution::Zipf).into_iter().zip([12_000, 6_000, 4_000, 3_000]) {
            assert!(count.abs_diff(expected) < 250, "{count} of {expected}");
        }
    }
}
