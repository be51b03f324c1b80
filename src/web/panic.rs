//! A broken invariant stops the engine; this says so calmly instead of leaving a dead page.

use wasm_bindgen::JsValue;

/// Session storage: the newest save that was small enough, for the Export button of the message.
pub const RESCUE: &str = "brokerlab.rescue";

/// Logs the panic to the console and shows the message element of `index.html`.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        web_sys::console::error_1(&JsValue::from_str(&info.to_string()));
        let Some(document) = web_sys::window().and_then(|w| w.document()) else { return };
        if let Some(message) = document.get_element_by_id("stopped") {
            let _ = message.remove_attribute("hidden");
        }
    }));
}
