//! The contract that every backend keeps.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use super::Mapping;
use crate::error::Result;

/// A run of bytes with a length, read and written at offsets.
///
/// # Contract
///
/// * No call has a position of its own: calls from several threads, and from a process and its
///   forked children, do not disturb each other. Reads may run while another thread writes;
///   bytes of a range that nobody is writing come back whole.
/// * What was written is read back at once, synced or not.
/// * After [`sync`](Self::sync) returned `Ok`, everything that was written before the call
///   survives a power cut, the length included. Before that any subset of the 512-byte sectors
///   of each write may be there, and the length may be an old one.
/// * After a failed write or sync the caller must not write on: the system may have dropped the
///   bytes, and a second sync that succeeds proves nothing about them.
/// * Calls that a signal interrupts are repeated inside.
///
/// The functions of `backend::contract` (feature `testing`) check this for any implementation.
pub trait Backend: Send + Sync + Debug {
    /// The length in bytes, as it is now.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the system does not say.
    fn len(&self) -> Result<u64>;

    /// Whether there is not one byte yet.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// After an error the content of `buf` is unspecified and means nothing.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) with part `"file"` and this offset if the file ends before
    /// `offset + buf.len()`; [`Error::Io`](crate::Error::Io) if the system fails the call.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// Writes all of `data` from `offset` on; a gap between the old end and `offset` reads as
    /// zeros.
    ///
    /// # Errors
    /// [`Error::ReadOnly`](crate::Error::ReadOnly) if [`writable`](Self::writable) is false; [`Error::Io`](crate::Error::Io) if the system
    /// fails the call, for example because the disk is full. A part of `data` may then have been
    /// written.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()>;

    /// Makes the file `len` bytes long: cuts what lies behind, or adds zeros.
    ///
    /// Nobody may hold a [`Mapping`] of bytes that are cut.
    ///
    /// # Errors
    /// [`Error::ReadOnly`](crate::Error::ReadOnly) or [`Error::Io`](crate::Error::Io), as [`write_at`](Self::write_at).
    fn set_len(&self, len: u64) -> Result<()>;

    /// Returns when all that was written is on the medium, with what is needed to read it back
    /// (the length, but not the time of change).
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io); then nothing written since the last good sync may be relied on.
    /// [`Error::ReadOnly`](crate::Error::ReadOnly) if nothing can have been written.
    fn sync(&self) -> Result<()>;

    /// A read-only view of the first `len` bytes, or `None` where this backend offers none and
    /// [`read_at`](Self::read_at) is the way.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) with part `"file"` if there are fewer than `len` bytes; [`Error::Io`](crate::Error::Io)
    /// if the system refuses to map.
    fn map(&self, len: u64) -> Result<Option<Mapping>>;

    /// Whether the calls that change something can succeed at all.
    fn writable(&self) -> bool;

    /// Whether what is written can be found again: the file is still where it was opened. Asked
    /// once for each commit; a backend without a path has nothing to say.
    ///
    /// # Errors
    /// [`Error::Displaced`](crate::Error::Displaced) if the file was deleted, renamed or replaced by another.
    fn check_place(&self) -> Result<()> {
        Ok(())
    }

    /// Whether each read that fetches something costs a round trip over a network, so that it pays to
    /// [`announce`](Self::announce) reads.
    fn is_far(&self) -> bool {
        false
    }

    /// Bytes that are rather read in vain than skipped by one more call of [`read_at`](Self::read_at): what a
    /// call costs beside its bytes. With more than 0, reads of neighbours are joined to pieces of some
    /// hundred KiB. 0 where calls cost little, and where [`announce`](Self::announce) joins them.
    fn gap(&self) -> u64 {
        0
    }

    /// Says which bytes are about to be read, so that a backend that [`is_far`](Self::is_far) fetches
    /// all of them in one round trip. Others do nothing. What lies past the end is left out.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    fn announce(&self, _ranges: &[Range<u64>]) -> Result<()> {
        Ok(())
    }

    /// Whether reading these bytes would wait for nothing. True of backends that are not far.
    fn is_here(&self, _range: Range<u64>) -> bool {
        true
    }

    /// Says that bytes of this range do not agree with their checksum, so that a backend that keeps what it
    /// fetched fetches them again.
    fn refetch(&self, _range: Range<u64>) {}

    /// Whether opening the same place again gives these bytes, and not those of another file or
    /// object. A backend without a place has nothing to say.
    ///
    /// # Errors
    /// [`Error::Replaced`](crate::Error::Replaced) if another one has taken the place, or none is there
    /// any more; [`Error::Io`](crate::Error::Io).
    fn check_current(&self) -> Result<()> {
        Ok(())
    }

    /// The first range from `offset` on that may hold anything but zeros; `None` if there is
    /// none. What lies before it are holes of a sparse file: nobody has to read them.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    fn data_from(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let len = self.len()?;
        Ok((offset < len).then_some(offset..len))
    }
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn len(&self) -> Result<u64> {
        (**self).len()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        (**self).read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        (**self).write_at(offset, data)
    }
    fn set_len(&self, len: u64) -> Result<()> {
        (**self).set_len(len)
    }
    fn sync(&self) -> Result<()> {
        (**self).sync()
    }
    fn map(&self, len: u64) -> Result<Option<Mapping>> {
        (**self).map(len)
    }
    fn writable(&self) -> bool {
        (**self).writable()
    }
    fn check_place(&self) -> Result<()> {
        (**self).check_place()
    }

    fn is_far(&self) -> bool {
        (**self).is_far()
    }

    fn gap(&self) -> u64 {
        (**self).gap()
    }

    fn announce(&self, ranges: &[Range<u64>]) -> Result<()> {
        (**self).announce(ranges)
    }

    fn is_here(&self, range: Range<u64>) -> bool {
        (**self).is_here(range)
    }

    fn refetch(&self, range: Range<u64>) {
        (**self).refetch(range);
    }

    fn check_current(&self) -> Result<()> {
        (**self).check_current()
    }

    fn data_from(&self, offset: u64) -> Result<Option<Range<u64>>> {
        (**self).data_from(offset)
    }
}
