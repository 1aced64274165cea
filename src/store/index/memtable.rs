//! The newest part of the index, in memory: what has been added since the last leaf.

use crate::error::{Error, Result};
use crate::index::fence::Rank;
use crate::index::layout::{ChunkEntry, KEY_NONE, KEY_SHARED, LeafRef, RecordEntry};
use crate::index::log::DeadEntry;
use crate::limits::KEY_MAX;
use crate::wire::{U32, U64, mix};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

/// Records, chunks and deletions that no leaf holds yet.
#[derive(Debug, Default, Clone)]
pub(crate) struct Memtable {
    pub(crate) first_record: u64,
    pub(crate) first_chunk: u64,
    pub(crate) records: Vec<RecordEntry>,
    pub(crate) keys: Vec<u8>,
    pub(crate) chunks: Vec<ChunkEntry>,
    pub(crate) sums: Vec<u64>,
    /// Of each chunk, as far as this reaches, what it is if it has no checksums.
    unchecked: Vec<Option<Unchecked>>,
    /// Every record deleted, replaced or shared since the last leaf.
    pub(crate) dead: Vec<DeadEntry>,
    /// Rows of the records that were put with one, one behind the other, as bits.
    rows: Vec<u64>,
    /// Of each record where its row begins there. What has none takes no room: a file may name
    /// many such records in few bytes.
    row_at: Vec<Option<u32>>,
    /// The row of a record that was put without one; its length is that of every row.
    absent: Arc<[u64]>,
    killed: HashSet<u64>,
    /// Leaves that a writer put before chunks; they are not part of the index until all of the
    /// memtable is.
    pub(crate) early: Vec<LeafRef>,
    /// Records and chunks of the memtable that are in those leaves.
    pub(crate) in_early: Prefix,
    /// The newest record of each hash.
    table: HashTable<(u64, u64)>,
    /// Of each record the hash of its key, and the record before it whose key has the same hash.
    links: Vec<(u64, Option<u64>)>,
    /// Prefix of the place of a hash in the table: keys cannot be chosen to meet there.
    seed: Seed,
}

/// A chunk of another program: it has no checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unchecked {
    /// It is in the file, as any other.
    Stored,
    /// It is nowhere: only the offsets of the frame say that it is all zeros.
    Zeros,
    /// The same for NaN in numbers of 4 bytes.
    Nans4,
    /// The same for NaN in numbers of 8 bytes.
    Nans8,
}

/// A number of records and of chunks of a memtable, counted from its first ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) records: usize,
    pub(crate) chunks: usize,
}

/// A number that differs from memtable to memtable.
#[derive(Debug, Clone)]
struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(()))
    }
}

impl Memtable {
    /// An empty memtable behind `records` records and `chunks` chunks.
    pub(crate) fn after(records: u64, chunks: u64) -> Self {
        Self { first_record: records, first_chunk: chunks, ..Self::default() }
    }

    /// The same, with rows like `absent`.
    pub(crate) fn with_rows(self, absent: Arc<[u64]>) -> Self {
        Self { absent, ..self }
    }

    /// An empty memtable behind this one.
    pub(crate) fn next(&self) -> Self {
        Self::after(self.end(), self.chunks_end()).with_rows(self.absent.clone())
    }

    /// Numbers in a row.
    pub(crate) fn row_words(&self) -> usize {
        self.absent.len()
    }

    /// The row of the record at position `i` of this memtable, if it was put with one.
    pub(crate) fn row(&self, i: usize) -> Option<&[u64]> {
        let at = usize::try_from((*self.row_at.get(i)?)?).ok()?;
        self.rows.get(at..at.checked_add(self.row_words())?)
    }

    /// The row of the record at position `i`, absent values if it was put without one.
    pub(crate) fn row_or_absent(&self, i: usize) -> &[u64] {
        self.row(i).unwrap_or(&self.absent)
    }

    /// Whether one of the records at these positions was put with a row.
    pub(crate) fn has_rows(&self, positions: Range<usize>) -> bool {
        self.row_at.get(positions).is_some_and(|at| at.iter().any(Option::is_some))
    }

    /// Numbers in the rows of all records.
    fn all_words(&self) -> usize {
        self.records.len().saturating_mul(self.row_words())
    }

    /// Number of records up to and with this memtable.
    pub(crate) fn end(&self) -> u64 {
        self.first_record + self.records.len() as u64
    }

    /// Number of chunks up to and with this memtable.
    pub(crate) fn chunks_end(&self) -> u64 {
        self.first_chunk + self.chunks.len() as u64
    }

    /// Bytes that a leaf of this memtable would take, about.
    pub(crate) fn weight(&self) -> usize {
        size_of_val(self.records.as_slice())
            + self.keys.len()
            + size_of_val(self.chunks.as_slice())
            + size_of_val(self.sums.as_slice())
            + self.dead.len() * 20
            + self.all_words().saturating_mul(size_of::<u64>())
    }

    /// All of it.
    pub(crate) fn whole(&self) -> Prefix {
        Prefix { records: self.records.len(), chunks: self.chunks.len() }
    }

    /// Where the keys of the records from `records` on begin among the keys.
    pub(crate) fn keys_at(&self, records: usize) -> usize {
        self.records.get(records).map_or(self.keys.len(), |e| e.key_at.get() as usize)
    }

    /// Where the checksums of the chunks from `chunks` on begin among the checksums.
    pub(crate) fn sums_at(&self, chunks: usize) -> usize {
        self.chunks.get(chunks).map_or(self.sums.len(), |c| c.first_sum.get() as usize)
    }

    /// Adds a record; `hash` is that of its key, `row` as long as every row.
    pub(crate) fn push(
        &mut self,
        start: u64,
        len: u32,
        weight: u32,
        key: Option<(u8, &[u8], u64)>,
        row: Option<&[u64]>,
    ) -> Result<()> {
        let row = row.filter(|row| row.len() == self.row_words() && !row.is_empty());
        let (kind, bytes, _) = key.unwrap_or((KEY_NONE, &[], 0));
        let heap_full = || Error::Limit {
            what: "bytes of keys between two leaves",
            asked: self.keys.len() as u64 + bytes.len() as u64,
            max: u64::from(u32::MAX),
        };
        let key_at = u32::try_from(self.keys.len()).map_err(|_| heap_full())?;
        let (key_len, flags) = RecordEntry::key_fields(bytes.len(), row.is_some())
            .ok_or(Error::Limit { what: "key", asked: bytes.len() as u64, max: KEY_MAX as u64 })?;
        let row_at = match row {
            Some(row) => {
                let at = self.rows.len();
                let many = |_| Error::Limit {
                    what: "numbers of rows between two leaves",
                    asked: at as u64,
                    max: u64::from(u32::MAX),
                };
                let at = u32::try_from(at).map_err(many)?;
                self.rows.extend_from_slice(row);
                Some(at)
            }
            None => None,
        };
        self.row_at.push(row_at);
        let before = key.and_then(|(_, _, hash)| self.insert_hash(hash, self.end()));
        self.links.push((key.map_or(0, |key| key.2), before));
        self.keys.extend_from_slice(bytes);
        self.records.push(RecordEntry {
            start: U64::new(start),
            len: U32::new(len),
            weight: U32::new(weight),
            key_at: U32::new(key_at),
            key_len,
            key_kind: kind,
            row: flags,
        });
        Ok(())
    }

    /// Makes the record findable by its key's hash; the one that was before it.
    fn insert_hash(&mut self, hash: u64, record: u64) -> Option<u64> {
        let seed = self.seed.0;
        let place = |hash: u64| mix(hash ^ seed);
        match self.table.entry(place(hash), |e| e.0 == hash, |e| place(e.0)) {
            Entry::Occupied(mut e) => Some(std::mem::replace(&mut e.get_mut().1, record)),
            Entry::Vacant(e) => {
                e.insert((hash, record));
                None
            }
        }
    }

    /// The record at `record`, if it is in this memtable.
    pub(crate) fn record(&self, record: u64) -> Option<&RecordEntry> {
        self.records.get(usize::try_from(record.checked_sub(self.first_record)?).ok()?)
    }

    /// The key bytes of a record of this memtable.
    pub(crate) fn key(&self, entry: &RecordEntry) -> Option<&[u8]> {
        let at = usize::try_from(entry.key_at.get()).ok()?;
        self.keys.get(at..at.checked_add(entry.key_len())?)
    }

    /// The newest record of this memtable with this key, dead or alive.
    pub(crate) fn find(&self, hash: u64, kind: u8, bytes: &[u8]) -> Option<u64> {
        let newest = self.table.find(mix(hash ^ self.seed.0), |e| e.0 == hash).map(|e| e.1);
        let before = |record: &u64| {
            let at = usize::try_from(record.checked_sub(self.first_record)?).ok()?;
            self.links.get(at)?.1
        };
        std::iter::successors(newest, before).find(|record| {
            self.record(*record).is_some_and(|e| e.key_kind == kind && self.key(e) == Some(bytes))
        })
    }

    /// Notes that a record is deleted, replaced or shared.
    pub(crate) fn kill(&mut self, dead: DeadEntry) {
        self.dead.push(dead);
        self.killed.insert(dead.record.get());
    }

    /// Whether `record` was deleted since the last leaf.
    pub(crate) fn kills(&self, record: u64) -> bool {
        self.killed.contains(&record)
    }

    /// Kind and hash of the key, and number, of every record at these positions that has a key.
    pub(crate) fn hashes(&self, positions: Range<usize>) -> impl Iterator<Item = (u8, u64, u64)> {
        let first = self.first_record + positions.start as u64;
        let records = self.records.get(positions.clone()).unwrap_or_default();
        let links = self.links.get(positions).unwrap_or_default();
        let keys = records.iter().zip(links).zip(first..);
        keys.filter(|((e, _), _)| e.key_kind != KEY_NONE)
            .map(|((e, link), id)| (e.key_kind, link.0, id))
    }

    /// First and last key of the records at these positions, if all are of one kind and each is
    /// greater than the one before; records without a key and shared ones do not count.
    pub(crate) fn ascending(&self, positions: Range<usize>) -> Option<(Rank<'_>, Rank<'_>)> {
        let records = self.records.get(positions)?;
        let counted = |e: &&RecordEntry| !matches!(e.key_kind, KEY_NONE | KEY_SHARED);
        let mut ranks = records.iter().filter(counted).map(|e| Rank::new(e.key_kind, self.key(e)?));
        let first = ranks.next()??;
        let last = ranks.try_fold(first, |last, rank| {
            rank.filter(|rank| rank.kind() == last.kind() && *rank > last)
        })?;
        Some((first, last))
    }

    /// The chunk `chunk`, if it is in this memtable.
    pub(crate) fn chunk(&self, chunk: u64) -> Option<&ChunkEntry> {
        self.chunks.get(usize::try_from(chunk.checked_sub(self.first_chunk)?).ok()?)
    }

    /// Adds a chunk that has no checksums.
    pub(crate) fn push_unchecked(&mut self, entry: ChunkEntry, kind: Unchecked) {
        self.unchecked.resize(self.chunks.len(), None);
        self.unchecked.push(Some(kind));
        self.chunks.push(entry);
    }

    /// What the chunk `chunk` of this memtable is, if it has no checksums.
    pub(crate) fn unchecked(&self, chunk: u64) -> Option<Unchecked> {
        let at = usize::try_from(chunk.checked_sub(self.first_chunk)?).ok()?;
        self.unchecked.get(at).copied().flatten()
    }

    /// Gives the chunk at position `i`, which had none, these checksums.
    pub(crate) fn set_checked(&mut self, i: usize, entry: ChunkEntry, sums: &[u64]) {
        let first_sum = U32::new(u32::try_from(self.sums.len()).unwrap_or(u32::MAX));
        if let Some(place) = self.chunks.get_mut(i) {
            *place = ChunkEntry { first_sum, ..entry };
        }
        if let Some(kind) = self.unchecked.get_mut(i) {
            *kind = None;
        }
        self.sums.extend_from_slice(sums);
    }

    /// The checksum of a block of a chunk of this memtable.
    pub(crate) fn sum(&self, entry: &ChunkEntry, block: u32) -> Option<u64> {
        self.sums.get(usize::try_from(entry.first_sum.get().checked_add(block)?).ok()?).copied()
    }
}

/// A place that is counted from `by` instead of from 0.
pub(crate) fn less(at: U32, by: usize) -> U32 {
    U32::new(at.get().saturating_sub(u32::try_from(by).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use crate::index::key_hash::key_hash;
    use crate::index::layout::{KEY_I64, KEY_STR};

    #[test]
    fn keys_ascend_if_all_are_of_one_kind_and_each_is_greater() {
        let ascends = |keys: &[Option<(u8, &[u8])>]| {
            let mut memtable = Memtable::after(5, 0);
            for key in keys {
                let key = key.map(|(kind, bytes)| (kind, bytes, key_hash(kind, bytes)));
                memtable.push(0, 1, 0, key, None).unwrap();
            }
            let all = keys.iter().flatten().filter_map(|(kind, key)| Rank::new(*kind, key));
            let all: Vec<_> = all.collect();
            let (first, last) = (all.first().copied(), all.last().copied());
            let found = memtable.ascending(0..keys.len());
            assert!(found.is_none_or(|(a, b)| (Some(a), Some(b)) == (first, last)));
            found.is_some()
        };
        let numbers: Vec<_> = [-3_i64, 0, 7].iter().map(|n| n.to_le_bytes()).collect();
        let [a, b, c] = [0, 1, 2].map(|i| numbers.get(i).map(|n| (KEY_I64, &n[..])));
        let shared = Some((KEY_SHARED, &[9; 16][..]));
        let [x, y] = [b"x", b"y"].map(|text| Some((KEY_STR, &text[..])));
        for good in [&[a][..], &[a, b, c], &[x, y], &[None, a, None, shared, b, None]] {
            assert!(ascends(good));
        }
        for not in [&[][..], &[None], &[shared], &[a, a], &[b, a], &[a, c, b], &[x, a]] {
            assert!(!ascends(not));
        }
    }
}
