//! Groups: their generations, and who reads what for them.
//!
//! G1: a coordinator never gives a generation twice. G2: of the members of one generation no two own one partition at a time; so one that has to
//! change hands is with neither of them for a while. G3, of the new protocol: of the members that there are no two own one partition at a time, by what
//! the coordinator says of them and by what they say themselves, and no member is ahead of the target, nor that of the group. G4: nor does one stay that
//! gives nothing up. G9: an application that
//! does not poll in time is no member. G6: an instance id has one member.

use super::{Term, Verdict, decided, offsets_partition, term};
use crate::coordinator::Group;
use crate::node::{MS, NodeId, Partition, Time};
use crate::ordered::OrderedMap;
use crate::sim::{Application, ClientNode, ProcessState, World};
use std::sync::Arc;
use uuid::Uuid;

/// A consumer, and the generation that gave it a partition.
type Owner = (NodeId, i32);

#[derive(Clone, Debug, Default)]
pub struct GroupsCheck {
    /// The newest generation of each group at each coordinator, and in which term of it.
    generations: OrderedMap<(Arc<str>, i32), (Term, i32)>,
    /// Who owns a partition for a group, as far as each of them knows.
    owners: OrderedMap<(Arc<str>, Partition), Vec<Owner>>,
}

impl GroupsCheck {
    /// A coordinator begins a generation.
    pub fn rebalanced(&mut self, world: &World, node: NodeId, group: &Arc<str>, generation: i32) -> Verdict {
        let (NodeId::Broker(broker), Some(term)) = (node, term(world, node, group)) else { return Ok(()) };
        // A group whose making could not be written is none: the next one of its name begins anew.
        let own = world.broker(broker).and_then(|(own, _)| own.coordinator().groups().find(|known| *known.id == **group));
        let Some(is_classic) = own.map(|known| known.kind() == "classic") else { return Ok(()) };
        let before = self.generations.insert((group.clone(), broker), (term, generation));
        if let Some((coordinator, known)) = coordinated(world, group).filter(|(_, known)| known.kind() != "classic") {
            // What a former one begins comes to nothing.
            if coordinator != broker {
                return Ok(());
            }
            // Under the new protocols epochs that could not be written, and that nobody was told, are given again.
            let is_member = |id: &str| {
                let shares = known.share.as_ref().is_some_and(|share| share.members.contains_key(id));
                shares || known.consumer.as_ref().is_some_and(|consumer| consumer.members.contains_key(id))
            };
            let told = world.clients().filter_map(member_of).filter(|(id, _)| is_member(id));
            return match told.map(|(_, epoch)| epoch).max().filter(|told| generation < *told) {
                Some(told) => Err(("G1", format!("group {group} went to epoch {generation}, and a member was told {told}"))),
                None => Ok(()),
            };
        }
        // Nobody coordinates it now as far as the cluster knows: epochs are given again then, too.
        match before.filter(|before| is_classic && before.0 == term) {
            Some((_, before)) if generation <= before => {
                Err(("G1", format!("group {group} went from generation {before} to {generation}")))
            }
            _ => Ok(()),
        }
    }

    /// A group is no more: the next of its name begins where it will.
    pub fn deleted(&mut self, node: NodeId, group: &Arc<str>) {
        if let NodeId::Broker(broker) = node {
            self.generations.remove(&(group.clone(), broker));
        }
    }

    /// A consumer takes these for its own.
    pub fn assigned(&mut self, world: &World, node: NodeId, group: &Arc<str>, partitions: &[Partition]) -> Verdict {
        let mut verdict = consistent(world, group);
        for partition in partitions {
            let owners = self.owners.or_default((group.clone(), partition.clone()));
            owners.retain(|(other, _)| *other != node && membership(world, *other).is_some());
            if let Some((rule, other)) = owners.iter().find_map(|other| Some((broken(world, group, node, *other)?, other.0))) {
                let (one, other) = (world.name(node), world.name(other));
                verdict = Err((rule, format!("{one} of group {group} was given {partition} while {other} has it for the same group")));
            }
            owners.push((node, membership(world, node).map_or(0, |(_, generation)| generation)));
        }
        verdict
    }

    /// A consumer does not take these for its own any more.
    pub fn given_up(&mut self, node: NodeId, group: &Arc<str>, partitions: &[Partition]) {
        for partition in partitions {
            if let Some(owners) = self.owners.get_mut(&(group.clone(), partition.clone())) {
                owners.retain(|(other, _)| *other != node);
            }
        }
    }
}

/// G9: an application that is at work for longer than `max.poll.interval.ms` is no member any more.
pub fn polls_in_time(world: &World, node: NodeId) -> Verdict {
    match world.client_at(node).map(|client| &client.application) {
        Some(Application::Consumer { consumer, .. }) if consumer.overstays(world.now()) => {
            Err(("G9", format!("{} has not polled for max.poll.interval.ms and is a member still", world.name(node))))
        }
        _ => Ok(()),
    }
}

/// How late a coordinator may be that stood still or could not write.
const LATE: Time = 60_000 * MS;

/// G4: a member that does not give up in time what it shall not have any more is taken out.
pub fn give_up_in_time(world: &World, node: NodeId, group: &str) -> Verdict {
    let NodeId::Broker(broker) = node else { return Ok(()) };
    let known = world.broker(broker).and_then(|(broker, _)| broker.coordinator().groups().find(|known| *known.id == *group));
    let members = known.and_then(|known| known.consumer.as_deref()).into_iter().flat_map(|consumer| &consumer.members);
    let overdue = |by: Option<Time>| by.is_some_and(|by| by + LATE < world.now());
    match members.into_iter().find(|(_, member)| overdue(member.revokes_by())) {
        Some((id, _)) => Err(("G4", format!("{id} is a member of {group} still, and has not given up in time what it shall not have"))),
        None => Ok(()),
    }
}

/// Whether it is a member of a share group.
pub fn shares(world: &World, node: NodeId) -> bool {
    let client = world.client_at(node).map(|client| &client.application);
    matches!(client, Some(Application::Consumer { consumer, .. }) if consumer.config().shares)
}

/// G6: no two members of a group have one instance id.
pub fn instances_are_unique(world: &World, node: NodeId, group: &str) -> Verdict {
    let NodeId::Broker(broker) = node else { return Ok(()) };
    let Some((broker, _)) = world.broker(broker) else { return Ok(()) };
    let Some(known) = broker.coordinator().groups().find(|known| *known.id == *group) else { return Ok(()) };
    let mut instances: Vec<&str> = known.members.values().filter_map(|member| member.instance.as_deref()).collect();
    instances.sort_unstable();
    match instances.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(("G6", format!("two members of group {group} are {}", pair[0]))),
        None => Ok(()),
    }
}

/// The member id and the generation of a consumer that runs.
fn membership(world: &World, node: NodeId) -> Option<(&str, i32)> {
    member_of(world.client_at(node)?)
}

fn member_of(client: &ClientNode) -> Option<(&str, i32)> {
    match &client.application {
        Application::Consumer { consumer, .. } if client.state == ProcessState::Running => {
            Some((consumer.member_id(), consumer.generation()?))
        }
        _ => None,
    }
}

/// The broker that coordinates a group, and the group as it has it.
fn coordinated<'w>(world: &'w World, group: &str) -> Option<(i32, &'w Group)> {
    let leader = decided(world, &offsets_partition(world, group)).and_then(|state| state.leader)?;
    Some((leader, world.broker(leader)?.0.coordinator().groups().find(|known| *known.id == *group)?))
}

/// G3 by what the coordinator says.
fn consistent(world: &World, group: &str) -> Verdict {
    let Some(consumer) = coordinated(world, group).and_then(|(_, known)| known.consumer.as_deref()) else { return Ok(()) };
    let mut owners: OrderedMap<_, &Arc<str>> = OrderedMap::new();
    for (id, member) in &consumer.members {
        if consumer.target_epoch < member.epoch || consumer.epoch < consumer.target_epoch {
            let (own, target, newest) = (member.epoch, consumer.target_epoch, consumer.epoch);
            return Err(("G3", format!("member {id} of group {group} is in epoch {own}, the target in {target}, the group in {newest}")));
        }
        for place in member.assigned.keys().chain(member.pending_revocation.keys()) {
            if let Some(other) = owners.insert(*place, id) {
                return Err(("G3", format!("members {id} and {other} of group {group} both have partition {} of a topic", place.1)));
            }
        }
    }
    Ok(())
}

/// Which rule is broken when both have a partition of this name: both are members of the coordinator's current generation, and both know it; or, under
/// the new protocol, both are members and it is one topic's. (One may still read what was deleted, and the other what goes by its name now.) A
/// cooperative static member that was away for a whole generation comes back with what it was given before, and others have meanwhile.
fn broken(world: &World, group: &str, one: NodeId, (other, given): Owner) -> Option<&'static str> {
    let (own, others) = (membership(world, one)?, membership(world, other)?);
    let (_, known) = coordinated(world, group)?;
    if let Some(consumer) = &known.consumer {
        // Who was taken out, and taken in again as it asked for, may hear an answer of before: it knows an older epoch, and by the coordinator has nothing.
        let (epoch, known) = (others.1, consumer.members.get(others.0)?);
        let is_its = |place: &&(Uuid, i32)| {
            epoch == known.epoch || known.assigned.contains_key(*place) || known.pending_revocation.contains_key(*place)
        };
        let (is_member, own) = (consumer.members.contains_key(own.0), owned_places(world, one));
        let others = owned_places(world, other);
        return (is_member && own.iter().filter(is_its).any(|place| others.contains(place))).then_some("G3");
    }
    let is_of = |(member, generation): (&str, i32)| known.generation == generation && known.members.contains_key(member);
    (own.1 == others.1 && own.1 <= given.saturating_add(1) && is_of(own) && is_of(others)).then_some("G2")
}

/// What a consumer has by topic id, under the new protocol.
fn owned_places(world: &World, node: NodeId) -> &[(Uuid, i32)] {
    match world.client_at(node).map(|client| &client.application) {
        Some(Application::Consumer { consumer, .. }) => consumer.owned_places(),
        _ => &[],
    }
}
