//! Reading what is left: records in order from whatever index there is, their bytes from
//! wherever they are still whole.

use crate::chunk::ChunkLayout;
use crate::chunk::with_decoder;
use crate::error::{Error, Result};
use crate::index::key_hash::key_hash;
use crate::index::layout::{ChunkEntry, RecordEntry, key_bytes};
use crate::index::leaf::{GroupKeys, Place};
use crate::key::Key;
use crate::limits::{CHUNK_MAX_FOREIGN, RECORD_MAX};
use crate::maintain::recover::report::RecoveryMethod;
use crate::maintain::recover::sealed::Sealed;
use crate::store::index::leaf::{Leaf, leaf_chunks, leaf_records, leaf_sums, open};
use crate::store::index::root::Base;
use crate::store::read::chunk_locations::{ChunkLocation, Located};
use crate::store::read::newest_state::decode_piece;
use crate::store::read::reader::{ChunkData, Reader};
use crate::store::read::rows::whole_rows;
use crate::wire::{AlignedBuf, memory, to_usize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A piece of a chunk that was still open when a commit wrote it to the log.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Records in a row whose index is at one place.
#[derive(Debug)]
pub(crate) enum RangeIndex {
    /// A leaf.
    Leaf(Leaf),
    /// What the newest state keeps in memory.
    Memtable,
    /// A log entry: the entries of its records, their keys and their rows.
    Log(Vec<RecordEntry>, Vec<u8>, Vec<u64>),
    /// An index that cannot be read, and why.
    Lost(Error),
}

/// One part: first record, number of records.
#[derive(Debug)]
pub(crate) struct FoundRange {
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) part: RangeIndex,
}

/// Everything from which records can be read.
#[derive(Debug)]
pub(crate) struct RecoveryReader {
    pub(crate) reader: Reader,
    pub(crate) rows: Vec<FoundRange>,
    /// Chunks that only log entries name, with their block checksums.
    pub(crate) chunks: BTreeMap<u64, (ChunkEntry, Box<[u64]>)>,
    pub(crate) pieces: BTreeMap<u64, Vec<Piece>>,
    /// Chunks that were still open as seals wrote them, the newest first.
    pub(crate) bases: Vec<(u64, Base)>,
    /// Deleted records, sorted.
    pub(crate) dead: Vec<u64>,
    /// Whether `dead` is known to be all of them.
    pub(crate) certain: bool,
    pub(crate) sealed: Sealed,
    pub(crate) attributes: Vec<u8>,
    pub(crate) means: RecoveryMethod,
    /// Records below which the runs know every key.
    pub(crate) runs_reach: u64,
    /// Records that the newest slot counts, if there is one.
    pub(crate) expected: Option<u64>,
    /// What begins like a chunk, where the file was searched: its place, and how many bytes it
    /// says that it holds.
    pub(crate) loose: Option<Vec<(u64, u32)>>,
    pub(crate) places: RefCell<BTreeMap<u64, Arc<ChunkLocation>>>,
    /// First and last chunk of those in which known records lie.
    pub(crate) used: RefCell<Vec<(u64, u64)>>,
}

/// What an index says of one record.
#[derive(Debug)]
pub(crate) struct KnownRecord {
    pub(crate) id: u64,
    pub(crate) entry: Place,
    /// Kind and bytes of its key; `None` if it cannot be read whether it has one.
    pub(crate) key: Option<(u8, Vec<u8>)>,
    /// Its row, if it was put with one and that can be read.
    pub(crate) row: Option<Vec<u64>>,
}

impl RecoveryReader {
    /// Calls `f` with what the index says of each record of a row, and `lost` with ranges of
    /// records of which it no longer says anything.
    pub(crate) fn each(
        &self,
        row: &FoundRange,
        mut f: impl FnMut(KnownRecord) -> Result<()>,
        mut lost: impl FnMut(Range<u64>, &Error) -> Result<()>,
    ) -> Result<()> {
        let (first, end) = (row.first, row.first.saturating_add(row.count));
        let heap = |keys: &[u8], e: &RecordEntry| {
            let at = e.key_at.get() as usize;
            Some((e.key_kind, keys.get(at..at + e.key_len())?.to_vec()))
        };
        let words = self.reader.memtable.row_words();
        let row_at = |rows: &[u64], i: usize, e: &Place| {
            let row = rows.get(i.checked_mul(words)?..i.checked_add(1)?.checked_mul(words)?)?;
            (e.has_row && words > 0).then(|| row.to_vec())
        };
        match &row.part {
            RangeIndex::Lost(e) => lost(first..end, e),
            RangeIndex::Memtable => {
                let memtable = &self.reader.memtable;
                for (i, (id, entry)) in (memtable.first_record..).zip(&memtable.records).enumerate()
                {
                    let key = memtable.key(entry).map(|key| (entry.key_kind, key.to_vec()));
                    let row = memtable.row(i).map(<[u64]>::to_vec);
                    f(KnownRecord { id, entry: entry.into(), key, row })?;
                }
                Ok(())
            }
            RangeIndex::Log(records, keys, rows) => {
                let even = records.len().checked_mul(words) == Some(rows.len());
                let rows = if even { rows.as_slice() } else { &[] };
                for (i, (id, entry)) in (first..end).zip(records).enumerate() {
                    let (key, entry) = (heap(keys, entry), entry.into());
                    let row = row_at(rows, i, &entry);
                    f(KnownRecord { id, entry, key, row })?;
                }
                Ok(())
            }
            RangeIndex::Leaf(leaf) => self.each_of_leaf(row, leaf, f, lost),
        }
    }

    /// The records of a leaf. Where some of its pages are damaged, those that are whole still tell
    /// of theirs.
    fn each_of_leaf(
        &self,
        row: &FoundRange,
        leaf: &Leaf,
        mut f: impl FnMut(KnownRecord) -> Result<()>,
        mut lost: impl FnMut(Range<u64>, &Error) -> Result<()>,
    ) -> Result<()> {
        let io = &self.reader.io;
        let end = row.first.saturating_add(row.count);
        let records = match leaf_records(io, leaf) {
            Ok(records) => records,
            Err(e) if e.is_damage() => return lost(row.first..end, &e),
            Err(e) => return Err(e),
        };
        // Rows that cannot be read follow from the records again.
        let words = self.reader.memtable.row_words();
        let rows = match whole_rows(io, leaf, words) {
            Ok(rows) => rows.unwrap_or_default(),
            Err(e) if e.is_damage() => Vec::new(),
            Err(e) => return Err(e),
        };
        let (mut places, mut keys) = (Vec::new(), GroupKeys::default());
        let mut hole: Option<(Range<u64>, Error)> = None;
        for group in 0..records.groups() {
            let here = records.group_at(group);
            let ids = row.first + here.start as u64..end.min(row.first + here.end as u64);
            if ids.is_empty() {
                break;
            }
            match (records.places(group, &mut places), &mut hole) {
                (Ok(()), _) => {
                    if let Some((range, e)) = hole.take() {
                        lost(range, &e)?;
                    }
                }
                (Err(e), _) if !e.is_damage() => return Err(e),
                (Err(_), Some((range, _))) => {
                    range.end = ids.end;
                    continue;
                }
                (Err(e), None) => {
                    hole = Some((ids, e));
                    continue;
                }
            }
            let named = match records.keys(group, &mut keys) {
                Ok(()) => true,
                // The records are there all the same.
                Err(e) if e.is_damage() => false,
                Err(e) => return Err(e),
            };
            for (i, (id, entry)) in ids.zip(&places).enumerate() {
                let (kind, key) = keys.get(i);
                let key = named.then(|| (kind, key.to_vec()));
                let at = (here.start + i).saturating_mul(words);
                let row = rows.get(at..at.saturating_add(words));
                let row = row.filter(|row| entry.has_row && !row.is_empty()).map(<[u64]>::to_vec);
                f(KnownRecord { id, entry: *entry, key, row })?;
            }
        }
        hole.map_or(Ok(()), |(range, e)| lost(range, &e))
    }

    /// The first logical byte of the first record that is known in the rows from `i` on.
    pub(crate) fn next_start(&self, i: usize) -> Result<u64> {
        for row in self.rows.iter().skip(i) {
            let start = RefCell::new(None);
            self.each(
                row,
                |e| {
                    start.borrow_mut().get_or_insert(e.entry.start);
                    Ok(())
                },
                |_, _| Ok(()),
            )?;
            if let Some(start) = start.into_inner() {
                return Ok(start);
            }
        }
        Ok(u64::MAX)
    }

    pub(crate) fn is_dead(&self, id: u64) -> bool {
        self.dead.binary_search(&id).is_ok()
    }

    /// Whether fences and runs still lead from `key` to a live record among `ids`; `None` if they
    /// cannot say.
    pub(crate) fn runs_know(&self, key: &Key, ids: &Range<u64>) -> Option<bool> {
        let mut scratch = [0; 8];
        let (kind, bytes) = key_bytes(key, &mut scratch)?;
        let hash = key_hash(kind, bytes);
        let stored_index = &self.reader.stored_index;
        if (stored_index.runs.is_empty() && stored_index.fences.is_empty())
            || ids.end > self.runs_reach
        {
            return None;
        }
        let (mut live, mut dead) = (Vec::new(), Vec::new());
        stored_index
            .search(&self.reader.io, hash, |e| {
                if e.is_dead() { &mut dead } else { &mut live }.push(e.record());
                Ok(None::<()>)
            })
            .ok()?;
        let newer = self.reader.memtable.dead.iter().filter(|d| d.hash.get() == hash);
        dead.extend(newer.map(|d| d.record.get()));
        let here = |id: &u64| ids.contains(id) && !dead.contains(id) && !self.is_dead(*id);
        // Where the leaf is lost, which record has the key is not known; its tombstone would be.
        let fenced = stored_index.fenced_among(&self.reader.io, kind, bytes).is_some_and(|leaf| {
            let range = leaf.start.max(ids.start)..leaf.end.min(ids.end);
            let one = range.end.saturating_sub(range.start) == 1;
            let killed = dead.iter().any(|id| range.contains(id));
            !(range.is_empty() || killed || (one && self.is_dead(range.start)))
        });
        Some(fenced || live.iter().any(here))
    }

    /// Notes the chunks that a record lies in as known to the index.
    pub(crate) fn mark(&self, start: u64, end: u64) {
        if start < end {
            let size = self.reader.chunk_size.max(1);
            let (first, last) = (start / size, (end - 1) / size);
            let mut used = self.used.borrow_mut();
            match used.last_mut() {
                Some(range) if range.0 <= first && first <= range.1.saturating_add(1) => {
                    range.1 = range.1.max(last);
                }
                _ => used.push((first, last)),
            }
        }
    }

    /// The chunks that can be read and in which no known record lies, in order.
    pub(crate) fn unused(&self) -> Result<Vec<u64>> {
        let memtable = self.reader.memtable.first_chunk..self.reader.memtable.chunks_end();
        let mut known = Vec::from([0..self.sealed.chunks(), memtable]);
        known.extend(self.chunks.keys().map(|n| *n..n.saturating_add(1)));
        known.extend(self.bases.iter().map(|(n, _)| *n..n.saturating_add(1)));
        for row in &self.rows {
            // What a reference claims counts only if the leaf itself is as long.
            if let RangeIndex::Leaf(leaf) = &row.part
                && open(&self.reader.io, leaf).is_ok()
            {
                let first = leaf.at.first_chunk.get();
                known.push(first..first.saturating_add(u64::from(leaf.at.chunks.get())));
            }
        }
        known.sort_by_key(|r| (r.start, r.end));
        let mut used = self.used.borrow().clone();
        used.sort_unstable();
        let mut out = Vec::new();
        let (mut next, mut at) = (0, 0);
        for range in known {
            for chunk in range.start.max(next)..range.end {
                while used.get(at).is_some_and(|(_, last)| *last < chunk) {
                    at += 1;
                }
                if used.get(at).is_none_or(|(first, _)| chunk < *first) {
                    out.push(chunk);
                }
                next = chunk + 1;
            }
        }
        Ok(out)
    }

    /// Places of the file in which known chunks lie: where each begins and ends.
    fn known_places(&self) -> Vec<(u64, u64)> {
        let io = &self.reader.io;
        let place = |e: &ChunkEntry| {
            let at = e.offset.get();
            (at, at.saturating_add(u64::from(e.cbytes.get())))
        };
        let mut out: Vec<_> = self.chunks.values().map(|(e, _)| place(e)).collect();
        out.extend(self.reader.memtable.chunks.iter().map(place));
        out.extend(self.bases.iter().map(|(_, base)| place(&base.entry)));
        for row in &self.rows {
            if let RangeIndex::Leaf(leaf) = &row.part
                && let Ok(chunks) = leaf_chunks(io, leaf)
            {
                out.extend(chunks.iter().map(place));
            }
        }
        for number in 0..self.sealed.chunks() {
            if let Some(Some(at)) = self.sealed.place(number, 0)
                && let Ok(prefix) = self.prefix_at(at)
            {
                out.push((at, at.saturating_add(u64::from(prefix.cbytes()))));
            }
        }
        out.sort_unstable();
        out
    }

    /// Chunks of which nothing known says anything: the place of each and the bytes of its
    /// first blocks, as far as they can be decoded.
    pub(crate) fn loose(
        &self,
        found: &[(u64, u32)],
        mut f: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let known = self.known_places();
        let mut free_from = 0;
        let (mut bytes, mut block) = (Vec::new(), Vec::new());
        for (at, nbytes) in found {
            let before = known.partition_point(|(start, _)| start <= at);
            let inside = |i: usize| known.get(i).is_some_and(|(_, end)| at < end);
            if *at < free_from
                || u64::from(*nbytes) != self.reader.chunk_size
                || before.checked_sub(1).is_some_and(inside)
            {
                continue;
            }
            let Ok(layout) = self.prefix_at(*at) else { continue };
            bytes.clear();
            for i in 0..layout.blocks() {
                memory::resize(&mut block, layout.block_len(i) as usize, 0)?;
                match self.decode_at(*at, &layout, i, &mut block) {
                    Ok(()) => bytes.extend_from_slice(&block),
                    Err(e) if e.is_damage() => break,
                    Err(e) => return Err(e),
                }
            }
            if bytes.iter().any(|b| *b != 0) {
                free_from = at.saturating_add(u64::from(layout.cbytes()));
                f(*at, &bytes)?;
            }
        }
        Ok(())
    }

    fn prefix_at(&self, offset: u64) -> Result<ChunkLayout> {
        let most = u32::try_from(self.reader.chunk_size).unwrap_or(u32::MAX).min(CHUNK_MAX_FOREIGN);
        let io = &self.reader.io;
        let prefix =
            io.bytes(offset, ChunkLayout::HEADER_LEN, |h| ChunkLayout::prefix_len(h, most))??;
        io.bytes(offset, prefix, |bytes| ChunkLayout::parse(bytes, most))?
    }

    fn decode_at(
        &self,
        offset: u64,
        layout: &ChunkLayout,
        block: u32,
        out: &mut [u8],
    ) -> Result<()> {
        let range = layout.block_range(block);
        let at = offset.saturating_add(u64::from(range.start));
        let len = range.end.saturating_sub(range.start) as usize;
        self.reader
            .io
            .bytes(at, len, |stream| with_decoder(|d| d.decode(layout, block, stream, out)))?
    }

    /// The bytes from `start` to `end`, and whether some of them had no checksum.
    pub(crate) fn read(&self, start: u64, end: u64) -> Result<(AlignedBuf, bool)> {
        let size = self.reader.chunk_size.max(1);
        let Some(len) = end.checked_sub(start).and_then(to_usize) else {
            return Err(Error::corrupt("record entry", start, "ends before it starts"));
        };
        if len as u64 > RECORD_MAX {
            return Err(Error::Limit { what: "record", asked: len as u64, max: RECORD_MAX });
        }
        let mut unchecked = false;
        let mut out = AlignedBuf::default();
        let mut at = start;
        // Grows chunk by chunk: a length that lies takes no more than there is.
        while out.len() < len {
            let inside = to_usize(at % size).unwrap_or(0);
            let n = (len - out.len()).min(to_usize(size).unwrap_or(1) - inside);
            let from = out.len();
            let mut piece = memory::zeroed(n)?;
            unchecked |= self.fill(at / size, inside, &mut piece)?;
            out.resize(from + n)?;
            if let Some(to) = out.get_mut(from..) {
                to.copy_from_slice(&piece);
            }
            at += n as u64;
        }
        Ok((out, unchecked))
    }

    /// Fills `out` from byte `inside` of a chunk, by the best way that works; whether it was
    /// one without checksums.
    fn fill(&self, chunk: u64, inside: usize, out: &mut [u8]) -> Result<bool> {
        let error = match self.by_index(chunk, inside, out) {
            Err(e) if e.is_damage() => e,
            other => return other,
        };
        for (number, base) in &self.bases {
            if *number == chunk
                && inside + out.len() <= base.fill as usize
                && let Ok(place) =
                    self.reader.place_of(chunk, &base.entry, Some(base.sums.clone().into()))
                && self.read_uncached(&place, inside, out).is_ok()
            {
                return Ok(false);
            }
        }
        if self.by_pieces(chunk, inside, out) {
            return Ok(false);
        }
        // Where the index knows a checksum that differs, bytes without one are no better.
        let end = (chunk * self.reader.chunk_size).saturating_add((inside + out.len()) as u64);
        if !self.is_listed(chunk)
            && let Some(place) = self.sealed.place(chunk, end)
            && self.by_offset(chunk, place, inside, out).is_ok()
        {
            return Ok(true);
        }
        Err(error)
    }

    fn by_index(&self, chunk: u64, inside: usize, out: &mut [u8]) -> Result<bool> {
        let place = match self.reader.chunk(chunk) {
            Ok(ChunkData::File(place)) => place,
            Ok(ChunkData::Memory(data)) => {
                out.copy_from_slice(data.get(inside..inside + out.len())?);
                return Ok(false);
            }
            Err(e) => match self.chunks.get(&chunk) {
                Some(_) if self.places.borrow().contains_key(&chunk) => {
                    Located::Shared(self.places.borrow().get(&chunk).cloned().ok_or(e)?)
                }
                Some((entry, sums)) => {
                    let place = self.reader.place_of(chunk, entry, Some(sums.clone()))?;
                    let place = Arc::new(place);
                    self.places.borrow_mut().insert(chunk, place.clone());
                    Located::Shared(place)
                }
                None => return Err(e),
            },
        };
        self.reader.read_chunk(&place, inside, out)?;
        Ok(place.sums.is_none())
    }

    fn by_pieces(&self, chunk: u64, inside: usize, out: &mut [u8]) -> bool {
        let Some(pieces) = self.pieces.get(&chunk) else { return false };
        let end = inside + out.len();
        let mut at = inside;
        while at < end {
            // The newest piece that holds this byte.
            let holds =
                |p: &&Piece| (p.start as usize) <= at && at < p.start as usize + p.len as usize;
            let Some(piece) = pieces.iter().rev().find(holds) else { return false };
            let Ok(mut data) = memory::zeroed(piece.len as usize) else { return false };
            if decode_piece(&piece.bytes, &mut data).is_err() {
                return false;
            }
            let from = at - piece.start as usize;
            let n = (data.len() - from).min(end - at);
            let (Some(to), Some(from)) =
                (out.get_mut(at - inside..at - inside + n), data.get(from..from + n))
            else {
                return false;
            };
            to.copy_from_slice(from);
            at += n;
        }
        true
    }

    /// Whether an index entry of the chunk can be read.
    fn is_listed(&self, chunk: u64) -> bool {
        self.chunks.contains_key(&chunk)
            || self.bases.iter().any(|(number, _)| *number == chunk)
            || self.reader.memtable.chunk(chunk).is_some()
            || self
                .reader
                .stored_index
                .chunk(&self.reader.io, chunk)
                .and_then(|f| f.map(|f| leaf_sums(&self.reader.io, f.leaf, &f.entry)).transpose())
                .is_ok_and(|sums| sums.is_some())
    }

    fn by_offset(
        &self,
        chunk: u64,
        place: Option<u64>,
        inside: usize,
        out: &mut [u8],
    ) -> Result<()> {
        let Some(offset) = place else {
            out.fill(0);
            return Ok(());
        };
        let place = self.place_at(chunk, offset)?;
        self.read_uncached(&place, inside, out)
    }

    /// Reads from another copy of a chunk than the one that the index names. Blocks are cached by
    /// the number of their chunk, and those of the two differ: of this one none may be kept.
    fn read_uncached(&self, place: &ChunkLocation, inside: usize, out: &mut [u8]) -> Result<()> {
        let size = place.layout.block_size().max(1) as usize;
        let gone = || Error::corrupt("chunk", place.offset, "ends before the record");
        let (mut at, mut out) = (inside, out);
        let mut data = AlignedBuf::default();
        while !out.is_empty() {
            let block = u32::try_from(at / size).unwrap_or(u32::MAX);
            if block >= place.layout.blocks() {
                return Err(gone());
            }
            data.resize(place.layout.block_len(block) as usize)?;
            self.reader.decode(place, block, &mut data)?;
            let from = data.get(at % size..).filter(|rest| !rest.is_empty()).ok_or_else(gone)?;
            let n = from.len().min(out.len());
            let (now, later) = std::mem::take(&mut out).split_at_mut(n);
            now.copy_from_slice(from.get(..n).unwrap_or_default());
            (at, out) = (at + n, later);
        }
        Ok(())
    }

    /// The chunk at `offset` of the file, of which no index says anything.
    fn place_at(&self, chunk: u64, offset: u64) -> Result<ChunkLocation> {
        let layout = self.prefix_at(offset)?;
        // Decoded here once, whole: a place that only looks like a chunk is told by that.
        let mut block = Vec::new();
        for i in 0..layout.blocks() {
            memory::resize(&mut block, layout.block_len(i) as usize, 0)?;
            self.decode_at(offset, &layout, i, &mut block)?;
        }
        Ok(ChunkLocation { chunk, offset, layout, sums: None })
    }
}
