//! What the group's assignors have to do with its members: what each member tells them, and how the group's leader shares the partitions out.
//!
//! Source: `ConsumerCoordinator` (`metadata`, `onLeaderElected`), `StickyAssignor`, `CooperativeStickyAssignor` (`subscriptionUserData`,
//! `onAssignment`).

use super::{Consumer, MemberState, Reads};
use crate::client::assignor::{Assignor, KnownTopic, Member, Members, Topics};
use crate::mutant;
use crate::node::{Outputs, Time};
use crate::ordered::OrderedMap;
use crate::protocol::consumer_protocol::{self, Assignment, NO_GENERATION, StickyUserData, Subscription, TopicPartitions};
use crate::protocol::wire;
use k::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages as k;

impl Consumer {
    /// Whether partitions are given up one by one: only if all its assignors can do with that.
    pub(super) fn is_cooperative(&self) -> bool {
        self.config.assignors.iter().all(|assignor| *assignor == Assignor::CooperativeSticky)
    }

    /// What it says in JoinGroup: each of its assignors, the preferred first, with what that one wants to know.
    pub(super) fn protocols(&self) -> Vec<JoinGroupRequestProtocol> {
        let mut subscription = Subscription {
            topics: self.subscribed_topics().iter().map(|topic| topic.to_string()).collect(),
            user_data: None,
            owned: Vec::new(),
            generation: self.membership.generation,
            rack: self.config.rack.as_deref().map(str::to_owned),
        };
        for own in self.partitions.keys() {
            match subscription.owned.last_mut() {
                Some((topic, indexes)) if *topic == *own.topic => indexes.push(own.index),
                _ => subscription.owned.push((own.topic.to_string(), vec![own.index])),
            }
        }
        let protocol = |assignor: &Assignor| {
            subscription.user_data = match assignor {
                Assignor::Range | Assignor::RoundRobin => None,
                Assignor::Sticky => self.membership.sticky.as_ref().map(StickyUserData::to_bytes),
                Assignor::CooperativeSticky => {
                    Some(consumer_protocol::cooperative_user_data(self.membership.cooperative.unwrap_or(NO_GENERATION)))
                }
            };
            let protocol = JoinGroupRequestProtocol::default().with_name(wire::text(assignor.name()));
            protocol.with_metadata(subscription.to_bytes(consumer_protocol::VERSION))
        };
        self.config.assignors.iter().map(protocol).collect()
    }

    /// The assignor that made an assignment remembers it.
    pub(super) fn remember(&mut self, assigned: &[TopicPartitions]) {
        let generation = self.membership.generation;
        match self.membership.assignor {
            Some(Assignor::Sticky) => self.membership.sticky = Some(StickyUserData { owned: assigned.to_vec(), generation }),
            Some(Assignor::CooperativeSticky) => self.membership.cooperative = generation,
            _ => {}
        }
    }

    /// The leader's work: needs to know how many partitions each topic has.
    pub(super) fn share_out(&mut self, now: Time, coordinator: i32, out: &mut Outputs) {
        if self.membership.awaits_metadata {
            return;
        }
        let (Some(subscriptions), Some(assignor)) = (self.membership.to_share.take(), self.membership.assignor) else { return };
        let topics = self.known_topics(&subscriptions);
        let assignment = |(member, topics): (String, OrderedMap<String, Vec<i32>>)| {
            let mut assigned = k::sync_group_request::SyncGroupRequestAssignment::default();
            assigned.member_id = wire::text(&member);
            assigned.assignment =
                Assignment { partitions: topics.into_iter().collect(), user_data: None }.to_bytes(consumer_protocol::VERSION);
            assigned
        };
        let skips = self.membership.skips_assignment;
        let shares = if skips { Vec::new() } else { assignor.assign(&topics, &subscriptions).into_iter().map(assignment).collect() };
        self.membership.assigned_counts = Some(topics.into_iter().map(|(name, topic)| (name, topic.count)).collect());
        self.send_sync(now, coordinator, shares, out);
    }

    fn known_topics(&self, subscriptions: &Members) -> Topics {
        let known = |name: &String| (name.clone(), KnownTopic { count: self.partition_count(name), racks: self.network.racks_of(name) });
        subscriptions.values().flat_map(|member| &member.topics).map(known).collect()
    }

    /// How many partitions a topic has, by the newest metadata; 0: it is not known.
    pub fn partition_count(&self, topic: &str) -> i32 {
        self.network.topics.get(topic).map_or(0, |known| known.partitions.len() as i32)
    }

    /// The leader waits for one answer about the group's topics, if it knew that it needs one; whatever makes it ask again after that may wait
    /// (`ConsumerNetworkClient.ensureFreshMetadata`). Then it watches them: another number of partitions asks for another assignment, and so does a
    /// topic that is made or deleted.
    pub(super) fn metadata_learned(&mut self, now: Time, message: &k::MetadataResponse) {
        if let Some(subscriptions) = &self.membership.to_share {
            let is_told = |name: &String| message.topics.iter().any(|told| told.name.as_ref().is_some_and(|told| **told == **name));
            // Who asks about all topics hears nothing of those that there are not.
            let hears_of_all = matches!(self.reads, Reads::Matching(_));
            self.membership.awaits_metadata &= !hears_of_all && !subscriptions.values().flat_map(|member| &member.topics).all(is_told);
        }
        let Some(counts) = &self.membership.assigned_counts else { return };
        let changed = counts.iter().any(|(topic, count)| self.partition_count(topic) != *count);
        if changed && !mutant::is("new-partitions-unseen") && self.membership.state == MemberState::Stable {
            self.membership.assigned_counts = None;
            self.rejoin_at(now);
        }
    }
}

/// A member as the group's leader is told of it, for this assignor. What cannot be read subscribes to nothing.
pub fn member(told: &k::join_group_response::JoinGroupResponseMember, assignor: Assignor) -> (String, Member) {
    let Subscription { topics, user_data, owned, generation, rack } = Subscription::read(&told.metadata).unwrap_or_default();
    // The eager sticky one goes by its own memory, for who joins has given everything up.
    let StickyUserData { owned, generation } = match (assignor, user_data) {
        (Assignor::Sticky, Some(bytes)) if !bytes.is_empty() => StickyUserData::read(&bytes),
        (Assignor::Sticky, _) => StickyUserData::default(),
        (Assignor::CooperativeSticky, Some(bytes)) if generation.is_none() => {
            StickyUserData { owned, generation: Some(consumer_protocol::read_cooperative_generation(&bytes)) }
        }
        _ => StickyUserData { owned, generation },
    };
    let owned = owned.into_iter().flat_map(|(topic, indexes)| indexes.into_iter().map(move |index| (topic.clone(), index))).collect();
    let instance = told.group_instance_id.as_ref().map(|instance| instance.to_string());
    (told.member_id.to_string(), Member { topics, instance, rack, generation, owned })
}
