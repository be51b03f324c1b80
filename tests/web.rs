#![cfg(target_arch = "wasm32")]
//! The engine inside a browser: the same history as natively, and the same calm about bad input.

mod hostile;
mod trace_table;

use brokerlab::session::{Session, default_scene};
use brokerlab::view;
use serde::Serialize;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn the_history_is_the_native_one() {
    trace_table::check();
}

#[wasm_bindgen_test]
fn malformed_commands_are_refused_or_harmless() {
    assert!(900 < hostile::malformed_commands(1_000));
}

#[wasm_bindgen_test]
fn damaged_sessions_are_refused_or_still_sessions() {
    assert!(70 < hostile::damaged_sessions(100));
}

#[wasm_bindgen_test]
fn a_view_becomes_plain_objects() {
    let session = Session::load(&default_scene()).expect("the scene");
    let object = view::view(&session).serialize(&serde_wasm_bindgen::Serializer::json_compatible()).expect("plain objects");
    let text = String::from(js_sys::JSON::stringify(&object).expect("JSON"));
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["brokers"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["time"].as_f64(), Some(10_000.0));
    assert!(json["producers"][0]["configs"]["acks"].is_string(), "settings are plain fields, not a Map");
}

#[wasm_bindgen_test]
fn levels_are_read_in_the_browser_too() {
    let files = [include_str!("../www/lessons/01-keys.md").to_owned(), "no level".to_owned()];
    assert_eq!(
        brokerlab::lesson::install(&files, |text| serde_json::from_str(text).map_err(|error| error.to_string())).len(),
        1,
        "what cannot be read is left out and told"
    );
    assert_eq!(brokerlab::lesson::levels().iter().map(|level| level.id.as_str()).collect::<Vec<_>>(), ["keys"]);
}
