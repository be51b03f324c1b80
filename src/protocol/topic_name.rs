//! Names: what a topic may be called, and how a topic id is written.
//!
//! Source: `Topic.validate` of Kafka's clients, `Uuid.toString`. Which names are internal or taken is not known here. A group id needs no rule of
//! its own: any that is not empty will do.

use super::ErrorCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// Characters that a name may have: directories are named after topics, with the partition behind.
pub const LONGEST: usize = 249;

/// Why a topic cannot have this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TopicNameError {
    Empty,
    Dots,
    TooLong(String),
    Character(String),
}

/// Whether a topic may have this name.
pub fn validate_topic_name(name: &str) -> Result<(), TopicNameError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() {
        Err(TopicNameError::Empty)
    } else if name == "." || name == ".." {
        Err(TopicNameError::Dots)
    } else if LONGEST < name.encode_utf16().count() {
        Err(TopicNameError::TooLong(name.to_owned()))
    } else if !name.bytes().all(legal) {
        Err(TopicNameError::Character(name.to_owned()))
    } else {
        Ok(())
    }
}

/// Whether two names give the same metric names: Kafka refuses the second, since `.` and `_` become one there.
pub fn collides(one: &str, other: &str) -> bool {
    let fold = |byte: u8| if byte == b'.' { b'_' } else { byte };
    one.bytes().map(fold).eq(other.bytes().map(fold))
}

/// Kafka's form of a topic id: base64 of the URL alphabet, without padding.
pub fn topic_id_base64(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// The topic id that is written so.
pub fn topic_id_of_base64(text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Uuid::from_slice(&bytes).ok()
}

impl TopicNameError {
    /// What a broker answers.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::InvalidTopicException
    }
}

impl std::fmt::Display for TopicNameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TopicNameError::Empty => write!(f, "Topic name is illegal: it is empty."),
            TopicNameError::Dots => write!(f, "Topic name is illegal: it is \".\" or \"..\"."),
            TopicNameError::TooLong(name) => write!(f, "Topic name is illegal: it has more than {LONGEST} characters: {name}"),
            TopicNameError::Character(name) => {
                write!(f, "Topic name \"{name}\" is illegal: only ASCII letters and digits, '.', '_' and '-' may stand in it.")
            }
        }
    }
}

impl std::error::Error for TopicNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "x".repeat(LONGEST + 1);
        for (name, expected) in [
            ("orders", Ok(())),
            ("A.b_c-9", Ok(())),
            ("...", Ok(())),
            (&long[1..], Ok(())),
            ("", Err(TopicNameError::Empty)),
            (".", Err(TopicNameError::Dots)),
            ("..", Err(TopicNameError::Dots)),
            (&long, Err(TopicNameError::TooLong(long.clone()))),
            ("a b", Err(TopicNameError::Character("a b".to_owned()))),
            ("straße", Err(TopicNameError::Character("straße".to_owned()))),
        ] {
            assert_eq!(validate_topic_name(name), expected, "{name}");
        }
        assert!(collides("a.b", "a_b") && !collides("a.b", "a-b"));
    }

    #[test]
    fn ids_read_as_kafka_prints_them() {
        assert_eq!(topic_id_base64(Uuid::nil()), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(topic_id_base64(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(topic_id_base64(Uuid::from_u128(u128::MAX)), "_____________________w");
        assert_eq!(topic_id_of_base64("AAAAAAAAAAAAAAAAAAAAAQ"), Some(Uuid::from_u128(1)));
        assert_eq!((topic_id_of_base64("AAAA"), topic_id_of_base64("?")), (None, None));
    }
}
