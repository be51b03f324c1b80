//! Help: the keyboard, and how to read the picture.

use super::frame::{Frame, FrameProps};
use crate::web::tree::{html, mount};
use crate::web::{act::Act, shortcuts};
use yew::prelude::*;

pub fn help(act: &Callback<Act>) -> Html {
    let children = html! {
        <div class="help-columns">
            <div>
                <h3>{ "Keyboard" }</h3>
                <dl class="keys-list">{ for shortcuts::LIST.iter().map(|(keys, what)| html! { <div><dt>{ for keys.split(' ').map(|k| html! { <kbd>{ k }</kbd> }) }</dt><dd>{ *what }</dd></div> }) }</dl>
            </div>
            <div class="prose">
                <h3>{ "The picture" }</h3>
                <p>{ "Each column is a broker, each row a partition. Where they cross lies a replica: its log, one cell per record. The star marks the leader, which producers and consumers talk to; the others copy from it." }</p>
                <p>{ "A full cell is committed: every in-sync replica has it. An outlined one is not yet. HW is the high watermark, LEO the log end offset. Cells of one colour and letter share a key, and so an order." }</p>
                <p>{ "Time is virtual. Nothing happens while it stands still, and everything can be seen again: drag the timeline, step, undo." }</p>
                <p>{ "The engine in this page stores Kafka’s own record batches and answers Kafka’s own requests. Scripts reach it as " }<code>{ "window.brokerlab" }</code>{ "." }</p>
            </div>
        </div>
    };
    mount::<Frame>(FrameProps { title: "Keyboard and help".into(), act: act.clone(), wide: true, children, ..FrameProps::default() }, None)
}
