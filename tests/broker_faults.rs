#![cfg(not(target_arch = "wasm32"))]
//! Brokers that lose power, stand still, stop in good order or have a wrong clock: what is lost, who leads, and what comes back.

mod cluster;

use brokerlab::view::{BrokerState, EventView, MessageQuery, ReplicaView, messages};
use cluster::Cluster;
use serde_json::{Value, json};

fn producer(cluster: &mut Cluster, id: &str, configs: Value) {
    let mut all = json!({ "linger.ms": "0" });
    all.as_object_mut().expect("an object").extend(configs.as_object().expect("an object").clone());
    cluster.apply(json!({ "type": "addProducer", "id": id, "topic": "orders", "configs": all }));
    cluster.advance(100.0);
}

fn send(cluster: &mut Cluster, producer: &str, value: &str) {
    cluster.apply(json!({ "type": "send", "producer": producer, "topic": "orders", "partition": 0, "value": value }));
}

fn on_broker(cluster: &mut Cluster, fault: &str, broker: i32) {
    cluster.apply(json!({ "type": fault, "broker": broker }));
}

fn cut(cluster: &mut Cluster, from: i32, to: i32) {
    cluster.apply(json!({ "type": "setLink", "from": format!("broker-{from}"), "to": format!("broker-{to}"), "cut": true }));
}

fn others(cluster: &Cluster, id: i32) -> Vec<i32> {
    cluster.partition("orders", 0).replicas.iter().map(|replica| replica.broker).filter(|broker| *broker != id).collect()
}

fn replica(cluster: &Cluster, broker: i32) -> ReplicaView {
    cluster.partition("orders", 0).replicas.into_iter().find(|replica| replica.broker == broker).expect("a replica")
}

fn state(cluster: &Cluster, broker: i32) -> BrokerState {
    cluster.view().brokers[broker as usize - 1].state
}

fn of_kind(events: &[EventView], kind: &str) -> Vec<EventView> {
    events.iter().filter(|event| event.kind == kind).cloned().collect()
}

/// Leader and followers of `orders`-0, and a producer of each kind that has its connections, with a record of each that everybody has.
fn warm(configs: Value) -> (Cluster, i32, Vec<i32>) {
    let mut cluster = Cluster::configured(3, configs).topic("orders", 1, 3);
    producer(&mut cluster, "hasty", json!({ "acks": "1" }));
    producer(&mut cluster, "careful", json!({ "acks": "all" }));
    for (id, value) in [("careful", "first"), ("hasty", "other")] {
        send(&mut cluster, id, value);
        cluster.advance(1_000.0);
    }
    let leader = cluster.leader("orders", 0);
    let followers = others(&cluster, leader);
    (cluster, leader, followers)
}

#[test]
fn an_acks_1_record_is_lost_with_a_leader_that_crashes_before_it_is_replicated_and_acks_all_is_not() {
    let (mut cluster, old, followers) = warm(json!({}));
    for follower in &followers {
        cut(&mut cluster, *follower, old);
    }
    let seen = cluster.events_after(|cluster| {
        // The followers' polls that are waiting already would still be answered: they get this one.
        send(cluster, "careful", "second");
        cluster.advance(100.0);
        send(cluster, "hasty", "lost");
        cluster.advance(100.0);
    });
    let acknowledged = of_kind(&seen, "recordAcknowledged");
    assert_eq!(acknowledged.iter().map(|event| event.node.as_str()).collect::<Vec<_>>(), ["hasty"], "acks=1 says yes, acks=all waits");
    assert_eq!(replica(&cluster, old).log_end_offset, 4);
    on_broker(&mut cluster, "crashBroker", old);
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
    cluster.advance(60_000.0);
    // The careful one could not know that its record was safe already, and sent it again: the new leader knew it.
    assert_eq!(cluster.values("orders", 0), ["first", "other", "second"]);
    on_broker(&mut cluster, "restartBroker", old);
    let seen = cluster.events_after(|cluster| cluster.advance(20_000.0));
    assert_eq!(of_kind(&seen, "truncated").len(), 1, "what only it had is cut off");
    cluster.assert_replicas_equal("orders");
    assert_eq!(cluster.values("orders", 0), ["first", "other", "second"]);
}

#[test]
fn a_process_crash_loses_nothing_and_a_power_loss_everything_that_was_not_flushed() {
    for (fault, kept, lost) in [("crashBroker", 3, 0), ("powerLoss", 0, 1)] {
        let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 1);
        producer(&mut cluster, "p", json!({ "acks": "all" }));
        for value in ["a", "b", "c"] {
            send(&mut cluster, "p", value);
        }
        cluster.advance(1_000.0);
        let only = cluster.leader("orders", 0);
        let seen = cluster.events_after(|cluster| on_broker(cluster, fault, only));
        assert_eq!(of_kind(&seen, "brokerCrashed").len(), 1, "{fault}");
        let records_lost = of_kind(&seen, "recordsLost");
        assert_eq!(records_lost.len(), lost, "{fault}");
        if let Some(event) = records_lost.first() {
            assert_eq!((event.detail["from"].as_i64(), event.detail["to"].as_i64()), (Some(0), Some(3)));
            assert_eq!(event.text, "Loses offsets 0 to 2 of orders-0, which no flush had forced to disk");
        }
        assert_eq!(state(&cluster, only), BrokerState::Crashed);
        cluster.advance(15_000.0);
        on_broker(&mut cluster, "restartBroker", only);
        cluster.advance(10_000.0);
        assert_eq!(cluster.values("orders", 0).len(), kept, "{fault}: acks=all is only as good as the replicas are many");
    }
}

#[test]
fn what_has_been_in_the_page_cache_for_half_a_minute_is_on_the_disk() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 1);
    producer(&mut cluster, "p", json!({}));
    send(&mut cluster, "p", "old");
    // Dirty for thirty seconds, seen at one of the flusher's wake-ups every five, and written at another.
    cluster.advance(30_000.0 + 2.0 * 5_000.0);
    send(&mut cluster, "p", "new");
    cluster.advance(29_000.0);
    let only = cluster.leader("orders", 0);
    let seen = cluster.events_after(|cluster| on_broker(cluster, "powerLoss", only));
    let lost = of_kind(&seen, "recordsLost");
    assert_eq!((lost[0].detail["from"].as_i64(), lost[0].detail["to"].as_i64()), (Some(1), Some(2)));
}

#[test]
fn power_loss_of_a_leader_loses_records_only_there_and_the_followers_copy_wins() {
    let (mut cluster, old, _) = warm(json!({}));
    for value in ["second", "third"] {
        send(&mut cluster, "careful", value);
    }
    cluster.advance(1_000.0);
    let seen = cluster.events_after(|cluster| on_broker(cluster, "powerLoss", old));
    assert!(of_kind(&seen, "recordsLost").iter().any(|event| event.partition == Some(0) && event.topic.as_deref() == Some("orders")));
    assert_eq!(replica(&cluster, old).log_end_offset, 0);
    cluster.advance(15_000.0);
    assert_ne!(cluster.leader("orders", 0), old);
    assert_eq!(cluster.values("orders", 0), ["first", "other", "second", "third"]);
    on_broker(&mut cluster, "restartBroker", old);
    cluster.advance(20_000.0);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 3);
    cluster.assert_replicas_equal("orders");
    assert_eq!(cluster.values("orders", 0), ["first", "other", "second", "third"]);
}

#[test]
fn a_frozen_leader_is_replaced_and_what_it_takes_on_waking_is_cut_off_by_epoch() {
    let (mut cluster, old, followers) = warm(json!({}));
    let epoch = cluster.partition("orders", 0).leader_epoch;
    let frozen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "freezeBroker", "broker": old, "ms": 20_000 }));
        send(cluster, "hasty", "stale");
        cluster.advance(19_900.0);
    });
    assert_eq!(of_kind(&frozen, "brokerFrozen")[0].text, "Stands still for 20000 ms: what comes waits");
    assert_eq!(state(&cluster, old), BrokerState::Frozen);
    assert!(of_kind(&frozen, "recordAcknowledged").is_empty());
    let fenced = of_kind(&frozen, "brokerFenced");
    assert_eq!(fenced.len(), 1, "its session has expired");
    let new = cluster.partition("orders", 0);
    assert!(new.leader.is_some_and(|leader| followers.contains(&leader)) && new.leader_epoch == epoch + 1);
    let seen = cluster.events_after(|cluster| cluster.advance(30_000.0));
    // It wakes and does not know better: it takes the record that waited, answers yes, and hears of the other leader a moment later.
    assert_eq!(of_kind(&seen, "brokerThawed").len(), 1);
    let stale = of_kind(&seen, "recordAppended").into_iter().find(|event| event.node == format!("broker-{old}")).expect("an append");
    assert_eq!(stale.detail["leaderEpoch"].as_i64(), Some(i64::from(epoch)), "in the old epoch");
    assert_eq!(of_kind(&seen, "recordAcknowledged").len(), 1);
    let truncated = of_kind(&seen, "truncated");
    assert_eq!((truncated.len(), truncated[0].detail["to"].as_i64()), (1, Some(2)));
    cluster.assert_replicas_equal("orders");
    assert_eq!(cluster.values("orders", 0), ["first", "other"], "acknowledged with acks=1 and lost");
    assert_eq!((state(&cluster, old), cluster.partition("orders", 0).isr.len()), (BrokerState::Running, 3));
}

#[test]
fn acks_all_to_a_frozen_leader_is_only_said_to_be_safe_when_it_is() {
    let (mut cluster, old, _) = warm(json!({}));
    cluster.apply(json!({ "type": "freezeBroker", "broker": old, "ms": 20_000 }));
    send(&mut cluster, "careful", "second");
    cluster.advance(120_000.0);
    let logs = cluster.values("orders", 0);
    assert!(logs.contains(&"second".to_owned()));
    let acknowledged = cluster.acknowledged_offsets("orders");
    assert!(acknowledged.iter().all(|(_, offset)| (*offset as usize) < logs.len()));
    cluster.assert_replicas_equal("orders");
}

#[test]
fn a_short_freeze_only_delays_and_a_second_one_lengthens_it() {
    let (mut cluster, leader, _) = warm(json!({}));
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "freezeBroker", "broker": leader, "ms": 2_000 }));
        send(cluster, "hasty", "v");
        cluster.advance(1_000.0);
        cluster.apply(json!({ "type": "freezeBroker", "broker": leader, "ms": 500 }));
        cluster.apply(json!({ "type": "freezeBroker", "broker": leader, "ms": 3_000 }));
        cluster.advance(10_000.0);
    });
    let (thawed, acknowledged) = (of_kind(&seen, "brokerThawed"), of_kind(&seen, "recordAcknowledged"));
    let frozen = of_kind(&seen, "brokerFrozen");
    assert_eq!((thawed.len(), thawed[0].time - frozen[0].time), (1, 4_000.0));
    assert!((0.8..=1.2).contains(&(acknowledged[0].time - thawed[0].time)), "one hop after it goes on");
    assert!(of_kind(&seen, "brokerFenced").is_empty());
    assert_eq!(cluster.partition("orders", 0).leader, Some(leader));
}

#[test]
fn a_controlled_shutdown_moves_leaderships_first_and_loses_nothing() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 6, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 200, "keys": ["a", "b", "c", "d", "e", "f", "g", "h"],
        "configs": { "acks": "all" } }));
    cluster.advance(2_000.0);
    let seen = cluster.events_after(|cluster| {
        on_broker(cluster, "stopBroker", 1);
        assert_eq!(state(cluster, 1), BrokerState::Stopping);
        cluster.advance(6_000.0);
    });
    let stopped = of_kind(&seen, "brokerStopped");
    assert_eq!(stopped.len(), 1);
    assert_eq!(state(&cluster, 1), BrokerState::Stopped);
    // Two hops for the first answer, fifty milliseconds to the second question; then the others' heartbeats must tell that they have heard.
    let took = stopped[0].time - of_kind(&seen, "brokerStopping")[0].time;
    assert!((50.0..=2_000.0 + 2_000.0 + 60.0).contains(&took), "{took}");
    let elected = of_kind(&seen, "leaderElected");
    assert_eq!(elected.len(), 2, "it led two of six");
    assert!(elected.iter().all(|event| event.time < stopped[0].time && event.detail["leader"] != 1));
    assert!(cluster.view().topics[0].partitions.iter().all(|partition| !partition.isr.contains(&1) && partition.leader != Some(1)));
    // No session had to expire, and nobody failed.
    assert!(of_kind(&seen, "recordFailed").is_empty());
    cluster.apply(json!({ "type": "removeProducer", "id": "shop" }));
    on_broker(&mut cluster, "restartBroker", 1);
    cluster.advance(1_000.0);
    assert_eq!(state(&cluster, 1), BrokerState::Running, "it need not wait for its old session");
    cluster.advance(10_000.0);
    assert!(cluster.view().topics[0].partitions.iter().all(|partition| partition.isr.len() == 3));
    cluster.assert_replicas_equal("orders");
    let logs: Vec<usize> = (0..6).map(|partition| cluster.values("orders", partition).len()).collect();
    let acknowledged = cluster.acknowledged_offsets("orders");
    assert!(1_000 < acknowledged.len() && acknowledged.iter().all(|(partition, offset)| (*offset as usize) < logs[*partition as usize]));
}

#[test]
fn a_stopped_broker_has_flushed_its_logs() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    producer(&mut cluster, "p", json!({}));
    send(&mut cluster, "p", "v");
    cluster.advance(1_000.0);
    on_broker(&mut cluster, "stopBroker", 1);
    cluster.advance(6_000.0);
    assert_eq!(state(&cluster, 1), BrokerState::Stopped);
    assert_eq!(cluster.partition("orders", 0).leader, None, "nobody else has it");
    on_broker(&mut cluster, "restartBroker", 1);
    // Up again for less than the page cache keeps anything: the record was on the disk before.
    cluster.advance(2_000.0);
    let seen = cluster.events_after(|cluster| on_broker(cluster, "powerLoss", 1));
    assert!(of_kind(&seen, "recordsLost").is_empty());
    cluster.advance(15_000.0);
    on_broker(&mut cluster, "restartBroker", 1);
    cluster.advance(5_000.0);
    assert_eq!(cluster.values("orders", 0), ["v"]);
}

#[test]
fn without_controlled_shutdown_a_broker_just_ends_and_its_session_must_expire() {
    let mut cluster = Cluster::configured(3, json!({ "controlled.shutdown.enable": "false" })).topic("orders", 3, 3);
    let before = cluster.partition("orders", 0);
    let old = before.leader.expect("a leader");
    on_broker(&mut cluster, "stopBroker", old);
    assert_eq!(state(&cluster, old), BrokerState::Stopped, "at once");
    cluster.advance(5_000.0);
    assert_eq!(cluster.partition("orders", 0).leader, Some(old));
    cluster.advance(10_000.0);
    assert_ne!(cluster.partition("orders", 0).leader, Some(old));
}

#[test]
fn a_broker_that_cannot_reach_the_controller_stops_after_five_minutes_all_the_same() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.apply(json!({ "type": "setLink", "from": "broker-2", "to": "controller-1", "cut": true }));
    on_broker(&mut cluster, "stopBroker", 2);
    cluster.advance(299_999.0);
    assert_eq!(state(&cluster, 2), BrokerState::Stopping);
    cluster.advance(2.0);
    assert_eq!(state(&cluster, 2), BrokerState::Stopped);
}

#[test]
fn a_frozen_broker_hears_that_it_should_stop_when_it_goes_on() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.apply(json!({ "type": "freezeBroker", "broker": 1, "ms": 3_000 }));
    on_broker(&mut cluster, "stopBroker", 1);
    assert_eq!(state(&cluster, 1), BrokerState::Frozen);
    cluster.advance(2_900.0);
    assert_eq!(state(&cluster, 1), BrokerState::Frozen);
    cluster.advance(150.0);
    assert_eq!(state(&cluster, 1), BrokerState::Stopping);
    cluster.advance(6_000.0);
    assert_eq!(state(&cluster, 1), BrokerState::Stopped);
}

#[test]
fn the_last_member_of_an_isr_that_stops_leaves_its_partition_without_a_leader() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 1);
    let only = cluster.leader("orders", 0);
    on_broker(&mut cluster, "stopBroker", only);
    cluster.advance(6_000.0);
    let partition = cluster.partition("orders", 0);
    assert_eq!((partition.leader, partition.isr, partition.eligible_leader_replicas), (None, vec![], vec![only]));
    let seen = cluster.events_after(|cluster| {
        on_broker(cluster, "restartBroker", only);
        cluster.advance(2_000.0);
    });
    assert_eq!(cluster.partition("orders", 0).leader, Some(only));
    assert!(!seen.iter().any(|event| event.kind == "uncleanElection"), "it stopped in good order");
}

#[test]
fn a_broker_with_a_wrong_clock_stamps_records_wrongly_and_refuses_honest_ones() {
    const START: i64 = 1_767_225_600_000;
    let mut cluster = Cluster::of_brokers(1);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 1, "replicationFactor": 1, "configs": { "message.timestamp.type": "LogAppendTime" } }));
    cluster.apply(json!({ "type": "createTopic", "name": "honest", "partitions": 1, "replicationFactor": 1 }));
    cluster.advance(1_000.0);
    producer(&mut cluster, "p", json!({ "retries": "0" }));
    let hour = 3_600_000;
    for skew in [0, hour, -hour] {
        cluster.apply(json!({ "type": "skewClock", "broker": 1, "ms": skew }));
        send(&mut cluster, "p", "v");
        cluster.advance(100.0);
        let query = MessageQuery { topic: "orders".to_owned(), partition: 0, offset: None, max: None, isolation: None };
        let last = messages(&cluster.session, &query).expect("it").pop().expect("a record");
        let wrong_by = last.timestamp - START - cluster.view().time as i64;
        assert!((skew - 100..=skew).contains(&wrong_by), "{wrong_by}");
        assert_eq!(cluster.view().brokers[0].clock_skew_ms, Some(skew).filter(|skew| *skew != 0));
    }
    // To a clock that is more than message.timestamp.after.max.ms (an hour) behind, the producer's true time is too far in the future.
    let fate = |cluster: &mut Cluster| {
        let seen = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "send", "producer": "p", "topic": "honest", "partition": 0, "value": "v" }));
            cluster.advance(500.0);
        });
        of_kind(&seen, "recordFailed").first().and_then(|event| event.error)
    };
    assert_eq!(fate(&mut cluster), None);
    cluster.apply(json!({ "type": "skewClock", "broker": 1, "ms": -hour - 1_000 }));
    assert_eq!(fate(&mut cluster), Some("INVALID_TIMESTAMP"));
    // The clock is the machine's: another process finds it as it was.
    on_broker(&mut cluster, "crashBroker", 1);
    cluster.advance(10_000.0);
    on_broker(&mut cluster, "restartBroker", 1);
    cluster.advance(5_000.0);
    assert_eq!(fate(&mut cluster), Some("INVALID_TIMESTAMP"));
    // A producer that is added now has the true time, not that of any broker.
    cluster.apply(json!({ "type": "skewClock", "broker": 1, "ms": 0 }));
    assert_eq!(fate(&mut cluster), None);
}

#[test]
fn broker_faults_are_part_of_the_history_and_can_be_undone() {
    let (mut cluster, leader, followers) = warm(json!({}));
    let before = cluster.view();
    cluster.apply(json!({ "type": "freezeBroker", "broker": leader, "ms": 12_000.5 }));
    on_broker(&mut cluster, "powerLoss", followers[0]);
    on_broker(&mut cluster, "stopBroker", followers[1]);
    cluster.apply(json!({ "type": "skewClock", "broker": leader, "ms": -5 }));
    cluster.advance(30_000.0);
    let again = brokerlab::session::Session::load(&cluster.session.save()).expect("it loads");
    assert_eq!(again.trace_hash(), cluster.session.trace_hash());
    assert_eq!(brokerlab::view::view(&again).brokers, cluster.view().brokers);
    let hash = cluster.session.trace_hash();
    for _ in 0..4 {
        assert!(cluster.session.undo());
    }
    assert!(cluster.view().brokers.iter().all(|broker| broker.state == BrokerState::Running));
    assert_eq!(cluster.view().topics[0].partitions[0].leader_epoch, before.topics[0].partitions[0].leader_epoch);
    for _ in 0..4 {
        assert!(cluster.session.redo());
    }
    assert_eq!(cluster.session.trace_hash(), hash);
}

#[test]
fn broker_faults_that_make_no_sense_are_refused() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    on_broker(&mut cluster, "crashBroker", 3);
    on_broker(&mut cluster, "stopBroker", 2);
    cluster.advance(100.0);
    let hash = cluster.session.trace_hash();
    for (command, code, field) in [
        (json!({ "type": "powerLoss", "broker": 3 }), "BROKER_NOT_AVAILABLE", "broker"),
        (json!({ "type": "stopBroker", "broker": 3 }), "BROKER_NOT_AVAILABLE", "broker"),
        (json!({ "type": "freezeBroker", "broker": 3, "ms": 5 }), "BROKER_NOT_AVAILABLE", "broker"),
        (json!({ "type": "powerLoss", "broker": 9 }), "BROKER_ID_NOT_REGISTERED", "broker"),
        (json!({ "type": "stopBroker", "broker": 9 }), "BROKER_ID_NOT_REGISTERED", "broker"),
        (json!({ "type": "freezeBroker", "broker": 9, "ms": 5 }), "BROKER_ID_NOT_REGISTERED", "broker"),
        (json!({ "type": "skewClock", "broker": 9, "ms": 5 }), "BROKER_ID_NOT_REGISTERED", "broker"),
        (json!({ "type": "stopBroker", "broker": 2 }), "INVALID_ARGUMENT", "broker"),
        (json!({ "type": "restartBroker", "broker": 2 }), "INVALID_ARGUMENT", "broker"),
        (json!({ "type": "freezeBroker", "broker": 1, "ms": -1 }), "INVALID_ARGUMENT", "ms"),
        (json!({ "type": "freezeBroker", "broker": 1, "ms": 3_600_001 }), "INVALID_ARGUMENT", "ms"),
        (json!({ "type": "freezeBroker", "broker": 1 }), "INVALID_ARGUMENT", "ms"),
        (json!({ "type": "skewClock", "broker": 1, "ms": i64::MIN }), "INVALID_ARGUMENT", "ms"),
        (json!({ "type": "skewClock", "broker": 1, "ms": "much" }), "INVALID_ARGUMENT", "ms"),
        (json!({ "type": "slowDisk", "broker": 9, "factor": 2 }), "BROKER_ID_NOT_REGISTERED", "broker"),
        (json!({ "type": "slowDisk", "broker": 1, "factor": 0.9 }), "INVALID_ARGUMENT", "factor"),
        (json!({ "type": "slowDisk", "broker": 1, "factor": 1e9 }), "INVALID_ARGUMENT", "factor"),
        (json!({ "type": "crashController", "controller": 2 }), "UNKNOWN_CONTROLLER_ID", "controller"),
        (json!({ "type": "restartController", "controller": 1 }), "INVALID_ARGUMENT", "controller"),
        (json!({ "type": "crashController" }), "INVALID_ARGUMENT", "controller"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}");
        assert_eq!(cluster.session.trace_hash(), hash, "{command} changed something");
    }
}
