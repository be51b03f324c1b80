//! What ends the faults of a session, so that it can come to rest.

use super::aggregates::AGGREGATE;
use super::draw::{CRASHED, SHORT_POLL_INTERVAL};
use brokerlab::session::{Session, parse_command};
use brokerlab::view::View;
use serde_json::{Value, json};

/// What ends all faults: links, disks and clocks are whole, and nothing new is produced.
pub fn healing(view: &View) -> Vec<Value> {
    let machines = view.brokers.iter().flat_map(|broker| {
        [json!({ "type": "slowDisk", "broker": broker.id, "factor": 1 }), json!({ "type": "skewClock", "broker": broker.id, "ms": 0 })]
    });
    let links = [json!({ "type": "setLink", "from": "*", "to": "*" })];
    let resumes = view.consumers.iter().filter(|one| one.state != CRASHED).map(|one| json!({ "type": "resumeConsumer", "id": one.id }));
    // Who cannot keep up with what it polls never gets anywhere.
    let slow = view.consumers.iter().filter(|one| one.configs.get("max.poll.interval.ms").is_some_and(|text| text == SHORT_POLL_INTERVAL));
    let slow = slow.map(|one| json!({ "type": "removeConsumer", "id": one.id }));
    // An aggregate writes what it has yet to read.
    let ends =
        view.producers.iter().filter(|one| !one.id.starts_with(AGGREGATE)).map(|one| json!({ "type": "removeProducer", "id": one.id }));
    let replaced = missing(view).into_iter().map(|broker| json!({ "type": "addBroker", "broker": broker }));
    links.into_iter().chain(replaced).chain(machines).chain(resumes).chain(slow).chain(ends).chain(restarts(view)).collect()
}

/// Brokers that have replicas assigned to them and are gone.
pub fn missing(view: &View) -> Vec<i32> {
    let assigned = view.topics.iter().flat_map(|topic| &topic.partitions).flat_map(|one| &one.replicas);
    let gone = assigned.map(|replica| replica.broker).filter(|id| view.brokers.iter().all(|broker| broker.id != *id));
    gone.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Who is down starts again; one that was about to stop comes to that only later. What nobody may lead even so, for min.insync.replicas was changed
/// and with that who may is forgotten, is given to anybody, as an admin would.
pub fn restarts(view: &View) -> Vec<Value> {
    let down = view.brokers.iter().filter(|broker| matches!(broker.state.name(), "crashed" | "stopped"));
    let brokers = down.map(|broker| json!({ "type": "restartBroker", "broker": broker.id }));
    let crashed = view.controllers.iter().filter(|one| one.state == "crashed");
    let is_up = view.brokers.iter().all(|broker| broker.state.name() == "running");
    let partitions = view.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (&topic.name, one)));
    let nobodys =
        partitions.filter(|(_, one)| is_up && one.leader.is_none() && one.isr.is_empty() && one.eligible_leader_replicas.is_empty());
    let given = nobodys.map(|(topic, one)| json!({ "type": "electLeader", "topic": topic, "partition": one.partition, "unclean": true }));
    brokers.chain(crashed.map(|one| json!({ "type": "restartController", "controller": one.id }))).chain(given).collect()
}

/// Gives a command. One that is refused (no broker is left to lead the new topic, say) changes nothing.
pub fn give(session: &mut Session, command: Value) -> bool {
    parse_command(command).and_then(|command| session.apply(command)).is_ok()
}
