//! The chunks of a writer: filled, closed, compressed behind it, written in their order.

use crate::chunk::Compressor;
use crate::error::{Error, Result};
use crate::index::layout::{ChunkEntry, RecordEntry};
use crate::store::index::flush::NewLeaf;
use crate::store::index::memtable::Prefix;
use crate::store::write::block_size::block_size;
use crate::store::write::pool::{Finished, TOGETHER, finish};
use crate::store::write::writer::{Writer, sum_index};
use crate::wire::{AlignedBuf, U32};
use std::sync::Arc;

impl Writer {
    /// Copies the record into the chunks from `start` on, closing those that fill.
    pub(crate) fn fill(&mut self, start: u64, bytes: &[u8]) -> Result<()> {
        let size = self.reader.chunk_size;
        let mut at = start;
        let mut rest = bytes;
        loop {
            let chunk = at / size;
            if self.reader.open.block != 0 && self.reader.open.number < chunk {
                self.close_chunk()?;
            }
            if rest.is_empty() && (!bytes.is_empty() || at.is_multiple_of(size)) {
                return Ok(());
            }
            if self.reader.open.block == 0 {
                self.open_chunk(chunk)?;
            }
            let inside = usize::try_from(at % size).unwrap_or(usize::MAX);
            self.clear_to(inside);
            let out = self.reader.open.data.get_mut(inside..).unwrap_or_default();
            let n = rest.len().min(out.len());
            let (now, later) = rest.split_at(n);
            if let Some(out) = out.get_mut(..n) {
                out.copy_from_slice(now);
            }
            if let Some(stale) = &mut self.filler.stale {
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
    pub(crate) fn clear_to(&mut self, end: usize) {
        if let Some(stale) = &mut self.filler.stale
            && let Some(left) = self.reader.open.data.get_mut(*stale..end)
        {
            left.fill(0);
            *stale = end;
        }
    }

    pub(crate) fn open_chunk(&mut self, number: u64) -> Result<()> {
        let expected = self.reader.memtable.chunks_end() + self.reader.waiting.len() as u64;
        if number != expected {
            return Err(Error::corrupt("chunk table", number, "a chunk would be left out"));
        }
        let seen =
            if self.filler.before.is_empty() { &self.filler.lengths } else { &self.filler.before };
        let chunk = self.layout.chunk();
        let block = match self.layout.block_size {
            0 => {
                let algorithm = self.layout.params().algorithm;
                block_size(self.layout.purpose, algorithm, seen, chunk, self.layout.typesize)
            }
            fixed => fixed.min(chunk),
        };
        let size = usize::try_from(self.reader.chunk_size).unwrap_or(usize::MAX);
        let spare = self.filler.spare.pop().filter(|b| b.len() == size);
        let reused = spare.is_some();
        let data = match spare {
            Some(spare) => spare,
            None => AlignedBuf::zeroed(size)?,
        };
        self.reader.open.number = number;
        self.reader.open.block = block;
        // Memory that was used before still holds the bytes of its chunk.
        self.filler.stale = reused.then_some(0);
        self.reader.open.data = data;
        self.log.logged.open = 0;
        Ok(())
    }

    /// Hands the open chunk to the compression threads.
    fn close_chunk(&mut self) -> Result<()> {
        while self.filler.pool.under_way() >= self.filler.pool.depth() {
            self.wait_for_one()?;
        }
        self.clear_to(self.reader.open.data.len());
        let open = &mut self.reader.open;
        let data = Arc::new(std::mem::take(&mut open.data));
        self.filler.pool.submit(open.number, open.block, data.clone())?;
        self.reader.waiting.insert(open.number, data);
        open.block = 0;
        self.filler.chunk_closed = true;
        self.filler.before = std::mem::take(&mut self.filler.lengths);
        self.log.logged.open = 0;
        while self.take_one(false)? {}
        Ok(())
    }

    /// Compresses a chunk that is known from memory alone.
    pub(crate) fn compress_waiting(&mut self, chunk: u64) -> Result<Finished> {
        let missing = || Error::corrupt("chunk table", chunk, "names a chunk that is not there");
        let data = self.reader.waiting.get(&chunk).ok_or_else(missing)?;
        let typesize = u32::from(self.layout.typesize);
        let block = self.layout.chunk().min((32 << 10) / typesize * typesize);
        let mut compressor = Compressor::new(self.layout.params(), block)?;
        finish(&mut compressor, self.reader.io.file(), chunk, data, Vec::new())
    }

    /// Takes the next finished chunk; whether there was one.
    fn take_one(&mut self, wait: bool) -> Result<bool> {
        let chunk = self.reader.memtable.chunks_end() + self.filler.finished.len() as u64;
        let Some(finished) = self.filler.pool.take(chunk, wait) else { return Ok(false) };
        self.filler.finished.push(finished?);
        if self.filler.finished.len() as u64 * self.reader.chunk_size >= TOGETHER {
            self.write_finished(false)?;
        }
        Ok(true)
    }

    /// Writes the finished chunks, and before them a leaf with the records that end in them and
    /// are in no leaf yet, or with `all` that were put. So of a file that ends too early every
    /// record is known whose bytes are still there: what leads to it lies before it.
    pub(crate) fn write_finished(&mut self, all: bool) -> Result<()> {
        let all_finished = std::mem::take(&mut self.filler.finished);
        if all_finished.is_empty() {
            return Ok(());
        }
        let memtable = &mut self.reader.memtable;
        let first = memtable.chunks.len();
        for finished in &all_finished {
            let first_sum = sum_index(memtable.sums.len())?;
            memtable.chunks.push(ChunkEntry { first_sum, ..entry_at(0, finished)? });
            memtable.sums.extend_from_slice(&finished.sums);
        }
        let end = memtable.chunks_end().saturating_mul(self.reader.chunk_size);
        let ended = |e: &RecordEntry| e.start.get().saturating_add(e.len.get().into()) <= end;
        let records = match all {
            true => memtable.records.len(),
            // Those that were put meanwhile depend on how fast chunks are compressed; the bytes
            // of a file do not.
            false => memtable.records.partition_point(ended).max(memtable.in_early.records),
        };
        let to = Prefix { records, chunks: memtable.chunks.len() };
        let leaf = NewLeaf::new(memtable, memtable.in_early, to, &self.row_style)?;
        // Where the chunks will lie: their places are in the leaf.
        let mut space = self.space;
        space.take(leaf.len(memtable));
        for (entry, finished) in memtable.chunks.iter_mut().skip(first).zip(&all_finished) {
            entry.offset = space.take(finished.bytes.len() as u64).into();
        }
        let generation = self.commits.next;
        let written = leaf.write(&self.reader.io, &mut self.space, memtable, generation)?;
        memtable.early.push(written);
        memtable.in_early = to;
        for (number, finished) in (memtable.first_chunk + first as u64..).zip(all_finished) {
            let at = self.space.take(finished.bytes.len() as u64);
            self.reader.io.write(at, &finished.bytes)?;
            let memory = self.reader.waiting.remove(&number).and_then(Arc::into_inner);
            if self.filler.spare.len() < self.filler.pool.depth() {
                self.filler.spare.extend(memory);
            }
            self.filler.pool.recycle(finished.bytes);
        }
        if let Some(base) = self.commits.base.take() {
            self.space.garbage += u64::from(base.entry.cbytes.get());
            let left = self.commits.slot.seal_garbage.get() + u64::from(base.entry.cbytes.get());
            self.commits.slot.seal_garbage = left.into();
        }
        Ok(())
    }

    pub(crate) fn write_chunk(&mut self, finished: &Finished) -> Result<ChunkEntry> {
        let at = self.space.take(finished.bytes.len() as u64);
        self.reader.io.write(at, &finished.bytes)?;
        entry_at(at, finished)
    }

    /// Waits until every closed chunk is in the file.
    pub(crate) fn drain(&mut self) -> Result<()> {
        while self.filler.pool.under_way() > 0 {
            self.wait_for_one()?;
        }
        self.write_finished(true)
    }

    pub(crate) fn wait_for_one(&mut self) -> Result<()> {
        if self.take_one(true)? {
            return Ok(());
        }
        Err(Error::Thread { doing: "compression" })
    }
}

/// The entry of a chunk at byte `at` of the file.
pub(crate) fn entry_at(at: u64, finished: &Finished) -> Result<ChunkEntry> {
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
        cbytes: small(finished.bytes.len())?,
        first_sum: U32::new(0),
        blocks: small(finished.sums.len())?,
        reserved: U32::new(0),
    })
}
