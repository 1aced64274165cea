//! From what a search found to something records can be read from: the newest root, the leaves
//! and log entries behind it, or all of them where there is no root.

use crate::backend::Backend;
use crate::column::Column;
use crate::error::{Error, Result};
use crate::index::layout::{DEAD_MAGIC, LEAF_MAGIC, LeafHeader, LeafRef, ROOT_MAGIC, RunRef};
use crate::index::leaf::HEADER_AT;
use crate::index::log;
use crate::index::slot::Slot;
use crate::maintain::recover::recovery_reader::{FoundRange, Piece, RangeIndex, RecoveryReader};
use crate::maintain::recover::report::{Recovered, RecoveryMethod};
use crate::maintain::recover::scan::{FoundEntry, FoundSegment, Scanned};
use crate::maintain::recover::sealed::Sealed;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::leaf::{Leaf, open};
use crate::store::index::memtable::Memtable;
use crate::store::index::root::{Base, Root};
use crate::store::index::stored_index::StoredIndex;
use crate::store::options::{Layout, ReadOptions};
use crate::store::read::cache::BlockCache;
use crate::store::read::chunk_locations::ChunkLocations;
use crate::store::read::reader::{OpenChunk, Reader};
use once_cell::race::OnceBox;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The reference to a leaf from the leaf itself, if it can be opened by that.
pub(crate) fn leaf_ref(io: &Io, found: &FoundSegment) -> Option<LeafRef> {
    let at = found.at.offset.get().checked_add(HEADER_AT as u64)?;
    let own = io.bytes(at, size_of::<LeafHeader>(), bytemuck::try_pod_read_unaligned).ok()?.ok()?;
    let leaf = LeafRef::of(&found.head, &own, found.at);
    open(io, &Lazy::new(leaf)).is_ok().then_some(leaf)
}

/// The leaves of an index in rows; pages of the directory that cannot be read are rows too.
pub(crate) fn rows_of(io: &Io, stored_index: &StoredIndex) -> Result<Vec<FoundRange>> {
    let mut rows = Vec::new();
    let row = |leaf: &Leaf| FoundRange {
        first: leaf.at.first_record.get(),
        count: u64::from(leaf.at.records.get()),
        part: RangeIndex::Leaf(leaf.clone()),
    };
    for (i, page) in stored_index.pages.iter().enumerate() {
        let alone = StoredIndex { pages: vec![page.clone()], ..StoredIndex::default() };
        match alone.all_leaves(io) {
            Ok(leaves) => rows.extend(leaves.into_iter().map(row)),
            Err(e) if e.is_damage() => {
                let first = page.at.first_record.get();
                let next = stored_index.pages.get(i + 1).map(|p| p.at.first_record.get());
                let next = next.or(stored_index.leaves.first().map(|l| l.at.first_record.get()));
                let count = next.unwrap_or(first).saturating_sub(first);
                rows.push(FoundRange { first, count, part: RangeIndex::Lost(e) });
            }
            Err(e) => return Err(e),
        }
    }
    rows.extend(stored_index.leaves.iter().map(row));
    Ok(rows)
}

/// Deleted records by the lists of `stored_index`; whether all lists could be read.
pub(crate) fn dead_of(io: &Io, stored_index: &StoredIndex) -> Result<(Vec<u64>, Option<Error>)> {
    let mut dead = Vec::new();
    let mut bad = None;
    for run in &stored_index.dead_runs {
        let alone = StoredIndex { dead_runs: vec![run.clone()], ..StoredIndex::default() };
        match alone.dead(io) {
            Ok(list) => dead.extend(list),
            Err(e) if e.is_damage() => bad = Some(e),
            Err(e) => return Err(e),
        }
    }
    Ok((dead, bad))
}

/// A reader that reads chunks by the index `stored_index` alone.
fn core_of(
    io: Io,
    stored_index: StoredIndex,
    layout: &Layout,
    records: u64,
    chunks: u64,
) -> Reader {
    let absent = Column::absent(layout.columns()).into();
    Reader {
        io,
        chunk_size: u64::from(layout.chunk()),
        stored_index,
        memtable: Memtable::after(records, chunks).with_rows(absent),
        totals: crate::store::index::root::Totals::default(),
        open: OpenChunk::default(),
        sealed: None,
        waiting: BTreeMap::new(),
        cache: BlockCache::new(ReadOptions::default().cache_bytes),
        chunk_locations: ChunkLocations::default(),
        dead: OnceBox::new(),
        threads: 1,
    }
}

/// What can be read of chunks whose places are all that is known.
pub(crate) fn without_index(
    backend: &Arc<dyn Backend>,
    sealed: Sealed,
    layout: &Layout,
) -> Result<RecoveryReader> {
    let io = Io::new(backend.clone(), [0; 16])?;
    Ok(RecoveryReader {
        reader: core_of(io, StoredIndex::default(), layout, 0, 0),
        rows: Vec::new(),
        chunks: BTreeMap::new(),
        pieces: BTreeMap::new(),
        bases: Vec::new(),
        dead: Vec::new(),
        certain: false,
        sealed,
        attributes: b"{}".to_vec(),
        means: RecoveryMethod::Chunks,
        runs_reach: 0,
        expected: None,
        loose: Some(Vec::new()),
        places: RefCell::default(),
        used: RefCell::default(),
    })
}

/// The best root: one that is newer than every slot, else that of a slot, else the newest.
fn best_root(io: &Io, scanned: &Scanned, slots: &[Slot]) -> Option<Root> {
    let newest = slots.first().map_or(0, |s| s.generation.get());
    let mut roots: Vec<_> = scanned.of(ROOT_MAGIC).collect();
    roots.sort_by_key(|r| std::cmp::Reverse((r.head.generation.get(), r.at.offset.get())));
    let newer = roots.iter().filter(|r| r.head.generation.get() > newest).map(|r| r.at);
    let named = slots.iter().map(|s| s.root).filter(|r| r.len.get() != 0);
    let older = roots.iter().map(|r| r.at);
    // A young store has no root at all; then the log alone tells of everything.
    newer.chain(named).chain(older).find_map(|at| Root::read(io, &at).ok())
}

/// What a leaf or a log entry says: that from some commit on, records are such.
struct Claim<'a> {
    generation: u64,
    offset: u64,
    what: What<'a>,
}

enum What<'a> {
    Leaf(LeafRef),
    Entry(&'a FoundEntry),
}

impl Claim<'_> {
    /// The order in which claims were made. Leaves of a commit are written before its log entry.
    const fn order(&self) -> (u64, bool, u64) {
        (self.generation, matches!(self.what, What::Entry(_)), self.offset)
    }
}

/// What a search gives, joined.
pub(crate) fn rebuild(
    backend: &Arc<dyn Backend>,
    file: [u8; 16],
    scanned: &Scanned,
    slots: &[Slot],
    layout: &Layout,
    out: &mut Recovered,
) -> Result<RecoveryReader> {
    let io = Io::new(backend.clone(), file)?;
    let root = best_root(&io, scanned, slots);
    let means = root
        .as_ref()
        .map_or(RecoveryMethod::Segments, |r| RecoveryMethod::Root { generation: r.generation });
    let bound = root.is_some();
    let root = root.unwrap_or_else(|| Root { attributes: b"{}".to_vec(), ..Root::default() });
    let mut rows = rows_of(&io, &root.stored_index)?;
    let fresh = |generation: u64| !bound || generation > root.generation;

    // Leaves and log entries behind the root, or all; and leaves that a page of the directory
    // named that is lost.
    let mut claims = Vec::new();
    let mut once = HashSet::new();
    for found in scanned.of(LEAF_MAGIC) {
        // A leaf and its copy are the same bytes.
        if !once.insert(bytemuck::bytes_of(&found.head)) {
            continue;
        }
        let Some(leaf) = leaf_ref(&io, found) else { continue };
        let generation = found.head.generation.get();
        let (first, count) = (leaf.first_record.get(), u64::from(leaf.records.get()));
        let behind = first >= root.records && leaf.first_chunk.get() >= root.chunks;
        if behind && fresh(generation) {
            let offset = found.at.offset.get();
            claims.push(Claim { generation, offset, what: What::Leaf(leaf) });
        } else if fill_page(&mut rows, first, count) {
            rows.push(FoundRange { first, count, part: RangeIndex::Leaf(Lazy::new(leaf)) });
        }
    }
    let current: Vec<_> = root.extents.iter().filter(|e| e.retired.get() == 0).collect();
    claims.extend(scanned.entries.iter().filter_map(|e| {
        let here = current.iter().any(|x| {
            let at = x.offset.get();
            (at..at.saturating_add(x.capacity.get())).contains(&e.offset)
        });
        let taken = fresh(e.generation) || (here && e.generation >= root.generation);
        let (generation, offset) = (e.generation, e.offset);
        taken.then_some(Claim { generation, offset, what: What::Entry(e) })
    }));
    claims.sort_by_key(Claim::order);

    let (mut dead, bad) = dead_of(&io, &root.stored_index)?;
    if let Some(e) = &bad {
        out.damage(format!("a list of deleted records cannot be read ({e}): some may be back"));
    }
    for list in scanned.of(DEAD_MAGIC).filter(|s| bad.is_some() || fresh(s.head.generation.get())) {
        let run =
            Lazy::new(RunRef { segment: list.at, count: list.head.count, ..RunRef::default() });
        dead.extend(
            dead_of(&io, &StoredIndex { dead_runs: vec![run], ..StoredIndex::default() })?.0,
        );
    }

    let bases = bases(&io, scanned, &root, &rows);
    let loose = loose(&io, scanned);
    let mut source = RecoveryReader {
        reader: core_of(io, StoredIndex::default(), layout, 0, 0),
        rows,
        chunks: BTreeMap::new(),
        pieces: BTreeMap::new(),
        bases,
        dead,
        certain: false,
        sealed: Sealed::read(&**backend, slots.first().map(|s| &s.seal), layout.chunk()),
        attributes: root.attributes.clone(),
        means,
        runs_reach: if bound { root.records } else { 0 },
        expected: slots.first().map(|s| s.total.get()),
        loose: Some(loose),
        places: RefCell::default(),
        used: RefCell::default(),
    };
    let mut newest = root.generation;
    for claim in claims {
        newest = newest.max(claim.generation);
        match claim.what {
            What::Leaf(leaf) => {
                let (first, count) = (leaf.first_record.get(), u64::from(leaf.records.get()));
                cut_back(&mut source.rows, first, leaf.first_chunk.get());
                let part = RangeIndex::Leaf(Lazy::new(leaf));
                source.rows.push(FoundRange { first, count, part });
            }
            What::Entry(found) => {
                let entry = log::decode(&found.bytes, file, found.offset);
                let Some((entry, _)) = entry else { continue };
                add_entry(&mut source, &entry);
            }
        }
    }
    source.rows.sort_by_key(|r| r.first);
    source.dead.sort_unstable();
    source.dead.dedup();
    let leaves = source.rows.iter().filter_map(|r| match &r.part {
        RangeIndex::Leaf(leaf) => Some(leaf.clone()),
        _ => None,
    });
    let mut stored_index = StoredIndex { leaves: leaves.collect(), ..root.stored_index };
    stored_index.pages.clear();
    stored_index.leaves.sort_by_key(|l| (l.at.first_record.get(), l.at.first_chunk.get()));
    let end = source.rows.last().map_or(0, |r| r.first.saturating_add(r.count));
    let chunk_end = stored_index
        .leaves
        .last()
        .map_or(0, |l| l.at.first_chunk.get().saturating_add(u64::from(l.at.chunks.get())));
    (source.reader.stored_index, source.reader.memtable) = (
        stored_index,
        Memtable::after(end, chunk_end).with_rows(Column::absent(layout.columns()).into()),
    );
    let newest_slot = slots.first().map(|s| s.generation.get());
    if newest_slot != Some(newest) || !bound {
        out.damage(format!(
            "the records were found by searching the file, up to commit {newest}: what was deleted or replaced after that may be back"
        ));
    }
    Ok(source)
}

/// The open chunk of the best root as it was written last, and as the seals before wrote it: of
/// roots whose newest leaf the best one names too, so that what they wrote is part of the same
/// history.
fn bases(io: &Io, scanned: &Scanned, best: &Root, rows: &[FoundRange]) -> Vec<(u64, Base)> {
    let place = |leaf: &Leaf| (leaf.at.segment.offset.get(), leaf.at.segment.sum.get());
    let named: HashSet<_> = rows
        .iter()
        .filter_map(|r| match &r.part {
            RangeIndex::Leaf(leaf) => Some(place(leaf)),
            _ => None,
        })
        .collect();
    let mut older: Vec<_> = scanned
        .of(ROOT_MAGIC)
        .filter(|s| s.head.generation.get() < best.generation)
        .filter_map(|s| Root::read(io, &s.at).ok())
        .filter(|r| r.stored_index.leaves.last().is_some_and(|leaf| named.contains(&place(leaf))))
        .collect();
    older.sort_by_key(|r| std::cmp::Reverse(r.generation));
    let own = best.base.clone().map(|b| (best.chunks, b));
    own.into_iter().chain(older.into_iter().filter_map(|r| Some((r.chunks, r.base?)))).collect()
}

/// What begins like a chunk and is not one that a seal wrote while it was open: those were
/// written again when they were finished.
pub(crate) fn loose(io: &Io, scanned: &Scanned) -> Vec<(u64, u32)> {
    let roots = scanned.of(ROOT_MAGIC).filter_map(|s| Root::read(io, &s.at).ok());
    let bases: HashSet<u64> = roots.filter_map(|r| r.base.map(|b| b.entry.offset.get())).collect();
    scanned.chunks.iter().filter(|(at, _)| !bases.contains(at)).copied().collect()
}

/// Takes away what earlier claims said of the records from `first` on: a later one begins there.
fn cut_back(rows: &mut Vec<FoundRange>, first: u64, first_chunk: u64) {
    rows.retain_mut(|row| {
        let leaf_of_chunks = matches!(&row.part, RangeIndex::Leaf(leaf)
            if row.count == 0 && leaf.at.first_chunk.get() < first_chunk);
        if row.first > first || (row.first == first && !leaf_of_chunks) {
            return false;
        }
        row.count = row.count.min(first - row.first);
        true
    });
}

/// Takes the place of a row whose page of the directory is lost.
fn fill_page(rows: &mut Vec<FoundRange>, first: u64, count: u64) -> bool {
    let end = first.saturating_add(count);
    let inside = |r: &FoundRange| {
        matches!(r.part, RangeIndex::Lost(_)) && r.first <= first && end <= r.first + r.count
    };
    let Some(at) = rows.iter().position(inside) else { return false };
    let Some(FoundRange { first: old, count: n, part: RangeIndex::Lost(e) }) =
        (at < rows.len()).then(|| rows.remove(at))
    else {
        return false;
    };
    let why = || match e.root() {
        Error::Corrupt(c) => Error::Corrupt(*c),
        _ => Error::corrupt("directory page", 0, "cannot be read"),
    };
    if old < first {
        rows.push(FoundRange { first: old, count: first - old, part: RangeIndex::Lost(why()) });
    }
    if end < old + n {
        rows.push(FoundRange { first: end, count: old + n - end, part: RangeIndex::Lost(why()) });
    }
    true
}

/// Adds what a log entry tells.
fn add_entry(out: &mut RecoveryReader, entry: &log::LogContent<'_>) {
    out.dead.extend(entry.dead.iter().map(|d| d.record.get()));
    if let Some(a) = entry.attributes {
        out.attributes = a.to_vec();
    }
    for (number, chunk) in (entry.first_chunk..).zip(entry.chunks) {
        let first = chunk.first_sum.get() as usize;
        let sums = first
            .checked_add(chunk.blocks.get() as usize)
            .and_then(|last| entry.sums.get(first..last));
        if let Some(sums) = sums {
            out.chunks.insert(number, (*chunk, sums.iter().map(|s| s.get()).collect()));
        }
    }
    let open = entry.first_chunk.saturating_add(entry.chunks.len() as u64);
    for (start, len, bytes) in &entry.pieces {
        // No chunk is larger; a length made to abuse is not taken at its word.
        if u64::from(*start) + u64::from(*len) <= out.reader.chunk_size {
            let piece = Piece { start: *start, len: *len, bytes: bytes.to_vec() };
            out.pieces.entry(open).or_default().push(piece);
        }
    }
    if !entry.records.is_empty() {
        cut_back(&mut out.rows, entry.first_record, entry.first_chunk);
        out.rows.push(FoundRange {
            first: entry.first_record,
            count: entry.records.len() as u64,
            part: RangeIndex::Log(
                entry.records.to_vec(),
                entry.keys.to_vec(),
                entry.rows.iter().map(|w| w.get()).collect(),
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{U32, U64};
    use crate::{Durability, StoreOptions, WriteOptions, Writer};

    #[test]
    fn a_leaf_tells_how_much_of_everything_is_in_it() {
        let options = StoreOptions {
            layout: Layout { chunk_size: 8192, block_size: 2048, ..Layout::default() },
            write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
        };
        let mut w = Writer::in_memory(&options).unwrap();
        for i in 0..500_u64 {
            w.insert(format!("key number {i}"), &[7; 100]).unwrap();
        }
        w.seal().unwrap();
        let root = &w.commits.slot.root;
        let io = Io::new(w.backend().clone(), w.reader.io.file()).unwrap();
        let root = Root::read(&io, root).unwrap();
        let scanned =
            crate::maintain::recover::scan::scan(&**w.backend(), io.file(), &mut |_, _| Ok(()))
                .unwrap();
        let found: Vec<_> = scanned.of(LEAF_MAGIC).map(|s| leaf_ref(&io, s).unwrap()).collect();
        let right: Vec<_> = root.stored_index.leaves.iter().map(|l| l.at).collect();
        let firsts: Vec<_> = right.iter().map(|l| LeafRef { copy: U64::new(0), ..*l }).collect();
        let (first, copies) = found.split_at(right.len());
        assert_eq!(first, firsts);
        let places: Vec<_> = copies.iter().map(|l| l.segment.offset).collect();
        assert_eq!(places, right.iter().map(|l| l.copy).collect::<Vec<_>>());
        assert!(right.iter().any(|l| l.chunks != U32::new(0)));
        assert_eq!(root.records, 500);
    }
}
