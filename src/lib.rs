//! Brokerlab: a Kafka-compatible broker cluster that runs inside a browser tab.

pub mod protocol;
pub mod session;
pub mod view;
#[cfg(target_arch = "wasm32")]
pub mod web;
