//! `simulate --seeds A..B`: a cluster, a workload and faults drawn from each seed, with every invariant checked after every event; and
//! `simulate --replay saved.json [--view]`: a saved session and its trace hash, so that page, tests and native runs can be compared.
//!
//! With `--mutant NAME` a deliberate fault is awake, where no seeds are named until one of [`MUTANT_SEEDS`](hunt::MUTANT_SEEDS) catches it. `--mutants` hunts
//! each until it is caught. The exit status is 0 if all was well, 1 after a violation or if a mutant survived, 2 if the call made no sense.

mod aggregates;
mod arguments;
mod draw;
mod heal;
mod history;
mod hunt;
mod moves;
mod quotas;
mod report;
mod run;
mod scenarios;
mod sharers;
mod transactors;

use arguments::Call;
use brokerlab::session::{Session, parse_saved};
use brokerlab::view;
use scenarios::SCENARIOS;
use std::process::ExitCode;

/// Exit status for a violation, or a mutant that survived.
const VIOLATED: u8 = 1;
/// Exit status for a call that makes no sense.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments::parse(&words) {
        Err(sentence) => misused(&sentence),
        Ok(Call::Replay { file, view }) => replay(&file, view),
        Ok(Call::List) => {
            SCENARIOS.iter().for_each(|scenario| println!("{}: {}", scenario.name, scenario.sentence));
            ExitCode::SUCCESS
        }
        Ok(Call::Simulate(asked)) => {
            let summary = hunt::run_all(&asked);
            if asked.json {
                println!("{}", summary.to_json())
            } else {
                print!("{summary}")
            }
            if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(VIOLATED) }
        }
    }
}

fn replay(file: &str, with_view: bool) -> ExitCode {
    match load(file) {
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

fn load(file: &str) -> Result<Session, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}."))?;
    let value = serde_json::from_str(&text).map_err(|error| format!("{file} is no JSON: {error}."))?;
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
