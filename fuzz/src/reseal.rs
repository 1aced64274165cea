//! Gives a store whose bytes were changed the checksums that fit them, as far as there is still
//! something to follow: what lies behind the checksums is reached then. On the way it notes what
//! lies where, so that changes can aim at one structure.

use bytemuck::AnyBitPattern;
use std::mem::offset_of;
use std::ops::Range;
use vlstore::chunk::ChunkLayout;
use vlstore::index::filter;
use vlstore::index::layout::{
    ChunkEntry, FILTER_BLOCK, LeafHeader, LeafRef, LogHeader, PieceEntry, RecordEntry, RootTotals,
    RunRef, SegmentHeader, SegmentRef,
};
use vlstore::index::leaf::DIRECTORY;
use vlstore::index::segment::{body_len, table_sum};
use vlstore::index::slot::{MARK_LEN, SLOT_COPIES, SLOT_LEN, Seal, Slot};
use vlstore::limits::INDEX_PAGE;
use vlstore::wire::{checksum, identify, mix};

/// Where the configuration is, and the two slot pages.
const CONFIG: usize = 1024;
const SLOT_PAGES: [usize; 2] = [4096, 8192];
const HEADER_LEN: usize = 12288;
/// Leaves of a directory page, and bytes of the reference to one.
const PAGE_LEAVES: usize = 64;
const PAGE_REF: usize = 40;
/// A list that claims more entries is followed so far.
const MOST: usize = 1000;

/// What was met on the way.
#[derive(Debug, Default)]
pub struct Found {
    /// Where the structures lie.
    pub structures: Vec<Range<usize>>,
    /// Where checksums were put.
    pub sums: Vec<usize>,
}

/// A store, and what was found in it.
struct Image<'a> {
    bytes: &'a mut [u8],
    file: [u8; 16],
    found: Found,
    /// Bytes that may still be looked at: what many references lead to is not sealed without end.
    left: usize,
}

impl Image<'_> {
    fn get<T: AnyBitPattern>(&self, at: usize) -> Option<T> {
        self.peek(at, size_of::<T>()).map(bytemuck::pod_read_unaligned)
    }

    fn peek(&self, at: usize, len: usize) -> Option<&[u8]> {
        self.bytes.get(at..at.checked_add(len)?)
    }

    fn sum(&mut self, at: usize, len: usize) -> Option<u64> {
        self.left = self.left.checked_sub(len)?;
        self.peek(at, len).map(checksum)
    }

    fn put(&mut self, at: usize, sum: u64) -> Option<()> {
        self.bytes.get_mut(at..at.checked_add(8)?)?.copy_from_slice(&sum.to_le_bytes());
        self.found.sums.push(at);
        Some(())
    }

    fn note(&mut self, at: usize, len: usize) {
        if len > 0 {
            self.found.structures.push(at..at.saturating_add(len));
        }
    }

    /// Seals the segment that the reference at `at` names.
    fn segment(&mut self, at: usize) -> Option<()> {
        let named: SegmentRef = self.get(at)?;
        let (offset, len) = (place(named.offset.get())?, place(named.len.get())?);
        let body = place(body_len(named.len.get())?)?;
        self.peek(offset, len)?;
        for (n, from) in (0..body).step_by(INDEX_PAGE).enumerate() {
            let sum = self.sum(offset + from, INDEX_PAGE.min(body - from))?;
            self.put(offset + body + 8 * n, sum)?;
        }
        let table = self.peek(offset + body, len - body)?;
        let sum = table_sum(self.file, named.offset.get(), named.len.get(), table);
        self.put(at + offset_of!(SegmentRef, sum), sum)
    }

    /// Seals the chunks whose entries start at `at`, and their blocks.
    fn chunks(&mut self, at: usize, count: usize, first: u64) {
        let sums = at.saturating_add(count.saturating_mul(size_of::<ChunkEntry>()));
        for i in 0..count.min(MOST) {
            let entry = at.saturating_add(i * size_of::<ChunkEntry>());
            let _ = self.chunk(entry, sums, first.wrapping_add(i as u64));
        }
    }

    fn chunk(&mut self, at: usize, sums: usize, number: u64) -> Option<()> {
        let entry: ChunkEntry = self.get(at)?;
        let (offset, cbytes) = (place(entry.offset.get())?, entry.cbytes.get() as usize);
        let bytes = self.peek(offset, cbytes)?;
        let prefix = ChunkLayout::prefix_len(bytes, 1 << 20).ok()?;
        let layout = ChunkLayout::parse(bytes, 1 << 20);
        let sum = self.sum(offset, prefix)? ^ identify(self.file, number, u64::MAX);
        self.put(at + offset_of!(ChunkEntry, prefix_sum), sum)?;
        self.note(offset, prefix);
        self.note(offset + prefix, cbytes.saturating_sub(prefix));
        let layout = layout.ok()?;
        for i in 0..layout.blocks().min(MOST as u32) {
            let block = layout.block_range(i);
            let (start, end) = (block.start as usize, block.end as usize);
            if end > cbytes {
                return None;
            }
            let sum = self.sum(offset.checked_add(start)?, end.checked_sub(start)?)?
                ^ identify(self.file, number, u64::from(i));
            let slot = entry.first_sum.get() as usize + i as usize;
            self.put(sums.checked_add(8 * slot)?, sum)?;
        }
        Some(())
    }

    /// Seals the root that the reference at `at` names, and all that it leads to.
    fn root(&mut self, at: usize) -> Option<()> {
        let named: SegmentRef = self.get(at)?;
        let offset = place(named.offset.get()).filter(|offset| *offset > 0)?;
        let _ = self.lists(offset);
        self.note(offset, size_of::<SegmentHeader>() + size_of::<RootTotals>());
        let head = size_of::<SegmentHeader>() + size_of::<RootTotals>();
        self.note(offset + head, place(named.len.get())?.saturating_sub(head));
        self.segment(at)
    }

    fn lists(&mut self, root: usize) -> Option<()> {
        let totals_at = root.checked_add(size_of::<SegmentHeader>())?;
        let totals: RootTotals = self.get(totals_at)?;
        let sums = totals_at + size_of::<RootTotals>();
        if totals.base.cbytes.get() != 0 {
            let entry = totals_at + offset_of!(RootTotals, base);
            let _ = self.chunk(entry, sums, totals.chunks.get());
        }
        let mut at = sums + 8 * totals.base_sums.get() as usize;
        for _ in 0..totals.pages.get().min(MOST as u32) {
            let _ = self.page(at);
            at += PAGE_REF;
        }
        for _ in 0..totals.leaves.get().min(MOST as u32) {
            let _ = self.leaf(at);
            at += size_of::<LeafRef>();
        }
        let fences: u32 = self.get(at + 4)?;
        self.note(at, 8 + fences as usize);
        at += 8 + fences as usize;
        for _ in 0..totals.runs.get().saturating_add(totals.dead_runs.get()).min(MOST as u32) {
            let _ = self.run(at);
            at += size_of::<RunRef>();
        }
        Some(())
    }

    fn page(&mut self, at: usize) -> Option<()> {
        let named: SegmentRef = self.get(at)?;
        let offset = place(named.offset.get())?;
        let leaves = offset.checked_add(size_of::<SegmentHeader>())?;
        for i in 0..PAGE_LEAVES {
            let _ = self.leaf(leaves.checked_add(i * size_of::<LeafRef>())?);
        }
        self.note(offset, place(named.len.get())?);
        self.segment(at)
    }

    fn leaf(&mut self, at: usize) -> Option<()> {
        let leaf: LeafRef = self.get(at)?;
        let offset = place(leaf.segment.offset.get())?;
        let end = |inner: usize| offset.checked_add(inner);
        self.chunks(end(leaf.chunk_at(0))?, leaf.chunks.get() as usize, leaf.first_chunk.get());
        self.note(offset, size_of::<SegmentHeader>() + size_of::<LeafHeader>());
        self.note(end(leaf.chunk_at(0))?, leaf.packed_at().saturating_sub(leaf.chunk_at(0)));
        let packed = end(leaf.packed_at())?;
        // Each part of the packed records by itself: the directory, and places and keys of groups.
        let records = leaf.records.get() as usize;
        let groups = records.div_ceil(vlstore::index::leaf::GROUP);
        if records > 0 {
            self.note(packed, (groups + 1) * DIRECTORY);
            for group in 0..groups.min(MOST) {
                let entry = |n: usize| packed.checked_add((group + n / 2) * DIRECTORY + n % 2 * 4);
                let word = |image: &Self, n| Some(8 * image.get::<u32>(entry(n)?)? as usize);
                for part in 0..2 {
                    let (from, to) = (word(self, part)?, word(self, part + 2)?);
                    self.note(packed.checked_add(from)?, to.saturating_sub(from));
                }
            }
        }
        let body = place(body_len(leaf.segment.len.get())?)?;
        self.note(end(leaf.rows_at())?, body.saturating_sub(leaf.rows_at()));
        self.segment(at)
    }

    /// Seals a run or a list of deleted records, and its filter.
    fn run(&mut self, at: usize) -> Option<()> {
        self.segment(at)?;
        let run: RunRef = self.get(at)?;
        let len = size_of::<SegmentHeader>();
        self.note(place(run.segment.offset.get())?, len);
        let rest = place(run.segment.len.get())?.saturating_sub(len);
        self.note(place(run.segment.offset.get())? + len, rest);
        let (Some(filter), blocks) = (run.filter_at(), run.filter_blocks.get() as usize) else {
            return Some(());
        };
        let filter = place(filter)?;
        self.note(filter, blocks.min(MOST) * filter::BLOCK);
        for at in (filter..).step_by(FILTER_BLOCK).take(blocks.min(MOST)) {
            let sum = self.sum(at + 8, FILTER_BLOCK - 8)?;
            self.put(at, sum ^ mix(run.segment.sum.get() ^ at as u64))?;
        }
        Some(())
    }

    fn log(&mut self, at: usize, len: usize) -> Option<()> {
        let end = at.checked_add(len)?;
        let mut at = at;
        while at < end {
            let head: LogHeader = self.get(at)?;
            let len = place(head.len.get()).filter(|len| *len >= size_of::<LogHeader>())?;
            self.peek(at, len)?;
            let records = at + size_of::<LogHeader>();
            let chunks = records + head.records.get() as usize * size_of::<RecordEntry>();
            self.chunks(chunks, head.chunks.get() as usize, head.first_chunk.get());
            self.note(at, size_of::<LogHeader>());
            self.note(records, chunks - records);
            self.note(chunks, (at + len).saturating_sub(chunks));
            self.note(
                (at + len).saturating_sub(head.pieces.get() as usize * size_of::<PieceEntry>()),
                head.pieces.get() as usize * size_of::<PieceEntry>(),
            );
            let sum = self.sum(at + 16, len - 16)?;
            let tie = identify(self.file, head.generation.get(), at as u64);
            self.put(at + offset_of!(LogHeader, sum), sum ^ tie)?;
            at = at.checked_add(len)?;
        }
        Some(())
    }

    fn slot(&mut self, at: usize) -> Option<()> {
        let slot: Slot = self.get(at)?;
        if let (Some(log), Some(len)) = (place(slot.log.get()), place(slot.log_len.get())) {
            let _ = self.log(log, len);
        }
        let _ = self.root(at + offset_of!(Slot, root));
        let seal = at + offset_of!(Slot, seal);
        let _ = self.root(seal + offset_of!(Seal, root));
        let _ = self.trailer(seal, &slot.seal);
        let sum = self.sum(at, SLOT_LEN - 8)?;
        self.put(at + SLOT_LEN - 8, sum ^ identify(self.file, slot.generation.get(), 0))?;
        let mark = at + SLOT_LEN;
        let generation: u64 = self.get(mark)?;
        let sum = self.sum(mark, MARK_LEN - 8)?;
        self.put(mark + MARK_LEN - 8, sum ^ identify(self.file, generation, 1))?;
        self.note(at, SLOT_LEN + MARK_LEN);
        Some(())
    }

    /// What other programs see of the newest seal: offsets of the chunks, and the trailer.
    fn trailer(&mut self, at: usize, seal: &Seal) -> Option<()> {
        let from = HEADER_LEN.checked_add(place(seal.cbytes.get())?)?;
        let len = place(seal.frame_len.get())?.checked_sub(from)?;
        let sum = self.sum(from, len)? ^ identify(self.file, 0, seal.frame_len.get());
        self.put(at + offset_of!(Seal, sum), sum)?;
        self.note(from, len);
        Some(())
    }

    fn config(&mut self) -> Option<()> {
        let len = self.get::<u32>(CONFIG + 12)? as usize;
        let (head, json) = (self.peek(CONFIG, 32)?, self.peek(CONFIG + 40, len.min(3032))?);
        let sum = checksum(&[head, json].concat());
        self.note(CONFIG, 40 + len.min(3032));
        self.put(CONFIG + 32, sum)
    }
}

fn place(at: u64) -> Option<usize> {
    // Sums of a few such places do not overflow.
    usize::try_from(at).ok().filter(|at| *at <= 1 << 40)
}

/// Gives all that the slots lead to, the slots and the configuration the right checksums.
pub fn reseal(bytes: &mut [u8]) -> Found {
    let left = bytes.len().saturating_mul(16);
    let Some(file) = bytes.get(CONFIG + 16..CONFIG + 32) else { return Found::default() };
    let file = file.try_into().expect("16 bytes");
    let mut image = Image { bytes, file, found: Found::default(), left };
    image.note(0, CONFIG);
    for page in SLOT_PAGES {
        for copy in SLOT_COPIES {
            let _ = image.slot(page + copy);
        }
    }
    let _ = image.config();
    image.found
}

/// Changes `image` as `data` says: which structure, where in it, and the bytes for it.
pub fn patch(image: &mut [u8], structures: &[Range<usize>], data: &[u8]) {
    let mut rest = data;
    while let [which, at @ .., how] = rest.get(..4).unwrap_or_default() {
        let tail = &rest[4..];
        let n = usize::from(*how % 16).min(tail.len());
        let (bytes, later) = tail.split_at(n);
        rest = later;
        let at = usize::from(at[0]) | usize::from(at[1]) << 8;
        let structure = &structures[usize::from(*which) * structures.len() / 256];
        let at = structure.start + at % structure.len().max(1);
        let Some(there) = image.get_mut(at..) else { continue };
        match (how >> 4, there.first_chunk_mut::<4>(), bytes.first()) {
            // Numbers a little greater or less than they are.
            (8..12, Some(word), Some(by)) => {
                let sum = u32::from_le_bytes(*word).wrapping_add_signed((*by as i8).into());
                *word = sum.to_le_bytes();
            }
            (12.., ..) => there.iter_mut().zip(bytes).for_each(|(to, from)| *to ^= from),
            _ => there.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from),
        }
    }
}
