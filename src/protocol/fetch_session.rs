//! The fetcher's side of a fetch session: what a broker remembers is not said again, and what it does not tell has not changed.
//!
//! Owns which partitions the broker knows of, and the epoch of the next request. Knows nothing of who fetches and what becomes of the records.
//! Source: `FetchSessionHandler`, `FetchMetadata`; KIP-227.

use super::ErrorCode;
use crate::ordered::OrderedMap;
use k::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages as k;
use uuid::Uuid;

/// The epoch of a request that reads everything and opens a session.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that reads everything and wants no session.
pub const FINAL_EPOCH: i32 = -1;
/// The session id of a request without a session.
pub const NO_SESSION: i32 = 0;

/// The epoch behind this one: after the last comes 1, for 0 opens a session.
pub fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

/// A fetcher's session with one broker.
#[derive(Clone, Debug)]
pub struct FetchSession {
    id: i32,
    /// Of the next request.
    epoch: i32,
    /// As they were asked for last, by topic id and index.
    partitions: OrderedMap<(Uuid, i32), FetchPartition>,
}

impl Default for FetchSession {
    fn default() -> FetchSession {
        FetchSession { id: NO_SESSION, epoch: INITIAL_EPOCH, partitions: OrderedMap::new() }
    }
}

impl FetchSession {
    /// Writes into a request what it has to say so that all of `wanted`, which comes in the order of topic ids and indexes, is read: everything, or
    /// only what is other than before. `false`: there is nothing to read, and nothing to forget.
    pub fn ask(&mut self, message: &mut k::FetchRequest, wanted: impl Iterator<Item = (Uuid, FetchPartition)>) -> bool {
        (message.session_id, message.session_epoch) = (self.id, self.epoch);
        let known = std::mem::take(&mut self.partitions);
        for (topic, asked) in wanted {
            let key = (topic, asked.partition);
            if self.epoch == INITIAL_EPOCH || known.get(&key) != Some(&asked) {
                if message.topics.last().is_none_or(|last| last.topic_id != topic) {
                    message.topics.push(FetchTopic::default().with_topic_id(topic));
                }
                if let Some(last) = message.topics.last_mut() {
                    last.partitions.push(asked.clone());
                }
            }
            self.partitions.insert(key, asked);
        }
        if self.epoch != INITIAL_EPOCH {
            for (topic, index) in known.keys().filter(|key| !self.partitions.contains_key(*key)) {
                if message.forgotten_topics_data.last().is_none_or(|last| last.topic_id != *topic) {
                    message.forgotten_topics_data.push(ForgottenTopic::default().with_topic_id(*topic));
                }
                if let Some(last) = message.forgotten_topics_data.last_mut() {
                    last.partitions.push(*index);
                }
            }
        }
        !self.partitions.is_empty() || !message.forgotten_topics_data.is_empty()
    }

    /// What was asked for last of a partition.
    pub fn asked(&self, topic: Uuid, index: i32) -> Option<&FetchPartition> {
        self.partitions.get(&(topic, index))
    }

    /// Takes an answer in; whether it can be used. One that cannot leads to a full request, which closes what session there is.
    pub fn answered(&mut self, response: &k::FetchResponse) -> bool {
        let is_full = self.epoch == INITIAL_EPOCH;
        let mut told = 0;
        let mut parts =
            response.responses.iter().flat_map(|topic| topic.partitions.iter().map(|data| (topic.topic_id, data.partition_index)));
        let asked_for = parts.all(|key| {
            told += 1;
            self.partitions.contains_key(&key)
        });
        // A full answer tells of everything.
        let is_right = asked_for && (!is_full || told == self.partitions.len());
        if response.error_code != 0 || !is_right {
            if response.error_code == ErrorCode::FetchSessionIdNotFound.code() || response.error_code == 0 && is_full {
                self.id = NO_SESSION;
            }
            self.epoch = INITIAL_EPOCH;
            return false;
        }
        if response.session_id == NO_SESSION {
            (self.id, self.epoch) = (NO_SESSION, INITIAL_EPOCH);
        } else if is_full {
            (self.id, self.epoch) = (response.session_id, next_epoch(INITIAL_EPOCH));
        } else {
            self.epoch = next_epoch(self.epoch);
        }
        true
    }

    /// No answer will come: the broker may have gone on or not. The next request reads everything, and closes what session there is.
    pub fn lost(&mut self) {
        self.epoch = INITIAL_EPOCH;
    }

    /// The request that ends the session; `None` if there is none.
    pub fn end(&mut self) -> Option<k::FetchRequest> {
        let id = std::mem::take(self).id;
        (id != NO_SESSION).then(|| k::FetchRequest::default().with_session_id(id).with_session_epoch(FINAL_EPOCH))
    }
}

#[cfg(test)]
mod tests {
    //! After Kafka's `FetchSessionHandlerTest`.

    use super::*;
    use k::fetch_response::{FetchableTopicResponse, PartitionData};

    fn topic(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// What the next request says: session and epoch, what to read, what to forget.
    type Said = ((i32, i32), Vec<(u128, i32, i64)>, Vec<(u128, i32)>);

    fn ask(session: &mut FetchSession, wanted: &[(u128, i32, i64)]) -> Said {
        let mut message = k::FetchRequest::default();
        let wanted = wanted
            .iter()
            .map(|(number, index, offset)| (topic(*number), FetchPartition::default().with_partition(*index).with_fetch_offset(*offset)));
        session.ask(&mut message, wanted);
        let read = message
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |asked| (topic.topic_id.as_u128(), asked.partition, asked.fetch_offset)));
        let forgotten = message
            .forgotten_topics_data
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |index| (topic.topic_id.as_u128(), *index)));
        ((message.session_id, message.session_epoch), read.collect(), forgotten.collect())
    }

    fn answer(session: &mut FetchSession, id: i32, error: ErrorCode, told: &[(u128, i32)]) -> bool {
        let mut response = k::FetchResponse::default().with_session_id(id).with_error_code(error.code());
        response.responses = told
            .iter()
            .map(|(number, index)| {
                let data = PartitionData::default().with_partition_index(*index);
                FetchableTopicResponse::default().with_topic_id(topic(*number)).with_partitions(vec![data])
            })
            .collect();
        session.answered(&response)
    }

    /// A session with number 123 that knows of two partitions.
    fn opened() -> FetchSession {
        let mut session = FetchSession::default();
        assert_eq!(ask(&mut session, &[(1, 0, 0), (1, 1, 10)]), ((0, 0), vec![(1, 0, 0), (1, 1, 10)], vec![]));
        assert!(answer(&mut session, 123, ErrorCode::None, &[(1, 0), (1, 1)]));
        session
    }

    #[test]
    fn a_request_of_a_session_says_only_what_is_other_than_before() {
        let mut session = opened();
        assert_eq!(ask(&mut session, &[(1, 0, 0), (1, 1, 10)]), ((123, 1), vec![], vec![]), "nothing");
        assert!(answer(&mut session, 123, ErrorCode::None, &[(1, 1)]));
        assert_eq!(ask(&mut session, &[(1, 0, 0), (1, 1, 20), (2, 0, 7)]), ((123, 2), vec![(1, 1, 20), (2, 0, 7)], vec![]));
        assert!(answer(&mut session, 123, ErrorCode::None, &[]));
        assert_eq!(ask(&mut session, &[(1, 1, 20)]), ((123, 3), vec![], vec![(1, 0), (2, 0)]), "two are left out");
        assert!(answer(&mut session, 123, ErrorCode::None, &[]));
        assert_eq!(ask(&mut session, &[(1, 0, 0), (1, 1, 20)]), ((123, 4), vec![(1, 0, 0)], vec![]), "one is back");
        assert!(answer(&mut session, 123, ErrorCode::None, &[]));
        assert_eq!(ask(&mut session, &[(3, 1, 20)]).2, [(1, 0), (1, 1)], "a topic of the same name and another id is another");
    }

    #[test]
    fn a_broker_without_room_is_asked_for_everything_every_time() {
        let mut session = FetchSession::default();
        for _ in 0..3 {
            assert_eq!(ask(&mut session, &[(1, 0, 0)]), ((0, 0), vec![(1, 0, 0)], vec![]));
            assert!(answer(&mut session, 0, ErrorCode::None, &[(1, 0)]));
        }
    }

    #[test]
    fn after_an_error_everything_is_asked_for_again() {
        for (error, id) in [
            (ErrorCode::FetchSessionIdNotFound, 0),
            (ErrorCode::InvalidFetchSessionEpoch, 123),
            (ErrorCode::FetchSessionTopicIdError, 123),
            (ErrorCode::UnknownServerError, 123),
        ] {
            let mut session = opened();
            ask(&mut session, &[(1, 0, 0)]);
            assert!(!answer(&mut session, 0, error, &[]));
            // An old session that the broker may still have is named, so that it is closed.
            assert_eq!(ask(&mut session, &[(1, 0, 0)]), ((id, 0), vec![(1, 0, 0)], vec![]), "{error:?}");
        }
        let mut session = opened();
        ask(&mut session, &[(1, 0, 0)]);
        session.lost();
        assert_eq!(ask(&mut session, &[(1, 0, 0)]), ((123, 0), vec![(1, 0, 0)], vec![]));
        assert!(answer(&mut session, 124, ErrorCode::None, &[(1, 0)]));
        assert_eq!(ask(&mut session, &[(1, 0, 0)]).0, (124, 1));
    }

    #[test]
    fn a_session_that_the_broker_ends_is_over() {
        let mut session = opened();
        assert_eq!(ask(&mut session, &[]), ((123, 1), vec![], vec![(1, 0), (1, 1)]));
        assert!(answer(&mut session, 0, ErrorCode::None, &[]));
        assert_eq!(ask(&mut session, &[(1, 0, 0)]).0, (0, 0));
    }

    #[test]
    fn an_answer_that_tells_too_little_or_too_much_is_not_used() {
        let mut session = FetchSession::default();
        ask(&mut session, &[(1, 0, 0), (1, 1, 10)]);
        assert!(!answer(&mut session, 123, ErrorCode::None, &[(1, 0)]), "a full answer tells of everything");
        assert_eq!(ask(&mut session, &[(1, 0, 0)]).0, (0, 0));
        assert!(!answer(&mut session, 123, ErrorCode::None, &[(1, 0), (2, 0)]));
        let mut session = opened();
        ask(&mut session, &[(1, 0, 0)]);
        assert!(!answer(&mut session, 123, ErrorCode::None, &[(1, 1)]), "that one is forgotten");
        assert_eq!(ask(&mut session, &[(1, 0, 0)]).0, (123, 0));
    }

    #[test]
    fn nothing_to_read_and_nothing_to_forget_is_no_request() {
        assert!(!FetchSession::default().ask(&mut k::FetchRequest::default(), std::iter::empty()));
        assert!(FetchSession::default().end().is_none());
        let ending = opened().end().expect("there is one");
        assert_eq!((ending.session_id, ending.session_epoch, ending.topics.len()), (123, -1, 0));
    }

    #[test]
    fn the_epoch_behind_the_last_is_one() {
        assert_eq!([0, 1, i32::MAX - 1, i32::MAX].map(next_epoch), [1, 2, i32::MAX, 1]);
    }
}
