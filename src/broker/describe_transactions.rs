//! Requests that look at transactions: DescribeTransactions and ListTransactions of the coordinator, DescribeProducers of any replica.
//!
//! Source: `TransactionCoordinator.handleDescribeTransactions`, `TransactionStateManager.listTransactionStates`, `Partition.activeProducerState`; KIP-664,
//! KIP-994 (duration), KIP-1152 (pattern).

use super::Broker;
use crate::coordinator::{Transaction, TransactionState};
use crate::node::Time;
use crate::protocol::wire;
use crate::protocol::{Dialect, ErrorCode, TopicPattern, validate_topic_name};
use crate::replica::PartitionKey;
use k::describe_producers_response as producers;
use k::describe_transactions_response as described;
use kafka_protocol::messages as k;

impl Broker {
    pub(super) fn describe_transactions(&self, message: &k::DescribeTransactionsRequest) -> k::DescribeTransactionsResponse {
        let describe = |id: &k::TransactionalId| {
            let state = described::TransactionState::default().with_transactional_id(id.clone());
            match self.known_transaction(id) {
                Err(error) => state.with_error_code(error.code()),
                Ok(own) => {
                    let mut topics: Vec<described::TopicData> = Vec::new();
                    for partition in own.partitions.iter() {
                        if topics.last().is_none_or(|topic| topic.topic.as_str() != &*partition.topic) {
                            topics.push(described::TopicData::default().with_topic(wire::topic(&partition.topic)));
                        }
                        topics.last_mut().into_iter().for_each(|topic| topic.partitions.push(partition.index));
                    }
                    let state = state.with_transaction_state(wire::text(own.state.name())).with_transaction_timeout_ms(own.timeout_ms);
                    let state = state.with_transaction_start_time_ms(own.started_ms).with_producer_id(k::ProducerId(own.producer_id));
                    state.with_producer_epoch(own.epoch).with_topics(topics)
                }
            }
        };
        k::DescribeTransactionsResponse::default().with_transaction_states(message.transactional_ids.iter().map(describe).collect())
    }

    fn known_transaction(&self, id: &str) -> Result<&Transaction, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        self.check_loaded(id)?;
        self.transactions.all().find(|(known, _)| ***known == *id).map(|(_, own)| own).ok_or(ErrorCode::TransactionalIdNotFound)
    }

    pub(super) fn list_transactions(&self, now: Time, message: &k::ListTransactionsRequest) -> k::ListTransactionsResponse {
        let refused = |error: ErrorCode| k::ListTransactionsResponse::default().with_error_code(error.code());
        if self.transactions.partitions().any(|partition| self.is_loaded(partition) == Some(false)) {
            return refused(ErrorCode::CoordinatorLoadInProgress);
        }
        let text = message.transactional_id_pattern.as_deref().filter(|text| !text.is_empty());
        let Ok(pattern) = text.map(|text| TopicPattern::parse(text, Dialect::Re2)).transpose() else {
            return refused(ErrorCode::InvalidRegularExpression);
        };
        let lasts_ms = |own: &Transaction| self.wall_clock(now) - own.started_ms;
        let is_asked = |id: &str, own: &Transaction| {
            (message.producer_id_filters.is_empty() || message.producer_id_filters.contains(&k::ProducerId(own.producer_id)))
                && (message.state_filters.is_empty() || message.state_filters.iter().any(|name| name.as_str() == own.state.name()))
                && (message.duration_filter < 0 || message.duration_filter < lasts_ms(own))
                && pattern.as_ref().is_none_or(|pattern| pattern.matches(id))
        };
        let told = self.transactions.all().filter(|(id, own)| is_asked(id, own)).map(|(id, own)| {
            let state =
                k::list_transactions_response::TransactionState::default().with_transactional_id(k::TransactionalId(wire::text(id)));
            state.with_producer_id(k::ProducerId(own.producer_id)).with_transaction_state(wire::text(own.state.name()))
        });
        let unknown = message.state_filters.iter().filter(|name| !TransactionState::is_name(name)).cloned();
        k::ListTransactionsResponse::default().with_transaction_states(told.collect()).with_unknown_state_filters(unknown.collect())
    }

    pub(super) fn describe_producers(&self, message: &k::DescribeProducersRequest) -> k::DescribeProducersResponse {
        let topic = |asked: &k::describe_producers_request::TopicRequest| {
            let id = match validate_topic_name(&asked.name) {
                Err(_) => Err(ErrorCode::InvalidTopicException),
                Ok(()) => self.image.topic(&asked.name).map(|topic| topic.id).ok_or(ErrorCode::UnknownTopicOrPartition),
            };
            let partition = |index: &i32| {
                let told = producers::PartitionResponse::default().with_partition_index(*index);
                match id.and_then(|topic| self.replica(PartitionKey { topic, index: *index })) {
                    Err(error) => told.with_error_code(error.code()),
                    Ok(replica) => {
                        let state = |(id, own): (i64, &crate::storage::ProducerState)| {
                            let state = producers::ProducerState::default().with_producer_id(k::ProducerId(id));
                            let state = state.with_producer_epoch(own.epoch.into()).with_last_timestamp(own.last_timestamp);
                            state
                                .with_last_sequence(own.written().last().map_or(-1, |last| last.last_sequence))
                                .with_coordinator_epoch(own.coordinator_epoch)
                                .with_current_txn_start_offset(own.transaction.unwrap_or(-1))
                        };
                        told.with_active_producers(replica.log.producers().all().map(state).collect())
                    }
                }
            };
            let told = producers::TopicResponse::default().with_name(asked.name.clone());
            told.with_partitions(asked.partition_indexes.iter().map(partition).collect())
        };
        k::DescribeProducersResponse::default().with_topics(message.topics.iter().map(topic).collect())
    }
}
