//! Settings of producers and consumers, without those of security.
//!
//! Source: `ProducerConfig`, `ConsumerConfig`, `CommonClientConfigs` of Kafka 4.3.

use super::{Kind, Setting, Valid, boolean, int, list, long, text, unset};

/// Settings that only producers have.
pub static PRODUCER: &[Setting] = &[
    text("acks", "all", "How many replicas must have a record before it counts as sent: 0, 1 (the leader), or all in sync.")
        .valid(Valid::OneOf(&["all", "-1", "0", "1"])),
    int("batch.size", "16384", "Bytes that a batch for one partition may reach before it is sent at once.").at_least(0),
    unset(
        "brokerlab.partitioner",
        Kind::String,
        "With partitioner.class=custom: JSON with the table of keys and their partitions, and what becomes of the others.",
    ),
    long("buffer.memory", "33554432", "Bytes that batches may take until they are answered; beyond, send blocks.").at_least(0),
    text("client.id", "", "A name for this client in logs, quotas and metrics."),
    int("compression.gzip.level", "-1", "gzip's level: higher is smaller and slower.").valid(Valid::LevelOrDefault(1, 9)),
    int("compression.lz4.level", "9", "lz4's level: higher is smaller and slower.").valid(Valid::Between(1, 17)),
    text("compression.type", "none", "How batches are compressed.").valid(Valid::OneOf(&["none", "gzip", "snappy", "lz4", "zstd"])),
    int("compression.zstd.level", "3", "zstd's level: higher is smaller and slower.").valid(Valid::Between(-131_072, 22)),
    int("delivery.timeout.ms", "120000", "After this long, retries included, a record has failed.").at_least(0),
    boolean("enable.idempotence", "true", "Whether each record is written exactly once and in order despite retries."),
    unset("key.serializer", Kind::Class, "Java class that turns keys into bytes.").required(),
    long("linger.ms", "5", "How long a batch waits for more records before it is sent.").at_least(0),
    long("max.block.ms", "60000", "How long send may block for memory or metadata.").at_least(0),
    int("max.in.flight.requests.per.connection", "5", "Requests to one broker that may be unanswered; above 5 excludes idempotence.")
        .at_least(1),
    int("max.request.size", "1048576", "Bytes that a request, and so a record, may have.").at_least(0),
    long("metadata.max.idle.ms", "300000", "How long the producer remembers a topic that it does not write to.").at_least(5000),
    boolean("partitioner.adaptive.partitioning.enable", "true", "Whether slower brokers get fewer of the records without a key."),
    long("partitioner.availability.timeout.ms", "0", "A partition whose broker takes no batch for this long is avoided; 0: never.")
        .at_least(0),
    unset("partitioner.class", Kind::Class, "Java class that chooses partitions; unset: by key, else sticky."),
    boolean("partitioner.ignore.keys", "false", "Whether keys have no say in the choice of a partition."),
    int("receive.buffer.bytes", "32768", "TCP receive buffer; -1: the system's default.").at_least(-1),
    int("retries", "2147483647", "How often a failed send is tried again, within the delivery timeout.")
        .valid(Valid::Between(0, 2_147_483_647)),
    int("transaction.timeout.ms", "60000", "After this long without end the coordinator aborts a transaction."),
    boolean("transaction.two.phase.commit.enable", "false", "Whether an outside system decides when transactions end (KIP-939)."),
    unset("transactional.id", Kind::String, "The producer's lasting name: makes transactions possible and fences older instances.")
        .valid(Valid::NotEmpty),
    unset("value.serializer", Kind::Class, "Java class that turns values into bytes.").required(),
];

/// Settings that only consumers have.
pub static CONSUMER: &[Setting] = &[
    boolean("allow.auto.create.topics", "true", "Whether asking for a topic may create it, if the brokers allow that."),
    int("auto.commit.interval.ms", "5000", "How often positions are committed automatically.").at_least(0),
    text("auto.offset.reset", "latest", "Where to begin where no committed offset is valid.").valid(Valid::OffsetReset),
    boolean("check.crcs", "true", "Whether checksums of fetched batches are verified."),
    text("client.id", "", "A name for this client in logs, quotas and metrics."),
    text("brokerlab.acknowledge.type", "accept", "What a share consumer says of a record that it is done with.")
        .valid(Valid::OneOf(&["accept", "release", "reject"])),
    text("client.rack", "", "Where this client stands; it may then read from a near follower."),
    int("default.api.timeout.ms", "60000", "How long calls block that have no timeout of their own.").at_least(0),
    boolean("enable.auto.commit", "true", "Whether positions are committed in the background."),
    boolean("exclude.internal.topics", "true", "Whether a subscribed pattern leaves internal topics out."),
    int("fetch.max.bytes", "52428800", "Bytes that one fetch may bring; the first batch comes even if it is larger.").at_least(0),
    int("fetch.max.wait.ms", "500", "How long a broker may hold a fetch back that has too few bytes.").at_least(0),
    int("fetch.min.bytes", "1", "Bytes that a broker waits for before it answers a fetch.").at_least(0),
    unset("group.id", Kind::String, "The group that shares the work; without one nothing can be subscribed or committed."),
    unset("group.instance.id", Kind::String, "Makes the member static: it may restart within the session timeout without a rebalance.")
        .valid(Valid::NotEmpty),
    text("group.protocol", "classic", "Who assigns: a member (classic) or the coordinator (consumer, KIP-848).")
        .valid(Valid::OneOfInAnyCase(&["CONSUMER", "CLASSIC"])),
    unset("group.remote.assignor", Kind::String, "The coordinator's assignor, with the consumer protocol."),
    int("heartbeat.interval.ms", "3000", "How often a member of a classic group says that it lives; well below the session timeout."),
    boolean("internal.throw.on.fetch.stable.offset.unsupported", "false", "For Kafka's own use."),
    text("isolation.level", "read_uncommitted", "Whether records of open and aborted transactions are seen.")
        .valid(Valid::OneOf(&["read_committed", "read_uncommitted"])),
    unset("key.deserializer", Kind::Class, "Java class that turns bytes into keys.").required(),
    int("max.partition.fetch.bytes", "1048576", "Bytes of one partition that a fetch may bring; the first batch comes even if larger.")
        .at_least(0),
    int("max.poll.interval.ms", "300000", "A member that does not poll for this long has left the group.").at_least(1),
    int("max.poll.records", "500", "Records that one poll returns at most.").at_least(1),
    list(
        "partition.assignment.strategy",
        "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        "Assignors of a classic group in order of preference; all members must share one.",
    ),
    int("receive.buffer.bytes", "65536", "TCP receive buffer; -1: the system's default.").at_least(-1),
    int("session.timeout.ms", "45000", "A member of a classic group that sends no heartbeat for this long is taken out."),
    text("share.acknowledgement.mode", "implicit", "Whether a share consumer acknowledges records by polling again or one by one.")
        .valid(Valid::OneOf(&["implicit", "explicit"])),
    text("share.acquire.mode", "BATCH_OPTIMIZED", "Whether a share consumer gets whole batches or at most the records it asked for.")
        .valid(Valid::OneOfInAnyCase(&["batch_optimized", "record_limit"])),
    unset("value.deserializer", Kind::Class, "Java class that turns bytes into values.").required(),
];

/// Settings that both have.
pub static COMMON: &[Setting] = &[
    unset("bootstrap.servers", Kind::List, "Brokers to ask first, as host:port; they name the others.").required(),
    text("client.dns.lookup", "use_all_dns_ips", "Which addresses of a host are tried.")
        .valid(Valid::OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"])),
    list("config.providers", "", "Names of classes that look up settings' values elsewhere."),
    long("connections.max.idle.ms", "540000", "An idle connection is closed after this long."),
    boolean("enable.metrics.push", "true", "Whether the client sends its metrics to the brokers that want them (KIP-714)."),
    list("interceptor.classes", "", "Java classes that see each record on its way."),
    long("metadata.max.age.ms", "300000", "After this long metadata is asked for anew, changed or not.").at_least(0),
    long(
        "metadata.recovery.rebootstrap.trigger.ms",
        "300000",
        "After this long without metadata the client begins from its bootstrap servers.",
    )
    .at_least(0),
    text("metadata.recovery.strategy", "rebootstrap", "What to do when none of the known brokers answers.")
        .valid(Valid::OneOfInAnyCase(&["REBOOTSTRAP", "NONE"])),
    list("metric.reporters", "org.apache.kafka.common.metrics.JmxReporter", "Java classes that publish metrics."),
    int("metrics.num.samples", "2", "Samples from which metrics are computed.").at_least(1),
    text("metrics.recording.level", "INFO", "The finest metrics that are recorded.").valid(Valid::OneOf(&["INFO", "DEBUG", "TRACE"])),
    long("metrics.sample.window.ms", "30000", "How long one sample of a metric lasts.").at_least(0),
    long("reconnect.backoff.max.ms", "1000", "The longest wait between attempts to reach a broker.").at_least(0),
    long("reconnect.backoff.ms", "50", "The first wait before a broker is tried again; it doubles.").at_least(0),
    int("request.timeout.ms", "30000", "A request that has no answer for this long has failed.").at_least(0),
    long("retry.backoff.max.ms", "1000", "The longest wait between attempts of a request.").at_least(0),
    long("retry.backoff.ms", "100", "The first wait before a failed request is sent again; it doubles.").at_least(0),
    int("send.buffer.bytes", "131072", "TCP send buffer; -1: the system's default.").at_least(-1),
    long("socket.connection.setup.timeout.max.ms", "30000", "The longest wait for a connection; the first wait doubles up to it."),
    long("socket.connection.setup.timeout.ms", "10000", "The first wait for a connection to be set up."),
];
