//! Brokerlab: a Kafka-compatible broker cluster that runs inside a browser tab.

pub mod broker;
pub mod client;
pub mod controller;
pub mod coordinator;
pub mod lesson;
pub mod node;
pub mod ordered;
pub mod protocol;
pub mod replica;
pub mod session;
pub mod sim;
pub mod storage;
pub mod view;
#[cfg(target_arch = "wasm32")]
pub mod web;
