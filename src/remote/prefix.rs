//! Objects below one address, reached by the same connections: the members of a data set.

use super::access::Access;
use super::address::Address;
use super::object::{ObjectSource, is_missing};
use super::open::open_source;
use super::options::RemoteOptions;
use super::pull::{PullOptions, Pulled, pull_from};
use super::push::{PushOptions, Pushed, push_to};
use crate::backend::{Begun, RangeSource};
use crate::error::{Error, Result};
use crate::store::{ReadOptions, Store};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Bytes of one request for an object that is read as a whole.
const PIECE: u64 = 1 << 20;
/// Pages in memory that a store gets at least.
const LEAST: usize = 1 << 20;

/// All objects whose addresses begin alike.
pub(crate) struct Prefix {
    access: Arc<Access>,
    key: Key,
    options: RemoteOptions,
    s3: Option<AmazonS3Builder>,
}

impl Prefix {
    /// Those below `url`: `s3://bucket/folder`.
    ///
    /// # Errors
    /// As [`source`](super::source). Nothing is asked yet.
    pub(crate) fn new(url: &str, options: &RemoteOptions) -> Result<Self> {
        let Address { at, key, make, secrets, denied, s3 } =
            Address::parse(url.trim_end_matches('/'))?;
        let access = Access::made(make, &at, secrets, denied)?;
        Ok(Self { access, key, options: options.clone(), s3 })
    }

    fn source(&self, name: &str) -> Result<Arc<ObjectSource>> {
        let key = name.split('/').fold(self.key.clone(), |key, part| key.join(part));
        let (access, s3) = (self.access.clone(), self.s3.clone());
        let RemoteOptions { deadline, at_once, .. } = self.options;
        Ok(Arc::new(ObjectSource::below(access, key, deadline, at_once, s3)))
    }

    /// The whole object `name` and its version, or nothing if there is none; [`Error::Limit`] if it is longer
    /// than `most` bytes.
    pub(crate) fn get(&self, name: &str, most: u64) -> Result<Option<(Vec<u8>, Box<str>)>> {
        let source = self.source(name)?;
        let Begun { len, version, mut bytes } = match source.begin(PIECE) {
            Err(e) if is_missing(&e) => return Ok(None),
            begun => begun?,
        };
        if len > most {
            let what = "bytes of a manifest";
            return Err(Error::Limit { what, asked: len, max: most }.at(source.name().as_ref()));
        }
        let from = bytes.len() as u64;
        let ranges: Vec<_> = (0..(len - from.min(len)).div_ceil(PIECE))
            .map(|i| from + i * PIECE..(from + (i + 1) * PIECE).min(len))
            .collect();
        for part in source.read(&ranges, version.as_deref())? {
            bytes.extend(part);
        }
        Ok(Some((bytes, version.unwrap_or_default())))
    }

    /// Puts an object in the place of that with this version, or where none was; whether it was still so.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>, known: Option<&str>) -> Result<bool> {
        self.source(name)?.put_in_place(bytes, known)
    }

    /// Opens the store `name`, one of `share` that keep their pages in memory together.
    pub(crate) fn open(&self, name: &str, read: &ReadOptions, share: usize) -> Result<Store> {
        let memory = (self.options.memory / share.max(1)).max(LEAST);
        let options = RemoteOptions { memory, ..self.options.clone() };
        open_source(self.source(name)?, read, &options)
    }

    /// Uploads a store, as [`push`](super::push()) does.
    pub(crate) fn push(
        &self,
        name: &str,
        file: &Path,
        options: &PushOptions,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Pushed> {
        push_to(&self.source(name)?, file, options, progress)
    }

    /// Fetches a store, as [`pull`](super::pull()) does.
    pub(crate) fn pull(
        &self,
        name: &str,
        file: &Path,
        options: &PullOptions,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Pulled> {
        pull_from(&self.source(name)?, file, options, progress)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the access: it has secrets.
        f.debug_struct("Prefix")
            .field("at", &self.access.at)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
