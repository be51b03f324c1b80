//! What a goal asks of the cluster, as data: one predicate, measured on the view, the messages and the commands given.
//!
//! Owns the predicates and the plain words for what is and what is wanted. Changes nothing, and knows no level: a new level needs no code
//! here unless it asks something that no level asked before. Everything is measured *now*; what must have happened on the way is asked
//! through things that only grow (a counter, an epoch, a generation, the commands given since the level began).

use super::amount::Amount;
use super::facts::Facts;
use crate::ordered::sort_by;
use crate::protocol::partition_for_key;
use crate::protocol::text::written;
use crate::view::shape::{BrokerState, GroupView, PartitionView, ProducerView, TopicView};
use serde_json::{Map, Value};
use std::fmt::Display;

/// A predicate. In JSON: `{"type": "records", "topic": "orders", "count": ">= 3"}`.
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    /// Committed records of a topic: of one partition, with one key, or all of them.
    Records {
        topic: String,
        partition: Option<i32>,
        key: Option<String>,
        count: Amount,
    },
    /// Committed records of the partition that has the fewest.
    EachPartition {
        topic: String,
        records: Amount,
    },
    /// There is a record with a key, and all such records lie where Kafka's default partitioner puts their key.
    PlacedByKey {
        topic: String,
    },
    /// Who leads a partition, or who does not.
    Leader {
        topic: String,
        partition: i32,
        is: Option<i32>,
        is_not: Option<i32>,
    },
    /// How many partitions of a topic a broker leads.
    Leaderships {
        topic: String,
        broker: i32,
        count: Amount,
    },
    /// A partition's leader epoch; without a partition, the topic's highest.
    LeaderEpoch {
        topic: String,
        partition: Option<i32>,
        epoch: Amount,
    },
    /// A partition's in-sync replicas; without a partition, those of each.
    Isr {
        topic: String,
        partition: Option<i32>,
        contains: Option<i32>,
        equals: Option<Vec<i32>>,
        size: Option<Amount>,
    },
    /// A broker's state, in the view's words.
    Broker {
        broker: i32,
        state: String,
    },
    /// Records that a consumer handed to its application.
    Consumed {
        consumer: String,
        count: Amount,
    },
    /// The offset that a consumer reads next.
    Position {
        consumer: String,
        topic: String,
        partition: i32,
        offset: Amount,
    },
    /// A group's state, in Kafka's words.
    GroupState {
        group: String,
        state: String,
    },
    GroupMembers {
        group: String,
        count: Amount,
    },
    GroupGeneration {
        group: String,
        generation: Amount,
    },
    /// Partitions owned, for each of the group's members; a group without members does not meet it.
    EachMemberOwns {
        group: String,
        partitions: Amount,
    },
    /// Members that own no partition.
    IdleMembers {
        group: String,
        count: Amount,
    },
    /// A group's committed offset.
    Committed {
        group: String,
        topic: String,
        partition: i32,
        offset: Amount,
    },
    /// A group's lag, summed over its partitions; a partition without a committed offset has none to sum and does not meet it.
    Lag {
        group: String,
        records: Amount,
    },
    Acknowledged {
        producer: String,
        count: Amount,
    },
    Failed {
        producer: String,
        count: Amount,
    },
    /// The leaders' logs hold at least as many committed records as the topic's producers had acknowledged, and none of those producers failed
    /// a record. A count, not a proof: it cannot tell one record from another, and retention or compaction breaks it.
    LogHoldsAcknowledged {
        topic: String,
    },
    /// Commands given since the level began that have at least these fields with these values.
    Command {
        given: Map<String, Value>,
        count: Amount,
    },
    All {
        of: Vec<Condition>,
    },
    Any {
        of: Vec<Condition>,
    },
}

/// A predicate's outcome, in plain words.
#[derive(Clone, PartialEq, Debug)]
pub struct Measure {
    pub met: bool,
    /// What is.
    pub measured: String,
    /// What is wanted and what is; `None` when met.
    pub why_not_yet: Option<String>,
}

impl Measure {
    fn new(met: bool, what: &dyn Display, wanted: &dyn Display, is: &dyn Display) -> Measure {
        let why_not_yet = (!met).then(|| format!("{what}: wanted {wanted}, now {is}"));
        Measure { met, measured: format!("{what}: {is}"), why_not_yet }
    }

    fn amount(wanted: Amount, is: i64, what: &dyn Display) -> Measure {
        Measure::new(wanted.admits(is), what, &wanted, &is)
    }
}

/// `Err` says what is missing altogether: the goal is not met, whatever it compares.
type Sought<T> = Result<T, String>;

impl Condition {
    pub fn measure(&self, facts: &Facts) -> Measure {
        self.seek(facts).unwrap_or_else(|missing| Measure { met: false, measured: missing.clone(), why_not_yet: Some(missing) })
    }

    fn seek(&self, facts: &Facts) -> Sought<Measure> {
        Ok(match self {
            Condition::Records { topic, partition, key, count } => {
                let mut what = "records".to_owned();
                if let Some(key) = key {
                    what += &format!(" with key {key}");
                }
                what += &match partition {
                    Some(partition) => format!(" in {topic}-{partition}"),
                    None => format!(" in {topic}"),
                };
                let mut is = 0;
                for one in partitions(facts, topic, *partition)? {
                    is += match key {
                        None => committed_records(topic, one)?,
                        Some(key) => facts.messages(topic, one)?.iter().filter(|message| has_key(message, key)).count() as i64,
                    };
                }
                Measure::amount(*count, is, &what)
            }
            Condition::EachPartition { topic, records } => {
                let counts: Vec<i64> =
                    partitions(facts, topic, None)?.into_iter().map(|one| committed_records(topic, one)).collect::<Sought<_>>()?;
                let what = format!("records in each partition of {topic}");
                Measure::new(counts.iter().all(|is| records.admits(*is)), &what, records, &list(&counts))
            }
            Condition::PlacedByKey { topic } => placed_by_key(facts, topic)?,
            Condition::Leader { topic, partition, is, is_not } => {
                let leader = one_partition(facts, topic, *partition)?.leader;
                let met = leader.is_some() && (is.is_none() || *is == leader) && (is_not.is_none() || *is_not != leader);
                let wanted = match (is, is_not) {
                    (Some(is), _) => format!("broker {is}"),
                    (None, Some(is_not)) => format!("any but broker {is_not}"),
                    (None, None) => "any broker".to_owned(),
                };
                let now = leader.map_or("none".to_owned(), |leader| format!("broker {leader}"));
                Measure::new(met, &format_args!("leader of {topic}-{partition}"), &wanted, &now)
            }
            Condition::Leaderships { topic, broker, count } => {
                let led = partitions(facts, topic, None)?.into_iter().filter(|one| one.leader == Some(*broker)).count();
                Measure::amount(*count, led as i64, &format_args!("partitions of {topic} led by broker {broker}"))
            }
            Condition::LeaderEpoch { topic, partition, epoch } => {
                let highest = partitions(facts, topic, *partition)?.iter().map(|one| one.leader_epoch).max();
                let what = match partition {
                    Some(partition) => format!("leader epoch of {topic}-{partition}"),
                    None => format!("highest leader epoch in {topic}"),
                };
                Measure::amount(*epoch, highest.unwrap_or(-1).into(), &what)
            }
            Condition::Isr { topic, partition, contains, equals, size } => {
                let mut met = true;
                let mut now = Vec::new();
                for one in partitions(facts, topic, *partition)? {
                    let mut isr = one.isr.clone();
                    sort_by(&mut isr, i32::cmp);
                    met &= contains.is_none_or(|broker| isr.contains(&broker))
                        && equals.as_ref().is_none_or(|equals| *equals == isr)
                        && size.is_none_or(|size| size.admits(isr.len() as i64));
                    now.push(format!("{topic}-{} has [{}]", one.partition, list(&isr)));
                }
                let mut wanted = Vec::new();
                wanted.extend(contains.map(|broker| format!("broker {broker} among them")));
                wanted.extend(equals.as_ref().map(|equals| format!("[{}]", list(equals))));
                wanted.extend(size.map(|size| size.to_string()));
                Measure::new(met, &"in-sync replicas", &wanted.join(" and "), &now.join(", "))
            }
            Condition::Broker { broker, state } => {
                let view =
                    facts.view.brokers.iter().find(|view| view.id == *broker).ok_or_else(|| format!("There is no broker {broker}."))?;
                let now = view.state.name();
                Measure::new(now == state, &format_args!("broker {broker}"), state, &now)
            }
            Condition::Consumed { consumer, count } => {
                Measure::amount(*count, find_consumer(facts, consumer)?.consumed as i64, &format_args!("records read by {consumer}"))
            }
            Condition::Position { consumer, topic, partition, offset } => {
                let positions = &find_consumer(facts, consumer)?.positions;
                let at = positions.iter().find(|at| at.topic == *topic && at.partition == *partition);
                let at = at.ok_or_else(|| format!("{consumer} has no position in {topic}-{partition}."))?;
                Measure::amount(*offset, at.position, &format_args!("position of {consumer} in {topic}-{partition}"))
            }
            Condition::GroupState { group, state } => {
                let now = &find_group(facts, group)?.state;
                Measure::new(now == state, &format_args!("state of group {group}"), state, now)
            }
            Condition::GroupMembers { group, count } => {
                Measure::amount(*count, find_group(facts, group)?.members.len() as i64, &format_args!("members of group {group}"))
            }
            Condition::GroupGeneration { group, generation } => {
                Measure::amount(*generation, find_group(facts, group)?.generation.into(), &format_args!("generation of group {group}"))
            }
            Condition::EachMemberOwns { group, partitions } => {
                let members = &find_group(facts, group)?.members;
                let met = !members.is_empty() && members.iter().all(|member| partitions.admits(member.assignment.len() as i64));
                let owned: Vec<String> =
                    members.iter().map(|member| format!("{} owns {}", member.client_id, member.assignment.len())).collect();
                let now = if owned.is_empty() { "no members".to_owned() } else { owned.join(", ") };
                Measure::new(met, &format_args!("partitions of each member of {group}"), partitions, &now)
            }
            Condition::IdleMembers { group, count } => {
                let idle = find_group(facts, group)?.members.iter().filter(|member| member.assignment.is_empty()).count();
                Measure::amount(*count, idle as i64, &format_args!("members of {group} without a partition"))
            }
            Condition::Committed { group, topic, partition, offset } => {
                let offsets = &find_group(facts, group)?.offsets;
                let committed = offsets.iter().find(|one| one.topic == *topic && one.partition == *partition).and_then(|one| one.committed);
                let what = format!("committed offset of {group} in {topic}-{partition}");
                match committed {
                    Some(committed) => Measure::amount(*offset, committed, &what),
                    None => Measure::new(false, &what, offset, &"none"),
                }
            }
            Condition::Lag { group, records } => {
                let lags: Option<Vec<i64>> = find_group(facts, group)?.offsets.iter().map(|one| one.lag).collect();
                let what = format!("lag of group {group}");
                match lags {
                    Some(lags) if !lags.is_empty() => Measure::amount(*records, lags.iter().sum(), &what),
                    _ => Measure::new(false, &what, records, &"unknown, for want of committed offsets"),
                }
            }
            Condition::Acknowledged { producer, count } => {
                let is = find_producer(facts, producer)?.acknowledged;
                Measure::amount(*count, is as i64, &format_args!("records of {producer} acknowledged"))
            }
            Condition::Failed { producer, count } => {
                Measure::amount(*count, find_producer(facts, producer)?.failed as i64, &format_args!("records of {producer} failed"))
            }
            Condition::LogHoldsAcknowledged { topic } => log_holds_acknowledged(facts, topic)?,
            Condition::Command { given, count } => {
                let is = facts.commands_like(given);
                let word = |(name, value): (&String, &Value)| format!("{name} {}", written(value));
                let mut words: Vec<String> = given.iter().filter(|(name, _)| *name != "type").map(word).collect();
                words.insert(0, given.get("type").and_then(Value::as_str).unwrap_or("any command").to_owned());
                Measure::amount(*count, is as i64, &format_args!("commands given in this level like {}", words.join(" ")))
            }
            Condition::All { of } => {
                let measures: Vec<Measure> = of.iter().map(|one| one.measure(facts)).collect();
                let why: Vec<&str> = measures.iter().filter_map(|one| one.why_not_yet.as_deref()).collect();
                Measure {
                    met: why.is_empty(),
                    measured: measures.iter().map(|one| one.measured.as_str()).collect::<Vec<_>>().join("; "),
                    why_not_yet: (!why.is_empty()).then(|| why.join("; ")),
                }
            }
            Condition::Any { of } => {
                let measures: Vec<Measure> = of.iter().map(|one| one.measure(facts)).collect();
                if let Some(met) = measures.iter().find(|one| one.met) {
                    return Ok(met.clone());
                }
                let why: Vec<&str> = measures.iter().filter_map(|one| one.why_not_yet.as_deref()).collect();
                Measure {
                    met: false,
                    measured: measures.iter().map(|one| one.measured.as_str()).collect::<Vec<_>>().join("; "),
                    why_not_yet: Some(why.join("; or ")),
                }
            }
        })
    }
}

fn placed_by_key(facts: &Facts, topic: &str) -> Sought<Measure> {
    let found = find_topic(facts, topic)?;
    let mut keyed = 0;
    for one in &found.partitions {
        for message in facts.messages(topic, one)? {
            let Some(key) = &message.key else { continue };
            keyed += 1;
            let home = partition_for_key(&key.0, found.partitions.len() as i32);
            if home != one.partition {
                let is = format!("{key} at offset {} of {topic}-{}", message.offset, one.partition);
                return Ok(Measure::new(
                    false,
                    &"records where murmur2 puts their key",
                    &format_args!("{key} only in {topic}-{home}"),
                    &is,
                ));
            }
        }
    }
    Ok(Measure::new(0 < keyed, &"records where murmur2 puts their key", &"at least 1", &keyed))
}

fn log_holds_acknowledged(facts: &Facts, topic: &str) -> Sought<Measure> {
    let mut held = 0;
    for one in partitions(facts, topic, None)? {
        // What a dead leader knew of is not the question, but what its successor holds.
        if let Some(leader) = facts.view.brokers.iter().find(|broker| Some(broker.id) == one.leader && broker.state != BrokerState::Running)
        {
            let (partition, id, state) = (one.partition, leader.id, leader.state.name());
            return Err(format!(
                "{topic}-{partition} is still led by broker {id}, which is {state}: what it holds is seen when another leads."
            ));
        }
        held += committed_records(topic, one)?;
    }
    let producers = || facts.view.producers.iter().filter(|producer| producer.topic == topic);
    let acknowledged: u64 = producers().map(|producer| producer.acknowledged).sum();
    let failed: u64 = producers().map(|producer| producer.failed).sum();
    let met = acknowledged as i64 <= held && failed == 0;
    let wanted = format!("at least the {acknowledged} acknowledged, and 0 failed");
    Ok(Measure::new(
        met,
        &format_args!("committed records in the log of {topic}"),
        &wanted,
        &format_args!("{held} for {acknowledged} acknowledged, {failed} failed"),
    ))
}

fn find_topic<'a>(facts: &'a Facts, topic: &str) -> Sought<&'a TopicView> {
    facts.view.topics.iter().find(|view| view.name == topic).ok_or_else(|| format!("There is no topic {topic}."))
}

/// One partition, or all when none is named; never an empty list.
fn partitions<'a>(facts: &'a Facts, topic: &str, partition: Option<i32>) -> Sought<Vec<&'a PartitionView>> {
    let found: Vec<_> =
        find_topic(facts, topic)?.partitions.iter().filter(|view| partition.is_none_or(|wanted| wanted == view.partition)).collect();
    match (found.is_empty(), partition) {
        (false, _) => Ok(found),
        (true, Some(partition)) => Err(format!("Topic {topic} has no partition {partition}.")),
        (true, None) => Err(format!("Topic {topic} has no partitions.")),
    }
}

fn one_partition<'a>(facts: &'a Facts, topic: &str, partition: i32) -> Sought<&'a PartitionView> {
    Ok(partitions(facts, topic, Some(partition))?[0])
}

/// What the leader holds below the high watermark.
fn committed_records(topic: &str, partition: &PartitionView) -> Sought<i64> {
    let leader = partition.replicas.iter().find(|replica| Some(replica.broker) == partition.leader);
    let leader = leader.ok_or_else(|| format!("{topic}-{} has no leader now.", partition.partition))?;
    Ok(leader.high_watermark - leader.log_start_offset)
}

fn has_key(message: &crate::view::shape::MessageView, key: &str) -> bool {
    message.key.as_ref().is_some_and(|text| text.0 == key.as_bytes())
}

fn find_consumer<'a>(facts: &'a Facts, id: &str) -> Sought<&'a crate::view::shape::ConsumerView> {
    facts.view.consumers.iter().find(|view| view.id == id).ok_or_else(|| format!("There is no consumer {id}."))
}

fn find_producer<'a>(facts: &'a Facts, id: &str) -> Sought<&'a ProducerView> {
    facts.view.producers.iter().find(|view| view.id == id).ok_or_else(|| format!("There is no producer {id}."))
}

fn find_group<'a>(facts: &'a Facts, id: &str) -> Sought<&'a GroupView> {
    facts.view.groups.iter().find(|view| view.id == id).ok_or_else(|| format!("There is no group {id}."))
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
