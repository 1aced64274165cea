//! The parts of a file that a state refers to and that a checksum identifies: chunks and segments of the
//! index. What two states of one file name alike has the same bytes in both.

use crate::chunk::ChunkLayout;
use crate::error::Result;
use crate::index::filter;
use crate::index::layout::{ChunkEntry, LeafRef, RunRef, SegmentRef};
use crate::index::segment::{body_len, table_sum};
use crate::limits::{CHUNK_MAX_FOREIGN, INDEX_PAGE};
use crate::store::block_checksum::{block_sum, prefix_sum};
use crate::store::index::far::whole;
use crate::store::index::leaf::{leaf_chunks, leaf_sums};
use crate::store::read::reader::Reader;
use crate::store::read::snapshot::Snapshot;
use crate::wire::{checksum, to_usize};
use std::collections::HashSet;
use std::ops::Range;

/// A part of the file.
#[derive(Debug)]
pub(crate) struct Part {
    /// Where it lies.
    pub(crate) range: Range<u64>,
    file: [u8; 16],
    what: What,
}

#[derive(Debug)]
enum What {
    /// A segment of the index, or the second copy of one.
    Segment(SegmentRef),
    Filter(RunRef),
    Chunk(u64, ChunkEntry, Vec<u64>),
}

impl Part {
    /// Whether these are its bytes, as its checksums say.
    pub(crate) fn is_intact(&self, bytes: &[u8]) -> bool {
        match &self.what {
            What::Segment(at) => is_segment(self.file, at, bytes).unwrap_or(false),
            What::Filter(run) => {
                let (blocks, rest) = bytes.as_chunks::<{ filter::BLOCK }>();
                let places = (self.range.start..).step_by(filter::BLOCK);
                rest.is_empty()
                    && blocks
                        .iter()
                        .zip(places)
                        .all(|(b, at)| filter::is_intact(b, at, &run.segment))
            }
            What::Chunk(number, entry, sums) => {
                is_chunk(self.file, *number, entry, sums, bytes).unwrap_or(false)
            }
        }
    }
}

fn is_segment(file: [u8; 16], at: &SegmentRef, bytes: &[u8]) -> Option<bool> {
    let (body, table) = bytes.split_at_checked(to_usize(body_len(at.len.get())?)?)?;
    let right = table_sum(file, at.offset.get(), at.len.get(), table) == at.sum.get();
    let mut sums = table.chunks(8);
    let same = |page: &[u8]| sums.next().is_some_and(|s| *s == checksum(page).to_le_bytes());
    Some(right && body.chunks(INDEX_PAGE).all(same))
}

fn is_chunk(
    file: [u8; 16],
    number: u64,
    entry: &ChunkEntry,
    sums: &[u64],
    bytes: &[u8],
) -> Option<bool> {
    let header = bytes.get(..ChunkLayout::HEADER_LEN)?;
    let prefix = bytes.get(..ChunkLayout::prefix_len(header, CHUNK_MAX_FOREIGN).ok()?)?;
    if prefix_sum(file, number, prefix) != entry.prefix_sum.get() {
        return Some(false);
    }
    let layout = ChunkLayout::parse(prefix, CHUNK_MAX_FOREIGN).ok()?;
    let mut blocks = (0..layout.blocks()).zip(sums);
    Some(
        layout.blocks() as usize == sums.len()
            && blocks.all(|(block, sum)| {
                let range = layout.block_range(block);
                let stored = bytes.get(range.start as usize..range.end as usize);
                stored.is_some_and(|stored| block_sum(file, number, block, stored) == *sum)
            }),
    )
}

/// Calls `f` with the parts that both states name alike, which are states of one file. Reads the index of
/// `old`; what of it is damaged is left out.
pub(crate) fn common(
    old: &Snapshot,
    new: &Snapshot,
    mut f: impl FnMut(Part) -> Result<()>,
) -> Result<()> {
    let (old, new) = (&old.inner().reader, &new.inner().reader);
    let file = old.io.file();
    if file != new.io.file() || file == [0; 16] {
        return Ok(());
    }
    let mut named: HashSet<[u64; 3]> = HashSet::new();
    let name = |at: &SegmentRef| [at.offset.get(), at.len.get(), at.sum.get()];
    let (a, b) = (&old.stored_index, &new.stored_index);
    let runs = |r: &Reader| -> Vec<RunRef> {
        let keys = r.stored_index.runs.iter().map(|run| run.at);
        keys.chain(r.stored_index.dead_runs.iter().map(|run| run.at)).collect()
    };
    let leaves = |r: &Reader| -> Result<Vec<LeafRef>> {
        let mut out = Vec::new();
        for leaf in r.stored_index.leaves_or(&r.io, r.memtable.first_record, |_, _| Ok(()))? {
            out.push(leaf.at);
        }
        Ok(out)
    };
    named.extend(b.pages.iter().map(|page| name(&page.at.segment)));
    named.extend(runs(new).iter().map(|run| name(&run.segment)));
    named.extend(leaves(new)?.iter().map(|leaf| name(&leaf.segment)));
    let segment = |at: &SegmentRef, range| Part { range, file, what: What::Segment(*at) };
    for page in a.pages.iter().filter(|page| named.contains(&name(&page.at.segment))) {
        f(segment(&page.at.segment, whole(&page.at.segment)))?;
    }
    for run in runs(old).iter().filter(|run| named.contains(&name(&run.segment))) {
        f(segment(&run.segment, whole(&run.segment)))?;
        if let Some(at) = run.filter_at() {
            let range = at..at.saturating_add(run.filter_len());
            f(Part { range, file, what: What::Filter(*run) })?;
        }
    }
    let known = old.stored_index.leaves_or(&old.io, old.memtable.first_record, |_, _| Ok(()))?;
    for leaf in known.into_iter().filter(|leaf| named.contains(&name(&leaf.at.segment))) {
        let at = leaf.at.segment;
        f(segment(&at, whole(&at)))?;
        if leaf.at.copy.get() != 0 {
            let start = leaf.at.copy.get();
            f(segment(&at, start..start.saturating_add(at.len.get())))?;
        }
        let Ok(chunks) = leaf_chunks(&old.io, leaf) else { continue };
        for (number, entry) in (leaf.at.first_chunk.get()..).zip(chunks) {
            let Ok(sums) = leaf_sums(&old.io, leaf, &entry) else { continue };
            let start = entry.offset.get();
            let range = start..start.saturating_add(entry.cbytes.get().into());
            f(Part { range, file, what: What::Chunk(number, entry, sums) })?;
        }
    }
    // Chunks that no leaf has yet.
    for number in old.memtable.first_chunk..old.memtable.chunks_end() {
        let Some((entry, sums)) = recent(old, number) else { continue };
        let found = match recent(new, number) {
            Some(found) => Some(found),
            None => match new.stored_index.chunk(&new.io, number)? {
                Some(found) => Some((found.entry, leaf_sums(&new.io, found.leaf, &found.entry)?)),
                None => None,
            },
        };
        let same = |(other, others): &(ChunkEntry, Vec<u64>)| {
            let of = |e: &ChunkEntry| (e.offset, e.cbytes, e.blocks, e.prefix_sum);
            of(other) == of(&entry) && *others == sums
        };
        if found.as_ref().is_some_and(same) {
            let start = entry.offset.get();
            let range = start..start.saturating_add(entry.cbytes.get().into());
            f(Part { range, file, what: What::Chunk(number, entry, sums) })?;
        }
    }
    Ok(())
}

/// A chunk that no leaf has yet, with its checksums.
fn recent(reader: &Reader, number: u64) -> Option<(ChunkEntry, Vec<u64>)> {
    let memtable = &reader.memtable;
    let entry = memtable.chunk(number).filter(|_| memtable.unchecked(number).is_none())?;
    let sums = (0..entry.blocks.get()).map(|block| memtable.sum(entry, block));
    Some((*entry, sums.collect::<Option<Vec<u64>>>()?))
}
