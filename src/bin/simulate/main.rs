//! `simulate --seeds A..B`: a cluster, a workload and faults drawn from each seed, with every invariant checked after every event; and
//! `simulate --replay saved.json [--view]`: a saved session and its trace hash, so that page, tests and native runs can be compared.

mod aggregates;
mod draw;
mod heal;
mod history;
mod quotas;
mod report;
mod run;
mod scenarios;

use brokerlab::session::{Session, parse_saved};
use brokerlab::view;
use scenarios::SCENARIOS;
use std::process::ExitCode;

const USAGE: &str =
    "usage: simulate --seeds A..B [--scenario NAME] [--mutant NAME] [--json] | --mutants [--json] | --list | --replay saved.json [--view]";
/// Exit status for a violation.
const VIOLATED: u8 = 1;
/// Exit status for a call that makes no sense.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["--replay", file] => replay(file, false),
        ["--replay", file, "--view"] | ["--view", "--replay", file] => replay(file, true),
        ["--list"] => {
            SCENARIOS.iter().for_each(|scenario| println!("{}: {}", scenario.name, scenario.sentence));
            ExitCode::SUCCESS
        }
        words if words.iter().any(|word| matches!(*word, "--mutant" | "--mutants")) => mutants(words),
        words if words.contains(&"--seeds") => simulate(words),
        _ => misused(USAGE),
    }
}

#[cfg(not(feature = "mutants"))]
fn mutants(_words: &[&str]) -> ExitCode {
    misused("This build has no mutants. Ask for them: cargo run --release --features mutants --bin simulate -- --mutants")
}

/// All mutants, each until it is caught; or the seeds of a range with one of them awake.
#[cfg(feature = "mutants")]
fn mutants(words: &[&str]) -> ExitCode {
    use brokerlab::mutant::MUTANTS;
    if let Some(place) = words.iter().position(|word| *word == "--mutant") {
        let name = words.get(place + 1).copied().unwrap_or_default();
        let Some((name, _)) = MUTANTS.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = MUTANTS.iter().map(|(name, _)| *name).collect();
            return misused(&format!("There is no mutant {name:?}; there are {}.", names.join(", ")));
        };
        let rest: Vec<&str> = words.iter().enumerate().filter(|(at, _)| *at != place && *at != place + 1).map(|(_, word)| *word).collect();
        return simulate_with(&rest, Some(name));
    }
    let json = match words {
        ["--mutants"] => false,
        ["--mutants", "--json"] | ["--json", "--mutants"] => true,
        _ => return misused(USAGE),
    };
    let all = run::run_mutants(SCENARIOS);
    let survivors = all.iter().filter(|(_, caught)| caught.is_none()).count();
    if json {
        let rows = all.iter().map(
            |(name, caught)| serde_json::json!({ "name": name, "caught": caught.is_some(), "seed": caught.as_ref().map(|(seed, _)| seed) }),
        );
        println!(
            "{}",
            serde_json::json!({ "seeds": 0, "events": 0, "eventsPerSecond": 0, "counts": {}, "violations": [], "mutants": rows.collect::<Vec<_>>() })
        );
    } else {
        for (name, caught) in &all {
            match caught {
                Some((seed, by)) => println!("{name}: caught by {by} at seed {seed}"),
                None => println!("{name}: survived {} seeds", run::MUTANT_SEEDS),
            }
        }
        println!("{} mutants, {survivors} survived", all.len());
    }
    if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::from(VIOLATED) }
}

fn simulate(words: &[&str]) -> ExitCode {
    simulate_with(words, None)
}

fn simulate_with(words: &[&str], mutant: Option<&'static str>) -> ExitCode {
    let (mut seeds, mut scenario, mut json) = (None, &SCENARIOS[0], false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--json" => json = true,
            "--seeds" => {
                let range = words.next().and_then(|range| range.split_once(".."));
                let range = range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
                seeds = range.filter(|(first, last): &(u64, u64)| first <= last && *last <= draw::SEED_MAX);
                if seeds.is_none() {
                    return misused("Seeds are a range such as 1..1000: two whole numbers up to 2^53 - 1, the first not above the last.");
                }
            }
            "--scenario" => {
                let name = words.next().copied().unwrap_or_default();
                let Some(found) = SCENARIOS.iter().find(|known| known.name == name) else {
                    return misused(&format!("There is no scenario {name:?}; --list shows which there are."));
                };
                scenario = found;
            }
            _ => return misused(USAGE),
        }
    }
    let Some((first, last)) = seeds else { return misused(USAGE) };
    let summary = run::run_all(first, last, scenario, mutant);
    if json {
        println!("{}", summary.to_json())
    } else {
        print!("{summary}")
    }
    if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(VIOLATED) }
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
