//! How long an answer asks its receiver to wait (KIP-219).

use super::wire::Response;
use std::sync::Arc;

macro_rules! throttle_time {
    (fresh: $($fresh:ident)*; kept: $($kept:ident)*) => {
        impl Response {
            /// How long its receiver shall wait before it sends anything else.
            pub fn throttle_time_ms(&self) -> i32 {
                match self {
                    Response::Fetch(message, _) => message.throttle_time_ms,
                    Response::ShareFetch(message, _) => message.throttle_time_ms,
                    $(Response::$fresh(message) => message.throttle_time_ms,)*
                    $(Response::$kept(message) => message.throttle_time_ms,)*
                    _ => 0,
                }
            }

            /// Says so in a broker's answer to a client.
            pub fn set_throttle_time_ms(&mut self, ms: i32) {
                let told = match self {
                    // It says so already.
                    Response::Fetch(..) => None,
                    Response::ShareFetch(message, _) => Arc::get_mut(message).map(|message| &mut message.throttle_time_ms),
                    $(Response::$fresh(message) => {
                        debug_assert!(Arc::get_mut(message).is_some(), "somebody else has this answer");
                        Arc::get_mut(message).map(|message| &mut message.throttle_time_ms)
                    })*
                    $(Response::$kept(message) => Some(&mut Arc::make_mut(message).throttle_time_ms),)*
                    _ => None,
                };
                if let Some(told) = told {
                    *told = ms;
                }
            }
        }
    };
}

// DescribeQuorum, WriteTxnMarkers and what the share coordinator keeps have no such field. An answer that is kept until something is written may be in
// a snapshot as well, which must not make a difference.
throttle_time! {
    fresh: ApiVersions ListOffsets Metadata FindCoordinator JoinGroup SyncGroup Heartbeat LeaveGroup OffsetFetch OffsetForLeaderEpoch DeleteRecords
        InitProducerId ListGroups DescribeGroups DeleteGroups DescribeConfigs DescribeCluster DescribeLogDirs ConsumerGroupDescribe AddPartitionsToTxn
        TxnOffsetCommit AddOffsetsToTxn EndTxn ShareAcknowledge DescribeTransactions ListTransactions DescribeProducers DescribeAcls CreateAcls
        DeleteAcls AlterReplicaLogDirs ListConfigResources DescribeTopicPartitions DescribeClientQuotas
        ShareGroupDescribe DescribeShareGroupOffsets;
    kept: Produce OffsetCommit OffsetDelete ConsumerGroupHeartbeat ShareGroupHeartbeat AlterShareGroupOffsets DeleteShareGroupOffsets
}
