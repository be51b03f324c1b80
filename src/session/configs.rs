//! Settings given as text, checked against the definitions and turned into what the nodes take.

use super::command::{Cluster, Configs, Refusal};
use super::{effects, partitioner};
use crate::broker::share::ShareConfig;
use crate::broker::{Broker, BrokerConfig, LogRules};
use crate::client::assignor::Assignor;
use crate::client::consumer::OffsetReset;
use crate::client::links::LinkConfig;
use crate::client::network::NetworkConfig;
use crate::client::partitioner::PartitionerConfig;
use crate::client::transactions::TransactionsConfig;
use crate::client::{ConsumerConfig, ProducerConfig};
use crate::controller::ControllerConfig;
use crate::controller::quorum::QuorumConfig;
use crate::coordinator::{CoordinatorConfig, TransactionConfig};
use crate::cost::{Costs, FlushRule, NEVER};
use crate::node::{MS, Time};
use crate::protocol::client_quotas::QuotaWindow;
use crate::protocol::settings::{self, Scope, Setting, Value};
use crate::protocol::{Codec, Compression, ErrorCode, validate_topic_name};
use crate::sim::{ProcessState, World, WorldConfig};
use crate::storage::{self, LogConfig};
use std::sync::Arc;

/// 2026-01-01T00:00:00Z in Kafka's epoch milliseconds: virtual time 0, unless the cluster says otherwise.
const START_TIMESTAMP: i64 = 1_767_225_600_000;
/// Brokers of a cluster, at the most.
pub(super) const BROKERS_MAX: u32 = 9;
const HOUR_MS: i64 = 3_600_000;
/// The largest seed that every JSON reader keeps exact.
const SEED_MAX: u64 = (1 << 53) - 1;

/// Values of one scope: what was given, and Kafka's defaults for the rest.
struct Values {
    scope: Scope,
    given: Configs,
    warnings: Vec<Warning>,
}

/// What whoever was given settings warns of, and goes on.
pub enum Warning {
    /// A client's name that is no setting, and the one that was probably meant.
    Unknown {
        setting: String,
        nearest: Option<&'static str>,
    },
    WithoutEffect(&'static str),
    /// A producer is not idempotent, for this setting excludes it.
    NotIdempotent {
        setting: &'static str,
        value: String,
    },
}

/// Settings under their proper names, and what is to be warned of.
pub struct Checked {
    pub configs: Configs,
    pub warnings: Vec<Warning>,
}

/// A client's settings: what it takes, what it shows, and what it warns of.
pub struct Client<T> {
    pub config: T,
    pub shown: Configs,
    pub warnings: Vec<Warning>,
}

impl Values {
    fn check(scope: Scope, given: &Configs, field: &str) -> Result<Values, Refusal> {
        let (mut checked, mut warnings) = (Configs::new(), Vec::new());
        for (name, text) in given {
            let at = format!("{field}.{name}");
            let is_clients = matches!(scope, Scope::Producer | Scope::Consumer);
            // A client's own class may have settings of its own: Kafka's clients go on.
            if is_clients && settings::lookup(scope, name).is_none() {
                warnings.push(Warning::Unknown { setting: name.clone(), nearest: settings::nearest(scope, name) });
                continue;
            }
            // Python's clients say so what is not set: compression_type=None.
            if is_clients && !name.contains('.') && text == "None" {
                continue;
            }
            let setting = known(scope, name, &at)?;
            settings::parse(&setting, text).map_err(|error| Refusal::kafka(error.code(), error.to_string()).at(&at))?;
            if !is_clients || effects::is_without_effect(setting.name) {
                warnings.extend(without_effect(scope, &setting, text));
            } else {
                effects::check(scope, &setting, text, &at)?;
            }
            checked.insert(setting.name.to_owned(), text.trim().to_owned());
        }
        Ok(Values { scope, given: checked, warnings })
    }

    fn text(&self, name: &str) -> &str {
        let default = || settings::lookup(self.scope, name).and_then(|setting| setting.default).unwrap_or_default();
        self.given.get(name).map_or_else(default, String::as_str)
    }

    fn int(&self, name: &str) -> i64 {
        let setting = settings::lookup(self.scope, name);
        match setting.and_then(|setting| settings::parse(setting, self.text(name)).ok()) {
            Some(Value::Number(value)) => value,
            // A name that this room got wrong: the definitions are fixed, so any test finds it.
            _ => unreachable!("{name} is no number setting"),
        }
    }

    fn parts(&self, name: &str) -> u64 {
        let setting = settings::lookup(self.scope, name);
        match setting.and_then(|setting| settings::parse(setting, self.text(name)).ok()) {
            Some(Value::Double(ratio)) => storage::config::parts(ratio),
            _ => unreachable!("{name} is no share"),
        }
    }

    fn bool(&self, name: &str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    fn size(&self, name: &str) -> usize {
        usize::try_from(self.int(name)).unwrap_or(usize::MAX)
    }

    fn i32(&self, name: &str) -> i32 {
        i32::try_from(self.int(name)).unwrap_or(i32::MAX)
    }

    fn millis(&self, name: &str) -> Time {
        // Far beyond any session, and still addable to any time.
        const LONGEST: Time = 1 << 60;
        Time::try_from(self.int(name)).unwrap_or(0).saturating_mul(MS).min(LONGEST)
    }

    fn gzip_level(&self) -> u8 {
        Compression::gzip(Some(self.int("compression.gzip.level"))).gzip_level
    }

    /// Of several settings for one thing the finest that is given counts.
    fn finest_millis(&self, names: &[(&str, i64)]) -> i64 {
        let given = names.iter().find(|(name, _)| self.given.contains_key(*name)).or(names.last());
        given.map_or(0, |(name, unit_ms)| self.int(name).saturating_mul(*unit_ms))
    }

    fn log(&self) -> LogConfig {
        const RETENTION: &[(&str, i64)] = &[("log.retention.ms", 1), ("log.retention.minutes", 60_000), ("log.retention.hours", HOUR_MS)];
        let mut log = LogConfig {
            segment_bytes: self.int("log.segment.bytes") as u64,
            segment_ms: self.finest_millis(&[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
            retention_ms: self.finest_millis(RETENTION),
            retention_bytes: self.int("log.retention.bytes"),
            min_cleanable_dirty_parts: self.parts("log.cleaner.min.cleanable.ratio"),
            min_compaction_lag_ms: self.int("log.cleaner.min.compaction.lag.ms"),
            max_compaction_lag_ms: self.int("log.cleaner.max.compaction.lag.ms"),
            delete_retention_ms: self.int("log.cleaner.delete.retention.ms"),
            ..LogConfig::default()
        };
        log.set_policies(self.text("log.cleanup.policy").split(',').map(str::trim));
        log
    }

    fn network(&self, allow_auto_create: bool) -> NetworkConfig {
        NetworkConfig {
            request_timeout: self.millis("request.timeout.ms"),
            metadata_max_age: self.millis("metadata.max.age.ms"),
            rebootstrap_trigger: self
                .text("metadata.recovery.strategy")
                .eq_ignore_ascii_case("rebootstrap")
                .then(|| self.millis("metadata.recovery.rebootstrap.trigger.ms")),
            retry_backoff: self.millis("retry.backoff.ms"),
            retry_backoff_max: self.millis("retry.backoff.max.ms"),
            links: LinkConfig {
                backoff: self.millis("reconnect.backoff.ms"),
                backoff_max: self.millis("reconnect.backoff.max.ms"),
                setup_timeout: self.millis("socket.connection.setup.timeout.ms"),
                setup_timeout_max: self.millis("socket.connection.setup.timeout.max.ms"),
            },
            allow_auto_create,
        }
    }
}

/// A topic's settings or a group's, under their proper names; the controller checks them once more.
pub fn resource(scope: Scope, given: &Configs, field: &str) -> Result<Checked, Refusal> {
    Values::check(scope, given, field).map(|values| Checked { configs: values.given, warnings: values.warnings })
}

/// Settings for running brokers, under their proper names. Whether they may be changed and to what is the controller's to say.
pub fn running_broker(given: &Configs, field: &str) -> Result<Checked, Refusal> {
    let (mut configs, mut warnings) = (Configs::new(), Vec::new());
    for (name, text) in given {
        let setting = known(Scope::Broker, name, &format!("{field}.{name}"))?;
        warnings.extend(without_effect(Scope::Broker, &setting, text));
        configs.insert(setting.name.to_owned(), text.trim().to_owned());
    }
    Ok(Checked { configs, warnings })
}

fn without_effect(scope: Scope, setting: &Setting, text: &str) -> Option<Warning> {
    (!effects::has_its_way(scope, setting, text)).then_some(Warning::WithoutEffect(setting.name))
}

/// A broker's setting may also be one that nothing here has a use for, or a feature of the cluster by Kafka's name of it.
fn known(scope: Scope, name: &str, at: &str) -> Result<Setting, Refusal> {
    let of_broker = || {
        let feature =
            |name: &str| settings::lookup(scope, &format!("brokerlab.{name}")).filter(|setting| setting.name.ends_with(".version"));
        Some(name).filter(|_| scope == Scope::Broker).and_then(|name| feature(name).copied().or_else(|| settings::without_use(name)))
    };
    settings::lookup(scope, name).copied().or_else(of_broker).ok_or_else(|| {
        let hint = settings::nearest(scope, name).map(|near| format!(" Do you mean {near}?")).unwrap_or_default();
        Refusal::kafka(ErrorCode::InvalidConfig, format!("There is no configuration {name} here.{hint}")).at(at)
    })
}

/// What topics have that do not say, as the first broker that runs has it: the settings that have an effect.
pub fn topic_defaults(world: &World) -> Configs {
    let runs = |(broker, state): (_, ProcessState)| Some(broker).filter(|_| state == ProcessState::Running);
    let broker: Option<&Broker> = world.brokers().find_map(runs).or_else(|| world.brokers().next().map(|(broker, _)| broker));
    let default = |name: &&'static str| {
        let setting = settings::lookup(Scope::Topic, name)?;
        Some(((*name).to_owned(), broker?.topic_default(setting)?))
    };
    let mut values = Configs::new();
    values.extend(effects::heeded(Scope::Topic).iter().filter_map(default));
    values
}

/// The settings of a scope that have an effect, with the values in force.
fn effective(scope: Scope, given: &Configs) -> Configs {
    let default = |name: &str| settings::lookup(scope, name).and_then(|setting| setting.default).map(str::to_owned);
    let mut values = Configs::new();
    values.extend(effects::heeded(scope).iter().filter_map(|name| Some(((*name).to_owned(), default(name)?))));
    values.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    values
}

pub fn producer(world: &World, given: &Configs) -> Result<Client<ProducerConfig>, Refusal> {
    let mut values = Values::check(Scope::Producer, given, "configs")?;
    let (delivery, linger, request) = (values.int("delivery.timeout.ms"), values.int("linger.ms"), values.int("request.timeout.ms"));
    if delivery < linger.saturating_add(request) && values.given.contains_key("delivery.timeout.ms") {
        let sentence = format!(
            "delivery.timeout.ms ({delivery}) should be equal to or larger than linger.ms + request.timeout.ms ({linger} + {request})"
        );
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at("configs.delivery.timeout.ms"));
    }
    let acks = match values.text("acks") {
        "0" => 0,
        "1" => 1,
        _ => -1,
    };
    let idempotent = is_idempotent(&values, acks)?;
    if !idempotent {
        let excludes = [("retries", values.int("retries") == 0), ("acks", acks != -1)];
        let is_asked_for = values.bool("enable.idempotence");
        for (setting, _) in excludes.into_iter().filter(|(_, excludes)| *excludes && is_asked_for) {
            let value = values.text(setting).to_owned();
            values.warnings.push(Warning::NotIdempotent { setting, value });
        }
        values.given.insert("enable.idempotence".to_owned(), "false".to_owned());
    }
    // Checked last: other settings may have disabled it (`ProducerConfig.postProcessAndValidateIdempotenceConfigs`).
    let transactional_id = values.given.get("transactional.id").map(|id| Arc::from(id.as_str()));
    if transactional_id.is_some() && !idempotent {
        let sentence = "Cannot set a transactional.id without also enabling idempotence.";
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at("configs.transactional.id"));
    }
    let raises_epoch = first_broker(world).is_none_or(|config| config.transactions.raises_epoch);
    let transactions = transactional_id.map(|id| TransactionsConfig { id, timeout_ms: values.i32("transaction.timeout.ms"), raises_epoch });
    let config = ProducerConfig {
        transactions,
        network: values.network(true),
        acks,
        linger: values.millis("linger.ms"),
        batch_size: values.size("batch.size"),
        compression: Compression {
            codec: Codec::of_name(values.text("compression.type")).unwrap_or(Codec::None),
            gzip_level: values.gzip_level(),
        },
        buffer_memory: values.size("buffer.memory"),
        max_block: values.millis("max.block.ms"),
        max_request_size: values.size("max.request.size"),
        max_in_flight: values.size("max.in.flight.requests.per.connection"),
        idempotent,
        retries: u32::try_from(values.int("retries")).unwrap_or(u32::MAX),
        delivery_timeout: values.millis("delivery.timeout.ms").max(values.millis("linger.ms") + values.millis("request.timeout.ms")),
        partitioner: PartitionerConfig {
            rule: partitioner::rule(values.text("partitioner.class"), values.text("brokerlab.partitioner"))?,
            ignore_keys: values.bool("partitioner.ignore.keys"),
            adaptive: values.bool("partitioner.adaptive.partitioning.enable"),
            availability_timeout: values.millis("partitioner.availability.timeout.ms"),
            batch_size: values.size("batch.size").max(1),
        },
        start_timestamp: start_timestamp(world),
    };
    Ok(Client { config, shown: effective(Scope::Producer, &values.given), warnings: values.warnings })
}

/// Requests to one broker that an idempotent producer may have under way: as many batches as brokers remember.
const IDEMPOTENT_IN_FLIGHT_MAX: i64 = storage::BATCHES_KEPT as i64;

/// Whether a producer is idempotent: by default, unless other settings exclude it; they are refused where it is asked for
/// (`ProducerConfig.postProcessAndValidateIdempotenceConfigs`).
fn is_idempotent(values: &Values, acks: i16) -> Result<bool, Refusal> {
    if !values.bool("enable.idempotence") {
        return Ok(false);
    }
    let refused = |name: &str, sentence: String| Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at(&format!("configs.{name}")));
    let is_asked_for = values.given.contains_key("enable.idempotence");
    if values.int("retries") == 0 && is_asked_for {
        return refused("retries", "Must set retries to non-zero when using the idempotent producer.".to_owned());
    }
    if acks != -1 && is_asked_for {
        let sentence = "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.";
        return refused("acks", sentence.to_owned());
    }
    let (name, most) = ("max.in.flight.requests.per.connection", values.int("max.in.flight.requests.per.connection"));
    if IDEMPOTENT_IN_FLIGHT_MAX < most {
        let rule = format!("To use the idempotent producer, {name} must be set to at most {IDEMPOTENT_IN_FLIGHT_MAX}.");
        return refused(name, format!("{rule} Current value is {most}."));
    }
    Ok(values.int("retries") != 0 && acks == -1)
}

pub fn consumer(world: &World, given: &Configs, group: Option<&str>, processing: Time) -> Result<Client<ConsumerConfig>, Refusal> {
    // No value of `group.protocol` in Kafka, where share consumers are a class of their own.
    let is_protocol = |name: &str| settings::is_named(name, "group.protocol");
    let shares = given.iter().any(|(name, text)| is_protocol(name) && text.trim().eq_ignore_ascii_case("share"));
    let mut own = given.clone();
    own.retain(|name, _| !(shares && is_protocol(name)));
    let is_refused = |name: &&String| shares && NOT_OF_SHARE_CONSUMERS.iter().any(|refused| settings::is_named(name, refused));
    if let Some(name) = own.keys().find(is_refused) {
        let sentence = format!("{name} cannot be set when using a share group.");
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at(&format!("configs.{name}")));
    }
    let mut values = Values::check(Scope::Consumer, &own, "configs")?;
    if let Some(group) = group {
        values.given.insert("group.id".to_owned(), group.to_owned());
    }
    let group: Option<Arc<str>> = Some(values.text("group.id")).filter(|group| !group.is_empty()).map(Arc::from);
    if group.is_none() && values.given.contains_key("enable.auto.commit") && values.bool("enable.auto.commit") {
        let sentence = "enable.auto.commit cannot be set to true when default group id (null) is used.";
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at("configs.enable.auto.commit"));
    }
    if let Some(Err(error)) = values.given.get("group.instance.id").map(|instance| validate_topic_name(instance)) {
        let sentence = error.to_string().replacen("Topic name", "Group instance id", 1);
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at("configs.group.instance.id"));
    }
    // Who shares partitions out has settings of its own (`ConsumerConfig.checkUnsupportedConfigsPostProcess`).
    let reports = values.text("group.protocol").trim().eq_ignore_ascii_case("consumer");
    let (protocol, others): (&str, &[&str]) = if reports {
        ("CONSUMER", &["heartbeat.interval.ms", "session.timeout.ms", "partition.assignment.strategy"])
    } else {
        ("CLASSIC", &["group.remote.assignor"])
    };
    if let Some(name) = others.iter().find(|name| values.given.contains_key(**name)) {
        let sentence = format!("{name} cannot be set when group.protocol={protocol}");
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at(&format!("configs.{name}")));
    }
    if values.int("session.timeout.ms") <= values.int("heartbeat.interval.ms") && group.is_some() {
        let sentence = "The heartbeat must be set lower than the session timeout: heartbeat.interval.ms < session.timeout.ms";
        return Err(Refusal::kafka(ErrorCode::InvalidConfig, sentence).at("configs.heartbeat.interval.ms"));
    }
    let offset_reset = match values.text("auto.offset.reset") {
        "earliest" => OffsetReset::Earliest,
        "none" => OffsetReset::None,
        text => match text.strip_prefix("by_duration:").and_then(settings::iso_duration_ms) {
            Some(ms) => OffsetReset::ByDuration(ms),
            None => OffsetReset::Latest,
        },
    };
    let assignors = assignors(values.text("partition.assignment.strategy"))?;
    let config = ConsumerConfig {
        network: values.network(values.bool("allow.auto.create.topics")),
        // Without a group there is nothing to commit to.
        auto_commit: values.bool("enable.auto.commit") && group.is_some() && !shares,
        group,
        instance: values.given.get("group.instance.id").map(|instance| Arc::from(instance.as_str())),
        session_timeout: values.millis("session.timeout.ms"),
        heartbeat_interval: values.millis("heartbeat.interval.ms"),
        max_poll_interval: values.millis("max.poll.interval.ms"),
        max_poll_records: values.size("max.poll.records"),
        auto_commit_interval: values.millis("auto.commit.interval.ms"),
        api_timeout: values.millis("default.api.timeout.ms"),
        offset_reset,
        rack: Some(values.text("client.rack")).filter(|rack| !rack.is_empty()).map(Arc::from),
        fetch_min_bytes: values.i32("fetch.min.bytes"),
        fetch_max_wait_ms: values.i32("fetch.max.wait.ms"),
        fetch_max_bytes: values.i32("fetch.max.bytes"),
        max_partition_fetch_bytes: values.i32("max.partition.fetch.bytes"),
        assignors,
        reports,
        read_committed: values.text("isolation.level") == "read_committed",
        exclude_internal: values.bool("exclude.internal.topics"),
        shares,
        acknowledges_each: values.text("share.acknowledgement.mode") == "explicit",
        acknowledges_with: match values.text("brokerlab.acknowledge.type") {
            "release" => 2,
            "reject" => 3,
            _ => 1,
        },
        remote_assignor: Some(values.text("group.remote.assignor")).filter(|assignor| !assignor.is_empty()).map(Arc::from),
        processing,
        start_timestamp: start_timestamp(world),
    };
    let mut shown = effective(Scope::Consumer, &values.given);
    if shares {
        shown.insert("group.protocol".to_owned(), "share".to_owned());
    }
    Ok(Client { config, shown, warnings: values.warnings })
}

/// What a share consumer refuses (`ShareConsumerConfig`).
const NOT_OF_SHARE_CONSUMERS: &[&str] = &[
    "auto.offset.reset",
    "enable.auto.commit",
    "group.instance.id",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "interceptor.classes",
    "isolation.level",
    "partition.assignment.strategy",
    "session.timeout.ms",
];

/// The assignors of a list: known ones, none twice (`ConsumerPartitionAssignor.getAssignorInstances`).
fn assignors(text: &str) -> Result<Vec<Assignor>, Refusal> {
    let refusal = |sentence: String| Refusal::kafka(ErrorCode::InvalidConfig, sentence).at("configs.partition.assignment.strategy");
    let mut assignors = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let Some(assignor) = Assignor::of_setting(name) else {
            let known = Assignor::ALL.map(Assignor::name).join(", ");
            return Err(refusal(format!("partition.assignment.strategy = {name}: there is no such assignor, but {known}.")));
        };
        if assignors.contains(&assignor) {
            return Err(refusal(format!("The assignor name: '{}' is used in more than one assignor: {name}", assignor.name())));
        }
        assignors.push(assignor);
    }
    Ok(assignors)
}

fn start_timestamp(world: &World) -> i64 {
    first_broker(world).map_or(START_TIMESTAMP, |config| config.coordinator.start_timestamp)
}

fn first_broker(world: &World) -> Option<&BrokerConfig> {
    world.brokers().next().map(|(broker, _)| broker.config())
}

fn costs(values: &Values) -> Costs {
    let (scheduler, after) = (values.text("log.flush.scheduler.interval.ms"), values.text("log.flush.interval.ms"));
    // In Kafka the flusher looks at its own interval only, which is never by default; then `log.flush.interval.ms` alone would do nothing,
    // against what its documentation says. Here either of the two is enough.
    let after = [("log.flush.interval.ms", after), ("log.flush.scheduler.interval.ms", scheduler)].into_iter();
    let after = after.filter(|(_, text)| !text.is_empty() && *text != NEVER.to_string()).map(|(name, _)| values.millis(name)).max();
    let buffer = |name: &str| u64::try_from(values.int(name)).ok().filter(|bytes| 0 < *bytes).unwrap_or(u64::MAX);
    // Microseconds beyond a day add nothing, and stay far from where times overflow.
    const LONGEST_US: i64 = 86_400_000_000;
    let micros = |name: &str| values.int(name).clamp(0, LONGEST_US) as Time;
    Costs {
        network_threads: values.int("num.network.threads") as u32,
        io_threads: values.size("num.io.threads"),
        queued_max: values.size("queued.max.requests"),
        request_max_bytes: values.int("socket.request.max.bytes") as u64,
        send_buffer: buffer("socket.send.buffer.bytes"),
        receive_buffer: buffer("socket.receive.buffer.bytes"),
        network_request: micros("brokerlab.network.request.us"),
        request: micros("brokerlab.request.us"),
        append: micros("brokerlab.disk.append.us"),
        disk_bytes_per_second: values.int("brokerlab.disk.bytes.per.second") as u64,
        flush: micros("brokerlab.disk.flush.us"),
        page_expires: values.millis("brokerlab.page.cache.expire.ms"),
        flush_rule: FlushRule { messages: values.int("log.flush.interval.messages"), after },
        remote_latency: values.millis("brokerlab.remote.latency.ms"),
        remote_bytes_per_second: values.int("brokerlab.remote.bytes.per.second") as u64,
    }
}

/// Settings of groups for which brokers have bounds.
const RANGED_OF_GROUPS: [&str; 5] = [
    "consumer.heartbeat.interval.ms",
    "consumer.session.timeout.ms",
    "share.heartbeat.interval.ms",
    "share.record.lock.duration.ms",
    "share.session.timeout.ms",
];

/// A cluster's nodes and their settings, and what is to be warned of.
pub fn world(seed: u64, cluster: &Cluster) -> Result<(WorldConfig, Vec<Warning>), Refusal> {
    if SEED_MAX < seed {
        return Err(Refusal::argument("seed", format!("A seed is at most {SEED_MAX}.")));
    }
    if !(1..=BROKERS_MAX).contains(&cluster.brokers) {
        return Err(Refusal::argument("cluster.brokers", format!("A cluster has 1 to {BROKERS_MAX} brokers, not {}.", cluster.brokers)));
    }
    let voters: Vec<i32> = match cluster.controllers {
        None | Some(1) => vec![1],
        Some(3) => vec![1, 2, 3],
        Some(count) => return Err(Refusal::argument("cluster.controllers", format!("A cluster has 1 or 3 controllers, not {count}."))),
    };
    let racks = cluster.racks.as_deref().unwrap_or_default();
    if !racks.is_empty() && racks.len() != cluster.brokers as usize {
        return Err(Refusal::argument("cluster.racks", "Name one rack for each broker, or none."));
    }
    let start_timestamp = cluster.start_timestamp.unwrap_or(START_TIMESTAMP);
    /// The year 9999: later dates are no longer written with four digits.
    const TIMESTAMP_MAX: i64 = 253_402_300_799_999;
    if !(0..=TIMESTAMP_MAX).contains(&start_timestamp) {
        return Err(Refusal::argument(
            "cluster.startTimestamp",
            format!("The start is 0 to {TIMESTAMP_MAX} ms after 1970, not {start_timestamp}."),
        ));
    }
    let values = Values::check(Scope::Broker, &cluster.configs, "cluster.configs")?;
    if values.text("log.dirs").contains(',') {
        let sentence = format!("log.dirs = {}: a broker of this cluster has one disk, and so one directory.", values.text("log.dirs"));
        return Err(Refusal::kafka(ErrorCode::UnsupportedVersion, sentence).at("cluster.configs.log.dirs"));
    }
    let coordinator = CoordinatorConfig {
        partitions: values.i32("offsets.topic.num.partitions"),
        session_timeout_min: values.millis("group.min.session.timeout.ms"),
        session_timeout_max: values.millis("group.max.session.timeout.ms"),
        initial_rebalance_delay: values.millis("group.initial.rebalance.delay.ms"),
        size_max: values.size("group.max.size"),
        consumer_session_timeout: values.millis("group.consumer.session.timeout.ms"),
        consumer_heartbeat_interval: values.millis("group.consumer.heartbeat.interval.ms"),
        consumer_size_max: values.size("group.consumer.max.size"),
        share_session_timeout: values.millis("group.share.session.timeout.ms"),
        share_heartbeat_interval: values.millis("group.share.heartbeat.interval.ms"),
        share_size_max: values.size("group.share.max.size"),
        offset_metadata_max: values.size("offset.metadata.max.bytes"),
        offsets_retention_ms: values.int("offsets.retention.minutes") * 60_000,
        start_timestamp,
    };
    let factor = values.int("offsets.topic.replication.factor").min(i64::from(cluster.brokers));
    let state_factor = values.int("share.coordinator.state.topic.replication.factor").min(i64::from(cluster.brokers));
    let share = ShareConfig {
        deliveries_max: values.int("group.share.delivery.count.limit") as i16,
        lock_duration: values.millis("group.share.record.lock.duration.ms"),
        locks_max: values.int("group.share.partition.max.record.locks"),
        reads_committed: false,
        sessions_max: values.size("group.share.max.share.sessions"),
        state_partitions: values.i32("share.coordinator.state.topic.num.partitions"),
        state_replication_factor: state_factor as i16,
        state_min_insync: values.int("share.coordinator.state.topic.min.isr").min(state_factor),
        state_segment_bytes: values.int("share.coordinator.state.topic.segment.bytes"),
        write_timeout: values.millis("share.coordinator.write.timeout.ms"),
        updates_per_snapshot: values.int("share.coordinator.snapshot.update.records.per.snapshot") as u32,
    };
    let log = values.log();
    let remote_storage = values.bool("remote.log.storage.system.enable");
    let broker = BrokerConfig {
        rack: None,
        controllers: voters.clone(),
        heartbeat_interval: values.millis("broker.heartbeat.interval.ms"),
        registration_timeout: values.millis("initial.broker.registration.timeout.ms"),
        replica_lag_time_max: values.millis("replica.lag.time.max.ms"),
        replica_fetch_wait_max: values.millis("replica.fetch.wait.max.ms"),
        replica_fetch_min_bytes: values.i32("replica.fetch.min.bytes"),
        replica_fetch_max_bytes: values.i32("replica.fetch.max.bytes"),
        replica_fetch_response_max_bytes: values.i32("replica.fetch.response.max.bytes"),
        replica_fetch_backoff: values.millis("replica.fetch.backoff.ms"),
        checkpoint_interval: values.millis("replica.high.watermark.checkpoint.interval.ms"),
        log_start_checkpoint_interval: values.millis("log.flush.start.offset.checkpoint.interval.ms").max(MS),
        leader_throttle: values.int("leader.replication.throttled.rate") as u64,
        follower_throttle: values.int("follower.replication.throttled.rate") as u64,
        quota_window: QuotaWindow {
            samples: values.size("replication.quota.window.num"),
            lasts: values.millis("replication.quota.window.size.seconds") * 1_000,
        },
        client_quota_window: QuotaWindow {
            samples: values.size("quota.window.num"),
            lasts: values.millis("quota.window.size.seconds") * 1_000,
        },
        controlled_shutdown: values.bool("controlled.shutdown.enable"),
        min_insync_replicas: values.size("min.insync.replicas"),
        log,
        log_rules: LogRules {
            codec: Codec::of_name(values.text("compression.type")),
            gzip_level: values.gzip_level(),
            log_append_time: values.text("log.message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: values.int("log.message.timestamp.before.max.ms"),
            timestamp_after_max_ms: values.int("log.message.timestamp.after.max.ms"),
            message_max_bytes: values.size("message.max.bytes"),
            compacted: log.compact,
        },
        producer_id_expiration_ms: values.int("producer.id.expiration.ms"),
        producer_expiration_interval: values.millis("producer.id.expiration.check.interval.ms"),
        offsets_commit_timeout: values.millis("offsets.commit.timeout.ms"),
        offsets_retention_check: values.millis("offsets.retention.check.interval.ms"),
        retention_check_interval: values.millis("log.retention.check.interval.ms"),
        // At least a millisecond: with none the cleaner would go round in no time.
        cleaner_backoff: values.millis("log.cleaner.backoff.ms").max(MS),
        log_task_delay: values.millis("log.initial.task.delay.ms"),
        remote_task_interval: remote_storage.then(|| values.millis("remote.log.manager.task.interval.ms")),
        remote_fetch_wait_max: values.millis("remote.fetch.max.wait.ms"),
        fetch_max_bytes: values.i32("fetch.max.bytes"),
        reads_by_rack: !values.text("replica.selector.class").is_empty(),
        partitions_described_max: values.i32("max.request.partition.size.limit"),
        fetch_session_slots: values.size("max.incremental.fetch.session.cache.slots"),
        auto_create_topics: values.bool("auto.create.topics.enable"),
        offsets_topic_replication_factor: factor as i16,
        offsets_topic_segment_bytes: values.int("offsets.topic.segment.bytes"),
        transaction_version: values.int("brokerlab.transaction.version"),
        eligible_leaders: values.int("brokerlab.eligible.leader.replicas.version") == 1,
        transactions: TransactionConfig {
            partitions: values.i32("transaction.state.log.num.partitions"),
            timeout_max_ms: values.int("transaction.max.timeout.ms"),
            abort_interval: values.millis("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            expiration_ms: values.int("transactional.id.expiration.ms"),
            expiry_interval: values.millis("transaction.remove.expired.transaction.cleanup.interval.ms"),
            raises_epoch: values.int("brokerlab.transaction.version") == 2,
        },
        transactions_topic_replication_factor: values.int("transaction.state.log.replication.factor").min(i64::from(cluster.brokers))
            as i16,
        transactions_topic_min_isr: values.int("transaction.state.log.min.isr"),
        transactions_topic_segment_bytes: values.int("transaction.state.log.segment.bytes"),
        verifies_transactions: values.bool("transaction.partition.verification.enable"),
        add_partitions_backoff: values.millis("add.partitions.to.txn.retry.backoff.ms"),
        add_partitions_backoff_max: values.millis("add.partitions.to.txn.retry.backoff.max.ms"),
        coordinator,
        share,
        costs: costs(&values),
        given: Arc::new(values.given.clone()),
    };
    let with_rack =
        |id: i32| (id, BrokerConfig { rack: racks.get(id as usize - 1).map(|rack| Arc::from(rack.as_str())), ..broker.clone() });
    let controller = ControllerConfig {
        broker_session_timeout: values.millis("broker.session.timeout.ms"),
        leader_imbalance_check_interval: values.millis("leader.imbalance.check.interval.seconds").saturating_mul(1_000),
        auto_leader_rebalance: values.bool("auto.leader.rebalance.enable"),
        default_partitions: values.i32("num.partitions"),
        default_replication_factor: values.int("default.replication.factor") as i16,
        min_insync_replicas: values.size("min.insync.replicas"),
        eligible_leaders: values.int("brokerlab.eligible.leader.replicas.version") == 1,
        unclean_elections: values.bool("unclean.leader.election.enable"),
        unclean_interval: values.millis("unclean.leader.election.interval.ms").max(MS),
        delete_topics: values.bool("delete.topic.enable"),
        group_ranges: RANGED_OF_GROUPS.map(|name| {
            let (kind, own) = name.split_once('.').unwrap_or_default();
            let at = |end: &str| values.int(&format!("group.{kind}.{end}.{own}"));
            (name, at("min"), at("max"))
        }),
        quota_window: QuotaWindow {
            samples: values.size("controller.quota.window.num"),
            lasts: values.millis("controller.quota.window.size.seconds") * 1_000,
        },
        remote_storage,
        log,
        io_threads: values.int("num.io.threads"),
        network_threads: values.int("num.network.threads"),
        quorum: QuorumConfig {
            first: voters.get((seed % voters.len() as u64) as usize).copied(),
            voters,
            election_timeout: values.millis("controller.quorum.election.timeout.ms"),
            election_backoff_max: values.millis("controller.quorum.election.backoff.max.ms"),
            fetch_timeout: values.millis("controller.quorum.fetch.timeout.ms"),
            request_timeout: values.millis("controller.quorum.request.timeout.ms"),
            retry_backoff: values.millis("controller.quorum.retry.backoff.ms"),
            records_between_snapshots: values.int("brokerlab.metadata.records.between.snapshots"),
            start_timestamp,
        },
    };
    let brokers = (1..=cluster.brokers as i32).map(with_rack).collect();
    Ok((WorldConfig { seed, controller, brokers, added_broker: broker }, values.warnings))
}
