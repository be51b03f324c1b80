//! Settings of topics: what they may be, and how they are changed while the topic lives. Those of brokers are [`super::broker_configs`]'s.
//!
//! Source: `ConfigurationControlManager.incrementalAlterConfigs`, `ConfigAdminManager.preprocess`, `LogConfig.validate`; KIP-339. What is asked
//! for one topic is done as a whole or not at all. Those of groups are [`super::group_configs`]'s.

use super::{Controller, Refused};
use crate::node::{NoteKind, Outputs};
use crate::ordered::{OrderedMap, repeated};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::{MetadataRecord, TopicMetadata};
use crate::protocol::settings::{self, Kind, Scope, Setting, Value};
use crate::protocol::validate_topic_name;
use crate::protocol::wire;
use crate::storage::config::AS_ALL;
use k::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use k::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages as k;

/// `ConfigResource.Type.TOPIC` on the wire.
pub const TOPIC_RESOURCE: i8 = 2;
/// `ConfigResource.Type.BROKER` on the wire.
pub const BROKER_RESOURCE: i8 = 4;
/// `ConfigResource.Type.GROUP` on the wire.
pub const GROUP_RESOURCE: i8 = 32;
/// `AlterConfigOp.OpType.SET` on the wire.
pub const SET: i8 = 0;
/// `AlterConfigOp.OpType.DELETE` on the wire.
pub const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

const NO_REMOTE_STORAGE: &str =
    "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.";
const REMOTE_DATA_STAYS: &str = "It is invalid to disable remote storage without deleting remote data: set remote.log.delete.on.disable=true with \
                                 it, or keep remote.storage.enable=true and set remote.log.copy.disable=true.";

/// Settings by name.
pub(super) type Configs = OrderedMap<String, String>;
/// A setting's name and what it becomes.
pub(super) type Change = (String, Option<String>);

impl Controller {
    /// Each resource succeeds or fails by itself.
    pub(super) fn alter_configs(
        &mut self,
        message: &k::IncrementalAlterConfigsRequest,
        out: &mut Outputs,
    ) -> k::IncrementalAlterConfigsResponse {
        let mut response = k::IncrementalAlterConfigsResponse::default();
        let twice = repeated(message.resources.iter().map(|resource| (resource.resource_type, resource.resource_name.as_str())));
        for resource in &message.resources {
            let mut answer = AlterConfigsResourceResponse::default();
            (answer.resource_type, answer.resource_name) = (resource.resource_type, resource.resource_name.clone());
            let altered = if twice.contains(&(resource.resource_type, resource.resource_name.as_str())) {
                Err((ErrorCode::InvalidRequest, "Each resource may be named once.".to_owned()))
            } else {
                self.alter(resource, message.validate_only, out)
            };
            if let Err((error, sentence)) = altered {
                (answer.error_code, answer.error_message) = (error.code(), Some(wire::text(&sentence)));
            }
            response.responses.push(answer);
        }
        response
    }

    fn alter(&mut self, resource: &AlterConfigsResource, validate_only: bool, out: &mut Outputs) -> Result<(), Refused> {
        if resource.resource_type == BROKER_RESOURCE {
            return self.alter_broker(resource, validate_only, out);
        }
        if resource.resource_type == GROUP_RESOURCE {
            return self.alter_group(resource, validate_only, out);
        }
        let topic = self.topic_to_alter(resource)?;
        let (id, name) = (topic.id, topic.name.clone());
        let (configs, changes) = changes(Scope::Topic, &topic.configs, &resource.configs)?;
        let configs = checked_configs(configs.into_iter())?;
        self.check_remote_storage(&configs, Some(&topic.configs))?;
        if !validate_only && !changes.is_empty() {
            for (name, value) in &changes {
                self.decide(MetadataRecord::TopicConfig { topic: id, name: name.clone(), value: value.clone() });
            }
            self.clear_elr_as_needed(Some(id), &changes, out);
            out.note(NoteKind::ConfigsAltered { topic: name, changes });
        }
        Ok(())
    }

    /// Whether a topic may have tiered storage by these settings, or give up what it had (`LogConfig.validateTopicLogConfigValues`).
    pub(super) fn check_remote_storage(
        &self,
        configs: &OrderedMap<String, String>,
        before: Option<&OrderedMap<String, String>>,
    ) -> Result<(), Refused> {
        let log = self.config.log.of_topic(configs);
        let refused = |sentence: String| Err((ErrorCode::InvalidConfig, sentence));
        if !log.remote {
            let had = before.is_some_and(|before| self.config.log.of_topic(before).remote);
            let stays = had && !log.remote_delete_on_disable;
            return if stays { refused(REMOTE_DATA_STAYS.to_owned()) } else { Ok(()) };
        }
        if !self.config.remote_storage {
            return refused(NO_REMOTE_STORAGE.to_owned());
        }
        if log.compact {
            return refused(
                "Remote log storage only supports topics with cleanup.policy=delete or cleanup.policy being an empty list.".to_owned(),
            );
        }
        for (name, local, all_name, all) in [
            ("local.retention.bytes", log.local_retention_bytes, "retention.bytes", log.retention_bytes),
            ("local.retention.ms", log.local_retention_ms, "retention.ms", log.retention_ms),
        ] {
            if local == AS_ALL || local == all {
                continue;
            }
            if log.remote_copy_disabled {
                return refused(format!("With remote.log.copy.disable, {name} and {all_name} must be the same: nothing more is copied."));
            }
            if 0 <= all && (local < 0 || all < local) {
                return refused(format!(
                    "Invalid value {local} for configuration {name}: it must not be more than {all_name}, which is {all}."
                ));
            }
        }
        Ok(())
    }

    fn topic_to_alter(&self, resource: &AlterConfigsResource) -> Result<&TopicMetadata, Refused> {
        let name: &str = &resource.resource_name;
        if resource.resource_type != TOPIC_RESOURCE {
            let sentence =
                format!("Topics, brokers and groups have settings that can be changed, not resources of type {}.", resource.resource_type);
            return Err((ErrorCode::UnsupportedVersion, sentence));
        }
        if name.is_empty() {
            return Err((ErrorCode::InvalidRequest, "There are no settings for all topics: name one.".to_owned()));
        }
        validate_topic_name(name).map_err(|sentence| (ErrorCode::InvalidTopicException, sentence.to_string()))?;
        self.image.topic(name).ok_or_else(|| (ErrorCode::UnknownTopicOrPartition, format!("There is no topic {name}.")))
    }
}

/// All settings afterwards, and what becomes different: name and new value, `None` if it is not set any more.
pub(super) fn changes(scope: Scope, before: &Configs, asked: &[AlterableConfig]) -> Result<(Configs, Vec<Change>), Refused> {
    let mut configs = before.clone();
    let mut changes = Vec::new();
    if let Some(name) = repeated(asked.iter().map(|config| config.name.as_str())).iter().next() {
        return Err((ErrorCode::InvalidRequest, format!("{name} is named twice.")));
    }
    for config in asked {
        let (name, before): (&str, _) = (&config.name, before.get(config.name.as_str()));
        let after = altered(scope, config, before)?;
        match &after {
            Some(value) => configs.insert(name.to_owned(), value.clone()),
            None => configs.remove(name),
        };
        if before != after.as_ref() {
            changes.push((name.to_owned(), after));
        }
    }
    Ok((configs, changes))
}

fn altered(scope: Scope, config: &AlterableConfig, before: Option<&String>) -> Result<Option<String>, Refused> {
    if config.config_operation == DELETE {
        return Ok(None);
    }
    let value = config.value.as_deref();
    let value = value.ok_or_else(|| (ErrorCode::InvalidRequest, format!("Null is no value of {}.", &*config.name)))?;
    match config.config_operation {
        SET => Ok(Some(value.to_owned())),
        APPEND | SUBTRACT => {
            let setting = settings::lookup(scope, &config.name).filter(|setting| setting.kind == Kind::List);
            let setting = setting.ok_or_else(|| (ErrorCode::InvalidConfig, format!("{} is no list.", &*config.name)))?;
            let before = before.map_or(setting.default.unwrap_or_default(), String::as_str);
            let own = || before.split(',').filter(|part| !part.is_empty());
            let parts: Vec<&str> = if config.config_operation == APPEND {
                own().chain(value.split(',').filter(|part| !own().any(|other| other == *part))).collect()
            } else {
                own().filter(|part| !value.split(',').any(|other| other == *part)).collect()
            };
            Ok(Some(parts.join(",")))
        }
        other => Err((ErrorCode::InvalidRequest, format!("There is no operation {other} on settings."))),
    }
}

/// A topic's settings, each and together, under their proper names.
pub(super) fn checked_configs(given: impl Iterator<Item = (String, String)>) -> Result<OrderedMap<String, String>, Refused> {
    let mut configs = OrderedMap::new();
    for (name, value) in given {
        let setting = settings::lookup(Scope::Topic, &name);
        let setting = setting.ok_or_else(|| (ErrorCode::InvalidConfig, format!("Unknown topic config name: {name}")))?;
        settings::parse(setting, &value).map_err(|error| (error.code(), error.to_string()))?;
        configs.insert(setting.name.to_owned(), value);
    }
    let number = |name: &str| {
        let setting: &Setting = settings::lookup(Scope::Topic, name)?;
        let text = configs.get(name).map(String::as_str).or(setting.default)?;
        settings::parse(setting, text).ok().and_then(|value| if let Value::Number(number) = value { Some(number) } else { None })
    };
    let (least, most) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if most < least {
        let shown = |lag: Option<i64>| lag.unwrap_or_default();
        let sentence = format!("min.compaction.lag.ms ({}) is more than max.compaction.lag.ms ({}).", shown(least), shown(most));
        return Err((ErrorCode::InvalidConfig, sentence));
    }
    Ok(configs)
}
