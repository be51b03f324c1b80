//! Runs a seed: a safety phase with faults, then healing, then what must come to rest.

use super::aggregates::Aggregates;
use super::draw::Drawer;
use super::heal::{give, healing, restarts};
use super::history::{Fates, History};
use super::moves::Moves;
use super::quotas::Quotas;
use super::report::Found;
use super::scenarios::Scenario;
use super::sharers::Sharers;
use super::transactors::Transactors;
use brokerlab::broker::Broker;
use brokerlab::check::Checker;
use brokerlab::client::consumer::Reads;
use brokerlab::node::{Partition, Time};
use brokerlab::protocol::{Dialect, TopicPattern};
use brokerlab::session::Session;
use brokerlab::session::command::Command;
use brokerlab::sim::{Application, ProcessState};
use brokerlab::view::shape::{AssignedView, GroupOffsetView, GroupView};
use brokerlab::view::{self, View};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

const SECOND: Time = 1_000_000;
/// Brokers register and are unfenced by then, for a quorum has elected a controller.
const START: Time = 6 * SECOND;
/// The safety phase lasts at least so long, and so many events.
const SAFETY_TIME: Time = 60 * SECOND;
const SAFETY_EVENTS: u64 = 10_000;
/// A world without clients has few events; it is not waited for longer than this.
const SAFETY_TIME_MAX: Time = 600 * SECOND;
/// After healing everything comes to rest within this: sessions end, a delivery times out, groups rebalance. The longest wait is a member's
/// whose JoinGroup was lost: `max.poll.interval.ms` and five seconds.
const REST_TIME_MAX: Time = 1_500 * SECOND;
/// More events in a virtual second than any workload that is drawn has: a client or broker that asks again without waiting.
const EVENTS_PER_SECOND_MAX: u64 = 50_000;
const REST_STEP: Time = 5 * SECOND;

/// What one seed came to.
#[derive(Default)]
pub struct Outcome {
    pub events: u64,
    pub counts: brokerlab::check::Counts,
    pub fates: Fates,
    pub found: Vec<Found>,
}

struct Run {
    session: Session,
    checker: Checker,
    history: History,
    /// The virtual second that was begun last, and the events before it.
    second: (Time, u64),
    /// Something goes round without end.
    storm: bool,
    transactors: Transactors,
    /// The workload has begun, and nothing is to come to rest yet.
    is_faulty: bool,
}

impl Run {
    /// Runs forward, looking at every event.
    fn to(&mut self, time: Time) {
        while self.now() < time && self.is_sound() {
            self.session.run(time - self.now(), 1);
            self.checker.after(self.session.world(), self.session.trace());
            self.history.after(&self.session);
            let (events, second) = (self.session.world().events(), self.now() / SECOND);
            if self.second.0 < second {
                self.second = (second, events);
            }
            self.storm |= EVENTS_PER_SECOND_MAX < events - self.second.1;
            // A command comes behind all events of its moment, and those are looked at one by one.
            if self.is_faulty && self.session.world().next_event_time() != Some(self.now()) {
                self.transactors.act(&self.session).into_iter().for_each(|command| self.give(command));
            }
        }
    }

    /// Gives a command, and looks at what it did: the next may leave nothing of it to see.
    fn give(&mut self, command: Value) {
        self.history.given(&command);
        give(&mut self.session, command);
        self.checker.after(self.session.world(), self.session.trace());
        self.history.after(&self.session);
    }

    fn is_sound(&self) -> bool {
        !self.storm && self.checker.violations().is_empty()
    }

    fn now(&self) -> Time {
        self.session.world().now()
    }

    /// What has not come to rest.
    fn unrest(&self) -> Option<String> {
        let world = self.session.world();
        let image = world.controller().image();
        // A process that was started a moment ago may go by the name of the last one still.
        let is_known = |broker: &Broker| image.brokers.get(&broker.id()).is_some_and(|known| known.epoch == broker.epoch());
        let behind = world.brokers().find(|(broker, _)| !is_known(broker) || broker.metadata_offset() < image.next_offset);
        let told = behind.map(|(broker, _)| format!("broker {} has not caught up with the metadata log", broker.id()));
        // A follower whose log was compacted and then cut by an unclean leader may hold nothing where a consumer reads that was sent to it
        // (KIP-392): it gets no records and no error, in Kafka as here.
        let is_whole = |name: &Partition| !self.checker.is_unclean(name);
        let view = self.view();
        let told = told.or_else(|| self.hanging(&view));
        // Nor does a share group come further that reads what is committed, where nobody knows any more of the transaction that is open there.
        let is_torn = |group: &GroupView| self.checker.is_share_group_torn(world, &group.id) || self.checker.is_ledger_torn();
        let is_known = |group: &GroupView| group.protocol != "share" || !is_torn(group);
        told.or_else(|| unrest(&view, is_whole, is_known)).or_else(|| self.unowned(&view)).or_else(|| self.checker.undrained(world))
    }

    /// T3: a transaction in a partition that nobody ends, so that nobody reads beyond it.
    fn hanging(&self, view: &View) -> Option<String> {
        for topic in view.topics.iter().filter(|_| !self.checker.is_ledger_torn()) {
            for one in &topic.partitions {
                let name = Partition { topic: Arc::from(topic.name.as_str()), index: one.partition };
                let leader = one.replicas.iter().find(|replica| Some(replica.broker) == one.leader);
                if leader.is_some_and(|own| own.last_stable_offset < own.high_watermark) && !self.checker.is_unclean(&name) {
                    return Some(format!("a transaction in {name} is open"));
                }
            }
        }
        None
    }

    /// G8: a partition of a topic that members of a group subscribe to, and that none of them owns.
    fn unowned(&self, view: &View) -> Option<String> {
        for client in self.session.world().clients().filter(|client| client.state == ProcessState::Running) {
            let Application::Consumer { consumer, .. } = &client.application else { continue };
            if consumer.error().is_some() {
                // The one that joins after the coordinator has moved and has no assignor in common with what the group chose: all that is stored.
                continue;
            }
            if !consumer.known_brokers().any(|broker| self.session.world().broker(broker).is_some()) {
                // All that it began with were removed before it heard of another.
                continue;
            }
            let Some(id) = &consumer.config().group else { continue };
            let subscribes: Box<dyn Fn(&str) -> bool> = match consumer.reads() {
                Reads::Subscribed(names) => Box::new(|topic| names.iter().any(|name| **name == *topic)),
                Reads::Matching(text) => {
                    let dialect = if consumer.config().reports { Dialect::Re2 } else { Dialect::Java };
                    let pattern = TopicPattern::parse(text, dialect).expect("a drawn pattern is one");
                    Box::new(move |topic| pattern.matches(topic))
                }
                Reads::Assigned(_) => continue,
            };
            // A leader that has come back does not see what topics became meanwhile (KIP-814).
            let comes_back = self.session.world().clients().any(|other| match &other.application {
                Application::Consumer { consumer, .. } => consumer.skips_assignment() && consumer.config().group.as_ref() == Some(id),
                Application::Producer { .. } => false,
            });
            if comes_back || self.came_back_otherwise(id, consumer.config().instance.as_deref()) {
                continue;
            }
            if consumer.config().shares && self.checker.is_share_group_torn(self.session.world(), id) {
                // What one coordinator has heard of the others may not know, and nobody shares that out.
                continue;
            }
            // Where the offsets topic cannot be made, for brokers are gone, nobody coordinates.
            let Some(group) = view.groups.iter().find(|group| *group.id == **id && group.coordinator.is_some()) else { continue };
            for topic in view.topics.iter().filter(|topic| subscribes(&topic.name)) {
                let owns = |partition: i32| {
                    let is = |one: &AssignedView| one.topic == topic.name && one.partition == partition;
                    group.members.iter().any(|member| member.assignment.iter().any(is))
                };
                if let Some(nobodys) = topic.partitions.iter().find(|one| !owns(one.partition)) {
                    return Some(format!("nobody of group {id} owns {}-{}", topic.name, nobodys.partition));
                }
            }
        }
        None
    }

    /// A static member whose place was another's, who subscribed otherwise: a stable group that would choose the same assignor does not
    /// begin a rebalance for it (KIP-345), so that until the next the leader knows only the older subscription.
    fn came_back_otherwise(&self, group: &str, instance: Option<&str>) -> bool {
        let subscriptions = self.session.commands().iter().enumerate().filter_map(|(index, given)| match &given.command {
            Command::AddConsumer { group: Some(of), topics, pattern, configs, .. } if of == group => {
                // A pattern may match others than it did the last time.
                let is_one = configs.get("group.instance.id").map(String::as_str) == instance;
                is_one.then_some((topics, pattern.as_ref().map(|_| index)))
            }
            _ => None,
        });
        instance.is_some() && subscriptions.collect::<BTreeSet<_>>().len() > 1
    }

    fn view(&self) -> View {
        view::view(&self.session)
    }
}

pub fn run(seed: u64, scenario: &Scenario) -> Outcome {
    let (mut drawer, mut quotas, mut aggregates) = (Drawer::new(seed), Quotas::new(seed, scenario), Aggregates::new(seed, scenario));
    let (mut sharers, mut moves) = (Sharers::new(seed, scenario), Moves::new(seed, scenario));
    let saved = drawer.cluster(seed);
    let session = Session::load(&saved).expect("a drawn cluster starts");
    let is_version_one = saved.cluster.configs.get("brokerlab.transaction.version").is_some_and(|version| version == "1");
    let (checker, history) = (Checker::new(), History::new(is_version_one));
    let transactors = Transactors::new(seed, scenario, is_version_one);
    let mut run = Run { session, checker, history, second: (0, 0), storm: false, transactors, is_faulty: false };
    run.to(START);
    for command in drawer.workload(&run.view()) {
        run.give(command);
    }
    run.is_faulty = true;
    while run.is_sound() && (run.now() < SAFETY_TIME || run.session.world().events() < SAFETY_EVENTS) && run.now() < SAFETY_TIME_MAX {
        run.to(run.now() + drawer.pause());
        for command in drawer.act(scenario, &run.session) {
            run.give(command);
        }
        quotas.act(&run.session).into_iter().for_each(|command| run.give(command));
        aggregates.act(&run.session).into_iter().for_each(|command| run.give(command));
        sharers.act(&run.session).into_iter().for_each(|command| run.give(command));
        moves.act(&run.session).into_iter().for_each(|command| run.give(command));
    }
    run.is_faulty = false;
    healing(&run.view()).into_iter().for_each(|command| run.give(command));
    quotas.ends(&run.session).into_iter().for_each(|command| run.give(command));
    aggregates.ends(&run.session).into_iter().for_each(|command| run.give(command));
    let healed = run.now();
    run.to(healed + REST_STEP);
    let mut unrest = run.unrest();
    while unrest.is_some() && run.now() < healed + REST_TIME_MAX && run.is_sound() {
        run.to(run.now() + REST_STEP);
        restarts(&run.view()).into_iter().for_each(|command| run.give(command));
        quotas.ends(&run.session).into_iter().for_each(|command| run.give(command));
        aggregates.ends(&run.session).into_iter().for_each(|command| run.give(command));
        unrest = run.unrest();
    }
    run.checker.in_full(run.session.world());
    let unrest = if run.storm {
        Some(format!("more than {EVENTS_PER_SECOND_MAX} events in one virtual second: something goes round without end"))
    } else {
        unrest
    };
    let mut found: Vec<Found> =
        run.checker.violations().iter().map(|violation| Found::of(seed, scenario, violation, &run.session)).collect();
    let (fates, broken) = run.history.fates(run.session.world(), &run.checker);
    let unrest = unrest.map(|sentence| ("liveness", sentence));
    if let Some((invariant, sentence)) = unrest.or(broken).filter(|_| found.is_empty()) {
        found.push(Found::in_the_end(seed, scenario, invariant, sentence, &run.session));
    }
    Outcome { fates, events: run.session.world().events(), counts: run.checker.counts(), found }
}

/// What has not come to rest: a partition without leader or with replicas out of sync, a group that rebalances or lags.
fn unrest(view: &View, is_whole: impl Fn(&Partition) -> bool, is_known: impl Fn(&GroupView) -> bool) -> Option<String> {
    if view.controller.leader.is_none() {
        return Some("there is no active controller".to_owned());
    }
    if let Some(behind) = view.controllers.iter().find(|one| one.high_watermark != view.controllers[0].log_end_offset) {
        return Some(format!("controller {} has the metadata log committed to {}, others have more", behind.id, behind.high_watermark));
    }
    if let Some(broker) = view.brokers.iter().find(|broker| broker.state.name() != "running") {
        return Some(format!("broker {} is {}", broker.id, broker.state.name()));
    }
    for topic in &view.topics {
        for one in &topic.partitions {
            let name = format!("{}-{}", topic.name, one.partition);
            if one.leader.is_none() {
                return Some(format!("{name} has no leader"));
            }
            let start = |broker: Option<i32>| {
                one.replicas.iter().find(|replica| Some(replica.broker) == broker).map_or(0, |replica| replica.log_start_offset)
            };
            if let Some(behind) = one.replicas.iter().find(|replica| replica.log_start_offset < start(one.leader)) {
                return Some(format!("broker {}'s log of {name} starts before its leader's", behind.broker));
            }
            if one.isr.len() < one.replicas.len() {
                return Some(format!("the ISR of {name} is {:?}", one.isr));
            }
        }
    }
    for group in view.groups.iter().filter(|group| !group.members.is_empty()) {
        if group.state != "Stable" {
            return Some(format!("group {} is {}", group.id, group.state));
        }
        // What nobody subscribes to any more is nobody's to read.
        let owned = |offset: &&GroupOffsetView| {
            let is = |one: &AssignedView| one.topic == offset.topic && one.partition == offset.partition;
            group.members.iter().any(|member| member.assignment.iter().any(is))
        };
        let lags = |offset: &&GroupOffsetView| {
            let name = Partition { topic: Arc::from(offset.topic.as_str()), index: offset.partition };
            offset.committed.unwrap_or(0) < offset.log_end_offset && is_whole(&name)
        };
        if let Some(behind) = group.offsets.iter().filter(owned).find(lags).filter(|_| is_known(group)) {
            let (topic, partition, committed, end) = (&behind.topic, behind.partition, behind.committed, behind.log_end_offset);
            return Some(format!("group {} lags on {topic}-{partition}: {committed:?} of {end}", group.id));
        }
    }
    None
}
