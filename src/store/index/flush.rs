//! Writing the index: leaves, runs and roots from what the writer holds in memory.

use crate::error::{Error, Result};
use crate::index::fence::{self, Fence, Rank};
use crate::index::layout::{
    ChunkEntry, DEAD_MAGIC, KEY_SHARED, LEAF_MAGIC, LeafHeader, LeafRef, PAGE_MAGIC, RunRef,
    SegmentHeader,
};
use crate::index::leaf::{Place, Records, WORD, pack};
use crate::index::run::RunEntry;
use crate::index::segment::whole_len;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::memtable::{Memtable, Prefix, less};
use crate::store::index::next_segment::{Space, header, write_segment};
use crate::store::index::row_chunk::{EncodedRows, RowStyle, encode_rows};
use crate::store::index::runs::{self, to_merge};
use crate::store::index::stored_index::{DeadRun, PAGE_LEAVES, PageRef, StoredIndex};
use crate::wire::{U32, U64, memory, to_usize};

/// A leaf that is not written yet: what `memtable` holds between two places in it.
pub(crate) struct NewLeaf {
    from: Prefix,
    to: Prefix,
    records: Records,
    rows: EncodedRows,
}

impl NewLeaf {
    pub(crate) fn new(
        memtable: &Memtable,
        from: Prefix,
        to: Prefix,
        rows: &RowStyle,
    ) -> Result<Self> {
        let rows = encode_rows(memtable, from.records..to.records, rows)?;
        let records = memtable.records.get(from.records..to.records).unwrap_or_default();
        let records = pack(
            records
                .iter()
                .map(|e| (Place::from(e), e.key_kind, memtable.key(e).unwrap_or_default())),
        )?;
        Ok(Self { from, to, records, rows })
    }

    /// The numbers of its checksums.
    fn sums(&self, memtable: &Memtable) -> std::ops::Range<usize> {
        memtable.sums_at(self.from.chunks)..memtable.sums_at(self.to.chunks)
    }

    /// Its length as a segment, which does not depend on where anything lies.
    pub(crate) fn len(&self, memtable: &Memtable) -> u64 {
        let chunks = (self.to.chunks - self.from.chunks) * size_of::<ChunkEntry>();
        let head = size_of::<SegmentHeader>() + size_of::<LeafHeader>();
        let plain = head + chunks + self.sums(memtable).len() * 8 + self.records.bytes.len();
        whole_len(((plain + self.rows.chunk.len()) as u64).next_multiple_of(8))
    }

    /// Writes it to the next free place.
    pub(crate) fn write(
        &self,
        io: &Io,
        space: &mut Space,
        memtable: &Memtable,
        generation: u64,
    ) -> Result<LeafRef> {
        let count = |n: usize| {
            u32::try_from(n).map(U32::new).map_err(|_| Error::Limit {
                what: "entries of one leaf",
                asked: n as u64,
                max: u64::from(u32::MAX),
            })
        };
        let sums = self.sums(memtable);
        let chunks = memtable.chunks.get(self.from.chunks..self.to.chunks).unwrap_or_default();
        let own = LeafHeader {
            records: count(self.to.records - self.from.records)?,
            chunks: count(chunks.len())?,
            sums: count(sums.len())?,
            packed: count(self.records.bytes.len() / WORD)?,
            ordered: self.records.ordered,
            numbers: self.rows.numbers.to_le_bytes(),
            ..LeafHeader::default()
        };
        let mut head = header(LEAF_MAGIC, generation, self.to.records - self.from.records);
        head.first_record = (memtable.first_record + self.from.records as u64).into();
        head.first_chunk = (memtable.first_chunk + self.from.chunks as u64).into();
        let mut rest = memory::with_room(to_usize(self.len(memtable)).unwrap_or(usize::MAX))?;
        rest.extend_from_slice(bytemuck::bytes_of(&own));
        for entry in chunks {
            // Places in a leaf count from its own checksums.
            let entry = ChunkEntry { first_sum: less(entry.first_sum, sums.start), ..*entry };
            rest.extend_from_slice(bytemuck::bytes_of(&entry));
        }
        let sums = memtable.sums.get(sums).unwrap_or_default();
        rest.extend(sums.iter().flat_map(|s| s.to_le_bytes()));
        rest.extend_from_slice(&self.records.bytes);
        rest.extend_from_slice(&self.rows.chunk);
        let segment = write_segment(io, space, head, &rest)?;
        Ok(LeafRef::of(&head, &own, segment))
    }
}

/// Moves everything in `memtable` into leaves and runs of `stored_index`. Nothing refers to them until a
/// root does.
pub(crate) fn flush(
    io: &Io,
    space: &mut Space,
    stored_index: &mut StoredIndex,
    memtable: &mut Memtable,
    generation: u64,
    rows: &RowStyle,
) -> Result<()> {
    let first = stored_index.leaves.len();
    stored_index.leaves.extend(std::mem::take(&mut memtable.early).into_iter().map(Lazy::new));
    if memtable.in_early != memtable.whole() {
        let leaf = NewLeaf::new(memtable, memtable.in_early, memtable.whole(), rows)?;
        stored_index.leaves.push(Lazy::new(leaf.write(io, space, memtable, generation)?));
    }
    let mut entries = fence_off(io, stored_index, memtable, first)?;
    entries.extend(
        memtable
            .dead
            .iter()
            .filter(|d| d.hash.get() != 0)
            .map(|d| RunEntry::new(d.hash.get(), d.record.get(), true)),
    );
    if !entries.is_empty() {
        entries.sort_unstable();
        stored_index.runs.push(runs::write(io, space, generation, &entries)?);
        let (kept, before) = (stored_index.runs.clone(), *space);
        match runs::merge(io, space, &mut stored_index.runs, generation) {
            // Runs that cannot be read stay as they are: a commit does not need them merged.
            Err(Error::Corrupt(_)) => (stored_index.runs, *space) = (kept, before),
            other => other?,
        }
    }
    if !memtable.dead.is_empty() {
        let mut dead: Vec<U64> = memtable.dead.iter().map(|d| d.record).collect();
        dead.sort_unstable_by_key(|r| r.get());
        stored_index.dead_runs.push(write_dead(io, space, &dead, generation)?);
        merge_dead(io, space, stored_index, generation)?;
    }
    while stored_index.leaves.len() >= 2 * PAGE_LEAVES {
        add_page(io, space, stored_index, generation)?;
    }
    *memtable = memtable.next();
    Ok(())
}

/// Gives fences to those leaves of `memtable`, the ones from `first` on, that can have one; the
/// entries for the records of the others.
fn fence_off(
    io: &Io,
    stored_index: &mut StoredIndex,
    memtable: &Memtable,
    first: usize,
) -> Result<Vec<RunEntry>> {
    let last = match stored_index.last_fenced_key(io) {
        Ok(last) => Some(last),
        // Where the last leaf with a fence cannot be read, no other gets one.
        Err(Error::Corrupt(_)) => None,
        Err(e) => return Err(e),
    };
    let mut above =
        last.as_ref().map(|last| last.as_ref().and_then(|(kind, bytes)| Rank::new(*kind, bytes)));
    let mut entries = Vec::new();
    for leaf in stored_index.leaves.get(first..).unwrap_or_default() {
        let record = leaf.at.first_record.get();
        let start = to_usize(record - memtable.first_record).unwrap_or(usize::MAX);
        let positions = start..start + leaf.at.records.get() as usize;
        let fence = memtable.ascending(positions.clone()).and_then(|(first, last)| {
            let above = above.as_mut().filter(|above| above.is_none_or(|a| a < first))?;
            let fence = Fence::new(&first, record)?;
            *above = Some(last);
            Some(fence)
        });
        // Shared records are found by their hash alone.
        let by_hash = |kind: u8| fence.is_none() || kind == KEY_SHARED;
        let hashes = memtable.hashes(positions).filter(|(kind, _, _)| by_hash(*kind));
        entries.extend(hashes.map(|(_, hash, id)| RunEntry::new(hash, id, false)));
        stored_index.fences.extend(fence);
    }
    Ok(entries)
}

/// Writes a directory page of these leaves and their fences.
pub(crate) fn write_page(
    io: &Io,
    space: &mut Space,
    refs: &[LeafRef],
    fences: &[Fence],
    generation: u64,
) -> Result<PageRef> {
    let first = refs.first().copied().unwrap_or_default();
    let mut head = header(PAGE_MAGIC, generation, refs.len());
    head.first_record = first.first_record;
    head.first_chunk = first.first_chunk;
    let body = [bytemuck::cast_slice(refs), &fence::encode(fences)].concat();
    let segment = write_segment(io, space, head, &body)?;
    Ok(PageRef { segment, first_record: first.first_record, first_chunk: first.first_chunk })
}

/// Moves the oldest leaves that the root lists into a page.
fn add_page(
    io: &Io,
    space: &mut Space,
    stored_index: &mut StoredIndex,
    generation: u64,
) -> Result<()> {
    let old = stored_index.leaves.split_off(PAGE_LEAVES);
    let full = std::mem::replace(&mut stored_index.leaves, old);
    let refs: Vec<LeafRef> = full.iter().map(|l| l.at).collect();
    let fences = stored_index.split_fences(&refs);
    stored_index.pages.push(Lazy::new(write_page(io, space, &refs, &fences, generation)?));
    Ok(())
}

fn write_dead(io: &Io, space: &mut Space, dead: &[U64], generation: u64) -> Result<DeadRun> {
    let head = header(DEAD_MAGIC, generation, dead.len());
    let segment = write_segment(io, space, head, bytemuck::cast_slice(dead))?;
    let count = U64::new(dead.len() as u64);
    Ok(Lazy::new(RunRef { segment, count, ..RunRef::default() }))
}

fn merge_dead(
    io: &Io,
    space: &mut Space,
    stored_index: &mut StoredIndex,
    generation: u64,
) -> Result<()> {
    while let Some(n) = to_merge(&stored_index.dead_runs) {
        let old = stored_index.dead_runs.split_off(stored_index.dead_runs.len() - n);
        let part = StoredIndex { dead_runs: old, ..StoredIndex::default() };
        let all: Vec<U64> = match part.dead(io) {
            Ok(all) => all.into_iter().map(U64::new).collect(),
            // Lists that cannot be read stay as they are.
            Err(Error::Corrupt(_)) => {
                stored_index.dead_runs.extend(part.dead_runs);
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        space.garbage += part.dead_runs.iter().map(|r| r.at.bytes()).sum::<u64>();
        stored_index.dead_runs.push(write_dead(io, space, &all, generation)?);
    }
    Ok(())
}
