//! Runs seeds on all processors: those of a range, or each mutant's until something catches it.

use super::arguments::Hunt;
use super::report::{Found, Summary};
use super::run::{Outcome, run};
use super::scenarios::{SCENARIOS, Scenario};
use std::any::Any;
use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

#[cfg(feature = "mutants")]
use brokerlab::mutant::wake;

/// A build without mutants has none to wake.
#[cfg(not(feature = "mutants"))]
fn wake(_mutant: Option<&'static str>) {}

/// Seeds that a mutant has to be caught within, unless others are named.
pub const MUTANT_SEEDS: u64 = 2_000;
/// The scenarios that take turns in the hunt for a mutant.
const TURNS: [&str; 5] = ["mixed", "brokers", "controllers", "transactions", "topics"];
/// Mutants that one scenario shows far sooner than the others do, by what their names begin with: they are hunted there.
const HOMES: [(&str, &str); 5] = [
    ("share-", "share"),
    ("quota-", "quotas"),
    ("failover-aborts", "mixed"),
    ("aborted-records-shared", "mixed"),
    ("order-lost-with-the-leader", "brokers"),
];

/// Runs all that is asked for.
pub fn run_all(asked: &Hunt) -> Summary {
    let started = Instant::now();
    let seeds = asked.seeds.unwrap_or((1, MUTANT_SEEDS));
    let mut summary = if asked.each {
        let mut all = Summary::default();
        asked.mutants().into_iter().for_each(|name| all.add_hunt(name, run_range(seeds, &grounds(asked, Some(name)), Some(name), true)));
        all
    } else {
        let until_caught = asked.seeds.is_none();
        run_range(seeds, &grounds(asked, asked.mutant), asked.mutant, until_caught).awake(asked.mutant)
    };
    summary.finish(started.elapsed());
    summary
}

/// The scenarios that seeds take in turn.
fn grounds(asked: &Hunt, mutant: Option<&str>) -> Vec<&'static Scenario> {
    let Some(mutant) = mutant.filter(|_| asked.scenario.is_none()) else { return vec![asked.scenario.unwrap_or(&SCENARIOS[0])] };
    let home = HOMES.iter().find(|(first, _)| mutant.starts_with(first)).map(|(_, home)| *home);
    SCENARIOS.iter().filter(|known| home.map_or(TURNS.contains(&known.name), |home| home == known.name)).collect()
}

fn run_range((first, last): (u64, u64), scenarios: &[&'static Scenario], mutant: Option<&'static str>, until_caught: bool) -> Summary {
    let (next, summary) = (AtomicU64::new(first), Mutex::new(Summary::default()));
    let so_far = || summary.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        wake(mutant);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if last < seed || until_caught && so_far().has_violations() {
                break;
            }
            let scenario = scenarios[(seed % scenarios.len() as u64) as usize];
            // What the engine asserts is an invariant as any other.
            let outcome = catch_unwind(|| run(seed, scenario)).unwrap_or_else(|payload| failed(seed, scenario, &*payload));
            so_far().add(outcome);
        }
    };
    if mutant.is_some() {
        // A mutant may break what the engine asserts: that catches it as well, without a word.
        set_hook(Box::new(|_| {}));
    }
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    if mutant.is_some() {
        drop(take_hook());
    }
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A seed at which the engine's own assertion failed.
fn failed(seed: u64, scenario: &Scenario, payload: &(dyn Any + Send)) -> Outcome {
    let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let sentence = literal.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    Outcome { found: vec![Found::asserted(seed, scenario, sentence)], ..Outcome::default() }
}
