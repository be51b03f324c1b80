#![cfg(not(target_arch = "wasm32"))]
//! Messages that are lost, late or doubled, and links that are slow or cut: what Kafka's clients and brokers make of it.

mod cluster;

use brokerlab::view::{self, EventView, Flight};
use cluster::Cluster;
use serde_json::{Value, json};

/// A producer without idempotence that gives a request a second, and does not wait for fuller batches.
fn producer(cluster: &mut Cluster, id: &str, configs: Value) {
    let mut all = json!({ "enable.idempotence": "false", "linger.ms": "0", "request.timeout.ms": "1000", "delivery.timeout.ms": "120000" });
    all.as_object_mut().expect("an object").extend(configs.as_object().expect("an object").clone());
    cluster.apply(json!({ "type": "addProducer", "id": id, "topic": "orders", "configs": all }));
    cluster.advance(100.0);
}

fn send(cluster: &mut Cluster, producer: &str, value: &str) {
    cluster.apply(json!({ "type": "send", "producer": producer, "topic": "orders", "partition": 0, "value": value }));
}

/// The newest message of this kind that is on its way.
fn in_flight(cluster: &Cluster, api: &str, response: bool) -> Option<Flight> {
    view::flights(&cluster.session).into_iter().rev().find(|flight| flight.api == api && flight.response == response)
}

/// Runs until a message of this kind is on its way, and returns its number.
fn until_in_flight(cluster: &mut Cluster, api: &str, response: bool) -> u64 {
    for _ in 0..10_000 {
        if let Some(flight) = in_flight(cluster, api, response) {
            return flight.id;
        }
        cluster.advance(0.1);
    }
    panic!("no {api} in a second")
}

fn of_kind(events: &[EventView], kind: &str) -> Vec<EventView> {
    events.iter().filter(|event| event.kind == kind).cloned().collect()
}

#[test]
fn a_dropped_produce_request_is_sent_again_after_its_timeout_and_arrives_once() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, "p", json!({}));
    send(&mut cluster, "p", "v");
    let message = until_in_flight(&mut cluster, "Produce", false);
    let sent = cluster.view().time;
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "messageFault", "message": message, "action": "drop" }));
        cluster.advance(3_000.0);
    });
    let dropped = of_kind(&seen, "messageDropped");
    assert_eq!(dropped.len(), 1);
    assert_eq!((dropped[0].detail["message"].as_u64(), dropped[0].node.as_str()), (Some(message), "p"));
    assert!(dropped[0].text.contains("is lost: it is dropped on the way"), "{}", dropped[0].text);
    let retried = of_kind(&seen, "produceRetried");
    assert_eq!((retried.len(), retried[0].error), (1, Some("REQUEST_TIMED_OUT")));
    assert!((1_000.0 - 1.0..=1_000.0).contains(&(retried[0].time - sent)), "after request.timeout.ms: {}", retried[0].time - sent);
    assert_eq!(cluster.values("orders", 0), ["v"]);
}

#[test]
fn a_dropped_produce_response_makes_a_producer_without_idempotence_write_twice() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, "p", json!({}));
    let leader = cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "dropNext", "api": "Produce", "broker": leader, "what": "response" }));
    assert_eq!(cluster.view().drops.len(), 1);
    send(&mut cluster, "p", "v");
    cluster.advance(3_000.0);
    assert_eq!(cluster.values("orders", 0), ["v", "v"], "the broker has it, the producer cannot know");
    assert!(cluster.view().drops.is_empty(), "it is used up");
    let producer = cluster.view().producers.into_iter().find(|known| known.id == "p").expect("the producer");
    assert_eq!((producer.acknowledged, producer.retries, producer.failed), (1, 1, 0));
}

#[test]
fn without_retries_a_dropped_response_is_a_failure_although_the_record_is_there() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, "p", json!({ "retries": "0" }));
    cluster.apply(json!({ "type": "dropNext", "api": "Produce", "what": "response" }));
    let seen = cluster.events_after(|cluster| {
        send(cluster, "p", "v");
        cluster.advance(3_000.0);
    });
    assert_eq!(of_kind(&seen, "recordFailed")[0].error, Some("REQUEST_TIMED_OUT"));
    assert_eq!(cluster.values("orders", 0), ["v"]);
}

#[test]
fn a_delayed_request_is_overtaken_if_more_than_one_may_be_in_flight() {
    for (in_flight_max, expected) in [("5", ["second", "first"]), ("1", ["first", "second"])] {
        let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
        producer(&mut cluster, "p", json!({ "max.in.flight.requests.per.connection": in_flight_max }));
        send(&mut cluster, "p", "first");
        let message = until_in_flight(&mut cluster, "Produce", false);
        cluster.apply(json!({ "type": "messageFault", "message": message, "action": "delay", "delayMs": 200 }));
        send(&mut cluster, "p", "second");
        cluster.advance(900.0);
        assert_eq!(cluster.values("orders", 0), expected, "{in_flight_max} in flight");
    }
}

#[test]
fn a_request_that_is_delayed_beyond_its_timeout_is_written_late_and_twice() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, "p", json!({}));
    send(&mut cluster, "p", "v");
    let message = until_in_flight(&mut cluster, "Produce", false);
    cluster.apply(json!({ "type": "messageFault", "message": message, "action": "delay", "delayMs": 5000 }));
    cluster.advance(3_000.0);
    assert_eq!(cluster.values("orders", 0), ["v"], "the retry is there");
    cluster.advance(3_000.0);
    assert_eq!(cluster.values("orders", 0), ["v", "v"], "and then the first one");
}

#[test]
fn a_duplicated_produce_request_is_written_twice_and_answered_once_for_the_producer() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, "p", json!({}));
    send(&mut cluster, "p", "v");
    let message = until_in_flight(&mut cluster, "Produce", false);
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "messageFault", "message": message, "action": "duplicate", "delayMs": 50 }));
        cluster.advance(1_000.0);
    });
    assert_eq!(of_kind(&seen, "messageDuplicated").len(), 1);
    assert_eq!(cluster.values("orders", 0), ["v", "v"]);
    assert_eq!(of_kind(&seen, "recordAcknowledged").len(), 1);
}

#[test]
fn no_message_of_the_cluster_s_own_can_stop_it_for_good_by_being_lost() {
    // Whatever is lost, once each: the cluster is whole again without help.
    for (api, what) in [
        ("BrokerRegistration", "request"),
        ("BrokerRegistration", "response"),
        ("BrokerHeartbeat", "request"),
        ("BrokerHeartbeat", "response"),
        ("AlterPartition", "request"),
        ("AlterPartition", "response"),
        ("Fetch", "request"),
        ("Fetch", "response"),
        ("CreateTopics", "request"),
        ("CreateTopics", "response"),
        ("FindCoordinator", "response"),
        ("JoinGroup", "response"),
        ("SyncGroup", "request"),
        ("SyncGroup", "response"),
        ("Heartbeat", "response"),
        ("OffsetCommit", "request"),
        ("OffsetFetch", "response"),
        ("Metadata", "response"),
        ("ListOffsets", "request"),
    ] {
        let mut cluster = Cluster::configured(3, json!({ "replica.lag.time.max.ms": "2000" })).topic("orders", 1, 3);
        let follower = (1..=3).find(|id| *id != cluster.leader("orders", 0)).expect("a follower");
        cluster.apply(json!({ "type": "dropNext", "api": api, "what": what }));
        cluster.apply(json!({ "type": "crashBroker", "broker": follower }));
        cluster.send("orders", Some("k"), "v");
        cluster.consumer("c", "g");
        cluster.advance(5_000.0);
        cluster.apply(json!({ "type": "restartBroker", "broker": follower }));
        cluster.send("fresh", Some("k"), "v");
        cluster.advance(400_000.0);
        assert!(cluster.view().drops.is_empty(), "{api} {what} never came");
        assert_eq!(cluster.partition("orders", 0).isr.len(), 3, "after the loss of a {api} {what}");
        cluster.assert_replicas_equal("orders");
        assert_eq!(cluster.values("fresh", 0), ["v"], "after the loss of a {api} {what}");
        assert_eq!(cluster.group("g").state, "Stable", "after the loss of a {api} {what}");
        assert_eq!(cluster.position("c", "orders", 0), Some(1), "after the loss of a {api} {what}");
        assert!(cluster.view().brokers.iter().all(|broker| broker.state == view::BrokerState::Running), "{api} {what}");
    }
}

#[test]
fn a_lost_poll_of_the_metadata_log_is_noticed_after_two_seconds() {
    let mut cluster = Cluster::of_brokers(3);
    cluster.advance(2_000.0);
    for response in [false, true] {
        // A new topic makes the controller answer the polls of all brokers, which then poll again.
        cluster.apply(json!({ "type": "createTopic", "name": format!("t{response}"), "partitions": 1, "replicationFactor": 3 }));
        let poll =
            |flight: &Flight| flight.api == "Fetch" && flight.response == response && flight.from.starts_with("controller") == response;
        let lost = (0..100).find_map(|_| {
            cluster.advance(0.1);
            let flights = view::flights(&cluster.session);
            flights.into_iter().find(|flight| poll(flight) && (response || flight.to.starts_with("controller")))
        });
        let lost = lost.expect("a poll");
        let broker = if response { lost.to.clone() } else { lost.from.clone() };
        let asked_again = |events: &[EventView]| {
            events
                .iter()
                .any(|e| e.kind == "requestSent" && e.node == broker && e.detail["to"] == "controller-1" && e.detail["api"] == "Fetch")
        };
        let soon = cluster.events_after(|cluster| {
            cluster.apply(json!({ "type": "messageFault", "message": lost.id, "action": "drop" }));
            cluster.advance(1_990.0);
        });
        let later = cluster.events_after(|cluster| cluster.advance(20.0));
        assert_eq!((asked_again(&soon), asked_again(&later)), (false, true), "response: {response}");
    }
}

#[test]
fn a_slow_link_takes_its_latency_and_its_bandwidth_each_way_by_itself() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    producer(&mut cluster, "p", json!({ "request.timeout.ms": "30000" }));
    let leader = format!("broker-{}", cluster.leader("orders", 0));
    cluster.apply(json!({ "type": "setLink", "from": "p", "to": leader, "latencyMs": 40 }));
    cluster.apply(json!({ "type": "setLink", "from": leader, "to": "p", "latencyMs": 7.5 }));
    let round_trip = |cluster: &mut Cluster, value: &str| {
        let sent = cluster.view().time;
        let seen = cluster.events_after(|cluster| {
            send(cluster, "p", value);
            cluster.advance(5_000.0);
        });
        of_kind(&seen, "recordAcknowledged")[0].time - sent
    };
    // The first one also opens a connection and asks who leads.
    assert_eq!(round_trip(&mut cluster, "v"), 3.0 * 47.5);
    assert_eq!(round_trip(&mut cluster, "v"), 47.5);
    // A request has about a hundred bytes besides its batch: 61 of header, and here 7 for the record's own fields and 829 of value.
    cluster.apply(json!({ "type": "setLink", "from": "p", "to": leader, "bytesPerSecond": 10_000, "latencyMs": 0 }));
    let bytes = 100.0 + 61.0 + 9.0 + 829.0;
    let took = round_trip(&mut cluster, &"x".repeat(829));
    assert!((took - 7.5 - bytes / 10.0).abs() < 0.3, "{took}");
    // As it was, when the command says nothing of it.
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
    assert!(cluster.view().links.is_empty());
    assert!(round_trip(&mut cluster, "v") < 2.5);
}

#[test]
fn a_follower_that_cannot_reach_its_leader_leaves_the_isr_after_the_lag_time_and_comes_back() {
    let mut cluster = Cluster::configured(3, json!({ "replica.lag.time.max.ms": "4000" })).topic("orders", 1, 3);
    producer(&mut cluster, "p", json!({ "acks": "all", "request.timeout.ms": "30000" }));
    let leader = cluster.leader("orders", 0);
    let follower = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.apply(json!({ "type": "setLink", "from": format!("broker-{follower}"), "to": format!("broker-{leader}"), "cut": true }));
    let cut = cluster.view().time;
    let seen = cluster.events_after(|cluster| {
        send(cluster, "p", "v");
        cluster.advance(8_000.0);
    });
    let shrunk = of_kind(&seen, "isrShrunk");
    assert_eq!(shrunk.len(), 1);
    // The leader looks every half of the lag time.
    let after = shrunk[0].time - cut;
    assert!((4_000.0 - 500.0..=4_000.0 + 2_000.0 + 5.0).contains(&after), "{after}");
    assert!(!cluster.partition("orders", 0).isr.contains(&follower));
    // Its heartbeats arrive: it is not fenced, and the record is safe with the others.
    assert!(of_kind(&seen, "brokerFenced").is_empty());
    let acknowledged = of_kind(&seen, "recordAcknowledged");
    assert!(acknowledged.len() == 1 && shrunk[0].time <= acknowledged[0].time, "acks=all waits until the ISR is smaller");
    assert!(of_kind(&seen, "messageDropped").iter().all(|event| event.text.ends_with("the link is cut")));

    cluster.apply(json!({ "type": "setLink", "from": format!("broker-{follower}"), "to": format!("broker-{leader}"), "cut": false }));
    let healed = cluster.view().time;
    let seen = cluster.events_after(|cluster| cluster.advance(40_000.0));
    let expanded = of_kind(&seen, "isrExpanded");
    assert_eq!(expanded.len(), 1);
    assert!(expanded[0].time - healed < 31_500.0, "after replica.socket.timeout.ms and a backoff at the latest");
    cluster.assert_replicas_equal("orders");
}

#[test]
fn a_broker_that_the_controller_does_not_hear_is_fenced_and_lives_on_with_its_epoch_when_the_link_heals() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 3, 3);
    let before = cluster.view().brokers[0].epoch;
    cluster.apply(json!({ "type": "setLink", "from": "broker-1", "to": "controller-1", "cut": true }));
    cluster.advance(8_900.0 - 2_000.0);
    assert_eq!(cluster.view().brokers[0].state, view::BrokerState::Running);
    cluster.advance(2_200.0);
    assert_eq!(cluster.view().brokers[0].state, view::BrokerState::Fenced, "after broker.session.timeout.ms");
    assert!(cluster.view().topics[0].partitions.iter().all(|partition| !partition.isr.contains(&1)));
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
    cluster.advance(10_000.0);
    let broker = cluster.view().brokers.swap_remove(0);
    assert_eq!((broker.state, broker.epoch), (view::BrokerState::Running, before), "the same process, unfenced by its next heartbeat");
    assert!(cluster.view().topics[0].partitions.iter().all(|partition| partition.isr.len() == 3));
}

#[test]
fn a_leader_that_is_cut_off_keeps_taking_acks_1_records_and_loses_them() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, "near", json!({ "acks": "1" }));
    producer(&mut cluster, "careful", json!({ "acks": "all", "request.timeout.ms": "30000" }));
    let old = cluster.leader("orders", 0);
    // Its clients reach it, the others do not.
    for other in (1..=3).filter(|id| *id != old).map(|id| format!("broker-{id}")).chain(["controller-1".to_owned()]) {
        for (from, to) in [(format!("broker-{old}"), other.clone()), (other, format!("broker-{old}"))] {
            cluster.apply(json!({ "type": "setLink", "from": from, "to": to, "cut": true }));
        }
    }
    let seen = cluster.events_after(|cluster| {
        send(cluster, "near", "lost");
        send(cluster, "careful", "kept");
        cluster.advance(15_000.0);
    });
    assert_eq!(of_kind(&seen, "recordAcknowledged").iter().map(|event| event.node.as_str()).collect::<Vec<_>>(), ["near"]);
    let partition = cluster.partition("orders", 0);
    assert_ne!(partition.leader, Some(old));
    let end = |cluster: &Cluster| {
        cluster.partition("orders", 0).replicas.into_iter().find(|replica| replica.broker == old).expect("it").log_end_offset
    };
    assert_eq!(end(&cluster), 2, "it has both and thinks that it leads");
    let seen = cluster.events_after(|cluster| {
        cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
        cluster.advance(90_000.0);
    });
    let truncated = of_kind(&seen, "truncated");
    assert_eq!((truncated.len(), truncated[0].node.as_str()), (1, format!("broker-{old}").as_str()));
    assert_eq!((truncated[0].detail["from"].as_i64(), truncated[0].detail["to"].as_i64()), (Some(2), Some(0)));
    cluster.assert_replicas_equal("orders");
    assert_eq!(cluster.values("orders", 0), ["kept"], "acks=all is tried again until it is safe; acks=1 was content");
}

#[test]
fn a_broker_forgets_the_waiting_request_of_a_client_that_gave_up_and_closed_the_connection() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    let configs = json!({ "request.timeout.ms": "200", "fetch.max.wait.ms": "500" });
    let seen = cluster.events_after(|cluster| {
        cluster
            .apply(json!({ "type": "addConsumer", "id": "c", "partitions": [{ "topic": "orders", "partition": 0 }], "configs": configs }));
        cluster.advance(5_000.0);
    });
    let of_c = |kind: &str, end: &dyn Fn(&EventView) -> bool| {
        of_kind(&seen, kind).iter().filter(|event| event.detail["api"] == "Fetch" && end(event)).count()
    };
    assert!(10 < of_c("requestSent", &|event| event.node == "c"));
    assert_eq!(of_c("responseSent", &|event| event.detail["to"] == "c"), 0, "nobody is there to hear it");
}

#[test]
fn a_bad_link_loses_doubles_and_delays_its_messages_in_the_ratios_given() {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    producer(&mut cluster, "p", json!({ "acks": "0", "linger.ms": "0", "retries": "0" }));
    send(&mut cluster, "p", "before");
    cluster.advance(1_000.0);
    let odds = json!({
        "type": "setLink", "from": "p", "to": "broker-1", "latencyMs": 1,
        "dropRatio": 0.2, "duplicateRatio": 0.1, "delayRatio": 0.3, "delayMs": 500,
    });
    cluster.apply(odds);
    assert_eq!(cluster.view().links[0].drop_ratio, Some(0.2));
    let seen = cluster.events_after(|cluster| {
        for number in 0..1_000 {
            send(cluster, "p", &format!("{number}"));
            cluster.advance(2.0);
        }
        cluster.advance(1_000.0);
    });
    let of_p = |kind: &str| of_kind(&seen, kind).iter().filter(|event| event.node == "p" && event.detail["api"] == "Produce").count();
    let (lost, doubled, late) = (of_p("messageDropped"), of_p("messageDuplicated"), of_p("messageDelayed"));
    // Four standard deviations of a thousand draws.
    assert!((150..=250).contains(&lost) && (62..=138).contains(&doubled) && (242..=358).contains(&late), "{lost} {doubled} {late}");
    let values = cluster.values("orders", 0);
    assert_eq!(values.len(), 1 + 1_000 - lost + doubled, "each is there as often as it arrived");
    let numbers: Vec<u64> = values[1..].iter().map(|value| value.parse().expect("a number")).collect();
    let overtaken = numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(late / 2 < overtaken, "those that were late came after later ones: {overtaken}");
    cluster.apply(json!({ "type": "setLink", "from": "*", "to": "*" }));
    assert_eq!(cluster.view().links.len(), 0);
    let seen = cluster.events_after(|cluster| {
        (0..100).for_each(|_| send(cluster, "p", "after"));
        cluster.advance(1_000.0);
    });
    assert_eq!(of_kind(&seen, "messageDropped").len(), 0);
}

#[test]
fn a_link_with_luck_of_its_own_changes_nobody_else_s() {
    let happens = |ratio: f64| {
        let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
        producer(&mut cluster, "p", json!({}));
        cluster.apply(json!({ "type": "setLink", "from": "p", "to": "broker-1", "duplicateRatio": ratio }));
        let seen = cluster.events_after(|cluster| {
            send(cluster, "p", "v");
            cluster.advance(3_000.0);
        });
        seen.into_iter().map(|event| (event.time, event.text)).collect::<Vec<_>>()
    };
    // One in a million: it is drawn for each message and never comes true here.
    assert_eq!(happens(0.000_001), happens(0.0));
}

#[test]
fn one_request_in_flight_keeps_the_order_over_a_change_of_leaders() {
    let mut cluster = Cluster::of_brokers(3);
    cluster.apply(json!({ "type": "createTopic", "name": "orders", "partitions": 2, "replicationFactor": 1 }));
    cluster.advance(1_000.0);
    producer(&mut cluster, "p", json!({ "max.in.flight.requests.per.connection": "1", "request.timeout.ms": "10000" }));
    let send = |cluster: &mut Cluster, partition: i32, value: &str| {
        cluster.apply(json!({ "type": "send", "producer": "p", "topic": "orders", "partition": partition, "value": value }));
        cluster.advance(200.0);
    };
    // Connections and metadata are there, and the two partitions have leaders of their own.
    send(&mut cluster, 0, "0");
    send(&mut cluster, 1, "0");
    let [old, other] = [0, 1].map(|partition| cluster.partition("orders", partition).leader.expect("a leader"));
    let new = 6 - old - other;
    cluster.apply(json!({ "type": "setLink", "from": "p", "to": format!("broker-{old}"), "latencyMs": 3_000 }));
    send(&mut cluster, 0, "1");
    for partition in [0, 1] {
        cluster.apply(json!({ "type": "reassign", "topic": "orders", "partition": partition, "replicas": [new] }));
    }
    cluster.advance(1_000.0);
    // Its old leader says so, and the producer learns whom both partitions have now.
    send(&mut cluster, 1, "1");
    send(&mut cluster, 0, "2");
    assert_eq!(cluster.view().producers[0].in_flight, 1, "the next batch waits for the last one");
    cluster.advance(10_000.0);
    assert_eq!(cluster.values("orders", 0), ["0", "1", "2"]);
    assert_eq!(cluster.values("orders", 1), ["0", "1"]);
}

#[test]
fn faults_are_part_of_the_session_s_history() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    producer(&mut cluster, "p", json!({}));
    send(&mut cluster, "p", "v");
    let message = until_in_flight(&mut cluster, "Produce", false);
    cluster.apply(json!({ "type": "messageFault", "message": message, "action": "duplicate" }));
    cluster.apply(json!({ "type": "setLink", "from": "p", "to": "*", "latencyMs": 3 }));
    cluster.apply(json!({ "type": "dropNext", "api": "Fetch", "broker": 2 }));
    cluster.advance(5_000.0);
    let (hash, view) = (cluster.session.trace_hash(), cluster.view());
    let again = brokerlab::session::Session::load(&cluster.session.save()).expect("it loads");
    assert_eq!(again.trace_hash(), hash);
    assert!(cluster.session.undo() && cluster.session.undo() && cluster.session.undo());
    assert_eq!((cluster.values("orders", 0).len(), cluster.view().links.len()), (1, 0), "undone");
    assert!(cluster.session.redo() && cluster.session.redo() && cluster.session.redo());
    assert_eq!((cluster.session.trace_hash(), cluster.view()), (hash, view));
}

#[test]
fn faults_that_make_no_sense_are_refused() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3);
    send_default(&mut cluster);
    let message = until_in_flight(&mut cluster, "Metadata", false);
    let hash = cluster.session.trace_hash();
    let fault = |fields: Value| {
        let mut command = json!({ "type": "messageFault", "message": message, "action": "drop" });
        command.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        command
    };
    for (command, code, field) in [
        (fault(json!({ "message": 0 })), "INVALID_ARGUMENT", "message"),
        (fault(json!({ "message": -1 })), "INVALID_ARGUMENT", "message"),
        (fault(json!({ "action": "explode" })), "INVALID_ARGUMENT", "action"),
        (fault(json!({ "action": "delay" })), "INVALID_ARGUMENT", "delayMs"),
        (fault(json!({ "action": "delay", "delayMs": -1 })), "INVALID_ARGUMENT", "delayMs"),
        (fault(json!({ "action": "duplicate", "delayMs": 1e12 })), "INVALID_ARGUMENT", "delayMs"),
        (fault(json!({ "delayMs": 5 })), "INVALID_ARGUMENT", "delayMs"),
        (json!({ "type": "dropNext", "api": "Prodce" }), "INVALID_ARGUMENT", "api"),
        (json!({ "type": "dropNext", "api": "Produce", "what": "both" }), "INVALID_ARGUMENT", "what"),
        (json!({ "type": "dropNext", "api": "Produce", "broker": 4 }), "BROKER_ID_NOT_REGISTERED", "broker"),
        (json!({ "type": "setLink", "from": "broker-4", "to": "*" }), "INVALID_ARGUMENT", "from"),
        (json!({ "type": "setLink", "from": "broker-01", "to": "*" }), "INVALID_ARGUMENT", "from"),
        (json!({ "type": "setLink", "from": "*", "to": "controller-2" }), "INVALID_ARGUMENT", "to"),
        (json!({ "type": "setLink", "from": "*", "to": "*", "latencyMs": -0.1 }), "INVALID_ARGUMENT", "latencyMs"),
        (json!({ "type": "setLink", "from": "*", "to": "*", "bytesPerSecond": 0 }), "INVALID_ARGUMENT", "bytesPerSecond"),
        (json!({ "type": "setLink", "from": "*", "to": "*", "cut": "yes" }), "INVALID_ARGUMENT", "cut"),
        (json!({ "type": "setLink", "from": "*", "to": "*", "dropRatio": 1.01 }), "INVALID_ARGUMENT", "dropRatio"),
        (json!({ "type": "setLink", "from": "*", "to": "*", "duplicateRatio": -0.1 }), "INVALID_ARGUMENT", "duplicateRatio"),
        (json!({ "type": "setLink", "from": "*", "to": "*", "delayRatio": 0.1 }), "INVALID_ARGUMENT", "delayMs"),
        (json!({ "type": "setLink", "from": "*", "to": "*", "delayMs": 10 }), "INVALID_ARGUMENT", "delayMs"),
        (json!({ "type": "setLink", "from": "*", "to": "*", "dropRatio": 0.6, "duplicateRatio": 0.6 }), "INVALID_ARGUMENT", "dropRatio"),
    ] {
        let refusal = cluster.refused(command.clone());
        assert_eq!((refusal.code.as_str(), refusal.field.as_deref()), (code, Some(field)), "{command}");
        assert_eq!(cluster.session.trace_hash(), hash, "{command} changed something");
    }
    for index in 0..1_000 {
        cluster.apply(json!({ "type": "dropNext", "api": "Produce", "broker": 1 + index % 3 }));
    }
    assert_eq!(cluster.refused(json!({ "type": "dropNext", "api": "Produce" })).field.as_deref(), Some("api"));
}

fn send_default(cluster: &mut Cluster) {
    cluster.send("orders", None, "v");
}

#[test]
fn what_an_old_leader_says_late_is_of_no_use_when_the_new_one_has_answered() {
    let mut cluster = Cluster::of_brokers(3).topic("orders", 1, 3).topic("other", 3, 1);
    let preferred = cluster.leader("orders", 0);
    cluster.apply(json!({ "type": "crashBroker", "broker": preferred }));
    cluster.advance(10_000.0);
    cluster.apply(json!({ "type": "restartBroker", "broker": preferred }));
    cluster.advance(10_000.0);
    let old = cluster.leader("orders", 0);
    assert_ne!(old, preferred);
    let elsewhere = (0..3).find(|index| ![None, Some(old)].contains(&cluster.partition("other", *index).leader)).expect("another leader");
    cluster.send("orders", None, "0");
    let seen = cluster.events_after(|cluster| {
        let partitions = json!([{ "topic": "orders", "partition": 0 }, { "topic": "other", "partition": elsewhere }]);
        let configs = json!({ "auto.offset.reset": "earliest" });
        cluster
            .apply(json!({ "type": "addConsumer", "id": "reader", "partitions": partitions, "processingMs": 2_000, "configs": configs }));
        cluster.advance(600.0);
        assert_eq!(cluster.position("reader", "orders", 0), Some(1), "its application is at work, and it asks for what follows");
        cluster.send("orders", None, "1");
        let of_old = |flight: &Flight| flight.api == "Fetch" && flight.from == format!("broker-{old}") && flight.to == "reader";
        let late = (0..1_000).find_map(|_| {
            cluster.advance(0.1);
            view::flights(&cluster.session).into_iter().find(of_old)
        });
        cluster.apply(json!({ "type": "messageFault", "message": late.expect("an answer").id, "action": "delay", "delayMs": 1_300 }));
        cluster.apply(json!({ "type": "electLeader", "topic": "orders", "partition": 0 }));
        cluster.send("orders", None, "2");
        cluster.send("orders", None, "3");
        cluster.advance(600.0);
        // That it is gone makes the consumer look who leads what: the new leader gives it three records, and then the old one gives it one of them.
        cluster.apply(json!({ "type": "deleteTopic", "name": "other" }));
        cluster.advance(15_000.0);
    });
    assert_eq!(cluster.leader("orders", 0), preferred);
    let delivered: Vec<_> = of_kind(&seen, "recordDelivered").iter().map(|event| event.detail["firstOffset"].as_i64()).collect();
    assert_eq!(delivered, [0, 1, 2, 3].map(Some), "each once, in order");
}
