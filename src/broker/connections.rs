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
    busy: OrderedMap<Connection, Busy>,
    ready: VecDeque<Arrived>,
}

#[derive(Clone, Debug)]
struct Busy {
    /// Of the request in work: one whose connection was closed meanwhile must not count as this one's.
    correlation: u32,
    behind: VecDeque<Arrived>,
}

impl Connections {
    /// Takes a request in; gives it back if its turn has come.
    pub fn arrive(&mut self, arrived: Arrived) -> Option<Arrived> {
        match self.busy.get_mut(&arrived.from) {
            Some(busy) => {
                busy.behind.push_back(arrived);
                None
            }
            None => {
                self.busy.insert(arrived.from, Busy { correlation: arrived.correlation, behind: VecDeque::new() });
                Some(arrived)
            }
        }
    }

    /// The request in work has been answered (or wants no answer).
    pub fn answered(&mut self, connection: Connection, correlation: u32) {
        let Some(busy) = self.busy.get_mut(&connection).filter(|busy| busy.correlation == correlation) else { return };
        match busy.behind.pop_front() {
            Some(next) => {
                busy.correlation = next.correlation;
                self.ready.push_back(next);
            }
            None => {
                self.busy.remove(&connection);
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
