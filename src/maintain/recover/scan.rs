//! Searching a file for what describes itself: index segments at multiples of 64, log entries
//! at multiples of 8, slots at their places; and what looks like a chunk, at multiples of 64.

use crate::backend::Backend;
use crate::error::Result;
use crate::index::layout::{
    DEAD_MAGIC, LEAF_MAGIC, LOG_MAGIC, LogHeader, PAGE_MAGIC, RECORDS_MAX, ROOT_MAGIC, RUN_MAGIC,
    SegmentHeader, SegmentRef,
};
use crate::index::log;
use crate::index::segment::{body_len, table_sum};
use crate::limits::{CHUNK_MAX, CHUNK_MIN, INDEX_PAGE};
use crate::wire::{U64, checksum, memory, to_usize};
use std::collections::HashMap;

/// Bytes that are searched at a time.
const WINDOW: usize = 1 << 20;
/// Above what any log entry is long: one holds an open chunk, the entries of one commit and the
/// attributes.
const ENTRY_MAX: u64 = 64 << 20;
/// Page checksums of a segment that are read at a time.
const TABLE: usize = 8 << 10;

/// A segment whose pages are all whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundSegment {
    pub(crate) at: SegmentRef,
    pub(crate) head: SegmentHeader,
}

/// A log entry that is whole, with its bytes.
#[derive(Debug)]
pub(crate) struct FoundEntry {
    pub(crate) offset: u64,
    pub(crate) generation: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Everything of one file that describes itself.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) segments: Vec<FoundSegment>,
    pub(crate) entries: Vec<FoundEntry>,
    /// What begins like a chunk: where, and how many bytes it says that it holds.
    pub(crate) chunks: Vec<(u64, u32)>,
}

impl Scanned {
    pub(crate) fn of(&self, magic: [u8; 8]) -> impl Iterator<Item = &FoundSegment> {
        self.segments.iter().filter(move |s| s.head.magic == magic)
    }
}

/// The file id that most segments have.
pub(crate) fn file_id(
    backend: &dyn Backend,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Option<[u8; 16]>> {
    let mut votes: HashMap<[u8; 16], u64> = HashMap::new();
    search(backend, progress, |offset, start, budget| {
        if !SEGMENTS.contains(start) {
            return Ok(None);
        }
        let found = segment(backend, offset, None, budget)?;
        Ok(found.map(|s| {
            *votes.entry(s.head.file).or_default() += 1;
            s.at.len.get()
        }))
    })?;
    Ok(votes.into_iter().max_by_key(|(id, n)| (*n, *id)).map(|(id, _)| id))
}

/// Finds all segments and log entries of the file `file`.
pub(crate) fn scan(
    backend: &dyn Backend,
    file: [u8; 16],
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Scanned> {
    let mut out = Scanned::default();
    search(backend, progress, |offset, start, budget| {
        if let Some(nbytes) = chunk(start) {
            // One in the middle of what turns out to be a chunk is left out later.
            if offset.is_multiple_of(64) {
                out.chunks.push((offset, nbytes));
            }
            return Ok(None);
        }
        if *start == LOG_MAGIC {
            let found = entry(backend, offset, file, budget)?;
            return Ok(found.map(|e| {
                let len = e.bytes.len() as u64;
                out.entries.push(e);
                len
            }));
        }
        let found = segment(backend, offset, Some(file), budget)?;
        Ok(found.map(|s| {
            out.segments.push(s);
            s.at.len.get()
        }))
    })?;
    Ok(out)
}

const SEGMENTS: [[u8; 8]; 5] = [LEAF_MAGIC, RUN_MAGIC, DEAD_MAGIC, PAGE_MAGIC, ROOT_MAGIC];

/// Calls `found` at whatever begins like one of ours; it returns the length of what is whole
/// there, which is then passed over. Holes of a sparse file are not read.
fn search(
    backend: &dyn Backend,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    mut found: impl FnMut(u64, &[u8; 8], &mut u64) -> Result<Option<u64>>,
) -> Result<()> {
    let len = backend.len()?;
    // What looks like a segment and is none may be read again and again; a file made to abuse
    // that ends the search for further ones, not the recovery.
    let mut budget: u64 = 64 << 20;
    let mut buf = vec![0; WINDOW];
    let mut at = 0;
    let mut free_from = 0;
    progress(0, len)?;
    while let Some(data) = backend.data_from(at)? {
        at = (data.start / 64 * 64).max(at);
        budget = (data.end - data.start).saturating_mul(8).saturating_add(budget);
        while at < data.end {
            progress(at, len)?;
            let n = to_usize(data.end - at).unwrap_or(WINDOW).min(WINDOW);
            let Some(window) = buf.get_mut(..n) else { break };
            backend.read_at(at, window)?;
            for (i, word) in window.as_chunks::<8>().0.iter().enumerate() {
                let offset = at + 8 * i as u64;
                if offset < free_from {
                    continue;
                }
                let aligned = offset.is_multiple_of(64);
                let known = word.starts_with(b"VL")
                    && (*word == LOG_MAGIC || (aligned && SEGMENTS.contains(word)));
                if (known || (aligned && chunk(word).is_some()))
                    && let Some(len) = found(offset, word, &mut budget)?
                {
                    free_from = offset.saturating_add(len);
                }
            }
            at += n as u64;
        }
        // Ranges need not end at a multiple of 8; what is cut there is in no other.
        at = at.next_multiple_of(64);
    }
    progress(len, len)
}

/// The decoded size of a chunk that begins with these bytes, if one of ours can.
fn chunk(start: &[u8; 8]) -> Option<u32> {
    let [version, codec_version, flags, typesize, nbytes @ ..] = start;
    let nbytes = u32::from_le_bytes(*nbytes);
    let right = *version == 5 && *codec_version == 1 && flags & 5 == 5 && *typesize > 0;
    (right && (CHUNK_MIN..=CHUNK_MAX).contains(&nbytes)).then_some(nbytes)
}

fn segment(
    backend: &dyn Backend,
    offset: u64,
    file: Option<[u8; 16]>,
    budget: &mut u64,
) -> Result<Option<FoundSegment>> {
    let end = backend.len()?;
    let mut head = [0; size_of::<SegmentHeader>()];
    if offset + head.len() as u64 > end {
        return Ok(None);
    }
    backend.read_at(offset, &mut head)?;
    let head: SegmentHeader = bytemuck::cast(head);
    let len = head.len.get();
    let body = body_len(len).filter(|body| *body >= 64);
    let (Some(body), true) = (body, offset.checked_add(len).is_some_and(|e| e <= end)) else {
        return Ok(None);
    };
    if head.first_record.get().max(head.first_chunk.get()) > RECORDS_MAX {
        return Ok(None);
    }
    if file.is_some_and(|id| id != head.file) {
        return Ok(None);
    }
    // Page by page, so that a length that lies takes no more memory than there is in the file.
    let mut table = Vec::new();
    let mut page = vec![0; INDEX_PAGE];
    let mut at = 0;
    while at < body {
        let known = table.len() as u64;
        let n = to_usize(len - body - known).unwrap_or(TABLE).min(TABLE);
        let all = table.len() + n;
        memory::resize(&mut table, all, 0)?;
        let Some(part) = table.get_mut(to_usize(known).unwrap_or(usize::MAX)..) else { break };
        backend.read_at(offset + body + known, part)?;
        for right in part.as_chunks::<8>().0 {
            let n = to_usize(body - at).unwrap_or(INDEX_PAGE).min(INDEX_PAGE);
            let Some(page) = page.get_mut(..n) else { return Ok(None) };
            backend.read_at(offset + at, page)?;
            *budget = budget.saturating_sub(n as u64);
            if *budget == 0 || checksum(page).to_le_bytes() != *right {
                return Ok(None);
            }
            at += n as u64;
        }
    }
    let sum = table_sum(head.file, offset, len, &table);
    let at = SegmentRef { offset: U64::new(offset), len: U64::new(len), sum: U64::new(sum) };
    Ok(Some(FoundSegment { at, head }))
}

fn entry(
    backend: &dyn Backend,
    offset: u64,
    file: [u8; 16],
    budget: &mut u64,
) -> Result<Option<FoundEntry>> {
    let end = backend.len()?;
    let mut head = [0; size_of::<LogHeader>()];
    if offset + head.len() as u64 > end {
        return Ok(None);
    }
    backend.read_at(offset, &mut head)?;
    let head: LogHeader = bytemuck::pod_read_unaligned(&head);
    let len = head.len.get();
    // Numbers that no store reaches are not counted on from.
    let fits = offset.checked_add(len).is_some_and(|e| e <= end)
        && head.first_record.get().max(head.first_chunk.get()) <= RECORDS_MAX;
    let Some(n) = to_usize(len).filter(|n| fits && *n >= size_of::<LogHeader>()) else {
        return Ok(None);
    };
    if *budget < len || len > ENTRY_MAX {
        return Ok(None);
    }
    *budget -= len;
    let mut bytes = memory::zeroed(n)?;
    backend.read_at(offset, &mut bytes)?;
    let whole = log::decode(&bytes, file, offset).is_some_and(|(_, n)| n as u64 == len);
    Ok(whole.then_some(FoundEntry { offset, generation: head.generation.get(), bytes }))
}
