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

/// The block, of `blocks`, in which a key with this hash is noted. Of the hash only the upper 48
/// bits count, which is all that an entry keeps.
#[must_use]
pub const fn block_of(hash: u64, blocks: u64) -> u64 {
    // The upper half of the mixed hash as a fraction of the number of blocks.
    ((mix(hash >> 16) >> 32) * blocks) >> 32
}

/// The places of its six bits in that block.
fn bits(hash: u64) -> impl Iterator<Item = (usize, u8)> {
    let mixed = mix(mix(hash >> 16));
    (0..BITS).map(move |i| {
        let [low, high, ..] = (mixed >> (9 * i) & 511).to_le_bytes();
        let bit = usize::from(low) | usize::from(high) << 8;
        (bit / 8, 1 << (low % 8))
    })
}

/// Whether a key with this hash may be among those noted in its block.
#[must_use]
pub fn may_hold(block: &[u8; BLOCK], hash: u64) -> bool {
    bits(hash).all(|(byte, bit)| block.get(byte).is_some_and(|b| b & bit != 0))
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
        let at = usize::try_from(block_of(hash, self.blocks)).unwrap_or(usize::MAX);
        let start = at.saturating_mul(BLOCK);
        if let Some(block) = self.bytes.get_mut(start..start.saturating_add(BLOCK)) {
            for (byte, bit) in bits(hash) {
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
        let at = usize::try_from(block_of(hash, filter.blocks())).unwrap() * BLOCK;
        may_hold(filter.bytes()[at..at + BLOCK].try_into().unwrap(), hash)
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
