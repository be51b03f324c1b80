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
        self.count(outcome.counts, outcome.fates);
        self.found.extend(outcome.found);
    }

    fn count(&mut self, counts: Counts, own: Fates) {
        let (all, one) = (&mut self.counts, counts);
        all.elections += one.elections;
        all.isr_shrinks += one.isr_shrinks;
        all.isr_expansions += one.isr_expansions;
        all.truncations += one.truncations;
        all.crashes += one.crashes;
        all.power_losses += one.power_losses;
        all.unflushed_lost += one.unflushed_lost;
        all.shutdowns += one.shutdowns;
        all.controller_crashes += one.controller_crashes;
        all.snapshots_written += one.snapshots_written;
        all.snapshots_fetched += one.snapshots_fetched;
        all.controller_failovers += one.controller_failovers;
        all.freezes += one.freezes;
        all.reassignments += one.reassignments;
        all.reassignments_cancelled += one.reassignments_cancelled;
        all.brokers_added += one.brokers_added;
        all.brokers_removed += one.brokers_removed;
        all.messages_lost += one.messages_lost;
        all.messages_delayed += one.messages_delayed;
        all.messages_duplicated += one.messages_duplicated;
        all.rebalances += one.rebalances;
        all.acknowledged += one.acknowledged;
        all.retries += one.retries;
        all.failed += one.failed;
        all.delivered += one.delivered;
        all.redelivered += one.redelivered;
        all.readers_exactly_once += one.readers_exactly_once;
        all.readers_at_least_once += one.readers_at_least_once;
        all.readers_at_most_once += one.readers_at_most_once;
        all.readers_neither += one.readers_neither;
        all.segments_deleted += one.segments_deleted;
        all.remote_copies += one.remote_copies;
        all.remote_deletions += one.remote_deletions;
        all.remote_reads += one.remote_reads;
        all.remote_states_built += one.remote_states_built;
        all.unclean_elections += one.unclean_elections;
        all.lost_unclean += one.lost_unclean;
        all.eligible_changes += one.eligible_changes;
        all.eligible_elections += one.eligible_elections;
        all.topics_deleted += one.topics_deleted;
        all.compactions += one.compactions;
        all.records_deleted += one.records_deleted;
        all.configs_altered += one.configs_altered;
        all.broker_configs_altered += one.broker_configs_altered;
        all.throttles += one.throttles;
        all.aggregated += one.aggregated;
        let (all, one) = (&mut self.counts.shares, counts.shares);
        all.acquired += one.acquired;
        all.redelivered += one.redelivered;
        all.accepted += one.accepted;
        all.released += one.released;
        all.lock_timeouts += one.lock_timeouts;
        all.archived += one.archived;
        let (all, one) = (&mut self.fates, own);
        all.lost_acks_none += one.lost_acks_none;
        all.lost_acks_one += one.lost_acks_one;
        all.lost_acks_all += one.lost_acks_all;
        all.duplicated += one.duplicated;
        all.reordered += one.reordered;
        all.torn += one.torn;
        all.committed += one.committed;
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
        self.count(hunt.counts, hunt.fates);
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

    fn counted(&self) -> [(&'static str, u64); 59] {
        let (counts, shares, fates) = (&self.counts, &self.counts.shares, &self.fates);
        [
            ("elections", counts.elections),
            ("isrShrinks", counts.isr_shrinks),
            ("isrExpansions", counts.isr_expansions),
            ("truncations", counts.truncations),
            ("crashes", counts.crashes),
            ("powerLosses", counts.power_losses),
            ("unflushedLost", counts.unflushed_lost),
            ("shutdowns", counts.shutdowns),
            ("controllerCrashes", counts.controller_crashes),
            ("controllerFailovers", counts.controller_failovers),
            ("snapshotsWritten", counts.snapshots_written),
            ("snapshotsFetched", counts.snapshots_fetched),
            ("freezes", counts.freezes),
            ("reassignments", counts.reassignments),
            ("reassignmentsCancelled", counts.reassignments_cancelled),
            ("brokersAdded", counts.brokers_added),
            ("brokersRemoved", counts.brokers_removed),
            ("messagesLost", counts.messages_lost),
            ("messagesDelayed", counts.messages_delayed),
            ("messagesDuplicated", counts.messages_duplicated),
            ("rebalances", counts.rebalances),
            ("acknowledged", counts.acknowledged),
            ("retries", counts.retries),
            ("failed", counts.failed),
            ("delivered", counts.delivered),
            ("redelivered", counts.redelivered),
            ("readersExactlyOnce", counts.readers_exactly_once),
            ("readersAtLeastOnce", counts.readers_at_least_once),
            ("readersAtMostOnce", counts.readers_at_most_once),
            ("readersNeither", counts.readers_neither),
            ("lostAcks0", fates.lost_acks_none),
            ("lostAcks1", fates.lost_acks_one),
            ("lostAcksAll", fates.lost_acks_all),
            ("duplicated", fates.duplicated),
            ("reordered", fates.reordered),
            ("transactionsCommitted", fates.committed),
            ("tornByLateEnds", fates.torn),
            ("segmentsDeleted", counts.segments_deleted),
            ("remoteCopies", counts.remote_copies),
            ("remoteDeletions", counts.remote_deletions),
            ("remoteReads", counts.remote_reads),
            ("remoteStatesBuilt", counts.remote_states_built),
            ("uncleanElections", counts.unclean_elections),
            ("lostUnclean", counts.lost_unclean),
            ("eligibleChanges", counts.eligible_changes),
            ("eligibleElections", counts.eligible_elections),
            ("topicsDeleted", counts.topics_deleted),
            ("compactions", counts.compactions),
            ("recordsDeleted", counts.records_deleted),
            ("configsAltered", counts.configs_altered),
            ("brokerConfigsAltered", counts.broker_configs_altered),
            ("throttles", counts.throttles),
            ("aggregated", counts.aggregated),
            ("shareAcquired", shares.acquired),
            ("shareRedelivered", shares.redelivered),
            ("shareAccepted", shares.accepted),
            ("shareReleased", shares.released),
            ("shareLockTimeouts", shares.lock_timeouts),
            ("shareArchived", shares.archived),
        ]
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
            "counts": self.counted().into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
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
