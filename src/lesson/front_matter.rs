//! A level's file: what the engine needs as JSON in front, what the learner reads as Markdown behind.
//!
//! ```text
//! ---json
//! { "id": "...", ... }
//! ---
//! # First slide
//! ---
//! # Second slide
//! ```
//!
//! JSON and not YAML, because scenes and solutions are made of commands, and commands are JSON everywhere else.

use super::{Level, Slide};
use crate::session::command::Refusal;
use crate::session::fields::FromValue;
use serde_json::Value;

/// Reads a level, or says what is wrong with its file. The page lets the browser read the JSON.
pub fn parse(file: &str, read_json: impl Fn(&str) -> Result<Value, String>) -> Result<Level, String> {
    let file = file.replace("\r\n", "\n");
    let file = file.strip_prefix("---json\n").ok_or("a level starts with a line `---json`")?;
    let (front, body) = file.split_once("\n---\n").ok_or("the front matter ends with a line `---`")?;
    let front = read_json(front)?;
    let slip = |Refusal { message, field, .. }| format!("{}: {message}", field.unwrap_or_default());
    let mut level = Level::from_value(front).map_err(|misfit| slip(misfit.into()))?;
    level.slides = body.split("\n---\n").map(|text| Slide { text: text.trim().to_owned() }).collect();
    match level.slides.iter().all(|slide| slide.text.starts_with("# ")) {
        true => Ok(level),
        false => Err("each slide starts with its title, `# ...`".to_owned()),
    }
}
