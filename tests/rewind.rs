#![cfg(not(target_arch = "wasm32"))]
//! Time travel: whatever way a moment is reached, it is the same moment.

mod cluster;

use brokerlab::session::{Session, default_scene, parse_saved};
use brokerlab::view;
use cluster::Cluster;
use proptest::prelude::*;
use serde_json::json;

/// How many events can be read wherever one has gone to.
const READ: usize = 1_000;

/// A session with everything in it that this version can do.
fn eventful(seed: u64) -> Cluster {
    let mut cluster = Cluster::seeded(seed, 3).topic("orders", 3, 3);
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "recordsPerSecond": 40, "keys": ["a", "b", "c"], "value": "{seq} {key} {rand}" }));
    for id in ["one", "two"] {
        cluster.consumer(id, "g");
    }
    cluster.advance(7_000.0);
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    cluster.advance(12_345.678);
    cluster.send("orders", Some("a"), "in between");
    cluster.apply(json!({ "type": "crashConsumer", "id": "one" }));
    cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
    cluster.advance(20_000.0);
    cluster.apply(json!({ "type": "removeConsumer", "id": "two" }));
    cluster.advance(3_000.5);
    cluster
}

#[test]
fn a_replay_gives_the_live_hash_and_the_live_view() {
    let live = eventful(11);
    let json = serde_json::to_value(live.session.save()).expect("JSON");
    let replayed = Session::load(&parse_saved(json).expect("what was saved can be read")).expect("and loaded");
    assert_eq!(replayed.trace_hash(), live.session.trace_hash());
    let mut view = brokerlab::view::view(&replayed);
    view.playing = live.session.playing;
    assert_eq!(view, live.view());
}

#[test]
fn another_seed_gives_another_history() {
    assert_ne!(eventful(11).session.trace_hash(), eventful(12).session.trace_hash());
}

#[test]
fn small_steps_and_large_ones_reach_the_same_moment() {
    let mut large = Session::load(&default_scene()).expect("the scene");
    large.advance(5_000.0).expect("time advances");
    let mut small = Session::load(&default_scene()).expect("the scene");
    while small.time_ms() < 15_000.0 {
        small.run(16_667.min(((15_000.0 - small.time_ms()) * 1_000.0).round() as u64), 7);
    }
    assert_eq!(small.trace_hash(), large.trace_hash());
}

#[test]
fn undo_takes_the_last_command_back_and_redo_gives_it_again() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.advance(1_000.0);
    let without = {
        let mut other = Cluster::of_brokers(3).topic("orders", 1, 3);
        other.advance(2_000.0);
        other.session.trace_hash()
    };
    cluster.send("orders", Some("k"), "v");
    cluster.advance(1_000.0);
    let with = cluster.session.trace_hash();
    assert!(cluster.session.undo());
    assert_eq!(cluster.session.trace_hash(), without);
    assert!(cluster.session.redo());
    assert_eq!(cluster.session.trace_hash(), with);
    assert!(!cluster.session.redo());
}

#[test]
fn acting_in_the_past_keeps_the_old_future_for_undo() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    cluster.advance(1_000.0);
    cluster.send("orders", Some("k"), "old future");
    cluster.advance(1_000.0);
    let (end, old) = (cluster.session.time_ms(), cluster.session.trace_hash());
    cluster.session.seek(1_600.0).expect("the past");
    cluster.send("orders", Some("k"), "another");
    assert_eq!(cluster.session.latest_ms(), 1_600.0);
    cluster.advance(1_000.0);
    assert_eq!(cluster.values("orders", 0), ["another"]);
    assert!(cluster.session.undo());
    cluster.session.seek(end).expect("the old future can be reached again");
    assert_eq!(cluster.session.trace_hash(), old);
    assert_eq!(cluster.values("orders", 0), ["old future"]);
}

#[test]
fn a_seek_is_refused_beyond_what_was_reached() {
    let mut session = Session::load(&default_scene()).expect("the scene");
    for ms in [-1.0, f64::NAN, f64::INFINITY, 10_000.001] {
        let refusal = session.seek(ms).expect_err("no such time");
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), ("INVALID_ARGUMENT", Some("ms")));
        assert!(session.advance(if ms < 1.0 || !ms.is_finite() { ms } else { f64::NEG_INFINITY }).is_err());
    }
}

#[test]
fn what_is_known_of_the_future_stays_on_the_timeline_until_something_else_happens() {
    let mut cluster = eventful(11);
    let (end, marks) = (cluster.session.time_ms(), view::marks(&cluster.session));
    cluster.session.seek(8_000.0).expect("the past");
    assert_eq!(view::marks(&cluster.session), marks, "going back forgets nothing");
    assert!(view::events(&cluster.session, 0, usize::MAX).iter().all(|event| event.time <= 8_000.0), "events are of what has been");
    cluster.session.seek(end).expect("the end");
    assert_eq!(view::marks(&cluster.session), marks, "nothing is marked twice");
    cluster.session.seek(8_000.0).expect("the past");
    cluster.send("orders", Some("a"), "another future");
    assert!(view::marks(&cluster.session).iter().all(|mark| mark.time <= 8_000.0));
    assert!(cluster.session.undo());
    cluster.session.seek(end).expect("the old future");
    assert_eq!(view::marks(&cluster.session), marks);
}

#[test]
fn what_led_to_a_moment_can_be_read_wherever_one_goes() {
    let mut session = Session::load(&default_scene()).expect("the scene");
    session.advance(2_400_000.0).expect("time advances");
    for place in 0..23 {
        // From one half to the other, so that what is kept there does not help here.
        session.seek(f64::from((place * 13) % 23) * 100_000.0 + 100_000.0).expect("within the session");
        assert_eq!(view::newest_events(&session, |_| true, READ).len(), READ, "{} ms", session.time_ms());
    }
}

#[test]
fn a_refusal_is_part_of_no_history_and_yet_is_not_forgotten() {
    let mut cluster = eventful(11);
    let (end, hash) = (cluster.session.time_ms(), cluster.session.trace_hash());
    let refused = |cluster: &Cluster| {
        let events = view::events(&cluster.session, 0, usize::MAX);
        events.iter().filter(|event| event.kind == "commandRefused").map(|event| (event.time, event.index)).collect::<Vec<_>>()
    };
    cluster.session.seek(15_000.0).expect("the past");
    cluster.refused(json!({ "type": "crashBroker", "broker": 99 }));
    let told = refused(&cluster);
    assert_eq!(told.iter().map(|(time, _)| *time).collect::<Vec<_>>(), [15_000.0]);
    for time in [end, 9_000.0, end, 14_000.0, 16_000.0] {
        cluster.session.seek(time).expect("within the session");
        assert_eq!(refused(&cluster), if time < 15_000.0 { vec![] } else { told.clone() });
    }
    cluster.session.seek(end).expect("the end");
    assert_eq!(cluster.session.trace_hash(), hash);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Wherever one seeks to and back, the end is what it was (snapshots are taken on the way).
    #[test]
    fn seeking_about_changes_nothing(places in proptest::collection::vec(0.0f64..400_000.0, 1..6)) {
        let mut session = Session::load(&default_scene()).expect("the scene");
        session.advance(400_000.0).expect("time advances");
        let (end, hash, marks) = (session.time_ms(), session.trace_hash(), view::marks(&session));
        let mut fresh = Session::load(&default_scene()).expect("the scene");
        for place in places {
            let place = place.max(10_000.0);
            session.seek(place).expect("within the session");
            if fresh.time_ms() <= place {
                fresh.advance(place - fresh.time_ms()).expect("time advances");
                prop_assert_eq!(fresh.trace_hash(), session.trace_hash());
                prop_assert_eq!(fresh.event_count(), session.event_count());
                prop_assert_eq!(view::newest_events(&fresh, |_| true, READ), view::newest_events(&session, |_| true, READ));
            }
        }
        session.seek(end).expect("the end");
        prop_assert_eq!(session.trace_hash(), hash);
        prop_assert_eq!(view::marks(&session), marks);
    }
}
