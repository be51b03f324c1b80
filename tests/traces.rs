#![cfg(not(target_arch = "wasm32"))]
//! The engine's history, as a number that is the same on every machine: the browser's tests check the same table.

mod trace_table;

#[test]
fn the_default_scene_has_the_hashes_of_the_table() {
    trace_table::check();
}
