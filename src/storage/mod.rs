//! ONE replica's log. It knows offsets, epochs, times and bytes, and nothing of leaders, followers or requests.

mod cleaned_transactions;
mod compaction;
pub mod config;
mod epochs;
mod log;
mod lookup;
mod producers;
pub mod remote;
mod retention;
mod segment;
mod transactions;

pub use compaction::Compacted;
pub use config::LogConfig;
pub use epochs::{EpochEnd, EpochStart};
pub use log::{Batches, Log};
pub use lookup::Found;
pub use producers::{BATCHES_KEPT, ProducerState, Producers, Written};
pub use remote::{RemoteLog, RemoteSegment};
pub use retention::Deleted;
pub use segment::Segment;
pub use transactions::{EndedTransaction, Standing, Transactions};
