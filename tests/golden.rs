#![cfg(not(target_arch = "wasm32"))]
//! The codecs against bytes that Kafka 4.3's own Java client wrote.
//!
//! Reads the files of `tests/golden/`, or of the folder that the environment variable `GOLDEN` names: the same file names and columns, other rows.

/// Prints even when the test passes: the test runner holds back what `println!` says.
macro_rules! report {
    ($($words:tt)*) => { writeln!(std::io::stdout(), $($words)*).expect("standard output") };
}

use brokerlab::client::assignor::{Assignments, Assignor, KnownTopic, Member, Members, Topics};
use brokerlab::client::network::PartitionInfo;
use brokerlab::client::partitioner::{Sticky, pick};
use brokerlab::ordered::OrderedMap;
use brokerlab::protocol::{
    Batch, BatchBuilder, BatchError, BatchHeader, BatchOptions, Codec, Compression, ErrorCode, Marker, Record,
    consumer_protocol::{
        Assignment, StickyUserData, Subscription, TopicPartitions, VERSION, by_topic, cooperative_user_data, read_cooperative_generation,
    },
    murmur2, partition_for_key, records,
    settings::{Scope, Valid, lookup},
    split, validate,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

/// What became of a row.
enum Verdict {
    Passed,
    Failed(String),
    /// Not, or not wholly, compared; why.
    Skipped(String),
}

/// One row, its cells by column.
struct Row(BTreeMap<String, String>);

impl Row {
    fn text(&self, column: &str) -> &str {
        self.0.get(column).unwrap_or_else(|| panic!("no column {column}"))
    }

    fn bytes(&self, column: &str) -> Bytes {
        unhex(self.text(column)).into()
    }

    fn number<T: std::str::FromStr>(&self, column: &str) -> T {
        self.text(column).parse().unwrap_or_else(|_| panic!("{column} is no such number: {:?}", self.text(column)))
    }

    fn json(&self, column: &str) -> Value {
        serde_json::from_str(self.text(column)).unwrap_or_else(|error| panic!("{column}: {error}: {:?}", self.text(column)))
    }
}

/// Runs every row of a file, prints the counts, and fails if a row did.
fn golden(file: &str, check: impl Fn(&Row) -> Verdict) {
    let folder = std::env::var_os("GOLDEN").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        report!("golden {file}: 0 passed, 0 failed, 0 skipped (the file is not there)");
        return;
    };
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let (mut passed, mut failures, mut skipped) = (0, Vec::new(), BTreeMap::<String, usize>::new());
    for (index, line) in lines.enumerate() {
        let cells: Vec<&str> = line.split('\t').collect();
        let verdict = if cells.len() == columns.len() {
            let pairs = columns.iter().zip(&cells).map(|(column, cell)| (column.to_string(), cell.to_string()));
            check(&Row(pairs.collect()))
        } else {
            Verdict::Failed(format!("{} cells in {} columns", cells.len(), columns.len()))
        };
        match verdict {
            Verdict::Passed => passed += 1,
            Verdict::Failed(reason) => failures.push(format!("line {} ({}): {reason}", index + 2, cells[0])),
            Verdict::Skipped(reason) => *skipped.entry(reason).or_default() += 1,
        }
    }
    let reasons: Vec<String> = skipped.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    report!("golden {file}: {passed} passed, {} failed, {} skipped{reasons}", failures.len(), skipped.values().sum::<usize>());
    assert!(failures.is_empty(), "{file}:\n{}", failures.join("\n"));
}

/// Passed if nothing differs.
fn verdict(differences: Vec<String>) -> Verdict {
    if differences.is_empty() { Verdict::Passed } else { Verdict::Failed(differences.join("; ")) }
}

/// A sentence if the two are not equal.
fn differs<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Option<String> {
    (found != expected).then(|| format!("{what}: found {found:?}, expected {expected:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd hex: {text}");
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_else(|| panic!("not hex: {text}")) as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn error_codes() {
    golden("errors.tsv", |row| {
        let Some(code) = ErrorCode::from_code(row.number("code")) else { return Verdict::Failed("no such code".to_owned()) };
        let retriable = if code.retriable() { "1" } else { "0" };
        let of_retriable = differs("retriable", retriable, row.text("retriable"));
        let of_message = differs("message", code.message(), row.text("message"));
        verdict(differs("name", code.name(), row.text("name")).into_iter().chain(of_retriable).chain(of_message).collect())
    });
}

#[test]
fn murmur2_and_partitions_of_keys() {
    golden("murmur2.tsv", |row| {
        let key = row.bytes("key_hex");
        let mut differences = Vec::from_iter(differs("murmur2", murmur2(&key), row.number("murmur2")));
        for partitions in [1, 3, 6, 12, 50] {
            let column = format!("p{partitions}");
            differences.extend(differs(&column, partition_for_key(&key, partitions), row.number(&column)));
        }
        verdict(differences)
    });
}

#[test]
fn consumer_protocol() {
    golden("consumer_protocol.tsv", |row| {
        let bytes = row.bytes("hex");
        // Anything but an object with fields is a refusal.
        let expected = serde_json::from_str(row.text("json")).ok().filter(|json: &Value| json.is_object() && json.get("error").is_none());
        let version = row.text("version").parse().ok().filter(|version| (0..=VERSION).contains(version));
        let (found, again) = match row.text("kind") {
            "subscription" => match Subscription::read(&bytes) {
                Ok(read) => (Some(subscription_json(&read)), version.map(|version| read.to_bytes(version))),
                Err(_) => (None, None),
            },
            "assignment" => match Assignment::read(&bytes) {
                Ok(read) => (
                    Some(json!({"partitions": partitions_json(&read.partitions), "user_data": blob_json(read.user_data.as_ref())})),
                    version.map(|version| read.to_bytes(version)),
                ),
                Err(_) => (None, None),
            },
            "sticky_user_data" => {
                let read = StickyUserData::read(&bytes);
                (Some(json!({"owned": partitions_json(&read.owned), "generation": read.generation})), Some(read.to_bytes()))
            }
            "cooperative_user_data" => {
                let generation = read_cooperative_generation(&bytes);
                (Some(json!({"generation": generation})), Some(cooperative_user_data(generation)))
            }
            other => return Verdict::Failed(format!("unknown kind {other}")),
        };
        let accepted = expected.is_some();
        let mut differences = Vec::from_iter(differs("json", found, expected));
        // Bytes that a Java member wrote, not damaged ones: those have a note.
        if accepted && matches!(row.text("note"), "" | "no version field in the bytes") {
            differences.extend(differs("written again", again.map(|bytes| hex(&bytes)), Some(hex(&bytes))));
        }
        verdict(differences)
    });
}

fn subscription_json(read: &Subscription) -> Value {
    json!({
        "topics": read.topics,
        "user_data": blob_json(read.user_data.as_ref()),
        "owned": partitions_json(&read.owned),
        "generation": read.generation,
        "rack": read.rack,
    })
}

fn partitions_json(partitions: &[TopicPartitions]) -> Value {
    json!(by_topic(partitions))
}

fn blob_json(bytes: Option<&Bytes>) -> Value {
    bytes.map_or(Value::Null, |bytes| Value::String(hex(bytes)))
}

/// What reading a whole buffer gave, up to the error if there is one.
struct Reading {
    batches: usize,
    first: Option<BatchHeader>,
    /// Of the first control batch.
    marker: Option<Marker>,
    records: Vec<Record>,
    error: Option<BatchError>,
}

fn read_all(buffer: &Bytes) -> Reading {
    let mut reading = Reading { batches: 0, first: None, marker: None, records: Vec::new(), error: None };
    reading.error = read_batches(buffer, &mut reading).err();
    reading
}

fn read_batches(buffer: &Bytes, reading: &mut Reading) -> Result<(), BatchError> {
    for batch in split(buffer) {
        let batch = batch?;
        let header = validate(&batch)?;
        reading.batches += 1;
        reading.first.get_or_insert(header);
        for record in records(&batch) {
            reading.records.push(record?);
            if header.is_control()
                && let Some(Record { key, value, .. }) = reading.records.last()
            {
                let marker = Marker::read(key.as_deref(), value.as_deref())?;
                reading.marker.get_or_insert(marker);
            }
        }
    }
    Ok(())
}

#[test]
fn record_batches() {
    golden("record_batches.tsv", |row| {
        let buffer = row.bytes("batch_hex");
        let reading = read_all(&buffer);
        let mut differences = Vec::from_iter(differs("batches", reading.batches, row.number("batches")));
        if !row.text("codec").is_empty() {
            differences.extend(header_differences(row, &reading));
        }
        let accepted = row.text("expect") == "accepted";
        differences.extend(differs("accepted", reading.error.is_none(), accepted));
        differences.extend(differs("stage", reading.error.map_or("", |error| error.stage().name()), row.text("stage")));
        let records: Vec<Value> = reading.records.iter().map(record_json).collect();
        differences.extend(differs("records", Value::Array(records), row.json("records")));
        differences.extend(rebuilt_differences(row, &reading, &buffer));
        verdict(differences)
    });
}

fn header_differences(row: &Row, reading: &Reading) -> Vec<String> {
    let Some(header) = reading.first else { return vec!["no batch".to_owned()] };
    let codec = header.codec().map_or("?", |codec| codec.name());
    let flags: Vec<&str> = [
        ("transactional", header.is_transactional()),
        ("control", header.is_control()),
        ("idempotent", header.is_idempotent()),
        ("create_time", header.log_append_time().is_none()),
        ("log_append_time", header.log_append_time().is_some()),
        ("delete_horizon", header.delete_horizon().is_some()),
    ]
    .into_iter()
    .filter_map(|(name, set)| set.then_some(name))
    .collect();
    let marker = reading.marker.map_or_else(String::new, |marker| format!("{}:{}", marker.outcome.name(), marker.coordinator_epoch));
    let found = [
        ("codec", codec.to_owned()),
        ("flags", flags.join(",")),
        ("base_offset", header.base_offset.to_string()),
        ("partition_leader_epoch", header.leader_epoch.to_string()),
        ("producer_id", header.producer_id.to_string()),
        ("producer_epoch", header.producer_epoch.to_string()),
        ("base_sequence", header.base_sequence.to_string()),
        ("last_offset", header.last_offset().to_string()),
        ("last_sequence", header.last_sequence().to_string()),
        ("base_timestamp", header.base_timestamp.to_string()),
        ("max_timestamp", header.max_timestamp.to_string()),
        ("delete_horizon", header.delete_horizon().map_or_else(String::new, |horizon| horizon.to_string())),
        ("record_count", header.record_count.to_string()),
        ("control_type", marker),
    ];
    found.into_iter().filter_map(|(column, found)| differs(column, found.as_str(), row.text(column))).collect()
}

/// Builds the batch anew from the row, where it follows from it. Uncompressed with create time it is the same, byte for byte; else it holds the same.
fn rebuilt_differences(row: &Row, reading: &Reading, buffer: &Bytes) -> Vec<String> {
    let flag = |name| row.text("flags").split(',').any(|flag| flag == name);
    if row.text("name").starts_with("bad-") || row.text("batches") != "1" {
        return Vec::new();
    }
    let base_offset: i64 = row.number("base_offset");
    let Some(codec) = Codec::of_name(row.text("codec")) else { return vec!["no codec".to_owned()] };
    let options = BatchOptions {
        producer_id: row.number("producer_id"),
        producer_epoch: row.number("producer_epoch"),
        base_sequence: row.number("base_sequence"),
        transactional: flag("transactional"),
        control: flag("control"),
        compression: Compression::of(codec),
        log_append_time: flag("log_append_time").then(|| row.number("max_timestamp")),
        delete_horizon: flag("delete_horizon").then(|| row.number("delete_horizon")),
    };
    let mut builder = BatchBuilder::new(options, 0);
    for record in &reading.records {
        let headers: Vec<_> = record.headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
        let delta = (record.offset - base_offset) as i32;
        builder.append_at(delta, record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
    }
    let last_offset: i64 = row.number("last_offset");
    let bytes = builder.build_covering((last_offset - base_offset) as i32, row.number("max_timestamp"));
    let batch = BatchHeader::read(&bytes).map(|header| Batch::assigned(bytes, &header, base_offset, row.number("partition_leader_epoch")));
    let wire = match batch {
        Ok(batch) => batch.to_wire(),
        Err(error) => return vec![error.to_string()],
    };
    if codec == Codec::None && flag("create_time") {
        return Vec::from_iter(differs("built anew", hex(&wire), hex(buffer)));
    }
    let again = read_all(&wire);
    // With log append time the producer's own base time is not known.
    let header = |reading: &Reading| {
        let base_timestamp = if flag("create_time") { reading.first.map_or(0, |header| header.base_timestamp) } else { 0 };
        reading.first.map(|header| BatchHeader { length: 0, crc: 0, base_timestamp, ..header })
    };
    let differences = [
        differs("error of the batch built anew", again.error, None),
        differs("header built anew", header(&again), header(reading)),
        differs("records built anew", &again.records, &reading.records),
    ];
    differences.into_iter().flatten().collect()
}

/// A record as the file shows it.
fn record_json(record: &Record) -> Value {
    let headers: Vec<Value> =
        record.headers.iter().map(|(key, value)| json!([field_json(Some(key)), field_json(value.as_ref())])).collect();
    json!([record.offset, record.timestamp, field_json(record.key.as_ref()), field_json(record.value.as_ref()), headers])
}

/// Long fields stand there as their checksum and length.
fn field_json(bytes: Option<&Bytes>) -> Value {
    match bytes {
        Some(bytes) if 512 < bytes.len() => json!(format!("crc32c:{:08x}/{}", crc32c::crc32c(bytes), bytes.len())),
        bytes => blob_json(bytes),
    }
}

#[test]
fn settings() {
    golden("configs.tsv", |row| {
        let scope = match row.text("scope") {
            "producer" => Scope::Producer,
            "consumer" => Scope::Consumer,
            "topic" => Scope::Topic,
            _ => return Verdict::Skipped("the admin client has no settings here".to_owned()),
        };
        let Some(setting) = lookup(scope, row.text("name")) else {
            // A constant left over from older versions: a broker of 4.3 does not define it.
            return if row.text("name") == "message.downconversion.enable" {
                Verdict::Skipped("no setting of a 4.3 broker".to_owned())
            } else {
                Verdict::Failed("unknown".to_owned())
            };
        };
        if scope == Scope::Topic {
            return Verdict::Passed;
        }
        let default = if setting.required { "" } else { setting.default.unwrap_or("null") };
        verdict(Vec::from_iter(
            [
                differs("type", setting.kind.name(), row.text("type")),
                differs("has_default", if setting.required { "0" } else { "1" }, row.text("has_default")),
                differs("default", default, row.text("default")),
                differs("valid", valid_text(setting.valid), row.text("valid").to_owned()),
                differs("internal", if setting.is_internal() { "1" } else { "0" }, row.text("internal")),
            ]
            .into_iter()
            .flatten(),
        ))
    });
}

/// What is allowed, as Java's validators print it.
fn valid_text(valid: Valid) -> String {
    match valid {
        Valid::Any => String::new(),
        Valid::AtLeast(least) => format!("[{least},...]"),
        Valid::Between(least, most) => format!("[{least},...,{most}]"),
        Valid::RealBetween(least, most) => format!("[{least},...,{most}]"),
        Valid::LevelOrDefault(least, most) => format!("[{least},...,{most}] or -1"),
        Valid::OneOf(words) | Valid::EachOf(words) => format!("[{}]", words.join(", ")),
        // Java prints the words of one of them without a hint that any case will do.
        Valid::OneOfInAnyCase(words) if words.contains(&"batch_optimized") => format!("[{}]", words.join(", ")),
        Valid::OneOfInAnyCase(words) => format!("(case insensitive) [{}]", words.join(", ")),
        Valid::NotEmpty => "non-empty string".to_owned(),
        Valid::Replicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned(),
        Valid::OffsetReset => "[latest, earliest, none, by_duration:PnDTnHnMn.nS]".to_owned(),
        Valid::ShareOffsetReset => "[latest, earliest, by_duration:PnDTnHnMn.nS]".to_owned(),
    }
}

#[test]
fn partitioner() {
    golden("partitioner.tsv", |row| {
        let input = row.json("input");
        let numbers = |list: &Value| list.as_array().into_iter().flatten().filter_map(Value::as_u64).map(|n| n as u32).collect::<Vec<_>>();
        let known = |list: &Value| {
            let info = |led: u32| PartitionInfo { leader: (led == 1).then_some(1), leader_epoch: 0 };
            numbers(list).into_iter().map(info).collect::<Vec<_>>()
        };
        let mut partitions = known(&input["available"]);
        let mut randoms = numbers(&input["randoms"]).into_iter();
        let mut random = || randoms.next().expect("a random number");
        let batch_size = input["sticky_batch_size"].as_u64().unwrap_or(0) as usize;
        let (mut sticky, mut turns) = (Sticky::default(), 0..);
        let mut found = Vec::new();
        for op in input["ops"].as_array().expect("a list") {
            let mut current = |sticky: &mut Sticky| sticky.chosen().unwrap_or_else(|| sticky.choose(random(), &partitions));
            found.push(match op[0].as_str().unwrap_or_default() {
                "next" => json!(pick(turns.next().unwrap_or(0), &partitions)),
                "peek" => json!(current(&mut sticky)),
                "append" => {
                    let own = current(&mut sticky);
                    if sticky.takes(op[1].as_u64().unwrap_or(0) as usize, op[2] == true, batch_size) {
                        sticky.choose(random(), &partitions);
                    }
                    json!([own, sticky.chosen()])
                }
                "load" => {
                    let length = op[3].as_u64().unwrap_or(0) as usize;
                    let sizes = numbers(&op[1]);
                    let waiting: Vec<(i32, u32)> =
                        numbers(&op[2]).into_iter().map(|index| index as i32).zip(sizes.iter().copied()).take(length).collect();
                    json!(sticky.load(&waiting, sizes.len()))
                }
                _ => {
                    partitions = known(&op[1]);
                    Value::Null
                }
            });
        }
        verdict(Vec::from_iter(differs("output", Value::Array(found), row.json("output"))))
    });
}

#[test]
fn assignors() {
    golden("assignors.tsv", |row| {
        let Some(assignor) = Assignor::of(row.text("assignor")) else { return Verdict::Skipped("an assignor of another kind".to_owned()) };
        let (topics, members) = group(&row.json("input"));
        let found = assignor.assign(&topics, &members);
        let expected = row.json("output");
        let is_exact = row.text("order_free") == "1" && row.text("valid") == "1";
        if is_exact {
            let found = serde_json::to_value(&found).expect("JSON");
            return verdict(differs("assignment", found, expected).into_iter().collect());
        }
        let mut differences = incomplete(assignor, &topics, &members, &found);
        if row.text("valid") == "1" {
            let theirs = shares(&expected);
            let ours = shares(&serde_json::to_value(&found).expect("JSON"));
            differences.extend(differs("spread", spread(&ours) <= spread(&theirs), true));
            differences.extend(differs("kept", kept(&members, &theirs) <= kept(&members, &ours), true));
        }
        verdict(differences)
    });
}

/// The topics and members of a row.
fn group(input: &Value) -> (Topics, Members) {
    let strings = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    let entries = |object: &Value| object.as_object().cloned().unwrap_or_default();
    let racks = |topic: &str| input["racks"][topic].as_array().map(|racks| racks.iter().map(strings).collect()).unwrap_or_default();
    let topic = |(name, count): (String, Value)| {
        let known = KnownTopic { count: count.as_i64().expect("a count") as i32, racks: racks(&name) };
        (name, known)
    };
    let member = |(id, told): (String, Value)| {
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let member = Member {
            topics: strings(&told["topics"]),
            instance: text("instance"),
            rack: text("rack"),
            generation: told["generation"].as_i64().map(|generation| generation as i32),
            owned: shares(&json!({ "own": told["owned"] })).remove("own").unwrap_or_default().into_iter().collect(),
        };
        (id, member)
    };
    (entries(&input["topics"]).into_iter().map(topic).collect(), entries(&input["members"]).into_iter().map(member).collect())
}

/// Partitions by member.
type Shares = BTreeMap<String, BTreeSet<(String, i32)>>;

fn shares(assignment: &Value) -> Shares {
    let places = |topics: &Value| {
        let topics = topics.as_object().into_iter().flatten();
        topics
            .flat_map(|(topic, indexes)| {
                let indexes = indexes.as_array().into_iter().flatten().filter_map(Value::as_i64);
                indexes.map(|index| (topic.clone(), index as i32)).collect::<Vec<_>>()
            })
            .collect()
    };
    assignment.as_object().into_iter().flatten().map(|(member, topics)| (member.clone(), places(topics))).collect()
}

/// How far apart the shares are.
fn spread(shares: &Shares) -> usize {
    let sizes: Vec<usize> = shares.values().map(BTreeSet::len).collect();
    sizes.iter().flat_map(|one| sizes.iter().map(move |other| one.abs_diff(*other))).sum()
}

/// How many partitions stay with a member that had them.
fn kept(members: &Members, shares: &Shares) -> usize {
    let stays = |(id, member): (&String, &Member)| {
        member.owned.iter().filter(|place| shares.get(id).is_some_and(|share| share.contains(place))).count()
    };
    members.iter().map(stays).sum()
}

/// What an assignment leaves out, gives twice, or gives to who does not subscribe.
fn incomplete(assignor: Assignor, topics: &Topics, members: &Members, found: &Assignments) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, topic) in topics {
        let subscribers: Vec<&String> = members.iter().filter(|(_, member)| member.topics.contains(name)).map(|(id, _)| id).collect();
        for index in 0..topic.count {
            let owns = |(_, share): &(&String, &OrderedMap<String, Vec<i32>>)| share.get(name).is_some_and(|own| own.contains(&index));
            let owners: Vec<&String> = found.iter().filter(owns).map(|(id, _)| id).collect();
            let may_wait = assignor == Assignor::CooperativeSticky && owners.is_empty();
            let is_right = owners.len() == 1 && subscribers.contains(&owners[0]);
            if !subscribers.is_empty() && !is_right && !may_wait {
                differences.push(format!("{name}-{index} has the owners {owners:?}"));
            }
        }
    }
    differences
}
