//! An application that copies a topic exactly once, a transaction for each poll: wall time per record, brokers, coordinators and replicas included.

use super::replication::{add_producers, apply, cluster, remove_producers};
use super::storage::print;
use brokerlab::client::transactions::State;
use brokerlab::session::Session;
use brokerlab::sim::{Application, Trace, World};
use serde_json::json;
use std::time::Instant;

const RECORDS: u64 = 1_000_000;
/// Records of a transaction.
const POLL: u32 = 1_000;

pub fn run() {
    for factor in [1, 3] {
        let mut session = filled(factor);
        let configs = json!({
            "transactional.id": "copier", "auto.offset.reset": "earliest", "max.poll.records": POLL.to_string(), "batch.size": "65536",
        });
        apply(
            &mut session,
            json!({ "type": "addProcessor", "id": "copier", "group": "copiers", "topics": ["orders"], "topic": "copies", "configs": configs }),
        );
        let (mut world, mut trace) = (session.world().clone(), Trace::default());
        drop(session);
        let (began, events, from) = (world.now(), world.events(), Instant::now());
        while progress(&world) != (RECORDS, true) {
            world.step(&mut trace);
        }
        print(&format!("exactly-once copy, {POLL} records a transaction, {factor} replicas"), RECORDS, from);
        let (seconds, events) = ((world.now() - began) / 1_000_000, world.events() - events);
        println!("  {:.2} s for {RECORDS} records, {events} events, {seconds} virtual seconds", from.elapsed().as_secs_f64());
    }
}

/// A cluster with so many records in `orders`, and nothing in `copies`.
fn filled(factor: u32) -> Session {
    let mut session = cluster(json!({}));
    apply(&mut session, json!({ "type": "createTopic", "name": "copies", "partitions": 3, "replicationFactor": factor }));
    add_producers(&mut session);
    while acknowledged(session.world()) < RECORDS {
        session.advance(10.0).expect("time advances");
    }
    remove_producers(&mut session);
    session.advance(1_000.0).expect("time advances");
    session
}

fn acknowledged(world: &World) -> u64 {
    let of = |application: &Application| {
        if let Application::Producer { producer, .. } = application { producer.counts().acknowledged } else { 0 }
    };
    world.clients().map(|client| of(&client.application)).sum()
}

/// Records that the processor has read, no more than there are to be, and whether its last transaction is over.
fn progress(world: &World) -> (u64, bool) {
    world.clients().fold((0, false), |(consumed, is_over), client| match &client.application {
        Application::Producer { producer, .. } => {
            (consumed, producer.transactions().is_some_and(|own| own.state() == State::Ready && own.calls.is_empty()))
        }
        Application::Consumer { consumer, .. } => (consumer.consumed().min(RECORDS), is_over),
    })
}
