//! Chunks by their numbers: whether they are in memory or where they lie in the file, how they are cut, and the
//! checksums of their blocks.

use crate::chunk::{ChunkLayout, nans_chunk, zeros_chunk};
use crate::error::{Error, Result};
use crate::index::layout::ChunkEntry;
use crate::limits::{BLOCKS_PER_CHUNK, CHUNK_MAX_FOREIGN};
use crate::store::block_checksum::prefix_sum;
use crate::store::index::leaf::leaf_sums;
use crate::store::index::memtable::Unchecked;
use crate::store::read::chunk_locations::ChunkLocation;
use crate::store::read::reader::{ChunkData, InMemory, Reader};

impl Reader {
    /// The bytes of chunk `chunk`, or where they are.
    pub(crate) fn chunk(&self, chunk: u64) -> Result<ChunkData<'_>> {
        if self.open.block != 0 && chunk == self.open.number {
            return Ok(ChunkData::Memory(InMemory {
                data: &self.open.data,
                lost: &self.open.lost,
            }));
        }
        if let Some(data) = self.waiting.get(&chunk) {
            return Ok(ChunkData::Memory(InMemory { data, lost: &[] }));
        }
        if let Some(known) = self.chunk_locations.get(chunk) {
            return Ok(ChunkData::File(known));
        }
        let found = self.place(chunk)?;
        let kept = self.chunk_locations.insert(found);
        kept.map(ChunkData::File).ok_or_else(|| missing_chunk(chunk))
    }

    /// Looks up where chunk `chunk` lies and how it is cut.
    pub(crate) fn place(&self, chunk: u64) -> Result<ChunkLocation> {
        if let Some((_, entry, sums)) = self.sealed.as_ref().filter(|sealed| sealed.0 == chunk) {
            return self.place_of(chunk, entry, Some(sums.clone()));
        }
        let (entry, sums) = if let Some(entry) = self.memtable.chunk(chunk) {
            match self.memtable.unchecked(chunk) {
                None => {}
                Some(Unchecked::Stored) => return self.place_of(chunk, entry, None),
                Some(kind) => {
                    let layout = special_layout(kind, self.chunk_size)?;
                    return Ok(ChunkLocation { chunk, offset: 0, layout, sums: None });
                }
            }
            let sum = |b| self.memtable.sum(entry, b).ok_or_else(|| missing_chunk(chunk));
            (*entry, (0..entry.blocks.get()).map(sum).collect::<Result<Vec<u64>>>()?)
        } else {
            let found =
                self.stored_index.chunk(&self.io, chunk)?.ok_or_else(|| missing_chunk(chunk))?;
            (found.entry, leaf_sums(&self.io, found.leaf, &found.entry)?)
        };
        self.place_of(chunk, &entry, Some(sums.into()))
    }

    pub(crate) fn place_of(
        &self,
        chunk: u64,
        entry: &ChunkEntry,
        sums: Option<Box<[u64]>>,
    ) -> Result<ChunkLocation> {
        if !self.io.is_far() {
            return self.place_once(chunk, entry, sums);
        }
        match self.place_once(chunk, entry, sums.clone()) {
            Err(Error::Corrupt(_)) => {
                let blocks = entry.blocks.get().min(BLOCKS_PER_CHUNK) as usize;
                self.io.forget(entry.offset.get(), ChunkLayout::HEADER_LEN + 4 * blocks);
                match self.place_once(chunk, entry, sums) {
                    Err(damage @ Error::Corrupt(_)) => Err(self.io.or_replaced(damage)),
                    done => done,
                }
            }
            done => done,
        }
    }

    fn place_once(
        &self,
        chunk: u64,
        entry: &ChunkEntry,
        sums: Option<Box<[u64]>>,
    ) -> Result<ChunkLocation> {
        let offset = entry.offset.get();
        let most = u32::try_from(self.chunk_size).unwrap_or(u32::MAX).min(CHUNK_MAX_FOREIGN);
        let located = |e| locate(e, offset);
        let cbytes = entry.cbytes.get() as usize;
        let parse = |bytes: &[u8]| {
            if sums.is_some() && entry.prefix_sum.get() != prefix_sum(self.io.file(), chunk, bytes)
            {
                return Err(Error::corrupt("chunk header", offset, "checksum differs"));
            }
            ChunkLayout::parse(bytes, most).map_err(located)
        };
        // The header and, as the index mostly says how many blocks there are, their starts too.
        let blocks = if sums.is_some() { entry.blocks.get().min(BLOCKS_PER_CHUNK) } else { 0 };
        let likely = (ChunkLayout::HEADER_LEN + 4 * blocks as usize).min(cbytes);
        let read = self.io.bytes(offset, likely, |bytes| {
            let header = bytes.get(..ChunkLayout::HEADER_LEN).unwrap_or(bytes);
            let prefix = match ChunkLayout::prefix_len(header, most) {
                Ok(prefix) => prefix,
                // A chunk of a newer version, or damage: its checksum tells.
                Err(why @ Error::Unsupported { .. }) => {
                    let right = |bytes: &[u8]| {
                        entry.prefix_sum.get() == prefix_sum(self.io.file(), chunk, bytes)
                    };
                    let intact = sums.is_none() || right(header) || right(bytes);
                    let damaged = || Error::corrupt("chunk header", offset, "checksum differs");
                    return Err(if intact { located(why) } else { damaged() });
                }
                Err(why) => return Err(located(why)),
            };
            if prefix > cbytes {
                return Err(Error::corrupt("chunk", offset, "is shorter than its block starts"));
            }
            Ok(bytes.get(..prefix).map(parse).ok_or(prefix))
        })??;
        let layout = match read {
            Ok(layout) => layout?,
            Err(prefix) => self.io.bytes(offset, prefix, parse)??,
        };
        if layout.cbytes() != entry.cbytes.get()
            || (sums.is_some() && layout.blocks() != entry.blocks.get())
            || u64::from(layout.nbytes()) > self.chunk_size
        {
            return Err(Error::corrupt("chunk", offset, "disagrees with the index"));
        }
        // Where no checksum depends on them, the blocks of a run of one value may be smaller.
        let layout = if sums.is_none() { layout.in_small_blocks() } else { layout };
        Ok(ChunkLocation { chunk, offset, layout, sums })
    }
}

/// An error that was found at an offset of something that begins at `offset` of the file.
pub(crate) fn locate(e: Error, offset: u64) -> Error {
    match e {
        Error::Corrupt(mut c) => {
            c.offset = c.offset.saturating_add(offset);
            Error::Corrupt(c)
        }
        other => other,
    }
}

pub(crate) fn missing_chunk(chunk: u64) -> Error {
    Error::corrupt("chunk table", chunk, "does not name a chunk that records lie in")
}

/// The layout of a chunk that only the offsets name. Its blocks are as small as they can be
/// without becoming many: nothing of it is kept but what is asked for.
pub(crate) fn special_layout(kind: Unchecked, chunk_size: u64) -> Result<ChunkLayout> {
    let size = u32::try_from(chunk_size).unwrap_or(u32::MAX);
    let block = size.clamp(1, 64 << 10);
    let bytes = match kind {
        Unchecked::Nans8 => nans_chunk(8, size, block),
        Unchecked::Nans4 => nans_chunk(4, size, block),
        Unchecked::Zeros | Unchecked::Stored => zeros_chunk(1, size, block),
    };
    ChunkLayout::parse(&bytes, size)
}
