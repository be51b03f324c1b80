//! World to plain structs for a screen.

pub mod shape;
