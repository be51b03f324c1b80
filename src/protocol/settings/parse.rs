//! Text to a setting's value, or the sentence that says why not.
//!
//! Source: `ConfigDef.parseType` and its validators; the sentence begins as `ConfigException`'s does. Class names are not looked for.

use super::{Kind, Setting, Valid, Value};
use crate::protocol::ErrorCode;

/// A value that a setting does not take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingError {
    pub name: &'static str,
    pub value: String,
    pub reason: String,
}

impl SettingError {
    /// What a broker answers; a client refuses to start.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::InvalidConfig
    }
}

impl std::fmt::Display for SettingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invalid value {} for configuration {}: {}", self.value, self.name, self.reason)
    }
}

impl std::error::Error for SettingError {}

/// The value that the text means.
pub fn parse(setting: &Setting, text: &str) -> Result<Value, SettingError> {
    let trimmed = text.trim();
    let value = read(setting.kind, trimmed).and_then(|value| match refusal(setting.valid, &value) {
        Some(reason) => Err(reason),
        None => Ok(value),
    });
    value.map_err(|reason| SettingError { name: setting.name, value: shortened(text), reason })
}

fn read(kind: Kind, text: &str) -> Result<Value, String> {
    let number = |value: Option<i64>| value.map(Value::Number).ok_or_else(|| wrong_type(kind));
    match kind {
        Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        Kind::Boolean => Err("must be true or false".to_owned()),
        Kind::Short => number(text.parse().ok().map(i16::into)),
        Kind::Int => number(text.parse().ok().map(i32::into)),
        Kind::Long => number(text.parse().ok()),
        Kind::Double => real(text).map(Value::Double).ok_or_else(|| wrong_type(kind)),
        Kind::String | Kind::Class | Kind::Password => Ok(Value::Text(text.to_owned())),
        Kind::List if text.is_empty() => Ok(Value::List(Vec::new())),
        Kind::List => Ok(Value::List(text.split(',').map(|element| element.trim().to_owned()).collect())),
    }
}

fn wrong_type(kind: Kind) -> String {
    format!("must be a number of type {}", kind.name())
}

/// Digits of a number that count; further ones only move the point.
const DIGITS_MAX: i32 = 15;

/// A decimal number with perhaps a point and an exponent, to the nearest double for up to fifteen digits. The standard library reads any
/// number to the last bit, with tables of ten kilobytes that the page would have to download; settings are shares and factors.
pub fn real(text: &str) -> Option<f64> {
    let (sign, text) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?.into()),
        None => (text, 0i32),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut digits, mut counted, mut power) = (0u64, 0, exponent);
    for (places, part) in [(0, whole), (1, fraction)] {
        for digit in part.bytes() {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            if counted < DIGITS_MAX {
                digits = digits * 10 + digit;
                counted += i32::from(digits != 0);
                power -= places;
            } else {
                power += 1 - places;
            }
        }
    }
    let ten = 10f64.powi(power.abs());
    let value = sign * if power < 0 { digits as f64 / ten } else { digits as f64 * ten };
    value.is_finite().then_some(value)
}

/// Why a value of the right type is not allowed.
fn refusal(valid: Valid, value: &Value) -> Option<String> {
    match (valid, value) {
        (Valid::AtLeast(least) | Valid::Between(least, _), &Value::Number(number)) if number < least => {
            Some(format!("must be at least {least}"))
        }
        (Valid::Between(_, most), &Value::Number(number)) if most < number => Some(format!("must be at most {most}")),
        (Valid::LevelOrDefault(least, most), &Value::Number(number)) if number != -1 && !(least..=most).contains(&number) => {
            Some(format!("must be between {least} and {most}, or -1"))
        }
        (Valid::RealBetween(least, _), &Value::Double(number)) if real(least).is_some_and(|least| number < least) => {
            Some(format!("must be at least {least}"))
        }
        (Valid::RealBetween(_, most), &Value::Double(number)) if real(most).is_some_and(|most| most < number) => {
            Some(format!("must be at most {most}"))
        }
        (Valid::OneOf(words), Value::Text(text)) if !words.contains(&text.as_str()) => Some(format!("must be one of {}", words.join(", "))),
        (Valid::OneOfInAnyCase(words), Value::Text(text)) if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
            Some(format!("must be one of {} (in any case)", words.join(", ")))
        }
        (Valid::EachOf(words), Value::List(list)) => each_of(words, list),
        (Valid::Replicas, Value::List(list)) if list.first().is_none_or(|first| first != "*") && !list.iter().all(|one| names_replica(one)) => {
            Some("must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned())
        }
        (Valid::NotEmpty, Value::Text(text)) if text.is_empty() => Some("must not be empty".to_owned()),
        (Valid::OffsetReset, Value::Text(text)) if !is_offset_reset(text) => {
            Some("must be latest, earliest, none, or by_duration: and a duration such as PT1H".to_owned())
        }
        (Valid::ShareOffsetReset, Value::Text(text)) if text == "none" || !is_offset_reset(text) => {
            Some("must be latest, earliest, or by_duration: and a duration such as PT1H".to_owned())
        }
        _ => None,
    }
}

fn each_of(words: &[&str], list: &[String]) -> Option<String> {
    if !list.iter().all(|element| words.contains(&element.as_str())) {
        return Some(format!("every element must be one of {}", words.join(", ")));
    }
    let repeated = list.iter().enumerate().any(|(index, element)| list[..index].contains(element));
    repeated.then(|| "no element may stand twice".to_owned())
}

fn names_replica(text: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i32>().is_ok();
    text.is_empty() || text.split_once(':').is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
}

fn is_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => iso_duration_ms(duration).is_some(),
        None => matches!(text, "latest" | "earliest" | "none"),
    }
}

/// Milliseconds of a duration as ISO 8601 and Java write it: days, hours, minutes, seconds with a fraction (`P1DT2H3M4.5S`). Not negative.
pub fn iso_duration_ms(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text.strip_prefix('P')?, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = 0i64;
    let mut rest = time;
    if !days.is_empty() {
        total = milliseconds(days.strip_suffix('D')?, 86_400_000)?;
    }
    for (unit, scale) in [('H', 3_600_000), ('M', 60_000)] {
        if let Some((number, behind)) = rest.split_once(unit) {
            total = total.checked_add(milliseconds(number, scale)?)?;
            rest = behind;
        }
    }
    if rest.is_empty() {
        return Some(total);
    }
    let (whole, fraction) = rest.strip_suffix('S').map(|seconds| seconds.split_once('.').unwrap_or((seconds, "")))?;
    if 9 < fraction.len() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    total.checked_add(milliseconds(whole, 1000)?)?.checked_add(thousandths)
}

fn milliseconds(digits: &str, scale: i64) -> Option<i64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse::<i64>().ok()?.checked_mul(scale)).flatten()
}

/// A sentence quotes the beginning of an overlong value.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Scope, lookup};
    use super::*;

    fn check(scope: Scope, name: &str, text: &str) -> String {
        let setting = lookup(scope, name).expect(name);
        parse(setting, text).map_or_else(|error| error.to_string(), |value| format!("{value:?}"))
    }

    #[test]
    fn values_and_refusals() {
        use Scope::{Consumer, Producer, Topic};
        for (scope, name, text, expected) in [
            (Producer, "linger.ms", " 5 ", "Number(5)"),
            (Producer, "linger.ms", "-1", "Invalid value -1 for configuration linger.ms: must be at least 0"),
            (Producer, "batch.size", "3000000000", "Invalid value 3000000000 for configuration batch.size: must be a number of type INT"),
            (Producer, "acks", "-1", "Text(\"-1\")"),
            (Producer, "acks", "2", "Invalid value 2 for configuration acks: must be one of all, -1, 0, 1"),
            (Producer, "enable.idempotence", "TRUE", "Boolean(true)"),
            (Producer, "enable.idempotence", "yes", "Invalid value yes for configuration enable.idempotence: must be true or false"),
            (Producer, "compression.gzip.level", "-1", "Number(-1)"),
            (
                Producer,
                "compression.gzip.level",
                "0",
                "Invalid value 0 for configuration compression.gzip.level: must be between 1 and 9, or -1",
            ),
            (Producer, "transactional.id", " ", "Invalid value   for configuration transactional.id: must not be empty"),
            (Consumer, "group.protocol", "Consumer", "Text(\"Consumer\")"),
            (Consumer, "auto.offset.reset", "by_duration:P1DT1H", "Text(\"by_duration:P1DT1H\")"),
            (
                Consumer,
                "auto.offset.reset",
                "Earliest",
                "Invalid value Earliest for configuration auto.offset.reset: must be latest, earliest, none, or by_duration: and a duration such as PT1H",
            ),
            (Consumer, "bootstrap.servers", "a:1, b:2", "List([\"a:1\", \"b:2\"])"),
            (Topic, "cleanup.policy", "compact,delete", "List([\"compact\", \"delete\"])"),
            (
                Topic,
                "cleanup.policy",
                "compact,compact",
                "Invalid value compact,compact for configuration cleanup.policy: no element may stand twice",
            ),
            (Topic, "min.cleanable.dirty.ratio", "1.5", "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: must be at most 1"),
            (
                Topic,
                "min.cleanable.dirty.ratio",
                "NaN",
                "Invalid value NaN for configuration min.cleanable.dirty.ratio: must be a number of type DOUBLE",
            ),
        ] {
            assert_eq!(check(scope, name, text), expected);
        }
    }

    #[test]
    fn doubles_are_those_of_the_standard_library() {
        for text in ["0", "0.5", "-0.25", "+.5", "1.", "1e3", "1.5E-3", "123456.789", "0.000001", "99999999999999", "3e22", "0.1e-5", "007"]
        {
            assert_eq!(real(text), text.parse().ok(), "{text}");
        }
        for text in ["", ".", "-", "e5", "1e", "0x1", "1 2", "1e99999", "inf", "NaN", "--1", "1.2.3", "٣"] {
            assert_eq!(real(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("PT0S", Some(0)),
            ("P1DT2H3M4.5S", Some(93_784_500)),
            ("pt1h", Some(3_600_000)),
            ("P2D", Some(172_800_000)),
            ("PT0.000000001S", Some(0)),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("PT-1H", None),
            ("PT1M1H", None),
            ("1h", None),
            ("PT99999999999999999999S", None),
            ("P999999999999999D", None),
        ] {
            assert_eq!(iso_duration_ms(text), expected, "{text}");
        }
    }
}
