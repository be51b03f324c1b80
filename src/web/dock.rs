//! The dock under the picture: one tab at a time, with arrow keys between them.

use super::tree::{classes, html};
use super::{
    act::{Act, Tab},
    events::events,
    messages::messages,
    shot::{Shared, Shot},
    tables::{brokers, groups, topics},
};
use wasm_bindgen::JsCast;
use yew::prelude::*;

pub fn dock(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let tab = shot.tab;
    let onkeydown = {
        let act = act.clone();
        move |event: KeyboardEvent| {
            let all = Tab::ALL;
            let at = all.iter().position(|t| *t == tab).unwrap_or(0);
            let to = match event.key().as_str() {
                "ArrowDown" | "ArrowRight" => (at + 1) % all.len(),
                "ArrowUp" | "ArrowLeft" => (at + all.len() - 1) % all.len(),
                "Home" => 0,
                "End" => all.len() - 1,
                _ => return,
            };
            event.prevent_default();
            act.emit(Act::Tab(all[to]));
            let next = web_sys::window().and_then(|w| w.document()).and_then(|d| d.get_element_by_id(&tab_id(all[to])));
            if let Some(next) = next.and_then(|n| n.dyn_into::<web_sys::HtmlElement>().ok()) {
                let _ = next.focus();
            }
        }
    };
    html! {
        <section class="dock" aria-label="Tables">
            <div class="tablist" role="tablist" aria-label="Tables" {onkeydown}>
                { for Tab::ALL.into_iter().map(|t| {
                    let onclick = act.reform(move |_| Act::Tab(t));
                    let on = t == tab;
                    html! { <button type="button" role="tab" id={tab_id(t)} class={classes!("tab", on.then_some("on"))} aria-selected={if on { "true" } else { "false" }}
                        aria-controls={on.then_some("panel")} tabindex={if on { "0" } else { "-1" }} {onclick}>{ t.name() }</button> }
                }) }
            </div>
            <div class="tabpanel" role="tabpanel" id="panel" aria-labelledby={tab_id(tab)}>
                { match tab {
                    Tab::Events => events(shot, act),
                    Tab::Topics => topics(shot, act),
                    Tab::Messages => messages(shot, act),
                    Tab::Groups => groups(shot, act),
                    Tab::Brokers => brokers(shot, act),
                } }
            </div>
            <div class="sr-only" role="log" aria-live="polite" aria-label="Newest event">{ shot.spoken.clone() }</div>
        </section>
    }
}

fn tab_id(tab: Tab) -> String {
    format!("tab-{}", tab.name())
}
