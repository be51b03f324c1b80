//! What a command would be on the command line of a real cluster, ready to copy. Where Kafka has no tool for it, the line says what one does instead.

use crate::protocol::client_quotas::DEFAULT_ENTITY;
use crate::protocol::text::decimal;
use crate::session::command::{Command, Configs, ImportFormat, ResetTo, SeekEdge, SeekTo};

const SERVER: &str = "--bootstrap-server localhost:9092";

/// One line of shell.
pub fn of(command: &Command) -> String {
    match command {
        Command::CreateTopic { name, partitions, replication_factor, configs } => {
            let configs: String = configs.iter().map(|(k, v)| format!(" --config {}", quote(&format!("{k}={v}")))).collect();
            format!(
                "kafka-topics.sh {SERVER} --create --topic {} --partitions {partitions} --replication-factor {replication_factor}{configs}",
                quote(name)
            )
        }
        Command::DeleteTopic { name } => format!("kafka-topics.sh {SERVER} --delete --topic {}", quote(name)),
        Command::AlterConfigs { resource, name, set, delete } => {
            // A value with commas stands in brackets.
            let value = |value: &str| if value.contains(',') { format!("[{value}]") } else { value.to_owned() };
            let added: Vec<String> = set.iter().map(|(name, text)| format!("{name}={}", value(text))).collect();
            let option = |option: &str, list: String| if list.is_empty() { list } else { format!(" --{option} {}", quote(&list)) };
            let entity = if name.is_empty() { "--entity-default".to_owned() } else { format!("--entity-name {}", quote(name)) };
            format!(
                "kafka-configs.sh {SERVER} --alter --entity-type {}s {entity}{}{}",
                resource.name(),
                option("add-config", added.join(",")),
                option("delete-config", delete.join(","))
            )
        }
        Command::AlterClientQuotas { user, client_id, set, delete } => {
            let part = |kind: &str, name: &Option<String>| match name.as_deref() {
                None => String::new(),
                Some(DEFAULT_ENTITY) => format!(" --entity-type {kind} --entity-default"),
                Some(name) => format!(" --entity-type {kind} --entity-name {}", quote(name)),
            };
            let option = |option: &str, list: String| if list.is_empty() { list } else { format!(" --{option} {}", quote(&list)) };
            let added: Vec<String> = set.iter().map(|(name, limit)| format!("{name}={limit}")).collect();
            let (added, deleted) = (option("add-config", added.join(",")), option("delete-config", delete.join(",")));
            format!("kafka-configs.sh {SERVER} --alter{}{}{added}{deleted}", part("users", user), part("clients", client_id))
        }
        Command::CreatePartitions { topic, partitions } => {
            format!("kafka-topics.sh {SERVER} --alter --topic {} --partitions {partitions}", quote(topic))
        }
        Command::DeleteRecords { topic, partition, before_offset } => {
            let json = format!(
                "{{\"version\":1,\"partitions\":[{{\"topic\":\"{topic}\",\"partition\":{partition},\"offset\":{before_offset}}}]}}"
            );
            format!("kafka-delete-records.sh {SERVER} --offset-json-file <(echo {})", quote(&json))
        }
        Command::ElectLeader { topic, partition, unclean } => {
            let kind = if *unclean == Some(true) { "unclean" } else { "preferred" };
            format!("kafka-leader-election.sh {SERVER} --election-type {kind} --topic {} --partition {partition}", quote(topic))
        }
        Command::Reassign { topic, partition, replicas } => {
            let list = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let plan = replicas.as_ref().map_or(String::new(), |ids| format!(",\"replicas\":[{}]", list(ids)));
            let json = format!("{{\"version\":1,\"partitions\":[{{\"topic\":\"{topic}\",\"partition\":{partition}{plan}}}]}}");
            let act = if replicas.is_some() { "--execute" } else { "--cancel" };
            format!("kafka-reassign-partitions.sh {SERVER} {act} --reassignment-json-file <(echo {})", quote(&json))
        }
        Command::AddProducer { change_data_capture: Some(true), .. } => {
            "# Kafka Connect: POST /connectors with a source connector for the database, such as Debezium's".to_owned()
        }
        Command::AddProducer { topic, records_per_second: Some(rate), configs, .. } => {
            let properties: String = configs.iter().map(|(k, v)| format!(" {}", quote(&format!("{k}={v}")))).collect();
            format!(
                "kafka-producer-perf-test.sh --topic {} --throughput {} --num-records 1000000 --record-size 100 --command-property bootstrap.servers=localhost:9092{properties}",
                quote(topic),
                decimal(*rate)
            )
        }
        Command::AddProducer { topic, configs, .. } => console_producer(topic, true, configs),
        Command::Send { topic, key, value, partition, .. } => {
            let value = value.as_ref().map_or(String::new(), ToString::to_string);
            let text = key.as_ref().map_or(value.clone(), |key| format!("{key}:{value}"));
            let pinned =
                partition.map_or(String::new(), |p| format!("  # to partition {p}: in code, new ProducerRecord(topic, {p}, key, value)"));
            format!("printf '%s\\n' {} | {}{pinned}", quote(&text), console_producer(topic, key.is_some(), &Configs::new()))
        }
        Command::Import { topic, format, key_field, .. } => {
            let file = if *format == ImportFormat::Csv { "records.csv" } else { "records.jsonl" };
            format!("{} < {file}", console_producer(topic, key_field.is_some(), &Configs::new()))
        }
        Command::AddConsumer { group, topics, partitions, pattern, configs, .. } => {
            let from = match (topics.as_deref(), partitions.as_deref()) {
                (_, Some([first, ..])) => format!("--topic {} --partition {}", quote(&first.topic), first.partition),
                (Some([one]), _) => format!("--topic {}", quote(one)),
                (Some(many), _) => format!("--include {}", quote(&many.join("|"))),
                _ => pattern.as_ref().map_or(String::new(), |pattern| format!("--include {}", quote(pattern))),
            };
            let group = group.as_ref().map_or(String::new(), |g| format!(" --group {}", quote(g)));
            format!("kafka-console-consumer.sh {SERVER} {from}{group}{}", properties(configs))
        }
        Command::ChangeRow { key, value, .. } => {
            let statement = if value.is_some() { "INSERT or UPDATE" } else { "DELETE" };
            format!("# no kafka-* tool; in the database: {statement} the row {}", quote(&key.to_string()))
        }
        Command::AddProcessor { .. } => "# no kafka-* tool; an application with a consumer and a producer of its own".to_owned(),
        Command::AddAggregate { topic, table, fold, .. } => {
            format!("# Kafka Streams: builder.stream({topic}).groupByKey().{}(), to the table {table}", fold.name())
        }
        Command::RemoveProducer { id } | Command::RemoveConsumer { id } => {
            format!("kill -TERM $(pgrep -f {})  # the client closes properly", quote(id))
        }
        Command::CrashConsumer { id } => format!("kill -KILL $(pgrep -f {})  # the client dies without leaving its group", quote(id)),
        Command::PauseConsumer { .. } => "# no kafka-* tool; in the application: consumer.pause(consumer.assignment())".to_owned(),
        Command::ResumeConsumer { .. } => "# no kafka-* tool; in the application: consumer.resume(consumer.paused())".to_owned(),
        Command::Flush { .. } => "# no kafka-* tool; in the application: producer.flush()".to_owned(),
        Command::BeginTransaction { .. } => "# no kafka-* tool; in the application: producer.beginTransaction()".to_owned(),
        Command::CommitTransaction { .. } => "# no kafka-* tool; in the application: producer.commitTransaction()".to_owned(),
        Command::AbortTransaction { .. } => "# no kafka-* tool; in the application: producer.abortTransaction()".to_owned(),
        Command::SendOffsetsToTransaction { .. } => {
            "# no kafka-* tool; in the application: producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata())".to_owned()
        }
        Command::Commit { .. } => "# no kafka-* tool; in the application: consumer.commitSync()".to_owned(),
        Command::Seek { topic, partition, to, .. } => {
            let to = match to {
                SeekTo::Offset(offset) => format!("consumer.seek(partition, {offset})"),
                SeekTo::Edge(SeekEdge::Beginning) => "consumer.seekToBeginning(partitions)".to_owned(),
                SeekTo::Edge(SeekEdge::End) => "consumer.seekToEnd(partitions)".to_owned(),
                SeekTo::Timestamp { timestamp } => format!("consumer.offsetsForTimes(..., {timestamp}), then seek"),
            };
            format!("# no kafka-* tool; in the application, for {topic}-{partition}: {to}")
        }
        Command::ResetOffsets { group, topic, partition, to } => {
            let index = partition.map_or(String::new(), |index| format!(":{index}"));
            let to = match to {
                ResetTo::Earliest => "--to-earliest".to_owned(),
                ResetTo::Latest => "--to-latest".to_owned(),
                ResetTo::Offset { offset } => format!("--to-offset {offset}"),
                ResetTo::ShiftBy { by } => format!("--shift-by {by}"),
                ResetTo::Timestamp { timestamp } => {
                    let (seconds, ms) = (timestamp / 1_000, timestamp % 1_000);
                    format!("--to-datetime $(date -u -d @{seconds} +%Y-%m-%dT%H:%M:%S).{ms:03}")
                }
            };
            format!(
                "kafka-consumer-groups.sh {SERVER} --group {} --reset-offsets --topic {}{index} {to} --execute",
                quote(group),
                quote(topic)
            )
        }
        Command::MoveCoordinator { group, broker, .. } => {
            let topic = if group.is_some() { "__consumer_offsets" } else { "__transaction_state" };
            format!(
                "# kafka-reassign-partitions.sh with broker {broker} as the first replica of its partition of {topic}, then kafka-leader-election.sh --election-type preferred"
            )
        }
        Command::CrashBroker { broker } => format!("kill -KILL $(pgrep -f server-{broker}.properties)  # the broker dies without a word"),
        Command::PowerLoss { broker } => {
            format!("ssh broker-{broker} 'echo b > /proc/sysrq-trigger'  # as if the power failed: nothing is flushed")
        }
        Command::RemoveBroker { broker } => {
            format!("kafka-cluster.sh unregister {SERVER} --id {broker}  # and its machine is switched off")
        }
        Command::AddBroker { broker, rack } => {
            let id = broker.map_or(String::new(), |id| format!(" --override node.id={id}"));
            let rack = rack.as_ref().map_or(String::new(), |rack| format!(" --override broker.rack={}", quote(rack)));
            format!("kafka-server-start.sh -daemon config/server.properties{id}{rack}")
        }
        Command::StopBroker { broker } => format!("kafka-server-stop.sh --node-id={broker}  # SIGTERM: a controlled shutdown"),
        Command::FreezeBroker { broker, ms } => {
            let ms = *ms as u64;
            let sleep = format!("sleep {}.{:03}", ms / 1_000, ms % 1_000);
            format!("ssh broker-{broker} 'pkill -STOP -f kafka.Kafka; {sleep}; pkill -CONT -f kafka.Kafka'")
        }
        Command::SlowDisk { broker, .. } => {
            format!(
                "ssh broker-{broker} 'echo \"8:0 wbps=1000000 wiops=10\" > /sys/fs/cgroup/kafka/io.max'  # a disk that is slower than it was"
            )
        }
        Command::SkewClock { broker, ms } => {
            format!("ssh broker-{broker} 'date -s \"{ms} milliseconds\"'  # with time synchronisation off")
        }
        Command::SetLink { from, to, cut: Some(true), .. } => format!("ssh {from} 'iptables -A OUTPUT -d {to} -j DROP'"),
        Command::SetLink { from, to, latency_ms, odds, .. } => {
            let ms = latency_ms.unwrap_or(0.0) as u64;
            let loss = odds.drop_ratio.map(|ratio| format!(" loss {}%", (ratio * 100.0) as u64)).unwrap_or_default();
            format!("ssh {from} 'tc qdisc replace dev eth0 root netem delay {ms}ms{loss}'  # for packets to {to}")
        }
        Command::MessageFault { .. } | Command::DropNext { .. } => {
            "# no kafka-* tool; a proxy between the two that reads Kafka's protocol can do it".to_owned()
        }
        Command::CrashController { controller } => {
            format!("kill -KILL $(pgrep -f controller-{controller}.properties)  # the controller dies without a word")
        }
        Command::RestartController { controller } => format!("kafka-server-start.sh -daemon config/controller-{controller}.properties"),
        Command::RestartBroker { broker } => format!("kafka-server-start.sh -daemon config/server-{broker}.properties"),
    }
}

fn console_producer(topic: &str, keyed: bool, configs: &Configs) -> String {
    let key = if keyed { " --reader-property parse.key=true --reader-property key.separator=:" } else { "" };
    format!("kafka-console-producer.sh {SERVER} --topic {}{key}{}", quote(topic), properties(configs))
}

fn properties(configs: &Configs) -> String {
    configs.iter().map(|(k, v)| format!(" --command-property {}", quote(&format!("{k}={v}")))).collect()
}

/// A word of a POSIX shell.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=/:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
