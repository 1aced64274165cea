//! What a reader sees: the state at one commit, for as long as it wants.

use crate::backend::Backend;
use crate::column::Column;
use crate::error::{Error, Result};
use crate::index::layout::{KEY_NONE, RecordEntry, key_from_bytes};
use crate::index::slot::Slot;
use crate::key::Key;
use crate::store::index::root::Base;
use crate::store::options::StoreOptions;
use crate::store::read::batch::Batch;
use crate::store::read::core::Core;
use crate::store::read::load::{Opened, State};
use crate::store::read::record::Record;
use crate::store::read::rows::ColumnData;
use crate::wire::{memory, to_usize};
use std::ops::Range;
use std::sync::Arc;

/// The state of a store at one commit. Cheap to clone, shared between threads; takes no lock
/// and sees nothing of what is written later.
#[derive(Debug, Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) core: Core,
    pub(crate) slot: Slot,
    pub(crate) opened: Opened,
    pub(crate) options: StoreOptions,
    pub(crate) attributes: Vec<u8>,
    /// The open chunk as the last seal wrote it.
    pub(crate) base: Option<Base>,
    pub(crate) garbage: u64,
}

/// Where a record lies in the logical byte space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// First byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    /// What the codec counted when it was put: the number of sites of a frame.
    pub sites: u32,
}

impl Location {
    /// Length of the record in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the record is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }
}

impl Snapshot {
    pub(crate) fn new(state: State) -> Self {
        let State { core, slot, root, options, opened, attributes, .. } = state;
        let garbage = root.garbage;
        // Once the log finishes that chunk, what the seal wrote of it is no part of the state.
        let base = root.base.filter(|_| root.chunks == core.tail.chunks_end());
        let inner = Inner { core, slot, opened, options, attributes, base, garbage };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    fn core(&self) -> &Core {
        &self.inner.core
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.core().live()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of records ever put, deleted and replaced ones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.core().ids()
    }

    /// The id of the file, 32 hexadecimal digits: that of no other, copies byte by byte apart.
    /// All zeros for a file of the original program.
    #[must_use]
    pub fn file_id(&self) -> String {
        self.core().io.file().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The number of the commit.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.slot.generation.get()
    }

    /// How much of what was written this state holds.
    #[must_use]
    pub fn opened(&self) -> Opened {
        self.inner.opened
    }

    /// The options with which the store was made.
    #[must_use]
    pub fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    /// The user's attributes, a JSON object.
    #[must_use]
    pub fn attributes(&self) -> serde_json::Value {
        serde_json::from_slice(&self.inner.attributes).unwrap_or_default()
    }

    /// The backend under the store.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        self.core().io.backend()
    }

    /// The record under `key`.
    ///
    /// Decodes the blocks in which it lies, at most; a decoded block is kept for later reads,
    /// see [`StoreOptions::cache_bytes`].
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Corrupt`] if its bytes or its place in
    /// the index have changed since they were written.
    pub fn get(&self, key: impl Into<Key>) -> Result<Record> {
        let key = key.into();
        let entry = self.core().lookup(&key)?;
        self.core().record(&entry).map_err(|e| e.of_record(&key))
    }

    /// The record at `ordinal`, counted from 0 in the order of insertion.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn get_at(&self, ordinal: u64) -> Result<Record> {
        let entry = self.entry(ordinal)?;
        self.core().record(&entry).map_err(|e| e.of_record(&format_args!("at {ordinal}")))
    }

    /// Copies the record under `key` into `out` and answers its length.
    ///
    /// # Errors
    /// As [`Snapshot::get`]; [`Error::Limit`] if `out` is too small, then it is unchanged.
    pub fn get_into(&self, key: impl Into<Key>, out: &mut [u8]) -> Result<usize> {
        let key = key.into();
        let entry = self.core().lookup(&key)?;
        self.read_entry(&entry, out).map_err(|e| e.of_record(&key))
    }

    /// Copies the record at `ordinal` into `out` and answers its length.
    ///
    /// # Errors
    /// As [`Snapshot::get_into`].
    pub fn get_at_into(&self, ordinal: u64, out: &mut [u8]) -> Result<usize> {
        self.read_entry(&self.entry(ordinal)?, out)
    }

    fn read_entry(&self, entry: &RecordEntry, out: &mut [u8]) -> Result<usize> {
        let span = self.core().span(entry)?;
        let len = to_usize(span.end - span.start).unwrap_or(usize::MAX);
        let max = out.len() as u64;
        let out =
            out.get_mut(..len).ok_or(Error::Limit { what: "buffer", asked: len as u64, max })?;
        self.core().read(span, out)?;
        Ok(len)
    }

    /// The records under `keys`, in the order asked for; a key may come more than once. Each
    /// block in which one of them lies is decoded once, and no other.
    ///
    /// # Errors
    /// As [`Snapshot::get`], for the first key that fails.
    pub fn get_batch<K>(&self, keys: impl IntoIterator<Item = K>) -> Result<Batch>
    where
        K: Into<Key>,
    {
        let entries =
            keys.into_iter().map(|k| self.core().lookup(&k.into())).collect::<Result<Vec<_>>>()?;
        self.core().batch(&entries)
    }

    /// The records at these ordinals, as [`Snapshot::get_batch`].
    ///
    /// # Errors
    /// As [`Snapshot::get`], for the first ordinal that fails.
    pub fn get_batch_at(&self, ordinals: &[u64]) -> Result<Batch> {
        let entries = ordinals.iter().map(|o| self.entry(*o)).collect::<Result<Vec<_>>>()?;
        self.core().batch(&entries)
    }

    /// Number of blocks in the file that reading the record at `ordinal` decodes; 0 if it is
    /// empty or lies in memory.
    ///
    /// # Errors
    /// As [`Snapshot::location_at`].
    pub fn blocks_at(&self, ordinal: u64) -> Result<u64> {
        self.core().blocks(&self.entry(ordinal)?)
    }

    /// Parts of the records at these ordinals, in the order asked for, as [`Snapshot::get_batch_at`]:
    /// only the blocks in which they lie are decoded. A range counts from the start of its
    /// record.
    ///
    /// # Errors
    /// As [`Snapshot::get_batch_at`]; [`Error::Limit`] for a range that ends behind its record.
    pub fn get_parts_at(&self, parts: &[(u64, Range<u64>)]) -> Result<Batch> {
        let spans = parts
            .iter()
            .map(|(ordinal, range)| self.core().part(&self.entry(*ordinal)?, range))
            .collect::<Result<Vec<_>>>()?;
        self.core().batch_spans(&spans)
    }

    /// The ordinal of the record under `key`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the index is damaged where it had to be read.
    pub fn find(&self, key: impl Into<Key>) -> Result<Option<u64>> {
        match self.core().find(&key.into())? {
            Some(id) => self.core().ordinal_of(id),
            None => Ok(None),
        }
    }

    /// Whether there is a record under `key`.
    ///
    /// # Errors
    /// As [`Snapshot::find`].
    pub fn contains(&self, key: impl Into<Key>) -> Result<bool> {
        Ok(self.core().find(&key.into())?.is_some())
    }

    /// The key of the record at `ordinal`; `None` if it was put without one.
    ///
    /// # Errors
    /// [`Error::NotFound`] beyond the last record, [`Error::Corrupt`] for a damaged index.
    pub fn key_at(&self, ordinal: u64) -> Result<Option<Key>> {
        self.core().key_of(self.core().id_at(ordinal)?)
    }

    /// Where the record at `ordinal` lies, and how many sites it has; decodes nothing.
    ///
    /// # Errors
    /// As [`Snapshot::key_at`].
    pub fn location_at(&self, ordinal: u64) -> Result<Location> {
        self.locate(&self.entry(ordinal)?)
    }

    /// Where the record under `key` lies; decodes nothing.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn location(&self, key: impl Into<Key>) -> Result<Location> {
        self.locate(&self.core().lookup(&key.into())?)
    }

    fn locate(&self, entry: &RecordEntry) -> Result<Location> {
        let span = self.core().span(entry)?;
        Ok(Location { start: span.start, end: span.end, sites: entry.sites.get() })
    }

    /// Calls `f` with ordinal, key and place of every record in the order of insertion; reads
    /// the index leaf by leaf and no record.
    ///
    /// # Errors
    /// What `f` answers; [`Error::Corrupt`] for a damaged index.
    pub fn for_each(
        &self,
        mut f: impl FnMut(u64, Option<Key>, Location) -> Result<()>,
    ) -> Result<()> {
        let mut dead = self.core().dead()?.iter().copied().peekable();
        let mut ordinal = 0;
        self.core().each_record(|id, entry, key| {
            if dead.next_if_eq(&id).is_some() {
                return Ok(());
            }
            let key = if entry.key_kind == KEY_NONE {
                None
            } else {
                let key = key_from_bytes(entry.key_kind, key);
                Some(key.ok_or_else(|| {
                    Error::corrupt("record entry", id, "its key is of no known kind")
                })?)
            };
            let place = self.locate(entry)?;
            f(ordinal, key, place)?;
            ordinal += 1;
            Ok(())
        })
    }

    /// All keys in the order of insertion; records without a key are left out.
    ///
    /// # Errors
    /// As [`Snapshot::for_each`].
    pub fn keys(&self) -> Result<Vec<Key>> {
        let mut out = memory::with_room(to_usize(self.len()).unwrap_or(usize::MAX))?;
        self.for_each(|_, key, _| {
            out.extend(key);
            Ok(())
        })?;
        Ok(out)
    }

    /// The columns that this store keeps beside `sites` and `bytes`, which every store has.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        self.inner.options.columns()
    }

    /// The column `name` of the records at the ordinals `range` (as far as there are records):
    /// one of [`Snapshot::columns`], or `sites` or `bytes`. Reads the index and no record.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the store has no such column, [`Error::Corrupt`] for a damaged
    /// index.
    pub fn column(&self, name: &str, range: Range<u64>) -> Result<ColumnData> {
        self.core().column(self.columns(), name, range)
    }

    fn entry(&self, ordinal: u64) -> Result<RecordEntry> {
        self.core().entry(self.core().id_at(ordinal)?)
    }
}
