//! Many records, looked up to be read together: into one buffer, or each handed over where it was
//! decoded, to those who copy what they need out of them and keep nothing.

use crate::chunk::Decoder;
use crate::error::{Error, Result};
use crate::index::leaf::Place;
use crate::store::read::batch::Batch;
use crate::store::read::reader::{ChunkData, ChunkLocation, Reader};
use crate::store::read::record::Record;
use crate::store::read::share_out::share_out;
use crate::wire::{AlignedBuf, memory, to_usize};
use std::sync::Arc;

/// Bytes to decode below which a helper costs more than it saves.
const WORTH_A_HELPER: usize = 48 << 10;
/// Parts of the work for each thread, so that one that is late or slow is waited for only a little.
const PARTS: usize = 4;

/// Records that were looked up and are about to be read; made by
/// [`Readable::plan`](crate::Readable::plan) and [`Readable::plan_at`](crate::Readable::plan_at).
///
/// Has their lengths and weights without decoding anything, and fills what the caller wants: one
/// buffer ([`batch`](Self::batch)), or whatever is made of each record ([`each_into`](Self::each_into)).
#[derive(Debug)]
pub struct Plan<'a> {
    reader: &'a Reader,
    /// In the order asked for.
    entries: Vec<Place>,
    /// Positions among them, in the order in which they lie.
    order: Vec<usize>,
}

/// Where a record lies, and what it is wanted for.
struct Asked<T> {
    start: u64,
    end: u64,
    place: T,
}

impl<'a> Plan<'a> {
    /// Looks up one record after the other.
    pub(crate) fn one_by_one(
        reader: &'a Reader,
        entries: impl ExactSizeIterator<Item = Result<Place>>,
    ) -> Result<Self> {
        let mut found = memory::with_room(entries.len())?;
        for entry in entries {
            found.push(entry?);
        }
        let mut order = memory::with_room(found.len())?;
        order.extend(0..found.len());
        Ok(Self { reader, entries: found, order }.sorted())
    }

    /// Looks up the records at these ordinals, those that lie side by side in the index together.
    pub(crate) fn at(reader: &'a Reader, ordinals: &[u64]) -> Result<Self> {
        let mut asked = memory::with_room(ordinals.len())?;
        for (i, ordinal) in ordinals.iter().enumerate() {
            asked.push((reader.id_at(*ordinal)?, i));
        }
        asked.sort_unstable();
        match reader.places(&asked) {
            Ok(entries) => {
                let mut order = memory::with_room(asked.len())?;
                order.extend(asked.iter().map(|(_, i)| *i));
                Ok(Self { reader, entries, order }.sorted())
            }
            // The first that fails, in the order asked for.
            Err(_) => Self::one_by_one(reader, ordinals.iter().map(|o| reader.entry_at(*o))),
        }
    }

    fn sorted(mut self) -> Self {
        let place = |i: &usize| self.entries.get(*i).map(|e| (e.start, e.len));
        // Records of another writer may lie in any order.
        if !self.order.is_sorted_by_key(place) {
            self.order.sort_by_key(place);
        }
        self
    }
}

impl Plan<'_> {
    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The records in one buffer, in the order asked for. Each block in which one of them lies is
    /// decoded once, and no other, by as many threads as the store was given.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at), for the first record that fails.
    pub fn batch(&self) -> Result<Batch> {
        self.reader.batch(&self.entries)
    }

    /// What the codec counted in each record when it was put (for a frame its sites), in the
    /// order asked for; decodes nothing.
    pub fn weights(&self) -> impl ExactSizeIterator<Item = u32> {
        self.entries.iter().map(|e| e.weight)
    }

    /// The first of the records; `None` if none was asked for.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at).
    pub fn first(&self) -> Result<Option<Record>> {
        self.entries.first().map(|e| self.reader.record(e)).transpose()
    }

    /// Calls `f` for each record with its place among `places`, which are in the order asked for,
    /// one for each record, and with its bytes, which start at a multiple of 8 in memory and are
    /// gone when `f` returns.
    ///
    /// Each block in which one of them lies is decoded once. `f` is called in no particular order,
    /// from as many threads as the store was given; they end before this returns.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at), or what `f` returns; some of the records may have been visited.
    /// [`Error::Invalid`] if there are not as many places as records.
    pub fn each_into<T: Send>(
        &self,
        places: Vec<T>,
        f: impl Fn(&mut T, &[u8]) -> Result<()> + Sync,
    ) -> Result<()> {
        if places.len() != self.entries.len() {
            return Err(Error::invalid("places", "there is not one for each record"));
        }
        let mut places: Vec<Option<T>> = places.into_iter().map(Some).collect();
        let mut order: Vec<Asked<T>> = memory::with_room(self.entries.len())?;
        for i in &self.order {
            let place = places.get_mut(*i).and_then(Option::take);
            if let (Some(entry), Some(place)) = (self.entries.get(*i), place) {
                let span = self.reader.span(entry)?;
                order.push(Asked { start: span.start, end: span.end, place });
            }
        }
        let threads = self.threads(&order)?;
        if threads == 1 {
            return self.part(&mut order, &mut AlignedBuf::default(), &f);
        }
        let parts = self.parts(&mut order, threads * PARTS)?;
        let work = |space: &mut AlignedBuf, part| self.part(part, space, &f);
        share_out(threads, parts, AlignedBuf::default, work)?;
        Ok(())
    }

    /// Threads that so much work is worth.
    fn threads<T>(&self, order: &[Asked<T>]) -> Result<usize> {
        let (Some(first), Some(last)) = (order.first(), order.last()) else { return Ok(1) };
        if self.reader.threads == 1 {
            return Ok(1);
        }
        // Each record decodes a block at most, and all of them what lies between the first and the last.
        let block = self.reader.block_end(first.start)? - self.reader.block_start(first.start)?;
        let each: u64 = order.iter().map(|asked| block.max(asked.end - asked.start)).sum();
        let decoded = each.min((last.end - first.start).saturating_add(2 * block));
        let worth = to_usize(decoded).unwrap_or(usize::MAX) / WORTH_A_HELPER;
        Ok(self.reader.threads.min(worth).max(1))
    }

    /// About `count` parts, cut where one block ends and another begins.
    fn parts<'o, T>(
        &self,
        order: &'o mut [Asked<T>],
        count: usize,
    ) -> Result<Vec<&'o mut [Asked<T>]>> {
        let each = order.len().div_ceil(count).max(1);
        let mut parts = memory::with_room(count)?;
        let mut rest = order;
        while rest.len() > each {
            let at = self.cut(rest, each)?;
            let (now, later) = rest.split_at_mut(at);
            rest = later;
            parts.push(now);
        }
        parts.push(rest);
        Ok(parts)
    }

    /// The first place at or after `at` where one block ends and another begins.
    fn cut<T>(&self, order: &[Asked<T>], mut at: usize) -> Result<usize> {
        let Some(before) = at.checked_sub(1).and_then(|before| order.get(before)) else {
            return Ok(at);
        };
        if let Some(last) = before.end.checked_sub(1) {
            let end = self.reader.block_end(last)?;
            while order.get(at).is_some_and(|asked| asked.start < end) {
                at += 1;
            }
        }
        Ok(at)
    }

    fn part<T>(
        &self,
        order: &mut [Asked<T>],
        space: &mut AlignedBuf,
        f: &impl Fn(&mut T, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut held: Option<Arc<ChunkLocation>> = None;
        // At a multiple of 8, as all others.
        let nothing = AlignedBuf::default();
        let mut rest = order;
        while let Some(Asked { start, end, .. }) = rest.first() {
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
                let size = place.layout.block_size().max(1);
                let block = u32::try_from((start - base) / u64::from(size)).unwrap_or(u32::MAX);
                let first = base + u64::from(block) * u64::from(size);
                let until = first + u64::from(place.layout.block_len(block));
                let whole = rest
                    .iter()
                    .take_while(|asked| asked.start < asked.end && asked.end <= until)
                    .count();
                let (now, later) = rest.split_at_mut(whole);
                rest = later;
                if !now.is_empty() {
                    self.block(place, block, first, now, space, f)?;
                    continue;
                }
            }
            // In memory, across blocks, or empty; those that were asked for twice come together.
            let same = rest.iter().take_while(|a| (a.start, a.end) == (start, end)).count();
            let (now, later) = rest.split_at_mut(same.max(1));
            rest = later;
            let space = room(space, to_usize(end - start).unwrap_or(usize::MAX))?;
            self.reader.read(start..end, space)?;
            let bytes = if space.is_empty() { &*nothing } else { &*space };
            for asked in now {
                f(&mut asked.place, bytes)?;
            }
        }
        Ok(())
    }

    /// Whether the first of all records is among these, or the last.
    fn is_outer<T>(&self, asked: &[Asked<T>]) -> bool {
        let at = |i: Option<&usize>| i.and_then(|i| self.entries.get(*i)).map(|e| e.start);
        asked.first().map(|a| a.start) == at(self.order.first())
            || asked.last().map(|a| a.start) == at(self.order.last())
    }

    /// Hands over records of one block, checked: decoded into `space`, as far as they reach in it, or
    /// where it is stored. `first` is its first logical byte.
    fn block<T>(
        &self,
        place: &ChunkLocation,
        block: u32,
        first: u64,
        asked: &mut [Asked<T>],
        space: &mut AlignedBuf,
        f: &impl Fn(&mut T, &[u8]) -> Result<()>,
    ) -> Result<()> {
        if place.layout.is_stored() {
            return self.reader.stored_block(place, block, |bytes| hand(bytes, first, asked, f));
        }
        let (mut from, mut to) = (0, place.layout.block_len(block) as usize);
        if !Decoder::decodes_parts(&place.layout) && self.is_outer(asked) {
            // Where batches follow each other, the next one goes on in the block in which this one ends.
            let data = match self.reader.cached(place, block, &(0..to)) {
                Some(data) => data,
                None => self.reader.fresh(place, block)?,
            };
            return hand(&data, first, asked, f);
        }
        if Decoder::decodes_parts(&place.layout) {
            let within = |at: u64| to_usize(at - first).unwrap_or(usize::MAX).min(to);
            let begin = asked.first().map_or(0, |asked| within(asked.start));
            let end = asked.iter().map(|asked| within(asked.end)).max().unwrap_or(to);
            (from, to) = (begin / 8 * 8, end);
        }
        let space = room(space, to.saturating_sub(from))?;
        self.reader.decode_part(place, block, from..to, space)?;
        hand(space, first + from as u64, asked, f)
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

/// Hands over those records of a block that were asked for. `first` is its first logical byte.
fn hand<T>(
    block: &[u8],
    first: u64,
    order: &mut [Asked<T>],
    f: &impl Fn(&mut T, &[u8]) -> Result<()>,
) -> Result<()> {
    let outside = || Error::corrupt("record entry", first, "reaches outside its block");
    for Asked { start, end, place } in order {
        let (from, to) = (to_usize(*start - first), to_usize(*end - first));
        let range = from.unwrap_or(usize::MAX)..to.unwrap_or(usize::MAX);
        let bytes = block.get(range).ok_or_else(outside)?;
        if bytes.as_ptr().addr().is_multiple_of(8) {
            f(place, bytes)?;
        } else {
            f(place, &AlignedBuf::copy_of(bytes)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::chunk::Algorithm;
    use crate::store::{Alignment, Layout, Purpose, Readable, StoreOptions, WriteOptions, Writer};
    use std::sync::Mutex;

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
                    assert_eq!(plan.weights().len(), asked.len());
                    assert_eq!(plan.first().unwrap().unwrap()[..], record(asked[0])[..]);
                    plan.each_into((0..asked.len()).collect(), |i, bytes| {
                        assert!(bytes.as_ptr().addr().is_multiple_of(8));
                        seen[*i].lock().unwrap().push(bytes.to_vec());
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
    fn what_the_caller_returns_ends_the_visit() {
        let mut w = Writer::in_memory(&StoreOptions::default()).unwrap();
        w.push(b"one").unwrap();
        w.commit().unwrap();
        let snapshot = w.snapshot().unwrap();
        let refused = snapshot.plan_at(&[0]).unwrap();
        let refused = refused.each_into(vec![()], |(), _| Err(crate::Error::Locked));
        assert!(matches!(refused, Err(crate::Error::Locked)));
    }
}
