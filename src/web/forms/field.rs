//! One field of a form: its name, what it means, and what was wrong with it.

use crate::session::command::Refusal;
use crate::web::tree::{classes, html};
use std::rc::Rc;
use web_sys::{HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};
use yew::prelude::*;

/// How a field is filled in.
pub enum Kind {
    Text,
    Number,
    /// Several lines.
    Area,
    /// Value and text of each choice.
    One(Vec<(AttrValue, AttrValue)>),
    /// Any of these; the value is the chosen ones, one a line.
    Many(Vec<(AttrValue, AttrValue)>),
}

impl Kind {
    /// Takes the form's whole width.
    pub fn wide(&self) -> bool {
        matches!(self, Kind::Area | Kind::Many(_))
    }
}

pub fn field(
    label: &'static str,
    path: &str,
    kind: &Kind,
    value: &str,
    on: Callback<String>,
    help: &str,
    refusal: Option<&Rc<Refusal>>,
    focus: bool,
) -> Html {
    let id = format!("field-{}", label.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let wrong = refusal.filter(|r| r.field.as_deref().is_some_and(|f| is_of(f, path)));
    let note = format!("{id}-note");
    let described = (wrong.is_some() || !help.is_empty()).then(|| note.clone());
    let invalid = wrong.map(|_| "true");
    let value = value.to_owned();
    let control = match kind {
        Kind::Text | Kind::Number => {
            let oninput = on.reform(|e: InputEvent| e.target_unchecked_into::<HtmlInputElement>().value());
            // An input of type "number" hides what it cannot parse; text with a numeric keyboard keeps it for the refusal.
            let mode = matches!(kind, Kind::Number).then_some("decimal");
            html! { <input class="field" id={id.clone()} inputmode={mode} {value} {oninput} autocomplete="off" spellcheck="false" autofocus={focus} aria-describedby={described} aria-invalid={invalid} /> }
        }
        Kind::Area => {
            let oninput = on.reform(|e: InputEvent| e.target_unchecked_into::<HtmlTextAreaElement>().value());
            html! { <textarea class="field mono" id={id.clone()} rows="3" {value} {oninput} spellcheck="false" aria-describedby={described} aria-invalid={invalid} /> }
        }
        Kind::One(choices) => {
            let onchange = on.reform(|e: Event| e.target_unchecked_into::<HtmlSelectElement>().value());
            html! { <select class="field" id={id.clone()} {onchange} aria-describedby={described} aria-invalid={invalid}>
            { for choices.iter().map(|(v, text)| html! { <option value={v.clone()} selected={**v == *value}>{ text }</option> }) }</select> }
        }
        Kind::Many(choices) => return many(label, choices, &value, &on, wrong),
    };
    html! {
        <div class={classes!("form-field", kind.wide().then_some("full"))} key={label}>
            <label for={id}>{ label }</label>
            { control }
            if let Some(refusal) = wrong { <p class="refusal" role="alert" id={note}><b>{ &refusal.code }</b>{ " " }{ &refusal.message }</p> }
            else if !help.is_empty() { <p class="help" id={note}>{ help.to_owned() }</p> }
        </div>
    }
}

fn many(label: &'static str, choices: &[(AttrValue, AttrValue)], value: &str, on: &Callback<String>, wrong: Option<&Rc<Refusal>>) -> Html {
    let chosen: Rc<[String]> = value.lines().map(str::to_owned).collect();
    let toggle = |choice: &AttrValue| {
        let (choice, chosen) = (choice.to_string(), chosen.clone());
        on.reform(move |event: Event| {
            let mut next: Vec<&str> = chosen.iter().map(String::as_str).filter(|c| *c != choice).collect();
            if event.target_unchecked_into::<HtmlInputElement>().checked() {
                next.push(&choice);
            }
            next.join("\n")
        })
    };
    html! {
        <fieldset class="choices" key={label}><legend>{ label }</legend>
            { for choices.iter().map(|(v, text)| html! { <label class="check" key={v.to_string()}><input type="checkbox" checked={chosen.iter().any(|c| *c == **v)} onchange={toggle(v)} />{ text }</label> }) }
            if choices.is_empty() { <span class="dim">{ "There is nothing to choose yet." }</span> }
            if let Some(refusal) = wrong { <p class="refusal" role="alert"><b>{ &refusal.code }</b>{ " " }{ &refusal.message }</p> }
        </fieldset>
    }
}

/// Whether a refusal's path means this field: the field itself, or something inside it.
pub fn is_of(path: &str, field: &str) -> bool {
    !field.is_empty() && (path == field || path.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '['])))
}
