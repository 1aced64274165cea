//! The chunk of rows in a leaf: made from the memtable, found again, its numbers decoded.

use crate::chunk::{ChunkLayout, Compressor, Params};
use crate::error::{Error, Result};
use crate::limits::CHUNK_MAX;
use crate::store::index::io::Io;
use crate::store::index::memtable::Tail;
use crate::store::index::segment::Segment;
use crate::wire::memory;
use std::ops::Range;

/// Bytes of a block of rows: a column is read without those of others.
const BLOCK: u32 = 32 << 10;

/// The rows of these records of a tail, as their leaf has them behind its keys: a chunk that
/// holds the first number of every record, then the second, and so on; nothing if none of them
/// was put with a row.
pub(crate) fn encode_rows(tail: &Tail, records: Range<usize>, params: Params) -> Result<Vec<u8>> {
    let mut chunk = Vec::new();
    if !tail.has_rows(records.clone()) {
        return Ok(chunk);
    }
    // A writer starts a leaf long before; a log that it did not write may hold more.
    let words = records.len().saturating_mul(tail.row_words());
    let len = words.saturating_mul(size_of::<u64>());
    if len > CHUNK_MAX as usize {
        let (asked, max) = (len as u64, u64::from(CHUNK_MAX));
        return Err(Error::Limit { what: "rows of one leaf", asked, max });
    }
    let mut planes = memory::with_room(len)?;
    for word in 0..tail.row_words() {
        let plane = records.clone().filter_map(|i| tail.row_or_absent(i).get(word));
        planes.extend(plane.flat_map(|w| w.to_le_bytes()));
    }
    Compressor::new(params, BLOCK)?.compress(&planes, &mut chunk)?;
    Ok(chunk)
}

/// The layout of the chunk of rows at byte `at` of a leaf's body.
pub(crate) fn layout(io: &Io, leaf: &Segment, at: usize) -> Result<ChunkLayout> {
    let mut prefix = vec![0; ChunkLayout::HEADER_LEN.min(leaf.len().saturating_sub(at))];
    leaf.read(io, at, &mut prefix)?;
    let len = ChunkLayout::prefix_len(&prefix, CHUNK_MAX)?;
    if len > leaf.len().saturating_sub(at) {
        return Err(Error::corrupt("rows", 0, "their chunk is longer than the leaf"));
    }
    memory::resize(&mut prefix, len, 0)?;
    leaf.read(io, at, &mut prefix)?;
    ChunkLayout::parse(&prefix, CHUNK_MAX)
}

/// Whether a chunk of rows begins at byte `at` of a leaf's body and ends with it.
pub(crate) fn rows_close(io: &Io, leaf: &Segment, at: usize) -> Result<bool> {
    match layout(io, leaf, at) {
        Ok(found) => Ok(closes(&found, at, leaf.len())),
        Err(e @ (Error::Io { .. } | Error::Interrupted)) => Err(e),
        Err(_) => Ok(false),
    }
}

fn closes(layout: &ChunkLayout, at: usize, body: usize) -> bool {
    at.checked_add(layout.cbytes() as usize).is_some_and(|end| end.next_multiple_of(8) == body)
}
