#![cfg(not(target_arch = "wasm32"))]
//! Settings of clients that the engine does not know or has no use for: the client says so and goes on, as Kafka's do.

mod cluster;

use cluster::Cluster;
use serde_json::{Value, json};

/// What a client warns of as it starts: the sentence and what it is about.
fn warnings(cluster: &mut Cluster, kind: &str, command: Value) -> Vec<(String, Value)> {
    let events = cluster.events_after(|cluster| {
        cluster.apply(command);
    });
    events.into_iter().filter(|event| event.kind == kind).map(|event| (event.text, event.detail)).collect()
}

#[test]
fn settings_that_a_client_does_not_know_are_warned_of() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let producer = json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "lingr.ms": "5", "max_in_flight_requests_per_connection": "1" } });
    let warned = warnings(&mut cluster, "settingUnknown", producer);
    assert_eq!(warned.len(), 1);
    assert!(warned[0].0.ends_with("Do you mean linger.ms?"), "{}", warned[0].0);
    assert_eq!(warned[0].1, json!({ "client": "p", "setting": "lingr.ms", "nearest": "linger.ms" }));
    let shown = &cluster.view().producers[0].configs;
    assert_eq!(shown["max.in.flight.requests.per.connection"], "1");
    assert!(!shown.contains_key("lingr.ms"));

    let consumer = json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "configs": { "colour": "blue" } });
    let warned = warnings(&mut cluster, "settingUnknown", consumer);
    assert_eq!(warned[0].1, json!({ "client": "c", "setting": "colour", "nearest": null }));
    // A known one is checked as ever, and then nothing has happened.
    let wrong = json!({ "type": "addConsumer", "id": "d", "group": "g", "topics": ["orders"], "configs": { "colour": "blue", "max_poll_records": "none" } });
    let before = cluster.session.trace_hash();
    let refusal = cluster.refused(wrong);
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_CONFIG", Some("configs.max_poll_records")));
    assert_eq!(refusal.message, "Invalid value none for configuration max.poll.records: must be a number of type INT");
    assert_eq!(cluster.session.trace_hash(), before);
}

#[test]
fn the_settings_of_the_guide_work_as_they_stand_there() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let configs = json!({
        "bootstrap_servers": ["localhost:9092"], "acks": "all", "retries": 3, "compression_type": "gzip", "batch_size": 16384,
        "linger_ms": 10, "buffer_memory": 33554432, "enable_idempotence": true, "max_in_flight_requests_per_connection": "5",
        "value_serializer": "json", "key_serializer": "utf-8",
    });
    let producer = json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": configs });
    let warned = warnings(&mut cluster, "settingWithoutEffect", producer);
    let settings: Vec<&Value> = warned.iter().map(|(_, detail)| &detail["setting"]).collect();
    assert_eq!(settings, ["bootstrap.servers", "key.serializer", "value.serializer"]);
    assert!(warned[0].0.starts_with("p was given bootstrap.servers, which changes nothing here"), "{}", warned[0].0);
    let configs = json!({
        "bootstrap_servers": "localhost:9092", "group_id": "readers", "auto_offset_reset": "earliest", "enable_auto_commit": "True",
        "auto_commit_interval_ms": "1000", "max_poll_records": "500", "max_poll_interval_ms": "300000", "session_timeout_ms": "10000",
        "fetch_min_bytes": "1", "fetch_max_wait_ms": "500", "value_deserializer": "json", "key_deserializer": "utf-8",
    });
    let consumer = json!({ "type": "addConsumer", "id": "c", "topics": ["orders"], "configs": configs });
    assert_eq!(warnings(&mut cluster, "settingWithoutEffect", consumer).len(), 3);
    cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "key": "k", "value": "{}" }));
    cluster.advance(8_000.0);
    assert_eq!(cluster.committed("readers", "orders", 0), Some(1), "sent, read and committed");
    let server = json!({
        "num.network.threads": "8", "num.io.threads": "16", "socket.send.buffer.bytes": "102400", "socket.receive.buffer.bytes": "102400",
        "socket.request.max.bytes": "104857600", "log.dirs": "/fast/ssd/path", "log.flush.interval.messages": "10000",
        "log.flush.interval.ms": "1000", "min.insync.replicas": "2",
    });
    Cluster::configured(3, server);
}

#[test]
fn what_sets_nothing_here_must_still_be_valid_and_is_not_warned_of_at_its_default() {
    let mut cluster = Cluster::of_brokers(1);
    let of = |value: &str| json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "send.buffer.bytes": value } });
    let refusal = cluster.refused(of("-2"));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_CONFIG", Some("configs.send.buffer.bytes")));
    assert_eq!(warnings(&mut cluster, "settingWithoutEffect", of("131072")), []);
    // What would change what happens, and cannot yet, is refused.
    let other = json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["t"], "configs": { "interceptor.classes": "a.B" } });
    assert_eq!(cluster.refused(other).code, "UNSUPPORTED_VERSION");
}

#[test]
fn settings_of_encryption_and_authentication_are_taken_with_a_warning() {
    let mut cluster = Cluster::of_brokers(1);
    let configs = json!({ "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "ssl.truststore.location": "/etc/trust.jks" });
    let consumer = json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "configs": configs });
    assert_eq!(warnings(&mut cluster, "settingWithoutEffect", consumer).len(), 3);
    let wrong = json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "security.protocol": "CARRIER_PIGEON" } });
    assert_eq!(cluster.refused(wrong).code, "INVALID_CONFIG");
}

#[test]
fn a_group_without_a_coordinator_is_of_the_protocol_that_its_members_speak() {
    for protocol in ["classic", "consumer", "share"] {
        let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
        let configs = json!({ "group.protocol": protocol });
        cluster.apply(json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "configs": configs }));
        assert_eq!(cluster.group("g").protocol, protocol, "before it joins");
        cluster.advance(6_000.0);
        assert_eq!((cluster.group("g").protocol.as_str(), cluster.group("g").state == "Dead"), (protocol, false));
        cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
        cluster.advance(1_000.0);
        assert_eq!((cluster.group("g").protocol.as_str(), cluster.group("g").state.as_str()), (protocol, "Dead"));
    }
}

/// When a client asks a broker for ApiVersions, with which each connection begins.
fn attempts(events: &[brokerlab::view::EventView], client: &str) -> Vec<f64> {
    let asks =
        |event: &&brokerlab::view::EventView| event.kind == "requestSent" && event.node == client && event.text.contains("ApiVersions");
    events.iter().filter(asks).map(|event| event.time).collect()
}

#[test]
fn a_connection_that_is_not_set_up_gets_twice_as_long_each_time() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let configs = json!({
        "socket.connection.setup.timeout.ms": "1000", "socket.connection.setup.timeout.max.ms": "4000", "reconnect.backoff.ms": "0",
        "reconnect.backoff.max.ms": "0",
    });
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": configs }));
        cluster.apply(json!({ "type": "setLink", "from": "broker-1", "to": "reader", "cut": true }));
        cluster.advance(16_000.0);
    });
    let times = attempts(&events, "reader");
    let gaps: Vec<f64> = times.windows(2).map(|pair| ((pair[1] - pair[0]) / 1_000.0).round()).collect();
    assert_eq!(gaps, [1.0, 2.0, 4.0, 4.0, 4.0], "{times:?}");
}

#[test]
fn whoever_does_not_recover_asks_only_brokers_of_which_it_heard_last() {
    for (strategy, asks_the_first) in [("rebootstrap", true), ("NONE", false)] {
        let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
        let configs = json!({ "metadata.recovery.strategy": strategy, "metadata.max.age.ms": "1000" });
        cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": configs }));
        cluster.advance(2_000.0);
        cluster.apply(json!({ "type": "stopBroker", "broker": 1 }));
        cluster.advance(20_000.0);
        cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
        let events = cluster.events_after(|cluster| {
            cluster.advance(3_000.0);
            cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
            cluster.advance(20_000.0);
        });
        let asked = |broker: &str| {
            let asks = |event: &&brokerlab::view::EventView| {
                event.kind == "requestSent" && event.node == "reader" && event.text.contains(&format!("ApiVersions request to {broker}"))
            };
            events.iter().filter(asks).count()
        };
        assert!(0 < asked("broker-2"), "{strategy}");
        assert_eq!(0 < asked("broker-1"), asks_the_first, "{strategy}");
    }
}

#[test]
fn who_has_no_group_commits_nothing_by_itself() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let partitions = json!([{ "topic": "orders", "partition": 0 }]);
    let of = |auto: &str| json!({ "type": "addConsumer", "id": "c", "partitions": partitions, "configs": { "enable.auto.commit": auto } });
    let refusal = cluster.refused(of("true"));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_CONFIG", Some("configs.enable.auto.commit")));
    assert_eq!(refusal.message, "enable.auto.commit cannot be set to true when default group id (null) is used.");
    cluster.apply(of("false"));
    cluster.apply(json!({ "type": "addConsumer", "id": "d", "partitions": partitions }));
}

/// `JoinGroupRequest.validateGroupInstanceId`: the rules are those of a topic's name.
#[test]
fn an_instance_id_is_as_legal_as_a_topic_name() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let of =
        |id: &str| json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "configs": { "group.instance.id": id } });
    let long = "x".repeat(250);
    for id in ["", ".", "..", "a b", "a/b", &long] {
        let refusal = cluster.refused(of(id));
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_CONFIG", Some("configs.group.instance.id")), "{id}");
    }
    cluster.apply(of(&long[1..]));
}
