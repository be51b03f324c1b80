//! Of share groups: what members ask of leaders and coordinators, and leaders of share coordinators.

use super::Fields;
use brokerlab::protocol::wire::{self, Request};
use kafka_protocol::messages as k;
use std::sync::Arc;

impl Fields<'_> {
    /// Of a share group's member, or of a leader to a share coordinator.
    pub(super) fn share(&mut self) -> Request {
        let group = self.group();
        let (member, epoch) = (wire::text(self.pick(&["one", "two", ""])), self.pick(&[0, 0, 1, 2, -1]));
        let epoch = self.int(epoch);
        let types = self.pick(&[vec![1], vec![2], vec![3, 0], vec![1, 1, 1], Vec::new(), vec![4], vec![-1]]);
        let (first, last) = (self.long(0), self.long(1));
        match self.below(12) {
            0..=1 => {
                use k::share_fetch_request as m;
                let topics = self.several(|fields| {
                    let partitions = fields.several(|fields| {
                        let batch = m::AcknowledgementBatch::default().with_first_offset(first).with_last_offset(last);
                        let said = if fields.rarely(2) { vec![batch.with_acknowledge_types(types.clone())] } else { Vec::new() };
                        m::FetchPartition::default().with_partition_index(fields.index()).with_acknowledgement_batches(said)
                    });
                    m::FetchTopic::default().with_topic_id(fields.topic_id()).with_partitions(partitions)
                });
                let message = k::ShareFetchRequest::default().with_group_id(Some(group)).with_member_id(Some(member));
                let message = message.with_share_session_epoch(epoch).with_topics(topics).with_max_wait_ms(self.int(0));
                let forgotten = m::ForgottenTopic::default().with_topic_id(self.topic_id()).with_partitions(self.several(Fields::index));
                let message = message.with_max_records(self.int(10)).with_max_bytes(self.int(1_000)).with_min_bytes(self.int(1));
                Request::ShareFetch(Arc::new(message.with_forgotten_topics_data(vec![forgotten])))
            }
            2 => {
                use k::share_acknowledge_request as m;
                let topics = self.several(|fields| {
                    let batch = m::AcknowledgementBatch::default().with_first_offset(first).with_last_offset(last);
                    let said = m::AcknowledgePartition::default().with_partition_index(fields.index());
                    let said = said.with_acknowledgement_batches(vec![batch.with_acknowledge_types(types.clone())]);
                    m::AcknowledgeTopic::default().with_topic_id(fields.topic_id()).with_partitions(vec![said])
                });
                let message = k::ShareAcknowledgeRequest::default().with_group_id(Some(group)).with_member_id(Some(member));
                Request::ShareAcknowledge(Arc::new(message.with_share_session_epoch(epoch).with_topics(topics)))
            }
            3 => {
                use k::initialize_share_group_state_request as m;
                let partition = m::PartitionData::default().with_partition(self.index()).with_state_epoch(epoch).with_start_offset(first);
                let topic = m::InitializeStateData::default().with_topic_id(self.topic_id()).with_partitions(vec![partition]);
                let message = k::InitializeShareGroupStateRequest::default().with_group_id(group.0).with_topics(vec![topic]);
                Request::InitializeShareGroupState(Arc::new(message))
            }
            4 => {
                use k::write_share_group_state_request as m;
                let batch = m::StateBatch::default().with_first_offset(first).with_last_offset(last).with_delivery_state(self.int(2) as i8);
                let partition = m::PartitionData::default().with_partition(self.index()).with_leader_epoch(epoch).with_start_offset(first);
                let partition = partition.with_state_epoch(self.int(0)).with_state_batches(vec![batch]);
                let topic = m::WriteStateData::default().with_topic_id(self.topic_id()).with_partitions(vec![partition]);
                let message = k::WriteShareGroupStateRequest::default().with_group_id(group.0).with_topics(vec![topic]);
                Request::WriteShareGroupState(Arc::new(message))
            }
            5 => {
                use k::read_share_group_state_request as m;
                let partition = m::PartitionData::default().with_partition(self.index()).with_leader_epoch(epoch);
                let topic = m::ReadStateData::default().with_topic_id(self.topic_id()).with_partitions(vec![partition]);
                Request::ReadShareGroupState(Arc::new(
                    k::ReadShareGroupStateRequest::default().with_group_id(group.0).with_topics(vec![topic]),
                ))
            }
            6 => {
                let mut message = k::ShareGroupHeartbeatRequest::default().with_group_id(group).with_member_id(member);
                message.member_epoch = epoch;
                message.rack_id = self.pick(&[None, None, Some(wire::text("")), Some(wire::text("rack"))]);
                message.subscribed_topic_names = if self.rarely(4) { None } else { Some(self.several(Fields::topic_name)) };
                Request::ShareGroupHeartbeat(Arc::new(message))
            }
            7 => Request::ShareGroupDescribe(Arc::new(k::ShareGroupDescribeRequest::default().with_group_ids(self.several(Fields::group)))),
            8 => {
                use k::describe_share_group_offsets_request as m;
                let topics = self.several(|fields| {
                    let topic = m::DescribeShareGroupOffsetsRequestTopic::default().with_topic_name(fields.topic_name());
                    topic.with_partitions(fields.several(Fields::index))
                });
                let topics = if self.rarely(2) { None } else { Some(topics) };
                let asked = m::DescribeShareGroupOffsetsRequestGroup::default().with_group_id(group).with_topics(topics);
                Request::DescribeShareGroupOffsets(Arc::new(k::DescribeShareGroupOffsetsRequest::default().with_groups(vec![asked])))
            }
            9 => {
                use k::alter_share_group_offsets_request as m;
                let topics = self.several(|fields| {
                    let partition = m::AlterShareGroupOffsetsRequestPartition::default().with_partition_index(fields.index());
                    let topic = m::AlterShareGroupOffsetsRequestTopic::default().with_topic_name(fields.topic_name());
                    topic.with_partitions(vec![partition.with_start_offset(first)])
                });
                Request::AlterShareGroupOffsets(Arc::new(
                    k::AlterShareGroupOffsetsRequest::default().with_group_id(group).with_topics(topics),
                ))
            }
            10 => {
                use k::delete_share_group_offsets_request as m;
                let topic = |fields: &mut Self| m::DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(fields.topic_name());
                let topics = self.several(topic);
                Request::DeleteShareGroupOffsets(Arc::new(
                    k::DeleteShareGroupOffsetsRequest::default().with_group_id(group).with_topics(topics),
                ))
            }
            _ => {
                use k::delete_share_group_state_request as m;
                let partition = m::PartitionData::default().with_partition(self.index());
                let topic = m::DeleteStateData::default().with_topic_id(self.topic_id()).with_partitions(vec![partition]);
                Request::DeleteShareGroupState(Arc::new(
                    k::DeleteShareGroupStateRequest::default().with_group_id(group.0).with_topics(vec![topic]),
                ))
            }
        }
    }
}
