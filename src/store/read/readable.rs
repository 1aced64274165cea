//! The one way to read: what a snapshot, a writer and all that stands on them have in common.

use crate::column::Column;
use crate::error::{Error, Result};
use crate::index::layout::{KEY_NONE, key_from_bytes};
use crate::index::leaf::Place;
use crate::key::Key;
use crate::store::options::Layout;
use crate::store::read::any_plan::Plan;
use crate::store::read::batch::Batch;
use crate::store::read::location::Location;
use crate::store::read::newest_state::Opened;
use crate::store::read::plan::FilePlan;
use crate::store::read::reader::Reader;
use crate::store::read::record::Record;
use crate::store::read::rows::ColumnData;
use crate::wire::{Digest, memory, to_usize};
use std::ops::Range;

/// Reading records: by key, by ordinal, many at once, their keys, places and columns.
///
/// A [`Snapshot`](crate::Snapshot) reads the state of one commit, a [`Writer`](crate::Writer) what
/// it was given, committed or not, a [`Store`](crate::Store) the newest state that it has seen. Code
/// that only reads takes `&impl Readable` or `&dyn Readable` and works over all of them.
///
/// An ordinal counts the records from 0 in the order of insertion, without those that were deleted.
/// The methods that take a key as it comes (`impl Into<Key>`) are there for types that are known;
/// over `dyn Readable` their twins with `&Key` do the same.
pub trait Readable {
    /// Number of records.
    fn len(&self) -> u64;

    /// Whether there are no records.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the last commit.
    fn generation(&self) -> u64;

    /// How much of what was written is seen.
    fn opened(&self) -> Opened;

    /// What the file keeps of how the store was made.
    fn layout(&self) -> &Layout;

    /// The user's attributes, a JSON object.
    fn attributes(&self) -> serde_json::Value;

    /// The ordinal of the record under `key`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the index is damaged where it had to be read.
    fn find_key(&self, key: &Key) -> Result<Option<u64>>;

    /// The ordinals of the records under these keys, each `None` if there is none. From far away all of them cost
    /// about as many round trips as one.
    ///
    /// # Errors
    /// As [`Readable::find_key`].
    fn find_keys(&self, keys: &[Key]) -> Result<Vec<Option<u64>>> {
        keys.iter().map(|key| self.find_key(key)).collect()
    }

    /// The record under `key`.
    ///
    /// Decodes the blocks in which it lies, at most; a decoded block is kept for later reads,
    /// see [`ReadOptions::cache_bytes`](crate::ReadOptions::cache_bytes).
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Corrupt`] if its bytes or its place in
    /// the index have changed since they were written.
    fn get_key(&self, key: &Key) -> Result<Record>;

    /// The record at `ordinal`.
    ///
    /// # Errors
    /// As [`Readable::get_key`].
    fn get_at(&self, ordinal: u64) -> Result<Record>;

    /// Copies the record under `key` into `out` and returns its length in bytes.
    ///
    /// # Errors
    /// As [`Readable::get_key`]; [`Error::Limit`] if `out` is too small, then it is unchanged.
    fn get_key_into(&self, key: &Key, out: &mut [u8]) -> Result<usize>;

    /// Copies the record at `ordinal` into `out` and returns its length in bytes.
    ///
    /// # Errors
    /// As [`Readable::get_key_into`].
    fn get_at_into(&self, ordinal: u64, out: &mut [u8]) -> Result<usize>;

    /// Looks up the records under `keys`, to read them together.
    ///
    /// # Errors
    /// As [`Readable::get_key`], for the first key that fails.
    fn plan_keys(&self, keys: &[Key]) -> Result<Plan<'_>>;

    /// Looks up the records at these ordinals, to read them together.
    ///
    /// # Errors
    /// As [`Readable::get_at`], for the first ordinal that fails.
    fn plan_at(&self, ordinals: &[u64]) -> Result<Plan<'_>>;

    /// Parts of the records at these ordinals, in the order asked for: only the blocks in which they
    /// lie are decoded. A range counts bytes from the start of its record.
    ///
    /// # Errors
    /// As [`Readable::plan_at`]; [`Error::Limit`] for a range that ends behind its record.
    fn get_parts_at(&self, parts: &[(u64, Range<u64>)]) -> Result<Batch>;

    /// The key of the record at `ordinal`; `None` if it was put without one.
    ///
    /// # Errors
    /// [`Error::NotFound`] beyond the last record, [`Error::Corrupt`] for a damaged index.
    fn key_at(&self, ordinal: u64) -> Result<Option<Key>>;

    /// Where the record at `ordinal` lies, and its weight; decodes nothing.
    ///
    /// # Errors
    /// As [`Readable::key_at`].
    fn location_at(&self, ordinal: u64) -> Result<Location>;

    /// Where the record under `key` lies, and its weight; decodes nothing.
    ///
    /// # Errors
    /// As [`Readable::get_key`].
    fn location_of(&self, key: &Key) -> Result<Location>;

    /// Number of blocks in the file that reading the record at `ordinal` decodes; 0 if it is
    /// empty or lies in memory.
    ///
    /// # Errors
    /// As [`Readable::location_at`].
    fn blocks_at(&self, ordinal: u64) -> Result<u64>;

    /// Calls `f` with ordinal, key and place of every record in the order of insertion; reads
    /// the index leaf by leaf and no record.
    ///
    /// # Errors
    /// What `f` returns; [`Error::Corrupt`] for a damaged index.
    fn visit_index(
        &self,
        f: &mut dyn FnMut(u64, Option<Key>, Location) -> Result<()>,
    ) -> Result<()>;

    /// The columns that this store keeps beside those that every store has.
    fn columns(&self) -> &[Column] {
        self.layout().columns()
    }

    /// The column `name` of the records at the ordinals `range` (as far as there are records):
    /// one of [`Readable::columns`], or one that every store has. Reads the index and no record.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the store has no such column, [`Error::Corrupt`] for a damaged
    /// index.
    fn column(&self, name: &str, range: Range<u64>) -> Result<ColumnData>;

    /// The shared record whose content has this digest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Corrupt`] if its bytes have changed.
    fn shared(&self, digest: &Digest) -> Result<Record>;

    /// Whether there is a shared record with this content; decodes nothing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the index is damaged where it had to be read.
    fn contains_shared(&self, digest: &Digest) -> Result<bool>;

    /// All shared records in the order in which they were put. Reads the whole index if there
    /// is one at all.
    ///
    /// # Errors
    /// As [`Readable::visit_index`].
    fn list_shared(&self) -> Result<Vec<(Digest, Location)>>;

    /// As [`Readable::get_key`].
    ///
    /// # Errors
    /// As there.
    fn get(&self, key: impl Into<Key>) -> Result<Record>
    where
        Self: Sized,
    {
        self.get_key(&key.into())
    }

    /// As [`Readable::get_key_into`].
    ///
    /// # Errors
    /// As there.
    fn get_into(&self, key: impl Into<Key>, out: &mut [u8]) -> Result<usize>
    where
        Self: Sized,
    {
        self.get_key_into(&key.into(), out)
    }

    /// As [`Readable::find_key`].
    ///
    /// # Errors
    /// As there.
    fn find(&self, key: impl Into<Key>) -> Result<Option<u64>>
    where
        Self: Sized,
    {
        self.find_key(&key.into())
    }

    /// Whether there is a record under `key`.
    ///
    /// # Errors
    /// As [`Readable::find_key`].
    fn contains(&self, key: impl Into<Key>) -> Result<bool>
    where
        Self: Sized,
    {
        Ok(self.find_key(&key.into())?.is_some())
    }

    /// As [`Readable::location_of`].
    ///
    /// # Errors
    /// As there.
    fn location(&self, key: impl Into<Key>) -> Result<Location>
    where
        Self: Sized,
    {
        self.location_of(&key.into())
    }

    /// As [`Readable::plan_keys`].
    ///
    /// # Errors
    /// As there.
    fn plan<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Plan<'_>>
    where
        Self: Sized,
    {
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        self.plan_keys(&keys)
    }

    /// The records under `keys`, in the order asked for; a key may come more than once. Each
    /// block in which one of them lies is decoded once, and no other.
    ///
    /// # Errors
    /// As [`Readable::get_key`], for the first key that fails.
    fn get_batch<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Batch>
    where
        Self: Sized,
    {
        self.plan(keys)?.batch()
    }

    /// The records at these ordinals, as [`Readable::get_batch`].
    ///
    /// # Errors
    /// As [`Readable::get_at`], for the first ordinal that fails.
    fn get_batch_at(&self, ordinals: &[u64]) -> Result<Batch> {
        self.plan_at(ordinals)?.batch()
    }

    /// All keys in the order of insertion; records without a key are left out.
    ///
    /// # Errors
    /// As [`Readable::visit_index`].
    fn keys(&self) -> Result<Vec<Key>> {
        let mut out = memory::with_room(to_usize(self.len()).unwrap_or(usize::MAX))?;
        self.visit_index(&mut |_, key, _| {
            out.extend(key);
            Ok(())
        })?;
        Ok(out)
    }

    /// As [`Readable::visit_index`].
    ///
    /// # Errors
    /// As there.
    fn for_each(&self, mut f: impl FnMut(u64, Option<Key>, Location) -> Result<()>) -> Result<()>
    where
        Self: Sized,
    {
        self.visit_index(&mut f)
    }
}

/// What stands on a [`Reader`]: reading it is written once, below.
pub(crate) trait HasReader {
    fn reader(&self) -> &Reader;
    fn kept_layout(&self) -> &Layout;
    fn commit_number(&self) -> u64;
    fn how_opened(&self) -> Opened;
    /// JSON.
    fn attribute_bytes(&self) -> &[u8];
}

impl<T: HasReader + ?Sized> HasReader for &T {
    fn reader(&self) -> &Reader {
        (**self).reader()
    }

    fn kept_layout(&self) -> &Layout {
        (**self).kept_layout()
    }

    fn commit_number(&self) -> u64 {
        (**self).commit_number()
    }

    fn how_opened(&self) -> Opened {
        (**self).how_opened()
    }

    fn attribute_bytes(&self) -> &[u8] {
        (**self).attribute_bytes()
    }
}

fn locate(reader: &Reader, entry: &Place) -> Result<Location> {
    let span = reader.span(entry)?;
    Ok(Location { start: span.start, end: span.end, weight: entry.weight })
}

fn copy_out(reader: &Reader, entry: &Place, out: &mut [u8]) -> Result<usize> {
    let span = reader.span(entry)?;
    let len = to_usize(span.end - span.start).unwrap_or(usize::MAX);
    let max = out.len() as u64;
    let out = out.get_mut(..len).ok_or(Error::Limit { what: "buffer", asked: len as u64, max })?;
    if reader.io.is_far() {
        reader.announce_spans(std::slice::from_ref(&span))?;
    }
    reader.read(span, out)?;
    Ok(len)
}

/// Names a record in an error by its ordinal.
fn at(ordinal: u64) -> impl FnOnce(Error) -> Error {
    move |e| e.of_record(&format_args!("at {ordinal}"))
}

impl<T: HasReader> Readable for T {
    fn len(&self) -> u64 {
        self.reader().live()
    }

    fn generation(&self) -> u64 {
        self.commit_number()
    }

    fn opened(&self) -> Opened {
        self.how_opened()
    }

    fn layout(&self) -> &Layout {
        self.kept_layout()
    }

    fn attributes(&self) -> serde_json::Value {
        serde_json::from_slice(self.attribute_bytes()).unwrap_or_default()
    }

    fn find_key(&self, key: &Key) -> Result<Option<u64>> {
        match self.reader().find(key)? {
            Some(id) => self.reader().ordinal_of(id),
            None => Ok(None),
        }
    }

    fn find_keys(&self, keys: &[Key]) -> Result<Vec<Option<u64>>> {
        let reader = self.reader();
        if !reader.io.is_far() {
            return keys.iter().map(|key| self.find_key(key)).collect();
        }
        let found = reader.find_together(keys)?.into_iter();
        found.map(|id| id?.map_or(Ok(None), |id| reader.ordinal_of(id))).collect()
    }

    fn get_key(&self, key: &Key) -> Result<Record> {
        let entry = self.reader().lookup(key)?;
        self.reader().record(&entry).map_err(|e| e.of_record(key))
    }

    fn get_at(&self, ordinal: u64) -> Result<Record> {
        let entry = self.reader().entry_at(ordinal)?;
        self.reader().record(&entry).map_err(at(ordinal))
    }

    fn get_key_into(&self, key: &Key, out: &mut [u8]) -> Result<usize> {
        let entry = self.reader().lookup(key)?;
        copy_out(self.reader(), &entry, out).map_err(|e| e.of_record(key))
    }

    fn get_at_into(&self, ordinal: u64, out: &mut [u8]) -> Result<usize> {
        let entry = self.reader().entry_at(ordinal)?;
        copy_out(self.reader(), &entry, out).map_err(at(ordinal))
    }

    fn plan_keys(&self, keys: &[Key]) -> Result<Plan<'_>> {
        let reader = self.reader();
        if reader.io.is_far() {
            let looked = reader.lookup_together(keys)?.into_iter();
            return Ok(FilePlan::one_by_one(reader, looked)?.into());
        }
        let looked = keys.iter().map(|key| reader.lookup(key));
        Ok(FilePlan::one_by_one(reader, looked)?.into())
    }

    fn plan_at(&self, ordinals: &[u64]) -> Result<Plan<'_>> {
        Ok(FilePlan::at(self.reader(), ordinals)?.into())
    }

    fn get_parts_at(&self, parts: &[(u64, Range<u64>)]) -> Result<Batch> {
        let reader = self.reader();
        if reader.io.is_far() {
            let ids = parts.iter().filter_map(|(ordinal, _)| reader.id_at(*ordinal).ok());
            reader.announce_records(ids.collect())?;
        }
        let part =
            |(ordinal, range): &(u64, Range<u64>)| reader.part(&reader.entry_at(*ordinal)?, range);
        let spans = parts.iter().map(part).collect::<Result<Vec<_>>>()?;
        reader.batch_spans(&spans)
    }

    fn key_at(&self, ordinal: u64) -> Result<Option<Key>> {
        self.reader().key_of(self.reader().id_at(ordinal)?)
    }

    fn location_at(&self, ordinal: u64) -> Result<Location> {
        locate(self.reader(), &self.reader().entry_at(ordinal)?)
    }

    fn location_of(&self, key: &Key) -> Result<Location> {
        locate(self.reader(), &self.reader().lookup(key)?)
    }

    fn blocks_at(&self, ordinal: u64) -> Result<u64> {
        self.reader().blocks(&self.reader().entry_at(ordinal)?)
    }

    fn visit_index(
        &self,
        f: &mut dyn FnMut(u64, Option<Key>, Location) -> Result<()>,
    ) -> Result<()> {
        let reader = self.reader();
        let mut dead = reader.dead()?.iter().peekable();
        let mut ordinal = 0;
        reader.each_record(|id, entry, kind, key| {
            if dead.next_if_eq(&id).is_some() {
                return Ok(());
            }
            let unknown = || Error::corrupt("record entry", id, "its key is of no known kind");
            let key = match kind {
                KEY_NONE => None,
                kind => Some(key_from_bytes(kind, key).ok_or_else(unknown)?),
            };
            f(ordinal, key, locate(reader, entry)?)?;
            ordinal += 1;
            Ok(())
        })
    }

    fn column(&self, name: &str, range: Range<u64>) -> Result<ColumnData> {
        self.reader().column(self.columns(), name, range)
    }

    fn shared(&self, digest: &Digest) -> Result<Record> {
        self.reader().shared(digest)
    }

    fn contains_shared(&self, digest: &Digest) -> Result<bool> {
        Ok(self.reader().find_shared(digest)?.is_some())
    }

    fn list_shared(&self) -> Result<Vec<(Digest, Location)>> {
        self.reader().list_shared()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Durability, Error, Key, Readable, StoreOptions, WriteOptions, Writer};

    #[test]
    fn a_writer_reads_what_is_committed_and_what_is_not_alike() {
        let options = StoreOptions {
            write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
            ..StoreOptions::default()
        };
        let mut w = Writer::in_memory(&options).unwrap();
        w.insert("old", b"one").unwrap();
        w.commit().unwrap();
        w.push(b"two").unwrap();
        w.put_sized(Some(&Key::from(7)), b"three", 3, crate::Existing::Refuse).unwrap();
        let batch = w.get_batch([Key::from(7), Key::from("old")]).unwrap();
        assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"three"[..], b"one"]);
        let batch = w.get_batch_at(&[1, 0, 1]).unwrap();
        assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"two"[..], b"one", b"two"]);
        assert_eq!((w.find(7).unwrap(), w.find("no").unwrap()), (Some(2), None));
        assert_eq!((w.key_at(1).unwrap(), w.key_at(2).unwrap()), (None, Some(Key::from(7))));
        assert_eq!(w.location(7).unwrap(), w.location_at(2).unwrap());
        assert_eq!((w.location(7).unwrap().len(), w.location(7).unwrap().weight), (5, 3));
        let mut out = [0; 4];
        assert_eq!((w.get_into("old", &mut out).unwrap(), &out), (3, b"one\0"));
        assert!(matches!(
            w.get_at_into(2, &mut out).unwrap_err().root(),
            Error::Limit { asked: 5, .. }
        ));
        assert_eq!(&out, b"one\0");
        assert!(matches!(w.get_batch_at(&[0, 3]).unwrap_err(), Error::NotFound { .. }));
    }
}
