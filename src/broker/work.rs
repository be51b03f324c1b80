//! A broker's threads and its disk: what is in work, what waits for whom, and for how long.
//!
//! Source: `SocketServer` (network threads, `queued.max.requests`), `RequestChannel`, `KafkaRequestHandlerPool` (io threads). A network thread
//! reads a request and puts it into the one queue of all; an io thread takes it out, and its effect comes when the work on it is over. A
//! queue that is full stops the network thread that has the next request in hand, with everything that comes and goes through it.
//!
//! Only what takes longer than on a healthy broker is charged ([`Costs`](crate::cost::Costs)): as long as nothing does, none of this is used, but for the
//! remote store, which always takes its time, and clients that wait for their quotas.

use super::Broker;
use super::connections::Arrived;
use super::remote::{RemoteFetch, RemoteJob};
use crate::cost::{Costs, SMALL_APPEND_BYTES, transmission};
use crate::node::{Connection, NodeId, Outputs, Send, Time, Timer};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::wire::{FetchBatches, Request, Response};
use crate::replica::PartitionKey;
use kafka_protocol::messages as k;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a broker is busy with.
#[derive(Clone, Default, Debug)]
pub(super) struct Work {
    jobs: OrderedMap<u64, Job>,
    next: u64,
    /// Io threads at work.
    io_busy: usize,
    /// The request queue.
    waiting: VecDeque<Arrived>,
    /// What network threads have read and cannot hand over, and what comes behind it, in order.
    blocked: VecDeque<(u32, Blocked)>,
    /// Answers of io threads whose network thread is stopped.
    held_back: Vec<(u32, Send)>,
    /// Which network thread a connection belongs to.
    accepted: OrderedMap<Connection, u32>,
    next_thread: u32,
    /// Until when a network thread is busy.
    network: OrderedMap<u32, Time>,
    /// Until when the disk is busy.
    disk: Time,
    /// Whether the alarm for `flush.ms` is set.
    flushes: bool,
    /// Until when bytes are under way to the remote store or from there.
    remote: Time,
}

/// What ends at a time.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Read(Arrived),
    Handle(Arrived),
    /// The disk takes in what a leader sent.
    Copy {
        from: Connection,
        correlation: u32,
        message: Arc<k::FetchResponse>,
        batches: FetchBatches,
    },
    /// A client has waited as long as its quota says.
    Listen {
        to: Connection,
        correlation: u32,
    },
    /// The remote store is done with something that no client waits for.
    Remote(RemoteJob),
    /// The remote store has what a consumer asked for.
    RemoteFetch(Box<RemoteFetch>),
    /// And what it needs to find an offset by time.
    RemoteOffsets {
        from: Connection,
        correlation: u32,
        message: Arc<k::ListOffsetsRequest>,
    },
}

impl Job {
    /// Who waits for the remote store.
    fn waits(&self) -> Option<Connection> {
        match self {
            Job::RemoteFetch(fetch) => Some(fetch.from),
            Job::RemoteOffsets { from, .. } => Some(*from),
            _ => None,
        }
    }
}

/// A request that a network thread has in hand.
#[derive(Clone, Debug)]
enum Blocked {
    /// The queue has no room for it.
    Queued(Arrived),
    /// It came behind one for which the queue has no room.
    Unread(Arrived),
}

impl Work {
    pub(super) fn start(&mut self, until: Time, job: Job, out: &mut Outputs) {
        let number = self.next;
        self.next += 1;
        self.jobs.insert(number, job);
        out.timer(until, Timer::Work { job: number });
    }

    /// The network thread of a connection: each new one gets the next.
    fn thread(&mut self, connection: Connection, threads: u32) -> u32 {
        if let Some(thread) = self.accepted.get(&connection) {
            return *thread;
        }
        let thread = self.next_thread % threads.max(1);
        self.next_thread = thread + 1;
        self.accepted.insert(connection, thread);
        thread
    }

    fn is_stopped(&self, thread: u32) -> bool {
        self.blocked.iter().any(|(stopped, _)| *stopped == thread)
    }

    /// Keeps an answer until its network thread goes on; `false`: it can be sent.
    pub(super) fn holds_back(&mut self, to: Connection, correlation: u32, response: &Response) -> bool {
        if self.blocked.is_empty() {
            return false;
        }
        let stopped = self.accepted.get(&to).copied().filter(|thread| self.is_stopped(*thread));
        if let Some(thread) = stopped {
            let body = crate::node::Body::Response(response.clone());
            self.held_back.push((thread, Send { to, correlation, body }));
        }
        stopped.is_some()
    }

    /// These connections are gone. What was read from them is handled all the same.
    pub(super) fn forget(&mut self, gone: impl Fn(Connection) -> bool) {
        self.accepted.retain(|connection, _| !gone(*connection));
        self.held_back.retain(|(_, answer)| !gone(answer.to));
        self.jobs.retain(|_, job| job.waits().is_none_or(|from| !gone(from)));
    }

    /// Connections of network threads that are no more go to others.
    pub(super) fn limit_network_threads(&mut self, threads: u32) {
        self.accepted.retain(|_, thread| *thread < threads);
    }

    /// Whether the alarm for `flush.ms` is set; it is from now on.
    pub(super) fn flushes(&mut self) -> bool {
        std::mem::replace(&mut self.flushes, true)
    }

    /// When the remote store is done with a request that is made now, for so many bytes either way.
    pub(super) fn use_remote(&mut self, now: Time, bytes: u64, costs: &Costs) -> Time {
        self.remote = now.max(self.remote) + transmission(bytes, costs.remote_bytes_per_second);
        self.remote + costs.remote_latency
    }

    /// The disk works for so long, after what it has to do already and not before `from`. Returns when it is done.
    fn use_disk(&mut self, from: Time, lasts: Time) -> Time {
        self.disk = from.max(self.disk) + lasts;
        self.disk
    }
}

impl Broker {
    /// A request has come.
    pub(super) fn request(&mut self, now: Time, arrived: Arrived, out: &mut Outputs) {
        if arrived.from.peer == NodeId::Admin {
            // Each is the only one of its connection, and takes no time.
            self.dispatch(now, arrived, out);
            return;
        }
        if self.config.costs.request_max_bytes < arrived.request.bytes() {
            // Nobody is told why: the connection is closed (`InvalidReceiveException`).
            self.close(now, arrived.from, out);
            return;
        }
        if !self.charged {
            self.read(now, arrived, out);
            return;
        }
        let thread = self.work.thread(arrived.from, self.config.costs.network_threads);
        let busy = self.work.network.or_default(thread);
        let lasts = self.config.costs.network_request();
        *busy = now.max(*busy) + lasts;
        let until = *busy;
        if until == now {
            self.read(now, arrived, out);
        } else {
            self.work.start(until, Job::Read(arrived), out);
        }
    }

    /// Closes a client's connection: what it asked for on it is forgotten.
    pub(super) fn close(&mut self, now: Time, client: Connection, out: &mut Outputs) {
        out.close(client.peer, client.channel);
        self.disconnected(now, client.peer, Some(client.channel), out);
    }

    /// A network thread has read a request.
    fn read(&mut self, now: Time, arrived: Arrived, out: &mut Outputs) {
        if !self.work.blocked.is_empty() {
            let thread = self.work.thread(arrived.from, self.config.costs.network_threads);
            if self.work.is_stopped(thread) {
                self.work.blocked.push_back((thread, Blocked::Unread(arrived)));
                return;
            }
        }
        if let Some(ready) = self.connections.arrive(arrived) {
            self.enqueue(now, ready, out);
        }
    }

    /// Answers, and lets the connection's next request in.
    pub(super) fn respond(&mut self, to: Connection, correlation: u32, mut response: Response, out: &mut Outputs) {
        let waits = self.charge_request(to, &mut response, out);
        if !self.work.holds_back(to, correlation, &response) {
            out.respond(to, correlation, response);
        }
        self.listen_again(to, correlation, waits, out);
    }

    /// The number of the broker's own next request.
    pub(super) fn correlation(&mut self) -> u32 {
        self.next_correlation += 1;
        self.next_correlation
    }

    /// A request's turn on its connection has come: it goes to an io thread, or waits for one.
    pub(super) fn enqueue(&mut self, now: Time, arrived: Arrived, out: &mut Outputs) {
        if !self.charged || (self.work.io_busy < self.config.costs.io_threads && self.work.waiting.is_empty()) {
            self.begin(now, arrived, out);
        } else if self.work.waiting.len() < self.config.costs.queued_max {
            self.work.waiting.push_back(arrived);
        } else {
            let thread = self.work.thread(arrived.from, self.config.costs.network_threads);
            self.work.blocked.push_back((thread, Blocked::Queued(arrived)));
        }
    }

    /// An io thread takes a request.
    fn begin(&mut self, now: Time, arrived: Arrived, out: &mut Outputs) {
        let until = if self.charged { self.done_at(now, &arrived.request) } else { now };
        self.connections.takes(arrived.from, until - now);
        if until == now {
            self.dispatch(now, arrived, out);
        } else {
            self.work.io_busy += 1;
            self.work.start(until, Job::Handle(arrived), out);
        }
    }

    /// When an io thread that begins now is done with a request.
    fn done_at(&mut self, now: Time, request: &Request) -> Time {
        let handled = now + self.config.costs.request();
        let disk = match request {
            Request::Produce(message, batches) => {
                let partitions = message.topic_data.iter().flat_map(|topic| {
                    topic.partition_data.iter().map(|partition| PartitionKey { topic: topic.topic_id, index: partition.index })
                });
                let append =
                    |(key, batch): (PartitionKey, &crate::protocol::Batch)| self.append_time(key, batch.size(), batch.record_count);
                partitions.zip(batches.iter()).map(append).sum()
            }
            Request::OffsetCommit(_) => self.config.costs.append(SMALL_APPEND_BYTES, self.machine.disk_factor),
            _ => 0,
        };
        if disk == 0 { handled } else { self.work.use_disk(handled, disk) }
    }

    /// What the disk takes for an append, and for the flush that it makes due.
    fn append_time(&self, key: PartitionKey, bytes: usize, records: i32) -> Time {
        let factor = self.machine.disk_factor;
        let flushes = self.replicas.get(&key).is_some_and(|replica| replica.is_flush_due(i64::from(records)));
        self.config.costs.append(bytes as u64, factor) + if flushes { self.config.costs.flush(factor) } else { 0 }
    }

    /// A leader's answer has come: the disk takes in what it carries, and then the next fetch goes out.
    pub(super) fn copy(
        &mut self,
        now: Time,
        from: Connection,
        correlation: u32,
        message: Arc<k::FetchResponse>,
        batches: FetchBatches,
        out: &mut Outputs,
    ) {
        let partitions = message
            .responses
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|data| PartitionKey { topic: topic.topic_id, index: data.partition_index }));
        let append = |(key, batches): (PartitionKey, &Vec<crate::protocol::Batch>)| {
            let bytes = batches.iter().map(crate::protocol::Batch::size).sum();
            let records = batches.iter().map(|batch| batch.record_count).sum();
            if batches.is_empty() { 0 } else { self.append_time(key, bytes, records) }
        };
        let disk: Time = partitions.zip(batches.iter()).map(append).sum();
        if disk == 0 {
            self.fetched(now, from, correlation, &message, &batches, out);
        } else {
            let until = self.work.use_disk(now, disk);
            self.work.start(until, Job::Copy { from, correlation, message, batches }, out);
        }
    }

    pub(super) fn job_done(&mut self, now: Time, number: u64, out: &mut Outputs) {
        match self.work.jobs.remove(&number) {
            Some(Job::Read(arrived)) => self.read(now, arrived, out),
            Some(Job::Handle(arrived)) => {
                self.work.io_busy -= 1;
                self.dispatch(now, arrived, out);
                self.feed_threads(now, out);
            }
            Some(Job::Copy { from, correlation, message, batches }) => self.fetched(now, from, correlation, &message, &batches, out),
            Some(Job::Listen { to, correlation }) => self.connections.answered(to, correlation),
            Some(Job::Remote(job)) => self.remote_done(now, job, out),
            Some(Job::RemoteFetch(fetch)) => self.remote_fetched(now, *fetch, out),
            Some(Job::RemoteOffsets { from, correlation, message }) => {
                let response = self.list_offsets(&message).0;
                self.respond(from, correlation, Response::ListOffsets(Arc::new(response)), out);
            }
            None => {}
        }
    }

    /// Gives waiting requests to the io threads that are free, and lets stopped network threads go on where the queue has room.
    pub(super) fn feed_threads(&mut self, now: Time, out: &mut Outputs) {
        loop {
            if self.work.io_busy < self.config.costs.io_threads
                && let Some(next) = self.work.waiting.pop_front()
            {
                self.begin(now, next, out);
            } else if self.work.waiting.len() < self.config.costs.queued_max
                && let Some((_, first)) = self.work.blocked.pop_front()
            {
                match first {
                    Blocked::Queued(arrived) => self.enqueue(now, arrived, out),
                    Blocked::Unread(arrived) => self.read_on(now, arrived, out),
                }
            } else {
                break;
            }
        }
        let stopped: OrderedSet<u32> = self.work.blocked.iter().map(|(thread, _)| *thread).collect();
        for (thread, answer) in std::mem::take(&mut self.work.held_back) {
            if stopped.contains(&thread) {
                self.work.held_back.push((thread, answer));
            } else {
                out.sends.push(answer);
            }
        }
    }

    /// A network thread that goes on reads what came behind: nothing of its own is before that any more.
    fn read_on(&mut self, now: Time, arrived: Arrived, out: &mut Outputs) {
        if let Some(ready) = self.connections.arrive(arrived) {
            self.enqueue(now, ready, out);
        }
    }

    /// The disk is busy with something that no request waits for.
    pub(super) fn write_beside_requests(&mut self, now: Time, bytes: u64) {
        let lasts = self.config.costs.append(bytes, self.machine.disk_factor);
        self.work.use_disk(now, lasts);
    }

    /// Forces the logs to disk whose `flush.ms` is over.
    pub(super) fn flush_due(&mut self, now: Time, out: &mut Outputs) {
        let lasts = self.config.costs.flush(self.machine.disk_factor);
        let mut next = None;
        for replica in self.replicas.values_mut() {
            if replica.next_flush().is_some_and(|at| at <= now) {
                if replica.log.flushed_offset() < replica.log.end_offset() {
                    self.work.use_disk(now, lasts);
                }
                replica.flush(now);
            }
            next = [next, replica.next_flush()].into_iter().flatten().min();
        }
        if let Some(at) = next {
            out.timer(at.max(now + 1), Timer::Flush);
        }
    }
}
