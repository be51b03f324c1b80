//! Add consumer.

use super::{
    field::Kind,
    form::{FieldSpec, Spec},
    free_name,
    settings::CONSUMER,
    topic_names,
};
use crate::session::command::Command;
use crate::web::shot::Shot;

pub fn spec(shot: &Shot) -> Spec {
    let topics = topic_names(shot);
    let first = topics.first().map_or(String::new(), |t| t.0.to_string());
    let name = free_name("consumer", |n| shot.view.consumers.iter().any(|x| x.id == n));
    let groups = shot.view.groups.iter().map(|g| g.id.as_str()).collect::<Vec<_>>().join(", ");
    let help = if groups.is_empty() {
        "Members of one group share its partitions.".to_owned()
    } else {
        format!("Here: {groups}. A new name starts a new group.")
    };
    let group = shot.view.groups.first().map_or("group-1".to_owned(), |g| g.id.clone());
    Spec {
        title: "Add consumer",
        fields: vec![
            FieldSpec::new("Name", "id", Kind::Text, name, "Its client.id."),
            FieldSpec::new("Group", "group", Kind::Text, group, help),
            FieldSpec::new(
                "Milliseconds per record",
                "processingMs",
                Kind::Number,
                "",
                "What the application spends on each; empty: nothing.",
            ),
            FieldSpec::new("Topics", "topics", Kind::Many(topics), first, ""),
            FieldSpec::new("Topic pattern", "pattern", Kind::Text, "", "A regular expression, instead of the topics below."),
        ],
        settings: CONSUMER,
        read: |v| {
            Ok(Command::AddConsumer {
                id: v.text("id"),
                group: v.optional("group"),
                topics: v.optional("pattern").is_none().then(|| v.text("topics").lines().map(str::to_owned).collect()),
                partitions: None,
                pattern: v.optional("pattern"),
                processing_ms: v.fraction("processingMs", "Milliseconds per record is a number.")?,
                configs: v.configs(CONSUMER)?,
            })
        },
    }
}
