//! Share groups (KIP-932), by what the share coordinators' log says below its high watermark.
//!
//! S5: what a share partition has come to is the word of its leaders in their order: after one of a newer epoch has spoken, none of an older one is heard.
//! Only a state that begins anew forgets who spoke.

use super::Verdict;
use crate::node::Partition;
use crate::ordered::OrderedMap;
use crate::protocol::Batch;
use crate::protocol::share_records::{ShareKey, ShareState, ShareUpdate};

#[derive(Clone, Default, Debug)]
pub struct ShareStates {
    /// How far each partition of the coordinators' topic was taken in.
    read: OrderedMap<Partition, i64>,
    /// The epoch of the leader that spoke last of each share partition.
    spoken: OrderedMap<ShareKey, i32>,
    /// Some of the log may be lost.
    pub is_torn: bool,
}

impl ShareStates {
    pub fn read_to(&self, log: &Partition) -> i64 {
        self.read.get(log).copied().unwrap_or(0)
    }

    /// Takes in what has become committed of a partition of the coordinators' topic: `batches` are those from where [`ShareStates::read_to`] says.
    pub fn extend(&mut self, log: &Partition, batches: &[Batch]) -> Verdict {
        let Some(last) = batches.last() else { return Ok(()) };
        self.read.insert(log.clone(), last.next_offset());
        for record in batches.iter().flat_map(Batch::records).flatten() {
            let Some(Ok((key, is_snapshot))) = record.key.as_ref().map(ShareKey::read) else { continue };
            match record.value {
                None => _ = self.spoken.remove(&key),
                Some(value) if is_snapshot => {
                    let Ok(state) = ShareState::read(&value) else { continue };
                    let begins = state.leader_epoch == 0 && state.batches.is_empty();
                    self.speaks(key, state.leader_epoch, begins)?;
                }
                Some(value) => {
                    let Ok(update) = ShareUpdate::read(&value) else { continue };
                    self.speaks(key, update.leader_epoch, false)?;
                }
            }
        }
        Ok(())
    }

    fn speaks(&mut self, key: ShareKey, epoch: i32, begins: bool) -> Verdict {
        let before = self.spoken.get(&key).copied().filter(|before| !begins && epoch < *before);
        let told = before.map(|before| {
            let ShareKey { group, topic, index } = &key;
            format!(
                "the share coordinator of group {group} heeds the leader of epoch {epoch} of {topic}-{index} after that of epoch {before}"
            )
        });
        self.spoken.insert(key, epoch);
        told.map_or(Ok(()), |told| Err(("S5", told)))
    }
}
