//! Files of the original program, and sealed files of ours that another program has added to.
//!
//! Both are read through the Blosc2 frame itself: header, offsets, trailer, `saved_lookup`.
//! What lies there has no checksums.

use super::batch::threads;
use super::cache::BlockCache;
use super::core::{
    Core, OpenChunk, Totals, UNCHECKED, UNCHECKED_NANS_4, UNCHECKED_NANS_8, UNCHECKED_ZEROS,
    with_decoder,
};
use super::io::Io;
use super::options::{Alignment, StoreOptions};
use super::pool::{Finished, sums};
use super::root::Root;
use super::seal::seal_is_intact;
use super::state::{Opened, State, load_sealed};
use super::tail::Tail;
use super::writer::Writer;
use crate::backend::{Backend, FileBackend};
use crate::chunk::{ChunkLayout, nans_chunk, zeros_chunk};
use crate::error::{Error, Result};
use crate::frame::{
    ChunkPlace, FrameHeader, HEADER_LEN, MAGIC, TRAILER_MIN, decode_offsets, parse_trailer,
    trailer_len,
};
use crate::index::layout::{ChunkEntry, key_bytes, key_hash};
use crate::index::log::DeadEntry;
use crate::index::saved_lookup;
use crate::index::slot::Slot;
use crate::key::Key;
use crate::limits::{CHUNK_MAX, CHUNK_MAX_FOREIGN, LOOKUP_MAX, METALAYER_MAX};
use crate::wire::{AlignedBuf, U32, U64, memory, to_usize};
use once_cell::race::OnceBox;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// A frame as other programs see it.
pub(super) struct Frame {
    header: FrameHeader,
    pub(super) places: Vec<ChunkPlace>,
    pub(super) lookup: Option<Vec<(Key, u64, u64)>>,
}

fn read(backend: &dyn Backend, offset: u64, len: u64, part: &'static str) -> Result<Vec<u8>> {
    let end = offset.checked_add(len).filter(|end| backend.len().is_ok_and(|l| *end <= l));
    if end.is_none() {
        return Err(Error::corrupt(
            part,
            offset,
            "reaches past the end of the file; it was cut short",
        ));
    }
    let mut out = memory::zeroed(to_usize(len).unwrap_or(0))?;
    backend.read_at(offset, &mut out)?;
    Ok(out)
}

pub(super) fn read_header(backend: &dyn Backend) -> Result<(FrameHeader, Vec<u8>)> {
    let len = backend.len()?;
    let first = read(backend, 0, len.min(FrameHeader::MIN_LEN as u64), "frame header")?;
    let n = FrameHeader::prefix_len(&first)? as u64;
    if n > len.max(METALAYER_MAX as u64) {
        return Err(Error::corrupt("frame header", 0, "is longer than the file"));
    }
    let bytes = read(backend, 0, n, "frame header")?;
    Ok((FrameHeader::parse(&bytes)?, bytes))
}

pub(super) fn read_frame(backend: &dyn Backend, header: FrameHeader) -> Result<Frame> {
    if header.frame_len > backend.len()? {
        let at = backend.len()?;
        return Err(Error::corrupt("file", at, "ends before its frame does; it was cut short"));
    }
    let tail = read(
        backend,
        header.frame_len.saturating_sub(TRAILER_MIN as u64),
        TRAILER_MIN as u64,
        "frame trailer",
    )?;
    let len = u64::from(trailer_len(&tail)?);
    let at = header.trailer_at(len)?;
    let trailer = read(backend, at, len, "frame trailer")?;
    let layer = parse_trailer(&trailer)?.into_iter().find(|m| m.name == saved_lookup::NAME);
    let lookup = match layer {
        Some(m) => {
            let chunk = trailer.get(m.content).unwrap_or_default();
            let most = u32::try_from(LOOKUP_MAX).unwrap_or(u32::MAX);
            let table = decode_chunk(chunk, most)?;
            // An entry of a short key costs ten times its bytes.
            let entries = (4 << 20) + chunk.len().saturating_mul(64);
            if saved_lookup::count(&table)? > entries / saved_lookup::ENTRY_MIN {
                return Err(Error::corrupt("chunk", 0, "claims more than it can hold"));
            }
            Some(saved_lookup::decode(&table)?)
        }
        None => None,
    };
    let places = if header.nbytes == 0 {
        Vec::new()
    } else {
        let offsets =
            read(backend, header.offsets_at(), at - header.offsets_at(), "chunk offsets")?;
        decode_offsets(&offsets, &header)?
    };
    Ok(Frame { header, places, lookup })
}

/// Whether another program can read the frame: header, offsets and trailer.
pub(super) fn frame_is_readable(backend: &dyn Backend) -> Result<()> {
    let (header, _) = read_header(backend)?;
    read_frame(backend, header).map(drop)
}

/// Decodes a whole chunk that is given whole.
fn decode_chunk(chunk: &[u8], most: u32) -> Result<Vec<u8>> {
    let bad = || Error::corrupt("chunk", 0, "is cut short");
    let head = chunk.get(..ChunkLayout::HEADER_LEN.min(chunk.len())).ok_or_else(bad)?;
    let prefix = ChunkLayout::prefix_len(head, most)?;
    let layout = ChunkLayout::parse(chunk.get(..prefix).ok_or_else(bad)?, most)?;
    // A short chunk may stand for many equal bytes, but not for more than compression gives.
    // Tables of records shrink to a tenth, and much further only if their keys are long and alike.
    let claimed = layout.nbytes() as usize;
    let fair = chunk.len().saturating_mul(64);
    if claimed > (16 << 20) + fair {
        return Err(Error::corrupt("chunk", 0, "claims more than it can hold"));
    }
    let mut out = memory::zeroed(claimed)?;
    let mut rest = out.as_mut_slice();
    for i in 0..layout.blocks() {
        let range = layout.block_range(i);
        let stream = chunk.get(range.start as usize..range.end as usize).ok_or_else(bad)?;
        let n = layout.block_len(i) as usize;
        let (now, later) = std::mem::take(&mut rest).split_at_mut_checked(n).ok_or_else(bad)?;
        with_decoder(|d| d.decode(&layout, i, stream, now))?;
        rest = later;
    }
    Ok(out)
}

/// The index entry of a chunk without checksums.
fn unchecked(backend: &dyn Backend, offset: u64) -> Result<ChunkEntry> {
    let mut head = [0; 16];
    if offset + 16 > backend.len()? {
        return Err(Error::corrupt("chunk", offset, "lies outside the file; it was cut short"));
    }
    backend.read_at(offset, &mut head)?;
    let [.., a, b, c, d] = head;
    Ok(ChunkEntry {
        offset: offset.into(),
        cbytes: U32::new(u32::from_le_bytes([a, b, c, d])),
        reserved: U32::new(UNCHECKED),
        ..bytemuck::Zeroable::zeroed()
    })
}

/// Adds the chunks of a frame, from number `skip` on, to the tail of `core`.
fn add_chunks(core: &mut Core, backend: &dyn Backend, frame: &Frame, skip: usize) -> Result<()> {
    memory::reserve(&mut core.tail.chunks, frame.places.len().saturating_sub(skip))?;
    for place in frame.places.iter().skip(skip) {
        let entry = match place {
            ChunkPlace::At(offset) => unchecked(backend, frame.header.header_len + offset)?,
            ChunkPlace::Zeros => special(UNCHECKED_ZEROS),
            // Numbers of 8 bytes if the frame says so, else of 4, as python-blosc2 makes them.
            ChunkPlace::Nans if frame.header.typesize == 8 => special(UNCHECKED_NANS_8),
            ChunkPlace::Nans => special(UNCHECKED_NANS_4),
        };
        if entry.cbytes.get() == 0 {
            special_layout(entry.reserved.get(), core.chunk_size)?;
        }
        core.tail.chunks.push(entry);
    }
    Ok(())
}

/// The index entry of a chunk that only the offsets name; it lies nowhere.
fn special(kind: u32) -> ChunkEntry {
    ChunkEntry { reserved: U32::new(kind), ..bytemuck::Zeroable::zeroed() }
}

/// The layout of a chunk that only the offsets name. Its blocks are as small as they can be
/// without becoming many: nothing of it is kept but what is asked for.
pub(super) fn special_layout(kind: u32, chunk_size: u64) -> Result<ChunkLayout> {
    let size = u32::try_from(chunk_size).unwrap_or(u32::MAX);
    let block = size.clamp(1, 64 << 10);
    let bytes = match kind {
        UNCHECKED_NANS_8 => nans_chunk(8, size, block),
        UNCHECKED_NANS_4 => nans_chunk(4, size, block),
        _ => zeros_chunk(1, size, block),
    };
    ChunkLayout::parse(&bytes, size)
}

fn add_record(core: &mut Core, key: &Key, start: u64, end: u64) -> Result<()> {
    let mut scratch = [0; 8];
    let (kind, bytes) = key_bytes(key, &mut scratch)
        .ok_or_else(|| Error::invalid("key", "is outside the range of keys"))?;
    let hash = key_hash(kind, bytes);
    if let Some(old) = core.find_bytes(kind, bytes, hash)? {
        let len = core.entry(old)?.len.get();
        let dead = DeadEntry {
            hash: hash.into(),
            record: old.into(),
            len: len.into(),
            ..bytemuck::Zeroable::zeroed()
        };
        core.tail.kill(dead);
        core.totals.dead_records += 1;
        core.totals.dead_bytes += u64::from(len);
    }
    let len = u32::try_from(end - start).map_err(|_| {
        Error::Limit { what: "record", asked: end - start, max: u64::from(u32::MAX) }.of_record(key)
    })?;
    core.totals.record_bytes += u64::from(len);
    core.tail.push(start, len, 0, Some((kind, bytes, hash)), None)
}

/// Opens a file of the original program as it is.
pub(super) fn load_original(backend: &Arc<dyn Backend>, options: &StoreOptions) -> Result<State> {
    let (header, bytes) = read_header(&**backend)?;
    let magic = header.metalayer("magic").and_then(|r| bytes.get(r));
    match magic {
        Some([0xc4, 16, rest @ ..]) if *rest == MAGIC => {}
        Some(_) => {
            return Err(Error::NotAStore {
                why: "a Blosc2 frame whose metalayer `magic` is of another program",
            });
        }
        None => {
            return Err(Error::NotAStore {
                why: "a Blosc2 frame without the metalayer `magic`: it has chunks but no records; open it with python-blosc2",
            });
        }
    }
    let mut frame = read_frame(&**backend, header)?;
    let Some(lookup) = frame.lookup.take() else {
        return Err(Error::NotAStore {
            why: "its index `saved_lookup` is missing: the program that wrote it ended before it closed the file, and where its records lie was lost",
        });
    };
    let chunk = frame.header.chunk_size;
    if chunk == 0 || chunk > CHUNK_MAX_FOREIGN {
        return Err(Error::Limit {
            what: "chunk size",
            asked: u64::from(chunk),
            max: u64::from(CHUNK_MAX_FOREIGN),
        });
    }
    let mut options = options.clone();
    options.chunk_size = chunk;
    options.block_size = 0;
    options.columns = Some(Vec::new());
    options.alignment = Alignment::NoCross;
    options.typesize = u8::try_from(frame.header.typesize).unwrap_or(1).max(1);
    if let Some(params) = frame.header.params() {
        options.codec = Some(params.codec);
        options.level = params.level;
        options.filter = params.filter;
        options.typesize = params.typesize;
    }
    let mut core = Core {
        io: Io::new(backend.clone(), [0; 16])?,
        chunk_size: u64::from(chunk),
        perm: super::perm::Perm::default(),
        tail: Tail::after(0, 0),
        totals: Totals::default(),
        open: OpenChunk::default(),
        waiting: BTreeMap::new(),
        cache: BlockCache::new(options.cache_bytes),
        layouts: RwLock::default(),
        dead: OnceBox::new(),
        threads: threads(options.threads),
    };
    add_chunks(&mut core, &**backend, &frame, 0)?;
    core.totals.cursor = frame.header.nbytes;
    for (key, start, end) in &lookup {
        add_record(&mut core, key, *start, *end)?;
    }
    let slot = Slot { end: frame.header.frame_len.into(), ..Slot::default() };
    Ok(State {
        core,
        slot,
        root: Root::default(),
        options,
        opened: Opened::Unchecked,
        attributes: b"{}".to_vec(),
        newest_seen: 0,
        followed: 0,
    })
}

/// Copies a file of the original into a new one of ours, chunk by chunk as they are; every
/// block is decoded once on the way, so that nothing unreadable gets a checksum.
pub(super) fn copy_original(
    state: &State,
    copy: &Arc<FileBackend>,
    options: &StoreOptions,
) -> Result<()> {
    let mut wanted =
        StoreOptions { record_codec: options.record_codec.clone(), ..state.options.clone() };
    wanted.file_id = options.file_id;
    // Records of the original have no rows, those that are added may.
    wanted.columns.clone_from(&options.columns);
    if wanted.chunk_size > CHUNK_MAX {
        return Err(Error::Limit {
            what: "chunk size of a file to be extended",
            asked: u64::from(wanted.chunk_size),
            max: u64::from(CHUNK_MAX),
        });
    }
    let backend: Arc<dyn Backend> = copy.clone();
    let mut writer = Writer::create_in(backend, &wanted)?;
    let core = &state.core;
    let file = writer.core.io.file();
    let chunks = core.tail.chunks_end();
    let used: u64 =
        core.tail.records.iter().map(|e| e.start.get() + u64::from(e.len.get())).max().unwrap_or(0);
    // A half-filled last chunk becomes the open chunk: it is gone on with.
    let open = used
        .checked_sub(1)
        .map(|last| last / core.chunk_size)
        .filter(|open| open + 1 == chunks && !used.is_multiple_of(core.chunk_size));
    for number in (0..chunks).filter(|n| Some(*n) != open) {
        let place = core.place(number)?;
        let named = core.tail.chunk(number).filter(|e| e.cbytes.get() == 0);
        let bytes = if let Some(entry) = named {
            if entry.reserved.get() != UNCHECKED_ZEROS {
                return Err(Error::Unsupported {
                    what: "chunk of NaN in a file to be extended",
                    found: number,
                    newest: 0,
                });
            }
            let size = u32::try_from(core.chunk_size).unwrap_or(u32::MAX);
            zeros_chunk(wanted.typesize, size, size.min(32 << 10)).to_vec()
        } else {
            let mut block = Vec::new();
            for i in 0..place.layout.blocks() {
                memory::resize(&mut block, place.layout.block_len(i) as usize, 0)?;
                core.decode(&place, i, &mut block)?;
            }
            if u64::from(place.layout.nbytes()) != core.chunk_size {
                return Err(Error::corrupt("chunk", place.offset, "is shorter than the others"));
            }
            core.io.bytes(place.offset, place.layout.cbytes() as usize, memory::copied)??
        };
        let (prefix_sum, sums) = sums(file, number, &bytes)?;
        writer.adopt_chunk(&Finished { bytes, prefix_sum, sums })?;
    }
    writer.core.totals.cursor = chunks * core.chunk_size;
    if let Some(number) = open {
        let size = to_usize(core.chunk_size).unwrap_or(usize::MAX);
        let mut data = AlignedBuf::zeroed(size)?;
        core.read(number * core.chunk_size..(number + 1) * core.chunk_size, &mut data)?;
        let inside = to_usize(used % core.chunk_size).unwrap_or(size);
        if let Some(unused) = data.get_mut(inside..) {
            unused.fill(0);
        }
        let typesize = u32::from(wanted.typesize);
        let block = wanted.chunk_size.min((32 << 10) / typesize * typesize);
        writer.core.open = OpenChunk { number, block, data, lost: Vec::new() };
        writer.core.totals.cursor = used;
    }
    let mut error = None;
    core.each_record(|id, e, key| {
        if !core.tail.kills(id) {
            let span = core.span(e).map_err(|err| err.of_record(&id))?;
            let hash = key_hash(e.key_kind, key);
            let key = Some((e.key_kind, key, hash));
            error = writer.name(span.start, e.len.get(), 0, key, None).err();
        }
        error.take().map_or(Ok(()), Err)
    })?;
    writer.seal()?;
    Ok(())
}

/// Whether the frame names something at `place`, where the offsets chunk of our seal was. Another
/// program writes from there on; we never do, we leave what was sealed as it is.
fn wrote_at(frame: &Frame, place: u64) -> bool {
    frame.header.cbytes == place
        || frame.places.iter().any(|p| matches!(p, ChunkPlace::At(at) if *at == place))
}

/// A state that also sees what another program added to the sealed file. If it wrote over
/// commits that were not sealed, the state is that of the last seal.
pub(super) fn adopt_if_extended(backend: &Arc<dyn Backend>, mut state: State) -> Result<State> {
    let seal = state.slot.seal;
    let Ok((header, _)) = read_header(&**backend) else { return Ok(state) };
    let now = [header.frame_len, header.nbytes, header.cbytes];
    if now == [seal.frame_len.get(), seal.nbytes.get(), seal.cbytes.get()] {
        return Ok(state);
    }
    if header.header_len != HEADER_LEN as u64 || seal_is_intact(&**backend, state.slot.file, &seal)?
    {
        // A seal whose last write is missing; the next writer repeats it.
        return Ok(state);
    }
    let Ok(frame) = read_frame(&**backend, header) else { return Ok(state) };
    if !wrote_at(&frame, seal.cbytes.get()) {
        // A seal of ours that damage keeps from being seen, newer or older than this one: nobody
        // else has written, and what it names is in our index, under checksums, or lost.
        return Ok(state);
    }
    let overwritten = state.slot.generation != seal.generation;
    if overwritten {
        let options = state.options.clone();
        state = load_sealed(backend, &state.slot, &options)?;
    }
    let core = &mut state.core;
    let ours = to_usize(seal.nbytes.get() / core.chunk_size).unwrap_or(usize::MAX);
    if frame.places.len() < ours || u64::from(frame.header.chunk_size) != core.chunk_size {
        return Ok(state);
    }
    // The last, half-filled chunk of ours is closed: others follow it.
    if let Some(base) = state.root.base.take() {
        let first_sum = U32::new(u32::try_from(core.tail.sums.len()).unwrap_or(u32::MAX));
        core.tail.chunks.push(ChunkEntry { first_sum, ..base.entry });
        core.tail.sums.extend_from_slice(&base.sums);
    }
    core.open = OpenChunk::default();
    add_chunks(core, &**backend, &frame, ours)?;
    core.totals.cursor = core.tail.chunks_end() * core.chunk_size;
    for (key, start, end) in frame.lookup.iter().flatten() {
        let known = match core.find(key)? {
            Some(id) => {
                let e = core.entry(id)?;
                e.start.get() == *start && e.start.get() + u64::from(e.len.get()) == *end
            }
            None => false,
        };
        if !known {
            add_record(core, key, *start, *end)?;
        }
    }
    state.slot.end = U64::new(state.slot.end.get().max(frame.header.frame_len));
    // What another program added may have any key.
    state.slot.key_bound = U64::new(0);
    // Less than was committed is said before more than that.
    if state.opened == Opened::Whole {
        state.opened = Opened::Extended;
    }
    Ok(state)
}

impl Writer {
    /// Adds a finished chunk from elsewhere behind the last one.
    fn adopt_chunk(&mut self, finished: &Finished) -> Result<()> {
        let entry = self.write_chunk(finished)?;
        let first_sum = U32::new(u32::try_from(self.core.tail.sums.len()).unwrap_or(u32::MAX));
        self.core.tail.chunks.push(ChunkEntry { first_sum, ..entry });
        self.core.tail.sums.extend_from_slice(&finished.sums);
        Ok(())
    }

    /// Gives the chunks that another program added their checksums, after decoding each once.
    pub(super) fn check_adopted(&mut self) -> Result<()> {
        let first = self.core.tail.first_chunk;
        for i in 0..self.core.tail.chunks.len() {
            let number = first + i as u64;
            let Some(entry) = self.core.tail.chunks.get(i).copied() else { continue };
            if entry.reserved.get() == 0 {
                continue;
            }
            let finished = if entry.cbytes.get() == 0 {
                let size = to_usize(self.core.chunk_size).unwrap_or(usize::MAX);
                let mut data = AlignedBuf::zeroed(size)?;
                self.core.read_chunk(&self.core.place(number)?, 0, &mut data)?;
                self.core.waiting.insert(number, Arc::new(data));
                self.compress_waiting(number)?
            } else {
                let place = self.core.place(number)?;
                let mut block = Vec::new();
                for b in 0..place.layout.blocks() {
                    memory::resize(&mut block, place.layout.block_len(b) as usize, 0)?;
                    self.core.decode(&place, b, &mut block)?;
                }
                let len = place.layout.cbytes() as usize;
                let bytes = self.core.io.bytes(place.offset, len, memory::copied)??;
                let (prefix_sum, sums) = sums(self.core.io.file(), number, &bytes)?;
                Finished { bytes, prefix_sum, sums }
            };
            let written = if entry.cbytes.get() == 0 {
                self.write_chunk(&finished)?
            } else {
                ChunkEntry {
                    prefix_sum: finished.prefix_sum.into(),
                    blocks: U32::new(u32::try_from(finished.sums.len()).unwrap_or(u32::MAX)),
                    reserved: U32::new(0),
                    ..entry
                }
            };
            let tail = &mut self.core.tail;
            let first_sum = U32::new(u32::try_from(tail.sums.len()).unwrap_or(u32::MAX));
            if let Some(slot) = tail.chunks.get_mut(i) {
                *slot = ChunkEntry { first_sum, ..written };
            }
            tail.sums.extend_from_slice(&finished.sums);
            self.core.waiting.remove(&number);
        }
        if let Ok(mut known) = self.core.layouts.write() {
            known.clear();
        }
        Ok(())
    }
}
