//! Settings of groups, where they differ from what the brokers say for all.
//!
//! Source: `ConfigAdminManager.validateGroupNameNotEmpty`, `GroupConfig.validate`; KIP-848, KIP-932.

use super::configs::changes;
use super::{Controller, Refused};
use crate::node::{NoteKind, Outputs};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataRecord;
use crate::protocol::settings::{self, Scope, Value};
use k::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages as k;
use std::sync::Arc;

impl Controller {
    pub(super) fn alter_group(&mut self, resource: &AlterConfigsResource, validate_only: bool, out: &mut Outputs) -> Result<(), Refused> {
        let group: &str = &resource.resource_name;
        if group.is_empty() {
            return Err((ErrorCode::InvalidRequest, "Default group resources are not allowed.".to_owned()));
        }
        let before = self.image.group_configs.get(group).cloned().unwrap_or_default();
        let (after, changes) = changes(Scope::Group, &before, &resource.configs)?;
        for (name, text) in &after {
            let setting = settings::lookup(Scope::Group, name).filter(|setting| setting.name == name);
            let setting = setting.ok_or_else(|| (ErrorCode::InvalidConfig, format!("Unknown group config name: {name}")))?;
            let value = settings::parse(setting, text).map_err(|error| (ErrorCode::InvalidConfig, error.to_string()))?;
            let range = self.config.group_ranges.iter().find(|(ranged, ..)| ranged == name);
            if let Some((_, least, most)) =
                range.filter(|(_, least, most)| matches!(value, Value::Number(ms) if !(*least..=*most).contains(&ms)))
            {
                let (kind, own) = name.split_once('.').unwrap_or_default();
                let sentence =
                    format!("{name} must be between {least} and {most}, as group.{kind}.min.{own} and group.{kind}.max.{own} say.");
                return Err((ErrorCode::InvalidConfig, sentence));
            }
        }
        if !validate_only && !changes.is_empty() {
            for (name, value) in &changes {
                self.decide(MetadataRecord::GroupConfig { group: group.to_owned(), name: name.clone(), value: value.clone() });
            }
            out.note(NoteKind::GroupConfigsAltered { group: Arc::from(group), changes });
        }
        Ok(())
    }
}
