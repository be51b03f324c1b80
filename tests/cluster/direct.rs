//! A broker taken out of its running cluster: it is asked directly, by whatever sender and with whatever message, and nobody else hears of it.

use super::Cluster;
use brokerlab::broker::Broker;
use brokerlab::node::{Body, Channel, Connection, Input, NodeId, Outputs};
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::replica::{PartitionKey, Replica};
use kafka_protocol::messages as k;
use std::sync::Arc;
use uuid::Uuid;

pub struct Direct {
    pub broker: Broker,
    pub now: u64,
    correlation: u32,
}

impl Direct {
    pub fn of(cluster: &Cluster, id: i32) -> Direct {
        let world = cluster.session.world();
        let (broker, _) = world.broker(id).expect("the broker");
        Direct { broker: broker.clone(), now: world.now(), correlation: 0 }
    }

    /// What it says at once; `None` if it waits.
    pub fn ask(&mut self, request: Request) -> Option<Response> {
        self.ask_from(NodeId::Client(99), request)
    }

    pub fn ask_from(&mut self, peer: NodeId, request: Request) -> Option<Response> {
        self.correlation += 1;
        let from = Connection { peer, channel: Channel::Data };
        let mut out = Outputs::default();
        let input = Input::Request { from, client_id: Arc::from("raw"), correlation: self.correlation, request };
        self.broker.handle(self.now, input, &mut out);
        let own = |sent: &brokerlab::node::Send| sent.to == from && sent.correlation == self.correlation;
        out.sends.into_iter().find(own).and_then(|sent| match sent.body {
            Body::Response(response) => Some(response),
            Body::Request(_) => None,
        })
    }

    pub fn fetch(&mut self, peer: NodeId, message: k::FetchRequest) -> k::FetchResponse {
        match self.ask_from(peer, Request::Fetch(Arc::new(message))) {
            Some(Response::Fetch(response, _)) => (*response).clone(),
            answer => panic!("no answer to a fetch: {answer:?}"),
        }
    }

    pub fn replica(&self, topic: Uuid, index: i32) -> &Replica {
        &self.broker.replicas()[&PartitionKey { topic, index }]
    }
}

pub fn topic_id(cluster: &Cluster, name: &str) -> Uuid {
    cluster.session.world().controller().image().topic(name).expect("the topic").id
}
