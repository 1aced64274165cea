//! Files of the original program: opened as they are, and copied into one of ours.

use super::frame::{read_frame, read_header};
use super::unchecked::{add_chunks, add_record};
use crate::backend::{Backend, FileBackend};
use crate::chunk::zeros_chunk;
use crate::error::{Error, Result};
use crate::frame::MAGIC;
use crate::index::key_hash::key_hash;
use crate::index::slot::Slot;
use crate::limits::{CHUNK_MAX, CHUNK_MAX_FOREIGN};
use crate::store::index::io::Io;
use crate::store::index::memtable::{Memtable, Unchecked};
use crate::store::index::root::Root;
use crate::store::index::root::Totals;
use crate::store::options::{
    Alignment, Layout, OriginalTable, ReadOptions, StoreOptions, WriteOptions,
};
use crate::store::read::batch::threads;
use crate::store::read::cache::BlockCache;
use crate::store::read::chunk_locations::ChunkLocations;
use crate::store::read::newest_state::{Opened, State};
use crate::store::read::reader::{OpenChunk, Reader};
use crate::store::write::pool::{Finished, sums};
use crate::store::write::writer::Writer;
use crate::wire::{AlignedBuf, memory, to_usize};
use once_cell::race::OnceBox;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opens a file of the original program as it is.
pub(crate) fn load_original(backend: &Arc<dyn Backend>, options: &ReadOptions) -> Result<State> {
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
    let typesize = u8::try_from(frame.header.typesize).unwrap_or(1).max(1);
    let mut layout = Layout {
        chunk_size: chunk,
        columns: Some(Vec::new()),
        alignment: Alignment::NoCross,
        typesize,
        ..Layout::default()
    };
    if let Some(params) = frame.header.params() {
        layout.compression = params.algorithm.into();
        layout.level = params.level;
        layout.filter = params.filter;
        layout.typesize = params.typesize;
    }
    let mut reader = Reader {
        io: Io::new(backend.clone(), [0; 16])?,
        chunk_size: u64::from(chunk),
        stored_index: crate::store::index::stored_index::StoredIndex::default(),
        memtable: Memtable::after(0, 0),
        totals: Totals::default(),
        open: OpenChunk::default(),
        sealed: None,
        waiting: BTreeMap::new(),
        cache: BlockCache::new(options.cache_bytes),
        chunk_locations: ChunkLocations::default(),
        dead: OnceBox::new(),
        threads: threads(options.threads),
    };
    add_chunks(&mut reader, &**backend, &frame, 0)?;
    reader.totals.cursor = frame.header.nbytes;
    for (key, start, end) in &lookup {
        add_record(&mut reader, key, *start, *end)?;
    }
    let slot = Slot { end: frame.header.frame_len.into(), ..Slot::default() };
    Ok(State {
        reader,
        slot,
        root: Root::default(),
        layout,
        opened: Opened::Unchecked,
        attributes: b"{}".to_vec(),
        newest_seen: 0,
        followed: 0,
    })
}

/// Copies a file of the original into a new one of ours, chunk by chunk as they are; every
/// block is decoded once on the way, so that nothing unreadable gets a checksum.
pub(crate) fn copy_original(
    state: &State,
    copy: &Arc<FileBackend>,
    options: &StoreOptions,
) -> Result<()> {
    let layout = Layout {
        // The first version of any codec: records of the original are such, and it reads no others.
        record_codec: (options.layout.record_codec.0.clone(), 1),
        file_id: options.layout.file_id,
        // Records of the original have no rows, those that are added may.
        columns: options.layout.columns.clone(),
        ..state.layout.clone()
    };
    // Whoever made the file is to find the records of it.
    let original_table = match options.write.original_table {
        OriginalTable::Auto => OriginalTable::Always,
        asked => asked,
    };
    let wanted =
        StoreOptions { layout, write: WriteOptions { original_table, ..options.write.clone() } };
    if wanted.layout.chunk_size > CHUNK_MAX {
        return Err(Error::Limit {
            what: "chunk size of a file to be extended",
            asked: u64::from(wanted.layout.chunk_size),
            max: u64::from(CHUNK_MAX),
        });
    }
    let backend: Arc<dyn Backend> = copy.clone();
    let mut writer = Writer::create_in(backend, &wanted)?;
    let reader = &state.reader;
    let file = writer.reader.io.file();
    let chunks = reader.memtable.chunks_end();
    let used: u64 = reader
        .memtable
        .records
        .iter()
        .map(|e| e.start.get() + u64::from(e.len.get()))
        .max()
        .unwrap_or(0);
    // A half-filled last chunk becomes the open chunk: it is gone on with.
    let open = used
        .checked_sub(1)
        .map(|last| last / reader.chunk_size)
        .filter(|open| open + 1 == chunks && !used.is_multiple_of(reader.chunk_size));
    for number in (0..chunks).filter(|n| Some(*n) != open) {
        let place = reader.place(number)?;
        let kind = reader.memtable.unchecked(number).filter(|kind| *kind != Unchecked::Stored);
        let bytes = if let Some(kind) = kind {
            if kind != Unchecked::Zeros {
                return Err(Error::Unsupported {
                    what: "chunk of NaN in a file to be extended",
                    found: number,
                    newest: 0,
                });
            }
            let size = u32::try_from(reader.chunk_size).unwrap_or(u32::MAX);
            zeros_chunk(wanted.layout.typesize, size, size.min(32 << 10)).to_vec()
        } else {
            let mut block = Vec::new();
            for i in 0..place.layout.blocks() {
                memory::resize(&mut block, place.layout.block_len(i) as usize, 0)?;
                reader.decode(&place, i, &mut block)?;
            }
            if u64::from(place.layout.nbytes()) != reader.chunk_size {
                return Err(Error::corrupt("chunk", place.offset, "is shorter than the others"));
            }
            reader.io.bytes(place.offset, place.layout.cbytes() as usize, memory::copied)??
        };
        let (prefix_sum, sums) = sums(file, number, &bytes)?;
        writer.adopt_chunk(&Finished { bytes, prefix_sum, sums })?;
    }
    writer.reader.totals.cursor = chunks * reader.chunk_size;
    if let Some(number) = open {
        let size = to_usize(reader.chunk_size).unwrap_or(usize::MAX);
        let mut data = AlignedBuf::zeroed(size)?;
        reader.read(number * reader.chunk_size..(number + 1) * reader.chunk_size, &mut data)?;
        let inside = to_usize(used % reader.chunk_size).unwrap_or(size);
        if let Some(unused) = data.get_mut(inside..) {
            unused.fill(0);
        }
        let typesize = u32::from(wanted.layout.typesize);
        let block = wanted.layout.chunk_size.min((32 << 10) / typesize * typesize);
        writer.reader.open = OpenChunk { number, block, data, ..OpenChunk::default() };
        writer.reader.totals.cursor = used;
    }
    let mut error = None;
    reader.each_record(|id, e, kind, key| {
        if !reader.memtable.kills(id) {
            let span = reader.span(e).map_err(|err| err.of_record(&id))?;
            let hash = key_hash(kind, key);
            let key = Some((kind, key, hash));
            error = writer.name(span.start, e.len, 0, key, None).err();
        }
        error.take().map_or(Ok(()), Err)
    })?;
    writer.seal()?;
    Ok(())
}
