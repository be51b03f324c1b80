//! What a seed stands for: a cluster, its workload, and one fault after another.

use super::heal::missing;
use super::history::value_of;
use super::scenarios::{Act, Scenario};
use super::sharers::{SHARERS, SHARERS_MAX, sharer};
use brokerlab::client::transactions::State;
use brokerlab::coordinator::TRANSACTIONS_TOPIC;
use brokerlab::node::Chance;
use brokerlab::protocol::wire::Api;
use brokerlab::session::command::Saved;
use brokerlab::session::{Session, parse_saved};
use brokerlab::sim::Application;
use brokerlab::view::shape::PartitionView;
use brokerlab::view::{self, View};
use serde_json::{Value, json};

/// The greatest seed of a session.
pub const SEED_MAX: u64 = (1 << 53) - 1;

/// An application that takes 5 ms for each record does not make it when more than 100 of them wait.
pub const SHORT_POLL_INTERVAL: &str = "500";
/// Fewer than producers: some are another's heirs.
const TRANSACTIONAL_IDS: &[&str] = &["mover-a", "mover-b"];
const GROUPS: &[&str] = &["group-a", "group-b"];
/// What some subscribe to instead of the topics that there are: all, or some.
const PATTERNS: &[&str] = &["topic-.*", "topic-[0-4]", "(?i)TOPIC-\\d+"];
/// What consumers are configured with. Each has the cooperative assignor, so that any of them get along in one group.
const ASSIGNORS: &[&str] = &[
    "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    "cooperative-sticky",
    "cooperative-sticky",
    "sticky,cooperative-sticky",
    "roundrobin,cooperative-sticky",
];
/// Clients of one kind at a time, at the most.
const CLIENTS_MAX: usize = 6;
const TOPICS_MAX: usize = 4;
/// Bytes per second: what these sessions write is copied again within the time that a cluster has to come to rest.
const THROTTLE_MIN: u64 = 20_000;
/// Brokers of a cluster that gets no more of them.
const BROKERS_MAX: usize = 6;
/// Partitions of a topic that gets no more of them.
const PARTITIONS_MAX: u64 = 5;

/// The state of a consumer that is no more, as the view has it.
pub const CRASHED: &str = "Crashed";
/// Longer than a session and the way of an answer.
const STALL_MS: u64 = 8_000;

/// Draws what happens to one session.
pub struct Drawer {
    chance: Chance,
    made: u64,
    /// Whether the cluster has a remote store.
    tiered: bool,
    /// The assignors of most members of each group; none: it is of the new protocol.
    assignors: Vec<Option<&'static str>>,
    /// What has begun and goes on step by step, the next one last.
    planned: Vec<Vec<Value>>,
}

impl Drawer {
    pub fn new(seed: u64) -> Drawer {
        let mut drawer =
            Drawer { chance: Chance::new(seed).fork(0x0005_1a17), made: 0, tiered: false, assignors: Vec::new(), planned: Vec::new() };
        drawer.assignors = GROUPS.iter().map(|_| if drawer.chance.below(3) == 0 { None } else { drawer.one_of(ASSIGNORS) }).collect();
        drawer
    }

    fn one_of<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        items.get(self.chance.below(items.len() as u64) as usize).cloned()
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.chance.below(most - least + 1)
    }

    /// The cluster at time 0.
    pub fn cluster(&mut self, seed: u64) -> Saved {
        let brokers = self.one_of(&[1, 2, 3, 3, 3, 3, 4, 5]).unwrap_or(3);
        let controllers = self.one_of(&[1, 3, 3]).unwrap_or(1);
        let session_timeout = self.one_of(&[2_000, 4_000, 9_000]).unwrap_or(9_000);
        let mut configs = json!({
            "log.initial.task.delay.ms": "3000",
            "log.retention.check.interval.ms": "3000",
            "log.cleaner.backoff.ms": "3000",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            "broker.session.timeout.ms": session_timeout.to_string(),
            "broker.heartbeat.interval.ms": (session_timeout / 5).to_string(),
            "brokerlab.metadata.records.between.snapshots": self.one_of(&["10", "40", "1000"]),
            "replica.fetch.max.bytes": self.one_of(&["1048576", "1048576", "500"]),
            "replica.lag.time.max.ms": self.one_of(&["1000", "5000", "30000"]),
        });
        if self.chance.below(4) == 0 {
            configs["brokerlab.eligible.leader.replicas.version"] = json!("0");
        }
        if self.chance.below(3) == 0 {
            // Time ends segments everywhere, also those of the offsets topic, which is compacted.
            configs["log.roll.ms"] = json!("4000");
        }
        self.tiered = self.chance.below(3) == 0;
        if self.tiered {
            configs["remote.log.storage.system.enable"] = json!("true");
            configs["remote.log.manager.task.interval.ms"] = json!(self.one_of(&["500", "2000"]));
            configs["brokerlab.remote.latency.ms"] = json!(self.one_of(&["5", "20", "100", "400"]));
            // A store that is slower than this would never serve anybody.
            configs["remote.fetch.max.wait.ms"] = json!("2000");
        }
        if self.chance.below(4) == 0 {
            // A slow machine: requests queue, and a disk that is forced often.
            for (name, value) in [
                ("num.io.threads", "1"),
                ("num.network.threads", "1"),
                ("brokerlab.request.us", "500"),
                ("queued.max.requests", "4"),
                ("log.flush.interval.messages", "50"),
            ] {
                configs[name] = json!(value);
            }
        }
        // Drawn beside all else, which stays as it was without.
        if self.chance.fork(0x7a).below(3) == 0 {
            configs["brokerlab.transaction.version"] = json!("1");
        }
        let mut cluster = json!({ "brokers": brokers, "controllers": controllers, "configs": configs });
        if self.chance.below(2) == 0 {
            cluster["configs"]["replica.selector.class"] = json!("RackAwareReplicaSelector");
            cluster["racks"] = (0..brokers).map(|_| self.one_of(&["rack-a", "rack-b", "rack-c"])).collect();
        }
        let saved = json!({ "format": "brokerlab", "version": 1, "seed": seed, "cluster": cluster, "commands": [], "until": 0 });
        parse_saved(saved).expect("a drawn cluster is a cluster")
    }

    /// What the workload starts with, once the brokers are registered.
    pub fn workload(&mut self, view: &View) -> Vec<Value> {
        let mut commands: Vec<Value> = (0..self.between(1, 2)).map(|_| self.topic(view)).collect();
        let topics: Vec<String> = commands.iter().filter_map(|command| command["name"].as_str().map(str::to_owned)).collect();
        for _ in 0..self.between(1, 3) {
            commands.push(self.producer(&topics));
        }
        for _ in 0..self.between(0, 4) {
            commands.extend(self.consumer(&topics));
        }
        commands
    }

    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{}", self.made)
    }

    fn topic(&mut self, view: &View) -> Value {
        let name = self.name("topic");
        self.topic_named(name, view)
    }

    fn topic_named(&mut self, name: String, view: &View) -> Value {
        let brokers = view.brokers.len() as u64;
        let factor = self.between(1, brokers.min(3)).max(self.between(1, brokers.min(3)));
        let min_insync = self.between(1, factor);
        let mut configs = json!({ "min.insync.replicas": min_insync.to_string() });
        // Most topics let their records go after a while, in small segments, or keep the last of each key.
        let cleanup: &[(&str, &str)] = match self.between(0, 6) {
            0 => &[("retention.ms", "4000")],
            1 => &[("retention.bytes", "2000")],
            2 => &[("cleanup.policy", "compact"), ("delete.retention.ms", "2000")],
            3 => &[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.1"), ("min.compaction.lag.ms", "1000")],
            4 => &[("cleanup.policy", "compact,delete"), ("retention.ms", "6000"), ("delete.retention.ms", "0")],
            _ => &[],
        };
        for (name, value) in cleanup {
            configs[*name] = json!(value);
            configs["internal.segment.bytes"] = json!("1000");
        }
        if self.tiered && cleanup.iter().all(|(name, _)| *name != "cleanup.policy") {
            let local = self.one_of(&[("local.retention.ms", "1000"), ("local.retention.ms", "3000"), ("local.retention.bytes", "1000")]);
            for (name, value) in local.into_iter().chain([("remote.storage.enable", "true"), ("internal.segment.bytes", "400")]) {
                configs[name] = json!(value);
            }
        }
        if self.chance.below(if self.tiered { 2 } else { 6 }) == 0 {
            configs["unclean.leader.election.enable"] = json!("true");
        }
        json!({
            "type": "createTopic", "name": name, "partitions": self.between(1, 3), "replicationFactor": factor,
            "configs": configs,
        })
    }

    fn producer(&mut self, topics: &[String]) -> Value {
        let keys: Vec<String> = (0..self.between(1, 8)).map(|key| format!("key-{key}")).collect();
        let id = self.name("producer");
        let acks = self.one_of(&["all", "all", "all", "1", "0"]);
        let request_timeout = self.one_of(&["2000", "30000"]);
        let hasty = request_timeout == Some("2000") && self.chance.below(3) == 0;
        let mut producer = json!({
            "type": "addProducer", "id": id, "topic": self.one_of(topics), "keys": keys, "value": value_of(&id),
            "recordsPerSecond": self.between(2, 60),
            "configs": {
                "acks": acks,
                "linger.ms": self.one_of(&["0", "5", "50"]),
                "max.in.flight.requests.per.connection": self.one_of(&["1", "5"]),
                "request.timeout.ms": request_timeout,
                "delivery.timeout.ms": if hasty { "5000" } else { "120000" },
            },
        });
        // Idempotent by default, where nothing excludes it.
        if acks == Some("all") && self.chance.below(3) == 0 {
            producer["configs"]["enable.idempotence"] = json!("false");
        }
        producer
    }

    fn consumer(&mut self, topics: &[String]) -> Option<Value> {
        let group = self.chance.below(GROUPS.len() as u64) as usize;
        let is_slow = self.chance.below(5) == 0;
        let mut configs = json!({
            "auto.offset.reset": "earliest",
            "client.rack": self.one_of(&["", "rack-a", "rack-b"]),
            "metadata.max.age.ms": self.one_of(&["5000", "300000"]),
            "auto.commit.interval.ms": self.one_of(&["500", "5000"]),
            "max.poll.interval.ms": if is_slow { SHORT_POLL_INTERVAL } else { "300000" },
        });
        if self.chance.below(3) == 0 {
            configs["group.instance.id"] = json!(format!("instance-{}", self.chance.below(3)));
        }
        if let Some(usual) = self.assignors[group] {
            let assignors = if self.chance.below(4) == 0 { self.one_of(ASSIGNORS) } else { Some(usual) };
            configs["partition.assignment.strategy"] = json!(assignors);
            configs["session.timeout.ms"] = json!(self.one_of(&["6000", "45000"]));
            configs["heartbeat.interval.ms"] = json!("2000");
        } else {
            configs["group.protocol"] = json!("consumer");
            if let Some(assignor) = self.one_of(&[None, Some("uniform"), Some("range")])? {
                configs["group.remote.assignor"] = json!(assignor);
            }
        }
        let mut consumer = json!({
            "type": "addConsumer", "id": self.name("consumer"), "group": GROUPS[group],
            "processingMs": if is_slow { Some(5) } else { self.one_of(&[0, 0, 5]) }, "configs": configs,
        });
        match self.one_of(PATTERNS).filter(|_| self.chance.below(3) == 0) {
            Some(pattern) => consumer["pattern"] = json!(pattern),
            None => consumer["topics"] = json!(topics),
        }
        Some(consumer)
    }

    /// Microseconds until the next thing happens.
    pub fn pause(&mut self) -> u64 {
        // Mostly soon, sometimes long enough for sessions to end.
        let most = self.one_of(&[100_000, 1_000_000, 1_000_000, 4_000_000, 15_000_000]).unwrap_or(1_000_000);
        self.between(1, most)
    }

    /// Two nodes that a link is between.
    fn ends(&mut self, view: &View) -> Option<(String, String)> {
        let brokers = view.brokers.iter().map(|broker| format!("broker-{}", broker.id));
        let clients = view.producers.iter().map(|one| &one.id).chain(view.consumers.iter().map(|one| &one.id)).cloned();
        let controllers: Vec<String> = view.controllers.iter().map(|one| format!("controller-{}", one.id)).collect();
        // A quorum is cut between two of its controllers every now and then.
        if 1 < controllers.len() && self.chance.below(4) == 0 {
            return Some((self.one_of(&controllers)?, self.one_of(&controllers)?));
        }
        let nodes: Vec<String> = brokers.chain(controllers).chain(["*".to_owned()]).chain(clients).collect();
        Some((self.one_of(&nodes)?, self.one_of(&nodes)?))
    }

    /// What can happen now: a command, or two that belong together; none if what was drawn makes no sense.
    pub fn act(&mut self, scenario: &Scenario, session: &Session) -> Vec<Value> {
        if !self.planned.is_empty() && self.chance.below(2) == 0 {
            return self.planned.pop().unwrap_or_default();
        }
        let total: u64 = scenario.weights.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.chance.below(total);
        let act = scenario.weights.iter().find(|(_, weight)| match drawn.checked_sub(*weight) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        let Some((act, _)) = act else { return Vec::new() };
        let view = view::view(session);
        match act {
            Act::CutLink => {
                let Some((from, to)) = self.ends(&view) else { return Vec::new() };
                let there = json!({ "type": "setLink", "from": from, "to": to, "cut": true });
                let back = json!({ "type": "setLink", "from": to, "to": from, "cut": true });
                if self.chance.below(2) == 0 { vec![there] } else { vec![there, back] }
            }
            Act::Swizzle => {
                let mut brokers: Vec<String> = view.brokers.iter().map(|broker| format!("broker-{}", broker.id)).collect();
                brokers.retain(|_| self.chance.below(3) != 0);
                let both = |broker: &String, cut: bool| {
                    let link = |from: &str, to: &str| json!({ "type": "setLink", "from": from, "to": to, "cut": cut });
                    vec![link(broker, "*"), link("*", broker)]
                };
                let back: Vec<Vec<Value>> = brokers.iter().map(|broker| both(broker, false)).collect();
                let place = self.chance.below(1 + back.len() as u64) as usize;
                // The last one first.
                self.planned = [&back[place..], &back[..place]].concat();
                self.planned.extend(brokers.iter().map(|broker| both(broker, true)));
                Vec::new()
            }
            Act::StallClient => {
                let clients: Vec<&String> =
                    view.producers.iter().map(|one| &one.id).chain(view.consumers.iter().map(|one| &one.id)).collect();
                let Some(id) = self.one_of(&clients) else { return Vec::new() };
                let link = |from: &str, to: &str| json!({ "type": "setLink", "from": from, "to": to, "latencyMs": STALL_MS });
                vec![link(id, "*"), link("*", id)]
            }
            Act::MoveTransactions => {
                // What `moveCoordinator` does, step by step: what a controller decides is looked at before it decides more.
                let state = view.topics.iter().find(|topic| topic.name == TRANSACTIONS_TOPIC);
                let partitions: Vec<&PartitionView> = state.iter().flat_map(|topic| &topic.partitions).collect();
                let Some(one) = self.one_of(&partitions) else { return Vec::new() };
                let Some(broker) = self.one_of(&one.isr).filter(|broker| one.leader != Some(*broker)) else { return Vec::new() };
                let others = one.replicas.iter().map(|replica| replica.broker).filter(|other| *other != broker);
                let replicas: Vec<i32> = [broker].into_iter().chain(others).collect();
                let of = |kind: &str| json!({ "type": kind, "topic": TRANSACTIONS_TOPIC, "partition": one.partition });
                let mut reassign = of("reassign");
                reassign["replicas"] = json!(replicas);
                vec![reassign, of("electLeader")]
            }
            Act::DeleteTopic => {
                let names: Vec<&String> = view.topics.iter().filter(|topic| !topic.internal).map(|topic| &topic.name).collect();
                let Some(name) = self.one_of(&names) else { return Vec::new() };
                let gone = json!({ "type": "deleteTopic", "name": name });
                // Made again at once, or by clients that still ask for it, or not at all.
                if self.chance.below(2) == 0 { vec![gone] } else { vec![gone, self.topic_named(name.clone(), &view)] }
            }
            Act::AddSharer => {
                let names = view.topics.iter().map(|topic| &*topic.name);
                let topics: Vec<&str> = names.filter(|name| name.starts_with("topic")).collect();
                let is_full = SHARERS_MAX <= view.consumers.iter().filter(|one| one.id.starts_with("sharer")).count();
                if is_full || topics.is_empty() {
                    return Vec::new();
                }
                let id = self.name("sharer");
                sharer(&mut self.chance, &id, &topics, false)
            }
            _ => self.one_act(*act, session, &view).into_iter().collect(),
        }
    }

    fn one_act(&mut self, act: Act, session: &Session, view: &View) -> Option<Value> {
        let names = |of: &str| {
            view.topics.iter().filter(|topic| !topic.internal && topic.name.starts_with(of)).map(|t| t.name.clone()).collect::<Vec<_>>()
        };
        let topics = names("topic");
        let brokers = |states: &[&str]| {
            view.brokers.iter().filter(|broker| states.contains(&broker.state.name())).map(|broker| broker.id).collect::<Vec<_>>()
        };
        let running = brokers(&["running"]);
        let producers: Vec<String> = view.producers.iter().filter(|one| one.id.starts_with("producer")).map(|one| one.id.clone()).collect();
        let has_id = |one: &&view::shape::ProducerView| one.configs.contains_key("transactional.id");
        let transactional: Vec<String> = view.producers.iter().filter(has_id).map(|one| one.id.clone()).collect();
        let alive: Vec<String> = view.consumers.iter().filter(|one| one.state != CRASHED).map(|one| one.id.clone()).collect();
        let controllers = |state: &str| view.controllers.iter().filter(|one| one.state == state).map(|one| one.id).collect::<Vec<_>>();
        Some(match act {
            Act::CrashController => json!({ "type": "crashController", "controller": self.one_of(&controllers("running"))? }),
            Act::RestartController => json!({ "type": "restartController", "controller": self.one_of(&controllers("crashed"))? }),
            Act::CrashBroker => json!({ "type": "crashBroker", "broker": self.one_of(&running)? }),
            Act::PowerLoss => json!({ "type": "powerLoss", "broker": self.one_of(&running)? }),
            Act::StopBroker => json!({ "type": "stopBroker", "broker": self.one_of(&running)? }),
            Act::FreezeBroker => {
                json!({ "type": "freezeBroker", "broker": self.one_of(&running)?, "ms": self.one_of(&[100, 2_000, 20_000]) })
            }
            Act::SlowDisk => json!({ "type": "slowDisk", "broker": self.one_of(&running)?, "factor": self.one_of(&[1, 10, 500]) }),
            Act::SkewClock => {
                json!({ "type": "skewClock", "broker": self.one_of(&running)?, "ms": self.one_of(&[0, -5_000, 60_000, -7_200_000]) })
            }
            Act::RestartBroker => json!({ "type": "restartBroker", "broker": self.one_of(&brokers(&["crashed", "stopped"]))? }),
            Act::SlowLink => {
                let (from, to) = self.ends(view)?;
                let (latency, bytes) = (self.one_of(&[5, 200, 1_000]), self.one_of(&[2_000, 100_000]));
                json!({ "type": "setLink", "from": from, "to": to, "latencyMs": latency, "bytesPerSecond": bytes })
            }
            Act::BadLink => {
                let (from, to) = self.ends(view)?;
                let (lost, late) = (self.one_of(&[0.0, 0.02, 0.2])?, self.one_of(&[1, 40, 2_000])?);
                json!({ "type": "setLink", "from": from, "to": to, "dropRatio": lost, "duplicateRatio": 0.05, "delayRatio": 0.1, "delayMs": late })
            }
            Act::HealLinks => json!({ "type": "setLink", "from": "*", "to": "*" }),
            Act::FaultMessage => {
                let under_way: Vec<u64> = view::flights(session).iter().map(|flight| flight.id).collect();
                let message = self.one_of(&under_way)?;
                match self.one_of(&["drop", "delay", "duplicate"])? {
                    "drop" => json!({ "type": "messageFault", "message": message, "action": "drop" }),
                    action => {
                        let delay = self.one_of(&[1, 50, 3_000, 15_000]);
                        json!({ "type": "messageFault", "message": message, "action": action, "delayMs": delay })
                    }
                }
            }
            Act::DropNext => {
                json!({ "type": "dropNext", "api": self.one_of(&Api::ALL).map(Api::name), "what": self.one_of(&["request", "response"]) })
            }
            Act::AddProducer if producers.len() < CLIENTS_MAX && !topics.is_empty() => self.producer(&topics),
            Act::RemoveProducer => json!({ "type": "removeProducer", "id": self.one_of(&producers)? }),
            Act::Send => {
                // Now and then a tombstone, of this key or of a producer's.
                let value = if self.chance.below(3) == 0 { Value::Null } else { json!(self.name("value")) };
                json!({ "type": "send", "topic": self.one_of(&topics)?, "key": self.one_of(&["by hand", "key-0"]), "value": value })
            }
            Act::AddTransactional if producers.len() < CLIENTS_MAX && !topics.is_empty() => {
                let mut producer = self.producer(&topics);
                let request_timeout = producer["configs"]["request.timeout.ms"].clone();
                producer["configs"] = json!({
                    "acks": "all", "transactional.id": self.one_of(TRANSACTIONAL_IDS), "linger.ms": self.one_of(&["0", "50"]),
                    "transaction.timeout.ms": self.one_of(&["2000", "10000", "30000"]), "request.timeout.ms": request_timeout,
                });
                producer
            }
            Act::Transact => {
                let id = self.one_of(&transactional)?;
                let Some(Application::Producer { producer, .. }) = session.world().client(&id).map(|client| &client.application) else {
                    return None;
                };
                // What makes sense now, and now and then what does not.
                let what = match producer.transactions()?.state() {
                    _ if self.chance.below(8) == 0 => self.one_of(&["beginTransaction", "commitTransaction", "abortTransaction"]),
                    State::InTransaction => self.one_of(&["commitTransaction", "commitTransaction", "abortTransaction"]),
                    State::AbortableError(_) => Some("abortTransaction"),
                    _ => Some("beginTransaction"),
                };
                json!({ "type": what, "producer": id })
            }
            Act::SendOffsets => {
                json!({ "type": "sendOffsetsToTransaction", "producer": self.one_of(&transactional)?, "consumer": self.one_of(&alive)? })
            }
            Act::AddCommittedReader if view.consumers.len() < CLIENTS_MAX && !topics.is_empty() => {
                let mut consumer = self.consumer(&topics)?;
                consumer["configs"]["isolation.level"] = json!(self.one_of(&["read_committed", "read_committed", "read_uncommitted"]));
                consumer
            }
            Act::MoveSharers => json!({ "type": "moveCoordinator", "group": SHARERS, "broker": self.one_of(&running)? }),
            Act::AddConsumer if view.consumers.len() < CLIENTS_MAX && !topics.is_empty() => self.consumer(&topics)?,
            // Who has crashed stands there until it is removed.
            Act::RemoveConsumer => {
                let all: Vec<&String> = view.consumers.iter().map(|one| &one.id).collect();
                json!({ "type": "removeConsumer", "id": self.one_of(&all)? })
            }
            Act::CrashConsumer => json!({ "type": "crashConsumer", "id": self.one_of(&alive)? }),
            Act::PauseConsumer => json!({ "type": "pauseConsumer", "id": self.one_of(&alive)? }),
            Act::ResumeConsumer => json!({ "type": "resumeConsumer", "id": self.one_of(&alive)? }),
            Act::CreateTopic if topics.len() < TOPICS_MAX && !running.is_empty() => self.topic(view),
            Act::CreatePartitions => {
                let topic = self.one_of(&topics)?;
                let partitions = view.topics.iter().find(|known| known.name == topic)?.partitions.len() as u64;
                let more = (partitions < PARTITIONS_MAX).then(|| partitions + self.between(1, 2))?;
                json!({ "type": "createPartitions", "topic": topic, "partitions": more })
            }
            Act::Reassign => {
                let all = view.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one)));
                let moving = all.clone().filter(|(_, one)| !one.adding_replicas.is_empty() || !one.removing_replicas.is_empty());
                if let Some((topic, one)) = self.one_of(&moving.collect::<Vec<_>>()).filter(|_| self.chance.below(2) == 0) {
                    return Some(json!({ "type": "reassign", "topic": topic.name, "partition": one.partition, "replicas": null }));
                }
                let (topic, partition) = self.one_of(&all.map(|(topic, one)| (&topic.name, one.partition)).collect::<Vec<_>>())?;
                let mut left: Vec<i32> = view.brokers.iter().map(|broker| broker.id).collect();
                let factor = self.between(1, 3).min(left.len() as u64);
                let replicas: Vec<i32> = (0..factor).map(|_| left.swap_remove(self.chance.below(left.len() as u64) as usize)).collect();
                json!({ "type": "reassign", "topic": topic, "partition": partition, "replicas": replicas })
            }
            Act::AddBroker if view.brokers.len() < BROKERS_MAX => {
                let rack = self.one_of(&[None, Some("rack-a"), Some("rack-b")])?;
                json!({ "type": "addBroker", "broker": missing(view).first(), "rack": rack })
            }
            // One at a time, and not the last.
            Act::RemoveBroker if missing(view).is_empty() && 1 < view.brokers.len() => {
                let all: Vec<i32> = view.brokers.iter().map(|broker| broker.id).collect();
                json!({ "type": "removeBroker", "broker": self.one_of(&all)? })
            }
            Act::AlterConfigs if self.chance.below(3) == 0 => {
                // Of one broker, or of all.
                let mut names: Vec<String> = view.brokers.iter().map(|broker| broker.id.to_string()).collect();
                names.push(String::new());
                let name = self.one_of(&names)?;
                let (setting, value) = match self.chance.below(8) {
                    0..3 => ("min.insync.replicas", self.between(1, 2).to_string()),
                    3 => ("log.retention.ms", "6000".to_owned()),
                    4 => ("num.io.threads", self.between(1, 16).to_string()),
                    5 => ("message.max.bytes", "1000000".to_owned()),
                    6 => ("leader.replication.throttled.rate", self.between(THROTTLE_MIN, 10 * THROTTLE_MIN).to_string()),
                    _ => ("follower.replication.throttled.rate", self.between(THROTTLE_MIN, 10 * THROTTLE_MIN).to_string()),
                };
                match self.chance.below(4) {
                    0 => json!({ "type": "alterConfigs", "resource": "broker", "name": name, "delete": [setting] }),
                    _ => json!({ "type": "alterConfigs", "resource": "broker", "name": name, "set": { setting: value } }),
                }
            }
            Act::AlterConfigs => {
                let name = self.one_of(&topics)?;
                let topic = view.topics.iter().find(|known| known.name == name)?;
                let factor = topic.partitions.first()?.replicas.len() as u64;
                let (setting, value) = match self.chance.below(10) {
                    8 => ("leader.replication.throttled.replicas", "*".to_owned()),
                    9 => ("follower.replication.throttled.replicas", "*".to_owned()),
                    0..4 => ("min.insync.replicas", self.between(1, factor).to_string()),
                    4 => ("retention.ms", "4000".to_owned()),
                    5 => ("internal.segment.bytes", "1000".to_owned()),
                    6 => ("compression.type", self.one_of(&["gzip", "zstd", "producer"])?.to_owned()),
                    _ => ("message.timestamp.type", self.one_of(&["LogAppendTime", "CreateTime"])?.to_owned()),
                };
                match self.chance.below(5) {
                    0 => json!({ "type": "alterConfigs", "resource": "topic", "name": name, "delete": [setting] }),
                    _ => json!({ "type": "alterConfigs", "resource": "topic", "name": name, "set": { setting: value } }),
                }
            }
            Act::DeleteRecords => {
                let partitions = view
                    .topics
                    .iter()
                    .filter(|topic| !topic.internal)
                    .flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one)));
                let (topic, one) = self.one_of(&partitions.collect::<Vec<_>>())?;
                let leader = one.replicas.iter().find(|replica| Some(replica.broker) == one.leader)?;
                // Now and then all, or more than there is.
                let before = match self.chance.below(4) {
                    0 => -1,
                    1 => leader.log_end_offset,
                    _ => self.between(leader.log_start_offset as u64, leader.high_watermark.max(leader.log_start_offset) as u64) as i64,
                };
                json!({ "type": "deleteRecords", "topic": topic.name, "partition": one.partition, "beforeOffset": before })
            }
            Act::ElectLeader => {
                let partitions = view.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one)));
                let moved =
                    partitions.filter(|(_, one)| one.leader != Some(one.preferred_leader)).map(|(topic, one)| (&topic.name, one.partition));
                let (topic, partition) = self.one_of(&moved.collect::<Vec<_>>())?;
                // Where somebody leads, an unclean election is refused.
                json!({ "type": "electLeader", "topic": topic, "partition": partition, "unclean": self.chance.below(4) == 0 })
            }
            _ => return None,
        })
    }
}
