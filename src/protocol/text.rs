//! Bytes as people read them: a string where they are UTF-8, `{"base64": "..."}` where they are not.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Key, value or header bytes at the edge of the engine (JSON, screens).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(pub Bytes);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Json {
    Utf8(String),
    Base64 { base64: String },
}

impl Text {
    /// The bytes as text, if they are.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
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
            None => write!(f, "base64:{}", STANDARD.encode(&self.0)),
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
            None => Json::Base64 { base64: STANDARD.encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        Ok(Text(match Json::deserialize(deserializer)? {
            Json::Utf8(text) => Bytes::from(text),
            Json::Base64 { base64 } => Bytes::from(STANDARD.decode(base64).map_err(D::Error::custom)?),
        }))
    }
}
