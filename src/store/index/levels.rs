//! The permanent part of the index: leaves by record and chunk, runs by key, read where they
//! lie. What one root names, and nothing newer.

use crate::error::{Error, Result};
use crate::index::directory::leaves_end;
use crate::index::filter::{self, Probe};
use crate::index::layout::{
    ChunkEntry, DEAD_MAGIC, LeafRef, PAGE_MAGIC, RUN_MAGIC, RunEntry, RunRef, SegmentHeader,
    SegmentRef,
};
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::leaf::{Leaf, LeafRecords, leaf_chunk, leaf_records};
use crate::store::index::segment::Segment;
use crate::wire::{U32, U64, to_usize};
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

pub(crate) type Run = Lazy<RunRef, OpenRun>;
pub(crate) type DeadRun = Lazy<RunRef, Segment>;
type Page = Lazy<PageRef, Vec<Leaf>>;

/// An open run: sorted entries, found through a table of the first ones by upper bits.
#[derive(Debug)]
pub(crate) struct OpenRun {
    pub(crate) segment: Segment,
    count: usize,
    bits: u32,
}

/// Leaves and runs.
#[derive(Debug, Default, Clone)]
pub(crate) struct Perm {
    pub(crate) pages: Vec<Page>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) runs: Vec<Run>,
    pub(crate) dead_runs: Vec<DeadRun>,
}

/// Where a chunk was found: the leaf keeps its checksums.
#[derive(Debug)]
pub(crate) struct InLeaf<'a> {
    pub(crate) leaf: &'a Leaf,
    pub(crate) entry: ChunkEntry,
}

impl Perm {
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
        let leaves = page_leaves(io, page)?;
        Ok(last_not_above(leaves).and_then(|i| leaves.get(i)))
    }

    /// The records of the leaf that holds the record `record`, and its position among them.
    pub(crate) fn record<'a>(
        &'a self,
        io: &'a Io,
        record: u64,
    ) -> Result<Option<(LeafRecords<'a>, usize)>> {
        let Some(leaf) = self.leaf_of(io, record)? else { return Ok(None) };
        let i = record - leaf.at.first_record.get();
        match to_usize(i).filter(|_| i < u64::from(leaf.at.records.get())) {
            Some(i) => Ok(Some((leaf_records(io, leaf)?, i))),
            None => Ok(None),
        }
    }

    /// The leaf that holds the record `record`, if one does.
    pub(crate) fn leaf_of(&self, io: &Io, record: u64) -> Result<Option<&Leaf>> {
        self.leaf_for(io, record, |p| p.first_record.get(), |l| l.first_record.get())
    }

    /// The chunk `chunk`.
    pub(crate) fn chunk(&self, io: &Io, chunk: u64) -> Result<Option<InLeaf<'_>>> {
        // A leaf without chunks has the first chunk of its successor; the last leaf that does
        // not begin above the wanted chunk is then the one that holds it.
        let leaf = self.leaf_for(io, chunk, |p| p.first_chunk.get(), |l| l.first_chunk.get())?;
        let Some(leaf) = leaf else { return Ok(None) };
        let i = chunk - leaf.at.first_chunk.get();
        if i < u64::from(leaf.at.chunks.get()) {
            return Ok(Some(InLeaf { leaf, entry: leaf_chunk(io, leaf, i)? }));
        }
        Ok(None)
    }

    /// All leaves in order.
    pub(crate) fn all_leaves(&self, io: &Io) -> Result<Vec<&Leaf>> {
        let mut out = Vec::new();
        for page in &self.pages {
            out.extend(page_leaves(io, page)?);
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
        let mut out = Vec::new();
        for (i, page) in self.pages.iter().enumerate() {
            match page_leaves(io, page) {
                Ok(leaves) => out.extend(leaves),
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

    /// Calls `f` with the entries of every run whose hash agrees with `hash` in its upper 48
    /// bits, newest run first and the greatest record first, until `f` answers.
    pub(crate) fn search<R>(
        &self,
        io: &Io,
        hash: u64,
        mut f: impl FnMut(RunEntry) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        let absent = self.absent(io, Probe::new(hash));
        for (i, run) in self.runs.iter().rev().enumerate() {
            if (i < 64 && absent >> i & 1 == 1) || says_no(io, &run.at, Probe::new(hash))? {
                continue;
            }
            if let Some(r) = run_segment(io, run)?.search(io, hash, &mut f)? {
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

fn page_leaves<'a>(io: &Io, page: &'a Page) -> Result<&'a [Leaf]> {
    let leaves = page.get(|at| {
        let seg = Segment::open(io, &at.segment, PAGE_MAGIC, "directory page")?;
        let leaves = seg.list::<LeafRef>(io, 64, PAGE_LEAVES)?;
        let first = (at.first_record.get(), at.first_chunk.get());
        if leaves_end(leaves.iter(), first, io.len()).is_none() {
            let at = at.segment.offset.get();
            return Err(Error::corrupt(
                "directory page",
                at,
                "its leaves do not follow each other",
            ));
        }
        Ok(leaves.into_iter().map(Lazy::new).collect())
    })?;
    Ok(leaves)
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
        .is_some_and(|block| !probe.may_be_in(block) && filter::is_whole(block, at, &run.segment))
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

/// The open run.
pub(crate) fn run_segment<'a>(io: &Io, run: &'a Run) -> Result<&'a OpenRun> {
    run.get(|at| {
        let segment = Segment::open(io, &at.segment, RUN_MAGIC, "run of keys")?;
        let header: SegmentHeader = segment.get(io, 0)?;
        let bad = || {
            let place = at.segment.offset.get();
            Error::corrupt("run of keys", place, "disagrees with the root")
        };
        let fits = |n: &usize| *n <= segment.len();
        let count = to_usize(at.count.get()).filter(fits).ok_or_else(bad)?;
        let bits = u32::try_from(header.first_record.get()).ok().filter(|b| *b <= 32);
        let bits = bits.ok_or_else(bad)?;
        let end = radix_at(count) + ((1 << bits) + 1) * 4;
        if header.count != at.count || end.next_multiple_of(8) != segment.len() {
            return Err(bad());
        }
        Ok(OpenRun { segment, count, bits })
    })
}

/// Where the table of first entries by upper bits of the hash starts in a run.
pub(crate) const fn radix_at(count: usize) -> usize {
    (64 + count * size_of::<RunEntry>()).next_multiple_of(4)
}

/// Entries that are read at once: a bucket holds about 8.
const BUCKET: usize = 16;

impl OpenRun {
    /// The end of the entries in `range` whose hash is not above `wanted`: looked for by halves
    /// where the table of the run, or keys that were chosen for it, made a large bucket.
    fn end_of(&self, io: &Io, range: Range<usize>, wanted: u64) -> Result<usize> {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry: RunEntry = self.segment.get(io, 64 + middle * size_of::<RunEntry>())?;
            if entry.hash() <= wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn search<R>(
        &self,
        io: &Io,
        hash: u64,
        f: &mut impl FnMut(RunEntry) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        let slot = match self.bits {
            0 => 0,
            bits => to_usize(hash >> (64 - bits)).unwrap_or(0),
        };
        let bounds: [U32; 2] = self.segment.get(io, radix_at(self.count) + slot * 4)?;
        let [first, mut end] = bounds.map(|b| b.get() as usize);
        if first > end || end > self.count {
            return Err(self.segment.corrupt("table out of order"));
        }
        let wanted = hash >> 16 << 16;
        if end - first > 4 * BUCKET {
            end = self.end_of(io, first..end, wanted)?;
        }
        let mut entries = [RunEntry::new(0, 0, false); BUCKET];
        // From the end, in small steps, so that a bad table cannot make one lookup take the
        // memory of a whole run.
        while first < end {
            let n = (end - first).min(BUCKET);
            let now = entries.get_mut(..n).unwrap_or_default();
            end -= n;
            let at = 64 + end * size_of::<RunEntry>();
            self.segment.read(io, at, bytemuck::cast_slice_mut(now))?;
            for entry in now.iter().rev().filter(|e| e.hash() == wanted) {
                if let Some(r) = f(*entry)? {
                    return Ok(Some(r));
                }
            }
            if now.first().is_some_and(|e| e.hash() < wanted) {
                break;
            }
        }
        Ok(None)
    }
}
