//! Whether the leaves of a directory can be what it says: one behind the other in the numbers of
//! records and chunks, and together no longer than the file.

use super::layout::LeafRef;
use super::leaf::least_words;
use super::segment::body_len;

/// The record and the chunk behind these leaves, of which the first starts at `first`; `None` if
/// one does not follow the one before it, or cannot be in a file of `len` bytes with the others.
pub(crate) fn leaves_end<'a>(
    leaves: impl Iterator<Item = &'a LeafRef>,
    first: (u64, u64),
    len: u64,
) -> Option<(u64, u64)> {
    let mut next = first;
    let mut room = len;
    for leaf in leaves {
        if (leaf.first_record.get(), leaf.first_chunk.get()) != next {
            return None;
        }
        let segment = &leaf.segment;
        segment.offset.get().checked_add(segment.len.get()).filter(|end| *end <= len)?;
        // Nothing lies over anything else.
        room = room.checked_sub(segment.len.get())?;
        // Rows may follow, and say themselves how long they are.
        if leaf_body(leaf)? > body_len(segment.len.get())? {
            return None;
        }
        next.0 = next.0.checked_add(u64::from(leaf.records.get()))?;
        next.1 = next.1.checked_add(u64::from(leaf.chunks.get()))?;
    }
    Some(next)
}

/// Length of the body of a leaf with these counts, without rows; nothing if so many records have
/// no room in it.
fn leaf_body(leaf: &LeafRef) -> Option<u64> {
    let fits = least_words(leaf.records.get().into()) <= leaf.packed.get().into();
    fits.then_some(leaf.rows_at() as u64)
}
