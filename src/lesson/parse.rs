//! The JSON in front of a level's file, into a [`Level`] and its parts.
//!
//! Owns the names of their fields. A slip in a level is an error that names its place; what a level means is not judged here.

use super::condition::Condition;
use super::{Attempt, Goal, Level, Narration, Prediction, Question};
use crate::session::command::Refusal;
use crate::session::fields::{Fields, FromValue, Read, object, quoted};
use serde_json::Value;

impl FromValue for Level {
    /// The slides stand behind the JSON: they are still to come.
    fn from_value(value: Value) -> Read<Level> {
        object(value, "A level", |fields| {
            // Those that may fail at once come first, while there is little to take back.
            let (start, solution, after) = (fields.try_take("start")?, fields.try_take("solution")?, fields.try_take("after")?);
            Ok(Level {
                id: fields.take("id"),
                title: fields.take("title"),
                chapter: fields.take("chapter"),
                concepts: fields.take("concepts"),
                requires: fields.optional("requires"),
                start,
                allow: fields.optional("allow"),
                slides: Vec::new(),
                goals: fields.take("goals"),
                never: fields.optional("never"),
                hints: fields.take("hints"),
                solution,
                par: fields.take("par"),
                wrong: fields.take("wrong"),
                narrate: fields.optional("narrate"),
                predict: fields.optional("predict"),
                after,
            })
        })
    }
}

impl FromValue for Goal {
    fn from_value(value: Value) -> Read<Goal> {
        object(value, "A goal", |fields| Ok(Goal { text: fields.take("text"), when: fields.try_take("when")? }))
    }
}

impl FromValue for Attempt {
    fn from_value(value: Value) -> Read<Attempt> {
        object(value, "An attempt", |fields| Ok(Attempt { commands: fields.take("commands"), until: fields.take("until") }))
    }
}

impl FromValue for Narration {
    fn from_value(value: Value) -> Read<Narration> {
        object(value, "A narration", |fields| Ok(Narration { on: fields.take("on"), say: fields.take("say") }))
    }
}

impl FromValue for Prediction {
    fn from_value(value: Value) -> Read<Prediction> {
        object(value, "A prediction", |fields| {
            Ok(Prediction { before: fields.take("before"), ask: fields.take("ask"), answer: fields.take("answer") })
        })
    }
}

impl FromValue for Question {
    fn from_value(value: Value) -> Read<Question> {
        object(value, "A question", |fields| Ok(Question { ask: fields.take("ask"), answer: fields.take("answer") }))
    }
}

impl FromValue for Condition {
    fn from_value(value: Value) -> Read<Condition> {
        object(value, "A condition of this type", |fields| {
            let kind: String = fields.try_take("type")?;
            condition(&kind, fields)
        })
    }
}

fn condition(kind: &str, fields: &mut Fields) -> Read<Condition> {
    Ok(match kind {
        "records" => Condition::Records {
            topic: fields.take("topic"),
            partition: fields.optional("partition"),
            key: fields.optional("key"),
            count: fields.take("count"),
        },
        "eachPartition" => Condition::EachPartition { topic: fields.take("topic"), records: fields.take("records") },
        "placedByKey" => Condition::PlacedByKey { topic: fields.take("topic") },
        "leader" => Condition::Leader {
            topic: fields.take("topic"),
            partition: fields.take("partition"),
            is: fields.optional("is"),
            is_not: fields.optional("isNot"),
        },
        "leaderships" => Condition::Leaderships { topic: fields.take("topic"), broker: fields.take("broker"), count: fields.take("count") },
        "leaderEpoch" => {
            Condition::LeaderEpoch { topic: fields.take("topic"), partition: fields.optional("partition"), epoch: fields.take("epoch") }
        }
        "isr" => Condition::Isr {
            topic: fields.take("topic"),
            partition: fields.optional("partition"),
            contains: fields.optional("contains"),
            equals: fields.optional("equals"),
            size: fields.optional("size"),
        },
        "broker" => Condition::Broker { broker: fields.take("broker"), state: fields.take("state") },
        "consumed" => Condition::Consumed { consumer: fields.take("consumer"), count: fields.take("count") },
        "position" => Condition::Position {
            consumer: fields.take("consumer"),
            topic: fields.take("topic"),
            partition: fields.take("partition"),
            offset: fields.take("offset"),
        },
        "groupState" => Condition::GroupState { group: fields.take("group"), state: fields.take("state") },
        "groupMembers" => Condition::GroupMembers { group: fields.take("group"), count: fields.take("count") },
        "groupGeneration" => Condition::GroupGeneration { group: fields.take("group"), generation: fields.take("generation") },
        "eachMemberOwns" => Condition::EachMemberOwns { group: fields.take("group"), partitions: fields.take("partitions") },
        "idleMembers" => Condition::IdleMembers { group: fields.take("group"), count: fields.take("count") },
        "committed" => Condition::Committed {
            group: fields.take("group"),
            topic: fields.take("topic"),
            partition: fields.take("partition"),
            offset: fields.take("offset"),
        },
        "lag" => Condition::Lag { group: fields.take("group"), records: fields.take("records") },
        "acknowledged" => Condition::Acknowledged { producer: fields.take("producer"), count: fields.take("count") },
        "failed" => Condition::Failed { producer: fields.take("producer"), count: fields.take("count") },
        "logHoldsAcknowledged" => Condition::LogHoldsAcknowledged { topic: fields.take("topic") },
        "command" => Condition::Command { given: fields.take("given"), count: fields.take("count") },
        "all" => Condition::All { of: fields.take("of") },
        "any" => Condition::Any { of: fields.take("of") },
        _ => return Err(Refusal::argument("type", format!("There is no condition {}.", quoted(kind))).into()),
    })
}
