//! A producer with acks=all, three replicas and a consumer, all in the engine: wall time per record that came to the consumer.

use super::storage::print;
use brokerlab::node::MS;
use brokerlab::session::{Session, default_scene, parse_command};
use brokerlab::sim::{Application, Trace, World};
use serde_json::{Value, json};
use std::time::Instant;

/// Virtual milliseconds measured.
const MEASURED_MS: u64 = 20_000;
/// Each makes as many records as a generator may.
const PRODUCERS: u32 = 4;
const RATE: u32 = 100_000;
const PARTITIONS: u32 = 3;

/// Three brokers, nothing on them yet but a topic of three replicas.
pub fn cluster(topic_configs: Value) -> Session {
    let mut saved = default_scene();
    saved.commands.clear();
    saved.until = 1_000.0;
    for name in ["log.initial.task.delay.ms", "log.retention.check.interval.ms"] {
        saved.cluster.configs.insert(name.to_owned(), "1000".to_owned());
    }
    let mut session = Session::load(&saved).expect("three brokers");
    apply(
        &mut session,
        json!({ "type": "createTopic", "name": "orders", "partitions": PARTITIONS, "replicationFactor": 3, "configs": topic_configs }),
    );
    session.advance(1_000.0).expect("time advances");
    session
}

pub fn apply(session: &mut Session, command: Value) {
    session.apply(parse_command(command).expect("a command")).expect("it is applied");
}

fn producer(number: u32) -> String {
    format!("source-{number}")
}

/// Records of about 100 bytes, with acks=all, in batches of 16 KiB.
pub fn add_producers(session: &mut Session) {
    let keys: Vec<String> = (0..1_000).map(|key| format!("key-{key:08}")).collect();
    for number in 1..=PRODUCERS {
        apply(
            session,
            json!({ "type": "addProducer", "id": producer(number), "topic": "orders", "recordsPerSecond": RATE, "keys": keys, "value": "v".repeat(80),
                "configs": { "acks": "all", "batch.size": "16384", "linger.ms": "50", "buffer.memory": "268435456" } }),
        );
    }
}

pub fn remove_producers(session: &mut Session) {
    (1..=PRODUCERS).for_each(|number| apply(session, json!({ "type": "removeProducer", "id": producer(number) })));
}

pub fn run() {
    // Old segments go: a broker that has run for a while writes into memory that it had before.
    let mut session = cluster(json!({ "segment.bytes": "2097152", "retention.bytes": "8388608" }));
    apply(
        &mut session,
        json!({ "type": "addConsumer", "id": "sink", "group": "sinks", "topics": ["orders"], "processingMs": 0,
            "configs": { "auto.offset.reset": "earliest", "max.poll.records": "100000" } }),
    );
    session.advance(3_000.0).expect("time advances");
    add_producers(&mut session);
    session.advance(1_000.0).expect("time advances");
    // The world by itself: what a session's snapshots cost has a figure of its own.
    let (mut world, mut trace) = (session.world().clone(), Trace::default());
    drop(session);
    let (before, events, from) = (counts(&world).0, world.events(), Instant::now());
    let end = world.now() + MEASURED_MS * MS;
    while world.next_event_time().is_some_and(|next| next <= end) {
        world.step(&mut trace);
    }
    let (consumed, failed) = counts(&world);
    print("acks=all through 3 replicas to a consumer", consumed - before, from);
    println!("  {} events, {failed} records failed", world.events() - events);
}

/// Records that came to the consumers, and those that producers had to give up.
fn counts(world: &World) -> (u64, u64) {
    world.clients().fold((0, 0), |(consumed, failed), client| match &client.application {
        Application::Producer { producer, .. } => (consumed, failed + producer.counts().failed),
        Application::Consumer { consumer, .. } => (consumed + consumer.consumed(), failed),
    })
}
