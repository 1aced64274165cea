//! What is here of a file that is far away: reads that would wait fail and are noted, so that the parts that many
//! look-ups lack come in one round trip.

use crate::backend::{Backend, Mapping};
use crate::error::{Error, Result};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The parts of a backend that are here.
#[derive(Debug)]
pub(crate) struct Near {
    far: Arc<dyn Backend>,
    missing: Mutex<Vec<Range<u64>>>,
}

impl Near {
    pub(crate) fn new(far: Arc<dyn Backend>) -> Self {
        Self { far, missing: Mutex::default() }
    }

    fn missing(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `look` returns, if it lacked nothing; else what it lacked is noted.
    pub(crate) fn try_look<T>(&self, look: impl FnOnce() -> Result<T>) -> Option<Result<T>> {
        let before = self.missing().len();
        let found = look();
        let mut missing = self.missing();
        if found.is_ok() {
            // It was found another way.
            missing.truncate(before);
        }
        (missing.len() == before).then_some(found)
    }

    /// Fetches all that was noted, in one round trip as far as there is room for it.
    pub(crate) fn bring(&self) -> Result<()> {
        let missing = std::mem::take(&mut *self.missing());
        if missing.is_empty() { Ok(()) } else { self.far.announce(&missing) }
    }
}

impl Backend for Near {
    fn len(&self) -> Result<u64> {
        self.far.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let range = offset..offset.saturating_add(buf.len() as u64);
        if self.far.is_here(range.clone()) {
            return self.far.read_at(offset, buf);
        }
        self.missing().push(range);
        Err(Error::io_at("read", offset, io::ErrorKind::WouldBlock.into()))
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

    fn map(&self, _len: u64) -> Result<Option<Mapping>> {
        Ok(None)
    }

    fn writable(&self) -> bool {
        false
    }

    fn is_far(&self) -> bool {
        true
    }

    fn announce(&self, ranges: &[Range<u64>]) -> Result<()> {
        let missing = ranges.iter().filter(|range| !self.far.is_here((*range).clone()));
        self.missing().extend(missing.cloned());
        Ok(())
    }
}
