//! What a leader checks of a batch before it appends it, and what it changes in it.
//!
//! Owns the rules that a topic's settings make for its logs. Offsets and leader epoch are the log's to give. Knows nothing of replicas, acks and
//! producers' state. Source: `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`, `BrokerCompressionType`; KIP-467 for the
//! errors of single records, KIP-937 for the range of their times.
//!
//! A batch is rewritten only where it must be: when the topic wants another codec, or its offsets have gaps. Everything else stands in the header.

use crate::ordered::OrderedMap;
use crate::protocol::batch::{HEADER_SIZE, MAGIC, NO_PRODUCER_ID, NO_TIMESTAMP};
use crate::protocol::{self, Batch, BatchBuilder, BatchError, BatchHeader, BatchOptions, Codec, Compression, ErrorCode, RecordRef};

/// Errors of single records that the sentence of a refusal names; the list beside it has all of them.
const NAMED_MAX: usize = 3;
/// Errors of single records in that list. Kafka has no such limit; here a few compressed bytes must not become millions of sentences.
const LISTED_MAX: usize = 10_000;

/// What holds for batches of a log: a broker's settings, or those of a topic laid over them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogRules {
    /// `compression.type`; `None`: the producer's.
    pub codec: Option<Codec>,
    /// `compression.gzip.level`
    pub gzip_level: u8,
    /// `message.timestamp.type` is LogAppendTime.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: i64,
    /// `max.message.bytes`, of a broker `message.max.bytes`
    pub message_max_bytes: usize,
    /// `cleanup.policy` has compact in it: every record needs a key.
    pub compacted: bool,
}

impl LogRules {
    /// The broker's rules with what a topic sets itself. Its settings were checked when it was made.
    pub fn of_topic(&self, configs: &OrderedMap<String, String>) -> LogRules {
        let text = |name: &str| configs.get(name).map(|value| value.trim());
        fn number<T: std::str::FromStr>(text: Option<&str>, default: T) -> T {
            text.and_then(|text| text.parse().ok()).unwrap_or(default)
        }
        LogRules {
            codec: text("compression.type").map_or(self.codec, Codec::of_name),
            gzip_level: text("compression.gzip.level").map_or(self.gzip_level, |level| Compression::gzip(level.parse().ok()).gzip_level),
            log_append_time: text("message.timestamp.type").map_or(self.log_append_time, |value| value == "LogAppendTime"),
            timestamp_before_max_ms: number(text("message.timestamp.before.max.ms"), self.timestamp_before_max_ms),
            timestamp_after_max_ms: number(text("message.timestamp.after.max.ms"), self.timestamp_after_max_ms),
            message_max_bytes: number(text("max.message.bytes"), self.message_max_bytes),
            compacted: text("cleanup.policy")
                .map_or(self.compacted, |policies| policies.split(',').any(|policy| policy.trim() == "compact")),
        }
    }
}

/// Who made a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A Produce request: nothing in it is taken for granted.
    Client,
    /// The same, of an admin's client, which may write to Kafka's own topics, too.
    AdminClient,
    /// The broker itself.
    Coordinator,
}

/// A batch that is not appended, in the words of a Produce response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    pub code: ErrorCode,
    /// Only where single records are to blame: so does Kafka.
    pub message: Option<String>,
    /// Index within the batch, and what is wrong with that record.
    pub records: Vec<(i32, String)>,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Refused {
        Refused { code, message: None, records: Vec::new() }
    }
}

impl From<BatchError> for Refused {
    fn from(error: BatchError) -> Refused {
        Refused::from(error.code())
    }
}

/// Checks a batch; returns what is to be appended: the same bytes, or new ones. `now_ms` is the broker's clock, in Kafka's epoch milliseconds.
pub fn validate(batch: Batch, origin: Origin, rules: &LogRules, now_ms: i64) -> Result<Batch, Refused> {
    let header = BatchHeader::read(&batch.bytes)?;
    if header.magic != MAGIC || (origin != Origin::Coordinator && header.base_offset != 0) {
        return Err(ErrorCode::InvalidRecord.into());
    }
    check_size(&batch, rules)?;
    protocol::validate(&batch.bytes)?;
    let source = header.codec()?;
    if origin != Origin::Coordinator {
        check_client_batch(&header)?;
    }
    // Markers are compressed only if they come so.
    let target = rules.codec.filter(|_| !(header.is_control() && source == Codec::None)).unwrap_or(source);

    let checked = check_records(&batch, &header, rules, now_ms)?;
    let offsets_matter = source != Codec::None || target != Codec::None;
    if source != target || (offsets_matter && checked.has_gaps) {
        let rewritten = rewrite(&batch, &header, Compression { codec: target, gzip_level: rules.gzip_level }, rules, now_ms)?;
        check_size(&rewritten, rules)?;
        return Ok(rewritten);
    }
    if rules.log_append_time {
        return Ok(batch.with_log_append_time(now_ms)?);
    }
    // A producer that counts wrong, or claims the broker's time, is put right.
    if header.log_append_time().is_some() || header.max_timestamp != checked.max_timestamp {
        return Ok(batch.with_create_time(checked.max_timestamp)?);
    }
    Ok(batch)
}

fn check_size(batch: &Batch, rules: &LogRules) -> Result<(), Refused> {
    if rules.message_max_bytes < batch.size() { Err(ErrorCode::MessageTooLarge.into()) } else { Ok(()) }
}

/// What a client's header must not say.
fn check_client_batch(header: &BatchHeader) -> Result<(), Refused> {
    let covered = i64::from(header.last_offset_delta) + 1;
    let count_is_wrong = header.record_count <= 0 || covered != i64::from(header.record_count);
    let sequence_is_missing = NO_PRODUCER_ID < header.producer_id && header.base_sequence < 0;
    if count_is_wrong || header.is_control() || sequence_is_missing {
        return Err(ErrorCode::InvalidRecord.into());
    }
    Ok(())
}

/// What the records of a sound batch tell.
struct Checked {
    max_timestamp: i64,
    /// A record's offset is not the one after its predecessor's.
    has_gaps: bool,
}

fn check_records(batch: &Batch, header: &BatchHeader, rules: &LogRules, now_ms: i64) -> Result<Checked, Refused> {
    let mut checked = Checked { max_timestamp: NO_TIMESTAMP, has_gaps: false };
    let (mut flaws, mut count) = (Vec::new(), 0);
    let mut code = ErrorCode::InvalidRecord;
    let mut records = batch.records();
    for index in 0.. {
        let Some(record) = records.next_ref() else { break };
        let record = record?;
        checked.max_timestamp = checked.max_timestamp.max(record.timestamp);
        checked.has_gaps |= record.offset != batch.base_offset.wrapping_add(i64::from(index));
        let is_keyless = rules.compacted && record.key.is_none();
        let Some(flaw) = (if is_keyless { Some(Flaw::NoKey) } else { flaw_of_time(&record, header, rules, now_ms) }) else { continue };
        if flaw != Flaw::NoKey {
            code = ErrorCode::InvalidTimestamp;
        }
        count += 1;
        if flaws.len() < LISTED_MAX {
            flaws.push((index, flaw.words(rules, now_ms)));
        }
    }
    if flaws.is_empty() {
        return Ok(checked);
    }
    let named: Vec<String> = flaws.iter().take(NAMED_MAX).map(|(index, flaw)| format!("Record {index}: {flaw}")).collect();
    let message = format!("{count} of {} records are refused. {}", header.record_count, named.join(" "));
    Err(Refused { code, message: Some(message), records: flaws })
}

/// Why a single record is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    NoKey,
    ClaimsAppendTime,
    OutOfRange(i64),
}

impl Flaw {
    fn words(self, rules: &LogRules, now_ms: i64) -> String {
        match self {
            Flaw::NoKey => "A compacted topic takes no record without a key.".to_owned(),
            Flaw::ClaimsAppendTime => "Only a broker may say that a record has the time of its append.".to_owned(),
            Flaw::OutOfRange(timestamp) => {
                let (from, to) =
                    (now_ms.saturating_sub(rules.timestamp_before_max_ms), now_ms.saturating_add(rules.timestamp_after_max_ms));
                format!("Its timestamp {timestamp} is not within {from} to {to}.")
            }
        }
    }
}

fn flaw_of_time(record: &RecordRef<'_>, header: &BatchHeader, rules: &LogRules, now_ms: i64) -> Option<Flaw> {
    if rules.log_append_time || record.timestamp == NO_TIMESTAMP {
        return header.log_append_time().is_some().then_some(Flaw::ClaimsAppendTime);
    }
    let age_ms = now_ms.saturating_sub(record.timestamp);
    let out_of_range = rules.timestamp_before_max_ms < age_ms || rules.timestamp_after_max_ms < age_ms.saturating_neg();
    out_of_range.then_some(Flaw::OutOfRange(record.timestamp))
}

/// The same records in a batch of another codec, at offsets without gaps.
fn rewrite(batch: &Batch, header: &BatchHeader, compression: Compression, rules: &LogRules, now_ms: i64) -> Result<Batch, Refused> {
    let options = BatchOptions {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.is_transactional(),
        control: header.is_control(),
        compression,
        log_append_time: rules.log_append_time.then_some(now_ms),
        delete_horizon: None,
    };
    let mut builder = BatchBuilder::new(options, HEADER_SIZE);
    let mut records = batch.records();
    while let Some(record) = records.next_ref() {
        let record = record?;
        let headers: Vec<_> = record.headers().collect();
        builder.append(record.timestamp, record.key, record.value, &headers);
    }
    Ok(Batch::from_wire(builder.build())?)
}
