#![cfg(not(target_arch = "wasm32"))]
//! Every command's JSON form, both ways; and what a value that is none of them is told.

use brokerlab::lesson::front_matter;
use brokerlab::session::command::{Command, Refusal};
use brokerlab::session::fields::FromValue;
use brokerlab::session::{Session, default_scene, parse_command, parse_saved};
use brokerlab::view::MessageQuery;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Each command, bare and with everything that it may have.
fn every_command() -> Vec<Value> {
    vec![
        json!({ "type": "createTopic", "name": "t", "partitions": 3, "replicationFactor": -1 }),
        json!({ "type": "createTopic", "name": "t", "partitions": i32::MAX, "replicationFactor": i16::MIN, "configs": { "min.insync.replicas": "2" } }),
        json!({ "type": "deleteTopic", "name": "t" }),
        json!({ "type": "alterConfigs", "resource": "topic", "name": "t" }),
        json!({ "type": "alterConfigs", "resource": "broker", "name": "1", "set": { "a": "b" }, "delete": ["c"] }),
        json!({ "type": "alterConfigs", "resource": "group", "name": "g", "delete": ["c", "d"] }),
        json!({ "type": "alterClientQuotas" }),
        json!({ "type": "alterClientQuotas", "user": "<default>", "clientId": "app", "set": { "producer_byte_rate": "1024" }, "delete": ["consumer_byte_rate"] }),
        json!({ "type": "createPartitions", "topic": "t", "partitions": i32::MIN }),
        json!({ "type": "deleteRecords", "topic": "t", "partition": i32::MIN, "beforeOffset": i64::MAX }),
        json!({ "type": "electLeader", "topic": "t", "partition": 0 }),
        json!({ "type": "electLeader", "topic": "t", "partition": i32::MAX, "unclean": true }),
        json!({ "type": "reassign", "topic": "t", "partition": 0, "replicas": null }),
        json!({ "type": "reassign", "topic": "t", "partition": 1, "replicas": [3, 1, -1] }),
        json!({ "type": "addProducer", "id": "p", "topic": "t" }),
        json!({ "type": "addProducer", "id": "p", "topic": "t", "recordsPerSecond": 2.5, "keys": ["a", "b"], "value": "{seq}", "configs": { "acks": "all" } }),
        json!({ "type": "addProducer", "id": "p", "topic": "t", "keys": ["a"], "keyDistribution": "zipf", "changeDataCapture": true }),
        json!({ "type": "changeRow", "producer": "p", "key": "k", "value": "{}" }),
        json!({ "type": "changeRow", "producer": "p", "key": { "base64": "/w==" }, "value": null }),
        json!({ "type": "removeProducer", "id": "p" }),
        json!({ "type": "send", "topic": "t", "key": null, "value": null }),
        json!({ "type": "send", "producer": "p", "topic": "t", "key": "k\u{e9}", "value": { "base64": "/w==" },
            "headers": [["h", null], ["i", "v"], ["i", { "base64": "/v8=" }]], "partition": 1, "timestamp": i64::MAX }),
        json!({ "type": "import", "topic": "t", "format": "jsonl", "text": "" }),
        json!({ "type": "import", "topic": "t", "format": "csv", "text": "a,b\n1,2\n", "keyField": "a" }),
        json!({ "type": "addConsumer", "id": "c" }),
        json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": [], "partitions": [], "processingMs": 0.0, "configs": { "max.poll.records": "3" } }),
        json!({ "type": "addConsumer", "id": "c", "topics": ["t", "u"], "partitions": [{ "topic": "t", "partition": 0 }] }),
        json!({ "type": "addConsumer", "id": "c", "group": "g", "pattern": "t.*" }),
        json!({ "type": "addProcessor", "id": "c", "group": "g", "topics": ["t", "u"], "topic": "v" }),
        json!({ "type": "addProcessor", "id": "c", "group": "g", "topics": [], "topic": "v", "value": "{key}", "processingMs": 0.0, "configs": { "max.poll.records": "3" } }),
        json!({ "type": "addAggregate", "id": "a", "topic": "t", "table": "u", "function": "count" }),
        json!({ "type": "addAggregate", "id": "a", "topic": "t", "table": "u", "function": "sum", "field": "f", "configs": { "max.poll.records": "3" } }),
        json!({ "type": "removeConsumer", "id": "c" }),
        json!({ "type": "crashConsumer", "id": "c" }),
        json!({ "type": "pauseConsumer", "id": "c" }),
        json!({ "type": "resumeConsumer", "id": "c" }),
        json!({ "type": "commit", "consumer": "c" }),
        json!({ "type": "commit", "consumer": "c", "offsets": [] }),
        json!({ "type": "commit", "consumer": "c", "offsets": [{ "topic": "t", "partition": 0, "offset": i64::MIN },
            { "topic": "t", "partition": 1, "offset": 3, "metadata": "" }] }),
        json!({ "type": "seek", "consumer": "c", "topic": "t", "partition": 0, "to": 7 }),
        json!({ "type": "seek", "consumer": "c", "topic": "t", "partition": 0, "to": "beginning" }),
        json!({ "type": "seek", "consumer": "c", "topic": "t", "partition": 0, "to": "end" }),
        json!({ "type": "seek", "consumer": "c", "topic": "t", "partition": 0, "to": { "timestamp": 5 } }),
        json!({ "type": "flush", "producer": "p" }),
        json!({ "type": "beginTransaction", "producer": "p" }),
        json!({ "type": "commitTransaction", "producer": "p" }),
        json!({ "type": "abortTransaction", "producer": "p" }),
        json!({ "type": "sendOffsetsToTransaction", "producer": "p", "consumer": "c" }),
        json!({ "type": "resetOffsets", "group": "g", "topic": "t", "to": "earliest" }),
        json!({ "type": "resetOffsets", "group": "g", "topic": "t", "partition": i32::MAX, "to": "latest" }),
        json!({ "type": "resetOffsets", "group": "g", "topic": "t", "to": { "offset": i64::MIN } }),
        json!({ "type": "resetOffsets", "group": "g", "topic": "t", "to": { "shiftBy": i64::MAX } }),
        json!({ "type": "resetOffsets", "group": "g", "topic": "t", "to": { "timestamp": -1 } }),
        json!({ "type": "moveCoordinator", "group": "g", "broker": 1 }),
        json!({ "type": "moveCoordinator", "transactionalId": "t", "broker": i32::MIN }),
        json!({ "type": "crashBroker", "broker": i32::MIN }),
        json!({ "type": "restartBroker", "broker": 1 }),
        json!({ "type": "crashController", "controller": 1 }),
        json!({ "type": "restartController", "controller": i32::MAX }),
        json!({ "type": "powerLoss", "broker": 1 }),
        json!({ "type": "stopBroker", "broker": 1 }),
        json!({ "type": "removeBroker", "broker": 1 }),
        json!({ "type": "addBroker" }),
        json!({ "type": "addBroker", "broker": 7, "rack": "a" }),
        json!({ "type": "freezeBroker", "broker": 1, "ms": 0.5 }),
        json!({ "type": "slowDisk", "broker": 1, "factor": 2.5 }),
        json!({ "type": "skewClock", "broker": 1, "ms": i64::MIN }),
        json!({ "type": "setLink", "from": "*", "to": "broker-1" }),
        json!({ "type": "setLink", "from": "*", "to": "broker-1", "latencyMs": 2.5, "bytesPerSecond": u64::MAX, "cut": true }),
        json!({ "type": "setLink", "from": "*", "to": "*", "dropRatio": 0.25, "duplicateRatio": 0.5, "delayRatio": 0.125, "delayMs": 7.5 }),
        json!({ "type": "messageFault", "message": u64::MAX, "action": "drop" }),
        json!({ "type": "messageFault", "message": 0, "action": "delay", "delayMs": 0.5 }),
        json!({ "type": "messageFault", "message": 0, "action": "duplicate" }),
        json!({ "type": "dropNext", "api": "Produce" }),
        json!({ "type": "dropNext", "api": "Produce", "broker": 1, "what": "request" }),
        json!({ "type": "dropNext", "api": "Produce", "broker": 1, "what": "response" }),
    ]
}

fn refused(command: Value) -> String {
    said(parse_command(command).expect_err("it is refused"))
}

fn said(refusal: Refusal) -> String {
    format!("{} {}: {}", refusal.code, refusal.field.unwrap_or_default(), refusal.message)
}

#[test]
fn every_command_is_read_and_written_the_same() {
    for json in every_command() {
        let command = parse_command(json.clone()).unwrap_or_else(|refusal| panic!("{json}: {refusal}"));
        assert_eq!(command.to_value(), json);
        assert_eq!(command.name(), json["type"]);
        assert_eq!(serde_json::to_string(&command).expect("JSON"), json.to_string());
    }
}

#[test]
fn the_types_for_scripts_name_every_command_and_field() {
    let types = include_str!("../www/brokerlab.d.ts");
    let (_, union) = types.split_once("type BrokerlabCommand =").expect("the commands' types");
    let union = union.split_once("};\n").map_or(union, |(commands, _)| commands);
    let mut told: BTreeMap<&str, &str> = BTreeMap::new();
    for line in union.lines().filter(|line| line.trim_start().starts_with("| {")) {
        let (_, rest) = line.split_once("type: ").expect("a type");
        let (names, fields) = rest.split_once(';').expect("fields");
        told.extend(names.split('"').skip(1).step_by(2).map(|name| (name, fields)));
    }
    let all = every_command();
    let known: BTreeSet<&str> = all.iter().filter_map(|command| command["type"].as_str()).collect();
    assert_eq!(told.keys().copied().collect::<BTreeSet<&str>>(), known);
    for command in &all {
        let kind = command["type"].as_str().expect("a type");
        for field in command.as_object().expect("an object").keys().filter(|field| *field != "type") {
            let is_told = [": ", "?: "].iter().any(|colon| told[kind].contains(&format!(" {field}{colon}")));
            assert!(is_told, "{kind}.{field}");
        }
    }
}

#[test]
fn what_may_be_absent_may_be_null_and_nothing_else_may() {
    let may = [
        "recordsPerSecond",
        "value",
        "producer",
        "key",
        "partition",
        "timestamp",
        "keyField",
        "group",
        "topics",
        "processingMs",
        "latencyMs",
        "bytesPerSecond",
        "cut",
        "delayMs",
        "dropRatio",
        "duplicateRatio",
        "delayRatio",
        "what",
        "unclean",
        "rack",
        "replicas",
        "transactionalId",
        "pattern",
        "keyDistribution",
        "changeDataCapture",
        "user",
        "clientId",
        "field",
    ];
    let may_in_one = [("addConsumer", "partitions"), ("commit", "offsets"), ("dropNext", "broker"), ("addBroker", "broker")];
    for json in every_command() {
        let kind = json["type"].as_str().expect("a type");
        for name in json.as_object().expect("an object").keys().filter(|name| *name != "type") {
            let mut other = json.clone();
            other[name] = Value::Null;
            // A partition and a topic are asked for by other commands.
            let required = matches!(
                (kind, name.as_str()),
                ("seek" | "electLeader" | "reassign" | "deleteRecords", "partition")
                    | ("resetOffsets" | "addProcessor", "group")
                    | ("addProcessor", "topics")
                    | ("changeRow", "producer" | "key")
                    | ("flush" | "beginTransaction" | "commitTransaction" | "abortTransaction" | "sendOffsetsToTransaction", "producer")
            );
            let optional = !required && (may.contains(&name.as_str()) || may_in_one.contains(&(kind, name)));
            assert_eq!(parse_command(other.clone()).is_ok(), optional, "{other}");
            let absent = json.as_object().expect("an object").clone().into_iter().filter(|(one, _)| one != name).collect();
            // What is not there is said where it means something.
            let optional = optional && !matches!((kind, name.as_str()), ("send", "value") | ("reassign", "replicas"));
            let optional = optional || ["configs", "keys", "headers", "set", "delete"].contains(&name.as_str());
            assert_eq!(parse_command(Value::Object(absent)).is_ok(), optional, "{json} without {name}");
        }
    }
}

#[test]
fn numbers_are_read_within_their_type_s_range() {
    let broker = |broker: Value| parse_command(json!({ "type": "crashBroker", "broker": broker }));
    for good in [json!(0), json!(i32::MAX), json!(i32::MIN)] {
        assert!(broker(good.clone()).is_ok(), "{good}");
    }
    assert_eq!(broker(json!(3.0)), broker(json!(3)), "JSON and scripts know one kind of number");
    for bad in [json!(2_147_483_648_i64), json!(-2_147_483_649_i64), json!(3.5), json!(1e300), json!(u64::MAX), json!("1"), json!(true)] {
        let shown = if bad == json!(1e300) { "a number beyond 2^53".to_owned() } else { bad.to_string() };
        let sentence = format!("must be a whole number from -2147483648 to 2147483647, not {shown}.");
        assert_eq!(refused(json!({ "type": "crashBroker", "broker": bad })), format!("INVALID_ARGUMENT broker: `broker` {sentence}"));
    }
    let rate = |rate: Value| parse_command(json!({ "type": "addProducer", "id": "p", "topic": "t", "recordsPerSecond": rate }));
    assert_eq!(rate(json!(2)), rate(json!(2.0)));
    let Ok(Command::AddProducer { records_per_second, .. }) = rate(json!(u64::MAX)) else { panic!("a number") };
    assert_eq!(records_per_second, Some(u64::MAX as f64));
    let seek = |to: Value| parse_command(json!({ "type": "seek", "consumer": "c", "topic": "t", "partition": 0, "to": to }));
    assert!(seek(json!(i64::MAX)).is_ok() && seek(json!(i64::MIN)).is_ok() && seek(json!(i64::MAX as u64 + 1)).is_err());
}

#[test]
fn the_last_of_two_equal_fields_counts() {
    let text = r#"{ "type": "crashBroker", "broker": "x", "type": "restartBroker", "broker": 2 }"#;
    assert_eq!(parse_command(serde_json::from_str(text).expect("JSON")), Ok(Command::RestartBroker { broker: 2 }));
}

#[test]
fn a_refusal_is_a_sentence_with_the_path_of_the_field() {
    let long = "x".repeat(1_000);
    let send = |name: &str, value: Value| json!({ "type": "send", "topic": "t", name: value });
    for (command, expected) in [
        (json!(7), "type: A command is an object with a type."),
        (json!({}), "type: A command has a type."),
        (json!({ "type": 1 }), "type: A command's type is a string."),
        (json!({ "type": "make\ttea" }), "type: There is no command \"make\\ttea\"."),
        (
            json!({ "type": "createTopic", "name": "t", "partitions": "x", "replicationFactor": 1 }),
            "partitions: `partitions` must be a whole number from -2147483648 to 2147483647, not \"x\".",
        ),
        (json!({ "type": "createTopic", "name": "t", "partitions": 1 }), "replicationFactor: `replicationFactor` is missing."),
        (
            json!({ "type": "createTopic", "name": "t", "partitions": 1, "replication": 1 }),
            "replication: A createTopic command has no field `replication`.",
        ),
        (json!({ "type": "addConsumer", "id": "c", "": 1 }), ": An addConsumer command has no field ``."),
        (
            json!({ "type": "addConsumer", "id": "c", "partitions": [{ "topic": "t", "partition": 0 }, { "topic": "t" }] }),
            "partitions[1].partition: `partitions[1].partition` is missing.",
        ),
        (
            json!({ "type": "addConsumer", "id": "c", "partitions": [["t", 0]] }),
            "partitions[0]: `partitions[0]` must be an object, not a list.",
        ),
        (
            json!({ "type": "addConsumer", "id": "c", "partitions": [{ "topic": "t", "partition": 0, "offset": 1 }] }),
            "partitions[0].offset: A partition has no field `offset`.",
        ),
        (json!({ "type": "addConsumer", "id": "c", "topics": "t" }), "topics: `topics` must be a list, not \"t\"."),
        (json!({ "type": "addConsumer", "id": "c", "processingMs": "1" }), "processingMs: `processingMs` must be a number, not \"1\"."),
        (
            json!({ "type": "addConsumer", "id": "c", "configs": { "fetch.min.bytes": 1 } }),
            "configs.fetch.min.bytes: `configs.fetch.min.bytes` must be a string, not 1.",
        ),
        (send("value", json!(5)), "value: `value` must be a string or {\"base64\": \"...\"}, not 5."),
        (send("value", json!({ "base64": "!" })), "value.base64: `value.base64` must be base64, not \"!\"."),
        (send("value", json!({})), "value.base64: `value.base64` is missing."),
        (send("headers", json!([["a"]])), "headers[0]: `headers[0]` must be a name and a value, not 1 elements."),
        (
            send("headers", json!([["a", "b"], ["a", 1]])),
            "headers[1][1]: `headers[1][1]` must be a string or {\"base64\": \"...\"}, not 1.",
        ),
        (send("producer", json!(["p"])), "producer: `producer` must be a string, not a list."),
        (
            json!({ "type": "import", "topic": "t", "format": "xml", "text": "", "keyField": "k" }),
            "format: `format` must be \"jsonl\" or \"csv\", not \"xml\".",
        ),
        (
            json!({ "type": "seek", "consumer": "c", "topic": "t", "partition": 0, "to": "start" }),
            "to: `to` must be an offset, \"beginning\", \"end\" or {\"timestamp\": ...}, not \"start\".",
        ),
        (
            json!({ "type": "seek", "consumer": "c", "topic": "t", "partition": 0, "to": { "timestamp": 0.5 } }),
            "to.timestamp: `to.timestamp` must be a whole number from -9223372036854775808 to 9223372036854775807, not 0.5.",
        ),
        (
            json!({ "type": "crashBroker", "broker": long }),
            &format!("broker: `broker` must be a whole number from -2147483648 to 2147483647, not \"{}…\".", "x".repeat(40)),
        ),
    ] {
        assert_eq!(refused(command), format!("INVALID_ARGUMENT {expected}"));
    }
}

#[test]
fn a_saved_session_is_read_and_written_the_same() {
    let mut saved = Session::load(&default_scene()).expect("the scene").save();
    saved.seed = u64::MAX;
    saved.cluster.racks = Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
    saved.cluster.controllers = Some(u32::MAX);
    saved.cluster.start_timestamp = Some(i64::MIN);
    saved.cluster.configs.insert("num.partitions".to_owned(), "3".to_owned());
    let json = serde_json::to_value(&saved).expect("JSON");
    assert_eq!(parse_saved(json).as_ref(), Ok(&saved));
    saved.cluster.racks = None;
    let text = serde_json::to_string(&saved).expect("JSON");
    assert!(text.starts_with(r#"{"format":"brokerlab","version":1,"seed":18446744073709551615,"cluster":{"#), "{text:.100}");
    assert_eq!(parse_saved(serde_json::from_str(&text).expect("JSON")), Ok(saved));
}

#[test]
fn a_refused_saved_session_names_the_place() {
    let good = serde_json::to_value(default_scene()).expect("JSON");
    let at = |place: &str, value: Value| {
        let mut saved = good.clone();
        *saved.pointer_mut(place).expect("a place") = value;
        said(parse_saved(saved).expect_err("it is refused"))
    };
    for (place, value, expected) in [
        ("", json!([]), "INVALID_ARGUMENT format: A saved session is an object."),
        ("/format", json!("x"), "INVALID_ARGUMENT format: A saved session has the format \"brokerlab\"."),
        ("/version", json!(2), "UNSUPPORTED_VERSION version: Saved sessions of version 1 are read."),
        ("/commands", json!({}), "INVALID_ARGUMENT commands: `commands` must be a list, not an object."),
        ("/commands", json!(vec![0; 1_000_001]), "INVALID_ARGUMENT commands: A session has at most 1000000 commands."),
        ("/commands/3", json!(1), "INVALID_ARGUMENT commands[3]: `commands[3]` must be an object, not 1."),
        ("/commands/3/at", json!("1"), "INVALID_ARGUMENT commands[3].at: `commands[3].at` must be a number, not \"1\"."),
        (
            "/commands/3/command/topics/0",
            json!(null),
            "INVALID_ARGUMENT commands[3].command.topics[0]: `commands[3].command.topics[0]` must be a string, not null.",
        ),
        (
            "/commands/3/command/type",
            json!("beginTransaction"),
            "INVALID_ARGUMENT commands[3].command.configs: A beginTransaction command has no field `configs`.",
        ),
        (
            "/commands/0",
            json!({ "at": 1, "command": { "type": "crashBroker", "broker": 1 }, "extra": 1 }),
            "INVALID_ARGUMENT commands[0].extra: A timed command has no field `extra`.",
        ),
        ("/commands/0", json!({ "at": 1 }), "INVALID_ARGUMENT commands[0].command: `commands[0].command` is missing."),
        ("/cluster", json!({ "broker": 3 }), "INVALID_ARGUMENT cluster.broker: A cluster has no field `broker`."),
        (
            "/cluster/brokers",
            json!(-1),
            "INVALID_ARGUMENT cluster.brokers: `cluster.brokers` must be a whole number from 0 to 4294967295, not -1.",
        ),
        ("/seed", json!(-1), "INVALID_ARGUMENT seed: `seed` must be a whole number from 0 to 18446744073709551615, not -1."),
        ("/until", json!(null), "INVALID_ARGUMENT until: `until` must be a number, not null."),
    ] {
        assert_eq!(at(place, value), expected);
    }
}

#[test]
fn a_query_for_messages_names_its_wrong_field() {
    let refused = |query: Value| said(MessageQuery::from_value(query).expect_err("it is refused").into());
    assert!(
        MessageQuery::from_value(json!({ "topic": "t", "partition": 0, "offset": null, "max": 1, "isolation": "read_committed" })).is_ok()
    );
    for (query, expected) in [
        (json!(null), "value: `value` must be an object, not null."),
        (json!({ "topic": "t" }), "partition: `partition` is missing."),
        (json!({ "topic": "t", "partition": 0, "from": 1 }), "from: A query for messages has no field `from`."),
        (
            json!({ "topic": "t", "partition": 0, "isolation": "dirty" }),
            "isolation: `isolation` must be \"read_uncommitted\" or \"read_committed\", not \"dirty\".",
        ),
    ] {
        assert_eq!(refused(query), format!("INVALID_ARGUMENT {expected}"));
    }
}

#[test]
fn a_slip_in_a_level_s_file_names_the_place() {
    let level = include_str!("../www/lessons/02-offsets.md");
    let slip = |right: &str, wrong: &str| {
        assert!(level.contains(right), "{right}");
        front_matter::parse(&level.replacen(right, wrong, 1), |text| serde_json::from_str(text).map_err(|error| error.to_string()))
            .expect_err("a slip")
    };
    assert_eq!(slip("\"par\": 4", "\"par\": 4, \"parr\": 4"), "parr: A level has no field `parr`.");
    assert_eq!(
        slip("\">= 4\"", "\"> 4\""),
        "goals[2].when.count: `goals[2].when.count` must be an amount (\">= 3\", \"<= 3\" or \"= 3\"), not \"> 4\"."
    );
    assert_eq!(slip("\"type\": \"committed\"", "\"type\": \"commited\""), "goals[0].when.type: There is no condition \"commited\".");
    assert_eq!(
        slip("\"billing-1\", \"group\"", "1, \"group\""),
        "start.commands[4].command.id: `start.commands[4].command.id` must be a string, not 1."
    );
}
