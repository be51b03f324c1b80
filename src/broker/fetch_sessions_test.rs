//! After Kafka's `FetchSessionTest`.

use super::*;
use k::fetch_response::FetchableTopicResponse;
use uuid::Uuid;

const SECOND: Time = 1_000 * MS;
const CONSUMER: i32 = -1;

fn topic(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn request(id: i32, epoch: i32, replica: i32, partitions: &[(u128, i32, i64)]) -> k::FetchRequest {
    let mut message = k::FetchRequest::default().with_session_id(id).with_session_epoch(epoch);
    message.replica_state.replica_id = k::BrokerId(replica);
    for (number, index, offset) in partitions {
        let asked = FetchPartition::default().with_partition(*index).with_fetch_offset(*offset);
        message.topics.push(FetchTopic::default().with_topic_id(topic(*number)).with_partitions(vec![asked]));
    }
    message
}

fn asked(message: &k::FetchRequest) -> Vec<(u128, i32, i64)> {
    let of_topic = |topic: &FetchTopic| {
        let id = topic.topic_id.as_u128();
        topic.partitions.iter().map(move |asked| (id, asked.partition, asked.fetch_offset)).collect::<Vec<_>>()
    };
    message.topics.iter().flat_map(of_topic).collect()
}

/// What a partition has to tell: topic, index, high watermark, log start offset, error.
type Told = (u128, i32, i64, i64, i16);

/// The broker answers a request whose session was found; returns the session and the partitions told of.
fn answer(sessions: &mut FetchSessions, now: Time, message: &k::FetchRequest, told: &[Told]) -> (k::FetchResponse, Vec<(u128, i32)>) {
    let mut response = k::FetchResponse::default();
    let mut batches = Vec::new();
    for (number, index, high_watermark, log_start, error) in told {
        let data = PartitionData::default()
            .with_partition_index(*index)
            .with_high_watermark(*high_watermark)
            .with_log_start_offset(*log_start)
            .with_error_code(*error);
        response.responses.push(FetchableTopicResponse::default().with_topic_id(topic(*number)).with_partitions(vec![data]));
        batches.push(Vec::new());
    }
    let mut number = 0;
    let draw = || {
        number += 1;
        // The first draw is no session id at all, the next may be taken.
        (number - 1) << 33
    };
    sessions.close(now, message, &mut response, &mut batches, draw);
    let of_topic = |topic: &FetchableTopicResponse| {
        let id = topic.topic_id.as_u128();
        topic.partitions.iter().map(move |data| (id, data.partition_index)).collect::<Vec<_>>()
    };
    let partitions: Vec<(u128, i32)> = response.responses.iter().flat_map(of_topic).collect();
    assert_eq!(batches.len(), partitions.len(), "each partition told of has its batches");
    (response, partitions)
}

/// A full request of partitions 0 and up of topic 1; returns the id of the session, 0 if there is none.
fn opened(sessions: &mut FetchSessions, now: Time, replica: i32, size: i32) -> i32 {
    let partitions: Vec<(u128, i32, i64)> = (0..size).map(|index| (1, index, 0)).collect();
    let message = sessions.open(now, Arc::new(request(0, INITIAL_EPOCH, replica, &partitions))).expect("a full request is never refused");
    let told: Vec<Told> = (0..size).map(|index| (1, index, 10, 0, 0)).collect();
    answer(sessions, now, &message, &told).0.session_id
}

fn open(sessions: &mut FetchSessions, now: Time, message: k::FetchRequest) -> Result<Arc<k::FetchRequest>, ErrorCode> {
    sessions.open(now, Arc::new(message))
}

#[test]
fn an_incremental_request_reads_what_the_session_remembers() {
    let mut sessions = FetchSessions::new(10);
    let id = opened(&mut sessions, 0, CONSUMER, 2);
    assert!(0 < id);
    let message = open(&mut sessions, 1, request(id, 1, CONSUMER, &[(1, 1, 5), (2, 0, 7)])).expect("the right epoch");
    assert_eq!(asked(&message), [(1, 0, 0), (1, 1, 5), (2, 0, 7)], "one as it was, one moved on, one is new");
    let (response, told) = answer(&mut sessions, 1, &message, &[(1, 0, 10, 0, 0), (1, 1, 11, 0, 0), (2, 0, 0, 0, 0)]);
    assert_eq!((response.session_id, told), (id, vec![(1, 1), (2, 0)]), "what stands as it stood is left out");
    let message = open(&mut sessions, 2, request(id, 2, CONSUMER, &[])).expect("the right epoch");
    let (_, told) = answer(&mut sessions, 2, &message, &[(1, 0, 10, 3, 0), (1, 1, 11, 0, 0), (2, 0, 0, 0, 0)]);
    assert_eq!(told, [(1, 0)], "a log start offset that moved is news");
}

#[test]
fn an_error_is_always_told_and_so_is_its_end() {
    let mut sessions = FetchSessions::new(10);
    let id = opened(&mut sessions, 0, CONSUMER, 2);
    let mut epoch = 0;
    let mut next = |first: Told| {
        epoch += 1;
        let message = open(&mut sessions, 1, request(id, epoch, CONSUMER, &[])).expect("the right epoch");
        answer(&mut sessions, 1, &message, &[first, (1, 1, 10, 0, 0)]).1
    };
    let error = ErrorCode::NotLeaderOrFollower.code();
    assert_eq!(next((1, 0, -1, 0, error)), [(1, 0)]);
    assert_eq!(next((1, 0, -1, 0, error)), [(1, 0)]);
    assert_eq!(next((1, 0, 10, 0, 0)), [(1, 0)], "no error any more");
    assert_eq!(next((1, 0, 10, 0, 0)), []);
}

#[test]
fn forgotten_partitions_are_not_read_and_an_empty_session_ends() {
    let mut sessions = FetchSessions::new(10);
    let id = opened(&mut sessions, 0, CONSUMER, 2);
    let forget = |epoch: i32, index: i32| {
        let forgotten = ForgottenTopic::default().with_topic_id(topic(1)).with_partitions(vec![index]);
        request(id, epoch, CONSUMER, &[]).with_forgotten_topics_data(vec![forgotten])
    };
    let message = open(&mut sessions, 1, forget(1, 0)).expect("the right epoch");
    assert_eq!(asked(&message), [(1, 1, 0)]);
    let message = open(&mut sessions, 2, forget(2, 1)).expect("the right epoch");
    assert_eq!(asked(&message), []);
    assert_eq!(answer(&mut sessions, 2, &message, &[]).0.session_id, NO_SESSION);
    assert_eq!(open(&mut sessions, 3, request(id, 3, CONSUMER, &[])).err(), Some(ErrorCode::FetchSessionIdNotFound));
}

#[test]
fn a_wrong_id_epoch_or_topic_is_refused_and_changes_nothing() {
    let mut sessions = FetchSessions::new(10);
    let id = opened(&mut sessions, 0, CONSUMER, 1);
    assert_eq!(open(&mut sessions, 1, request(id + 1, 1, CONSUMER, &[])).err(), Some(ErrorCode::FetchSessionIdNotFound));
    for epoch in [-2, 2, i32::MAX, i32::MIN] {
        let refused = open(&mut sessions, 1, request(id, epoch, CONSUMER, &[(9, 9, 9)]));
        assert_eq!(refused.err(), Some(ErrorCode::InvalidFetchSessionEpoch), "epoch {epoch}");
    }
    assert_eq!(open(&mut sessions, 1, request(id, 1, CONSUMER, &[(0, 0, 0)])).err(), Some(ErrorCode::FetchSessionTopicIdError));
    let message = open(&mut sessions, 1, request(id, 1, CONSUMER, &[])).expect("epoch 1 is still the next");
    assert_eq!(asked(&message), [(1, 0, 0)]);
}

#[test]
fn a_full_request_ends_the_session_that_it_names() {
    for last in [INITIAL_EPOCH, FINAL_EPOCH] {
        let mut sessions = FetchSessions::new(10);
        let id = opened(&mut sessions, 0, CONSUMER, 1);
        let message = open(&mut sessions, 1, request(id, last, CONSUMER, &[(1, 0, 0)])).expect("never refused");
        let reopened = answer(&mut sessions, 1, &message, &[(1, 0, 10, 0, 0)]).0.session_id;
        assert_eq!(reopened != NO_SESSION, last == INITIAL_EPOCH);
        assert_eq!(sessions.sessions.len(), usize::from(last == INITIAL_EPOCH));
    }
}

#[test]
fn an_answer_that_was_overtaken_is_refused() {
    let mut sessions = FetchSessions::new(10);
    let id = opened(&mut sessions, 0, CONSUMER, 1);
    let waiting = open(&mut sessions, 1, request(id, 1, CONSUMER, &[])).expect("the right epoch");
    open(&mut sessions, 1, request(id, 2, CONSUMER, &[])).expect("the right epoch");
    let (response, told) = answer(&mut sessions, 2, &waiting, &[(1, 0, 11, 0, 0)]);
    assert_eq!((response.error_code, told), (ErrorCode::InvalidFetchSessionEpoch.code(), vec![]));
}

#[test]
fn without_slots_nobody_has_a_session() {
    let mut sessions = FetchSessions::new(0);
    assert_eq!(opened(&mut sessions, 0, 1, 5), NO_SESSION);
}

#[test]
fn idle_sessions_make_way_for_any_other() {
    let mut sessions = FetchSessions::new(2);
    let (first, second) = (opened(&mut sessions, 0, CONSUMER, 3), opened(&mut sessions, 0, CONSUMER, 3));
    open(&mut sessions, 60 * SECOND, request(first, 1, CONSUMER, &[])).expect("the right epoch");
    assert_eq!(opened(&mut sessions, 120 * SECOND, CONSUMER, 1), NO_SESSION, "just as long is not longer");
    assert_ne!(opened(&mut sessions, 120 * SECOND + 1, CONSUMER, 1), NO_SESSION);
    assert!(sessions.sessions.contains_key(&first) && sessions.sessions.len() == 2, "{second} is gone or its place is taken");
}

#[test]
fn a_larger_session_takes_the_place_of_a_smaller_one_that_has_lasted() {
    let mut sessions = FetchSessions::new(1);
    let id = opened(&mut sessions, 0, CONSUMER, 3);
    assert_eq!(opened(&mut sessions, 0, CONSUMER, 9), NO_SESSION, "it is too young");
    open(&mut sessions, 100 * SECOND, request(id, 1, CONSUMER, &[])).expect("the right epoch");
    open(&mut sessions, 121 * SECOND, request(id, 2, CONSUMER, &[])).expect("the right epoch");
    assert_eq!(opened(&mut sessions, 121 * SECOND, CONSUMER, 3), NO_SESSION, "no larger");
    assert_ne!(opened(&mut sessions, 121 * SECOND, CONSUMER, 4), NO_SESSION);
}

#[test]
fn followers_push_consumers_out_and_never_the_other_way() {
    let mut sessions = FetchSessions::new(1);
    assert_ne!(opened(&mut sessions, 0, CONSUMER, 9), NO_SESSION);
    let follower = opened(&mut sessions, 1, 2, 1);
    assert_ne!(follower, NO_SESSION, "at once, and smaller");
    assert_eq!(opened(&mut sessions, 2, 3, 9), NO_SESSION, "another follower's is too young");
    for (epoch, second) in [(1, 100), (2, 122)] {
        open(&mut sessions, second * SECOND, request(follower, epoch, 2, &[])).expect("the right epoch");
    }
    assert_eq!(opened(&mut sessions, 122 * SECOND, CONSUMER, 99), NO_SESSION);
    assert_ne!(opened(&mut sessions, 122 * SECOND, 3, 2), NO_SESSION, "a larger follower's");
}
