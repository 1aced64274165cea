//! Decoded blocks, bounded in bytes, so that a loop of `get` over neighbours decodes each once.

use crate::wire::{AlignedBuf, briefly, prefetch};
use once_cell::race::OnceBox;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const WAYS: usize = 4;
/// The smallest blocks for which there are places enough to fill a cache, in bytes.
const SMALL: usize = 4 << 10;
/// Most sets.
const SETS_MAX: usize = 4096;
/// Marks of blocks that were decoded lately.
const MARKS: usize = 8192;
/// Blocks that were read in part, in the order in which they were.
const RECENT: usize = 8;
/// Once the cache is full, one in so many blocks that were seen before takes a place.
const RARE: u32 = 16;

type Block = Arc<AlignedBuf>;
/// Chunk, number and address of a block, and the block itself.
type Set = [Option<(u64, u32, usize, Block)>; WAYS];

/// A cache of few ways: the newest block of a set comes first, the oldest falls out. A lock
/// that is held, by another thread or by a parent before a fork, is tried [a few times](briefly), and never
/// waited for: the block is then decoded again.
///
/// The two blocks that were decoded last are always kept, the first and the last one of a batch, whichever
/// of its threads is done first; others only when they are decoded for the second time within a while. Random reads of a store much larger than the cache would else
/// fill it with blocks that nobody asks for again, each in memory that no cache of the
/// processor holds: that cost more than the decoding.
///
/// Of a block of which a part is wanted and a part can be decoded, only the part is, unless the
/// block [pays](Self::pays).
#[derive(Debug)]
pub(crate) struct BlockCache {
    last: Mutex<[Option<(u64, u32, Block)>; 2]>,
    /// Their marks: most reads are of another, and need not touch the lock.
    last_marks: [AtomicU32; 2],
    /// Blocks of which a part was read, the last few.
    recent: Box<[AtomicU32]>,
    turn: AtomicU32,
    /// These and the sets are made when the first one is needed, as to open a store for one record
    /// needs neither, and without a lock that a parent could hold when it forks.
    marks: OnceBox<Vec<AtomicU32>>,
    sets: OnceBox<Vec<Mutex<Set>>>,
    bytes: AtomicUsize,
    limit: usize,
}

impl BlockCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            last: Mutex::default(),
            last_marks: Default::default(),
            recent: (0..RECENT).map(|_| AtomicU32::new(0)).collect(),
            turn: AtomicU32::new(0),
            marks: OnceBox::new(),
            sets: OnceBox::new(),
            bytes: AtomicUsize::new(0),
            limit,
        }
    }

    fn hash(chunk: u64, block: u32) -> u64 {
        (chunk.wrapping_mul(8191) ^ u64::from(block)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The mark of a block; never 0.
    fn mark(hash: u64) -> u32 {
        u32::try_from(hash & 0xffff_ffff).unwrap_or(0) | 1
    }

    /// Whether the block was decoded lately; leaves its mark.
    fn is_marked(&self, chunk: u64, block: u32) -> bool {
        let h = Self::hash(chunk, block);
        let place = usize::try_from(h >> 32).unwrap_or(0) % MARKS;
        let mark = Self::mark(h);
        let new = || Box::new((0..MARKS).map(|_| AtomicU32::new(0)).collect());
        let marks = self.marks.get_or_init(new);
        marks.get(place).is_some_and(|m| m.swap(mark, Ordering::Relaxed) == mark)
    }

    /// Whether the whole of a block of `len` bytes should be decoded, and kept, although a part
    /// of it is enough; leaves its mark if not.
    ///
    /// So it is when another part was read a moment ago: then neighbours are being read. So it
    /// is, too, for a block that was read some time ago while there is room; when all is full,
    /// only now and then, so that reads of more blocks than the cache holds find those again
    /// that it has instead of pushing out one another.
    pub(crate) fn pays(&self, chunk: u64, block: u32, len: usize) -> bool {
        if len > self.limit / 8 {
            return false;
        }
        let mark = Self::mark(Self::hash(chunk, block));
        if self.recent.iter().any(|r| r.load(Ordering::Relaxed) == mark) {
            return true;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if let Some(place) = self.recent.get(turn as usize % RECENT) {
            place.store(mark, Ordering::Relaxed);
        }
        if !self.is_marked(chunk, block) {
            return false;
        }
        let room = self.bytes.load(Ordering::Relaxed) + len <= self.limit
            && self.set(chunk, block).is_none_or(|set| {
                // The oldest goes first.
                set.try_lock().is_ok_and(|set| set.last().is_some_and(Option::is_none))
            });
        room || turn.is_multiple_of(RARE)
    }

    /// The set that a block belongs to; `None` while there are none.
    fn set(&self, chunk: u64, block: u32) -> Option<&Mutex<Set>> {
        let sets = self.sets.get()?;
        let place = usize::try_from(Self::hash(chunk, block) >> 48).unwrap_or(0);
        sets.get(place & (sets.len() - 1))
    }

    /// As many sets as the limit has places for small blocks: a power of two.
    fn new_sets(&self) -> Vec<Mutex<Set>> {
        let sets = (self.limit / (WAYS * SMALL)).next_power_of_two().min(SETS_MAX);
        (0..sets).map(|_| Mutex::default()).collect()
    }

    /// The block, if it is here; the bytes `wanted` of it are asked for from memory.
    pub(crate) fn get(&self, chunk: u64, block: u32, wanted: &Range<usize>) -> Option<Block> {
        let mark = Self::mark(Self::hash(chunk, block));
        if self.last_marks.iter().any(|last| last.load(Ordering::Relaxed) == mark)
            && let Some(last) = briefly(|| self.last.try_lock().ok())
            && let Some((.., data)) =
                last.iter().flatten().find(|(c, b, _)| (*c, *b) == (chunk, block))
        {
            return Some(data.clone());
        }
        if self.bytes.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let set = self.set(chunk, block)?;
        let mut set = briefly(|| set.try_lock().ok())?;
        let i =
            set.iter().position(|e| matches!(e, Some((c, b, ..)) if (*c, *b) == (chunk, block)))?;
        // One after the other: rotating so few is a call of its own.
        (0..i).rev().for_each(|k| set.swap(k, k + 1));
        // Before the count of its owners is looked at, which lies in memory as cold.
        let (_, _, address, block) = set.first()?.as_ref()?;
        prefetch(address.saturating_add(wanted.start), wanted.len());
        Some(block.clone())
    }

    pub(crate) fn insert(&self, chunk: u64, block: u32, data: &Block) {
        if data.len() > self.limit / 8 {
            return;
        }
        let old = briefly(|| self.last.try_lock().ok()).map(|mut last| {
            let [newest, other] = &self.last_marks;
            other.store(newest.load(Ordering::Relaxed), Ordering::Relaxed);
            newest.store(Self::mark(Self::hash(chunk, block)), Ordering::Relaxed);
            let [newest, other] = &mut *last;
            std::mem::replace(other, newest.replace((chunk, block, data.clone())))
        });
        // Freed, if at all, when no lock is held any more.
        drop(old);
        if !self.is_marked(chunk, block) {
            return;
        }
        self.sets.get_or_init(|| Box::new(self.new_sets()));
        let Some(set) = self.set(chunk, block) else { return };
        let Some(mut set) = briefly(|| set.try_lock().ok()) else { return };
        // Counted before it is held, so that threads together stay below the limit. The set gives up
        // its oldest, and more while there is no room; if that is not enough, the block is not kept,
        // but so there will be room for another one.
        let mut held = self.bytes.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        for (i, old) in set.iter_mut().rev().enumerate() {
            if i > 0 && held <= self.limit {
                break;
            }
            let freed = old.take().map_or(0, |(_, _, _, b)| b.len());
            held = self.bytes.fetch_sub(freed, Ordering::Relaxed) - freed;
        }
        if held > self.limit {
            self.bytes.fetch_sub(data.len(), Ordering::Relaxed);
            return;
        }
        set.rotate_right(1);
        if let Some(slot) = set.first_mut() {
            *slot = Some((chunk, block, data.as_ptr().addr(), data.clone()));
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
        let block = Arc::new(AlignedBuf::zeroed(10_000).unwrap());
        for i in 0..5000 {
            cache.insert(u64::from(i / 10), i % 10, &block);
            cache.insert(u64::from(i / 10), i % 10, &block);
            assert!(
                cache.get(u64::from(i / 10), i % 10, &(0..8)).is_some() || cache.held() > 1_000_000
            );
            assert!(cache.held() <= 1 << 20, "{}", cache.held());
        }
        assert!(BlockCache::new(0).get(1, 1, &(0..8)).is_none());
    }

    #[test]
    fn a_part_is_enough_until_neighbours_are_read_or_the_block_comes_again() {
        let cache = BlockCache::new(8 << 20);
        assert!(!cache.pays(1, 1, 100));
        assert!(cache.pays(1, 1, 100), "its neighbour was read a moment ago");
        for block in 2..50 {
            assert!(!cache.pays(1, block, 100));
        }
        assert!(cache.pays(1, 1, 100), "there is room");
        assert!(!BlockCache::new(0).pays(1, 1, 100));
        // Far more blocks than there are places, again and again.
        let block = Arc::new(AlignedBuf::zeroed(100).unwrap());
        let (mut found, mut decoded) = (0, 0);
        for _ in 0..10 {
            for i in 0..4000 {
                if cache.get(2, i, &(0..8)).is_some() {
                    found += 1;
                } else if cache.pays(2, i, 100) {
                    decoded += 1;
                    cache.insert(2, i, &block);
                }
            }
        }
        assert!(found > 5_000, "{found} of 40 000 were found");
        assert!(decoded < 5_000, "{decoded} blocks were decoded for a part of them");
    }

    #[test]
    fn the_limit_holds_for_blocks_of_all_lengths_and_large_ones_find_room_at_last() {
        let cache = BlockCache::new(1 << 20);
        let mut at = 0;
        for len in [4 << 10, 128 << 10, 1 << 10, 64 << 10, 100] {
            let block = Arc::new(AlignedBuf::zeroed(len).unwrap());
            let mut found = 0;
            for _ in 0..4000 {
                at += 1;
                cache.insert(at, 0, &block);
                cache.insert(at, 0, &block);
                cache.insert(at + 1_000_000, 0, &block);
                found += u32::from(cache.get(at, 0, &(0..8)).is_some());
                assert!(cache.held() <= 1 << 20, "{}", cache.held());
                let sets = cache.sets.get().unwrap().iter().map(|s| s.lock().unwrap());
                let all: usize =
                    sets.map(|s| s.iter().flatten().map(|e| e.3.len()).sum::<usize>()).sum();
                assert_eq!(all, cache.held());
            }
            assert!(found > 100, "{found} of 4000 blocks of {len} bytes were kept");
        }
    }

    #[test]
    fn a_block_read_once_is_found_until_two_others_were_and_one_read_twice_stays() {
        let cache = BlockCache::new(1 << 20);
        let block = Arc::new(AlignedBuf::zeroed(100).unwrap());
        for number in 1..4 {
            cache.insert(1, number, &block);
            assert!(cache.get(1, number, &(0..8)).is_some());
            assert!(number == 1 || cache.get(1, number - 1, &(0..8)).is_some());
        }
        assert!(cache.get(1, 1, &(0..8)).is_none());
        cache.insert(1, 1, &block);
        cache.insert(1, 4, &block);
        cache.insert(1, 5, &block);
        assert!(cache.get(1, 1, &(0..8)).is_some());
        assert!(cache.get(1, 2, &(0..8)).is_none());
    }
}
