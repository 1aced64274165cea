//! Writing: an object in, a record with the weight that the index keeps.

use super::read::{Depot, check_codec};
use crate::codec::{AnyCodec, Codec, Encoded, check};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::store::Readable;
use crate::store::{Closed, Layout, OriginalTable, Snapshot, StoreOptions, WriteOptions, Writer};
use crate::wire::Digest;
use std::path::Path;

/// Adds typed records to a store.
///
/// Commits as the [`Writer`] under it does. Dropping it commits nothing;
/// [`close`](Self::close) does.
#[derive(Debug)]
pub struct DepotWriter<C> {
    writer: Writer,
    codec: C,
    /// The record under construction, and the one that is kept of it; their memory is used again.
    space: Vec<u8>,
    kept: Vec<u8>,
    /// A shared record that was found to be there, and the weight of records that fit it.
    fits: Option<(Digest, u32)>,
}

impl<C: Codec> DepotWriter<C> {
    /// Makes a new store at `path` whose records are of `codec`: of the version that
    /// [`Layout::record_codec`](crate::Layout::record_codec) asks for if that names it, else of the
    /// newest, or with [`OriginalTable::Always`] of the newest that the original program reads.
    ///
    /// # Errors
    /// As [`Writer::create`]; [`Error::Unsupported`](crate::Error::Unsupported) for a version that the codec does not
    /// have.
    pub fn create(path: impl AsRef<Path>, codec: C, options: &StoreOptions) -> Result<Self> {
        let writer = Writer::create(path, &named(&codec, options)?)?;
        Self::over(writer, codec)
    }

    /// As [`create`](Self::create); a file that is there is replaced.
    ///
    /// # Errors
    /// As [`Writer::replace`].
    pub fn replace(path: impl AsRef<Path>, codec: C, options: &StoreOptions) -> Result<Self> {
        let writer = Writer::replace(path, &named(&codec, options)?)?;
        Self::over(writer, codec)
    }

    /// Opens the store at `path` for adding records.
    ///
    /// # Errors
    /// As [`Writer::open`]; [`Error::Invalid`](crate::Error::Invalid) if its records are of
    /// another codec.
    pub fn open(path: impl AsRef<Path>, codec: C, options: &WriteOptions) -> Result<Self> {
        let path = path.as_ref();
        let options = StoreOptions { layout: Layout::default(), write: options.clone() };
        let writer = Writer::open_converting(path, &named(&codec, &options)?)?;
        Self::over(writer, codec).map_err(|e| e.at(path))
    }

    /// Opens the store at `path`, or makes a new one there.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(
        path: impl AsRef<Path>,
        codec: C,
        options: &StoreOptions,
    ) -> Result<Self> {
        let path = path.as_ref();
        let writer = Writer::open_or_create(path, &named(&codec, options)?)?;
        Self::over(writer, codec).map_err(|e| e.at(path))
    }

    /// Makes a new store in memory.
    ///
    /// # Errors
    /// As [`Writer::in_memory`].
    pub fn in_memory(codec: C, options: &StoreOptions) -> Result<Self> {
        let writer = Writer::in_memory(&named(&codec, options)?)?;
        Self::over(writer, codec)
    }

    /// Typed writing over a writer that is open already.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) that names both codecs if the records of the
    /// store are of another one, [`Error::Unsupported`](crate::Error::Unsupported) if they are
    /// of a newer version.
    pub fn over(writer: Writer, codec: C) -> Result<Self> {
        check_codec(&codec, writer.layout(), writer.opened())?;
        Ok(Self { writer, codec, space: Vec::new(), kept: Vec::new(), fits: None })
    }

    /// Puts `item` under `key` and returns its ordinal; a record that is there is replaced. See
    /// [`Writer::put`].
    ///
    /// # Errors
    /// As [`Writer::put`]; [`Error::Codec`](crate::Error::Codec) if the parts of `item`
    /// contradict each other. A refused put changes nothing.
    pub fn put(&mut self, key: impl Into<Key>, item: &C::Input<'_>) -> Result<u64> {
        let key = key.into();
        self.put_by(Some(&key), Existing::Replace, |codec, out| codec.encode(item, out))
    }

    /// As [`put`](Self::put), but a record that is there is kept, and the insertion refused.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`Error::Exists`](crate::Error::Exists) if there is a record
    /// under `key`.
    pub fn insert(&mut self, key: impl Into<Key>, item: &C::Input<'_>) -> Result<u64> {
        let key = key.into();
        self.put_by(Some(&key), Existing::Refuse, |codec, out| codec.encode(item, out))
    }

    /// Adds `item` without a key: it is found by its ordinal alone.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn push(&mut self, item: &C::Input<'_>) -> Result<u64> {
        self.put_by(None, Existing::Refuse, |codec, out| codec.encode(item, out))
    }

    /// Puts the record that `encode` appends to what it is given: for a codec that has more ways
    /// to encode than one. What the record refers to must be there and fit.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); what `encode` returns.
    pub(crate) fn put_by(
        &mut self,
        key: Option<&Key>,
        existing: Existing,
        encode: impl FnOnce(&C, &mut Vec<u8>) -> Result<Encoded>,
    ) -> Result<u64> {
        self.space.clear();
        let weight = encode(&self.codec, &mut self.space)?.weight;
        if let Some(digest) = self.codec.reference(&self.space)
            && self.fits != Some((digest, weight))
        {
            let shared = self.writer.shared(&digest).map_err(|e| match e {
                Error::NotFound { .. } => {
                    let why =
                        format!("{digest} is not in the store; share it before what refers to it");
                    Error::invalid("shared record", why)
                }
                other => other,
            })?;
            self.codec.check_reference(&self.space, &shared)?;
            self.fits = Some((digest, weight));
        }
        let version = self.writer.layout().record_codec.1;
        self.kept.clear();
        let other = self.codec.for_version(version, &self.space, &mut self.kept)?;
        let record = if other { &self.kept } else { &self.space };
        // The codec made the bytes just now.
        self.writer.put_unchecked(key, record, weight, existing)
    }

    /// Makes everything that was put so far survive; see [`Writer::commit`].
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn commit(&mut self) -> Result<u64> {
        self.writer.commit()
    }

    /// Brings the Blosc2 frame up to this moment; see [`Writer::seal`].
    ///
    /// # Errors
    /// As [`Writer::seal`].
    pub fn seal(&mut self) -> Result<u64> {
        self.writer.seal()
    }

    /// Commits and ends; see [`Writer::close`].
    ///
    /// # Errors
    /// As [`Writer::close`].
    pub fn close(self) -> Result<Closed> {
        self.writer.close()
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.writer.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writer.is_empty()
    }

    /// The codec.
    #[must_use]
    pub const fn codec(&self) -> &C {
        &self.codec
    }

    /// The writer of bytes under this one: for attributes, deleting, options.
    #[must_use]
    pub const fn writer(&self) -> &Writer {
        &self.writer
    }

    /// As [`writer`](Self::writer), to change something. Bytes that are put through it are
    /// checked, if the codec is one of this release.
    pub const fn writer_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// The state at the last commit, for readers.
    ///
    /// # Errors
    /// As [`Writer::snapshot`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.writer.snapshot()
    }
}

impl<C: Codec + Clone> DepotWriter<C> {
    /// Typed reading of all that was put, committed or not.
    ///
    /// # Errors
    /// As [`Depot::new`].
    pub fn reading(&self) -> Result<Depot<C, &Writer>> {
        Depot::new(&self.writer, self.codec.clone())
    }

    /// Typed reading of the state at the last commit.
    ///
    /// # Errors
    /// As [`Writer::snapshot`].
    pub fn depot(&self) -> Result<Depot<C>> {
        Depot::new(self.snapshot()?, self.codec.clone())
    }
}

/// The version of the records of a new store.
fn newest(codec: &dyn AnyCodec, options: &WriteOptions) -> u32 {
    match options.original_table {
        OriginalTable::Always => codec.original_version(),
        OriginalTable::Auto | OriginalTable::Never => codec.version(),
    }
}

/// These options for records of `codec`; an error for a version that it does not have, before a file is made.
fn named<C: Codec>(codec: &C, options: &StoreOptions) -> Result<StoreOptions> {
    let StoreOptions { layout, write } = options.clone();
    let (rows, check) = (write.rows.or(codec.rows()), write.check.or(Some(check)));
    let (name, asked) = &layout.record_codec;
    let version = if name == codec.name() { *asked } else { newest(codec, &write) };
    if !(1..=codec.version()).contains(&version) {
        let (found, newest) = (version.into(), codec.version().into());
        return Err(Error::Unsupported { what: "codec version", found, newest });
    }
    Ok(StoreOptions {
        layout: Layout { record_codec: (codec.name().into(), version), ..layout },
        write: WriteOptions { rows, check, ..write },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{FlatF32Codec, MdFrame, MdFrameCodec, RawCodec};

    #[test]
    fn a_version_that_the_codec_does_not_have_makes_no_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for version in [0, 3] {
            let layout = Layout { record_codec: ("md-frame".into(), version), ..Layout::default() };
            let why = DepotWriter::create(&path, MdFrameCodec, &layout.into()).unwrap_err();
            assert!(matches!(why, Error::Unsupported { newest: 2, .. }), "{why}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn another_codec_is_refused_naming_both() {
        let mut w = DepotWriter::in_memory(RawCodec, &StoreOptions::default()).unwrap();
        w.push(b"abc").unwrap();
        w.commit().unwrap();
        let why = Depot::new(w.snapshot().unwrap(), MdFrameCodec).unwrap_err().to_string();
        assert!(why.contains("are raw (version 1), not md-frame"), "{why}");
        let why = DepotWriter::over(w.writer, FlatF32Codec).unwrap_err().to_string();
        assert!(why.contains("raw") && why.contains("flat-f32"), "{why}");
    }

    #[test]
    fn an_item_that_contradicts_itself_changes_nothing() {
        let mut w = DepotWriter::in_memory(MdFrameCodec, &StoreOptions::default()).unwrap();
        let wrong = MdFrame { nsites: 2, types: Some(vec![1]), ..MdFrame::default() };
        assert!(w.put("x", &wrong).is_err());
        assert!(w.is_empty() && !w.writer().is_dirty());
    }

    #[test]
    fn put_replaces_and_insert_refuses_what_is_there() {
        let mut w = DepotWriter::in_memory(RawCodec, &StoreOptions::default()).unwrap();
        w.insert("x", b"one").unwrap();
        let refused = w.insert("x", b"two").unwrap_err();
        assert!(matches!(refused, Error::Exists { .. }), "{refused}");
        assert_eq!(w.writer().get("x").unwrap()[..], *b"one");
        w.put("x", b"three").unwrap();
        assert_eq!((w.len(), &w.writer().get("x").unwrap()[..]), (1, &b"three"[..]));
    }

    #[test]
    fn items_come_back_one_by_one_in_batches_and_in_order() {
        let mut w = DepotWriter::in_memory(RawCodec, &StoreOptions::default()).unwrap();
        let data: Vec<Vec<u8>> = (0..100_u8).map(|i| vec![i; usize::from(i)]).collect();
        for (i, bytes) in data.iter().enumerate() {
            w.insert(i as u64, bytes).unwrap();
        }
        w.commit().unwrap();
        let depot = w.depot().unwrap();
        assert_eq!(depot.get(7).unwrap().view().unwrap(), data[7]);
        assert_eq!(depot.get_at(8).unwrap().record()[..], data[8][..]);
        let items = depot.get_batch([3, 90, 3]).unwrap();
        let views: Vec<&[u8]> = items.iter().map(|v| v.unwrap()).collect();
        assert_eq!(views, [&data[3][..], &data[90], &data[3]]);
        assert!(items.view(3).is_err());
        for (item, right) in (&depot).into_iter().zip(&data) {
            assert_eq!(item.unwrap().view().unwrap(), right);
        }
        assert_eq!(depot.range(10..20).count(), 10);
        assert_eq!(depot.weight_at(5).unwrap(), 0);
    }
}
