//! Kafka settings in a form: the few that matter most as fields of their own, all others as lines of `name=value`.

use super::{
    field::{Kind, field},
    form::Values,
};
use crate::session::command::{Configs, Refusal};
use crate::web::tree::html;
use std::rc::Rc;
use yew::prelude::*;

/// A setting with a field of its own.
pub struct Setting {
    pub name: &'static str,
    /// Kafka's default, shown and not sent.
    pub default: &'static str,
    /// Its values, where there are few.
    pub choices: &'static [&'static str],
    pub help: &'static str,
}

pub const TOPIC: &[Setting] = &[
    Setting {
        name: "min.insync.replicas",
        default: "1",
        choices: &[],
        help: "Replicas that must have a record before acks=all is answered.",
    },
    Setting {
        name: "cleanup.policy",
        default: "delete",
        choices: &["delete", "compact"],
        help: "Old records are deleted, or the newest of each key is kept.",
    },
];

pub const PRODUCER: &[Setting] = &[
    Setting { name: "acks", default: "all", choices: &["all", "1", "0"], help: "Who must have a record before it counts as sent." },
    Setting { name: "linger.ms", default: "5", choices: &[], help: "How long a batch waits for company." },
    Setting { name: "batch.size", default: "16384", choices: &[], help: "Bytes of a full batch." },
    Setting { name: "enable.idempotence", default: "true", choices: &["true", "false"], help: "A retry never writes a record twice." },
    Setting { name: "transactional.id", default: "", choices: &[], help: "Records count together or not at all. Empty: no transactions." },
    Setting {
        name: "compression.type",
        default: "none",
        choices: &["none", "gzip", "snappy", "lz4", "zstd"],
        help: "How batches are packed.",
    },
    Setting {
        name: "partitioner.class",
        default: "default",
        choices: &["default", "RoundRobinPartitioner"],
        help: "Which partition a record goes to.",
    },
];

pub const CONSUMER: &[Setting] = &[
    Setting {
        name: "auto.offset.reset",
        default: "latest",
        choices: &["latest", "earliest", "none"],
        help: "Where reading starts without a committed offset.",
    },
    Setting {
        name: "group.protocol",
        default: "classic",
        choices: &["classic", "consumer", "share"],
        help: "Who shares partitions out: a member, or the coordinator. A share group shares out records.",
    },
    Setting { name: "enable.auto.commit", default: "true", choices: &["true", "false"], help: "Offsets are committed in the background." },
    Setting { name: "auto.commit.interval.ms", default: "5000", choices: &[], help: "How often." },
    Setting { name: "max.poll.records", default: "500", choices: &[], help: "Records handed over at once." },
    Setting { name: "session.timeout.ms", default: "45000", choices: &[], help: "Silence after which a member counts as dead." },
    Setting {
        name: "isolation.level",
        default: "read_uncommitted",
        choices: &["read_uncommitted", "read_committed"],
        help: "Whether records of open transactions are seen.",
    },
];

/// Where the free lines are kept among the values.
const MORE: &str = "configs";

/// The settings that differ from Kafka's defaults.
pub fn configs(values: &Values, known: &[Setting]) -> Result<Configs, Refusal> {
    let mut out = Configs::new();
    for setting in known {
        let typed = values.text(&path(setting.name));
        if !typed.is_empty() && typed != setting.default {
            out.insert(setting.name.to_owned(), typed);
        }
    }
    for (i, line) in values.raw(MORE).lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                out.insert(name.trim().to_owned(), value.trim().to_owned());
            }
            _ => return Err(Refusal::argument(MORE, format!("Line {} is not name=value.", i + 1))),
        }
    }
    Ok(out)
}

fn path(name: &str) -> String {
    format!("configs.{name}")
}

/// The fields of `known`, and the free lines.
pub fn settings(known: &[Setting], values: &Values, set: &impl Fn(String) -> Callback<String>, refusal: Option<&Rc<Refusal>>) -> Html {
    // A refusal of a setting without a field of its own belongs to the free lines, and opens them.
    let strange = refusal.and_then(|r| r.field.as_deref()).is_some_and(|f| f.starts_with(MORE) && !known.iter().any(|s| f == path(s.name)));
    let one = |s: &Setting| {
        let kind = if s.choices.is_empty() {
            Kind::Text
        } else {
            Kind::One(s.choices.iter().map(|c| (AttrValue::Static(c), AttrValue::Static(c))).collect())
        };
        let path = path(s.name);
        let value = values.0.get(&path).map_or(s.default, String::as_str);
        field(s.name, &path, &kind, value, set(path.clone()), s.help, refusal, false)
    };
    html! {
        <>
            <div class="fieldset">{ for known.iter().map(one) }</div>
            <details class="more" open={strange || !values.raw(MORE).is_empty()}>
                <summary>{ "More settings" }</summary>
                { field("Other settings", if strange { MORE } else { "" }, &Kind::Area, values.raw(MORE), set(MORE.to_owned()), "Any other Kafka setting, one name=value a line.", refusal, false) }
            </details>
        </>
    }
}
