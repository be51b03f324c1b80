//! An application that sends records at a steady rate: keys by chance from a list, values from a template.

use super::producer::Draft;
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
    template: Template,
    /// The newest record's.
    value: String,
    started: Time,
    made: u64,
    chance: Chance,
}

/// A value with places for what differs from record to record.
#[derive(Clone, Debug)]
struct Template {
    pieces: Vec<Piece>,
    has_chance: bool,
}

#[derive(Clone, PartialEq, Debug)]
enum Piece {
    Text(Box<str>),
    Sequence,
    Key,
    Chance,
}

/// What a place is called in a template.
const PLACES: [(&str, Piece); 3] = [("{seq}", Piece::Sequence), ("{key}", Piece::Key), ("{rand}", Piece::Chance)];

impl Template {
    fn of(text: &str) -> Template {
        let (mut pieces, mut rest) = (Vec::new(), text);
        let first =
            |rest: &str| PLACES.iter().filter_map(|(name, place)| Some((rest.find(name)?, name.len(), place))).min_by_key(|found| found.0);
        while let Some((at, length, place)) = first(rest) {
            pieces.extend((at != 0).then(|| Piece::Text(Box::from(&rest[..at]))));
            pieces.push(place.clone());
            rest = &rest[at + length..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(Box::from(rest)));
        }
        let has_chance = pieces.contains(&Piece::Chance);
        Template { pieces, has_chance }
    }

    /// Writes the value in place of what stood in `value`.
    fn fill(&self, value: &mut String, sequence: u64, key: &[u8], chance: u64) {
        value.clear();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Sequence => value.push_str(&sequence.to_string()),
                // What is not text in the key becomes a sign of its own: values are text.
                Piece::Key => value.push_str(&String::from_utf8_lossy(key)),
                Piece::Chance => value.push_str(&chance.to_string()),
            }
        }
    }
}

impl Generator {
    /// `millirate` is at least 1.
    pub fn new(now: Time, millirate: u64, keys: Vec<Bytes>, template: &str, mut chance: Chance) -> Generator {
        let phase = chance.below(1_000_000_000 / millirate.max(1) + 1);
        Generator {
            millirate: millirate.max(1),
            keys,
            template: Template::of(template),
            value: String::new(),
            started: now + phase,
            made: 0,
            chance,
        }
    }

    pub fn made(&self) -> u64 {
        self.made
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
    pub fn make(&mut self) -> Draft<'_> {
        self.made += 1;
        let key = (!self.keys.is_empty()).then(|| &self.keys[self.chance.below(self.keys.len() as u64) as usize][..]);
        let chance = if self.template.has_chance { self.chance.below(1_000_000) } else { 0 };
        self.template.fill(&mut self.value, self.made, key.unwrap_or_default(), chance);
        Draft { key, value: Some(self.value.as_bytes()), headers: &[], partition: None, timestamp: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_place_by_place() {
        for (template, filled) in [
            ("", ""),
            ("plain", "plain"),
            ("{seq}", "7"),
            ("{seq}{key}{rand}", "7k{seq}9"),
            ("a{rand}b{seq}{seq}c{rand}", "a9b77c9"),
            ("{unknown} {key", "{unknown} {key"),
            ("{{key}}", "{k{seq}}"),
            ("größer {key}!", "größer k{seq}!"),
        ] {
            let mut value = "older".to_owned();
            Template::of(template).fill(&mut value, 7, b"k{seq}", 9);
            assert_eq!(value, filled, "{template}");
        }
        let mut value = String::new();
        Template::of("{key}").fill(&mut value, 1, &[b'a', 0xff], 0);
        assert_eq!(value, "a\u{fffd}");
    }
}
