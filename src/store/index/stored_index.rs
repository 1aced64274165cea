//! The permanent part of the index: leaves by record and chunk, runs by key, read where they
//! lie. What one root names, and nothing newer.

use crate::error::{Error, Result};
use crate::index::directory::leaves_end;
use crate::index::fence::{self, Fence};
use crate::index::filter::{self, Probe};
use crate::index::layout::{ChunkEntry, DEAD_MAGIC, LeafRef, PAGE_MAGIC, RunRef, SegmentRef};
use crate::index::leaf::Place;
use crate::index::run::RunEntry;
use crate::limits::INDEX_PAGE;
use crate::store::index::far;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::leaf::{Leaf, LeafRecords, leaf_chunk, leaf_place, leaf_records};
use crate::store::index::open_run::{Run, open_run};
use crate::store::index::segment::Segment;
use crate::wire::{U64, to_usize};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

/// Leaves in one directory page.
pub(crate) const PAGE_LEAVES: usize = 64;

/// A directory page in the root: the leaves before the ones that the root itself lists.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct PageRef {
    pub(crate) segment: SegmentRef,
    pub(crate) first_record: U64,
    pub(crate) first_chunk: U64,
}

pub(crate) type DeadRun = Lazy<RunRef, Segment>;
type Page = Lazy<PageRef, OpenPage>;

/// An open directory page.
#[derive(Debug)]
pub(crate) struct OpenPage {
    pub(crate) leaves: Vec<Leaf>,
    /// Those of its leaves.
    pub(crate) fences: Vec<Fence>,
}

/// Leaves and runs.
#[derive(Debug, Default, Clone)]
pub(crate) struct StoredIndex {
    pub(crate) pages: Vec<Page>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) runs: Vec<Run>,
    pub(crate) dead_runs: Vec<DeadRun>,
    /// The first fence of each page that has one, then those of `leaves`.
    pub(crate) fences: Vec<Fence>,
}

/// Where a chunk was found: the leaf keeps its checksums.
#[derive(Debug)]
pub(crate) struct InLeaf<'a> {
    pub(crate) leaf: &'a Leaf,
    pub(crate) entry: ChunkEntry,
}

impl StoredIndex {
    /// The leaf for which `first` of it is the last not above `wanted`.
    fn leaf_for(
        &self,
        io: &Io,
        wanted: u64,
        first_of_page: impl Fn(&PageRef) -> u64,
        first_of_leaf: impl Fn(&LeafRef) -> u64,
    ) -> Result<Option<&Leaf>> {
        let last_not_above = |leaves: &[Leaf]| {
            leaves.partition_point(|l| first_of_leaf(&l.at) <= wanted).checked_sub(1)
        };
        if let Some(i) = last_not_above(&self.leaves) {
            return Ok(self.leaves.get(i));
        }
        let page = self.pages.partition_point(|p| first_of_page(&p.at) <= wanted).checked_sub(1);
        let Some(page) = page.and_then(|i| self.pages.get(i)) else { return Ok(None) };
        let leaves = &open_page(io, page)?.leaves;
        Ok(last_not_above(leaves).and_then(|i| leaves.get(i)))
    }

    /// The records of the leaf that holds the record `record`, and its position among them.
    pub(crate) fn record<'a>(
        &'a self,
        io: &'a Io,
        record: u64,
    ) -> Result<Option<(LeafRecords<'a>, usize)>> {
        let Some(leaf) = self.leaf_of(io, record)? else { return Ok(None) };
        far::announce_leaf(io, leaf, false)?;
        let i = record - leaf.at.first_record.get();
        match to_usize(i).filter(|_| i < u64::from(leaf.at.records.get())) {
            Some(i) => Ok(Some((leaf_records(io, leaf)?, i))),
            None => Ok(None),
        }
    }

    /// Where the record `record` lies.
    pub(crate) fn place(&self, io: &Io, record: u64) -> Result<Option<Place>> {
        let Some(leaf) = self.leaf_of(io, record)? else { return Ok(None) };
        let i = record - leaf.at.first_record.get();
        match to_usize(i).filter(|_| i < u64::from(leaf.at.records.get())) {
            Some(i) => leaf_place(io, leaf, i).map(Some),
            None => Ok(None),
        }
    }

    /// The leaf that holds the record `record`, if one does.
    pub(crate) fn leaf_of(&self, io: &Io, record: u64) -> Result<Option<&Leaf>> {
        self.leaf_for(io, record, |p| p.first_record.get(), |l| l.first_record.get())
    }

    /// The leaf that holds the chunk `chunk`, if one does.
    pub(crate) fn leaf_of_chunk(&self, io: &Io, chunk: u64) -> Result<Option<&Leaf>> {
        // A leaf without chunks has the first chunk of its successor; the last leaf that does
        // not begin above the wanted chunk is then the one that holds it.
        self.leaf_for(io, chunk, |p| p.first_chunk.get(), |l| l.first_chunk.get())
    }

    /// The chunk `chunk`.
    pub(crate) fn chunk(&self, io: &Io, chunk: u64) -> Result<Option<InLeaf<'_>>> {
        let Some(leaf) = self.leaf_of_chunk(io, chunk)? else { return Ok(None) };
        let i = chunk - leaf.at.first_chunk.get();
        if i < u64::from(leaf.at.chunks.get()) {
            return Ok(Some(InLeaf { leaf, entry: leaf_chunk(io, leaf, i)? }));
        }
        Ok(None)
    }

    /// Announces those pages of the directory that are not open and hold one of these records, which
    /// ascend.
    pub(crate) fn announce_pages(&self, io: &Io, records: impl Iterator<Item = u64>) -> Result<()> {
        let end = self.leaves.first().map_or(u64::MAX, |l| l.at.first_record.get());
        let mut pages: Vec<usize> = Vec::new();
        for record in records.filter(|record| *record < end) {
            let page = self.pages.partition_point(|p| p.at.first_record.get() <= record);
            let Some(page) = page.checked_sub(1) else { continue };
            if pages.last() != Some(&page) {
                pages.push(page);
            }
        }
        let closed = pages.iter().filter_map(|i| self.pages.get(*i)).filter(|page| !page.is_open());
        io.announce(closed.map(|page| far::whole(&page.at.segment)))
    }

    /// Announces all pages of the directory that are not open.
    fn announce_directory(&self, io: &Io) -> Result<()> {
        if !io.is_far() {
            return Ok(());
        }
        let closed = self.pages.iter().filter(|page| !page.is_open());
        io.announce(closed.map(|page| far::whole(&page.at.segment)))
    }

    /// Announces what a search for a key looks at first, in all runs.
    fn announce_search(&self, io: &Io, probe: Probe) -> Result<()> {
        let page = INDEX_PAGE as u64;
        let mut wanted = Vec::new();
        for run in &self.runs {
            if let (Some(first), Some(at)) = (run.at.filter_at(), filter_block(&run.at, probe)) {
                let start = first + at.saturating_sub(first) / page * page;
                let end = first.saturating_add(run.at.filter_len());
                wanted.push(start..start.saturating_add(page).min(end));
            }
            if !run.is_open() {
                wanted.extend(far::head(&run.at.segment));
            }
        }
        io.announce(wanted)
    }

    /// All leaves in order.
    pub(crate) fn all_leaves(&self, io: &Io) -> Result<Vec<&Leaf>> {
        self.announce_directory(io)?;
        let mut out = Vec::new();
        for page in &self.pages {
            out.extend(&open_page(io, page)?.leaves);
        }
        out.extend(&self.leaves);
        Ok(out)
    }

    /// All leaves in order but for those of a page of the directory that cannot be read: `lost`
    /// is told of it, with the records that its leaves hold. `end` is the number of all records.
    pub(crate) fn leaves_or(
        &self,
        io: &Io,
        end: u64,
        mut lost: impl FnMut(Range<u64>, Error) -> Result<()>,
    ) -> Result<Vec<&Leaf>> {
        self.announce_directory(io)?;
        let mut out = Vec::new();
        for (i, page) in self.pages.iter().enumerate() {
            match open_page(io, page) {
                Ok(page) => out.extend(&page.leaves),
                Err(e) => {
                    let first = page.at.first_record.get();
                    let next = self.pages.get(i + 1).map(|p| p.at.first_record.get());
                    let next = next.or(self.leaves.first().map(|l| l.at.first_record.get()));
                    lost(first..next.unwrap_or(end).max(first), e)?;
                }
            }
        }
        out.extend(&self.leaves);
        Ok(out)
    }

    /// Calls `f` with the entries of every run whose hash agrees with `hash` as far as runs keep
    /// it, newest run first and the greatest record first, until `f` returns something.
    pub(crate) fn search<R>(
        &self,
        io: &Io,
        hash: u64,
        mut f: impl FnMut(RunEntry) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        if self.runs.is_empty() {
            return Ok(None);
        }
        if io.is_far() {
            self.announce_search(io, Probe::new(hash))?;
        }
        let absent = self.absent(io, Probe::new(hash));
        for (i, run) in self.runs.iter().rev().enumerate() {
            if (i < 64 && absent >> i & 1 == 1) || says_no(io, &run.at, Probe::new(hash))? {
                continue;
            }
            if let Some(r) = open_run(io, run)?.search(io, hash, &mut f)? {
                return Ok(Some(r));
            }
        }
        Ok(None)
    }

    /// The runs, bit by bit from the newest on, whose filters say that they do not hold a key.
    /// Asks those alone that are mapped, so that nothing stands between the looks: the processor
    /// then waits for all of them at once.
    fn absent(&self, io: &Io, probe: Probe) -> u64 {
        io.mapped(|map| {
            let mut absent = 0;
            for (i, run) in self.runs.iter().rev().take(64).enumerate() {
                let block = filter_block(&run.at, probe).and_then(|at| {
                    let start = to_usize(at)?;
                    Some((at, map.get(start..start.checked_add(filter::BLOCK)?)?))
                });
                let no = block.is_some_and(|(at, block)| lacks(&run.at, probe, at, block));
                absent |= u64::from(no) << i;
            }
            absent
        })
        .unwrap_or(0)
    }

    /// All records that the permanent index knows as deleted, sorted.
    pub(crate) fn dead(&self, io: &Io) -> Result<Vec<u64>> {
        if io.is_far() {
            io.announce(self.dead_runs.iter().map(|run| far::whole(&run.at.segment)))?;
        }
        let mut out = Vec::new();
        for run in &self.dead_runs {
            let seg = run
                .get(|at| Segment::open(io, &at.segment, DEAD_MAGIC, "list of deleted records"))?;
            let count = to_usize(run.at.count.get()).unwrap_or(usize::MAX);
            out.extend(seg.list::<U64>(io, 64, count)?.into_iter().map(U64::get));
        }
        out.sort_unstable();
        Ok(out)
    }
}

pub(crate) fn open_page<'a>(io: &Io, page: &'a Page) -> Result<&'a OpenPage> {
    page.get(|at| {
        if io.is_far() {
            io.announce([far::whole(&at.segment)])?;
        }
        let seg = Segment::open(io, &at.segment, PAGE_MAGIC, "directory page")?;
        let leaves = seg.list::<LeafRef>(io, 64, PAGE_LEAVES)?;
        let first = (at.first_record.get(), at.first_chunk.get());
        if leaves_end(leaves.iter(), first, io.len()).is_none() {
            return Err(corrupt_page(&at, "its leaves do not follow each other"));
        }
        let behind = 64 + size_of_val(leaves.as_slice());
        let leaves: Vec<Leaf> = leaves.into_iter().map(Lazy::new).collect();
        let (fences, end) = read_fences(io, &seg, behind)?;
        if end != seg.len() || fences.iter().any(|f| leaf_of_fence(&leaves, f).is_none()) {
            return Err(corrupt_page(&at, "its fences are not those of its leaves"));
        }
        Ok(OpenPage { leaves, fences })
    })
}

pub(crate) fn corrupt_page(at: &PageRef, why: &'static str) -> Error {
    Error::corrupt("directory page", at.segment.offset.get(), why)
}

/// The list of fences at byte `at` of a segment, and where it ends.
pub(crate) fn read_fences(io: &Io, seg: &Segment, at: usize) -> Result<(Vec<Fence>, usize)> {
    let (count, len) = fence::head(seg.get(io, at)?);
    let bytes: Vec<u8> = seg.list(io, at + fence::LIST_HEAD, len as usize)?;
    let fences = fence::decode(count, &bytes);
    let fences = fences.ok_or_else(|| seg.corrupt("its fences are out of order"))?;
    Ok((fences, at + fence::LIST_HEAD + bytes.len()))
}

/// The leaf, of `leaves`, that begins with the record of `fence`.
pub(crate) fn leaf_of_fence<'a>(
    leaves: &'a [Leaf],
    fence: &'a Fence,
) -> Option<(&'a Leaf, &'a Fence)> {
    // A leaf without records has the first record of its successor.
    let behind = leaves.partition_point(|l| l.at.first_record.get() <= fence.record());
    let leaf = leaves.get(behind.checked_sub(1)?)?;
    (leaf.at.first_record.get() == fence.record()).then_some((leaf, fence))
}

/// Where the block of the filter of a run lies in which a key is noted; `None` without a filter.
fn filter_block(run: &RunRef, probe: Probe) -> Option<u64> {
    let block = probe.block(run.filter_blocks.get().into());
    run.filter_at()?.checked_add(block * filter::BLOCK as u64)
}

/// Whether `block`, which lies at byte `at` of the file, says that the run does not hold a key.
/// A damaged block says nothing: the entries have checksums of their own.
fn lacks(run: &RunRef, probe: Probe, at: u64, block: &[u8]) -> bool {
    block
        .first_chunk()
        .is_some_and(|block| !probe.may_be_in(block) && filter::is_intact(block, at, &run.segment))
}

/// Whether the filter of a run says that it does not hold a key.
fn says_no(io: &Io, run: &RunRef, probe: Probe) -> Result<bool> {
    let (Some(first), Some(at)) = (run.filter_at(), filter_block(run, probe)) else {
        return Ok(false);
    };
    match first.checked_add(run.filter_len()).filter(|end| *end <= io.len()) {
        Some(end) => io.piece(first..end, at, filter::BLOCK, |b| lacks(run, probe, at, b)),
        None => Ok(false),
    }
}
