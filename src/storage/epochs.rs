//! In which leader epoch each offset of a log was written.
//!
//! Owns the first offset of each epoch that the log holds. Knows nothing of batches. Source: `LeaderEpochFileCache`; KIP-101, KIP-279, KIP-320.

/// From which offset on the log's batches were written in this leader epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStart {
    pub epoch: i32,
    pub start: i64,
}

/// The end of an epoch in a log: the epoch asked for, or the nearest one below it that the log holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    pub epoch: i32,
    pub end: i64,
}

/// Epochs and their starts, both rising.
#[derive(Clone, Default, Debug)]
pub struct Epochs {
    known: Vec<EpochStart>,
}

impl Epochs {
    pub fn all(&self) -> &[EpochStart] {
        &self.known
    }

    pub fn latest(&self) -> Option<i32> {
        self.known.last().map(|known| known.epoch)
    }

    /// The epoch that wrote this offset, or would have.
    pub fn at(&self, offset: i64) -> Option<i32> {
        let after = self.known.partition_point(|known| known.start <= offset);
        Some(self.known.get(after.checked_sub(1)?)?.epoch)
    }

    /// Marks where an epoch begins, if it is newer than all that are known.
    pub fn begin(&mut self, epoch: i32, start: i64) {
        if self.latest().is_none_or(|latest| latest < epoch) {
            // An epoch that began here and wrote nothing leaves no trace.
            self.truncate_end(start);
            self.known.push(EpochStart { epoch, start });
        }
    }

    /// Where the largest epoch not above `epoch` ends: the start of the next one, or the log's end. An epoch older than all that are known
    /// ends where the first known one begins. `None`: the epoch is newer than all, or the log knows none.
    pub fn end_of(&self, epoch: i32, log_end: i64) -> Option<EpochEnd> {
        if self.latest().is_none_or(|latest| latest < epoch) {
            return None;
        }
        let after = self.known.partition_point(|known| known.epoch <= epoch);
        let end = self.known.get(after).map_or(log_end, |next| next.start);
        let floor = after.checked_sub(1).and_then(|place| self.known.get(place));
        Some(EpochEnd { epoch: floor.map_or(epoch, |known| known.epoch), end })
    }

    /// The log ends here now: epochs that began at or behind it are gone.
    pub fn truncate_end(&mut self, log_end: i64) {
        self.known.truncate(self.known.partition_point(|known| known.start < log_end));
    }

    /// The log starts here now: the epoch that holds this offset starts here, too, and older ones are gone.
    pub fn truncate_start(&mut self, log_start: i64) {
        let after = self.known.partition_point(|known| known.start <= log_start);
        if let Some(holding) = after.checked_sub(1) {
            self.known.drain(..holding);
            self.known[0].start = log_start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(known: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        known.iter().for_each(|(epoch, start)| epochs.begin(*epoch, *start));
        epochs
    }

    fn pairs(epochs: &Epochs) -> Vec<(i32, i64)> {
        epochs.all().iter().map(|known| (known.epoch, known.start)).collect()
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(1, 0), (4, 3)]);
        let end = |epoch| epochs.end_of(epoch, 5).map(|found| (found.epoch, found.end));
        assert_eq!(end(1), Some((1, 3)));
        assert_eq!(end(2), Some((1, 3)), "the floor epoch answers");
        assert_eq!(end(4), Some((4, 5)), "the latest ends with the log");
        assert_eq!(end(0), Some((0, 0)), "an older one than all ends where the first begins");
        assert_eq!(end(5), None);
        assert_eq!(Epochs::default().end_of(0, 0), None);
    }

    #[test]
    fn an_epoch_that_wrote_nothing_leaves_no_trace() {
        assert_eq!(pairs(&epochs(&[(0, 0), (1, 2), (2, 2)])), [(0, 0), (2, 2)]);
        assert_eq!(pairs(&epochs(&[(3, 0), (2, 5)])), [(3, 0)], "an older epoch begins nothing");
    }

    #[test]
    fn a_higher_start_moves_the_epoch_that_holds_it() {
        let whole = [(2, 6), (3, 11), (4, 16)];
        // LeaderEpochFileCacheTest's cases of clearing the beginning.
        for (start, left) in [
            (5, &[(2, 6), (3, 11), (4, 16)][..]),
            (6, &[(2, 6), (3, 11), (4, 16)]),
            (8, &[(2, 8), (3, 11), (4, 16)]),
            (11, &[(3, 11), (4, 16)]),
            (14, &[(3, 14), (4, 16)]),
            (16, &[(4, 16)]),
            (20, &[(4, 20)]),
        ] {
            let mut epochs = epochs(&whole);
            epochs.truncate_start(start);
            assert_eq!(pairs(&epochs), left, "start {start}");
        }
    }

    #[test]
    fn a_lower_end_forgets_what_began_behind_it() {
        for (end, left) in [(20, 3), (16, 2), (12, 2), (11, 1), (6, 0), (0, 0)] {
            let mut epochs = epochs(&[(2, 6), (3, 11), (4, 16)]);
            epochs.truncate_end(end);
            assert_eq!(epochs.all().len(), left, "end {end}");
        }
    }

    #[test]
    fn each_offset_has_the_epoch_that_wrote_it() {
        let epochs = epochs(&[(2, 6), (3, 11)]);
        assert_eq!([5, 6, 10, 11, 99].map(|offset| epochs.at(offset)), [None, Some(2), Some(2), Some(3), Some(3)]);
    }
}
