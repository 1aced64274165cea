//! Memory of whole pages from the system, for what is too large to be given out again soon.
//!
//! An allocator returns so large a block to the system when it is freed, so that each next one costs a
//! fault for every 4 KiB that is touched: to read 100 MB, as much as the reading. Large pages are 512
//! times fewer, where the system has them; and fresh pages are zero, so that nobody has to write that.
//! What the allocator keeps (glibc: up to 32 MiB) is better left to it: batches of a few megabytes that
//! follow each other use the same memory, and took 1.4 times as long with pages of their own.

use super::memory;
use crate::error::Result;
use memmap2::MmapMut;

/// From how many bytes on memory comes from here.
pub(super) const LARGE: usize = 32 << 20;

/// Bytes of a large page, on most machines.
pub(super) const LARGE_PAGE: usize = 2 << 20;

/// At least `len` zero bytes, at a multiple of a page.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(super) fn zeroed(len: usize) -> Result<MmapMut> {
    let pages = MmapMut::map_anon(len).map_err(|_| memory::out_of_memory(len))?;
    // Without large pages it is as slow as elsewhere, and as right.
    #[cfg(target_os = "linux")]
    let _ = pages.advise(memmap2::Advice::HugePage);
    Ok(pages)
}
