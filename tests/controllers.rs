#![cfg(not(target_arch = "wasm32"))]
//! Controllers that crash, and brokers that go on with the next one.

mod cluster;

use brokerlab::session::parse_saved;
use brokerlab::session::{Session, parse_command};
use cluster::Cluster;
use serde_json::{Value, json};

impl Cluster {
    fn crash_controller(&mut self, controller: i32) {
        self.apply(json!({ "type": "crashController", "controller": controller }));
    }

    fn restart_controller(&mut self, controller: i32) {
        self.apply(json!({ "type": "restartController", "controller": controller }));
    }

    /// The active controller and its epoch.
    fn active(&self) -> (Option<i32>, i32) {
        let controller = self.view().controller;
        (controller.leader, controller.epoch)
    }

    fn create(&mut self, name: &str) -> Result<Value, String> {
        let command = json!({ "type": "createTopic", "name": name, "partitions": 2, "replicationFactor": 3 });
        parse_command(command).and_then(|command| self.session.apply(command)).map_err(|refusal| refusal.code)
    }

    fn has(&self, topic: &str) -> bool {
        self.view().topics.iter().any(|known| known.name == topic)
    }

    /// Cuts a node off from those named, both ways.
    fn cut(&mut self, node: &str, others: &[&str], cut: bool) {
        for other in others {
            self.apply(json!({ "type": "setLink", "from": node, "to": other, "cut": cut }));
            self.apply(json!({ "type": "setLink", "from": other, "to": node, "cut": cut }));
        }
    }
}

#[test]
fn one_controller_crashes_and_comes_back_with_all_that_it_had_decided() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 20 }));
    cluster.advance(2_000.0);
    assert_eq!(cluster.active(), (Some(1), 1));
    let before: Vec<_> = (0..3).map(|index| cluster.partition("orders", index)).map(|p| (p.leader, p.leader_epoch, p.isr)).collect();
    cluster.crash_controller(1);
    assert_eq!(cluster.active(), (None, 1));
    assert_eq!(cluster.create("late"), Err("NOT_CONTROLLER".to_owned()));
    // Longer than a broker's session: without a controller nobody fences anybody.
    cluster.advance(20_000.0);
    let sent = cluster.view().producers[0].acknowledged;
    assert!(400 < sent, "records go on without a controller: {sent}");
    assert!(cluster.has("orders"), "what was committed is known");
    cluster.restart_controller(1);
    cluster.advance(15_000.0);
    assert_eq!(cluster.active(), (Some(1), 2), "the log and the epoch survive");
    let after: Vec<_> = (0..3).map(|index| cluster.partition("orders", index)).map(|p| (p.leader, p.leader_epoch, p.isr)).collect();
    assert_eq!(before, after, "no partition changes for it");
    assert!(cluster.view().brokers.iter().all(|broker| broker.state.name() == "running"));
    cluster.create("late").expect("it decides again");
    cluster.advance(1_000.0);
    assert_eq!(cluster.partition("late", 0).isr.len(), 3);
}

#[test]
fn three_controllers_have_a_leader_as_soon_as_a_session_begins() {
    for seed in 0..12 {
        let saved = json!({ "format": "brokerlab", "version": 1, "seed": seed, "cluster": { "brokers": 3, "controllers": 3 }, "commands": [], "until": 500 });
        let mut cluster = Cluster { session: Session::load(&parse_saved(saved).expect("a saved session")).expect("it loads") };
        assert_eq!(cluster.active().1, 1, "seed {seed}: one election");
        cluster.create("orders").unwrap_or_else(|code| panic!("seed {seed}: {code}"));
        cluster.advance(500.0);
        assert_eq!(cluster.partition("orders", 0).isr.len(), 3, "seed {seed}");
    }
}

#[test]
fn a_broker_that_crashes_while_there_is_no_controller_is_fenced_when_there_is_one() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    cluster.crash_controller(1);
    cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
    cluster.advance(30_000.0);
    assert!((0..3).all(|index| cluster.partition("orders", index).isr.contains(&2)), "nobody decides anything");
    cluster.restart_controller(1);
    cluster.advance(8_900.0);
    assert!((0..3).all(|index| cluster.partition("orders", index).isr.contains(&2)), "every broker has a whole session to be heard");
    cluster.advance(300.0);
    assert!((0..3).all(|index| !cluster.partition("orders", index).isr.contains(&2)), "after nine seconds it is given up");
    assert!((0..3).all(|index| cluster.partition("orders", index).leader.is_some()));
    cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
    cluster.advance(3_000.0);
    assert!((0..3).all(|index| cluster.partition("orders", index).isr.contains(&2)));
}

#[test]
fn of_three_controllers_another_goes_on_when_the_active_one_crashes() {
    for seed in 1..6 {
        let mut cluster = Cluster::quorum(seed, 3).topic("orders", 3, 3);
        cluster
            .apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 20, "configs": { "acks": "all" } }));
        cluster.advance(2_000.0);
        let (first, epoch) = cluster.active();
        let first = first.expect("an active controller");
        let before: Vec<_> = (0..3).map(|index| cluster.partition("orders", index)).collect();
        cluster.crash_controller(first);
        assert_eq!(cluster.active(), (None, epoch));
        let events = cluster.events_after(|cluster| cluster.advance(6_000.0));
        let elected: Vec<_> = events.iter().filter(|event| event.kind == "controllerElected").collect();
        let (second, next) = cluster.active();
        assert!(second.is_some_and(|second| second != first) && epoch < next, "{second:?}, epoch {next} after {epoch}");
        assert_eq!(elected.last().map(|event| &event.detail["epoch"]), Some(&json!(next)));
        for (index, before) in before.iter().enumerate() {
            let after = cluster.partition("orders", index);
            assert_eq!(
                (after.leader, after.leader_epoch, after.partition_epoch),
                (before.leader, before.leader_epoch, before.partition_epoch)
            );
        }
        // The new one hears the brokers, and decides.
        cluster.create("late").expect("a decision");
        cluster.advance(1_000.0);
        assert!(cluster.has("late") && cluster.partition("late", 1).isr.len() == 3);
        cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
        cluster.advance(10_000.0);
        assert!((0..3).all(|index| !cluster.partition("orders", index).isr.contains(&1)), "it fences whom it does not hear");
        cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
        cluster.restart_controller(first);
        cluster.advance(10_000.0);
        assert_eq!(cluster.active(), (second, next), "the one that comes back follows");
        let view = cluster.view();
        let ends: Vec<_> = view.controllers.iter().map(|one| (one.log_end_offset, one.high_watermark)).collect();
        assert!(ends.iter().all(|end| *end == ends[0] && end.0 == end.1), "all three have the same log: {ends:?}");
        assert!(view.brokers.iter().all(|broker| broker.state.name() == "running"));
        assert!((0..3).all(|index| cluster.partition("orders", index).isr.len() == 3));
    }
}

#[test]
fn two_of_three_controllers_down_leave_none_to_decide_and_records_go_on() {
    let mut cluster = Cluster::of_three_controllers(3).topic("orders", 3, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 20, "configs": { "acks": "all" } }));
    cluster.advance(2_000.0);
    let active = cluster.active().0.expect("an active controller");
    let before = cluster.view().producers[0].acknowledged;
    let others: Vec<i32> = (1..=3).filter(|id| *id != active).collect();
    others.iter().for_each(|id| cluster.crash_controller(*id));
    assert_eq!(cluster.create("late"), Err("NOT_CONTROLLER".to_owned()), "what it decided could not be committed");
    cluster.advance(3_100.0);
    assert_eq!(cluster.active().0, None, "without a majority it steps down after 3 s");
    assert!(before + 50 < cluster.view().producers[0].acknowledged, "records go on");
    cluster.apply(json!({ "type": "crashBroker", "broker": 3 }));
    cluster.advance(30_000.0);
    assert!((0..3).all(|index| cluster.partition("orders", index).isr.contains(&3)), "nobody is fenced");
    assert_eq!(cluster.create("late"), Err("NOT_CONTROLLER".to_owned()));
    cluster.restart_controller(others[0]);
    cluster.advance(16_000.0);
    assert!(cluster.active().0.is_some(), "two are a majority");
    assert!((0..3).all(|index| !cluster.partition("orders", index).isr.contains(&3)));
    cluster.create("late").expect("a decision");
}

#[test]
fn a_controller_that_is_cut_off_is_not_obeyed() {
    for seed in 1..6 {
        let mut cluster = Cluster::quorum(seed, 3).topic("orders", 3, 3);
        let old = cluster.active().0.expect("an active controller");
        let others: Vec<String> = (1..=3).filter(|id| *id != old).map(|id| format!("controller-{id}")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        // It still speaks with the brokers, and they with it.
        cluster.cut(&format!("controller-{old}"), &others, true);
        cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
        assert_eq!(cluster.create("stray"), Err("NOT_CONTROLLER".to_owned()));
        cluster.advance(15_000.0);
        let new = cluster.active().0.expect("the two others have elected one");
        assert_ne!(old, new);
        assert!((0..3).all(|index| !cluster.partition("orders", index).isr.contains(&2)), "the new one fences");
        cluster.create("late").expect("a decision of the majority");
        cluster.advance(1_000.0);
        assert!(cluster.has("late"));
        cluster.cut(&format!("controller-{old}"), &others, false);
        cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
        cluster.advance(15_000.0);
        let view = cluster.view();
        let ends: Vec<_> = view.controllers.iter().map(|one| (one.log_end_offset, one.high_watermark)).collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
        assert!(cluster.has("late") && (0..3).all(|index| cluster.partition("orders", index).isr.len() == 3));
    }
}

#[test]
fn a_shorter_fetch_timeout_finds_the_next_controller_sooner() {
    let configs = json!({ "controller.quorum.fetch.timeout.ms": "800", "controller.quorum.election.timeout.ms": "300" });
    let (mut quick, mut usual) = (Cluster::quorum_with(7, 3, configs), Cluster::of_three_controllers(3));
    for cluster in [&mut quick, &mut usual] {
        let active = cluster.active().0.expect("an active controller");
        cluster.crash_controller(active);
        cluster.advance(1_900.0);
    }
    assert!(quick.active().0.is_some(), "800 ms until it is given up, and an election of 300 to 600 ms at the most");
    assert_eq!(usual.active().0, None, "by default it is waited for 2 s");
}

#[test]
fn a_quorum_is_one_or_three() {
    let saved = |controllers: Value| json!({ "format": "brokerlab", "version": 1, "seed": 1, "cluster": { "brokers": 1, "controllers": controllers }, "commands": [], "until": 5_000 });
    for (controllers, count) in [(json!(1), 1), (json!(3), 3), (Value::Null, 1)] {
        let session = Session::load(&parse_saved(saved(controllers)).expect("a session")).expect("it starts");
        assert_eq!(session.world().controllers().count(), count);
        let again = Session::load(&session.save()).expect("it starts again");
        assert_eq!(session.trace_hash(), again.trace_hash());
    }
    for controllers in [0, 2, 4, 5] {
        let refusal = parse_saved(saved(json!(controllers))).and_then(|saved| Session::load(&saved)).expect_err("refused");
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_ARGUMENT", Some("cluster.controllers")));
    }
}

#[test]
fn what_cannot_be_done_to_a_controller_is_refused_and_changes_nothing() {
    let mut cluster = Cluster::of_three_controllers(1);
    cluster.crash_controller(2);
    let hash = cluster.session.trace_hash();
    for (command, code) in [
        (json!({ "type": "crashController", "controller": 2 }), "INVALID_ARGUMENT"),
        (json!({ "type": "restartController", "controller": 1 }), "INVALID_ARGUMENT"),
        (json!({ "type": "crashController", "controller": 4 }), "UNKNOWN_CONTROLLER_ID"),
        (json!({ "type": "restartController", "controller": -1 }), "UNKNOWN_CONTROLLER_ID"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some("controller")), "{command}");
        assert_eq!(cluster.session.trace_hash(), hash, "{command} changed something");
    }
}

#[test]
fn a_broker_that_was_down_for_long_starts_from_the_snapshot() {
    let configs = json!({ "brokerlab.metadata.records.between.snapshots": "10" });
    let mut cluster = Cluster::configured(3, configs).topic("orders", 2, 3).topic("old", 2, 3);
    cluster.apply(json!({ "type": "crashBroker", "broker": 2 }));
    cluster.advance(12_000.0);
    cluster.apply(json!({ "type": "deleteTopic", "name": "old" }));
    for topic in ["a", "b", "c", "d"] {
        cluster.apply(json!({ "type": "createTopic", "name": topic, "partitions": 3, "replicationFactor": 2 }));
        cluster.advance(500.0);
    }
    let events = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "restartBroker", "broker": 2 }));
        cluster.advance(5_000.0);
    });
    let took = |event: &&brokerlab::view::EventView| event.kind == "snapshotFetched" && event.node == "broker-2";
    assert_eq!(events.iter().filter(took).count(), 1);
    assert!((0..2).all(|index| cluster.partition("orders", index).isr.len() == 3), "it knows its roles");
    assert!(events.iter().any(|event| event.kind == "logDeleted" && event.node == "broker-2"), "and what is deleted");
    // A controller begins from its snapshot as well.
    let before = cluster.view().topics;
    cluster.crash_controller(1);
    cluster.restart_controller(1);
    cluster.create("late").expect("a decision");
    cluster.advance(1_000.0);
    assert!(cluster.has("late") && before.iter().all(|topic| cluster.has(&topic.name)));
}
