//! All that a condition may look at, gathered once for a whole check.
//!
//! Owns the access to messages and commands, so that conditions can be tried on hand-built views without an engine.

use crate::session::Session;
use crate::session::command::{Refusal, TimedCommand};
use crate::view::shape::{MessageView, PartitionView, View};
use crate::view::{self, MessageQuery};
use serde_json::{Map, Value};

/// Messages read of a partition for one condition: beyond this a level counts by offsets, not by reading.
const MESSAGES_MAX: usize = 10_000;

/// Reads a page of a partition's messages from an offset.
type Read<'a> = dyn Fn(&str, i32, i64) -> Result<Vec<MessageView>, Refusal> + 'a;

pub struct Facts<'a> {
    pub view: View,
    /// Those given since the level began, whether the time reached is past them or not.
    commands: &'a [TimedCommand],
    read: Box<Read<'a>>,
}

impl<'a> Facts<'a> {
    /// `start` is how many of the session's commands built the level's scene.
    pub fn of(session: &'a Session, start: usize) -> Facts<'a> {
        let read = |topic: &str, partition: i32, offset: i64| {
            let query = MessageQuery { topic: topic.to_owned(), partition, offset: Some(offset), max: Some(MESSAGES_MAX), isolation: None };
            view::messages(session, &query)
        };
        let commands = session.commands().get(start..).unwrap_or_default();
        Facts { view: view::view(session), commands, read: Box::new(read) }
    }

    #[cfg(test)]
    pub fn by_hand(view: View, commands: &'a [TimedCommand], messages: &'a [(&'a str, MessageView)]) -> Facts<'a> {
        let read = |topic: &str, partition: i32, offset: i64| {
            let wanted = |message: &MessageView| message.partition == partition && offset <= message.offset;
            Ok(messages.iter().filter(|(of, message)| *of == topic && wanted(message)).map(|(_, message)| message.clone()).collect())
        };
        Facts { view, commands, read: Box::new(read) }
    }

    /// A partition's data records from its start, markers left out.
    pub fn messages(&self, topic: &str, partition: &PartitionView) -> Result<Vec<MessageView>, String> {
        let start = partition.replicas.iter().find(|replica| Some(replica.broker) == partition.leader);
        let mut offset = start.map_or(0, |leader| leader.log_start_offset);
        let mut all = Vec::new();
        while all.len() < MESSAGES_MAX {
            let page = (self.read)(topic, partition.partition, offset).map_err(|refusal| refusal.message)?;
            let Some(last) = page.last() else { break };
            offset = last.offset + 1;
            all.extend(page.into_iter().filter(|message| message.control.is_none()));
        }
        Ok(all)
    }

    /// Commands given in the level, up to now, that have all these fields with these values.
    pub fn commands_like(&self, given: &Map<String, Value>) -> usize {
        self.commands.iter().filter(|timed| timed.at <= self.view.time && is_like(timed, given)).count()
    }
}

fn is_like(timed: &TimedCommand, given: &Map<String, Value>) -> bool {
    let fields = timed.command.to_value();
    given.iter().all(|(name, value)| fields.get(name) == Some(value))
}
