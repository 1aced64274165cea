//! A backend over what is read by ranges: pages in memory and on a local disk, reads ahead, and many
//! ranges fetched in one round trip.

mod coalesce;
mod disk;
mod page;
mod table;

use self::coalesce::coalesce;
pub use self::disk::DiskCache;
use self::disk::DiskObject;
use self::page::{PAGE, Page};
use self::table::Table;
use super::bounds::ends_before;
use super::ranges::{Begun, RangeSource};
use super::{Backend, Mapping, process_id};
use crate::error::{Error, Result};
use crate::wire::to_usize;
use once_cell::race::OnceBox;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that the first request asks for: the header of a store with its slots.
const BEGIN: u64 = PAGE;

/// Read-only bytes of a [`RangeSource`].
///
/// Reads of one page at a time cost one request each; what is announced, or read one behind the other,
/// comes in few requests side by side. All pages are of one version of the object: if it is replaced,
/// reads of what is not here yet fail with [`Error::Replaced`].
pub struct PagedBackend {
    source: Arc<dyn RangeSource>,
    len: u64,
    version: Option<Box<str>>,
    disk: Option<DiskObject>,
    pages: Here,
    memory: usize,
}

/// The pages of one process: a forked child may not touch locks of its parent.
#[derive(Debug)]
struct Here {
    process: u32,
    table: Table,
    next: OnceBox<Here>,
}

impl Here {
    fn new(memory: usize) -> Self {
        Self { process: process_id(), table: Table::new(memory), next: OnceBox::new() }
    }
}

impl PagedBackend {
    /// Opens the object of `source` with one request. `memory` bytes of pages are kept at most, 1 MiB at
    /// least; pages on a local disk are shared by all processes that give the same cache, and used only
    /// if the source tells versions apart.
    ///
    /// # Errors
    /// As [`RangeSource::begin`].
    pub fn open(
        source: Arc<dyn RangeSource>,
        memory: usize,
        disk: Option<&DiskCache>,
    ) -> Result<Self> {
        let Begun { len, version, bytes } = source.begin(BEGIN)?;
        let disk = disk.zip(version.as_deref());
        let disk = disk.map(|(disk, version)| disk.object(source.name(), version, len));
        let pages = Here::new(memory);
        let whole = bytes.len() as u64 == len.min(BEGIN) && !bytes.is_empty();
        if whole {
            pages.table.keep([(0, Page::from(bytes))]);
        }
        Ok(Self { source, len, version, disk, pages, memory })
    }

    /// The version of the object that is read, as its source tells it.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What the object is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name()
    }

    fn table(&self) -> &Table {
        let (process, mut here) = (process_id(), &self.pages);
        while here.process != process {
            here = here.next.get_or_init(|| Box::new(Here::new(self.memory)));
        }
        &here.table
    }

    /// The pages in which these bytes lie.
    fn pages_of(&self, bytes: &Range<u64>) -> Range<u64> {
        let end = bytes.end.min(self.len);
        if bytes.start >= end { 0..0 } else { bytes.start / PAGE..(end - 1) / PAGE + 1 }
    }

    fn bytes_of(&self, pages: &Range<u64>) -> Range<u64> {
        pages.start * PAGE..(pages.end.saturating_mul(PAGE)).min(self.len)
    }

    /// Fetches pages, which ascend: from the disk those that are there, the others from the source.
    /// Some that lie between them may come along.
    fn fetch(&self, pages: &[u64]) -> Result<Vec<(u64, Page)>> {
        let mut out = Vec::new();
        let mut far = Vec::new();
        for page in pages {
            let range = self.bytes_of(&(*page..page + 1));
            let len = to_usize(range.end.saturating_sub(range.start)).unwrap_or(0);
            match self.disk.as_ref().and_then(|disk| disk.get(*page, len)) {
                Some(found) => out.push((*page, found)),
                None => far.push(*page),
            }
        }
        if far.is_empty() {
            return Ok(out);
        }
        let runs = coalesce(&far);
        let ranges: Vec<Range<u64>> = runs.iter().map(|run| self.bytes_of(run)).collect();
        let read = self.source.read(&ranges, self.version.as_deref())?;
        let mut read = read.into_iter();
        for (run, range) in runs.iter().zip(&ranges) {
            let bytes = read.next().unwrap_or_default();
            if bytes.len() as u64 != range.end - range.start {
                let why = format!("{}: the answer was cut short", self.source.name());
                let short = io::Error::new(io::ErrorKind::UnexpectedEof, why);
                return Err(Error::io_at("read", range.start, short));
            }
            let size = to_usize(PAGE).unwrap_or(usize::MAX);
            for (page, bytes) in run.clone().zip(bytes.chunks(size)) {
                let held = Page::from(bytes);
                if let Some(disk) = &self.disk {
                    disk.put(page, &held);
                }
                out.push((page, held));
            }
        }
        Ok(out)
    }
}

impl Backend for PagedBackend {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.len);
        let end = end.ok_or_else(|| ends_before(offset))?;
        let wanted = self.pages_of(&(offset..end));
        let last = self.len.div_ceil(PAGE);
        let mut rest = buf;
        let mut at = offset;
        self.table().with(
            wanted,
            last,
            |pages| self.fetch(pages),
            |page, bytes| {
                let skip = to_usize(at - page * PAGE).unwrap_or(usize::MAX);
                let from = bytes.get(skip..).unwrap_or_default();
                let n = from.len().min(rest.len());
                let (now, later) = std::mem::take(&mut rest).split_at_mut(n);
                now.copy_from_slice(from.get(..n).unwrap_or_default());
                (at, rest) = (at + n as u64, later);
            },
        )?;
        if rest.is_empty() { Ok(()) } else { Err(ends_before(at)) }
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn set_len(&self, _len: u64) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn sync(&self) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn map(&self, len: u64) -> Result<Option<Mapping>> {
        if len > self.len { Err(ends_before(self.len)) } else { Ok(None) }
    }

    fn writable(&self) -> bool {
        false
    }

    fn is_far(&self) -> bool {
        true
    }

    fn announce(&self, ranges: &[Range<u64>]) -> Result<()> {
        let pages: BTreeSet<u64> = ranges.iter().flat_map(|range| self.pages_of(range)).collect();
        self.table().announce(pages, |pages| self.fetch(pages))
    }

    fn is_here(&self, range: Range<u64>) -> bool {
        self.table().are_here(self.pages_of(&range))
    }

    fn refetch(&self, range: Range<u64>) {
        let pages = self.pages_of(&range);
        if let Some(disk) = &self.disk {
            pages.clone().for_each(|page| disk.forget(page));
        }
        self.table().forget(pages);
    }

    fn check_current(&self) -> Result<()> {
        let now = match self.source.begin(1) {
            Ok(now) => now,
            Err(e) => {
                let gone = matches!(e.root(), Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound);
                return Err(if gone { self.replaced() } else { e });
            }
        };
        if now.len != self.len || now.version != self.version {
            return Err(self.replaced());
        }
        Ok(())
    }
}

impl PagedBackend {
    fn replaced(&self) -> Error {
        Error::Replaced.at(self.source.name().as_ref())
    }
}

impl fmt::Debug for PagedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagedBackend")
            .field("source", &self.source.name())
            .field("len", &self.len)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
