//! Sealing: bringing the Blosc2 frame up to a commit, for other programs (see
//! `docs/format.md`, «Seal»).

use crate::backend::Backend;
use crate::chunk::{ChunkLayout, Compressor, Filter, Params};
use crate::error::{Error, Result};
use crate::frame::{self, HEADER_LEN, TOTALS_OFFSET};
use crate::index::layout::{ChunkEntry, KEY_NONE, SegmentRef, key_from_bytes};
use crate::index::saved_lookup;
use crate::index::slot::{Seal, Slot};
use crate::key::Key;
use crate::limits::{BLOCK_MAX, LOOKUP_MAX};
use crate::store::index::leaf::leaf_chunks;
use crate::store::options::OriginalTable;
use crate::store::read::reader::OpenChunk;
use crate::store::write::pool::Finished;
use crate::store::write::writer::Writer;
use crate::wire::{U32, U64, checksum, identify, memory};

/// Length of the frame header as it counts in places.
const HEADER: u64 = HEADER_LEN as u64;

/// The metalayer `saved_lookup` that names these records: a Blosc2 chunk with the table.
pub(crate) fn lookup_chunk(records: &[(Key, u64, u64)]) -> Result<Vec<u8>> {
    let entries = records.iter().map(|(key, start, end)| (key, *start, *end));
    let table = saved_lookup::encode(records.len(), entries)?;
    let params = Params {
        algorithm: Some(crate::chunk::Algorithm::Zstd),
        level: 1,
        filter: Filter::None,
        typesize: 1,
    };
    let mut out = Vec::new();
    let len = u32::try_from(table.len()).unwrap_or(u32::MAX);
    let most = u32::try_from(LOOKUP_MAX).unwrap_or(u32::MAX);
    let mut compressor = Compressor::new(params, len.min(BLOCK_MAX))?;
    compressor.compress_bounded(&table, most, most / BLOCK_MAX + 1, &mut out)?;
    Ok(out)
}

impl Writer {
    pub(crate) fn make_seal(&mut self, closing: bool) -> Result<()> {
        self.drain()?;
        let sealed = self.commits.slot.seal.generation == self.commits.slot.generation;
        if sealed && !self.is_dirty() && self.has_wanted_table() && self.seal_is_intact()? {
            return self.make_commit(closing, false);
        }
        // Reads all of the index, and before anything is written: damage there leaves the file as
        // it was.
        let content = self.frame_content()?;
        self.seal_with(content, closing)
    }

    /// As [`Self::make_seal`], but what is damaged in the index, so that no frame can be made of it,
    /// leaves the store unsealed: a commit needs nothing of it.
    pub(crate) fn seal_or_commit(&mut self, closing: bool) -> Result<()> {
        self.drain()?;
        match self.frame_content() {
            Ok(content) => self.seal_with(content, closing),
            Err(e) if matches!(e.root(), Error::Corrupt(_)) => self.make_commit(closing, false),
            Err(e) => Err(e),
        }
    }

    fn seal_with(&mut self, content: FrameContent, closing: bool) -> Result<()> {
        let generation = self.commits.next;
        let before = self.commits.slot.seal;
        if self.reader.ids() > 0
            && self.reader.memtable.chunks_end() == 0
            && self.reader.open.block == 0
        {
            // Only empty records so far: they too need a frame whose trailer can move.
            self.open_chunk(0)?;
        }
        let base = self.make_base()?;
        self.flush_memtable()?;
        // What the log held is in the root and the base chunk now.
        for e in &mut self.log.extents {
            if e.retired.get() == 0 {
                e.retired = generation.into();
            }
        }
        self.log.capacity = 0;
        let old_root = self.commits.slot.root;
        let base_len = base.as_ref().map(|b| b.bytes.len() as u64);
        let copies = self.place_copies(generation, base_len)?;
        let root = self.write_root_and_base(generation, base)?;
        self.write_copies(&copies)?;
        self.space.garbage += old_root.len.get();
        let frame = self.frame_end(content)?;
        let file = self.reader.io.file();
        let lookup = frame.lookup;
        let seal = Seal {
            frame_len: frame.frame_len.into(),
            nbytes: frame.nbytes.into(),
            cbytes: frame.cbytes.into(),
            sum: (frame.sum ^ identify(file, 0, frame.frame_len)).into(),
            generation: generation.into(),
            records: self.reader.live().into(),
            lookup: u64::from(lookup).into(),
            root,
        };
        let moved = frame.frame_len != before.frame_len.get();
        let left = before.frame_len.get().saturating_sub(HEADER + before.cbytes.get());
        let left = if moved { left } else { 0 };
        self.space.garbage += left;
        let slot = Slot {
            root,
            log: U64::new(0),
            log_len: U64::new(0),
            seal,
            seal_garbage: U64::new(self.commits.slot.seal_garbage.get() + left),
            before: [before.frame_len, before.nbytes, before.cbytes],
            closed: U32::new(u32::from(closing)),
            ..self.commits.slot
        };
        self.publish(slot, self.everything(), 0)?;
        self.write_header()
    }

    /// Writes the root and behind it the base chunk, so that of a file that ends too early what
    /// leads to a chunk is there if the chunk is.
    fn write_root_and_base(
        &mut self,
        generation: u64,
        finished: Option<Finished>,
    ) -> Result<SegmentRef> {
        let Some(finished) = finished else { return self.write_root(generation) };
        // The length of a root does not depend on what its numbers are.
        let mut space = self.space;
        space.take(self.root(generation).len());
        let at = space.take(finished.bytes.len() as u64);
        if let Some(base) = &mut self.commits.base {
            base.entry.offset = at.into();
        }
        let root = self.write_root(generation)?;
        self.write_chunk(&finished)?;
        Ok(root)
    }

    /// Writes the fields of the frame header that the newest seal names.
    pub(crate) fn write_header(&self) -> Result<()> {
        let (_, right) = self.totals()?;
        self.reader.io.write(TOTALS_OFFSET, &right)?;
        self.sync()
    }

    /// The changeable fields of the frame header, as they are and as the newest seal wants them.
    fn totals(&self) -> Result<([u8; 31], [u8; 31])> {
        let seal = &self.commits.slot.seal;
        let mut head = [0; 47];
        self.reader.io.backend().read_at(0, &mut head)?;
        let right =
            frame::patch_totals(&head, seal.frame_len.get(), seal.nbytes.get(), seal.cbytes.get())?;
        let now = head.last_chunk().copied().unwrap_or([0; 31]);
        Ok((now, right))
    }

    /// Writes offsets chunk and trailer past everything. A frame without chunks keeps the
    /// trailer with which it was born: its place is fixed, right behind the header.
    fn frame_end(&mut self, content: FrameContent) -> Result<FrameEnd> {
        if self.reader.memtable.chunks_end() == 0 && self.commits.base.is_none() {
            let seal = &self.commits.slot.seal;
            return Ok(FrameEnd {
                frame_len: seal.frame_len.get(),
                nbytes: 0,
                cbytes: 0,
                sum: seal.sum.get() ^ identify(self.reader.io.file(), 0, seal.frame_len.get()),
                lookup: true,
            });
        }
        let FrameContent { mut offsets, lookup } = content;
        offsets.extend(self.commits.base.iter().map(|b| offset_for_others(&b.entry)));
        let mut metalayers: Vec<(&str, &[u8])> = Vec::new();
        metalayers.extend(lookup.as_deref().map(|table| (saved_lookup::NAME, table)));
        let mut bytes = frame::encode_offsets(&offsets)?;
        bytes.extend(frame::build_trailer(&metalayers)?);
        let at = self.space.take(bytes.len() as u64);
        self.reader.io.write(at, &bytes)?;
        Ok(FrameEnd {
            frame_len: self.space.end,
            nbytes: offsets.len() as u64 * self.reader.chunk_size,
            cbytes: at - HEADER,
            sum: checksum(&bytes),
            lookup: lookup.is_some(),
        })
    }

    /// What a seal says of the finished chunks and of the records, from the index as it stands.
    fn frame_content(&self) -> Result<FrameContent> {
        let mut offsets = Vec::new();
        for leaf in self.reader.stored_index.all_leaves(&self.reader.io)? {
            if leaf.at.chunks.get() > 0 {
                let chunks = leaf_chunks(&self.reader.io, leaf)?;
                offsets.extend(chunks.iter().map(offset_for_others));
            }
        }
        offsets.extend(self.reader.memtable.chunks.iter().map(offset_for_others));
        let (wanted, content) = self.lookup()?;
        Ok(FrameContent { offsets, lookup: wanted.then_some(content) })
    }

    /// Whether the next seal is to have the table of the original program.
    fn wants_table(&self) -> bool {
        match self.write.original_table {
            OriginalTable::Auto => {
                let last = &self.commits.slot.seal;
                // The table of a new file names nothing.
                last.lookup.get() != 0 && last.records.get() > 0
            }
            OriginalTable::Always => true,
            OriginalTable::Never => false,
        }
    }

    /// Whether the newest seal has the table if it was asked for, and only then.
    fn has_wanted_table(&self) -> bool {
        let last = &self.commits.slot.seal;
        last.records.get() == 0 || self.wants_table() == (last.lookup.get() != 0)
    }

    fn lookup(&self) -> Result<(bool, Vec<u8>)> {
        if !self.wants_table() {
            return Ok((false, Vec::new()));
        }
        let mut dead = self.reader.dead()?.iter().peekable();
        let mut records = Vec::new();
        let mut nameless = false;
        self.reader.each_record(|id, e, kind, key| {
            if dead.next_if_eq(&id).is_some() {
                return Ok(());
            }
            if kind == KEY_NONE {
                nameless = true;
                return Ok(());
            }
            let key = key_from_bytes(kind, key)
                .ok_or_else(|| Error::corrupt("record entry", id, "key"))?;
            let span = self.reader.span(e)?;
            records.push((key, span.start, span.end));
            Ok(())
        })?;
        // A table that names only some of the records would be taken for the whole.
        if nameless {
            return Ok((false, Vec::new()));
        }
        match lookup_chunk(&records) {
            Ok(content) => Ok((true, content)),
            Err(Error::Limit { .. }) if self.write.original_table == OriginalTable::Auto => {
                Ok((false, Vec::new()))
            }
            Err(e) => Err(e),
        }
    }

    /// What the first writer after a crash or a foreign program does: finishes a seal whose
    /// header was not written, and seals what was left unsealed.
    pub(crate) fn repair_after_open(&mut self) -> Result<()> {
        let seal = self.commits.slot.seal;
        self.close_damaged()?;
        let (now, right) = self.totals()?;
        if now != right {
            if !self.seal_is_intact()? {
                return self.repair_after_others();
            }
            self.write_header()?;
        }
        let crashed = self.commits.slot.closed.get() == 0;
        if crashed && seal.generation != self.commits.slot.generation && self.seal_is_due() {
            self.seal_or_commit(false)?;
        }
        Ok(())
    }

    /// Leaves an open chunk that could not be read whole as the last seal wrote it, so that what
    /// is lost of it stays known as lost, and goes on behind it.
    fn close_damaged(&mut self) -> Result<()> {
        let Some(lost) = self.reader.open.lost.first() else { return Ok(()) };
        let damage = lost.damage;
        let used = self.open_used();
        let Some(base) = self.commits.base.take_if(|b| b.fill == used) else {
            return Err(Error::Corrupt(damage));
        };
        let first_sum =
            U32::new(u32::try_from(self.reader.memtable.sums.len()).unwrap_or(u32::MAX));
        self.reader.memtable.chunks.push(ChunkEntry { first_sum, ..base.entry });
        self.reader.memtable.sums.extend_from_slice(&base.sums);
        self.reader.open = OpenChunk::default();
        self.reader.totals.cursor = self.reader.memtable.chunks_end() * self.reader.chunk_size;
        Ok(())
    }

    /// Takes in what another program wrote, and seals at once: what came from it is in no commit
    /// yet, and until the header names a seal of ours again, every commit would be taken for one
    /// that was written over.
    fn repair_after_others(&mut self) -> Result<()> {
        self.check_adopted()?;
        if self.reader.memtable.chunks_end() == 0 && self.reader.open.block == 0 {
            // The trailer of a frame without chunks cannot move; the other program's stands there.
            self.open_chunk(0)?;
        }
        self.commits.flushed = true;
        self.make_seal(false)
    }

    /// Whether offsets chunk and trailer of the newest seal are as we wrote them.
    fn seal_is_intact(&self) -> Result<bool> {
        seal_is_intact(&**self.reader.io.backend(), self.reader.io.file(), &self.commits.slot.seal)
    }
}

/// What the offsets chunk says of a chunk. Python-blosc2 does not read a chunk of zeros from a
/// file; it wants it named in the offsets instead. Only such a chunk is as short as a header.
fn offset_for_others(entry: &ChunkEntry) -> u64 {
    if entry.cbytes.get() as usize == ChunkLayout::HEADER_LEN {
        frame::ChunkPlace::Zeros.to_raw()
    } else {
        entry.offset.get().saturating_sub(HEADER)
    }
}

/// Whether offsets chunk and trailer of a seal are as they were written.
pub(crate) fn seal_is_intact(backend: &dyn Backend, file: [u8; 16], seal: &Seal) -> Result<bool> {
    let end = seal.frame_len.get();
    let at = HEADER.checked_add(seal.cbytes.get()).filter(|at| *at <= end);
    let (Some(at), true) = (at, end <= backend.len()?) else { return Ok(false) };
    let mut bytes = memory::zeroed(usize::try_from(end - at).unwrap_or(0))?;
    backend.read_at(at, &mut bytes)?;
    Ok(checksum(&bytes) ^ identify(file, 0, end) == seal.sum.get())
}

/// What a seal says, as far as it is known before it is written.
struct FrameContent {
    /// Of the finished chunks.
    offsets: Vec<u64>,
    /// The table of records, if it is to be there.
    lookup: Option<Vec<u8>>,
}

struct FrameEnd {
    frame_len: u64,
    nbytes: u64,
    cbytes: u64,
    sum: u64,
    lookup: bool,
}
