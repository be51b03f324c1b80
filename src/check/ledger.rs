//! The invariants of transactions over the whole cluster, by what the coordinators' log says below its high watermark.
//!
//! T1: a transaction's states follow one another as they may. T2: a marker ends a transaction as its coordinator has decided. T3: records of a transaction
//! are where it was registered. T7: a producer's epochs rise, and one producer has an id. T8: a former coordinator writes no marker.

use super::Verdict;
use super::transactions::News;
use crate::node::Partition;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::transaction_records::{TransactionValue, read_key};
use crate::protocol::{Batch, Outcome};
use std::sync::Arc;

const EMPTY: i8 = 0;
const ONGOING: i8 = 1;
const PREPARE_COMMIT: i8 = 2;
const PREPARE_ABORT: i8 = 3;
const COMPLETE_COMMIT: i8 = 4;
const COMPLETE_ABORT: i8 = 5;

/// What was decided of a producer's transactions in one epoch: under version 1 of several.
#[derive(Clone, Debug, Default)]
struct Epoch {
    /// Where they may have records.
    registered: OrderedSet<Partition>,
    commits: bool,
    aborts: bool,
    /// In which epoch of the coordinator the last one was decided.
    decided_in: i32,
}

#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// How far each partition of the coordinators' topic was taken in.
    read: OrderedMap<Partition, i64>,
    /// State, producer id and epoch of each transactional id.
    ids: OrderedMap<Arc<str>, (i8, i64, i16)>,
    /// Whose a producer id is.
    owners: OrderedMap<i64, Arc<str>>,
    epochs: OrderedMap<(i64, i16), Epoch>,
}

impl Ledger {
    pub fn read_to(&self, log: &Partition) -> i64 {
        self.read.get(log).copied().unwrap_or(0)
    }

    /// Takes in what has become committed of a partition of the coordinators' topic: `batches` are those from where [`Ledger::read_to`] says.
    pub fn extend(&mut self, log: &Partition, batches: &[Batch]) -> Verdict {
        let Some(last) = batches.last() else { return Ok(()) };
        self.read.insert(log.clone(), last.next_offset());
        for batch in batches {
            for record in batch.records().flatten() {
                let Some(Ok(id)) = record.key.as_ref().map(read_key) else { continue };
                match record.value.as_ref().map(TransactionValue::read) {
                    Some(Ok(value)) => self.changed(&Arc::from(id), value, batch.leader_epoch)?,
                    Some(Err(_)) => {}
                    None => _ = self.ids.remove(id.as_str()),
                }
            }
        }
        Ok(())
    }

    fn changed(&mut self, id: &Arc<str>, value: TransactionValue, leader_epoch: i32) -> Verdict {
        let (state, producer, epoch) = (value.state, value.producer_id, value.producer_epoch);
        let before = self.ids.insert(id.clone(), (state, producer, epoch));
        let from = before.map(|(state, ..)| state);
        let is_over = matches!(from, Some(EMPTY | COMPLETE_COMMIT | COMPLETE_ABORT));
        let may_follow = match state {
            EMPTY => from.is_none() || is_over,
            ONGOING => from == Some(ONGOING) || is_over,
            PREPARE_COMMIT => from == Some(ONGOING),
            PREPARE_ABORT => from == Some(ONGOING) || value.transaction_version == 2 && is_over,
            COMPLETE_COMMIT => from == Some(PREPARE_COMMIT),
            _ => from == Some(PREPARE_ABORT),
        };
        if !may_follow {
            return Err(("T1", format!("transactional id {id} went from state {from:?} to {state}")));
        }
        if let Some((from, was, had)) = before.filter(|(_, was, _)| *was == producer)
            && (epoch < had || state == EMPTY && from != EMPTY && epoch == had)
        {
            return Err(("T7", format!("{id}'s producer {was} went from epoch {had} in state {from} to {epoch} in state {state}")));
        }
        let owner = self.owners.or_insert_with(producer, || id.clone());
        if *owner != *id {
            return Err(("T7", format!("{owner} and {id} both have producer id {producer}")));
        }
        let own = self.epochs.or_default((producer, epoch));
        match state {
            ONGOING => {
                let named = value.partitions.into_iter().flatten().flat_map(|(topic, indexes)| {
                    let topic: Arc<str> = Arc::from(topic);
                    indexes.into_iter().map(move |index| Partition { topic: topic.clone(), index })
                });
                own.registered.extend(named);
            }
            PREPARE_COMMIT | PREPARE_ABORT => {
                own.decided_in = leader_epoch;
                own.commits |= state == PREPARE_COMMIT;
                own.aborts |= state == PREPARE_ABORT;
            }
            _ => {}
        }
        Ok(())
    }

    /// Records or a marker are committed in a partition.
    pub fn happened(&self, name: &Partition, news: &News) -> Verdict {
        match *news {
            News::Began { producer, epoch } => {
                if self.epochs.get(&(producer, epoch)).is_some_and(|own| own.registered.contains(name)) {
                    return Ok(());
                }
                Err((
                    "T3",
                    format!("{name} has records of producer {producer} in epoch {epoch}, whose transaction it was not registered in"),
                ))
            }
            News::Marked { producer, epoch, marker, newest } => {
                let own = self.epochs.get(&(producer, epoch));
                let is_decided = own.is_some_and(|own| if marker.outcome == Outcome::Commit { own.commits } else { own.aborts });
                if !is_decided {
                    let told =
                        format!("{name} has a marker {:?} of producer {producer} in epoch {epoch}, which nobody decided", marker.outcome);
                    return Err(("T2", told));
                }
                let least = newest.max(own.map_or(0, |own| own.decided_in));
                if marker.coordinator_epoch < least {
                    let had = marker.coordinator_epoch;
                    let told =
                        format!("{name} has a marker of producer {producer} by a coordinator of epoch {had}, after one of epoch {least}");
                    return Err(("T8", told));
                }
                Ok(())
            }
        }
    }
}
