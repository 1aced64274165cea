//! Reading: one record, many, or all in order, as views that borrow.

use crate::codec::{AnyCodec, Codec};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Readable;
use crate::store::{Batch, Layout, Location, Opened, Record, Scan, Snapshot, Store};
use std::ops::Range;
use std::path::Path;

/// Typed reading of whatever is [`Readable`]: by default the state of a store at one commit, which is
/// as cheap to clone as its [`Snapshot`], and shared between threads.
#[derive(Debug, Clone)]
pub struct Depot<C, S = Snapshot> {
    source: S,
    codec: C,
}

/// Refuses a store whose records are of another codec than `codec`, or of a newer version.
pub(super) fn check_codec(codec: &dyn AnyCodec, layout: &Layout, opened: Opened) -> Result<()> {
    if opened == Opened::Unchecked {
        return Ok(());
    }
    let (name, version) = &layout.record_codec;
    if name != codec.name() {
        return Err(Error::invalid(
            "codec",
            format!(
                "the records of this store are {name} (version {version}), not {}; open it with \
                 the codec {name}",
                codec.name()
            ),
        ));
    }
    if !(1..=codec.version()).contains(version) {
        return Err(Error::Unsupported {
            what: "codec version",
            found: u64::from(*version),
            newest: u64::from(codec.version()),
        });
    }
    Ok(())
}

impl<C: Codec + Clone> Depot<C> {
    /// Opens the store at `path` for reading.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Invalid`] if its records are of another codec.
    pub fn open(path: impl AsRef<Path>, codec: C) -> Result<Self> {
        let path = path.as_ref();
        Self::new(Store::open(path)?.snapshot(), codec).map_err(|e| e.at(path))
    }

    /// The records as bytes.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.source
    }

    /// All records in order, each block decoded once.
    #[must_use]
    pub fn iter(&self) -> Iter<C> {
        self.range(0..self.len())
    }

    /// The records at the ordinals `range` in order, each block decoded once.
    #[must_use]
    pub fn range(&self, range: Range<u64>) -> Iter<C> {
        Iter { scan: self.source.scan(range), codec: self.codec.clone() }
    }
}

impl<C: Codec + Clone, S: Readable> Depot<C, S> {
    /// Typed reading of `source`.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names both codecs if the records are of another one,
    /// [`Error::Unsupported`] if they are of a newer version. A file of the original program
    /// names no codec and is read as it is asked for.
    pub fn new(source: S, codec: C) -> Result<Self> {
        check_codec(&codec, source.layout(), source.opened())?;
        Ok(Self { source, codec })
    }

    /// The records as bytes.
    #[must_use]
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// The codec.
    #[must_use]
    pub const fn codec(&self) -> &C {
        &self.codec
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.source.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// The record under `key`.
    ///
    /// # Errors
    /// As [`Readable::get`](crate::Readable::get).
    pub fn get(&self, key: impl Into<Key>) -> Result<Item<C>> {
        self.item(self.source.get(key)?)
    }

    /// The record at `ordinal`, counted from 0 in the order of insertion.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at).
    pub fn get_at(&self, ordinal: u64) -> Result<Item<C>> {
        self.item(self.source.get_at(ordinal)?)
    }

    /// The records under `keys`, in the order asked for; a key may come more than once. Each
    /// block that they touch is decoded once.
    ///
    /// # Errors
    /// As [`Readable::get_batch`](crate::Readable::get_batch).
    pub fn get_batch<K>(&self, keys: impl IntoIterator<Item = K>) -> Result<Items<C>>
    where
        K: Into<Key>,
    {
        let batch = self.source.get_batch(keys)?.replaced(|bytes| self.codec.expand(bytes))?;
        Ok(Items { batch, codec: self.codec.clone() })
    }

    /// The records at these ordinals, in the order asked for.
    ///
    /// # Errors
    /// As [`Readable::get_batch_at`](crate::Readable::get_batch_at).
    pub fn get_batch_at(&self, ordinals: &[u64]) -> Result<Items<C>> {
        let batch = self.source.get_batch_at(ordinals)?;
        let batch = batch.replaced(|bytes| self.codec.expand(bytes))?;
        Ok(Items { batch, codec: self.codec.clone() })
    }

    /// The [weight](crate::codec::Encoded::weight) of the record at `ordinal`; decodes nothing.
    ///
    /// # Errors
    /// As [`Readable::location_at`](crate::Readable::location_at).
    pub fn weight_at(&self, ordinal: u64) -> Result<u32> {
        self.location_at(ordinal).map(|at| at.weight)
    }

    /// Place, length and weight of the record at `ordinal`; decodes nothing.
    ///
    /// # Errors
    /// As [`Readable::location_at`](crate::Readable::location_at).
    pub fn location_at(&self, ordinal: u64) -> Result<Location> {
        self.source.location_at(ordinal)
    }

    fn item(&self, record: Record) -> Result<Item<C>> {
        Item::new(record, &self.codec)
    }
}

impl<C: Codec + Clone> IntoIterator for &Depot<C> {
    type Item = Result<Item<C>>;
    type IntoIter = Iter<C>;
    fn into_iter(self) -> Iter<C> {
        self.iter()
    }
}

/// One record, owned, and the codec that views it. Outlives the store.
#[derive(Debug, Clone)]
pub struct Item<C> {
    record: Record,
    codec: C,
}

impl<C: Codec + Clone> Item<C> {
    fn new(record: Record, codec: &C) -> Result<Self> {
        let record = codec.expand(&record)?.map_or(record, Record::from);
        Ok(Self { record, codec: codec.clone() })
    }
}

impl<C: Codec> Item<C> {
    /// Views the object in the record, without a copy. The bytes are verified by each call:
    /// take the view once and keep it.
    ///
    /// # Errors
    /// [`Error::Codec`] if the bytes are not such a record.
    pub fn view(&self) -> Result<C::View<'_>> {
        self.codec.decode(&self.record)
    }

    /// The bytes of the record, as the codec [views](AnyCodec::expand) it.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }
}

/// Records that were fetched together, in the order in which they were asked for.
#[derive(Debug, Clone)]
pub struct Items<C> {
    batch: Batch,
    codec: C,
}

impl<C: Codec> Items<C> {
    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Views the record at position `i` of those that were asked for.
    ///
    /// # Errors
    /// [`Error::NotFound`] beyond the last one, [`Error::Codec`] if the bytes are no such
    /// record.
    pub fn view(&self, i: usize) -> Result<C::View<'_>> {
        let bytes = self.batch.get(i).ok_or_else(|| Error::NotFound {
            key: format!("at position {i} of a batch of {}", self.len()).into(),
        })?;
        self.codec.decode(bytes)
    }

    /// Views of all, in the order in which they were asked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<C::View<'_>>> {
        self.batch.iter().map(|bytes| self.codec.decode(bytes))
    }

    /// The records as bytes, as the codec [views](AnyCodec::expand) them.
    #[must_use]
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }
}

/// Records in order; see [`Depot::iter`].
#[derive(Debug)]
pub struct Iter<C> {
    scan: Scan,
    codec: C,
}

impl<C: Codec + Clone> Iterator for Iter<C> {
    type Item = Result<Item<C>>;
    fn next(&mut self) -> Option<Self::Item> {
        let record = self.scan.next()?;
        Some(record.and_then(|record| Item::new(record, &self.codec)))
    }
}
