//! What the cluster's controller has decided, whichever of them it is: committed by the quorum, and known to the world even while no
//! controller is up.
//!
//! Owns the image of the committed metadata log, and what there is to be told of a decision until it is committed. Notes of decisions that no
//! majority ever had are never told.

use crate::controller::Controller;
use crate::controller::quorum::LogEnd;
use crate::node::NoteKind;
use crate::protocol::metadata::MetadataImage;

#[derive(Clone, Default, Debug)]
pub struct Decided {
    image: MetadataImage,
    /// Each with where the log ended when it was noted.
    untold: Vec<(LogEnd, NoteKind)>,
}

impl Decided {
    /// The cluster's metadata as far as it is committed.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Takes over what a controller knows to be committed, and adds the notes that are true by now.
    pub(super) fn follow(&mut self, controller: &mut Controller, notes: &mut Vec<NoteKind>) {
        self.untold.append(&mut controller.take_undecided());
        let (log, committed) = (controller.quorum().log(), controller.quorum().high_watermark());
        if committed <= self.image.next_offset {
            return;
        }
        for entry in log.from(self.image.next_offset).iter().take((committed - self.image.next_offset) as usize) {
            self.image.apply(&entry.record);
            let offset = self.image.next_offset;
            self.untold.retain(|(end, note)| {
                if end.offset == offset && end.epoch == entry.epoch {
                    notes.push(note.clone());
                }
                offset < end.offset
            });
        }
    }
}
