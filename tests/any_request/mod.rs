//! Requests by chance, of every type that a broker or the controller answers: each field is right, stale, contradictory or out of any range.

#![allow(dead_code, reason = "each test file asks its own questions")]

mod share;
mod transactions;

use brokerlab::node::Chance;
use brokerlab::protocol::wire::{self, Request};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, Codec, Compression};
use bytes::Bytes;
use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use uuid::Uuid;

/// What is true of the cluster that is asked.
#[derive(Clone)]
pub struct Facts {
    /// Of `orders`, two partitions on every broker.
    pub topic: Uuid,
    /// Of `payments`, one partition on one broker.
    pub other_topic: Uuid,
    /// Of `orders-0`.
    pub leader: i32,
    /// Of the group `readers`.
    pub coordinator: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub isr: Vec<i32>,
    /// The only member of `readers`, and its generation.
    pub member: String,
    pub generation: i32,
    pub broker_epochs: Vec<i64>,
}

/// Whether the controller's listener has it, and not a broker's.
pub fn is_for_controller(request: &Request) -> bool {
    matches!(
        request,
        Request::CreateTopics(_)
            | Request::CreatePartitions(_)
            | Request::DeleteTopics(_)
            | Request::ElectLeaders(_)
            | Request::AlterPartition(_)
            | Request::AlterPartitionReassignments(_)
            | Request::ListPartitionReassignments(_)
            | Request::AllocateProducerIds(_)
            | Request::IncrementalAlterConfigs(_)
            | Request::AlterClientQuotas(_)
            | Request::UnregisterBroker(_)
            | Request::BrokerHeartbeat(_)
            | Request::BrokerRegistration(_)
    )
}

/// A maker of fields.
struct Fields<'a> {
    chance: &'a mut Chance,
    facts: &'a Facts,
}

pub fn any_request(chance: &mut Chance, facts: &Facts) -> Request {
    let mut fields = Fields { chance, facts };
    match fields.below(35) {
        0 => Request::ApiVersions(Arc::default()),
        1..=2 => fields.produce(),
        3..=5 => Request::Fetch(Arc::new(fields.fetch())),
        6 => Request::ListOffsets(Arc::new(fields.list_offsets())),
        7 => Request::OffsetForLeaderEpoch(Arc::new(fields.end_of_epoch())),
        8 => Request::Metadata(Arc::new(fields.metadata())),
        9 => Request::FindCoordinator(Arc::new(fields.find_coordinator())),
        10 => Request::JoinGroup(Arc::new(fields.join())),
        11 => fields.sync_or_heartbeat(),
        12 => Request::LeaveGroup(Arc::new(fields.leave())),
        13 => Request::OffsetCommit(Arc::new(fields.commit())),
        14 => Request::OffsetFetch(Arc::new(fields.committed())),
        15 => Request::CreateTopics(Arc::new(fields.create())),
        16 => fields.partitions_or_election(),
        17 => Request::DeleteTopics(Arc::new(fields.delete())),
        18 => Request::AlterPartition(Arc::new(fields.alter())),
        19 => Request::DeleteRecords(Arc::new(fields.delete_records())),
        20 => Request::IncrementalAlterConfigs(Arc::new(fields.alter_configs())),
        21 => fields.quotas(),
        22 => Request::AlterPartitionReassignments(Arc::new(fields.reassign())),
        23 => Request::ListPartitionReassignments(Arc::new(fields.list_moves())),
        24 => fields.producer_ids(),
        25..=26 => fields.about_groups(),
        27 => fields.description(),
        29 => Request::WriteTxnMarkers(Arc::new(fields.markers())),
        30..=31 => fields.about_transactions(),
        28 => Request::ConsumerGroupHeartbeat(Arc::new(fields.report())),
        32..=33 => fields.share(),
        _ => fields.registration_or_heartbeat(),
    }
}

impl Fields<'_> {
    fn below(&mut self, limit: u64) -> u64 {
        self.chance.below(limit)
    }

    /// Once in `times`.
    fn rarely(&mut self, times: u64) -> bool {
        self.chance.below(times) == 0
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.chance.below(items.len() as u64) as usize].clone()
    }

    /// As many as make trouble: none, one, or several of which some come twice.
    fn several<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.pick(&[0, 1, 1, 1, 2, 3]);
        (0..count).map(|_| make(self)).collect()
    }

    /// The right number two times of three, else one beside it or at the end of the range.
    fn int(&mut self, right: i32) -> i32 {
        let odd = [-1, 0, 1, 2, right.wrapping_sub(1), right.wrapping_add(1), i32::MAX, i32::MIN];
        if self.rarely(3) { self.pick(&odd) } else { right }
    }

    fn long(&mut self, right: i64) -> i64 {
        let odd = [-1, 0, 1, 2, right.wrapping_sub(1), right.wrapping_add(1), i64::MAX, i64::MIN];
        if self.rarely(3) { self.pick(&odd) } else { right }
    }

    fn name(&mut self) -> StrBytes {
        let odd = ["", ".", "..", "a/b", "nothing", "__consumer_offsets", "__cluster_metadata", "\u{1f600}", &"x".repeat(300)];
        let name = if self.rarely(3) { self.pick(&odd) } else { self.pick(&["orders", "payments"]) };
        wire::text(name)
    }

    fn topic_name(&mut self) -> k::TopicName {
        k::TopicName(self.name())
    }

    fn topic_id(&mut self) -> Uuid {
        let (topic, other) = (self.facts.topic, self.facts.other_topic);
        if self.rarely(4) {
            self.pick(&[Uuid::nil(), Uuid::from_u128(1), Uuid::from_u128(77), Uuid::max()])
        } else {
            self.pick(&[topic, topic, other])
        }
    }

    fn group(&mut self) -> k::GroupId {
        let odd = ["", "others", "\u{1f600}", &"x".repeat(i16::MAX as usize)];
        k::GroupId(wire::text(if self.rarely(4) { self.pick(&odd) } else { "readers" }))
    }

    fn member(&mut self) -> StrBytes {
        let member = self.facts.member.clone();
        wire::text(&if self.rarely(3) { self.pick(&[String::new(), "nobody".to_owned(), "x".repeat(i16::MAX as usize)]) } else { member })
    }

    fn generation(&mut self) -> i32 {
        self.int(self.facts.generation)
    }

    fn index(&mut self) -> i32 {
        let right = self.pick(&[0, 0, 1]);
        self.int(right)
    }

    fn epoch(&mut self) -> i32 {
        let right = self.pick(&[self.facts.leader_epoch, -1]);
        self.int(right)
    }

    fn broker(&mut self) -> (i32, i64) {
        let id = self.pick(&[1, 2, 3]);
        let epoch = self.facts.broker_epochs[id as usize - 1];
        (self.int(id), self.long(epoch))
    }

    fn bytes(&mut self) -> Bytes {
        let bytes: Vec<u8> = (0..self.below(40)).map(|_| self.chance.draw() as u8).collect();
        Bytes::from(bytes)
    }

    fn produce(&mut self) -> Request {
        let mut message = k::ProduceRequest::default();
        (message.acks, message.timeout_ms) = (self.int(-1) as i16, self.int(1_000));
        message.topic_data = self.several(|fields| {
            let data = fields.several(|fields| k::produce_request::PartitionProduceData::default().with_index(fields.index()));
            k::produce_request::TopicProduceData::default().with_topic_id(fields.topic_id()).with_partition_data(data)
        });
        let wanted = message.topic_data.iter().map(|topic| topic.partition_data.len()).sum::<usize>() as i32;
        let given = if self.rarely(4) { self.pick(&[0, wanted - 1, wanted + 1]) } else { wanted };
        let batches: Vec<Batch> = (0..given).map(|_| self.batch()).collect();
        Request::Produce(Arc::new(message), batches.into())
    }

    fn batch(&mut self) -> Batch {
        let codec = self.pick(&Codec::ALL);
        let mut options = BatchOptions { compression: Compression::of(codec), ..BatchOptions::default() };
        if self.rarely(4) {
            (options.producer_id, options.producer_epoch) = (self.long(5), self.int(0) as i16);
            (options.base_sequence, options.transactional, options.control) = (self.int(0), self.rarely(2), self.rarely(4));
        }
        let mut builder = BatchBuilder::new(options, 0);
        for _ in 0..=self.below(3) {
            let timestamp = self.long(1_767_225_600_000);
            builder.append(timestamp, Some(b"k"), Some(b"v"), &[]);
        }
        let mut bytes = builder.build().to_vec();
        if self.rarely(3) {
            let place = self.below(bytes.len() as u64) as usize;
            bytes[place] = self.chance.draw() as u8;
        }
        Batch::from_wire(bytes.into()).expect("it has a header")
    }

    fn fetch(&mut self) -> k::FetchRequest {
        let mut message = k::FetchRequest::default();
        let (replica, epoch) = if self.rarely(2) { self.broker() } else { (-1, -1) };
        (message.replica_state.replica_id, message.replica_state.replica_epoch) = (k::BrokerId(replica), epoch);
        (message.max_wait_ms, message.min_bytes, message.max_bytes) = (self.int(500), self.int(1), self.int(1_000_000));
        (message.session_id, message.session_epoch) = (self.int(0), self.pick(&[0, -1, 1, 2, i32::MAX, i32::MIN]));
        message.isolation_level = self.int(0) as i8;
        message.topics = self.several(|fields| {
            let partitions = fields.several(|fields| {
                let mut asked =
                    k::fetch_request::FetchPartition::default().with_partition(fields.index()).with_current_leader_epoch(fields.epoch());
                (asked.fetch_offset, asked.last_fetched_epoch, asked.log_start_offset) = (fields.long(3), fields.epoch(), fields.long(0));
                asked.with_partition_max_bytes(fields.int(1_000))
            });
            k::fetch_request::FetchTopic::default().with_topic_id(fields.topic_id()).with_partitions(partitions)
        });
        message.forgotten_topics_data = self.several(|fields| {
            let partitions = fields.several(Fields::index);
            k::fetch_request::ForgottenTopic::default().with_topic_id(fields.topic_id()).with_partitions(partitions)
        });
        message
    }

    fn list_offsets(&mut self) -> k::ListOffsetsRequest {
        let topics = self.several(|fields| {
            let partitions = fields.several(|fields| {
                let asked = k::list_offsets_request::ListOffsetsPartition::default().with_partition_index(fields.index());
                let timestamp = fields.pick(&[-1, -2, -3, -4, -5, -6, 0, 1_767_225_600_000, i64::MAX, i64::MIN]);
                asked.with_current_leader_epoch(fields.epoch()).with_timestamp(timestamp)
            });
            k::list_offsets_request::ListOffsetsTopic::default().with_name(fields.topic_name()).with_partitions(partitions)
        });
        k::ListOffsetsRequest::default().with_replica_id(k::BrokerId(self.int(-1))).with_topics(topics)
    }

    fn end_of_epoch(&mut self) -> k::OffsetForLeaderEpochRequest {
        let topics = self.several(|fields| {
            let partitions = fields.several(|fields| {
                let asked = k::offset_for_leader_epoch_request::OffsetForLeaderPartition::default().with_partition(fields.index());
                asked.with_current_leader_epoch(fields.epoch()).with_leader_epoch(fields.epoch())
            });
            k::offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(fields.topic_name()).with_partitions(partitions)
        });
        k::OffsetForLeaderEpochRequest::default().with_replica_id(k::BrokerId(self.int(-1))).with_topics(topics)
    }

    fn metadata(&mut self) -> k::MetadataRequest {
        let topics = self.several(|fields| {
            let name = if fields.rarely(4) { None } else { Some(fields.topic_name()) };
            let id = if fields.rarely(4) { fields.topic_id() } else { Uuid::nil() };
            k::metadata_request::MetadataRequestTopic::default().with_name(name).with_topic_id(id)
        });
        let topics = if self.rarely(4) { None } else { Some(topics) };
        k::MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(self.rarely(2))
    }

    fn find_coordinator(&mut self) -> k::FindCoordinatorRequest {
        let keys = self.several(|fields| fields.group().0);
        k::FindCoordinatorRequest::default().with_key_type(self.int(0) as i8).with_coordinator_keys(keys)
    }

    fn join(&mut self) -> k::JoinGroupRequest {
        let protocols = self.several(|fields| {
            let name = fields.pick(&["range", "range", "another", ""]);
            k::join_group_request::JoinGroupRequestProtocol::default().with_name(wire::text(name)).with_metadata(fields.bytes())
        });
        let kind = self.pick(&["consumer", "consumer", "connect", ""]);
        let message = k::JoinGroupRequest::default().with_group_id(self.group()).with_member_id(self.member());
        let message = message.with_session_timeout_ms(self.int(45_000)).with_rebalance_timeout_ms(self.int(60_000));
        message.with_protocol_type(wire::text(kind)).with_protocols(protocols)
    }

    fn sync_or_heartbeat(&mut self) -> Request {
        let (group, member, generation) = (self.group(), self.member(), self.generation());
        if self.rarely(2) {
            let message = k::HeartbeatRequest::default().with_group_id(group).with_member_id(member);
            return Request::Heartbeat(Arc::new(message.with_generation_id(generation)));
        }
        let assignments = self.several(|fields| {
            k::sync_group_request::SyncGroupRequestAssignment::default().with_member_id(fields.member()).with_assignment(fields.bytes())
        });
        let name = self.pick(&[None, Some("range"), Some("another"), Some("")]);
        let message = k::SyncGroupRequest::default().with_group_id(group).with_member_id(member).with_generation_id(generation);
        Request::SyncGroup(Arc::new(message.with_protocol_name(name.map(wire::text)).with_assignments(assignments)))
    }

    fn leave(&mut self) -> k::LeaveGroupRequest {
        let members = self.several(|fields| k::leave_group_request::MemberIdentity::default().with_member_id(fields.member()));
        k::LeaveGroupRequest::default().with_group_id(self.group()).with_members(members)
    }

    fn commit(&mut self) -> k::OffsetCommitRequest {
        let topics = self.several(|fields| {
            let partitions = fields.several(|fields| {
                let asked = k::offset_commit_request::OffsetCommitRequestPartition::default().with_partition_index(fields.index());
                let text = fields.pick(&[None, Some(String::new()), Some("x".repeat(4_096)), Some("x".repeat(4_097))]);
                let asked = asked.with_committed_offset(fields.long(3)).with_committed_leader_epoch(fields.epoch());
                asked.with_committed_metadata(text.as_deref().map(wire::text))
            });
            k::offset_commit_request::OffsetCommitRequestTopic::default().with_name(fields.topic_name()).with_partitions(partitions)
        });
        let message = k::OffsetCommitRequest::default().with_group_id(self.group()).with_member_id(self.member());
        message.with_generation_id_or_member_epoch(self.generation()).with_topics(topics)
    }

    fn committed(&mut self) -> k::OffsetFetchRequest {
        let groups = self.several(|fields| {
            let topics = fields.several(|fields| {
                let indexes = fields.several(Fields::index);
                k::offset_fetch_request::OffsetFetchRequestTopics::default().with_name(fields.topic_name()).with_partition_indexes(indexes)
            });
            let topics = if fields.rarely(4) { None } else { Some(topics) };
            k::offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(fields.group()).with_topics(topics)
        });
        k::OffsetFetchRequest::default().with_groups(groups)
    }

    /// What an admin asks of groups.
    fn about_groups(&mut self) -> Request {
        match self.below(5) {
            0 => {
                let states = self.several(|fields| wire::text(fields.pick(&["Stable", "empty", "nonsense", ""])));
                let types = self.several(|fields| wire::text(fields.pick(&["classic", "Consumer", ""])));
                Request::ListGroups(Arc::new(k::ListGroupsRequest::default().with_states_filter(states).with_types_filter(types)))
            }
            1 => Request::DescribeGroups(Arc::new(k::DescribeGroupsRequest::default().with_groups(self.several(Fields::group)))),
            2 => Request::ConsumerGroupDescribe(Arc::new(
                k::ConsumerGroupDescribeRequest::default().with_group_ids(self.several(Fields::group)),
            )),
            3 => Request::DeleteGroups(Arc::new(k::DeleteGroupsRequest::default().with_groups_names(self.several(Fields::group)))),
            _ => {
                let topics = self.several(|fields| {
                    let partitions = fields.several(|fields| {
                        k::offset_delete_request::OffsetDeleteRequestPartition::default().with_partition_index(fields.index())
                    });
                    k::offset_delete_request::OffsetDeleteRequestTopic::default().with_name(fields.topic_name()).with_partitions(partitions)
                });
                Request::OffsetDelete(Arc::new(k::OffsetDeleteRequest::default().with_group_id(self.group()).with_topics(topics)))
            }
        }
    }

    /// Of settings, of the cluster or of disks.
    fn description(&mut self) -> Request {
        if self.rarely(4) {
            let topics = self.several(|fields| {
                let topic = k::describe_log_dirs_request::DescribableLogDirTopic::default().with_topic(fields.topic_name());
                topic.with_partitions(fields.several(Fields::index))
            });
            let message = k::DescribeLogDirsRequest::default().with_topics(if self.rarely(3) { None } else { Some(topics) });
            return Request::DescribeLogDirs(Arc::new(message));
        }
        if self.rarely(3) {
            let message = k::DescribeClusterRequest::default().with_endpoint_type(self.int(1) as i8);
            return Request::DescribeCluster(Arc::new(message.with_include_fenced_brokers(self.rarely(2))));
        }
        let resources = self.several(|fields| {
            let name = if fields.rarely(2) { fields.name() } else { wire::text(fields.pick(&["", "1", "2", "3", "-1", "broker"])) };
            let keys = fields.several(|fields| wire::text(fields.pick(&["retention.ms", "log.retention.ms", "nothing", ""])));
            let resource = k::describe_configs_request::DescribeConfigsResource::default().with_resource_name(name);
            let resource = resource.with_resource_type(fields.pick(&[2, 4, 4, 8, 16, 32, 0, -1]));
            resource.with_configuration_keys(if fields.rarely(2) { None } else { Some(keys) })
        });
        let message = k::DescribeConfigsRequest::default().with_resources(resources).with_include_synonyms(self.rarely(2));
        Request::DescribeConfigs(Arc::new(message.with_include_documentation(self.rarely(2))))
    }

    fn create(&mut self) -> k::CreateTopicsRequest {
        let topics = self.several(|fields| {
            let configs = fields.several(|fields| {
                let name = fields.pick(&["retention.ms", "cleanup.policy", "min.insync.replicas", "nothing", ""]);
                let value = fields.pick(&[None, Some("1"), Some("-1"), Some("compact"), Some("soon"), Some("")]);
                k::create_topics_request::CreatableTopicConfig::default().with_name(wire::text(name)).with_value(value.map(wire::text))
            });
            let name = if fields.rarely(3) { wire::topic("new") } else { fields.topic_name() };
            let topic = k::create_topics_request::CreatableTopic::default().with_name(name).with_configs(if fields.rarely(2) {
                configs
            } else {
                Vec::new()
            });
            topic.with_num_partitions(fields.int(2)).with_replication_factor(fields.int(3) as i16)
        });
        k::CreateTopicsRequest::default().with_topics(topics).with_validate_only(self.rarely(4))
    }

    fn delete(&mut self) -> k::DeleteTopicsRequest {
        let topics = self.several(|fields| {
            let name = if fields.rarely(2) { None } else { Some(fields.topic_name()) };
            let id = if fields.rarely(2) { Uuid::nil() } else { fields.topic_id() };
            k::delete_topics_request::DeleteTopicState::default().with_name(name).with_topic_id(id)
        });
        let names = if self.rarely(4) { self.several(Fields::topic_name) } else { Vec::new() };
        k::DeleteTopicsRequest::default().with_topics(topics).with_topic_names(names)
    }

    fn delete_records(&mut self) -> k::DeleteRecordsRequest {
        let topics = self.several(|fields| {
            let partitions = fields.several(|fields| {
                let asked = k::delete_records_request::DeleteRecordsPartition::default().with_partition_index(fields.index());
                asked.with_offset(fields.long(2))
            });
            k::delete_records_request::DeleteRecordsTopic::default().with_name(fields.topic_name()).with_partitions(partitions)
        });
        k::DeleteRecordsRequest::default().with_topics(topics).with_timeout_ms(self.int(100))
    }

    /// A heartbeat of the new protocol: to the classic group, or to another that comes to be by it.
    fn report(&mut self) -> k::ConsumerGroupHeartbeatRequest {
        let group = if self.rarely(3) { self.group() } else { k::GroupId(wire::text("reporters")) };
        let member = wire::text(self.pick(&["one", "two", "two", ""]));
        let epoch = self.pick(&[0, 0, 1, 2, -1]);
        let mut message = k::ConsumerGroupHeartbeatRequest::default().with_group_id(group).with_member_id(member);
        message.member_epoch = self.int(epoch);
        message.instance_id = if self.rarely(3) { Some(wire::text(self.pick(&["first", "second", ""]))) } else { None };
        message.rack_id = if self.rarely(4) { Some(wire::text(self.pick(&["rack", ""]))) } else { None };
        message.rebalance_timeout_ms = self.pick(&[1_000, 1_000, -1, 0, i32::MIN, i32::MAX]);
        message.subscribed_topic_names = if self.rarely(4) { None } else { Some(self.several(Fields::topic_name)) };
        message.subscribed_topic_regex = if self.rarely(8) { Some(wire::text(self.pick(&["", ".*", "("]))) } else { None };
        message.server_assignor = if self.rarely(3) { Some(wire::text(self.pick(&["uniform", "range", "sticky", ""]))) } else { None };
        let owned = self.several(|fields| {
            let topic = k::consumer_group_heartbeat_request::TopicPartitions::default().with_topic_id(fields.topic_id());
            topic.with_partitions(fields.several(Fields::index))
        });
        message.topic_partitions = self.pick(&[None, Some(Vec::new()), Some(Vec::new()), Some(owned)]);
        message
    }

    fn alter_configs(&mut self) -> k::IncrementalAlterConfigsRequest {
        const TOPIC: i32 = 2;
        const BROKER: i32 = 4;
        let resources = self.several(|fields| {
            let right = fields.pick(&[TOPIC, BROKER]);
            let brokers = ["", "1", "2", "3", "4", "-1", "01", "broker", "2147483648"];
            let name = if right == BROKER { wire::text(fields.pick(&brokers)) } else { fields.name() };
            let kind = if fields.rarely(8) { fields.pick(&[0, 8, 16, 32, -1, 127]) } else { right };
            let configs = fields.several(Fields::setting);
            let resource = k::incremental_alter_configs_request::AlterConfigsResource::default().with_resource_type(kind as i8);
            resource.with_resource_name(name).with_configs(configs)
        });
        k::IncrementalAlterConfigsRequest::default().with_resources(resources).with_validate_only(self.rarely(4))
    }

    fn quotas(&mut self) -> Request {
        use k::{alter_client_quotas_request as alter, describe_client_quotas_request as describe};
        let kinds = ["user", "client-id", "ip", "group", ""];
        let names = ["raw", "ANONYMOUS", ""];
        if self.rarely(2) {
            let components = self.several(|fields| {
                let component = describe::ComponentData::default().with_entity_type(wire::text(fields.pick(&kinds)));
                let name = if fields.rarely(2) { None } else { Some(wire::text(fields.pick(&names))) };
                component.with_match_type(fields.pick(&[0, 1, 2, 3, -1])).with_match(name)
            });
            let message = k::DescribeClientQuotasRequest::default().with_components(components).with_strict(self.rarely(2));
            return Request::DescribeClientQuotas(Arc::new(message));
        }
        let entries = self.several(|fields| {
            let entity = fields.several(|fields| {
                let name = if fields.rarely(2) { None } else { Some(wire::text(fields.pick(&names))) };
                alter::EntityData::default().with_entity_type(wire::text(fields.pick(&kinds))).with_entity_name(name)
            });
            let ops = fields.several(|fields| {
                let key = fields.pick(&["producer_byte_rate", "request_percentage", "controller_mutation_rate", "nothing", ""]);
                let value = fields.pick(&[0.0, -1.0, 0.5, 1e300, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE]);
                alter::OpData::default().with_key(wire::text(key)).with_value(value).with_remove(fields.rarely(4))
            });
            alter::EntryData::default().with_entity(entity).with_ops(ops)
        });
        Request::AlterClientQuotas(Arc::new(
            k::AlterClientQuotasRequest::default().with_entries(entries).with_validate_only(self.rarely(4)),
        ))
    }

    fn setting(&mut self) -> k::incremental_alter_configs_request::AlterableConfig {
        let names = [
            "retention.ms",
            "cleanup.policy",
            "min.insync.replicas",
            "leader.replication.throttled.replicas",
            "leader.replication.throttled.rate",
            "num.io.threads",
            "log.retention.ms",
            "broker.id",
            "process.roles",
            "nothing",
            "",
        ];
        let values =
            ["1", "0", "-1", "-2", "compact", "delete,compact", "*", "0:1,1:2", "9223372036854775808", "", " 1 ", "1e3", "\u{1f600}"];
        let value = if self.rarely(6) { None } else { Some(wire::text(self.pick(&values))) };
        let operation = if self.rarely(8) { self.pick(&[4, -1, 127, i8::MIN]) } else { self.pick(&[0, 0, 0, 1, 2, 3]) };
        let setting = k::incremental_alter_configs_request::AlterableConfig::default().with_name(wire::text(self.pick(&names)));
        setting.with_config_operation(operation).with_value(value)
    }

    fn reassign(&mut self) -> k::AlterPartitionReassignmentsRequest {
        let topics = self.several(|fields| {
            let partitions = fields.several(|fields| {
                let replicas = fields.several(|fields| k::BrokerId(fields.broker().0));
                let replicas = if fields.rarely(4) { None } else { Some(replicas) };
                let asked = k::alter_partition_reassignments_request::ReassignablePartition::default();
                asked.with_partition_index(fields.index()).with_replicas(replicas)
            });
            k::alter_partition_reassignments_request::ReassignableTopic::default()
                .with_name(fields.topic_name())
                .with_partitions(partitions)
        });
        k::AlterPartitionReassignmentsRequest::default().with_topics(topics).with_timeout_ms(self.int(100))
    }

    fn list_moves(&mut self) -> k::ListPartitionReassignmentsRequest {
        let topics = self.several(|fields| {
            let asked = k::list_partition_reassignments_request::ListPartitionReassignmentsTopics::default();
            asked.with_name(fields.topic_name()).with_partition_indexes(fields.several(Fields::index))
        });
        k::ListPartitionReassignmentsRequest::default().with_topics(if self.rarely(3) { None } else { Some(topics) })
    }

    fn producer_ids(&mut self) -> Request {
        if self.rarely(2) {
            let id = self.rarely(2).then(|| k::TransactionalId(self.name()));
            return Request::InitProducerId(Arc::new(k::InitProducerIdRequest::default().with_transactional_id(id)));
        }
        let (id, epoch) = self.broker();
        let message = k::AllocateProducerIdsRequest::default().with_broker_id(k::BrokerId(id)).with_broker_epoch(epoch);
        Request::AllocateProducerIds(Arc::new(message))
    }

    fn partitions_or_election(&mut self) -> Request {
        if self.rarely(2) {
            let topics = self.several(|fields| {
                k::create_partitions_request::CreatePartitionsTopic::default().with_name(fields.topic_name()).with_count(fields.int(3))
            });
            let message = k::CreatePartitionsRequest::default().with_topics(topics);
            return Request::CreatePartitions(Arc::new(message.with_validate_only(self.rarely(4))));
        }
        let topics = self.several(|fields| {
            let partitions = fields.several(Fields::index);
            k::elect_leaders_request::TopicPartitions::default().with_topic(fields.topic_name()).with_partitions(partitions)
        });
        let message = k::ElectLeadersRequest::default().with_topic_partitions(Some(topics));
        Request::ElectLeaders(Arc::new(message.with_election_type(self.int(0) as i8)))
    }

    fn alter(&mut self) -> k::AlterPartitionRequest {
        let topics = self.several(|fields| {
            let partitions = fields.several(|fields| {
                let asked = k::alter_partition_request::PartitionData::default().with_partition_index(fields.index());
                let mut isr = fields.several(|fields| {
                    let (id, epoch) = fields.broker();
                    k::alter_partition_request::BrokerState::default().with_broker_id(k::BrokerId(id)).with_broker_epoch(epoch)
                });
                let leader = fields.facts.leader;
                let own = fields.facts.broker_epochs[leader as usize - 1];
                isr.push(k::alter_partition_request::BrokerState::default().with_broker_id(k::BrokerId(leader)).with_broker_epoch(own));
                let asked = asked.with_leader_epoch(fields.int(fields.facts.leader_epoch)).with_new_isr_with_epochs(isr);
                let recovery = if fields.rarely(6) { fields.int(1) as i8 } else { 0 };
                asked.with_partition_epoch(fields.int(fields.facts.partition_epoch)).with_leader_recovery_state(recovery)
            });
            k::alter_partition_request::TopicData::default().with_topic_id(fields.topic_id()).with_partitions(partitions)
        });
        let leader = self.facts.leader;
        let epoch = self.facts.broker_epochs[leader as usize - 1];
        let message = k::AlterPartitionRequest::default().with_broker_id(k::BrokerId(self.int(leader)));
        message.with_broker_epoch(self.long(epoch)).with_topics(topics)
    }

    fn registration_or_heartbeat(&mut self) -> Request {
        let (id, epoch) = self.broker();
        if self.rarely(8) {
            return Request::UnregisterBroker(Arc::new(k::UnregisterBrokerRequest::default().with_broker_id(k::BrokerId(id))));
        }
        if self.rarely(3) {
            let message = k::BrokerRegistrationRequest::default().with_broker_id(k::BrokerId(id)).with_incarnation_id(Uuid::from_u128(9));
            return Request::BrokerRegistration(Arc::new(message));
        }
        let message = k::BrokerHeartbeatRequest::default().with_broker_id(k::BrokerId(id)).with_broker_epoch(epoch);
        let message = message.with_current_metadata_offset(self.long(20)).with_want_fence(self.rarely(4));
        Request::BrokerHeartbeat(Arc::new(message.with_want_shut_down(self.rarely(8))))
    }
}
