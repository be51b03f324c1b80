//! The producers: what each has sent, what waits in its accumulator, how many requests are on their way.

use super::tree::{classes, html};
use super::{
    act::{Act, Dialog, Selection},
    parts::{chip, count, fixed, number, state_kind},
    shot::{Shared, Shot},
};
use crate::session::command::Command;
use crate::view::ProducerView;
use std::rc::Rc;
use yew::prelude::*;

/// Kafka's default of `max.in.flight.requests.per.connection`.
const SLOTS: u64 = 5;
/// A full bar of waiting records.
const BUFFER_FULL: u64 = 50;

pub fn producers(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    html! {
        <section class="panel producers" aria-label="Producers">
            <div class="panel-head">
                <h2>{ "Producers" }</h2>
                <Button class="line" icon="plus" name="Add producer" ask={Act::Open(Dialog::AddProducer)} act={act} />
            </div>
            <div class="panel-body scroll">
                { shot.view.producers.iter().map(|one| card(shot, one, act)).collect::<Html>() }
                if shot.view.producers.is_empty() {
                    <div class="empty">
                        <p>{ "Nobody writes yet. A producer sends records to a topic." }</p>
                        <Button class="line" icon="plus" name="Add a producer" text="Add a producer" ask={Act::Open(Dialog::AddProducer)} act={act} />
                    </div>
                }
            </div>
            <div class="panel-foot">
                <Button class="line" icon="send" name="Send record" text="Send record" ask={Act::Open(Dialog::SendRecord { producer: None, topic: None })} act={act} />
                <Button class="line" icon="import" name="Import records" text="Import records" ask={Act::Open(Dialog::Import)} act={act} />
                { shot.line.as_ref().map_or_else(Html::default, |line| command_line(line, act)) }
            </div>
        </section>
    }
}

fn remove(id: &str) -> Command {
    Command::RemoveProducer { id: id.to_owned() }
}

fn card(shot: &Shot, one: &ProducerView, act: &Callback<Act>) -> Html {
    let setting = |name: &str| one.configs.get(name).map(String::as_str);
    let acks = setting("acks").unwrap_or("all");
    let acks = if acks == "-1" { "all" } else { acks };
    let slots = setting("max.in.flight.requests.per.connection").and_then(|v| v.parse().ok()).unwrap_or(SLOTS).clamp(1, 8);
    let open = Act::Select(Some(Selection::Producer(one.id.clone())));
    html! {
        <article class="card" key={one.id.clone()} data-node={one.id.clone()} aria-label={format!("Producer {}", one.id)}>
            <div class="row">
                <h3 class="grow"><Button class="title" name={one.id.clone()} text={one.id.clone()} title="Inspect this producer" ask={open} act={act} /></h3>
                { chip(if acks == "all" { "ok" } else { "" }, format!("acks={acks}")) }
            </div>
            <div class="row facts"><span class="dim">{ "to" }</span><span class="mono grow clip">{ one.topic.clone() }</span>
                <Button class="small" icon="send" name={format!("Send a record with {}", one.id)} title="Send a record with this producer"
                    ask={Act::Open(Dialog::SendRecord { producer: Some(one.id.clone()), topic: Some(one.topic.clone()) })} act={act} />
                <Button class="small" icon="close" name={format!("Remove producer {}", one.id)} off={shot.forbids(&remove(&one.id))} ask={Act::Do(remove(&one.id))} act={act} />
            </div>
            <div class="row facts" title="Records waiting in the accumulator for their batch">
                <span class="dim label">{ "waiting" }</span>
                <span class="bar grow"><i ~style={format!("--part:{}", fixed(one.buffered.min(BUFFER_FULL) as f64 / BUFFER_FULL as f64, 2))}></i></span>
                <span class="mono num">{ number(one.buffered) }</span>
            </div>
            <div class="row facts" title="Requests sent and not answered">
                <span class="dim label">{ "in flight" }</span>
                <span class="slots grow" aria-hidden="true">{ for (0..slots).map(|i| html! { <i class={classes!((i < one.in_flight).then_some("on"))}></i> }) }</span>
                <span class="mono num">{ number(one.in_flight) }</span>
            </div>
            { one.transaction.map_or_else(Html::default, |state| transaction(shot, &one.id, state, act)) }
            <div class="row facts">
                <span class="grow">{ count(one.acknowledged, "acknowledged", "acknowledged") }</span>
                if one.retries > 0 { <span class="warn">{ count(one.retries, "retry", "retries") }</span> }
                if one.failed > 0 { <span class="bad">{ format!("{} failed", number(one.failed)) }</span> }
            </div>
        </article>
    }
}

/// Where a producer's transaction stands, and what its application may say next.
fn transaction(shot: &Shot, producer: &str, state: &'static str, act: &Callback<Act>) -> Html {
    let is_open = state == "IN_TRANSACTION";
    let said = |word: &'static str, may: bool, why: &'static str, command: Command| {
        let off = if may { shot.forbids(&command) } else { Some(AttrValue::Static(why)) };
        html! { <Button class="line" name={format!("{word} transaction of {producer}")} text={word} off={off} ask={Act::Do(command)} act={act} /> }
    };
    let producer = || producer.to_owned();
    let closed = "No transaction is open.";
    html! {
        <>
            <div class="row facts wrap" title="Where its transaction stands"><span class="dim">{ "transaction" }</span>{ chip(state_kind(state), state) }</div>
            <div class="said">
                { said("Begin", state == "READY", "It is not ready to begin one.", Command::BeginTransaction { producer: producer() }) }
                { said("Commit", is_open, closed, Command::CommitTransaction { producer: producer() }) }
                { said("Abort", is_open || state == "ABORTABLE_ERROR", closed, Command::AbortTransaction { producer: producer() }) }
            </div>
        </>
    }
}

/// A shell line with a button that copies it.
pub fn command_line(line: &Rc<str>, act: &Callback<Act>) -> Html {
    html! {
        <div class="shell">
            <span class="shell-head"><span>{ "the same in a shell" }</span>
                <Button class="small" icon="copy" name="Copy command" ask={Act::Copy(line.clone())} act={act} /></span>
            <code tabindex="0">{ line.to_string() }</code>
        </div>
    }
}
