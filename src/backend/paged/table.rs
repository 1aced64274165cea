//! The pages that are in memory, those that are on their way, and those that will be wanted.

use super::page::{PAGE, Page};
use crate::error::Result;
use crate::wire::{ByNumber, to_usize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

type Pages = HashMap<u64, Page, BuildHasherDefault<ByNumber>>;

/// Pages that are read ahead at once, at most: 4 MiB.
const AHEAD: u64 = 256;
/// Readers that go through the object one page behind the other, of which the end is known.
const STREAMS: usize = 8;
/// Pages that a table has room for at least.
const LEAST: usize = 64;

#[derive(Debug)]
pub(super) struct Table {
    held: Mutex<Held>,
    arrived: Condvar,
    /// Pages that are kept, at most.
    room: usize,
}

/// When the young pages are many they become the old ones, whose turn to go comes next; an old one
/// that is asked for is young again.
#[derive(Debug, Default)]
struct Held {
    young: Pages,
    old: Pages,
    /// Pages that a thread is fetching.
    coming: HashSet<u64>,
    /// Pages that were announced and did not fit yet.
    announced: BTreeSet<u64>,
    /// Where readers in order will go on, and how many pages they got at once; the newest last.
    streams: Vec<(u64, u64)>,
}

impl Held {
    fn get(&mut self, page: u64, room: usize) -> Option<Page> {
        if let Some(found) = self.young.get(&page) {
            return Some(found.clone());
        }
        let found = self.old.remove(&page)?;
        self.put(page, found.clone(), room);
        Some(found)
    }

    fn put(&mut self, page: u64, bytes: Page, room: usize) {
        if self.young.len() >= room / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(page, bytes);
    }

    fn is_here(&self, page: u64) -> bool {
        self.young.contains_key(&page)
            || self.old.contains_key(&page)
            || self.coming.contains(&page)
    }

    /// What to fetch with the pages `wanted`, some of which are missing: what will be wanted next.
    fn along(&mut self, wanted: &Range<u64>, last: u64, room: usize) -> Vec<u64> {
        let most = room / 4;
        let next = self.announced.range(wanted.end..).take(most).copied().collect::<Vec<_>>();
        if self.announced.range(wanted.clone()).next().is_some() {
            for page in wanted.clone().chain(next.iter().copied()) {
                self.announced.remove(&page);
            }
            return next;
        }
        let n = wanted.end - wanted.start;
        // A read that continues where the last one stopped, or in the same page.
        let known =
            self.streams.iter().position(|(at, _)| (wanted.start..=wanted.end).contains(at));
        let got = known.map(|i| self.streams.remove(i).1);
        if got.is_none() && self.streams.len() == STREAMS {
            self.streams.remove(0);
        }
        // The first read is only noted; who goes on gets twice as much each time.
        let ahead = got.map_or(0, |got| (2 * got.max(n)).min(AHEAD).min(most as u64));
        let end = wanted.end.saturating_add(ahead).min(last).max(wanted.end);
        self.streams.push((end, ahead.max(n)));
        (wanted.end..end).collect()
    }
}

/// Pages that this thread fetches: whatever happens, others do not wait for them for ever.
struct Coming<'a> {
    table: &'a Table,
    pages: Vec<u64>,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let mut held = self.table.lock();
        for page in &self.pages {
            held.coming.remove(page);
        }
        drop(held);
        self.table.arrived.notify_all();
    }
}

impl Table {
    pub(super) fn new(memory: usize) -> Self {
        let room = to_usize(memory as u64 / PAGE).unwrap_or(LEAST).max(LEAST);
        Self { held: Mutex::default(), arrived: Condvar::new(), room }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps pages.
    pub(super) fn keep(&self, pages: impl IntoIterator<Item = (u64, Page)>) {
        let mut held = self.lock();
        for (page, bytes) in pages {
            held.put(page, bytes, self.room);
        }
    }

    pub(super) fn forget(&self, pages: Range<u64>) {
        let mut held = self.lock();
        for page in pages {
            held.young.remove(&page);
            held.old.remove(&page);
        }
    }

    /// Whether these pages can be read without waiting.
    pub(super) fn are_here(&self, mut pages: Range<u64>) -> bool {
        let mut held = self.lock();
        // One that is old would go before it is read.
        pages.all(|page| held.get(page, self.room).is_some())
    }

    /// Calls `f` with each of the pages `wanted`, in order; those that are not here are fetched, with what
    /// will be wanted next. `last` is the end of all pages.
    pub(super) fn with(
        &self,
        wanted: Range<u64>,
        last: u64,
        fetch: impl Fn(&[u64]) -> Result<Vec<(u64, Page)>>,
        mut f: impl FnMut(u64, &[u8]),
    ) -> Result<()> {
        // Those that came: they may be gone from the table again before all are here.
        let mut found: HashMap<u64, Page> = HashMap::new();
        loop {
            let mut held = self.lock();
            let (mut missing, mut waits) = (Vec::new(), false);
            for page in wanted.clone().filter(|page| !found.contains_key(page)).collect::<Vec<_>>()
            {
                if let Some(bytes) = held.get(page, self.room) {
                    found.insert(page, bytes);
                } else if held.coming.contains(&page) {
                    waits = true;
                } else {
                    missing.push(page);
                }
            }
            if missing.is_empty() {
                if !waits {
                    break;
                }
                drop(self.arrived.wait(held).unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            let along = held.along(&wanted, last, self.room);
            missing.extend(along.into_iter().filter(|page| !held.is_here(*page)));
            for (page, bytes) in self.bring(held, missing, &fetch)? {
                if wanted.contains(&page) {
                    found.insert(page, bytes);
                }
            }
        }
        for page in wanted {
            if let Some(bytes) = found.get(&page) {
                f(page, bytes);
            }
        }
        Ok(())
    }

    /// Fetches those of the pages that are not here, as many as fit; the others are noted.
    pub(super) fn announce(
        &self,
        pages: BTreeSet<u64>,
        fetch: impl Fn(&[u64]) -> Result<Vec<(u64, Page)>>,
    ) -> Result<()> {
        let mut held = self.lock();
        // One that is old would go before it is read.
        let missing: Vec<u64> =
            pages.into_iter().filter(|p| held.get(*p, self.room).is_none()).collect();
        let mut missing: Vec<u64> =
            missing.into_iter().filter(|page| !held.coming.contains(page)).collect();
        let later = missing.split_off(missing.len().min(self.room / 2));
        held.announced = later.into_iter().collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.bring(held, missing, &fetch).map(drop)
    }

    fn bring(
        &self,
        mut held: MutexGuard<'_, Held>,
        mut pages: Vec<u64>,
        fetch: &impl Fn(&[u64]) -> Result<Vec<(u64, Page)>>,
    ) -> Result<Vec<(u64, Page)>> {
        pages.sort_unstable();
        held.coming.extend(&pages);
        drop(held);
        let coming = Coming { table: self, pages };
        let got = fetch(&coming.pages)?;
        self.keep(got.iter().cloned());
        drop(coming);
        Ok(got)
    }
}
