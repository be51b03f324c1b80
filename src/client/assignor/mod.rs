//! How a group's leader shares partitions out (the classic protocol): the four assignors of Kafka's clients.
//!
//! Pure functions of topics and members. Who is a member, and how the answer travels, is the group's business. Source: `ConsumerPartitionAssignor`,
//! `RangeAssignor`, `RoundRobinAssignor`, `StickyAssignor`, `CooperativeStickyAssignor`; KIP-54, KIP-429, KIP-881.

mod constrained;
mod general;
mod range;
mod round_robin;
mod sticky;

use crate::ordered::{OrderedMap, sort_by};

/// A member's subscription, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Member {
    pub topics: Vec<String>,
    /// `group.instance.id`: static members keep their place whatever their ids are.
    pub instance: Option<String>,
    /// `client.rack`
    pub rack: Option<String>,
    /// When it had `owned`; absent: it cannot tell.
    pub generation: Option<i32>,
    /// What it had before, for the sticky ones.
    pub owned: Vec<(String, i32)>,
}

/// By member id.
pub type Members = OrderedMap<String, Member>;

/// A topic as the leader's metadata has it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct KnownTopic {
    /// 0: the topic is not known.
    pub count: i32,
    /// The racks of each partition's replicas; empty: nobody knows.
    pub racks: Vec<Vec<String>>,
}

/// By name.
pub type Topics = OrderedMap<String, KnownTopic>;

/// Member id to its partitions by topic, ascending.
pub type Assignments = OrderedMap<String, OrderedMap<String, Vec<i32>>>;

/// A partition of the topic with this place among the known ones.
type Place = (usize, i32);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assignor {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

impl Assignor {
    pub const ALL: [Assignor; 4] = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];

    /// Its name in JoinGroup.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Its Java class, without the package.
    fn class(self) -> &'static str {
        match self {
            Assignor::Range => "RangeAssignor",
            Assignor::RoundRobin => "RoundRobinAssignor",
            Assignor::Sticky => "StickyAssignor",
            Assignor::CooperativeSticky => "CooperativeStickyAssignor",
        }
    }

    /// By its Java class or its short name, as settings name it.
    pub fn of_setting(text: &str) -> Option<Assignor> {
        let class = text.strip_prefix("org.apache.kafka.clients.consumer.");
        class.map_or_else(|| Assignor::of(text), |class| Assignor::ALL.into_iter().find(|assignor| assignor.class() == class))
    }

    pub fn of(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// Every member has an entry in the answer. With the cooperative one a partition that somebody has to give up first is in nobody's.
    pub fn assign(self, topics: &Topics, members: &Members) -> Assignments {
        let group = Group::new(topics, members);
        let shares = match self {
            Assignor::Range => range::assign(&group),
            Assignor::RoundRobin => round_robin::assign(&group),
            Assignor::Sticky => sticky::assign(&group, false),
            Assignor::CooperativeSticky => sticky::assign(&group, true),
        };
        group.named(shares)
    }
}

/// Topics and members by their places in the order of their names: what the assignors reckon with.
struct Group<'a> {
    /// Those that are known, with their partition counts.
    topics: Vec<(&'a str, &'a KnownTopic)>,
    members: Vec<(&'a str, &'a Member)>,
    /// Per member, the places of the topics that it subscribes to and that are known, in its own order.
    subscriptions: Vec<Vec<usize>>,
}

impl<'a> Group<'a> {
    fn new(topics: &'a Topics, members: &'a Members) -> Group<'a> {
        let subscribed = |name: &String| members.values().any(|member| member.topics.contains(name));
        let known = topics.iter().filter(|(name, topic)| 0 < topic.count && subscribed(name));
        let topics: Vec<(&str, &KnownTopic)> = known.map(|(name, topic)| (name.as_str(), topic)).collect();
        let place = |name: &String| topics.binary_search_by_key(&name.as_str(), |(known, _)| known).ok();
        let subscriptions = members.values().map(|member| member.topics.iter().filter_map(place).collect()).collect();
        Group { subscriptions, members: members.iter().map(|(id, member)| (id.as_str(), member)).collect(), topics }
    }

    fn count(&self, topic: usize) -> i32 {
        self.topics[topic].1.count
    }

    /// All partitions, by topic name and index.
    fn partitions(&self) -> impl Iterator<Item = Place> + '_ {
        (0..self.topics.len()).flat_map(|topic| (0..self.count(topic)).map(move |index| (topic, index)))
    }

    fn place(&self, topic: &str, index: i32) -> Option<Place> {
        let topic = self.topics.binary_search_by_key(&topic, |(known, _)| known).ok()?;
        (0..self.count(topic)).contains(&index).then_some((topic, index))
    }

    /// Members in the order in which they are served: static ones first, by their instance ids, then the others by their member ids.
    fn in_order(&self, mut members: Vec<usize>) -> Vec<usize> {
        let place = |member: &usize| {
            let (id, known) = self.members[*member];
            (known.instance.is_none(), known.instance.as_deref(), id)
        };
        sort_by(&mut members, |one, other| place(one).cmp(&place(other)));
        members
    }

    /// What each member got, with names again.
    fn named(&self, shares: Vec<Vec<Place>>) -> Assignments {
        let mut assignments = Assignments::new();
        for ((id, _), mut share) in self.members.iter().zip(shares) {
            sort_by(&mut share, Place::cmp);
            let mut by_topic: OrderedMap<String, Vec<i32>> = OrderedMap::new();
            for (topic, index) in share {
                let name = self.topics[topic].0;
                match by_topic.get_mut(name) {
                    Some(indexes) => indexes.push(index),
                    None => drop(by_topic.insert(name.to_owned(), vec![index])),
                }
            }
            assignments.insert((*id).to_owned(), by_topic);
        }
        assignments
    }
}
