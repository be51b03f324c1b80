//! What a member does with answers that come when it does not know who coordinates its group.

use super::super::{ConsumerConfig, OffsetReset, Reads};
use super::*;
use crate::client::links::LinkConfig;
use crate::client::network::NetworkConfig;
use crate::node::Chance;
use crate::protocol::consumer_protocol::Subscription;

fn consumer() -> Consumer {
    let links = LinkConfig { backoff: 50 * MS, backoff_max: 1_000 * MS, setup_timeout: 10_000 * MS, setup_timeout_max: 30_000 * MS };
    let network = NetworkConfig {
        request_timeout: 30_000 * MS,
        metadata_max_age: 300_000 * MS,
        rebootstrap_trigger: Some(300_000 * MS),
        retry_backoff: 100 * MS,
        retry_backoff_max: 1_000 * MS,
        links,
        allow_auto_create: true,
    };
    let config = ConsumerConfig {
        network,
        group: Some(Arc::from("group")),
        instance: None,
        session_timeout: 45_000 * MS,
        heartbeat_interval: 3_000 * MS,
        max_poll_interval: 300_000 * MS,
        max_poll_records: 500,
        auto_commit: true,
        auto_commit_interval: 5_000 * MS,
        offset_reset: OffsetReset::Earliest,
        rack: None,
        fetch_min_bytes: 1,
        fetch_max_wait_ms: 500,
        fetch_max_bytes: 52_428_800,
        max_partition_fetch_bytes: 1_048_576,
        assignors: vec![Assignor::Range],
        read_committed: false,
        reports: false,
        exclude_internal: true,
        shares: false,
        acknowledges_each: false,
        acknowledges_with: 1,
        remote_assignor: None,
        processing: 0,
        start_timestamp: 0,
        api_timeout: 60_000 * MS,
    };
    Consumer::new(Arc::from("member"), vec![1], config, Reads::Subscribed(vec![Arc::from("orders")]), Chance::new(1))
}

/// As a follower of its generation.
fn join_response() -> k::JoinGroupResponse {
    let mut response = k::JoinGroupResponse::default();
    (response.generation_id, response.member_id, response.leader) = (4, wire::text("member-1"), wire::text("member-2"));
    response.protocol_name = Some(wire::text("range"));
    response
}

#[test]
fn who_has_joined_and_cannot_ask_for_the_assignment_joins_again() {
    // `AbstractCoordinator.sendSyncGroupRequest` fails when the coordinator is unknown, and with it the whole rebalance.
    let (mut member, mut out) = (consumer(), Outputs::default());
    member.joined(7, &join_response(), &mut out);
    assert_eq!((member.member_state(), member.next_join()), (MemberState::Unjoined, Some(7)));
    assert_eq!(member.member_id(), "member-1", "as the member that it is");

    member.membership.coordinator = Some(1);
    member.joined(8, &join_response(), &mut out);
    assert_eq!((member.member_state(), member.next_join()), (MemberState::CompletingRebalance, None));
}

#[test]
fn a_leader_waits_for_one_answer_about_the_topics_and_not_for_the_next_question() {
    // `ConsumerNetworkClient.ensureFreshMetadata`: one update is enough.
    let (mut leader, mut out) = (consumer(), Outputs::default());
    leader.membership.coordinator = Some(1);
    let mut response = join_response();
    response.leader = response.member_id.clone();
    let subscription = Subscription { topics: vec!["orders".to_owned()], ..Subscription::default() }.to_bytes(3);
    response.members = vec![k::join_group_response::JoinGroupResponseMember::default().with_metadata(subscription)];
    leader.joined(7, &response, &mut out);
    assert!(leader.membership.awaits_metadata, "it does not know the topic");
    leader.share_out(8, 1, &mut out);
    assert!(leader.membership.to_share.is_some());

    leader.metadata_learned(9, &k::MetadataResponse::default());
    assert!(leader.membership.awaits_metadata, "an older question's answer says nothing of the topic");
    let topic = k::metadata_response::MetadataResponseTopic::default().with_name(Some(wire::topic("orders"))).with_error_code(5);
    leader.metadata_learned(10, &k::MetadataResponse::default().with_topics(vec![topic]));
    assert!(leader.network.is_learning(10), "it has more to ask");
    leader.share_out(10, 1, &mut out);
    assert!(leader.membership.to_share.is_none() && leader.membership.assigned_counts.is_some());
}
