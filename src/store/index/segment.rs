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
    /// Its second copy, which is read where this one is damaged.
    copy: Option<Copied>,
}

/// The second copy of a segment.
#[derive(Debug)]
struct Copied {
    offset: u64,
    checked: Box<[AtomicU64]>,
}

impl Segment {
    /// Opens the segment at `at`; `magic` says which kind it must be, `part` what to call it.
    pub(crate) fn open(
        io: &Io,
        at: &SegmentRef,
        magic: [u8; 8],
        part: &'static str,
    ) -> Result<Self> {
        Self::open_twofold(io, at, 0, magic, part)
    }

    /// As [`Self::open`]; what is damaged is read from the copy at byte `copy` of the file, if that
    /// is not 0.
    pub(crate) fn open_twofold(
        io: &Io,
        at: &SegmentRef,
        copy: u64,
        magic: [u8; 8],
        part: &'static str,
    ) -> Result<Self> {
        let offset = at.offset.get();
        let bad = |why| Error::corrupt(part, offset, why);
        let body = body_len(at.len.get()).and_then(to_usize).ok_or_else(|| bad("length"))?;
        let table_len = to_usize(at.len.get()).ok_or_else(|| bad("length"))?.saturating_sub(body);
        let table = |from: u64| {
            let table_at = from.checked_add(body as u64).ok_or_else(|| bad("place"))?;
            if table_at.checked_add(table_len as u64).is_none_or(|end| end > io.len()) {
                return Err(bad("reaches past the end of the file"));
            }
            let right =
                |table: &Vec<u8>| table_sum(io.file(), offset, at.len.get(), table) == at.sum.get();
            let mut table = io.bytes(table_at, table_len, memory::copied)??;
            if !right(&table) && io.forget(table_at, table_len) {
                table = io.bytes(table_at, table_len, memory::copied)??;
            }
            if right(&table) {
                Ok(table)
            } else {
                Err(io.or_replaced(bad("checksum of its page checksums differs")))
            }
        };
        let table = table(offset).or_else(|e| match copy {
            0 => Err(e),
            copy => table(copy).map_err(|_| e),
        })?;
        let words = body.div_ceil(INDEX_PAGE).div_ceil(64);
        let unchecked = || (0..words).map(|_| AtomicU64::new(0)).collect();
        let out = Self {
            offset,
            body,
            table: table.into(),
            checked: unchecked(),
            part,
            copy: (copy != 0).then(|| Copied { offset: copy, checked: unchecked() }),
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

    /// Calls `f` with page number `page`, checked: that of the copy if the first is damaged or
    /// cannot be read.
    fn page<R>(&self, io: &Io, page: usize, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let mut f = Some(f);
        let mut once = |bytes: &[u8]| f.take().map(|f| f(bytes));
        let first = self.page_of(io, (self.offset, &self.checked), page, &mut once);
        let (Some(copy), Ok(None) | Err(_)) = (&self.copy, &first) else {
            return first?.ok_or_else(|| io.or_replaced(self.corrupt_page(self.offset, page)));
        };
        match self.page_of(io, (copy.offset, &copy.checked), page, &mut once) {
            Ok(Some(out)) => Ok(out),
            _ => Err(first.err().unwrap_or_else(|| self.corrupt_page(self.offset, page))),
        }
    }

    /// What `f` makes of page number `page` of the segment at this place, with a note of the pages
    /// that were checked there; nothing if its checksum differs.
    fn page_of<R>(
        &self,
        io: &Io,
        (offset, checked): (u64, &[AtomicU64]),
        page: usize,
        f: &mut impl FnMut(&[u8]) -> Option<R>,
    ) -> Result<Option<R>> {
        let first = page * INDEX_PAGE;
        let len = INDEX_PAGE.min(self.body.saturating_sub(first));
        let place = offset.saturating_add(first as u64);
        let word = checked.get(page / 64);
        let bit = 1_u64 << (page % 64);
        let known = word.is_some_and(|w| w.load(Ordering::Relaxed) & bit != 0);
        let stored = self.table.get(page * 8..page * 8 + 8);
        let mut look = |bytes: &[u8], fresh: bool| {
            let good =
                (known && !fresh) || stored.is_some_and(|s| *s == checksum(bytes).to_le_bytes());
            if good { f(bytes) } else { None }
        };
        let mut out = io.page(place, len, &mut look)?;
        if out.is_none() && io.forget(place, len) {
            out = io.page(place, len, &mut look)?;
        }
        if let Some(w) = word.filter(|_| !known && out.is_some()) {
            w.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(out)
    }

    fn corrupt_page(&self, offset: u64, page: usize) -> Error {
        Error::corrupt(self.part, offset + (page * INDEX_PAGE) as u64, "checksum differs")
    }

    /// What is damaged of either copy, page by page; nothing without a second one.
    pub(crate) fn damages_of_copies(&self, io: &Io) -> Result<Vec<Error>> {
        let mut out = Vec::new();
        let Some(copy) = &self.copy else { return Ok(out) };
        for (offset, checked) in [(self.offset, &self.checked), (copy.offset, &copy.checked)] {
            for page in 0..self.body.div_ceil(INDEX_PAGE) {
                match self.page_of(io, (offset, checked), page, &mut |_| Some(())) {
                    Ok(Some(())) => {}
                    Ok(None) => out.push(self.corrupt_page(offset, page)),
                    Err(e) if e.is_damage() => out.push(e),
                    Err(e) => return Err(e),
                }
            }
            let table_at = offset.saturating_add(self.body as u64);
            let same = |table: &[u8]| *table == *self.table;
            if table_at.saturating_add(self.table.len() as u64) > io.len()
                || !io.bytes(table_at, self.table.len(), same)?
            {
                out.push(Error::corrupt(self.part, table_at, "its page checksums differ"));
            }
        }
        Ok(out)
    }

    /// Whether `len` bytes at byte `at` of the body are in it.
    fn holds(&self, at: usize, len: usize) -> Result<()> {
        let end = at.checked_add(len).filter(|end| *end <= self.body);
        end.map(|_| ()).ok_or_else(|| self.corrupt("refers past its own end"))
    }

    /// Calls `f` with `len` bytes from byte `at` of the body: where they lie, if that is in one
    /// page, else with a copy.
    pub(crate) fn with<R>(
        &self,
        io: &Io,
        at: usize,
        len: usize,
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        self.holds(at, len)?;
        if len == 0 {
            return Ok(f(&[]));
        }
        let first = at % INDEX_PAGE;
        if first + len <= INDEX_PAGE {
            return self.page(io, at / INDEX_PAGE, |bytes| {
                f(bytes.get(first..first + len).unwrap_or_default())
            });
        }
        let mut copy = memory::zeroed(len)?;
        self.read(io, at, &mut copy)?;
        Ok(f(&copy))
    }

    /// Copies `out.len()` bytes from byte `at` of the body.
    pub(crate) fn read(&self, io: &Io, at: usize, out: &mut [u8]) -> Result<()> {
        self.holds(at, out.len())?;
        let mut at = at;
        let mut out = out;
        while !out.is_empty() {
            let first = at % INDEX_PAGE;
            let n = out.len().min(INDEX_PAGE - first);
            let (now, later) = std::mem::take(&mut out).split_at_mut(n);
            self.page(io, at / INDEX_PAGE, |bytes| {
                // A page ends before its full length only where the body does.
                if let Some(from) = bytes.get(first..first + n) {
                    now.copy_from_slice(from);
                }
            })?;
            at += n;
            out = later;
        }
        Ok(())
    }
}
