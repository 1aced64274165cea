//! How large the blocks of the next chunk are.

use crate::chunk::Algorithm;
use crate::limits::{BLOCK_MAX, BLOCK_MIN, BLOCKS_PER_CHUNK};
use crate::store::options::Purpose;

/// Lengths of records, for the choice of block sizes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lengths {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Lengths {
    pub(crate) fn add(&mut self, len: u64) {
        self.min = if self.count == 0 { len } else { self.min.min(len) };
        self.max = self.max.max(len);
        self.count += 1;
        self.sum += len;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }
}

/// Block size for a chunk whose records are expected to be like `seen` (those of the chunk
/// before; at the start the first record alone).
///
/// Blocks are made so that equal records fill one without a rest: then no record of that
/// length crosses a boundary and nothing is padded. The targets come from the sizes measured in
/// `docs/benchmarks.md`. A block of a chunk without compression is no larger for being small, but for
/// its checksum; so there a random read need not check more than it wants, and as records of such a
/// chunk lie end to end, so do the blocks that fit them. LZ4 loses less by small
/// blocks than Zstd, and decodes so fast that what else a larger block costs is felt.
#[expect(clippy::cast_possible_truncation, reason = "clamped to 1 MiB before")]
pub(crate) fn block_size(
    purpose: Purpose,
    algorithm: Option<Algorithm>,
    seen: &Lengths,
    chunk: u32,
    typesize: u8,
) -> u32 {
    let target = match purpose {
        Purpose::Dense => 256 << 10,
        Purpose::Balanced => 32 << 10,
        Purpose::Random => match algorithm {
            None => 2 << 10,
            Some(Algorithm::Lz4 | Algorithm::Lz4hc) => 4 << 10,
            Some(_) => 8 << 10,
        },
    };
    let most = u64::from(chunk.min(BLOCK_MAX));
    let least = u64::from(BLOCK_MIN).max(u64::from(chunk.div_ceil(BLOCKS_PER_CHUNK))).min(most);
    let step = match algorithm {
        // Records start at multiples of 8.
        None => lcm(8, typesize.into()),
        // A block takes a header, so that a few bytes more or less do not matter.
        Some(_) => lcm(64, typesize.into()),
    };
    let mean = seen.mean().max(1);
    let even = seen.max.next_multiple_of(step).max(step);
    let wanted = if seen.max <= 2 * seen.min.max(8) && even <= 4 * target {
        even * (target / even).max(1)
    } else if purpose == Purpose::Random && algorithm.is_some() {
        (mean * 2).next_power_of_two().clamp(target, 16 * target)
    } else {
        target
    };
    let size = wanted.clamp(least, most);
    let size = if size == most { most } else { size.next_multiple_of(step).min(most) };
    (size / u64::from(typesize) * u64::from(typesize)).max(u64::from(typesize)) as u32
}

const fn lcm(x: u64, y: u64) -> u64 {
    let (mut a, mut b) = (x, y);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    x / a * y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::options::Alignment;
    use crate::store::write::placement::{place, step};

    #[test]
    fn equal_records_fill_their_blocks() {
        for (len, purpose) in [(1900, Purpose::Random), (12_000, Purpose::Balanced)] {
            let mut seen = Lengths::default();
            (0..10).for_each(|_| seen.add(len));
            let size = u64::from(block_size(purpose, Some(Algorithm::Zstd), &seen, 1 << 20, 4));
            let each = len.next_multiple_of(64);
            assert!(size.is_multiple_of(each), "{size}");
        }
    }

    /// Records of a chunk without compression lie end to end: that none lies in two blocks depends on the
    /// size of the blocks alone.
    #[test]
    fn equal_records_that_are_stored_lie_in_one_block_each_as_many_as_may_be_checked_together() {
        for (len, most) in [(304, 6), (1030, 1), (1900, 1), (1904, 1), (4000, 1), (8000, 1)] {
            let mut seen = Lengths::default();
            (0..10).for_each(|_| seen.add(len));
            let chunk = 2 << 20;
            let size = u64::from(block_size(Purpose::Random, None, &seen, chunk, 4));
            assert!(size / len <= most, "{size}");
            let mut cursor = 0;
            for i in 0..3000 {
                let step = step(true, len);
                let whole = u64::from(chunk);
                let start = place(Alignment::Block, cursor, i == 0, len, whole, whole, step);
                let block = |at: u64| (at / whole, at % whole / size);
                assert_eq!(block(start), block(start + len - 1), "{len}");
                cursor = start + len;
            }
            assert!(cursor * 1000 < 3000 * len * 1009, "{len} padded to {cursor}");
        }
    }
}
