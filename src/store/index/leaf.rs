//! Leaves where they lie: their chunks, checksums, and packed records.

use crate::error::{Error, Result};
use crate::index::layout::{ChunkEntry, LEAF_MAGIC, LeafHeader, LeafRef, SegmentHeader};
use crate::index::leaf::{Defect, Firsts, HEADER_AT, Packed, Source};
use crate::store::index::far::leaf_head;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::row_chunk::rows_close;
use crate::store::index::segment::Segment;
use crate::wire::U64;
use once_cell::race::OnceBox;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// A leaf that is opened when it is first needed.
pub(crate) type Leaf = Lazy<LeafRef, OpenLeaf>;

/// The packed records of an open leaf.
pub(crate) type LeafRecords<'a> = Packed<InSegment<'a>>;

/// An open leaf, which says of itself what led to it.
#[derive(Debug)]
pub(crate) struct OpenLeaf {
    pub(crate) segment: Segment,
    ordered: u8,
    /// The numbers of a row that its rows have, as bits.
    pub(crate) numbers: u128,
    /// Searches so far, up to [`SEARCHES`].
    searches: AtomicU32,
    /// The first keys of its groups; nothing if they are many, or cannot be read.
    firsts: OnceBox<Option<Firsts>>,
}

/// Searches in a leaf before the first keys of its groups are kept: to read them all costs about as
/// much as so many searches.
const SEARCHES: u32 = 16;

/// The bytes of packed records in a segment.
#[derive(Debug)]
pub(crate) struct InSegment<'a> {
    io: &'a Io,
    segment: &'a Segment,
    at: usize,
    len: usize,
}

impl Source for InSegment<'_> {
    fn with<R>(&self, range: Range<usize>, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let len = range.end.checked_sub(range.start).filter(|_| range.end <= self.len);
        let len = len.ok_or_else(|| self.defect("refers past its packed records"))?;
        self.segment.with(self.io, self.at.saturating_add(range.start), len, f)
    }

    fn defect(&self, why: Defect) -> Error {
        self.segment.corrupt(why)
    }
}

/// The open leaf.
pub(crate) fn open<'a>(io: &Io, leaf: &'a Leaf) -> Result<&'a OpenLeaf> {
    leaf.get(|at| {
        if io.is_far() {
            io.announce(leaf_head(&at))?;
        }
        let copy = at.copy.get();
        let segment = Segment::open_twofold(io, &at.segment, copy, LEAF_MAGIC, "index leaf")?;
        let (head, own): (SegmentHeader, LeafHeader) = segment
            .with(io, 0, HEADER_AT + size_of::<LeafHeader>(), |bytes| {
                let (head, own) = bytes.split_at_checked(HEADER_AT)?;
                let head = bytemuck::try_pod_read_unaligned(head).ok()?;
                Some((head, bytemuck::try_pod_read_unaligned(own).ok()?))
            })?
            .ok_or_else(|| segment.corrupt("is shorter than its header"))?;
        let end = at.rows_at();
        if !at.agrees(&head, &own)
            || end > segment.len()
            || (end < segment.len() && !rows_close(io, &segment, end)?)
            || (end == segment.len()) != (own.numbers() == 0)
        {
            return Err(segment.corrupt("disagrees with the directory"));
        }
        let (searches, firsts) = (AtomicU32::new(0), OnceBox::new());
        let (ordered, numbers) = (own.ordered, own.numbers());
        Ok(OpenLeaf { segment, ordered, numbers, searches, firsts })
    })
}

/// The records of a leaf.
pub(crate) fn leaf_records<'a>(io: &'a Io, leaf: &'a Leaf) -> Result<LeafRecords<'a>> {
    let OpenLeaf { segment, ordered, .. } = open(io, leaf)?;
    let (at, len) = (leaf.at.packed_at(), leaf.at.packed_len());
    let source = InSegment { io, segment, at, len };
    Ok(Packed::new(source, leaf.at.records.get() as usize, len, *ordered))
}

/// The record with this key in a leaf whose keys ascend.
pub(crate) fn search_leaf(io: &Io, leaf: &Leaf, kind: u8, key: &[u8]) -> Result<Option<u64>> {
    let (open, records) = (open(io, leaf)?, leaf_records(io, leaf)?);
    if records.ascending() != Some(kind) {
        return Err(open.segment.corrupt("has a fence, but its keys do not ascend"));
    }
    let found = match open.firsts(&records)? {
        Some(firsts) => records.search_from(firsts, kind, key)?,
        None => records.search(kind, key)?,
    };
    Ok(found.map(|i| leaf.at.first_record.get() + i as u64))
}

impl OpenLeaf {
    /// The first keys of its groups, once that pays.
    fn firsts(&self, records: &LeafRecords<'_>) -> Result<Option<&Firsts>> {
        if let Some(firsts) = self.firsts.get() {
            return Ok(firsts.as_ref());
        }
        if self.searches.fetch_add(1, Ordering::Relaxed) < SEARCHES {
            return Ok(None);
        }
        let made = match records.firsts() {
            Ok(made) => made,
            // A damaged group is told of by who needs it.
            Err(Error::Corrupt(_)) => None,
            Err(e) => return Err(e),
        };
        Ok(self.firsts.get_or_init(|| Box::new(made)).as_ref())
    }
}

/// Chunk number `i` of a leaf.
pub(crate) fn leaf_chunk(io: &Io, leaf: &Leaf, i: u64) -> Result<ChunkEntry> {
    open(io, leaf)?.segment.get(io, leaf.at.chunk_at(i))
}

/// All chunks of a leaf.
pub(crate) fn leaf_chunks(io: &Io, leaf: &Leaf) -> Result<Vec<ChunkEntry>> {
    let chunks = leaf.at.chunks.get() as usize;
    open(io, leaf)?.segment.list(io, leaf.at.chunk_at(0), chunks)
}

/// The block checksums of a chunk of this leaf.
pub(crate) fn leaf_sums(io: &Io, leaf: &Leaf, entry: &ChunkEntry) -> Result<Vec<u64>> {
    let first = entry.first_sum.get();
    let blocks = entry.blocks.get();
    if first.checked_add(blocks).is_none_or(|end| end > leaf.at.sums.get()) {
        let at = leaf.at.segment.offset.get();
        return Err(Error::corrupt("chunk entry", at, "block checksums out of range"));
    }
    let sums = open(io, leaf)?.segment.list::<U64>(io, leaf.at.sum_at(first), blocks as usize)?;
    Ok(sums.into_iter().map(U64::get).collect())
}
