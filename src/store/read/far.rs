//! What is announced to a backend that is far away: all that opening, a record or a batch is about to
//! read, in as few round trips as what is read first allows.
//!
//! A place that cannot be told here, since the index is damaged, is left out: whoever reads it says why.

use crate::chunk::ChunkLayout;
use crate::error::Result;
use crate::index::layout::ChunkEntry;
use crate::index::leaf::{GROUP, Place};
use crate::key::Key;
use crate::limits::BLOCKS_PER_CHUNK;
use crate::store::index::far::{leaf_head, pages, whole};
use crate::store::index::io::Io;
use crate::store::index::leaf::{Leaf, leaf_records};
use crate::store::index::stored_index::open_page;
use crate::store::read::key_lookup::there;
use crate::store::read::reader::{ChunkData, Reader};
use crate::wire::memory;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Bytes of the directory that opening fetches whole; of a longer one its first and last page.
const DIRECTORY: u64 = 80 << 10;
/// A chunk of at most this many bytes is fetched whole.
const WHOLE_CHUNK: u64 = 64 << 10;
/// For so few chunks it is guessed where their blocks lie, to save a round trip.
const GUESSED: usize = 8;
/// Keys that are looked up together: what they need has room in memory.
const TOGETHER: usize = 256;
/// Round trips after which keys are looked up one by one: more than any intact index takes.
const LEVELS: usize = 32;

impl Reader {
    /// What is needed behind the root: the directory, the chunk that is being filled, and what leads to the
    /// first record.
    pub(crate) fn announce_start(&self, base: Option<&ChunkEntry>) -> Result<()> {
        let index = &self.stored_index;
        let all = index.pages.iter().map(|page| whole(&page.at.segment));
        let mut wanted: Vec<Range<u64>> = all.collect();
        let size = wanted.iter().fold(0, |sum: u64, r| sum.saturating_add(r.end - r.start));
        if size > DIRECTORY {
            let middle = 1..wanted.len().saturating_sub(1).max(1);
            wanted.drain(middle);
        }
        if let Some(entry) = base {
            wanted.push(chunk_bytes(entry));
        }
        // The first chunk may be in a later leaf than the first record.
        let both = |leaf: Option<&'_ Leaf>| {
            let chunk = index.leaf_of_chunk(&self.io, 0).ok().flatten();
            let chunk = chunk.filter(|chunk| leaf.is_none_or(|leaf| !std::ptr::eq(*chunk, leaf)));
            leaf.into_iter().chain(chunk).flat_map(|leaf| leaf_head(&leaf.at)).collect::<Vec<_>>()
        };
        let listed = index.leaves.first().filter(|_| index.pages.is_empty());
        if listed.is_some() {
            wanted.extend(both(listed));
        }
        self.io.announce(wanted)?;
        let paged = index.pages.first().and_then(|page| open_page(&self.io, page).ok());
        let paged = paged.and_then(|page| page.leaves.first());
        if paged.is_some() {
            self.io.announce(both(paged))?;
        }
        if let Some(leaf) = listed.or(paged) {
            // What is open is not fetched whole for its first record or chunk; damage is told to who needs it.
            let _ = leaf_records(&self.io, leaf);
            let _ = index.chunk(&self.io, 0);
        }
        Ok(())
    }

    /// What leads to the places of these records.
    pub(crate) fn announce_records(&self, mut ids: Vec<u64>) -> Result<()> {
        ids.retain(|id| *id < self.memtable.first_record);
        ids.sort_unstable();
        ids.dedup();
        self.stored_index.announce_pages(&self.io, ids.iter().copied())?;
        let mut leaves: Vec<(&Leaf, Vec<usize>)> = Vec::new();
        for id in ids {
            let Ok(Some(leaf)) = self.stored_index.leaf_of(&self.io, id) else { continue };
            let first = leaf.at.first_record.get();
            let group = usize::try_from(id.saturating_sub(first)).unwrap_or(0) / GROUP;
            match leaves.last_mut() {
                Some((last, groups)) if last.at.first_record.get() == first => groups.push(group),
                _ => leaves.push((leaf, vec![group])),
            }
        }
        let closed = leaves.iter().filter(|(leaf, _)| !leaf.is_open());
        self.io.announce(closed.flat_map(|(leaf, _)| leaf_head(&leaf.at)))?;
        // Where they stand is said by their groups, which may not be here although the leaf is open.
        let one = |(leaf, mut groups): (_, Vec<usize>)| {
            groups.dedup();
            groups.into_iter().map(move |group| (leaf, group))
        };
        let groups: Vec<(&Leaf, usize)> = leaves.into_iter().flat_map(one).collect();
        let place = |io: &Io, (leaf, group): &(&Leaf, usize)| {
            let places = leaf_records(io, leaf)?.places_at(*group)?;
            let at = |n: usize| leaf.at.packed_at().saturating_add(n);
            Ok(pages(&leaf.at.segment, at(places.start)..at(places.end)))
        };
        let wanted = self.together(&groups, place)?;
        self.io.announce(wanted.into_iter().flatten())
    }

    /// The blocks in which these logical bytes lie, and what leads to them.
    pub(crate) fn announce_spans(&self, spans: &[Range<u64>]) -> Result<()> {
        // First and last byte of what is wanted in each chunk.
        let mut chunks: BTreeMap<u64, Range<u64>> = BTreeMap::new();
        for span in spans.iter().filter(|span| span.start < span.end) {
            for chunk in span.start / self.chunk_size..=(span.end - 1) / self.chunk_size {
                let base = chunk * self.chunk_size;
                let (from, to) = (span.start.max(base), span.end.min(base + self.chunk_size));
                let known = chunks.entry(chunk).or_insert(from..to);
                *known = known.start.min(from)..known.end.max(to);
            }
        }
        chunks.retain(|chunk, _| !self.knows(*chunk));
        self.announce_chunks(&chunks)?;
        let mut blocks = BTreeSet::new();
        for span in spans.iter().filter(|span| span.start < span.end) {
            for chunk in span.start / self.chunk_size..=(span.end - 1) / self.chunk_size {
                let Ok(ChunkData::File(place)) = self.chunk(chunk) else { continue };
                let base = chunk * self.chunk_size;
                let size = u64::from(place.layout.block_size().max(1));
                let first = span.start.saturating_sub(base) / size;
                let last = (span.end.min(base + self.chunk_size) - base - 1) / size;
                for block in first..=last.min(u64::from(place.layout.blocks()).saturating_sub(1)) {
                    let range = place.layout.block_range(u32::try_from(block).unwrap_or(u32::MAX));
                    let at = |n: u32| place.offset.saturating_add(n.into());
                    blocks.insert((at(range.start), at(range.end)));
                }
            }
        }
        self.io.announce(blocks.into_iter().map(|(start, end)| start..end))
    }

    /// Whether nothing has to be fetched to know where the blocks of a chunk lie.
    fn knows(&self, chunk: u64) -> bool {
        (self.open.block != 0 && chunk == self.open.number)
            || self.waiting.contains_key(&chunk)
            || self.chunk_locations.get(chunk).is_some()
    }

    /// The entry of a chunk that no leaf has.
    fn own_entry(&self, chunk: u64) -> Option<ChunkEntry> {
        let sealed = self.sealed.as_ref().filter(|sealed| sealed.0 == chunk);
        sealed.map(|sealed| sealed.1).or_else(|| self.memtable.chunk(chunk).copied())
    }

    /// The headers and block starts of chunks; of few chunks also where the wanted bytes may lie in them.
    fn announce_chunks(&self, chunks: &BTreeMap<u64, Range<u64>>) -> Result<()> {
        // A chunk is mostly in the leaf of its records, or in the next one.
        let mut heads = Vec::new();
        for chunk in chunks.keys().filter(|chunk| self.own_entry(**chunk).is_none()) {
            let Ok(Some(leaf)) = self.stored_index.leaf_of_chunk(&self.io, *chunk) else {
                continue;
            };
            if !leaf.is_open() {
                heads.extend(leaf_head(&leaf.at));
            }
        }
        self.io.announce(heads)?;
        let mut wanted = Vec::new();
        let few = chunks.len() <= GUESSED;
        for (chunk, bytes) in chunks {
            let entry = match self.own_entry(*chunk) {
                Some(entry) => entry,
                None => match self.stored_index.chunk(&self.io, *chunk) {
                    Ok(Some(found)) => found.entry,
                    _ => continue,
                },
            };
            let all = chunk_bytes(&entry);
            if all.end - all.start <= WHOLE_CHUNK {
                wanted.push(all);
                continue;
            }
            let count = u64::from(entry.blocks.get().clamp(1, BLOCKS_PER_CHUNK));
            let prefix = ChunkLayout::HEADER_LEN as u64 + 4 * count;
            wanted.push(all.start..all.start.saturating_add(prefix));
            if few {
                let base = chunk * self.chunk_size;
                let size = self.chunk_size.div_ceil(count).max(1);
                let (first, last) = ((bytes.start - base) / size, (bytes.end - base - 1) / size);
                // Blocks are of about one size; one more on either side makes up for the rest.
                let mean = (all.end - all.start).saturating_sub(prefix) / count;
                let from = (prefix + first * mean).saturating_sub(mean).max(prefix);
                let to = prefix + (last + 2) * mean;
                wanted.push(
                    all.start.saturating_add(from)..all.start.saturating_add(to).min(all.end),
                );
            }
        }
        self.io.announce(wanted)
    }

    /// Where the records under these keys lie; of a key without one the error that says so.
    pub(crate) fn lookup_together(&self, keys: &[Key]) -> Result<Vec<Result<Place>>> {
        let found = self.find_together(keys)?.into_iter().zip(keys);
        let ids: Vec<Result<u64>> = found.map(|(id, key)| there(key, id?)).collect();
        self.announce_records(ids.iter().flatten().copied().collect())?;
        Ok(ids.into_iter().map(|id| self.entry(id?)).collect())
    }

    /// The records under these keys.
    pub(crate) fn find_together(&self, keys: &[Key]) -> Result<Vec<Result<Option<u64>>>> {
        let mut out = memory::with_room(keys.len())?;
        for keys in keys.chunks(TOGETHER) {
            let found = self.together(keys, |io, key| self.find_by(io, key))?;
            // What is damaged is looked up as a single key is, which says so.
            let each = keys.iter().zip(found);
            out.extend(each.map(|(key, found)| found.map_or_else(|| self.find(key), Ok)));
        }
        Ok(out)
    }

    /// Looks at each of `items`, level by level: what all of them lack at one level comes in one round trip. Nothing
    /// of those that cannot be read, or have more levels than an index has.
    fn together<T, R>(
        &self,
        items: &[T],
        look: impl Fn(&Io, &T) -> Result<R>,
    ) -> Result<Vec<Option<R>>> {
        let (io, near) = self.io.near()?;
        let mut found: Vec<Option<Result<R>>> = items.iter().map(|_| None).collect();
        for _ in 0..LEVELS {
            for (item, found) in items.iter().zip(&mut found).filter(|(_, f)| f.is_none()) {
                *found = near.try_look(|| look(&io, item));
            }
            if found.iter().all(Option::is_some) {
                break;
            }
            near.bring()?;
        }
        Ok(found.into_iter().map(|found| found.and_then(Result::ok)).collect())
    }
}

fn chunk_bytes(entry: &ChunkEntry) -> Range<u64> {
    let start = entry.offset.get();
    start..start.saturating_add(entry.cbytes.get().into())
}
