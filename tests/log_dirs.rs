#![cfg(not(target_arch = "wasm32"))]
//! DescribeLogDirs (KIP-113): where a broker's logs lie and how large they are.

mod cluster;

use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages as k;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use serde_json::json;
use std::sync::Arc;

fn asked(cluster: &Cluster, broker: i32, topics: Option<&[(&str, &[i32])]>) -> Vec<DescribeLogDirsResult> {
    let topic = |(name, partitions): &(&str, &[i32])| {
        DescribableLogDirTopic::default().with_topic(wire::topic(name)).with_partitions(partitions.to_vec())
    };
    let message = k::DescribeLogDirsRequest::default().with_topics(topics.map(|topics| topics.iter().map(topic).collect()));
    let Some(Response::DescribeLogDirs(answer)) = Direct::of(cluster, broker).ask(Request::DescribeLogDirs(Arc::new(message))) else {
        panic!("no answer")
    };
    assert_eq!(answer.error_code, 0);
    answer.results.clone()
}

/// A topic's partitions, each with its bytes and lag.
type Logs<'a> = (&'a str, Vec<(i32, i64, i64)>);

fn logs(directory: &DescribeLogDirsResult) -> Vec<Logs<'_>> {
    let sizes = |topic: &k::describe_log_dirs_response::DescribeLogDirsTopic| {
        topic.partitions.iter().map(|one| (one.partition_index, one.partition_size, one.offset_lag)).collect()
    };
    directory.topics.iter().map(|topic| (topic.name.as_str(), sizes(topic))).collect()
}

#[test]
fn a_broker_tells_what_lies_on_its_disk() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 2, 1).topic("refunds", 1, 2);
    cluster.send("refunds", Some("k"), "v");
    cluster.advance(1_000.0);
    let bytes = cluster.partition("refunds", 0).replicas[0].bytes as i64;
    assert!(0 < bytes);
    let mut found = Vec::new();
    for broker in [1, 2] {
        let directories = asked(&cluster, broker, None);
        assert_eq!(directories.len(), 1);
        let directory = &directories[0];
        assert_eq!((directory.error_code, directory.log_dir.as_str()), (0, "/tmp/kafka-logs"));
        assert_eq!((directory.total_bytes, directory.usable_bytes), (-1, -1), "how large the disk is, is not known");
        assert!(logs(directory).contains(&("refunds", vec![(0, bytes, 0)])));
        found.extend(logs(directory).into_iter().filter(|(name, _)| *name == "orders").flat_map(|(_, of)| of));
    }
    found.sort();
    assert_eq!(found, [(0, 0, 0), (1, 0, 0)], "each partition of orders is on one of the two");
}

#[test]
fn only_what_is_asked_for_is_told() {
    let cluster = Cluster::of_brokers(1).topic("orders", 3, 1).topic("refunds", 1, 1);
    let told = |topics: &[(&str, &[i32])]| {
        logs(&asked(&cluster, 1, Some(topics))[0]).into_iter().map(|(name, of)| (name.to_owned(), of)).collect::<Vec<_>>()
    };
    assert_eq!(told(&[("orders", &[2, 0, 7]), ("nothing", &[0])]), [("orders".to_owned(), vec![(0, 0, 0), (2, 0, 0)])]);
    assert_eq!(told(&[("refunds", &[])]), []);
    assert_eq!(told(&[]), []);
}

#[test]
fn the_directory_is_as_the_settings_name_it() {
    let of = |configs| asked(&Cluster::configured(1, configs), 1, None)[0].log_dir.to_string();
    assert_eq!(of(json!({ "log.dir": "/one" })), "/one");
    assert_eq!(of(json!({ "log.dir": "/one", "log.dirs": "/fast/ssd/path" })), "/fast/ssd/path");
    let refusal = Cluster::refusal_of(json!({ "log.dirs": "/one,/two" }));
    assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("UNSUPPORTED_VERSION", Some("cluster.configs.log.dirs")));
}
