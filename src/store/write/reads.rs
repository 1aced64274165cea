//! Reading through a writer: what a snapshot offers, with what is not committed yet.

use crate::error::{Error, Result};
use crate::index::layout::RecordEntry;
use crate::key::Key;
use crate::store::read::batch::Batch;
use crate::store::read::core::Core;
use crate::store::read::rows::ColumnData;
use crate::store::read::snapshot::Location;
use crate::store::write::writer::Writer;
use crate::wire::to_usize;
use std::ops::Range;

impl Writer {
    /// Copies the record under `key`, committed or not, into `out` and answers its length.
    ///
    /// # Errors
    /// As [`Writer::get`]; [`Error::Limit`] if `out` is too small, then it is unchanged.
    pub fn get_into(&self, key: impl Into<Key>, out: &mut [u8]) -> Result<usize> {
        let key = key.into();
        let entry = self.core.lookup(&key)?;
        read_entry(&self.core, &entry, out).map_err(|e| e.of_record(&key))
    }

    /// Copies the record at `ordinal`, committed or not, into `out` and answers its length.
    ///
    /// # Errors
    /// As [`Writer::get_into`].
    pub fn get_at_into(&self, ordinal: u64, out: &mut [u8]) -> Result<usize> {
        read_entry(&self.core, &self.core.entry(self.core.id_at(ordinal)?)?, out)
    }

    /// The records under `keys`, committed or not, in the order asked for; see
    /// [`Snapshot::get_batch`](crate::store::Snapshot::get_batch).
    ///
    /// # Errors
    /// As [`Writer::get`], for the first key that fails.
    pub fn get_batch<K>(&self, keys: impl IntoIterator<Item = K>) -> Result<Batch>
    where
        K: Into<Key>,
    {
        let entries =
            keys.into_iter().map(|k| self.core.lookup(&k.into())).collect::<Result<Vec<_>>>()?;
        self.core.batch(&entries)
    }

    /// The records at these ordinals, as [`Writer::get_batch`].
    ///
    /// # Errors
    /// As [`Writer::get`], for the first ordinal that fails.
    pub fn get_batch_at(&self, ordinals: &[u64]) -> Result<Batch> {
        let entries = ordinals
            .iter()
            .map(|o| self.core.entry(self.core.id_at(*o)?))
            .collect::<Result<Vec<_>>>()?;
        self.core.batch(&entries)
    }

    /// Number of blocks in the file that reading the record at `ordinal` decodes; 0 if it is
    /// empty or lies in memory.
    ///
    /// # Errors
    /// As [`Writer::location_at`].
    pub fn blocks_at(&self, ordinal: u64) -> Result<u64> {
        self.core.blocks(&self.core.entry(self.core.id_at(ordinal)?)?)
    }

    /// Parts of the records at these ordinals, in the order asked for, as [`Writer::get_batch_at`]:
    /// only the blocks in which they lie are decoded. A range counts from the start of its
    /// record.
    ///
    /// # Errors
    /// As [`Writer::get_batch_at`]; [`Error::Limit`] for a range that ends behind its record.
    pub fn get_parts_at(&self, parts: &[(u64, Range<u64>)]) -> Result<Batch> {
        let spans = parts
            .iter()
            .map(|(ordinal, range)| {
                self.core.part(&self.core.entry(self.core.id_at(*ordinal)?)?, range)
            })
            .collect::<Result<Vec<_>>>()?;
        self.core.batch_spans(&spans)
    }

    /// The ordinal of the record under `key`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the index is damaged where it had to be read.
    pub fn find(&self, key: impl Into<Key>) -> Result<Option<u64>> {
        match self.core.find(&key.into())? {
            Some(id) => self.core.ordinal_of(id),
            None => Ok(None),
        }
    }

    /// The key of the record at `ordinal`; `None` if it was put without one.
    ///
    /// # Errors
    /// [`Error::NotFound`] beyond the last record, [`Error::Corrupt`] for a damaged index.
    pub fn key_at(&self, ordinal: u64) -> Result<Option<Key>> {
        self.core.key_of(self.core.id_at(ordinal)?)
    }

    /// The column `name` of the records at the ordinals `range`, committed or not; see
    /// [`Snapshot::column`](crate::store::Snapshot::column).
    ///
    /// # Errors
    /// As [`Snapshot::column`](crate::store::Snapshot::column).
    pub fn column(&self, name: &str, range: Range<u64>) -> Result<ColumnData> {
        self.core.column(self.options.columns(), name, range)
    }

    /// Where the record at `ordinal` lies or will lie, and how many sites it has.
    ///
    /// # Errors
    /// As [`Writer::key_at`].
    pub fn location_at(&self, ordinal: u64) -> Result<Location> {
        let entry = self.core.entry(self.core.id_at(ordinal)?)?;
        let span = self.core.span(&entry)?;
        Ok(Location { start: span.start, end: span.end, sites: entry.sites.get() })
    }

    /// Where the record under `key` lies or will lie, and how many sites it has.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub fn location(&self, key: impl Into<Key>) -> Result<Location> {
        let entry = self.core.lookup(&key.into())?;
        let span = self.core.span(&entry)?;
        Ok(Location { start: span.start, end: span.end, sites: entry.sites.get() })
    }
}

fn read_entry(core: &Core, entry: &RecordEntry, out: &mut [u8]) -> Result<usize> {
    let span = core.span(entry)?;
    let len = to_usize(span.end - span.start).unwrap_or(usize::MAX);
    let max = out.len() as u64;
    let out = out.get_mut(..len).ok_or(Error::Limit { what: "buffer", asked: len as u64, max })?;
    core.read(span, out)?;
    Ok(len)
}

#[cfg(test)]
mod tests {
    use crate::{Durability, Error, Key, StoreOptions, Writer};

    #[test]
    fn a_writer_reads_what_is_committed_and_what_is_not_alike() {
        let options = StoreOptions { durability: Durability::None, ..StoreOptions::default() };
        let mut w = Writer::in_memory(&options).unwrap();
        w.put("old", b"one", false).unwrap();
        w.commit().unwrap();
        w.push(b"two").unwrap();
        w.put_sized(Some(&Key::from(7)), b"three", 3, false).unwrap();
        let batch = w.get_batch([Key::from(7), Key::from("old")]).unwrap();
        assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"three"[..], b"one"]);
        let batch = w.get_batch_at(&[1, 0, 1]).unwrap();
        assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"two"[..], b"one", b"two"]);
        assert_eq!((w.find(7).unwrap(), w.find("no").unwrap()), (Some(2), None));
        assert_eq!((w.key_at(1).unwrap(), w.key_at(2).unwrap()), (None, Some(Key::from(7))));
        assert_eq!(w.location(7).unwrap(), w.location_at(2).unwrap());
        assert_eq!((w.location(7).unwrap().len(), w.location(7).unwrap().sites), (5, 3));
        let mut out = [0; 4];
        assert_eq!((w.get_into("old", &mut out).unwrap(), &out), (3, b"one\0"));
        assert!(matches!(w.get_at_into(2, &mut out).unwrap_err(), Error::Limit { asked: 5, .. }));
        assert_eq!(&out, b"one\0");
        assert!(matches!(w.get_batch_at(&[0, 3]).unwrap_err(), Error::NotFound { .. }));
    }
}
