//! What everything takes, in time and bytes: the numbers of the model, in one place.
//!
//! A healthy machine's own work, from the socket to the page cache, is within the latency of a hop. What is charged beyond that is what a slow
//! disk, a narrow link or a setting of the user adds.

use crate::node::{MS, Time};
use crate::ordered::OrderedMap;

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

/// How long a link of so many bytes per second takes to send a message, rounded up.
pub fn transmission(bytes: u64, bytes_per_second: u64) -> Time {
    (bytes * 1_000 * MS).div_ceil(bytes_per_second.max(1))
}

/// What a request takes of an io thread of a healthy broker.
const REQUEST: Time = 50;
/// What a request and its answer take of a network thread.
const NETWORK_REQUEST: Time = 20;
/// What it takes to append a batch to the page cache,
const APPEND: Time = 100;
/// and how many bytes of it go there in a second.
const DISK_BYTES_PER_SECOND: u64 = 500_000_000;
/// A healthy disk's factor, in thousandths.
pub const HEALTHY_DISK: u64 = 1_000;
/// Never, in Kafka's settings.
pub const NEVER: i64 = i64::MAX;
/// What a message needs beside its records that a coordinator writes: roughly.
pub const SMALL_APPEND_BYTES: u64 = 100;

/// What a broker's work costs, and how much of it can be done at a time: its settings, with Kafka's names where Kafka has one.
#[derive(Clone, Debug)]
pub struct Costs {
    /// `num.network.threads`
    pub network_threads: u32,
    /// `num.io.threads`
    pub io_threads: usize,
    /// `queued.max.requests`
    pub queued_max: usize,
    /// `socket.request.max.bytes`
    pub request_max_bytes: u64,
    /// `socket.send.buffer.bytes`: so much of an answer is on its way before the first of it is confirmed.
    pub send_buffer: u64,
    /// `socket.receive.buffer.bytes`, the same for requests.
    pub receive_buffer: u64,
    /// `brokerlab.network.request.us`
    pub network_request: Time,
    /// `brokerlab.request.us`
    pub request: Time,
    /// `brokerlab.disk.append.us`
    pub append: Time,
    /// `brokerlab.disk.bytes.per.second`
    pub disk_bytes_per_second: u64,
    /// `brokerlab.disk.flush.us`
    pub flush: Time,
    /// `brokerlab.page.cache.expire.ms`
    pub page_expires: Time,
    /// What holds for logs whose topic does not say.
    pub flush_rule: FlushRule,
    /// `brokerlab.remote.latency.ms`: what each request of the remote store takes, and the store serves everybody at once,
    pub remote_latency: Time,
    /// `brokerlab.remote.bytes.per.second`: and how many bytes of it a broker sends there or gets from there in a second.
    pub remote_bytes_per_second: u64,
}

/// When a log is forced to disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlushRule {
    /// `log.flush.interval.messages`, of a topic `flush.messages`: after so many records.
    pub messages: i64,
    /// `log.flush.interval.ms`, of a topic `flush.ms`: after so long. `None`: never.
    pub after: Option<Time>,
}

impl FlushRule {
    /// The broker's rule with what a topic sets itself. Its settings were checked when it was made.
    pub fn of_topic(&self, configs: &OrderedMap<String, String>) -> FlushRule {
        let number = |name: &str| configs.get(name).and_then(|value| value.trim().parse::<i64>().ok());
        let after =
            number("flush.ms").map(|ms| Time::try_from(ms).ok().filter(|_| ms != NEVER).map(|ms| ms.saturating_mul(MS).min(1 << 60)));
        FlushRule { messages: number("flush.messages").unwrap_or(self.messages), after: after.unwrap_or(self.after) }
    }
}

impl Default for FlushRule {
    /// Kafka's: never by itself.
    fn default() -> FlushRule {
        FlushRule { messages: NEVER, after: None }
    }
}

impl Costs {
    /// What a request takes of a network thread beyond a healthy broker's.
    pub fn network_request(&self) -> Time {
        self.network_request.saturating_sub(NETWORK_REQUEST)
    }

    /// What a request takes of an io thread beyond a healthy broker's, the disk apart.
    pub fn request(&self) -> Time {
        self.request.saturating_sub(REQUEST)
    }

    /// What an append takes of the disk beyond a healthy one's; `factor` is how much slower it is, in thousandths.
    pub fn append(&self, bytes: u64, factor: u64) -> Time {
        let own = (self.append + transmission(bytes, self.disk_bytes_per_second)) * factor / HEALTHY_DISK;
        own.saturating_sub(APPEND + transmission(bytes, DISK_BYTES_PER_SECOND))
    }

    /// What it takes to force a log to disk. Nobody does so unless told to: all of it is charged.
    pub fn flush(&self, factor: u64) -> Time {
        self.flush * factor / HEALTHY_DISK
    }

    /// Whether anything takes longer than on a healthy broker.
    pub fn is_charged(&self, factor: u64) -> bool {
        let disk = HEALTHY_DISK < factor || APPEND < self.append || self.disk_bytes_per_second < DISK_BYTES_PER_SECOND;
        disk || self.flush_rule.messages != NEVER || self.request() != 0 || self.network_request() != 0
    }
}

/// How much longer a message takes that does not fit into the socket's buffer: a round trip for each time that the buffer is filled again.
pub fn windows(bytes: u64, buffer: u64, round_trip: Time) -> Time {
    (bytes.div_ceil(buffer.max(1)).max(1) - 1) * round_trip
}
