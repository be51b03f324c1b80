//! The invariants of the metadata quorum, and of what brokers make of its log.
//!
//! Q1 (election safety): a quorum epoch has one leader at most. Q2: a committed record of the metadata log never changes and never vanishes,
//! and every controller's committed log is a prefix of the same log. Q3 (leader completeness): whoever is elected has every committed record. Q4: a
//! broker has applied committed records only, each of them once and in order: its image is that of the committed log at its offset. Q5: the
//! leader of a partition acts on no decision that is not committed. The names follow Raft's own (Ongaro and Ousterhout, figure 3); Kafka's
//! are those of `RaftEventSimulationTest`.

use super::{Verdict, decided};
use crate::controller::Controller;
use crate::node::{NodeId, Note, NoteKind, Partition};
use crate::ordered::OrderedMap;
use crate::protocol::metadata::{MetadataEntry, MetadataImage};
use crate::protocol::wire::Api;
use crate::replica::Replica;
use crate::sim::World;

#[derive(Clone, Debug, Default)]
pub struct MetadataCheck {
    /// What the quorum has committed so far. `None`: a controller that is alone committed it and put it into a snapshot at once, where it is not seen.
    committed: Vec<Option<MetadataEntry>>,
    /// Up to where each controller's committed log was compared.
    compared: OrderedMap<i32, i64>,
    /// Who led in each epoch.
    leaders: OrderedMap<i32, i32>,
}

impl MetadataCheck {
    /// Looks at a controller that has done something, or at a broker that has asked for more of the metadata log.
    pub fn note(&mut self, world: &World, note: &Note) -> Verdict {
        match (note.node, &note.kind) {
            (NodeId::Controller(id), _) => match world.controllers().find(|(controller, _)| controller.id() == id) {
                Some((controller, _)) => self.controller(controller, world.controllers().count() == 1),
                None => Ok(()),
            },
            (NodeId::Broker(id), NoteKind::RequestSent { to: NodeId::Controller(_), summary, .. }) if summary.api == Api::Fetch => {
                self.broker(world, id)
            }
            _ => Ok(()),
        }
    }

    fn controller(&mut self, controller: &Controller, is_alone: bool) -> Verdict {
        let (id, quorum) = (controller.id(), controller.quorum());
        let end = quorum.high_watermark();
        let start = quorum.log().start_offset();
        if is_alone && (self.committed.len() as i64) < start {
            self.committed.resize(start as usize, None);
        }
        if (self.committed.len() as i64) < start {
            let end = self.committed.len();
            return Err(("Q2", format!("controller {id} has a snapshot for the metadata log before {start}, and {end} is committed")));
        }
        let from = self.compared.insert(id, end).unwrap_or(0).min(end).min(self.committed.len() as i64).max(start);
        if from < end {
            let own = quorum.log().from(from).iter().take((end - from) as usize);
            for (offset, entry) in (from..).zip(own) {
                match self.committed.get(offset as usize) {
                    None => self.committed.push(Some(entry.clone())),
                    Some(Some(known)) if known != entry => {
                        return Err((
                            "Q2",
                            format!("controller {id} holds another record than the committed one at metadata offset {offset}"),
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
        let epoch = quorum.election().epoch;
        if quorum.is_leader() && self.leaders.get(&epoch) != Some(&id) {
            if let Some(other) = self.leaders.insert(epoch, id) {
                return Err(("Q1", format!("controllers {other} and {id} both lead in quorum epoch {epoch}")));
            }
            let (end, start) = (self.committed.len(), start.min(self.committed.len() as i64));
            let (log, committed) = (quorum.log().from(start), &self.committed[start as usize..]);
            if log.len() < committed.len() || log.iter().zip(committed).any(|(own, known)| is_other(own, known)) {
                return Err(("Q3", format!("controller {id} was elected in epoch {epoch} without all of the metadata log up to {end}")));
            }
        }
        Ok(())
    }

    fn broker(&self, world: &World, id: i32) -> Verdict {
        let Some((broker, _)) = world.broker(id) else { return Ok(()) };
        let (epoch, end) = (broker.applied_epoch(), broker.image().next_offset);
        let Some(last) = end.checked_sub(1).filter(|last| 0 <= *last) else { return Ok(()) };
        match self.committed.get(last as usize) {
            None => {
                Err(("Q4", format!("broker {id} has applied the metadata log to {end}, and it is committed to {}", self.committed.len())))
            }
            Some(Some(committed)) if committed.epoch != epoch => {
                let sentence = format!(
                    "broker {id} has applied a record of epoch {epoch} at metadata offset {last}, where epoch {} is committed",
                    committed.epoch
                );
                Err(("Q4", sentence))
            }
            Some(_) => Ok(()),
        }
    }

    /// Q5, at a leader that has moved its high watermark.
    pub fn led(world: &World, name: &Partition, broker: i32, replica: &Replica) -> Verdict {
        let (Some(role), Some(state)) = (replica.leader(), decided(world, name)) else { return Ok(()) };
        if role.partition_epoch <= state.partition_epoch {
            return Ok(());
        }
        let (own, committed) = (role.partition_epoch, state.partition_epoch);
        Err(("Q5", format!("broker {broker} leads {name} by partition epoch {own}, and {committed} is the last one committed")))
    }

    /// Every controller and every broker against all of the committed log.
    pub fn in_full(&self, world: &World) -> Verdict {
        for (controller, _) in world.controllers() {
            // What a command has just done no event has shown yet.
            let (log, end) = (controller.quorum().log(), (controller.quorum().high_watermark() as usize).min(self.committed.len()));
            let start = (log.start_offset() as usize).min(end);
            let own = log.from(log.start_offset());
            if own.len() < end - start || own.iter().zip(&self.committed[start..end]).any(|(own, known)| is_other(own, known)) {
                return Err(("Q2", format!("controller {} holds another metadata log than the committed one", controller.id())));
            }
        }
        let brokers = world.brokers().map(|(broker, _)| (NodeId::Broker(broker.id()), broker.image()));
        let snapshots =
            world.controllers().map(|(controller, _)| (NodeId::Controller(controller.id()), &*controller.quorum().log().snapshot().image));
        let (mut image, mut images) = (MetadataImage::default(), brokers.chain(snapshots).collect::<Vec<_>>());
        images.sort_by_key(|(_, image)| image.next_offset);
        for (node, own) in images {
            let end = own.next_offset;
            while image.next_offset < end
                && let Some(entry) = self.committed.get(image.next_offset as usize)
            {
                match entry {
                    Some(entry) => image.apply(&entry.record),
                    None => image = own.clone(),
                }
            }
            if *own != image {
                return Err(("Q4", format!("the image of {} is not that of the committed metadata log at {end}", world.name(node))));
            }
        }
        Ok(())
    }
}

/// Whether a controller's record is not the one that is known to be committed.
fn is_other(own: &MetadataEntry, known: &Option<MetadataEntry>) -> bool {
    known.as_ref().is_some_and(|known| known != own)
}
