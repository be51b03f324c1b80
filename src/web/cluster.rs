//! The cluster: a column per broker, a band per topic, a row per partition; each crossing is a replica's strip.

use super::tree::{classes, html};
use super::{
    act::{Act, Dialog, Selection},
    cells,
    memo::memo,
    parts::{chip, count, icon, list, size, state_kind},
    shot::{Shared, Shot},
    strip::{Role, Strip},
};
use crate::session::command::Command;
use crate::view::{BrokerState, BrokerView, PartitionView, TopicView};
use wasm_bindgen::JsCast;
use yew::prelude::*;

pub fn cluster(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let view = &shot.view;
    let topics: Vec<&TopicView> = view.topics.iter().filter(|t| shot.show_internal || !t.internal).collect();
    let controller = match view.controller.leader {
        Some(id) => format!("Controller {id} · epoch {}", view.controller.epoch),
        None => "No controller".to_owned(),
    };
    html! {
        <section class="panel cluster" aria-label="Cluster">
            <div class="panel-head">
                <h2>{ "Cluster" }</h2>
                <span class="chip controller" data-node="controller" title="The active controller of the metadata quorum">{ icon("crown") }{ controller }</span>
                <span class="grow"></span>
                <label class="check"><input type="checkbox" checked={shot.show_internal} onchange={act.reform(|_| Act::ToggleInternal)} />{ "Internal topics" }</label>
                <Button class="line" icon="plus" name="Create topic" text="Create topic" ask={Act::Open(Dialog::CreateTopic)} act={act} />
            </div>
            <div class="panel-body scroll cluster-body" onclick={open_clicked(act)}>
                <div class="grid" ~style={format!("--brokers:{}", view.brokers.len().max(1))}>
                    <div class="corner"></div>
                    { view.brokers.iter().map(|b| broker_head(shot, b, act)).collect::<Html>() }
                    { topics.iter().map(|t| band(shot, t)).collect::<Html>() }
                </div>
                if topics.is_empty() {
                    <div class="empty">
                        <p>{ "No topics yet. A topic is a set of logs; each log is a partition, copied to several brokers." }</p>
                        <Button class="line" icon="plus" name="Create a topic" text="Create a topic" ask={Act::Open(Dialog::CreateTopic)} act={act} />
                    </div>
                }
            </div>
            { legend(shot) }
        </section>
    }
}

/// One listener for all cells and strips: a callback per row would re-render every row.
fn open_clicked(act: &Callback<Act>) -> Callback<MouseEvent> {
    let meaning = |event: MouseEvent| -> Option<Act> {
        let target: web_sys::Element = event.target()?.dyn_into().ok()?;
        let place = target.closest("[data-strip]").ok()??.get_attribute("data-strip")?;
        let mut parts = place.split('/');
        let topic = parts.next()?.to_owned();
        let partition = parts.next()?.parse().ok()?;
        let broker = parts.next()?.parse().ok();
        Some(Act::Select(Some(match target.get_attribute("data-offset").and_then(|o| o.parse().ok()) {
            Some(offset) => Selection::Record { topic, partition, offset },
            None => Selection::Partition { topic, partition, broker },
        })))
    };
    let act = act.clone();
    Callback::from(move |event| {
        if let Some(ask) = meaning(event) {
            act.emit(ask);
        }
    })
}

/// What a broker carries, in words.
fn load(shot: &Shot, broker: i32) -> String {
    let (mut leads, mut bytes) = (0, 0);
    for partition in shot.view.topics.iter().flat_map(|t| &t.partitions) {
        leads += u64::from(partition.leader == Some(broker));
        bytes += partition.replicas.iter().filter(|r| r.broker == broker).map(|r| r.bytes).sum::<u64>();
    }
    format!("leads {leads} · {}", size(bytes))
}

/// Letters of a partition's name that fit before its row; a longer one stands in the band above.
const NAME_ROOM: usize = 14;

/// How long a button freezes a broker: longer than its session at the controller lasts, so that the cluster goes on without it and has it back.
const FREEZE_MS: f64 = 15_000.0;

fn broker_head(shot: &Shot, one: &BrokerView, act: &Callback<Act>) -> Html {
    let id = one.id;
    let up = !matches!(one.state, BrokerState::Crashed | BrokerState::Stopped);
    let state = one.state.name();
    let crash = if up { shot.forbids(&Command::CrashBroker { broker: id }) } else { Some(format!("Broker {id} is down already.").into()) };
    let restart = if up { Some(format!("Broker {id} is running.").into()) } else { shot.forbids(&Command::RestartBroker { broker: id }) };
    let freeze = Command::FreezeBroker { broker: id, ms: FREEZE_MS };
    let no_freeze = if up { shot.forbids(&freeze) } else { Some(format!("Broker {id} is down.").into()) };
    html! {
        <div key={id} class={classes!("broker", (!up).then_some("down"))} data-node={format!("broker-{id}")}>
            <div class="row">
                <h3><Button class="title" name={format!("Broker {id}")} text={format!("Broker {id}")} title="Inspect this broker" ask={Act::Select(Some(Selection::Broker(id)))} act={act} /></h3>
                <span class="grow"></span>
                <Button class="small" icon="pause" name={format!("Freeze broker {id}")} title={format!("Freeze broker {id} for {} s", FREEZE_MS as u64 / 1_000)} off={no_freeze} ask={Act::Do(freeze)} act={act} />
                <Button class="small" icon="bolt" name={format!("Crash broker {id}")} off={crash} ask={Act::Do(Command::CrashBroker { broker: id })} act={act} />
                <Button class="small" icon="power" name={format!("Restart broker {id}")} off={restart} ask={Act::Do(Command::RestartBroker { broker: id })} act={act} />
            </div>
            <div class="dim fine">if one.state != BrokerState::Running { { chip(state_kind(state), state) } }{ for one.rack.iter().map(|rack| format!("rack {rack} · ")) }{ load(shot, id) }</div>
        </div>
    }
}

/// A topic's heading and its rows.
fn band(shot: &Shot, topic: &TopicView) -> Html {
    let replication = topic.partitions.first().map_or(0, |p| p.replicas.len());
    let mut facts = format!("{} · replication {replication}", count(topic.partitions.len() as u64, "partition", "partitions"));
    for name in ["min.insync.replicas", "cleanup.policy", "retention.ms"] {
        if let Some(value) = topic.configs.get(name) {
            facts += &format!(" · {name} {value}");
        }
    }
    let quorum = topic.configs.get("min.insync.replicas").and_then(|v| v.parse().ok()).unwrap_or(1);
    html! {
        <>
            <div class="band" key={topic.name.clone()}><h3>{ &topic.name }</h3><span class="dim fine">{ facts }</span></div>
            { topic.partitions.iter().map(|p| row(shot, topic, p, quorum)).collect::<Html>() }
        </>
    }
}

fn row(shot: &Shot, topic: &TopicView, partition: &PartitionView, quorum: usize) -> Html {
    let view = &shot.view;
    let first = cells::window(partition, shot.cells);
    // On a narrow screen one strip stands for the partition.
    let shown = partition.leader.unwrap_or(partition.preferred_leader);
    let short = partition.isr.len() < quorum;
    let name = format!("{}-{}", topic.name, partition.partition);
    let replicas: Vec<i32> = partition.replicas.iter().map(|r| r.broker).collect();
    html! {
        <>
            <div class="row-head" key={format!("{}-{}", topic.name, partition.partition)}>
                <span class="mono" title={name.clone()}>{ if name.len() <= NAME_ROOM { name.clone() } else { format!("partition {}", partition.partition) } }</span>
                <span class="dim fine">{ format!("epoch {}", partition.leader_epoch) }</span>
                <span class={classes!("isr", short.then_some("short"))} title={format!("In-sync replicas: {}", list(&partition.isr))}>
                    { for replicas.iter().map(|b| html! { <i class={classes!((!partition.isr.contains(b)).then_some("gone"))}>{ *b }</i> }) }
                </span>
                if partition.leader.is_none() { { chip("bad", "no leader") } }
            </div>
            { for view.brokers.iter().map(|b| match partition.replicas.iter().find(|r| r.broker == b.id) {
                None => html! { <div class="crossing none" key={format!("{}-{}-{}", topic.name, partition.partition, b.id)}></div> },
                Some(replica) => {
                    let up = matches!(b.state, BrokerState::Running | BrokerState::Fenced | BrokerState::Stopping | BrokerState::Frozen);
                    let role = if !up { Role::Offline } else if partition.leader == Some(b.id) { Role::Leader } else { Role::Follower };
                    let markers = cells::ends(replica, first, shot.cells);
                    let start = cells::start_label(&markers, first);
                    let groups = if b.id == shown { cells::committed(&view.groups, &topic.name, partition.partition, first, shot.cells) } else { Vec::new() };
                    let cells = cells::cells(&shot.picture, &shot.keys, (&topic.name, partition.partition), replica, role == Role::Leader, (first, shot.cells));
                    let (replica, preferred) = (replica.clone(), partition.preferred_leader == b.id);
                    let strip = Strip { topic: topic.name.clone().into(), partition: partition.partition, replica, role, preferred, cells, markers, start, groups };
                    html! {
                        <div class={classes!("crossing", (b.id == shown).then_some("shown"))} key={format!("{}-{}-{}", topic.name, partition.partition, b.id)}>
                            { memo(strip, None) }
                        </div>
                    }
                }
            }) }
        </>
    }
}

/// What colours, fills and signs mean.
fn legend(shot: &Shot) -> Html {
    let view = &shot.view;
    html! {
        <div class="legend" role="note" aria-label="Legend">
            <span class="legend-part">
                <span class="cell committed sample"></span>{ "committed" }
                <span class="cell pending sample"></span>{ "not yet" }
                <span class="cell copy sample"></span>{ "follower’s copy" }
                <span class="cell absent sample"></span>{ "absent" }
            </span>
            if !view.transactions.is_empty() {
                <span class="legend-part">
                    <span class="cell copy open sample"></span>{ "of an open transaction" }
                    <span class="cell aborted sample"></span>{ "aborted" }
                    <span class="cell marker sample" data-k="✓"></span>{ "marker" }
                </span>
            }
            <span class="legend-part">{ icon("star") }{ "leader" }{ icon("star-open") }{ "preferred, but not leading" }</span>
            <span class="legend-part keys">
                { for shot.keys.named().take(12).map(|(look, name)| html! { <span class="key" key={name.to_owned()}><span class={classes!("cell", "committed", look.class)} data-k={look.letter}></span><span class="mono clip">{ name }</span></span> }) }
                if shot.keys.more { <span class="dim">{ "and more" }</span> }
            </span>
        </div>
    }
}
