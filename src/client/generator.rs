//! An application that sends records at a steady rate: keys by chance from a list, values from a template.

use super::producer::Outgoing;
use crate::node::{Chance, MS, Time};
use bytes::Bytes;

/// Records are made in steps no shorter than this, several at a time where the rate is higher.
const STEP_MIN: Time = MS;

/// What a producer's application does by itself.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Records per 1,000 virtual seconds: an integer, so that every machine counts the same.
    millirate: u64,
    keys: Vec<Bytes>,
    template: String,
    started: Time,
    made: u64,
    chance: Chance,
}

impl Generator {
    /// `millirate` is at least 1.
    pub fn new(now: Time, millirate: u64, keys: Vec<Bytes>, template: String, mut chance: Chance) -> Generator {
        let phase = chance.below(1_000_000_000 / millirate.max(1) + 1);
        Generator { millirate: millirate.max(1), keys, template, started: now + phase, made: 0, chance }
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

    pub fn make(&mut self) -> Outgoing {
        self.made += 1;
        let key = (!self.keys.is_empty()).then(|| self.keys[self.chance.below(self.keys.len() as u64) as usize].clone());
        let key_text = key.as_ref().map(|key| String::from_utf8_lossy(key)).unwrap_or_default();
        let mut value = self.template.replace("{seq}", &self.made.to_string()).replace("{key}", &key_text);
        if value.contains("{rand}") {
            value = value.replace("{rand}", &self.chance.below(1_000_000).to_string());
        }
        Outgoing { key, value: Some(Bytes::from(value)), headers: Vec::new(), partition: None, timestamp: None }
    }
}
