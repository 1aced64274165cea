//! Records of a plan, each shown where it was decoded to a visitor that copies what it needs and keeps nothing.

use crate::chunk::Decoder;
use crate::error::{Error, Result};
use crate::store::read::chunk_locations::Located;
use crate::store::read::plan::{FilePlan, Positions, Wanted};
use crate::store::read::reader::ChunkData;
use crate::store::read::share_out::{WORTH_A_HELPER, share_out};
use crate::store::read::stretch::Blocks;
use crate::wire::{AlignedBuf, memory, to_usize};
use std::ops::Range;

/// How many records ahead memory for one is asked for.
const AHEAD: usize = 3;
/// Parts of the work for each thread, so that one that is late or slow is waited for only a little.
const PARTS: usize = 16;
/// As before, where each call has its price: what is cut ends a piece.
const PARTS_OF_CALLS: usize = 2;

/// Who is shown the records of one part of a plan.
pub(crate) trait Visit: Send {
    /// The record at this position among those that were asked for, whose bytes start at a multiple of 8
    /// in memory.
    ///
    /// # Errors
    /// Its own, which end the visit.
    fn record(&mut self, position: usize, bytes: &[u8]) -> Result<()>;

    /// The record at this position comes soon: time to ask for memory that will be written.
    fn soon(&mut self, position: usize) {
        let _ = position;
    }
}

impl FilePlan<'_> {
    /// Shows each record to a visitor, of which `visitors` makes one for each part of the records of their
    /// positions: what one part needs stays with it.
    pub(crate) fn visit<V: Visit>(
        &self,
        visitors: impl FnOnce(&mut dyn ExactSizeIterator<Item = Positions<'_>>) -> Vec<V>,
    ) -> Result<()> {
        self.announce()?;
        let threads = self.threads()?;
        let each = if self.reader.io.gap() > 0 { PARTS_OF_CALLS } else { PARTS };
        let parts = if threads == 1 { vec![&*self.wanted] } else { self.parts(threads * each)? };
        let visitors =
            visitors(&mut parts.iter().map(|part| Positions { wanted: part.iter(), among: None }));
        let work = |space: &mut AlignedBuf, (part, mut visitor): (&[Wanted], V)| {
            self.part(part, space, &mut visitor)
        };
        share_out(threads, parts.into_iter().zip(visitors).collect(), AlignedBuf::default, work)?;
        Ok(())
    }

    /// Shows all records to one visitor, in this thread.
    pub(crate) fn visit_all(&self, space: &mut AlignedBuf, visitor: &mut impl Visit) -> Result<()> {
        self.announce()?;
        self.part(&self.wanted, space, visitor)
    }

    /// Threads that so much work is worth.
    fn threads(&self) -> Result<usize> {
        let (Some(first), Some(last)) = (self.wanted.first(), self.wanted.last()) else {
            return Ok(1);
        };
        if self.reader.threads == 1 {
            return Ok(1);
        }
        // Each record decodes a block at most, and all of them what lies between the first and the last.
        let block = self.reader.block_end(first.start)? - self.reader.block_start(first.start)?;
        let each: u64 = self.wanted.iter().map(|wanted| block.max(wanted.end - wanted.start)).sum();
        let decoded = each.min((last.end - first.start).saturating_add(2 * block));
        let worth = to_usize(decoded).unwrap_or(usize::MAX) / WORTH_A_HELPER;
        Ok(self.reader.threads.min(worth).max(1))
    }

    /// About `count` parts, cut where one block ends and another begins.
    fn parts(&self, count: usize) -> Result<Vec<&[Wanted]>> {
        let each = self.wanted.len().div_ceil(count).max(1);
        let mut parts = memory::with_room(count)?;
        let mut rest = &*self.wanted;
        while rest.len() > each {
            let (now, later) = rest.split_at(self.cut(rest, each)?);
            rest = later;
            parts.push(now);
        }
        parts.push(rest);
        Ok(parts)
    }

    /// The first place at or after `at` where one block ends and another begins.
    fn cut(&self, wanted: &[Wanted], mut at: usize) -> Result<usize> {
        let Some(before) = at.checked_sub(1).and_then(|before| wanted.get(before)) else {
            return Ok(at);
        };
        if let Some(last) = before.end.checked_sub(1) {
            let end = self.reader.block_end(last)?;
            while wanted.get(at).is_some_and(|wanted| wanted.start < end) {
                at += 1;
            }
        }
        Ok(at)
    }

    fn part(
        &self,
        wanted: &[Wanted],
        space: &mut AlignedBuf,
        visitor: &mut impl Visit,
    ) -> Result<()> {
        let mut held: Option<Located<'_>> = None;
        // At a multiple of 8, as all others.
        let nothing = AlignedBuf::default();
        let mut rest = wanted;
        while let Some(Wanted { start, end, .. }) = rest.first() {
            let (start, end) = (*start, *end);
            let chunk = start / self.reader.chunk_size;
            let base = chunk * self.reader.chunk_size;
            if start == end || (end - 1) / self.reader.chunk_size != chunk {
                held = None;
            } else if held.as_ref().is_none_or(|held| held.chunk != chunk) {
                held = match self.reader.chunk(chunk)? {
                    ChunkData::File(place) => Some(place),
                    ChunkData::Memory(_) => None,
                };
            }
            if let Some(place) = &held {
                let at = Blocks { place, base };
                let stored = place.layout.is_stored();
                let (records, blocks) =
                    if stored { self.stored(&at, rest) } else { self.stretch(&at, rest) };
                let (now, later) = rest.split_at(records);
                match blocks.len() {
                    0 => {}
                    _ if stored => {
                        let first = at.first(blocks.start);
                        let hand = |bytes: &[u8]| hand(bytes, first, now, space, visitor);
                        self.reader.stored_blocks(place, blocks, hand)?;
                    }
                    1 => self.block(&at, blocks.start, now, space, visitor)?,
                    _ => self.together(&at, blocks, now, space, visitor)?,
                }
                rest = later;
                if !now.is_empty() {
                    continue;
                }
            }
            // In memory, across blocks, or empty; those that were asked for twice come together.
            let same = rest.iter().take_while(|w| (w.start, w.end) == (start, end)).count();
            let (now, later) = rest.split_at(same.max(1));
            rest = later;
            let space = room(space, to_usize(end - start).unwrap_or(usize::MAX))?;
            self.reader.read(start..end, space)?;
            let bytes = if space.is_empty() { &*nothing } else { &*space };
            for wanted in now {
                visitor.record(wanted.position as usize, bytes)?;
            }
        }
        Ok(())
    }

    /// Hands over records of several blocks that are read by one call.
    fn together(
        &self,
        at: &Blocks<'_>,
        blocks: Range<u32>,
        wanted: &[Wanted],
        space: &mut AlignedBuf,
        visitor: &mut impl Visit,
    ) -> Result<()> {
        let mut rest = wanted;
        self.reader.streams(at.place, blocks, |block, raw| {
            let (now, later) = rest.split_at(at.count(block, rest));
            rest = later;
            if now.is_empty() {
                // Read along.
                return Ok(());
            }
            let part = at.part(block, now);
            let decoded = room(space, part.len())?;
            let first = at.first(block) + part.start as u64;
            match self.reader.decode_raw(at.place, block, part.clone(), raw, decoded) {
                // What was damaged on its way is fetched once more.
                Err(Error::Corrupt(_)) if self.reader.io.is_far() => {
                    self.reader.decode_part(at.place, block, part, decoded)?;
                }
                done => done?,
            }
            hand(decoded, first, now, &mut AlignedBuf::default(), visitor)
        })
    }

    /// Hands over records of one block, checked: decoded into `space`, as far as they reach in it.
    fn block(
        &self,
        at: &Blocks<'_>,
        block: u32,
        wanted: &[Wanted],
        space: &mut AlignedBuf,
        visitor: &mut impl Visit,
    ) -> Result<()> {
        let (place, first) = (at.place, at.first(block));
        if !Decoder::decodes_parts(&place.layout) && self.is_outer(wanted) {
            // Where batches follow each other, the next one goes on in the block in which this one ends.
            let all = 0..place.layout.block_len(block) as usize;
            let data = match self.reader.cached(place, block, &all) {
                Some(data) => data,
                None => self.reader.fresh(place, block)?,
            };
            return hand(&data, first, wanted, space, visitor);
        }
        let part = at.part(block, wanted);
        let decoded = room(space, part.len())?;
        let first = first + part.start as u64;
        self.reader.decode_part(place, block, part, decoded)?;
        hand(decoded, first, wanted, &mut AlignedBuf::default(), visitor)
    }
}

/// The first `len` bytes of `space`, which is made longer if need be: what they are is not said.
fn room(space: &mut AlignedBuf, len: usize) -> Result<&mut [u8]> {
    if space.len() < len {
        // Gone first, so that its memory may be used again.
        *space = AlignedBuf::default();
        *space = AlignedBuf::unset(len)?;
    }
    Ok(space.get_mut(..len).unwrap_or_default())
}

/// Hands over those records of a block that are wanted, through `space` where they do not lie at a
/// multiple of 8. `first` is the first logical byte of `block`.
fn hand(
    block: &[u8],
    first: u64,
    wanted: &[Wanted],
    space: &mut AlignedBuf,
    visitor: &mut impl Visit,
) -> Result<()> {
    let outside = || Error::corrupt("record entry", first, "reaches outside its block");
    for (i, Wanted { start, end, position, .. }) in wanted.iter().enumerate() {
        if let Some(later) = wanted.get(i + AHEAD) {
            visitor.soon(later.position as usize);
        }
        let (from, to) = (to_usize(*start - first), to_usize(*end - first));
        let range = from.unwrap_or(usize::MAX)..to.unwrap_or(usize::MAX);
        let bytes = block.get(range).ok_or_else(outside)?;
        if bytes.as_ptr().addr().is_multiple_of(8) {
            visitor.record(*position as usize, bytes)?;
        } else {
            let aligned = room(space, bytes.len())?;
            aligned.copy_from_slice(bytes);
            visitor.record(*position as usize, aligned)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::backend::{MemoryBackend, SliceBackend};
    use crate::chunk::Algorithm;
    use crate::error::Error;
    use crate::store::{
        Alignment, Layout, Purpose, ReadOptions, Readable, Store, StoreOptions, WriteOptions,
        Writer,
    };
    use std::sync::{Arc, Mutex};

    /// Lengths from nothing to several blocks, contents that tell records apart.
    fn record(i: u64) -> Vec<u8> {
        let len = match i % 7 {
            0 => 0,
            1 => 40_000,
            n => 8 * usize::try_from(n * (i % 61)).unwrap() + 3,
        };
        (0..len).map(|k| u8::try_from((k as u64 * 7 + i) % 251).unwrap()).collect()
    }

    #[test]
    fn every_position_gets_its_record_once_however_the_store_lies() {
        for codec in [Some(Algorithm::Lz4), None] {
            for alignment in [None, Some(Alignment::Contiguous)] {
                for threads in [1, 3] {
                    let options = StoreOptions {
                        layout: Layout {
                            purpose: Purpose::Random,
                            compression: codec.into(),
                            alignment: alignment
                                .unwrap_or(StoreOptions::default().layout.alignment),
                            chunk_size: 256 << 10,
                            ..Layout::default()
                        },
                        write: WriteOptions { threads, ..WriteOptions::default() },
                    };
                    let mut w = Writer::in_memory(&options).unwrap();
                    for i in 0..400 {
                        w.insert(i, &record(i)).unwrap();
                    }
                    w.commit().unwrap();
                    let snapshot = w.snapshot().unwrap();
                    let asked: Vec<u64> =
                        (0..600).map(|i| (i * 37 + i / 13) % 400).chain([5, 5, 1, 1]).collect();
                    let seen: Vec<Mutex<Vec<Vec<u8>>>> =
                        asked.iter().map(|_| Mutex::default()).collect();
                    let plan = snapshot.plan_at(&asked).unwrap();
                    assert_eq!(plan.weights().unwrap().len(), asked.len());
                    assert_eq!(plan.first().unwrap().unwrap()[..], record(asked[0])[..]);
                    plan.each(|i, bytes| {
                        assert!(bytes.as_ptr().addr().is_multiple_of(8));
                        seen[i].lock().unwrap().push(bytes.to_vec());
                        Ok(())
                    })
                    .unwrap();
                    for (i, seen) in asked.iter().zip(seen) {
                        assert_eq!(seen.into_inner().unwrap(), [record(*i)], "record {i}");
                    }
                    assert!(snapshot.plan([1_u64, 1000]).is_err());
                    let none: [u64; 0] = [];
                    assert!(snapshot.plan_at(&none).unwrap().first().unwrap().is_none());
                }
            }
        }
    }

    #[test]
    fn all_blocks_of_a_stored_record_are_checked() {
        let record =
            |i: u64| -> Vec<u8> { (0..700).flat_map(|k| (i * 1000 + k).to_le_bytes()).collect() };
        let layout = Layout {
            compression: None.into(),
            alignment: Alignment::Contiguous,
            // Full ones, whose blocks lie one behind the other with nothing between.
            chunk_size: 32 << 10,
            block_size: 2048,
            ..Layout::default()
        };
        let options = StoreOptions { layout, write: WriteOptions::default() };
        let memory = Arc::new(MemoryBackend::new());
        let mut w = Writer::create_in(memory.clone(), &options).unwrap();
        for i in 0..20 {
            w.insert(i, &record(i)).unwrap();
        }
        w.close().unwrap();
        let image = memory.to_bytes();
        let wanted = record(8);
        let at = image.windows(wanted.len()).position(|bytes| bytes == wanted).unwrap();
        for byte in [0, 2100, 4200, wanted.len() - 1] {
            let mut image = image.clone();
            image[at + byte] ^= 1;
            let backend = Arc::new(SliceBackend::from_owner(image));
            let store = Store::open_in(backend, &ReadOptions::default()).unwrap();
            for asked in [vec![8], vec![0, 8, 19]] {
                let plan = store.plan_at(&asked).unwrap();
                let seen = plan.each(|i, bytes| {
                    assert_eq!(bytes, record(asked[i]));
                    Ok(())
                });
                assert!(matches!(seen, Err(Error::Corrupt(_))), "byte {byte}");
            }
            let plan = store.plan_at(&[0, 19]).unwrap();
            plan.each(|_, _| Ok(())).unwrap();
        }
    }

    #[test]
    fn what_the_caller_returns_ends_the_visit() {
        let mut w = Writer::in_memory(&StoreOptions::default()).unwrap();
        w.push(b"one").unwrap();
        w.commit().unwrap();
        let snapshot = w.snapshot().unwrap();
        let refused = snapshot.plan_at(&[0]).unwrap();
        let refused = refused.each(|_, _| Err(crate::Error::Locked));
        assert!(matches!(refused, Err(crate::Error::Locked)));
    }
}
