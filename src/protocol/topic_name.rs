//! What a topic may be called, and how its id is written.
//!
//! Source: `org.apache.kafka.common.internals.Topic`, `Uuid.toString`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// Characters of a name, at the most.
pub const NAME_MAX: usize = 249;

/// Why a name cannot be a topic's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NameError {
    Empty,
    Dots(String),
    TooLong(usize),
    Character { name: String, character: char },
}

impl std::fmt::Display for NameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NameError::Empty => f.write_str("The topic name is empty."),
            NameError::Dots(name) => write!(f, "A topic cannot be called '{name}'."),
            NameError::TooLong(length) => write!(f, "A topic name has at most {NAME_MAX} characters, not {length}."),
            NameError::Character { name, character } => {
                write!(f, "The topic name '{name}' has the character '{character}'; letters, digits, '.', '_' and '-' are allowed.")
            }
        }
    }
}

pub fn validate(name: &str) -> Result<(), NameError> {
    let legal = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name == "." || name == ".." {
        Err(NameError::Dots(name.to_owned()))
    } else if NAME_MAX < name.chars().count() {
        Err(NameError::TooLong(name.chars().count()))
    } else if let Some(character) = name.chars().find(|character| !legal(character)) {
        Err(NameError::Character { name: name.to_owned(), character })
    } else {
        Ok(())
    }
}

/// A topic id as Kafka prints it.
pub fn id_text(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}
