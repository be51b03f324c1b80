//! Add producer.

use super::{
    field::Kind,
    form::{FieldSpec, Spec},
    free_name,
    settings::PRODUCER,
    topic_names,
};
use crate::session::command::Command;
use crate::web::shot::Shot;

pub fn spec(shot: &Shot) -> Spec {
    let topics = topic_names(shot);
    let first = topics.first().map_or(String::new(), |t| t.0.to_string());
    let name = free_name("producer", |n| shot.view.producers.iter().any(|x| x.id == n));
    Spec {
        title: "Add producer",
        fields: vec![
            FieldSpec::new("Name", "id", Kind::Text, name, "Its client.id."),
            FieldSpec::new("Topic", "topic", Kind::One(topics), first, "Where its records go."),
            FieldSpec::new("Records per second", "recordsPerSecond", Kind::Number, "5", "Empty: it sends only what you hand it."),
            FieldSpec::new("Keys", "keys", Kind::Text, "user-1, user-2, user-3", "Separated by commas; empty: no keys."),
            FieldSpec::new("Value", "value", Kind::Area, "{\"seq\":{seq},\"key\":\"{key}\"}", "{seq}, {key} and {rand} are filled in."),
        ],
        settings: PRODUCER,
        read: |v| {
            Ok(Command::AddProducer {
                id: v.text("id"),
                topic: v.text("topic"),
                records_per_second: v.fraction("recordsPerSecond", "Records per second is a number.")?,
                keys: v.text("keys").split(',').map(str::trim).filter(|k| !k.is_empty()).map(str::to_owned).collect(),
                value: v.optional("value"),
                configs: v.configs(PRODUCER)?,
            })
        },
    }
}
