//! The frame of all dialogs: a modal `dialog` element with a form, the shell line of what it will do, and its buttons.

use super::super::{act::Act, kafka_line, producers::command_line};
use crate::session::command::{Command, Refusal};
use crate::web::tree::{classes, html};
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{HtmlDialogElement, HtmlElement};
use yew::prelude::*;

#[derive(Properties, PartialEq)]
pub struct FrameProps {
    pub title: AttrValue,
    pub act: Callback<Act>,
    pub children: Html,
    /// The text of the button that sends the form; without one there is nothing to send.
    pub go: Option<AttrValue>,
    /// What sending it does, or what is wrong with it.
    pub command: Option<Result<Command, Refusal>>,
    /// Called instead of sending the command.
    pub on_go: Option<Callback<()>>,
    /// What the Cancel button asks.
    pub cancel: Act,
    /// Why the button is off.
    pub off: Option<AttrValue>,
    /// A refusal that belongs to none of the fields shown.
    pub refusal: Option<Rc<Refusal>>,
    pub wide: bool,
}

impl Default for FrameProps {
    fn default() -> FrameProps {
        FrameProps {
            title: "".into(),
            act: Callback::noop(),
            children: Html::default(),
            go: None,
            command: None,
            on_go: None,
            cancel: Act::Close,
            off: None,
            refusal: None,
            wide: false,
        }
    }
}

#[component]
pub fn Frame(p: &FrameProps) -> Html {
    let place = use_node_ref();
    {
        let place = place.clone();
        use_effect_with((), move |()| {
            if let Some(dialog) = place.cast::<HtmlDialogElement>() {
                // It is freshly in the document and closed: opening cannot fail.
                let _ = dialog.show_modal();
            }
        });
    }
    let oncancel = p.act.reform(|event: Event| {
        event.prevent_default();
        Act::Close
    });
    let onsubmit = {
        let (act, command, on_go, off) = (p.act.clone(), p.command.clone(), p.on_go.clone(), p.off.is_some());
        move |event: SubmitEvent| {
            event.prevent_default();
            match (&on_go, &command) {
                _ if off => {}
                (Some(on_go), _) => on_go.emit(()),
                (None, Some(Ok(command))) => act.emit(Act::Submit(command.clone())),
                _ => {}
            }
        }
    };
    let line: Option<Rc<str>> = p.command.as_ref().and_then(|c| c.as_ref().ok()).map(|c| kafka_line::of(c).into());
    html! {
        <dialog class={classes!("dialog", p.wide.then_some("wide"))} ref={place} aria-labelledby="dialog-title" {oncancel}>
            <form {onsubmit} novalidate="">
                <div class="drawer-head"><h2 class="grow" id="dialog-title">{ &p.title }</h2><Button icon="close" name="Close" title="Close (Esc)" ask={Act::Close} act={&p.act} /></div>
                <div class="dialog-body scroll">
                    { p.children.clone() }
                    if let Some(refusal) = &p.refusal { <p class="refusal" role="alert"><b>{ &refusal.code }</b>{ " " }{ &refusal.message }</p> }
                    // Not a list of none or one: Yew matches children from the last, and the fields would be made anew under the typing hand.
                    if let Some(line) = &line { { command_line(line, &p.act) } }
                </div>
                if let Some(go) = &p.go {
                    <div class="dialog-foot">
                        if let Some(off) = &p.off { <span class="dim fine grow" id="why-go">{ off }</span> }
                        <Button class="line" name="Cancel" text="Cancel" ask={p.cancel.clone()} act={&p.act} />
                        <button type="submit" class="btn main" aria-disabled={p.off.as_ref().map(|_| "true")} aria-describedby={p.off.as_ref().map(|_| "why-go")}>{ go }</button>
                    </div>
                }
            </form>
        </dialog>
    }
}

/// Closes the open dialog while it is still in the document (what lies behind it cannot have the focus before) and gives the focus back.
pub fn dismiss(opener: Option<HtmlElement>) {
    let open = web_sys::window().and_then(|w| w.document()).and_then(|d| d.query_selector("dialog[open]").ok().flatten());
    if let Some(dialog) = open.and_then(|e| e.dyn_into::<HtmlDialogElement>().ok()) {
        dialog.close();
    }
    if let Some(opener) = opener {
        // What opened the dialog may be gone; then there is nowhere to go back to.
        let _ = opener.focus();
    }
}

/// What has the focus as a dialog opens.
pub fn focused() -> Option<HtmlElement> {
    web_sys::window()?.document()?.active_element()?.dyn_into().ok()
}
