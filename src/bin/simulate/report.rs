//! What the seeds came to, for people and as JSON.

use super::history::Fates;
use super::run::Outcome;
use super::scenarios::Scenario;
use brokerlab::check::{Counts, Violation};
use brokerlab::session::Session;
use brokerlab::view;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// So many seeds must show everything that is counted at least once.
const SEEDS_FOR_ALL: u64 = 100;
/// Events shown of a violation: the last ones up to it.
const EVENTS_SHOWN: usize = 12;

/// A violation and how to see it again.
#[derive(Clone, Debug)]
pub struct Found {
    seed: u64,
    scenario: &'static str,
    invariant: &'static str,
    /// Virtual milliseconds.
    time: f64,
    sentence: String,
    events: Vec<String>,
}

impl Found {
    pub fn of(seed: u64, scenario: &Scenario, violation: &Violation, session: &Session) -> Found {
        let from = violation.note.saturating_sub(EVENTS_SHOWN as u64 * 8);
        let mut events: Vec<String> = view::events(session, from, usize::MAX)
            .into_iter()
            .take_while(|event| event.index <= violation.note)
            .filter(|event| !matches!(event.kind, "requestSent" | "responseSent"))
            .map(|event| format!("{:.3} {}: {}", event.time, event.node, event.text))
            .collect();
        events.drain(..events.len().saturating_sub(EVENTS_SHOWN));
        let (time, sentence) = (violation.time as f64 / 1_000.0, violation.sentence.clone());
        Found { seed, scenario: scenario.name, invariant: violation.invariant, time, sentence, events }
    }

    pub fn in_the_end(seed: u64, scenario: &Scenario, invariant: &'static str, sentence: String, session: &Session) -> Found {
        Found { seed, scenario: scenario.name, invariant, time: session.time_ms(), sentence, events: Vec::new() }
    }

    /// The engine itself saw that something cannot be.
    pub fn asserted(seed: u64, scenario: &Scenario, sentence: String) -> Found {
        Found { seed, scenario: scenario.name, invariant: "assertion", time: 0.0, sentence, events: Vec::new() }
    }

    /// The one command that shows it again.
    fn again(&self, mutant: Option<&str>) -> String {
        let (seed, scenario) = (self.seed, self.scenario);
        let (features, awake) = match mutant {
            None => ("", String::new()),
            Some(name) => (" --features mutants", format!(" --mutant {name}")),
        };
        format!("cargo run --release{features} --bin simulate -- --seeds {seed}..{seed} --scenario {scenario}{awake}")
    }
}

/// A mutant and what has caught it, or how many seeds it has survived.
struct Hunted {
    name: &'static str,
    caught: Option<Found>,
    seeds: u64,
}

impl Hunted {
    fn to_json(&self) -> Value {
        let (seed, command) =
            (self.caught.as_ref().map(|found| found.seed), self.caught.as_ref().map(|found| found.again(Some(self.name))));
        json!({ "name": self.name, "caught": self.caught.is_some(), "seed": seed, "command": command })
    }
}

impl fmt::Display for Hunted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.caught {
            Some(found) => write!(f, "{}: caught by {} at seed {} of {}", self.name, found.invariant, found.seed, found.scenario),
            None => write!(f, "{}: survived {} seeds", self.name, self.seeds),
        }
    }
}

#[derive(Default)]
pub struct Summary {
    seeds: u64,
    events: u64,
    counts: Counts,
    fates: Fates,
    found: Vec<Found>,
    /// The mutant that was awake all the time.
    awake: Option<&'static str>,
    hunted: Vec<Hunted>,
    elapsed: Duration,
}

impl Summary {
    pub fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.count(&outcome.counts, &outcome.fates);
        self.found.extend(outcome.found);
    }

    fn count(&mut self, counts: &Counts, fates: &Fates) {
        self.counts.sum(counts);
        self.fates.sum(fates);
    }

    /// Of one mutant that was awake in all of it.
    pub fn awake(mut self, mutant: Option<&'static str>) -> Summary {
        self.awake = mutant;
        self.hunted.extend(mutant.map(|name| Hunted { name, caught: self.first(), seeds: self.seeds }));
        self
    }

    /// Adds what it took to catch a mutant: what it has violated speaks for the checker, and not against the engine.
    pub fn add_hunt(&mut self, name: &'static str, hunt: Summary) {
        self.seeds += hunt.seeds;
        self.events += hunt.events;
        self.hunted.push(Hunted { name, caught: hunt.first(), seeds: hunt.seeds });
        self.count(&hunt.counts, &hunt.fates);
    }

    /// The violation of the lowest seed.
    fn first(&self) -> Option<Found> {
        self.found.iter().min_by_key(|found| found.seed).cloned()
    }

    pub fn has_violations(&self) -> bool {
        !self.found.is_empty()
    }

    pub fn finish(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
        self.found.sort_by_key(|found| found.seed);
    }

    fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.named().chain(self.fates.named())
    }

    /// Nothing was violated, and no mutant has survived.
    pub fn is_clean(&self) -> bool {
        self.found.is_empty() && self.hunted.iter().all(|one| one.caught.is_some())
    }

    fn per_second(&self) -> u64 {
        (self.events as f64 / self.elapsed.as_secs_f64().max(1e-9)) as u64
    }

    pub fn to_json(&self) -> Value {
        let violation = |found: &Found| {
            json!({
                "seed": found.seed, "invariant": found.invariant, "time": found.time, "sentence": found.sentence,
                "events": found.events, "command": found.again(self.awake),
            })
        };
        json!({
            "seeds": self.seeds,
            "events": self.events,
            "eventsPerSecond": self.per_second(),
            "counts": self.counted().map(|(name, count)| (name.to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
            "violations": self.found.iter().map(violation).collect::<Vec<_>>(),
            "mutants": self.hunted.iter().map(Hunted::to_json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.awake.is_none() && !self.hunted.is_empty() {
            self.hunted.iter().try_for_each(|one| writeln!(f, "{one}"))?;
            let survivors = self.hunted.iter().filter(|one| one.caught.is_none()).count();
            return writeln!(f, "{} mutants, {survivors} survived", self.hunted.len());
        }
        writeln!(
            f,
            "{} seeds, {} events, {} events per second, {} violations",
            self.seeds,
            self.events,
            self.per_second(),
            self.found.len()
        )?;
        for (name, count) in self.counted() {
            let never = if count == 0 && SEEDS_FOR_ALL <= self.seeds { "   never: the seeds test nothing of it" } else { "" };
            writeln!(f, "  {name} {count}{never}")?;
        }
        for found in &self.found {
            writeln!(f, "\n{} violated by seed {} at {:.3} ms: {}", found.invariant, found.seed, found.time, found.sentence)?;
            found.events.iter().try_for_each(|event| writeln!(f, "    {event}"))?;
            writeln!(f, "  again: {}", found.again(self.awake))?;
        }
        self.hunted.iter().try_for_each(|one| writeln!(f, "\n{one}"))
    }
}
