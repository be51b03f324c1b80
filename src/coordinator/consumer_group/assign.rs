//! How the coordinator shares partitions out: the two assignors of Kafka's broker.
//!
//! Pure functions of members, what each has in the target that there is, and partition counts. Source: `UniformAssignor`
//! (`UniformHomogeneousAssignmentBuilder`, `UniformHeterogeneousAssignmentBuilder`), `RangeAssignor` of the group coordinator. Kafka's uniform one
//! takes topics and members as its hash maps give them; here it is the order of their ids, so that a session can be replayed.

use super::{ConsumerGroup, ConsumerMember};
use crate::ordered::{OrderedMap, sort_by};
use crate::protocol::consumer_group_records::Place;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerAssignor {
    Uniform,
    Range,
}

/// What is known of topics: id and partition count by name.
pub type KnownTopics = OrderedMap<String, (Uuid, i32)>;

type Target = OrderedMap<Arc<str>, Vec<Place>>;
/// A member's id, and the topics that it subscribes to and that there are, by id, with their partition counts.
type Wants = (Arc<str>, Vec<(Uuid, i32)>);

impl ServerAssignor {
    /// Its name in ConsumerGroupHeartbeat.
    pub fn name(self) -> &'static str {
        match self {
            ServerAssignor::Uniform => "uniform",
            ServerAssignor::Range => "range",
        }
    }

    pub fn of(name: &str) -> Option<ServerAssignor> {
        [ServerAssignor::Uniform, ServerAssignor::Range].into_iter().find(|assignor| assignor.name() == name)
    }
}

impl ConsumerGroup {
    /// Who shall have what from now on. Shares are in order.
    pub(super) fn new_target(&self, topics: &KnownTopics) -> Target {
        let wanted = |member: &ConsumerMember| -> Vec<(Uuid, i32)> {
            let mut known: Vec<(Uuid, i32)> = self.topics_of(member).filter_map(|topic| topics.get(topic)).copied().collect();
            known.sort_unstable();
            known.dedup();
            known
        };
        let members: Vec<Wants> = self.members.iter().map(|(id, member)| (id.clone(), wanted(member))).collect();
        let is_alike = members.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let mut target = match self.assignor() {
            ServerAssignor::Range => self.range(&members),
            ServerAssignor::Uniform if is_alike => self.uniform(&members),
            ServerAssignor::Uniform => self.balanced(&members),
        };
        target.values_mut().for_each(|share| share.sort_unstable());
        target
    }

    /// What a member has in the target that there is, of what it still subscribes to and there still is.
    fn kept(&self, id: &Arc<str>, wanted: &[(Uuid, i32)]) -> Vec<Place> {
        let subscribes = |place: &&Place| wanted.iter().any(|(topic, count)| *topic == place.0 && (0..*count).contains(&place.1));
        self.target.get(id).into_iter().flatten().filter(subscribes).copied().collect()
    }

    /// All subscribe to the same: each keeps what it has up to its quota, and what is free goes to whoever has room, in order.
    fn uniform(&self, members: &[Wants]) -> Target {
        let Some((_, topics)) = members.first() else { return Target::new() };
        let all: Vec<Place> = topics.iter().flat_map(|(topic, count)| (0..*count).map(|index| (*topic, index))).collect();
        let (least, mut extra) = (all.len() / members.len(), all.len() % members.len());
        let mut target: Vec<Vec<Place>> = Vec::with_capacity(members.len());
        let mut quotas = Vec::with_capacity(members.len());
        for (id, wanted) in members {
            let quota = least + usize::from(0 < extra);
            extra = extra.saturating_sub(1);
            let mut share = self.kept(id, wanted);
            share.truncate(quota);
            target.push(share);
            quotas.push(quota);
        }
        let mut taken: Vec<Place> = target.iter().flatten().copied().collect();
        taken.sort_unstable();
        let mut free = all.into_iter().filter(|place| taken.binary_search(place).is_err());
        for (share, quota) in target.iter_mut().zip(quotas) {
            let room = quota - share.len();
            share.extend(free.by_ref().take(room));
        }
        members.iter().map(|(id, _)| id.clone()).zip(target).collect()
    }

    /// Members subscribe to different topics: what can stay stays, what is free goes to whoever has least, and then partitions move from who has more to
    /// who has less, as long as the difference is more than one.
    fn balanced(&self, members: &[Wants]) -> Target {
        let mut shares: Vec<Vec<Place>> = members.iter().map(|(id, wanted)| self.kept(id, wanted)).collect();
        let mut topics: Vec<(Uuid, i32)> = members.iter().flat_map(|(_, wanted)| wanted.iter().copied()).collect();
        topics.sort_unstable();
        topics.dedup();
        let subscribers = |topic: &Uuid| -> Vec<usize> {
            (0..members.len()).filter(|member| members[*member].1.iter().any(|(wanted, _)| wanted == topic)).collect()
        };
        // Topics with the fewest subscribers first: they have the least choice.
        let mut by_choice: Vec<(Uuid, i32, Vec<usize>)> =
            topics.into_iter().map(|(topic, count)| (topic, count, subscribers(&topic))).collect();
        sort_by(&mut by_choice, |one, other| one.2.len().cmp(&other.2.len()));
        let mut taken: Vec<Place> = shares.iter().flatten().copied().collect();
        taken.sort_unstable();
        for (topic, count, able) in &by_choice {
            for place in (0..*count).map(|index| (*topic, index)).filter(|place| taken.binary_search(place).is_err()) {
                if let Some(member) = able.iter().copied().min_by_key(|member| shares[*member].len()) {
                    shares[member].push(place);
                }
            }
        }
        loop {
            let mut moved = false;
            for (topic, _, able) in &by_choice {
                loop {
                    let has = |member: &&usize| shares[**member].iter().any(|place| place.0 == *topic);
                    let most = able.iter().filter(has).max_by_key(|member| shares[**member].len()).copied();
                    let fewest = able.iter().min_by_key(|member| shares[**member].len()).copied();
                    let (Some(most), Some(fewest)) = (most, fewest) else { break };
                    if shares[most].len() <= shares[fewest].len() + 1 {
                        break;
                    }
                    let Some(last) = shares[most].iter().rposition(|place| place.0 == *topic) else { break };
                    let place = shares[most].remove(last);
                    shares[fewest].push(place);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        members.iter().map(|(id, _)| id.clone()).zip(shares).collect()
    }

    /// Of each topic, a run of neighbours to each of its subscribers: static members first, by their instance ids, then the others by their ids.
    fn range(&self, members: &[Wants]) -> Target {
        let mut order: Vec<&Wants> = members.iter().collect();
        let rank = |id: &Arc<str>| {
            let instance = self.members.get(id).and_then(|member| member.instance_id.as_deref());
            (instance.is_none(), instance, id.clone())
        };
        sort_by(&mut order, |one, other| rank(&one.0).cmp(&rank(&other.0)));
        let mut topics: Vec<(Uuid, i32)> = members.iter().flat_map(|(_, wanted)| wanted.iter().copied()).collect();
        topics.sort_unstable();
        topics.dedup();
        let mut target: Target = members.iter().map(|(id, _)| (id.clone(), Vec::new())).collect();
        for (topic, count) in topics {
            let able: Vec<&Arc<str>> =
                order.iter().filter(|(_, wanted)| wanted.iter().any(|(known, _)| *known == topic)).map(|(id, _)| id).collect();
            let (least, extra) = (count / able.len() as i32, count % able.len() as i32);
            let mut next = 0;
            for (place, id) in (0..).zip(able) {
                let end = next + least + i32::from(place < extra);
                if let Some(share) = target.get_mut(id) {
                    share.extend((next..end).map(|index| (topic, index)));
                }
                next = end;
            }
        }
        target
    }
}
