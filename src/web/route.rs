//! The address: `#/` is free play, `#/lesson/ID` a lesson.

use crate::lesson::Level;

/// The level that the address names; an unknown one is free play.
pub fn level() -> Option<&'static Level> {
    let hash = web_sys::window()?.location().hash().ok()?;
    super::lesson_run::level(hash.strip_prefix("#/lesson/")?)
}

/// The address of a level.
pub fn of(level: &Level) -> String {
    format!("#/lesson/{}", level.id)
}

/// Back to free play, without a trace of the lesson in the address.
pub fn leave() {
    if let Some(window) = web_sys::window() {
        // Only the part after `#` changes: the page stays.
        let _ = window.location().set_hash("/");
    }
}
