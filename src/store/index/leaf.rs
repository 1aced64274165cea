//! Leaves where they lie: their chunks, checksums, and packed records.

use crate::error::{Error, Result};
use crate::index::layout::{ChunkEntry, LEAF_MAGIC, LeafHeader, LeafRef, SegmentHeader};
use crate::index::leaf::{Defect, GROUP, HEADER_AT, Packed, Place, Source};
use crate::store::index::far::leaf_head;
use crate::store::index::io::Io;
use crate::store::index::kept::Kept;
use crate::store::index::lazy::Lazy;
use crate::store::index::row_chunk::rows_close;
use crate::store::index::segment::Segment;
use crate::wire::U64;
use std::ops::Range;

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
    kept: Kept,
}

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
        let (ordered, numbers) = (own.ordered, own.numbers());
        Ok(OpenLeaf { segment, ordered, numbers, kept: Kept::default() })
    })
}

/// The records of a leaf.
pub(crate) fn leaf_records<'a>(io: &'a Io, leaf: &'a Leaf) -> Result<LeafRecords<'a>> {
    Ok(open(io, leaf)?.records(io, leaf))
}

/// Where the record at position `i` of a leaf lies.
pub(crate) fn leaf_place(io: &Io, leaf: &Leaf, i: usize) -> Result<Place> {
    let open = open(io, leaf)?;
    let groups = (leaf.at.records.get() as usize).div_ceil(GROUP);
    // The error for a damaged group comes when it is read.
    let make = || open.records(io, leaf).kept_places(i / GROUP).ok().flatten();
    let kept = open.kept.places(i / GROUP, groups, make);
    match kept.and_then(|kept| kept.get(i % GROUP)) {
        Some(place) => Ok(place),
        None => open.records(io, leaf).place(i),
    }
}

/// The record with this key in a leaf whose keys ascend.
pub(crate) fn search_leaf(io: &Io, leaf: &Leaf, kind: u8, key: &[u8]) -> Result<Option<u64>> {
    let open = open(io, leaf)?;
    let records = open.records(io, leaf);
    if records.ascending() != Some(kind) {
        return Err(open.segment.corrupt("has a fence, but its keys do not ascend"));
    }
    // What is kept was read whole, not only as far as it is here.
    let kept = (!io.is_near()).then(|| open.kept.firsts(|| records.firsts().ok().flatten()));
    let found = match kept.flatten() {
        Some(firsts) => {
            let groups = records.groups();
            let keep = |g| open.kept.keys(g, groups, || records.kept_keys(g).ok().flatten());
            records.search_from(firsts, keep, kind, key)?
        }
        None => records.search(kind, key)?,
    };
    Ok(found.map(|i| leaf.at.first_record.get() + i as u64))
}

impl OpenLeaf {
    fn records<'a>(&'a self, io: &'a Io, leaf: &Leaf) -> LeafRecords<'a> {
        let (at, len) = (leaf.at.packed_at(), leaf.at.packed_len());
        let source = InSegment { io, segment: &self.segment, at, len };
        Packed::new(source, leaf.at.records.get() as usize, len, self.ordered)
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
