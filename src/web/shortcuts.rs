//! The keyboard: one list that the help shows and the page obeys.

use super::act::{Act, Dialog};
use crate::session::StepKind;
use gloo::events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast;
use web_sys::KeyboardEvent;
use yew::Callback;

/// Keys and what they do, as the help lists them.
pub const LIST: &[(&str, &str)] = &[
    ("Space", "Play or pause"),
    ("→", "Step to the next event"),
    ("Shift →", "Step to the next request"),
    ("Ctrl →", "Step until something interesting"),
    ("←", "Step back to the event before"),
    ("↑ ↓", "Faster, slower"),
    ("Ctrl Z", "Undo the last command"),
    ("Ctrl Shift Z", "Redo"),
    ("Esc", "Close what is open"),
    ("?", "This list"),
];

/// Listens on the whole document. `speed` tells the present speed.
pub fn listen(act: Callback<Act>, speed: impl Fn() -> f64 + 'static) -> Option<EventListener> {
    let document = web_sys::window()?.document()?;
    Some(EventListener::new_with_options(&document, "keydown", EventListenerOptions::enable_prevent_default(), move |event| {
        let Some(event) = event.dyn_ref::<KeyboardEvent>() else { return };
        if let Some(ask) = meaning(event, &speed) {
            event.prevent_default();
            act.emit(ask);
        }
    }))
}

fn meaning(event: &KeyboardEvent, speed: &impl Fn() -> f64) -> Option<Act> {
    let focus = event.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok());
    let within = |selector: &str| focus.as_ref().is_some_and(|f| f.closest(selector).ok().flatten().is_some());
    // An open dialog keeps all keys, wherever the focus is, and so does what is typed into.
    if dialog_open() || within("textarea, select, input:not([type=range]):not([type=checkbox])") {
        return None;
    }
    let control = event.ctrl_key() || event.meta_key();
    let key = event.key();
    match key.as_str() {
        "z" | "Z" if control => return Some(if event.shift_key() { Act::Redo } else { Act::Undo }),
        "y" if control => return Some(Act::Redo),
        "?" => return Some(Act::Open(Dialog::Help)),
        "Escape" => return Some(Act::Select(None)),
        _ => {}
    }
    // What has the focus may use these keys itself: buttons Space, sliders and tabs the arrows.
    let uses_arrows = within("input[type=range], [role=tablist]");
    match key.as_str() {
        " " if !within("button, a, summary, input, [role=button]") => Some(Act::TogglePlay),
        "ArrowRight" if !uses_arrows => Some(Act::Step(match (control, event.shift_key()) {
            (true, _) => StepKind::Interesting,
            (_, true) => StepKind::Request,
            _ => StepKind::Event,
        })),
        "ArrowLeft" if !uses_arrows => Some(Act::StepBack),
        // The page itself and tables scroll with these.
        "ArrowUp" if !uses_arrows && !within(".scroll") => Some(Act::Speed((speed() * 1.5).min(1000.0))),
        "ArrowDown" if !uses_arrows && !within(".scroll") => Some(Act::Speed((speed() / 1.5).max(0.001))),
        _ => None,
    }
}

fn dialog_open() -> bool {
    web_sys::window().and_then(|w| w.document()).and_then(|d| d.query_selector("dialog[open]").ok().flatten()).is_some()
}
