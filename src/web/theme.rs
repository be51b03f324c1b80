//! Light or dark: the system's choice until the person makes one, which is kept.

use gloo::storage::{LocalStorage, Storage};

const KEY: &str = "brokerlab.theme";

fn root() -> Option<web_sys::Element> {
    web_sys::window()?.document()?.document_element()
}

fn set(theme: &str) {
    if let Some(root) = root() {
        let _ = root.set_attribute("data-theme", theme);
    }
}

/// Puts the kept choice back.
pub fn restore() {
    if let Ok(Some(theme)) = LocalStorage::raw().get_item(KEY) {
        set(&theme);
    }
}

pub fn is_dark() -> bool {
    match root().and_then(|r| r.get_attribute("data-theme")).as_deref() {
        Some(theme) => theme == "dark",
        None => prefers("(prefers-color-scheme: dark)"),
    }
}

pub fn toggle() {
    let theme = if is_dark() { "light" } else { "dark" };
    set(theme);
    // A browser that keeps nothing still shows the choice until it is closed.
    let _ = LocalStorage::raw().set_item(KEY, theme);
}

/// The person asked for less motion.
pub fn reduced_motion() -> bool {
    prefers("(prefers-reduced-motion: reduce)")
}

fn prefers(query: &str) -> bool {
    web_sys::window().and_then(|w| w.match_media(query).ok().flatten()).is_some_and(|m| m.matches())
}
