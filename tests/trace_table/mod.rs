//! Trace hashes of the default scene. A change of the engine that changes what happens changes them: look at what happens first, then renew them.

use brokerlab::session::{Session, default_scene, parse_command};
use brokerlab::view;
use serde_json::json;

/// Virtual seconds lived after the scene, with and without a broker's crash, and the hash.
const TABLE: &[(f64, bool, &str)] = &[(20.0, false, "3ab40c1040b2776e"), (60.0, true, "411451fd5b2b3078")];
/// A producer of this codec beside the scene's own, the hash after twenty seconds, and the bytes that all replicas have by then.
const COMPRESSED: &[(&str, &str, u64)] = &[
    ("gzip", "5ba4f9ca2a0652b5", 552_075),
    ("snappy", "a46accf3081dd420", 715_554),
    ("lz4", "dcdf273253986c43", 716_064),
    ("zstd", "5604852ebec0e4b3", 663_537),
];

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
    for (codec, hash, bytes) in COMPRESSED {
        assert_eq!(compressed(codec), ((*hash).to_owned(), *bytes), "{codec}");
    }
}

/// How many records a batch takes, and so what happens, depends on how many bytes the ones before it were compressed to.
fn compressed(codec: &str) -> (String, u64) {
    let mut session = Session::load(&default_scene()).expect("the scene");
    let producer = json!({ "type": "addProducer", "id": "packer", "topic": "user-events", "recordsPerSecond": 500, "keys": ["a", "b", "c"],
        "value": "{\"event\":\"page_view\",\"user\":\"{key}\",\"n\":{seq},\"amount\":{rand}}",
        "configs": { "compression.type": codec, "batch.size": "1500", "linger.ms": "200" } });
    session.apply(parse_command(producer).expect("a command")).expect("a new producer");
    session.advance(20_000.0).expect("time advances");
    let partitions = view::view(&session).topics.into_iter().flat_map(|topic| topic.partitions);
    (session.trace_hash(), partitions.flat_map(|partition| partition.replicas).map(|replica| replica.bytes).sum())
}
