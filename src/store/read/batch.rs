//! Many records at once: planned by place, each touched block decoded once, in parallel.

use crate::error::{Error, Result};
use crate::index::leaf::Place;
use crate::store::read::reader::{ChunkData, Reader};
use crate::store::read::record::Record;
use crate::store::read::share_out::{WORTH_A_HELPER, share_out};
use crate::wire::{AlignedBuf, memory, to_usize};
use once_cell::race::OnceNonZeroUsize;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

/// Parts of the work for each thread, so that one that is late or slow is waited for only a little.
const PARTS: usize = 4;

/// Records fetched together: one buffer, and the records in it in the order in which they were
/// asked for. Keeps that buffer and nothing else alive.
#[derive(Debug, Clone)]
pub struct Batch {
    buffer: Arc<AlignedBuf>,
    places: Vec<Range<usize>>,
}

impl Batch {
    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The record at position `i` of those that were asked for.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&[u8]> {
        self.buffer.get(self.places.get(i)?.clone())
    }

    /// The record at position `i`, to keep: it shares the buffer.
    #[must_use]
    pub fn record(&self, i: usize) -> Option<Record> {
        Record::of(self.buffer.clone(), self.places.get(i)?.clone()).ok()
    }

    /// The records in the order in which they were asked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.places.iter().map(|p| self.buffer.get(p.clone()).unwrap_or_default())
    }

    /// The batch with what `make` makes of its records in their places; `None` leaves a record as
    /// it is, and if all are left so, nothing is copied.
    ///
    /// # Errors
    /// The first of `make`.
    pub fn replaced(
        self,
        mut make: impl FnMut(&[u8]) -> Result<Option<AlignedBuf>>,
    ) -> Result<Self> {
        let made = self.iter().map(&mut make).collect::<Result<Vec<_>>>()?;
        if made.iter().all(Option::is_none) {
            return Ok(self);
        }
        let mut len = 0;
        let mut places = memory::with_room(made.len())?;
        for (new, old) in made.iter().zip(self.iter()) {
            let n = new.as_ref().map_or(old.len(), |new| new.len());
            places.push(len..len + n);
            len = (len + n).next_multiple_of(8);
        }
        let mut buffer = AlignedBuf::default();
        buffer.resize(len)?;
        for ((new, old), place) in made.iter().zip(self.iter()).zip(&places) {
            if let Some(to) = buffer.get_mut(place.clone()) {
                to.copy_from_slice(new.as_deref().unwrap_or(old));
            }
        }
        Ok(Self { buffer: Arc::new(buffer), places })
    }

    /// Batches of several files as one of `len` records: each with the positions of its records.
    pub(crate) fn joined(parts: &[(Vec<usize>, Self)], len: usize) -> Result<Self> {
        let size = |(_, batch): &(Vec<usize>, Self)| batch.buffer.len().next_multiple_of(8);
        let total = parts.iter().map(size).try_fold(0_usize, usize::checked_add);
        let total = total.ok_or(Error::Limit {
            what: "bytes of a batch",
            asked: u64::MAX,
            max: usize::MAX as u64,
        })?;
        let mut places = memory::filled(len, 0..0)?;
        let mut buffer = AlignedBuf::unset(total)?;
        let mut base = 0;
        for (positions, batch) in parts {
            for (position, place) in positions.iter().zip(&batch.places) {
                if let Some(to) = places.get_mut(*position) {
                    *to = base + place.start..base + place.end;
                }
            }
            if let Some(to) = buffer.get_mut(base..base + batch.buffer.len()) {
                to.copy_from_slice(&batch.buffer);
            }
            base += batch.buffer.len().next_multiple_of(8);
        }
        Ok(Self { buffer: Arc::new(buffer), places })
    }

    /// The whole buffer. Records lie in it in the order of the file, each at a multiple of 8.
    #[must_use]
    pub fn buffer(&self) -> &Arc<AlignedBuf> {
        &self.buffer
    }

    /// Where each record lies in [`Batch::buffer`], in the order in which they were asked for.
    #[must_use]
    pub fn places(&self) -> &[Range<usize>] {
        &self.places
    }
}

/// One record to fetch: its logical bytes and where they go.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) to: usize,
}

/// The chunks of a batch, by number.
struct Chunks<'a>(Vec<(u64, ChunkData<'a>)>);

impl Chunks<'_> {
    fn get(&self, number: u64) -> Option<&ChunkData<'_>> {
        let at = self.0.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        self.0.get(at).map(|(_, data)| data)
    }
}

/// As many threads as asked for; 0 takes the cores that the process may use.
pub(crate) fn threads(asked: usize) -> usize {
    // Asked for once: the answer is read from several files of the system, which costs as much as to
    // open a small store.
    static CORES: OnceNonZeroUsize = OnceNonZeroUsize::new();
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    NonZeroUsize::new(asked).unwrap_or_else(|| CORES.get_or_init(cores)).get()
}

impl Reader {
    /// Fetches the records of these entries.
    pub(crate) fn batch(&self, entries: &[Place]) -> Result<Batch> {
        let spans = entries.iter().map(|e| self.span(e)).collect::<Result<Vec<_>>>()?;
        self.batch_spans(&spans)
    }

    /// A part of a record in the logical byte space.
    pub(crate) fn part(&self, entry: &Place, range: &Range<u64>) -> Result<Range<u64>> {
        let span = self.span(entry)?;
        let max = span.end - span.start;
        if range.start > range.end || range.end > max {
            return Err(Error::Limit { what: "part of a record", asked: range.end, max });
        }
        Ok(span.start + range.start..span.start + range.end)
    }

    /// Blocks in the file that a record lies in; about, if it reaches over several chunks.
    pub(crate) fn blocks(&self, entry: &Place) -> Result<u64> {
        let span = self.span(entry)?;
        if span.is_empty() {
            return Ok(0);
        }
        Ok(match self.chunk(span.start / self.chunk_size)? {
            ChunkData::Memory(_) => 0,
            ChunkData::File(place) => {
                let block = u64::from(place.layout.block_size().max(1));
                let first = span.start % self.chunk_size / block;
                (span.start % self.chunk_size + (span.end - 1 - span.start)) / block - first + 1
            }
        })
    }

    /// Fetches logical bytes of records, each span inside one.
    pub(crate) fn batch_spans(&self, spans: &[Range<u64>]) -> Result<Batch> {
        if self.io.is_far() {
            self.announce_spans(spans)?;
        }
        let mut order: Vec<(u64, u64, usize)> =
            spans.iter().enumerate().map(|(i, span)| (span.start, span.end, i)).collect();
        order.sort_unstable();
        self.batch_sorted(order.into_iter())
    }

    /// As [`batch_spans`](Self::batch_spans) of begin, end and position of each span, in the order in which they lie.
    pub(crate) fn batch_sorted(
        &self,
        order: impl ExactSizeIterator<Item = (u64, u64, usize)>,
    ) -> Result<Batch> {
        let mut places = memory::filled(order.len(), 0..0)?;
        let mut wants: Vec<Want> = memory::with_room(order.len())?;
        let mut size = 0_usize;
        for (start, end, i) in order {
            if start == end {
                // Touches no block, and may lie behind the last chunk.
                if let Some(place) = places.get_mut(i) {
                    *place = size / 8 * 8..size / 8 * 8;
                }
                continue;
            }
            let same = wants.last().is_some_and(|w| (w.start, w.end) == (start, end));
            if !same {
                size = size.next_multiple_of(8);
                wants.push(Want { start, end, to: size });
                let len = to_usize(end - start).unwrap_or(usize::MAX);
                size = size.checked_add(len).ok_or(Error::Limit {
                    what: "bytes of a batch",
                    asked: u64::MAX,
                    max: usize::MAX as u64,
                })?;
            }
            if let (Some(place), Some(w)) = (places.get_mut(i), wants.last()) {
                *place = w.to..w.to + to_usize(w.end - w.start).unwrap_or(0);
            }
        }
        // What a damaged index claims is not allocated before its chunks are known to be there.
        let chunks = self.chunks_of(&wants)?;
        let mut buffer = AlignedBuf::zeroed(size)?;
        if self.io.gap() > 0 {
            self.gather_together(&wants, &mut buffer)?;
        } else {
            self.gather(&wants, &chunks, &mut buffer)?;
        }
        Ok(Batch { buffer: Arc::new(buffer), places })
    }

    /// Cuts the work where one block ends and another begins, so that no block is decoded
    /// twice, and fills the parts side by side.
    fn gather(&self, wants: &[Want], chunks: &Chunks<'_>, out: &mut [u8]) -> Result<()> {
        let threads = self.threads.min(out.len() / WORTH_A_HELPER).max(1);
        if threads == 1 {
            return self.gather_part(wants, chunks, 0, out, &mut AlignedBuf::default());
        }
        let count = threads * PARTS;
        let each = out.len() / count;
        let mut parts = memory::with_room(count)?;
        let mut rest_wants = wants;
        let mut rest = out;
        let mut base = 0;
        for part in 1..=count {
            let cut = if part == count {
                rest_wants.len()
            } else {
                self.cut(rest_wants, chunks, each * part)
            };
            let (now, later) = rest_wants.split_at(cut);
            rest_wants = later;
            let end = later.first().map_or(base + rest.len(), |w| w.to);
            let (bytes, later) = std::mem::take(&mut rest).split_at_mut(end - base);
            rest = later;
            if !now.is_empty() {
                parts.push((now, base, bytes));
            }
            base = end;
        }
        share_out(threads, parts, AlignedBuf::default, |scratch, (wants, base, out)| {
            self.gather_part(wants, chunks, base, out, scratch)
        })?;
        Ok(())
    }

    /// How many of the first records go before byte `to` of the buffer or lie in a block with one that does.
    fn cut(&self, wants: &[Want], chunks: &Chunks<'_>, to: usize) -> usize {
        let mut i = wants.partition_point(|w| w.to < to);
        while let (Some(before), Some(after)) =
            (i.checked_sub(1).and_then(|before| wants.get(before)), wants.get(i))
        {
            let last = before.end.saturating_sub(1);
            if self.block_of(chunks, last) != self.block_of(chunks, after.start) {
                break;
            }
            i += 1;
        }
        i
    }

    /// Chunk and block of a logical byte.
    fn block_of(&self, chunks: &Chunks<'_>, at: u64) -> (u64, u64) {
        let chunk = at / self.chunk_size;
        match chunks.get(chunk) {
            Some(ChunkData::File(place)) => {
                (chunk, at % self.chunk_size / u64::from(place.layout.block_size().max(1)))
            }
            _ => (chunk, 0),
        }
    }

    /// Looks up the chunks of all records, each once, before threads share them.
    fn chunks_of(&self, wants: &[Want]) -> Result<Chunks<'_>> {
        let mut chunks = Vec::new();
        let mut next = 0;
        for want in wants.iter().filter(|w| w.start < w.end) {
            let first = (want.start / self.chunk_size).max(next);
            for number in first..=(want.end - 1) / self.chunk_size {
                chunks.push((number, self.chunk(number)?));
                next = number + 1;
            }
        }
        Ok(Chunks(chunks))
    }

    fn gather_part(
        &self,
        wants: &[Want],
        chunks: &Chunks<'_>,
        base: usize,
        out: &mut [u8],
        scratch: &mut AlignedBuf,
    ) -> Result<()> {
        let mut held: Option<(u64, u32)> = None;
        let mut wants = wants.iter().peekable();
        while let Some(want) = wants.next() {
            let mut at = want.start;
            while at < want.end {
                let number = at / self.chunk_size;
                let data = chunks.get(number).ok_or_else(outside)?;
                let inside = to_usize(at % self.chunk_size).unwrap_or(usize::MAX);
                let left = to_usize(want.end - at).unwrap_or(usize::MAX);
                let to = want.to - base + to_usize(at - want.start).unwrap_or(usize::MAX);
                let n = match data {
                    ChunkData::Memory(data) => {
                        let n = left.min(data.len().saturating_sub(inside));
                        if n == 0 {
                            return Err(outside());
                        }
                        copy(out, to, Some(data.get(inside..inside + n)?))?;
                        n
                    }
                    ChunkData::File(place) => {
                        let bs = place.layout.block_size().max(1) as usize;
                        let block = u32::try_from(inside / bs).unwrap_or(u32::MAX);
                        if block >= place.layout.blocks() {
                            return Err(outside());
                        }
                        let len = place.layout.block_len(block) as usize;
                        let skip = inside % bs;
                        let n = left.min(len.saturating_sub(skip));
                        let next_needs_it = left == n
                            && wants.peek().is_some_and(|w| {
                                w.start / self.chunk_size == number
                                    && w.start % self.chunk_size / bs as u64 == u64::from(block)
                            });
                        let whole = skip == 0 && n == len && !next_needs_it;
                        if whole && held != Some((number, block)) {
                            let out = out.get_mut(to..to + n).ok_or_else(outside)?;
                            self.decode(place, block, out)?;
                        } else {
                            if held != Some((number, block)) {
                                scratch.resize(len)?;
                                self.decode(place, block, scratch)?;
                                held = Some((number, block));
                            }
                            copy(out, to, scratch.get(skip..skip + n))?;
                        }
                        n
                    }
                };
                if n == 0 {
                    return Err(outside());
                }
                at += n as u64;
            }
        }
        Ok(())
    }

    /// The end of the block that holds the logical byte `at`.
    pub(crate) fn block_end(&self, at: u64) -> Result<u64> {
        let chunk = at / self.chunk_size;
        let chunk_end = (chunk + 1) * self.chunk_size;
        Ok(match self.chunk(chunk)? {
            ChunkData::Memory(_) => chunk_end,
            ChunkData::File(place) => {
                let bs = u64::from(place.layout.block_size().max(1));
                let inside = at % self.chunk_size;
                (chunk * self.chunk_size + (inside / bs + 1) * bs).min(chunk_end)
            }
        })
    }

    /// The start of the block that holds the logical byte `at`.
    pub(crate) fn block_start(&self, at: u64) -> Result<u64> {
        let chunk = at / self.chunk_size;
        Ok(match self.chunk(chunk)? {
            ChunkData::Memory(_) => chunk * self.chunk_size,
            ChunkData::File(place) => {
                let bs = u64::from(place.layout.block_size().max(1));
                at - at % self.chunk_size % bs
            }
        })
    }
}

pub(super) fn copy(out: &mut [u8], to: usize, from: Option<&[u8]>) -> Result<()> {
    let from = from.ok_or_else(outside)?;
    out.get_mut(to..to + from.len()).ok_or_else(outside)?.copy_from_slice(from);
    Ok(())
}

pub(super) fn outside() -> Error {
    Error::corrupt("record entry", 0, "reaches outside its chunk")
}
