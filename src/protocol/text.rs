//! Bytes as people read them: a string where they are UTF-8, `{"base64": "..."}` where they are not.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer};

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

/// A number as JSON writes it, a whole one without a fraction. The standard library's own way would be two kilobytes of the page.
pub fn decimal(number: f64) -> String {
    match serde_json::Number::from_f64(number) {
        Some(finite) => {
            let written = finite.to_string();
            written.strip_suffix(".0").map(str::to_owned).unwrap_or(written)
        }
        None if number.is_nan() => "NaN".to_owned(),
        None if 0.0 < number => "infinity".to_owned(),
        None => "-infinity".to_owned(),
    }
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
