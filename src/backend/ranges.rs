//! What is read by ranges, each call a round trip: objects of object stores, files of web servers.

use crate::error::Result;
use std::fmt::Debug;
use std::ops::Range;

/// What the first request for an object tells.
#[derive(Debug, Clone, Default)]
pub struct Begun {
    /// Length of the object in bytes.
    pub len: u64,
    /// What changes when the object is replaced, such as its `ETag`; `None` if nothing tells.
    pub version: Option<Box<str>>,
    /// The first bytes of the object, or none if they could not be had together with its length.
    pub bytes: Vec<u8>,
}

/// An object that is read by ranges of bytes. [`PagedBackend`](super::PagedBackend) makes a backend of it.
///
/// Calls come from several threads at once, and from forked children. None of the texts that it shows,
/// in errors or by `Debug`, holds anything secret.
pub trait RangeSource: Send + Sync + Debug {
    /// What tells this object from all others, as its address does: `s3://bucket/key`.
    fn name(&self) -> &str;

    /// Length and version of the object, and its first `most` bytes or fewer: one request.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), of kind `NotFound` if there is no object.
    fn begin(&self, most: u64) -> Result<Begun>;

    /// The bytes of each range, all of which lie inside the object, ascend and do not overlap. The
    /// requests run side by side.
    ///
    /// # Errors
    /// [`Error::Replaced`](crate::Error::Replaced) if the object is not of this `version` any more;
    /// [`Error::Io`](crate::Error::Io) if it cannot be read; [`Error::Interrupted`](crate::Error::Interrupted).
    fn read(&self, ranges: &[Range<u64>], version: Option<&str>) -> Result<Vec<Vec<u8>>>;
}
