#![cfg(not(target_arch = "wasm32"))]
//! Consumers of the new protocol (KIP-848): the coordinator shares partitions out, and each member is brought there without the others stopping.

mod cluster;

use cluster::Cluster;
use serde_json::{Value, json};

fn add(cluster: &mut Cluster, id: &str, configs: Value) {
    let mut all = json!({ "group.protocol": "consumer", "auto.offset.reset": "earliest" });
    all.as_object_mut().expect("an object").extend(configs.as_object().expect("an object").clone());
    cluster.apply(json!({ "type": "addConsumer", "id": id, "group": "g", "topics": ["orders"], "configs": all }));
}

/// A topic of four partitions, a producer, and these consumers.
fn cluster(brokers: u32, consumers: &[&str]) -> Cluster {
    let mut cluster = Cluster::of_brokers(brokers).topic("orders", 4, brokers.min(3) as i16);
    let keys: Vec<String> = (0..16).map(|number| format!("customer-{number}")).collect();
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 20, "keys": keys }));
    for id in consumers {
        add(&mut cluster, id, json!({}));
    }
    cluster.advance(20_000.0);
    cluster
}

/// How many partitions each member has, by client.
fn shares(cluster: &Cluster) -> Vec<(String, usize)> {
    cluster
        .group("g")
        .members
        .iter()
        .map(|member| (member.client_id.clone(), member.assignment.len()))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_iter()
        .collect()
}

fn share(id: &str, count: usize) -> (String, usize) {
    (id.to_owned(), count)
}

/// What was produced and what was consumed, when all has come to rest.
fn counts(mut cluster: Cluster) -> (u64, u64) {
    cluster.apply(json!({ "type": "removeProducer", "id": "shop" }));
    cluster.advance(30_000.0);
    let view = cluster.view();
    let in_logs: i64 = view
        .topics
        .iter()
        .filter(|topic| topic.name == "orders")
        .flat_map(|topic| &topic.partitions)
        .map(|partition| partition.replicas.iter().map(|replica| replica.high_watermark).max().unwrap_or(0))
        .sum();
    (in_logs as u64, view.consumers.iter().map(|consumer| consumer.consumed).sum())
}

#[test]
fn members_share_a_topic_and_nothing_is_read_twice_when_others_come() {
    let mut cluster = cluster(3, &["one"]);
    let group = cluster.group("g");
    assert_eq!((group.protocol.as_str(), group.state.as_str(), group.assignor.as_deref()), ("consumer", "Stable", Some("uniform")));
    assert_eq!(shares(&cluster), [share("one", 4)]);
    for id in ["two", "three"] {
        add(&mut cluster, id, json!({}));
        cluster.advance(15_000.0);
    }
    assert_eq!(shares(&cluster).iter().map(|(_, count)| *count).sum::<usize>(), 4);
    assert!(shares(&cluster).iter().all(|(_, count)| (1..=2).contains(count)), "{:?}", shares(&cluster));
    assert_eq!(cluster.group("g").state, "Stable");
    let (produced, consumed) = counts(cluster);
    assert!(500 < produced);
    assert_eq!(consumed, produced);
}

#[test]
fn who_reports_joins_as_soon_as_it_knows_its_coordinator() {
    let mut cluster = cluster(3, &["one"]);
    let seen = cluster.events_after(|cluster| {
        add(cluster, "two", json!({}));
        cluster.advance(1_000.0);
    });
    assert!(seen.iter().any(|event| event.kind == "memberJoined"), "less than an interval of heartbeats");
}

#[test]
fn who_keeps_its_partitions_never_stops() {
    let mut cluster = cluster(3, &["one", "two"]);
    let seen = cluster.events_after(|cluster| {
        add(cluster, "three", json!({}));
        cluster.advance(15_000.0);
    });
    // What the new one gets is given up, one partition or two, as its id stands among the others; all else stays where it is.
    let revoked = seen.iter().filter(|event| event.kind == "assignmentRevoked");
    let revoked: usize = revoked.map(|event| event.detail["partitions"].as_array().expect("partitions").len()).sum();
    let shares = shares(&cluster);
    assert_eq!(shares.iter().find(|(id, _)| id == "three"), Some(&share("three", revoked)), "{shares:?}");
    assert!((1..=2).contains(&revoked) && shares.iter().map(|(_, count)| *count).sum::<usize>() == 4, "{shares:?}");
    assert!(!seen.iter().any(|event| event.kind == "assignmentLost"));
    let reads = |event: &&brokerlab::view::EventView| event.kind == "recordDelivered" && event.node != "three";
    let at: Vec<f64> = seen.iter().filter(reads).map(|event| event.time).collect();
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] < 1_000.0), "the others read on");
}

#[test]
fn who_leaves_is_followed_at_once_and_who_dies_after_its_session() {
    let mut cluster = cluster(3, &["one", "two"]);
    assert_eq!(shares(&cluster), [share("one", 2), share("two", 2)]);
    cluster.apply(json!({ "type": "crashConsumer", "id": "two" }));
    cluster.advance(39_000.0);
    assert_eq!(shares(&cluster).len(), 2, "its session has not ended");
    cluster.advance(15_000.0);
    assert_eq!(shares(&cluster), [share("one", 4)]);
    add(&mut cluster, "three", json!({}));
    cluster.advance(15_000.0);
    assert_eq!(shares(&cluster), [share("one", 2), share("three", 2)]);
    cluster.apply(json!({ "type": "removeConsumer", "id": "three" }));
    cluster.advance(6_000.0);
    assert_eq!(shares(&cluster), [share("one", 4)]);
}

#[test]
fn new_partitions_are_shared_out_without_anybody_asking() {
    let mut cluster = cluster(3, &["one", "two"]);
    cluster.apply(json!({ "type": "createPartitions", "topic": "orders", "partitions": 6 }));
    cluster.advance(15_000.0);
    assert_eq!(shares(&cluster), [share("one", 3), share("two", 3)]);
    let (produced, consumed) = counts(cluster);
    assert_eq!(consumed, produced);
}

#[test]
fn another_coordinator_goes_on_from_the_log() {
    let mut cluster = cluster(3, &["one", "two"]);
    cluster.coordinator_fails_over("g");
    let (produced, consumed) = counts(cluster);
    assert_eq!(consumed, produced);
}

#[test]
fn a_member_that_was_cut_off_for_too_long_begins_anew() {
    let mut cluster = cluster(3, &["one", "two"]);
    cluster.apply(json!({ "type": "setLink", "from": "one", "to": "*", "cut": true }));
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "one", "cut": true }));
    cluster.advance(60_000.0);
    assert_eq!(shares(&cluster), [share("two", 4)]);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
        cluster.advance(60_000.0);
    });
    assert!(seen.iter().any(|event| event.kind == "assignmentLost" && event.node == "one"));
    assert_eq!(shares(&cluster), [share("one", 2), share("two", 2)]);
}

#[test]
fn who_is_at_work_gives_up_when_it_polls_again() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 2, 1);
    for number in 0..20 {
        cluster.apply(json!({ "type": "send", "topic": "orders", "partition": number % 2, "value": "v" }));
    }
    let slow = json!({ "group.protocol": "consumer", "auto.offset.reset": "earliest", "max.poll.records": "20" });
    cluster
        .apply(json!({ "type": "addConsumer", "id": "slow", "group": "g", "topics": ["orders"], "processingMs": 1000, "configs": slow }));
    cluster.advance(8_000.0);
    add(&mut cluster, "quick", json!({}));
    cluster.advance(8_000.0);
    assert_eq!(cluster.group("g").state, "Reconciling");
    assert_eq!(shares(&cluster).iter().find(|(id, _)| id == "quick"), Some(&share("quick", 0)), "the slow one is at its records");
    cluster.advance(20_000.0);
    assert_eq!(shares(&cluster), [share("quick", 1), share("slow", 1)]);
    assert_eq!(cluster.view().consumers.iter().map(|consumer| consumer.consumed).sum::<u64>(), 20, "what it had done it committed first");
}

#[test]
fn settings_of_the_other_protocol_are_refused() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    for (configs, name, sentence) in [
        (
            json!({ "group.protocol": "consumer", "session.timeout.ms": "10000" }),
            "session.timeout.ms",
            "session.timeout.ms cannot be set when group.protocol=CONSUMER",
        ),
        (
            json!({ "group.protocol": "CONSUMER", "partition.assignment.strategy": "range" }),
            "partition.assignment.strategy",
            "partition.assignment.strategy cannot be set when group.protocol=CONSUMER",
        ),
        (
            json!({ "group.remote.assignor": "range" }),
            "group.remote.assignor",
            "group.remote.assignor cannot be set when group.protocol=CLASSIC",
        ),
    ] {
        let refusal = cluster.refused(json!({ "type": "addConsumer", "id": "c", "group": "g", "topics": ["orders"], "configs": configs }));
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_CONFIG", Some(&*format!("configs.{name}"))));
        assert!(refusal.message.contains(sentence), "{}", refusal.message);
    }
    add(&mut cluster, "c", json!({ "group.remote.assignor": "sticky" }));
    cluster.advance(10_000.0);
    assert_eq!(cluster.view().consumers[0].state, "UNSUPPORTED_ASSIGNOR");
}
