//! A number that a goal asks for, as a level's author writes it: `">= 3"`, `"<= 0"`, `"= 7"`.
//!
//! Owns the comparison and its words; knows nothing of what is counted.

use serde::Deserialize;

/// How many (or how far) a goal wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Amount {
    compare: Compare,
    than: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compare {
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

impl TryFrom<String> for Amount {
    type Error = String;

    fn try_from(text: String) -> Result<Amount, String> {
        let wrong = || format!("`{text}` is not an amount: write `>= 3`, `<= 3` or `= 3`");
        let (compare, than) = text.split_once(' ').ok_or_else(wrong)?;
        let compare = match compare {
            ">=" => Compare::AtLeast,
            "<=" => Compare::AtMost,
            "=" => Compare::Exactly,
            _ => return Err(wrong()),
        };
        Ok(Amount { compare, than: than.parse().map_err(|_| wrong())? })
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
