//! Where the parts of a leaf lie in the body of its segment.

use super::WORD;
use crate::index::layout::{ChunkEntry, LeafHeader, LeafRef, SegmentHeader};
use crate::wire::{U64, to_usize};

/// Where what a leaf says of itself stands.
pub const HEADER_AT: usize = size_of::<SegmentHeader>();
/// Where its chunks stand.
const CHUNKS_AT: u64 = (HEADER_AT + size_of::<LeafHeader>()) as u64;

/// A place that no memory reaches is one behind every segment.
fn place(at: u64) -> usize {
    to_usize(at).unwrap_or(usize::MAX)
}

impl LeafRef {
    /// Where the entry of its chunk number `i` stands.
    #[must_use]
    pub fn chunk_at(&self, i: u64) -> usize {
        place(i.saturating_mul(size_of::<ChunkEntry>() as u64).saturating_add(CHUNKS_AT))
    }

    /// Where its block checksum number `i` stands.
    #[must_use]
    pub fn sum_at(&self, i: u32) -> usize {
        self.chunk_at(self.chunks.get().into()).saturating_add(place(u64::from(i) * 8))
    }

    /// Where its packed records stand.
    #[must_use]
    pub fn packed_at(&self) -> usize {
        self.sum_at(self.sums.get())
    }

    /// Bytes of its packed records.
    #[must_use]
    pub fn packed_len(&self) -> usize {
        place(u64::from(self.packed.get()) * WORD as u64)
    }

    /// Where its rows stand, if it has any: behind all others.
    #[must_use]
    pub fn rows_at(&self) -> usize {
        self.packed_at().saturating_add(self.packed_len())
    }

    /// Whether the leaf itself says what this reference says of it.
    #[must_use]
    pub fn agrees(&self, head: &SegmentHeader, own: &LeafHeader) -> bool {
        *self == (Self { copy: self.copy, ..Self::of(head, own, self.segment) })
            && head.count.get() == u64::from(own.records.get())
    }

    /// The reference to a leaf at `segment` that says this of itself, and of which no copy is known.
    #[must_use]
    pub const fn of(
        head: &SegmentHeader,
        own: &LeafHeader,
        segment: crate::index::layout::SegmentRef,
    ) -> Self {
        Self {
            segment,
            first_record: head.first_record,
            first_chunk: head.first_chunk,
            records: own.records,
            chunks: own.chunks,
            sums: own.sums,
            packed: own.packed,
            copy: U64::new(0),
        }
    }
}
