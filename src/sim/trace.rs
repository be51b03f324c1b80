//! What happened, in order: the newest notes, and a hash of all of them.
//!
//! It stays outside the world: a world can be copied and run again, and its notes come out the same.

use crate::node::{Note, NoteKind};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Notes kept; older ones can be had again by running from a snapshot.
pub const NOTES_MAX: usize = 200_000;
/// Marks kept for the timeline.
pub const MARKS_MAX: usize = 5_000;

/// With fewer notes that lead to a moment, what led to it cannot be read.
const LEAD_NOTES: u64 = 5_000;

/// The trace of one session up to now, and what is known of the time after it: going back forgets nothing, for the same comes again.
#[derive(Clone, Default, Debug)]
pub struct Trace {
    notes: VecDeque<Note>,
    /// Index of the first note kept.
    first: u64,
    /// Index of the next note to come.
    next: u64,
    /// Index of the first note that has never come.
    known: u64,
    /// The notes that are no part of the history, by index: they do not come again by themselves.
    asides: VecDeque<(u64, Note)>,
    hash: TraceHash,
    marks: VecDeque<Mark>,
}

/// A note that belongs on the timeline.
#[derive(Clone, Debug)]
pub struct Mark {
    pub index: u64,
    pub note: Note,
}

/// Where a trace stood: enough to go there.
#[derive(Clone, Copy, Default, Debug)]
pub struct TracePoint {
    next: u64,
    hash: TraceHash,
}

impl Trace {
    /// Index of the next note.
    pub fn next_index(&self) -> u64 {
        self.next
    }

    /// Index after the last note kept.
    fn end(&self) -> u64 {
        self.first + self.notes.len() as u64
    }

    pub fn push(&mut self, note: Note) {
        note.hash(&mut self.hash);
        while let Ok(place) = self.asides.binary_search_by_key(&self.next, |(index, _)| *index) {
            self.keep(self.asides[place].1.clone());
        }
        self.keep(note);
    }

    /// Keeps a note that is no part of the history: a refused command leaves no trace in the hash. Nothing may be known of the time after it.
    pub fn push_aside(&mut self, note: Note) {
        debug_assert_eq!(self.next, self.known, "what is known to follow would get another index");
        if self.asides.len() == NOTES_MAX {
            self.asides.pop_front();
        }
        self.asides.push_back((self.next, note.clone()));
        self.keep(note);
    }

    fn keep(&mut self, note: Note) {
        let is_kept = self.next < self.end();
        debug_assert!(!is_kept || self.notes.get((self.next - self.first) as usize) == Some(&note), "{note:?} comes otherwise than before");
        if self.known <= self.next {
            if note.kind.is_mark() {
                if self.marks.len() == MARKS_MAX {
                    self.marks.pop_front();
                }
                self.marks.push_back(Mark { index: self.next, note: note.clone() });
            }
            self.known = self.next + 1;
        }
        if !is_kept {
            if self.notes.len() == NOTES_MAX {
                self.notes.pop_front();
                self.first += 1;
            }
            self.notes.push_back(note);
        }
        self.next += 1;
    }

    /// Notes from `since` on, with their indices; those no longer kept are left out.
    pub fn since(&self, since: u64) -> impl Iterator<Item = (u64, &Note)> {
        let place = |index: u64| usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let end = place(self.next);
        let skip = place(since).min(end);
        (self.first + skip as u64..).zip(self.notes.range(skip..end))
    }

    /// The notes that are kept with their indices, the newest first.
    pub fn newest(&self) -> impl Iterator<Item = (u64, &Note)> {
        let end = (self.next - self.first) as usize;
        self.notes.range(..end).enumerate().rev().map(|(place, note)| (self.first + place as u64, note))
    }

    /// All marks that are known, those of a time that is still to come again too.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter()
    }

    /// 16 hexadecimal digits; equal for equal histories.
    pub fn hash(&self) -> String {
        format!("{:016x}", self.hash.finish())
    }

    pub fn point(&self) -> TracePoint {
        TracePoint { next: self.next, hash: self.hash }
    }

    /// Whether the notes before a point, which led to it, are kept: all of them or a good many.
    pub fn leads_to(&self, point: TracePoint) -> bool {
        (self.first == 0 || self.first + LEAD_NOTES <= point.next) && point.next <= self.end()
    }

    /// Stands at a point of this history, before or after now. Notes that do not lead to it are no longer kept.
    pub fn stand_at(&mut self, point: TracePoint) {
        if point.next < self.first || self.end() < point.next {
            self.notes.clear();
            self.first = point.next;
        }
        self.next = point.next;
        self.hash = point.hash;
    }

    /// Something else than before will happen from now on.
    pub fn forget_future(&mut self) {
        let next = self.next;
        self.notes.truncate((next - self.first) as usize);
        self.marks.retain(|mark| mark.index < next);
        self.asides.retain(|(index, _)| *index < next);
        self.known = next;
    }
}

impl NoteKind {
    /// Whether the timeline shows it, and stepping "until something interesting" stops at it.
    pub fn is_mark(&self) -> bool {
        match self {
            NoteKind::TopicCreated { .. }
            | NoteKind::PartitionsCreated { .. }
            | NoteKind::TopicDeleted { .. }
            | NoteKind::ConfigsAltered { .. }
            | NoteKind::BrokerConfigsAltered { .. }
            | NoteKind::UncleanElection { .. }
            | NoteKind::BrokerCrashed
            | NoteKind::ControllerCrashed
            | NoteKind::ControllerResigned { .. }
            | NoteKind::BrokerFenced { .. }
            | NoteKind::BrokerUnfenced { .. }
            | NoteKind::IsrShrunk { .. }
            | NoteKind::IsrExpanded { .. }
            | NoteKind::Truncated { .. }
            | NoteKind::SegmentsDeleted { .. }
            | NoteKind::LogCompacted { .. }
            | NoteKind::RecordFailed { .. }
            | NoteKind::PowerLost
            | NoteKind::RecordsLost { .. }
            | NoteKind::BrokerFrozen { .. }
            | NoteKind::BrokerThawed
            | NoteKind::BrokerStopping
            | NoteKind::BrokerStopped
            | NoteKind::BrokerAdded
            | NoteKind::ReassignmentStarted { .. }
            | NoteKind::ReassignmentCompleted { .. }
            | NoteKind::ReassignmentCancelled { .. }
            | NoteKind::BrokerRemoved
            | NoteKind::MemberLeft { .. }
            | NoteKind::Rebalanced { .. } => true,
            // The first leader of a new partition is no election.
            NoteKind::LeaderElected { leader_epoch, .. } => 0 < *leader_epoch,
            // Nor is the first controller of a cluster.
            NoteKind::ControllerElected { epoch, .. } => 1 < *epoch,
            _ => false,
        }
    }
}

/// A 64-bit hash that is the same on every machine: all integers enter as 64 bits, whatever the size of a pointer.
#[derive(Clone, Copy, Debug)]
struct TraceHash(u64);

impl Default for TraceHash {
    fn default() -> TraceHash {
        TraceHash(0xcbf2_9ce4_8422_2325)
    }
}

impl TraceHash {
    fn mix(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

impl Hasher for TraceHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
        }
        let mut rest = [0; 8];
        rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        self.mix(u64::from_le_bytes(rest) ^ bytes.len() as u64);
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.mix(word as i64 as u64);
    }
}
