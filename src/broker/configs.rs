//! What is set of topics and brokers, and where each value comes from (DescribeConfigs).
//!
//! Source: `ConfigHelper`, `ServerTopicConfigSynonyms`, `DynamicBrokerConfig.brokerConfigSynonyms`; KIP-226, KIP-569. A topic's setting has its own
//! value or that of the broker's setting in its place; synonyms are all values that there are for it, the one in force first.

use super::Broker;
use crate::ordered::OrderedMap;
use crate::protocol::settings::{self, Kind, Scope, Setting, Value};
use crate::protocol::wire;
use crate::protocol::{ErrorCode, validate_topic_name};
use k::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym};
use kafka_protocol::messages as k;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
const TOPIC_CONFIG: i8 = 1;
const DYNAMIC_BROKER_CONFIG: i8 = 2;
const DYNAMIC_DEFAULT_BROKER_CONFIG: i8 = 3;
const STATIC_BROKER_CONFIG: i8 = 4;
const DEFAULT_CONFIG: i8 = 5;
const GROUP_CONFIG: i8 = 8;

/// Where a broker's value may come from, the one that counts first.
const OF_BROKERS: [i8; 4] = [DYNAMIC_BROKER_CONFIG, DYNAMIC_DEFAULT_BROKER_CONFIG, STATIC_BROKER_CONFIG, DEFAULT_CONFIG];

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Settings of which the finest unit that is set counts, with milliseconds of each.
const BY_UNIT: [&[(&str, i64)]; 4] = [
    &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)],
    &[("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)],
    &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)],
    &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)],
];

/// Topic settings whose broker setting has neither the same name nor that with `log.` or `log.cleaner.` before it.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("segment.ms", "log.roll.ms"),
    ("segment.jitter.ms", "log.roll.jitter.ms"),
    ("segment.index.bytes", "log.index.size.max.bytes"),
    ("flush.messages", "log.flush.interval.messages"),
    ("flush.ms", "log.flush.interval.ms"),
    ("max.message.bytes", "message.max.bytes"),
    ("file.delete.delay.ms", "log.segment.delete.delay.ms"),
    ("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"),
];

/// The broker's setting that stands in for a topic's.
fn stand_in(name: &str) -> Option<&'static Setting> {
    let other = OTHER_NAMES.iter().find(|(topic, _)| *topic == name).map(|(_, broker)| (*broker).to_owned());
    let names = other.into_iter().chain([format!("log.{name}"), format!("log.cleaner.{name}"), name.to_owned()]);
    // Of the remote store a broker has no defaults for topics.
    names.filter(|_| !name.starts_with("remote.")).find_map(|name| settings::lookup(Scope::Broker, &name))
}

/// A setting and those of other units.
fn units(name: &'static str) -> Vec<(&'static str, i64)> {
    let group = BY_UNIT.iter().find(|group| group.iter().any(|(own, _)| *own == name));
    group.map_or_else(|| vec![(name, 1)], |group| group.to_vec())
}

/// Its number in the protocol (`DescribeConfigsResponse.ConfigType`).
fn kind_number(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::String => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
        Kind::Class => 8,
        Kind::Password => 9,
    }
}

/// A value as Kafka writes it.
fn shown(setting: &Setting, text: &str) -> String {
    match settings::parse(setting, text) {
        Ok(Value::Boolean(value)) => value.to_string(),
        Ok(Value::Number(value)) => value.to_string(),
        Ok(Value::List(list)) => list.join(","),
        _ => text.trim().to_owned(),
    }
}

/// One value of a setting: its name, the value and the source.
type Synonym = (&'static str, String, i8);

impl Broker {
    pub(super) fn describe_configs(&self, message: &k::DescribeConfigsRequest) -> k::DescribeConfigsResponse {
        let describe = |resource: &k::describe_configs_request::DescribeConfigsResource| {
            let mut result = DescribeConfigsResult::default();
            match self.described(resource.resource_type, &resource.resource_name, message) {
                Err((error, sentence)) => {
                    result.error_code = error.code();
                    result.error_message = Some(wire::text(&sentence));
                }
                Ok(configs) => {
                    let keys = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
                    let is_asked = |config: &DescribeConfigsResourceResult| keys.is_none_or(|keys| keys.contains(&config.name));
                    result.configs = configs.into_iter().filter(is_asked).collect();
                }
            }
            (result.resource_type, result.resource_name) = (resource.resource_type, resource.resource_name.clone());
            result
        };
        k::DescribeConfigsResponse::default().with_results(message.resources.iter().map(describe).collect())
    }

    fn described(
        &self,
        kind: i8,
        name: &str,
        message: &k::DescribeConfigsRequest,
    ) -> Result<Vec<DescribeConfigsResourceResult>, (ErrorCode, String)> {
        let invalid = |sentence: String| Err((ErrorCode::InvalidRequest, sentence));
        match kind {
            TOPIC => {
                validate_topic_name(name).map_err(|error| (ErrorCode::InvalidTopicException, error.to_string()))?;
                let unknown = ErrorCode::UnknownTopicOrPartition;
                let own = &self.image.topic(name).ok_or_else(|| (unknown, unknown.message().to_owned()))?.configs;
                let is_shown = |setting: &&Setting| !setting.is_internal() || own.contains_key(setting.name);
                Ok(settings::all(Scope::Topic).filter(is_shown).map(|setting| self.topic_entry(setting, own, message)).collect())
            }
            BROKER if name.is_empty() => {
                let all = self.image.broker_configs.get(&None).into_iter().flatten();
                let known = all.filter_map(|(name, _)| settings::lookup(Scope::Broker, name));
                Ok(known.map(|setting| self.broker_entry(setting, true, message)).collect())
            }
            BROKER_LOGGER if name.is_empty() => invalid("Broker id must not be empty".to_owned()),
            BROKER | BROKER_LOGGER => match name.parse::<i32>() {
                Err(_) => invalid(format!("Broker id must be an integer, but it is: {name}")),
                Ok(id) if id != self.id => {
                    let or_all = if kind == BROKER { " or empty string," } else { "" };
                    invalid(format!("Unexpected broker id, expected {}{or_all} but received {name}", self.id))
                }
                // No logger writes anything here.
                Ok(_) if kind == BROKER_LOGGER => Ok(Vec::new()),
                Ok(_) => {
                    // Those of this engine's model are none of Kafka's.
                    let kafkas = settings::all(Scope::Broker).filter(|setting| !setting.name.starts_with("brokerlab."));
                    Ok(kafkas.map(|setting| self.broker_entry(setting, false, message)).collect())
                }
            },
            GROUP if name.is_empty() => invalid("Group name must not be empty".to_owned()),
            GROUP => {
                let own = self.image.group_configs.get(name);
                Ok(settings::all(Scope::Group).map(|setting| self.group_entry(setting, own, message)).collect())
            }
            other => invalid(format!("Topics, brokers and groups have settings here, not resources of type {other}.")),
        }
    }

    /// What a topic has that does not say: the broker's value in its place.
    pub fn topic_default(&self, setting: &'static Setting) -> Option<String> {
        let of_broker = stand_in(setting.name).and_then(|stand_in| self.in_force(stand_in.name));
        of_broker.or_else(|| setting.default.map(str::to_owned))
    }

    fn topic_entry(
        &self,
        setting: &'static Setting,
        own: &OrderedMap<String, String>,
        message: &k::DescribeConfigsRequest,
    ) -> DescribeConfigsResourceResult {
        let mut synonyms = stand_in(setting.name).map(|broker| self.synonyms(broker.name)).unwrap_or_default();
        let own = own.get(setting.name).map(|text| shown(setting, text));
        let value = own.clone().or_else(|| self.topic_default(setting));
        if let Some(value) = own {
            synonyms.insert(0, (setting.name, value, TOPIC_CONFIG));
        }
        entry(setting, value, synonyms, message)
    }

    /// A group's own value, or what the brokers have for all groups.
    fn group_entry(
        &self,
        setting: &'static Setting,
        own: Option<&OrderedMap<String, String>>,
        message: &k::DescribeConfigsRequest,
    ) -> DescribeConfigsResourceResult {
        let own = own.and_then(|own| own.get(setting.name)).map(|text| shown(setting, text));
        let synonyms = own.iter().map(|value| (setting.name, value.clone(), GROUP_CONFIG)).collect();
        let of_all = || self.in_force(settings::lookup(Scope::Broker, &format!("group.{}", setting.name))?.name);
        let value = own.clone().or_else(of_all).or_else(|| setting.default.map(str::to_owned));
        entry(setting, value, synonyms, message)
    }

    /// What has settings, by kind (KIP-1142); none named: of every kind.
    pub(super) fn list_config_resources(&self, message: &k::ListConfigResourcesRequest) -> k::ListConfigResourcesResponse {
        const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
        let mut response = k::ListConfigResourcesResponse::default();
        if message.resource_types.iter().any(|kind| !ALL.contains(kind)) {
            response.error_code = ErrorCode::UnsupportedVersion.code();
            return response;
        }
        let asked = |kind: &i8| message.resource_types.is_empty() || message.resource_types.contains(kind);
        let brokers = || self.image.brokers.keys().map(ToString::to_string).collect::<Vec<_>>();
        for kind in ALL.into_iter().filter(asked) {
            let names = match kind {
                TOPIC => self.image.topic_ids.keys().map(ToString::to_string).collect(),
                GROUP => self.image.group_configs.keys().cloned().collect(),
                BROKER | BROKER_LOGGER => brokers(),
                _ => Vec::new(),
            };
            let resource = |name: &String| {
                let resource = k::list_config_resources_response::ConfigResource::default().with_resource_name(wire::text(name));
                resource.with_resource_type(kind)
            };
            response.config_resources.extend(names.iter().map(resource));
        }
        response
    }

    fn broker_entry(&self, setting: &'static Setting, of_all: bool, message: &k::DescribeConfigsRequest) -> DescribeConfigsResourceResult {
        let mut synonyms = self.synonyms(setting.name);
        let mut value = synonyms.first().map(|(_, value, _)| value.clone());
        if of_all {
            synonyms.retain(|(.., source)| *source == DYNAMIC_DEFAULT_BROKER_CONFIG);
            value = self.value_from(DYNAMIC_DEFAULT_BROKER_CONFIG, setting.name);
        }
        entry(setting, value, synonyms, message).with_read_only(!setting.dynamic)
    }

    /// What there is for a setting of this broker, the first in force. As in Kafka it begins with a value of that very name: what is set in another
    /// unit before it is left out.
    fn synonyms(&self, name: &'static str) -> Vec<Synonym> {
        let mut synonyms = Vec::new();
        for source in OF_BROKERS {
            synonyms.extend(units(name).into_iter().filter_map(|(name, _)| Some((name, self.value_from(source, name)?, source))));
        }
        synonyms.into_iter().skip_while(|(own, ..)| *own != name).collect()
    }

    /// The value that a topic without one of its own gets.
    fn in_force(&self, name: &'static str) -> Option<String> {
        units(name).into_iter().find_map(|(name, unit_ms)| {
            let value = OF_BROKERS.iter().find_map(|source| self.value_from(*source, name))?;
            if unit_ms == 1 { Some(value) } else { Some(value.parse::<i64>().ok()?.saturating_mul(unit_ms).to_string()) }
        })
    }

    fn value_from(&self, source: i8, name: &'static str) -> Option<String> {
        let setting = settings::lookup(Scope::Broker, name)?;
        let of = |whose: Option<i32>| self.image.broker_configs.get(&whose)?.get(name).map(String::as_str);
        let id = self.id.to_string();
        let text = match source {
            DYNAMIC_BROKER_CONFIG => of(Some(self.id)),
            DYNAMIC_DEFAULT_BROKER_CONFIG => of(None),
            STATIC_BROKER_CONFIG if matches!(name, "node.id" | "broker.id") => Some(id.as_str()),
            STATIC_BROKER_CONFIG => self.config.given.get(name).map(String::as_str),
            _ => setting.default,
        };
        text.map(|text| shown(setting, text))
    }
}

fn entry(
    setting: &'static Setting,
    value: Option<String>,
    synonyms: Vec<Synonym>,
    message: &k::DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let is_sensitive = setting.kind == Kind::Password;
    let text = |value: &str| Some(wire::text(value)).filter(|_| !is_sensitive);
    let mut entry = DescribeConfigsResourceResult::default();
    entry.name = wire::text(setting.name);
    entry.value = value.and_then(|value| text(&value));
    entry.config_source = synonyms.first().map_or(DEFAULT_CONFIG, |(.., source)| *source);
    entry.is_sensitive = is_sensitive;
    entry.config_type = kind_number(setting.kind);
    if message.include_synonyms {
        let synonym = |(name, value, source): &Synonym| {
            DescribeConfigsSynonym::default().with_name(wire::text(name)).with_value(text(value)).with_source(*source)
        };
        entry.synonyms = synonyms.iter().map(synonym).collect();
    }
    #[cfg(not(target_arch = "wasm32"))]
    if message.include_documentation {
        entry.documentation = Some(wire::text(setting.doc));
    }
    entry
}
