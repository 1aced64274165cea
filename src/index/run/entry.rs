//! One entry of a run.

use crate::index::key_hash::{HASH_BITS, kept_hash};

/// An entry of a run: the upper 40 bits of the hash of a key, a record with that key, and
/// whether the entry is a tombstone, which says that the record was deleted or replaced.
///
/// Entries are ordered by hash, then by record, a tombstone behind its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunEntry(u128);

impl RunEntry {
    /// The entry for a key with this hash.
    #[must_use]
    pub const fn new(hash: u64, record: u64, dead: bool) -> Self {
        Self((kept_hash(hash) as u128) << 65 | (record as u128) << 1 | dead as u128)
    }

    /// The upper 40 bits of the hash, in place (the lower 24 are zero).
    #[must_use]
    pub const fn hash(self) -> u64 {
        ((self.0 >> 65) as u64) << (u64::BITS - HASH_BITS)
    }

    /// The number of the record.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the cut takes the hash away")]
    pub const fn record(self) -> u64 {
        (self.0 >> 1) as u64
    }

    /// Whether the entry says that the record was deleted or replaced.
    #[must_use]
    pub const fn is_dead(self) -> bool {
        self.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_40_bits_of_hash_and_the_record() {
        for (hash, record, dead) in
            [(u64::MAX, u64::MAX, true), (0x1234_5678_9abc_def0, 3, false), (0, 0, true)]
        {
            let e = RunEntry::new(hash, record, dead);
            assert_eq!((e.hash(), e.record(), e.is_dead()), (hash >> 24 << 24, record, dead));
        }
    }

    #[test]
    fn entries_stand_by_hash_then_record_and_a_tombstone_behind_its_record() {
        let sorted = [(1, 9, true), (2, 3, false), (2, 3, true), (2, 4, false), (3, 0, false)]
            .map(|(hash, record, dead)| RunEntry::new(hash << 24, record, dead));
        assert!(sorted.is_sorted_by(|a, b| a < b));
    }
}
