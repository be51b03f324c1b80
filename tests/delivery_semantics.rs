#![cfg(not(target_arch = "wasm32"))]
//! At most once, at least once, exactly once: what the checker measures of readers whose semantics are known.

mod cluster;

use brokerlab::check::Checker;
use brokerlab::node::MS;
use cluster::Cluster;
use serde_json::{Value, json};

/// A cluster whose every event is looked at.
struct Watched {
    cluster: Cluster,
    checker: Checker,
}

impl Watched {
    fn apply(&mut self, command: Value) {
        self.cluster.apply(command);
        self.look();
    }

    fn advance(&mut self, ms: u64) {
        let end = self.cluster.session.world().now() + ms * MS;
        while self.cluster.session.world().now() < end {
            self.cluster.session.run(end - self.cluster.session.world().now(), 1);
            self.look();
        }
    }

    fn look(&mut self) {
        self.checker.after(self.cluster.session.world(), self.cluster.session.trace());
    }

    fn consumer(&mut self, id: &str, group: &str, configs: Value) {
        let mut all = json!({ "auto.offset.reset": "earliest" });
        all.as_object_mut().expect("an object").extend(configs.as_object().expect("an object").clone());
        self.apply(json!({ "type": "addConsumer", "id": id, "group": group, "topics": ["orders"], "configs": all }));
        self.advance(5_000);
    }

    fn send(&mut self, count: usize) {
        (0..count).for_each(|_| self.apply(json!({ "type": "send", "topic": "orders", "key": "k", "value": "v" })));
        self.advance(1_000);
    }

    /// Readers of each kind: exactly once, at least once, at most once, neither.
    fn measured(&self) -> [u64; 4] {
        self.measured_but("")
    }

    /// The same, where the application itself breaks an invariant.
    fn measured_but(&self, invariant: &str) -> [u64; 4] {
        let mut checker = self.checker.clone();
        checker.in_full(self.cluster.session.world());
        assert!(checker.violations().iter().all(|one| one.invariant == invariant), "{:?}", checker.violations());
        let counts = checker.counts();
        [counts.readers_exactly_once, counts.readers_at_least_once, counts.readers_at_most_once, counts.readers_neither]
    }
}

/// A group that has read ten records.
fn read_ten(configs: Value) -> Watched {
    let cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let mut watched = Watched { cluster, checker: Checker::new() };
    watched.consumer("one", "g", configs);
    watched.send(10);
    watched
}

#[test]
fn what_nobody_disturbs_is_read_exactly_once() {
    let mut cluster = read_ten(json!({}));
    assert_eq!(cluster.measured(), [1, 0, 0, 0]);
    // Another reader is another reader, and a member that takes over goes on where the group was.
    cluster.consumer("other", "h", json!({}));
    cluster.apply(json!({ "type": "removeConsumer", "id": "one" }));
    cluster.consumer("two", "g", json!({}));
    cluster.send(10);
    assert_eq!(cluster.measured(), [2, 0, 0, 0]);
}

#[test]
fn who_crashes_before_it_commits_reads_at_least_once() {
    let mut cluster = read_ten(json!({ "enable.auto.commit": "false" }));
    cluster.apply(json!({ "type": "crashConsumer", "id": "one" }));
    cluster.consumer("two", "g", json!({}));
    cluster.advance(60_000);
    assert_eq!(cluster.measured(), [0, 1, 0, 0]);
}

#[test]
fn who_commits_before_it_reads_or_jumps_reads_at_most_once_and_who_does_both_neither() {
    let mut cluster = read_ten(json!({ "enable.auto.commit": "false" }));
    cluster.apply(json!({ "type": "pauseConsumer", "id": "one" }));
    cluster.send(5);
    cluster.apply(json!({ "type": "seek", "consumer": "one", "topic": "orders", "partition": 0, "to": "end" }));
    cluster.advance(1_000);
    cluster.apply(json!({ "type": "resumeConsumer", "id": "one" }));
    cluster.advance(1_000);
    cluster.send(5);
    assert_eq!(cluster.measured(), [0, 0, 1, 0]);
    cluster.apply(json!({ "type": "seek", "consumer": "one", "topic": "orders", "partition": 0, "to": 17 }));
    cluster.advance(1_000);
    assert_eq!(cluster.measured(), [0, 0, 0, 1]);
}

#[test]
fn an_application_that_commits_what_it_has_polled_and_then_works_on_it_loses_what_a_crash_interrupts() {
    // The guide's "commit offset before processing": at most once.
    let cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let mut watched = Watched { cluster, checker: Checker::new() };
    let configs = json!({ "auto.offset.reset": "earliest", "enable.auto.commit": "false" });
    let mut consumer = json!({ "type": "addConsumer", "id": "one", "group": "g", "topics": ["orders"], "configs": configs });
    consumer["processingMs"] = json!(1_000);
    watched.apply(consumer);
    watched.advance(5_000);
    watched.send(10);
    watched.advance(3_500);
    watched.apply(json!({ "type": "commit", "consumer": "one" }));
    watched.advance(500);
    let (committed, consumed) = (watched.cluster.committed("g", "orders", 0), watched.cluster.view().consumers[0].consumed);
    assert!(committed == Some(10) && consumed < 10, "{committed:?} is committed, {consumed} are done");
    watched.apply(json!({ "type": "crashConsumer", "id": "one" }));
    watched.consumer("two", "g", json!({}));
    watched.advance(60_000);
    watched.send(1);
    assert_eq!(watched.measured_but("G10"), [0, 0, 1, 0], "it commits what nobody has read");
}

#[test]
fn markers_and_what_is_aborted_are_skipped_by_nobody() {
    let mut cluster = read_ten(json!({ "isolation.level": "read_committed" }));
    cluster.apply(json!({ "type": "addProducer", "id": "shop", "topic": "orders", "configs": { "transactional.id": "till" } }));
    cluster.advance(1_000);
    for end in ["abortTransaction", "commitTransaction"] {
        cluster.apply(json!({ "type": "beginTransaction", "producer": "shop" }));
        cluster.apply(json!({ "type": "send", "producer": "shop", "topic": "orders", "value": "v" }));
        cluster.advance(1_000);
        cluster.apply(json!({ "type": end, "producer": "shop" }));
        cluster.advance(1_000);
    }
    cluster.send(1);
    assert_eq!(cluster.measured(), [1, 0, 0, 0]);
}
