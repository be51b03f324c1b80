#![cfg(not(target_arch = "wasm32"))]
//! Brokers that join a running cluster and leave it (`ReplicationControlManager.unregisterBroker`).

mod cluster;

use brokerlab::session::Session;
use cluster::Cluster;
use serde_json::json;

fn brokers(cluster: &Cluster) -> Vec<(i32, &'static str)> {
    cluster.view().brokers.into_iter().map(|broker| (broker.id, broker.state.name())).collect()
}

#[test]
fn a_broker_that_is_added_registers_and_takes_part() {
    let mut cluster = Cluster::of_brokers(3);
    cluster.apply(json!({ "type": "addBroker", "rack": "cellar" }));
    assert_eq!(brokers(&cluster)[3], (4, "fenced"), "until it has caught up with the metadata log");
    cluster.advance(2_000.0);
    assert_eq!(brokers(&cluster), [(1, "running"), (2, "running"), (3, "running"), (4, "running")]);
    assert_eq!(cluster.view().brokers[3].rack.as_deref(), Some("cellar"));
    cluster.apply(json!({ "type": "addBroker", "broker": 0 }));
    cluster.apply(json!({ "type": "addBroker", "broker": 8 }));
    cluster.apply(json!({ "type": "addBroker" }));
    cluster.advance(2_000.0);
    assert_eq!(brokers(&cluster).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 8, 9]);
    let mut cluster = cluster.topic("orders", 7, 7);
    cluster.send("orders", None, "for all");
    cluster.advance(1_000.0);
    cluster.assert_replicas_equal("orders");
    assert_eq!(cluster.partition("orders", 0).isr.len(), 7);
}

#[test]
fn a_broker_that_is_refused_registers_again_with_its_next_heartbeat() {
    let mut cluster = Cluster::configured(3, json!({ "broker.heartbeat.interval.ms": "3000" }));
    cluster.advance(5_000.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": 3 }));
    // The session of its former process has not ended yet (DUPLICATE_BROKER_REGISTRATION).
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "restartBroker", "broker": 3 }));
        cluster.advance(20_000.0);
    });
    let is_asked = |event: &&brokerlab::view::EventView| event.kind == "requestSent" && event.text.starts_with("BrokerRegistration");
    let asked: Vec<f64> = seen.iter().filter(is_asked).map(|event| event.time).collect();
    assert!((2..=4).contains(&asked.len()), "{asked:?}");
    assert!(asked.windows(2).all(|pair| 3_000.0 <= pair[1] - pair[0]), "{asked:?}");
    assert_eq!(brokers(&cluster)[2], (3, "running"));
}

#[test]
fn a_broker_that_cannot_register_in_time_gives_up() {
    let mut cluster = Cluster::configured(3, json!({ "initial.broker.registration.timeout.ms": "20000" }));
    cluster.apply(json!({ "type": "crashController", "controller": 1 }));
    cluster.apply(json!({ "type": "crashBroker", "broker": 3 }));
    cluster.apply(json!({ "type": "restartBroker", "broker": 3 }));
    cluster.advance(19_900.0);
    assert_eq!(brokers(&cluster)[2].1, "running", "as long as nobody has fenced its former process");
    cluster.advance(200.0);
    assert_eq!(brokers(&cluster), [(1, "running"), (2, "running"), (3, "stopped")], "whoever was registered goes on");
    cluster.apply(json!({ "type": "restartController", "controller": 1 }));
    cluster.apply(json!({ "type": "restartBroker", "broker": 3 }));
    cluster.advance(60_000.0);
    assert_eq!(brokers(&cluster)[2], (3, "running"));
}

#[test]
fn a_broker_that_is_removed_leads_nothing_and_is_in_no_isr_and_its_replicas_stay_assigned() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.send("orders", None, "kept");
    cluster.advance(1_000.0);
    let before = cluster.partition("orders", 0);
    let gone = before.leader.expect("a leader");
    // A frozen one: what it holds goes with it.
    cluster.apply(json!({ "type": "freezeBroker", "broker": gone, "ms": 60_000 }));
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "removeBroker", "broker": gone }));
    });
    let after = cluster.partition("orders", 0);
    let next = before.replicas.iter().map(|replica| replica.broker).find(|broker| *broker != gone);
    assert_eq!((after.leader, after.leader_epoch), (next, before.leader_epoch + 1), "the next in the order of replicas leads");
    assert!(after.isr.len() == 2 && !after.isr.contains(&gone), "{:?}", after.isr);
    assert!(after.replicas.iter().any(|replica| replica.broker == gone), "it waits for a reassignment");
    assert!(brokers(&cluster).iter().all(|(id, _)| *id != gone));
    assert!(!cluster.session.world().controller().image().brokers.contains_key(&gone));
    for kind in ["brokerUnregistered", "isrShrunk", "leaderElected", "brokerRemoved"] {
        assert!(seen.iter().any(|event| event.kind == kind), "{kind}");
    }
    cluster.send("orders", None, "after");
    let later = cluster.events_after(|cluster| cluster.advance(120_000.0));
    assert!(later.iter().all(|event| event.kind != "brokerFenced"), "its session has ended with its registration");
    assert_eq!(cluster.values("orders", 0), ["kept", "after"]);
    // Another machine with its id gets everything again.
    cluster.apply(json!({ "type": "addBroker", "broker": gone }));
    cluster.advance(5_000.0);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 3);
    cluster.assert_replicas_equal("orders");
}

#[test]
fn without_its_last_member_in_sync_a_partition_waits_for_the_id_and_what_was_there_is_lost() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    let other = 3 - leader;
    cluster.apply(json!({ "type": "crashBroker", "broker": other }));
    cluster.advance(12_000.0);
    cluster.send("orders", None, "only here");
    cluster.advance(5_000.0);
    assert_eq!(cluster.values("orders", 0), ["only here"]);
    cluster.apply(json!({ "type": "restartBroker", "broker": other }));
    cluster.apply(json!({ "type": "removeBroker", "broker": leader }));
    cluster.advance(12_000.0);
    let waiting = cluster.partition("orders", 0);
    assert_eq!(
        (waiting.leader, waiting.isr, waiting.eligible_leader_replicas),
        (None, vec![], vec![leader]),
        "broker {other} was not in sync: it may not lead"
    );
    cluster.apply(json!({ "type": "addBroker", "broker": leader }));
    cluster.advance(12_000.0);
    let after = cluster.partition("orders", 0);
    assert_eq!((after.leader, after.isr.len()), (Some(leader), 2));
    assert_eq!(cluster.values("orders", 0), Vec::<String>::new());
    cluster.assert_replicas_equal("orders");
}

#[test]
fn a_client_that_knows_only_a_broker_that_is_gone_begins_again_from_its_bootstrap_servers() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 2);
    let leader = cluster.partition("orders", 0).leader.expect("a leader");
    cluster.apply(json!({ "type": "crashBroker", "broker": 3 - leader }));
    cluster.advance(12_000.0);
    // It hears of one broker, as the other is fenced.
    cluster.send("orders", None, "first");
    cluster.advance(1_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": 3 - leader }));
    cluster.advance(5_000.0);
    assert_eq!(cluster.partition("orders", 0).isr.len(), 2);
    cluster.apply(json!({ "type": "removeBroker", "broker": leader }));
    cluster.send("orders", None, "second");
    cluster.advance(5_000.0);
    assert_eq!(cluster.values("orders", 0), ["first", "second"]);
}

#[test]
fn what_cannot_be_added_or_removed_is_refused_and_changes_nothing() {
    let mut cluster = Cluster::of_brokers(9);
    let hash = cluster.session.trace_hash();
    for (command, code, field) in [
        (json!({ "type": "addBroker" }), "INVALID_ARGUMENT", "broker"),
        (json!({ "type": "addBroker", "broker": 9 }), "DUPLICATE_BROKER_REGISTRATION", "broker"),
        (json!({ "type": "addBroker", "broker": -1 }), "INVALID_ARGUMENT", "broker"),
        (json!({ "type": "addBroker", "broker": 1000 }), "INVALID_ARGUMENT", "broker"),
        (json!({ "type": "removeBroker", "broker": 10 }), "BROKER_ID_NOT_REGISTERED", "broker"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}");
    }
    assert_eq!(cluster.session.trace_hash(), hash);
    let mut one = Cluster::of_brokers(1);
    assert_eq!(one.refused(json!({ "type": "removeBroker", "broker": 1 })).field.as_deref(), Some("broker"));
    assert_eq!(one.refused(json!({ "type": "addBroker", "rack": "" })).field.as_deref(), Some("rack"));
    assert_eq!(one.refused(json!({ "type": "addBroker", "rack": "r".repeat(201) })).field.as_deref(), Some("rack"));
}

#[test]
fn a_broker_that_goes_before_it_has_registered_leaves_nothing_behind() {
    let mut cluster = Cluster::of_brokers(1);
    cluster.apply(json!({ "type": "addBroker" }));
    cluster.apply(json!({ "type": "removeBroker", "broker": 2 }));
    cluster.advance(20_000.0);
    assert_eq!(cluster.session.world().controller().image().brokers.keys().copied().collect::<Vec<_>>(), [1]);
    // The largest id there ever was is 2.
    cluster.apply(json!({ "type": "addBroker" }));
    cluster.advance(2_000.0);
    assert_eq!(brokers(&cluster), [(1, "running"), (3, "running")]);
}

#[test]
fn comings_and_goings_are_saved_undone_and_sought() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 2, 2);
    cluster.apply(json!({ "type": "addBroker", "rack": "a" }));
    cluster.advance(3_000.0);
    cluster.apply(json!({ "type": "removeBroker", "broker": 1 }));
    cluster.send("orders", None, "a");
    cluster.advance(3_000.0);
    cluster.apply(json!({ "type": "addBroker", "broker": 1 }));
    cluster.advance(3_000.0);
    let (hash, time) = (cluster.session.trace_hash(), cluster.session.time_ms());
    let again = Session::load(&cluster.session.save()).expect("it loads");
    assert_eq!(again.trace_hash(), hash);
    cluster.session.seek(1_400.0).expect("a time that was reached");
    assert_eq!(brokers(&cluster).len(), 2);
    cluster.session.seek(time).expect("a time that was reached");
    assert_eq!(cluster.session.trace_hash(), hash);
    assert!(cluster.session.undo());
    cluster.session.seek(time).expect("a time that was reached");
    assert_eq!(brokers(&cluster).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [2, 3]);
}
