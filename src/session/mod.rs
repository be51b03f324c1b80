//! A session is its seed and its timed commands: everything else follows from them.
//!
//! Owns play, seek, undo and redo, snapshots and saved files. Only this room changes a world. It must not know a screen.

pub mod apply;
mod brokers;
pub mod command;
mod configs;
mod effects;
mod faults;
pub mod fields;
mod groups;
pub mod import;
mod parse;
mod partitioner;
mod processors;
mod scene;
mod sources;
mod topics;
mod transactions;
pub mod written;

pub use configs::topic_defaults;
pub use parse::{parse_command, parse_saved};
pub use scene::default_scene;

use crate::node::{MS, NodeId, Note, NoteKind, Time};
use crate::protocol::text::decimal;
use crate::sim::{Trace, TracePoint, World};
use command::{Cluster, Command, Refusal, Saved, TimedCommand};
use std::sync::Arc;

/// The engine's version, as the page and scripts see it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Events between two snapshots.
const SNAPSHOT_EVENTS: u64 = 20_000;
/// Snapshots kept; with more, every second one is dropped.
const SNAPSHOTS_MAX: usize = 48;
/// The latest time a session can reach: 100 days.
pub const TIME_MAX_MS: f64 = 8_640_000_000.0;
/// "Until something interesting" gives up after this much virtual time.
const INTERESTING_MAX: Time = 60_000 * MS;

/// Characters of a command's name that the event log shows; there is no command with more.
const NAME_MAX: usize = 40;

/// How far a step goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepKind {
    Event,
    /// Until the next request is sent.
    Request,
    /// Until an election, an ISR change, a rebalance or an error.
    Interesting,
}

/// One cluster from its start to the latest time reached.
#[derive(Debug)]
pub struct Session {
    seed: u64,
    cluster: Cluster,
    commands: Vec<TimedCommand>,
    /// How many of the commands have been applied to the world as it is now.
    applied: usize,
    world: World,
    trace: Trace,
    latest: Time,
    snapshots: Vec<Snapshot>,
    undone: Vec<Edit>,
    edits: Vec<Edit>,
    pub playing: bool,
    /// Virtual seconds per second of the wall.
    pub speed: f64,
}

/// A command that was given, and the future that it replaced.
#[derive(Clone, Debug)]
struct Edit {
    command: TimedCommand,
    replaced: Vec<TimedCommand>,
    /// The latest time reached before.
    latest: Time,
}

/// The world at one moment, so that seeking need not begin at 0.
#[derive(Clone, Debug)]
struct Snapshot {
    world: World,
    point: TracePoint,
    applied: usize,
}

/// Virtual milliseconds as the world counts time.
fn micros(ms: f64) -> Time {
    (ms * MS as f64).round() as Time
}

fn millis(time: Time) -> f64 {
    time as f64 / MS as f64
}

impl Session {
    /// Runs a saved session to the time it had reached.
    pub fn load(saved: &Saved) -> Result<Session, Refusal> {
        let mut session = Session::new(saved.seed, saved.cluster.clone())?;
        for (index, timed) in saved.commands.iter().enumerate() {
            let at = format!("commands[{index}]");
            if !session.may_reach(timed.at) {
                return Err(Refusal::argument(&format!("{at}.at"), "Commands stand in the order of their times, which are not negative."));
            }
            session.run_to(micros(timed.at));
            session.perform(timed.command.clone()).map_err(|refusal| {
                let field = refusal.field.as_ref().map_or(format!("{at}.command"), |field| format!("{at}.command.{field}"));
                refusal.at(&field)
            })?;
        }
        if !session.may_reach(saved.until) {
            return Err(Refusal::argument("until", "A session ends at or after its last command."));
        }
        session.run_to(micros(saved.until));
        session.latest = session.world.now();
        Ok(session)
    }

    /// Whether a time is not before now: what is closer than a microsecond is the same moment.
    fn may_reach(&self, ms: f64) -> bool {
        (0.0..=TIME_MAX_MS).contains(&ms) && self.world.now() <= micros(ms)
    }

    fn new(seed: u64, cluster: Cluster) -> Result<Session, Refusal> {
        let (config, warnings) = configs::world(seed, &cluster)?;
        let mut trace = Trace::default();
        apply::warn(0, &mut trace, &Arc::from("cluster"), warnings);
        let world = World::new(config, &mut trace);
        let first = Snapshot { world: world.clone(), point: trace.point(), applied: 0 };
        Ok(Session {
            seed,
            cluster,
            commands: Vec::new(),
            applied: 0,
            world,
            trace,
            latest: 0,
            snapshots: vec![first],
            undone: Vec::new(),
            edits: Vec::new(),
            playing: false,
            speed: 1.0,
        })
    }

    pub fn save(&self) -> Saved {
        Saved {
            format: "brokerlab".to_owned(),
            version: 1,
            seed: self.seed,
            cluster: self.cluster.clone(),
            commands: self.commands[..self.applied].to_vec(),
            until: self.time_ms(),
        }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The commands given up to now, in order.
    pub fn commands(&self) -> &[TimedCommand] {
        &self.commands[..self.applied]
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    pub fn time_ms(&self) -> f64 {
        millis(self.world.now())
    }

    pub fn latest_ms(&self) -> f64 {
        millis(self.latest)
    }

    /// 16 hexadecimal digits; equal for equal seed and commands, native and wasm, live and replayed.
    pub fn trace_hash(&self) -> String {
        self.trace.hash()
    }

    /// Index of the next note of the trace.
    pub fn event_count(&self) -> u64 {
        self.trace.next_index()
    }

    /// Reads a command and applies it now. One that cannot be read is refused like any other.
    pub fn command(&mut self, value: serde_json::Value) -> Result<serde_json::Value, Refusal> {
        let name = value["type"].as_str().unwrap_or("command").chars().take(NAME_MAX).collect::<String>();
        parse_command(value).map_err(|refusal| self.refuse(&name, refusal)).and_then(|command| self.apply(command))
    }

    /// Applies a command now. A refused one changes nothing but the event log, which says so.
    pub fn apply(&mut self, command: Command) -> Result<serde_json::Value, Refusal> {
        // Events of this very moment come first: that is where a replay will put the command.
        self.run_to(self.world.now());
        let timed = TimedCommand { at: self.time_ms(), command };
        match self.perform(timed.command.clone()) {
            Err(refusal) => Err(self.refuse(timed.command.name(), refusal)),
            Ok(answer) => {
                self.undone.clear();
                Ok(answer)
            }
        }
    }

    /// Says in the event log, and nowhere else, that a command was refused.
    fn refuse(&mut self, name: &str, refusal: Refusal) -> Refusal {
        self.run_to(self.world.now());
        self.forget_future();
        let kind = NoteKind::CommandRefused { name: Arc::from(name), code: Arc::from(refusal.code.as_str()) };
        self.trace.push_aside(Note { time: self.world.now(), node: NodeId::Admin, kind });
        refusal
    }

    /// Applies a command and takes it into the history, in place of whatever future there was.
    fn perform(&mut self, command: Command) -> Result<serde_json::Value, Refusal> {
        if parse::COMMANDS_MAX <= self.applied {
            return Err(parse::too_many_commands());
        }
        let timed = TimedCommand { at: self.time_ms(), command };
        self.forget_future();
        let answer = apply::apply(&mut self.world, &mut self.trace, &timed.command)?;
        self.note_applied(&timed.command);
        let replaced = self.commands.split_off(self.applied);
        self.edits.push(Edit { command: timed.clone(), replaced, latest: self.latest });
        self.commands.push(timed);
        self.applied += 1;
        self.latest = self.world.now();
        Ok(answer)
    }

    /// Lets go what was seen of the time after now: a command comes in between.
    fn forget_future(&mut self) {
        self.trace.forget_future();
        let (events, applied) = (self.world.events(), self.applied);
        self.snapshots.retain(|snapshot| snapshot.world.events() <= events && snapshot.applied <= applied);
    }

    fn note_applied(&mut self, command: &Command) {
        let kind = NoteKind::CommandApplied { name: command.name(), target: Arc::from(command.target()) };
        self.trace.push(Note { time: self.world.now(), node: NodeId::Admin, kind });
    }

    /// Runs virtual time forward.
    pub fn advance(&mut self, ms: f64) -> Result<(), Refusal> {
        if !(0.0..=TIME_MAX_MS).contains(&ms) || TIME_MAX_MS < self.time_ms() + ms {
            return Err(Refusal::argument(
                "ms",
                format!("Time advances by 0 to {} ms in all, not by {}.", decimal(TIME_MAX_MS), decimal(ms)),
            ));
        }
        self.run_to(self.world.now() + micros(ms));
        Ok(())
    }

    /// Runs forward by at most this much time and this many events. Returns the microseconds that passed.
    pub fn run(&mut self, limit: Time, events_max: u64) -> Time {
        let from = self.world.now();
        let to = (from + limit).min(micros(TIME_MAX_MS));
        let events_end = self.world.events() + events_max;
        while self.world.events() < events_end {
            if !self.forward_one(to) {
                self.reach(to);
                break;
            }
        }
        self.latest = self.latest.max(self.world.now());
        self.world.now() - from
    }

    pub fn step(&mut self, kind: StepKind) {
        let limit = (self.world.now() + INTERESTING_MAX).min(micros(TIME_MAX_MS));
        loop {
            let before = self.trace.next_index();
            if !self.forward_one(limit) {
                break;
            }
            let found = |(_, note): (u64, &Note)| match kind {
                StepKind::Event => true,
                StepKind::Request => matches!(note.kind, NoteKind::RequestSent { .. }),
                StepKind::Interesting => note.kind.is_mark(),
            };
            if kind == StepKind::Event || self.trace.since(before).any(found) {
                break;
            }
        }
        self.latest = self.latest.max(self.world.now());
    }

    /// Goes to any time between 0 and the latest reached.
    pub fn seek(&mut self, ms: f64) -> Result<(), Refusal> {
        if !(0.0..=TIME_MAX_MS).contains(&ms) || self.latest < micros(ms) {
            return Err(Refusal::argument(
                "ms",
                format!("A session can be seen from 0 to {} ms, not at {}.", decimal(self.latest_ms()), decimal(ms)),
            ));
        }
        self.show(micros(ms));
        Ok(())
    }

    /// What was done so far is the scene: it cannot be undone.
    pub fn settle(&mut self) {
        self.edits.clear();
        self.undone.clear();
    }

    pub fn can_undo(&self) -> bool {
        !self.edits.is_empty()
    }

    pub fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }

    /// Takes the last command back, and gives the future that it replaced back. The time stays, unless it was not reached without it.
    pub fn undo(&mut self) -> bool {
        let Some(edit) = self.edits.pop() else { return false };
        let now = self.world.now();
        self.rewind(micros(edit.command.at));
        self.commands.pop();
        self.commands.extend(edit.replaced.iter().cloned());
        self.applied = self.applied.min(self.commands.len());
        self.latest = edit.latest.max(now);
        self.undone.push(edit);
        self.rebuild(now);
        true
    }

    pub fn redo(&mut self) -> bool {
        let Some(edit) = self.undone.pop() else { return false };
        let now = self.world.now();
        let keep = self.commands.len() - edit.replaced.len();
        self.rewind(micros(edit.command.at));
        self.commands.truncate(keep);
        self.commands.push(edit.command.clone());
        self.edits.push(edit);
        self.latest = self.latest.max(now);
        self.rebuild(now);
        true
    }

    /// Drops the snapshots that a change of the commands at `at` makes untrue.
    fn rewind(&mut self, at: Time) {
        self.snapshots.retain(|snapshot| snapshot.world.now() < at || (snapshot.world.now() == 0 && snapshot.applied == 0));
    }

    /// Shows the session at `to` after its commands have changed.
    fn rebuild(&mut self, to: Time) {
        self.restore(self.place_before(to));
        self.trace.forget_future();
        self.run_to(to);
    }

    /// Shows the session at `to`, from the nearest moment before it that is at hand: now, or a snapshot.
    fn show(&mut self, to: Time) {
        let place = self.place_before(to);
        let is_nearer = self.snapshots.get(place).is_some_and(|snapshot| self.world.events() < snapshot.world.events());
        if to < self.world.now() || is_nearer {
            // Where the notes do not lead to it, the snapshot before it: what is read there should not begin in the middle.
            let leads = self.snapshots.get(place).is_some_and(|snapshot| self.trace.leads_to(snapshot.point));
            self.restore(if leads { place } else { place.saturating_sub(1) });
        }
        self.run_to(to);
    }

    /// The place of the last snapshot not after `to`.
    fn place_before(&self, to: Time) -> usize {
        self.snapshots.iter().rposition(|snapshot| snapshot.world.now() <= to).unwrap_or(0)
    }

    fn restore(&mut self, place: usize) {
        if let Some(snapshot) = self.snapshots.get(place) {
            self.world = snapshot.world.clone();
            self.trace.stand_at(snapshot.point);
            self.applied = snapshot.applied;
        }
    }

    /// Runs to a time, with every command and event up to it.
    fn run_to(&mut self, to: Time) {
        while self.forward_one(to) {}
        self.reach(to);
        self.latest = self.latest.max(self.world.now());
    }

    fn reach(&mut self, to: Time) {
        if self.world.now() < to {
            self.world.pass(to);
        }
    }

    /// The next event or known command not after `limit`. `false`: there is none.
    fn forward_one(&mut self, limit: Time) -> bool {
        let event = self.world.next_event_time().filter(|at| *at <= limit);
        let command = self.commands.get(self.applied).map(|timed| micros(timed.at)).filter(|at| *at <= limit);
        match (event, command) {
            (None, None) => false,
            (event, Some(at)) if event.is_none_or(|event| at < event) => {
                self.reach(at);
                self.apply_known();
                true
            }
            _ => {
                self.world.step(&mut self.trace);
                self.maybe_snapshot();
                true
            }
        }
    }

    /// Applies the next command of the history again.
    fn apply_known(&mut self) {
        let Some(timed) = self.commands.get(self.applied).cloned() else { return };
        self.applied += 1;
        // A command of the history may be impossible after an undo before it (its topic is gone, say): then it does nothing, visibly.
        match apply::apply(&mut self.world, &mut self.trace, &timed.command) {
            Ok(_) => self.note_applied(&timed.command),
            Err(refusal) => {
                let kind = NoteKind::CommandRefused { name: Arc::from(timed.command.name()), code: Arc::from(refusal.code.as_str()) };
                self.trace.push(Note { time: self.world.now(), node: NodeId::Admin, kind });
            }
        }
    }

    fn maybe_snapshot(&mut self) {
        let last = self.snapshots.last().map_or(0, |snapshot| snapshot.world.events());
        if self.world.events() < last + SNAPSHOT_EVENTS {
            return;
        }
        if self.snapshots.len() == SNAPSHOTS_MAX {
            let mut index = 0;
            self.snapshots.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.snapshots.push(Snapshot { world: self.world.clone(), point: self.trace.point(), applied: self.applied });
    }
}
