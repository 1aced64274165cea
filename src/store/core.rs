//! What a reader and a writer share: the index as it stands, and the way from a record to its
//! bytes.

use super::cache::BlockCache;
use super::foreign::special_layout;
use super::io::Io;
use super::perm::{Perm, leaf_content, leaf_key, leaf_key_is, leaf_sums};
use super::record::Record;
use super::tail::Tail;
use crate::chunk::{ChunkLayout, Decoder};
use crate::error::{Corruption, Error, Result};
use crate::index::layout::{
    ChunkEntry, KEY_NONE, KEY_SHARED, RecordEntry, key_bytes, key_from_bytes, key_hash,
};
use crate::key::Key;
use crate::limits::{CHUNK_MAX_FOREIGN, RECORD_MAX};
use crate::wire::{AlignedBuf, checksum, identify, to_usize};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock, RwLock};

/// Chunks whose layout is kept.
const LAYOUTS_KEPT: usize = 8192;

thread_local! {
    /// One C context a thread: none is shared, none holds threads, all survive a fork.
    static DECODER: RefCell<Option<Decoder>> = const { RefCell::new(None) };
}

/// A chunk in the file: where, how it is cut, and the checksums of its blocks (none in a file
/// of the original).
#[derive(Debug)]
pub(super) struct ChunkPlace {
    pub(super) chunk: u64,
    pub(super) offset: u64,
    pub(super) layout: ChunkLayout,
    pub(super) sums: Option<Box<[u64]>>,
}

/// Places of chunks by their numbers.
pub(super) type Layouts = HashMap<u64, Arc<ChunkPlace>, BuildHasherDefault<ByNumber>>;

/// Hashes one number, which is looked up for every record: there are [`LAYOUTS_KEPT`] of them at
/// most, so whoever chooses them can slow down nothing.
#[derive(Debug, Default)]
pub(super) struct ByNumber(u64);

impl Hasher for ByNumber {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(self.0 ^ u64::from(*b)));
    }
    fn write_u64(&mut self, n: u64) {
        let h = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = h ^ (h >> 32);
    }
}

/// Where the bytes of a chunk are.
pub(super) enum ChunkData<'a> {
    Memory(InMemory<'a>),
    File(Arc<ChunkPlace>),
}

/// A chunk in memory, and the parts of it that could not be read into it.
#[derive(Clone, Copy)]
pub(super) struct InMemory<'a> {
    data: &'a [u8],
    lost: &'a [Lost],
}

impl InMemory<'_> {
    pub(super) const fn len(&self) -> usize {
        self.data.len()
    }

    /// The bytes `range`.
    pub(super) fn get(&self, range: Range<usize>) -> Result<&[u8]> {
        let hit = self.lost.iter().find(|l| l.range.start < range.end && range.start < l.range.end);
        if let Some(lost) = hit {
            return Err(Error::Corrupt(lost.damage));
        }
        let outside = || Error::corrupt("record entry", 0, "reaches outside its chunk");
        self.data.get(range).ok_or_else(outside)
    }
}

/// A part of the open chunk that is damaged in the file.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) range: Range<usize>,
    pub(super) damage: Corruption,
}

/// The chunk that is being filled.
#[derive(Debug, Default)]
pub(super) struct OpenChunk {
    pub(super) number: u64,
    /// 0 if no chunk is open.
    pub(super) block: u32,
    pub(super) data: AlignedBuf,
    /// What of it could not be read when the store was opened.
    pub(super) lost: Vec<Lost>,
}

/// Running totals of a store.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// Records without an ordinal: deleted, replaced and shared ones.
    pub(super) dead_records: u64,
    /// Bytes of the deleted and replaced ones.
    pub(super) dead_bytes: u64,
    /// How many of `dead_records` are shared.
    pub(super) shared: u64,
    pub(super) record_bytes: u64,
    /// End of the last record in the logical byte space.
    pub(super) cursor: u64,
}

/// The index and the chunks of a store, as a snapshot or as the writer sees them.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) io: Io,
    pub(super) chunk_size: u64,
    pub(super) perm: Perm,
    pub(super) tail: Tail,
    pub(super) totals: Totals,
    pub(super) open: OpenChunk,
    /// Chunks on their way to the file.
    pub(super) waiting: BTreeMap<u64, Arc<AlignedBuf>>,
    pub(super) cache: BlockCache,
    pub(super) layouts: RwLock<Layouts>,
    pub(super) dead: OnceLock<Vec<u64>>,
    pub(super) threads: usize,
}

/// Mark of a chunk of another program, in memory only: it has no checksums.
pub(super) const UNCHECKED: u32 = 1;
/// The same for one that lies nowhere: only the offsets of the frame say that it is all zeros.
pub(super) const UNCHECKED_ZEROS: u32 = 2;
/// The same for NaN in numbers of 4 bytes.
pub(super) const UNCHECKED_NANS_4: u32 = 3;
/// The same for NaN in numbers of 8 bytes.
pub(super) const UNCHECKED_NANS_8: u32 = 4;

/// Checksum identity of a chunk's header and block starts.
pub(super) const PREFIX: u64 = u64::MAX;

/// The answer of a lookup that may be given up.
pub(super) enum Sought {
    /// The record, or that there is none.
    Known(Option<u64>),
    /// There are too many entries of this hash.
    Crowd,
}

impl Core {
    /// Records ever put.
    pub(super) fn ids(&self) -> u64 {
        self.tail.end()
    }

    /// Live records.
    pub(super) fn live(&self) -> u64 {
        self.ids().saturating_sub(self.totals.dead_records)
    }

    pub(super) fn entry(&self, id: u64) -> Result<RecordEntry> {
        if let Some(e) = self.tail.record(id) {
            return Ok(*e);
        }
        self.perm.record(&self.io, id)?.map(|f| f.entry).ok_or_else(|| missing(&id))
    }

    pub(super) fn key_of(&self, id: u64) -> Result<Option<Key>> {
        let (kind, bytes) = if let Some(e) = self.tail.record(id) {
            (e.key_kind, self.tail.key(e).unwrap_or_default().to_vec())
        } else {
            let found = self.perm.record(&self.io, id)?.ok_or_else(|| missing(&id))?;
            (found.entry.key_kind, leaf_key(&self.io, found.leaf, &found.entry)?)
        };
        if kind == KEY_NONE {
            return Ok(None);
        }
        key_from_bytes(kind, &bytes)
            .map(Some)
            .ok_or_else(|| Error::corrupt("record entry", 0, "its key is of no known kind"))
    }

    /// The record under `key`, if there is one.
    pub(super) fn find(&self, key: &Key) -> Result<Option<u64>> {
        let mut scratch = [0; 8];
        let Some((kind, bytes)) = key_bytes(key, &mut scratch) else { return Ok(None) };
        self.find_bytes(kind, bytes, key_hash(kind, bytes))
    }

    pub(super) fn find_bytes(&self, kind: u8, bytes: &[u8], hash: u64) -> Result<Option<u64>> {
        match self.find_among(kind, bytes, hash, usize::MAX)? {
            Sought::Known(id) => Ok(id),
            Sought::Crowd => Ok(None),
        }
    }

    /// As [`Core::find_bytes`], given up behind `most` entries of this hash.
    pub(super) fn find_among(
        &self,
        kind: u8,
        bytes: &[u8],
        hash: u64,
        most: usize,
    ) -> Result<Sought> {
        // A shared record stands among the deleted ones, which keeps it out of the count.
        let shared = kind == KEY_SHARED;
        if let Some(id) = self.tail.find(hash, kind, bytes) {
            return Ok(Sought::Known((shared || !self.tail.kills(id)).then_some(id)));
        }
        let mut passed = 0;
        // Whoever replaces or deletes a record writes a tombstone for it into the same run or
        // a newer one; runs are visited newest first.
        let mut killed: Vec<u64> = Vec::new();
        let hit = self.perm.search(&self.io, hash, |entry| {
            if passed == most {
                return Ok(Some(None));
            }
            passed += 1;
            let id = entry.record();
            if entry.is_dead() {
                killed.push(id);
                return Ok(None);
            }
            let Some(found) = self.perm.record(&self.io, id)? else { return Ok(None) };
            let same = found.entry.key_kind == kind
                && leaf_key_is(&self.io, found.leaf, &found.entry, bytes)?;
            Ok(same.then_some(Some(id)))
        })?;
        let alive = |id: &u64| shared || (!killed.contains(id) && !self.tail.kills(*id));
        Ok(match hit {
            Some(None) => Sought::Crowd,
            Some(Some(id)) => Sought::Known(Some(id).filter(alive)),
            None => Sought::Known(None),
        })
    }

    /// All records without an ordinal, the deleted and the shared ones, sorted.
    pub(super) fn dead(&self) -> Result<&[u64]> {
        if let Some(d) = self.dead.get() {
            return Ok(d);
        }
        let mut all = if self.totals.dead_records == 0 {
            Vec::new()
        } else {
            let mut all = self.perm.dead(&self.io)?;
            all.extend(self.tail.dead.iter().map(|(_, record)| *record));
            all
        };
        all.sort_unstable();
        // What counts with these numbers relies on it: each is one of the records, named once.
        let right = all.len() as u64 == self.totals.dead_records
            && all.last().is_none_or(|id| *id < self.ids())
            && all.is_sorted_by(|a, b| a < b);
        if !right {
            let why = "does not name each deleted record once";
            return Err(Error::corrupt("list of deleted records", 0, why));
        }
        Ok(self.dead.get_or_init(|| all))
    }

    /// The record at position `ordinal` among the live ones, in the order of insertion.
    pub(super) fn id_at(&self, ordinal: u64) -> Result<u64> {
        if ordinal >= self.live() {
            return Err(Error::NotFound {
                key: format!("at ordinal {ordinal}: the store has {} records", self.live()).into(),
            });
        }
        if self.totals.dead_records == 0 {
            return Ok(ordinal);
        }
        let dead = self.dead()?;
        // The k-th deleted record lies before the wanted one if at most `ordinal` live ones
        // come before it.
        let before = partition_index(dead, |k, id| id - k as u64 <= ordinal);
        Ok(ordinal + before as u64)
    }

    /// The position of a record among the live ones; `None` if it is deleted.
    pub(super) fn ordinal_of(&self, id: u64) -> Result<Option<u64>> {
        if self.totals.dead_records == 0 {
            return Ok(Some(id));
        }
        Ok(match self.dead()?.binary_search(&id) {
            Ok(_) => None,
            Err(before) => Some(id - before as u64),
        })
    }

    /// Start and length of a record, bounded by what the store holds.
    pub(super) fn span(&self, entry: &RecordEntry) -> Result<Range<u64>> {
        let start = entry.start.get();
        let len = u64::from(entry.len.get());
        let end = start.checked_add(len);
        match end {
            Some(end) if end <= self.totals.cursor && len > RECORD_MAX => {
                Err(Error::Limit { what: "record", asked: len, max: RECORD_MAX })
            }
            Some(end) if end <= self.totals.cursor => Ok(start..end),
            _ => Err(Error::corrupt("record entry", start, "lies outside the data")),
        }
    }

    /// The bytes of a record.
    pub(super) fn record(&self, entry: &RecordEntry) -> Result<Record> {
        let span = self.span(entry)?;
        let len = to_usize(span.end - span.start).unwrap_or(usize::MAX);
        if len == 0 {
            return Ok(Record::empty());
        }
        let chunk = span.start / self.chunk_size;
        if (span.end - 1) / self.chunk_size == chunk
            && let ChunkData::File(place) = self.chunk(chunk)?
        {
            let at = u32::try_from(span.start % self.chunk_size).unwrap_or(u32::MAX);
            let end = at as usize + len;
            let bs = place.layout.block_size().max(1);
            let block = at / bs;
            if (end - 1) as u64 / u64::from(bs) == u64::from(block) {
                let first = (block * bs) as usize;
                let inside = at as usize - first..end - first;
                if place.layout.is_stored()
                    && let Some(r) = self.stored(&place, block, inside.clone())?
                {
                    return Ok(r);
                }
                let whole = place.layout.block_len(block) as usize;
                if inside.end > whole {
                    return Err(Error::corrupt("record entry", 0, "reaches past its block"));
                }
                let data = match self.cache.get(place.chunk, block) {
                    Some(data) => data,
                    None if Decoder::decodes_parts(&place.layout)
                        && !self.cache.pays(place.chunk, block, whole) =>
                    {
                        let mut out = AlignedBuf::unset(len);
                        self.decode_part(&place, block, inside, &mut out)?;
                        return Ok(Record::owned(out));
                    }
                    None => self.fresh(&place, block)?,
                };
                if inside.start.is_multiple_of(8) {
                    return Record::of(data, inside);
                }
                let bytes = data.get(inside).unwrap_or_default();
                return Ok(Record::owned(AlignedBuf::copy_of(bytes)));
            }
        }
        self.exists(&span)?;
        let mut out = AlignedBuf::zeroed(len);
        self.read(span, &mut out)?;
        Ok(Record::owned(out))
    }

    /// A slice of the map for a record in a stored chunk, its block checked where it lies.
    fn stored(
        &self,
        place: &ChunkPlace,
        block: u32,
        inside: Range<usize>,
    ) -> Result<Option<Record>> {
        let range = place.layout.block_range(block);
        let start = place.offset + u64::from(range.start);
        let end = place.offset + u64::from(range.end);
        let Some(map) = self.io.mapping(end) else { return Ok(None) };
        let (Some(start), Some(end)) = (to_usize(start), to_usize(end)) else { return Ok(None) };
        let Some(bytes) = map.get(start..end) else { return Ok(None) };
        self.check(place, block, bytes)?;
        let at = start + inside.start..start + inside.end;
        if !map.get(at.clone()).is_some_and(|b| b.as_ptr().addr().is_multiple_of(8)) {
            return Ok(None);
        }
        Record::mapped(map, at).map(Some)
    }

    /// Whether every chunk of `span` is there: what a damaged index claims is not allocated
    /// before.
    pub(super) fn exists(&self, span: &Range<u64>) -> Result<()> {
        if span.is_empty() {
            return Ok(());
        }
        let mut chunks = span.start / self.chunk_size..=(span.end - 1) / self.chunk_size;
        chunks.try_for_each(|chunk| self.chunk(chunk).map(drop))
    }

    /// Calls `f` with a block of a stored chunk, checked where it lies.
    pub(super) fn stored_block(
        &self,
        place: &ChunkPlace,
        block: u32,
        f: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let range = place.layout.block_range(block);
        let len = range.end.saturating_sub(range.start) as usize;
        self.io.bytes(place.offset + u64::from(range.start), len, |bytes| {
            self.check(place, block, bytes)?;
            f(bytes)
        })?
    }

    /// Fills `out` with the logical bytes `span`.
    pub(super) fn read(&self, span: Range<u64>, out: &mut [u8]) -> Result<()> {
        let mut at = span.start;
        let mut out = out;
        while !out.is_empty() {
            let chunk = at / self.chunk_size;
            let inside = to_usize(at % self.chunk_size).unwrap_or(usize::MAX);
            let room = to_usize(self.chunk_size).unwrap_or(0) - inside;
            let n = out.len().min(room);
            let (now, later) = std::mem::take(&mut out).split_at_mut(n);
            match self.chunk(chunk)? {
                ChunkData::Memory(data) => {
                    now.copy_from_slice(data.get(inside..inside + n)?);
                }
                ChunkData::File(place) => self.read_chunk(&place, inside, now)?,
            }
            at += n as u64;
            out = later;
        }
        Ok(())
    }

    pub(super) fn read_chunk(
        &self,
        place: &ChunkPlace,
        inside: usize,
        out: &mut [u8],
    ) -> Result<()> {
        let bs = place.layout.block_size().max(1) as usize;
        let mut at = inside;
        let mut out = out;
        while !out.is_empty() {
            let block = u32::try_from(at / bs).unwrap_or(u32::MAX);
            if block >= place.layout.blocks() {
                return Err(missing_chunk(place.chunk));
            }
            let skip = at - block as usize * bs;
            let len = place.layout.block_len(block) as usize;
            let n = out.len().min(len.saturating_sub(skip));
            if n == 0 {
                return Err(missing_chunk(place.chunk));
            }
            let (now, later) = std::mem::take(&mut out).split_at_mut(n);
            if n == len {
                self.decode(place, block, now)?;
            } else if let Some(data) = self.cache.get(place.chunk, block) {
                now.copy_from_slice(data.get(skip..skip + n).unwrap_or_default());
            } else if Decoder::decodes_parts(&place.layout)
                && !self.cache.pays(place.chunk, block, len)
            {
                self.decode_part(place, block, skip..skip + n, now)?;
            } else {
                let data = self.fresh(place, block)?;
                now.copy_from_slice(data.get(skip..skip + n).unwrap_or_default());
            }
            at += n;
            out = later;
        }
        Ok(())
    }

    /// A block that is not in the cache; then it is.
    fn fresh(&self, place: &ChunkPlace, block: u32) -> Result<Arc<AlignedBuf>> {
        let mut data = AlignedBuf::unset(place.layout.block_len(block) as usize);
        self.decode(place, block, &mut data)?;
        let data = Arc::new(data);
        self.cache.insert(place.chunk, block, &data);
        Ok(data)
    }

    /// Checks and decodes one block into `out`.
    pub(super) fn decode(&self, place: &ChunkPlace, block: u32, out: &mut [u8]) -> Result<()> {
        self.decode_part(place, block, 0..place.layout.block_len(block) as usize, out)
    }

    /// Checks one block and decodes a part of it into `out`.
    fn decode_part(
        &self,
        place: &ChunkPlace,
        block: u32,
        part: Range<usize>,
        out: &mut [u8],
    ) -> Result<()> {
        let range = place.layout.block_range(block);
        let len = range.end.saturating_sub(range.start) as usize;
        let offset = place.offset + u64::from(range.start);
        self.io.bytes(offset, len, |stream| {
            with_decoder(|d| {
                d.decode_checked(&place.layout, block, stream, part, out, |held| {
                    self.compare(place, block, held)
                })
            })
            .map_err(|e| locate(e, offset))
        })?
    }

    /// Checks a block where it is stored.
    fn check(&self, place: &ChunkPlace, block: u32, bytes: &[u8]) -> Result<()> {
        fetch_ahead(bytes);
        self.compare(place, block, bytes)
            .map_err(|e| locate(e, place.offset + u64::from(place.layout.block_range(block).start)))
    }

    /// Compares the bytes of a block with its checksum; a difference is found at its offset 0.
    fn compare(&self, place: &ChunkPlace, block: u32, bytes: &[u8]) -> Result<()> {
        let Some(sums) = &place.sums else { return Ok(()) };
        let right = sums.get(block as usize).copied();
        if right != Some(block_sum(self.io.file(), place.chunk, block, bytes)) {
            return Err(Error::corrupt("block", 0, "checksum differs"));
        }
        Ok(())
    }

    /// The bytes of chunk `chunk`, or where they are.
    pub(super) fn chunk(&self, chunk: u64) -> Result<ChunkData<'_>> {
        if self.open.block != 0 && chunk == self.open.number {
            return Ok(ChunkData::Memory(InMemory {
                data: &self.open.data,
                lost: &self.open.lost,
            }));
        }
        if let Some(data) = self.waiting.get(&chunk) {
            return Ok(ChunkData::Memory(InMemory { data, lost: &[] }));
        }
        if let Ok(known) = self.layouts.try_read()
            && let Some(place) = known.get(&chunk)
        {
            return Ok(ChunkData::File(place.clone()));
        }
        let place = Arc::new(self.place(chunk)?);
        if let Ok(mut known) = self.layouts.try_write() {
            if known.len() >= LAYOUTS_KEPT {
                known.clear();
            }
            known.insert(chunk, place.clone());
        }
        Ok(ChunkData::File(place))
    }

    /// Looks up where chunk `chunk` lies and how it is cut.
    pub(super) fn place(&self, chunk: u64) -> Result<ChunkPlace> {
        let (entry, sums) = if let Some(entry) = self.tail.chunk(chunk) {
            match entry.reserved.get() {
                0 => {}
                UNCHECKED => return self.place_of(chunk, entry, None),
                kind => {
                    let layout = special_layout(kind, self.chunk_size)?;
                    return Ok(ChunkPlace { chunk, offset: 0, layout, sums: None });
                }
            }
            let sum = |b| self.tail.sum(entry, b).ok_or_else(|| missing_chunk(chunk));
            (*entry, (0..entry.blocks.get()).map(sum).collect::<Result<Vec<u64>>>()?)
        } else {
            let found = self.perm.chunk(&self.io, chunk)?.ok_or_else(|| missing_chunk(chunk))?;
            (found.entry, leaf_sums(&self.io, found.leaf, &found.entry)?)
        };
        self.place_of(chunk, &entry, Some(sums.into()))
    }

    pub(super) fn place_of(
        &self,
        chunk: u64,
        entry: &ChunkEntry,
        sums: Option<Box<[u64]>>,
    ) -> Result<ChunkPlace> {
        let offset = entry.offset.get();
        let most = u32::try_from(self.chunk_size).unwrap_or(u32::MAX).min(CHUNK_MAX_FOREIGN);
        let located = |e| locate(e, offset);
        let prefix = self
            .io
            .bytes(offset, ChunkLayout::HEADER_LEN.min(entry.cbytes.get() as usize), |h| {
                ChunkLayout::prefix_len(h, most)
            })?
            .map_err(located)?;
        if prefix > entry.cbytes.get() as usize {
            return Err(Error::corrupt("chunk", offset, "is shorter than its block starts"));
        }
        let layout = self.io.bytes(offset, prefix, |bytes| {
            if sums.is_some() && entry.prefix_sum.get() != prefix_sum(self.io.file(), chunk, bytes)
            {
                return Err(Error::corrupt("chunk header", offset, "checksum differs"));
            }
            ChunkLayout::parse(bytes, most).map_err(located)
        })??;
        if layout.cbytes() != entry.cbytes.get()
            || (sums.is_some() && layout.blocks() != entry.blocks.get())
            || u64::from(layout.nbytes()) > self.chunk_size
        {
            return Err(Error::corrupt("chunk", offset, "disagrees with the index"));
        }
        // Where no checksum depends on them, the blocks of a run of one value may be smaller.
        let layout = if sums.is_none() { layout.in_small_blocks() } else { layout };
        Ok(ChunkPlace { chunk, offset, layout, sums })
    }

    /// The record under `key`, or an error that names it.
    pub(super) fn lookup(&self, key: &Key) -> Result<RecordEntry> {
        let id = self.find(key)?.ok_or_else(|| Error::NotFound { key: key.to_string().into() })?;
        self.entry(id)
    }

    /// Calls `f` with every record ever put, in order, with its key bytes; leaf by leaf.
    pub(super) fn each_record(
        &self,
        f: impl FnMut(u64, &RecordEntry, &[u8]) -> Result<()>,
    ) -> Result<()> {
        self.each_record_or(f, |_, _, e| Err(e))
    }

    /// As [`Core::each_record`]; `lost` is told of a leaf that cannot be read: its first
    /// record, their number, and why. If it accepts that, the others follow.
    pub(super) fn each_record_or(
        &self,
        mut f: impl FnMut(u64, &RecordEntry, &[u8]) -> Result<()>,
        mut lost: impl FnMut(u64, u64, Error) -> Result<()>,
    ) -> Result<()> {
        for leaf in self.perm.all_leaves(&self.io)? {
            let first = leaf.at.first_record.get();
            let content = match leaf_content(&self.io, leaf) {
                Ok(content) => content,
                Err(e) => {
                    lost(first, u64::from(leaf.at.records.get()), e)?;
                    continue;
                }
            };
            for (i, e) in content.records.iter().enumerate() {
                let at = e.key_at.get() as usize;
                let key = content.keys.get(at..at + usize::from(e.key_len.get()));
                let key = key.ok_or_else(|| {
                    Error::corrupt("index leaf", leaf.at.segment.offset.get(), "key out of range")
                })?;
                f(first + i as u64, e, key)?;
            }
        }
        for (i, e) in self.tail.records.iter().enumerate() {
            f(self.tail.first_record + i as u64, e, self.tail.key(e).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Calls `f` with this thread's decoder.
pub(super) fn with_decoder<R>(f: impl FnOnce(&mut Decoder) -> Result<R>) -> Result<R> {
    DECODER.with(|cell| {
        let Ok(mut slot) = cell.try_borrow_mut() else { return f(&mut Decoder::new()?) };
        if slot.is_none() {
            *slot = Some(Decoder::new()?);
        }
        match slot.as_mut() {
            Some(d) => f(d),
            None => f(&mut Decoder::new()?),
        }
    })
}

/// Checksum of a block where it is stored.
pub(super) fn block_sum(file: [u8; 16], chunk: u64, block: u32, bytes: &[u8]) -> u64 {
    checksum(bytes) ^ identify(file, chunk, u64::from(block))
}

/// Checksum of a chunk's header and block starts.
pub(super) fn prefix_sum(file: [u8; 16], chunk: u64, bytes: &[u8]) -> u64 {
    checksum(bytes) ^ identify(file, chunk, PREFIX)
}

fn partition_index(sorted: &[u64], before: impl Fn(usize, u64) -> bool) -> usize {
    let (mut low, mut high) = (0, sorted.len());
    while low < high {
        let mid = low + (high - low) / 2;
        if sorted.get(mid).is_some_and(|id| before(mid, *id)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    low
}

/// Looks at each cache line at the start of `bytes`, which are wanted from memory all at once
/// then; the checksum alone asks for the next one when it is done with the last few.
fn fetch_ahead(bytes: &[u8]) {
    let lines = bytes.iter().step_by(64).take(64);
    std::hint::black_box(lines.fold(0, |all, line| all | line));
}

fn locate(e: Error, offset: u64) -> Error {
    match e {
        Error::Corrupt(mut c) => {
            c.offset = c.offset.saturating_add(offset);
            Error::Corrupt(c)
        }
        other => other,
    }
}

fn missing(id: &u64) -> Error {
    Error::NotFound { key: format!("number {id}").into() }
}

fn missing_chunk(chunk: u64) -> Error {
    Error::corrupt("chunk table", chunk, "does not name a chunk that records lie in")
}
