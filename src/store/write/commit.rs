//! Commits: the order of writes that makes a record survive (see `docs/format.md`, «Commit»).
//!
//! Chunks and index first, then a sync, then one slot, then a sync. Nothing that either slot
//! refers to is overwritten: log extents are used again only when both slots have moved on.

use crate::chunk::Compressor;
use crate::error::{Error, Result};
use crate::index::layout::{ChunkEntry, Extent, RecordEntry, SegmentRef};
use crate::index::log::LogContent;
use crate::index::slot::{Seal, Slot};
use crate::limits::BLOCK_MAX;
use crate::store::index::memtable::less;
use crate::store::index::root::{Base, Root};
use crate::store::index::slots;
use crate::store::options::Durability;
use crate::store::read::readable::Readable;
use crate::store::write::pool::{Finished, finish};
use crate::store::write::{
    fill::entry_at,
    writer::{Logged, Writer},
};
use crate::wire::{U32, U64};

/// First capacity of a log, in bytes; each next one is four times as large, up to the most: one
/// chunk, or a 32nd of the file if that is more, but no more than [`LOG_MAX`].
const LOG_MIN: u64 = 4 << 10;
const LOG_MAX: u64 = 8 << 20;
/// Commits of so much are few, and what does not fit goes into leaves at once: for them the log
/// takes a thousandth of the file, or, while that is less than this, up to a 256th; and next to
/// nothing if that does not hold one of them.
const BULK: u64 = 2 << 20;
const BULK_LOG: u64 = 64 << 10;

/// Compressed pieces of the open chunk: start and length in it, and a Blosc2 chunk.
type Pieces = Vec<(u32, u32, Vec<u8>)>;

impl Writer {
    /// Makes everything that was put so far survive, as [`Durability`] says; returns the number
    /// of the commit. Costs what was added since the last one; nothing if nothing was.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk refuses; then this writer is poisoned and the file holds the
    /// last commit or this one, whole. [`Error::Displaced`] if the file was deleted, renamed or
    /// replaced by another since it was opened: the commit is in it, and this writer writes no more
    /// (see [`Writer::save_as`]).
    pub fn commit(&mut self) -> Result<u64> {
        self.usable()?;
        self.guard(|w| w.make_commit(false, false))?;
        Ok(self.generation())
    }

    /// Whether something was added or changed since the last commit.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        let now = self.everything();
        let log = &self.log.logged;
        self.commits.flushed
            || self.attributes.changed
            || !self.reader.waiting.is_empty()
            || (now.records, now.chunks, now.dead, now.open)
                != (log.records, log.chunks, log.dead, log.open)
    }

    /// One commit. `closing` says in the slot that the file was left in order; `full` writes a
    /// root even where a log entry would do.
    pub(crate) fn make_commit(&mut self, closing: bool, full: bool) -> Result<()> {
        self.drain()?;
        let to_close = closing && self.commits.slot.closed.get() == 0;
        if !self.is_dirty() && !full && !to_close {
            self.committed();
            return self.backend().check_place();
        }
        let generation = self.commits.next;
        let sealed = self.commits.slot.seal.generation == self.commits.slot.generation;
        if to_close && sealed && !self.is_dirty() && !full {
            // The mark alone: what is sealed stays so, and nothing of ours comes to lie behind
            // the frame, where another program may add.
            let seal = Seal { generation: generation.into(), ..self.commits.slot.seal };
            let slot = Slot { closed: U32::new(1), seal, ..self.commits.slot };
            return self.publish(slot, self.everything(), 0);
        }
        // Where a chunk was closed, little of the open one has to be saved again: the best
        // moment to start the log anew.
        let closed = self.reader.memtable.chunks.len() > self.log.logged.chunks;
        let stale = closed && 2 * self.commits.slot.log_len.get() > self.log.capacity;
        // Who opens the file next does not know of leaves that no root names.
        let left = closing && !self.reader.memtable.early.is_empty();
        let logged =
            !full && !stale && !left && !self.commits.flushed && !self.memtable_is_full() && {
                let pieces = self.pieces(self.log.logged.open)?;
                self.append_log(generation, self.everything(), self.reader.open.block, &pieces)?
            };
        let slot = if logged {
            Slot { log_len: self.commits.slot.log_len, ..self.commits.slot }
        } else {
            self.checkpoint(generation)?
        };
        let slot = Slot { closed: U32::new(u32::from(closing)), ..slot };
        self.publish(slot, self.everything(), 0)
    }

    /// All that was put so far.
    pub(crate) fn everything(&self) -> Logged {
        Logged::all_of(&self.reader)
    }

    /// Compresses the bytes of the open chunk from `from` on.
    fn pieces(&self, from: u32) -> Result<Pieces> {
        let used = self.open_used();
        let mut at = from;
        let mut out = Vec::new();
        let typesize = usize::from(self.layout.typesize);
        while at < used {
            let len = (used - at).min(BLOCK_MAX / 2);
            let bytes = self.reader.open.data.get(at as usize..(at + len) as usize);
            let mut bytes = bytes.unwrap_or_default().to_vec();
            bytes.resize(bytes.len().next_multiple_of(typesize), 0);
            let block = u32::try_from(bytes.len()).unwrap_or(BLOCK_MAX);
            let mut compressor = Compressor::new(self.layout.params(), block)?;
            let mut piece = Vec::new();
            compressor.compress(&bytes, &mut piece)?;
            out.push((at, len, piece));
            at += len;
        }
        Ok(out)
    }

    /// Adds what is new up to `end` to the log; whether it had room.
    pub(crate) fn append_log(
        &mut self,
        generation: u64,
        end: Logged,
        open_block: u32,
        pieces: &Pieces,
    ) -> Result<bool> {
        let memtable = &self.reader.memtable;
        let from = self.log.logged;
        // Places in an entry count from the start of the entry.
        let records: Vec<RecordEntry> = memtable
            .records
            .get(from.records..end.records)
            .unwrap_or_default()
            .iter()
            .map(|e| RecordEntry { key_at: less(e.key_at, from.keys), ..*e })
            .collect();
        let chunks: Vec<ChunkEntry> = memtable
            .chunks
            .get(from.chunks..end.chunks)
            .unwrap_or_default()
            .iter()
            .map(|e| ChunkEntry { first_sum: less(e.first_sum, from.sums), ..*e })
            .collect();
        let sums: Vec<U64> = memtable
            .sums
            .get(from.sums..end.sums)
            .unwrap_or_default()
            .iter()
            .map(|s| U64::new(*s))
            .collect();
        let new = from.records..end.records;
        let rows: Vec<U64> = if memtable.has_rows(new.clone()) {
            new.flat_map(|i| memtable.row_or_absent(i)).map(|w| U64::new(*w)).collect()
        } else {
            Vec::new()
        };
        let content = LogContent {
            generation,
            first_record: memtable.first_record + from.records as u64,
            first_chunk: memtable.first_chunk + from.chunks as u64,
            cursor: end.cursor,
            open_block,
            records: &records,
            chunks: &chunks,
            sums: &sums,
            dead: memtable.dead.get(from.dead..end.dead).unwrap_or_default(),
            keys: memtable.keys.get(from.keys..end.keys).unwrap_or_default(),
            attributes: self.attributes.changed.then_some(&self.attributes.bytes),
            pieces: pieces.iter().map(|(at, len, b)| (*at, *len, b.as_slice())).collect(),
            rows: &rows,
        };
        let at = self.commits.slot.log.get() + self.commits.slot.log_len.get();
        let too_much = || Error::Limit {
            what: "entries of one commit",
            asked: 1 << 32,
            max: u64::from(u32::MAX),
        };
        let bytes = content.encode(self.reader.io.file(), at).ok_or_else(too_much)?;
        let len = self.commits.slot.log_len.get() + bytes.len() as u64;
        if len > self.log.capacity {
            return Ok(false);
        }
        self.reader.io.write(at, &bytes)?;
        self.commits.slot.log_len = len.into();
        Ok(true)
    }

    /// Moves the index into leaves and runs, writes a root, and starts a new log with what is
    /// in the open chunk.
    fn checkpoint(&mut self, generation: u64) -> Result<Slot> {
        let weight = self.reader.memtable.weight() as u64;
        self.flush_memtable()?;
        let base_fill = self.commits.base.as_ref().map_or(0, |b| b.fill);
        let pieces = self.pieces(base_fill)?;
        let need: u64 = 256 + pieces.iter().map(|p| p.2.len() as u64 + 24).sum::<u64>();
        let old_root = self.commits.slot.root;
        let (log, capacity) = self.new_log(generation, need, weight);
        self.commits.slot.log = log.into();
        self.commits.slot.log_len = U64::new(0);
        self.log.capacity = capacity;
        let root = self.write_root(generation)?;
        self.space.garbage += old_root.len.get();
        self.log.logged.open = base_fill;
        let attributes_changed = std::mem::take(&mut self.attributes.changed);
        let (end, block) = (self.everything(), self.reader.open.block);
        if !pieces.is_empty() && !self.append_log(generation, end, block, &pieces)? {
            return Err(Error::corrupt("log", log, "has no room for the open chunk"));
        }
        self.attributes.changed = attributes_changed;
        Ok(Slot { root, ..self.commits.slot })
    }

    pub(crate) fn write_root(&mut self, generation: u64) -> Result<SegmentRef> {
        self.root(generation).write(&self.reader.io, &mut self.space)
    }

    pub(crate) fn root(&self, generation: u64) -> Root {
        Root {
            generation,
            stored_index: self.reader.stored_index.clone(),
            records: self.reader.memtable.end(),
            chunks: self.reader.memtable.chunks_end(),
            totals: self.reader.totals,
            garbage: self.space.garbage,
            base: self.commits.base.clone(),
            open_block: self.reader.open.block,
            extents: self.log.extents.clone(),
            attributes: self.attributes.bytes.clone(),
        }
    }

    /// Room for a new log: an extent that neither slot needs any more, else new space. `weight`
    /// is that of the index which the commits since the last one added.
    fn new_log(&mut self, generation: u64, need: u64, weight: u64) -> (u64, u64) {
        let most = (self.space.end / 32).min(LOG_MAX).max(self.reader.chunk_size).max(LOG_MIN);
        let bulk = (self.space.end / 1024).max((self.space.end / 256).clamp(LOG_MIN, BULK_LOG));
        let (least, most) = match self.auto_commit.added {
            0..BULK => (LOG_MIN, most),
            _ if weight > bulk => (LOG_MIN, LOG_MIN),
            _ => (bulk.min(most), bulk.min(most)),
        };
        let wanted = (4 * self.log.capacity).min(most).max(least).max(need.next_multiple_of(64));
        for e in &mut self.log.extents {
            if e.retired.get() == 0 {
                e.retired = generation.into();
            }
        }
        let free = |e: &Extent| e.retired.get() + 2 <= generation;
        // What is wanted creeps up with the file; a little less than that is no reason to leave
        // an extent behind each time.
        let least = need.max(wanted / 2);
        let fit = |e: &Extent| free(e) && e.capacity.get() >= least;
        if let Some(e) = self.log.extents.iter_mut().find(|e| fit(e)) {
            e.retired = U64::new(0);
            return (e.offset.get(), e.capacity.get());
        }
        // Extents that have become too small are given up.
        let garbage = &mut self.space.garbage;
        self.log.extents.retain(|e| {
            let keep = !free(e);
            *garbage += if keep { 0 } else { e.capacity.get() };
            keep
        });
        let offset = self.space.take(wanted);
        self.log.extents.push(Extent {
            offset: offset.into(),
            capacity: wanted.into(),
            retired: U64::new(0),
        });
        (offset, wanted)
    }

    /// Makes `slot` the newest state of the file: what was put up to `end`, which is all but
    /// the last `behind` records.
    pub(crate) fn publish(&mut self, slot: Slot, end: Logged, behind: u64) -> Result<()> {
        let generation = self.commits.next;
        let slot = Slot {
            generation: generation.into(),
            end: self.space.end.into(),
            records: (self.reader.live() - behind).into(),
            total: (self.reader.ids() - behind).into(),
            ..slot
        };
        self.reserve()?;
        self.sync()?;
        slots::write(&self.reader.io, &slot, self.commits.published)?;
        self.sync()?;
        // Behind the sync: a mark without its slot would tell of a commit that never was.
        slots::mark(&self.reader.io, generation)?;
        self.commits.published = generation;
        self.commits.slot = slot;
        self.commits.next = generation + 1;
        self.log.logged = end;
        self.attributes.changed = false;
        self.commits.flushed = false;
        if behind == 0 {
            self.committed();
        } else {
            self.auto_commit.added = self.bytes_from(end.records);
        }
        // Last: the commit is in the file, wherever that is now.
        self.backend().check_place()
    }

    /// Makes the file as long as the commit says it is: a log extent that is not filled yet
    /// may be the last thing in it.
    fn reserve(&self) -> Result<()> {
        if self.reader.io.len() < self.space.end {
            self.reader.io.write(self.space.end - 1, &[0])?;
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> Result<()> {
        if self.write.durability == Durability::Sync {
            self.reader.io.backend().sync()?;
        }
        Ok(())
    }

    /// Whether closing now should seal: what earlier seals left behind stays under a tenth of
    /// the live bytes, else the data has grown by a quarter since the last one.
    pub(crate) fn seal_is_due(&self) -> bool {
        let seal: &Seal = &self.commits.slot.seal;
        let live = self.space.end.saturating_sub(self.space.garbage).max(1);
        let end = self.commits.slot.end.get().max(self.space.end);
        let grown = end.saturating_sub(seal.frame_len.get());
        self.commits.slot.seal_garbage.get() * 10 < live
            || grown.saturating_mul(4) >= seal.frame_len.get()
    }

    /// Makes the last partly filled chunk the base, as a seal writes it: zero-filled to its full
    /// size. `None` if the last base holds the same bytes; else it is for the caller to write
    /// it and to say where it lies.
    pub(crate) fn make_base(&mut self) -> Result<Option<Finished>> {
        if self.reader.open.block == 0 {
            return Ok(None);
        }
        let fill = self.open_used();
        if let Some(old) = &self.commits.base {
            if old.fill == fill {
                return Ok(None);
            }
            let left = u64::from(old.entry.cbytes.get());
            self.space.garbage += left;
            self.commits.slot.seal_garbage = U64::new(self.commits.slot.seal_garbage.get() + left);
        }
        self.clear_to(self.reader.open.data.len());
        let open = &self.reader.open;
        let mut compressor = Compressor::new(self.layout.params(), open.block)?;
        let file = self.reader.io.file();
        let finished = finish(&mut compressor, file, open.number, &open.data, Vec::new())?;
        let entry = entry_at(0, &finished)?;
        self.commits.base = Some(Base { entry, sums: finished.sums.clone(), fill });
        Ok(Some(finished))
    }
}
