//! How the entries of one run are packed, and where they lie in its body.

use super::entry::RunEntry;
use crate::index::key_hash::{HASH_BITS, kept_hash};
use crate::index::layout::SegmentHeader;
use crate::wire::to_usize;
use std::ops::{Range, RangeInclusive};

/// Where the entries start: behind the header of the segment.
const ENTRIES_AT: usize = size_of::<SegmentHeader>();
/// Entries for which the table has one number, at least.
const PER_SLOT: u64 = 8;
/// Most bits of the hash that a table stands for when it is written.
const RADIX_MOST: u32 = 28;
/// The same for one that is read.
const RADIX_MAX: u32 = 32;
/// Most bits of a record number.
const RECORD_MAX: u32 = 47;

/// The shape of a run. Entry *i* has as many bits as every other one and lies at *i* times that
/// many; the upper bits of its hash follow from its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    count: u64,
    radix: u32,
    first: u64,
    width: u32,
}

impl Shape {
    /// The shape of a run of about `expected` entries whose records lie in `records`.
    #[must_use]
    pub fn new(expected: u64, records: RangeInclusive<u64>) -> Self {
        let (first, last) = records.into_inner();
        Self {
            count: 0,
            radix: (expected / PER_SLOT).max(1).ilog2().min(RADIX_MOST),
            first,
            width: u64::BITS - last.saturating_sub(first).leading_zeros(),
        }
    }

    /// The shape that a header tells, of a run whose body has `body` bytes; `None` if it does
    /// not fit that body.
    #[must_use]
    pub fn read(header: &SegmentHeader, body: usize) -> Option<Self> {
        let [radix, width, rest @ ..] = header.first_chunk.get().to_le_bytes();
        let shape = Self {
            count: header.count.get(),
            radix: radix.into(),
            first: header.first_record.get(),
            width: width.into(),
        };
        let usable = rest == [0; 6]
            && shape.radix <= RADIX_MAX
            && shape.width <= RECORD_MAX
            && shape.first >> RECORD_MAX == 0;
        (usable && shape.body_len()? == body).then_some(shape)
    }

    /// Notes the shape in the header of its run.
    pub fn write(&self, header: &mut SegmentHeader) {
        header.count = self.count.into();
        header.first_record = self.first.into();
        header.first_chunk = u64::from(self.radix | self.width << 8).into();
    }

    /// The same shape with another number of entries.
    #[must_use]
    pub const fn with_count(self, count: u64) -> Self {
        Self { count, ..self }
    }

    /// Number of entries.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The records to which its entries can lead.
    #[must_use]
    pub const fn records(&self) -> RangeInclusive<u64> {
        self.first..=self.first + ((1 << self.width) - 1)
    }

    /// Slots of its table; one number more stands behind them.
    #[must_use]
    pub const fn slots(&self) -> u64 {
        1 << self.radix
    }

    /// The slot of a hash.
    #[must_use]
    pub const fn slot(&self, hash: u64) -> u64 {
        kept_hash(hash) >> (HASH_BITS - self.radix)
    }

    /// Bits of an entry.
    #[must_use]
    pub const fn entry_bits(&self) -> u32 {
        HASH_BITS - self.radix + self.width + 1
    }

    /// The bytes of the body in which these entries lie.
    #[must_use]
    pub fn span(&self, entries: Range<u64>) -> Option<Range<usize>> {
        let bits = u64::from(self.entry_bits());
        let start = entries.start.checked_mul(bits)? / 8;
        let end = entries.end.checked_mul(bits)?.div_ceil(8);
        Some(ENTRIES_AT.checked_add(to_usize(start)?)?..ENTRIES_AT.checked_add(to_usize(end)?)?)
    }

    /// Where the number of a slot stands in the body: the first entry of that slot or a later
    /// one, as 4 bytes.
    #[must_use]
    pub fn slot_at(&self, slot: u64) -> Option<usize> {
        let table = self.span(0..self.count)?.end.checked_next_multiple_of(4)?;
        table.checked_add(to_usize(slot)?.checked_mul(4)?)
    }

    /// Length of the body.
    #[must_use]
    pub fn body_len(&self) -> Option<usize> {
        self.slot_at(self.slots() + 1)?.checked_next_multiple_of(8)
    }

    /// An entry as it lies in the run.
    #[must_use]
    pub fn pack(&self, entry: RunEntry) -> u128 {
        let rest = kept_hash(entry.hash()) & !(u64::MAX << (HASH_BITS - self.radix));
        let record = entry.record().wrapping_sub(self.first);
        u128::from(rest) << (self.width + 1) | u128::from(record) << 1 | u128::from(entry.is_dead())
    }

    /// Entry `i`, which stands in `slot`; `bytes` are those from the [`Self::span`] of `from` on.
    /// `None` if they end too early.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the cuts are the unpacking")]
    pub fn unpack(&self, bytes: &[u8], from: u64, i: u64, slot: u64) -> Option<RunEntry> {
        let bits = u64::from(self.entry_bits());
        let start = i.checked_mul(bits)?.checked_sub(from.checked_mul(bits)? / 8 * 8)?;
        let at = to_usize(start / 8)?;
        let shift = (start % 8) as u32;
        let window = match bytes.get(at..)?.first_chunk::<16>() {
            Some(window) => *window,
            None => {
                let rest = bytes.get(at..)?;
                if (rest.len() as u64) * 8 < u64::from(shift) + bits {
                    return None;
                }
                let mut window = [0; 16];
                window.get_mut(..rest.len())?.copy_from_slice(rest);
                window
            }
        };
        let word = (u128::from_le_bytes(window) >> shift) & !(u128::MAX << bits);
        let record = self.first + ((word >> 1) as u64 & !(u64::MAX << self.width));
        let rest = (word >> (self.width + 1)) as u64;
        let kept = slot << (HASH_BITS - self.radix) | rest;
        Some(RunEntry::new(kept << (u64::BITS - HASH_BITS), record, word & 1 == 1))
    }
}
