#![cfg(not(target_arch = "wasm32"))]
//! Faults of every kind by chance, then everything is healed: the cluster must become whole again by itself, and keep what it promised.

mod cluster;

use brokerlab::node::Chance;
use brokerlab::protocol::wire::Api;
use brokerlab::session::parse_command;
use brokerlab::view::{self, BrokerState, View};
use cluster::Cluster;
use serde_json::{Value, json};

/// More than a minute's worth has been tried (400); these are enough to notice that something has broken.
const SEEDS: u64 = 20;

/// A fault, and whether it may cost records that were acknowledged with acks=all: a disk's content is gone.
fn fault(chance: &mut Chance, cluster: &Cluster, power: bool) -> Value {
    let broker = 1 + chance.below(3);
    let nodes = ["broker-1", "broker-2", "broker-3", "controller-1", "shop", "c1", "*"];
    let mut node = || nodes[chance.below(nodes.len() as u64) as usize];
    let (from, to) = (node(), node());
    let flights = view::flights(&cluster.session);
    let message = if flights.is_empty() { 0 } else { flights[chance.below(flights.len() as u64) as usize].id };
    match chance.below(14) {
        0 => json!({ "type": "crashBroker", "broker": broker }),
        1 => json!({ "type": if power { "powerLoss" } else { "crashBroker" }, "broker": broker }),
        2 => json!({ "type": "stopBroker", "broker": broker }),
        3 | 4 => json!({ "type": "restartBroker", "broker": broker }),
        5 => json!({ "type": "freezeBroker", "broker": broker, "ms": chance.below(20_000) }),
        6 => json!({ "type": "slowDisk", "broker": broker, "factor": 1 + chance.below(500) }),
        7 => json!({ "type": "setLink", "from": from, "to": to, "cut": true }),
        8 => {
            json!({ "type": "setLink", "from": from, "to": to, "latencyMs": chance.below(500), "bytesPerSecond": 1 + chance.below(100_000) })
        }
        9 => json!({ "type": "setLink", "from": from, "to": to }),
        10 => json!({ "type": "messageFault", "message": message, "action": "drop" }),
        11 => json!({ "type": "messageFault", "message": message, "action": "duplicate", "delayMs": chance.below(2_000) }),
        12 => json!({ "type": "messageFault", "message": message, "action": "delay", "delayMs": chance.below(20_000) }),
        _ => {
            let api = Api::ALL[chance.below(Api::ALL.len() as u64) as usize].name();
            json!({ "type": "dropNext", "api": api, "what": if chance.below(2) == 0 { "request" } else { "response" } })
        }
    }
}

fn storm(seed: u64, power: bool) -> Cluster {
    let mut chance = Chance::new(seed);
    let configs = if seed.is_multiple_of(3) {
        json!({ "num.io.threads": "1", "brokerlab.request.us": "2000", "queued.max.requests": "2", "num.network.threads": "1", "log.flush.interval.messages": "10" })
    } else {
        json!({ "replica.lag.time.max.ms": "5000" })
    };
    let mut cluster = Cluster::configured(3, configs).topic("orders", 3, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 20, "keys": ["a", "b", "c", "d"], "configs": { "acks": "all", "request.timeout.ms": "3000", "delivery.timeout.ms": "30000" } }));
    cluster.consumer("c1", "g");
    cluster.consumer("c2", "g");
    cluster.advance(3_000.0);
    for _ in 0..40 {
        let command = fault(&mut chance, &cluster, power);
        // Not everything makes sense at every moment: a refusal is an answer.
        let _ = cluster.session.apply(parse_command(command).expect("a command"));
        cluster.advance(chance.below(3_000) as f64);
    }
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
    for broker in 1..=3 {
        cluster.apply(json!({ "type": "slowDisk", "broker": broker, "factor": 1 }));
    }
    // Whoever is frozen or about to stop comes to that first.
    cluster.advance(400_000.0);
    for broker in 1..=3 {
        if matches!(cluster.view().brokers[broker - 1].state, BrokerState::Crashed | BrokerState::Stopped) {
            cluster.apply(json!({ "type": "restartBroker", "broker": broker }));
        }
    }
    cluster.advance(120_000.0);
    cluster.apply(json!({ "type": "removeProducer", "id": "shop" }));
    // A member whose JoinGroup was lost tries again after max.poll.interval.ms and five seconds.
    cluster.advance(700_000.0);
    cluster
}

fn assert_whole(view: &View, seed: u64) {
    assert!(view.brokers.iter().all(|broker| broker.state == BrokerState::Running), "seed {seed}: {:?}", view.brokers);
    for topic in &view.topics {
        for partition in &topic.partitions {
            assert!(
                partition.leader.is_some() && partition.isr.len() == 3,
                "seed {seed}: {}-{} {partition:?}",
                topic.name,
                partition.partition
            );
        }
    }
    let group = view.groups.iter().find(|group| group.id == "g").expect("the group");
    assert_eq!(group.state, "Stable", "seed {seed}");
    assert_eq!(group.members.iter().map(|member| member.assignment.len()).sum::<usize>(), 3, "seed {seed}: {:?}", group.members);
    assert!(view.producers.is_empty(), "seed {seed}: {:?}", view.producers);
}

#[test]
fn a_cluster_is_whole_again_after_a_storm_and_acks_all_is_kept() {
    for seed in 0..SEEDS {
        let cluster = storm(seed, false);
        assert_whole(&cluster.view(), seed);
        cluster.assert_replicas_equal("orders");
        let logs: Vec<i64> = cluster
            .view()
            .topics
            .iter()
            .find(|topic| topic.name == "orders")
            .expect("it")
            .partitions
            .iter()
            .map(|partition| partition.replicas[0].log_end_offset)
            .collect();
        for (partition, offset) in cluster.acknowledged_offsets("orders") {
            assert!(offset < logs[partition as usize], "seed {seed}: offset {offset} of {partition} was acknowledged and is lost");
        }
    }
}

#[test]
fn a_cluster_is_whole_again_after_a_storm_with_losses_of_power() {
    for seed in 100..100 + SEEDS {
        let cluster = storm(seed, true);
        assert_whole(&cluster.view(), seed);
        cluster.assert_replicas_equal("orders");
    }
}
