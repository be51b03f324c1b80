#![cfg(not(target_arch = "wasm32"))]
//! Settings of topics, changed while the topics are in use.

mod cluster;

use brokerlab::node::{Body, Channel, Connection, Input, NodeId, Outputs};
use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::wire::{self, Request, Response};
use brokerlab::replica::PartitionKey;
use brokerlab::storage::LogConfig;
use brokerlab::view::{self, MessageQuery};
use cluster::Cluster;
use cluster::direct::topic_id;
use k::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::sync::Arc;

fn set(settings: Value) -> Value {
    json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": settings })
}

fn delete(names: Value) -> Value {
    json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "delete": names })
}

fn config(cluster: &Cluster, name: &str) -> Option<String> {
    cluster.view().topics.into_iter().find(|topic| topic.name == "orders").expect("the topic").configs.get(name).cloned()
}

fn log_config(cluster: &Cluster, broker: i32) -> LogConfig {
    let key = PartitionKey { topic: topic_id(cluster, "orders"), index: 0 };
    *cluster.session.world().broker(broker).expect("the broker").0.replicas()[&key].log.config()
}

#[test]
fn running_logs_are_kept_by_the_new_settings() {
    let mut cluster = Cluster::configured(3, json!({ "log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000" }))
        .topic("orders", 1, 3);
    for number in 0..20 {
        cluster.send("orders", Some("k"), &format!("record {number}"));
        cluster.advance(50.0);
    }
    cluster.advance(3_000.0);
    assert_eq!(cluster.partition("orders", 0).replicas[0].log_start_offset, 0, "kept for a week");
    let events = cluster.events_after(|cluster| {
        cluster.apply(set(json!({ "internal.segment.bytes": "200", "retention.ms": "2000" })));
        assert_eq!(config(cluster, "retention.ms").as_deref(), Some("2000"), "decided at once");
        cluster.advance(50.0);
    });
    let altered = events.iter().find(|event| event.kind == "configsAltered").expect("the note");
    assert_eq!(altered.topic.as_deref(), Some("orders"));
    let changes = json!({ "changes": [{ "name": "internal.segment.bytes", "value": "200" }, { "name": "retention.ms", "value": "2000" }] });
    assert_eq!(altered.detail, changes);
    cluster.send("orders", Some("k"), "newest");
    cluster.advance(1_500.0);
    let partition = cluster.partition("orders", 0);
    assert!(
        partition.replicas.iter().all(|replica| replica.log_start_offset == 20),
        "old segments go everywhere: {:?}",
        partition.replicas
    );
    cluster.apply(delete(json!(["retention.ms"])));
    cluster.advance(5_000.0);
    assert_eq!(cluster.values("orders", 0), ["newest"], "kept again");
    assert_eq!(config(&cluster, "retention.ms").as_deref(), Some("604800000"), "the default is in force");
}

#[test]
fn a_running_leader_goes_by_the_new_minimum_of_the_isr() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let other = (1..=3).find(|broker| *broker != leader).expect("a follower");
    cluster.apply(json!({ "type": "crashBroker", "broker": other }));
    cluster.advance(12_000.0);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 2);
    assert_eq!(cluster.first_error("orders", "one"), None);
    cluster.apply(set(json!({ "min.insync.replicas": "3" })));
    cluster.advance(20.0);
    assert_eq!(cluster.first_error("orders", "two").as_deref(), Some("NOT_ENOUGH_REPLICAS"));
    cluster.apply(set(json!({ "min.insync.replicas": "2" })));
    cluster.advance(3_000.0);
    assert_eq!(cluster.values("orders", 0), ["one", "two"], "the producer's next try is taken");
    assert_eq!(cluster.partition("orders", 0).leader_epoch, 0, "no election was needed");
}

#[test]
fn a_running_leader_takes_batches_by_the_new_rules() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(set(json!({ "max.message.bytes": "200" })));
    cluster.advance(20.0);
    assert_eq!(cluster.first_error("orders", &"x".repeat(500)).as_deref(), Some("MESSAGE_TOO_LARGE"));
    cluster.apply(delete(json!(["max.message.bytes"])));
    cluster.apply(set(json!({ "compression.type": "gzip", "message.timestamp.type": "LogAppendTime" })));
    cluster.advance(20.0);
    cluster.apply(json!({ "type": "send", "topic": "orders", "key": "k", "value": "x".repeat(5_000), "timestamp": 1_767_225_600_000_i64 }));
    cluster.advance(200.0);
    let query = MessageQuery { topic: "orders".to_owned(), partition: 0, offset: None, max: None, isolation: None };
    let message = view::messages(&cluster.session, &query).expect("the partition").pop().expect("the record");
    assert!(1_767_225_600_000 < message.timestamp, "the leader's clock counts");
    assert!(cluster.partition("orders", 0).replicas[0].bytes < 1_000, "5,000 equal bytes are stored compressed");
}

#[test]
fn a_broker_that_was_down_goes_by_what_was_changed_meanwhile() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(set(json!({ "segment.ms": "70000", "retention.bytes": "9000" })));
    cluster.advance(100.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
    cluster.advance(12_000.0);
    cluster.apply(json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "retention.ms": "5000" }, "delete": ["segment.ms"] }));
    cluster.advance(100.0);
    assert_eq!((log_config(&cluster, 1).retention_ms, log_config(&cluster, 2).retention_ms), (5_000, 604_800_000));
    cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
    cluster.advance(12_000.0);
    assert_eq!(log_config(&cluster, 2), log_config(&cluster, 1));
    assert_eq!((log_config(&cluster, 2).retention_bytes, log_config(&cluster, 2).segment_ms), (9_000, 604_800_000));
}

#[test]
fn a_topic_made_again_has_none_of_the_old_settings() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(set(json!({ "retention.ms": "5000" })));
    cluster.apply(json!({ "type": "deleteTopic", "name": "orders" }));
    let cluster = cluster.topic("orders", 1, 1);
    assert_eq!(config(&cluster, "retention.ms").as_deref(), Some("604800000"));
    assert_eq!(log_config(&cluster, 1), LogConfig::default());
}

#[test]
fn what_is_wrong_changes_nothing_at_all() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.apply(set(json!({ "min.compaction.lag.ms": "0", "segment.ms": "70000" })));
    let hash = cluster.session.trace_hash();
    let other =
        |resource: &str, name: &str| json!({ "type": "alterConfigs", "resource": resource, "name": name, "set": { "retention.ms": "1" } });
    for (command, code, field) in [
        (set(json!({ "retention.ms": "5000", "retention.msx": "1" })), "INVALID_CONFIG", "set.retention.msx"),
        (set(json!({ "retention.ms": "5000", "retention.bytes": "many" })), "INVALID_CONFIG", "set.retention.bytes"),
        (set(json!({ "min.insync.replicas": "0" })), "INVALID_CONFIG", "set.min.insync.replicas"),
        (set(json!({ "segment.bytes": "1000" })), "INVALID_CONFIG", "set.segment.bytes"),
        (set(json!({ "cleanup.policy": "shred" })), "INVALID_CONFIG", "set.cleanup.policy"),
        (set(json!({ "preallocate": "perhaps" })), "INVALID_CONFIG", "set.preallocate"),
        (delete(json!(["retention.ms"])), "INVALID_CONFIG", "delete[0]"),
        (delete(json!(["no.such.setting"])), "INVALID_CONFIG", "delete[0]"),
        (delete(json!(["segment.ms", "segment.ms"])), "INVALID_REQUEST", "delete[1]"),
        (
            json!({ "type": "alterConfigs", "resource": "topic", "name": "orders", "set": { "segment.ms": "5" }, "delete": ["segment.ms"] }),
            "INVALID_REQUEST",
            "delete[0]",
        ),
        (set(json!({})), "INVALID_ARGUMENT", "set"),
        (other("topic", "none"), "UNKNOWN_TOPIC_OR_PARTITION", "name"),
        (other("topic", "no/good"), "INVALID_TOPIC_EXCEPTION", "name"),
        (other("topic", ""), "INVALID_REQUEST", "name"),
        (other("broker", "1"), "INVALID_CONFIG", "set.retention.ms"),
        (other("group", "g"), "INVALID_CONFIG", "set.retention.ms"),
        (other("table", "t"), "INVALID_ARGUMENT", "resource"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}: {}", refusal.message);
        assert_eq!(cluster.session.trace_hash(), hash, "{command} changed something");
    }
    assert_eq!(config(&cluster, "retention.ms").as_deref(), Some("604800000"));
}

fn alter(name: &str, operation: i8, value: Option<&str>) -> AlterableConfig {
    AlterableConfig::default().with_name(wire::text(name)).with_config_operation(operation).with_value(value.map(wire::text))
}

fn topic(name: &str, configs: Vec<AlterableConfig>) -> AlterConfigsResource {
    AlterConfigsResource::default().with_resource_type(2).with_resource_name(wire::text(name)).with_configs(configs)
}

/// The controller's errors, and the topic's settings afterwards.
fn asked(cluster: &Cluster, resources: Vec<AlterConfigsResource>, validate_only: bool) -> (Vec<&'static str>, Vec<(String, String)>) {
    let message = k::IncrementalAlterConfigsRequest::default().with_resources(resources).with_validate_only(validate_only);
    let from = Connection { peer: NodeId::Admin, channel: Channel::Control };
    let request = Request::IncrementalAlterConfigs(Arc::new(message));
    let input = Input::Request { from, client_id: "raw".into(), correlation: 1, request };
    let mut controller = cluster.session.world().active_controller().expect("an active controller").clone();
    let mut out = Outputs::default();
    controller.handle(cluster.session.world().now(), input, &mut out);
    let answers = out.sends.into_iter().find_map(|sent| match sent.body {
        Body::Response(Response::IncrementalAlterConfigs(message)) => Some(message.responses.clone()),
        _ => None,
    });
    let errors = answers.expect("an answer").iter().map(|answer| ErrorCode::of(answer.error_code).name()).collect();
    let configs = &controller.image().topic("orders").expect("the topic").configs;
    (errors, configs.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[test]
fn a_request_is_done_for_each_topic_as_a_whole_or_not_at_all() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1).topic("others", 1, 1);
    cluster.apply(set(json!({ "cleanup.policy": "delete" })));
    let had = || vec![("cleanup.policy".to_owned(), "delete".to_owned())];
    let with = |name: &str, value: &str| {
        let mut configs = had();
        configs.retain(|(other, _)| other != name);
        configs.push((name.to_owned(), value.to_owned()));
        configs.sort();
        configs
    };
    let one = |config: AlterableConfig| asked(&cluster, vec![topic("orders", vec![config])], false);
    assert_eq!(one(alter("retention.ms", 0, Some("5"))), (vec!["NONE"], with("retention.ms", "5")));
    assert_eq!(one(alter("retention.ms", 1, None)), (vec!["NONE"], had()), "what is not set is deleted without a word");
    assert_eq!(one(alter("cleanup.policy", 1, None)), (vec!["NONE"], vec![]));
    assert_eq!(one(alter("cleanup.policy", 2, Some("delete,compact"))), (vec!["NONE"], with("cleanup.policy", "delete,compact")));
    assert_eq!(one(alter("cleanup.policy", 3, Some("delete"))), (vec!["NONE"], with("cleanup.policy", "")));
    assert_eq!(one(alter("retention.ms", 2, Some("5"))), (vec!["INVALID_CONFIG"], had()), "no list");
    assert_eq!(one(alter("retention.ms", 9, Some("5"))), (vec!["INVALID_REQUEST"], had()));
    assert_eq!(one(alter("retention.ms", 0, None)), (vec!["INVALID_REQUEST"], had()));
    let (good, bad) = (alter("retention.ms", 0, Some("5")), alter("max.compaction.lag.ms", 0, Some("0")));
    assert_eq!(one(bad.clone()), (vec!["INVALID_CONFIG"], had()), "out of range");
    let both = asked(&cluster, vec![topic("orders", vec![good.clone(), bad.clone()]), topic("others", vec![good.clone()])], false);
    assert_eq!(both, (vec!["INVALID_CONFIG", "NONE"], had()));
    let lags = vec![alter("min.compaction.lag.ms", 0, Some("6")), alter("max.compaction.lag.ms", 0, Some("5"))];
    assert_eq!(asked(&cluster, vec![topic("orders", lags)], false), (vec!["INVALID_CONFIG"], had()), "each is good, not both");
    let twice = vec![topic("orders", vec![good.clone()]), topic("orders", vec![])];
    assert_eq!(asked(&cluster, twice, false), (vec!["INVALID_REQUEST"; 2], had()));
    assert_eq!(asked(&cluster, vec![topic("orders", vec![good.clone()])], true), (vec!["NONE"], had()), "only validated");
    for (kind, error) in [(4, "INVALID_CONFIG"), (8, "UNSUPPORTED_VERSION"), (32, "INVALID_CONFIG"), (-1, "UNSUPPORTED_VERSION")] {
        let other = topic("1", vec![good.clone()]).with_resource_type(kind);
        assert_eq!(asked(&cluster, vec![other], false), (vec![error], had()), "resource type {kind}");
    }
}
