#![cfg(not(target_arch = "wasm32"))]
//! What happens when: each test is a short script on the real engine, and reads like one.

mod cluster;

use brokerlab::node::NoteKind;
use brokerlab::session::command::Command;
use cluster::Cluster;
use serde_json::json;

#[test]
fn a_keyed_record_lands_on_the_partition_that_kafka_would_choose() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    // murmur2 of these keys, as the Java client computes it (tests/golden/murmur2.tsv): 21 and foobar go to partition 0 of 3.
    for key in ["21", "foobar"] {
        cluster.send("orders", Some(key), "{}");
    }
    cluster.advance(1_000.0);
    assert_eq!(cluster.values("orders", 0).len(), 2);
    assert!(cluster.values("orders", 1).is_empty() && cluster.values("orders", 2).is_empty());
}

#[test]
fn a_follower_learns_the_high_watermark_one_fetch_later_than_the_leader() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let seen = cluster.events_after(|cluster| {
        cluster.send("orders", Some("k"), "v");
        cluster.advance(1_000.0);
    });
    let of = |kind: &str, leader: bool| {
        let matches = |event: &&brokerlab::view::EventView| {
            event.kind == kind && event.topic.as_deref() == Some("orders") && event.detail["leader"] == leader
        };
        seen.iter().filter(matches).map(|event| event.time).collect::<Vec<f64>>()
    };
    let (appended, copied) = (of("recordAppended", true), of("recordAppended", false));
    let (advanced, learned) = (of("highWatermarkAdvanced", true), of("highWatermarkAdvanced", false));
    assert_eq!((appended.len(), copied.len(), advanced.len(), learned.len()), (1, 2, 1, 2));
    assert!(copied.iter().all(|time| appended[0] < *time));
    // The leader advances only when the second follower's next fetch says that it has the record.
    assert!(copied.iter().all(|time| *time < advanced[0]));
    assert!(learned.iter().all(|time| advanced[0] < *time));
}

#[test]
fn a_crashed_leader_is_replaced_from_the_isr_after_its_session_and_acks_all_loses_nothing() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 50, "keys": ["a", "b", "c", "d"], "configs": { "acks": "all" } }));
    cluster.advance(3_000.0);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(5_000.0);
    assert_eq!(cluster.partition("orders", 0).leader, Some(leader), "the controller waits for broker.session.timeout.ms");
    cluster.advance(15_000.0);
    let partition = cluster.partition("orders", 0);
    assert_ne!(partition.leader, Some(leader));
    assert!(partition.leader.is_some_and(|next| partition.isr.contains(&next)));
    assert!(!partition.isr.contains(&leader));
    assert!(0 < partition.leader_epoch);

    cluster.apply(json!({ "type": "restartBroker", "broker": leader }));
    cluster.advance(10_000.0);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 3, "the old leader is back in the ISR");
    cluster.apply(json!({ "type": "removeProducer", "id": "shop" }));
    cluster.advance(5_000.0);
    let logs: Vec<Vec<String>> = (0..3).map(|partition| cluster.values("orders", partition)).collect();
    let acknowledged = cluster.acknowledged_offsets("orders");
    for (partition, offset) in &acknowledged {
        assert!((*offset as usize) < logs[*partition as usize].len(), "acknowledged offset {offset} of partition {partition} is lost");
    }
    assert!(500 < acknowledged.len());
    cluster.assert_replicas_equal("orders");
}

#[test]
fn a_leader_that_was_ahead_alone_cuts_its_log_back_when_it_returns() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 2);
    cluster.send("orders", Some("k"), "safe");
    cluster.advance(1_000.0);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let follower =
        cluster.partition("orders", 0).replicas.iter().map(|replica| replica.broker).find(|id| *id != leader).expect("a follower");
    // The follower dies and is still in the ISR; the leader takes a record with acks=1 and dies as well.
    cluster.apply(json!({ "type": "addProducer", "id": "hasty", "topic": "orders", "configs": { "acks": "1" } }));
    cluster.advance(100.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": follower }));
    cluster.apply(json!({ "type": "send", "producer": "hasty", "topic": "orders", "key": "k", "value": "lost" }));
    cluster.advance(100.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.apply(json!({ "type": "restartBroker", "broker": follower }));
    cluster.advance(20_000.0);
    // Both sessions expired in one look of the controller: the last ISR member may lead again when it is back.
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "restartBroker", "broker": leader }));
        cluster.advance(30_000.0);
    });
    let partition = cluster.partition("orders", 0);
    assert_eq!(partition.isr.len(), 2);
    cluster.assert_replicas_equal("orders");
    let truncated = seen.iter().any(|event| event.kind == "truncated");
    let survived = cluster.values("orders", 0).contains(&"lost".to_owned());
    assert_ne!(truncated, survived, "the record is either cut off or on every replica");
}

#[test]
fn without_enough_in_sync_replicas_acks_all_is_refused_and_the_high_watermark_stands_still() {
    let mut cluster = Cluster::of_brokers(3);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 3, "configs": { "min.insync.replicas": "3" } }));
    cluster.advance(1_000.0);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let follower = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.apply(json!({ "type": "crashBroker", "broker": follower }));
    cluster.advance(15_000.0);
    let before = cluster.partition("orders", 0);
    assert_eq!(before.isr.len(), 2);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "addProducer", "id": "careful", "topic": "orders", "configs": { "acks": "all", "retries": "2" } }));
        cluster.apply(json!({ "type": "addProducer", "id": "hasty", "topic": "orders", "configs": { "acks": "1" } }));
        cluster.advance(100.0);
        cluster.apply(json!({ "type": "send", "producer": "careful", "topic": "orders", "value": "refused" }));
        cluster.apply(json!({ "type": "send", "producer": "hasty", "topic": "orders", "value": "appended" }));
        cluster.advance(5_000.0);
    });
    assert!(seen.iter().any(|event| event.kind == "recordFailed" && event.error == Some("NOT_ENOUGH_REPLICAS")));
    let leader_replica = |cluster: &Cluster| {
        cluster.partition("orders", 0).replicas.into_iter().find(|replica| replica.broker == leader).expect("the leader")
    };
    assert_eq!((leader_replica(&cluster).log_end_offset, leader_replica(&cluster).high_watermark), (1, 0));
    assert!(cluster.values("orders", 0).is_empty(), "nothing above the high watermark is readable");
    cluster.apply(json!({ "type": "restartBroker", "broker": follower }));
    cluster.advance(15_000.0);
    assert_eq!(leader_replica(&cluster).high_watermark, 1);
}

#[test]
fn a_group_shares_partitions_and_rebalances_when_members_come_go_and_die() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.consumer("a", "billing");
    cluster.advance(5_000.0);
    assert_eq!(cluster.owned("billing"), [("a".to_owned(), vec![0, 1, 2])]);
    let first = cluster.group("billing").generation;
    cluster.consumer("b", "billing");
    cluster.advance(10_000.0);
    assert_eq!(cluster.group("billing").state, "Stable");
    assert!(first < cluster.group("billing").generation);
    assert_eq!(cluster.shares("billing"), [1, 2]);
    // More members than partitions: the rest owns nothing.
    for id in ["c", "d"] {
        cluster.consumer(id, "billing");
    }
    cluster.advance(10_000.0);
    assert_eq!(cluster.shares("billing"), [0, 1, 1, 1]);
    // One leaves, which is noticed at once; one dies, which is noticed when its session expires.
    cluster.apply(json!({ "type": "removeConsumer", "id": "a" }));
    cluster.advance(5_000.0);
    assert_eq!(cluster.group("billing").members.len(), 3);
    cluster.apply(json!({ "type": "crashConsumer", "id": "b" }));
    cluster.advance(40_000.0);
    assert_eq!(cluster.group("billing").members.len(), 3, "session.timeout.ms is 45 s");
    cluster.advance(15_000.0);
    assert_eq!(cluster.group("billing").members.len(), 2);
    assert_eq!(cluster.shares("billing"), [1, 2]);
}

#[test]
fn a_consumer_resumes_at_the_committed_offset_and_not_at_its_position() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let consumer = json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": { "auto.offset.reset": "earliest", "enable.auto.commit": "false" } });
    cluster.apply(consumer.clone());
    cluster.advance(2_000.0);
    for value in ["one", "two"] {
        cluster.send("orders", Some("k"), value);
    }
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "commit", "consumer": "reader" }));
    cluster.advance(1_000.0);
    cluster.send("orders", Some("k"), "three");
    cluster.advance(1_000.0);
    assert_eq!(cluster.position("reader", "orders", 0), Some(3));
    assert_eq!(cluster.committed("g", "orders", 0), Some(2));
    cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
    cluster.advance(1_000.0);
    cluster.apply(consumer);
    let seen = cluster.events_after(|cluster| cluster.advance(5_000.0));
    let redelivered: Vec<i64> =
        seen.iter().filter(|event| event.kind == "recordDelivered").filter_map(|event| event.detail["firstOffset"].as_i64()).collect();
    assert_eq!(redelivered, [2], "the third record comes a second time, the others do not");
}

#[test]
fn committed_offsets_and_the_group_survive_the_crash_of_their_coordinator() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.consumer("a", "g");
    cluster.consumer("b", "g");
    cluster.advance(3_000.0);
    for key in ["a", "b", "c", "d", "e", "f"] {
        cluster.send("orders", Some(key), "v");
    }
    cluster.advance(15_000.0);
    let before = cluster.group("g");
    assert_eq!(before.offsets.iter().filter_map(|offset| offset.committed).sum::<i64>(), 6);
    cluster.apply(json!({ "type": "crashBroker", "broker": before.coordinator }));
    cluster.advance(30_000.0);
    let after = cluster.group("g");
    assert_ne!(after.coordinator, before.coordinator);
    assert_eq!(after.state, "Stable");
    assert_eq!(after.members.len(), 2);
    assert_eq!(after.generation, before.generation, "the group was loaded from its records: no rebalance");
    let offsets =
        |group: &brokerlab::view::GroupView| group.offsets.iter().map(|offset| (offset.partition, offset.committed)).collect::<Vec<_>>();
    assert_eq!(offsets(&after), offsets(&before));
}

#[test]
fn with_acks_0_nothing_is_known_of_a_record_that_a_dead_leader_never_got() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "blind", "topic": "orders", "configs": { "acks": "0" } }));
    cluster.advance(100.0);
    cluster.apply(json!({ "type": "send", "producer": "blind", "topic": "orders", "key": "k", "value": "first" }));
    cluster.advance(1_000.0);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    cluster.apply(json!({ "type": "send", "producer": "blind", "topic": "orders", "key": "k", "value": "second" }));
    // It leaves after linger.ms, and is on its way when the leader dies.
    cluster.advance(5.1);
    cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
    cluster.advance(1_000.0);
    let producer = cluster.view().producers.into_iter().find(|producer| producer.id == "blind").expect("the producer");
    assert_eq!((producer.sent, producer.acknowledged, producer.failed), (2, 2, 0), "acks=0 counts a record as sent when it leaves");
    cluster.advance(30_000.0);
    assert_eq!(cluster.values("orders", 0), ["first"]);
}

#[test]
fn a_producer_tries_a_dead_leader_s_connection_again_and_not_its_requests() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 20, "configs": { "acks": "all" } }));
    cluster.advance(2_000.0);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let dead = format!("broker-{leader}");
    // Until the controller gives the leader up, after 9 s, nobody else may be asked.
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "crashBroker", "broker": leader }));
        cluster.advance(8_000.0);
    });
    let asked = |api: &str| {
        let to_dead = |event: &&brokerlab::view::EventView| {
            event.node == "shop" && event.kind == "requestSent" && event.detail["api"] == api && event.detail["to"] == dead.as_str()
        };
        seen.iter().filter(to_dead).map(|event| event.time).collect::<Vec<f64>>()
    };
    assert_eq!(asked("Produce"), [] as [f64; 0]);
    // reconnect.backoff.ms doubles from 50 ms to reconnect.backoff.max.ms, a fifth more or less: 50, 100, 200, 400, 800, 1000, ...
    let tries = asked("ApiVersions");
    assert!((9..=13).contains(&tries.len()), "{tries:?}");
    let waits: Vec<f64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let expected = [100.0, 200.0, 400.0, 800.0, 1_000.0, 1_000.0];
    for (wait, expected) in waits.iter().zip(expected) {
        // A try and its refusal take up to 2.4 ms on the way.
        assert!((0.8 * expected..=1.2 * expected + 2.4).contains(wait), "{waits:?}");
    }
    let producer = cluster.view().producers.into_iter().find(|producer| producer.id == "shop").expect("the producer");
    assert_eq!(producer.failed, 0);
    cluster.advance(30_000.0);
    cluster.apply(json!({ "type": "removeProducer", "id": "shop" }));
    cluster.advance(5_000.0);
    let known = cluster.acknowledged_offsets("orders").len();
    assert!(600 < known, "{known}: what waited goes to the new leader");
}

#[test]
fn a_consumer_that_closes_waits_for_its_last_answers_quietly() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.apply(
        json!({ "type": "addConsumer", "id": "reader", "group": "g", "topics": ["orders"], "configs": { "fetch.max.wait.ms": "5000" } }),
    );
    cluster.advance(5_000.0);
    // A broker dies and with it a connection: metadata is due, which a consumer that closes does not ask for any more. It still waits for the
    // answers of its fetches from the others, up to fetch.max.wait.ms.
    let coordinator = cluster.group("g").coordinator.expect("a coordinator");
    cluster.apply(json!({ "type": "removeConsumer", "id": "reader" }));
    cluster.apply(json!({ "type": "crashBroker", "broker": coordinator }));
    let before = cluster.session.world().events();
    cluster.advance(5_000.0);
    let events = cluster.session.world().events() - before;
    assert!(events < 1_000, "{events} events in five seconds of a cluster with nothing to do");
}

#[test]
fn a_topic_that_does_not_exist_is_made_on_the_way_as_kafka_does_by_default() {
    let mut cluster = Cluster::of_brokers(3);
    cluster.send("fresh", Some("k"), "v");
    cluster.advance(5_000.0);
    assert_eq!(cluster.view().topics.iter().find(|topic| topic.name == "fresh").expect("the topic").partitions.len(), 1);
    assert_eq!(cluster.values("fresh", 0), ["v"]);
}

#[test]
fn refusals_carry_kafkas_name_and_change_nothing() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    let hash = cluster.session.trace_hash();
    for (command, code, field) in [
        (json!({ "type": "createTopic", "name": "no/good", "partitions": 1, "replicationFactor": 1 }), "INVALID_TOPIC_EXCEPTION", "name"),
        (json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1 }), "TOPIC_ALREADY_EXISTS", "name"),
        (json!({ "type": "createTopic", "name": "x", "partitions": 0, "replicationFactor": 1 }), "INVALID_PARTITIONS", "partitions"),
        (
            json!({ "type": "createTopic", "name": "x", "partitions": 1, "replicationFactor": 4 }),
            "INVALID_REPLICATION_FACTOR",
            "replicationFactor",
        ),
        (
            json!({ "type": "createTopic", "name": "x", "partitions": 1, "replicationFactor": 1, "configs": { "min.insync.replicas": "0" } }),
            "INVALID_CONFIG",
            "configs.min.insync.replicas",
        ),
        (json!({ "type": "addProducer", "id": "p", "topic": "orders", "configs": { "acks": "2" } }), "INVALID_CONFIG", "configs.acks"),
        (json!({ "type": "removeConsumer", "id": "nobody" }), "UNKNOWN_MEMBER_ID", "id"),
        (json!({ "type": "crashBroker", "broker": 9 }), "BROKER_ID_NOT_REGISTERED", "broker"),
        (json!({ "type": "send", "topic": "orders", "value": "v", "partition": 7 }), "UNKNOWN_TOPIC_OR_PARTITION", "partition"),
        (json!({ "type": "electLeader", "topic": "orders", "partition": 0 }), "ELECTION_NOT_NEEDED", "partition"),
        (json!({ "type": "moveCoordinator", "group": "g", "broker": 1 }), "COORDINATOR_NOT_AVAILABLE", "group"),
        (json!({ "type": "noSuchCommand" }), "INVALID_ARGUMENT", "type"),
        (json!({ "type": "crashBroker", "broker": "one" }), "INVALID_ARGUMENT", "broker"),
        (json!({ "type": "crashBroker" }), "INVALID_ARGUMENT", "broker"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}");
        assert!(!refusal.message.is_empty());
        assert_eq!(cluster.session.trace_hash(), hash, "{command} changed something");
    }
}

#[test]
fn a_command_has_one_json_form() {
    let json = json!({ "type": "crashBroker", "broker": 2 });
    let command = brokerlab::session::parse_command(json.clone()).expect("a command");
    assert_eq!(command, Command::CrashBroker { broker: 2 });
    assert_eq!(serde_json::to_value(&command).expect("JSON"), json);
}

#[test]
fn a_consumer_waits_before_it_asks_a_dead_leader_again() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.consumer("one", "g");
    cluster.advance(10_000.0);
    let (before, woken) = (cluster.session.event_count(), cluster.session.world().events());
    cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
    cluster.advance(8_000.0);
    // As Kafka's clients wait: 50 ms at the least between two connections to a broker that is not there.
    let lost = |kind: &NoteKind| matches!(kind, NoteKind::MessageDropped { .. });
    let dropped = cluster.session.trace().since(before).filter(|(_, note)| lost(&note.kind)).count();
    assert!(dropped < 8_000 / 50 * 2, "{dropped} messages to a dead broker in eight seconds");
    // Nor does it wake all the time to see whether it is time.
    let woken = cluster.session.world().events() - woken;
    assert!(woken < 8_000, "{woken} events in eight seconds");
}

#[test]
fn a_member_that_is_at_work_when_a_rebalance_begins_keeps_its_heartbeat_and_does_not_spin() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 2, 3);
    let slow = json!({ "type": "addConsumer", "id": "slow", "group": "g", "topics": ["orders"], "processingMs": 30_000,
        "configs": { "auto.offset.reset": "earliest", "session.timeout.ms": "10000", "max.poll.records": "1" } });
    cluster.apply(slow);
    cluster.advance(5_000.0);
    for key in ["a", "b", "c"] {
        cluster.send("orders", Some(key), "v");
    }
    cluster.advance(2_000.0);
    let woken = cluster.session.world().events();
    let seen = cluster.events_after(|cluster| {
        cluster.consumer("other", "g");
        cluster.advance(20_000.0);
    });
    // The slow one learns of the rebalance while it works: it joins when its record is done, and lives until then.
    assert!(seen.iter().all(|event| event.kind != "memberLeft"), "a heartbeat beats beside the work");
    let woken = cluster.session.world().events() - woken;
    assert!(woken < 20_000, "{woken} events in twenty seconds");
    cluster.advance(20_000.0);
    assert_eq!(cluster.group("g").state, "Stable");
    assert_eq!(cluster.shares("g"), [1, 1]);
}
