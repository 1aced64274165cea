//! The checksum of a few bytes, by which a place in a file is known again.

use crate::wire::checksum;

/// Of the frame that was read last, so many bytes at its end are known by a checksum.
pub(super) const TAIL: usize = 4096;

/// The checksum of a few bytes of a file: of its beginning, or of the end of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How many bytes, at most 4 096.
    pub len: u32,
    /// Their XXH3, 64 bits.
    pub sum: u64,
}

impl Sum {
    /// That of all of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), sum: checksum(bytes) }
    }
}
