//! How client quotas are set and taken away.
//!
//! Source: `ClientQuotaControlManager`; KIP-546. Each entity of a request succeeds or fails by itself, as a whole.

use super::{Controller, Refused};
use crate::node::{NoteKind, Outputs};
use crate::ordered::{OrderedMap, repeated};
use crate::protocol::ErrorCode;
use crate::protocol::client_quotas::{Quota, QuotaEntity, Whose};
use crate::protocol::metadata::MetadataRecord;
use crate::protocol::wire;
use k::alter_client_quotas_request::{EntityData, EntryData};
use kafka_protocol::messages as k;
use std::sync::Arc;

impl Controller {
    pub(super) fn alter_client_quotas(&mut self, message: &k::AlterClientQuotasRequest, out: &mut Outputs) -> k::AlterClientQuotasResponse {
        let mut response = k::AlterClientQuotasResponse::default();
        let mut seen = Vec::new();
        for entry in &message.entries {
            let mut answer = k::alter_client_quotas_response::EntryData::default();
            let named = |part: &EntityData| {
                let answer = k::alter_client_quotas_response::EntityData::default().with_entity_type(part.entity_type.clone());
                answer.with_entity_name(part.entity_name.clone())
            };
            answer.entity = entry.entity.iter().map(named).collect();
            let altered = match entity(entry) {
                Ok(entity) if seen.contains(&entity) => {
                    Err((ErrorCode::InvalidRequest, format!("The quotas of {entity} are named twice.")))
                }
                Ok(entity) => {
                    seen.push(entity.clone());
                    self.alter_quotas_of(entity, entry, message.validate_only, out)
                }
                Err(refused) => Err(refused),
            };
            answer.error_message = None;
            if let Err((error, sentence)) = altered {
                (answer.error_code, answer.error_message) = (error.code(), Some(wire::text(&sentence)));
            }
            response.entries.push(answer);
        }
        response
    }

    fn alter_quotas_of(&mut self, entity: QuotaEntity, entry: &EntryData, validate_only: bool, out: &mut Outputs) -> Result<(), Refused> {
        let invalid = |sentence: String| Err((ErrorCode::InvalidRequest, sentence));
        if let Some(name) = repeated(entry.ops.iter().map(|op| op.key.as_str())).iter().next() {
            return invalid(format!("The quota {name} is named twice."));
        }
        let before = self.image.client_quotas.get(&entity);
        let mut changes = OrderedMap::new();
        for op in &entry.ops {
            let name: &str = &op.key;
            let held = before.and_then(|limits| limits.get(name));
            if op.remove {
                if held.is_some() {
                    changes.insert(name.to_owned(), None);
                }
                continue;
            }
            let Some(quota) = Quota::ALL.into_iter().find(|quota| quota.name() == name) else {
                return invalid(format!("There is no quota {name}."));
            };
            if !(0.0 < op.value && op.value.is_finite()) {
                return invalid(format!("The quota {name} must be greater than 0."));
            }
            if quota.is_whole() && (op.value.fract() != 0.0 || i64::MAX as f64 <= op.value) {
                return invalid(format!("The quota {name} is a whole number of bytes, up to 2^63 - 1."));
            }
            if held != Some(&op.value) {
                changes.insert(name.to_owned(), Some(op.value));
            }
        }
        if !validate_only && !changes.is_empty() {
            for (name, value) in &changes {
                self.decide(MetadataRecord::ClientQuota { entity: entity.clone(), name: name.clone(), value: *value });
            }
            let changes = changes.into_keys().collect();
            out.note(NoteKind::ClientQuotasAltered { entity: Arc::from(entity.to_string()), changes });
        }
        Ok(())
    }
}

/// Whom an entry is about.
fn entity(entry: &EntryData) -> Result<QuotaEntity, Refused> {
    let invalid = |sentence: &str| Err((ErrorCode::InvalidRequest, sentence.to_owned()));
    let mut entity = QuotaEntity { user: None, client_id: None };
    for part in &entry.entity {
        let whose = match part.entity_name.as_deref() {
            None => Whose::Default,
            Some("") => return invalid("A user or client id has a name; null is the default."),
            Some(name) => Whose::Named(Arc::from(name)),
        };
        let place = match part.entity_type.as_str() {
            "user" => &mut entity.user,
            "client-id" => &mut entity.client_id,
            // Connections come from no addresses here.
            "ip" => return Err((ErrorCode::UnsupportedVersion, "Addresses have no quotas here: nobody has one.".to_owned())),
            other => return Err((ErrorCode::InvalidRequest, format!("Quotas are for a user or a client-id, not for \"{other}\"."))),
        };
        if place.replace(whose).is_some() {
            return invalid("A quota's user, or its client-id, is named twice.");
        }
    }
    if entity.user.is_none() && entity.client_id.is_none() {
        return invalid("A quota is for a user, a client-id, or both.");
    }
    Ok(entity)
}
