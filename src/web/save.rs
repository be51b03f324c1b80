//! Things that leave the page: the clipboard, a downloaded file, the rescue copy for after the engine has stopped.

use gloo::file::{Blob, ObjectUrl};
use gloo::storage::{SessionStorage, Storage};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// Session storage: the newest save that was small enough. `boot.js` offers it when the engine has stopped.
const RESCUE: &str = "brokerlab.rescue";
/// A rescue copy larger than this is not kept: writing it would be felt.
const RESCUE_MAX: usize = 1 << 20;

/// Puts a text on the clipboard, where the browser lets the page.
pub fn copy(text: &str) {
    if let Some(window) = web_sys::window() {
        // The promise may be refused by the person; the text stays selectable on the page.
        let _ = window.navigator().clipboard().write_text(text);
    }
}

/// Hands a file to the person.
pub fn download(name: &str, text: &str) {
    let Some(document) = web_sys::window().and_then(|w| w.document()) else { return };
    let Ok(link) = document.create_element("a") else { return };
    let url = ObjectUrl::from(Blob::new_with_options(text, Some("application/json")));
    let _ = link.set_attribute("href", &url);
    let _ = link.set_attribute("download", name);
    link.unchecked_ref::<HtmlElement>().click();
    // The browser reads the address after this turn; dropping it now would take it back too early.
    gloo::timers::callback::Timeout::new(10_000, move || drop(url)).forget();
}

/// Keeps the newest save for the message that the engine has stopped. Where there is none, or one that is too large, an older one would be
/// another session: none is left.
pub fn keep(text: Option<&str>) {
    // Private windows may refuse storage; there is no other place to keep it.
    let storage = SessionStorage::raw();
    let _ = match text.filter(|text| text.len() <= RESCUE_MAX) {
        Some(text) => storage.set_item(RESCUE, text),
        None => storage.remove_item(RESCUE),
    };
}
