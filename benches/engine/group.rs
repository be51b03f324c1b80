//! A group of a hundred members over a thousand partitions: what a rebalance takes, in virtual and in real time, with each of the assignors.

use brokerlab::client::consumer::MemberState;
use brokerlab::session::{Session, parse_command, parse_saved};
use brokerlab::sim::Application;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MEMBERS: usize = 100;
const PARTITIONS: usize = 1_000;
/// Virtual milliseconds that a rebalance may take before something is wrong.
const PATIENCE: u32 = 60_000;

pub fn run() {
    for assignor in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        let mut session = group(assignor);
        let joined = settle(&mut session, |session| apply(session, member(MEMBERS, assignor)));
        let left = settle(&mut session, |session| apply(session, json!({ "type": "removeConsumer", "id": "member-0" })));
        let told = |(virtual_ms, real): (u32, Duration)| format!("{:.1} ms ({virtual_ms} ms virtual)", 1_000.0 * real.as_secs_f64());
        println!(
            "rebalance of {MEMBERS} members over {PARTITIONS} partitions, {assignor}: {} after a join, {} after one leaves",
            told(joined),
            told(left)
        );
    }
}

fn group(assignor: &str) -> Session {
    let cluster = json!({ "brokers": 3, "configs": { "group.initial.rebalance.delay.ms": "3000" } });
    let saved = json!({ "format": "brokerlab", "version": 1, "seed": 7, "cluster": cluster, "commands": [], "until": 2000 });
    let mut session = Session::load(&parse_saved(saved).expect("a session")).expect("it loads");
    apply(&mut session, json!({ "type": "createTopic", "name": "wide", "partitions": PARTITIONS, "replicationFactor": 1 }));
    session.advance(1_000.0).expect("time advances");
    for place in 0..MEMBERS {
        apply(&mut session, member(place, assignor));
    }
    session.advance(20_000.0).expect("time advances");
    assert!(is_settled(&session, MEMBERS));
    session
}

fn member(place: usize, assignor: &str) -> Value {
    let configs = json!({ "partition.assignment.strategy": assignor, "auto.offset.reset": "earliest" });
    json!({ "type": "addConsumer", "id": format!("member-{place}"), "group": "readers", "topics": ["wide"], "configs": configs })
}

fn apply(session: &mut Session, command: Value) {
    session.apply(parse_command(command).expect("a command")).expect("it applies");
}

/// What it takes until all members own their shares again: virtual milliseconds, and the time spent on them.
fn settle(session: &mut Session, change: impl FnOnce(&mut Session)) -> (u32, Duration) {
    let from = Instant::now();
    change(session);
    let (mut spent, members) = (from.elapsed(), session.world().clients().count());
    for passed in 1..=PATIENCE {
        let from = Instant::now();
        session.advance(1.0).expect("time advances");
        spent += from.elapsed();
        if is_settled(session, members) {
            return (passed, spent);
        }
    }
    panic!("the group does not come to rest");
}

/// Whether so many consumers are stable, and read all partitions.
fn is_settled(session: &Session, members: usize) -> bool {
    let (mut stable, mut owned) = (0, 0);
    for client in session.world().clients() {
        let Application::Consumer { consumer, .. } = &client.application else { continue };
        stable += usize::from(consumer.member_state() == MemberState::Stable);
        owned += consumer.positions().count();
    }
    stable == members && owned == PARTITIONS
}
