//! Ids for producers: given out by any broker, from blocks that the controller gives to brokers.
//!
//! Source: `RPCProducerIdManager`, `KafkaApis.handleInitProducerIdRequest`, `TransactionCoordinator.handleInitProducerId`; KIP-98, KIP-730. The next block
//! is asked for when nine tenths of the last one are given; a producer that comes in between with nothing left is told to come again.

use super::Broker;
use crate::coordinator::identity_of;
use crate::node::{Channel, Outputs, Time};
use crate::protocol::ErrorCode;
use crate::protocol::wire::Request;
use kafka_protocol::messages as k;
use std::ops::Range;
use std::sync::Arc;

/// How much of a block is given out when the next one is asked for, in tenths (`PID_PREFETCH_THRESHOLD`).
const PREFETCH_TENTHS: i64 = 9;

/// What a broker has to give out.
#[derive(Clone, Default, Debug)]
pub(super) struct ProducerIds {
    left: Range<i64>,
    /// When this one is given out, the next block is asked for.
    threshold: i64,
    next: Option<Range<i64>>,
    /// The request for a block under way, and since when.
    pub asked: Option<(u32, Time)>,
}

impl Broker {
    /// Whoever has no transactional id gets a new id, whatever id it had.
    pub(super) fn init_producer_id(
        &mut self,
        now: Time,
        message: &k::InitProducerIdRequest,
        out: &mut Outputs,
    ) -> k::InitProducerIdResponse {
        let mut response = k::InitProducerIdResponse::default();
        (response.producer_id, response.producer_epoch) = (k::ProducerId(-1), -1);
        let given = identity_of(message).and_then(|_| self.next_producer_id(now, out).ok_or(ErrorCode::CoordinatorLoadInProgress));
        match given {
            Ok(id) => (response.producer_id, response.producer_epoch) = (k::ProducerId(id), 0),
            Err(error) => response.error_code = error.code(),
        }
        response
    }

    /// `None`: there is none now, and it has asked for more.
    pub(super) fn next_producer_id(&mut self, now: Time, out: &mut Outputs) -> Option<i64> {
        let ids = &mut self.producer_ids;
        if ids.left.is_empty()
            && let Some(next) = ids.next.take()
        {
            ids.threshold = next.start + (next.end - next.start) * PREFETCH_TENTHS / 10;
            ids.left = next;
        }
        let id = ids.left.next();
        if id.is_none_or(|id| id == self.producer_ids.threshold) {
            self.ask_for_producer_ids(now, out);
        }
        id
    }

    fn ask_for_producer_ids(&mut self, now: Time, out: &mut Outputs) {
        let (Some(controller), Some(epoch)) = (self.controllers.leader(), self.epoch) else { return };
        if self.producer_ids.asked.is_some() {
            return;
        }
        let mut message = k::AllocateProducerIdsRequest::default();
        (message.broker_id, message.broker_epoch) = (k::BrokerId(self.id), epoch);
        let correlation = self.correlation();
        self.producer_ids.asked = Some((correlation, now));
        out.request(controller, Channel::Control, correlation, Request::AllocateProducerIds(Arc::new(message)));
    }

    /// The controller has answered. Where it gave nothing, whoever needs an id next asks again.
    pub(super) fn producer_ids_allocated(&mut self, correlation: u32, message: &k::AllocateProducerIdsResponse) {
        if self.producer_ids.asked.take_if(|(own, _)| *own == correlation).is_some() && message.error_code == 0 {
            let start = message.producer_id_start.0;
            self.producer_ids.next = Some(start..start + i64::from(message.producer_id_len));
        }
    }
}
