//! A store that lives in memory and grows.

use std::fmt;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::bounds::{end_of_write, ends_before};
use super::{Access, Backend, Mapping, StagedFile};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::wire::to_usize;

/// Bytes in memory that grow as they are written.
///
/// Offers no map, because the bytes move when they grow; a finished store in memory is read
/// without a copy through a [`SliceBackend`](super::SliceBackend) over
/// [`into_bytes`](Self::into_bytes).
#[derive(Default)]
pub struct MemoryBackend {
    bytes: RwLock<Vec<u8>>,
}

impl MemoryBackend {
    /// No bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over `bytes` as the content; copies nothing.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes: RwLock::new(bytes) }
    }

    /// A copy of the content.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.read().clone()
    }

    /// The content itself; copies nothing.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the content to a new file at `path`, which appears when it is whole; a file that
    /// is there is replaced, or the new one refused, as `existing` says.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file and it is not to be replaced; [`Error::Locked`] if it has a
    /// writer; [`Error::Io`].
    pub fn save(&self, path: impl AsRef<Path>, existing: Existing) -> Result<()> {
        let new = if existing.is_replaced() { StagedFile::over } else { StagedFile::new };
        let staged = new(path.as_ref(), Access::Pread)?;
        staged.backend().write_at(0, &self.read())?;
        staged.publish(existing)
    }

    /// The content of the file at `path`, in memory: what is written later changes the memory
    /// alone.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", e).at(path))?;
        Ok(Self::from_bytes(bytes))
    }

    // A panic of another thread cannot leave the bytes half changed: every change below is a
    // resize or a copy of plain bytes, so a poisoned lock is used as it is.
    fn read(&self) -> RwLockReadGuard<'_, Vec<u8>> {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<u8>> {
        self.bytes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lengthens `bytes` with zeros, or says that there is no memory instead of ending the process.
fn grow(bytes: &mut Vec<u8>, len: u64) -> Result<()> {
    let out_of_memory = || Error::OutOfMemory { asked: len };
    let len = to_usize(len).ok_or_else(out_of_memory)?;
    let more = len.saturating_sub(bytes.len());
    bytes.try_reserve(more).map_err(|_| out_of_memory())?;
    bytes.resize(len, 0);
    Ok(())
}

impl Backend for MemoryBackend {
    fn len(&self) -> Result<u64> {
        Ok(self.read().len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let bytes = self.read();
        let found = to_usize(offset)
            .and_then(|start| bytes.get(start..start.checked_add(buf.len())?))
            .ok_or(ends_before(offset))?;
        buf.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let end = end_of_write(offset, data.len())?;
        if data.is_empty() {
            return Ok(());
        }
        let mut bytes = self.write();
        if end > bytes.len() as u64 {
            grow(&mut bytes, end)?;
        }
        let range = to_usize(offset).zip(to_usize(end)).map(|(start, end)| start..end);
        let place = range.and_then(|range| bytes.get_mut(range)).ok_or(ends_before(offset))?;
        place.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        grow(&mut self.write(), len)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn map(&self, len: u64) -> Result<Option<Mapping>> {
        let there = self.len()?;
        if there < len { Err(ends_before(there)) } else { Ok(None) }
    }

    fn writable(&self) -> bool {
        true
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").field("len", &self.read().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_no_memory_can_hold_is_an_error_and_changes_nothing() {
        let memory = MemoryBackend::from_bytes(vec![7; 3]);
        assert!(matches!(memory.set_len(u64::MAX >> 1), Err(Error::OutOfMemory { .. })));
        assert!(matches!(memory.write_at(1 << 62, b"x"), Err(Error::OutOfMemory { .. })));
        assert!(matches!(memory.write_at(u64::MAX, b"x"), Err(Error::Limit { .. })));
        assert_eq!(memory.to_bytes(), [7; 3]);
        assert_eq!(memory.into_bytes(), [7; 3]);
    }
}
