//! A broker or the controller taken out of its running cluster: it is asked directly, by whatever sender and with whatever message, and nobody else
//! hears of it.

use super::Cluster;
use brokerlab::broker::Broker;
use brokerlab::controller::Controller;
use brokerlab::coordinator::{Coordinator, OFFSETS_TOPIC};
use brokerlab::node::{Body, Chance, Channel, Connection, Input, NodeId, Outputs, Timer};
use brokerlab::protocol::metadata::{MetadataEntry, MetadataRecord};
use brokerlab::protocol::wire::{Request, Response};
use brokerlab::replica::{PartitionKey, Replica};
use kafka_protocol::messages as k;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use uuid::Uuid;

pub struct Direct {
    pub broker: Broker,
    pub now: u64,
    id: i32,
    correlation: u32,
}

impl Direct {
    pub fn of(cluster: &Cluster, id: i32) -> Direct {
        let world = cluster.session.world();
        let (broker, _) = world.broker(id).expect("the broker");
        Direct { broker: broker.clone(), now: world.now(), id, correlation: 0 }
    }

    /// Another of the same broker, as it is now.
    pub fn copy(&self) -> Direct {
        Direct { broker: self.broker.clone(), ..*self }
    }

    /// What it says at once; `None` if it waits.
    pub fn ask(&mut self, request: Request) -> Option<Response> {
        self.ask_from(NodeId::Client(99), request)
    }

    pub fn ask_from(&mut self, peer: NodeId, request: Request) -> Option<Response> {
        let (from, out) = self.hand_in(peer, request);
        answer(out, from, self.correlation)
    }

    /// Asks, waits until the time is over that the request allows, and hangs up.
    pub fn ask_once(&mut self, request: Request) -> Option<Response> {
        let peer = NodeId::Client(1_000_000 + self.correlation);
        let (from, mut out) = self.hand_in(peer, request);
        let waiting = out.timers.clone().into_iter().filter(|(_, timer)| matches!(timer, Timer::Purgatory { .. }));
        waiting.for_each(|(at, timer)| self.broker.handle(at, Input::Timer(timer), &mut out));
        let said = answer(out, from, self.correlation);
        self.broker.handle(self.now, Input::Disconnected { peer, channel: None }, &mut Outputs::default());
        said
    }

    /// What it says after it has asked itself whatever it asks of the only broker that there is.
    pub fn ask_alone(&mut self, request: Request) -> Option<Response> {
        let (from, out) = self.hand_in(NodeId::Client(99), request);
        let (own, itself) = (self.correlation, NodeId::Broker(self.broker.id()));
        let mut sends = VecDeque::from(out.sends);
        // What it was asked as, and what it had asked as.
        let mut asked = BTreeMap::new();
        let mut said = None;
        while let Some(sent) = sends.pop_front() {
            match sent.body {
                Body::Response(response) if sent.to == from && sent.correlation == own => said = Some(response),
                Body::Response(response) if sent.to.peer == itself => {
                    sends.extend(asked.remove(&sent.correlation).into_iter().flat_map(|of| self.is_told(of, response.clone()).sends));
                }
                Body::Request(request) if sent.to.peer == itself => {
                    let (_, out) = self.hand_in(itself, request);
                    asked.insert(self.correlation, sent.correlation);
                    sends.extend(out.sends);
                }
                _ => {}
            }
        }
        said
    }

    /// Everything that a request makes it do.
    pub fn does(&mut self, peer: NodeId, request: Request) -> Outputs {
        self.hand_in(peer, request).1
    }

    /// Gives it the controller's answer to one of its requests.
    pub fn is_told(&mut self, correlation: u32, response: Response) -> Outputs {
        let from = Connection { peer: NodeId::Controller(1), channel: Channel::Control };
        let mut out = Outputs::default();
        self.broker.handle(self.now, Input::Response { from, correlation, response }, &mut out);
        out
    }

    /// What it says when it has had its say with itself: the only broker of its cluster is every coordinator, too.
    pub fn settles(&mut self, peer: NodeId, request: Request) -> Option<Response> {
        let (from, out) = self.hand_in(peer, request);
        self.settle(from, self.correlation, out)
    }

    /// The same, after an alarm: what is said to a request of before.
    pub fn settle(&mut self, to: Connection, correlation: u32, out: Outputs) -> Option<Response> {
        let mut said = None;
        let mut open = vec![out];
        while let Some(out) = open.pop() {
            for sent in &out.sends {
                let own = Connection { peer: NodeId::Broker(self.id), channel: sent.to.channel };
                let mut next = Outputs::default();
                match sent.body.clone() {
                    Body::Response(response) if sent.to == to && sent.correlation == correlation => said = Some(response),
                    Body::Response(response) if sent.to == own => {
                        let input = Input::Response { from: own, correlation: sent.correlation, response };
                        self.broker.handle(self.now, input, &mut next);
                    }
                    Body::Request(request) if sent.to == own => {
                        let input = Input::Request { from: own, client_id: Arc::from("1"), correlation: sent.correlation, request };
                        self.broker.handle(self.now, input, &mut next);
                    }
                    _ => continue,
                }
                open.push(next);
            }
        }
        said
    }

    /// It finds that another's process is gone.
    pub fn loses(&mut self, peer: NodeId) -> Outputs {
        let mut out = Outputs::default();
        self.broker.handle(self.now, Input::Disconnected { peer, channel: None }, &mut out);
        out
    }

    /// What another broker says to one of its requests.
    pub fn is_told_by(&mut self, broker: i32, correlation: u32, response: Response) -> Outputs {
        let from = Connection { peer: NodeId::Broker(broker), channel: Channel::Data };
        let mut out = Outputs::default();
        self.broker.handle(self.now, Input::Response { from, correlation, response }, &mut out);
        out
    }

    /// The metadata log goes on with a committed record.
    pub fn learns(&mut self, record: MetadataRecord) -> Outputs {
        let lost = self.loses(NodeId::Controller(1));
        let (at, timer) = lost.timers.into_iter().find(|(_, timer)| *timer == Timer::MetadataBackoff).expect("it asks again");
        let asked = self.rings(at, timer);
        let (correlation, message) = fetches(&asked, NodeId::Controller(1)).remove(0);
        let asked = &message.topics[0].partitions[0];
        let current =
            k::fetch_response::LeaderIdAndEpoch::default().with_leader_id(k::BrokerId(1)).with_leader_epoch(asked.current_leader_epoch);
        let data = k::fetch_response::PartitionData::default().with_current_leader(current).with_high_watermark(asked.fetch_offset + 1);
        let topic =
            k::fetch_response::FetchableTopicResponse::default().with_topic_id(message.topics[0].topic_id).with_partitions(vec![data]);
        let entry = MetadataEntry { epoch: asked.last_fetched_epoch, record: Arc::new(record) };
        let response = k::FetchResponse::default().with_responses(vec![topic]);
        self.is_told(correlation, Response::FetchMetadata(Arc::new(response), Arc::from([entry])))
    }

    pub fn rings(&mut self, at: u64, timer: Timer) -> Outputs {
        self.now = at;
        let mut out = Outputs::default();
        self.broker.handle(at, Input::Timer(timer), &mut out);
        out
    }

    fn hand_in(&mut self, peer: NodeId, request: Request) -> (Connection, Outputs) {
        self.correlation += 1;
        let from = Connection { peer, channel: Channel::Data };
        let mut out = Outputs::default();
        let input = Input::Request { from, client_id: Arc::from("raw"), correlation: self.correlation, request };
        self.broker.handle(self.now, input, &mut out);
        (from, out)
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

    /// The coordinator of groups that the broker would be after a restart, by what is in its logs.
    pub fn reloaded(&self, cluster: &Cluster) -> Coordinator {
        let config = self.broker.config().coordinator;
        let (mut fresh, topic) = (Coordinator::new(config, Chance::new(1)), topic_id(cluster, OFFSETS_TOPIC));
        for index in 0..config.partitions {
            let log = &self.replica(topic, index).log;
            fresh.load(self.now, index, log.batches_from(log.start_offset()), self.broker.image(), &mut Outputs::default());
        }
        fresh
    }

    /// Its logs, what it knows as leader or follower, and its groups, as one number.
    pub fn state(&self) -> u64 {
        let mut text = Digest::default();
        write!(text, "{:?}", self.broker.replicas()).expect("a digest takes all");
        self.broker.coordinator().groups().for_each(|group| write!(text, "{group:?}").expect("a digest takes all"));
        text.0.finish()
    }
}

pub struct DirectController {
    controller: Controller,
    now: u64,
}

impl DirectController {
    pub fn of(cluster: &Cluster) -> DirectController {
        let world = cluster.session.world();
        DirectController { controller: world.active_controller().expect("an active controller").clone(), now: world.now() }
    }

    pub fn copy(&self) -> DirectController {
        DirectController { controller: self.controller.clone(), now: self.now }
    }

    pub fn ask(&mut self, peer: NodeId, request: Request) -> Option<Response> {
        let from = Connection { peer, channel: Channel::Control };
        let mut out = Outputs::default();
        self.controller.handle(self.now, Input::Request { from, client_id: Arc::from("raw"), correlation: 1, request }, &mut out);
        answer(out, from, 1)
    }

    /// The metadata, as one number.
    pub fn state(&self) -> u64 {
        let mut text = Digest::default();
        write!(text, "{:?}", self.controller.image()).expect("a digest takes all");
        text.0.finish()
    }
}

/// The fetches that are sent to a node, with their correlations.
pub fn fetches(out: &Outputs, to: NodeId) -> Vec<(u32, Arc<k::FetchRequest>)> {
    let fetch = |sent: &brokerlab::node::Send| match &sent.body {
        Body::Request(Request::Fetch(message)) if sent.to.peer == to => Some((sent.correlation, message.clone())),
        _ => None,
    };
    out.sends.iter().filter_map(fetch).collect()
}

fn answer(out: Outputs, to: Connection, correlation: u32) -> Option<Response> {
    let own = |sent: &brokerlab::node::Send| sent.to == to && sent.correlation == correlation;
    out.sends.into_iter().find(own).and_then(|sent| match sent.body {
        Body::Response(response) => Some(response),
        Body::Request(_) => None,
    })
}

/// Text that is hashed while it is written.
#[derive(Default)]
struct Digest(DefaultHasher);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

pub fn topic_id(cluster: &Cluster, name: &str) -> Uuid {
    cluster.session.world().controller().image().topic(name).expect("the topic").id
}
