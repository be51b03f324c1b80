//! ONE replica's log. It knows offsets, epochs and bytes, and nothing of leaders, followers or requests.

mod log;

pub use log::{EpochEnd, EpochStart, Log};
