//! Where the next index segment goes, and writing one that is whole in memory.

use crate::error::Result;
use crate::index::layout::{SegmentHeader, SegmentRef};
use crate::index::segment::{finish, whole_len};
use crate::store::index::io::Io;
use crate::wire::U64;
use bytemuck::Zeroable;

/// Where the next segment goes, and what became garbage by writing it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    pub(crate) end: u64,
    pub(crate) garbage: u64,
}

impl Space {
    /// Reserves `len` bytes at a multiple of 64.
    pub(crate) const fn take(&mut self, len: u64) -> u64 {
        let at = self.end.next_multiple_of(64);
        self.end = at + len;
        at
    }
}

/// The header of a segment; length and file are filled in by [`write_segment`].
pub(crate) fn header(magic: [u8; 8], generation: u64, count: usize) -> SegmentHeader {
    SegmentHeader {
        magic,
        generation: generation.into(),
        count: U64::new(count as u64),
        ..SegmentHeader::zeroed()
    }
}

/// Writes a segment whose body, from behind its header, is `rest`.
pub(crate) fn write_segment(
    io: &Io,
    space: &mut Space,
    mut header: SegmentHeader,
    rest: &[u8],
) -> Result<SegmentRef> {
    let body = (64 + rest.len() as u64).next_multiple_of(8);
    header.file = io.file();
    header.len = whole_len(body).into();
    let mut bytes = bytemuck::bytes_of(&header).to_vec();
    bytes.extend_from_slice(rest);
    let at = space.take(whole_len(body));
    let segment = finish(&mut bytes, io.file(), at);
    io.write(at, &bytes)?;
    Ok(segment)
}
