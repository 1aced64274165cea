//! What the commits since the last root added: the entries of the log, one after the other.

use crate::error::{Error, Result};
use crate::index::key_hash::key_hash;
use crate::index::layout::{KEY_NONE, RecordEntry};
use crate::index::log;
use crate::index::slot::Slot;
use crate::limits::ATTRIBUTES_MAX;
use crate::store::index::root::Root;
use crate::store::read::reader::Reader;
use crate::wire::U32;
use std::ops::Range;

/// A part of the open chunk in the log: the number of the chunk, start and length in it, and where its
/// compressed bytes are in the log.
pub(super) type Piece = (u64, u32, u32, Range<usize>);

/// What the log says beside records and chunks.
pub(super) struct Replayed {
    pub(super) attributes: Vec<u8>,
    pub(super) open_block: u32,
    pub(super) pieces: Vec<Piece>,
}

/// Adds the entries of the log `bytes` of `slot` to the memtable of `reader`.
pub(super) fn replay(
    reader: &mut Reader,
    root: &Root,
    slot: &Slot,
    bytes: &[u8],
) -> Result<Replayed> {
    let mut attributes = root.attributes.clone();
    let mut open_block = root.open_block;
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut generation = root.generation;
    while at < bytes.len() {
        let place = slot.log.get() + at as u64;
        let bad = |why| Error::corrupt("log entry", place, why);
        let entry = bytes.get(at..).and_then(|b| log::decode(b, slot.file, place));
        let (entry, len) = entry.ok_or_else(|| bad("checksum differs"))?;
        if entry.first_record != reader.memtable.end()
            || entry.first_chunk != reader.memtable.chunks_end()
            || entry.generation < generation
            || entry.generation > slot.generation.get()
        {
            return Err(bad("does not follow the entry before it"));
        }
        generation = entry.generation;
        apply(reader, &entry).ok_or_else(|| bad("contradicts itself"))?;
        if let Some(a) = entry.attributes {
            attributes = a.to_vec();
        }
        open_block = entry.open_block;
        for (start, len, piece) in &entry.pieces {
            let from = piece.as_ptr().addr() - bytes.as_ptr().addr();
            pieces.push((reader.memtable.chunks_end(), *start, *len, from..from + piece.len()));
        }
        at += len;
    }
    Ok(Replayed { attributes, open_block, pieces })
}

/// Adds one entry; `None` if it contradicts itself.
fn apply(reader: &mut Reader, entry: &log::LogContent<'_>) -> Option<()> {
    let memtable = &mut reader.memtable;
    for d in entry.dead {
        if memtable.kills(d.record.get()) {
            return None;
        }
        memtable.kill(*d);
    }
    if entry.attributes.is_some_and(|a| a.len() > ATTRIBUTES_MAX) {
        return None;
    }
    let words = memtable.row_words();
    // Rows are there if one of the records has one, and as many as there are records.
    let with_rows = entry.records.iter().any(|e| e.has_row());
    let expected = if with_rows { entry.records.len().checked_mul(words)? } else { 0 };
    if entry.rows.len() != expected || (with_rows && words == 0) {
        return None;
    }
    if !RecordEntry::keys_fit(entry.records, entry.keys.len()) {
        return None;
    }
    let mut row = vec![0; words];
    for (i, e) in entry.records.iter().enumerate() {
        if with_rows {
            let from = entry.rows.get(i * words..(i + 1) * words)?;
            row.iter_mut().zip(from).for_each(|(w, v)| *w = v.get());
        }
        let row = e.has_row().then_some(row.as_slice());
        let at = e.key_at.get() as usize;
        let key = entry.keys.get(at..at.checked_add(e.key_len())?)?;
        let named = (e.key_kind != KEY_NONE).then(|| (e.key_kind, key, key_hash(e.key_kind, key)));
        memtable.push(e.start.get(), e.len.get(), e.weight.get(), named, row).ok()?;
        reader.totals.record_bytes += u64::from(e.len.get());
    }
    let sums = u32::try_from(memtable.sums.len()).ok()?;
    for c in entry.chunks {
        let end = c.first_sum.get().checked_add(c.blocks.get())?;
        if end as usize > entry.sums.len() {
            return None;
        }
        let mut c = *c;
        c.first_sum = U32::new(c.first_sum.get().checked_add(sums)?);
        memtable.chunks.push(c);
    }
    memtable.sums.extend(entry.sums.iter().map(|s| s.get()));
    reader.totals.cursor = entry.cursor;
    // The entry itself says how long they are: no leaf is read for it, which may be damaged.
    for d in entry.dead {
        if d.record.get() >= reader.ids() {
            return None;
        }
        reader.totals.dead_records = reader.totals.dead_records.checked_add(1)?;
        reader.totals.shared = reader.totals.shared.checked_add(u64::from(d.shared.get() == 1))?;
        reader.totals.dead_bytes = reader.totals.dead_bytes.checked_add(u64::from(d.len.get()))?;
    }
    if reader.totals.dead_bytes > reader.totals.record_bytes {
        return None;
    }
    Some(())
}
