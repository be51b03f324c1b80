//! A session is its seed and its timed commands.

pub mod command;
