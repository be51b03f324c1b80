//! Kafka's words and bytes: record batches and their compression, murmur2, error codes, settings, and the formats for which no message schema exists.
//!
//! Owns formats and definitions, each once. Knows nothing of logs, clusters or time: a batch is checked here for what it is, not for whether it may be
//! appended. Whatever comes from outside is read with a limit and refused with a sentence.

pub mod batch;
mod batch_builder;
mod batch_error;
mod checksum;
pub mod client_quotas;
pub mod compression;
pub mod consumer_group_records;
pub mod consumer_protocol;
mod control_record;
mod error;
mod fetch_session;
pub mod group_records;
pub mod json;
pub mod metadata;
mod murmur2;
pub mod operations;
mod outside;
mod primitive;
mod record;
mod response_error;
pub mod settings;
pub mod share_group_records;
pub mod share_records;
mod stored;
pub mod text;
mod throttle_time;
mod topic_name;
mod topic_pattern;
pub mod transaction_records;
mod varint;
pub mod wire;

pub use batch::{BatchHeader, split, validate};
pub use batch_builder::{BatchBuilder, BatchOptions, size_upper_bound};
pub use batch_error::{BatchError, Stage};
pub use compression::{Codec, Compression};
pub use control_record::{Marker, Outcome};
pub use error::ErrorCode;
pub use fetch_session::{FINAL_EPOCH, FetchSession, INITIAL_EPOCH, NO_SESSION, next_epoch};
pub use murmur2::{murmur2, partition_for_key};
pub use primitive::{DecodeError, STRING_MAX};
pub use record::{Header, Record, RecordRef, Records, records};
pub use stored::Batch;
pub use topic_name::{TopicNameError, collides, topic_id_base64, topic_id_of_base64, validate_topic_name};
pub use topic_pattern::{Dialect, TopicPattern};
