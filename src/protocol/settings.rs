//! Every setting that has an effect here: name, type, default, range and a sentence. Forms, checks and docs all read it.
//!
//! Source: `ProducerConfig`, `ConsumerConfig`, `TopicConfig`, `ServerConfigs` and their kin of Kafka 4.3. Where the default cluster differs from
//! Kafka's defaults, the sentence says so.

use Kind::{Bool, Int, List, OneOf, Text};

/// Whose setting it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Producer,
    Consumer,
    Topic,
    /// Broker and controller: what a cluster's `configs` may set.
    Cluster,
}

/// What values it takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// From the first to the second, both included.
    Int(i64, i64),
    Bool,
    OneOf(&'static [&'static str]),
    /// Comma-separated, each one of these.
    List(&'static [&'static str]),
    Text,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// Empty where Kafka's is null.
    pub default: &'static str,
    pub doc: &'static str,
}

/// A checked value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Int(i64),
    Bool(bool),
    Text(String),
}

/// Why a value is refused, in the form of Kafka's ConfigException.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingError {
    pub name: &'static str,
    pub value: String,
    pub reason: String,
}

impl std::fmt::Display for SettingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invalid value {} for configuration {}: {}", self.value, self.name, self.reason)
    }
}

const INT_MAX: i64 = i32::MAX as i64;
const LONG_MAX: i64 = i64::MAX;

const fn setting(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Setting {
    Setting { name, kind, default, doc }
}

static PRODUCER: &[Setting] = &[
    setting(
        "acks",
        OneOf(&["all", "-1", "0", "1"]),
        "all",
        "Who must have a record before it counts as sent: nobody, the leader, or all in-sync replicas.",
    ),
    setting("batch.size", Int(0, INT_MAX), "16384", "Bytes of a batch; a full one is sent without waiting."),
    setting("buffer.memory", Int(0, LONG_MAX), "33554432", "Bytes of records that may wait in the producer."),
    setting("delivery.timeout.ms", Int(0, INT_MAX), "120000", "How long after `send` a record may still be delivered, retries included."),
    setting("linger.ms", Int(0, LONG_MAX), "5", "How long a batch waits for more records."),
    setting("max.block.ms", Int(0, LONG_MAX), "60000", "How long `send` waits for metadata or for room in the buffer."),
    setting("max.in.flight.requests.per.connection", Int(1, INT_MAX), "5", "Requests that may be under way to one broker."),
    setting("max.request.size", Int(0, INT_MAX), "1048576", "Bytes of a request, and so of a record."),
    setting("request.timeout.ms", Int(0, INT_MAX), "30000", "How long a request waits for its answer."),
    setting("retries", Int(0, INT_MAX), "2147483647", "How often a batch is sent again after an error that may pass."),
    setting("retry.backoff.max.ms", Int(0, LONG_MAX), "1000", "The longest wait before a retry."),
    setting("retry.backoff.ms", Int(0, LONG_MAX), "100", "The first wait before a retry; it doubles each time."),
    setting("enable.idempotence", OneOf(&["false"]), "false", "Retries without duplicates. Kafka's default is true; here it comes later."),
    setting("compression.type", OneOf(&["none"]), "none", "How batches are compressed; only `none` for now."),
];

static CONSUMER: &[Setting] = &[
    setting("allow.auto.create.topics", Bool, "true", "Whether asking for a topic may make it."),
    setting("auto.commit.interval.ms", Int(0, INT_MAX), "5000", "How often positions are committed by themselves."),
    setting("auto.offset.reset", OneOf(&["latest", "earliest", "none"]), "latest", "Where to begin without a committed offset."),
    setting("enable.auto.commit", Bool, "true", "Whether positions are committed by themselves."),
    setting("fetch.max.bytes", Int(0, INT_MAX), "52428800", "Bytes of a fetch."),
    setting("fetch.max.wait.ms", Int(0, INT_MAX), "500", "How long a fetch may wait for enough bytes."),
    setting("fetch.min.bytes", Int(0, INT_MAX), "1", "Bytes worth answering a fetch for."),
    setting("group.id", Text, "", "The consumer's group."),
    setting("group.protocol", OneOf(&["classic"]), "classic", "Which group protocol; only `classic` for now."),
    setting("heartbeat.interval.ms", Int(1, INT_MAX), "3000", "How often a member shows that it lives."),
    setting(
        "isolation.level",
        OneOf(&["read_uncommitted"]),
        "read_uncommitted",
        "Whether open transactions are read; only `read_uncommitted` for now.",
    ),
    setting("max.partition.fetch.bytes", Int(0, INT_MAX), "1048576", "Bytes of one partition in a fetch."),
    setting("max.poll.interval.ms", Int(1, INT_MAX), "300000", "The longest time between two polls."),
    setting("max.poll.records", Int(1, INT_MAX), "500", "Records that one poll hands out."),
    setting(
        "partition.assignment.strategy",
        List(&["range", "org.apache.kafka.clients.consumer.RangeAssignor"]),
        "range",
        "How the group's leader shares partitions out; only `range` for now.",
    ),
    setting("request.timeout.ms", Int(0, INT_MAX), "30000", "How long a request waits for its answer."),
    setting("retry.backoff.max.ms", Int(0, LONG_MAX), "1000", "The longest wait before a retry."),
    setting("retry.backoff.ms", Int(0, LONG_MAX), "100", "The first wait before a retry; it doubles each time."),
    setting("session.timeout.ms", Int(0, INT_MAX), "45000", "How long a silent member stays in the group."),
];

static TOPIC: &[Setting] = &[
    setting("cleanup.policy", List(&["delete", "compact"]), "delete", "What becomes of old records. Nothing is cleaned yet."),
    setting(
        "compression.type",
        OneOf(&["producer", "uncompressed"]),
        "producer",
        "How the log keeps batches; as the producer made them for now.",
    ),
    setting("max.message.bytes", Int(0, INT_MAX), "1048588", "Bytes of a batch, at the most."),
    setting("min.insync.replicas", Int(1, INT_MAX), "1", "In-sync replicas without which acks=all is refused."),
    setting("retention.bytes", Int(-1, LONG_MAX), "-1", "Bytes of a partition that are kept. Nothing is cleaned yet."),
    setting("retention.ms", Int(-1, LONG_MAX), "604800000", "How long records are kept. Nothing is cleaned yet."),
    setting("segment.bytes", Int(1_048_576, INT_MAX), "1073741824", "Bytes of a segment. Segments come later."),
    setting("segment.ms", Int(1, LONG_MAX), "604800000", "The age at which a segment is closed. Segments come later."),
];

static CLUSTER: &[Setting] = &[
    setting("auto.create.topics.enable", Bool, "true", "Whether a client that asks for a topic may make it."),
    setting("auto.leader.rebalance.enable", Bool, "true", "Whether preferred replicas get leadership back by themselves."),
    setting("broker.heartbeat.interval.ms", Int(1, INT_MAX), "2000", "How often a broker shows the controller that it lives."),
    setting("broker.session.timeout.ms", Int(1, INT_MAX), "9000", "How long the controller waits for a silent broker."),
    setting("default.replication.factor", Int(1, 32_767), "1", "Replicas of a topic that is made on the way."),
    setting("fetch.max.bytes", Int(1_024, INT_MAX), "57671680", "Bytes of a fetch, whatever the client asks."),
    setting(
        "group.initial.rebalance.delay.ms",
        Int(0, INT_MAX),
        "0",
        "How long an empty group waits for more members. Kafka's default is 3000.",
    ),
    setting("group.max.session.timeout.ms", Int(1, INT_MAX), "1800000", "The longest session a member may ask for."),
    setting("group.max.size", Int(1, INT_MAX), "2147483647", "Members of a group, at the most."),
    setting("group.min.session.timeout.ms", Int(1, INT_MAX), "6000", "The shortest session a member may ask for."),
    setting(
        "leader.imbalance.check.interval.seconds",
        Int(1, INT_MAX),
        "300",
        "How often the controller looks for leaders that are not the preferred ones.",
    ),
    setting("message.max.bytes", Int(0, INT_MAX), "1048588", "Bytes of a batch, at the most."),
    setting("min.insync.replicas", Int(1, INT_MAX), "1", "In-sync replicas without which acks=all is refused."),
    setting("num.partitions", Int(1, INT_MAX), "1", "Partitions of a topic that is made on the way."),
    setting("offset.metadata.max.bytes", Int(0, INT_MAX), "4096", "Bytes of the text that goes with a committed offset."),
    setting("offsets.topic.num.partitions", Int(1, 1_000), "3", "Partitions of `__consumer_offsets`. Kafka's default is 50."),
    setting(
        "offsets.topic.replication.factor",
        Int(1, 32_767),
        "3",
        "Replicas of `__consumer_offsets`; as many as there are brokers, if fewer.",
    ),
    setting("replica.fetch.backoff.ms", Int(0, INT_MAX), "1000", "How long a follower waits after a failed fetch."),
    setting("replica.fetch.max.bytes", Int(0, INT_MAX), "1048576", "Bytes of one partition in a follower's fetch."),
    setting("replica.fetch.min.bytes", Int(0, INT_MAX), "1", "Bytes worth answering a follower's fetch for."),
    setting("replica.fetch.response.max.bytes", Int(0, INT_MAX), "10485760", "Bytes of a follower's fetch."),
    setting("replica.fetch.wait.max.ms", Int(0, INT_MAX), "500", "How long a follower's fetch may wait."),
    setting("replica.high.watermark.checkpoint.interval.ms", Int(1, LONG_MAX), "5000", "How often high watermarks are written to disk."),
    setting("replica.lag.time.max.ms", Int(1, LONG_MAX), "30000", "How long a follower may lag before it leaves the ISR."),
];

/// All settings of a scope, by name.
pub fn all(scope: Scope) -> &'static [Setting] {
    match scope {
        Scope::Producer => PRODUCER,
        Scope::Consumer => CONSUMER,
        Scope::Topic => TOPIC,
        Scope::Cluster => CLUSTER,
    }
}

/// A setting by Kafka's name or in the Python style (`batch_size`).
pub fn lookup(scope: Scope, name: &str) -> Option<&'static Setting> {
    let dotted = name.replace('_', ".");
    all(scope).iter().find(|setting| setting.name == name || setting.name == dotted)
}

/// The known name that is most like an unknown one, if any is near.
pub fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    let near = |known: &&str| distance(known, name) <= name.len().max(3) / 3;
    all(scope).iter().map(|setting| setting.name).filter(near).min_by_key(|known| distance(known, name))
}

/// Checks a value, as Kafka's ConfigDef does.
pub fn parse(setting: &Setting, text: &str) -> Result<Value, SettingError> {
    let error = |reason: String| SettingError { name: setting.name, value: text.to_owned(), reason };
    let text = text.trim();
    match setting.kind {
        Int(least, most) => {
            let value: i64 = text.parse().map_err(|_| error("Not a number of type INT or LONG".to_owned()))?;
            if value < least {
                Err(error(format!("Value must be at least {least}")))
            } else if most < value {
                Err(error(format!("Value must be no more than {most}")))
            } else {
                Ok(Value::Int(value))
            }
        }
        Bool => match text {
            _ if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
            _ if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
            _ => Err(error("Expected value to be either true or false".to_owned())),
        },
        OneOf(values) if !values.contains(&text) => Err(error(format!("String must be one of: {}", values.join(", ")))),
        List(values) if !text.split(',').all(|item| values.contains(&item.trim())) => {
            Err(error(format!("Each item must be one of: {}", values.join(", "))))
        }
        OneOf(_) | List(_) | Text => Ok(Value::Text(text.to_owned())),
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let cost = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
