//! A value with places for what differs from record to record: `{"n":{seq},"user":"{key}","amount":{float:0.50..99.99}}`.
//!
//! Owns the places, how they are written and how they are filled. What stands in braces and is none of them is text, for JSON has braces too.

use crate::node::Chance;

/// What a template is filled with.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The record's number, from 1.
    pub sequence: u64,
    pub key: &'a [u8],
    /// The `client.id` of the producer.
    pub client: &'a str,
    /// Kafka's epoch milliseconds.
    pub timestamp: i64,
}

#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Debug)]
enum Piece {
    Text(Box<str>),
    /// `{seq}`
    Sequence,
    /// `{key}`
    Key,
    /// `{client}`
    Client,
    /// `{time}`
    Time,
    /// `{rand}`: 0 to 999,999, the same wherever it stands in one value
    Chance,
    /// `{int:1..6}` and `{float:0.00..1.00}`: a number of the range, both ends included, with as many decimals as the range has
    Number {
        from: i64,
        to: i64,
        decimals: usize,
    },
    /// `{choice:a|b|c}`: one of them
    Choice(Vec<Box<str>>),
}

/// Decimals of a range, at the most.
const DECIMALS_MAX: usize = 9;

impl Template {
    /// Reads a template. `Err`: a sentence about the place that cannot be read.
    pub fn parse(text: &str) -> Result<Template, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            let inside = rest.find('}').map(|end| &rest[1..end]);
            match inside.map(place).transpose()?.flatten() {
                Some(piece) => {
                    pieces.extend((!plain.is_empty()).then(|| Piece::Text(Box::from(std::mem::take(&mut plain)))));
                    pieces.push(piece);
                    rest = &rest[inside.map_or(0, str::len) + 2..];
                }
                None => {
                    plain.push('{');
                    rest = &rest[1..];
                }
            }
        }
        plain.push_str(rest);
        pieces.extend((!plain.is_empty()).then(|| Piece::Text(Box::from(plain))));
        Ok(Template { pieces })
    }

    /// Writes a value in place of what stood in `value`.
    pub fn fill(&self, value: &mut String, moment: Moment<'_>, chance: &mut Chance) {
        value.clear();
        let drawn = if self.pieces.contains(&Piece::Chance) { chance.below(1_000_000) } else { 0 };
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Sequence => value.push_str(&moment.sequence.to_string()),
                // What is not text in the key becomes a sign of its own: values are text.
                Piece::Key => value.push_str(&String::from_utf8_lossy(moment.key)),
                Piece::Client => value.push_str(moment.client),
                Piece::Time => value.push_str(&moment.timestamp.to_string()),
                Piece::Chance => value.push_str(&drawn.to_string()),
                Piece::Number { from, to, decimals } => {
                    let number = from.wrapping_add(chance.below(from.abs_diff(*to).saturating_add(1)) as i64);
                    push_number(value, number, *decimals);
                }
                Piece::Choice(all) => value.push_str(&all[chance.below(all.len() as u64) as usize]),
            }
        }
    }
}

/// What stands between two braces; none: it is text.
fn place(inside: &str) -> Result<Option<Piece>, String> {
    let (name, argument) = inside.split_once(':').map_or((inside, None), |(name, argument)| (name, Some(argument)));
    let piece = match (name, argument) {
        ("seq", None) => Piece::Sequence,
        ("key", None) => Piece::Key,
        ("client", None) => Piece::Client,
        ("time", None) => Piece::Time,
        ("rand", None) => Piece::Chance,
        ("int" | "float", _) => {
            let wrong = || {
                let example = if name == "int" { "{int:1..100}" } else { "{float:0.00..9.99}" };
                format!("`{{{inside}}}` names no range of numbers, smaller one first, as {example} does.")
            };
            range(argument.unwrap_or_default(), if name == "int" { 0 } else { DECIMALS_MAX }).ok_or_else(wrong)?
        }
        ("choice", Some(all)) => Piece::Choice(all.split('|').map(Box::from).collect()),
        ("choice", None) => return Err("`{choice}` names nothing to choose from, as {choice:yes|no} does.".to_owned()),
        _ => return Ok(None),
    };
    Ok(Some(piece))
}

/// `1..6`, with so many decimals at the most.
fn range(text: &str, decimals_max: usize) -> Option<Piece> {
    let (from, to) = text.split_once("..")?;
    let decimals_of = |number: &str| number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let decimals = decimals_of(from).max(decimals_of(to));
    let scaled = |number: &str| -> Option<i64> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}{}", "0".repeat(decimals - fraction.len()));
        digits.parse().ok().filter(|_| !whole.is_empty() && !number.ends_with('.'))
    };
    if decimals_max < decimals {
        return None;
    }
    let (from, to) = (scaled(from)?, scaled(to)?);
    (from <= to).then_some(Piece::Number { from, to, decimals })
}

pub(super) fn push_number(text: &mut String, number: i64, decimals: usize) {
    if number < 0 {
        text.push('-');
    }
    let digits = format!("{:0width$}", number.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    text.push_str(whole);
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, seed: u64) -> String {
        let mut value = "older".to_owned();
        let moment = Moment { sequence: 7, key: b"k{seq}", client: "web", timestamp: 1_767_225_600_000 };
        Template::parse(template).expect(template).fill(&mut value, moment, &mut Chance::new(seed));
        value
    }

    #[test]
    fn a_template_is_filled_place_by_place() {
        for (template, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{seq}", "7"),
            ("{seq}{key}", "7k{seq}"),
            ("{unknown} {key", "{unknown} {key"),
            ("{{key}}", "{k{seq}}"),
            ("{\"a\":{\"n\":{seq}}}", "{\"a\":{\"n\":7}}"),
            ("{seq:1} {Key} { key}", "{seq:1} {Key} { key}"),
            ("größer {key}!", "größer k{seq}!"),
            ("{client}@{time}", "web@1767225600000"),
            ("{int:5..5}{int:-3..-3}", "5-3"),
            ("{float:0.50..0.50} {float:-0.05..-0.05} {float:2..2} {float:1.5..1.50}", "0.50 -0.05 2 1.50"),
            ("{choice:only}{choice:}", "only"),
        ] {
            assert_eq!(filled(template, 1), expected, "{template}");
        }
        let mut value = String::new();
        let moment = Moment { sequence: 1, key: &[b'a', 0xff], client: "", timestamp: 0 };
        Template::parse("{key}").expect("a template").fill(&mut value, moment, &mut Chance::new(1));
        assert_eq!(value, "a\u{fffd}");
    }

    #[test]
    fn chance_stays_within_what_is_asked_for_and_reaches_all_of_it() {
        let seen = |template: &str| (0..400).map(|seed| filled(template, seed)).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(seen("{int:-1..1}"), ["-1", "0", "1"].map(String::from).into());
        assert_eq!(seen("{float:-0.1..0.1}"), ["-0.1", "0.0", "0.1"].map(String::from).into());
        assert_eq!(seen("{choice:a|b|}"), ["a", "b", ""].map(String::from).into());
        assert_eq!(seen(&format!("{{int:{}..{}}}", i64::MIN, i64::MAX)).len(), 400);
        let twice = filled("{rand} {rand} {int:1..1000000} {int:1..1000000}", 3);
        let parts: Vec<&str> = twice.split(' ').collect();
        assert!(parts[0] == parts[1] && parts[2] != parts[3], "{twice}");
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        for wrong in ["{int}", "{int:}", "{int:5}", "{int:2..1}", "{int:1..x}", "{int:1.5..2}", "{int:1..9223372036854775808}", "{float}"]
            .into_iter()
            .chain([
                "{float:1..2..3}",
                "{float:.5..1}",
                "{float:1...2}",
                "{float:0..0.0000000001}",
                "{float:1e3..1e4}",
                "{float:2.}",
                "{float:1.-5..2}",
            ])
        {
            let sentence = Template::parse(&format!("a {wrong} b")).expect_err(wrong);
            assert!(sentence.starts_with(&format!("`{wrong}` names no range")), "{sentence}");
        }
        assert_eq!(
            Template::parse("{choice}").expect_err("a sentence"),
            "`{choice}` names nothing to choose from, as {choice:yes|no} does."
        );
    }
}
