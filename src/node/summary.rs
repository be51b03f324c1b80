//! What a message is about, for those who only look on.

use super::Partition;
use crate::protocol::ErrorCode;
use crate::protocol::wire::Api;

/// A message in a few numbers: for the trace and for the drawing of messages in flight.
#[derive(Clone, PartialEq, Hash, Debug)]
pub struct Summary {
    pub api: Api,
    /// Of Produce and Fetch: the first partition that carries records, else the first one named.
    pub partition: Option<Partition>,
    /// Of a fetch request: the offset asked for there.
    pub offset: Option<i64>,
    pub records: u32,
    pub error: ErrorCode,
}
