//! What of the index is announced to a backend that is far away, so that a look-up costs few round trips.

use crate::error::Result;
use crate::index::layout::{LeafRef, SegmentRef};
use crate::index::leaf::{DIRECTORY, GROUP};
use crate::index::segment::body_len;
use crate::limits::INDEX_PAGE;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use std::ops::Range;

/// A leaf of which one record is wanted is fetched whole up to this size: its neighbours come along.
const WHOLE_LEAF: u64 = 256 << 10;
/// The same where many leaves are looked at together, one record of each: all of them would be too much.
const WHOLE_OF_MANY: u64 = 64 << 10;
/// What a group of places takes, mostly at most.
const PLACES: usize = 2 << 10;
/// Bytes of the chunk of rows that opening a leaf looks at.
const ROWS_HEAD: usize = 64;

/// All of a segment.
pub(crate) fn whole(at: &SegmentRef) -> Range<u64> {
    at.offset.get()..at.offset.get().saturating_add(at.len.get())
}

/// The pages of a segment in which these bytes of its body lie.
pub(crate) fn pages(at: &SegmentRef, body: Range<usize>) -> Range<u64> {
    let page = INDEX_PAGE as u64;
    let offset = at.offset.get();
    let start = offset.saturating_add(body.start as u64 / page * page);
    let end = (body.end as u64).div_ceil(page).saturating_mul(page);
    start..offset.saturating_add(end.min(at.len.get()))
}

/// What is read to open a segment: its first page and its page checksums.
pub(crate) fn head(at: &SegmentRef) -> [Range<u64>; 2] {
    let body = body_len(at.len.get()).unwrap_or(0);
    let table = at.offset.get().saturating_add(body)..whole(at).end;
    [pages(at, 0..1), table]
}

/// What is read to open a leaf and to find one of its groups.
pub(crate) fn leaf_head(at: &LeafRef) -> [Range<u64>; 3] {
    let groups = (at.records.get() as usize).div_ceil(GROUP);
    let directory = at.packed_at().saturating_add((groups + 1) * DIRECTORY);
    let rows = at.rows_at();
    let [_, table] = head(&at.segment);
    let front = pages(&at.segment, 0..directory.saturating_add(PLACES));
    [front, pages(&at.segment, rows..rows.saturating_add(ROWS_HEAD)), table]
}

/// Announces a leaf that is not open yet, of which one record is wanted; of which one is searched for, where its
/// groups are looked at one after the other.
pub(crate) fn announce_leaf<T>(io: &Io, leaf: &Lazy<LeafRef, T>, searched: bool) -> Result<()> {
    if !io.is_far() || leaf.is_open() {
        return Ok(());
    }
    let most = if io.is_near() && !searched { WHOLE_OF_MANY } else { WHOLE_LEAF };
    if leaf.at.segment.len.get() <= most {
        return io.announce([whole(&leaf.at.segment)]);
    }
    io.announce(leaf_head(&leaf.at))
}
