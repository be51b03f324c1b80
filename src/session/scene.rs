//! The scene that the page opens with.

use super::command::{Cluster, Command, Configs, Saved, TimedCommand};

/// `user-events` with three partitions on three brokers, two producers, one group of two consumers, and ten seconds already lived.
pub fn default_scene() -> Saved {
    let users = ["user_1234", "user_5678", "user_9012", "user_123", "user_42", "user_7"].map(str::to_owned).to_vec();
    let at = |at: f64, command: Command| TimedCommand { at, command };
    let producer = |id: &str, rate: f64, value: &str, configs: &[(&str, &str)]| Command::AddProducer {
        id: id.to_owned(),
        topic: "user-events".to_owned(),
        records_per_second: Some(rate),
        keys: users.clone(),
        key_distribution: None,
        value: Some(value.to_owned()),
        change_data_capture: None,
        configs: given(configs),
    };
    let consumer = |id: &str| Command::AddConsumer {
        id: id.to_owned(),
        group: Some("analytics".to_owned()),
        topics: Some(vec!["user-events".to_owned()]),
        partitions: None,
        pattern: None,
        processing_ms: Some(20.0),
        configs: given(&[("auto.offset.reset", "earliest")]),
    };
    let topic = Command::CreateTopic {
        name: "user-events".to_owned(),
        partitions: 3,
        replication_factor: 3,
        configs: given(&[("min.insync.replicas", "2")]),
    };
    Saved {
        format: "brokerlab".to_owned(),
        version: 1,
        seed: 42,
        cluster: Cluster { brokers: 3, controllers: None, racks: None, configs: Configs::new(), start_timestamp: None },
        commands: vec![
            at(1_000.0, topic),
            at(1_500.0, producer("web-shop", 3.0, r#"{"event":"page_view","user":"{key}","n":{seq}}"#, &[("acks", "all")])),
            at(1_500.0, producer("mobile-app", 2.0, r#"{"event":"purchase","user":"{key}","amount":{rand}}"#, &[("acks", "1")])),
            at(2_000.0, consumer("analytics-1")),
            at(2_000.0, consumer("analytics-2")),
        ],
        until: 10_000.0,
    }
}

fn given(configs: &[(&str, &str)]) -> Configs {
    let mut given = Configs::new();
    given.extend(configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    given
}
