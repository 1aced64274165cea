//! Reading index segments page by page, each page checked the first time it is touched.

use crate::error::{Error, Result};
use crate::index::layout::{SegmentHeader, SegmentRef};
use crate::index::segment::{body_len, table_sum};
use crate::limits::INDEX_PAGE;
use crate::store::index::io::Io;
use crate::wire::{checksum, memory, to_usize};
use bytemuck::{AnyBitPattern, Zeroable};
use std::sync::atomic::{AtomicU64, Ordering};

/// An open segment. Its reference was checked against its page checksums; its pages are checked
/// when they are read.
#[derive(Debug)]
pub(crate) struct Segment {
    offset: u64,
    body: usize,
    table: Box<[u8]>,
    checked: Box<[AtomicU64]>,
    part: &'static str,
}

impl Segment {
    /// Opens the segment at `at`; `magic` says which kind it must be, `part` what to call it.
    pub(crate) fn open(
        io: &Io,
        at: &SegmentRef,
        magic: [u8; 8],
        part: &'static str,
    ) -> Result<Self> {
        let offset = at.offset.get();
        let bad = |why| Error::corrupt(part, offset, why);
        let body = body_len(at.len.get()).and_then(to_usize).ok_or_else(|| bad("length"))?;
        let table_at = offset.checked_add(body as u64).ok_or_else(|| bad("place"))?;
        let table_len = to_usize(at.len.get()).ok_or_else(|| bad("length"))?.saturating_sub(body);
        if table_at.checked_add(table_len as u64).is_none_or(|end| end > io.len()) {
            return Err(bad("reaches past the end of the file"));
        }
        let table = io.bytes(table_at, table_len, memory::copied)??;
        if table_sum(io.file(), offset, at.len.get(), &table) != at.sum.get() {
            return Err(bad("checksum of its page checksums differs"));
        }
        let words = body.div_ceil(INDEX_PAGE).div_ceil(64);
        let out = Self {
            offset,
            body,
            table: table.into(),
            checked: (0..words).map(|_| AtomicU64::new(0)).collect(),
            part,
        };
        let header: SegmentHeader = out.get(io, 0)?;
        if header.magic != magic || header.file != io.file() || header.len != at.len {
            return Err(bad("is not of the expected kind"));
        }
        Ok(out)
    }

    /// Length of the body in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.body
    }

    /// The error for damage that is found in what this segment says.
    pub(crate) const fn corrupt(&self, why: &'static str) -> Error {
        Error::corrupt(self.part, self.offset, why)
    }

    /// One plain structure at byte `at` of the body.
    pub(crate) fn get<T: AnyBitPattern + bytemuck::NoUninit>(
        &self,
        io: &Io,
        at: usize,
    ) -> Result<T> {
        let mut out = <T as Zeroable>::zeroed();
        self.read(io, at, bytemuck::bytes_of_mut(&mut out))?;
        Ok(out)
    }

    /// Many plain structures from byte `at` of the body.
    pub(crate) fn list<T: AnyBitPattern + bytemuck::NoUninit>(
        &self,
        io: &Io,
        at: usize,
        count: usize,
    ) -> Result<Vec<T>> {
        let bytes = count.checked_mul(size_of::<T>()).filter(|n| *n <= self.body);
        if bytes.is_none() {
            return Err(Error::corrupt(
                self.part,
                self.offset,
                "a list is longer than its segment",
            ));
        }
        let mut out = memory::filled(count, <T as Zeroable>::zeroed())?;
        self.read(io, at, bytemuck::cast_slice_mut(&mut out))?;
        Ok(out)
    }

    /// Copies `out.len()` bytes from byte `at` of the body.
    pub(crate) fn read(&self, io: &Io, at: usize, out: &mut [u8]) -> Result<()> {
        let end = at.checked_add(out.len()).filter(|end| *end <= self.body);
        if end.is_none() {
            return Err(Error::corrupt(self.part, self.offset, "refers past its own end"));
        }
        let mut at = at;
        let mut out = out;
        while !out.is_empty() {
            let page = at / INDEX_PAGE;
            let first = page * INDEX_PAGE;
            let len = INDEX_PAGE.min(self.body - first);
            let n = out.len().min(first + len - at);
            let (now, later) = std::mem::take(&mut out).split_at_mut(n);
            let place = self.offset + first as u64;
            let word = self.checked.get(page / 64);
            let bit = 1_u64 << (page % 64);
            let known = word.is_some_and(|w| w.load(Ordering::Relaxed) & bit != 0);
            let stored = self.table.get(page * 8..page * 8 + 8);
            let good = io.page(place, len, |bytes, fresh| {
                let good = (known && !fresh)
                    || stored.is_some_and(|s| *s == checksum(bytes).to_le_bytes());
                if let (true, Some(from)) = (good, bytes.get(at - first..at - first + n)) {
                    now.copy_from_slice(from);
                }
                good
            })?;
            if !good {
                return Err(Error::corrupt(self.part, place, "checksum differs"));
            }
            if let Some(w) = word {
                w.fetch_or(bit, Ordering::Relaxed);
            }
            at += n;
            out = later;
        }
        Ok(())
    }
}
