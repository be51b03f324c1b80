//! The page: Yew for what is read or clicked, one canvas for what moves.
//!
//! Owns the screen and nothing else: the session decides, [`crate::view`] tells, and everything here is drawn from those structs. A click becomes
//! an [`act::Act`], the root component turns it into a [`crate::session::command::Command`], and the next [`shot::Shot`] shows what came of it.
//!
//! A list beside other children is collected into a node of its own: `{ for ... }` would splice it in among them, and one more item would then
//! shift its siblings into each other's places and make them anew, focus and all.
//!
//! In reading order: [`app`] is the root and the only holder of the session; [`act`] is what can be asked of it and [`shot`] what it shows;
//! [`clock`] is the one animation frame loop and [`memo`] spares it from drawing the same again; then the panels, from the header down to the
//! dialogs; [`automation`] is `window.brokerlab`.

pub mod act;
mod app;
mod automation;
mod cells;
mod clock;
mod cluster;
mod desk;
mod dock;
mod events;
mod flight;
mod forms;
mod groups;
mod header;
mod import_job;
mod inspector;
mod js;
mod kafka_line;
mod keys;
mod lesson;
mod lesson_run;
mod markdown;
mod memo;
mod messages;
mod parts;
mod producers;
mod route;
mod save;
mod shortcuts;
pub mod shot;
mod strip;
mod tables;
mod theme;
mod timeline;
mod tree;

use wasm_bindgen::JsValue;

/// Puts the page into the document.
pub fn start() {
    theme::restore();
    open_lessons();
    // The root empties the element it is put into; the messages of index.html stand beside it.
    if let Some(place) = web_sys::window().and_then(|w| w.document()).and_then(|d| d.get_element_by_id("app")) {
        yew::Renderer::<app::App>::with_root(place).render();
    }
}

/// Takes the levels that `boot.js` has fetched.
fn open_lessons() {
    let fetched = js_sys::Reflect::get(&js_sys::global(), &JsValue::from_str("brokerlabLessons")).unwrap_or_default();
    let files: Vec<String> = js_sys::Array::from(&fetched).iter().filter_map(|file| file.as_string()).collect();
    for slip in crate::lesson::install(&files, js::parse) {
        web_sys::console::error_1(&JsValue::from_str(&slip));
    }
}
