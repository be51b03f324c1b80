//! A broker that is no part of the cluster any more.
//!
//! Source: KIP-500, `ReplicationControlManager.unregisterBroker`. It leaves every ISR; where it may lead without being in sync it is
//! still named, but what comes with its id comes with an empty disk and is taken out. The replicas that it was assigned stay assigned to it, and
//! wait for a reassignment or for a broker that registers with its id.

use super::Controller;
use crate::mutant;
use crate::node::{NoteKind, Outputs};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataRecord;
use kafka_protocol::messages as k;

impl Controller {
    pub(super) fn unregister_broker(&mut self, message: &k::UnregisterBrokerRequest, out: &mut Outputs) -> k::UnregisterBrokerResponse {
        let mut response = k::UnregisterBrokerResponse::default();
        let broker = message.broker_id.0;
        let Some(epoch) = self.image.brokers.get(&broker).map(|known| known.epoch) else {
            response.error_code = ErrorCode::BrokerIdNotRegistered.code();
            return response;
        };
        self.decide(MetadataRecord::UnregisterBroker { broker, epoch });
        self.sessions.remove(&broker);
        out.note(NoteKind::BrokerUnregistered { broker });
        if !mutant::is("unregistered-stays-in-isr") {
            self.leave_all_isrs(broker, out);
        }
        response
    }
}
