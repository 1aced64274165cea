//! From a file to the newest whole state in it.

use crate::backend::Backend;
use crate::chunk::ChunkLayout;
use crate::column::Column;
use crate::error::{Corruption, Error, Result};
use crate::frame::{HEADER_LEN, SLOT_OFFSETS};
use crate::index::layout::{LOG_MAGIC, LogHeader};
use crate::index::log;
use crate::index::slot::Slot;
use crate::store::config::{CONFIG_AT, CONFIG_SPACE, Config};
use crate::store::index::far::whole;
use crate::store::index::io::Io;
use crate::store::index::memtable::Memtable;
use crate::store::index::root::{Base, Root};
use crate::store::index::slots::Slots;
use crate::store::options::{Layout, ReadOptions};
use crate::store::read::chunk_locations::{ChunkLocation, ChunkLocations};
use crate::store::read::damaged_or_foreign;
use crate::store::read::reader::{Lost, OpenChunk, Reader, Sealed};
use crate::store::read::replay_log::{Piece, Replayed, replay};
use crate::wire::{AlignedBuf, U64, to_usize};
use once_cell::race::OnceBox;
use std::sync::Arc;
use std::time::Duration;

/// Longer than it takes to write a slot.
const WRITE_OF_A_SLOT: Duration = Duration::from_millis(1);

/// How much of what was written an opened store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opened {
    /// Everything that was committed.
    Intact,
    /// The newest commit could not be read; this is the one before it. `vlstore verify` says
    /// more.
    OlderCommit {
        /// The commit that was opened.
        generation: u64,
    },
    /// Neither commit slot leads to a whole state, or another program wrote over what was not
    /// sealed: this is the state of the last seal.
    LastSeal {
        /// The commit that was opened.
        generation: u64,
    },
    /// Another program added to the sealed file; its chunks and keys are seen too.
    Extended,
    /// A file of the original program: its bytes have no checksums.
    Unchecked,
}

/// A loaded state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) reader: Reader,
    pub(crate) slot: Slot,
    pub(crate) root: Root,
    pub(crate) layout: Layout,
    pub(crate) opened: Opened,
    /// Attributes as of the newest log entry.
    pub(crate) attributes: Vec<u8>,
    /// The greatest generation of which the slot pages give evidence.
    pub(crate) newest_seen: u64,
    /// Behind its log lie commits that can only have been written after it was followed by
    /// another: the slots went back to what they were. The generation of the last; 0 if none do.
    pub(crate) followed: u64,
}

/// The configuration of a file of ours; `None` for files of others. One that is ours by other
/// evidence is never taken for another program's.
pub(crate) fn read_config(backend: &dyn Backend) -> Result<Option<Config>> {
    let len = backend.len()?;
    if len == 0 {
        return Err(Error::NotAStore { why: "the file is empty" });
    }
    let n = to_usize(len.saturating_sub(CONFIG_AT)).unwrap_or(0).min(CONFIG_SPACE);
    let mut bytes = vec![0; n];
    if n > 0 {
        backend.read_at(CONFIG_AT, &mut bytes)?;
    }
    match Config::parse(&bytes)? {
        None if damaged_or_foreign::is_ours(backend)? => Err(Error::corrupt(
            "configuration",
            CONFIG_AT,
            "is not there, and other parts of the file say that it is a store",
        )),
        found => Ok(found),
    }
}

/// Loads the newest whole state of a file of ours.
pub(crate) fn load(
    backend: &Arc<dyn Backend>,
    config: &Config,
    options: &ReadOptions,
) -> Result<State> {
    let layout = Layout::from_config(&config.json)?;
    let mut seen = None;
    // A writer may publish commits and reuse its log while we read: then the slots have
    // changed, and the newer state is the one to read.
    for _ in 0..100 {
        let slots = Slots::read(&**backend, Some(config.file))?;
        let newest = slots.newest();
        // What is not whole now may be half-written at this very moment; what stays so is said.
        let again = seen != Some(newest);
        let mut first_error = None;
        for slot in &slots.right {
            match load_slot(backend, slot, &layout, options).and_then(counted) {
                Ok(mut state) => {
                    state.newest_seen = newest.max(state.followed);
                    let generation = slot.generation.get();
                    if !slots.is_older(generation) && state.followed == 0 {
                        return Ok(state);
                    }
                    if !again {
                        state.opened = Opened::OlderCommit { generation };
                        return Ok(state);
                    }
                    std::thread::sleep(WRITE_OF_A_SLOT);
                    break;
                }
                // An answer that does not come says nothing of the bytes: an older state is not shown for it.
                Err(e)
                    if backend.is_far()
                        && (!e.is_damage() || matches!(e.root(), Error::Replaced)) =>
                {
                    return Err(e);
                }
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        if !again {
            let sealed = slots
                .right
                .iter()
                .find_map(|slot| load_sealed(backend, slot, &layout, options).ok());
            return sealed.ok_or_else(|| {
                first_error.unwrap_or_else(|| {
                    Error::corrupt("commit slots", 4096, "neither of the two can be read")
                })
            });
        }
        seen = Some(newest);
    }
    Err(Error::corrupt("commit slots", 4096, "they change faster than they can be read"))
}

pub(crate) fn load_sealed(
    backend: &Arc<dyn Backend>,
    slot: &Slot,
    layout: &Layout,
    options: &ReadOptions,
) -> Result<State> {
    let seal = slot.seal;
    let as_sealed = Slot {
        generation: seal.generation,
        end: seal.frame_len,
        root: seal.root,
        log: U64::new(0),
        log_len: U64::new(0),
        records: seal.records,
        ..*slot
    };
    let mut state = load_slot(backend, &as_sealed, layout, options)?;
    state.opened = Opened::LastSeal { generation: seal.generation.get() };
    state.newest_seen = slot.generation.get();
    Ok(state)
}

/// The state, if it has as many records as its slot says.
fn counted(state: State) -> Result<State> {
    let (slot, reader) = (&state.slot, &state.reader);
    if (slot.total.get(), slot.records.get()) == (reader.ids(), reader.live()) {
        return Ok(state);
    }
    let [even, odd] = SLOT_OFFSETS;
    let at = if slot.generation.get() % 2 == 0 { even } else { odd };
    Err(Error::corrupt("commit slot", at, "counts other records than its root and log"))
}

fn load_slot(
    backend: &Arc<dyn Backend>,
    slot: &Slot,
    layout: &Layout,
    options: &ReadOptions,
) -> Result<State> {
    let io = Io::new(backend.clone(), slot.file)?;
    if slot.end.get() > io.len() {
        return Err(Error::corrupt(
            "file",
            io.len(),
            "ends before the last commit does; it was cut short",
        ));
    }
    if io.is_far() {
        let log = slot.log.get()..slot.log.get().saturating_add(slot.log_len.get());
        // What may follow the log is looked at, too.
        let log = log.start..log.end.saturating_add(size_of::<LogHeader>() as u64);
        io.announce([whole(&slot.root), log])?;
    }
    let root = Root::read(&io, &slot.root)?;
    let log_len = to_usize(slot.log_len.get()).unwrap_or(usize::MAX);
    if slot.log.get().checked_add(slot.log_len.get()).is_none_or(|end| end > io.len()) {
        return Err(Error::corrupt("log", slot.log.get(), "reaches past the end of the file"));
    }
    let used =
        (slot.root.offset.get() + slot.root.len.get()).max(slot.log.get() + slot.log_len.get());
    if slot.end.get() < used.max(HEADER_LEN as u64) {
        return Err(Error::corrupt("commit slot", slot.end.get(), "ends before what it refers to"));
    }
    let followed = followed_by(&io, slot);
    let bytes: Arc<[u8]> = io.bytes(slot.log.get(), log_len, |b| Arc::from(b))?;
    let chunk_size = u64::from(layout.chunk());
    let mut reader = Reader {
        io,
        chunk_size,
        stored_index: root.stored_index.clone(),
        memtable: Memtable::after(root.records, root.chunks)
            .with_rows(Column::absent(layout.columns()).into()),
        totals: root.totals,
        open: OpenChunk::default(),
        sealed: None,
        waiting: std::collections::BTreeMap::new(),
        cache: crate::store::read::cache::BlockCache::new(options.cache_bytes),
        chunk_locations: ChunkLocations::default(),
        dead: OnceBox::new(),
        threads: crate::store::read::batch::threads(options.threads),
    };
    let Replayed { attributes, open_block, pieces } = replay(&mut reader, &root, slot, &bytes)?;
    let held = reader.memtable.chunks_end() + u64::from(open_block != 0);
    if u64::from(open_block) > chunk_size {
        let why = "its block size is above its chunk size";
        return Err(Error::corrupt("open chunk", slot.root.offset.get(), why));
    }
    if held.checked_mul(chunk_size).is_none_or(|end| reader.totals.cursor > end) {
        return Err(Error::corrupt(
            "root",
            slot.root.offset.get(),
            "its records end behind its chunks",
        ));
    }
    reader.sealed = sealed_chunk(&reader, &root, open_block, &pieces)?;
    if reader.io.is_far() {
        let base = root.base.as_ref().filter(|_| reader.sealed.is_none());
        reader.announce_start(base.map(|base| &base.entry))?;
    }
    if reader.sealed.is_none() {
        reader.open = open_chunk(&reader, &root, open_block, &pieces, &bytes)?;
    }
    Ok(State {
        reader,
        slot: *slot,
        layout: layout.clone(),
        opened: Opened::Intact,
        attributes,
        root,
        newest_seen: slot.generation.get(),
        followed,
    })
}

/// Whether two commits or more lie whole behind the log of this state: the second was begun only
/// after the first had been published, so this slot is not the newest that was there. One may be of
/// a writer that was stopped before it published it, or has not yet.
pub(crate) fn followed_by(io: &Io, slot: &Slot) -> u64 {
    let mut at = slot.log.get() + slot.log_len.get();
    let (mut last, mut count) = (slot.generation.get(), 0);
    while slot.log.get() != 0
        && let Some((generation, len)) = entry_at(io, at)
        && generation > last
    {
        (at, last, count) = (at + len, generation, count + 1);
    }
    if count > 1 { last } else { 0 }
}

/// Generation and length of the log entry at byte `at` of the file, if one is whole there.
fn entry_at(io: &Io, at: u64) -> Option<(u64, u64)> {
    if at.checked_add(size_of::<LogHeader>() as u64)? > io.len() {
        return None;
    }
    let head = io.bytes(at, size_of::<LogHeader>(), <[u8]>::to_vec).ok()?;
    let head: LogHeader = bytemuck::try_pod_read_unaligned(&head).ok()?;
    let len = to_usize(head.len.get())?;
    if head.magic != LOG_MAGIC || at.checked_add(head.len.get())? > io.len() {
        return None;
    }
    io.bytes(at, len, |bytes| log::decode(bytes, io.file(), at).map(|(e, n)| (e.generation, n)))
        .ok()?
        .map(|(generation, len)| (generation, len as u64))
}

/// The open chunk, if all of it is what the last seal wrote, as in a store that was closed: it is read from
/// the file as any other. Who opens a store for one record need not decode a whole chunk.
fn sealed_chunk(
    reader: &Reader,
    root: &Root,
    block: u32,
    pieces: &[Piece],
) -> Result<Option<Sealed>> {
    let number = reader.memtable.chunks_end();
    let Some(base) =
        root.base.as_ref().filter(|base| base.fill as usize == used_of(reader, number))
    else {
        return Ok(None);
    };
    if block == 0 || number != root.chunks || pieces.iter().any(|p| p.0 == number) {
        return Ok(None);
    }
    reader.io.holds(base.entry.offset.get(), base.entry.cbytes.get() as usize)?;
    Ok(Some((number, base.entry, base.sums.clone().into())))
}

/// Bytes of the open chunk, which is number `number`, that hold records.
fn used_of(reader: &Reader, number: u64) -> usize {
    let used = reader.totals.cursor.saturating_sub(number * reader.chunk_size);
    to_usize(used).unwrap_or(usize::MAX)
}

/// Brings the open chunk into memory, for who is going to add to it.
pub(crate) fn hold_open_chunk(state: &mut State) -> Result<()> {
    let reader = &mut state.reader;
    if let (Some((number, ..)), Some(base)) = (reader.sealed.take(), &state.root.base) {
        let block = state.root.open_block;
        let mut open = OpenChunk { number, block, ..OpenChunk::default() };
        open.data = AlignedBuf::zeroed(used_of(reader, number))?;
        fill_from(reader, base, &mut open)?;
        reader.open = open;
    }
    Ok(())
}

/// Puts the open chunk together from what the last seal wrote and the pieces in the log. It has
/// memory for what is in it, rounded up to a block; a writer gives it the rest.
fn open_chunk(
    reader: &Reader,
    root: &Root,
    block: u32,
    pieces: &[Piece],
    log: &[u8],
) -> Result<OpenChunk> {
    let number = reader.memtable.chunks_end();
    if block == 0 {
        return Ok(OpenChunk::default());
    }
    let bad = |why| Error::corrupt("open chunk", reader.io.len(), why);
    let size = to_usize(reader.chunk_size).unwrap_or(usize::MAX);
    let used = used_of(reader, number);
    let mut open = OpenChunk { number, block, ..OpenChunk::default() };
    open.data = AlignedBuf::zeroed(used.min(size))?;
    let mut filled = 0;
    if let Some(base) = root.base.as_ref().filter(|_| number == root.chunks) {
        fill_from(reader, base, &mut open)?;
        filled = base.fill as usize;
    }
    for (_, start, len, range) in pieces.iter().filter(|p| p.0 == number) {
        let (start, len) = (*start as usize, *len as usize);
        let piece = log.get(range.clone()).ok_or_else(|| bad("place"))?;
        if start != filled {
            return Err(bad("its pieces do not follow each other"));
        }
        // There is room up to the last record.
        let out = open.data.get_mut(start..start + len);
        let out = out.ok_or_else(|| bad("its pieces do not reach the last record"))?;
        decode_piece(piece, out)?;
        filled = start + len;
    }
    if used != filled {
        return Err(bad("its pieces do not reach the last record"));
    }
    Ok(open)
}

/// Decodes what the last seal wrote of the open chunk; notes what of it is damaged.
fn fill_from(reader: &Reader, base: &Base, open: &mut OpenChunk) -> Result<()> {
    let size = to_usize(reader.chunk_size).unwrap_or(usize::MAX);
    let OpenChunk { data, lost, .. } = open;
    match reader.place_of(open.number, &base.entry, Some(base.sums.clone().into())) {
        Ok(place) => {
            let fill = (base.fill as usize).min(size);
            let block = (place.layout.block_size() as usize).max(1);
            data.resize(fill.next_multiple_of(block).min(size).max(data.len()))?;
            read_base(reader, &place, fill.div_ceil(block), data, lost)?;
        }
        // Without its header no block of it can be found.
        Err(Error::Corrupt(damage)) if damage.part != "file" => {
            lost.push(Lost { range: 0..base.fill as usize, damage });
        }
        Err(Error::Unsupported { .. } | Error::Limit { .. }) => {
            let offset = base.entry.offset.get();
            let damage = Corruption { part: "chunk header", offset, why: "checksum differs" };
            lost.push(Lost { range: 0..base.fill as usize, damage });
        }
        Err(e) => return Err(e),
    }
    if let Some(beyond) = data.get_mut(base.fill as usize..) {
        beyond.fill(0);
    }
    Ok(())
}

/// Decodes the first `blocks` of what the last seal wrote of the open chunk, behind which it is
/// zero; notes what is damaged.
fn read_base(
    reader: &Reader,
    place: &ChunkLocation,
    blocks: usize,
    data: &mut [u8],
    lost: &mut Vec<Lost>,
) -> Result<()> {
    let size = place.layout.block_size();
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX).min(place.layout.blocks());
    reader.decode_first(place, blocks, data, |block, decoded| match decoded {
        Ok(()) => Ok(()),
        // A damaged block costs its own records, as in any chunk. A read that gave too
        // little is a failure of the system and may work the next time.
        Err(Error::Corrupt(damage)) if damage.part != "file" => {
            let start = (block * size) as usize;
            let end = start + place.layout.block_len(block) as usize;
            lost.push(Lost { range: start..end, damage });
            Ok(())
        }
        Err(e) => Err(e),
    })
}

pub(crate) fn decode_piece(piece: &[u8], out: &mut [u8]) -> Result<()> {
    let bad = || Error::corrupt("piece", 0, "is not the chunk it should be");
    let most = u32::MAX;
    // Padded to a multiple of the type size, which is below 256.
    let padded = out.len() + 255;
    let header = piece.get(..ChunkLayout::HEADER_LEN).ok_or_else(bad)?;
    let prefix = ChunkLayout::prefix_len(header, most)?;
    let layout = ChunkLayout::parse(piece.get(..prefix).ok_or_else(bad)?, most)?;
    let whole = layout.nbytes() as usize;
    if whole < out.len() || whole > padded {
        return Err(bad());
    }
    let mut buf = AlignedBuf::zeroed(whole)?;
    let mut rest: &mut [u8] = &mut buf;
    for i in 0..layout.blocks() {
        let range = layout.block_range(i);
        let stream = piece.get(range.start as usize..range.end as usize).ok_or_else(bad)?;
        let n = layout.block_len(i) as usize;
        let (now, later) = std::mem::take(&mut rest).split_at_mut_checked(n).ok_or_else(bad)?;
        crate::chunk::with_decoder(|d| d.decode(&layout, i, stream, now))?;
        rest = later;
    }
    out.copy_from_slice(buf.get(..out.len()).ok_or_else(bad)?);
    Ok(())
}
