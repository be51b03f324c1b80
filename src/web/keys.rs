//! Colours and letters of record keys: what lies in one order wears one colour. A letter stands beside every colour, so colour is never alone.

use crate::session::Session;
use crate::view::{self, MessageQuery, Picture};

/// Colours in the style sheet (`k0` to `k7`).
const COLOURS: usize = 8;
/// Keys that get a letter of their own; later ones share a colour by hash and wear a dot.
const NAMED: usize = 26;
/// Keys looked up in one render, so that a flood of new keys costs little.
const LOOKUPS: usize = 4;

/// Keys in the order in which they were first seen.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Keys {
    seen: Vec<(u32, String)>,
    /// Distinct keys beyond the named ones exist.
    pub more: bool,
}

/// How a key looks: a class of the style sheet and a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    pub class: &'static str,
    pub letter: &'static str,
}

const CLASSES: [&str; COLOURS] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];
const LETTERS: [&str; NAMED] =
    ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z"];
/// Without a key.
pub const PLAIN: Look = Look { class: "plain", letter: "–" };

impl Keys {
    /// Learns the names of keys that the picture shows for the first time.
    pub fn learn(&mut self, session: &Session, picture: &Picture) {
        let mut lookups = 0;
        for strip in &picture.strips {
            for cell in &strip.cells {
                let Some(hash) = cell.key_hash else { continue };
                if self.seen.iter().any(|(seen, _)| *seen == hash) {
                    continue;
                }
                if self.seen.len() == NAMED {
                    self.more = true;
                    return;
                }
                if lookups == LOOKUPS {
                    return;
                }
                lookups += 1;
                let query = MessageQuery {
                    topic: strip.topic.clone(),
                    partition: strip.partition,
                    offset: Some(cell.offset),
                    max: Some(1),
                    isolation: None,
                };
                // The leader may not have the follower's record any more; then another look finds the key elsewhere.
                let Ok(found) = view::messages(session, &query) else { continue };
                if let Some(key) = found.first().filter(|m| m.offset == cell.offset).and_then(|m| m.key.as_ref()) {
                    self.seen.push((hash, key.to_string()));
                }
            }
        }
    }

    pub fn look(&self, hash: Option<u32>) -> Look {
        let Some(hash) = hash else { return PLAIN };
        match self.seen.iter().position(|(seen, _)| *seen == hash) {
            Some(i) => Look { class: CLASSES[i % COLOURS], letter: LETTERS[i] },
            None => Look { class: CLASSES[hash as usize % COLOURS], letter: "·" },
        }
    }

    /// The key's text, where it is known.
    pub fn name(&self, hash: u32) -> Option<&str> {
        self.seen.iter().find(|(seen, _)| *seen == hash).map(|(_, name)| name.as_str())
    }

    /// For the legend.
    pub fn named(&self) -> impl Iterator<Item = (Look, &str)> {
        self.seen.iter().map(|(hash, name)| (self.look(Some(*hash)), name.as_str()))
    }
}
