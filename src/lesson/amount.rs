//! A number that a goal asks for, as a level's author writes it: `">= 3"`, `"<= 0"`, `"= 7"`.
//!
//! Owns the comparison and its words; knows nothing of what is counted.

use crate::session::fields::{FromValue, Misfit, Read};
use serde_json::Value;

/// How many (or how far) a goal wants; by default at least 0, which is nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Amount {
    compare: Compare,
    than: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Compare {
    #[default]
    AtLeast,
    AtMost,
    Exactly,
}

impl Amount {
    pub fn admits(self, is: i64) -> bool {
        match self.compare {
            Compare::AtLeast => self.than <= is,
            Compare::AtMost => is <= self.than,
            Compare::Exactly => is == self.than,
        }
    }
}

impl FromValue for Amount {
    fn from_value(value: Value) -> Read<Amount> {
        let amount = value.as_str().and_then(|text| {
            let (compare, than) = text.split_once(' ')?;
            let compare = match compare {
                ">=" => Compare::AtLeast,
                "<=" => Compare::AtMost,
                "=" => Compare::Exactly,
                _ => return None,
            };
            Some(Amount { compare, than: than.parse().ok()? })
        });
        amount.ok_or_else(|| Misfit::expected("an amount (\">= 3\", \"<= 3\" or \"= 3\")", &value))
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let compare = match self.compare {
            Compare::AtLeast => "at least",
            Compare::AtMost => "at most",
            Compare::Exactly => "exactly",
        };
        write!(f, "{compare} {}", self.than)
    }
}
