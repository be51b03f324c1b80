#![cfg(not(target_arch = "wasm32"))]
//! The simulator as it is called: what it prints, and with which status it ends.

use serde_json::Value;
use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().expect("simulate runs")
}

#[test]
fn seeds_are_run_and_counted() {
    let output = simulate(&["--seeds", "1..6", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["seeds"], 6);
    assert!(60_000 <= json["events"].as_u64().expect("a number"), "10,000 events of each seed at the least: {json}");
    assert!(json["eventsPerSecond"].is_u64());
    for happened in ["elections", "isrShrinks", "isrExpansions", "crashes", "rebalances", "acknowledged", "retries", "delivered"] {
        assert!(json["counts"][happened].as_u64().is_some_and(|count| 0 < count), "{happened}: {json}");
    }
    assert_eq!((&json["violations"], &json["mutants"]), (&Value::Array(Vec::new()), &Value::Array(Vec::new())));
}

#[test]
fn transactions_leave_nothing_undecided_and_nobody_sees_what_is_not_for_him() {
    let output = simulate(&["--seeds", "1..3", "--scenario", "transactions"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn share_groups_pass_nothing_over() {
    // In seed 7 a leader's epoch rises while it waits to hear what its group has come to; in 67 log starts differ before anything is stored,
    // and in 40 a broker that lost its power has records again that were deleted. In 428 and 454 an acknowledgement cannot be stored before the lock is
    // over, in 478 a topic is deleted before its records come, in 836 a lone controller commits and writes a snapshot at once, in 1484 a broker stands still
    // over the end of a lock, and in 1596 one log is compacted and the next leader's is not.
    for seed in ["7..7", "40..40", "67..67", "428..428", "454..454", "478..478", "836..836", "1484..1484", "1596..1596"] {
        let output = simulate(&["--seeds", seed, "--scenario", "share"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let output = simulate(&["--seeds", "6..8", "--json", "--scenario", "share"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for happened in ["shareAcquired", "shareRedelivered", "shareAccepted", "shareReleased"] {
        assert!(json["counts"][happened].as_u64().is_some_and(|count| 0 < count), "{happened}: {json}");
    }
}

#[test]
fn quotas_let_clients_wait_and_they_do() {
    let output = simulate(&["--seeds", "1..6", "--json", "--scenario", "quotas"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(json["counts"]["throttles"].as_u64().is_some_and(|count| 0 < count), "{json}");
}

#[test]
fn an_aggregates_table_is_what_its_source_says() {
    let output = simulate(&["--seeds", "1..6", "--json", "--scenario", "aggregates"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(json["counts"]["aggregated"].as_u64().is_some_and(|count| 0 < count), "{json}");
    // Broker 4 is the last that its clients have heard of when it is removed; markers stand behind what was compacted; its source was deleted before;
    // and in 237 of brokers a log start goes back with a crash.
    for (seed, scenario) in [("237..237", "brokers"), ("227..227", "mixed"), ("113..113", "transactions"), ("64..64", "topics")] {
        let output = simulate(&["--seeds", seed, "--scenario", scenario]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_seed_has_one_history() {
    let once = |scenario: &str| {
        let json: Value = serde_json::from_slice(&simulate(&["--seeds", "3..4", "--json", "--scenario", scenario]).stdout).expect("JSON");
        (json["events"].clone(), json["counts"].clone())
    };
    assert_eq!(once("brokers"), once("brokers"));
    assert_ne!(once("brokers"), once("groups"));
}

#[test]
fn seeds_that_once_showed_a_violation_show_none() {
    for (seeds, scenario) in [
        // Broker 3 is elected uncleanly and eligible afterwards, by what a new controller decides and commits in one moment.
        ("279..279", "controllers"),
        // A move is taken back while none of the old replicas is alive.
        ("992..992", "mixed"),
        // A share group's limit of deliveries is lowered while a record has been given back under the older one.
        ("2772..2772", "mixed"),
        // A request that is held up reaches the broker when its connection is closed: the wait it was told to is over with that.
        ("2076..2076", "mixed"),
        // The only broker in sync is removed with its disk, and with it what the transaction coordinator knew: a transaction stays open.
        ("2994..2994", "mixed"),
        // A member of a share group heard of epochs that were not committed, and the next coordinator knew nothing of them.
        ("4327..4327", "mixed"),
        // A transaction that is open on the leader began before a follower's log does, whose cleaner knows nothing of it.
        ("7240..7240", "mixed"),
        // The share coordinators have lost what the group's coordinator knows that they were told.
        ("5234..5234", "mixed"),
        // A group that was lost begins anew, and the share coordinators know it in a later epoch.
        ("6401..6401", "mixed"),
        // A broker that comes back does not know of a transaction that began before its log does.
        ("966..966", "transactions"),
        // A coordinator that the controller has fenced goes on giving an epoch that it cannot write.
        ("10743..10743", "mixed"),
        // A transaction's abort marker went with its segment, and compaction took what followed of its producer for a part of it.
        ("407..407", "mixed"),
        // A leader that was replaced long ago hears of one change, and tells of commits that many others have followed.
        ("7479..7479", "mixed"),
        // What a consumer has asked one replica for comes when it has asked another.
        ("971..971", "network"),
        // A topic is deleted in the moment in which a broker comes back that was eligible to lead it.
        ("7266..7266", "mixed"),
    ] {
        let output = simulate(&["--seeds", seeds, "--scenario", scenario]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_list_is_all_that_is_wanted_whatever_else_is_asked_for() {
    let listed = String::from_utf8(simulate(&["--list"]).stdout).expect("text");
    assert!(listed.lines().any(|line| line.starts_with("mixed: ")), "{listed}");
    for arguments in [&["--seeds", "1..1000000", "--list"][..], &["--list", "--json", "--scenario", "calm"], &["--mutants", "--list"]] {
        let output = simulate(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), listed, "{arguments:?}");
    }
}

#[test]
fn flags_come_in_any_order() {
    let seeds_of = |arguments: &[&str]| {
        let output = simulate(arguments);
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), json["seeds"].clone(), json["events"].clone(), json["counts"].clone())
    };
    let first = seeds_of(&["--seeds", "7..8", "--scenario", "calm", "--json"]);
    assert_eq!((first.0, &first.1), (Some(0), &Value::from(2)));
    assert_eq!(first, seeds_of(&["--json", "--scenario", "calm", "--seeds", "7..8"]));
}

#[test]
fn what_makes_no_sense_is_told_and_ends_with_2() {
    for arguments in [
        &["--seeds"][..],
        &["--seeds", "5"],
        &["--seeds", "5..1"],
        &["--seeds", "-1..3"],
        &["--seeds", "1..9007199254740992"],
        &["--seeds", "--json"],
        &["--seeds", "1..2", "--scenario", "none"],
        &["--seeds", "1..2", "--scenario"],
        &["--seeds", "1..2", "--colour"],
        &["--seeds", "1..2", "--view"],
        &["--list", "--colour"],
        &["--json"],
        &["--scenario", "calm"],
        &["--mutant"],
        &["--mutant", "none"],
        &["--replay"],
        &["--replay", "/no/such/file"],
        &["--replay", "/no/such/file", "--json"],
        &["1..2"],
        &[],
    ] {
        let output = simulate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        let first = told.lines().next().unwrap_or_default();
        assert!(first.ends_with(['.', '?']) || first.contains(". Ask for them: "), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
#[cfg(not(feature = "mutants"))]
fn a_build_without_mutants_says_how_to_get_them() {
    for arguments in [&["--mutants"][..], &["--json", "--mutants", "--seeds", "1..2"], &["--mutant", "acks-all-early", "--seeds", "1..2"]] {
        let output = simulate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--features mutants"), "{arguments:?}");
    }
}

#[cfg(feature = "mutants")]
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
#[cfg(feature = "mutants")]
fn a_mutant_is_caught_with_what_it_takes_to_see_it_again() {
    let output = simulate(&["--mutant", "acks-all-early", "--seeds", "1..3", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = json(&output);
    let first = &told["violations"][0];
    assert_eq!(first["invariant"], "R9");
    assert!(first["events"].as_array().is_some_and(|events| !events.is_empty()), "{first}");
    assert_eq!((&told["seeds"], &told["mutants"][0]["name"]), (&Value::from(3), &Value::from("acks-all-early")));
    assert_eq!((&told["mutants"][0]["caught"], &told["mutants"][0]["seed"]), (&Value::from(true), &first["seed"]));
    let command = first["command"].as_str().expect("a command");
    let (cargo, arguments) = command.split_once(" -- ").expect("arguments of the simulator");
    assert_eq!(cargo, "cargo run --release --features mutants --bin simulate");
    let words: Vec<&str> = arguments.split(' ').chain(["--json"]).collect();
    let again = simulate(&words);
    assert_eq!(again.status.code(), Some(1), "{command}");
    assert_eq!(&json(&again)["violations"][0], first);
}

#[test]
#[cfg(feature = "mutants")]
fn a_mutant_without_seeds_is_awake_until_it_is_caught() {
    let output = simulate(&["--json", "--mutant", "acks-all-early"]);
    assert_eq!(output.status.code(), Some(1), "what it does is a violation");
    let told = json(&output);
    assert!(told["seeds"].as_u64().is_some_and(|seeds| 0 < seeds && seeds < 2_000), "{told}");
    assert_eq!(told["mutants"][0]["seed"], told["violations"][0]["seed"]);
}

#[test]
#[cfg(feature = "mutants")]
fn a_mutant_that_nothing_catches_has_survived() {
    // Nothing is elected where nothing fails.
    for how in [&["--mutant", "elect-outside-isr"][..], &["--mutants", "--mutant", "elect-outside-isr"]] {
        let output = simulate(&[&["--json", "--seeds", "1..2", "--scenario", "calm"], how].concat());
        assert_eq!(output.status.code(), Some(1), "{how:?}");
        let told = json(&output);
        assert_eq!((&told["seeds"], &told["violations"]), (&Value::from(2), &Value::Array(Vec::new())));
        assert_eq!((&told["mutants"][0]["caught"], &told["mutants"][0]["seed"]), (&Value::from(false), &Value::Null));
    }
}

#[test]
#[cfg(feature = "mutants")]
fn each_mutant_is_hunted_where_it_is_said_and_what_ran_is_counted() {
    let output = simulate(&["--seeds", "1..1", "--mutants", "--scenario", "calm", "--json"]);
    let told = json(&output);
    let mutants = told["mutants"].as_array().expect("mutants");
    assert_eq!(mutants.len(), brokerlab::mutant::MUTANTS.len());
    assert_eq!(told["seeds"], mutants.len(), "one seed each");
    assert_eq!(output.status.code(), Some(1), "a calm sea shows few of them");
    assert!(mutants.iter().any(|one| one["caught"] == true && one["seed"] == 1), "{told}");
    assert!(told["events"].as_u64().is_some_and(|events| 10_000 * 50 < events), "{told}");
    assert!(told["eventsPerSecond"].as_u64().is_some_and(|events| 0 < events), "{told}");
    assert!(told["counts"]["acknowledged"].as_u64().is_some_and(|count| 0 < count), "{told}");
    assert_eq!(told["violations"], Value::Array(Vec::new()), "what mutants do speaks for the checker");
    // One of them alone, caught as it should be.
    let output = simulate(&["--mutants", "--mutant", "acks-all-early"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("acks-all-early: caught by R9 at seed "));
}
