//! The timeline: all virtual time up to the latest reached, with marks where something turned, and a scrubber.

use super::tree::{classes, html};
use super::{
    act::Act,
    parts::{clock_text, fixed, short_time},
    shot::{Shared, Shot},
};
use crate::view::Mark;
use web_sys::HtmlInputElement;
use yew::prelude::*;

/// Marks nearer than this share (of the whole line) become one.
const NEAR: f64 = 0.006;
/// Room for a label, as a share of the line.
const LABEL: f64 = 0.085;

pub fn timeline(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let view = &shot.view;
    let latest = view.latest.max(1.0);
    let oninput = act.reform(|event: InputEvent| Act::Seek(event.target_unchecked_into::<HtmlInputElement>().value_as_number()));
    let part = (view.time / latest).clamp(0.0, 1.0);
    html! {
        <section class="timeline" aria-label="Timeline">
            <div class="track">
                <div class="rail" aria-hidden="true"><i ~style={format!("--part:{}", fixed(part, 4))}></i></div>
                { place(&shot.marks, latest).into_iter().map(|m| tick(&m, view.time, act)).collect::<Html>() }
                <input type="range" min="0" max={fixed(latest, 3)} step="0.001" value={fixed(view.time, 3)} aria-label="Virtual time"
                    aria-valuetext={format!("{} of {}", clock_text(view.time), clock_text(view.latest))} {oninput} />
            </div>
            <div class="ends"><span>{ "0.000" }</span>
                if view.time + 0.001 < view.latest { <span class="past">{ format!("{} before the latest; what you do here starts another future", short_time(view.latest - view.time)) }</span> }
                <span>{ short_time(view.latest) }</span></div>
        </section>
    }
}

struct Placed {
    time: f64,
    /// Share of the line.
    at: f64,
    kind: &'static str,
    text: String,
    /// How many marks it stands for.
    many: usize,
    labelled: bool,
}

/// The highest importance.
const RANKS: u8 = 5;

/// Importance of a kind, its colour and its short word.
fn look(kind: &str) -> (u8, &'static str, &'static str) {
    match kind {
        "brokerCrashed" | "brokerFenced" => (5, "bad", "crash"),
        "commandRefused" | "recordFailed" => (5, "bad", "error"),
        "leaderElected" => (4, "accent", "elected"),
        "isrShrunk" => (4, "warn", "ISR −"),
        "isrExpanded" => (3, "accent", "ISR +"),
        "truncated" => (4, "warn", "truncated"),
        "rebalanced" => (3, "txn", "rebalance"),
        "brokerStarted" => (3, "good", "start"),
        "transactionBegun" | "transactionEnded" => (2, "txn", "transaction"),
        _ => (1, "plain", "command"),
    }
}

/// Thins marks out: near ones become the most important of them, and labels stand only where there is room.
fn place(marks: &[Mark], latest: f64) -> Vec<Placed> {
    let mut out: Vec<Placed> = Vec::new();
    for mark in marks {
        let at = (mark.time / latest).clamp(0.0, 1.0);
        match out.last_mut() {
            Some(last) if at - last.at < NEAR => {
                last.many += 1;
                if look(mark.kind).0 > look(last.kind).0 {
                    last.kind = mark.kind;
                    last.text.clone_from(&mark.text);
                    last.time = mark.time;
                }
            }
            _ => out.push(Placed { time: mark.time, at, kind: mark.kind, text: mark.text.clone(), many: 1, labelled: false }),
        }
    }
    // The most important choose first.
    let many = out.len();
    let ranked = (1..=RANKS).rev().flat_map(|rank| (0..many).map(move |i| (rank, i)));
    for (rank, i) in ranked {
        if look(out[i].kind).0 != rank {
            continue;
        }
        let free = out[i].at > 0.02
            && out[i].at < 0.98
            && out.iter().enumerate().all(|(j, o)| j == i || !o.labelled || (o.at - out[i].at).abs() > LABEL);
        out[i].labelled = free;
    }
    out
}

/// A mark; those of what is still to come again are hollow.
fn tick(mark: &Placed, now: f64, act: &Callback<Act>) -> Html {
    let (_, colour, word) = look(mark.kind);
    let time = mark.time;
    let onclick = act.reform(move |_| Act::Seek(time));
    let more = if mark.many > 1 { format!(" (and {} more here)", mark.many - 1) } else { String::new() };
    // The slider reaches every time by keyboard and the Events table names every mark: ticks stay out of the tab order.
    html! {
        <button type="button" key={time.to_bits()} class={classes!("tick", colour, (now < time).then_some("ahead"))} tabindex="-1" {onclick} ~style={format!("left:{}%", fixed(mark.at * 100.0, 2))}
            title={format!("{} {}{more}", short_time(time), mark.text)}>
            if mark.labelled { <span>{ word }</span> }
        </button>
    }
}
