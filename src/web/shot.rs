//! One look at the session: what all panels of one render draw from, taken once and shared.

use super::{
    act::{Browse, EventFilter, Selection, Tab},
    import_job::Progress,
    keys::Keys,
    lesson_run::LessonShot,
};
use crate::session::command::{Command, Refusal};
use crate::view::{EventView, Mark, MessageView, Picture, View};
use std::ops::Deref;
use std::rc::Rc;
use yew::AttrValue;

/// What the panels draw. Built by the root after each change, at most about fifteen times a second while time runs.
pub struct Shot {
    pub view: View,
    pub picture: Picture,
    pub marks: Vec<Mark>,
    pub can_undo: bool,
    pub can_redo: bool,
    /// Names and colours of the keys seen so far.
    pub keys: Keys,
    /// Cells in a strip.
    pub cells: usize,
    pub show_internal: bool,
    pub tab: Tab,
    pub filter: EventFilter,
    /// Newest first; filled while the Events tab is open.
    pub events: Vec<EventView>,
    /// The line a screen reader hears, changed at a gentle pace.
    pub spoken: AttrValue,
    pub browse: Browse,
    /// Filled while the Messages tab is open.
    pub messages: Result<Vec<MessageView>, Refusal>,
    pub selection: Option<Selection>,
    /// The record or event that is selected, if it still exists.
    pub record: Option<MessageView>,
    pub event: Option<EventView>,
    pub lesson: LessonShot,
    pub import: Option<Progress>,
    /// The last command as a shell line.
    pub line: Option<Rc<str>>,
}

impl Shot {
    /// Why the open lesson does not allow a command, if it does not.
    pub fn forbids(&self, command: &Command) -> Option<AttrValue> {
        self.lesson.level?.allows(command).err().map(AttrValue::from)
    }
}

/// Compares by identity: two renders with the same shot have nothing to tell apart, and a new shot is always news.
pub struct Shared<T>(Rc<T>);

impl<T> Shared<T> {
    pub fn new(value: T) -> Shared<T> {
        Shared(Rc::new(value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared(self.0.clone())
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Shared<T>) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
