#![cfg(not(target_arch = "wasm32"))]
//! Every level is played: its start, its solution, what must not pass, and its solution in a busier world.

use brokerlab::lesson::{Attempt, Level, levels};
use brokerlab::session::{Session, parse_command};
use serde_json::{Value, json};

/// A level's start with an attempt played on it.
fn played(level: &Level, attempt: &Attempt, meddle: impl Fn(&mut Session)) -> Session {
    let mut session = Session::load(&level.start).unwrap_or_else(|refusal| panic!("{}: the start is refused: {refusal}", level.id));
    meddle(&mut session);
    for timed in &attempt.commands {
        session.advance(timed.at - session.time_ms()).expect("commands stand in the order of their times");
        level.allows(&timed.command).unwrap_or_else(|reason| panic!("{}: {reason}", level.id));
        session.apply(timed.command.clone()).unwrap_or_else(|refusal| panic!("{}: {refusal}", level.id));
    }
    session.advance(attempt.until - session.time_ms()).expect("the attempt ends after its last command");
    session
}

/// The goals that are not met, in the level's own words.
fn open_goals(level: &Level, session: &Session) -> Vec<String> {
    level.check(session).into_iter().filter_map(|goal| goal.why_not_yet.map(|why| format!("{}: {why}", goal.text))).collect()
}

#[test]
fn the_start_is_not_the_goal() {
    for level in levels() {
        let session = Session::load(&level.start).expect("the start");
        assert!(!level.solved(&session), "{} is solved before it begins", level.id);
        assert!(
            level.check(&session).iter().all(|goal| goal.met == goal.why_not_yet.is_none() && !goal.measured.is_empty()),
            "{}",
            level.id
        );
    }
}

#[test]
fn the_solution_solves_within_par() {
    for level in levels() {
        let session = played(level, &level.solution, |_| ());
        assert_eq!(open_goals(level, &session), Vec::<String>::new(), "{}", level.id);
        assert!(level.solution.commands.len() <= level.par as usize, "{}: the solution is above par", level.id);
    }
}

#[test]
fn what_must_not_pass_does_not() {
    for level in levels() {
        assert!(!level.wrong.is_empty(), "{} names no wrong attempt", level.id);
        for (index, attempt) in level.wrong.iter().enumerate() {
            assert!(!level.solved(&played(level, attempt, |_| ())), "{}: wrong attempt {index} solves it", level.id);
        }
    }
}

#[test]
fn unrelated_extra_state_does_not_block() {
    let extra = |session: &mut Session| {
        for command in [
            json!({ "type": "createTopic", "name": "unrelated", "partitions": 2, "replicationFactor": 1 }),
            json!({ "type": "addProducer", "id": "stranger", "topic": "unrelated", "recordsPerSecond": 5, "keys": ["x"] }),
        ] {
            session.apply(parse_command(command).expect("a command")).expect("it is allowed by the engine");
        }
    };
    for level in levels() {
        let session = played(level, &level.solution, extra);
        assert_eq!(open_goals(level, &session), Vec::<String>::new(), "{}", level.id);
    }
}

#[test]
fn every_name_that_a_goal_requires_stands_in_the_text() {
    for level in levels() {
        let text: String =
            level.slides.iter().map(|slide| slide.text.as_str()).chain(level.goals.iter().map(|goal| goal.text.as_str())).collect();
        for name in required_names(level) {
            assert!(text.contains(&name), "{}: a goal is about {name}, and no slide or goal names it", level.id);
        }
    }
}

#[test]
fn the_page_is_told_of_the_same_files() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/www/lessons");
    let listed: Vec<String> =
        std::fs::read_to_string(format!("{folder}/index.txt")).expect("the index").lines().map(str::to_owned).collect();
    let ids: Vec<String> = listed
        .iter()
        .map(|name| std::fs::read_to_string(format!("{folder}/{name}")).unwrap_or_else(|error| panic!("{name}: {error}")))
        .map(|file| {
            brokerlab::lesson::front_matter::parse(&file, |text| serde_json::from_str(text).map_err(|error| error.to_string()))
                .expect("a level")
                .id
        })
        .collect();
    assert_eq!(ids, levels().iter().map(|level| level.id.clone()).collect::<Vec<_>>());
    assert_eq!(listed.len() + 1, std::fs::read_dir(folder).expect("the levels").count(), "a file that the index does not name");
}

/// Names of topics, groups, clients and keys in the level's goals.
fn required_names(level: &Level) -> Vec<String> {
    let file = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/www/lessons"))
        .expect("the levels")
        .map(|entry| entry.expect("a file").path());
    let text = file
        .map(|path| std::fs::read_to_string(path).expect("a level"))
        .find(|text| text.contains(&format!("\"id\": \"{}\"", level.id)))
        .expect("the file");
    let front = text.strip_prefix("---json\n").and_then(|text| text.split_once("\n---\n")).expect("front matter").0;
    let front: Value = serde_json::from_str(front).expect("JSON");
    let mut names = Vec::new();
    collect(&front["goals"], &mut names);
    names
}

fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match (field.as_str(), value) {
                    ("topic" | "group" | "consumer" | "producer" | "key" | "id", Value::String(name)) => names.push(name.clone()),
                    _ => collect(value, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[test]
fn ids_are_unique_and_what_a_level_requires_comes_before_it() {
    for (index, level) in levels().iter().enumerate() {
        let before = &levels()[..index];
        assert!(before.iter().all(|other| other.id != level.id), "{} stands twice", level.id);
        assert!(
            level.requires.iter().all(|id| before.iter().any(|other| other.id == *id)),
            "{} requires what does not come before it",
            level.id
        );
        assert!(!level.hints.is_empty() && !level.slides.is_empty() && !level.goals.is_empty(), "{}", level.id);
    }
    assert!(5 <= levels().len());
}

#[test]
fn a_level_says_why_a_command_is_not_for_it() {
    let level = levels().iter().find(|level| level.id == "keys").expect("the first level");
    let crash = parse_command(json!({ "type": "crashBroker", "broker": 1 })).expect("a command");
    assert!(level.allows(&crash).is_err_and(|reason| reason.contains("crashBroker")));
}
