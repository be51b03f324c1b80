#![cfg(not(target_arch = "wasm32"))]
//! The automation interface to the letter: what a script may say and how, and where it is told that it is wrong.

mod cluster;

use brokerlab::session::command::Refusal;
use brokerlab::session::{Session, parse_saved};
use brokerlab::view::{self, MessageQuery};
use cluster::Cluster;
use serde_json::{Value, json};

fn saved(configs: Value, commands: Value, until: f64) -> Value {
    json!({ "format": "brokerlab", "version": 1, "seed": 7, "cluster": { "brokers": 3, "configs": configs }, "commands": commands, "until": until })
}

fn load(saved: Value) -> Result<Cluster, Refusal> {
    parse_saved(saved).and_then(|saved| Session::load(&saved)).map(|session| Cluster { session })
}

/// What whoever was given settings warns of: whose it is, and the setting.
fn warned(cluster: &Cluster) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let events = view::events(&cluster.session, 0, usize::MAX).into_iter().filter(|event| event.kind == "settingWithoutEffect");
    events.map(|event| (text(&event.detail["client"]), text(&event.detail["setting"]))).collect()
}

fn topic_config(cluster: &Cluster, name: &str) -> Option<String> {
    cluster.view().topics[0].configs.get(name).cloned()
}

#[test]
fn as_many_messages_as_are_asked_for_and_ten_thousand_otherwise() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let text = "{}\n".repeat(10_050);
    cluster.apply(json!({ "type": "import", "topic": "orders", "format": "jsonl", "text": text }));
    cluster.advance(20_000.0);
    let count = |max: Option<usize>| {
        let query = MessageQuery { topic: "orders".to_owned(), partition: 0, offset: None, max, isolation: None };
        view::messages(&cluster.session, &query).expect("the partition").len()
    };
    assert_eq!((count(Some(20_000)), count(Some(3)), count(None)), (10_050, 3, 10_000));
}

#[test]
fn a_paused_consumer_may_be_paused_once_more() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.consumer("c", "g");
    cluster.apply(json!({ "type": "resumeConsumer", "id": "c" }));
    for _ in 0..2 {
        cluster.apply(json!({ "type": "pauseConsumer", "id": "c" }));
    }
    cluster.advance(8_000.0);
    cluster.send("orders", None, "v");
    cluster.advance(2_000.0);
    assert_eq!(cluster.view().consumers[0].consumed, 0);
    cluster.apply(json!({ "type": "resumeConsumer", "id": "c" }));
    cluster.advance(2_000.0);
    assert_eq!(cluster.view().consumers[0].consumed, 1);
}

#[test]
fn what_is_meant_to_be_nothing_is_said() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    for (command, field) in [
        (json!({ "type": "send", "topic": "orders", "key": "k" }), "value"),
        (json!({ "type": "reassign", "topic": "orders", "partition": 0 }), "replicas"),
    ] {
        let refusal = cluster.refused(command);
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_ARGUMENT", Some(field)));
    }
    cluster.apply(json!({ "type": "send", "topic": "orders", "key": "k", "value": null }));
}

#[test]
fn a_command_that_cannot_be_read_is_refused_in_the_event_log_too() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let (hash, before) = (cluster.session.trace_hash(), cluster.session.event_count());
    for command in [json!({ "type": "makeTea" }), json!({ "type": "crashBroker" }), json!(7)] {
        assert_eq!(cluster.session.command(command).expect_err("it is refused").code, "INVALID_ARGUMENT");
    }
    let events = view::events(&cluster.session, before, usize::MAX);
    let told: Vec<(&str, &Value, &Value)> = events.iter().map(|e| (e.kind, &e.detail["command"], &e.detail["code"])).collect();
    let code = json!("INVALID_ARGUMENT");
    let names = ["makeTea", "crashBroker", "command"].map(|name| json!(name));
    assert_eq!(told, names.iter().map(|name| ("commandRefused", name, &code)).collect::<Vec<_>>());
    assert_eq!(cluster.session.trace_hash(), hash, "no part of the history");
    cluster.session.command(json!({ "type": "crashBroker", "broker": 1 })).expect("a command");
    let again = Session::load(&cluster.session.save()).expect("it loads");
    assert_eq!(again.trace_hash(), cluster.session.trace_hash());
}

#[test]
fn times_closer_than_a_microsecond_are_the_same_moment() {
    let crash = |at: f64, broker: i32| json!({ "at": at, "command": { "type": "crashBroker", "broker": broker } });
    let twice = saved(json!({}), json!([crash(1000.0006, 1), crash(1000.0006, 2)]), 1000.0006);
    let mut cluster = load(twice).expect("two commands at one time");
    cluster.session.advance(1.0004).expect("time advances");
    cluster.session.seek(cluster.session.latest_ms() + 0.0004).expect("the latest moment");
    let back = saved(json!({}), json!([crash(1_000.002, 1), crash(1_000.001, 2)]), 2_000.0);
    assert_eq!(load(back).err().expect("it goes back").field.as_deref(), Some("commands[1].at"));
    // A clock shows whole milliseconds.
    cluster.apply(json!({ "type": "skewClock", "broker": 3, "ms": -2.5 }));
    assert_eq!(cluster.view().brokers[2].clock_skew_ms, Some(-3));
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*", "latencyMs": 0.25 }));
}

#[test]
fn the_names_of_python_s_clients_are_understood_wherever_settings_are_given() {
    let configs = json!({ "log_retention_ms": 5_000, "auto_create_topics_enable": false, "compression_type": "gzip" });
    let mut cluster = load(saved(configs, json!([]), 1_000.0)).expect("a cluster");
    let create = json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1,
        "configs": { "min_insync_replicas": "1", "segment_bytes": 2_000_000 } });
    cluster.apply(create);
    cluster.advance(500.0);
    assert_eq!(topic_config(&cluster, "segment.bytes").as_deref(), Some("2000000"));
    cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "retention_ms": 9_000 } }));
    assert_eq!(topic_config(&cluster, "retention.ms").as_deref(), Some("9000"));
    cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "delete": ["retention_ms"] }));
    let producer = json!({ "type": "addProducer", "id": "p", "topic": "orders",
        "configs": { "compression_type": null, "linger_ms": 5, "enable_idempotence": true, "transactional_id": "None" } });
    cluster.apply(producer);
    let shown = &cluster.view().producers[0].configs;
    assert_eq!((shown["compression.type"].as_str(), shown["linger.ms"].as_str()), ("none", "5"));
    assert!(!shown.contains_key("transactional.id"));
    let refusal =
        cluster.refused(json!({ "type": "addProducer", "id": "q", "topic": "orders", "configs": { "compression.type": "None" } }));
    assert_eq!(refusal.field.as_deref(), Some("configs.compression.type"), "a word of Python's under a name of Kafka's");
    let member = |configs: Value| json!({ "type": "addConsumer", "id": "s", "group": "workers", "topics": ["orders"], "configs": configs });
    let refusal = cluster.refused(member(json!({ "group_protocol": "share", "auto_offset_reset": "earliest" })));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_CONFIG", Some("configs.auto_offset_reset")));
    cluster.apply(member(json!({ "group_protocol": "share" })));
    cluster.advance(5_000.0);
    assert_eq!(cluster.view().groups.iter().find(|group| group.id == "workers").expect("the group").protocol, "share");
}

#[test]
fn a_topic_shows_what_the_brokers_have_where_it_does_not_say() {
    let mut cluster =
        load(saved(json!({ "log.retention.hours": "1", "min.insync.replicas": "2" }), json!([]), 1_000.0)).expect("a cluster");
    let create =
        json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3, "configs": { "segment.ms": "70000" } });
    cluster.apply(create);
    cluster.advance(500.0);
    let shown = |cluster: &Cluster| {
        ["retention.ms", "min.insync.replicas", "segment.ms"].map(|name| topic_config(cluster, name).unwrap_or_default())
    };
    assert_eq!(shown(&cluster), ["3600000", "2", "70000"]);
    cluster.apply(
        json!({ "type": "alterConfigs", "resource": "broker", "name": "", "set": { "log.retention.ms": "8000", "log.roll.ms": "5" } }),
    );
    cluster.advance(500.0);
    assert_eq!(shown(&cluster), ["8000", "2", "70000"]);
}

#[test]
fn topics_take_every_setting_of_kafka_s_when_they_are_made_and_later() {
    let all = json!({ "segment.jitter.ms": "5", "compression.lz4.level": "3", "compression.zstd.level": "1", "file.delete.delay.ms": "5",
        "index.interval.bytes": "5", "preallocate": "true", "segment.index.bytes": "5000" });
    let mut cluster = Cluster::of_brokers(1).topic("later", 1, 1);
    cluster.apply(json!({ "type": "createTopic", "name": "now", "partitions": 1, "replicationFactor": 1, "configs": all }));
    cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "later", "set": all }));
    let mut names: Vec<&String> = all.as_object().expect("settings").keys().collect();
    names.sort();
    let expected =
        ["topic now", "topic later"].into_iter().flat_map(|whose| names.iter().map(move |name| (whose.to_owned(), (*name).clone())));
    assert_eq!(warned(&cluster), expected.collect::<Vec<_>>(), "which change nothing here");
}

#[test]
fn a_broker_s_file_of_kafka_s_is_taken_as_it_stands() {
    let file = json!({ "process.roles": "broker", "node.id": "1", "listeners": "PLAINTEXT://:9092", "num.replica.fetchers": "2", "log.cleaner.enable": "true",
        "group.coordinator.rebalance.protocols": "classic,consumer", "group.consumer.assignors": "uniform,range", "broker.rack": "a",
        "num.recovery.threads.per.data.dir": "2", "background.threads": "4", "log.preallocate": "true", "compression.zstd.level": "5",
        "socket.listen.backlog.size": "60", "leader.imbalance.per.broker.percentage": "5", "ssl.keystore.location": "/k", "num.partitions": "4" });
    let cluster = load(saved(file.clone(), json!([]), 1_000.0)).expect("a cluster");
    let told: Vec<String> = warned(&cluster).into_iter().map(|(whose, setting)| format!("{whose}: {setting}")).collect();
    let mut names: Vec<&String> = file.as_object().expect("settings").keys().filter(|name| *name != "num.partitions").collect();
    names.sort();
    assert_eq!(told, names.iter().map(|name| format!("cluster: {name}")).collect::<Vec<_>>());
    for (name, value) in
        [("num.replica.fetchers", "two"), ("background.threads", "0"), ("log.cleaner.enable", "yes"), ("no.such.setting", "1")]
    {
        let refusal = load(saved(json!({ name: value }), json!([]), 0.0)).err().expect("it is refused");
        assert_eq!((refusal.code.as_str(), refusal.field), ("INVALID_CONFIG", Some(format!("cluster.configs.{name}"))));
    }
    let heeded = load(saved(json!({ "group.share.session.timeout.ms": "50000", "group.share.max.size": "3" }), json!([]), 0.0));
    assert_eq!(warned(&heeded.expect("a cluster")), []);
}

#[test]
fn features_have_kafka_s_names() {
    let configs = json!({ "transaction.version": "1", "eligible.leader.replicas.version": "0", "group.version": "1" });
    let cluster = load(saved(configs, json!([]), 1_000.0)).expect("a cluster");
    let (broker, _) = cluster.session.world().broker(1).expect("the broker");
    assert_eq!(broker.config().transaction_version, 1);
    let refusal = load(saved(json!({ "transaction.version": "3" }), json!([]), 0.0)).err().expect("there is none");
    assert_eq!(refusal.field.as_deref(), Some("cluster.configs.transaction.version"));
}

#[test]
fn refusals_name_the_element_that_is_wrong() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 1);
    cluster.consumer("c", "g");
    let create =
        |configs: Value| json!({ "type": "createTopic", "name": "t", "partitions": 1, "replicationFactor": 1, "configs": configs });
    let read = |what: &str, list: Value| json!({ "type": "addConsumer", "id": "d", "group": "g", what: list });
    let alter = |resource: &str, name: &str, set: Value| json!({ "type": "alterConfigs", "resource": resource, "name": name, "set": set });
    let offset = |offset: i64| json!({ "topic": "orders", "partition": 0, "offset": offset });
    for (command, field) in [
        (create(json!({ "retention.ms": "5", "segment.bytes": "1" })), "configs.segment.bytes"),
        (create(json!({ "retention.msx": "5" })), "configs.retention.msx"),
        (read("topics", json!(["orders", "no/good"])), "topics[1]"),
        (
            read("partitions", json!([{ "topic": "orders", "partition": 0 }, { "topic": "orders", "partition": -1 }])),
            "partitions[1].partition",
        ),
        (read("partitions", json!([{ "topic": "no/good", "partition": 0 }])), "partitions[0].topic"),
        (json!({ "type": "commit", "consumer": "c", "offsets": [offset(1), offset(-1)] }), "offsets[1].offset"),
        (json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "delete": ["retention.ms"] }), "delete[0]"),
        (alter("topic", "orders", json!({ "segment.bytes": "1" })), "set.segment.bytes"),
        (alter("broker", "1", json!({ "log.retention.ms": "5", "num.partitions": "3" })), "set.num.partitions"),
        (alter("broker", "1", json!({ "log.retention.ms": "soon", "message.max.bytes": "3" })), "set.log.retention.ms"),
        (alter("group", "g", json!({ "share.session.timeout.ms": "0" })), "set.share.session.timeout.ms"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!(refusal.field.as_deref(), Some(field), "{command}: {}", refusal.message);
    }
}

#[test]
fn offsets_are_reset_where_nobody_has_asked_for_a_coordinator_yet() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 2, 3);
    for value in ["a", "b", "c"] {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": 0, "value": value }));
    }
    cluster.advance(1_000.0);
    assert!(cluster.view().topics.iter().all(|topic| !topic.internal));
    cluster.apply(json!({ "type": "resetOffsets", "group": "later", "topic": "orders", "to": "latest" }));
    cluster.advance(2_000.0);
    assert_eq!([0, 1].map(|partition| cluster.committed("later", "orders", partition)), [Some(3), Some(0)]);
    let again = Session::load(&cluster.session.save()).expect("it loads");
    assert_eq!(again.trace_hash(), cluster.session.trace_hash());
}

#[test]
fn a_reset_that_finds_no_coordinator_for_a_minute_is_given_up() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(json!({ "type": "resetOffsets", "group": "g", "topic": "orders", "to": "earliest" }));
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    let failed =
        |cluster: &Cluster| view::events(&cluster.session, 0, usize::MAX).iter().filter(|event| event.kind == "commitFailed").count();
    cluster.advance(55_000.0);
    assert_eq!(failed(&cluster), 0);
    cluster.advance(10_000.0);
    assert_eq!(failed(&cluster), 1);
}

#[test]
fn a_coordinator_moves_to_a_broker_that_has_nothing_of_it_yet() {
    let mut cluster = Cluster::of_brokers(4).topic("orders", 1, 3);
    cluster.consumer("c", "readers");
    cluster.send("orders", None, "v");
    cluster.advance(15_000.0);
    let place = |cluster: &Cluster| {
        let coordinator = cluster.group("readers").coordinator.expect("a coordinator");
        let all = cluster.view().topics.into_iter().find(|topic| topic.internal).expect("the topic of the groups").partitions;
        // Any partition that it leads: replicas are placed anew for each.
        (coordinator, all)
    };
    let index = brokerlab::coordinator::partition_for("readers", 3) as usize;
    let (first, partitions) = place(&cluster);
    let replicas: Vec<i32> = partitions[index].replicas.iter().map(|replica| replica.broker).collect();
    let other = (1..=4).find(|broker| !replicas.contains(broker)).expect("a fourth");
    assert!(replicas.contains(&first));
    cluster.apply(json!({ "type": "moveCoordinator", "group": "readers", "broker": other }));
    cluster.advance(15_000.0);
    let (now, partitions) = place(&cluster);
    assert_eq!((now, partitions[index].preferred_leader, partitions[index].replicas.len()), (other, other, 3));
    assert_eq!(cluster.group("readers").state, "Stable");
    assert_eq!(cluster.committed("readers", "orders", 0), Some(1));
}

#[test]
fn a_consumer_group_has_settings_of_its_own() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let alter = |set: Value| json!({ "type": "alterConfigs", "resource": "group", "name": "g", "set": set });
    let refusal = cluster.refused(alter(json!({ "consumer.session.timeout.ms": "1000" })));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_CONFIG", Some("set.consumer.session.timeout.ms")));
    assert!(refusal.message.contains("45000"), "{}", refusal.message);
    cluster.apply(alter(json!({ "consumer.heartbeat.interval.ms": "15000", "consumer.session.timeout.ms": "60000" })));
    cluster.apply(alter(json!({ "streams.num.standby.replicas": "1", "streams.heartbeat.interval.ms": "6000" })));
    assert_eq!(warned(&cluster).len(), 2);
    let member = |id: &str, group: &str| json!({ "type": "addConsumer", "id": id, "group": group, "topics": ["orders"], "configs": { "group.protocol": "consumer" } });
    cluster.apply(member("own", "g"));
    cluster.apply(member("plain", "h"));
    cluster.advance(20_000.0);
    let beats = cluster.events_after(|cluster| cluster.advance(60_000.0));
    let of = |name: &str| {
        let asks = |event: &&brokerlab::view::EventView| {
            event.kind == "requestSent" && event.node == name && event.detail["api"] == "ConsumerGroupHeartbeat"
        };
        beats.iter().filter(asks).count()
    };
    assert_eq!((of("own"), of("plain")), (4, 12), "each minute");
    for id in ["own", "plain"] {
        cluster.apply(json!({ "type": "crashConsumer", "id": id }));
    }
    cluster.advance(50_000.0);
    assert_eq!((cluster.group("g").members.len(), cluster.group("h").members.len()), (1, 0));
    cluster.advance(15_000.0);
    assert_eq!(cluster.group("g").members.len(), 0);
}

#[test]
fn a_producer_says_why_it_is_not_idempotent() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let mut told = |configs: Value| {
        let events = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": configs }));
            cluster.apply(json!({ "type": "removeProducer", "id": "p" }));
        });
        let all = events.into_iter().filter(|event| event.kind == "idempotenceDisabled");
        all.map(|event| format!("{} {}", event.detail["setting"], event.detail["value"])).collect::<Vec<_>>()
    };
    assert_eq!(told(json!({})), [""; 0]);
    assert_eq!(told(json!({ "acks": "1" })), ["\"acks\" \"1\""]);
    assert_eq!(told(json!({ "acks": "0", "retries": "0" })), ["\"retries\" \"0\"", "\"acks\" \"0\""]);
    assert_eq!(told(json!({ "acks": "1", "enable.idempotence": "false" })), [""; 0], "it was not to be");
    let refusal = cluster.refused(
        json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "max.in.flight.requests.per.connection": "6" } }),
    );
    assert_eq!(refusal.code, "INVALID_CONFIG", "that is refused, as since Kafka 4.0");
}

#[test]
fn brokers_know_a_client_by_its_client_id() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    let consumer = json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "configs": { "client.id": "billing" } });
    cluster.apply(consumer);
    cluster.consumer("d", "h");
    cluster.apply(json!({ "type": "alterClientQuotas", "clientId": "shop", "set": { "producer_byte_rate": "100" } }));
    cluster.apply(json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "client_id": "shop" } }));
    cluster.advance(5_000.0);
    let known = |group: &str| cluster.group(group).members[0].client_id.clone();
    assert_eq!((known("g"), known("h")), ("billing".to_owned(), "d".to_owned()));
    let events = cluster.events_after(|cluster| {
        for _ in 0..5 {
            cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "value": "v".repeat(1_000) }));
            cluster.advance(100.0);
        }
    });
    let throttled = events.iter().find(|event| event.kind == "clientThrottled").expect("it pays for the quota of its client id");
    assert_eq!(throttled.detail["client"], "shop");
}
