//! Brokers that join the cluster and leave it, while it runs.
//!
//! Owns what happens to the process, the machine and its disk. Whether it may be asked for is checked before it comes here; what the controller
//! makes of it is decided there.

use super::trace::Trace;
use super::world::{BrokerNode, ProcessState, World};
use crate::broker::{Broker, BrokerConfig};
use crate::node::{Input, Loss, NodeId, Note, NoteKind};
use std::sync::Arc;

impl World {
    /// A machine with an empty disk and the cluster's settings joins, and its broker starts. The id is free: the caller has checked that.
    pub fn add_broker(&mut self, id: i32, rack: Option<Arc<str>>, trace: &mut Trace) {
        let config = BrokerConfig { rack, ..self.broker_config.clone() };
        self.network.set_buffers(id, config.costs.receive_buffer, config.costs.send_buffer);
        let node = match self.removed.remove(&id) {
            Some(mut node) => {
                node.broker.replace(config);
                node.state = ProcessState::Running;
                node
            }
            None => BrokerNode::new(Broker::new(id, config, self.chance.fork(1_000 + id as u64))),
        };
        self.brokers.insert(id, node);
        trace.push(Note { time: self.now, node: NodeId::Broker(id), kind: NoteKind::BrokerAdded });
        self.input(NodeId::Broker(id), Input::Start, trace);
    }

    /// A broker's machine is taken away, with its disk and with what it has just asked the controller for: a registration that came afterwards
    /// would be one of nobody.
    pub fn remove_broker(&mut self, id: i32, trace: &mut Trace) {
        if self.process(NodeId::Broker(id)).is_some() {
            self.crash_broker(id, trace);
        }
        let asked = |flight: &super::Flight<'_>| flight.from == NodeId::Broker(id) && matches!(flight.to, NodeId::Controller(_));
        let asked: Vec<u64> = self.flights().iter().filter(|flight| asked(flight)).map(|flight| flight.message).collect();
        for message in asked {
            self.drop_message(message, Loss::Cut, trace);
        }
        if let Some(mut node) = self.brokers.remove(&id) {
            node.broker.replace(self.broker_config.clone());
            self.removed.insert(id, node);
            trace.push(Note { time: self.now, node: NodeId::Broker(id), kind: NoteKind::BrokerRemoved });
        }
    }

    /// The id that follows the largest there ever was.
    pub fn next_broker_id(&self) -> i32 {
        self.brokers.keys().chain(self.removed.keys()).max().map_or(1, |id| id + 1)
    }
}
