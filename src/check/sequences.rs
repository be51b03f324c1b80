//! The invariants of idempotence within one partition's logs.
//!
//! I1: of a producer's epoch the batches in a log follow each other without a gap. I2: none is there twice. I5: none of an older epoch comes behind one of
//! a newer. I4: what a replica knows of producers is what its log tells. That a repeat is answered with the first offset (I3), and that no record is
//! written twice by whatever way, is asked of the whole history in the end. Compacted logs are left out: batches of theirs are gone.

use super::Verdict;
use crate::node::Partition;
use crate::ordered::OrderedMap;
use crate::protocol::batch::increment_sequence;
use crate::protocol::{Batch, BatchHeader};
use crate::storage::{BATCHES_KEPT, Log};

/// The last batch of each producer in each broker's log, as appends have told it: epoch and last sequence.
#[derive(Clone, Debug, Default)]
pub struct SequenceCheck {
    last: OrderedMap<(i32, i64), (i16, i32)>,
}

/// A batch of an idempotent producer that says something about its sequences: with sequences of its own, or a marker, which may begin an epoch.
fn idempotent(batch: &Batch) -> Option<BatchHeader> {
    let has_say = |header: &BatchHeader| header.is_idempotent() && (header.is_control() || 0 <= header.base_sequence);
    BatchHeader::read(&batch.bytes).ok().filter(has_say)
}

impl SequenceCheck {
    /// A broker's log is not only longer than before.
    pub fn forget(&mut self, broker: i32) {
        self.last.retain(|(known, _), _| *known != broker);
    }

    pub fn appended(&mut self, name: &Partition, broker: i32, batch: &Batch) -> Verdict {
        let Some(header) = idempotent(batch) else { return Ok(()) };
        let before = self.last.get(&(broker, header.producer_id)).copied();
        // Of whom nothing is known here (any more), a marker tells nothing.
        if before.is_none() && header.is_control() {
            return Ok(());
        }
        // A marker of the same epoch leaves the sequences as they are; one of a new epoch comes before its first.
        let last = if header.is_control() {
            before.map_or(-1, |(epoch, last)| if epoch == header.producer_epoch { last } else { -1 })
        } else {
            header.last_sequence()
        };
        let now = (header.producer_epoch, last);
        self.last.insert((broker, header.producer_id), now);
        let Some((epoch, last)) = before else { return Ok(()) };
        let (id, offset) = (header.producer_id, batch.base_offset);
        if header.producer_epoch < epoch {
            return Err((
                "I5",
                format!("broker {broker} has a batch of producer {id} at {offset} of {name} in epoch {}, after epoch {epoch}", now.0),
            ));
        }
        let expected = if header.producer_epoch == epoch { increment_sequence(last, 1) } else { 0 };
        if header.base_sequence != expected && !header.is_control() {
            let told =
                format!("broker {broker} has sequence {} of producer {id} at {offset} of {name}, after {last}", header.base_sequence);
            return Err(("I1", told));
        }
        Ok(())
    }
}

/// I4: replayed from the first batch on, a log tells what its replica knows. Who has written nothing that is left may be known all the same.
pub fn known_as_written(name: &Partition, broker: i32, log: &Log) -> Verdict {
    let mut told: OrderedMap<i64, (i16, Vec<(i32, i64)>)> = OrderedMap::new();
    for batch in log.batches_from(log.local_start_offset()) {
        // What a coordinator has written in a transaction has no sequence, and is kept with the rest.
        let Some(header) = BatchHeader::read(&batch.bytes).ok().filter(BatchHeader::is_idempotent) else { continue };
        let own = told.or_insert_with(header.producer_id, || (header.producer_epoch, Vec::new()));
        if own.0 != header.producer_epoch {
            *own = (header.producer_epoch, Vec::new());
        }
        if !header.is_control() {
            own.1.push((header.base_sequence, batch.base_offset));
        }
    }
    for (id, (epoch, written)) in &told {
        let known = log.producers().all().find(|(known, _)| known == id).map(|(_, state)| state);
        let newest = &written[written.len().saturating_sub(BATCHES_KEPT)..];
        let agrees = known.is_some_and(|known| {
            let kept: Vec<(i32, i64)> = known.written().iter().map(|written| (written.first_sequence, written.base_offset)).collect();
            known.epoch == *epoch && kept.ends_with(newest)
        });
        if !agrees {
            return Err((
                "I4",
                format!("broker {broker} knows {known:?} of producer {id} in {name}, and its log says {newest:?} in epoch {epoch}"),
            ));
        }
    }
    let stranger = log.producers().all().find(|(id, _)| !told.contains_key(id)).filter(|_| log.local_start_offset() == 0);
    match stranger {
        Some((id, _)) => Err(("I4", format!("broker {broker} knows producer {id} in {name}, of whom its log has nothing"))),
        None => Ok(()),
    }
}
