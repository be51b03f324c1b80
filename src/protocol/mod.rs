//! Kafka's words and bytes.

mod error;
pub mod text;

pub use error::ErrorCode;
