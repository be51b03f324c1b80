//! Each predicate on hand-built views: what it calls met, and in which words it says what is missing.

use super::condition::{Condition, Measure};
use super::facts::Facts;
use crate::protocol::text::Text;
use crate::session::command::{Command, Configs, TimedCommand};
use crate::session::fields::FromValue;
use crate::view::shape::*;

fn replica(broker: i32, high_watermark: i64) -> ReplicaView {
    ReplicaView {
        broker,
        log_start_offset: 0,
        local_log_start_offset: None,
        log_end_offset: high_watermark + 1,
        high_watermark,
        last_stable_offset: high_watermark,
        leader_epoch: 0,
        in_sync: true,
        bytes: 0,
    }
}

fn partition(partition: i32, leader: Option<i32>, leader_epoch: i32, isr: &[i32], high_watermark: i64) -> PartitionView {
    PartitionView {
        partition,
        leader,
        preferred_leader: 1,
        leader_epoch,
        partition_epoch: 0,
        isr: isr.to_vec(),
        eligible_leader_replicas: Vec::new(),
        last_known_elr: Vec::new(),
        adding_replicas: Vec::new(),
        removing_replicas: Vec::new(),
        replicas: [1, 2, 3].map(|broker| replica(broker, high_watermark)).to_vec(),
        remote_segments: Vec::new(),
    }
}

fn topic(name: &str, partitions: Vec<PartitionView>) -> TopicView {
    TopicView { name: name.to_owned(), id: String::new(), internal: false, configs: Configs::new(), partitions }
}

fn producer(id: &str, topic: &str, acknowledged: u64, failed: u64) -> ProducerView {
    ProducerView {
        id: id.to_owned(),
        topic: topic.to_owned(),
        sent: acknowledged,
        acknowledged,
        failed,
        retries: 0,
        buffered: 0,
        in_flight: 0,
        transaction: None,
        configs: Configs::new(),
    }
}

fn member(client_id: &str, partitions: &[i32]) -> MemberView {
    MemberView {
        member_id: format!("{client_id}-1"),
        client_id: client_id.to_owned(),
        instance_id: None,
        assignment: partitions.iter().map(|partition| AssignedView { topic: "t".to_owned(), partition: *partition }).collect(),
    }
}

fn offset(partition: i32, committed: Option<i64>) -> GroupOffsetView {
    GroupOffsetView {
        topic: "t".to_owned(),
        partition,
        committed,
        log_end_offset: 5,
        lag: committed.map(|committed| 5 - committed),
        acquired: None,
        delivery_count: None,
    }
}

fn group(id: &str, members: Vec<MemberView>, offsets: Vec<GroupOffsetView>) -> GroupView {
    GroupView {
        id: id.to_owned(),
        protocol: "classic".to_owned(),
        state: "Stable".to_owned(),
        generation: 4,
        coordinator: Some(1),
        assignor: Some("range".to_owned()),
        members,
        offsets,
    }
}

fn message(partition: i32, offset: i64, key: Option<&str>) -> MessageView {
    MessageView {
        offset,
        timestamp: 0,
        leader_epoch: 0,
        key: key.map(Text::from),
        value: None,
        headers: Vec::new(),
        partition,
        producer_id: None,
        producer_epoch: None,
        sequence: None,
        transactional: None,
        control: None,
    }
}

/// Topic `t` with 3, 2 and 0 records, led by brokers 1, 2 and nobody; group `g` with an idle member; producer `p`.
fn scene() -> View {
    View {
        time: 1000.0,
        latest: 2000.0,
        playing: false,
        speed: 1.0,
        seed: 1,
        controller: ControllerView { leader: Some(1), epoch: 1 },
        controllers: Vec::new(),
        brokers: vec![BrokerView { id: 3, rack: None, state: BrokerState::Crashed, epoch: 1, clock_skew_ms: None, disk_factor: None }],
        topics: vec![
            topic("t", vec![partition(0, Some(1), 0, &[3, 1, 2], 3), partition(1, Some(2), 2, &[2], 2)]),
            topic("orphan", vec![partition(0, Some(1), 0, &[1], 0), partition(1, Some(3), 0, &[3], 0)]),
            topic("headless", vec![partition(0, None, 1, &[], 1)]),
            topic(
                "misplaced",
                vec![partition(0, Some(1), 0, &[1], 1), partition(1, Some(1), 0, &[1], 0), partition(2, Some(1), 0, &[1], 0)],
            ),
            topic("lossy", vec![partition(0, Some(1), 0, &[1], 3)]),
        ],
        producers: vec![producer("p", "t", 5, 0), producer("lossy-p", "lossy", 4, 1)],
        consumers: vec![ConsumerView {
            id: "c".to_owned(),
            group: Some("g".to_owned()),
            state: "Stable".to_owned(),
            consumed: 3,
            positions: vec![PositionView { topic: "t".to_owned(), partition: 0, position: 3 }],
            printed: Vec::new(),
            table: None,
            configs: Configs::new(),
        }],
        transactions: Vec::new(),
        groups: vec![
            group("g", vec![member("c", &[0, 1]), member("d", &[])], vec![offset(0, Some(3)), offset(1, Some(5))]),
            group("empty", Vec::new(), vec![offset(0, None)]),
        ],
        links: Vec::new(),
        drops: Vec::new(),
    }
}

fn measure(condition: &str) -> Measure {
    let condition = Condition::from_value(serde_json::from_str(condition).unwrap()).unwrap();
    let crash = |at| TimedCommand { at, command: Command::CrashBroker { broker: 2 } };
    // The second lies in a future that was left by seeking back.
    let commands = [crash(500.0), crash(1500.0)];
    let messages = [
        ("t", message(0, 0, Some("user_1"))),
        ("t", message(0, 1, Some("user_3"))),
        ("t", message(0, 2, None)),
        ("t", message(1, 0, Some("user_1"))),
        ("misplaced", message(0, 0, Some("user_123"))),
    ];
    condition.measure(&Facts::by_hand(scene(), &commands, &messages))
}

fn met(condition: &str, measured: &str) {
    assert_eq!(measure(condition), Measure { met: true, measured: measured.to_owned(), why_not_yet: None }, "{condition}");
}

fn unmet(condition: &str, why_not_yet: &str) {
    let measure = measure(condition);
    assert_eq!((measure.met, measure.why_not_yet.as_deref()), (false, Some(why_not_yet)), "{condition}");
}

#[test]
fn records() {
    met(r#"{"type":"records","topic":"t","count":"= 5"}"#, "records in t: 5");
    met(r#"{"type":"records","topic":"t","partition":1,"count":"<= 2"}"#, "records in t-1: 2");
    met(r#"{"type":"records","topic":"t","key":"user_1","count":">= 2"}"#, "records with key user_1 in t: 2");
    unmet(
        r#"{"type":"records","topic":"t","partition":0,"key":"user_1","count":">= 3"}"#,
        "records with key user_1 in t-0: wanted at least 3, now 1",
    );
    unmet(r#"{"type":"records","topic":"nowhere","count":">= 0"}"#, "There is no topic nowhere.");
    unmet(r#"{"type":"records","topic":"t","partition":9,"count":">= 0"}"#, "Topic t has no partition 9.");
    unmet(r#"{"type":"records","topic":"headless","count":">= 0"}"#, "headless-0 has no leader now.");
    met(r#"{"type":"eachPartition","topic":"t","records":">= 2"}"#, "records in each partition of t: 3, 2");
    unmet(r#"{"type":"eachPartition","topic":"t","records":">= 3"}"#, "records in each partition of t: wanted at least 3, now 3, 2");
}

#[test]
fn placed_by_key() {
    unmet(
        r#"{"type":"placedByKey","topic":"misplaced"}"#,
        "records where murmur2 puts their key: wanted user_123 only in misplaced-2, now user_123 at offset 0 of misplaced-0",
    );
    unmet(r#"{"type":"placedByKey","topic":"lossy"}"#, "records where murmur2 puts their key: wanted at least 1, now 0");
}

#[test]
fn leaders() {
    met(r#"{"type":"leader","topic":"t","partition":0,"is":1}"#, "leader of t-0: broker 1");
    met(r#"{"type":"leader","topic":"t","partition":0,"isNot":2}"#, "leader of t-0: broker 1");
    unmet(r#"{"type":"leader","topic":"t","partition":1,"isNot":2}"#, "leader of t-1: wanted any but broker 2, now broker 2");
    unmet(r#"{"type":"leader","topic":"headless","partition":0}"#, "leader of headless-0: wanted any broker, now none");
    met(r#"{"type":"leaderships","topic":"t","broker":2,"count":"= 1"}"#, "partitions of t led by broker 2: 1");
    met(r#"{"type":"leaderEpoch","topic":"t","epoch":">= 2"}"#, "highest leader epoch in t: 2");
    unmet(r#"{"type":"leaderEpoch","topic":"t","partition":0,"epoch":">= 1"}"#, "leader epoch of t-0: wanted at least 1, now 0");
}

#[test]
fn in_sync_replicas_and_brokers() {
    met(r#"{"type":"isr","topic":"t","partition":0,"equals":[1,2,3],"contains":3,"size":"= 3"}"#, "in-sync replicas: t-0 has [1, 2, 3]");
    unmet(r#"{"type":"isr","topic":"t","size":"= 3"}"#, "in-sync replicas: wanted exactly 3, now t-0 has [1, 2, 3], t-1 has [2]");
    unmet(r#"{"type":"isr","topic":"t","partition":1,"contains":1}"#, "in-sync replicas: wanted broker 1 among them, now t-1 has [2]");
    met(r#"{"type":"broker","broker":3,"state":"crashed"}"#, "broker 3: crashed");
    unmet(r#"{"type":"broker","broker":3,"state":"running"}"#, "broker 3: wanted running, now crashed");
    unmet(r#"{"type":"broker","broker":7,"state":"running"}"#, "There is no broker 7.");
}

#[test]
fn clients() {
    met(r#"{"type":"consumed","consumer":"c","count":">= 3"}"#, "records read by c: 3");
    unmet(r#"{"type":"consumed","consumer":"x","count":">= 0"}"#, "There is no consumer x.");
    met(r#"{"type":"position","consumer":"c","topic":"t","partition":0,"offset":"= 3"}"#, "position of c in t-0: 3");
    unmet(r#"{"type":"position","consumer":"c","topic":"t","partition":1,"offset":"= 3"}"#, "c has no position in t-1.");
    met(r#"{"type":"acknowledged","producer":"p","count":">= 5"}"#, "records of p acknowledged: 5");
    unmet(r#"{"type":"failed","producer":"lossy-p","count":"= 0"}"#, "records of lossy-p failed: wanted exactly 0, now 1");
    met(r#"{"type":"logHoldsAcknowledged","topic":"t"}"#, "committed records in the log of t: 5 for 5 acknowledged, 0 failed");
    unmet(
        r#"{"type":"logHoldsAcknowledged","topic":"lossy"}"#,
        "committed records in the log of lossy: wanted at least the 4 acknowledged, and 0 failed, now 3 for 4 acknowledged, 1 failed",
    );
}

#[test]
fn a_dead_leader_is_not_asked_what_the_log_holds() {
    unmet(
        r#"{"type":"logHoldsAcknowledged","topic":"orphan"}"#,
        "orphan-1 is still led by broker 3, which is crashed: what it holds is seen when another leads.",
    );
}

#[test]
fn groups() {
    met(r#"{"type":"groupState","group":"g","state":"Stable"}"#, "state of group g: Stable");
    met(r#"{"type":"groupMembers","group":"g","count":"= 2"}"#, "members of group g: 2");
    met(r#"{"type":"groupGeneration","group":"g","generation":">= 4"}"#, "generation of group g: 4");
    met(r#"{"type":"idleMembers","group":"g","count":"= 1"}"#, "members of g without a partition: 1");
    unmet(
        r#"{"type":"eachMemberOwns","group":"g","partitions":">= 1"}"#,
        "partitions of each member of g: wanted at least 1, now c owns 2, d owns 0",
    );
    unmet(
        r#"{"type":"eachMemberOwns","group":"empty","partitions":">= 0"}"#,
        "partitions of each member of empty: wanted at least 0, now no members",
    );
    met(r#"{"type":"committed","group":"g","topic":"t","partition":0,"offset":"= 3"}"#, "committed offset of g in t-0: 3");
    unmet(
        r#"{"type":"committed","group":"empty","topic":"t","partition":0,"offset":">= 0"}"#,
        "committed offset of empty in t-0: wanted at least 0, now none",
    );
    unmet(r#"{"type":"lag","group":"g","records":"= 0"}"#, "lag of group g: wanted exactly 0, now 2");
    unmet(
        r#"{"type":"lag","group":"empty","records":"= 0"}"#,
        "lag of group empty: wanted exactly 0, now unknown, for want of committed offsets",
    );
}

#[test]
fn commands_count_up_to_now() {
    met(
        r#"{"type":"command","given":{"type":"crashBroker","broker":2},"count":"= 1"}"#,
        "commands given in this level like crashBroker broker 2: 1",
    );
    unmet(
        r#"{"type":"command","given":{"type":"crashBroker","broker":1},"count":">= 1"}"#,
        "commands given in this level like crashBroker broker 1: wanted at least 1, now 0",
    );
}

#[test]
fn combinations() {
    let (yes, no) = (r#"{"type":"groupMembers","group":"g","count":"= 2"}"#, r#"{"type":"groupMembers","group":"g","count":"= 3"}"#);
    met(&format!(r#"{{"type":"any","of":[{no},{yes}]}}"#), "members of group g: 2");
    unmet(&format!(r#"{{"type":"all","of":[{yes},{no}]}}"#), "members of group g: wanted exactly 3, now 2");
    unmet(
        &format!(r#"{{"type":"any","of":[{no},{no}]}}"#),
        "members of group g: wanted exactly 3, now 2; or members of group g: wanted exactly 3, now 2",
    );
}

#[test]
fn a_slip_in_a_level_is_an_error() {
    for slip in [
        r#"{"type":"records","topic":"t","count":3}"#,
        r#"{"type":"records","topic":"t","count":"> 3"}"#,
        r#"{"type":"records","topic":"t","partitions":3,"count":">= 3"}"#,
        r#"{"type":"unheardOf"}"#,
    ] {
        assert!(Condition::from_value(serde_json::from_str(slip).unwrap()).is_err(), "{slip}");
    }
}
