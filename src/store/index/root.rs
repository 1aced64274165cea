//! The root: everything that a commit needs besides the log, in one segment.

use crate::error::{Error, Result};
use crate::index::directory::leaves_end;
use crate::index::fence::{self, Fence};
use crate::index::layout::{
    ChunkEntry, Extent, LeafRef, ROOT_MAGIC, RootTotals, RunRef, SegmentHeader, SegmentRef,
};
use crate::index::leaf::{WORD, least_words};
use crate::index::segment::whole_len;
use crate::limits::ATTRIBUTES_MAX;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::next_segment::{Space, header, write_segment};
use crate::store::index::segment::Segment;
use crate::store::index::stored_index::{PageRef, StoredIndex, leaf_of_fence, read_fences};
use crate::wire::{U32, U64};
use bytemuck::Zeroable;

/// The open chunk as the last seal wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) entry: ChunkEntry,
    pub(crate) sums: Vec<u64>,
    /// Bytes of it that hold records.
    pub(crate) fill: u32,
}

/// Running totals of a store.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    /// Records without an ordinal: deleted, replaced and shared ones.
    pub(crate) dead_records: u64,
    /// Bytes of the deleted and replaced ones.
    pub(crate) dead_bytes: u64,
    /// How many of `dead_records` are shared.
    pub(crate) shared: u64,
    pub(crate) record_bytes: u64,
    /// End of the last record in the logical byte space.
    pub(crate) cursor: u64,
}

/// What a root says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Root {
    pub(crate) generation: u64,
    pub(crate) stored_index: StoredIndex,
    pub(crate) records: u64,
    pub(crate) chunks: u64,
    pub(crate) totals: Totals,
    pub(crate) garbage: u64,
    pub(crate) base: Option<Base>,
    pub(crate) open_block: u32,
    pub(crate) extents: Vec<Extent>,
    pub(crate) attributes: Vec<u8>,
}

fn count(n: usize) -> U32 {
    U32::new(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Root {
    pub(crate) fn write(&self, io: &Io, space: &mut Space) -> Result<SegmentRef> {
        let rest = self.body(space.garbage);
        write_segment(io, space, header(ROOT_MAGIC, self.generation, 1), &rest)
    }

    /// Its length as a segment.
    pub(crate) fn len(&self) -> u64 {
        let body = size_of::<SegmentHeader>() + self.body(0).len();
        whole_len((body as u64).next_multiple_of(8))
    }

    fn body(&self, garbage: u64) -> Vec<u8> {
        let base = self.base.as_ref();
        let totals = RootTotals {
            records: self.records.into(),
            chunks: self.chunks.into(),
            dead_records: self.totals.dead_records.into(),
            dead_bytes: self.totals.dead_bytes.into(),
            cursor: self.totals.cursor.into(),
            record_bytes: self.totals.record_bytes.into(),
            garbage: garbage.into(),
            base_fill: base.map_or(0, |b| b.fill).into(),
            base_sums: count(base.map_or(0, |b| b.sums.len())),
            base: base.map_or_else(ChunkEntry::zeroed, |b| b.entry),
            pages: count(self.stored_index.pages.len()),
            leaves: count(self.stored_index.leaves.len()),
            runs: count(self.stored_index.runs.len()),
            dead_runs: count(self.stored_index.dead_runs.len()),
            extents: count(self.extents.len()),
            attributes: count(self.attributes.len()),
            open_block: self.open_block.into(),
            shared: count(usize::try_from(self.totals.shared).unwrap_or(usize::MAX)),
        };
        let mut rest = bytemuck::bytes_of(&totals).to_vec();
        rest.extend(base.into_iter().flat_map(|b| &b.sums).flat_map(|s| s.to_le_bytes()));
        let stored_index = &self.stored_index;
        stored_index.pages.iter().for_each(|p| rest.extend_from_slice(bytemuck::bytes_of(&p.at)));
        stored_index.leaves.iter().for_each(|l| rest.extend_from_slice(bytemuck::bytes_of(&l.at)));
        rest.extend(fence::encode(&stored_index.fences));
        stored_index.runs.iter().for_each(|r| rest.extend_from_slice(bytemuck::bytes_of(&r.at)));
        stored_index
            .dead_runs
            .iter()
            .for_each(|r| rest.extend_from_slice(bytemuck::bytes_of(&r.at)));
        rest.extend_from_slice(bytemuck::cast_slice(&self.extents));
        rest.extend_from_slice(&self.attributes);
        rest
    }

    /// Reads the root at `at`; an empty one if there is none yet.
    pub(crate) fn read(io: &Io, at: &SegmentRef) -> Result<Self> {
        if at.len.get() == 0 {
            return Ok(Self { attributes: b"{}".to_vec(), ..Self::default() });
        }
        let seg = Segment::open(io, at, ROOT_MAGIC, "root")?;
        let head: SegmentHeader = seg.get(io, 0)?;
        let t: RootTotals = seg.get(io, 64)?;
        let mut pos = 64 + size_of::<RootTotals>();
        let mut list = Reader { io, seg: &seg, at: &mut pos };
        let sums: Vec<u64> = list.next::<U64>(t.base_sums)?.into_iter().map(U64::get).collect();
        let stored_index = StoredIndex {
            pages: list.next::<PageRef>(t.pages)?.into_iter().map(Lazy::new).collect(),
            leaves: list.next::<LeafRef>(t.leaves)?.into_iter().map(Lazy::new).collect(),
            fences: list.fences()?,
            runs: list.next::<RunRef>(t.runs)?.into_iter().map(Lazy::new).collect(),
            dead_runs: list.next::<RunRef>(t.dead_runs)?.into_iter().map(Lazy::new).collect(),
        };
        let extents = list.next::<Extent>(t.extents)?;
        if t.attributes.get() as usize > ATTRIBUTES_MAX {
            return Err(Error::corrupt("root", at.offset.get(), "attributes above their limit"));
        }
        let attributes = list.next::<u8>(t.attributes)?;
        let base = (t.base.cbytes.get() != 0).then(|| Base {
            entry: ChunkEntry { reserved: U32::new(0), ..t.base },
            sums,
            fill: t.base_fill.get(),
        });
        let root = Self {
            generation: head.generation.get(),
            stored_index,
            records: t.records.get(),
            chunks: t.chunks.get(),
            totals: Totals {
                dead_records: t.dead_records.get(),
                dead_bytes: t.dead_bytes.get(),
                shared: t.shared.get().into(),
                record_bytes: t.record_bytes.get(),
                cursor: t.cursor.get(),
            },
            garbage: t.garbage.get().min(io.len()),
            base,
            open_block: t.open_block.get(),
            extents,
            attributes,
        };
        root.check(io.len()).map_err(|why| Error::corrupt("root", at.offset.get(), why))?;
        Ok(root)
    }

    /// Whether the numbers agree with each other and with a file of `len` bytes, so that no
    /// loop over what they count goes on for longer than the file accounts for.
    fn check(&self, len: u64) -> Result<(), &'static str> {
        let t = &self.totals;
        // No file is shorter than the least that so many records and chunks take in the index.
        let room = u128::from(least_words(self.records)) * WORD as u128
            + u128::from(self.chunks) * size_of::<ChunkEntry>() as u128;
        if room > u128::from(len) {
            return Err("claims more records or chunks than the file has room for");
        }
        if t.dead_records > self.records || t.dead_bytes > t.record_bytes {
            return Err("claims more deleted records than there are");
        }
        // Far beyond what so many records can be long, so that sums of it never overflow.
        if t.record_bytes >> 32 > self.records {
            return Err("claims longer records than there can be");
        }
        let mut next = (0, 0);
        for page in &self.stored_index.pages {
            let first = (page.at.first_record.get(), page.at.first_chunk.get());
            if first.0 < next.0 || first.1 < next.1 {
                return Err("its directory pages do not follow each other");
            }
            next = first;
        }
        let first = self.stored_index.leaves.first().map_or((self.records, self.chunks), |leaf| {
            (leaf.at.first_record.get(), leaf.at.first_chunk.get())
        });
        let follows =
            if self.stored_index.pages.is_empty() { first == (0, 0) } else { first >= next };
        let leaves = self.stored_index.leaves.iter().map(|leaf| &leaf.at);
        if !follows || leaves_end(leaves, first, len) != Some((self.records, self.chunks)) {
            return Err("its leaves do not hold its records and chunks");
        }
        // What leads into a page is compared with that when it is opened.
        let own = |f: &Fence| {
            f.record() < first.0 || leaf_of_fence(&self.stored_index.leaves, f).is_some()
        };
        if !self.stored_index.fences.iter().all(own) {
            return Err("its fences are not those of its leaves");
        }
        Ok(())
    }
}

struct Reader<'a> {
    io: &'a Io,
    seg: &'a Segment,
    at: &'a mut usize,
}

impl Reader<'_> {
    fn next<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(&mut self, n: U32) -> Result<Vec<T>> {
        let out = self.seg.list(self.io, *self.at, n.get() as usize)?;
        *self.at += size_of_val(out.as_slice());
        Ok(out)
    }

    fn fences(&mut self) -> Result<Vec<Fence>> {
        let (fences, end) = read_fences(self.io, self.seg, *self.at)?;
        *self.at = end;
        Ok(fences)
    }
}
