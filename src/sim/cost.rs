//! What things cost in time: every number of the model, in one place.

use crate::node::{MS, Time};

/// A message takes this long from node to node, at the least.
pub const LATENCY_MIN: Time = 800;
/// And by chance up to this much longer.
pub const LATENCY_SPREAD: Time = 400;
/// After this long a broker sees that its long poll of the metadata log is dead (`controller.quorum.fetch.timeout.ms`). Kafka's controller
/// answers such a poll after 500 ms even if there is nothing new, so that the broker can tell; here only those answers that say something
/// are sent, and the network tells instead.
pub const METADATA_FETCH_TIMEOUT: Time = 2_000 * MS;

/// How long a link of so many bytes per second takes to send a message, rounded up.
pub fn transmission(bytes: u64, bytes_per_second: u64) -> Time {
    (bytes * 1_000 * MS).div_ceil(bytes_per_second.max(1))
}
