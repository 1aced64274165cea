//! The chunk of rows in a leaf: made from the memtable, found again, its numbers decoded.

use crate::chunk::{ChunkLayout, Compressor, Params};
use crate::error::{Error, Result};
use crate::limits::CHUNK_MAX;
use crate::store::index::io::Io;
use crate::store::index::memtable::Memtable;
use crate::store::index::segment::Segment;
use crate::wire::memory;
use std::ops::Range;

/// Bytes of a block of rows: a column is read without those of others.
const BLOCK: u32 = 32 << 10;
/// Bytes of a chunk of one block that holds nothing.
const PREFIX: usize = ChunkLayout::HEADER_LEN + 4;

/// Records of which a column is compressed to see what it costs.
const SAMPLE: usize = 512;
/// Columns that follow from the records take at most this share of the bytes of these, decoded,
/// and so many bytes more: with their second copy under a hundredth of what the records take in the
/// file.
const SHARE: usize = 400;
const PLAIN: usize = 256;

/// How a writer makes rows.
#[derive(Debug, Clone)]
pub(crate) struct RowStyle {
    pub(crate) params: Params,
    /// Where the numbers of each column lie in a row, if they follow from the bytes of a record, so
    /// that what costs much is better left out; nothing if all were asked for.
    pub(crate) derived: Vec<Range<usize>>,
}

/// The rows of some records as their leaf has them: the numbers that are there, as bits, and their
/// chunk.
#[derive(Debug, Default)]
pub(crate) struct EncodedRows {
    pub(crate) numbers: u128,
    pub(crate) chunk: Vec<u8>,
}

/// The rows of these records of a memtable, as their leaf has them behind its keys: a chunk that
/// holds the first number of every record, then the second, and so on; nothing if none of them
/// was put with a row.
pub(crate) fn encode_rows(
    memtable: &Memtable,
    records: Range<usize>,
    style: &RowStyle,
) -> Result<EncodedRows> {
    let mut out = EncodedRows::default();
    if !memtable.has_rows(records.clone()) {
        return Ok(out);
    }
    let numbers = kept(memtable, &records, style)?;
    // A writer starts a leaf long before; a log that it did not write may hold more.
    let len = records.len().saturating_mul(numbers.len()).saturating_mul(size_of::<u64>());
    if len > CHUNK_MAX as usize {
        let (asked, max) = (len as u64, u64::from(CHUNK_MAX));
        return Err(Error::Limit { what: "rows of one leaf", asked, max });
    }
    if numbers.is_empty() {
        return Ok(out);
    }
    let mut planes = memory::with_room(len)?;
    for number in &numbers {
        add_plane(memtable, records.clone(), *number, &mut planes);
        out.numbers |= 1 << number;
    }
    Compressor::new(style.params, BLOCK)?.compress(&planes, &mut out.chunk)?;
    Ok(out)
}

/// Adds one number of each of these records, each as the difference to the one before: steps and
/// times of a trajectory are the same number again and again then.
fn add_plane(memtable: &Memtable, records: Range<usize>, number: usize, out: &mut Vec<u8>) {
    let plane =
        records.filter_map(|i| memtable.row_or_absent(i).get(number)).scan(0_u64, |last, w| {
            let step = w.wrapping_sub(*last);
            *last = *w;
            Some(step)
        });
    out.extend(plane.flat_map(u64::to_le_bytes));
}

/// The numbers of which these are the differences, one plane of so many records after the other.
pub(crate) fn add_up(planes: &mut [u64], records: usize) {
    for plane in planes.chunks_mut(records.max(1)) {
        plane.iter_mut().fold(0_u64, |sum, w| {
            *w = sum.wrapping_add(u64::from_le(*w));
            *w
        });
    }
}

/// The numbers of a row that a leaf of these records is to have.
fn kept(memtable: &Memtable, records: &Range<usize>, style: &RowStyle) -> Result<Vec<usize>> {
    if style.derived.is_empty() {
        return Ok((0..memtable.row_words()).collect());
    }
    let lengths = memtable.records.get(records.clone()).unwrap_or_default();
    let bytes: usize = lengths.iter().map(|e| e.len.get() as usize).sum();
    let sample = records.start..records.end.min(records.start + SAMPLE);
    let mut costs = Vec::new();
    for column in &style.derived {
        let (mut planes, mut chunk) = (Vec::new(), Vec::new());
        column.clone().for_each(|number| add_plane(memtable, sample.clone(), number, &mut planes));
        Compressor::new(style.params, BLOCK)?.compress(&planes, &mut chunk)?;
        let cost = chunk.len().saturating_sub(PREFIX);
        costs.push((cost.saturating_mul(records.len()) / sample.len().max(1), column.clone()));
    }
    costs.sort_by_key(|(cost, column)| (*cost, column.start));
    let mut room = bytes / SHARE + PLAIN;
    let mut out = Vec::new();
    for (cost, column) in costs {
        let Some(left) = room.checked_sub(cost) else { break };
        room = left;
        out.extend(column);
    }
    out.sort_unstable();
    Ok(out)
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
