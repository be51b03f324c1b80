//! The guided tutorial: levels as data, goals as predicates on what the engine shows.
//!
//! Owns the reading of level files (`www/lessons`) and the judgement whether a level is solved. Knows no page and changes no session: a level
//! is a sandbox with a scene, some texts and a checklist.
//!
//! # Layout
//! - [`front_matter`]: a level's file into a [`Level`]
//! - `parse`: the JSON in front
//! - [`condition`]: what a goal asks, measured in plain words
//! - `facts`: what a condition may look at
//! - `amount`: "at least 3"

mod amount;
pub mod condition;
mod facts;
pub mod front_matter;
mod parse;

#[cfg(test)]
mod condition_test;

use crate::session::Session;
use crate::session::command::{Command, Saved, TimedCommand};
use condition::Condition;
use facts::Facts;
use std::sync::OnceLock;

static LEVELS: OnceLock<Vec<Level>> = OnceLock::new();

/// The files, in the order in which they are taught. `www/lessons/index.txt` names the same ones for the page.
#[cfg(not(target_arch = "wasm32"))]
const FILES: &[&str] = &[
    include_str!("../../www/lessons/01-keys.md"),
    include_str!("../../www/lessons/02-offsets.md"),
    include_str!("../../www/lessons/03-groups.md"),
    include_str!("../../www/lessons/04-idle-consumers.md"),
    include_str!("../../www/lessons/05-leader-crash.md"),
];

/// All levels, in that order.
#[cfg(not(target_arch = "wasm32"))]
pub fn levels() -> &'static [Level] {
    let read_json = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
    let read = |file: &&str| front_matter::parse(file, read_json).unwrap_or_else(|error| panic!("level {file:.60}: {error}"));
    LEVELS.get_or_init(|| FILES.iter().map(read).collect())
}

/// All levels that were handed over.
#[cfg(target_arch = "wasm32")]
pub fn levels() -> &'static [Level] {
    LEVELS.get().map_or(&[], Vec::as_slice)
}

/// Hands over the files of all levels, in the order in which they are taught. A browser may have kept a file of another version: what cannot
/// be read is left out, and why is returned.
#[cfg(target_arch = "wasm32")]
pub fn install(files: &[String], read_json: impl Fn(&str) -> Result<serde_json::Value, String>) -> Vec<String> {
    let (mut levels, mut slips) = (Vec::new(), Vec::new());
    for file in files {
        match front_matter::parse(file, &read_json) {
            Ok(level) => levels.push(level),
            Err(slip) => slips.push(slip),
        }
    }
    // Handed over twice, the first ones stay.
    let _ = LEVELS.set(levels);
    slips
}

/// One lesson to be solved on the real engine.
#[derive(Clone, PartialEq, Debug)]
pub struct Level {
    pub id: String,
    pub title: String,
    pub chapter: String,
    /// Kafka's terms that the level teaches.
    pub concepts: Vec<String>,
    /// Ids of levels to take before this one.
    pub requires: Vec<String>,
    pub start: Saved,
    /// Types of commands that the learner may give; empty: all.
    pub allow: Vec<String>,
    /// The file's Markdown.
    pub slides: Vec<Slide>,
    pub goals: Vec<Goal>,
    /// What spoils the level while it holds.
    pub never: Vec<Goal>,
    /// From a nudge to nearly the answer.
    pub hints: Vec<String>,
    pub solution: Attempt,
    /// Commands that a good solution needs.
    pub par: u32,
    /// Attempts that must not solve the level: what a learner may believe at first.
    pub wrong: Vec<Attempt>,
    pub narrate: Vec<Narration>,
    pub predict: Vec<Prediction>,
    /// Asked when the level is solved.
    pub after: Question,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Slide {
    /// Markdown; its first line is the title.
    pub text: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Goal {
    pub text: String,
    pub when: Condition,
}

/// What a learner does, played on the level's start.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    /// Times count from the session's start, as in a saved session: the first lies after the scene's `until`.
    pub commands: Vec<TimedCommand>,
    /// The virtual time, in milliseconds, to wait for after the last command.
    pub until: f64,
}

/// Said when the engine reports an event of this kind for the first time in the level.
#[derive(Clone, PartialEq, Debug)]
pub struct Narration {
    pub on: String,
    pub say: String,
}

/// Asked before the learner's first command of type `before`.
#[derive(Clone, PartialEq, Debug)]
pub struct Prediction {
    pub before: String,
    pub ask: String,
    pub answer: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Question {
    pub ask: String,
    pub answer: String,
}

/// One line of the checklist.
#[derive(Clone, PartialEq, Debug)]
pub struct GoalState {
    pub text: String,
    pub met: bool,
    /// What is, with numbers.
    pub measured: String,
    /// What is wanted and what is; `None` when met.
    pub why_not_yet: Option<String>,
}

impl Level {
    /// The checklist now: the goals, then what must not hold (met while it does not).
    pub fn check(&self, session: &Session) -> Vec<GoalState> {
        let facts = Facts::of(session, self.start.commands.len());
        let goals = self.goals.iter().map(|goal| {
            let measure = goal.when.measure(&facts);
            GoalState { text: goal.text.clone(), met: measure.met, measured: measure.measured, why_not_yet: measure.why_not_yet }
        });
        let never = self.never.iter().map(|goal| {
            let measure = goal.when.measure(&facts);
            let why_not_yet = measure.met.then(|| format!("This must not be: {}. Undo or restart the level.", measure.measured));
            GoalState { text: goal.text.clone(), met: !measure.met, measured: measure.measured, why_not_yet }
        });
        goals.chain(never).collect()
    }

    pub fn solved(&self, session: &Session) -> bool {
        self.check(session).iter().all(|goal| goal.met)
    }

    /// Whether the level lets the learner give this command; if not, why.
    pub fn allows(&self, command: &Command) -> Result<(), String> {
        let kind = command.name();
        if self.allow.is_empty() || self.allow.iter().any(|allowed| allowed == kind) {
            return Ok(());
        }
        Err(format!("This level does without {kind}: it is about {}.", self.allow.join(", ")))
    }
}
