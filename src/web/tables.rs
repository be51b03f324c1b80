//! The picture's equal in tables: every replica, every group's offsets, every broker.

use super::tree::{classes, html};
use super::{
    act::{Act, Selection},
    parts::{chip, count, date_text, list, number, size, state_kind},
    shot::Shot,
};
use crate::session::command::Command;
use crate::view::BrokerState;
use yew::prelude::*;

/// A cell's button that opens the inspector.
fn link(text: String, selection: Selection, act: &Callback<Act>) -> Html {
    html! { <Button class="row-link" name={text.clone()} text={text} ask={Act::Select(Some(selection))} act={act} /> }
}

pub fn topics(shot: &Shot, act: &Callback<Act>) -> Html {
    let row = |t: &crate::view::TopicView, part: &crate::view::PartitionView| {
        let replicas = part.replicas.iter().map(|r| {
            let role = if part.leader == Some(r.broker) { "leader" } else { "follower" };
            html! {
                <tr key={format!("{}-{}-{}", t.name, part.partition, r.broker)} class={classes!((role == "leader").then_some("first"))}>
                    <td>{ link(format!("{}-{}", t.name, part.partition), Selection::Partition { topic: t.name.clone(), partition: part.partition, broker: Some(r.broker) }, act) }</td>
                    <td class="num">{ r.broker }</td>
                    <td>{ role }{ if part.preferred_leader == r.broker { " (preferred)" } else { "" } }</td>
                    <td>{ chip(if r.in_sync { "ok" } else { "warn" }, if r.in_sync { "in sync" } else { "out of sync" }) }</td>
                    <td class="num">{ r.log_start_offset }</td><td class="num">{ r.high_watermark }</td><td class="num">{ r.last_stable_offset }</td><td class="num">{ r.log_end_offset }</td>
                    <td class="num">{ part.leader_epoch }</td><td>{ list(&part.isr) }</td><td class="num">{ size(r.bytes) }</td>
                </tr>
            }
        });
        replicas.collect::<Html>()
    };
    html! {
        <div class="scroll table-box" tabindex="0">
            <table>
                <thead><tr><th>{ "Partition" }</th><th class="num">{ "Broker" }</th><th>{ "Role" }</th><th>{ "Sync" }</th><th class="num">{ "Start" }</th><th class="num">{ "High watermark" }</th>
                    <th class="num">{ "Last stable" }</th><th class="num">{ "End" }</th><th class="num">{ "Epoch" }</th><th>{ "ISR" }</th><th class="num">{ "Size" }</th></tr></thead>
                { for shot.view.topics.iter().map(|t| html! {
                    <tbody key={t.name.clone()}>
                        <tr class="group-row"><th colspan="11" scope="colgroup">{ link(t.name.clone(), Selection::Topic(t.name.clone()), act) }
                            <span class="dim fine">{ if t.internal { "internal · ".to_owned() } else { String::new() } }{ format!("id {}", t.id) }{ for t.configs.iter().map(|(k, v)| format!(" · {k}={v}")) }</span></th></tr>
                        { for t.partitions.iter().map(|part| row(t, part)) }
                    </tbody>
                }) }
            </table>
            if shot.view.topics.is_empty() { <p class="empty-line">{ "No topics yet." }</p> }
        </div>
    }
}

pub fn groups(shot: &Shot, act: &Callback<Act>) -> Html {
    html! {
        <div class="scroll table-box" tabindex="0">
            <table>
                <thead><tr><th>{ "Partition" }</th><th class="num">{ "Committed" }</th><th class="num">{ "End" }</th><th class="num">{ "Lag" }</th><th>{ "Owner" }</th><th>{ "Member id" }</th></tr></thead>
                { for shot.view.groups.iter().map(|g| html! {
                    <tbody key={g.id.clone()}>
                        <tr class="group-row"><th colspan="6" scope="colgroup">{ link(g.id.clone(), Selection::Group(g.id.clone()), act) }
                            { chip(state_kind(&g.state), g.state.clone()) }
                            <span class="dim fine">{ format!("{} · {} {} · coordinator {} · assignor {} · {}", g.protocol, if g.protocol == "classic" { "generation" } else { "epoch" }, g.generation,
                                g.coordinator.map_or("none".to_owned(), |c| format!("broker {c}")), g.assignor.as_deref().unwrap_or("none"), count(g.members.len() as u64, "member", "members")) }</span></th></tr>
                        { for g.offsets.iter().map(|o| {
                            let owners = g.members.iter().filter(|m| m.assignment.iter().any(|a| a.partition == o.partition && a.topic == o.topic));
                            let (owners, ids): (Vec<&str>, Vec<&str>) = owners.map(|m| (m.client_id.as_str(), m.member_id.as_str())).unzip();
                            // Of a share group several read a partition; what they have of it says more than their ids.
                            let detail = match (o.acquired, o.delivery_count) {
                                (Some(0), _) => "nothing in flight".to_owned(),
                                (Some(acquired), Some(deliveries)) => format!("{acquired} acquired, delivered up to {deliveries}×"),
                                _ => ids.join(", "),
                            };
                            html! {
                                <tr key={format!("{}-{}", o.topic, o.partition)}>
                                    <td>{ link(format!("{}-{}", o.topic, o.partition), Selection::Partition { topic: o.topic.clone(), partition: o.partition, broker: None }, act) }</td>
                                    <td class="num">{ o.committed.map_or("–".to_owned(), |c| c.to_string()) }</td><td class="num">{ o.log_end_offset }</td>
                                    <td class="num">{ o.lag.map_or("–".to_owned(), |l| l.to_string()) }</td>
                                    <td>{ if owners.is_empty() { "–".to_owned() } else { owners.join(", ") } }</td><td class="mono dim">{ detail }</td>
                                </tr>
                            }
                        }) }
                        { for g.members.iter().filter(|m| m.assignment.is_empty()).map(|m| html! {
                            <tr key={m.member_id.clone()}><td class="dim" colspan="4">{ "owns no partition" }</td><td>{ &m.client_id }</td><td class="mono dim">{ &m.member_id }</td></tr>
                        }) }
                        if g.offsets.is_empty() { <tr><td colspan="6" class="dim">{ "no offsets committed yet" }</td></tr> }
                    </tbody>
                }) }
                <tbody>{ for shot.view.consumers.iter().filter(|c| c.group.is_none()).flat_map(|c| c.positions.iter().map(move |at| html! {
                    <tr key={format!("{}-{}-{}", c.id, at.topic, at.partition)}>
                        <td>{ format!("{}-{}", at.topic, at.partition) }</td><td class="dim" colspan="3">{ format!("no group; reads offset {} next", at.position) }</td><td colspan="2">{ &c.id }</td>
                    </tr>
                })) }</tbody>
            </table>
            if shot.view.consumers.is_empty() { <p class="empty-line">{ "No consumers yet." }</p> }
            { transactions(shot) }
        </div>
    }
}

/// What the transaction coordinators know.
fn transactions(shot: &Shot) -> Html {
    let known = &shot.view.transactions;
    if known.is_empty() {
        return Html::default();
    }
    html! {
        <table>
            <thead><tr><th>{ "Transactional id" }</th><th>{ "State" }</th><th class="num">{ "Coordinator" }</th><th class="num">{ "Producer id" }</th><th class="num">{ "Epoch" }</th>
                <th>{ "Begun" }</th><th>{ "Partitions" }</th></tr></thead>
            <tbody>{ for known.iter().map(|t| html! {
                <tr key={t.id.clone()}>
                    <td>{ &t.id }</td><td>{ chip(state_kind(t.state), t.state) }</td><td class="num">{ t.coordinator }</td><td class="num">{ t.producer_id }</td><td class="num">{ i32::from(t.producer_epoch) }</td>
                    <td class="mono">{ t.started.map_or("–".to_owned(), date_text) }</td>
                    <td>{ t.partitions.iter().map(|p| format!("{}-{}", p.topic, p.partition)).collect::<Vec<_>>().join(", ") }</td>
                </tr>
            }) }</tbody>
        </table>
    }
}

pub fn brokers(shot: &Shot, act: &Callback<Act>) -> Html {
    let view = &shot.view;
    html! {
        <div class="scroll table-box" tabindex="0">
            <table>
                <thead><tr><th>{ "Broker" }</th><th>{ "State" }</th><th>{ "Rack" }</th><th class="num">{ "Broker epoch" }</th><th class="num">{ "Leads" }</th><th class="num">{ "Replicas" }</th>
                    <th class="num">{ "In sync" }</th><th class="num">{ "Records" }</th><th class="num">{ "Size" }</th><th>{ "Action" }</th></tr></thead>
                <tbody>
                { for view.brokers.iter().map(|b| {
                    let partitions = || view.topics.iter().flat_map(|t| &t.partitions);
                    let replicas = || partitions().flat_map(|x| &x.replicas).filter(|r| r.broker == b.id);
                    let up = !matches!(b.state, BrokerState::Crashed | BrokerState::Stopped);
                    let (word, command) = if up { ("Crash", Command::CrashBroker { broker: b.id }) } else { ("Restart", Command::RestartBroker { broker: b.id }) };
                    html! {
                        <tr key={b.id}>
                            <td>{ link(format!("Broker {}", b.id), Selection::Broker(b.id), act) }</td>
                            <td>{ chip(state_kind(b.state.name()), b.state.name()) }</td>
                            <td>{ b.rack.as_deref().unwrap_or("–") }</td><td class="num">{ b.epoch }</td>
                            <td class="num">{ partitions().filter(|x| x.leader == Some(b.id)).count() }</td>
                            <td class="num">{ replicas().count() }</td><td class="num">{ replicas().filter(|r| r.in_sync).count() }</td>
                            <td class="num">{ number(replicas().map(|r| (r.log_end_offset - r.log_start_offset).max(0) as u64).sum()) }</td>
                            <td class="num">{ size(replicas().map(|r| r.bytes).sum()) }</td>
                            <td><Button class="row-link" name={format!("{word} broker {} from the table", b.id)} text={word} off={shot.forbids(&command)} ask={Act::Do(command)} act={act} /></td>
                        </tr>
                    }
                }) }
                </tbody>
            </table>
        </div>
    }
}
