//! Bytes and numbers: bounds-checked reading, checksums, aligned memory.
//!
//! Knows nothing of files, frames or records, and does no input or output.

mod aligned;
mod briefly;
mod by_number;
mod checksum;
mod cursor;
mod digest;
mod le;
pub mod memory;
mod pages;
mod prefetch;
mod rows;

pub use aligned::AlignedBuf;
pub use briefly::briefly;
pub use by_number::ByNumber;
pub use checksum::{checksum, identify, mix};
pub use cursor::Cursor;
pub use digest::Digest;
pub use le::{U16, U32, U64};
pub use prefetch::{prefetch, prefetch_to_write};
pub use rows::{Cut, Row, Rows, Share};

/// A number from a file as an index into memory; `None` if it does not fit this machine.
#[must_use]
pub fn to_usize(n: u64) -> Option<usize> {
    usize::try_from(n).ok()
}
