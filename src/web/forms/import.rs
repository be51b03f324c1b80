//! Import records: paste or drop a file, see how it is read, watch it go in.

use super::{
    Props,
    field::{Kind, field},
    frame::{Frame, FrameProps},
    topic_names,
};
use crate::session::command::{Command, ImportFormat};
use crate::web::tree::{html, mount};
use crate::web::{
    act::{Act, ImportAct},
    import_job::{Progress, fields, guess},
    parts::{count, number, size},
};
use gloo::file::{
    Blob,
    callbacks::{FileReader, read_as_text},
};
use std::rc::Rc;
use web_sys::{DragEvent, File, HtmlInputElement, HtmlTextAreaElement};
use yew::prelude::*;

/// Lines of a file shown before it is sent.
const PREVIEW: usize = 4;

/// Where the text came from.
#[derive(Clone, PartialEq, Default)]
struct Source {
    name: Option<String>,
    text: Rc<str>,
}

#[component]
pub fn Import(p: &Props) -> Html {
    let topics = topic_names(&p.shot);
    let source = use_state(Source::default);
    let format = use_state(|| ImportFormat::Jsonl);
    let topic = use_state(|| topics.first().map_or(String::new(), |t| t.0.to_string()));
    let key = use_state(String::new);
    let reader = use_state(|| None::<Rc<FileReader>>);
    let wrong = use_state(|| None::<String>);
    let take = {
        let (source, format, key, wrong) = (source.clone(), format.clone(), key.clone(), wrong.clone());
        Callback::from(move |new: Source| {
            let guessed = guess(new.name.as_deref(), &new.text);
            format.set(guessed);
            let offered = fields(&new.text, guessed);
            if !offered.contains(&*key) {
                key.set(String::new());
            }
            wrong.set(None);
            source.set(new);
        })
    };
    let read = {
        let (take, reader, wrong) = (take.clone(), reader.clone(), wrong.clone());
        Callback::from(move |file: File| {
            let (take, wrong, name) = (take.clone(), wrong.clone(), file.name());
            reader.set(Some(Rc::new(read_as_text(&Blob::from(web_sys::Blob::from(file)), move |text| match text {
                Ok(text) => take.emit(Source { name: Some(name), text: text.into() }),
                Err(error) => wrong.set(Some(error.to_string())),
            }))));
        })
    };
    let onfile = {
        let read = read.clone();
        move |event: Event| {
            if let Some(file) = event.target_unchecked_into::<HtmlInputElement>().files().and_then(|f| f.get(0)) {
                read.emit(file);
            }
        }
    };
    let ondrop = move |event: DragEvent| {
        event.prevent_default();
        if let Some(file) = event.data_transfer().and_then(|d| d.files()).and_then(|f| f.get(0)) {
            read.emit(file);
        }
    };
    let ondragover = |event: DragEvent| event.prevent_default();
    let onpaste =
        take.reform(|event: InputEvent| Source { name: None, text: event.target_unchecked_into::<HtmlTextAreaElement>().value().into() });
    let offered = fields(&source.text, *format);
    let keys = std::iter::once(("".into(), "(none)".into()))
        .chain(offered.iter().map(|f| (AttrValue::from(f.clone()), AttrValue::from(f.clone()))))
        .collect();
    let key_field = (!key.is_empty()).then(|| (*key).clone());
    let sample = Command::Import { topic: (*topic).clone(), format: *format, text: "".into(), key_field: key_field.clone() };
    let running = p.shot.import.as_ref().is_some_and(|i| i.running);
    let off: Option<AttrValue> = if running {
        Some("An import is under way.".into())
    } else if source.text.trim().is_empty() {
        Some("Paste text or choose a file first.".into())
    } else if topic.is_empty() {
        Some("There is no topic to send to.".into())
    } else {
        p.shot.forbids(&sample)
    };
    let on_go = {
        let (act, source, format, topic) = (p.act.clone(), source.clone(), *format, (*topic).clone());
        Callback::from(move |()| {
            act.emit(Act::Import(ImportAct::Start {
                text: source.text.clone(),
                format,
                topic: topic.clone(),
                key_field: key_field.clone(),
            }))
        })
    };
    let set = |state: &UseStateHandle<String>| {
        let state = state.clone();
        Callback::from(move |value| state.set(value))
    };
    let on_format = {
        let format = format.clone();
        Callback::from(move |value: String| format.set(if value == "csv" { ImportFormat::Csv } else { ImportFormat::Jsonl }))
    };
    let children = html! {
        <div class="drop" {ondrop} {ondragover}>
            if let Some(name) = &source.name {
                <div class="row"><b class="clip grow">{ name }</b><span class="dim">{ size(source.text.len() as u64) }</span>
                    <button type="button" class="btn line" onclick={take.reform(|_| Source::default())}>{ "Paste instead" }</button></div>
                <pre class="value" tabindex="0">{ source.text.lines().take(PREVIEW).map(|l| l.chars().take(160).collect::<String>()).collect::<Vec<_>>().join("\n") }</pre>
            } else {
                <label for="import-text">{ "Records" }</label>
                <textarea id="import-text" class="field mono" rows="6" spellcheck="false" placeholder="{\"user\":\"ann\",\"page\":\"/\"}" value={source.text.to_string()} oninput={onpaste} />
            }
            <div class="row"><label class="btn line file">{ "Choose a file" }<input type="file" accept=".jsonl,.ndjson,.json,.csv,text/*" onchange={onfile} /></label><span class="dim fine">{ "or drop one here: JSON lines or CSV" }</span></div>
            if let Some(wrong) = &*wrong { <p class="refusal" role="alert">{ wrong }</p> }
        </div>
        <div class="fieldset three">
            { field("Format", "", &Kind::One(vec![("jsonl".into(), "JSON lines".into()), ("csv".into(), "CSV".into())]), if *format == ImportFormat::Csv { "csv" } else { "jsonl" }, on_format, "", None, false) }
            { field("Topic", "", &Kind::One(topics), &topic, set(&topic), "", None, false) }
            { field("Key field", "", &Kind::One(keys), &key, set(&key), "", None, false) }
        </div>
        if let Some(progress) = &p.shot.import { { report(progress) } }
    };
    mount::<Frame>(
        FrameProps {
            title: "Import records".into(),
            go: Some("Import".into()),
            wide: true,
            command: Some(Ok(sample)),
            on_go: Some(on_go),
            off,
            cancel: if running { Act::Import(ImportAct::Cancel) } else { Act::Close },
            refusal: p.shot.import.as_ref().and_then(|i| i.refusal.clone()).map(Rc::new),
            act: p.act.clone(),
            children,
        },
        None,
    )
}

/// How far it is, and what did not go in.
fn report(i: &Progress) -> Html {
    let word = if i.running {
        "Importing"
    } else if i.cancelled {
        "Cancelled"
    } else if i.refusal.is_some() {
        "Stopped"
    } else {
        "Done"
    };
    html! {
        <div class="report" role="status">
            <div class="row"><b>{ word }</b><span class="grow">{ format!("{} sent, {} not sent", number(i.sent), number(i.not_sent)) }</span></div>
            <progress max={i.total.to_string()} value={i.done.to_string()} aria-label="Import progress"></progress>
            if !i.rejected.is_empty() {
                <div class="scroll rejected" tabindex="0"><table><thead><tr><th class="num">{ "Line" }</th><th>{ "Why it was not sent" }</th></tr></thead>
                    <tbody>{ for i.rejected.iter().map(|(line, why)| html! { <tr><td class="num mono">{ *line }</td><td>{ why }</td></tr> }) }</tbody></table>
                    if i.not_sent > i.rejected.len() as u64 { <p class="dim fine">{ format!("and {} more", count(i.not_sent - i.rejected.len() as u64, "line", "lines")) }</p> }</div>
            }
        </div>
    }
}
