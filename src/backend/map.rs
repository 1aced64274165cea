//! A shared read-only view of bytes: a mapped file, or memory that somebody owns.
//!
//! The duty of everybody who maps a file: nobody may shorten it, or change the mapped bytes,
//! while the mapping lives. Stores keep to it by never overwriting what a snapshot refers to and
//! never cutting a file that others may read. Another program can break it, which no check can
//! prevent: reading past a new end kills the process with a bus error, and bytes that change
//! after their checksum matched must not reach foreign code, so they are copied out before.
//! So files are mapped only by who asks for it, with [`Access::Map`](super::Access::Map).

#![expect(unsafe_code, reason = "mapping a file; docs/safety.md, section backend")]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

use super::bounds::ends_before;
use crate::error::{Error, Result};

/// A read-only view of the first bytes of a backend that stays valid as long as a clone lives,
/// also when the backend is gone. Cloning shares, it copies nothing.
#[derive(Clone)]
pub struct Mapping {
    bytes: Bytes,
    len: usize,
}

#[derive(Clone)]
enum Bytes {
    File(Arc<Mmap>),
    Owned(Arc<dyn AsRef<[u8]> + Send + Sync>),
}

impl Mapping {
    /// The first `len` bytes of `file`, which has at least as many.
    pub(super) fn of_file(file: &File, len: u64) -> Result<Self> {
        let there = file.metadata().map_err(|e| Error::io("read the length", e))?.len();
        if there < len {
            return Err(ends_before(there));
        }
        let len = usize::try_from(len).map_err(|_| Error::Limit {
            what: "bytes to map on this machine",
            asked: len,
            max: u64::from(u32::MAX),
        })?;
        if len == 0 {
            // The system refuses to map nothing.
            return Ok(Self::from_owner(Arc::new([0_u8; 0])));
        }
        // SAFETY: the mapping is read-only and shared, and `len` was compared with the length of
        // the file above, so no page of it lies past the end now. That nobody shortens the file
        // or changes the mapped range later is the duty stated at the top of this file.
        let map = unsafe { MmapOptions::new().len(len).map(file) }.map_err(|e| match e.kind() {
            io::ErrorKind::OutOfMemory => Error::OutOfMemory { asked: len as u64 },
            _ => Error::io("map the file", e),
        })?;
        Ok(Self { bytes: Bytes::File(Arc::new(map)), len })
    }

    /// All bytes of `owner`, kept alive by the view. If `as_ref` ever gives fewer bytes, the
    /// view is empty: the owner's mistake cannot become an access out of bounds.
    pub(super) fn from_owner(owner: Arc<dyn AsRef<[u8]> + Send + Sync>) -> Self {
        let len = (*owner).as_ref().len();
        Self { bytes: Bytes::Owned(owner), len }
    }

    /// The same bytes, but only the first `len` of them, if there are as many.
    pub(super) fn shortened(&self, len: u64) -> Option<Self> {
        let len = usize::try_from(len).ok().filter(|len| *len <= self.len)?;
        Some(Self { bytes: self.bytes.clone(), len })
    }

    /// Whether reading these bytes can fault because another program cut a file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.bytes, Bytes::File(_))
    }
}

impl Deref for Mapping {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.bytes {
            Bytes::File(map) => map,
            Bytes::Owned(owner) => (**owner).as_ref(),
        };
        all.get(..self.len).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("len", &self.len).field("file", &self.is_file()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_mapping_outlives_the_file_handle_and_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bytes");
        std::fs::write(&path, b"0123456789").unwrap();
        let map = Mapping::of_file(&File::open(&path).unwrap(), 4).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(&*map.clone(), b"0123");
        assert!(map.is_file());
    }

    #[test]
    fn more_than_the_file_holds_is_never_mapped() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 5000]).unwrap();
        for len in [5001, 8192, 1 << 40, u64::MAX] {
            let error = Mapping::of_file(&file, len).unwrap_err();
            assert!(matches!(error, Error::Corrupt(c) if c.part == "file" && c.offset == 5000));
        }
        assert_eq!(&*Mapping::of_file(&file, 5000).unwrap(), &[1; 5000]);
    }

    #[test]
    fn nothing_of_an_empty_file_can_be_mapped() {
        let file = tempfile::tempfile().unwrap();
        assert!(Mapping::of_file(&file, 0).unwrap().is_empty());
    }
}
