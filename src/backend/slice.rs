//! A store over bytes that are in memory already and do not change.

use std::fmt;
use std::sync::Arc;

use super::bounds::ends_before;
use super::{Backend, Mapping};
use crate::error::{Error, Result};
use crate::wire::to_usize;

/// Read-only bytes in memory; maps without a copy.
///
/// A stored record is handed out where it lies, and its arrays are then aligned if the bytes
/// start at a multiple of 8 in memory, as those of a `Vec` from the usual allocators do.
#[derive(Clone)]
pub struct SliceBackend {
    all: Mapping,
}

impl SliceBackend {
    /// A store over shared bytes.
    #[must_use]
    pub fn new(bytes: Arc<[u8]>) -> Self {
        Self::from_owner(bytes)
    }

    /// A store over the bytes of anything that owns them: a `Vec<u8>`, an array, a
    /// [`Mapping`], an object of another language. The owner lives until the last view is gone.
    ///
    /// The owner must give the same bytes whenever it is asked.
    #[must_use]
    pub fn from_owner(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self { all: Mapping::from_owner(Arc::new(owner)) }
    }
}

impl Backend for SliceBackend {
    fn len(&self) -> Result<u64> {
        Ok(self.all.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let found = to_usize(offset)
            .and_then(|start| self.all.get(start..start.checked_add(buf.len())?))
            .ok_or(ends_before(offset))?;
        buf.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn set_len(&self, _len: u64) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn sync(&self) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn map(&self, len: u64) -> Result<Option<Mapping>> {
        self.all.shortened(len).map(Some).ok_or_else(|| ends_before(self.all.len() as u64))
    }

    fn writable(&self) -> bool {
        false
    }
}

impl fmt::Debug for SliceBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SliceBackend").field("len", &self.all.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_map_of_a_slice_is_the_slice_itself() {
        let bytes: Arc<[u8]> = Arc::from(&b"abcdef"[..]);
        let map = SliceBackend::new(Arc::clone(&bytes)).map(3).unwrap().unwrap();
        assert_eq!(&*map, b"abc");
        assert_eq!(map.as_ptr(), bytes.as_ptr());
        assert!(!map.is_file());
    }

    #[test]
    fn an_owner_that_gives_fewer_bytes_later_gives_an_empty_view() {
        struct Fickle(AtomicBool);
        impl AsRef<[u8]> for Fickle {
            fn as_ref(&self) -> &[u8] {
                if self.0.swap(true, Ordering::Relaxed) { b"x" } else { b"abcdef" }
            }
        }
        let slice = SliceBackend::from_owner(Fickle(AtomicBool::new(false)));
        assert!(matches!(slice.read_at(0, &mut [0]), Err(Error::Corrupt(_))));
        assert!(slice.map(6).unwrap().unwrap().is_empty());
    }
}
