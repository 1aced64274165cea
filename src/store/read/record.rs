//! The bytes of a record, owned: they outlive the store and cross threads.

use crate::backend::Mapping;
use crate::error::{Error, Result};
use crate::wire::AlignedBuf;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The bytes of a record. Cheap to clone; starts at a multiple of 8 in memory, so that arrays
/// in it can be viewed where they are. Holds a decoded block, a part of the map or a buffer of
/// its own alive, whichever it lies in.
#[derive(Clone)]
pub struct Record {
    bytes: Bytes,
    range: Range<usize>,
}

#[derive(Clone)]
enum Bytes {
    Buffer(Arc<AlignedBuf>),
    Map(Mapping),
}

impl Record {
    pub(crate) fn empty() -> Self {
        Self { bytes: Bytes::Buffer(Arc::default()), range: 0..0 }
    }

    pub(crate) fn owned(buf: AlignedBuf) -> Self {
        let range = 0..buf.len();
        Self { bytes: Bytes::Buffer(Arc::new(buf)), range }
    }

    pub(crate) fn of(buf: Arc<AlignedBuf>, range: Range<usize>) -> Result<Self> {
        if buf.get(range.clone()).is_none() {
            return Err(Error::corrupt("record entry", 0, "reaches past its block"));
        }
        Ok(Self { bytes: Bytes::Buffer(buf), range })
    }

    pub(crate) fn mapped(map: Mapping, range: Range<usize>) -> Result<Self> {
        if map.get(range.clone()).is_none() {
            return Err(Error::corrupt("record entry", 0, "reaches past the file"));
        }
        Ok(Self { bytes: Bytes::Map(map), range })
    }

    /// Whether the bytes are a slice of the mapped file: nothing was copied.
    #[must_use]
    pub const fn is_mapped(&self) -> bool {
        matches!(self.bytes, Bytes::Map(_))
    }

    /// Bytes of memory that the record keeps alive.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.bytes {
            Bytes::Buffer(b) => b.len(),
            Bytes::Map(_) => 0,
        }
    }
}

impl From<AlignedBuf> for Record {
    fn from(bytes: AlignedBuf) -> Self {
        Self::owned(bytes)
    }
}

impl Deref for Record {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.bytes {
            Bytes::Buffer(b) => b,
            Bytes::Map(m) => m,
        };
        all.get(self.range.clone()).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Record {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq<[u8]> for Record {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Record {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} bytes)", self.range.len())
    }
}
