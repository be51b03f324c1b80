//! Kafka's words and bytes: record batches, murmur2, error codes, settings, the records of the internal topics, and what travels between nodes.
//!
//! It must not know who speaks. Messages come from the kafka-protocol crate; everything with records in it is ours.

pub mod batch;
pub mod bytes_io;
pub mod consumer_protocol;
mod error;
pub mod group_records;
pub mod metadata;
pub mod murmur2;
mod record;
pub mod settings;
pub mod text;
pub mod topic_name;
mod varint;
pub mod wire;

pub use error::ErrorCode;
