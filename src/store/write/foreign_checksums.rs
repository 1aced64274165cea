//! Chunks of another program that become ours: they get checksums.

use crate::error::Result;
use crate::index::layout::ChunkEntry;
use crate::store::index::memtable::Unchecked;
use crate::store::read::chunk_locations::ChunkLocations;
use crate::store::write::pool::{Finished, sums};
use crate::store::write::writer::Writer;
use crate::wire::{AlignedBuf, U32, memory, to_usize};
use std::sync::Arc;

impl Writer {
    /// Adds a finished chunk from elsewhere behind the last one.
    pub(crate) fn adopt_chunk(&mut self, finished: &Finished) -> Result<()> {
        let entry = self.write_chunk(finished)?;
        let first_sum =
            U32::new(u32::try_from(self.reader.memtable.sums.len()).unwrap_or(u32::MAX));
        self.reader.memtable.chunks.push(ChunkEntry { first_sum, ..entry });
        self.reader.memtable.sums.extend_from_slice(&finished.sums);
        Ok(())
    }

    /// Gives the chunks that another program added their checksums, after decoding each once.
    pub(crate) fn check_adopted(&mut self) -> Result<()> {
        let first = self.reader.memtable.first_chunk;
        for i in 0..self.reader.memtable.chunks.len() {
            let number = first + i as u64;
            let Some(entry) = self.reader.memtable.chunks.get(i).copied() else { continue };
            let Some(kind) = self.reader.memtable.unchecked(number) else { continue };
            let stored = kind == Unchecked::Stored;
            let finished = if !stored {
                let size = to_usize(self.reader.chunk_size).unwrap_or(usize::MAX);
                let mut data = AlignedBuf::zeroed(size)?;
                self.reader.read_chunk(&self.reader.place(number)?, 0, &mut data)?;
                self.reader.waiting.insert(number, Arc::new(data));
                self.compress_waiting(number)?
            } else {
                let place = self.reader.place(number)?;
                let mut block = Vec::new();
                for b in 0..place.layout.blocks() {
                    memory::resize(&mut block, place.layout.block_len(b) as usize, 0)?;
                    self.reader.decode(&place, b, &mut block)?;
                }
                let len = place.layout.cbytes() as usize;
                let bytes = self.reader.io.bytes(place.offset, len, memory::copied)??;
                let (prefix_sum, sums) = sums(self.reader.io.file(), number, &bytes)?;
                Finished { bytes, prefix_sum, sums }
            };
            let written = if !stored {
                self.write_chunk(&finished)?
            } else {
                ChunkEntry {
                    prefix_sum: finished.prefix_sum.into(),
                    blocks: U32::new(u32::try_from(finished.sums.len()).unwrap_or(u32::MAX)),
                    ..entry
                }
            };
            self.reader.memtable.set_checked(i, written, &finished.sums);
            self.reader.waiting.remove(&number);
        }
        self.reader.chunk_locations = ChunkLocations::default();
        Ok(())
    }
}
