//! Where a file ends, and where any file must end.

use crate::error::{Error, Result};

/// The answer to a read or a map of bytes that are not there.
pub(super) const fn ends_before(offset: u64) -> Error {
    Error::corrupt("file", offset, "the file ends before the bytes that are needed from here on")
}

/// The end of `len` bytes at `offset`; a write that would end past what any file can hold is
/// refused before it reaches the system, which would call it by a number.
pub(super) fn end_of_write(offset: u64, len: usize) -> Result<u64> {
    const MOST: u64 = i64::MAX.unsigned_abs();
    u64::try_from(len)
        .ok()
        .and_then(|len| offset.checked_add(len))
        .filter(|end| *end <= MOST)
        .ok_or(Error::Limit { what: "end of a write", asked: offset, max: MOST })
}
