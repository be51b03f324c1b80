//! Everything a person can ask of the page, as values: buttons carry one, shortcuts and `window.brokerlab` send one, the root obeys.

use crate::session::{
    StepKind,
    command::{Command, ImportFormat},
};
use std::rc::Rc;

/// One request to the root component.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    /// One animation frame, with the browser's time stamp in milliseconds.
    Frame(f64),
    /// The session changed behind the page's back (`window.brokerlab`), or the layout did: look again.
    Look,
    /// A script has given a command.
    Commanded,
    /// Something scrolled: what the canvas knows of the layout is stale.
    Scrolled,
    /// Another session stands in its place.
    Replaced,
    /// A command from a button; a refusal appears beside the picture.
    Do(Command),
    /// A command from the open dialog; a refusal appears in it, success closes it.
    Submit(Command),
    TogglePlay,
    Step(StepKind),
    StepBack,
    /// Back to where the scene began; what was done stays and can be played again.
    Restart,
    Speed(f64),
    /// To a virtual time in milliseconds.
    Seek(f64),
    Undo,
    Redo,
    Open(Dialog),
    Close,
    Select(Option<Selection>),
    Tab(Tab),
    Filter(EventFilter),
    Browse(Browse),
    ToggleInternal,
    ToggleTheme,
    Copy(Rc<str>),
    DismissAlert,
    /// The address changed.
    Route,
    Lesson(LessonAct),
    Import(ImportAct),
    StartOver,
    Export,
    LoadText(Rc<str>),
}

/// What the lesson drawer's buttons ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LessonAct {
    ToggleDrawer,
    Slide(usize),
    Hint,
    Solution,
    Reset,
}

/// What the import dialog asks.
#[derive(Clone, PartialEq, Debug)]
pub enum ImportAct {
    Start { text: Rc<str>, format: ImportFormat, topic: String, key_field: Option<String> },
    Cancel,
}

/// What the inspector shows.
#[derive(Clone, PartialEq, Debug)]
pub enum Selection {
    Record {
        topic: String,
        partition: i32,
        offset: i64,
    },
    Partition {
        topic: String,
        partition: i32,
        broker: Option<i32>,
    },
    Topic(String),
    Broker(i32),
    Producer(String),
    Consumer(String),
    Group(String),
    /// By its absolute index in the trace.
    Event(u64),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Dialog {
    CreateTopic,
    AddProducer,
    AddConsumer,
    /// Opened from a producer's card or a topic, it starts there.
    SendRecord {
        producer: Option<String>,
        topic: Option<String>,
    },
    Import,
    Session,
    Help,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tab {
    Events,
    Topics,
    Messages,
    Groups,
    Brokers,
}

impl Tab {
    pub const ALL: [Tab; 5] = [Tab::Events, Tab::Topics, Tab::Messages, Tab::Groups, Tab::Brokers];

    pub fn name(self) -> &'static str {
        match self {
            Tab::Events => "Events",
            Tab::Topics => "Topics",
            Tab::Messages => "Messages",
            Tab::Groups => "Groups",
            Tab::Brokers => "Brokers",
        }
    }
}

/// Which lines of the trace the Events table shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventFilter {
    /// What changes the cluster's shape: elections, ISR changes, rebalances, errors, commands.
    Turning,
    /// The same and the life of records, without the requests that carry them.
    Records,
    Everything,
}

/// What the Messages table shows.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Browse {
    /// Empty: the first topic.
    pub topic: String,
    pub partition: i32,
    /// `None`: the newest.
    pub offset: Option<i64>,
}
