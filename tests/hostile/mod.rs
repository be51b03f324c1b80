//! Malformed commands and damaged saved sessions, made by chance from good ones: for the native tests and the browser's.

use brokerlab::node::Chance;
use brokerlab::session::{Session, default_scene, parse_command, parse_saved};
use serde_json::{Map, Value, json};

/// Sends malformed commands; returns how many were refused. None may panic, and a refused one may change nothing.
pub fn malformed_commands(count: u32) -> u32 {
    let mut chance = Chance::new(2026);
    let mut session = Session::load(&default_scene()).expect("the scene");
    let mut refused = 0;
    for _ in 0..count {
        let command = damaged(&mut chance, any_command);
        let before = session.trace_hash();
        if parse_command(command.clone()).and_then(|command| session.apply(command)).is_err() {
            refused += 1;
            assert_eq!(session.trace_hash(), before, "{command} was refused and changed something");
        }
        if chance.below(50) == 0 {
            session.advance(chance.below(200) as f64).expect("time advances");
        }
    }
    refused
}

/// Loads damaged saved sessions; returns how many were refused. None may panic.
pub fn damaged_sessions(count: u32) -> u32 {
    let mut chance = Chance::new(1_000);
    let good = serde_json::to_value(Session::load(&default_scene()).expect("the scene").save()).expect("JSON");
    let mut refused = 0;
    for _ in 0..count {
        let mut saved = good.clone();
        for _ in 0..=chance.below(3) {
            damage(&mut saved, &mut chance);
        }
        // A time far away is no damage, only long: it would be run through.
        if saved["until"].as_f64().is_some_and(|until| 20_000.0 < until) || far_command(&saved) {
            saved["until"] = json!("never");
        }
        refused += u32::from(parse_saved(saved).and_then(|saved| Session::load(&saved)).is_err());
    }
    refused
}

fn far_command(saved: &Value) -> bool {
    saved["commands"].as_array().is_some_and(|commands| commands.iter().any(|timed| timed["at"].as_f64().is_some_and(|at| 20_000.0 < at)))
}

fn damaged(chance: &mut Chance, make: fn(&mut Chance) -> Value) -> Value {
    let mut value = make(chance);
    for _ in 0..=chance.below(2) {
        damage(&mut value, chance);
    }
    value
}

fn any_command(chance: &mut Chance) -> Value {
    let commands = [
        json!({ "type": "createTopic", "name": "orders", "partitions": 3, "replicationFactor": 3, "configs": { "min.insync.replicas": "2" } }),
        json!({ "type": "addProducer", "id": "p", "topic": "orders", "recordsPerSecond": 2, "keys": ["a"], "value": "{seq}", "configs": { "acks": "all" } }),
        json!({ "type": "addProducer", "id": "t", "topic": "orders", "recordsPerSecond": 9, "keys": ["a", "b"], "keyDistribution": "zipf", "value": "{int:1..9}{choice:a|b}", "changeDataCapture": true }),
        json!({ "type": "changeRow", "producer": "t", "key": "a", "value": "{}" }),
        json!({ "type": "changeRow", "producer": (*["t", "web-shop"].get(chance.below(2) as usize).unwrap_or(&"")), "key": "a", "value": null }),
        json!({ "type": "removeProducer", "id": "web-shop" }),
        json!({ "type": "flush", "producer": "web-shop" }),
        json!({ "type": "addProcessor", "id": "copier", "group": "g", "topics": ["user-events"], "topic": "copies", "value": "{value}", "configs": { "transactional.id": "t" } }),
        json!({ "type": "beginTransaction", "producer": "web-shop" }),
        json!({ "type": "commitTransaction", "producer": "p" }),
        json!({ "type": "abortTransaction", "producer": "p" }),
        json!({ "type": "sendOffsetsToTransaction", "producer": "p", "consumer": "analytics-1" }),
        json!({ "type": "deleteRecords", "topic": "user-events", "partition": chance.below(4), "beforeOffset": chance.below(40) as i64 - 1 }),
        json!({ "type": "electLeader", "topic": "user-events", "partition": chance.below(4), "unclean": chance.below(2) == 0 }),
        json!({ "type": "deleteTopic", "name": "user-events" }),
        json!({ "type": "reassign", "topic": "user-events", "partition": chance.below(4), "replicas": [chance.below(4), chance.below(4)] }),
        json!({ "type": "reassign", "topic": "user-events", "partition": chance.below(4), "replicas": null }),
        json!({ "type": "alterConfigs", "resource": "broker", "name": (*["", "1", "2", "9"].get(chance.below(4) as usize).unwrap_or(&"")), "set": { "num.io.threads": "12", "log.retention.ms": "9000" } }),
        json!({ "type": "alterConfigs", "resource": "topic", "name": "user-events", "set": { "retention.ms": "5000" }, "delete": ["segment.ms"] }),
        json!({ "type": "alterClientQuotas", "user": (*["<default>", "ANONYMOUS", ""].get(chance.below(3) as usize).unwrap_or(&"")), "clientId": "analytics-1", "set": { "consumer_byte_rate": "700" } }),
        json!({ "type": "alterClientQuotas", "clientId": "web-shop", "set": { "producer_byte_rate": "20", "request_percentage": "0.5" }, "delete": ["controller_mutation_rate"] }),
        json!({ "type": "createPartitions", "topic": "user-events", "partitions": 4 + chance.below(20) }),
        json!({ "type": "send", "topic": "user-events", "key": "k", "value": { "base64": "/w==" }, "headers": [["h", null]], "partition": 1, "timestamp": 5 }),
        json!({ "type": "import", "topic": "user-events", "format": "csv", "text": "a,b\n1,2\n", "keyField": "a" }),
        json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["user-events"], "processingMs": 5, "configs": { "max.poll.records": "3" } }),
        json!({ "type": "addConsumer", "id": "e", "group": "h", "pattern": (*["user-.*", "(", "", "(?!_).*"].get(chance.below(4) as usize).unwrap_or(&"")), "configs": { "group.protocol": (*["classic", "consumer"].get(chance.below(2) as usize).unwrap_or(&"")) } }),
        json!({ "type": "addConsumer", "id": "d", "partitions": [{ "topic": "user-events", "partition": 0 }] }),
        json!({ "type": "addAggregate", "id": "a", "topic": "user-events", "table": "orders", "function": (*["count", "sum", "last"].get(chance.below(3) as usize).unwrap_or(&"")), "field": "n" }),
        json!({ "type": "crashConsumer", "id": (*["analytics-1", "a"].get(chance.below(2) as usize).unwrap_or(&"")) }),
        json!({ "type": "commit", "consumer": "analytics-2", "offsets": [{ "topic": "user-events", "partition": 0, "offset": 3, "metadata": "m" }] }),
        json!({ "type": "seek", "consumer": "analytics-2", "topic": "user-events", "partition": 0, "to": { "timestamp": 0 } }),
        json!({ "type": "resetOffsets", "group": "analytics", "topic": "user-events", "partition": chance.below(4), "to": { "shiftBy": chance.below(9) } }),
        json!({ "type": "resetOffsets", "group": "g", "topic": "user-events", "to": "earliest" }),
        json!({ "type": "moveCoordinator", "group": "analytics", "broker": chance.below(5) }),
        json!({ "type": "crashBroker", "broker": 1 }),
        json!({ "type": "restartBroker", "broker": 1 }),
        json!({ "type": "crashController", "controller": 1 }),
        json!({ "type": "restartController", "controller": 1 }),
        json!({ "type": "setLink", "from": "broker-1", "to": "controller-1", "latencyMs": 2.5, "bytesPerSecond": 100_000, "cut": false }),
        json!({ "type": "setLink", "from": "web-shop", "to": "*", "cut": true }),
        json!({ "type": "setLink", "from": "*", "to": "*", "dropRatio": 0.5, "duplicateRatio": 0.25, "delayRatio": 0.25, "delayMs": 20 }),
        json!({ "type": "powerLoss", "broker": 2 }),
        json!({ "type": "stopBroker", "broker": 3 }),
        json!({ "type": "addBroker", "broker": chance.below(12), "rack": "a" }),
        json!({ "type": "addBroker" }),
        json!({ "type": "removeBroker", "broker": 1 + chance.below(12) }),
        json!({ "type": "freezeBroker", "broker": 3, "ms": 50.5 }),
        json!({ "type": "slowDisk", "broker": 1, "factor": 20.5 }),
        json!({ "type": "skewClock", "broker": 3, "ms": -5_000 }),
        json!({ "type": "messageFault", "message": chance.below(5_000), "action": "drop" }),
        json!({ "type": "messageFault", "message": chance.below(5_000), "action": "duplicate", "delayMs": 5 }),
        json!({ "type": "messageFault", "message": chance.below(5_000), "action": "delay", "delayMs": 50 }),
        json!({ "type": "dropNext", "api": "Fetch", "broker": 2, "what": "response" }),
    ];
    commands[chance.below(commands.len() as u64) as usize].clone()
}

/// Changes one place of a value: another type, another number, another name, or nothing at all there.
fn damage(value: &mut Value, chance: &mut Chance) {
    match value {
        Value::Object(fields) if !fields.is_empty() && chance.below(4) != 0 => {
            let name = fields.keys().nth(chance.below(fields.len() as u64) as usize).cloned().unwrap_or_default();
            match chance.below(4) {
                0 => {
                    fields.remove(&name);
                }
                1 => {
                    fields.insert(format!("{name}x"), Value::Null);
                }
                _ => damage(fields.entry(name).or_insert(Value::Null), chance),
            }
        }
        Value::Array(items) if !items.is_empty() && chance.below(4) != 0 => {
            let index = chance.below(items.len() as u64) as usize;
            damage(&mut items[index], chance);
        }
        other => *other = junk(chance),
    }
}

fn junk(chance: &mut Chance) -> Value {
    match chance.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(i64::MAX),
        4 => json!(u64::MAX),
        5 => json!(1e308),
        6 => json!(0.5),
        7 => json!(""),
        8 => json!("no/good \u{0}\u{1f600}"),
        9 => json!("x".repeat(300)),
        10 => json!([]),
        11 => json!({ "base64": "!!" }),
        12 => Value::Object(Map::new()),
        _ => json!(chance.below(10)),
    }
}
