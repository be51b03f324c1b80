#![cfg(not(target_arch = "wasm32"))]
//! Clients that take more than their quotas say have to wait (KIP-13, KIP-55, KIP-124, KIP-219, KIP-546).

mod any_request;
mod cluster;

use any_request::{Facts, any_request, is_for_controller};
use brokerlab::node::{Body, Chance, NodeId, NoteKind, Timer};
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, DirectController, topic_id};
use kafka_protocol::messages as k;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

fn quota(user: Option<&str>, client: Option<&str>, set: Value) -> Value {
    let mut command = json!({ "type": "alterClientQuotas", "set": set });
    for (field, name) in [("user", user), ("clientId", client)].into_iter().filter(|(_, name)| name.is_some()) {
        command[field] = json!(name);
    }
    command
}

/// One broker with one partition; its producers send as much as 100,000 bytes a second.
fn cluster() -> Cluster {
    Cluster::of_brokers(1).topic("orders", 1, 1)
}

fn producer(cluster: &mut Cluster, id: &str, configs: Value) {
    cluster.apply(json!({ "type": "addProducer", "id": id, "topic": "orders", "recordsPerSecond": 100, "value": "x".repeat(1_000), "configs": configs }));
}

/// Bytes of the partition's log.
fn bytes(cluster: &Cluster) -> f64 {
    cluster.partition("orders", 0).replicas[0].bytes as f64
}

/// By how many bytes a second the log grows within so many seconds, after so many.
fn rate(cluster: &mut Cluster, after: f64, within: f64) -> f64 {
    cluster.advance(after * 1_000.0);
    let before = bytes(cluster);
    cluster.advance(within * 1_000.0);
    (bytes(cluster) - before) / within
}

/// Whoever waits takes a window's worth whenever the window's first samples are forgotten, which is every eleven seconds: averages are over 44.
#[track_caller]
fn assert_about(found: f64, expected: f64) {
    assert!((0.8 * expected..=1.2 * expected).contains(&found), "{found} is not about {expected}");
}

#[test]
fn a_producer_with_ten_kilobytes_a_second_gets_that() {
    let mut cluster = cluster();
    cluster.apply(quota(None, Some("shop"), json!({ "producer_byte_rate": "10000" })));
    producer(&mut cluster, "shop", json!({}));
    // Who was silent may take a window's worth at once: ten seconds'.
    let began = rate(&mut cluster, 0.0, 2.0);
    assert!(45_000.0 < began, "{began}");
    assert_about(rate(&mut cluster, 18.0, 44.0), 10_000.0);
    assert_eq!(cluster.view().producers[0].failed, 0);

    // Without its quota it sends as fast as it makes records.
    cluster.apply(json!({ "type": "alterClientQuotas", "clientId": "shop", "delete": ["producer_byte_rate"] }));
    assert!(90_000.0 < rate(&mut cluster, 20.0, 20.0));
}

#[test]
fn a_throttled_client_is_told_how_long_to_wait_and_sends_nothing_meanwhile() {
    let mut cluster = cluster();
    cluster.apply(quota(None, Some("shop"), json!({ "producer_byte_rate": "10000" })));
    producer(&mut cluster, "shop", json!({}));
    let events = cluster.events_after(|cluster| cluster.advance(30_000.0));
    let waits: Vec<(f64, f64)> = events
        .iter()
        .filter(|event| event.kind == "clientThrottled")
        .map(|event| {
            assert_eq!((event.node.as_str(), &event.detail["client"]), ("broker-1", &json!("shop")));
            (event.time, event.time + event.detail["ms"].as_f64().expect("a time"))
        })
        .collect();
    assert!(5 < waits.len(), "{waits:?}");
    let sent: Vec<f64> =
        events.iter().filter(|event| event.kind == "requestSent" && event.node == "shop").map(|event| event.time).collect();
    for (from, until) in &waits {
        // What it sends before it hears of it waits at the broker's door; from then on there is nothing.
        let early = sent.iter().find(|time| from + 5.0 < **time && **time < *until);
        assert_eq!(early, None, "from {from} to {until}");
    }
    let longest = waits.iter().map(|(from, until)| until - from).fold(0.0, f64::max);
    assert!(1_000.0 < longest, "sixteen kilobytes take 1.6 s: {longest}");
}

#[test]
fn who_wants_no_answer_waits_at_the_brokers_door() {
    let mut cluster = cluster();
    cluster.apply(quota(None, Some("<default>"), json!({ "producer_byte_rate": "10000" })));
    producer(&mut cluster, "shop", json!({ "acks": "0" }));
    assert_about(rate(&mut cluster, 20.0, 44.0), 10_000.0);
}

#[test]
fn a_consumer_gets_what_its_quota_says_and_nothing_that_it_has_to_wait_for() {
    let mut cluster = cluster();
    producer(&mut cluster, "shop", json!({}));
    cluster.advance(40_000.0);
    cluster.apply(json!({ "type": "removeProducer", "id": "shop" }));
    cluster.advance(1_000.0);
    cluster.apply(quota(None, Some("reader"), json!({ "consumer_byte_rate": "20000" })));
    for id in ["reader", "other"] {
        let configs = json!({ "auto.offset.reset": "earliest", "max.partition.fetch.bytes": "5000" });
        cluster
            .apply(json!({ "type": "addConsumer", "id": id, "partitions": [{ "topic": "orders", "partition": 0 }], "configs": configs }));
    }
    let consumed = |cluster: &Cluster, id: &str| {
        let reader = cluster.view().consumers.into_iter().find(|known| known.id == id).expect("the consumer");
        reader.consumed as f64
    };
    let record = bytes(&cluster) / 4_000.0;
    cluster.advance(15_000.0);
    assert!(3_900.0 < consumed(&cluster, "other"), "nobody else waits");
    let before = consumed(&cluster, "reader");
    cluster.advance(44_000.0);
    assert_about((consumed(&cluster, "reader") - before) * record / 44.0, 20_000.0);
}

#[test]
fn clients_of_one_user_share_his_quota_and_one_for_a_client_goes_before_it() {
    let mut cluster = cluster();
    cluster.apply(quota(Some("<default>"), None, json!({ "producer_byte_rate": "10000" })));
    producer(&mut cluster, "one", json!({}));
    producer(&mut cluster, "two", json!({}));
    assert_about(rate(&mut cluster, 20.0, 44.0), 10_000.0);
    let acknowledged = |cluster: &Cluster| cluster.view().producers.iter().map(|one| one.acknowledged).collect::<Vec<u64>>();
    assert!(acknowledged(&cluster).iter().all(|count| 100 < *count), "{:?}", acknowledged(&cluster));
    // Each its own.
    cluster.apply(quota(Some("ANONYMOUS"), Some("<default>"), json!({ "producer_byte_rate": "10000" })));
    assert_about(rate(&mut cluster, 20.0, 44.0), 20_000.0);
}

#[test]
fn a_client_keeps_a_thread_busy_as_long_as_its_percentage_says() {
    let mut cluster = Cluster::configured(1, json!({ "brokerlab.request.us": "10000" })).topic("orders", 1, 1);
    cluster.apply(quota(None, Some("restless"), json!({ "request_percentage": "10" })));
    let configs = json!({ "fetch.max.wait.ms": "1" });
    cluster.apply(
        json!({ "type": "addConsumer", "id": "restless", "partitions": [{ "topic": "orders", "partition": 0 }], "configs": configs }),
    );
    cluster.advance(30_000.0);
    let events = cluster.events_after(|cluster| cluster.advance(40_000.0));
    let fetches = events.iter().filter(|event| event.kind == "requestSent" && event.node == "restless").count();
    // Ten milliseconds each: ten a second.
    assert_about(fetches as f64 / 40.0, 10.0);
    let waits = events.iter().filter(|event| event.kind == "clientThrottled").map(|event| event.detail["ms"].as_f64().expect("a time"));
    assert!(waits.fold(0.0, f64::max) <= 1_000.0, "nobody waits longer for threads than a sample lasts");
}

#[test]
fn quotas_are_kept_in_the_metadata_and_hold_after_restarts() {
    let mut cluster = Cluster::of_three_controllers(1).topic("orders", 1, 1);
    cluster.apply(quota(None, Some("shop"), json!({ "producer_byte_rate": "10000" })));
    cluster.advance(100.0);
    let leader = cluster.view().controller.leader.expect("a controller");
    cluster.apply(json!({ "type": "crashController", "controller": leader }));
    cluster.apply(json!({ "type": "crashBroker", "broker": 1 }));
    cluster.apply(json!({ "type": "restartBroker", "broker": 1 }));
    cluster.advance(20_000.0);
    producer(&mut cluster, "shop", json!({}));
    assert_about(rate(&mut cluster, 20.0, 44.0), 10_000.0);
}

#[test]
fn who_has_partitions_made_and_deleted_spends_tokens_that_come_back_at_the_quotas_rate() {
    let mut cluster = Cluster::of_brokers(1);
    cluster.apply(quota(Some("<default>"), None, json!({ "controller_mutation_rate": "1" })));
    let create =
        |name: &str, partitions: i32| json!({ "type": "createTopic", "name": name, "partitions": partitions, "replicationFactor": 1 });
    // Eleven samples' worth of tokens, and what is begun with some is done whole.
    cluster.apply(create("ten", 10));
    cluster.apply(create("four", 4));
    for refused in [
        create("none", 1),
        json!({ "type": "deleteTopic", "name": "ten" }),
        json!({ "type": "createPartitions", "topic": "ten", "partitions": 11 }),
    ] {
        assert_eq!(cluster.refused(refused).code, "THROTTLING_QUOTA_EXCEEDED");
    }
    cluster.advance(2_900.0);
    assert_eq!(cluster.refused(create("none", 1)).code, "THROTTLING_QUOTA_EXCEEDED", "three tokens are owed");
    cluster.advance(200.0);
    cluster.apply(json!({ "type": "deleteTopic", "name": "four" }));
    cluster.advance(3_800.0);
    assert_eq!(cluster.refused(create("none", 1)).code, "THROTTLING_QUOTA_EXCEEDED", "four more");
    cluster.advance(200.0);
    cluster.apply(json!({ "type": "createPartitions", "topic": "ten", "partitions": 11 }));
    cluster.apply(json!({ "type": "alterClientQuotas", "user": "<default>", "delete": ["controller_mutation_rate"] }));
    cluster.apply(create("many", 100));
}

#[test]
fn a_mutation_rate_may_be_larger_than_any_bucket() {
    let mut cluster = Cluster::of_brokers(1);
    for (rate, topic) in [("1e30", "one"), ("1e300", "two")] {
        cluster.apply(quota(Some("<default>"), None, json!({ "controller_mutation_rate": rate })));
        for number in 0..2 {
            let name = format!("{topic}-{number}");
            cluster.apply(json!({ "type": "createTopic", "name": name, "partitions": 100, "replicationFactor": 1 }));
            cluster.advance(1_000.0);
        }
    }
}

#[test]
fn whatever_is_answered_says_how_long_to_wait() {
    let mut cluster = Cluster::configured(1, json!({ "brokerlab.request.us": "10000" })).topic("orders", 2, 1);
    cluster.consumer("reader", "readers");
    cluster.apply(quota(None, Some("raw"), json!({ "request_percentage": "0.01" })));
    cluster.advance(5_000.0);
    let start = Direct::of(&cluster, 1);
    let group = cluster.group("readers");
    let facts = Facts {
        topic: topic_id(&cluster, "orders"),
        other_topic: topic_id(&cluster, "orders"),
        leader: 1,
        coordinator: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        isr: vec![1],
        member: group.members[0].member_id.clone(),
        generation: group.generation,
        broker_epochs: vec![start.broker.epoch(); 3],
    };
    let mut throttled = BTreeSet::new();
    for seed in 0..6_000 {
        let request = any_request(&mut Chance::new(seed), &facts);
        if is_for_controller(&request) {
            continue;
        }
        let api = request.api().name();
        let mut direct = start.copy();
        let mut out = direct.does(NodeId::Client(77), request);
        let handled = out.timers.iter().find(|(_, timer)| matches!(timer, Timer::Work { .. })).cloned();
        let Some((at, timer)) = handled else { continue };
        out = direct.rings(at, timer);
        let waits = out.notes.iter().find_map(|note| if let NoteKind::ClientThrottled { ms, .. } = note { Some(*ms) } else { None });
        for sent in out.sends {
            let Body::Response(response) = sent.body else { continue };
            let said = format!("{response:?}");
            if sent.to.peer == NodeId::Client(77) && said.contains("throttle_time_ms") {
                let waits = waits.expect("a hundredth of a percent of a thread is less than any request takes");
                assert!(said.contains(&format!("throttle_time_ms: {waits}")), "{waits}: {said}");
                assert_eq!(response.throttle_time_ms() as u64, waits);
                throttled.insert(api);
            }
        }
    }
    assert!(30 < throttled.len(), "{throttled:?}");
}

#[test]
fn a_fetch_that_is_empty_because_of_its_threads_costs_no_bytes() {
    let mut cluster = Cluster::configured(1, json!({ "brokerlab.request.us": "10000" })).topic("orders", 1, 1);
    for _ in 0..10 {
        cluster.apply(json!({ "type": "send", "topic": "orders", "value": "x".repeat(1_000) }));
    }
    cluster.advance(1_000.0);
    // Ten fetches' worth of bytes, and threads for one of ten milliseconds.
    cluster.apply(quota(None, Some("raw"), json!({ "consumer_byte_rate": "10000", "request_percentage": "0.1" })));
    cluster.advance(1_000.0);
    let mut direct = Direct::of(&cluster, 1);
    let mut fetch = |peer: u64| {
        let partition = k::fetch_request::FetchPartition::default().with_partition_max_bytes(i32::MAX);
        let topic = k::fetch_request::FetchTopic::default().with_topic_id(topic_id(&cluster, "orders")).with_partitions(vec![partition]);
        let message = k::FetchRequest::default().with_topics(vec![topic]).with_max_bytes(i32::MAX).with_session_epoch(-1);
        let out = direct.does(NodeId::Client(peer as u32), Request::Fetch(Arc::new(message)));
        let (at, timer) = out.timers.into_iter().find(|(_, timer)| matches!(timer, Timer::Work { .. })).expect("a thread works");
        let out = direct.rings(at, timer);
        let found = out.sends.into_iter().find_map(|sent| match sent.body {
            Body::Response(Response::Fetch(message, batches)) => {
                Some((message.throttle_time_ms, batches.iter().map(Vec::len).sum::<usize>()))
            }
            _ => None,
        });
        found.expect("an answer")
    };
    let (ms, batches) = fetch(1);
    assert!(ms == 0 && 0 < batches, "{ms} ms, {batches} batches");
    for peer in 2..30 {
        let (ms, batches) = fetch(peer);
        // For bytes it would be a hundred seconds and more by now; for threads nobody waits longer than a sample lasts.
        assert!(0 < ms && ms <= 1_000 && batches == 0, "{peer}: {ms} ms, {batches} batches");
    }
}

/// An entity by its parts: type and name.
type Parts<'a> = &'a [(&'a str, Option<&'a str>)];

fn alteration(parts: Parts<'_>, ops: &[(&str, Option<f64>)]) -> k::alter_client_quotas_request::EntryData {
    use k::alter_client_quotas_request::{EntityData, EntryData, OpData};
    let part = |(kind, name): &(&str, Option<&str>)| {
        EntityData::default().with_entity_type(wire::text(kind)).with_entity_name(name.map(wire::text))
    };
    let op = |(name, value): &(&str, Option<f64>)| {
        OpData::default().with_key(wire::text(name)).with_value(value.unwrap_or_default()).with_remove(value.is_none())
    };
    EntryData::default().with_entity(parts.iter().map(part).collect()).with_ops(ops.iter().map(op).collect())
}

/// The errors of each entry, with its sentence.
fn altered(cluster: &Cluster, entries: Vec<k::alter_client_quotas_request::EntryData>) -> Vec<String> {
    let message = k::AlterClientQuotasRequest::default().with_entries(entries);
    let answer = DirectController::of(cluster).ask(NodeId::Admin, Request::AlterClientQuotas(Arc::new(message)));
    let Some(Response::AlterClientQuotas(answer)) = answer else { panic!("an answer") };
    let error = |entry: &k::alter_client_quotas_response::EntryData| {
        let code = brokerlab::protocol::ErrorCode::of(entry.error_code).name();
        entry.error_message.as_deref().map_or(code.to_owned(), |sentence| format!("{code}: {sentence}"))
    };
    answer.entries.iter().map(error).collect()
}

#[test]
fn what_no_quota_can_be_is_refused_by_the_controller_entity_by_entity() {
    let cluster = cluster();
    let rate: &[(&str, Option<f64>)] = &[("producer_byte_rate", Some(5.0))];
    let user: Parts<'_> = &[("user", Some("ann"))];
    for (entry, error) in [
        (alteration(&[], rate), "INVALID_REQUEST: A quota is for a user, a client-id, or both."),
        (alteration(&[("user", Some(""))], rate), "INVALID_REQUEST: A user or client id has a name; null is the default."),
        (alteration(&[("group", Some("g"))], rate), "INVALID_REQUEST: Quotas are for a user or a client-id, not for \"group\"."),
        (alteration(&[("ip", None)], rate), "UNSUPPORTED_VERSION: Addresses have no quotas here: nobody has one."),
        (alteration(&[("user", None), ("user", Some("a"))], rate), "INVALID_REQUEST: A quota's user, or its client-id, is named twice."),
        (alteration(user, &[("bytes", Some(5.0))]), "INVALID_REQUEST: There is no quota bytes."),
        (alteration(user, &[("producer_byte_rate", Some(0.0))]), "INVALID_REQUEST: The quota producer_byte_rate must be greater than 0."),
        (
            alteration(user, &[("request_percentage", Some(f64::NAN))]),
            "INVALID_REQUEST: The quota request_percentage must be greater than 0.",
        ),
        (
            alteration(user, &[("consumer_byte_rate", Some(1.5))]),
            "INVALID_REQUEST: The quota consumer_byte_rate is a whole number of bytes, up to 2^63 - 1.",
        ),
        (
            alteration(user, &[("consumer_byte_rate", Some(1e19))]),
            "INVALID_REQUEST: The quota consumer_byte_rate is a whole number of bytes, up to 2^63 - 1.",
        ),
        (
            alteration(user, &[("request_percentage", Some(1.5)), ("request_percentage", None)]),
            "INVALID_REQUEST: The quota request_percentage is named twice.",
        ),
    ] {
        assert_eq!(altered(&cluster, vec![entry]), [error]);
    }
    let whole = vec![alteration(user, rate), alteration(&[("user", Some(""))], rate), alteration(user, rate)];
    assert_eq!(
        altered(&cluster, whole),
        [
            "NONE",
            "INVALID_REQUEST: A user or client id has a name; null is the default.",
            "INVALID_REQUEST: The quotas of user ann are named twice."
        ]
    );
    // To take away what is not there changes nothing.
    assert_eq!(altered(&cluster, vec![alteration(user, &[("no_quota", None)])]), ["NONE"]);
}

#[test]
fn a_command_that_sets_no_quota_is_refused_and_changes_nothing() {
    let mut cluster = cluster();
    let hash = cluster.session.trace_hash();
    for (command, code, field) in [
        (json!({ "type": "alterClientQuotas", "user": "ann" }), "INVALID_ARGUMENT", "set"),
        (json!({ "type": "alterClientQuotas", "set": { "producer_byte_rate": "1" } }), "INVALID_REQUEST", "user"),
        (quota(Some("ann"), None, json!({ "producer_byte_rate": "much" })), "INVALID_ARGUMENT", "set.producer_byte_rate"),
        (quota(None, Some("app"), json!({ "producer_byte_rate": "-1" })), "INVALID_REQUEST", "set"),
        (quota(Some(""), Some("app"), json!({ "producer_byte_rate": "1" })), "INVALID_REQUEST", "user"),
        (quota(Some("ann"), Some(""), json!({ "producer_byte_rate": "1" })), "INVALID_REQUEST", "clientId"),
        (quota(None, Some(""), json!({ "producer_byte_rate": "1" })), "INVALID_REQUEST", "clientId"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}: {}", refusal.message);
        assert_eq!(cluster.session.trace_hash(), hash, "{command} changed something");
    }
}

#[test]
fn quotas_are_told_as_they_are_asked_for() {
    let mut cluster = cluster();
    for (user, client, rate) in [
        (Some("ann"), None, "1"),
        (Some("<default>"), None, "2"),
        (None, Some("app"), "3"),
        (Some("ann"), Some("app"), "4"),
        (Some("ann"), Some("<default>"), "5"),
    ] {
        cluster.apply(quota(user, client, json!({ "producer_byte_rate": rate })));
    }
    cluster.advance(1_000.0);
    let mut direct = Direct::of(&cluster, 1);
    let mut peer = 200;
    let mut told = |components: &[(&str, i8, Option<&str>)], strict: bool| {
        use k::describe_client_quotas_request::ComponentData;
        let component = |(kind, how, name): &(&str, i8, Option<&str>)| {
            ComponentData::default().with_entity_type(wire::text(kind)).with_match_type(*how).with_match(name.map(wire::text))
        };
        let message =
            k::DescribeClientQuotasRequest::default().with_components(components.iter().map(component).collect()).with_strict(strict);
        peer += 1;
        let answer = direct.ask_from(NodeId::Client(peer), Request::DescribeClientQuotas(Arc::new(message)));
        let Some(Response::DescribeClientQuotas(answer)) = answer else { panic!("an answer") };
        let mut rates: Vec<i64> = answer.entries.iter().flatten().map(|entry| entry.values[0].value as i64).collect();
        rates.sort_unstable();
        (brokerlab::protocol::ErrorCode::of(answer.error_code).name(), rates)
    };
    let (exact, default, any) = (0, 1, 2);
    assert_eq!(told(&[], false), ("NONE", vec![1, 2, 3, 4, 5]));
    assert_eq!(told(&[], true), ("NONE", vec![]));
    assert_eq!(told(&[("user", exact, Some("ann"))], false), ("NONE", vec![1, 4, 5]));
    assert_eq!(told(&[("user", exact, Some("ann"))], true), ("NONE", vec![1]));
    assert_eq!(told(&[("user", default, None)], false), ("NONE", vec![2]));
    assert_eq!(told(&[("user", any, None)], true), ("NONE", vec![1, 2]));
    assert_eq!(told(&[("user", any, None), ("client-id", any, None)], false), ("NONE", vec![4, 5]));
    assert_eq!(told(&[("user", exact, Some("ann")), ("client-id", default, None)], true), ("NONE", vec![5]));
    assert_eq!(told(&[("client-id", exact, Some("app"))], false), ("NONE", vec![3, 4]));
    assert_eq!(told(&[("ip", any, None)], false), ("NONE", vec![]));
    assert_eq!(told(&[("ip", any, None), ("user", any, None)], false), ("INVALID_REQUEST", vec![]));
    assert_eq!(told(&[("user", any, None), ("user", default, None)], false), ("INVALID_REQUEST", vec![]));
    assert_eq!(told(&[("user", 3, None)], false), ("INVALID_REQUEST", vec![]));
    assert_eq!(told(&[("", any, None)], false), ("INVALID_REQUEST", vec![]));
    assert_eq!(told(&[("group", any, None)], false), ("UNSUPPORTED_VERSION", vec![]));
}
