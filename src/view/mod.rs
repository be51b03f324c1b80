//! World to plain structs for a screen: pure functions, no state.
//!
//! [`shape`] holds the structs. It must not know Yew, canvas or JavaScript: the same structs become JSON for scripts and tests.

mod events;
mod messages;
mod phrases;
pub mod shape;
mod words;

pub use events::{Mark, events, marks, newest_events};
pub use messages::{Isolation, MessageQuery, messages};

use crate::broker::share::{RecordState, SharePartition};
use crate::broker::{Broker, Machine};
use crate::client::consumer::Reads;
use crate::controller::Controller;
use crate::coordinator::{ConsumerMember, Group, OFFSETS_TOPIC, SIMPLE, ShareMember, TRANSACTIONS_TOPIC, Transaction, partition_for};
use crate::cost::HEALTHY_DISK;
use crate::node::{MS, Time};
use crate::ordered::{OrderedMap, OrderedSet, sort_by};
use crate::protocol::consumer_protocol::Assignment;
use crate::protocol::metadata::{MetadataImage, TopicMetadata};
use crate::protocol::text::Text;
use crate::protocol::{Batch, Record, murmur2, topic_id_base64};
use crate::replica::{PartitionKey, Replica};
use crate::session::command::Configs;
use crate::session::{Session, topic_defaults};
use crate::sim::{Application, CERTAIN, ClientNode, DropNext, End, Link, Odds, ProcessState, World};
use crate::storage::{RemoteSegment, Standing};
use std::sync::Arc;
use uuid::Uuid;

pub use shape::*;

/// Rows of an application's table that a screen is shown.
const ROWS_MAX: usize = 100;

fn millis(time: Time) -> f64 {
    time as f64 / MS as f64
}

/// The whole cluster as it is now.
pub fn view(session: &Session) -> View {
    let world = session.world();
    let defaults = topic_defaults(world);
    View {
        time: session.time_ms(),
        latest: session.latest_ms(),
        playing: session.playing,
        speed: session.speed,
        seed: session.seed(),
        controller: controller_view(world),
        controllers: world.controllers().map(|(controller, is_up)| voter_view(controller, is_up)).collect(),
        brokers: world.brokers().map(|(broker, state)| broker_view(world, broker, state)).collect(),
        topics: topics_in_order(world).into_iter().map(|topic| topic_view(world, topic, &defaults)).collect(),
        producers: world.clients().filter_map(producer_view).collect(),
        consumers: world.clients().filter_map(consumer_view).collect(),
        groups: group_views(world),
        transactions: transaction_views(world),
        links: world.links().iter().map(|link| link_view(world, link)).collect(),
        drops: world.drops().iter().map(drop_view).collect(),
    }
}

fn controller_view(world: &World) -> ControllerView {
    let active = world.active_controller();
    let newest = world.controllers().map(|(controller, _)| controller.quorum().election().epoch).max();
    let epoch = active.map(|controller| controller.quorum().election().epoch).or(newest);
    ControllerView { leader: active.map(Controller::id), epoch: epoch.unwrap_or_default() }
}

fn voter_view(controller: &Controller, is_up: bool) -> VoterView {
    VoterView {
        id: controller.id(),
        state: if is_up { "running" } else { "crashed" },
        role: is_up.then(|| controller.quorum().role_name()),
        log_end_offset: controller.quorum().log().end_offset(),
        high_watermark: controller.quorum().high_watermark(),
    }
}

fn link_view(world: &World, link: &Link) -> LinkView {
    let name = |end: &End| match end {
        End::Any => "*".to_owned(),
        End::Node(node) => world.name(*node),
        End::Client(name) => name.to_string(),
    };
    let (from, to) = (name(&link.from), name(&link.to));
    let Odds { drop, duplicate, delay, late } = link.odds;
    let ratio = |parts: u64| (0 < parts).then(|| parts as f64 / CERTAIN as f64);
    LinkView {
        from,
        to,
        latency_ms: link.latency.map(millis),
        bytes_per_second: link.bytes_per_second,
        cut: link.cut,
        drop_ratio: ratio(drop),
        duplicate_ratio: ratio(duplicate),
        delay_ratio: ratio(delay),
        delay_ms: (0 < late).then(|| millis(late)),
    }
}

fn drop_view(drop: &DropNext) -> DropView {
    DropView { api: drop.api.name(), broker: drop.broker, what: if drop.response { "response" } else { "request" } }
}

fn broker_view(world: &World, broker: &Broker, state: ProcessState) -> BrokerView {
    let known = world.controller().image().brokers.get(&broker.id());
    let state = match state {
        ProcessState::Crashed => BrokerState::Crashed,
        ProcessState::Stopped => BrokerState::Stopped,
        ProcessState::Frozen => BrokerState::Frozen,
        ProcessState::Running if broker.is_stopping() => BrokerState::Stopping,
        ProcessState::Running if known.is_none_or(|known| known.fenced) => BrokerState::Fenced,
        ProcessState::Running => BrokerState::Running,
    };
    let rack = broker.config().rack.as_ref().map(|rack| rack.to_string());
    let Machine { clock_skew_ms: skew, disk_factor } = broker.machine();
    BrokerView {
        id: broker.id(),
        rack,
        state,
        epoch: known.map_or(-1, |known| known.epoch),
        clock_skew_ms: (skew != 0).then_some(skew),
        disk_factor: (disk_factor != HEALTHY_DISK).then_some(disk_factor as f64 / HEALTHY_DISK as f64),
    }
}

/// The user's topics in the order of their names, then the internal ones.
fn topics_in_order(world: &World) -> Vec<&TopicMetadata> {
    let image = world.controller().image();
    let all = image.topic_ids.values().filter_map(|id| image.topics.get(id));
    let (internal, mut topics): (Vec<_>, Vec<_>) = all.partition(|topic| is_internal(&topic.name));
    topics.extend(internal);
    topics
}

fn is_internal(topic: &str) -> bool {
    crate::coordinator::is_internal(topic)
}

fn replica_on<'a>(world: &'a World, broker: i32, key: &PartitionKey) -> Option<&'a Replica> {
    world.broker(broker)?.0.replicas().get(key)
}

fn topic_view(world: &World, topic: &TopicMetadata, defaults: &Configs) -> TopicView {
    let partition = |(index, state): (i32, &crate::protocol::metadata::PartitionState)| {
        let key = PartitionKey { topic: topic.id, index };
        let replica = |broker: &i32| {
            let replica = replica_on(world, *broker, &key);
            let tiered = replica.filter(|replica| replica.log.config().remote);
            ReplicaView {
                broker: *broker,
                log_start_offset: replica.map_or(0, |replica| replica.log.start_offset()),
                local_log_start_offset: tiered.map(|replica| replica.log.local_start_offset()),
                log_end_offset: replica.map_or(0, |replica| replica.log.end_offset()),
                high_watermark: replica.map_or(0, Replica::high_watermark),
                last_stable_offset: replica.map_or(0, Replica::last_stable_offset),
                leader_epoch: replica.map_or(-1, Replica::leader_epoch),
                in_sync: state.isr.contains(broker),
                bytes: replica.map_or(0, |replica| replica.log.bytes()),
            }
        };
        PartitionView {
            partition: index,
            leader: state.leader,
            preferred_leader: state.replicas.first().copied().unwrap_or(-1),
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            isr: state.isr.clone(),
            eligible_leader_replicas: state.elr.clone(),
            last_known_elr: state.last_known_elr.clone(),
            adding_replicas: state.adding.clone(),
            removing_replicas: state.removing.clone(),
            replicas: state.replicas.iter().map(replica).collect(),
            remote_segments: remote_views(world, &key),
        }
    };
    let mut configs = defaults.clone();
    configs.extend(topic.configs.iter().map(|(name, value)| (name.clone(), value.clone())));
    TopicView {
        name: topic.name.to_string(),
        id: topic_id_base64(topic.id),
        internal: is_internal(&topic.name),
        configs,
        partitions: (0..).zip(&topic.partitions).map(partition).collect(),
    }
}

fn remote_views(world: &World, key: &PartitionKey) -> Vec<RemoteSegmentView> {
    let segment = |known: &RemoteSegment| RemoteSegmentView {
        base_offset: known.base_offset(),
        last_offset: known.end - 1,
        bytes: known.segment.bytes(),
        state: known.state.name(),
        leader_epoch: known.epochs.last().map_or(-1, |last| last.epoch),
    };
    let mut views: Vec<RemoteSegmentView> =
        world.remote().get(key).map_or_else(Vec::new, |remote| remote.segments().iter().map(segment).collect());
    sort_by(&mut views, |one, other| one.base_offset.cmp(&other.base_offset));
    views
}

fn producer_view(client: &ClientNode) -> Option<ProducerView> {
    let Application::Producer { topic, producer, configs } = &client.application else { return None };
    let counts = producer.counts();
    Some(ProducerView {
        id: client.name.to_string(),
        topic: topic.to_string(),
        sent: counts.sent,
        acknowledged: counts.acknowledged,
        failed: counts.failed,
        retries: counts.retries,
        buffered: producer.buffered(),
        in_flight: producer.in_flight(),
        transaction: producer.transactions().map(|own| own.state().name()),
        configs: configs.clone(),
    })
}

/// What the leaders of `__transaction_state` know. A former one may not have heard yet that it leads no more: it is not asked.
fn transaction_views(world: &World) -> Vec<TransactionView> {
    let image = world.controller().image();
    let coordinator = |id: &str| {
        let topic = image.topic(TRANSACTIONS_TOPIC)?;
        image.partition(&topic.id, partition_for(id, topic.partitions.len() as i32))?.leader
    };
    let mut views = Vec::new();
    for (broker, _) in world.brokers().filter(|(_, state)| state.is_up()) {
        let view = |(id, own): (&Arc<str>, &Transaction)| TransactionView {
            id: id.to_string(),
            state: own.state.name(),
            coordinator: broker.id(),
            producer_id: own.producer_id,
            producer_epoch: own.epoch,
            timeout_ms: own.timeout_ms,
            started: Some(own.started_ms).filter(|started| 0 <= *started),
            partitions: own.partitions.iter().map(|p| AssignedView { topic: p.topic.to_string(), partition: p.index }).collect(),
        };
        views.extend(broker.transactions().all().filter(|(id, _)| coordinator(id) == Some(broker.id())).map(view));
    }
    views.sort_by(|one, other| one.id.cmp(&other.id));
    views
}

fn consumer_view(client: &ClientNode) -> Option<ConsumerView> {
    let Application::Consumer { consumer, configs } = &client.application else { return None };
    let state = match (client.state, consumer.error(), consumer.reads()) {
        (ProcessState::Crashed, ..) => "Crashed".to_owned(),
        (_, Some(error), _) => error.name().to_owned(),
        _ if consumer.is_paused() => "Paused".to_owned(),
        (.., Reads::Assigned(_)) => "Assigned".to_owned(),
        (.., Reads::Subscribed(_) | Reads::Matching(_)) => consumer.member_state().name().to_owned(),
    };
    let position = |(partition, position): (&crate::node::Partition, Option<i64>)| {
        Some(PositionView { topic: partition.topic.to_string(), partition: partition.index, position: position? })
    };
    let positions = if client.state == ProcessState::Crashed { Vec::new() } else { consumer.positions().filter_map(position).collect() };
    let group = consumer.config().group.as_ref().map(|group| group.to_string());
    let table = client.processor.as_ref().and_then(|processor| processor.aggregate.as_ref()).map(|aggregate| {
        let mut table = Configs::new();
        table.extend(aggregate.rows().take(ROWS_MAX).map(|(key, row)| (Text(key.clone()).to_string(), row.to_owned())));
        table
    });
    let printed = |(partition, record): (&crate::node::Partition, Record)| PrintedView {
        topic: partition.topic.to_string(),
        partition: partition.index,
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.map(Text),
        value: record.value.map(Text),
    };
    Some(ConsumerView {
        id: client.name.to_string(),
        group,
        state,
        consumed: consumer.consumed(),
        positions,
        table,
        printed: consumer.printed().records().into_iter().map(printed).collect(),
        configs: configs.clone(),
    })
}

/// Every group that a coordinator knows or a consumer asks for.
fn group_views(world: &World) -> Vec<GroupView> {
    let running = || world.brokers().filter(|(_, state)| state.is_up()).map(|(broker, _)| broker);
    let known = running().flat_map(|broker| broker.coordinator().groups().map(|group| group.id.to_string()));
    let wanted = world.clients().filter_map(|client| match &client.application {
        Application::Consumer { consumer, .. } => consumer.config().group.as_ref().map(|group| group.to_string()),
        Application::Producer { .. } => None,
    });
    let names: OrderedSet<String> = known.chain(wanted).collect();
    names.into_iter().map(|name| group_view(world, name)).collect()
}

fn group_view(world: &World, id: String) -> GroupView {
    let image = world.controller().image();
    let coordinator = image.topic(OFFSETS_TOPIC).and_then(|topic| {
        let index = partition_for(&id, topic.partitions.len() as i32);
        image.partition(&topic.id, index)?.leader
    });
    let group = coordinator.and_then(|leader| {
        let (broker, state) = world.broker(leader)?;
        broker.coordinator().groups().find(|group| *group.id == *id).filter(|_| state.is_up())
    });
    let mut subscribed = subscribed_topics(world, &id);
    let consumer = group.and_then(|group| group.consumer.as_deref());
    if let Some(consumer) = consumer {
        subscribed.extend(consumer.members.values().flat_map(|member| consumer.topics_of(member)).cloned());
    }
    let assignor = match consumer {
        Some(consumer) => Some(consumer.assignor().name().to_owned()),
        None if group.is_some_and(|group| group.share.is_some()) => Some(SIMPLE.to_owned()),
        None => group.and_then(|group| group.protocol.clone()),
    };
    let members = match consumer {
        Some(consumer) => consumer.members.iter().map(|(id, member)| consumer_member_view(image, id, member)).collect(),
        None => match group.and_then(|group| group.share.as_deref()) {
            Some(share) => share.members.iter().map(|(id, member)| share_member_view(image, id, member)).collect(),
            None => group.map(|group| group.members.values().map(member_view).collect()).unwrap_or_default(),
        },
    };
    GroupView {
        protocol: group.map_or_else(|| kind_of_members(world, &id), Group::kind).to_owned(),
        state: group.map_or("Dead", Group::state_name).to_owned(),
        generation: group.map_or(-1, |group| group.generation()),
        coordinator,
        assignor,
        members,
        offsets: offset_views(world, group, &subscribed),
        id,
    }
}

/// The protocol that a group's members speak, where no coordinator knows it.
fn kind_of_members(world: &World, group: &str) -> &'static str {
    let consumers = world.clients().filter_map(|client| match &client.application {
        Application::Consumer { consumer, .. } => Some(consumer.config()),
        _ => None,
    });
    match consumers.into_iter().find(|config| config.group.as_deref() == Some(group)) {
        Some(config) if config.shares => "share",
        Some(config) if config.reports => "consumer",
        _ => "classic",
    }
}

fn subscribed_topics(world: &World, group: &str) -> OrderedSet<String> {
    let mut topics = OrderedSet::new();
    for client in world.clients() {
        let Application::Consumer { consumer, .. } = &client.application else { continue };
        if consumer.config().group.as_deref() != Some(group) {
            continue;
        }
        match consumer.reads() {
            Reads::Subscribed(_) | Reads::Matching(_) => topics.extend(consumer.subscribed_topics().iter().map(|name| name.to_string())),
            Reads::Assigned(partitions) => topics.extend(partitions.iter().map(|partition| partition.topic.to_string())),
        }
    }
    topics
}

/// Partitions by their topics' names; a topic that is deleted has none.
fn assignment_view<'a>(image: &MetadataImage, assigned: impl Iterator<Item = &'a (Uuid, i32)>) -> Vec<AssignedView> {
    let named = |(topic, partition): &(Uuid, i32)| {
        let topic = image.topics.get(topic)?.name.to_string();
        Some(AssignedView { topic, partition: *partition })
    };
    assigned.filter_map(named).collect()
}

fn consumer_member_view(image: &MetadataImage, id: &str, member: &ConsumerMember) -> MemberView {
    MemberView {
        member_id: id.to_owned(),
        client_id: member.client_id.clone(),
        instance_id: member.instance_id.clone(),
        assignment: assignment_view(image, member.assigned.keys()),
    }
}

fn share_member_view(image: &MetadataImage, id: &str, member: &ShareMember) -> MemberView {
    MemberView {
        member_id: id.to_owned(),
        client_id: member.client_id.clone(),
        instance_id: None,
        assignment: assignment_view(image, member.assigned.iter()),
    }
}

fn member_view(member: &crate::coordinator::Member) -> MemberView {
    let assigned = Assignment::read(&member.assignment).unwrap_or_default();
    let partitions = assigned
        .partitions
        .into_iter()
        .flat_map(|(topic, partitions)| partitions.into_iter().map(move |partition| AssignedView { topic: topic.clone(), partition }));
    MemberView {
        member_id: member.id.to_string(),
        client_id: member.client_id.clone(),
        instance_id: member.instance.as_deref().map(str::to_owned),
        assignment: partitions.collect(),
    }
}

/// Committed offset and lag of every partition that the group subscribes to or has committed.
fn offset_views(world: &World, group: Option<&Group>, subscribed: &OrderedSet<String>) -> Vec<GroupOffsetView> {
    let image = world.controller().image();
    let mut partitions: OrderedSet<(String, i32)> = OrderedSet::new();
    for topic in subscribed.iter().filter_map(|name| image.topic(name)) {
        partitions.extend((0..topic.partitions.len() as i32).map(|index| (topic.name.to_string(), index)));
    }
    partitions.extend(group.iter().flat_map(|group| group.offsets.keys()).map(|(topic, index)| (topic.to_string(), *index)));
    let row = |(topic, partition): (String, i32)| {
        let committed = group.and_then(|group| group.offsets.get(&(topic.as_str().into(), partition))).map(|committed| committed.offset);
        let log_end_offset = leader_high_watermark(world, &topic, partition);
        // As kafka-consumer-groups: no commit, no lag.
        let lag = committed.map(|committed| (log_end_offset - committed).max(0));
        let shared = group.filter(|group| group.share.is_some()).and_then(|group| share_partition(world, &group.id, &topic, partition));
        if let Some(shared) = shared {
            let acquired = shared.in_flight().filter(|(_, range)| range.state == RecordState::Acquired);
            return GroupOffsetView {
                topic,
                partition,
                committed: Some(shared.start_offset()),
                log_end_offset,
                lag: Some((log_end_offset - shared.start_offset()).max(0)),
                acquired: Some(acquired.map(|(first, range)| range.last - first + 1).sum()),
                delivery_count: Some(shared.in_flight().map(|(_, range)| range.deliveries).max().unwrap_or(0)),
            };
        }
        GroupOffsetView { topic, partition, committed, log_end_offset, lag, acquired: None, delivery_count: None }
    };
    partitions.into_iter().map(row).collect()
}

/// What a share group has in flight, as the leader of the partition has it.
fn share_partition<'w>(world: &'w World, group: &str, topic: &str, index: i32) -> Option<&'w SharePartition> {
    let topic = world.controller().image().topic(topic)?;
    let leader = topic.partitions.get(usize::try_from(index).ok()?)?.leader?;
    let (broker, state) = world.broker(leader)?;
    broker.share_partition(group, topic.id, index).filter(|_| state.is_up())
}

/// What a consumer of the group would be told as the end of the log: the leader's high watermark.
fn leader_high_watermark(world: &World, topic: &str, index: i32) -> i64 {
    let image = world.controller().image();
    let Some(topic) = image.topic(topic) else { return 0 };
    let Some(state) = image.partition(&topic.id, index) else { return 0 };
    state
        .leader_or_last()
        .and_then(|broker| replica_on(world, broker, &PartitionKey { topic: topic.id, index }))
        .map_or(0, Replica::high_watermark)
}

/// The newest `cells` offsets of each replica's log.
pub fn picture(session: &Session, cells: usize) -> Picture {
    let world = session.world();
    let mut picture = Picture::default();
    for topic in topics_in_order(world).into_iter().filter(|topic| !is_internal(&topic.name)) {
        for (index, state) in (0..).zip(&topic.partitions) {
            let key = PartitionKey { topic: topic.id, index };
            let mut decompressed = Decompressed::new();
            for broker in &state.replicas {
                let replica = replica_on(world, *broker, &key);
                let end = replica.map_or(0, |replica| replica.log.end_offset());
                let first = (end - cells as i64).max(replica.map_or(0, |replica| replica.log.local_start_offset()));
                let cells = replica.map(|replica| cells_from(replica, first, &mut decompressed)).unwrap_or_default();
                picture.strips.push(Strip { topic: topic.name.to_string(), partition: index, broker: *broker, first, cells });
            }
        }
    }
    picture
}

/// The cells of a partition's compressed batches, by where their bytes are: replicas share them, so each is decompressed once a picture.
type Decompressed = OrderedMap<usize, Vec<Cell>>;

fn cells_from(replica: &Replica, first: i64, decompressed: &mut Decompressed) -> Vec<Cell> {
    let mut cells = Vec::new();
    for batch in replica.log.batches_from(first) {
        let place = batch.bytes.as_ptr() as usize;
        let before = cells.len();
        if !batch.is_compressed() {
            cells.extend(cells_of(batch));
        } else if let Some(known) = decompressed.get(&place) {
            cells.extend_from_slice(known);
        } else {
            let known: Vec<Cell> = cells_of(batch).collect();
            cells.extend_from_slice(&known);
            decompressed.insert(place, known);
        }
        let kind = kind_of(replica, batch);
        cells[before..].iter_mut().for_each(|cell| cell.kind = kind);
    }
    cells.retain(|cell| first <= cell.offset);
    cells
}

fn kind_of(replica: &Replica, batch: &Batch) -> CellKind {
    if let Some(marker) = batch.marker() {
        return CellKind::Marker(marker.outcome);
    }
    match replica.log.standing(batch) {
        Some(Standing::Open) => CellKind::Open,
        Some(Standing::Aborted) => CellKind::Aborted,
        Some(Standing::Committed) | None => CellKind::Record,
    }
}

fn cells_of(batch: &Batch) -> impl Iterator<Item = Cell> {
    let leader_epoch = batch.leader_epoch;
    let is_marker = batch.marker().is_some();
    batch.records().flatten().map(move |record| Cell {
        offset: record.offset,
        kind: CellKind::Record,
        // What a marker has for a key is Kafka's own.
        key_hash: record.key.as_ref().filter(|_| !is_marker).map(|key| murmur2(key) as u32),
        leader_epoch,
    })
}

/// The messages on their way: what the canvas needs each frame.
pub fn flights(session: &Session) -> Vec<Flight> {
    let world = session.world();
    let flight = |flight: crate::sim::Flight<'_>| Flight {
        id: flight.message,
        from: world.name(flight.from),
        to: world.name(flight.to),
        api: flight.summary.api.name(),
        response: flight.response,
        sent: millis(flight.sent),
        arrives: millis(flight.arrives),
        topic: flight.summary.partition.as_ref().map(|partition| partition.topic.to_string()),
        partition: flight.summary.partition.as_ref().map(|partition| partition.index),
        records: flight.summary.records,
        error: Some(flight.summary.error).filter(|error| error.code() != 0).map(|error| error.name()),
    };
    world.flights().into_iter().map(flight).collect()
}
