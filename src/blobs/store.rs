//! Blobs as records of a store file.

use super::data::StorageData;
use super::digest::ContentDigest;
use super::name::StorageName;
use super::reading::{Blob, BlobParts, Reader, each_record};
use super::records::{self, Head, tags_key};
use super::session::{Session, Shared, found};
use super::storage::{
    Checks, Entry, Router, Storage, TAGS_ENDING, check_place, check_range, check_written, missing,
    place_of,
};
use super::stream::{ByteStream, GetDigest, Incoming, Outgoing};
use super::tags::{TagSets, Tags};
use crate::DepotWriter;
use crate::codec::DocumentCodec;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Compression, Layout, Record, StoreOptions, WriteOptions};
use crate::wire::{memory, to_usize};
use serde_json::json;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// Bytes of a part: with its head it fills a chunk of 2 MiB exactly. So it is read where it lies in the file,
/// and a commit behind it has no open chunk to save.
const PART: usize = (2 << 20) - 48;
/// Most bytes of a part.
const PART_MAX: usize = 512 << 20;

/// How a [`StoreStorage`] works.
#[derive(Clone)]
pub struct BlobOptions {
    /// What is checked.
    pub checks: Checks,
    /// Bytes of a part: what is larger is split over several records.
    pub part: usize,
    /// The user's choice of places, which are the keys of the records; without it the name of the digest.
    pub router: Option<Router>,
    /// Whether nothing may be written.
    pub read_only: bool,
    /// How long to wait while another process writes.
    pub wait: Duration,
    /// What commits wait for, threads, and so on.
    pub write: WriteOptions,
}

impl Default for BlobOptions {
    fn default() -> Self {
        Self {
            checks: Checks::default(),
            part: PART,
            router: None,
            read_only: false,
            wait: Duration::from_secs(60),
            write: WriteOptions::default(),
        }
    }
}

impl fmt::Debug for BlobOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobOptions")
            .field("checks", &self.checks)
            .field("part", &self.part)
            .field("routed", &self.router.is_some())
            .field("read_only", &self.read_only)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// Blobs in a store file: one record for a small one, several under one name for a large one.
///
/// The store is written by whoever writes a blob, for that moment: other processes wait, as long as
/// [`BlobOptions::wait`] says. Parts of a stream lie under a name of their own until the record that names
/// them, at its end, makes them a blob. Those of a stream that failed are deleted; those of a killed
/// process are deleted by the next that writes. [`compact`](crate::maintain::compact()) gives back what they took.
#[derive(Debug)]
pub struct StoreStorage {
    name: StorageName,
    pub(super) options: BlobOptions,
    pub(super) shared: Shared,
    pub(super) reader: Reader,
}

impl StoreStorage {
    /// The blobs in the store at `path`.
    ///
    /// # Errors
    /// As [`Store::open`](crate::Store::open); [`Error::Invalid`] if it is a store of something else, or for
    /// parts of 0 bytes or more than 512 MiB.
    pub fn open(name: StorageName, path: impl AsRef<Path>, options: BlobOptions) -> Result<Self> {
        let path = path.as_ref();
        if options.part == 0 || options.part > PART_MAX {
            let why = format!("is {}; it must be from 1 to {PART_MAX} bytes", options.part);
            return Err(Error::invalid("part size", why));
        }
        let path = std::path::absolute(path).map_err(|e| Error::io("find", e).at(path))?;
        let reader = Reader::open(&path, options.write.reading())?;
        let store = StoreOptions { layout: Layout::default(), write: options.write.clone() };
        let shared = Shared::new(path, store, options.wait);
        Ok(Self { name, options, shared, reader })
    }

    /// As [`open`](Self::open); a store with this compression is made if there is none. Blobs are often
    /// compressed already: [`Compression::Stored`] keeps them as they are, and is the fastest.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`DepotWriter::create`].
    pub fn create(
        name: StorageName,
        path: impl AsRef<Path>,
        compression: Compression,
        options: BlobOptions,
    ) -> Result<Self> {
        let path = path.as_ref();
        if !path.try_exists().unwrap_or(true) {
            let layout =
                Layout { compression, typesize: 1, chunk_size: 2 << 20, ..Layout::default() };
            let store = StoreOptions { layout, write: options.write.clone() };
            let made = DepotWriter::create(path, DocumentCodec, &store).and_then(|mut writer| {
                records::claim(writer.writer_mut())?;
                writer.close()
            });
            match made {
                Err(e) if !matches!(e.root(), Error::Exists { .. } | Error::Locked) => {
                    return Err(e);
                }
                _ => {}
            }
        }
        Self::open(name, path, options)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// Keeps the store open for writing until [`release`](Self::release), for many small blobs: commits
    /// then happen by themselves, as [`WriteOptions`] says, and not with each blob. Other processes wait.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process does not let go; as [`crate::Writer::open`].
    pub fn hold(&self) -> Result<()> {
        self.writable()?;
        self.shared.hold()
    }

    /// Ends a [`hold`](Self::hold): all that was written is committed when it returns.
    ///
    /// # Errors
    /// As [`crate::Writer::commit`].
    pub fn release(&self) -> Result<()> {
        self.shared.release()
    }

    /// Deletes the parts of all streams that are not finished and that this process is not writing, and
    /// returns how many such streams there were. Those of killed processes of this machine are deleted by
    /// every writer anyway.
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub fn sweep(&self) -> Result<u64> {
        self.writable()?;
        self.shared.sweep()
    }

    fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Error::ReadOnly.at(self.path())) } else { Ok(()) }
    }

    pub(super) fn at(&self, place: &str, digest: &ContentDigest) -> Result<StorageData> {
        let path = self.path().to_string_lossy();
        StorageData::new([("store", &path), ("key", place)], digest.clone())
    }

    /// The head of the record at `place`, if there is one, which must be of this content.
    pub(super) fn same(
        writer: &DepotWriter<DocumentCodec>,
        place: &str,
        digest: &ContentDigest,
    ) -> Result<bool> {
        let Some(record) = found(writer.writer(), &Key::from(place))? else { return Ok(false) };
        let there = records::head(&record)?.digest;
        if there.hash() != digest.hash() {
            let what = format!("another content at the place {place:?}");
            return Err(Error::Exists { what: what.into(), instead: None });
        }
        Ok(true)
    }

    pub(super) fn add_tags(
        writer: &mut DepotWriter<DocumentCodec>,
        place: &str,
        digest: &ContentDigest,
        tags: &Tags,
    ) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let key = tags_key(place);
        let there = found(writer.writer(), &key)?;
        let mut sets = there.as_ref().map(records::tag_sets).transpose()?.unwrap_or_default();
        if !sets.add(tags) {
            return Ok(());
        }
        let head = json!({"tags": sets.to_json(), "blob": digest.to_json()});
        records::put(writer, key, &head, None).map(drop)
    }

    /// Stores a content that fits one record.
    fn write_small(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        let place = place_of(self.options.router.as_ref(), digest, tags)?;
        let at = self.at(&place, digest)?;
        let session: Session<'_> = self.shared.enter()?;
        session.with(|w| {
            if !Self::same(w, &place, digest)? {
                let head = Head { digest: digest.clone(), parts: None };
                records::put(w, Key::from(place.as_str()), &head.to_json(), Some(data))?;
            }
            Self::add_tags(w, &place, digest, tags)
        })?;
        session.leave()?;
        Ok(at)
    }

    /// The blob that was stored as `at`: in the store in which it was written, or else in this one.
    fn find(&self, at: &StorageData) -> Result<Blob> {
        let place = at.part("key")?;
        check_place(place)?;
        let blob = self.reader.blob(&self.shared, at.part("store")?, place)?;
        let blob = blob.ok_or_else(|| missing(place).at(self.path()))?;
        let there = &blob.head.digest;
        if (there.hash(), there.size()) == (at.digest().hash(), at.digest().size()) {
            return Ok(blob);
        }
        let why = "another content lies at its place than was written";
        Err(Error::corrupt("content", 0, why).of_record(&place).at(self.path()))
    }
}

impl Storage for StoreStorage {
    fn name(&self) -> &StorageName {
        &self.name
    }

    fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    fn checks(&self) -> Checks {
        self.options.checks
    }

    fn write_data(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        self.writable()?;
        check_written(data, digest, self.options.checks)?;
        self.write_known(data, digest, tags)
    }

    fn write_known(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        self.writable()?;
        if data.len() <= self.options.part {
            return self.write_small(data, digest, tags);
        }
        let place = place_of(self.options.router.as_ref(), digest, tags)?;
        let session = self.shared.enter()?;
        if session.with(|w| Self::same(w, &place, digest))? {
            session.with(|w| Self::add_tags(w, &place, digest, tags))?;
            session.leave()?;
            return self.at(&place, digest);
        }
        // Held for all parts: there is no source to wait for.
        let at = self.write_large(&session, data, digest, tags)?;
        session.leave()?;
        Ok(at)
    }

    fn read_into(&self, at: &StorageData, out: &mut [u8]) -> Result<()> {
        let check = self.options.checks.read;
        let whole = self.find(at)?.copy_to(out, check).map_err(|e| e.at(self.path()))?;
        if whole {
            return Ok(());
        }
        let why = "its SHA-256 is not that of what was written";
        Err(Error::corrupt("content", 0, why).of_record(&at.part("key")?).at(self.path()))
    }

    fn read_data(&self, at: &StorageData) -> Result<Vec<u8>> {
        let size = self.find(at)?.head.digest.size();
        let mut data = memory::zeroed(to_usize(size).unwrap_or(usize::MAX))?;
        self.read_into(at, &mut data)?;
        Ok(data)
    }

    fn write_data_stream(
        &self,
        stream: &mut dyn ByteStream,
        get_digest: &GetDigest,
        tags: &Tags,
    ) -> Result<StorageData> {
        self.writable()?;
        let mut incoming = Incoming::new(stream, get_digest, self.options.checks.written);
        let mut first = Vec::new();
        if !incoming.fill(&mut first, self.options.part + 1)? && first.len() <= self.options.part {
            let digest = incoming.digest()?;
            return self.write_small(&first, &digest, tags);
        }
        self.write_large_stream(first, &mut incoming, tags)
    }

    fn read_data_stream(&self, at: &StorageData) -> Result<Box<dyn ByteStream>> {
        let parts = BlobParts::new(self.find(at)?, self.path());
        let called = at.part("key")?.to_owned();
        Ok(Box::new(Outgoing::new(parts, at.digest(), called, self.options.checks.read)))
    }

    fn read_range(&self, at: &StorageData, range: Range<u64>) -> Result<Vec<u8>> {
        check_range(&range, at.digest().size())?;
        self.find(at)?.range(&range).map_err(|e| e.at(self.path()))
    }

    fn entry(&self, at: &StorageData) -> Result<Entry> {
        self.find(at)?;
        let place = at.part("key")?;
        let sets = self.reader.fresh(&self.shared, &tags_key(place))?;
        let sets = sets.as_ref().map(records::tag_sets).transpose()?.unwrap_or_default();
        Ok(Entry { data: at.clone(), tags: sets.0 })
    }

    fn search(&self, tags: &Tags) -> Result<Vec<Entry>> {
        let mut out = Vec::new();
        let mut add = |key: &str, record: &Record| {
            let Some(place) = key.strip_suffix(TAGS_ENDING) else { return Ok(()) };
            let sets: TagSets = records::tag_sets(record)?;
            if sets.have(tags) {
                let digest = records::head(record)?.digest;
                out.push(Entry { data: self.at(place, &digest)?, tags: sets.0 });
            }
            Ok(())
        };
        self.reader.newest_of(&self.shared, &mut |reader| {
            each_record(reader, |key| key.ends_with(TAGS_ENDING), &mut add)
        })?;
        Ok(out)
    }
}
