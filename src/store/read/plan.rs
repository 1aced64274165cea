//! Many records, looked up to be read together: into one buffer, or each handed over where it was
//! decoded, to those who copy what they need out of them and keep nothing.

use crate::error::{Error, Result};
use crate::index::leaf::Place;
use crate::store::read::batch::{Batch, WORTH_A_THREAD, ended, no_thread};
use crate::store::read::core::{ChunkData, ChunkPlace, Core};
use crate::store::read::record::Record;
use crate::wire::{AlignedBuf, memory, to_usize};

/// Records that were looked up and are about to be read; made by
/// [`Readable::plan`](crate::Readable::plan) and [`Readable::plan_at`](crate::Readable::plan_at).
///
/// Has their lengths and weights without decoding anything, and fills what the caller wants: one
/// buffer ([`batch`](Self::batch)), or whatever is made of each record ([`each_into`](Self::each_into)).
#[derive(Debug)]
pub struct Plan<'a> {
    core: &'a Core,
    entries: Vec<Place>,
}

/// Where a record lies, and what it is wanted for.
struct Asked<T> {
    start: u64,
    end: u64,
    place: T,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        core: &'a Core,
        entries: impl ExactSizeIterator<Item = Result<Place>>,
    ) -> Result<Self> {
        let mut found = memory::with_room(entries.len())?;
        for entry in entries {
            found.push(entry?);
        }
        Ok(Self { core, entries: found })
    }
}

impl Plan<'_> {
    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no record.
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
        self.core.batch(&self.entries)
    }

    /// What the codec counted in each record when it was put (for a frame its sites), in the
    /// order asked for; decodes nothing.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = u32> {
        self.entries.iter().map(|e| e.weight)
    }

    /// The first of the records; `None` if none was asked for.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at).
    pub fn first(&self) -> Result<Option<Record>> {
        self.entries.first().map(|e| self.core.record(e)).transpose()
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
        let mut order: Vec<Asked<T>> = memory::with_room(self.entries.len())?;
        for (entry, place) in self.entries.iter().zip(places) {
            let span = self.core.span(entry)?;
            order.push(Asked { start: span.start, end: span.end, place });
        }
        order.sort_unstable_by_key(|asked| (asked.start, asked.end));
        let bytes: u64 = order.iter().map(|asked| asked.end - asked.start).sum();
        let worth = to_usize(bytes).unwrap_or(usize::MAX) / WORTH_A_THREAD;
        let parts = self.core.threads.min(worth).max(1);
        if parts == 1 {
            return self.part(&mut order, &f);
        }
        let (f, each) = (&f, order.len().div_ceil(parts).max(1));
        let result = crossbeam::thread::scope(|scope| {
            let mut running = Vec::new();
            let mut rest = order.as_mut_slice();
            while rest.len() > each {
                let at = self.cut(rest, each)?;
                let (now, later) = rest.split_at_mut(at);
                rest = later;
                let part = move |_: &_| self.part(now, f);
                running.push(scope.builder().spawn(part).map_err(no_thread)?);
            }
            // The last part is the caller's own.
            let own = self.part(rest, f);
            let others = running.into_iter();
            let others: Vec<_> =
                others.map(|r| r.join().unwrap_or_else(|_| Err(ended()))).collect();
            others.into_iter().chain([own]).collect()
        });
        result.unwrap_or_else(|_| Err(ended()))
    }

    /// The first place at or after `at` where one block ends and another begins.
    fn cut<T>(&self, order: &[Asked<T>], mut at: usize) -> Result<usize> {
        let Some(before) = at.checked_sub(1).and_then(|before| order.get(before)) else {
            return Ok(at);
        };
        if let Some(last) = before.end.checked_sub(1) {
            let end = self.core.block_end(last)?;
            while order.get(at).is_some_and(|asked| asked.start < end) {
                at += 1;
            }
        }
        Ok(at)
    }

    fn part<T>(
        &self,
        order: &mut [Asked<T>],
        f: &impl Fn(&mut T, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut space = AlignedBuf::default();
        let mut rest = order;
        while let Some(Asked { start, end, .. }) = rest.first() {
            let (start, end) = (*start, *end);
            let chunk = start / self.core.chunk_size;
            let base = chunk * self.core.chunk_size;
            let place = if start == end || (end - 1) / self.core.chunk_size != chunk {
                None
            } else if let ChunkData::File(place) = self.core.chunk(chunk)? {
                Some(place)
            } else {
                None
            };
            if let Some(place) = place {
                let size = place.layout.block_size().max(1);
                let block = u32::try_from((start - base) / u64::from(size)).unwrap_or(u32::MAX);
                let first = base + u64::from(block) * u64::from(size);
                let until = first + u64::from(place.layout.block_len(block));
                let here = rest.partition_point(|asked| asked.start < until);
                let whole = rest
                    .iter()
                    .take(here)
                    .take_while(|asked| asked.start < asked.end && asked.end <= until)
                    .count();
                let (now, later) = rest.split_at_mut(whole);
                rest = later;
                if !now.is_empty() {
                    self.block(&place, block, &mut space, |bytes| hand(bytes, first, now, f))?;
                    continue;
                }
            }
            // In memory, across blocks, or empty; those that were asked for twice come together.
            let same = rest.iter().take_while(|a| (a.start, a.end) == (start, end)).count();
            let (now, later) = rest.split_at_mut(same.max(1));
            rest = later;
            space.resize(to_usize(end - start).unwrap_or(usize::MAX))?;
            self.core.read(start..end, &mut space)?;
            for asked in now {
                f(&mut asked.place, &space)?;
            }
        }
        Ok(())
    }

    /// Calls `f` with a whole block, checked: decoded into `space`, or where it is stored.
    fn block(
        &self,
        place: &ChunkPlace,
        block: u32,
        space: &mut AlignedBuf,
        f: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if place.layout.is_stored() {
            return self.core.stored_block(place, block, f);
        }
        space.resize(place.layout.block_len(block) as usize)?;
        self.core.decode(place, block, space)?;
        f(space)
    }
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
                    assert_eq!(plan.sites().len(), asked.len());
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
    fn what_the_caller_answers_ends_the_visit() {
        let mut w = Writer::in_memory(&StoreOptions::default()).unwrap();
        w.push(b"one").unwrap();
        w.commit().unwrap();
        let snapshot = w.snapshot().unwrap();
        let refused = snapshot.plan_at(&[0]).unwrap();
        let refused = refused.each_into(vec![()], |(), _| Err(crate::Error::Locked));
        assert!(matches!(refused, Err(crate::Error::Locked)));
    }
}
