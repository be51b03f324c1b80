//! Commands about topics: checked and done by the controller, or by the leader of the partition.

use super::apply::warn;
use super::command::{ConfigResource, Configs, Refusal};
use super::configs;
use crate::controller::configs::{BROKER_RESOURCE, DELETE, GROUP_RESOURCE, SET, TOPIC_RESOURCE};
use crate::controller::elect_leaders::UNCLEAN;
use crate::protocol::ErrorCode;
use crate::protocol::client_quotas::DEFAULT_ENTITY;
use crate::protocol::settings::{self, Scope, real};
use crate::protocol::wire::{self, Request, Response};
use crate::sim::{ProcessState, Trace, World};
use kafka_protocol::messages as k;
use serde_json::Value;
use std::sync::Arc;

/// `request.timeout.ms` of an admin client: how long a broker may let it wait.
const REQUEST_TIMEOUT_MS: i32 = 30_000;

pub(super) fn create_topic(
    world: &mut World,
    trace: &mut Trace,
    name: &str,
    partitions: i32,
    factor: i16,
    configs: &Configs,
) -> Result<Value, Refusal> {
    let checked = configs::resource(Scope::Topic, configs, "configs");
    let mut topic = k::create_topics_request::CreatableTopic::default();
    topic.name = wire::topic(name);
    topic.num_partitions = partitions;
    topic.replication_factor = factor;
    for (key, value) in configs {
        let mut config = k::create_topics_request::CreatableTopicConfig::default();
        config.name = wire::text(key);
        config.value = Some(wire::text(value));
        topic.configs.push(config);
    }
    let mut message = k::CreateTopicsRequest::default();
    message.topics.push(topic);
    let Some(Response::CreateTopics(answer)) = world.ask(Request::CreateTopics(Arc::new(message)), trace) else {
        return Err(no_controller());
    };
    let result = answer.topics.first().map_or((0, None), |result| (result.error_code, result.error_message.as_deref()));
    let created = answered(result, |code| match code {
        ErrorCode::InvalidPartitions | ErrorCode::PolicyViolation => "partitions",
        ErrorCode::InvalidReplicationFactor => "replicationFactor",
        ErrorCode::InvalidConfig => "configs",
        _ => "name",
    });
    match (created, checked) {
        (Ok(answer), Ok(checked)) => {
            warn(world.now(), trace, &Arc::from(format!("topic {name}")), checked.warnings);
            Ok(answer)
        }
        // The controller says what is wrong, and here is known where.
        (Err(refusal), Err(Refusal { field: Some(at), .. })) if refusal.field.as_deref() == Some("configs") => Err(refusal.at(&at)),
        (created, _) => created,
    }
}

pub(super) fn delete_topic(world: &mut World, trace: &mut Trace, name: &str) -> Result<Value, Refusal> {
    let topic = k::delete_topics_request::DeleteTopicState::default().with_name(Some(wire::topic(name)));
    let message = k::DeleteTopicsRequest::default().with_topics(vec![topic]);
    let Some(Response::DeleteTopics(answer)) = world.ask(Request::DeleteTopics(Arc::new(message)), trace) else {
        return Err(no_controller());
    };
    let result = answer.responses.first().map_or((0, None), |result| (result.error_code, result.error_message.as_deref()));
    answered(result, |_| "name")
}

pub(super) fn alter_configs(
    world: &mut World,
    trace: &mut Trace,
    resource: ConfigResource,
    name: &str,
    set: &Configs,
    delete: &[String],
) -> Result<Value, Refusal> {
    if set.is_empty() && delete.is_empty() {
        return Err(Refusal::argument("set", "There is nothing to set or to delete."));
    }
    let image = world.controller().image();
    let (checked, known, kind, what) = match resource {
        ConfigResource::Broker => {
            let id = if name.is_empty() { None } else { name.parse().ok() };
            let known = image.broker_configs.get(&id).filter(|_| name.is_empty() == id.is_none());
            let what = if name.is_empty() { "all brokers".to_owned() } else { format!("broker {name}") };
            // Of a broker that has none of its own nothing can be deleted; one that is not there is the controller's to refuse.
            let is_there = name.is_empty() || id.is_some_and(|id| image.brokers.contains_key(&id));
            (configs::running_broker(set, "set")?, known.cloned().or(is_there.then(Configs::new)), BROKER_RESOURCE, what)
        }
        ConfigResource::Group => (
            configs::resource(Scope::Group, set, "set")?,
            image.group_configs.get(name).cloned().or_else(|| Some(Configs::new())),
            GROUP_RESOURCE,
            format!("group {name}"),
        ),
        ConfigResource::Topic => (
            configs::resource(Scope::Topic, set, "set")?,
            image.topic(name).map(|topic| topic.configs.clone()),
            TOPIC_RESOURCE,
            format!("topic {name}"),
        ),
    };
    let scope = match resource {
        ConfigResource::Broker => Scope::Broker,
        ConfigResource::Group => Scope::Group,
        ConfigResource::Topic => Scope::Topic,
    };
    let proper = |name: &'_ String| settings::lookup(scope, name).map_or_else(|| name.clone(), |setting| setting.name.to_owned());
    let deleted: Vec<String> = delete.iter().map(proper).collect();
    // As kafka-configs.sh: what is not set cannot be deleted.
    if let Some(place) = deleted.iter().position(|name| known.as_ref().is_some_and(|configs| !configs.contains_key(name.as_str()))) {
        let sentence = format!("{} is not set for {what}.", deleted[place]);
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at(&format!("delete[{place}]")));
    }
    // Nor is there a setting that becomes two things at once.
    let is_twice = |place: &usize| deleted[..*place].contains(&deleted[*place]) || checked.configs.contains_key(&deleted[*place]);
    let twice = (0..deleted.len()).find(is_twice);
    let config = |name: &str, operation: i8, value: Option<&str>| {
        k::incremental_alter_configs_request::AlterableConfig::default()
            .with_name(wire::text(name))
            .with_config_operation(operation)
            .with_value(value.map(wire::text))
    };
    let sets = checked.configs.iter().map(|(name, value)| config(name, SET, Some(value)));
    let deletes = deleted.iter().map(|name| config(name, DELETE, None));
    let resource = k::incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(wire::text(name))
        .with_configs(sets.chain(deletes).collect());
    let message = k::IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let Some(Response::IncrementalAlterConfigs(answer)) = world.ask(Request::IncrementalAlterConfigs(Arc::new(message)), trace) else {
        return Err(no_controller());
    };
    let result = answer.responses.first().map_or((0, None), |result| (result.error_code, result.error_message.as_deref()));
    // Of a broker, whatever is wrong with a setting is called so.
    let is_of_settings = kind == BROKER_RESOURCE && (name.is_empty() || name.parse().is_ok_and(|id: i32| 0 <= id));
    let altered = answered(
        result,
        match ErrorCode::of(result.0) {
            ErrorCode::InvalidConfig => |_| "set",
            ErrorCode::InvalidRequest if is_of_settings => |_| "set",
            _ => |_| "name",
        },
    );
    match (altered, twice) {
        (Ok(answer), _) => {
            warn(world.now(), trace, &Arc::from(what), checked.warnings);
            Ok(answer)
        }
        (Err(refusal), Some(place)) if refusal.code == ErrorCode::InvalidRequest.name() => Err(refusal.at(&format!("delete[{place}]"))),
        (Err(refusal), _) if refusal.field.as_deref() == Some("set") => {
            let at = named_in(&refusal.message, scope, set);
            Err(at.map_or(refusal.clone(), |name| refusal.at(&format!("set.{name}"))))
        }
        (altered, _) => altered,
    }
}

/// The setting, as it was given, that a controller's sentence names first.
fn named_in<'a>(sentence: &str, scope: Scope, set: &'a Configs) -> Option<&'a String> {
    let mut words = sentence.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.').map(|word| word.trim_end_matches('.'));
    words.find_map(|word| set.keys().find(|name| settings::lookup(scope, name).is_some_and(|setting| setting.name == word)))
}

pub(super) fn alter_client_quotas(
    world: &mut World,
    trace: &mut Trace,
    user: Option<&str>,
    client_id: Option<&str>,
    set: &Configs,
    delete: &[String],
) -> Result<Value, Refusal> {
    if set.is_empty() && delete.is_empty() {
        return Err(Refusal::argument("set", "There is nothing to set or to delete."));
    }
    let op = |name: &str| k::alter_client_quotas_request::OpData::default().with_key(wire::text(name));
    let mut entry = k::alter_client_quotas_request::EntryData::default();
    for (kind, name) in [("user", user), ("client-id", client_id)] {
        let Some(name) = name else { continue };
        let part = k::alter_client_quotas_request::EntityData::default().with_entity_type(wire::text(kind));
        entry.entity.push(part.with_entity_name(Some(name).filter(|name| *name != DEFAULT_ENTITY).map(wire::text)));
    }
    for (name, text) in set {
        let limit = real(text.trim()).ok_or_else(|| Refusal::argument(&format!("set.{name}"), format!("{text} is no number.")))?;
        entry.ops.push(op(name).with_value(limit));
    }
    entry.ops.extend(delete.iter().map(|name| op(name).with_remove(true)));
    let message = k::AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let Some(Response::AlterClientQuotas(answer)) = world.ask(Request::AlterClientQuotas(Arc::new(message)), trace) else {
        return Err(no_controller());
    };
    let result = answer.entries.first().map_or((0, None), |result| (result.error_code, result.error_message.as_deref()));
    let field: fn(ErrorCode) -> &'static str = match (user, client_id) {
        (None, None) | (Some(""), _) => |_| "user",
        (_, Some("")) => |_| "clientId",
        _ => |_| "set",
    };
    answered(result, field)
}

pub(super) fn create_partitions(world: &mut World, trace: &mut Trace, name: &str, partitions: i32) -> Result<Value, Refusal> {
    let mut topic = k::create_partitions_request::CreatePartitionsTopic::default();
    (topic.name, topic.count) = (wire::topic(name), partitions);
    // Where the new replicas go is for the controller to say.
    topic.assignments = None;
    let mut message = k::CreatePartitionsRequest::default();
    message.topics.push(topic);
    let Some(Response::CreatePartitions(answer)) = world.ask(Request::CreatePartitions(Arc::new(message)), trace) else {
        return Err(no_controller());
    };
    let result = answer.results.first().map_or((0, None), |result| (result.error_code, result.error_message.as_deref()));
    answered(result, |code| if code == ErrorCode::UnknownTopicOrPartition { "topic" } else { "partitions" })
}

/// Asked of the partition's leader, who answers when all live replicas have done so.
pub(super) fn delete_records(world: &mut World, trace: &mut Trace, topic: &str, partition: i32, before: i64) -> Result<Value, Refusal> {
    let unknown = |what: String, field| Err(Refusal::kafka(ErrorCode::UnknownTopicOrPartition, format!("There is no {what}.")).at(field));
    let Some(known) = world.controller().image().topic(topic) else { return unknown(format!("topic {topic}"), "topic") };
    if !(0..known.partitions.len() as i32).contains(&partition) {
        return unknown(format!("partition {topic}-{partition}"), "partition");
    }
    let leader = leader_of(world, topic, partition)?;
    let asked = k::delete_records_request::DeleteRecordsPartition::default().with_partition_index(partition).with_offset(before);
    let topic = k::delete_records_request::DeleteRecordsTopic::default().with_name(wire::topic(topic)).with_partitions(vec![asked]);
    let message = k::DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(REQUEST_TIMEOUT_MS);
    let Some(Response::DeleteRecords(answer)) = world.ask_broker(leader, Request::DeleteRecords(Arc::new(message)), trace) else {
        return Ok(Value::Null);
    };
    let result = answer.topics.first().and_then(|topic| topic.partitions.first());
    let field = |code| match code {
        ErrorCode::OffsetOutOfRange => "beforeOffset",
        ErrorCode::PolicyViolation | ErrorCode::InvalidTopicException => "topic",
        _ => "partition",
    };
    answered((result.map_or(0, |result| result.error_code), None), field)
}

pub(super) fn elect_leader(world: &mut World, trace: &mut Trace, topic: &str, partition: i32, unclean: bool) -> Result<Value, Refusal> {
    let mut asked = k::elect_leaders_request::TopicPartitions::default();
    asked.topic = wire::topic(topic);
    asked.partitions.push(partition);
    let mut message = k::ElectLeadersRequest::default();
    if unclean {
        message.election_type = UNCLEAN;
    }
    message.topic_partitions = Some(vec![asked]);
    let Some(Response::ElectLeaders(answer)) = world.ask(Request::ElectLeaders(Arc::new(message)), trace) else {
        return Err(no_controller());
    };
    let result = answer.replica_election_results.first().and_then(|topic| topic.partition_result.first());
    answered(result.map_or((0, None), |result| (result.error_code, result.error_message.as_deref())), |_| "partition")
}

/// Without replicas, the move that is under way is taken back.
pub(super) fn reassign(world: &mut World, trace: &mut Trace, topic: &str, partition: i32, to: Option<&[i32]>) -> Result<Value, Refusal> {
    let mut asked = k::alter_partition_reassignments_request::ReassignablePartition::default();
    asked.partition_index = partition;
    asked.replicas = to.map(|replicas| replicas.iter().map(|broker| k::BrokerId(*broker)).collect());
    let mut named = k::alter_partition_reassignments_request::ReassignableTopic::default();
    named.name = wire::topic(topic);
    named.partitions.push(asked);
    let mut message = k::AlterPartitionReassignmentsRequest::default();
    message.topics.push(named);
    let answer = world.ask(Request::AlterPartitionReassignments(Arc::new(message)), trace);
    let Some(Response::AlterPartitionReassignments(answer)) = answer else { return Err(no_controller()) };
    let result = answer.responses.first().and_then(|topic| topic.partitions.first());
    let result = result.map_or((0, None), |result| (result.error_code, result.error_message.as_deref()));
    answered(result, |code| if code == ErrorCode::UnknownTopicOrPartition { "partition" } else { "replicas" })
}

/// The leader of a partition, which runs.
pub(super) fn leader_of(world: &World, topic: &str, partition: i32) -> Result<i32, Refusal> {
    let runs = |broker: &i32| world.broker(*broker).is_some_and(|(_, state)| state == ProcessState::Running);
    let known = world.controller().image().topic(topic);
    let leader = known.and_then(|known| known.partitions.get(partition as usize)?.leader).filter(runs);
    let sentence = || format!("No leader of {topic}-{partition} answers.");
    leader.ok_or_else(|| Refusal::kafka(ErrorCode::LeaderNotAvailable, sentence()).at("partition"))
}

pub(super) fn no_controller() -> Refusal {
    Refusal::kafka(ErrorCode::NotController, "No controller answers.")
}

/// The controller's answer about the one thing that was asked: nothing, or why not and which field is to blame.
pub(super) fn answered((code, sentence): (i16, Option<&str>), field: fn(ErrorCode) -> &'static str) -> Result<Value, Refusal> {
    let code = ErrorCode::of(code);
    if code == ErrorCode::None {
        return Ok(Value::Null);
    }
    Err(Refusal::kafka(code, sentence.unwrap_or(code.message())).at(field(code)))
}
