//! From the entry of a record to its bytes: blocks checked and decoded. `find_chunk` says where their chunk lies.

use crate::chunk::with_decoder;
use crate::chunk::{Decoder, SLACK};
use crate::error::{Error, Result};
use crate::index::leaf::Place;
use crate::limits::RECORD_MAX;
use crate::store::block_checksum::block_sum;
use crate::store::read::chunk_locations::ChunkLocation;
use crate::store::read::find_chunk::{locate, missing_chunk};
use crate::store::read::reader::{ChunkData, Reader};
use crate::store::read::record::Record;
use crate::wire::{AlignedBuf, prefetch, to_usize};
use std::ops::Range;
use std::sync::Arc;

impl Reader {
    /// Start and length of a record, bounded by what the store holds.
    pub(crate) fn span(&self, entry: &Place) -> Result<Range<u64>> {
        let start = entry.start;
        let len = u64::from(entry.len);
        let end = start.checked_add(len);
        match end {
            Some(end) if end <= self.totals.cursor && len > RECORD_MAX => {
                Err(Error::Limit { what: "record", asked: len, max: RECORD_MAX })
            }
            Some(end) if end <= self.totals.cursor => Ok(start..end),
            _ => Err(Error::corrupt("record entry", start, "lies outside the data")),
        }
    }

    /// The bytes of a record.
    pub(crate) fn record(&self, entry: &Place) -> Result<Record> {
        self.record_in(self.span(entry)?)
    }

    /// The record of these logical bytes.
    pub(crate) fn record_in(&self, span: Range<u64>) -> Result<Record> {
        let len = to_usize(span.end - span.start).unwrap_or(usize::MAX);
        if len == 0 {
            return Ok(Record::empty());
        }
        if self.io.is_far() {
            self.announce_spans(std::slice::from_ref(&span))?;
        }
        // Divisions take long: no more of them than are needed.
        let chunk = span.start / self.chunk_size;
        let at = span.start - chunk * self.chunk_size;
        if at + len as u64 <= self.chunk_size
            && let ChunkData::File(place) = self.chunk(chunk)?
        {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            let end = at as usize + len;
            let bs = place.layout.block_size().max(1);
            let block = at / bs;
            let first = (block * bs) as usize;
            if place.layout.is_stored()
                && let Some(r) = self.stored(&place, block, at as usize..end)?
            {
                return Ok(r);
            }
            if end <= first + bs as usize {
                let inside = at as usize - first..end - first;
                let whole = place.layout.block_len(block) as usize;
                if inside.end > whole {
                    return Err(Error::corrupt("record entry", 0, "reaches past its block"));
                }
                let data = match self.cached(&place, block, &inside) {
                    Some(data) => data,
                    None if Decoder::decodes_parts(&place.layout)
                        && !self.cache.pays(place.chunk, block, whole) =>
                    {
                        let mut out = AlignedBuf::unset(len)?;
                        self.decode_part(&place, block, inside, &mut out)?;
                        return Ok(Record::owned(out));
                    }
                    None => self.fresh(&place, block)?,
                };
                if inside.start.is_multiple_of(8) {
                    return Record::of(data, inside);
                }
                let bytes = data.get(inside).unwrap_or_default();
                return AlignedBuf::copy_of(bytes).map(Record::owned);
            }
        }
        self.exists(&span)?;
        let mut out = AlignedBuf::unset(len)?;
        self.read_parallel(span, &mut out)?;
        Ok(Record::owned(out))
    }

    /// A slice of the map for these bytes of a stored chunk, the first of them in `block`; their blocks are
    /// checked where they lie.
    fn stored(
        &self,
        place: &ChunkLocation,
        block: u32,
        bytes: Range<usize>,
    ) -> Result<Option<Record>> {
        let size = place.layout.block_size().max(1) as usize;
        let first = block as usize * size;
        let last = match bytes.end.saturating_sub(1) {
            near if near < first + size => block,
            far => u32::try_from(far / size).unwrap_or(u32::MAX),
        };
        if last >= place.layout.blocks() {
            return Ok(None);
        }
        let start = u64::from(place.layout.block_range(block).start);
        let end = u64::from(place.layout.block_range(last).end);
        let Some(map) = self.io.mapping(place.offset + end) else { return Ok(None) };
        let (Some(from), Some(to)) = (to_usize(place.offset + start), to_usize(place.offset + end))
        else {
            return Ok(None);
        };
        let Some(mut rest) = map.get(from..to) else { return Ok(None) };
        for block in block..=last {
            let (now, later) = rest.split_at(size.min(rest.len()));
            self.check(place, block, now)?;
            rest = later;
        }
        let inside = bytes.start - first;
        let at = from + inside..from + inside + bytes.len();
        if !map.get(at.clone()).is_some_and(|b| b.as_ptr().addr().is_multiple_of(8)) {
            return Ok(None);
        }
        Record::mapped(map, at).map(Some)
    }

    /// Whether every chunk of `span` is there: what a damaged index claims is not allocated
    /// before.
    pub(crate) fn exists(&self, span: &Range<u64>) -> Result<()> {
        if span.is_empty() {
            return Ok(());
        }
        let mut chunks = span.start / self.chunk_size..=(span.end - 1) / self.chunk_size;
        chunks.try_for_each(|chunk| self.chunk(chunk).map(drop))
    }

    /// Calls `f` with blocks of a stored chunk that lie one behind the other, each checked where it lies. What
    /// was damaged on its way from far away is fetched once more.
    pub(crate) fn stored_blocks(
        &self,
        place: &ChunkLocation,
        blocks: Range<u32>,
        f: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if blocks.end > place.layout.blocks() {
            return Err(missing_chunk(place.chunk));
        }
        let start = place.layout.block_range(blocks.start).start;
        let last = blocks.end.saturating_sub(1);
        let len = place.layout.block_range(last).end.saturating_sub(start) as usize;
        let size = place.layout.block_size().max(1) as usize;
        let offset = place.offset + u64::from(start);
        let mut f = Some(f);
        let mut once = || {
            self.io.bytes(offset, len, |bytes| {
                for (block, bytes) in blocks.clone().zip(bytes.chunks(size)) {
                    self.check(place, block, bytes)?;
                }
                f.take().map_or(Ok(()), |f| f(bytes))
            })?
        };
        match once() {
            Err(Error::Corrupt(_)) if self.io.is_far() => {
                self.io.forget(offset, len);
                once().map_err(|e| self.io.or_replaced(e))
            }
            done => done,
        }
    }

    /// Fills `out` with the logical bytes `span`.
    pub(crate) fn read(&self, span: Range<u64>, out: &mut [u8]) -> Result<()> {
        let mut at = span.start;
        let mut out = out;
        while !out.is_empty() {
            let chunk = at / self.chunk_size;
            let inside = to_usize(at % self.chunk_size).unwrap_or(usize::MAX);
            let room = to_usize(self.chunk_size).unwrap_or(0) - inside;
            let n = out.len().min(room);
            let (now, later) = std::mem::take(&mut out).split_at_mut(n);
            match self.chunk(chunk)? {
                ChunkData::Memory(data) => {
                    now.copy_from_slice(data.get(inside..inside + n)?);
                }
                ChunkData::File(place) => self.read_chunk(&place, inside, now)?,
            }
            at += n as u64;
            out = later;
        }
        Ok(())
    }

    pub(crate) fn read_chunk(
        &self,
        place: &ChunkLocation,
        inside: usize,
        out: &mut [u8],
    ) -> Result<()> {
        let bs = place.layout.block_size().max(1) as usize;
        let mut at = inside;
        let mut out = out;
        while !out.is_empty() {
            let block = u32::try_from(at / bs).unwrap_or(u32::MAX);
            if block >= place.layout.blocks() {
                return Err(missing_chunk(place.chunk));
            }
            let skip = at - block as usize * bs;
            let len = place.layout.block_len(block) as usize;
            let n = out.len().min(len.saturating_sub(skip));
            if n == 0 {
                return Err(missing_chunk(place.chunk));
            }
            let (n, blocks) = match n {
                n if n == len && self.io.reads_by_calls() => stretch(place, block, out.len()),
                n => (n, 1),
            };
            let (now, later) = std::mem::take(&mut out).split_at_mut(n);
            if blocks > 1 {
                self.decode_stretch(place, block..block + blocks, now)?;
            } else if n == len {
                self.decode(place, block, now)?;
            } else if place.layout.is_stored() && !self.io.reads_by_calls() {
                // No cache holds it nearer than the map does.
                self.stored_blocks(place, block..block + 1, |bytes| {
                    now.copy_from_slice(bytes.get(skip..skip + n).unwrap_or_default());
                    Ok(())
                })?;
            } else if let Some(data) = self.cached(place, block, &(skip..skip + n)) {
                now.copy_from_slice(data.get(skip..skip + n).unwrap_or_default());
            } else if Decoder::decodes_parts(&place.layout)
                && !self.cache.pays(place.chunk, block, len)
            {
                self.decode_part(place, block, skip..skip + n, now)?;
            } else {
                let data = self.fresh(place, block)?;
                now.copy_from_slice(data.get(skip..skip + n).unwrap_or_default());
            }
            at += n;
            out = later;
        }
        Ok(())
    }

    /// The block, if it is in the cache; its bytes `wanted`, or else those that it is decoded
    /// from, are asked for from memory, and come while others are still on their way to them.
    pub(crate) fn cached(
        &self,
        place: &ChunkLocation,
        block: u32,
        wanted: &Range<usize>,
    ) -> Option<Arc<AlignedBuf>> {
        let found = self.cache.get(place.chunk, block, wanted);
        if found.is_none() {
            let range = place.layout.block_range(block);
            if let Some(sum) = place.sums.as_ref().and_then(|sums| sums.get(block as usize)) {
                prefetch(std::ptr::from_ref(sum).addr(), size_of::<u64>());
            }
            let start = to_usize(place.offset)?.checked_add(range.start as usize)?;
            self.io.mapped(|map| {
                prefetch(map.as_ptr().addr().wrapping_add(start), range.len());
            });
        }
        found
    }

    /// A block that is not in the cache; then it is.
    pub(crate) fn fresh(&self, place: &ChunkLocation, block: u32) -> Result<Arc<AlignedBuf>> {
        let mut data = AlignedBuf::unset(place.layout.block_len(block) as usize)?;
        self.decode(place, block, &mut data)?;
        let data = Arc::new(data);
        self.cache.insert(place.chunk, block, &data);
        Ok(data)
    }

    /// Checks and decodes one block into `out`.
    pub(crate) fn decode(&self, place: &ChunkLocation, block: u32, out: &mut [u8]) -> Result<()> {
        self.decode_part(place, block, 0..place.layout.block_len(block) as usize, out)
    }

    /// Checks one block and decodes a part of it into `out`. What was damaged on its way from far away is
    /// fetched once more.
    pub(crate) fn decode_part(
        &self,
        place: &ChunkLocation,
        block: u32,
        part: Range<usize>,
        out: &mut [u8],
    ) -> Result<()> {
        match self.decode_once(place, block, part.clone(), out) {
            Err(Error::Corrupt(_)) if self.io.is_far() => {
                let range = place.layout.block_range(block);
                self.io.forget(place.offset + u64::from(range.start), range.len());
                match self.decode_once(place, block, part, out) {
                    Err(damage @ Error::Corrupt(_)) => Err(self.io.or_replaced(damage)),
                    done => done,
                }
            }
            done => done,
        }
    }

    fn decode_once(
        &self,
        place: &ChunkLocation,
        block: u32,
        part: Range<usize>,
        out: &mut [u8],
    ) -> Result<()> {
        let range = place.layout.block_range(block);
        let len = range.end.saturating_sub(range.start) as usize;
        let offset = place.offset + u64::from(range.start);
        if out.len() == len && place.layout.is_stored() && self.io.reads_by_calls() {
            // Where they are wanted is as good a place to check them as any.
            self.io.read(offset, out)?;
            return self.compare(place, block, out).map_err(|e| locate(e, offset));
        }
        if self.io.reads_by_calls() && place.layout.has_streams() {
            // Read to where they are decoded from, with no copy between.
            self.io.holds(offset, len)?;
            let mut was_read = false;
            let done = with_decoder(|d| {
                d.decode_read(&place.layout, block, part, out, |held| {
                    self.io.read(offset, held)?;
                    was_read = true;
                    self.compare(place, block, held)
                })
            });
            return if was_read { done.map_err(|e| locate(e, offset)) } else { done };
        }
        self.io.bytes(offset, len, |stream| self.decode_held(place, block, part, stream, out))?
    }

    /// Whether blocks of this chunk are read by calls, and made of streams.
    pub(crate) fn reads_streams_by_calls(&self, place: &ChunkLocation) -> bool {
        self.io.reads_by_calls() && place.layout.has_streams()
    }

    /// Calls `f` for blocks that lie one behind the other in the file. They are read by one call.
    pub(crate) fn streams(
        &self,
        place: &ChunkLocation,
        blocks: Range<u32>,
        mut f: impl FnMut(u32, &RawBlock<'_>) -> Result<()>,
    ) -> Result<()> {
        let first = place.layout.block_range(blocks.start).start;
        let last = place.layout.block_range(blocks.end.saturating_sub(1)).end;
        let len = last.saturating_sub(first) as usize;
        let offset = place.offset + u64::from(first);
        let was_read = self.io.reads_by_calls();
        let each = |bytes: &[u8]| {
            blocks.into_iter().try_for_each(|block| {
                let from = place.layout.block_range(block).start.saturating_sub(first) as usize;
                f(block, &RawBlock { bytes: bytes.get(from..).unwrap_or_default(), was_read })
            })
        };
        if was_read {
            self.io.read_into_space(offset, len, SLACK, each)?
        } else {
            self.io.bytes(offset, len, each)?
        }
    }

    /// Checks a block and decodes a part of it.
    pub(crate) fn decode_raw(
        &self,
        place: &ChunkLocation,
        block: u32,
        part: Range<usize>,
        raw: &RawBlock<'_>,
        out: &mut [u8],
    ) -> Result<()> {
        let range = place.layout.block_range(block);
        if !raw.was_read {
            let stream = raw.bytes.get(..range.len()).unwrap_or_default();
            return self.decode_held(place, block, part, stream, out);
        }
        with_decoder(|d| {
            d.decode_in_place(&place.layout, block, raw.bytes, part, out, |held| {
                self.compare(place, block, held)
            })
        })
        .map_err(|e| locate(e, place.offset + u64::from(range.start)))
    }

    /// Checks one block, whose bytes in the file are `stream`, and decodes a part of it.
    fn decode_held(
        &self,
        place: &ChunkLocation,
        block: u32,
        part: Range<usize>,
        stream: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let offset = place.offset + u64::from(place.layout.block_range(block).start);
        with_decoder(|d| {
            d.decode_checked(&place.layout, block, stream, part, out, |held| {
                self.compare(place, block, held)
            })
        })
        .map_err(|e| locate(e, offset))
    }

    /// Checks and decodes blocks that lie one behind the other in the file, read by one call.
    fn decode_stretch(
        &self,
        place: &ChunkLocation,
        blocks: Range<u32>,
        out: &mut [u8],
    ) -> Result<()> {
        let first = place.layout.block_range(blocks.start).start;
        let last = place.layout.block_range(blocks.end.saturating_sub(1)).end;
        let len = last.saturating_sub(first) as usize;
        let offset = place.offset + u64::from(first);
        if place.layout.is_stored() && out.len() == len {
            self.io.read(offset, out)?;
            let mut rest = &*out;
            return blocks.into_iter().try_for_each(|block| {
                let (now, later) = rest.split_at(place.layout.block_len(block) as usize);
                rest = later;
                let at = place.offset + u64::from(place.layout.block_range(block).start);
                self.compare(place, block, now).map_err(|e| locate(e, at))
            });
        }
        let mut rest = out;
        self.streams(place, blocks, |block, raw| {
            let n = place.layout.block_len(block) as usize;
            let (now, later) = std::mem::take(&mut rest).split_at_mut(n);
            rest = later;
            self.decode_raw(place, block, 0..n, raw, now)
        })
    }

    /// Checks and decodes the first blocks of a chunk, which are read by one call, each to where it belongs
    /// in `out`; `done` is told how it went.
    pub(crate) fn decode_first(
        &self,
        place: &ChunkLocation,
        blocks: u32,
        out: &mut [u8],
        mut done: impl FnMut(u32, Result<()>) -> Result<()>,
    ) -> Result<()> {
        let layout = &place.layout;
        let ranges = || (0..blocks).map(|block| layout.block_range(block));
        let first = ranges().map(|range| range.start).min().unwrap_or(0);
        let len = ranges().map(|range| range.end).max().unwrap_or(0).saturating_sub(first) as usize;
        let offset = place.offset + u64::from(first);
        let mut each = |held: Option<&[u8]>| {
            let mut rest = &mut *out;
            for (block, range) in (0..blocks).zip(ranges()) {
                let n = layout.block_len(block) as usize;
                let (now, later) = std::mem::take(&mut rest)
                    .split_at_mut_checked(n)
                    .ok_or_else(|| Error::corrupt("open chunk", place.offset, "length"))?;
                rest = later;
                let from = range.start.saturating_sub(first) as usize;
                let stream = held.and_then(|held| held.get(from..from + range.len()));
                done(
                    block,
                    match stream {
                        Some(stream) => self.decode_held(place, block, 0..n, stream, now),
                        None => self.decode(place, block, now),
                    },
                )?;
            }
            Ok(())
        };
        // What all blocks are where there is one value is not in the file.
        if layout.is_special() || self.io.holds(offset, len).is_err() {
            return each(None);
        }
        self.io.bytes(offset, len, |held| each(Some(held)))?
    }

    /// Checks a block where it is stored.
    fn check(&self, place: &ChunkLocation, block: u32, bytes: &[u8]) -> Result<()> {
        prefetch(bytes.as_ptr().addr(), bytes.len());
        self.compare(place, block, bytes)
            .map_err(|e| locate(e, place.offset + u64::from(place.layout.block_range(block).start)))
    }

    /// Compares the bytes of a block with its checksum; a difference is found at its offset 0.
    fn compare(&self, place: &ChunkLocation, block: u32, bytes: &[u8]) -> Result<()> {
        let Some(sums) = &place.sums else { return Ok(()) };
        let right = sums.get(block as usize).copied();
        if right != Some(block_sum(self.io.file(), place.chunk, block, bytes)) {
            return Err(Error::corrupt("block", 0, "checksum differs"));
        }
        Ok(())
    }
}

/// A block as it is in the file.
pub(crate) struct RawBlock<'a> {
    /// From its first byte on; others may follow.
    bytes: &'a [u8],
    /// Whether they were read, with [`SLACK`] bytes behind the last block, to where nobody changes them.
    was_read: bool,
}

/// Bytes of the file that are read by one call, at most, unless one block has more.
const STRETCH: u32 = 256 << 10;

/// How many whole blocks from `first` on can be read together to fill up to `room` bytes, and how
/// many bytes they are: those that lie one behind the other in the file.
fn stretch(place: &ChunkLocation, first: u32, room: usize) -> (usize, u32) {
    let layout = &place.layout;
    let mut end = layout.block_range(first);
    let start = end.start;
    let (mut bytes, mut blocks) = (layout.block_len(first) as usize, 1);
    // What all of them are where there is one value: nothing is read.
    while !layout.is_special() && first + blocks < layout.blocks() {
        let range = layout.block_range(first + blocks);
        let len = layout.block_len(first + blocks) as usize;
        let follows = range.start == end.end && range.end > range.start;
        if !follows || range.end - start > STRETCH || bytes + len > room {
            break;
        }
        (bytes, blocks, end) = (bytes + len, blocks + 1, range);
    }
    (bytes, blocks)
}
