//! The root: everything that a commit needs besides the log, in one segment.

use super::core::Totals;
use super::flush::{Space, header, write_segment};
use super::io::Io;
use super::perm::{Lazy, PageRef, Perm};
use super::segment::Segment;
use crate::error::{Error, Result};
use crate::index::layout::{
    ChunkEntry, Extent, LeafRef, ROOT_MAGIC, RootTotals, RunRef, SegmentHeader, SegmentRef,
};
use crate::limits::ATTRIBUTES_MAX;
use crate::wire::{U32, U64};
use bytemuck::Zeroable;

/// The open chunk as the last seal wrote it.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) entry: ChunkEntry,
    pub(super) sums: Vec<u64>,
    /// Bytes of it that hold records.
    pub(super) fill: u32,
}

/// What a root says.
#[derive(Debug, Clone, Default)]
pub(super) struct Root {
    pub(super) generation: u64,
    pub(super) perm: Perm,
    pub(super) records: u64,
    pub(super) chunks: u64,
    pub(super) totals: Totals,
    pub(super) garbage: u64,
    pub(super) base: Option<Base>,
    pub(super) open_block: u32,
    pub(super) extents: Vec<Extent>,
    pub(super) attributes: Vec<u8>,
}

fn count(n: usize) -> U32 {
    U32::new(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Root {
    pub(super) fn write(&self, io: &Io, space: &mut Space) -> Result<SegmentRef> {
        let base = self.base.as_ref();
        let totals = RootTotals {
            records: self.records.into(),
            chunks: self.chunks.into(),
            dead_records: self.totals.dead_records.into(),
            dead_bytes: self.totals.dead_bytes.into(),
            cursor: self.totals.cursor.into(),
            record_bytes: self.totals.record_bytes.into(),
            garbage: space.garbage.into(),
            base_fill: base.map_or(0, |b| b.fill).into(),
            base_sums: count(base.map_or(0, |b| b.sums.len())),
            base: base.map_or_else(ChunkEntry::zeroed, |b| b.entry),
            pages: count(self.perm.pages.len()),
            leaves: count(self.perm.leaves.len()),
            runs: count(self.perm.runs.len()),
            dead_runs: count(self.perm.dead_runs.len()),
            extents: count(self.extents.len()),
            attributes: count(self.attributes.len()),
            open_block: self.open_block.into(),
            shared: count(usize::try_from(self.totals.shared).unwrap_or(usize::MAX)),
        };
        let mut rest = bytemuck::bytes_of(&totals).to_vec();
        rest.extend(base.into_iter().flat_map(|b| &b.sums).flat_map(|s| s.to_le_bytes()));
        let perm = &self.perm;
        perm.pages.iter().for_each(|p| rest.extend_from_slice(bytemuck::bytes_of(&p.at)));
        perm.leaves.iter().for_each(|l| rest.extend_from_slice(bytemuck::bytes_of(&l.at)));
        perm.runs.iter().for_each(|r| rest.extend_from_slice(bytemuck::bytes_of(&r.at)));
        perm.dead_runs.iter().for_each(|r| rest.extend_from_slice(bytemuck::bytes_of(&r.at)));
        rest.extend_from_slice(bytemuck::cast_slice(&self.extents));
        rest.extend_from_slice(&self.attributes);
        write_segment(io, space, header(ROOT_MAGIC, self.generation, 1), &rest)
    }

    /// Reads the root at `at`; an empty one if there is none yet.
    pub(super) fn read(io: &Io, at: &SegmentRef) -> Result<Self> {
        if at.len.get() == 0 {
            return Ok(Self { attributes: b"{}".to_vec(), ..Self::default() });
        }
        let seg = Segment::open(io, at, ROOT_MAGIC, "root")?;
        let head: SegmentHeader = seg.get(io, 0)?;
        let t: RootTotals = seg.get(io, 64)?;
        let mut pos = 64 + size_of::<RootTotals>();
        let mut list = Reader { io, seg: &seg, at: &mut pos };
        let sums: Vec<u64> = list.next::<U64>(t.base_sums)?.into_iter().map(U64::get).collect();
        let perm = Perm {
            pages: list.next::<PageRef>(t.pages)?.into_iter().map(Lazy::new).collect(),
            leaves: list.next::<LeafRef>(t.leaves)?.into_iter().map(Lazy::new).collect(),
            runs: list.next::<RunRef>(t.runs)?.into_iter().map(Lazy::new).collect(),
            dead_runs: list.next::<RunRef>(t.dead_runs)?.into_iter().map(Lazy::new).collect(),
        };
        let extents = list.next::<Extent>(t.extents)?;
        if t.attributes.get() as usize > ATTRIBUTES_MAX {
            return Err(Error::corrupt("root", at.offset.get(), "attributes above their limit"));
        }
        let attributes = list.next::<u8>(t.attributes)?;
        let base = (t.base.cbytes.get() != 0).then(|| Base {
            entry: t.base,
            sums,
            fill: t.base_fill.get(),
        });
        Ok(Self {
            generation: head.generation.get(),
            perm,
            records: t.records.get(),
            chunks: t.chunks.get(),
            totals: Totals {
                dead_records: t.dead_records.get(),
                dead_bytes: t.dead_bytes.get(),
                shared: t.shared.get().into(),
                record_bytes: t.record_bytes.get(),
                cursor: t.cursor.get(),
            },
            garbage: t.garbage.get(),
            base,
            open_block: t.open_block.get(),
            extents,
            attributes,
        })
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
}
