//! The Events table: the trace in plain words, newest first.

use super::tree::html;
use super::{
    act::{Act, EventFilter, Selection},
    memo::{Draw, memo},
    parts::short_time,
    shot::{Shared, Shot},
};
use crate::view::EventView;
use web_sys::HtmlSelectElement;
use yew::prelude::*;

const FILTERS: [(EventFilter, &str); 3] =
    [(EventFilter::Turning, "Turning points"), (EventFilter::Records, "With records"), (EventFilter::Everything, "Everything")];

impl EventFilter {
    /// Whether a kind of event passes.
    pub fn passes(self, kind: &str) -> bool {
        let record =
            matches!(kind, "recordAppended" | "recordAcknowledged" | "recordDelivered" | "highWatermarkAdvanced" | "offsetCommitted");
        let traffic = matches!(kind, "requestSent" | "responseSent");
        match self {
            EventFilter::Turning => !record && !traffic,
            EventFilter::Records => !traffic,
            EventFilter::Everything => true,
        }
    }
}

/// The colour of a kind: trouble is red, change amber or green, the rest plain.
pub fn tone(kind: &str) -> &'static str {
    match kind {
        "brokerCrashed" | "brokerFenced" | "recordFailed" | "commandRefused" | "messageDropped" => "bad",
        "isrShrunk" | "truncated" | "memberLeft" => "warn",
        "leaderElected" | "isrExpanded" | "brokerStarted" => "good",
        "rebalanced" | "memberJoined" | "transactionBegun" | "transactionEnded" => "txn",
        "commandApplied" => "user",
        _ => "",
    }
}

pub fn events(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let onchange = act.reform(|event: Event| {
        let chosen = event.target_unchecked_into::<HtmlSelectElement>().selected_index();
        Act::Filter(FILTERS[usize::try_from(chosen).unwrap_or(0).min(FILTERS.len() - 1)].0)
    });
    html! {
        <section class="events" aria-label="Events">
            <div class="table-head">
                <label>{ "Show" }<select class="field" {onchange}>{ for FILTERS.iter().map(|(f, name)| html! { <option selected={*f == shot.filter}>{ *name }</option> }) }</select></label>
                <span class="dim fine">{ "newest first · a row opens in the inspector" }</span>
            </div>
            <div class="scroll table-box" tabindex="0">
                <table>
                    <thead><tr><th class="num">{ "Time" }</th><th>{ "Node" }</th><th>{ "What happened" }</th><th>{ "Kind" }</th></tr></thead>
                    <tbody>{ for shot.events.iter().map(|e| memo(Row { one: e.clone(), act: act.clone() }, Some(e.index.into()))) }</tbody>
                </table>
                if shot.events.is_empty() { <p class="empty-line">{ "Nothing of this kind has happened yet." }</p> }
            </div>
        </section>
    }
}

#[derive(PartialEq)]
struct Row {
    one: EventView,
    act: Callback<Act>,
}

impl Draw for Row {
    fn draw(&self) -> Html {
        let e = &self.one;
        let index = e.index;
        let onclick = self.act.reform(move |_| Act::Select(Some(Selection::Event(index))));
        html! {
            <tr class={tone(e.kind)}>
                <td class="num mono dim">{ short_time(e.time) }</td>
                <td class="mono clip">{ &e.node }</td>
                <td class="what"><button type="button" class="row-link" {onclick}>{ &e.text }</button>{ for e.error.map(|error| html! { <span class="error-name">{ error }</span> }) }</td>
                <td class="dim kind">{ e.kind }</td>
            </tr>
        }
    }
}
