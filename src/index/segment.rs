//! Segments: index bytes in pages, each page with its checksum (see `docs/format.md`,
//! «Segment»). Here is the arithmetic and the building; reading is up to `store`.

use super::layout::SegmentRef;
use crate::limits::INDEX_PAGE;
use crate::wire::{U64, checksum, identify};

/// Number of page checksums behind a body of `body` bytes.
#[must_use]
pub const fn pages(body: u64) -> u64 {
    body.div_ceil(INDEX_PAGE as u64)
}

/// Length of a whole segment with a body of `body` bytes (a multiple of 8).
#[must_use]
pub const fn whole_len(body: u64) -> u64 {
    body + 8 * pages(body)
}

/// Length of the body of a segment of `len` bytes; `None` if no body gives that length.
#[must_use]
pub const fn body_len(len: u64) -> Option<u64> {
    let pages_ = len.div_ceil(INDEX_PAGE as u64 + 8);
    let Some(body) = len.checked_sub(8 * pages_) else { return None };
    if body % 8 == 0 && whole_len(body) == len { Some(body) } else { None }
}

/// Checksum of a table of page checksums, tied to the place of its segment.
#[must_use]
pub fn table_sum(file: [u8; 16], offset: u64, len: u64, table: &[u8]) -> u64 {
    checksum(table) ^ identify(file, offset, len)
}

/// Appends the page checksums to `body` (padded to a multiple of 8) and gives the reference to
/// the segment if it is written at `offset`.
pub fn finish(body: &mut Vec<u8>, file: [u8; 16], offset: u64) -> SegmentRef {
    body.resize(body.len().next_multiple_of(8), 0);
    let table: Vec<u8> =
        body.chunks(INDEX_PAGE).flat_map(|page| checksum(page).to_le_bytes()).collect();
    let len = (body.len() + table.len()) as u64;
    let sum = table_sum(file, offset, len, &table);
    body.extend_from_slice(&table);
    SegmentRef { offset: U64::new(offset), len: U64::new(len), sum: U64::new(sum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_segment_tells_the_length_of_its_body() {
        let page = INDEX_PAGE as u64;
        for body in [8, 64, page - 8, page, page + 8, 3 * page, 3 * page + 16] {
            assert_eq!(body_len(whole_len(body)), Some(body));
        }
        assert_eq!(body_len(page + 16), None);
    }
}
