#![cfg(not(target_arch = "wasm32"))]
//! What a transaction's coordinator, the leaders of its partitions and its group's coordinator answer to single requests (KIP-98, KIP-447, KIP-890).

mod cluster;

use brokerlab::coordinator::{Coordinator, OFFSETS_TOPIC};
use brokerlab::node::{Chance, Outputs};
use brokerlab::protocol::wire::{Request, Response, text, topic as named};
use brokerlab::protocol::{Batch, BatchBuilder, BatchOptions, ErrorCode as E};
use cluster::Cluster;
use cluster::direct::{Direct, topic_id};
use kafka_protocol::messages as k;
use serde_json::json;
use std::sync::Arc;

const GROUP: &str = "movers";

/// The only broker of a cluster with the topic `out`, which has producer ids to give, and its parts.
fn alone(version: &str) -> (Direct, Cluster) {
    let configs = json!({
        "brokerlab.transaction.version": version, "transaction.state.log.min.isr": "1", "transaction.state.log.num.partitions": "1",
        "offsets.topic.num.partitions": "1",
    });
    let mut cluster = Cluster::configured(1, configs).topic("out", 2, 1);
    cluster.apply(json!({ "type": "addProducer", "id": "first", "topic": "out", "configs": { "transactional.id": "first" } }));
    cluster.apply(json!({ "type": "addConsumer", "id": "reader", "group": "readers", "topics": ["out"] }));
    cluster.advance(2_000.0);
    (Direct::of(&cluster, 1), cluster)
}

/// What a transactional id begins with.
fn init(broker: &mut Direct, id: &str) -> (i64, i16) {
    let message = k::InitProducerIdRequest::default().with_transactional_id(Some(k::TransactionalId(text(id))));
    let message = message.with_transaction_timeout_ms(60_000).with_producer_id(k::ProducerId(-1)).with_producer_epoch(-1);
    match broker.ask_alone(Request::InitProducerId(Arc::new(message))) {
        Some(Response::InitProducerId(answer)) if answer.error_code == 0 => (answer.producer_id.0, answer.producer_epoch),
        answer => panic!("no producer id: {answer:?}"),
    }
}

/// The error, and what the producer goes on with.
fn end(broker: &mut Direct, (producer, epoch): (i64, i16), commit: bool) -> (E, i64, i16) {
    let message = k::EndTxnRequest::default().with_transactional_id(k::TransactionalId(text("mover")));
    let message = message.with_producer_id(k::ProducerId(producer)).with_producer_epoch(epoch).with_committed(commit);
    match broker.ask_alone(Request::EndTxn(Arc::new(message))) {
        Some(Response::EndTxn(answer)) => (E::of(answer.error_code), answer.producer_id.0, answer.producer_epoch),
        answer => panic!("no answer to EndTxn: {answer:?}"),
    }
}

/// The errors of partitions, transaction after transaction.
fn add(broker: &mut Direct, transactions: &[(&str, (i64, i16), &[i32])]) -> Vec<E> {
    let asked = |(id, (producer, epoch), partitions): &(&str, (i64, i16), &[i32])| {
        let topic = k::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default().with_name(named("out"));
        let asked = k::add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default();
        let asked = asked.with_transactional_id(k::TransactionalId(text(id))).with_producer_id(k::ProducerId(*producer));
        asked.with_producer_epoch(*epoch).with_topics(vec![topic.with_partitions(partitions.to_vec())])
    };
    let message = k::AddPartitionsToTxnRequest::default().with_transactions(transactions.iter().map(asked).collect());
    match broker.ask_alone(Request::AddPartitionsToTxn(Arc::new(message))) {
        Some(Response::AddPartitionsToTxn(answer)) => {
            let topics = answer.results_by_transaction.iter().flat_map(|result| &result.topic_results);
            topics.flat_map(|topic| &topic.results_by_partition).map(|told| E::of(told.partition_error_code)).collect()
        }
        answer => panic!("no answer to AddPartitionsToTxn: {answer:?}"),
    }
}

/// One record of each of these producers' transactions, to `out-0`, `out-1`, and what it is answered with.
fn produce(broker: &mut Direct, cluster: &Cluster, id: Option<&str>, producers: &[(i64, i16)]) -> Vec<E> {
    let batch = |(producer_id, producer_epoch): &(i64, i16)| {
        let options = BatchOptions {
            producer_id: *producer_id,
            producer_epoch: *producer_epoch,
            base_sequence: 0,
            transactional: true,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options, 0);
        builder.append(1_767_225_600_000, Some(b"k"), Some(b"v"), &[]);
        Batch::from_wire(builder.build()).expect("a batch")
    };
    let data = (0..).map(|index| k::produce_request::PartitionProduceData::default().with_index(index)).take(producers.len()).collect();
    let topic = k::produce_request::TopicProduceData::default().with_topic_id(topic_id(cluster, "out")).with_partition_data(data);
    let message = k::ProduceRequest::default().with_acks(1).with_timeout_ms(1_000).with_topic_data(vec![topic]);
    let message = message.with_transactional_id(id.map(|id| k::TransactionalId(text(id))));
    match broker.ask_alone(Request::Produce(Arc::new(message), producers.iter().map(batch).collect())) {
        Some(Response::Produce(answer)) => answer.responses[0].partition_responses.iter().map(|told| E::of(told.error_code)).collect(),
        answer => panic!("no answer to Produce: {answer:?}"),
    }
}

#[test]
fn each_end_raises_the_epoch_and_is_known_again() {
    let (mut broker, cluster) = alone("2");
    let (id, epoch) = init(&mut broker, "mover");
    assert_eq!(end(&mut broker, (id, epoch), true).0, E::InvalidTxnState, "there is nothing to commit");
    assert_eq!(produce(&mut broker, &cluster, Some("mover"), &[(id, epoch)]), [E::None]);
    assert_eq!(end(&mut broker, (id, epoch), true), (E::None, id, epoch + 1));
    assert_eq!(end(&mut broker, (id, epoch), true), (E::None, id, epoch + 1), "its answer was lost");
    assert_eq!(end(&mut broker, (id, epoch), false).0, E::InvalidTxnState, "it has committed");
    assert_eq!(end(&mut broker, (id, epoch + 1), true).0, E::InvalidTxnState);
    assert_eq!(end(&mut broker, (id, epoch + 1), false), (E::None, id, epoch + 2), "nothing is in it, and it may be aborted");
    assert_eq!(end(&mut broker, (id, epoch), false).0, E::ProducerFenced);
    assert_eq!(end(&mut broker, (id + 1, epoch), false).0, E::InvalidProducerIdMapping);
    assert_eq!(produce(&mut broker, &cluster, Some("mover"), &[(id, epoch)]), [E::InvalidProducerEpoch], "it is an older one's");
}

#[test]
fn partitions_are_added_where_all_of_them_exist_and_once_at_a_time() {
    let (mut broker, _) = alone("1");
    let producer = init(&mut broker, "mover");
    assert_eq!(add(&mut broker, &[("mover", producer, &[0, 7])]), [E::OperationNotAttempted, E::UnknownTopicOrPartition]);
    assert_eq!(end(&mut broker, producer, true).0, E::InvalidTxnState, "nothing was added");
    assert_eq!(add(&mut broker, &[("mover", producer, &[0]), ("mover", producer, &[1])]), [E::None, E::ConcurrentTransactions]);
    assert_eq!(add(&mut broker, &[("mover", producer, &[0, 1])]), [E::None, E::None]);
    assert_eq!(add(&mut broker, &[("mover", (producer.0, producer.1 + 1), &[0])]), [E::ProducerFenced]);
    assert_eq!(add(&mut broker, &[("nobody", producer, &[0])]), [E::InvalidProducerIdMapping]);
}

#[test]
fn a_request_with_records_of_transactions_is_of_one_producer_that_has_an_id() {
    let (mut broker, cluster) = alone("2");
    let (mover, other) = (init(&mut broker, "mover"), init(&mut broker, "other"));
    assert_eq!(produce(&mut broker, &cluster, None, &[mover, mover]), [E::TransactionalIdAuthorizationFailed; 2]);
    assert_eq!(produce(&mut broker, &cluster, Some("mover"), &[mover, other]), [E::InvalidProducerIdMapping; 2]);
    assert_eq!(produce(&mut broker, &cluster, Some("mover"), &[mover]), [E::None]);
    assert_eq!(produce(&mut broker, &cluster, None, &[mover]), [E::TransactionalIdAuthorizationFailed], "its transaction is open");
}

/// A commit of the group: in the transaction of a producer, or by itself.
fn commit(broker: &mut Direct, producer: Option<(&str, (i64, i16))>, offset: i64) {
    let error = match producer {
        Some((id, (producer, epoch))) => {
            let partition = k::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
            let topic = k::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default().with_name(named("out"));
            let message = k::TxnOffsetCommitRequest::default().with_transactional_id(k::TransactionalId(text(id)));
            let message = message.with_producer_id(k::ProducerId(producer)).with_producer_epoch(epoch).with_generation_id(-1);
            let message = message.with_group_id(k::GroupId(text(GROUP))).with_topics(vec![topic.with_partitions(vec![partition])]);
            broker.ask_alone(Request::TxnOffsetCommit(Arc::new(message)))
        }
        None => {
            let partition = k::offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(offset);
            let topic = k::offset_commit_request::OffsetCommitRequestTopic::default().with_name(named("out"));
            let message = k::OffsetCommitRequest::default().with_group_id(k::GroupId(text(GROUP))).with_generation_id_or_member_epoch(-1);
            broker.ask_alone(Request::OffsetCommit(Arc::new(message.with_topics(vec![topic.with_partitions(vec![partition])]))))
        }
    };
    assert_eq!(error.expect("an answer").error(), E::None);
}

/// What the group is told: its offset, or why not; with `require_stable` and without.
fn told(broker: &mut Direct) -> (Result<i64, E>, Result<i64, E>) {
    let mut ask = |stable: bool| {
        let topic = k::offset_fetch_request::OffsetFetchRequestTopics::default().with_name(named("out")).with_partition_indexes(vec![0]);
        let group = k::offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(k::GroupId(text(GROUP)));
        let group = group.with_topics(Some(vec![topic])).with_member_epoch(-1);
        match broker.ask_alone(Request::OffsetFetch(Arc::new(
            k::OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(stable),
        ))) {
            Some(Response::OffsetFetch(answer)) => {
                let told = &answer.groups[0].topics[0].partitions[0];
                if told.error_code == 0 { Ok(told.committed_offset) } else { Err(E::of(told.error_code)) }
            }
            answer => panic!("no answer to OffsetFetch: {answer:?}"),
        }
    };
    (ask(true), ask(false))
}

/// What another coordinator would make of the same log.
fn loaded(broker: &Direct, cluster: &Cluster) -> Option<i64> {
    let mut coordinator = Coordinator::new(broker.broker.config().coordinator, Chance::new(1));
    let log = &broker.replica(topic_id(cluster, OFFSETS_TOPIC), 0).log;
    coordinator.load(0, 0, log.batches_from(0), broker.broker.image(), &mut Outputs::default());
    let group = coordinator.groups().find(|group| &*group.id == GROUP)?;
    group.offsets.values().next().map(|committed| committed.offset)
}

const UNSTABLE: Result<i64, E> = Err(E::UnstableOffsetCommit);

#[test]
fn what_was_committed_last_counts_in_a_transaction_or_without() {
    let (mut broker, cluster) = alone("2");
    let (mover, other) = (init(&mut broker, "mover"), init(&mut broker, "other"));
    commit(&mut broker, Some(("mover", mover)), 5);
    assert_eq!(told(&mut broker), (UNSTABLE, Ok(-1)));
    commit(&mut broker, None, 9);
    assert_eq!(told(&mut broker), (UNSTABLE, Ok(9)));
    let (error, id, epoch) = end(&mut broker, mover, true);
    assert_eq!((error, told(&mut broker), loaded(&broker, &cluster)), (E::None, (Ok(9), Ok(9)), Some(9)), "the older one came to nothing");
    commit(&mut broker, Some(("mover", (id, epoch))), 12);
    commit(&mut broker, Some(("other", other)), 11);
    let (_, id, epoch) = end(&mut broker, (id, epoch), true);
    assert_eq!((told(&mut broker), loaded(&broker, &cluster)), ((UNSTABLE, Ok(12)), Some(12)));
    commit(&mut broker, Some(("mover", (id, epoch))), 14);
    // The transaction of `other` times out or is fenced: never mind; that of `mover` is aborted.
    assert_eq!(end(&mut broker, (id, epoch), false).0, E::None);
    assert_eq!((told(&mut broker), loaded(&broker, &cluster)), ((UNSTABLE, Ok(12)), Some(12)));
}

#[test]
fn what_is_deleted_is_not_committed_by_an_open_transaction() {
    let topic = k::offset_delete_request::OffsetDeleteRequestTopic::default().with_name(named("out"));
    let topic = topic.with_partitions(vec![k::offset_delete_request::OffsetDeleteRequestPartition::default()]);
    let offset = k::OffsetDeleteRequest::default().with_group_id(k::GroupId(text(GROUP))).with_topics(vec![topic]);
    let group = k::DeleteGroupsRequest::default().with_groups_names(vec![k::GroupId(text(GROUP))]);
    for deletion in [Request::OffsetDelete(Arc::new(offset)), Request::DeleteGroups(Arc::new(group))] {
        let (mut broker, cluster) = alone("2");
        let mover = init(&mut broker, "mover");
        commit(&mut broker, Some(("mover", mover)), 5);
        assert_eq!(broker.ask_alone(deletion).map(|answer| answer.error()), Some(E::None));
        assert_eq!(told(&mut broker), (Ok(-1), Ok(-1)));
        assert_eq!(end(&mut broker, mover, true).0, E::None);
        assert_eq!((told(&mut broker), loaded(&broker, &cluster)), ((Ok(-1), Ok(-1)), None));
    }
}

/// State, producer and partitions of a transactional id.
type Described = (String, (i64, i16), Vec<i32>);

/// What is told of a transactional id, or why it is not.
fn described(broker: &mut Direct, id: &str) -> Result<Described, E> {
    let message = k::DescribeTransactionsRequest::default().with_transactional_ids(vec![k::TransactionalId(text(id))]);
    match broker.ask(Request::DescribeTransactions(Arc::new(message))) {
        Some(Response::DescribeTransactions(answer)) => {
            let told = &answer.transaction_states[0];
            assert_eq!(told.transactional_id.as_str(), id);
            if told.error_code != 0 {
                return Err(E::of(told.error_code));
            }
            assert_eq!(told.transaction_timeout_ms, 60_000);
            assert_eq!(0 < told.transaction_start_time_ms, !told.topics.is_empty(), "there is a start where there is a transaction");
            let partitions = told.topics.iter().flat_map(|topic| topic.partitions.clone()).collect();
            Ok((told.transaction_state.to_string(), (told.producer_id.0, told.producer_epoch), partitions))
        }
        answer => panic!("no answer to DescribeTransactions: {answer:?}"),
    }
}

/// The ids that are listed, and the states that there are not.
fn listed(broker: &mut Direct, message: k::ListTransactionsRequest) -> (Vec<String>, Vec<String>) {
    match broker.ask(Request::ListTransactions(Arc::new(message))) {
        Some(Response::ListTransactions(answer)) if answer.error_code == 0 => {
            let ids = answer.transaction_states.iter().map(|told| told.transactional_id.to_string()).collect();
            (ids, answer.unknown_state_filters.iter().map(|name| name.to_string()).collect())
        }
        answer => panic!("no answer to ListTransactions: {answer:?}"),
    }
}

#[test]
fn transactions_are_described_and_listed_by_their_coordinator() {
    let (mut broker, _) = alone("1");
    let mover = init(&mut broker, "mover");
    assert_eq!(described(&mut broker, "mover"), Ok(("Empty".to_owned(), mover, vec![])));
    assert_eq!(add(&mut broker, &[("mover", mover, &[1, 0])]), [E::None, E::None]);
    assert_eq!(described(&mut broker, "mover"), Ok(("Ongoing".to_owned(), mover, vec![0, 1])));
    assert_eq!((described(&mut broker, "nobody"), described(&mut broker, "")), (Err(E::TransactionalIdNotFound), Err(E::InvalidRequest)));
    let all = k::ListTransactionsRequest::default;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(listed(&mut broker, all()).0, ["first", "mover"]);
    let states = vec![text("Ongoing"), text("Sleeping")];
    assert_eq!(listed(&mut broker, all().with_state_filters(states)), (names(&["mover"]), names(&["Sleeping"])));
    assert_eq!(listed(&mut broker, all().with_state_filters(vec![text("Sleeping")])).0, names(&[]));
    assert_eq!(listed(&mut broker, all().with_producer_id_filters(vec![k::ProducerId(mover.0)])).0, ["mover"]);
    assert_eq!(listed(&mut broker, all().with_transactional_id_pattern(Some(text("f.*t")))).0, ["first"]);
    assert_eq!(listed(&mut broker, all().with_transactional_id_pattern(Some(text("")))).0, ["first", "mover"]);
    broker.now += 5_000_000;
    // One that has never had a transaction lasts since 1970, as in Kafka.
    assert_eq!(listed(&mut broker, all().with_duration_filter(5_000)).0, ["first"]);
    assert_eq!(listed(&mut broker, all().with_duration_filter(4_999)).0, ["first", "mover"]);
    let wrong = all().with_transactional_id_pattern(Some(text("(")));
    let answer = broker.ask(Request::ListTransactions(Arc::new(wrong))).expect("an answer");
    assert_eq!(answer.error(), E::InvalidRegularExpression);
}

/// What a replica tells of partitions' producers.
fn producers(broker: &mut Direct, asked: &[(&str, &[i32])]) -> Vec<k::describe_producers_response::PartitionResponse> {
    let topic = |(name, indexes): &(&str, &[i32])| {
        k::describe_producers_request::TopicRequest::default().with_name(named(name)).with_partition_indexes(indexes.to_vec())
    };
    let message = k::DescribeProducersRequest::default().with_topics(asked.iter().map(topic).collect());
    match broker.ask(Request::DescribeProducers(Arc::new(message))) {
        Some(Response::DescribeProducers(answer)) => answer.topics.iter().flat_map(|topic| topic.partitions.clone()).collect(),
        answer => panic!("no answer to DescribeProducers: {answer:?}"),
    }
}

#[test]
fn a_replica_tells_of_its_producers() {
    let (mut broker, cluster) = alone("2");
    let mover = init(&mut broker, "mover");
    assert_eq!(produce(&mut broker, &cluster, Some("mover"), &[mover]), [E::None]);
    let told = producers(&mut broker, &[("out", &[0, 1, 2]), ("no", &[0]), ("a/b", &[0])]);
    let errors: Vec<E> = told.iter().map(|told| E::of(told.error_code)).collect();
    assert_eq!(errors, [E::None, E::None, E::UnknownTopicOrPartition, E::UnknownTopicOrPartition, E::InvalidTopicException]);
    let state = |own: &k::describe_producers_response::ProducerState| {
        (own.producer_id.0, own.producer_epoch, own.last_sequence, own.coordinator_epoch, own.current_txn_start_offset)
    };
    assert_eq!(told[0].active_producers.iter().map(state).collect::<Vec<_>>(), [(mover.0, 0, 0, -1, 0)]);
    assert!(told[1].active_producers.is_empty());
    assert_eq!(end(&mut broker, mover, true).0, E::None);
    let own = producers(&mut broker, &[("out", &[0])])[0].active_producers[0].clone();
    assert_eq!((own.producer_epoch, own.last_sequence, own.current_txn_start_offset), (1, -1, -1), "its marker began an epoch");
    assert!(0 <= own.coordinator_epoch);
}

#[test]
fn who_names_itself_says_both_its_id_and_its_epoch() {
    let (mut broker, _) = alone("2");
    let (id, epoch) = init(&mut broker, "mover");
    for transactional in [Some("mover"), None] {
        for (producer, epoch) in [(id, -1), (-1, epoch)] {
            let message = k::InitProducerIdRequest::default().with_transaction_timeout_ms(60_000).with_producer_id(k::ProducerId(producer));
            let message = message.with_transactional_id(transactional.map(|id| k::TransactionalId(text(id)))).with_producer_epoch(epoch);
            let answer = broker.ask_alone(Request::InitProducerId(Arc::new(message)));
            assert_eq!(answer.map(|answer| answer.error()), Some(E::InvalidRequest), "{transactional:?}, {producer}, {epoch}");
        }
    }
}

/// Producers know of generations only (`OffsetMetadataManager.validateTransactionalOffsetCommit`).
#[test]
fn a_producer_of_an_older_member_epoch_is_told_of_an_older_generation() {
    let (mut broker, _) = alone("2");
    let mover = init(&mut broker, "mover");
    let joins = k::ConsumerGroupHeartbeatRequest::default().with_group_id(k::GroupId(text(GROUP))).with_member_id(text("m"));
    let joins =
        joins.with_rebalance_timeout_ms(60_000).with_subscribed_topic_names(Some(vec![named("out")])).with_topic_partitions(Some(vec![]));
    assert_eq!(broker.ask_alone(Request::ConsumerGroupHeartbeat(Arc::new(joins))).map(|answer| answer.error()), Some(E::None));
    let commit = |broker: &mut Direct, member: &str, epoch: i32, (id, producer_epoch): (i64, i16)| {
        let partition = k::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default().with_committed_offset(5);
        let topic = k::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default().with_name(named("out"));
        let message = k::TxnOffsetCommitRequest::default().with_transactional_id(k::TransactionalId(text("mover")));
        let message = message.with_producer_id(k::ProducerId(id)).with_producer_epoch(producer_epoch).with_generation_id(epoch);
        let message = message.with_member_id(text(member)).with_group_id(k::GroupId(text(GROUP)));
        let message = message.with_topics(vec![topic.with_partitions(vec![partition])]);
        broker.ask_alone(Request::TxnOffsetCommit(Arc::new(message))).expect("an answer").error()
    };
    assert_eq!(commit(&mut broker, "m", 7, mover), E::IllegalGeneration);
    assert_eq!(commit(&mut broker, "x", 1, mover), E::UnknownMemberId);
    assert_eq!(commit(&mut broker, "x", 1, (mover.0, mover.1 + 1)), E::ProducerFenced, "its transaction is looked at first");
    assert_eq!(commit(&mut broker, "m", 1, mover), E::None);
    assert_eq!(commit(&mut broker, "", -1, mover), E::None, "a producer need not say for which member it commits");
    assert_eq!(commit(&mut broker, "", 1, mover), E::UnknownMemberId);
}
