//! How well a producer expects records to compress: before a batch is compressed, nobody knows how many bytes it will have.
//!
//! Owns one estimate for each topic. It goes up by leaps and down by steps, because a batch that turns out too large costs more than one that turns
//! out too small. Kafka shares the estimates between all producers of a process; here each has its own. Source: `CompressionRatioEstimator`,
//! `MemoryRecordsBuilder.estimatedBytesWritten`.

use crate::node::TopicName;
use crate::ordered::OrderedMap;

/// Compressed bytes for a million of uncompressed ones.
pub type Ratio = u64;

/// Nothing is gained.
pub const RATIO_ONE: Ratio = 1_000_000;
const IMPROVING_STEP: Ratio = 5_000;
const DETERIORATING_STEP: Ratio = 50_000;
/// Percent of the estimate that are reckoned with.
const SAFETY_PERCENT: u64 = 105;

/// The estimates of one producer. A topic that was never written to is expected not to compress at all.
#[derive(Clone, Default, Debug)]
pub struct CompressionRatios {
    topics: OrderedMap<TopicName, Ratio>,
}

impl CompressionRatios {
    pub fn of(&self, topic: &TopicName) -> Ratio {
        self.topics.get(topic).copied().unwrap_or(RATIO_ONE)
    }

    /// A batch of the topic was compressed to this.
    pub fn observe(&mut self, topic: &TopicName, observed: Ratio) {
        let known = self.of(topic);
        let next =
            if known < observed { observed.max(known + DETERIORATING_STEP) } else { observed.max(known.saturating_sub(IMPROVING_STEP)) };
        self.topics.insert(topic.clone(), next);
    }

    /// A batch of the topic was refused for its size: from now on nothing better is expected than this, or than nothing gained.
    pub fn reset(&mut self, topic: &TopicName, observed: Ratio) {
        self.topics.insert(topic.clone(), observed.max(RATIO_ONE));
    }
}

/// What so many bytes of records became.
pub fn ratio(compressed: usize, uncompressed: usize) -> Ratio {
    compressed as u64 * RATIO_ONE / (uncompressed as u64).max(1)
}

/// What so many bytes of records are expected to become.
pub fn estimated(uncompressed: usize, ratio: Ratio) -> usize {
    (uncompressed as u64 * ratio / RATIO_ONE * SAFETY_PERCENT / 100) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_leaps_up_and_steps_down() {
        let topic = TopicName::from("orders");
        let mut ratios = CompressionRatios::default();
        for (observed, expected) in
            [(200_000, 995_000), (200_000, 990_000), (995_000, 1_040_000), (1_200_000, 1_200_000), (1_199_000, 1_199_000), (0, 1_194_000)]
        {
            ratios.observe(&topic, observed);
            assert_eq!(ratios.of(&topic), expected);
        }
        ratios.reset(&topic, 300_000);
        assert_eq!(ratios.of(&topic), RATIO_ONE);
        assert_eq!(estimated(10_000, ratio(250, 1_000)), 2_625);
    }
}
