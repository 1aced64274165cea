//! Whether a file is one of ours although its configuration does not say so: by what carries our
//! checksum, and by the name of our metalayer.
//!
//! A file of another program has no checksums, so who takes a damaged store of ours for one would
//! show less, or other bytes, without a word, and write over the rest.

use crate::backend::Backend;
use crate::error::Result;
use crate::frame::HEADER_LEN;
use crate::index::layout::{
    DEAD_MAGIC, LEAF_MAGIC, PAGE_MAGIC, ROOT_MAGIC, RUN_MAGIC, SegmentHeader,
};
use crate::index::segment::body_len;
use crate::limits::INDEX_PAGE;
use crate::store::index::slots::Slots;
use crate::wire::{checksum, to_usize};

/// The metalayer that holds configuration and slots, as the index of the frame header names it.
const METALAYER: &[u8] = b"\xa7vlstore\xd2";
/// As far as the index of our two metalayers reaches.
const INDEX_END: usize = 128;
/// Bytes that are searched at a time.
const WINDOW: usize = 1 << 20;

/// Whether anything in the file says that it is a store of ours.
pub(crate) fn is_ours(backend: &dyn Backend) -> Result<bool> {
    if !Slots::read(backend, None)?.right.is_empty() {
        return Ok(true);
    }
    let len = backend.len()?;
    let mut head = vec![0; to_usize(len).unwrap_or(INDEX_END).min(INDEX_END)];
    if !head.is_empty() {
        backend.read_at(0, &mut head)?;
    }
    if head.windows(METALAYER.len()).any(|w| w == METALAYER) {
        return Ok(true);
    }
    // A header as long as ours, which other programs rarely write: then a look at the whole file.
    let ours = i32::try_from(HEADER_LEN).unwrap_or(0).to_be_bytes();
    if head.get(11..15) != Some(&ours[..]) {
        return Ok(false);
    }
    has_segment(backend, len)
}

/// Whether a segment of an index lies anywhere in the file, its first page whole.
fn has_segment(backend: &dyn Backend, len: u64) -> Result<bool> {
    let mut window = vec![0; WINDOW];
    let mut at = HEADER_LEN as u64;
    while at < len {
        let n = to_usize(len - at).unwrap_or(WINDOW).min(WINDOW);
        let Some(bytes) = window.get_mut(..n) else { break };
        backend.read_at(at, bytes)?;
        for (i, start) in bytes.chunks(64).enumerate() {
            if [LEAF_MAGIC, RUN_MAGIC, DEAD_MAGIC, PAGE_MAGIC, ROOT_MAGIC]
                .iter()
                .any(|magic| start.starts_with(magic))
                && is_segment(backend, at + 64 * i as u64, len)?
            {
                return Ok(true);
            }
        }
        at += n as u64;
    }
    Ok(false)
}

fn is_segment(backend: &dyn Backend, at: u64, len: u64) -> Result<bool> {
    let mut head = [0; size_of::<SegmentHeader>()];
    if at + head.len() as u64 > len {
        return Ok(false);
    }
    backend.read_at(at, &mut head)?;
    let head: SegmentHeader = bytemuck::cast(head);
    let Some(body) = body_len(head.len.get()) else { return Ok(false) };
    if at.checked_add(head.len.get()).is_none_or(|end| end > len) {
        return Ok(false);
    }
    let mut page = vec![0; to_usize(body).unwrap_or(INDEX_PAGE).min(INDEX_PAGE)];
    let mut sum = [0; 8];
    backend.read_at(at, &mut page)?;
    backend.read_at(at + body, &mut sum)?;
    Ok(checksum(&page).to_le_bytes() == sum)
}
