//! Small parts that many panels use: icons, buttons that say why they are off, chips, and how times and sizes are written.

use super::{
    act::Act,
    memo::{Draw, memo},
    tree::{classes, html},
};
use yew::prelude::{AttrValue, Callback, Html, MouseEvent};
use yew::virtual_dom::Key;

/// An icon of `icons.svg`; decoration, the name stands on what holds it.
pub fn icon(name: &'static str) -> Html {
    html! { <svg class="icon" aria-hidden="true"><use href={format!("icons.svg#{name}")} /></svg> }
}

/// A button that emits one [`Act`]; [`html`] sets what is written beside `<Button`.
#[derive(PartialEq)]
pub struct Button {
    name: AttrValue,
    ask: Act,
    act: Callback<Act>,
    icon: Option<&'static str>,
    text: Option<AttrValue>,
    class: &'static str,
    off: Option<AttrValue>,
    title: Option<AttrValue>,
    key: Option<AttrValue>,
}

impl Default for Button {
    fn default() -> Button {
        let none = || None;
        Button {
            name: "".into(),
            ask: Act::Look,
            act: Callback::noop(),
            icon: None,
            text: none(),
            class: "",
            off: none(),
            title: none(),
            key: none(),
        }
    }
}

impl Button {
    /// The accessible name.
    pub fn name(&mut self, name: impl Into<AttrValue>) {
        self.name = name.into();
    }

    /// What it asks.
    #[inline(never)]
    pub fn ask(&mut self, ask: Act) {
        self.ask = ask;
    }

    /// Whom it asks.
    #[inline(never)]
    pub fn act(&mut self, act: &Callback<Act>) {
        self.act = act.clone();
    }

    pub fn icon(&mut self, icon: &'static str) {
        self.icon = Some(icon);
    }

    /// Shown as text; without it the icon stands alone and the name becomes the tooltip.
    pub fn text(&mut self, text: impl Into<AttrValue>) {
        self.text = Some(text.into());
    }

    pub fn class(&mut self, class: &'static str) {
        self.class = class;
    }

    /// Why it would do nothing; the button then is off but can still be reached and asked.
    #[inline(never)]
    pub fn off(&mut self, off: Option<AttrValue>) {
        self.off = off;
    }

    pub fn title(&mut self, title: impl Into<AttrValue>) {
        self.title = Some(title.into());
    }

    /// What it is known by among its siblings.
    pub fn key(&mut self, key: impl Into<AttrValue>) {
        self.key = Some(key.into());
    }

    #[inline(never)]
    pub fn node(self) -> Html {
        let key = self.key.as_deref().map(Key::from);
        memo(self, key)
    }
}

impl Draw for Button {
    fn draw(&self) -> Html {
        let onclick = {
            let (act, ask, off) = (self.act.clone(), self.ask.clone(), self.off.is_some());
            move |event: MouseEvent| {
                event.stop_propagation();
                if !off {
                    act.emit(ask.clone());
                }
            }
        };
        let why = self.off.as_ref().map(|_| format!("why-{}", self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
        let title = self.off.clone().or(self.title.clone()).or_else(|| self.text.is_none().then(|| self.name.clone()));
        // The visible text already is the name in most places; a second copy of it would only be noise in the tree.
        let label = (self.text.as_ref() != Some(&self.name)).then(|| self.name.clone());
        html! {
            <>
                <button type="button" class={classes!("btn", self.class, self.text.is_none().then_some("only-icon"))} {onclick} {title}
                    aria-label={label} aria-disabled={self.off.as_ref().map(|_| "true")} aria-describedby={why.clone()}>
                    { self.icon.map(icon) }
                    { self.text.clone() }
                </button>
                if let (Some(id), Some(reason)) = (why, self.off.clone()) {
                    <span {id} hidden="">{ reason }</span>
                }
            </>
        }
    }
}

/// A short fact in a pill; `kind` is `ok`, `warn`, `bad` or empty.
pub fn chip(kind: &'static str, text: impl Into<AttrValue>) -> Html {
    html! { <span class={classes!("chip", kind)}>{ text.into() }</span> }
}

/// The pill's kind for a state of groups, members, brokers.
pub fn state_kind(state: &str) -> &'static str {
    match state {
        "Stable" | "running" | "Assigned" | "STABLE" | "IN_TRANSACTION" | "Ongoing" => "ok",
        "Dead" | "Crashed" | "crashed" | "FATAL_ERROR" => "bad",
        "Empty" | "Paused" | "stopped" | "READY" | "CompleteCommit" | "CompleteAbort" => "",
        _ => "warn",
    }
}

/// Virtual milliseconds as a clock reads them: `00:14.802`, with microseconds where they matter.
pub fn clock_text(ms: f64) -> String {
    let micros = (ms * 1000.0).round() as u64;
    let (minutes, seconds, millis) = (micros / 60_000_000, micros / 1_000_000 % 60, micros / 1000 % 1000);
    format!("{minutes:02}:{seconds:02}.{millis:03}")
}

/// The same, short, for columns: `14.802` or `1:02.003`.
pub fn short_time(ms: f64) -> String {
    let micros = (ms * 1000.0).round() as u64;
    let (minutes, seconds, millis) = (micros / 60_000_000, micros / 1_000_000 % 60, micros / 1000 % 1000);
    if minutes > 0 { format!("{minutes}:{seconds:02}.{millis:03}") } else { format!("{seconds}.{millis:03}") }
}

/// Kafka's epoch milliseconds as UTC: `2026-01-01 00:00:14.802`.
pub fn date_text(timestamp: i64) -> String {
    let date = js_sys::Date::new(&(timestamp as f64).into());
    if date.get_time().is_nan() {
        return timestamp.to_string();
    }
    String::from(date.to_iso_string()).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// `1,204`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `11.8 KB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KB", fixed(bytes as f64 / 1024.0, 1)),
        _ => format!("{} MB", fixed(bytes as f64 / 1_048_576.0, 1)),
    }
}

/// `1 record`, `2 records`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// `1, 2, 3`.
pub fn list(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

/// A number with so many digits after the point. The browser writes it: Rust's own code for it is a fiftieth of the page.
pub fn fixed(x: f64, digits: u8) -> String {
    // The range of digits is the only thing that can be wrong here.
    js_sys::Number::from(x).to_fixed(digits).map(String::from).unwrap_or_default()
}
