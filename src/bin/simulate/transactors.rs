//! Transactional producers that a session has by chance, whose transactions begin and end beside all else: what other seeds stand for does not depend on them.
//!
//! Under transaction version 1 some requests to end one arrive once more, late, and nothing tells such a request from the next transaction's own (T9).

use super::history::value_of;
use super::scenarios::Scenario;
use brokerlab::client::transactions::{State, Transactions};
use brokerlab::node::{Chance, NoteKind, Time};
use brokerlab::protocol::wire::Api;
use brokerlab::session::Session;
use brokerlab::sim::Application;
use serde_json::{Value, json};

/// It keeps what it gets, so that it can be told what was committed.
pub const TRANSFERS: &str = "transfers";
/// Each has its own transactional id.
const IDS: [&str; 2] = ["keeper-a", "keeper-b"];
/// Microseconds until one goes on: so many at the most.
const PAUSE_MAX: [Time; 3] = [100_000, 1_000_000, 4_000_000];
/// One in so many requests to end a transaction arrives again.
const LATE_ODDS: u64 = 3;
/// How much later, in milliseconds.
const LATE: [u64; 4] = [300, 1_000, 3_000, 8_000];

pub struct Transactors {
    /// Absent: this seed has none but those that its scenario draws.
    chance: Option<Chance>,
    made: u64,
    /// The one that there is of each transactional id, and when it goes on.
    own: [(Option<String>, Time); IDS.len()],
    is_version_one: bool,
    seen: u64,
}

impl Transactors {
    pub fn new(seed: u64, scenario: &Scenario, is_version_one: bool) -> Transactors {
        let mut chance = Chance::new(seed).fork(0x7a_2a5a);
        let odds = scenario.beside.transactors;
        let has = odds != 0 && chance.below(odds) == 0;
        Transactors { chance: has.then_some(chance), made: 0, own: Default::default(), is_version_one, seen: 0 }
    }

    /// What they do after the newest event.
    pub fn act(&mut self, session: &Session) -> Vec<Value> {
        let Some(chance) = &mut self.chance else { return Vec::new() };
        let (world, mut commands) = (session.world(), Vec::new());
        for (id, (own, due)) in IDS.iter().zip(&mut self.own).filter(|(_, (_, due))| *due <= world.now()) {
            let pause = PAUSE_MAX[chance.below(PAUSE_MAX.len() as u64) as usize];
            *due = world.now() + chance.below(pause);
            let client = own.as_ref().and_then(|name| world.client(name));
            let state = client.and_then(|client| match &client.application {
                Application::Producer { producer, .. } => producer.transactions().map(Transactions::state),
                Application::Consumer { .. } => None,
            });
            let what = match state {
                Some(State::InTransaction) if chance.below(4) == 0 => "abortTransaction",
                Some(State::InTransaction) => "commitTransaction",
                Some(State::AbortableError(_)) => "abortTransaction",
                Some(State::Ready) => "beginTransaction",
                Some(State::Initializing | State::Ending { .. }) => continue,
                // Nothing goes any more, or it was never there: the application starts again.
                Some(State::FatalError(_)) | None => {
                    if world.controller().image().topic(TRANSFERS).is_none() {
                        let (partitions, factor) = (1 + chance.below(2), world.brokers().count().min(3));
                        commands.push(json!({
                            "type": "createTopic", "name": TRANSFERS, "partitions": partitions, "replicationFactor": factor,
                        }));
                    }
                    self.made += 1;
                    let name = format!("transactor-{}", self.made);
                    commands.extend(own.replace(name.clone()).map(|former| json!({ "type": "removeProducer", "id": former })));
                    commands.push(transactor(chance, &name, id));
                    continue;
                }
            };
            commands.push(json!({ "type": what, "producer": own }));
        }
        commands.extend(self.late(session));
        commands
    }

    /// What befalls a request that the newest event has sent.
    fn late(&mut self, session: &Session) -> Option<Value> {
        let chance = self.chance.as_mut().filter(|_| self.is_version_one)?;
        let trace = session.trace();
        let sent = trace.since(self.seen).find_map(|(_, note)| match &note.kind {
            NoteKind::RequestSent { message, summary, .. } if summary.api == Api::EndTxn => Some(*message),
            _ => None,
        });
        self.seen = trace.next_index();
        let message = sent.filter(|_| chance.below(LATE_ODDS) == 0)?;
        let delay = LATE[chance.below(LATE.len() as u64) as usize];
        Some(json!({ "type": "messageFault", "message": message, "action": "duplicate", "delayMs": delay }))
    }
}

fn transactor(chance: &mut Chance, name: &str, id: &str) -> Value {
    let mut one_of = |items: &[&'static str]| items[chance.below(items.len() as u64) as usize];
    json!({
        "type": "addProducer", "id": name, "topic": TRANSFERS, "keys": ["key-0", "key-1"], "value": value_of(name), "recordsPerSecond": 10,
        "configs": {
            "transactional.id": id, "linger.ms": one_of(&["0", "50"]), "request.timeout.ms": one_of(&["2000", "30000"]),
            "transaction.timeout.ms": one_of(&["2000", "10000", "30000"]),
        },
    })
}
