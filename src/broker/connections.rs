//! Requests of a connection are handled one at a time, in the order they came: the next one waits until the answer is sent.
//!
//! Source: `SocketServer` mutes a channel while a request of it is in work. That is why answers keep their order.

use crate::node::Connection;
use crate::ordered::OrderedMap;
use crate::protocol::wire::Request;
use std::collections::VecDeque;
use std::sync::Arc;

/// A request whose turn has come.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub from: Connection,
    pub client_id: Arc<str>,
    pub correlation: u32,
    pub request: Request,
}

/// Which connections have a request in work, and what waits behind it.
#[derive(Clone, Default, Debug)]
pub struct Connections {
    busy: OrderedMap<Connection, VecDeque<Arrived>>,
    ready: VecDeque<Arrived>,
}

impl Connections {
    /// Takes a request in; gives it back if its turn has come.
    pub fn arrive(&mut self, from: Connection, client_id: Arc<str>, correlation: u32, request: Request) -> Option<Arrived> {
        let arrived = Arrived { from, client_id, correlation, request };
        match self.busy.get_mut(&from) {
            Some(queue) => {
                queue.push_back(arrived);
                None
            }
            None => {
                self.busy.insert(from, VecDeque::new());
                Some(arrived)
            }
        }
    }

    /// The request in work has been answered (or wants no answer).
    pub fn answered(&mut self, connection: Connection) {
        if let Some(queue) = self.busy.get_mut(&connection) {
            match queue.pop_front() {
                Some(next) => self.ready.push_back(next),
                None => {
                    self.busy.remove(&connection);
                }
            }
        }
    }

    pub fn next_ready(&mut self) -> Option<Arrived> {
        self.ready.pop_front()
    }

    /// These connections are gone, with what waited on them.
    pub fn forget(&mut self, gone: impl Fn(Connection) -> bool) {
        self.busy.retain(|connection, _| !gone(*connection));
        self.ready.retain(|arrived| !gone(arrived.from));
    }
}
