//! Add producer.

use super::{
    field::Kind,
    form::{FieldSpec, Spec},
    free_name,
    settings::PRODUCER,
    topic_names,
};
use crate::client::KeyDistribution;
use crate::session::command::Command;
use crate::web::shot::Shot;

const PLACES: &str = "{seq}, {key}, {client}, {time}, {rand}, {int:1..6}, {float:0.00..9.99} and {choice:a|b} are filled in.";

pub fn spec(shot: &Shot) -> Spec {
    let topics = topic_names(shot);
    let first = topics.first().map_or(String::new(), |t| t.0.to_string());
    let distributions = KeyDistribution::ALL.map(|one| (one.name().into(), one.name().into())).to_vec();
    let sends = vec![("".into(), "records".into()), ("rows".into(), "changes of a table’s rows".into())];
    let name = free_name("producer", |n| shot.view.producers.iter().any(|x| x.id == n));
    Spec {
        title: "Add producer",
        fields: vec![
            FieldSpec::new("Name", "id", Kind::Text, name, "Its client.id."),
            FieldSpec::new("Topic", "topic", Kind::One(topics), first, "Where its records go."),
            FieldSpec::new("Records per second", "recordsPerSecond", Kind::Number, "5", "Empty: it sends only what you hand it."),
            FieldSpec::new("Keys", "keys", Kind::Text, "user-1, user-2, user-3", "Separated by commas; empty: no keys."),
            FieldSpec::new(
                "Key distribution",
                "keyDistribution",
                Kind::One(distributions),
                "uniform",
                "How often each comes; zipf: hot keys first.",
            ),
            FieldSpec::new("Sends", "changeDataCapture", Kind::One(sends), "", "Change data capture: keys name rows."),
            FieldSpec::new("Value", "value", Kind::Area, "{\"seq\":{seq},\"key\":\"{key}\"}", PLACES),
        ],
        settings: PRODUCER,
        read: |v| {
            Ok(Command::AddProducer {
                id: v.text("id"),
                topic: v.text("topic"),
                records_per_second: v.fraction("recordsPerSecond", "Records per second is a number.")?,
                keys: v.text("keys").split(',').map(str::trim).filter(|k| !k.is_empty()).map(str::to_owned).collect(),
                key_distribution: KeyDistribution::ALL.into_iter().skip(1).find(|one| one.name() == v.text("keyDistribution")),
                value: v.optional("value"),
                change_data_capture: v.optional("changeDataCapture").map(|_| true),
                configs: v.configs(PRODUCER)?,
            })
        },
    }
}
