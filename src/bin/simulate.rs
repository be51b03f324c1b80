//! `simulate --replay saved.json [--view]`: runs a saved session and prints its trace hash, so that page, tests and native runs can be compared.

use brokerlab::session::{Session, parse_saved};
use brokerlab::view;
use std::process::ExitCode;

const USAGE: &str = "usage: simulate --replay saved.json [--view]";
/// Exit status for a call that makes no sense.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (file, with_view) = match words[..] {
        ["--replay", file] => (file, false),
        ["--replay", file, "--view"] | ["--view", "--replay", file] => (file, true),
        _ => return misused(USAGE),
    };
    match replay(file) {
        Err(sentence) => misused(&sentence),
        Ok(session) => {
            println!("trace {}", session.trace_hash());
            if with_view {
                match serde_json::to_string_pretty(&view::view(&session)) {
                    Ok(json) => println!("{json}"),
                    Err(error) => return misused(&error.to_string()),
                }
            }
            ExitCode::SUCCESS
        }
    }
}

fn replay(file: &str) -> Result<Session, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
    let value = serde_json::from_str(&text).map_err(|error| format!("{file} is no JSON: {error}"))?;
    let describe = |refusal: brokerlab::session::command::Refusal| {
        let field = refusal.field.as_ref().map(|field| format!(" ({field})")).unwrap_or_default();
        format!("{file} is refused: {refusal}{field}")
    };
    Session::load(&parse_saved(value).map_err(describe)?).map_err(describe)
}

fn misused(sentence: &str) -> ExitCode {
    eprintln!("{sentence}");
    ExitCode::from(MISUSED)
}
