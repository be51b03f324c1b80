//! What groups commit.
//!
//! G7: what a coordinator tells to be committed lies below the high watermark of its log, and one that takes over has the offsets that its log says,
//! read here once more. T10: what was committed in a transaction counts when that has committed. G10: the members of a group commit nothing beyond what one of them was given, so that a crash costs a repetition and
//! no record (at least once).

use super::Verdict;
use crate::node::{NodeId, Partition, TopicName};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::group_records::{GroupKey, OffsetValue};
use crate::protocol::{Batch, BatchHeader, Outcome};
use crate::sim::{Application, World};
use std::sync::Arc;

/// Commits of one key that an advance of the high watermark may bring, also one that comes late, of a leader that was replaced long ago.
const REMEMBERED: usize = 256;

/// A group and a partition that it reads.
type Key = (Arc<str>, Partition);

#[derive(Clone, Debug, Default)]
pub struct Commits {
    /// How far each partition of the offsets topic was taken in.
    read: OrderedMap<Partition, i64>,
    /// The newest commits of each key that the log holds below its high watermark, the last one last; `None`: taken back.
    logged: OrderedMap<Key, Vec<Option<i64>>>,
    /// What is committed there in transactions that are open.
    open: OrderedMap<Partition, Open>,
    /// Behind the last record that a member of the group was given, or where it was told to begin.
    given: OrderedMap<Key, i64>,
    /// What was committed of each partition when a consumer was closed last, which commits what it was handed and has not come to yet; or when its
    /// topic was deleted, for a commit may be on its way.
    closed: OrderedMap<Partition, i64>,
    /// Names of topics that were deleted.
    deleted: OrderedSet<TopicName>,
}

impl Commits {
    /// A consumer was given records.
    pub fn delivered(&mut self, world: &World, consumer: NodeId, partition: &Partition, end: i64) {
        if let Some(group) = group_of(world, consumer) {
            let given = self.given.or_default((group, partition.clone()));
            *given = end.max(*given);
        }
    }

    /// A consumer was closed, or the partition's topic deleted, when a partition was committed to `end`.
    pub fn closed(&mut self, partition: &Partition, end: i64) {
        self.closed.insert(partition.clone(), end);
    }

    /// Takes in what has become committed of a partition of the offsets topic: `batches` are those from where [`Commits::read_to`] says.
    pub fn extend(&mut self, offsets: &Partition, batches: &[Batch]) {
        let Some(last) = batches.last() else { return };
        self.read.insert(offsets.clone(), last.next_offset());
        let open = self.open.or_default(offsets.clone());
        for (key, value) in batches.iter().flat_map(|batch| open.counting(batch)) {
            let logged = self.logged.or_default(key);
            if logged.len() == REMEMBERED {
                logged.remove(0);
            }
            logged.push(value);
        }
    }

    pub fn read_to(&self, offsets: &Partition) -> i64 {
        self.read.get(offsets).copied().unwrap_or(0)
    }

    /// A topic is deleted.
    pub fn deleted(&mut self, topic: &TopicName) {
        self.deleted.insert(topic.clone());
    }

    /// G7: a coordinator tells that an offset is committed.
    pub fn is_logged(&self, group: &Arc<str>, partition: &Partition, offset: i64) -> Verdict {
        let logged = self.logged.get(&(group.clone(), partition.clone()));
        if logged.is_some_and(|logged| logged.contains(&Some(offset))) {
            return Ok(());
        }
        let is_open = |open: &Open| open.0.iter().any(|(_, key, told)| key.0 == *group && key.1 == *partition && *told == Some(offset));
        if self.open.values().any(is_open) {
            return Err(("T10", format!("group {group} has committed offset {offset} of {partition} before its transaction has")));
        }
        let told = format!(
            "group {group} was told that offset {offset} of {partition} is committed, and its log has no such commit below the high watermark"
        );
        Err(("G7", told))
    }

    /// G7: a broker takes a group over. `tail` is what its log holds beyond what is committed.
    pub fn loaded<'a>(
        &self,
        world: &World,
        node: NodeId,
        group: &Arc<str>,
        offsets: &Partition,
        tail: impl Iterator<Item = &'a Batch>,
    ) -> Verdict {
        let NodeId::Broker(broker) = node else { return Ok(()) };
        let mut expected: OrderedMap<Partition, i64> = OrderedMap::new();
        for ((_, partition), logged) in self.logged.iter().filter(|((of, _), _)| of == group) {
            logged.last().copied().flatten().map(|offset| expected.insert(partition.clone(), offset));
        }
        let mut open = self.open.get(offsets).cloned().unwrap_or_default();
        for ((_, partition), value) in tail.flat_map(|batch| open.counting(batch)).filter(|((of, _), _)| of == group) {
            match value {
                Some(offset) => _ = expected.insert(partition, offset),
                None => _ = expected.remove(&partition),
            }
        }
        let known = world.broker(broker).and_then(|(broker, _)| broker.coordinator().groups().find(|known| known.id == *group));
        let mut found: OrderedMap<Partition, i64> = known
            .into_iter()
            .flat_map(|known| &known.offsets)
            .map(|((topic, index), committed)| (Partition { topic: topic.clone(), index: *index }, committed.offset))
            .collect();
        // Of a topic that was deleted, and perhaps made anew, a coordinator forgets the offsets as soon as it takes over.
        expected.retain(|partition, _| !self.deleted.contains(&partition.topic));
        found.retain(|partition, _| !self.deleted.contains(&partition.topic));
        if found == expected {
            return Ok(());
        }
        Err(("G7", format!("broker {broker} took over group {group} with the offsets {found:?}, and its log has {expected:?}")))
    }

    /// G10: a group commits. Without a member it may be an admin, who knows what to pass over. `batches` are the partition's committed ones from
    /// [`Commits::given_to`] on.
    pub fn committed(&mut self, group: &Arc<str>, partition: &Partition, offset: i64, by_member: bool, batches: &[Batch]) -> Verdict {
        let closed = self.closed.get(partition).copied().unwrap_or(0);
        let given = self.given.or_default((group.clone(), partition.clone()));
        *given = closed.max(*given);
        let has_records = |batch: &&Batch| {
            // Control records are given to nobody, and those of transactions perhaps not.
            batch.base_offset < offset && BatchHeader::read(&batch.bytes).is_ok_and(|header| !header.is_transactional())
        };
        let passed = batches.iter().find(has_records).filter(|_| by_member && *given < offset);
        match passed {
            Some(batch) => {
                let told = format!(
                    "group {group} committed offset {offset} of {partition}, and none of its members was given offset {}",
                    batch.base_offset.max(*given)
                );
                Err(("G10", told))
            }
            None => {
                *given = offset.max(*given);
                Ok(())
            }
        }
    }

    pub fn given_to(&self, group: &Arc<str>, partition: &Partition) -> i64 {
        self.given.get(&(group.clone(), partition.clone())).copied().unwrap_or(0)
    }

    /// A consumer begins at an offset that its reset policy chose, or where logs part.
    pub fn reset(&mut self, world: &World, consumer: NodeId, partition: &Partition, offset: i64) {
        self.delivered(world, consumer, partition, offset);
    }
}

fn group_of(world: &World, consumer: NodeId) -> Option<Arc<str>> {
    match &world.client_at(consumer)?.application {
        Application::Consumer { consumer, .. } => consumer.config().group.clone(),
        Application::Producer { .. } => None,
    }
}

/// Commits in open transactions in the order of the log: the producer, whose it is, and the offset unless another came after it.
#[derive(Clone, Debug, Default)]
struct Open(Vec<(i64, Key, Option<i64>)>);

impl Open {
    /// What counts from a batch on, in order; without an offset: taken back.
    fn counting(&mut self, batch: &Batch) -> Vec<(Key, Option<i64>)> {
        let producer = batch.header().ok().filter(BatchHeader::is_transactional).map(|header| header.producer_id);
        let mut counting = Vec::new();
        match (producer, batch.marker()) {
            (Some(producer), Some(marker)) => {
                for place in 0..self.0.len() {
                    let (of, key, offset) = self.0[place].clone();
                    if of == producer && marker.outcome == Outcome::Commit && offset.is_some() {
                        self.0[..place].iter_mut().filter(|(_, older, _)| *older == key).for_each(|older| older.2 = None);
                        counting.push((key, offset));
                    }
                }
                self.0.retain(|(of, ..)| *of != producer);
            }
            (Some(producer), None) => {
                for (key, offset) in commits_of(batch) {
                    self.0.retain(|(of, known, _)| (of, known) != (&producer, &key));
                    self.0.push((producer, key, offset));
                }
            }
            (None, _) => {
                for (key, offset) in commits_of(batch) {
                    let of_key = self.0.iter_mut().filter(|(_, known, _)| *known == key);
                    of_key.for_each(|known| known.2 = None);
                    self.0.retain(|(_, known, _)| offset.is_some() || *known != key);
                    counting.push((key, offset));
                }
            }
        }
        counting
    }
}

/// The commits that a batch of the offsets topic holds; without an offset: taken back.
fn commits_of(batch: &Batch) -> impl Iterator<Item = (Key, Option<i64>)> {
    batch.records().flatten().filter_map(|record| match GroupKey::read(&record.key?) {
        Ok(GroupKey::Offset { group, topic, partition }) => {
            let value = record.value.map(|value| OffsetValue::read(&value)).transpose().ok()?;
            let partition = Partition { topic: Arc::from(topic), index: partition };
            Some(((Arc::from(group), partition), value.map(|value| value.offset)))
        }
        _ => None,
    })
}
