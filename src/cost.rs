//! What everything takes, in time and bytes: the numbers of the model, in one place.
//!
//! A healthy machine's own work, from the socket to the page cache, is within the latency of a hop. What is charged beyond that is what a slow
//! disk, a narrow link or a setting of the user adds.

use crate::node::{MS, Time};

/// A message takes this long from node to node, at the least.
pub const LATENCY_MIN: Time = 800;
/// And by chance up to this much longer.
pub const LATENCY_SPREAD: Time = 400;
/// After this long a broker sees that its long poll of the metadata log is dead (`controller.quorum.fetch.timeout.ms`). Kafka's controller
/// answers such a poll after 500 ms even if there is nothing new, so that the broker can tell; here only those answers that say something
/// are sent, and the network tells instead.
pub const METADATA_FETCH_TIMEOUT: Time = 2_000 * MS;
/// How often the operating system looks for dirty pages (`vm.dirty_writeback_centisecs`).
pub const WRITE_BACK_INTERVAL: Time = 5_000 * MS;
/// How old a dirty page is when it is written to disk (`vm.dirty_expire_centisecs`).
pub const DIRTY_EXPIRES: Time = 30_000 * MS;

/// How long a link of so many bytes per second takes to send a message, rounded up.
pub fn transmission(bytes: u64, bytes_per_second: u64) -> Time {
    (bytes * 1_000 * MS).div_ceil(bytes_per_second.max(1))
}
