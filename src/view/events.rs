//! Notes of the trace as lines to read, and as marks on the timeline.

use super::millis;
use super::shape::EventView;
use super::words;
use crate::node::Note;
use crate::session::Session;
use crate::sim::World;

/// A point on the timeline.
#[derive(Clone, PartialEq, Debug)]
pub struct Mark {
    /// Virtual milliseconds.
    pub time: f64,
    pub kind: &'static str,
    pub text: String,
}

/// Up to `max` events from index `since` on, oldest first; those no longer kept are left out.
pub fn events(session: &Session, since: u64, max: usize) -> Vec<EventView> {
    session.trace().since(since).take(max).map(|(index, note)| event(session.world(), index, note)).collect()
}

/// The newest `max` events of the kinds that pass, newest first. Only those get words: a screen asks many times a second.
pub fn newest_events(session: &Session, passes: impl Fn(&str) -> bool, max: usize) -> Vec<EventView> {
    let wanted = session.trace().newest().filter(|(_, note)| passes(words::kind(&note.kind)));
    wanted.take(max).map(|(index, note)| event(session.world(), index, note)).collect()
}

/// Elections, rebalances, errors and what the user did, in order.
pub fn marks(session: &Session) -> Vec<Mark> {
    let mark = |note: &Note| Mark { time: millis(note.time), kind: words::kind(&note.kind), text: words::short(session.world(), note) };
    session.trace().marks().map(|known| mark(&known.note)).collect()
}

fn event(world: &World, index: u64, note: &Note) -> EventView {
    let (topic, partition) = words::place(&note.kind);
    EventView {
        index,
        time: millis(note.time),
        kind: words::kind(&note.kind),
        node: world.name(note.node),
        text: words::sentence(world, note),
        topic,
        partition,
        error: words::error(&note.kind),
        detail: words::detail(world, &note.kind),
    }
}
