//! Values as people read them: bytes as a string where they are UTF-8 and `{"base64": "..."}` where they are not, numbers and JSON in sentences.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Key, value or header bytes at the edge of the engine (JSON, screens).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(pub Bytes);

impl Text {
    /// The bytes as text, if they are.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The bytes in base64, whether they are text or not.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// Bytes from base64; `None` if it is none.
    pub fn from_base64(coded: &str) -> Option<Text> {
        STANDARD.decode(coded).ok().map(|bytes| Text(bytes.into()))
    }
}

/// A number as a sentence shows it: whole, or with up to six decimals. The libraries' ways of writing doubles, to the last digit, would be five
/// kilobytes of the page.
pub fn decimal(number: f64) -> String {
    /// Beyond it doubles are no integers any more.
    const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;
    /// Millionths of it are integers still.
    const FINE_MAX: f64 = WHOLE_MAX / 1e6;
    match number {
        _ if number.is_nan() => "NaN".to_owned(),
        _ if WHOLE_MAX < number.abs() => "a number beyond 2^53".to_owned(),
        _ if number.fract() == 0.0 || FINE_MAX < number.abs() => (number as i64).to_string(),
        _ => {
            let millionths = (number.abs() * 1e6).round() as u64;
            let fraction = format!("{:06}", millionths % 1_000_000);
            let sign = if number < 0.0 && millionths != 0 { "-" } else { "" };
            format!("{sign}{}.{}", millionths / 1_000_000, fraction.trim_end_matches('0')).trim_end_matches('.').to_owned()
        }
    }
}

/// A JSON value as a sentence shows it.
pub fn written(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(whole)) => whole.to_string(),
            (None, None) => decimal(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{}:{}", quoted(name), written(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
    }
}

/// A text in quotes, as JSON writes it.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.as_str() {
            Some(text) => f.write_str(text),
            None => write!(f, "base64:{}", self.to_base64()),
        }
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_str() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_map([("base64", self.to_base64())]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_sentences() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-2.5, "-2.5"),
            (0.001, "0.001"),
            (0.1 + 0.2, "0.3"),
            (0.999_999_9, "1"),
            (-1e-9, "0"),
            (1_234.000_001, "1234.000001"),
            (8_640_000_000.0, "8640000000"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_255.5, "9007199255"),
            (1e300, "a number beyond 2^53"),
            (f64::NEG_INFINITY, "a number beyond 2^53"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(decimal(number), expected, "{number}");
        }
    }

    #[test]
    fn values_in_sentences() {
        let value = serde_json::json!({ "a\"": [1, -2.5, null, true], "b": { "c": "d\n" } });
        assert_eq!(written(&value), value.to_string());
    }
}
