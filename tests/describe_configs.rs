#![cfg(not(target_arch = "wasm32"))]
//! DescribeConfigs says of every setting what it is, where that comes from, and what else there is for it; DescribeCluster who there is.

mod cluster;

use brokerlab::protocol::ErrorCode as E;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;

type Entry = k::describe_configs_response::DescribeConfigsResourceResult;

fn asked(cluster: &Cluster, broker: i32, kind: i8, name: &str, keys: &[&str]) -> Result<Vec<Entry>, (E, String)> {
    let resource =
        k::describe_configs_request::DescribeConfigsResource::default().with_resource_type(kind).with_resource_name(wire::text(name));
    let keys = keys.iter().map(|key| wire::text(key)).collect();
    let message = k::DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(Some(keys))]);
    let message = message.with_include_synonyms(true).with_include_documentation(true);
    let answer = Direct::of(cluster, broker).ask(Request::DescribeConfigs(Arc::new(message)));
    let Some(Response::DescribeConfigs(answer)) = answer else { panic!("no answer") };
    let result = answer.results.first().expect("a result");
    assert_eq!((result.resource_type, result.resource_name.as_str()), (kind, name));
    match E::of(result.error_code) {
        E::None => Ok(result.configs.clone()),
        error => Err((error, result.error_message.as_deref().unwrap_or_default().to_owned())),
    }
}

/// Value, source and synonyms of one setting, the latter as `name=value@source`.
fn one(cluster: &Cluster, kind: i8, resource: &str, name: &str) -> (Option<String>, i8, Vec<String>) {
    let entries = asked(cluster, 1, kind, resource, &[name]).expect("settings");
    let [entry] = &entries[..] else { panic!("{name}: {entries:?}") };
    assert_eq!(entry.name.as_str(), name);
    let synonym = |synonym: &k::describe_configs_response::DescribeConfigsSynonym| {
        format!("{}={}@{}", synonym.name.as_str(), synonym.value.as_deref().unwrap_or("null"), synonym.source)
    };
    (entry.value.as_deref().map(str::to_owned), entry.config_source, entry.synonyms.iter().map(synonym).collect())
}

fn says(value: &str, source: i8, synonyms: &[&str]) -> (Option<String>, i8, Vec<String>) {
    (Some(value.to_owned()), source, synonyms.iter().map(|text| (*text).to_owned()).collect())
}

fn configured() -> Cluster {
    let configs = json!({ "log.retention.hours": "24", "message.max.bytes": "2000000", "log.roll.hours": "2" });
    let mut cluster = Cluster::configured(2, configs);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 2,
        "configs": { "segment.bytes": "2097152", "cleanup.policy": "compact, delete" } }));
    cluster.apply(json!({ "type": "alterConfigs", "resource": "broker", "name": "", "set": { "message.max.bytes": "3000000" } }));
    cluster.advance(1_000.0);
    cluster
}

#[test]
fn a_topic_s_settings_are_its_own_the_brokers_or_defaults() {
    let mut cluster = configured();
    let topic = |cluster: &Cluster, name| one(cluster, TOPIC, "orders", name);
    assert_eq!(topic(&cluster, "segment.bytes"), says("2097152", 1, &["segment.bytes=2097152@1", "log.segment.bytes=1073741824@5"]));
    assert_eq!(
        topic(&cluster, "cleanup.policy"),
        says("compact,delete", 1, &["cleanup.policy=compact,delete@1", "log.cleanup.policy=delete@5"])
    );
    assert_eq!(topic(&cluster, "index.interval.bytes"), says("4096", 5, &["log.index.interval.bytes=4096@5"]));
    let max = ["message.max.bytes=3000000@3", "message.max.bytes=2000000@4", "message.max.bytes=1048588@5"];
    assert_eq!(topic(&cluster, "max.message.bytes"), says("3000000", 3, &max));
    // Set in hours: in force, and as in Kafka without a synonym that bears the name.
    assert_eq!(topic(&cluster, "retention.ms"), says("86400000", 5, &[]));
    assert_eq!(topic(&cluster, "segment.ms"), says("7200000", 5, &[]));
    assert_eq!(topic(&cluster, "remote.storage.enable"), says("false", 5, &[]));

    cluster.apply(json!({ "type": "alterConfigs", "resource": "broker", "name": "1", "set": { "message.max.bytes": "4000000", "log.retention.ms": "5000" } }));
    cluster.advance(1_000.0);
    assert_eq!(topic(&cluster, "max.message.bytes").0.as_deref(), Some("4000000"));
    assert_eq!(
        topic(&cluster, "retention.ms"),
        says("5000", 2, &["log.retention.ms=5000@2", "log.retention.hours=24@4", "log.retention.hours=168@5"])
    );
    // The other broker has it otherwise.
    let other = asked(&cluster, 2, TOPIC, "orders", &["max.message.bytes"]).expect("settings");
    assert_eq!(other[0].value.as_deref(), Some("3000000"));
}

#[test]
fn a_broker_tells_of_itself_and_of_all() {
    let cluster = configured();
    let broker = |name| one(&cluster, BROKER, "1", name);
    let max = ["message.max.bytes=3000000@3", "message.max.bytes=2000000@4", "message.max.bytes=1048588@5"];
    assert_eq!(broker("message.max.bytes"), says("3000000", 3, &max));
    assert_eq!(broker("log.retention.hours"), says("24", 4, &["log.retention.hours=24@4", "log.retention.hours=168@5"]));
    assert_eq!(broker("log.retention.ms"), (None, 5, vec![]));
    assert_eq!(one(&cluster, BROKER, "", "message.max.bytes"), says("3000000", 3, &["message.max.bytes=3000000@3"]));
    assert_eq!(asked(&cluster, 1, BROKER, "", &[]).expect("settings").len(), 1, "what is set of all, and no more");

    let all = asked(&cluster, 1, BROKER, "1", &[]).expect("settings");
    let entry = |name: &str| all.iter().find(|entry| entry.name.as_str() == name).expect("the setting");
    assert!(50 < all.len() && all.iter().all(|entry| !entry.name.starts_with("brokerlab.")));
    assert!(!entry("message.max.bytes").read_only && entry("offsets.topic.num.partitions").read_only);
    assert_eq!((entry("message.max.bytes").config_type, entry("unclean.leader.election.enable").config_type), (3, 1));
    assert!(all.iter().all(|entry| entry.documentation.as_ref().is_some_and(|text| !text.is_empty())));
}

#[test]
fn what_is_not_there_is_refused() {
    let cluster = configured();
    for (kind, name, error, sentence) in [
        (TOPIC, "nothing", E::UnknownTopicOrPartition, ""),
        (TOPIC, "a/b", E::InvalidTopicException, ""),
        (BROKER, "one", E::InvalidRequest, "Broker id must be an integer, but it is: one"),
        (BROKER, "2", E::InvalidRequest, "Unexpected broker id, expected 1 or empty string, but received 2"),
        (BROKER_LOGGER, "2", E::InvalidRequest, "Unexpected broker id, expected 1 but received 2"),
        (BROKER_LOGGER, "", E::InvalidRequest, "Broker id must not be empty"),
        (0, "orders", E::InvalidRequest, ""),
    ] {
        let refused = asked(&cluster, 1, kind, name, &[]).expect_err("it is refused");
        assert_eq!(refused.0, error, "{name}");
        assert!(refused.1.starts_with(sentence), "{}", refused.1);
    }
    assert_eq!(asked(&cluster, 1, TOPIC, "orders", &["no.such.setting"]), Ok(vec![]));
    // The broker has loggers in Kafka, which nobody writes to here.
    assert_eq!(asked(&cluster, 1, BROKER_LOGGER, "1", &[]), Ok(vec![]));
}

#[test]
fn a_cluster_is_described_with_its_brokers() {
    let mut cluster = Cluster::racked(&["a", "b", "c"]);
    cluster.apply(json!({ "type": "crashBroker", "broker": 3 }));
    cluster.advance(15_000.0);
    let ask = |kind: i8, fenced: bool| {
        let message = k::DescribeClusterRequest::default().with_endpoint_type(kind).with_include_fenced_brokers(fenced);
        let Some(Response::DescribeCluster(answer)) = Direct::of(&cluster, 1).ask(Request::DescribeCluster(Arc::new(message))) else {
            panic!("no answer")
        };
        let brokers = answer
            .brokers
            .iter()
            .map(|broker| (broker.broker_id.0, broker.rack.as_deref().unwrap_or_default().to_owned(), broker.is_fenced));
        (E::of(answer.error_code), brokers.collect::<Vec<_>>())
    };
    let (a, b, c) = ((1, "a".to_owned(), false), (2, "b".to_owned(), false), (3, "c".to_owned(), true));
    assert_eq!(ask(1, false), (E::None, vec![a.clone(), b.clone()]));
    assert_eq!(ask(1, true), (E::None, vec![a, b, c]));
    assert_eq!(ask(2, true), (E::MismatchedEndpointType, vec![]));
    assert_eq!(ask(0, true), (E::UnsupportedEndpointType, vec![]));
}
