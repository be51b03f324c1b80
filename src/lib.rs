//! Brokerlab: a Kafka-compatible broker cluster that runs inside a browser tab.
//!
//! The engine is *sans-IO*: it has no clock, no randomness, no browser and no socket of its own. Time is an argument, chance is a seed, and a
//! session is that seed with the commands that were given. Everything else hangs on that: replay, rewind, saved files, lessons, tests.
//!
//! # The map, in reading order (each room knows only those above it)
//!
//! - [`mutant`]: deliberate faults, to see what the invariants are worth
//! - [`ordered`]: a map and a set in one sorted vector
//! - [`protocol`]: Kafka's words and bytes
//! - [`node`]: what every node is, `(now, input) -> outputs`
//! - [`cost`]: what everything takes, in time and bytes
//! - [`storage`]: one replica's log
//! - [`controller`]: the cluster's metadata, decided by one controller and committed by a quorum of one or three
//! - [`replica`]: a partition's leader and followers, high watermark, ISR
//! - [`coordinator`]: groups and their committed offsets, transactional ids and their transactions
//! - [`broker`]: one node: requests find their way to the rooms above
//! - [`client`]: producer and consumer, nodes of the same world
//! - [`sim`]: the world around them: virtual time, events, network, trace
//! - [`check`]: what must never happen, looked at after every event
//! - [`session`]: seed and timed commands: play, seek, undo, save
//! - [`view`]: world to plain structs for a screen
//! - [`lesson`]: levels as data, goals as predicates on the view
//! - `web`: the page, Yew and canvas (wasm32 only)
//!
//! # Invariants
//!
//! - No room names a later one; the engine names no clock, thread, browser, socket or unordered map (`tests/tidy.rs` reads the tree).
//! - Only [`session`] changes a world. Screens read [`view`]'s structs and send commands.
//! - The same seed and commands give the same trace hash, native and wasm, live and replayed.
//! - Every queue, buffer and loop has a limit that is named in one place.
//! - User input cannot panic: it gets an error that says what and where. A broken invariant of our own asserts; the page then stops at once and
//!   says so (`www/boot.js`), with the newest copy of the session to take away.

// A view is one macro call with hundreds of tokens.
#![cfg_attr(target_arch = "wasm32", recursion_limit = "1024")]

pub mod mutant;
pub mod ordered;
pub mod protocol;

pub mod node;

pub mod cost;

pub mod storage;

pub mod controller;

pub mod replica;

pub mod coordinator;

pub mod broker;

pub mod client;

pub mod sim;

pub mod check;

pub mod session;

pub mod view;

pub mod lesson;

#[cfg(target_arch = "wasm32")]
pub mod web;
