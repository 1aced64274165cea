//! Sealing: bringing the Blosc2 frame up to a commit, for other programs (see
//! `docs/format.md`, «Seal»).

use super::options::{Lookup, StoreOptions};
use super::perm::leaf_content;
use super::writer::Writer;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::frame;
use crate::index::layout::{KEY_NONE, key_from_bytes};
use crate::index::saved_lookup;
use crate::index::slot::{Seal, Slot};
use crate::key::Key;
use crate::limits::LOOKUP_RECORDS;
use crate::wire::{U32, U64, checksum, identify};

/// The content of `saved_lookup` for these records.
pub(super) fn lookup_bytes(
    options: &StoreOptions,
    records: impl Iterator<Item = (Key, u64, u64)>,
) -> Result<Vec<u8>> {
    let _ = options;
    saved_lookup::encode(records)
}

impl Writer {
    pub(super) fn make_seal(&mut self, closing: bool) -> Result<()> {
        self.drain()?;
        let sealed = self.slot.seal.generation == self.slot.generation;
        if sealed && !self.is_dirty() {
            return self.make_commit(closing, false);
        }
        let generation = self.slot.generation.get() + 1;
        let before = self.slot.seal;
        self.write_base()?;
        self.flush_tail()?;
        // What the log held is in the root and the base chunk now.
        for e in &mut self.extents {
            if e.retired.get() == 0 {
                e.retired = generation.into();
            }
        }
        self.log_capacity = 0;
        let old_root = self.slot.root;
        let root = self.write_root(generation)?;
        self.space.garbage += old_root.len.get();
        let frame = self.frame_end()?;
        let file = self.core.io.file();
        let lookup = frame.lookup;
        let seal = Seal {
            frame_len: frame.frame_len.into(),
            nbytes: frame.nbytes.into(),
            cbytes: frame.cbytes.into(),
            sum: (frame.sum ^ identify(file, generation, frame.frame_len)).into(),
            generation: generation.into(),
            records: self.core.live().into(),
            lookup: u64::from(lookup).into(),
            root,
        };
        let left = before.frame_len.get().saturating_sub(frame::HEADER_LEN_U64 + before.cbytes.get());
        self.space.garbage += left;
        let slot = Slot {
            root,
            log: U64::new(0),
            log_len: U64::new(0),
            seal,
            seal_garbage: U64::new(self.slot.seal_garbage.get() + left),
            before: [before.frame_len, before.nbytes, before.cbytes],
            closed: U32::new(u32::from(closing)),
            ..self.slot
        };
        self.publish(slot)?;
        self.write_header()
    }

    /// Writes the fields of the frame header that the newest seal names.
    pub(super) fn write_header(&self) -> Result<()> {
        let seal = &self.slot.seal;
        let signed = |n: u64| {
            i64::try_from(n).map_err(|_| Error::Limit {
                what: "bytes of a frame",
                asked: n,
                max: i64::MAX.cast_unsigned(),
            })
        };
        let totals = frame::patch_totals(
            seal.frame_len.get(),
            signed(seal.nbytes.get())?,
            signed(seal.cbytes.get())?,
        );
        self.core.io.write(frame::TOTALS_AT, &totals)?;
        self.sync()
    }

    /// Writes offsets chunk and trailer past everything.
    fn frame_end(&mut self) -> Result<FrameEnd> {
        let mut offsets = Vec::new();
        for leaf in self.core.perm.all_leaves(&self.core.io)? {
            if leaf.at.chunks.get() > 0 {
                let content = leaf_content(&self.core.io, leaf)?;
                offsets.extend(content.chunks.iter().map(|c| c.offset.get()));
            }
        }
        offsets.extend(self.base.iter().map(|b| b.entry.offset.get()));
        let (lookup, content) = self.lookup()?;
        let mut metalayers: Vec<(&str, &[u8])> = Vec::new();
        if lookup {
            metalayers.push(("saved_lookup", &content));
        }
        let mut bytes =
            if offsets.is_empty() { Vec::new() } else { frame::encode_offsets(&offsets)? };
        bytes.extend(frame::build_trailer(&metalayers)?);
        let at = if offsets.is_empty() {
            // A frame without chunks has its trailer right behind the header; that place is
            // taken as soon as something was written, and then still holds the first one.
            self.space.take(bytes.len() as u64)
        } else {
            self.space.take(bytes.len() as u64)
        };
        self.core.io.write(at, &bytes)?;
        Ok(FrameEnd {
            frame_len: self.space.end,
            nbytes: offsets.len() as u64 * self.core.chunk_size,
            cbytes: at - frame::HEADER_LEN_U64,
            sum: checksum(&bytes),
            lookup,
        })
    }

    fn lookup(&self) -> Result<(bool, Vec<u8>)> {
        let wanted = match self.options.lookup {
            Lookup::Auto => self.core.live() <= LOOKUP_RECORDS,
            Lookup::Always => true,
            Lookup::Never => false,
        };
        if !wanted {
            return Ok((false, Vec::new()));
        }
        let mut dead = self.core.dead()?.iter().copied().peekable();
        let mut records = Vec::new();
        let mut nameless = false;
        self.core.each_record(|id, e, key| {
            if dead.next_if_eq(&id).is_some() {
                return Ok(());
            }
            if e.key_kind == KEY_NONE {
                nameless = true;
                return Ok(());
            }
            let key = key_from_bytes(e.key_kind, key)
                .ok_or_else(|| Error::corrupt("record entry", id, "key"))?;
            let span = self.core.span(e)?;
            records.push((key, span.start, span.end));
            Ok(())
        })?;
        // A table that names only some of the records would be taken for the whole.
        if nameless {
            return Ok((false, Vec::new()));
        }
        match lookup_bytes(&self.options, records.into_iter()) {
            Ok(content) => Ok((true, content)),
            Err(Error::Limit { .. }) if self.options.lookup == Lookup::Auto => {
                Ok((false, Vec::new()))
            }
            Err(e) => Err(e),
        }
    }

    /// What the first writer after a crash or a foreign program does: finishes a seal whose
    /// header was not written, and seals what was left unsealed.
    pub(super) fn settle(&mut self) -> Result<()> {
        let seal = self.slot.seal;
        let backend = self.core.io.backend();
        let mut now = [0; 31];
        backend.read_at(frame::TOTALS_AT, &mut now)?;
        let right = frame::patch_totals(
            seal.frame_len.get(),
            seal.nbytes.get().cast_signed(),
            seal.cbytes.get().cast_signed(),
        );
        if now != right && self.seal_is_intact()? {
            self.write_header()?;
        }
        let crashed = self.slot.closed.get() == 0;
        if crashed && seal.generation != self.slot.generation && self.seal_is_due() {
            self.make_seal(false)?;
        }
        Ok(())
    }

    /// Whether offsets chunk and trailer of the newest seal are as we wrote them.
    fn seal_is_intact(&self) -> Result<bool> {
        seal_is_intact(&**self.core.io.backend(), self.core.io.file(), &self.slot.seal)
    }
}

/// Whether offsets chunk and trailer of a seal are as they were written.
pub(super) fn seal_is_intact(backend: &dyn Backend, file: [u8; 16], seal: &Seal) -> Result<bool> {
    let at = frame::HEADER_LEN_U64 + seal.cbytes.get();
    let end = seal.frame_len.get();
    if end > backend.len()? || at > end {
        return Ok(false);
    }
    let mut bytes = vec![0; usize::try_from(end - at).unwrap_or(0)];
    backend.read_at(at, &mut bytes)?;
    let generation = seal.generation.get();
    Ok(checksum(&bytes) ^ identify(file, generation, end) == seal.sum.get())
}

struct FrameEnd {
    frame_len: u64,
    nbytes: u64,
    cbytes: u64,
    sum: u64,
    lookup: bool,
}
