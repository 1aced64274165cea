//! Which pages are asked for together.

use std::ops::Range;

/// Pages that nobody asked for are fetched along if no more than so many lie between two that are wanted:
/// 64 KiB cost less than a request.
const GAP: u64 = 4;
/// Pages of one request, at most: 1 MiB. What is longer comes by several requests side by side.
const PIECE: u64 = 64;

/// Runs of pages, one for each request, that hold all of these pages, which ascend.
pub(super) fn coalesce(pages: &[u64]) -> Vec<Range<u64>> {
    let mut out: Vec<Range<u64>> = Vec::new();
    for page in pages.iter().copied() {
        match out.last_mut() {
            Some(run) if page < run.end => {}
            Some(run) if page - run.end <= GAP && page + 1 - run.start <= PIECE => {
                run.end = page + 1
            }
            _ => out.push(page..page + 1),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_close_together_is_one_request_and_no_request_is_long() {
        assert_eq!(coalesce(&[]), []);
        assert_eq!(coalesce(&[3, 3, 4, 9, 14, 20]), [3..15, 20..21]);
        let long: Vec<u64> = (0..130).collect();
        assert_eq!(coalesce(&long), [0..64, 64..128, 128..130]);
        // A gap is not fetched across the end of a request.
        let with_gap: Vec<u64> = (0..62).chain([65]).collect();
        assert_eq!(coalesce(&with_gap), [0..62, 65..66]);
    }
}
