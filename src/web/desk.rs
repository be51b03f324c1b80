//! What the page remembers besides the session: open tab, selection, filters, names of keys. From both it takes the [`Shot`].

use super::{
    act::{Browse, EventFilter, Selection, Tab},
    clock::now_ms,
    import_job::ImportJob,
    keys::Keys,
    lesson_run::LessonRun,
    shot::Shot,
};
use crate::session::{Session, command::Refusal};
use crate::view::{self, MessageQuery, MessageView, View};
use std::rc::Rc;
use yew::AttrValue;

/// Between two spoken lines, for a screen reader.
const SPEAK_MS: f64 = 4000.0;
/// Events looked through for that line.
const EVENTS_HEARD: u64 = 100;
/// Events shown while time runs (the eye cannot follow more) and while it stands.
const EVENTS_RUNNING: usize = 16;
const EVENTS_STANDING: usize = 250;
const MESSAGES_SHOWN: i64 = 100;
/// Cells per strip before the page was measured.
const CELLS: usize = 10;

pub struct Desk {
    pub lesson: LessonRun,
    pub import: Option<ImportJob>,
    /// The last command as a shell line.
    pub line: Option<Rc<str>>,
    pub keys: Keys,
    /// Cells that fit into a strip.
    pub cells: usize,
    pub show_internal: bool,
    pub tab: Tab,
    pub filter: EventFilter,
    pub browse: Browse,
    pub selection: Option<Selection>,
    spoken: AttrValue,
    spoken_at: f64,
}

impl Desk {
    pub fn new() -> Desk {
        Desk {
            lesson: LessonRun::new(),
            import: None,
            line: None,
            keys: Keys::default(),
            cells: CELLS,
            show_internal: false,
            tab: Tab::Events,
            filter: EventFilter::Records,
            browse: Browse::default(),
            selection: None,
            spoken: "".into(),
            spoken_at: f64::NEG_INFINITY,
        }
    }

    /// Looks at the session once, for one render.
    pub fn look(&mut self, session: &Session) -> Shot {
        let view = view::view(session);
        let picture = view::picture(session, self.cells);
        self.keys.learn(session, &picture);
        if !view.topics.iter().any(|t| t.name == self.browse.topic) {
            self.browse = Browse { topic: view.topics.first().map_or(String::new(), |t| t.name.clone()), ..Browse::default() };
        }
        let events = if self.tab == Tab::Events { self.events(session) } else { Vec::new() };
        self.speak(session);
        let messages = if self.tab == Tab::Messages { self.messages(session, &view) } else { Ok(Vec::new()) };
        let record = match &self.selection {
            Some(Selection::Record { topic, partition, offset }) => {
                let query =
                    MessageQuery { topic: topic.clone(), partition: *partition, offset: Some(*offset), max: Some(1), isolation: None };
                // A record that cannot be read now has no fields to show; the inspector says so.
                view::messages(session, &query).ok().and_then(|found| found.into_iter().find(|m| m.offset == *offset))
            }
            _ => None,
        };
        let event = match self.selection {
            Some(Selection::Event(index)) => view::events(session, index, 1).into_iter().find(|e| e.index == index),
            _ => None,
        };
        Shot {
            marks: view::marks(session),
            can_undo: session.can_undo(),
            can_redo: session.can_redo(),
            lesson: self.lesson.shot(session),
            keys: self.keys.clone(),
            cells: self.cells,
            show_internal: self.show_internal,
            tab: self.tab,
            filter: self.filter,
            events,
            spoken: self.spoken.clone(),
            browse: self.browse.clone(),
            messages,
            selection: self.selection.clone(),
            record,
            event,
            import: self.import.as_ref().map(ImportJob::progress),
            line: self.line.clone(),
            view,
            picture,
        }
    }

    /// The newest events that pass the filter, newest first.
    fn events(&self, session: &Session) -> Vec<view::EventView> {
        let most = if session.playing { EVENTS_RUNNING } else { EVENTS_STANDING };
        view::newest_events(session, |kind| self.filter.passes(kind), most)
    }

    /// Chooses the line that a screen reader hears next: the newest turning point, else the newest event.
    fn speak(&mut self, session: &Session) {
        let now = now_ms();
        if now - self.spoken_at < SPEAK_MS {
            return;
        }
        let events = view::events(session, session.event_count().saturating_sub(EVENTS_HEARD), EVENTS_HEARD as usize);
        let turning = |e: &&view::EventView| EventFilter::Turning.passes(e.kind);
        if let Some(newest) = events.iter().rev().find(turning).or(events.last()) {
            self.spoken = newest.text.clone().into();
            self.spoken_at = now;
        }
    }

    fn messages(&self, session: &Session, view: &View) -> Result<Vec<MessageView>, Refusal> {
        let browse = &self.browse;
        let Some(topic) = view.topics.iter().find(|t| t.name == browse.topic) else { return Ok(Vec::new()) };
        let end = topic
            .partitions
            .iter()
            .find(|p| p.partition == browse.partition)
            .and_then(|p| p.replicas.iter().map(|r| r.log_end_offset).max())
            .unwrap_or(0);
        let query = MessageQuery {
            topic: browse.topic.clone(),
            partition: browse.partition,
            offset: Some(browse.offset.unwrap_or((end - MESSAGES_SHOWN).max(0))),
            max: Some(MESSAGES_SHOWN as usize),
            isolation: None,
        };
        let mut found = view::messages(session, &query)?;
        if browse.offset.is_none() {
            found.reverse();
        }
        Ok(found)
    }
}
