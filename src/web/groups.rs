//! The consumer groups: members, what each owns, how far behind each partition is. Consumers without a group stand below.

use super::tree::{classes, html};
use super::{
    act::{Act, Dialog, Selection},
    parts::{chip, fixed, number, state_kind},
    shot::{Shared, Shot},
};
use crate::session::command::Command;
use crate::view::shape::GroupOffsetView;
use crate::view::{ConsumerView, GroupView, TopicView};
use yew::prelude::*;

/// A lag that fills its bar.
const LAG_FULL: i64 = 50;

pub fn groups(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let view = &shot.view;
    let alone: Vec<&ConsumerView> =
        view.consumers.iter().filter(|c| !view.groups.iter().any(|g| c.group.as_ref() == Some(&g.id))).collect();
    html! {
        <section class="panel groups" aria-label="Consumer groups">
            <div class="panel-head">
                <h2>{ "Consumer groups" }</h2>
                <Button class="line" icon="plus" name="Add consumer" ask={Act::Open(Dialog::AddConsumer)} act={act} />
            </div>
            <div class="panel-body scroll">
                { view.groups.iter().map(|g| group(shot, g, act)).collect::<Html>() }
                if !alone.is_empty() {
                    <article class="card" aria-label="Consumers without a group">
                        <h3 class="dim">{ "without a group" }</h3>
                        { for alone.iter().map(|c| member(shot, c, &positions(c, &view.topics), act)) }
                    </article>
                }
                if view.groups.is_empty() && alone.is_empty() {
                    <div class="empty">
                        <p>{ "Nobody reads yet. Consumers of one group share its partitions." }</p>
                        <Button class="line" icon="plus" name="Add a consumer" text="Add a consumer" ask={Act::Open(Dialog::AddConsumer)} act={act} />
                    </div>
                }
            </div>
        </section>
    }
}

/// A partition that somebody reads, and how far behind.
struct Owned {
    topic: String,
    partition: i32,
    lag: Option<i64>,
}

fn group(shot: &Shot, group: &GroupView, act: &Callback<Act>) -> Html {
    let members: Vec<&ConsumerView> = shot.view.consumers.iter().filter(|c| c.group.as_ref() == Some(&group.id)).collect();
    let owned = |client: &ConsumerView| -> Vec<Owned> {
        let assigned = group.members.iter().filter(|m| m.client_id == client.client_id()).flat_map(|m| &m.assignment);
        assigned
            .map(|a| {
                let lag = group.offsets.iter().find(|o| o.partition == a.partition && o.topic == a.topic).and_then(|o| o.lag);
                Owned { topic: a.topic.clone(), partition: a.partition, lag }
            })
            .collect()
    };
    let generation = if group.protocol == "classic" { "gen" } else { "epoch" };
    let lost = group.members.iter().filter(|m| !members.iter().any(|c| c.client_id() == m.client_id));
    html! {
        <article class="card" key={group.id.clone()} aria-label={format!("Group {}", group.id)}>
            <div class="row">
                <h3 class="grow"><Button class="title" name={group.id.clone()} text={group.id.clone()} title="Inspect this group" ask={Act::Select(Some(Selection::Group(group.id.clone())))} act={act} /></h3>
                { chip(state_kind(&group.state), format!("{} · {generation} {}", group.state, group.generation)) }
            </div>
            { members.iter().map(|c| member(shot, c, &owned(c), act)).collect::<Html>() }
            { for group.offsets.iter().filter_map(in_flight) }
            { for lost.map(|m| html! { <div class="member" key={m.member_id.clone()}><div class="row"><span class="dim grow clip">{ &m.client_id }</span>{ chip("warn", "gone, not yet missed") }</div></div> }) }
        </article>
    }
}

/// What members of a share group have of a partition now, of all that waits.
fn in_flight(o: &GroupOffsetView) -> Option<Html> {
    let (acquired, deliveries) = (o.acquired.filter(|acquired| 0 < *acquired)?, o.delivery_count?);
    let part = acquired as f64 / o.lag.unwrap_or(0).max(acquired) as f64;
    Some(html! {
        <div class="row owned flight" key={format!("{}-{} in flight", o.topic, o.partition)}>
            <span class="mono clip grow">{ format!("{}-{}", o.topic, o.partition) }</span>
            if 1 < deliveries { { chip("warn", format!("delivered {deliveries}×")) } }
            <span class="bar lag" aria-hidden="true"><i ~style={format!("--part:{}", fixed(part, 2))}></i></span>
            <span class="mono" title="Records that members have acquired and not acknowledged yet">{ format!("{acquired} acquired") }</span>
        </div>
    })
}

fn positions(consumer: &ConsumerView, topics: &[TopicView]) -> Vec<Owned> {
    consumer
        .positions
        .iter()
        .map(|at| {
            let topic = topics.iter().find(|t| t.name == at.topic);
            let end = topic
                .and_then(|t| t.partitions.iter().find(|p| p.partition == at.partition))
                .and_then(|p| p.replicas.iter().map(|r| r.high_watermark).max());
            Owned { topic: at.topic.clone(), partition: at.partition, lag: end.map(|end| end - at.position) }
        })
        .collect()
}

fn member(shot: &Shot, consumer: &ConsumerView, owned: &[Owned], act: &Callback<Act>) -> Html {
    let id = &consumer.id;
    let crashed = consumer.state == "Crashed";
    let dead = crashed.then(|| AttrValue::from(format!("{id} has crashed.")));
    let or_forbidden = |off: Option<AttrValue>, command: &Command| off.or_else(|| shot.forbids(command));
    let remove = Command::RemoveConsumer { id: id.clone() };
    let crash = Command::CrashConsumer { id: id.clone() };
    let (hold, hold_name, hold_icon) = if consumer.state == "Paused" {
        (Command::ResumeConsumer { id: id.clone() }, "Resume", "play")
    } else {
        (Command::PauseConsumer { id: id.clone() }, "Pause", "pause")
    };
    html! {
        <div class={classes!("member", crashed.then_some("down"))} key={id.clone()} data-node={id.clone()}>
            <div class="row">
                <Button class="title grow" name={id.clone()} text={id.clone()} title="Inspect this consumer" ask={Act::Select(Some(Selection::Consumer(id.clone())))} act={act} />
                if consumer.state != "Stable" && consumer.state != "Assigned" { { chip(state_kind(&consumer.state), consumer.state.clone()) } }
                <Button class="small" icon={hold_icon} name={format!("{hold_name} consumer {id}")} off={or_forbidden(dead.clone(), &hold)} ask={Act::Do(hold)} act={act} />
                <Button class="small" icon="bolt" name={format!("Crash consumer {id}")} off={or_forbidden(dead, &crash)} ask={Act::Do(crash)} act={act} />
                <Button class="small" icon="close" name={format!("Remove consumer {id}")} off={or_forbidden(None, &remove)} ask={Act::Do(remove)} act={act} />
            </div>
            { for owned.iter().map(|o| html! {
                <div class="row owned" key={format!("{}-{}", o.topic, o.partition)}>
                    <span class="mono clip grow">{ format!("{}-{}", o.topic, o.partition) }</span>
                    <span class={classes!("bar", "lag", o.lag.is_some_and(|l| l >= LAG_FULL).then_some("full"))} aria-hidden="true"><i ~style={format!("--part:{}", fixed(o.lag.unwrap_or(0).clamp(0, LAG_FULL) as f64 / LAG_FULL as f64, 2))}></i></span>
                    <span class="mono lag-text" title="Records between the committed offset and the end of the log">{ o.lag.map_or("lag –".to_owned(), |lag| format!("lag {lag}")) }</span>
                </div>
            }) }
            <div class="row facts"><span class="dim">{ format!("{} consumed", number(consumer.consumed)) }</span></div>
        </div>
    }
}
