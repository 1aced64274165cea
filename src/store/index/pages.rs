//! Index pages that were read, bounded in bytes, for stores that are read by calls.

use crate::wire::{ByNumber, briefly};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, RwLock, RwLockWriteGuard};

/// Threads that ask for different pages seldom meet at one of these.
const SHARDS: usize = 16;
/// Pages of one generation of a shard, for pages of 16 KiB: 64 MiB in all.
const KEPT: usize = 128;

pub(crate) type Page = Arc<[u8]>;
type Pages = HashMap<u64, Page, BuildHasherDefault<ByNumber>>;

/// Pages by their places. When the young ones are many they become the old ones, whose turn to
/// go comes next; an old one that is asked for is young again. So those go that were not asked
/// for, without a list of who was asked for when.
#[derive(Debug, Default)]
pub(crate) struct PageCache {
    shards: [RwLock<Generations>; SHARDS],
}

#[derive(Debug, Default)]
struct Generations {
    young: Pages,
    old: Pages,
}

impl PageCache {
    fn shard(&self, at: u64) -> Option<&RwLock<Generations>> {
        let place = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        self.shards.get(usize::try_from(place).unwrap_or(0) % SHARDS)
    }

    /// A lock that another thread holds, or a parent before a fork, is tried [a few times](briefly), and never
    /// waited for: the page is read again. Threads that find a page do not hinder each other.
    fn to_change(&self, at: u64) -> Option<RwLockWriteGuard<'_, Generations>> {
        let shard = self.shard(at)?;
        briefly(|| shard.try_write().ok())
    }

    /// The page at `at`, if it is here and has `len` bytes.
    pub(crate) fn get(&self, at: u64, len: usize) -> Option<Page> {
        let shard = self.shard(at)?;
        if let Some(page) = briefly(|| shard.try_read().ok())?.young.get(&at) {
            return Some(page.clone()).filter(|page| page.len() == len);
        }
        let mut shard = self.to_change(at)?;
        let page = shard.old.remove(&at)?;
        let dropped = shard.keep(at, page.clone());
        drop(shard);
        drop(dropped);
        Some(page).filter(|page| page.len() == len)
    }

    pub(crate) fn remove(&self, at: u64) {
        if let Some(mut shard) = self.to_change(at) {
            let gone = (shard.young.remove(&at), shard.old.remove(&at));
            drop(shard);
            drop(gone);
        }
    }

    pub(crate) fn insert(&self, at: u64, page: Page) {
        let dropped = self.to_change(at).map(|mut shard| shard.keep(at, page));
        // Freed when the lock is not held any more.
        drop(dropped);
    }
}

impl Generations {
    /// Keeps a page, as a young one; what goes for it.
    fn keep(&mut self, at: u64, page: Page) -> Pages {
        let mut gone = Pages::default();
        if self.young.len() >= KEPT {
            gone = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
        self.young.insert(at, page);
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_find_the_same_page_do_not_hinder_each_other() {
        let cache = PageCache::default();
        cache.insert(0, vec![7; 16].into());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100_000).for_each(|_| assert!(cache.get(0, 16).is_some())));
            }
        });
    }

    #[test]
    fn pages_in_use_stay_others_go_and_there_are_never_too_many() {
        let cache = PageCache::default();
        let page: Page = vec![7; 16].into();
        for i in 0..100_000_u64 {
            cache.insert(i * 16, page.clone());
            // Asked for now and then, so never the oldest.
            if i % 500 == 0 {
                assert!(cache.get(0, 16).is_some(), "{i}");
            }
            assert!(cache.get(i * 16, 16).is_some());
            assert!(cache.get(i * 16, 8).is_none(), "a page of another length");
        }
        let count = |s: &RwLock<Generations>| {
            let s = s.read().unwrap();
            assert!(s.young.len() <= KEPT && s.old.len() <= KEPT);
            s.young.len() + s.old.len()
        };
        let all: usize = cache.shards.iter().map(count).sum();
        assert!(all > SHARDS * KEPT / 2, "{all}");
        assert!(cache.get(16, 16).is_none(), "not asked for in a long time");
    }
}
