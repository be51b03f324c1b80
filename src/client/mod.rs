//! Kafka's clients, as nodes of the same world: what they know of the cluster they learned by asking.
//!
//! Owns producer, consumer, partitioner and assignor. A client must not look into a broker or the controller. Source: the Java clients
//! (`KafkaProducer`, `RecordAccumulator`, `Sender`; `ClassicKafkaConsumer`, `ConsumerCoordinator`, `Fetcher`).

mod accumulator;
mod aggregate;
pub mod assignor;
mod compression_ratio;
pub mod consumer;
mod flush;
mod generator;
mod idempotence;
pub mod links;
pub mod network;
pub mod partitioner;
pub mod processor;
pub mod producer;
mod sending;
mod table;
mod template;
mod transactional;
pub mod transactions;

pub use aggregate::{Aggregate, Fold};
pub use consumer::{Consumer, ConsumerConfig};
pub use generator::{Generator, KeyDistribution};
pub use processor::Processor;
pub use producer::{Producer, ProducerConfig};
pub use table::Table;
pub use template::Template;
