//! The world around the nodes: virtual time, the event queue, the network between them, chance and the trace.
//!
//! It must not know what a message means: it carries messages, rings timers, and lets processes crash and start, and machines come and go.

mod decided;
mod errand;
mod faults;
mod machines;
mod network;
mod processors;
mod queue;
mod summary;
mod trace;
mod world;

pub use decided::Decided;
pub use faults::MessageFault;
pub use network::{CERTAIN, DROPS_MAX, DropNext, End, LINKS_MAX, Link, Odds};
pub use trace::{MARKS_MAX, Mark, NOTES_MAX, Trace, TracePoint};
pub use world::{Application, ClientNode, Flight, ProcessState, World, WorldConfig};
