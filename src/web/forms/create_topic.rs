//! Create topic.

use super::{
    field::Kind,
    form::{FieldSpec, Spec},
    free_name,
    settings::TOPIC,
};
use crate::session::command::Command;
use crate::web::shot::Shot;

pub fn spec(shot: &Shot) -> Spec {
    let brokers = shot.view.brokers.len();
    let name = free_name("topic", |n| shot.view.topics.iter().any(|t| t.name == n));
    Spec {
        title: "Create topic",
        fields: vec![
            FieldSpec::new("Topic", "name", Kind::Text, name, "Letters, digits, dots, dashes and underscores."),
            FieldSpec::new("Partitions", "partitions", Kind::Number, "3", "Logs that share the records; keys choose among them."),
            FieldSpec::new(
                "Replication factor",
                "replicationFactor",
                Kind::Number,
                brokers.clamp(1, 3).to_string(),
                format!("Copies of each partition; there are {brokers} brokers."),
            ),
        ],
        settings: TOPIC,
        read: |v| {
            Ok(Command::CreateTopic {
                name: v.text("name"),
                partitions: v.number("partitions", "Partitions is a whole number, 1 or more.")?,
                replication_factor: v.number("replicationFactor", "Replication factor is a whole number, 1 or more.")?,
                configs: v.configs(TOPIC)?,
            })
        },
    }
}
