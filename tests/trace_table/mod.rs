//! Trace hashes of the default scene. A change of the engine that changes what happens changes them: look at what happens first, then renew them.

use brokerlab::session::{Session, default_scene, parse_command};
use serde_json::json;

/// Virtual seconds lived after the scene, with and without a broker's crash, and the hash.
const TABLE: &[(f64, bool, &str)] = &[(20.0, false, "fd61ab2265fa7911"), (60.0, true, "a276f21a3201ea98")];

/// Plays the scene and compares.
pub fn check() {
    for (seconds, crash, expected) in TABLE {
        let mut session = Session::load(&default_scene()).expect("the scene");
        if *crash {
            session.apply(parse_command(json!({ "type": "crashBroker", "broker": 1 })).expect("a command")).expect("a running broker");
        }
        session.advance(seconds * 1_000.0).expect("time advances");
        assert_eq!(session.trace_hash(), *expected, "{seconds} s, crash: {crash}");
    }
}
