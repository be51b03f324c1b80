//! Stand-in for the levels while the page is built beside them.

use crate::session::{
    Session,
    command::{Command, Saved, TimedCommand},
    default_scene,
};
use std::sync::OnceLock;

pub struct Goal {
    pub text: String,
}
pub struct GoalState {
    pub text: String,
    pub met: bool,
    pub measured: String,
    pub why_not_yet: Option<String>,
}
pub struct Level {
    pub id: String,
    pub title: String,
    pub chapter: String,
    pub slides: Vec<String>,
    pub hints: Vec<String>,
    pub goals: Vec<Goal>,
    pub start: Saved,
    pub solution: Vec<TimedCommand>,
    pub par: u32,
}
pub fn levels() -> &'static [Level] {
    static LEVELS: OnceLock<Vec<Level>> = OnceLock::new();
    LEVELS.get_or_init(|| {
        ["Keys choose the partition", "The leader dies. What survives?", "A group shares the work"]
            .iter()
            .enumerate()
            .map(|(i, t)| Level {
                id: format!("level-{i}"),
                title: (*t).into(),
                chapter: "Replication".into(),
                slides: vec!["Crash the leader of `user-events-0` while **web-shop** is sending with `acks=all`. Then bring it back and let it catch up.\n\n- the *ISR* shrinks\n- a follower is elected\n\n```\nkafka-topics.sh --describe --topic user-events\n```".into(), "What matters:\n\n> An acknowledged record is on every in-sync replica.\n\nSee [the documentation](https://kafka.apache.org/documentation/).".into()],
                hints: vec!["Look for the star.".into(), "The leader of `user-events-0` is broker 1.".into(), "Use **Crash broker 1**.".into()],
                goals: vec![Goal { text: "Broker 2 is down".into() }, Goal { text: "Five records are committed".into() }],
                start: Saved { until: 0.0, ..default_scene() },
                solution: vec![TimedCommand { at: 400.0, command: Command::CrashBroker { broker: 2 } }, TimedCommand { at: 900.0, command: Command::RestartBroker { broker: 2 } }, TimedCommand { at: 1300.0, command: Command::CrashBroker { broker: 2 } }],
                par: 2,
            })
            .collect()
    })
}
impl Level {
    pub fn check(&self, _s: &Session) -> Vec<GoalState> {
        Vec::new()
    }
    pub fn allows(&self, _c: &Command) -> Result<(), String> {
        Ok(())
    }
}
