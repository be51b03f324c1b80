//! Send record.

use super::{
    field::Kind,
    form::{FieldSpec, Spec},
    topic_names,
};
use crate::session::command::{Command, Refusal};
use crate::web::shot::Shot;
use yew::AttrValue;

/// `producer` and `topic` are where it starts.
pub fn spec(producer: Option<String>, topic: Option<String>, shot: &Shot) -> Spec {
    let topics = topic_names(shot);
    let first = topic.or(topics.first().map(|t| t.0.to_string())).unwrap_or_default();
    let choice = |id: &String| (AttrValue::from(id.clone()), AttrValue::from(id.clone()));
    let producers =
        std::iter::once(("".into(), "a default producer".into())).chain(shot.view.producers.iter().map(|x| choice(&x.id))).collect();
    // Of all topics: which one is chosen is not known here, and the engine refuses a partition that is not there.
    let most = shot.view.topics.iter().filter(|t| !t.internal).map(|t| t.partitions.len()).max().unwrap_or(0);
    let partitions =
        std::iter::once(("".into(), "the partitioner decides".into())).chain((0..most).map(|i| choice(&i.to_string()))).collect();
    Spec {
        title: "Send record",
        fields: vec![
            FieldSpec::new("Key", "key", Kind::Text, "user-1", "Empty: no key. Equal keys go to one partition."),
            FieldSpec::new("Topic", "topic", Kind::One(topics), first, ""),
            FieldSpec::new("Producer", "producer", Kind::One(producers), producer.unwrap_or_default(), ""),
            FieldSpec::new("Partition", "partition", Kind::One(partitions), "", ""),
            FieldSpec::new("Value", "value", Kind::Area, "{}", ""),
            FieldSpec::new("Headers", "headers", Kind::Area, "", "name=value, one a line."),
        ],
        settings: &[],
        read: |v| {
            let mut headers = Vec::new();
            for (i, line) in v.raw("headers").lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
                let (name, value) =
                    line.split_once('=').ok_or_else(|| Refusal::argument("headers", format!("Line {} is not name=value.", i + 1)))?;
                headers.push((name.trim().to_owned(), Some(value.trim().into())));
            }
            Ok(Command::Send {
                producer: v.optional("producer"),
                topic: v.text("topic"),
                key: Some(v.raw("key")).filter(|k| !k.is_empty()).map(Into::into),
                value: Some(v.raw("value").into()),
                headers,
                partition: v.text("partition").parse().ok(),
                timestamp: None,
            })
        },
    }
}
