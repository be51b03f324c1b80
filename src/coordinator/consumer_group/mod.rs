//! A group of the new protocol (KIP-848): the coordinator shares partitions out, and members are brought there one by one.
//!
//! Owns what the group is: its epoch, its members, who shall have what (the target) and who has what. A group's epoch rises whenever who subscribes to
//! what changes; then a new target is made; then each member gives up what it shall not have any more and gets what is free. A partition is never in
//! two hands. It must not know requests. Source: `ConsumerGroup`, `ConsumerGroupMember`, `MemberState`.

mod assign;
mod describe;
mod heartbeat;
mod reconcile;
mod regex;
#[cfg(test)]
mod replay_test;

use assign::KnownTopics;
pub use assign::ServerAssignor;
pub(super) use heartbeat::refused;
pub use regex::Regexes;

use crate::node::{MS, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::consumer_group_records::{
    ConsumerGroupKey, ConsumerGroupValue, ConsumerMemberValue, CurrentMemberValue, Place, ResolvedRegex, read_target, read_target_epoch,
};
use crate::protocol::metadata::MetadataImage;
use bytes::Bytes;
use std::sync::Arc;

/// Records of `__consumer_offsets`, each with its key.
pub(super) type Records = Vec<(Bytes, Option<Bytes>)>;

/// What a static member says that will be back soon.
const LEAVES_FOR_A_WHILE: i32 = -2;

/// How far a member has come towards its share of the target.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum MemberState {
    #[default]
    Stable = 0,
    /// It has to give partitions up first.
    UnrevokedPartitions = 1,
    /// Others have to give partitions up that it waits for.
    UnreleasedPartitions = 2,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct ConsumerMember {
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    /// By name, each once.
    pub topics: Vec<String>,
    /// And those that this regular expression stands for.
    pub regex: Option<String>,
    pub rebalance_timeout: Time,
    /// The assignor that it asks for.
    pub assignor: Option<ServerAssignor>,
    pub epoch: i32,
    pub(super) previous_epoch: i32,
    pub state: MemberState,
    /// What it has, and the group's epoch at which it was given.
    pub assigned: OrderedMap<Place, i32>,
    pub pending_revocation: OrderedMap<Place, i32>,
    /// When it is taken out unless it is heard of.
    pub(super) expires: Time,
    /// By when it must have given up what it shall not have any more.
    pub(super) revokes_by: Option<Time>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct ConsumerGroup {
    pub epoch: i32,
    pub metadata_hash: i64,
    /// Which epoch's target there is.
    pub target_epoch: i32,
    pub members: OrderedMap<Arc<str>, ConsumerMember>,
    pub target: OrderedMap<Arc<str>, Vec<Place>>,
    pub regexes: Regexes,
}

impl ConsumerMember {
    /// By when it must have given up what it shall not have any more, if there is anything.
    pub fn revokes_by(&self) -> Option<Time> {
        self.revokes_by
    }

    fn has(&self, place: &Place) -> bool {
        self.assigned.contains_key(place) || self.pending_revocation.contains_key(place)
    }

    fn to_value(&self) -> ConsumerMemberValue {
        ConsumerMemberValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: format!("/{}", self.client_id),
            topics: self.topics.clone(),
            regex: self.regex.clone(),
            rebalance_timeout_ms: i32::try_from(self.rebalance_timeout / MS).unwrap_or(i32::MAX),
            assignor: self.assignor.map(|assignor| assignor.name().to_owned()),
        }
    }

    fn to_current_value(&self) -> CurrentMemberValue {
        CurrentMemberValue {
            epoch: self.epoch,
            previous_epoch: self.previous_epoch,
            state: self.state as i8,
            assigned: self.assigned.clone(),
            pending_revocation: self.pending_revocation.clone(),
        }
    }
}

impl ConsumerGroup {
    /// Kafka's word for its state.
    pub fn state_name(&self) -> &'static str {
        let is_there = |member: &ConsumerMember| member.state == MemberState::Stable && member.epoch == self.target_epoch;
        if self.members.is_empty() {
            "Empty"
        } else if self.target_epoch < self.epoch {
            "Assigning"
        } else if self.members.values().all(is_there) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The topics that a member subscribes to, by name or by what its regular expression stands for; there may be some twice.
    pub fn topics_of<'a>(&'a self, member: &'a ConsumerMember) -> impl Iterator<Item = &'a String> {
        let resolved = member.regex.as_ref().and_then(|regex| self.regexes.resolved.get(regex));
        member.topics.iter().chain(resolved.into_iter().flat_map(|regex| &regex.topics))
    }

    /// Topics that members subscribe to and that there are.
    fn known_topics(&self, image: &MetadataImage) -> KnownTopics {
        let known = |name: &String| image.topic(name).map(|topic| (name.clone(), (topic.id, topic.partitions.len() as i32)));
        self.members.values().flat_map(|member| self.topics_of(member)).filter_map(known).collect()
    }

    /// A number for what is known of topics, so that a change is noticed: FNV-1a over ids and counts. Kafka hashes names and racks as well; nobody but
    /// the coordinator compares it.
    fn hash_of(&self, image: &MetadataImage) -> i64 {
        let topics = self.known_topics(image);
        let words = topics.values().flat_map(|(id, count)| {
            let (high, low) = id.as_u64_pair();
            [high, low, *count as u64]
        });
        words.fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)) as i64
    }

    /// The assignor that most members ask for; `uniform` if none does.
    pub fn assignor(&self) -> ServerAssignor {
        let votes = |assignor: ServerAssignor| self.members.values().filter(|member| member.assignor == Some(assignor)).count();
        if votes(ServerAssignor::Uniform) < votes(ServerAssignor::Range) { ServerAssignor::Range } else { ServerAssignor::Uniform }
    }

    /// Whether somebody has this partition, or has not yet given it up.
    fn is_owned(&self, place: &Place) -> bool {
        self.members.values().any(|member| member.has(place))
    }

    fn static_member(&self, instance: &str) -> Option<Arc<str>> {
        self.members.iter().find(|(_, member)| member.instance_id.as_deref() == Some(instance)).map(|(id, _)| id.clone())
    }

    /// Whether a member may commit an offset of this partition (`ConsumerGroup.validateOffsetCommit`, KIP-1251): it says which epoch it is in, and that
    /// is its own, or not older than the one at which it was given the partition.
    pub(super) fn check_commit(&self, member: &str, epoch: i32, place: Option<&Place>) -> Result<(), ErrorCode> {
        let known = self.members.get(member).ok_or(ErrorCode::UnknownMemberId)?;
        let given = || place.and_then(|place| known.assigned.get(place)).copied();
        let is_current = epoch == known.epoch || epoch < known.epoch && given().is_some_and(|given| given <= epoch);
        if is_current { Ok(()) } else { Err(ErrorCode::StaleMemberEpoch) }
    }

    /// Whether a member may read what is committed.
    pub(super) fn check_fetch(&self, member: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member) = member.filter(|member| 0 <= epoch || !member.is_empty()) else { return Ok(()) };
        let known = self.members.get(member).ok_or(ErrorCode::UnknownMemberId)?;
        if known.epoch == epoch { Ok(()) } else { Err(ErrorCode::StaleMemberEpoch) }
    }

    /// What takes the group back, record by record (`ConsumerGroup.createGroupTombstoneRecords`).
    pub(super) fn tombstones(&self, id: &str) -> Records {
        let group = || id.to_owned();
        let of_members =
            |make: fn(String, String) -> ConsumerGroupKey| self.members.keys().map(move |member| make(group(), member.to_string()));
        let keys = of_members(|group, member| ConsumerGroupKey::CurrentMember { group, member })
            .chain(of_members(|group, member| ConsumerGroupKey::TargetMember { group, member }))
            .chain([ConsumerGroupKey::Target { group: group() }])
            .chain(of_members(|group, member| ConsumerGroupKey::Member { group, member }))
            .chain(self.regexes.resolved.keys().map(|regex| ConsumerGroupKey::Regex { group: group(), regex: regex.clone() }))
            .chain([ConsumerGroupKey::Group { group: group() }]);
        keys.map(|key| (key.to_bytes(), None)).collect()
    }

    /// Nobody is taken out before this time.
    pub(super) fn put_off(&mut self, until: Time) {
        for member in self.members.values_mut() {
            member.expires = member.expires.max(until);
            member.revokes_by = member.revokes_by.map(|at| at.max(until));
        }
    }

    /// When something has to be looked at.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.members.values().map(|member| member.revokes_by.unwrap_or(member.expires).min(member.expires)).min()
    }

    /// Takes a record over as the log tells it. Members have a whole session to show that they live.
    pub(super) fn replay(&mut self, now: Time, session: Time, key: &ConsumerGroupKey, value: Option<&Bytes>) {
        match (key, value) {
            (ConsumerGroupKey::Group { .. }, Some(value)) => {
                if let Ok(known) = ConsumerGroupValue::read(value) {
                    (self.epoch, self.metadata_hash) = (known.epoch, known.metadata_hash);
                }
            }
            (ConsumerGroupKey::Member { member, .. }, Some(value)) => {
                if let Ok(known) = ConsumerMemberValue::read(value) {
                    let own = self.members.or_default(Arc::from(member.as_str()));
                    (own.instance_id, own.rack_id, own.client_id) = (known.instance_id, known.rack_id, known.client_id);
                    (own.topics, own.regex) = (known.topics, known.regex);
                    own.rebalance_timeout = MS * Time::try_from(known.rebalance_timeout_ms).unwrap_or(0);
                    own.assignor = known.assignor.as_deref().and_then(ServerAssignor::of);
                    own.expires = now + session;
                    own.revokes_by = (own.state == MemberState::UnrevokedPartitions).then(|| now + own.rebalance_timeout);
                }
            }
            (ConsumerGroupKey::Member { member, .. }, None) => _ = self.members.remove(member.as_str()),
            (ConsumerGroupKey::Target { .. }, Some(value)) => self.target_epoch = read_target_epoch(value).unwrap_or(self.target_epoch),
            (ConsumerGroupKey::TargetMember { member, .. }, Some(value)) => {
                if let Ok(share) = read_target(value) {
                    self.target.insert(Arc::from(member.as_str()), share);
                }
            }
            (ConsumerGroupKey::TargetMember { member, .. }, None) => _ = self.target.remove(member.as_str()),
            // Compaction leaves it before what the member is, if that has changed since.
            (ConsumerGroupKey::CurrentMember { member, .. }, Some(value)) => {
                if let Ok(current) = CurrentMemberValue::read(value) {
                    let own = self.members.or_default(Arc::from(member.as_str()));
                    own.expires = now + session;
                    (own.epoch, own.previous_epoch) = (current.epoch, current.previous_epoch);
                    (own.assigned, own.pending_revocation) = (current.assigned, current.pending_revocation);
                    own.state = match current.state {
                        1 => MemberState::UnrevokedPartitions,
                        2 => MemberState::UnreleasedPartitions,
                        _ => MemberState::Stable,
                    };
                    own.revokes_by = (own.state == MemberState::UnrevokedPartitions).then(|| now + own.rebalance_timeout);
                }
            }
            (ConsumerGroupKey::Regex { regex, .. }, Some(value)) => {
                if let Ok(resolved) = ResolvedRegex::read(value) {
                    self.regexes.resolved.insert(regex.clone(), resolved);
                }
            }
            (ConsumerGroupKey::Regex { regex, .. }, None) => _ = self.regexes.resolved.remove(regex),
            // A member's current share goes with the member; that of the group is not handed in.
            (ConsumerGroupKey::Group { .. } | ConsumerGroupKey::Target { .. } | ConsumerGroupKey::CurrentMember { .. }, None) => {}
        }
    }
}
