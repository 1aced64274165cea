//! Adding records: the ways to put one, where it is placed, and what the index notes of it.

use crate::column::Row;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::index::key_hash::key_hash;
use crate::index::layout::{KEY_STR, RECORDS_MAX, key_bytes, signed};
use crate::key::Key;
use crate::limits::RECORD_MAX;
use crate::store::write::placement::{place, step};
use crate::store::write::writer::{LEAF_WEIGHT, Writer};

impl Writer {
    /// Puts a record under `key` and returns its ordinal. A record that is already there is
    /// replaced; [`insert`](Self::insert) refuses instead.
    ///
    /// A refused put changes nothing. The record is seen by this writer at
    /// once; it survives from the next commit on. Commits happen by themselves as
    /// [`WriteOptions::commit_bytes`](crate::WriteOptions::commit_bytes) and [`WriteOptions::commit_interval`](crate::WriteOptions::commit_interval) say.
    ///
    /// Where the store names a codec, the bytes must be a record of it: see
    /// [`WriteOptions::check`](crate::WriteOptions::check).
    ///
    /// # Errors
    /// [`Error::Codec`] for bytes that the codec of the
    /// store refuses, [`Error::Limit`] for a record or key that is too
    /// long, [`Error::Io`] if the disk refuses; then the writer is poisoned and the store is as
    /// of the last commit.
    pub fn put(&mut self, key: impl Into<Key>, bytes: &[u8]) -> Result<u64> {
        self.usable()?;
        let weight = self.checked(bytes, None)?;
        self.put_with_row(Some(&key.into()), bytes, weight, None, Existing::Replace)
    }

    /// As [`put`](Self::put), but a record that is already there is kept, and the insertion
    /// refused.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`Error::Exists`] that names the key if there is a record under it.
    pub fn insert(&mut self, key: impl Into<Key>, bytes: &[u8]) -> Result<u64> {
        self.usable()?;
        let weight = self.checked(bytes, None)?;
        self.put_with_row(Some(&key.into()), bytes, weight, None, Existing::Refuse)
    }

    /// Adds a record without a key: it is found by its ordinal alone.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<u64> {
        self.usable()?;
        let weight = self.checked(bytes, None)?;
        self.put_with_row(None, bytes, weight, None, Existing::Refuse)
    }

    /// As [`Writer::put`], with the count that the index keeps beside the length (for a frame
    /// its number of sites).
    ///
    /// # Errors
    /// As [`Writer::put`]; [`Error::Invalid`] if the codec of the store counts another weight.
    pub fn put_sized(
        &mut self,
        key: Option<&Key>,
        bytes: &[u8],
        weight: u32,
        existing: Existing,
    ) -> Result<u64> {
        self.usable()?;
        let weight = self.checked(bytes, Some(weight))?;
        self.put_with_row(key, bytes, weight, None, existing)
    }

    /// As [`Writer::put_sized`], with the numbers that the store keeps of the record beside its
    /// bytes (see [`Layout::columns`](crate::Layout::columns)).
    ///
    /// Without them they follow from the bytes, where [`WriteOptions::rows`](crate::WriteOptions::rows) says how; else the
    /// record has none.
    ///
    /// # Errors
    /// As [`Writer::put`]; [`Error::Invalid`] if `row` is not of the columns of this store.
    pub fn put_row(
        &mut self,
        key: Option<&Key>,
        bytes: &[u8],
        weight: u32,
        row: &Row<'_>,
        existing: Existing,
    ) -> Result<u64> {
        if row.columns() != self.layout.columns() {
            return Err(Error::invalid("row", "is not of the columns of this store"));
        }
        self.usable()?;
        let weight = self.checked(bytes, Some(weight))?;
        self.put_with_row(key, bytes, weight, Some(row.words()), existing)
    }

    /// As [`Writer::put_sized`], with a row of this store if there is one.
    pub(crate) fn put_with_row(
        &mut self,
        key: Option<&Key>,
        bytes: &[u8],
        weight: u32,
        row: Option<&[u64]>,
        existing: Existing,
    ) -> Result<u64> {
        self.usable()?;
        let len = bytes.len() as u64;
        if len > RECORD_MAX {
            return Err(Error::Limit { what: "record", asked: len, max: RECORD_MAX });
        }
        if self.reader.ids() >= RECORDS_MAX {
            return Err(Error::Limit { what: "records", asked: RECORDS_MAX + 1, max: RECORDS_MAX });
        }
        let mut scratch = [0; 8];
        let mut named = None;
        let mut old = None;
        if let Some(key) = key {
            key.check()?;
            let (kind, bytes) = key_bytes(key, &mut scratch)
                .ok_or_else(|| Error::invalid("key", "is outside the range of keys"))?;
            let hash = key_hash(kind, bytes);
            // Keys mostly rise: then there is nothing to look for.
            if !self.is_above_all(kind, bytes)? {
                old = self.reader.find_bytes(kind, bytes, hash)?.map(|id| (hash, id));
            }
            if old.is_some() && existing == Existing::Refuse {
                let what = format!("record {key}").into();
                return Err(Error::Exists { what, instead: Some("put") });
            }
            named = Some((kind, bytes, hash));
        }
        let mut maker = self.maker.take();
        let row = row.or_else(|| maker.as_mut().and_then(|m| m.row(bytes)));
        let added = self.guard(|w| w.add(named, bytes, weight, row, old));
        self.maker = maker;
        added?;
        self.commit_if_due()?;
        Ok(self.reader.live().saturating_sub(1))
    }

    pub(crate) fn add(
        &mut self,
        key: Option<(u8, &[u8], u64)>,
        bytes: &[u8],
        weight: u32,
        row: Option<&[u64]>,
        old: Option<(u64, u64)>,
    ) -> Result<()> {
        let len = bytes.len() as u64;
        self.filler.lengths.add(len);
        // Without records there may be chunks of another program before the first one.
        let empty = self.reader.totals.cursor == 0;
        let reader = &self.reader;
        let block = match self.layout.params().algorithm {
            // A block that is stored is read where it lies, together with its neighbours.
            None if reader.open.block != 0 => reader.chunk_size,
            _ => u64::from(reader.open.block),
        };
        let (alignment, cursor) = (self.layout.alignment, reader.totals.cursor);
        let step = step(self.layout.record_codec.0 == "raw", len);
        let start = place(alignment, cursor, empty, len, reader.chunk_size, block, step);
        if let Some((hash, id)) = old {
            self.kill(hash, id)?;
        }
        self.fill(start, bytes)?;
        self.reader.totals.cursor = start + len;
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.name(start, len, weight, key, row)?;
        self.auto_commit.added += u64::from(len) + 64;
        if self.reader.memtable.weight() > 8 * LEAF_WEIGHT {
            // Only without automatic commits: memory stays flat, nothing is published.
            self.flush_memtable()?;
        }
        Ok(())
    }

    /// Enters a record whose bytes are in their place into the index. Every record that a file
    /// gets comes by here, so that nothing that the slot says of all keys can miss one.
    pub(crate) fn name(
        &mut self,
        start: u64,
        len: u32,
        weight: u32,
        key: Option<(u8, &[u8], u64)>,
        row: Option<&[u64]>,
    ) -> Result<()> {
        self.reader.memtable.push(start, len, weight, key, row)?;
        self.reader.totals.record_bytes += u64::from(len);
        match key {
            Some((KEY_STR, text, _)) => self.text_bound.raise(text),
            Some((kind, bytes, _)) => {
                if let Some(key) = signed(kind, bytes) {
                    self.commits.slot.raise_bound(key);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Whether no record can have this key, because every one of its kind that was put is less.
    fn is_above_all(&mut self, kind: u8, bytes: &[u8]) -> Result<bool> {
        if kind == KEY_STR {
            return self.text_bound.is_below(&self.reader, bytes);
        }
        Ok(signed(kind, bytes).is_some_and(|key| self.commits.slot.is_above_all(key)))
    }
}
