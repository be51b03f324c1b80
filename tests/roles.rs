#![cfg(not(target_arch = "wasm32"))]
//! What applications do: generate records, capture a table's changes, send many services' logs into one topic, keep tables of what they read.

mod cluster;

use cluster::Cluster;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Key and value of every record of a topic, partition by partition.
fn records(cluster: &Cluster, topic: &str) -> Vec<Vec<(String, Option<String>)>> {
    let count = cluster.view().topics.into_iter().find(|known| known.name == topic).expect("the topic").partitions.len();
    let of = |partition: usize| {
        let query = brokerlab::view::MessageQuery {
            topic: topic.to_owned(),
            partition: partition as i32,
            offset: None,
            max: None,
            isolation: None,
        };
        let messages = brokerlab::view::messages(&cluster.session, &query).expect("the partition");
        let record = |message: brokerlab::view::MessageView| {
            (message.key.map(|key| key.to_string()).unwrap_or_default(), message.value.map(|value| value.to_string()))
        };
        messages.into_iter().map(record).collect()
    };
    (0..count).map(of).collect()
}

#[test]
fn a_generator_fills_its_template_and_sends_hot_keys_more_often() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    let template = r#"{"n":{seq},"at":{time},"from":"{client}","who":"{key}","amount":{float:1.00..2.50},"items":{int:1..3},"kind":"{choice:new|old}"}"#;
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 100, "keys": ["a", "b", "c"], "keyDistribution": "zipf", "value": template }));
    cluster.advance(20_000.0);
    let mut counts = BTreeMap::new();
    for (key, value) in records(&cluster, "orders").concat() {
        let value: Value = serde_json::from_str(&value.expect("a value")).expect("JSON");
        assert_eq!((&value["who"], &value["from"]), (&json!(key), &json!("shop")));
        // Record n is made n hundredths of a second after the first, which comes within the first interval. The session begins with 2026.
        let since_second_one_and_a_half = value["at"].as_i64().expect("a time") - 1_767_225_600_000 - 1_500;
        let due = value["n"].as_i64().expect("a number") * 10;
        assert!((due..=due + 11).contains(&since_second_one_and_a_half), "{value}");
        assert!((1.0..=2.5).contains(&value["amount"].as_f64().expect("a number")));
        assert!((1..=3).contains(&value["items"].as_i64().expect("a number")));
        assert!(["new", "old"].map(Value::from).contains(&value["kind"]));
        *counts.entry(key).or_insert(0) += 1;
    }
    let (a, b, c) = (counts["a"], counts["b"], counts["c"]);
    assert!((1_950..=2_000).contains(&(a + b + c)), "{counts:?}");
    // 6 : 3 : 2 of eleven.
    assert!(a > 1_000 && (450..650).contains(&b) && (280..450).contains(&c), "{counts:?}");
}

#[test]
fn keys_in_turn_share_the_records_exactly() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 50, "keys": ["a", "b", "c"], "keyDistribution": "roundRobin", "value": "{seq}" }));
    cluster.advance(5_000.0);
    let made = records(&cluster, "orders").concat();
    assert!(200 < made.len());
    for ((key, _), expected) in made.iter().zip(["a", "b", "c"].iter().cycle()) {
        assert_eq!(key, expected);
    }
}

#[test]
fn what_a_generator_cannot_do_is_refused_by_the_field_that_says_so() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let refused = |cluster: &mut Cluster, field: &str, value: Value| {
        let mut command = json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 1 });
        command[field] = value;
        let refusal = cluster.refused(command);
        assert_eq!(refusal.field.as_deref(), Some(field));
        refusal.message
    };
    assert_eq!(
        refused(&mut cluster, "value", json!("{\"n\":{int:9..1}}")),
        "`{int:9..1}` names no range of numbers, smaller one first, as {int:1..100} does."
    );
    assert_eq!(
        refused(&mut cluster, "keyDistribution", json!("normal")),
        "`keyDistribution` must be \"uniform\", \"roundRobin\" or \"zipf\", not \"normal\"."
    );
    let refusal =
        cluster.refused(json!({ "type": "addProducer", "id": "t", "topic": "orders", "recordsPerSecond": 1, "changeDataCapture": true }));
    assert_eq!(
        (refusal.field.as_deref(), refusal.message.as_str()),
        (Some("keys"), "A table needs keys: each is the primary key of a row.")
    );
    assert!(cluster.view().producers.is_empty());
}

#[test]
fn changes_of_rows_become_records_and_a_deleted_row_a_tombstone() {
    let mut cluster = Cluster::of_brokers(3).topic("customers", 1, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "database", "topic": "customers", "changeDataCapture": true }));
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "customers" }));
    let change = |key: &str, value: Value| json!({ "type": "changeRow", "producer": "database", "key": key, "value": value });
    for (key, value) in
        [("ann", json!("{\"city\":\"Oslo\"}")), ("ben", json!("no JSON")), ("ann", json!("{\"city\":\"Bergen\"}")), ("ann", Value::Null)]
    {
        cluster.apply(change(key, value));
        cluster.advance(500.0);
    }
    let at = |ms: i64| 1_767_225_600_000 + 1_500 + ms;
    let record = |key: &str, value: Option<String>| (key.to_owned(), value);
    let expected = [
        record("ann", Some(format!(r#"{{"before":null,"after":{{"city":"Oslo"}},"op":"c","ts_ms":{}}}"#, at(0)))),
        record("ben", Some(format!(r#"{{"before":null,"after":"no JSON","op":"c","ts_ms":{}}}"#, at(500)))),
        record("ann", Some(format!(r#"{{"before":{{"city":"Oslo"}},"after":{{"city":"Bergen"}},"op":"u","ts_ms":{}}}"#, at(1_000)))),
        record("ann", Some(format!(r#"{{"before":{{"city":"Bergen"}},"after":null,"op":"d","ts_ms":{}}}"#, at(1_500)))),
        record("ann", None),
    ];
    assert_eq!(records(&cluster, "customers").concat(), expected);

    let refusal = cluster.refused(change("ann", Value::Null));
    assert_eq!((refusal.field.as_deref(), refusal.message.as_str()), (Some("key"), "There is no row with this key to delete."));
    let refusal = cluster.refused(json!({ "type": "changeRow", "producer": "shop", "key": "ann", "value": "{}" }));
    assert_eq!(refusal.message, "Producer shop captures no table: it was added without changeDataCapture.");
    assert_eq!(
        cluster.refused(json!({ "type": "changeRow", "producer": "nobody", "key": "a", "value": null })).field.as_deref(),
        Some("producer")
    );
}

#[test]
fn a_table_that_lives_by_itself_tells_every_change_in_order_also_over_a_crash() {
    let mut cluster = Cluster::of_brokers(3).topic("customers", 3, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "database", "topic": "customers", "recordsPerSecond": 40, "changeDataCapture": true,
        "keys": ["a", "b", "c", "d", "e"], "value": "{\"visits\":{int:0..9}}", "configs": { "buffer.memory": "2000", "batch.size": "500", "max.block.ms": "600000" } }));
    cluster.advance(5_000.0);
    // Its leader dies: what happens to the table meanwhile fills the buffer, and then nothing happens to it.
    let leader = cluster.leader("customers", 0);
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(60_000.0);
    let (mut ops, mut tombstones) = (BTreeMap::new(), 0);
    for partition in records(&cluster, "customers") {
        let mut rows: BTreeMap<String, Value> = BTreeMap::new();
        let mut deleted = None;
        for (key, value) in partition {
            let Some(value) = value else {
                assert_eq!(deleted.take(), Some(key), "a tombstone stands behind its delete");
                tombstones += 1;
                continue;
            };
            assert_eq!(deleted, None, "a delete is followed by its tombstone");
            let change: Value = serde_json::from_str(&value).expect("JSON");
            let before = rows.remove(&key).unwrap_or(Value::Null);
            assert_eq!(change["before"], before, "{key}: {change}");
            let op = match (before.is_null(), change["after"].is_null()) {
                (true, false) => "c",
                (false, false) => "u",
                _ => "d",
            };
            assert_eq!(change["op"], op);
            if op == "d" {
                deleted = Some(key);
            } else {
                rows.insert(key, change["after"].clone());
            }
            *ops.entry(op).or_insert(0) += 1;
        }
    }
    assert!(ops["c"] > 20 && ops["u"] > 500 && ops["d"] > 20 && ops["d"] == tombstones, "{ops:?}, {tombstones} tombstones");
    assert_eq!(cluster.view().producers[0].failed, 0);
}

#[test]
fn logs_of_many_services_meet_in_one_topic_each_in_its_own_order() {
    let mut cluster = Cluster::of_brokers(3).topic("logs", 3, 3);
    let services: Vec<String> = (1..=9).map(|number| format!("service-{number}")).collect();
    for service in &services {
        cluster.apply(json!({ "type": "addProducer", "id": service, "topic": "logs", "recordsPerSecond": 5, "keys": [service],
            "value": "{\"service\":\"{client}\",\"level\":\"{choice:INFO|WARN|ERROR}\",\"line\":{seq}}" }));
    }
    cluster.advance(10_000.0);
    let mut lines: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (key, value) in records(&cluster, "logs").concat() {
        let value: Value = serde_json::from_str(&value.expect("a value")).expect("JSON");
        assert_eq!(value["service"], key.as_str());
        lines.entry(key).or_default().push(value["line"].as_i64().expect("a number"));
    }
    assert_eq!(lines.keys().collect::<Vec<_>>(), services.iter().collect::<Vec<_>>());
    for (service, lines) in lines {
        assert_eq!(lines, (1..=lines.len() as i64).collect::<Vec<_>>(), "{service}");
        assert!(40 < lines.len());
    }
}

#[test]
fn a_consumer_prints_what_its_application_is_done_with() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "addConsumer", "id": "quick", "partitions": [{ "topic": "orders", "partition": 0 }], "configs": { "auto.offset.reset": "earliest" } }));
    cluster.apply(json!({ "type": "addConsumer", "id": "slow", "partitions": [{ "topic": "orders", "partition": 0 }], "processingMs": 100, "configs": { "auto.offset.reset": "earliest" } }));
    let printed = |cluster: &Cluster, id: &str| {
        let reader = cluster.view().consumers.into_iter().find(|known| known.id == id).expect("the consumer");
        let line = |line: brokerlab::view::PrintedView| {
            (line.offset, line.key.map(|key| key.to_string()), line.value.map(|value| value.to_string()).unwrap_or_default())
        };
        assert!(reader.printed.iter().all(|line| line.topic == "orders" && line.partition == 0));
        reader.printed.into_iter().map(line).collect::<Vec<_>>()
    };
    let line = |number: i64| (number - 1, Some("k".to_owned()), format!("value {number}"));
    // Compressed, and all of one batch.
    cluster.apply(json!({ "type": "addProducer", "id": "batching", "topic": "orders", "configs": { "compression.type": "gzip", "linger.ms": "100" } }));
    for number in 1..=25 {
        cluster.apply(json!({ "type": "send", "producer": "batching", "topic": "orders", "key": "k", "value": format!("value {number}") }));
    }
    cluster.advance(1_000.0);
    assert_eq!(printed(&cluster, "quick"), (16..=25).map(line).collect::<Vec<_>>());
    let slow = printed(&cluster, "slow");
    let done = cluster.view().consumers.into_iter().find(|known| known.id == "slow").expect("the consumer").consumed as i64;
    assert!((3..10).contains(&done));
    assert_eq!(slow, (1..=done).map(line).collect::<Vec<_>>(), "it has them all and is done with {done}");
    cluster.send("orders", None, "without a key");
    cluster.advance(5_000.0);
    let last = (25, None, "without a key".to_owned());
    for reader in ["quick", "slow"] {
        assert_eq!(printed(&cluster, reader), (17..=25).map(line).chain([last.clone()]).collect::<Vec<_>>());
    }
}

/// The newest value of each key in a topic, as a reader of the table sees it.
fn table(cluster: &Cluster, topic: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for (key, value) in records(cluster, topic).concat() {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
    rows
}

fn aggregate(function: &str, field: Option<&str>) -> Value {
    let mut command = json!({ "type": "addAggregate", "id": "totals", "topic": "orders", "table": "totals", "function": function });
    if field.is_some() {
        command["field"] = json!(field);
    }
    command
}

fn with_table() -> Cluster {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.apply(json!({ "type": "createTopic", "name": "totals", "partitions": 2, "replicationFactor": 3, "configs": { "cleanup.policy": "compact" } }));
    cluster.advance(500.0);
    cluster
}

fn rows(cluster: &Cluster) -> BTreeMap<String, String> {
    let reader = cluster.view().consumers.into_iter().find(|known| known.id == "totals").expect("the aggregate");
    reader.table.expect("a table").into_iter().collect()
}

#[test]
fn an_aggregate_writes_each_change_of_its_table_to_a_topic() {
    let mut cluster = with_table();
    cluster.apply(aggregate("sum", Some("amount")));
    for (key, value) in [
        (Some("ann"), "{\"amount\":2.50}"),
        (Some("ben"), "{\"amount\":1}"),
        (None, "{\"amount\":7}"),
        (Some("ann"), "{\"amount\":-1.25}"),
        (Some("ann"), "no JSON"),
        (Some("cy"), "{\"price\":3}"),
    ] {
        cluster.send("orders", key, value);
    }
    cluster.advance(2_000.0);
    let expected = [("ann", "1.25"), ("ben", "1")].map(|(key, row)| (key.to_owned(), row.to_owned()));
    assert_eq!(rows(&cluster), expected.clone().into());
    assert_eq!(table(&cluster, "totals"), expected.into());
    let ann: Vec<String> =
        records(&cluster, "totals").concat().into_iter().filter(|(key, _)| key == "ann").filter_map(|(_, value)| value).collect();
    assert_eq!(ann, ["2.50", "1.25"], "every change is there");

    // Who is deleted in the source has no row.
    cluster.apply(json!({ "type": "send", "topic": "orders", "key": "ann", "value": null }));
    cluster.advance(1_000.0);
    assert_eq!(table(&cluster, "totals"), [("ben".to_owned(), "1".to_owned())].into());
    assert_eq!(rows(&cluster), table(&cluster, "totals"));
}

#[test]
fn an_aggregate_that_crashes_goes_on_from_its_table_and_counts_each_record_once() {
    let mut cluster = with_table();
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 50, "keys": ["a", "b", "c", "d", "e"], "value": "{seq}" }));
    for _ in 0..4 {
        cluster.apply(aggregate("count", None));
        cluster.advance(3_333.0);
        cluster.apply(json!({ "type": "crashConsumer", "id": "totals" }));
        cluster.advance(700.0);
    }
    cluster.apply(json!({ "type": "removeProducer", "id": "shop" }));
    cluster.advance(2_000.0);
    cluster.apply(aggregate("count", None));
    cluster.advance(3_000.0);
    let counts = counted(&cluster);
    assert_eq!(counts.len(), 5);
    assert_eq!(table(&cluster, "totals"), counts);
    assert_eq!(rows(&cluster), counts);
}

#[test]
fn what_the_source_has_let_go_is_still_in_the_table() {
    let mut cluster = with_table();
    cluster.apply(aggregate("last", Some("city")));
    for (key, city) in [("ann", "Oslo"), ("ben", "Rome")] {
        cluster.send("orders", Some(key), &format!("{{\"city\":\"{city}\"}}"));
    }
    cluster.advance(2_000.0);
    assert_eq!(table(&cluster, "totals").len(), 2);
    cluster.apply(json!({ "type": "removeConsumer", "id": "totals" }));
    cluster.advance(1_000.0);
    for partition in 0..3 {
        cluster.apply(json!({ "type": "deleteRecords", "topic": "orders", "partition": partition, "beforeOffset": -1 }));
    }
    cluster.advance(1_000.0);
    cluster.apply(aggregate("last", Some("city")));
    cluster.send("orders", Some("ben"), "{\"city\":\"Paris\"}");
    cluster.advance(2_000.0);
    assert_eq!(
        table(&cluster, "totals"),
        [("ann", "\"Oslo\""), ("ben", "\"Paris\"")].map(|(key, row)| (key.to_owned(), row.to_owned())).into()
    );
    assert_eq!(rows(&cluster), table(&cluster, "totals"));
}

/// How many records of each key are in the source.
fn counted(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    records(cluster, "orders").concat().into_iter().for_each(|(key, _)| *counts.entry(key).or_default() += 1);
    counts.into_iter().map(|(key, count)| (key, count.to_string())).collect()
}

#[test]
fn a_key_in_several_partitions_is_counted_once_as_well() {
    let mut cluster = with_table();
    cluster.apply(aggregate("count", None));
    for number in 0..9 {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": number % 3, "key": "ann", "value": "v" }));
        cluster.advance(200.0);
    }
    assert_eq!(rows(&cluster), counted(&cluster));
    cluster.apply(json!({ "type": "crashConsumer", "id": "totals" }));
    cluster.apply(aggregate("count", None));
    cluster.send("orders", Some("ann"), "v");
    cluster.advance(3_000.0);
    assert_eq!(counted(&cluster)["ann"], "10");
    assert_eq!(rows(&cluster), counted(&cluster));
    assert_eq!(table(&cluster, "totals"), counted(&cluster));
}

#[test]
fn an_aggregate_reads_partitions_that_its_source_gets_later() {
    let mut cluster = with_table();
    let mut totals = aggregate("count", None);
    totals["configs"] = json!({ "metadata.max.age.ms": "1000" });
    cluster.apply(totals.clone());
    cluster.send("orders", Some("ann"), "v");
    cluster.advance(2_000.0);
    cluster.apply(json!({ "type": "createPartitions", "topic": "orders", "partitions": 5 }));
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders" }));
    cluster.advance(500.0);
    for partition in 0..5 {
        cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "partition": partition, "key": "ann", "value": "v" }));
    }
    cluster.advance(3_000.0);
    assert_eq!(rows(&cluster), [("ann".to_owned(), "6".to_owned())].into());
    // It does not begin anew with those that it had.
    cluster.apply(json!({ "type": "crashConsumer", "id": "totals" }));
    cluster.apply(totals);
    cluster.advance(3_000.0);
    assert_eq!((rows(&cluster), table(&cluster, "totals")), (counted(&cluster), counted(&cluster)));
}

#[test]
fn an_empty_table_is_known_to_be_empty_at_once() {
    let mut cluster = with_table();
    cluster.send("orders", Some("ann"), "v");
    cluster.advance(1_000.0);
    cluster.apply(aggregate("count", None));
    // A fetch that waits for the first record would take 500 ms.
    cluster.advance(250.0);
    assert_eq!(rows(&cluster), counted(&cluster));
}

#[test]
fn an_aggregate_that_is_paused_stays_so_until_it_is_resumed() {
    let mut cluster = with_table();
    cluster.apply(aggregate("count", None));
    cluster.send("orders", Some("ann"), "v");
    cluster.advance(2_000.0);
    cluster.apply(json!({ "type": "pauseConsumer", "id": "totals" }));
    cluster.apply(
        json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 500, "keys": ["a", "b"], "value": "{seq}" }),
    );
    cluster.advance(10_000.0);
    assert_eq!(rows(&cluster), [("ann".to_owned(), "1".to_owned())].into());
    cluster.apply(json!({ "type": "removeProducer", "id": "shop" }));
    cluster.apply(json!({ "type": "resumeConsumer", "id": "totals" }));
    cluster.advance(10_000.0);
    assert!(counted(&cluster).len() == 3 && rows(&cluster) == counted(&cluster), "{:?}", rows(&cluster));
}

#[test]
fn a_number_that_the_table_holds_may_be_the_largest() {
    let mut cluster = with_table();
    cluster.send("totals", Some("ann"), &u64::MAX.to_string());
    cluster.send("totals", Some("ben"), "no number");
    cluster.advance(1_000.0);
    cluster.apply(aggregate("count", None));
    cluster.advance(2_000.0);
    for key in ["ann", "ben"] {
        cluster.send("orders", Some(key), "v");
    }
    cluster.advance(2_000.0);
    assert_eq!(rows(&cluster), [("ann".to_owned(), u64::MAX.to_string()), ("ben".to_owned(), "1".to_owned())].into());
}

/// Event sourcing: an account is what its events say. Whoever comes late, and whoever has lost everything, reads them from the beginning and knows the
/// same.
#[test]
fn the_state_of_accounts_is_rebuilt_from_their_events() {
    let mut cluster = with_table();
    cluster.apply(json!({ "type": "createTopic", "name": "rebuilt", "partitions": 1, "replicationFactor": 3, "configs": { "cleanup.policy": "compact" } }));
    cluster.apply(aggregate("sum", Some("amount")));
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    for number in 0..40_i64 {
        let (account, amount) = (format!("account-{}", number % 4), (number * 37) % 100 - 30);
        *balances.entry(account.clone()).or_default() += amount;
        let kind = if amount < 0 { "withdrawn" } else { "deposited" };
        cluster.send("orders", Some(&account), &format!("{{\"event\":\"{kind}\",\"amount\":{amount}}}"));
        cluster.advance(20.0);
        if number == 20 {
            cluster.apply(json!({ "type": "crashConsumer", "id": "totals" }));
        }
    }
    cluster.advance(2_000.0);
    let balances: BTreeMap<String, String> = balances.into_iter().map(|(account, balance)| (account, balance.to_string())).collect();
    assert_ne!(table(&cluster, "totals"), balances, "it has crashed on the way");
    cluster.apply(aggregate("sum", Some("amount")));
    let mut late = aggregate("sum", Some("amount"));
    (late["id"], late["table"]) = (json!("late"), json!("rebuilt"));
    cluster.apply(late);
    cluster.advance(3_000.0);
    assert_eq!(table(&cluster, "totals"), balances);
    assert_eq!(table(&cluster, "rebuilt"), balances);
}

/// CQRS: what is written goes into one topic, and each question has a read model of its own, which follows it.
#[test]
fn each_question_has_its_read_model_and_they_follow_what_is_written() {
    let mut cluster = with_table();
    cluster.apply(json!({ "type": "createTopic", "name": "prices", "partitions": 1, "replicationFactor": 3, "configs": { "cleanup.policy": "compact" } }));
    cluster.apply(aggregate("count", None));
    let mut prices = aggregate("last", Some("price"));
    (prices["id"], prices["table"]) = (json!("prices"), json!("prices"));
    cluster.apply(prices);
    cluster.advance(1_000.0);
    let asked = |cluster: &Cluster, id: &str| {
        let model = cluster.view().consumers.into_iter().find(|known| known.id == id).expect("the read model");
        model.table.expect("a table").get("tea").cloned()
    };
    for (price, sold) in (3..9).zip(1..) {
        cluster.send("orders", Some("tea"), &format!("{{\"price\":{price}}}"));
        assert_ne!(asked(&cluster, "prices"), Some(price.to_string()), "it does not know at once");
        cluster.advance(500.0);
        assert_eq!((asked(&cluster, "totals"), asked(&cluster, "prices")), (Some(sold.to_string()), Some(price.to_string())));
    }
}

#[test]
fn an_aggregate_needs_two_topics_that_are_there() {
    let mut cluster = with_table();
    for (topic, table, code, field) in [
        ("none", "totals", "UNKNOWN_TOPIC_OR_PARTITION", "topic"),
        ("orders", "none", "UNKNOWN_TOPIC_OR_PARTITION", "table"),
        ("orders", "orders", "INVALID_ARGUMENT", "table"),
    ] {
        let refusal =
            cluster.refused(json!({ "type": "addAggregate", "id": "totals", "topic": topic, "table": table, "function": "count" }));
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)));
    }
    assert_eq!(
        cluster
            .refused(json!({ "type": "addAggregate", "id": "totals", "topic": "orders", "table": "totals", "function": "average" }))
            .message,
        "`function` must be \"count\", \"sum\" or \"last\", not \"average\"."
    );
    for name in ["group.id", "group_protocol", "transactional.id"] {
        let mut command = aggregate("count", None);
        command["configs"] = json!({ name: "share" });
        assert_eq!(cluster.refused(command).field, Some(format!("configs.{name}")));
    }
    cluster.apply(aggregate("count", None));
    assert_eq!(cluster.refused(aggregate("count", None)).field.as_deref(), Some("id"));
}
