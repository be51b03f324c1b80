//! Markers that end transactions in the partitions that this broker leads, as the transactions' coordinators ask.
//!
//! Source: `KafkaApis.handleWriteTxnMarkersRequest`; KIP-98. A marker is answered when it is replicated, however long that takes: its coordinator asks
//! again if it does not hear. What refuses it is in [`crate::storage::Producers::check_marker`].

use super::Broker;
use super::produce::{ACKS_ALL, Appended, DelayedProduce, Waiting};
use super::validation::Origin;
use crate::coordinator::OFFSETS_TOPIC;
use crate::mutant;
use crate::node::{Connection, Outputs, Time};
use crate::protocol::wire::Response;
use crate::protocol::{Batch, BatchBuilder, ErrorCode, Marker, Outcome};
use crate::replica::PartitionKey;
use k::write_txn_markers_request::WritableTxnMarker;
use k::write_txn_markers_response::{WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult};
use kafka_protocol::messages as k;
use std::sync::Arc;

impl Broker {
    pub(super) fn write_markers(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: &k::WriteTxnMarkersRequest,
        out: &mut Outputs,
    ) {
        let mut response = k::WriteTxnMarkersResponse::default();
        let mut waiting = Vec::new();
        for (place, marker) in message.markers.iter().enumerate() {
            let mut result = WritableTxnMarkerResult::default().with_producer_id(marker.producer_id);
            let mut partitions = 0;
            for topic in &marker.topics {
                let mut answer = WritableTxnMarkerTopicResult::default().with_name(topic.name.clone());
                for index in &topic.partition_indexes {
                    let told = WritableTxnMarkerPartitionResult::default().with_partition_index(*index);
                    let error = match self.write_marker(now, marker, &topic.name, *index, out) {
                        Ok((key, appended)) => {
                            self.verdict_is_over(key, marker.producer_id.0);
                            waiting.push(appended.wait(key, (place, partitions)));
                            ErrorCode::None
                        }
                        Err(error) => error,
                    };
                    partitions += 1;
                    answer.partitions.push(told.with_error_code(error.code()));
                }
                result.topics.push(answer);
            }
            response.markers.push(result);
        }
        if waiting.is_empty() {
            self.respond(from, correlation, Response::WriteTxnMarkers(Arc::new(response)), out);
            return;
        }
        let keys: Vec<PartitionKey> = waiting.iter().map(|waiting| waiting.key).collect();
        self.moved.extend(keys.iter().copied());
        let commits = message.markers.iter().map(|marker| marker.transaction_result).collect();
        self.produces.watch(DelayedProduce::Markers { from, correlation, response: Arc::new(response), commits, waiting }, keys);
    }

    fn write_marker(
        &mut self,
        now: Time,
        marker: &WritableTxnMarker,
        topic: &str,
        index: i32,
        out: &mut Outputs,
    ) -> Result<(PartitionKey, Appended), ErrorCode> {
        let topic = self.image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?.id;
        let key = PartitionKey { topic, index };
        let outcome = if marker.transaction_result { Outcome::Commit } else { Outcome::Abort };
        let coordinator_epoch = if mutant::is("marker-without-coordinator-epoch") { 0 } else { marker.coordinator_epoch };
        let written = Marker { outcome, coordinator_epoch };
        let bytes = BatchBuilder::marker(written, marker.producer_id.0, marker.producer_epoch, self.wall_clock(now));
        let batch = Batch::from_wire(bytes).map_err(|error| error.code())?;
        let appended = self.append(now, key, batch, Origin::Coordinator, ACKS_ALL, out).map_err(|refused| refused.code)?;
        Ok((key, appended))
    }

    /// Tells of the markers that are replicated, once all are. What one ends in the partition that has moved counts after what was written there before.
    pub(super) fn try_markers(
        &mut self,
        number: u64,
        key: PartitionKey,
        (from, correlation): (Connection, u32),
        (mut response, commits): (Arc<k::WriteTxnMarkersResponse>, Vec<bool>),
        mut waiting: Vec<Waiting>,
        out: &mut Outputs,
    ) {
        let mut ended = Vec::new();
        waiting.retain(|waiting| {
            let Some(error) = self.outcome_in_epoch(waiting).filter(|_| waiting.key == key) else { return true };
            let (marker, partition) = waiting.place;
            if error == ErrorCode::None
                && let (Some(result), Some(commit)) = (response.markers.get(marker), commits.get(marker))
            {
                ended.push((waiting.key, result.producer_id.0, *commit));
            }
            let results = Arc::make_mut(&mut response).markers.get_mut(marker).into_iter().flat_map(|result| &mut result.topics);
            if let Some(result) = results.flat_map(|topic| &mut topic.partitions).nth(partition) {
                result.error_code = error.code();
            }
            false
        });
        // Offsets in the transaction count from now on, or never.
        ended.retain(|(key, ..)| self.is_offsets_topic(*key));
        for (key, producer, commit) in ended {
            self.coordinator.transaction_ended(key.index, producer, commit, out);
        }
        if waiting.is_empty() {
            self.respond(from, correlation, Response::WriteTxnMarkers(response), out);
        } else {
            self.produces.put_back(number, DelayedProduce::Markers { from, correlation, response, commits, waiting }, key);
        }
    }

    fn is_offsets_topic(&self, key: PartitionKey) -> bool {
        self.image.topic_ids.get(OFFSETS_TOPIC) == Some(&key.topic)
    }
}
