//! What `simulate` was asked for: flags in any order, each of which narrows what is run or says how it is told.

use super::draw::SEED_MAX;
use super::scenarios::{SCENARIOS, Scenario};
#[cfg(feature = "mutants")]
use brokerlab::mutant::MUTANTS;

/// Name and mistake of each that this build knows.
#[cfg(not(feature = "mutants"))]
const MUTANTS: &[(&str, &str)] = &[];

const USAGE: &str = "usage: simulate --seeds A..B [--scenario NAME] [--mutant NAME] [--mutants] [--json] [--list]
       simulate --replay saved.json [--view]";

pub enum Call {
    Replay { file: String, view: bool },
    List,
    Simulate(Hunt),
}

/// Seeds to run.
#[derive(Default)]
pub struct Hunt {
    /// The first and the last one.
    pub seeds: Option<(u64, u64)>,
    pub scenario: Option<&'static Scenario>,
    /// The one that is awake.
    pub mutant: Option<&'static str>,
    /// Each mutant, or the one that is named, is woken until it is caught.
    pub each: bool,
    pub json: bool,
}

impl Hunt {
    /// Those to wake one after another.
    pub fn mutants(&self) -> Vec<&'static str> {
        MUTANTS.iter().map(|(name, _)| *name).filter(|name| self.mutant.is_none_or(|one| one == *name)).collect()
    }
}

/// What words ask for; a sentence if they make no sense.
pub fn parse(words: &[&str]) -> Result<Call, String> {
    let (mut hunt, mut replay, mut view, mut list) = (Hunt::default(), None, false, false);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        // What a flag needs behind it.
        let mut value = || rest.next().filter(|value| !value.starts_with("--")).copied();
        match *word {
            "--list" => list = true,
            "--json" => hunt.json = true,
            "--mutants" => hunt.each = true,
            "--view" => view = true,
            "--replay" => replay = Some(value().ok_or("--replay needs the name of a saved file.")?.to_owned()),
            "--seeds" => {
                hunt.seeds = Some(
                    value()
                        .and_then(range)
                        .ok_or("Seeds are a range such as 1..1000: two whole numbers up to 2^53 - 1, the first not above the last.")?,
                )
            }
            "--scenario" => {
                let name = value().ok_or("--scenario needs a name; --list shows which there are.")?;
                let found = SCENARIOS.iter().find(|known| known.name == name);
                hunt.scenario = Some(found.ok_or_else(|| format!("There is no scenario {name:?}; --list shows which there are."))?);
            }
            "--mutant" => {
                let name = value().ok_or("--mutant needs a name.")?;
                hunt.mutant = Some(mutant(name)?);
            }
            other => return Err(format!("There is no flag {other:?}.\n{USAGE}")),
        }
    }
    match replay {
        Some(file) if words.len() == if view { 3 } else { 2 } => Ok(Call::Replay { file, view }),
        Some(_) => Err(format!("--replay goes with --view alone.\n{USAGE}")),
        None if view => Err(format!("--view is of a session that is replayed.\n{USAGE}")),
        None if list => Ok(Call::List),
        None if hunt.each && MUTANTS.is_empty() => Err(none_built()),
        None if hunt.seeds.is_none() && hunt.mutant.is_none() && !hunt.each => Err(format!("Which seeds are to be run?\n{USAGE}")),
        None => Ok(Call::Simulate(hunt)),
    }
}

/// Two numbers, both included.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once("..")?;
    let range: (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (range.0 <= range.1 && range.1 <= SEED_MAX).then_some(range)
}

fn mutant(name: &str) -> Result<&'static str, String> {
    if MUTANTS.is_empty() {
        return Err(none_built());
    }
    MUTANTS.iter().map(|(known, _)| *known).find(|known| *known == name).ok_or_else(|| {
        let names: Vec<&str> = MUTANTS.iter().map(|(name, _)| *name).collect();
        format!("There is no mutant {name:?}; there are {}.", names.join(", "))
    })
}

fn none_built() -> String {
    "This build has no mutants. Ask for them: cargo run --release --features mutants --bin simulate -- --mutants".to_owned()
}
