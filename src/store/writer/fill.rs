//! The chunks of a writer: filled, closed, compressed behind it, written in their order.

use super::{Writer, sum_index};
use crate::chunk::Compressor;
use crate::error::{Error, Result};
use crate::index::layout::ChunkEntry;
use crate::store::place::block_size;
use crate::store::pool::{Finished, finish};
use crate::wire::{AlignedBuf, U32};
use std::sync::Arc;

impl Writer {
    /// Copies the record into the chunks from `start` on, closing those that fill.
    pub(super) fn fill(&mut self, start: u64, bytes: &[u8]) -> Result<()> {
        let size = self.core.chunk_size;
        let mut at = start;
        let mut rest = bytes;
        loop {
            let chunk = at / size;
            if self.core.open.block != 0 && self.core.open.number < chunk {
                self.close_chunk()?;
            }
            if rest.is_empty() && (!bytes.is_empty() || at.is_multiple_of(size)) {
                return Ok(());
            }
            if self.core.open.block == 0 {
                self.open_chunk(chunk)?;
            }
            let inside = usize::try_from(at % size).unwrap_or(usize::MAX);
            self.clear_to(inside);
            let out = self.core.open.data.get_mut(inside..).unwrap_or_default();
            let n = rest.len().min(out.len());
            let (now, later) = rest.split_at(n);
            if let Some(out) = out.get_mut(..n) {
                out.copy_from_slice(now);
            }
            if let Some(stale) = &mut self.stale {
                *stale = inside + n;
            }
            rest = later;
            at += n as u64;
            if rest.is_empty() && !at.is_multiple_of(size) {
                return Ok(());
            }
        }
    }

    /// Zeroes what earlier use left in the open chunk before `end`.
    pub(in crate::store) fn clear_to(&mut self, end: usize) {
        if let Some(stale) = &mut self.stale
            && let Some(left) = self.core.open.data.get_mut(*stale..end)
        {
            left.fill(0);
            *stale = end;
        }
    }

    pub(in crate::store) fn open_chunk(&mut self, number: u64) -> Result<()> {
        let expected = self.core.tail.chunks_end() + self.core.waiting.len() as u64;
        if number != expected {
            return Err(Error::corrupt("chunk table", number, "a chunk would be left out"));
        }
        let seen = if self.before.is_empty() { &self.lengths } else { &self.before };
        let chunk = self.options.chunk();
        let block = match self.options.block_size {
            0 => {
                let codec = self.options.params().codec;
                block_size(self.options.purpose, codec, seen, chunk, self.options.typesize)
            }
            fixed => fixed.min(chunk),
        };
        let size = usize::try_from(self.core.chunk_size).unwrap_or(usize::MAX);
        let spare = self.spare.pop().filter(|b| b.len() == size);
        let reused = spare.is_some();
        let data = match spare {
            Some(spare) => spare,
            None => AlignedBuf::zeroed(size)?,
        };
        self.core.open.number = number;
        self.core.open.block = block;
        // Memory that was used before still holds the bytes of its chunk.
        self.stale = reused.then_some(0);
        self.core.open.data = data;
        self.logged.open = 0;
        Ok(())
    }

    /// Hands the open chunk to the compression threads.
    fn close_chunk(&mut self) -> Result<()> {
        while self.pool.under_way() >= self.pool.depth() {
            self.wait_for_one()?;
        }
        self.clear_to(self.core.open.data.len());
        let open = &mut self.core.open;
        let data = Arc::new(std::mem::take(&mut open.data));
        self.pool.submit(open.number, open.block, data.clone())?;
        self.core.waiting.insert(open.number, data);
        open.block = 0;
        self.chunk_closed = true;
        self.before = std::mem::take(&mut self.lengths);
        self.logged.open = 0;
        while self.take_one(false)? {}
        Ok(())
    }

    /// Compresses a chunk that is known from memory alone.
    pub(in crate::store) fn compress_waiting(&mut self, chunk: u64) -> Result<Finished> {
        let missing = || Error::corrupt("chunk table", chunk, "names a chunk that is not there");
        let data = self.core.waiting.get(&chunk).ok_or_else(missing)?;
        let typesize = u32::from(self.options.typesize);
        let block = self.options.chunk().min((32 << 10) / typesize * typesize);
        let mut compressor = Compressor::new(self.options.params(), block)?;
        finish(&mut compressor, self.core.io.file(), chunk, data, Vec::new())
    }

    /// Writes the next finished chunk; whether there was one.
    fn take_one(&mut self, wait: bool) -> Result<bool> {
        let chunk = self.core.tail.chunks_end();
        let Some(finished) = self.pool.take(chunk, wait) else { return Ok(false) };
        let finished = finished?;
        let entry = self.write_chunk(&finished)?;
        self.core
            .tail
            .chunks
            .push(ChunkEntry { first_sum: sum_index(self.core.tail.sums.len())?, ..entry });
        self.core.tail.sums.extend_from_slice(&finished.sums);
        let memory = self.core.waiting.remove(&chunk).and_then(Arc::into_inner);
        if self.spare.len() < self.pool.depth() {
            self.spare.extend(memory);
        }
        self.pool.recycle(finished.bytes);
        if let Some(base) = self.base.take() {
            self.space.garbage += u64::from(base.entry.cbytes.get());
            let left = self.slot.seal_garbage.get() + u64::from(base.entry.cbytes.get());
            self.slot.seal_garbage = left.into();
        }
        Ok(true)
    }

    pub(in crate::store) fn write_chunk(&mut self, finished: &Finished) -> Result<ChunkEntry> {
        let len = finished.bytes.len();
        let at = self.space.take(len as u64);
        self.core.io.write(at, &finished.bytes)?;
        let small = |n: usize| {
            u32::try_from(n).map(U32::new).map_err(|_| Error::Limit {
                what: "compressed chunk",
                asked: n as u64,
                max: u64::from(u32::MAX),
            })
        };
        Ok(ChunkEntry {
            offset: at.into(),
            prefix_sum: finished.prefix_sum.into(),
            cbytes: small(len)?,
            first_sum: U32::new(0),
            blocks: small(finished.sums.len())?,
            reserved: U32::new(0),
        })
    }

    /// Waits until every closed chunk is in the file.
    pub(in crate::store) fn drain(&mut self) -> Result<()> {
        while self.pool.under_way() > 0 {
            self.wait_for_one()?;
        }
        Ok(())
    }

    pub(in crate::store) fn wait_for_one(&mut self) -> Result<()> {
        if self.take_one(true)? {
            return Ok(());
        }
        Err(Error::invalid("compression", "a thread ended without an answer"))
    }
}
