//! Blocks of producer ids: no id is given twice in a cluster's life.
//!
//! Source: `ProducerIdControlManager`, `ProducerIdsBlock`; KIP-730.

use super::Controller;
use crate::mutant;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataRecord;
use kafka_protocol::messages as k;

/// Ids of a block (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const BLOCK_SIZE: i32 = 1_000;

impl Controller {
    pub(super) fn allocate_producer_ids(&mut self, message: &k::AllocateProducerIdsRequest) -> k::AllocateProducerIdsResponse {
        let mut response = k::AllocateProducerIdsResponse::default();
        let (broker, epoch) = (message.broker_id.0, message.broker_epoch);
        if self.image.brokers.get(&broker).is_none_or(|known| known.epoch != epoch) {
            response.error_code = ErrorCode::StaleBrokerEpoch.code();
            return response;
        }
        let start = self.image.next_producer_id;
        let Some(next) = start.checked_add(i64::from(BLOCK_SIZE)) else {
            response.error_code = ErrorCode::UnknownServerError.code();
            return response;
        };
        if !mutant::is("producer-ids-twice") {
            self.decide(MetadataRecord::ProducerIds { broker, epoch, next });
        }
        (response.producer_id_start, response.producer_id_len) = (k::ProducerId(start), BLOCK_SIZE);
        response
    }
}
