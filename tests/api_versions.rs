#![cfg(not(target_arch = "wasm32"))]
//! What a broker says it understands: each version that it advertises can be written and read.

mod cluster;

use brokerlab::protocol::wire::{Request, Response};
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::{Message, Request as Readable, VersionRange};
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
    for (api, (key, request, response, survives)) in answer.api_keys.iter().zip(known) {
        // Of Produce more is advertised than is understood, as in Kafka.
        let oldest = if key == PRODUCE { request.min } else { api.min_version };
        for version in oldest..=api.max_version {
            let is_known = [request, response].iter().all(|range| (range.min..=range.max).contains(&version));
            assert!(is_known && survives(version), "version {version} of the API with key {key} cannot be read");
        }
    }
}
