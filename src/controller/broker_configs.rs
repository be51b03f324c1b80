//! Settings of brokers that are changed while they run: of one of them, or of all that have none of their own.
//!
//! Which may be changed so stands with the settings. What is asked for one resource is done as a whole or not at all. Source:
//! `DynamicBrokerConfig.validate` and `ConfigAdminManager.validateBrokerConfigChange`, which call whatever is wrong INVALID_REQUEST (KAFKA-13609),
//! `DynamicThreadPool.validateReconfiguration`; KIP-226.

use super::configs::{Configs, DELETE, changes};
use super::eligible::MIN_ISR;
use super::{Controller, Refused};
use crate::node::{NoteKind, Outputs};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataRecord;
use crate::protocol::settings::{self, Scope, Setting, Value};
use k::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages as k;

const UNCLEAN_ELECTIONS: &str = "unclean.leader.election.enable";

impl Controller {
    pub(super) fn alter_broker(&mut self, resource: &AlterConfigsResource, validate_only: bool, out: &mut Outputs) -> Result<(), Refused> {
        let broker = self.broker_to_alter(&resource.resource_name)?;
        let before = self.image.broker_configs.get(&broker).cloned().unwrap_or_default();
        let (after, changes) = changes(Scope::Broker, &before, &resource.configs)?;
        check_configs(&after)?;
        self.check_min_isr(broker, &resource.configs)?;
        self.check_threads(broker, &after)?;
        if !validate_only && !changes.is_empty() {
            for (name, value) in &changes {
                self.decide(MetadataRecord::BrokerConfig { broker, name: name.clone(), value: value.clone() });
            }
            self.clear_elr_as_needed(None, &changes, out);
            out.note(NoteKind::BrokerConfigsAltered { broker, changes });
        }
        Ok(())
    }

    /// The broker of this name; an empty one means all of them.
    fn broker_to_alter(&self, name: &str) -> Result<Option<i32>, Refused> {
        if name.is_empty() {
            return Ok(None);
        }
        let id: i32 =
            name.parse().map_err(|_| (ErrorCode::InvalidRequest, "Unable to parse broker name as a base 10 number.".to_owned()))?;
        if id < 0 {
            return Err((ErrorCode::InvalidRequest, "Invalid negative broker ID.".to_owned()));
        }
        if !self.image.brokers.contains_key(&id) {
            return Err((ErrorCode::BrokerIdNotRegistered, format!("No node with id {id} found.")));
        }
        Ok(Some(id))
    }

    /// With eligible leader replicas all must mean the same by `min.insync.replicas`: it is the cluster's, and is not taken away (KIP-966).
    fn check_min_isr(&self, broker: Option<i32>, asked: &[AlterableConfig]) -> Result<(), Refused> {
        let Some(asked) = asked.iter().find(|config| &*config.name == MIN_ISR && self.config.eligible_leaders) else { return Ok(()) };
        let sentence = if broker.is_some() {
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
        } else if asked.config_operation == DELETE {
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."
        } else {
            return Ok(());
        };
        Err((ErrorCode::InvalidConfig, sentence.to_owned()))
    }

    /// `min.insync.replicas`, where the topic does not set it.
    pub fn min_insync_replicas(&self) -> usize {
        let set = self.image.broker_configs.get(&None).and_then(|configs| configs.get(MIN_ISR)?.trim().parse().ok());
        set.unwrap_or(self.config.min_insync_replicas)
    }

    /// Threads become twice or half as many at the most, at a time. Of all brokers each is looked at, as it is.
    fn check_threads(&self, broker: Option<i32>, after: &Configs) -> Result<(), Refused> {
        let configs = |broker: Option<i32>| self.image.broker_configs.get(&broker);
        for (name, at_start) in [("num.io.threads", self.config.io_threads), ("num.network.threads", self.config.network_threads)] {
            let threads = |own: Option<&Configs>, all: Option<&Configs>| -> i64 {
                let set = |configs: Option<&Configs>| configs?.get(name)?.trim().parse().ok();
                set(own).or_else(|| set(all)).unwrap_or(at_start)
            };
            for id in self.image.brokers.keys().copied().filter(|id| broker.is_none_or(|one| one == *id)) {
                let (own, all) = (configs(Some(id)), configs(None));
                let before = threads(own, all);
                let now = if broker.is_some() { threads(Some(after), all) } else { threads(own, Some(after)) };
                let flaw = if now < before / 2 {
                    "be at least half"
                } else if 2 * before < now {
                    "not be greater than double"
                } else {
                    continue;
                };
                let sentence = format!(
                    "Dynamic thread count update validation failed for {name}={now}, value should {flaw} the current value {before}"
                );
                return Err((ErrorCode::InvalidRequest, sentence));
            }
        }
        Ok(())
    }

    /// `unclean.leader.election.enable`, where the topic does not set it.
    pub fn elects_uncleanly(&self) -> bool {
        let set = self.image.broker_configs.get(&None).and_then(|configs| configs.get(UNCLEAN_ELECTIONS));
        set.map_or(self.config.unclean_elections, |value| value.trim().eq_ignore_ascii_case("true"))
    }
}

/// A broker's settings, each by itself.
fn check_configs(configs: &Configs) -> Result<(), Refused> {
    let mut fixed = Vec::new();
    let mut unfit = None;
    for (name, text) in configs {
        let setting: &Setting = settings::lookup(Scope::Broker, name)
            .filter(|setting| setting.name == name)
            .ok_or_else(|| (ErrorCode::InvalidConfig, format!("Unknown broker config name: {name}")))?;
        if !setting.dynamic {
            fixed.push(setting.name);
        }
        let parsed: Result<Value, _> = settings::parse(setting, text);
        unfit = unfit.or(parsed.err());
    }
    if !fixed.is_empty() {
        return Err((ErrorCode::InvalidRequest, format!("Cannot update these configs dynamically: Set({})", fixed.join(", "))));
    }
    unfit.map_or(Ok(()), |error| Err((ErrorCode::InvalidRequest, error.to_string())))
}
