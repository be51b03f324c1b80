//! What an admin is told of a group of the new protocol: its epochs, and of each member what it has and what it shall have.
//!
//! Source: `ConsumerGroup.asDescribedGroup`, `ConsumerGroupMember.asConsumerGroupDescribeMember`; KIP-1099 for the member's type.

use super::{ConsumerGroup, ConsumerMember};
use crate::protocol::consumer_group_records::Place;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::wire;
use kafka_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};

/// `ConsumerGroupMember.memberType`: it speaks the new protocol.
const REPORTS: i8 = 1;

impl ConsumerGroup {
    pub(in super::super) fn describe(&self, image: &MetadataImage) -> DescribedGroup {
        let member = |(id, member): (&std::sync::Arc<str>, &ConsumerMember)| {
            let target = self.target.get(id).into_iter().flatten();
            Member::default()
                .with_member_id(wire::text(id))
                .with_instance_id(member.instance_id.as_deref().map(wire::text))
                .with_rack_id(member.rack_id.as_deref().map(wire::text))
                .with_member_epoch(member.epoch)
                .with_client_id(wire::text(&member.client_id))
                .with_client_host(wire::text(&format!("/{}", member.client_id)))
                .with_subscribed_topic_names(member.topics.iter().map(|topic| wire::topic(topic)).collect())
                .with_subscribed_topic_regex(member.regex.as_deref().map(wire::text))
                .with_assignment(assignment(member.assigned.keys(), image))
                .with_target_assignment(assignment(target, image))
                .with_member_type(REPORTS)
        };
        DescribedGroup::default()
            .with_group_state(wire::text(self.state_name()))
            .with_group_epoch(self.epoch)
            .with_assignment_epoch(self.target_epoch)
            .with_assignor_name(wire::text(self.assignor().name()))
            .with_members(self.members.iter().map(member).collect())
    }
}

/// Of topics that there are; places are in order.
fn assignment<'a>(places: impl Iterator<Item = &'a Place>, image: &MetadataImage) -> Assignment {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic, index) in places {
        let Some(known) = image.topics.get(topic) else { continue };
        match topics.last_mut().filter(|last| last.topic_id == *topic) {
            Some(last) => last.partitions.push(*index),
            None => {
                let named = TopicPartitions::default().with_topic_id(*topic).with_topic_name(wire::topic(&known.name));
                topics.push(named.with_partitions(vec![*index]));
            }
        }
    }
    Assignment::default().with_topic_partitions(topics)
}
