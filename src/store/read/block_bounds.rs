//! In which block a record begins: for readers that divide records so that each block belongs to one of them.

use crate::error::Result;
use crate::store::read::reader::ChunkData;
use crate::store::read::snapshot::Snapshot;
use std::ops::Range;

impl Snapshot {
    /// Whether each read has to come from far away.
    pub(crate) fn is_far(&self) -> bool {
        self.inner().reader.io.is_far()
    }

    /// The first logical byte of a record.
    pub(crate) fn begins(&self, ordinal: u64) -> Result<u64> {
        Ok(self.inner().reader.entry_at(ordinal)?.start)
    }

    /// The number of the chunk in which a logical byte lies.
    pub(crate) fn chunk_of(&self, at: u64) -> u64 {
        at / self.inner().reader.chunk_size.max(1)
    }

    /// The logical bytes of the block in which one lies; `None` for a chunk in memory, which has no blocks yet.
    pub(crate) fn block_around(&self, at: u64) -> Result<Option<Range<u64>>> {
        let reader = &self.inner().reader;
        match reader.chunk(self.chunk_of(at))? {
            ChunkData::Memory(_) => Ok(None),
            ChunkData::File(_) => Ok(Some(reader.block_start(at)?..reader.block_end(at)?)),
        }
    }
}
