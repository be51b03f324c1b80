//! Share sessions: what a member of a share group reads on this broker, so that it says only what changes (KIP-932).
//!
//! A session belongs to a group's member and to the connection on which it was begun: with the connection it ends, and what the member had goes back.
//! Source: `ShareSessionCache`, `SharePartitionManager.newContext`, `acknowledgeSessionUpdate`.

use crate::node::Connection;
use crate::ordered::OrderedMap;
use crate::protocol::{ErrorCode, FINAL_EPOCH, INITIAL_EPOCH, next_epoch};
use crate::replica::PartitionKey;
use std::sync::Arc;

/// A group and its member.
pub(super) type Whose = (Arc<str>, Arc<str>);

#[derive(Clone, Debug)]
struct Session {
    /// The one that its next request has.
    epoch: i32,
    partitions: Vec<PartitionKey>,
    from: Connection,
}

#[derive(Clone, Default, Debug)]
pub(super) struct ShareSessions {
    sessions: OrderedMap<Whose, Session>,
}

/// What a request adds to a session and takes out of it.
pub(super) struct Wanted {
    pub added: Vec<PartitionKey>,
    pub forgotten: Vec<PartitionKey>,
    pub acknowledges: bool,
}

impl ShareSessions {
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// A fetch in this epoch: which partitions it asks for, beginning with another one every time.
    pub fn fetch(
        &mut self,
        whose: &Whose,
        epoch: i32,
        wanted: Wanted,
        from: Connection,
        sessions_max: usize,
    ) -> Result<Vec<PartitionKey>, ErrorCode> {
        if epoch == FINAL_EPOCH {
            return if self.sessions.contains_key(whose) { Ok(Vec::new()) } else { Err(ErrorCode::ShareSessionNotFound) };
        }
        if epoch == INITIAL_EPOCH {
            if wanted.acknowledges {
                return Err(ErrorCode::InvalidRequest);
            }
            self.sessions.remove(whose);
            if sessions_max <= self.sessions.len() {
                return Err(ErrorCode::ShareSessionLimitReached);
            }
            self.sessions.insert(whose.clone(), Session { epoch, partitions: Vec::new(), from });
        }
        let session = self.continued(whose, epoch)?;
        for key in wanted.added {
            if !session.partitions.contains(&key) {
                session.partitions.push(key);
            }
        }
        session.partitions.retain(|key| !wanted.forgotten.contains(key));
        let mut asked = session.partitions.clone();
        if !asked.is_empty() {
            asked.rotate_left(usize::try_from(epoch).unwrap_or(0) % session.partitions.len());
        }
        Ok(asked)
    }

    /// An acknowledgement in this epoch.
    pub fn acknowledge(&mut self, whose: &Whose, epoch: i32) -> Result<(), ErrorCode> {
        match epoch {
            INITIAL_EPOCH => Err(ErrorCode::InvalidShareSessionEpoch),
            FINAL_EPOCH if self.sessions.contains_key(whose) => Ok(()),
            _ => self.continued(whose, epoch).map(|_| ()),
        }
    }

    fn continued(&mut self, whose: &Whose, epoch: i32) -> Result<&mut Session, ErrorCode> {
        let session = self.sessions.get_mut(whose).ok_or(ErrorCode::ShareSessionNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        session.epoch = next_epoch(epoch);
        Ok(session)
    }

    /// Whether anybody of a group reads here.
    pub fn has_members(&self, group: &str) -> bool {
        self.sessions.keys().any(|(own, _)| **own == *group)
    }

    pub fn end(&mut self, whose: &Whose) {
        self.sessions.remove(whose);
    }

    /// The sessions whose connections are gone end. Returns whose they were.
    pub fn forget(&mut self, gone: impl Fn(Connection) -> bool) -> Vec<Whose> {
        let lost: Vec<Whose> = self.sessions.iter().filter(|(_, session)| gone(session.from)).map(|(whose, _)| whose.clone()).collect();
        lost.iter().for_each(|whose| self.end(whose));
        lost
    }
}
