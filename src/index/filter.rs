//! The filter of a run: says at the price of one line of memory that a key is *not* in it.
//!
//! A blocked Bloom filter: a hash chooses one block of 64 bytes and six bits in it. With ten bits
//! to an entry about one absent key in ninety is looked for in vain. Each block has a checksum of
//! its own, so that asking a run that was never asked before costs that one line and no page.
//!
//! Sources: B. H. Bloom, *Space/time trade-offs in hash coding with allowable errors* (1970);
//! F. Putze, P. Sanders, J. Singler, *Cache-, hash- and space-efficient Bloom filters* (2007).

use super::key_hash::kept_hash;
use super::layout::{FILTER_BLOCK, SegmentRef};
use crate::error::Result;
use crate::wire::{checksum, memory, mix};

/// Bytes of a block: its checksum, then its bits.
pub const BLOCK: usize = FILTER_BLOCK;
/// Bytes of the checksum of a block.
const SUM: usize = 8;
/// Entries for which one block is made.
const ENTRIES: u64 = 44;
/// Runs with fewer entries have no filter: they lie in a page or two.
const LEAST: u64 = 1024;
/// Bits that an entry sets.
const BITS: u32 = 6;

/// Number of blocks for a run of `entries` entries.
#[must_use]
pub const fn blocks(entries: u64) -> u64 {
    if entries < LEAST { 0 } else { entries.div_ceil(ENTRIES) }
}

/// A key as filters see it. Of its hash only that part counts which an entry of a run keeps.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    place: u64,
    bits: u64,
}

impl Probe {
    /// The probe for keys with this hash.
    #[must_use]
    pub const fn new(hash: u64) -> Self {
        Self { place: hash >> 32, bits: mix(kept_hash(hash)) }
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
        // All bits are looked at: a branch at each would be foreseen wrongly half of the time,
        // and the looks at other filters behind it would wait.
        self.bits()
            .fold(true, |all, (byte, bit)| all & block.get(byte).is_some_and(|b| b & bit != 0))
    }

    /// The places of its bits in the block: a byte, and a bit of it.
    fn bits(self) -> impl Iterator<Item = (usize, u8)> {
        (0..BITS).map(move |i| {
            // Nine bits of the hash as a fraction of the 448 bits behind the checksum.
            let [low, high, ..] = ((self.bits >> (9 * i) & 511) * 7 / 8).to_le_bytes();
            let bit = usize::from(low) | usize::from(high) << 8;
            (SUM + bit / 8, 1 << (low % 8))
        })
    }
}

/// Whether a block that was read at byte `at` of the file is the one that belongs there, in the
/// filter of `run`: its checksum is tied to both, and that of the run to the file.
#[must_use]
pub fn is_intact(block: &[u8; BLOCK], at: u64, run: &SegmentRef) -> bool {
    let (sum, bits) = block.split_at(SUM);
    sum == (checksum(bits) ^ mix(run.sum.get() ^ at)).to_le_bytes()
}

/// A filter that is being made.
#[derive(Debug)]
pub struct Filter {
    blocks: u64,
    bytes: Vec<u8>,
}

impl Filter {
    /// An empty filter for so many entries.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn new(entries: u64) -> Result<Self> {
        Self::of_blocks(blocks(entries))
    }

    /// An empty filter of so many blocks.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn of_blocks(blocks: u64) -> Result<Self> {
        let len = usize::try_from(blocks).unwrap_or(usize::MAX).saturating_mul(BLOCK);
        Ok(Self { blocks, bytes: memory::zeroed(len)? })
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

    /// Its bytes if it lies at byte `at` of the file: the blocks one behind the other, each with
    /// its checksum, tied to its place and to the run.
    #[must_use]
    pub fn finish(mut self, at: u64, run: &SegmentRef) -> Vec<u8> {
        let places = (at..).step_by(BLOCK);
        for (block, at) in self.bytes.as_chunks_mut::<BLOCK>().0.iter_mut().zip(places) {
            let (sum, bits) = block.split_at_mut(SUM);
            sum.copy_from_slice(&(checksum(bits) ^ mix(run.sum.get() ^ at)).to_le_bytes());
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::key_hash::key_hash;

    fn run(sum: u64) -> SegmentRef {
        SegmentRef { offset: 0.into(), len: 0.into(), sum: sum.into() }
    }

    fn holds(bytes: &[u8], hash: u64) -> bool {
        let probe = Probe::new(hash);
        let blocks = (bytes.len() / BLOCK) as u64;
        let at = usize::try_from(probe.block(blocks)).unwrap() * BLOCK;
        probe.may_be_in(bytes[at..at + BLOCK].try_into().unwrap())
    }

    #[test]
    fn what_was_noted_is_found_and_little_else() {
        let hash = |i: u64| key_hash(2, &i.to_le_bytes());
        let n = if cfg!(miri) { 1500 } else { 20_000 };
        let mut filter = Filter::new(n).unwrap();
        (0..n).for_each(|i| filter.insert(hash(i)));
        let bytes = filter.finish(640, &run(5));
        assert!((0..n).all(|i| holds(&bytes, hash(i))));
        // The lower 24 bits of a hash are not in an entry and must not count.
        assert!((0..n).all(|i| holds(&bytes, hash(i) ^ 0xff_ffff)));
        let wrong = (n..2 * n).filter(|i| holds(&bytes, hash(*i))).count() as u64;
        assert!(wrong < n * 3 / 100, "{wrong} of {n} absent keys pass");
    }

    #[test]
    fn a_block_is_intact_in_its_place_behind_its_run_alone() {
        let mut filter = Filter::new(2000).unwrap();
        (0..2000).for_each(|i| filter.insert(mix(i)));
        let bytes = filter.finish(640, &run(5));
        let block = *bytes[128..].first_chunk().unwrap();
        assert!(is_intact(&block, 768, &run(5)));
        assert!(!is_intact(&block, 704, &run(5)));
        assert!(!is_intact(&block, 768, &run(6)));
        for bit in 0..8 * BLOCK {
            let mut block = block;
            block[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_intact(&block, 768, &run(5)), "bit {bit}");
        }
        assert!(!is_intact(&[0; BLOCK], 768, &run(5)));
    }

    #[test]
    fn small_runs_have_none() {
        assert_eq!((blocks(1023), blocks(1024)), (0, 24));
        let mut filter = Filter::new(5).unwrap();
        filter.insert(7);
        assert!(filter.finish(0, &run(1)).is_empty());
    }
}
