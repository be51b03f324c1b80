//! A lesson under way: which slide, which hints, the solution's replay, and what was solved before.

use super::js;
use crate::lesson::{GoalState, Level, levels};
use crate::session::fields::FromValue;
use crate::session::{Session, command::Command};
use gloo::storage::{LocalStorage, Storage};

const KEY: &str = "brokerlab.solved";

/// The lesson drawer and the level in it.
#[derive(Default)]
pub struct LessonRun {
    pub open: bool,
    pub level: Option<&'static Level>,
    pub slide: usize,
    /// Hints shown.
    pub hints: usize,
    /// Index of the solution's next command while it is replayed.
    pub solution: Option<usize>,
    /// The solution was shown: what it reaches does not count as solved.
    pub shown: bool,
    /// Commands given since the start.
    pub commands: usize,
    pub solved: Vec<String>,
}

/// What the drawer draws.
#[derive(Default)]
pub struct LessonShot {
    pub open: bool,
    pub level: Option<&'static Level>,
    pub slide: usize,
    pub hints: usize,
    pub replaying: bool,
    pub shown: bool,
    pub commands: usize,
    pub goals: Vec<GoalState>,
    pub solved: Vec<String>,
}

impl LessonRun {
    pub fn new() -> LessonRun {
        // Nothing kept, or not readable: nothing solved.
        let solved = LocalStorage::raw()
            .get_item(KEY)
            .ok()
            .flatten()
            .and_then(|kept| Vec::from_value(js::parse(&kept).ok()?).ok())
            .unwrap_or_default();
        LessonRun { solved, ..LessonRun::default() }
    }

    /// Turns to a level from its start, or to free play.
    pub fn enter(&mut self, level: Option<&'static Level>) {
        self.open |= level.is_some();
        self.level = level;
        self.slide = 0;
        self.hints = 0;
        self.begin(false);
    }

    /// The level starts over; what was read stays open.
    pub fn begin(&mut self, solution: bool) {
        self.solution = solution.then_some(0);
        self.shown = solution;
        self.commands = 0;
    }

    /// The solution's command whose time has come, if one is due.
    pub fn due(&mut self, time_ms: f64) -> Option<Command> {
        let (level, next) = (self.level?, self.solution?);
        let Some(step) = level.solution.commands.get(next) else {
            self.solution = None;
            return None;
        };
        // A microsecond of slack: the session counts whole ones.
        (step.at <= time_ms + 0.001).then(|| {
            self.solution = Some(next + 1);
            step.command.clone()
        })
    }

    /// When the solution's next command is due.
    pub fn until(&self) -> Option<f64> {
        let next = self.level?.solution.commands.get(self.solution?)?;
        Some(next.at)
    }

    /// Measures the goals, and remembers a level that was solved without the solution.
    pub fn shot(&mut self, session: &Session) -> LessonShot {
        let goals = self.level.map(|l| l.check(session)).unwrap_or_default();
        if let Some(level) = self.level
            && !self.shown
            && self.commands > 0
            && !goals.is_empty()
            && goals.iter().all(|g| g.met)
            && !self.solved.contains(&level.id)
        {
            self.solved.push(level.id.clone());
            // A browser that keeps nothing still shows the mark until it is closed.
            let _ = LocalStorage::raw().set_item(KEY, &js::stringify(&self.solved, 0));
        }
        LessonShot {
            open: self.open,
            level: self.level,
            slide: self.slide,
            hints: self.hints,
            replaying: self.solution.is_some(),
            shown: self.shown,
            commands: self.commands,
            goals,
            solved: self.solved.clone(),
        }
    }
}

/// The level with this id.
pub fn level(id: &str) -> Option<&'static Level> {
    levels().iter().find(|l| l.id == id)
}
