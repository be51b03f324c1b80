//! Groups: their generations, and who reads what for them.
//!
//! G1: a coordinator never gives a generation twice. G2: of the members of one generation no two own one partition at a time; so one that has to
//! change hands is with neither of them for a while. G4: an application that does not poll in time is no member. G6: an instance id has one member.

use super::{Term, Verdict, decided, offsets_partition, term};
use crate::node::{NodeId, Partition};
use crate::ordered::OrderedMap;
use crate::sim::{Application, ProcessState, World};
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub struct GroupsCheck {
    /// The newest generation of each group at each coordinator, and in which term of it.
    generations: OrderedMap<(Arc<str>, i32), (Term, i32)>,
    /// The consumers that own a partition for a group, as far as each of them knows.
    owners: OrderedMap<(Arc<str>, Partition), Vec<NodeId>>,
}

impl GroupsCheck {
    /// A coordinator begins a generation.
    pub fn rebalanced(&mut self, world: &World, node: NodeId, group: &Arc<str>, generation: i32) -> Verdict {
        let (NodeId::Broker(broker), Some(term)) = (node, term(world, node, group)) else { return Ok(()) };
        let before = self.generations.insert((group.clone(), broker), (term, generation));
        match before.filter(|before| before.0 == term) {
            Some((_, before)) if generation <= before => {
                Err(("G1", format!("group {group} went from generation {before} to {generation}")))
            }
            _ => Ok(()),
        }
    }

    /// A consumer takes these for its own.
    pub fn assigned(&mut self, world: &World, node: NodeId, group: &Arc<str>, partitions: &[Partition]) -> Verdict {
        let mut verdict = Ok(());
        for partition in partitions {
            let owners = self.owners.or_default((group.clone(), partition.clone()));
            owners.retain(|other| *other != node && membership(world, *other).is_some());
            if let Some(other) = owners.iter().find(|other| are_of_one_generation(world, group, node, **other)) {
                let (one, other) = (world.name(node), world.name(*other));
                verdict =
                    Err(("G2", format!("{one} was given {partition} in the generation of group {group} in which {other} still has it")));
            }
            owners.push(node);
        }
        verdict
    }

    /// A consumer does not take these for its own any more.
    pub fn given_up(&mut self, node: NodeId, group: &Arc<str>, partitions: &[Partition]) {
        for partition in partitions {
            if let Some(owners) = self.owners.get_mut(&(group.clone(), partition.clone())) {
                owners.retain(|other| *other != node);
            }
        }
    }
}

/// G4: an application that is at work for longer than `max.poll.interval.ms` is no member any more.
pub fn polls_in_time(world: &World, node: NodeId) -> Verdict {
    match world.client_at(node).map(|client| &client.application) {
        Some(Application::Consumer { consumer, .. }) if consumer.overstays(world.now()) => {
            Err(("G4", format!("{} has not polled for max.poll.interval.ms and is a member still", world.name(node))))
        }
        _ => Ok(()),
    }
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
    let client = world.client_at(node).filter(|client| client.state == ProcessState::Running)?;
    match &client.application {
        Application::Consumer { consumer, .. } => Some((consumer.member_id(), consumer.generation()?)),
        Application::Producer { .. } => None,
    }
}

/// Whether both are members of the coordinator's current generation, and both know it.
fn are_of_one_generation(world: &World, group: &str, one: NodeId, other: NodeId) -> bool {
    let (Some(one), Some(other)) = (membership(world, one), membership(world, other)) else { return false };
    let leader = decided(world, &offsets_partition(world, group)).and_then(|state| state.leader);
    let Some((broker, _)) = leader.and_then(|leader| world.broker(leader)) else { return false };
    let is_of = |(member, generation): (&str, i32)| {
        broker
            .coordinator()
            .groups()
            .any(|known| *known.id == *group && known.generation == generation && known.members.contains_key(member))
    };
    one.1 == other.1 && is_of(one) && is_of(other)
}
