//! Decoded blocks, bounded in bytes, so that a loop of `get` over neighbours decodes each once.

use crate::wire::AlignedBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const WAYS: usize = 4;
const SETS: usize = 512;
/// Marks of blocks that were decoded lately.
const MARKS: usize = 4096;

type Block = Arc<AlignedBuf>;
type Set = [Option<(u64, u32, Block)>; WAYS];

/// A cache of few ways: the newest block of a set comes first, the oldest falls out. A lock
/// that is held, by another thread or by a parent before a fork, is never waited for: the
/// block is then decoded again.
///
/// The block that was decoded last is always kept; others only when they are decoded for the
/// second time within a while. Random reads of a store much larger than the cache would else
/// fill it with blocks that nobody asks for again, each in memory that no cache of the
/// processor holds: that cost more than the decoding.
#[derive(Debug)]
pub(super) struct BlockCache {
    last: Mutex<Option<(u64, u32, Block)>>,
    marks: Box<[AtomicU32]>,
    sets: Box<[Mutex<Set>]>,
    bytes: AtomicUsize,
    limit: usize,
}

impl BlockCache {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            last: Mutex::default(),
            marks: (0..if limit == 0 { 0 } else { MARKS }).map(|_| AtomicU32::new(0)).collect(),
            sets: (0..if limit == 0 { 0 } else { SETS }).map(|_| Mutex::default()).collect(),
            bytes: AtomicUsize::new(0),
            limit,
        }
    }

    fn hash(chunk: u64, block: u32) -> u64 {
        (chunk.wrapping_mul(8191) ^ u64::from(block)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Whether the block was decoded lately; leaves its mark.
    fn is_marked(&self, chunk: u64, block: u32) -> bool {
        let h = Self::hash(chunk, block);
        let place = usize::try_from(h >> 40).unwrap_or(0) % MARKS;
        let mark = u32::try_from(h & 0xffff_ffff).unwrap_or(0) | 1;
        self.marks.get(place).is_some_and(|m| m.swap(mark, Ordering::Relaxed) == mark)
    }

    fn set(&self, chunk: u64, block: u32) -> Option<&Mutex<Set>> {
        let h = Self::hash(chunk, block);
        self.sets.get(usize::try_from(h >> 55).unwrap_or(0) % SETS)
    }

    pub(super) fn get(&self, chunk: u64, block: u32) -> Option<Block> {
        let set = self.set(chunk, block)?;
        if let Ok(last) = self.last.try_lock()
            && let Some((c, b, data)) = last.as_ref()
            && (*c, *b) == (chunk, block)
        {
            return Some(data.clone());
        }
        let mut set = set.try_lock().ok()?;
        let i =
            set.iter().position(|e| matches!(e, Some((c, b, _)) if (*c, *b) == (chunk, block)))?;
        set.get_mut(..=i)?.rotate_right(1);
        set.first()?.as_ref().map(|(_, _, block)| block.clone())
    }

    pub(super) fn insert(&self, chunk: u64, block: u32, data: &Block) {
        if data.len() > self.limit / 8 {
            return;
        }
        let Some(set) = self.set(chunk, block) else { return };
        let old = match self.last.try_lock() {
            Ok(mut last) => last.replace((chunk, block, data.clone())),
            Err(_) => None,
        };
        // Freed, if at all, when no lock is held any more.
        drop(old);
        if !self.is_marked(chunk, block) {
            return;
        }
        let Ok(mut set) = set.try_lock() else { return };
        // While all is over the limit a set gives up two blocks for each that it takes.
        let mut freed = 0;
        let full = self.bytes.load(Ordering::Relaxed) + data.len() > self.limit;
        for old in set.iter_mut().rev().take(if full { 2 } else { 1 }) {
            freed += old.take().map_or(0, |(_, _, b)| b.len());
        }
        if full && freed == 0 {
            return;
        }
        set.rotate_right(1);
        if let Some(slot) = set.first_mut() {
            *slot = Some((chunk, block, data.clone()));
        }
        if data.len() >= freed {
            self.bytes.fetch_add(data.len() - freed, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(freed - data.len(), Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_again_and_the_limit_holds() {
        let cache = BlockCache::new(1 << 20);
        let block = Arc::new(AlignedBuf::zeroed(10_000));
        for i in 0..5000 {
            cache.insert(u64::from(i / 10), i % 10, &block);
            cache.insert(u64::from(i / 10), i % 10, &block);
            assert!(cache.get(u64::from(i / 10), i % 10).is_some() || cache.held() > 1_000_000);
            assert!(cache.held() <= (1 << 20) + 10_000, "{}", cache.held());
        }
        assert!(BlockCache::new(0).get(1, 1).is_none());
    }

    #[test]
    fn a_block_read_once_is_found_until_the_next_one_and_one_read_twice_stays() {
        let cache = BlockCache::new(1 << 20);
        let block = Arc::new(AlignedBuf::zeroed(100));
        cache.insert(1, 1, &block);
        assert!(cache.get(1, 1).is_some());
        cache.insert(1, 2, &block);
        assert!(cache.get(1, 2).is_some());
        assert!(cache.get(1, 1).is_none());
        cache.insert(1, 1, &block);
        cache.insert(1, 3, &block);
        assert!(cache.get(1, 1).is_some());
    }
}
