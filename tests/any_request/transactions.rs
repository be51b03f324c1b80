//! Of transactions: what producers, coordinators and admins ask.

use super::Fields;
use brokerlab::protocol::wire::{self, Request};
use kafka_protocol::messages as k;
use std::sync::Arc;

impl Fields<'_> {
    fn transactional_id(&mut self) -> k::TransactionalId {
        let odd = ["", "others", "\u{1f600}", &"x".repeat(i16::MAX as usize)];
        k::TransactionalId(wire::text(if self.rarely(4) { self.pick(&odd) } else { "mover" }))
    }

    pub(super) fn about_transactions(&mut self) -> Request {
        let (id, producer_id, epoch) = (self.transactional_id(), k::ProducerId(self.long(0)), self.int(0) as i16);
        match self.below(8) {
            5 => {
                let message = k::DescribeTransactionsRequest::default();
                Request::DescribeTransactions(Arc::new(message.with_transactional_ids(self.several(Fields::transactional_id))))
            }
            6 => {
                let message = k::ListTransactionsRequest::default().with_duration_filter(self.long(-1));
                let pattern = self.pick(&[None, Some(""), Some(".*"), Some("("), Some("mover")]).map(wire::text);
                let states = self.several(|fields| wire::text(fields.pick(&["Empty", "Ongoing", "nothing", ""])));
                let message = message.with_state_filters(states).with_transactional_id_pattern(pattern);
                Request::ListTransactions(Arc::new(message.with_producer_id_filters(self.several(|fields| k::ProducerId(fields.long(0))))))
            }
            7 => {
                let topics = self.several(|fields| {
                    let topic = k::describe_producers_request::TopicRequest::default().with_name(fields.topic_name());
                    topic.with_partition_indexes(fields.several(|fields| fields.int(0)))
                });
                Request::DescribeProducers(Arc::new(k::DescribeProducersRequest::default().with_topics(topics)))
            }
            0 => {
                let message = k::InitProducerIdRequest::default().with_transactional_id(Some(id)).with_producer_id(producer_id);
                Request::InitProducerId(Arc::new(message.with_producer_epoch(epoch).with_transaction_timeout_ms(self.int(60_000))))
            }
            1 => {
                let transactions = self.several(|fields| {
                    let topics = fields.several(|fields| {
                        let topic = k::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default().with_name(fields.topic_name());
                        topic.with_partitions(fields.several(|fields| fields.int(0)))
                    });
                    k::add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default()
                        .with_transactional_id(fields.transactional_id())
                        .with_producer_id(k::ProducerId(fields.long(0)))
                        .with_producer_epoch(fields.int(0) as i16)
                        .with_verify_only(fields.rarely(2))
                        .with_topics(topics)
                });
                Request::AddPartitionsToTxn(Arc::new(k::AddPartitionsToTxnRequest::default().with_transactions(transactions)))
            }
            2 => {
                let message = k::AddOffsetsToTxnRequest::default().with_transactional_id(id).with_producer_id(producer_id);
                Request::AddOffsetsToTxn(Arc::new(message.with_producer_epoch(epoch).with_group_id(self.group())))
            }
            3 => {
                let message = k::EndTxnRequest::default().with_transactional_id(id).with_producer_id(producer_id);
                Request::EndTxn(Arc::new(message.with_producer_epoch(epoch).with_committed(self.rarely(2))))
            }
            _ => {
                let topics = self.several(|fields| {
                    let partitions = fields.several(|fields| {
                        k::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()
                            .with_partition_index(fields.int(0))
                            .with_committed_offset(fields.long(0))
                    });
                    k::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                        .with_name(fields.topic_name())
                        .with_partitions(partitions)
                });
                let message = k::TxnOffsetCommitRequest::default().with_transactional_id(id).with_producer_id(producer_id);
                let message = message.with_producer_epoch(epoch).with_group_id(self.group()).with_topics(topics);
                Request::TxnOffsetCommit(Arc::new(message.with_generation_id(self.int(-1))))
            }
        }
    }

    pub(super) fn markers(&mut self) -> k::WriteTxnMarkersRequest {
        let markers = self.several(|fields| {
            let topics = fields.several(|fields| {
                let topic = k::write_txn_markers_request::WritableTxnMarkerTopic::default().with_name(fields.topic_name());
                topic.with_partition_indexes(fields.several(|fields| fields.int(0)))
            });
            k::write_txn_markers_request::WritableTxnMarker::default()
                .with_producer_id(k::ProducerId(fields.long(7)))
                .with_producer_epoch(fields.int(0) as i16)
                .with_coordinator_epoch(fields.int(0))
                .with_transaction_result(fields.rarely(2))
                .with_topics(topics)
        });
        k::WriteTxnMarkersRequest::default().with_markers(markers)
    }
}
