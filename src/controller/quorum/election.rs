//! Who gets a vote, and what a voter does to be elected.
//!
//! A voter grants one vote in an epoch, and only to a candidate whose log is not behind its own: so an elected leader has every committed
//! record. A pre-vote asks for less: it changes nothing, and a voter that hears from its leader refuses it, so that one who has merely lost
//! its own connection does not depose a leader that works. Source: KIP-595, KIP-996; `KafkaRaftClient.handleVoteRequest`, `UnattachedState`,
//! `ProspectiveState`, `CandidateState`, `FollowerState` (`canGrantVote`).

use super::messages::{self, Told};
use super::{LogEnd, Quorum, Role};
use crate::mutant;
use crate::node::Time;
use crate::protocol::ErrorCode;
use crate::protocol::wire::Request;
use kafka_protocol::messages as k;
use std::sync::Arc;

/// What a prospective or a candidate has heard.
#[derive(Clone, Debug)]
pub(super) struct Nominee {
    pub granted: Vec<i32>,
    pub rejected: Vec<i32>,
    /// The election timeout.
    pub until: Time,
}

impl Nominee {
    /// It votes for itself.
    pub fn new(own: i32, until: Time) -> Nominee {
        Nominee { granted: vec![own], rejected: Vec::new(), until }
    }
}

impl Quorum {
    pub(super) fn become_prospective(&mut self, now: Time) {
        let until = now + self.election_timeout();
        self.take(Role::Prospective(Nominee::new(self.id, until)));
    }

    pub(super) fn become_candidate(&mut self, now: Time) {
        let until = now + self.election_timeout();
        self.election = super::Election { epoch: self.election.epoch + 1, leader: None, voted: Some(self.id) };
        self.take(Role::Candidate(Nominee::new(self.id, until)));
    }

    /// A prospective was refused, or not heard. The epoch's leader, if there is one, may be well.
    pub(super) fn fall_back(&mut self, now: Time) {
        let epoch = self.election.epoch;
        match self.election.leader {
            Some(leader) => self.become_follower(now, epoch, leader),
            None => self.become_unattached(now, epoch),
        }
    }

    pub(super) fn vote_request(&self, voter: i32) -> Request {
        let mut partition = k::vote_request::PartitionData::default();
        let end = self.log.end();
        partition.replica_epoch = self.election.epoch;
        partition.replica_id = k::BrokerId(self.id);
        partition.last_offset_epoch = end.epoch;
        partition.last_offset = end.offset;
        partition.pre_vote = matches!(self.role, Role::Prospective(_));
        let mut topic = k::vote_request::TopicData::default();
        topic.topic_name = messages::topic();
        topic.partitions.push(partition);
        let mut message = k::VoteRequest::default();
        message.voter_id = k::BrokerId(voter);
        message.topics.push(topic);
        Request::Vote(Arc::new(message))
    }

    pub(super) fn vote(&mut self, now: Time, message: &k::VoteRequest) -> k::VoteResponse {
        let Some(asked) = message.topics.first().and_then(|topic| topic.partitions.first()) else {
            return messages::vote_response(self.told(ErrorCode::InvalidRequest), false);
        };
        let end = LogEnd { epoch: asked.last_offset_epoch, offset: asked.last_offset };
        // A candidate's epoch is newer than anything in its log; a prospective has not raised it yet.
        let epoch_max = if asked.pre_vote { asked.replica_epoch } else { asked.replica_epoch - 1 };
        let error = if end.offset < 0 || end.epoch < 0 || epoch_max < end.epoch {
            ErrorCode::InvalidRequest
        } else if asked.replica_epoch < self.election.epoch {
            ErrorCode::FencedLeaderEpoch
        } else {
            ErrorCode::None
        };
        if error != ErrorCode::None {
            return messages::vote_response(self.told(error), false);
        }
        if self.election.epoch < asked.replica_epoch {
            self.become_unattached(now, asked.replica_epoch);
        }
        let candidate = asked.replica_id.0;
        let is_up_to_date = self.log.end() <= end || mutant::is("vote-without-log-check");
        let granted = self.grants(candidate, is_up_to_date, asked.pre_vote);
        if granted && !asked.pre_vote {
            self.election.voted = Some(candidate);
            // Whoever got the vote has as good a chance as this one: it gets the time for it.
            let until = now + self.election_timeout();
            match &mut self.role {
                Role::Unattached { until: election } => *election = until,
                _ => self.become_prospective_again(until),
            }
        }
        messages::vote_response(self.told(ErrorCode::None), granted)
    }

    fn become_prospective_again(&mut self, until: Time) {
        self.take(Role::Prospective(Nominee::new(self.id, until)));
    }

    fn grants(&self, candidate: i32, is_up_to_date: bool, pre_vote: bool) -> bool {
        match &self.role {
            Role::Leader(_) => false,
            Role::Follower { fetched, .. } => pre_vote && is_up_to_date && !fetched,
            Role::Candidate(_) | Role::Resigned { .. } => pre_vote && is_up_to_date,
            Role::Unattached { .. } | Role::Prospective(_) if pre_vote => is_up_to_date,
            Role::Unattached { .. } | Role::Prospective(_) => match self.election.voted {
                Some(voted) => voted == candidate || mutant::is("two-votes-in-an-epoch"),
                None => self.election.leader.is_none() && is_up_to_date,
            },
        }
    }

    pub(super) fn vote_answered(&mut self, now: Time, voter: i32, message: &k::VoteResponse) {
        let Some(answer) = message.topics.first().and_then(|topic| topic.partitions.first()) else { return };
        if self.hear_answer(now, ErrorCode::of(answer.error_code), answer.leader_epoch, answer.leader_id.0) {
            return;
        }
        if let Role::Prospective(nominee) | Role::Candidate(nominee) = &mut self.role {
            let votes = if answer.vote_granted { &mut nominee.granted } else { &mut nominee.rejected };
            votes.push(voter);
        }
    }

    /// What every answer of this voter says.
    pub(super) fn told(&self, error: ErrorCode) -> Told {
        Told { error, epoch: self.election.epoch, leader: self.election.leader }
    }
}
