//! Writing the index: leaves, runs and roots from what the writer holds in memory.

use super::io::Io;
use super::perm::{DeadRun, Lazy, PAGE_LEAVES, PageRef, Perm, Run, run_segment};
use super::rows::encode_rows;
use super::tail::Tail;
use crate::chunk::Params;
use crate::error::{Error, Result};
use crate::index::filter::{self, Filter};
use crate::index::layout::{
    DEAD_MAGIC, LEAF_MAGIC, LeafRef, PAGE_MAGIC, RUN_MAGIC, RunEntry, RunRef, SegmentHeader,
    SegmentRef,
};
use crate::index::segment::{finish, table_sum, whole_len};
use crate::limits::INDEX_PAGE;
use crate::wire::{U32, U64, checksum, to_usize};
use bytemuck::Zeroable;

/// Runs of one level that are merged into one of the next.
const FAN: usize = 8;

/// Where the next segment goes, and what became garbage by writing it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    pub(super) end: u64,
    pub(super) garbage: u64,
}

impl Space {
    /// Reserves `len` bytes at a multiple of 64.
    pub(super) const fn take(&mut self, len: u64) -> u64 {
        let at = self.end.next_multiple_of(64);
        self.end = at + len;
        at
    }
}

/// The header of a segment; length and file are filled in by [`write_segment`].
pub(super) fn header(magic: [u8; 8], generation: u64, count: usize) -> SegmentHeader {
    SegmentHeader {
        magic,
        generation: generation.into(),
        count: U64::new(count as u64),
        ..SegmentHeader::zeroed()
    }
}

/// Writes a segment whose body, from behind its header, is `rest`.
pub(super) fn write_segment(
    io: &Io,
    space: &mut Space,
    mut header: SegmentHeader,
    rest: &[u8],
) -> Result<SegmentRef> {
    let body = (64 + rest.len() as u64).next_multiple_of(8);
    header.file = io.file();
    header.len = whole_len(body).into();
    let mut bytes = bytemuck::bytes_of(&header).to_vec();
    bytes.extend_from_slice(rest);
    let at = space.take(whole_len(body));
    let segment = finish(&mut bytes, io.file(), at);
    io.write(at, &bytes)?;
    Ok(segment)
}

/// Moves everything in `tail` into a leaf and runs of `perm`. Nothing refers to them until a
/// root does.
pub(super) fn flush(
    io: &Io,
    space: &mut Space,
    perm: &mut Perm,
    tail: &mut Tail,
    generation: u64,
    row_params: Params,
) -> Result<()> {
    let count = |n: usize| {
        u32::try_from(n).map(U32::new).map_err(|_| Error::Limit {
            what: "entries of one leaf",
            asked: n as u64,
            max: u64::from(u32::MAX),
        })
    };
    if !tail.records.is_empty() || !tail.chunks.is_empty() {
        let mut head = header(LEAF_MAGIC, generation, tail.records.len());
        head.first_record = tail.first_record.into();
        head.first_chunk = tail.first_chunk.into();
        let mut rest: Vec<u8> = bytemuck::cast_slice(&tail.records).to_vec();
        rest.extend_from_slice(bytemuck::cast_slice(&tail.chunks));
        rest.extend(tail.sums.iter().flat_map(|s| s.to_le_bytes()));
        rest.extend_from_slice(&tail.keys);
        encode_rows(tail, row_params, &mut rest)?;
        let leaf = LeafRef {
            segment: write_segment(io, space, head, &rest)?,
            first_record: tail.first_record.into(),
            first_chunk: tail.first_chunk.into(),
            records: count(tail.records.len())?,
            chunks: count(tail.chunks.len())?,
            sums: count(tail.sums.len())?,
            keys_len: count(tail.keys.len())?,
        };
        perm.leaves.push(Lazy::new(leaf));
    }
    let mut entries: Vec<RunEntry> =
        tail.hashes().map(|(hash, record)| RunEntry::new(hash, record, false)).collect();
    entries.extend(
        tail.dead
            .iter()
            .filter(|d| d.0 != 0)
            .map(|(hash, record)| RunEntry::new(*hash, *record, true)),
    );
    if !entries.is_empty() {
        entries.sort_unstable_by_key(RunEntry::order);
        let mut w = RunWriter::new(io, *space, generation, entries.len());
        for e in &entries {
            w.push(e)?;
        }
        perm.runs.push(Lazy::new(w.finish(space)?));
        merge_runs(io, space, perm, generation)?;
    }
    if !tail.dead.is_empty() {
        let mut dead: Vec<U64> = tail.dead.iter().map(|(_, r)| U64::new(*r)).collect();
        dead.sort_unstable_by_key(|r| r.get());
        perm.dead_runs.push(write_dead(io, space, &dead, generation)?);
        merge_dead(io, space, perm, generation)?;
    }
    if perm.leaves.len() >= 2 * PAGE_LEAVES {
        write_page(io, space, perm, generation)?;
    }
    *tail = tail.next();
    Ok(())
}

fn write_page(io: &Io, space: &mut Space, perm: &mut Perm, generation: u64) -> Result<()> {
    let old = perm.leaves.split_off(PAGE_LEAVES);
    let full = std::mem::replace(&mut perm.leaves, old);
    let refs: Vec<LeafRef> = full.iter().map(|l| l.at).collect();
    let Some(first) = refs.first() else { return Ok(()) };
    let mut head = header(PAGE_MAGIC, generation, refs.len());
    head.first_record = first.first_record;
    head.first_chunk = first.first_chunk;
    let segment = write_segment(io, space, head, bytemuck::cast_slice(&refs))?;
    let page =
        PageRef { segment, first_record: first.first_record, first_chunk: first.first_chunk };
    perm.pages.push(Lazy::new(page));
    Ok(())
}

const fn level(count: u64) -> u32 {
    (count / 1024 + 1).ilog2() / 3
}

/// How many runs at the end are to be merged: those of the last one's level or below, if they
/// are [`FAN`] or more.
fn to_merge<T>(runs: &[Lazy<RunRef, T>]) -> Option<usize> {
    let last = level(runs.last()?.at.count.get());
    let n = runs.iter().rev().take_while(|r| level(r.at.count.get()) <= last).count();
    (n >= FAN).then_some(n)
}

fn merge_runs(io: &Io, space: &mut Space, perm: &mut Perm, generation: u64) -> Result<()> {
    while let Some(n) = to_merge(&perm.runs) {
        let old = perm.runs.split_off(perm.runs.len() - n);
        let total = old.iter().map(|r| r.at.count.get()).sum();
        let mut sources = old.iter().map(|run| Source::new(io, run)).collect::<Result<Vec<_>>>()?;
        let mut w = RunWriter::new(io, *space, generation, to_usize(total).unwrap_or(usize::MAX));
        let mut held: Option<RunEntry> = None;
        while let Some(e) = next(io, &mut sources)? {
            // A record and its tombstone in one run say nothing together.
            match held.take() {
                Some(h) if e.is_dead() && !h.is_dead() && h.record() == e.record() => {}
                Some(h) => {
                    w.push(&h)?;
                    held = Some(e);
                }
                None => held = Some(e),
            }
        }
        if let Some(h) = held {
            w.push(&h)?;
        }
        space.garbage += old.iter().map(|r| r.at.segment.len.get()).sum::<u64>();
        let merged = w.finish(space)?;
        if merged.count.get() > 0 {
            perm.runs.push(Lazy::new(merged));
        }
    }
    Ok(())
}

struct Source<'a> {
    run: &'a Run,
    at: u64,
    buffer: std::vec::IntoIter<RunEntry>,
    head: Option<RunEntry>,
}

impl<'a> Source<'a> {
    fn new(io: &Io, run: &'a Run) -> Result<Self> {
        let mut out = Self { run, at: 0, buffer: Vec::new().into_iter(), head: None };
        out.advance(io)?;
        Ok(out)
    }

    fn advance(&mut self, io: &Io) -> Result<()> {
        self.head = self.buffer.next();
        let left = self.run.at.count.get() - self.at;
        if self.head.is_none() && left > 0 {
            let n = left.min(4096);
            let at = to_usize(64 + self.at * size_of::<RunEntry>() as u64).unwrap_or(usize::MAX);
            let entries: Vec<RunEntry> =
                run_segment(io, self.run)?.segment.list(io, at, to_usize(n).unwrap_or(0))?;
            self.at += n;
            self.buffer = entries.into_iter();
            self.head = self.buffer.next();
        }
        Ok(())
    }
}

fn next(io: &Io, sources: &mut [Source<'_>]) -> Result<Option<RunEntry>> {
    let least = sources
        .iter_mut()
        .filter_map(|s| s.head.map(|h| (h.order(), s)))
        .min_by_key(|(order, _)| *order);
    let Some((_, source)) = least else { return Ok(None) };
    let out = source.head;
    source.advance(io)?;
    Ok(out)
}

/// Writes a run entry by entry, in flat memory: pages go to the file as they fill, but the
/// first, whose header tells the count.
struct RunWriter<'a> {
    io: &'a Io,
    at: u64,
    bits: u32,
    head: SegmentHeader,
    first: Option<Vec<u8>>,
    page: Vec<u8>,
    sums: Vec<u8>,
    written: u64,
    count: u32,
    radix: Vec<u8>,
    slots: u64,
    filter: Filter,
}

impl<'a> RunWriter<'a> {
    fn new(io: &'a Io, space: Space, generation: u64, expected: usize) -> Self {
        let bits = (expected as u64 / 8).max(1).ilog2().min(28);
        Self {
            io,
            at: space.end.next_multiple_of(64),
            bits,
            head: header(RUN_MAGIC, generation, 0),
            first: None,
            page: vec![0; 64],
            sums: Vec::new(),
            written: 0,
            count: 0,
            radix: Vec::new(),
            slots: 0,
            filter: Filter::new(expected as u64),
        }
    }

    fn push(&mut self, e: &RunEntry) -> Result<()> {
        let slot = if self.bits == 0 { 0 } else { e.hash() >> (64 - self.bits) };
        self.fill_radix(slot + 1);
        self.count = self.count.checked_add(1).ok_or(Error::Limit {
            what: "entries of one run",
            asked: 1 << 32,
            max: u64::from(u32::MAX),
        })?;
        self.filter.insert(e.hash());
        self.bytes(bytemuck::bytes_of(e))
    }

    /// Notes the count so far as the first entry of every slot below `end`.
    fn fill_radix(&mut self, end: u64) {
        while self.slots < end {
            self.radix.extend_from_slice(&self.count.to_le_bytes());
            self.slots += 1;
        }
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let n = bytes.len().min(INDEX_PAGE - self.page.len());
            let (now, later) = bytes.split_at(n);
            self.page.extend_from_slice(now);
            bytes = later;
            if self.page.len() == INDEX_PAGE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.first.is_none() {
            self.sums.extend_from_slice(&[0; 8]);
            self.first = Some(std::mem::take(&mut self.page));
            self.written += self.first.as_ref().map_or(0, Vec::len) as u64;
            return Ok(());
        }
        self.sums.extend_from_slice(&checksum(&self.page).to_le_bytes());
        self.io.write(self.at + self.written, &self.page)?;
        self.written += self.page.len() as u64;
        self.page.clear();
        Ok(())
    }

    fn finish(mut self, space: &mut Space) -> Result<RunRef> {
        self.fill_radix((1_u64 << self.bits) + 1);
        let radix = std::mem::take(&mut self.radix);
        self.bytes(&radix)?;
        let filter = std::mem::replace(&mut self.filter, Filter::new(0));
        let aligned = if filter.blocks() == 0 { 8 } else { filter::BLOCK as u64 };
        let end = self.written + self.page.len() as u64;
        let gap = to_usize(end.next_multiple_of(aligned) - end).unwrap_or(0);
        self.bytes([0; filter::BLOCK].get(..gap).unwrap_or_default())?;
        self.bytes(filter.bytes())?;
        let body = self.written + self.page.len() as u64;
        if !self.page.is_empty() {
            self.flush()?;
        }
        self.head.file = self.io.file();
        self.head.count = u64::from(self.count).into();
        self.head.first_record = u64::from(self.bits).into();
        self.head.first_chunk = filter.blocks().into();
        self.head.len = whole_len(body).into();
        let mut first = self.first.take().unwrap_or_default();
        if let Some(head) = first.get_mut(..64) {
            head.copy_from_slice(bytemuck::bytes_of(&self.head));
        }
        if let Some(sum) = self.sums.get_mut(..8) {
            sum.copy_from_slice(&checksum(&first).to_le_bytes());
        }
        self.io.write(self.at, &first)?;
        self.io.write(self.at + body, &self.sums)?;
        let len = whole_len(body);
        space.end = self.at + len;
        Ok(RunRef {
            segment: SegmentRef {
                offset: self.at.into(),
                len: len.into(),
                sum: table_sum(self.io.file(), self.at, len, &self.sums).into(),
            },
            count: u64::from(self.count).into(),
        })
    }
}

fn write_dead(io: &Io, space: &mut Space, dead: &[U64], generation: u64) -> Result<DeadRun> {
    let head = header(DEAD_MAGIC, generation, dead.len());
    let segment = write_segment(io, space, head, bytemuck::cast_slice(dead))?;
    Ok(Lazy::new(RunRef { segment, count: U64::new(dead.len() as u64) }))
}

fn merge_dead(io: &Io, space: &mut Space, perm: &mut Perm, generation: u64) -> Result<()> {
    while let Some(n) = to_merge(&perm.dead_runs) {
        let old = perm.dead_runs.split_off(perm.dead_runs.len() - n);
        space.garbage += old.iter().map(|r| r.at.segment.len.get()).sum::<u64>();
        let part = Perm { dead_runs: old, ..Perm::default() };
        let all: Vec<U64> = part.dead(io)?.into_iter().map(U64::new).collect();
        perm.dead_runs.push(write_dead(io, space, &all, generation)?);
    }
    Ok(())
}
