//! Where chunks lie in the file and how they are cut, as far as it was looked up.

use crate::chunk::ChunkLayout;
use crate::wire::{ByNumber, to_usize};
use crossbeam::sync::ShardedLock;
use once_cell::race::OnceBox;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Deref;
use std::sync::Arc;

/// Places for the chunks that come first: [`PARTS`] times so many.
const PART: usize = 64;
const PARTS: usize = 64;
/// Chunks of which no place was left, at most.
const OTHERS: usize = 4096;

/// A chunk in the file: where, how it is cut, and the checksums of its blocks (none in a file
/// of the original).
#[derive(Debug)]
pub(crate) struct ChunkLocation {
    pub(crate) chunk: u64,
    pub(crate) offset: u64,
    pub(crate) layout: ChunkLayout,
    pub(crate) sums: Option<Box<[u64]>>,
}

/// A chunk that was looked up.
#[derive(Debug, Clone)]
pub(crate) enum Located<'a> {
    /// It stays as long as its reader.
    Kept(&'a ChunkLocation),
    Shared(Arc<ChunkLocation>),
}

impl Deref for Located<'_> {
    type Target = ChunkLocation;
    #[inline]
    fn deref(&self) -> &ChunkLocation {
        match self {
            Self::Kept(kept) => kept,
            Self::Shared(shared) => shared,
        }
    }
}

type Part = Box<[OnceBox<ChunkLocation>]>;

/// The chunks that were looked up. Each has one place; it is found there without a lock and a count of
/// owners, which would cost each record as much as all else that is done to find it.
#[derive(Debug)]
pub(crate) struct ChunkLocations {
    /// The first chunk that asked for a place has it.
    kept: Box<[OnceBox<Part>]>,
    /// Those that came later, of stores of very many chunks.
    others: ShardedLock<HashMap<u64, Arc<ChunkLocation>, BuildHasherDefault<ByNumber>>>,
}

impl Default for ChunkLocations {
    fn default() -> Self {
        let kept = (0..PARTS).map(|_| OnceBox::new()).collect();
        Self { kept, others: ShardedLock::default() }
    }
}

impl ChunkLocations {
    #[inline]
    fn place(&self, chunk: u64) -> Option<(&OnceBox<Part>, usize)> {
        let place = to_usize(chunk % (PART * PARTS) as u64)?;
        Some((self.kept.get(place / PART)?, place % PART))
    }

    /// The chunk, if it was looked up before.
    #[inline]
    pub(crate) fn get(&self, chunk: u64) -> Option<Located<'_>> {
        let (part, i) = self.place(chunk)?;
        let kept = part.get()?.get(i)?.get()?;
        if kept.chunk == chunk { Some(Located::Kept(kept)) } else { self.other(chunk) }
    }

    /// A lock that another thread holds, or a parent before a fork, is never waited for.
    #[cold]
    fn other(&self, chunk: u64) -> Option<Located<'_>> {
        Some(Located::Shared(self.others.try_read().ok()?.get(&chunk)?.clone()))
    }

    /// Keeps a chunk; nothing if it has no place, which cannot be.
    pub(crate) fn insert(&self, found: ChunkLocation) -> Option<Located<'_>> {
        let chunk = found.chunk;
        let (part, i) = self.place(chunk)?;
        let new = || Box::new((0..PART).map(|_| OnceBox::new()).collect());
        let place = part.get_or_init(new).get(i)?;
        let left = place.set(Box::new(found)).err();
        match (place.get()?, left) {
            (kept, _) if kept.chunk == chunk => Some(Located::Kept(kept)),
            (_, found) => {
                let found: Arc<ChunkLocation> = Arc::from(found?);
                if let Ok(mut others) = self.others.try_write() {
                    if others.len() >= OTHERS {
                        others.clear();
                    }
                    others.insert(chunk, found.clone());
                }
                Some(Located::Shared(found))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use crate::chunk::zeros_chunk;

    #[test]
    fn chunks_are_found_again_those_without_a_place_too() {
        let layout = ChunkLayout::parse(&zeros_chunk(1, 4096, 4096), 4096).unwrap();
        let all = ChunkLocations::default();
        let chunks = || [3, 5, 64, 4095, 4096 + 3, 2 * 4096 + 3, u64::MAX].into_iter();
        for chunk in chunks() {
            assert!(all.get(chunk).is_none());
            for offset in [chunk / 2, 7] {
                let found = ChunkLocation { chunk, offset, layout: layout.clone(), sums: None };
                assert_eq!(all.insert(found).unwrap().chunk, chunk);
            }
        }
        for chunk in chunks() {
            let found = all.get(chunk).unwrap();
            let shared = matches!(found, Located::Shared(_));
            assert_eq!((found.chunk, shared), (chunk, chunk > 4096));
        }
    }
}
