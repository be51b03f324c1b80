//! What only the active controller does, and how a controller comes to be it.
//!
//! Owns when office is taken and left, the answers that wait until what they say is committed, and the refusals of everybody else. The quorum's
//! leader takes office once a record of its own epoch is committed: by then its log holds all that was ever decided, and the image is made
//! from it. What it decides is in its image at once, so that the next request is checked against it; it is told to nobody before a majority
//! of the controllers has it. A controller that loses office forgets what it had decided. Source: `QuorumController` (`claim`, `renounce`,
//! `DeferredEventQueue`), KIP-631.

use super::{Controller, Session};
use crate::mutant;
use crate::node::{Connection, NodeId, NoteKind, Outputs, Time, Timer};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::wire::{Request, Response};
use k::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages as k;
use std::sync::Arc;

#[derive(Clone, Default, Debug)]
pub(super) struct Office {
    /// The quorum's epoch in which it is held; `None`: another controller is active, or none.
    epoch: Option<i32>,
    answers: Vec<Answer>,
    /// When sessions are looked at next, preferred leaders, and partitions without a leader: the alarms of an earlier time in office mean nothing.
    pub sessions_at: Time,
    pub preferred_at: Time,
    pub unclean_at: Time,
}

/// An answer that waits until the log is committed up to an offset.
#[derive(Clone, Debug)]
struct Answer {
    offset: i64,
    to: Connection,
    correlation: u32,
    request: Request,
    response: Response,
}

impl Office {
    pub fn forget_answers_to(&mut self, gone: impl Fn(Connection) -> bool) {
        self.answers.retain(|answer| !gone(answer.to));
    }
}

impl Controller {
    /// Whether it is the active controller.
    pub fn is_active(&self) -> bool {
        self.office.epoch.is_some()
    }

    /// Takes or leaves office as the quorum has it, and gives the answers that are committed by now.
    pub(super) fn attend(&mut self, now: Time, out: &mut Outputs) {
        let leads = self.quorum.active_epoch();
        if self.office.epoch != leads {
            if self.is_active() {
                self.leave_office(out);
            }
            if let Some(epoch) = leads {
                self.take_office(now, epoch, out);
            }
        }
        let committed = self.quorum.high_watermark();
        if self.office.answers.iter().any(|answer| answer.offset <= committed) {
            for answer in std::mem::take(&mut self.office.answers) {
                if answer.offset <= committed {
                    out.respond(answer.to, answer.correlation, answer.response);
                } else {
                    self.office.answers.push(answer);
                }
            }
        }
    }

    fn take_office(&mut self, now: Time, epoch: i32, out: &mut Outputs) {
        self.image = self.quorum.log().image();
        // How long ago a broker was heard, nobody wrote down: each gets a whole session from now on.
        let expires = now + self.config.broker_session_timeout;
        self.sessions = OrderedMap::new();
        for (broker, known) in &self.image.brokers {
            let expires = (!known.fenced).then_some(expires);
            let session = Session { incarnation: known.incarnation, expires, metadata_offset: -1, shutdown_offset: None };
            self.sessions.insert(*broker, session);
        }
        let sessions_at = now + self.config.broker_session_timeout / 2;
        let preferred_at = now + self.config.leader_imbalance_check_interval;
        let unclean_at = now + self.config.unclean_interval;
        self.office = Office { epoch: Some(epoch), answers: Vec::new(), sessions_at, preferred_at, unclean_at };
        out.timer(sessions_at, Timer::BrokerSessions);
        out.timer(preferred_at, Timer::PreferredLeaders);
        out.timer(unclean_at, Timer::UncleanLeaders);
        out.note(NoteKind::ControllerElected { controller: self.id, epoch });
    }

    fn leave_office(&mut self, out: &mut Outputs) {
        let Office { epoch, answers, .. } = std::mem::take(&mut self.office);
        self.image = MetadataImage::default();
        self.sessions = OrderedMap::new();
        for answer in answers {
            refuse(answer.to, answer.correlation, &answer.request, out);
        }
        out.note(NoteKind::ControllerResigned { controller: self.id, epoch: epoch.unwrap_or_default() });
    }

    /// Serves a request that only the active controller may.
    pub(super) fn serve(&mut self, now: Time, from: Connection, correlation: u32, request: Request, out: &mut Outputs) {
        if !self.is_active() {
            refuse(from, correlation, &request, out);
            return;
        }
        let notes = out.notes.len();
        let asked = request.clone();
        let Some(response) = self.answer(now, request, out) else { return };
        self.withhold(notes, out);
        let offset = self.image.next_offset;
        let may_tell = offset <= self.quorum.high_watermark() || mutant::is("decision-told-uncommitted");
        // The person at the page does not wait.
        if may_tell || from.peer == NodeId::Admin {
            out.respond(from, correlation, response);
        } else {
            self.office.answers.push(Answer { offset, to: from, correlation, request: asked, response });
        }
    }

    /// Keeps what has just been noted, from this note on, until what was decided is committed.
    pub(super) fn withhold(&mut self, from: usize, out: &mut Outputs) {
        let end = self.quorum.log().end();
        if self.quorum.high_watermark() < end.offset {
            self.undecided.extend(out.notes.drain(from..).map(|note| (end, note)));
        }
    }
}

/// Another controller is the active one.
fn refuse(to: Connection, correlation: u32, request: &Request, out: &mut Outputs) {
    let code = ErrorCode::NotController.code();
    let response = match request {
        Request::BrokerRegistration(_) => {
            let mut message = k::BrokerRegistrationResponse::default();
            (message.error_code, message.broker_epoch) = (code, -1);
            Response::BrokerRegistration(Arc::new(message))
        }
        Request::BrokerHeartbeat(_) => {
            let mut message = k::BrokerHeartbeatResponse::default();
            message.error_code = code;
            Response::BrokerHeartbeat(Arc::new(message))
        }
        Request::AlterPartition(_) => {
            let mut message = k::AlterPartitionResponse::default();
            message.error_code = code;
            Response::AlterPartition(Arc::new(message))
        }
        Request::AllocateProducerIds(_) => {
            let mut message = k::AllocateProducerIdsResponse::default();
            message.error_code = code;
            Response::AllocateProducerIds(Arc::new(message))
        }
        Request::CreateTopics(asked) => {
            let mut message = k::CreateTopicsResponse::default();
            for topic in &asked.topics {
                let mut result = CreatableTopicResult::default();
                result.name = topic.name.clone();
                result.error_code = code;
                message.topics.push(result);
            }
            Response::CreateTopics(Arc::new(message))
        }
        // The user's requests are brought to the active controller; nobody else sends another.
        _ => return,
    };
    out.respond(to, correlation, response);
}
