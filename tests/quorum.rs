#![cfg(not(target_arch = "wasm32"))]
//! The metadata quorum by itself: voters, a network that loses, doubles and delays, processes that die, and what must hold all the while.

use brokerlab::controller::quorum::{Quorum, QuorumConfig};
use brokerlab::node::{Body, Chance, Channel, Connection, MS, NodeId, Outputs, Send, Time};
use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::metadata::{METADATA_TOPIC_ID, MetadataEntry, MetadataImage, MetadataRecord};
use brokerlab::protocol::wire::{Request, Response};
use kafka_protocol::messages as k;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: Time = 1_000 * MS;
const CLIENT: Connection = Connection { peer: NodeId::Broker(1), channel: Channel::Data };

enum Event {
    Deliver { from: i32, to: i32, send: Send },
    Gone { to: i32, peer: i32 },
    Alarm { voter: i32, process: u32 },
}

struct Voter {
    quorum: Quorum,
    process: u32,
    up: bool,
    /// How much of its committed log was compared.
    compared: i64,
    epoch: i32,
}

struct Cluster {
    voters: Vec<Voter>,
    queue: BTreeMap<(Time, u64), Event>,
    sequence: u64,
    now: Time,
    chance: Chance,
    /// Messages out of a hundred that are lost, doubled, or very late.
    faults: (u64, u64, u64),
    cut: Vec<(i32, i32)>,
    committed: Vec<MetadataEntry>,
    leaders: BTreeMap<i32, i32>,
    appended: i32,
    events: u64,
    answers: Vec<Response>,
}

impl Cluster {
    fn new(voters: i32, seed: u64) -> Cluster {
        Cluster::with_snapshots(voters, seed, 1_000)
    }

    fn with_snapshots(voters: i32, seed: u64, records: i64) -> Cluster {
        let chance = Chance::new(seed);
        let ids: Vec<i32> = (1..=voters).collect();
        let voter = |id: &i32| Voter {
            quorum: Quorum::new(
                *id,
                QuorumConfig { records_between_snapshots: records, ..QuorumConfig::new(ids.clone()) },
                chance.fork(*id as u64),
            ),
            process: 0,
            up: true,
            compared: 0,
            epoch: 0,
        };
        let mut cluster = Cluster {
            voters: ids.iter().map(voter).collect(),
            queue: BTreeMap::new(),
            sequence: 0,
            now: 0,
            chance: chance.fork(99),
            faults: (0, 0, 0),
            cut: Vec::new(),
            committed: Vec::new(),
            leaders: BTreeMap::new(),
            appended: 0,
            events: 0,
            answers: Vec::new(),
        };
        ids.iter().for_each(|id| cluster.with(*id, |quorum, now, out| quorum.start(now, out)));
        cluster
    }

    fn voter(&self, id: i32) -> &Quorum {
        &self.voters[id as usize - 1].quorum
    }

    fn push(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    /// Lets a voter act, carries its outputs out, and looks at what must hold.
    fn with(&mut self, id: i32, act: impl FnOnce(&mut Quorum, Time, &mut Outputs)) {
        let mut out = Outputs::default();
        let voter = &mut self.voters[id as usize - 1];
        voter.quorum.maybe_snapshot();
        act(&mut voter.quorum, self.now, &mut out);
        let process = voter.process;
        for (at, _) in out.timers {
            self.push(at, Event::Alarm { voter: id, process });
        }
        for send in out.sends {
            self.send(id, send);
        }
        self.check(id);
    }

    fn send(&mut self, from: i32, send: Send) {
        let NodeId::Controller(to) = send.to.peer else {
            if let Body::Response(response) = send.body {
                self.answers.push(response);
            }
            return;
        };
        let (lost, doubled, late) = self.faults;
        if self.cut.contains(&(from, to)) || self.chance.below(100) < lost {
            return;
        }
        let copies = if self.chance.below(100) < doubled { 2 } else { 1 };
        for _ in 0..copies {
            let slow = if self.chance.below(100) < late { self.chance.below(4 * SECOND) } else { 0 };
            let at = self.now + 800 + self.chance.below(400) + slow;
            self.push(at, Event::Deliver { from, to, send: send.clone() });
        }
    }

    fn step(&mut self) {
        let Some(((at, _), event)) = self.queue.pop_first() else { panic!("nothing will ever happen again") };
        self.now = at;
        self.events += 1;
        match event {
            Event::Alarm { voter, process } => {
                if self.voters[voter as usize - 1].process == process {
                    self.with(voter, |quorum, now, out| quorum.wake(now, out));
                }
            }
            Event::Gone { to, peer } => {
                if self.voters[to as usize - 1].up {
                    self.with(to, |quorum, now, out| quorum.disconnected(now, NodeId::Controller(peer), None, out));
                }
            }
            Event::Deliver { from, to, send } => {
                if !self.voters[to as usize - 1].up {
                    self.push(self.now + 1_000, Event::Gone { to: from, peer: to });
                    return;
                }
                let connection = Connection { peer: NodeId::Controller(from), channel: send.to.channel };
                self.with(to, |quorum, now, out| match &send.body {
                    Body::Request(request) => _ = quorum.request(now, connection, send.correlation, request, out),
                    Body::Response(response) => quorum.response(now, connection, send.correlation, response, out),
                });
            }
        }
    }

    fn run_to(&mut self, time: Time) {
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= time) {
            self.step();
        }
        self.now = time;
    }

    fn crash(&mut self, id: i32) {
        let voter = &mut self.voters[id as usize - 1];
        voter.quorum.crash();
        (voter.up, voter.process, voter.compared) = (false, voter.process + 1, 0);
        for other in (1..=self.voters.len() as i32).filter(|other| *other != id) {
            self.push(self.now + 1_000, Event::Gone { to: other, peer: id });
        }
    }

    fn restart(&mut self, id: i32) {
        self.voters[id as usize - 1].up = true;
        self.with(id, |quorum, now, out| quorum.start(now, out));
    }

    /// The leader of the newest epoch among those that run.
    fn leader(&self) -> Option<i32> {
        let up = self.voters.iter().filter(|voter| voter.up && voter.quorum.is_leader());
        up.max_by_key(|voter| voter.quorum.election().epoch).and_then(|voter| voter.quorum.election().leader)
    }

    /// A leader, whether it still is one for the others or not, appends a record like no other.
    fn append(&mut self, id: i32) {
        self.appended += 1;
        let record = MetadataRecord::LeaderChange { leader: 1_000 + self.appended };
        self.with(id, |quorum, now, out| {
            quorum.append(record);
            quorum.go_on(now, out);
        });
    }

    fn check(&mut self, id: i32) {
        let voter = &mut self.voters[id as usize - 1];
        let (quorum, election) = (&voter.quorum, voter.quorum.election());
        assert!(voter.epoch <= election.epoch, "voter {id} went back from epoch {}", voter.epoch);
        voter.epoch = election.epoch;
        if quorum.is_leader() {
            let newly = !self.leaders.contains_key(&election.epoch);
            let leader = *self.leaders.entry(election.epoch).or_insert(id);
            assert_eq!(leader, id, "election safety: epoch {} has two leaders", election.epoch);
            if newly {
                let start = quorum.log().start_offset();
                let (log, committed) = (quorum.log().from(start), &self.committed[start as usize..]);
                assert!(committed.len() <= log.len() && log[..committed.len()] == *committed, "leader completeness: {id}");
            }
        }
        let end = quorum.high_watermark();
        assert!(end <= quorum.log().end_offset());
        let start = quorum.log().start_offset() as usize;
        let log = &quorum.log().from(start as i64)[..end as usize - start];
        let both = self.committed.len().min(end as usize);
        assert!(start <= both, "a snapshot stands for what is committed");
        let from = (voter.compared as usize).clamp(start, both);
        assert!(log[from - start..both - start] == self.committed[from..both], "what is committed changed at voter {id}");
        self.committed.extend_from_slice(&log[both - start..]);
        voter.compared = end;
    }

    /// Log matching: two logs with the same epoch at an offset are the same up to there.
    fn logs_match(&self) {
        for one in &self.voters {
            for other in &self.voters {
                let start = one.quorum.log().start_offset().max(other.quorum.log().start_offset());
                let (one, other) = (one.quorum.log().from(start), other.quorum.log().from(start));
                let same = one.iter().zip(other).rposition(|(one, other)| one.epoch == other.epoch);
                if let Some(last) = same {
                    assert!(one[..=last] == other[..=last], "log matching");
                }
            }
        }
    }

    /// Everybody is well again: a leader is there in time, and what it appends is committed everywhere.
    fn come_to_rest(&mut self) {
        self.faults = (0, 0, 0);
        self.cut.clear();
        let down: Vec<i32> = (1..=self.voters.len() as i32).filter(|id| !self.voters[*id as usize - 1].up).collect();
        down.into_iter().for_each(|id| self.restart(id));
        self.run_to(self.now + 20 * SECOND);
        let leader = self.leader().expect("a leader after 20 s");
        self.append(leader);
        self.run_to(self.now + SECOND);
        let end = self.voter(leader).log().end_offset();
        for voter in &self.voters {
            let one = &voter.quorum;
            assert_eq!((one.high_watermark(), one.log().end_offset()), (end, end), "everybody has everything committed");
            assert_eq!(one.election().leader, Some(leader));
            let mut image = MetadataImage::default();
            self.committed.iter().for_each(|entry| image.apply(&entry.record));
            assert_eq!(one.log().image(), image, "a snapshot is what the records before it come to");
        }
    }
}

/// A safety phase of faults, then healing: the shape of Kafka's RaftEventSimulationTest.
fn simulate(voters: i32, seed: u64) -> (usize, usize, usize) {
    let mut chance = Chance::new(seed).fork(7);
    let mut cluster = Cluster::with_snapshots(voters, seed, [5, 20, 1_000][chance.below(3) as usize]);
    cluster.faults = [(0, 0, 0), (2, 2, 2), (10, 5, 5), (0, 10, 20)][chance.below(4) as usize];
    while cluster.now < 60 * SECOND {
        cluster.run_to(cluster.now + chance.below(400 * MS) + 1);
        let id = 1 + chance.below(voters as u64) as i32;
        let other = 1 + chance.below(voters as u64) as i32;
        match chance.below(12) {
            0 if cluster.voters[id as usize - 1].up => cluster.crash(id),
            0..=2 if !cluster.voters[id as usize - 1].up => cluster.restart(id),
            3 if id != other => cluster.cut.extend([(id, other), (other, id)]),
            4 if id != other => cluster.cut.push((id, other)),
            5 | 6 => cluster.cut.clear(),
            _ => {
                let leads = |voter: &&Voter| voter.up && voter.quorum.is_leader();
                let leaders: Vec<i32> = cluster.voters.iter().filter(leads).filter_map(|voter| voter.quorum.election().leader).collect();
                leaders.into_iter().for_each(|leader| cluster.append(leader));
            }
        }
        cluster.logs_match();
    }
    cluster.come_to_rest();
    cluster.logs_match();
    assert!(cluster.events < 200_000, "{} events in 81 s: something goes round without end", cluster.events);
    let snapshots = cluster.voters.iter().filter(|voter| 0 < voter.quorum.log().start_offset()).count();
    (cluster.leaders.len(), cluster.committed.len(), snapshots)
}

#[test]
fn a_quorum_is_safe_in_all_that_goes_wrong_and_lives_when_it_ends() {
    for voters in [1, 3, 5] {
        let (mut leaders, mut committed, mut snapshots) = (0, 0, 0);
        for seed in 1..=120 {
            let (elected, records, written) = simulate(voters, seed);
            snapshots += written;
            leaders += elected;
            committed += records;
        }
        assert!(
            120 * 2 < leaders && 120 * 20 < committed && 60 < snapshots,
            "{voters} voters: {leaders} leaders, {committed} records, {snapshots} snapshots"
        );
    }
}

#[test]
fn one_voter_leads_at_once_and_commits_alone() {
    let mut cluster = Cluster::new(1, 1);
    assert_eq!((cluster.leader(), cluster.voter(1).election().epoch, cluster.voter(1).high_watermark()), (Some(1), 1, 1));
    cluster.append(1);
    assert_eq!(cluster.voter(1).high_watermark(), 2);
    assert!(cluster.queue.is_empty(), "nobody need be asked, and nothing is waited for");
    cluster.crash(1);
    cluster.restart(1);
    assert_eq!((cluster.leader(), cluster.voter(1).election().epoch), (Some(1), 2), "what it had is there, and the epoch is a new one");
    assert_eq!(cluster.voter(1).high_watermark(), 3);
}

/// Three voters with a leader.
fn settled(seed: u64) -> (Cluster, i32) {
    let mut cluster = Cluster::new(3, seed);
    cluster.run_to(5 * SECOND);
    let leader = cluster.leader().expect("a leader after 5 s");
    (cluster, leader)
}

/// A fetch of one voter, made up: it says that it has everything below `offset`, the last of it of `last_epoch`.
fn fetch(cluster: &mut Cluster, from: i32, leader: i32, offset: i64, last_epoch: i32) {
    let mut partition = k::fetch_request::FetchPartition::default();
    partition.current_leader_epoch = cluster.voter(leader).election().epoch;
    (partition.fetch_offset, partition.last_fetched_epoch) = (offset, last_epoch);
    let mut topic = k::fetch_request::FetchTopic::default();
    topic.topic_id = METADATA_TOPIC_ID;
    topic.partitions.push(partition);
    let mut message = k::FetchRequest::default();
    message.replica_state.replica_id = k::BrokerId(from);
    message.topics.push(topic);
    let connection = Connection { peer: NodeId::Controller(from), channel: Channel::Data };
    let request = Request::Fetch(Arc::new(message));
    cluster.with(leader, |quorum, now, out| assert!(quorum.request(now, connection, 1_000_000, &request, out)));
}

#[test]
fn a_majority_commits_records_of_earlier_epochs_only_with_one_of_the_leaders_own() {
    // Figure 8 of the Raft paper: a record of an earlier epoch that a majority has may still be replaced by a leader that has it not.
    let (mut cluster, first) = settled(3);
    let others: Vec<i32> = (1..=3).filter(|id| *id != first).collect();
    cluster.cut = others.iter().flat_map(|other| [(first, *other), (*other, first)]).collect();
    cluster.append(first);
    let (offset, epoch) = (cluster.voter(first).log().end_offset() - 1, cluster.voter(first).election().epoch);
    // Another leads, and is gone before anybody has a record of its epoch.
    while !others.iter().any(|id| cluster.voter(*id).is_leader()) {
        cluster.step();
    }
    let (second, third) = if cluster.voter(others[0]).is_leader() { (others[0], others[1]) } else { (others[1], others[0]) };
    cluster.crash(second);
    cluster.cut.clear();
    while !cluster.voter(first).is_leader() || cluster.voter(first).election().epoch <= epoch {
        cluster.step();
    }
    assert_eq!((cluster.voter(third).log().end_offset(), cluster.voter(first).high_watermark()), (offset, offset));
    fetch(&mut cluster, third, first, offset + 1, epoch);
    assert_eq!(cluster.voter(first).high_watermark(), offset, "two of three have the record, and it may still be lost");
    let now = cluster.voter(first).election().epoch;
    fetch(&mut cluster, third, first, offset + 2, now);
    assert_eq!(cluster.voter(first).high_watermark(), offset + 2, "with the record that begins the epoch it is safe");
}

#[test]
fn a_voter_that_lost_its_connections_deposes_nobody_when_it_is_back() {
    let (mut cluster, leader) = settled(3);
    let epoch = cluster.voter(leader).election().epoch;
    let lost = (1..=3).find(|id| *id != leader).expect("another");
    cluster.cut = (1..=3).flat_map(|other| [(lost, other), (other, lost)]).collect();
    cluster.run_to(30 * SECOND);
    assert_eq!(cluster.voter(lost).election().epoch, epoch, "a pre-vote costs no epoch (KIP-996)");
    cluster.cut.clear();
    cluster.run_to(40 * SECOND);
    assert_eq!((cluster.leader(), cluster.voter(leader).election().epoch), (Some(leader), epoch));
    assert_eq!(cluster.voter(lost).election().leader, Some(leader));
}

#[test]
fn a_leader_that_no_majority_hears_steps_down_after_one_and_a_half_fetch_timeouts() {
    let (mut cluster, leader) = settled(4);
    let (epoch, cut_at) = (cluster.voter(leader).election().epoch, cluster.now);
    cluster.cut = (1..=3).flat_map(|other| [(leader, other), (other, leader)]).collect();
    cluster.append(leader);
    let appended = cluster.voter(leader).log().end_offset();
    cluster.run_to(cut_at + 2_400 * MS);
    assert!(cluster.voter(leader).is_leader(), "a fetch of 0.5 s ago may have been the last one");
    cluster.run_to(cut_at + 3_010 * MS);
    assert!(!cluster.voter(leader).is_leader(), "3 s without a majority");
    assert!(cluster.voter(leader).high_watermark() < appended, "what nobody else has is not committed");
    cluster.run_to(cut_at + 10 * SECOND);
    let next = cluster.leader().expect("the two others are a majority");
    assert!(epoch < cluster.voter(next).election().epoch && next != leader);
    cluster.append(next);
    cluster.come_to_rest();
    let log = cluster.voter(leader).log();
    assert!(log.from(0).iter().all(|entry| entry.record != Arc::new(MetadataRecord::LeaderChange { leader: 1_001 })), "it was cut off");
}

fn vote(epoch: i32, candidate: i32, last: (i32, i64), pre_vote: bool) -> Request {
    let partition = k::vote_request::PartitionData::default()
        .with_replica_epoch(epoch)
        .with_replica_id(k::BrokerId(candidate))
        .with_last_offset_epoch(last.0)
        .with_last_offset(last.1)
        .with_pre_vote(pre_vote);
    let topic = k::vote_request::TopicData::default().with_partitions(vec![partition]);
    Request::Vote(Arc::new(k::VoteRequest::default().with_topics(vec![topic])))
}

#[test]
fn a_vote_is_given_once_in_an_epoch_and_to_no_log_that_is_behind() {
    let (mut cluster, leader) = settled(5);
    let follower = (1..=3).find(|id| *id != leader).expect("another");
    let epoch = cluster.voter(leader).election().epoch;
    let end = cluster.voter(follower).log().end();
    let asked = |cluster: &mut Cluster, request: Request| {
        cluster.answers.clear();
        cluster.with(follower, |quorum, now, out| _ = quorum.request(now, CLIENT, 1, &request, out));
        let Some(Response::Vote(answer)) = cluster.answers.pop() else { panic!("an answer") };
        let answer = &answer.topics[0].partitions[0];
        (ErrorCode::of(answer.error_code), answer.vote_granted, answer.leader_epoch)
    };
    let up_to_date = (end.epoch, end.offset);
    // It hears from its leader: a pre-vote is refused.
    assert_eq!(asked(&mut cluster, vote(epoch, 9, up_to_date, true)), (ErrorCode::None, false, epoch));
    // What makes no sense changes nothing.
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 9, (epoch + 1, 5), false)), (ErrorCode::InvalidRequest, false, epoch));
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 9, (-1, 5), false)), (ErrorCode::InvalidRequest, false, epoch));
    assert_eq!(asked(&mut cluster, vote(epoch - 1, 9, (0, 0), true)), (ErrorCode::FencedLeaderEpoch, false, epoch));
    assert_eq!(cluster.voter(follower).election().leader, Some(leader));
    // A later epoch is joined, but a log that is behind gets no vote: neither a shorter one nor one of an earlier epoch.
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 9, (end.epoch, end.offset - 1), false)), (ErrorCode::None, false, epoch + 1));
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 9, (end.epoch - 1, end.offset + 9), false)), (ErrorCode::None, false, epoch + 1));
    // One vote in an epoch, as often as the same candidate asks; a pre-vote binds nobody.
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 8, up_to_date, true)), (ErrorCode::None, true, epoch + 1));
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 9, up_to_date, false)), (ErrorCode::None, true, epoch + 1));
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 8, up_to_date, false)), (ErrorCode::None, false, epoch + 1));
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 9, up_to_date, false)), (ErrorCode::None, true, epoch + 1));
    // A crash does not make it forget.
    cluster.crash(follower);
    cluster.restart(follower);
    assert_eq!(asked(&mut cluster, vote(epoch + 1, 8, up_to_date, false)), (ErrorCode::None, false, epoch + 1));
}

#[test]
fn a_voter_that_was_away_for_too_long_takes_the_snapshot_and_goes_on_from_there() {
    let mut cluster = Cluster::with_snapshots(3, 6, 10);
    cluster.run_to(5 * SECOND);
    let leader = cluster.leader().expect("a leader after 5 s");
    let away = (1..=3).find(|id| *id != leader).expect("another");
    cluster.crash(away);
    let had = cluster.voter(away).log().end_offset();
    for _ in 0..35 {
        cluster.append(leader);
        cluster.run_to(cluster.now + 10 * MS);
    }
    let start = cluster.voter(leader).log().start_offset();
    assert!(had < start && 36 - 10 <= start, "what it lacks is gone from the log, which starts at {start}");
    assert!(cluster.voter(leader).log().end_offset() - start <= 11, "and what is left is short");
    cluster.restart(away);
    cluster.run_to(cluster.now + SECOND);
    let (own, theirs) = (cluster.voter(away), cluster.voter(leader));
    assert!(had < own.log().start_offset(), "the snapshot stands for what it never had");
    assert_eq!((own.log().end_offset(), own.high_watermark()), (theirs.log().end_offset(), theirs.high_watermark()));
    assert_eq!(own.log().image(), theirs.log().image());
    // What is committed by its snapshot is still so after a crash.
    cluster.crash(away);
    assert_eq!(cluster.voter(away).high_watermark(), cluster.voter(away).log().start_offset());
    cluster.restart(away);
    cluster.come_to_rest();
}

#[test]
fn a_snapshot_that_is_not_there_is_not_found() {
    let mut cluster = Cluster::with_snapshots(1, 1, 3);
    (0..5).for_each(|_| cluster.append(1));
    cluster.with(1, |_, _, _| {});
    let (end, epoch) = (cluster.voter(1).log().snapshot().end, cluster.voter(1).election().epoch);
    let mut asked = |epoch: i32, offset: i64, position: i64| {
        let mut message = brokerlab::protocol::wire::snapshot_request(9, epoch, end.epoch, offset);
        message.topics[0].partitions[0].position = position;
        cluster.with(1, |quorum, now, out| _ = quorum.request(now, CLIENT, 1, &Request::FetchSnapshot(Arc::new(message)), out));
        let Some(Response::FetchSnapshot(answer, image)) = cluster.answers.pop() else { panic!("an answer") };
        let answer = &answer.topics[0].partitions[0];
        (ErrorCode::of(answer.error_code), image.map(|image| image.next_offset))
    };
    assert_eq!(asked(epoch, end.offset - 1, 0), (ErrorCode::SnapshotNotFound, None));
    assert_eq!(asked(epoch, end.offset, 1), (ErrorCode::PositionOutOfRange, None));
    assert_eq!(asked(epoch - 1, end.offset, 0), (ErrorCode::FencedLeaderEpoch, None));
    assert_eq!(asked(epoch + 1, end.offset, 0), (ErrorCode::UnknownLeaderEpoch, None));
    assert_eq!(asked(epoch, end.offset, 0), (ErrorCode::None, Some(end.offset)));
}
