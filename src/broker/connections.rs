//! Requests of a connection are handled one at a time, in the order they came: the next one waits until the answer is sent.
//!
//! Source: `SocketServer` mutes a channel while a request of it is in work. That is why answers keep their order.

use crate::node::{Connection, Time};
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

/// The request in work.
#[derive(Clone, Debug)]
pub struct InWork {
    /// One whose connection was closed meanwhile must not count as this one.
    correlation: u32,
    pub client_id: Arc<str>,
    pub bytes: u64,
    /// What it keeps a thread busy for.
    pub took: Time,
}

impl InWork {
    fn of(arrived: &Arrived) -> InWork {
        let Arrived { client_id, correlation, request, .. } = arrived;
        InWork { correlation: *correlation, client_id: client_id.clone(), bytes: request.bytes(), took: 0 }
    }
}

#[derive(Clone, Debug)]
struct Busy {
    in_work: InWork,
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
                self.busy.insert(arrived.from, Busy { in_work: InWork::of(&arrived), behind: VecDeque::new() });
                Some(arrived)
            }
        }
    }

    /// The request in work has been answered (or wants no answer).
    pub fn answered(&mut self, connection: Connection, correlation: u32) {
        let Some(busy) = self.busy.get_mut(&connection).filter(|busy| busy.in_work.correlation == correlation) else { return };
        match busy.behind.pop_front() {
            Some(next) => {
                busy.in_work = InWork::of(&next);
                self.ready.push_back(next);
            }
            None => {
                self.busy.remove(&connection);
            }
        }
    }

    pub fn in_work(&self, connection: Connection) -> Option<&InWork> {
        self.busy.get(&connection).map(|busy| &busy.in_work)
    }

    /// The request in work keeps a thread busy for so long.
    pub fn takes(&mut self, connection: Connection, took: Time) {
        if let Some(busy) = self.busy.get_mut(&connection).filter(|_| took != 0) {
            busy.in_work.took = took;
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
