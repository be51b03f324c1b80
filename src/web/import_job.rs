//! Pasted or dropped text on its way into the session: cut into chunks at record ends, one chunk a frame, every refusal with its line in the file.

use super::js;
use crate::session::command::{Command, ImportFormat, Refusal};
use serde_json::Value;
use std::rc::Rc;
use std::sync::Arc;

/// Lines in one command.
const CHUNK_LINES: usize = 500;
/// Refusals kept to be read; more are counted.
const KEPT: usize = 200;

/// An import under way, or the last one's result.
pub struct ImportJob {
    text: Rc<str>,
    format: ImportFormat,
    topic: String,
    key_field: Option<String>,
    /// Byte offset and line number (from 1) of the next chunk.
    at: usize,
    line: usize,
    /// CSV: the header record with its line end, for every chunk after the first, and its length in lines.
    header: String,
    header_lines: usize,
    sent: u64,
    not_sent: u64,
    rejected: Vec<(u64, String)>,
    refusal: Option<Refusal>,
    cancelled: bool,
}

/// What the dialog shows.
#[derive(Clone, PartialEq)]
pub struct Progress {
    pub done: usize,
    pub total: usize,
    pub running: bool,
    pub cancelled: bool,
    pub sent: u64,
    pub not_sent: u64,
    /// Line in the file and reason, the first ones.
    pub rejected: Vec<(u64, String)>,
    /// The whole command was refused.
    pub refusal: Option<Refusal>,
}

impl ImportJob {
    pub fn new(text: Rc<str>, format: ImportFormat, topic: String, key_field: Option<String>) -> ImportJob {
        let (header, header_lines) = match format {
            ImportFormat::Jsonl => (String::new(), 0),
            ImportFormat::Csv => {
                let (end, lines) = record_end(&text, 0, format);
                (text[..end].to_owned(), lines)
            }
        };
        ImportJob {
            text,
            format,
            topic,
            key_field,
            at: 0,
            line: 1,
            header,
            header_lines,
            sent: 0,
            not_sent: 0,
            rejected: Vec::new(),
            refusal: None,
            cancelled: false,
        }
    }

    pub fn running(&self) -> bool {
        !self.cancelled && self.refusal.is_none() && self.at < self.text.len()
    }

    pub fn cancel(&mut self) {
        self.cancelled = self.running();
    }

    /// Sends one chunk through `apply`.
    pub fn chunk(&mut self, apply: impl FnOnce(Command) -> Result<Value, Refusal>) {
        let (mut end, mut lines) = (self.at, 0);
        while end < self.text.len() && lines < CHUNK_LINES {
            let (next, more) = record_end(&self.text, end, self.format);
            end = next;
            lines += more;
        }
        let first = self.at == 0;
        let body = &self.text[self.at..end];
        let text: Arc<str> = if first { body.into() } else { format!("{}{body}", self.header).into() };
        let command = Command::Import { topic: self.topic.clone(), format: self.format, text, key_field: self.key_field.clone() };
        match apply(command) {
            Ok(answer) => self.note(&answer, if first { 0 } else { self.header_lines }),
            Err(refusal) => {
                self.refusal = Some(refusal);
                return;
            }
        }
        self.at = end;
        self.line += lines;
    }

    /// Adds a chunk's answer up; its line numbers count from the chunk's start, which `repeated` header lines precede.
    fn note(&mut self, answer: &Value, repeated: usize) {
        self.sent += answer["queued"].as_u64().unwrap_or(0);
        for one in answer["rejected"].as_array().into_iter().flatten() {
            self.not_sent += 1;
            if self.rejected.len() < KEPT {
                let line = (one["line"].as_u64().unwrap_or(1) + self.line as u64).saturating_sub(1 + repeated as u64);
                self.rejected.push((line, one["reason"].as_str().unwrap_or("").to_owned()));
            }
        }
    }

    pub fn progress(&self) -> Progress {
        Progress {
            done: self.at,
            total: self.text.len(),
            running: self.running(),
            cancelled: self.cancelled,
            sent: self.sent,
            not_sent: self.not_sent,
            rejected: self.rejected.clone(),
            refusal: self.refusal.clone(),
        }
    }
}

/// Where the record that starts at `from` ends (after its line end), and how many lines it takes.
fn record_end(text: &str, from: usize, format: ImportFormat) -> (usize, usize) {
    let bytes = text.as_bytes();
    let (mut at, mut lines, mut quoted) = (from, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            // A doubled quote inside a field opens and closes again: the state comes out right.
            b'"' if format == ImportFormat::Csv => quoted = !quoted,
            b'\n' => {
                lines += 1;
                if !quoted {
                    return (at + 1, lines);
                }
            }
            _ => {}
        }
        at += 1;
    }
    (bytes.len(), lines + 1)
}

/// The format that a name or the text itself suggests.
pub fn guess(name: Option<&str>, text: &str) -> ImportFormat {
    let name = name.unwrap_or("").to_ascii_lowercase();
    if name.ends_with(".csv") {
        return ImportFormat::Csv;
    }
    if name.ends_with(".jsonl") || name.ends_with(".ndjson") || name.ends_with(".json") {
        return ImportFormat::Jsonl;
    }
    let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("");
    if first.contains(',') && !first.trim_start().starts_with(['{', '[', '"']) { ImportFormat::Csv } else { ImportFormat::Jsonl }
}

/// Fields that the first record or the header offers as the key.
pub fn fields(text: &str, format: ImportFormat) -> Vec<String> {
    let text = text.trim_start_matches('\u{feff}');
    match format {
        ImportFormat::Jsonl => {
            let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("");
            match js::parse(first) {
                Ok(Value::Object(fields)) => fields.keys().cloned().collect(),
                _ => Vec::new(),
            }
        }
        ImportFormat::Csv => {
            let (end, _) = record_end(text, 0, format);
            header_fields(&text[..end])
        }
    }
}

/// The names in a CSV header, quotes taken off; only offered as choices, the engine reads the records themselves.
fn header_fields(header: &str) -> Vec<String> {
    let (mut out, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for c in header.trim_end().chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    out.push(field);
    out.retain(|name| !name.is_empty());
    out
}
