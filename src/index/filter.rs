//! The filter of a run: says at the price of one line of memory that a key is *not* in it.
//!
//! A blocked Bloom filter: a hash chooses one block of 64 bytes and six bits in it. With ten bits
//! to an entry about one absent key in sixty is looked for in vain.
//!
//! Sources: B. H. Bloom, *Space/time trade-offs in hash coding with allowable errors* (1970);
//! F. Putze, P. Sanders, J. Singler, *Cache-, hash- and space-efficient Bloom filters* (2007).

use crate::wire::mix;

/// Bytes of a block.
pub const BLOCK: usize = 64;
/// Entries for which one block is made.
const ENTRIES: u64 = 51;
/// Runs with fewer entries have no filter: they lie in a page or two.
const LEAST: u64 = 1024;
/// Bits that an entry sets.
const BITS: u32 = 6;

/// Number of blocks for a run of `entries` entries.
#[must_use]
pub const fn blocks(entries: u64) -> u64 {
    if entries < LEAST { 0 } else { entries.div_ceil(ENTRIES) }
}

/// A key as filters see it. Of its hash only the upper 48 bits count, which is all that an entry
/// of a run keeps.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    place: u64,
    bits: u64,
}

impl Probe {
    /// The probe for keys with this hash.
    #[must_use]
    pub const fn new(hash: u64) -> Self {
        Self { place: hash >> 32, bits: mix(hash >> 16) }
    }

    /// The block, of `blocks`, in which such a key is noted.
    #[must_use]
    pub const fn block(self, blocks: u64) -> u64 {
        // The upper half of the hash as a fraction of the number of blocks: as entries of a run are
        // in the order of their hashes, a filter is made from its first block to its last.
        (self.place * blocks) >> 32
    }

    /// Whether such a key may be among those noted in its block.
    #[must_use]
    pub fn may_be_in(self, block: &[u8; BLOCK]) -> bool {
        self.bits().all(|(byte, bit)| block.get(byte).is_some_and(|b| b & bit != 0))
    }

    /// The places of its bits in the block: a byte, and a bit of it.
    fn bits(self) -> impl Iterator<Item = (usize, u8)> {
        (0..BITS).map(move |i| {
            let [low, high, ..] = (self.bits >> (9 * i) & 511).to_le_bytes();
            let bit = usize::from(low) | usize::from(high) << 8;
            (bit / 8, 1 << (low % 8))
        })
    }
}

/// A filter that is being made.
#[derive(Debug)]
pub struct Filter {
    blocks: u64,
    bytes: Vec<u8>,
}

impl Filter {
    /// An empty filter for so many entries.
    #[must_use]
    pub fn new(entries: u64) -> Self {
        Self::of_blocks(blocks(entries))
    }

    /// An empty filter of so many blocks.
    #[must_use]
    pub fn of_blocks(blocks: u64) -> Self {
        let len = usize::try_from(blocks).unwrap_or(usize::MAX).saturating_mul(BLOCK);
        Self { blocks, bytes: vec![0; len] }
    }

    /// Number of its blocks.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Notes a key with this hash.
    pub fn insert(&mut self, hash: u64) {
        let probe = Probe::new(hash);
        let at = usize::try_from(probe.block(self.blocks)).unwrap_or(usize::MAX);
        let start = at.saturating_mul(BLOCK);
        if let Some(block) = self.bytes.get_mut(start..start.saturating_add(BLOCK)) {
            for (byte, bit) in probe.bits() {
                if let Some(b) = block.get_mut(byte) {
                    *b |= bit;
                }
            }
        }
    }

    /// Its bytes: the blocks one behind the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::layout::key_hash;

    fn holds(filter: &Filter, hash: u64) -> bool {
        let probe = Probe::new(hash);
        let at = usize::try_from(probe.block(filter.blocks())).unwrap() * BLOCK;
        probe.may_be_in(filter.bytes()[at..at + BLOCK].try_into().unwrap())
    }

    #[test]
    fn what_was_noted_is_found_and_little_else() {
        let hash = |i: u64| key_hash(2, &i.to_le_bytes());
        let mut filter = Filter::new(20_000);
        (0..20_000).for_each(|i| filter.insert(hash(i)));
        assert!((0..20_000).all(|i| holds(&filter, hash(i))));
        // The lower 16 bits of a hash are not in an entry and must not count.
        assert!((0..20_000).all(|i| holds(&filter, hash(i) ^ 0xffff)));
        let wrong = (20_000..40_000).filter(|i| holds(&filter, hash(*i))).count();
        assert!(wrong < 600, "{wrong} of 20 000 absent keys pass");
    }

    #[test]
    fn small_runs_have_none() {
        assert_eq!((blocks(1023), blocks(1024)), (0, 21));
        let mut filter = Filter::new(5);
        filter.insert(7);
        assert!(filter.bytes().is_empty());
    }
}
