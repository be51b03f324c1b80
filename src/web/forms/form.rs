//! Forms that make a command, as data: which fields, their first values, and how a command is read from them.

use super::{
    field::{Kind, field, is_of},
    frame::{Frame, FrameProps},
    settings::{Setting, configs, settings},
};
use crate::ordered::OrderedMap;
use crate::session::command::{Command, Configs, Refusal};
use crate::web::tree::{html, mount};
use crate::web::{
    act::{Act, Dialog},
    shot::{Shared, Shot},
};
use std::rc::Rc;
use yew::prelude::*;

/// A form, made when its dialog opens and again with each new shot (choices follow the cluster).
pub struct Spec {
    pub title: &'static str,
    pub fields: Vec<FieldSpec>,
    /// Settings with fields of their own; none for forms without settings.
    pub settings: &'static [Setting],
    /// Reads the command, or says which field keeps it from being one.
    pub read: fn(&Values) -> Result<Command, Refusal>,
}

/// One field of a form.
pub struct FieldSpec {
    /// Kafka's name of the setting, or plain words.
    pub label: &'static str,
    /// The command's field that it fills and that refusals name.
    pub path: &'static str,
    pub kind: Kind,
    /// The value it opens with.
    pub first: String,
    pub help: AttrValue,
}

impl FieldSpec {
    pub fn new(label: &'static str, path: &'static str, kind: Kind, first: impl Into<String>, help: impl Into<AttrValue>) -> FieldSpec {
        FieldSpec { label, path, kind, first: first.into(), help: help.into() }
    }
}

/// What was typed, by path; settings under `configs.NAME`.
#[derive(Clone, PartialEq, Default)]
pub struct Values(pub OrderedMap<String, String>);

impl Values {
    pub fn text(&self, path: &str) -> String {
        self.0.get(path).map_or(String::new(), |v| v.trim().to_owned())
    }

    /// Absent where nothing was typed.
    pub fn optional(&self, path: &str) -> Option<String> {
        Some(self.text(path)).filter(|t| !t.is_empty())
    }

    /// As typed, spaces and all.
    pub fn raw(&self, path: &str) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }

    pub fn number<T: std::str::FromStr>(&self, path: &str, what: &str) -> Result<T, Refusal> {
        self.text(path).parse().map_err(|_| Refusal::argument(path, what))
    }

    /// A number with a fraction, absent where nothing was typed; the browser reads it, for the page's size.
    pub fn fraction(&self, path: &str, what: &str) -> Result<Option<f64>, Refusal> {
        let Some(typed) = self.optional(path) else { return Ok(None) };
        match f64::try_from(wasm_bindgen::JsValue::from(typed)) {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(Refusal::argument(path, what)),
        }
    }

    pub fn configs(&self, known: &[Setting]) -> Result<Configs, Refusal> {
        configs(self, known)
    }
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub dialog: Dialog,
    pub shot: Shared<Shot>,
    pub act: Callback<Act>,
    pub refusal: Option<Rc<Refusal>>,
}

/// Draws any form of this kind.
#[component]
pub fn Form(p: &Props) -> Html {
    let spec = super::spec(&p.dialog, &p.shot);
    let values = use_state(|| {
        let mut first = Values::default();
        for field in &spec.fields {
            first.0.insert(field.path.to_owned(), field.first.clone());
        }
        first
    });
    let command = (spec.read)(&values);
    let wrong = command.as_ref().err().cloned().map(Rc::new);
    let off = wrong.as_ref().map(|_| AttrValue::from("A field needs another value first."));
    let refusal = wrong.or(p.refusal.clone());
    let placed = refusal
        .as_ref()
        .and_then(|r| r.field.as_deref())
        .is_some_and(|f| spec.fields.iter().any(|s| is_of(f, s.path)) || (f.starts_with("configs") && !spec.settings.is_empty()));
    let set = |path: String| {
        let values = values.clone();
        Callback::from(move |value: String| {
            let mut next = (*values).clone();
            next.0.insert(path.clone(), value);
            values.set(next);
        })
    };
    let (wide, short): (Vec<_>, Vec<_>) = spec.fields.iter().enumerate().partition(|(_, f)| f.kind.wide());
    let draw = |(i, f): (usize, &FieldSpec)| {
        field(f.label, f.path, &f.kind, values.raw(f.path), set(f.path.to_owned()), &f.help, refusal.as_ref(), i == 0)
    };
    let children = html! {
        <div class="fieldset">{ for short.into_iter().map(draw) }</div>
        { for wide.into_iter().map(draw) }
        if !spec.settings.is_empty() { { settings(spec.settings, &values, &set, refusal.as_ref()) } }
    };
    mount::<Frame>(
        FrameProps {
            title: spec.title.into(),
            go: Some(spec.title.into()),
            command: Some(command),
            off,
            refusal: refusal.clone().filter(|_| !placed),
            act: p.act.clone(),
            children,
            ..FrameProps::default()
        },
        None,
    )
}
