//! The session: start over, keep it as a file, open one.

use super::{
    Props,
    frame::{Frame, FrameProps},
};
use crate::web::tree::{html, mount};
use crate::web::{
    act::Act,
    parts::{count, short_time},
};
use gloo::file::{
    Blob,
    callbacks::{FileReader, read_as_text},
};
use std::rc::Rc;
use web_sys::HtmlInputElement;
use yew::prelude::*;

#[component]
pub fn SessionDialog(p: &Props) -> Html {
    // Dropping the reader would stop it.
    let reader = use_state(|| None::<Rc<FileReader>>);
    let wrong = use_state(|| None::<String>);
    let onchange = {
        let (act, reader, wrong) = (p.act.clone(), reader.clone(), wrong.clone());
        move |event: Event| {
            let input = event.target_unchecked_into::<HtmlInputElement>();
            let Some(file) = input.files().and_then(|f| f.get(0)) else { return };
            let (act, wrong) = (act.clone(), wrong.clone());
            reader.set(Some(Rc::new(read_as_text(&Blob::from(web_sys::Blob::from(file)), move |text| match text {
                Ok(text) => act.emit(Act::LoadText(text.into())),
                Err(error) => wrong.set(Some(error.to_string())),
            }))));
        }
    };
    let view = &p.shot.view;
    let children = html! {
        <p class="prose">{ format!("Seed {}, {} of virtual time, {}. A session is its seed and its commands: the file replays to exactly this state.", view.seed, short_time(view.latest), count(view.topics.len() as u64, "topic", "topics")) }</p>
        <div class="row wrap">
            <Button class="line" icon="export" name="Export session" text="Export session" ask={Act::Export} act={&p.act} />
            <label class="btn line file">{ "Open session file" }<input type="file" accept=".json,application/json" {onchange} /></label>
            <Button class="line" icon="restart" name="Start over" text="Start over" title="Leave this session for a fresh one" ask={Act::StartOver} act={&p.act} />
        </div>
        if let Some(wrong) = &*wrong { <p class="refusal" role="alert">{ wrong }</p> }
    };
    mount::<Frame>(
        FrameProps { title: "Session".into(), act: p.act.clone(), refusal: p.refusal.clone(), children, ..FrameProps::default() },
        None,
    )
}
