#![cfg(not(target_arch = "wasm32"))]
//! A member that has joined and never asks for its assignment: the group waits for it as long as for one that has to join again.

mod cluster;

use brokerlab::coordinator::GroupState;
use brokerlab::node::{Input, LeaveReason, MS, NodeId, NoteKind, Outputs, RebalanceReason, Timer};
use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::wire::{self, Request, Response};
use bytes::Bytes;
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages as k;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const REBALANCE_TIMEOUT_MS: i32 = 10_000;

/// A broker that coordinates a group, which nobody is in yet.
fn coordinator() -> Direct {
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.consumer("reader", "readers");
    cluster.advance(2_000.0);
    Direct::of(&cluster, 1)
}

/// Each on a connection of its own: one that waits for an answer keeps others behind it waiting.
fn ask(direct: &mut Direct, request: Request) -> Option<Response> {
    static PEERS: AtomicU32 = AtomicU32::new(100);
    direct.ask_from(NodeId::Client(PEERS.fetch_add(1, Ordering::Relaxed)), request)
}

fn group() -> k::GroupId {
    k::GroupId(wire::text("ghosts"))
}

/// What JoinGroup says, if it says something at once.
fn join(direct: &mut Direct, member: &str) -> Option<k::JoinGroupResponse> {
    let protocol =
        k::join_group_request::JoinGroupRequestProtocol::default().with_name(wire::text("range")).with_metadata(Bytes::from_static(b"s"));
    let message = k::JoinGroupRequest::default().with_group_id(group()).with_member_id(wire::text(member)).with_session_timeout_ms(45_000);
    let message =
        message.with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS).with_protocol_type(wire::text("consumer")).with_protocols(vec![protocol]);
    match ask(direct, Request::JoinGroup(Arc::new(message)))? {
        Response::JoinGroup(answer) => Some((*answer).clone()),
        answer => panic!("{answer:?}"),
    }
}

/// The first member of the group: its id and its generation.
fn first(direct: &mut Direct) -> (String, i32) {
    let told = join(direct, "").expect("an id");
    assert_eq!(ErrorCode::of(told.error_code), ErrorCode::MemberIdRequired);
    let joined = join(direct, &told.member_id).expect("it is alone");
    assert_eq!(joined.error_code, 0);
    (told.member_id.to_string(), joined.generation_id)
}

fn heartbeat(direct: &mut Direct, member: &str, generation: i32) -> ErrorCode {
    let message = k::HeartbeatRequest::default().with_group_id(group()).with_member_id(wire::text(member)).with_generation_id(generation);
    ask(direct, Request::Heartbeat(Arc::new(message))).expect("an answer").error()
}

fn sync(direct: &mut Direct, member: &str, generation: i32) -> Option<ErrorCode> {
    let message = k::SyncGroupRequest::default().with_group_id(group()).with_member_id(wire::text(member)).with_generation_id(generation);
    ask(direct, Request::SyncGroup(Arc::new(message))).map(|answer| answer.error())
}

/// Lets the broker look at its groups so many milliseconds later.
fn later(direct: &mut Direct, ms: u64) -> Vec<NoteKind> {
    direct.now += ms * MS;
    let mut out = Outputs::default();
    direct.broker.handle(direct.now, Input::Timer(Timer::Groups), &mut out);
    out.notes
}

fn state(direct: &Direct) -> GroupState {
    direct.broker.coordinator().groups().find(|known| &*known.id == "ghosts").expect("the group").state
}

#[test]
fn a_leader_that_never_assigns_is_removed_although_its_heart_beats() {
    let mut direct = coordinator();
    let (member, generation) = first(&mut direct);
    assert_eq!(state(&direct), GroupState::CompletingRebalance);
    later(&mut direct, 5_000);
    assert_eq!(heartbeat(&mut direct, &member, generation), ErrorCode::None);
    later(&mut direct, 4_999);
    assert_eq!(heartbeat(&mut direct, &member, generation), ErrorCode::None, "not before the rebalance timeout");
    let notes = later(&mut direct, 1);
    let left = |note: &&NoteKind| matches!(note, NoteKind::MemberLeft { reason: LeaveReason::SyncTimeout, .. });
    assert_eq!(notes.iter().filter(left).count(), 1, "{notes:?}");
    assert!(notes.iter().any(|note| matches!(note, NoteKind::RebalanceStarted { reason: RebalanceReason::SyncTimeout, .. })));
    assert_eq!(heartbeat(&mut direct, &member, generation), ErrorCode::UnknownMemberId);
    assert_eq!(state(&direct), GroupState::Empty);
}

#[test]
fn members_that_have_asked_stay() {
    let mut direct = coordinator();
    let (member, generation) = first(&mut direct);
    assert_eq!(sync(&mut direct, &member, generation), Some(ErrorCode::None));
    for _ in 0..4 {
        assert!(later(&mut direct, 5_000).is_empty());
        assert_eq!(heartbeat(&mut direct, &member, generation), ErrorCode::None);
    }
    assert_eq!(state(&direct), GroupState::Stable);
}

#[test]
fn a_follower_that_does_not_come_for_its_assignment_is_left_behind_and_the_others_join_again() {
    let mut direct = coordinator();
    let (leader, generation) = first(&mut direct);
    assert_eq!(sync(&mut direct, &leader, generation), Some(ErrorCode::None));
    let follower = join(&mut direct, "").expect("an id").member_id.to_string();
    assert_eq!(join(&mut direct, &follower), None, "it waits for the leader");
    assert_eq!(heartbeat(&mut direct, &leader, generation), ErrorCode::RebalanceInProgress);
    let generation = join(&mut direct, &leader).map_or(generation + 1, |joined| joined.generation_id);
    assert_eq!(sync(&mut direct, &leader, generation), Some(ErrorCode::None), "the group is stable");
    later(&mut direct, 9_999);
    assert_eq!([&leader, &follower].map(|member| heartbeat(&mut direct, member, generation)), [ErrorCode::None; 2]);
    let notes = later(&mut direct, 1);
    let left: Vec<&str> = notes
        .iter()
        .filter_map(|note| match note {
            NoteKind::MemberLeft { member, reason: LeaveReason::SyncTimeout, .. } => Some(&**member),
            _ => None,
        })
        .collect();
    assert_eq!(left, [follower.as_str()]);
    assert_eq!(heartbeat(&mut direct, &leader, generation), ErrorCode::RebalanceInProgress);
    assert_eq!(heartbeat(&mut direct, &follower, generation), ErrorCode::UnknownMemberId);
    let joined = join(&mut direct, &leader).expect("nobody else is waited for");
    assert_eq!((joined.generation_id, joined.members.len()), (generation + 1, 1));
}
