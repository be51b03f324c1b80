//! The Messages table: the records of one partition, from an offset or the newest.

use super::tree::html;
use super::{
    act::{Act, Browse, Selection},
    parts::date_text,
    shot::{Shared, Shot},
};
use crate::protocol::text::Text;
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

pub fn messages(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let browse = &shot.browse;
    let topic = shot.view.topics.iter().find(|t| t.name == browse.topic);
    let change = |set: fn(&mut Browse, String)| {
        let browse = browse.clone();
        act.reform(move |value: String| {
            let mut browse = browse.clone();
            set(&mut browse, value);
            Act::Browse(browse)
        })
    };
    let select = |on: Callback<String>| on.reform(|e: Event| e.target_unchecked_into::<HtmlSelectElement>().value());
    let input = |on: Callback<String>| on.reform(|e: InputEvent| e.target_unchecked_into::<HtmlInputElement>().value());
    let on_topic = select(change(|b, value| *b = Browse { topic: value, ..Browse::default() }));
    let on_partition = select(change(|b, value| b.partition = value.parse().unwrap_or(0)));
    let on_offset = input(change(|b, value| b.offset = value.trim().parse().ok()));
    html! {
        <div class="events">
            <div class="table-head">
                <label>{ "Topic" }<select class="field" onchange={on_topic}>{ for shot.view.topics.iter().map(|t| html! { <option value={t.name.clone()} selected={t.name == browse.topic}>{ &t.name }</option> }) }</select></label>
                <label>{ "Partition" }<select class="field" onchange={on_partition}>
                    { for topic.into_iter().flat_map(|t| &t.partitions).map(|x| html! { <option value={x.partition.to_string()} selected={x.partition == browse.partition}>{ x.partition }</option> }) }</select></label>
                <label>{ "From offset" }<input class="field short" type="number" min="0" placeholder="newest" value={browse.offset.map(|o| o.to_string()).unwrap_or_default()} oninput={on_offset} /></label>
            </div>
            <div class="scroll table-box" tabindex="0">
                { match &shot.messages {
                    Err(refusal) => html! { <p class="empty-line" role="alert">{ format!("{}: {}", refusal.code, refusal.message) }</p> },
                    Ok(found) if found.is_empty() => html! { <p class="empty-line">{ "No records here yet." }</p> },
                    Ok(found) => html! {
                        <table>
                            <thead><tr><th class="num">{ "Offset" }</th><th>{ "Key" }</th><th>{ "Value" }</th><th>{ "Headers" }</th><th>{ "Timestamp" }</th><th class="num">{ "Epoch" }</th><th class="num">{ "Producer" }</th><th class="num">{ "Sequence" }</th></tr></thead>
                            <tbody>{ for found.iter().map(|m| html! {
                                <tr key={m.offset.to_string()}>
                                    <td class="num"><Button class="row-link" name={format!("Offset {}", m.offset)} text={m.offset.to_string()}
                                        ask={Act::Select(Some(Selection::Record { topic: browse.topic.clone(), partition: browse.partition, offset: m.offset }))} act={act} /></td>
                                    <td class="mono clip">{ text(m.key.as_ref()) }</td><td class="mono clip wide">{ text(m.value.as_ref()) }{ for m.control.map(|c| format!("control: {c}")) }</td>
                                    <td class="mono clip">{ m.headers.iter().map(|(k, v)| format!("{k}={}", text(v.as_ref()))).collect::<Vec<_>>().join(" ") }</td>
                                    <td class="mono dim">{ date_text(m.timestamp) }</td><td class="num">{ m.leader_epoch }</td>
                                    <td class="num">{ m.producer_id.map_or("–".to_owned(), |id| format!("{id}/{}", m.producer_epoch.unwrap_or(0))) }</td><td class="num">{ m.sequence.map_or("–".to_owned(), |s| s.to_string()) }</td>
                                </tr>
                            }) }</tbody>
                        </table>
                    },
                } }
            </div>
        </div>
    }
}

/// Bytes as read; an absent value is `null`.
pub fn text(bytes: Option<&Text>) -> String {
    bytes.map_or("null".to_owned(), ToString::to_string)
}
