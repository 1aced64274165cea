//! Placement: where the next record starts.

use crate::store::options::Alignment;

/// The place of the next record.
///
/// `cursor` is the end of the last record, `empty` whether there is none yet, `block` the block
/// size of the open chunk, `step` what a start is a multiple of with [`Alignment::Block`]. The three
/// rules of the original give its offsets, but for one: its `no_cross` moves on to the next chunk
/// also where exactly `len` bytes are left.
pub(crate) fn place(
    alignment: Alignment,
    cursor: u64,
    empty: bool,
    len: u64,
    chunk: u64,
    block: u64,
    step: u64,
) -> u64 {
    if empty {
        return 0;
    }
    let next_chunk = cursor.next_multiple_of(chunk);
    match alignment {
        Alignment::Contiguous => cursor,
        Alignment::Start => next_chunk,
        Alignment::NoCross if next_chunk - cursor >= len || cursor == next_chunk => cursor,
        Alignment::NoCross => next_chunk,
        Alignment::Block => {
            let start = cursor.next_multiple_of(step);
            let chunk_start = start / chunk * chunk;
            let chunk_end = chunk_start + chunk;
            if start == chunk_start || block == 0 {
                return start;
            }
            let in_chunk = start - chunk_start;
            let next_block = chunk_start + in_chunk.next_multiple_of(block);
            let block_end = if next_block == start { start + block } else { next_block };
            if start + len <= block_end.min(chunk_end) {
                start
            } else if next_block + len <= chunk_end {
                next_block
            } else {
                chunk_end
            }
        }
    }
}

/// Bytes of a record without a codec from which on it starts at a multiple of 8: the arrays that
/// are in it can then be used where they lie. To shorter ones the rest would add much.
const LONG: u64 = 64;

/// What the start of a record of `len` bytes is a multiple of; `raw` if no codec says what it is.
pub(crate) const fn step(raw: bool, len: u64) -> u64 {
    if raw && len < LONG { 1 } else { 8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_rules_give_its_offsets() {
        let at = |a, cursor, len| place(a, cursor, false, len, 1000, 0, 8);
        assert_eq!(at(Alignment::NoCross, 900, 99), 900);
        assert_eq!(at(Alignment::NoCross, 900, 100), 900, "an exact fit");
        assert_eq!(at(Alignment::NoCross, 900, 101), 1000);
        assert_eq!(at(Alignment::NoCross, 900, 2500), 1000);
        assert_eq!(at(Alignment::NoCross, 1000, 2500), 1000);
        assert_eq!(at(Alignment::Contiguous, 901, 5000), 901);
        assert_eq!(at(Alignment::Start, 901, 5), 1000);
        assert_eq!(at(Alignment::Start, 2000, 5), 2000);
        assert_eq!(place(Alignment::Start, 0, true, 5, 1000, 0, 8), 0);
    }

    #[test]
    fn a_record_that_fits_a_block_never_crosses_one_and_no_chunk_boundary_either() {
        for block in [64_u64, 96, 1000, 4096] {
            let chunk = 4096;
            let mut cursor = 0;
            for (i, len) in (0..5000_u64).map(|i| (i, (i * 7919) % 5000)) {
                let start = place(Alignment::Block, cursor, i == 0, len, chunk, block, 8);
                assert!(start >= cursor && start.is_multiple_of(8));
                assert!(start - cursor <= chunk);
                let end = start + len;
                let in_chunk = start % chunk;
                if len <= block && len > 0 {
                    let last = (end - 1) % chunk;
                    assert_eq!(in_chunk / block, last / block, "block {block} len {len}");
                }
                if len <= chunk && len > 0 {
                    assert_eq!(start / chunk, (end - 1) / chunk, "block {block} len {len}");
                }
                cursor = end;
            }
        }
    }
}
