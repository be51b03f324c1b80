#![cfg(not(target_arch = "wasm32"))]
//! What a broker says it understands: each version that it advertises can be written and read.

mod cluster;

use brokerlab::protocol::wire::{Request, Response};
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::{Message, Request as Readable, VersionRange};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Key, the versions of its request and of its response, and whether a request without anything in it survives a version.
type Known = (i16, VersionRange, VersionRange, fn(i16) -> bool);

fn known<R: Readable + Default>() -> Known {
    let survives = |version| {
        let mut bytes = Vec::new();
        R::default().encode(&mut bytes, version).is_ok() && R::decode(&mut bytes.as_slice(), version).is_ok()
    };
    (R::KEY, R::VERSIONS, <R::Response as Message>::VERSIONS, survives)
}

macro_rules! known {
    ($($request:ident)*) => { [$(known::<k::$request>()),*] };
}

#[test]
fn every_advertised_version_can_be_read() {
    let known = known![
        ProduceRequest FetchRequest ListOffsetsRequest MetadataRequest OffsetCommitRequest OffsetFetchRequest
        FindCoordinatorRequest JoinGroupRequest HeartbeatRequest LeaveGroupRequest SyncGroupRequest
        DescribeGroupsRequest ListGroupsRequest ApiVersionsRequest DeleteRecordsRequest InitProducerIdRequest
        OffsetForLeaderEpochRequest AddPartitionsToTxnRequest AddOffsetsToTxnRequest EndTxnRequest
        WriteTxnMarkersRequest TxnOffsetCommitRequest DescribeAclsRequest CreateAclsRequest DeleteAclsRequest
        DescribeConfigsRequest AlterReplicaLogDirsRequest DescribeLogDirsRequest DeleteGroupsRequest
        OffsetDeleteRequest DescribeClientQuotasRequest DescribeClusterRequest DescribeProducersRequest
        DescribeTransactionsRequest ListTransactionsRequest ConsumerGroupHeartbeatRequest
        ConsumerGroupDescribeRequest ListConfigResourcesRequest DescribeTopicPartitionsRequest
        ShareGroupHeartbeatRequest ShareGroupDescribeRequest ShareFetchRequest ShareAcknowledgeRequest
        InitializeShareGroupStateRequest ReadShareGroupStateRequest WriteShareGroupStateRequest
        DeleteShareGroupStateRequest ReadShareGroupStateSummaryRequest DescribeShareGroupOffsetsRequest
        AlterShareGroupOffsetsRequest DeleteShareGroupOffsetsRequest
    ];
    let cluster = Cluster::of_brokers(1);
    let Some(Response::ApiVersions(answer)) = Direct::of(&cluster, 1).ask(Request::ApiVersions(Arc::default())) else {
        panic!("no answer to ApiVersions");
    };
    let advertised: Vec<i16> = answer.api_keys.iter().map(|api| api.api_key).collect();
    assert_eq!(advertised, known.iter().map(|known| known.0).collect::<Vec<_>>());
    const PRODUCE: i16 = 0;
    assert_eq!(answer.api_keys[0].min_version, 0, "older clients take a broker for one without idempotence else");
    for (api, (key, request, response, survives)) in answer.api_keys.iter().zip(known) {
        // Of Produce more is advertised than is understood, as in Kafka.
        let oldest = if key == PRODUCE { request.min } else { api.min_version };
        for version in oldest..=api.max_version {
            let is_known = [request, response].iter().all(|range| (range.min..=range.max).contains(&version));
            assert!(is_known && survives(version), "version {version} of the API with key {key} cannot be read");
        }
    }
}

#[test]
fn clients_are_told_what_the_cluster_has_decided_on() {
    // Without these a client takes transactions for those of version 1, and groups for classic ones.
    for (configs, missing, transactions) in [
        (json!({}), vec!["kraft.version"], 2),
        (
            json!({ "brokerlab.transaction.version": "1", "brokerlab.eligible.leader.replicas.version": "0" }),
            vec!["eligible.leader.replicas.version", "kraft.version"],
            1,
        ),
    ] {
        let cluster = Cluster::configured(1, configs);
        let Some(Response::ApiVersions(answer)) = Direct::of(&cluster, 1).ask(Request::ApiVersions(Arc::default())) else {
            panic!("no answer to ApiVersions");
        };
        let supported: BTreeMap<&str, (i16, i16)> =
            answer.supported_features.iter().map(|one| (one.name.as_str(), (one.min_version, one.max_version))).collect();
        assert_eq!((supported["transaction.version"], supported["group.version"], supported["share.version"]), ((0, 2), (0, 1), (0, 1)));
        let finalized: BTreeMap<&str, i16> =
            answer.finalized_features.iter().map(|one| (one.name.as_str(), one.max_version_level)).collect();
        let others: Vec<&str> = supported.keys().filter(|name| !finalized.contains_key(*name)).copied().collect();
        assert_eq!((others, finalized["transaction.version"], finalized["group.version"]), (missing, transactions, 1));
        assert!(0 <= answer.finalized_features_epoch);
        assert!(answer.finalized_features.iter().all(|one| one.min_version_level == one.max_version_level));
    }
}
