//! The inspector: every field of what was clicked, and what can be done with it.

use super::tree::{classes, html};
use super::{
    act::{Act, Dialog, Selection},
    js,
    messages::text,
    parts::{clock_text, count, date_text, list, number, size},
    shot::{Shared, Shot},
};
use crate::session::command::{Command, Configs};
use yew::prelude::*;

/// A field's name and value.
type Fields = Vec<(String, Html)>;

pub fn inspector(shot: &Shared<Shot>, act: &Callback<Act>) -> Html {
    let Some(selection) = &shot.selection else { return Html::default() };
    let (kind, title, body) = describe(shot, selection, act);
    html! {
        <section class="inspector" aria-label="Inspector" tabindex="-1">
            <div class="drawer-head">
                <div class="grow"><span class="eyebrow">{ kind }</span><h2>{ title }</h2></div>
                <Button icon="close" name="Close inspector" title="Close (Esc)" ask={Act::Select(None)} act={act} />
            </div>
            <div class="drawer-body scroll">{ body.unwrap_or_else(|| html! { <p class="dim">{ "This does not exist at this moment of virtual time." }</p> }) }</div>
        </section>
    }
}

fn describe(shot: &Shot, selection: &Selection, act: &Callback<Act>) -> (&'static str, String, Option<Html>) {
    match selection {
        Selection::Record { topic, partition, offset } => {
            ("Record", format!("{topic}-{partition} @ {offset}"), record(shot, (topic, *partition), *offset, act))
        }
        Selection::Partition { topic, partition, broker } => {
            ("Partition", format!("{topic}-{partition}"), self::partition(shot, topic, *partition, *broker, act))
        }
        Selection::Topic(name) => ("Topic", name.clone(), topic(shot, name, act)),
        Selection::Broker(id) => ("Broker", format!("Broker {id}"), broker(shot, *id, act)),
        Selection::Producer(id) => ("Producer", id.clone(), producer(shot, id, act)),
        Selection::Consumer(id) => ("Consumer", id.clone(), consumer(shot, id, act)),
        Selection::Group(id) => ("Consumer group", id.clone(), group(shot, id, act)),
        Selection::Event(index) => ("Event", format!("#{index}"), event(shot)),
    }
}

fn fields(all: Fields) -> Html {
    html! { <dl class="fields">{ for all.into_iter().map(|(name, value)| html! { <div><dt>{ name }</dt><dd>{ value }</dd></div> }) }</dl> }
}

fn field(name: &str, value: impl ToString) -> (String, Html) {
    (name.to_owned(), html! { <span class="mono">{ value.to_string() }</span> })
}

fn settings(configs: &Configs) -> Html {
    if configs.is_empty() {
        return html! { <p class="dim fine">{ "Every setting has Kafka’s default." }</p> };
    }
    html! { <><h3>{ "Settings" }</h3>{ fields(configs.iter().map(|(k, v)| field(k, v)).collect()) }</> }
}

fn go(name: String, to: Selection, act: &Callback<Act>) -> Html {
    html! { <Button class="row-link" name={name.clone()} text={name} ask={Act::Select(Some(to))} act={act} /> }
}

fn record(shot: &Shot, (topic, partition): (&str, i32), offset: i64, act: &Callback<Act>) -> Option<Html> {
    let found = shot.view.topics.iter().find(|t| t.name == topic)?.partitions.iter().find(|x| x.partition == partition)?;
    let step = |name: &'static str, icon: &'static str, to: i64, off: bool| {
        let selection = Selection::Record { topic: topic.to_owned(), partition, offset: to };
        html! { <Button class="line" {icon} {name} off={off.then(|| AttrValue::from("There is no record there."))} ask={Act::Select(Some(selection))} act={act} /> }
    };
    let start = found.replicas.iter().map(|r| r.log_start_offset).min()?;
    let end = found.replicas.iter().map(|r| r.log_end_offset).max()?;
    let walk = html! { <div class="row">{ step("Record before", "back", offset - 1, offset <= start) }{ step("Record after", "step", offset + 1, offset + 1 >= end) }
    <span class="grow"></span>{ go(format!("{topic}-{partition}"), Selection::Partition { topic: topic.to_owned(), partition, broker: None }, act) }</div> };
    let Some(m) = &shot.record else {
        return Some(html! { <>{ walk }<p class="dim">{ "No replica that can answer has this record." }</p></> });
    };
    let high = found.replicas.iter().find(|r| Some(r.broker) == found.leader).map(|r| r.high_watermark);
    let mut all = vec![
        field("offset", m.offset),
        field("key", text(m.key.as_ref())),
        field("committed", if high.is_some_and(|h| m.offset < h) { "yes: below the high watermark" } else { "not yet" }),
        field("timestamp", date_text(m.timestamp)),
        field("leader epoch", m.leader_epoch),
        field("producer id", m.producer_id.map_or("none".to_owned(), |id| id.to_string())),
        field("producer epoch", m.producer_epoch.map_or("none".to_owned(), |e| e.to_string())),
        field("sequence", m.sequence.map_or("none".to_owned(), |s| s.to_string())),
        field("transactional", if m.transactional == Some(true) { "yes" } else { "no" }),
    ];
    all.extend(m.control.map(|c| field("control", c)));
    all.extend(m.headers.iter().map(|(k, v)| field(&format!("header {k}"), text(v.as_ref()))));
    let holders: Vec<i32> =
        found.replicas.iter().filter(|r| r.log_end_offset > offset && r.log_start_offset <= offset).map(|r| r.broker).collect();
    all.push(field("on brokers", list(&holders)));
    Some(html! { <>{ walk }{ fields(all) }<h3>{ "Value" }</h3><pre class="value" tabindex="0">{ text(m.value.as_ref()) }</pre></> })
}

fn partition(shot: &Shot, topic: &str, partition: i32, broker: Option<i32>, act: &Callback<Act>) -> Option<Html> {
    let found = shot.view.topics.iter().find(|t| t.name == topic)?.partitions.iter().find(|x| x.partition == partition)?;
    let leader = found.leader.map_or("none".to_owned(), |l| format!("broker {l}"));
    let mut all = vec![
        field("leader", leader),
        field("preferred leader", format!("broker {}", found.preferred_leader)),
        field("leader epoch", found.leader_epoch),
        field("partition epoch", found.partition_epoch),
        field("in-sync replicas", list(&found.isr)),
    ];
    if !found.eligible_leader_replicas.is_empty() {
        all.push(field("eligible leader replicas", list(&found.eligible_leader_replicas)));
    }
    let strip =
        shot.picture.strips.iter().find(|s| s.topic == topic && s.partition == partition && Some(s.broker) == broker.or(found.leader));
    let newest = strip.map_or(&[][..], |s| &s.cells);
    Some(html! {
        <>
            <div class="row">{ go(format!("Topic {topic}"), Selection::Topic(topic.to_owned()), act) }</div>
            { fields(all) }
            { for found.replicas.iter().map(|r| html! {
                <section class={classes!("replica", (Some(r.broker) == broker).then_some("on"))} key={r.broker}>
                    <h3>{ format!("on broker {}", r.broker) }<span class="dim">{ if found.leader == Some(r.broker) { " leader" } else { " follower" } }{ if r.in_sync { ", in sync" } else { ", out of sync" } }</span></h3>
                    { fields(vec![field("log start offset", r.log_start_offset), field("high watermark", r.high_watermark), field("last stable offset", r.last_stable_offset),
                        field("log end offset", r.log_end_offset), field("leader epoch", r.leader_epoch), field("size", size(r.bytes))]) }
                </section>
            }) }
            if !newest.is_empty() {
                <h3>{ "Newest records" }</h3>
                <div class="record-list">{ for newest.iter().rev().map(|c| html! {
                    <Button key={c.offset.to_string()} class="row-link" name={format!("Record {}", c.offset)} text={match c.key_hash.and_then(|h| shot.keys.name(h)) { Some(key) => format!("{} · {key}", c.offset), None => c.offset.to_string() }}
                        ask={Act::Select(Some(Selection::Record { topic: topic.to_owned(), partition, offset: c.offset }))} act={act} />
                }) }</div>
            }
        </>
    })
}

fn topic(shot: &Shot, name: &str, act: &Callback<Act>) -> Option<Html> {
    let t = shot.view.topics.iter().find(|t| t.name == name)?;
    Some(html! {
        <>
            <div class="row"><Button class="line" icon="send" name="Send a record to this topic" text="Send a record" ask={Act::Open(Dialog::SendRecord { producer: None, topic: Some(name.to_owned()) })} act={act} /></div>
            { fields(vec![field("topic id", &t.id), field("internal", if t.internal { "yes" } else { "no" }), field("partitions", t.partitions.len()),
                field("replication factor", t.partitions.first().map_or(0, |x| x.replicas.len()))]) }
            <div class="record-list">{ for t.partitions.iter().map(|x| go(format!("{name}-{}", x.partition), Selection::Partition { topic: name.to_owned(), partition: x.partition, broker: None }, act)) }</div>
            { settings(&t.configs) }
        </>
    })
}

fn broker(shot: &Shot, id: i32, act: &Callback<Act>) -> Option<Html> {
    let b = shot.view.brokers.iter().find(|b| b.id == id)?;
    let partitions = || shot.view.topics.iter().flat_map(|t| t.partitions.iter().map(move |x| (t, x)));
    let replica = || partitions().flat_map(|(_, x)| &x.replicas).filter(|r| r.broker == id);
    Some(html! {
        <>
            { fields(vec![field("state", b.state.name()), field("broker epoch", b.epoch), field("rack", b.rack.as_deref().unwrap_or("none")),
                field("replicas", replica().count()), field("in sync", replica().filter(|r| r.in_sync).count()), field("size", size(replica().map(|r| r.bytes).sum()))]) }
            <h3>{ "Leads" }</h3>
            <div class="record-list">{ for partitions().filter(|(_, x)| x.leader == Some(id)).map(|(t, x)| go(format!("{}-{}", t.name, x.partition), Selection::Partition { topic: t.name.clone(), partition: x.partition, broker: Some(id) }, act)) }</div>
        </>
    })
}

fn producer(shot: &Shot, id: &str, act: &Callback<Act>) -> Option<Html> {
    let x = shot.view.producers.iter().find(|x| x.id == id)?;
    Some(html! {
        <>
            <div class="row"><Button class="line" icon="send" name="Send a record with this producer" text="Send a record" ask={Act::Open(Dialog::SendRecord { producer: Some(id.to_owned()), topic: Some(x.topic.clone()) })} act={act} /></div>
            { fields(vec![field("topic", &x.topic), field("sent", number(x.sent)), field("acknowledged", number(x.acknowledged)), field("failed", number(x.failed)),
                field("retries", number(x.retries)), field("waiting in batches", number(x.buffered)), field("requests in flight", number(x.in_flight))]) }
            { settings(&x.configs) }
        </>
    })
}

fn consumer(shot: &Shot, id: &str, act: &Callback<Act>) -> Option<Html> {
    let x = shot.view.consumers.iter().find(|x| x.id == id)?;
    let member =
        shot.view.groups.iter().filter(|g| Some(&g.id) == x.group.as_ref()).flat_map(|g| &g.members).find(|m| m.client_id == x.client_id());
    let mut all = vec![
        field("state", &x.state),
        field("group", x.group.as_deref().unwrap_or("none")),
        field("consumed", count(x.consumed, "record", "records")),
    ];
    if let Some(m) = member {
        all.push(field("member id", &m.member_id));
        all.push(field("instance id", m.instance_id.as_deref().unwrap_or("none")));
    }
    Some(html! {
        <>
            if let Some(group) = &x.group { <div class="row">{ go(format!("Group {group}"), Selection::Group(group.clone()), act) }</div> }
            { fields(all) }
            <h3>{ "Positions: the next offset to read" }</h3>
            { fields(x.positions.iter().map(|at| field(&format!("{}-{}", at.topic, at.partition), at.position)).collect()) }
            <div class="row wrap">{ for x.positions.iter().map(|at| html! {
                <Button class="line" name={format!("Read {}-{} from the beginning", at.topic, at.partition)} text={format!("{}-{} from 0", at.topic, at.partition)} ask={Act::Do(Command::Seek { consumer: id.to_owned(), topic: at.topic.clone(),
                    partition: at.partition, to: crate::session::command::SeekTo::Edge(crate::session::command::SeekEdge::Beginning) })} act={act} />
            }) }
                if x.group.is_some() { <Button class="line" name="Commit positions" text="Commit positions" ask={Act::Do(Command::Commit { consumer: id.to_owned(), offsets: None })} act={act} /> }</div>
            if !x.printed.is_empty() { <h3>{ "Printed: the newest records" }</h3> }
            { fields(x.printed.iter().map(|line| field(&format!("{}-{} @ {}", line.topic, line.partition, line.offset), format!("{}: {}", text(line.key.as_ref()), text(line.value.as_ref())))).collect()) }
            if let Some(table) = &x.table { <h3>{ "Its table" }</h3>{ fields(table.iter().map(|(key, row)| field(key, row)).collect()) } }
            { settings(&x.configs) }
        </>
    })
}

fn group(shot: &Shot, id: &str, act: &Callback<Act>) -> Option<Html> {
    let g = shot.view.groups.iter().find(|g| g.id == id)?;
    Some(html! {
        <>
            { fields(vec![field("state", &g.state), field("protocol", &g.protocol), field("generation", g.generation), field("assignor", g.assignor.as_deref().unwrap_or("none")),
                field("coordinator", g.coordinator.map_or("none".to_owned(), |c| format!("broker {c}")))]) }
            { for g.members.iter().map(|m| html! {
                <section class="replica" key={m.member_id.clone()}>
                    <h3>{ go(m.client_id.clone(), Selection::Consumer(m.client_id.clone()), act) }</h3>
                    { fields(vec![field("member id", &m.member_id), field("owns", m.assignment.iter().map(|a| format!("{}-{}", a.topic, a.partition)).collect::<Vec<_>>().join(", "))]) }
                </section>
            }) }
            <h3>{ "Committed offsets" }</h3>
            { fields(g.offsets.iter().map(|o| field(&format!("{}-{}", o.topic, o.partition), format!("{} of {} · lag {}", o.committed.map_or("–".to_owned(), |c| c.to_string()), o.log_end_offset,
                o.lag.map_or("–".to_owned(), |l| l.to_string())))).collect()) }
        </>
    })
}

fn event(shot: &Shot) -> Option<Html> {
    let e = shot.event.as_ref()?;
    let mut all = vec![field("time", clock_text(e.time)), field("kind", e.kind), field("node", &e.node)];
    all.extend(e.topic.as_ref().map(|t| field("topic", t)));
    all.extend(e.partition.map(|x| field("partition", x)));
    all.extend(e.error.map(|x| field("error", x)));
    let detail = js::stringify(&e.detail, 2);
    Some(html! { <><p class="lead">{ &e.text }</p>{ fields(all) }<h3>{ "Detail" }</h3><pre class="value" tabindex="0">{ detail }</pre></> })
}
