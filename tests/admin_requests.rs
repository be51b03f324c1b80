#![cfg(not(target_arch = "wasm32"))]
//! What admin tools ask beside topics and groups: the quorum, log directories, access control, resources with settings.

mod cluster;

use brokerlab::node::NodeId;
use brokerlab::protocol::ErrorCode;
use brokerlab::protocol::wire::{self, Request, Response};
use cluster::Cluster;
use cluster::direct::{Direct, DirectController};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

fn describe_quorum(cluster: &Cluster, topic: &str, partition: i32) -> k::DescribeQuorumResponse {
    use k::describe_quorum_request::{PartitionData, TopicData};
    let partition = PartitionData::default().with_partition_index(partition);
    let topic = TopicData::default().with_topic_name(wire::topic(topic)).with_partitions(vec![partition]);
    let message = k::DescribeQuorumRequest::default().with_topics(vec![topic]);
    match DirectController::of(cluster).ask(NodeId::Admin, Request::DescribeQuorum(Arc::new(message))) {
        Some(Response::DescribeQuorum(answer)) => k::DescribeQuorumResponse::clone(&answer),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_quorums_leader_tells_how_far_voters_and_brokers_are() {
    let mut cluster = Cluster::of_three_controllers(2).topic("orders", 1, 1);
    let view = cluster.view();
    let leader = view.controller.leader.expect("a leader");
    let dead = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.apply(json!({ "type": "crashController", "controller": dead }));
    cluster.advance(5_000.0);
    cluster.apply(json!({ "type": "createTopic", "name": "more", "partitions": 3, "replicationFactor": 1 }));
    cluster.advance(3_000.0);
    let answer = describe_quorum(&cluster, "__cluster_metadata", 0);
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((answer.error_code, partition.error_code, partition.leader_id.0), (0, 0, leader));
    let view = cluster.view();
    let end = |id: i32| view.controllers.iter().find(|known| known.id == id).expect("the controller").log_end_offset;
    assert_eq!((partition.leader_epoch, partition.high_watermark), (view.controller.epoch, end(leader)));
    let now = 1_767_225_600_000 + cluster.session.time_ms() as i64;
    assert_eq!(partition.current_voters.iter().map(|voter| voter.replica_id.0).collect::<Vec<_>>(), [1, 2, 3]);
    for voter in &partition.current_voters {
        let id = voter.replica_id.0;
        if id == dead {
            assert!(voter.log_end_offset < end(leader));
            assert!((5_000..15_000).contains(&(now - voter.last_caught_up_timestamp)), "{voter:?}");
        } else {
            assert_eq!(voter.log_end_offset, end(leader));
            assert!((0..2_500).contains(&(now - voter.last_caught_up_timestamp)), "{voter:?}");
        }
        assert!(voter.last_caught_up_timestamp <= voter.last_fetch_timestamp);
    }
    assert_eq!(
        partition.observers.iter().map(|one| (one.replica_id.0, one.log_end_offset)).collect::<Vec<_>>(),
        [(1, end(leader)), (2, end(leader))]
    );

    for (topic, partition) in [("orders", 0), ("__cluster_metadata", 1)] {
        let refused = describe_quorum(&cluster, topic, partition);
        assert_eq!(ErrorCode::of(refused.topics[0].partitions[0].error_code), ErrorCode::UnknownTopicOrPartition);
    }
}

#[test]
fn replicas_lie_in_the_one_log_directory_that_there_is() {
    let cluster = Cluster::configured(2, json!({ "log.dirs": "/data" })).topic("orders", 1, 1);
    let leader = cluster.leader("orders", 0);
    let move_to = |broker: i32, path: &str, topic: &str, partition: i32| {
        use k::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
        let topic = AlterReplicaLogDirTopic::default().with_name(wire::topic(topic)).with_partitions(vec![partition]);
        let directory = AlterReplicaLogDir::default().with_path(wire::text(path)).with_topics(vec![topic]);
        let message = k::AlterReplicaLogDirsRequest::default().with_dirs(vec![directory]);
        match Direct::of(&cluster, broker).ask(Request::AlterReplicaLogDirs(Arc::new(message))) {
            Some(Response::AlterReplicaLogDirs(answer)) => ErrorCode::of(answer.results[0].partitions[0].error_code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(move_to(leader, "/data", "orders", 0), ErrorCode::None);
    assert_eq!(move_to(leader, "/elsewhere", "orders", 0), ErrorCode::LogDirNotFound);
    assert_eq!(move_to(3 - leader, "/data", "orders", 0), ErrorCode::NotLeaderOrFollower);
    assert_eq!(move_to(leader, "/data", "orders", 1), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(move_to(leader, "/data", "none", 0), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn without_an_authorizer_there_are_no_access_control_lists() {
    let cluster = Cluster::of_brokers(1);
    let mut direct = Direct::of(&cluster, 1);
    let create = k::CreateAclsRequest::default().with_creations(vec![k::create_acls_request::AclCreation::default(); 2]);
    let delete = k::DeleteAclsRequest::default().with_filters(vec![k::delete_acls_request::DeleteAclsFilter::default()]);
    for (request, parts) in
        [(Request::DescribeAcls(Arc::default()), 0), (Request::CreateAcls(Arc::new(create)), 2), (Request::DeleteAcls(Arc::new(delete)), 1)]
    {
        let answer = direct.ask(request).expect("an answer");
        assert_eq!(answer.error(), ErrorCode::SecurityDisabled);
        let told = match &answer {
            Response::CreateAcls(message) => message.results.len(),
            Response::DeleteAcls(message) => message.filter_results.len(),
            _ => 0,
        };
        assert_eq!(told, parts);
    }
}

#[test]
fn resources_with_settings_are_listed_by_kind() {
    let mut cluster = Cluster::of_brokers(2).topic("orders", 1, 1).topic("events", 1, 1);
    cluster.apply(json!({ "type": "alterConfigs", "resource": "group", "name": "sharers", "set": { "share.delivery.count.limit": "7" } }));
    cluster.advance(1_000.0);
    let list = |kinds: &[i8]| {
        let message = k::ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec());
        match Direct::of(&cluster, 1).ask(Request::ListConfigResources(Arc::new(message))) {
            Some(Response::ListConfigResources(answer)) => {
                let resource = |one: &k::list_config_resources_response::ConfigResource| (one.resource_type, one.resource_name.to_string());
                (ErrorCode::of(answer.error_code), answer.config_resources.iter().map(resource).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        }
    };
    let named = |all: &[(i8, &str)]| (ErrorCode::None, all.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect());
    assert_eq!(list(&[2]), named(&[(2, "events"), (2, "orders")]));
    assert_eq!(list(&[32, 16]), named(&[(32, "sharers")]));
    assert_eq!(list(&[]), named(&[(2, "events"), (2, "orders"), (4, "1"), (4, "2"), (8, "1"), (8, "2"), (32, "sharers")]));
    assert_eq!(list(&[2, 3]), (ErrorCode::UnsupportedVersion, Vec::new()));
}

#[test]
fn a_groups_settings_are_its_own_or_what_the_brokers_have() {
    let mut cluster = Cluster::configured(1, json!({ "group.share.record.lock.duration.ms": "20000" }));
    cluster.apply(json!({ "type": "alterConfigs", "resource": "group", "name": "sharers", "set": { "share.delivery.count.limit": "7" } }));
    cluster.advance(1_000.0);
    let describe = |group: &str| {
        let resource = k::describe_configs_request::DescribeConfigsResource::default().with_resource_type(32);
        let resource = resource.with_resource_name(wire::text(group)).with_configuration_keys(None);
        let message = k::DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
        match Direct::of(&cluster, 1).ask(Request::DescribeConfigs(Arc::new(message))) {
            Some(Response::DescribeConfigs(answer)) => answer.results[0].clone(),
            other => panic!("{other:?}"),
        }
    };
    let value = |group: &str, name: &str| {
        let found = describe(group).configs.into_iter().find(|config| config.name.as_str() == name).expect("the setting");
        (found.value.map(|value| value.to_string()), found.config_source, found.synonyms.len())
    };
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(value("sharers", "share.delivery.count.limit"), (said("7"), 8, 1));
    assert_eq!(value("others", "share.delivery.count.limit"), (said("5"), 5, 0));
    assert_eq!(value("sharers", "share.record.lock.duration.ms"), (said("20000"), 5, 0));
    assert_eq!(ErrorCode::of(describe("").error_code), ErrorCode::InvalidRequest);
}

#[test]
fn without_an_authorizer_everything_may_be_done_that_can_be() {
    // Bits by `AclOperation`: read 3, write 4, create 5, delete 6, alter 7, describe 8, cluster action 9, describe configs 10, alter configs 11,
    // idempotent write 12.
    let bits = |operations: &[i32]| operations.iter().fold(0, |bits, operation| bits | 1 << operation);
    let (on_topic, on_group, on_cluster) = (bits(&[3, 4, 5, 6, 7, 8, 10, 11]), bits(&[3, 6, 8, 10, 11]), bits(&[5, 7, 8, 9, 10, 11, 12]));
    let untold = i32::MIN;
    let mut cluster = Cluster::of_brokers(1).topic("orders", 1, 1);
    cluster.consumer("c", "readers");
    cluster.apply(
        json!({ "type": "addConsumer", "id": "d", "group": "new", "topics": ["orders"], "configs": { "group.protocol": "consumer" } }),
    );
    cluster.advance(5_000.0);
    let mut broker = Direct::of(&cluster, 1);
    let mut ask = |request| broker.ask(request).expect("an answer");
    for is_asked in [false, true] {
        let told = |operations| if is_asked { operations } else { untold };
        let named =
            ["orders", "nothing"].map(|name| k::metadata_request::MetadataRequestTopic::default().with_name(Some(wire::topic(name))));
        let message = k::MetadataRequest::default().with_topics(Some(named.to_vec())).with_include_topic_authorized_operations(is_asked);
        let Response::Metadata(answer) = ask(Request::Metadata(Arc::new(message.with_include_cluster_authorized_operations(is_asked))))
        else {
            panic!()
        };
        assert_eq!(answer.topics.iter().map(|topic| topic.topic_authorized_operations).collect::<Vec<_>>(), [told(on_topic); 2]);
        assert_eq!(answer.cluster_authorized_operations, told(on_cluster));

        let message = k::DescribeClusterRequest::default().with_endpoint_type(1).with_include_cluster_authorized_operations(is_asked);
        let Response::DescribeCluster(answer) = ask(Request::DescribeCluster(Arc::new(message))) else { panic!() };
        assert_eq!(answer.cluster_authorized_operations, told(on_cluster));

        let groups = ["readers", "nobody"].map(|id| k::GroupId(wire::text(id))).to_vec();
        let message = k::DescribeGroupsRequest::default().with_groups(groups).with_include_authorized_operations(is_asked);
        let Response::DescribeGroups(answer) = ask(Request::DescribeGroups(Arc::new(message))) else { panic!() };
        assert_eq!(answer.groups.iter().map(|group| group.authorized_operations).collect::<Vec<_>>(), [told(on_group), untold]);

        let groups = ["new", "nobody"].map(|id| k::GroupId(wire::text(id))).to_vec();
        let message = k::ConsumerGroupDescribeRequest::default().with_group_ids(groups).with_include_authorized_operations(is_asked);
        let Response::ConsumerGroupDescribe(answer) = ask(Request::ConsumerGroupDescribe(Arc::new(message))) else { panic!() };
        assert_eq!(answer.groups.iter().map(|group| group.authorized_operations).collect::<Vec<_>>(), [told(on_group), untold]);
    }
    // DescribeTopicPartitions has no such question and always tells.
    let Response::DescribeTopicPartitions(answer) = ask(Request::DescribeTopicPartitions(Arc::default())) else { panic!() };
    assert!(!answer.topics.is_empty() && answer.topics.iter().all(|topic| topic.topic_authorized_operations == on_topic));
}
