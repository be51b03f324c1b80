//! A share group (KIP-932): members that read the same partitions together, and whom the coordinator tells which.
//!
//! Owns the group's epoch, its members, and who shall read what, and the records that keep them. A partition may be in several hands: its leader shares the
//! records out. It is given out once the share coordinator has begun a state for it. Source: `ShareGroup`, `ShareGroupMember`, `GroupMetadataManager`.

use super::consumer_group::Records;
use super::simple_assignor::{Reader, assign};
use crate::mutant;
use crate::node::Time;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::consumer_group_records::{Place, read_target, read_target_epoch};
use crate::protocol::metadata::MetadataImage;
use crate::protocol::share_group_records::{
    ShareGroupKey, ShareGroupRecord as About, ShareMemberValue, SharePartitionsValue, read_share_current, read_share_group,
    share_group_to_bytes,
};
use bytes::Bytes;
use std::sync::Arc;
use uuid::Uuid;

/// The assignor's name.
pub const SIMPLE: &str = "simple";

#[derive(Clone, PartialEq, Debug, Default)]
pub struct ShareMember {
    pub rack_id: Option<String>,
    pub client_id: String,
    /// By name, each once.
    pub topics: Vec<String>,
    pub epoch: i32,
    pub(super) previous_epoch: i32,
    /// In order.
    pub assigned: Vec<Place>,
    pub(super) expires: Time,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct ShareGroup {
    pub epoch: i32,
    pub(super) metadata_hash: i64,
    pub(super) target_epoch: i32,
    pub members: OrderedMap<Arc<str>, ShareMember>,
    pub(super) target: OrderedMap<Arc<str>, Vec<Place>>,
    /// Partitions of which the share coordinators have a state.
    pub initialized: OrderedSet<Place>,
    /// And those that they are asked to begin one for, and since when.
    pub(super) initializing: OrderedMap<Place, Time>,
    /// Topics of which they are asked to forget what they have.
    pub(super) deleting: OrderedSet<Uuid>,
}

impl ShareMember {
    pub(super) fn to_value(&self) -> ShareMemberValue {
        ShareMemberValue { rack_id: self.rack_id.clone(), client_id: self.client_id.clone(), topics: self.topics.clone() }
    }
}

pub(super) fn key(about: About, group: &str, member: Option<&str>) -> Bytes {
    ShareGroupKey { about, group: group.to_owned(), member: member.map(str::to_owned) }.to_bytes()
}

impl ShareGroup {
    /// Kafka's word for its state.
    pub fn state_name(&self) -> &'static str {
        if self.members.is_empty() { "Empty" } else { "Stable" }
    }

    /// What takes the group back, record by record.
    pub(super) fn tombstones(&self, id: &str) -> Records {
        let of_members = |about: About| self.members.keys().map(move |member| key(about, id, Some(member)));
        let keys = of_members(About::CurrentMember)
            .chain(of_members(About::TargetMember))
            .chain([key(About::Target, id, None)])
            .chain(of_members(About::Member))
            .chain([key(About::Partitions, id, None), key(About::Group, id, None)]);
        keys.map(|key| (key, None)).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.members.values().map(|member| member.expires).min()
    }

    /// Takes a record over as the log tells it. Members have a whole session to show that they live.
    pub(super) fn replay(&mut self, now: Time, session: Time, key: &ShareGroupKey, value: Option<&Bytes>) {
        let member: Option<Arc<str>> = key.member.as_deref().map(Arc::from);
        match (key.about, member, value) {
            (About::Group, _, Some(value)) => {
                if let Ok(known) = read_share_group(value) {
                    (self.epoch, self.metadata_hash) = known;
                }
            }
            (About::Target, _, Some(value)) => self.target_epoch = read_target_epoch(value).unwrap_or(self.target_epoch),
            (About::Partitions, _, Some(value)) => {
                if let Ok(SharePartitionsValue { initializing, initialized, deleting }) = SharePartitionsValue::read(value) {
                    self.initializing = initializing.into_iter().map(|place| (place, now)).collect();
                    let is_known = |_: &Place| !mutant::is("share-states-begun-again");
                    self.initialized = initialized.into_iter().filter(is_known).collect();
                    self.deleting = deleting.into_iter().map(|(topic, _)| topic).collect();
                }
            }
            (About::Member, Some(id), Some(value)) => {
                if let Ok(known) = ShareMemberValue::read(value) {
                    let own = self.members.or_default(id);
                    (own.rack_id, own.client_id, own.topics) = (known.rack_id, known.client_id, known.topics);
                    own.expires = now + session;
                }
            }
            (About::Member, Some(id), None) => _ = self.members.remove(&id),
            (About::TargetMember, Some(id), Some(value)) => _ = self.target.insert(id, read_target(value).unwrap_or_default()),
            (About::TargetMember, Some(id), None) => _ = self.target.remove(&id),
            (About::CurrentMember, Some(id), Some(value)) => {
                // Compaction may have left what the member has before what it asked for.
                if let Ok(known) = read_share_current(value) {
                    let own = self.members.or_default(id);
                    (own.epoch, own.previous_epoch, own.assigned) = known;
                    own.expires = now + session;
                }
            }
            _ => {}
        }
    }

    /// The partitions that members subscribe to and that there are.
    pub(super) fn wanted(&self, image: &MetadataImage) -> OrderedSet<Place> {
        let topics: OrderedSet<&String> = self.members.values().flat_map(|member| &member.topics).collect();
        topics.iter().filter_map(|name| image.topic(name)).flat_map(|topic| places(topic.id, topic.partitions.len())).collect()
    }

    /// The record that says of which partitions the share coordinators have a state.
    pub(super) fn partitions_record(&self, id: &str, image: &MetadataImage) -> (Bytes, Option<Bytes>) {
        let name = |topic: &Uuid| image.topics.get(topic).map_or_else(|| "<UNKNOWN>".to_owned(), |topic| topic.name.to_string());
        let value = SharePartitionsValue {
            initializing: self.initializing.keys().copied().collect(),
            initialized: self.initialized.iter().copied().collect(),
            deleting: self.deleting.iter().map(|topic| (*topic, name(topic))).collect(),
        };
        (key(About::Partitions, id, None), Some(value.to_bytes(name)))
    }

    /// The record of the next epoch.
    pub(super) fn raise_epoch(&mut self, id: &str) -> (Bytes, Option<Bytes>) {
        self.epoch += 1;
        (key(About::Group, id, None), Some(share_group_to_bytes(self.epoch, self.metadata_hash)))
    }

    /// A number for what is known of topics, so that a change is noticed.
    pub(super) fn hash_of(&self, image: &MetadataImage) -> i64 {
        let wanted = self.wanted(image);
        let words = wanted.iter().flat_map(|(topic, index)| {
            let (high, low) = topic.as_u64_pair();
            [high, low, *index as u64]
        });
        words.fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)) as i64
    }

    /// Who shall read what, of the partitions that have a state.
    pub(super) fn new_target(&self, image: &MetadataImage) -> OrderedMap<Arc<str>, Vec<Place>> {
        let partitions = self.wanted(image).iter().filter(|place| self.initialized.contains(*place)).copied().collect();
        let reader = |(id, member): (&Arc<str>, &ShareMember)| Reader {
            topics: member.topics.iter().filter_map(|name| Some(image.topic(name)?.id)).collect(),
            had: self.target.get(id).map(Vec::as_slice).unwrap_or_default(),
        };
        let readers: Vec<Reader> = self.members.iter().map(reader).collect();
        self.members.keys().cloned().zip(assign(&readers, &partitions)).collect()
    }
}

pub(super) fn places(topic: Uuid, count: usize) -> impl Iterator<Item = Place> {
    (0..count as i32).map(move |index| (topic, index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::share_group_records::share_current_to_bytes;

    #[test]
    fn members_come_back_in_whatever_order_their_records_are() {
        let member = ShareMember { client_id: "c".to_owned(), topics: vec!["orders".to_owned()], expires: 15, ..ShareMember::default() };
        let member = ShareMember { epoch: 4, previous_epoch: 3, assigned: vec![(Uuid::from_u128(1), 0)], ..member };
        let asked = (About::Member, Some(member.to_value().to_bytes()));
        let has = (About::CurrentMember, Some(share_current_to_bytes(4, 3, &member.assigned)));
        let gone = [(About::CurrentMember, None), (About::TargetMember, None), (About::Member, None)];
        let load = |records: Vec<(About, Option<Bytes>)>| {
            let mut group = ShareGroup::default();
            for (about, value) in records {
                let key = ShareGroupKey { about, group: "g".to_owned(), member: Some("m".to_owned()) };
                group.replay(5, 10, &key, value.as_ref());
            }
            group.members.into_iter().map(|(_, member)| member).collect::<Vec<ShareMember>>()
        };
        assert_eq!(load(vec![asked.clone(), has.clone()]), vec![member.clone()]);
        assert_eq!(load(vec![has.clone(), asked.clone()]), vec![member]);
        assert_eq!(load([vec![has, asked], gone.to_vec()].concat()), []);
    }
}
