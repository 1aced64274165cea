//! What every storage does.

use super::data::StorageData;
use super::digest::{ContentDigest, ContentKind};
use super::name::StorageName;
use super::stream::{ByteStream, GetDigest};
use super::tags::Tags;
use crate::error::{Error, Result};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// A blob that a search found, or that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What finds it again, with its digest.
    pub data: StorageData,
    /// The sets of tags under which it was written; none if it was written without.
    pub tags: Vec<Tags>,
}

/// What is computed again to be sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// The digest that a caller gives with a content, before it is written.
    pub written: bool,
    /// The digest of a content, each time it is read whole.
    pub read: bool,
}

impl Default for Checks {
    fn default() -> Self {
        Self { written: true, read: true }
    }
}

/// Chooses the place of a content: a relative path with `/`, of names without `.` before them.
pub type Router = Arc<dyn Fn(&ContentDigest, &Tags) -> Result<String> + Send + Sync>;

/// A place for blobs. What is written either way, whole or as a stream, is read either way.
///
/// Equal contents of one type are stored once, also if several write them at once. A content is seen when
/// it is whole, or not at all.
pub trait Storage: Send + Sync + Debug {
    /// The permanent name of this kind of storage.
    fn name(&self) -> &StorageName;

    /// Whether nothing can be written here.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Stores `data`, which `digest` describes, and returns what finds it again.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `data` has another digest (see [`Checks`]), [`Error::ReadOnly`],
    /// [`Error::Io`]. Nothing is stored then.
    fn write_data(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData>;

    /// The content that was stored as `at`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not here, [`Error::Corrupt`] if it is not what was written.
    fn read_data(&self, at: &StorageData) -> Result<Vec<u8>>;

    /// As [`read_data`](Self::read_data), into `out`, which is as long as the content.
    ///
    /// # Errors
    /// As there; [`Error::Limit`] if `out` has another length. What is in `out` then means nothing.
    fn read_into(&self, at: &StorageData, out: &mut [u8]) -> Result<()> {
        let data = self.read_data(at)?;
        if data.len() != out.len() {
            let (asked, max) = (data.len() as u64, out.len() as u64);
            return Err(Error::Limit { what: "buffer", asked, max });
        }
        out.copy_from_slice(&data);
        Ok(())
    }

    /// Stores all of `stream`, in bounded memory, and returns what finds it again.
    ///
    /// # Errors
    /// What the stream says; as [`write_data`](Self::write_data). Nothing is stored then.
    fn write_data_stream(
        &self,
        stream: &mut dyn ByteStream,
        get_digest: &GetDigest,
        tags: &Tags,
    ) -> Result<StorageData>;

    /// The content that was stored as `at`, piece by piece, in bounded memory. The last piece comes only
    /// if the whole is what was written.
    ///
    /// # Errors
    /// As [`read_data`](Self::read_data).
    fn read_data_stream(&self, at: &StorageData) -> Result<Box<dyn ByteStream>>;

    /// The bytes `range` of a content, without reading all of it. They are not compared with its digest,
    /// which is of the whole.
    ///
    /// # Errors
    /// As [`read_data`](Self::read_data); [`Error::Limit`] for a range that ends behind the content.
    fn read_range(&self, at: &StorageData, range: Range<u64>) -> Result<Vec<u8>>;

    /// What is known of a content.
    ///
    /// # Errors
    /// As [`read_data`](Self::read_data).
    fn entry(&self, at: &StorageData) -> Result<Entry>;

    /// The contents that were written with all of these tags; for none, all that have tags.
    ///
    /// # Errors
    /// As [`read_data`](Self::read_data).
    fn search(&self, tags: &Tags) -> Result<Vec<Entry>>;

    /// What is checked.
    fn checks(&self) -> Checks;

    /// As [`write_data`](Self::write_data), of bytes whose digest is right.
    ///
    /// # Errors
    /// As there.
    fn write_known(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        self.write_data(data, digest, tags)
    }

    /// Stores `data` with the digest that it has.
    ///
    /// # Errors
    /// As [`write_data`](Self::write_data).
    fn put(&self, data: &[u8], kind: ContentKind, tags: &Tags) -> Result<StorageData> {
        self.write_known(data, &ContentDigest::of_kind(data, kind), tags)
    }
}

/// Refuses `data` with another digest than was claimed.
pub(super) fn check_written(data: &[u8], digest: &ContentDigest, checks: Checks) -> Result<()> {
    if checks.written || data.len() as u64 != digest.size() {
        digest.must_be(&ContentDigest::of_kind(data, digest.kind().clone()))?;
    }
    Ok(())
}

/// Refuses a range that is not of a content of `size` bytes.
pub(super) fn check_range(range: &Range<u64>, size: u64) -> Result<()> {
    if range.start > range.end {
        let why = format!("{} to {} ends before it begins", range.start, range.end);
        return Err(Error::invalid("range", why));
    }
    if range.end > size {
        return Err(Error::Limit { what: "end of the range", asked: range.end, max: size });
    }
    Ok(())
}

/// There is no such content.
pub(super) fn missing(called: &str) -> Error {
    Error::NotFound { key: format!("{called:?}").into() }
}

/// The place of `digest` in a storage: what the user's function says, or else its name.
pub(super) fn place_of(
    router: Option<&Router>,
    digest: &ContentDigest,
    tags: &Tags,
) -> Result<String> {
    let Some(router) = router else { return Ok(digest.file_name()) };
    let place = router(digest, tags)?;
    check_place(&place)?;
    Ok(place)
}

/// Refuses a place that could lead out of its storage.
pub(super) fn check_place(place: &str) -> Result<()> {
    let good = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.len() <= 255
            && !name.ends_with(TAGS_ENDING)
            && !name.contains(|c: char| c.is_control() || c == '\\' || c == ':')
    };
    if place.len() <= 1000 && place.split('/').all(good) {
        return Ok(());
    }
    let why = format!(
        "{place:?} is not a relative path of names that do not begin with a dot and do not end in \
         {TAGS_ENDING}"
    );
    Err(Error::invalid("place of a blob", why))
}

/// What names that belong to the tags of a content end in.
pub(super) const TAGS_ENDING: &str = ".tags";
