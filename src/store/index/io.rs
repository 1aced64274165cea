//! The file under a store: its bytes by map or by read, whichever the backend offers.

use crate::backend::{Backend, Mapping};
use crate::error::{Error, Result};
use crate::limits::INDEX_PAGE;
use crate::store::index::near::Near;
use crate::store::index::pages::{Page, PageCache};
use crate::wire::{memory, to_usize};
use crossbeam::sync::ShardedLock;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Most memory that a thread keeps for its next read, in bytes.
const SPACE_KEPT: usize = 1 << 20;

thread_local! {
    /// Where a thread reads to what it looks at once. New memory for each read, zeroed first, costs
    /// as much as the read.
    static SPACE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Index bytes and short blocks are read so often before the map is used for them. To touch a page of the map
/// costs a fault now and its share of unmapping it later, together five times what it costs to
/// read the bytes, so that the map pays for who comes back, not for who opens a file for one
/// record.
const READS_BEFORE_MAP: u32 = 64;

/// A backend with the file's id, an optional map of it and, without one, a cache of index pages.
#[derive(Debug)]
pub(crate) struct Io {
    backend: Arc<dyn Backend>,
    file: [u8; 16],
    len: AtomicU64,
    /// As the file was at first: all that a reader needs. A lock for each look would cost as much as what
    /// is looked at.
    map: Option<Mapping>,
    /// The file after it grew, once somebody asked for what is new.
    grown: ShardedLock<Option<Mapping>>,
    has_grown: AtomicBool,
    far: bool,
    near: bool,
    gap: u64,
    reads: AtomicU32,
    pages: Arc<PageCache>,
}

impl Io {
    pub(crate) fn new(backend: Arc<dyn Backend>, file: [u8; 16]) -> Result<Self> {
        let len = backend.len()?;
        let map = backend.map(len)?;
        Ok(Self {
            file,
            len: AtomicU64::new(len),
            map,
            grown: ShardedLock::default(),
            has_grown: AtomicBool::new(false),
            far: backend.is_far(),
            near: false,
            gap: backend.gap(),
            reads: AtomicU32::new(0),
            backend,
            pages: Arc::default(),
        })
    }

    /// The same file, of which only what is here is read: all else fails, and the other value knows what it was.
    pub(crate) fn near(&self) -> Result<(Self, Arc<Near>)> {
        let near = Arc::new(Near::new(self.backend.clone()));
        // What is found now is read again soon.
        let pages = self.pages.clone();
        Ok((Self { near: true, pages, ..Self::new(near.clone(), self.file)? }, near))
    }

    pub(crate) const fn file(&self) -> [u8; 16] {
        self.file
    }

    /// Length of the file when it was last looked at or written.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    pub(crate) const fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.backend.write_at(offset, data)?;
        self.len.fetch_max(offset + data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// The map, if it reaches to `end`; the file may have grown since it was made, then it is
    /// made anew.
    pub(crate) fn mapping(&self, end: u64) -> Option<Mapping> {
        let first = self.map.as_ref()?;
        let covers = |m: &&Mapping| m.len() as u64 >= end;
        if let Some(m) = Some(first).filter(covers) {
            return Some(m.clone());
        }
        if let Ok(grown) = self.grown.read()
            && let Some(m) = grown.as_ref().filter(covers)
        {
            return Some(m.clone());
        }
        let len = self.backend.len().ok().filter(|len| *len >= end)?;
        let mut grown = self.grown.write().ok()?;
        if grown.as_ref().is_none_or(|m| !covers(&m)) {
            *grown = self.backend.map(len).ok()?;
            self.has_grown.store(grown.is_some(), Ordering::Relaxed);
        }
        grown.as_ref().filter(covers).cloned()
    }

    /// Calls `f` with the map as it is, which may not reach to the end of the file; `None`
    /// without one, or while it is better not touched.
    pub(crate) fn mapped<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let first = self.map.as_ref()?;
        if self.reads.load(Ordering::Relaxed) < READS_BEFORE_MAP {
            return None;
        }
        if !self.has_grown.load(Ordering::Relaxed) {
            return Some(f(first));
        }
        self.grown.read().ok()?.as_deref().map(f)
    }

    /// Whether bytes are still read although there is a map; counts the read.
    fn is_fresh(&self) -> bool {
        self.reads.load(Ordering::Relaxed) < READS_BEFORE_MAP
            && self.reads.fetch_add(1, Ordering::Relaxed) < READS_BEFORE_MAP
    }

    /// Calls `f` with `len` bytes at `offset`: from the map where there is one, else read.
    pub(crate) fn bytes<R>(
        &self,
        offset: u64,
        len: usize,
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        let end = offset.checked_add(len as u64).ok_or_else(|| past(offset))?;
        if let Some(map) = &self.map
            && !(len <= INDEX_PAGE && self.is_fresh())
        {
            let start = usize::try_from(offset).map_err(|_| past(offset))?;
            if let Some(slice) = map.get(start..start + len) {
                return Ok(f(slice));
            }
            if let Ok(map) = self.grown.read()
                && let Some(slice) = map.as_ref().and_then(|m| m.get(start..start + len))
            {
                return Ok(f(slice));
            }
            if let Some(map) = self.mapping(end)
                && let Some(slice) = map.get(start..start + len)
            {
                return Ok(f(slice));
            }
        }
        self.read_into_space(offset, len, 0, f)
    }

    /// Calls `f` with `len` bytes at `offset`, read by a call, and `slack` bytes of any kind behind them.
    pub(crate) fn read_into_space<R>(
        &self,
        offset: u64,
        len: usize,
        slack: usize,
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        self.holds(offset, len)?;
        let mut space = SPACE.try_with(RefCell::take).unwrap_or_default();
        let all = len.saturating_add(slack);
        if space.len() < all {
            let more = all - space.len();
            memory::reserve(&mut space, more)?;
            space.resize(all, 0);
        }
        let bytes = space.get_mut(..len).unwrap_or_default();
        let read = self.backend.read_at(offset, bytes);
        let done = read.map(|()| f(space.get(..all).unwrap_or_default()));
        if space.len() <= SPACE_KEPT {
            // Lost where the thread ends.
            let _ = SPACE.try_with(|kept| kept.replace(space));
        }
        done
    }

    /// Refuses bytes that are not in the file, before there is memory for them.
    pub(crate) fn holds(&self, offset: u64, len: usize) -> Result<()> {
        let end = offset.checked_add(len as u64).ok_or_else(|| past(offset))?;
        if end > self.len() && end > self.backend.len()? {
            return Err(past(offset));
        }
        Ok(())
    }

    /// Whether the bytes come by calls, each of which has its cost.
    pub(crate) const fn reads_by_calls(&self) -> bool {
        self.map.is_none()
    }

    /// Whether a read costs a round trip over a network, so that it pays to announce what will be read.
    pub(crate) const fn is_far(&self) -> bool {
        self.far
    }

    /// Whether reads that would wait fail.
    pub(crate) const fn is_near(&self) -> bool {
        self.near
    }

    /// Says what will be read, so that it comes in one round trip; ranges that are empty or reach past the
    /// end are cut.
    pub(crate) fn announce(&self, ranges: impl IntoIterator<Item = Range<u64>>) -> Result<()> {
        let len = self.len();
        let ranges = ranges.into_iter().map(|r| r.start..r.end.min(len));
        let ranges: Vec<Range<u64>> = ranges.filter(|r| r.start < r.end).collect();
        if ranges.is_empty() { Ok(()) } else { self.backend.announce(&ranges) }
    }

    /// Lets bytes that do not agree with their checksum be fetched again, if they come from far away; whether
    /// they do.
    pub(crate) fn forget(&self, offset: u64, len: usize) -> bool {
        if self.far {
            self.pages.remove(offset);
            self.backend.refetch(offset..offset.saturating_add(len as u64));
        }
        self.far
    }

    /// What damage is of bytes that were fetched twice: if the object was replaced meanwhile, that.
    pub(crate) fn or_replaced(&self, damage: Error) -> Error {
        match self.backend.check_current() {
            Err(e) if self.far && matches!(e.root(), Error::Replaced) => e,
            _ => damage,
        }
    }

    /// Bytes that are rather read in vain than skipped by one more call; 0 where calls cost little.
    pub(crate) fn gap(&self) -> u64 {
        self.gap
    }

    /// Fills `out` with the bytes at `offset`, by a call.
    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.backend.read_at(offset, out)
    }

    /// Calls `f` with `len` bytes at byte `at` of a list that is read in pages where there is no
    /// map: it lies from `start` to `end`, and the bytes in one of its pages.
    pub(crate) fn piece<R>(
        &self,
        list: Range<u64>,
        at: u64,
        len: usize,
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        let page = INDEX_PAGE as u64;
        let first = list.start + (at - list.start) / page * page;
        let n = to_usize(page.min(list.end - first)).unwrap_or(INDEX_PAGE);
        if self.map.is_some() {
            return self.bytes(at, len, f);
        }
        let from = to_usize(at - first).unwrap_or(n);
        self.page(first, n, |bytes, _| f(bytes.get(from..from + len).unwrap_or_default()))
    }

    /// Calls `f` with a page of an index segment and whether these bytes have just been read
    /// from the file, so that an earlier check says nothing of them. Where there is a map an earlier
    /// check counts, of what was read, too: it is what is mapped.
    pub(crate) fn page<R>(
        &self,
        offset: u64,
        len: usize,
        f: impl FnOnce(&[u8], bool) -> R,
    ) -> Result<R> {
        debug_assert!(len <= INDEX_PAGE, "a page is at most a page");
        let maps = self.map.is_some();
        if maps && self.reads.load(Ordering::Relaxed) >= READS_BEFORE_MAP {
            return self.bytes(offset, len, |b| f(b, false));
        }
        if let Some(page) = self.pages.get(offset, len) {
            return Ok(f(&page, false));
        }
        let page: Page = self.bytes(offset, len, |b| Arc::from(b))?;
        let out = f(&page, !maps);
        self.pages.insert(offset, page);
        Ok(out)
    }
}

fn past(offset: u64) -> Error {
    Error::corrupt("file", offset, "ends before this place; it was cut short")
}
