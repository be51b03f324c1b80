//! Chance: the only one there is, seeded, so that the same session is always the same. Source of the numbers: SplitMix64.

/// A seeded generator (SplitMix64): each node that needs chance is given its own, so that one node's draws never shift another's.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit` - 1; 0 where `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The high half of a wide product: without the bias of a remainder that matters, without a loop.
        ((u128::from(self.draw()) * u128::from(limit)) >> 64) as u64
    }

    /// A generator of its own for the part named by `salt`.
    pub fn fork(&self, salt: u64) -> Chance {
        let mut child = Chance(self.0 ^ salt.wrapping_mul(0xd6e8_feb8_6659_fd93));
        child.draw();
        child
    }
}
